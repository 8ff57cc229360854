//! POSIX extended regular expressions, from the C library: names of containers by pattern.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

/// A pattern.
pub struct Regex(Box<libc::regex_t>);

impl std::fmt::Debug for Regex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Regex")
    }
}

impl Regex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// `InvalidInput`: it is none; the text is the C library's.
    pub fn new(pattern: &str) -> io::Result<Self> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let text = CString::new(pattern).map_err(|_| invalid("a NUL byte".to_owned()))?;
        // SAFETY: regex_t is plain integers and pointers; regcomp fills it in.
        let mut compiled = Box::new(unsafe { std::mem::zeroed::<libc::regex_t>() });
        let flags = libc::REG_EXTENDED | libc::REG_NOSUB;
        // SAFETY: both pointers are valid for the call; the box never moves what it holds.
        let status = unsafe { libc::regcomp(&raw mut *compiled, text.as_ptr(), flags) };
        if status == 0 {
            return Ok(Self(compiled));
        }
        let mut message = [0_u8; 128];
        // SAFETY: the buffer is as long as is said, and what regcomp left is valid for regerror.
        let length = unsafe {
            libc::regerror(status, &raw const *compiled, message.as_mut_ptr().cast(), message.len())
        };
        let end = length.saturating_sub(1).min(message.len() - 1);
        Err(invalid(String::from_utf8_lossy(&message[..end]).into_owned()))
    }

    /// Whether it is found in `text`; one with a NUL it is not.
    pub fn is_in(&self, text: &str) -> bool {
        let Ok(text) = CString::new(text) else { return false };
        // SAFETY: the pattern was compiled, the text ends with NUL, and no matches are asked for.
        unsafe { libc::regexec(&raw const *self.0, text.as_ptr(), 0, std::ptr::null_mut(), 0) == 0 }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: compiled once, freed once.
        unsafe { libc::regfree(&raw mut *self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let pod = Regex::new("^pod-[0-9]+(-x)?$").unwrap();
        for (text, want) in [("pod-12", true), ("pod-1-x", true), ("pod-", false), ("a\0", false)] {
            assert_eq!(pod.is_in(text), want, "{text}");
        }
        let error = Regex::new("(").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(!error.to_string().is_empty());
    }
}

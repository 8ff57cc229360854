//! `linux.personality`: the execution domain, which tells a 32-bit program what machine it is on.
//!
//! Source: runtime-spec config-linux.md "Personality"; personality(2).

use crate::error::{Act, Error, Result};
use crate::sys::scheduling;
use oci_spec::runtime::{LinuxPersonality, LinuxPersonalityDomain as Domain};

/// The number of the domain. Pure.
///
/// # Errors
/// [`Error::Config`]: a flag; the spec knows none.
pub fn from_spec(wanted: &LinuxPersonality) -> Result<u64> {
    if let Some(flag) = wanted.flags().iter().flatten().next() {
        let reason = format!("{flag:?}: the spec defines no flags yet");
        return Err(Error::config("linux.personality.flags", reason));
    }
    Ok(match wanted.domain() {
        Domain::PerLinux => 0,
        Domain::PerLinux32 => 8,
    })
}

/// Puts this process into the domain; what it execs stays in it.
///
/// # Errors
/// [`Error::Os`].
pub fn apply(domain: u64) -> Result<()> {
    scheduling::personality(domain).act(|| format!("set linux.personality to {domain:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_flags() {
        let read = |json: &str| from_spec(&serde_json::from_str(json).unwrap());
        assert_eq!(read(r#"{"domain": "LINUX"}"#).unwrap(), 0);
        assert_eq!(read(r#"{"domain": "LINUX32", "flags": []}"#).unwrap(), 8);
        let error = read(r#"{"domain": "LINUX", "flags": ["x"]}"#).unwrap_err().to_string();
        assert!(error.contains("linux.personality.flags"), "{error}");
    }
}

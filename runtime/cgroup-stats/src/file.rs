//! The files of a group: whole texts, single numbers, named numbers.

use crate::form::Counts;
use std::fs;
use std::io;
use std::path::Path;

/// The group was removed while its file was open.
const ENODEV: i32 = 19;

/// The text of `file` in the group `directory`; `None` if the kernel has no such file there.
///
/// # Errors
/// Those of open(2) and read(2), with the file.
pub fn text(directory: &Path, file: &str) -> io::Result<Option<String>> {
    let path = directory.join(file);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => {
            let message = format!("read {}: {error}", path.display());
            Err(io::Error::new(error.kind(), message))
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ENODEV)
}

/// The single number of `file`; `max` is 2^64-1. `None`: no such file, or no number in it.
///
/// # Errors
/// Those of [`text`].
pub fn number(directory: &Path, file: &str) -> io::Result<Option<u64>> {
    Ok(text(directory, file)?.and_then(|text| match text.trim() {
        "max" => Some(u64::MAX),
        text => text.parse().ok(),
    }))
}

/// A file of lines `name number`, such as memory.stat.
///
/// # Errors
/// Those of [`text`].
pub fn counts(directory: &Path, file: &str) -> io::Result<Option<Counts>> {
    Ok(text(directory, file)?.map(Counts::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_no_missing_file() {
        let group = tempfile::tempdir().unwrap();
        assert_eq!(text(group.path(), "io.stat").unwrap(), None);
        // read(2) of a directory: EISDIR.
        fs::create_dir(group.path().join("io.stat")).unwrap();
        let error = text(group.path(), "io.stat").unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("io.stat"), "{error}");
    }

    #[test]
    fn single_numbers() {
        let group = tempfile::tempdir().unwrap();
        for (text, want) in [
            ("12\n", Some(12)),
            ("max\n", Some(u64::MAX)),
            ("-1\n", None),
            ("soon\n", None),
            ("\n", None),
        ] {
            fs::write(group.path().join("memory.max"), text).unwrap();
            assert_eq!(number(group.path(), "memory.max").unwrap(), want, "{text:?}");
        }
    }
}

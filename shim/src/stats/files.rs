//! The forms in which the kernel prints counts: one number, or lines of a name and a number.

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
        Err(error) => Err(with_path("read", &path, &error)),
    }
}

/// `error` with what was tried on which file; its kind stays.
pub fn with_path(act: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{act} {}: {error}", path.display()))
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ENODEV)
}

/// The single number of `file`; `max` is 2^64-1. `None`: no such file, or no number in it.
///
/// # Errors
/// As [`text`].
pub fn number(directory: &Path, file: &str) -> io::Result<Option<u64>> {
    Ok(text(directory, file)?.and_then(|text| match text.trim() {
        "max" => Some(u64::MAX),
        text => text.parse().ok(),
    }))
}

/// Looks up names in lines of `name number`; what is not there, or is no number, counts as 0.
pub fn keyed(text: &str) -> impl Fn(&str) -> u64 {
    let pairs: Vec<(&str, u64)> = text.lines().filter_map(pair).collect();
    move |name| pairs.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| *number)
}

fn pair(line: &str) -> Option<(&str, u64)> {
    let (name, number) = line.split_once(' ')?;
    Some((name, number.trim().parse().ok()?))
}

/// `MAJOR:MINOR` as two numbers.
pub fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

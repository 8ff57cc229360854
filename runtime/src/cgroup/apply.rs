//! Performs the writes of `limits.rs` in the directories of a container's groups.

use super::files;
use super::limits::{Absent, Write};
use crate::error::{Act, Error, Result};
use std::fs;
use std::path::Path;

/// Performs `writes` in their order, each in the directory that `directory_of` names.
///
/// Some files bound each other (memory and memory with swap, quota and burst), and which has to
/// be written first depends on what stands in them: a refused write is tried again at the end.
///
/// # Errors
/// Those of `directory_of`; [`Error::Os`] with the file and the value.
pub fn perform_all<'a>(
    writes: &'a [Write],
    directory_of: impl Fn(&'a Write) -> Result<&'a Path>,
) -> Result<()> {
    let mut refused = Vec::new();
    for write in writes {
        let directory = directory_of(write)?;
        match perform(directory, write) {
            Err(Error::Os { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
                refused.push((directory, write));
            }
            other => other?,
        }
    }
    refused.into_iter().try_for_each(|(directory, write)| perform(directory, write))
}

fn perform(directory: &Path, write: &Write) -> Result<()> {
    let (mut file, mut value) = (write.file.as_str(), write.value.as_str());
    if write.absent != Absent::Fail && !directory.join(file).exists() {
        match &write.absent {
            Absent::Instead(other, scaled) => (file, value) = (other, scaled),
            Absent::Fail | Absent::Skip => return Ok(()),
        }
    }
    let written = files::write(&directory.join(file), value);
    let busy = written.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY));
    written.act(|| {
        let reason = match memory_use(directory) {
            Some(bytes) if busy && file.starts_with("memory.") => {
                format!(": the container uses {bytes} bytes, which cannot be reclaimed")
            }
            _ => String::new(),
        };
        format!("write {value:?} to {}/{file}{reason}", directory.display())
    })
}

/// What the group in `directory` uses of memory, on either version.
pub fn memory_use(directory: &Path) -> Option<u64> {
    let read = |file| fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok();
    read("memory.current").or_else(|| read("memory.usage_in_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &str, value: &str, absent: Absent) -> Write {
        Write { controller: "memory".into(), file: file.into(), value: value.into(), absent }
    }

    #[test]
    fn an_absent_file_is_a_failure_or_not() {
        let group = tempfile::tempdir().unwrap();
        fs::write(group.path().join("other"), "").unwrap();
        let instead = Absent::Instead("other", "scaled".to_owned());
        let writes = [write("a", "1", Absent::Skip), write("b", "2", instead)];
        perform_all(&writes, |_| Ok(group.path())).unwrap();
        assert_eq!(fs::read_to_string(group.path().join("other")).unwrap(), "scaled");
        let writes = [write("c", "3", Absent::Fail)];
        let error = perform_all(&writes, |_| Ok(group.path())).unwrap_err().to_string();
        assert!(error.starts_with("write \"3\" to ") && error.ends_with("/c"), "{error}");
    }

    #[test]
    fn use_is_read_on_both_versions() {
        let group = tempfile::tempdir().unwrap();
        assert_eq!(memory_use(group.path()), None);
        fs::write(group.path().join("memory.usage_in_bytes"), "4096\n").unwrap();
        assert_eq!(memory_use(group.path()), Some(4096));
        fs::write(group.path().join("memory.current"), "8192\n").unwrap();
        assert_eq!(memory_use(group.path()), Some(8192));
    }
}

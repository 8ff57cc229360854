//! Names of units: from `linux.cgroupsPath`, `slice:prefix:name`, to a scope in a slice. Pure.
//!
//! Source: runc docs/systemd.md; systemd.slice(5), systemd.unit(5).

use crate::error::{Error, Result};
use wamr_engine_conventions::SystemdPath;

/// What a container without `linux.cgroupsPath` is called by.
const PREFIX: &str = "wamr-crun";

/// A scope and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The slice above it.
    pub slice: String,
    /// The scope's unit.
    pub unit: String,
}

/// Reads `linux.cgroupsPath`; unset, the container `id` lies in the default slice.
///
/// # Errors
/// [`Error::Config`]: it has another form, or names that systemd does not take.
pub fn names(cgroups_path: Option<&str>, id: &str, user: bool) -> Result<Names> {
    let default_slice = if user { "user.slice" } else { "system.slice" };
    let path = cgroups_path.filter(|path| !path.is_empty());
    let Some(path) = path else {
        let unit = format!("{PREFIX}-{id}.scope");
        return Ok(Names { slice: default_slice.to_owned(), unit });
    };
    let refuse = |reason: &str| Error::config("linux.cgroupsPath", format!("{path:?}: {reason}"));
    let Some(SystemdPath { slice, prefix, name }) = SystemdPath::parse(path) else {
        return Err(refuse(
            "systemd needs the form slice:prefix:name; for a path use --cgroup-manager cgroupfs",
        ));
    };
    let slice = if slice.is_empty() { default_slice } else { slice };
    if slice != "-.slice" && !is_slice(slice) {
        return Err(refuse("the slice is no name such as a-b.slice"));
    }
    let proper = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '\\' | '@');
    let unit = match prefix {
        "" => format!("{name}.scope"),
        prefix => format!("{prefix}-{name}.scope"),
    };
    if name.is_empty() || unit.len() > 255 || !unit.chars().all(proper) {
        return Err(refuse("prefix and name do not make the name of a unit"));
    }
    Ok(Names { slice: slice.to_owned(), unit })
}

/// `a-b.slice`: dashes divide it into levels, none of which is empty.
fn is_slice(text: &str) -> bool {
    let Some(stem) = text.strip_suffix(".slice") else { return false };
    let proper = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '\\' | ':' | '@');
    stem.split('-').all(|level| !level.is_empty() && level.chars().all(proper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_in_slices() {
        for (path, want) in [
            (None, "system.slice wamr-crun-c1.scope"),
            (Some(""), "system.slice wamr-crun-c1.scope"),
            (
                Some("kubepods-besteffort-pod1_2.slice:cri-containerd:ab"),
                "kubepods-besteffort-pod1_2.slice cri-containerd-ab.scope",
            ),
            (Some(":libpod:x"), "system.slice libpod-x.scope"),
            (Some("machine.slice::x"), "machine.slice x.scope"),
            (Some("-.slice:p:x"), "-.slice p-x.scope"),
        ] {
            let got = names(path, "c1", false).unwrap();
            assert_eq!(format!("{} {}", got.slice, got.unit), want, "{path:?}");
        }
        assert_eq!(names(None, "c1", true).unwrap().slice, "user.slice");
    }

    #[test]
    fn other_forms_are_refused() {
        for path in [
            "/kubepods/pod1/c1",
            "a.slice:b",
            "a.slice:b:c:d",
            "a:b:c",
            "a--b.slice:p:n",
            "../a.slice:p:n",
            "a.slice:p:",
            "a.slice:p/q:n",
        ] {
            let error = names(Some(path), "c1", false).unwrap_err().to_string();
            assert!(error.contains("linux.cgroupsPath"), "{path}: {error}");
        }
    }
}

//! User and group maps of a new user namespace, and the offsets of a new time namespace.
//!
//! Source: user_namespaces(7), time_namespaces(7); runtime-spec config-linux.md.

use crate::error::{Act, Error, Result};
use crate::sys::process::{self, Cloned};
use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use oci_spec::runtime::{Linux, LinuxIdMapping};
use std::fs::File;
use std::os::fd::OwnedFd;

/// What the parent writes for the init process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maps {
    /// Text of /proc/PID/uid_map.
    pub uids: String,
    /// Text of /proc/PID/gid_map.
    pub gids: String,
}

/// The maps of config.json, checked. Pure. `new`: a user namespace is made.
///
/// # Errors
/// [`Error::Config`]: maps that are missing, useless or without size.
pub fn plan(linux: &Linux, new: bool) -> Result<Maps> {
    let uids = lines(linux.uid_mappings().as_deref(), "linux.uidMappings", new)?;
    let gids = lines(linux.gid_mappings().as_deref(), "linux.gidMappings", new)?;
    Ok(Maps { uids, gids })
}

/// The maps of one mount, checked; `None`: it has none. Pure.
///
/// # Errors
/// The reason why they are not usable.
pub fn of_mount(
    uids: Option<&[LinuxIdMapping]>,
    gids: Option<&[LinuxIdMapping]>,
) -> std::result::Result<Option<Maps>, String> {
    let none = |list: Option<&[LinuxIdMapping]>| list.is_none_or(<[_]>::is_empty);
    match (none(uids), none(gids)) {
        (true, true) => return Ok(None),
        (false, false) => {}
        _ => return Err("uidMappings and gidMappings only go together".to_owned()),
    }
    // The caller names the mount.
    let lines = |list, field| {
        lines(list, field, true).map_err(|error| match error {
            Error::Config { field, reason } => format!("{field}: {reason}"),
            other => other.to_string(),
        })
    };
    Ok(Some(Maps { uids: lines(uids, "uidMappings")?, gids: lines(gids, "gidMappings")? }))
}

fn lines(mappings: Option<&[LinuxIdMapping]>, field: &str, new: bool) -> Result<String> {
    let mappings = mappings.unwrap_or_default();
    if new && mappings.is_empty() {
        return Err(Error::config(field, "a new user namespace needs a map"));
    }
    if mappings.iter().any(|mapping| mapping.size() == 0) {
        return Err(Error::config(field, "a range of size 0"));
    }
    let line = |mapping: &LinuxIdMapping| {
        format!("{} {} {}\n", mapping.container_id(), mapping.host_id(), mapping.size())
    };
    Ok(mappings.iter().map(line).collect::<Vec<_>>().concat())
}

/// Writes `maps` for the process `pid`, which waits for it.
///
/// # Errors
/// [`Error::Os`] with the file and its text.
pub fn write(maps: &Maps, pid: i32) -> Result<()> {
    for (file, text) in [("uid_map", &maps.uids), ("gid_map", &maps.gids)] {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).act(|| format!("write {text:?} to {path}"))?;
    }
    Ok(())
}

/// A user namespace with `maps` and no process in it: what an id-mapped mount takes them from.
///
/// # Errors
/// [`Error::Os`].
pub fn namespace(maps: &Maps) -> Result<OwnedFd> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).act(|| "make a pipe".to_owned())?;
    // Only a process can bring a user namespace into being. This one waits until it is let go.
    let cloned = process::clone3(crate::namespaces::NEW_USER, None)
        .act(|| "clone3: make a user namespace for an id-mapped mount".to_owned())?;
    let pid = match cloned {
        Cloned::Child => {
            drop(writer);
            let _end = nix::unistd::read(&reader, &mut [0]);
            process::exit_now(0)
        }
        Cloned::Parent(pid) => pid,
    };
    let path = format!("/proc/{pid}/ns/user");
    let opened = write(maps, pid)
        .and_then(|()| File::open(&path).act(|| format!("open the namespace {path}")));
    drop(writer);
    waitpid(Pid::from_raw(pid), None).act(|| format!("wait for process {pid}"))?;
    opened.map(OwnedFd::from)
}

/// The lines of /proc/self/timens_offsets. Pure.
///
/// # Errors
/// [`Error::Config`]: an unknown clock.
pub fn time_offsets(linux: &Linux) -> Result<String> {
    let mut offsets: Vec<_> = linux.time_offsets().iter().flatten().collect();
    offsets.sort_by_key(|(clock, _)| clock.as_str());
    let mut lines = Vec::with_capacity(offsets.len());
    for (clock, offset) in offsets {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            let reason = format!("clock {clock:?} is none of monotonic, boottime");
            return Err(Error::config("linux.timeOffsets", reason));
        }
        let (secs, nanosecs) =
            (offset.secs().unwrap_or_default(), offset.nanosecs().unwrap_or_default());
        lines.push(format!("{clock} {secs} {nanosecs}\n"));
    }
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux(json: &str) -> Linux {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn maps_are_inside_outside_size() {
        let json = r#"{"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 5}],
                       "gidMappings": [{"containerID": 1, "hostID": 7, "size": 2}]}"#;
        let maps = plan(&linux(json), true).unwrap();
        assert_eq!((maps.uids.as_str(), maps.gids.as_str()), ("0 1000 5\n", "1 7 2\n"));
        assert!(plan(&linux("{}"), true).unwrap_err().to_string().contains("needs a map"));
    }

    #[test]
    fn maps_of_a_mount_come_in_pairs() {
        let one: Vec<LinuxIdMapping> =
            serde_json::from_str(r#"[{"containerID": 0, "hostID": 7, "size": 2}]"#).unwrap();
        assert_eq!(of_mount(None, Some(&[])).unwrap(), None);
        let maps = of_mount(Some(&one), Some(&one)).unwrap().unwrap();
        assert_eq!(maps.uids, "0 7 2\n");
        assert!(of_mount(Some(&one), None).unwrap_err().contains("only go together"));
        let empty: Vec<LinuxIdMapping> = serde_json::from_str(r#"[{"size": 0}]"#).unwrap();
        assert!(of_mount(Some(&empty), Some(&one)).unwrap_err().contains("size 0"));
    }

    #[test]
    fn offsets_are_sorted_lines() {
        let json = r#"{"timeOffsets": {"monotonic": {"secs": -5},
                       "boottime": {"secs": 7, "nanosecs": 3}}}"#;
        assert_eq!(time_offsets(&linux(json)).unwrap(), "boottime 7 3\nmonotonic -5 0\n");
        assert!(time_offsets(&linux(r#"{"timeOffsets": {"realtime": {}}}"#)).is_err());
    }
}

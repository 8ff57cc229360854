//! User and group maps of a new user namespace, and the offsets of a new time namespace.
//!
//! Source: user_namespaces(7), time_namespaces(7); runtime-spec config-linux.md.

use crate::error::{Act, Error, Result};
use oci_spec::runtime::{Linux, LinuxIdMapping};

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
    fn offsets_are_sorted_lines() {
        let json = r#"{"timeOffsets": {"monotonic": {"secs": -5},
                       "boottime": {"secs": 7, "nanosecs": 3}}}"#;
        assert_eq!(time_offsets(&linux(json)).unwrap(), "boottime 7 3\nmonotonic -5 0\n");
        assert!(time_offsets(&linux(r#"{"timeOffsets": {"realtime": {}}}"#)).is_err());
    }
}

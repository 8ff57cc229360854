//! User and group maps of a new user namespace, and the offsets of a new time namespace.
//!
//! Source: user_namespaces(7), time_namespaces(7); runtime-spec config-linux.md.

use crate::capabilities;
use crate::error::{Act, Error, Result};
use crate::sys::process::{self, Cloned};
use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use oci_spec::runtime::{Linux, LinuxIdMapping};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;

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
pub fn from_spec(linux: &Linux, new: bool) -> Result<Maps> {
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

/// Writes `maps` for the process `pid`, which waits for it: directly, or where the runtime lacks
/// the privilege by newuidmap(1) and newgidmap(1), which know what each user was granted.
///
/// # Errors
/// [`Error::Os`] with the file and its text; [`Error::Init`]: a program refused.
pub fn write(maps: &Maps, pid: i32) -> Result<()> {
    const SETGID: u64 = 1 << 6;
    const SETUID: u64 = 1 << 7;
    let own = capabilities::own()?;
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    for (file, text, program, direct, alone) in [
        ("uid_map", &maps.uids, "newuidmap", own & SETUID != 0, is_only(&maps.uids, uid)),
        ("gid_map", &maps.gids, "newgidmap", own & SETGID != 0, is_only(&maps.gids, gid)),
    ] {
        if !direct && !alone {
            run_program(program, pid, text)?;
            continue;
        }
        if !direct && file == "gid_map" {
            // Else a process could leave a group that denies it something.
            let path = format!("/proc/{pid}/setgroups");
            std::fs::write(&path, "deny").act(|| format!("write \"deny\" to {path}"))?;
        }
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).act(|| format!("write {text:?} to {path}"))?;
    }
    Ok(())
}

/// Whether `text` maps nothing but the id `own`: what anybody may write. Pure.
fn is_only(text: &str, own: u32) -> bool {
    let mut words = text.split_whitespace().skip(1);
    words.next() == Some(own.to_string().as_str()) && words.eq(["1"])
}

fn run_program(program: &str, pid: i32, text: &str) -> Result<()> {
    let output = Command::new(program)
        .arg(pid.to_string())
        .args(text.split_whitespace())
        .output()
        .act(|| {
            format!(
                "run {program}, which an ordinary user needs for more than one id (Debian: package \
                 uidmap)"
            )
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Init(format!(
        "{program} refused {:?}: {} (grant the ids in /etc/subuid and /etc/subgid)",
        text.trim(),
        said.trim()
    )))
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
        let maps = from_spec(&linux(json), true).unwrap();
        assert_eq!((maps.uids.as_str(), maps.gids.as_str()), ("0 1000 5\n", "1 7 2\n"));
        assert!(from_spec(&linux("{}"), true).unwrap_err().to_string().contains("needs a map"));
    }

    #[test]
    fn what_anybody_may_map() {
        assert!(is_only("0 1000 1\n", 1000));
        assert!(!is_only("0 1000 2\n", 1000));
        assert!(!is_only("0 1001 1\n", 1000));
        assert!(!is_only("0 1000 1\n1 100000 65536\n", 1000));
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

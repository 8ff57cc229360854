//! `linux.sysctl`: only what belongs to a namespace of the container's own may be written.

use crate::error::{Act, Error, Result};
use crate::namespaces::Namespaces;
use std::path::{Path, PathBuf};

/// The kernel.* settings that belong to the IPC namespace.
const IPC: [&str; 8] =
    ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"];

/// The files to write and their values, sorted by name. Pure.
///
/// # Errors
/// [`Error::Config`]: a setting that the container would change for the host.
pub fn from_spec(
    settings: impl IntoIterator<Item = (impl AsRef<str>, impl ToString)>,
    namespaces: &Namespaces,
) -> Result<Vec<(PathBuf, String)>> {
    let mut writes = Vec::new();
    for (name, value) in settings {
        let name = name.as_ref();
        let path = path_of(name);
        let field = || format!("linux.sysctl ({name})");
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::config(field(), "is no name of a setting"));
        }
        let Some((kind, namespace)) = owner(&path) else {
            let reason = "is not a setting of a namespace: it would change the host";
            return Err(Error::config(field(), reason));
        };
        if !namespaces.has(namespace as u64) {
            let reason = format!("needs a {kind} namespace of the container's own");
            return Err(Error::config(field(), reason));
        }
        writes.push((Path::new("/proc/sys").join(path), value.to_string()));
    }
    writes.sort();
    Ok(writes)
}

/// The setting's path below /proc/sys. As in sysctl(8), the first separator tells which of `.` and
/// `/` separates: the other one stands for a dot in a name (`net.ipv4.conf.eth0/7.forwarding`).
fn path_of(name: &str) -> String {
    if name.find(['.', '/']).is_some_and(|first| name[first..].starts_with('/')) {
        return name.to_owned();
    }
    let swap = |c: char| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

/// The namespace that a setting belongs to.
fn owner(path: &str) -> Option<(&'static str, i32)> {
    if path.starts_with("net/") {
        return Some(("network", libc::CLONE_NEWNET));
    }
    if path.starts_with("fs/mqueue/") {
        return Some(("ipc", libc::CLONE_NEWIPC));
    }
    if path.starts_with("user/") {
        return Some(("user", libc::CLONE_NEWUSER));
    }
    match path.strip_prefix("kernel/")? {
        name if IPC.contains(&name) => Some(("ipc", libc::CLONE_NEWIPC)),
        // The hostname is refused on purpose: `hostname` of config.json is its place.
        "domainname" => Some(("uts", libc::CLONE_NEWUTS)),
        _ => None,
    }
}

/// Writes the settings; the files of /proc/sys act on the namespaces of the writing process.
///
/// # Errors
/// [`Error::Os`] with the file and the value.
pub fn apply(writes: &[(PathBuf, String)]) -> Result<()> {
    for (path, value) in writes {
        std::fs::write(path, value).act(|| format!("write {value:?} to {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_of_own_namespaces() {
        let own = Namespaces { new: libc::CLONE_NEWNET as u64, join: Vec::new() };
        for (name, want) in [
            ("net.ipv4.ip_forward", Ok("/proc/sys/net/ipv4/ip_forward")),
            ("net/core/somaxconn", Ok("/proc/sys/net/core/somaxconn")),
            ("net.ipv4.conf.eth0/7.forwarding", Ok("/proc/sys/net/ipv4/conf/eth0.7/forwarding")),
            ("net/ipv4/conf/eth0.7/forwarding", Ok("/proc/sys/net/ipv4/conf/eth0.7/forwarding")),
            ("user.max_user_namespaces", Err("needs a user namespace")),
            ("net.ipv4.//.x", Err("no name of a setting")),
            ("kernel.shmmax", Err("needs a ipc namespace")),
            ("kernel.panic", Err("would change the host")),
            ("vm.swappiness", Err("would change the host")),
            ("net/../kernel/panic", Err("no name of a setting")),
        ] {
            match (from_spec([(name, "1")], &own), want) {
                (Ok(writes), Ok(path)) => assert_eq!(writes[0].0, Path::new(path)),
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }
}

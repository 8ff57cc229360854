//! A pod without a pause process: its namespaces are kept by descriptors of this process.
//!
//! Containers find them as `/proc/<shim>/fd/<number>`. There is nothing to unmount and nothing
//! that a killed shim could leave. Pods that need a process, since they share their PID namespace,
//! get their pause container after all.

use crate::error::{Code, Failure, Result};
use crate::handover::descriptors::{Kept, claim, claim_any};
use crate::handover::saved;
use crate::id_maps;
use crate::spec::{IdMapping, Spec};
use crate::sys;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Pid, Uid, sethostname, setresgid, setresuid};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Namespaces of a pod. What is not there is the node's.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// System V IPC and POSIX message queues.
    pub ipc: Option<OwnedFd>,
    /// The host name.
    pub uts: Option<OwnedFd>,
    /// Made and named by containerd.
    pub network: Option<Box<str>>,
    /// Whose IDs its containers have, and who owns the other namespaces.
    pub user: Option<UserNamespace>,
    /// Whose processes its containers see if they are to see each other's.
    pub pids: Pids,
}

/// The user namespace of a pod.
#[derive(Debug)]
pub enum UserNamespace {
    /// Made and named by containerd, with the network namespace.
    Named(Box<str>),
    /// Made here: the network is the node's.
    Held(OwnedFd),
}

/// The PID namespace of a pod.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Pids {
    /// The node's.
    #[default]
    Node,
    /// Its own, in which there is no process yet: no container has asked for it.
    Unused,
    /// Its own, in which this pause process is.
    Of(u32),
}

impl Namespaces {
    /// For the next program.
    pub fn save<'a>(&'a self, kept: &mut Kept<'a>) -> saved::Sandbox {
        let (user, user_fd) = match &self.user {
            Some(UserNamespace::Named(path)) => (Some(path.to_string()), None),
            Some(UserNamespace::Held(fd)) => (None, Some(kept.keep(fd))),
            None => (None, None),
        };
        saved::Sandbox {
            ipc_fd: kept.keep_any(self.ipc.as_ref()),
            uts_fd: kept.keep_any(self.uts.as_ref()),
            network: self.network.as_ref().map(ToString::to_string),
            user,
            user_fd,
            pids: match self.pids {
                Pids::Node => -1,
                Pids::Unused => 0,
                Pids::Of(pid) => i64::from(pid),
            },
            ..saved::Sandbox::default()
        }
    }

    /// As the program before has had them.
    ///
    /// # Errors
    /// A descriptor is not there.
    pub fn restore(saved: &saved::Sandbox) -> Result<Self> {
        let boxed = |text: &String| text.as_str().into();
        let named = saved.user.as_ref().map(|path| UserNamespace::Named(boxed(path)));
        let held = claim_any(saved.user_fd)?.map(UserNamespace::Held);
        Ok(Self {
            ipc: claim_any(saved.ipc_fd)?,
            uts: claim_any(saved.uts_fd)?,
            network: saved.network.as_ref().map(boxed),
            user: named.or(held),
            pids: match u32::try_from(saved.pids) {
                Err(_) => Pids::Node,
                Ok(0) => Pids::Unused,
                Ok(pid) => Pids::Of(pid),
            },
        })
    }

    /// The pause process, if there is one.
    pub fn pause(&self) -> Option<u32> {
        match self.pids {
            Pids::Of(pid) => Some(pid),
            Pids::Node | Pids::Unused => None,
        }
    }

    /// The pause process has ended, and the PID namespace with it.
    pub fn forget_pause(&mut self) {
        if let Pids::Of(_) = self.pids {
            self.pids = Pids::Unused;
        }
    }

    /// Where a container finds the namespace; `None` for the node's.
    ///
    /// # Errors
    /// The pod has none of that kind.
    pub fn path(&self, kind: &str, shim_pid: u32) -> std::result::Result<Option<String>, String> {
        let held = |fd: &OwnedFd| format!("/proc/{shim_pid}/fd/{}", fd.as_raw_fd());
        match (kind, self.pids) {
            ("ipc", _) => Ok(self.ipc.as_ref().map(held)),
            ("uts", _) => Ok(self.uts.as_ref().map(held)),
            ("network", _) => Ok(self.network.as_ref().map(ToString::to_string)),
            ("user", _) if self.user.is_some() => Ok(self.user.as_ref().map(|user| match user {
                UserNamespace::Named(path) => path.to_string(),
                UserNamespace::Held(fd) => held(fd),
            })),
            ("pid", Pids::Node) => Ok(None),
            ("pid", Pids::Of(pid)) => Ok(Some(format!("/proc/{pid}/ns/pid"))),
            _ => Err(format!("a pod of this shim has no {kind} namespace to share")),
        }
    }
}

/// The namespaces of a pod to be made, its host name and kernel parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    new: CloneFlags,
    network: Option<String>,
    user: Option<UserConfig>,
    pids: Pids,
    hostname: String,
    sysctl: BTreeMap<String, String>,
}

/// The user namespace of a pod to be made.
#[derive(Debug, PartialEq, Eq)]
enum UserConfig {
    /// It is there.
    Named(String),
    /// It has these maps.
    New { uids: String, gids: String },
}

impl SandboxConfig {
    /// `None` if the sandbox needs a process of its own: what it asks for is more than namespaces
    /// that a descriptor can keep.
    pub fn of(spec: &Spec) -> Option<Self> {
        let mut new = CloneFlags::empty();
        let mut network = None;
        let mut user = None;
        let mut pids = Pids::Node;
        for namespace in &spec.linux.namespaces {
            match (namespace.kind.as_str(), namespace.path.as_str()) {
                ("ipc", "") => new |= CloneFlags::CLONE_NEWIPC,
                ("uts", "") => new |= CloneFlags::CLONE_NEWUTS,
                ("network", path) if !path.is_empty() => network = Some(path.to_owned()),
                ("user", "") => {
                    let lines =
                        |maps: Vec<IdMapping>| maps.iter().map(ToString::to_string).collect();
                    let [uids, gids]: [String; 2] = spec.linux.id_maps().map(lines);
                    if uids.is_empty() || gids.is_empty() {
                        return None;
                    }
                    user = Some(UserConfig::New { uids, gids });
                }
                ("user", path) => user = Some(UserConfig::Named(path.to_owned())),
                ("pid", "") => pids = Pids::Unused,
                ("mount" | "cgroup", "") => {}
                _ => return None,
            }
        }
        let hostname = if new.contains(CloneFlags::CLONE_NEWUTS) {
            spec.hostname.clone()
        } else {
            String::new()
        };
        let sysctl = spec.linux.sysctl.clone();
        let config = Self { new, network, user, pids, hostname, sysctl };
        config.sysctl.keys().all(|key| config.owns(key)).then_some(config)
    }

    /// Whether the parameter is one of the pod's namespaces and not of the node.
    fn owns(&self, key: &str) -> bool {
        let dotted = dotted(key);
        let in_ipc = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];
        if dotted.contains("..") {
            false
        } else if is_of_network(key) {
            self.network.is_some()
        } else {
            self.new.contains(CloneFlags::CLONE_NEWIPC)
                && in_ipc.iter().any(|prefix| dotted.starts_with(prefix))
        }
    }
}

/// The parameter's name as sysctl(8) writes it.
fn dotted(key: &str) -> String {
    key.replace('/', ".")
}

fn is_of_network(key: &str) -> bool {
    dotted(key).starts_with("net.")
}

/// A process that makes the namespaces, and ends when they are on their way here.
#[derive(Debug)]
pub struct Maker {
    /// It ends soon.
    pub pid: Pid,
    answer: UnixStream,
    /// What the pod has besides.
    known: Namespaces,
}

/// Makes the namespaces in a process of its own: this one never leaves the node's.
///
/// # Errors
/// The process cannot be started.
pub fn make(config: SandboxConfig) -> Result<Maker> {
    let failed = |error: std::io::Error| Failure::new(Code::Unknown, format!("fork: {error}"));
    let (here, there) = UnixStream::pair().map_err(failed)?;
    let pid = sys::in_child(|| {
        let said = match enter(&config).and_then(|user| hand_over(&config, user, &there)) {
            Ok(()) => return 0,
            Err(message) => message,
        };
        drop(sys::send_with_fds(&there, said.as_bytes(), &[]));
        1
    });
    let SandboxConfig { network, user, pids, .. } = config;
    let user = match user {
        Some(UserConfig::Named(path)) => Some(UserNamespace::Named(path.into())),
        Some(UserConfig::New { .. }) | None => None,
    };
    let network = network.map(String::into_boxed_str);
    let known = Namespaces { network, user, pids, ..Namespaces::default() };
    Ok(Maker { pid: pid.map_err(failed)?, answer: here, known })
}

impl Maker {
    /// For the next program: where it answers, and what the pod has besides.
    pub fn save<'a>(&'a self, kept: &mut Kept<'a>) -> (u32, saved::Sandbox) {
        (kept.keep(&self.answer), self.known.save(kept))
    }

    /// As the program before has had it.
    ///
    /// # Errors
    /// The descriptor is not there.
    pub fn restore(pid: i32, answer_fd: u32, known: &saved::Sandbox) -> Result<Self> {
        let (answer, known) = (claim(answer_fd)?, Namespaces::restore(known)?);
        Ok(Self { pid: Pid::from_raw(pid), answer, known })
    }

    /// What it has made. To be asked when it has ended.
    ///
    /// # Errors
    /// What went wrong there.
    pub fn namespaces(self) -> Result<Namespaces> {
        let (text, fds) = sys::receive_with_fds(&self.answer)
            .map_err(|error| Failure::new(Code::Unknown, format!("pod's namespaces: {error}")))?;
        let said = String::from_utf8_lossy(&text);
        let mut fds = fds.into_iter();
        let Some(kinds) = said.strip_prefix("made ") else {
            return Err(Failure::new(Code::Unknown, said));
        };
        let mut namespaces = self.known;
        for kind in kinds.split_whitespace() {
            match kind {
                "ipc" => namespaces.ipc = fds.next(),
                "uts" => namespaces.uts = fds.next(),
                _ => namespaces.user = fds.next().map(UserNamespace::Held),
            }
        }
        Ok(namespaces)
    }
}

/// In the child: into the network namespace and the user namespace, which is returned, and into
/// new ones that belong to it.
fn enter(config: &SandboxConfig) -> std::result::Result<Option<File>, String> {
    let user = match &config.user {
        Some(UserConfig::Named(path)) => Some(open(path)?),
        Some(UserConfig::New { uids, gids }) => {
            Some(id_maps::namespace(uids, gids).map_err(|failure| failure.message)?)
        }
        None => None,
    };
    if let Some(path) = &config.network {
        setns(open(path)?, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| format!("pod: enter the network namespace {path}: {errno}"))?;
    }
    let (of_network, others): (Vec<_>, Vec<_>) =
        config.sysctl.iter().partition(|(key, _)| is_of_network(key));
    write_sysctls(of_network)?;
    if let Some(user) = &user {
        become_root_of(user).map_err(|errno| format!("pod: enter the user namespace: {errno}"))?;
    }
    unshare(config.new).map_err(|errno| format!("pod: new namespaces: {errno}"))?;
    if !config.hostname.is_empty() {
        sethostname(&config.hostname)
            .map_err(|errno| format!("pod: host name {}: {errno}", config.hostname))?;
    }
    write_sysctls(others)?;
    Ok(user)
}

fn open(path: &str) -> std::result::Result<File, String> {
    File::open(path).map_err(|error| format!("pod: open {path}: {error}"))
}

/// The kernel lets the root of a user namespace write the parameters of its namespaces, and not
/// that of the node from within it.
fn become_root_of(user: &File) -> nix::Result<()> {
    setns(user, CloneFlags::CLONE_NEWUSER)?;
    let (root, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(group, group, group)?;
    setresuid(root, root, root)
}

fn write_sysctls(sysctls: Vec<(&String, &String)>) -> std::result::Result<(), String> {
    for (key, value) in sysctls {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        fs::write(&path, value)
            .map_err(|error| format!("pod: write {value} to {path}: {error}"))?;
    }
    Ok(())
}

/// In the child: the descriptors go to the shim.
fn hand_over(
    config: &SandboxConfig,
    user: Option<File>,
    socket: &UnixStream,
) -> std::result::Result<(), String> {
    let mut text = "made ".to_owned();
    let mut files = Vec::new();
    for (flag, kind) in [(CloneFlags::CLONE_NEWIPC, "ipc"), (CloneFlags::CLONE_NEWUTS, "uts")] {
        if config.new.contains(flag) {
            files.push(open(&format!("/proc/self/ns/{kind}"))?);
            text = format!("{text} {kind}");
        }
    }
    if let (Some(UserConfig::New { .. }), Some(user)) = (&config.user, user) {
        files.push(user);
        text += " user";
    }
    let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    sys::send_with_fds(socket, text.as_bytes(), &fds).map_err(|error| format!("pod: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(linux: &Value) -> Option<SandboxConfig> {
        SandboxConfig::of(
            &serde_json::from_value(json!({"hostname": "h", "linux": linux})).unwrap(),
        )
    }

    #[test]
    fn what_a_descriptor_can_keep() {
        let own = |kind: &str| json!({ "type": kind });
        let network = json!({"type": "network", "path": "/run/netns/x"});
        let map = json!([{"containerID": 0, "hostID": 65536, "size": 65536}]);
        let table = [
            (json!({"namespaces": [own("pid"), own("ipc"), own("uts"), network]}), true),
            (json!({"namespaces": [own("pid"), own("mount")]}), true),
            (json!({"namespaces": [own("user")]}), false),
            (json!({"namespaces": [own("user")], "uidMappings": map, "gidMappings": map}), true),
            (json!({"namespaces": [own("user")], "uidMappings": map}), false),
            (json!({"namespaces": [{"type": "user", "path": "/run/user"}, network]}), true),
            (json!({"namespaces": [own("network")]}), false),
            (json!({"namespaces": [network], "sysctl": {"net.ipv4.tcp_syncookies": "1"}}), true),
            (json!({"namespaces": [network], "sysctl": {"net/ipv4/conf/eth0.1/x": "1"}}), true),
            (json!({"namespaces": [], "sysctl": {"net.ipv4.tcp_syncookies": "1"}}), false),
            (json!({"namespaces": [own("ipc")], "sysctl": {"kernel.shmmax": "1"}}), true),
            (json!({"namespaces": [], "sysctl": {"kernel.shmmax": "1"}}), false),
            (json!({"namespaces": [own("ipc")], "sysctl": {"kernel.core_pattern": "x"}}), false),
            (json!({"namespaces": [network], "sysctl": {"net/../kernel/core_pattern": ""}}), false),
        ];
        for (linux, want) in table {
            assert_eq!(config(&linux).is_some(), want, "{linux}");
        }
    }

    #[test]
    fn a_host_name_is_only_set_in_a_namespace_of_its_own() {
        assert_eq!(config(&json!({"namespaces": [{"type": "ipc"}]})).unwrap().hostname, "");
        assert_eq!(config(&json!({"namespaces": [{"type": "uts"}]})).unwrap().hostname, "h");
    }
}

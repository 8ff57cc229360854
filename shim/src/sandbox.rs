//! A pod without a pause process: its namespaces are kept by descriptors of this process.
//!
//! Containers find them as `/proc/<shim>/fd/<number>`. There is nothing to unmount and nothing
//! that a killed shim could leave. Pods that need a process, since they share their PID namespace
//! or have a user namespace, get their pause container after all.

use crate::error::{Code, Failure, Result};
use crate::spec::Spec;
use crate::sys;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Pid, sethostname};
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
    /// Whose processes its containers see if they are to see each other's.
    pub pids: Pids,
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
    pids: Pids,
    hostname: String,
    sysctl: BTreeMap<String, String>,
}

impl SandboxConfig {
    /// `None` if the sandbox needs a process of its own: what it asks for is more than namespaces
    /// that a descriptor can keep.
    pub fn of(spec: &Spec) -> Option<Self> {
        let mut new = CloneFlags::empty();
        let mut network = None;
        let mut pids = Pids::Node;
        for namespace in &spec.linux.namespaces {
            match (namespace.kind.as_str(), namespace.path.as_str()) {
                ("ipc", "") => new |= CloneFlags::CLONE_NEWIPC,
                ("uts", "") => new |= CloneFlags::CLONE_NEWUTS,
                ("network", path) if !path.is_empty() => network = Some(path.to_owned()),
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
        let config = Self { new, network, pids, hostname, sysctl: spec.linux.sysctl.clone() };
        config.sysctl.keys().all(|key| config.owns(key)).then_some(config)
    }

    /// Whether the parameter is one of the pod's namespaces and not of the node.
    fn owns(&self, key: &str) -> bool {
        let dotted = key.replace('/', ".");
        let in_ipc = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];
        if dotted.contains("..") {
            false
        } else if dotted.starts_with("net.") {
            self.network.is_some()
        } else {
            self.new.contains(CloneFlags::CLONE_NEWIPC)
                && in_ipc.iter().any(|prefix| dotted.starts_with(prefix))
        }
    }
}

/// A process that makes the namespaces, and ends when they are on their way here.
#[derive(Debug)]
pub struct Maker {
    /// It ends soon.
    pub pid: Pid,
    answer: UnixStream,
    network: Option<String>,
    pids: Pids,
}

/// Makes the namespaces in a process of its own: this one never leaves the node's.
///
/// # Errors
/// The process cannot be started.
pub fn make(config: SandboxConfig) -> Result<Maker> {
    let failed = |error: std::io::Error| Failure::new(Code::Unknown, format!("fork: {error}"));
    let (here, there) = UnixStream::pair().map_err(failed)?;
    let pid = sys::in_child(|| {
        let said = match enter(&config).and_then(|()| hand_over(&config, &there)) {
            Ok(()) => return 0,
            Err(message) => message,
        };
        drop(sys::send_with_fds(&there, said.as_bytes(), &[]));
        1
    });
    let SandboxConfig { network, pids, .. } = config;
    Ok(Maker { pid: pid.map_err(failed)?, answer: here, network, pids })
}

impl Maker {
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
        let network = self.network.map(String::into_boxed_str);
        let mut namespaces = Namespaces { network, pids: self.pids, ..Default::default() };
        for kind in kinds.split_whitespace() {
            match kind {
                "ipc" => namespaces.ipc = fds.next(),
                _ => namespaces.uts = fds.next(),
            }
        }
        Ok(namespaces)
    }
}

/// In the child: into the network namespace and the new ones.
fn enter(config: &SandboxConfig) -> std::result::Result<(), String> {
    let said = |what: String| move |error: &dyn std::fmt::Display| format!("pod: {what}: {error}");
    if let Some(path) = &config.network {
        let file = File::open(path).map_err(|error| said(format!("open {path}"))(&error))?;
        setns(file, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| said(format!("enter the network namespace {path}"))(&errno))?;
    }
    unshare(config.new).map_err(|errno| said("new namespaces".to_owned())(&errno))?;
    if !config.hostname.is_empty() {
        sethostname(&config.hostname)
            .map_err(|errno| said(format!("host name {}", config.hostname))(&errno))?;
    }
    for (key, value) in &config.sysctl {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        fs::write(&path, value)
            .map_err(|error| said(format!("write {value} to {path}"))(&error))?;
    }
    Ok(())
}

/// In the child: the descriptors go to the shim.
fn hand_over(config: &SandboxConfig, socket: &UnixStream) -> std::result::Result<(), String> {
    let mut text = "made".to_owned();
    let mut files = Vec::new();
    for (flag, kind) in [(CloneFlags::CLONE_NEWIPC, "ipc"), (CloneFlags::CLONE_NEWUTS, "uts")] {
        if config.new.contains(flag) {
            let path = format!("/proc/self/ns/{kind}");
            files.push(File::open(&path).map_err(|error| format!("pod: open {path}: {error}"))?);
            text = format!("{text} {kind}");
        }
    }
    let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let text = if files.is_empty() { "made ".to_owned() } else { text };
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
        let table = [
            (json!({"namespaces": [own("pid"), own("ipc"), own("uts"), network]}), true),
            (json!({"namespaces": [own("pid"), own("mount")]}), true),
            (json!({"namespaces": [own("user")]}), false),
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

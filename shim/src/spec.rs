//! What the shim has to know of a bundle's config.json, and the one thing that it changes there.

use crate::error::{Code, Failure, Result, Tried};
use crate::sandbox::Namespaces;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use wamr_engine_conventions::{SANDBOX_ID, SystemdPath, is_sandbox};

/// What a container is to a pod, by the annotations of containerd's CRI plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The pod itself: the pause container.
    Sandbox,
    /// One of the pod's containers.
    Member {
        /// The pause container's id.
        sandbox: String,
    },
    /// A container of no pod.
    Alone,
}

/// config.json, parsed once for all that the shim does with it.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    json: Value,
    /// The part that the shim acts on.
    pub spec: Spec,
}

/// The part of config.json that the shim acts on.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    annotations: BTreeMap<String, String>,
    /// Name of the UTS namespace.
    pub hostname: String,
    /// What is there on Linux alone.
    pub linux: Linux,
}

/// The part of `linux` that the shim acts on.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// In which namespaces the container is.
    pub namespaces: Vec<Namespace>,
    /// Kernel parameters.
    pub sysctl: BTreeMap<String, String>,
    uid_mappings: Value,
    gid_mappings: Value,
    /// A path, or `slice:prefix:name` for systemd.
    cgroups_path: String,
}

/// An entry of `linux.uidMappings`. It is shown as a line of /proc/PID/uid_map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMapping {
    /// The first within.
    pub container_id: u32,
    /// The first outside.
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

impl IdMapping {
    /// What `id` is outside, if the entry has it.
    pub fn outside(&self, id: u32) -> Option<u32> {
        let offset = id.checked_sub(self.container_id).filter(|offset| *offset < self.size)?;
        self.host_id.checked_add(offset)
    }
}

impl std::fmt::Display for IdMapping {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{} {} {}", self.container_id, self.host_id, self.size)
    }
}

/// A user and a group.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl User {
    /// That of a `process`; root where it says nothing.
    pub fn of(process: Option<&Value>) -> Self {
        let id = |key| process.and_then(|process| number(process.get("user")?, key)).unwrap_or(0);
        Self { uid: id("uid"), gid: id("gid") }
    }
}

// By hand: what serde would make of these three is 9 kB larger.
fn number(object: &Value, key: &str) -> Option<u32> {
    u32::try_from(object.get(key)?.as_u64()?).ok()
}

fn mappings(list: &Value) -> Vec<IdMapping> {
    let entry = |entry: &Value| {
        Some(IdMapping {
            container_id: number(entry, "containerID")?,
            host_id: number(entry, "hostID")?,
            size: number(entry, "size")?,
        })
    };
    list.as_array().into_iter().flatten().filter_map(entry).collect()
}

/// An entry of `linux.namespaces`.
#[derive(Debug, Clone, Deserialize)]
pub struct Namespace {
    /// `pid`, `network`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// An existing one, or empty for a new one.
    #[serde(default)]
    pub path: String,
}

impl Linux {
    /// Users and groups of a user namespace. The runtime says what is wrong with an entry.
    pub fn id_maps(&self) -> [Vec<IdMapping>; 2] {
        [mappings(&self.uid_mappings), mappings(&self.gid_mappings)]
    }
}

impl Spec {
    /// What the container is to a pod.
    pub fn role(&self) -> Role {
        let annotation = |name: &str| self.annotations.get(name).map(String::as_str);
        match annotation(SANDBOX_ID) {
            _ if is_sandbox(annotation) => Role::Sandbox,
            Some(sandbox) => Role::Member { sandbox: sandbox.to_owned() },
            None => Role::Alone,
        }
    }

    /// Whether systemd is to make its control groups.
    pub fn is_for_systemd(&self) -> bool {
        SystemdPath::parse(&self.linux.cgroups_path).is_some()
    }

    /// Whether the kernel ends all of its processes with the first.
    pub fn has_own_pids(&self) -> bool {
        let pid = self.linux.namespaces.iter().find(|namespace| namespace.kind == "pid");
        pid.is_some_and(|namespace| namespace.path.is_empty())
    }
}

/// Where the namespaces of a pod without a pause process are found.
#[derive(Debug)]
pub struct Rewrite<'a> {
    /// The process that containerd took for the pause process: the shim.
    pub shim_pid: u32,
    /// The pod's.
    pub namespaces: &'a Namespaces,
    /// First processes of the pod's containers: a container for debugging may be among those of
    /// another.
    pub members: &'a [u32],
}

impl Config {
    /// Reads config.json.
    ///
    /// # Errors
    /// It is not there, or is no such JSON.
    pub fn read(bundle: &Path) -> Result<Self> {
        let path = bundle.join("config.json");
        let text = fs::read(&path).tried("read", &path)?;
        let json: Value = serde_json::from_slice(&text).tried("read", &path)?;
        let spec = Spec::deserialize(&json).tried("read", &path)?;
        Ok(Self { path, json, spec })
    }

    /// Who its first process is, within.
    pub fn user(&self) -> User {
        User::of(self.json.get("process"))
    }

    /// Names the pod's namespaces in the file where containerd named those of the shim. Without
    /// this the container would be in the node's namespaces, so whatever is left of them is
    /// refused.
    ///
    /// # Errors
    /// A namespace that the pod does not have, or the file cannot be written.
    pub fn rewrite(&mut self, rewrite: &Rewrite<'_>) -> Result<()> {
        let namespaces = self.json.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
        rename(namespaces.unwrap_or(&mut Vec::new()), rewrite)?;
        let text = serde_json::to_vec(&self.json).tried("write", &self.path)?;
        fs::write(&self.path, text).tried("write", &self.path)
    }
}

fn rename(entries: &mut Vec<Value>, rewrite: &Rewrite<'_>) -> Result<()> {
    let of_shim = format!("/proc/{}/ns/", rewrite.shim_pid);
    let mut kept = Vec::with_capacity(entries.len());
    for mut entry in entries.drain(..) {
        let path = entry.get("path").and_then(Value::as_str).unwrap_or_default();
        if !path.starts_with("/proc/") {
            kept.push(entry);
            continue;
        }
        let kind = entry.get("type").and_then(Value::as_str).unwrap_or_default();
        if !path.starts_with(&of_shim) {
            let of_member = |pid: &u32| path == format!("/proc/{pid}/ns/{kind}");
            if rewrite.members.iter().any(of_member) {
                kept.push(entry);
                continue;
            }
            let message = format!("the {kind} namespace {path} is not the pod's");
            return Err(Failure::new(Code::InvalidArgument, message));
        }
        match rewrite.namespaces.path(kind, rewrite.shim_pid) {
            Ok(Some(path)) => {
                entry["path"] = path.into();
                kept.push(entry);
            }
            // The pod is in the node's namespace, and so is the shim that makes the container.
            Ok(None) => {}
            Err(reason) => return Err(Failure::new(Code::Unimplemented, reason)),
        }
    }
    *entries = kept;
    Ok(())
}

/// Whether the container is to see the processes of its pod.
pub fn shares_pids(spec: &Spec, shim_pid: u32) -> bool {
    let of_shim = format!("/proc/{shim_pid}/ns/pid");
    spec.linux.namespaces.iter().any(|namespace| namespace.path == of_shim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Pids, UserNamespace};
    use serde_json::json;
    use wamr_engine_conventions::CONTAINER_TYPE;

    fn spec(value: Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn roles() {
        let member = Role::Member { sandbox: "p".to_owned() };
        for (annotations, want) in [
            (json!({}), Role::Alone),
            (json!({CONTAINER_TYPE: "sandbox", SANDBOX_ID: "p"}), Role::Sandbox),
            (json!({CONTAINER_TYPE: "container", SANDBOX_ID: "p"}), member),
        ] {
            assert_eq!(spec(json!({ "annotations": annotations })).role(), want);
        }
    }

    #[test]
    fn namespaces_of_the_shim_become_those_of_the_pod() {
        let network = Some("/run/netns/x".into());
        let namespaces = Namespaces { network, pids: Pids::Unused, ..Namespaces::default() };
        let rewrite = Rewrite { shim_pid: 7, namespaces: &namespaces, members: &[7, 9] };
        let given = |path: &str, kind: &str| vec![json!({"type": kind, "path": path})];
        let table = [
            (given("/proc/7/ns/net", "network"), Ok(given("/run/netns/x", "network"))),
            (given("/proc/7/ns/ipc", "ipc"), Ok(vec![])),
            (given("/run/elsewhere", "ipc"), Ok(given("/run/elsewhere", "ipc"))),
            (vec![json!({"type": "mount"})], Ok(vec![json!({"type": "mount"})])),
            (given("/proc/7/ns/pid", "pid"), Err(Code::Unimplemented)),
            (given("/proc/7/ns/mnt", "mount"), Err(Code::Unimplemented)),
            (given("/proc/7/ns/user", "user"), Err(Code::Unimplemented)),
            (given("/proc/71/ns/net", "network"), Err(Code::InvalidArgument)),
            (given("/proc/9/ns/pid", "pid"), Ok(given("/proc/9/ns/pid", "pid"))),
            (given("/proc/1/ns/net", "network"), Err(Code::InvalidArgument)),
        ];
        for (mut entries, want) in table {
            let text = format!("{entries:?}");
            let found = rename(&mut entries, &rewrite).map_err(|failure| failure.code);
            assert_eq!(found.map(|()| entries), want, "{text}");
        }
        let mut entries = given("/proc/7/ns/user", "user");
        let user = Some(UserNamespace::Named("/run/pinned/user".into()));
        let namespaces = Namespaces { user, ..Namespaces::default() };
        rename(&mut entries, &Rewrite { namespaces: &namespaces, ..rewrite }).unwrap();
        assert_eq!(entries, given("/run/pinned/user", "user"));
        let mut entries = given("/proc/7/ns/pid", "pid");
        let namespaces = Namespaces::default();
        rename(&mut entries, &Rewrite { namespaces: &namespaces, ..rewrite }).unwrap();
        assert!(entries.is_empty(), "a pod that sees the node's processes");
    }
}

//! The init's steps that change who it is.

use super::setup::Identity;
use crate::error::{Act, Result};
use crate::sys::prctl;
use crate::sys::scheduling::SchedAttr;
use crate::{capabilities, memory_policy, personality, scheduling};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use oci_spec::runtime::{Linux, Process};
use std::fs;

/// Becomes user and group 0 of the user namespace just entered.
///
/// # Errors
/// [`crate::error::Error::Os`]: the maps have no user or group 0.
pub fn become_namespace_root() -> Result<()> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(gid, gid, gid)
        .act(|| "become group 0 of the user namespace: map it in linux.gidMappings".to_owned())?;
    setresuid(uid, uid, uid)
        .act(|| "become user 0 of the user namespace: map it in linux.uidMappings".to_owned())
}

/// Sets this process's OOM score adjustment.
///
/// # Errors
/// [`crate::error::Error::Os`]; a refusal says what the runtime lacks.
pub fn set_oom_score(adjustment: i32) -> Result<()> {
    let path = "/proc/self/oom_score_adj";
    fs::write(path, adjustment.to_string()).act(|| {
        let current = fs::read_to_string(path).unwrap_or_default();
        format!(
            "set process.oomScoreAdj to {adjustment} (it is {} now): lowering it needs \
             CAP_SYS_RESOURCE, which the engine can do without (containerd: \
             restrict_oom_score_adj = true)",
            current.trim()
        )
    })
}

/// How the kernel treats the process: when it runs, where its memory lies, what machine it sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tuning {
    /// `process.scheduler`.
    pub scheduler: Option<SchedAttr>,
    /// `process.ioPriority`, packed.
    pub io_priority: Option<u32>,
    /// `linux.memoryPolicy`.
    pub memory_policy: Option<memory_policy::Policy>,
    /// `linux.personality`.
    pub personality: Option<u64>,
}

impl Tuning {
    /// Plans it from config.json. Pure.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] with the property.
    pub fn new(process: &Process, linux: &Linux) -> Result<Self> {
        // Of no use for the init, but a mistake in it shall not wait for the first exec.
        process.exec_cpu_affinity().as_ref().map(scheduling::exec_affinity).transpose()?;
        Ok(Self {
            scheduler: process.scheduler().as_ref().map(scheduling::attributes).transpose()?,
            io_priority: process.io_priority().as_ref().map(scheduling::io_priority).transpose()?,
            memory_policy: linux.memory_policy().as_ref().map(memory_policy::plan).transpose()?,
            personality: linux.personality().as_ref().map(personality::plan).transpose()?,
        })
    }

    /// Puts it in force for this process; its exec keeps it. Needs CAP_SYS_NICE for much of it.
    ///
    /// # Errors
    /// [`crate::error::Error::Os`] with the property.
    pub fn apply(&self) -> Result<()> {
        self.personality.map_or(Ok(()), personality::apply)?;
        self.memory_policy.as_ref().map_or(Ok(()), memory_policy::apply)?;
        self.io_priority.map_or(Ok(()), scheduling::set_io_priority)?;
        self.scheduler.as_ref().map_or(Ok(()), scheduling::schedule)
    }
}

/// Changes to the container's user, groups and capabilities.
///
/// # Errors
/// [`crate::error::Error::Os`] with the step.
pub fn drop_privileges(identity: &Identity) -> Result<()> {
    let Identity { uid, gid, groups, capabilities, .. } = identity;
    capabilities::limit_bounding_set(capabilities)?;
    // Between the change of user and capset the permitted set must survive.
    prctl::keep_capabilities(true).act(|| "keep the capabilities".to_owned())?;
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    match setgroups(&groups) {
        // A user namespace made without privilege keeps its maker's groups, which mean nobody in
        // it: user_namespaces(7), "The /proc/pid/setgroups file".
        Err(Errno::EPERM) if groups.is_empty() => {}
        other => other.act(|| {
            "set process.user.additionalGids: the user namespace may forbid it \
             (/proc/self/setgroups)"
                .to_owned()
        })?,
    }
    let (user, group) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
    setresgid(group, group, group).act(|| format!("become group {gid}"))?;
    setresuid(user, user, user).act(|| format!("become user {uid}"))?;
    capabilities::apply(capabilities)?;
    prctl::keep_capabilities(false).act(|| "stop keeping the capabilities".to_owned())
}

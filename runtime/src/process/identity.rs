//! The init's steps that change who it is.

use super::channel::{Channel, FromInit};
use super::setup::Identity;
use crate::error::{Act, Error, Result, said};
use crate::rootfs::mounts::clean;
use crate::sys::scheduling::SchedAttr;
use crate::sys::{prctl, process};
use crate::{capabilities, memory_policy, personality, scheduling, seccomp};
use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use oci_spec::runtime::{Linux, Process};
use std::ffi::CString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Enters control groups through their opened files.
///
/// # Errors
/// [`Error::Os`]: a group that takes no process.
pub fn enter_cgroups(entrances: &[File]) -> Result<()> {
    for mut entrance in entrances {
        entrance.write_all(b"0").act(|| "enter a cgroup of the container".to_owned())?;
    }
    Ok(())
}

/// Installs the seccomp filter, if there is one, and hands its listener over through `channel`.
///
/// # Errors
/// [`Error::Os`].
pub fn filter(identity: &Identity, channel: &Channel) -> Result<()> {
    let Some(program) = &identity.seccomp else { return Ok(()) };
    if program.agent.is_some() {
        channel.tell(&FromInit::Listener)?;
    }
    match seccomp::install(program)? {
        Some(listener) => channel.hand_over(&listener),
        None => Ok(()),
    }
}

/// Becomes user and group 0 of the user namespace just entered.
///
/// # Errors
/// [`Error::Os`]: the maps have no user or group 0.
pub fn become_namespace_root() -> Result<()> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(gid, gid, gid)
        .act(|| "become group 0 of the user namespace: map it in linux.gidMappings".to_owned())?;
    setresuid(uid, uid, uid)
        .act(|| "become user 0 of the user namespace: map it in linux.uidMappings".to_owned())
}

/// Sets the OOM score adjustment of `process`: a PID, or `self`.
///
/// # Errors
/// [`Error::Os`]; a refusal says what the runtime lacks.
pub fn set_oom_score(process: impl Display, adjustment: i32) -> Result<()> {
    let path = format!("/proc/{process}/oom_score_adj");
    fs::write(&path, adjustment.to_string()).act(|| {
        let current = fs::read_to_string(&path).unwrap_or_default();
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
            memory_policy: linux
                .memory_policy()
                .as_ref()
                .map(memory_policy::from_spec)
                .transpose()?,
            personality: linux.personality().as_ref().map(personality::from_spec).transpose()?,
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
/// [`Error::Os`] with the step.
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

/// Joins the session keyring of the container `id`, which its init makes: the engine's keys are not
/// the container's. Returns a warning where there is none to be had.
///
/// # Errors
/// [`Error::Os`]: the user has too many keys.
pub fn new_keyring(id: &str) -> Result<Option<String>> {
    let name = CString::new(format!("_ses.{id}")).map_err(io::Error::from);
    let name = name.act(|| "name the session keyring".to_owned())?;
    match process::join_session_keyring(&name) {
        // A kernel without keyrings, or an outer sandbox that forbids them, has nothing to
        // protect either.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            Ok(Some(format!("no session keyring for the container: {}", said(&error))))
        }
        other => other.map(|()| None).act(|| {
            "make a session keyring (--no-new-keyring does without; EDQUOT: see \
             /proc/sys/kernel/keys/maxkeys)"
                .to_owned()
        }),
    }
}

/// Sets the user's mask and tries the working directory `cwd` as root: a directory of the engine's
/// may be closed to the user. Says whether that went well.
///
/// # Errors
/// [`Error::Config`]: it is outside the container.
pub fn try_cwd(identity: &Identity, cwd: &Path) -> Result<bool> {
    umask(Mode::from_bits_truncate(identity.umask));
    let entered = nix::unistd::chdir(&clean(cwd)).is_ok();
    if entered {
        check_cwd()?;
    }
    Ok(entered)
}

/// Enters the working directory `cwd` as the user, unless [`try_cwd`] did, and checks where it is.
///
/// # Errors
/// [`Error::Os`]; [`Error::Config`]: it is outside the container.
pub fn enter_cwd(cwd: &Path, entered: bool) -> Result<()> {
    if entered {
        return Ok(());
    }
    let cwd = clean(cwd);
    nix::unistd::chdir(&cwd).act(|| format!("enter process.cwd {}", cwd.display()))?;
    check_cwd()
}

fn check_cwd() -> Result<()> {
    // A link of /proc could lead to a directory of the host (the class of CVE-2024-21626): such a
    // place has no path inside the container's root.
    if nix::unistd::getcwd().is_ok_and(|path| path.is_absolute()) {
        return Ok(());
    }
    Err(Error::config("process.cwd", "leads out of the container's root"))
}

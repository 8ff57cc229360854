//! The init's steps that change who it is.

use super::setup::Identity;
use crate::capabilities;
use crate::error::{Act, Result};
use crate::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
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

/// Chooses the AppArmor profile that the coming exec enters.
///
/// # Errors
/// [`crate::error::Error::Os`]: the profile is not loaded.
pub fn choose_apparmor_profile(profile: &str) -> Result<()> {
    // Kernels since 5.8 have the module's own file; the other one belongs to the first module.
    let own = "/proc/self/attr/apparmor/exec";
    let file = if fs::exists(own).unwrap_or(false) { own } else { "/proc/self/attr/exec" };
    fs::write(file, format!("exec {profile}"))
        .act(|| format!("choose the AppArmor profile {profile:?}: is it loaded?"))
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
    setgroups(&groups).act(|| "set process.user.additionalGids".to_owned())?;
    let (user, group) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
    setresgid(group, group, group).act(|| format!("become group {gid}"))?;
    setresuid(user, user, user).act(|| format!("become user {uid}"))?;
    capabilities::apply(capabilities)?;
    prctl::keep_capabilities(false).act(|| "stop keeping the capabilities".to_owned())
}

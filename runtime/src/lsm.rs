//! Security modules: the AppArmor profile and the SELinux labels of a container.
//!
//! What the kernel does not have switched on is refused: a container that asks to be confined
//! must not run unconfined.
//!
//! Source: runtime-spec config.md "Linux Process", config-linux.md "Mount label"; apparmor(7),
//! kernel Documentation/admin-guide/LSM; `context=` in mount(8).

use crate::error::{Act, Error, Result};
use std::fs;
use std::path::Path;

/// The security modules that are in force on this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host {
    /// AppArmor is enabled.
    pub apparmor: bool,
    /// SELinux is enabled: its file system is mounted.
    pub selinux: bool,
}

impl Host {
    /// Asks the kernel.
    pub fn detect() -> Self {
        let enabled = fs::read("/sys/module/apparmor/parameters/enabled");
        Self {
            apparmor: enabled.is_ok_and(|text| text.first() == Some(&b'Y')),
            selinux: Path::new("/sys/fs/selinux/enforce").exists(),
        }
    }
}

/// What config.json wants of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// `process.apparmorProfile`.
    pub profile: Option<String>,
    /// `process.selinuxLabel`.
    pub process: Option<String>,
    /// `linux.mountLabel`.
    pub mount: Option<String>,
}

/// Checks the wishes against `host`; empty texts are none. Pure.
///
/// # Errors
/// [`Error::Config`]: the module is not enabled.
pub fn plan(
    profile: Option<&String>,
    process: Option<&String>,
    mount: Option<&String>,
    host: Host,
) -> Result<Labels> {
    let text = |wish: Option<&String>, field: &str, module: &str, enabled: bool| {
        let wish = wish.filter(|text| !text.is_empty());
        if wish.is_some() && !enabled {
            let reason = format!("{module} is not enabled in this host's kernel: remove it");
            return Err(Error::config(field, reason));
        }
        Ok(wish.cloned())
    };
    Ok(Labels {
        profile: text(profile, "process.apparmorProfile", "AppArmor", host.apparmor)?,
        process: text(process, "process.selinuxLabel", "SELinux", host.selinux)?,
        mount: text(mount, "linux.mountLabel", "SELinux", host.selinux)?,
    })
}

/// The option that labels all files of a new file system, for the types that take one: those of
/// the kernel label their files themselves. Pure.
pub fn mount_option(label: &str, fstype: &str) -> Option<String> {
    let by_itself = matches!(fstype, "proc" | "sysfs" | "mqueue" | "cgroup" | "cgroup2");
    (!by_itself).then(|| format!("context={label}"))
}

/// Chooses what the coming exec enters, through the host's /proc.
///
/// # Errors
/// [`Error::Os`]: the profile is not loaded, the label is not valid or not permitted.
pub fn choose(labels: &Labels) -> Result<()> {
    if let Some(profile) = &labels.profile {
        // Kernels since 5.8 have the module's own file; the other one belongs to the first module.
        let own = "/proc/self/attr/apparmor/exec";
        let file = if fs::exists(own).unwrap_or(false) { own } else { "/proc/self/attr/exec" };
        fs::write(file, format!("exec {profile}"))
            .act(|| format!("choose the AppArmor profile {profile:?}: is it loaded?"))?;
    }
    let Some(label) = &labels.process else { return Ok(()) };
    fs::write("/proc/self/attr/exec", label)
        .act(|| format!("choose the SELinux label {label:?}: is it valid in the loaded policy?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_off_is_refused() {
        let name = "x".to_owned();
        let on = Host { apparmor: true, selinux: true };
        let off = Host::default();
        let got = plan(Some(&name), Some(&name), Some(&name), on).unwrap();
        assert_eq!(got.process.as_deref(), Some("x"));
        for (wishes, want) in [
            ([Some(&name), None, None], "process.apparmorProfile: AppArmor is not enabled"),
            ([None, Some(&name), None], "process.selinuxLabel: SELinux is not enabled"),
            ([None, None, Some(&name)], "linux.mountLabel: SELinux is not enabled"),
        ] {
            let [profile, process, mount] = wishes;
            let error = plan(profile, process, mount, off).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        let empty = String::new();
        assert_eq!(plan(Some(&empty), None, None, off).unwrap(), Labels::default());
    }

    #[test]
    fn only_some_file_systems_take_a_label() {
        let got = mount_option("system_u:object_r:x_t:s0:c1,c2", "tmpfs");
        assert_eq!(got.as_deref(), Some("context=system_u:object_r:x_t:s0:c1,c2"));
        assert_eq!(mount_option("l", "proc"), None);
    }
}

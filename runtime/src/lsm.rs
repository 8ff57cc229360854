//! Security modules: the AppArmor profile and the SELinux labels of a container.
//!
//! An AppArmor profile is refused where the kernel has no AppArmor: a container that asks to be
//! confined must not run unconfined. SELinux labels are passed over with a warning where the kernel
//! has no SELinux: engines set them everywhere, and without a policy they mean nothing.
//!
//! Source: runtime-spec config.md "Linux Process", config-linux.md "Mount label"; apparmor(7),
//! kernel Documentation/admin-guide/LSM; `context=` in mount(8).

use crate::error::{Act, Error, Result};
use std::fs;

/// The security modules that are in force on this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host {
    /// AppArmor is enabled.
    pub apparmor: bool,
    /// SELinux is enabled: its file system is known, mounted or not.
    pub selinux: bool,
}

impl Host {
    /// Asks the kernel.
    pub fn detect() -> Self {
        let enabled = fs::read("/sys/module/apparmor/parameters/enabled");
        Self {
            apparmor: enabled.is_ok_and(|text| text.first() == Some(&b'Y')),
            selinux: knows_selinux(fs::read_to_string("/proc/filesystems").as_deref().ok()),
        }
    }
}

/// The kernel registers selinuxfs only when SELinux is on. Where /proc cannot say, a label shall be
/// tried rather than left out.
fn knows_selinux(filesystems: Option<&str>) -> bool {
    let named = |text: &str| text.split_whitespace().any(|word| word == "selinuxfs");
    filesystems.is_none_or(named)
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

/// Checks the wishes against `host`; empty texts are none. Returns what can be given, and a
/// sentence for each label that is passed over. Pure.
///
/// # Errors
/// [`Error::Config`]: AppArmor is not enabled.
pub fn from_spec(
    profile: Option<&String>,
    process: Option<&String>,
    mount: Option<&String>,
    host: Host,
) -> Result<(Labels, Vec<String>)> {
    let set = |wish: Option<&String>| wish.filter(|text| !text.is_empty()).cloned();
    let profile = set(profile);
    if profile.is_some() && !host.apparmor {
        let reason = "AppArmor is not enabled in this host's kernel: remove it";
        return Err(Error::config("process.apparmorProfile", reason));
    }
    let mut notes = Vec::new();
    let mut label = |wish: Option<&String>, field: &str| {
        let wish = set(wish);
        if wish.is_some() && !host.selinux {
            notes.push(format!("{field} is passed over: SELinux is not enabled in this kernel"));
            return None;
        }
        wish
    };
    let process = label(process, "process.selinuxLabel");
    let mount = label(mount, "linux.mountLabel");
    Ok((Labels { profile, process, mount }, notes))
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
    fn apparmor_that_is_off_is_refused_and_selinux_passed_over() {
        let name = "x".to_owned();
        let on = Host { apparmor: true, selinux: true };
        let off = Host::default();
        let (got, notes) = from_spec(Some(&name), Some(&name), Some(&name), on).unwrap();
        assert_eq!((got.process.as_deref(), got.mount.as_deref()), (Some("x"), Some("x")));
        assert!(notes.is_empty());
        let error = from_spec(Some(&name), None, None, off).unwrap_err().to_string();
        assert!(error.contains("process.apparmorProfile: AppArmor is not enabled"), "{error}");
        let (got, notes) = from_spec(None, Some(&name), Some(&name), off).unwrap();
        assert_eq!(got, Labels::default());
        assert!(notes[0].starts_with("process.selinuxLabel is passed over"), "{notes:?}");
        assert!(notes[1].starts_with("linux.mountLabel is passed over"), "{notes:?}");
        let empty = String::new();
        let none = (Labels::default(), Vec::new());
        assert_eq!(from_spec(Some(&empty), Some(&empty), None, off).unwrap(), none);
    }

    #[test]
    fn selinux_is_off_only_where_the_kernel_says_so() {
        assert!(knows_selinux(Some("nodev\tselinuxfs\n\text4\n")));
        assert!(!knows_selinux(Some("nodev\tsysfs\n\text4\n")));
        assert!(knows_selinux(None));
    }

    #[test]
    fn only_some_file_systems_take_a_label() {
        let got = mount_option("system_u:object_r:x_t:s0:c1,c2", "tmpfs");
        assert_eq!(got.as_deref(), Some("context=system_u:object_r:x_t:s0:c1,c2"));
        assert_eq!(mount_option("l", "proc"), None);
    }
}

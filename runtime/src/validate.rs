//! Refuses what config.json asks for and this runtime would ignore. Pure.
//!
//! A property that no known version of the spec has is passed over with a warning, as the spec
//! demands of runtimes; a known one is honoured or refused.
//!
//! Source: runtime-spec config.md "Extensibility" and the property lists.

use crate::error::{Error, Result};
use oci_spec::runtime::{Hooks, Linux, LinuxNamespace, LinuxNamespaceType, Mount, Process, Spec};
use std::path::Path;

/// The newest version of the specification whose Linux properties are all known here.
pub const SPEC_VERSION: &str = "1.3.0";

/// Checks `spec`; the parts that other modules read are checked there.
///
/// # Errors
/// [`Error::Config`] with the property.
pub fn check(spec: &Spec) -> Result<()> {
    check_version(spec.version())?;
    let platforms = [
        ("solaris", spec.solaris().is_some()),
        ("windows", spec.windows().is_some()),
        ("vm", spec.vm().is_some()),
        ("zos", spec.zos().is_some()),
    ];
    refuse_set(&platforms, "is for another platform than Linux containers")?;
    spec.process().as_ref().map_or(Ok(()), check_process)?;
    let linux = spec.linux().as_ref();
    let linux = linux.ok_or_else(|| Error::config("linux", "is needed"))?;
    check_linux(linux)?;
    spec.hooks().as_ref().map_or(Ok(()), check_hooks)?;
    if spec.annotations().iter().flatten().any(|(name, _)| name.is_empty()) {
        return Err(Error::config("annotations", "a name is empty"));
    }
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    mounts.iter().enumerate().try_for_each(|(index, mount)| check_mount(index, mount))
}

/// A mistake in a hook shall not wait until the hook is due, at delete perhaps.
fn check_hooks(hooks: &Hooks) -> Result<()> {
    #[allow(deprecated)] // prestart hooks are deprecated, but still run
    let lists = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (kind, list) in lists {
        for (index, hook) in list.iter().flatten().enumerate() {
            let refuse = |name: &str, reason: &str| {
                Err(Error::config(format!("hooks.{kind}[{index}].{name}"), reason))
            };
            if !hook.path().is_absolute() {
                return refuse("path", "must be absolute");
            }
            if hook.timeout().is_some_and(|seconds| seconds <= 0) {
                return refuse("timeout", "must be above 0");
            }
        }
    }
    Ok(())
}

fn check_version(version: &str) -> Result<()> {
    // 1.x of any x: later minor versions only add properties, which are warned of one by one.
    if version.starts_with("1.") {
        return Ok(());
    }
    Err(Error::config("ociVersion", format!("{version:?} is not 1.x")))
}

fn refuse_set(fields: &[(&str, bool)], reason: &str) -> Result<()> {
    match fields.iter().find(|(_, set)| *set) {
        Some((field, _)) => Err(Error::config(*field, reason)),
        None => Ok(()),
    }
}

/// Checks `process`: that of config.json, or a further one.
///
/// # Errors
/// [`Error::Config`] with the property.
pub fn check_process(process: &Process) -> Result<()> {
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(Error::config("process.args", "is empty: there is nothing to run"));
    }
    if !process.cwd().is_absolute() {
        return Err(Error::config("process.cwd", "must be an absolute path"));
    }
    let texts = process.args().iter().flatten().chain(process.env().iter().flatten());
    if let Some(text) = texts.into_iter().find(|text| text.contains('\0')) {
        return Err(Error::config("process", format!("a NUL character in {text:?}")));
    }
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if set(process.command_line()) || set(process.user().username()) {
        let field = "process.commandLine, process.user.username";
        return Err(Error::config(field, "is for Windows: use process.args, process.user.uid"));
    }
    Ok(())
}

fn check_linux(linux: &Linux) -> Result<()> {
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    let has = |kind| namespaces.iter().any(|namespace| namespace.typ() == kind);
    let makes = |kind| {
        let own = |namespace: &LinuxNamespace| {
            namespace.path().as_ref().is_none_or(|path| path.as_os_str().is_empty())
        };
        namespaces.iter().any(|namespace| namespace.typ() == kind && own(namespace))
    };
    let maps = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if (maps(linux.uid_mappings()) || maps(linux.gid_mappings())) && !has(LinuxNamespaceType::User)
    {
        return Err(Error::config("linux.uidMappings", "needs a user namespace"));
    }
    if linux.time_offsets().iter().flatten().next().is_some() && !makes(LinuxNamespaceType::Time) {
        return Err(Error::config("linux.timeOffsets", "needs a new time namespace"));
    }
    Ok(())
}

fn check_mount(index: usize, mount: &Mount) -> Result<()> {
    let destination: &Path = mount.destination();
    if destination.as_os_str().is_empty() {
        return Err(Error::config(format!("mounts[{index}].destination"), "is empty"));
    }
    if crate::rootfs::mounts::clean(destination) == Path::new("/") {
        let reason = "the root is mounted by root.path";
        return Err(Error::config(format!("mounts[{index}].destination"), reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn base() -> Value {
        json!({"ociVersion": "1.2.0", "root": {"path": "rootfs"},
            "process": {"user": {}, "args": ["x"], "cwd": "/"},
            "linux": {"namespaces": [{"type": "mount"}]}})
    }

    /// The refusal after `value` was put at `pointer`.
    fn refusal(pointer: &str, value: Value) -> String {
        let mut config = base();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[name] = value;
        let spec = serde_json::from_value(config).unwrap();
        check(&spec).err().map_or(String::new(), |error| error.to_string())
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        assert_eq!(refusal("/hostname", json!("h")), "");
        let table = [
            ("/ociVersion", json!("2.0"), "ociVersion"),
            ("/process/args", json!([]), "process.args"),
            ("/process/cwd", json!("x"), "process.cwd"),
            ("/process/env", json!(["A=\u{0}"]), "NUL"),
            ("/process/commandLine", json!("x"), "process.commandLine"),
            ("/hooks", json!({"poststop": [{"path": "x"}]}), "hooks.poststop[0].path"),
            ("/hooks", json!({"prestart": [{"path": "/x", "timeout": 0}]}), "[0].timeout"),
            ("/annotations", json!({"": "x"}), "annotations: a name is empty"),
            ("/linux/timeOffsets", json!({"boottime": {}}), "new time namespace"),
            ("/linux/uidMappings", json!([{"size": 1}]), "needs a user namespace"),
            ("/mounts", json!([{"destination": "/../"}]), "mounts[0].destination"),
        ];
        for (pointer, value, want) in table {
            let got = refusal(pointer, value);
            assert!(got.contains(want), "{pointer}: {got:?}");
        }
    }
}

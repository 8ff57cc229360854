//! `features`: what this runtime supports, for engines that ask before they create.
//!
//! Source: runtime-spec features.md, features-linux.md.

use super::state::print_json;
use crate::error::Result;
use crate::rootfs::options;
use crate::{capabilities, memory_policy, namespaces, seccomp, validate};
use serde_json::{Value, json};

/// Annotations that change what a container may do; one that ends with a dot names all below it.
const UNSAFE_ANNOTATIONS: [&str; 4] =
    ["module.wasm.image/variant", "org.systemd.property.", "org.wamr-crun.", "run.oci.handler"];

/// Prints the features as JSON.
///
/// # Errors
/// [`crate::error::Error::Os`]: stdout is closed.
pub fn features() -> Result<()> {
    print_json(&document())
}

fn document() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": validate::SPEC_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart",
            "poststop"],
        "mountOptions": options::recognized(),
        "linux": {
            "namespaces": namespaces::KINDS,
            "capabilities": capabilities::NAMES[..],
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true,
                "rdma": true},
            "seccomp": {
                "enabled": true,
                "actions": seccomp::ACTIONS,
                "operators": seccomp::OPERATORS,
                "archs": seccomp::architectures(),
                "knownFlags": seccomp::FLAGS.map(|(name, _)| name),
                "supportedFlags": seccomp::supported_flags(),
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
            "memoryPolicy": {"modes": memory_policy::MODES, "flags": memory_policy::FLAGS},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true},
        },
        "annotations": {
            "io.github.seccomp.libseccomp.version": seccomp::library_version(),
            "org.wamr-crun.version": env!("CARGO_PKG_VERSION"),
        },
        "potentiallyUnsafeConfigAnnotations": UNSAFE_ANNOTATIONS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespaces::Namespaces;
    use oci_spec::runtime::{Capability, Features, LinuxNamespace, LinuxSeccomp};

    /// The list at the JSON pointer `at`.
    fn list(at: &str) -> Vec<String> {
        serde_json::from_value(document().pointer(at).unwrap().clone()).unwrap()
    }

    #[test]
    fn the_document_has_the_form_of_the_specification() {
        let mut unknown = Vec::new();
        let read: Features =
            serde_ignored::deserialize(document(), |path| unknown.push(path.to_string())).unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
        let linux = read.linux().as_ref().unwrap();
        assert!(linux.net_devices().is_some() && linux.memory_policy().is_some());
    }

    #[test]
    fn what_is_listed_is_done() {
        for option in list("/mountOptions") {
            options::parse(&[&option]).unwrap();
        }
        for kind in list("/linux/namespaces") {
            let json = json!([{"type": "mount"}, {"type": kind}]);
            let both: Vec<LinuxNamespace> = serde_json::from_value(json).unwrap();
            let kinds = if kind == "mount" { &both[..1] } else { &both[..] };
            Namespaces::new(kinds).unwrap();
        }
        for name in list("/linux/capabilities") {
            serde_json::from_value::<Capability>(name.into()).unwrap();
        }
        let build = |profile: Value| {
            seccomp::build(&serde_json::from_value::<LinuxSeccomp>(profile).unwrap())
        };
        for action in list("/linux/seccomp/actions") {
            build(json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/s",
                "syscalls": [{"names": ["mkdir"], "action": action}]}))
            .unwrap();
        }
        for operator in list("/linux/seccomp/operators") {
            build(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"],
                "action": "SCMP_ACT_ERRNO", "args": [
                    {"index": 1, "value": 1, "valueTwo": 1, "op": operator}]}]}))
            .unwrap();
        }
        for arch in list("/linux/seccomp/archs") {
            build(json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [arch],
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}))
            .unwrap();
        }
        for flag in list("/linux/seccomp/knownFlags") {
            build(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag],
                "listenerPath": "/s", "syscalls": [{"names": ["mkdir"],
                "action": "SCMP_ACT_NOTIFY"}]}))
            .unwrap();
        }
        assert!(list("/linux/seccomp/supportedFlags").len() <= seccomp::FLAGS.len());
    }

    #[test]
    fn the_lists_are_sorted_and_without_doubles() {
        for at in ["/mountOptions", "/linux/namespaces", "/linux/seccomp/actions"] {
            let names = list(at);
            assert!(names.is_sorted_by(|one, other| one < other), "{at}: {names:?}");
        }
        let options = list("/mountOptions");
        for name in ["rro", "rnosuid", "ridmap", "tmpcopyup", "runbindable", "rstrictatime"] {
            assert!(options.iter().any(|option| option == name), "{name}");
        }
    }
}

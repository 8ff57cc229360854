//! What container engines write into config.json beyond the OCI runtime specification, as far as
//! both the runtime and the shim act on it. Pure.
//!
//! No dependencies: the shim stays resident.
//!
//! Source: containerd internal/cri/annotations; cri-o pkg/annotations; runc docs/systemd.md.

/// What a container is to a pod, from containerd: [`SANDBOX`] or `container`.
pub const CONTAINER_TYPE: &str = "io.kubernetes.cri.container-type";

/// The same from CRI-O.
pub const CRIO_CONTAINER_TYPE: &str = "io.kubernetes.cri-o.ContainerType";

/// Value of both for the pod's own container, the pause container.
pub const SANDBOX: &str = "sandbox";

/// Value of both for a container of a pod.
pub const CONTAINER: &str = "container";

/// The id of the pod's sandbox, from containerd.
pub const SANDBOX_ID: &str = "io.kubernetes.cri.sandbox-id";

/// Whether a container is its pod's sandbox; `annotation` looks one up by its name.
pub fn is_sandbox<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> bool {
    [CONTAINER_TYPE, CRIO_CONTAINER_TYPE].iter().any(|name| annotation(name) == Some(SANDBOX))
}

/// Whether a container is one of a pod's; `annotation` looks one up by its name.
pub fn is_in_pod<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> bool {
    [CONTAINER_TYPE, CRIO_CONTAINER_TYPE].iter().any(|name| annotation(name) == Some(CONTAINER))
}

/// `linux.cgroupsPath` in the form for systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemdPath<'a> {
    /// `kubepods-besteffort.slice`; may be empty.
    pub slice: &'a str,
    /// `cri-containerd`; may be empty.
    pub prefix: &'a str,
    /// The container's name.
    pub name: &'a str,
}

impl<'a> SystemdPath<'a> {
    /// Reads `slice:prefix:name`; `None`: a path of a control group, or nothing.
    pub fn parse(cgroups_path: &'a str) -> Option<Self> {
        let mut parts = cgroups_path.split(':');
        let (slice, prefix, name) = (parts.next()?, parts.next()?, parts.next()?);
        let is_path = cgroups_path.contains('/') || parts.next().is_some();
        (!is_path).then_some(Self { slice, prefix, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandboxes_of_both_engines() {
        for (name, value, want) in [
            (CONTAINER_TYPE, "sandbox", true),
            (CRIO_CONTAINER_TYPE, "sandbox", true),
            (CONTAINER_TYPE, "container", false),
            (SANDBOX_ID, "sandbox", false),
        ] {
            let annotation = |asked: &str| (asked == name).then_some(value);
            assert_eq!(is_sandbox(annotation), want, "{name} = {value}");
            assert_eq!(is_in_pod(annotation), value == "container", "{name} = {value}");
        }
    }

    #[test]
    fn systemds_form_is_told_from_a_path() {
        for (path, want) in [
            ("/kubepods/burstable/pod1/c", None),
            (
                "kubepods-burstable-pod1.slice:cri-containerd:c",
                Some(("kubepods-burstable-pod1.slice", "cri-containerd", "c")),
            ),
            (":libpod:x", Some(("", "libpod", "x"))),
            ("a.slice::", Some(("a.slice", "", ""))),
            ("a.slice:b", None),
            ("a.slice:b:c:d", None),
            ("/odd:with:colons", None),
            ("", None),
        ] {
            let want = want.map(|(slice, prefix, name)| SystemdPath { slice, prefix, name });
            assert_eq!(SystemdPath::parse(path), want, "{path}");
        }
    }
}

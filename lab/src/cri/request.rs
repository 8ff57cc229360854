//! What the kubelet would ask containerd for, for a pod without limits. Pure.

use std::collections::HashMap;

use super::generated::security_profile::ProfileType;
use super::generated::{
    ContainerConfig, ContainerMetadata, ImageSpec, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext,
    NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata, SecurityProfile,
};
use crate::cluster::kubernetes::{NAMESPACE, pod_log_dir};
use crate::cluster::manifest::{BATCH_LABEL, Batch, CONTAINER};

/// Network and IPC of the pod, processes of the container's own, as every pod of Kubernetes has.
const NAMESPACES: NamespaceOption = NamespaceOption {
    network: NamespaceMode::Pod as i32,
    pid: NamespaceMode::Container as i32,
    ipc: NamespaceMode::Pod as i32,
};
const RUNTIME_DEFAULT: SecurityProfile =
    SecurityProfile { profile_type: ProfileType::RuntimeDefault as i32 };
const UNCONFINED: SecurityProfile =
    SecurityProfile { profile_type: ProfileType::Unconfined as i32 };

/// Source: kubernetes pkg/securitycontext/util.go.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The control group of a pod that asks for nothing, as the kubelet names it.
pub fn pod_cgroup(uid: &str) -> String {
    format!("/kubepods/besteffort/pod{uid}")
}

/// The labels by which a batch is found again.
pub fn labels(batch: &str) -> HashMap<String, String> {
    HashMap::from([(BATCH_LABEL.to_owned(), batch.to_owned())])
}

/// The sandbox of pod `name` of `batch`.
pub fn sandbox(batch: &Batch, name: &str, uid: &str) -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.to_owned(),
            uid: uid.to_owned(),
            namespace: NAMESPACE.to_owned(),
            attempt: 0,
        }),
        hostname: name.to_owned(),
        log_directory: pod_log_dir(name, uid),
        labels: labels(&batch.name),
        annotations: batch.annotations.clone().into_iter().collect(),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: pod_cgroup(uid),
            security_context: Some(LinuxSandboxSecurityContext {
                namespace_options: Some(NAMESPACES),
                seccomp: Some(RUNTIME_DEFAULT),
            }),
        }),
    }
}

/// The container of a pod of `batch`.
pub fn container(batch: &Batch) -> ContainerConfig {
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: CONTAINER.to_owned(), attempt: 0 }),
        image: Some(ImageSpec { image: batch.image.clone() }),
        labels: labels(&batch.name),
        // The kubelet passes a pod's annotations by the sandbox.
        annotations: HashMap::new(),
        log_path: format!("{CONTAINER}/0.log"),
        linux: Some(LinuxContainerConfig {
            resources: Some(LinuxContainerResources { cpu_shares: 2, oom_score_adj: 1000 }),
            security_context: Some(LinuxContainerSecurityContext {
                namespace_options: Some(NAMESPACES),
                masked_paths: owned(&MASKED),
                readonly_paths: owned(&READ_ONLY),
                seccomp: Some(UNCONFINED),
            }),
        }),
    }
}

/// A UID in the usual form, from two numbers that no other pod has together.
pub fn uid(made_ns: i64, index: u32) -> String {
    let hex = format!("{made_ns:016x}{index:016x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[test]
fn a_pod_is_where_the_lab_looks_for_it() {
    let batch = Batch {
        name: "cell-0001".to_owned(),
        controller: wamr_record::experiment::Controller::Job,
        pods: 2,
        arrival: None,
        sandbox_only: false,
        handler: "h".to_owned(),
        image: "i".to_owned(),
        annotations: std::collections::BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        node_label: None,
    };
    let uid = uid(0x18a3_f0c2_d4e5_b6a7, 3);
    assert_eq!(uid, "18a3f0c2-d4e5-b6a7-0000-000000000003");
    let sandbox = sandbox(&batch, "cell-0001-3", &uid);
    let linux = sandbox.linux.as_ref().unwrap();
    let cgroup = format!("{}/container", linux.cgroup_parent);
    assert!(crate::evidence::is_in_pod(&cgroup, &uid), "{cgroup}");
    let log = format!("{}/{}", sandbox.log_directory, container(&batch).log_path);
    assert_eq!(log, crate::cell::start_stamp::log_path("cell-0001-3", &uid));
    assert_eq!(sandbox.annotations["a"], "b");
}

//! Where the memory is: one walk over all processes of the node. It takes each process' mmap lock,
//! so it happens once per cell and after the samples.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wamr_record::cell::{PhaseName, Pod, ProcessMemory, Role};

use crate::evidence::is_in_pod;
use crate::node_view::NodeView;
use crate::processes::Proc;
use crate::smaps::{Rollup, parse_rollup, private_by_mapping};

/// Containers of a cell whose mappings are listed one by one.
const DETAILED: usize = 3;

/// Reads every process of the node, and the lab itself. `pods` are those of the cell; their
/// containers are told by process id, all else by program name.
pub fn walk(node: &NodeView, phase: PhaseName, pods: &[Pod]) -> Vec<ProcessMemory> {
    let containers: BTreeMap<u32, &Pod> =
        pods.iter().filter_map(|pod| Some((pod.pid?, pod))).collect();
    let mut detailed = 0;
    let mut sandboxes = BTreeMap::new();
    let mut found = Vec::new();
    // On a machine that measures itself the lab is one of the node's processes; it is added below.
    let own = (node.proc.root() == Path::new("/proc")).then(std::process::id);
    for pid in node.proc.pids().unwrap_or_default() {
        if own == Some(pid) {
            continue;
        }
        let (Some(exe), Some(rollup)) = (node.proc.program_name(pid), rollup(&node.proc, pid))
        else {
            continue;
        };
        let container = containers.get(&pid);
        // In a pod without a container the sandbox's process stands for it.
        let role = match (container, role_of(&exe)) {
            (Some(_), Role::Pause) => Role::Pause,
            (Some(_), _) => Role::Container,
            (None, role) => role,
        };
        let mut memory = process_memory(role, phase, pid, exe, rollup);
        if let Some(pod) = container.filter(|_| role == Role::Container) {
            memory.pod = Some(pod.name.clone());
            if detailed < DETAILED {
                detailed += 1;
                let smaps = node.proc.text(pid, "smaps").unwrap_or_default();
                memory.private_by_mapping = private_by_mapping(&smaps);
            }
        } else if role == Role::Pause
            && let Some(cgroup) = node.cgroup(pid)
            && let Some(pod) = pods.iter().find(|pod| is_in_pod(&cgroup, &pod.uid))
        {
            sandboxes.insert(cgroup, pod.name.clone());
            memory.pod = Some(pod.name.clone());
        }
        found.push(memory);
    }
    for shim in found.iter_mut().filter(|memory| memory.role == Role::Shim) {
        let arguments = node.proc.arguments(shim.pid).unwrap_or_default();
        shim.pod = sandbox_of(&arguments).and_then(|id| {
            let (_, pod) = sandboxes.iter().find(|(cgroup, _)| cgroup.contains(id))?;
            Some(pod.clone())
        });
    }
    found.extend(own_memory(phase));
    found
}

/// What a program is to a cell, by its name.
pub fn role_of(exe: &str) -> Role {
    match exe {
        "pause" => Role::Pause,
        "containerd" => Role::Containerd,
        "kubelet" => Role::Kubelet,
        "etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" => {
            Role::ControlPlane
        }
        "metrics-server" => Role::MetricsServer,
        // The node's PID 1, or the agent of a virtual machine.
        "wamr-lab" => Role::Lab,
        name if name.starts_with("containerd-shim") => Role::Shim,
        _ => Role::Other,
    }
}

/// The sandbox that a shim was started for: its argument after `-id`.
fn sandbox_of(arguments: &[String]) -> Option<&str> {
    let at = arguments.iter().position(|argument| argument == "-id")?;
    arguments.get(at + 1).map(String::as_str).filter(|id| !id.is_empty())
}

fn rollup(proc: &Proc, pid: u32) -> Option<Rollup> {
    parse_rollup(&proc.text(pid, "smaps_rollup")?)
}

/// The lab stands outside the node; its process id is the host's.
fn own_memory(phase: PhaseName) -> Option<ProcessMemory> {
    let rollup = parse_rollup(&fs::read_to_string("/proc/self/smaps_rollup").ok()?)?;
    Some(process_memory(Role::Lab, phase, std::process::id(), "wamr-lab".to_owned(), rollup))
}

fn process_memory(
    role: Role,
    phase: PhaseName,
    pid: u32,
    exe: String,
    rollup: Rollup,
) -> ProcessMemory {
    ProcessMemory {
        role,
        phase,
        pid,
        node: None,
        exe,
        pod: None,
        rss_bytes: rollup.rss_bytes,
        pss_bytes: rollup.pss_bytes,
        pss_anon_bytes: rollup.pss_anon_bytes,
        pss_file_bytes: rollup.pss_file_bytes,
        private_clean_bytes: rollup.private_clean_bytes,
        private_dirty_bytes: rollup.private_dirty_bytes,
        private_by_mapping: BTreeMap::new(),
    }
}

/// Shims on the node, and processes in the control groups of pods: what a removed cell must not
/// leave behind. Each is named for the error that may follow.
pub fn pod_processes(node: &NodeView) -> BTreeMap<u32, String> {
    let mut found = BTreeMap::new();
    for pid in node.proc.pids().unwrap_or_default() {
        let Some(name) = node.proc.program_name(pid) else { continue };
        let in_pod = || node.cgroup(pid).is_some_and(|cgroup| is_pod_group(&cgroup));
        if role_of(&name) == Role::Shim || in_pod() {
            found.insert(pid, name);
        }
    }
    found
}

/// True of a control group that is a pod's or lies in one. Pure.
pub fn is_pod_group(cgroup: &str) -> bool {
    cgroup.split('/').any(|part| part.starts_with("pod") || part.contains("-pod"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_by_name() {
        for (exe, role) in [
            ("pause", Role::Pause),
            ("containerd", Role::Containerd),
            ("containerd-shim-runc-v2", Role::Shim),
            ("containerd-shim-wamr-crun-v1", Role::Shim),
            ("kube-scheduler", Role::ControlPlane),
            ("kubectl", Role::Other),
        ] {
            assert_eq!(role_of(exe), role, "{exe}");
        }
    }

    #[test]
    fn a_shim_names_its_sandbox() {
        let arguments = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let shim = arguments("/usr/local/bin/containerd-shim-runc-v2 -namespace k8s.io -id ab12");
        assert_eq!(sandbox_of(&shim), Some("ab12"));
        assert_eq!(sandbox_of(&arguments("shim -id")), None);
        assert_eq!(sandbox_of(&arguments("shim")), None);
    }

    #[test]
    fn the_walk_finds_the_lab_itself() {
        let node = NodeView::new(1, "/proc".into(), "/".into());
        let memory = walk(&node, PhaseName::Before, &[]);
        let own = memory.iter().find(|memory| memory.role == Role::Lab).unwrap();
        assert!(own.private_dirty_bytes > 0 && own.pss_bytes <= own.rss_bytes);
        let again = memory.iter().filter(|memory| memory.pid == std::process::id()).count();
        assert_eq!(again, 1, "it must not be counted twice");
    }
}

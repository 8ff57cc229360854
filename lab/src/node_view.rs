//! A running node as the measurement sees it: paths and ids, nothing that could end it.

use std::fs;
use std::path::PathBuf;

use crate::processes::Proc;

/// What reading a node needs.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// The node's procfs.
    pub proc: Proc,
    /// The node's root directory, seen from here.
    pub root: PathBuf,
    /// The daemons' logs, seen from here.
    pub log_dir: PathBuf,
}

impl NodeView {
    /// The view of a node whose PID 1 is `init_pid` here.
    pub fn new(init_pid: u32, proc_root: PathBuf, log_dir: PathBuf) -> Self {
        let root = PathBuf::from(format!("/proc/{init_pid}/root"));
        Self { proc: Proc::new(proc_root), root, log_dir }
    }

    /// The first process of a container. containerd's shim writes it down; a container whose
    /// bundle is elsewhere is looked for by its control group.
    pub fn container_pid(&self, container_id: &str) -> Option<u32> {
        const TASKS: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
        let file = self.root.join(TASKS).join(container_id).join("init.pid");
        let written = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        written.or_else(|| {
            let in_container = |pid: &u32| {
                self.proc.memory_cgroup(*pid).is_some_and(|cgroup| cgroup.contains(container_id))
            };
            self.proc.pids().ok()?.into_iter().find(in_container)
        })
    }

    /// A process' control group (memory controller) as the node names it: below the group of the
    /// node's own PID 1.
    pub fn cgroup(&self, pid: u32) -> Option<String> {
        let cgroup = self.proc.memory_cgroup(pid)?;
        let own = self.proc.memory_cgroup(1)?;
        Some(below_node(&cgroup, &own).to_owned())
    }
}

/// `cgroup` without the part that lies above the node, if it lies below the node at all.
fn below_node<'a>(cgroup: &'a str, init_cgroup: &str) -> &'a str {
    let Some(node) = init_cgroup.split('/').find(|part| part.starts_with("wamr-lab-")) else {
        return cgroup;
    };
    let Some(at) = cgroup.find(&format!("/{node}/")) else { return cgroup };
    &cgroup[at + 1 + node.len()..]
}

#[test]
fn cgroups_are_named_as_the_node_names_them() {
    let table: &[(&str, &str, &str)] = &[
        ("/wamr-lab-a/kubepods/podx/c", "/wamr-lab-a/init", "/kubepods/podx/c"),
        ("/up/wamr-lab-a/kubepods/podx/c", "/up/wamr-lab-a", "/kubepods/podx/c"),
        ("/wamr-lab-b/kubepods", "/wamr-lab-a", "/wamr-lab-b/kubepods"),
        ("/kubepods/podx/c", "/", "/kubepods/podx/c"),
        ("/wamr-lab-a", "/wamr-lab-a", "/wamr-lab-a"),
    ];
    for (cgroup, init, want) in table {
        assert_eq!(below_node(cgroup, init), *want, "{cgroup} on {init}");
    }
}

//! What a node holds at one moment: its programs, by name, and the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use nix::sys::statvfs::statvfs;
use wamr_record::cell::Role;
use wamr_record::sample::Meminfo;

use crate::attribution::{is_pod_group, role_of};
use crate::node_view::NodeView;
use crate::observer::sampler::Sampler;
use crate::smaps::parse_rollup;

/// One figure: what it is about, what was read, how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// A daemon, `shim`, `containers`, `others`, `node`, `kernel`, `machine`.
    pub subject: String,
    /// What was read.
    pub figure: &'static str,
    /// The value.
    pub value: u64,
}

/// Processes that are counted together.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    processes: u64,
    threads: u64,
    descriptors: u64,
    pss_bytes: u64,
    anon_bytes: u64,
}

/// Reads everything; the walk over the processes comes last.
///
/// # Errors
/// The node's procfs, the machine's memory or a file of the node cannot be read.
pub fn read(sampler: &Sampler) -> Result<Vec<Figure>> {
    let meminfo = sampler.meminfo.read().into_diagnostic().wrap_err("read /proc/meminfo")?;
    let mut figures = of_memory(&meminfo);
    figures.extend(of_node(&sampler.view)?);
    figures.extend(of_processes(&sampler.view)?);
    Ok(figures)
}

fn figure(subject: &str, figure: &'static str, value: u64) -> Figure {
    Figure { subject: subject.to_owned(), figure, value }
}

/// The kernel's own memory, and what is left for others.
fn of_memory(meminfo: &Meminfo) -> Vec<Figure> {
    let unreclaimable_bytes = meminfo.slab_bytes.saturating_sub(meminfo.slab_reclaimable_bytes);
    vec![
        figure("machine", "free_bytes", meminfo.all_free_bytes()),
        figure("machine", "available_bytes", meminfo.all_available_bytes()),
        figure("kernel", "slab_reclaimable_bytes", meminfo.slab_reclaimable_bytes),
        figure("kernel", "slab_unreclaimable_bytes", unreclaimable_bytes),
        figure("kernel", "stacks_bytes", meminfo.kernel_stack_bytes),
        figure("kernel", "page_tables_bytes", meminfo.page_tables_bytes),
        figure("kernel", "percpu_bytes", meminfo.percpu_bytes),
        figure("kernel", "vmalloc_bytes", meminfo.vmalloc_bytes),
    ]
}

/// Objects that containers have on the node and that must go with them.
fn of_node(view: &NodeView) -> Result<Vec<Figure>> {
    let below = |path: &str| view.root.join(path);
    let text = |name: &str| view.proc.text(1, name).unwrap_or_default();
    let run = below("run");
    let counts = statvfs(&run).into_diagnostic().wrap_err_with(|| run.display().to_string())?;
    let mut figures = vec![
        figure("node", "mounts", mounts(view)?),
        figure("node", "control_groups", directories(&below("sys/fs/cgroup"))),
        figure("node", "network_namespaces", entries(&below("run/netns"))),
        // Two lines are the head.
        figure("node", "interfaces", (text("net/dev").lines().count() as u64).saturating_sub(2)),
        figure("node", "unix_sockets", (text("net/unix").lines().count() as u64).saturating_sub(1)),
        figure("node", "run_files", counts.files().saturating_sub(counts.files_free())),
    ];
    // Those that are gone but still referred to are in the kernel's count only.
    let kernels = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    figures.extend(memory_groups(&kernels).map(|count| figure("kernel", "memory_groups", count)));
    Ok(figures)
}

/// Mounts in the mount namespaces of all processes that are in no pod, each namespace once.
fn mounts(view: &NodeView) -> Result<u64> {
    let pids = view.proc.pids().into_diagnostic().wrap_err("list the node's processes")?;
    let (mut seen, mut count) = (BTreeSet::new(), 0);
    for pid in pids {
        let Ok(namespace) = fs::read_link(view.proc.path(pid, "ns/mnt")) else { continue };
        if is_in_pod(view, pid) || !seen.insert(namespace) {
            continue;
        }
        let table = view.proc.text(pid, "mountinfo").unwrap_or_default();
        count += table.lines().count() as u64;
    }
    Ok(count)
}

fn is_in_pod(view: &NodeView, pid: u32) -> bool {
    view.cgroup(pid).is_some_and(|group| is_pod_group(&group))
}

/// Directories below one, itself not counted. Links are not followed.
fn directories(at: &Path) -> u64 {
    let mut count = 0;
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            count += 1 + directories(&entry.path());
        }
    }
    count
}

fn entries(at: &Path) -> u64 {
    fs::read_dir(at).map_or(0, |entries| entries.count() as u64)
}

/// The kernel's number of memory control groups: third field of the line in `/proc/cgroups`.
///
/// Source: cgroups(7).
fn memory_groups(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split('\t').next() == Some("memory"))?;
    line.split('\t').nth(2)?.parse().ok()
}

fn of_processes(view: &NodeView) -> Result<Vec<Figure>> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let pids = view.proc.pids().into_diagnostic().wrap_err("list the node's processes")?;
    for pid in pids {
        let Some(name) = view.proc.program_name(pid) else { continue };
        let Some(text) = view.proc.text(pid, "smaps_rollup") else { continue };
        let Some(rollup) = parse_rollup(&text) else { continue };
        let group = groups.entry(subject(&name, is_in_pod(view, pid))).or_default();
        group.processes += 1;
        group.threads += entries(&view.proc.path(pid, "task"));
        group.descriptors += entries(&view.proc.path(pid, "fd"));
        group.pss_bytes += rollup.pss_bytes;
        group.anon_bytes += rollup.pss_anon_bytes;
    }
    let figures = |(subject, group): (String, Group)| {
        [
            figure(&subject, "processes", group.processes),
            figure(&subject, "threads", group.threads),
            figure(&subject, "descriptors", group.descriptors),
            figure(&subject, "pss_bytes", group.pss_bytes),
            figure(&subject, "anon_bytes", group.anon_bytes),
        ]
    };
    Ok(groups.into_iter().flat_map(figures).collect())
}

/// What a process is counted under. A shim that has made itself a container is one.
fn subject(name: &str, in_pod: bool) -> String {
    match role_of(name) {
        _ if in_pod => "containers".to_owned(),
        Role::Shim => "shim".to_owned(),
        Role::Containerd | Role::Kubelet | Role::ControlPlane | Role::MetricsServer => {
            name.to_owned()
        }
        Role::Container | Role::Pause | Role::Lab | Role::Other => "others".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_counted_under_what_they_are() {
        for (name, in_pod, want) in [
            ("containerd-shim-runc-v2", false, "shim"),
            ("containerd-shim-wasmtime-v1", true, "containers"),
            ("containerd", false, "containerd"),
            ("kube-scheduler", false, "kube-scheduler"),
            ("pause", true, "containers"),
            ("wamr-crun", false, "others"),
        ] {
            assert_eq!(subject(name, in_pod), want, "{name}");
        }
    }

    #[test]
    fn the_kernels_groups_are_the_third_field() {
        let text =
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t3\t1\nmemory\t4\t57\t1\n";
        assert_eq!(memory_groups(text), Some(57));
        assert_eq!(memory_groups("#subsys_name\thierarchy\n"), None);
    }

    #[test]
    fn trees_are_counted_without_links() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::create_dir(dir.path().join("c")).unwrap();
        fs::write(dir.path().join("c/file"), "").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        assert_eq!(directories(dir.path()), 3);
        assert_eq!(entries(dir.path()), 3);
        assert_eq!(
            (directories(Path::new("/nonexistent")), entries(Path::new("/nonexistent"))),
            (0, 0)
        );
    }

    #[test]
    fn this_process_is_among_the_others() {
        let view = NodeView::new(1, "/proc".into(), "/".into());
        let figures = of_processes(&view).unwrap();
        let of = |name: &str| {
            let found = figures.iter().find(|one| one.subject == "others" && one.figure == name);
            found.unwrap().value
        };
        assert!(of("processes") >= 1 && of("threads") >= of("processes"), "{figures:?}");
        assert!(of("descriptors") > 0 && of("anon_bytes") <= of("pss_bytes"), "{figures:?}");
        assert!(mounts(&view).unwrap() > 0);
    }
}

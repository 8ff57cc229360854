//! What nodes could leave on the host: directories, mounts, control groups, processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// PID, mount, network, … namespaces of a process, `net:[4026531840]`.
pub fn namespaces_of(pid: u32) -> BTreeSet<String> {
    ["pid", "mnt", "net", "uts", "ipc", "cgroup"]
        .iter()
        .filter_map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

/// Fails if anything of the nodes of these names is there.
pub fn assert_nothing(names: &[&str]) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    let hierarchies = mounts.lines().filter(|line| line.contains(" - cgroup"));
    let hierarchies: Vec<&str> = hierarchies.filter_map(|line| line.split(' ').nth(4)).collect();
    for name in names {
        assert!(!mounts.contains(name), "a mount is left:\n{mounts}");
        for dir in ["/var/lib/wamr-lab/nodes", "/run/wamr-lab"] {
            assert!(!Path::new(dir).join(name).exists(), "{dir}/{name} is left");
        }
        for at in &hierarchies {
            let group = Path::new(at).join(format!("wamr-lab-{name}"));
            assert!(!group.exists(), "{} is left", group.display());
        }
    }
}

/// Fails if a process is in one of these namespaces.
pub fn assert_no_process_in(namespaces: &BTreeSet<String>) {
    // This process shares no namespace with the node, so one that does is left over from it.
    let own = namespaces_of(std::process::id());
    for entry in fs::read_dir("/proc").expect("list /proc").filter_map(Result::ok) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let shared: Vec<String> = namespaces_of(pid)
            .intersection(namespaces)
            .filter(|n| !own.contains(*n))
            .cloned()
            .collect();
        assert!(shared.is_empty(), "PID {pid} is left in {shared:?}");
    }
}

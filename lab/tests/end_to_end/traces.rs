//! What a node could leave on the host: directories, control groups, mounts, processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Fails if the node of the lab with this process id left anything.
pub fn assert_none(lab_id: u32) {
    assert_none_within(lab_id, Duration::ZERO);
}

/// As [`assert_none`], but with some time to vanish.
pub fn assert_none_within(lab_id: u32, patience: Duration) {
    let begun = Instant::now();
    loop {
        let left = traces(&format!("run-{lab_id}"));
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < patience, "left behind: {left:#?}");
        sleep(Duration::from_millis(200));
    }
}

fn traces(node: &str) -> Vec<String> {
    let group = format!("wamr-lab-{node}");
    let mut left = Vec::new();
    for parent in ["/var/lib/wamr-lab/nodes", "/run/wamr-lab"] {
        left.extend(existing(&Path::new(parent).join(node)));
    }
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    for hierarchy in hierarchies {
        left.extend(existing(&hierarchy.path().join(&group)));
    }
    left.extend(existing(&Path::new("/sys/fs/cgroup").join(&group)));
    let mounts = fs::read_to_string("/proc/self/mounts").expect("read the mounts");
    let own = format!("/{node}");
    left.extend(mounts.lines().filter(|line| line.contains(&own)).map(str::to_owned));
    left.extend(processes(&group));
    left
}

fn existing(path: &Path) -> Option<String> {
    path.exists().then(|| path.display().to_string())
}

/// Processes in the node's control group.
fn processes(group: &str) -> Vec<String> {
    let is_of_node = |path: &PathBuf| {
        fs::read_to_string(path.join("cgroup")).is_ok_and(|text| text.contains(group))
    };
    let entries = fs::read_dir("/proc").expect("read /proc").flatten();
    let dirs = entries.map(|entry| entry.path()).filter(is_of_node);
    dirs.map(|dir| {
        let name = fs::read_to_string(dir.join("comm")).unwrap_or_default();
        format!("{}: {}", dir.display(), name.trim())
    })
    .collect()
}

//! What else moves this machine's memory: facts that a reader of a figure must know, and that
//! `doctor` warns of. The lab changes none of them.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// Facts for the journal; what the kernel does not have is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Disturbances {
    /// SwapTotal of /proc/meminfo.
    pub swap_kib: u64,
    /// /sys/kernel/mm/ksm/run.
    pub ksm_run: Option<u32>,
    /// Monitors of data access that run and take an action on idle memory, as `pageout`.
    ///
    /// Source: Documentation/admin-guide/mm/damon/usage.rst.
    pub damon_actions: Vec<String>,
    /// True if free pages are handed back to a hypervisor; meanwhile they count as used.
    pub free_page_reporting: bool,
}

impl Disturbances {
    /// Reads the facts below `root` (`/`).
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let meminfo = text("proc/meminfo");
        let swap = meminfo.lines().find_map(|line| line.strip_prefix("SwapTotal:"));
        Self {
            swap_kib: swap
                .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
                .unwrap_or(0),
            ksm_run: text("sys/kernel/mm/ksm/run").trim().parse().ok(),
            damon_actions: damon_actions(&root.join("sys/kernel/mm/damon/admin/kdamonds")),
            free_page_reporting: root.join("sys/module/page_reporting").is_dir(),
        }
    }

    /// A sentence for each fact that falsifies a measurement of free memory.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.swap_kib > 0 {
            warnings.push("swap is on: memory that is swapped out looks free; swapoff -a".into());
        }
        if self.ksm_run == Some(1) {
            warnings.push("KSM merges pages: echo 0 > /sys/kernel/mm/ksm/run".into());
        }
        if !self.damon_actions.is_empty() {
            let actions = self.damon_actions.join(", ");
            warnings
                .push(format!("DAMON acts on idle memory ({actions}): MemFree moves by itself"));
        }
        if self.free_page_reporting {
            warnings.push("freed memory goes to the hypervisor first: MemFree rises late".into());
        }
        warnings
    }
}

/// Actions of the schemes of all monitors that are on.
fn damon_actions(kdamonds: &Path) -> Vec<String> {
    let mut actions = Vec::new();
    for kdamond in subdirs(kdamonds) {
        let state = fs::read_to_string(kdamond.join("state")).unwrap_or_default();
        if state.trim() != "on" {
            continue;
        }
        for context in subdirs(&kdamond.join("contexts")) {
            for scheme in subdirs(&context.join("schemes")) {
                let action = fs::read_to_string(scheme.join("action")).unwrap_or_default();
                actions.push(action.trim().to_owned());
            }
        }
    }
    actions.retain(|action| !action.is_empty() && action != "stat");
    actions
}

fn subdirs(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut dirs: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    dirs.sort();
    dirs
}

#[test]
fn a_machine_that_interferes_is_warned_of() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    assert_eq!(Disturbances::read(root.path()), Disturbances::default());
    assert!(Disturbances::default().warnings().is_empty());
    let scheme = "sys/kernel/mm/damon/admin/kdamonds/0/contexts/0/schemes/0/action";
    write("proc/meminfo", "MemTotal: 9 kB\nSwapTotal:     2048 kB\n");
    write("sys/kernel/mm/ksm/run", "1\n");
    write(scheme, "pageout\n");
    write("sys/kernel/mm/damon/admin/kdamonds/0/state", "off\n");
    assert!(Disturbances::read(root.path()).damon_actions.is_empty());
    write("sys/kernel/mm/damon/admin/kdamonds/0/state", "on\n");
    write("sys/module/page_reporting/parameters/x", "9\n");
    let found = Disturbances::read(root.path());
    assert_eq!((found.swap_kib, found.ksm_run), (2048, Some(1)));
    assert_eq!(found.damon_actions, ["pageout"]);
    assert_eq!(found.warnings().len(), 4);
}

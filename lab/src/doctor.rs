//! `wamr-lab doctor`: can this machine do it, and what to do if not.

use std::fs;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use nix::sys::statvfs::statvfs;

use crate::cluster_node::programs::PROGRAMS;
use crate::disturbances::Disturbances;
use crate::environment::cgroup_mode;
use crate::sample::meminfo;

/// Free memory for the demonstration: a node (1.5 GB) and ten pods of the largest runtime.
const MEMORY_BYTES: u64 = 3_000_000_000;
/// Free disk for an image cache built from nothing, with the build's own files.
const DISK_BYTES: u64 = 12_000_000_000;
/// The capabilities that a node needs, by bit. Source: linux/capability.h.
const CAPABILITIES: [(u32, &str); 5] = [
    (21, "CAP_SYS_ADMIN"),
    (12, "CAP_NET_ADMIN"),
    (27, "CAP_MKNOD"),
    (18, "CAP_SYS_CHROOT"),
    (19, "CAP_SYS_PTRACE"),
];

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok,
    /// It works, with a limit.
    Warning,
    /// Nothing works without it.
    Missing,
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    level: Level,
    what: String,
    /// What was found, and what to do about it.
    text: String,
}

/// Prints all findings; true if nothing is missing.
pub fn doctor(cache: &Path, programs_dir: &Path) -> bool {
    let mut findings = vec![
        root(),
        capabilities(&fs::read_to_string("/proc/self/status").unwrap_or_default()),
        cgroups(&fs::read_to_string("/proc/mounts").unwrap_or_default()),
        overlay(&fs::read_to_string("/proc/filesystems").unwrap_or_default()),
        memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
        disk(cache),
        image(cache),
    ];
    findings.extend(quiet(&Disturbances::read(Path::new("/"))));
    let programs = PROGRAMS.into_iter().chain(["wamr-report"]);
    findings.extend(programs.map(|name| program(programs_dir, name)));
    let image_missing =
        findings.iter().any(|finding| finding.what == "node image" && finding.level != Level::Ok);
    findings.extend(build_tools(image_missing));
    for finding in &findings {
        print_finding(finding);
    }
    findings.iter().all(|finding| finding.level != Level::Missing)
}

fn print_finding(finding: &Finding) {
    let (word, color) = match finding.level {
        Level::Ok => ("ok", AnsiColor::Green),
        Level::Warning => ("warn", AnsiColor::Yellow),
        Level::Missing => ("missing", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(color.into()));
    anstream::println!("{style}{word:>7}{style:#}  {:<24} {}", finding.what, finding.text);
}

fn finding(level: Level, what: &str, text: impl Into<String>) -> Finding {
    Finding { level, what: what.to_owned(), text: text.into() }
}

fn root() -> Finding {
    if nix::unistd::geteuid().is_root() {
        return finding(Level::Ok, "root", "yes");
    }
    finding(Level::Missing, "root", "a node needs it: start with sudo")
}

fn capabilities(status: &str) -> Finding {
    const WHAT: &str = "capabilities";
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(set) = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return finding(Level::Warning, WHAT, "/proc/self/status has no CapEff");
    };
    let lacking: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(bit, _)| set & (1 << bit) == 0)
        .map(|(_, name)| *name)
        .collect();
    if !lacking.is_empty() {
        let text = format!("lacks {}: run outside of this container", lacking.join(", "));
        return finding(Level::Missing, WHAT, text);
    }
    if set & (1 << 24) == 0 {
        let text = "without CAP_SYS_RESOURCE: oom_score_adj stays as it is";
        return finding(Level::Ok, WHAT, text);
    }
    finding(Level::Ok, WHAT, "all that a node needs")
}

fn cgroups(mounts: &str) -> Finding {
    const WHAT: &str = "control groups";
    let memory_v1 = mounts.lines().any(|line| {
        let mut fields = line.split(' ');
        fields.nth(2) == Some("cgroup")
            && fields.next().is_some_and(|options| options.split(',').any(|word| word == "memory"))
    });
    match (cgroup_mode(mounts), memory_v1) {
        ("v2", _) => finding(Level::Ok, WHAT, "v2"),
        (mode @ ("v1" | "hybrid"), true) => {
            let text = format!("{mode}: the node gets v1 groups of its own");
            finding(Level::Ok, WHAT, text)
        }
        (mode, _) => {
            let text = format!("{mode}, no memory controller: mount cgroup2 on /sys/fs/cgroup");
            finding(Level::Missing, WHAT, text)
        }
    }
}

fn overlay(filesystems: &str) -> Finding {
    if filesystems.lines().any(|line| line.split_whitespace().last() == Some("overlay")) {
        return finding(Level::Ok, "overlay", "in the kernel");
    }
    finding(Level::Missing, "overlay", "load it: modprobe overlay")
}

fn memory(text: &str) -> Finding {
    const WHAT: &str = "memory";
    let Ok(meminfo) = meminfo::parse(text) else {
        return finding(Level::Warning, WHAT, "/proc/meminfo cannot be read");
    };
    let gigabytes = meminfo.all_available_bytes() as f64 / 1e9;
    if meminfo.all_available_bytes() >= MEMORY_BYTES {
        return finding(Level::Ok, WHAT, format!("{gigabytes:.1} GB available"));
    }
    let text = format!("{gigabytes:.1} GB available; the demonstration needs 3 GB: free some");
    finding(Level::Missing, WHAT, text)
}

fn disk(cache: &Path) -> Finding {
    const WHAT: &str = "disk";
    let existing = cache.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let Ok(stat) = statvfs(existing) else {
        return finding(Level::Warning, WHAT, format!("{} cannot be read", existing.display()));
    };
    let free_bytes = stat.blocks_available() * stat.fragment_size();
    let text = format!("{:.0} GB free for {}", free_bytes as f64 / 1e9, cache.display());
    if free_bytes >= DISK_BYTES {
        return finding(Level::Ok, WHAT, text);
    }
    let text = format!("{text}: building the node image takes 12 GB (or set WAMR_LAB_CACHE)");
    finding(Level::Warning, WHAT, text)
}

/// What moves memory behind the lab's back.
fn quiet(disturbances: &Disturbances) -> Vec<Finding> {
    const WHAT: &str = "quiet memory";
    let warnings = disturbances.warnings();
    if warnings.is_empty() {
        return vec![finding(Level::Ok, WHAT, "nothing moves it by itself")];
    }
    warnings.into_iter().map(|warning| finding(Level::Warning, WHAT, warning)).collect()
}

fn image(cache: &Path) -> Finding {
    const WHAT: &str = "node image";
    let description = wamr_image::description_path(cache);
    if description.is_file() {
        return finding(Level::Ok, WHAT, format!("in {}", cache.display()));
    }
    finding(Level::Warning, WHAT, "not built yet: `wamr-lab image build`, once, some 10 minutes")
}

fn program(dir: &Path, name: &str) -> Finding {
    let path = dir.join(name);
    if path.is_file() {
        return finding(Level::Ok, name, path.display().to_string());
    }
    let text = format!("not in {}: `make build`, or --programs DIR", dir.display());
    finding(Level::Missing, name, text)
}

/// The build's own tools; they are needed only while there is no image.
fn build_tools(image_missing: bool) -> Vec<Finding> {
    let level = if image_missing { Level::Missing } else { Level::Warning };
    wamr_image::requirements::check()
        .into_iter()
        .map(|found| match found.result {
            Ok(path) => finding(Level::Ok, found.requirement.name, path.display().to_string()),
            Err(text) => finding(level, found.requirement.name, text),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_by_their_text() {
        let v1 = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
        let pids = "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n";
        let table: &[(&str, Finding, Level)] = &[
            ("all capabilities", capabilities("CapEff:\t000001ffffffffff\n"), Level::Ok),
            ("no SYS_ADMIN", capabilities("CapEff:\t000001ffffdfffff\n"), Level::Missing),
            ("no SYS_RESOURCE", capabilities("CapEff:\t000001fffeffffff\n"), Level::Ok),
            ("no line", capabilities(""), Level::Warning),
            ("v1", cgroups(v1), Level::Ok),
            ("v1 without memory", cgroups(pids), Level::Missing),
            ("v2", cgroups("none /sys/fs/cgroup cgroup2 rw 0 0\n"), Level::Ok),
            ("none", cgroups(""), Level::Missing),
            ("overlay", overlay("nodev\ttmpfs\nnodev\toverlay\n"), Level::Ok),
            ("no overlay", overlay("nodev\ttmpfs\n"), Level::Missing),
        ];
        for (case, finding, want) in table {
            assert_eq!(finding.level, *want, "{case}: {}", finding.text);
        }
    }
}

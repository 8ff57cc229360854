//! The facts of the machine that a run was made on: `environment.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wamr_image::NodeImage;
use wamr_node::vm::Accelerator;
use wamr_record::cell::Program;
use wamr_record::environment::Environment;
use wamr_record::manifest::digest_file;

use crate::experiment::{ControlPlaneSpeed, Experiment};
use crate::place::Place;

/// Programs of this workspace that take part.
const OWN_PROGRAMS: [&str; 3] = ["wamr-crun", "wamr-runner", "wamr-lab"];

/// Reads the facts. What cannot be read is empty or absent, never invented.
pub fn gather(
    experiment: &Experiment,
    image: &NodeImage,
    place: &Place,
    programs_dir: &Path,
) -> Environment {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let cpu_model = cpu_model(&cpuinfo);
    let mut programs = image.programs.clone();
    programs.extend(OWN_PROGRAMS.iter().filter_map(|name| {
        let digest = digest_file(&programs_dir.join(name)).ok()?;
        Some(Program { path: format!("dist:{name}"), sha256: digest.sha256 })
    }));
    let mut versions = image.versions.clone();
    versions.insert("wamr-lab".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let machine = place.virtual_machine();
    if let Some(machine) = machine {
        versions.insert("qemu".to_owned(), machine.qemu.clone());
    }
    let node = place.view();
    let mounts = fs::read_to_string(node.proc.root().join("1/mounts")).unwrap_or_default();
    let digests: BTreeMap<String, String> = image
        .workloads
        .iter()
        .map(|(name, workload)| (name.clone(), workload.manifest_digest.clone()))
        .collect();
    Environment {
        kernel_release: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        // A named model is shown under emulation, too, so the one who started it is asked first.
        emulated: machine.is_some_and(|machine| machine.accelerator == Accelerator::Tcg)
            || cpu_model.contains("QEMU TCG"),
        hypervisor: hypervisor(&cpuinfo),
        cpus: std::thread::available_parallelism().map_or(0, |count| count.get() as u32),
        memory_bytes: crate::sample::meminfo::parse(&read("/proc/meminfo"))
            .map_or(0, |meminfo| meminfo.total_bytes),
        cpu_model,
        provider: place.provider().to_owned(),
        cgroup_mode: cgroup_mode(&mounts).to_owned(),
        transparent_hugepages: chosen_word(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
        control_plane: match experiment.control_plane {
            ControlPlaneSpeed::Stock => "stock",
            ControlPlaneSpeed::Unthrottled => "unthrottled",
            ControlPlaneSpeed::None => "none",
        }
        .to_owned(),
        versions,
        programs,
        images: digests,
    }
}

/// The first "model name" of /proc/cpuinfo.
fn cpu_model(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(String::new, |(_, model)| model.trim().to_owned())
}

/// Vendor and product of the virtual machine, if the processor says that it is in one.
fn hypervisor(cpuinfo: &str) -> Option<String> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    flags.split_whitespace().find(|flag| *flag == "hypervisor")?;
    let dmi = |name: &str| {
        let text = fs::read_to_string(format!("/sys/class/dmi/id/{name}")).ok()?;
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let names: Vec<String> = ["sys_vendor", "product_name"].into_iter().filter_map(dmi).collect();
    Some(if names.is_empty() { "unnamed".to_owned() } else { names.join(" ") })
}

/// `v1`, `v2` or `hybrid` by a table of mounts: only the kinds below /sys/fs/cgroup count.
///
/// Source: proc_mounts(5); systemd's CGROUP_DELEGATION.md names the three.
pub fn cgroup_mode(mounts: &str) -> &'static str {
    let kinds = |wanted: &str| {
        mounts.lines().any(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            matches!(fields.as_slice(), [_, at, kind, ..]
                if *kind == wanted && at.starts_with("/sys/fs/cgroup"))
        })
    };
    match (kinds("cgroup"), kinds("cgroup2")) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    }
}

/// The word in brackets of `always [madvise] never`.
fn chosen_word(text: &str) -> String {
    let word = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    word.map_or_else(String::new, |(word, _)| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_modes() {
        let v1 = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
        let v2 = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        let unified = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let elsewhere = "cgroup2 /run/other cgroup2 rw 0 0\n";
        for (mounts, want) in [
            (v1.to_owned(), "v1"),
            (v2.to_owned(), "v2"),
            ([v1, unified].concat(), "hybrid"),
            ([v1, elsewhere].concat(), "v1"),
            (String::new(), "none"),
        ] {
            assert_eq!(cgroup_mode(&mounts), want, "{mounts}");
        }
    }

    #[test]
    fn words_and_models() {
        assert_eq!(chosen_word("always [madvise] never\n"), "madvise");
        assert_eq!(chosen_word(""), "");
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: A  B\nflags\t: x\n"), "A  B");
        assert_eq!(hypervisor("flags\t: fpu vme\n"), None);
        assert!(hypervisor("flags\t: fpu hypervisor\n").is_some());
    }
}

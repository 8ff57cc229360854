//! The facts of the machine that a run was made on: `environment.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wamr_image::NodeImage;
use wamr_node::vm::Accelerator;
use wamr_record::cell::Program;
use wamr_record::environment::{ClusterNode, Environment};
use wamr_record::experiment::{ControlPlaneSpeed, Experiment};
use wamr_record::manifest::digest_file;

use crate::cluster_node::programs::PROGRAMS;
use crate::disturbances::Disturbances;
use crate::place::Place;

/// What a machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -m`.
    pub architecture: String,
    /// "model name" of /proc/cpuinfo.
    pub cpu_model: String,
    /// Processors online.
    pub cpus: u32,
    /// MemTotal.
    pub memory_bytes: u64,
    /// `v1`, `v2` or `hybrid`, as the node sees it.
    pub cgroup_mode: String,
    /// Vendor and product of the virtual machine that it is.
    pub hypervisor: Option<String>,
    /// The chosen word.
    pub transparent_hugepages: String,
    /// What moves its memory by itself.
    pub warnings: Vec<String>,
}

impl MachineFacts {
    /// Reads the facts of this machine; `mounts` is the node's table of mounts. What cannot be read
    /// is empty or absent, never invented.
    pub fn read(mounts: &str) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        Self {
            kernel_release: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            cpu_model: cpu_model(&cpuinfo),
            cpus: std::thread::available_parallelism().map_or(0, |count| count.get() as u32),
            memory_bytes: crate::sample::meminfo::parse(&read("/proc/meminfo"))
                .map_or(0, |meminfo| meminfo.total_bytes),
            cgroup_mode: cgroup_mode(mounts).to_owned(),
            hypervisor: hypervisor(&cpuinfo),
            transparent_hugepages: chosen_word(&read(
                "/sys/kernel/mm/transparent_hugepage/enabled",
            )),
            warnings: Disturbances::read(Path::new("/")).warnings(),
        }
    }
}

/// The environment of a run on one node.
pub fn of_place(
    experiment: &Experiment,
    image: &NodeImage,
    place: &Place,
    programs_dir: &Path,
) -> Environment {
    let machine = place.virtual_machine();
    let node = place.view();
    let mounts = fs::read_to_string(node.proc.root().join("1/mounts")).unwrap_or_default();
    let facts = MachineFacts::read(&mounts);
    let mut versions = image.versions.clone();
    if let Some(machine) = machine {
        versions.insert("qemu".to_owned(), machine.qemu.clone());
    }
    Environment {
        provider: place.provider().to_owned(),
        // A named model is shown under emulation, too, so the one who started it is asked first.
        emulated: machine.is_some_and(|machine| machine.accelerator == Accelerator::Tcg)
            || is_emulated(&facts),
        programs: image.programs.iter().cloned().chain(own_programs(programs_dir)).collect(),
        versions: with_own(versions),
        ..of_machine(experiment, image, facts)
    }
}

/// The environment of a run on the nodes of a cluster, whose facts and names `nodes` has. Of the
/// node image only the workloads took part.
pub fn of_cluster(
    experiment: &Experiment,
    image: &NodeImage,
    nodes: BTreeMap<String, (MachineFacts, ClusterNode)>,
    programs_dir: &Path,
) -> Option<Environment> {
    let facts = of_machines(nodes.values())?;
    Some(Environment {
        provider: "cluster".to_owned(),
        emulated: is_emulated(&facts),
        programs: own_programs(programs_dir).collect(),
        versions: with_own(BTreeMap::new()),
        nodes: nodes.into_iter().map(|(name, (_, node))| (name, node)).collect(),
        ..of_machine(experiment, image, facts)
    })
}

fn of_machine(experiment: &Experiment, image: &NodeImage, facts: MachineFacts) -> Environment {
    Environment {
        kernel_release: facts.kernel_release,
        architecture: facts.architecture,
        cpu_model: facts.cpu_model,
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        cgroup_mode: facts.cgroup_mode,
        hypervisor: facts.hypervisor,
        transparent_hugepages: facts.transparent_hugepages,
        control_plane: match experiment.control_plane {
            ControlPlaneSpeed::Stock => "stock",
            ControlPlaneSpeed::Unthrottled => "unthrottled",
            ControlPlaneSpeed::AsIs => "as-is",
            ControlPlaneSpeed::None => "none",
        }
        .to_owned(),
        images: image
            .workloads
            .iter()
            .map(|(name, workload)| (name.clone(), workload.manifest_digest.clone()))
            .collect(),
        provider: String::new(),
        emulated: false,
        versions: BTreeMap::new(),
        programs: Vec::new(),
        nodes: BTreeMap::new(),
    }
}

/// What the nodes of one run are made of, as one: of a component with several versions each one,
/// and the programs of all.
pub fn together<'a>(images: impl Iterator<Item = &'a NodeImage>) -> NodeImage {
    let mut images = images.cloned();
    let mut all = images.next().unwrap_or_else(|| NodeImage {
        rootfs: PathBuf::new(),
        versions: BTreeMap::new(),
        programs: Vec::new(),
        workloads: BTreeMap::new(),
    });
    for image in images {
        for (name, version) in image.versions {
            let known = all.versions.entry(name).or_insert_with(|| version.clone());
            if !known.split(", ").any(|one| one == version) {
                known.push_str(", ");
                known.push_str(&version);
            }
        }
        let new = image.programs.into_iter().filter(|program| !all.programs.contains(program));
        let new: Vec<Program> = new.collect();
        all.programs.extend(new);
        all.workloads.extend(image.workloads);
    }
    all
}

/// The facts of several machines as one: sums, and each word that differs. A machine counts once.
fn of_machines<'a>(
    nodes: impl Iterator<Item = &'a (MachineFacts, ClusterNode)>,
) -> Option<MachineFacts> {
    let machines: BTreeMap<&str, &MachineFacts> =
        nodes.map(|(facts, node)| (node.machine.as_str(), facts)).collect();
    let facts = || machines.values().copied();
    let words = |of: fn(&MachineFacts) -> &str| {
        let words: BTreeSet<&str> = facts().map(of).collect();
        words.into_iter().collect::<Vec<_>>().join(", ")
    };
    Some(MachineFacts {
        kernel_release: words(|facts| &facts.kernel_release),
        cpu_model: words(|facts| &facts.cpu_model),
        cpus: facts().map(|facts| facts.cpus).sum(),
        memory_bytes: facts().map(|facts| facts.memory_bytes).sum(),
        cgroup_mode: words(|facts| &facts.cgroup_mode),
        transparent_hugepages: words(|facts| &facts.transparent_hugepages),
        ..facts().next()?.clone()
    })
}

fn is_emulated(facts: &MachineFacts) -> bool {
    facts.cpu_model.contains("QEMU TCG")
}

/// Digests of the programs of this workspace that take part.
fn own_programs(dir: &Path) -> impl Iterator<Item = Program> {
    PROGRAMS.into_iter().chain(["wamr-lab"]).filter_map(move |name| {
        let digest = digest_file(&dir.join(name)).ok()?;
        Some(Program { path: format!("dist:{name}"), sha256: digest.sha256 })
    })
}

fn with_own(mut versions: BTreeMap<String, String>) -> BTreeMap<String, String> {
    versions.insert("wamr-lab".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    versions
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

    #[test]
    fn machines_add_up_and_words_that_differ_are_listed() {
        let node = |machine: &str, cpu_model: &str| {
            let facts = MachineFacts {
                cpu_model: cpu_model.to_owned(),
                cpus: 2,
                memory_bytes: 100,
                ..MachineFacts::read("")
            };
            let node = ClusterNode {
                machine: machine.to_owned(),
                without_pods: false,
                kernel_release: String::new(),
                cpu_model: cpu_model.to_owned(),
                cpus: 2,
                memory_bytes: 100,
                cgroup_mode: String::new(),
                kubelet: String::new(),
                container_runtime: String::new(),
            };
            (facts, node)
        };
        let shared = [node("m", "a"), node("m", "a")];
        let facts = of_machines(shared.iter()).unwrap();
        assert_eq!((facts.cpus, facts.memory_bytes, facts.cpu_model.as_str()), (2, 100, "a"));
        let apart = [node("m", "b"), node("n", "a")];
        let facts = of_machines(apart.iter()).unwrap();
        assert_eq!((facts.cpus, facts.memory_bytes, facts.cpu_model.as_str()), (4, 200, "a, b"));
        assert_eq!(of_machines([].iter()), None);
    }

    #[test]
    fn images_of_one_run_name_what_differs() {
        let image = |containerd: &str, sha256: &str| {
            let program = |path: &str, sha256: &str| Program {
                path: path.to_owned(),
                sha256: sha256.to_owned(),
            };
            let versions = [("containerd", containerd), ("runc", "1.5.1")];
            NodeImage {
                rootfs: "/".into(),
                versions: versions.map(|(name, of)| (name.to_owned(), of.to_owned())).into(),
                programs: vec![program("/containerd", sha256), program("/runc", "r")],
                workloads: BTreeMap::new(),
            }
        };
        let images = [image("v2.2.9", "a"), image("v2.3.7", "b"), image("v2.2.9", "a")];
        let all = together(images.iter());
        assert_eq!(all.versions["containerd"], "v2.2.9, v2.3.7");
        assert_eq!(all.versions["runc"], "1.5.1");
        let digests: Vec<&str> = all.programs.iter().map(|one| one.sha256.as_str()).collect();
        assert_eq!(digests, ["a", "r", "b"]);
        assert_eq!(together(images[..1].iter()), images[0]);
    }
}

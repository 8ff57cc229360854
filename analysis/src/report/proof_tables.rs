//! Tables of what ran: evidence per system, digests, environment, versions.

use wamr_record::environment::Environment;

use super::memory_tables::class;
use super::table::{Cell, Table};
use crate::format::{clean, gb, shorten};
use crate::study::Study;

/// What each system ran, and how many containers prove it.
pub fn evidence(study: &Study) -> Table {
    let note = "Proven: the running process shows the engine that its row in runtimes.toml names. \
                In place: its cgroup lies below its pod's.";
    let mut table = Table::new("evidence", "What really ran", note)
        .words("Runtime", "runtime")
        .words("Handler", "handler")
        .words("Running process", "exe");
    let evidence = || study.systems.iter().filter_map(|system| system.evidence.as_ref());
    let has_engines = evidence().any(|evidence| !evidence.engines.is_empty());
    if has_engines {
        table = table.words("Engine", "engine");
    }
    table = table.words("Engine proven", "engine_proven").words("In place", "cgroup_in_pod");
    let columns = if has_engines { 6 } else { 5 };
    for system in &study.systems {
        let mut cells = vec![Cell::words(&system.title)];
        if let Some(evidence) = &system.evidence {
            cells.push(Cell::code(&evidence.handlers.join(" ")));
            cells.push(Cell::code(&shorten(&evidence.executables.join(" "), 120)));
            if has_engines {
                cells.push(Cell::code(&shorten(&evidence.engines.join(" "), 120)));
            }
            cells.push(Cell::words(&format!("{} of {}", evidence.proven, evidence.pods)));
            cells.push(Cell::words(&format!("{} of {}", evidence.placed, evidence.pods)));
        } else {
            cells.resize(columns, Cell::words("no evidence"));
        }
        table.row(class(system), cells);
    }
    table
}

/// Digests of every file of each system.
pub fn digests(study: &Study) -> Table {
    let note = "Read through /proc/PID/exe for running processes; two digests for one path would \
                mean that the file changed during the run.";
    let mut table = Table::new("digests", "Digests of what ran", note)
        .words("Runtime", "runtime")
        .words("Part", "part")
        .words("Path", "path")
        .words("sha256", "sha256");
    for system in &study.systems {
        for file in system.evidence.iter().flat_map(|evidence| &evidence.files) {
            let cells = vec![
                Cell::words(&system.title),
                Cell::words(file.part),
                Cell::code(&file.path),
                Cell::code(&file.sha256),
            ];
            table.row(class(system), cells);
        }
    }
    table
}

/// Facts of the machine, the most important first.
pub fn machine(environment: &Environment) -> Vec<(&'static str, String)> {
    let processors = format!("{} × {}", environment.cpus, clean(&environment.cpu_model));
    let emulated = if environment.emulated {
        "emulated processor: no time of this run counts"
    } else {
        "real processor, not emulated"
    };
    let node = match environment.provider.as_str() {
        "native" => "native: namespaces on this machine".to_owned(),
        "vm" => "vm: a virtual machine".to_owned(),
        "cluster" => "cluster: an existing Kubernetes cluster".to_owned(),
        other => clean(other),
    };
    let hypervisor = match environment.hypervisor.as_deref() {
        None => "none seen".to_owned(),
        Some("unnamed") => "yes, its hypervisor gives no name".to_owned(),
        Some(name) => clean(name),
    };
    vec![
        ("Emulation", emulated.to_owned()),
        ("Processors", processors),
        ("Memory", gb(environment.memory_bytes)),
        ("Virtual machine", hypervisor),
        ("Node", node),
        (
            "Kernel",
            format!("{}, {}", clean(&environment.kernel_release), clean(&environment.architecture)),
        ),
        ("cgroups", clean(&environment.cgroup_mode)),
        ("Control plane", clean(&environment.control_plane)),
        ("Transparent huge pages", clean(&environment.transparent_hugepages)),
    ]
}

/// The machine's facts as a table, for its CSV file.
pub fn machine_table(environment: &Environment) -> Table {
    let mut table =
        Table::new("machine", "Machine and node", "").words("Fact", "fact").words("Value", "value");
    for (fact, value) in machine(environment) {
        table.row("", vec![Cell::words(fact), Cell::words(&value)]);
    }
    table
}

/// The nodes of a run on a cluster.
pub fn nodes(study: &Study) -> Option<Table> {
    let note = "Nodes with the same machine share a kernel, and its memory counts once.";
    let mut table = Table::new("nodes", "Nodes that were measured together", note)
        .words("Node", "node")
        .words("Machine", "machine")
        .words("Takes pods", "takes_pods")
        .words("Processors", "cpus")
        .words("Memory", "memory_bytes")
        .words("Kernel", "kernel_release")
        .words("cgroups", "cgroup_mode")
        .words("Kubelet", "kubelet")
        .words("Container runtime", "container_runtime");
    for (name, node) in &study.environment.nodes {
        let cells = vec![
            Cell::words(&clean(name)),
            Cell::words(&clean(&node.machine)),
            Cell::words(if node.without_pods { "no" } else { "yes" }),
            Cell::words(&format!("{} × {}", node.cpus, clean(&node.cpu_model))),
            Cell::words(&gb(node.memory_bytes)),
            Cell::words(&clean(&node.kernel_release)),
            Cell::words(&clean(&node.cgroup_mode)),
            Cell::words(&clean(&node.kubelet)),
            Cell::words(&clean(&node.container_runtime)),
        ];
        table.row("", cells);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Versions of the stack.
pub fn versions(environment: &Environment) -> Table {
    let mut table = Table::new("versions", "Versions", "")
        .words("Component", "component")
        .words("Version", "version");
    for (component, version) in &environment.versions {
        table.row("", vec![Cell::words(component), Cell::words(version)]);
    }
    table
}

/// Digests of the stack's programs and of the workload images.
pub fn stack(environment: &Environment) -> Table {
    let mut table = Table::new("stack", "Digests of the node's stack", "")
        .words("Kind", "kind")
        .words("Name", "name")
        .words("Digest", "digest");
    for program in &environment.programs {
        let cells =
            vec![Cell::words("program"), Cell::code(&program.path), Cell::code(&program.sha256)];
        table.row("", cells);
    }
    for (image, digest) in &environment.images {
        table.row("", vec![Cell::words("image"), Cell::code(image), Cell::code(digest)]);
    }
    table
}

//! Tables of memory: by every measure, its parts, the idle container.

use super::table::{Cell, Table};
use crate::attribution::PARTS;
use crate::format::{count, kb, mb, shorten};
use crate::group::Group;
use crate::measure::Measure;
use crate::study::Study;
use crate::system::System;

/// Mappings of a container that get a line of their own.
const MAX_MAPPINGS: usize = 8;

/// System and density: the first two cells of most rows.
pub fn head(study: &Study, group: &Group) -> Vec<Cell> {
    let system = &study.systems[group.key.system];
    vec![Cell::words(&system.title), Cell::whole(u64::from(group.key.pods))]
}

/// How the page marks rows of `system`.
pub fn class(system: &System) -> &'static str {
    if system.ours { "ours" } else { "" }
}

/// Adds a row for each group.
fn of_measures(study: &Study, mut table: Table, measures: &[Measure]) -> Table {
    for group in &study.groups {
        table.row(class(&study.systems[group.key.system]), row(study, group, measures, mb));
    }
    table
}

/// A group's row: system, density, and the measures.
pub fn row(
    study: &Study,
    group: &Group,
    measures: &[Measure],
    show: fn(f64) -> String,
) -> Vec<Cell> {
    let mut cells = head(study, group);
    cells.extend(measures.iter().map(|measure| Cell::summary(group.values.get(measure), show)));
    cells
}

/// Memory per pod by every measure and both estimators.
pub fn memory(study: &Study) -> Table {
    let columns = [
        ("free", Measure::FreePaper),
        ("free, bracket", Measure::FreeBracket),
        ("available", Measure::AvailablePaper),
        ("available, bracket", Measure::AvailableBracket),
        ("used", Measure::UsedPaper),
        ("used, bracket", Measure::UsedBracket),
        ("metrics-server, node", Measure::NodeMetrics),
        ("metrics-server, node, bracket", Measure::NodeMetricsBracket),
        ("metrics-server, pod", Measure::PodMetrics),
        ("drift of free", Measure::FreeDrift),
        ("drift of available", Measure::AvailableDrift),
    ];
    let note = "Without “bracket”: plateau minus before, as in the paper. With it: plateau minus \
                the mean of before and after. Drift: after minus before, what did not come back.";
    let mut table = Table::new("memory", "Memory per pod by every measure", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods");
    for (title, measure) in columns {
        table = table.spread(title, "MB", measure.key());
    }
    of_measures(study, table, &columns.map(|column| column.1))
}

/// Every system relative to ours.
pub fn ratios(study: &Study) -> Option<Table> {
    let columns = [
        ("free", Measure::FreePaper),
        ("available, bracket", Measure::AvailableBracket),
        ("metrics-server, node", Measure::NodeMetrics),
        ("metrics-server, pod", Measure::PodMetrics),
        ("all pods started", Measure::StartLast),
        ("half of the pods started", Measure::StartP50),
    ];
    let ours = &study.reference()?.title;
    let note = format!(
        "How many times as much as {ours} at the same density; below 1 the other system is better."
    );
    let mut table = Table::new("ratios", format!("Relative to {ours}"), note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods");
    for (title, measure) in columns {
        let key = measure.key().trim_end_matches("_ns").trim_end_matches("_per_pod");
        table = table.spread(title, "×", &format!("{}_ratio", key.trim_end_matches("_bytes")));
    }
    for group in study.groups.iter().filter(|group| !group.ratios.is_empty()) {
        let mut cells = head(study, group);
        for (_, measure) in columns {
            let is_time = matches!(measure, Measure::StartLast | Measure::StartP50);
            let ratio =
                group.ratios.get(&measure).filter(|_| !(is_time && study.environment.emulated));
            cells.push(Cell::ratio(ratio));
        }
        table.row("", cells);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// What one more pod costs, where there are several densities.
pub fn slopes(study: &Study) -> Option<Table> {
    let note = "Slope over the number of pods (Theil–Sen): what one more pod costs once the first \
                ones run. Fixed: what does not depend on the number of pods.";
    let mut table = Table::new("slopes", "Cost of one more pod", note)
        .words("Runtime", "runtime")
        .number("Densities", "", "densities")
        .spread("free", "MB", "free_slope_bytes_per_pod")
        .number("available", "MB", "available_slope_bytes_per_pod")
        .number("fixed, by free", "MB", "free_fixed_bytes");
    for slope in &study.slopes {
        let system = &study.systems[slope.system];
        let cells = vec![
            Cell::words(&system.title),
            Cell::whole(slope.densities as u64),
            Cell::with_spread(Some((slope.free_bytes_per_pod, slope.free_spread)), mb),
            Cell::number(slope.available_bytes_per_pod, mb),
            Cell::number(Some(slope.free_fixed_bytes), mb),
        ];
        table.row(class(system), cells);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Names of the parts of a pod's memory.
pub fn part_title(part: Measure) -> &'static str {
    match part {
        Measure::PartContainerPrivate => "container, private",
        Measure::PartContainerShared => "container, share of shared pages",
        Measure::PartPause => "pause",
        Measure::PartShim => "shim",
        Measure::PartDaemons => "growth of the daemons",
        Measure::PartPageCache => "page cache",
        Measure::PartKernel => "kernel",
        _ => "rest",
    }
}

/// Parts of a pod's memory.
pub fn parts(study: &Study) -> Table {
    let note = "What free lost between two moments: before the pods and with them, each right \
                before a walk over all processes. Processes count by their proportional set size; \
                page cache is what none of them maps, the kernel's part is listed below. A rest \
                of more than 5 % is marked under “Validity”.";
    let mut table = Table::new("attribution", "Where the memory of a pod is", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods");
    let mut measures = PARTS.to_vec();
    measures.push(Measure::PartRest);
    for &part in &measures {
        table = table.spread(part_title(part), "MB", part.key());
    }
    for (title, measure) in
        [("sum, at the walks", Measure::PartsTaken), ("pod by free", Measure::FreePaper)]
    {
        measures.push(measure);
        table = table.spread(title, "MB", measure.key());
    }
    of_measures(study, table, &measures)
}

/// The same memory by every source that was asked.
pub fn sources(study: &Study) -> Table {
    let columns = [
        ("node: free", Measure::FreePaper),
        ("node: available", Measure::AvailablePaper),
        ("node: control group, no page cache", Measure::NodeCgroup),
        ("node: processes (smaps)", Measure::Processes),
        ("node: metrics-server", Measure::NodeMetrics),
        ("node: kubelet, summary", Measure::SummaryNode),
        ("node: kubelet, resource", Measure::ResourceNode),
        ("pod: control group", Measure::PodCgroup),
        ("pod: kubelet, summary", Measure::SummaryPod),
        ("pod: kubelet, resource", Measure::ResourcePod),
        ("containers: kubelet, resource", Measure::ResourceContainers),
        ("containers: metrics-server", Measure::PodMetrics),
    ];
    let note = "“node” is the growth of a figure of the node, divided by the pods; “pod” is a \
                pod's own working set with its sandbox, “containers” that of its containers \
                alone, both medians over the pods. The kubelet looks every ten to \
                twenty seconds, metrics-server asks it once per scrape interval; only what was \
                looked at after the last start counts. A control group's files are read on the \
                spot.";
    let mut table = Table::new("sources", "Memory per pod by source", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods");
    for (title, measure) in columns {
        table = table.spread(title, "MB", measure.key());
    }
    of_measures(study, table, &columns.map(|column| column.1))
}

/// What grows besides the pods' own processes.
pub fn growth(study: &Study) -> Table {
    let columns = [
        ("containerd", Measure::GrowthContainerd),
        ("kubelet", Measure::GrowthKubelet),
        ("control plane", Measure::GrowthControlPlane),
        ("metrics-server", Measure::GrowthMetricsServer),
        ("lab", Measure::GrowthLab),
        ("other processes", Measure::GrowthOther),
        ("slab", Measure::KernelSlab),
        ("kernel stacks", Measure::KernelStacks),
        ("page tables", Measure::KernelPageTables),
        ("per-processor", Measure::KernelPercpu),
        ("vmalloc", Measure::KernelVmalloc),
        ("sockets", Measure::KernelSockets),
    ];
    let note = "Per pod. The first six split “growth of the daemons”; the others but the last \
                split “kernel”. The lab's own growth is taken out of every figure of the node \
                where a run knows it. Sockets: what TCP and UDP have set aside, in part slab and \
                in part “rest”.";
    let mut table = Table::new("growth", "Growth of the daemons and of the kernel", note)
        .words("Runtime", "runtime")
        .number("Pods", "", "pods");
    for (title, measure) in columns {
        table = table.spread(title, "kB", measure.key());
    }
    for group in &study.groups {
        let measures = columns.map(|column| column.1);
        table.row(class(&study.systems[group.key.system]), row(study, group, &measures, kb));
    }
    table
}

/// Private memory of an idle container.
pub fn private(study: &Study) -> Table {
    let note = "Private_Clean + Private_Dirty of the workload's process on the plateau, over all \
                containers of the valid cells.";
    let mut table = Table::new("private", "Private memory of an idle container", note)
        .words("Runtime", "runtime")
        .number("Containers", "", "containers")
        .number("Median", "kB", "private_median_bytes")
        .number("Smallest", "kB", "private_min_bytes")
        .number("Largest", "kB", "private_max_bytes")
        .number("Share of shared pages", "kB", "shared_median_bytes")
        .number("Resident", "kB", "rss_median_bytes");
    for system in &study.systems {
        let of = |figure: fn(&crate::attribution::PrivateMemory) -> f64| {
            Cell::number(system.private.as_ref().map(figure), kb)
        };
        let cells = vec![
            Cell::words(&system.title),
            Cell::whole(system.private.as_ref().map_or(0, |private| private.containers as u64)),
            of(|private| private.median_bytes),
            of(|private| private.min_bytes),
            of(|private| private.max_bytes),
            of(|private| private.shared_median_bytes),
            of(|private| private.rss_median_bytes),
        ];
        table.row(class(system), cells);
    }
    table
}

/// The same by mapping.
pub fn mappings(study: &Study) -> Option<Table> {
    let note = "Median over the containers whose mappings were read; the largest mappings, then \
                the sum of the others.";
    let mut table = Table::new("mappings", "Private memory by mapping", note)
        .words("Runtime", "runtime")
        .words("Mapping", "mapping")
        .number("Private", "kB", "private_bytes")
        .number("Containers read", "", "containers");
    for system in &study.systems {
        let Some(private) = &system.private else { continue };
        let (listed, others) =
            private.by_mapping.split_at(private.by_mapping.len().min(MAX_MAPPINGS));
        let mut row = |name: Cell, bytes: f64| {
            let containers = Cell::whole(private.mapped_containers as u64);
            let cells =
                vec![Cell::words(&system.title), name, Cell::number(Some(bytes), kb), containers];
            table.row(class(system), cells);
        };
        for (name, bytes) in listed {
            row(Cell::code(&shorten(name, 120)), *bytes);
        }
        if !others.is_empty() {
            let sum = others.iter().map(|other| other.1).sum();
            row(Cell::words(&count(others.len(), "other", "others")), sum);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

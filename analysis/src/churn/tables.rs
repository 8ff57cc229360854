//! The tables of a churn report. Pure.

use super::trends::{ChurnStudy, Figure, Flatness, System};
use crate::format::{MB, NONE, fixed};
use crate::report::table::{Cell, Table};

/// What is compared between systems: subject, figure, how it is called.
const COMPARED: [(&str, &str, &str); 22] = [
    ("shim", "anon_bytes", "shim, anonymous memory"),
    ("shim", "pss_bytes", "shim, PSS"),
    ("shim", "descriptors", "shim, descriptors"),
    ("shim", "processes", "shim, processes"),
    ("containers", "anon_bytes", "containers, anonymous memory"),
    ("containers", "processes", "containers, processes"),
    ("node", "mounts", "mounts"),
    ("node", "control_groups", "control groups"),
    ("node", "network_namespaces", "network namespaces"),
    ("node", "interfaces", "network interfaces"),
    ("node", "unix_sockets", "Unix sockets"),
    ("node", "run_files", "files in /run"),
    ("containerd", "anon_bytes", "containerd, anonymous memory"),
    ("containerd", "descriptors", "containerd, descriptors"),
    ("kubelet", "anon_bytes", "kubelet, anonymous memory"),
    ("kubelet", "descriptors", "kubelet, descriptors"),
    ("kube-apiserver", "anon_bytes", "kube-apiserver, anonymous memory"),
    ("etcd", "anon_bytes", "etcd, anonymous memory"),
    ("kernel", "slab_unreclaimable_bytes", "slab, unreclaimable"),
    ("kernel", "slab_reclaimable_bytes", "slab, reclaimable"),
    ("kernel", "percpu_bytes", "per-processor areas"),
    ("kernel", "memory_groups", "memory control groups, by the kernel"),
];

/// What one start leaves behind, the systems beside each other.
pub fn compared(study: &ChurnStudy) -> Table {
    let note = "Bytes, or number, per start of a container: Theil–Sen slope over the readings with \
                its 95 % interval, without the first tenth of the starts. Flat: the interval's \
                upper end is at most 16 bytes, or one in a thousand starts; grows: its lower \
                end is above that; open: more starts would tell.";
    let title = "What one start leaves behind";
    let mut table = Table::new("per-start", title, note).words("Figure", "figure");
    for (index, system) in study.systems.iter().enumerate() {
        table = table.spread(&system.about.title, "per start", &key(index, system));
    }
    for (subject, name, words) in COMPARED {
        let figure = |system: &'_ System| system.figure(subject, name).cloned();
        let found: Vec<Option<Figure>> = study.systems.iter().map(figure).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        let ours = found.iter().flatten().any(|figure| figure.ours);
        let cells = std::iter::once(Cell::words(words));
        let cells = cells.chain(found.iter().map(|figure| per_start(figure.as_ref()))).collect();
        table.row(if ours { "ours" } else { "" }, cells);
    }
    table
}

/// Where each figure began and ended.
pub fn ends(study: &ChurnStudy) -> Table {
    let note = "At the first reading and at the last; memory in MB of 10⁶ bytes.";
    let title = "At the first and at the last reading";
    let mut table = Table::new("first-last", title, note).words("Figure", "figure");
    for (index, system) in study.systems.iter().enumerate() {
        let keys = ["first", "last"].map(|end| format!("{}_{end}", key(index, system)));
        table = table
            .number(&format!("{}, first", system.about.title), "", &keys[0])
            .number("last", "", &keys[1]);
    }
    for (subject, name, words) in COMPARED {
        let found: Vec<Option<&Figure>> =
            study.systems.iter().map(|system| system.figure(subject, name)).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        let show: fn(f64) -> String = if name.ends_with("_bytes") {
            |value| fixed(value / MB, 1)
        } else {
            |value| fixed(value, 0)
        };
        let both = |figure: Option<&Figure>| {
            [figure.map(|figure| figure.first), figure.map(|figure| figure.last)]
                .map(|value| Cell::number(value, show))
        };
        let cells = std::iter::once(Cell::words(words));
        table.row("", cells.chain(found.into_iter().flat_map(both)).collect());
    }
    table
}

/// Every figure of every system, for its CSV file.
pub fn all(study: &ChurnStudy) -> Table {
    let mut table = Table::new("trends", "Every figure", "")
        .words("System", "system")
        .words("Subject", "subject")
        .words("Figure", "figure")
        .words("Ours", "ours")
        .number("First", "", "first")
        .number("Last", "", "last")
        .spread("Per start", "", "per_start")
        .words("Verdict", "verdict");
    for system in &study.systems {
        for figure in &system.figures {
            let whole = |value: f64| Cell::number(Some(value), |value| fixed(value, 0));
            let cells = vec![
                Cell::words(&system.about.runtime),
                Cell::words(&figure.subject),
                Cell::words(&figure.figure),
                Cell::words(if figure.ours { "yes" } else { "no" }),
                whole(figure.first),
                whole(figure.last),
                per_start(Some(figure)),
                Cell::words(figure.flatness.word()),
            ];
            table.row("", cells);
        }
    }
    table
}

/// The systems and how far each came.
pub fn systems(study: &ChurnStudy) -> Table {
    let note = "Each on a node of its own, one after the other.";
    let mut table = Table::new("systems", "Systems", note)
        .words("System", "system")
        .words("Workload", "workload")
        .words("containerd", "containerd")
        .number("Starts", "", "starts")
        .number("Starts per second", "", "starts_per_s")
        .words("What is ours", "verdict");
    for system in &study.systems {
        let about = &system.about;
        let seconds = (about.end_ns - about.begin_ns) as f64 / 1e9;
        let rate = (seconds > 0.0).then(|| f64::from(about.starts) / seconds);
        let cells = vec![
            Cell::words(&about.title),
            Cell::words(&about.workload),
            Cell::words(about.containerd.as_deref().unwrap_or(NONE)),
            Cell::whole(about.starts.into()),
            Cell::number(rate, |rate| fixed(rate, 1)),
            Cell::words(&words_on_ours(system)),
        ];
        table.row(if about.ours { "ours" } else { "" }, cells);
    }
    table
}

/// `flat`, or what grows and what is open of what is this project's.
fn words_on_ours(system: &System) -> String {
    let ours = || system.figures.iter().filter(|figure| figure.ours);
    if ours().next().is_none() {
        return NONE.to_owned();
    }
    let of = |flatness: Flatness| -> Vec<String> {
        ours()
            .filter(|figure| figure.flatness == flatness)
            .map(|figure| format!("{} {}", figure.subject, figure.figure))
            .collect()
    };
    let (grows, open) = (of(Flatness::Grows), of(Flatness::Open));
    match (grows.is_empty(), open.is_empty()) {
        (true, true) => "flat".to_owned(),
        (true, false) => format!("not certain: {}", open.join(", ")),
        (false, _) => format!("not flat: {}", grows.join(", ")),
    }
}

fn key(index: usize, system: &System) -> String {
    format!("{}_{}", index + 1, system.about.runtime.replace('-', "_"))
}

/// A slope with its interval and its word.
fn per_start(figure: Option<&Figure>) -> Cell {
    let Some((figure, trend)) = figure.and_then(|figure| Some((figure, figure.per_start?))) else {
        return Cell { raw: vec![String::new(); 3], text: NONE.to_owned(), ..Cell::default() };
    };
    let decimals = if figure.is_memory() { 0 } else { 4 };
    let show = |value: f64| fixed(value, decimals);
    Cell {
        text: format!("{} {}", show(trend.slope), figure.flatness.word()),
        detail: format!("{} to {}", show(trend.low), show(trend.high)),
        raw: [trend.slope, trend.low, trend.high].map(|value| value.to_string()).to_vec(),
        ..Cell::default()
    }
}

//! The page of a churn report.

use super::tables;
use super::trends::{ChurnStudy, Flatness};
use crate::figure::Figure;
use crate::figure::forms::finish;
use crate::figure::series::{Curve, SeriesChart};
use crate::format::{MB, count, duration, fixed, join, utc};
use crate::report::page::{Page, Section};
use crate::report::proof_tables;
use crate::terminal;
use crate::verdict::Verdict;

/// What is drawn: name of the file, subject, figure, title.
const DRAWN: [(&str, &str, &str, &str); 5] = [
    ("churn-shim", "shim", "anon_bytes", "Anonymous memory of all shims"),
    ("churn-containerd", "containerd", "anon_bytes", "Anonymous memory of containerd"),
    ("churn-kubelet", "kubelet", "anon_bytes", "Anonymous memory of the kubelet"),
    ("churn-slab", "kernel", "slab_unreclaimable_bytes", "Slab that cannot be reclaimed"),
    ("churn-mounts", "node", "mounts", "Mounts"),
];

/// Puts the report together.
pub fn page(study: &ChurnStudy) -> Page {
    let environment = &study.environment;
    let section = |id, title, figures, tables| Section { id, title, figures, tables };
    Page {
        title: crate::format::shorten(&format!("Churn: {}", study.run.title), 200),
        generator: study.generator.clone(),
        verdict: verdict(study),
        notices: notices(study),
        provenance: provenance(study),
        machine: proof_tables::machine(environment),
        sections: vec![
            section("result", "Result", Vec::new(), vec![tables::systems(study)]),
            section(
                "per-start",
                "What a start leaves behind",
                Vec::new(),
                vec![tables::compared(study), tables::ends(study)],
            ),
            section("over-time", "Over the starts", drawn(study), Vec::new()),
            section(
                "environment",
                "Environment",
                Vec::new(),
                vec![proof_tables::versions(environment), proof_tables::stack(environment)],
            ),
        ],
        method: method(study),
        glossary: GLOSSARY.to_vec(),
        verdicts: None,
        every_number: "trends",
        data_tables: vec![tables::all(study), proof_tables::machine_table(environment)],
    }
}

/// The result for a terminal.
pub fn summary(study: &ChurnStudy) -> String {
    let verdict = verdict(study);
    let mut lines = vec![verdict.headline, provenance(study)];
    lines.extend(notices(study));
    lines.push(String::new());
    lines.extend(terminal::table(&tables::compared(study)));
    lines.push(String::new());
    lines.extend(terminal::table(&tables::systems(study)));
    lines.join("\n") + "\n"
}

fn verdict(study: &ChurnStudy) -> Verdict {
    let ours = || study.systems.iter().filter(|system| system.about.ours);
    let flatness = || {
        let figures = ours().flat_map(|system| &system.figures);
        figures.filter(|figure| figure.ours).map(|figure| figure.flatness)
    };
    let headline = if flatness().next().is_none() {
        "None of this project's systems is in this run: the figures stand alone."
    } else if flatness().any(|one| one == Flatness::Grows) {
        "Not flat: over this run something of this project grew with the starts."
    } else if flatness().any(|one| one == Flatness::Open) {
        "Nothing of this project grows for certain, but not everything is certainly flat."
    } else {
        "Flat: nothing of this project grows with the starts."
    };
    // The table of systems says of each what grows.
    Verdict { headline: headline.to_owned(), findings: Vec::new() }
}

fn notices(study: &ChurnStudy) -> Vec<String> {
    let mut notices = Vec::new();
    if !study.complete {
        notices.push(
            "The run was broken off. What was read until then is shown; a system may have fewer \
             starts than the others, or be missing."
                .to_owned(),
        );
    }
    if !study.defects.is_empty() {
        notices.push(format!(
            "The run directory has {}. The report was asked for nevertheless; its figures prove \
             nothing until they are explained.",
            count(study.defects.len(), "defect", "defects")
        ));
    }
    if study.collected.is_empty() {
        notices.push(
            "The daemons' heaps were left as they were: those of Go programs saw up and down, and \
             their slopes are rough."
                .to_owned(),
        );
    }
    notices
}

fn provenance(study: &ChurnStudy) -> String {
    let run = &study.run;
    format!(
        "Run {}, begun {}, {} long, {}; {} files compared with their sha256.",
        run.name,
        utc(run.begin_ns),
        duration(run.end_ns as f64 - run.begin_ns as f64),
        count(study.systems.len(), "system", "systems"),
        fixed(run.files_compared as f64, 0),
    )
}

fn method(study: &ChurnStudy) -> Vec<String> {
    let heaps = if study.collected.is_empty() {
        String::new()
    } else {
        format!(" Before each reading {} collect their heaps.", join(&study.collected))
    };
    vec![
        format!(
            "A Deployment of {} pods runs through Kubernetes on a node that nothing else uses. The \
             {} oldest pods are deleted together; when they are gone and their successors run, the \
             next are, until {} containers were started.",
            study.pods, study.replaced, study.starts
        ),
        format!(
            "In between all programs of the node are read (smaps_rollup, open descriptors, \
             threads), /proc/meminfo, and what containers have on a node: mounts in the mount \
             namespaces outside of pods, control groups of all hierarchies, network namespaces, \
             interfaces, Unix sockets, files in /run.{heaps}"
        ),
        format!(
            "The slope per start is the Theil–Sen line through the readings; its interval is \
             Sen's, from Kendall's variance with its term for ties, raised by Hamed and Rao's \
             factor for neighbours that are alike. The first tenth of the starts is left out, and \
             as many starts as replace every pod once. Memory is flat up to {} bytes per start, \
             half of the smallest piece of glibc's malloc; a count up to {} per start.",
            fixed(study.flat_bytes, 0),
            study.flat_count
        ),
        "The kubelet removes dead sandboxes up to a minute later, so counts move without growing. \
         Events are deleted at each reading: etcd would keep them for an hour."
            .to_owned(),
    ]
}

/// Words of this page.
const GLOSSARY: [(&str, &str); 4] = [
    ("start", "A container that Kubernetes started, the first ones included."),
    ("shim", "All processes of containerd's shims together, whoever made them."),
    ("containers", "All processes in control groups of pods, pause processes included."),
    ("PSS", "Proportional set size: a page that n processes map counts 1/n for each."),
];

fn drawn(study: &ChurnStudy) -> Vec<Figure> {
    let chart = |&(slug, subject, name, title): &(&'static str, &str, &str, &str)| {
        let is_memory = name.ends_with("_bytes");
        let unit = if is_memory { MB } else { 1.0 };
        let curves: Vec<Curve> = study
            .systems
            .iter()
            .filter_map(|system| {
                let points = system.series.0.get(&(subject.to_owned(), name.to_owned()))?;
                let points = points.iter().map(|point| (point.0, point.1 / unit)).collect();
                Some(Curve { title: system.about.title.clone(), points })
            })
            .collect();
        if curves.is_empty() {
            return None;
        }
        let caption = if is_memory { "MB (10⁶ bytes)" } else { "number" };
        let chart = SeriesChart { curves, caption: format!("starts; upright: {caption}") };
        let words = "Each line is a system on a node of its own; the axis does not begin at zero.";
        Some(finish(slug, title, words, |room| chart.draw(room)))
    };
    DRAWN.iter().filter_map(chart).collect()
}

//! `wamr-lab churn`

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::json;
use wamr_image::NodeImage;
use wamr_node::runtimes::RuntimeKind;
use wamr_node::{NativeNode, NodeConfig};
use wamr_record::churn::{self, Churn, ChurnSystem};
use wamr_record::experiment::{Controller, Experiment, Heaps, Series};

use super::local_run::{CONTAINERD, heaps_of};
use super::{Context, node_config, require_root};
use crate::churn::plan::Plan;
use crate::churn::rounds::{self, Churning};
use crate::churn::series::SeriesFile;
use crate::cli::ChurnArgs;
use crate::clock::now_ns;
use crate::cluster::kubernetes::Cluster;
use crate::cluster::manifest::Batch;
use crate::cluster::namespace_thread;
use crate::environment::{self, together};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::matrix::planned_cells;
use crate::observer::sampler::Sampler;
use crate::place::Place;
use crate::releases::Releases;
use crate::run_dir::journal::{HEAPS, Journal};
use crate::run_dir::manifest::{Story, finish};
use crate::run_dir::session::default_dir;
use crate::run_dir::writer::RunWriter;
use crate::{experiment, report};

/// What all systems of a run have in common.
struct Run<'a> {
    context: &'a Context,
    plan: Plan,
    systems: Vec<System>,
    dir: RunWriter,
    journal: Journal,
    interrupt: Interrupt,
}

/// A system and what its node is made of.
struct System {
    experiment: Experiment,
    image: NodeImage,
    config: NodeConfig,
}

impl System {
    /// Builds what is missing.
    fn prepare(context: &Context, experiment: Experiment, releases: &Releases) -> Result<Self> {
        let cells = planned_cells(&experiment, &context.runtimes, releases);
        let release = cells.first().and_then(|cell| cell.containerd);
        let image = node_config::image_of(context, &experiment, release)?;
        let config = node_config::of_cells(context, &experiment, &cells, &image)?;
        Ok(Self { experiment, image, config })
    }
}

/// Measures each system on a node of its own, until all are done or the user stops it; the report
/// can be made either way.
///
/// # Errors
/// The command line makes no sense, a node does not come up or dies, pods do not start.
pub fn churn(context: &Context, arguments: &ChurnArgs) -> Result<ExitCode> {
    let plan = Plan::new(arguments.pods, arguments.share, arguments.starts, arguments.readings)?;
    let experiments = arguments
        .systems
        .iter()
        .map(|system| experiment_of(context, &plan, system))
        .map(|parsed| parsed.map(|it| Experiment { heaps: heaps_wanted(arguments), ..it }))
        .collect::<Result<Vec<_>>>()?;
    require_root("churn")?;
    let interrupt = Interrupt::listen()?;
    let releases = Releases::of_image()?;
    let systems = experiments
        .into_iter()
        .map(|experiment| System::prepare(context, experiment, &releases))
        .collect::<Result<Vec<_>>>()?;
    let dir = RunWriter::create(&arguments.out.clone().unwrap_or_else(|| default_dir("churn")))?;
    let journal = Journal::create(&dir)?;
    let run = Run { context, plan, systems, dir, journal, interrupt };
    let begin_ns = now_ns();
    run.journal.note("begin", None, json!({ "title": plan.title() }));
    let mut written = Churn {
        pods: plan.pods,
        replaced: plan.replaced,
        starts: plan.starts,
        complete: false,
        collected: Vec::new(),
        systems: Vec::new(),
    };
    let measured = run.systems.iter().enumerate().try_for_each(|(index, system)| {
        if run.interrupt.is_asked() { Ok(()) } else { run.system(index, system, &mut written) }
    });
    let stopped = run.interrupt.is_asked();
    written.complete = measured.is_ok() && !stopped;
    run.write(&written, begin_ns)?;
    measured?;
    let dir = run.dir.dir();
    anstream::println!("run: {}", dir.display());
    report::show_summary(&context.programs_dir, dir);
    Ok(if stopped { EXIT_INTERRUPTED.into() } else { ExitCode::SUCCESS })
}

/// The experiment whose only cell has the pods of `system`: `RUNTIME` or `RUNTIME:WORKLOAD`.
fn experiment_of(context: &Context, plan: &Plan, system: &str) -> Result<Experiment> {
    let (runtime, workload) = match system.split_once(':') {
        Some((runtime, workload)) => (runtime, Some(workload)),
        None => (system, None),
    };
    let row = context.runtimes.get(runtime);
    let first = row.and_then(|row| row.workloads.first()).map(String::as_str);
    let workload = workload.or(first).unwrap_or_default();
    let text = format!(
        "title = \"churn\"\nprovider = \"native\"\ncontrol_plane = \"unthrottled\"\n\
         controller = \"deployment\"\nseed = 1\nrepetitions = 1\ndensities = [{}]\n\
         [[series]]\nruntime = {runtime:?}\nworkload = {workload:?}\n\
         [timing]\nsettle_window_s = 3\nsettle_max_s = 6\nsettle_slope_kib_per_s = 64\n\
         plateau_samples = 1\nmetrics_scrapes = 0\npod_deadline_s = 300\n",
        plan.pods
    );
    experiment::parse(system, &text, &context.runtimes)
        .map_err(|error| miette::Report::from(*error))
}

fn heaps_wanted(arguments: &ChurnArgs) -> Heaps {
    if arguments.collect_heaps { Heaps::Collected } else { Heaps::AsTheyAre }
}

impl Run<'_> {
    /// Brings a node up, measures one system and takes the node down.
    fn system(&self, index: usize, system: &System, written: &mut Churn) -> Result<()> {
        let Self { context, journal, interrupt, .. } = self;
        let System { experiment, image, config } = system;
        let series = &experiment.series[0];
        let name = format!("{:02}-{}-{}", index + 1, series.runtime, series.workload);
        interrupt.arm();
        journal.note("system-begin", None, json!({ "name": name }));
        let up = NativeNode::up(config, &context.progress).map(Place::Native);
        if interrupt.is_asked() {
            // An interrupted bring-up may also have failed for that very reason.
            return up.map_or(Ok(()), |node| node.leave(&context.progress));
        }
        let node = up?;
        if written.systems.is_empty() {
            let images = together(self.systems.iter().map(|system| &system.image));
            let facts = environment::of_place(experiment, &images, &node, &context.programs_dir);
            self.dir.write_json("environment.json", &facts)?;
        }
        let row = &context.runtimes[&series.runtime];
        let batch = Batch {
            name: "churn".to_owned(),
            controller: Controller::Deployment,
            pods: self.plan.pods,
            arrival: None,
            sandbox_only: false,
            handler: row.handler.clone(),
            image: image
                .workloads
                .get(&series.workload)
                .ok_or_else(|| miette!("the node image has no workload {:?}", series.workload))?
                .reference
                .clone(),
            annotations: row.pod_annotations.clone(),
            node_label: None,
        };
        let mut file = SeriesFile::create(&self.dir, &format!("series/{name}.csv"))?;
        let begin_ns = now_ns();
        let measured = self.measure(experiment, &node, &batch, &mut file);
        let dead = node.check();
        let left = node.leave(&context.progress);
        written.systems.push(ChurnSystem {
            runtime: series.runtime.clone(),
            title: row.title.clone(),
            workload: series.workload.clone(),
            containerd: image.versions.get(CONTAINERD).cloned(),
            ours: row.ours,
            shim_is_ours: row.ours && row.kind == RuntimeKind::Shim,
            file: file.name().to_owned(),
            starts: file.last().unwrap_or(0),
            begin_ns,
            end_ns: now_ns(),
        });
        let (collected, measured) = match measured {
            Ok(collected) => (collected, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        let known: BTreeSet<String> =
            written.collected.drain(..).chain(collected.into_iter().map(str::to_owned)).collect();
        written.collected = known.into_iter().collect();
        match (measured, dead) {
            // A daemon that died explains the error better than what came of it.
            (Err(error), Err(cause)) => Err(cause.wrap_err(format!("the node broke: {error}"))),
            (measured, dead) => measured.and(dead).and(left),
        }
    }

    /// Replaces pods on a node that is up, until it is enough or the user stops it; returns whose
    /// heaps were collected.
    fn measure(
        &self,
        experiment: &Experiment,
        node: &Place,
        batch: &Batch,
        file: &mut SeriesFile,
    ) -> Result<Vec<&'static str>> {
        let Series { runtime, .. } = &experiment.series[0];
        let title = format!("{} × {runtime}", self.plan.pods);
        let step = self.context.progress.counted(&title, u64::from(self.plan.starts));
        let view = node.view();
        let network: OwnedFd = node
            .network_namespace()
            .into_diagnostic()
            .wrap_err("open the node's network namespace")?;
        let measured = namespace_thread::block_on(Some(&network), || async {
            let cluster = Cluster::connect(&node.kubeconfig(), Controller::Deployment).await?;
            let heaps = heaps_of(experiment, node, &view.root).await?;
            self.journal.note(HEAPS, None, json!({ "collected": heaps.names() }));
            let sampler = Sampler::open(view, node.memory_cgroup(), node.root_cgroup())?;
            let on = Churning {
                cluster: &cluster,
                sampler: &sampler,
                heaps: &heaps,
                journal: &self.journal,
            };
            tokio::select! {
                done = rounds::churn(&on, batch, &self.plan, file, &step) => done?,
                () = self.interrupt.asked() => self.journal.note("interrupted", None, json!({})),
            }
            Ok(heaps.names())
        });
        match &measured {
            Ok(_) => step.done(&format!("{} starts", file.last().unwrap_or(0))),
            Err(_) => step.failed("pods could not be replaced"),
        }
        measured
    }

    /// Writes what was measured, and the manifest.
    fn write(&self, written: &Churn, begin_ns: i64) -> Result<()> {
        self.dir.write_json(churn::NAME, written)?;
        self.journal.note("end", None, json!({ "complete": written.complete }));
        let title = self.plan.title();
        let heaps_collected = written.collected.clone();
        let story = Story { title: &title, begin_ns, heaps_collected, ..Story::default() };
        finish(&self.dir, story)
    }
}

#[test]
fn the_systems_of_the_default_are_there() {
    use clap::Parser;

    use crate::cli::{Cli, Command};

    let Command::Churn(arguments) = Cli::parse_from(["wamr-lab", "churn"]).command else {
        panic!("not churn")
    };
    let context = Context {
        cache: "/nonexistent".into(),
        programs_dir: "/nonexistent".into(),
        runtimes: wamr_node::runtimes::parse_table(experiment::RUNTIMES).unwrap(),
        progress: wamr_progress::Progress::new(),
    };
    let plan = Plan::new(20, 10, 200, 20).unwrap();
    let series =
        |system: &str| experiment_of(&context, &plan, system).map(|it| it.series[0].clone());
    let workloads: Vec<String> =
        arguments.systems.iter().map(|system| series(system).unwrap().workload).collect();
    assert_eq!(workloads, ["microservice-wasm", "microservice-wasm", "microservice-native"]);
    assert_eq!(series("wamr-shim:http-wasm").unwrap().workload, "http-wasm");
    for wrong in ["nothing", "runc-native:http-wasm", "pause", ""] {
        assert!(series(wrong).is_err(), "{wrong:?}");
    }
}

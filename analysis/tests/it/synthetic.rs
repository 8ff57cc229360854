//! Synthetic run directories whose true figures are known: what the estimators must find again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;
use wamr_record::cell::{
    Cell, ContainerEvidence, Evidence, Phase, PhaseName, Pod, ProcessMemory, Program, Role, Verdict,
};
use wamr_record::manifest::{Manifest, digest_file};
use wamr_record::sample::{Meminfo, Reading, Sample};

use super::surroundings::{environment, experiment, kubelet};

/// First instant of every synthetic run: 2026-01-02 03:04:05 UTC.
pub const BEGIN_NS: i64 = 1_767_323_045_000_000_000;

const SECOND_NS: i64 = 1_000_000_000;
const MB: i64 = 1_000_000;

/// A system with known costs.
#[derive(Debug, Clone)]
pub struct Model {
    /// Row of runtimes.toml.
    pub runtime: &'static str,
    /// Its name in figures.
    pub title: &'static str,
    /// Language of its workload.
    pub language: &'static str,
    /// Its workload.
    pub workload: &'static str,
    /// Version of the containerd that ran it, in runs that say so.
    pub containerd: Option<&'static str>,
    /// True for ours.
    pub ours: bool,
    /// Bytes of MemFree per pod.
    pub free_bytes: i64,
    /// Bytes of MemAvailable per pod.
    pub available_bytes: i64,
    /// Bytes that the first pod costs on top.
    pub fixed_bytes: i64,
    /// Private bytes of a container.
    pub private_bytes: u64,
    /// Nanoseconds from one pod's start to the next's.
    pub start_step_ns: i64,
    /// The same above 200 pods, where it is another.
    pub dense_step_ns: Option<i64>,
}

impl Model {
    fn step_ns(&self, pods: u32) -> i64 {
        self.dense_step_ns.filter(|_| pods > 200).unwrap_or(self.start_step_ns)
    }
}

/// Three systems like those of the demonstration.
pub fn models() -> Vec<Model> {
    let model = |runtime, title, language, workload| Model {
        runtime,
        title,
        language,
        workload,
        containerd: None,
        ours: runtime == "wamr-crun",
        free_bytes: 6 * MB,
        available_bytes: 5 * MB,
        fixed_bytes: 0,
        private_bytes: 280_000,
        start_step_ns: 90_000_000,
        dense_step_ns: None,
    };
    vec![
        model("wamr-crun", "wamr-crun (WAMR)", "wasm", "microservice-wasm"),
        Model {
            free_bytes: 16 * MB,
            available_bytes: 15 * MB,
            private_bytes: 9_700_000,
            start_step_ns: 130_000_000,
            ..model("crun-wasmedge", "crun-WasmEdge", "wasm", "microservice-wasm")
        },
        Model {
            free_bytes: 9_700_000,
            available_bytes: 9 * MB,
            private_bytes: 3_300_000,
            start_step_ns: 80_000_000,
            ..model("runc-python", "runC-Python", "python", "microservice-python")
        },
    ]
}

/// What to generate.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Systems.
    pub models: Vec<Model>,
    /// Densities.
    pub densities: Vec<u32>,
    /// Repetitions.
    pub repetitions: u32,
    /// Samples of each level.
    pub samples: u32,
    /// True if the processor was emulated.
    pub emulated: bool,
    /// Bytes by which readings and repetitions differ.
    pub noise_bytes: i64,
    /// Bytes per second by which the node grows without any pods.
    pub drift_bytes_per_s: i64,
    /// Pods that metrics-server knows, at most: fewer make a smaller run.
    pub pods_in_metrics: u32,
    /// Verdicts other than valid: runtime, density, repetition.
    pub verdicts: Vec<(&'static str, u32, u32, Verdict)>,
    /// Cells that the plan asks for and the run lacks.
    pub absent: Vec<(&'static str, u32, u32)>,
    /// Releases of containerd that the plan compares: then there is a model for each.
    pub releases: &'static [&'static str],
}

impl Recipe {
    /// One repetition at ten pods, exact.
    pub fn demo() -> Self {
        Self {
            models: models(),
            densities: vec![10],
            repetitions: 1,
            samples: 5,
            emulated: false,
            noise_bytes: 0,
            drift_bytes_per_s: 0,
            pods_in_metrics: u32::MAX,
            verdicts: Vec::new(),
            absent: Vec::new(),
            releases: &[],
        }
    }
}

/// Noise without a random generator: even, between -1 and 1, the same every time.
fn wave(seed: i64) -> f64 {
    let mixed = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)) % 2001) as f64 / 1000.0 - 1.0
}

/// Writes a run at `dir`, manifest last.
pub fn write_run(dir: &Path, recipe: &Recipe) {
    fs::create_dir_all(dir.join("cells")).unwrap();
    fs::write(dir.join("experiment.toml"), experiment(recipe)).unwrap();
    write_json(&dir.join("environment.json"), &environment(recipe));
    let mut order = 0;
    let mut now_ns = BEGIN_NS;
    for repetition in 1..=recipe.repetitions {
        for &pods in &recipe.densities {
            for index in 0..recipe.models.len() {
                let model = &recipe.models[(index + repetition as usize) % recipe.models.len()];
                let key = (model.runtime, pods, repetition);
                if recipe.absent.contains(&key) {
                    continue;
                }
                now_ns = CellWriter { recipe, model, pods, repetition, order }.write(dir, now_ns);
                order += 1;
            }
        }
    }
    let journal = format!(
        "{{\"at_ns\":{BEGIN_NS},\"step\":\"begin\"}}\n{{\"at_ns\":{now_ns},\"step\":\"end\"}}\n"
    );
    fs::write(dir.join("journal.ndjson"), journal).unwrap();
    write_manifest(dir, now_ns);
}

/// Writes the manifest of what lies at `dir` now.
pub fn write_manifest(dir: &Path, end_ns: i64) {
    let mut files = BTreeMap::new();
    collect(dir, "", &mut files);
    files.remove("manifest.json");
    let manifest = Manifest {
        schema_version: 1,
        run: "synthetic".to_owned(),
        title: "Synthetic run with known figures".to_owned(),
        lab_version: "0.1.0".to_owned(),
        begin_ns: BEGIN_NS,
        end_ns,
        resumed_ns: Vec::new(),
        only: Vec::new(),
        heaps_collected: Vec::new(),
        files,
    };
    write_json(&dir.join("manifest.json"), &manifest);
}

fn collect(
    dir: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, wamr_record::manifest::FileDigest>,
) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, digest_file(&entry.path()).unwrap());
        }
    }
}

struct CellWriter<'a> {
    recipe: &'a Recipe,
    model: &'a Model,
    pods: u32,
    repetition: u32,
    order: u32,
}

impl CellWriter<'_> {
    /// Writes the cell that begins at `begin_ns`; returns when it ends.
    fn write(&self, dir: &Path, begin_ns: i64) -> i64 {
        let (model, pods) = (self.model, self.pods);
        let id = format!(
            "{:04}-{}-{}-n{pods}-r{}",
            self.order, model.runtime, model.workload, self.repetition
        );
        let dir = dir.join("cells").join(&id);
        fs::create_dir_all(&dir).unwrap();
        let phases = self.phases(begin_ns);
        let end_ns = phases[5].end_ns;
        let key = (model.runtime, pods, self.repetition);
        let verdict = self.recipe.verdicts.iter().find(|other| (other.0, other.1, other.2) == key);
        let verdict = verdict.map_or(Verdict::Valid { notes: Vec::new() }, |found| found.3.clone());
        let requested_ns = phases[1].begin_ns;
        write_lines(&dir.join("samples.ndjson"), &self.samples(&phases));
        write_lines(&dir.join("pods.ndjson"), &self.pods(requested_ns));
        write_lines(&dir.join("attribution.ndjson"), &self.attribution());
        if !matches!(verdict, Verdict::Failed { .. }) {
            write_json(&dir.join("evidence.json"), &self.evidence());
        }
        let cell = Cell {
            id,
            order: self.order,
            runtime: model.runtime.to_owned(),
            runtime_title: model.title.to_owned(),
            runtime_remark: None,
            ours: model.ours,
            language: model.language.to_owned(),
            workload: model.workload.to_owned(),
            containerd: model.containerd.map(str::to_owned),
            pods,
            arrival: None,
            exceeded: Vec::new(),
            repetition: self.repetition,
            phases,
            verdict,
        };
        write_json(&dir.join("cell.json"), &cell);
        end_ns
    }

    fn phases(&self, begin_ns: i64) -> Vec<Phase> {
        let ramp_ns = self.model.step_ns(self.pods) * i64::from(self.pods) + SECOND_NS;
        let level_ns = i64::from(self.recipe.samples) * SECOND_NS;
        let lengths = [
            (PhaseName::Before, level_ns),
            (PhaseName::Ramp, ramp_ns),
            (PhaseName::Settle, 4 * SECOND_NS),
            (PhaseName::Plateau, level_ns),
            (PhaseName::Delete, 3 * SECOND_NS),
            (PhaseName::After, level_ns),
        ];
        let mut begin_ns = begin_ns;
        let phases = lengths.into_iter().map(|(name, length_ns)| {
            let phase = Phase { name, begin_ns, end_ns: begin_ns + length_ns };
            begin_ns = phase.end_ns;
            phase
        });
        phases.collect()
    }

    fn samples(&self, phases: &[Phase]) -> Vec<Sample> {
        let mut samples = Vec::new();
        for phase in phases {
            let seconds = (phase.end_ns - phase.begin_ns) / SECOND_NS;
            for second in 0..seconds.max(1) {
                let taken_ns = phase.begin_ns + second * SECOND_NS;
                let running = match phase.name {
                    PhaseName::Before | PhaseName::After => 0,
                    PhaseName::Settle | PhaseName::Plateau => self.pods,
                    PhaseName::Ramp => (i64::from(self.pods) * second / seconds.max(1)) as u32,
                    PhaseName::Delete => {
                        self.pods - (i64::from(self.pods) * second / seconds.max(1)) as u32
                    }
                };
                let sample = |reading| Sample {
                    taken_ns,
                    phase: phase.name,
                    pods_running: running,
                    reading,
                };
                let meminfo = self.meminfo(taken_ns, running);
                samples.push(sample(Reading::Meminfo(meminfo)));
                if second % 3 == 0 {
                    self.metrics(taken_ns, running, &meminfo, &mut |reading| {
                        samples.push(sample(reading));
                    });
                }
                if second == 0 && [PhaseName::Before, PhaseName::Plateau].contains(&phase.name) {
                    let pods = running.min(self.recipe.pods_in_metrics);
                    let readings = kubelet(self.model.private_bytes, pods, taken_ns, &meminfo);
                    samples.extend(readings.into_iter().map(sample));
                }
            }
        }
        samples
    }

    fn meminfo(&self, taken_ns: i64, running: u32) -> Meminfo {
        let (recipe, model) = (self.recipe, self.model);
        let elapsed_s = (taken_ns - BEGIN_NS) / SECOND_NS;
        let noise = recipe.noise_bytes as f64 * wave(taken_ns / SECOND_NS);
        let cost = f64::from(running) * recipe.noise_bytes as f64 / 4.0
            * wave(i64::from(self.repetition) * 31 + i64::from(self.order));
        let drift = recipe.drift_bytes_per_s * elapsed_s + (noise + cost) as i64;
        let fixed = if running > 0 { model.fixed_bytes } else { 0 };
        let taken = |bytes: i64| i64::from(running) * bytes + fixed + drift;
        let total: i64 = 250_000_000_000;
        let kernel = u64::from(running) * 100_000;
        // What no figure may see: pages wander between the processors' lists and MemFree.
        let lists = 20_000_000 + (taken_ns / SECOND_NS % 7) * 9_000_000;
        // Nor what the lab itself takes and gives back.
        let lab = 2_000_000 + (taken_ns / SECOND_NS % 5) * 700_000 + i64::from(running) * 10_000;
        // 2 % of a pod have no name; page cache fills up to there. See `attribution` for the rest.
        let named = model.private_bytes as i64 + 5_010_000;
        let cached = u64::try_from(model.free_bytes * 98 / 100 - named).unwrap_or(0);
        Meminfo {
            total_bytes: total as u64,
            free_bytes: (total - 4_000_000_000 - taken(model.free_bytes) - lists - lab) as u64,
            available_bytes: (total - 1_500_000_000 - taken(model.available_bytes) - lists - lab)
                as u64,
            buffers_bytes: 100_000_000,
            cached_bytes: 2_400_000_000 + u64::from(running) * (300_000 + cached),
            anon_bytes: 900_000_000,
            shmem_bytes: 50_000_000,
            slab_bytes: 300_000_000 + kernel * 8,
            slab_reclaimable_bytes: 200_000_000,
            kernel_stack_bytes: 10_000_000 + kernel * 2,
            page_tables_bytes: 20_000_000 + kernel,
            percpu_bytes: 5_000_000,
            per_cpu_lists_bytes: lists as u64,
            secondary_page_tables_bytes: 0,
            vmalloc_bytes: 30_000_000 + kernel * 2 + kernel / 2,
            sockets_bytes: 200_000 + u64::from(running) * 8192,
            lab_bytes: lab as u64,
        }
    }

    /// The node's figure is always 100 MB below what is not available; every stamp comes twice.
    fn metrics(
        &self,
        taken_ns: i64,
        running: u32,
        meminfo: &Meminfo,
        push: &mut dyn FnMut(Reading),
    ) {
        let stamp_ns = taken_ns - taken_ns % (6 * SECOND_NS);
        let window_s = 12.5;
        push(Reading::MetricsServerNode {
            timestamp_ns: stamp_ns,
            window_s,
            working_set_bytes: meminfo.total_bytes - meminfo.all_available_bytes() - 100_000_000,
        });
        for pod in 0..running.min(self.recipe.pods_in_metrics) {
            push(Reading::MetricsServerPod {
                timestamp_ns: stamp_ns,
                window_s,
                pod: format!("pod-{pod}"),
                working_set_bytes: self.model.private_bytes + 50_000,
            });
        }
    }

    fn pods(&self, requested_ns: i64) -> Vec<Pod> {
        let pod = |index: u32| {
            let step_ns = self.model.step_ns(self.pods);
            let started_ns = requested_ns + step_ns * i64::from(index + 1);
            Pod {
                name: format!("pod-{index}"),
                uid: format!("uid-{index}"),
                container_id: Some(format!("container-{index}")),
                pid: Some(1000 + index),
                cgroup: Some(format!("/kubepods/pod-{index}/container-{index}")),
                node: None,
                requested_ns,
                scheduled_ns: Some(requested_ns + 5_000_000 * i64::from(index + 1)),
                sandbox_ns: None,
                created_ns: None,
                started_ns: None,
                running_ns: Some(started_ns + 40_000_000),
                first_instruction_ns: Some(started_ns),
                log_ns: Some(started_ns + 1_000_000),
                duration_ns: None,
            }
        };
        (0..self.pods).map(pod).collect()
    }

    fn attribution(&self) -> Vec<ProcessMemory> {
        let line = |role, phase, pid, exe: &str, bytes: u64| ProcessMemory {
            role,
            phase,
            pid,
            node: None,
            exe: exe.to_owned(),
            pod: None,
            rss_bytes: bytes + 500_000,
            pss_bytes: bytes + 100_000,
            pss_anon_bytes: bytes,
            pss_file_bytes: 100_000,
            private_clean_bytes: 0,
            private_dirty_bytes: bytes,
            private_by_mapping: BTreeMap::new(),
        };
        let daemons = [
            (Role::Containerd, "containerd", 300_000),
            (Role::Kubelet, "kubelet", 360_000),
            (Role::ControlPlane, "kube-apiserver", 440_000),
            (Role::Lab, "wamr-lab", 10_000),
        ];
        let mut lines = Vec::new();
        for (index, (role, exe, growth)) in daemons.into_iter().enumerate() {
            let pid = 100 + index as u32;
            lines.push(line(role, PhaseName::Before, pid, exe, 50_000_000));
            let grown = 50_000_000 + growth * u64::from(self.pods);
            lines.push(line(role, PhaseName::Plateau, pid, exe, grown));
        }
        for index in 0..self.pods {
            let private = self.model.private_bytes;
            let mut container = line(
                Role::Container,
                PhaseName::Plateau,
                1000 + index,
                "workload",
                private + u64::from(index % 10) * 4096,
            );
            container.pod = Some(format!("pod-{index}"));
            if index < 2 {
                container.private_by_mapping = BTreeMap::from([
                    ("[heap]".to_owned(), private / 2),
                    ("[stack]".to_owned(), 20_000),
                    ("/usr/bin/workload".to_owned(), private / 4),
                ]);
            }
            lines.push(container);
            lines.push(line(Role::Pause, PhaseName::Plateau, 3000 + index, "pause", 40_000));
            lines.push(line(
                Role::Shim,
                PhaseName::Plateau,
                5000 + index,
                "containerd-shim-runc-v2",
                2_400_000,
            ));
        }
        lines
    }

    fn evidence(&self) -> Evidence {
        let program =
            |path: &str, byte: &str| Program { path: path.to_owned(), sha256: byte.repeat(32) };
        let exe = format!("/usr/bin/{}", self.model.runtime);
        let container = |index: u32| ContainerEvidence {
            pod: format!("pod-{index}"),
            pid: 1000 + index,
            exe: exe.clone(),
            exe_sha256: "ab".repeat(32),
            mapped_programs: vec![exe.clone()],
            engine: Some(self.model.runtime.to_owned()),
            engine_proven: true,
            cgroup_in_pod: true,
        };
        Evidence {
            handler: self.model.runtime.to_owned(),
            programs: vec![program(&exe, "ab")],
            workload: program("/microservice.wasm", "cd"),
            containers: (0..self.pods).map(container).collect(),
        }
    }
}

/// Writes one JSON value.
pub fn write_json(path: &Path, value: &impl Serialize) {
    fs::write(path, serde_json::to_vec_pretty(value).unwrap()).unwrap();
}

fn write_lines(path: &Path, values: &[impl Serialize]) {
    let lines: Vec<String> =
        values.iter().map(|value| serde_json::to_string(value).unwrap()).collect();
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

//! The ramp: from the create call until every pod has printed its start stamp.

use std::collections::BTreeMap;
use std::time::Duration;

use miette::Result;
use tokio::time::{Instant, sleep};
use wamr_record::arrival::Arrival;
use wamr_record::cell::{PhaseName, Pod};
use wamr_record::sample::Sample;

use super::level::memory_samples;
use super::start_stamp::StartStamp;
use crate::clock::now_ns;
use crate::cluster::kubernetes::PodWatch;
use crate::cluster::manifest::Batch;
use crate::cluster::pod_table::SeenPod;
use crate::lab::Lab;

/// Between two looks at the watch's table and the logs; no stamp depends on it.
const POLL: Duration = Duration::from_millis(100);
/// After a pod failed, others may still tell more; then the cell is given up.
const FAILURE_GRACE: Duration = Duration::from_millis(500);

/// How the ramp went.
#[derive(Debug)]
pub struct Ramp {
    /// Just before the create call.
    pub requested_ns: i64,
    /// When the lab saw the last stamp.
    pub seen_end_ns: i64,
    /// One per pod that exists, by name.
    pub pods: Vec<Pod>,
    /// Memory, once a second.
    pub samples: Vec<Sample>,
    /// Why not all pods started; empty if they did.
    pub failures: Vec<String>,
    /// There is nothing in the pods that would print a stamp: they have started when they run.
    pub sandbox_only: bool,
}

impl Ramp {
    /// The last start stamp.
    pub fn last_start_ns(&self) -> Option<i64> {
        let stamp = |pod: &Pod| {
            if self.sandbox_only { pod.running_ns } else { pod.first_instruction_ns }
        };
        self.pods.iter().filter_map(stamp).max()
    }
}

/// Creates the batch and waits for its pods.
///
/// # Errors
/// The API refuses the Job, or memory cannot be read. Pods that do not start are no error here.
pub async fn ramp(lab: &Lab<'_>, batch: &Batch, watch: &PodWatch) -> Result<Ramp> {
    let begun = Instant::now();
    let requested_ns = now_ns();
    let last_offset_ns = |arrival: Arrival| arrival.offset_ns(batch.pods.saturating_sub(1));
    let arrived = Duration::from_nanos(batch.arrival.map_or(0, last_offset_ns));
    lab.cluster.create(batch, watch).await?;
    let mut stamps = BTreeMap::new();
    let (mut samples, mut next_sample) = (Vec::new(), Duration::ZERO);
    let mut failed_at = None;
    let failures = loop {
        if begun.elapsed() >= next_sample {
            next_sample += Duration::from_secs(1);
            let running = watch.table().running();
            samples.extend(memory_samples(lab, PhaseName::Ramp, running).await?);
        }
        read_stamps(lab, watch, &mut stamps).await?;
        if started(watch, &stamps, batch.sandbox_only) >= batch.pods {
            break Vec::new();
        }
        if !watch.table().has_failed() {
            failed_at = None;
        } else if failed_at.get_or_insert_with(Instant::now).elapsed() > FAILURE_GRACE {
            break failures(lab, watch).await;
        }
        if begun.elapsed() > arrived + lab.pod_deadline() {
            break late(watch, &stamps, batch.pods, lab.experiment.timing.pod_deadline_s);
        }
        sleep(POLL).await;
    };
    let pods = pods(lab, watch, &stamps, requested_ns).await?;
    let (seen_end_ns, sandbox_only) = (now_ns(), batch.sandbox_only);
    Ok(Ramp { requested_ns, seen_end_ns, pods, samples, failures, sandbox_only })
}

/// Reads the logs of pods that run and have no stamp yet.
async fn read_stamps(
    lab: &Lab<'_>,
    watch: &PodWatch,
    stamps: &mut BTreeMap<String, StartStamp>,
) -> Result<()> {
    let silent: Vec<(String, SeenPod)> = {
        let table = watch.table();
        let runs = table.pods.iter().filter(|(_, pod)| pod.runs);
        let silent = runs.filter(|(name, _)| !stamps.contains_key(*name));
        silent.map(|(name, pod)| (name.clone(), pod.clone())).collect()
    };
    if !silent.is_empty() {
        stamps.extend(lab.observers.stamps(&silent).await?);
    }
    Ok(())
}

/// Pods that run and have told when they began, if there is anything in them to tell.
fn started(watch: &PodWatch, stamps: &BTreeMap<String, StartStamp>, sandbox_only: bool) -> u32 {
    let table = watch.table();
    let started = |(name, pod): &(&String, &SeenPod)| {
        let told = sandbox_only || stamps.contains_key(*name);
        pod.runs && pod.container_id.is_some() && told
    };
    table.pods.iter().filter(started).count() as u32
}

/// Why pods will never run, or run no more.
pub async fn failures(lab: &Lab<'_>, watch: &PodWatch) -> Vec<String> {
    let failed = watch.table().failed();
    // A node that cannot be asked has no words to add; the reasons are Kubernetes'.
    let words = lab.observers.last_words(&failed).await.unwrap_or_default();
    watch.table().failures(|name, _| words.get(name).cloned())
}

/// What is missing when the time is over.
fn late(
    watch: &PodWatch,
    stamps: &BTreeMap<String, StartStamp>,
    wanted: u32,
    deadline_s: u32,
) -> Vec<String> {
    let table = watch.table();
    let mut reasons = vec![format!(
        "after {deadline_s} s: {} of {wanted} pods exist, {} run, {} printed their start stamp",
        table.pods.len(),
        table.running(),
        stamps.len()
    )];
    let waiting = table.pods.iter().filter(|(_, pod)| !pod.runs).take(3);
    reasons.extend(waiting.map(|(name, pod)| {
        format!("{name} waits for: {}", pod.waiting.as_deref().unwrap_or("a node"))
    }));
    reasons
}

/// The pods' lines, with process and control group of those that run.
async fn pods(
    lab: &Lab<'_>,
    watch: &PodWatch,
    stamps: &BTreeMap<String, StartStamp>,
    requested_ns: i64,
) -> Result<Vec<Pod>> {
    let seen: Vec<(String, SeenPod)> = watch.table().pods.clone().into_iter().collect();
    let containers = lab.observers.containers(&seen).await?;
    let line = |(name, pod): (String, SeenPod)| {
        let found = pod.container_id.as_ref().and_then(|id| containers.get(id));
        let stamp = stamps.get(&name);
        Pod {
            uid: pod.uid,
            pid: found.map(|found| found.pid),
            cgroup: found.and_then(|found| found.cgroup.clone()),
            node: pod.node.filter(|_| lab.observers.are_several()),
            container_id: pod.container_id,
            requested_ns: pod.requested_ns.unwrap_or(requested_ns),
            scheduled_ns: pod.scheduled_ns,
            sandbox_ns: pod.sandbox_ns,
            // Kubernetes' events tell, which are read when the pods are gone.
            created_ns: None,
            started_ns: None,
            running_ns: pod.running_ns,
            first_instruction_ns: stamp.map(|stamp| stamp.first_instruction_ns),
            log_ns: stamp.and_then(|stamp| stamp.log_ns),
            duration_ns: None,
            name,
        }
    };
    Ok(seen.into_iter().map(line).collect())
}

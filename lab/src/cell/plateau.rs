//! The plateau: all pods run, memory is level, every source is read.

use std::time::Duration;

use miette::Result;
use tokio::time::{Instant, MissedTickBehavior, interval};
use wamr_record::cell::PhaseName;
use wamr_record::sample::{Reading, Sample};

use super::level::{memory_samples, node_metrics_sample, pod_metrics_samples};
use crate::cluster::kubernetes::PodWatch;
use crate::lab::Lab;
use crate::sample::metrics_server::Scrapes;

/// What the plateau gave.
#[derive(Debug)]
pub struct Plateau {
    /// All readings, in the order of time.
    pub samples: Vec<Sample>,
    /// Fewest pods running at any of them.
    pub pods_running_min: u32,
    /// Distinct figures of metrics-server, of the node and of the pod with the fewest.
    pub scrapes: u32,
}

/// Goes on where the level windows ended: their readings are the plateau's first ones.
///
/// It ends when there are enough samples and metrics-server has given what is wanted, or has had
/// more time than it needs.
///
/// # Errors
/// Memory cannot be read.
pub async fn plateau(
    lab: &Lab<'_>,
    watch: &PodWatch,
    mut samples: Vec<Sample>,
    last_start_ns: i64,
) -> Result<Plateau> {
    let timing = &lab.experiment.timing;
    for sample in &mut samples {
        sample.phase = PhaseName::Plateau;
    }
    let resolution_s = u64::from(timing.metrics_resolution_s);
    let mut scrapes = Scrapes::after(last_start_ns + resolution_s as i64 * 1_000_000_000);
    let patience = metrics_patience(resolution_s, timing.metrics_scrapes);
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once; the last level sample was taken just now.
    ticks.tick().await;
    let mut tick = 0_u32;
    loop {
        let running = watch.table().running();
        if timing.metrics_scrapes > 0 && tick.is_multiple_of(2) {
            let phase = PhaseName::Plateau;
            samples.extend(node_metrics_sample(lab, phase, running, &mut scrapes).await);
            samples.extend(pod_metrics_samples(lab, phase, running, &mut scrapes).await);
        }
        let meminfos = samples.iter().filter(|sample| is_meminfo(sample)).count();
        let got = scrape_count(&scrapes, watch);
        let metrics_done = got >= timing.metrics_scrapes || begun.elapsed() > patience;
        if meminfos >= timing.plateau_samples as usize && metrics_done {
            let pods_running_min = samples.iter().map(|sample| sample.pods_running).min();
            return Ok(Plateau {
                samples,
                pods_running_min: pods_running_min.unwrap_or(0),
                scrapes: got,
            });
        }
        ticks.tick().await;
        tick += 1;
        let running = watch.table().running();
        samples.extend(memory_samples(lab, PhaseName::Plateau, running).await?);
    }
}

/// How long to wait for figures of metrics-server: two of the kubelet's readings of a pod, which
/// may lie 20 s apart, make a figure; one interval to fetch each, and one to spare.
fn metrics_patience(resolution_s: u64, scrapes: u32) -> Duration {
    const KUBELET_READING_S: u64 = 20;
    let scrapes = u64::from(scrapes);
    Duration::from_secs(2 * KUBELET_READING_S + resolution_s * (scrapes + 1))
}

/// True for a reading of `/proc/meminfo`.
pub fn is_meminfo(sample: &Sample) -> bool {
    matches!(sample.reading, Reading::Meminfo(_))
}

fn scrape_count(scrapes: &Scrapes, watch: &PodWatch) -> u32 {
    let table = watch.table();
    scrapes.node_count().min(scrapes.least_pod_count(table.pods.keys())) as u32
}

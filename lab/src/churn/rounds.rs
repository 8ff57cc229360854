//! Replaces the oldest pods, round by round, and reads the node in between.

use std::time::Duration;

use miette::{Result, miette};
use serde_json::json;
use tokio::time::{Instant, sleep};
use wamr_progress::Step;

use super::plan::Plan;
use super::series::SeriesFile;
use crate::clock::now_ns;
use crate::cluster::kubernetes::{Cluster, PodWatch};
use crate::cluster::manifest::Batch;
use crate::cluster::pod_table::PodTable;
use crate::heaps::Heaps;
use crate::observer::sampler::Sampler;
use crate::run_dir::journal::Journal;

const POLL: Duration = Duration::from_millis(50);
/// A round that takes longer will never end: some pod does not start or does not go.
const ROUND_LIMIT: Duration = Duration::from_mins(5);

/// What a system is measured with.
pub struct Churning<'a> {
    /// The node's API server.
    pub cluster: &'a Cluster,
    /// The node's files.
    pub sampler: &'a Sampler,
    /// The daemons whose heaps are collected before each reading.
    pub heaps: &'a Heaps,
    /// What happened.
    pub journal: &'a Journal,
}

/// Starts the pods of `batch` and replaces the oldest ones until `plan` is content.
///
/// # Errors
/// Pods do not start or do not go; the node cannot be read, or the series not be written.
pub async fn churn(
    on: &Churning<'_>,
    batch: &Batch,
    plan: &Plan,
    series: &mut SeriesFile,
    step: &Step,
) -> Result<()> {
    on.cluster.prepare_namespace().await?;
    let watch = on.cluster.watch(&batch.name);
    on.cluster.create(batch, &watch).await?;
    step.set("pods start");
    until(on, &watch, plan.pods, &[]).await?;
    let mut starts = plan.pods;
    loop {
        step.set_position(u64::from(starts));
        if plan.is_reading_due(series.last(), starts) {
            step.set("the node is read");
            read(on, starts, series).await?;
            step.set("pods are replaced");
        }
        if starts >= plan.starts {
            // The pods go with the node.
            return Ok(());
        }
        let leaving = oldest(&watch.table(), plan.replaced);
        on.cluster.delete_pods(&leaving).await?;
        until(on, &watch, plan.pods, &leaving).await?;
        starts += plan.replaced;
    }
}

/// Has heaps collected and Kubernetes' events forgotten, which etcd would keep for an hour; then
/// reads the node.
async fn read(on: &Churning<'_>, starts: u32, series: &mut SeriesFile) -> Result<()> {
    on.cluster.forget_events().await?;
    for (daemon, reason) in on.heaps.collect().await {
        on.journal.note("heap-not-collected", None, json!({ "daemon": daemon, "reason": reason }));
    }
    let (taken_ns, first) = (now_ns(), series.last().is_none());
    series.write(taken_ns, starts, super::figures::read(on.sampler)?)?;
    if first {
        on.journal.note("first-reading", None, json!({ "starts": starts }));
    }
    Ok(())
}

/// Waits until `pods` run and none of `leaving` is left.
async fn until(on: &Churning<'_>, watch: &PodWatch, pods: u32, leaving: &[String]) -> Result<()> {
    let begun = Instant::now();
    loop {
        let missing = missing(&watch.table(), pods, leaving);
        let Some(missing) = missing else { return Ok(()) };
        let failed = watch.table().watch_failure.clone();
        if failed.is_some() || begun.elapsed() > ROUND_LIMIT {
            let failures = watch.table().failures(|_, _| None);
            on.journal.note("round-failed", None, json!({ "why": failures, "missing": missing }));
            return Err(miette!(
                help = format!("what pods say: {}", failures.join("; ")),
                "after {} s {missing}",
                begun.elapsed().as_secs()
            ));
        }
        sleep(POLL).await;
    }
}

/// What a round still waits for; `None` once it is over. Pure.
fn missing(table: &PodTable, pods: u32, leaving: &[String]) -> Option<String> {
    let left = leaving.iter().filter(|name| table.pods.contains_key(*name)).count();
    let running = table.running();
    (left > 0 || running != pods)
        .then(|| format!("{running} of {pods} pods run, {left} deleted ones are left"))
}

/// The names of the `count` pods that have run longest. Pure.
fn oldest(table: &PodTable, count: u32) -> Vec<String> {
    let mut pods: Vec<(Option<i64>, &String)> =
        table.pods.iter().map(|(name, pod)| (pod.running_ns, name)).collect();
    pods.sort_unstable();
    pods.into_iter().take(count as usize).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod_table::SeenPod;

    fn table(pods: &[(&str, i64, bool)]) -> PodTable {
        let pod = |(name, running_ns, runs): &(&str, i64, bool)| {
            let seen = SeenPod { running_ns: Some(*running_ns), runs: *runs, ..SeenPod::default() };
            ((*name).to_owned(), seen)
        };
        PodTable { pods: pods.iter().map(pod).collect(), watch_failure: None }
    }

    #[test]
    fn the_oldest_go_first() {
        let table = table(&[("a", 7, true), ("b", 3, true), ("c", 5, true)]);
        assert_eq!(oldest(&table, 2), ["b", "c"]);
        assert_eq!(oldest(&table, 9).len(), 3);
    }

    #[test]
    fn a_round_ends_with_its_pods_running_and_the_deleted_ones_gone() {
        let leaving = ["a".to_owned()];
        for (case, pods, over) in [
            ("still there", vec![("a", 1, true), ("b", 2, true)], false),
            ("gone, none new", vec![("b", 2, true)], false),
            ("new one starts", vec![("b", 2, true), ("c", 3, false)], false),
            ("not gone yet", vec![("a", 1, false), ("b", 2, true), ("c", 3, true)], false),
            ("replaced", vec![("b", 2, true), ("c", 3, true)], true),
        ] {
            assert_eq!(missing(&table(&pods), 2, &leaving).is_none(), over, "{case}");
        }
    }
}

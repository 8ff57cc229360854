//! Deleting a batch, and waiting until nothing of it is left on the node.

use std::collections::BTreeMap;
use std::time::Duration;

use miette::Result;
use tokio::time::{Instant, sleep};

use crate::attribution::pod_processes;
use crate::lab::Lab;

const POLL: Duration = Duration::from_millis(200);

/// Deletes the Job of `batch` with its pods and waits until the API and the node have none of
/// them. Returns what is left when the time is over; `before` are the processes that were there
/// before the batch.
///
/// # Errors
/// The API refuses.
pub async fn remove(
    lab: &Lab<'_>,
    batch: &str,
    before: &BTreeMap<u32, String>,
) -> Result<Vec<String>> {
    lab.cluster.delete(batch).await?;
    let begun = Instant::now();
    loop {
        let left = left_over(lab, before);
        let gone = left.is_empty() && lab.cluster.is_gone(batch).await?;
        if gone {
            return Ok(Vec::new());
        }
        if begun.elapsed() > lab.pod_deadline() {
            let nothing = || vec!["objects of the API".to_owned()];
            return Ok(if left.is_empty() { nothing() } else { left });
        }
        sleep(POLL).await;
    }
}

fn left_over(lab: &Lab<'_>, before: &BTreeMap<u32, String>) -> Vec<String> {
    pod_processes(lab.node)
        .into_iter()
        .filter(|(pid, _)| !before.contains_key(pid))
        .map(|(pid, name)| format!("{name} ({pid})"))
        .collect()
}

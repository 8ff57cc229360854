//! Deleting a batch, and waiting until nothing of it is left on the node.

use std::time::Duration;

use miette::Result;
use tokio::time::{Instant, sleep};

use crate::lab::Lab;
use crate::observer::aggregate::Processes;

const POLL: Duration = Duration::from_millis(200);

/// Deletes the Job of `batch` with its pods and waits until the API and the node have none of
/// them. Returns what is left when the time is over; `before` are the processes that were there
/// before the batch.
///
/// # Errors
/// The API refuses, or a node cannot be asked.
pub async fn remove(lab: &Lab<'_>, batch: &str, before: &Processes) -> Result<Vec<String>> {
    lab.cluster.delete(batch).await?;
    let begun = Instant::now();
    loop {
        let left = left_over(lab, before).await?;
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

async fn left_over(lab: &Lab<'_>, before: &Processes) -> Result<Vec<String>> {
    let now = lab.observers.pod_processes().await?;
    let new = now.into_iter().filter(|(process, _)| !before.contains_key(process));
    Ok(new.map(|((_, pid), name)| format!("{name} ({pid})")).collect())
}

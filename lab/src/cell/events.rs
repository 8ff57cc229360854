//! Kubernetes' events about a cell: `events.ndjson` in its directory.

use miette::Result;
use serde_json::json;

use crate::kubernetes_event::lines;
use crate::lab::Lab;

/// Writes the events of a batch whose pods are gone, and has the API forget them. Events that
/// cannot be had cost the cell nothing but a line in the journal.
///
/// # Errors
/// The run directory cannot be written.
pub async fn keep(lab: &Lab<'_>, cell: &str, batch: &str) -> Result<()> {
    let note = |error: miette::Report| {
        lab.journal.note("no-events", Some(cell), json!({ "error": format!("{error:?}") }));
    };
    match lab.cluster.events(batch).await {
        Ok(Some(events)) => {
            lab.run.append(&format!("cells/{cell}/events.ndjson"), &lines(&events))?;
        }
        Ok(None) => return Ok(()),
        Err(error) => note(error),
    }
    if let Err(error) = lab.cluster.forget_events().await {
        note(error);
    }
    Ok(())
}

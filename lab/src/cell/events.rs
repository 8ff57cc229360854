//! Kubernetes' events about a cell: `events.ndjson` in its directory, and what they say of when a
//! container was created and started.

use miette::Result;
use serde_json::json;
use wamr_record::cell::{KubernetesEvent, Pod};

use crate::kubernetes_event::lines;
use crate::lab::Lab;

/// Writes the events of a batch whose pods are gone, and has the API forget them. Events that
/// cannot be had cost the cell nothing but a line in the journal. Returns those that were written.
///
/// # Errors
/// The run directory cannot be written.
pub async fn keep(lab: &Lab<'_>, cell: &str, batch: &str) -> Result<Vec<KubernetesEvent>> {
    let note = |error: miette::Report| {
        lab.journal.note("no-events", Some(cell), json!({ "error": format!("{error:?}") }));
    };
    let mut kept = Vec::new();
    match lab.cluster.events(batch).await {
        Ok(Some(events)) => {
            kept = lines(&events);
            lab.run.append(&format!("cells/{cell}/events.ndjson"), &kept)?;
        }
        Ok(None) => return Ok(kept),
        Err(error) => note(error),
    }
    if let Err(error) = lab.cluster.forget_events().await {
        note(error);
    }
    Ok(kept)
}

/// Gives each pod the times at which the kubelet wrote that its container was created and started:
/// the first of each. Pure.
pub fn stamp(pods: &mut [Pod], events: &[KubernetesEvent]) {
    for pod in pods {
        let first = |reason: &str| {
            let about = |event: &&KubernetesEvent| {
                event.kind == "Pod" && event.object == pod.name && event.reason == reason
            };
            events.iter().filter(about).filter_map(|event| event.made_ns).min()
        };
        (pod.created_ns, pod.started_ns) = (first("Created"), first("Started"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(object: &str, reason: &str, made_ns: i64) -> KubernetesEvent {
        KubernetesEvent {
            kind: "Pod".to_owned(),
            object: object.to_owned(),
            severity: "Normal".to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            source: "kubelet".to_owned(),
            count: 1,
            made_ns: Some(made_ns),
            first_ns: None,
            last_ns: None,
        }
    }

    #[test]
    fn the_first_event_of_each_pod_counts() {
        let line = |name: &str| -> Pod {
            serde_json::from_value(json!({
                "name": name, "uid": "u", "container_id": null, "pid": null, "cgroup": null,
                "requested_ns": 1, "scheduled_ns": null, "running_ns": null,
                "first_instruction_ns": null, "log_ns": null,
            }))
            .unwrap()
        };
        let mut pods = [line("a-1"), line("a-10")];
        let events = [
            event("a-1", "Scheduled", 2),
            event("a-1", "Created", 5),
            event("a-1", "Started", 7),
            event("a-1", "Created", 9),
            event("a-10", "Created", 6),
        ];
        stamp(&mut pods, &events);
        assert_eq!((pods[0].created_ns, pods[0].started_ns), (Some(5), Some(7)));
        assert_eq!((pods[1].created_ns, pods[1].started_ns), (Some(6), None));
    }
}

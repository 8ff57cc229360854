//! What is kept of pods that did not start: `failure/` in the cell's directory.

use serde::Serialize;

use crate::kubernetes_event::{lines, warnings};
use crate::lab::Lab;
use crate::observer::question::PodName;

/// Whose logs say why a pod did not start.
const DAEMONS: [&str; 3] = ["containerd", "kubelet", "kube-controller-manager"];

/// Collects pods, events and logs; returns what Kubernetes warned of. Each piece that cannot be had
/// is passed over with a line in the journal: the failure itself matters more.
pub async fn collect(lab: &Lab<'_>, cell: &str, batch: &str) -> Vec<String> {
    let failure = format!("cells/{cell}/failure");
    let note = |what: &str, error: &dyn std::fmt::Display| {
        let detail = serde_json::json!({ "piece": what, "error": error.to_string() });
        lab.journal.note("failure-piece-missing", Some(cell), detail);
    };
    match lab.cluster.pods(batch).await {
        Ok(pods) => {
            write_json(lab, &format!("{failure}/pods.json"), &pods, &note);
            for pod in &pods {
                let (Some(name), Some(uid)) = (&pod.metadata.name, &pod.metadata.uid) else {
                    continue;
                };
                let its_node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
                let pod = PodName { name: name.clone(), uid: uid.clone() };
                let Ok(Some(log)) = lab.observers.container_log(its_node, &pod).await else {
                    continue;
                };
                if let Err(error) = lab.run.write(&format!("{failure}/logs/{name}.log"), log) {
                    note("logs", &error);
                }
            }
        }
        Err(error) => note("pods", &error),
    }
    let mut warned = Vec::new();
    match lab.cluster.events(batch).await {
        Ok(None) => {}
        Ok(Some(events)) => {
            write_json(lab, &format!("{failure}/events.json"), &events, &note);
            warned = warnings(&lines(&events));
        }
        Err(error) => note("events", &error),
    }
    match lab.observers.daemon_logs(&DAEMONS).await {
        Ok(logs) => {
            for log in logs {
                if let Err(error) = lab.run.write(&format!("{failure}/{}", log.name), log.text) {
                    note(&log.name, &error);
                }
            }
        }
        Err(error) => note("daemons' logs", &error),
    }
    warned
}

fn write_json<T: Serialize>(
    lab: &Lab<'_>,
    name: &str,
    value: &T,
    note: &impl Fn(&str, &dyn std::fmt::Display),
) {
    if let Err(error) = lab.run.write_json(name, value) {
        note(name, &error);
    }
}

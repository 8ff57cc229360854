//! What the watch has told about the pods of a batch. Pure; the watch brings events and times.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition};

/// The condition of a pod whose sandbox and network are there.
///
/// Source: Kubernetes documentation, "Pod network readiness".
const SANDBOX_READY: &str = "PodReadyToStartContainers";

/// Waiting for these never ends well: with `imagePullPolicy: Never` the kubelet has all it needs.
const HOPELESS: [&str; 9] = [
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
];

/// One pod, as far as the watch has told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenPod {
    /// The pod's UID.
    pub uid: String,
    /// The node that it was given to.
    pub node: Option<String>,
    /// Container id without its scheme.
    pub container_id: Option<String>,
    /// When the lab asked for it, if it asked for this one alone.
    pub requested_ns: Option<i64>,
    /// Receipt of the first event that had a node.
    pub scheduled_ns: Option<i64>,
    /// Receipt of the first event that had sandbox and network ready.
    pub sandbox_ns: Option<i64>,
    /// Receipt of the first event that had the container running.
    pub running_ns: Option<i64>,
    /// The container runs, by the last event.
    pub runs: bool,
    /// Why the pod will never run, or runs no more.
    pub failure: Option<String>,
    /// What the container waits for, by the last event.
    pub waiting: Option<String>,
}

/// All pods of a batch by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodTable {
    /// Pods that exist.
    pub pods: BTreeMap<String, SeenPod>,
    /// The watch broke and could not be taken up again.
    pub watch_failure: Option<String>,
}

impl PodTable {
    /// Takes in an added or changed pod.
    pub fn observe(&mut self, pod: &Pod, now_ns: i64) {
        let Some(name) = &pod.metadata.name else { return };
        let seen = self.pods.entry(name.clone()).or_default();
        seen.uid = pod.metadata.uid.clone().unwrap_or_default();
        if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) {
            seen.node = Some(node.clone());
            seen.scheduled_ns.get_or_insert(now_ns);
        }
        let Some(status) = &pod.status else { return };
        let ready = |condition: &PodCondition| {
            condition.type_ == SANDBOX_READY && condition.status == "True"
        };
        if status.conditions.iter().flatten().any(ready) {
            seen.sandbox_ns.get_or_insert(now_ns);
        }
        let container = status.container_statuses.iter().flatten().next();
        let state = container.and_then(|container| container.state.as_ref());
        seen.runs = state.is_some_and(|state| state.running.is_some());
        if seen.runs {
            seen.running_ns.get_or_insert(now_ns);
        }
        if let Some(id) = container.and_then(|container| container.container_id.as_deref()) {
            let id = id.split_once("://").map_or(id, |(_, id)| id);
            seen.container_id = Some(id.to_owned());
        }
        seen.waiting = state.and_then(|state| state.waiting.as_ref()?.reason.clone());
        let leaving = pod.metadata.deletion_timestamp.is_some();
        if seen.failure.is_none() && !leaving {
            let ended = || {
                let phase = status.phase.as_deref();
                let ended = matches!(phase, Some("Failed" | "Succeeded"));
                let text = status.message.clone().or_else(|| status.reason.clone());
                ended.then(|| format!("ended: {}", text.unwrap_or_else(|| "no reason".into())))
            };
            seen.failure = container.and_then(container_failure).or_else(ended);
        }
    }

    /// Takes in a deleted pod.
    pub fn forget(&mut self, pod: &Pod) {
        if let Some(name) = &pod.metadata.name {
            self.pods.remove(name);
        }
    }

    /// Pods whose container runs.
    pub fn running(&self) -> u32 {
        self.pods.values().filter(|pod| pod.runs).count() as u32
    }

    /// Pods that will never run, or run no more.
    pub fn failed(&self) -> Vec<(String, SeenPod)> {
        let failed = self.pods.iter().filter(|(_, pod)| pod.failure.is_some());
        failed.map(|(name, pod)| (name.clone(), pod.clone())).collect()
    }

    /// True if a pod will never run, or the watch can no longer tell.
    pub fn has_failed(&self) -> bool {
        self.watch_failure.is_some() || self.pods.values().any(|pod| pod.failure.is_some())
    }

    /// Why pods will never run; the same reason is told once, with the number of pods it holds
    /// for. `last_words` has the end of a container's log.
    pub fn failures(&self, last_words: impl Fn(&str, &SeenPod) -> Option<String>) -> Vec<String> {
        let mut reasons: BTreeMap<String, (u32, &str)> = BTreeMap::new();
        for (name, pod) in &self.pods {
            let Some(failure) = &pod.failure else { continue };
            let words = last_words(name, pod)
                .map_or_else(String::new, |words| format!("; the end of its log: {words}"));
            reasons.entry(format!("{failure}{words}")).or_insert((0, name)).0 += 1;
        }
        let told = reasons.into_iter().map(|(reason, (count, name))| match count {
            1 => format!("{name}: {reason}"),
            _ => format!("{name} and {} more: {reason}", count - 1),
        });
        self.watch_failure.iter().cloned().chain(told).collect()
    }
}

/// Why the container has ended or cannot be made.
fn container_failure(container: &ContainerStatus) -> Option<String> {
    let ContainerState { terminated, waiting, .. } = container.state.as_ref()?;
    if let Some(end) = terminated {
        let reason = end.reason.as_deref().unwrap_or("ended");
        let message = end.message.as_deref().unwrap_or_default().trim();
        let colon = if message.is_empty() { "" } else { ": " };
        return Some(format!("{reason}, exit code {}{colon}{message}", end.exit_code));
    }
    let waiting = waiting.as_ref()?;
    let reason = waiting.reason.as_deref().filter(|reason| HOPELESS.contains(reason))?;
    let message = waiting.message.as_deref().unwrap_or("no message");
    Some(format!("{reason}: {message}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(node: Option<&str>, status: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "p", "uid": "u" },
            "spec": { "nodeName": node, "containers": [] },
            "status": status,
        }))
        .unwrap()
    }

    fn container(state: &Value) -> Value {
        json!({ "phase": "Pending", "containerStatuses": [{
            "name": "workload", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "containerID": "containerd://abc", "state": state,
        }]})
    }

    #[test]
    fn stamps_are_those_of_the_first_event() {
        let mut table = PodTable::default();
        table.observe(&pod(None, &json!({})), 1);
        assert_eq!(table.pods["p"], SeenPod { uid: "u".into(), ..SeenPod::default() });
        let creating = container(&json!({ "waiting": { "reason": "ContainerCreating" } }));
        table.observe(&pod(Some("n"), &creating), 2);
        assert_eq!(table.pods["p"].waiting.as_deref(), Some("ContainerCreating"));
        assert_eq!(table.running(), 0);
        let mut sandbox = creating.clone();
        let condition = |status| json!([{ "type": SANDBOX_READY, "status": status }]);
        sandbox["conditions"] = condition("False");
        table.observe(&pod(Some("n"), &sandbox), 2);
        assert_eq!(table.pods["p"].sandbox_ns, None);
        let mut running = container(&json!({ "running": {} }));
        running["conditions"] = condition("True");
        table.observe(&pod(Some("n"), &running), 3);
        table.observe(&pod(Some("n"), &running), 4);
        let seen = &table.pods["p"];
        assert_eq!((seen.scheduled_ns, seen.running_ns), (Some(2), Some(3)));
        assert_eq!((seen.sandbox_ns, seen.requested_ns), (Some(3), None));
        assert_eq!(seen.container_id.as_deref(), Some("abc"));
        assert_eq!((table.running(), table.has_failed()), (1, false));
        table.forget(&pod(None, &json!({})));
        assert_eq!(table, PodTable::default());
    }

    #[test]
    fn failures_say_why() {
        let table: &[(&str, Value, &[&str])] = &[
            ("creating", json!({ "waiting": { "reason": "ContainerCreating" } }), &[]),
            (
                "no image",
                json!({ "waiting": { "reason": "ErrImageNeverPull", "message": "not here" } }),
                &["p: ErrImageNeverPull: not here"],
            ),
            (
                "crash",
                json!({ "terminated": { "exitCode": 134, "reason": "Error" } }),
                &["p: Error, exit code 134"],
            ),
            (
                "no start",
                json!({ "terminated": {
                    "exitCode": 128, "reason": "StartError", "message": "no such handler\n",
                }}),
                &["p: StartError, exit code 128: no such handler"],
            ),
        ];
        for (case, state, want) in table {
            let mut pods = PodTable::default();
            pods.observe(&pod(Some("n"), &container(state)), 1);
            assert_eq!(pods.failures(|_, _| None), *want, "{case}");
            assert_eq!(pods.has_failed(), !want.is_empty(), "{case}");
        }
        let mut pods = PodTable::default();
        pods.observe(&pod(None, &json!({ "phase": "Failed", "reason": "OutOfpods" })), 1);
        assert_eq!(pods.failures(|_, _| None), ["p: ended: OutOfpods"]);
    }

    #[test]
    fn a_reason_is_told_once_with_the_last_words() {
        let mut table = PodTable::default();
        for (name, failure) in [("a", "Error"), ("b", "Error"), ("c", "Other")] {
            let failure = Some(failure.to_owned());
            table.pods.insert(name.to_owned(), SeenPod { failure, ..SeenPod::default() });
        }
        let words = |name: &str, _: &SeenPod| (name != "c").then(|| "no".to_owned());
        let want = ["a and 1 more: Error; the end of its log: no", "c: Other"];
        assert_eq!(table.failures(words), want);
        table.watch_failure = Some("broke".to_owned());
        assert_eq!(table.failures(words)[0], "broke");
    }

    #[test]
    fn a_pod_that_is_being_deleted_has_not_failed() {
        let mut leaving = pod(Some("n"), &container(&json!({ "terminated": { "exitCode": 143 } })));
        leaving.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let mut pods = PodTable::default();
        pods.observe(&leaving, 1);
        assert!(!pods.has_failed());
    }
}

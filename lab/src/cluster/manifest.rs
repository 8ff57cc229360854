//! The objects of a cell. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use wamr_record::arrival::Arrival;
use wamr_record::experiment::Controller;

/// The label that marks the pods of a batch.
pub const BATCH_LABEL: &str = "wamr-lab/batch";
/// The container of a pod; its log directory is called so, too.
pub const CONTAINER: &str = "workload";

/// As many identical pods, made by one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Name of the object.
    pub name: String,
    /// What makes the pods.
    pub controller: Controller,
    /// Pods at once.
    pub pods: u32,
    /// How fast they are asked for, one by one, by the lab; all by `controller` without.
    pub arrival: Option<Arrival>,
    /// No container in them; Kubernetes makes no such pods.
    pub sandbox_only: bool,
    /// RuntimeClass.
    pub handler: String,
    /// Image reference; it is on the node already.
    pub image: String,
    /// Annotations of the pods.
    pub annotations: BTreeMap<String, String>,
    /// Only nodes with this label take them; any node without one.
    pub node_label: Option<(&'static str, &'static str)>,
}

impl Batch {
    /// The Job. As in the paper it asks for all pods at once and starts none of them anew.
    ///
    /// - A grace period of one second: a PID 1 that has no handler for SIGTERM never sees it, and
    ///   the default of 30 s would be waited out.
    /// - A high `backoffLimit`: with 0 the Job controller deletes the other pods when one fails,
    ///   while the lab is still reading why.
    /// - `dnsPolicy: Default`: the node has no cluster DNS, and the kubelet would write an event
    ///   per pod about that.
    ///
    /// # Errors
    /// Never for the fields above; the types are checked by deserialising.
    pub fn job(&self) -> Result<Job, serde_json::Error> {
        serde_json::from_value(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": self.name },
            "spec": {
                "parallelism": self.pods,
                "completions": self.pods,
                "backoffLimit": 1000,
                "template": self.pod("Never"),
            },
        }))
    }

    /// The Deployment. All pods may be missing at once, so that none waits for another; it is
    /// given up by the lab's deadline, not by its own.
    ///
    /// # Errors
    /// Never for the fields above; the types are checked by deserialising.
    pub fn deployment(&self) -> Result<Deployment, serde_json::Error> {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": self.name },
            "spec": {
                "replicas": self.pods,
                "selector": { "matchLabels": { BATCH_LABEL: self.name } },
                "strategy": { "type": "Recreate" },
                "revisionHistoryLimit": 0,
                "template": self.pod("Always"),
            },
        }))
    }

    /// A pod of its own, of this number, for pods that arrive one by one.
    ///
    /// # Errors
    /// Never for the fields above; the types are checked by deserialising.
    pub fn single_pod(&self, number: u32) -> Result<Pod, serde_json::Error> {
        let mut pod = self.pod("Never");
        pod["metadata"]["name"] = json!(self.pod_name(number));
        serde_json::from_value(pod)
    }

    /// Name of such a pod.
    pub fn pod_name(&self, number: u32) -> String {
        format!("{}-{number}", self.name)
    }

    fn pod(&self, restart_policy: &str) -> Value {
        json!({
            "metadata": {
                "labels": { BATCH_LABEL: self.name },
                "annotations": self.annotations,
            },
            "spec": {
                "runtimeClassName": self.handler,
                "nodeSelector": self.node_label.map(|(key, value)| BTreeMap::from([(key, value)])),
                "restartPolicy": restart_policy,
                "terminationGracePeriodSeconds": 1,
                "enableServiceLinks": false,
                "automountServiceAccountToken": false,
                "dnsPolicy": "Default",
                "containers": [{
                    "name": CONTAINER,
                    "image": self.image,
                    "imagePullPolicy": "Never",
                }],
            },
        })
    }
}

#[cfg(test)]
fn batch(controller: Controller) -> Batch {
    Batch {
        name: "cell-0003".to_owned(),
        controller,
        pods: 10,
        arrival: None,
        sandbox_only: false,
        handler: "crun-wasmedge".to_owned(),
        image: "localhost/wamr-lab/microservice-wasm:1".to_owned(),
        annotations: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        node_label: None,
    }
}

#[test]
fn the_job_of_a_cell() {
    let job = batch(Controller::Job).job().unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&job).unwrap());
}

#[test]
fn a_pod_that_arrives_alone_is_that_of_a_job() {
    let batch = batch(Controller::Job);
    let (pod, job) = (batch.single_pod(7).unwrap(), batch.job().unwrap());
    assert_eq!(pod.metadata.name.as_deref(), Some("cell-0003-7"));
    assert_eq!(pod.spec, job.spec.unwrap().template.spec);
    assert_eq!(pod.metadata.labels.unwrap()[BATCH_LABEL], "cell-0003");
}

#[test]
fn the_deployment_of_a_cell() {
    let deployment = batch(Controller::Deployment).deployment().unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&deployment).unwrap());
}

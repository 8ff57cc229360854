//! Kubernetes objects that every node gets. Pure.

use serde_json::{Value, json};

use crate::metrics_server;
use crate::runtimes::RuntimeTable;

/// Everything, as one list for `kubectl create`.
pub fn all(runtime_classes: Vec<Value>, ca_certificate: &str) -> Value {
    let mut items = runtime_classes;
    items.extend(metrics_server::objects(ca_certificate));
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// A RuntimeClass per handler, named like it.
pub fn runtime_classes(runtimes: &RuntimeTable) -> Vec<Value> {
    let mut handlers: Vec<&str> = runtimes.values().map(|row| row.handler.as_str()).collect();
    handlers.sort_unstable();
    handlers.dedup();
    handlers
        .into_iter()
        .map(|handler| {
            json!({
                "apiVersion": "node.k8s.io/v1",
                "kind": "RuntimeClass",
                "metadata": { "name": handler },
                "handler": handler
            })
        })
        .collect()
}

#[test]
fn the_objects_of_the_shipped_table() {
    let table = crate::runtimes::parse_table(include_str!("../../runtimes.toml")).unwrap();
    insta::assert_snapshot!(format!("{:#}", all(runtime_classes(&table), "CA")));
}

//! What is kept of pods that did not start: `failure/` in the cell's directory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;

use super::start_stamp::log_path;
use crate::kubernetes_event::{lines, warnings};
use crate::lab::Lab;
use crate::processes::open_in_root;

/// The end of a daemon's log that is kept, and the begin of a container's.
const LOG_BYTES: u64 = 256 * 1024;

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
                let log = open_in_root(&lab.node.root, &log_path(name, uid));
                let Ok(log) = log.and_then(|file| head(&file)) else { continue };
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
    for daemon in ["containerd", "kubelet", "kube-controller-manager"] {
        let name = format!("{daemon}.log");
        if !lab.node.log_dir.join(&name).exists() {
            continue;
        }
        let written = tail(&lab.node.log_dir.join(&name))
            .map_err(|error| error.to_string())
            .and_then(|text| {
                lab.run.write(&format!("{failure}/{name}"), text).map_err(|error| error.to_string())
            });
        if let Err(error) = written {
            note(&name, &error);
        }
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

fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last [`LOG_BYTES`] of a file.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    head(&file)
}

#[test]
fn the_tail_is_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.log");
    let mut text = vec![b'a'; LOG_BYTES as usize];
    text.extend(b"end");
    std::fs::write(&path, &text).unwrap();
    let kept = tail(&path).unwrap();
    assert_eq!(kept.len() as u64, LOG_BYTES);
    assert!(kept.ends_with(b"aend"));
    std::fs::write(&path, "short").unwrap();
    assert_eq!(tail(&path).unwrap(), b"short");
}

//! Pods that are replaced again and again, to the end and until Ctrl-C.
//!
//! Tier: full

use std::fs;
use std::path::Path;

use wamr_record::churn::{Churn, ChurnReading, NAME, parse_series};
use wamr_record::manifest::{Manifest, digest_file};
use wamr_record::reader::read_json;

use crate::fixture::Fixture;
use crate::traces;

const PODS: u32 = 20;
const STARTS: u32 = 200;

#[test]
fn pods_are_replaced_and_the_node_is_read() {
    let Some(fixture) = Fixture::new() else { return };
    let mut lab = fixture.churn(&["wamr-shim", "runc-native", "--starts", "200"]);
    let finished = lab.wait();
    traces::assert_none(lab.id());
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    let churn = recorded(&fixture.run_dir());
    assert!(churn.complete && churn.systems.len() == 2, "{churn:?}");
    for daemon in ["containerd", "etcd", "kube-apiserver", "kubelet"] {
        assert!(churn.collected.iter().any(|one| one == daemon), "{churn:?}");
    }
    let journal = fs::read_to_string(fixture.run_dir().join("journal.ndjson")).unwrap();
    assert!(!journal.contains("heap-not-collected"), "{journal}");
    for system in &churn.systems {
        assert_eq!(system.starts, STARTS, "{system:?}");
        let text = fs::read_to_string(fixture.run_dir().join(&system.file)).unwrap();
        let readings = parse_series(&text).unwrap();
        assert!(starts(&readings).len() >= 8, "{:?}", starts(&readings));
        assert_counted(&readings, system.shim_is_ours);
    }
}

/// Every reading sees all pods, and what they have on the node.
fn assert_counted(readings: &[ChurnReading], shim_is_ours: bool) {
    let pods = u64::from(PODS);
    for at in starts(readings) {
        let of = |subject: &str, figure: &str| {
            let wanted = |one: &&ChurnReading| {
                one.starts == at && one.subject == subject && one.figure == figure
            };
            let found = readings.iter().find(wanted);
            found.unwrap_or_else(|| panic!("{subject} {figure} at {at}")).value
        };
        // Some have a pause process; dead sandboxes are removed a little later.
        assert!(of("containers", "processes") >= pods, "at {at}");
        assert!(of("node", "network_namespaces") >= pods, "at {at}");
        assert!(of("node", "mounts") > 0 && of("node", "control_groups") > pods, "at {at}");
        let shims = of("shim", "processes");
        assert!(if shim_is_ours { shims == 1 } else { shims >= pods }, "{shims} shims at {at}");
        for daemon in ["containerd", "kubelet", "etcd", "kube-apiserver", "metrics-server"] {
            assert!(of(daemon, "anon_bytes") > 1 << 20, "{daemon} at {at}");
            assert!(of(daemon, "descriptors") > 5, "{daemon} at {at}");
        }
        assert!(of("kernel", "slab_unreclaimable_bytes") > 1 << 20, "at {at}");
    }
}

fn starts(readings: &[ChurnReading]) -> Vec<u32> {
    let mut starts: Vec<u32> = readings.iter().map(|reading| reading.starts).collect();
    starts.dedup();
    starts
}

#[test]
fn an_interrupted_churn_keeps_what_it_read_and_leaves_nothing() {
    let Some(fixture) = Fixture::new() else { return };
    let mut lab = fixture.churn(&["wamr-shim", "runc-native", "--starts", "100000"]);
    // The first reading comes right after it.
    lab.wait_for_event("first-reading");
    lab.interrupt();
    let finished = lab.wait();
    traces::assert_none(lab.id());
    assert_eq!(finished.code, Some(130), "{}", finished.text);
    let churn = recorded(&fixture.run_dir());
    assert!(!churn.complete, "{churn:?}");
    let [system] = churn.systems.as_slice() else { panic!("{churn:?}") };
    let text = fs::read_to_string(fixture.run_dir().join(&system.file)).unwrap();
    assert!(!parse_series(&text).unwrap().is_empty());
}

/// What the run says of itself, its digests compared.
fn recorded(dir: &Path) -> Churn {
    let manifest: Manifest = read_json(&dir.join("manifest.json")).unwrap();
    for (name, digest) in &manifest.files {
        assert_eq!(&digest_file(&dir.join(name)).unwrap(), digest, "{name}");
    }
    assert!(manifest.files.contains_key(NAME) && manifest.files.contains_key("journal.ndjson"));
    read_json(&dir.join(NAME)).unwrap()
}

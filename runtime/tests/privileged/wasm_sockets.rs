//! A server in a Wasm container: answered with a grant, refused without.

use super::container::{host_shell, wait_until};
use super::wasm_guest::workload;
use serde_json::json;

const NETWORKS: &str = "org.wamr-crun.wasm.socket-networks";

#[test]
fn a_request_is_answered_in_the_containers_network() {
    let Some(mut container) = workload("http.c") else { return };
    container.set("/annotations", json!({NETWORKS: "0.0.0.0/0"}));
    assert_eq!(container.create(&[]).status, 0, "{}", container.output("stderr"));
    let inside = format!("nsenter --net --target {}", container.state()["pid"]);
    let up = host_shell(&format!("{inside} ip link set lo up"));
    assert_eq!(up.status, 0, "{up:?}");
    container.must(&["start"], &[]);
    wait_until("the guest listens", || container.output("stdout").starts_with("start_ns="));
    for _ in 0..3 {
        let got = host_shell(&format!("{inside} busybox wget -qO- http://127.0.0.1:8080/"));
        assert_eq!((got.status, got.stdout.as_str()), (0, "ok\n"), "{got:?}");
    }
    container.must(&["kill"], &["TERM"]);
    container.wait_stopped();
}

#[test]
fn a_server_without_the_annotation_is_refused() {
    let Some(mut container) = workload("http.c") else { return };
    let ran = container.run();
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stderr.contains("cannot listen on port 8080: Permission denied"), "{ran:?}");
    // An address outside of what was granted.
    container.set("/annotations", json!({NETWORKS: "10.0.0.0/8"}));
    let ran = container.run();
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stderr.contains("Permission denied"), "{ran:?}");
}

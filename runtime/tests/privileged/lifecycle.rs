//! Create, start, state, kill, delete and run; what a failure leaves behind.

use super::container::{Container, is_ours, skip, wait_until};
use serde_json::json;
use std::fs;

#[test]
fn a_life() {
    let Some(container) = Container::shell("echo started; exec sleep 1000") else { return };
    let pid_file = container.bundle.path().join("pid");
    let made = container.create(&["--pid-file", pid_file.to_str().unwrap()]);
    assert_eq!(made.status, 0, "{made:?}");
    assert_eq!(container.output("stdout"), "", "started before start");
    let state = container.state();
    assert_eq!(state["status"], "created");
    assert_eq!(state["id"], container.id.as_str());
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), state["pid"].to_string());
    container.must(&["start"], &[]);
    assert_eq!(container.status(), "running");
    wait_until("its output", || container.output("stdout") == "started\n");
    assert_ne!(container.verb(&["start"], &[]).status, 0, "a second start");
    let refused = container.verb(&["delete"], &[]);
    assert_ne!(refused.status, 0, "delete while running");
    container.must(&["kill"], &["KILL"]);
    container.wait_stopped();
    let late = container.verb(&["kill"], &["TERM"]);
    assert!(late.status != 0 && late.stderr.contains("container not running"), "{late:?}");
    container.must(&["delete"], &[]);
    container.assert_gone();
    let again = container.verb(&["delete"], &[]);
    assert!(again.status != 0 && again.stderr.contains("does not exist"), "{again:?}");
    container.must(&["delete", "--force"], &[]);
}

#[test]
fn exit_codes_of_run() {
    for (script, want) in [("exit 0", 0), ("exit 42", 42), ("kill -9 $$; kill -TERM $$", 0)] {
        let Some(container) = Container::shell(script) else { return };
        let ran = container.run();
        assert_eq!(ran.status, want, "{script}: {ran:?}");
        container.assert_gone();
    }
    let Some(mut container) = Container::shell("kill -9 $$") else { return };
    // Outside a PID namespace of its own the init is no PID 1, and the signal works.
    container.namespace("pid", None);
    assert_eq!(container.run().status, 137);
}

#[test]
fn a_killed_init_is_noticed() {
    let Some(container) = Container::shell("sleep 1000") else { return };
    container.create(&[]);
    container.must(&["start"], &[]);
    let pid = container.state()["pid"].as_i64().unwrap() as i32;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    container.wait_stopped();
    container.must(&["delete"], &[]);
    container.assert_gone();
}

#[test]
fn created_containers_can_be_deleted() {
    let Some(container) = Container::shell("true") else { return };
    container.create(&[]);
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
}

#[test]
fn a_name_is_taken_once() {
    let Some(container) = Container::shell("true") else { return };
    container.create(&[]);
    let again = container.create(&[]);
    assert!(again.status != 0 && again.stderr.contains("exist"), "{again:?}");
    assert_eq!(container.status(), "created");
}

#[test]
fn a_failed_create_leaves_nothing() {
    let cases = [
        ("/process/args", json!(["/bin/absent"]), "/bin/absent"),
        ("/process/args", json!(["absent"]), "absent"),
        ("/process/args", json!(["/bin"]), "/bin"),
        ("/linux/sysctl", json!({"kernel.panic": "1"}), "kernel.panic"),
        ("/linux/resources", json!({"pids": {"limit": 5}, "cpu": {"cpus": "99999"}}), "cpuset"),
    ];
    for (at, value, want) in cases {
        let Some(mut container) = Container::shell("true") else { return };
        container.set(at, value);
        let failed = container.create(&[]);
        assert_ne!(failed.status, 0, "{at}");
        assert!(failed.stderr.contains(want), "{at}: {failed:?}");
        if is_ours() {
            container.assert_gone();
        }
    }
    let Some(mut container) = Container::shell("true") else { return };
    let absent = json!({"destination": "/x", "type": "bind", "source": "/absent/source",
        "options": ["bind"]});
    container.push("/mounts", absent);
    let failed = container.create(&[]);
    assert!(failed.status != 0 && failed.stderr.contains("/absent/source"), "{failed:?}");
    container.assert_gone();
}

#[test]
fn what_would_be_ignored_is_refused() {
    if !is_ours() {
        return skip("other runtimes have other limits");
    }
    for (at, value, want) in [
        ("/linux/intelRdt", json!({"closID": "x"}), "linux.intelRdt"),
        ("/annotations", json!({"run.oci.handler": "wasmtime"}), "run.oci.handler"),
    ] {
        let Some(mut container) = Container::shell("true") else { return };
        container.set(at, value);
        let failed = container.create(&[]);
        assert!(failed.status != 0 && failed.stderr.contains(want), "{failed:?}");
        container.assert_gone();
    }
}

/// The specification needs `process` at `start` only.
#[test]
fn without_a_process_it_is_created_and_never_started() {
    if !is_ours() {
        return skip("runc refuses it, crun starts it");
    }
    let Some(mut container) = Container::shell("true") else { return };
    container.config.as_object_mut().unwrap().remove("process");
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    assert_eq!(container.status(), "created");
    let failed = container.verb(&["start"], &[]);
    assert!(failed.status != 0 && failed.stderr.contains("process: is not set"), "{failed:?}");
    assert_eq!(container.status(), "created", "a refused start changes nothing");
    let failed = container.verb(&["exec"], &["true"]);
    assert!(failed.status == 255 && failed.stderr.contains("has no process"), "{failed:?}");
    container.must(&["kill"], &["KILL"]);
    container.wait_stopped();
    container.must(&["delete"], &[]);
    container.assert_gone();
    let ran = container.run();
    assert!(ran.status == 1 && ran.stderr.contains("process: is not set"), "{ran:?}");
    container.assert_gone();
}

#[test]
fn hooks_run_in_their_order_with_the_state() {
    if !is_ours() {
        return skip("runc runs poststart hooks during create");
    }
    let Some(mut container) = Container::shell("echo program >> /log") else { return };
    let host_log = container.rootfs().join("log");
    let log = host_log.to_str().unwrap();
    let outside = |name: &str| {
        let script = format!("read s; case $s in *{}*) echo {name} >> {log};; esac", container.id);
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
    };
    let inside = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo startContainer >> /log"]}]);
    let hooks = json!({
        "prestart": outside("prestart"), "createRuntime": outside("createRuntime"),
        "createContainer": outside("createContainer"), "startContainer": inside,
        "poststart": outside("poststart"), "poststop": outside("poststop"),
    });
    container.set("/hooks", hooks);
    container.create(&[]);
    let before = fs::read_to_string(&host_log).unwrap();
    assert_eq!(before, "prestart\ncreateRuntime\ncreateContainer\n");
    container.must(&["start"], &[]);
    container.wait_stopped();
    container.must(&["delete"], &[]);
    let log = fs::read_to_string(&host_log).unwrap();
    let mut lines: Vec<_> = log.lines().skip(3).collect();
    assert_eq!((lines.remove(0), lines.pop()), ("startContainer", Some("poststop")));
    // The program and the poststart hook run at the same time.
    lines.sort_unstable();
    assert_eq!(lines, ["poststart", "program"]);
}

#[test]
fn a_failing_hook_fails_the_create() {
    let Some(mut container) = Container::shell("true") else { return };
    let mark = container.bundle.path().join("poststop");
    let touch = json!([{"path": "/bin/touch", "args": ["touch", mark]}]);
    container.set("/hooks", json!({"createRuntime": [{"path": "/bin/false"}], "poststop": touch}));
    let failed = container.create(&[]);
    assert_ne!(failed.status, 0);
    container.assert_gone();
    if is_ours() {
        assert!(failed.stderr.contains("createRuntime[0] (/bin/false)"), "{failed:?}");
        assert!(mark.exists(), "no poststop hook after a failed create");
    }
}

#[test]
fn annotations_are_kept() {
    let Some(mut container) = Container::shell("true") else { return };
    container.set("/annotations", json!({"org.example.key": "value"}));
    container.create(&[]);
    assert_eq!(container.state()["annotations"]["org.example.key"], "value");
}

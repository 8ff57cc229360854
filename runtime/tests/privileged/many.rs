//! `kill` and `delete`: of every state, by every spelling, of many at once.

use super::container::{
    Container, cgroups_path, has_controllers, is_ours, is_v2, skip, wait_until,
};
use std::fs;

#[test]
fn whatever_its_state_it_can_be_removed() {
    let pausing = is_v2() || has_controllers(&["freezer"]);
    for state in ["created", "running", "paused", "stopped"] {
        if state == "paused" && !pausing {
            continue;
        }
        let Some(container) = Container::shell("sleep 1000 & exec sleep 1000") else { return };
        assert_eq!(container.create(&[]).status, 0);
        if state != "created" {
            container.must(&["start"], &[]);
        }
        match state {
            "paused" => drop(container.must(&["pause"], &[])),
            "stopped" => {
                container.must(&["kill"], &["KILL"]);
                container.wait_stopped();
            }
            _ => {}
        }
        assert_eq!(container.status(), state);
        container.must(&["delete", "--force"], &[]);
        container.assert_gone();
    }
}

#[test]
fn a_create_that_hangs_can_be_removed() {
    if !is_ours() {
        return skip("others wait for the hook");
    }
    let Some(mut container) = Container::shell("true") else { return };
    let hook = serde_json::json!([{"path": "/bin/sleep", "args": ["sleep", "5"]}]);
    container.set("/hooks", serde_json::json!({ "createContainer": hook }));
    container.write_config();
    let bundle = container.bundle.path().to_str().unwrap().to_owned();
    let mut create = std::process::Command::new(container.runtime())
        .arg("--root")
        .arg(container.state_root())
        .args(["create", "--bundle", &bundle, &container.id])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let state = container.state_root().join(&container.id).join("state.json");
    wait_until("its state", || fs::exists(&state).unwrap());
    assert_eq!(container.status(), "creating");
    let exec = container.verb(&["exec"], &["true"]);
    assert!(exec.status == 255 && exec.stderr.contains("creating"), "{exec:?}");
    container.must(&["delete", "--force"], &[]);
    assert!(!create.wait().unwrap().success());
    container.assert_gone();
}

#[test]
fn a_signal_by_every_spelling() {
    let script = "trap 'echo usr1' USR1; trap 'echo rt' 36; echo up; while :; do sleep 0.05; done";
    let Some(container) = Container::shell(script) else { return };
    assert_eq!(container.create(&[]).status, 0);
    container.must(&["start"], &[]);
    wait_until("its traps", || container.output("stdout").contains("up"));
    for (count, spelling) in ["10", "USR1", "SIGUSR1", "usr1"].iter().enumerate() {
        container.must(&["kill"], &[spelling]);
        wait_until(spelling, || container.output("stdout").matches("usr1").count() == count + 1);
    }
    if is_ours() {
        container.must(&["kill"], &["RTMIN+2"]);
        wait_until("a real-time signal", || container.output("stdout").contains("rt"));
    }
    let wrong = container.verb(&["kill"], &["SIGNOTHING"]);
    assert_ne!(wrong.status, 0);
    // The shell is PID 1 and traps nothing of TERM: it is ignored; KILL for all is not.
    container.must(&["kill", "--all"], &["SIGKILL"]);
    container.wait_stopped();
}

#[test]
fn those_that_a_pattern_is_found_in() {
    if !is_ours() {
        return skip("runc has no patterns");
    }
    let Some(first) = Container::shell("exec sleep 1000") else { return };
    let bundle = first.bundle.path().to_str().unwrap().to_owned();
    assert_eq!(first.create(&[]).status, 0);
    let second = format!("{}-b", first.id);
    let path = first.bundle.path().join("other.json");
    let mut config = first.config.clone();
    config["linux"]["cgroupsPath"] = serde_json::json!(cgroups_path(&second));
    fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
    let create = ["run", "-d", "--bundle", &bundle, "--config", "other.json", &second];
    let made = first.alone_detached(&create);
    assert_eq!(made.status, 0, "{made:?}");
    let pattern = format!("^{}(-b)?$", first.id);
    assert_eq!(first.alone(&["kill", "--regex", &pattern, "KILL"]).status, 0);
    first.wait_stopped();
    assert_ne!(first.alone(&["delete", "--regex", "("]).status, 0);
    assert_eq!(first.alone(&["delete", "--regex", "absent"]).status, 0);
    wait_until("both can be deleted", || first.alone(&["delete", "--regex", &pattern]).status == 0);
    assert_eq!(first.alone(&["list", "-q"]).stdout, "");
    first.assert_gone();
}

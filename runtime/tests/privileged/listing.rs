//! What is shown of containers: `list`, `state`, `ps`, `spec`.

use super::container::{Container, is_ours, skip};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_list_has_what_state_has() {
    let Some(container) = Container::shell("exec sleep 1000") else { return };
    container.create(&[]);
    let state = container.state();
    assert_eq!(state["bundle"], container.bundle.path().canonicalize().unwrap().to_str().unwrap());
    let list = container.alone(&["list", "--format", "json"]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    // crun shows no root and runc no owner in both.
    let ours: &[&str] = if is_ours() { &["rootfs", "owner", "ociVersion"] } else { &[] };
    for name in [&["id", "pid", "status", "bundle", "created"], ours].concat() {
        assert_eq!(list[0][name], state[name], "{name}");
    }
    assert_eq!(list[0]["owner"], "root");
    let table = container.alone(&["list"]).stdout;
    let words = |line: usize| -> Vec<String> {
        table.lines().nth(line).unwrap().split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(words(0), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    assert_eq!(words(1)[0], container.id);
    assert_eq!(words(1)[2], "created");
    assert_eq!(container.alone(&["list", "-q"]).stdout, format!("{}\n", container.id));
}

#[test]
fn the_processes_of_a_container() {
    let Some(container) = Container::shell("sleep 1001 & exec sleep 1002") else { return };
    container.create(&[]);
    container.must(&["start"], &[]);
    super::container::wait_until("both sleeps", || {
        let found = container.must(&["ps", "--format", "json"], &[]).stdout;
        serde_json::from_str::<Vec<i32>>(&found).unwrap().len() == 2
    });
    let table = container.verb(&["ps"], &[]);
    if table.status != 0 && table.stderr.contains("install it") {
        return skip("ps is not installed (apt-get install procps)");
    }
    assert_eq!(table.stdout.lines().count(), 3, "{table:?}");
    let pid = container.state()["pid"].to_string();
    let chosen = container.must(&["ps"], &["-e", "-o", "pid,args"]).stdout;
    assert!(chosen.lines().any(|line| line.contains(&pid) && line.contains("sleep 1002")));
    let wrong = container.verb(&["ps"], &["-e", "-o", "args"]);
    if is_ours() {
        assert!(wrong.status != 0 && wrong.stderr.contains("column PID"), "{wrong:?}");
    }
    container.must(&["kill"], &["KILL"]);
    container.wait_stopped();
}

#[test]
fn a_written_configuration_runs() {
    let Some(mut container) = Container::shell("true") else { return };
    let bundle = container.bundle.path().to_str().unwrap().to_owned();
    assert_eq!(container.alone(&["spec", "--bundle", &bundle]).status, 0);
    let again = container.alone(&["spec", "--bundle", &bundle]);
    assert!(again.status != 0 && again.stderr.contains("exists"), "{again:?}");
    let text = fs::read(container.bundle.path().join("config.json")).unwrap();
    let group = container.config["linux"]["cgroupsPath"].clone();
    container.config = serde_json::from_slice(&text).unwrap();
    container.set("/linux/cgroupsPath", group);
    container.set("/process/terminal", json!(false));
    container.set("/process/args", json!(["sh", "-c", "hostname; id -u; touch /x || echo ro"]));
    for directory in ["proc", "dev", "sys"] {
        fs::create_dir(container.rootfs().join(directory)).unwrap();
    }
    let ran = container.run();
    assert!(ran.stdout.ends_with("\n0\nro\n"), "{ran:?}");
}

//! The words that container engines look for, and the statuses beside them: each row of
//! `runtime/conformance/words.toml`, with the runtime under test. runc fulfils all of them.

use crate::container::{Container, Ran, has_controllers, is_ours, is_v2, skip, wait_until};
use serde::Deserialize;
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const TABLE: &str = include_str!("../../conformance/words.toml");

#[derive(Deserialize)]
struct Table {
    program: Vec<Program>,
    verb: Vec<Refusal>,
}

/// A program that cannot be run.
#[derive(Deserialize)]
struct Program {
    what: String,
    args: Vec<String>,
    env: Option<Vec<String>>,
    cwd: Option<String>,
    user: Option<u32>,
    /// Source and destination.
    mount: Option<[String; 2]>,
    words: String,
    create: i32,
    run: i32,
    /// Where `create` succeeds.
    start: Option<i32>,
    exec: Option<i32>,
}

/// Verbs that cannot be done.
#[derive(Deserialize)]
struct Refusal {
    what: String,
    state: String,
    verb: Vec<String>,
    #[serde(default)]
    after: Vec<String>,
    words: String,
    status: i32,
}

fn table() -> Table {
    toml::from_str(TABLE).expect("words.toml is valid")
}

/// A container that sleeps, not created yet, with all kinds of files that cannot be run.
fn sleeper() -> Option<Container> {
    let container = Container::shell("exec sleep 1000")?;
    let files = [
        ("file", "text", 0o644),
        ("garbage", "no program", 0o755),
        ("script", "#!/absent\n", 0o755),
        ("roots", "#!/bin/sh\n", 0o700),
    ];
    for (name, text, mode) in files {
        let path = container.rootfs().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    Some(container)
}

fn begin(container: &Container) {
    let ran = container.create(&[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    container.must(&["start"], &[]);
}

/// What of `ran` is not as the row has it.
fn differs(row: &str, ran: &Ran, status: i32, words: &str) -> Option<String> {
    let as_it_should = ran.status == status && ran.stderr.contains(words);
    (!as_it_should).then(|| format!("{row}: {status} and {words:?}, not {ran:?}"))
}

#[test]
fn programs_that_cannot_be_run() {
    let mut wrong = Vec::new();
    for row in table().program {
        let Some(mut container) = sleeper() else { return };
        container.set("/process/args", json!(row.args));
        for (at, value) in [
            ("/process/env", row.env.as_ref().map(|env| json!(env))),
            ("/process/cwd", row.cwd.as_ref().map(|cwd| json!(cwd))),
            ("/process/user/uid", row.user.map(|user| json!(user))),
        ] {
            if let Some(value) = value {
                container.set(at, value);
            }
        }
        if let Some([source, destination]) = &row.mount {
            let mount = json!({"source": source, "destination": destination, "type": "bind",
                "options": ["bind"]});
            container.push("/mounts", mount);
        }
        let (what, words) = (&row.what, &row.words);
        wrong.extend(differs(&format!("run, {what}"), &container.run(), row.run, words));
        let mut ran = container.create(&[]);
        if let Some(status) = row.start.filter(|_| ran.status == 0) {
            let started = container.verb(&["start"], &[]);
            wrong.extend(differs(&format!("start, {what}"), &started, status, ""));
            container.wait_stopped();
            ran.stderr = container.output("stderr");
        }
        wrong.extend(differs(&format!("create, {what}"), &ran, row.create, words));
        container.verb(&["delete", "--force"], &[]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn programs_that_cannot_be_run_by_exec() {
    let Some(container) = sleeper() else { return };
    begin(&container);
    let mut wrong = Vec::new();
    for row in table().program {
        let Some(status) = row.exec else { continue };
        let user = row.user.map(|user| user.to_string());
        let mut verb = vec!["exec"];
        verb.extend(row.cwd.iter().flat_map(|cwd| ["--cwd", cwd]));
        verb.extend(user.iter().flat_map(|user| ["--user", user]));
        let args: Vec<&str> = row.args.iter().map(String::as_str).collect();
        wrong.extend(differs(&row.what, &container.verb(&verb, &args), status, &row.words));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn verbs_that_cannot_be_done() {
    if !is_v2() && !has_controllers(&["freezer"]) {
        return;
    }
    let mut wrong = Vec::new();
    for row in table().verb {
        let Some(mut container) = sleeper() else { return };
        if row.state == "absent" {
            // A runtime that does it all the same comes to an end.
            container.set("/process/args", json!(["true"]));
            container.write_config();
        } else {
            begin(&container);
        }
        match row.state.as_str() {
            "paused" => drop(container.must(&["pause"], &[])),
            "stopped" => {
                container.must(&["kill"], &["KILL"]);
                container.wait_stopped();
            }
            _ => {}
        }
        for verb in &row.verb {
            let mut words: Vec<&str> = verb.split(' ').collect();
            if matches!(words[0], "create" | "run") {
                words.splice(1..1, ["--bundle", container.bundle.path().to_str().unwrap()]);
            }
            let after: Vec<&str> = row.after.iter().map(String::as_str).collect();
            let ran = container.verb_detached(&words, &after);
            wrong.extend(differs(&format!("{verb}, {}", row.what), &ran, row.status, &row.words));
            if row.state == "absent" {
                // runc leaves something of a container that it could not create.
                container.verb(&["delete", "--force"], &[]);
            }
        }
        if row.state == "paused" {
            container.must(&["resume"], &[]);
        }
        container.verb(&["delete", "--force"], &[]);
        wait_until("it is gone", || !container.state_root().join(&container.id).exists());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The container's standard error is no log: what is passed over is told where somebody reads it.
#[test]
fn what_is_passed_over_is_told_in_the_log_alone() {
    if !is_ours() {
        return skip("others tell it on standard error, or not at all");
    }
    let Some(mut container) = Container::shell("echo said; echo failed >&2") else { return };
    container.set("/process/capabilities/permitted", json!(["CAP_KILL", "CAP_NEW", "CAP_ALSO"]));
    container.set("/process/unheard", json!(1));
    let ran = container.run();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("said\n", "failed\n"), "{ran:?}");
    let (ran, log) = container.run_logged();
    assert_eq!(ran.stderr, "failed\n", "{ran:?}");
    let all = [
        "level=warning",
        "ignoring unknown or unavailable capabilities: [CAP_ALSO CAP_NEW]",
        "unknown property process.unheard",
    ];
    let bundle = container.bundle.path().to_str().unwrap();
    let ran = container.alone(&["--debug", "run", "--bundle", bundle, &container.id]);
    for words in all {
        assert!(log.contains(words), "{words}: {log}");
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
}

//! The process that compiles beside a container's creation: when `create` waits for it, what it
//! holds, where it works, and what is left of it.

use super::compiled::{ENGINE, cache_of, enlarge, prepare, program, started, with_cache};
use super::container::{Container, by_systemd, is_v2, wait_until};
use super::wasm_guest::acting;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the groups are called, with a PID behind it.
const GROUP: &str = "wamr-crun-compile-";

/// A container of a guest that says a line and sleeps, without an annotation for the engine.
fn sleeping() -> Option<Container> {
    let mut container = acting(&["sleep"]).and_then(|it| prepare(it, "auto"))?;
    container.set("/annotations", json!({}));
    Some(container)
}

/// Puts `script` in front of the container's compiler: it finds a directory for notes in $NOTES,
/// and writes its PID to the file `runs` there. Returns that directory.
fn before_compiling(container: &Container, script: &str) -> PathBuf {
    let (bin, notes) = (container.bundle.path().join("bin"), container.bundle.path().join("notes"));
    fs::create_dir_all(&notes).unwrap();
    fs::rename(bin.join("wamr-compile"), bin.join("real")).unwrap();
    let text = format!(
        "#!/bin/sh\nNOTES={}\necho $$ >>$NOTES/runs\n{script}\nexec {}/real \"$@\"\n",
        notes.display(),
        bin.display()
    );
    // By a process of its own: a descriptor open for writing here could leak into another test's
    // child, and the exec fail with ETXTBSY.
    let mut command = Command::new("sh");
    command.args(["-c", "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh", &text]);
    assert!(command.arg(bin.join("wamr-compile")).status().unwrap().success());
    notes
}

/// Waits until the file `go` is there, or its container is gone.
const UNTIL_TOLD: &str = "while [ -d $NOTES ] && [ ! -e $NOTES/go ]; do sleep 0.02; done";

fn runs(notes: &Path) -> Vec<i32> {
    let text = fs::read_to_string(notes.join("runs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn is_compiled(container: &Container) -> bool {
    cache_of(container, &["list"]).contains(" ms")
}

fn parent(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The directories of the groups of the compiler that the process `pid` started.
fn groups_of(pid: i32) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let mut tops: Vec<_> = fs::read_dir(top).unwrap().map(|entry| entry.unwrap().path()).collect();
    tops.push(top.to_owned());
    tops.extend(["system.slice", "unified/system.slice"].map(|name| top.join(name)));
    let name = if by_systemd() { format!("{GROUP}{pid}.scope") } else { format!("{GROUP}{pid}") };
    tops.into_iter().map(|top| top.join(&name)).filter(|path| path.exists()).collect()
}

#[test]
fn a_small_module_runs_compiled_from_its_first_start() {
    let Some(container) = sleeping() else { return };
    assert_eq!(program(started(&container, "ready\n")), "wasmtime-runner");
    assert_eq!(container.output("stderr"), "");
    assert!(is_compiled(&container));
}

#[test]
fn the_nodes_default_is_in_the_environment() {
    let Some(mut container) = sleeping() else { return };
    container.wrap(&["env", "WAMR_CRUN_ENGINE=interpreted"]);
    assert_eq!(program(started(&container, "ready\n")), "wamr-runner");
    container.wrap(&["env", "WAMR_CRUN_ENGINE=jit"]);
    let Some(other) = sleeping() else { return };
    container.id.clone_from(&other.id);
    let failed = container.create(&[]);
    assert!(failed.stderr.contains("WAMR_CRUN_ENGINE=jit: set it to"), "{failed:?}");
}

/// A busy node, or a module that was made to take long.
#[test]
fn who_would_wait_long_runs_interpreted() {
    let Some(container) = sleeping() else { return };
    let notes = before_compiling(&container, UNTIL_TOLD);
    assert_eq!(program(started(&container, "ready\n")), "wamr-runner");
    assert_eq!(container.output("stderr"), "");
    assert_eq!(runs(&notes).len(), 1);
    // It goes on.
    fs::write(notes.join("go"), "").unwrap();
    wait_until("the module is compiled", || is_compiled(&container));
    container.must(&["delete", "--force"], &[]);
    assert_eq!(program(started(&container, "ready\n")), "wasmtime-runner");
}

#[test]
fn limits_that_do_not_fit_native_code_are_the_interpreters() {
    let Some(mut container) = sleeping() else { return };
    let limit = json!([{"type": "RLIMIT_AS", "soft": 1_u64 << 30, "hard": 1_u64 << 30}]);
    container.set("/process/rlimits", limit);
    assert_eq!(program(started(&container, "ready\n")), "wamr-runner");
}

/// Nothing of the engine that called `create`, so that it can stop and clean up.
#[test]
fn a_compiler_in_the_background_holds_nothing_of_the_callers() {
    let Some(mut container) = sleeping() else { return };
    enlarge(&container, 100_000);
    let notes = before_compiling(&container, UNTIL_TOLD);
    let cache = format!("WAMR_CRUN_COMPILED={}/compiled", container.bundle.path().display());
    let with_one_more =
        format!("exec 9<{}/config.json; exec \"$@\"", container.bundle.path().display());
    container.wrap(&["env", &cache, "sh", "-c", &with_one_more, "sh"]);
    assert_eq!(program(started(&container, "ready\n")), "wamr-runner");
    wait_until("the compiler runs", || !runs(&notes).is_empty());
    let compiler = runs(&notes)[0];
    let supervisor = parent(compiler);
    for pid in [compiler, supervisor] {
        for link in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let Ok(to) = fs::read_link(link.path()) else { continue };
            let held = to.to_string_lossy();
            for ours in ["/stdout", "/stderr", "/config.json", "guest.wasm", "/state/", "pidfd"] {
                assert!(!held.contains(ours), "{pid} holds {held}");
            }
        }
        assert_ne!(getsid(Some(Pid::from_raw(pid))).unwrap(), getsid(None).unwrap());
        let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        assert_eq!(score.trim(), "1000");
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let named = format!("/{GROUP}{supervisor}");
        assert!(groups.contains(&named), "{groups}");
    }
    assert_eq!(fs::read_link(format!("/proc/{supervisor}/cwd")).unwrap(), Path::new("/"));
    has_limits(supervisor);
    // The container goes with its file system; the compiler goes on.
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
    fs::remove_dir_all(container.rootfs()).unwrap();
    fs::write(notes.join("go"), "").unwrap();
    wait_until("the module is compiled", || is_compiled(&container));
    wait_until("its groups are gone", || groups_of(supervisor).is_empty());
}

fn has_limits(supervisor: i32) {
    let groups = groups_of(supervisor);
    let file = |name: &str| {
        let found = groups.iter().find_map(|group| fs::read_to_string(group.join(name)).ok());
        found.unwrap_or_default().trim().to_owned()
    };
    let (memory, weight) = if is_v2() {
        (file("memory.max"), ("cpu.weight", "4"))
    } else {
        (file("memory.limit_in_bytes"), ("cpu.shares", "102"))
    };
    let limit: u64 = memory.parse().unwrap_or_else(|_| panic!("{memory:?} of {groups:?}"));
    assert!((1..=4 << 30).contains(&limit), "{limit}");
    assert_eq!(file(weight.0), weight.1);
}

/// One that was killed cannot clean up; whoever comes next does.
#[test]
fn groups_of_a_killed_compiler_are_removed_by_the_next() {
    let Some(container) = sleeping() else { return };
    enlarge(&container, 100_000);
    let notes = before_compiling(&container, UNTIL_TOLD);
    started(&container, "ready\n");
    wait_until("the compiler runs", || !runs(&notes).is_empty());
    let compiler = runs(&notes)[0];
    let supervisor = parent(compiler);
    for pid in [supervisor, compiler] {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    wait_until("both are gone", || !Path::new(&format!("/proc/{compiler}")).exists());
    // systemd removes a scope by itself.
    assert!(by_systemd() || !groups_of(supervisor).is_empty());
    fs::write(notes.join("go"), "").unwrap();
    for _ in 0..2 {
        container.must(&["delete", "--force"], &[]);
        started(&container, "ready\n");
        wait_until("the module is compiled", || is_compiled(&container));
        wait_until("its groups are gone", || groups_of(supervisor).is_empty());
    }
}

#[test]
fn many_containers_of_a_new_module_compile_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("compiled");
    let mut containers = Vec::new();
    for _ in 0..20 {
        let prepared = acting(&["sleep"]).and_then(|it| with_cache(it, "auto", &cache));
        let Some(container) = prepared else { return };
        let notes = before_compiling(&container, "sleep 0.3");
        containers.push((container, notes));
    }
    std::thread::scope(|scope| {
        for (container, _) in &containers {
            scope.spawn(|| started(container, "ready\n"));
        }
    });
    wait_until("the module is compiled", || is_compiled(&containers[0].0));
    let compilers: usize = containers.iter().map(|(_, notes)| runs(notes).len()).sum();
    assert_eq!(compilers, 1);
    assert!(containers.iter().any(|(it, _)| it.state()["engine"] == "compiled"));
}

#[test]
fn a_module_that_the_compiler_cannot_finish_is_not_tried_at_each_start() {
    let Some(container) = sleeping() else { return };
    let notes = before_compiling(&container, "kill -KILL $$");
    for _ in 0..2 {
        assert_eq!(program(started(&container, "ready\n")), "wamr-runner");
        assert_eq!(container.output("stderr"), "");
        container.must(&["delete", "--force"], &[]);
    }
    assert_eq!(runs(&notes).len(), 1);
    // Who wants it compiled and nothing else is told.
    let mut container = container;
    container.set("/annotations", json!({ENGINE: "compiled"}));
    let failed = container.create(&[]);
    assert!(
        failed.stderr.contains("signal: 9") && failed.stderr.contains("more memory"),
        "{failed:?}"
    );
    assert_eq!(runs(&notes).len(), 2);
}

/// The guest runs as it did, the log says why, and nothing is said where the guest's words go.
#[test]
fn a_cache_on_a_full_or_read_only_disk() {
    for (options, want) in [("ro", "read-only file system"), ("size=40k", "o space left on device")]
    {
        let Some(mut container) = acting(&["say", "1"]).and_then(|it| prepare(it, "auto")) else {
            return;
        };
        container.set("/annotations", json!({}));
        let cache = container.bundle.path().join("compiled");
        fs::create_dir(&cache).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
        let cache = cache.display();
        let script = format!(
            "mount -t tmpfs -o mode=700,{options} none {cache}; \
             export WAMR_CRUN_COMPILED={cache}; exec \"$@\""
        );
        container.wrap(&["unshare", "--mount", "sh", "-c", &script, "sh"]);
        let (ran, log) = container.run_logged();
        assert_eq!(
            (ran.status, ran.stdout.as_str(), ran.stderr.as_str()),
            (0, "said", ""),
            "{log}"
        );
        assert!(log.contains(want), "{options}: {log}");
        let ran = container.run();
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
    }
}

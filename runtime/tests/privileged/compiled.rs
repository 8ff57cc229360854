//! Guests that run compiled: which engine runs when, that their code is shared and cannot be
//! written, and what happens to what cannot be compiled.

use super::container::{Container, is_ours, skip, wait_until};
use super::wasm_guest::{acting, workload};
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const ENGINE: &str = "org.wamr-crun.wasm.engine";

/// Puts the programs for compiled guests beside the runtime, and makes a cache of the test's own;
/// nothing (and a line) if they are not named.
pub fn prepare(container: Container, engine: &str) -> Option<Container> {
    let cache = container.bundle.path().join("compiled");
    with_cache(container, engine, &cache)
}

/// As [`prepare`], with a cache for several containers.
pub fn with_cache(mut container: Container, engine: &str, cache: &Path) -> Option<Container> {
    let named = |name| std::env::var_os(name).map(PathBuf::from).filter(|_| is_ours());
    let (Some(runner), Some(compiler)) = (named("WASMTIME_RUNNER"), named("WAMR_COMPILE")) else {
        skip("WASMTIME_RUNNER and WAMR_COMPILE do not name the programs for compiled guests");
        return None;
    };
    // By a process of its own, as for the runtime.
    let bin = container.bundle.path().join("bin");
    assert!(Command::new("cp").args([runner, compiler]).arg(bin).status().unwrap().success());
    let variable = format!("WAMR_CRUN_COMPILED={}", cache.display());
    container.wrap(&["env", &variable]);
    container.set("/annotations", json!({ENGINE: engine}));
    Some(container)
}

/// Created and started, past its first line of output.
pub fn started(container: &Container, first: &str) -> i32 {
    let created = container.create(&[]);
    assert_eq!(created.status, 0, "{created:?} {}", container.output("stderr"));
    container.must(&["start"], &[]);
    wait_until("the guest runs", || container.output("stdout").starts_with(first));
    container.state()["pid"].as_i64().unwrap() as i32
}

/// What a verb of `cache` prints.
pub fn cache_of(container: &Container, act: &[&str]) -> String {
    let ran = container.alone(&[&["cache"], act].concat());
    assert_eq!(ran.status, 0, "{act:?}: {ran:?}");
    ran.stdout
}

/// Makes the guest's module so many bytes larger, which it does not look at: `auto` does not wait
/// for the compiler of a large module.
pub fn enlarge(container: &Container, bytes: usize) {
    let module = container.rootfs().join("guest.wasm");
    let mut content = fs::read(&module).unwrap();
    // A custom section: its number, its size in groups of seven bits, its name, which is "x".
    let size = bytes + 2;
    content.extend([0, size as u8 | 0x80, (size >> 7) as u8 | 0x80, (size >> 14) as u8, 1, b'x']);
    content.resize(content.len() + bytes, 0);
    fs::write(module, content).unwrap();
}

/// The name that the runtime gives to the runner.
pub fn program(pid: i32) -> String {
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    arguments.split('\0').next().unwrap().to_owned()
}

/// The files with native code.
fn artifacts(cache: &Path) -> Vec<PathBuf> {
    let directory = fs::read_dir(cache).unwrap().next().unwrap().unwrap().path();
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_none()).collect()
}

#[test]
fn the_annotation_chooses_and_state_tells() {
    for (engine, exe) in [("interpreted", "wamr-runner"), ("compiled", "wasmtime-runner")] {
        let Some(container) = acting(&["sleep"]).and_then(|it| prepare(it, engine)) else { return };
        let pid = started(&container, "ready\n");
        assert_eq!(program(pid), exe);
        assert_eq!(container.state()["engine"], engine);
        let event = container.must(&["events", "--stats"], &[]).stdout;
        assert!(event.contains(&format!("\"engine\":\"{engine}\"")), "{event}");
        container.must(&["kill"], &["TERM"]);
        container.wait_stopped();
        assert!(container.state().get("engine").is_none());
    }
}

#[test]
fn a_compiled_guest_ends_as_an_interpreted_one() {
    for (act, want) in [(&["say", "1"][..], 0), (&["show", "/proc/self/mem"], 76)] {
        let Some(container) = acting(act).and_then(|it| prepare(it, "compiled")) else { return };
        let ran = container.run();
        assert_eq!(ran.status, want, "{act:?}: {ran:?}");
    }
}

#[test]
fn auto_interprets_first_and_compiles_for_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("compiled");
    for exe in ["wamr-runner", "wasmtime-runner"] {
        let prepared = acting(&["sleep"]).and_then(|it| with_cache(it, "auto", &cache));
        let Some(container) = prepared else { return };
        enlarge(&container, 100_000);
        let pid = started(&container, "ready\n");
        assert_eq!(program(pid), exe);
        wait_until("the module is compiled", || cache_of(&container, &["list"]).contains(" ms"));
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_told_and_the_guest_interpreted() {
    for (place, want) in [("/proc/nowhere", "make /proc/nowhere"), ("/proc/1/comm", "not used")] {
        let prepared = acting(&["say", "1"]).and_then(|it| with_cache(it, "auto", place.as_ref()));
        let Some(container) = prepared else { return };
        container.write_config();
        let log = container.bundle.path().join("log.json");
        let (bundle, log_path) = (container.bundle.path().to_str().unwrap(), log.to_str().unwrap());
        let flags = ["--log", log_path, "--log-format", "json"];
        let run = ["run", "--bundle", bundle, &container.id];
        let ran = container.alone(&[&flags[..], &run].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        wait_until("the log says why", || {
            fs::read_to_string(&log).is_ok_and(|text| text.contains(want))
        });
    }
}

#[test]
fn containers_of_one_module_share_its_code() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("compiled");
    let mut containers = Vec::new();
    for _ in 0..10 {
        let prepared = workload("microservice.c").and_then(|it| with_cache(it, "compiled", &cache));
        let Some(container) = prepared else { return };
        let pid = started(&container, "start_ns=");
        containers.push((container, pid));
    }
    let inode = fs::metadata(&artifacts(&cache)[0]).unwrap().ino().to_string();
    for (_, pid) in &containers {
        let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
        let (mut of_artifact, mut code_kb) = (false, 0);
        for line in smaps.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if !words[0].ends_with(':') {
                of_artifact = words[1].starts_with("r-x") && words[4] == inode;
                continue;
            }
            let kb: u64 = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            if of_artifact && words[0] == "Rss:" {
                code_kb += kb;
            }
            if of_artifact && words[0].starts_with("Private_") {
                assert_eq!(kb, 0, "private code: {smaps}");
            }
        }
        assert!(code_kb > 0, "no code of the module is mapped: {smaps}");
    }
}

/// What a guest that has broken out of its sandbox would try, as root without a user namespace.
#[test]
fn nobody_in_a_container_can_write_what_others_run() {
    let Some(container) = acting(&["sleep"]).and_then(|it| prepare(it, "compiled")) else { return };
    let pid = started(&container, "ready\n");
    let code = &artifacts(&container.bundle.path().join("compiled"))[0];
    let runner = container.bundle.path().join("bin/wasmtime-runner");
    let inodes = [code, &runner].map(|path| fs::metadata(path).unwrap().ino());
    let mut tried = 0;
    for directory in ["fd", "map_files"] {
        for link in fs::read_dir(format!("/proc/{pid}/{directory}")).unwrap() {
            let link = link.unwrap().path();
            let inode = fs::metadata(&link).unwrap().ino();
            if inodes.contains(&inode) {
                let error = File::options().write(true).open(&link).unwrap_err().raw_os_error();
                // A program that runs is refused before its mount is looked at.
                let busy = inode == inodes[1] && error == Some(libc::ETXTBSY);
                assert!(busy || error == Some(libc::EROFS), "{}: {error:?}", link.display());
                tried += 1;
            }
        }
    }
    assert!(tried > 4, "{tried} files of the container's process");
}

#[test]
fn what_cannot_be_compiled_is_told_or_interpreted() {
    let networks = "org.wamr-crun.wasm.socket-networks";
    for (engine, created) in [("compiled", false), ("auto", true)] {
        let prepared = workload("http.c").and_then(|it| prepare(it, engine));
        let Some(mut container) = prepared else { return };
        container.set("/annotations", json!({ENGINE: engine, networks: "0.0.0.0/0"}));
        let result = container.create(&[]);
        assert_eq!(result.status == 0, created, "{result:?}");
        if !created {
            let text = "cannot run compiled: it imports the socket function sock_";
            assert!(result.stderr.contains(text), "{result:?}");
            container.assert_gone();
        }
    }
}

#[test]
fn a_damaged_entry_is_compiled_again() {
    let Some(container) = acting(&["say", "1"]).and_then(|it| prepare(it, "compiled")) else {
        return;
    };
    assert_eq!(container.run().status, 0);
    let cache = container.bundle.path().join("compiled");
    let artifact = &artifacts(&cache)[0];
    let mut bytes = fs::read(artifact).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(artifact, bytes).unwrap();
    let ran = container.run();
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(cache_of(&container, &["verify"]), "0 damaged\n");
}

#[test]
fn a_cache_is_warmed_by_hand() {
    let Some(container) = acting(&["say", "1"]).and_then(|it| prepare(it, "compiled")) else {
        return;
    };
    let rootfs = container.rootfs();
    fs::write(rootfs.join("broken.wasm"), b"\0asm\x01\0\0\0\xff").unwrap();
    let warmed = cache_of(&container, &["warm", rootfs.to_str().unwrap()]);
    let mut lines: Vec<&str> = warmed.lines().collect();
    lines.sort_unstable();
    assert!(lines[0].contains("broken.wasm: not compiled: compile the module: "), "{lines:?}");
    assert!(lines[1].ends_with("guest.wasm: compiled") && lines.len() == 2, "{lines:?}");
    assert_eq!(cache_of(&container, &["list"]).lines().count(), 3);
    assert_eq!(container.run().status, 0);
    let pruned = cache_of(&container, &["prune"]);
    assert!(pruned.starts_with("2 removed, "), "{pruned}");
}

#[test]
fn a_module_that_the_user_cannot_read_does_not_run_compiled() {
    use std::os::unix::fs::PermissionsExt;
    let Some(mut container) = acting(&[]).and_then(|it| prepare(it, "compiled")) else { return };
    let module = container.rootfs().join("guest.wasm");
    fs::set_permissions(module, fs::Permissions::from_mode(0o600)).unwrap();
    container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let failed = container.create(&[]);
    assert!(failed.stderr.contains("/guest.wasm as user 1000"), "{failed:?}");
    container.assert_gone();
}

#[test]
fn a_further_module_runs_compiled_too() {
    let Some(container) = acting(&["sleep"]).and_then(|it| prepare(it, "compiled")) else { return };
    started(&container, "ready\n");
    let ran = container.must(&["exec"], &["/guest.wasm", "say", "1"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let listed = cache_of(&container, &["list"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

#[test]
fn without_the_programs_the_default_is_the_interpreter() {
    let Some(mut container) = acting(&["say", "1"]) else { return };
    assert_eq!(container.run().status, 0);
    container.set("/annotations", json!({ENGINE: "compiled"}));
    let failed = container.run();
    assert!(failed.stderr.contains("is not installed, so no module runs compiled"), "{failed:?}");
    container.set("/annotations", json!({ENGINE: "auto"}));
    assert_eq!(container.run().status, 0);
    container.set("/annotations", json!({ENGINE: "jit"}));
    assert!(container.run().stderr.contains("none of interpreted, compiled, auto"));
}

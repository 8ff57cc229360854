//! What a Wasm guest reaches of the container's files and streams.

use super::wasm_guest::acting;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

// Numbers of wasi-libc's errno.
const ACCES: i32 = 2;
const BADF: i32 = 8;
const NOSPC: i32 = 51;
const PERM: i32 = 63;
const ROFS: i32 = 69;

fn bind(destination: &str, source: &Path, options: &[&str]) -> Value {
    let options = [&["rbind"], options].concat();
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

#[test]
fn every_mount_is_reached_by_its_own_name() {
    for (path, want) in [
        ("/own", "root"),
        ("/data/f", "outer"),
        ("/data/inner/f", "inner"),
        ("/strict/f", "outer"),
        ("/etc/one", "outer"),
    ] {
        let Some(mut container) = acting(&["show", path]) else { return };
        let (outer, inner) =
            (container.bundle.path().join("outer"), container.bundle.path().join("inner"));
        for (directory, text) in [(&outer, "outer"), (&inner, "inner")] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("f"), text).unwrap();
        }
        fs::create_dir(outer.join("inner")).unwrap();
        fs::write(container.rootfs().join("own"), "root").unwrap();
        container.push("/mounts", bind("/data", &outer, &[]));
        container.push("/mounts", bind("/data/inner", &inner, &[]));
        container.push("/mounts", bind("/strict", &outer, &["ro", "noexec", "nosuid", "nodev"]));
        container.push("/mounts", bind("/etc/one", &outer.join("f"), &["ro"]));
        let ran = container.run();
        assert_eq!((ran.status, ran.stdout.as_str()), (0, want), "{path}: {ran:?}");
    }
}

#[test]
fn read_only_is_read_only() {
    for (path, want) in
        [("/new", ROFS), ("/strict/new", ROFS), ("/data/new", 0), ("/data/inner/new", ROFS)]
    {
        let Some(mut container) = acting(&["store", path, "text"]) else { return };
        let outside = container.bundle.path().join("outside");
        fs::create_dir_all(outside.join("inner")).unwrap();
        fs::create_dir(container.rootfs().join("data")).unwrap();
        container.set("/root/readonly", json!(true));
        container.push("/mounts", bind("/data", &outside, &[]));
        container.push("/mounts", bind("/data/inner", &outside.join("inner"), &["ro"]));
        container.push("/mounts", bind("/strict", &outside, &["ro"]));
        let ran = container.run();
        assert_eq!(ran.status, want, "{path}: {ran:?}");
        assert_eq!(outside.join("new").exists(), path == "/data/new", "{path}");
    }
}

/// A module is read, as a script is by its interpreter: noexec is about execve.
#[test]
fn a_module_runs_from_a_noexec_mount() {
    let Some(mut container) = acting(&[]) else { return };
    let apps = container.bundle.path().join("apps");
    fs::create_dir_all(apps.join("deep/down")).unwrap();
    fs::rename(container.rootfs().join("guest.wasm"), apps.join("deep/down/guest.wasm")).unwrap();
    container.push("/mounts", bind("/apps", &apps, &["ro", "noexec"]));
    container.set("/process/args", json!(["/apps/deep/down/guest.wasm", "env", "PWD"]));
    container.set("/process/cwd", json!("/apps/deep"));
    let ran = container.run();
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "/apps/deep"), "{ran:?}");
}

#[test]
fn a_relative_path_means_the_working_directory() {
    for (act, path, want) in [
        ("show", "input", "of the application"),
        ("show", "/etc/input", "of the root"),
        ("show", "../etc/input", "of the root"),
        ("store", "output", ""),
    ] {
        let Some(mut container) = acting(&[act, path, "text"]) else { return };
        for (directory, text) in [("app", "of the application"), ("etc", "of the root")] {
            let directory = container.rootfs().join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("input"), text).unwrap();
        }
        container.set("/process/cwd", json!("/app"));
        let ran = container.run();
        assert_eq!((ran.status, ran.stdout.as_str()), (0, want), "{act} {path}: {ran:?}");
        assert_eq!(container.rootfs().join("app/output").exists(), act == "store");
        assert!(!container.rootfs().join("output").exists());
    }
}

#[test]
fn the_user_of_the_container_is_the_guests() {
    for (act, path, want) in [
        ("show", "/secret", ACCES),
        ("store", "/closed/f", ACCES),
        ("store", "/open/f", 0),
        ("show", "/readable", 0),
    ] {
        let Some(mut container) = acting(&[act, path, "text"]) else { return };
        let rootfs = container.rootfs();
        for (name, mode) in [("closed", 0o755), ("open", 0o777)] {
            fs::create_dir(rootfs.join(name)).unwrap();
            fs::set_permissions(rootfs.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        for (name, mode) in [("secret", 0o600), ("readable", 0o644)] {
            fs::write(rootfs.join(name), "text").unwrap();
            fs::set_permissions(rootfs.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(rootfs.join("guest.wasm"), fs::Permissions::from_mode(0o644)).unwrap();
        container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
        let ran = container.run();
        assert_eq!(ran.status, want, "{act} {path}: {ran:?}");
    }
}

#[test]
fn a_module_that_the_user_cannot_read_fails_at_create() {
    let Some(mut container) = acting(&[]) else { return };
    let module = container.rootfs().join("guest.wasm");
    fs::set_permissions(module, fs::Permissions::from_mode(0o600)).unwrap();
    container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let failed = container.create(&[]);
    assert_ne!(failed.status, 0);
    let told = failed.stderr.contains("/guest.wasm as user 1000")
        && failed.stderr.contains("permission denied");
    assert!(told, "{failed:?}");
    container.assert_gone();
}

#[test]
fn seccomp_holds_for_the_guest() {
    for (filtered, want) in [(false, 0), (true, PERM)] {
        let Some(mut container) = acting(&["mkdir", "/made"]) else { return };
        if filtered {
            let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"});
            let seccomp = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
            container.set("/linux/seccomp", seccomp);
        }
        let ran = container.run();
        assert_eq!(ran.status, want, "filtered: {filtered}: {ran:?}");
    }
}

#[test]
fn streams_may_be_closed_full_or_gone() {
    for (fd, file, want) in
        [("1", "/dev/null", 0), ("1", "/dev/full", NOSPC), ("7", "/dev/null", BADF)]
    {
        let Some(container) = acting(&["say", fd]) else { return };
        container.write_config();
        let bundle = container.bundle.path().to_str().unwrap();
        let mut run = container.command(&["run", "--bundle", bundle, &container.id]);
        let output = File::options().write(true).open(file).unwrap();
        let status = run.stdout(output).status().unwrap();
        assert_eq!(status.code(), Some(want), "descriptor {fd}, {file}");
    }
    // Without any stream, reading gives the end and writing goes nowhere.
    for act in [&["read"][..], &["say", "1"], &["say", "2"]] {
        let Some(mut container) = acting(act) else { return };
        container.wrap(&["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"]);
        let ran = container.run();
        assert_eq!(ran.status, 0, "{act:?}: {ran:?}");
    }
}

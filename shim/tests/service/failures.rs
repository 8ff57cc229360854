//! What becomes of a pod when something around it is missing, fails or was given up.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A shim alone in a directory, and beside it a runtime that runs `script`, if any.
fn shim_with(containerd: &Containerd, script: Option<&str>) -> PathBuf {
    let directory = containerd.dir.path().join("installed");
    fs::create_dir(&directory).unwrap();
    let shim = directory.join("containerd-shim");
    fs::copy(std::env::var_os("WAMR_TEST_SHIM").unwrap_or_else(|| SHIM.into()), &shim).unwrap();
    if let Some(script) = script {
        let runtime = directory.join("wamr-crun");
        fs::write(&runtime, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(runtime, fs::Permissions::from_mode(0o755)).unwrap();
    }
    shim
}

fn call(containerd: &Containerd, shim: &Path, id: &str, verb: &str) -> Output {
    let mut command = Command::new(shim);
    command.args(["-namespace", "test", "-address", &containerd.address, "-publish-binary", "c"]);
    command.args(["-id", id, verb]).current_dir(containerd.bundle(id));
    command.env("TTRPC_ADDRESS", containerd.dir.path().join("nobody"));
    command.env("PATH", "/bin:/usr/bin").output().unwrap()
}

#[test]
fn without_a_runtime_nothing_is_started() {
    let Some(containerd) = Containerd::new("missing") else { return };
    let shim = shim_with(&containerd, None);
    let output = call(&containerd, &shim, "p", "start");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(
        said.contains("there is no wamr-crun beside the shim or in PATH: install it"),
        "{said}"
    );
    assert!(!containerd.home().join("test/0/socket").exists(), "nobody listens");
}

#[test]
fn a_container_that_cannot_be_ended_is_not_taken_for_gone() {
    let Some(containerd) = Containerd::new("undead") else { return };
    let shim = shim_with(&containerd, Some("echo 'the group is busy' >&2; exit 1"));
    let output = call(&containerd, &shim, "c", "delete");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(said.contains("the group is busy"), "{said}");
}

#[test]
fn a_start_without_a_create_counts_until_its_delete() {
    let Some(containerd) = Containerd::new("given-up") else { return };
    let socket = containerd.start("p");
    let groups = socket.parent().unwrap().join("groups");
    let count = || fs::read_dir(&groups).unwrap().count();
    assert_eq!(count(), 1);
    assert!(containerd.delete("p").status.success());
    assert_eq!(count(), 0);
    eventually("the idle process ends", || !socket.exists());
}

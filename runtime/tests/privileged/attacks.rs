//! Images and configurations that try to get out of the root, or around what confines them.

use super::container::{Container, Ran, is_ours};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// The failure of `container`, of which nothing may be left.
fn refused(container: &Container) -> Ran {
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
    container.assert_gone();
    ran
}

#[test]
fn proc_cannot_be_covered_or_reached_through() {
    // A directory of the image's own choice at /proc would defeat the masked paths, the write of
    // labels and the checks on /proc/self.
    for destination in ["/proc/self", "/proc/self/attr", "/proc/1/fd", "/proc/sys/net", "/proc/.."]
    {
        let Some(mut container) = Container::shell("true") else { return };
        container
            .push("/mounts", json!({"destination": destination, "type": "tmpfs", "source": "t"}));
        refused(&container);
    }
    for link in ["/proc/self/root/tmp", "/proc/self/cwd", "/proc/1/root/tmp"] {
        let Some(mut container) = Container::shell("true") else { return };
        symlink(link, container.rootfs().join("way")).unwrap();
        container.push("/mounts", json!({"destination": "/way/x", "type": "tmpfs", "source": "t"}));
        refused(&container);
    }
}

/// What is mounted on a link of a volume must not hide the procfs that masks and labels rely on.
#[test]
fn proc_cannot_be_covered_through_a_volume() {
    for link in ["/proc", "/proc/sys", "../proc/acpi"] {
        let Some(mut container) = Container::shell("true") else { return };
        let volume = container.bundle.path().join("volume");
        fs::create_dir(&volume).unwrap();
        symlink(link, volume.join("link")).unwrap();
        let bind = |destination: &str| {
            json!({"destination": destination, "type": "bind", "source": volume,
                "options": ["bind"]})
        };
        container.push("/mounts", bind("/v"));
        container.push("/mounts", bind("/v/link"));
        if is_ours() {
            let ran = refused(&container);
            assert!(ran.stderr.contains("covers /proc"), "{link}: {ran:?}");
        }
    }
}

#[test]
fn a_volume_with_links_leads_nowhere() {
    let Some(mut container) = Container::shell("ls /v/link") else { return };
    let outside = tempfile::tempdir().unwrap();
    let volume = container.bundle.path().join("volume");
    fs::create_dir(&volume).unwrap();
    symlink(outside.path(), volume.join("link")).unwrap();
    let bind = json!({"destination": "/v", "type": "bind", "source": volume, "options": ["bind"]});
    container.push("/mounts", bind);
    let inner = json!({"destination": "/v/link/inner", "type": "tmpfs", "source": "t"});
    container.push("/mounts", inner);
    let ran = container.run();
    assert_eq!(ran.stdout, "inner\n", "{ran:?}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "made on the host");
}

#[test]
fn a_masked_path_behind_a_link_is_the_images() {
    let Some(mut container) = Container::shell("cat /secret /real/secret; ls /etc") else { return };
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "of the host").unwrap();
    fs::create_dir(container.rootfs().join("real")).unwrap();
    fs::write(container.rootfs().join("real/secret"), "secret").unwrap();
    symlink("real/secret", container.rootfs().join("secret")).unwrap();
    symlink(outside.path(), container.rootfs().join("etc")).unwrap();
    container.set("/linux/maskedPaths", json!(["/secret", "/etc"]));
    let ran = container.run();
    assert!(!ran.stdout.contains("secret"), "{ran:?}");
    assert_eq!(fs::read_to_string(outside.path()).unwrap(), "of the host");
}

#[test]
fn sysfs_is_not_mounted_through_a_link() {
    let Some(mut container) = Container::shell("true") else { return };
    fs::create_dir(container.rootfs().join("elsewhere")).unwrap();
    symlink("elsewhere", container.rootfs().join("sys")).unwrap();
    container.push("/mounts", json!({"destination": "/sys", "type": "sysfs", "source": "sysfs"}));
    let ran = refused(&container);
    assert!(!is_ours() || ran.stderr.contains("symlink"), "{ran:?}");
}

#[test]
fn a_working_directory_that_only_root_may_enter() {
    // The user gets the directory open that root entered for it; nothing below it.
    let Some(mut container) = Container::shell("ls . 2>/dev/null || echo closed") else { return };
    let directory = container.rootfs().join("closed");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("f"), "").unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    container.set("/process/cwd", json!("/closed"));
    let ran = container.run();
    assert!(ran.stdout == "closed\n" || ran.status != 0, "{ran:?}");
}

#[test]
fn settings_of_the_host_are_out_of_reach() {
    for (name, namespace) in [
        ("kernel.core_pattern", None),
        ("vm.overcommit_memory", None),
        ("fs.file-max", None),
        ("net/../kernel/panic", None),
        ("net.ipv4.ip_forward", Some("network")),
        ("kernel.shmmax", Some("ipc")),
        ("fs.mqueue.msg_max", Some("ipc")),
    ] {
        let Some(mut container) = Container::shell("true") else { return };
        if let Some(kind) = namespace {
            container.namespace(kind, None);
        }
        container.set("/linux/sysctl", json!({name: "1"}));
        let ran = refused(&container);
        assert!(!is_ours() || ran.stderr.contains("linux.sysctl"), "{name}: {ran:?}");
    }
}

//! Mounts, devices, masked paths, and images that try to lead a mount astray.

use super::container::{Container, has_controllers, is_ours, skip};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn binds_keep_their_options() {
    let script = "cat /data/f; touch /data/x 2>/dev/null || echo ro; touch /rw/y; cat /file; \
                  grep ' /data ' /proc/self/mountinfo | grep -c nosuid";
    let Some(mut container) = Container::shell(script) else { return };
    let data = container.bundle.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("f"), "text\n").unwrap();
    let mount = |destination: &str, source: &str, options: &[&str]| {
        json!({
            "destination": destination, "type": "bind", "source": source, "options": options,
        })
    };
    let source = data.to_str().unwrap();
    container.push("/mounts", mount("/data", source, &["rbind", "ro", "nosuid", "rprivate"]));
    container.push("/mounts", mount("/rw", source, &["bind", "rw"]));
    container.push("/mounts", mount("/file", data.join("f").to_str().unwrap(), &["bind"]));
    let ran = container.run();
    assert_eq!(ran.stdout, "text\nro\ntext\n1\n", "{ran:?}");
    assert!(data.join("y").exists() && !data.join("x").exists());
}

#[test]
fn new_file_systems() {
    let script = "grep -E ' /(t|q|s) ' /proc/mounts; stat -c %a /t; ls /u; cat /u/f";
    let Some(mut container) = Container::shell(script) else { return };
    fs::create_dir(container.rootfs().join("u")).unwrap();
    fs::write(container.rootfs().join("u/f"), "from the image").unwrap();
    for mount in [
        json!({"destination": "/t", "type": "tmpfs", "source": "t",
            "options": ["mode=1770", "size=1m", "noexec"]}),
        json!({"destination": "/q", "type": "mqueue", "source": "mqueue"}),
        json!({"destination": "/s", "type": "sysfs", "source": "sysfs", "options": ["ro"]}),
        json!({"destination": "/u", "type": "tmpfs", "source": "u", "options": ["tmpcopyup"]}),
    ] {
        container.push("/mounts", mount);
    }
    let ran = container.run();
    for want in ["t /t tmpfs", "noexec", "size=1024k", "mqueue /q mqueue", "sysfs /s sysfs ro"] {
        assert!(ran.stdout.contains(want), "{want}: {ran:?}");
    }
    assert!(ran.stdout.ends_with("1770\nf\nfrom the image"), "{ran:?}");
}

#[test]
fn shared_mounts_reach_the_host_only_where_asked() {
    for (root, volume, want) in [("rshared", "rshared", true), ("rslave", "rprivate", false)] {
        let Some(mut container) = Container::shell("mount -t tmpfs t /v/sub; ls /v") else {
            return;
        };
        let volume_path = container.bundle.path().join("v");
        fs::create_dir_all(volume_path.join("sub")).unwrap();
        let target = volume_path.to_str().unwrap().to_owned();
        let call = |arguments: &[&str]| {
            assert!(
                std::process::Command::new("mount").args(arguments).status().unwrap().success()
            );
        };
        call(&["--bind", &target, &target]);
        call(&["--make-shared", &target]);
        container.set("/linux/rootfsPropagation", json!(root));
        container.push(
            "/mounts",
            json!({"destination": "/v", "type": "bind", "source": target,
                "options": ["rbind", volume]}),
        );
        let all = json!(["CAP_SYS_ADMIN"]);
        for set in ["bounding", "effective", "permitted"] {
            container.set(&format!("/process/capabilities/{set}"), all.clone());
        }
        let ran = container.run();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let seen = mounts.contains(&format!("{target}/sub "));
        for path in [format!("{target}/sub"), target.clone()] {
            drop(std::process::Command::new("umount").arg("-l").arg(&path).output());
        }
        assert_eq!((ran.status, seen), (0, want), "{root} {volume}: {ran:?}");
    }
}

#[test]
fn the_root_can_be_read_only() {
    let script = "touch /x 2>/dev/null || echo refused; touch /dev/x && echo writable";
    let Some(mut container) = Container::shell(script) else { return };
    container.set("/root/readonly", json!(true));
    assert_eq!(container.run().stdout, "refused\nwritable\n");
}

#[test]
fn masked_and_read_only_paths() {
    let script = "cat /secret; ls /hidden; cat /proc/keys; \
                  echo 1 2>/dev/null > /proc/sys/net/ipv4/ip_forward || echo refused; \
                  touch /fixed/x 2>/dev/null || echo refused";
    let Some(mut container) = Container::shell(script) else { return };
    fs::write(container.rootfs().join("secret"), "secret").unwrap();
    for directory in ["hidden", "hidden2", "fixed"] {
        fs::create_dir(container.rootfs().join(directory)).unwrap();
        fs::write(container.rootfs().join(directory).join("f"), "").unwrap();
    }
    let masked = json!(["/secret", "/hidden", "/hidden2", "/proc/keys", "/absent"]);
    container.set("/linux/maskedPaths", masked);
    container.set("/linux/readonlyPaths", json!(["/proc/sys", "/fixed", "/absent"]));
    let ran = container.run();
    assert_eq!(ran.stdout, "refused\nrefused\n", "{ran:?}");
}

#[test]
fn the_images_null_is_no_cover() {
    if !is_ours() {
        return skip("others refuse such an image");
    }
    let Some(mut container) = Container::shell("cat /secret") else { return };
    // No mount at /dev: the image's own null, which is a file with a text, must not be used.
    container.config["mounts"].as_array_mut().unwrap().truncate(1);
    fs::create_dir(container.rootfs().join("dev")).unwrap();
    fs::write(container.rootfs().join("dev/null"), "image's").unwrap();
    fs::write(container.rootfs().join("secret"), "secret").unwrap();
    container.set("/linux/maskedPaths", json!(["/secret"]));
    let ran = container.run();
    assert_eq!((ran.status, ran.stdout.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn links_in_the_image_do_not_lead_mounts_outside() {
    let Some(mut container) = Container::shell("ls /link/in") else { return };
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), container.rootfs().join("link")).unwrap();
    symlink("../../../../../../../..", container.rootfs().join("up")).unwrap();
    for destination in ["/link/in", "/up/wamr-test-up"] {
        container
            .push("/mounts", json!({"destination": destination, "type": "tmpfs", "source": "t"}));
    }
    let ran = container.run();
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "made on the host");
    assert!(!std::path::Path::new("/wamr-test-up").exists(), "made on the host");
    assert!(container.rootfs().join("wamr-test-up").is_dir());
}

#[test]
fn proc_is_not_mounted_through_a_link() {
    let Some(container) = Container::shell("true") else { return };
    fs::create_dir(container.rootfs().join("elsewhere")).unwrap();
    symlink("elsewhere", container.rootfs().join("proc")).unwrap();
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
    if is_ours() {
        assert!(ran.stderr.contains("symlink"), "{ran:?}");
    }
}

#[test]
fn parts_of_proc_are_not_covered() {
    let Some(mut container) = Container::shell("true") else { return };
    container.push(
        "/mounts",
        json!({"destination": "/proc/sys", "type": "bind", "source": "/tmp", "options": ["bind"]}),
    );
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
}

#[test]
fn devices_and_links() {
    let script = "echo x > /dev/null && stat -c '%F %t:%T %a' /dev/zero /dev/mine; \
                  readlink /dev/fd; readlink /dev/ptmx; \
                  dd if=/dev/mine of=/dev/null count=1 2>&1 | head -1";
    let Some(mut container) = Container::shell(script) else { return };
    let device = json!([{"path": "/dev/mine", "type": "c", "major": 1, "minor": 11,
        "fileMode": 0o600}]);
    container.set("/linux/devices", device);
    let ran = container.run();
    let want = "character special file 1:5 666\ncharacter special file 1:b 600\n\
                /proc/self/fd\npts/ptmx\n";
    assert!(ran.stdout.starts_with(want), "{ran:?}");
    assert!(ran.stdout.contains("not permitted"), "/dev/kmsg is not among the rules: {ran:?}");
}

#[test]
fn the_groups_are_shown() {
    if !has_controllers(&["pids"]) {
        return;
    }
    let Some(mut container) = Container::shell(
        "cat /sys/fs/cgroup/pids/pids.max || \
        cat /sys/fs/cgroup/pids.max; cat /proc/self/cgroup | grep -c wamr-test",
    ) else {
        return;
    };
    container.push("/mounts", json!({"destination": "/sys", "type": "sysfs", "source": "sysfs"}));
    container.push(
        "/mounts",
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["ro", "nosuid"]}),
    );
    container.set("/linux/resources/pids", json!({"limit": 77}));
    let ran = container.run();
    assert_eq!(ran.stdout, "77\n0\n", "{ran:?}");
}

#[test]
fn a_file_is_mounted_on_a_link_to_nowhere() {
    for link in ["../run/resolve/stub", "/run/resolve/stub", "../../../run/resolve/stub"] {
        let script = "cat /etc/resolv.conf; readlink /etc/resolv.conf; cat /run/resolve/stub";
        let Some(mut container) = Container::shell(script) else { return };
        fs::create_dir(container.rootfs().join("etc")).unwrap();
        symlink(link, container.rootfs().join("etc/resolv.conf")).unwrap();
        let file = container.bundle.path().join("resolv.conf");
        fs::write(&file, "nameserver\n").unwrap();
        container.push(
            "/mounts",
            json!({"destination": "/etc/resolv.conf", "type": "bind", "source": file,
                "options": ["bind"]}),
        );
        let ran = container.run();
        assert_eq!(ran.stdout, format!("nameserver\n{link}\nnameserver\n"), "{link}: {ran:?}");
    }
}

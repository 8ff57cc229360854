//! Known ways out of a container, tried against a real one: each test fails if its way is open.

use super::container::{Container, is_ours};
use super::{wasm, wasm_guest};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::statvfs::{FsFlags, statvfs};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rounds of a race: more with `WAMR_TEST_ROUNDS`.
pub fn rounds(usual: u32) -> u32 {
    let named = std::env::var("WAMR_TEST_ROUNDS").ok();
    named.map_or(usual, |text| text.parse().expect("WAMR_TEST_ROUNDS is a number"))
}

/// Gives `container` a copy of its runtime, which an attack may spoil.
fn copy_runtime(container: &mut Container) -> PathBuf {
    let copy = container.bundle.path().join("wamr-crun-copy");
    let copied = Command::new("cp").arg(container.runtime()).arg(&copy).status().unwrap();
    assert!(copied.success());
    container.use_runtime(&copy);
    copy
}

/// Holds the file of every process that is no busybox and tries to write to it when it is free.
const HUNTER: &str = "while :; do for p in /proc/[0-9]*; do
    case $(readlink $p/exe) in /bin/busybox|'') continue;; esac
    exec 9<$p/exe || continue
    i=0; while [ $i -lt 200 ]; do echo x >/proc/self/fd/9 && echo won >>/won; i=$((i+1)); done
    exec 9<&-
done; done 2>/dev/null";

/// CVE-2019-5736: the container gets hold of the runtime's file and writes to it.
#[test]
fn the_runtime_cannot_be_overwritten() {
    let Some(mut container) = Container::shell(HUNTER) else { return };
    let runtime = copy_runtime(&mut container);
    let before = fs::read(&runtime).unwrap();
    fs::write(container.rootfs().join("bin/entry"), "#!/proc/self/exe\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(container.rootfs().join("bin/entry"), executable).unwrap();
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    container.must(&["start"], &[]);
    for _ in 0..rounds(10) {
        // How it ends is its own affair: the runtime's program run as an entrypoint.
        drop(container.verb(&["exec"], &["entry"]));
        drop(container.verb(&["exec"], &["true"]));
    }
    assert!(!container.rootfs().join("won").exists(), "the runtime's file was written to");
    assert!(fs::read(&runtime).unwrap() == before, "the runtime's file changed");
}

/// Holds the file of the container's first process and writes to it when that has become another.
const HOLDER: &str = "exec 9</proc/1/exe; echo held >/held
    while ! readlink /proc/1/exe | grep -q busybox; do sleep 0.01; done
    i=0; while [ $i -lt 50 ]; do
        echo x >/proc/self/fd/9 && echo won >/won; i=$((i+1)); sleep 0.02
    done
    echo done >/tried";

/// The same with time: until `start` the container's first process is the runtime itself.
#[test]
fn the_runtime_at_its_gate_cannot_be_overwritten() {
    let Some(mut container) = Container::shell("exec sleep 1000") else { return };
    let runtime = copy_runtime(&mut container);
    let before = fs::read(&runtime).unwrap();
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    let begun = container.verb_detached(&["exec", "-d"], &["sh", "-c", HOLDER]);
    if begun.status != 0 {
        assert!(!is_ours(), "{begun:?}");
        return;
    }
    let made_by = |name: &str| container.rootfs().join(name).exists();
    super::container::wait_until("the file is held", || made_by("held"));
    container.must(&["start"], &[]);
    super::container::wait_until("the attempts", || made_by("tried"));
    assert!(!made_by("won"), "the runtime's file was written to");
    assert!(fs::read(&runtime).unwrap() == before, "the runtime's file changed");
}

/// The same for the runner, which stays the file of a Wasm container's process.
#[test]
fn the_runner_cannot_be_overwritten() {
    let Some(mut container) = wasm_guest::container() else { return };
    if !container.add_busybox() {
        return;
    }
    fs::write(container.rootfs().join("m.wasm"), wasm::loops()).unwrap();
    container.set("/process/args", json!(["/m.wasm"]));
    let runner = container.runtime().with_file_name("wamr-runner");
    let before = fs::read(&runner).unwrap();
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    container.must(&["start"], &[]);
    let exe = format!("/proc/{}/exe", container.state()["pid"]);
    super::container::wait_until("the runner runs", || {
        fs::read_to_string(exe.replace("/exe", "/cmdline")).unwrap().starts_with("wamr-runner")
    });
    let flags = statvfs(Path::new(&exe)).unwrap().flags();
    assert!(flags.contains(FsFlags::ST_RDONLY), "the runner's file is on a writable mount");
    let write = "exec 9</proc/1/exe; echo x >/proc/self/fd/9";
    let ran = container.verb(&["exec"], &["sh", "-c", write]);
    assert_ne!(ran.status, 0, "{ran:?}");
    assert!(fs::read(&runner).unwrap() == before, "the runner's file changed");
}

/// An engine that leaves directories of the host open, in front of the runtime.
const LEAK: [&str; 3] = ["sh", "-c", "exec 7</ 8</etc; exec \"$0\" \"$@\""];

/// CVE-2024-21626: a descriptor of the host, as working directory or left open.
#[test]
fn no_descriptor_leads_to_the_host() {
    for number in 3..16 {
        let Some(mut container) = Container::shell("cat ../../../../etc/hostname; echo got") else {
            return;
        };
        container.wrap(&LEAK);
        container.set("/process/cwd", json!(format!("/proc/self/fd/{number}")));
        let ran = container.run();
        assert!(ran.status != 0 && !ran.stdout.contains("got"), "{number}: {ran:?}");
    }
    let script = "ls /proc/self/fd | tr '\\n' ' '; exec sleep 99";
    let Some(mut container) = Container::shell(script) else { return };
    container.wrap(&LEAK);
    assert_eq!(container.create(&[]).status, 0);
    container.must(&["start"], &[]);
    super::container::wait_until("ls", || container.output("stdout").ends_with(' '));
    assert_eq!(container.output("stdout"), "0 1 2 3 ", "3 is the directory that ls reads");
    for number in 3..16 {
        let cwd = format!("/proc/self/fd/{number}");
        let ran = container.verb(&["exec", "--cwd", &cwd], &["sh", "-c", "echo got"]);
        assert!(ran.status != 0 && !ran.stdout.contains("got"), "{number}: {ran:?}");
    }
}

/// CVE-2022-29162: capabilities that a file's inheritable set could give back.
#[test]
fn nothing_is_inheritable() {
    let script = "grep -E 'CapInh|CapAmb' /proc/self/status; exec sleep 99";
    let Some(container) = Container::shell(script) else { return };
    assert_eq!(container.create(&[]).status, 0);
    container.must(&["start"], &[]);
    let exec = container.verb(&["exec"], &["grep", "-E", "CapInh|CapAmb", "/proc/self/status"]);
    super::container::wait_until("grep", || container.output("stdout").lines().count() == 2);
    for text in [container.output("stdout"), exec.stdout] {
        assert_eq!(text.matches("0000000000000000").count(), 2, "{text}");
    }
}

/// CVE-2025-31133: the image's /dev/null, which covers masked paths, is a link to a file of /proc.
#[test]
fn the_cover_of_masked_paths_is_not_the_images() {
    let Some(mut container) = Container::shell("stat -c %t:%T /proc/interrupts /masked") else {
        return;
    };
    fs::create_dir(container.rootfs().join("dev")).unwrap();
    symlink("/proc/sys/kernel/core_pattern", container.rootfs().join("dev/null")).unwrap();
    fs::write(container.rootfs().join("masked"), "secret").unwrap();
    let proc = json!([{"destination": "/proc", "type": "proc", "source": "proc"}]);
    container.set("/mounts", proc);
    container.set("/linux/maskedPaths", json!(["/proc/interrupts", "/masked"]));
    let ran = container.run();
    if ran.status == 0 || is_ours() {
        assert!(ran.stdout == "1:3\n1:3\n", "{ran:?}");
    }
}

/// CVE-2025-52565: the image's /dev/console, where the terminal goes, is a link to a file of /proc.
#[test]
fn the_console_covers_nothing_of_proc() {
    let Some(mut container) = Container::shell("test -c /proc/interrupts && echo covered") else {
        return;
    };
    fs::create_dir(container.rootfs().join("dev")).unwrap();
    symlink("/proc/interrupts", container.rootfs().join("dev/console")).unwrap();
    let pts = json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
        "options": ["newinstance", "ptmxmode=0666"]});
    let proc = json!({"destination": "/proc", "type": "proc", "source": "proc"});
    container.set("/mounts", json!([proc, pts]));
    container.set("/process/terminal", json!(true));
    let socket = container.bundle.path().join("console");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let made = container.create(&["--console-socket", socket.to_str().unwrap()]);
    assert_ne!(made.status, 0, "{made:?}");
    container.assert_gone();
}

/// CVE-2019-16884, CVE-2021-30465: a volume whose directories are exchanged for links while the
/// runtime mounts into it.
#[test]
fn exchanged_directories_lead_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let Some(mut container) = Container::shell("true") else { return };
    let volume = container.bundle.path().join("volume");
    fs::create_dir_all(volume.join("place")).unwrap();
    let upwards = format!("../../../../../../../../..{}", outside.path().display());
    symlink(upwards, volume.join("evil")).unwrap();
    let bind = json!({"destination": "/v", "type": "bind", "source": volume, "options": ["bind"]});
    container.push("/mounts", bind);
    let mount = json!({"destination": "/v/place/mark", "type": "tmpfs", "source": "tmpfs"});
    container.push("/mounts", mount);
    container.push("/linux/namespaces", json!({"type": "time"}));
    let stop = AtomicBool::new(false);
    let (place, evil) = (volume.join("place"), volume.join("evil"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let exchange = RenameFlags::RENAME_EXCHANGE;
                renameat2(AT_FDCWD, &place, AT_FDCWD, &evil, exchange).unwrap();
            }
        });
        for _ in 0..rounds(15) {
            // Both a container and a refusal are fine; a trace outside is not.
            drop(container.create(&[]));
            drop(container.verb(&["delete", "--force"], &[]));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "made outside the container");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(outside.path().to_str().unwrap()), "mounted outside the container");
    container.assert_gone();
}

//! When and where a process runs, and what the kernel tells it about the machine.

use super::container::{Container, is_ours, skip};
use serde_json::{Value, json};
use std::process::Command;

/// What the host's `program` says about the container's process.
fn asked(container: &Container, program: &str) -> String {
    let pid = container.state()["pid"].to_string();
    let output = Command::new(program).args(["-p", &pid]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn created(at: &str, value: Value) -> Option<Container> {
    let mut container = Container::shell("true")?;
    container.set(at, value);
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    Some(container)
}

#[test]
fn schedulers() {
    for (value, want) in [
        (json!({"policy": "SCHED_BATCH", "nice": 5}), "SCHED_BATCH"),
        (json!({"policy": "SCHED_IDLE"}), "SCHED_IDLE"),
        (
            json!({"policy": "SCHED_OTHER", "nice": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
            "SCHED_OTHER|SCHED_RESET_ON_FORK",
        ),
    ] {
        let Some(container) = created("/process/scheduler", value) else { return };
        let said = asked(&container, "chrt");
        assert!(said.contains(want), "{want}: {said}");
    }
}

#[test]
fn real_time_is_granted_or_refused_with_the_reason() {
    for (value, want) in [
        (json!({"policy": "SCHED_FIFO", "priority": 7}), "SCHED_FIFO"),
        (json!({"policy": "SCHED_RR", "priority": 2}), "SCHED_RR"),
        (
            json!({"policy": "SCHED_DEADLINE", "runtime": 10_000_000, "deadline": 100_000_000,
            "period": 100_000_000}),
            "SCHED_DEADLINE",
        ),
    ] {
        let Some(mut container) = Container::shell("true") else { return };
        container.set("/process/scheduler", value);
        let made = container.create(&[]);
        if made.status == 0 {
            let said = asked(&container, "chrt");
            assert!(said.contains(want), "{want}: {said}");
            continue;
        }
        if is_ours() {
            assert!(made.stderr.contains("process.scheduler"), "{made:?}");
            assert!(made.stderr.contains("CAP_SYS_NICE"), "{made:?}");
        }
        container.assert_gone();
        println!("{want} is refused here: {}", made.stderr.trim());
        wamr_testing::skip("scheduling");
    }
}

#[test]
fn io_priorities() {
    for (class, level, want) in
        [("IOPRIO_CLASS_BE", 6, "best-effort: prio 6"), ("IOPRIO_CLASS_IDLE", 0, "idle")]
    {
        let value = json!({"class": class, "priority": level});
        let Some(container) = created("/process/ioPriority", value) else { return };
        let said = asked(&container, "ionice");
        assert!(said.contains(want), "{want}: {said}");
    }
}

#[test]
fn the_personality_changes_the_machine() {
    let Some(mut container) = Container::shell("busybox uname -m") else { return };
    container.set("/linux/personality", json!({"domain": "LINUX32"}));
    let ran = container.run();
    let native = std::env::consts::ARCH;
    assert!(ran.status == 0 && ran.stdout.trim() != native, "{ran:?}");
    container.set("/linux/personality", json!({"domain": "LINUX"}));
    assert_eq!(container.run().stdout.trim(), native);
}

#[test]
fn the_memory_policy_is_that_of_the_process() {
    if !is_ours() {
        return skip("runtime-spec 1.3 is not everywhere yet");
    }
    let Some(mut container) = Container::shell("grep -v default /proc/self/numa_maps | head -1")
    else {
        return;
    };
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        return wamr_testing::skip("numa");
    }
    for (value, want) in [
        (
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}),
            " bind=static:0 ",
        ),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}), " interleave:0 "),
        (json!({"mode": "MPOL_PREFERRED", "nodes": "0"}), " prefer:0 "),
        (json!({"mode": "MPOL_LOCAL"}), " local "),
    ] {
        container.set("/linux/memoryPolicy", value);
        let ran = container.run();
        assert!(ran.stdout.contains(want), "{want}: {ran:?}");
    }
    container.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "1000"}));
    let ran = container.run();
    assert!(ran.stderr.contains("linux.memoryPolicy"), "{ran:?}");
    container.assert_gone();
}

#[test]
fn labels_need_their_module() {
    if !is_ours() {
        return skip("others phrase it differently");
    }
    let apparmor = std::path::Path::new("/sys/module/apparmor/parameters/enabled").exists();
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap();
    // A profile that is not applied is a confinement that is missing; a label without a policy is
    // nothing, and engines set it everywhere.
    for (at, module, on, status) in [
        ("/process/apparmorProfile", "AppArmor", apparmor, 1),
        ("/process/selinuxLabel", "SELinux", filesystems.contains("selinuxfs"), 0),
        ("/linux/mountLabel", "SELinux", filesystems.contains("selinuxfs"), 0),
    ] {
        if on {
            println!("{module} may be enabled here");
            wamr_testing::skip("security-module-on");
            continue;
        }
        let Some(mut container) = Container::shell("true") else { return };
        container.set(at, json!("system_u:system_r:container_t:s0"));
        let (ran, log) = container.run_logged();
        assert_eq!(ran.status, status, "{ran:?}");
        assert!(log.contains(&format!("{module} is not enabled")), "{log}");
        container.assert_gone();
    }
}

#[test]
fn an_apparmor_profile_is_entered_or_the_create_fails() {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if !enabled.is_ok_and(|text| text.starts_with('Y')) {
        wamr_testing::skip("apparmor");
        return;
    }
    // The one profile that is always loaded.
    let Some(mut container) = Container::shell("cat /proc/self/attr/apparmor/current") else {
        return;
    };
    container.set("/process/apparmorProfile", json!("unconfined"));
    let ran = container.run();
    assert_eq!((ran.status, ran.stdout.trim()), (0, "unconfined"), "{ran:?}");
    if !is_ours() {
        return skip("others phrase it differently");
    }
    container.set("/process/apparmorProfile", json!("no-such-profile"));
    let ran = container.run();
    assert_eq!(ran.status, 1, "{ran:?}");
    let words = "choose the AppArmor profile \"no-such-profile\": is it loaded?";
    assert!(ran.stderr.contains(words), "{ran:?}");
    container.assert_gone();
}

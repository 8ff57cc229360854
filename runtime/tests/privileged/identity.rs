//! Who the process is and what it may do.

use super::container::{Container, host_shell, is_ours, skip};
use serde_json::json;
use std::fs;

#[test]
fn user_groups_umask_and_cwd() {
    let script = "id -u; id -g; id -G; umask; echo $PWD; echo $HOME; touch /w/f; stat -c %a /w/f";
    let Some(mut container) = Container::shell(script) else { return };
    let directory = container.rootfs().join("w");
    fs::create_dir(&directory).unwrap();
    std::os::unix::fs::chown(&directory, Some(1000), None).unwrap();
    fs::create_dir(container.rootfs().join("etc")).unwrap();
    let passwd = "root:x:0:0::/root:/bin/sh\nu:x:1000:1001::/home/u:/bin/sh\n";
    fs::write(container.rootfs().join("etc/passwd"), passwd).unwrap();
    let user = json!({"uid": 1000, "gid": 1001, "additionalGids": [7, 8], "umask": 0o027});
    container.set("/process/user", user);
    container.set("/process/cwd", json!("/made/on/the/way"));
    let ran = container.run();
    let want = "1000\n1001\n1001 7 8\n0027\n/made/on/the/way\n/home/u\n640\n";
    assert_eq!(ran.stdout, want, "{ran:?}");
}

#[test]
fn a_home_that_is_empty_is_none() {
    for (given, want) in [(None, "/root"), (Some("HOME="), "/root"), (Some("HOME=/h"), "/h")] {
        let script = "echo $HOME; env | grep -c ^HOME=";
        let Some(mut container) = Container::shell(script) else { return };
        fs::create_dir(container.rootfs().join("etc")).unwrap();
        let passwd = "root:x:0:0::/root:/bin/sh\n";
        fs::write(container.rootfs().join("etc/passwd"), passwd).unwrap();
        if let Some(entry) = given {
            container.push("/process/env", json!(entry));
        }
        let ran = container.run();
        assert_eq!(ran.stdout, format!("{want}\n1\n"), "{given:?}: {ran:?}");

        let env = container.config["process"]["env"].clone();
        container.set("/process/args", json!(["sleep", "1000"]));
        container.create(&[]);
        container.must(&["start"], &[]);
        let ran = container.must(&["exec"], &["sh", "-c", script]);
        assert_eq!(ran.stdout, format!("{want}\n1\n"), "exec by flags, {given:?}: {ran:?}");
        let process = json!({"args": ["sh", "-c", script], "cwd": "/", "env": env});
        let file = container.bundle.path().join("process.json");
        fs::write(&file, process.to_string()).unwrap();
        let ran = container.must(&["exec", "--process", file.to_str().unwrap()], &[]);
        assert_eq!(ran.stdout, format!("{want}\n1\n"), "exec by file, {given:?}: {ran:?}");
    }
}

#[test]
fn of_equal_names_the_last_value_counts() {
    let Some(mut container) = Container::shell("env | grep ^A=; echo $A") else { return };
    container.push("/process/env", json!("A=1"));
    container.push("/process/env", json!("A=2"));
    assert_eq!(container.run().stdout, "A=2\n2\n");
}

#[test]
fn capabilities_and_no_new_privileges() {
    let Some(mut container) = Container::shell("grep -E 'Cap|NoNewPrivs' /proc/self/status") else {
        return;
    };
    let chown = json!(["CAP_CHOWN", "CAP_SYS_CHROOT"]);
    let sets = json!({"bounding": chown, "effective": ["CAP_CHOWN"], "permitted": chown,
        "inheritable": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]});
    container.set("/process/capabilities", sets);
    let ran = container.run();
    let words: Vec<_> = ran.stdout.split_whitespace().collect();
    // Root's exec fills permitted and effective from the bounding set.
    let both = "0000000000040001";
    let one = "0000000000000001";
    let want = [
        "CapInh:",
        one,
        "CapPrm:",
        both,
        "CapEff:",
        both,
        "CapBnd:",
        both,
        "CapAmb:",
        one,
        "NoNewPrivs:",
        "1",
    ];
    // An ambient set keeps an exec of root from doing so.
    let ambient = [
        "CapInh:",
        one,
        "CapPrm:",
        one,
        "CapEff:",
        one,
        "CapBnd:",
        both,
        "CapAmb:",
        one,
        "NoNewPrivs:",
        "1",
    ];
    assert!(words == want || words == ambient, "{ran:?}");
    container.set("/process/noNewPrivileges", json!(false));
    assert!(container.run().stdout.ends_with("NoNewPrivs:\t0\n"));
}

#[test]
fn without_capabilities_nothing_is_left() {
    if !is_ours() {
        return skip("runc keeps all capabilities then");
    }
    let Some(mut container) = Container::shell("grep Cap /proc/self/status") else { return };
    container.config["process"].as_object_mut().unwrap().remove("capabilities");
    let ran = container.run();
    assert_eq!(ran.stdout.matches("0000000000000000").count(), 5, "{ran:?}");
}

#[test]
fn a_capability_that_cannot_be_granted_is_a_warning() {
    if !is_ours() {
        return skip("others fail or say nothing");
    }
    let Some(mut container) = Container::shell("grep -E 'CapPrm|CapBnd' /proc/self/status") else {
        return;
    };
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    let lacks = |bit: u32| u64::from_str_radix(bounding, 16).unwrap() >> bit & 1 == 0;
    let names = ["CAP_KILL", "CAP_SYS_RESOURCE", "CAP_OF_TOMORROW"];
    for set in ["bounding", "effective", "permitted"] {
        container.set(&format!("/process/capabilities/{set}"), json!(names));
    }
    let (ran, log) = container.run_logged();
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let words = "ignoring unknown or unavailable capabilities: [CAP_OF_TOMORROW]";
    assert!(log.contains(words), "{log}");
    assert_eq!(log.contains("CAP_SYS_RESOURCE is left out"), lacks(24), "{log}");
    let want = if lacks(24) { "0000000000000020" } else { "0000000001000020" };
    assert_eq!(ran.stdout, format!("CapPrm:\t{want}\nCapBnd:\t{want}\n"), "{ran:?}");
}

#[test]
fn a_small_limit_of_descriptors_is_the_programs_alone() {
    for limit in [3, 4, 16, 32] {
        let Some(mut container) = Container::shell("ulimit -n") else { return };
        let limits = json!([{"type": "RLIMIT_NOFILE", "soft": limit, "hard": limit}]);
        container.set("/process/rlimits", limits);
        let ran = container.run();
        assert_eq!(ran.stdout, format!("{limit}\n"), "{ran:?}");
        container.set("/process/args", json!(["sleep", "1000"]));
        container.create(&[]);
        container.must(&["start"], &[]);
        let ran = container.must(&["exec"], &["sh", "-c", "ulimit -n"]);
        assert_eq!(ran.stdout, format!("{limit}\n"), "exec: {ran:?}");
    }
}

#[test]
fn resource_limits() {
    let Some(mut container) = Container::shell("ulimit -n; ulimit -Hn; ulimit -c") else { return };
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 111, "hard": 222},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
    container.set("/process/rlimits", limits);
    assert_eq!(container.run().stdout, "111\n222\n0\n");
}

#[test]
fn the_oom_score() {
    let Some(mut container) = Container::shell("cat /proc/self/oom_score_adj") else { return };
    container.set("/process/oomScoreAdj", json!(777));
    assert_eq!(container.run().stdout, "777\n");
    container.set("/process/oomScoreAdj", json!(-999));
    let ran = container.run();
    if ran.status != 0 && is_ours() {
        assert!(ran.stderr.contains("CAP_SYS_RESOURCE"), "{ran:?}");
        container.assert_gone();
    }
}

#[test]
fn seccomp_refuses_and_kills() {
    for no_new_privileges in [true, false] {
        for (action, want) in [("SCMP_ACT_ERRNO", 1), ("SCMP_ACT_KILL_PROCESS", 159)] {
            let Some(mut container) = Container::shell("mkdir /x; exit $?") else { return };
            container.set("/process/noNewPrivileges", json!(no_new_privileges));
            // exec: the child of the shell would hide a signal of its own.
            container.set("/process/args", json!(["/bin/mkdir", "/x"]));
            let profile = json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": action}]});
            container.set("/linux/seccomp", profile);
            let ran = container.run();
            assert_eq!(ran.status, want, "{action} {no_new_privileges}: {ran:?}");
            assert!(!container.rootfs().join("x").exists());
        }
    }
}

#[test]
fn preserved_descriptors_and_signals() {
    if !is_ours() {
        return skip("others pass ignored signals on");
    }
    let Some(mut container) = Container::shell("") else { return };
    // Without the shell, which ignores SIGQUIT itself.
    container.set("/process/args", json!(["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"]));
    let ran = container.run();
    assert_eq!(ran.stdout.matches("0000000000000000").count(), 2, "{ran:?}");
    let missing = container.create(&["--preserve-fds", "9"]);
    assert!(missing.stderr.contains("unable to stat preserved-fd"), "{missing:?}");
    // Those that the runtime opens for itself do not count.
    let line = format!(
        "exec {} --root {} run --bundle {} --preserve-fds 2 {} 3>&- 4>&-",
        container.runtime().display(),
        container.state_root().display(),
        container.bundle.path().display(),
        container.id
    );
    let missing = host_shell(&line);
    assert!(missing.stderr.contains("preserved-fd 3 (of 2)"), "{missing:?}");
}

#[test]
fn the_runtimes_file_is_out_of_reach() {
    if !is_ours() {
        return skip("others run from a copy");
    }
    let Some(mut container) = Container::shell("true") else { return };
    container.set("/process/args", json!(["/proc/self/exe", "--version"]));
    let ran = container.run();
    assert_ne!(ran.status, 0, "the container ran the runtime: {ran:?}");
    // A created init is still the runtime: its file must not be writable through /proc.
    let Some(container) = Container::shell("true") else { return };
    container.create(&[]);
    let exe = format!("/proc/{}/exe", container.state()["pid"]);
    let opened = fs::OpenOptions::new().write(true).open(&exe);
    assert!(opened.is_err(), "{exe} can be opened for writing");
    // Running files cannot be written anyway; this holds after the end of the init too.
    let flags = nix::sys::statvfs::statvfs(exe.as_str()).unwrap().flags();
    assert!(flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY), "{flags:?}");
}

#[test]
fn without_a_user_a_process_is_roots() {
    let Some(mut container) = Container::shell("id -u; id -g; exec sleep 1000") else { return };
    container.config["process"].as_object_mut().unwrap().remove("user");
    container.create(&[]);
    container.must(&["start"], &[]);
    super::container::wait_until("it runs", || container.output("stdout") == "0\n0\n");
    assert_eq!(container.must(&["exec"], &["id", "-u"]).stdout, "0\n");
    let file = container.bundle.path().join("process.json");
    for process in [
        json!({"args": ["id", "-u"], "cwd": "/", "env": ["PATH=/bin"]}),
        json!({"args": ["id", "-u"], "env": ["PATH=/bin"], "user": {}, "cwd": "/"}),
    ] {
        fs::write(&file, process.to_string()).unwrap();
        let ran = container.must(&["exec", "--process", file.to_str().unwrap()], &[]);
        assert_eq!(ran.stdout, "0\n", "{process}: {ran:?}");
    }
}

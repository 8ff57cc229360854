//! `exec`: a further process in a running container.

use super::container::{
    Container, Ran, has_controllers, host_shell, is_ours, is_v2, skip, wait_until,
};
use super::isolation::give_away;
use super::seccomp;
use super::terminal::receive;
use super::{wasm, wasm_guest};
use libseccomp::{ScmpNotifReq, ScmpNotifResp, ScmpNotifRespFlags};
use serde_json::{Value, json};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

/// A container that sleeps, started.
fn sleeping() -> Option<Container> {
    sleeping_with(|_| {})
}

/// The same, with its configuration changed.
fn sleeping_with(change: impl FnOnce(&mut Container)) -> Option<Container> {
    let mut container = Container::shell("exec sleep 1000")?;
    change(&mut container);
    start(&container);
    Some(container)
}

fn start(container: &Container) {
    let made = container.create(&[]);
    assert_eq!(made.status, 0, "{made:?}");
    container.must(&["start"], &[]);
}

/// `exec FLAGS ID sh -c SCRIPT`.
fn shell(container: &Container, flags: &[&str], script: &str) -> Ran {
    let (verb, after) = ([&["exec"], flags].concat(), ["sh", "-c", script]);
    if flags.contains(&"-d") {
        return container.verb_detached(&verb, &after);
    }
    container.verb(&verb, &after)
}

/// `exec --process FILE` with `process`, and `flags`.
fn from_file(container: &Container, flags: &[&str], process: &Value) -> Ran {
    let path = container.bundle.path().join("process.json");
    fs::write(&path, serde_json::to_vec(process).unwrap()).unwrap();
    let verb = [&["exec", "--process", path.to_str().unwrap()], flags].concat();
    container.verb_detached(&verb, &[])
}

#[test]
fn it_is_inside() {
    let Some(container) = sleeping() else { return };
    let pid = container.state()["pid"].as_i64().unwrap();
    let kinds = ["mnt", "pid", "net", "ipc", "uts", "cgroup"];
    let script = kinds.map(|kind| format!("readlink /proc/self/ns/{kind}")).join("; ");
    let ran = shell(&container, &[], &format!("{script}; hostname; cat /proc/self/cgroup"));
    let mut lines = ran.stdout.lines();
    for kind in kinds {
        let own = fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        assert_eq!(lines.next().unwrap(), own.to_str().unwrap(), "{ran:?}");
    }
    assert_eq!(lines.next(), Some("inside"));
    let groups = shell(&container, &[], "cat /proc/1/cgroup").stdout;
    assert_eq!(lines.collect::<Vec<_>>().join("\n"), groups.trim_end(), "{ran:?}");
    // As the host sees it: the same groups, and PID 1's namespace.
    let seen = shell(&container, &["-d"], "exec sleep 999");
    assert_eq!(seen.status, 0, "{seen:?}");
    let found = shell(&container, &[], "ps");
    assert!(found.stdout.contains("sleep 1000") && found.stdout.contains("sleep 999"), "{found:?}");
    container.must(&["delete", "--force"], &[]);
    container.assert_gone();
}

#[test]
fn statuses_are_passed_on() {
    let Some(container) = sleeping() else { return };
    for (script, want) in [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("kill $$", 143)] {
        let ran = shell(&container, &[], script);
        assert_eq!(ran.status, want, "{script}: {ran:?}");
    }
    let ran = container.verb(&["exec"], &["absent-program"]);
    assert!(ran.stderr.contains("absent-program"), "{ran:?}");
    assert_eq!(ran.status, 255, "{ran:?}");
    fs::write(container.rootfs().join("bin/plain"), "no program").unwrap();
    let ran = container.verb(&["exec"], &["plain"]);
    assert!(ran.status == 255 && ran.stderr.contains("executable"), "{ran:?}");
    assert_eq!(container.status(), "running");
}

#[test]
fn only_where_something_runs() {
    let Some(container) = Container::shell("exec sleep 1000") else { return };
    let ran = container.verb(&["exec"], &["true"]);
    assert!(ran.status == 255 && ran.stderr.contains("does not exist"), "{ran:?}");
    start(&container);
    container.must(&["kill"], &["KILL"]);
    container.wait_stopped();
    let ran = container.verb(&["exec"], &["true"]);
    assert!(ran.status == 255 && ran.stderr.contains("stopped container"), "{ran:?}");
}

#[test]
fn not_in_a_paused_container() {
    if !is_v2() && !has_controllers(&["freezer"]) {
        return;
    }
    let Some(container) = sleeping() else { return };
    container.must(&["pause"], &[]);
    let ran = container.verb(&["exec"], &["true"]);
    assert!(ran.status == 255 && ran.stderr.contains("paused"), "{ran:?}");
    container.must(&["resume"], &[]);
    assert_eq!(container.verb(&["exec"], &["true"]).status, 0);
}

#[test]
fn flags_change_the_process() {
    let Some(container) = sleeping() else { return };
    fs::create_dir(container.rootfs().join("w")).unwrap();
    let flags = ["-u", "1000:1001", "-g", "7", "-g", "8", "--cwd", "/w", "-e", "A=b c"];
    let script = "id -u; id -g; id -G; echo $PWD; echo $A; echo $PATH";
    let ran = shell(&container, &flags, script);
    assert_eq!(ran.stdout, "1000\n1001\n1001 7 8\n/w\nb c\n/bin\n", "{ran:?}");
    let ran = shell(&container, &["--cwd", "/absent"], "true");
    assert!(ran.status == 255 && ran.stderr.contains("/absent"), "{ran:?}");
}

#[test]
fn what_an_engine_calls() {
    let Some(container) = sleeping() else { return };
    let pid_file = container.bundle.path().join("exec.pid");
    let process = json!({"user": {"uid": 5, "gid": 6, "additionalGids": [9]}, "cwd": "/",
        "args": ["sh", "-c", "id -u > /bin/out; grep -c . /bin/out; exec sleep 777"],
        "env": ["PATH=/bin"], "capabilities": {"bounding": [], "effective": [], "permitted": []},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]});
    fs::set_permissions(
        container.rootfs().join("bin"),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let flags = ["--pid-file", pid_file.to_str().unwrap(), "--detach"];
    let ran = from_file(&container, &flags, &process);
    assert_eq!(ran.status, 0, "{ran:?}");
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    wait_until("the sleep", || {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|it| it.starts_with("sleep"))
    });
    assert_eq!(fs::read_to_string(container.rootfs().join("bin/out")).unwrap(), "5\n");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(files.contains("77 ") && files.contains("88 "), "{files}");
    let group = container.cgroup("memory").join("cgroup.procs");
    assert!(fs::read_to_string(group).unwrap().lines().any(|line| line == pid.to_string()));
    container.must(&["kill"], &["KILL"]);
    wait_until("it ends with its container", || !fs::exists(format!("/proc/{pid}/exe")).unwrap());
}

#[test]
fn rights_are_the_containers() {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]});
    let Some(container) = sleeping_with(|container| {
        container.set("/linux/seccomp", profile);
        container.set("/process/oomScoreAdj", json!(321));
        let files = json!([{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}]);
        container.set("/process/rlimits", files);
    }) else {
        return;
    };
    let script = "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status; ulimit -n; \
                  cat /proc/self/oom_score_adj; mkdir /x; echo $?";
    let ran = shell(&container, &[], script);
    let kill = "0000000000000020";
    let none = "0000000000000000";
    let want = format!(
        "CapInh:\t{none}\nCapPrm:\t{kill}\nCapEff:\t{kill}\nCapBnd:\t{kill}\nCapAmb:\t{none}\n\
         NoNewPrivs:\t1\nSeccomp:\t2\n55\n321\n1\n"
    );
    assert_eq!(ran.stdout, want, "{ran:?}");
    // More by a flag, but nothing that a program would inherit (CVE-2022-29162).
    let ran = shell(&container, &["-c", "CAP_CHOWN"], "grep Cap /proc/self/status");
    let more = "0000000000000021";
    let want = format!(
        "CapInh:\t{none}\nCapPrm:\t{more}\nCapEff:\t{more}\nCapBnd:\t{more}\nCapAmb:\t{none}\n"
    );
    assert_eq!(ran.stdout, want, "{ran:?}");
}

#[test]
fn nothing_of_the_host_is_within_reach() {
    let Some(container) = sleeping() else { return };
    let host = fs::File::open("/").unwrap();
    nix::fcntl::fcntl(&host, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    // ls has its own descriptor of the directory it lists.
    let ran = container.verb(&["exec"], &["ls", "/proc/self/fd"]);
    assert_eq!(ran.stdout, "0\n1\n2\n3\n", "{ran:?}");
    // A descriptor of the host as working directory (CVE-2024-21626).
    for number in 3..12 {
        let cwd = format!("/proc/self/fd/{number}");
        let ran = container.verb(&["exec", "--cwd", &cwd], &["ls"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (255, ""), "{cwd}: {ran:?}");
    }
    drop(host);
    if !is_ours() {
        return;
    }
    // The runtime's own file (CVE-2019-5736).
    for target in ["/proc/self/exe", "/proc/1/exe/../exe"] {
        let ran = container.verb(&["exec"], &[target, "--version"]);
        assert!(!ran.stdout.contains("wamr-crun version"), "{ran:?}");
    }
    symlink("/proc/self/exe", container.rootfs().join("bin/link")).unwrap();
    let ran = container.verb(&["exec"], &["link", "--version"]);
    assert!(ran.status == 255 && !ran.stdout.contains("version"), "{ran:?}");
}

#[test]
fn a_user_namespace_is_joined_first() {
    let Some(container) = sleeping_with(|container| {
        container.push("/linux/namespaces", json!({"type": "user"}));
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        container.set("/linux/uidMappings", map.clone());
        container.set("/linux/gidMappings", map);
        give_away(container, 100_000);
    }) else {
        return;
    };
    let pid_file = container.bundle.path().join("exec.pid");
    let flags = ["-d", "-u", "7:8", "--pid-file", pid_file.to_str().unwrap()];
    let ran = shell(&container, &flags, "exec sleep 555");
    assert_eq!(ran.status, 0, "{ran:?}");
    let pid = fs::read_to_string(&pid_file).unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t100007\t100007\t100007\t100007"), "{status}");
    assert!(status.contains("Gid:\t100008\t100008\t100008\t100008"), "{status}");
    let ran = shell(&container, &[], "id -u; id -g; cat /proc/self/uid_map");
    assert!(ran.stdout.starts_with("0\n0\n"), "{ran:?}");
    assert!(ran.stdout.contains("100000"), "{ran:?}");
}

#[test]
fn a_terminal_of_its_own() {
    let Some(container) = sleeping() else { return };
    let path = container.bundle.path().join("console");
    let listener = UnixListener::bind(&path).unwrap();
    let socket = path.to_str().unwrap();
    let process = json!({"user": {"uid": 0, "gid": 0}, "cwd": "/", "terminal": true,
        "consoleSize": {"height": 33, "width": 99}, "env": ["PATH=/bin"],
        "args": ["sh", "-c", "test -t 0 && readlink /proc/self/fd/2; stty size; sleep 1"]});
    let ran = from_file(&container, &["--console-socket", socket, "--detach"], &process);
    assert_eq!(ran.status, 0, "{ran:?}");
    let (stream, _) = listener.accept().unwrap();
    let master = receive(&stream);
    let mut text = String::new();
    wait_until("the output", || {
        let mut bytes = [0; 256];
        let length = nix::unistd::read(&master, &mut bytes).unwrap();
        text.push_str(&String::from_utf8_lossy(&bytes[..length]));
        text.contains("33 99")
    });
    assert!(text.contains("/dev/pts/"), "{text}");
    let ran = from_file(&container, &["--detach"], &process);
    assert_ne!(ran.status, 0, "{ran:?}");
    if !is_ours() {
        return skip("others insist on a terminal of their own in the foreground");
    }
    assert!(ran.status == 255 && ran.stderr.contains("console"), "{ran:?}");
    // In the foreground the runtime relays.
    let ran = shell(&container, &["-t"], "test -t 1 && echo a terminal; exit 9");
    assert_eq!((ran.status, ran.stdout.as_str()), (9, "a terminal\r\n"), "{ran:?}");
}

#[test]
fn descriptors_are_kept_if_asked_for() {
    let Some(container) = sleeping() else { return };
    let missing = shell(&container, &["--preserve-fds", "90"], "true");
    assert_eq!(missing.status, 255, "{missing:?}");
    let note = container.bundle.path().join("note");
    fs::write(&note, "kept").unwrap();
    let line = format!(
        "exec 3<{}; exec {} --root {} exec --preserve-fds 1 {} sh -c 'cat <&3; ls /proc/self/fd'",
        note.display(),
        container.runtime().display(),
        container.state_root().display(),
        container.id
    );
    let ran = host_shell(&line);
    assert_eq!(ran.stdout, "kept0\n1\n2\n3\n4\n", "{ran:?}");
}

#[test]
fn a_module_and_a_program_in_either_container() {
    let Some(mut container) = wasm_guest::container() else { return };
    container.add_busybox();
    let root = container.rootfs();
    fs::create_dir(root.join("app")).unwrap();
    fs::write(root.join("app/m.wasm"), wasm::exits(23)).unwrap();
    fs::write(root.join("loop.wasm"), wasm::loops()).unwrap();
    for (args, annotations) in [
        (json!(["sleep", "1000"]), json!({})),
        (json!(["/loop.wasm"]), json!({"run.oci.handler": "wasm"})),
    ] {
        container.set("/process/args", args);
        container.set("/annotations", annotations);
        start(&container);
        let ran = container.verb(&["exec", "--cwd", "/app"], &["m.wasm"]);
        assert_eq!(ran.status, 23, "{ran:?}");
        let ran = container.verb(&["exec"], &["echo", "native"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (0, "native\n"), "{ran:?}");
        container.must(&["delete", "--force"], &[]);
    }
}

#[test]
fn a_guest_gets_what_the_first_one_gets() {
    let Some(mut container) = wasm::talking() else { return };
    fs::write(container.rootfs().join("loop.wasm"), wasm::loops()).unwrap();
    container.set("/process/args", json!(["/loop.wasm"]));
    container.set("/process/env", json!(["NAME=of the container"]));
    start(&container);
    let ran = container.verb(&["exec", "-e", "NAME=value"], &["/guest.wasm", "two words"]);
    assert_eq!(ran.stdout, "/guest.wasm|two words|value|from a mount|", "{ran:?}");
    assert_eq!(ran.status, 2, "{ran:?}");
}

#[test]
fn a_sandbox_runs_no_modules() {
    let Some(mut container) = wasm_guest::container() else { return };
    container.add_busybox();
    fs::write(container.rootfs().join("m.wasm"), wasm::exits(23)).unwrap();
    container.set("/process/args", json!(["sleep", "1000"]));
    container.set("/annotations", json!({"io.kubernetes.cri.container-type": "sandbox"}));
    start(&container);
    let ran = container.verb(&["exec"], &["/m.wasm"]);
    assert_eq!(ran.status, 255, "{ran:?}");
}

#[test]
fn groups_below_the_containers() {
    if !is_ours() {
        return skip("crun takes one group for all controllers");
    }
    let Some(container) = sleeping() else { return };
    let absent = shell(&container, &["--cgroup", "absent"], "true");
    assert!(absent.status == 255 && absent.stderr.contains("absent"), "{absent:?}");
    let unknown = shell(&container, &["--cgroup", "nothing:a"], "true");
    assert!(unknown.status == 255 && unknown.stderr.contains("nothing"), "{unknown:?}");
    if is_v2() {
        return wamr_testing::skip("cgroup-v1");
    }
    if !has_controllers(&["memory", "pids"]) {
        return;
    }
    for (controller, name) in [("memory", "m"), ("pids", "p")] {
        fs::create_dir(container.cgroup(controller).join(name)).unwrap();
    }
    let groups = ["--cgroup", "memory:m", "--cgroup", "pids:/../p"];
    // Its own view ends at the container's group.
    let seen = shell(&container, &groups, "cat /proc/self/cgroup").stdout;
    let path = |controller: &str| {
        let line = seen.lines().find(|line| line.split(':').nth(1) == Some(controller));
        line.and_then(|line| line.rsplit(':').next()).unwrap_or_default().to_owned()
    };
    assert_eq!((path("memory"), path("pids")), ("/m".to_owned(), "/p".to_owned()), "{seen}");
    assert_eq!(path("freezer"), "/", "{seen}");
}

#[test]
fn an_agent_judges_its_calls_too() {
    for no_new_privileges in [true, false] {
        let Some(mut container) = Container::shell("exec sleep 1000") else { return };
        let path = container.bundle.path().join("agent.sock");
        let socket = UnixListener::bind(&path).unwrap();
        let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"});
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path,
            "syscalls": [rule]});
        container.set("/linux/seccomp", profile);
        container.set("/process/noNewPrivileges", json!(no_new_privileges));
        let agent = std::thread::spawn(move || {
            let (_of_the_first, _) = seccomp::accept(&socket);
            let (listener, told) = seccomp::accept(&socket);
            let request = ScmpNotifReq::receive(listener.as_raw_fd()).unwrap();
            let flags = ScmpNotifRespFlags::empty();
            let answer = ScmpNotifResp::new_error(request.id, -libc::EDQUOT, flags);
            answer.respond(listener.as_raw_fd()).unwrap();
            told
        });
        start(&container);
        let ran = container.verb(&["exec"], &["mkdir", "/x"]);
        assert!(ran.status == 1 && ran.stderr.contains("quota exceeded"), "{ran:?}");
        let told = agent.join().unwrap();
        assert_eq!(told["state"]["status"], "running");
        assert_ne!(told["pid"], told["state"]["pid"], "{told}");
    }
}

#[test]
fn debug_messages_tell_where_it_may_run() {
    let Some(container) = sleeping() else { return };
    let file = container.bundle.path().join("process.json");
    let process = json!({"args": ["/bin/true"], "cwd": "/", "user": {"uid": 0, "gid": 0},
        "execCPUAffinity": {"initial": "0"}});
    fs::write(&file, process.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let ran = container.alone(&["--debug", "exec", "--process", file, &container.id]);
    assert!(ran.status == 0 && ran.stderr.contains("affinity: 0x1"), "{ran:?}");
    let ran = container.alone(&["exec", "--process", file, &container.id]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

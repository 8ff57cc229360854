//! A program that cannot go on with what a process serves: the one that serves stays.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use wamr_shim::api::rpc;
use wamr_shim::api::shim::{SERVICE, Upgrade};
use wamr_shim::handover::field::Field;
use wamr_shim::handover::saved::Head;

use super::upgrade::{another, upgrade, upgraded};
use super::*;

fn ask(client: &mut Client, program: &Path) -> rpc::Status {
    let payload = Upgrade { program: program.display().to_string() }.encode_to_vec();
    let (service, method) = (SERVICE.to_owned(), "Upgrade".to_owned());
    let sent = client.send_request(&Request { service, method, payload, timeout_ns: 0 });
    let (stream, response) = client.receive();
    assert_eq!(stream, sent);
    response.status.expect("it is refused")
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The first message of a state.
fn head(format: u32, program: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Head { format, program: program.to_owned() }.put(&mut bytes);
    bytes
}

#[test]
fn the_old_program_goes_on_serving() {
    let Some(containerd) = Containerd::new("refused") else { return };
    let dir = containerd.dir.path();
    let socket = containerd.start("p");
    let mut client = Client::connect(&socket);
    let made: Pid = client.call("Create", &create(&containerd, "p")).unwrap();
    let program = || fs::read_link(format!("/proc/{}/exe", made.pid)).unwrap();
    let before = program();
    let mut waiting = Client::connect(&socket);
    waiting.send("Wait", &of("p"));

    let path = |name: &str| dir.join(name);
    fs::write(path("plain"), "no program").unwrap();
    fs::write(path("nonsense"), [0x7f, b'E', b'L', b'F', 0]).unwrap();
    fs::set_permissions(path("nonsense"), fs::Permissions::from_mode(0o755)).unwrap();
    script(&path("failing"), "echo 'it has its reasons' >&2; exit 3");
    script(&path("silent"), "exit 3");
    script(&path("hanging"), "exec sleep 1000");
    // Such a program has passed the trial, and is gone when it is to go on.
    script(&path("vanishing"), "rm \"$0\"");
    fs::write(path("later"), head(99, "99.0.0")).unwrap();
    fs::write(path("newer"), head(1, "99.0.0")).unwrap();
    for name in ["later", "newer"] {
        let check = format!("exec {} check-state <{}", before.display(), path(name).display());
        script(&path(&format!("older-than-{name}")), &check);
    }
    for (name, want) in [
        ("missing", "No such file"),
        ("plain", "ermission denied"),
        ("nonsense", "xec format error"),
        ("failing", "it has its reasons"),
        ("silent", "has ended with 3"),
        ("vanishing", "ENOENT"),
        ("older-than-later", "a shim cannot go back to an older program"),
        ("older-than-newer", "99.0.0 runs: a shim cannot go back to an older program"),
    ] {
        let status = ask(&mut client, &path(name));
        assert!(status.message.contains(want), "{name}: {status:?}");
        assert_eq!(program(), before, "{name}");
        client.call::<State>("State", &of("p")).unwrap();
    }
    assert!(ask(&mut client, Path::new("relative")).message.contains("not the path"));
    // While one is being tried, no other is; a pod that comes meanwhile is served.
    let payload = Upgrade { program: path("hanging").display().to_string() }.encode_to_vec();
    let (service, method) = (SERVICE.to_owned(), "Upgrade".to_owned());
    let mut patient = Client::connect(&socket);
    patient.send_request(&Request { service, method, payload, timeout_ns: 0 });
    eventually("it is being tried", || {
        ask(&mut client, Path::new("/missing")).message.contains("just being tried")
    });
    assert_eq!(containerd.start("q"), socket);
    assert!(patient.receive().1.status.unwrap().message.contains("within 10 seconds"));
    // After all of that one that can go on does.
    upgraded(&another(&containerd, "new"), &socket, made.pid);
    client.call::<()>("Kill", &kill("p", 9)).unwrap();
    assert!(waiting.receive().1.status.is_none());
    client.call::<Deleted>("Delete", &of("p")).unwrap();
    assert!(containerd.delete("q").status.success());
    eventually("the idle process ends", || !socket.exists());
}

#[test]
fn whoever_asks_is_told_what_became_of_it() {
    let Some(containerd) = Containerd::new("asked") else { return };
    let directory = containerd.dir.path().join("0");
    fs::create_dir(&directory).unwrap();
    let socket = directory.join("socket");
    let nobody = upgrade(&containerd.shim, &socket);
    assert!(nobody.status.success(), "{nobody:?}");
    assert!(String::from_utf8_lossy(&nobody.stdout).contains("no process serves there"));
    // A process of before there was such a call.
    let listener = UnixListener::bind(&socket).unwrap();
    let old = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        while frame::take(&mut bytes.clone()).unwrap().is_none() {
            let count = stream.read(&mut piece).unwrap();
            bytes.extend_from_slice(&piece[..count]);
        }
        let status = Some(rpc::Status { code: UNIMPLEMENTED, message: "no".to_owned() });
        let mut answer = Vec::new();
        let response = Response { status, payload: Vec::new() }.encode_to_vec();
        frame::put(&mut answer, 1, frame::RESPONSE, &response);
        stream.write_all(&answer).unwrap();
    });
    let output = upgrade(&containerd.shim, &socket);
    old.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{output:?}");
    assert!(said.contains("cannot be replaced while it serves"), "{said}");
}

#[test]
fn a_state_that_is_none_is_refused() {
    let Some(containerd) = Containerd::new("state") else { return };
    for (state, want) in [
        (Vec::new(), "cut off"),
        (head(1, "0.0.1"), "cut off"),
        (head(99, "0.0.1"), "has format 99"),
        (vec![0xff; 100], "no state of a shim"),
    ] {
        for verb in [&["check-state"][..], &["-namespace", "n", "take-over", "/not/there"]] {
            let mut command = Command::new(&containerd.shim);
            command.args(verb).env("PATH", containerd.runtime());
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(&state).unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(want), "{verb:?}: {output:?}");
        }
    }
}

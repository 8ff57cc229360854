//! `linux.seccomp`: actions, conditions, flags, and an agent that judges calls.

use super::container::{Container, is_ours, skip};
use super::sys;
use libseccomp::{ScmpNotifReq, ScmpNotifResp, ScmpNotifRespFlags};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::{Value, json};
use std::io::{Cursor, IoSliceMut, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

const MKDIR: [&str; 2] = ["mkdir", "mkdirat"];

fn profile(rule: &Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64",
        "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [rule]})
}

#[test]
fn each_action_does_what_it_says() {
    for (action, errno, status, said) in [
        ("SCMP_ACT_ALLOW", None, 0, ""),
        ("SCMP_ACT_LOG", None, 0, ""),
        ("SCMP_ACT_ERRNO", None, 1, "Operation not permitted"),
        ("SCMP_ACT_ERRNO", Some(28), 1, "No space left"),
        ("SCMP_ACT_TRACE", None, 1, "not implemented"),
        ("SCMP_ACT_TRAP", None, 128 + 31, ""),
        ("SCMP_ACT_KILL", None, 128 + 31, ""),
        ("SCMP_ACT_KILL_THREAD", None, 128 + 31, ""),
        ("SCMP_ACT_KILL_PROCESS", None, 128 + 31, ""),
    ] {
        let Some(mut container) = Container::shell("") else { return };
        container.set("/process/args", json!(["/bin/mkdir", "/x"]));
        let mut rule = json!({"names": MKDIR, "action": action});
        if let Some(errno) = errno {
            rule["errnoRet"] = json!(errno);
        }
        container.set("/linux/seccomp", profile(&rule));
        let ran = container.run();
        assert_eq!(ran.status, status, "{action}: {ran:?}");
        assert!(ran.stderr.contains(said), "{action}: {ran:?}");
    }
}

#[test]
fn each_operator_compares() {
    // Signals that a shell takes without a change.
    let script = "for s in 17 18 23 28; do kill -$s $$ 2>/dev/null && echo $s; done";
    for (operator, value, two, allowed) in [
        ("SCMP_CMP_EQ", 18, None, "17 23 28"),
        ("SCMP_CMP_NE", 18, None, "18"),
        ("SCMP_CMP_LT", 18, None, "18 23 28"),
        ("SCMP_CMP_LE", 18, None, "23 28"),
        ("SCMP_CMP_GT", 18, None, "17 18"),
        ("SCMP_CMP_GE", 18, None, "17"),
        // The mask first: those with bit 0 clear.
        ("SCMP_CMP_MASKED_EQ", 1, Some(0), "17 23"),
    ] {
        let Some(mut container) = Container::shell(script) else { return };
        let mut condition = json!({"index": 1, "value": value, "op": operator});
        if let Some(two) = two {
            condition["valueTwo"] = json!(two);
        }
        let rule = json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [condition]});
        container.set("/linux/seccomp", profile(&rule));
        let ran = container.run();
        let got: Vec<_> = ran.stdout.split_whitespace().collect();
        assert_eq!(got.join(" "), allowed, "{operator}: {ran:?}");
    }
}

#[test]
fn flags_reach_the_kernel() {
    for flag in ["TSYNC", "LOG", "SPEC_ALLOW"] {
        let script = "grep -E 'Speculation_Store_Bypass|Seccomp:' /proc/self/status";
        let Some(mut container) = Container::shell(script) else { return };
        let mut profile = profile(&json!({"names": MKDIR, "action": "SCMP_ACT_ERRNO"}));
        profile["flags"] = json!([format!("SECCOMP_FILTER_FLAG_{flag}")]);
        container.set("/linux/seccomp", profile);
        let ran = container.run();
        assert!(ran.stdout.contains("Seccomp:\t2"), "{flag}: {ran:?}");
    }
}

/// The listener and what was said with it.
pub fn accept(socket: &UnixListener) -> (OwnedFd, Value) {
    let (stream, _) = socket.accept().unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let (length, raw) = {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let message =
            recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty());
        let message = message.unwrap();
        let raw = message.cmsgs().unwrap().find_map(|message| match message {
            ControlMessageOwned::ScmRights(descriptors) => Some(descriptors[0]),
            _ => None,
        });
        (message.bytes, raw.unwrap())
    };
    // Its end is not waited for: crun leaves the connection open.
    let text = Cursor::new(buffer[..length].to_vec()).chain(stream);
    let told = serde_json::Deserializer::from_reader(text).into_iter().next();
    (sys::own_received(raw), told.unwrap().unwrap())
}

#[test]
fn an_agent_judges_calls() {
    for no_new_privileges in [true, false] {
        let Some(mut container) = Container::shell("mkdir /one; mkdir /two; exit 3") else {
            return;
        };
        let path = container.bundle.path().join("agent.sock");
        let socket = UnixListener::bind(&path).unwrap();
        let mut profile = profile(&json!({"names": MKDIR, "action": "SCMP_ACT_NOTIFY"}));
        profile["listenerPath"] = json!(path);
        profile["listenerMetadata"] = json!("some text");
        if is_ours() {
            profile["flags"] = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
        }
        container.set("/linux/seccomp", profile);
        container.set("/process/noNewPrivileges", json!(no_new_privileges));
        let id = container.id.clone();
        let agent = std::thread::spawn(move || {
            let (listener, told) = accept(&socket);
            // The first call is let through, the second one fails with an error of the agent's.
            let request = ScmpNotifReq::receive(listener.as_raw_fd()).unwrap();
            let flags = ScmpNotifRespFlags::empty();
            let answer = ScmpNotifResp::new_continue(request.id, flags);
            answer.respond(listener.as_raw_fd()).unwrap();
            let request = ScmpNotifReq::receive(listener.as_raw_fd()).unwrap();
            let answer = ScmpNotifResp::new_error(request.id, -libc::EDQUOT, flags);
            answer.respond(listener.as_raw_fd()).unwrap();
            told
        });
        let ran = container.run();
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(ran.stderr.contains("quota exceeded"), "{ran:?}");
        let told = agent.join().unwrap();
        // runc tells its own.
        assert!(!is_ours() || told["ociVersion"] == "1.2.0", "{told}");
        assert_eq!(told["fds"], json!(["seccompFd"]));
        assert_eq!(told["metadata"], "some text");
        assert_eq!(told["state"]["id"], json!(id));
        assert_eq!(told["state"]["status"], "creating");
        assert!(told["pid"].as_i64().unwrap() > 1, "{told}");
        assert_eq!(told["pid"], told["state"]["pid"]);
        assert!(container.rootfs().join("one").is_dir());
        assert!(!container.rootfs().join("two").exists());
    }
}

#[test]
fn an_agent_that_is_not_there_fails_the_create() {
    if !is_ours() {
        return skip("others phrase it differently");
    }
    let Some(mut container) = Container::shell("true") else { return };
    let path = container.bundle.path().join("nobody.sock");
    let mut profile = profile(&json!({"names": MKDIR, "action": "SCMP_ACT_NOTIFY"}));
    profile["listenerPath"] = json!(path);
    container.set("/linux/seccomp", profile);
    let ran = container.run();
    assert_ne!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("linux.seccomp.listenerPath"), "{ran:?}");
    container.assert_gone();
}

//! What containerd 2.3 and later say to `start` on its standard input.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use wamr_shim::bootstrap::{Answer, Params};

use super::*;

fn start_with(containerd: &Containerd, id: &str, stdin: &[u8]) -> Output {
    let mut command = containerd.command(id, "start");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that does not read them has closed the pipe.
    drop(child.stdin.take().unwrap().write_all(stdin));
    child.wait_with_output().unwrap()
}

fn params(containerd: &Containerd, id: &str, directory: &Path) -> Params {
    Params {
        instance_id: id.to_owned(),
        namespace: "test".to_owned(),
        address: containerd.address.clone(),
        socket_directory: directory.display().to_string(),
        ttrpc_address: containerd.dir.path().join("nobody").display().to_string(),
    }
}

#[test]
fn who_sends_a_message_is_answered_by_one() {
    let Some(containerd) = Containerd::new("bootstrap") else { return };
    let sockets = containerd.dir.path().join("s");
    let said = params(&containerd, "p", &sockets).encode_to_vec();
    let output = start_with(&containerd, "p", &said);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let answer = Answer::decode(&*output.stdout).unwrap();
    assert_eq!((answer.version, answer.protocol.as_str()), (3, "ttrpc"));
    let socket = PathBuf::from(answer.address.strip_prefix("unix://").unwrap());
    assert_eq!(socket.parent(), Some(&*sockets));
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "nobody else may command it");
    let mut client = Client::connect(&socket);
    client.call::<Pid>("Create", &create(&containerd, "p")).unwrap();
    // The same process, for a containerd that says nothing of the kind.
    assert_eq!(containerd.start("q"), socket);
    client.call::<()>("Kill", &kill("p", 9)).unwrap();
    client.call::<Deleted>("Delete", &of("p")).unwrap();
    assert!(containerd.delete("q").status.success());
    eventually("the idle process ends", || !socket.exists());
}

#[test]
fn whatever_else_is_there_is_answered_plainly() {
    let Some(containerd) = Containerd::new("plainly") else { return };
    let other = params(&containerd, "another", Path::new("/not/there")).encode_to_vec();
    let long = vec![b'x'; 3 << 20];
    for said in [&b""[..], b"no message", &other, &long] {
        let output = start_with(&containerd, "p", said);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert!(output.stdout.starts_with(b"unix:///run/wamr-shim/"), "{output:?}");
    }
    // A pipe that stays open is not waited for.
    let mut command = containerd.command("p", "start");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let open = child.stdin.take();
    assert!(child.wait_with_output().unwrap().stdout.starts_with(b"unix:///run/wamr-shim/"));
    drop(open);
    assert!(containerd.delete("p").status.success());
}

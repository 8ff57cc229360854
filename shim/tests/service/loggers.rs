//! Loggers that are programs. The runtime is a script that starts a process and says two lines.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// As wamr-crun is called for `create` and `exec`: the word after --pid-file is where the process'
/// number goes.
const RUNTIME: &str = r#"#!/bin/sh
for word; do
    case $before in --pid-file) file=$word;; esac
    before=$word
done
[ -n "$file" ] || exit 0
echo said
echo wrong >&2
sleep 1000 &
echo $! >"$file"
"#;

/// Writes what it is given into its directory, and then that it has ended.
const LOGGER: &str = r#"#!/bin/sh
echo "$CONTAINER_NAMESPACE $CONTAINER_ID $*" >"$2/$CONTAINER_ID.who"
[ "$4" = ready ] && printf x >&5
exec 5>&-
/bin/cat <&4 >"$2/$CONTAINER_ID.err" 4<&- &
/bin/cat <&3 >"$2/$CONTAINER_ID.out"
wait
echo over >"$2/$CONTAINER_ID.over"
"#;

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_program_is_given_what_a_container_writes() {
    let Some(mut containerd) = Containerd::new("loggers") else { return };
    let dir = containerd.dir.path().to_owned();
    let logger = dir.join("logger");
    program(&logger, LOGGER);
    fs::create_dir_all(dir.join("bin")).unwrap();
    program(&dir.join("bin/wamr-crun"), RUNTIME);
    // It looks beside itself first.
    let shim = dir.join("bin/shim");
    fs::copy(&containerd.shim, &shim).unwrap();
    containerd.shim = shim;
    fs::create_dir_all(dir.join("c")).unwrap();
    fs::write(dir.join("c/config.json"), r#"{"ociVersion": "1.0.2"}"#).unwrap();
    let socket = containerd.start("c");
    let mut client = Client::connect(&socket);
    let uri = |scheme: &str, ready: &str| {
        format!("{scheme}://{}?to={}&is={ready}", logger.display(), dir.display())
    };
    let with =
        |stdout: String| CreateTask { stderr: stdout.clone(), stdout, ..create(&containerd, "c") };
    for refused in
        ["binary:///not/there".to_owned(), "binary://logger".to_owned(), uri("binary-v2", "never")]
    {
        client.call::<Pid>("Create", &with(refused.clone())).unwrap_err();
        assert_eq!(client.call::<State>("State", &of("c")), Err(NOT_FOUND), "{refused}");
    }
    for stdout in [uri("binary", "whatever"), uri("binary-v2", "ready")] {
        client.call::<Pid>("Create", &with(stdout.clone())).unwrap();
        client.call::<Pid>("Start", &of("c")).unwrap();
        let exec = task::ExecProcess {
            id: "c".to_owned(),
            exec_id: "e".to_owned(),
            stdout: stdout.clone(),
            stderr: stdout,
            ..task::ExecProcess::default()
        };
        client.call::<()>("Exec", &exec).unwrap();
        let further = task::ProcessRequest { id: "c".to_owned(), exec_id: "e".to_owned() };
        client.call::<Pid>("Start", &further).unwrap();
        for (exec_id, name) in [("e", "e"), ("", "c")] {
            let exec_id = exec_id.to_owned();
            let end = task::Kill { exec_id: exec_id.clone(), ..kill("c", 9) };
            client.call::<()>("Kill", &end).unwrap();
            let process = task::ProcessRequest { id: "c".to_owned(), exec_id };
            client.call::<Exited>("Wait", &process).unwrap();
            let read = |kind: &str| fs::read_to_string(dir.join(format!("{name}.{kind}")));
            // It has all, and ends by itself.
            eventually("the logger has ended", || read("over").is_ok());
            assert_eq!(read("out").unwrap(), "said\n");
            assert_eq!(read("err").unwrap(), "wrong\n");
            assert!(read("who").unwrap().starts_with(&format!("test {name} to {}", dir.display())));
            fs::remove_file(dir.join(format!("{name}.over"))).unwrap();
        }
        client.call::<Deleted>("Delete", &of("c")).unwrap();
    }
    eventually("the idle process ends", || !socket.exists());
}

//! `delete`: what a container has left whose shim does not answer any more.
//!
//! containerd runs many of these at once, with five seconds for each. With version 3 of the task
//! service it does so for a pod alone: its other containers are looked for here.

use crate::api::Timestamp;
use crate::api::task::{Deleted, signalled};
use crate::arguments::Arguments;
use crate::error::{Code, Failure, Result, Tried};
use crate::mounts;
use crate::runtime_cli::RuntimeCli;
use crate::shard::Home;
use crate::worker;
use prost::Message;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use wamr_engine_conventions::SANDBOX_ID;

/// For unmounting.
const PATIENCE: Duration = Duration::from_secs(2);

/// For containers that the runtime is just making: nobody has ended it.
const CREATE_PATIENCE: Duration = Duration::from_secs(1);

/// Ends the container and unmounts its root file system. What is not there any more is no error.
/// After a process that was killed it does so for all containers of the pod.
///
/// # Errors
/// The runtime cannot be run, or cannot end a container.
pub fn delete(arguments: &Arguments) -> Result<Vec<u8>> {
    let current = std::env::current_dir().tried("find", Path::new("."))?;
    let bundle = arguments.bundle.clone().unwrap_or(current);
    let home = Home::open(&arguments.address, &arguments.namespace)?;
    let runtime = RuntimeCli::find(home.containers())?;
    let mut roots = vec![bundle.join("rootfs")];
    let mut ended = end(&runtime, &[&arguments.id]);
    if home.is_lost(&arguments.id) {
        let members = members(&home.containers(), &arguments.id);
        // containerd has its bundles side by side.
        roots.extend(members.iter().map(|id| bundle.with_file_name(id).join("rootfs")));
        let names: Vec<&String> = members.iter().collect();
        ended = ended.and(end(&runtime, &names));
    }
    ended?;
    unmount(&roots)?;
    let locked = home.lock()?;
    if let Some(shard) = home.shard_of(&arguments.id) {
        shard.leave(&arguments.id);
    }
    home.forget_lost(&arguments.id);
    drop(locked);
    // As if it had been killed.
    let exit_status = signalled(libc::SIGKILL);
    let deleted = Deleted { pid: 0, exit_status, exited_at: Some(Timestamp::now()) };
    Ok(deleted.encode_to_vec())
}

/// Has the runtime end containers, all at once.
fn end(runtime: &RuntimeCli, ids: &[&String]) -> Result<()> {
    let start = |id: &&String| {
        let mut command = runtime.command();
        // A sandbox without a process is unknown to the runtime, for which --force is no error.
        command.args(["delete", "--force", id]).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().tried("run", runtime.program())
    };
    let children: Vec<Result<Child>> = ids.iter().map(start).collect();
    let wait = |child: Result<Child>| {
        let output = child?.wait_with_output().tried("run", runtime.program())?;
        if output.status.success() {
            return Ok(());
        }
        // containerd is not to take for gone what may still run.
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(Code::Unknown, said.trim()))
    };
    // Each is waited for, whatever became of those before.
    children.into_iter().map(wait).fold(Ok(()), Result::and)
}

/// The pod's other containers, as far as the runtime has them, with those that it is just making.
fn members(containers: &Path, sandbox: &str) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let (members, is_whole) = look(containers, sandbox);
        if is_whole || begun.elapsed() >= CREATE_PATIENCE {
            return members;
        }
        sleep(Duration::from_millis(50));
    }
}

/// What a directory of the runtime shows, and whether all containers there are made.
fn look(containers: &Path, sandbox: &str) -> (Vec<String>, bool) {
    // As the runtime writes an annotation into its state. Within a string quotes are escaped.
    let mark = format!("\"{SANDBOX_ID}\":{}", serde_json::Value::from(sandbox));
    let entries = fs::read_dir(containers).into_iter().flatten().flatten();
    let (mut members, mut is_whole) = (Vec::new(), true);
    for entry in entries {
        // What is not a container has such a name.
        let name = entry.file_name().into_string().ok();
        let Some(id) = name.filter(|name| !name.starts_with('@')) else { continue };
        match fs::read(entry.path().join("state.json")) {
            Ok(state) if String::from_utf8_lossy(&state).contains(&mark) => members.push(id),
            Ok(_) => {}
            Err(_) => is_whole = false,
        }
    }
    (members, is_whole)
}

/// What hangs is out of sight: its storage is dead, and is no reason to keep the container.
fn unmount(roots: &[PathBuf]) -> Result<()> {
    let unmounting = worker::start(&[], || {
        for root in roots {
            mounts::unmount(root);
        }
        Ok(())
    })?;
    unmounting.ends_within(PATIENCE);
    Ok(())
}

#[test]
fn members_of_a_pod_are_told_by_the_runtimes_state() {
    let dir = tempfile::tempdir().unwrap();
    let state = |id: &str, text: &str| {
        fs::create_dir(dir.path().join(id)).unwrap();
        fs::write(dir.path().join(id).join("state.json"), text).unwrap();
    };
    let of = |pod: &str| format!(r#"{{"annotations":{{"{SANDBOX_ID}":"{pod}"}}}}"#);
    state("a", &of("p"));
    state("b", &of("pp"));
    state("c", &of("p"));
    state("d", &format!(r#"{{"env":["X={}"]}}"#, of("p").replace('"', "\\\"")));
    fs::create_dir(dir.path().join("@seccomp")).unwrap();
    let mut found = look(dir.path(), "p");
    found.0.sort();
    assert_eq!(found, (vec!["a".to_owned(), "c".to_owned()], true));
    fs::create_dir(dir.path().join("coming")).unwrap();
    assert!(!look(dir.path(), "p").1);
    assert!(members(dir.path(), "q").is_empty(), "it is not waited for for ever");
    assert_eq!(look(&dir.path().join("nowhere"), "p"), (vec![], true));
}

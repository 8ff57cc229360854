//! `start`: the socket of the process that serves a container.

use crate::arguments::{Arguments, is_name};
use crate::bootstrap::{self, Params};
use crate::error::{Code, Failure, Result, Tried};
use crate::runtime_cli::RuntimeCli;
use crate::shard::{Health, Home, Shard};
use crate::spec::{Config, Role};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Looks for the shard of the container's pod, or gives the pod one. A containerd of version 3 of
/// the task service does not ask for the containers of a pod.
///
/// # Errors
/// The bundle cannot be read, no process can be started, or that of the pod does not answer.
pub fn start(mut arguments: Arguments) -> Result<Vec<u8>> {
    let params = Params::from_stdin(&arguments);
    if let Some(params) = &params {
        params.complete(&mut arguments);
    }
    let refused = |reason| Failure::new(Code::InvalidArgument, reason);
    arguments.check_names().map_err(refused)?;
    let bundle = arguments.bundle.clone().unwrap_or_else(|| ".".into());
    let role = Config::read(&bundle)?.spec.role();
    let home = Home::open(&arguments.address, &arguments.namespace)?;
    let locked = home.lock()?;
    let shard = match &role {
        Role::Member { sandbox } => {
            is_name(sandbox).map_err(|reason| refused(format!("sandbox {sandbox:?}: {reason}")))?;
            shard_of(&home, sandbox)?
        }
        Role::Sandbox | Role::Alone => {
            let found = home.shard_with_room();
            for hanging in &found.hanging {
                warn(&bundle, hanging);
            }
            let shard = match found.shard {
                Some(shard) => shard,
                None => spawn(home.new_shard()?, &arguments)?,
            };
            shard.enter(&arguments.id)?;
            shard
        }
    };
    drop(locked);
    let address = format!("unix://{}", shard.address().display());
    // containerd 1.6 and 1.7 look for it there after their own restart.
    let file = bundle.join("address");
    fs::write(&file, &address).tried("write", &file)?;
    Ok(bootstrap::answer(params.as_ref(), address))
}

/// The process in which a pod is: its other containers cannot go elsewhere.
fn shard_of(home: &Home, sandbox: &str) -> Result<Shard> {
    let refused = |reason: String| {
        let message = format!("the shim of the sandbox {sandbox} {reason}");
        Err(Failure::new(Code::FailedPrecondition, message))
    };
    let Some(shard) = home.shard_of(sandbox) else { return refused("is gone".to_owned()) };
    match shard.health() {
        Health::Answers => Ok(shard),
        Health::Gone => refused("is gone".to_owned()),
        Health::Hangs => refused(shard.complaint()),
    }
}

/// Says that a process hangs where containerd logs what shims say, and in that process' own log.
/// Standard error would be taken for a part of the answer.
fn warn(bundle: &Path, hanging: &Shard) {
    let line = format!(
        "level=warning msg=\"containerd-shim-wamr-crun-v1: the shim of {} {}: new pods go to \
         another\"\n",
        hanging.directory().display(),
        hanging.complaint(),
    );
    for path in [bundle.join("log"), hanging.log()] {
        let options = OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK).open(path);
        drop(options.and_then(|mut file| file.write_all(line.as_bytes())));
    }
}

/// Starts the process of a shard. Its socket is there before it runs, so nobody has to wait.
fn spawn(shard: Shard, arguments: &Arguments) -> Result<Shard> {
    // What it would end with at once is better said here, where containerd reads it.
    RuntimeCli::find(shard.home().containers())?;
    let listener = shard.listen(arguments.socket_directory.as_deref())?;
    let path = shard.log();
    let log = OpenOptions::new().create(true).append(true).open(&path).tried("open", &path)?;
    let program = std::env::current_exe().tried("find this program in", Path::new("/proc/self"))?;
    let mut command = Command::new(&program);
    command
        .args(["-namespace", &arguments.namespace, "-address", &arguments.address, "serve"])
        .arg(shard.directory())
        // The listener comes as standard input.
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(log)
        .current_dir("/");
    if let Some(events) = &arguments.events {
        command.env("TTRPC_ADDRESS", events);
    }
    let process = command.spawn().tried("run", &program)?;
    shard.note_process(process.id());
    Ok(shard)
}

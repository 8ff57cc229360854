//! `start`: the socket of the process that serves a container.

use crate::arguments::{Arguments, is_name};
use crate::error::{Code, Failure, Result, Tried};
use crate::runtime_cli::RuntimeCli;
use crate::shard::{Home, Shard};
use crate::spec::{Config, Role};
use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// Looks for the shard of the container's pod, or gives the pod one. The answer is a plain
/// address, which every containerd takes for a shim of the task service's version 2.
///
/// # Errors
/// The bundle cannot be read, or no process can be started.
pub fn start(arguments: &Arguments) -> Result<String> {
    let bundle = arguments.bundle.clone().unwrap_or_else(|| ".".into());
    let role = Config::read(&bundle)?.spec.role();
    let home = Home::open(&arguments.address, &arguments.namespace)?;
    let locked = home.lock()?;
    let shard = match &role {
        Role::Member { sandbox } => {
            is_name(sandbox).map_err(|reason| {
                Failure::new(Code::InvalidArgument, format!("sandbox {sandbox:?}: {reason}"))
            })?;
            home.shard_of(sandbox).filter(Shard::answers).ok_or_else(|| {
                let message = format!("the shim of the sandbox {sandbox} is gone");
                Failure::new(Code::FailedPrecondition, message)
            })?
        }
        Role::Sandbox | Role::Alone => {
            let shard = match home.shard_with_room() {
                Some(shard) => shard,
                None => spawn(home.new_shard()?, arguments)?,
            };
            shard.enter(&arguments.id)?;
            shard
        }
    };
    drop(locked);
    let address = format!("unix://{}", shard.socket().display());
    // containerd 1.6 and 1.7 look for it there after their own restart.
    let file = bundle.join("address");
    fs::write(&file, &address).tried("write", &file)?;
    Ok(address)
}

/// Starts the process of a shard. Its socket is there before it runs, so nobody has to wait.
fn spawn(shard: Shard, arguments: &Arguments) -> Result<Shard> {
    // What it would end with at once is better said here, where containerd reads it.
    RuntimeCli::find(shard.home().containers())?;
    let socket = shard.socket();
    let listener = UnixListener::bind(&socket).tried("listen on", &socket)?;
    let path = shard.log();
    let log = OpenOptions::new().create(true).append(true).open(&path).tried("open", &path)?;
    let program = std::env::current_exe().tried("find this program in", Path::new("/proc/self"))?;
    Command::new(&program)
        .args(["-namespace", &arguments.namespace, "-address", &arguments.address, "serve"])
        .arg(shard.directory())
        // The listener comes as standard input.
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(log)
        .current_dir("/")
        .spawn()
        .tried("run", &program)?;
    Ok(shard)
}

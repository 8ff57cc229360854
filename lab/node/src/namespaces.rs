//! The processes between the lab and a node: the keeper, and commands that enter the node.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stdin, setsid};

use crate::error_chain::chain;
use crate::init;
use crate::layout::{ADMIN_KUBECONFIG, Layout, PATH};
use crate::sys::SingleThreaded;
use crate::wire::{Channel, Event, Received, Spec};
use crate::{cgroups, sys, traces};

/// argv\[0\] of the keeper.
pub const KEEPER: &str = "wamr-node-keeper";
/// argv\[0\] of a command inside a node.
pub const ENTER: &str = "wamr-node-enter";

/// How long the lab may take to send the first message.
const SPEC_LIMIT: Duration = Duration::from_secs(10);
/// A shell's exit status for "cannot be executed".
const CANNOT_EXECUTE: i32 = 126;

/// The keeper: its standard input is the socket to the lab.
pub fn keep() -> ! {
    let mut channel = match take_socket() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("keeper: {}", chain(&error));
            exit(1)
        }
    };
    match begin(&mut channel) {
        Ok((spec, hierarchies, ForkResult::Child)) => init::run(&spec, &hierarchies, channel),
        Ok((spec, _, ForkResult::Parent { child })) => {
            let told = channel.send(&Event::Init { pid: child.as_raw() as u32 });
            // init alone holds the node's end from here on: its death closes it.
            drop((told, channel));
            exit(await_end(&spec.member.name, child))
        }
        Err(error) => {
            drop(channel.send(&Event::Failed { what: chain(&error) }));
            exit(1)
        }
    }
}

fn take_socket() -> Result<Channel> {
    let socket = io::stdin().as_fd().try_clone_to_owned().into_diagnostic()?;
    let null = std::fs::File::open("/dev/null").into_diagnostic().wrap_err("open /dev/null")?;
    dup2_stdin(&null).into_diagnostic().wrap_err("dup2")?;
    Ok(Channel::new(UnixStream::from(socket)))
}

type Begun = (Spec, Vec<cgroups::Hierarchy>, ForkResult);

fn begin(channel: &mut Channel) -> Result<Begun> {
    // A Ctrl-C on the lab's terminal must not reach the daemons.
    setsid().into_diagnostic().wrap_err("setsid")?;
    prctl::set_name(c"wamr-node-keep").into_diagnostic().wrap_err("prctl PR_SET_NAME")?;
    chdir("/").into_diagnostic().wrap_err("chdir /")?;
    let received: Received<Spec> = channel.receive(SPEC_LIMIT).into_diagnostic()?;
    let spec = match received {
        Received::Message(spec) => spec,
        other => bail!("no description of the node came: {other:?}"),
    };
    let hierarchies = cgroups::hierarchies()?;
    cgroups::create(&hierarchies, &Layout::new(&spec.member.name).cgroup())?;
    let single = SingleThreaded::prove().into_diagnostic().wrap_err("before fork")?;
    unshare(CloneFlags::CLONE_NEWPID).into_diagnostic().wrap_err("unshare the PID namespace")?;
    let fork = sys::fork(single).into_diagnostic().wrap_err("fork init")?;
    Ok((spec, hierarchies, fork))
}

/// Waits for init. After an ordered end it removes what the node leaves on the host; after a crash
/// it leaves everything, so that the logs can be read.
fn await_end(name: &str, init: Pid) -> i32 {
    let status = loop {
        match waitpid(init, None) {
            Err(Errno::EINTR) => {}
            other => break other,
        }
    };
    if !matches!(status, Ok(WaitStatus::Exited(_, 0))) {
        eprintln!("init ended: {status:?}");
        return 1;
    }
    match traces::remove(name) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{}", chain(&error));
            1
        }
    }
}

/// A command that will run inside the node whose init is `init_pid`. The caller may set standard
/// streams and environment; the exit status is the command's own.
pub fn command_inside(init_pid: u32, node: &str, argv: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(ENTER)
        .arg(init_pid.to_string())
        .arg(node)
        .args(argv)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("KUBECONFIG", ADMIN_KUBECONFIG);
    if let Some(term) = std::env::var_os("TERM") {
        command.env("TERM", term);
    }
    command
}

/// The other side of [`command_inside`].
pub fn enter() -> ! {
    let code = match enter_and_run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("enter the node: {}", chain(&error));
            CANNOT_EXECUTE
        }
    };
    exit(code)
}

fn enter_and_run() -> Result<i32> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [pid, node, program, rest @ ..] = arguments.as_slice() else {
        bail!("expected PID NODE PROGRAM ARGUMENTS…");
    };
    let single = SingleThreaded::prove().into_diagnostic().wrap_err("before fork")?;
    let text = |value: &OsString| value.to_string_lossy().into_owned();
    let pid = text(pid).parse().into_diagnostic().wrap_err("PID of the node's init")?;
    let init = sys::pidfd_open(pid)
        .into_diagnostic()
        .wrap_err_with(|| format!("the node {} does not run (PID {pid})", text(node)))?;
    cgroups::join(&cgroups::hierarchies()?, &Layout::new(&text(node)).cgroup(), true)?;
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWCGROUP;
    setns(&init, all)
        .into_diagnostic()
        .wrap_err_with(|| format!("setns(pidfd {} of PID {pid})", init.as_raw_fd()))?;
    // Only a child is in the PID namespace.
    match sys::fork(single).into_diagnostic().wrap_err("fork")? {
        ForkResult::Child => {
            prctl::set_pdeathsig(Signal::SIGKILL).into_diagnostic().wrap_err("prctl")?;
            let error = Command::new(program).args(rest).exec();
            Err(miette!("run {}: {error}", text(program)))
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(code),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => bail!("waitpid({child}): {errno}"),
            }
        },
    }
}

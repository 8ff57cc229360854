//! `exec`: runs a further process in a container.

use crate::cgroup::Cgroup;
use crate::cgroup::sub_groups::SubGroups;
use crate::cli::{Exec, Global};
use crate::config_json::{self, Parsed};
use crate::console::{self, Console};
use crate::container::{self, Container, Status};
use crate::error::{Act, Error, Result};
use crate::fds::{self, Inherited};
use crate::foreground;
use crate::namespaces::{self, NEW_USER};
use crate::pidfd_socket;
use crate::process::join::{self, Entry, Target};
use crate::process::spawn::Spawned;
use crate::process::{request, setup};
use crate::state_file::{self, State};
use crate::sys::process::{pidfd_open, pidfd_send_signal};
use crate::{capabilities, intel_rdt, scheduling, self_exe, validate, workload};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use oci_spec::runtime::{Process, Spec};
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

/// Runs the process; returns its exit status, or 0 if it is not waited for.
///
/// # Errors
/// [`Error::Missing`], [`Error::NotRunning`], [`Error::Status`]; those of its steps.
pub fn exec(global: &Global, flags: &Exec) -> Result<i32> {
    // Before anything is opened: the second run must find the descriptors as the first did.
    self_exe::protect()?;
    fds::check(flags.preserve_fds)?;
    if flags.command.is_empty() && flags.process.is_none() {
        let text = "exec args cannot be empty: name a command, or its description by --process";
        return Err(Error::Usage(text.to_owned()));
    }
    let container = Container::new(&global.root, &flags.id)?;
    let state = container.state()?;
    check_status(&container, &state, flags)?;
    let pidfd = pidfd_open(state.pid).map_err(|_| Error::NotRunning(state.id.clone()))?;
    let entry = entry(&global.root, &state, flags)?;
    // The descriptor was opened before: if the process is still the one, all was read of it.
    if !container::is_alive(state.pid, state.start_ticks) {
        return Err(Error::NotRunning(state.id));
    }
    let console = console(flags)?;
    console::check(entry.program.terminal.is_some(), console.as_ref())?;
    let sub_groups = sub_groups(&flags.cgroup, &state.cgroup)?;
    let target = Target { state: &state, pidfd: &pidfd, sub_groups };
    let log = global.log();
    entry.notes.iter().for_each(|note| log.note(&format!("process: {note}")));
    entry.affinity.words().for_each(|words| log.debug(|| words));
    let spawned = join::join(&entry, &target, console.as_ref(), &log)?;
    log.debug(|| format!("process {} is in container {}", spawned.pid, state.id));
    // Blocked before the exec, so that no end and no signal can be missed.
    let wait = if flags.detach { None } else { Some(foreground::block_signals()?) };
    let console = console.filter(|_| entry.program.terminal.is_some());
    let terminal = match prepare(flags, &entry, &spawned).and_then(|()| console::receive(console)) {
        Ok(terminal) => terminal,
        Err(error) => {
            kill(&spawned);
            return Err(error);
        }
    };
    join::go(&spawned)?;
    match wait {
        None => Ok(0),
        Some(signals) => foreground::wait(spawned.pid, &signals, terminal),
    }
}

fn check_status(container: &Container, state: &State, flags: &Exec) -> Result<()> {
    let status = container.status(state);
    let (refusal, remedy) = match status {
        Status::Stopped => ("cannot exec in a stopped container", "create it anew and start it"),
        Status::Creating => {
            ("cannot exec in a container in the creating state", "wait until create has ended")
        }
        Status::Paused if !flags.ignore_paused => {
            ("cannot exec in a paused container", "resume it first, or use --ignore-paused")
        }
        _ => return Ok(()),
    };
    Err(Error::Status { refusal, id: state.id.clone(), status: status.as_str(), remedy })
}

/// Everything about the process, before it exists.
fn entry(root: &Path, state: &State, flags: &Exec) -> Result<Entry> {
    let spec: &Spec = &state.config;
    let linux = spec.linux().as_ref().ok_or_else(|| Error::config("linux", "is needed"))?;
    let own = spec.process().as_ref().ok_or_else(|| {
        Error::Usage(format!("container {} has no process, which exec would copy", state.id))
    })?;
    let (process, mut notes) = match &flags.process {
        Some(path) => {
            let Parsed { value, notes } = read(path)?;
            (request::from_file(value, own), notes)
        }
        None => (request::from_flags(flags, own)?, Vec::new()),
    };
    let process = with_terminal(process, flags);
    validate::check_process(&process)?;
    let namespaces = namespaces::differing(state.pid)?;
    let mut identity = setup::identity(&process, linux, Some(root))?;
    let have = if namespaces & NEW_USER == 0 { capabilities::own()? } else { u64::MAX };
    let (granted, ungranted) = capabilities::granted(identity.capabilities, have);
    identity.capabilities = granted;
    notes.append(&mut identity.notes);
    notes.extend(ungranted);
    let affinity = process.exec_cpu_affinity().as_ref().map(scheduling::exec_affinity);
    let inherited = Inherited { count: flags.preserve_fds, env: Vec::new() };
    let mut program = setup::program(spec, &process, &inherited)?;
    let annotations = state.annotations.clone().into_iter().collect();
    program.handler = workload::handler_of_exec(&annotations)?;
    Ok(Entry {
        id: state.id.clone(),
        identity,
        affinity: affinity.transpose()?.unwrap_or_default(),
        program,
        namespaces,
        intel_rdt: linux
            .intel_rdt()
            .as_ref()
            .map(|it| intel_rdt::from_spec(it, &state.id))
            .transpose()?,
        keyring: !state.no_new_keyring,
        inherited,
        notes,
    })
}

/// `--tty` also holds for a process from a file.
fn with_terminal(mut process: Process, flags: &Exec) -> Process {
    if flags.tty {
        process.set_terminal(Some(true));
    }
    process
}

fn read(path: &Path) -> Result<Parsed<Process>> {
    let bytes = fs::read(path).act(|| format!("read --process {}", path.display()))?;
    config_json::parse(&bytes, &path.to_string_lossy())
}

fn console(flags: &Exec) -> Result<Option<Console>> {
    match &flags.console_socket {
        Some(path) => Ok(Some(Console::Socket(path.clone()))),
        None if flags.detach => Ok(None),
        None => Console::own().map(Some),
    }
}

/// What the values of `--cgroup` name below the container's groups.
fn sub_groups(values: &[String], cgroup: &Cgroup) -> Result<SubGroups> {
    let hierarchies: Vec<&str> = match cgroup {
        Cgroup::V1(group) => group.own().map(|place| place.controllers.as_str()).collect(),
        Cgroup::V2(_) => Vec::new(),
    };
    let groups = SubGroups::parse(values, matches!(cgroup, Cgroup::V1(_)))?;
    match groups.unknown(&hierarchies) {
        None => Ok(groups),
        Some(controller) => Err(Error::Usage(format!(
            "--cgroup: the container has no group of its own for {controller:?}"
        ))),
    }
}

/// Does with the waiting process what needs its PID, and tells those who asked for it.
fn prepare(flags: &Exec, entry: &Entry, spawned: &Spawned) -> Result<()> {
    if let Some(class) = &entry.intel_rdt {
        intel_rdt::join(class, &intel_rdt::find()?, spawned.pid)?;
    }
    if let Some(socket) = &flags.pidfd_socket {
        pidfd_socket::send(socket, spawned.pid)?;
    }
    match &flags.pid_file {
        Some(path) => state_file::replace(path, spawned.pid.to_string().as_bytes(), 0o644),
        None => Ok(()),
    }
}

fn kill(spawned: &Spawned) {
    // It waits for a word that never comes; if it is gone already, so much the better.
    if let Ok(pidfd) = pidfd_open(spawned.pid) {
        drop(pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL));
    }
    waitpid(Pid::from_raw(spawned.pid), None).ok();
}

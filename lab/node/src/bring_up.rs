//! The way from nothing to a native node whose init runs; `start` has the rest of the way.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use wamr_progress::Progress;

use crate::config::NodeConfig;
use crate::init::{KEEPER, chain};
use crate::layout::Layout;
use crate::native::{NativeNode, ProcessId, Record};
use crate::prepare::{self, Prepared};
use crate::start::{Site, start_all};
use crate::traces;
use crate::wire::{Channel, Event, Received, Spec};

const NAMESPACES_LIMIT: Duration = Duration::from_secs(20);

/// See [`NativeNode::up`].
pub fn bring_up(config: &NodeConfig, progress: &Progress) -> Result<NativeNode> {
    config.check()?;
    if !nix::unistd::geteuid().is_root() {
        return Err(miette!(
            help = "run it with sudo",
            "a node needs root: it mounts, and makes namespaces and control groups"
        ));
    }
    prepare::reserve(&config.name)?;
    let step = progress.step("namespaces");
    let begun = prepare::write_files(config).and_then(|prepared| {
        prepare::refuse_overlay(&Layout::new(&config.name).state())?;
        Ok((spawn_init(config, &prepared)?, prepared))
    });
    let (node, prepared) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            step.failed("the node is removed");
            return Err(give_up(config, error));
        }
    };
    step.done(&format!("PID 1 of the node is {}", node.init_pid()));
    let workloads = &config.image.workloads;
    match start_all(&Site::Native(&node), &prepared, workloads, progress) {
        Ok(()) => Ok(node),
        Err(error) => {
            traces::keep_logs(&config.name);
            drop(node);
            Err(with_log_help(config, &error))
        }
    }
}

/// Removes a node of which no process runs yet.
fn give_up(config: &NodeConfig, error: miette::Report) -> miette::Report {
    traces::keep_logs(&config.name);
    match traces::remove(&config.name) {
        Ok(()) => error,
        Err(second) => error.wrap_err(format!("then, removing the node: {}", chain(&second))),
    }
}

/// The same error, with where the logs are.
pub fn with_log_help(config: &NodeConfig, error: &miette::Report) -> miette::Report {
    let logs = Layout::new(&config.name).failed_log();
    miette!(help = format!("all logs of the node: {}", logs.display()), "{}", chain(error))
}

/// Starts keeper and init, and waits until mounts and network are up.
fn spawn_init(config: &NodeConfig, prepared: &Prepared) -> Result<NativeNode> {
    let (ours, theirs) = UnixStream::pair().into_diagnostic().wrap_err("socketpair")?;
    let log = Layout::new(&config.name).log().join("keeper.log");
    let log = File::create(&log).into_diagnostic().wrap_err_with(|| log.display().to_string())?;
    let mut keeper = Command::new("/proc/self/exe")
        .arg0(KEEPER)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .into_diagnostic()
        .wrap_err("start this program again as the node's keeper")?;
    let begun = converse(config, prepared, Channel::new(ours), keeper.id());
    match begun.and_then(|(record, channel)| Ok((write_record(record)?, channel))) {
        Ok((record, channel)) => NativeNode::new(record, keeper, channel),
        Err(error) => {
            // The socket is closed by now, so both end by themselves; init also with its parent.
            keeper
                .kill()
                .and_then(|()| keeper.wait())
                .into_diagnostic()
                .wrap_err("end the keeper")?;
            Err(error)
        }
    }
}

fn converse(
    config: &NodeConfig,
    prepared: &Prepared,
    mut channel: Channel,
    keeper_pid: u32,
) -> Result<(Record, Channel)> {
    let spec = Spec { name: config.name.clone(), rootfs: config.image.rootfs.clone() };
    channel.send(&spec).into_diagnostic().wrap_err("describe the node to its keeper")?;
    let (mut init_pid, mut ready) = (None, false);
    let deadline = Instant::now() + NAMESPACES_LIMIT;
    while init_pid.is_none() || !ready {
        let rest = deadline.saturating_duration_since(Instant::now());
        match channel.receive(rest).into_diagnostic().wrap_err("hear from the node's keeper")? {
            Received::Message(Event::Init { pid }) => init_pid = Some(pid),
            Received::Message(Event::Ready) => ready = true,
            Received::Message(Event::Failed { what }) => bail!("set up the node: {what}"),
            Received::Message(other) => bail!("the node's init says {other:?} before it is ready"),
            Received::Closed => bail!(
                "the node's keeper ended early; does main() call wamr_node::init::enter_if_asked?"
            ),
            Received::Nothing => bail!("mounts and network took over {NAMESPACES_LIMIT:?}"),
        }
    }
    let identify = |pid: u32| ProcessId::of(pid).into_diagnostic().wrap_err("read its start time");
    let record = Record {
        name: config.name.clone(),
        init: identify(init_pid.unwrap_or_default())?,
        keeper: identify(keeper_pid)?,
        control_plane: config.control_plane,
        daemons: prepared.daemons.clone(),
    };
    Ok((record, channel))
}

fn write_record(record: Record) -> Result<Record> {
    let path = Layout::new(&record.name).record();
    let text = serde_json::to_string_pretty(&record).into_diagnostic()?;
    fs::write(&path, text)
        .into_diagnostic()
        .wrap_err_with(|| format!("write {}", path.display()))?;
    Ok(record)
}

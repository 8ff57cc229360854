//! The way from nothing to a native node whose init runs; `start` has the rest of the way.

use std::fs;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use wamr_progress::Progress;

use crate::config::NodeConfig;
use crate::daemon::Daemon;
use crate::held::spawn_keeper;
use crate::init::{KEEPER, chain};
use crate::layout::Layout;
use crate::member::Member;
use crate::native::{NativeNode, ProcessId, Record};
use crate::start::{Site, start_all};
use crate::wire::{Channel, Event, Received, Spec};
use crate::workers::join;
use crate::{member, prepare, traces};

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
    reserve_all(config)?;
    let step = progress.step("namespaces");
    let begun = prepare::write_files(config).and_then(|prepared| {
        prepare::refuse_overlay(&Layout::new(&config.name).state())?;
        let own = Member::control_plane(&config.name);
        Ok((spawn_init(config, own, &prepared.daemons)?, prepared))
    });
    let (mut node, prepared) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            step.failed("the node is removed");
            return Err(give_up(config, error));
        }
    };
    step.done(&format!("PID 1 of the node is {}", node.init_pid()));
    let workloads = &config.image.workloads;
    let started = start_all(&Site::Native(&node), &prepared, workloads, progress)
        .and_then(|()| join(config, &mut node, &prepared, progress));
    match started {
        Ok(()) => Ok(node),
        Err(error) => {
            for name in names(config) {
                traces::keep_logs(&name);
            }
            drop(node);
            // Of workers that did not get a process.
            let rest = workers(config).iter().try_for_each(|name| traces::remove(name));
            Err(with_log_help(
                config,
                &match rest {
                    Ok(()) => error,
                    Err(rest) => error.wrap_err(chain(&rest)),
                },
            ))
        }
    }
}

fn workers(config: &NodeConfig) -> Vec<String> {
    member::workers(&config.name, config.workers).into_iter().map(|worker| worker.name).collect()
}

/// The node and its workers.
fn names(config: &NodeConfig) -> Vec<String> {
    std::iter::once(config.name.clone()).chain(workers(config)).collect()
}

/// Takes all names, or none.
fn reserve_all(config: &NodeConfig) -> Result<()> {
    let names = names(config);
    for (index, name) in names.iter().enumerate() {
        if let Err(error) = prepare::reserve(name) {
            return match names[..index].iter().try_for_each(|name| traces::remove(name)) {
                Ok(()) => Err(error),
                Err(second) => Err(error.wrap_err(chain(&second))),
            };
        }
    }
    Ok(())
}

/// Removes a node of which no process runs yet.
fn give_up(config: &NodeConfig, error: miette::Report) -> miette::Report {
    traces::keep_logs(&config.name);
    match names(config).iter().try_for_each(|name| traces::remove(name)) {
        Ok(()) => error,
        Err(second) => error.wrap_err(format!("then, removing the node: {}", chain(&second))),
    }
}

/// The same error, with where the logs are.
pub fn with_log_help(config: &NodeConfig, error: &miette::Report) -> miette::Report {
    let logs = Layout::new(&config.name).failed_log();
    miette!(help = format!("all logs of the node: {}", logs.display()), "{}", chain(error))
}

/// Starts keeper and init of a member, and waits until mounts and network are up.
///
/// # Errors
/// The kernel refuses something; the text says what.
pub fn spawn_init(config: &NodeConfig, member: Member, daemons: &[Daemon]) -> Result<NativeNode> {
    let log = Layout::new(&member.name).log().join("keeper.log");
    let (mut keeper, channel) = spawn_keeper(KEEPER, &log)?;
    let begun = converse(config, member, daemons, channel, keeper.id());
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
    member: Member,
    daemons: &[Daemon],
    mut channel: Channel,
    keeper_pid: u32,
) -> Result<(Record, Channel)> {
    let spec = Spec { member, rootfs: config.image.rootfs.clone() };
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
        member: spec.member,
        init: identify(init_pid.unwrap_or_default())?,
        keeper: identify(keeper_pid)?,
        control_plane: config.control_plane,
        daemons: daemons.to_vec(),
    };
    Ok((record, channel))
}

fn write_record(record: Record) -> Result<Record> {
    let path = Layout::new(&record.member.name).record();
    let text = serde_json::to_string_pretty(&record).into_diagnostic()?;
    fs::write(&path, text)
        .into_diagnostic()
        .wrap_err_with(|| format!("write {}", path.display()))?;
    Ok(record)
}

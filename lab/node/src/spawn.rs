//! Keeper and init of a native node: the first two processes of it.

use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, bail};

use crate::config::NodeConfig;
use crate::daemon::Daemon;
use crate::layout::Layout;
use crate::member::Member;
use crate::namespaces::KEEPER;
use crate::native_node::NativeNode;
use crate::node_handle::spawn_keeper;
use crate::process_id::ProcessId;
use crate::record::{self, Record};
use crate::scale::PodNetwork;
use crate::wire::{Channel, Event, Received, Spec};

const NAMESPACES_LIMIT: Duration = Duration::from_secs(20);

/// Starts keeper and init of a member, and waits until mounts and network are up.
///
/// # Errors
/// The kernel refuses something; the text says what.
pub fn spawn_init(config: &NodeConfig, member: Member, daemons: &[Daemon]) -> Result<NativeNode> {
    let log = Layout::new(&member.name).log().join("keeper.log");
    let (mut keeper, channel) = spawn_keeper(KEEPER, &log)?;
    let begun = converse(config, member, daemons, channel, keeper.id());
    match begun.and_then(|(record, channel)| record::write(&record).map(|()| (record, channel))) {
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
    let prefix_length = PodNetwork::of(config.max_pods).prefix_length();
    let spec = Spec { member, rootfs: config.image.rootfs.clone(), prefix_length };
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
                "the node's keeper ended early; does main() call wamr_node::entry::enter_if_asked?"
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

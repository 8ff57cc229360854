//! The keeper of a virtual machine: starts QEMU, waits for its end, removes what the node leaves.
//! Its standard input is the socket to the lab, which is also the lifeline: when the lab's end
//! closes and the keeper was not told to let the machine stay, the machine ends.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio, exit};
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use nix::unistd::{chdir, dup2_stdin, setsid};
use serde::{Deserialize, Serialize};

use super::{KEEPER, probe};
use crate::error_chain::chain;
use crate::layout::Layout;
use crate::node_handle::spawn_keeper;
use crate::traces;
use crate::wire::{Channel, Event, Received, Request};

/// How long the lab may take to send the first message.
const ORDER_LIMIT: Duration = Duration::from_secs(10);
/// How often the keeper looks after QEMU.
const TICK: Duration = Duration::from_millis(200);

/// The first message to the keeper.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// Name of the node.
    pub name: String,
    /// QEMU's command line.
    pub argv: Vec<String>,
}

/// Starts this program again as a keeper; also returned is QEMU's PID.
///
/// # Errors
/// It cannot be started, or QEMU cannot.
pub fn spawn(order: &Order) -> Result<(Child, Channel, u32)> {
    let log = Layout::new(&order.name).log().join("qemu.log");
    let (mut keeper, mut channel) = spawn_keeper(KEEPER, &log)?;
    let told = channel.send(order).and_then(|()| channel.receive(ORDER_LIMIT));
    let why = match told {
        Ok(Received::Message(Event::Init { pid })) => return Ok((keeper, channel, pid)),
        Ok(other) => format!("it says {other:?}"),
        Err(error) => error.to_string(),
    };
    // It may have ended already.
    drop(keeper.kill().and_then(|()| keeper.wait()));
    bail!("the machine's keeper did not start QEMU: {why}")
}

/// The keeper itself. To be called first in `main`.
pub fn keep() -> ! {
    match try_keep() {
        Ok(()) => exit(0),
        Err(error) => {
            eprintln!("keeper: {}", chain(&error));
            exit(1)
        }
    }
}

fn try_keep() -> Result<()> {
    // A Ctrl-C on the lab's terminal must not reach QEMU.
    setsid().into_diagnostic().wrap_err("setsid")?;
    chdir("/").into_diagnostic().wrap_err("chdir /")?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned().into_diagnostic()?;
    let null = File::open("/dev/null").into_diagnostic().wrap_err("open /dev/null")?;
    dup2_stdin(&null).into_diagnostic().wrap_err("dup2")?;
    let mut channel = Channel::new(UnixStream::from(socket));
    let order = match channel.receive::<Order>(ORDER_LIMIT).into_diagnostic()? {
        Received::Message(order) => order,
        other => bail!("no order came: {other:?}"),
    };
    let mut qemu = probe::command(&order.argv)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .into_diagnostic()
        .wrap_err("start QEMU")?;
    channel.send(&Event::Init { pid: qemu.id() }).into_diagnostic()?;
    if !watch(&mut qemu, channel)? {
        traces::keep_logs(&order.name);
    }
    traces::remove(&order.name)
}

/// Waits for QEMU's end, or brings it about; true if somebody wanted it.
fn watch(qemu: &mut Child, channel: Channel) -> Result<bool> {
    let mut channel = Some(channel);
    let mut stay = false;
    loop {
        if let Some(status) = qemu.try_wait().into_diagnostic().wrap_err("wait for QEMU")? {
            eprintln!("QEMU ended: {status}");
            if let Some(mut channel) = channel {
                let event = Event::Ended { name: "QEMU".to_owned(), how: status.to_string() };
                // The lab may be gone, too.
                drop(channel.send(&event));
            }
            // A guest that panicked ends QEMU like one that was shut down, with status 0.
            return Ok(false);
        }
        let Some(open) = &mut channel else {
            std::thread::sleep(TICK);
            continue;
        };
        match open.receive(TICK).into_diagnostic()? {
            Received::Nothing => {}
            Received::Message(Request::Stay) => stay = true,
            Received::Closed if stay => channel = None,
            Received::Message(_) | Received::Closed => {
                qemu.kill().into_diagnostic().wrap_err("end QEMU")?;
                qemu.wait().into_diagnostic().wrap_err("wait for QEMU")?;
                return Ok(true);
            }
        }
    }
}

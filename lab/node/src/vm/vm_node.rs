//! A virtual machine that is up: what the lab holds, asks and takes down.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use wamr_image::MachineImage;
use wamr_progress::Progress;

use super::keeper::{self, Order};
use super::link::{Link, Streams};
use super::qemu::{Accelerator, Start, command_line};
use super::record::{Record, is_running, read, write};
use super::{Payload, Profile, probe, seed};
use crate::bring_up::with_log_help;
use crate::config::{NodeConfig, check_name};
use crate::error_chain::chain;
use crate::layout::Layout;
use crate::machine_node::VirtualMachine;
use crate::node_handle::{Kind, NodeHandle};
use crate::process_id::ProcessId;
use crate::reservation::reserve;
use crate::traces;
use crate::wire::{Event, Received};

/// From power-on to an agent that answers; minutes because an emulated machine may be slow.
const BOOT_LIMIT: Duration = Duration::from_mins(4);

const KIND: Kind = Kind {
    main: "QEMU",
    down: "virtual machine down",
    // The keeper sees its end and removes the rest.
    signal: libc::SIGKILL,
    stop_limit: Duration::from_secs(20),
};

/// A Kubernetes node in a virtual machine. Dropping it takes the machine down.
#[derive(Debug)]
pub struct VmNode {
    layout: Layout,
    record: Record,
    handle: NodeHandle,
}

/// What a machine is made of, beside the node in it.
pub struct Parts<'a> {
    /// Kernel, initrd and disk.
    pub image: &'a MachineImage,
    /// What runs in it.
    pub payload: Payload,
    /// Where the answer of the probe for KVM is kept.
    pub cache: &'a Path,
    /// Name of the profile.
    pub profile_name: &'a str,
    /// Size and processor.
    pub profile: &'a Profile,
}

impl VmNode {
    /// Starts a machine. It returns when the machine runs commands; [`Self::wait_for_node`] waits
    /// for Kubernetes.
    ///
    /// # Errors
    /// The configuration is wrong, the name is taken, QEMU is missing, the machine does not boot:
    /// then the text ends with its last words.
    pub fn power_on(config: &NodeConfig, parts: &Parts<'_>, progress: &Progress) -> Result<Self> {
        config.check()?;
        let meminfo = fs::read_to_string("/proc/meminfo").into_diagnostic()?;
        parts.profile.check_fits(&meminfo)?;
        let facts = facts(parts, progress)?;
        let accelerator = facts.accelerator;
        reserve(&config.name)?;
        let step = progress.step("virtual machine");
        let begun = seed::write(config, parts.payload, facts)
            .and_then(|()| Self::start(config, parts, accelerator))
            .and_then(|node| node.wait_for_agent().map(|()| node));
        match begun {
            Ok(node) => {
                step.done(&format!("runs under {}", accelerator.word()));
                Ok(node)
            }
            Err(error) => {
                step.failed("the machine is removed");
                if !is_running(&config.name) {
                    traces::keep_logs(&config.name);
                    traces::remove(&config.name)?;
                }
                Err(with_log_help(config, &error))
            }
        }
    }

    fn start(config: &NodeConfig, parts: &Parts<'_>, accelerator: Accelerator) -> Result<Self> {
        let layout = Layout::new(&config.name);
        let argv = command_line(&Start {
            name: &config.name,
            image: parts.image,
            seed: &layout.seed(),
            run_dir: &layout.run(),
            console: &layout.log().join("console.log"),
            profile: parts.profile,
            accelerator,
        });
        let order = Order { name: config.name.clone(), argv };
        let (keeper, channel, qemu_pid) = keeper::spawn(&order)?;
        let identify = |pid| ProcessId::of(pid).into_diagnostic().wrap_err("read its start time");
        let record = Record {
            name: config.name.clone(),
            qemu: identify(qemu_pid)?,
            keeper: identify(keeper.id())?,
            accelerator,
        };
        write(&record)?;
        let mut node = Self::open(record)?;
        node.handle = node.handle.brought_up(keeper, channel);
        Ok(node)
    }

    fn open(record: Record) -> Result<Self> {
        Ok(Self {
            layout: Layout::new(&record.name),
            handle: NodeHandle::open(&record.name, KIND, record.qemu, record.keeper)?,
            record,
        })
    }

    /// A machine that another process brought up and told to stay. It stays when this is dropped.
    ///
    /// # Errors
    /// There is no such machine, or it is dead.
    pub fn attach(name: &str) -> Result<Self> {
        check_name(name)?;
        read(name).and_then(Self::open).map_err(|error| {
            miette!(
                help = "see `wamr-lab node status`; `wamr-lab clean` removes dead nodes",
                "no virtual node {name} is up: {}",
                chain(&error)
            )
        })
    }

    /// What executes the machine.
    pub fn accelerator(&self) -> Accelerator {
        self.record.accelerator
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    fn wait_for_agent(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            self.check()?;
            let answered = Link::open(&self.layout.run())
                .is_ok_and(|link| link.is_answered(Duration::from_secs(2)));
            if answered {
                return Ok(());
            }
            if begun.elapsed() > BOOT_LIMIT {
                let tail = self.console_tail();
                return Err(miette!("no agent after {} s{tail}", BOOT_LIMIT.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn console_tail(&self) -> String {
        let log = self.layout.log();
        let tail = |name: &str| crate::daemon::log_tail(&log.join(name), 20);
        format!("; its console and QEMU say:\n{}\n{}", tail("console.log"), tail("qemu.log"))
    }

    /// Runs a program in the machine; its exit status, 128 + N for signal N.
    ///
    /// # Errors
    /// The machine ended, or `enough` said so, which ends the program, too.
    pub fn run(
        &self,
        argv: &[&str],
        streams: Streams<'_>,
        enough: &dyn Fn() -> bool,
    ) -> Result<i32> {
        self.check()?;
        Link::open(&self.layout.run())?.run(argv, streams, enough)
    }

    /// Sees whether the machine still runs.
    ///
    /// # Errors
    /// It ended; the text has its last words.
    pub fn check(&self) -> Result<()> {
        if self.handle.has_ended() {
            return Err(miette!("the machine ended{}", self.console_tail()));
        }
        let mut channel = self.handle.channel();
        let Some(open) = channel.as_mut() else { return Ok(()) };
        match open.receive::<Event>(Duration::ZERO).into_diagnostic().wrap_err("ask the keeper")? {
            Received::Message(Event::Ended { name, how }) => {
                Err(miette!("{name} ended: {how}{}", self.console_tail()))
            }
            _ => Ok(()),
        }
    }

    /// Lets the machine live on when this process ends.
    ///
    /// # Errors
    /// The machine is dead.
    pub fn stay(mut self) -> Result<()> {
        self.handle.stay()
    }

    /// Ends the machine and removes all that it left on the host.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn down(mut self, progress: &Progress) -> Result<()> {
        self.handle.down(progress)
    }

    pub(crate) fn stop_and_remove(&mut self) -> Result<()> {
        self.handle.stop_and_remove()
    }
}

/// What the machine will be told of where it runs.
fn facts(parts: &Parts<'_>, progress: &Progress) -> Result<VirtualMachine> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(VirtualMachine {
        qemu: probe::version()?,
        accelerator: probe::accelerator(parts.cache, parts.image, progress)?,
        profile_name: parts.profile_name.to_owned(),
        profile: parts.profile.clone(),
        host_cpu_model: model.map_or_else(String::new, |(_, model)| model.trim().to_owned()),
        host_kernel_release: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    })
}

#[test]
fn sockets_fit_into_an_address() {
    let run = Layout::new(&"n".repeat(40)).run();
    // Source: unix(7), sun_path.
    assert!(run.join(super::qemu::socket_name(0)).as_os_str().len() < 108);
}

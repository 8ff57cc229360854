//! A virtual machine that is up: what the lab holds, asks and takes down.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::{Deserialize, Serialize};
use wamr_image::MachineImage;
use wamr_progress::Progress;

use super::keeper::{self, Order};
use super::link::{Link, Streams};
use super::qemu::{Accelerator, Start, command_line};
use super::{Profile, probe, seed};
use crate::bring_up::with_log_help;
use crate::config::{NodeConfig, check_name};
use crate::held::{Held, Kind};
use crate::init::chain;
use crate::layout::Layout;
use crate::machine::VirtualMachine;
use crate::native::ProcessId;
use crate::wire::{Event, Received};
use crate::{prepare, traces};

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
    held: Held,
}

/// What another process needs to find a running machine: `vm.json` in its run directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    name: String,
    qemu: ProcessId,
    keeper: ProcessId,
    accelerator: Accelerator,
}

fn read_record(layout: &Layout) -> Result<Record> {
    let path = layout.vm_record();
    let text = fs::read_to_string(&path)
        .into_diagnostic()
        .wrap_err_with(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| path.display().to_string())
}

/// True if the record of `name` names a living QEMU.
pub fn is_running(name: &str) -> bool {
    read_record(&Layout::new(name)).is_ok_and(|record| record.qemu.open().is_ok())
}

/// What a machine runs beside systemd and the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// A Kubernetes node.
    Node,
    /// Nothing: a kernel with systemd to try things on.
    Bare,
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
        prepare::reserve(&config.name)?;
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
        let text = serde_json::to_string_pretty(&record).into_diagnostic()?;
        fs::write(layout.vm_record(), text).into_diagnostic().wrap_err("write vm.json")?;
        let mut node = Self::open(record)?;
        node.held = node.held.brought_up(keeper, channel);
        Ok(node)
    }

    fn open(record: Record) -> Result<Self> {
        Ok(Self {
            layout: Layout::new(&record.name),
            held: Held::open(&record.name, KIND, record.qemu, record.keeper)?,
            record,
        })
    }

    /// A machine that another process brought up and told to stay. It stays when this is dropped.
    ///
    /// # Errors
    /// There is no such machine, or it is dead.
    pub fn attach(name: &str) -> Result<Self> {
        check_name(name)?;
        read_record(&Layout::new(name)).and_then(Self::open).map_err(|error| {
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
        if self.held.has_ended() {
            return Err(miette!("the machine ended{}", self.console_tail()));
        }
        let mut channel = self.held.channel();
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
        self.held.stay()
    }

    /// Ends the machine and removes all that it left on the host.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn down(mut self, progress: &Progress) -> Result<()> {
        self.held.down(progress)
    }

    pub(crate) fn stop_and_remove(&mut self) -> Result<()> {
        self.held.stop_and_remove()
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

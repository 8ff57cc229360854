//! A node that is a whole machine, seen from inside: systemd runs its daemons.
//!
//! `/etc/wamr-lab/machine.json` says what the node is made of. A virtual machine of the lab gets it
//! with its other files; a NixOS machine can render it from the same words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wamr_image::NodeImage;

use crate::command_output::output_of;
use crate::config::ControlPlane;
use crate::daemon::{Daemon, log_tail};
use crate::layout::{ADMIN_KUBECONFIG, LOG_DIR, PATH};
use crate::runtimes::RuntimeTable;
use crate::units;
use crate::vm::{Accelerator, Profile};

/// What the node is made of.
pub const SPEC: &str = "/etc/wamr-lab/machine.json";

/// `machine.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineSpec {
    /// Name of the Node object.
    pub name: String,
    /// Workload images and versions; paths are the machine's own.
    pub image: NodeImage,
    /// The runtimes under test.
    pub runtimes: RuntimeTable,
    /// How fast the control plane may go.
    pub control_plane: ControlPlane,
    /// In the order of their start; none if the machine starts them by itself.
    #[serde(default)]
    pub daemons: Vec<Daemon>,
    /// For the API server, if the machine does not create them by itself.
    #[serde(default)]
    pub objects: Value,
    /// What the machine runs in, if that is known.
    #[serde(default)]
    pub virtual_machine: Option<VirtualMachine>,
}

/// What a virtual machine was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualMachine {
    /// What executes it.
    pub accelerator: Accelerator,
    /// QEMU's version.
    pub qemu: String,
    /// Name of the profile.
    pub profile_name: String,
    /// Size and processor.
    pub profile: Profile,
    /// "model name" of the host's processor.
    pub host_cpu_model: String,
    /// `uname -r` of the host.
    pub host_kernel_release: String,
}

/// The machine that this program runs on, as a node.
#[derive(Debug)]
pub struct MachineNode {
    spec: Box<MachineSpec>,
}

impl MachineNode {
    /// Reads what this machine is.
    ///
    /// # Errors
    /// It is no node of the lab.
    pub fn open() -> Result<Self> {
        let text = fs::read_to_string(SPEC).map_err(|error| {
            miette!(
                help = "this works only on a machine that is a node of the lab",
                "read {SPEC}: {error}"
            )
        })?;
        let spec = serde_json::from_str(&text).into_diagnostic().wrap_err(SPEC)?;
        Ok(Self { spec })
    }

    /// What it is made of.
    pub fn spec(&self) -> &MachineSpec {
        &self.spec
    }

    /// Name of the Node object.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The admin's kubeconfig: that of the environment, else the lab's own.
    pub fn kubeconfig(&self) -> PathBuf {
        std::env::var_os("KUBECONFIG").map_or_else(|| ADMIN_KUBECONFIG.into(), PathBuf::from)
    }

    /// The daemons' logs.
    pub fn log_dir(&self) -> PathBuf {
        LOG_DIR.into()
    }

    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let (program, arguments) = argv.split_first().unwrap_or((&"false", &[]));
        let mut command = Command::new(program);
        command.args(arguments);
        // The machine's own programs may be elsewhere, as on NixOS.
        let own = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{PATH}:{own}"))
            .env("HOME", "/root")
            .env("KUBECONFIG", self.kubeconfig());
        command
    }

    pub(crate) fn start(&self, daemon: &Daemon) -> Result<()> {
        let unit = units::name(&daemon.name);
        let argv = ["systemctl", "start", &unit];
        output_of(&mut self.command(&argv), &argv)
            .map(drop)
            .map_err(|error| miette!("{error}{}", Self::tail(&daemon.name)))
    }

    /// Sees whether a daemon has failed.
    ///
    /// # Errors
    /// One has; the text says which, with its last log lines.
    pub fn check(&self) -> Result<()> {
        let argv = ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend"];
        let failed = output_of(&mut self.command(&argv), &argv)?;
        let named = |daemon: &&Daemon| {
            let unit = units::name(&daemon.name);
            failed.lines().any(|line| line.split_whitespace().next() == Some(&unit))
        };
        match self.spec.daemons.iter().find(named) {
            None => Ok(()),
            Some(daemon) => Err(miette!("{} ended{}", daemon.name, Self::tail(&daemon.name))),
        }
    }

    pub(crate) fn tail(daemon: &str) -> String {
        let log = Path::new(LOG_DIR).join(format!("{daemon}.log"));
        format!("; the end of its log:\n{}", log_tail(&log, 20))
    }
}

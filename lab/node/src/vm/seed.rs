//! The node's own files for a virtual machine: the same that a native node gets, with units for
//! systemd, as a tar archive that the machine unpacks over its disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use wamr_image::{NodeImage, archive_path};

use super::Payload;
use crate::cgroups::CgroupDriver;
use crate::config::NodeConfig;
use crate::layout::{Layout, PROGRAM_DIR, STATE_DIRS};
use crate::machine_node::{MachineSpec, SPEC, VirtualMachine};
use crate::prepare::{self, Prepared, Upper, install, make_dir};
use crate::rootfs::TUNABLES;
use crate::units;

const UNIT_DIR: &str = "/etc/systemd/system";
/// The program that the machine's units run.
const LAB: &str = "wamr-lab";
/// A scenario may have the machine write its report, too; a run does not need it.
const REPORT: &str = "wamr-report";

/// Timers and services of Debian that would move memory in the middle of a measurement.
const MASKED: [&str; 6] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "getty@tty1.service",
    "systemd-logind.service",
];

/// Writes all files below the reserved name, and the archive of them.
///
/// # Errors
/// A part of the image or a program is missing, or a file cannot be written.
pub fn write(config: &NodeConfig, payload: Payload, machine: VirtualMachine) -> Result<()> {
    let layout = Layout::new(&config.name);
    let config = &NodeConfig { cgroup_driver: CgroupDriver::Systemd, ..config.clone() };
    let prepared = prepare::write_files(config)?;
    let root = Upper { dir: layout.upper() };
    write_units(&root, payload, &prepared)?;
    let tunables = TUNABLES.map(|(path, value)| format!("{} = {value}\n", path.replace('/', ".")));
    root.write("/etc/sysctl.d/50-wamr-lab.conf", &tunables.concat(), 0o644)?;
    for (name, path) in STATE_DIRS {
        make_dir(&root.place(path)?, if name == "etcd" { 0o700 } else { 0o755 })?;
    }
    install(&config.dist_bin.join(LAB), &root.place(&lab_path())?)?;
    let report = config.dist_bin.join(REPORT);
    if report.exists() {
        install(&report, &root.place(&format!("{PROGRAM_DIR}/{REPORT}"))?)?;
    }
    let spec = MachineSpec {
        name: config.name.clone(),
        image: inside(&config.image),
        runtimes: config.runtimes.clone(),
        control_plane: config.control_plane,
        daemons: prepared.daemons,
        objects: prepared.objects,
        virtual_machine: Some(machine),
    };
    root.write(SPEC, &serde_json::to_string_pretty(&spec).into_diagnostic()?, 0o644)?;
    archive(&root.dir, &layout.seed())
}

fn lab_path() -> String {
    format!("{PROGRAM_DIR}/{LAB}")
}

fn write_units(root: &Upper, payload: Payload, prepared: &Prepared) -> Result<()> {
    for daemon in &prepared.daemons {
        let path = format!("{UNIT_DIR}/{}", units::name(&daemon.name));
        root.write(&path, &units::daemon(daemon), 0o644)?;
    }
    root.write(&format!("{UNIT_DIR}/{}", units::NODE_UNIT), &units::node(&lab_path()), 0o644)?;
    root.write(&format!("{UNIT_DIR}/{}", units::AGENT_UNIT), &units::agent(&lab_path()), 0o644)?;
    let link = |target: &str, path: &str| {
        let at = root.place(path)?;
        symlink(target, &at).into_diagnostic().wrap_err_with(|| format!("link {}", at.display()))
    };
    let enabled = units::ENABLED.iter().filter(|unit| match payload {
        Payload::Node => true,
        Payload::Bare => **unit != units::NODE_UNIT,
    });
    for unit in enabled {
        link(&format!("../{unit}"), &format!("{UNIT_DIR}/multi-user.target.wants/{unit}"))?;
    }
    for unit in MASKED {
        link("/dev/null", &format!("{UNIT_DIR}/{unit}"))?;
    }
    Ok(())
}

/// The image as the machine sees it.
fn inside(image: &NodeImage) -> NodeImage {
    let mut image = image.clone();
    image.rootfs = PathBuf::from("/");
    for (name, workload) in &mut image.workloads {
        workload.archive = archive_path(name);
    }
    image
}

/// Whole blocks of 512 bytes: a tar archive can be a disk.
fn archive(dir: &Path, to: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--numeric-owner", "--owner=0", "--group=0", "--file"]).arg(to);
    let output = tar.arg("--directory").arg(dir).arg(".").output();
    let output = output.into_diagnostic().wrap_err("start tar")?;
    if !output.status.success() {
        bail!("tar {}: {}", dir.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    // It holds the cluster's keys.
    fs::set_permissions(to, fs::Permissions::from_mode(0o600))
        .into_diagnostic()
        .wrap_err_with(|| to.display().to_string())
}

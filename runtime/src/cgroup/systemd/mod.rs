//! Control groups made by systemd: a transient scope for each container.
//!
//! A scope is made around a process. Ours is a placeholder that only holds it until the init is
//! inside: the init can so be born in its group like everywhere else, with all limits in force
//! from its first instruction. The scope is delegated, so that what is below it is the
//! container's, and the limits without a property are ours to write.
//!
//! The client is written by hand: six calls with plain arguments over a socket. zbus 5.19 adds
//! 1,030 kB to a static program that makes one of them (profile `resident`, 2026-11-30), a fifth of
//! the runtime's size, and a thread, beside which a process cannot join a user namespace.
//!
//! Source: systemd.io/CGROUP_DELEGATION; org.freedesktop.systemd1(5).

mod bus;
mod property;
mod unit;
mod variant;
mod wire;

use super::{Cgroup, MOUNT, Request, devices, files};
use crate::error::{Act, Error, Result};
use crate::sys::process::{self, Cloned};
use bus::{Answered, Bus};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, geteuid, pause};
use oci_spec::runtime::LinuxResources;
use property::Property;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use wire::Value;

/// A container's scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Its unit's name.
    pub unit: String,
    /// It belongs to the systemd of a user, not to the system's.
    pub user: bool,
}

/// A scope that was started.
#[derive(Debug)]
pub struct Started {
    /// The scope.
    pub scope: Scope,
    /// Its group, from the top of the hierarchy.
    pub path: PathBuf,
    /// What keeps it.
    pub placeholder: Placeholder,
}

/// Makes the scope of `request`; after an error nothing is left.
///
/// # Errors
/// [`Error::Config`]: `linux.cgroupsPath` or an annotation that systemd cannot take;
/// [`Error::Usage`]: systemd is not there, or refuses; [`Error::Os`].
pub fn start(request: &Request) -> Result<Started> {
    let user = is_user();
    let names = unit::names(request.cgroups_path.and_then(Path::to_str), request.id, user)?;
    let mut properties = vec![
        text("Description", &format!("container {}", request.id)),
        text("Slice", &names.slice),
        ("Delegate".to_owned(), Value::Bool(true)),
        ("DefaultDependencies".to_owned(), Value::Bool(false)),
        // A scope that failed, for want of memory say, must not keep its name.
        text("CollectMode", "inactive-or-failed"),
    ];
    for name in ["CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting"] {
        properties.push((name.to_owned(), Value::Bool(true)));
    }
    if let Some(resources) = request.resources {
        properties.extend(property::of_resources(resources, is_version_2())?);
        let rules = devices::rules(resources.devices().as_deref().unwrap_or_default())?;
        let names = fs::read_to_string("/proc/devices").unwrap_or_default();
        properties.extend(property::of_devices(&rules, &names));
    }
    // Last: the bundle's word is the one that counts.
    for (name, value) in property::of_annotations(request.annotations.into_iter().flatten())? {
        properties.retain(|(earlier, _)| *earlier != name);
        properties.push((name, value));
    }
    let mut bus = Bus::connect(user)?;
    let placeholder = Placeholder::new()?;
    let pid = Value::U32(placeholder.pid.as_raw() as u32);
    properties.push(("PIDs".to_owned(), Value::Array("u".to_owned(), vec![pid])));
    let scope = Scope { unit: names.unit, user };
    scope.start(&mut bus, properties)?;
    let path = group_of(placeholder.pid)?;
    Ok(Started { scope, path, placeholder })
}

impl Scope {
    fn start(&self, bus: &mut Bus, properties: Vec<Property>) -> Result<()> {
        let act = format!("start {} with {}", self.unit, property::shown(&properties));
        let arguments = [
            Value::text(&self.unit),
            Value::text("fail"),
            property_list(properties),
            Value::Array("(sa(sv))".to_owned(), Vec::new()),
        ];
        let mut answer = bus.manager("StartTransientUnit", &arguments);
        if answer.as_ref().is_err_and(|refusal| refusal.is("UnitExists")) {
            // A leftover that failed in a former life; a living one is not touched by this.
            drop(bus.manager("ResetFailedUnit", &[Value::text(&self.unit)]));
            answer = bus.manager("StartTransientUnit", &arguments);
        }
        finish(bus, answer, &act)
    }

    /// Changes the properties of those `resources` that systemd knows.
    ///
    /// # Errors
    /// As [`start`].
    pub fn update(&self, resources: &LinuxResources) -> Result<()> {
        let properties = property::of_resources(resources, is_version_2())?;
        if properties.is_empty() {
            return Ok(());
        }
        let act = format!("set {} of {}", property::shown(&properties), self.unit);
        // Of this boot only, as the scope is.
        let arguments = [Value::text(&self.unit), Value::Bool(true), property_list(properties)];
        let answer = Bus::connect(self.user)?.manager("SetUnitProperties", &arguments);
        answer.map(drop).map_err(|refusal| refusal.into_error(&act))
    }

    /// Ends the scope, with what is still in it; one that is gone is no error.
    ///
    /// # Errors
    /// [`Error::Usage`], [`Error::Os`].
    pub fn stop(&self) -> Result<()> {
        let act = format!("stop {}", self.unit);
        let mut bus = Bus::connect(self.user)?;
        let arguments = [Value::text(&self.unit), Value::text("replace")];
        let answer = bus.manager("StopUnit", &arguments);
        if answer.as_ref().is_err_and(|refusal| refusal.is("NoSuchUnit")) {
            return Ok(());
        }
        finish(&mut bus, answer, &act)?;
        // Refused where nothing failed, which is the rule.
        drop(bus.manager("ResetFailedUnit", &[Value::text(&self.unit)]));
        Ok(())
    }
}

/// Waits for the job that `answer` names.
fn finish(bus: &mut Bus, answer: Answered, act: &str) -> Result<()> {
    let job = answer.map_err(|refusal| refusal.into_error(act))?;
    match bus.wait_for(&job)?.as_str() {
        "done" => Ok(()),
        result => Err(Error::Usage(format!("{act}: systemd's job ended as {result:?}"))),
    }
}

fn text(name: &str, value: &str) -> Property {
    (name.to_owned(), Value::text(value))
}

fn property_list(properties: Vec<Property>) -> Value {
    let pair =
        |(name, value)| Value::Struct(vec![Value::Text(name), Value::Variant(Box::new(value))]);
    Value::Array("(sv)".to_owned(), properties.into_iter().map(pair).collect())
}

/// Whether this is run by a user, or by the root of a user namespace, who has a systemd of theirs.
fn is_user() -> bool {
    let everybody = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    !geteuid().is_root() || !fs::read_to_string("/proc/self/uid_map").map_or(true, everybody)
}

fn is_version_2() -> bool {
    files::is_v2(Path::new(MOUNT))
}

/// Where systemd has put process `pid`: in the only hierarchy, or in its own of version 1.
fn group_of(pid: Pid) -> Result<PathBuf> {
    let file = format!("/proc/{pid}/cgroup");
    let listing = fs::read_to_string(&file).act(|| format!("read {file}"))?;
    let by = |name: &str| {
        let line = listing.lines().find_map(|line| line.split_once(name));
        line.map(|(_, path)| PathBuf::from(path))
    };
    by(":name=systemd:").or_else(|| by("0::")).ok_or_else(|| {
        Error::Usage(format!("{file} names no group of systemd: is it this host's init?"))
    })
}

/// A process that does nothing but be in a scope; it ends when this is dropped.
#[derive(Debug)]
pub struct Placeholder {
    pid: Pid,
}

impl Placeholder {
    fn new() -> Result<Self> {
        match process::clone3(0, None).act(|| "clone3: make the scope's placeholder".to_owned())? {
            Cloned::Parent(pid) => Ok(Self { pid: Pid::from_raw(pid) }),
            Cloned::Child => {
                // A runtime that is killed must not leave it behind.
                set_pdeathsig(Signal::SIGKILL).ok();
                loop {
                    pause();
                }
            }
        }
    }

    /// Lets the init, which is in the group of `cgroup` now, have all of `pids_limit`.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn leave(self, cgroup: &Cgroup, pids_limit: Option<i64>) -> Result<()> {
        drop(self);
        set_pids_limit(cgroup, pids_limit, 0)
    }

    /// Makes room for itself beside the init.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn make_room(&self, cgroup: &Cgroup, pids_limit: Option<i64>) -> Result<()> {
        set_pids_limit(cgroup, pids_limit, 1)
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        // It is our child and has not been waited for: the PID is still its own.
        kill(self.pid, Signal::SIGKILL).ok();
        waitpid(self.pid, None).ok();
    }
}

fn set_pids_limit(cgroup: &Cgroup, limit: Option<i64>, besides: i64) -> Result<()> {
    let Some(limit @ 1..) = limit else { return Ok(()) };
    let Some(directory) = cgroup.directory("pids") else { return Ok(()) };
    let file = directory.join("pids.max");
    let value = limit.saturating_add(besides).to_string();
    files::write(&file, &value).act(|| format!("write {value} to {}", file.display()))
}

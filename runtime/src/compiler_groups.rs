//! The control groups of a compiler: its own, so that what it takes is neither charged to a
//! container nor to the engine that asked for it, and has limits.
//!
//! The process enters them itself, and its compiler is born in them. Before it ends it goes to
//! their parents, for a group with a process in it cannot be removed; systemd takes an empty scope
//! away by itself. What a killed one has left is removed by the next. Who may make no groups stays
//! where it is.

use crate::cgroup::{Cgroup, Driver, MOUNT, Request, files};
use crate::error::{Act, Result};
use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};
use std::fs;
use std::io::Write;
use std::path::Path;

/// What a group is called, with the process's number behind it. Each is at the top of its
/// hierarchy: below a group of its own the weight would count among compilers only.
const NAME: &str = "wamr-crun-compile-";

/// Compiling 26 MB of CPython takes a fifth of it.
const MOST_MEMORY_BYTES: i64 = 4 << 30;
/// A tenth of what others have: a group has a weight among others whatever priority its processes
/// have, and with the least of all nothing would ever be compiled on a node that is always busy.
const LOW_SHARES: u64 = 102;

/// The groups that this process is in.
#[derive(Debug)]
pub struct Groups {
    cgroup: Cgroup,
}

impl Groups {
    /// Makes groups by `driver` and enters them: of a low weight, unless somebody waits.
    ///
    /// # Errors
    /// Those of [`Cgroup::create`]: there are none then, and the process is where it was.
    pub fn enter(driver: Driver, is_awaited: bool) -> Result<Self> {
        remove_abandoned();
        let limited = Self::enter_with(driver, &resources(is_awaited));
        // Where a controller is missing, it is at least nobody else's group.
        limited.or_else(|_| Self::enter_with(driver, &LinuxResources::default()))
    }

    fn enter_with(driver: Driver, resources: &LinuxResources) -> Result<Self> {
        let pid = std::process::id();
        let id = format!("{NAME}{pid}");
        let path = match driver {
            // Slice, prefix and name of a scope.
            Driver::Systemd => format!(":{}:{pid}", NAME.trim_end_matches('-')),
            _ => format!("/{id}"),
        };
        let (cgroup, placeholder) = Cgroup::create(&Request {
            driver,
            id: &id,
            cgroups_path: Some(Path::new(&path)),
            annotations: None,
            resources: Some(resources),
            complete: false,
        })?;
        let groups = Self { cgroup };
        let entered = groups.join(pid as i32);
        drop(placeholder);
        if let Err(error) = entered {
            groups.leave();
            return Err(error);
        }
        Ok(groups)
    }

    fn join(&self, pid: i32) -> Result<()> {
        match &self.cgroup {
            // As a container's first process does: by its only thread, which is faster.
            Cgroup::V1(group) => group.entrances(true)?.into_iter().try_for_each(|mut file| {
                file.write_all(b"0").act(|| "enter the compiler's control groups".to_owned())
            }),
            Cgroup::V2(group) => group.join(pid),
        }
    }

    /// Goes back to the groups above and removes these. Best effort: the next one tries again.
    pub fn leave(self) {
        if self.cgroup.scope().is_some() {
            return;
        }
        let entrance = if matches!(self.cgroup, Cgroup::V1(_)) { "tasks" } else { "cgroup.procs" };
        for directory in self.cgroup.own_directories() {
            if let Some(above) = directory.parent() {
                files::write(&above.join(entrance), "0").ok();
            }
            fs::remove_dir(directory).ok();
        }
    }
}

/// Half of the machine's memory, but not more than any module is known to need.
fn resources(is_awaited: bool) -> LinuxResources {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let limit = total_bytes(&memory).map_or(MOST_MEMORY_BYTES, |all| all / 2);
    let mut resources = LinuxResources::default();
    let mut memory = LinuxMemory::default();
    memory.set_limit(Some(limit.min(MOST_MEMORY_BYTES)));
    resources.set_memory(Some(memory));
    if !is_awaited {
        let mut cpu = LinuxCpu::default();
        cpu.set_shares(Some(LOW_SHARES));
        resources.set_cpu(Some(cpu));
    }
    resources
}

/// MemTotal of /proc/meminfo. Pure.
fn total_bytes(meminfo: &str) -> Option<i64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kb: i64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kb * 1024)
}

/// Removes the groups of processes that are no more.
fn remove_abandoned() {
    let top = Path::new(MOUNT);
    let tops = if files::is_v2(top) {
        vec![top.to_owned()]
    } else {
        files::children(top).unwrap_or_default()
    };
    for group in tops.iter().flat_map(|top| files::children(top).unwrap_or_default()) {
        let pid = group.file_name().and_then(|name| name.to_str()?.strip_prefix(NAME));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            fs::remove_dir(&group).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_memory_is_the_limit() {
        let text = "MemFree: 1 kB\nMemTotal:       24689652 kB\nMemAvailable: 2 kB\n";
        assert_eq!(total_bytes(text), Some(24_689_652 * 1024));
        assert_eq!(total_bytes("MemTotal: much"), None);
        let limit = |is_awaited| resources(is_awaited).memory().unwrap().limit().unwrap();
        assert!((1..=MOST_MEMORY_BYTES).contains(&limit(true)));
        assert_eq!(limit(true), limit(false));
    }

    #[test]
    fn who_is_awaited_has_the_usual_weight() {
        assert!(resources(true).cpu().is_none());
        let cpu = resources(false).cpu().clone().unwrap();
        assert_eq!(cpu.shares(), Some(LOW_SHARES));
    }
}

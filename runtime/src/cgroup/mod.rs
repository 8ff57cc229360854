//! The container's control groups: which exist (`v1`, `v2`), what is written to them (`limits`,
//! `devices`, both pure), how (`apply`), what is done with the processes in them (`freezer`), and
//! what they have used (`stats`, `oom`). `systemd` has a host's systemd make them.

pub mod apply;
pub mod devices;
pub mod files;
pub mod freezer;
pub mod limits;
pub mod no_groups;
pub mod oom;
pub mod stats;
pub mod sub_groups;
pub mod systemd;
pub mod v1;
pub mod v2;

use crate::error::{Error, Result};
use clap::ValueEnum;
use oci_spec::runtime::{LinuxPids, LinuxResources};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use systemd::{Placeholder, Started};

/// Where the host mounts its control groups.
pub const MOUNT: &str = "/sys/fs/cgroup";

/// Who makes the control groups: `--cgroup-manager`, and `--systemd-cgroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// This runtime, in the cgroup file system
    #[default]
    Cgroupfs,
    /// systemd, as a scope per container
    Systemd,
    /// Nobody: containers stay in the caller's control groups; limits in config.json are refused
    Disabled,
}

/// A container's place in the control groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum Cgroup {
    /// One group per hierarchy, also where a v2 hierarchy is mounted beside them (hybrid).
    #[serde(rename = "1")]
    V1(v1::Group),
    /// The single hierarchy.
    #[serde(rename = "2")]
    V2(v2::Group),
}

/// What a container's groups are made for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who makes them.
    pub driver: Driver,
    /// The container's name.
    pub id: &'a str,
    /// `linux.cgroupsPath`.
    pub cgroups_path: Option<&'a Path>,
    /// `annotations`, some of which are for systemd.
    pub annotations: Option<&'a HashMap<String, String>>,
    /// `linux.resources`.
    pub resources: Option<&'a LinuxResources>,
    /// A group of its own in every hierarchy, also where nothing is limited: the container may
    /// write to its groups, and must not reach those of others.
    pub complete: bool,
}

impl Cgroup {
    /// Makes the groups with their limits. After an error nothing is left.
    ///
    /// systemd's groups come with a placeholder, to be sent away when the init is inside.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`]: a limit that this host cannot set;
    /// [`crate::error::Error::Os`]: a refused write, with its file and value.
    pub fn create(request: &Request) -> Result<(Self, Option<Placeholder>)> {
        if request.driver == Driver::Disabled {
            return Ok((no_groups::none(), None));
        }
        if request.driver != Driver::Systemd {
            let path = path_of(request.cgroups_path, request.id);
            return Ok((Self::create_at(request, &path)?, None));
        }
        let Started { scope, path, placeholder } = systemd::start(request)?;
        let made = Self::create_at(request, &path).and_then(|mut cgroup| {
            placeholder.make_room(&cgroup, pids_limit(request.resources))?;
            match &mut cgroup {
                Self::V1(group) => group.scope = Some(scope.clone()),
                Self::V2(group) => group.scope = Some(scope.clone()),
            }
            Ok(cgroup)
        });
        if made.is_err() {
            // The first error is the one to tell; empty, the scope ends by itself.
            drop(scope.stop());
        }
        Ok((made?, Some(placeholder)))
    }

    fn create_at(request: &Request, path: &Path) -> Result<Self> {
        if files::is_v2(Path::new(MOUNT)) {
            return v2::create(request, path).map(Self::V2);
        }
        v1::create(request, path).map(Self::V1)
    }

    /// The directories that hold this container's processes and nobody else's.
    pub fn own_directories(&self) -> Vec<&Path> {
        match self {
            Self::V1(group) => group.own().map(|hierarchy| hierarchy.path.as_path()).collect(),
            Self::V2(group) => vec![&group.directory],
        }
    }

    /// The PIDs in the container's groups, those of sub-groups included.
    ///
    /// # Errors
    /// [`crate::error::Error::Os`]: a directory that cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>> {
        match self.process_directory() {
            Some(directory) => files::processes(directory),
            None => Ok(Vec::new()),
        }
    }

    /// Puts process `pid` into the container's groups.
    ///
    /// # Errors
    /// [`crate::error::Error::Os`]: a group that refuses it.
    pub fn join(&self, pid: i32) -> Result<()> {
        match self {
            Self::V1(group) => group.join(pid),
            Self::V2(group) => group.join(pid),
        }
    }

    /// Changes the limits that `resources` sets; others and the device rules stay.
    ///
    /// # Errors
    /// As [`Cgroup::create`], and [`crate::error::Error::Usage`]: `checkBeforeUpdate` found more
    /// memory in use. Groups that were made for a new limit are in `self` even then.
    pub fn update(&mut self, resources: &LinuxResources) -> Result<()> {
        if self.own_directories().is_empty() {
            return Err(Error::Usage(
                "the container has no control groups of its own: it was created with \
                 --cgroup-manager disabled, or by a user who may not make any"
                    .to_owned(),
            ));
        }
        self.check_memory(resources)?;
        if let Some(scope) = self.scope() {
            scope.update(resources)?;
        }
        match self {
            Self::V1(group) => group.update(resources),
            Self::V2(group) => group.update(resources),
        }
    }

    fn check_memory(&self, resources: &LinuxResources) -> Result<()> {
        let memory = resources.memory().unwrap_or_default();
        let (Some(true), Some(limit @ 1..)) = (memory.check_before_update(), memory.limit()) else {
            return Ok(());
        };
        match self.directory("memory").and_then(apply::memory_use) {
            Some(bytes) if bytes > limit as u64 => Err(Error::Usage(format!(
                "memory limit {limit}: the container uses {bytes} bytes, and checkBeforeUpdate is \
                 set: nothing was changed"
            ))),
            _ => Ok(()),
        }
    }

    /// One own directory in which every process of the container is listed.
    pub fn process_directory(&self) -> Option<&Path> {
        match self {
            Self::V1(group) => group.own().next().map(|hierarchy| hierarchy.path.as_path()),
            Self::V2(group) => Some(&group.directory),
        }
    }

    /// Removes the groups; the processes in them must be gone or going.
    ///
    /// # Errors
    /// [`crate::error::Error::Os`]: a group that stays busy.
    pub fn remove(&self) -> Result<()> {
        let stopped = self.scope().map_or(Ok(()), systemd::Scope::stop);
        match self {
            Self::V1(group) => group.own().try_for_each(|hierarchy| {
                files::remove(&hierarchy.path, hierarchy.first_made.as_deref())
            })?,
            Self::V2(group) => files::remove(&group.directory, group.first_made.as_deref())?,
        }
        // Without its group a scope ends by itself, whatever became of the call.
        if self.own_directories().iter().any(|directory| directory.exists()) {
            stopped
        } else {
            Ok(())
        }
    }

    /// The container's own directory with the files of `controller`.
    pub fn directory(&self, controller: &str) -> Option<&Path> {
        match self {
            Self::V1(group) => {
                let place = group.directory(controller).filter(|place| place.own);
                place.map(|place| place.path.as_path())
            }
            Self::V2(group) => Some(&group.directory),
        }
    }

    /// systemd's scope, if it made the groups.
    pub fn scope(&self) -> Option<&systemd::Scope> {
        match self {
            Self::V1(group) => group.scope.as_ref(),
            Self::V2(group) => group.scope.as_ref(),
        }
    }
}

/// `linux.resources.pids.limit`.
pub fn pids_limit(resources: Option<&LinuxResources>) -> Option<i64> {
    resources.and_then(|resources| resources.pids().as_ref()).map(LinuxPids::limit)
}

/// `linux.cgroupsPath` as a path from the top of the hierarchies; unset: the container's name.
pub fn path_of(cgroups_path: Option<&Path>, id: &str) -> PathBuf {
    match cgroups_path {
        Some(path) if !path.as_os_str().is_empty() => crate::rootfs::mounts::clean(path),
        _ => Path::new("/").join(id),
    }
}

//! Everything the init needs, computed from config.json before anything is created. Pure, but
//! for the seccomp program, which libseccomp builds.

use super::identity::Tuning;
use crate::bundle::Bundle;
use crate::capabilities::{self, Sets};
use crate::cgroup::limits;
use crate::error::{Error, Result};
use crate::fds::Inherited;
use crate::id_maps::{self, Maps};
use crate::lsm::{self, Labels};
use crate::namespaces::{self, NEW_USER};
use crate::rlimits::{self, Rlimit};
use crate::rootfs::devices::{self, Node};
use crate::rootfs::id_mapped;
use crate::rootfs::mounts::{self, Kind, Step as Mount};
use crate::rootfs::pivot::{self, Way};
use crate::seccomp::Program;
use crate::seccomp_cache;
use crate::workload::{self, Handler, WasmOptions};
use crate::{intel_rdt, net_devices, sysctl, validate};
use nix::mount::MsFlags;
use oci_spec::runtime::{Hooks, Linux, Process, Spec};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The root file system and what is mounted in it.
#[derive(Debug)]
pub struct RootSetup {
    /// The directory on the host.
    pub path: PathBuf,
    /// `root.readonly`.
    pub read_only: bool,
    /// `linux.rootfsPropagation`.
    pub propagation: Option<(MsFlags, bool)>,
    /// `mounts`.
    pub mounts: Vec<Mount>,
    /// Device nodes; empty if the bundle brings its own /dev.
    pub nodes: Vec<Node>,
    /// `linux.maskedPaths`.
    pub masked: Vec<String>,
    /// `linux.readonlyPaths`.
    pub read_only_paths: Vec<String>,
    /// How it becomes the container's `/`.
    pub way: Way,
}

/// Who the process is and what it may do.
#[derive(Debug)]
pub struct Identity {
    /// User inside the container.
    pub uid: u32,
    /// Group inside the container.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// File mode creation mask.
    pub umask: u32,
    /// Capability sets.
    pub capabilities: Sets,
    /// No privileges by exec.
    pub no_new_privileges: bool,
    /// Resource limits.
    pub rlimits: Vec<Rlimit>,
    /// `process.oomScoreAdj`.
    pub oom_score_adj: Option<i32>,
    /// Security modules' profile and label.
    pub labels: Labels,
    /// Scheduling, memory policy, personality.
    pub tuning: Tuning,
    /// A seccomp filter.
    pub seccomp: Option<Program>,
    /// What is left out of the process's request, a sentence each.
    pub notes: Vec<String>,
}

/// What is run.
#[derive(Debug)]
pub struct Invocation {
    /// `process.args`.
    pub args: Vec<String>,
    /// `process.env` and what socket activation adds.
    pub env: Vec<String>,
    /// `process.cwd`.
    pub cwd: PathBuf,
    /// Which handler the annotations ask for.
    pub handler: Handler,
    /// What they grant a Wasm guest.
    pub wasm: WasmOptions,
    /// Where a Wasm guest gets a directory besides `/`.
    pub guest_directories: Vec<PathBuf>,
    /// `Some(size)`: with a terminal, of these rows and columns (0, 0: as it comes).
    pub terminal: Option<(u64, u64)>,
}

/// Options of the command line.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Below which compiled seccomp filters are kept, if they are: `--root`.
    pub filters: Option<PathBuf>,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// `--preserve-fds` and socket activation.
    pub inherited: Inherited,
}

/// Everything.
#[derive(Debug)]
pub struct Setup {
    /// The container's name.
    pub id: String,
    /// The root and its mounts.
    pub root: RootSetup,
    /// Namespaces.
    pub namespaces: namespaces::Namespaces,
    /// Maps of a new user namespace.
    pub maps: Maps,
    /// Lines for a new time namespace.
    pub time_offsets: String,
    /// Files of /proc/sys and their values.
    pub sysctl: Vec<(PathBuf, String)>,
    /// Devices of the host to move in.
    pub net_devices: Vec<net_devices::Device>,
    /// `linux.intelRdt`.
    pub intel_rdt: Option<intel_rdt::Class>,
    /// `hostname`.
    pub hostname: Option<String>,
    /// `domainname`.
    pub domainname: Option<String>,
    /// Who the process is.
    pub identity: Identity,
    /// What is run.
    pub program: Invocation,
    /// All hooks.
    pub hooks: Hooks,
    /// A session keyring of its own.
    pub keyring: bool,
    /// Inherited descriptors.
    pub inherited: Inherited,
    /// What is left out of config.json's request, a sentence each: the spec wants a warning.
    pub notes: Vec<String>,
}

impl Setup {
    /// Plans everything for the bundle.
    ///
    /// # Errors
    /// [`Error::Config`]: what config.json asks for cannot be.
    pub fn new(id: &str, bundle: &Bundle, options: &Options) -> Result<Self> {
        let spec = &bundle.spec;
        validate::check(spec)?;
        let linux = spec.linux().as_ref().ok_or_else(|| Error::config("linux", "is needed"))?;
        let nothing = nothing_to_run();
        let process = spec.process().as_ref().unwrap_or(&nothing);
        let namespaces =
            namespaces::Namespaces::new(linux.namespaces().as_deref().unwrap_or_default())?;
        for (field, text, flag) in [
            ("hostname", spec.hostname(), libc::CLONE_NEWUTS),
            ("domainname", spec.domainname(), libc::CLONE_NEWUTS),
        ] {
            if text.as_ref().is_some_and(|t| !t.is_empty()) && !namespaces.has(flag as u64) {
                return Err(Error::config(field, "needs a uts namespace"));
            }
        }
        let maps = id_maps::from_spec(linux, namespaces.new & NEW_USER != 0)?;
        let mut identity = identity(process, linux, options.filters.as_deref())?;
        let have = if namespaces.has(NEW_USER) { u64::MAX } else { capabilities::own()? };
        if !namespaces.has(NEW_USER) && !capabilities::may_administrate()? {
            let reason = "an ordinary user needs one of type user, and linux.uidMappings and \
                          linux.gidMappings for it";
            return Err(Error::config("linux.namespaces", reason));
        }
        let mut notes = std::mem::take(&mut identity.notes);
        if namespaces.shares_mounts() {
            notes.extend(among_hosts_mounts(linux, &mut identity)?);
        }
        let (granted, ungranted) = capabilities::granted(identity.capabilities, have);
        notes.extend(ungranted);
        let deprecated = linux.resources().iter().flat_map(limits::passed_over);
        notes.extend(deprecated.map(str::to_owned));
        identity.capabilities = granted;
        let mut root = root_plan(bundle, linux, options, identity.labels.mount.as_deref())?;
        if namespaces.shares_mounts() {
            root.way = Way::Chroot;
        }
        notes.extend(root.mounts.iter().flat_map(mounts::passed_over));
        id_mapped::check(&root.mounts, &maps, namespaces.joins(NEW_USER))?;
        Ok(Self {
            id: id.to_owned(),
            root,
            maps,
            time_offsets: id_maps::time_offsets(linux)?,
            net_devices: net_devices::from_spec(linux.net_devices().iter().flatten(), &namespaces)?,
            intel_rdt: linux
                .intel_rdt()
                .as_ref()
                .map(|it| intel_rdt::from_spec(it, id))
                .transpose()?,
            sysctl: sysctl::from_spec(linux.sysctl().iter().flatten(), &namespaces)?,
            hostname: spec.hostname().clone().filter(|name| !name.is_empty()),
            domainname: spec.domainname().clone().filter(|name| !name.is_empty()),
            identity,
            program: program(spec, process, &options.inherited)?,
            hooks: spec.hooks().clone().unwrap_or_default(),
            keyring: !options.no_new_keyring,
            inherited: options.inherited.clone(),
            notes,
            namespaces,
        })
    }

    /// Whether there are hooks between the gate and the exec, whose failure is that of `start`.
    pub fn start_hooks(&self) -> bool {
        self.hooks.start_container().as_ref().is_some_and(|list| !list.is_empty())
    }

    /// Whether the container may write to its groups through a mount.
    pub fn writes_cgroups(&self) -> bool {
        let cgroup = |mount: &&Mount| mount.kind == Kind::Cgroup;
        self.root.mounts.iter().filter(cgroup).any(|mount| !mount.options.read_only())
    }
}

/// What stands in for a `process` that is not set: `create` needs none, only `start` does.
///
/// Source: runtime-spec config.md "Process".
fn nothing_to_run() -> Process {
    let mut process = Process::default();
    process.set_args(Some(Vec::new())).set_env(None).set_cwd(PathBuf::from("/"));
    process.set_capabilities(None).set_rlimits(None).set_no_new_privileges(Some(true));
    process
}

/// What is different for a container without a mount namespace, a sentence each: only chroot keeps
/// it in its root, and whoever may call it again is out.
fn among_hosts_mounts(linux: &Linux, identity: &mut Identity) -> Result<Vec<String>> {
    if linux.rootfs_propagation().as_ref().is_some_and(|word| !word.is_empty()) {
        let reason = "needs a mount namespace: it would change the host's mounts";
        return Err(Error::config("linux.rootfsPropagation", reason));
    }
    let mut notes = vec![
        "linux.namespaces: without one of type mount chroot alone keeps the container in its root"
            .to_owned(),
    ];
    if identity.capabilities.take_out("CAP_SYS_CHROOT") {
        notes.push(
            "process.capabilities: CAP_SYS_CHROOT is left out: it leads out of a chroot".to_owned(),
        );
    }
    Ok(notes)
}

fn root_plan(
    bundle: &Bundle,
    linux: &Linux,
    options: &Options,
    label: Option<&str>,
) -> Result<RootSetup> {
    let spec = &bundle.spec;
    let mut mounts =
        mounts::from_spec(spec.mounts().as_deref().unwrap_or_default(), &bundle.directory)?;
    for mount in &mut mounts {
        if let (Some(label), Kind::New { fstype, .. }) = (label, &mount.kind) {
            mount.options.data.extend(lsm::mount_option(label, fstype));
        }
    }
    Ok(RootSetup {
        path: bundle.rootfs()?,
        read_only: spec.root().as_ref().and_then(oci_spec::runtime::Root::readonly) == Some(true),
        propagation: pivot::parse_propagation(linux.rootfs_propagation().as_deref())?,
        nodes: devices::from_spec(linux.devices().as_deref().unwrap_or_default(), &mounts)?,
        masked: linux.masked_paths().clone().unwrap_or_default(),
        read_only_paths: linux.readonly_paths().clone().unwrap_or_default(),
        way: if options.no_pivot { Way::Move } else { Way::Pivot },
        mounts,
    })
}

/// Who `process` is to be. Pure, but for the seccomp filter, which may be kept below `filters`.
///
/// # Errors
/// [`Error::Config`]: what cannot be.
pub fn identity(process: &Process, linux: &Linux, filters: Option<&Path>) -> Result<Identity> {
    let user = process.user();
    let umask = user.umask().unwrap_or(0o022);
    if umask > 0o777 {
        return Err(Error::config("process.user.umask", format!("{umask:o} is no file mode")));
    }
    let (labels, notes) = lsm::from_spec(
        process.apparmor_profile().as_ref(),
        process.selinux_label().as_ref(),
        linux.mount_label().as_ref(),
        lsm::Host::detect(),
    )?;
    Ok(Identity {
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        umask,
        capabilities: capabilities::from_spec(process.capabilities().as_ref()),
        no_new_privileges: process.no_new_privileges() == Some(true),
        rlimits: rlimits::from_spec(process.rlimits().as_deref().unwrap_or_default())?,
        oom_score_adj: process.oom_score_adj(),
        labels,
        notes,
        tuning: Tuning::new(process, linux)?,
        seccomp: linux
            .seccomp()
            .as_ref()
            .map(|profile| seccomp_cache::program(filters, profile))
            .transpose()?,
    })
}

/// What `process` is to run in the container of `spec`. Pure.
///
/// # Errors
/// [`Error::Config`]: an annotation that cannot be honoured.
pub fn program(spec: &Spec, process: &Process, inherited: &Inherited) -> Result<Invocation> {
    let none = HashMap::new();
    let annotations = spec.annotations().as_ref().unwrap_or(&none);
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(inherited.env.iter().cloned());
    let mounts = spec.mounts().iter().flatten();
    let destinations: Vec<PathBuf> = mounts.map(|mount| mount.destination().clone()).collect();
    let size = process.console_size().map_or((0, 0), |size| (size.height(), size.width()));
    Ok(Invocation {
        args: process.args().clone().unwrap_or_default(),
        env: with_last_values(env),
        cwd: process.cwd().clone(),
        handler: workload::handler(annotations)?,
        wasm: workload::options(annotations)?,
        guest_directories: mounts::guest_directories(&destinations),
        terminal: (process.terminal() == Some(true)).then_some(size),
    })
}

/// The variables, of several with one name the last: a program may take the first. Pure.
fn with_last_values(mut env: Vec<String>) -> Vec<String> {
    let mut names = HashSet::new();
    env.reverse();
    env.retain(|entry| names.insert(entry.split('=').next().unwrap_or_default().to_owned()));
    env.reverse();
    env
}

#[test]
fn of_equal_names_the_last_value_counts() {
    let env = ["A=1", "B=2", "A", "A=3=4", "AB="].map(str::to_owned).to_vec();
    assert_eq!(with_last_values(env), ["B=2", "A=3=4", "AB="]);
}

//! The child side: performs the steps of `steps.rs`, then becomes the container's program.

use super::channel::{Channel, FromInit, ToInit};
use super::confine::{self, Confined, missing};
use super::entrypoint;
use super::exec;
use super::identity;
use super::setup::Setup;
use super::steps::{self, InitStep as Step};
use crate::cgroup::Cgroup;
use crate::console::{self, Terminal};
use crate::error::{Act, Error, Result, chain};
use crate::namespaces::{self, NEW_PID, NEW_USER, Opened};
use crate::rootfs::in_root::Root;
use crate::rootfs::mounts::{Kind, clean};
use crate::rootfs::{apply, cgroup_view, devices, masked, pivot};
use crate::sys::{prctl, process};
use crate::{hooks, sysctl};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// What the init was given.
#[derive(Debug)]
pub struct Init<'a> {
    /// What it is to become.
    pub setup: &'a Setup,
    /// The container's groups.
    pub cgroup: &'a Cgroup,
    /// Its end of the channel.
    pub channel: Channel,
    /// Files of the groups to write 0 to.
    pub entrances: Vec<File>,
    /// Namespaces still to be joined.
    pub joins: Vec<Opened>,
    /// The mounts that the runtime made, at their places in the list.
    pub trees: Vec<Option<OwnedFd>>,
    /// The gate, open for reading.
    pub gate: OwnedFd,
    /// For a failure after the gate, if `start` is going to listen.
    pub report: Option<OwnedFd>,
    /// The engine's console socket.
    pub console: Option<OwnedFd>,
    /// Where the root is mounted if that is among the host's mounts.
    pub shared_root: Option<PathBuf>,
}

/// What the steps leave for each other.
#[derive(Debug, Default)]
struct Progress {
    root: Option<Root>,
    terminal: Option<Terminal>,
    hook_state: String,
    /// What is bind mounted, opened, at its places in the list of mounts.
    sources: Vec<Option<OwnedFd>>,
    /// Mounts that show the kernel are left out: the guest will see nothing of it.
    without_kernel: bool,
    confine: confine::Progress,
}

/// Exit status of an init that could not become its program, as runc has it.
pub const CANNOT_EXECUTE: i32 = 255;

impl Init<'_> {
    /// Performs all steps and the exec.
    pub fn run(mut self) -> ! {
        let mut progress = Progress::default();
        let mut reported = false;
        let failure = self.perform_all(&mut progress, &mut reported);
        let text = chain(&failure);
        // Before the gate somebody listens; after it `start` does where hooks may fail, and the
        // container's stderr is left.
        if let Some(report) = self.report.take().filter(|_| reported) {
            File::from(report).write_all(text.as_bytes()).ok();
        }
        if reported || self.channel.tell(&FromInit::Failed(text.clone())).is_err() {
            drop(writeln!(io::stderr(), "wamr-crun: error: {text}"));
        }
        process::exit_now(CANNOT_EXECUTE)
    }

    fn perform_all(&mut self, progress: &mut Progress, reported: &mut bool) -> Error {
        // Modes of what is made in the root are exact until the user's mask is set.
        umask(Mode::empty());
        for step in steps::of_init(self.setup) {
            if let Err(error) = self.perform(step, progress) {
                return error;
            }
            *reported |= step == Step::WaitAtGate;
        }
        match &progress.confine.ready {
            Some(ready) => exec::execute(ready),
            None => missing("entrypoint"),
        }
    }

    fn perform(&mut self, step: Step, progress: &mut Progress) -> Result<()> {
        let setup = self.setup;
        match step {
            Step::Confine(step) => self.confined().perform(step, &mut progress.confine),
            Step::JoinNamespaces => self.joins.iter().try_for_each(namespaces::join),
            Step::OpenSources => {
                progress.sources = setup.root.mounts.iter().map(apply::open_source).collect();
                Ok(())
            }
            Step::BecomeNamespaceRoot => self.become_namespace_root(),
            Step::NewSession => self.new_session(),
            Step::NewCgroupNamespace => {
                unshare(CloneFlags::CLONE_NEWCGROUP).act(|| "make a cgroup namespace".to_owned())
            }
            Step::SetNames => self.set_names(),
            Step::PrepareRoot => {
                progress.root = Some(self.prepare_root()?);
                Ok(())
            }
            Step::LeaveOutKernel
            | Step::Mount
            | Step::MountCgroups
            | Step::MountKernel
            | Step::MakeDevices
            | Step::MakeTerminal
            | Step::MakeCwd
            | Step::Mask
            | Step::MakePathsReadOnly
            | Step::FindEntrypoint
            | Step::FinishRoot
            | Step::EnterRoot => self.perform_in_root(step, progress),
            Step::RuntimeHooks => {
                self.channel.tell(&FromInit::RunHooks)?;
                let ToInit::Continue(state) = self.channel.wait()?;
                progress.hook_state = state;
                Ok(())
            }
            Step::ContainerHooks => {
                let list = setup.hooks.create_container().as_deref().unwrap_or_default();
                hooks::run("createContainer", list, &progress.hook_state)
            }
            Step::WriteSysctl => sysctl::apply(&setup.sysctl),
            Step::WaitAtGate => self.wait_at_gate(),
            Step::StartHooks => {
                let list = setup.hooks.start_container().as_deref().unwrap_or_default();
                let environment = &setup.program.env;
                hooks::run_with("startContainer", list, &progress.hook_state, environment)
            }
        }
    }

    fn confined(&self) -> Confined<'_> {
        let Setup { id, identity, program, inherited, .. } = self.setup;
        let (entrances, channel) = (self.entrances.as_slice(), &self.channel);
        Confined { id, identity, program, inherited, entrances, channel }
    }

    fn perform_in_root(&self, step: Step, progress: &mut Progress) -> Result<()> {
        let setup = &self.setup.root;
        let root = progress.root.as_ref().ok_or_else(|| missing("root"))?;
        match step {
            Step::LeaveOutKernel => {
                progress.without_kernel = entrypoint::is_wasm_in_image(root, &self.setup.program);
                Ok(())
            }
            Step::Mount => {
                let without_kernel = progress.without_kernel;
                let mut sources = progress.sources.drain(..);
                let mut mounts = setup.mounts.iter().zip(&self.trees);
                mounts.try_for_each(|(mount, tree)| {
                    let source = sources.next().flatten();
                    if mount.kind == Kind::Cgroup || (without_kernel && mount.shows_kernel()) {
                        return Ok(());
                    }
                    apply::apply(root, mount, tree.as_ref(), source.as_ref())
                })
            }
            Step::MountCgroups if progress.without_kernel => Ok(()),
            Step::MountCgroups => self.mount_cgroups(root),
            Step::MountKernel => match &progress.confine.entrypoint {
                Some(found) if progress.without_kernel && found.runner.is_none() => {
                    self.mount_kernel(root)
                }
                _ => Ok(()),
            },
            Step::MakeDevices => {
                devices::apply(root, &setup.nodes, self.setup.namespaces.has(NEW_USER))
            }
            Step::MakeTerminal => {
                let terminal = console::open(root)?;
                terminal.become_console(root)?;
                progress.terminal = Some(terminal);
                self.take_terminal(progress)
            }
            Step::MakeCwd => {
                let cwd = clean(&self.setup.program.cwd);
                root.make_directory(&cwd, 0o755)
                    .map(drop)
                    .act(|| format!("make process.cwd {}", cwd.display()))
            }
            Step::Mask => masked::mask(root, &setup.masked),
            Step::MakePathsReadOnly => masked::make_read_only(root, &setup.read_only_paths),
            Step::FindEntrypoint => {
                let (program, open) = (&self.setup.program, entrypoint::open_runner);
                let found = entrypoint::find(root, program, &self.channel, open);
                progress.confine.entrypoint = Some(found?);
                Ok(())
            }
            Step::FinishRoot => pivot::finish(root, setup.propagation, setup.read_only),
            _ => pivot::enter(root, setup.way),
        }
    }

    fn mount_cgroups(&self, root: &Root) -> Result<()> {
        let mut views = self.setup.root.mounts.iter().filter(|mount| mount.kind == Kind::Cgroup);
        views.try_for_each(|view| cgroup_view::apply(root, view, self.cgroup))
    }

    /// What was left out for a guest, and what covers parts of it.
    fn mount_kernel(&self, root: &Root) -> Result<()> {
        let setup = &self.setup.root;
        let kernel = setup.mounts.iter().filter(|mount| mount.shows_kernel());
        for mount in kernel.filter(|mount| mount.kind != Kind::Cgroup) {
            apply::apply(root, mount, None, None)?;
        }
        self.mount_cgroups(root)?;
        masked::mask(root, &setup.masked)?;
        masked::make_read_only(root, &setup.read_only_paths)
    }

    fn prepare_root(&self) -> Result<Root> {
        let root = &self.setup.root;
        match &self.shared_root {
            Some(place) => pivot::prepare_among_hosts(&root.path, place),
            None => pivot::prepare(&root.path, root.propagation),
        }
    }

    fn become_namespace_root(&self) -> Result<()> {
        if self.setup.namespaces.new & NEW_USER != 0 {
            self.channel.tell(&FromInit::NeedMaps)?;
            self.channel.wait()?;
        }
        identity::become_namespace_root()
    }

    fn new_session(&self) -> Result<()> {
        // Where other containers' processes can see this one, they must not be able to trace it
        // while it is still the runtime. A new user namespace has no such neighbours, and its
        // root needs access to its own /proc files.
        let namespaces = &self.setup.namespaces;
        if namespaces.new & NEW_PID == 0 && !namespaces.has(NEW_USER) {
            prctl::set_dumpable(false).act(|| "hide the init from other processes".to_owned())?;
        }
        nix::unistd::setsid().map(drop).act(|| "make a session".to_owned())
    }

    fn set_names(&self) -> Result<()> {
        if let Some(name) = &self.setup.hostname {
            nix::unistd::sethostname(name).act(|| format!("set hostname {name:?}"))?;
        }
        if let Some(name) = &self.setup.domainname {
            process::set_domain_name(name).act(|| format!("set domainname {name:?}"))?;
        }
        Ok(())
    }

    fn take_terminal(&self, progress: &mut Progress) -> Result<()> {
        let terminal = progress.terminal.take().ok_or_else(|| missing("terminal"))?;
        let socket = self.console.as_ref().ok_or_else(|| missing("console socket"))?;
        terminal.take(socket, self.setup.program.terminal, self.setup.identity.uid)
    }

    /// Waits until `start` writes to the FIFO. It was opened without waiting, so that no `start`
    /// can come too early.
    fn wait_at_gate(&self) -> Result<()> {
        self.channel.tell(&FromInit::Ready)?;
        // A runtime that dies before it has written all down leaves nobody to find this process.
        self.channel.wait()?;
        let mut polled = [PollFd::new(self.gate.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut polled, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => {}
                other => break other.map(drop).act(|| "wait for start".to_owned())?,
            }
        }
        // No copy of the descriptor: a limit of the container's may allow no further one.
        let count = nix::unistd::read(&self.gate, &mut [0]).act(|| "read the gate".to_owned())?;
        if count == 1 {
            return Ok(());
        }
        Err(Error::Init("the gate was closed without a start".to_owned()))
    }
}

/// The stage between the runtime and the init, for namespaces that only a child can be made in:
/// joins and makes what must come first, then says which clone flags are left for the init.
///
/// # Errors
/// [`Error::Os`] with the namespace.
pub fn stage(setup: &Setup, joins: &[Opened]) -> Result<u64> {
    let mut left = setup.namespaces.new;
    if left & namespaces::NEW_TIME != 0 {
        left &= !namespaces::NEW_TIME;
        unshare(CloneFlags::from_bits_retain(namespaces::NEW_TIME as i32))
            .act(|| "make a time namespace".to_owned())?;
        namespaces::write_time_offsets(&setup.time_offsets)?;
    }
    joins.iter().try_for_each(namespaces::join)?;
    // With a joined mount namespace the paths are that namespace's from here on.
    Ok(left & !namespaces::NEW_CGROUP)
}

/// Flags of the gate: no waiting for a writer.
pub const GATE_FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

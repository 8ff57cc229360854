//! From a bundle to an init that waits at its gate, for `create` and `run`; or to nothing at all.

use crate::bundle::{Bundle, for_exec};
use crate::cgroup::{self, Cgroup, Driver, Request, no_groups};
use crate::compilation::Terms;
use crate::compiled::Asked;
use crate::console::{self, Console};
use crate::container::{self, Container, Lock, REPORT, SETUP_GATE, Status};
use crate::error::{Act, Error, Result};
use crate::log::Log;
use crate::namespaces::NEW_USER;
use crate::pidfd_socket;
use crate::process::channel::{FromInit, ToInit};
use crate::process::identity;
use crate::process::init::GATE_FLAGS;
use crate::process::setup::{Options, Setup};
use crate::process::spawn::{self, Parts, Spawned};
use crate::rootfs::id_mapped;
use crate::sys::process::{pidfd_open, pidfd_send_signal};
use crate::{compiled, hooks, id_maps, intel_rdt, net_devices, notify, seccomp, state_file};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, mkfifo};
use oci_spec::runtime::{Hook, Spec};
use state_file::State;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What the command line says about a new container.
#[derive(Debug)]
pub struct NewContainer {
    /// Its name.
    pub id: String,
    /// `--bundle`.
    pub bundle: PathBuf,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<PathBuf>,
    /// Who gets the terminal's master.
    pub console: Option<Console>,
    /// Who makes its control groups.
    pub driver: Driver,
    /// `--rootless`: control groups that may not be made are done without.
    pub rootless: bool,
    /// The rest.
    pub options: Options,
}

/// A container that was created.
#[derive(Debug)]
pub struct Launched {
    /// Its directory.
    pub container: Container,
    /// Its state.
    pub state: State,
    /// No other verb changes it until this is dropped.
    pub lock: Lock,
    /// The master of its terminal, if this runtime gets it.
    pub terminal: Option<OwnedFd>,
}

/// Creates the container. After an error nothing of it is left.
///
/// # Errors
/// Those of every step; the init's arrive as [`Error::Init`] with their full text.
pub fn launch(root: &Path, mut request: NewContainer, log: &Log) -> Result<Launched> {
    let container = Container::new(root, &request.id)?;
    let mut bundle = Bundle::load(&request.bundle, request.config.as_deref())?;
    let notifies = notify::socket_of_host().is_some();
    if notifies {
        notify::amend(&mut bundle.spec, &container);
    }
    let setup = Setup::new(&request.id, &bundle, &request.options)?;
    for note in bundle.notes.iter().chain(&setup.notes) {
        log.note(&format!("config.json: {note}"));
    }
    if request.driver == Driver::Disabled {
        let linux = bundle.spec.linux().as_ref();
        let resources = linux.and_then(|linux| linux.resources().as_ref());
        no_groups::check_disabled(resources, &setup.namespaces)?;
    }
    console::check(setup.program.terminal.is_some(), request.console.as_ref())?;
    let lock = container.make()?;
    let mut attempt = Attempt { cgroup: None, pid: None, hooks_ran: None, resctrl: Vec::new() };
    let notify = if notifies { notify::make_directory(&container) } else { Ok(()) };
    let created = notify.and_then(|()| attempt.create(&container, &request, &bundle, &setup, log));
    let console = request.console.take().filter(|_| setup.program.terminal.is_some());
    match created.and_then(|state| Ok((state, console::receive(console)?))) {
        Ok((state, terminal)) => {
            log.debug(|| format!("created {} as process {}", container.id, state.pid));
            Ok(Launched { container, state, lock, terminal })
        }
        Err(error) => {
            attempt.undo(&container, &bundle.spec, log);
            Err(error)
        }
    }
}

/// What was made so far, to be undone on failure.
struct Attempt {
    cgroup: Option<Cgroup>,
    pid: Option<i32>,
    /// The state that hooks were given; then poststop hooks are due.
    hooks_ran: Option<State>,
    /// Groups of resctrl.
    resctrl: Vec<PathBuf>,
}

impl Attempt {
    fn create(
        &mut self,
        container: &Container,
        request: &NewContainer,
        bundle: &Bundle,
        setup: &Setup,
        log: &Log,
    ) -> Result<State> {
        let linux = bundle.spec.linux().as_ref();
        let cgroups_path = linux.and_then(|linux| linux.cgroups_path().as_deref());
        let resources = linux.and_then(|linux| linux.resources().as_ref());
        // systemd takes an empty scope away by itself.
        if request.driver == Driver::Cgroupfs {
            container.note_groups(&cgroup::path_of(cgroups_path, &container.id))?;
        }
        let created = Cgroup::create(&Request {
            driver: request.driver,
            id: &container.id,
            cgroups_path,
            annotations: bundle.spec.annotations().as_ref(),
            resources,
            complete: setup.writes_cgroups(),
        });
        let (created, placeholder) = match created {
            Ok((cgroup, placeholder)) => (Ok(cgroup), placeholder),
            Err(error) => (Err(error), None),
        };
        let (cgroup, note) = no_groups::unless_limited(created, resources, request.rootless)?;
        if let Some(note) = note {
            log.debug(|| note);
        }
        let cgroup = self.cgroup.insert(cgroup);
        let console = request.console.as_ref().map(Console::connect).transpose()?;
        let fifo = container.directory.join(SETUP_GATE);
        mkfifo(&fifo, Mode::from_bits_truncate(0o600))
            .act(|| format!("make the gate {}", fifo.display()))?;
        let gate = nix::fcntl::open(&fifo, GATE_FLAGS, Mode::empty())
            .act(|| format!("open the gate {}", fifo.display()))?;
        let joins = setup.namespaces.open()?;
        let resctrl = setup.intel_rdt.as_ref().map(|_| intel_rdt::find()).transpose()?;
        let trees = id_mapped::prepare(&setup.root.mounts, &setup.maps, &joins)?;
        let report = (setup.start_hooks()).then(|| report_gate(container)).transpose()?;
        let shared_root = shared_root(container, setup)?;
        let parts = Parts { setup, cgroup, joins, trees, gate, report, console, shared_root };
        let spawned = spawn::spawn(parts)?;
        self.pid = Some(spawned.pid);
        set_oom_score(setup, spawned.pid)?;
        let mut state = new_state(container, bundle, setup, cgroup.clone(), spawned.pid)?;
        state.cgroup_driver = request.driver;
        if let (Some(class), Some(top)) = (&setup.intel_rdt, &resctrl) {
            intel_rdt::set_up(class, top, spawned.pid, &mut self.resctrl)?;
        }
        state.resctrl.clone_from(&self.resctrl);
        // Written while the init works: whoever finds the container from now on can clean up.
        state.write(&container.directory)?;
        self.serve(&spawned, setup, &state, log)?;
        if let Some(placeholder) = placeholder {
            placeholder.leave(&state.cgroup, cgroup::pids_limit(resources))?;
        }
        tell_pid(request, spawned.pid)?;
        let ready = container.directory.join(container::GATE);
        fs::rename(&fifo, &ready).act(|| format!("open the gate {}", ready.display()))?;
        // From here on the container is found by its state. An init that has died by now is a
        // container that has stopped.
        drop(spawned.channel.answer(&ToInit::Continue(String::new())));
        Ok(state)
    }

    /// Answers the init until it is ready.
    fn serve(&mut self, init: &Spawned, setup: &Setup, state: &State, log: &Log) -> Result<()> {
        loop {
            match init.channel.hear()? {
                Some(FromInit::NeedMaps) => {
                    id_maps::write(&setup.maps, init.pid)?;
                    init.channel.answer(&ToInit::Continue(String::new()))?;
                }
                Some(FromInit::RunHooks) => {
                    net_devices::move_to(&setup.net_devices, init.pid)?;
                    self.hooks_ran = Some(state.clone());
                    let text = container::report_json(state, Status::Creating);
                    run_create_hooks(setup, state, &text)?;
                    // The container's own hooks run later, start hooks when it is created.
                    init.channel.answer(&ToInit::Continue(text))?;
                }
                Some(FromInit::Listener) => tell_agent(init, setup, state)?,
                Some(FromInit::Note(text)) => log.note(&text),
                Some(FromInit::Module(native)) => {
                    let (wasm, rlimits) = (&setup.program.wasm, &*setup.identity.rlimits);
                    let terms = Terms { driver: state.cgroup_driver, log };
                    compiled::answer(&init.channel, &native, Asked { wasm, rlimits, terms })?;
                }
                Some(FromInit::Ready) => return Ok(()),
                Some(FromInit::Failed(text)) => return Err(Error::Init(text)),
                Some(FromInit::Cloned(_)) => {}
                None => return Err(died(self.pid.take())),
            }
        }
    }

    /// Removes everything that was made; what cannot be removed is logged.
    fn undo(&mut self, container: &Container, spec: &Spec, log: &Log) {
        let mut problems = Vec::new();
        if let Some(pid) = self.pid.take() {
            problems.extend(kill_child(pid).err());
        }
        if let Some(state) = &self.hooks_ran {
            let list = spec.hooks().as_ref().and_then(|hooks| hooks.poststop().as_deref());
            let text = container::report_json(state, Status::Stopped);
            problems.extend(hooks::run_all("poststop", list.unwrap_or_default(), &text));
        }
        if let Some(cgroup) = &self.cgroup {
            problems.extend(cgroup.remove().err());
        }
        problems.extend(intel_rdt::remove(&self.resctrl).err());
        problems.extend(container.remove().err());
        for problem in problems {
            log.warning(&crate::error::chain(&problem));
        }
    }
}

/// Sets the OOM score of an init in a user namespace, where it may not do so itself.
fn set_oom_score(setup: &Setup, pid: i32) -> Result<()> {
    // The init waits for the maps of a new namespace; in one that is there the runtime is root.
    let score = setup.identity.oom_score_adj.filter(|_| setup.namespaces.has(NEW_USER));
    score.map_or(Ok(()), |score| identity::set_oom_score(pid, score))
}

/// Tells the PID to those who asked for it.
fn tell_pid(request: &NewContainer, pid: i32) -> Result<()> {
    if let Some(socket) = &request.pidfd_socket {
        pidfd_socket::send(socket, pid)?;
    }
    match &request.pid_file {
        Some(path) => state_file::replace(path, pid.to_string().as_bytes(), 0o644),
        None => Ok(()),
    }
}

/// The place for the root among the host's mounts, where the container has none of its own.
fn shared_root(container: &Container, setup: &Setup) -> Result<Option<PathBuf>> {
    setup.namespaces.shares_mounts().then(|| container.make_shared_root()).transpose()
}

/// Passes the listener of the init's filter on to the agent of config.json.
fn tell_agent(init: &Spawned, setup: &Setup, state: &State) -> Result<()> {
    let listener = init.channel.take_over()?;
    let program = setup.identity.seccomp.as_ref();
    let Some(agent) = program.and_then(|program| program.agent.as_ref()) else { return Ok(()) };
    let report = container::report(state, Status::Creating);
    seccomp::tell_agent(agent, &listener, init.pid, report)
}

/// What the init says of its failure after the gate; open for both, as nobody reads it yet.
fn report_gate(container: &Container) -> Result<OwnedFd> {
    let path = container.directory.join(REPORT);
    mkfifo(&path, Mode::from_bits_truncate(0o600))
        .act(|| format!("make the FIFO {}", path.display()))?;
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    nix::fcntl::open(&path, flags, Mode::empty())
        .act(|| format!("open the FIFO {}", path.display()))
}

/// `text`: the state for the hooks that the specification still has. The deprecated ones were
/// written for its version 1.0, in which they ran at the start of a created container.
///
/// Source: runtime-spec 1.0 config.md "Prestart" and runtime.md "Lifecycle".
fn run_create_hooks(setup: &Setup, state: &State, text: &str) -> Result<()> {
    #[allow(deprecated)] // prestart hooks are deprecated, but still to be run
    let prestart: &Option<Vec<Hook>> = setup.hooks.prestart();
    let created = container::report_json(state, Status::Created);
    hooks::run("prestart", prestart.as_deref().unwrap_or_default(), &created)?;
    let runtime = setup.hooks.create_runtime().as_deref().unwrap_or_default();
    hooks::run("createRuntime", runtime, text)
}

/// An init that closed its channel without a word: how it ended tells why.
fn died(pid: Option<i32>) -> Error {
    let status = pid.and_then(|pid| waitpid(Pid::from_raw(pid), None).ok());
    Error::Init(match status {
        Some(WaitStatus::Signaled(_, signal, _)) => format!(
            "was killed by {signal} during its setup; SIGKILL may mean that \
             linux.resources.memory.limit is too small, SIGSYS that linux.seccomp forbids a call \
             of the setup"
        ),
        other => format!("ended during its setup: {other:?}"),
    })
}

fn kill_child(pid: i32) -> Result<()> {
    let act = || format!("kill the init {pid}");
    let pidfd = pidfd_open(pid).act(act)?;
    pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL).act(act)?;
    waitpid(Pid::from_raw(pid), None).map(drop).act(act)
}

fn new_state(
    container: &Container,
    bundle: &Bundle,
    setup: &Setup,
    cgroup: Cgroup,
    pid: i32,
) -> Result<State> {
    let list = |hooks: &Option<Vec<Hook>>| hooks.clone().unwrap_or_default();
    let annotations = bundle.spec.annotations().iter().flatten();
    let linux = bundle.spec.linux().as_ref();
    Ok(State {
        schema: State::schema(),
        oci_version: bundle.spec.version().clone(),
        id: container.id.clone(),
        pid,
        start_ticks: container::start_ticks(pid)?,
        bundle: bundle.directory.clone(),
        rootfs: setup.root.path.clone(),
        created: jiff::Timestamp::now().to_string(),
        owner: owner(nix::unistd::geteuid().as_raw()),
        cgroup,
        cgroup_driver: Driver::default(),
        resources: linux.and_then(|linux| linux.resources().clone()).unwrap_or_default(),
        annotations: annotations.map(|(name, value)| (name.clone(), value.clone())).collect(),
        config: Box::new(for_exec(&bundle.spec)),
        no_new_keyring: !setup.keyring,
        resctrl: Vec::new(),
        poststart: list(setup.hooks.poststart()),
        poststop: list(setup.hooks.poststop()),
    })
}

/// The name of user `uid` on this host, or the number where it has none.
fn owner(uid: u32) -> String {
    if uid == 0 {
        return "root".to_owned();
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_user = |line: &&str| line.split(':').nth(2) == Some(&uid.to_string());
    let name = users.lines().find(is_user).and_then(|line| line.split(':').next());
    name.map_or_else(|| uid.to_string(), str::to_owned)
}

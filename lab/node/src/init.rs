//! PID 1 of a node.
//!
//! It sets up, starts what the lab asks for, reaps every orphan, tells the lab of daemons that
//! ended and restarts nothing by itself: a lab whose API server was restarted behind its back would
//! measure something else than it says. Whoever changed a daemon's configuration may ask for it:
//! see [`RESTART`].

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::time::{Duration, Instant, SystemTime};

use miette::{IntoDiagnostic, Result, WrapErr};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdout, sethostname};

use crate::cgroups::{self, Hierarchy};
use crate::daemon::Daemon;
use crate::error_chain::chain;
use crate::layout::{LOG_DIR, Layout, PATH};
use crate::wire::{Channel, Event, Received, Request, Spec};
use crate::{network, rootfs};

/// Names of daemons, one a line, that SIGHUP to PID 1 of the node has stopped and started again.
pub const RESTART: &str = "/run/wamr-lab/restart";

/// What PID 1 of a native node calls itself.
pub const INIT_COMM: &str = "wamr-node-init";

/// How long each daemon may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_millis(500);

/// Runs as PID 1 until told to stop, or until the lab's end of the socket closes.
pub(crate) fn run(spec: &Spec, hierarchies: &[Hierarchy], mut channel: Channel) -> ! {
    let outcome = set_up(spec, hierarchies)
        .and_then(|signals| Ok((signals, channel.send(&Event::Ready).into_diagnostic()?)));
    match outcome {
        Ok((signals, ())) => {
            let (running, known) = (Vec::new(), Vec::new());
            let channel = Some(channel);
            Init { signals, channel, running, known, ending: None, stay: false }.serve()
        }
        Err(error) => {
            let what = chain(&error);
            eprintln!("set up the node: {what}");
            // If the lab is gone too, nobody is left to be told.
            drop(channel.send(&Event::Failed { what }));
            exit(1)
        }
    }
}

fn set_up(spec: &Spec, hierarchies: &[Hierarchy]) -> Result<SignalFd> {
    prctl::set_name(c"wamr-node-init").into_diagnostic().wrap_err("prctl PR_SET_NAME")?;
    // The keeper has one thread, so its death is what this signal means.
    prctl::set_pdeathsig(Signal::SIGKILL).into_diagnostic().wrap_err("prctl PR_SET_PDEATHSIG")?;
    let layout = Layout::new(&spec.member.name);
    // First the group, then the cgroup namespace: it is rooted where the process is.
    cgroups::join(hierarchies, &layout.cgroup(), false)?;
    let own = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWCGROUP;
    unshare(own)
        .into_diagnostic()
        .wrap_err("unshare mount, network, UTS, IPC and cgroup namespaces")?;
    sethostname(&spec.member.name).into_diagnostic().wrap_err("sethostname")?;
    rootfs::enter(&layout, &spec.rootfs, hierarchies)?;
    cgroups::settle_inside(hierarchies)?;
    redirect_output()?;
    network::up(&spec.member, spec.prefix_length)?;
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().into_diagnostic().wrap_err("block signals")?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .into_diagnostic()
        .wrap_err("signalfd")
}

fn redirect_output() -> Result<()> {
    let path = format!("{LOG_DIR}/init.log");
    let log = File::create(&path).into_diagnostic().wrap_err_with(|| format!("create {path}"))?;
    dup2_stdout(&log).and_then(|()| dup2_stderr(&log)).into_diagnostic().wrap_err("dup2")
}

struct Init {
    signals: SignalFd,
    /// None after the lab's end closed.
    channel: Option<Channel>,
    /// Running daemons in the order of their start.
    running: Vec<(Pid, String)>,
    /// Every daemon that was asked for.
    known: Vec<Daemon>,
    /// The one that is being ended: its end is no news.
    ending: Option<Pid>,
    stay: bool,
}

impl Init {
    fn serve(mut self) -> ! {
        loop {
            self.wait_for_something();
            self.reap();
            if self.told_to_stop() {
                self.stop();
                exit(0)
            }
        }
    }

    fn wait_for_something(&self) {
        let mut watched = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(channel) = &self.channel {
            watched.push(PollFd::new(channel.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => eprintln!("poll: {errno}"),
        }
    }

    /// Handles what has come in; true if the node is to end.
    fn told_to_stop(&mut self) -> bool {
        let mut stop = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match Signal::try_from(signal.ssi_signo as i32) {
                Ok(Signal::SIGCHLD) => {}
                Ok(Signal::SIGHUP) => self.restart(),
                _ => stop = true,
            }
        }
        while let Some(channel) = &mut self.channel {
            match channel.receive(Duration::ZERO) {
                Ok(Received::Nothing) => break,
                Ok(Received::Message(Request::Start(daemon))) => {
                    self.start(&daemon);
                    self.known.push(daemon);
                }
                Ok(Received::Message(Request::Stay)) => self.stay = true,
                Ok(Received::Message(Request::Stop)) => return true,
                Ok(Received::Closed) => {
                    self.channel = None;
                    stop |= !self.stay;
                }
                Err(error) => {
                    eprintln!("read a request: {error}");
                    return true;
                }
            }
        }
        stop
    }

    fn start(&mut self, daemon: &Daemon) {
        let name = daemon.name.clone();
        let event = match spawn(daemon) {
            Ok(pid) => {
                self.running.push((Pid::from_raw(pid as i32), name.clone()));
                Event::Started { name, pid }
            }
            Err(error) => Event::Ended { name, how: chain(&error) },
        };
        self.tell(&event);
    }

    /// Stops and starts the daemons that [`RESTART`] names.
    fn restart(&mut self) {
        let names = fs::read_to_string(RESTART).unwrap_or_default();
        drop(fs::remove_file(RESTART));
        for name in names.lines() {
            let Some(daemon) = self.known.iter().find(|daemon| daemon.name == name).cloned() else {
                eprintln!("asked to restart {name}, which is no daemon of this node");
                continue;
            };
            let running = self.running.iter().find(|(_, running)| running == name);
            if let Some(pid) = running.map(|(pid, _)| *pid) {
                self.end(pid, name);
            }
            self.start(&daemon);
        }
    }

    fn tell(&mut self, event: &Event) {
        if let Some(channel) = &mut self.channel
            && let Err(error) = channel.send(event)
        {
            eprintln!("tell the lab {event:?}: {error}");
        }
    }

    fn reap(&mut self) {
        loop {
            let (pid, how) = match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, format!("exit status {code}")),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, format!("killed by {signal}")),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            if let Some(at) = self.running.iter().position(|(running, _)| *running == pid) {
                let (_, name) = self.running.remove(at);
                eprintln!("{name} (PID {pid}) ended: {how}");
                if self.ending != Some(pid) {
                    self.tell(&Event::Ended { name, how });
                }
            }
        }
    }

    /// Ends the daemons, the last started first. What then still runs ends with PID 1.
    fn stop(&mut self) {
        self.channel = None;
        while let Some((pid, name)) = self.running.last().cloned() {
            self.end(pid, &name);
        }
    }

    /// Ends a daemon, in order or by force; nobody is told.
    fn end(&mut self, pid: Pid, name: &str) {
        eprintln!("{:?} stopping {name} (PID {pid})", SystemTime::now());
        self.ending = Some(pid);
        let begun = Instant::now();
        let mut signal = Signal::SIGTERM;
        while self.running.iter().any(|(running, _)| *running == pid) {
            if kill(pid, signal).is_err() || begun.elapsed() > 2 * STOP_LIMIT {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            self.reap();
            if begun.elapsed() > STOP_LIMIT {
                signal = Signal::SIGKILL;
            }
        }
        self.running.retain(|(running, _)| *running != pid);
        self.ending = None;
    }
}

/// Starts a daemon with its log as standard output and error.
fn spawn(daemon: &Daemon) -> Result<u32> {
    let (program, arguments) =
        daemon.argv.split_first().ok_or_else(|| miette::miette!("no program is given"))?;
    let path = Path::new(LOG_DIR).join(format!("{}.log", daemon.name));
    let log = fs::OpenOptions::new().create(true).append(true).open(&path);
    let log = log.into_diagnostic().wrap_err_with(|| format!("open the log {}", path.display()))?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .envs(&daemon.env)
        .stdin(Stdio::null())
        .stdout(log.try_clone().into_diagnostic()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .into_diagnostic()
        .wrap_err_with(|| format!("start {program}: is it in the node image?"))?;
    Ok(child.id())
}

//! The child side of `exec`: performs the steps of `steps.rs`, then becomes the program.

use super::channel::{Channel, FromInit};
use super::confine::{self, Confined, missing};
use super::entrypoint;
use super::exec;
use super::identity;
use super::init::CANNOT_EXECUTE;
use super::join::Entry;
use super::steps::{self, ExecStep as Step};
use crate::error::{Act, Error, Result, chain};
use crate::namespaces;
use crate::rootfs::in_root::Root;
use crate::sys::prctl;
use crate::sys::process::{self, Cloned};
use crate::{console, scheduling};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

/// What the process was given.
#[derive(Debug)]
pub struct Joined<'a> {
    /// What it is to become.
    pub entry: &'a Entry,
    /// The container's first process.
    pub pidfd: &'a OwnedFd,
    /// Its end of the channel.
    pub channel: Channel,
    /// Files of the groups to write 0 to.
    pub entrances: Vec<File>,
    /// The socket for the terminal's master.
    pub console: Option<OwnedFd>,
}

/// What the steps leave for each other.
#[derive(Debug, Default)]
struct Progress {
    runner: Option<Result<OwnedFd>>,
    confine: confine::Progress,
}

impl Joined<'_> {
    /// Performs the steps outside, makes the process that is inside, and ends. That process, the
    /// runtime's child, performs the others and the exec.
    pub fn run(self) -> ! {
        let mut progress = Progress::default();
        let steps = steps::of_exec(self.entry);
        let joined = steps.iter().position(|step| *step == Step::JoinNamespaces);
        let (outside, inside) = steps.split_at(joined.map_or(0, |index| index + 1));
        let cloned = self.perform_all(outside, &mut progress).and_then(|()| {
            process::clone3(libc::CLONE_PARENT as u64, None).act(|| {
                "clone3: make a process in the container (ENOMEM: its first one has ended)"
                    .to_owned()
            })
        });
        let failure = match cloned {
            Ok(Cloned::Parent(pid)) => {
                // A runtime that is gone needs no answer; the process notices it by itself.
                drop(self.channel.tell(&FromInit::Cloned(pid)));
                process::exit_now(0)
            }
            Ok(Cloned::Child) => self.enter(inside, &mut progress),
            Err(error) => error,
        };
        let text = chain(&failure);
        if self.channel.tell(&FromInit::Failed(text.clone())).is_err() {
            drop(writeln!(io::stderr(), "wamr-crun: error: {text}"));
        }
        process::exit_now(CANNOT_EXECUTE)
    }

    fn enter(&self, inside: &[Step], progress: &mut Progress) -> Error {
        let entered = self.channel.wait().and_then(|_| self.perform_all(inside, progress));
        match (entered, &progress.confine.ready) {
            (Err(error), _) => error,
            (Ok(()), Some(ready)) => exec::execute(ready),
            (Ok(()), None) => missing("entrypoint"),
        }
    }

    fn perform_all(&self, steps: &[Step], progress: &mut Progress) -> Result<()> {
        steps.iter().try_for_each(|step| self.perform(*step, progress))
    }

    fn perform(&self, step: Step, progress: &mut Progress) -> Result<()> {
        let Entry { identity, program, .. } = self.entry;
        match step {
            Step::Confine(step) => self.confined().perform(step, &mut progress.confine),
            Step::SetAffinity => {
                let cpus = self.entry.affinity.last.as_ref();
                cpus.map_or(Ok(()), |cpus| scheduling::set_affinity(0, cpus))
            }
            Step::Hide => prctl::set_dumpable(false)
                .act(|| "hide the process from the container's others".to_owned()),
            Step::OpenRunner => {
                progress.runner = Some(entrypoint::open_runner());
                Ok(())
            }
            Step::JoinNamespaces => {
                namespaces::join_those_of(self.pidfd.as_fd(), self.entry.namespaces)
            }
            Step::BecomeNamespaceRoot => identity::become_namespace_root(),
            Step::NewSession => nix::unistd::setsid().map(drop).act(|| "make a session".to_owned()),
            Step::MakeTerminal => {
                let socket = self.console.as_ref().ok_or_else(|| missing("console socket"))?;
                console::open(&root()?)?.take(socket, program.terminal, identity.uid)
            }
            Step::FindEntrypoint => {
                let runner = progress.runner.take();
                let runner = || runner.unwrap_or_else(|| Err(missing("runner")));
                let found = entrypoint::find(&root()?, program, &self.channel, runner);
                progress.confine.entrypoint = Some(found?);
                Ok(())
            }
            Step::Report => {
                self.channel.tell(&FromInit::Ready)?;
                self.channel.wait().map(drop)
            }
        }
    }

    fn confined(&self) -> Confined<'_> {
        let Entry { id, identity, program, inherited, .. } = self.entry;
        let (entrances, channel) = (self.entrances.as_slice(), &self.channel);
        Confined { id, identity, program, inherited, entrances, channel }
    }
}

/// The container's root, which is this process's since it joined.
fn root() -> Result<Root> {
    let directory = File::open("/").act(|| "open the container's root".to_owned())?;
    Ok(Root::new(directory.into()))
}

//! The child side of `exec`: performs the steps of `join_steps.rs`, then becomes the program.

use super::channel::{Channel, FromInit};
use super::entrypoint::{self, Entrypoint};
use super::exec::{self, Ready};
use super::identity;
use super::init::CANNOT_EXECUTE;
use super::join::Entry;
use super::join_steps::{self, Step};
use crate::error::{Act, Error, Result, chain};
use crate::namespaces;
use crate::rootfs::in_root::Root;
use crate::sys::prctl;
use crate::sys::process::{self, Cloned};
use crate::{console, lsm, rlimits, scheduling};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

/// What the process was given.
#[derive(Debug)]
pub struct Joined<'a> {
    /// The plan.
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
    entrypoint: Option<Entrypoint>,
    entered_cwd: bool,
    ready: Option<Ready>,
}

impl Joined<'_> {
    /// Performs the steps outside, makes the process that is inside, and ends. That process, the
    /// runtime's child, performs the others and the exec.
    pub fn run(self) -> ! {
        let mut progress = Progress::default();
        let steps = join_steps::plan(self.entry);
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
            drop(writeln!(io::stderr(), "wamr-crun: {text}"));
        }
        process::exit_now(CANNOT_EXECUTE)
    }

    fn enter(&self, inside: &[Step], progress: &mut Progress) -> Error {
        let entered = self.channel.wait().and_then(|_| self.perform_all(inside, progress));
        match (entered, &progress.ready) {
            (Err(error), _) => error,
            (Ok(()), Some(ready)) => exec::execute(ready),
            (Ok(()), None) => missing("entrypoint"),
        }
    }

    fn perform_all(&self, steps: &[Step], progress: &mut Progress) -> Result<()> {
        steps.iter().try_for_each(|step| self.perform(*step, progress))
    }

    fn perform(&self, step: Step, progress: &mut Progress) -> Result<()> {
        let Entry { identity, program, inherited, .. } = self.entry;
        match step {
            Step::EnterCgroups => identity::enter_cgroups(&self.entrances),
            Step::SetAffinity => {
                let cpus = self.entry.affinity.last.as_ref();
                cpus.map_or(Ok(()), |cpus| scheduling::set_affinity(0, cpus))
            }
            Step::SetOomScore => identity.oom_score_adj.map_or(Ok(()), identity::set_oom_score),
            Step::ChooseProfile => lsm::choose(&identity.labels),
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
            Step::JoinKeyring => match identity::new_keyring(&self.entry.id)? {
                Some(warning) => self.channel.tell(&FromInit::Warning(warning)),
                None => Ok(()),
            },
            Step::NewSession => nix::unistd::setsid().map(drop).act(|| "make a session".to_owned()),
            Step::MakeTerminal => {
                let socket = self.console.as_ref().ok_or_else(|| missing("console socket"))?;
                console::open(&root()?)?.take(socket, program.terminal, identity.uid)
            }
            Step::FindEntrypoint => {
                let runner = progress.runner.take();
                let runner = || runner.unwrap_or_else(|| Err(missing("runner")));
                progress.entrypoint = Some(entrypoint::find(&root()?, program, runner)?);
                Ok(())
            }
            Step::Tune => identity.tuning.apply(),
            Step::SetLimits => rlimits::apply(&identity.rlimits),
            Step::FilterEarly | Step::FilterBeforeReport | Step::FilterLate => {
                identity::filter(identity, &self.channel)
            }
            Step::TryCwd => {
                progress.entered_cwd = identity::try_cwd(identity, &program.cwd)?;
                Ok(())
            }
            Step::DropPrivileges => identity::drop_privileges(identity),
            Step::EnterCwd => identity::enter_cwd(&program.cwd, progress.entered_cwd),
            Step::ForbidPrivileges => {
                prctl::set_no_new_privileges().act(|| "set process.noNewPrivileges".to_owned())
            }
            Step::OpenEntrypoint => {
                let found = progress.entrypoint.take().ok_or_else(|| missing("entrypoint"))?;
                progress.ready = Some(exec::prepare(identity.uid, program, found)?);
                Ok(())
            }
            Step::Report => {
                self.channel.tell(&FromInit::Ready)?;
                self.channel.wait().map(drop)
            }
            Step::MarkDescriptors => exec::mark_descriptors(inherited.count),
            Step::HandOver => exec::hand_over(progress.ready.as_ref()),
        }
    }
}

/// The container's root, which is this process's since it joined.
fn root() -> Result<Root> {
    let directory = File::open("/").act(|| "open the container's root".to_owned())?;
    Ok(Root::new(directory.into()))
}

fn missing(what: &str) -> Error {
    Error::Init(format!("the {what} was not prepared by an earlier step"))
}

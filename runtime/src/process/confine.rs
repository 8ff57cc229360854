//! Performs the steps that the init and a further process have alike.

use super::channel::{Channel, FromInit};
use super::entrypoint::Entrypoint;
use super::exec::{self, Ready};
use super::identity;
use super::setup::{Identity, Invocation};
use super::steps::Confine;
use crate::error::{Act, Error, Result};
use crate::fds::Inherited;
use crate::sys::prctl;
use crate::{lsm, rlimits};
use std::fs::File;

/// The process that performs them.
#[derive(Debug)]
pub struct Confined<'a> {
    /// The container's name.
    pub id: &'a str,
    /// Who the process is.
    pub identity: &'a Identity,
    /// What is run.
    pub program: &'a Invocation,
    /// Inherited descriptors.
    pub inherited: &'a Inherited,
    /// Files of the groups to write 0 to.
    pub entrances: &'a [File],
    /// Its end of the channel.
    pub channel: &'a Channel,
}

/// What the steps leave for each other.
#[derive(Debug, Default)]
pub struct Progress {
    /// What was found.
    pub entrypoint: Option<Entrypoint>,
    /// What is to be executed.
    pub ready: Option<Ready>,
    entered_cwd: bool,
}

impl Confined<'_> {
    /// Performs `step`.
    ///
    /// # Errors
    /// What the system refused.
    pub fn perform(&self, step: Confine, progress: &mut Progress) -> Result<()> {
        let Self { identity, program, .. } = *self;
        match step {
            Confine::EnterCgroups => identity::enter_cgroups(self.entrances),
            Confine::SetOomScore => identity
                .oom_score_adj
                .map_or(Ok(()), |score| identity::set_oom_score("self", score)),
            Confine::ChooseProfile => lsm::choose(&identity.labels),
            Confine::LeaveKeyring => match identity::new_keyring(self.id)? {
                Some(note) => self.channel.tell(&FromInit::Note(note)),
                None => Ok(()),
            },
            Confine::Tune => identity.tuning.apply(),
            Confine::SetLimits => rlimits::apply(&identity.rlimits),
            Confine::TryCwd => {
                progress.entered_cwd = identity::try_cwd(identity, &program.cwd)?;
                Ok(())
            }
            Confine::MarkDescriptors => exec::mark_descriptors(self.inherited.count),
            Confine::FilterEarly | Confine::FilterBeforeReport | Confine::FilterLate => {
                identity::filter(identity, self.channel)
            }
            Confine::DropPrivileges => identity::drop_privileges(identity),
            Confine::EnterCwd => identity::enter_cwd(&program.cwd, progress.entered_cwd),
            Confine::ForbidPrivileges => {
                prctl::set_no_new_privileges().act(|| "set process.noNewPrivileges".to_owned())
            }
            Confine::OpenEntrypoint => {
                let found = progress.entrypoint.take().ok_or_else(|| missing("entrypoint"))?;
                progress.ready = Some(exec::prepare(identity.uid, program, found)?);
                Ok(())
            }
            Confine::HandOver => exec::hand_over(progress.ready.as_ref()),
        }
    }
}

/// A step that was to prepare something for another has not.
pub fn missing(what: &str) -> Error {
    Error::Init(format!("the {what} was not prepared by an earlier step"))
}

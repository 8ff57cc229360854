//! What a further process of a container does before its exec, in which order, and why in that
//! order. Pure: `joined.rs` performs the steps. `steps.rs` is the same for the first process.

use super::identity::Tuning;
use super::join::Entry;
use crate::namespaces::NEW_USER;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Enters the control groups: whatever it takes from here on is charged to the container.
    EnterCgroups,
    /// Sets the CPUs of `execCPUAffinity.final`: within those of the group just entered.
    SetAffinity,
    /// Sets the OOM score, through the host's /proc: that of the container may lie.
    SetOomScore,
    /// Chooses the AppArmor profile and the SELinux label of the coming exec, through the host's
    /// /proc as well.
    ChooseProfile,
    /// Hides this process from those of the container, which will see it once it has joined: they
    /// must not trace it, or open its descriptors, while it is still the runtime
    /// (CVE-2016-9962).
    Hide,
    /// Opens the Wasm runner, in case it is needed: it is a file of the host.
    OpenRunner,
    /// Joins all namespaces of the container at once. In the same call a user namespace comes
    /// first, and the privilege to join the others is still judged by the host's. Only a child is
    /// in the PID namespace then: it performs the steps below, and until here nobody in the
    /// container could see anything.
    JoinNamespaces,
    /// Becomes user 0 of the user namespace.
    BecomeNamespaceRoot,
    /// Leaves the engine's keyring for the container's.
    JoinKeyring,
    /// A session of its own: no signal of the engine's terminal reaches the process.
    NewSession,
    /// A terminal from the container's /dev/pts.
    MakeTerminal,
    /// Looks the program up and decides native or Wasm: in the container, and by its own name.
    FindEntrypoint,
    /// Scheduling, memory policy and personality: privileged, and after the work of the setup.
    Tune,
    /// Resource limits: after the work that the limits are not meant for.
    SetLimits,
    /// Tries the working directory as root: before the drop, as a directory of the engine's may be
    /// closed to the user, and before any filter, which may forbid the check of where it led.
    TryCwd,
    /// Marks every descriptor close-on-exec, so that nothing of the host passes; what is opened
    /// later is marked from the start. Before any filter: one written before close_range(2) was
    /// known forbids it.
    MarkDescriptors,
    /// The filter, for a process that may still gain privileges: installing one then needs
    /// CAP_SYS_ADMIN, which the next step drops.
    FilterEarly,
    /// User, groups, capabilities. After it nothing needs privilege.
    DropPrivileges,
    /// Enters the working directory and checks that it is the container's: after the join, as
    /// before it every path is the host's.
    EnterCwd,
    /// No privileges by exec.
    ForbidPrivileges,
    /// Opens a Wasm module or checks that the program can be executed, as the user.
    OpenEntrypoint,
    /// The filter, for a process without privileges to gain whose calls an agent judges: the
    /// runtime, which passes the agent its listener, must still be there.
    FilterBeforeReport,
    /// Reports that all is ready, and waits until the runtime has noted the PID.
    Report,
    /// Gives signals the state a fresh process expects, and lets through the descriptors that
    /// the Wasm runner inherits.
    HandOver,
    /// The filter, for a process without privileges to gain: as late as can be.
    FilterLate,
}

/// The steps for `entry`, in their order; the exec follows.
pub fn plan(entry: &Entry) -> Vec<Step> {
    use Step::{
        BecomeNamespaceRoot, ChooseProfile, DropPrivileges, EnterCgroups, EnterCwd,
        FilterBeforeReport, FilterEarly, FilterLate, FindEntrypoint, ForbidPrivileges, HandOver,
        Hide, JoinKeyring, JoinNamespaces, MakeTerminal, MarkDescriptors, NewSession,
        OpenEntrypoint, OpenRunner, Report, SetAffinity, SetLimits, SetOomScore, TryCwd, Tune,
    };
    let identity = &entry.identity;
    let filter = identity.seccomp.is_some();
    let judged = identity.seccomp.as_ref().is_some_and(|program| program.agent.is_some());
    let privileges = !identity.no_new_privileges;
    let table = [
        (EnterCgroups, true),
        (SetAffinity, entry.affinity.last.is_some()),
        (SetOomScore, identity.oom_score_adj.is_some()),
        (ChooseProfile, identity.labels.profile.is_some() || identity.labels.process.is_some()),
        (Hide, true),
        (OpenRunner, true),
        (JoinNamespaces, true),
        (BecomeNamespaceRoot, entry.namespaces & NEW_USER != 0),
        (JoinKeyring, entry.keyring),
        (NewSession, true),
        (MakeTerminal, entry.program.terminal.is_some()),
        (FindEntrypoint, true),
        (Tune, identity.tuning != Tuning::default()),
        (SetLimits, !identity.rlimits.is_empty()),
        (TryCwd, true),
        (MarkDescriptors, true),
        (FilterEarly, filter && privileges),
        (DropPrivileges, true),
        (EnterCwd, true),
        (ForbidPrivileges, !privileges),
        (OpenEntrypoint, true),
        (FilterBeforeReport, judged && !privileges),
        (Report, true),
        (HandOver, true),
        (FilterLate, filter && !judged && !privileges),
    ];
    table.into_iter().filter(|(_, needed)| *needed).map(|(step, _)| step).collect()
}

//! What the processes of a container do before their exec, and why in that order: its first one,
//! the init ([`of_init`]), and a further one ([`of_exec`]). Pure: `init.rs` and `joined.rs` perform
//! the steps, `confine.rs` those that both have.

use super::identity::Tuning;
use super::join::Entry;
use super::setup::{Identity, Setup};
use crate::namespaces::{NEW_CGROUP, NEW_USER};
use crate::rootfs::mounts::{Kind, can_leave_out_kernel};
use crate::workload::Handler;

/// A step of both: it confines the process that performs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confine {
    /// Enters the control groups. First: all that the kernel allocates from here on, mounts
    /// included, is charged to the container, and a limit holds from the start.
    EnterCgroups,
    /// Sets the OOM score, through the host's /proc: the image may have none, or one that lies. For
    /// an init in a user namespace the runtime does so: the kernel asks for privilege on the host.
    SetOomScore,
    /// Chooses the AppArmor profile and the SELinux label of the coming exec, through the host's
    /// /proc as well.
    ChooseProfile,
    /// Leaves the engine's keyring, whose keys are not the container's: the init for a new one, a
    /// further process for that of the init.
    LeaveKeyring,
    /// Scheduling, memory policy and personality: privileged, and after the work of the setup,
    /// which shall neither wait on a low priority nor fork under SCHED_DEADLINE.
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
    /// CAP_SYS_ADMIN, which the next step drops. It must permit the calls of the steps below.
    FilterEarly,
    /// User, groups, capabilities. After it nothing needs privilege.
    DropPrivileges,
    /// Enters the working directory, as the user: it must not show what the user may not see. For
    /// a further process also after the join, as before it every path is the host's.
    EnterCwd,
    /// No privileges by exec.
    ForbidPrivileges,
    /// Opens a Wasm module or checks that the entrypoint can be executed, as the user: an error
    /// belongs to `create` or `exec`, not to a container that was reported as created.
    OpenEntrypoint,
    /// The filter, for a process without privileges to gain whose calls an agent judges: the
    /// runtime, which passes the agent its listener, is gone after the report.
    FilterBeforeReport,
    /// Gives signals the state a fresh process expects, and lets through the descriptors that
    /// the Wasm runner inherits.
    HandOver,
    /// The filter, for a process without privileges to gain: as late as can be, so that it
    /// needs to permit nothing but execve.
    FilterLate,
}

/// A step of the init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitStep {
    /// One of both.
    Confine(Confine),
    /// Joins the namespaces given by path. With the host's privileges and while the host's paths
    /// are still visible.
    JoinNamespaces,
    /// Opens what is bind mounted, as the user that the runtime is: the next step makes another of
    /// it, who may not reach what is open to the host's root alone. The paths only; they are
    /// mounted later, from this mount namespace, in which the host's mounts are locked.
    OpenSources,
    /// Becomes user 0 of the user namespace, once its maps are written. Files made before would
    /// belong to nobody.
    BecomeNamespaceRoot,
    /// A session of its own: no signal of the engine's terminal reaches the container, and a
    /// terminal of its own can become the controlling one.
    NewSession,
    /// Makes the cgroup namespace. After [`Confine::EnterCgroups`]: its root is the current group.
    NewCgroupNamespace,
    /// Host and domain name: before the hooks, which may want to see them.
    SetNames,
    /// Cuts the mounts off from the host and makes the root a mount.
    PrepareRoot,
    /// Looks whether the image's entrypoint is a module: its guest sees nothing of the kernel, so
    /// that /proc, /sys and their like, and what covers parts of them, need not be mounted. They
    /// are most of a container's mounts, and each new file system makes every control group larger.
    LeaveOutKernel,
    /// The mounts of config.json, in its order.
    Mount,
    /// The view of the container's groups among them: it needs the groups' paths on the host.
    MountCgroups,
    /// Devices and their links: after the mounts, one of which is normally /dev.
    MakeDevices,
    /// A terminal: from the /dev/pts just mounted.
    MakeTerminal,
    /// The working directory, where it is missing: the root is still writable.
    MakeCwd,
    /// The runtime's own hooks (prestart, createRuntime), in the runtime's namespaces. The spec
    /// wants them after the namespaces and before the pivot; the network may come from them.
    RuntimeHooks,
    /// createContainer hooks: in the container's namespaces, but with the host's paths.
    ContainerHooks,
    /// Settings of the namespaces: after the hooks that may have made the network interfaces,
    /// and before /proc/sys becomes read-only.
    WriteSysctl,
    /// Covers the masked paths: after everything that mounts, before anything of the image runs.
    Mask,
    /// Makes the read-only paths so.
    MakePathsReadOnly,
    /// Looks the entrypoint up and decides native or Wasm. Before the pivot: a Wasm container
    /// takes its runner from the host.
    FindEntrypoint,
    /// The mounts that were left out, if a mount has covered the module by a native program.
    MountKernel,
    /// Leaves the host's tree behind.
    EnterRoot,
    /// Makes the root read-only, as nothing writes to it any more, and gives it its propagation:
    /// pivot_root refuses a shared mount.
    FinishRoot,
    /// Reports that all is ready and waits for `start`.
    WaitAtGate,
    /// startContainer hooks: inside the container, after `start`.
    StartHooks,
}

/// A step of a further process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecStep {
    /// One of both.
    Confine(Confine),
    /// Sets the CPUs of `execCPUAffinity.final`: within those of the group just entered.
    SetAffinity,
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
    /// A session of its own: no signal of the engine's terminal reaches the process.
    NewSession,
    /// A terminal from the container's /dev/pts.
    MakeTerminal,
    /// Looks the program up and decides native or Wasm: in the container, and by its own name.
    FindEntrypoint,
    /// Reports that all is ready, and waits until the runtime has noted the PID.
    Report,
}

/// The steps of the init for `setup`, in their order; the exec follows.
pub fn of_init(setup: &Setup) -> Vec<InitStep> {
    use Confine::{ChooseProfile, EnterCgroups, LeaveKeyring, SetOomScore};
    use InitStep::{
        BecomeNamespaceRoot, Confine as Both, ContainerHooks, EnterRoot, FindEntrypoint,
        FinishRoot, JoinNamespaces, LeaveOutKernel, MakeCwd, MakeDevices, MakePathsReadOnly,
        MakeTerminal, Mask, Mount, MountCgroups, MountKernel, NewCgroupNamespace, NewSession,
        OpenSources, PrepareRoot, RuntimeHooks, SetNames, StartHooks, WaitAtGate, WriteSysctl,
    };
    let (identity, namespaces, hooks) = (&setup.identity, &setup.namespaces, &setup.hooks);
    let any = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
    #[allow(deprecated)] // prestart hooks are deprecated, but still to be run
    // The runtime moves network devices in at the same moment.
    let devices = !setup.net_devices.is_empty();
    let runtime_hooks = any(hooks.prestart()) || any(hooks.create_runtime());
    let container_hooks = any(hooks.create_container());
    let start_hooks = any(hooks.start_container());
    // Without, `start` refuses, and the init is only what holds the container.
    let runs = !setup.program.args.is_empty();
    // Hooks may look for the mounts.
    let hooked = runtime_hooks || container_hooks || start_hooks;
    let leaves_out = runs
        && !hooked
        && setup.program.handler != Handler::Native
        && !setup.program.wasm.kernel_mounts
        && can_leave_out_kernel(&setup.root.mounts);
    let prepare = [
        (Both(EnterCgroups), true),
        (Both(SetOomScore), identity.oom_score_adj.is_some() && !namespaces.has(NEW_USER)),
        (JoinNamespaces, !namespaces.join.is_empty()),
        (OpenSources, namespaces.has(NEW_USER)),
        (BecomeNamespaceRoot, namespaces.has(NEW_USER)),
        (Both(ChooseProfile), chooses_profile(identity)),
        (Both(LeaveKeyring), setup.keyring),
        (NewSession, true),
        (NewCgroupNamespace, namespaces.new & NEW_CGROUP != 0),
        (SetNames, setup.hostname.is_some() || setup.domainname.is_some()),
        (PrepareRoot, true),
        (LeaveOutKernel, leaves_out),
        (Mount, true),
        (MountCgroups, setup.root.mounts.iter().any(|mount| mount.kind == Kind::Cgroup)),
        (MakeDevices, !setup.root.nodes.is_empty()),
        (MakeTerminal, setup.program.terminal.is_some()),
        (MakeCwd, true),
        // One exchange serves both kinds: the init's own hooks need the state with its PID.
        (RuntimeHooks, devices || hooked),
        (ContainerHooks, container_hooks),
        (WriteSysctl, !setup.sysctl.is_empty()),
        (Mask, !setup.root.masked.is_empty()),
        (MakePathsReadOnly, !setup.root.read_only_paths.is_empty()),
        (FindEntrypoint, runs),
        (MountKernel, leaves_out),
        (EnterRoot, true),
        (FinishRoot, true),
    ];
    let wait = [(WaitAtGate, true), (StartHooks, start_hooks)];
    let both = |(step, needed)| (Both(step), needed);
    let confine = confinement(identity, runs).map(both);
    needed(prepare.into_iter().chain(confine).chain(wait).chain(end(identity).map(both)))
}

/// The steps of a further process for `entry`, in their order; the exec follows.
pub fn of_exec(entry: &Entry) -> Vec<ExecStep> {
    use Confine::{ChooseProfile, EnterCgroups, LeaveKeyring, SetOomScore};
    use ExecStep::{
        BecomeNamespaceRoot, Confine as Both, FindEntrypoint, Hide, JoinNamespaces, MakeTerminal,
        NewSession, OpenRunner, Report, SetAffinity,
    };
    let identity = &entry.identity;
    let prepare = [
        (Both(EnterCgroups), true),
        (SetAffinity, entry.affinity.last.is_some()),
        (Both(SetOomScore), identity.oom_score_adj.is_some()),
        (Both(ChooseProfile), chooses_profile(identity)),
        (Hide, true),
        (OpenRunner, true),
        (JoinNamespaces, true),
        (BecomeNamespaceRoot, entry.namespaces & NEW_USER != 0),
        (Both(LeaveKeyring), entry.keyring),
        (NewSession, true),
        (MakeTerminal, entry.program.terminal.is_some()),
        (FindEntrypoint, true),
    ];
    let both = |(step, needed)| (Both(step), needed);
    let confine = confinement(identity, true).map(both);
    needed(
        prepare.into_iter().chain(confine).chain([(Report, true)]).chain(end(identity).map(both)),
    )
}

fn chooses_profile(identity: &Identity) -> bool {
    identity.labels.profile.is_some() || identity.labels.process.is_some()
}

/// What follows when all is prepared, up to the report; `runs`: there is a program.
fn confinement(identity: &Identity, runs: bool) -> [(Confine, bool); 10] {
    use Confine::{
        DropPrivileges, EnterCwd, FilterBeforeReport, FilterEarly, ForbidPrivileges,
        MarkDescriptors, OpenEntrypoint, SetLimits, TryCwd, Tune,
    };
    let privileges = !identity.no_new_privileges;
    [
        (Tune, identity.tuning != Tuning::default()),
        (SetLimits, !identity.rlimits.is_empty()),
        (TryCwd, true),
        (MarkDescriptors, true),
        (FilterEarly, identity.seccomp.is_some() && privileges),
        (DropPrivileges, true),
        (EnterCwd, true),
        (ForbidPrivileges, !privileges),
        (OpenEntrypoint, runs),
        (FilterBeforeReport, is_judged(identity) && !privileges),
    ]
}

/// What follows the report.
fn end(identity: &Identity) -> [(Confine, bool); 2] {
    let late = identity.seccomp.is_some() && !is_judged(identity) && identity.no_new_privileges;
    [(Confine::HandOver, true), (Confine::FilterLate, late)]
}

/// Whether an agent judges calls of the process.
fn is_judged(identity: &Identity) -> bool {
    identity.seccomp.as_ref().is_some_and(|program| program.agent.is_some())
}

fn needed<T>(steps: impl Iterator<Item = (T, bool)>) -> Vec<T> {
    steps.filter(|(_, needed)| *needed).map(|(step, _)| step).collect()
}

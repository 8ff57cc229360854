//! What the init does, in which order, and why in that order. Pure: `init.rs` performs the steps.

use super::identity::Tuning;
use super::setup::Setup;
use crate::namespaces::{NEW_CGROUP, NEW_USER};
use crate::rootfs::mounts::Kind;

/// One step of the init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Enters the control groups. First: all that the kernel allocates from here on, mounts
    /// included, is charged to the container, and a limit holds from the start.
    EnterCgroups,
    /// Joins the namespaces given by path. With the host's privileges and while the host's paths
    /// are still visible.
    JoinNamespaces,
    /// Becomes user 0 of the user namespace, once its maps are written. Files made before would
    /// belong to nobody.
    BecomeNamespaceRoot,
    /// Sets the OOM score, through the host's /proc: the image may have none.
    SetOomScore,
    /// Chooses the AppArmor profile and the SELinux label of the coming exec, through the host's
    /// /proc as well.
    ChooseProfile,
    /// Leaves the engine's keyring: its keys are not the container's.
    NewKeyring,
    /// A session of its own: no signal of the engine's terminal reaches the container, and a
    /// terminal of its own can become the controlling one.
    NewSession,
    /// Makes the cgroup namespace. After [`Step::EnterCgroups`]: its root is the current group.
    NewCgroupNamespace,
    /// Host and domain name: before the hooks, which may want to see them.
    SetNames,
    /// Cuts the mounts off from the host and makes the root a mount.
    PrepareRoot,
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
    /// Leaves the host's tree behind.
    EnterRoot,
    /// Makes the root read-only, as nothing writes to it any more, and gives it its propagation:
    /// pivot_root refuses a shared mount.
    FinishRoot,
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
    /// Enters the working directory, as the user: it must not show what the user may not see.
    EnterCwd,
    /// No privileges by exec.
    ForbidPrivileges,
    /// Opens a Wasm module or checks that the entrypoint can be executed, as the user: an error
    /// belongs to `create`, not to a container that was reported as created.
    OpenEntrypoint,
    /// The filter, for a process without privileges to gain whose calls an agent judges: the
    /// runtime, which passes the agent its listener, is gone after the gate.
    FilterBeforeGate,
    /// Reports that all is ready and waits for `start`.
    WaitAtGate,
    /// startContainer hooks: inside the container, after `start`.
    StartHooks,
    /// Gives signals the state a fresh process expects, and lets through the descriptors that
    /// the Wasm runner inherits.
    HandOver,
    /// The filter, for a process without privileges to gain: as late as can be, so that it
    /// needs to permit nothing but execve.
    FilterLate,
}

/// The steps of `setup`, in their order; the exec follows.
pub fn plan(setup: &Setup) -> Vec<Step> {
    use Step::{
        BecomeNamespaceRoot, ChooseProfile, ContainerHooks, DropPrivileges, EnterCgroups, EnterCwd,
        EnterRoot, FilterBeforeGate, FilterEarly, FilterLate, FindEntrypoint, FinishRoot,
        ForbidPrivileges, HandOver, JoinNamespaces, MakeCwd, MakeDevices, MakePathsReadOnly,
        MakeTerminal, MarkDescriptors, Mask, Mount, MountCgroups, NewCgroupNamespace, NewKeyring,
        NewSession, OpenEntrypoint, PrepareRoot, RuntimeHooks, SetLimits, SetNames, SetOomScore,
        StartHooks, TryCwd, Tune, WaitAtGate, WriteSysctl,
    };
    let (identity, namespaces, hooks) = (&setup.identity, &setup.namespaces, &setup.hooks);
    let any = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
    #[allow(deprecated)] // prestart hooks are deprecated, but still to be run
    // The runtime moves network devices in at the same moment.
    let devices = !setup.net_devices.is_empty();
    let runtime_hooks = any(hooks.prestart()) || any(hooks.create_runtime());
    let container_hooks = any(hooks.create_container());
    let start_hooks = any(hooks.start_container());
    let filter = identity.seccomp.is_some();
    let judged = identity.seccomp.as_ref().is_some_and(|program| program.agent.is_some());
    let privileges = !identity.no_new_privileges;
    // Without, `start` refuses, and the init is only what holds the container.
    let runs = !setup.program.args.is_empty();
    let table = [
        (EnterCgroups, true),
        (JoinNamespaces, !namespaces.join.is_empty()),
        (BecomeNamespaceRoot, namespaces.has(NEW_USER)),
        (SetOomScore, identity.oom_score_adj.is_some()),
        (ChooseProfile, identity.labels.profile.is_some() || identity.labels.process.is_some()),
        (NewKeyring, setup.keyring),
        (NewSession, true),
        (NewCgroupNamespace, namespaces.new & NEW_CGROUP != 0),
        (SetNames, setup.hostname.is_some() || setup.domainname.is_some()),
        (PrepareRoot, true),
        (Mount, true),
        (MountCgroups, setup.root.mounts.iter().any(|mount| mount.kind == Kind::Cgroup)),
        (MakeDevices, !setup.root.nodes.is_empty()),
        (MakeTerminal, setup.program.terminal.is_some()),
        (MakeCwd, true),
        // One exchange serves both kinds: the init's own hooks need the state with its PID.
        (RuntimeHooks, devices || runtime_hooks || container_hooks || start_hooks),
        (ContainerHooks, container_hooks),
        (WriteSysctl, !setup.sysctl.is_empty()),
        (Mask, !setup.root.masked.is_empty()),
        (MakePathsReadOnly, !setup.root.read_only_paths.is_empty()),
        (FindEntrypoint, runs),
        (EnterRoot, true),
        (FinishRoot, true),
        (Tune, identity.tuning != Tuning::default()),
        (SetLimits, !identity.rlimits.is_empty()),
        (TryCwd, true),
        (MarkDescriptors, true),
        (FilterEarly, filter && privileges),
        (DropPrivileges, true),
        (EnterCwd, true),
        (ForbidPrivileges, !privileges),
        (OpenEntrypoint, runs),
        (FilterBeforeGate, judged && !privileges),
        (WaitAtGate, true),
        (StartHooks, start_hooks),
        (HandOver, true),
        (FilterLate, filter && !judged && !privileges),
    ];
    table.into_iter().filter(|(_, needed)| *needed).map(|(step, _)| step).collect()
}

//! `linux.seccomp` as a BPF program. The program is built before anything is created, so that a
//! mistake in the profile costs nothing; the init only installs it.
//!
//! Source: runtime-spec config-linux.md "Seccomp"; seccomp(2).

use crate::container::Report;
use crate::error::{Act, Error, Result};
use crate::sys::prctl;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext};
use libseccomp::{ScmpSyscall, error::SeccompError};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator as Operator, LinuxSyscall,
};
use serde::Serialize;
use std::fs::File;
use std::io::{IoSlice, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// A filter, ready to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The kernel's instructions, 8 bytes each.
    pub instructions: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
    /// Who judges the calls that the filter does not decide itself.
    pub agent: Option<Agent>,
}

/// The receiver of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `listenerPath`: its Unix socket.
    pub socket: PathBuf,
    /// `listenerMetadata`: text for it.
    pub metadata: String,
}

/// The actions of config.json, for `features`.
pub const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// The operators of config.json, for `features`.
pub const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// The flags of config.json and their bits.
pub const FLAGS: [(&str, u64); 4] = [
    ("SECCOMP_FILTER_FLAG_LOG", libc::SECCOMP_FILTER_FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_TSYNC", libc::SECCOMP_FILTER_FLAG_TSYNC),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", WAIT_KILLABLE_RECV),
];

const ARCHITECTURES: [Arch; 24] = [
    Arch::ScmpArchAarch64,
    Arch::ScmpArchArm,
    Arch::ScmpArchLoongarch64,
    Arch::ScmpArchM68k,
    Arch::ScmpArchMips,
    Arch::ScmpArchMips64,
    Arch::ScmpArchMips64n32,
    Arch::ScmpArchMipsel,
    Arch::ScmpArchMipsel64,
    Arch::ScmpArchMipsel64n32,
    Arch::ScmpArchNative,
    Arch::ScmpArchParisc,
    Arch::ScmpArchParisc64,
    Arch::ScmpArchPpc,
    Arch::ScmpArchPpc64,
    Arch::ScmpArchPpc64le,
    Arch::ScmpArchRiscv64,
    Arch::ScmpArchS390,
    Arch::ScmpArchS390x,
    Arch::ScmpArchSh,
    Arch::ScmpArchSheb,
    Arch::ScmpArchX32,
    Arch::ScmpArchX86,
    Arch::ScmpArchX86_64,
];

/// The architectures whose calls the linked library can filter beside the native ones: it takes
/// only those of the same byte order into one filter.
pub fn architectures() -> Vec<Arch> {
    let known = |arch: &&Arch| {
        let context = ScmpFilterContext::new(ScmpAction::Allow);
        context.is_ok_and(|mut context| context.add_arch(architecture(**arch)).is_ok())
    };
    ARCHITECTURES.iter().filter(known).copied().collect()
}

/// The flags that this kernel takes.
pub fn supported_flags() -> Vec<&'static str> {
    let taken = |(_, bit): &&(&str, u64)| prctl::takes_seccomp_flag(*bit as u32);
    FLAGS.iter().filter(taken).map(|(name, _)| *name).collect()
}

/// The version of the linked libseccomp; empty if it does not tell.
pub fn library_version() -> String {
    libseccomp::ScmpVersion::current().map_or_else(|_| String::new(), |it| it.to_string())
}

/// The call with which the init hands the listener over: the agent cannot judge it yet.
const HAND_OVER: &str = "sendmsg";

fn refuse(field: &str, reason: impl Into<String>) -> Error {
    Error::config(format!("linux.seccomp.{field}"), reason)
}

/// Builds the program of `profile`.
///
/// # Errors
/// [`Error::Config`]: an action, an architecture, a flag or an argument that cannot be honoured.
pub fn build(profile: &LinuxSeccomp) -> Result<Program> {
    // What is cheap to refuse comes first.
    around(profile, Vec::new())?;
    around(profile, instructions(profile)?)
}

/// The program of `profile` around instructions that were built from it.
///
/// # Errors
/// [`Error::Config`]: a flag or an agent that cannot be honoured.
pub fn around(profile: &LinuxSeccomp, instructions: Vec<u8>) -> Result<Program> {
    let agent = agent(profile)?;
    Ok(Program { instructions, flags: flags(profile, agent.is_some())?, agent })
}

fn instructions(profile: &LinuxSeccomp) -> Result<Vec<u8>> {
    let broken = |error: SeccompError| refuse("defaultAction", error.to_string());
    let default = action(profile.default_action(), profile.default_errno_ret(), "defaultAction")?;
    let mut context = ScmpFilterContext::new(default).map_err(broken)?;
    context.set_ctl_nnp(false).map_err(broken)?;
    for name in profile.architectures().iter().flatten() {
        let arch = architecture(*name);
        context
            .add_arch(arch)
            .map_err(|error| refuse("architectures", format!("{name:?}: {error}")))?;
    }
    for (index, rule) in profile.syscalls().iter().flatten().enumerate() {
        let field = format!("syscalls[{index}]");
        let action = action(rule.action(), rule.errno_ret(), &field)?;
        // A rule that repeats the default changes nothing, and libseccomp refuses it.
        if action != default {
            add(&mut context, rule, action, &field)?;
        }
    }
    export(&context)
}

fn flags(profile: &LinuxSeccomp, notifies: bool) -> Result<u32> {
    let wanted = profile.flags().iter().flatten();
    let mut flags = wanted.fold(0, |flags, flag| flags | bit(*flag));
    if flags & WAIT_KILLABLE_RECV != 0 && !notifies {
        let reason = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY";
        return Err(refuse("flags", reason));
    }
    if notifies && flags & libc::SECCOMP_FILTER_FLAG_TSYNC != 0 {
        // Else the kernel could not tell a thread's number from the listener's.
        flags |= libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    }
    Ok(flags as u32)
}

/// The agent, if the profile has calls for it to judge.
fn agent(profile: &LinuxSeccomp) -> Result<Option<Agent>> {
    if profile.default_action() == Action::ScmpActNotify {
        let reason = "SCMP_ACT_NOTIFY: nobody could judge the calls of the hand-over to the agent";
        return Err(refuse("defaultAction", reason));
    }
    if profile.listener_path().is_none() && profile.listener_metadata().is_some() {
        return Err(refuse("listenerMetadata", "needs a listenerPath"));
    }
    let rules = profile.syscalls().iter().flatten().enumerate();
    let mut notifies = false;
    for (index, rule) in rules.filter(|(_, rule)| rule.action() == Action::ScmpActNotify) {
        notifies = true;
        if rule.names().iter().any(|name| name == HAND_OVER) {
            let reason = format!("SCMP_ACT_NOTIFY: {HAND_OVER} hands over to the agent itself");
            return Err(refuse(&format!("syscalls[{index}]"), reason));
        }
    }
    match profile.listener_path() {
        _ if !notifies => Ok(None),
        None => Err(refuse("listenerPath", "is needed for SCMP_ACT_NOTIFY")),
        Some(path) if !path.is_absolute() => Err(refuse("listenerPath", "must be absolute")),
        Some(path) => Ok(Some(Agent {
            socket: path.clone(),
            metadata: profile.listener_metadata().clone().unwrap_or_default(),
        })),
    }
}

fn add(
    context: &mut ScmpFilterContext,
    rule: &LinuxSyscall,
    action: ScmpAction,
    field: &str,
) -> Result<()> {
    let arguments = rule.args().as_deref().unwrap_or_default();
    let repeated = arguments.iter().enumerate().any(|(index, argument)| {
        arguments[..index].iter().any(|other| other.index() == argument.index())
    });
    for name in rule.names() {
        // A name of another architecture or of a later kernel cannot be called here: nothing to
        // filter, as runc and crun see it too.
        let Ok(call) = ScmpSyscall::from_name(name) else { continue };
        let broken = |error: SeccompError| refuse(field, format!("{name}: {error}"));
        // All conditions of a rule must hold, but libseccomp takes one per argument: repeated
        // ones become alternatives, as in runc.
        if repeated {
            for argument in arguments {
                let condition = compare(argument, field)?;
                context.add_rule_conditional(action, call, &[condition]).map_err(broken)?;
            }
            continue;
        }
        let conditions: Result<Vec<_>> =
            arguments.iter().map(|argument| compare(argument, field)).collect();
        context.add_rule_conditional(action, call, &conditions?).map_err(broken)?;
    }
    Ok(())
}

fn compare(argument: &LinuxSeccompArg, field: &str) -> Result<ScmpArgCompare> {
    let index = u32::try_from(argument.index()).ok().filter(|index| *index < 6);
    let index = index.ok_or_else(|| refuse(field, "a system call has arguments 0 to 5"))?;
    let value = argument.value();
    let (operator, value) = match argument.op() {
        Operator::ScmpCmpNe => (ScmpCompareOp::NotEqual, value),
        Operator::ScmpCmpLt => (ScmpCompareOp::Less, value),
        Operator::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, value),
        Operator::ScmpCmpEq => (ScmpCompareOp::Equal, value),
        Operator::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, value),
        Operator::ScmpCmpGt => (ScmpCompareOp::Greater, value),
        // The spec names the mask first and the compared value second.
        Operator::ScmpCmpMaskedEq => {
            (ScmpCompareOp::MaskedEqual(value), argument.value_two().unwrap_or_default())
        }
    };
    Ok(ScmpArgCompare::new(index, operator, value))
}

fn action(action: Action, errno: Option<u32>, field: &str) -> Result<ScmpAction> {
    let limit = match action {
        Action::ScmpActErrno => MAX_ERRNO,
        Action::ScmpActTrace => u32::from(u16::MAX),
        // The spec wants a failure where the action has no use for it.
        _ if errno.is_some() => {
            return Err(refuse(field, format!("{action} takes no errnoRet")));
        }
        _ => 0,
    };
    let number = errno.unwrap_or(libc::EPERM as u32);
    if errno.is_some_and(|number| number > limit) {
        return Err(refuse(field, format!("errnoRet = {number} is above {limit}")));
    }
    Ok(match action {
        Action::ScmpActKill | Action::ScmpActKillThread => ScmpAction::KillThread,
        Action::ScmpActKillProcess => ScmpAction::KillProcess,
        Action::ScmpActTrap => ScmpAction::Trap,
        Action::ScmpActErrno => ScmpAction::Errno(number as i32),
        Action::ScmpActTrace => ScmpAction::Trace(number as u16),
        Action::ScmpActLog => ScmpAction::Log,
        Action::ScmpActAllow => ScmpAction::Allow,
        Action::ScmpActNotify => ScmpAction::Notify,
    })
}

fn architecture(arch: Arch) -> ScmpArch {
    match arch {
        Arch::ScmpArchNative => ScmpArch::Native,
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchMips => ScmpArch::Mips,
        Arch::ScmpArchMips64 => ScmpArch::Mips64,
        Arch::ScmpArchMips64n32 => ScmpArch::Mips64N32,
        Arch::ScmpArchMipsel => ScmpArch::Mipsel,
        Arch::ScmpArchMipsel64 => ScmpArch::Mipsel64,
        Arch::ScmpArchMipsel64n32 => ScmpArch::Mipsel64N32,
        Arch::ScmpArchPpc => ScmpArch::Ppc,
        Arch::ScmpArchPpc64 => ScmpArch::Ppc64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchS390 => ScmpArch::S390,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchParisc => ScmpArch::Parisc,
        Arch::ScmpArchParisc64 => ScmpArch::Parisc64,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        Arch::ScmpArchLoongarch64 => ScmpArch::Loongarch64,
        Arch::ScmpArchM68k => ScmpArch::M68k,
        Arch::ScmpArchSh => ScmpArch::Sh,
        Arch::ScmpArchSheb => ScmpArch::Sheb,
    }
}

const WAIT_KILLABLE_RECV: u64 = 1 << 5;
/// The highest number that the kernel takes for an error.
const MAX_ERRNO: u32 = 4095;

fn bit(flag: LinuxSeccompFilterFlag) -> u64 {
    match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => libc::SECCOMP_FILTER_FLAG_TSYNC,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => WAIT_KILLABLE_RECV,
    }
}

fn export(context: &ScmpFilterContext) -> Result<Vec<u8>> {
    let memory = memfd_create(c"seccomp", MFdFlags::MFD_CLOEXEC)
        .act(|| "memfd_create for the seccomp program".to_owned())?;
    context
        .export_bpf(&memory)
        .map_err(|error| refuse("syscalls", format!("build the program: {error}")))?;
    let mut file = File::from(memory);
    let mut instructions = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut instructions))
        .act(|| "read the seccomp program".to_owned())?;
    Ok(instructions)
}

/// Installs `program` for this process; with an agent, returns the listener for it.
///
/// # Errors
/// [`Error::Os`].
pub fn install(program: &Program) -> Result<Option<OwnedFd>> {
    let Program { instructions, flags, agent } = program;
    let installed = match agent {
        None => prctl::install_seccomp(instructions, *flags).map(|()| None),
        Some(_) => prctl::install_seccomp_with_listener(instructions, *flags).map(Some),
    };
    installed.act(|| format!("install the seccomp filter (flags {flags:#x})"))
}

/// What the agent is told beside the listener.
///
/// Source: runtime-spec config-linux.md "The Container Process State".
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    metadata: &'a str,
    state: Report<'a>,
}

/// Sends the `listener` of process `pid` to `agent`, with the state of its container.
///
/// # Errors
/// [`Error::Os`] with the socket.
pub fn tell_agent(agent: &Agent, listener: &OwnedFd, pid: i32, state: Report) -> Result<()> {
    let (oci_version, metadata) = (state.oci_version, agent.metadata.as_str());
    let state = ProcessState { oci_version, fds: ["seccompFd"], pid, metadata, state };
    let act = || format!("send to linux.seccomp.listenerPath {}", agent.socket.display());
    let text = serde_json::to_vec(&state).map_err(std::io::Error::from).act(act)?;
    let socket = UnixStream::connect(&agent.socket).act(act)?;
    let raw = [listener.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&raw)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    let sent =
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&text)], &rights, flags, None).act(act)?;
    // A long text may go in parts; the descriptor went with the first.
    (&socket).write_all(&text[sent..]).act(act)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build_json(json: &str) -> Result<Program> {
        build(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_profile_becomes_instructions() {
        let program = build_json(
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [
                  {"names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
                  {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [
                    {"index": 0, "value": 8, "op": "SCMP_CMP_NE"},
                    {"index": 0, "value": 9, "op": "SCMP_CMP_NE"}]},
                  {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#,
        )
        .unwrap();
        assert!(program.instructions.len() > 8 * 8);
        assert_eq!(program.instructions.len() % 8, 0);
        assert_eq!(program.flags, 2);
    }

    #[test]
    fn an_agent_judges_some_calls() {
        let program = build_json(
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent",
                "listenerMetadata": "m",
                "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}"#,
        );
        let program = program.unwrap();
        let agent = Agent { socket: "/run/agent".into(), metadata: "m".into() };
        assert_eq!(program.agent, Some(agent));
        assert_eq!(program.flags, 1 | 1 << 4 | 1 << 5);
        // Without a call to judge there is nobody to tell.
        let json = r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}"#;
        assert_eq!(build_json(json).unwrap().agent, None);
    }

    #[test]
    fn refusals_name_the_field() {
        for (json, want) in [
            (r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#, "linux.seccomp.defaultAction"),
            (r#"{"defaultAction": "SCMP_ACT_LOG", "listenerMetadata": "x"}"#, "listenerMetadata"),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"],
                    "action": "SCMP_ACT_NOTIFY"}]}"#,
                "linux.seccomp.listenerPath: is needed",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/s", "syscalls": [
                    {"names": ["read", "sendmsg"], "action": "SCMP_ACT_NOTIFY"}]}"#,
                "syscalls[0]: SCMP_ACT_NOTIFY: sendmsg",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}"#,
                "defaultAction: SCMP_ACT_ALLOW takes no errnoRet",
            ),
            (r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#, "above 4095"),
            (
                r#"{"defaultAction": "SCMP_ACT_LOG",
                    "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
                "linux.seccomp.flags: ",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": ["read"],
                    "action": "SCMP_ACT_ERRNO",
                    "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}"#,
                "syscalls[0]: a system call has arguments 0 to 5",
            ),
        ] {
            let error = build_json(json).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}

//! `linux.seccomp` as a BPF program. The program is built before anything is created, so that a
//! mistake in the profile costs nothing; the init only installs it.
//!
//! Source: runtime-spec config-linux.md "Seccomp"; seccomp(2).

use crate::error::{Act, Error, Result};
use crate::sys::prctl;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext};
use libseccomp::{ScmpSyscall, error::SeccompError};
use nix::sys::memfd::{MFdFlags, memfd_create};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator as Operator, LinuxSyscall,
};
use std::fs::File;
use std::io::{Read, Seek};

/// A filter, ready to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The kernel's instructions, 8 bytes each.
    pub instructions: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
}

fn refuse(field: &str, reason: impl Into<String>) -> Error {
    Error::config(format!("linux.seccomp.{field}"), reason)
}

/// Builds the program of `profile`.
///
/// # Errors
/// [`Error::Config`]: an action, an architecture, a flag or an argument that cannot be honoured.
pub fn build(profile: &LinuxSeccomp) -> Result<Program> {
    if profile.listener_path().is_some() || profile.listener_metadata().is_some() {
        return Err(refuse("listenerPath", "user-space notification is not supported"));
    }
    let broken = |error: SeccompError| refuse("defaultAction", error.to_string());
    let default = action(profile.default_action(), profile.default_errno_ret(), "defaultAction")?;
    let mut context = ScmpFilterContext::new(default).map_err(broken)?;
    context.set_ctl_nnp(false).map_err(broken)?;
    for name in profile.architectures().iter().flatten() {
        let arch = architecture(*name)?;
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
    let flags = profile.flags().iter().flatten().fold(0, |flags, flag| flags | bit(*flag));
    Ok(Program { instructions: export(&context)?, flags: flags as u32 })
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
    let number = errno.unwrap_or(libc::EPERM as u32);
    Ok(match action {
        Action::ScmpActKill | Action::ScmpActKillThread => ScmpAction::KillThread,
        Action::ScmpActKillProcess => ScmpAction::KillProcess,
        Action::ScmpActTrap => ScmpAction::Trap,
        Action::ScmpActErrno => ScmpAction::Errno(number as i32),
        Action::ScmpActTrace => ScmpAction::Trace(number as u16),
        Action::ScmpActLog => ScmpAction::Log,
        Action::ScmpActAllow => ScmpAction::Allow,
        Action::ScmpActNotify => {
            return Err(refuse(field, "SCMP_ACT_NOTIFY: notification is not supported"));
        }
    })
}

fn architecture(arch: Arch) -> Result<ScmpArch> {
    Ok(match arch {
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
        other => return Err(refuse("architectures", format!("{other:?} is not supported"))),
    })
}

fn bit(flag: LinuxSeccompFilterFlag) -> u64 {
    match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => libc::SECCOMP_FILTER_FLAG_TSYNC,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 1 << 5,
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

/// Installs `program` for this process.
///
/// # Errors
/// [`Error::Os`].
pub fn install(program: &Program) -> Result<()> {
    prctl::install_seccomp(&program.instructions, program.flags)
        .act(|| "install the seccomp filter".to_owned())
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
    fn refusals_name_the_field() {
        for (json, want) in [
            (r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#, "linux.seccomp.defaultAction"),
            (r#"{"defaultAction": "SCMP_ACT_LOG", "listenerPath": "/x"}"#, "listenerPath"),
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

//! The five capability sets: config.json's names as bit masks (pure), and their application.
//!
//! Source: capabilities(7).

use crate::error::{Act, Result};
use crate::sys::prctl;
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities};

/// Bit n is capability n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// What an exec may ever gain.
    pub bounding: u64,
    /// What is in force.
    pub effective: u64,
    /// What an exec of a file with capabilities inherits.
    pub inheritable: u64,
    /// What may be put in force.
    pub permitted: u64,
    /// What an ordinary exec keeps.
    pub ambient: u64,
}

/// The sets of config.json; without `process.capabilities` the process has none. Pure.
pub fn plan(capabilities: Option<&LinuxCapabilities>) -> Sets {
    let Some(capabilities) = capabilities else { return Sets::default() };
    let mask = |set: &Option<Capabilities>| {
        set.iter().flatten().fold(0, |mask, capability| mask | 1 << number(*capability))
    };
    Sets {
        bounding: mask(capabilities.bounding()),
        effective: mask(capabilities.effective()),
        inheritable: mask(capabilities.inheritable()),
        permitted: mask(capabilities.permitted()),
        ambient: mask(capabilities.ambient()),
    }
}

/// Takes everything outside `sets.bounding` out of the bounding set. Before the change of user:
/// it needs CAP_SETPCAP.
///
/// # Errors
/// [`crate::error::Error::Os`] with the capability's number.
pub fn limit_bounding_set(sets: &Sets) -> Result<()> {
    for capability in (0..64).filter(|capability| sets.bounding >> capability & 1 == 0) {
        match prctl::in_bounding_set(capability) {
            None => break, // beyond what this kernel knows
            Some(false) => {}
            Some(true) => prctl::drop_from_bounding_set(capability)
                .act(|| format!("drop capability {capability} from the bounding set"))?,
        }
    }
    Ok(())
}

/// Puts the other four sets in force. After the change of user.
///
/// # Errors
/// [`crate::error::Error::Os`]: a set holds what this process does not have.
pub fn apply(sets: &Sets) -> Result<()> {
    prctl::set_capabilities(sets.effective, sets.permitted, sets.inheritable).act(|| {
        format!(
            "set the capabilities (effective {:#x}, permitted {:#x}, inheritable {:#x}): \
             process.capabilities may name only what the runtime has itself",
            sets.effective, sets.permitted, sets.inheritable
        )
    })?;
    prctl::clear_ambient().act(|| "clear the ambient capabilities".to_owned())?;
    for capability in (0..64).filter(|capability| sets.ambient >> capability & 1 == 1) {
        prctl::raise_ambient(capability)
            .act(|| format!("raise the ambient capability {capability}"))?;
    }
    Ok(())
}

fn number(capability: Capability) -> u32 {
    match capability {
        Capability::Chown => 0,
        Capability::DacOverride => 1,
        Capability::DacReadSearch => 2,
        Capability::Fowner => 3,
        Capability::Fsetid => 4,
        Capability::Kill => 5,
        Capability::Setgid => 6,
        Capability::Setuid => 7,
        Capability::Setpcap => 8,
        Capability::LinuxImmutable => 9,
        Capability::NetBindService => 10,
        Capability::NetBroadcast => 11,
        Capability::NetAdmin => 12,
        Capability::NetRaw => 13,
        Capability::IpcLock => 14,
        Capability::IpcOwner => 15,
        Capability::SysModule => 16,
        Capability::SysRawio => 17,
        Capability::SysChroot => 18,
        Capability::SysPtrace => 19,
        Capability::SysPacct => 20,
        Capability::SysAdmin => 21,
        Capability::SysBoot => 22,
        Capability::SysNice => 23,
        Capability::SysResource => 24,
        Capability::SysTime => 25,
        Capability::SysTtyConfig => 26,
        Capability::Mknod => 27,
        Capability::Lease => 28,
        Capability::AuditWrite => 29,
        Capability::AuditControl => 30,
        Capability::Setfcap => 31,
        Capability::MacOverride => 32,
        Capability::MacAdmin => 33,
        Capability::Syslog => 34,
        Capability::WakeAlarm => 35,
        Capability::BlockSuspend => 36,
        Capability::AuditRead => 37,
        Capability::Perfmon => 38,
        Capability::Bpf => 39,
        Capability::CheckpointRestore => 40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_bits() {
        let json = r#"{"bounding": ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"], "effective": [],
                       "permitted": ["CAP_CHECKPOINT_RESTORE"]}"#;
        let sets = plan(Some(&serde_json::from_str(json).unwrap()));
        assert_eq!((sets.bounding, sets.effective), (1 | 1 << 10, 0));
        assert_eq!((sets.permitted, sets.ambient), (1 << 40, 0));
        assert_eq!(plan(None), Sets::default());
    }
}

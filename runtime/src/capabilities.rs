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

impl Sets {
    /// Takes the capability `name` out of every set; says whether it was in one. Pure.
    pub fn take_out(&mut self, name: &str) -> bool {
        let before = *self;
        let place = NAMES.iter().position(|other| *other == name);
        let others = !place.map_or(0, |bit| 1 << bit);
        for set in [
            &mut self.bounding,
            &mut self.effective,
            &mut self.inheritable,
            &mut self.permitted,
            &mut self.ambient,
        ] {
            *set &= others;
        }
        *self != before
    }
}

/// The names, by the kernel's numbers.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The sets of config.json; without `process.capabilities` the process has none. Pure.
pub fn from_spec(capabilities: Option<&LinuxCapabilities>) -> Sets {
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

/// Leaves out of `wanted` what the runtime cannot give, with a note each. `have`: what it has, or
/// all where the process gets a user namespace, in which it has everything. Pure.
///
/// The spec wants a warning for it, not a failure.
pub fn granted(wanted: Sets, have: u64) -> (Sets, Vec<String>) {
    let permitted = wanted.permitted & have;
    let inheritable = wanted.inheritable & have;
    let sets = Sets {
        bounding: wanted.bounding & have,
        effective: wanted.effective & permitted,
        inheritable,
        permitted,
        ambient: wanted.ambient & permitted & inheritable,
    };
    let all = wanted.bounding | wanted.permitted | wanted.effective | wanted.inheritable;
    let rows = [
        ("", (all | wanted.ambient) & !have, "the runtime does not have it itself"),
        (".effective", wanted.effective & have & !permitted, "it is not in permitted"),
        (
            ".ambient",
            wanted.ambient & have & !sets.ambient,
            "it is not in both permitted and inheritable",
        ),
    ];
    let mut notes = Vec::new();
    for (set, left_out, reason) in rows {
        for name in names(left_out) {
            notes.push(format!("process.capabilities{set}: {name} is left out: {reason}"));
        }
    }
    (sets, notes)
}

/// The names of the capabilities in `mask`.
pub fn names(mask: u64) -> impl Iterator<Item = &'static str> {
    NAMES.iter().enumerate().filter(move |(bit, _)| mask >> bit & 1 == 1).map(|(_, name)| *name)
}

/// What this process can give to a container: permitted to it, and in its bounding set.
///
/// # Errors
/// [`crate::error::Error::Os`].
pub fn own() -> Result<u64> {
    let permitted = prctl::permitted_capabilities().act(|| "read own capabilities".to_owned())?;
    let bounding = |bit: &u32| prctl::in_bounding_set(*bit) == Some(true);
    let bounding = (0..64).filter(bounding).fold(0_u64, |mask, bit| mask | 1 << bit);
    Ok(permitted & bounding)
}

/// Whether this process has CAP_SYS_ADMIN: without it a user namespace must come before all else.
///
/// # Errors
/// [`crate::error::Error::Os`].
pub fn may_administrate() -> Result<bool> {
    const SYS_ADMIN: u64 = 1 << 21;
    Ok(own()? & SYS_ADMIN != 0)
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
    fn names_are_in_the_kernels_order() {
        for (bit, name) in NAMES.iter().enumerate() {
            let known: Capability = serde_json::from_value((*name).into()).unwrap();
            assert_eq!(number(known) as usize, bit, "{name}");
        }
    }

    #[test]
    fn what_the_runtime_lacks_is_left_out_with_a_note() {
        let all = Sets { bounding: 7, effective: 7, inheritable: 3, permitted: 7, ambient: 7 };
        let (got, notes) = granted(all, 0b101);
        let want = Sets { bounding: 5, effective: 5, inheritable: 1, permitted: 5, ambient: 1 };
        assert_eq!(got, want);
        let want = [
            "process.capabilities: CAP_DAC_OVERRIDE is left out: the runtime does not have it \
             itself",
            "process.capabilities.ambient: CAP_DAC_READ_SEARCH is left out: it is not in both \
             permitted and inheritable",
        ];
        assert_eq!(notes, want);
        assert_eq!(granted(all, u64::MAX).1.len(), 1, "ambient but not inheritable");
    }

    #[test]
    fn names_become_bits() {
        let json = r#"{"bounding": ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"], "effective": [],
                       "permitted": ["CAP_CHECKPOINT_RESTORE"]}"#;
        let sets = from_spec(Some(&serde_json::from_str(json).unwrap()));
        assert_eq!((sets.bounding, sets.effective), (1 | 1 << 10, 0));
        assert_eq!((sets.permitted, sets.ambient), (1 << 40, 0));
        assert_eq!(from_spec(None), Sets::default());
    }
}

//! `process.rlimits`: names as kernel numbers (pure), and their application.
//!
//! Source: getrlimit(2).

use crate::error::{Act, Error, Result};
use crate::sys::process::set_rlimit;
use oci_spec::runtime::{PosixRlimit, PosixRlimitType as Kind};

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// The kernel's number of the resource.
    pub resource: u32,
    /// The limit in force.
    pub soft: u64,
    /// Up to where the process may raise it.
    pub hard: u64,
}

/// The limits of config.json, checked. Pure.
///
/// # Errors
/// [`Error::Config`]: a resource twice, or soft above hard.
pub fn from_spec(list: &[PosixRlimit]) -> Result<Vec<Rlimit>> {
    let mut limits: Vec<Rlimit> = Vec::with_capacity(list.len());
    for entry in list {
        let resource = number(entry.typ());
        let refuse = |reason: &str| {
            let field = format!("process.rlimits ({})", entry.typ());
            Err(Error::config(field, reason))
        };
        if limits.iter().any(|limit| limit.resource == resource) {
            return refuse("listed twice");
        }
        if entry.soft() > entry.hard() {
            return refuse("soft is above hard");
        }
        limits.push(Rlimit { resource, soft: entry.soft(), hard: entry.hard() });
    }
    Ok(limits)
}

/// Puts `limits` in force for this process.
///
/// # Errors
/// [`Error::Os`]; it says what the runtime would need to raise a hard limit.
pub fn apply(limits: &[Rlimit]) -> Result<()> {
    for limit in limits {
        set_rlimit(limit.resource, limit.soft, limit.hard).act(|| {
            format!(
                "set resource limit {} to {} (hard {}): above the runtime's own hard limit this \
                 needs CAP_SYS_RESOURCE",
                limit.resource, limit.soft, limit.hard
            )
        })?;
    }
    Ok(())
}

fn number(kind: Kind) -> u32 {
    match kind {
        Kind::RlimitCpu => libc::RLIMIT_CPU,
        Kind::RlimitFsize => libc::RLIMIT_FSIZE,
        Kind::RlimitData => libc::RLIMIT_DATA,
        Kind::RlimitStack => libc::RLIMIT_STACK,
        Kind::RlimitCore => libc::RLIMIT_CORE,
        Kind::RlimitRss => libc::RLIMIT_RSS,
        Kind::RlimitNproc => libc::RLIMIT_NPROC,
        Kind::RlimitNofile => libc::RLIMIT_NOFILE,
        Kind::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        Kind::RlimitAs => libc::RLIMIT_AS,
        Kind::RlimitLocks => libc::RLIMIT_LOCKS,
        Kind::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        Kind::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        Kind::RlimitNice => libc::RLIMIT_NICE,
        Kind::RlimitRtprio => libc::RLIMIT_RTPRIO,
        Kind::RlimitRttime => libc::RLIMIT_RTTIME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_checked() {
        let read = |json: &str| from_spec(&serde_json::from_str::<Vec<_>>(json).unwrap());
        let got = read(r#"[{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 9}]"#).unwrap();
        assert_eq!(got, [Rlimit { resource: 7, soft: 5, hard: 9 }]);
        let twice = r#"[{"type": "RLIMIT_CPU", "soft": 1, "hard": 1},
                        {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]"#;
        assert!(read(twice).unwrap_err().to_string().contains("RLIMIT_CPU): listed twice"));
        let above = r#"[{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]"#;
        assert!(read(above).unwrap_err().to_string().contains("soft is above hard"));
    }
}

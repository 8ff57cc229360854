//! The descriptors a container inherits beyond stdio: `--preserve-fds` and socket activation.
//!
//! Source: sd_listen_fds(3); runc(8) `--preserve-fds`.

use crate::error::{Error, Result};
use std::fs;

/// How many descriptors from 3 on the container's process keeps, and what it is told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Their number.
    pub count: u32,
    /// `LISTEN_FDS` and `LISTEN_PID` for the process.
    pub env: Vec<String>,
}

/// Adds the sockets of socket activation in front of `preserve` further descriptors. Pure.
///
/// # Errors
/// [`Error::Usage`]: a number that cannot be.
pub fn inherited(preserve: u32, listen_fds: Option<&str>) -> Result<Inherited> {
    let Some(text) = listen_fds.filter(|text| !text.is_empty()) else {
        return Ok(Inherited { count: preserve, env: Vec::new() });
    };
    let listen: u32 = text
        .parse()
        .map_err(|_| Error::Usage(format!("LISTEN_FDS={text:?} is not a number of descriptors")))?;
    let env = vec![format!("LISTEN_FDS={listen}"), "LISTEN_PID=1".to_owned()];
    Ok(Inherited { count: preserve + listen, env })
}

/// Whether all `count` kept descriptors are open. To be asked before this program opens any.
///
/// # Errors
/// [`Error::Usage`]: one is not.
pub fn check(count: u32) -> Result<()> {
    let is_open = |number: &u32| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    match (3..3 + count).find(|number| !is_open(number)) {
        None => Ok(()),
        Some(number) => Err(Error::Usage(format!(
            "unable to stat preserved-fd {number} (of {count}): no such file or directory: \
             --preserve-fds counts descriptors that are not open"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_come_before_preserved_descriptors() {
        assert_eq!(inherited(2, None).unwrap(), Inherited { count: 2, env: vec![] });
        let got = inherited(1, Some("2")).unwrap();
        assert_eq!(got.count, 3);
        assert_eq!(got.env, ["LISTEN_FDS=2", "LISTEN_PID=1"]);
        assert!(inherited(0, Some("x")).is_err());
    }
}

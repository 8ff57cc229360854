//! Containers without groups of their own: an ordinary user may not be allowed to make any, and
//! `--cgroup-manager disabled` wants none.

use super::{Cgroup, devices, limits, v1};
use crate::error::{Error, Result};
use crate::namespaces::{NEW_PID, NEW_USER, Namespaces};
use oci_spec::runtime::LinuxResources;
use std::io::ErrorKind;

/// No groups of its own: the container stays in those of who created it.
pub fn none() -> Cgroup {
    Cgroup::V1(v1::Group { hierarchies: Vec::new(), scope: None })
}

/// Checks that nothing in config.json needs the groups that `--cgroup-manager disabled` does not
/// make. Pure.
///
/// # Errors
/// [`Error::Config`]: a limit; rules for devices, which a user namespace makes needless; no PID
/// namespace, without which nothing tells which processes are the container's.
pub fn check_disabled(resources: Option<&LinuxResources>, namespaces: &Namespaces) -> Result<()> {
    let refuse = |field: &str, reason: &str| {
        let reason = format!("{reason}, and --cgroup-manager disabled makes none");
        Err(Error::config(field, reason))
    };
    if namespaces.new & NEW_PID == 0 {
        let reason = "without a new one of type pid only control groups tell which processes are \
                      the container's";
        return refuse("linux.namespaces", reason);
    }
    let Some(resources) = resources else { return Ok(()) };
    let rules = devices::rules(resources.devices().as_deref().unwrap_or_default())?;
    if !rules.is_empty() && !namespaces.has(NEW_USER) {
        let reason = "without a user namespace rules for devices need control groups";
        return refuse("linux.resources.devices", reason);
    }
    if limits::v1(resources).is_ok_and(|writes| writes.is_empty()) {
        return Ok(());
    }
    refuse("linux.resources", "limits need control groups")
}

/// Turns a refusal to make groups into a container without any, and a note; but not where
/// config.json asks for a limit, which would be missing. Rules for devices are none: a user
/// namespace can reach no device but those that are bound into it.
///
/// # Errors
/// That of `created`, with a hint where a limit stood in the way.
pub fn unless_limited(
    created: Result<Cgroup>,
    resources: Option<&LinuxResources>,
    rootless: bool,
) -> Result<(Cgroup, Option<String>)> {
    let refusal = match created {
        Ok(cgroup) => return Ok((cgroup, None)),
        Err(error) if rootless && is_refusal(&error) => error,
        Err(error) => return Err(error),
    };
    let limited = match resources {
        None => false,
        Some(resources) => !limits::v1(resources).is_ok_and(|writes| writes.is_empty()),
    };
    if limited {
        return Err(match refusal {
            Error::Os { act, source } => Error::Os {
                act: format!("{act} (for linux.resources; without limits it can be done without)"),
                source,
            },
            other => other,
        });
    }
    let text = crate::error::chain(&refusal);
    let note = format!("the container has no control groups of its own: {text}");
    Ok((none(), Some(note)))
}

fn is_refusal(error: &Error) -> bool {
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
    matches!(error, Error::Os { source, .. } if kinds.contains(&source.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_manager_nothing_may_need_groups() {
        let mut namespaces = Namespaces { new: NEW_PID, join: Vec::new() };
        let read = |json: &str| serde_json::from_str::<LinuxResources>(json).unwrap();
        let (limit, rules) = (
            read(r#"{"pids": {"limit": 5}}"#),
            read(r#"{"devices": [{"allow": false, "access": "rwm"}], "memory": {}}"#),
        );
        assert!(check_disabled(None, &namespaces).is_ok());
        let told = |resources: &LinuxResources, namespaces: &Namespaces| {
            check_disabled(Some(resources), namespaces).unwrap_err().to_string()
        };
        assert!(told(&limit, &namespaces).contains("linux.resources: limits need"));
        assert!(told(&rules, &namespaces).contains("linux.resources.devices"));
        namespaces.new |= NEW_USER;
        assert!(check_disabled(Some(&rules), &namespaces).is_ok());
        namespaces.new = 0;
        assert!(told(&rules, &namespaces).contains("linux.namespaces"));
    }

    fn refused(errno: i32) -> Result<Cgroup> {
        let source = std::io::Error::from_raw_os_error(errno);
        Err(Error::Os { act: "make the cgroup /x".to_owned(), source })
    }

    #[test]
    fn a_refusal_matters_only_for_limits() {
        let devices = r#"{"devices": [{"allow": false, "access": "rwm"}], "memory": {}}"#;
        let devices: LinuxResources = serde_json::from_str(devices).unwrap();
        for resources in [None, Some(&devices)] {
            let (cgroup, note) = unless_limited(refused(libc::EACCES), resources, true).unwrap();
            assert!(cgroup.own_directories().is_empty());
            assert!(note.unwrap().contains("make the cgroup /x: permission denied"));
        }
        let limit: LinuxResources = serde_json::from_str(r#"{"pids": {"limit": 5}}"#).unwrap();
        let error = unless_limited(refused(libc::EACCES), Some(&limit), true).unwrap_err();
        assert!(error.to_string().contains("for linux.resources"), "{error}");
        assert!(unless_limited(refused(libc::EACCES), None, false).is_err());
        assert!(unless_limited(refused(libc::ENOSPC), None, true).is_err());
    }
}

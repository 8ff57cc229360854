//! The process that `exec` is asked to run: that of a file, or the container's own with another
//! command and what the flags change. Pure.
//!
//! Source: runc(8) and crun(1), `exec`.

use crate::cli::Exec;
use crate::error::{Error, Result};
use oci_spec::runtime::{Capability, Process, User};
use std::path::PathBuf;
use std::str::FromStr;

/// The process of `--process`; what its file leaves out is the container's (`own`).
pub fn from_file(mut requested: Process, own: &Process) -> Process {
    if requested.capabilities().is_none() {
        requested.set_capabilities(own.capabilities().clone());
    }
    if requested.no_new_privileges().is_none() {
        requested.set_no_new_privileges(own.no_new_privileges());
    }
    if requested.rlimits().is_none() {
        requested.set_rlimits(own.rlimits().clone());
    }
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    if empty(requested.apparmor_profile()) {
        requested.set_apparmor_profile(own.apparmor_profile().clone());
    }
    if empty(requested.selinux_label()) {
        requested.set_selinux_label(own.selinux_label().clone());
    }
    requested
}

/// The container's process `own` with the command and the changes of `flags`.
///
/// # Errors
/// [`Error::Usage`]: a flag's value that means nothing.
pub fn from_flags(flags: &Exec, own: &Process) -> Result<Process> {
    let mut requested = own.clone();
    requested.set_args(Some(flags.command.clone()));
    requested.set_terminal(Some(flags.tty));
    if let Some(cwd) = &flags.cwd {
        requested.set_cwd(PathBuf::from(cwd));
    }
    requested.set_env(Some(with_env(own.env().clone().unwrap_or_default(), &flags.env)));
    let mut user = match &flags.user {
        Some(text) => user(text, own.user())?,
        None => own.user().clone(),
    };
    if !flags.additional_gids.is_empty() {
        let mut groups = user.additional_gids().clone().unwrap_or_default();
        groups.extend(&flags.additional_gids);
        user.set_additional_gids(Some(groups));
    }
    requested.set_user(user);
    if flags.no_new_privs {
        requested.set_no_new_privileges(Some(true));
    }
    if let Some(profile) = &flags.apparmor {
        requested.set_apparmor_profile(Some(profile.clone()));
    }
    if let Some(label) = &flags.process_label {
        requested.set_selinux_label(Some(label.clone()));
    }
    flags.cap.iter().try_for_each(|name| add_capability(&mut requested, name))?;
    Ok(requested)
}

/// The variables of `own` with those of `entries` in place of equally named ones: a program may
/// take the first of two.
fn with_env(mut own: Vec<String>, entries: &[String]) -> Vec<String> {
    let name_of = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    for entry in entries {
        let name = name_of(entry);
        own.retain(|other| name_of(other) != name);
        own.push(with_value(entry));
    }
    own
}

/// `NAME` alone takes the caller's value, as with env(1) of other tools.
fn with_value(entry: &str) -> String {
    if entry.contains('=') {
        return entry.to_owned();
    }
    format!("{entry}={}", std::env::var(entry).unwrap_or_default())
}

/// `UID[:GID]`; without a group that of the container's process.
fn user(text: &str, own: &User) -> Result<User> {
    let refuse = || {
        Error::Usage(format!(
            "--user {text:?}: give numbers, UID or UID:GID; names are the image's"
        ))
    };
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid.parse().map_err(|_| refuse())?)),
        None => (text, None),
    };
    let mut user = own.clone();
    user.set_uid(uid.parse().map_err(|_| refuse())?);
    if let Some(gid) = gid {
        user.set_gid(gid);
    }
    Ok(user)
}

/// Adds a capability to what the process has and may have, not to what it hands on: an inheritable
/// one would reach programs that are not root's (CVE-2022-29162). Ambient ones need it, so they
/// get it only in a container that has inheritable ones already.
fn add_capability(process: &mut Process, name: &str) -> Result<()> {
    let upper = name.to_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let capability = Capability::from_str(short)
        .map_err(|_| Error::Usage(format!("--cap {name:?} is no capability such as CAP_KILL")))?;
    let mut all = process.capabilities().clone().unwrap_or_else(none);
    let with = |set: &Option<std::collections::HashSet<Capability>>| {
        let mut set = set.clone().unwrap_or_default();
        set.insert(capability);
        Some(set)
    };
    let inheritable = all.inheritable().as_ref().is_some_and(|set| set.contains(&capability));
    let (bounding, effective) = (with(all.bounding()), with(all.effective()));
    let (permitted, ambient) = (with(all.permitted()), with(all.ambient()));
    all.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
    if inheritable {
        all.set_ambient(ambient);
    }
    process.set_capabilities(Some(all));
    Ok(())
}

/// No capability at all: the default of the type is Docker's list.
fn none() -> oci_spec::runtime::LinuxCapabilities {
    let mut none = oci_spec::runtime::LinuxCapabilities::default();
    none.set_bounding(None).set_effective(None).set_permitted(None);
    none.set_inheritable(None).set_ambient(None);
    none
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::{self, Sets};
    use clap::Parser;
    use serde_json::json;

    fn own() -> Process {
        serde_json::from_value(json!({"user": {"uid": 5, "gid": 6, "additionalGids": [7]},
            "args": ["init"], "env": ["A=1"], "cwd": "/w", "terminal": true,
            "noNewPrivileges": true, "apparmorProfile": "p",
            "rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 2}],
            "capabilities": {"bounding": ["CAP_KILL"], "inheritable": ["CAP_CHOWN"]}}))
        .unwrap()
    }

    fn flags(line: &str) -> Exec {
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            exec: Exec,
        }
        Line::parse_from(line.split_whitespace()).exec
    }

    #[test]
    fn flags_change_the_containers_process() {
        let got = from_flags(
            &flags("x -u 1:2 -g 8 -g 9 --cwd /c -e B=1 -e C=3=4 -e B=2 --apparmor q ID a -b"),
            &own(),
        );
        let got = serde_json::to_value(got.unwrap()).unwrap();
        assert_eq!(got["user"], json!({"uid": 1, "gid": 2, "additionalGids": [7, 8, 9]}));
        assert_eq!(got["args"], json!(["a", "-b"]));
        assert_eq!(got["env"], json!(["A=1", "C=3=4", "B=2"]));
        let over = from_flags(&flags("x -e A=9 ID a"), &own()).unwrap();
        assert_eq!(over.env().as_deref(), Some(&["A=9".to_owned()][..]));
        assert_eq!(got["cwd"], "/c");
        assert_eq!((&got["terminal"], &got["apparmorProfile"]), (&json!(false), &json!("q")));
        assert_eq!(got["noNewPrivileges"], true);
        let got = from_flags(&flags("x -t -u 1 ID a"), &own()).unwrap();
        assert_eq!((got.user().uid(), got.user().gid(), got.terminal()), (1, 6, Some(true)));
    }

    #[test]
    fn nonsense_is_refused() {
        for (line, want) in [
            ("x -u root ID a", "give numbers"),
            ("x -u 1:x ID a", "give numbers"),
            ("x -c CAP_NOTHING ID a", "no capability"),
        ] {
            let error = from_flags(&flags(line), &own()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn added_capabilities_are_not_handed_on() {
        let got = from_flags(&flags("x -c net_raw -c CAP_CHOWN ID a"), &own()).unwrap();
        let (chown, kill, raw) = (1, 1 << 5, 1 << 13);
        let want = Sets {
            bounding: chown | kill | raw,
            effective: chown | raw,
            inheritable: chown,
            permitted: chown | raw,
            ambient: chown,
        };
        assert_eq!(capabilities::from_spec(got.capabilities().as_ref()), want);
        let mut bare = own();
        bare.set_capabilities(None);
        let got = from_flags(&flags("x -c kill ID a"), &bare).unwrap();
        let want = Sets { bounding: kill, effective: kill, permitted: kill, ..Sets::default() };
        assert_eq!(capabilities::from_spec(got.capabilities().as_ref()), want);
    }

    #[test]
    fn what_a_file_leaves_out_is_the_containers() {
        let json = json!({"user": {"uid": 0, "gid": 0}, "args": ["b"], "cwd": "/"});
        let got = from_file(serde_json::from_value(json).unwrap(), &own());
        let got = serde_json::to_value(got).unwrap();
        assert_eq!(got["args"], json!(["b"]));
        assert_eq!((&got["noNewPrivileges"], &got["apparmorProfile"]), (&json!(true), &json!("p")));
        assert_eq!(got["rlimits"].as_array().map(Vec::len), Some(1));
        assert_eq!(got["capabilities"]["bounding"], json!(["CAP_KILL"]));
        let json = json!({"user": {"uid": 0, "gid": 0}, "args": ["b"], "cwd": "/",
            "noNewPrivileges": false, "capabilities": {}, "rlimits": []});
        let got = serde_json::to_value(from_file(serde_json::from_value(json).unwrap(), &own()));
        let got = got.unwrap();
        assert_eq!(got["noNewPrivileges"], false);
        assert!(got["capabilities"].get("bounding").is_none());
    }
}

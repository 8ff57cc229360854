//! Runs the hooks of config.json: programs of the engine at six moments of a container's life.
//!
//! Source: runtime-spec config.md "POSIX-platform Hooks".

use crate::error::{Error, Result, said};
use crate::sys::process::pidfd_open;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use oci_spec::runtime::Hook;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Runs `hooks` of the moment `kind` in their order, each with `state` on its stdin; the first
/// that fails ends the run.
///
/// # Errors
/// [`Error::Hook`] with its place, its path and how it failed.
pub fn run(kind: &str, hooks: &[Hook], state: &str) -> Result<()> {
    run_with(kind, hooks, state, &[])
}

/// As [`run`], where a hook that names no environment has `environment`.
///
/// # Errors
/// Those of [`run`].
pub fn run_with(kind: &str, hooks: &[Hook], state: &str, environment: &[String]) -> Result<()> {
    for (index, hook) in hooks.iter().enumerate() {
        run_one(hook, state, environment).map_err(|reason| {
            let path = hook.path().display();
            Error::Hook(format!("hook {kind}[{index}] ({path}): {reason}"))
        })?;
    }
    Ok(())
}

/// As [`run`], but every hook has its turn; returns what failed. For the moments at which the
/// spec forbids a failure to stop anything.
pub fn run_all(kind: &str, hooks: &[Hook], state: &str) -> Vec<Error> {
    let each = hooks.iter().filter_map(|hook| run(kind, std::slice::from_ref(hook), state).err());
    each.collect()
}

fn run_one(hook: &Hook, state: &str, environment: &[String]) -> std::result::Result<(), String> {
    if !hook.path().is_absolute() {
        return Err("the path must be absolute".to_owned());
    }
    let mut command = Command::new(hook.path());
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::null());
    if let Some((name, rest)) = hook.args().as_deref().and_then(<[String]>::split_first) {
        command.arg0(name).args(rest);
    }
    for entry in hook.env().as_deref().unwrap_or(environment) {
        let (name, value) =
            entry.split_once('=').ok_or_else(|| format!("env {entry:?} has no ="))?;
        command.env(name, value);
    }
    let mut child = command.spawn().map_err(|error| format!("start: {}", said(&error)))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that does not read its state may close its end: not a failure.
        if let Err(error) = stdin.write_all(state.as_bytes())
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            return Err(format!("write the state to its stdin: {}", said(&error)));
        }
    }
    if let Some(seconds) = hook.timeout() {
        wait_at_most(&mut child, seconds)?;
    }
    let status = child.wait().map_err(|error| format!("wait: {}", said(&error)))?;
    if status.success() { Ok(()) } else { Err(format!("failed with {status}")) }
}

fn wait_at_most(child: &mut Child, seconds: i64) -> std::result::Result<(), String> {
    let milliseconds = u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .and_then(|seconds| PollTimeout::try_from(seconds.saturating_mul(1000)).ok())
        .ok_or_else(|| format!("timeout = {seconds} is not a number of seconds above 0"))?;
    let pidfd =
        pidfd_open(child.id() as i32).map_err(|error| format!("pidfd_open: {}", said(&error)))?;
    let ended = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], milliseconds)
        .map_err(|error| format!("poll: {}", said(&error.into())))?;
    if ended > 0 {
        return Ok(());
    }
    child.kill().and_then(|()| child.wait()).map_err(|error| format!("kill: {}", said(&error)))?;
    Err(format!("did not end within {seconds} s and was killed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(json: &str) -> Vec<Hook> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn state_args_and_env_reach_the_hook() {
        let out = tempfile::NamedTempFile::new().unwrap();
        let script = format!("read x; echo \"$0 $A $x\" > {}", out.path().display());
        let list = vec![serde_json::json!({"path": "/bin/sh", "args": ["sh", "-c", script, "me"],
            "env": ["A=1=2"]})];
        let list: Vec<Hook> = serde_json::from_value(list.into()).unwrap();
        run("poststart", &list, "{}\n").unwrap();
        assert_eq!(std::fs::read_to_string(out.path()).unwrap(), "me 1=2 {}\n");
    }

    #[test]
    fn failures_say_which_hook_and_how() {
        for (json, want) in [
            (r#"[{"path": "/bin/true"}, {"path": "/bin/false"}]"#, "poststop[1] (/bin/false): f"),
            (r#"[{"path": "bin/true"}]"#, "must be absolute"),
            (r#"[{"path": "/nowhere/x"}]"#, "start: no such file"),
            (r#"[{"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}]"#, "within 1 s"),
            (r#"[{"path": "/bin/true", "timeout": 0}]"#, "timeout = 0"),
        ] {
            let error = run("poststop", &hooks(json), "{}").unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn all_hooks_have_their_turn() {
        let list = hooks(r#"[{"path": "/bin/false"}, {"path": "/bin/true"}, {"path": "/x"}]"#);
        assert_eq!(run_all("poststop", &list, "{}").len(), 2);
    }
}

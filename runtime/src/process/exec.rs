//! The last act of the init: it becomes the container's program, or the Wasm runner.

use super::entrypoint::{Entrypoint, Runner};
use super::setup::Invocation;
use crate::compiled::Compiled;
use crate::error::{Act, Error, Result};
use crate::installed;
use crate::sys::{fd, process};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access, faccessat};
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use wamr_plan::{Plan, Preopen};

/// What the exec needs, opened by the container's user before the gate.
#[derive(Debug)]
pub enum Ready {
    /// The program's path, arguments and environment.
    Native {
        /// The path.
        path: CString,
        /// `argv`.
        args: Vec<CString>,
        /// `envp`.
        env: Vec<CString>,
    },
    /// The runner, its arguments and the two descriptors it inherits.
    Wasm {
        /// The runner's file.
        runner: OwnedFd,
        /// `argv`.
        args: Vec<CString>,
        /// The module and the plan.
        inherited: [OwnedFd; 2],
    },
}

/// Opens or checks `entrypoint` as the current user, who is `uid`, inside the container.
///
/// # Errors
/// [`Error::Os`]: the user may not; [`Error::Workload`].
pub fn prepare(uid: u32, program: &Invocation, entrypoint: Entrypoint) -> Result<Ready> {
    let Entrypoint { path, runner } = entrypoint;
    let Some(runner) = runner else {
        may_execute(&path).act(|| format!("execute {} as user {uid}", path.display()))?;
        let env = native_environment(program, uid);
        return Ok(Ready::Native {
            path: c_string(path.into_os_string().into_vec())?,
            args: c_strings(program.args.iter().cloned())?,
            env: c_strings(env.into_iter())?,
        });
    };
    let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let module = open(&path, flags, Mode::empty())
        .act(|| format!("open the module {} as user {uid}", path.display()))?;
    let (runner, name, module) = match runner {
        Runner::Interpreter(runner) => (runner, "wamr-runner", module),
        // Opened above all the same: whoever may not read the module may not run it.
        Runner::Compiled(Compiled { runner, artifact }) => (runner, installed::RUNNER, artifact),
    };
    let plan = plan(program, &module).encode();
    let mut memory = File::from(
        memfd_create(c"wamr-plan", MFdFlags::MFD_CLOEXEC)
            .act(|| "memfd_create for the runner's plan".to_owned())?,
    );
    memory
        .write_all(&plan)
        .and_then(|()| memory.rewind())
        .act(|| "write the runner's plan".to_owned())?;
    let memory = OwnedFd::from(memory);
    let own = [name.to_owned(), memory.as_raw_fd().to_string()];
    let args = c_strings(own.into_iter().chain(program.args.iter().cloned()))?;
    Ok(Ready::Wasm { runner, args, inherited: [module, memory] })
}

/// Whether this user may execute `path`.
fn may_execute(path: &Path) -> nix::Result<()> {
    match faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        // The kernel never answers so here: an early seccomp filter does, written before
        // faccessat2. access(2) asks for the real user, who is the effective one by now.
        Err(Errno::EPERM) => access(path, AccessFlags::X_OK),
        other => other,
    }
}

fn plan(program: &Invocation, module: &OwnedFd) -> Plan {
    let bytes = |list: &[String]| list.iter().map(|text| text.as_bytes().to_vec()).collect();
    let root = Preopen { guest_path: b"/".to_vec(), container_path: b"/".to_vec() };
    let mounted = program
        .guest_directories
        .iter()
        .filter(|path| fs::metadata(path).is_ok_and(|found| found.is_dir()))
        .map(|path| path.as_os_str().as_bytes().to_vec())
        .map(|path| Preopen { guest_path: path.clone(), container_path: path });
    // Where C libraries look for relative paths: the last of the preopens without a name.
    let cwd = program.cwd.as_os_str().as_bytes().to_vec();
    let here = Preopen { guest_path: b".".to_vec(), container_path: cwd.clone() };
    let here = Some(here).filter(|_| cwd != b"/");
    Plan {
        module_fd: module.as_raw_fd() as u32,
        args: bytes(&program.args),
        env: bytes(&program.env),
        cwd,
        preopens: std::iter::once(root).chain(mounted).chain(here).collect(),
        socket_networks: bytes(&program.wasm.socket_networks),
        socket_names: bytes(&program.wasm.socket_names),
        stack_bytes: program.wasm.stack_bytes,
        heap_bytes: 0,
        max_memory_pages: program.wasm.max_memory_pages,
    }
}

/// `process.env`, with HOME as programs expect it where the bundle leaves it out or empty.
fn native_environment(program: &Invocation, uid: u32) -> Vec<String> {
    let mut env = program.env.clone();
    env.retain(|entry| entry != "HOME=");
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let home = home_of(&passwd, uid).unwrap_or("/");
        env.push(format!("HOME={home}"));
    }
    env
}

/// The home directory of `uid` in the text of /etc/passwd.
fn home_of(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let found = fields.get(2)?.parse() == Ok(uid);
        fields.get(5).copied().filter(|home| found && !home.is_empty())
    })
}

fn c_string(bytes: Vec<u8>) -> Result<CString> {
    CString::new(bytes).map_err(io::Error::from).act(|| "pass a string to exec".to_owned())
}

fn c_strings(texts: impl Iterator<Item = String>) -> Result<Vec<CString>> {
    texts.map(|text| c_string(text.into_bytes())).collect()
}

/// Lets descriptors survive the exec only if they are stdio or one of the `inherited` behind it:
/// nothing of the host passes.
///
/// # Errors
/// [`Error::Os`].
pub fn mark_descriptors(inherited: u32) -> Result<()> {
    fd::close_range_cloexec(3 + inherited).act(|| "mark all descriptors close-on-exec".to_owned())
}

/// Gives signals the state a fresh process expects, and lets the runner's descriptors survive the
/// exec as well.
///
/// # Errors
/// [`Error::Os`].
pub fn hand_over(ready: Option<&Ready>) -> Result<()> {
    process::reset_signals();
    if let Some(Ready::Wasm { inherited, .. }) = ready {
        for file in inherited {
            fcntl(file.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))
                .act(|| "let the runner inherit a descriptor".to_owned())?;
        }
    }
    Ok(())
}

/// Executes; returns only on failure.
pub fn execute(ready: &Ready) -> Error {
    fn refer(strings: &[CString]) -> Vec<&CStr> {
        strings.iter().map(CString::as_c_str).collect()
    }
    let (source, act) = match ready {
        Ready::Native { path, args, env } => {
            let error = process::execveat(AT_FDCWD.as_raw_fd(), path, &refer(args), &refer(env));
            (error, format!("execute {}", path.to_string_lossy()))
        }
        Ready::Wasm { runner, args, .. } => {
            let error = process::execveat(runner.as_raw_fd(), c"", &refer(args), &[]);
            (error, "execute the Wasm runner".to_owned())
        }
    };
    Error::Os { act, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_comes_from_the_image() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nu:x:1000:1000::/home/u:/bin/sh\n";
        assert_eq!(home_of(passwd, 0), Some("/root"));
        assert_eq!(home_of(passwd, 1000), Some("/home/u"));
        assert_eq!(home_of(passwd, 7), None);
    }
}

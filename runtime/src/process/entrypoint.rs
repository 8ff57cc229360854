//! Finds the entrypoint inside the container's root and says what it is.

use super::channel::{Channel, Native};
use super::setup::Invocation;
use crate::compiled::{self, Answer, Compiled};
use crate::error::{Act, Error, Result, said};
use crate::interpretable;
use crate::rootfs::in_root::Root;
use crate::rootfs::mounts::clean;
use crate::self_exe;
use crate::workload::{self, Engine, Handler, Magic, Workload};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the runner is when it is not beside the runtime.
const INSTALLED_RUNNER: &str = "/usr/libexec/wamr-crun/wamr-runner";

/// The entrypoint, found.
#[derive(Debug)]
pub struct Entrypoint {
    /// Its path inside the container.
    pub path: PathBuf,
    /// What runs it, if it is Wasm.
    pub runner: Option<Runner>,
}

/// What runs a Wasm entrypoint, opened on the host.
#[derive(Debug)]
pub enum Runner {
    /// The program with the interpreter.
    Interpreter(OwnedFd),
    /// The program without, and native code.
    Compiled(Compiled),
}

/// Looks `args[0]` up as execvp would, but inside `root`, and decides how it is run; `runner` opens
/// the Wasm runner if it is needed. Whether there is native code of a module the runtime knows, at
/// the other end of `channel`.
///
/// # Errors
/// [`Error::Workload`]: it is not there, cannot be executed, or is not what the annotations
/// demand; the runner is missing.
pub fn find(
    root: &Root,
    invocation: &Invocation,
    channel: &Channel,
    runner: impl FnOnce() -> Result<OwnedFd>,
) -> Result<Entrypoint> {
    let name = invocation.args.first().map(String::as_str).unwrap_or_default();
    let (path, magic) = look_up(root, name, invocation)?;
    let workload = workload::decide(invocation.handler, magic, &path.to_string_lossy())?;
    let runner = match workload {
        Workload::Native => None,
        Workload::Wasm => {
            let module = root.open(&path, libc::O_RDONLY | libc::O_NOCTTY);
            let module = module.act(|| format!("open the module {}", path.display()))?;
            let named = invocation.wasm.engine;
            Some(choose(&File::from(module), &path, named, channel, runner)?)
        }
    };
    Ok(Entrypoint { path, runner })
}

/// Whether the entrypoint is surely Wasm, before anything is mounted in `root`: the annotations
/// demand it, or the image itself has a module there. A mount may still cover that one.
pub fn is_wasm_in_image(root: &Root, invocation: &Invocation) -> bool {
    let name = invocation.args.first().map(String::as_str).unwrap_or_default();
    match invocation.handler {
        Handler::Native => false,
        Handler::Wasm => true,
        Handler::ByMagic => {
            look_up(root, name, invocation).is_ok_and(|(_, magic)| magic != Magic::Other)
        }
    }
}

/// Native code of `module` if that is wanted and there, else the interpreter if it runs the module.
/// `named`: the annotation's engine; without one the runtime knows the node's default.
fn choose(
    module: &File,
    path: &Path,
    named: Option<Engine>,
    channel: &Channel,
    runner: impl FnOnce() -> Result<OwnedFd>,
) -> Result<Runner> {
    let ask = |native| compiled::ask(channel, module, native);
    let interpreted = named == Some(Engine::Interpreted);
    let answer = if interpreted { Answer::Interpreted } else { ask(Native::Wanted)? };
    if let Answer::Compiled(compiled) = answer {
        return Ok(Runner::Compiled(compiled));
    }
    let runner = runner()?;
    let Err(objection) = interpretable::check(&read(module, path)?) else {
        if matches!(answer, Answer::Missing) {
            ask(Native::ForTheNext)?;
        }
        return Ok(Runner::Interpreter(runner));
    };
    let reason = format!("{} {objection}", path.display());
    if !objection.runs_compiled() {
        return Err(Error::Workload(reason));
    }
    if interpreted {
        return Err(Error::Workload(format!("{reason}; {}", compiled::REMEDY)));
    }
    match ask(Native::Required(reason.clone()))? {
        Answer::Compiled(compiled) => Ok(Runner::Compiled(compiled)),
        Answer::Interpreted | Answer::Missing => Err(Error::Workload(reason)),
    }
}

/// The module's bytes, in this process's memory: that of the container.
fn read(module: &File, path: &Path) -> Result<Vec<u8>> {
    // The specification's limit for implementations.
    const MOST_BYTES: u64 = 1 << 30;
    let size = module.metadata().act(|| format!("look at the module {}", path.display()))?.len();
    if size > MOST_BYTES {
        return Err(Error::Workload(format!("{} is larger than 1 GiB", path.display())));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    module
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .act(|| format!("read the module {}", path.display()))?;
    Ok(bytes)
}

fn look_up(root: &Root, name: &str, invocation: &Invocation) -> Result<(PathBuf, Magic)> {
    let handler = invocation.handler;
    let missing = |reason: String| Error::Workload(format!("process.args[0] = {name:?}: {reason}"));
    if name.contains('/') {
        let path = clean(&invocation.cwd.join(name));
        return match examine(root, &path, handler) {
            Ok(magic) => Ok((path, magic)),
            Err(error) => Err(missing(match function_of_module(root, &path, handler) {
                Some(reason) => reason,
                None => format!("{}: {}", path.display(), said(&error)),
            })),
        };
    }
    let search = invocation.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    let mut refusal = None;
    for directory in search.unwrap_or_default().split(':') {
        let path = clean(&invocation.cwd.join(directory).join(name));
        match examine(root, &path, handler) {
            Ok(magic) => return Ok((path, magic)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                refusal = Some(format!("{}: {}", path.display(), said(&error)));
            }
            Err(_) => {}
        }
    }
    // A module is often given by its bare name, relative to the working directory.
    let path = clean(&invocation.cwd.join(name));
    if handler != Handler::Native
        && let Ok(magic) = examine(root, &path, handler)
        && magic != Magic::Other
    {
        return Ok((path, magic));
    }
    Err(missing(refusal.unwrap_or_else(|| {
        let search = search.map_or("which is not set".to_owned(), |search| format!("{search:?}"));
        format!("executable file not found in $PATH, {search}")
    })))
}

/// Why `module.wasm#function`, a notation of other runtimes, is no entry point, if it is one.
fn function_of_module(root: &Root, path: &Path, handler: Handler) -> Option<String> {
    let (module, function) = path.to_str()?.rsplit_once('#')?;
    let magic = examine(root, Path::new(module), handler).ok()?;
    (magic != Magic::Other).then(|| {
        format!(
            "a guest starts at its function _start, and choosing {function:?} instead is not \
             supported: name {module} alone, and have its _start call the function"
        )
    })
}

/// What is at `path`, if it can be run.
fn examine(root: &Root, path: &Path, handler: Handler) -> io::Result<Magic> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let (metadata, magic) = match root.open(path, flags) {
        Ok(file) => {
            let mut file = File::from(file);
            let metadata = file.metadata()?;
            let magic = if metadata.is_file() { read_magic(&mut file)? } else { Magic::Other };
            (metadata, magic)
        }
        // Executable but not readable, as some images have it: not for us to judge.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(Magic::Other),
        Err(error) => return Err(error),
    };
    if metadata.is_dir() {
        // Both reasons: some engines look for this one, and some for that.
        let text = "is a directory: permission denied";
        return Err(io::Error::new(io::ErrorKind::IsADirectory, text));
    }
    // A sandbox is native whatever its entrypoint looks like; modules need no x bit.
    let magic = if handler == Handler::Native { Magic::Other } else { magic };
    let native = magic == Magic::Other && handler != Handler::Wasm;
    if native && metadata.mode() & 0o111 == 0 {
        let text = "permission denied: it is not executable";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(magic)
}

fn read_magic(file: &mut File) -> io::Result<Magic> {
    let mut head = [0; 8];
    let mut length = 0;
    while length < head.len() {
        match file.read(&mut head[length..])? {
            0 => break,
            count => length += count,
        }
    }
    Ok(workload::magic(&head[..length]))
}

/// Opens the runner: beside the runtime, else where packages put it.
///
/// # Errors
/// [`Error::Workload`]: it is not installed; [`Error::Os`].
pub fn open_runner() -> Result<OwnedFd> {
    let own = self_exe::path();
    let directory = own.parent().unwrap_or(Path::new("/"));
    let places = [
        directory.join("wamr-runner"),
        directory.join("../libexec/wamr-crun/wamr-runner"),
        PathBuf::from(INSTALLED_RUNNER),
    ];
    for place in &places {
        match self_exe::read_only(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.act(|| format!("open the Wasm runner {}", place.display())),
        }
    }
    let tried: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    Err(Error::Workload(format!(
        "the Wasm runner is not installed: put wamr-runner beside {} (tried {})",
        own.display(),
        tried.join(", ")
    )))
}

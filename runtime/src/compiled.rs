//! When a guest runs compiled: the runtime's side of the question, outside of the container.
//!
//! The init finds the module in the container's root and hands it over; what it gets back is the
//! word that the interpreter is to run it, or the runner of compiled modules and the module's
//! native code, each opened so that nobody in the container can write it. The cache itself is never
//! in a container's view.

use crate::error::{Act, Error, Result, chain};
use crate::log::{Format, Log};
use crate::process::channel::{Channel, FromInit, Native, ToInit};
use crate::self_exe;
use crate::workload::Engine;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use wamr_cache::{Cache, Compiler, Digest, Failure, Found, Urgency, default_directory};

/// Runs compiled modules.
pub const RUNNER: &str = "wasmtime-runner";
/// Compiles them.
pub const COMPILER: &str = "wamr-compile";
/// Where both are when they are not beside the runtime.
const INSTALLED: &str = "/usr/libexec/wamr-crun";

/// How a module without the annotation is run on this node.
const ENGINE_VARIABLE: &str = "WAMR_CRUN_ENGINE";

/// How long `create` waits for the compiler: less than a kubelet waits for `create`.
const PATIENCE: Duration = Duration::from_secs(100);

/// What runs a compiled module.
#[derive(Debug)]
pub struct Compiled {
    /// The program.
    pub runner: OwnedFd,
    /// The module's native code.
    pub artifact: OwnedFd,
}

/// What is found for a module.
#[derive(Debug)]
pub enum Answer {
    /// Native code.
    Compiled(Compiled),
    /// None: the interpreter is wanted, or the module cannot run compiled.
    Interpreted,
    /// None yet, for nobody has compiled it.
    Missing,
}

const INTERPRETED: &str = "interpreted";
const MISSING: &str = "missing";
const COMPILED: &str = "compiled";

/// What the node's default is, where a container has no annotation.
///
/// # Errors
/// [`Error::Usage`]: the variable names no such engine.
pub fn node_default() -> Result<Engine> {
    let Some(named) = std::env::var_os(ENGINE_VARIABLE) else { return Ok(Engine::Interpreted) };
    let known = named.to_str().and_then(Engine::parse);
    known.ok_or_else(|| {
        Error::Usage(format!(
            "the environment says {ENGINE_VARIABLE}={}: set it to interpreted, compiled or auto",
            named.display()
        ))
    })
}

/// The cache of this user.
pub fn cache() -> Cache {
    Cache::new(default_directory(nix::unistd::geteuid().is_root()))
}

/// Asks the runtime, from a container's process.
///
/// # Errors
/// The runtime is gone; it ends this process if the container cannot be created.
pub fn ask(channel: &Channel, module: &File, native: Native) -> Result<Answer> {
    channel.tell(&FromInit::Module(native))?;
    channel.hand_over(module)?;
    let ToInit::Continue(word) = channel.wait()?;
    Ok(match word.as_str() {
        COMPILED => {
            let (runner, artifact) = (channel.take_over()?, channel.take_over()?);
            Answer::Compiled(Compiled { runner, artifact })
        }
        MISSING => Answer::Missing,
        _ => Answer::Interpreted,
    })
}

/// Answers [`ask`].
///
/// # Errors
/// [`Error::Workload`]: `compiled` is wanted or required, and cannot be.
pub fn answer(channel: &Channel, native: &Native, engine: Option<Engine>, log: &Log) -> Result<()> {
    let module = File::from(channel.take_over()?);
    let engine = engine.map_or_else(node_default, Ok)?;
    let found = match native {
        Native::Wanted => find(&module, engine, log)?,
        Native::Required(reason) => {
            let required = find(&module, Engine::Compiled, log);
            required.map_err(|error| Error::Workload(format!("{reason}: {}", chain(&error))))?
        }
        Native::ForTheNext => {
            if let Err(error) = compile_for_the_next(&module, log) {
                log.warning(&format!("the module is not compiled: {}", chain(&error)));
            }
            Answer::Interpreted
        }
    };
    match found {
        Answer::Interpreted => channel.answer(&ToInit::Continue(INTERPRETED.to_owned())),
        Answer::Missing => channel.answer(&ToInit::Continue(MISSING.to_owned())),
        Answer::Compiled(Compiled { runner, artifact }) => {
            channel.answer(&ToInit::Continue(COMPILED.to_owned()))?;
            channel.hand_over(&runner)?;
            channel.hand_over(&artifact)
        }
    }
}

fn find(module: &File, engine: Engine, log: &Log) -> Result<Answer> {
    if engine == Engine::Interpreted {
        return Ok(Answer::Interpreted);
    }
    let waits = engine == Engine::Compiled;
    let digest = Digest::of(module).act(|| "read the module".to_owned())?;
    let cache = cache();
    let known = match cache.look_up(&digest) {
        Ok(Found::Missing) if waits => fill(&cache, module, &digest, Urgency::Waiting(PATIENCE))?,
        Ok(known) => known,
        Err(error) if waits => {
            return Err(error).act(|| format!("look {digest} up in {}", cache.top().display()));
        }
        Err(error) => {
            log.warning(&format!("compiled modules are not used: {error}"));
            return Ok(Answer::Interpreted);
        }
    };
    let no_use = |reason: String| {
        if waits {
            return Err(Error::Workload(reason));
        }
        log.debug(|| format!("runs interpreted: {reason}"));
        Ok(Answer::Interpreted)
    };
    match known {
        Found::Compiled(path, _) => match open_both(&path) {
            Ok(compiled) => {
                log.debug(|| format!("runs {} compiled", path.display()));
                Ok(Answer::Compiled(compiled))
            }
            // Removed a moment ago, or half installed.
            Err(error) if !waits => {
                log.warning(&format!("the module runs interpreted: {}", chain(&error)));
                Ok(Answer::Interpreted)
            }
            Err(error) => Err(error),
        },
        Found::Refused(reason) => no_use(format!("the module cannot run compiled: {reason}")),
        Found::Missing if cache.is_being_filled(&digest) => {
            no_use(format!("{digest} is being compiled"))
        }
        Found::Missing => no_use(format!("{digest} is not compiled yet")).map(|_| Answer::Missing),
    }
}

/// Compiles what is missing.
///
/// # Errors
/// [`Error::Workload`], [`Error::Os`]: nothing of it is in the cache.
pub fn fill(cache: &Cache, module: &File, digest: &Digest, urgency: Urgency) -> Result<Found> {
    let compiler = Compiler(find_program(COMPILER)?);
    let filled = cache.fill(module, digest, &compiler, urgency);
    filled.map_err(|failure| match failure {
        Failure::Os { act, source } => Error::Os { act, source },
        other @ Failure::Compiler { .. } => Error::Workload(format!("compile the module: {other}")),
    })
}

/// Starts a process that compiles `module` and that nobody waits for. What it has to say goes to
/// the file of `log`, if there is one: the caller's standard error is not kept open for it.
fn compile_for_the_next(module: &File, log: &Log) -> Result<()> {
    find_program(COMPILER)?;
    let module = module.try_clone().act(|| "hand the module to the compiler".to_owned())?;
    let mut command = Command::new("/proc/self/exe");
    // It finds the other programs as this one did: self_exe.rs leaves the place in the environment.
    if let Some(file) = &log.file {
        let file = std::path::absolute(file).act(|| format!("log to {}", file.display()))?;
        let format = if log.format == Format::Json { "json" } else { "text" };
        command.arg("--log").arg(file).args(["--log-format", format]);
    }
    command
        .args(["cache", "fill"])
        .current_dir("/")
        .stdin(module)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It goes on in a child of its own, and ends at once.
    command.status().map(drop).act(|| "start the compilation".to_owned())
}

fn open_both(path: &Path) -> Result<Compiled> {
    let artifact = open_artifact(path);
    let artifact = artifact.act(|| format!("open the compiled module {}", path.display()))?;
    Ok(Compiled { runner: open_program(RUNNER)?, artifact })
}

/// Opens native code for reading, so that nobody in a container can write it.
fn open_artifact(path: &Path) -> io::Result<OwnedFd> {
    // A mount's descriptor can be executed, but not mapped.
    let mount = self_exe::read_only(path)?;
    File::open(format!("/proc/self/fd/{}", mount.as_raw_fd())).map(OwnedFd::from)
}

/// Opens a program of ours so that nobody in a container can write it.
fn open_program(name: &str) -> Result<OwnedFd> {
    let path = find_program(name)?;
    self_exe::read_only(&path).act(|| format!("open {}", path.display()))
}

/// Finds a program of ours: beside the runtime, else where packages put it.
fn find_program(name: &str) -> Result<PathBuf> {
    let own = self_exe::path();
    let directory = own.parent().unwrap_or(Path::new("/"));
    let places = [
        directory.join(name),
        directory.join("../libexec/wamr-crun").join(name),
        Path::new(INSTALLED).join(name),
    ];
    for place in &places {
        match place.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => {
                found.act(|| format!("look at {}", place.display()))?;
                return Ok(place.clone());
            }
        }
    }
    let tried: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    Err(Error::Workload(format!(
        "{name} is not installed, so no module runs compiled: put it beside {} (tried {})",
        own.display(),
        tried.join(", ")
    )))
}

/// Which engine runs a Wasm container whose first process is `pid`, as the process itself shows; a
/// native one has none.
pub fn engine_of(pid: i32) -> Option<&'static str> {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    // Ours has no place among the mounts, or is a copy in memory.
    if program != Path::new("/") && !program.to_str()?.starts_with("/memfd:") {
        return None;
    }
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    match arguments.split(|byte| *byte == 0).next()? {
        b"wasmtime-runner" => Some(COMPILED),
        b"wamr-runner" => Some(INTERPRETED),
        _ => None,
    }
}

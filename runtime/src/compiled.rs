//! When a guest runs compiled: the runtime's side of the question, outside of the container.
//!
//! The init finds the module in the container's root and hands it over; what it gets back is the
//! word that the interpreter is to run it, or the runner of compiled modules and the module's
//! native code, each opened so that nobody in the container can write it. The cache itself is never
//! in a container's view.

use crate::compilation::{self, Awaited, Terms};
use crate::error::{Act, Error, Result, chain};
use crate::installed::{self, COMPILER, RUNNER};
use crate::namespaces::is_root_of_machine;
use crate::process::channel::{Channel, FromInit, Native, ToInit};
use crate::rlimits::Rlimit;
use crate::self_exe;
use crate::workload::{Engine, WasmOptions};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use wamr_cache::{Cache, Digest, Found, default_directory};

/// How a module without the annotation is run on this node.
const ENGINE_VARIABLE: &str = "WAMR_CRUN_ENGINE";

/// A module of this size is compiled in the time that a container takes to be created, and `auto`
/// waits for it (docs/engines.md has the measurement).
const QUICK_MODULE_BYTES: u64 = 64 << 10;

/// Of address space: what Wasmtime reserves for a memory and around it, and as much again.
const LEAST_ADDRESS_SPACE_BYTES: u64 = 8 << 30;
/// What a compiled guest's stack can be at most.
const MOST_STACK_BYTES: u32 = 64 << 20;

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

/// What a container asks for, and with what limits.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its annotations.
    pub wasm: &'a WasmOptions,
    /// Its resource limits.
    pub rlimits: &'a [Rlimit],
    /// What a compiler is told.
    pub terms: Terms<'a>,
}

/// What the environment has for containers without an annotation.
///
/// # Errors
/// [`Error::Usage`]: the variable names no such engine.
fn node_default() -> Result<Option<Engine>> {
    let Some(named) = std::env::var_os(ENGINE_VARIABLE) else { return Ok(None) };
    let known = named.to_str().and_then(Engine::parse);
    known.map(Some).ok_or_else(|| {
        Error::Usage(format!(
            "the environment says {ENGINE_VARIABLE}={}: set it to interpreted, compiled or auto",
            named.display()
        ))
    })
}

/// The cache of this user.
pub fn cache() -> Cache {
    Cache::new(default_directory(is_root_of_machine()))
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
pub fn answer(channel: &Channel, native: &Native, asked: Asked) -> Result<()> {
    let module = File::from(channel.take_over()?);
    let named = asked.wasm.engine.map_or_else(node_default, |engine| Ok(Some(engine)))?;
    let found = match native {
        Native::Wanted => match named {
            Some(Engine::Interpreted) => Answer::Interpreted,
            Some(Engine::Compiled) => Answer::Compiled(find(&module, asked)?),
            Some(Engine::Auto) | None => find_if_any(&module, named.is_none(), asked)?,
        },
        Native::Required(reason) if named == Some(Engine::Interpreted) => {
            return Err(Error::Workload(format!("{reason}; {REMEDY}")));
        }
        Native::Required(reason) => {
            let required = find(&module, asked);
            Answer::Compiled(
                required
                    .map_err(|error| Error::Workload(format!("{reason}: {}", chain(&error))))?,
            )
        }
        Native::ForTheNext => {
            if let Err(error) = compilation::for_the_next(&module, asked.terms) {
                let text = format!("the module is not compiled: {}", chain(&error));
                asked.terms.log.note(&text);
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

/// What to do where the interpreter was chosen for a module that it does not run.
pub const REMEDY: &str = "set the annotation org.wamr-crun.wasm.engine to compiled or auto";

/// Native code for a container that runs with it or not at all.
fn find(module: &File, asked: Asked) -> Result<Compiled> {
    let digest = Digest::of(module).act(|| "read the module".to_owned())?;
    let cache = cache();
    let found = cache.look_up(&digest);
    let found = match found.act(|| format!("look {digest} up in {}", cache.top().display()))? {
        Found::Missing => {
            compilation::for_this_one(&cache, module, &digest, Awaited::Needed, asked.terms)?
        }
        found => found,
    };
    let refuse = |reason: String| Err(Error::Workload(reason));
    match found {
        Found::Compiled(path, _) => {
            asked.terms.log.debug(|| format!("runs {} compiled", path.display()));
            open_both(&path)
        }
        Found::Refused(reason) => refuse(format!("the module cannot run compiled: {reason}")),
        Found::Missing => refuse(
            "compile the module: it takes longer than a container may wait, and goes on: try again"
                .to_owned(),
        ),
    }
}

/// Native code for a container that runs without as well: what goes wrong is for the log.
fn find_if_any(module: &File, is_default: bool, asked: Asked) -> Result<Answer> {
    let log = asked.terms.log;
    let without = |reason: &str| {
        log.debug(|| format!("runs interpreted: {reason}"));
        Ok(Answer::Interpreted)
    };
    // Nobody has asked for it, so nothing is missing.
    if is_default && (installed::find(RUNNER).is_err() || installed::find(COMPILER).is_err()) {
        return without("this node has no compiler");
    }
    if let Some(reason) = unfit(asked.wasm.stack_bytes, asked.rlimits) {
        return without(reason);
    }
    let digest = Digest::of(module).act(|| "read the module".to_owned())?;
    let cache = cache();
    match look_up_or_wait(&cache, module, &digest, asked) {
        Ok(Found::Compiled(path, _)) => match open_both(&path) {
            Ok(compiled) => {
                log.debug(|| format!("runs {} compiled", path.display()));
                Ok(Answer::Compiled(compiled))
            }
            // Removed a moment ago, or half installed.
            Err(error) => {
                log.note(&format!("the module runs interpreted: {}", chain(&error)));
                Ok(Answer::Interpreted)
            }
        },
        Ok(Found::Refused(reason)) => without(&format!("it cannot run compiled: {reason}")),
        Ok(Found::Missing) => {
            if let Some(reason) = cache.failed_lately(&digest) {
                return without(&format!("compiling it has failed: {reason}"));
            }
            if cache.is_being_filled(&digest) {
                return without(&format!("{digest} is being compiled"));
            }
            without(&format!("{digest} is not compiled yet")).map(|_| Answer::Missing)
        }
        Err(error) => {
            log.note(&format!("compiled modules are not used: {}", chain(&error)));
            Ok(Answer::Interpreted)
        }
    }
}

/// What the cache has; if nothing, and the module is small, what it has in a moment.
fn look_up_or_wait(cache: &Cache, module: &File, digest: &Digest, asked: Asked) -> Result<Found> {
    let act = || format!("look {digest} up in {}", cache.top().display());
    let found = cache.look_up(digest).act(act)?;
    if !matches!(found, Found::Missing) {
        return Ok(found);
    }
    cache.may_be_filled().act(|| format!("write to {}", cache.top().display()))?;
    let is_quick = module.metadata().is_ok_and(|found| found.len() <= QUICK_MODULE_BYTES);
    if !is_quick || cache.failed_lately(digest).is_some() {
        return Ok(found);
    }
    compilation::for_this_one(cache, module, digest, Awaited::Quick, asked.terms)
}

/// Why a container's limits fit the interpreter only. Pure.
fn unfit(stack_bytes: u32, rlimits: &[Rlimit]) -> Option<&'static str> {
    let mut limits = rlimits.iter().filter(|limit| limit.resource == libc::RLIMIT_AS);
    if limits.any(|limit| limit.soft < LEAST_ADDRESS_SPACE_BYTES) {
        return Some("RLIMIT_AS is less than native code reserves");
    }
    (stack_bytes > MOST_STACK_BYTES).then_some("no compiled guest can have such a stack")
}

fn open_both(path: &Path) -> Result<Compiled> {
    let artifact = open_artifact(path);
    let artifact = artifact.act(|| format!("open the compiled module {}", path.display()))?;
    Ok(Compiled { runner: installed::open(RUNNER)?, artifact })
}

/// Opens native code for reading, so that nobody in a container can write it.
fn open_artifact(path: &Path) -> io::Result<OwnedFd> {
    // A mount's descriptor can be executed, but not mapped.
    let mount = self_exe::read_only(path)?;
    File::open(format!("/proc/self/fd/{}", mount.as_raw_fd())).map(OwnedFd::from)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_native_code_does_not_fit_are_the_interpreters() {
        let limit = |resource, soft| Rlimit { resource, soft, hard: u64::MAX };
        for (stack_bytes, rlimits, fits) in [
            (8 << 20, vec![], true),
            (8 << 20, vec![limit(libc::RLIMIT_AS, u64::MAX)], true),
            (8 << 20, vec![limit(libc::RLIMIT_DATA, 1)], true),
            (8 << 20, vec![limit(libc::RLIMIT_AS, 4 << 30)], false),
            (MOST_STACK_BYTES, vec![], true),
            (MOST_STACK_BYTES + 1, vec![], false),
        ] {
            let got = unfit(stack_bytes, &rlimits);
            assert_eq!(got.is_none(), fits, "{stack_bytes} {rlimits:?}: {got:?}");
        }
    }
}

//! `cache`: the compiled modules of this node, looked after by hand.

use crate::cli::{Cache as Act, Global};
use crate::compiler_groups::Groups;
use crate::error::{Act as _, Error, Result, chain};
use crate::process::identity::set_oom_score;
use crate::sys::fd::{close_from, take_inherited};
use crate::sys::process::{Cloned, clone3, exit_now, set_rlimit};
use crate::workload::{Magic, magic};
use crate::{compilation, compiled};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wamr_cache::{Cache, Digest, Found, Urgency};

/// A person waits longer than a container, and for as many modules as they name.
const PERSON: Urgency = Urgency::Waiting(Duration::from_hours(1));

/// The highest `oom_score_adj`.
const FIRST_TO_GO: i32 = 1000;
const TOO_LARGE: &str = "the cache holds less than its native code";

/// Performs `act`.
///
/// # Errors
/// [`Error::Os`]; [`Error::Workload`]: a module was not compiled.
pub fn cache(global: &Global, act: &Act) -> Result<()> {
    let cache = compiled::cache();
    match act {
        Act::List => list(&cache),
        Act::Verify => verify(&cache),
        Act::Prune { most_bytes } => prune(&cache, *most_bytes),
        Act::Warm { files } => warm(&cache, files),
        Act::Fill { awaited, most_cpu_seconds } => {
            let limited = most_cpu_seconds.map_or(Ok(()), |most| {
                let act = || format!("limit processor time to {most} s");
                set_rlimit(libc::RLIMIT_CPU, most, most).act(act)
            });
            limited.and_then(|()| fill(global, &cache, *awaited))
        }
    }
}

fn print(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}").act(|| "write to stdout".to_owned())
}

fn list(cache: &Cache) -> Result<()> {
    let entries = cache.list().act(|| format!("list {}", cache.top().display()))?;
    let heading = ["MODULE", "MODULE BYTES", "COMPILED BYTES", "COMPILED IN", "LAST USED"];
    let [module, from, to, took, used] = heading;
    print(&format!("{module:<64}  {from:>12}  {to:>14}  {took:>11}  {used}"))?;
    for entry in entries {
        match entry.content {
            Ok(record) => {
                let (from, to) = (record.module_bytes, record.artifact_bytes);
                let took = format!("{} ms", record.compile_ms);
                let used = time(entry.used);
                print(&format!("{}  {from:>12}  {to:>14}  {took:>11}  {used}", entry.module))?;
            }
            Err(reason) => print(&format!("{}  not compiled: {}", entry.module, reason.trim()))?,
        }
    }
    Ok(())
}

fn time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "?".to_owned(), |time| format!("{time:.0}"))
}

fn verify(cache: &Cache) -> Result<()> {
    let damaged = cache.verify().act(|| format!("verify {}", cache.top().display()))?;
    for module in &damaged {
        print(&format!("{module}: damaged, removed"))?;
    }
    print(&format!("{} damaged", damaged.len()))
}

fn prune(cache: &Cache, most_bytes: u64) -> Result<()> {
    let pruned = cache.prune(most_bytes).act(|| format!("prune {}", cache.top().display()))?;
    print(&format!("{} removed, {} bytes", pruned.entries, pruned.bytes))
}

/// Goes on after a module that cannot be compiled: the others of an image may be.
fn warm(cache: &Cache, files: &[PathBuf]) -> Result<()> {
    let mut failed = None;
    for named in files {
        let mut modules = Vec::new();
        gather(named, true, &mut modules)?;
        for (path, module) in modules {
            let name = path.display();
            let line = match warm_one(cache, module, PERSON) {
                Ok(Found::Compiled(..)) => format!("{name}: compiled"),
                Ok(Found::Refused(reason)) => format!("{name}: not compiled: {}", reason.trim()),
                Ok(Found::Missing) => format!("{name}: not compiled: {TOO_LARGE}"),
                Err(error) => {
                    let line = format!("{name}: {}", chain(&error));
                    failed.get_or_insert(error);
                    line
                }
            };
            print(&line)?;
        }
    }
    failed.map_or(Ok(()), Err)
}

fn warm_one(cache: &Cache, module: File, urgency: Urgency) -> Result<Found> {
    let digest = Digest::of(&module).act(|| "read the module".to_owned())?;
    compilation::fill(cache, module, &digest, urgency)
}

/// The modules at `path`: itself, or the files below it. Links are not followed.
fn gather(path: &Path, named: bool, modules: &mut Vec<(PathBuf, File)>) -> Result<()> {
    let act = || format!("read {}", path.display());
    let found = fs::symlink_metadata(path).act(act)?;
    if found.is_dir() {
        for entry in fs::read_dir(path).act(act)? {
            gather(&entry.act(act)?.path(), false, modules)?;
        }
        return Ok(());
    }
    if !found.is_file() && !named {
        return Ok(());
    }
    let file = File::open(path).act(act)?;
    let mut head = [0; 8];
    let is_module = file.read_exact_at(&mut head, 0).is_ok() && magic(&head) == Magic::Module;
    if !is_module && named {
        return Err(Error::Usage(format!("{} is no WebAssembly module", path.display())));
    }
    if is_module {
        modules.push((path.to_owned(), file));
    }
    Ok(())
}

/// The process that outlives the container's creation: in a session and control groups of its own,
/// with nothing of the container's.
fn fill(global: &Global, cache: &Cache, awaited: bool) -> Result<()> {
    let act = || "take the module over".to_owned();
    let (module, said) = (take_inherited(0).act(act)?, take_inherited(1).act(act)?);
    let (module, mut said) = (File::from(module), File::from(said));
    close_from(3).act(|| "close what was inherited".to_owned())?;
    if let Cloned::Parent(_) =
        clone3(0, None).act(|| "clone3: go on in the background".to_owned())?
    {
        exit_now(0);
    }
    nix::unistd::setsid().act(|| "make a session".to_owned())?;
    // Engines protect themselves, and so their children, from being killed for want of memory: this
    // one is the first that goes.
    set_oom_score(std::process::id() as i32, FIRST_TO_GO).ok();
    let log = global.log();
    let groups = Groups::enter(global.cgroup_driver(), awaited);
    if let Err(error) = &groups {
        log.debug(|| format!("compiles in the caller's control groups: {}", chain(error)));
    }
    let filled = warm_one(cache, module, if awaited { PERSON } else { Urgency::Background });
    let failure = match filled {
        // Or somebody else compiles it, and this one has not waited.
        Ok(Found::Missing) if awaited => Some(format!("compile the module: {TOO_LARGE}")),
        Ok(_) => None,
        Err(error) => Some(chain(&error)),
    };
    // Standard error leads nowhere.
    match failure {
        // Who waits may be gone.
        Some(text) if awaited => drop(said.write_all(text.as_bytes())),
        Some(text) => log.note(&text),
        None => {}
    }
    drop(said);
    if let Ok(groups) = groups {
        groups.leave();
    }
    Ok(())
}

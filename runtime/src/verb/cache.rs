//! `cache`: the compiled modules of this node, looked after by hand.

use crate::cli::{Cache as Act, Global};
use crate::compiled;
use crate::error::{Act as _, Error, Result, chain};
use crate::sys::fd::{close_from, take_inherited};
use crate::sys::process::{Cloned, clone3, exit_now};
use crate::workload::{Magic, magic};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wamr_cache::{Cache, Digest, Found, Urgency};

/// A person waits longer than a container, and for as many modules as they name.
const PERSON: Urgency = Urgency::Waiting(Duration::from_hours(1));

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
        Act::Fill => fill(&cache).inspect_err(|error| {
            // Standard error leads nowhere.
            global.log().warning(&chain(error));
        }),
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
            let line = match warm_one(cache, &module, PERSON) {
                Ok(Found::Compiled(..)) => format!("{name}: compiled"),
                Ok(Found::Refused(reason)) => format!("{name}: not compiled: {}", reason.trim()),
                Ok(Found::Missing) => {
                    format!("{name}: not compiled: the cache holds less than this")
                }
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

fn warm_one(cache: &Cache, module: &File, urgency: Urgency) -> Result<Found> {
    let digest = Digest::of(module).act(|| "read the module".to_owned())?;
    compiled::fill(cache, module, &digest, urgency)
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

/// The process that nobody waits for: in a session of its own, with nothing of a container's.
fn fill(cache: &Cache) -> Result<()> {
    let module = File::from(take_inherited(0).act(|| "take the module over".to_owned())?);
    close_from(3).act(|| "close what was inherited".to_owned())?;
    if let Cloned::Parent(_) =
        clone3(0, None).act(|| "clone3: go on in the background".to_owned())?
    {
        exit_now(0);
    }
    nix::unistd::setsid().act(|| "make a session".to_owned())?;
    warm_one(cache, &module, Urgency::Background).map(drop)
}

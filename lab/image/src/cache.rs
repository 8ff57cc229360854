//! The cache folder: finished stages by key, built one process at a time.
//!
//! ```text
//! CACHE/image.json          the finished node image
//! CACHE/image-containerd-RELEASE.json   the same with another release of containerd
//! CACHE/stages/NAME-KEY/    what a stage made; stage.json in it describes it
//! CACHE/work/               unfinished stages; emptied when the next build begins
//! CACHE/logs/NAME.log       what the tools said, of the newest build of each stage
//! CACHE/go/{mod,build}      Go's own caches
//! CACHE/cargo/NAME/         what cargo compiled for a peer that is not finished
//! CACHE/lock                held by the process that builds
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::{Context as _, IntoDiagnostic as _, Result};
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wamr_progress::{Progress, Step};

use crate::tool::Log;

/// How often a process looks whether another one has finished building.
const LOCK_POLL: Duration = Duration::from_millis(500);

/// The default place, unless `WAMR_LAB_CACHE` names another.
const DEFAULT: &str = "/var/cache/wamr-lab";

/// The cache that the environment names: `WAMR_LAB_CACHE`, else `/var/cache/wamr-lab`.
pub fn default_cache() -> PathBuf {
    std::env::var_os("WAMR_LAB_CACHE").map_or_else(|| DEFAULT.into(), PathBuf::from)
}

/// A cache folder that this process alone builds in.
pub struct Cache {
    folder: PathBuf,
    _lock: Flock<File>,
}

/// What a stage works with.
pub struct Bench<'a> {
    /// Where its result goes: an empty folder.
    pub out: PathBuf,
    /// An empty folder that is thrown away.
    pub scratch: PathBuf,
    /// Takes the output of tools.
    pub log: Log,
    /// Shows how far it is.
    pub step: &'a Step,
}

/// What a stage is called.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// Names its folder and its log.
    pub name: &'a str,
    /// What a person reads.
    pub title: &'a str,
    /// The key of its inputs.
    pub key: &'a str,
    /// Number of pieces, 0 if that is not known beforehand.
    pub pieces: u64,
}

impl Cache {
    /// Opens the cache and waits until no other process builds in it.
    ///
    /// # Errors
    /// The folder cannot be made or locked.
    pub fn open(folder: &Path, progress: &Progress) -> Result<Self> {
        let failed = |what: &str| format!("cannot {what} the cache {}", folder.display());
        for part in ["stages", "work", "logs", "go"] {
            fs::create_dir_all(folder.join(part))
                .into_diagnostic()
                .with_context(|| failed("make"))?;
        }
        let file = File::create(folder.join("lock")).into_diagnostic();
        let lock = wait_for(file.with_context(|| failed("lock"))?, progress)
            .into_diagnostic()
            .with_context(|| failed("lock"))?;
        let cache = Self { folder: folder.to_owned(), _lock: lock };
        // Left behind by a build that was ended from outside. Its mounts died with it: they were
        // made in a mount namespace of their own.
        empty(&folder.join("work")).into_diagnostic().with_context(|| failed("tidy"))?;
        Ok(cache)
    }

    /// Go's caches are shared by all stages that use Go.
    pub fn go_folder(&self) -> PathBuf {
        self.folder.join("go")
    }

    /// Where cargo compiles, a folder per peer. Unlike a stage's scratch it outlives a build that
    /// is broken off, which then goes on where it was.
    pub fn cargo_folder(&self) -> PathBuf {
        self.folder.join("cargo")
    }

    /// The folder of a stage and its description, building it if it is missing.
    ///
    /// # Errors
    /// What `build` reports; the folder cannot be written.
    pub fn stage<T: Serialize + DeserializeOwned>(
        &self,
        stage: Stage<'_>,
        progress: &Progress,
        build: impl FnOnce(&mut Bench<'_>) -> Result<T>,
    ) -> Result<(PathBuf, T)> {
        let folder = stage_folder(&self.folder, stage.name, stage.key);
        if let Some(description) = read_description(&folder) {
            return Ok((folder, description));
        }
        let step = progress.counted(stage.title, stage.pieces);
        match self.build(stage, &folder, &step, build) {
            Ok(description) => {
                step.done("built");
                Ok((folder, description))
            }
            Err(error) => {
                step.failed(&format!("log: {}", self.log_path(stage.name).display()));
                Err(error.wrap_err(format!("{} could not be built", stage.title)))
            }
        }
    }

    fn build<T: Serialize>(
        &self,
        stage: Stage<'_>,
        folder: &Path,
        step: &Step,
        build: impl FnOnce(&mut Bench<'_>) -> Result<T>,
    ) -> Result<T> {
        let work = self.folder.join("work").join(stage.name);
        let make = |part: &str| -> Result<PathBuf> {
            let path = work.join(part);
            fs::create_dir_all(&path)
                .into_diagnostic()
                .with_context(|| format!("cannot make {}", path.display()))?;
            Ok(path)
        };
        let log = Log::create(&self.log_path(stage.name))?;
        let mut bench = Bench { out: make("out")?, scratch: make("scratch")?, log, step };
        let description = build(&mut bench)?;
        let finish = || -> io::Result<()> {
            let text = serde_json::to_vec_pretty(&description)?;
            fs::write(bench.out.join("stage.json"), text)?;
            // A stage without a readable description is one that another version left here.
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::rename(&bench.out, folder)?;
            fs::remove_dir_all(&work)
        };
        finish()
            .into_diagnostic()
            .with_context(|| format!("cannot put the result into {}", folder.display()))?;
        Ok(description)
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }
}

/// Where the result of a stage lies.
pub fn stage_folder(cache: &Path, name: &str, key: &str) -> PathBuf {
    cache.join("stages").join(format!("{name}-{key}"))
}

/// Writes `value` to `path` as JSON, in one act.
///
/// # Errors
/// It cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        let unfinished = path.with_extension("json.new");
        fs::write(&unfinished, text)?;
        fs::rename(&unfinished, path)
    };
    write().into_diagnostic().with_context(|| format!("cannot write {}", path.display()))
}

fn read_description<T: DeserializeOwned>(folder: &Path) -> Option<T> {
    let text = fs::read(folder.join("stage.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

fn wait_for(mut file: File, progress: &Progress) -> io::Result<Flock<File>> {
    let mut waiting = None;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                if let Some(step) = waiting.take() {
                    Step::done(step, "it is done");
                }
                return Ok(lock);
            }
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => file,
            Err((_, error)) => return Err(error.into()),
        };
        waiting.get_or_insert_with(|| progress.step("waiting for another process that builds"));
        std::thread::sleep(LOCK_POLL);
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: Stage<'_> = Stage { name: "thing", title: "a thing", key: "0123", pieces: 0 };

    fn open() -> (tempfile::TempDir, Cache, Progress) {
        let folder = tempfile::tempdir().unwrap();
        let progress = Progress::new();
        let cache = Cache::open(folder.path(), &progress).unwrap();
        (folder, cache, progress)
    }

    #[test]
    fn a_stage_is_built_once() {
        let (_folder, cache, progress) = open();
        let mut built = 0;
        for _ in 0..2 {
            let (folder, text) = cache
                .stage(STAGE, &progress, |bench| {
                    built += 1;
                    fs::write(bench.out.join("result"), "42").into_diagnostic()?;
                    Ok("described".to_owned())
                })
                .unwrap();
            assert_eq!(fs::read_to_string(folder.join("result")).unwrap(), "42");
            assert_eq!(text, "described");
        }
        assert_eq!(built, 1);
        let other = Stage { key: "4567", ..STAGE };
        assert!(cache.stage::<String>(other, &progress, |_| miette::bail!("asked for")).is_err());
    }

    #[test]
    fn a_failed_stage_leaves_nothing_that_counts() {
        let (folder, cache, progress) = open();
        let failed = cache.stage::<String>(STAGE, &progress, |bench| {
            fs::write(bench.out.join("half"), "").into_diagnostic()?;
            miette::bail!("no luck")
        });
        let error = format!("{:?}", failed.unwrap_err());
        assert!(error.contains("a thing") && error.contains("no luck"), "{error}");
        assert!(!stage_folder(folder.path(), "thing", "0123").exists());
        assert!(folder.path().join("work/thing/out/half").exists());
        drop(cache);
        let again = Cache::open(folder.path(), &progress).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
        let (result, _) = again.stage(STAGE, &progress, |_| Ok("now".to_owned())).unwrap();
        assert!(!result.join("half").exists());
    }

    #[test]
    fn a_second_process_waits_for_the_lock() {
        let (folder, cache, _) = open();
        let other = File::create(folder.path().join("lock")).unwrap();
        let refused = Flock::lock(other, FlockArg::LockExclusiveNonblock);
        assert!(matches!(refused, Err((_, nix::errno::Errno::EWOULDBLOCK))));
        drop(cache);
        let other = File::create(folder.path().join("lock")).unwrap();
        assert!(Flock::lock(other, FlockArg::LockExclusiveNonblock).is_ok());
    }
}

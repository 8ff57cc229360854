//! Makes the programs, natively and as modules, each in a root file system of its own:
//! `OUT/PROGRAM/native` and `OUT/PROGRAM/wasm`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use wamr_progress::Progress;

use super::engine::PEER_FILES;
use super::program::{Program, Side, Source};

/// SQLite's sources, in a crate; cargo compares its digest.
const SQLITE_MANIFEST: &str = "[package]\nname = \"sources\"\nversion = \"0.0.0\"\n\
    edition = \"2021\"\n[lib]\npath = \"empty.rs\"\n[dependencies]\n\
    libsqlite3-sys = { version = \"=0.40.0\", default-features = false }\n[workspace]\n";
const SQLITE_LOCK: &str = "version = 4\n[[package]]\nname = \"libsqlite3-sys\"\n\
    version = \"0.40.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
    checksum = \"b06e69070b7e12262b0cd90832f0a7396f142a2b330181255562decf9f0c6215\"\n\
    [[package]]\nname = \"sources\"\nversion = \"0.0.0\"\ndependencies = [\"libsqlite3-sys\"]\n";
/// One thread, nothing loaded at run time, no temporary files: the container has no place for them.
const SQLITE_OPTIONS: [&str; 4] = [
    "-DSQLITE_THREADSAFE=0",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DSQLITE_DEFAULT_MEMSTATUS=0",
    "-DSQLITE_TEMP_STORE=3",
];

/// The same for gcc and clang. Neither may fuse a product and a sum: WebAssembly does not.
const C_OPTIONS: [&str; 3] = ["-O2", "-std=gnu11", "-ffp-contract=off"];

/// Makes the `programs` below `out`, and copies the peers that are built in the lab's `cache`.
///
/// # Errors
/// A compiler or a download fails.
pub fn build(repository: &Path, cache: &Path, out: &Path, programs: &[&Program]) -> Result<()> {
    let out = std::path::absolute(out).into_diagnostic()?;
    let progress = Progress::new();
    let wheels = wheels(cache, programs, &progress)?;
    let python = if wheels.is_empty() {
        PathBuf::new()
    } else {
        wamr_image::python_layer(cache, &progress)?
    };
    let place = Place { repository, out: &out, wheels: &wheels, python: &python };
    for program in programs {
        let step = progress.step(program.title);
        place.make(program).wrap_err_with(|| format!("make {}", program.name))?;
        step.done("is there");
    }
    peers(cache, &out.join("peers"))
}

fn wheels(
    cache: &Path,
    programs: &[&Program],
    progress: &Progress,
) -> Result<BTreeMap<String, PathBuf>> {
    let names = programs.iter().filter_map(|program| match program.source {
        Source::Script { wheel, .. } => Some(wheel.to_owned()),
        Source::C { .. } | Source::Sqlite(_) | Source::Go(_) => None,
    });
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    wamr_image::wheel::ensure(cache, &names, progress)
}

/// What peers there are; nothing is built here: that takes many minutes.
fn peers(cache: &Path, to: &Path) -> Result<()> {
    let wanted = PEER_FILES.map(str::to_owned).into();
    for folder in ["bin", "lib"] {
        fs::create_dir_all(to.join(folder)).into_diagnostic()?;
    }
    for (file, from) in wamr_image::peers::built(cache, &wanted)? {
        copy(&from, &to.join(file))?;
    }
    Ok(())
}

struct Place<'a> {
    repository: &'a Path,
    out: &'a Path,
    wheels: &'a BTreeMap<String, PathBuf>,
    python: &'a Path,
}

impl Place<'_> {
    fn make(&self, program: &Program) -> Result<()> {
        for side in [Side::Native, Side::Wasm] {
            let Some(words) = program.command(side) else { continue };
            let root = self.out.join(program.name).join(side.folder());
            fs::create_dir_all(root.join("proc")).into_diagnostic()?;
            let to = root.join(words[0].trim_start_matches('/'));
            match program.source {
                Source::C { file, simd } => {
                    run(compiler(side, simd).arg("-o").arg(&to).arg(self.file(file)).arg("-lm"))?;
                }
                Source::Sqlite(file) => self.sqlite(side, file, &to)?,
                Source::Go(file) => run(&mut go(side, &to, &self.file(file)))?,
                Source::Script { wheel, file, .. } => {
                    copy(&self.file(file), &root.join(words[1].trim_start_matches('/')))?;
                    match side {
                        Side::Wasm => copy(&self.wheels[wheel], &to)?,
                        Side::Native => unpack(self.python, &root)?,
                    }
                }
            }
        }
        Ok(())
    }

    fn file(&self, path: &str) -> PathBuf {
        self.repository.join(path)
    }

    fn sqlite(&self, side: Side, driver: &str, to: &Path) -> Result<()> {
        // Minutes on a slow machine, and nothing in it changes but with this program.
        if to.exists() {
            return Ok(());
        }
        let sources = sqlite_sources(&self.out.join("sources"))?;
        let mut command = compiler(side, false);
        command.args(SQLITE_OPTIONS).arg("-I").arg(&sources).arg("-o").arg(to);
        command.arg(self.file(driver)).arg(sources.join("sqlite3.c"));
        if side == Side::Wasm {
            command.arg("-DSQLITE_OS_OTHER").arg(sources.join("wasm32-wasi-vfs.c"));
        }
        run(command.arg("-lm"))
    }
}

/// The folder of SQLite's own sources.
fn sqlite_sources(scratch: &Path) -> Result<PathBuf> {
    fs::create_dir_all(scratch).into_diagnostic()?;
    for (name, text) in
        [("Cargo.toml", SQLITE_MANIFEST), ("Cargo.lock", SQLITE_LOCK), ("empty.rs", "")]
    {
        fs::write(scratch.join(name), text).into_diagnostic()?;
    }
    let mut command = Command::new("cargo");
    command.args(["metadata", "--locked", "--format-version", "1"]).current_dir(scratch);
    let output = command.output().into_diagnostic().wrap_err("start cargo")?;
    if !output.status.success() {
        return Err(miette!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).into_diagnostic()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| package["name"] == "libsqlite3-sys")
        .find_map(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(|folder| folder.join("sqlite3"))
        .ok_or_else(|| miette!("cargo has fetched no libsqlite3-sys"))
}

fn compiler(side: Side, simd: bool) -> Command {
    let mut command = match side {
        Side::Native => {
            let mut gcc = Command::new("gcc");
            gcc.arg("-static");
            gcc
        }
        Side::Wasm => {
            let mut clang = Command::new("clang");
            clang.args(["--target=wasm32-wasi", "-s"]).args(simd.then_some("-msimd128"));
            clang
        }
    };
    command.args(C_OPTIONS);
    command
}

fn go(side: Side, to: &Path, source: &Path) -> Command {
    let mut command = Command::new("go");
    command.args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"]);
    command.arg(to).arg(source);
    let settings =
        [("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GO111MODULE", "off"), ("GOTOOLCHAIN", "local")];
    command.envs(settings);
    if side == Side::Wasm {
        command.envs([("GOOS", "wasip1"), ("GOARCH", "wasm")]);
    }
    command
}

fn unpack(archive: &Path, root: &Path) -> Result<()> {
    let mut command = Command::new("tar");
    run(command.arg("--extract").arg("--file").arg(archive).arg("--directory").arg(root))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to).map(drop);
    copied
        .into_diagnostic()
        .wrap_err_with(|| format!("copy {} to {}", from.display(), to.display()))
}

/// Runs a command that must succeed.
fn run(command: &mut Command) -> Result<()> {
    let output =
        command.output().into_diagnostic().wrap_err_with(|| format!("start {command:?}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(miette!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

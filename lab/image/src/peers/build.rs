//! The builds behind `peers.toml`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde_json::Value;

use super::{Build, DIRECTORY, Part, WORKSPACE};
use crate::cache::Bench;
use crate::{debian, digest, recipes, tool};

/// crun's release, as Debian's source package has it: the one that the node image has in binary.
const CRUN_VERSION: &str = "1.21";

/// Digest of that archive.
pub const CRUN_SHA256: &str = "4bfb700e764a4804a4de3ecf07753f4c391005356d60356df65d80ae0914c486";

/// The toolchain of all peers in Rust.
const TOOLCHAIN: &str = "peers/rust-toolchain.toml";

/// Builds `part` into the bench. `needed` are the folders of what it is built with, by name;
/// `target` is where cargo compiles.
///
/// # Errors
/// A tool is missing or fails.
pub fn build(
    part: &Part,
    needed: &BTreeMap<String, PathBuf>,
    target: &Path,
    bench: &mut Bench<'_>,
) -> Result<()> {
    match &part.build {
        Build::Workspace => workspace(part, target, bench),
        Build::Cmake { crate_name, folder, headers, options } => {
            write_workspace(&bench.scratch)?;
            let source = crate_folder(&bench.scratch, crate_name)?.join(folder);
            cmake(part, &source, headers, options, bench)
        }
        Build::Crun { engine, libraries } => crun(part, engine, libraries, needed, bench),
        Build::Crate { crate_name, version, features, program } => {
            recipes::write(TOOLCHAIN, &bench.scratch.join("rust-toolchain.toml"))?;
            let installed = bench.scratch.join("installed");
            let mut command = cargo(&bench.scratch, "install");
            command.env("CARGO_TARGET_DIR", target);
            command.args(["--locked", "--no-track", "--version", version, crate_name]);
            command.arg("--features").arg(features.join(",")).arg("--root").arg(&installed);
            run_cargo(command, bench)?;
            let built = installed.join("bin").join(program);
            part.files.iter().try_for_each(|file| copy(&built, &bench.out.join(file)))
        }
    }
}

/// Cargo in `folder`, which has a toolchain file.
fn cargo(folder: &Path, verb: &str) -> Command {
    let mut command = tool::command("cargo");
    command.current_dir(folder).arg(verb);
    // The product's own settings are no business of a peer's.
    for name in ["RUSTFLAGS", "CMAKE_TOOLCHAIN_FILE", "WAMR_SHARED_PLATFORM_CONFIG"] {
        command.env_remove(name);
    }
    command
}

fn run_cargo(command: Command, bench: &mut Bench<'_>) -> Result<()> {
    let step = bench.step;
    bench.log.run(command, |line| {
        if let Some(name) = line.trim().strip_prefix("Compiling ") {
            step.set(name);
        }
    })
}

fn write_workspace(folder: &Path) -> Result<()> {
    for file in WORKSPACE {
        let to = folder.join(file);
        fs::create_dir_all(to.parent().unwrap_or(folder)).into_diagnostic()?;
        recipes::write(&format!("peers/{file}"), &to)?;
    }
    Ok(())
}

/// Where cargo has unpacked a crate that the workspace pins.
fn crate_folder(workspace: &Path, name: &str) -> Result<PathBuf> {
    let mut command = cargo(workspace, "metadata");
    command.args(["--locked", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&tool::output(command)?).into_diagnostic()?;
    let packages = metadata["packages"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    packages
        .iter()
        .find(|package| package["name"] == name)
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(Path::to_path_buf)
        .ok_or_else(|| miette::miette!("the peers' Cargo.lock has no crate {name}"))
}

fn workspace(part: &Part, target: &Path, bench: &mut Bench<'_>) -> Result<()> {
    let folder = bench.scratch.clone();
    write_workspace(&folder)?;
    let mut command = cargo(&folder, "build");
    command.args(["--release", "--locked", "--workspace"]).env("CARGO_TARGET_DIR", target);
    run_cargo(command, bench)?;
    let built = target.join("release");
    for file in &part.files {
        let name = Path::new(file).file_name().unwrap_or_default();
        copy(&built.join(name), &bench.out.join(file))?;
    }
    // The headers for whoever is built with the libraries.
    let wasmtime = bench.out.join("include/wasmtime");
    copy_tree(&crate_folder(&folder, "wasmtime-c-api-impl")?.join("include"), &wasmtime)?;
    copy(&folder.join("wasmtime-conf.h"), &wasmtime.join("wasmtime/conf.h"))?;
    let wasmer = bench.out.join("include/wasmer");
    copy(&crate_folder(&folder, "wasmer-c-api")?.join("wasm.h"), &wasmer.join("wasm.h"))?;
    copy(&generated(&built.join("build"), "wasmer.h")?, &wasmer.join("wasmer.h"))
}

/// The newest file of that name that a build script made: another build may have left one, too.
fn generated(builds: &Path, name: &str) -> Result<PathBuf> {
    let listed = fs::read_dir(builds).into_diagnostic()?;
    listed
        .filter_map(|entry| Some(entry.ok()?.path().join("out").join(name)))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .ok_or_else(|| miette::miette!("no build script made {name}"))
}

fn cmake(
    part: &Part,
    source: &Path,
    headers: &str,
    options: &[String],
    bench: &mut Bench<'_>,
) -> Result<()> {
    let build = bench.scratch.join("cmake");
    let mut command = tool::command("cmake");
    command.arg("-S").arg(source).arg("-B").arg(&build).args(options);
    bench.step.set("configure");
    bench.log.run(command, |_| {})?;
    let mut command = tool::command("cmake");
    command.arg("--build").arg(&build).arg("--parallel").arg(jobs());
    bench.step.set("compile");
    bench.log.run(command, |_| {})?;
    for file in &part.files {
        let from = build.join(Path::new(file).file_name().unwrap_or_default());
        let to = bench.out.join(file);
        // A library that is opened by two names must be one file, else it is loaded twice.
        match fs::read_link(&from).ok().filter(|target| is_among(target, &part.files)) {
            Some(target) => {
                fs::create_dir_all(to.parent().unwrap_or(&to)).into_diagnostic()?;
                symlink(target, &to).into_diagnostic()?;
            }
            None => copy(&from, &to)?,
        }
    }
    copy_tree(&source.join(headers), &bench.out.join("include/wamr"))
}

fn crun(
    part: &Part,
    engine: &str,
    libraries: &[String],
    needed: &BTreeMap<String, PathBuf>,
    bench: &mut Bench<'_>,
) -> Result<()> {
    bench.step.set("fetching the source");
    let source = crun_source(bench)?;
    let mut include = OsString::from("CPPFLAGS=");
    let mut link = OsString::from(format!("LDFLAGS=-Wl,-rpath,{DIRECTORY}/lib"));
    let mut library_path = OsString::new();
    for folder in needed.values() {
        include.push("-I");
        include.push(folder.join("include").join(engine));
        link.push(" -L");
        link.push(folder.join("lib"));
        library_path.push(folder.join("lib"));
    }
    let names: Vec<String> = libraries.iter().map(|name| format!("-l{name}")).collect();
    let build = bench.scratch.join("build");
    fs::create_dir_all(&build).into_diagnostic()?;
    let mut command = tool::command(source.join("configure"));
    command.current_dir(&build).args(["--disable-libcrun", "--disable-criu"]);
    command.arg(format!("--with-{engine}")).arg(include).arg(link);
    command.arg(format!("LIBS={}", names.join(" "))).env("LD_LIBRARY_PATH", &library_path);
    bench.step.set("configure");
    bench.log.run(command, |_| {})?;
    let mut command = tool::command("make");
    command.current_dir(&build).arg("-j").arg(jobs());
    bench.step.set("compile");
    bench.log.run(command, |_| {})?;
    for file in &part.files {
        copy(&build.join("crun"), &bench.out.join(file))?;
    }
    Ok(())
}

/// crun's source, unpacked, from Debian's archive.
fn crun_source(bench: &mut Bench<'_>) -> Result<PathBuf> {
    let archive = format!("crun_{CRUN_VERSION}.orig.tar.gz");
    let mirror = debian::mirror();
    let url = format!("{mirror}/pool/main/c/crun/{archive}");
    let to = bench.scratch.join(&archive);
    let mut command = tool::command("/usr/lib/apt/apt-helper");
    command.args(["download-file", &url]).arg(&to).arg(format!("SHA256:{CRUN_SHA256}"));
    bench.log.run(command, |_| {})?;
    let found = digest::of_file(&to)?;
    if found != CRUN_SHA256 {
        miette::bail!("{url} has the digest {found}, not {CRUN_SHA256}");
    }
    let mut command = tool::command("tar");
    command.arg("-C").arg(&bench.scratch).arg("-xf").arg(&to);
    bench.log.run(command, |_| {})?;
    Ok(bench.scratch.join(format!("crun-{CRUN_VERSION}")))
}

/// As many compilers at once as cargo would run.
fn jobs() -> String {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).to_string()
}

/// True if `target`, the text of a link, is the name of one of `files`.
fn is_among(target: &Path, files: &[String]) -> bool {
    files.iter().any(|file| Path::new(file).file_name() == Some(target.as_os_str()))
}

/// Copies a file and makes the folders it lies in.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let act = || -> io::Result<()> {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::copy(from, to).map(drop)
    };
    act()
        .into_diagnostic()
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from)
        .into_diagnostic()
        .with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let entry = entry.into_diagnostic()?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_tree(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

//! How the source of a workload becomes its program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use miette::{Context as _, IntoDiagnostic as _, Result};
use serde::{Deserialize, Serialize};

use crate::cache::Bench;
use crate::tool;

/// How the source becomes the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Build {
    /// gcc, static.
    Native,
    /// clang for WASI.
    Wasm,
    /// Go for Linux, static.
    GoNative,
    /// Go for WASI.
    GoWasm,
    /// It is read by the interpreter of a layer.
    Python,
    /// It is read by a module from PyPI.
    Wheel,
}

/// A module that somebody else has compiled.
pub struct Fetched {
    /// Where it is.
    pub file: PathBuf,
    /// What it is of.
    pub versions: BTreeMap<String, String>,
}

impl Fetched {
    /// Puts it into an image.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn put(&self, to: &Path) -> Result<()> {
        let copied = fs::copy(&self.file, to).map(drop);
        copied.into_diagnostic().with_context(|| format!("cannot copy {}", self.file.display()))
    }
}

impl Build {
    /// Compiles `source` to `program`, with Go's caches below `go`; returns the compiler's version.
    ///
    /// # Errors
    /// The compiler is missing or fails.
    pub fn compile(
        self,
        source: &Path,
        program: &Path,
        go: &Path,
        bench: &mut Bench<'_>,
    ) -> Result<BTreeMap<String, String>> {
        let (command, name, ask) = match self {
            Self::GoNative => (go_build("linux", None, go), "go", "env GOVERSION"),
            Self::GoWasm => (go_build("wasip1", Some("wasm"), go), "go", "env GOVERSION"),
            Self::Wasm => (clang(), "clang", "-dumpversion"),
            Self::Native => (gcc(), "gcc", "-dumpfullversion"),
            Self::Python | Self::Wheel => {
                return Err(io::Error::from(io::ErrorKind::Unsupported))
                    .into_diagnostic()
                    .context("an interpreter reads the source of this image");
            }
        };
        let mut command = command;
        command.arg("-o").arg(program).arg(source);
        bench.log.run(command, |_| {})?;
        let mut asked = tool::command(name);
        asked.args(ask.split(' ')).env("GOTOOLCHAIN", "local");
        let version = tool::output(asked)?.trim().to_owned();
        // The node's own programs come from the Go that each of them names.
        let name = if name == "go" { "go of workloads" } else { name };
        Ok(BTreeMap::from([(name.to_owned(), version)]))
    }
}

const FOR_C: [&str; 5] = ["-Os", "-Wall", "-Wextra", "-Werror", "-s"];

fn clang() -> Command {
    let mut clang = tool::command("clang");
    // Only what every engine has understood from the start.
    clang.args(["--target=wasm32-wasi", "-mcpu=mvp"]).args(FOR_C);
    clang
}

fn gcc() -> Command {
    let mut gcc = tool::command("gcc");
    gcc.args(["-static", "-Wl,--build-id=none"]).args(FOR_C);
    gcc
}

/// The toolchain at hand: there is no go.mod that could ask for another.
fn go_build(system: &str, architecture: Option<&str>, caches: &Path) -> Command {
    let mut go = tool::command("go");
    for name in ["GOARCH", "GOAMD64", "GOEXPERIMENT", "GOWASM"] {
        go.env_remove(name);
    }
    go.envs(architecture.map(|name| ("GOARCH", name)));
    go.env("GOOS", system).env("GOCACHE", caches.join("build"));
    for (name, value) in [
        ("CGO_ENABLED", "0"),
        ("GOFLAGS", ""),
        ("GOWORK", "off"),
        ("GO111MODULE", "off"),
        ("GOTOOLCHAIN", "local"),
    ] {
        go.env(name, value);
    }
    go.args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"]);
    go
}

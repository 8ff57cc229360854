//! `wamr-compile`: makes native code of one Wasm module, and ends.
//!
//! `wamr-crun` starts it with the module on one descriptor and an empty file on another; it is
//! the only program with a compiler in it, and none of it stays. The module may be hostile, so the
//! process has given up everything but these two descriptors before it reads the first byte.
//!
//! `wamr-compile MODULE_FD ARTIFACT_FD LEVEL FINGERPRINT waiting|background`

mod confine;
mod imports;
mod sys;

use std::fs::File;
use std::io::{Read, Write};
use std::process::ExitCode;

const USAGE: &str = "\
wamr-compile makes native code of a Wasm module and is started by wamr-crun, not by hand.
usage: wamr-compile MODULE_FD ARTIFACT_FD LEVEL FINGERPRINT waiting|background
To fill the cache by hand: wamr-crun cache warm FILE...
";

/// How it ended, if not well. The numbers are those that `wamr-cache` reads.
enum Failure {
    /// Started by hand, or by another version of wamr-crun.
    Usage(String),
    /// This module cannot be compiled, today or tomorrow.
    Module(String),
    /// Something of this machine or of the limits.
    Machine(String),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (status, text) = match run(&arguments) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => (2, format!("{USAGE}{text}")),
        Err(Failure::Module(text)) => (3, text),
        Err(Failure::Machine(text)) => (4, text),
    };
    // Nobody may be there to read it.
    drop(writeln!(std::io::stderr(), "{}", text.trim_end()));
    ExitCode::from(status)
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let [module, artifact, level, fingerprint, urgency] = arguments else {
        return Err(Failure::Usage(String::new()));
    };
    let (mut module, mut artifact) = (open(module)?, open(artifact)?);
    let usage = |text: &str| Failure::Usage(text.to_owned());
    let machine = |error: &dyn std::fmt::Display| Failure::Machine(error.to_string());
    let own = wamr_engine::fingerprint(level).map_err(|error| machine(&error))?;
    let own = own.ok_or_else(|| usage("there is no such level of processors"))?;
    if format!("{own:016x}") != *fingerprint {
        return Err(usage(&format!(
            "wamr-crun and wamr-compile are not of one release: {fingerprint} is wanted for \
             {level}, this is {own:016x}"
        )));
    }
    if urgency != "waiting" {
        sys::lowest_priority();
    }
    confine::all(&module, &artifact).map_err(|error| machine(&error))?;
    let mut bytes = Vec::new();
    module
        .read_to_end(&mut bytes)
        .map_err(|error| machine(&format!("read the module: {error}")))?;
    imports::check(&bytes).map_err(Failure::Module)?;
    let compiled = wamr_engine::compile(&bytes, level)
        .map_err(|error| Failure::Module(format!("compile the module: {}", chain(&error))))?;
    artifact
        .write_all(&compiled.unwrap_or_default())
        .map_err(|error| machine(&format!("write what was compiled: {error}")))
}

fn open(number: &str) -> Result<File, Failure> {
    let number = number.parse().ok().filter(|number| *number > 2);
    let opened = number.and_then(|number| sys::take(number).ok());
    opened.ok_or_else(|| Failure::Usage("a descriptor is not open".to_owned()))
}

fn chain(error: &wasmtime::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

//! wamr-crun's command line: every container is made, changed and removed by it.

use crate::error::{Code, Failure, Result, Tried};
use serde::Deserialize;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program.
const NAME: &str = "wamr-crun";

/// Where the runtime is, and where its state of these containers is.
#[derive(Debug)]
pub struct RuntimeCli {
    program: PathBuf,
    root: PathBuf,
}

/// A file that the runtime appends its messages to, and how long it was before.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    start_bytes: u64,
}

impl RuntimeCli {
    /// The runtime beside this program, or else in PATH. Its state goes below `root`.
    ///
    /// # Errors
    /// It is in neither place.
    pub fn find(root: PathBuf) -> Result<Self> {
        let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(NAME)));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&path).map(|directory| directory.join(NAME));
        let program = beside.into_iter().chain(in_path).find(|file| is_program(file));
        let program = program.ok_or_else(|| {
            let message = format!("there is no {NAME} beside the shim or in PATH: install it");
            Failure::new(Code::Unknown, message)
        })?;
        Ok(Self { program, root })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A call without its verb.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root);
        command
    }

    /// A call without its verb for the container of `bundle`, with its messages in a file there.
    pub fn command_for(&self, bundle: &Path) -> (Command, Log) {
        let log = Log::of(bundle);
        let mut command = self.command();
        command.args(["--log-format", "json", "--log"]).arg(&log.path);
        (command, log)
    }

    /// What it can do, as JSON.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn features(&self) -> Result<Vec<u8>> {
        let output = self.command().arg("features").output();
        Ok(output.tried("run", &self.program)?.stdout)
    }
}

impl Log {
    fn of(bundle: &Path) -> Self {
        let path = bundle.join("log.json");
        let start_bytes = fs::metadata(&path).map_or(0, |data| data.len());
        Self { path, start_bytes }
    }

    /// For the next program: its path, and where the call's messages begin.
    pub fn saved(&self) -> (String, u64) {
        (self.path.display().to_string(), self.start_bytes)
    }

    /// What [`Log::saved`] gave.
    pub fn restored(path: String, start_bytes: u64) -> Self {
        Self { path: path.into(), start_bytes }
    }

    /// The last error since the call.
    pub fn last_error(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Line {
            level: String,
            msg: String,
        }
        let mut file = fs::File::open(&self.path).ok()?;
        file.seek(SeekFrom::Start(self.start_bytes)).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        lines.into_iter().find(|line| line.level == "error").map(|line| line.msg)
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_this_call_is_told() {
        let bundle = tempfile::tempdir().unwrap();
        let line = |level: &str, msg: &str| format!(r#"{{"level":"{level}","msg":"{msg}"}}"#);
        let path = bundle.path().join("log.json");
        fs::write(&path, line("error", "of another call") + "\n").unwrap();
        let log = Log::of(bundle.path());
        assert_eq!(log.last_error(), None);
        let text = fs::read_to_string(&path).unwrap();
        let more = [line("error", "this"), line("warning", "that"), "no JSON".to_owned()];
        fs::write(&path, text + &more.join("\n")).unwrap();
        assert_eq!(log.last_error().as_deref(), Some("this"));
    }
}

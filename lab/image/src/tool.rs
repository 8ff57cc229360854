//! Runs the tools that do the building: output into a log, its end into the error.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use miette::{Context as _, IntoDiagnostic as _, Result};

/// How much of a failed tool's output its error repeats.
const TAIL_LINES: usize = 12;

/// Exit status of setpriv when the program is not there.
const NOT_STARTED: i32 = 127;

/// Appends the output of tools to one file.
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Starts the log at `path` anew.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path)
            .into_diagnostic()
            .with_context(|| format!("cannot write the log {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Runs `command` to its end; every line of its output goes into the log and to `on_line`.
    ///
    /// # Errors
    /// It cannot be started, or it fails: then its last lines are in the error.
    pub fn run(&mut self, mut command: Command, mut on_line: impl FnMut(&str)) -> Result<()> {
        let shown = show(&command);
        let name = program(&shown);
        writeln!(self.file, "$ {shown}").into_diagnostic()?;
        let (reader, writer) = std::io::pipe().into_diagnostic()?;
        let errors = writer.try_clone().into_diagnostic()?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(errors)
            .spawn()
            .into_diagnostic()
            .with_context(|| format!("cannot start `{shown}`"))?;
        // The command holds the write ends: as long as it lives, the pipe has no end.
        drop(command);
        let mut tail = VecDeque::new();
        for line in BufReader::new(reader).split(b'\n') {
            let line = line.into_diagnostic().with_context(|| format!("reading from {name}"))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            writeln!(self.file, "{line}").into_diagnostic()?;
            on_line(&line);
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        let status = child.wait().into_diagnostic()?;
        if status.success() {
            return Ok(());
        }
        if status.code() == Some(NOT_STARTED) {
            return Err(missing(&name));
        }
        let tail = Vec::from(tail).join("\n  ");
        Err(miette::miette!(
            help = format!("the whole output is in {}", self.path.display()),
            "`{shown}` failed ({status}); its last lines:\n  {tail}"
        ))
    }
}

/// A command that the kernel ends together with the thread that started it.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// The output of a short command.
///
/// # Errors
/// It cannot be started, or it fails: then what it said is in the error.
pub fn output(mut command: Command) -> Result<String> {
    let shown = show(&command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .into_diagnostic()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if output.status.code() == Some(NOT_STARTED) {
        return Err(missing(&program(&shown)));
    }
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(miette::miette!("`{shown}` failed ({}): {}", output.status, said.trim()))
}

/// The program of a command line that [`show`] made.
fn program(shown: &str) -> String {
    shown.split(' ').next().unwrap_or(shown).to_owned()
}

fn missing(program: &str) -> miette::Report {
    let help = crate::requirements::advice(program);
    miette::miette!(help = help, "cannot start {program}: it is not installed")
}

/// The command as one would type it, without the part that ties it to this process.
fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let own = if words.first().is_some_and(|word| word == "setpriv") { 4 } else { 0 };
    words[own.min(words.len())..].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = command("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_reach_the_log_and_the_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = Vec::new();
        let mut log = Log::create(&path).unwrap();
        log.run(shell("echo one; echo two >&2"), |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["one", "two"]);
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, "$ sh -c echo one; echo two >&2\none\ntwo\n");
    }

    #[test]
    fn an_error_has_the_last_lines_and_names_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(&path).unwrap();
        let error = log.run(shell("seq 1 40; exit 3"), |_| {}).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("  29\n") && text.contains("  40"), "{text}");
        assert!(!text.contains("  28\n"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        let help = error.help().unwrap().to_string();
        assert!(help.contains(path.to_str().unwrap()), "{help}");
    }

    #[test]
    fn a_tool_that_is_not_there_is_named_with_its_package() {
        let error = output(command("wasm-ld-that-is-not-there")).unwrap_err();
        assert!(error.to_string().contains("wasm-ld-that-is-not-there"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(&folder.path().join("log")).unwrap();
        assert!(log.run(command("no-such-tool"), |_| {}).unwrap_err().help().is_some());
    }

    #[test]
    fn output_of_a_failing_command_is_in_the_error() {
        assert_eq!(output(shell("echo yes")).unwrap(), "yes\n");
        let error = output(shell("echo why >&2; exit 1")).unwrap_err().to_string();
        assert!(error.contains("why"), "{error}");
    }
}

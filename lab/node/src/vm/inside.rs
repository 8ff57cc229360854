//! What the lab does inside a running machine.

use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use miette::{Result, WrapErr, miette};
use wamr_progress::Progress;

use super::VmNode;
use super::link::Streams;
use crate::layout::LOG_DIR;
use crate::units;

/// From an agent that answers to a node that takes pods.
const NODE_LIMIT: Duration = Duration::from_mins(25);

impl VmNode {
    /// Waits until the node takes pods.
    ///
    /// # Errors
    /// It does not come up; the text is the machine's own. Or `enough` said so.
    pub fn wait_for_node(&self, progress: &Progress, enough: &dyn Fn() -> bool) -> Result<()> {
        let step = progress.step("node in the machine");
        let begun = Instant::now();
        let late = || enough() || begun.elapsed() > NODE_LIMIT;
        // For a unit that is starting, `start` waits for the job that is there.
        let argv = ["systemctl", "start", units::NODE_UNIT];
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let streams = Streams { input: None, output: &mut output, errors: &mut errors };
        match self.run(&argv, streams, &late).wrap_err("wait for the node") {
            Ok(0) => {
                step.done("ready");
                Ok(())
            }
            Ok(_) => {
                step.failed("it did not come up");
                let log = self.log_text("assemble").unwrap_or_default();
                Err(miette!("the node in the machine did not come up:\n{}", log.trim()))
            }
            Err(error) => {
                step.failed("the machine does not answer");
                Err(error)
            }
        }
    }

    /// The log of a daemon in the machine, or of `assemble`.
    ///
    /// # Errors
    /// There is no such log.
    pub fn log_text(&self, daemon: &str) -> Result<String> {
        self.output(&["cat", &format!("{LOG_DIR}/{daemon}.log")])
    }

    /// Runs a program in the machine with this process's standard streams.
    ///
    /// # Errors
    /// The machine ended.
    pub fn exec(&self, argv: &[&str]) -> Result<i32> {
        let (mut output, mut errors) = (std::io::stdout(), std::io::stderr());
        let input: Option<Box<dyn Read + Send>> = Some(Box::new(std::io::stdin()));
        self.run(argv, Streams { input, output: &mut output, errors: &mut errors }, &|| false)
    }

    /// Runs a program in the machine and returns its standard output.
    ///
    /// # Errors
    /// It fails; the text holds its standard error.
    pub fn output(&self, argv: &[&str]) -> Result<String> {
        let mut output = Vec::new();
        self.succeed(argv, None, &mut output)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Writes a file of the machine.
    ///
    /// # Errors
    /// The machine refuses.
    pub fn write_file(&self, path: &str, content: Vec<u8>) -> Result<()> {
        let argv = ["sh", "-c", r#"cat >"$1""#, "sh", path];
        self.succeed(&argv, Some(Box::new(Cursor::new(content))), &mut std::io::sink())
    }

    /// Writes a directory of the machine to `to` as a tar archive.
    ///
    /// # Errors
    /// The machine cannot read it, `to` cannot take it.
    pub fn read_tree(&self, path: &str, to: &mut dyn Write) -> Result<()> {
        self.succeed(&["tar", "--create", "--file=-", "--directory", path, "."], None, to)
    }

    fn succeed(
        &self,
        argv: &[&str],
        input: Option<Box<dyn Read + Send>>,
        output: &mut dyn Write,
    ) -> Result<()> {
        let mut errors = Vec::new();
        match self.run(argv, Streams { input, output, errors: &mut errors }, &|| false)? {
            0 => Ok(()),
            status => {
                let said = String::from_utf8_lossy(&errors);
                Err(miette!("{}: status {status}: {}", argv.join(" "), said.trim()))
            }
        }
    }
}

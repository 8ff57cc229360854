//! A command's standard output, or why there is none.

use std::process::{Child, Command, Stdio};

use miette::{IntoDiagnostic, Result, WrapErr, bail};

/// Runs a command for its standard output.
///
/// # Errors
/// It fails; the text has its standard error.
pub fn output_of(command: &mut Command, argv: &[&str]) -> Result<String> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .into_diagnostic()
        .wrap_err_with(|| format!("start {}", argv.join(" ")))?;
    succeeded(child, argv)
}

/// Waits for a command with pipes at its standard streams.
///
/// # Errors
/// It fails; the text has its standard error.
pub fn succeeded(child: Child, argv: &[&str]) -> Result<String> {
    let output = child.wait_with_output().into_diagnostic().wrap_err("wait for a command")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    bail!("{}: {}: {}", argv.join(" "), output.status, text.trim())
}

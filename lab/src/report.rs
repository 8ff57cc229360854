//! Calls `wamr-report`. One program measures, the other computes: no figure is computed twice.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use miette::{IntoDiagnostic, Result, WrapErr, miette};

/// The program's name.
const NAME: &str = "wamr-report";

/// Where `wamr-report` is: in `programs_dir`, beside this program, or in a directory of `PATH`.
pub fn find(programs_dir: &Path) -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    first_with_report([programs_dir.to_owned()].into_iter().chain(beside), &path)
}

fn first_with_report(
    directories: impl Iterator<Item = PathBuf>,
    path: &std::ffi::OsStr,
) -> Option<PathBuf> {
    let in_path = std::env::split_paths(path);
    directories.chain(in_path).map(|directory| directory.join(NAME)).find(|file| file.is_file())
}

/// Prints the main table of the run at `run_dir`, or how to get it: the run is complete either way.
pub fn show_summary(programs_dir: &Path, run_dir: &Path) {
    let Some(program) = find(programs_dir) else {
        anstream::println!("{NAME} is not beside this program: no table");
        anstream::println!("for the table: {NAME} summary {}", run_dir.display());
        return;
    };
    anstream::println!();
    // Its streams are ours: it decides about colours.
    let status = Command::new(&program).arg("summary").arg(run_dir).status();
    let failure = match status {
        Ok(status) if status.success() => return,
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    let again = format!("{} summary {}", program.display(), run_dir.display());
    anstream::eprintln!("no table: {again}: {failure}");
}

/// Has the report of the run at `run_dir` written; returns where its first page is.
///
/// # Errors
/// There is no `wamr-report`, or it fails.
pub fn build(programs_dir: &Path, run_dir: &Path) -> Result<PathBuf> {
    let program = find(programs_dir).ok_or_else(|| {
        miette!(
            help = format!("the run itself is complete: {NAME} build {}", run_dir.display()),
            "{} has no {NAME}, nor has PATH",
            programs_dir.display()
        )
    })?;
    let again = format!("{} build {}", program.display(), run_dir.display());
    let Output { status, stderr, .. } = Command::new(&program)
        .arg("build")
        .arg(run_dir)
        .output()
        .into_diagnostic()
        .wrap_err_with(|| format!("start {again}"))?;
    if !status.success() {
        return Err(miette!(
            help = format!("the run itself is complete; try again: {again}"),
            "{again}: {status}: {}",
            String::from_utf8_lossy(&stderr).trim()
        ));
    }
    Ok(run_dir.join("report/index.html"))
}

#[test]
fn the_first_directory_that_has_the_program_is_taken() {
    let [first, second, empty] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    for directory in [&first, &second] {
        std::fs::write(directory.path().join(NAME), "").unwrap();
    }
    // A directory of that name is no program.
    std::fs::create_dir(empty.path().join(NAME)).unwrap();
    let found = |directories: &[&tempfile::TempDir], path: &tempfile::TempDir| {
        let directories = directories.iter().map(|directory| directory.path().to_owned());
        let found = first_with_report(directories, path.path().as_os_str());
        found.map(|file| file.parent().unwrap().to_owned())
    };
    let want = |directory: &tempfile::TempDir| Some(directory.path().to_owned());
    assert_eq!(found(&[&first, &second], &empty), want(&first));
    assert_eq!(found(&[&empty], &second), want(&second), "PATH comes last");
    assert_eq!(found(&[&empty], &empty), None);
}

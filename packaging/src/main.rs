//! `wamr-manual OUT`: writes man pages, shell completions and the licences of all programs below
//! OUT.
//!
//! They are made from the definitions that the programs parse their command lines with, so they
//! cannot tell another story. What no definition holds (annotations, exit status, files) is
//! written by hand in `packaging/man/` and appended. The shim, which only containerd calls, has no
//! such definition: its page is written by hand, and it has no completions.

mod markdown;
mod page;
mod program;
mod third_party;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap_complete::Shell;

use program::{Program, programs};
use third_party::SHIPMENTS;

/// Where each shell looks below `$PREFIX/share`.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [out] = arguments.as_slice() else {
        eprintln!("usage: wamr-manual OUT\n\nhint: OUT becomes what lies in PREFIX/share");
        return ExitCode::from(2);
    };
    match write_all(Path::new(out)) {
        Ok(_) => ExitCode::SUCCESS,
        Err((path, error)) => {
            eprintln!("write {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes everything and returns what was written.
fn write_all(out: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut written = Vec::new();
    let mut write = |path: PathBuf, content: io::Result<Vec<u8>>| {
        let path = out.join(path);
        let done = content.and_then(|content| {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, content)
        });
        done.map_err(|error| (path.clone(), error))?;
        written.push(path);
        Ok(())
    };
    for (path, content) in programs().iter().flat_map(files) {
        write(path, Ok(content))?;
    }
    for shipment in &SHIPMENTS {
        let path = Path::new("doc").join(shipment.folder).join("THIRD-PARTY.txt");
        write(path, third_party::text(shipment).map(String::into_bytes))?;
    }
    Ok(written)
}

/// Path below `share` and content of all that belongs to a program.
fn files(program: &Program) -> Vec<(PathBuf, Vec<u8>)> {
    let Program { name, section, .. } = program;
    let page = PathBuf::from(format!("man/man{section}/{name}.{section}"));
    let mut files = vec![(page, page::render(program).into_bytes())];
    let Some(command) = &program.command else { return files };
    for (shell, dir) in COMPLETIONS {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), *name, &mut script);
        let file_name = match shell {
            Shell::Zsh => format!("_{name}"),
            Shell::Fish => format!("{name}.fish"),
            _ => (*name).to_owned(),
        };
        files.push((Path::new(dir).join(file_name), script));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_page_and_completions_and_every_package_its_licences() {
        let out = tempfile::tempdir().unwrap();
        let written = write_all(out.path()).unwrap();
        // Nobody types the shim's command line: containerd does.
        let typed = programs().iter().filter(|program| program.command.is_some()).count();
        assert_eq!(typed, programs().len() - 1);
        let wanted = programs().len() + typed * COMPLETIONS.len() + SHIPMENTS.len();
        assert_eq!(written.len(), wanted);
        for path in written {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.lines().count() > 10, "{}: {text}", path.display());
        }
    }
}

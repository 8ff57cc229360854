//! `wamr-report`: reads the command line, calls the library, prints errors once.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use wamr_record::churn::is_churn;
use wamr_report::churn;
use wamr_report::claims::Catalogue;
use wamr_report::claims::table::Verdicts;
use wamr_report::cli::{Cli, Command};
use wamr_report::command::{check, diff, export, history, write_csv};
use wamr_report::error::Error;
use wamr_report::format::count;
use wamr_report::load::{Trust, load};
use wamr_report::report::render::{render, render_page};
use wamr_report::report::write::write;
use wamr_report::terminal;
use wamr_report::verify;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Check(arguments) => {
            check::run(&arguments).map(|outcome| exit(print(&outcome.text), outcome.status))
        }
        Command::Diff { first, second, limit, csv, with_defects } => {
            compare((&first, &second), limit, csv.as_deref(), trust(with_defects))
        }
        Command::History { run_dirs, csv, with_defects } => {
            follow(&run_dirs, csv.as_deref(), trust(with_defects))
        }
        Command::Export { run_dir, prometheus: _, with_defects } => {
            export_run(&run_dir, trust(with_defects))
        }
        Command::Claims => check::document().map(|text| print(&text)),
        Command::Build { run_dir, out, with_defects } => {
            let out = out.unwrap_or_else(|| run_dir.join("report"));
            build(&run_dir, &out, trust(with_defects))
        }
        Command::Verify { run_dir } => verify_run(&run_dir),
        Command::Summary { run_dir, with_defects } => summarise(&run_dir, trust(with_defects)),
    };
    done.unwrap_or_else(|error| {
        anstream::eprintln!("{:?}", miette::Report::new(error));
        ExitCode::FAILURE
    })
}

/// `status`, unless printing itself failed.
fn exit(printed: ExitCode, status: u8) -> ExitCode {
    if printed == ExitCode::SUCCESS { ExitCode::from(status) } else { printed }
}

fn trust(with_defects: bool) -> Trust {
    if with_defects { Trust::WithDefects } else { Trust::Whole }
}

fn build(run_dir: &Path, out: &Path, trust: Trust) -> Result<ExitCode, Error> {
    let files = if is_churn(run_dir) {
        let study = churn::load::load(run_dir, trust)?;
        render_page(&churn::page::page(&study), &study)?
    } else {
        render(&load(run_dir, trust)?)?
    };
    write(out, &files)?;
    Ok(print(&format!("{}\n", out.join("index.html").display())))
}

fn compare(
    (first, second): (&Path, &Path),
    limit_percent: Option<f64>,
    csv: Option<&Path>,
    trust: Trust,
) -> Result<ExitCode, Error> {
    let (table, outcome) = diff::diff(&load(first, trust)?, &load(second, trust)?, limit_percent);
    write_csv(csv, &table)?;
    let text = terminal::table(&table).join("\n") + "\n\n" + &outcome.text;
    Ok(exit(print(&text), outcome.status))
}

fn follow(run_dirs: &[PathBuf], csv: Option<&Path>, trust: Trust) -> Result<ExitCode, Error> {
    let studies = run_dirs.iter().map(|dir| load(dir, trust)).collect::<Result<Vec<_>, _>>()?;
    let table = history::history(&studies);
    write_csv(csv, &table)?;
    Ok(print(&(terminal::table(&table).join("\n") + "\n")))
}

fn export_run(run_dir: &Path, trust: Trust) -> Result<ExitCode, Error> {
    let study = load(run_dir, trust)?;
    let verdicts = Verdicts::on(&study, &Catalogue::built_in()?);
    Ok(print(&export::prometheus(&study, &verdicts)))
}

fn summarise(run_dir: &Path, trust: Trust) -> Result<ExitCode, Error> {
    let text = if is_churn(run_dir) {
        churn::page::summary(&churn::load::load(run_dir, trust)?)
    } else {
        terminal::summary(&load(run_dir, trust)?)
    };
    Ok(print(&text))
}

fn verify_run(run_dir: &Path) -> Result<ExitCode, Error> {
    let (findings, one, many) = if is_churn(run_dir) {
        (churn::load::check(run_dir)?, "system", "systems")
    } else {
        (verify::check::check(run_dir)?, "cell", "cells")
    };
    let mut lines: Vec<String> = findings.defects.iter().map(ToString::to_string).collect();
    lines.push(format!(
        "{} compared, {} read, {}",
        count(findings.files, "file", "files"),
        count(findings.cells, one, many),
        match findings.defects.len() {
            0 => "no defect".to_owned(),
            defects => count(defects, "defect", "defects"),
        }
    ));
    let printed = print(&(lines.join("\n") + "\n"));
    Ok(if findings.defects.is_empty() { printed } else { ExitCode::FAILURE })
}

/// Prints to standard output; a reader that has gone away, like `head`, is no error.
fn print(text: &str) -> ExitCode {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            anstream::eprintln!("write to standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

//! `wamr-lab peers`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use wamr_node::runtimes::{RuntimeKind, RuntimeTable, RuntimeUnderTest, peer_files};
use wamr_record::reader::read_run;

use super::local_run::measure;
use super::measuring::Outcome;
use super::{Context, require_root};
use crate::cli::PeersCommand;
use crate::experiment;
use crate::run_dir::session::Session;

/// Runs the sub-command.
///
/// # Errors
/// A name is not in the table, a build fails, a node does not come up.
pub fn peers(context: &Context, command: PeersCommand) -> Result<ExitCode> {
    match command {
        PeersCommand::List => list(context),
        PeersCommand::Build { names } => {
            require_root("peers build")?;
            let wanted = wanted_files(&context.runtimes, &names)?;
            let built = wamr_image::peers::ensure(&context.cache, &wanted, &context.progress)?;
            for (file, path) in built {
                anstream::println!("{file}: {}", path.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        PeersCommand::Verify { names, out } => {
            require_root("peers verify")?;
            let kept = tempfile::tempdir().into_diagnostic().wrap_err("make a directory")?;
            let dir = out.unwrap_or_else(|| kept.path().join("verify"));
            verify(context, &chosen(&context.runtimes, &names)?, &dir)
        }
    }
}

fn list(context: &Context) -> Result<ExitCode> {
    let built = wamr_image::peers::built(&context.cache, &peer_files(&context.runtimes))?;
    let width = context.runtimes.keys().map(String::len).max().unwrap_or(0);
    for (name, row) in &context.runtimes {
        let state = match &row.absent {
            Some(reason) => format!("absent: {reason}"),
            None if row.peer_files().next().is_none() => "part of the node image".to_owned(),
            None if row.peer_files().all(|file| built.contains_key(file)) => "built".to_owned(),
            None => "not built: wamr-lab peers build".to_owned(),
        };
        anstream::println!("{name:width$}  {:26}  {state}", row.title);
    }
    Ok(ExitCode::SUCCESS)
}

/// The files of the rows and parts of these names; without any, of all rows that can be had.
fn wanted_files(table: &RuntimeTable, names: &[String]) -> Result<BTreeSet<String>> {
    let parts = wamr_image::peers::read()?;
    // A part that no row names is something that runtimes are compared with elsewhere.
    let (parts_alone, rows): (Vec<String>, Vec<String>) = names
        .iter()
        .cloned()
        .partition(|name| parts.contains_key(name) && !table.contains_key(name));
    let mut wanted = if rows.is_empty() && !names.is_empty() {
        BTreeSet::new()
    } else {
        peer_files(&chosen(table, &rows)?)
    };
    wanted.extend(parts_alone.iter().flat_map(|name| parts[name].files.iter().cloned()));
    Ok(wanted)
}

/// The rows of these names; without any, all that can be had.
fn chosen(table: &RuntimeTable, names: &[String]) -> Result<RuntimeTable> {
    if names.is_empty() {
        let mut all = table.clone();
        // A sandbox alone runs no engine.
        all.retain(|_, row| row.absent.is_none() && row.kind != RuntimeKind::Sandbox);
        return Ok(all);
    }
    let row = |name: &String| match table.get(name) {
        Some(RuntimeUnderTest { absent: Some(reason), .. }) => {
            Err(miette!("{name} cannot be had: {reason}"))
        }
        Some(row) if row.kind == RuntimeKind::Sandbox => {
            Err(miette!("{name} has no container, and so no engine"))
        }
        Some(row) => Ok((name.clone(), row.clone())),
        None => Err(miette!(help = "wamr-lab peers list", "no runtime is called {name:?}")),
    };
    names.iter().map(row).collect()
}

/// Runs one pod of each and prints whether its engine was proven. No figure comes of it: windows
/// are as short as they may be.
fn verify(context: &Context, rows: &RuntimeTable, dir: &std::path::Path) -> Result<ExitCode> {
    let text = experiment_of(rows);
    let experiment = experiment::parse("peers verify", &text, &context.runtimes)
        .map_err(|error| miette::Report::from(*error))?;
    let session = Session::begin(&experiment, dir, Vec::new())?;
    let Outcome::Complete { dir, .. } = measure(context, &experiment, &session, None)? else {
        return Ok(crate::interrupt::EXIT_INTERRUPTED.into());
    };
    let run = read_run(&dir).into_diagnostic().wrap_err("read the finished run")?;
    let mut failed = 0;
    for name in rows.keys() {
        let proven = run.cells.iter().any(|record| {
            let containers = record.evidence.as_ref().map(|evidence| &evidence.containers);
            record.cell.runtime == *name
                && containers.is_some_and(|all| {
                    !all.is_empty() && all.iter().all(|container| container.engine_proven)
                })
        });
        failed += u32::from(!proven);
        anstream::println!("{name}: {}", if proven { "engine proven" } else { "NOT PROVEN" });
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn experiment_of(rows: &RuntimeTable) -> String {
    let mut text = "title = \"One pod of each runtime\"\nprovider = \"native\"\n\
                    control_plane = \"unthrottled\"\ncaches = \"warm\"\nseed = 1\n\
                    repetitions = 1\ndensities = [1]\n"
        .to_owned();
    for (name, row) in rows {
        let Some(workload) = row.workloads.first() else { continue };
        // Writing to a String cannot fail.
        writeln!(text, "[[series]]\nruntime = {name:?}\nworkload = {workload:?}")
            .unwrap_or_default();
    }
    text + "[timing]\nsettle_window_s = 3\nsettle_max_s = 6\nsettle_slope_kib_per_s = 100000\n\
            settle_range_kib = 1048576\nplateau_samples = 1\nmetrics_scrapes = 0\n\
            pod_deadline_s = 60\n"
}

#[test]
fn the_experiment_of_the_shipped_table_is_one() {
    use wamr_node::runtimes::parse_table;
    let table = parse_table(experiment::RUNTIMES).unwrap();
    let rows = chosen(&table, &[]).unwrap();
    let experiment = experiment::parse("verify", &experiment_of(&rows), &table).unwrap();
    assert_eq!(experiment.series.len(), rows.len());
    assert!(chosen(&table, &["nothing".to_owned()]).is_err());
    let mut absent = table;
    absent.get_mut("runc-native").unwrap().absent = Some("lost".to_owned());
    assert!(chosen(&absent, &["runc-native".to_owned()]).is_err(), "absent");
    assert!(!chosen(&absent, &[]).unwrap().contains_key("runc-native"));
}

#[test]
fn rows_and_parts_have_files() {
    use wamr_node::runtimes::parse_table;
    let table = parse_table(experiment::RUNTIMES).unwrap();
    let files = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        wanted_files(&table, &names).map(|files| files.into_iter().collect::<Vec<_>>().join(" "))
    };
    for (names, want) in [
        (&["youki"][..], "bin/youki"),
        (&["crun-wasmtime"], "bin/crun-wasmtime lib/libwasmtime.so"),
        (&["youki", "youki-wasmtime"], "bin/youki bin/youki-wasmtime"),
        (&["runc-native"], ""),
    ] {
        assert_eq!(files(names).unwrap(), want, "{names:?}");
    }
    assert!(files(&[]).unwrap().contains("bin/containerd-shim-wasmer-v1"));
    assert!(files(&["nothing"]).is_err());
}

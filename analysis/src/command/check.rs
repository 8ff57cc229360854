//! `check`: the verdicts on runs, as text, JUnit XML and JSON.

use super::{Outcome, write};
use crate::claims::table::Verdicts;
use crate::claims::{Catalogue, Judged, Verdict, document, junit};
use crate::cli::CheckArguments;
use crate::error::Error;
use crate::load::{Trust, load};
use crate::terminal;

/// Exit status when a claim failed.
const FAILED: u8 = 3;

/// Exit status when a claim was not decided and `--strict` asks for it.
const UNDECIDED: u8 = 4;

/// Judges the claims on every run.
///
/// # Errors
/// A run or a file of claims cannot be read; a claim does not exist; a file cannot be written.
pub fn run(arguments: &CheckArguments) -> Result<Outcome, Error> {
    let mut catalogue = match &arguments.claims {
        Some(path) => Catalogue::with_own(path)?,
        None => Catalogue::built_in()?,
    };
    if arguments.own {
        catalogue.paper.clear();
    }
    if arguments.paper {
        catalogue.own.clear();
    }
    let known = |id: &String| catalogue.paper.iter().chain(&catalogue.own).any(|c| c.id == *id);
    if let Some(id) = arguments.ids.iter().find(|id| !known(id)) {
        return Err(Error::NoClaim { id: id.clone() });
    }
    let trust = if arguments.with_defects { Trust::WithDefects } else { Trust::Whole };
    let wanted = |one: &&Judged| arguments.ids.is_empty() || arguments.ids.contains(&one.claim.id);
    let mut runs = Vec::new();
    let mut lines = Vec::new();
    for dir in &arguments.run_dirs {
        let study = load(dir, trust)?;
        let verdicts = Verdicts::on(&study, &catalogue);
        let judged: Vec<&Judged> = verdicts.all().filter(wanted).collect();
        lines.extend(terminal::verdicts(&study, &judged));
        let own: Vec<Judged> = judged.iter().map(|&one| one.clone()).collect();
        lines.push(String::new());
        lines.push(Verdicts::counts(&own));
        lines.push(String::new());
        runs.push((study.run.name.clone(), own));
    }
    if !arguments.own && arguments.ids.is_empty() {
        lines.push("What in the paper does not agree:".to_owned());
        let words = catalogue.inconsistencies.iter();
        lines.extend(words.map(|one| format!("{} ({}): {}", one.id, one.place, one.text)));
        lines.push(String::new());
    }
    lines.pop();
    if let Some(path) = &arguments.junit {
        let suites: Vec<(String, Vec<&Judged>)> =
            runs.iter().map(|(run, judged)| (run.clone(), judged.iter().collect())).collect();
        write(path, junit::xml(&suites))?;
    }
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&runs).map_err(|source| Error::Encode {
            name: path.display().to_string(),
            source: Box::new(source),
        })?;
        write(path, format!("{json}\n"))?;
    }
    let has = |wanted: &[Verdict]| {
        runs.iter().flat_map(|run| &run.1).any(|one| wanted.contains(&one.verdict))
    };
    let status = if has(&[Verdict::Fail]) {
        FAILED
    } else if arguments.strict && has(&[Verdict::Inconclusive, Verdict::NotRun]) {
        UNDECIDED
    } else {
        0
    };
    Ok(Outcome { text: lines.join("\n") + "\n", status })
}

/// CLAIMS.md.
///
/// # Errors
/// The built-in claims are wrong; a test keeps that from happening.
pub fn document() -> Result<String, Error> {
    Ok(document::document(&Catalogue::built_in()?))
}

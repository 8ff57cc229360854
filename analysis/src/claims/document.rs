//! CLAIMS.md: every claim with what tests it. Made by `wamr-report claims`.

use std::fmt::Write as _;

use super::catalogue::{Catalogue, Claim, Kind};
use crate::report::table::markdown;

const HEAD: &str = "# Claims

What the paper and this project say, and how each statement is tested. This page is made from
`analysis/claims/*.toml` by `wamr-report claims > CLAIMS.md`; a test keeps it current.

`wamr-report check DIR…` judges all of them on run directories, `wamr-report check --claim M09 DIR`
one. Numbers are the paper's, words are ours. A test reads: over which of several values
(`min`, `max`, `mean`, or `all` of them), which formula, which bound.

| formula | meaning, with s the subject and c who it is compared with |
|---|---|
| `less`, `more` | 100 (c − s) / c and 100 (s − c) / c, in percent |
| `value`, `difference` | s and s − c, in MB, kB or s |
| `gap` | how many percent more the first metric shows than the second |
| `rank`, `mean-rank` | place of s among all, 1 for the least; by the mean over the densities |
| `less-than-mean`, `more-than-median` | percent below the mean, above the median of s and all c |
| `faster-than` | how many c take longer |
| `deviation` | largest distance of a repetition from the mean, in MB |
| `density` | largest number of pods in a valid cell |
| `density-ratio` | highest against lowest density, tested for equivalence within so many percent |

";

/// The document.
pub fn document(catalogue: &Catalogue) -> String {
    let mut text = HEAD.to_owned();
    let policy = catalogue.policy;
    let _infallible = writeln!(
        text,
        "Verdicts are given at {} % after Holm's correction; a percentage of the paper counts as \
         found\nagain within {} points, a claim of ours has no tolerance. The rules stand in \
         [docs/method.md](docs/method.md#claims).\n",
        100.0 * policy.alpha,
        policy.tolerance_points
    );
    section(&mut text, "The paper's claims", &catalogue.paper, catalogue);
    section(&mut text, "This project's claims", &catalogue.own, catalogue);
    text.push_str("## What in the paper does not agree\n\n| no. | where | what |\n|---|---|---|\n");
    for one in &catalogue.inconsistencies {
        let _infallible =
            writeln!(text, "| {} | {} | {} |", one.id, markdown(&one.place), markdown(&one.text));
    }
    text
}

fn section(text: &mut String, title: &str, claims: &[Claim], catalogue: &Catalogue) {
    let head = "| claim | where | what | by | pods | against | test |";
    let _infallible = writeln!(text, "## {title}\n\n{head}\n|---|---|---|---|---|---|---|");
    for claim in claims {
        let _infallible = writeln!(text, "{}", row(claim, catalogue));
    }
    text.push('\n');
}

fn row(claim: &Claim, catalogue: &Catalogue) -> String {
    let title = |name: &String| catalogue.systems.get(name).map_or("", |named| &named.title);
    let metrics: Vec<&str> = claim.metrics.iter().map(|metric| metric.name).collect();
    let against: Vec<&str> = claim.against.iter().map(title).collect();
    let pods: Vec<String> = claim.pods.iter().map(ToString::to_string).collect();
    let test = match (&claim.test, claim.kind) {
        (Some(test), Kind::Information) => format!("`{}`, shown only", test.text()),
        (Some(test), _) => format!("`{}`", test.text()),
        (None, Kind::Definition) => "a definition".to_owned(),
        (None, _) => "not by figures".to_owned(),
    };
    let words = match claim.note.as_str() {
        "" => markdown(&claim.text),
        note => format!("{} *{}*", markdown(&claim.text), markdown(note)),
    };
    format!(
        "| {} | {} | {words} | {} | {} | {} | {test} |",
        claim.id,
        markdown(&claim.place),
        metrics.join(", "),
        pods.join(", "),
        markdown(&against.join(", ")),
    )
}

#[test]
fn the_committed_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../CLAIMS.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let catalogue = Catalogue::built_in().unwrap();
    assert!(committed == document(&catalogue), "run: wamr-report claims > CLAIMS.md");
}

//! Reads claims: who is meant, what is said, what is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::bound::{Formula, Test};
use super::metric::Metric;
use crate::error::Error;
use crate::study::Study;

/// The claims that come with the program, by the names of their files.
const BUILT_IN: [(&str, &str); 4] = [
    ("systems.toml", include_str!("../../claims/systems.toml")),
    ("paper-memory.toml", include_str!("../../claims/paper-memory.toml")),
    ("paper-start.toml", include_str!("../../claims/paper-start.toml")),
    ("own.toml", include_str!("../../claims/own.toml")),
];

/// A file of claims is some pages of text.
const LIMIT_BYTES: u64 = 1 << 20;

/// Densities of the paper.
const DENSITIES: [u32; 3] = [10, 100, 400];

/// All claims with what they refer to.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// How verdicts are given.
    pub policy: Policy,
    /// Whom claims may name.
    pub systems: BTreeMap<String, Named>,
    /// What the paper says.
    pub paper: Vec<Claim>,
    /// What this project says.
    pub own: Vec<Claim>,
    /// Where the paper disagrees with itself.
    pub inconsistencies: Vec<Inconsistency>,
}

/// How verdicts are given.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Chance of even one wrong verdict that is accepted.
    pub alpha: f64,
    /// Points within which a percentage of the paper counts as found again.
    pub tolerance_points: f64,
}

/// A system that claims name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// As people know it.
    pub title: String,
    /// Rows of runtimes.toml.
    pub ids: Vec<String>,
}

/// Where the paper disagrees with itself or its code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Inconsistency {
    /// Name.
    pub id: String,
    /// Section of the paper.
    pub place: String,
    /// What does not agree.
    pub text: String,
}

/// What kind of statement a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A number or an order, tested with intervals.
    #[default]
    Numeric,
    /// “The same”: tested for equivalence.
    Equivalence,
    /// A number without an interval.
    Exact,
    /// A number of another machine: shown, not judged.
    Information,
    /// To be seen in another way than in figures.
    Probe,
    /// A definition: nothing to test.
    Definition,
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Name.
    pub id: String,
    /// Section and figure.
    pub place: String,
    /// What is claimed.
    pub text: String,
    /// Remark.
    pub note: String,
    /// What kind of statement it is.
    pub kind: Kind,
    /// By which figures.
    pub metrics: Vec<Metric>,
    /// Of whom: keys of [`Catalogue::systems`].
    pub subjects: Vec<String>,
    /// Against whom.
    pub against: Vec<String>,
    /// At which densities.
    pub pods: Vec<u32>,
    /// What is tested; a probe or definition has no test.
    pub test: Option<Test>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    policy: Option<Policy>,
    systems: BTreeMap<String, Named>,
    groups: BTreeMap<String, Vec<String>>,
    inconsistency: Vec<Inconsistency>,
    claim: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    place: String,
    text: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    metric: Vec<String>,
    #[serde(default)]
    subject: Vec<String>,
    #[serde(default)]
    against: Vec<String>,
    #[serde(default)]
    pods: Vec<u32>,
    test: Option<String>,
}

impl Catalogue {
    /// The claims that come with the program.
    ///
    /// # Errors
    /// A file of them is wrong; a test keeps that from happening.
    pub fn built_in() -> Result<Self, Error> {
        Self::read(&BUILT_IN.map(|(name, text)| (PathBuf::from(name), text.to_owned())))
    }

    /// The built-in systems and paper's claims, with the claims of the file at `path` in place of
    /// this project's.
    ///
    /// # Errors
    /// The file cannot be read or is wrong; the line is named.
    pub fn with_own(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { act: "read", path: path.to_owned(), source };
        let size_bytes = fs::metadata(path).map_err(io)?.len();
        if size_bytes > LIMIT_BYTES {
            let reason = format!("{size_bytes} bytes, more than claims may have");
            return Err(Error::Claims { path: path.to_owned(), line: 1, reason });
        }
        let own = fs::read_to_string(path).map_err(io)?;
        let mut files: Vec<(PathBuf, String)> =
            BUILT_IN.map(|(name, text)| (PathBuf::from(name), text.to_owned())).to_vec();
        files.retain(|file| !is_own(&file.0));
        files.push((path.to_owned(), own));
        Self::read(&files)
    }

    /// The system of `study` that claims call `name`: with the microservice of the paper, unless it
    /// is a control. Claims are about pods that one call creates, so none is that of pods which
    /// arrive at a rate.
    pub fn find(&self, study: &Study, name: &str) -> Option<usize> {
        let ids = &self.systems.get(name)?.ids;
        study.systems.iter().position(|system| {
            let is_claimed =
                system.workload.starts_with("microservice") || system.language == "native";
            ids.contains(&system.runtime) && is_claimed && system.arrival.is_none()
        })
    }

    fn read(files: &[(PathBuf, String)]) -> Result<Self, Error> {
        let mut catalogue = Self {
            policy: Policy { alpha: 0.05, tolerance_points: 5.0 },
            systems: BTreeMap::new(),
            paper: Vec::new(),
            own: Vec::new(),
            inconsistencies: Vec::new(),
        };
        let mut groups = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for (path, text) in files {
            let wrong = |offset: usize, reason: String| {
                let line = 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
                Error::Claims { path: path.clone(), line, reason }
            };
            let file: File = toml::from_str(text).map_err(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                wrong(offset, error.message().to_owned())
            })?;
            catalogue.policy = file.policy.unwrap_or(catalogue.policy);
            catalogue.systems.extend(file.systems);
            groups.extend(file.groups);
            catalogue.inconsistencies.extend(file.inconsistency);
            for entry in file.claim {
                let offset = text.find(&format!("id = \"{}\"", entry.id)).unwrap_or(0);
                if !ids.insert(entry.id.clone()) {
                    return Err(wrong(offset, format!("claim {} twice", entry.id)));
                }
                let claim = claim(entry, &catalogue.systems, &groups)
                    .map_err(|reason| wrong(offset, reason))?;
                let is_paper = !is_own(path) && BUILT_IN.iter().any(|b| Path::new(b.0) == path);
                if is_paper { &mut catalogue.paper } else { &mut catalogue.own }.push(claim);
            }
        }
        Ok(catalogue)
    }
}

fn is_own(path: &Path) -> bool {
    path == Path::new("own.toml")
}

fn claim(
    entry: Entry,
    systems: &BTreeMap<String, Named>,
    groups: &BTreeMap<String, Vec<String>>,
) -> Result<Claim, String> {
    let names = |list: &[String]| -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        for name in list {
            let members = match name.strip_prefix('@') {
                Some(group) => groups.get(group).ok_or_else(|| format!("no group `{name}`"))?,
                None => std::slice::from_ref(name),
            };
            names.extend(members.iter().cloned());
        }
        match names.iter().find(|name| !systems.contains_key(*name)) {
            Some(unknown) => Err(format!("{}: no system `{unknown}`", entry.id)),
            None => Ok(names),
        }
    };
    let subjects = if entry.subject.is_empty() {
        vec!["crun-wamr".to_owned()]
    } else {
        names(&entry.subject)?
    };
    let metrics: Vec<Metric> = entry
        .metric
        .iter()
        .map(|name| Metric::named(name).ok_or_else(|| format!("no metric `{name}`")))
        .collect::<Result<_, _>>()?;
    let against = names(&entry.against)?;
    let test = entry.test.as_deref().map(Test::parse).transpose()?;
    let testable = !matches!(entry.kind, Kind::Probe | Kind::Definition);
    let Some(test) = test else {
        return if testable {
            Err(format!("{}: needs a test", entry.id))
        } else {
            Ok(Claim {
                id: entry.id,
                place: entry.place,
                text: entry.text,
                note: entry.note,
                kind: entry.kind,
                metrics,
                subjects,
                against,
                pods: entry.pods,
                test: None,
            })
        };
    };
    let compares = test.formula.is_pairwise() || test.formula.compares_with_all();
    let wanted = if test.formula == Formula::Gap { 2 } else { 1 };
    if metrics.len() < wanted || compares == against.is_empty() {
        return Err(format!("{}: metric or against does not suit the formula", entry.id));
    }
    let pods = if entry.pods.is_empty() { DENSITIES.to_vec() } else { entry.pods };
    Ok(Claim {
        id: entry.id,
        place: entry.place,
        text: entry.text,
        note: entry.note,
        kind: entry.kind,
        metrics,
        subjects,
        against,
        pods,
        test: Some(test),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_claims_are_whole() {
        let catalogue = Catalogue::built_in().unwrap();
        assert_eq!(catalogue.paper.len(), 47);
        assert!(catalogue.own.len() >= 10 && catalogue.inconsistencies.len() >= 8);
        for claim in catalogue.paper.iter().chain(&catalogue.own) {
            assert!(!claim.place.is_empty() && claim.text.ends_with('.'), "{}", claim.id);
            assert!(claim.subjects.iter().all(|name| catalogue.systems.contains_key(name)));
        }
    }

    #[test]
    fn a_wrong_claim_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        let head = "[[claim]]\nid = \"Z1\"\nplace = \"x\"\ntext = \"x.\"\n";
        let cases = [
            ("metric = [\"free\"]\ntest = \"min lesser > 0\"\n", 2, "no formula"),
            ("metric = [\"free\"]\nagainst = [\"nobody\"]\ntest = \"min less > 0\"\n", 2, "nobody"),
            ("metric = [\"free\"]\ntest = \"min less > 0\"\n", 2, "does not suit"),
            ("metric = [\"width\"]\ntest = \"min value > 0\"\n", 2, "no metric"),
            ("", 2, "needs a test"),
            ("colour = 1\n", 5, "unknown field"),
            (
                "kind = \"probe\"\n[[claim]]\nid = \"M01\"\nplace = \"x\"\ntext = \"x\"\n",
                7,
                "twice",
            ),
        ];
        for (tail, line, reason) in cases {
            fs::write(&path, format!("{head}{tail}")).unwrap();
            let told = Catalogue::with_own(&path).unwrap_err().to_string();
            assert!(told.contains(&format!("mine.toml:{line}")), "{tail}: {told}");
            assert!(told.contains(reason), "{tail}: {told}");
        }
        fs::write(&path, format!("{head}kind = \"probe\"\n")).unwrap();
        assert_eq!(Catalogue::with_own(&path).unwrap().own.len(), 1);
        let mine = "[systems]\nmyrt = { title = \"myrt\", ids = [\"myrt\"] }\n";
        let test = "metric = [\"free\"]\nagainst = [\"myrt\"]\ntest = \"min less > 0\"\n";
        fs::write(&path, format!("{mine}{head}{test}")).unwrap();
        assert_eq!(Catalogue::with_own(&path).unwrap().own[0].against, ["myrt"]);
    }
}

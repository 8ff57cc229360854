//! The runtimes under test, `lab/runtimes.toml`: data, never code branches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};
use wamr_record::release::Release;

use crate::layout::PROGRAM_DIR;

/// All rows, by name.
pub type RuntimeTable = BTreeMap<String, RuntimeUnderTest>;

/// A row of runtimes.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeUnderTest {
    /// The name that figures print.
    pub title: String,
    /// How containerd drives it.
    pub kind: RuntimeKind,
    /// `wasm`, `python`, `native`, or `none` for sandboxes alone.
    pub language: String,
    /// The OCI runtime or the shim: a path in the node image, `dist:NAME` for a program of this
    /// workspace, or `peer:FILE` for what vm-images/peers/peers.toml builds.
    pub binary: String,
    /// Further programs and libraries that take part, same notation.
    #[serde(default)]
    pub extra_programs: Vec<String>,
    /// containerd's handler, and the RuntimeClass of the same name.
    pub handler: String,
    /// The newest release of containerd that it starts under; any, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd_newest: Option<Release>,
    /// Workload images that it can run.
    pub workloads: Vec<String>,
    /// How a running container proves its engine.
    pub evidence: EngineEvidence,
    /// Annotations of the pods.
    #[serde(default)]
    pub pod_annotations: BTreeMap<String, String>,
    /// Annotations of the containers alone: for a runtime that would take the pod's sandbox for a
    /// module, too. The same for all rows of a handler.
    #[serde(default)]
    pub container_annotations: BTreeMap<String, String>,
    /// True for the runtime that this project builds.
    #[serde(default)]
    pub ours: bool,
    /// What must stand beside its figures, in every report of them.
    #[serde(default)]
    pub remark: Option<String>,
    /// Why it cannot be had. Such a row is printed and never run.
    #[serde(default)]
    pub absent: Option<String>,
}

/// How containerd drives a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeKind {
    /// An OCI runtime behind `io.containerd.runc.v2`.
    Oci,
    /// A containerd shim of its own, `containerd-shim-NAME-vN`.
    Shim,
    /// An OCI runtime that makes the pods' sandboxes and no container in them: the control that
    /// tells what a container adds. Kubernetes has no such pods.
    Sandbox,
}

/// Prefix of programs that this workspace builds.
const DIST: &str = "dist:";

/// Prefix of files of peers.
const PEER: &str = "peer:";

/// Where a program comes from, by its notation in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// This workspace, under that name.
    Dist(&'a str),
    /// A peer's file, relative to the folder of peers.
    Peer(&'a str),
    /// The node image, at that path.
    Image(&'a str),
}

/// Where `program` comes from.
pub fn origin(program: &str) -> Origin<'_> {
    if let Some(name) = program.strip_prefix(DIST) {
        Origin::Dist(name)
    } else if let Some(file) = program.strip_prefix(PEER) {
        Origin::Peer(file)
    } else {
        Origin::Image(program)
    }
}

/// The path inside a node of a program as the table names it.
pub fn program_path(program: &str) -> String {
    match origin(program) {
        Origin::Dist(name) => format!("{PROGRAM_DIR}/{name}"),
        Origin::Peer(file) => format!("{}/{file}", wamr_image::peers::DIRECTORY),
        Origin::Image(path) => path.to_owned(),
    }
}

impl RuntimeUnderTest {
    /// Its program and all else that takes part.
    pub fn programs(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.binary).chain(&self.extra_programs)
    }

    /// True if it starts under that release of containerd.
    pub fn starts_under(&self, containerd: Release) -> bool {
        self.containerd_newest.is_none_or(|newest| containerd <= newest)
    }

    /// The files of peers that it needs.
    pub fn peer_files(&self) -> impl Iterator<Item = &str> {
        self.programs().filter_map(|program| match origin(program) {
            Origin::Peer(file) => Some(file),
            Origin::Dist(_) | Origin::Image(_) => None,
        })
    }
}

/// The files of peers that the rows of `table` need.
pub fn peer_files(table: &RuntimeTable) -> BTreeSet<String> {
    let there = table.values().filter(|row| row.absent.is_none());
    there.flat_map(RuntimeUnderTest::peer_files).map(str::to_owned).collect()
}

/// How a running container proves its engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineEvidence {
    /// The file name of `/proc/PID/exe`.
    Exe(String),
    /// The file name of an executable mapping begins so.
    Maps(String),
    /// No engine: the process is the workload's own program, by its digest.
    Workload,
}

/// Reads the table at `path`.
///
/// # Errors
/// The file is unreadable or not a table of runtimes; the text names line and column.
pub fn read_table(path: &Path) -> Result<RuntimeTable> {
    let text = fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("read {}", path.display()))?;
    parse_table(&text).wrap_err_with(|| format!("parse {}", path.display()))
}

/// Parses the text of a table.
///
/// # Errors
/// Not a table of runtimes; the text names line and column.
pub fn parse_table(text: &str) -> Result<RuntimeTable> {
    toml::from_str(text).into_diagnostic()
}

#[test]
fn the_shipped_table_parses() {
    let table = parse_table(include_str!("../../runtimes.toml")).unwrap();
    assert!(table["wamr-crun"].ours);
    assert_eq!(table["runc-python"].evidence, EngineEvidence::Exe("python3.13".to_owned()));
}

/// A row that names a file which no recipe gives would fail only when somebody runs it.
#[test]
fn every_peer_file_of_the_shipped_table_has_a_recipe() {
    let table = parse_table(include_str!("../../runtimes.toml")).unwrap();
    let parts = wamr_image::peers::read().unwrap();
    let given = wamr_image::peers::all_files(&parts);
    for file in peer_files(&table) {
        assert!(given.contains(&file.as_str()), "{file}");
    }
}

#[test]
fn notations() {
    for (program, path) in [
        ("dist:wamr-crun", "/usr/local/bin/wamr-crun"),
        ("peer:lib/libx.so", "/opt/peers/lib/libx.so"),
        ("/usr/bin/crun", "/usr/bin/crun"),
    ] {
        assert_eq!(program_path(program), path);
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let error = parse_table("[x]\ntitel = \"y\"\n").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

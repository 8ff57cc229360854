//! The runtimes under test, `lab/runtimes.toml`: data, never code branches.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use serde::Deserialize;

/// All rows, by name.
pub type RuntimeTable = BTreeMap<String, RuntimeUnderTest>;

/// A row of runtimes.toml.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeUnderTest {
    /// The name that figures print.
    pub title: String,
    /// How containerd drives it.
    pub kind: RuntimeKind,
    /// `wasm`, `python` or `native`.
    pub language: String,
    /// The OCI runtime: a path in the node image, or `dist:NAME` for one of this workspace.
    pub binary: String,
    /// Further programs and libraries that take part, same notation.
    #[serde(default)]
    pub extra_programs: Vec<String>,
    /// containerd's handler, and the RuntimeClass of the same name.
    pub handler: String,
    /// Workload images that it can run.
    pub workloads: Vec<String>,
    /// How a running container proves its engine.
    pub evidence: EngineEvidence,
    /// Annotations of the pods.
    #[serde(default)]
    pub pod_annotations: BTreeMap<String, String>,
    /// True for the runtime that this project builds.
    #[serde(default)]
    pub ours: bool,
}

/// How containerd drives a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeKind {
    /// An OCI runtime behind `io.containerd.runc.v2`.
    Oci,
}

/// How a running container proves its engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineEvidence {
    /// The file name of `/proc/PID/exe`.
    Exe(String),
    /// The file name of an executable mapping begins so.
    Maps(String),
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

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let error = parse_table("[x]\ntitel = \"y\"\n").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

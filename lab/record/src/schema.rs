//! JSON Schemas of the run directory, made from its types.
//!
//! `lab/record/schema/` holds them for people and programs in other languages; a test keeps them
//! current: `cargo run -p wamr-record --example schemas` writes them again.

use std::collections::BTreeMap;

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

use crate::cell::{Cell, Evidence, KubernetesEvent, Pod, ProcessMemory};
use crate::churn::Churn;
use crate::environment::Environment;
use crate::manifest::Manifest;
use crate::sample::Sample;

/// Name of the schema's file, and its text.
pub type Schemas = BTreeMap<&'static str, String>;

/// Every schema. Those of NDJSON files describe one line.
pub fn schemas() -> Schemas {
    BTreeMap::from([
        ("manifest.schema.json", text::<Manifest>("manifest.json")),
        ("environment.schema.json", text::<Environment>("environment.json")),
        ("churn.schema.json", text::<Churn>("churn.json, of a run of wamr-lab churn")),
        ("cell.schema.json", text::<Cell>("cells/CELL/cell.json")),
        ("sample.schema.json", text::<Sample>("a line of samples.ndjson and settling.ndjson")),
        ("pod.schema.json", text::<Pod>("a line of pods.ndjson")),
        ("attribution.schema.json", text::<ProcessMemory>("a line of attribution.ndjson")),
        ("event.schema.json", text::<KubernetesEvent>("a line of events.ndjson")),
        ("evidence.schema.json", text::<Evidence>("cells/CELL/evidence.json")),
    ])
}

/// The schema that describes the file at `path`, a path relative to the run directory.
pub fn schema_of(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_cell = path.starts_with("cells/");
    match (name, in_cell) {
        ("manifest.json", false) => Some("manifest.schema.json"),
        ("environment.json", false) => Some("environment.schema.json"),
        ("churn.json", false) => Some("churn.schema.json"),
        ("cell.json", true) => Some("cell.schema.json"),
        ("samples.ndjson" | "settling.ndjson", true) => Some("sample.schema.json"),
        ("pods.ndjson", true) => Some("pod.schema.json"),
        ("attribution.ndjson", true) => Some("attribution.schema.json"),
        ("events.ndjson", true) => Some("event.schema.json"),
        ("evidence.json", true) => Some("evidence.schema.json"),
        _ => None,
    }
}

fn text<T: JsonSchema>(what: &str) -> String {
    let mut schema = Value::from(schema_for!(T));
    if let Value::Object(members) = &mut schema {
        let title = format!("{what}, schema version {}", crate::SCHEMA_VERSION);
        members.insert("title".to_owned(), Value::String(title));
    }
    format!("{schema:#}\n")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn committed() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("schema")
    }

    #[test]
    fn the_committed_schemas_are_current() {
        for (name, text) in schemas() {
            let found = fs::read_to_string(committed().join(name)).unwrap_or_default();
            let remedy = "run: cargo run -p wamr-record --example schemas";
            assert!(found == text, "lab/record/schema/{name} is old; {remedy}");
        }
        assert_eq!(fs::read_dir(committed()).unwrap().count(), schemas().len());
    }

    /// Values of a file: one, or one per line.
    fn values(path: &str, text: &str) -> Vec<Value> {
        if path.ends_with(".ndjson") {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        } else {
            vec![serde_json::from_str(text).unwrap()]
        }
    }

    fn files(dir: &Path, below: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir.join(below)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if entry.file_type().unwrap().is_dir() {
                files(dir, &path, found);
            } else {
                found.push(path);
            }
        }
    }

    #[test]
    fn a_recorded_run_is_what_its_schemas_say() {
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/demo");
        let mut paths = Vec::new();
        files(&run, "", &mut paths);
        let all = schemas();
        let mut checked = 0;
        for path in &paths {
            let Some(name) = schema_of(path) else { continue };
            let schema = serde_json::from_str(&all[name]).unwrap();
            let validator = jsonschema::validator_for(&schema).unwrap();
            let text = fs::read_to_string(run.join(path)).unwrap();
            for (index, value) in values(path, &text).iter().enumerate() {
                if let Err(error) = validator.validate(value) {
                    panic!("{path}, value {}: {error}", index + 1);
                }
                checked += 1;
            }
        }
        assert!(checked > 100, "{checked} values");
    }

    #[test]
    fn what_the_reader_refuses_the_schema_refuses() {
        let all = schemas();
        let cases = [
            ("pod.schema.json", r#"{"name":"a","uid":"u","requested_ns":1}"#, true),
            ("pod.schema.json", r#"{"name":"a","uid":"u","requested_ns":1,"colour":2}"#, false),
            ("pod.schema.json", r#"{"name":"a","uid":"u"}"#, false),
            ("pod.schema.json", r#"{"name":"a","uid":"u","requested_ns":"1"}"#, false),
            (
                "sample.schema.json",
                r#"{"taken_ns":1,"phase":"before","pods_running":0,
                    "reading":{"source":"metrics-server-node","timestamp_ns":1,"window_s":1.5,
                    "working_set_bytes":7}}"#,
                true,
            ),
            (
                "sample.schema.json",
                r#"{"taken_ns":1,"phase":"noon","pods_running":0,
                    "reading":{"source":"metrics-server-node","timestamp_ns":1,"window_s":1.5,
                    "working_set_bytes":7}}"#,
                false,
            ),
        ];
        for (name, text, sound) in cases {
            let value: Value = serde_json::from_str(text).unwrap();
            let schema = serde_json::from_str(&all[name]).unwrap();
            assert_eq!(jsonschema::is_valid(&schema, &value), sound, "schema: {text}");
            let read = match name {
                "pod.schema.json" => serde_json::from_str::<Pod>(text).is_ok(),
                _ => serde_json::from_str::<Sample>(text).is_ok(),
            };
            assert_eq!(read, sound, "reader: {text}");
        }
    }
}

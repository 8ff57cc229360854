//! Any bytes as config.json, and as the file of `exec --process`: read, checked and planned up to,
//! not including, the first thing that would be made. A refusal names what it is about; nothing
//! panics, and what is planned has an order of steps.
//!
//! An input that begins like JSON is taken as it is. Any other is a list of edits to a
//! configuration that has nearly everything: bytes made up from nothing hardly ever parse.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use oci_spec::runtime::{LinuxResources, Process, Root, Spec};
use serde_json::Value;
use wamr_crun::bundle::{Bundle, for_exec};
use wamr_crun::cgroup::{devices, limits};
use wamr_crun::error::{Result, chain};
use wamr_crun::process::setup::{self, Options, Setup};
use wamr_crun::process::{request, steps};
use wamr_crun::{config_json, intel_rdt, scheduling, validate};

const EVERYTHING: &str = include_str!("../../tests/corpus/everything.json");
/// Values that may sit anywhere and are hardly ever right.
const STRANGE: [&str; 16] = [
    "null",
    "-1",
    "0",
    "18446744073709551615",
    "9223372036854775808",
    "1e308",
    "\"\"",
    "\"/\"",
    "\"../../x\"",
    "\"\\u0000\"",
    "\"0-4294967295\"",
    "\"9223372036854775808\"",
    "[]",
    "{}",
    "true",
    "[{}]",
];
const EDITS: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    let text = match bytes.first() {
        Some(b'{' | b'[' | b' ') => bytes.to_vec(),
        _ => match edited(&mut Unstructured::new(bytes)) {
            Ok(text) => text,
            Err(_) => return,
        },
    };
    for outcome in [planned(&text), planned_process(&text)] {
        if let Err(error) = outcome {
            assert!(!chain(&error).is_empty());
        }
    }
});

fn planned(text: &[u8]) -> Result<()> {
    let parsed = config_json::parse::<Spec>(text, "config.json")?;
    let mut spec = parsed.value;
    // The root is the one thing that must exist; hardly any input names it.
    let mut root = Root::default();
    root.set_path(PathBuf::from("rootfs"));
    spec.set_root(Some(root));
    let bundle = Bundle { directory: directory().to_owned(), spec, notes: parsed.notes };
    let setup = Setup::new("box", &bundle, &Options::default())?;
    assert!(!steps::of_init(&setup).is_empty());
    assert!(for_exec(&bundle.spec).root().is_none());
    let linux = bundle.spec.linux().as_ref();
    linux.and_then(|linux| linux.resources().as_ref()).map_or(Ok(()), groups)
}

fn groups(resources: &LinuxResources) -> Result<()> {
    let rules = devices::rules(resources.devices().as_deref().unwrap_or_default())?;
    assert!(rules.is_empty() || !devices::v1_lines(&rules).is_empty());
    limits::v1(resources)?;
    limits::v2(resources).map(drop)
}

fn planned_process(text: &[u8]) -> Result<()> {
    let process = config_json::parse::<Process>(text, "process.json")?.value;
    let spec: Spec = config_json::parse(EVERYTHING.as_bytes(), "config.json")?.value;
    let (Some(own), Some(linux)) = (spec.process(), spec.linux()) else { return Ok(()) };
    let process = request::from_file(process, own);
    validate::check_process(&process)?;
    setup::identity(&process, linux)?;
    process.exec_cpu_affinity().as_ref().map(scheduling::exec_affinity).transpose()?;
    linux.intel_rdt().as_ref().map(|it| intel_rdt::from_spec(it, "box")).transpose()?;
    setup::program(&spec, &process, &Default::default()).map(drop)
}

/// A bundle with an empty root.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let scratch = std::env::var_os("WAMR_FUZZ_SCRATCH").expect("a directory for the bundle");
        let directory = PathBuf::from(scratch).join("bundle");
        std::fs::create_dir_all(directory.join("rootfs")).expect("make the root");
        directory
    })
}

/// The rich configuration after some edits.
fn edited(choices: &mut Unstructured) -> arbitrary::Result<Vec<u8>> {
    let mut config: Value = serde_json::from_str(EVERYTHING).expect("the configuration is JSON");
    for _ in 0..choices.int_in_range(1..=EDITS)? {
        let index = choices.choose_index(count(&config))?;
        let value = match choices.int_in_range(0..=3)? {
            0 => serde_json::from_str(choices.choose(&STRANGE)?).expect("it is JSON"),
            1 => Value::from(choices.arbitrary::<&str>()?),
            2 => Value::from(choices.arbitrary::<i64>()?),
            _ => {
                // A value of another place.
                let other = choices.choose_index(count(&config))?;
                nth(&mut config, other).map_or(Value::Null, |value| value.clone())
            }
        };
        if let Some(place) = nth(&mut config, index) {
            *place = value;
        }
    }
    Ok(config.to_string().into_bytes())
}

/// How many values `value` holds, itself included.
fn count(value: &Value) -> usize {
    1 + children(value).map(count).sum::<usize>()
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(list) => Box::new(list.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// The `index`-th value in `value`, in depth-first order.
fn nth(value: &mut Value, index: usize) -> Option<&mut Value> {
    if index == 0 {
        return Some(value);
    }
    let mut left = index - 1;
    let inner: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for child in inner {
        let held = count(child);
        if left < held {
            return nth(child, left);
        }
        left -= held;
    }
    None
}

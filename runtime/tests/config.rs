//! config.json with every Linux property, damaged in every place: it is planned or refused with
//! the property's name, and nothing panics. No root needed.
//!
//! Tier: quick

use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use wamr_crun::bundle::Bundle;
use wamr_crun::cgroup::{devices, limits};
use wamr_crun::config_json;
use wamr_crun::process::setup::{Options, Setup};
use wamr_crun::process::steps;

const EVERYTHING: &str = include_str!("corpus/everything.json");

/// What `create` computes from `text` before it makes anything; the error's text.
fn planned(text: &[u8], directory: &Path) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let parsed = config_json::parse(text, "config.json").map_err(|error| told(&error))?;
    let bundle =
        Bundle { directory: directory.to_owned(), spec: parsed.value, notes: parsed.notes };
    let options = Options::default();
    let setup = Setup::new("box", &bundle, &options).map_err(|error| told(&error))?;
    assert!(!steps::of_init(&setup).is_empty());
    let linux = bundle.spec.linux().as_ref().unwrap();
    let Some(resources) = linux.resources() else { return Ok(()) };
    limits::v1(resources).map_err(|error| told(&error))?;
    limits::v2(resources).map_err(|error| told(&error))?;
    let rules = resources.devices().as_deref().unwrap_or_default();
    devices::rules(rules).map(drop).map_err(|error| told(&error))
}

fn names_a_property(text: &str) -> bool {
    text.contains("config.json") || text.contains("root.path")
}

fn bundle() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("rootfs")).unwrap();
    directory
}

/// The JSON pointers of all values below `value`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(inner, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                pointers(inner, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn strange() -> Vec<Value> {
    vec![
        Value::Null,
        json!(-1),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("../../etc"),
        json!("\u{0}"),
        json!("0-4294967295"),
        json!([]),
        json!({}),
        json!("a".repeat(5000)),
    ]
}

#[test]
fn the_whole_of_it_is_planned() {
    let directory = bundle();
    // The two cgroup versions do not share all limits, and neither is complete.
    let mut config: Value = serde_json::from_str(EVERYTHING).unwrap();
    config["linux"]["resources"] = json!({"pids": {"limit": 10}});
    planned(config.to_string().as_bytes(), directory.path()).unwrap();
}

#[test]
fn every_place_can_be_damaged() {
    let directory = bundle();
    let mut everything: Value = serde_json::from_str(EVERYTHING).unwrap();
    everything["linux"]["resources"].as_object_mut().unwrap().remove("network");
    let mut places = Vec::new();
    pointers(&everything, "", &mut places);
    assert!(places.len() > 200, "{}", places.len());
    let mut refused = 0;
    for place in &places {
        for value in strange() {
            let mut config = everything.clone();
            *config.pointer_mut(place).unwrap() = value.clone();
            if let Err(text) = planned(config.to_string().as_bytes(), directory.path()) {
                refused += 1;
                assert!(names_a_property(&text), "{place} = {value}: {text}");
            }
        }
    }
    assert!(refused > places.len(), "{refused} refusals in {} places", places.len());
}

#[test]
fn every_property_can_be_missing() {
    let directory = bundle();
    let everything: Value = serde_json::from_str(EVERYTHING).unwrap();
    let mut places = Vec::new();
    pointers(&everything, "", &mut places);
    for place in places.iter().filter(|place| !place.is_empty()) {
        let mut config = everything.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        match config.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.remove(&name.replace("~1", "/").replace("~0", "~"))),
            Value::Array(list) => drop(list.remove(name.parse().unwrap())),
            _ => continue,
        }
        if let Err(text) = planned(config.to_string().as_bytes(), directory.path()) {
            assert!(names_a_property(&text), "without {place}: {text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn two_places_at_once(
        first in any::<prop::sample::Index>(), second in any::<prop::sample::Index>(),
        one in any::<prop::sample::Index>(), two in any::<prop::sample::Index>(),
    ) {
        let directory = bundle();
        let mut config: Value = serde_json::from_str(EVERYTHING).unwrap();
        let strange = strange();
        for (place, value) in [(first, one), (second, two)] {
            let mut places = Vec::new();
            pointers(&config, "", &mut places);
            let place: &String = place.get(&places);
            *config.pointer_mut(place).unwrap() = value.get(&strange).clone();
        }
        if let Err(text) = planned(config.to_string().as_bytes(), directory.path()) {
            prop_assert!(names_a_property(&text), "{}", text);
        }
    }
}

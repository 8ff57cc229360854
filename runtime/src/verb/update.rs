//! `update`: changes the limits of a container, and keeps them in its state.

use crate::cgroup::limits;
use crate::cli::{Global, Update};
use crate::container::{Container, Status};
use crate::error::{Act, Error, Result};
use crate::intel_rdt;
use oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value, json};
use std::io::{self, Read};
use std::path::Path;

/// Changes what the flags or the file name; everything else stays as it is.
///
/// # Errors
/// [`Error::Missing`]; [`Error::NotRunning`]; [`Error::Usage`]: nothing or nonsense is asked for;
/// [`Error::Config`]: a limit this host does not have; [`Error::Os`].
pub fn update(global: &Global, flags: &Update) -> Result<()> {
    let log = global.log();
    let schemata = schemata(flags)?;
    let asked = match &flags.resources {
        Some(path) => read(path)?,
        None => from_flags(flags)?,
    };
    let nothing = asked.as_object().is_none_or(Map::is_empty);
    // An engine's file may well be empty; a person who gives no flag has forgotten one.
    if nothing && schemata.is_none() && flags.resources.is_none() {
        return Err(Error::Usage(
            "nothing to update: name a limit, or a file with --resources".to_owned(),
        ));
    }
    let container = Container::new(&global.root, &flags.id)?;
    let _lock = container.lock()?;
    let mut state = container.state()?;
    if container.status(&state) == Status::Stopped {
        return Err(Error::NotRunning(container.id));
    }
    let (section, merged) = merge(&state.resources, &asked)?;
    for text in limits::passed_over(&section) {
        log.note(text);
    }
    if let Some(class) = &schemata {
        intel_rdt::update(class, &state.resctrl)?;
    }
    if nothing {
        return Ok(());
    }
    let changed = state.cgroup.update(&section);
    if changed.is_ok() {
        state.resources = merged;
    }
    // Also after a failure: a group that was made for the limit must be found by delete.
    state.write(&container.directory)?;
    changed
}

/// `linux.resources` in `path`, or in stdin for `-`.
fn read(path: &Path) -> Result<Value> {
    let parse = |source| Error::Json { path: path.to_owned(), source };
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().read_to_string(&mut text).act(|| "read stdin".to_owned())?;
    } else {
        text = std::fs::read_to_string(path).act(|| format!("read {}", path.display()))?;
    }
    let resources: LinuxResources = serde_json::from_str(&text).map_err(parse)?;
    serde_json::to_value(resources).map_err(parse)
}

fn from_flags(flags: &Update) -> Result<Value> {
    let size = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| parse_size(name, text)).transpose()
    };
    let asked = json!({
        "memory": {
            "limit": size("--memory", &flags.memory)?,
            "reservation": size("--memory-reservation", &flags.memory_reservation)?,
            "swap": size("--memory-swap", &flags.memory_swap)?,
            "kernel": size("--kernel-memory", &flags.kernel_memory)?,
            "kernelTCP": size("--kernel-memory-tcp", &flags.kernel_memory_tcp)?,
        },
        "cpu": {
            "shares": flags.cpu_shares,
            "period": flags.cpu_period,
            "quota": flags.cpu_quota,
            "burst": flags.cpu_burst,
            "idle": flags.cpu_idle,
            "realtimePeriod": flags.cpu_rt_period,
            "realtimeRuntime": flags.cpu_rt_runtime,
            "cpus": flags.cpuset_cpus,
            "mems": flags.cpuset_mems,
        },
        "pids": {"limit": flags.pids_limit},
        "blockIO": {"weight": flags.blkio_weight},
    });
    Ok(prune(asked))
}

/// The lines for resctrl, checked as those of config.json.
fn schemata(flags: &Update) -> Result<Option<intel_rdt::Class>> {
    let parse = |source| Error::Json { path: "linux.intelRdt".into(), source };
    if flags.l3_cache_schema.is_none() && flags.mem_bw_schema.is_none() {
        return Ok(None);
    }
    let wanted = json!({
        "l3CacheSchema": flags.l3_cache_schema,
        "memBwSchema": flags.mem_bw_schema,
    });
    let wanted = serde_json::from_value(wanted).map_err(parse)?;
    intel_rdt::from_spec(&wanted, &flags.id).map(Some)
}

/// Bytes from a number with or without a unit of 1024, such as 512m or 1GiB; -1: no limit.
fn parse_size(flag: &str, text: &str) -> Result<i64> {
    let wrong =
        || Error::Usage(format!("{flag} {text:?} is no size: use bytes, k, m, g or t, or -1"));
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let number: i64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes >= -1).ok_or_else(wrong)
}

/// Without what is null or empty, and without the zeros and empty texts that stand for "not set".
fn prune(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    let means_unset = |key: &str, value: &Value| match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(number) => {
            number.as_u64() == Some(0) && !matches!(key, "idle" | "burst" | "swappiness")
        }
        Value::Bool(_) => false,
    };
    let pruned = map.into_iter().map(|(key, value)| (key, prune(value)));
    Value::Object(pruned.filter(|(key, value)| !means_unset(key, value)).collect())
}

/// What is to be written (of `before`, only the kinds of limits that `asked` names, because one
/// file may hold several values), and all limits afterwards.
fn merge(before: &LinuxResources, asked: &Value) -> Result<(LinuxResources, LinuxResources)> {
    let parse = |source| Error::Json { path: "linux.resources".into(), source };
    let mut asked = prune(asked.clone());
    if let Some(map) = asked.as_object_mut() {
        // Engines repeat the rules of creation; these stay in force as they are.
        map.remove("devices");
    }
    let mut merged = serde_json::to_value(before).map_err(parse)?;
    overlay(&mut merged, &asked);
    let named = |key: &String| asked.get(key).is_some();
    let sections = merged.as_object().into_iter().flatten().filter(|(key, _)| named(key));
    let section: Map<String, Value> =
        sections.map(|(key, value)| (key.clone(), value.clone())).collect();
    let section = serde_json::from_value(Value::Object(section)).map_err(parse)?;
    Ok((section, serde_json::from_value(merged).map_err(parse)?))
}

fn overlay(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                overlay(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, want) in [
            ("4096", Some(4096)),
            ("512m", Some(512 << 20)),
            ("1GiB", Some(1 << 30)),
            ("-1", Some(-1)),
            ("-2", None),
            ("9999999999t", None),
            ("1.5g", None),
            ("m", None),
            ("5x", None),
        ] {
            assert_eq!(parse_size("--memory", text).ok(), want, "{text}");
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let before: LinuxResources = serde_json::from_str(
            r#"{"memory": {"limit": 100, "swap": 300}, "cpu": {"quota": 50, "period": 1000}}"#,
        )
        .unwrap();
        let asked = json!({"cpu": {"period": 2000, "quota": 0}, "pids": {"limit": 7},
            "devices": [{"allow": false, "access": "rwm"}]});
        let (section, merged) = merge(&before, &asked).unwrap();
        assert!(section.memory().is_none(), "it was not named");
        let cpu = section.cpu().as_ref().unwrap();
        assert_eq!((cpu.quota(), cpu.period()), (Some(50), Some(2000)));
        assert_eq!(merged.memory().unwrap().swap(), Some(300));
        assert_eq!(merged.pids().as_ref().unwrap().limit(), 7);
        assert!(section.devices().is_none());
    }

    #[test]
    fn flags_that_say_nothing_are_refused() {
        assert_eq!(from_flags(&Update::default()).unwrap(), json!({}));
        assert!(schemata(&Update::default()).unwrap().is_none());
        let flags = Update { mem_bw_schema: Some("L3:0=1".to_owned()), ..Update::default() };
        assert!(schemata(&flags).unwrap_err().to_string().contains("memBwSchema"));
        let flags = Update { cpu_burst: Some(0), ..Update::default() };
        assert_eq!(from_flags(&flags).unwrap(), json!({"cpu": {"burst": 0}}));
    }
}

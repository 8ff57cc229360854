//! `linux.resources` and annotations as properties of a systemd unit. Pure.
//!
//! systemd writes what it knows again whenever it reloads; so it must know each limit that it has
//! a property for. The runtime writes all of them to the files too, and those without a property
//! only there.
//!
//! Source: systemd.resource-control(5), org.freedesktop.systemd1(5); runc docs/systemd.md for the
//! annotations.

use super::variant;
use super::wire::Value;
use crate::cgroup::devices::{self, Rule};
use crate::cgroup::limits;
use crate::error::{Error, Result};
use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

/// A property's name and value.
pub type Property = (String, Value);

/// An annotation of this prefix sets the property of the rest of its name.
const ANNOTATION: &str = "org.systemd.property.";
/// systemd's step of a CPU quota.
const QUOTA_STEP_US: u64 = 10_000;
const DEFAULT_PERIOD_US: u64 = 100_000;

fn put(out: &mut Vec<Property>, name: &str, value: Option<u64>) {
    out.extend(value.map(|value| (name.to_owned(), Value::U64(value))));
}

/// -1 is systemd's "infinity"; 0 is not set.
fn bytes(value: Option<i64>) -> Option<u64> {
    value.filter(|value| *value != 0).map(|value| u64::try_from(value).unwrap_or(u64::MAX))
}

/// The properties for `resources` on cgroup version 2, or 1.
///
/// # Errors
/// [`Error::Config`]: a list of CPUs or memory nodes that is none.
pub fn of_resources(resources: &LinuxResources, version_2: bool) -> Result<Vec<Property>> {
    let mut out = Vec::new();
    if let Some(memory) = resources.memory() {
        of_memory(&mut out, memory, version_2);
    }
    if let Some(cpu) = resources.cpu() {
        of_cpu(&mut out, cpu, version_2)?;
    }
    let tasks = resources.pids().as_ref().map(oci_spec::runtime::LinuxPids::limit);
    put(&mut out, "TasksMax", bytes(tasks));
    let weight = resources.block_io().as_ref().and_then(oci_spec::runtime::LinuxBlockIo::weight);
    if let (Some(weight @ 1..), false) = (weight, version_2) {
        put(&mut out, "BlockIOWeight", Some(weight.into()));
    }
    for (file, value) in resources.unified().iter().flatten() {
        let name = match file.as_str() {
            "memory.max" => "MemoryMax",
            "memory.high" => "MemoryHigh",
            "memory.low" => "MemoryLow",
            "memory.min" => "MemoryMin",
            "memory.swap.max" => "MemorySwapMax",
            "pids.max" => "TasksMax",
            "cpu.weight" => "CPUWeight",
            _ => continue,
        };
        let number = if value.trim() == "max" { Some(u64::MAX) } else { value.trim().parse().ok() };
        out.retain(|(earlier, _)| earlier != name);
        put(&mut out, name, number);
    }
    Ok(out)
}

fn of_memory(out: &mut Vec<Property>, memory: &LinuxMemory, version_2: bool) {
    if !version_2 {
        return put(out, "MemoryLimit", bytes(memory.limit()));
    }
    put(out, "MemoryMax", bytes(memory.limit()));
    put(out, "MemoryLow", bytes(memory.reservation()));
    let swap = match (bytes(memory.limit()), bytes(memory.swap())) {
        (_, Some(u64::MAX)) | (Some(u64::MAX), None) => Some(u64::MAX),
        (Some(limit), Some(sum)) => Some(sum.saturating_sub(limit)),
        _ => None,
    };
    put(out, "MemorySwapMax", swap);
}

fn of_cpu(out: &mut Vec<Property>, cpu: &LinuxCpu, version_2: bool) -> Result<()> {
    let shares = cpu.shares().filter(|shares| *shares != 0);
    if version_2 {
        if cpu.idle() != Some(1) {
            put(out, "CPUWeight", shares.map(limits::cpu_weight));
        }
    } else {
        put(out, "CPUShares", shares);
    }
    let period = cpu.period().filter(|period| *period != 0);
    put(out, "CPUQuotaPeriodUSec", period);
    let quota = cpu.quota().filter(|quota| *quota != 0).map(|quota| match u64::try_from(quota) {
        Err(_) => u64::MAX,
        Ok(quota) => {
            let per_s = quota.saturating_mul(1_000_000) / period.unwrap_or(DEFAULT_PERIOD_US);
            per_s.div_ceil(QUOTA_STEP_US).saturating_mul(QUOTA_STEP_US)
        }
    });
    put(out, "CPUQuotaPerSecUSec", quota);
    for (name, field, list) in
        [("AllowedCPUs", "cpus", cpu.cpus()), ("AllowedMemoryNodes", "mems", cpu.mems())]
    {
        let Some(list) = list.as_ref().filter(|list| version_2 && !list.is_empty()) else {
            continue;
        };
        let bits = bit_mask(list).ok_or_else(|| {
            let reason = format!("{list:?} is no list for a cpuset, such as 0-2,7");
            Error::config(format!("linux.resources.cpu.{field}"), reason)
        })?;
        let bits = bits.into_iter().map(Value::Byte).collect();
        out.push((name.to_owned(), Value::Array("y".to_owned(), bits)));
    }
    Ok(())
}

/// A list such as `0-2,7` with a bit for each number, the lowest first.
fn bit_mask(list: &str) -> Option<Vec<u8>> {
    let mut mask = Vec::new();
    for part in list.split(',') {
        let part = part.trim();
        let (begin, end) = part.split_once('-').unwrap_or((part, part));
        let (begin, end): (u16, u16) = (begin.parse().ok()?, end.parse().ok()?);
        if begin > end {
            return None;
        }
        for number in begin..=end {
            let at = usize::from(number / 8);
            if mask.len() <= at {
                mask.resize(at + 1, 0);
            }
            mask[at] |= 1 << (number % 8);
        }
    }
    Some(mask)
}

/// What systemd must let through: at least what the runtime's own filter permits, which decides.
///
/// `names` is /proc/devices, because systemd knows ranges of devices by their driver's name.
pub fn of_devices(rules: &[Rule], names: &str) -> Vec<Property> {
    let Some(last) = rules.iter().rposition(devices::is_everything) else { return Vec::new() };
    if rules[last].allow {
        return Vec::new();
    }
    let allowed = rules[last + 1..].iter().filter(|rule| rule.allow);
    let entry = |(path, access): (String, String)| {
        Value::Struct(vec![Value::Text(path), Value::Text(access)])
    };
    let entries = allowed.flat_map(|rule| device_paths(rule, names)).map(entry).collect();
    vec![
        ("DevicePolicy".to_owned(), Value::text("strict")),
        ("DeviceAllow".to_owned(), Value::Array("(ss)".to_owned(), entries)),
    ]
}

fn device_paths(rule: &Rule, names: &str) -> Vec<(String, String)> {
    let mut access = String::new();
    for (bit, letter) in [(devices::READ, 'r'), (devices::WRITE, 'w'), (devices::MKNOD, 'm')] {
        if rule.access & bit != 0 {
            access.push(letter);
        }
    }
    let kinds: &[(&str, &str)] = match rule.kind {
        b'b' => &[("block", "Block devices:")],
        b'c' => &[("char", "Character devices:")],
        _ => &[("block", "Block devices:"), ("char", "Character devices:")],
    };
    let mut paths = Vec::new();
    for (kind, title) in kinds {
        match (rule.major, rule.minor) {
            (Some(major), Some(minor)) => paths.push(format!("/dev/{kind}/{major}:{minor}")),
            (Some(major), None) => {
                let drivers = driver_names(names, title, major);
                paths.extend(drivers.map(|driver| format!("{kind}-{driver}")));
            }
            (None, _) => paths.push(format!("{kind}-*")),
        }
    }
    paths.into_iter().map(|path| (path, access.clone())).collect()
}

/// The names of a major number in /proc/devices.
fn driver_names<'a>(names: &'a str, title: &str, major: u32) -> impl Iterator<Item = &'a str> {
    let section = names.lines().skip_while(move |line| *line != title).skip(1);
    let pairs = section
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.trim_start().split_once(' '));
    pairs.filter(move |(number, _)| number.parse() == Ok(major)).map(|(_, name)| name)
}

/// The properties that annotations set: `org.systemd.property.TimeoutStopUSec: uint64 90000000`.
/// A name that ends in `Sec` is turned into systemd's `USec`, and its number into microseconds.
///
/// # Errors
/// [`Error::Config`] with the annotation.
pub fn of_annotations<'a>(
    annotations: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<Vec<Property>> {
    let mut out = Vec::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix(ANNOTATION) else { continue };
        let refuse = |reason: &str| Error::config(format!("annotations[{key:?}]"), reason);
        if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(refuse("is no name of a property"));
        }
        let value = variant::parse(text).map_err(|reason| refuse(&reason))?;
        let stem = name
            .strip_suffix("Sec")
            .filter(|stem| stem.ends_with(|letter: char| letter.is_ascii_lowercase()));
        out.push(match stem {
            None => (name.to_owned(), value),
            Some(stem) => {
                let value =
                    microseconds(&value).ok_or_else(|| refuse("is no number of seconds"))?;
                (format!("{stem}USec"), Value::U64(value))
            }
        });
    }
    out.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(out)
}

fn microseconds(value: &Value) -> Option<u64> {
    let seconds = match value {
        Value::Byte(number) => u64::from(*number),
        Value::U16(number) => u64::from(*number),
        Value::U32(number) => u64::from(*number),
        Value::U64(number) => *number,
        Value::I16(number) => u64::try_from(*number).ok()?,
        Value::I32(number) => u64::try_from(*number).ok()?,
        Value::I64(number) => u64::try_from(*number).ok()?,
        Value::F64(number) if *number >= 0.0 => return Some((number * 1e6) as u64),
        _ => return None,
    };
    seconds.checked_mul(1_000_000)
}

/// The names of `properties` in one line, for messages.
pub fn shown(properties: &[Property]) -> String {
    properties.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn shown_for(json: &str, version_2: bool) -> String {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        let list = of_resources(&resources, version_2).unwrap();
        let one = |(name, value): &Property| match value {
            Value::U64(u64::MAX) => format!("{name}=max"),
            Value::U64(number) => format!("{name}={number}"),
            other => format!("{name}={other:?}"),
        };
        list.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn limits_become_properties() {
        for (json, v1, v2) in [
            ("{}", "", ""),
            (
                r#"{"memory": {"limit": 512, "swap": 768, "reservation": 9}}"#,
                "MemoryLimit=512",
                "MemoryMax=512 MemoryLow=9 MemorySwapMax=256",
            ),
            (r#"{"memory": {"limit": -1}}"#, "MemoryLimit=max", "MemoryMax=max MemorySwapMax=max"),
            (
                r#"{"cpu": {"shares": 1024, "quota": 25000, "period": 50000}}"#,
                "CPUShares=1024 CPUQuotaPeriodUSec=50000 CPUQuotaPerSecUSec=500000",
                "CPUWeight=39 CPUQuotaPeriodUSec=50000 CPUQuotaPerSecUSec=500000",
            ),
            (r#"{"cpu": {"quota": 1001}}"#, "CPUQuotaPerSecUSec=20000", "CPUQuotaPerSecUSec=20000"),
            (r#"{"cpu": {"quota": -1}}"#, "CPUQuotaPerSecUSec=max", "CPUQuotaPerSecUSec=max"),
            (r#"{"pids": {"limit": 0}, "memory": {"limit": 0}}"#, "", ""),
            (r#"{"pids": {"limit": -1}}"#, "TasksMax=max", "TasksMax=max"),
            (
                r#"{"pids": {"limit": 5}, "unified": {"pids.max": "7", "io.max": "x"}}"#,
                "TasksMax=7",
                "TasksMax=7",
            ),
        ] {
            assert_eq!(shown_for(json, false), v1, "{json}");
            assert_eq!(shown_for(json, true), v2, "{json}");
        }
    }

    #[test]
    fn lists_become_bits() {
        for (list, want) in [
            ("0", Some(vec![1])),
            ("0-2,9", Some(vec![7, 2])),
            ("8", Some(vec![0, 1])),
            ("2-1", None),
            ("x", None),
            ("", None),
            ("99999999", None),
        ] {
            assert_eq!(bit_mask(list), want, "{list}");
        }
    }

    #[test]
    fn devices_are_let_through() {
        let json = r#"[{"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}]"#;
        let rules = devices::rules(&serde_json::from_str::<Vec<_>>(json).unwrap()).unwrap();
        let names = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n136 no\n";
        let list = of_devices(&rules, names);
        assert_eq!(list[0].1, Value::text("strict"));
        let Value::Array(_, entries) = &list[1].1 else { panic!("{list:?}") };
        let entry = |path, access| Value::Struct(vec![Value::text(path), Value::text(access)]);
        assert_eq!(entries[0], entry("/dev/char/10:229", "rw"));
        assert_eq!(entries[1], entry("char-*", "m"));
        assert!(entries.contains(&entry("char-pts", "rwm")));
        assert!(entries.contains(&entry("/dev/char/1:3", "rwm")));
        let json = r#"[{"allow": true, "access": "rwm"}]"#;
        let rules = devices::rules(&serde_json::from_str::<Vec<_>>(json).unwrap()).unwrap();
        assert!(of_devices(&rules, names).is_empty(), "everything is allowed");
    }

    #[test]
    fn annotations_become_properties() {
        let read = |key: &str, value: &str| {
            let map = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            of_annotations(map.iter())
        };
        let prefix = "org.systemd.property.";
        for (name, value, want) in [
            ("TimeoutStopUSec", "uint64 9", ("TimeoutStopUSec", Value::U64(9))),
            ("TimeoutStopSec", "uint64 2", ("TimeoutStopUSec", Value::U64(2_000_000))),
            ("TimeoutStopSec", "0.5", ("TimeoutStopUSec", Value::U64(500_000))),
            ("After", "['a.service']", ("After", Value::texts(["a.service".to_owned()]))),
            ("CollectMode", "'inactive'", ("CollectMode", Value::text("inactive"))),
        ] {
            let got = read(&format!("{prefix}{name}"), value).unwrap();
            assert_eq!(got, [(want.0.to_owned(), want.1)]);
        }
        assert_eq!(read("other", "x").unwrap(), []);
        for (name, value) in [("A/B", "1"), ("TimeoutStopSec", "'x'"), ("After", "[")] {
            assert!(read(&format!("{prefix}{name}"), value).is_err(), "{name}");
        }
    }
}

//! Reads config.json, or a part of it, so that a mistake is told by the property's name.
//!
//! The types are oci-spec's. Where they are narrower than the specification, the text is repaired
//! and read again: the usual file is read once, and pays nothing for it.
//!
//! Source: runtime-spec config.md "Extensibility", "Linux Process".

use crate::error::{Error, Result};
use oci_spec::runtime::Capability;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// What was read.
#[derive(Debug)]
pub struct Parsed<T> {
    /// The typed content.
    pub value: T,
    /// What was passed over, a sentence each: the specification wants a warning for it.
    pub notes: Vec<String>,
}

/// A failed read, and where it failed.
struct Fault {
    place: String,
    source: serde_json::Error,
}

/// Reads `bytes`; `name` is the file's, for messages.
///
/// # Errors
/// [`Error::Config`] with the property that has a wrong type or value; [`Error::Json`]: the text
/// as a whole is no JSON of this kind.
pub fn parse<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<Parsed<T>> {
    let first = match read(bytes) {
        Ok(parsed) => return Ok(parsed),
        Err(fault) => fault,
    };
    let fault = match repaired(bytes) {
        None => first,
        Some((text, mut notes)) => match read(&text) {
            Ok(mut parsed) => {
                parsed.notes.append(&mut notes);
                return Ok(parsed);
            }
            Err(fault) => fault,
        },
    };
    let Fault { place, source } = fault;
    if place.is_empty() || source.is_syntax() || source.is_eof() {
        return Err(Error::Json { path: name.into(), source });
    }
    Err(Error::config(place, source.to_string()))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<Parsed<T>, Fault> {
    let mut notes = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut pass_over = |path: serde_ignored::Path| {
        // A question mark stands for each optional value on the way.
        let path = path.to_string().replace(".?", "");
        notes.push(format!("unknown property {path} is passed over"));
    };
    let value = serde_ignored::deserialize(&mut json, &mut pass_over)
        .and_then(|value| json.end().map(|()| value));
    match value {
        Ok(value) => Ok(Parsed { value, notes }),
        Err(source) => Err(Fault { place: place(bytes, source.line(), source.column()), source }),
    }
}

/// The property at a line and column of a JSON text, both from 1 on, such as `mounts[2].source`.
fn place(bytes: &[u8], line: usize, column: usize) -> String {
    enum Frame {
        Object(Option<String>),
        Array(usize),
    }
    let before: usize = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    let end = before.saturating_add(column).min(bytes.len());
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while at < end {
        let byte = bytes[at];
        at += 1;
        match byte {
            b'{' => frames.push(Frame::Object(None)),
            b'[' => frames.push(Frame::Array(0)),
            b'}' | b']' => drop(frames.pop()),
            b',' => match frames.last_mut() {
                Some(Frame::Array(index)) => *index += 1,
                Some(Frame::Object(key)) => *key = None,
                None => {}
            },
            b'"' => {
                let text = string(&bytes[at..]);
                at += text.len() + 1;
                if let Some(Frame::Object(key @ None)) = frames.last_mut() {
                    *key = Some(String::from_utf8_lossy(text).into_owned());
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for frame in &frames {
        match frame {
            Frame::Object(Some(key)) if path.is_empty() => path.push_str(key),
            Frame::Object(Some(key)) => path.extend([".", key]),
            Frame::Object(None) => {}
            Frame::Array(index) => path.extend(["[", &index.to_string(), "]"]),
        }
    }
    path
}

/// The inside of the string that begins here, up to its closing quote or the end.
fn string(bytes: &[u8]) -> &[u8] {
    let mut escaped = false;
    let end = bytes.iter().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => *byte == b'"',
    });
    &bytes[..end.unwrap_or(bytes.len())]
}

/// The text without what only oci-spec's types cannot hold; `None` where there is no such thing.
fn repaired(bytes: &[u8]) -> Option<(Vec<u8>, Vec<String>)> {
    let mut json: Value = serde_json::from_slice(bytes).ok()?;
    let mut notes = Vec::new();
    // Either a whole configuration or a process alone, as `exec` reads it.
    let process = if json.get("process").is_some() { json.get_mut("process") } else { None };
    let changed = match process {
        Some(process) => repair(process, &mut notes),
        None => repair(&mut json, &mut notes),
    };
    if !changed {
        return None;
    }
    Some((serde_json::to_vec(&json).ok()?, notes))
}

fn repair(process: &mut Value, notes: &mut Vec<String>) -> bool {
    let capabilities = leave_unknown_capabilities_out(process, notes);
    let user = name_root(process);
    capabilities | user | rename_scheduler_flags(process) | drop_empty_affinity(process)
}

/// Without `user` a process is root's, as with runc and crun.
fn name_root(process: &mut Value) -> bool {
    // A configuration without a process is none.
    let is_process = process.get("ociVersion").is_none();
    let Some(members) = process.as_object_mut().filter(|_| is_process) else { return false };
    let lacks = members.get("user").is_none_or(Value::is_null);
    if lacks {
        members.insert("user".to_owned(), Value::Object(serde_json::Map::new()));
    }
    lacks
}

/// The specification wants a warning, no failure, for a capability that does not exist.
fn leave_unknown_capabilities_out(process: &mut Value, notes: &mut Vec<String>) -> bool {
    let sets = process.get_mut("capabilities").and_then(Value::as_object_mut);
    let mut unknown = BTreeSet::new();
    for (_, names) in sets.into_iter().flatten() {
        let Some(names) = names.as_array_mut() else { continue };
        names.retain(|name| {
            let stranger = name
                .as_str()
                .filter(|_| serde_json::from_value::<Capability>(name.clone()).is_err());
            unknown.extend(stranger.map(str::to_owned));
            stranger.is_none()
        });
    }
    if unknown.is_empty() {
        return false;
    }
    // runc's words.
    let names = Vec::from_iter(unknown).join(" ");
    notes.push(format!("ignoring unknown or unavailable capabilities: [{names}]"));
    true
}

/// oci-spec spells two flags in its own way.
fn rename_scheduler_flags(process: &mut Value) -> bool {
    let flags = process.pointer_mut("/scheduler/flags").and_then(Value::as_array_mut);
    let mut changed = false;
    for flag in flags.into_iter().flatten() {
        let other = match flag.as_str() {
            Some("SCHED_FLAG_RESET_ON_FORK") => "SCHED_RESET_ON_FORK",
            Some("SCHED_FLAG_DL_OVERRUN") => "SCHED_FLAG_D_L_OVERRUN",
            _ => continue,
        };
        *flag = other.into();
        changed = true;
    }
    changed
}

/// An empty list of CPUs means the same as none.
fn drop_empty_affinity(process: &mut Value) -> bool {
    let lists = process.pointer_mut("/execCPUAffinity").and_then(Value::as_object_mut);
    let Some(lists) = lists else { return false };
    let before = lists.len();
    lists.retain(|_, list| list.as_str() != Some(""));
    lists.len() != before
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::{Process, Spec};
    use proptest::prelude::*;

    const CONFIG: &str = r#"{
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs", "readonly": true},
        "process": {"user": {"uid": 1, "gid": 2, "additionalGids": [3]}, "args": ["a", "b"],
            "cwd": "/", "env": ["A=\"b\\"], "capabilities": {"bounding": ["CAP_KILL"]},
            "scheduler": {"policy": "SCHED_IDLE"}},
        "mounts": [{"destination": "/p", "type": "proc", "options": ["ro", "x=y"]}],
        "linux": {"namespaces": [{"type": "mount"}], "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],
            "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}}
    }"#;

    fn refusal(json: &str) -> String {
        let refused = parse::<Spec>(json.as_bytes(), "config.json").err();
        refused.map_or_else(|| panic!("accepted: {json}"), |error| error.to_string())
    }

    #[test]
    fn a_mistake_is_told_by_its_property() {
        for (from, to, want) in [
            (r#""uid": 1"#, r#""uid": "x""#, "config.json: process.user.uid: invalid type"),
            ("[3]", "[3, -1]", "process.user.additionalGids[1]: "),
            (r#""ro", "x=y""#, r#""ro", 7"#, "mounts[0].options[1]: invalid type"),
            (r#"{"type": "mount"}"#, r#"{"path": "/"}"#, "linux.namespaces[0]: missing field"),
            (r#""index": 0, "#, "", "linux.seccomp.syscalls[0].args[0]: missing field `index`"),
            (r#""SCHED_IDLE""#, r#""SCHED_X""#, "process.scheduler.policy: unknown variant"),
            (r#""linux": {"#, r#""root": {"path": ""}, "linux": {"#, "root: duplicate field"),
        ] {
            let json = CONFIG.replacen(from, to, 1);
            assert_ne!(json, CONFIG, "{from}");
            let text = refusal(&json);
            assert!(text.contains(want), "{want}: {text}");
        }
        assert!(refusal("7").starts_with("parse config.json"));
        assert!(refusal(&CONFIG[..CONFIG.len() - 1]).starts_with("parse config.json"));
    }

    #[test]
    fn what_nobody_knows_is_passed_over_with_a_note() {
        let json = CONFIG.replace(r#"["CAP_KILL"]"#, r#"["CAP_KILL", "CAP_NEW"], "other": 1"#);
        let parsed = parse::<Spec>(json.as_bytes(), "config.json").unwrap();
        let want = [
            "unknown property process.capabilities.other is passed over",
            "ignoring unknown or unavailable capabilities: [CAP_NEW]",
        ];
        assert_eq!(parsed.notes, want);
    }

    #[test]
    fn spellings_and_gaps_of_the_specification_are_read() {
        let json = r#"{"cwd": "/", "scheduler": {"policy": "SCHED_DEADLINE", "flags":
            ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"]},
            "execCPUAffinity": {"initial": "", "final": "0"}}"#;
        let process = parse::<Process>(json.as_bytes(), "process.json").unwrap().value;
        assert_eq!((process.user().uid(), process.user().gid()), (0, 0));
        assert_eq!(process.scheduler().as_ref().unwrap().flags().as_ref().unwrap().len(), 2);
        let affinity = process.exec_cpu_affinity().as_ref().unwrap();
        assert_eq!(
            (affinity.initial(), affinity.cpu_affinity_final().as_deref()),
            (&None, Some("0"))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(parse::<Spec>(&bytes, "config.json"));
        }

        #[test]
        fn any_place_can_be_asked_for(text in ".{0,80}", line in 0..9_usize, column: usize) {
            place(text.as_bytes(), line, column);
        }

        #[test]
        fn a_damaged_configuration_is_read_or_refused(
            at in 0..CONFIG.len(), length in 0..40_usize, patch in r#"[\[\]{}",:0-9a-z\\]{0,8}"#,
        ) {
            let end = (at + length).min(CONFIG.len());
            let json = [&CONFIG[..at], &patch, &CONFIG[end..]].concat();
            if let Err(error) = parse::<Spec>(json.as_bytes(), "config.json") {
                prop_assert!(error.to_string().contains("config.json"));
            }
        }
    }
}

//! Any config.json is planned or refused, never a panic: a rich one is damaged at random places.
//!
//! Nothing is created: reading, checking and planning is all that happens. `PROPTEST_CASES` makes
//! it longer.
//!
//! Tier: quick

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use std::fs;
use wamr_crun::bundle::Bundle;
use wamr_crun::process::setup::{Options, Setup};

/// Something of nearly every kind that config.json can hold.
fn rich() -> Value {
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    json!({
        "ociVersion": "1.2.0", "root": {"path": "rootfs", "readonly": true},
        "hostname": "h", "domainname": "d", "annotations": {"run.oci.handler": "wasm",
            "org.wamr-crun.wasm.stack-bytes": "65536"},
        "process": {
            "terminal": true, "consoleSize": {"height": 1, "width": 2},
            "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3]},
            "args": ["a", "b"], "env": ["PATH=/bin", "X=1"], "cwd": "/c",
            "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"],
                "permitted": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}],
            "oomScoreAdj": 5, "noNewPrivileges": true,
            "scheduler": {"policy": "SCHED_FIFO", "priority": 3},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/t", "type": "tmpfs", "source": "t", "options": ["size=1k", "ro"]},
            {"destination": "/b", "type": "bind", "source": "/etc", "options": ["rbind", "rro"],
                "uidMappings": map, "gidMappings": map},
            {"destination": "/g", "type": "cgroup", "source": "cgroup"},
        ],
        "hooks": {"prestart": [{"path": "/h", "args": ["h"], "env": ["A=b"], "timeout": 1}],
            "poststop": [{"path": "/h"}]},
        "linux": {
            "uidMappings": map, "gidMappings": map, "cgroupsPath": "/a/b",
            "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"},
                {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "user"},
                {"type": "cgroup"}, {"type": "time"}],
            "timeOffsets": {"monotonic": {"secs": 1, "nanosecs": 2}},
            "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438,
                "uid": 0, "gid": 0}],
            "sysctl": {"net.ipv4.ip_forward": "1"}, "rootfsPropagation": "slave",
            "maskedPaths": ["/m"], "readonlyPaths": ["/r"], "personality": {"domain": "LINUX"},
            "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
                "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_EQ"}]}]},
            "resources": {
                "devices": [{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
                "memory": {"limit": 1_048_576, "swap": 2_097_152, "reservation": 1},
                "cpu": {"shares": 2, "quota": 1000, "period": 2000, "cpus": "0-1", "mems": "0"},
                "pids": {"limit": 5}, "unified": {"memory.high": "1"},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 0}],
                "blockIO": {"weight": 10, "throttleReadBpsDevice":
                    [{"major": 8, "minor": 0, "rate": 5}]},
            },
        },
    })
}

/// Values that are not what a property expects.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([])),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "/",
            "..",
            "/../x",
            "a\0b",
            "-1",
            "%",
            "user",
            "rshared",
            "SCMP_ACT_NOTIFY",
            "max",
            "0-99999999999",
            "=",
            "CAP_",
            "\u{fffd}",
            "9223372036854775808",
        ])
        .prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ]
}

/// How many values `value` holds, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The `index`-th value in `value`, in depth-first order.
fn nth(value: &mut Value, index: usize) -> Option<&mut Value> {
    if index == 0 {
        return Some(value);
    }
    let mut left = index - 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for child in children {
        let held = count(child);
        if left < held {
            return nth(child, left);
        }
        left -= held;
    }
    None
}

/// Reads and plans the bundle whose config.json is `bytes`; says whether it would be created.
fn plan(bytes: &[u8]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("rootfs")).unwrap();
    fs::write(directory.path().join("config.json"), bytes).unwrap();
    let planned = Bundle::load(directory.path(), None)
        .and_then(|bundle| Setup::new("hostile", &bundle, &Options::default()));
    match planned {
        Ok(_) => true,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn most_of_the_rich_one_is_accepted() {
    let mut config = rich();
    // What this machine may not have.
    config["process"].as_object_mut().unwrap().remove("ioPriority");
    config["mounts"] = json!([{"destination": "/proc", "type": "proc", "source": "proc"}]);
    config["linux"].as_object_mut().unwrap().remove("resources");
    assert!(plan(config.to_string().as_bytes()));
}

proptest! {
    #[test]
    fn values_out_of_place(edits in prop::collection::vec((any::<Index>(), odd()), 1..4)) {
        let mut config = rich();
        for (place, value) in edits {
            let index = place.index(count(&config));
            if let Some(found) = nth(&mut config, index) {
                *found = value;
            }
        }
        plan(config.to_string().as_bytes());
    }

    #[test]
    fn bytes_out_of_place(edits in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6)) {
        let mut bytes = rich().to_string().into_bytes();
        for (place, byte) in edits {
            let index = place.index(bytes.len());
            bytes[index] = byte;
        }
        plan(&bytes);
    }
}

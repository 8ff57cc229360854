//! What a workload prints of itself, read from the container's log: the stamp that is its first
//! act, and how long its work took, if it does a fixed amount. Parsing is pure.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cluster::kubernetes::pod_log_dir;
use crate::cluster::manifest::CONTAINER;
use crate::node_view::NodeView;
use crate::processes::open_in_root;

/// Two clocks' word on one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartStamp {
    /// The workload's own `CLOCK_REALTIME`.
    pub first_instruction_ns: i64,
    /// containerd's, when it read the line from the pipe.
    pub log_ns: Option<i64>,
}

/// Path of the first log of a pod's container, below the node's root.
pub fn log_path(pod: &str, uid: &str) -> String {
    format!("{}/{CONTAINER}/0.log", pod_log_dir(pod, uid))
}

/// The stamp of a pod; `None` while there is none.
pub fn read(node: &NodeView, pod: &str, uid: &str) -> Option<StartStamp> {
    log_begin(node, pod, uid)?.lines().find_map(parse_line)
}

/// How long the pod's work took, once it has said so.
pub fn duration_ns(node: &NodeView, pod: &str, uid: &str) -> Option<i64> {
    log_begin(node, pod, uid)?.lines().find_map(parse_duration)
}

/// The last line of a container that ended early, without containerd's prefix.
pub fn last_words(node: &NodeView, pod: &str, uid: &str) -> Option<String> {
    let text = log_begin(node, pod, uid)?;
    let words = text.lines().next_back()?.splitn(4, ' ').nth(3)?.trim();
    (!words.is_empty()).then(|| words.to_owned())
}

/// The stamp is the first line, and a container that failed says little: a workload that floods
/// its log must not be read whole.
fn log_begin(node: &NodeView, pod: &str, uid: &str) -> Option<String> {
    let log = open_in_root(&node.root, &log_path(pod, uid)).ok()?;
    io::read_to_string(io::Read::take(log, 64 * 1024)).ok()
}

/// Parses a line of a container's log: `TIME stdout F start_ns=1700000000000000000`.
///
/// Source: kubernetes/design-proposals, node/kubelet-cri-logging.md.
fn parse_line(line: &str) -> Option<StartStamp> {
    let (time, text) = printed(line)?;
    let first_instruction_ns = text.strip_prefix("start_ns=")?.parse().ok()?;
    let log_ns = time
        .parse::<Timestamp>()
        .ok()
        .and_then(|timestamp| i64::try_from(timestamp.as_nanosecond()).ok());
    Some(StartStamp { first_instruction_ns, log_ns })
}

/// Parses the line that tells how long the work took.
fn parse_duration(line: &str) -> Option<i64> {
    let (_, text) = printed(line)?;
    text.strip_prefix("duration_ns=")?.parse().ok().filter(|duration_ns| *duration_ns >= 0)
}

/// Time and text of a line on the container's standard output.
fn printed(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.splitn(4, ' ');
    let (time, stream, _tag, text) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    (stream == "stdout").then_some((time, text.trim_end()))
}

#[test]
fn the_work_of_a_workload() {
    for (line, want) in [
        ("1970-01-01T00:00:02Z stdout F duration_ns=2000000001", Some(2_000_000_001)),
        ("1970-01-01T00:00:02Z stderr F duration_ns=7", None),
        ("1970-01-01T00:00:02Z stdout F duration_ns=-7", None),
        ("1970-01-01T00:00:02Z stdout F start_ns=7", None),
        ("duration_ns=7", None),
    ] {
        assert_eq!(parse_duration(line), want, "{line}");
    }
}

#[test]
fn lines_of_a_container_log() {
    let stamp = |first_instruction_ns, log_ns| Some(StartStamp { first_instruction_ns, log_ns });
    let table: &[(&str, Option<StartStamp>)] = &[
        (
            "1970-01-01T00:00:02.000000003Z stdout F start_ns=2000000001",
            stamp(2_000_000_001, Some(2_000_000_003)),
        ),
        ("1970-01-01T01:00:02.5+01:00 stdout F start_ns=7", stamp(7, Some(2_500_000_000))),
        ("then stdout F start_ns=7", stamp(7, None)),
        ("1970-01-01T00:00:02Z stderr F start_ns=7", None),
        ("1970-01-01T00:00:02Z stdout F start_ns=", None),
        ("1970-01-01T00:00:02Z stdout F start_ns=1e3", None),
        ("1970-01-01T00:00:02Z stdout F hello", None),
        ("", None),
    ];
    for (line, want) in table {
        assert_eq!(parse_line(line), *want, "{line}");
    }
}

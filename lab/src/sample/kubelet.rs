//! The kubelet's own figures: `/stats/summary` and `/metrics/resource`. Pure; the cluster fetches.
//!
//! The kubelet reads control groups every ten seconds or so and answers from memory: each figure
//! has the time at which it was read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use wamr_record::sample::Reading;

/// Where the kubelet answers, below the API server's proxy to the node.
pub const SUMMARY: &str = "stats/summary?only_cpu_and_memory=true";
/// See [`SUMMARY`].
pub const RESOURCE: &str = "metrics/resource";

/// Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go, `Summary`.
#[derive(Debug, Deserialize)]
struct Summary {
    node: NodeStats,
    #[serde(default)]
    pods: Vec<PodStats>,
}

#[derive(Debug, Deserialize)]
struct NodeStats {
    memory: Option<MemoryStats>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStats {
    pod_ref: PodReference,
    memory: Option<MemoryStats>,
}

#[derive(Debug, Deserialize)]
struct PodReference {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemoryStats {
    time: String,
    usage_bytes: Option<u64>,
    working_set_bytes: Option<u64>,
    rss_bytes: Option<u64>,
}

/// The readings of a summary: the node, and pods that `wanted` names.
///
/// # Errors
/// Not what the kubelet promises. What it leaves out of a figure leaves out the figure.
pub fn summary(
    text: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Reading>, serde_json::Error> {
    let summary: Summary = serde_json::from_str(text)?;
    let node = summary.node.memory.and_then(|memory| {
        let (timestamp_ns, usage_bytes, working_set_bytes, rss_bytes) = memory.figures()?;
        Some(Reading::KubeletSummaryNode {
            timestamp_ns,
            usage_bytes,
            working_set_bytes,
            rss_bytes,
        })
    });
    let pods = summary.pods.into_iter().filter(|pod| wanted(&pod.pod_ref.name)).filter_map(|pod| {
        let (timestamp_ns, usage_bytes, working_set_bytes, rss_bytes) = pod.memory?.figures()?;
        Some(Reading::KubeletSummaryPod {
            timestamp_ns,
            pod: pod.pod_ref.name,
            usage_bytes,
            working_set_bytes,
            rss_bytes,
        })
    });
    Ok(node.into_iter().chain(pods).collect())
}

impl MemoryStats {
    fn figures(self) -> Option<(i64, u64, u64, u64)> {
        let time: Timestamp = self.time.parse().ok()?;
        let timestamp_ns = i64::try_from(time.as_nanosecond()).ok()?;
        Some((timestamp_ns, self.usage_bytes?, self.working_set_bytes?, self.rss_bytes?))
    }
}

/// A line of the text format: name, labels, value, milliseconds.
struct Line<'a> {
    name: &'a str,
    labels: &'a str,
    bytes: u64,
    timestamp_ns: i64,
}

impl<'a> Line<'a> {
    /// Source: Prometheus' "Text-based format", one line of it; label values here hold no quotes.
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let (name, labels, rest) = if let Some((name, rest)) = line.split_once('{') {
            let (labels, rest) = rest.split_once('}')?;
            (name, labels, rest)
        } else {
            let (name, rest) = line.split_once(' ')?;
            (name, "", rest)
        };
        let mut words = rest.split_whitespace();
        let value: f64 = words.next()?.parse().ok()?;
        let milliseconds: i64 = words.next()?.parse().ok()?;
        let sound = value.is_finite() && value >= 0.0;
        sound.then_some(Self {
            name,
            labels,
            bytes: value as u64,
            timestamp_ns: milliseconds.saturating_mul(1_000_000),
        })
    }

    fn pod(&self) -> Option<&'a str> {
        self.labels
            .split(',')
            .find_map(|label| label.trim().strip_prefix("pod=\"")?.strip_suffix('"'))
    }
}

/// The readings of `/metrics/resource`: the node, and pods that `wanted` names.
///
/// Source: Kubernetes, "Metrics For The Kubernetes Resource Metrics Pipeline" (KEP-727).
pub fn resource(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Reading> {
    let mut node = None;
    // Per pod: the latest time, its own figure, the sum of its containers'.
    let mut pods: BTreeMap<&str, (i64, Option<u64>, u64)> = BTreeMap::new();
    for line in text.lines().filter_map(Line::parse) {
        let of_pod = line.pod().filter(|pod| wanted(pod));
        match (line.name, of_pod) {
            ("node_memory_working_set_bytes", _) => {
                let (timestamp_ns, working_set_bytes) = (line.timestamp_ns, line.bytes);
                node = Some(Reading::KubeletResourceNode { timestamp_ns, working_set_bytes });
            }
            ("pod_memory_working_set_bytes", Some(pod)) => {
                let entry = pods.entry(pod).or_default();
                (entry.0, entry.1) = (entry.0.max(line.timestamp_ns), Some(line.bytes));
            }
            ("container_memory_working_set_bytes", Some(pod)) => {
                let entry = pods.entry(pod).or_default();
                (entry.0, entry.2) = (entry.0.max(line.timestamp_ns), entry.2 + line.bytes);
            }
            _ => {}
        }
    }
    let pods = pods.into_iter().filter_map(|(pod, (timestamp_ns, own, containers))| {
        Some(Reading::KubeletResourcePod {
            timestamp_ns,
            pod: pod.to_owned(),
            working_set_bytes: own?,
            containers_working_set_bytes: containers,
        })
    });
    node.into_iter().chain(pods).collect()
}

/// The readings of several kubelets with those of their nodes made one each: sums, and the earliest
/// time.
pub fn together(readings: Vec<Reading>) -> Vec<Reading> {
    let (mut of_nodes, mut all) = ((None, None), Vec::new());
    for reading in readings {
        match reading {
            Reading::KubeletSummaryNode {
                timestamp_ns: at_ns,
                usage_bytes: usage,
                working_set_bytes: working_set,
                rss_bytes: rss,
            } => {
                let (first_ns, sum) = of_nodes.0.get_or_insert((at_ns, [0; 3]));
                *first_ns = at_ns.min(*first_ns);
                for (sum, bytes) in sum.iter_mut().zip([usage, working_set, rss]) {
                    *sum += bytes;
                }
            }
            Reading::KubeletResourceNode { timestamp_ns: at_ns, working_set_bytes } => {
                let (first_ns, sum) = of_nodes.1.get_or_insert((at_ns, 0));
                *first_ns = at_ns.min(*first_ns);
                *sum += working_set_bytes;
            }
            other => all.push(other),
        }
    }
    let summary = of_nodes.0.map(|(timestamp_ns, [usage_bytes, working_set_bytes, rss_bytes])| {
        Reading::KubeletSummaryNode { timestamp_ns, usage_bytes, working_set_bytes, rss_bytes }
    });
    let resource = of_nodes.1.map(|(timestamp_ns, working_set_bytes)| {
        Reading::KubeletResourceNode { timestamp_ns, working_set_bytes }
    });
    summary.into_iter().chain(resource).chain(all).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    fn memory(second: u32, bytes: u64) -> serde_json::Value {
        json!({
            "time": format!("1970-01-01T00:00:{second:02}Z"),
            "availableBytes": 1, "usageBytes": bytes + 2, "workingSetBytes": bytes + 1,
            "rssBytes": bytes, "pageFaults": 9,
        })
    }

    #[test]
    fn the_summary_has_the_node_and_wanted_pods() {
        let text = json!({
            "node": { "nodeName": "n", "cpu": {}, "memory": memory(5, 1000) },
            "pods": [
                { "podRef": { "name": "a", "namespace": "density", "uid": "u" },
                  "startTime": "x", "memory": memory(6, 10) },
                { "podRef": { "name": "other" }, "memory": memory(6, 20) },
                { "podRef": { "name": "b" } },
                { "podRef": { "name": "c" }, "memory": { "time": "1970-01-01T00:00:07Z" } },
            ],
        });
        let readings = summary(&text.to_string(), |pod| pod != "other").unwrap();
        let want = [
            Reading::KubeletSummaryNode {
                timestamp_ns: 5 * SECOND_NS,
                usage_bytes: 1002,
                working_set_bytes: 1001,
                rss_bytes: 1000,
            },
            Reading::KubeletSummaryPod {
                timestamp_ns: 6 * SECOND_NS,
                pod: "a".into(),
                usage_bytes: 12,
                working_set_bytes: 11,
                rss_bytes: 10,
            },
        ];
        assert_eq!(readings, want);
        assert!(summary("{}", |_| true).is_err());
        assert!(summary("404 page not found", |_| true).is_err());
    }

    #[test]
    fn kubelets_of_several_nodes_are_one() {
        let node = |timestamp_ns, bytes| Reading::KubeletSummaryNode {
            timestamp_ns,
            usage_bytes: bytes + 2,
            working_set_bytes: bytes + 1,
            rss_bytes: bytes,
        };
        let resource = |timestamp_ns, working_set_bytes| Reading::KubeletResourceNode {
            timestamp_ns,
            working_set_bytes,
        };
        let pod = Reading::KubeletResourcePod {
            timestamp_ns: 1,
            pod: "p".into(),
            working_set_bytes: 1,
            containers_working_set_bytes: 1,
        };
        let all = vec![node(7, 10), pod.clone(), resource(9, 1), node(6, 20), resource(8, 2)];
        let sum = Reading::KubeletSummaryNode {
            timestamp_ns: 6,
            usage_bytes: 34,
            working_set_bytes: 32,
            rss_bytes: 30,
        };
        assert_eq!(together(all), [sum, resource(8, 3), pod.clone()]);
        assert_eq!(together(vec![node(7, 10)]), [node(7, 10)]);
        assert_eq!(together(vec![pod.clone()]), [pod]);
    }

    #[test]
    fn resource_metrics_are_summed_per_pod() {
        let text = "\
# HELP container_memory_working_set_bytes [STABLE] Current working set of the container in bytes
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container=\"w\",namespace=\"density\",pod=\"a\"} 4.5056e+06 5000
container_memory_working_set_bytes{container=\"s\",namespace=\"density\",pod=\"a\"} 1000 6000
container_memory_working_set_bytes{container=\"w\",namespace=\"density\",pod=\"no\"} 7 6000
node_memory_working_set_bytes 1.2e+09 7000
pod_memory_working_set_bytes{namespace=\"density\",pod=\"a\"} 4.6e+06 5500
pod_memory_working_set_bytes{namespace=\"density\",pod=\"b\"} NaN 5500
pod_memory_working_set_bytes{namespace=\"density\",pod=\"b\"
scrape_error 0
";
        let want = [
            Reading::KubeletResourceNode {
                timestamp_ns: 7 * SECOND_NS,
                working_set_bytes: 1_200_000_000,
            },
            Reading::KubeletResourcePod {
                timestamp_ns: 6 * SECOND_NS,
                pod: "a".into(),
                working_set_bytes: 4_600_000,
                containers_working_set_bytes: 4_506_600,
            },
        ];
        assert_eq!(resource(text, |pod| pod != "no"), want);
        assert_eq!(resource("", |_| true), []);
    }
}

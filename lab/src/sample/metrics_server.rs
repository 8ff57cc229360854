//! metrics-server's figures: parsing, and passing each scrape on once. Pure; the cluster fetches.
//!
//! metrics-server answers from its last scrape, so asking twice in 15 s gives one figure twice;
//! and a scrape that ended before the pods had run for a whole interval stands for another moment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use wamr_record::sample::Reading;

use super::quantity;

/// A NodeMetrics or PodMetrics object, as far as it is read.
///
/// Source: k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go.
#[derive(Debug, Clone, Deserialize)]
pub struct MetricsObject {
    timestamp: String,
    window: String,
    /// Of a node.
    #[serde(default)]
    usage: Option<Usage>,
    /// Of a pod.
    #[serde(default)]
    containers: Vec<ContainerMetrics>,
}

#[derive(Debug, Clone, Deserialize)]
struct ContainerMetrics {
    usage: Usage,
}

#[derive(Debug, Clone, Deserialize)]
struct Usage {
    memory: String,
}

/// What one object says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figure {
    timestamp_ns: i64,
    window_s: f64,
    working_set_bytes: u64,
}

/// Keeps what was passed on already.
#[derive(Debug, Default)]
pub struct Scrapes {
    not_before_ns: i64,
    /// The last figure of each node that was passed on.
    nodes_seen: BTreeMap<String, i64>,
    node_count: usize,
    pods_seen: BTreeSet<(String, i64)>,
}

impl Scrapes {
    /// Only figures whose window ends after `not_before_ns` are passed on.
    pub fn after(not_before_ns: i64) -> Self {
        Self { not_before_ns, ..Self::default() }
    }

    /// The reading of NodeMetrics objects, of all nodes together, once each is a new one.
    pub fn nodes(&mut self, objects: &BTreeMap<String, MetricsObject>) -> Option<Reading> {
        let figures: BTreeMap<&String, Figure> = objects
            .iter()
            .map(|(node, object)| Some((node, figure(object)?)))
            .collect::<Option<_>>()?;
        let fresh = figures.iter().all(|(node, figure)| {
            let seen_ns = self.nodes_seen.get(*node).copied().unwrap_or(self.not_before_ns);
            figure.timestamp_ns > seen_ns
        });
        let timestamp_ns = figures.values().map(|figure| figure.timestamp_ns).min()?;
        if !fresh {
            return None;
        }
        self.node_count += 1;
        let seen = figures.iter().map(|(node, figure)| ((*node).clone(), figure.timestamp_ns));
        self.nodes_seen.extend(seen);
        Some(Reading::MetricsServerNode {
            timestamp_ns,
            window_s: figures.values().map(|figure| figure.window_s).fold(0.0, f64::max),
            working_set_bytes: figures.values().map(|figure| figure.working_set_bytes).sum(),
        })
    }

    /// The reading of the PodMetrics object of `pod`, if it is a new one.
    pub fn pod(&mut self, pod: &str, object: &MetricsObject) -> Option<Reading> {
        let Figure { timestamp_ns, window_s, working_set_bytes } = figure(object)?;
        let pod = pod.to_owned();
        let fresh =
            timestamp_ns > self.not_before_ns && self.pods_seen.insert((pod.clone(), timestamp_ns));
        fresh.then_some(Reading::MetricsServerPod {
            timestamp_ns,
            window_s,
            pod,
            working_set_bytes,
        })
    }

    /// Distinct figures of the node so far.
    pub fn node_count(&self) -> usize {
        self.node_count
    }

    /// Distinct figures so far of the pod that has the fewest of them.
    pub fn least_pod_count(&self, pods: impl Iterator<Item = impl AsRef<str>>) -> usize {
        let count = |pod: &str| self.pods_seen.iter().filter(|(name, _)| name == pod).count();
        pods.map(|pod| count(pod.as_ref())).min().unwrap_or(0)
    }
}

/// `None` if the object is not what the API promises, or a pod without containers.
fn figure(object: &MetricsObject) -> Option<Figure> {
    let timestamp: Timestamp = object.timestamp.parse().ok()?;
    let window: SignedDuration = object.window.parse().ok()?;
    let usages: Vec<&Usage> = match &object.usage {
        Some(usage) => vec![usage],
        None => object.containers.iter().map(|container| &container.usage).collect(),
    };
    if usages.is_empty() {
        return None;
    }
    let working_set_bytes =
        usages.into_iter().map(|usage| quantity::bytes(&usage.memory)).sum::<Option<u64>>()?;
    Some(Figure {
        timestamp_ns: i64::try_from(timestamp.as_nanosecond()).ok()?,
        window_s: window.as_secs_f64(),
        working_set_bytes,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: serde_json::Value) -> MetricsObject {
        serde_json::from_value(value).unwrap()
    }

    fn nodes_at(seconds: &[u32]) -> BTreeMap<String, MetricsObject> {
        let node = |(at, second): (usize, &u32)| {
            let object = object(json!({
                "timestamp": format!("2026-01-01T00:00:{second:02}Z"),
                "window": "15.036s",
                "usage": { "cpu": "123456n", "memory": "1000Ki" },
            }));
            (format!("n{at}"), object)
        };
        seconds.iter().enumerate().map(node).collect()
    }

    #[test]
    fn a_scrape_counts_once_and_only_when_it_is_late_enough() {
        let begin: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let mut scrapes = Scrapes::after(begin.as_nanosecond() as i64);
        assert_eq!(scrapes.nodes(&nodes_at(&[9])), None);
        assert_eq!(scrapes.nodes(&nodes_at(&[10])), None);
        let Some(Reading::MetricsServerNode { window_s, working_set_bytes, .. }) =
            scrapes.nodes(&nodes_at(&[11]))
        else {
            panic!("a new scrape")
        };
        assert_eq!((window_s, working_set_bytes), (15.036, 1_024_000));
        assert_eq!(scrapes.nodes(&nodes_at(&[11])), None);
        assert!(scrapes.nodes(&nodes_at(&[26])).is_some());
        assert_eq!(scrapes.node_count(), 2);
    }

    #[test]
    fn several_nodes_are_one_figure_once_each_has_a_new_one() {
        let mut scrapes = Scrapes::default();
        let Some(Reading::MetricsServerNode { timestamp_ns, working_set_bytes, .. }) =
            scrapes.nodes(&nodes_at(&[12, 11]))
        else {
            panic!("new figures")
        };
        let earliest: Timestamp = "2026-01-01T00:00:11Z".parse().unwrap();
        assert_eq!(i128::from(timestamp_ns), earliest.as_nanosecond());
        assert_eq!(working_set_bytes, 2 * 1_024_000);
        assert_eq!(scrapes.nodes(&nodes_at(&[27, 11])), None, "one is the old one");
        assert!(scrapes.nodes(&nodes_at(&[27, 26])).is_some());
        assert_eq!(scrapes.nodes(&BTreeMap::new()), None);
        assert_eq!(scrapes.node_count(), 2);
    }

    #[test]
    fn a_pod_is_the_sum_of_its_containers() {
        let pod = object(json!({
            "timestamp": "2026-01-01T00:00:11Z",
            "window": "1m0s",
            "containers": [
                { "name": "a", "usage": { "cpu": "1n", "memory": "10Ki" } },
                { "name": "b", "usage": { "cpu": "1n", "memory": "1Mi" } },
            ],
        }));
        let mut scrapes = Scrapes::default();
        let Some(Reading::MetricsServerPod { window_s, working_set_bytes, .. }) =
            scrapes.pod("p", &pod)
        else {
            panic!("a new scrape")
        };
        assert_eq!((window_s, working_set_bytes), (60.0, 1_058_816));
        assert_eq!(scrapes.pod("p", &pod), None);
        assert!(scrapes.pod("q", &pod).is_some());
        assert_eq!(scrapes.least_pod_count(["p", "q"].iter()), 1);
        assert_eq!(scrapes.least_pod_count(["p", "r"].iter()), 0);
    }

    #[test]
    fn nonsense_is_no_figure() {
        for (case, timestamp, window, memory) in [
            ("no time", "yesterday", "15s", "1Ki"),
            ("no window", "2026-01-01T00:00:11Z", "fifteen", "1Ki"),
            ("no quantity", "2026-01-01T00:00:11Z", "15s", "1Kb"),
        ] {
            let value = json!({
                "timestamp": timestamp, "window": window, "usage": { "memory": memory },
            });
            let nodes = BTreeMap::from([("n".to_owned(), object(value))]);
            assert_eq!(Scrapes::default().nodes(&nodes), None, "{case}");
        }
        let empty = json!({
            "timestamp": "2026-01-01T00:00:11Z", "window": "15s", "containers": [],
        });
        assert_eq!(Scrapes::default().pod("p", &object(empty)), None);
    }
}

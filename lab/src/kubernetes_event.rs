//! Kubernetes' events as a cell keeps them. Pure.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use wamr_record::cell::KubernetesEvent;

/// The lines of `events.ndjson`, in the order in which the events were made.
pub fn lines(events: &[Event]) -> Vec<KubernetesEvent> {
    let mut lines: Vec<KubernetesEvent> = events.iter().map(line).collect();
    lines.sort_by(|left, right| {
        let key =
            |event: &KubernetesEvent| (event.made_ns.or(event.first_ns), event.object.clone());
        key(left).cmp(&key(right))
    });
    lines
}

fn line(event: &Event) -> KubernetesEvent {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let component = event.source.as_ref().and_then(|source| source.component.clone());
    let series = event.series.as_ref();
    let begun = event.event_time.as_ref().and_then(micro_ns);
    let count = series.and_then(|series| series.count).or(event.count).unwrap_or(1);
    KubernetesEvent {
        kind: text(&event.involved_object.kind),
        object: text(&event.involved_object.name),
        severity: text(&event.type_),
        reason: text(&event.reason),
        message: text(&event.message),
        source: component.or_else(|| event.reporting_component.clone()).unwrap_or_default(),
        count: u32::try_from(count).unwrap_or(1),
        made_ns: event.metadata.name.as_deref().and_then(made_ns),
        first_ns: event.first_timestamp.as_ref().and_then(time_ns).or(begun),
        last_ns: event
            .last_timestamp
            .as_ref()
            .and_then(time_ns)
            .or_else(|| series?.last_observed_time.as_ref().and_then(micro_ns))
            .or(begun),
    }
}

/// The nanoseconds in `POD.18a3f0c2d4e5b6a7`.
///
/// Source: client-go tools/record, `makeEvent`.
fn made_ns(name: &str) -> Option<i64> {
    let (_, stamp) = name.rsplit_once('.')?;
    // Sixteen digits hold any time between 2006 and 2262; a shorter word is part of a name.
    (stamp.len() == 16).then(|| i64::from_str_radix(stamp, 16).ok())?
}

fn time_ns(time: &Time) -> Option<i64> {
    i64::try_from(time.0.as_nanosecond()).ok()
}

fn micro_ns(time: &MicroTime) -> Option<i64> {
    i64::try_from(time.0.as_nanosecond()).ok()
}

/// The warnings among `events`, each text once, with the number of objects it is about.
pub fn warnings(events: &[KubernetesEvent]) -> Vec<String> {
    let mut told: Vec<(String, u32)> = Vec::new();
    for event in events.iter().filter(|event| event.severity == "Warning") {
        // Texts that name the pod or its sandbox differ from pod to pod; one of them is enough.
        match told.iter_mut().find(|(text, _)| text.starts_with(&event.reason)) {
            Some((_, count)) => *count += 1,
            None => told.push((format!("{}: {}", event.reason, event.message), 1)),
        }
    }
    told.into_iter()
        .map(
            |(text, count)| {
                if count == 1 { text } else { format!("{text} (and {} more)", count - 1) }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(value: Value) -> Event {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_names_of_events_hold_their_time() {
        let kubelet = event(json!({
            "metadata": { "name": "cell-0001-abc.0000000000000007" },
            "involvedObject": { "kind": "Pod", "name": "cell-0001-abc" },
            "reason": "Started", "message": "Started container workload", "type": "Normal",
            "source": { "component": "kubelet" }, "count": 1,
            "firstTimestamp": "1970-01-01T00:00:02Z", "lastTimestamp": "1970-01-01T00:00:03Z",
        }));
        let scheduler = event(json!({
            "metadata": { "name": "cell-0001-abc.0000000000000003" },
            "involvedObject": { "kind": "Pod", "name": "cell-0001-abc" },
            "reason": "Scheduled", "type": "Normal", "reportingComponent": "default-scheduler",
            "eventTime": "1970-01-01T00:00:01.500000Z",
        }));
        let lines = lines(&[kubelet, scheduler]);
        let reasons: Vec<&str> = lines.iter().map(|line| line.reason.as_str()).collect();
        assert_eq!(reasons, ["Scheduled", "Started"]);
        assert_eq!((lines[0].made_ns, lines[1].made_ns), (Some(3), Some(7)));
        assert_eq!(
            (lines[0].first_ns, lines[0].last_ns),
            (Some(1_500_000_000), Some(1_500_000_000))
        );
        assert_eq!(
            (lines[1].first_ns, lines[1].last_ns),
            (Some(2_000_000_000), Some(3_000_000_000))
        );
        assert_eq!(
            (lines[0].source.as_str(), lines[1].source.as_str()),
            ("default-scheduler", "kubelet")
        );
        assert_eq!(made_ns("a.b"), None);
    }

    #[test]
    fn a_warning_is_told_once() {
        let warning = |reason: &str, message: &str| {
            let severity = if reason == "Started" { "Normal" } else { "Warning" };
            line(&event(json!({
                "metadata": {}, "involvedObject": {}, "reason": reason, "message": message,
                "type": severity,
            })))
        };
        let events = [
            warning("Started", "fine"),
            warning("FailedCreatePodSandBox", "no runtime for \"x\": sandbox 1"),
            warning("FailedCreatePodSandBox", "no runtime for \"x\": sandbox 2"),
            warning("Other", "y"),
        ];
        let want =
            ["FailedCreatePodSandBox: no runtime for \"x\": sandbox 1 (and 1 more)", "Other: y"];
        assert_eq!(warnings(&events), want);
    }
}

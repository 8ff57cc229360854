//! Whether a cell may be used. Pure: facts in, verdict out.

use wamr_record::account::REST_REMARKED;
use wamr_record::cell::{Evidence, Fault, Pod, Verdict};

/// What is known of a cell at its end.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Pods asked for.
    pub pods_wanted: u32,
    /// Why the pods did not all start; empty if they did.
    pub failures: Vec<String>,
    /// The pods.
    pub pods: &'a [Pod],
    /// False for pods with nothing in them that prints a stamp.
    pub stamps_wanted: bool,
    /// Last start stamp that can be true: when the lab saw the ramp end.
    pub ramp_seen_end_ns: i64,
    /// Fewest pods running at any sample of the plateau.
    pub pods_running_min: u32,
    /// What really ran.
    pub evidence: Option<&'a Evidence>,
    /// Digest that the workload's program must have.
    pub workload_sha256: &'a str,
    /// Stretches of memory that did not become level.
    pub unsettled: Vec<&'static str>,
    /// Distinct figures of metrics-server that were wanted.
    pub scrapes_wanted: u32,
    /// Distinct figures that it gave, of the node and of the pod with the fewest.
    pub scrapes_got: u32,
    /// MemAvailable of the later baseline minus the earlier one, medians.
    pub drift_bytes: i64,
    /// MemAvailable of the earlier baseline minus the plateau's, medians.
    pub cost_bytes: i64,
    /// As `drift_bytes`, of MemFree.
    pub free_drift_bytes: i64,
    /// What other programs took: growth of the machine's anonymous and shared memory beyond that
    /// of the node's control group and of the lab, medians, if the group was read.
    pub foreign_bytes: Option<i64>,
    /// Growth of it from the earlier baseline to the later, if it was read.
    pub node_drift_bytes: Option<i64>,
    /// Processes that outlived the cell.
    pub leftover: Vec<String>,
    /// Bytes that no process and no counter explains, and their share of what was taken.
    pub unexplained: Option<(i64, f64)>,
}

/// Drift of the baseline above this share of the cost is remarked on.
const DRIFT_REMARKED: f64 = 0.05;
/// Other programs may take or give back this share of the cost …
const FOREIGN_SHARE: f64 = 0.02;
/// … and this much, which any machine moves in a minute.
const FOREIGN_BYTES: i64 = 5_000_000;
/// A rest without explanation above this share of what was taken, and above `FOREIGN_BYTES`, is
/// somebody else's.
const REST_REFUSED: f64 = 0.25;
/// Above this share the cost means nothing: something else moved the machine's memory.
const DRIFT_REFUSED: f64 = 0.25;
/// How a reason ends that blames the machine and not the cell, for whoever reads it.
const BUSY: &str = ": is the machine busy?";

/// Judges a cell.
pub fn judge(facts: &Facts) -> Verdict {
    if !facts.failures.is_empty() {
        return Verdict::Failed { reasons: facts.failures.clone() };
    }
    let mut reasons = Vec::new();
    let wanted = facts.pods_wanted;
    if facts.pods_running_min < wanted {
        let least = facts.pods_running_min;
        reasons.push(format!("only {least} of {wanted} pods ran at a sample of the plateau"));
    }
    if facts.stamps_wanted {
        reasons.extend(stamp_reasons(facts));
    }
    reasons.extend(evidence_reasons(facts));
    if !facts.leftover.is_empty() {
        reasons.push(format!("left running after the delete: {}", facts.leftover.join(", ")));
    }
    let fault = if reasons.is_empty() { Fault::Machine } else { Fault::Cell };
    reasons.extend(foreign_drift_reason(facts));
    reasons.extend(foreign_reason(facts));
    reasons.extend(facts.unexplained.and_then(rest_reason));
    if !reasons.is_empty() {
        return Verdict::Invalid { reasons, fault };
    }
    Verdict::Valid { notes: notes(facts) }
}

/// What the node's own daemons kept is known and can be corrected for; the rest cannot.
fn foreign_drift_reason(facts: &Facts) -> Option<String> {
    let foreign_drift_bytes = facts.drift_bytes + facts.node_drift_bytes.unwrap_or(0);
    (share(foreign_drift_bytes, facts.cost_bytes) > DRIFT_REFUSED).then(|| {
        format!("{}, and the pods took {}{BUSY}", drift(facts), megabytes(facts.cost_bytes))
    })
}

/// The machine's memory must tell of the node and of nothing else. Programs beside it have
/// anonymous and shared memory; what the kernel charges to nobody is a pod's and no concern.
fn foreign_reason(facts: &Facts) -> Option<String> {
    let foreign_bytes = facts.foreign_bytes?;
    let tolerance_bytes = FOREIGN_BYTES + (FOREIGN_SHARE * facts.cost_bytes.abs() as f64) as i64;
    (foreign_bytes.abs() > tolerance_bytes).then(|| {
        format!(
            "memory of programs outside of the node changed by {} while the pods took {}{BUSY}",
            megabytes(foreign_bytes),
            megabytes(facts.cost_bytes)
        )
    })
}

fn rest_reason((bytes, share): (i64, f64)) -> Option<String> {
    (share > REST_REFUSED && bytes.abs() > FOREIGN_BYTES)
        .then(|| format!("{}{BUSY}", unexplained_note((bytes, share)).unwrap_or_default()))
}

fn stamp_reasons(facts: &Facts) -> Vec<String> {
    let mut reasons = Vec::new();
    let stamps: Vec<(i64, i64)> = facts
        .pods
        .iter()
        .filter_map(|pod| Some((pod.requested_ns, pod.first_instruction_ns?)))
        .collect();
    let wanted = facts.pods_wanted as usize;
    if stamps.len() < wanted {
        reasons.push(format!("{} of {wanted} start stamps", stamps.len()));
    }
    let impossible = stamps
        .iter()
        .filter(|(requested_ns, start_ns)| {
            !(*requested_ns..=facts.ramp_seen_end_ns).contains(start_ns)
        })
        .count();
    if impossible > 0 {
        reasons.push(format!("{impossible} start stamps lie outside of the ramp"));
    }
    reasons
}

fn evidence_reasons(facts: &Facts) -> Vec<String> {
    let Some(evidence) = facts.evidence else {
        return vec!["no evidence of what ran".to_owned()];
    };
    let mut reasons = Vec::new();
    let wanted = facts.pods_wanted as usize;
    let containers = &evidence.containers;
    if containers.len() < wanted {
        reasons.push(format!("evidence of {} of {wanted} containers", containers.len()));
    }
    let unproven = containers.iter().filter(|container| !container.engine_proven).count();
    if unproven > 0 {
        reasons.push(format!("{unproven} containers do not show the engine they should run"));
    }
    let stray = containers.iter().filter(|container| !container.cgroup_in_pod).count();
    if stray > 0 {
        reasons.push(format!("{stray} containers are outside of their pod's control group"));
    }
    if evidence.workload.sha256 != facts.workload_sha256 {
        reasons.push(format!("{} is not the image's", evidence.workload.path));
    }
    reasons
}

fn notes(facts: &Facts) -> Vec<String> {
    let unsettled = |stretch: &&str| format!("memory never became level {stretch}");
    let mut notes: Vec<String> = facts.unsettled.iter().map(unsettled).collect();
    let (got, wanted) = (facts.scrapes_got, facts.scrapes_wanted);
    if got < wanted {
        notes.push(format!("metrics-server gave {got} of {wanted} figures"));
    }
    notes.extend(facts.unexplained.and_then(unexplained_note));
    if share(facts.drift_bytes, facts.cost_bytes) > DRIFT_REMARKED {
        notes.push(drift(facts));
    }
    // Page cache that comes or goes by itself moves MemFree, and MemAvailable hardly.
    let cache_bytes = facts.free_drift_bytes - facts.drift_bytes;
    if cache_bytes.abs() as f64 > DRIFT_REFUSED * facts.cost_bytes.abs() as f64 {
        let drift = megabytes(facts.free_drift_bytes);
        notes.push(format!("MemFree drifted by {drift}, by page cache: go by MemAvailable"));
    }
    notes
}

/// A rest has no share where free lost nothing at all, as with few pods whose files were cached
/// before: then only one that any pod would show is remarked on.
fn unexplained_note((bytes, share): (i64, f64)) -> Option<String> {
    const WITHOUT_SHARE_BYTES: i64 = 1_000_000;
    let shown = megabytes(bytes);
    if share.is_infinite() {
        let large = bytes.abs() > WITHOUT_SHARE_BYTES;
        return large.then(|| format!("{shown} have no explanation, and free lost nothing"));
    }
    let percent = 100.0 * share;
    (share > REST_REMARKED)
        .then(|| format!("{shown} ({percent:.0} % of what was taken) have no explanation"))
}

/// Drift in relation to the cost; pods that seem to cost nothing have an infinite one.
fn share(drift_bytes: i64, cost_bytes: i64) -> f64 {
    if drift_bytes == 0 {
        return 0.0;
    }
    drift_bytes.abs() as f64 / cost_bytes.max(0) as f64
}

fn drift(facts: &Facts) -> String {
    let all = megabytes(facts.drift_bytes);
    let own = facts
        .node_drift_bytes
        .map_or_else(String::new, |bytes| format!(" (the node's own part: {})", megabytes(-bytes)));
    format!("the baseline drifted by {all} of MemAvailable{own}")
}

fn megabytes(bytes: i64) -> String {
    format!("{:+.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use wamr_record::cell::{ContainerEvidence, Program};

    use super::*;

    fn pod(start_ns: Option<i64>) -> Pod {
        Pod {
            name: "p".into(),
            uid: "u".into(),
            container_id: None,
            pid: Some(7),
            cgroup: None,
            node: None,
            requested_ns: 100,
            scheduled_ns: None,
            sandbox_ns: None,
            created_ns: None,
            started_ns: None,
            running_ns: None,
            first_instruction_ns: start_ns,
            log_ns: None,
            duration_ns: None,
        }
    }

    fn evidence() -> Evidence {
        let container = ContainerEvidence {
            pod: "p".into(),
            pid: 7,
            exe: "/".into(),
            exe_sha256: "aa".into(),
            mapped_programs: vec![],
            engine: None,
            engine_proven: true,
            cgroup_in_pod: true,
        };
        Evidence {
            handler: "h".into(),
            programs: vec![],
            workload: Program { path: "/w".into(), sha256: "ww".into() },
            containers: vec![container.clone(), container],
        }
    }

    /// Runs `change` on a cell that passes, and returns the verdict's texts.
    fn judged(change: impl Fn(&mut Facts, &mut Evidence, &mut Vec<Pod>)) -> (String, Vec<String>) {
        let (mut evidence, mut pods) = (evidence(), vec![pod(Some(200)), pod(Some(300))]);
        let facts = Facts {
            pods_wanted: 2,
            failures: vec![],
            pods: &[],
            stamps_wanted: true,
            ramp_seen_end_ns: 400,
            pods_running_min: 2,
            evidence: None,
            workload_sha256: "ww",
            unsettled: vec![],
            scrapes_wanted: 2,
            scrapes_got: 2,
            drift_bytes: 1_000_000,
            cost_bytes: 100_000_000,
            free_drift_bytes: 2_000_000,
            foreign_bytes: Some(1_500_000),
            node_drift_bytes: Some(-1_000_000),
            leftover: vec![],
            unexplained: Some((-1_000_000, 0.01)),
        };
        let mut changed = facts.clone();
        change(&mut changed, &mut evidence, &mut pods);
        let facts = Facts { pods: &pods, evidence: Some(&evidence), ..changed };
        match judge(&facts) {
            Verdict::Valid { notes } => ("valid".into(), notes),
            Verdict::Invalid { reasons, fault: Fault::Cell } => ("invalid".into(), reasons),
            Verdict::Invalid { reasons, fault: Fault::Machine } => ("disturbed".into(), reasons),
            Verdict::Failed { reasons } => ("failed".into(), reasons),
        }
    }

    type Change = fn(&mut Facts, &mut Evidence, &mut Vec<Pod>);

    #[test]
    fn each_gate_has_its_verdict() {
        let table: &[(&str, Change)] = &[
            ("nothing wrong", |_, _, _| {}),
            ("a pod failed", |facts, _, _| facts.failures = vec!["p: Error".into()]),
            ("a pod stopped", |facts, _, _| facts.pods_running_min = 1),
            ("a stamp is missing", |_, _, pods| pods[0] = pod(None)),
            ("a stamp before the request", |_, _, pods| pods[0] = pod(Some(99))),
            ("a stamp from the future", |_, _, pods| pods[0] = pod(Some(401))),
            ("no stamp, and none wanted", |facts, _, pods| {
                facts.stamps_wanted = false;
                pods[0] = pod(None);
            }),
            ("a container is unread", |_, evidence, _| drop(evidence.containers.pop())),
            ("another engine", |_, evidence, _| evidence.containers[0].engine_proven = false),
            ("a stray cgroup", |_, evidence, _| evidence.containers[1].cgroup_in_pod = false),
            ("another module", |_, evidence, _| evidence.workload.sha256 = "xx".into()),
            ("leftovers", |facts, _, _| facts.leftover = vec!["pause (7)".into()]),
            ("unsettled", |facts, _, _| facts.unsettled = vec!["before the pods"]),
            ("no metrics", |facts, _, _| facts.scrapes_got = 0),
            ("drift", |facts, _, _| facts.drift_bytes = -6_000_000),
            ("much drift", |facts, _, _| facts.drift_bytes = -26_000_000),
            ("the node's own drift", |facts, _, _| {
                (facts.drift_bytes, facts.node_drift_bytes) = (-26_000_000, Some(25_000_000));
            }),
            ("cache drift", |facts, _, _| facts.free_drift_bytes = 150_000_000),
            ("another program grew", |facts, _, _| facts.foreign_bytes = Some(30_000_000)),
            ("another program shrank", |facts, _, _| facts.foreign_bytes = Some(-30_000_000)),
            ("another program grew by a tenth of 400 pods of our shim", |facts, _, _| {
                (facts.cost_bytes, facts.foreign_bytes) = (928_000_000, Some(100_000_000));
            }),
            ("400 pods of our shim, a fifth of them the kernel's own", |facts, _, _| {
                (facts.cost_bytes, facts.foreign_bytes) = (928_000_000, Some(-1_000_000));
            }),
            ("no control group", |facts, _, _| facts.foreign_bytes = None),
            ("unexplained", |facts, _, _| facts.unexplained = Some((-6_000_000, 0.06))),
            ("much unexplained", |facts, _, _| facts.unexplained = Some((-26_000_000, 0.26))),
            ("much of little unexplained", |facts, _, _| facts.unexplained = Some((900_000, 0.5))),
            ("no cost", |facts, _, _| facts.cost_bytes = -1),
            ("much drift, and leftovers", |facts, _, _| {
                (facts.drift_bytes, facts.leftover) = (-26_000_000, vec!["pause (7)".into()]);
            }),
        ];
        let mut shown = String::new();
        for (case, change) in table {
            let (verdict, texts) = judged(change);
            writeln!(shown, "{case}: {verdict} {texts:?}").unwrap();
        }
        insta::assert_snapshot!(shown);
    }

    type Move<'a> = &'a dyn Fn(&mut Facts, i64);

    #[test]
    fn thresholds_are_those_of_the_specification() {
        let verdict = |change: &dyn Fn(&mut Facts)| judged(|facts, _, _| change(facts)).0;
        let table: [(&str, Move, i64); 3] = [
            (
                "drift by 25 % of 100 MB",
                &|facts, bytes| {
                    (facts.drift_bytes, facts.node_drift_bytes) = (bytes, None);
                    facts.foreign_bytes = None;
                },
                25_000_000,
            ),
            (
                "others by 2 % of 100 MB and 5 MB",
                &|facts, bytes| {
                    facts.foreign_bytes = Some(bytes);
                },
                7_000_000,
            ),
            (
                "others by 5 MB where pods cost nothing",
                &|facts, bytes| {
                    facts.cost_bytes = 0;
                    (facts.drift_bytes, facts.node_drift_bytes) = (0, None);
                    facts.foreign_bytes = Some(bytes);
                },
                5_000_000,
            ),
        ];
        for (case, change, limit) in table {
            for bytes in [limit, -limit] {
                let beyond = bytes + bytes.signum();
                assert_eq!(verdict(&|facts| change(facts, bytes)), "valid", "{case}: {bytes}");
                assert_eq!(verdict(&|facts| change(facts, beyond)), "disturbed", "{case}");
            }
        }
        let remarks = |drift_bytes| judged(|facts, _, _| facts.drift_bytes = drift_bytes).1.len();
        assert_eq!((remarks(5_000_000), remarks(5_000_001)), (0, 1));
        let remarks = |share| judged(|facts, _, _| facts.unexplained = Some((1, share))).1.len();
        assert_eq!((remarks(0.05), remarks(0.0501)), (0, 1));
        let rest = |rest| verdict(&|facts| facts.unexplained = Some(rest));
        assert_eq!(rest((5_000_001, 0.25)), "valid");
        assert_eq!(rest((5_000_000, 0.26)), "valid");
        assert_eq!(rest((5_000_001, 0.26)), "disturbed");
    }

    #[test]
    fn no_evidence_is_no_validity() {
        let pods = [pod(Some(200))];
        let facts = Facts {
            pods_wanted: 1,
            failures: vec![],
            pods: &pods,
            stamps_wanted: true,
            ramp_seen_end_ns: 400,
            pods_running_min: 1,
            evidence: None,
            workload_sha256: "ww",
            unsettled: vec![],
            scrapes_wanted: 0,
            scrapes_got: 0,
            drift_bytes: 0,
            cost_bytes: 0,
            free_drift_bytes: 0,
            foreign_bytes: None,
            node_drift_bytes: None,
            leftover: vec![],
            unexplained: None,
        };
        assert!(!judge(&facts).is_valid());
    }
}

#[test]
fn a_rest_of_nothing_is_no_remark() {
    assert_eq!(unexplained_note((20_000, f64::INFINITY)), None);
    assert_eq!(unexplained_note((20_000, 0.01)), None);
    let note = |rest| unexplained_note(rest).unwrap();
    assert_eq!(
        note((-2_000_000, f64::INFINITY)),
        "-2.0 MB have no explanation, and free lost nothing"
    );
    assert_eq!(note((2_000_000, 0.2)), "+2.0 MB (20 % of what was taken) have no explanation");
}

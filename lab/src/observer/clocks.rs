//! Start stamps of several machines can be compared if their clocks agree.

use miette::{Result, miette};

use super::per_node::Observer;
use super::question::ReadFacts;
use crate::clock::now_ns;

/// Clocks may differ by this much beyond what the question itself takes.
const TOLERANCE_NS: i64 = 1_000_000;
/// The quickest of so many answers counts.
const ATTEMPTS: u32 = 5;

/// How far a clock is from this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offset {
    /// The other clock minus this one.
    ahead_ns: i64,
    /// What that may be wrong by: half of the time that question and answer took.
    uncertain_ns: i64,
}

/// Makes sure that the clock of a node on another machine agrees with this one's.
///
/// # Errors
/// It certainly does not; a start time would be wrong by as much.
pub async fn check(observer: &Observer, node: &str) -> Result<()> {
    let mut best: Option<Offset> = None;
    for _ in 0..ATTEMPTS {
        let asked_ns = now_ns();
        let told_ns = observer.ask(ReadFacts).await?.now_ns;
        let offset = offset(asked_ns, told_ns, now_ns());
        if best.is_none_or(|best| offset.uncertain_ns < best.uncertain_ns) {
            best = Some(offset);
        }
    }
    match best.filter(|offset| disagrees(*offset)) {
        None => Ok(()),
        Some(Offset { ahead_ns, .. }) => Err(miette!(
            help = "synchronise them first, for example with chrony",
            "the clock of {node} is {:+.1} ms from this machine's: start times would be wrong",
            ahead_ns as f64 / 1e6
        )),
    }
}

/// From the times of question, answer and its receipt. Pure.
///
/// Source: RFC 5905, section 8, with one clock reading at the other side.
fn offset(asked_ns: i64, told_ns: i64, received_ns: i64) -> Offset {
    let middle_ns = asked_ns.midpoint(received_ns);
    let uncertain_ns = received_ns.saturating_sub(asked_ns) / 2;
    Offset { ahead_ns: told_ns.saturating_sub(middle_ns), uncertain_ns }
}

fn disagrees(offset: Offset) -> bool {
    offset.ahead_ns.saturating_abs() > TOLERANCE_NS.saturating_add(offset.uncertain_ns)
}

#[test]
fn a_slow_answer_proves_nothing() {
    const MS: i64 = 1_000_000;
    let table = [
        ("agree", (0, MS, 2 * MS), 0, false),
        ("ahead", (0, 9 * MS, 2 * MS), 8, true),
        ("behind", (10 * MS, 5 * MS, 12 * MS), -6, true),
        ("ahead, perhaps", (0, 9 * MS, 14 * MS), 2, false),
        ("within the tolerance", (0, 2 * MS, 2 * MS), 1, false),
    ];
    for (case, (asked, told, received), ahead_ms, want) in table {
        let found = offset(asked, told, received);
        assert_eq!(found.ahead_ns, ahead_ms * MS, "{case}");
        assert_eq!(disagrees(found), want, "{case}");
    }
}

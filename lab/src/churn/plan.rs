//! How often how many pods are replaced, and after how many starts the node is read. Pure.

use miette::{Result, miette};
use wamr_node::MAX_PODS;

/// What is done to each system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Pods at once.
    pub pods: u32,
    /// Pods that are replaced together.
    pub replaced: u32,
    /// Starts after which it is enough.
    pub starts: u32,
    /// Readings of the node that are wanted.
    pub readings: u32,
}

/// A slope with an interval needs some points.
const READINGS_MIN: u32 = 5;

impl Plan {
    /// `share_percent` of `pods` are replaced at a time.
    ///
    /// # Errors
    /// A number is out of range; the text says which range.
    pub fn new(pods: u32, share_percent: u32, starts: u32, readings: u32) -> Result<Self> {
        let refuse = |value: String, allowed: String| Err(miette!(help = allowed, "{value}"));
        if !(1..=MAX_PODS).contains(&pods) {
            return refuse(format!("--pods {pods}"), format!("a node carries 1 to {MAX_PODS}"));
        }
        if !(1..=100).contains(&share_percent) {
            let allowed = "percent of the pods that are replaced together: 1 to 100".to_owned();
            return refuse(format!("--share {share_percent}"), allowed);
        }
        if starts < 2 * pods {
            let allowed = format!("each pod is replaced at least once: {} or more", 2 * pods);
            return refuse(format!("--starts {starts}"), allowed);
        }
        if readings < READINGS_MIN {
            let allowed = format!("a slope needs {READINGS_MIN} or more");
            return refuse(format!("--readings {readings}"), allowed);
        }
        let replaced = (pods * share_percent).div_ceil(100);
        Ok(Self { pods, replaced, starts, readings })
    }

    /// True if the node is to be read at `starts`, having been read at `last`: at first, at the
    /// end, and evenly in between.
    pub fn is_reading_due(&self, last: Option<u32>, starts: u32) -> bool {
        let between = (self.starts - self.pods).div_ceil(self.readings - 1).max(1);
        last.is_none_or(|last| starts >= last + between) || starts >= self.starts
    }

    /// Headline of the run.
    pub fn title(&self) -> String {
        let Self { pods, replaced, starts, .. } = self;
        format!("{pods} pods, {replaced} replaced at a time, {starts} starts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts at which the node is read.
    fn readings(plan: &Plan) -> Vec<u32> {
        let (mut read, mut starts) = (Vec::new(), plan.pods);
        loop {
            if plan.is_reading_due(read.last().copied(), starts) {
                read.push(starts);
            }
            if starts >= plan.starts {
                return read;
            }
            starts += plan.replaced;
        }
    }

    #[test]
    fn readings_are_even_and_end_with_the_last_start() {
        let plan = Plan::new(200, 10, 20_000, 100).unwrap();
        assert_eq!(
            (plan.replaced, plan.title().as_str()),
            (20, "200 pods, 20 replaced at a time, 20000 starts")
        );
        let read = readings(&plan);
        assert!((95..=101).contains(&read.len()), "{}", read.len());
        assert_eq!((read[0], read[1], read.last()), (200, 400, Some(&20_000)));
        let small = Plan::new(20, 10, 200, 20).unwrap();
        assert_eq!((small.replaced, readings(&small).len()), (2, 19));
        let odd = Plan::new(7, 50, 30, 5).unwrap();
        assert_eq!(readings(&odd), [7, 15, 23, 31]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (case, plan) in [
            ("no pods", Plan::new(0, 10, 100, 10)),
            ("too many", Plan::new(MAX_PODS + 1, 10, 100_000, 10)),
            ("no share", Plan::new(10, 0, 100, 10)),
            ("more than all", Plan::new(10, 101, 100, 10)),
            ("few starts", Plan::new(10, 10, 19, 10)),
            ("few readings", Plan::new(10, 10, 100, 4)),
        ] {
            assert!(plan.is_err(), "{case}");
        }
    }
}

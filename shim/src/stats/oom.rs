//! The OOM event: whether the kernel has ended a process of a container for memory.

use super::groups::{Groups, Place};
use wamr_cgroup_stats::counts;

/// Whether the kernel has ended a process of `groups` for memory.
///
/// To be asked before the groups are removed: with them goes the count. In a group that the
/// container shares it says so for its neighbours too; version 1 does not count for sub-groups.
pub fn killed(groups: &Groups) -> bool {
    let counts = match groups.place() {
        Place::V1(directories) => {
            let directory = directories.of("memory");
            directory.and_then(|path| counts(&path, "memory.oom_control").ok().flatten())
        }
        Place::V2(directory) => counts(directory, "memory.events").ok().flatten(),
    };
    counts.is_some_and(|counts| counts.or_zero("oom_kill") > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::tests::v2_host;
    use crate::stats::v1::tests::host;

    #[test]
    fn kills_for_memory_are_told() {
        for (events, want) in [
            ("low 0\noom 1\noom_kill 1\noom_group_kill 0\n", true),
            ("low 0\noom 1\noom_kill 0\noom_group_kill 4\n", false),
            ("oom_kill max\n", false),
            ("", false),
        ] {
            let host = v2_host(&[("memory.events", events)]);
            let groups = Groups::of_process(&host.path().join("proc"), 7).unwrap();
            assert_eq!(killed(&groups), want, "{events:?}");
        }
    }

    #[test]
    fn kills_are_counted_by_the_memory_group() {
        for (text, want) in [
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", true),
            ("oom_kill_disable 0\nunder_oom 1\n", false),
            ("", false),
        ] {
            let (_top, directories) = host(&[("memory/memory.oom_control", text)]);
            assert_eq!(killed(&Groups::v1(directories)), want, "{text:?}");
        }
        let (top, directories) = host(&[]);
        drop(top);
        assert!(!killed(&Groups::v1(directories)));
    }
}

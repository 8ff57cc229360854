//! `process.scheduler`, `process.ioPriority` and `process.execCPUAffinity`: when and where the
//! process runs. Pure plans, and their application to the calling process.
//!
//! Source: runtime-spec config.md "Linux Process"; sched_setattr(2), ioprio_set(2), sched(7).

use crate::error::{Act, Error, Result};
use crate::sys::scheduling::{SchedAttr, ioprio_set, sched_setattr};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use oci_spec::runtime::{
    ExecCPUAffinity, IOPriorityClass, LinuxIOPriority, LinuxSchedulerFlag as Flag,
    LinuxSchedulerPolicy as Policy, Scheduler,
};

/// The CPUs of an exec: before and after the process enters the container's groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecAffinity {
    /// Where the runtime's process starts.
    pub initial: Option<CpuSet>,
    /// Where the program runs; `None`: as the kernel decides.
    pub last: Option<CpuSet>,
}

impl ExecAffinity {
    /// What is set, for the log: masks, as runc reports them.
    pub fn words(&self) -> impl Iterator<Item = String> {
        let sets = [("initial", &self.initial), ("final", &self.last)];
        sets.into_iter().filter_map(|(name, set)| {
            Some(format!("exec: {name} CPU affinity: {}", mask(set.as_ref()?)))
        })
    }
}

/// The CPUs as a hexadecimal number. Pure.
fn mask(cpus: &CpuSet) -> String {
    let is_set = |cpu: usize| cpus.is_set(cpu).unwrap_or_default();
    let digit =
        |low: usize| (0..4).filter(|bit| is_set(low + bit)).fold(0, |sum, bit| sum | 1 << bit);
    let digits: String = (0..CpuSet::count() / 4)
        .rev()
        .filter_map(|place| char::from_digit(digit(place * 4), 16))
        .collect();
    let digits = digits.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

fn refuse(field: &str, reason: impl Into<String>) -> Error {
    Error::config(format!("process.{field}"), reason)
}

/// The kernel's attributes for `scheduler`. Pure.
///
/// # Errors
/// [`Error::Config`]: a value that its policy does not have, or that is out of range.
pub fn attributes(scheduler: &Scheduler) -> Result<SchedAttr> {
    let policy = *scheduler.policy();
    let priority = scheduler.priority().unwrap_or_default();
    let real_time = matches!(policy, Policy::SchedFifo | Policy::SchedRr);
    if real_time && !(1..=99).contains(&priority) {
        let reason = format!("{priority}: {policy} takes 1 to 99");
        return Err(refuse("scheduler.priority", reason));
    }
    if !real_time && priority != 0 {
        return Err(refuse("scheduler.priority", format!("has no meaning for {policy}")));
    }
    let nice = scheduler.nice().unwrap_or_default();
    if !(-20..=19).contains(&nice) {
        return Err(refuse("scheduler.nice", format!("{nice} is not between -20 and 19")));
    }
    if nice != 0 && !matches!(policy, Policy::SchedOther | Policy::SchedBatch) {
        return Err(refuse("scheduler.nice", format!("has no meaning for {policy}")));
    }
    let (runtime, deadline, period) =
        (scheduler.runtime(), scheduler.deadline(), scheduler.period());
    if policy != Policy::SchedDeadline
        && [runtime, deadline, period].into_iter().any(|time| time.is_some_and(|time| time != 0))
    {
        let reason = "runtime, deadline and period belong to SCHED_DEADLINE";
        return Err(refuse("scheduler", reason));
    }
    Ok(SchedAttr {
        policy: number(policy)?,
        flags: scheduler
            .flags()
            .iter()
            .flatten()
            .try_fold(0, |bits, flag| Ok::<u64, Error>(bits | bit(*flag)?))?,
        nice,
        priority: priority as u32,
        runtime_ns: runtime.unwrap_or_default(),
        deadline_ns: deadline.unwrap_or_default(),
        period_ns: period.unwrap_or_default(),
        ..SchedAttr::default()
    })
}

fn number(policy: Policy) -> Result<u32> {
    Ok(match policy {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
        Policy::SchedIso => {
            return Err(refuse("scheduler.policy", "SCHED_ISO is in no released kernel"));
        }
    })
}

fn bit(flag: Flag) -> Result<u64> {
    Ok(match flag {
        Flag::SchedResetOnFork => 0x01,
        Flag::SchedFlagReclaim => 0x02,
        Flag::SchedFlagDLOverrun => 0x04,
        Flag::SchedFlagKeepPolicy => 0x08,
        Flag::SchedFlagKeepParams => 0x10,
        // The spec has no property for the clamps' values, so they could only be set to 0.
        Flag::SchedFlagUtilClampMin | Flag::SchedFlagUtilClampMax => {
            let reason = "a utilization clamp needs a value, which config.json cannot hold";
            return Err(refuse("scheduler.flags", reason));
        }
    })
}

/// Schedules this process by `attr`.
///
/// # Errors
/// [`Error::Os`]; it says what is needed.
pub fn schedule(attr: &SchedAttr) -> Result<()> {
    sched_setattr(attr).act(|| {
        format!(
            "set process.scheduler (policy {}, nice {}, priority {}): all but worse nice values \
             needs CAP_SYS_NICE, SCHED_FIFO and SCHED_RR also a real-time budget of the group",
            attr.policy, attr.nice, attr.priority
        )
    })
}

/// `process.ioPriority` as ioprio_set packs it. Pure.
///
/// # Errors
/// [`Error::Config`]: a priority outside 0 to 7.
pub fn io_priority(wanted: &LinuxIOPriority) -> Result<u32> {
    let level = u32::try_from(wanted.priority()).ok().filter(|level| *level < 8);
    let level = level.ok_or_else(|| {
        refuse("ioPriority.priority", format!("{} is not between 0 and 7", wanted.priority()))
    })?;
    let class = match wanted.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    Ok(class << 13 | level)
}

/// Gives this process the packed I/O priority.
///
/// # Errors
/// [`Error::Os`].
pub fn set_io_priority(packed: u32) -> Result<()> {
    ioprio_set(packed).act(|| {
        "set process.ioPriority: IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE".to_owned()
    })
}

/// The CPU sets of `process.execCPUAffinity`, for an exec; it says nothing about the init. Pure.
///
/// # Errors
/// [`Error::Config`]: no list of CPUs.
pub fn exec_affinity(wanted: &ExecCPUAffinity) -> Result<ExecAffinity> {
    let set = |name: &str, list: &Option<String>| {
        let list = list.as_deref().filter(|list| !list.is_empty());
        let field = format!("execCPUAffinity.{name}");
        list.map(|list| cpus(list).map_err(|reason| refuse(&field, reason))).transpose()
    };
    Ok(ExecAffinity {
        initial: set("initial", wanted.initial())?,
        last: set("final", wanted.cpu_affinity_final())?,
    })
}

fn cpus(list: &str) -> std::result::Result<CpuSet, String> {
    let mut set = CpuSet::new();
    for number in numbers(list, CpuSet::count() as u32)? {
        set.set(number as usize).map_err(|error| format!("CPU {number}: {error}"))?;
    }
    Ok(set)
}

/// The numbers of a list such as `0-3,7`, each below `limit`. Pure.
///
/// # Errors
/// The reason why it is no such list.
pub fn numbers(list: &str, limit: u32) -> std::result::Result<Vec<u32>, String> {
    let number = |text: &str| {
        let parsed = text.trim().parse::<u32>().ok().filter(|number| *number < limit);
        parsed.ok_or_else(|| format!("{text:?} in {list:?} is no number below {limit}"))
    };
    let mut all = Vec::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let range = number(from)?..=number(to)?;
        if range.is_empty() {
            return Err(format!("{part:?} in {list:?} runs backwards"));
        }
        all.extend(range);
    }
    Ok(all)
}

/// Lets process `pid` (0: this one) run on `cpus` alone.
///
/// # Errors
/// [`Error::Os`]: none of them is online and in its cpuset.
pub fn set_affinity(pid: i32, cpus: &CpuSet) -> Result<()> {
    sched_setaffinity(Pid::from_raw(pid), cpus)
        .act(|| "set process.execCPUAffinity: is a CPU of the list in the cpuset?".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(json: &str) -> Result<SchedAttr> {
        attributes(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn each_policy_has_its_own_parameters() {
        let got = scheduler(r#"{"policy": "SCHED_BATCH", "nice": 5}"#).unwrap();
        assert_eq!((got.policy, got.nice), (3, 5));
        let got = scheduler(r#"{"policy": "SCHED_FIFO", "priority": 9}"#).unwrap();
        assert_eq!((got.policy, got.priority), (1, 9));
        let json = r#"{"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3,
                       "flags": ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_KEEP_PARAMS"]}"#;
        let got = scheduler(json).unwrap();
        assert_eq!((got.runtime_ns, got.deadline_ns, got.period_ns), (1, 2, 3));
        assert_eq!((got.policy, got.flags), (6, 0x12));
        for (json, want) in [
            (r#"{"policy": "SCHED_RR"}"#, "scheduler.priority: 0: SCHED_RR takes 1 to 99"),
            (r#"{"policy": "SCHED_OTHER", "priority": 1}"#, "no meaning for SCHED_OTHER"),
            (r#"{"policy": "SCHED_OTHER", "nice": 20}"#, "scheduler.nice: 20 is not"),
            (r#"{"policy": "SCHED_IDLE", "nice": 1}"#, "no meaning for SCHED_IDLE"),
            (r#"{"policy": "SCHED_OTHER", "runtime": 1}"#, "belong to SCHED_DEADLINE"),
            (r#"{"policy": "SCHED_ISO"}"#, "SCHED_ISO"),
            (r#"{"policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_UTIL_CLAMP_MIN"]}"#, "clamp"),
        ] {
            let error = scheduler(json).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn io_priorities_are_packed() {
        let pack = |json: &str| io_priority(&serde_json::from_str(json).unwrap());
        let json = r#"{"class": "IOPRIO_CLASS_IDLE", "priority": 0}"#;
        assert_eq!(pack(json).unwrap(), 3 << 13);
        let json = r#"{"class": "IOPRIO_CLASS_BE", "priority": 7}"#;
        assert_eq!(pack(json).unwrap(), 2 << 13 | 7);
        let json = r#"{"class": "IOPRIO_CLASS_BE", "priority": 8}"#;
        assert!(pack(json).unwrap_err().to_string().contains("ioPriority.priority: 8"));
    }

    #[test]
    fn lists_of_numbers() {
        for (list, want) in [
            ("0-2,7", Ok(vec![0, 1, 2, 7])),
            ("3", Ok(vec![3])),
            ("2-1", Err("backwards")),
            ("1-", Err("no number")),
            ("", Err("no number")),
            ("64", Err("below 64")),
            ("0-4294967295", Err("below 64")),
        ] {
            match (numbers(list, 64), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(error), Err(want)) => assert!(error.contains(want), "{error}"),
                (got, _) => panic!("{list}: {got:?}"),
            }
        }
    }

    #[test]
    fn the_affinity_of_an_exec() {
        let wanted = serde_json::from_str(r#"{"initial": "0-1", "final": "1"}"#).unwrap();
        let got = exec_affinity(&wanted).unwrap();
        let set = |set: &Option<CpuSet>, cpu| set.as_ref().unwrap().is_set(cpu).unwrap();
        assert!(set(&got.initial, 0) && set(&got.initial, 1));
        assert!(set(&got.last, 1) && !set(&got.last, 0));
        let words: Vec<String> = got.words().collect();
        assert_eq!(words, ["exec: initial CPU affinity: 0x3", "exec: final CPU affinity: 0x2"]);
        let wanted = serde_json::from_str(r#"{"final": "0,65"}"#).unwrap();
        let words: Vec<String> = exec_affinity(&wanted).unwrap().words().collect();
        assert_eq!(words, ["exec: final CPU affinity: 0x20000000000000001"]);
        let wanted = serde_json::from_str(r#"{"final": "99999"}"#).unwrap();
        let error = exec_affinity(&wanted).unwrap_err().to_string();
        assert!(error.contains("process.execCPUAffinity.final"), "{error}");
    }
}

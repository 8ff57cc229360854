//! What the lab asks of a node: each question with its answer, and how it is found. A node of this
//! machine is asked by a call, one elsewhere by a line of JSON to this program in a pod there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wamr_node::runtimes::RuntimeUnderTest;
use wamr_record::cell::{Evidence, PhaseName, Pod, ProcessMemory};
use wamr_record::sample::{Meminfo, Reading};

use super::sampler::Sampler;
use crate::cell::start_stamp::{self, StartStamp, log_path};
use crate::clock::now_ns;
use crate::environment::MachineFacts;
use crate::processes::open_in_root;
use crate::{attribution, evidence};

/// The end of a daemon's log that is kept, and the begin of a container's.
const LOG_BYTES: u64 = 256 * 1024;

/// A question to a node. It is asked with its word and its own fields as JSON.
pub trait Question: Word + Serialize + DeserializeOwned {
    /// What comes back.
    type Answer: Serialize + DeserializeOwned;

    /// Reads the answer.
    ///
    /// # Errors
    /// Something that is needed cannot be read; the text says what.
    fn answer(&self, node: &Sampler) -> Result<Self::Answer>;
}

/// What a question is called on the line.
pub trait Word {
    /// The word.
    const WORD: &'static str;
}

/// A question on the line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Its word.
    pub ask: String,
    /// Its fields.
    #[serde(default)]
    pub with: Value,
}

impl Asked {
    /// The line for a question.
    ///
    /// # Errors
    /// Its fields are no JSON.
    pub fn new<Q: Question>(question: &Q) -> Result<Self> {
        let with = serde_json::to_value(question).into_diagnostic().wrap_err("write a question")?;
        Ok(Self { ask: Q::WORD.to_owned(), with })
    }
}

/// One list gives every question its word and its reader: without an entry here it has no word.
macro_rules! questions {
    ($($question:ident = $word:literal,)*) => {
        $(impl Word for $question {
            const WORD: &'static str = $word;
        })*

        /// Answers a question of the line.
        ///
        /// # Errors
        /// It is none, or cannot be answered.
        pub fn answer(node: &Sampler, asked: Asked) -> Result<Value> {
            match asked.ask.as_str() {
                $($word => answer_as::<$question>(node, asked.with),)*
                other => bail!("no question is called {other:?}: another version asks"),
            }
        }
    };
}

questions! {
    ReadFacts = "facts",
    ReadMemory = "memory",
    ReadPodCgroups = "pod-cgroups",
    WalkProcesses = "walk",
    ListPodProcesses = "pod-processes",
    FindContainers = "containers",
    ReadStamps = "stamps",
    ReadDurations = "durations",
    ReadLastWords = "last-words",
    CollectEvidence = "evidence",
    ReadContainerLog = "container-log",
    ReadDaemonLogs = "daemon-logs",
    DropCaches = "drop-caches",
}

fn answer_as<Q: Question>(node: &Sampler, with: Value) -> Result<Value> {
    let question: Q = serde_json::from_value(with).into_diagnostic().wrap_err("read a question")?;
    serde_json::to_value(question.answer(node)?).into_diagnostic().wrap_err("write an answer")
}

/// What is the node, at this moment?
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadFacts;

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// /proc/sys/kernel/random/boot_id: nodes with the same one share a machine.
    pub boot_id: String,
    /// Its wall clock.
    pub now_ns: i64,
    /// Its machine.
    pub machine: MachineFacts,
}

impl Question for ReadFacts {
    type Answer = Facts;

    fn answer(&self, node: &Sampler) -> Result<Facts> {
        let mounts = fs::read_to_string(node.view.proc.path(1, "mounts")).unwrap_or_default();
        let machine = MachineFacts::read(&mounts);
        Ok(Facts { boot_id: boot_id()?, machine, now_ns: now_ns() })
    }
}

/// What tells machines apart, and one life of a machine from the next.
///
/// # Errors
/// The kernel has none.
///
/// Source: random(4), "/proc interfaces".
pub fn boot_id() -> Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    Ok(text.into_diagnostic().wrap_err("read the machine's boot id")?.trim().to_owned())
}

/// How much memory is there at this moment?
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadMemory;

/// A node's memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Its machine's, the reader's own memory included.
    pub meminfo: Meminfo,
    /// Its control group, if that has figures.
    pub cgroup: Option<Reading>,
}

impl Question for ReadMemory {
    type Answer = Memory;

    fn answer(&self, node: &Sampler) -> Result<Memory> {
        let meminfo = node.meminfo.read().into_diagnostic().wrap_err("read /proc/meminfo")?;
        let cgroup = node.whole.as_ref().and_then(|cgroup| cgroup.read().ok());
        Ok(Memory { meminfo, cgroup })
    }
}

/// What is charged to the control groups of pods? One that is gone is left out.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadPodCgroups {
    /// Pods of this node.
    pub pods: Vec<Pod>,
}

impl Question for ReadPodCgroups {
    type Answer = Vec<Reading>;

    fn answer(&self, node: &Sampler) -> Result<Vec<Reading>> {
        let Some(root) = &node.root else { return Ok(Vec::new()) };
        let reading = |pod: &Pod| root.read_pod(&pod.name, pod.cgroup.as_ref()?).ok();
        Ok(self.pods.iter().filter_map(reading).collect())
    }
}

/// What memory has every process of the node? As [`attribution::walk`].
#[derive(Debug, Serialize, Deserialize)]
pub struct WalkProcesses {
    /// What the lines are marked with.
    pub phase: PhaseName,
    /// Pods of this node.
    pub pods: Vec<Pod>,
}

impl Question for WalkProcesses {
    type Answer = Vec<ProcessMemory>;

    fn answer(&self, node: &Sampler) -> Result<Vec<ProcessMemory>> {
        Ok(attribution::walk(&node.view, self.phase, &self.pods))
    }
}

/// What is there that a removed cell must not leave behind? As [`attribution::pod_processes`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ListPodProcesses;

impl Question for ListPodProcesses {
    type Answer = BTreeMap<u32, String>;

    fn answer(&self, node: &Sampler) -> Result<BTreeMap<u32, String>> {
        Ok(attribution::pod_processes(&node.view))
    }
}

/// Which are the first processes of containers? One that is gone is left out.
#[derive(Debug, Serialize, Deserialize)]
pub struct FindContainers {
    /// Containers of this node.
    pub ids: Vec<String>,
}

/// The first process of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstProcess {
    /// By the node.
    pub pid: u32,
    /// Its control group, as the node names it.
    pub cgroup: Option<String>,
}

impl Question for FindContainers {
    type Answer = BTreeMap<String, FirstProcess>;

    fn answer(&self, node: &Sampler) -> Result<BTreeMap<String, FirstProcess>> {
        let found = |id: &String| {
            let pid = node.view.container_pid(id)?;
            Some((id.clone(), FirstProcess { pid, cgroup: node.view.cgroup(pid) }))
        };
        Ok(self.ids.iter().filter_map(found).collect())
    }
}

/// Name and UID of a pod: what its log is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodName {
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: String,
}

/// Which start stamps are there, by pod?
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadStamps {
    /// Pods of this node.
    pub pods: Vec<PodName>,
}

impl Question for ReadStamps {
    type Answer = BTreeMap<String, StartStamp>;

    fn answer(&self, node: &Sampler) -> Result<BTreeMap<String, StartStamp>> {
        Ok(by_pod(&self.pods, |pod| start_stamp::read(&node.view, &pod.name, &pod.uid)))
    }
}

/// How long did the work of pods take, by pod? Of those that have said so.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadDurations {
    /// Pods of this node.
    pub pods: Vec<PodName>,
}

impl Question for ReadDurations {
    type Answer = BTreeMap<String, i64>;

    fn answer(&self, node: &Sampler) -> Result<BTreeMap<String, i64>> {
        Ok(by_pod(&self.pods, |pod| start_stamp::duration_ns(&node.view, &pod.name, &pod.uid)))
    }
}

/// Which were the last lines of containers that ended, by pod?
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadLastWords {
    /// Pods of this node.
    pub pods: Vec<PodName>,
}

impl Question for ReadLastWords {
    type Answer = BTreeMap<String, String>;

    fn answer(&self, node: &Sampler) -> Result<BTreeMap<String, String>> {
        Ok(by_pod(&self.pods, |pod| start_stamp::last_words(&node.view, &pod.name, &pod.uid)))
    }
}

fn by_pod<T>(pods: &[PodName], read: impl Fn(&PodName) -> Option<T>) -> BTreeMap<String, T> {
    pods.iter().filter_map(|pod| Some((pod.name.clone(), read(pod)?))).collect()
}

/// What really runs in pods? As [`evidence::collect`].
#[derive(Debug, Serialize, Deserialize)]
pub struct CollectEvidence {
    /// What should run.
    pub runtime: RuntimeUnderTest,
    /// The workload's program in its image.
    pub program: String,
    /// Pods of this node.
    pub pods: Vec<Pod>,
}

impl Question for CollectEvidence {
    type Answer = Evidence;

    fn answer(&self, node: &Sampler) -> Result<Evidence> {
        evidence::collect(&node.view, &self.runtime, &self.program, &self.pods)
    }
}

/// How does a container's log begin? `None` without one.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadContainerLog {
    /// A pod of this node.
    pub pod: PodName,
}

impl Question for ReadContainerLog {
    type Answer = Option<Vec<u8>>;

    fn answer(&self, node: &Sampler) -> Result<Option<Vec<u8>>> {
        let log = open_in_root(&node.view.root, &log_path(&self.pod.name, &self.pod.uid));
        Ok(log.and_then(|file| head(&file)).ok())
    }
}

/// How do the logs of daemons end? Of those that write one.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadDaemonLogs {
    /// Their names.
    pub daemons: Vec<String>,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPiece {
    /// What to call it.
    pub name: String,
    /// The piece.
    pub text: Vec<u8>,
}

impl Question for ReadDaemonLogs {
    type Answer = Vec<LogPiece>;

    fn answer(&self, node: &Sampler) -> Result<Vec<LogPiece>> {
        let piece = |daemon: &String| {
            let name = format!("{daemon}.log");
            let text = tail(&node.view.log_dir.join(&name)).ok()?;
            Some(LogPiece { name, text })
        };
        Ok(self.daemons.iter().filter_map(piece).collect())
    }
}

/// Write dirty pages back and drop clean ones; nothing comes back.
#[derive(Debug, Serialize, Deserialize)]
pub struct DropCaches;

impl Question for DropCaches {
    type Answer = ();

    fn answer(&self, _node: &Sampler) -> Result<()> {
        drop_caches()
    }
}

/// Writes dirty pages back and drops clean ones of this machine.
///
/// # Errors
/// The kernel refuses.
///
/// Source: Documentation/admin-guide/sysctl/vm.rst, drop_caches.
pub fn drop_caches() -> Result<()> {
    nix::unistd::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
        .into_diagnostic()
        .wrap_err("write 3 to /proc/sys/vm/drop_caches (caches = \"warm\" does without)")
}

fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last [`LOG_BYTES`] of a file.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    head(&file)
}

#[test]
fn the_tail_is_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.log");
    let mut text = vec![b'a'; LOG_BYTES as usize];
    text.extend(b"end");
    fs::write(&path, &text).unwrap();
    let kept = tail(&path).unwrap();
    assert_eq!(kept.len() as u64, LOG_BYTES);
    assert!(kept.ends_with(b"aend"));
    fs::write(&path, "short").unwrap();
    assert_eq!(tail(&path).unwrap(), b"short");
}

//! What the lab asks of a node, as lines of JSON between it and the same program in a pod there:
//! one question, one answer.

use std::io::{BufRead, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wamr_node::runtimes::RuntimeUnderTest;
use wamr_record::cell::{PhaseName, Pod};
use wamr_record::sample::{Meminfo, Reading};

use super::eyes::{Eyes, PodName, drop_caches};
use crate::clock::now_ns;
use crate::environment::MachineFacts;

/// Without a question for so long the one who asks is taken for dead: a connection that breaks is
/// not always noticed at this end.
const PATIENCE: Duration = Duration::from_mins(15);

/// A question to a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Question {
    /// [`Facts`]
    Facts,
    /// [`Memory`]
    Memory,
    /// Those of [`Eyes::pod_cgroups`].
    PodCgroups {
        /// Pods of this node.
        pods: Vec<Pod>,
    },
    /// Those of [`Eyes::walk`].
    Walk {
        /// What the lines are marked with.
        phase: PhaseName,
        /// Pods of this node.
        pods: Vec<Pod>,
    },
    /// Those of [`Eyes::pod_processes`].
    PodProcesses,
    /// Those of [`Eyes::containers`].
    Containers {
        /// Containers of this node.
        ids: Vec<String>,
    },
    /// Those of [`Eyes::stamps`].
    Stamps {
        /// Pods of this node.
        pods: Vec<PodName>,
    },
    /// Those of [`Eyes::durations_ns`].
    Durations {
        /// Pods of this node.
        pods: Vec<PodName>,
    },
    /// Those of [`Eyes::last_words`].
    LastWords {
        /// Pods of this node.
        pods: Vec<PodName>,
    },
    /// That of [`Eyes::evidence`].
    Evidence {
        /// What should run.
        runtime: Box<RuntimeUnderTest>,
        /// The workload's program in its image.
        program: String,
        /// Pods of this node.
        pods: Vec<Pod>,
    },
    /// That of [`Eyes::container_log`].
    ContainerLog {
        /// A pod of this node.
        pod: PodName,
    },
    /// Those of [`Eyes::daemon_logs`].
    DaemonLogs {
        /// Their names.
        daemons: Vec<String>,
    },
    /// Nothing, once [`drop_caches`] is done.
    DropCaches,
}

/// What a node is, at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// /proc/sys/kernel/random/boot_id: nodes with the same one share a machine.
    pub boot_id: String,
    /// Its wall clock.
    pub now_ns: i64,
    /// Its machine.
    pub machine: MachineFacts,
}

/// A node's memory at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Its machine's, the reader's own memory included.
    pub meminfo: Meminfo,
    /// Its control group, if that has figures.
    pub cgroup: Option<Reading>,
}

/// The first process of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// By the node.
    pub pid: u32,
    /// Its control group, as the node names it.
    pub cgroup: Option<String>,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// What to call it.
    pub name: String,
    /// The piece.
    pub text: Vec<u8>,
}

/// The other half of a line: an answer, or why there is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// What was asked for.
    Answer(Value),
    /// The whole text of an error.
    Error(String),
}

impl Facts {
    /// Reads them; `mounts` is the node's table of mounts.
    ///
    /// # Errors
    /// The kernel has no boot id.
    pub fn read(mounts: &str) -> Result<Self> {
        Ok(Self { boot_id: boot_id()?, machine: MachineFacts::read(mounts), now_ns: now_ns() })
    }
}

/// What tells machines apart, and one life of a machine from the next.
///
/// # Errors
/// The kernel has none.
///
/// Source: random(4), "/proc interfaces".
pub fn boot_id() -> Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    Ok(text.into_diagnostic().wrap_err("read the machine's boot id")?.trim().to_owned())
}

/// Answers the questions that come as lines of `input` until it ends, or none comes for long.
///
/// # Errors
/// `output` cannot be written.
pub fn serve(
    eyes: &Eyes,
    input: impl BufRead + Send + 'static,
    mut output: impl Write,
) -> Result<()> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in input.lines() {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        let line = match lines.recv_timeout(PATIENCE) {
            Ok(line) => line.into_diagnostic().wrap_err("read a question")?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => bail!("no question for {} s", PATIENCE.as_secs()),
        };
        let question = serde_json::from_str(&line).into_diagnostic().wrap_err("read a question");
        let reply = match question.and_then(|question| answer(eyes, &question)) {
            Ok(answer) => Reply::Answer(answer),
            Err(error) => Reply::Error(format!("{error:?}")),
        };
        let mut text = serde_json::to_vec(&reply).into_diagnostic()?;
        text.push(b'\n');
        output.write_all(&text).and_then(|()| output.flush()).into_diagnostic()?;
    }
}

fn answer(eyes: &Eyes, question: &Question) -> Result<Value> {
    fn value(answer: impl Serialize) -> Result<Value> {
        serde_json::to_value(answer).into_diagnostic().wrap_err("write an answer")
    }
    match question {
        Question::Facts => value(eyes.facts()?),
        Question::Memory => value(eyes.memory()?),
        Question::PodCgroups { pods } => value(eyes.pod_cgroups(pods)),
        Question::Walk { phase, pods } => value(eyes.walk(*phase, pods)),
        Question::PodProcesses => value(eyes.pod_processes()),
        Question::Containers { ids } => value(eyes.containers(ids)),
        Question::Stamps { pods } => value(eyes.stamps(pods)),
        Question::Durations { pods } => value(eyes.durations_ns(pods)),
        Question::LastWords { pods } => value(eyes.last_words(pods)),
        Question::Evidence { runtime, program, pods } => {
            value(eyes.evidence(runtime, program, pods)?)
        }
        Question::ContainerLog { pod } => value(eyes.container_log(pod)),
        Question::DaemonLogs { daemons } => value(eyes.daemon_logs(daemons)),
        Question::DropCaches => value(drop_caches()?),
    }
}

#[test]
fn every_line_gets_one_reply_and_a_bad_one_an_error() {
    use crate::node_view::NodeView;
    let view = NodeView::new(1, "/proc".into(), "/".into());
    let eyes = Eyes::open(view, None, None).unwrap();
    let questions = [Question::Memory, Question::PodProcesses, Question::Facts];
    let mut input: Vec<String> =
        questions.iter().map(|question| serde_json::to_string(question).unwrap()).collect();
    input.insert(1, r#"{"ask":"the-time"}"#.to_owned());
    let mut output = Vec::new();
    serve(&eyes, std::io::Cursor::new(input.join("\n")), &mut output).unwrap();
    let replies: Vec<Reply> =
        output.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(replies.len(), 4);
    let Reply::Answer(memory) = &replies[0] else { panic!("{:?}", replies[0]) };
    let memory: Memory = serde_json::from_value(memory.clone()).unwrap();
    assert!(memory.meminfo.total_bytes > 0 && memory.cgroup.is_none());
    let Reply::Error(error) = &replies[1] else { panic!("{:?}", replies[1]) };
    assert!(error.contains("the-time"), "{error}");
}

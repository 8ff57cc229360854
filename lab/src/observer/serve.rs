//! Answers the questions that come as lines of JSON: one question, one reply.

use std::io::{BufRead, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::question::answer;
use super::sampler::Sampler;

/// Without a question for so long the one who asks is taken for dead: a connection that breaks is
/// not always noticed at this end.
const PATIENCE: Duration = Duration::from_mins(15);

/// The other half of a line: an answer, or why there is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// What was asked for.
    Answer(Value),
    /// The whole text of an error.
    Error(String),
}

/// Answers the questions that come as lines of `input` until it ends, or none comes for long.
///
/// # Errors
/// `output` cannot be written.
pub fn serve(
    node: &Sampler,
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
        let asked = serde_json::from_str(&line).into_diagnostic().wrap_err("read a question");
        let reply = match asked.and_then(|asked| answer(node, asked)) {
            Ok(answer) => Reply::Answer(answer),
            Err(error) => Reply::Error(format!("{error:?}")),
        };
        let mut text = serde_json::to_vec(&reply).into_diagnostic()?;
        text.push(b'\n');
        output.write_all(&text).and_then(|()| output.flush()).into_diagnostic()?;
    }
}

#[test]
fn every_line_gets_one_reply_and_a_bad_one_an_error() {
    use super::question::{
        Asked, ListPodProcesses, Memory, PodName, ReadFacts, ReadMemory, ReadStamps,
    };
    use crate::node_view::NodeView;
    let view = NodeView::new(1, "/proc".into(), "/".into());
    let node = Sampler::open(view, None, None).unwrap();
    let pods = vec![PodName { name: "p".to_owned(), uid: "u".to_owned() }];
    let asked = [
        Asked::new(&ReadMemory).unwrap(),
        Asked::new(&ListPodProcesses).unwrap(),
        Asked::new(&ReadFacts).unwrap(),
        Asked::new(&ReadStamps { pods }).unwrap(),
    ];
    let mut input: Vec<String> =
        asked.iter().map(|asked| serde_json::to_string(asked).unwrap()).collect();
    input.insert(1, r#"{"ask":"the-time"}"#.to_owned());
    let mut output = Vec::new();
    serve(&node, std::io::Cursor::new(input.join("\n")), &mut output).unwrap();
    let replies: Vec<Reply> =
        output.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(replies.len(), 5);
    let Reply::Answer(memory) = &replies[0] else { panic!("{:?}", replies[0]) };
    let memory: Memory = serde_json::from_value(memory.clone()).unwrap();
    assert!(memory.meminfo.total_bytes > 0 && memory.cgroup.is_none());
    let Reply::Error(error) = &replies[1] else { panic!("{:?}", replies[1]) };
    assert!(error.contains("the-time"), "{error}");
    assert!(replies[2..].iter().all(|reply| matches!(reply, Reply::Answer(_))), "{replies:?}");
}

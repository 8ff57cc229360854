//! A node of a cluster, read by this program in the lab's pod there, asked through `exec`.

use std::fmt;

use kube::api::AttachedProcess;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::question::{Asked, Question};
use super::serve::Reply;
use crate::cluster::remote_exec::{EXEC_LIMIT, RemoteExec};

/// A program in a pod that answers questions about its node.
pub struct RemoteSampler {
    pod: String,
    /// One question at a time.
    streams: Mutex<Streams>,
}

struct Streams {
    process: AttachedProcess,
    questions: Box<dyn AsyncWrite + Unpin + Send>,
    answers: BufReader<Box<dyn AsyncRead + Unpin + Send>>,
    /// A question was not answered whole: what comes next would be taken for another's answer.
    torn: bool,
}

impl fmt::Debug for RemoteSampler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RemoteSampler").field(&self.pod).finish()
    }
}

impl Drop for RemoteSampler {
    fn drop(&mut self) {
        // The connection ends, and with it the program's standard input.
        self.streams.get_mut().process.abort();
    }
}

impl RemoteSampler {
    /// Starts the program in `pod`.
    ///
    /// # Errors
    /// The API server or the kubelet refuses.
    pub async fn open(exec: &RemoteExec, pod: &str) -> Result<Self> {
        let mut process = exec.begin(pod, &["observe"]).await?;
        let (Some(questions), Some(answers)) = (process.stdin(), process.stdout()) else {
            return Err(miette!("{pod} has no standard streams"));
        };
        let streams = Streams {
            process,
            questions: Box::new(questions),
            answers: BufReader::new(Box::new(answers)),
            torn: false,
        };
        Ok(Self { pod: pod.to_owned(), streams: Mutex::new(streams) })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The pod is gone, or takes longer than a minute, or says that it cannot answer.
    pub async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Answer> {
        let asked = Asked::new(question)?;
        let mut streams = self.streams.lock().await;
        let line = timeout(EXEC_LIMIT, streams.exchange(&asked)).await;
        let line = line.unwrap_or_else(|_| {
            Err(miette!("it did not answer within {} s", EXEC_LIMIT.as_secs()))
        });
        let reply = line.and_then(|line| serde_json::from_str(&line).into_diagnostic());
        let tried = || format!("ask the lab's pod {}", self.pod);
        match reply.wrap_err_with(tried)? {
            Reply::Answer(answer) => {
                serde_json::from_value(answer).into_diagnostic().wrap_err_with(tried)
            }
            Reply::Error(text) => Err(miette!("{text}")).wrap_err_with(tried),
        }
    }
}

impl Streams {
    async fn exchange(&mut self, asked: &Asked) -> Result<String> {
        if self.torn {
            return Err(miette!("an earlier question was not answered"));
        }
        let mut text = serde_json::to_vec(asked).into_diagnostic()?;
        text.push(b'\n');
        self.torn = true;
        let mut line = String::new();
        let exchanged = async {
            self.questions.write_all(&text).await?;
            self.questions.flush().await?;
            self.answers.read_line(&mut line).await
        };
        match exchanged.await {
            Ok(0) | Err(_) => Err(self.last_words().await),
            Ok(_) => {
                self.torn = false;
                Ok(line)
            }
        }
    }

    /// Why the program ended.
    async fn last_words(&mut self) -> miette::Report {
        let mut said = String::new();
        if let Some(mut errors) = self.process.stderr() {
            // What it wrote is there by now; a connection that hangs has nothing to tell.
            drop(
                timeout(std::time::Duration::from_secs(1), errors.read_to_string(&mut said)).await,
            );
        }
        miette!("its program has ended: {}", said.trim())
    }
}

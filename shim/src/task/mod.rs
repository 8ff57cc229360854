//! The task service: what containerd asks of a container, a file per kind of question.
//!
//! A call is answered at once, or when a child has ended (`jobs`): the thread waits for no child.

mod change;
mod create;
mod exec;
mod exits;
mod handover;
mod jobs;
mod life;
mod prepare;
mod query;
mod table;
mod upgrade;
mod waiting;

use crate::api::task::{SERVICE, SERVICE_V3};
use crate::api::{Empty, rpc, shim};
use crate::error::{Code, Failure, Result};
use crate::events::Publisher;
use crate::open_files::OpenFiles;
use crate::poll::{Poll, Source, When};
use crate::runtime_cli::RuntimeCli;
use crate::shard::Shard;
use crate::terminal::Terminal;
use jobs::Job;
use prost::Message;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;
use table::{Exit, Task};
use waiting::Waiting;

pub use crate::handover::saved::ReplyTo;
pub use upgrade::Upgrade;

/// The answer to a call, or `None`: it comes later.
type Answer = Result<Option<Vec<u8>>>;

/// All that this process serves.
#[derive(Debug)]
pub struct Tasks {
    runtime: RuntimeCli,
    shard: Shard,
    poll: Rc<Poll>,
    /// By container.
    table: BTreeMap<String, Task>,
    /// By process: children that are waited for.
    jobs: BTreeMap<i32, Job>,
    /// Children that are to be.
    waiting: Vec<Waiting>,
    /// Until when one of them is waited for.
    deadlines: Vec<(Instant, i32)>,
    /// Ends of processes that are not known yet, since the runtime that started them has not ended.
    early: BTreeMap<i32, Exit>,
    terminals: BTreeMap<u32, Terminal>,
    next_terminal: u32,
    /// Whether a child may have ended without a signal.
    must_reap: bool,
    /// The program that is to go on with all of this.
    pub upgrade: Option<Upgrade>,
    /// What children start with.
    pub open_files: OpenFiles,
    /// To containerd.
    pub publisher: Publisher,
    /// Answers that have come since somebody looked.
    pub replies: Vec<(ReplyTo, Result<Vec<u8>>)>,
}

impl Tasks {
    /// Serves nothing yet.
    pub fn new(runtime: RuntimeCli, shard: Shard, poll: Rc<Poll>, publisher: Publisher) -> Self {
        Self {
            runtime,
            shard,
            poll,
            table: BTreeMap::new(),
            jobs: BTreeMap::new(),
            waiting: Vec::new(),
            deadlines: Vec::new(),
            early: BTreeMap::new(),
            terminals: BTreeMap::new(),
            next_terminal: 0,
            must_reap: false,
            upgrade: None,
            open_files: OpenFiles::inherited(),
            publisher,
            replies: Vec::new(),
        }
    }

    /// True if there is nothing to serve. Events that containerd has not taken are no reason to
    /// stay: it may be gone for good.
    pub fn is_idle(&self) -> bool {
        self.table.is_empty() && self.jobs.is_empty() && self.waiting.is_empty()
    }

    /// Answers a call, now or later, by [`Tasks::replies`].
    pub fn call(&mut self, call: &[u8], reply: ReplyTo) {
        let answer = rpc::Request::decode(call)
            .map_err(|error| Failure::new(Code::InvalidArgument, format!("a call: {error}")))
            .and_then(|request| self.dispatch(&request, reply));
        if let Some(answer) = answer.transpose() {
            self.replies.push((reply, answer));
        }
    }

    fn dispatch(&mut self, call: &rpc::Request, reply: ReplyTo) -> Answer {
        let rpc::Request { service, method, payload, .. } = call;
        if service == shim::SERVICE && method == "Upgrade" {
            return self.ask_upgrade(decode(payload)?, reply);
        }
        if ![SERVICE, SERVICE_V3].contains(&service.as_str()) {
            let message = format!("service {service}: this shim has {SERVICE} and {SERVICE_V3}");
            return Err(Failure::new(Code::Unimplemented, message));
        }
        match method.as_str() {
            "Create" => self.create(decode(payload)?, reply),
            "Start" => self.start(&decode(payload)?, reply),
            "Kill" => self.kill(&decode(payload)?, reply),
            "Wait" => self.wait(&decode(payload)?, reply),
            "Delete" => self.delete(&decode(payload)?, reply),
            "Exec" => self.exec(decode(payload)?),
            "Pause" => self.pause(&decode(payload)?, reply),
            "Resume" => self.resume(&decode(payload)?, reply),
            "Update" => self.update(decode(payload)?, reply),
            "ResizePty" => self.resize(&decode(payload)?),
            "CloseIO" => self.close_io(&decode(payload)?),
            "State" => self.state(&decode(payload)?),
            "Pids" => self.pids(&decode(payload)?),
            "Stats" => self.stats(&decode(payload)?),
            "Connect" => self.connect(&decode(payload)?),
            // It ends by itself when it is idle; others are served still.
            "Shutdown" => encoded(&Empty {}),
            other => {
                let message = format!("{other}: this shim does not do that");
                Err(Failure::new(Code::Unimplemented, message))
            }
        }
    }

    /// Nobody waits for answers on that connection any more.
    pub fn disconnected(&mut self, connection: u32) {
        for task in self.table.values_mut() {
            for process in task.processes_mut() {
                process.waiters.retain(|waiter| waiter.connection != connection);
            }
        }
    }

    /// A terminal has something to move.
    pub fn pump(&mut self, terminal: u32) {
        if self.terminals.get_mut(&terminal).is_some_and(Terminal::pump) {
            self.terminals.remove(&terminal);
        }
    }

    fn add_terminal(&mut self, terminal: Terminal) -> Option<u32> {
        let number = self.next_terminal;
        self.watch_terminal(number, terminal).then(|| {
            self.next_terminal = number.wrapping_add(1);
            number
        })
    }

    fn watch_terminal(&mut self, number: u32, terminal: Terminal) -> bool {
        let is_watched = terminal
            .descriptors()
            .all(|fd| self.poll.add(fd, Source::Terminal(number), When::Changed).is_ok());
        if is_watched {
            self.terminals.insert(number, terminal);
        }
        is_watched
    }
}

fn decode<M: Message + Default>(payload: &[u8]) -> Result<M> {
    M::decode(payload)
        .map_err(|error| Failure::new(Code::InvalidArgument, format!("a call: {error}")))
}

/// An answer that is there at once.
#[allow(clippy::unnecessary_wraps)] // It ends calls that can fail.
fn encoded(message: &impl Message) -> Answer {
    Ok(Some(message.encode_to_vec()))
}

//! What a process knows, as messages. A later version may add fields at the end of one, whose
//! defaults have to mean what was so before; whoever changes the meaning of one raises `FORMAT`.
//!
//! `…_fd` are numbers of descriptors, which stay what they are when the program is replaced.

use super::field::{Field, fields, message};
use crate::api::rpc::Status;
use crate::api::task::{CreateTask, Mount};

message!(
    /// The first message. It never changes.
    Head {
        /// How the rest is to be read.
        format: u32,
        /// The version of the program that has written it: `0.1.0`.
        program: String,
    }
);

/// What a process knows, piece by piece.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// What there is once. It is the first.
    Once(Once),
    /// A connection of containerd.
    Connection(Connection),
    /// A call that tells containerd of an event, in their order.
    Event(Vec<u8>),
    /// A container or a pod.
    Task(Box<Task>),
    /// A child that is waited for.
    Job(Box<Job>),
    /// A child that is to be.
    Waiting(Box<Waiting>),
    /// The end of a process that is not known yet.
    Early(Early),
    /// A terminal.
    Terminal(Terminal),
    /// Nothing comes any more; so many pieces are before it.
    End(u32),
}

fn put(out: &mut Vec<u8>, kind: u32, value: &impl Field) {
    kind.put(out);
    value.put(out);
}

impl Body {
    /// Writes its kind, and it.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Once(once) => put(out, 1, once),
            Self::Connection(connection) => put(out, 2, connection),
            Self::Event(call) => put(out, 3, call),
            Self::Task(task) => put(out, 4, &**task),
            Self::Job(job) => put(out, 5, &**job),
            Self::Waiting(waiting) => put(out, 6, &**waiting),
            Self::Early(early) => put(out, 7, early),
            Self::Terminal(terminal) => put(out, 8, terminal),
            Self::End(count) => put(out, 9, count),
        }
    }

    /// Reads it. `None`: it is cut off, or of a kind that this program does not know.
    pub fn take(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        Some(match u32::take(bytes)? {
            1 => Self::Once(Field::take(bytes)?),
            2 => Self::Connection(Field::take(bytes)?),
            3 => Self::Event(Field::take(bytes)?),
            4 => Self::Task(Box::new(Field::take(bytes)?)),
            5 => Self::Job(Box::new(Field::take(bytes)?)),
            6 => Self::Waiting(Box::new(Field::take(bytes)?)),
            7 => Self::Early(Field::take(bytes)?),
            8 => Self::Terminal(Field::take(bytes)?),
            9 => Self::End(Field::take(bytes)?),
            _ => return None,
        })
    }
}

message!(
    /// What there is once.
    Once {
        /// On which it listens.
        listener_fd: u32,
        /// The number of the next connection.
        next_connection: u32,
        /// The number of the next terminal.
        next_terminal: u32,
        /// How many descriptors its children may have.
        soft_limit: u64,
        /// How many it may have at most.
        hard_limit: u64,
        /// Whether it has so many.
        is_raised: bool,
        /// To containerd's events, if there is one.
        events: Option<Connection>,
        /// The number of the next call on it.
        event_stream: u32,
        /// Whether the first event was sent.
        is_event_under_way: bool,
        /// When the next attempt is due.
        next_event_ms: Option<u64>,
        /// Who has asked for another program.
        asked_by: Option<ReplyTo>,
    }
);

message!(
    /// Whom an answer is for.
    #[derive(Copy, Eq)]
    ReplyTo {
        /// The connection.
        connection: u32,
        /// The call on it.
        stream: u32,
    }
);

message!(
    /// A connection, and what is on its way.
    Connection {
        /// Its number among others; that to containerd's events has none.
        number: u32,
        /// It.
        fd: u32,
        /// The beginning of a call.
        incoming: Vec<u8>,
        /// The end of answers.
        outgoing: Vec<u8>,
    }
);

message!(
    /// A container, or a pod without a pause process.
    Task {
        /// Its name.
        id: String,
        /// Directory with config.json.
        bundle: String,
        /// The pod that it is in.
        pod: Option<String>,
        /// There if it is a pod.
        sandbox: Option<Sandbox>,
        /// Its first process, then further ones.
        processes: Vec<Process>,
        /// Its control groups in hierarchies of version 1, packed.
        groups_v1: Option<String>,
        /// Its control group of version 2.
        group_v2: Option<String>,
        /// Whether the kernel ends all its processes with the first.
        has_own_pids: bool,
        /// Its users: the first within, the first outside, how many; and so on.
        uid_map: Vec<u32>,
        /// Its groups, likewise.
        gid_map: Vec<u32>,
        /// Whether systemd makes its control groups.
        is_for_systemd: bool,
        /// Whether its root file system was mounted here.
        is_mounted: bool,
    }
);

message!(
    /// A pod without a pause process.
    Sandbox {
        /// Its IPC namespace.
        ipc_fd: Option<u32>,
        /// Its host name.
        uts_fd: Option<u32>,
        /// Path of its network namespace.
        network: Option<String>,
        /// Path of its user namespace.
        user: Option<String>,
        /// Its user namespace, where it has no path.
        user_fd: Option<u32>,
        /// The pod's PID namespace: -1 is the node's, 0 one in which no process is yet, others the
        /// pause process.
        pids: i64,
        /// From which its root file system could be made.
        rootfs: Vec<Mount>,
        /// Whether the runtime has made a container of it.
        is_container: bool,
    }
);

message!(
    /// A process.
    Process {
        /// Its name; empty is the first.
        exec_id: String,
        /// 0 as long as there is none.
        pid: u32,
        /// As in the task service.
        status: i32,
        /// Its streams.
        stdin: String,
        /// As above.
        stdout: String,
        /// As above.
        stderr: String,
        /// Whether they are a terminal.
        has_terminal: bool,
        /// Keeps its standard input open.
        input_fd: Option<u32>,
        /// The number of its terminal.
        terminal: Option<u32>,
        /// Whether the runtime is just starting it.
        is_starting: bool,
        /// How it has ended, to be told when it has started.
        held_exit: Option<Exit>,
        /// How it has ended.
        exit: Option<Exit>,
        /// Who waits for that.
        waiters: Vec<ReplyTo>,
        /// Of a further one: `process` of config.json.
        spec: Vec<u8>,
    }
);

/// What a child is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Nobody waits for it.
    #[default]
    Forgotten = 0,
    /// A pod's namespaces.
    Sandbox = 1,
    /// What a container needs.
    PrepareContainer = 2,
    /// What a pause process needs.
    PreparePause = 3,
    /// What a further process needs.
    PrepareExec = 4,
    /// The same, too late.
    Late = 5,
    /// Unmounting for a container that is gone.
    UnmountRemoved = 6,
    /// Unmounting for one that could not be made.
    UnmountFailed = 7,
    /// A pause process.
    Pause = 8,
    /// A container.
    Create = 9,
    /// A container's start.
    Start = 10,
    /// A further process.
    Exec = 11,
    /// A container's removal.
    Delete = 12,
    /// A change of a container.
    Change = 13,
}

impl Field for Kind {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u32).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let number = u32::take(bytes)?;
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Forgotten,
        Self::Sandbox,
        Self::PrepareContainer,
        Self::PreparePause,
        Self::PrepareExec,
        Self::Late,
        Self::UnmountRemoved,
        Self::UnmountFailed,
        Self::Pause,
        Self::Create,
        Self::Start,
        Self::Exec,
        Self::Delete,
        Self::Change,
    ];
}

message!(
    /// A child that is waited for, and all that is needed when it has ended.
    Job {
        /// The child; 0 if it is to be.
        pid: i32,
        /// What it is for.
        kind: Kind,
        /// Whose answer it is.
        reply: Option<ReplyTo>,
        /// The container, or the pod.
        id: String,
        /// The further process.
        exec_id: String,
        /// What was asked for.
        request: Option<CreateTask>,
        /// Where the child answers.
        answer_fd: Option<u32>,
        /// The ends of a logger's pipes: standard output.
        output_fd: Option<u32>,
        /// Standard error.
        error_fd: Option<u32>,
        /// The runtime's messages.
        log: String,
        /// Where those of this call begin.
        log_begin_bytes: u64,
        /// Where the runtime writes the number of the process.
        pid_file: String,
        /// Where it sends a terminal.
        console: Option<Console>,
        /// The state that a container is in then, as in the task service.
        status: Option<i32>,
        /// What is answered.
        failure: Option<Status>,
        /// Of a pod to be: all but what is held by descriptors.
        sandbox: Option<Sandbox>,
        /// How long it is waited for.
        patience_ms: Option<u64>,
        /// A bundle, or the file that describes a further process.
        path: String,
    }
);

message!(
    /// Where the runtime sends a terminal.
    Console {
        /// It listens.
        fd: u32,
        /// Its path.
        path: String,
        /// Where the terminal is shown.
        output_fd: Option<u32>,
    }
);

message!(
    /// A call of the runtime that waits for readers of its output.
    Waiting {
        /// What follows the program's name.
        arguments: Vec<Vec<u8>>,
        /// What is to be done when it has ended.
        job: Option<Job>,
        /// How long it has waited.
        since_ms: u64,
        /// Standard input.
        input_fd: Option<u32>,
        /// Standard output, standard error, and where a terminal is shown.
        outputs: Vec<Output>,
    }
);

message!(
    /// Where a process writes to; nowhere if both are missing.
    Output {
        /// It is open.
        fd: Option<u32>,
        /// A FIFO that nobody reads yet.
        unread: Option<String>,
    }
);

message!(
    /// The end of a process.
    #[derive(Copy, Eq)]
    Exit {
        /// Exit code, or 128 and the signal's number.
        status: u32,
        /// When, since 1970 in UTC.
        seconds: i64,
        /// Of the second.
        nanos: i32,
    }
);

message!(
    /// The end of a process that is not known yet.
    Early {
        /// Its number.
        pid: i32,
        /// How.
        exit: Option<Exit>,
    }
);

message!(
    /// A terminal, and what is on its way.
    Terminal {
        /// Its number.
        number: u32,
        /// It.
        master_fd: u32,
        /// Where its input comes from.
        input_fd: Option<u32>,
        /// Where it is shown.
        output_fd: Option<u32>,
        /// What was typed.
        typed: Vec<u8>,
        /// What is to be shown.
        shown: Vec<u8>,
        /// Whether it has ended.
        has_ended: bool,
    }
);

// Of containerd's own messages what is still needed.
fields!(Mount { kind, source, target, options });
fields!(CreateTask { id, bundle, rootfs, terminal, stdin, stdout, stderr });
fields!(Status { code, message });

//! `serve`: one thread, one loop, up to 128 pods.

use crate::api::rpc::Response;
use crate::api::shim::Upgraded;
use crate::arguments::Arguments;
use crate::error::{Code, Failure, Result, Tried};
use crate::events::Publisher;
use crate::handover;
use crate::handover::descriptors::{Kept, claim};
use crate::handover::file::{Reader, Writer};
use crate::handover::saved::{Body, Once};
use crate::poll::{Poll, Source, When};
use crate::runtime_cli::RuntimeCli;
use crate::shard::Shard;
use crate::sys;
use crate::task::{ReplyTo, Tasks};
use crate::ttrpc::connection::Connection;
use crate::ttrpc::frame::{REQUEST, RESPONSE};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use prost::Message;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A process that serves nothing ends after this time; the next pod finds it until then.
const IDLE: Duration = Duration::from_secs(5);

/// Time between two attempts to take a connection where there is no descriptor for it.
const BREATH: Duration = Duration::from_millis(100);

/// A pod that containerd has asked for, and has not had made after this time, will not come.
const STALE: Duration = Duration::from_mins(2);

/// The loop's state.
struct Server {
    listener: UnixListener,
    children: SignalFd,
    connections: BTreeMap<u32, Connection>,
    next_connection: u32,
    tasks: Tasks,
    shard: Shard,
    poll: Rc<Poll>,
    idle_since: Instant,
}

/// Serves the shard in the directory that is given until it has been idle for a while. The socket
/// to listen on is standard input.
///
/// # Errors
/// This process cannot be what it has to be.
pub fn serve(arguments: &Arguments) -> Result<()> {
    prepare(arguments).inspect_err(complain)?.run()
}

/// Goes on with what another program has served in this process. Its state is standard input.
///
/// # Errors
/// As [`serve`], or the state is not what it should be.
pub fn take_over(arguments: &Arguments) -> Result<()> {
    restore(arguments).inspect_err(complain)?.run()
}

fn complain(failure: &Failure) {
    eprintln!("containerd-shim-wamr-crun-v1: {}", failure.message);
}

fn prepare(arguments: &Arguments) -> Result<Server> {
    let own = Path::new("/proc/self");
    let listener = sys::take_stdin().tried("take the socket from standard input of", own)?;
    let server = Server::new(arguments, listener)?;
    // Nothing that ends containerd's process group is meant for the pods.
    nix::unistd::setsid().tried("start a session for", own)?;
    // Containers that the runtime leaves become children of this process.
    nix::sys::prctl::set_child_subreaper(true).tried("make a subreaper of", own)?;
    yield_before_containerd();
    Ok(server)
}

/// All that [`prepare`] does to this process lasts.
fn restore(arguments: &Arguments) -> Result<Server> {
    let (mut once, mut reader) = Reader::open(handover::input()?)?;
    let mut server = Server::new(arguments, claim(once.listener_fd)?)?;
    server.next_connection = once.next_connection;
    server.tasks.restore_once(&mut once)?;
    while let Some(body) = reader.piece()? {
        match body {
            Body::Connection(saved) => {
                let number = saved.number;
                server.watch(number, Connection::restore(saved)?)?;
            }
            other => server.tasks.restore(other)?,
        }
    }
    server.tasks.catch_up();
    if let Some(reply) = once.asked_by {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (before, pid) = (reader.program, std::process::id());
        let answer = Upgraded { version, before, pid }.encode_to_vec();
        server.tasks.replies.push((reply, Ok(answer)));
    }
    let numbers: Vec<u32> = server.connections.keys().copied().collect();
    for number in numbers {
        server.send(number);
    }
    server.answer();
    Ok(server)
}

impl Server {
    /// One that serves nothing yet.
    fn new(arguments: &Arguments, listener: OwnedFd) -> Result<Self> {
        let own = Path::new("/proc/self");
        let directory = arguments.directories.first().cloned().ok_or_else(|| {
            Failure::new(Code::InvalidArgument, "serve: a shard's directory is missing")
        })?;
        let shard = Shard::at(directory);
        let listener = UnixListener::from(listener);
        listener.set_nonblocking(true).tried("listen on", &shard.socket())?;
        let signals = SigSet::from(Signal::SIGCHLD);
        signals.thread_block().tried("block signals of", own)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let children = SignalFd::with_flags(&signals, flags).tried("wait for children of", own)?;
        let poll = Rc::new(Poll::new().tried("wait for events of", own)?);
        poll.add(&listener, Source::Listener, When::Readable)
            .tried("listen on", &shard.socket())?;
        poll.add(&children, Source::Children, When::Readable).tried("wait for children of", own)?;
        let address = std::env::var_os("TTRPC_ADDRESS").unwrap_or_default();
        let publisher = Publisher::new(address.into(), arguments.namespace.clone());
        let runtime = RuntimeCli::find(shard.home().containers())?;
        let tasks = Tasks::new(runtime, shard.clone(), poll.clone(), publisher);
        Ok(Self {
            listener,
            children,
            connections: BTreeMap::new(),
            next_connection: 0,
            tasks,
            shard,
            poll,
            idle_since: Instant::now(),
        })
    }

    fn run(mut self) -> Result<()> {
        loop {
            let ready = self.poll.wait(self.patience());
            for source in ready.tried("wait for", Path::new("containerd"))? {
                self.handle(source);
            }
            self.try_upgrade();
            self.tasks.start_waiting();
            self.tasks.reap_missed();
            self.tasks.give_up_late();
            self.answer();
            if self.is_over() {
                return Ok(());
            }
            self.upgrade();
        }
    }

    /// Tries the program that is asked for.
    fn try_upgrade(&mut self) {
        if let Some(upgrade) = self.tasks.upgrade.take_if(|upgrade| !upgrade.is_tried) {
            let state = self.save(&mut Kept::default(), upgrade.reply);
            self.tasks.try_upgrade(upgrade, state);
        }
    }

    /// Goes on as the program that was tried. All answers that there are were given or are among
    /// what is on its way.
    fn upgrade(&mut self) {
        let Some(upgrade) = self.tasks.upgrade.take_if(|upgrade| upgrade.is_tried) else { return };
        let mut kept = Kept::default();
        let failure = match self.save(&mut kept, upgrade.reply) {
            Ok(state) => handover::execute(&upgrade.program, &state, &kept),
            Err(failure) => failure,
        };
        self.tasks.replies.push((upgrade.reply, Err(failure)));
        self.answer();
    }

    fn save<'a>(&'a self, kept: &mut Kept<'a>, asked_by: ReplyTo) -> Result<File> {
        let mut once = Once {
            listener_fd: kept.keep(&self.listener),
            next_connection: self.next_connection,
            asked_by: Some(asked_by),
            ..Once::default()
        };
        self.tasks.save_once(&mut once, kept);
        let mut writer = Writer::new()?;
        writer.put(&Body::Once(once))?;
        for (number, connection) in &self.connections {
            writer.put(&Body::Connection(connection.save(*number, kept)))?;
        }
        self.tasks.save(kept, &mut writer)?;
        writer.finish()
    }
}

/// When memory is short the shim goes before containerd, and long after its containers, whose
/// score the runtime sets. It is no error where the score cannot be changed.
fn yield_before_containerd() {
    let path = "/proc/self/oom_score_adj";
    let score = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(score) = score {
        drop(fs::write(path, (score + 1).min(1000).to_string()));
    }
}

impl Server {
    fn handle(&mut self, source: Source) {
        match source {
            Source::Listener => self.accept(),
            Source::Children => {
                while let Ok(Some(_)) = self.children.read_signal() {}
                self.tasks.reap();
            }
            Source::Events => self.tasks.publisher.receive(),
            Source::Connection(number) => self.receive(number),
            Source::Terminal(number) => self.tasks.pump(number),
        }
    }

    fn accept(&mut self) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    eprintln!("containerd-shim-wamr-crun-v1: take a connection: {error}");
                    // Without descriptors nothing gets better by asking at once.
                    std::thread::sleep(BREATH);
                    return;
                }
            };
            self.tasks.open_files.make_room(&stream);
            let Ok(connection) = Connection::new(stream) else { continue };
            let number = self.next_connection;
            if self.watch(number, connection).is_ok() {
                self.next_connection = number.wrapping_add(1);
            }
        }
    }

    fn watch(&mut self, number: u32, connection: Connection) -> Result<()> {
        let added = self.poll.add(&connection, Source::Connection(number), When::Readable);
        added.tried("wait for", &self.shard.socket())?;
        self.connections.insert(number, connection);
        Ok(())
    }

    fn receive(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let (frames, closed) = connection.receive();
        for frame in frames.into_iter().filter(|frame| frame.kind == REQUEST) {
            let reply = ReplyTo { connection: number, stream: frame.stream };
            self.tasks.call(&frame.data, reply);
        }
        if closed.is_some() {
            self.close(number);
        } else {
            self.send(number);
        }
    }

    /// Sends all answers that have come, and events.
    fn answer(&mut self) {
        for (reply, answer) in std::mem::take(&mut self.tasks.replies) {
            let Some(connection) = self.connections.get_mut(&reply.connection) else { continue };
            let response = match answer {
                Ok(payload) => Response { status: None, payload },
                Err(failure) => Response { status: Some(failure.status()), payload: Vec::new() },
            };
            connection.queue(reply.stream, RESPONSE, &response.encode_to_vec());
            self.send(reply.connection);
        }
        self.tasks.publisher.advance(&self.poll);
        if !self.tasks.is_idle() {
            self.idle_since = Instant::now();
        }
    }

    fn send(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let waited = connection.is_waiting();
        let Ok(waits) = connection.send() else { return self.close(number) };
        let when = if waits { When::Both } else { When::Readable };
        if waits != waited
            && self.poll.change(&*connection, Source::Connection(number), when).is_err()
        {
            self.close(number);
        }
    }

    fn close(&mut self, number: u32) {
        self.connections.remove(&number);
        self.tasks.disconnected(number);
    }

    /// How long the loop may sleep.
    fn patience(&self) -> Option<Duration> {
        let events = self.tasks.publisher.patience();
        let idle = self.tasks.is_idle().then(|| IDLE.saturating_sub(self.idle_since.elapsed()));
        let (waiting, late) = (self.tasks.patience(), self.tasks.until_late());
        events.into_iter().chain(idle).chain(waiting).chain(late).min()
    }

    /// Whether this process has nothing to do any more. Then its directory is gone, too.
    fn is_over(&mut self) -> bool {
        if !self.tasks.is_idle() || self.idle_since.elapsed() < IDLE {
            return false;
        }
        // Somebody has removed it: no `start` finds this process any more.
        if !self.shard.directory().exists() {
            return true;
        }
        // `start` holds the lock while it sends somebody here.
        if let Some(_locked) = self.shard.home().try_lock() {
            self.shard.leave_stale(STALE);
            if self.shard.groups() == 0 {
                self.shard.remove();
                return true;
            }
        }
        self.idle_since = Instant::now();
        false
    }
}

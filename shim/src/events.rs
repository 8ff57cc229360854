//! Events go to containerd in the order in which they happened: one at a time, again until it has
//! taken them.

use crate::api::event::{Envelope, Event, Forward, SERVICE};
use crate::api::rpc::Request;
use crate::api::{Any, Timestamp};
use crate::error::{Result, Tried};
use crate::handover::descriptors::Kept;
use crate::handover::file::Writer;
use crate::handover::saved::{self, Body};
use crate::poll::{Poll, Source, When};
use crate::ttrpc::connection::Connection;
use crate::ttrpc::frame::REQUEST;
use prost::Message;
use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time between attempts to reach containerd.
const PAUSE: Duration = Duration::from_secs(1);

/// What is kept for a containerd that is away: about 1 MiB. The oldest are forgotten first; it
/// asks for the state of every task when it is back.
const LIMIT: usize = 4096;

/// How long containerd may take for an event.
const TIMEOUT_NS: i64 = 10_000_000_000;

/// The way to containerd.
#[derive(Debug)]
pub struct Publisher {
    address: PathBuf,
    namespace: String,
    connection: Option<Connection>,
    /// Calls that were not answered.
    queue: VecDeque<Vec<u8>>,
    /// Whether the first of them was sent.
    under_way: bool,
    stream: u32,
    again_at: Option<Instant>,
}

impl Publisher {
    /// `address` is that of containerd's ttrpc socket.
    pub fn new(address: PathBuf, namespace: String) -> Self {
        Self {
            address,
            namespace,
            connection: None,
            queue: VecDeque::new(),
            under_way: false,
            stream: 1,
            again_at: None,
        }
    }

    /// For the next program: all but the events.
    pub fn save<'a>(&'a self, once: &mut saved::Once, kept: &mut Kept<'a>) {
        once.events = self.connection.as_ref().map(|connection| connection.save(0, kept));
        once.event_stream = self.stream;
        once.is_event_under_way = self.under_way;
        once.next_event_ms = self.patience().map(|left| left.as_millis() as u64);
    }

    /// For the next program: the events.
    ///
    /// # Errors
    /// No memory is left.
    pub fn save_queue(&self, writer: &mut Writer) -> Result<()> {
        self.queue.iter().try_for_each(|call| writer.put(&Body::Event(call.clone())))
    }

    /// As the program before has had it; the events come by [`Publisher::restore_event`].
    ///
    /// # Errors
    /// The connection is not there.
    pub fn restore(&mut self, once: &mut saved::Once, poll: &Poll) -> Result<()> {
        if let Some(connection) = once.events.take() {
            let connection = Connection::restore(connection)?;
            let added = poll.add(&connection, Source::Events, When::Readable);
            added.tried("wait for", &self.address)?;
            self.connection = Some(connection);
        }
        self.stream = once.event_stream;
        self.under_way = once.is_event_under_way;
        let pause = once.next_event_ms.map(Duration::from_millis);
        self.again_at = pause.map(|pause| Instant::now() + pause);
        Ok(())
    }

    /// An event that the program before has not got rid of.
    pub fn restore_event(&mut self, call: Vec<u8>) {
        self.queue.push_back(call);
    }

    /// containerd's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Puts an event behind the others.
    pub fn publish<E: Event>(&mut self, event: &E) {
        let (topic, name) = E::KIND;
        let envelope = Envelope {
            timestamp: Some(Timestamp::now()),
            namespace: self.namespace.clone(),
            topic: topic.to_owned(),
            event: Some(Any { type_url: name.to_owned(), value: event.encode_to_vec() }),
        };
        let call = Request {
            service: SERVICE.to_owned(),
            method: "Forward".to_owned(),
            payload: Forward { envelope: Some(envelope) }.encode_to_vec(),
            timeout_ns: TIMEOUT_NS,
        };
        if self.queue.len() >= LIMIT {
            self.queue.remove(usize::from(self.under_way));
        }
        self.queue.push_back(call.encode_to_vec());
    }

    /// Sends the first event if none is under way. To be called after each [`Publisher::publish`],
    /// and when [`Publisher::patience`] has passed.
    pub fn advance(&mut self, poll: &Poll) {
        let waits = self.patience().is_some_and(|left| !left.is_zero());
        if self.queue.is_empty() || self.under_way || waits {
            return;
        }
        self.again_at = None;
        if self.connection.is_none() {
            self.connection = self.connect(poll);
        }
        self.send();
    }

    /// How long until the next attempt; `None` if there is nothing to attempt.
    pub fn patience(&self) -> Option<Duration> {
        self.again_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// containerd has answered, or has gone.
    pub fn receive(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let (frames, closed) = connection.receive();
        // An event that containerd refuses would be refused again.
        if !frames.is_empty() && self.under_way {
            self.queue.pop_front();
            self.under_way = false;
        }
        if closed.is_some() {
            self.give_up();
        } else if !self.under_way {
            self.send();
        }
    }

    fn connect(&mut self, poll: &Poll) -> Option<Connection> {
        let connection = Connection::new(UnixStream::connect(&self.address).ok()?).ok()?;
        poll.add(&connection, Source::Events, When::Readable).ok()?;
        // A connection's calls are numbered anew.
        self.stream = 1;
        Some(connection)
    }

    fn send(&mut self) {
        let Some(call) = self.queue.front() else { return };
        let sent = self.connection.as_mut().map(|connection| {
            connection.queue(self.stream, REQUEST, call);
            connection.send()
        });
        self.stream = self.stream.wrapping_add(2);
        self.under_way = true;
        // One call of a few hundred bytes always fits in an idle socket.
        if !matches!(sent, Some(Ok(false))) {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.connection = None;
        self.under_way = false;
        self.again_at = (!self.queue.is_empty()).then(|| Instant::now() + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::event::TaskOom;
    use crate::ttrpc::frame::RESPONSE;
    use nix::sys::socket::{Shutdown, shutdown};
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixListener;

    /// What containerd has been sent on one connection, and that connection.
    fn accept(listener: &UnixListener) -> Connection {
        Connection::new(listener.accept().unwrap().0).unwrap()
    }

    fn container_of(call: &[u8]) -> String {
        let request = Request::decode(call).unwrap();
        let envelope = Forward::decode(&*request.payload).unwrap().envelope.unwrap();
        TaskOom::decode(&*envelope.event.unwrap().value).unwrap().container_id
    }

    #[test]
    fn events_arrive_one_by_one_in_order_and_again_after_a_break() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let poll = Poll::new().unwrap();
        let mut publisher = Publisher::new(path.clone(), "k8s.io".to_owned());
        for id in ["a", "b", "c"] {
            publisher.publish(&TaskOom { container_id: id.to_owned() });
        }
        publisher.advance(&poll);
        assert!(publisher.patience().is_some(), "nobody listens: later");

        let listener = UnixListener::bind(&path).unwrap();
        publisher.again_at = None;
        publisher.advance(&poll);
        let mut containerd = accept(&listener);
        let (frames, _) = containerd.receive();
        assert_eq!((frames.len(), container_of(&frames[0].data)), (1, "a".to_owned()));
        containerd.queue(frames[0].stream, RESPONSE, &[]);
        containerd.send().unwrap();
        publisher.receive();
        assert_eq!(container_of(&containerd.receive().0[0].data), "b");
        // containerd goes without an answer. Shut down, not closed: the child of another test may
        // hold a copy of the descriptor until its exec.
        shutdown(containerd.as_fd().as_raw_fd(), Shutdown::Both).unwrap();
        publisher.receive();
        assert!(publisher.patience().is_some());
        publisher.again_at = None;
        publisher.advance(&poll);
        let mut containerd = accept(&listener);
        for id in ["b", "c"] {
            let (frames, _) = containerd.receive();
            assert_eq!(container_of(&frames[0].data), id);
            containerd.queue(frames[0].stream, RESPONSE, &[]);
            containerd.send().unwrap();
            publisher.receive();
        }
        assert!(publisher.queue.is_empty() && publisher.patience().is_none());
    }
}

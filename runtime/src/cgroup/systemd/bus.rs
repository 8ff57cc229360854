//! A connection to systemd: over the bus, or to its own socket where there is no bus.
//!
//! Source: D-Bus Specification "Authentication Protocol"; org.freedesktop.systemd1(5).

use super::wire::{self, FIXED_BYTES, Kind, Message, Method, Value};
use crate::error::{Act, Error, Result};
use std::env;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long systemd may take for one step; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(25);
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
const SYSTEM_PRIVATE: &str = "/run/systemd/private";

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const DBUS: &str = "org.freedesktop.DBus";

/// A connection.
#[derive(Debug)]
pub struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Through a bus, not straight to systemd.
    routed: bool,
    /// Signals that came while something else was waited for.
    signals: Vec<Message>,
}

/// Why a call was not done.
#[derive(Debug)]
pub enum Refusal {
    /// systemd said no: the error's name and text.
    Answer(String, String),
    /// The connection failed.
    Connection(Error),
}

impl Refusal {
    /// The failure of `act` in words.
    pub fn into_error(self, act: &str) -> Error {
        match self {
            Self::Answer(name, text) => Error::Usage(format!("{act}: systemd: {text} ({name})")),
            Self::Connection(error) => error,
        }
    }

    /// Whether the answer is the error `name` of systemd.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Self::Answer(answer, _)
            if answer.strip_prefix(SYSTEMD).and_then(|rest| rest.strip_prefix('.')) == Some(name))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    File(PathBuf),
    Abstract(String),
}

impl Bus {
    /// Connects to the system's systemd, or to that of the `user` who runs this.
    ///
    /// # Errors
    /// [`Error::Usage`]: no systemd is reachable; [`Error::Os`].
    pub fn connect(user: bool) -> Result<Self> {
        let (bus, private) = if user { user_addresses() } else { system_addresses() };
        let (stream, routed) = match open(&bus) {
            Ok(stream) => (stream, true),
            Err(refusal) => match open(&private) {
                Ok(stream) => (stream, false),
                Err(_) => return Err(unreachable(user, &bus, &refusal)),
            },
        };
        let mut bus = Self { stream, serial: 0, routed, signals: Vec::new() };
        bus.authenticate()?;
        if routed {
            let register = |refusal: Refusal| refusal.into_error("register with the bus");
            bus.call_bus("Hello", &[]).map_err(register)?;
            let rule = format!("type='signal',interface='{MANAGER}',member='JobRemoved'");
            bus.call_bus("AddMatch", &[Value::Text(rule)]).map_err(register)?;
        }
        Ok(bus)
    }

    /// Says who we are by the socket's credentials, in one go as sd-bus does.
    fn authenticate(&mut self) -> Result<()> {
        let act = || "authenticate with systemd's bus".to_owned();
        self.stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n").act(act)?;
        loop {
            let line = self.line().act(act)?;
            if line.starts_with("OK ") {
                return Ok(());
            }
            if line != "DATA" {
                return Err(Error::Usage(format!("{}: it answered {line:?}", act())));
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.push(byte[0]);
            if line.len() > 1024 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn call_bus(&mut self, member: &str, arguments: &[Value]) -> Answered {
        let path = "/org/freedesktop/DBus";
        self.call(&Method { destination: Some(DBUS), path, interface: DBUS, member }, arguments)
    }

    /// Calls systemd's manager object.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn manager(&mut self, member: &str, arguments: &[Value]) -> Answered {
        let destination = self.routed.then_some(SYSTEMD);
        let (path, interface) = (MANAGER_PATH, MANAGER);
        self.call(&Method { destination, path, interface, member }, arguments)
    }

    fn call(&mut self, method: &Method, arguments: &[Value]) -> Answered {
        self.serial += 1;
        let bytes = wire::call(self.serial, method, arguments);
        let act = || format!("call systemd's {}", method.member);
        self.stream.write_all(&bytes).act(act)?;
        let begin = Instant::now();
        loop {
            let message = self.receive(begin).act(act)?;
            match message.kind {
                Kind::Return(serial) if serial == self.serial => return Ok(message.arguments),
                Kind::Error(serial, name) if serial == self.serial => {
                    let text = message.arguments.first().and_then(Value::as_text);
                    return Err(Refusal::Answer(name, text.unwrap_or_default().to_owned()));
                }
                Kind::Signal(_) => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// Waits for the end of `job`, an answer of the manager; returns its result, such as `done`.
    ///
    /// # Errors
    /// [`Error::Os`]: systemd takes too long, or has gone.
    pub fn wait_for(&mut self, job: &[Value]) -> Result<String> {
        let act = || "wait for systemd's job".to_owned();
        let begin = Instant::now();
        loop {
            for signal in std::mem::take(&mut self.signals) {
                // JobRemoved: number, job, unit, result.
                if let (Kind::Signal(member), [_, path, _, result]) =
                    (&signal.kind, &signal.arguments[..])
                    && member == "JobRemoved"
                    && Some(path) == job.first()
                {
                    return Ok(result.as_text().unwrap_or_default().to_owned());
                }
            }
            let message = self.receive(begin).act(act)?;
            self.signals.push(message);
        }
    }

    /// The next message, until [`PATIENCE`] after `begin`.
    fn receive(&mut self, begin: Instant) -> io::Result<Message> {
        if begin.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut bytes = vec![0; FIXED_BYTES];
        self.stream.read_exact(&mut bytes)?;
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "no D-Bus message");
        let fixed = bytes.as_slice().try_into().map_err(|_| broken())?;
        bytes.resize(wire::total_bytes(fixed).ok_or_else(broken)?, 0);
        self.stream.read_exact(&mut bytes[FIXED_BYTES..])?;
        wire::parse(&bytes).ok_or_else(broken)
    }
}

/// The arguments of an answer.
pub type Answered = std::result::Result<Vec<Value>, Refusal>;

fn open(address: &Address) -> io::Result<UnixStream> {
    let stream = match address {
        Address::File(path) => UnixStream::connect(path)?,
        Address::Abstract(name) => {
            UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?
        }
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn unreachable(user: bool, bus: &Address, refusal: &io::Error) -> Error {
    let (whose, remedy) = if user {
        (
            "the user's systemd",
            "log in with a session (or enable lingering: loginctl enable-linger)",
        )
    } else {
        ("systemd", "use --cgroup-manager cgroupfs on a host without systemd")
    };
    let place = match bus {
        Address::File(path) => path.display().to_string(),
        Address::Abstract(name) => format!("the abstract socket {name}"),
    };
    Error::Usage(format!("connect to {whose} at {place}: {refusal}: {remedy}"))
}

fn system_addresses() -> (Address, Address) {
    let bus = env::var("DBUS_SYSTEM_BUS_ADDRESS").ok().and_then(|text| parse_address(&text));
    let default = Address::File(PathBuf::from(SYSTEM_BUS));
    (bus.unwrap_or(default), Address::File(PathBuf::from(SYSTEM_PRIVATE)))
}

fn user_addresses() -> (Address, Address) {
    let own = || PathBuf::from(format!("/run/user/{}", nix::unistd::geteuid()));
    let runtime = env::var_os("XDG_RUNTIME_DIR").map_or_else(own, PathBuf::from);
    let bus = env::var("DBUS_SESSION_BUS_ADDRESS").ok().and_then(|text| parse_address(&text));
    let default = Address::File(runtime.join("bus"));
    (bus.unwrap_or(default), Address::File(runtime.join("systemd/private")))
}

/// The first address of a list that this client can use.
fn parse_address(text: &str) -> Option<Address> {
    text.split(';').find_map(|one| {
        let keys = one.strip_prefix("unix:")?.split(',');
        keys.filter_map(|pair| pair.split_once('=')).find_map(|(key, value)| match key {
            "path" => Some(Address::File(Path::new(&unescape(value)?).to_owned())),
            "abstract" => unescape(value).map(Address::Abstract),
            _ => None,
        })
    })
}

/// `%20` and its like as what they stand for.
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let file = |path: &str| Some(Address::File(PathBuf::from(path)));
        for (text, want) in [
            ("unix:path=/run/bus", file("/run/bus")),
            ("unix:path=/run/user/1%2fbus,guid=12", file("/run/user/1/bus")),
            ("tcp:host=x;unix:guid=1,path=/b", file("/b")),
            ("unix:abstract=/tmp/x", Some(Address::Abstract("/tmp/x".to_owned()))),
            ("unix:path=%zz", None),
            ("", None),
        ] {
            assert_eq!(parse_address(text), want, "{text}");
        }
    }

    #[test]
    fn systemds_errors_are_recognized() {
        let name = "org.freedesktop.systemd1.NoSuchUnit".to_owned();
        assert!(Refusal::Answer(name.clone(), String::new()).is("NoSuchUnit"));
        assert!(!Refusal::Answer(name, String::new()).is("Unit"));
        let error = Refusal::Answer("org.x".to_owned(), "no".to_owned()).into_error("start u");
        assert_eq!(error.to_string(), "start u: systemd: no (org.x)");
    }
}

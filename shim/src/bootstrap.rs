//! What containerd 2.3 and later write to standard input of `start`, and want to read from its
//! output: a message each. Earlier ones write the runtime's options there, or nothing, and read a
//! plain address.

use crate::arguments::Arguments;
use crate::sys;
use prost::Message;
use std::path::PathBuf;
use std::time::Duration;

/// containerd writes a few hundred bytes.
const LIMIT_BYTES: usize = 1 << 20;

/// containerd has written them when it starts this program, or does so at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// `containerd.runtime.bootstrap.v1.BootstrapParams`, as far as it is needed.
/// Source: containerd api/runtime/bootstrap/v1/bootstrap.proto.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Params {
    /// The container.
    #[prost(string, tag = "1")]
    pub instance_id: String,
    /// containerd's namespace.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// Where events go.
    #[prost(string, tag = "5")]
    pub ttrpc_address: String,
    /// containerd's socket.
    #[prost(string, tag = "6")]
    pub address: String,
    /// Where a socket is to be, if containerd minds.
    #[prost(string, tag = "9")]
    pub socket_directory: String,
}

/// `containerd.runtime.bootstrap.v1.BootstrapResult`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Answer {
    /// Of the task service.
    #[prost(int32, tag = "1")]
    pub version: i32,
    /// `unix:///…`
    #[prost(string, tag = "2")]
    pub address: String,
    /// `ttrpc`
    #[prost(string, tag = "3")]
    pub protocol: String,
}

impl Params {
    /// Those on standard input, if there are any.
    pub fn from_stdin(arguments: &Arguments) -> Option<Self> {
        Self::of(&sys::read_stdin(LIMIT_BYTES, PATIENCE)?, arguments)
    }

    /// Runtime options can be read as such a message, too, but do not name the container.
    fn of(bytes: &[u8], arguments: &Arguments) -> Option<Self> {
        let params = Self::decode(bytes).ok()?;
        let agree =
            |flag: &str, param: &str| !param.is_empty() && (flag.is_empty() || flag == param);
        let same = agree(&arguments.id, &params.instance_id)
            && agree(&arguments.namespace, &params.namespace);
        same.then_some(params)
    }

    /// Takes from them what the flags, which are to go one day, have not said.
    pub fn complete(&self, arguments: &mut Arguments) {
        let given = [
            (&mut arguments.id, &self.instance_id),
            (&mut arguments.namespace, &self.namespace),
            (&mut arguments.address, &self.address),
        ];
        for (flag, param) in given {
            if flag.is_empty() {
                flag.clone_from(param);
            }
        }
        let directory = PathBuf::from(&self.socket_directory);
        arguments.socket_directory = Some(directory).filter(|path| path.is_absolute());
        arguments.events = Some(self.ttrpc_address.clone()).filter(|path| !path.is_empty());
    }
}

/// What `start` prints. Who writes a message has version 3 of the task service; a plain address
/// means version 2.
pub fn answer(params: Option<&Params>, address: String) -> Vec<u8> {
    match params {
        Some(_) => Answer { version: 3, address, protocol: "ttrpc".to_owned() }.encode_to_vec(),
        None => address.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Any;
    use crate::arguments::parse;

    fn arguments(line: &str) -> Arguments {
        parse(line.split(' ').map(str::to_owned)).unwrap()
    }

    fn params() -> Params {
        Params {
            instance_id: "c".to_owned(),
            namespace: "k8s.io".to_owned(),
            address: "/run/c.sock".to_owned(),
            socket_directory: "/run/s".to_owned(),
            ttrpc_address: "/run/c.sock.ttrpc".to_owned(),
        }
    }

    #[test]
    fn they_are_taken_if_they_agree_with_the_flags() {
        let bytes = params().encode_to_vec();
        let options = Any { type_url: "containerd.runc.v1.Options".to_owned(), value: vec![8, 1] };
        for (line, bytes, want) in [
            ("-namespace k8s.io -id c start", &bytes[..], true),
            ("start", &bytes, true),
            ("-id c start", &bytes, true),
            ("-namespace k8s.io -id d start", &bytes, false),
            ("-namespace default -id c start", &bytes, false),
            ("-namespace k8s.io -id c start", &options.encode_to_vec(), false),
            ("start", b"", false),
            ("start", b"\xff\xff", false),
            ("start", &bytes[..bytes.len() - 1], false),
        ] {
            assert_eq!(Params::of(bytes, &arguments(line)).is_some(), want, "{line} {bytes:?}");
        }
    }

    #[test]
    fn flags_go_before_them() {
        let mut given = arguments("-namespace k8s.io -address /run/other -id c start");
        params().complete(&mut given);
        assert_eq!((given.id.as_str(), given.address.as_str()), ("c", "/run/other"));
        assert_eq!(given.socket_directory, Some("/run/s".into()));
        assert_eq!(given.events.as_deref(), Some("/run/c.sock.ttrpc"));
        let mut none = arguments("start");
        Params { socket_directory: "s".to_owned(), ..params() }.complete(&mut none);
        assert_eq!((none.id.as_str(), none.address.as_str()), ("c", "/run/c.sock"));
        assert_eq!(none.socket_directory, None, "not absolute");
    }

    #[test]
    fn who_writes_no_message_is_answered_plainly() {
        let address = "unix:///run/s/1".to_owned();
        assert_eq!(answer(None, address.clone()), b"unix:///run/s/1");
        let told = Answer::decode(&*answer(Some(&params()), address.clone())).unwrap();
        assert_eq!((told.version, told.address, told.protocol), (3, address, "ttrpc".to_owned()));
    }
}

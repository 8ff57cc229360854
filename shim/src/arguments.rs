//! The command line that containerd gives: Go's flags, with one dash.
//!
//! Source: containerd core/runtime/v2/README.md, "Shim Authoring".

use std::path::PathBuf;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Print the socket of the shim that serves the container, and see to it that there is one.
    Start,
    /// Remove what a container has left whose shim is gone.
    Delete,
    /// Serve pods; nobody but `start` calls this.
    Serve,
    /// Have processes that serve go on as this program.
    Upgrade,
    /// Say whether this program could go on with a state; a process that serves calls this.
    CheckState,
    /// Go on with a state; a process that serves becomes this.
    TakeOver,
    /// Print what this runtime is, as a protobuf message.
    Info,
    /// Print the version.
    Version,
    /// Print the usage.
    Help,
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// What is to be done.
    pub action: Action,
    /// containerd's namespace.
    pub namespace: String,
    /// containerd's socket.
    pub address: String,
    /// The container.
    pub id: String,
    /// Its bundle, where that is not the working directory.
    pub bundle: Option<PathBuf>,
    /// For `serve`: the shard's directory; for `upgrade`: those of all that are meant.
    pub directories: Vec<PathBuf>,
    /// For `start`: where a new socket is to be.
    pub socket_directory: Option<PathBuf>,
    /// For `start`: containerd's socket for events, where TTRPC_ADDRESS does not name it.
    pub events: Option<String>,
}

/// Flags that take nothing.
const SWITCHES: [&str; 7] = ["debug", "v", "version", "info", "h", "help", "pprof"];

/// Reads the arguments after the program's name.
///
/// # Errors
/// A flag without its value, an unknown word, or none.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        action: Action::Help,
        namespace: String::new(),
        address: String::new(),
        id: String::new(),
        bundle: None,
        directories: Vec::new(),
        socket_directory: None,
        events: None,
    };
    let mut words = words.into_iter();
    let mut action = None;
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            match (action, word.as_str()) {
                (None, "start") => action = Some(Action::Start),
                (None, "delete") => action = Some(Action::Delete),
                (None, "serve") => action = Some(Action::Serve),
                (None, "upgrade") => action = Some(Action::Upgrade),
                (None, "check-state") => action = Some(Action::CheckState),
                (None, "take-over") => action = Some(Action::TakeOver),
                (Some(Action::Serve | Action::TakeOver | Action::Upgrade), path) => {
                    arguments.directories.push(path.into());
                }
                (_, other) => return Err(format!("{other}: not start, delete, upgrade or -info")),
            }
            continue;
        };
        let (name, given) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        if SWITCHES.contains(&name) {
            action = match name {
                "v" | "version" => Some(Action::Version),
                "info" => Some(Action::Info),
                "h" | "help" => Some(Action::Help),
                _ => action,
            };
            continue;
        }
        let value = given.or_else(|| words.next()).ok_or_else(|| format!("-{name}: no value"))?;
        match name {
            "namespace" => arguments.namespace = value,
            "address" => arguments.address = value,
            "id" => arguments.id = value,
            "bundle" => arguments.bundle = Some(value.into()),
            // Flags of other versions, such as -publish-binary, with which events once went.
            _ => {}
        }
    }
    arguments.action = action.ok_or("nothing to do: start, delete, upgrade or -info")?;
    Ok(arguments)
}

impl Arguments {
    /// Whether they name a container and containerd's namespace, by which files are called.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_names(&self) -> Result<(), String> {
        for (flag, value) in [("namespace", &self.namespace), ("id", &self.id)] {
            is_name(value).map_err(|reason| format!("-{flag} {value:?}: {reason}"))?;
        }
        Ok(())
    }
}

/// Whether it can be the name of a directory, and nothing else.
///
/// # Errors
/// Why it cannot.
pub fn is_name(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("is empty"),
        "." | ".." => Err("is no name"),
        _ if text.len() > 255 => Err("is longer than 255 bytes"),
        _ if text.contains(['/', '\0']) => Err("has a character that no name has"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn as_containerd_calls_it() {
        let line = "-namespace k8s.io -address /run/containerd/containerd.sock -publish-binary \
                    /usr/bin/containerd -id 12ab -bundle /run/b -debug start";
        let found = parse(words(line)).unwrap();
        assert_eq!((found.action, found.namespace.as_str()), (Action::Start, "k8s.io"));
        assert_eq!((found.id.as_str(), found.bundle), ("12ab", Some("/run/b".into())));
        assert_eq!(found.address, "/run/containerd/containerd.sock");
    }

    #[test]
    fn forms_and_faults() {
        let table: &[(&str, Result<Action, ()>)] = &[
            ("--namespace=a --id=b delete", Ok(Action::Delete)),
            ("-info", Ok(Action::Info)),
            ("-v", Ok(Action::Version)),
            ("-namespace a serve /run/x", Ok(Action::Serve)),
            ("-namespace a -address serve take-over /run/x", Ok(Action::TakeOver)),
            ("check-state", Ok(Action::CheckState)),
            ("upgrade", Ok(Action::Upgrade)),
            ("upgrade /run/x /run/y", Ok(Action::Upgrade)),
            ("start /run/x", Err(())),
            ("-namespace a -id", Err(())),
            ("-namespace a -id b", Err(())),
            ("-namespace a -id b stop", Err(())),
            ("-namespace .. -id b start", Err(())),
            ("-namespace a -id b/c delete", Err(())),
            ("-namespace a start", Err(())),
        ];
        for (line, want) in table {
            let found = parse(words(line)).and_then(|found| match found.action {
                Action::Start | Action::Delete => found.check_names().map(|()| found.action),
                _ => Ok(found.action),
            });
            let found = found.map_err(|_| ());
            assert_eq!(found, *want, "{line}");
        }
    }
}

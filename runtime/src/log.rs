//! The log of `--log`: one line per message, appended, in the two formats that engines read.
//!
//! No logging framework: a runtime writes at most a few lines and exits, and its start is paid
//! several times per container. The file is only opened when there is something to say.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// time="..." level=error msg="..."
    #[default]
    Text,
    /// {"level":"error","msg":"...","time":"..."}
    Json,
}

/// The least urgent messages that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, clap::ValueEnum)]
pub enum Level {
    /// What the runtime does, for troubleshooting
    Debug,
    /// The same as warning; no message has this level
    Info,
    /// What a user may want to change
    #[default]
    #[value(alias = "warn")]
    Warning,
    /// What makes a command fail
    #[value(aliases = ["fatal", "panic"])]
    Error,
}

/// Where messages go.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The file; without one, stderr.
    pub file: Option<PathBuf>,
    /// How a line looks.
    pub format: Format,
    /// The least urgent messages to write.
    pub level: Level,
}

impl Log {
    /// Something that failed and stops nothing.
    pub fn warning(&self, message: &str) {
        if self.level <= Level::Warning {
            self.write("warning", message);
        }
    }

    /// What of a request is passed over, or done otherwise. Standard error is the container's, so
    /// without a file it says nothing of this, unless debug messages are asked for.
    pub fn note(&self, message: &str) {
        if self.file.is_some() || self.level == Level::Debug {
            self.warning(message);
        }
    }

    /// What ends this run.
    pub fn error(&self, message: &str) {
        if self.file.is_some() {
            self.write("error", message);
        }
        // An engine reads the file, a person the terminal.
        drop(writeln!(io::stderr(), "wamr-crun: error: {message}"));
    }

    /// What only `--debug` or `--log-level debug` shows.
    pub fn debug(&self, message: impl FnOnce() -> String) {
        if self.level == Level::Debug {
            self.write("debug", &message());
        }
    }

    fn write(&self, level: &str, message: &str) {
        let time = jiff::Timestamp::now().to_string();
        let line = line(self.format, level, message, &time);
        let written = match &self.file {
            Some(path) => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .and_then(|mut file| file.write_all(line.as_bytes())),
            None => io::stderr().write_all(line.as_bytes()),
        };
        // A log that cannot be written must not stop a container; say so where it is seen.
        if let (Err(error), Some(path)) = (written, &self.file) {
            let problem = format!("wamr-crun: cannot write the log {}: {error}", path.display());
            drop(writeln!(io::stderr(), "{problem}"));
        }
    }
}

fn line(format: Format, level: &str, message: &str, time: &str) -> String {
    match format {
        Format::Json => {
            let fields = serde_json::json!({"level": level, "msg": message, "time": time});
            format!("{fields}\n")
        }
        Format::Text => format!("time=\"{time}\" level={level} msg={message:?}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_survive_quotes_and_newlines() {
        let text = line(Format::Text, "error", "a \"b\"\nc", "T");
        assert_eq!(text, "time=\"T\" level=error msg=\"a \\\"b\\\"\\nc\"\n");
        let json = line(Format::Json, "error", "a \"b\"\nc", "T");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["msg"], "a \"b\"\nc");
        assert_eq!(json.lines().count(), 1);
    }

    #[test]
    fn lines_are_appended() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Log { file: Some(file.path().to_owned()), ..Log::default() };
        log.warning("one");
        log.debug(|| unreachable!("--debug is off"));
        log.warning("two");
        assert_eq!(std::fs::read_to_string(file.path()).unwrap().lines().count(), 2);
    }

    #[test]
    fn levels_hide_what_is_less_urgent() {
        for (level, want) in
            [(Level::Debug, 2), (Level::Info, 1), (Level::Warning, 1), (Level::Error, 0)]
        {
            let file = tempfile::NamedTempFile::new().unwrap();
            let log = Log { file: Some(file.path().to_owned()), level, ..Log::default() };
            log.debug(|| "debug".to_owned());
            log.warning("warning");
            let text = std::fs::read_to_string(file.path()).unwrap();
            assert_eq!(text.lines().count(), want, "{level:?}");
        }
    }
}

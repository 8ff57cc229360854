//! Files of a run: append-only lines and whole JSON values.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::Serialize;

/// A run directory that is being written.
#[derive(Debug, Clone)]
pub struct RunWriter {
    dir: PathBuf,
}

impl RunWriter {
    /// Makes the directory, with its parents.
    ///
    /// # Errors
    /// It exists and is not empty: two runs must not be mixed. Or the system refuses.
    pub fn create(dir: &Path) -> Result<Self> {
        let shown = || format!("create the run directory {}", dir.display());
        fs::create_dir_all(dir).into_diagnostic().wrap_err_with(shown)?;
        let mut entries = fs::read_dir(dir).into_diagnostic().wrap_err_with(shown)?;
        if entries.next().is_some() {
            return Err(miette!(
                help = "give --out a directory that does not exist yet",
                "{} is not empty",
                dir.display()
            ));
        }
        let dir = fs::canonicalize(dir).into_diagnostic().wrap_err_with(shown)?;
        Ok(Self { dir })
    }

    /// Opens the directory of a run that goes on.
    ///
    /// # Errors
    /// The system refuses.
    pub fn reopen(dir: &Path) -> Result<Self> {
        let shown = || format!("open the run directory {}", dir.display());
        Ok(Self { dir: fs::canonicalize(dir).into_diagnostic().wrap_err_with(shown)? })
    }

    /// Where the run is written.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of a file of the run, its directory made.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .into_diagnostic()
                .wrap_err_with(|| format!("create {}", parent.display()))?;
        }
        Ok(path)
    }

    /// Writes a file as a whole.
    ///
    /// # Errors
    /// The system refuses; the text names the file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(name)?;
        fs::write(&path, content)
            .into_diagnostic()
            .wrap_err_with(|| format!("write {}", path.display()))
    }

    /// Writes one JSON value, indented.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)
            .into_diagnostic()
            .wrap_err_with(|| format!("write {name} as JSON"))?;
        text.push('\n');
        self.write(name, text)
    }

    /// Appends one JSON value per line; the file exists afterwards, also for no value.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn append<T: Serialize>(&self, name: &str, values: &[T]) -> Result<()> {
        let path = self.path(name)?;
        let shown = || format!("append to {}", path.display());
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut lines = BufWriter::new(file.into_diagnostic().wrap_err_with(shown)?);
        for value in values {
            write_line(&mut lines, value).wrap_err_with(shown)?;
        }
        lines.flush().into_diagnostic().wrap_err_with(shown)
    }
}

/// Writes `value` and a line feed.
///
/// # Errors
/// As `lines` fails.
pub fn write_line<T: Serialize>(lines: &mut impl Write, value: &T) -> Result<()> {
    let mut text = serde_json::to_vec(value).into_diagnostic()?;
    text.push(b'\n');
    lines.write_all(&text).into_diagnostic()
}

/// Creates a file that must not exist yet.
///
/// # Errors
/// It exists, or the system refuses.
pub fn create_new(path: &Path) -> Result<File> {
    File::create_new(path).into_diagnostic().wrap_err_with(|| format!("create {}", path.display()))
}

#[test]
fn lines_are_appended_and_runs_are_not_mixed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/run");
    let run = RunWriter::create(&dir).unwrap();
    run.append("cells/c/samples.ndjson", &[1, 2]).unwrap();
    run.append("cells/c/samples.ndjson", &[3]).unwrap();
    run.append::<u32>("cells/c/pods.ndjson", &[]).unwrap();
    let text = fs::read_to_string(dir.join("cells/c/samples.ndjson")).unwrap();
    assert_eq!(text, "1\n2\n3\n");
    assert!(dir.join("cells/c/pods.ndjson").exists());
    assert!(RunWriter::create(&dir).is_err());
}

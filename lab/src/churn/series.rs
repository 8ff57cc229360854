//! The file of readings of one system. Every reading is on disk before the next pod is replaced.

use std::fs::File;
use std::io::{BufWriter, Write};

use miette::{IntoDiagnostic, Result, WrapErr};
use wamr_record::churn::{ChurnReading, HEAD};

use super::figures::Figure;
use crate::run_dir::writer::{RunWriter, create_new};

/// An open file of readings.
#[derive(Debug)]
pub struct SeriesFile {
    name: String,
    file: BufWriter<File>,
    /// Starts at the last reading.
    last: Option<u32>,
}

impl SeriesFile {
    /// Creates the file `name` of `run`.
    ///
    /// # Errors
    /// It exists, or the system refuses.
    pub fn create(run: &RunWriter, name: &str) -> Result<Self> {
        let mut file = BufWriter::new(create_new(&run.path(name)?)?);
        writeln!(file, "{HEAD}")
            .and_then(|()| file.flush())
            .into_diagnostic()
            .wrap_err_with(|| format!("write {name}"))?;
        Ok(Self { name: name.to_owned(), file, last: None })
    }

    /// Its name in the run directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts at the last reading; `None` before the first.
    pub fn last(&self) -> Option<u32> {
        self.last
    }

    /// Writes a reading.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write(&mut self, taken_ns: i64, starts: u32, figures: Vec<Figure>) -> Result<()> {
        for Figure { subject, figure, value } in figures {
            let reading =
                ChurnReading { taken_ns, starts, subject, figure: figure.to_owned(), value };
            writeln!(self.file, "{}", reading.line())
                .into_diagnostic()
                .wrap_err_with(|| format!("write {}", self.name))?;
        }
        self.last = Some(starts);
        self.file.flush().into_diagnostic().wrap_err_with(|| format!("write {}", self.name))
    }
}

#[test]
fn what_is_written_can_be_read() {
    let parent = tempfile::tempdir().unwrap();
    let run = RunWriter::create(&parent.path().join("run")).unwrap();
    let mut series = SeriesFile::create(&run, "series/a.csv").unwrap();
    let figure = |value| Figure { subject: "shim".to_owned(), figure: "threads", value };
    series.write(1, 20, vec![figure(3)]).unwrap();
    series.write(2, 22, vec![figure(4)]).unwrap();
    assert_eq!((series.last(), series.name()), (Some(22), "series/a.csv"));
    let text = std::fs::read_to_string(run.dir().join("series/a.csv")).unwrap();
    let read = wamr_record::churn::parse_series(&text).unwrap();
    assert_eq!(read.iter().map(|line| line.value).collect::<Vec<_>>(), [3, 4]);
    assert!(SeriesFile::create(&run, "series/a.csv").is_err(), "two systems in one file");
}

//! Puts a report in place at once: written beside it first, then renamed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// What a report's directory may hold.
const ENTRIES: [&str; 6] =
    ["index.html", "report.md", "numbers.json", "claims.json", "figures", "tables"];

/// Writes `files` as the directory `out`; an earlier report there is replaced.
///
/// # Errors
/// `out` holds something else than a report, or the system refuses; then `out` is as it was.
pub fn write(out: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
    refuse_foreign(out)?;
    let (fresh, old) = (beside(out, "new")?, beside(out, "old")?);
    let written = write_files(&fresh, files).and_then(|()| replace(out, &fresh, &old));
    if written.is_err() && fresh.exists() {
        remove(&fresh)?;
    }
    written
}

fn refuse_foreign(out: &Path) -> Result<(), Error> {
    if !out.exists() {
        return Ok(());
    }
    let failed = |source| io("list", out, source);
    for entry in fs::read_dir(out).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !ENTRIES.iter().any(|known| name == *known) {
            let found = crate::format::clean(&name.to_string_lossy());
            return Err(Error::Occupied { path: out.to_owned(), found });
        }
    }
    Ok(())
}

/// A name beside `out`, hidden, of this process.
fn beside(out: &Path, what: &str) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(out).map_err(|source| io("find", out, source))?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        let found = "the root of a file system".to_owned();
        return Err(Error::Occupied { path: out.to_owned(), found });
    };
    let name = name.to_string_lossy();
    Ok(parent.join(format!(".{name}.{what}.{}", std::process::id())))
}

fn write_files(dir: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
    create(dir)?;
    for (name, bytes) in files {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            create(parent)?;
        }
        fs::write(&path, bytes).map_err(|source| io("write", &path, source))?;
    }
    Ok(())
}

fn create(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|source| io("create", dir, source))
}

fn replace(out: &Path, fresh: &Path, old: &Path) -> Result<(), Error> {
    let there = out.exists();
    if there {
        fs::rename(out, old).map_err(|source| io("move away", out, source))?;
    }
    if let Err(source) = fs::rename(fresh, out) {
        if there {
            fs::rename(old, out).map_err(|source| io("put back", old, source))?;
        }
        return Err(io("rename", fresh, source));
    }
    if there { remove(old) } else { Ok(()) }
}

fn remove(dir: &Path) -> Result<(), Error> {
    fs::remove_dir_all(dir).map_err(|source| io("remove", dir, source))
}

fn io(act: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { act, path: path.to_owned(), source }
}

#[test]
fn a_report_is_replaced_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("report");
    let files = |text: &str| {
        BTreeMap::from([
            ("index.html".to_owned(), text.as_bytes().to_vec()),
            (format!("tables/{text}.csv"), Vec::new()),
        ])
    };
    write(&out, &files("one")).unwrap();
    write(&out, &files("two")).unwrap();
    assert_eq!(fs::read_to_string(out.join("index.html")).unwrap(), "two");
    assert!(!out.join("tables/one.csv").exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    fs::write(out.join("diary.txt"), "mine").unwrap();
    assert!(matches!(write(&out, &files("three")), Err(Error::Occupied { .. })));
    assert_eq!(fs::read_to_string(out.join("index.html")).unwrap(), "two");
}

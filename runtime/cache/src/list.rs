//! What is in the cache.

use std::fs;
use std::io;
use std::time::SystemTime;

use crate::digest::Digest;
use crate::evict::Pruned;
use crate::record::{self, Record};
use crate::{Cache, check, open};

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The module's digest.
    pub module: Digest,
    /// When it was last used.
    pub used: SystemTime,
    /// What is known of it, or why it is not compiled.
    pub content: Result<Record, String>,
}

impl Listed {
    /// What it takes of the disk, the small files left out.
    pub fn bytes(&self) -> u64 {
        self.content.as_ref().map_or(0, |record| record.artifact_bytes)
    }
}

impl Cache {
    /// The entries, ordered by digest.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let mut entries = Vec::new();
        if !self.exists()? {
            return Ok(entries);
        }
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            let name = file.file_name().into_string().unwrap_or_default();
            let Some((digest, kind)) = name.split_once('.') else { continue };
            let Some(module) = Digest::parse(digest) else { continue };
            let content = match kind {
                "json" => match record::read(&file.path())? {
                    Some(record) => Ok(record),
                    None => continue,
                },
                "refused" => Err(record::read_text(&file.path())?.unwrap_or_default()),
                _ => continue,
            };
            entries.push(Listed { module, used: file.metadata()?.modified()?, content });
        }
        entries.sort_by(|one, other| one.module.cmp(&other.module));
        Ok(entries)
    }

    /// Compares the digest of every entry, whatever was noted before; removes the damaged ones and
    /// returns their modules.
    ///
    /// # Errors
    /// The cache cannot be read or written.
    pub fn verify(&self) -> io::Result<Vec<Digest>> {
        let mut damaged = Vec::new();
        for entry in self.list()? {
            let Ok(record) = &entry.content else { continue };
            let sound = match open(&self.file(&entry.module, ""))? {
                Some(file) => {
                    check::has_content(&file, record)?
                        && check::is_sound(self, &entry.module, record)?
                }
                None => false,
            };
            if !sound {
                self.remove(&entry.module)?;
                damaged.push(entry.module);
            }
        }
        Ok(damaged)
    }
}

/// Removes what nothing here can use: directories of other versions and processors, and files that
/// belong to no entry and that nobody is writing.
///
/// # Errors
/// The cache cannot be read or written.
pub fn remove_foreign(cache: &Cache) -> io::Result<Pruned> {
    let mut pruned = Pruned::default();
    for directory in fs::read_dir(&cache.top)? {
        let path = directory?.path();
        if path == cache.directory || !path.is_dir() {
            continue;
        }
        for file in fs::read_dir(&path)? {
            let file = file?;
            pruned.bytes += file.metadata()?.len();
            pruned.entries += usize::from(file.path().extension().is_some_and(|it| it == "json"));
        }
        fs::remove_dir_all(&path)?;
    }
    Ok(pruned)
}

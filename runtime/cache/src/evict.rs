//! What goes when the cache is full: the least recently used. What is mapped stays where it is
//! mapped until its container ends, as any file that is removed.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::list::Listed;
use crate::{Cache, list};

/// How large the cache gets unless a variable says otherwise.
const MOST_BYTES: u64 = 4 << 30;
/// Names another size in bytes.
const LIMIT_VARIABLE: &str = "WAMR_CRUN_COMPILED_BYTES";
/// A use is noted no more often than this.
const NOTED_EVERY: Duration = Duration::from_hours(1);

/// What was removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many entries.
    pub entries: usize,
    /// Their size.
    pub bytes: u64,
}

/// Notes that an entry was used. Best effort: where nothing can be written, nothing is removed.
pub fn note_use(record: &Path) {
    let noted = || -> io::Result<()> {
        let now = SystemTime::now();
        let last = fs::metadata(record)?.modified()?;
        if now.duration_since(last).is_ok_and(|since| since < NOTED_EVERY) {
            return Ok(());
        }
        File::options().write(true).open(record)?.set_times(FileTimes::new().set_modified(now))
    };
    noted().ok();
}

/// Removes entries until the cache is no larger than it may be.
///
/// # Errors
/// The cache cannot be read or written.
pub fn to_limit(cache: &Cache) -> io::Result<()> {
    let named = std::env::var(LIMIT_VARIABLE).ok().and_then(|text| text.parse().ok());
    cache.prune(named.unwrap_or(MOST_BYTES)).map(drop)
}

impl Cache {
    /// Removes the least recently used entries until the others take at most `most_bytes`, and all
    /// that other versions and other processors have left.
    ///
    /// # Errors
    /// The cache cannot be read or written.
    pub fn prune(&self, most_bytes: u64) -> io::Result<Pruned> {
        if !self.exists()? {
            return Ok(Pruned::default());
        }
        let mut pruned = list::remove_foreign(self)?;
        let mut entries = self.list()?;
        entries.sort_by_key(|entry| entry.used);
        let mut total: u64 = entries.iter().map(Listed::bytes).sum();
        for entry in entries {
            if total <= most_bytes {
                break;
            }
            self.remove(&entry.module)?;
            total -= entry.bytes();
            pruned.entries += 1;
            pruned.bytes += entry.bytes();
        }
        Ok(pruned)
    }
}

//! Filters that were built before. libseccomp takes 7 ms of processor time for an engine's default
//! profile, most of what `create` takes in all, and every container of a node has the same one.
//!
//! A filter lies in the directory [`DIRECTORY`] below `--root`, whose owner alone may write there,
//! under the digest of all that it was built from, behind a digest of its own. Whatever cannot be
//! used is built anew: the cache is never a reason to fail.

use crate::error::Result;
use crate::seccomp::{self, Program};
use crate::state_file;
use nix::sys::utsname::uname;
use oci_spec::runtime::LinuxSeccomp;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wamr_cache::{Digest, is_own};

/// Below `--root`; no container can have this name.
pub const DIRECTORY: &str = "@seccomp";

/// Nodes have a handful of profiles; more than that are somebody's experiments.
const MOST_FILTERS: usize = 16;
/// What the kernel takes: `BPF_MAXINSNS` instructions of 8 bytes.
const MOST_BYTES: u64 = Digest::DIGITS as u64 + 4096 * 8;

/// The program of `profile`, built or found below `root`; without one it is always built.
///
/// # Errors
/// As [`seccomp::build`].
pub fn program(root: Option<&Path>, profile: &LinuxSeccomp) -> Result<Program> {
    let Some(root) = root else { return seccomp::build(profile) };
    let directory = root.join(DIRECTORY);
    let file = key(profile).map(|key| directory.join(key));
    let kept = file.as_deref().and_then(|file| read(&directory, file));
    if let Some(instructions) = kept {
        return seccomp::around(profile, instructions);
    }
    let program = seccomp::build(profile)?;
    if let Some(file) = &file {
        // Without a place for it the next container waits as long as this one.
        drop(keep(&directory, file, &program.instructions));
    }
    Ok(program)
}

/// Digest of all that decides the instructions: the profile, the library, and the kernel, which the
/// library asks what it can do.
fn key(profile: &LinuxSeccomp) -> Option<String> {
    let digest = Digest::of_parts(&[
        seccomp::library_version().as_bytes(),
        std::env::consts::ARCH.as_bytes(),
        uname().ok()?.release().as_encoded_bytes(),
        &serde_json::to_vec(profile).ok()?,
    ]);
    Some(digest.to_string())
}

/// The file's content: the digest of the instructions, and they.
fn sealed(instructions: &[u8]) -> Vec<u8> {
    let mut bytes = Digest::of_parts(&[instructions]).to_string().into_bytes();
    bytes.extend_from_slice(instructions);
    bytes
}

/// The instructions in `file`, if they are what this user once kept.
fn read(directory: &Path, file: &Path) -> Option<Vec<u8>> {
    if !is_own(&fs::symlink_metadata(directory).ok()?) {
        return None;
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut opened = OpenOptions::new().read(true).custom_flags(flags).open(file).ok()?;
    let found = opened.metadata().ok()?;
    if !found.is_file() || !is_own(&found) || found.len() > MOST_BYTES {
        return None;
    }
    let mut kept = Vec::with_capacity(found.len() as usize);
    File::read_to_end(&mut opened, &mut kept).ok()?;
    let (_, instructions) = kept.split_at_checked(Digest::DIGITS)?;
    (!instructions.is_empty() && sealed(instructions) == kept).then(|| instructions.to_vec())
}

fn keep(directory: &Path, file: &Path, instructions: &[u8]) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !is_own(&fs::symlink_metadata(directory)?) {
        return Ok(());
    }
    make_room(directory)?;
    state_file::replace(file, &sealed(instructions), 0o600).map_err(io::Error::other)
}

/// Removes the oldest until there is room for one more.
fn make_room(directory: &Path) -> io::Result<()> {
    let mut filters: Vec<(i64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        filters.push((entry.metadata()?.mtime(), entry.path()));
    }
    filters.sort();
    let superfluous = (filters.len() + 1).saturating_sub(MOST_FILTERS);
    filters[..superfluous].iter().try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn profile(errno: u32) -> LinuxSeccomp {
        let json = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO",
                "errnoRet": {errno}}}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn kept(root: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(root.join(DIRECTORY)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Marks the only filter that is kept, so that its use shows.
    fn mark(root: &Path) -> PathBuf {
        let [file] = kept(root).try_into().unwrap();
        fs::write(&file, sealed(&[7; 16])).unwrap();
        file
    }

    #[test]
    fn a_filter_is_built_once() {
        let root = tempfile::tempdir().unwrap();
        let built = program(Some(root.path()), &profile(1)).unwrap();
        assert_eq!(built, seccomp::build(&profile(1)).unwrap());
        assert_eq!(program(Some(root.path()), &profile(1)).unwrap(), built);
        mark(root.path());
        let found = program(Some(root.path()), &profile(1)).unwrap();
        assert_eq!((found.instructions, found.flags), (vec![7; 16], built.flags));
        assert_ne!(
            program(Some(root.path()), &profile(2)).unwrap().instructions,
            [7; 16],
            "another"
        );
    }

    #[test]
    fn what_may_not_be_trusted_is_built_anew() {
        type Harm = fn(&Path, &Path);
        let table: [(&str, Harm); 6] = [
            ("a changed byte", |_, file| {
                let mut bytes = fs::read(file).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(file, bytes).unwrap();
            }),
            ("cut off", |_, file| fs::write(file, [1; 20]).unwrap()),
            ("nothing but its digest", |_, file| {
                fs::write(file, sealed(&[])).unwrap();
            }),
            ("others may write it", |_, file| {
                fs::set_permissions(file, Permissions::from_mode(0o622)).unwrap();
            }),
            ("others may write the directory", |directory, _| {
                fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
            }),
            ("a link", |directory, file| {
                let elsewhere = directory.with_file_name("elsewhere");
                fs::rename(file, &elsewhere).unwrap();
                symlink(elsewhere, file).unwrap();
            }),
        ];
        for (case, harm) in table {
            let root = tempfile::tempdir().unwrap();
            let built = program(Some(root.path()), &profile(1)).unwrap();
            let file = mark(root.path());
            harm(&root.path().join(DIRECTORY), &file);
            assert_eq!(program(Some(root.path()), &profile(1)).unwrap(), built, "{case}");
        }
    }

    #[test]
    fn a_few_are_kept() {
        let root = tempfile::tempdir().unwrap();
        for errno in 1..=20 {
            program(Some(root.path()), &profile(errno)).unwrap();
        }
        assert_eq!(kept(root.path()).len(), MOST_FILTERS);
    }

    #[test]
    fn no_place_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("missing");
        assert!(program(Some(&missing), &profile(1)).is_ok());
        assert!(program(None, &profile(1)).is_ok());
        assert!(!Path::new(DIRECTORY).exists(), "in the working directory");
        fs::write(root.path().join(DIRECTORY), "a file").unwrap();
        assert!(program(Some(root.path()), &profile(1)).is_ok());
    }
}

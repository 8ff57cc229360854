//! Entries of an image layer: owned by root, with a fixed time, in sorted order.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::archive::LayerWriter;

/// How every entry is stamped, and what a tree leaves out.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Modification time, seconds since the epoch.
    pub mtime_s: u64,
    /// Paths in the image, without a leading slash, that are left out with all that is below.
    pub excluded: &'a [&'a str],
}

/// Adds one regular file, `content` of `source`, at `path` (no leading slash).
///
/// # Errors
/// Reading the source or writing the layer fails.
pub fn add_file(
    layer: &mut LayerWriter,
    rules: Rules<'_>,
    source: &Path,
    path: &Path,
    mode: u32,
) -> io::Result<()> {
    let file = File::open(source)?;
    let mut header = header(rules, tar::EntryType::Regular, mode);
    header.set_size(file.metadata()?.len());
    layer.append_data(&mut header, path, file)
}

/// Adds everything below `root`, as if `root` were the root of the image.
///
/// Regular files, folders and symbolic links; sockets and devices have no place in an image.
///
/// # Errors
/// Reading the tree or writing the layer fails, or there is something else in the tree.
pub fn add_tree(layer: &mut LayerWriter, rules: Rules<'_>, root: &Path) -> io::Result<()> {
    add_folder(layer, rules, root, Path::new(""))
}

fn add_folder(
    layer: &mut LayerWriter,
    rules: Rules<'_>,
    root: &Path,
    folder: &Path,
) -> io::Result<()> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(root.join(folder))?
        .map(|entry| entry.map(|entry| folder.join(entry.file_name())))
        .collect::<io::Result<_>>()?;
    names.sort();
    for path in names {
        if !rules.excluded.iter().any(|excluded| Path::new(excluded) == path) {
            add_entry(layer, rules, root, &path)?;
        }
    }
    Ok(())
}

fn add_entry(
    layer: &mut LayerWriter,
    rules: Rules<'_>,
    root: &Path,
    path: &Path,
) -> io::Result<()> {
    let source = root.join(path);
    let meta = source.symlink_metadata()?;
    let mode = meta.permissions().mode() & 0o7777;
    if meta.is_symlink() {
        let mut header = header(rules, tar::EntryType::Symlink, 0o777);
        layer.append_link(&mut header, path, std::fs::read_link(&source)?)
    } else if meta.is_dir() {
        let mut header = header(rules, tar::EntryType::Directory, mode);
        layer.append_data(&mut header, path, io::empty())?;
        add_folder(layer, rules, root, path)
    } else if meta.is_file() {
        add_file(layer, rules, &source, path, mode)
    } else {
        let what = format!("{} is neither file, folder nor link", source.display());
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
}

fn header(rules: Rules<'_>, kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(mode);
    header.set_mtime(rules.mtime_s);
    header.set_uid(0);
    header.set_gid(0);
    header
}

//! A container's root file system, as the snapshotter describes it.
//!
//! What is mounted from may be on storage that does not answer, so all of this is called in a
//! process of its own (`worker`), never by the thread that serves all pods.

mod loop_device;
mod options;

use crate::api::task::Mount;
use crate::error::{Code, Failure, Result, Tried};
use crate::{id_maps, sys};
use loop_device::{Access, LoopDevice};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use options::Options;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// mount(2) takes a page of options.
const OPTIONS_BYTES: usize = 4095;

/// Mounts all of them, or none.
///
/// # Errors
/// One of them cannot be mounted.
pub fn mount_all(mounts: &[Mount], root: &Path) -> Result<()> {
    for mount in mounts {
        if let Err(failure) = mount_one(mount, root) {
            unmount(root);
            return Err(failure);
        }
    }
    Ok(())
}

fn mount_one(request: &Mount, root: &Path) -> Result<()> {
    let refused = |reason: &str| {
        let message = format!("mount of {} to {:?}: {reason}", request.source, request.target);
        Err(Failure::new(Code::InvalidArgument, message))
    };
    if request.target.split('/').any(|part| part == "..") {
        return refused("leads out");
    }
    if request.kind.contains('/') {
        return refused(&format!("{} is for containerd's own mount manager", request.kind));
    }
    let options = Options::parse(&request.options)?;
    let target = root.join(request.target.trim_start_matches('/'));
    fs::create_dir_all(&target).tried("make the directory", &target)?;
    let user_namespace = match options.id_maps {
        Some((uids, gids)) => {
            Some(id_maps::namespace(&id_maps::lines(uids)?, &id_maps::lines(gids)?)?)
        }
        None => None,
    };
    let mounted = match &user_namespace {
        Some(namespace) if request.kind == "overlay" => {
            mount_mapped_overlay(request, &options, namespace, root, &target)
        }
        _ => mount_plain(request, &options, &target),
    };
    mounted?;
    match user_namespace.filter(|_| request.kind != "overlay") {
        Some(namespace) => map_in_place(&namespace, &target),
        None => Ok(()),
    }
}

fn mount_plain(request: &Mount, options: &Options<'_>, target: &Path) -> Result<()> {
    let mut devices = Vec::new();
    let mut data = options.data.clone();
    let mut source = request.source.clone();
    let replaced;
    if options.is_loop {
        let read_only = options.flags.contains(MsFlags::MS_RDONLY);
        let access = Access { read_only, direct_io: options.direct_io };
        let mut attached = |file: &str| -> Result<String> {
            let device = loop_device::attach(Path::new(file), access)?;
            let path = device.path.display().to_string();
            devices.push(device);
            Ok(path)
        };
        source = attached(&source)?;
        // An erofs of several layers names the files of the others among its options.
        let device = |option: &&str| option.strip_prefix("device=").map(&mut attached);
        let found: Result<Vec<Option<String>>> =
            data.iter().map(device).map(Option::transpose).collect();
        replaced = found?;
        for (option, device) in data.iter_mut().zip(&replaced) {
            *option = device.as_deref().unwrap_or(option);
        }
    }
    let all = data.join(",");
    let shorter = if all.len() > OPTIONS_BYTES { Layers::of(&data) } else { None };
    let mounted = match shorter {
        None => call(request, &source, target, options, &all),
        Some(layers) => {
            let data = layers.relative(&data)?;
            within(&layers.directory, || call(request, &source, target, options, &data))
        }
    };
    drop::<Vec<LoopDevice>>(devices);
    mounted
}

/// The kernel does not map the IDs of an overlay, but takes layers whose IDs are mapped: the
/// directory with all of them is mounted once more, for as long as it takes.
fn mount_mapped_overlay(
    request: &Mount,
    options: &Options<'_>,
    user_namespace: &File,
    root: &Path,
    target: &Path,
) -> Result<()> {
    let layers = Layers::of(&options.data).ok_or_else(|| {
        let message = "an overlay with mapped IDs: its layers are in no directory of their own";
        Failure::new(Code::InvalidArgument, message)
    })?;
    let tree = sys::mount::clone_tree(&layers.directory).tried("clone", &layers.directory)?;
    sys::mount::map_ids(&tree, user_namespace, true).tried(MAP, &layers.directory)?;
    let place = mapped_layers(root);
    fs::create_dir_all(&place).tried("make the directory", &place)?;
    let attached = sys::mount::attach(&tree, &place).tried("mount the layers on", &place);
    drop(tree);
    let mounted = attached
        .and_then(|()| layers.relative(&options.data))
        .and_then(|data| within(&place, || call(request, &request.source, target, options, &data)));
    unmount_layers(root);
    mounted
}

const MAP: &str = "map the IDs (the kernel must be able to, for an overlay's layers since 5.19) of";

/// Where the layers are mounted once more.
fn mapped_layers(root: &Path) -> PathBuf {
    root.with_file_name("layers")
}

fn unmount_layers(root: &Path) {
    let place = mapped_layers(root);
    while umount2(&place, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).is_ok() {}
    drop(fs::remove_dir(place));
}

/// Mounts `target` once more, over itself, with its IDs mapped.
fn map_in_place(user_namespace: &File, target: &Path) -> Result<()> {
    let tree = sys::mount::clone_tree(target).tried("clone", target)?;
    sys::mount::map_ids(&tree, user_namespace, false).tried(MAP, target)?;
    sys::mount::attach(&tree, target).tried("mount on", target)
}

/// This process has one thread, whose working directory nobody else looks at.
fn within(directory: &Path, work: impl FnOnce() -> Result<()>) -> Result<()> {
    std::env::set_current_dir(directory).tried("go to", directory)?;
    let done = work();
    std::env::set_current_dir("/").tried("go to", Path::new("/"))?;
    done
}

fn call(
    request: &Mount,
    source: &str,
    target: &Path,
    options: &Options<'_>,
    data: &str,
) -> Result<()> {
    if data.len() > OPTIONS_BYTES {
        let message = format!(
            "mount {} on {}: its options have {} bytes, and the kernel takes {OPTIONS_BYTES}",
            request.kind,
            target.display(),
            data.len()
        );
        return Err(Failure::new(Code::InvalidArgument, message));
    }
    let flags = options.flags;
    let kind = (!options.is_bind()).then_some(request.kind.as_str());
    let told = if data.len() > 200 { "its options" } else { data };
    let mounted = mount(Some(source), target, kind, flags, Some(data))
        .tried(&format!("mount {} from {source} with {told:?} on", request.kind), target);
    mounted?;
    // The kernel takes a bind mount's other flags only once it is there.
    if options.is_bind() && !(flags - MsFlags::MS_BIND - MsFlags::MS_REC).is_empty() {
        let remount = (flags - MsFlags::MS_REC) | MsFlags::MS_REMOUNT;
        return mount(None::<&str>, target, None::<&str>, remount, None::<&str>)
            .tried("set the flags of the bind mount", target);
    }
    Ok(())
}

/// An overlay's layers, and a directory in which they all are. Named from there, many of them fit
/// into what mount(2) takes, and a mount of that directory stands for all of theirs.
struct Layers {
    directory: PathBuf,
}

impl Layers {
    fn of(data: &[&str]) -> Option<Self> {
        let layers = data.iter().find_map(|option| option.strip_prefix("lowerdir="))?;
        let first = Path::new(layers.split(':').next()?);
        let directory = first.ancestors().skip(1).find(|directory| {
            layers.split(':').all(|layer| Path::new(layer).starts_with(directory))
        })?;
        (directory.parent().is_some()).then(|| Self { directory: directory.to_owned() })
    }

    /// The options with the layers named from there.
    fn relative(&self, data: &[&str]) -> Result<String> {
        let below = |layer: &str| {
            let rest = Path::new(layer).strip_prefix(&self.directory);
            rest.tried("name a layer from", &self.directory).map(|rest| rest.display().to_string())
        };
        let shorter = |option: &&str| match option.strip_prefix("lowerdir=") {
            Some(layers) => {
                let layers: Result<Vec<String>> = layers.split(':').map(below).collect();
                layers.map(|layers| format!("lowerdir={}", layers.join(":")))
            }
            None => Ok((*option).to_owned()),
        };
        data.iter().map(shorter).collect::<Result<Vec<_>>>().map(|options| options.join(","))
    }
}

/// Unmounts whatever is mounted there, in whatever number. Nothing is no error.
pub fn unmount(root: &Path) {
    unmount_layers(root);
    let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
    while umount2(root, flags).is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_layers_are_named_from_where_they_are() {
        let given = ["upperdir=/s/9/fs", "lowerdir=/s/1/fs:/s/22/fs"];
        let layers = Layers::of(&given).unwrap();
        assert_eq!(layers.directory, Path::new("/s"));
        assert_eq!(layers.relative(&given).unwrap(), "upperdir=/s/9/fs,lowerdir=1/fs:22/fs");
        let alone = Layers::of(&["lowerdir=/s/1/fs"]).unwrap();
        assert_eq!(alone.directory, Path::new("/s/1"));
        assert!(Layers::of(&["index=off"]).is_none());
        assert!(Layers::of(&["lowerdir=/a:/b"]).is_none(), "all of the file system");
    }

    #[test]
    fn what_is_not_mounted() {
        for (kind, target, options) in [
            ("bind", "a/../../b", &["bind"][..]),
            ("format/mkdir/overlay", "", &[]),
            ("mkfs/ext4", "", &["loop"]),
            ("overlay", "", &["X-containerd.mkdir.path=/a"]),
            ("bind", "", &["bind", "uidmap=0:9:1"]),
        ] {
            let options = options.iter().map(|option| (*option).to_owned()).collect();
            let (kind, target) = (kind.to_owned(), target.to_owned());
            let mount = Mount { kind, target, options, ..Mount::default() };
            let failure = mount_one(&mount, Path::new("/nowhere")).unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument, "{mount:?}: {failure:?}");
        }
        assert!(!Path::new("/nowhere").exists());
    }
}

//! A container's root file system, as the snapshotter describes it.

use crate::api::task::Mount;
use crate::error::{Code, Failure, Result, Tried};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::path::Path;

/// mount(2) takes a page of options.
const OPTIONS_BYTES: usize = 4095;

/// Options that are flags. Source: mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS".
const FLAGS: [(&str, MsFlags, bool); 16] = [
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("bind", MsFlags::MS_BIND, true),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("nodev", MsFlags::MS_NODEV, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("defaults", MsFlags::empty(), true),
];

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
    if request.target.split('/').any(|part| part == "..") {
        let message = format!("mount of {} to {}: leads out", request.source, request.target);
        return Err(Failure::new(Code::InvalidArgument, message));
    }
    let target = root.join(request.target.trim_start_matches('/'));
    fs::create_dir_all(&target).tried("make the directory", &target)?;
    let (flags, data) = split(&request.options);
    let too_long = data.len() > OPTIONS_BYTES;
    let shortened = if too_long { relative_layers(&request.options) } else { None };
    let mounted = match &shortened {
        None => mount_with(request, &target, flags, &data),
        Some((directory, options)) => {
            // This process has one thread, whose working directory nobody else looks at.
            std::env::set_current_dir(directory).tried("go to", directory)?;
            let mounted = mount_with(request, &target, flags, &split(options).1);
            std::env::set_current_dir("/").tried("go to", Path::new("/"))?;
            mounted
        }
    };
    mounted.tried(&format!("mount {} from {} on", request.kind, request.source), &target)
}

fn mount_with(request: &Mount, target: &Path, flags: MsFlags, data: &str) -> nix::Result<()> {
    let kind = (!flags.contains(MsFlags::MS_BIND)).then_some(request.kind.as_str());
    mount(Some(request.source.as_str()), target, kind, flags, Some(data))?;
    // The kernel takes a bind mount's other flags only once it is there.
    if flags.contains(MsFlags::MS_BIND) && !(flags - MsFlags::MS_BIND - MsFlags::MS_REC).is_empty()
    {
        let remount = (flags - MsFlags::MS_REC) | MsFlags::MS_REMOUNT;
        mount(None::<&str>, target, None::<&str>, remount, None::<&str>)?;
    }
    Ok(())
}

/// Flags, and what the file system itself takes.
fn split(options: &[String]) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut data: Vec<&str> = Vec::new();
    for option in options {
        match FLAGS.iter().find(|(name, ..)| name == option) {
            Some((_, flag, on)) => flags.set(*flag, *on),
            // What containerd and fstab know beside the kernel.
            None if option == "loop" || option.starts_with("X-") => {}
            None => data.push(option),
        }
    }
    (flags, data.join(","))
}

/// An overlay's options with its layers named from the directory that they are all in, and that
/// directory: images of many layers are too long for mount(2) otherwise.
fn relative_layers(options: &[String]) -> Option<(&Path, Vec<String>)> {
    let layers = options.iter().find_map(|option| option.strip_prefix("lowerdir="))?;
    let first = Path::new(layers.split(':').next()?);
    let common = first
        .ancestors()
        .skip(1)
        .find(|directory| layers.split(':').all(|layer| Path::new(layer).starts_with(directory)))?;
    let below = |layer| Path::new(layer).strip_prefix(common).ok()?.to_str();
    let relative: Option<Vec<&str>> = layers.split(':').map(below).collect();
    let lowerdir = format!("lowerdir={}", relative?.join(":"));
    let shorter = options.iter().map(|option| {
        if option.starts_with("lowerdir=") { lowerdir.clone() } else { option.clone() }
    });
    Some((common, shorter.collect()))
}

/// Unmounts whatever is mounted there, in whatever number. Nothing is no error.
pub fn unmount(target: &Path) {
    let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
    while umount2(target, flags).is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn flags_and_data_are_told_apart() {
        for (given, flags, data) in [
            ("ro,rbind", MsFlags::MS_RDONLY | MsFlags::MS_BIND | MsFlags::MS_REC, ""),
            ("ro,rw,lowerdir=/a:/b", MsFlags::empty(), "lowerdir=/a:/b"),
            ("index=off,nodev,X-c.x=1,volatile", MsFlags::MS_NODEV, "index=off,volatile"),
        ] {
            assert_eq!(split(&options(given)), (flags, data.to_owned()), "{given}");
        }
    }

    #[test]
    fn many_layers_are_named_from_where_they_are() {
        let given = options("upperdir=/s/9/fs,lowerdir=/s/1/fs:/s/22/fs");
        let (directory, shorter) = relative_layers(&given).unwrap();
        assert_eq!(directory, Path::new("/s"));
        assert_eq!(shorter, options("upperdir=/s/9/fs,lowerdir=1/fs:22/fs"));
        assert_eq!(relative_layers(&options("bind,ro")), None);
    }

    #[test]
    fn a_target_does_not_lead_out() {
        let mount = Mount { target: "a/../../b".to_owned(), ..Mount::default() };
        let failure = mount_one(&mount, Path::new("/nowhere")).unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
    }
}

//! The node's root: an overlay over the image, state directories on the host's disk, and file
//! systems of its own for /proc, /sys, /dev, /run and /tmp. Runs in the node's mount namespace.

use std::fs;
use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{chdir, pivot_root};

use crate::cgroups::{self, Hierarchy};
use crate::layout::{Layout, STATE_DIRS};

/// Kernel settings that the kubelet insists on and that no namespace separates: the node sees these
/// values, the host keeps its own. Source: kubelet's `setupKernelTunables`.
pub const TUNABLES: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Device nodes: name, major, minor. kmsg is where the kubelet reads of out-of-memory kills.
const DEVICES: [(&str, u64, u64); 7] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("kmsg", 1, 11),
    ("tty", 5, 0),
];

const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// One mount, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    source: PathBuf,
    /// Below the new root; empty is the root itself.
    target: &'static str,
    fs_type: &'static str,
    flags: MsFlags,
    options: String,
}

/// What is mounted, in order. Pure.
fn mounts(layout: &Layout, rootfs: &Path) -> Result<Vec<Mount>> {
    let tmpfs = |target, options: &str| Mount {
        source: "tmpfs".into(),
        target,
        fs_type: "tmpfs",
        flags: MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        options: options.to_owned(),
    };
    let kernel = |fs_type: &'static str, target| Mount {
        source: fs_type.into(),
        target,
        fs_type,
        flags: MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        options: String::new(),
    };
    let mut all = vec![Mount {
        source: "overlay".into(),
        target: "",
        fs_type: "overlay",
        flags: MsFlags::empty(),
        options: overlay_options(layout, rootfs)?,
    }];
    all.extend(STATE_DIRS.map(|(name, target)| Mount {
        source: layout.state_dir(name),
        target,
        fs_type: "",
        flags: MsFlags::MS_BIND,
        options: String::new(),
    }));
    all.push(kernel("proc", "/proc"));
    all.push(kernel("sysfs", "/sys"));
    all.push(Mount { flags: MsFlags::MS_NOSUID, ..tmpfs("/dev", "mode=755,size=64k") });
    all.push(Mount {
        source: "devpts".into(),
        fs_type: "devpts",
        flags: MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        ..tmpfs("/dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5")
    });
    all.push(tmpfs("/dev/shm", "mode=1777"));
    all.push(kernel("mqueue", "/dev/mqueue"));
    all.push(tmpfs("/run", "mode=755"));
    all.push(tmpfs("/tmp", "mode=1777"));
    Ok(all)
}

/// The overlay's options; ':' and ',' would end a path in them.
fn overlay_options(layout: &Layout, rootfs: &Path) -> Result<String> {
    let (upper, work) = (layout.upper(), layout.work());
    for path in [rootfs, &upper, &work] {
        let text = path.to_string_lossy();
        if text.contains([':', ',', '\\']) {
            return Err(miette!(
                help = "choose another directory, for example with WAMR_LAB_CACHE",
                "{text} cannot be part of an overlay: it has one of : , \\"
            ));
        }
    }
    Ok(format!(
        "lowerdir={},upperdir={},workdir={}",
        rootfs.display(),
        upper.display(),
        work.display()
    ))
}

/// Mounts everything and makes it the root of this mount namespace.
///
/// # Errors
/// A mount fails; the text names it.
pub fn enter(layout: &Layout, rootfs: &Path, hierarchies: &[Hierarchy]) -> Result<()> {
    // Nothing that happens here may reach the host.
    remount_propagation(MsFlags::MS_PRIVATE)?;
    let root = layout.root();
    for one in mounts(layout, rootfs)? {
        apply(&root, &one)?;
        if one.target == "/dev" {
            fill_dev(&root.join("dev"))?;
        }
    }
    cgroups::mount_inside(hierarchies, &root)?;
    cover_tunables(&root)?;
    pivot(&root)?;
    // The kubelet hands mounts on to containers, so they must propagate from here.
    remount_propagation(MsFlags::MS_SHARED)
}

fn remount_propagation(kind: MsFlags) -> Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | kind, None::<&str>)
        .into_diagnostic()
        .wrap_err("change the propagation of /")
}

fn apply(root: &Path, one: &Mount) -> Result<()> {
    let target = below(root, one.target);
    let call = || {
        format!(
            "mount -t {} -o {} {} {}",
            one.fs_type,
            one.options,
            one.source.display(),
            target.display()
        )
    };
    fs::create_dir_all(&target).into_diagnostic().wrap_err_with(call)?;
    mount(Some(&one.source), &target, Some(one.fs_type), one.flags, Some(one.options.as_str()))
        .into_diagnostic()
        .wrap_err_with(call)
}

fn below(root: &Path, target: &str) -> PathBuf {
    root.join(target.trim_start_matches('/'))
}

fn fill_dev(dev: &Path) -> Result<()> {
    // The mode of a new node is the one asked for only without a mask.
    let mask = nix::sys::stat::umask(Mode::empty());
    for (name, major, minor) in DEVICES {
        let path = dev.join(name);
        let mode = Mode::from_bits_truncate(if name == "kmsg" { 0o600 } else { 0o666 });
        mknod(&path, SFlag::S_IFCHR, mode, makedev(major, minor))
            .into_diagnostic()
            .wrap_err_with(|| format!("mknod {} c {major} {minor}", path.display()))?;
    }
    nix::sys::stat::umask(mask);
    for (name, target) in DEVICE_LINKS {
        std::os::unix::fs::symlink(target, dev.join(name)).into_diagnostic()?;
    }
    Ok(())
}

/// Lays a file of the node's own over every tunable.
fn cover_tunables(root: &Path) -> Result<()> {
    for (name, value) in TUNABLES {
        let cover = root.join("run/wamr-lab/sysctl").join(name);
        let target = root.join("proc/sys").join(name);
        if !target.exists() {
            continue;
        }
        let call = || format!("lay {} over {}", cover.display(), target.display());
        let parent = cover.parent().unwrap_or(root);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&cover, format!("{value}\n")))
            .into_diagnostic()
            .wrap_err_with(call)?;
        mount(Some(&cover), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .into_diagnostic()
            .wrap_err_with(call)?;
    }
    show_all_of_proc(root)
}

/// Mounts procfs where nothing covers a part of it. The kernel lets a user namespace, as that of a
/// pod with `hostUsers: false`, mount a new one only where all of one is to be seen.
fn show_all_of_proc(root: &Path) -> Result<()> {
    let target = root.join("run/wamr-lab/proc");
    let call = || format!("mount -t proc proc {}", target.display());
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    fs::create_dir_all(&target).into_diagnostic().wrap_err_with(call)?;
    mount(Some("proc"), &target, Some("proc"), flags, None::<&str>)
        .into_diagnostic()
        .wrap_err_with(call)
}

/// Makes `root` the root and forgets the old one. Source: pivot_root(2), the "." notation.
fn pivot(root: &Path) -> Result<()> {
    chdir(root)
        .and_then(|()| pivot_root(".", "."))
        .and_then(|()| umount2(".", MntFlags::MNT_DETACH))
        .and_then(|()| chdir("/"))
        .into_diagnostic()
        .wrap_err_with(|| format!("pivot_root to {}", root.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mounts_of_a_node() {
        let all = mounts(&Layout::new("demo"), Path::new("/cache/rootfs")).unwrap();
        let lines: Vec<String> = all
            .iter()
            .map(|m| {
                format!("{} {} [{}] {}", m.source.display(), m.target, m.fs_type, m.options)
                    .trim_end()
                    .to_owned()
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_path_that_overlay_would_misread_is_refused() {
        for path in ["/a:b", "/a,b", "/a\\b"] {
            let error = mounts(&Layout::new("demo"), Path::new(path)).unwrap_err();
            assert!(error.to_string().contains("overlay"), "{path}: {error}");
        }
    }
}

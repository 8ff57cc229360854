//! The node image as a disk, with kernel and initrd, for nodes that boot as a machine.

use std::fs;
use std::path::{Path, PathBuf};

use miette::{Context as _, IntoDiagnostic as _, Result, miette};
use serde::{Deserialize, Serialize};
use wamr_progress::Progress;

use crate::cache::{Bench, Cache, Stage, stage_folder};
use crate::recipes::{self, Inputs};
use crate::{NodeImage, assembly, debian, tool};

/// Where the disk has the archives of workload images.
const ARCHIVES: &str = "/usr/share/wamr-lab/images";
/// What [`Self::disk`] can hold. The file has holes: it takes what is in it.
///
/// [`Self::disk`]: MachineImage::disk
const DISK_SIZE: &str = "16G";
/// The only driver on the way to the disk that Debian's cloud kernel has as a module.
const MODULES: [&str; 1] = ["virtio_blk"];
/// A static shell with mount, insmod, tar and switch_root.
const BUSYBOX: &str = "/bin/busybox";
const INIT: &str = "vm/init";

/// What a machine boots from. Nothing writes to any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineImage {
    /// ext4, without a partition table.
    pub disk: PathBuf,
    /// Linux, for a direct start.
    pub kernel: PathBuf,
    /// Mounts the disk, unpacks the node's own files from the second disk, starts systemd.
    pub initrd: PathBuf,
    /// `uname -r` of the kernel.
    pub kernel_release: String,
}

/// `stage.json`.
#[derive(Serialize, Deserialize)]
struct Described {
    kernel_release: String,
}

/// Where a booted machine has the archive of the workload image `name`.
pub fn archive_path(name: &str) -> PathBuf {
    Path::new(ARCHIVES).join(format!("{name}.tar"))
}

/// The disk of `image`, building it if `cache` lacks it. It takes milliseconds if it is there.
///
/// # Errors
/// A tool is missing or fails: the error says which and where its log is.
pub fn ensure_machine(
    cache: &Path,
    image: &NodeImage,
    progress: &Progress,
) -> Result<MachineImage> {
    let cache = std::path::absolute(cache).into_diagnostic()?;
    let key = key(image)?;
    let folder = stage_folder(&cache, "disk", &key);
    if let Ok(text) = fs::read(folder.join("stage.json"))
        && let Ok(described) = serde_json::from_slice::<Described>(&text)
    {
        return Ok(in_folder(&folder, described));
    }
    let opened = Cache::open(&cache, progress)?;
    let stage = Stage { name: "disk", title: "disk of a virtual node", key: &key, pieces: 0 };
    let (folder, described) = opened.stage(stage, progress, |bench| build(bench, image))?;
    Ok(in_folder(&folder, described))
}

fn in_folder(folder: &Path, described: Described) -> MachineImage {
    MachineImage {
        disk: folder.join("disk.ext4"),
        kernel: folder.join("vmlinuz"),
        initrd: folder.join("initrd"),
        kernel_release: described.kernel_release,
    }
}

/// The root's own folder is named after the key of everything in it.
fn key(image: &NodeImage) -> Result<String> {
    let root = image.rootfs.display().to_string();
    let mut inputs = Inputs::new().value("root", &root).value("size", DISK_SIZE).recipe(INIT)?;
    for (name, workload) in &image.workloads {
        inputs = inputs.value(name, &workload.manifest_digest);
    }
    Ok(inputs.key())
}

fn build(bench: &mut Bench<'_>, image: &NodeImage) -> Result<Described> {
    let kernel_release = kernel_release(&image.rootfs)?;
    let from = image.rootfs.join(format!("boot/vmlinuz-{kernel_release}"));
    fs::copy(&from, bench.out.join("vmlinuz"))
        .into_diagnostic()
        .with_context(|| format!("cannot copy {}", from.display()))?;
    initrd(bench, &image.rootfs, &kernel_release)?;
    disk(bench, image)?;
    Ok(Described { kernel_release })
}

/// The one kernel whose modules are there.
fn kernel_release(root: &Path) -> Result<String> {
    let modules = root.join("usr/lib/modules");
    let names: Vec<_> = fs::read_dir(&modules)
        .into_diagnostic()
        .with_context(|| format!("cannot list {}", modules.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(miette!("{} should hold one kernel's modules: {names:?}", modules.display())),
    }
}

fn initrd(bench: &mut Bench<'_>, root: &Path, kernel_release: &str) -> Result<()> {
    bench.step.set("initrd");
    let tree = bench.scratch.join("initrd");
    for folder in ["bin", "dev", "modules", "node", "proc"] {
        fs::create_dir_all(tree.join(folder)).into_diagnostic()?;
    }
    fs::copy(BUSYBOX, tree.join("bin/busybox"))
        .into_diagnostic()
        .with_context(|| format!("cannot copy {BUSYBOX}: apt-get install busybox-static"))?;
    recipes::write(INIT, &tree.join("init"))?;
    make_executable(&tree.join("init"))?;
    let mut order = String::new();
    for path in modules_with_needs(root, kernel_release)? {
        let from = debian::inside(root, &path);
        let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // The kernel's own decompression wants a flag that busybox does not set.
        let mut command = tool::command("sh");
        command.args(["-c", r#"xz --decompress --stdout "$1" >"$2""#, "sh"]);
        command.arg(from).arg(tree.join("modules").join(&name));
        bench.log.run(command, |_| {})?;
        order.push_str(&name);
        order.push('\n');
    }
    fs::write(tree.join("modules/order"), order).into_diagnostic()?;
    let mut command = tool::command("sh");
    command.args(["-c", r#"cd "$1" && find . | sort | busybox cpio -o -H newc >"$2""#, "sh"]);
    command.arg(&tree).arg(bench.out.join("initrd"));
    bench.log.run(command, |_| {})
}

fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).into_diagnostic()
}

/// Files of [`MODULES`] and of what they need, in the order of loading.
fn modules_with_needs(root: &Path, kernel_release: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for module in MODULES {
        let arguments = ["--set-version", kernel_release, "--show-depends", module];
        let shown = debian::output_inside(root, "/usr/sbin/modprobe", &arguments)?;
        for file in module_files(&shown) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// The paths in lines like `insmod /lib/modules/…/x.ko.xz `; a built-in one has none.
fn module_files(shown: &str) -> impl Iterator<Item = String> {
    shown.lines().filter_map(|line| Some(line.strip_prefix("insmod ")?.trim().to_owned()))
}

fn disk(bench: &mut Bench<'_>, image: &NodeImage) -> Result<()> {
    let tree = bench.scratch.join("tree");
    assembly::copy_linked(&image.rootfs, &tree, bench)?;
    fs::create_dir_all(debian::inside(&tree, ARCHIVES)).into_diagnostic()?;
    for (name, workload) in &image.workloads {
        let to = debian::inside(&tree, &archive_path(name).display().to_string());
        fs::hard_link(&workload.archive, &to)
            .into_diagnostic()
            .with_context(|| format!("cannot link {}", workload.archive.display()))?;
    }
    bench.step.set("file system");
    // Without a journal: the disk is thrown away with the machine.
    let mut command = tool::command("mke2fs");
    command.args(["-q", "-t", "ext4", "-L", "wamr-node", "-m", "0", "-O", "^has_journal"]);
    command.arg("-d").arg(&tree).arg(bench.out.join("disk.ext4")).arg(DISK_SIZE);
    bench.log.run(command, |_| {})
}

#[test]
fn modules_are_loaded_in_the_order_that_modprobe_shows() {
    let shown = "builtin ext4\ninsmod /lib/modules/6/a.ko.xz \ninsmod /lib/modules/6/b.ko.xz \n";
    let files: Vec<String> = module_files(shown).collect();
    assert_eq!(files, ["/lib/modules/6/a.ko.xz", "/lib/modules/6/b.ko.xz"]);
}

#[test]
fn one_kernel_is_wanted() {
    let root = tempfile::tempdir().unwrap();
    let add = |name: &str| fs::create_dir_all(root.path().join("usr/lib/modules").join(name));
    assert!(kernel_release(root.path()).is_err());
    add("6.12.1-cloud-amd64").unwrap();
    assert_eq!(kernel_release(root.path()).unwrap(), "6.12.1-cloud-amd64");
    add("6.12.2-cloud-amd64").unwrap();
    assert!(kernel_release(root.path()).unwrap_err().to_string().contains("one kernel"));
}

//! QEMU's command line. Pure. Source: qemu-system-x86_64(1), QEMU 7.2.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wamr_image::MachineImage;

use super::profile::Profile;
use super::{PORTS, port_name};

/// The program.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU's translator: 10 to 50 times slower, times mean nothing.
    Tcg,
}

impl Accelerator {
    /// The word that QEMU and `environment.json` use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What a machine is started with.
pub struct Start<'a> {
    /// Name of the node.
    pub name: &'a str,
    /// Kernel, initrd and disk.
    pub image: &'a MachineImage,
    /// The node's own files, a tar archive.
    pub seed: &'a Path,
    /// Where the sockets of the ports go.
    pub run_dir: &'a Path,
    /// Takes what the kernel and systemd print.
    pub console: &'a Path,
    /// Size and processor.
    pub profile: &'a Profile,
    /// What executes it.
    pub accelerator: Accelerator,
}

/// What every machine is started with, that of the probe included.
pub fn base(accelerator: Accelerator, cpu: &str) -> Vec<String> {
    let acceleration = match accelerator {
        Accelerator::Kvm => "kvm",
        // With a thread per processor, QEMU 7.2 may translate code that another processor is just
        // patching, and keep it: the guest's kernel then dies of a breakpoint (int3) of its own.
        Accelerator::Tcg => "tcg,thread=single",
    };
    // A reboot of the guest is its end: the disk is thrown away.
    let fixed =
        ["-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot"];
    let mut argv: Vec<String> = std::iter::once(PROGRAM).chain(fixed).map(str::to_owned).collect();
    argv.extend(["-machine", "q35", "-accel", acceleration, "-cpu", cpu].map(str::to_owned));
    argv
}

/// The command line of a node.
pub fn command_line(start: &Start<'_>) -> Vec<String> {
    let profile = start.profile;
    let cpu = match start.accelerator {
        Accelerator::Kvm => &profile.cpu,
        Accelerator::Tcg => &profile.emulated_cpu,
    };
    let mut argv = base(start.accelerator, cpu);
    let mut add = |option: &str, value: String| argv.extend([option.to_owned(), value]);
    add("-name", format!("wamr-lab-{}", start.name));
    add("-smp", profile.vcpus.to_string());
    add("-m", format!("{}M", profile.memory_mib));
    add("-kernel", path(&start.image.kernel));
    add("-initrd", path(&start.image.initrd));
    add("-append", "console=ttyS0 panic=-1 quiet systemd.show_status=no".to_owned());
    add("-serial", format!("file:{}", escaped(start.console)));
    // Writes go to an unlinked file in TMPDIR: nothing is left, however QEMU ends.
    let disk = format!(
        "if=none,id=disk,format=raw,snapshot=on,discard=unmap,file={}",
        escaped(&start.image.disk)
    );
    add("-drive", disk);
    add("-device", "virtio-blk-pci,drive=disk".to_owned());
    let seed = format!("if=none,id=seed,format=raw,readonly=on,file={}", escaped(start.seed));
    add("-drive", seed);
    add("-device", "virtio-blk-pci,drive=seed".to_owned());
    add("-device", "virtio-rng-pci".to_owned());
    add("-device", format!("virtio-serial-pci,max_ports={}", PORTS + 1));
    for index in 0..PORTS {
        let socket = start.run_dir.join(socket_name(index));
        let socket = format!("socket,id=p{index},server=on,wait=off,path={}", escaped(&socket));
        add("-chardev", socket);
        add("-device", format!("virtserialport,chardev=p{index},name={}", port_name(index)));
    }
    argv
}

/// A port's socket in the node's run directory.
pub fn socket_name(index: usize) -> String {
    format!("port-{index}.sock")
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// In QEMU's lists a comma in a value is written twice.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[test]
fn the_command_line_of_a_small_node() {
    let image = MachineImage {
        disk: "/cache/a,b/disk.ext4".into(),
        kernel: "/cache/vmlinuz".into(),
        initrd: "/cache/initrd".into(),
        kernel_release: "6.12".to_owned(),
    };
    let line = |accelerator| {
        command_line(&Start {
            name: "demo",
            image: &image,
            seed: Path::new("/state/seed.tar"),
            run_dir: Path::new("/run/wamr-lab/demo"),
            console: Path::new("/state/log/console.log"),
            profile: &super::profile("small").unwrap(),
            accelerator,
        })
    };
    insta::assert_snapshot!(line(Accelerator::Tcg).join("\n"));
    assert!(line(Accelerator::Kvm).contains(&"host".to_owned()));
}

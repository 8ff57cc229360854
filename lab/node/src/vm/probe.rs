//! Whether KVM works here: proven by a guest that boots, since a machine may have /dev/kvm and no
//! processor behind it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::{Deserialize, Serialize};
use wamr_image::MachineImage;
use wamr_progress::Progress;

use super::qemu::{Accelerator, PROGRAM, base};

/// What the initrd prints. It is in `vm-images/vm/init`, too.
const SIGN: &str = "wamr-lab: a guest runs here";
/// A guest under KVM needs about a second.
const LIMIT: Duration = Duration::from_secs(15);
const DEVICE: &str = "/dev/kvm";

/// What a probe found, and when it counts: the machine may have been started anew, or moved.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Verdict {
    boot_id: String,
    kernel: PathBuf,
    accelerator: Accelerator,
    reason: String,
}

/// What can execute a guest here. The answer is kept in `cache` until the next start of the host.
///
/// # Errors
/// QEMU cannot be started.
pub fn accelerator(cache: &Path, image: &MachineImage, progress: &Progress) -> Result<Accelerator> {
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let kept = cache.join("kvm-probe.json");
    let known = fs::read(&kept).ok().and_then(|text| serde_json::from_slice::<Verdict>(&text).ok());
    if let Some(known) =
        known.filter(|known| known.boot_id == boot_id && known.kernel == image.kernel)
    {
        return Ok(known.accelerator);
    }
    let step = progress.step("KVM probe");
    let (accelerator, reason) = if File::options().read(true).write(true).open(DEVICE).is_ok() {
        probe(image)?
    } else {
        (Accelerator::Tcg, format!("{DEVICE} cannot be opened"))
    };
    step.done(&reason);
    let verdict = Verdict { boot_id, kernel: image.kernel.clone(), accelerator, reason };
    let text = serde_json::to_vec_pretty(&verdict).into_diagnostic()?;
    fs::write(&kept, text).into_diagnostic().wrap_err_with(|| kept.display().to_string())?;
    Ok(accelerator)
}

/// Boots kernel and initrd under KVM; they print a sign and end.
fn probe(image: &MachineImage) -> Result<(Accelerator, String)> {
    let argv = base(Accelerator::Kvm, "host");
    let mut child = command(&argv)
        .args(["-m", "256M", "-smp", "1", "-serial", "stdio"])
        .arg("-kernel")
        .arg(&image.kernel)
        .arg("-initrd")
        .arg(&image.initrd)
        .args(["-append", "console=ttyS0 panic=-1 quiet wamr.probe quiet"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .into_diagnostic()
        .wrap_err_with(|| format!("start {PROGRAM}"))?;
    let begun = Instant::now();
    let mut ended = false;
    while !ended && begun.elapsed() < LIMIT {
        ended = child.try_wait().into_diagnostic()?.is_some();
        thread::sleep(Duration::from_millis(50));
    }
    if !ended {
        child.kill().into_diagnostic().wrap_err("end the probe")?;
    }
    let output = child.wait_with_output().into_diagnostic().wrap_err("read from the probe")?;
    Ok(judge(ended, &text(&output.stdout), &text(&output.stderr)))
}

fn judge(ended: bool, console: &str, errors: &str) -> (Accelerator, String) {
    if console.contains(SIGN) {
        return (Accelerator::Kvm, "a guest ran".to_owned());
    }
    let first = errors.lines().next().unwrap_or("the guest said nothing");
    let reason = if ended {
        format!("no guest runs: {first}")
    } else {
        format!("no guest runs: nothing came within {} s", LIMIT.as_secs())
    };
    (Accelerator::Tcg, reason)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command that ends together with the thread that started it.
pub fn command(argv: &[String]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).args(argv);
    command
}

/// QEMU's version, as it prints it.
///
/// # Errors
/// QEMU is not installed.
pub fn version() -> Result<String> {
    let help = "apt-get install qemu-system-x86";
    let output = match Command::new(PROGRAM).arg("--version").output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(miette!(
                help = help,
                "{PROGRAM} is not installed: a virtual node needs it"
            ));
        }
        other => other.into_diagnostic().wrap_err_with(|| format!("run {PROGRAM}"))?,
    };
    let printed = text(&output.stdout);
    let version = printed.split(" version ").nth(1).and_then(|rest| rest.split([' ', '\n']).next());
    Ok(version.unwrap_or("unknown").to_owned())
}

#[test]
fn only_the_sign_of_a_guest_proves_kvm() {
    let table: &[(&str, bool, &str, &str, Accelerator, &str)] = &[
        (
            "it ran",
            true,
            "x\r\nwamr-lab: a guest runs here\r\n",
            "",
            Accelerator::Kvm,
            "a guest ran",
        ),
        ("it ran and hung", false, "wamr-lab: a guest runs here", "", Accelerator::Kvm, "ran"),
        ("refused", true, "", "failed to initialize kvm: EPERM\n", Accelerator::Tcg, "EPERM"),
        ("panic", true, "Kernel panic", "", Accelerator::Tcg, "said nothing"),
        ("silence", false, "", "", Accelerator::Tcg, "within 15 s"),
    ];
    for (case, ended, console, errors, accelerator, reason) in table {
        let (got, why) = judge(*ended, console, errors);
        assert_eq!(got, *accelerator, "{case}");
        assert!(why.contains(reason), "{case}: {why}");
    }
    assert!(include_str!("../../../../vm-images/vm/init").contains(SIGN));
}

//! The Debian package on a Debian: installed, used through the containerd there, upgraded, purged.

use std::fs;
use std::path::{Path, PathBuf};

use crate::boxed::Machine;
use crate::containerd;
use crate::image::Kind;

/// What users are told to look for.
const INSTALLED: [&str; 10] = [
    "/usr/bin/wamr-crun",
    "/usr/bin/containerd-shim-wamr-crun-v1",
    "/usr/share/man/man8/containerd-shim-wamr-crun-v1.8.gz",
    "/usr/libexec/wamr-crun/wamr-runner",
    "/usr/libexec/wamr-crun/wasmtime-runner",
    "/usr/libexec/wamr-crun/wamr-compile",
    "/usr/share/man/man8/wamr-crun.8.gz",
    "/usr/share/bash-completion/completions/wamr-crun",
    "/etc/containerd/conf.d/wamr-crun.toml",
    "/etc/crio/crio.conf.d/50-wamr-crun.conf",
];

pub fn scenario(machine: &Machine) {
    let Some(package) = built() else {
        return wamr_testing::lacking("there is no dist/wamr-crun_*.deb: make deb");
    };
    fs::copy(package, machine.share().join("wamr-crun.deb")).expect("copy the package");
    machine.done(&["dpkg", "--install", "/share/wamr-crun.deb"]);
    for path in INSTALLED {
        machine.done(&["test", "-f", path]);
    }
    let version = machine.done(&["wamr-crun", "--version"]);
    assert!(version.starts_with("wamr-crun version "), "{version}");
    machine.done(&["bash", "-n", "/usr/share/bash-completion/completions/wamr-crun"]);

    containerd::start(machine);
    for kind in Kind::ALL {
        machine.done(&["ctr", "images", "import", &kind.archive()]);
        let ours = "--runtime=io.containerd.wamr-crun.v1";
        for runtime in ["--runc-binary=/usr/bin/wamr-crun", ours] {
            let image = kind.reference();
            let words = ["ctr", "run", "--rm", runtime, "--env=SAID=Debian", &image, "c"];
            let said = machine.run(&[&words[..], &["/guest", "exit", "7"]].concat());
            assert_eq!((said.code, said.out.as_str()), (7, "hello Debian\n"), "{said:?}");
        }
    }
    // The guests ran compiled, which is the default; what was made for them goes with the package.
    machine.done(&["test", "-d", "/var/lib/wamr-crun/compiled"]);
    is_upgraded_under_a_container(machine);
    machine.done(&["dpkg", "--purge", "wamr-crun"]);
    assert_ne!(machine.run(&["test", "-e", "/var/lib/wamr-crun"]).code, 0);
    for path in INSTALLED {
        assert_ne!(machine.run(&["test", "-e", path]).code, 0, "{path} is left");
    }
}

/// Installed once more, as a later version is: the process of the shim goes on as its program.
fn is_upgraded_under_a_container(machine: &Machine) {
    let image = Kind::Native.reference();
    let run = ["ctr", "run", "--detach", "--runtime=io.containerd.wamr-crun.v1"];
    machine.done(&[&run[..], &[image.as_str(), "c", "/guest", "serve"]].concat());
    let before = machine.done(&["ctr", "task", "ps", "c"]);
    let said = machine.done(&["dpkg", "--install", "/share/wamr-crun.deb"]);
    assert!(said.contains(": process ") && said.contains(" was "), "{said}");
    assert_eq!(machine.done(&["ctr", "task", "ps", "c"]), before);
    machine.done(&["ctr", "task", "delete", "--force", "c"]);
    machine.done(&["ctr", "containers", "delete", "c"]);
}

/// The newest package in `dist`.
fn built() -> Option<PathBuf> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    let packages = fs::read_dir(dist).ok()?.flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    packages.filter(named).max_by_key(|path| fs::metadata(path).and_then(|m| m.modified()).ok())
}

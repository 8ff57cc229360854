//! Real clients of the runtime: Docker, Podman and containerd of two Debian releases.
//!
//! Each runs in a box of its own (`box.sh`): namespaces over a Debian root file system that
//! mmdebstrap makes once into the cache, with all state in memory and control groups of its own.
//! What a client does is done for a native image and for a Wasm image of the same program,
//! `guest.c`. Root is needed, and `dist/bin`; what is lacking is said, and the test skipped.

mod boxed;
mod containerd;
mod cri;
mod debian;
mod engine;
mod image;
mod package;
mod rootless;

use boxed::Machine;
use containerd::Shim;
use debian::Suite;

#[test]
fn docker_of_bookworm() {
    if let Some(machine) = Machine::boot("docker_of_bookworm", Suite::Bookworm) {
        engine::docker(&machine).scenario();
    }
}

#[test]
fn docker_of_trixie() {
    if let Some(machine) = Machine::boot("docker_of_trixie", Suite::Trixie) {
        engine::docker(&machine).scenario();
    }
}

#[test]
fn podman_of_bookworm() {
    if let Some(machine) = Machine::boot("podman_of_bookworm", Suite::Bookworm) {
        engine::podman(&machine).scenario();
    }
}

#[test]
fn podman_of_trixie() {
    if let Some(machine) = Machine::boot("podman_of_trixie", Suite::Trixie) {
        engine::podman(&machine).scenario();
    }
}

#[test]
fn containerd_of_bookworm() {
    if let Some(machine) = Machine::boot("containerd_of_bookworm", Suite::Bookworm) {
        containerd::scenario(&machine, Shim::Runc);
    }
}

#[test]
fn containerd_of_trixie() {
    if let Some(machine) = Machine::boot("containerd_of_trixie", Suite::Trixie) {
        containerd::scenario(&machine, Shim::Runc);
    }
}

#[test]
fn shim_of_bookworm() {
    if let Some(machine) = Machine::boot("shim_of_bookworm", Suite::Bookworm) {
        containerd::scenario(&machine, Shim::Wamr);
    }
}

#[test]
fn shim_of_trixie() {
    if let Some(machine) = Machine::boot("shim_of_trixie", Suite::Trixie) {
        containerd::scenario(&machine, Shim::Wamr);
    }
}

#[test]
fn kubelets_interface_of_trixie() {
    if let Some(machine) = Machine::boot("kubelets_interface_of_trixie", Suite::Trixie) {
        cri::scenario(&machine, "wamr-crun");
    }
}

#[test]
fn shim_by_the_kubelets_interface_of_trixie() {
    let test = "shim_by_the_kubelets_interface_of_trixie";
    if let Some(machine) = Machine::boot(test, Suite::Trixie) {
        cri::scenario(&machine, "wamr");
    }
}

#[test]
fn podman_without_root() {
    if let Some(machine) = Machine::boot("podman_without_root", Suite::Trixie) {
        rootless::scenario(&machine);
    }
}

#[test]
fn the_debian_package() {
    if let Some(machine) = Machine::boot("the_debian_package", Suite::Trixie) {
        package::scenario(&machine);
    }
}

//! Real clients of the runtime: Docker, Podman and containerd of two Debian releases.
//!
//! Each runs in a box of its own (`box.sh`): namespaces over a Debian root file system that
//! mmdebstrap makes once into the cache, with all state in memory and control groups of its own.
//! What a client does is done for a native image and for a Wasm image of the same program,
//! `guest.c`. Here are the clients of the newer release; `bookworm.rs` has the older one's.
//!
//! Tier: test

mod bookworm;
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
fn docker() {
    let Some(machine) = Machine::boot(Suite::Trixie) else { return };
    engine::docker(&machine).scenario();
}

#[test]
fn podman() {
    let Some(machine) = Machine::boot(Suite::Trixie) else { return };
    engine::podman(&machine).scenario();
}

#[test]
fn containerd_with_its_own_shim() {
    let Some(machine) = Machine::boot(Suite::Trixie) else { return };
    containerd::scenario(&machine, Shim::Runc);
}

#[test]
fn containerd_with_our_shim() {
    let Some(machine) = Machine::boot(Suite::Trixie) else { return };
    containerd::scenario(&machine, Shim::Wamr);
}

#[test]
fn the_kubelets_interface_with_its_own_shim() {
    let Some(machine) = Machine::boot(Suite::Trixie) else { return };
    cri::scenario(&machine, "wamr-crun");
}

#[test]
fn the_kubelets_interface_with_our_shim() {
    let Some(machine) = Machine::boot(Suite::Trixie) else { return };
    cri::scenario(&machine, "wamr");
}

#[test]
fn podman_without_root() {
    let Some(machine) = Machine::boot(Suite::Trixie) else { return };
    rootless::scenario(&machine);
}

#[test]
fn the_debian_package() {
    let Some(machine) = Machine::boot(Suite::Trixie) else { return };
    package::scenario(&machine);
}

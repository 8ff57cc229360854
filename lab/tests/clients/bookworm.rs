//! The clients of the older release.
//!
//! Tier: full

use crate::boxed::Machine;
use crate::containerd::{self, Shim};
use crate::debian::Suite;
use crate::engine;

#[test]
fn docker() {
    let Some(machine) = Machine::boot(Suite::Bookworm) else { return };
    engine::docker(&machine).scenario();
}

#[test]
fn podman() {
    let Some(machine) = Machine::boot(Suite::Bookworm) else { return };
    engine::podman(&machine).scenario();
}

#[test]
fn containerd_with_its_own_shim() {
    let Some(machine) = Machine::boot(Suite::Bookworm) else { return };
    containerd::scenario(&machine, Shim::Runc);
}

#[test]
fn containerd_with_our_shim() {
    let Some(machine) = Machine::boot(Suite::Bookworm) else { return };
    containerd::scenario(&machine, Shim::Wamr);
}

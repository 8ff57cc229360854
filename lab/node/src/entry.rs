//! The door through which this program becomes keeper or a command inside a node.

use std::ffi::OsStr;

use crate::namespaces::{self, ENTER, KEEPER};
use crate::vm;

/// Becomes the keeper, or a command inside a node, if this process was started as one; else
/// returns. To be called first in `main`, before there is a second thread.
pub fn enter_if_asked() {
    let name = std::env::args_os().next();
    match name.as_deref().and_then(OsStr::to_str) {
        Some(KEEPER) => namespaces::keep(),
        Some(ENTER) => namespaces::enter(),
        Some(vm::KEEPER) => vm::keep(),
        _ => {}
    }
}

//! Where the program begins: at C's `main`, without the standard library's preparations.
//!
//! These find the main thread's stack, for which the C library parses /proc/self/maps with all of
//! scanf(3): 135 kB of a static program. What this program needs of them is done here.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};

/// C's `main`.
// SAFETY: nobody else defines a function of this name: this program has no other.
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    // SAFETY: it is ignored before anything is written; no function is called for it.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    super::run()
}

//! The C entry point, and what WAMR calls.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};

use wamr_guest::sys::{exit_now, first_argument};

mod frames;
mod intercept;
mod paths;
mod poll;
mod streams;

pub use frames::at_last_trap;
pub use intercept::grant_sockets;
pub use paths::{WorkingDirectory, set_working_directory};

/// The C library's entry. Rust's own would read /proc, map a signal stack and allocate; in a unit
/// test it has to be there all the same.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, unsafe(export_name = "runner_main"))]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: the C library passes `count` pointers to NUL-terminated strings, which live as long
    // as the process.
    let argument = unsafe { first_argument(count, arguments) };
    exit_now(crate::run(argument))
}

/// Prints WAMR's own messages (wamr.cmake names it). The variable argument list arrives as C
/// passes it to a function, which is a pointer on every 64-bit Linux.
#[unsafe(no_mangle)]
extern "C" fn wamr_runner_log(format: *const c_char, arguments: *mut c_void) -> c_int {
    unsafe extern "C" {
        fn vdprintf(fd: c_int, format: *const c_char, arguments: *mut c_void) -> c_int;
    }
    // SAFETY: WAMR passes a format and the list that belongs to it.
    unsafe { vdprintf(2, format, arguments) }
}

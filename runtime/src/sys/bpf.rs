//! bpf(2): loads a program for cgroup devices and attaches it.
#![allow(unsafe_code)]

use super::check;
use super::fd::owned;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ATTACH_ALLOW_MULTI: u32 = 2;

/// The first fields of the kernel's `union bpf_attr` for BPF_PROG_LOAD; it takes a prefix.
#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    instruction_count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The first fields for BPF_PROG_ATTACH.
#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    program_fd: u32,
    attach_type: u32,
    flags: u32,
}

/// Loads a program of type cgroup device; an instruction is the kernel's 8 bytes in one word.
///
/// # Errors
/// Those of bpf(2); `EINVAL`, `EACCES`: the verifier refused it.
pub fn load_device_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    let attr = LoadAttr {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        licence: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_bytes: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: `attr` and all it points to outlive the call; its size is passed.
    owned(unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attr, size_of::<LoadAttr>())
    })
}

/// Attaches `program` to the cgroup v2 directory `cgroup`.
///
/// # Errors
/// Those of bpf(2).
pub fn attach_device_program(cgroup: BorrowedFd, program: BorrowedFd) -> io::Result<()> {
    let attr = AttachAttr {
        target_fd: cgroup.as_raw_fd() as u32,
        program_fd: program.as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        flags: ATTACH_ALLOW_MULTI,
    };
    // SAFETY: `attr` outlives the call; its size is passed.
    let status = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attr, size_of::<AttachAttr>())
    };
    check(status).map(drop)
}

//! Calls of WAMR's WASI library to the kernel that pass through here first, to be refused where
//! the guest has no business: /proc, /sys and their like, and sockets that nobody granted; or to be
//! put right.
//!
//! The linker puts these functions in the place of WAMR's (`--wrap`, in build.rs); the `__real_`
//! ones are WAMR's own. They keep nothing and cost a system call per opened file.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use wamr_guest::sys::is_kernel_file;

/// WASI's error number for "capabilities insufficient", as for a path that leaves its preopen.
const NOTCAPABLE: u16 = 76;
const BHT_ERROR: c_int = -1;

static SOCKETS: AtomicBool = AtomicBool::new(false);

/// Lets the guest open sockets from now on; which addresses it may use WAMR decides.
pub fn grant_sockets() {
    SOCKETS.store(true, Ordering::Relaxed);
}

unsafe extern "C" {
    fn __real_os_openat(
        directory: c_int,
        path: *const c_char,
        open_flags: u16,
        fd_flags: u16,
        lookup_flags: u32,
        mode: u8,
        opened: *mut c_int,
    ) -> u16;
    fn __real_os_socket_create(socket: *mut c_int, ipv4: bool, tcp: bool) -> c_int;
    fn __real_os_socket_bind(socket: c_int, address: *const c_char, port: *mut c_int) -> c_int;
    fn __real_os_socket_listen(socket: c_int, backlog: c_int) -> c_int;
}

/// Opens `path`, and every directory on the way to it that WAMR walks. So what lies on a kernel
/// file system cannot be opened, looked at or walked through, whatever links lead there.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_openat(
    directory: c_int,
    path: *const c_char,
    open_flags: u16,
    fd_flags: u16,
    lookup_flags: u32,
    mode: u8,
    opened: *mut c_int,
) -> u16 {
    // SAFETY: the arguments go on as WAMR gave them.
    let error = unsafe {
        __real_os_openat(directory, path, open_flags, fd_flags, lookup_flags, mode, opened)
    };
    if error != 0 {
        return error;
    }
    // SAFETY: after success WAMR's function has stored the descriptor there.
    let fd = unsafe { *opened };
    if !is_kernel_file(fd) {
        return 0;
    }
    // SAFETY: takes no pointer; the descriptor was opened above and nobody knows of it.
    unsafe { libc::close(fd) };
    NOTCAPABLE
}

/// A socket, for a guest that was granted networks. WAMR itself checks addresses only.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_socket_create(socket: *mut c_int, ipv4: bool, tcp: bool) -> c_int {
    if !SOCKETS.load(Ordering::Relaxed) {
        return refuse(libc::EACCES);
    }
    // SAFETY: the arguments go on as WAMR gave them.
    unsafe { __real_os_socket_create(socket, ipv4, tcp) }
}

/// Binds a socket. WAMR also sets it to linger for no time at all, which accepted connections take
/// over: closing one would reset it, and the last bytes of an answer could be lost.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_socket_bind(
    socket: c_int,
    address: *const c_char,
    port: *mut c_int,
) -> c_int {
    // SAFETY: the arguments go on as WAMR gave them.
    let status = unsafe { __real_os_socket_bind(socket, address, port) };
    let off = libc::linger { l_onoff: 0, l_linger: 0 };
    let (value, size) = ((&raw const off).cast::<c_void>(), size_of::<libc::linger>());
    // SAFETY: `value` points to `size` bytes. A failure leaves the socket as WAMR made it.
    unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_LINGER, value, size as libc::socklen_t)
    };
    status
}

/// Listens on a socket that was bound. The kernel would bind any other to all addresses, past
/// WAMR's check.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_os_socket_listen(socket: c_int, backlog: c_int) -> c_int {
    if !is_bound(socket) {
        return refuse(libc::EINVAL);
    }
    // SAFETY: the arguments go on as WAMR gave them.
    unsafe { __real_os_socket_listen(socket, backlog) }
}

fn is_bound(socket: c_int) -> bool {
    // SAFETY: all zeros is a valid address of the unspecified family.
    let mut address: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    let mut size = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    let place = (&raw mut address).cast::<libc::sockaddr>();
    // SAFETY: `address` has room for `size` bytes.
    let status = unsafe { libc::getsockname(socket, place, &raw mut size) };
    // The port has the same place in an IPv4 address.
    status == 0 && address.sin6_port != 0
}

fn refuse(error: c_int) -> c_int {
    // SAFETY: the C library gives this thread's own variable.
    unsafe { *libc::__errno_location() = error };
    BHT_ERROR
}

/// Keeps the names in the program that nothing but WAMR refers to.
#[used]
static KEPT: [Kept; 4] = [
    Kept(__wrap_os_openat as *const c_void),
    Kept(__wrap_os_socket_create as *const c_void),
    Kept(__wrap_os_socket_bind as *const c_void),
    Kept(__wrap_os_socket_listen as *const c_void),
];

/// The address of a function.
pub struct Kept(#[allow(dead_code)] pub *const c_void);

// SAFETY: an address of a function, which is never written.
unsafe impl Sync for Kept {}

//! System calls, a thin wrapper each, and the C entry point.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;

use crate::exit_code::ExitCode;

mod intercept;

pub use intercept::grant_sockets;

/// The C library's entry. Rust's own would read /proc, map a signal stack and allocate; in a unit
/// test it has to be there all the same.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, unsafe(export_name = "runner_main"))]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let mut strings = [c""; 2];
    for (index, slot) in strings.iter_mut().enumerate().take(usize::try_from(count).unwrap_or(0)) {
        // SAFETY: the C library passes `count` pointers to NUL-terminated strings, which live as
        // long as the process.
        *slot = unsafe { CStr::from_ptr(*arguments.add(index)) };
    }
    let given = usize::try_from(count).unwrap_or(0).min(strings.len());
    exit_now(crate::run(&strings[..given]))
}

/// Ends the process without running anything more of it.
pub fn exit_now(code: ExitCode) -> ! {
    // SAFETY: never returns and touches no memory of this process; async-signal-safe.
    unsafe { libc::_exit(c_int::from(code.0)) }
}

fn check(status: c_int) -> io::Result<c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

/// What a mapped file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Writes stay in this process.
    PrivateWrite,
}

/// A mapped file.
pub struct Mapping {
    start: *mut u8,
    size_bytes: usize,
}

impl Mapping {
    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable and of this size until it is dropped.
        unsafe { std::slice::from_raw_parts(self.start, self.size_bytes) }
    }

    /// The bytes of a mapping made with [`Access::PrivateWrite`], for as long as the process lives.
    pub fn leak(self) -> &'static mut [u8] {
        let mapping = std::mem::ManuallyDrop::new(self);
        // SAFETY: the mapping is never undone, and `self` was its only handle.
        unsafe { std::slice::from_raw_parts_mut(mapping.start, mapping.size_bytes) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `map_file_and_close`, and every borrow of it has ended.
        unsafe { libc::munmap(self.start.cast(), self.size_bytes) };
    }
}

/// Maps the whole file behind `fd` and closes `fd`, whether that worked or not.
pub fn map_file_and_close(fd: c_int, access: Access) -> io::Result<Mapping> {
    let mapping = map_file(fd, access);
    // SAFETY: takes no pointer; the descriptor was handed over to this process for this use.
    unsafe { libc::close(fd) };
    mapping
}

fn map_file(fd: c_int, access: Access) -> io::Result<Mapping> {
    // SAFETY: all zeros is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is a valid place for the answer.
    check(unsafe { libc::fstat(fd, &raw mut stat) })?;
    let size_bytes = usize::try_from(stat.st_size).unwrap_or(0);
    if size_bytes == 0 {
        return Err(io::Error::other("it is empty, or no regular file"));
    }
    let protection = match access {
        Access::Read => libc::PROT_READ,
        Access::PrivateWrite => libc::PROT_READ | libc::PROT_WRITE,
    };
    let anywhere = std::ptr::null_mut();
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
    let address = unsafe { libc::mmap(anywhere, size_bytes, protection, libc::MAP_PRIVATE, fd, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(Mapping { start: address.cast(), size_bytes })
}

/// Whether `fd` is open.
pub fn is_open(fd: c_int) -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// `fd`, or if it is a terminal another descriptor of it: WAMR asks no further what 0, 1 and 2 are,
/// so a guest would never see a terminal there.
pub fn seen_as_terminal(fd: c_int) -> c_int {
    // SAFETY: takes no pointer.
    if unsafe { libc::isatty(fd) } != 1 {
        return fd;
    }
    // SAFETY: as above.
    let other = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if other < 0 { fd } else { other }
}

/// Opens /dev/null as `fd`, which is closed.
pub fn open_null(fd: c_int) -> io::Result<()> {
    // SAFETY: the path is a NUL-terminated literal.
    let null = check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
    move_fd(null, fd)
}

/// Opens one end of a pipe as `fd`, which is closed, and closes the other: the reading end for
/// standard input, else the writing end.
pub fn open_dead_pipe(fd: c_int) -> io::Result<()> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    let [read, write] = ends;
    let (kept, closed) = if fd == 0 { (read, write) } else { (write, read) };
    // The end to close may sit on `fd` itself.
    if closed == fd {
        // SAFETY: takes no pointer; both descriptors are open and this function's own.
        check(unsafe { libc::dup2(kept, fd) })?;
        // SAFETY: as above.
        check(unsafe { libc::close(kept) })?;
        return Ok(());
    }
    // SAFETY: takes no pointer; the descriptor is this function's own.
    check(unsafe { libc::close(closed) })?;
    move_fd(kept, fd)
}

fn move_fd(from: c_int, to: c_int) -> io::Result<()> {
    if from == to {
        return Ok(());
    }
    // SAFETY: takes no pointer; `from` was opened by the caller.
    check(unsafe { libc::dup2(from, to) })?;
    // SAFETY: as above.
    check(unsafe { libc::close(from) })?;
    Ok(())
}

/// Whether the directory opens, as WAMR will open it.
pub fn open_directory_and_close(path: &CStr) -> io::Result<()> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: `path` is NUL-terminated.
    let fd = check(unsafe { libc::open(path.as_ptr(), flags) })?;
    let kernel = intercept::is_kernel_file(fd);
    // SAFETY: takes no pointer; the descriptor was opened above.
    unsafe { libc::close(fd) };
    if kernel { Err(io::Error::from_raw_os_error(libc::EACCES)) } else { Ok(()) }
}

/// Writes to standard error as much as it takes.
pub fn write_to_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of `bytes`.
        let written = unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) if count > 0 => bytes = bytes.get(count..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// Calls `handler`, which must be async-signal-safe, on `signal`.
pub fn on_signal(signal: c_int, handler: extern "C" fn(c_int)) {
    set_action(signal, handler as *const () as libc::sighandler_t);
}

/// Drops `signal`.
pub fn ignore_signal(signal: c_int) {
    set_action(signal, libc::SIG_IGN);
}

fn set_action(signal: c_int, handler: libc::sighandler_t) {
    // SAFETY: all zeros is a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is complete. It fails only for numbers that are no signal.
    unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
}

/// Takes `signals` out of the mask that the process was started with.
pub fn unblock_signals(signals: &[c_int]) {
    // SAFETY: all zeros is a valid set, which sigemptyset initialises; the calls write only it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Sets the name of /proc/self/comm; the kernel keeps 15 bytes.
pub fn set_process_name(name: &CStr) {
    // SAFETY: `name` is NUL-terminated and the kernel copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// No transparent huge pages in this process from now on.
pub fn disable_huge_pages() {
    // SAFETY: takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// The size of a page in bytes.
fn page_bytes() -> usize {
    // SAFETY: takes no pointer.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Returns the heap's free pages to the kernel.
pub fn trim_heap() {
    // SAFETY: takes no pointer.
    unsafe { libc::malloc_trim(0) };
}

/// An address near the start of the allocator's heap, which only grows from there.
#[derive(Clone, Copy)]
pub struct HeapStart(usize);

impl HeapStart {
    /// Found by the first allocation of the process; nothing if that lies elsewhere.
    pub fn find() -> Option<Self> {
        const INITIAL_BYTES: usize = 1 << 20;
        // SAFETY: allocates and frees one block that nobody else knows of.
        let first = unsafe {
            let block = libc::malloc(1);
            libc::free(block);
            block.expose_provenance()
        };
        let distance = heap_end().checked_sub(first)?;
        (first != 0 && distance < INITIAL_BYTES).then_some(Self(first))
    }
}

fn heap_end() -> usize {
    // SAFETY: asks for the end of the heap and moves nothing.
    unsafe { libc::sbrk(0) }.expose_provenance()
}

/// Returns those pages of the heap to the kernel that hold only zeros: it gives zeros again when
/// they are touched, so nobody can tell the difference.
pub fn drop_zero_heap_pages(start: HeapStart) {
    let page = page_bytes();
    let whole_pages = start.0.next_multiple_of(page)..heap_end() & !(page - 1);
    // Neighbours go in one call.
    let mut run = 0..0;
    for address in whole_pages.step_by(page) {
        let words = std::ptr::with_exposed_provenance::<u64>(address);
        // SAFETY: a whole page inside the heap, which is mapped, readable and aligned; this is
        // the only thread, so nobody writes to it meanwhile.
        let content = unsafe { std::slice::from_raw_parts(words, page / 8) };
        if content.iter().any(|word| *word != 0) {
            continue;
        }
        if run.end != address {
            drop_zero_pages(&run);
            run.start = address;
        }
        run.end = address + page;
    }
    drop_zero_pages(&run);
}

fn drop_zero_pages(range: &std::ops::Range<usize>) {
    let start = std::ptr::with_exposed_provenance_mut::<c_void>(range.start);
    // SAFETY: empty, or private anonymous pages of the heap that read as zeros before and after.
    unsafe { libc::madvise(start, range.len(), libc::MADV_DONTNEED) };
}

/// Returns the stack below this call to the kernel, as far as loading can have used it.
pub fn drop_unused_stack() {
    const USED_BYTES: usize = 256 << 10;
    // The frames of this function and of madvise(2) itself.
    const KEPT_BYTES: usize = 1 << 10;
    let page = page_bytes();
    let here = (&raw const page).addr();
    let end = (here - KEPT_BYTES) & !(page - 1);
    let start = std::ptr::with_exposed_provenance_mut::<c_void>(end - USED_BYTES);
    // SAFETY: nothing below the stack pointer is in use, and the kernel keeps a gap of 1 MiB
    // between the stack and any other mapping, so the range holds unused stack or nothing.
    unsafe { libc::madvise(start, USED_BYTES, libc::MADV_DONTNEED) };
}

/// The address below which the guest's native code must not use the stack: half of what the limit
/// allows, so that arguments and environment above have room whatever their size.
pub fn stack_boundary() -> *mut u8 {
    const MOST_BYTES: u64 = 8 << 20;
    let mut limit = libc::rlimit { rlim_cur: MOST_BYTES, rlim_max: MOST_BYTES };
    // SAFETY: `limit` is a valid place for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) };
    let here = (&raw const limit).addr();
    let below = usize::try_from(limit.rlim_cur.min(MOST_BYTES) / 2).unwrap_or(0);
    std::ptr::without_provenance_mut(here.saturating_sub(below))
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

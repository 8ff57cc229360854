//! The guest's paths on their way to WAMR: one below the working directory may begin in the root
//! (`wamr_guest::working_directory`), and no link is made that leads to an absolute path.

use std::borrow::Cow;
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use wamr_guest::poll::Errno;
use wamr_guest::working_directory::{Start, start};

use super::intercept::Kept;
use super::poll::{file_behind, guest_slice};

/// WASI's number of an error: the act is not permitted.
const PERM: Errno = 63;

/// The two preopens of a guest whose working directory is not its root.
#[derive(Clone)]
pub struct WorkingDirectory {
    /// Its path in the container.
    pub cwd: Box<[u8]>,
    /// The guest's descriptor of it.
    pub here: u32,
    /// The guest's descriptor of the root.
    pub root: u32,
}

static WORKING_DIRECTORY: OnceLock<WorkingDirectory> = OnceLock::new();
/// Whether the guest still has the two as it was given them.
static HELD: AtomicBool = AtomicBool::new(false);

/// Says before the guest runs what its working directory is.
pub fn set_working_directory(directory: WorkingDirectory) {
    HELD.store(WORKING_DIRECTORY.set(directory).is_ok(), Ordering::Relaxed);
}

/// After the guest closed or replaced `number`.
fn lost(number: u32) {
    if WORKING_DIRECTORY.get().is_some_and(|two| [two.here, two.root].contains(&number)) {
        HELD.store(false, Ordering::Relaxed);
    }
}

/// A descriptor of the guest's and a path below it.
struct Place<'a> {
    number: u32,
    path: Cow<'a, [u8]>,
}

impl<'a> Place<'a> {
    /// Where `path` below `number` begins.
    ///
    /// # Safety
    /// `environment` and `table` are WAMR's; `path` points to `length` bytes that nobody writes
    /// for the time of the call.
    unsafe fn new(
        environment: *mut c_void,
        table: *mut c_void,
        number: u32,
        path: *const c_char,
        length: usize,
    ) -> Self {
        // SAFETY: as the caller promises.
        let path: &'a [u8] = unsafe { guest_slice(path.cast(), length) };
        let as_it_is = Self { number, path: Cow::Borrowed(path) };
        let two = WORKING_DIRECTORY.get().filter(|two| two.here == number);
        let Some(two) = two.filter(|_| HELD.load(Ordering::Relaxed)) else { return as_it_is };
        // SAFETY: as the caller promises.
        let file = |number| unsafe { file_behind(environment, table, number) };
        let (Ok(here), Ok(root)) = (file(two.here), file(two.root)) else { return as_it_is };
        match start(&two.cwd, here, root, path) {
            Start::Here => as_it_is,
            Start::Root(path) => Self { number: two.root, path },
        }
    }

    fn bytes(&self) -> *const c_char {
        self.path.as_ptr().cast()
    }

    fn length(&self) -> usize {
        self.path.len()
    }
}

/// Puts functions of WAMR's that take one path behind [`Place::new`]: each has its arguments
/// between the table and the descriptor, those between the descriptor and the path, and those
/// behind the path.
macro_rules! one_path {
    ($($wrap:ident $real:ident
        ($($a:ident: $at:ty),*; $($b:ident: $bt:ty),*; $($c:ident: $ct:ty),*))*) => {
        unsafe extern "C" {
            $(fn $real(environment: *mut c_void, table: *mut c_void, $($a: $at,)* number: u32,
                $($b: $bt,)* path: *const c_char, length: usize, $($c: $ct),*) -> Errno;)*
        }
        $(#[unsafe(no_mangle)]
        unsafe extern "C" fn $wrap(environment: *mut c_void, table: *mut c_void, $($a: $at,)*
            number: u32, $($b: $bt,)* path: *const c_char, length: usize, $($c: $ct),*) -> Errno {
            // SAFETY: the arguments are WAMR's, which has checked the path's place in the guest's
            // memory.
            let to = unsafe { Place::new(environment, table, number, path, length) };
            // SAFETY: the path lives until the call returns; the others go on as WAMR gave them.
            unsafe {
                $real(environment, table, $($a,)* to.number, $($b,)* to.bytes(), to.length(),
                    $($c),*)
            }
        })*
    };
}

one_path! {
    __wrap_wasmtime_ssp_path_create_directory __real_wasmtime_ssp_path_create_directory
        (;;)
    __wrap_wasmtime_ssp_path_remove_directory __real_wasmtime_ssp_path_remove_directory
        (;;)
    __wrap_wasmtime_ssp_path_unlink_file __real_wasmtime_ssp_path_unlink_file
        (;;)
    __wrap_wasmtime_ssp_path_filestat_get __real_wasmtime_ssp_path_filestat_get
        (; flags: u32; found: *mut c_void)
    __wrap_wasmtime_ssp_path_filestat_set_times __real_wasmtime_ssp_path_filestat_set_times
        (; flags: u32; access_ns: u64, change_ns: u64, set: u16)
    __wrap_wasmtime_ssp_path_readlink __real_wasmtime_ssp_path_readlink
        (;; text: *mut c_char, size: usize, used: *mut usize)
    __wrap_wasmtime_ssp_path_open __real_wasmtime_ssp_path_open
        (; flags: u32; how: u16, rights: u64, inheriting: u64, file_flags: u16, opened: *mut u32)
}

unsafe extern "C" {
    fn __real_wasmtime_ssp_path_link(
        environment: *mut c_void,
        table: *mut c_void,
        preopens: *mut c_void,
        old: u32,
        old_flags: u32,
        old_path: *const c_char,
        old_length: usize,
        new: u32,
        new_path: *const c_char,
        new_length: usize,
    ) -> Errno;
    fn __real_wasmtime_ssp_path_rename(
        environment: *mut c_void,
        table: *mut c_void,
        old: u32,
        old_path: *const c_char,
        old_length: usize,
        new: u32,
        new_path: *const c_char,
        new_length: usize,
    ) -> Errno;
    fn __real_wasmtime_ssp_path_symlink(
        environment: *mut c_void,
        table: *mut c_void,
        preopens: *mut c_void,
        target: *const c_char,
        target_length: usize,
        new: u32,
        new_path: *const c_char,
        new_length: usize,
    ) -> Errno;
    fn __real_wasmtime_ssp_fd_close(
        environment: *mut c_void,
        table: *mut c_void,
        preopens: *mut c_void,
        number: u32,
    ) -> Errno;
    fn __real_wasmtime_ssp_fd_renumber(
        environment: *mut c_void,
        table: *mut c_void,
        preopens: *mut c_void,
        from: u32,
        to: u32,
    ) -> Errno;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_wasmtime_ssp_path_link(
    environment: *mut c_void,
    table: *mut c_void,
    preopens: *mut c_void,
    old: u32,
    old_flags: u32,
    old_path: *const c_char,
    old_length: usize,
    new: u32,
    new_path: *const c_char,
    new_length: usize,
) -> Errno {
    // SAFETY: the arguments are WAMR's, which has checked the paths' places.
    let (old, new) = unsafe {
        let old = Place::new(environment, table, old, old_path, old_length);
        (old, Place::new(environment, table, new, new_path, new_length))
    };
    // SAFETY: the paths live until the call returns; the others go on as WAMR gave them.
    unsafe {
        __real_wasmtime_ssp_path_link(
            environment,
            table,
            preopens,
            old.number,
            old_flags,
            old.bytes(),
            old.length(),
            new.number,
            new.bytes(),
            new.length(),
        )
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_wasmtime_ssp_path_rename(
    environment: *mut c_void,
    table: *mut c_void,
    old: u32,
    old_path: *const c_char,
    old_length: usize,
    new: u32,
    new_path: *const c_char,
    new_length: usize,
) -> Errno {
    // SAFETY: the arguments are WAMR's, which has checked the paths' places.
    let (old, new) = unsafe {
        let old = Place::new(environment, table, old, old_path, old_length);
        (old, Place::new(environment, table, new, new_path, new_length))
    };
    // SAFETY: the paths live until the call returns; the others go on as WAMR gave them.
    unsafe {
        __real_wasmtime_ssp_path_rename(
            environment,
            table,
            old.number,
            old.bytes(),
            old.length(),
            new.number,
            new.bytes(),
            new.length(),
        )
    }
}

/// A link to an absolute path would not be followed, so none is made.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_wasmtime_ssp_path_symlink(
    environment: *mut c_void,
    table: *mut c_void,
    preopens: *mut c_void,
    target: *const c_char,
    target_length: usize,
    new: u32,
    new_path: *const c_char,
    new_length: usize,
) -> Errno {
    // SAFETY: WAMR has checked the target's place in the guest's memory.
    if target_length > 0 && unsafe { *target.cast::<u8>() } == b'/' {
        // SAFETY: the arguments are WAMR's.
        return unsafe { file_behind(environment, table, new) }.err().unwrap_or(PERM);
    }
    // SAFETY: the arguments are WAMR's, which has checked the path's place.
    let new = unsafe { Place::new(environment, table, new, new_path, new_length) };
    // SAFETY: the path lives until the call returns; the others go on as WAMR gave them.
    unsafe {
        __real_wasmtime_ssp_path_symlink(
            environment,
            table,
            preopens,
            target,
            target_length,
            new.number,
            new.bytes(),
            new.length(),
        )
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_wasmtime_ssp_fd_close(
    environment: *mut c_void,
    table: *mut c_void,
    preopens: *mut c_void,
    number: u32,
) -> Errno {
    lost(number);
    // SAFETY: the arguments go on as WAMR gave them.
    unsafe { __real_wasmtime_ssp_fd_close(environment, table, preopens, number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_wasmtime_ssp_fd_renumber(
    environment: *mut c_void,
    table: *mut c_void,
    preopens: *mut c_void,
    from: u32,
    to: u32,
) -> Errno {
    lost(from);
    lost(to);
    // SAFETY: the arguments go on as WAMR gave them.
    unsafe { __real_wasmtime_ssp_fd_renumber(environment, table, preopens, from, to) }
}

#[used]
static KEPT: [Kept; 12] = [
    Kept(__wrap_wasmtime_ssp_path_create_directory as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_remove_directory as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_unlink_file as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_filestat_get as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_filestat_set_times as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_readlink as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_open as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_link as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_rename as *const c_void),
    Kept(__wrap_wasmtime_ssp_path_symlink as *const c_void),
    Kept(__wrap_wasmtime_ssp_fd_close as *const c_void),
    Kept(__wrap_wasmtime_ssp_fd_renumber as *const c_void),
];

//! Where the guest was when it trapped.
//!
//! WAMR forgets the guest's frames on its way out of a trap. So they are noted when it is raised:
//! the linker puts the function below in the place of WAMR's, as those of intercept.rs.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

/// As many as Wasmtime shows.
const MOST: usize = 20;

static INDICES: [AtomicU32; MOST] = [const { AtomicU32::new(0) }; MOST];
static COUNT: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    fn __real_wasm_set_exception(instance: *mut c_void, text: *const c_char);
    /// Of frames.h.
    fn wamr_runner_frames(instance: *const c_void, indices: *mut u32, room: u32) -> u32;
}

/// Raises a trap, or forgets one where there is no text.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_wasm_set_exception(instance: *mut c_void, text: *const c_char) {
    let mut indices = [0; MOST];
    // SAFETY: the arguments go on as WAMR gave them; the instance is live, and so are the frames of
    // the calls that led here; `indices` has room for as many as is said.
    let count = unsafe {
        __real_wasm_set_exception(instance, text);
        wamr_runner_frames(instance, indices.as_mut_ptr(), MOST as u32)
    };
    for (kept, index) in INDICES.iter().zip(indices) {
        kept.store(index, Ordering::Relaxed);
    }
    COUNT.store(count, Ordering::Relaxed);
}

/// The indices of the guest's functions at its last trap, the innermost first, and how many more
/// there were.
pub fn at_last_trap() -> (Vec<u32>, u32) {
    let count = COUNT.load(Ordering::Relaxed);
    let shown = INDICES.iter().take(count as usize);
    let shown: Vec<u32> = shown.map(|index| index.load(Ordering::Relaxed)).collect();
    let more = count - shown.len() as u32;
    (shown, more)
}

/// Keeps the name in the program, which nothing but WAMR refers to.
#[used]
static KEPT: unsafe extern "C" fn(*mut c_void, *const c_char) = __wrap_wasm_set_exception;

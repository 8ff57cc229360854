//! Pages of this process: the heap's, the stack's, and how they go back to the kernel.

use std::ffi::c_void;

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

/// Lets the guest's code use `wanted_bytes` of the native stack, and says how much it may use: less
/// where the hard limit allows no more. The pages are there when they are touched.
pub fn claim_stack(wanted_bytes: usize) -> usize {
    const LEAST_BYTES: usize = 4 << 20;
    // The kernel leaves 128 MiB for the stack between it and other mappings, whatever the limit.
    const MOST_BYTES: usize = 64 << 20;
    // The kernel puts at most 6 MiB of arguments and environment above, and host calls go below.
    const OTHERS_BYTES: usize = 8 << 20;
    let wanted_bytes = wanted_bytes.clamp(LEAST_BYTES, MOST_BYTES);
    let limit_bytes = raise_stack_limit(wanted_bytes + OTHERS_BYTES);
    // Under a low limit the kernel takes no more than a quarter for arguments and environment.
    wanted_bytes.min(limit_bytes.saturating_sub(OTHERS_BYTES).max(limit_bytes / 2))
}

/// Raises the limit of the stack to `least_bytes`, or as far as it goes, and says what it is.
fn raise_stack_limit(least_bytes: usize) -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) };
    let raised = (least_bytes as u64).min(limit.rlim_max);
    if limit.rlim_cur < raised {
        let new = libc::rlimit { rlim_cur: raised, rlim_max: limit.rlim_max };
        // SAFETY: `new` is complete; it is read, and nothing else happens.
        if unsafe { libc::setrlimit(libc::RLIMIT_STACK, &raw const new) } == 0 {
            limit = new;
        }
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// The address `usable_bytes` below this call, which the guest's code must not get to.
pub fn stack_boundary(usable_bytes: usize) -> *mut u8 {
    let here = (&raw const usable_bytes).addr();
    std::ptr::without_provenance_mut(here.saturating_sub(usable_bytes))
}

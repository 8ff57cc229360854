//! Keeping the container's private memory small.

use crate::sys::{self, HeapStart};

/// Turns transparent huge pages off for this process: WAMR asks for them on its reservations, and
/// one touched byte would cost 2 MiB. Best effort, as the guest runs without it too.
pub fn forgo_huge_pages() {
    sys::disable_huge_pages();
}

/// Gives the kernel back what loading has used up: free heap pages, the heap pages that hold
/// nothing but zeros, and the stack below this call.
pub fn give_back(heap: Option<HeapStart>) {
    sys::trim_heap();
    if let Some(start) = heap {
        sys::drop_zero_heap_pages(start);
    }
    sys::drop_unused_stack();
}

//! Counts heap allocations, so that "none after boot" is a number and not a hope.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::alloc::System;

static SEALED: AtomicBool = AtomicBool::new(false);
/// 32 bits: ARMv6 has no wider atomic; saturation does not matter where 1 is a bug already.
static AFTER_SEAL: AtomicU32 = AtomicU32::new(0);

/// The system's allocator with a counter. Use as `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAlloc;

/// From now on every allocation is counted: boot is over.
pub fn seal() {
    SEALED.store(true, Ordering::Relaxed);
}

/// How often memory was asked for since [`seal`]; 0 is what is promised.
#[must_use]
pub fn after_seal() -> u64 {
    u64::from(AFTER_SEAL.load(Ordering::Relaxed))
}

fn count() {
    if SEALED.load(Ordering::Relaxed) {
        AFTER_SEAL.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for CountingAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

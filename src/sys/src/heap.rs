//! Counts heap allocations, so that "none after boot" is a number and not a hope. Keeps some memory
//! for when the kernel has none: PID 1 without its tables is a machine that panics.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::alloc::System;

static SEALED: AtomicBool = AtomicBool::new(false);
/// 32 bits: ARMv6 has no wider atomic; saturation does not matter where 1 is a bug already.
static AFTER_SEAL: AtomicU32 = AtomicU32::new(0);

/// All that PID 1 allocates at boot, and half as much again. Pages that are not used cost nothing.
const SPARE_BYTES: usize = 512 * 1024;

/// Memory of our own, given out once and never taken back.
#[repr(align(64))]
struct Spare(UnsafeCell<[u8; SPARE_BYTES]>);

// SAFETY: each byte is handed out once at the most, by an atomic counter.
unsafe impl Sync for Spare {}

static SPARE: Spare = Spare(UnsafeCell::new([0; SPARE_BYTES]));
static SPENT: AtomicUsize = AtomicUsize::new(0);

/// Zeroed memory for `layout` from what is kept; null when there is not enough left.
fn spare(layout: Layout) -> *mut u8 {
    const COARSE: usize = 64;
    let bytes = layout.size().saturating_add(COARSE - 1) & !(COARSE - 1);
    let spend = |spent: usize| Some(spent.saturating_add(bytes)).filter(|&end| end <= SPARE_BYTES);
    match SPENT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
        Ok(begin) if layout.align() <= COARSE => SPARE.0.get().cast::<u8>().wrapping_add(begin),
        Ok(_) | Err(_) => core::ptr::null_mut(),
    }
}

fn is_spare(ptr: *mut u8) -> bool {
    (ptr as usize).wrapping_sub(SPARE.0.get() as usize) < SPARE_BYTES
}

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

// SAFETY: what the system's allocator gave goes back to it unchanged, what it had not is ours.
unsafe impl GlobalAlloc for CountingAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        let ptr = unsafe { System.alloc(layout) };
        if ptr.is_null() { spare(layout) } else { ptr }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if !is_spare(ptr) {
            // SAFETY: the caller's promises are passed on, and it is not ours.
            unsafe { System.dealloc(ptr, layout) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        let ptr = unsafe { System.alloc_zeroed(layout) };
        if ptr.is_null() { spare(layout) } else { ptr }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        if !is_spare(ptr) {
            // SAFETY: the caller's promises are passed on, and it is not ours.
            let moved = unsafe { System.realloc(ptr, layout, new_size) };
            if !moved.is_null() {
                return moved;
            }
        }
        let Ok(larger) = Layout::from_size_align(new_size, layout.align()) else {
            return core::ptr::null_mut();
        };
        // SAFETY: a caller of realloc asks for more than nothing.
        let moved = unsafe { System.alloc(larger) };
        let moved = if moved.is_null() { spare(larger) } else { moved };
        if !moved.is_null() {
            // SAFETY: both have room for the smaller of the two sizes, and are apart.
            unsafe { moved.copy_from_nonoverlapping(ptr, layout.size().min(new_size)) };
            // SAFETY: it was allocated with this layout, and nobody uses it any more.
            unsafe { self.dealloc(ptr, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f3_3_what_is_kept_is_given_out_once_and_grows() {
        let small = Layout::from_size_align(100, 8).unwrap();
        let first = spare(small);
        let second = spare(small);
        assert!(is_spare(first) && is_spare(second) && second as usize - first as usize == 128);
        // SAFETY: the memory was given to this test, with this layout.
        let grown = unsafe {
            first.write_bytes(7, 100);
            CountingAlloc.realloc(first, small, 1_000)
        };
        assert!(!grown.is_null() && !is_spare(grown));
        // SAFETY: as long as it was made, and given back as it was made.
        unsafe {
            assert!((0..100).all(|at| grown.add(at).read() == 7));
            CountingAlloc.dealloc(grown, Layout::from_size_align(1_000, 8).unwrap());
            CountingAlloc.dealloc(second, small);
        }
        assert!(spare(Layout::from_size_align(SPARE_BYTES, 8).unwrap()).is_null());
        assert!(spare(Layout::from_size_align(8, 4_096).unwrap()).is_null());
    }
}

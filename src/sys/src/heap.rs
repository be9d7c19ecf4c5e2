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

/// What most helpers need in all. The system's allocator asks the kernel for pages of their own for every size
/// of what is allocated, which is a good part of what a helper's start takes.
const FIRST_BYTES: usize = 96 * 1024;

/// Larger pieces are the system's business from the first on.
const PIECE_BYTES: usize = 8 * 1024;

/// For what is small, before the system's allocator is asked.
static FIRST: Pool<FIRST_BYTES> = Pool::new();

/// For when the system's allocator has nothing.
static SPARE: Pool<SPARE_BYTES> = Pool::new();

/// Memory of our own, given out one piece after the other. Only the last piece can grow or be taken back.
#[repr(align(64))]
struct Pool<const BYTES: usize> {
    bytes: UnsafeCell<[u8; BYTES]>,
    spent: AtomicUsize,
}

// SAFETY: no byte is handed out twice, by an atomic counter.
unsafe impl<const BYTES: usize> Sync for Pool<BYTES> {}

impl<const BYTES: usize> Pool<BYTES> {
    const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; BYTES]), spent: AtomicUsize::new(0) }
    }

    fn begin(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    fn has(&self, ptr: *mut u8) -> bool {
        (ptr as usize).wrapping_sub(self.begin() as usize) < BYTES
    }

    /// Memory for `layout`; null when there is not enough left.
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.align() > COARSE {
            return core::ptr::null_mut();
        }
        let room = coarse(layout.size());
        let spend = |spent: usize| Some(spent.saturating_add(room)).filter(|&end| end <= BYTES);
        match self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
            Ok(begin) => self.begin().wrapping_add(begin),
            Err(_) => core::ptr::null_mut(),
        }
    }

    /// Whether the piece at `ptr` now has room for `size` bytes instead of those of `layout`.
    fn resize(&self, ptr: *mut u8, layout: Layout, size: usize) -> bool {
        let begins = (ptr as usize).wrapping_sub(self.begin() as usize);
        let [end, wanted] = [layout.size(), size].map(|size| begins.saturating_add(coarse(size)));
        let is_enough = wanted <= end;
        let is_last = wanted <= BYTES
            && self
                .spent
                .compare_exchange(end, wanted, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_enough || is_last
    }
}

/// Pieces begin and end at multiples of this.
const COARSE: usize = 16;

fn coarse(size: usize) -> usize {
    size.saturating_add(COARSE - 1) & !(COARSE - 1)
}

/// What is small, as long as there is room for it; then what the system gives; then what is kept.
fn take(layout: Layout, from_system: impl FnOnce() -> *mut u8) -> *mut u8 {
    let first =
        if layout.size() <= PIECE_BYTES { FIRST.take(layout) } else { core::ptr::null_mut() };
    if !first.is_null() {
        return first;
    }
    let ptr = from_system();
    if ptr.is_null() { SPARE.take(layout) } else { ptr }
}

fn is_ours(ptr: *mut u8) -> bool {
    FIRST.has(ptr) || SPARE.has(ptr)
}

fn resize(ptr: *mut u8, layout: Layout, size: usize) -> bool {
    FIRST.has(ptr) && FIRST.resize(ptr, layout, size)
        || SPARE.has(ptr) && SPARE.resize(ptr, layout, size)
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
        take(layout, || unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if is_ours(ptr) {
            let _ = resize(ptr, layout, 0);
        } else {
            // SAFETY: the caller's promises are passed on, and it is not ours.
            unsafe { System.dealloc(ptr, layout) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        let ptr = take(layout, || unsafe { System.alloc_zeroed(layout) });
        if is_ours(ptr) {
            // SAFETY: so much of it was given out just now.
            unsafe { ptr.write_bytes(0, layout.size()) };
        }
        ptr
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        if resize(ptr, layout, new_size) {
            return ptr;
        }
        if !is_ours(ptr) {
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
        let moved = take(larger, || unsafe { System.alloc(larger) });
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

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn f3_3_what_is_kept_is_given_out_once_and_grows() {
        let small = layout(100);
        let first = SPARE.take(small);
        let second = SPARE.take(small);
        assert!(is_ours(first) && is_ours(second) && second as usize - first as usize == 112);
        // SAFETY: the memory was given to this test, with this layout.
        let grown = unsafe {
            first.write_bytes(7, 100);
            CountingAlloc.realloc(first, small, 1_000)
        };
        assert!(!grown.is_null() && !SPARE.has(grown));
        // SAFETY: as long as it was made, and given back as it was made.
        unsafe {
            assert!((0..100).all(|at| grown.add(at).read() == 7));
            CountingAlloc.dealloc(grown, layout(1_000));
            CountingAlloc.dealloc(second, small);
        }
        assert!(SPARE.take(layout(SPARE_BYTES)).is_null());
        assert!(SPARE.take(Layout::from_size_align(8, 4_096).unwrap()).is_null());
    }

    #[test]
    fn the_last_piece_grows_where_it_is_and_comes_back() {
        static POOL: Pool<256> = Pool::new();
        let first = POOL.take(layout(20));
        assert!(POOL.resize(first, layout(20), 30), "it has that room anyway");
        assert!(POOL.resize(first, layout(30), 100), "nothing is behind it");
        let second = POOL.take(layout(8));
        assert_eq!(second as usize - first as usize, 112);
        assert!(!POOL.resize(first, layout(100), 200), "something is behind it");
        assert!(!POOL.resize(second, layout(8), 1_000), "there is no such room");
        assert!(POOL.resize(second, layout(8), 0));
        assert_eq!(POOL.take(layout(8)), second, "what came back is given out again");
        // SAFETY: given to this test, and given back as it was made.
        unsafe {
            let dirty = CountingAlloc.alloc(layout(64));
            dirty.write_bytes(7, 64);
            CountingAlloc.dealloc(dirty, layout(64));
            let zeroed = CountingAlloc.alloc_zeroed(layout(64));
            assert!((0..64).all(|at| zeroed.add(at).read() == 0));
            CountingAlloc.dealloc(zeroed, layout(64));
        }
    }
}

//! Gives pages back that only a beginning needed. Loses nothing: what comes from the program's file
//! is mapped again when it is used again, and below the stack is nothing that anybody reads.

use core::ffi::{c_int, c_void};

/// How far a beginning may have used the stack: all that is mapped of it at first is 132 KiB.
const STACK_BYTES: usize = 256 * 1024;

/// Never given back: what the calls from here to the kernel may need of the stack.
const MARGIN_BYTES: usize = 16 * 1024;

/// Gives back what this program has used of its own file so far, and of its stack beyond what it
/// uses now. A kernel that refuses keeps the pages, which costs no more than before. To be called on
/// the first thread's own stack only, seldom: it is two or three system calls, and then a page
/// fault for each 64 KiB that are used again.
pub fn give_back() {
    give_stack_back();
    // SAFETY: the callback has the right type and keeps nothing of what it is shown.
    unsafe { libc::dl_iterate_phdr(Some(give_file_back), core::ptr::null_mut()) };
}

fn give_stack_back() {
    let here = 0_u8;
    let here = (&raw const here).addr();
    let end = here.saturating_sub(MARGIN_BYTES);
    // SAFETY: the stack grows down, so that below its end, and the margin for the calls from here,
    // nothing is alive; the kernel keeps everything else 128 MiB away (mmap_base).
    unsafe { give(end.saturating_sub(STACK_BYTES), end) };
}

/// The first object is the program; 1 ends the walk.
unsafe extern "C" fn give_file_back(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut c_void,
) -> c_int {
    // SAFETY: valid for the time of the callback, as dl_iterate_phdr(3) says; so is the list.
    let (info, headers) = unsafe {
        let info = &*info;
        (info, core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    for header in headers {
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0 {
            let at = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            // SAFETY: mapped from the file and never written to.
            unsafe { give(at, at.saturating_add(header.p_memsz as usize)) };
        }
    }
    1
}

/// Gives the whole pages from `begin` to `end` back.
///
/// # Safety
/// Nobody needs what was written to them.
unsafe fn give(begin: usize, end: usize) {
    // SAFETY: takes a number, gives one.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Some(page) = usize::try_from(page).ok().filter(|page| page.is_power_of_two()) else {
        return;
    };
    let begin = begin.next_multiple_of(page);
    let length = (end & !page.wrapping_sub(1)).saturating_sub(begin);
    let begin = core::ptr::without_provenance_mut::<c_void>(begin);
    // SAFETY: the caller's promise. What is not mapped is ENOMEM, and the rest is done nevertheless.
    unsafe { libc::madvise(begin, length, libc::MADV_DONTNEED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not on the first thread, but a test's stack is large enough for both.
    #[test]
    fn what_is_used_is_kept_and_what_was_used_is_given_back() {
        #[inline(never)]
        fn dig(seed: u8) -> u8 {
            let deep = core::hint::black_box([seed; 128 * 1024]);
            deep[usize::from(seed)]
        }
        let kept: Vec<u8> = (0..=255).collect();
        let shallow = core::hint::black_box([7_u8; 4096]);
        assert_eq!(dig(3), 3);
        let before = resident_kb();
        give_back();
        let after = resident_kb();
        assert!(after + 128 < before, "{before} kB, then {after}");
        assert!(shallow.iter().all(|byte| *byte == 7));
        assert!(kept.iter().copied().eq(0..=255));
        assert_eq!(dig(5), 5);
    }

    fn resident_kb() -> u64 {
        let status = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

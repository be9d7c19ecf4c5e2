//! Makes the child: the system call, the child's stack, and the few instructions between them.

use super::child::Child;
use crate::raw::errno;
use crate::{Errno, Result};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use rustix::fd::AsRawFd;

/// Bytes of the child's stack: eight times what its system calls need in a debug build.
const STACK_BYTES: usize = 32 * 1024;

/// The one stack that children live on, one at a time.
#[repr(align(4096))]
pub(super) struct Stack(UnsafeCell<MaybeUninit<[u8; STACK_BYTES]>>);

// SAFETY: used by one child at a time: the lock of `spawn` is held until it is gone.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new(MaybeUninit::uninit()));

impl Stack {
    pub(super) const fn only() -> &'static Self {
        &STACK
    }

    fn bottom(&self) -> usize {
        self.0.get().addr()
    }

    fn top(&self) -> usize {
        self.bottom().saturating_add(STACK_BYTES)
    }
}

/// `struct clone_args` of clone3(2), as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The least that kernels know of it (5.3): without the last three.
const FIRST_VERSION: usize = 64;

const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// By clone3: signal handlers cleared, born in its cgroup. Returns once it executed or is gone.
pub(super) fn clone3(child: &Child<'_>, stack: &Stack) -> Result<i32> {
    let mut args = CloneArgs {
        flags: flags(child) as u64 | CLONE_CLEAR_SIGHAND,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.bottom() as u64,
        stack_size: STACK_BYTES as u64,
        ..CloneArgs::default()
    };
    let mut size = FIRST_VERSION;
    if let Some(group) = child.birthplace() {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(group.as_raw_fd().unsigned_abs());
        size = size_of::<CloneArgs>();
    }
    // SAFETY: `args` is a valid clone_args of that size; the stack is the child's alone.
    finish(unsafe { enter(libc::SYS_clone3, [(&raw const args).addr(), size, 0, 0, 0], child) })
}

/// By clone: every kernel has it. The child joins its cgroup by itself.
pub(super) fn clone(child: &Child<'_>, stack: &Stack) -> Result<i32> {
    child.walk_in();
    let flags = flags(child) | libc::SIGCHLD as usize;
    // SAFETY: the stack is the child's alone; no other argument is used with these flags.
    finish(unsafe { enter(libc::SYS_clone, [flags, stack.top(), 0, 0, 0], child) })
}

fn flags(child: &Child<'_>) -> usize {
    let files = if child.shares_table() { libc::CLONE_FILES } else { 0 };
    (libc::CLONE_VM | libc::CLONE_VFORK | files) as usize
}

fn finish(ret: isize) -> Result<i32> {
    i32::try_from(ret)
        .map_err(|_| Errno::OVERFLOW)
        .and_then(|ret| if ret < 0 { Err(errno(ret.saturating_neg())) } else { Ok(ret) })
}

/// Where the child begins; the trampolines call it with its argument in the first register.
extern "C" fn begin(child: *const Child<'_>) -> ! {
    // SAFETY: `enter` got a reference; the parent is suspended and keeps it alive.
    unsafe { &*child }.live()
}

/// The system call. In the parent it returns like any other. The child comes out of it on its
/// own stack, where nothing can be returned to, and calls `begin`.
///
/// # Safety
/// The call must be clone or clone3 with `CLONE_VM`, `CLONE_VFORK` and a stack of the child's own.
#[cfg(target_arch = "x86_64")]
unsafe fn enter(number: libc::c_long, args: [usize; 5], child: &Child<'_>) -> isize {
    let [a, b, c, d, e] = args;
    let ret: isize;
    // SAFETY: as promised by the caller; rcx and r11 are what `syscall` overwrites. The kernel
    // aligned stack gets one return address, as at any function's entry.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") number as isize => ret,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r12") &raw const *child,
            in("r13") begin as *const (),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    ret
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn enter(number: libc::c_long, args: [usize; 5], child: &Child<'_>) -> isize {
    let [a, b, c, d, e] = args;
    let ret: isize;
    // SAFETY: as promised by the caller; a system call keeps every register but x0.
    unsafe {
        core::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            in("x8") number,
            inlateout("x0") a => ret,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x20") &raw const *child,
            in("x21") begin as *const (),
        );
    }
    ret
}

/// As above. The call's number goes in r7, which is the frame pointer in Thumb code and cannot be
/// an operand: it is kept in r10 meanwhile.
///
/// # Safety
/// As above.
#[cfg(target_arch = "arm")]
unsafe fn enter(number: libc::c_long, args: [usize; 5], child: &Child<'_>) -> isize {
    let [a, b, c, d, e] = args;
    let ret: isize;
    // SAFETY: as promised by the caller; a system call keeps every register but r0.
    unsafe {
        core::arch::asm!(
            "mov r10, r7",
            "mov r7, r12",
            "svc #0",
            "mov r7, r10",
            "cmp r0, #0",
            "bne 2f",
            "mov r0, r5",
            "blx r8",
            "udf #0",
            "2:",
            inlateout("r0") a => ret,
            in("r1") b,
            in("r2") c,
            in("r3") d,
            in("r4") e,
            in("r5") &raw const *child,
            in("r8") begin as *const (),
            inlateout("r12") number => _,
            out("r10") _,
        );
    }
    ret
}

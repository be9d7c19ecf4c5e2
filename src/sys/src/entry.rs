//! Makes the ground fit to stand on before Rust's run-time looks at it.
//!
//! The kernel starts init with descriptors 0 to 2 closed when there is no /dev/console, and
//! std's start-up code then opens /dev/null or aborts: a kernel panic. So a constructor runs
//! first (musl and glibc call `.init_array` before `main`, which is where std begins). It never
//! fails: what it cannot have it goes without.

use crate::raw::{check, retry};
use crate::{Errno, OwnedFd};
use core::ffi::CStr;
use rustix::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use rustix::fs::{FileType, Mode, OFlags, major, minor};
use rustix::mount::{MountFlags, mount};

/// /dev/console as `makedev(5, 1)`.
const CONSOLE: (u32, u32) = (5, 1);

/// /dev/null as `makedev(1, 3)`.
const NULL: (u32, u32) = (1, 3);

/// Ours of what the constructor opens: never blocks, never becomes our terminal.
const CAREFUL: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// Does nothing but keep this file in the program: a linker leaves out what nobody names.
pub fn keep() {
    core::hint::black_box(&raw const BEFORE_MAIN);
}

extern "C" fn before_main() {
    let first = rustix::process::getpid().is_init();
    if first {
        crate::reexec::arm_early();
    }
    if first && !is_device(c"/dev/null", NULL) {
        let _ = rustix::fs::mkdir(c"/dev", Mode::from_raw_mode(0o755));
        let _ = mount(c"devtmpfs", c"/dev", c"devtmpfs", MountFlags::NOSUID, c"mode=0755");
    }
    for number in 0..=2 {
        if !is_open(number) {
            fill(number, first);
        } else if first && stands_for(number, CONSOLE) {
            own_description(number);
        }
    }
}

/// Opens something as `number`, the lowest that is free.
fn fill(number: i32, console: bool) {
    let choice = if console { open_console() } else { Err(Errno::NOENT) };
    let nothing = OFlags::RDONLY | OFlags::DIRECTORY;
    let opened = choice
        .or_else(|_| open(c"/dev/null", OFlags::RDWR))
        // Reading gives EISDIR, writing EBADF, which std takes for "nobody listens".
        .or_else(|_| open(c"/", nothing));
    if let Ok(fd) = opened {
        place(fd, number);
    }
}

/// The kernel's descriptors of the console block, and ^S or a dead line would block PID 1: a
/// description of our own does not, and leaves everybody else's alone.
fn own_description(number: i32) {
    if let Ok(fd) = open_console() {
        place(fd, number);
    }
}

/// Works as a console at all: opening succeeds where there is no line behind it, fstat tells.
fn open_console() -> crate::Result<OwnedFd> {
    open(c"/dev/console", CAREFUL)
}

fn open(path: &CStr, flags: OFlags) -> crate::Result<OwnedFd> {
    retry(|| rustix::fs::open(path, flags, Mode::empty()))
}

/// Makes `fd` the descriptor `number`, for good.
fn place(fd: OwnedFd, number: i32) {
    if fd.as_raw_fd() == number {
        // It has to stay open until the end of the program.
        let _ = fd.into_raw_fd();
        return;
    }
    let raw = fd.as_raw_fd();
    let _ = retry(|| {
        // SAFETY: the number is closed, or stands for a console that nobody borrowed yet: this
        // runs before main.
        check(unsafe { libc::syscall(libc::SYS_dup3, raw, number, 0) })
    });
}

fn is_open(number: i32) -> bool {
    // SAFETY: asks for the flags only; a closed number gives EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_getfd(fd).is_ok()
}

fn stands_for(number: i32, device: (u32, u32)) -> bool {
    // SAFETY: it was found open, and nothing runs yet that could close it.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::fs::fstat(fd).is_ok_and(|stat| is(&stat, device))
}

fn is_device(path: &CStr, device: (u32, u32)) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| is(&stat, device))
}

fn is(stat: &rustix::fs::Stat, (high, low): (u32, u32)) -> bool {
    let device = stat.st_rdev;
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && major(device) == high
        && minor(device) == low
}

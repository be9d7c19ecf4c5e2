//! Executes PID 1's program again in its own process: after a fault, or a new one because that was
//! asked for. Keeps three descriptors at fixed numbers: the memory that carries the state across,
//! the program's file, so that a replaced or removed one does not matter, and the program to go
//! back to when a new one fails. Knows nothing of what the state says.
//!
//! What happens after a fault runs on a stack of its own and is async-signal-safe: `pread`,
//! `pwrite`, `fcntl`, `execve`, and nothing else. Whoever comes after closes what he does not know.

mod note;

pub use note::{
    NOTE_BYTES, Note, TEXT_MAX, TIMES, Trial, VERSION_MAX, note, set_times, set_version, take_note,
    times,
};

use crate::raw::{check, last, retry};
use crate::{Errno, OwnedFd, Result};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::FdFlags;
use std::ffi::CString;

/// Where the state's memory is: above what children are given, below what is reserved for
/// placing that.
pub const STATE: i32 = 8;

/// Where the program's file is.
const PROGRAM: i32 = 9;

/// Where the file of the program before is while a new one is on trial; else the program's too.
const PREVIOUS: i32 = 10;

/// Where the kernel looks for a program to execute as process 1.
const USUAL_PATH: &CStr = c"/sbin/init";

/// The stack for faults. 64 KiB: what the kernel saves of the largest processors is 12 KiB.
const STACK_BYTES: usize = 64 * 1024;

/// So long a new program has to be in service: ten times what a Pi Zero under load needs, and less
/// than a hardware watchdog waits.
const TRIAL_S: i64 = 10;

/// Between two attempts when execve itself fails (ENOMEM): nothing better is left to do.
const PAUSE_MS: i64 = 100;

/// Faults that lead to a new execution. TRAP is how some processors say "abort".
const FAULTS: [c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// No descriptor above this is kept.
static HIGHEST: AtomicI32 = AtomicI32::new(PREVIOUS);

/// A fault has been noted; another one while it is dealt with is not.
static NOTED: AtomicBool = AtomicBool::new(false);

/// A fault leads to the program before this one.
static ON_TRIAL: AtomicBool = AtomicBool::new(false);

/// Faults are caught.
static ARMED: AtomicBool = AtomicBool::new(false);

/// The three numbers are nobody else's.
static RESERVED: AtomicBool = AtomicBool::new(false);

/// What a fault must not lose, see [`hold`].
static HELD: AtomicU64 = AtomicU64::new(0);

/// Where the program was executed from; null: not known.
static PATH: AtomicPtr<c_char> = AtomicPtr::new(core::ptr::null_mut());

#[repr(align(16))]
struct Stack(UnsafeCell<MaybeUninit<[u8; STACK_BYTES]>>);

// SAFETY: only the kernel and the one thread that faults use it.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new(MaybeUninit::uninit()));

/// Every descriptor from 3 on that was open when this program began. What is not taken out is
/// closed with it.
#[derive(Debug)]
pub struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// Collects them, if there is a state among them. To be called before anything is opened.
    #[must_use]
    pub fn find() -> Option<Self> {
        note::look()?;
        let numbers = crate::procfs::own_descriptors().unwrap_or_else(every_number);
        let mut open = Vec::with_capacity(numbers.len());
        for number in numbers.into_iter().filter(|number| *number > 2) {
            // SAFETY: asks for a flag and sets it; a closed number gives EBADF. None here is -1.
            let fd = unsafe { BorrowedFd::borrow_raw(number) };
            if rustix::io::fcntl_getfd(fd).is_err() {
                continue;
            }
            // First of all: a fault is dealt with already, and must not lose it.
            keep(fd);
            let _ = rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC);
            if number != PROGRAM && number != PREVIOUS {
                // SAFETY: open, and nobody in this program owns it: it began a moment ago.
                open.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        Some(Self(open))
    }

    /// Takes out the one with this number.
    pub fn take(&mut self, number: i32) -> Option<OwnedFd> {
        let at = self.0.iter().position(|fd| fd.as_raw_fd() == number)?;
        Some(self.0.swap_remove(at))
    }

    /// Takes out the hardware watchdog.
    pub fn take_watchdog(&mut self) -> Option<crate::watchdog::Watchdog> {
        let at = self.0.iter().position(|fd| crate::watchdog::is_one(fd.as_fd()))?;
        Some(crate::watchdog::Watchdog::inherited(self.0.swap_remove(at)))
    }

    /// Those that are left.
    #[must_use]
    pub fn into_rest(self) -> Vec<OwnedFd> {
        self.0
    }
}

/// Every number that a descriptor may have: where there is no /proc that tells.
fn every_number() -> Vec<i32> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = i32::try_from(limit.current.unwrap_or(4096).min(65_536)).unwrap_or(4096);
    (3..limit).collect()
}

/// Keeps the numbers of this file for it, so that the memory can be made whenever there is some: nobody
/// else gets them. What an execution before left there stays. To be called before anything is opened
/// above the numbers below them.
///
/// # Errors
/// EBADF without a descriptor 0.
pub fn reserve_numbers() -> Result<()> {
    for number in [STATE, PROGRAM, PREVIOUS] {
        // SAFETY: asks for a flag; a closed number gives EBADF.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
            copy_to(0, number)?;
        }
    }
    RESERVED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Makes memory of `len` bytes for the state at its number, and opens the program's file. What
/// was noted in memory that was there before is in this one too.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM, and ENOENT without /proc. EBUSY unless [`reserve_numbers`] has been there.
pub fn prepare(len: u64) -> Result<OwnedFd> {
    if !RESERVED.load(Ordering::Relaxed) {
        return Err(Errno::BUSY);
    }
    keep_program()?;
    let page = note::page();
    let state = crate::memory::memfd_create(c"ettan-state")?;
    crate::memory::fix_length(&state, len)?;
    crate::memory::write_at(&state, &page, 0)?;
    let state = place(state, STATE)?;
    // A path that does not fit is not known to the next execution.
    let _ = note::set_path(path());
    Ok(state)
}

/// Makes sure that the program's file is open at its number. A program on trial leaves the one before
/// it where it is.
///
/// # Errors
/// ENOENT without /proc, EMFILE.
fn keep_program() -> Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = retry(|| rustix::fs::open(c"/proc/self/exe", flags, Mode::empty()))?;
    if !ON_TRIAL.load(Ordering::Relaxed) {
        copy_to(file.as_raw_fd(), PREVIOUS)?;
    }
    // Open until the end of the process.
    let _ = place(file, PROGRAM)?.into_raw_fd();
    Ok(())
}

/// As `keep_program`, after a new execution: where the file cannot be opened anew just now, what was
/// executed is open already. `reverted`: that is the program before the one that was on trial.
pub fn inherit_program(reverted: bool) {
    if keep_program().is_err() && reverted {
        // Else the next fault would lead to the program that failed.
        let _ = copy_to(PREVIOUS, PROGRAM);
    }
}

/// Learns the path of the program: what the execution before knew, and in the first one the word
/// that it was executed by, if that is absolute. To be called once, before `prepare`.
pub fn learn_path(word: Option<CString>) {
    let word = word.filter(|word| word.as_bytes().starts_with(b"/"));
    if let Some(path) = note::path().or(word) {
        PATH.store(path.into_raw(), Ordering::Relaxed);
    }
}

/// The path that the first execution came from: the kernel's first choice where it is not known.
#[must_use]
pub fn path() -> &'static CStr {
    let path = PATH.load(Ordering::Relaxed);
    if path.is_null() {
        return USUAL_PATH;
    }
    // SAFETY: came out of a CString that nobody frees.
    unsafe { CStr::from_ptr(path) }
}

/// Opens the file that is at the program's path now.
///
/// # Errors
/// What open(2) gives; ENOEXEC when it is no regular file.
pub fn open_program() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = retry(|| rustix::fs::open(path(), flags, Mode::empty()))?;
    let mode = rustix::fs::fstat(&file)?.st_mode;
    let is_file = FileType::from_raw_mode(mode) == FileType::RegularFile;
    if is_file { Ok(file) } else { Err(Errno::NOEXEC) }
}

/// Descriptors up to this one are kept by a new execution.
pub fn keep(fd: impl AsFd) {
    HIGHEST.fetch_max(fd.as_fd().as_raw_fd(), Ordering::Relaxed);
}

/// From now on a fault executes the program anew.
///
/// # Errors
/// None are known.
pub fn arm() -> Result<()> {
    let stack =
        libc::stack_t { ss_sp: STACK.0.get().cast::<c_void>(), ss_flags: 0, ss_size: STACK_BYTES };
    // SAFETY: the memory is static and nobody else's.
    check(unsafe { libc::sigaltstack(&raw const stack, core::ptr::null_mut()) }.into())?;
    for signal in FAULTS {
        catch(signal, on_fault)?;
    }
    if ON_TRIAL.load(Ordering::Relaxed) {
        catch(libc::SIGALRM, on_time_up)?;
    }
    ARMED.store(true, Ordering::Relaxed);
    Ok(())
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

fn catch(signal: c_int, handler: Handler) -> Result<()> {
    // SAFETY: zeroes are a valid sigaction.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | libc::SA_RESTART;
    // SAFETY: both handlers are async-signal-safe.
    check(unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) }.into())
        .map(drop)
}

/// What a program on trial catches besides its faults: the end of its time, as a set.
pub(crate) fn caught_on_trial() -> u64 {
    if ON_TRIAL.load(Ordering::Relaxed) { crate::signals::bit(libc::SIGALRM) } else { 0 }
}

/// Whether faults are caught already.
pub(crate) fn is_armed() -> bool {
    ARMED.load(Ordering::Relaxed)
}

/// Before `main`, in process 1: where there is a state already, a fault in the very beginning is
/// none too many.
pub(crate) fn arm_early() {
    let Some(trial) = note::look() else { return };
    ON_TRIAL.store(trial == Trial::Running, Ordering::Relaxed);
    let _ = arm();
    let _ = crate::signals::unblock_faults();
}

/// What must not be lost if the program fails right now: the next execution finds it in its
/// [`Note`]. 0 is nothing.
pub fn hold(what: u64) {
    HELD.store(what, Ordering::Relaxed);
}

/// Executes `file` in place of this program, on trial: until it calls [`commit`], a fault of it
/// leads back here. Returns only when that cannot be, with everything as it was.
pub fn upgrade(file: impl AsFd) -> Errno {
    match try_upgrade(file.as_fd()) {
        Ok(()) => Errno::NOEXEC,
        Err(errno) => errno,
    }
}

fn try_upgrade(file: BorrowedFd<'_>) -> Result<()> {
    copy_to(PROGRAM, PREVIOUS)?;
    ON_TRIAL.store(true, Ordering::Relaxed);
    let done = copy_to(file.as_raw_fd(), PROGRAM)
        .and_then(|()| note::set_trial(Trial::Running))
        .map(|()| {
            keep_open(true);
            limit_trial(TRIAL_S);
            execute_file(PROGRAM);
            last()
        });
    limit_trial(0);
    keep_open(false);
    let _ = note::set_trial(Trial::None);
    let _ = copy_to(PREVIOUS, PROGRAM);
    ON_TRIAL.store(false, Ordering::Relaxed);
    Err(done?)
}

/// Whether the program's file has no name any more, and lies on a disk nevertheless: as long as it
/// runs, its file system cannot be made read-only.
#[must_use]
pub fn is_nameless() -> bool {
    let mut link = [MaybeUninit::uninit(); 16];
    let Ok((link, _)) = rustix::fs::readlinkat_raw(rustix::fs::CWD, c"/proc/self/exe", &mut link)
    else {
        return false;
    };
    // SAFETY: only asked about; it is open for as long as the program runs, or gives EBADF.
    let program = unsafe { BorrowedFd::borrow_raw(PROGRAM) };
    !link.starts_with(b"/memfd:") && rustix::fs::fstat(program).is_ok_and(|stat| stat.st_nlink == 0)
}

/// Executes `file`, a copy of this program, in its place: nothing refers to the original any more.
/// Returns only when that cannot be.
pub fn move_to(file: impl AsFd) -> Errno {
    let raw = file.as_fd().as_raw_fd();
    let done = copy_to(raw, PROGRAM).and_then(|()| copy_to(raw, PREVIOUS)).map(|()| {
        keep_open(true);
        execute_file(PROGRAM);
        last()
    });
    keep_open(false);
    let _ = keep_program();
    done.unwrap_or_else(|errno| errno)
}

/// This program is in service: from now on a fault executes it anew, and the one before it is let
/// go of.
///
/// # Errors
/// EBADF without a state.
pub fn commit() -> Result<()> {
    limit_trial(0);
    let _ = crate::signals::block_again(caught_on_trial());
    ON_TRIAL.store(false, Ordering::Relaxed);
    note::set_trial(Trial::None)?;
    copy_to(PROGRAM, PREVIOUS)
}

/// Executes the program anew with everything that is open. Never returns: nothing is left to
/// return to.
pub fn execute() -> ! {
    let program = if ON_TRIAL.load(Ordering::Relaxed) {
        let _ = note::set_trial(Trial::Reverted);
        limit_trial(0);
        PREVIOUS
    } else {
        PROGRAM
    };
    keep_open(true);
    loop {
        execute_file(program);
        for path in [c"/proc/self/exe", path()] {
            execute_path(path);
        }
        let pause = libc::timespec { tv_sec: 0, tv_nsec: (PAUSE_MS * 1_000_000) as _ };
        // SAFETY: `pause` outlives the call.
        unsafe { libc::nanosleep(&raw const pause, core::ptr::null_mut()) };
    }
}

/// In so many seconds the kernel sends ALRM, once; 0 takes it back. The clock goes on over an
/// execution, and means nothing to a program that does not know of it: what process 1 does not
/// catch, the kernel does not send it.
fn limit_trial(seconds: i64) {
    let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let end = libc::itimerval {
        it_interval: never,
        it_value: libc::timeval { tv_sec: seconds as _, tv_usec: 0 },
    };
    // SAFETY: `end` outlives the call, and the value before is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const end, core::ptr::null_mut()) };
}

/// Whether what is open stays so over the next execution.
fn keep_open(kept: bool) {
    let flags = if kept { 0 } else { libc::FD_CLOEXEC };
    for number in 3..=HIGHEST.load(Ordering::Relaxed) {
        // SAFETY: changes a flag; a closed number gives EBADF.
        unsafe { libc::fcntl(number, libc::F_SETFD, flags) };
    }
}

/// The new execution's arguments and environment, each with a null pointer at its end. For
/// people to see: it believes none of them.
fn words() -> ([*const c_char; 2], [*const c_char; 4]) {
    let end = core::ptr::null();
    let container = if CONTAINED.load(Ordering::Relaxed) { c"container=yes".as_ptr() } else { end };
    ([path().as_ptr(), end], [c"HOME=/".as_ptr(), c"TERM=linux".as_ptr(), container, end])
}

/// Somebody's container, who said so in the environment (`container=lxc`). For the executions to come.
static CONTAINED: AtomicBool = AtomicBool::new(false);

/// Whether the environment says that this is somebody's container, in this execution or the first.
/// Reads the environment: for the beginning of an execution.
pub fn learn_container() {
    CONTAINED.store(std::env::var_os("container").is_some(), Ordering::Relaxed);
}

/// What [`learn_container`] found.
#[must_use]
pub fn is_contained() -> bool {
    CONTAINED.load(Ordering::Relaxed)
}

fn execute_file(number: i32) {
    let (argv, envp) = words();
    let at_empty_path = libc::AT_EMPTY_PATH;
    // SAFETY: both lists end in a null pointer and hold strings that live for ever.
    unsafe {
        let (argv, envp) = (argv.as_ptr(), envp.as_ptr());
        libc::syscall(libc::SYS_execveat, number, c"".as_ptr(), argv, envp, at_empty_path);
    }
}

fn execute_path(path: &CStr) {
    let (argv, envp) = words();
    // SAFETY: as above.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
}

/// Reads where nothing is. For tests of what follows.
pub fn fail() {
    let nowhere = core::hint::black_box(core::ptr::without_provenance::<u8>(8));
    // SAFETY: none: this is the fault that was asked for.
    core::hint::black_box(unsafe { nowhere.read_volatile() });
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: getpid, by the kernel's word: a child that shares our memory is another process.
    if unsafe { libc::syscall(libc::SYS_getpid) } != 1 {
        // SAFETY: ends the child only.
        unsafe { libc::syscall(libc::SYS_exit_group, 127) };
    }
    if !NOTED.swap(true, Ordering::Relaxed) {
        // SAFETY: the kernel gives a valid siginfo to a handler with SA_SIGINFO.
        let address = unsafe { (*info).si_addr() }.addr() as u64;
        note::set_cause(signal.unsigned_abs() as u8, address, HELD.load(Ordering::Relaxed));
    }
    execute()
}

/// A program on trial hangs: the one before it goes on. Where the word comes from anybody but the
/// kernel's clock, or too late, it means nothing.
extern "C" fn on_time_up(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a valid siginfo to a handler with SA_SIGINFO.
    let is_clock = unsafe { (*info).si_code } == libc::SI_KERNEL;
    if is_clock && ON_TRIAL.load(Ordering::Relaxed) {
        on_fault(signal, info, context);
    }
}

fn place(fd: OwnedFd, number: i32) -> Result<OwnedFd> {
    if fd.as_raw_fd() == number {
        return Ok(fd);
    }
    copy_to(fd.as_raw_fd(), number)?;
    // SAFETY: made just now.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes `number` stand for what `raw` stands for.
fn copy_to(raw: i32, number: i32) -> Result<()> {
    // SAFETY: the number is one of this file's, and nobody else's in this program: it is below what
    // is opened later, and was taken before anything was.
    retry(|| check(unsafe { libc::syscall(libc::SYS_dup3, raw, number, libc::O_CLOEXEC) }))
        .map(drop)
}

//! Executes this very program again in its own process: after a fault, or because it was asked
//! to. Keeps two descriptors at fixed numbers: the memory that carries the state across, and the
//! program's file, so that a replaced or removed one does not matter. Knows nothing of what the
//! state says.
//!
//! What happens after a fault runs on a stack of its own and is async-signal-safe: `pwrite`,
//! `fcntl`, `execve`, and nothing else. Whoever comes after closes what he does not know.

use crate::raw::{check, retry};
use crate::{Errno, OwnedFd, Result};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;

/// Where the state's memory is: above what children are given, below what is reserved for
/// placing that.
pub const STATE: i32 = 8;

/// Where the program's file is.
const PROGRAM: i32 = 9;

/// Bytes at the beginning of the state's memory that belong to this file.
pub const NOTE_BYTES: usize = 4096;

/// How many faults are remembered with their time.
pub const TIMES: usize = 8;

/// The longest text about a fault; more is cut.
pub const TEXT_MAX: usize = 400;

/// What the memory begins with, so that nothing else is taken for it.
const MAGIC: [u8; 8] = *b"ettan\0\x01\n";

const CAUSE_AT: u64 = 8;
const TIMES_AT: u64 = 32;
const TEXT_AT: u64 = 128;

/// The stack for faults. 64 KiB: what the kernel saves of the largest processors is 12 KiB.
const STACK_BYTES: usize = 64 * 1024;

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
static HIGHEST: AtomicI32 = AtomicI32::new(PROGRAM);

/// A fault has been noted; another one while it is dealt with is not.
static NOTED: AtomicBool = AtomicBool::new(false);

#[repr(align(16))]
struct Stack(UnsafeCell<MaybeUninit<[u8; STACK_BYTES]>>);

// SAFETY: only the kernel and the one thread that faults use it.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new(MaybeUninit::uninit()));

/// What the last execution left about its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The fault's signal; 0 when it was no fault.
    pub signal: u8,
    /// Where it happened, as far as the kernel says.
    pub address: u64,
    /// What it said itself.
    pub text: [u8; TEXT_MAX],
    /// When the last faults were, newest first, as `set_times` wrote them.
    pub times: [u64; TIMES],
}

/// Every descriptor from 3 on that was open when this program began. What is not taken out is
/// closed with it.
#[derive(Debug)]
pub struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// Collects them, if there is a state among them. To be called before anything is opened.
    #[must_use]
    pub fn find() -> Option<Self> {
        let mut magic = [0; MAGIC.len()];
        let len = read_at(&mut magic, 0).ok()?;
        if len != MAGIC.len() || magic != MAGIC {
            return None;
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let limit = i32::try_from(limit.current.unwrap_or(4096).min(65_536)).unwrap_or(4096);
        let open = (3..limit).filter(|&number| {
            // SAFETY: sets a flag; a closed number gives EBADF. No number here is -1.
            let fd = unsafe { BorrowedFd::borrow_raw(number) };
            rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC).is_ok() && number != PROGRAM
        });
        // SAFETY: open, and nobody in this program owns it: it began a moment ago.
        Some(Self(open.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect()))
    }

    /// Takes out the one with this number.
    pub fn take(&mut self, number: i32) -> Option<OwnedFd> {
        let at = self.0.iter().position(|fd| fd.as_raw_fd() == number)?;
        Some(self.0.swap_remove(at))
    }

    /// Those that are left.
    #[must_use]
    pub fn into_rest(self) -> Vec<OwnedFd> {
        self.0
    }
}

/// Makes memory of `len` bytes for the state at its number, and opens the program's file.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM, and ENOENT without /proc.
pub fn prepare(len: u64) -> Result<OwnedFd> {
    keep_program()?;
    let state = crate::memory::memfd_create(c"ettan-state")?;
    rustix::fs::ftruncate(&state, len)?;
    let state = place(state, STATE)?;
    write_at(&MAGIC, 0)?;
    Ok(state)
}

/// Makes sure that the program's file is open at its number; after a new execution it is.
///
/// # Errors
/// ENOENT without /proc, EMFILE.
pub fn keep_program() -> Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = retry(|| rustix::fs::open(c"/proc/self/exe", flags, Mode::empty()))?;
    // Open until the end of the process.
    let _ = place(file, PROGRAM)?.into_raw_fd();
    Ok(())
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
        // SAFETY: zeroes are a valid sigaction.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: the handler is async-signal-safe and never returns.
        check(unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) }.into())?;
    }
    Ok(())
}

/// Says in words what goes wrong; to be called before the fault.
pub fn note(text: &[u8]) {
    let _ = write_at(text.get(..TEXT_MAX).unwrap_or(text), TEXT_AT);
}

/// What the last execution left; from now on it is told to nobody else.
///
/// # Errors
/// EBADF without a state.
pub fn take_note() -> Result<Note> {
    let mut cause = [0; 16];
    read_at(&mut cause, CAUSE_AT)?;
    let mut times = [0; 8 * TIMES];
    read_at(&mut times, TIMES_AT)?;
    let mut text = [0; TEXT_MAX];
    read_at(&mut text, TEXT_AT)?;
    let (words, _) = times.as_chunks::<8>();
    let mut note = Note { signal: 0, address: 0, text, times: [0; TIMES] };
    for (to, from) in note.times.iter_mut().zip(words) {
        *to = u64::from_le_bytes(*from);
    }
    let [signal, _, _, _, _, _, _, _, address @ ..] = cause;
    (note.signal, note.address) = (signal, u64::from_le_bytes(address));
    write_at(&[0; 16], CAUSE_AT)?;
    write_at(&[0; TEXT_MAX], TEXT_AT)?;
    Ok(note)
}

/// Remembers when the last faults were.
///
/// # Errors
/// EBADF without a state.
pub fn set_times(times: &[u64; TIMES]) -> Result<()> {
    let mut bytes = [0; 8 * TIMES];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (to, from) in words.iter_mut().zip(times) {
        *to = from.to_le_bytes();
    }
    write_at(&bytes, TIMES_AT)
}

/// Executes the program anew with everything that is open. Never returns: nothing is left to
/// return to.
pub fn execute() -> ! {
    for number in 3..=HIGHEST.load(Ordering::Relaxed) {
        // SAFETY: changes a flag; a closed number gives EBADF.
        unsafe { libc::fcntl(number, libc::F_SETFD, 0) };
    }
    loop {
        attempt();
        let pause = libc::timespec { tv_sec: 0, tv_nsec: (PAUSE_MS * 1_000_000) as _ };
        // SAFETY: `pause` outlives the call.
        unsafe { libc::nanosleep(&raw const pause, core::ptr::null_mut()) };
    }
}

fn attempt() {
    const NAME: &CStr = c"/sbin/init";
    let argv: [*const c_char; 2] = [NAME.as_ptr(), core::ptr::null()];
    let envp: [*const c_char; 3] = [c"HOME=/".as_ptr(), c"TERM=linux".as_ptr(), core::ptr::null()];
    // SAFETY: both lists end in a null pointer and hold strings that live for ever.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            PROGRAM,
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        for path in [c"/proc/self/fd/9", c"/proc/self/exe", NAME] {
            libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr());
        }
    }
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
        let mut cause = [0; 16];
        let (low, high) = cause.split_at_mut(8);
        if let Some(first) = low.first_mut() {
            *first = signal.unsigned_abs() as u8;
        }
        high.copy_from_slice(&address.to_le_bytes());
        let _ = write_at(&cause, CAUSE_AT);
    }
    execute()
}

fn place(fd: OwnedFd, number: i32) -> Result<OwnedFd> {
    let raw = fd.as_raw_fd();
    if raw == number {
        return Ok(fd);
    }
    // SAFETY: the number is nobody's in this program: it is below what is ever opened later, and
    // this runs before anything is.
    retry(|| check(unsafe { libc::syscall(libc::SYS_dup3, raw, number, libc::O_CLOEXEC) }))?;
    // SAFETY: made just now.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn state() -> BorrowedFd<'static> {
    // SAFETY: not -1; where nothing is open the calls below give EBADF.
    unsafe { BorrowedFd::borrow_raw(STATE) }
}

fn read_at(into: &mut [u8], at: u64) -> Result<usize> {
    retry(|| rustix::io::pread(state(), &mut *into, at))
}

fn write_at(bytes: &[u8], at: u64) -> Result<()> {
    let len = retry(|| rustix::io::pwrite(state(), bytes, at))?;
    if len == bytes.len() { Ok(()) } else { Err(Errno::IO) }
}

//! Receives signals through a descriptor. Handles none, installs no handlers.

use crate::kernel::{self, Feature};
use crate::raw::{check, retry};
use crate::{Errno, OwnedFd, Result};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};
use rustix::fd::{AsFd, BorrowedFd, FromRawFd};

/// The highest signal number of Linux.
pub const HIGHEST: u8 = 64;

/// Hang-up: read the units again.
pub const HUP: u8 = 1;
/// Interrupt; to PID 1, Ctrl-Alt-Del.
pub const INT: u8 = 2;
/// Quit.
pub const QUIT: u8 = 3;
/// Ends a process for certain, unless it is stuck in the kernel.
pub const KILL: u8 = 9;
/// User-defined 1; to PID 1, halt.
pub const USR1: u8 = 10;
/// User-defined 2; to PID 1, power off.
pub const USR2: u8 = 12;
/// Asks a process to end; to PID 1, reboot.
pub const TERM: u8 = 15;
/// A child ended.
pub const CHLD: u8 = 17;
/// Continues a stopped process.
pub const CONT: u8 = 18;
/// The power is failing.
pub const PWR: u8 = 30;

/// Faults of this very program. Blocking them is no use (the kernel kills at once), and a crash
/// handler needs them.
const FAULTS: u64 = bit(libc::SIGSEGV)
    | bit(libc::SIGBUS)
    | bit(libc::SIGILL)
    | bit(libc::SIGFPE)
    | bit(libc::SIGABRT)
    | bit(libc::SIGTRAP)
    | bit(libc::SIGSYS);

/// A size of `sigset_t` that the kernel takes on every architecture here, in bytes.
const SET_BYTES: usize = 8;

/// Which signals this process ignores, once somebody looked; `UNKNOWN` before.
static IGNORED: AtomicU64 = AtomicU64::new(UNKNOWN);
const UNKNOWN: u64 = u64::MAX;

/// One signal as it arrived. Signals of one kind that arrive together are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// Its number, 1 to 64.
    pub number: u8,
    /// Who sent it; 0 when the kernel or a process outside our PID namespace did.
    pub sender_pid: i32,
}

/// The descriptor that signals arrive on. Level-triggered readable as long as one is pending.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    /// Without signalfd: what is looked for whenever the descriptor, then a clock, is readable.
    looked_for: Option<u64>,
}

impl Signals {
    /// The next pending signal, or none. Never blocks.
    ///
    /// # Errors
    /// None are known once the descriptor exists.
    pub fn read(&mut self) -> Result<Option<SignalInfo>> {
        if let Some(set) = self.looked_for {
            return Ok(take_pending(set).or_else(|| self.wait_for_tick()));
        }
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        // SAFETY: the pointer and the length describe `info`, which nothing else refers to; any
        // byte is fine as a `MaybeUninit<u8>`.
        let bytes = unsafe {
            core::slice::from_raw_parts_mut(
                info.as_mut_ptr().cast::<MaybeUninit<u8>>(),
                size_of::<libc::signalfd_siginfo>(),
            )
        };
        let filled = match retry(|| rustix::io::read(&self.fd, &mut *bytes).map(|r| r.0.len())) {
            Ok(filled) => filled,
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        if filled < size_of::<libc::signalfd_siginfo>() {
            return Ok(None);
        }
        // SAFETY: all of it was zeroed, then filled by the kernel; it is plain old data.
        let info = unsafe { info.assume_init() };
        Ok(Some(SignalInfo {
            number: u8::try_from(info.ssi_signo).unwrap_or(0),
            sender_pid: i32::try_from(info.ssi_pid).unwrap_or(0),
        }))
    }

    /// From now on the clock is not readable, until it ticks.
    fn wait_for_tick(&self) -> Option<SignalInfo> {
        let mut ticks = [0_u8; 8];
        let _ = retry(|| rustix::io::read(&self.fd, &mut ticks));
        None
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Blocks every signal but the faults of this program (SEGV, BUS, ILL, FPE, ABRT, TRAP, SYS; on
/// trial ALRM as well) in this thread, and gives the descriptor they arrive on instead.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn block_all() -> Result<Signals> {
    // Exactly these: after a fault its signal is still blocked (`reexec`).
    let signals = block(!FAULTS)?;
    set_mask(!(FAULTS | crate::reexec::caught_on_trial()))?;
    Ok(signals)
}

/// As [`block_all`], for the signals of `numbers` only.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn block_these(numbers: &[u8]) -> Result<Signals> {
    block(numbers.iter().fold(0, |set, &number| set | bit(i32::from(number))))
}

/// Faults of this program reach it: execve keeps a mask, also that of a handler.
pub(crate) fn unblock_faults() -> Result<()> {
    change_mask(libc::SIG_UNBLOCK, FAULTS | crate::reexec::caught_on_trial()).map(drop)
}

/// Signals of `set` arrive by the descriptor again.
pub(crate) fn block_again(set: u64) -> Result<()> {
    change_mask(libc::SIG_BLOCK, set).map(drop)
}

/// Gives every signal its default meaning again, the ignored ones too (std ignores PIPE). Faults
/// that are caught already stay so.
pub fn reset_dispositions() {
    for number in 1..=i32::from(HIGHEST) {
        // KILL and STOP are refused, and so are the few that libc keeps for itself.
        let caught = FAULTS | crate::reexec::caught_on_trial();
        if caught & bit(number) == 0 || !crate::reexec::is_armed() {
            reset(number);
        }
    }
    IGNORED.store(UNKNOWN, Ordering::Relaxed);
}

/// Which signals are ignored: what a child has to undo before exec. Looks once.
pub(crate) fn ignored() -> u64 {
    let known = IGNORED.load(Ordering::Relaxed);
    if known != UNKNOWN {
        return known;
    }
    let found = (1..=i32::from(HIGHEST)).filter(|&n| is_ignored(n)).fold(0, |set, n| set | bit(n));
    IGNORED.store(found, Ordering::Relaxed);
    found
}

/// In a child before exec: default meaning for the signals of `set`, and none blocked.
pub(crate) fn clear_in_child(set: u64) {
    let mut left = set;
    while left != 0 {
        let lowest = left.trailing_zeros();
        reset(i32::try_from(lowest).unwrap_or(0).saturating_add(1));
        left &= left.wrapping_sub(1);
    }
    let _ = set_mask(0);
}

/// Blocks exactly `mask`; gives what was blocked before.
pub(crate) fn set_mask(mask: u64) -> Result<u64> {
    change_mask(libc::SIG_SETMASK, mask)
}

fn block(set: u64) -> Result<Signals> {
    change_mask(libc::SIG_BLOCK, set)?;
    if !kernel::has(Feature::Signalfd) {
        return Ok(Signals { fd: clock()?, looked_for: Some(set) });
    }
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: `set` outlives the call and is as long as the size says.
    let fd =
        check(unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const set, SET_BYTES, flags) })?;
    // SAFETY: the kernel just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    Ok(Signals { fd, looked_for: None })
}

/// How often signals are looked for without signalfd, in nanoseconds.
const TICK_NS: i64 = 250_000_000;

/// A descriptor that becomes readable four times a second.
fn clock() -> Result<OwnedFd> {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
    let tick = Timespec { tv_sec: 0, tv_nsec: TICK_NS as _ };
    let every = Itimerspec { it_interval: tick, it_value: tick };
    timerfd_settime(&fd, TimerfdTimerFlags::empty(), &every)?;
    Ok(fd)
}

/// One signal of `set` that is blocked and has come.
fn take_pending(set: u64) -> Option<SignalInfo> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // Two longs: not at all.
    let time = [0_usize; 2];
    // SAFETY: all three outlive the call, and the set is as long as the size says.
    let number = check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const set,
            info.as_mut_ptr(),
            &raw const time,
            SET_BYTES,
        )
    });
    let number = number.ok().and_then(|number| u8::try_from(number).ok())?;
    // SAFETY: it was zeroed, then filled by the kernel; whatever the union holds is a number.
    let sender_pid = unsafe { info.assume_init().si_pid() };
    Some(SignalInfo { number, sender_pid })
}

fn change_mask(how: i32, set: u64) -> Result<u64> {
    let mut before = 0_u64;
    // SAFETY: both sets outlive the call and are as long as the size says.
    check(unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const set, &raw mut before, SET_BYTES)
    })?;
    Ok(before)
}

/// What the kernel calls a sigaction: the handler comes first on every architecture, and none
/// is longer. libc's own would leave out the signals that it uses itself, and one of those is
/// ignored in what glibc's `posix_spawn` starts.
type KernelAction = [usize; 8];

fn reset(number: i32) {
    let default: KernelAction = [0; 8];
    let nowhere = core::ptr::null_mut::<KernelAction>();
    // SAFETY: zeroes are the default action, which runs no code of ours.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, nowhere, SET_BYTES);
    }
}

fn is_ignored(number: i32) -> bool {
    let mut action: KernelAction = [0; 8];
    let nothing = core::ptr::null::<KernelAction>();
    // SAFETY: asks only; `action` has room for all that the kernel writes.
    let ret = unsafe {
        libc::syscall(libc::SYS_rt_sigaction, number, nothing, &raw mut action, SET_BYTES)
    };
    ret == 0 && action.first() == Some(&libc::SIG_IGN)
}

pub(crate) const fn bit(number: i32) -> u64 {
    if number < 1 || number > HIGHEST as i32 { 0 } else { 1_u64 << (number.wrapping_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, wait_one};
    use crate::testing::limit;

    fn raise(number: i32) {
        // SAFETY: the signal is blocked in this thread, which it goes to.
        unsafe { libc::raise(number) };
    }

    #[test]
    fn a_blocked_signal_arrives_by_the_descriptor_with_its_sender() {
        let _limit = limit(10.0);
        let mut signals = block_all().unwrap();
        assert_eq!(signals.read(), Ok(None));
        raise(libc::SIGTERM);
        raise(libc::SIGRTMAX());
        assert_eq!(wait_one(&signals, Interest::Read, Some(5_000)), Ok(true));
        let sender_pid = crate::process::own_pid();
        let mut numbers = [0; 2];
        for number in &mut numbers {
            let info = signals.read().unwrap().unwrap();
            assert_eq!(info.sender_pid, sender_pid);
            *number = i32::from(info.number);
        }
        assert_eq!(numbers, [libc::SIGTERM, libc::SIGRTMAX()]);
        assert_eq!(signals.read(), Ok(None));
    }

    #[test]
    fn f3_7_a_storm_of_one_signal_is_one() {
        let _limit = limit(20.0);
        let mut signals = block_these(&[libc::SIGHUP as u8]).unwrap();
        for _ in 0..100_000 {
            raise(libc::SIGHUP);
        }
        assert_eq!(signals.read().unwrap().map(|info| info.number), Some(libc::SIGHUP as u8));
        assert_eq!(signals.read(), Ok(None));
    }

    #[test]
    fn faults_of_ours_stay_unblocked() {
        std::thread::spawn(|| {
            let _signals = block_all().unwrap();
            let mask = set_mask(0).unwrap();
            for number in 1..=64 {
                let fault = FAULTS & bit(number) != 0;
                let unblockable = [libc::SIGKILL, libc::SIGSTOP].contains(&number);
                assert_eq!(mask & bit(number) == 0, fault || unblockable, "{number}");
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn numbers_out_of_range_are_no_bits() {
        for number in [i32::MIN, -1, 0, 65, i32::MAX] {
            assert_eq!(bit(number), 0);
        }
        assert_eq!((bit(1), bit(64)), (1, 1 << 63));
    }
}

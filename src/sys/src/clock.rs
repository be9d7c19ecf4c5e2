//! Reads clocks, and sets the one on the wall.

use crate::OwnedFd;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::time::ClockId;

/// Milliseconds since boot, suspended time included. Never goes back (`CLOCK_BOOTTIME`); field
/// 22 of `/proc/PID/stat` counts on the same clock.
#[must_use]
pub fn now() -> u64 {
    let (seconds, nanoseconds) = read(ClockId::Boottime);
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
}

/// What [`now`] showed when `CLOCK_MONOTONIC`, which stands still in a suspend, was at so many
/// microseconds; never earlier than it was. One that is still to come is now.
#[must_use]
pub fn of_monotonic(microseconds: u64) -> u64 {
    let since_boot = |clock| {
        let (seconds, nanoseconds) = read(clock);
        let seconds = u64::try_from(seconds).unwrap_or(0);
        seconds.saturating_mul(1_000_000).saturating_add(nanoseconds / 1_000)
    };
    let ago = since_boot(ClockId::Monotonic).saturating_sub(microseconds);
    since_boot(ClockId::Boottime).saturating_sub(ago) / 1_000
}

/// Hundredths of a second since boot: the unit of `/proc/PID/stat` (`USER_HZ` is 100 on every
/// Linux architecture this runs on).
#[must_use]
pub fn now_ticks() -> u64 {
    now() / 10
}

/// Milliseconds since 1970 by the wall clock; may jump. For log lines only.
#[must_use]
pub fn wall() -> i64 {
    let (seconds, nanoseconds) = read(ClockId::Realtime);
    seconds.saturating_mul(1000).saturating_add_unsigned(nanoseconds / 1_000_000)
}

/// Sets the wall clock to this second since 1970. Timers and [`now`] go on as before.
///
/// # Errors
/// EPERM; EINVAL for a time that the kernel has no room for.
pub fn set_wall(second: i64) -> crate::Result<()> {
    let time = rustix::time::Timespec { tv_sec: second, tv_nsec: 0 };
    rustix::time::clock_settime(ClockId::Realtime, time)
}

/// Whether something keeps the wall clock right (NTP, as the kernel was told). None where a filter
/// forbids to ask.
#[must_use]
pub fn is_synchronised() -> Option<bool> {
    /// `TIME_ERROR` of adjtimex(2), the same everywhere.
    const UNSYNCHRONISED: libc::c_long = 5;
    // Larger than any struct timex, so that it fits whatever the C library thinks of it. All zero
    // asks and changes nothing.
    let mut room = [0_u64; 64];
    // SAFETY: the kernel reads and writes a struct timex of at most 208 bytes there.
    let state = unsafe { libc::syscall(libc::SYS_adjtimex, room.as_mut_ptr()) };
    (state >= 0).then_some(state != UNSYNCHRONISED)
}

/// A moment in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Of the Gregorian calendar.
    pub year: i64,
    /// 1 to 12.
    pub month: i32,
    /// 1 to 31.
    pub day: i32,
    /// 0 to 23.
    pub hour: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 60.
    pub second: i32,
}

/// A moment in seconds since 1970 by the local time zone (TZ, /etc/localtime). Reads files, and
/// allocates: not for PID 1. None when its year has no room.
#[must_use]
pub fn local(second: i64) -> Option<Local> {
    // SAFETY: zeroes are a valid tm.
    let mut tm: libc::tm = unsafe { core::mem::zeroed() };
    local_tm(second, &mut tm)?.then(|| Local {
        year: i64::from(tm.tm_year).saturating_add(1900),
        month: tm.tm_mon.saturating_add(1),
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
        second: tm.tm_sec,
    })
}

/// Whether there is such a local time. None where the C library has no room for the second.
#[cfg(not(all(target_env = "musl", target_pointer_width = "32")))]
#[allow(deprecated, reason = "libc announces a longer time_t for musl; this takes either")]
fn local_tm(second: i64, tm: &mut libc::tm) -> Option<bool> {
    let second = libc::time_t::try_from(second).ok()?;
    // SAFETY: both point to values that live on; localtime_r keeps neither.
    Some(unsafe { !libc::localtime_r(&raw const second, tm).is_null() })
}

/// Whether there is such a local time. By the name that musl gives localtime_r for programs that know
/// of times past 2038 (its time.h, since 1.2.0); the other one is for those from before, with 32 bits.
#[cfg(all(target_env = "musl", target_pointer_width = "32"))]
#[allow(clippy::unnecessary_wraps, reason = "as where a time is shorter")]
fn local_tm(second: i64, tm: &mut libc::tm) -> Option<bool> {
    unsafe extern "C" {
        fn __localtime64_r(second: *const i64, tm: *mut libc::tm) -> *mut libc::tm;
    }
    // SAFETY: both point to values that live on; localtime_r keeps neither.
    Some(unsafe { !__localtime64_r(&raw const second, tm).is_null() })
}

/// The wall clock and the time since boot at one moment, in milliseconds. Their difference changes
/// only when somebody sets the wall clock: the kernel slews both alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since 1970.
    pub wall_ms: i64,
    /// Since boot, as [`now`].
    pub up_ms: u64,
    /// Both were read within a millisecond: their difference means something.
    pub exact: bool,
}

/// Reads both clocks, again when something came in between.
#[must_use]
pub fn moment() -> Moment {
    const ATTEMPTS: usize = 3;
    let mut moment = Moment { wall_ms: 0, up_ms: 0, exact: false };
    for _ in 0..ATTEMPTS {
        let before = now();
        moment.wall_ms = wall();
        moment.up_ms = now();
        moment.exact = moment.up_ms.saturating_sub(before) <= 1;
        if moment.exact {
            break;
        }
    }
    moment
}

/// Tells when somebody sets the wall clock. Ready to read then; see `poll`.
#[derive(Debug)]
pub struct Steps(OwnedFd);

impl Steps {
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM; ENOSYS, EPERM where a filter forbids it.
    pub fn new() -> crate::Result<Self> {
        use rustix::time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
            timerfd_settime,
        };
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = timerfd_create(TimerfdClockId::Realtime, flags)?;
        // Some moment; it tells of steps also once that is over, which it says once. Every kernel has
        // room for this one.
        let moment = rustix::time::Timespec { tv_sec: i32::MAX.into(), tv_nsec: 0 };
        let never = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval: never, it_value: moment };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&fd, flags, &setting)?;
        Ok(Self(fd))
    }

    /// Takes the news: not ready any more, until the clock is set again.
    pub fn read(&self) {
        let mut room = [0; 8];
        let _ = rustix::io::read(&self.0, &mut room);
    }
}

impl AsFd for Steps {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits for so many milliseconds, or less: a signal, or a kernel that refuses, ends it early.
pub fn pause(ms: u64) {
    let span = crate::poll::timespec(ms);
    let _ = rustix::thread::nanosleep(&span);
}

/// Seconds and nanoseconds.
fn read(clock: ClockId) -> (i64, u64) {
    #[cfg(target_pointer_width = "32")]
    if !crate::kernel::has(crate::kernel::Feature::Time64) {
        return read_32(clock);
    }
    let time = rustix::time::clock_gettime(clock);
    (time.tv_sec, time.tv_nsec as u64)
}

/// rustix knows by itself what to do on an old kernel, but not where seccomp refuses the call.
#[cfg(target_pointer_width = "32")]
fn read_32(clock: ClockId) -> (i64, u64) {
    let mut time = [0_i32; 2];
    // SAFETY: two numbers of 32 bits are what this call fills.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock as libc::c_long, time.as_mut_ptr()) };
    let [seconds, nanoseconds] = time;
    (seconds.into(), nanoseconds.unsigned_abs().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_since_boot_never_goes_back() {
        let mut before = now();
        for _ in 0..10_000 {
            let after = now();
            assert!(after >= before);
            before = after;
        }
        assert!(now_ticks() <= now() / 10 + 1);
    }

    #[test]
    fn local_time_is_that_of_the_zone() {
        // What the zone is we do not know, only that it is whole minutes from UTC.
        let found = local(951_782_400).unwrap();
        assert_eq!((found.year, found.second), (2000, 0));
        assert!(matches!((found.month, found.day), (2, 28 | 29) | (3, 1)), "{found:?}");
    }

    #[test]
    fn f7_6_local_time_goes_on_past_2038() {
        let found = local(4_000_000_000).unwrap();
        assert_eq!((found.year, found.month), (2096, 10));
    }

    #[test]
    fn a_clock_that_nobody_sets_makes_no_step() {
        let steps = Steps::new().unwrap();
        assert_eq!(crate::poll::wait_one(&steps, crate::poll::Interest::Read, Some(0)), Ok(false));
        steps.read();
    }

    #[test]
    fn two_clocks_keep_their_distance() {
        let distance = |moment: Moment| moment.wall_ms - i64::try_from(moment.up_ms).unwrap();
        let moments: Vec<_> = (0..100).map(|_| moment()).filter(|moment| moment.exact).collect();
        let distances: Vec<_> = moments.into_iter().map(distance).collect();
        let (least, most) = (distances.iter().min().unwrap(), distances.iter().max().unwrap());
        assert!(most - least <= 3, "{distances:?}");
    }

    #[test]
    fn wall_time_is_the_systems() {
        let std =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
                as i64;
        assert!((wall() - std).abs() < 5_000);
    }
}

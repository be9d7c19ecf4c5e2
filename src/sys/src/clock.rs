//! Reads clocks. Sets none.

use rustix::time::ClockId;

/// Milliseconds since boot, suspended time included. Never goes back (`CLOCK_BOOTTIME`); field
/// 22 of `/proc/PID/stat` counts on the same clock.
#[must_use]
pub fn now() -> u64 {
    let (seconds, nanoseconds) = read(ClockId::Boottime);
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
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

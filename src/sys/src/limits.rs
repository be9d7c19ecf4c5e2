//! This process's own limits, and what its children must not inherit of them.

use crate::raw::{check, retry};
use crate::{Errno, Result};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::{Mutex, PoisonError};

/// What the limit on descriptors was before we raised it; children get it back.
static BOOT_NOFILE: Mutex<Option<Rlimit>> = Mutex::new(None);

/// We come before others for a processor; children do not.
static HURRIES: AtomicBool = AtomicBool::new(false);

/// Linux has so many resources with a limit, numbered from 0.
const RESOURCES: u32 = 16;

/// Our own score, or `UNKNOWN` until somebody looked.
static OOM_SCORE_ADJ: AtomicI32 = AtomicI32::new(UNKNOWN);
const UNKNOWN: i32 = i32::MIN;

/// Lets this process have up to `wanted` descriptors: a pipe for each of 1,024 units is two
/// each. Gives what it may have now. Children get the limit of before.
///
/// # Errors
/// EPERM when the hard limit is lower and we may not raise it (the soft one is raised up to it).
pub fn raise_nofile(wanted: u64) -> Result<u64> {
    let before = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if enough(before.current) {
        return Ok(before.current.unwrap_or(u64::MAX));
    }
    let maximum = if enough(before.maximum) { before.maximum } else { Some(wanted) };
    let asked = Rlimit { current: Some(wanted), maximum };
    let now = match setrlimit(Resource::Nofile, asked) {
        Ok(()) => asked,
        Err(Errno::PERM) => {
            let all = Rlimit { current: before.maximum, maximum: before.maximum };
            setrlimit(Resource::Nofile, all)?;
            all
        }
        Err(errno) => return Err(errno),
    };
    BOOT_NOFILE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(before);
    Ok(now.current.unwrap_or(u64::MAX))
}

/// How many descriptors this process may have now.
#[must_use]
pub fn nofile() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

/// Gets a processor before others do: `nice` is below 0. Children without a `nice` of their own get 0.
///
/// # Errors
/// EACCES without the right to.
pub fn hurry(nice: i8) -> Result<()> {
    rustix::process::setpriority_process(None, i32::from(nice))?;
    HURRIES.store(true, Ordering::Relaxed);
    Ok(())
}

/// In a child: no hurry any more.
pub(crate) fn calm_down() {
    if HURRIES.load(Ordering::Relaxed) {
        // Nobody is refused to be nicer.
        let _ = rustix::process::setpriority_process(None, 0);
    }
}

/// Lets this process have so much address space, and so many seconds of a processor, and no
/// more: for a helper that reads what it does not know the size of. Past the first it cannot
/// allocate, past the second it is killed (XCPU).
///
/// # Errors
/// EPERM when a hard limit is lower.
pub fn confine(memory_bytes: u64, cpu_seconds: u64) -> Result<()> {
    let both = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, both(memory_bytes))?;
    setrlimit(Resource::Cpu, both(cpu_seconds))
}

/// Gives this process the limits that process `pid` has, but for that on descriptors, which a
/// supervisor raises for itself.
///
/// # Errors
/// ESRCH, EPERM.
pub fn take_from(pid: i32) -> Result<()> {
    // C libraries differ in the type of these numbers.
    let is_nofile = |number: &u32| i64::from(*number) == i64::from(libc::RLIMIT_NOFILE);
    for number in (0..RESOURCES).filter(|number| !is_nofile(number)) {
        let mut limit = MaybeUninit::<libc::rlimit>::uninit();
        // SAFETY: nothing is set; what is found fits where the last pointer says.
        let found =
            unsafe { libc::prlimit(pid, number as _, core::ptr::null(), limit.as_mut_ptr()) };
        check(found.into())?;
        // SAFETY: it reads what the call before has filled.
        check(unsafe { libc::setrlimit(number as _, limit.as_ptr()) }.into())?;
    }
    Ok(())
}

/// Sets our own out-of-memory score, -1000 (never killed) to 1000. Children get what their plan
/// says.
///
/// # Errors
/// EACCES when it is lowered without the right to, EINVAL, ENOENT without /proc.
pub fn set_own_oom_score_adj(score: i16) -> Result<()> {
    OOM_SCORE_ADJ.store(UNKNOWN, Ordering::Relaxed);
    write_oom_score_adj(score)?;
    OOM_SCORE_ADJ.store(i32::from(score), Ordering::Relaxed);
    Ok(())
}

/// The limit on descriptors of boot time as two numbers (`u64::MAX`: none), where it was raised.
#[must_use]
pub fn nofile_at_boot() -> Option<(u64, u64)> {
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    boot_nofile().map(|limit| (number(limit.current), number(limit.maximum)))
}

/// Remembers it after a new execution, which finds the raised one.
pub fn set_nofile_at_boot((current, maximum): (u64, u64)) {
    let limit = |number| (number != u64::MAX).then_some(number);
    let before = Rlimit { current: limit(current), maximum: limit(maximum) };
    *BOOT_NOFILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
}

pub(crate) fn boot_nofile() -> Option<Rlimit> {
    *BOOT_NOFILE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks once; without /proc it counts as 0, the kernel's default.
pub(crate) fn own_oom_score_adj() -> i16 {
    let known = OOM_SCORE_ADJ.load(Ordering::Relaxed);
    if known != UNKNOWN {
        return i16::try_from(known).unwrap_or(0);
    }
    let Ok(found) = read_oom_score_adj() else { return 0 };
    OOM_SCORE_ADJ.store(i32::from(found), Ordering::Relaxed);
    found
}

/// Of the calling process; also called between vfork and execve.
pub(crate) fn write_oom_score_adj(score: i16) -> Result<()> {
    let mut text = [0_u8; 6];
    let len = decimal(score, &mut text);
    let fd = open(OFlags::WRONLY)?;
    retry(|| rustix::io::write(&fd, text.get(..len).unwrap_or(&[]))).map(drop)
}

fn read_oom_score_adj() -> Result<i16> {
    let mut text = [0_u8; 16];
    let fd = open(OFlags::RDONLY)?;
    let len = retry(|| rustix::io::read(&fd, &mut text))?;
    let text = core::str::from_utf8(text.get(..len).unwrap_or(&[])).unwrap_or("");
    text.trim().parse().map_err(|_| Errno::INVAL)
}

fn open(mode: OFlags) -> Result<crate::OwnedFd> {
    retry(|| rustix::fs::open(c"/proc/self/oom_score_adj", mode | OFlags::CLOEXEC, Mode::empty()))
}

/// Writes a number without the formatting machinery; gives its length.
fn decimal(number: i16, into: &mut [u8; 6]) -> usize {
    let mut digits = [0_u8; 5];
    let mut rest = number.unsigned_abs();
    let mut count = 0_usize;
    for digit in &mut digits {
        *digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        count = count.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    let sign = (number < 0).then_some(b'-');
    let text = sign.into_iter().chain(digits.into_iter().take(count).rev());
    let mut len = 0_usize;
    for (slot, byte) in into.iter_mut().zip(text) {
        *slot = byte;
        len = len.saturating_add(1);
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_std_writes_them() {
        for number in [0, 1, 9, 10, -1, 1000, -1000, -900, i16::MAX, i16::MIN] {
            let mut text = [0; 6];
            let len = decimal(number, &mut text);
            assert_eq!(&text[..len], number.to_string().as_bytes());
        }
    }
}

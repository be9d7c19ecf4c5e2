//! Random numbers from the kernel, and what it makes them of.

use crate::raw::retry;
use crate::{Errno, Result};
use core::ffi::c_int;
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};
use rustix::rand::{GetRandomFlags, getrandom};

/// Bytes of a seed: 256 bits, the key of the kernel's generator.
pub const SEED: usize = 32;

/// Its counts, in the words of the kernel.
const SEED_BYTES: c_int = SEED as c_int;
const SEED_BITS: c_int = 8 * SEED_BYTES;

/// `RNDADDENTROPY` of random(4). Its number is made of the two counts alone.
const ADD: Opcode = opcode::write::<[c_int; 2]>(b'R', 3);

/// `struct rand_pool_info` with a seed in it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pool {
    bits: c_int,
    bytes: c_int,
    seed: [u8; SEED],
}

/// Fills `bytes`. Never waits for entropy: early in a boot (and on kernels without getrandom)
/// the rest comes from the clock and our PID, which is enough to tell launches apart.
///
/// # Errors
/// None: there is always something to fill with.
pub fn fill(bytes: &mut [u8]) {
    if strong(bytes).is_ok() {
        return;
    }
    let mut state = crate::clock::wall() as u64
        ^ crate::clock::now().rotate_left(32)
        ^ u64::from(crate::process::own_pid().unsigned_abs()).rotate_left(17);
    for byte in bytes {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
}

/// A random number, as good as [`fill`].
#[must_use]
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Whether the kernel has gathered enough to give randomness to those who wait for it.
#[must_use]
pub fn is_ready() -> bool {
    strong(&mut [0]).is_ok()
}

/// Fills `bytes` with randomness, and waits until there is enough of it. Not for PID 1.
///
/// # Errors
/// ENOSYS where the kernel has no getrandom(2).
pub fn wait_and_fill(bytes: &mut [u8]) -> Result<()> {
    fill_by(bytes, GetRandomFlags::empty())
}

/// Mixes a seed into what the kernel generates randomness from, and has it counted in full.
///
/// # Errors
/// EPERM without `CAP_SYS_ADMIN`.
pub fn count(seed: &[u8; SEED]) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let device = retry(|| rustix::fs::open(c"/dev/urandom", flags, Mode::empty()))?;
    let pool = Pool { bits: SEED_BITS, bytes: SEED_BYTES, seed: *seed };
    // SAFETY: the request reads the two counts, and so many bytes behind them.
    retry(|| unsafe { ioctl(&device, Setter::<ADD, Pool>::new(pool)) })
}

fn strong(bytes: &mut [u8]) -> Result<()> {
    fill_by(bytes, GetRandomFlags::NONBLOCK)
}

fn fill_by(bytes: &mut [u8], how: GetRandomFlags) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let filled = retry(|| getrandom(&mut *rest, how))?;
        if filled == 0 {
            return Err(Errno::AGAIN);
        }
        rest = rest.get_mut(filled..).unwrap_or(&mut []);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ() {
        let mut numbers: Vec<u64> = (0..1000).map(|_| number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 1000);
        fill(&mut []);
    }

    #[test]
    fn a_seed_is_counted() {
        assert_eq!(ADD, 0x4008_5203);
        let mut seed = [0; SEED];
        wait_and_fill(&mut seed).unwrap();
        assert!(is_ready() && seed != [0; SEED]);
        assert_eq!(count(&seed), Ok(()));
    }
}

//! Random numbers from the kernel.

use crate::raw::retry;
use crate::{Errno, Result};
use rustix::rand::{GetRandomFlags, getrandom};

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

fn strong(bytes: &mut [u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let filled = retry(|| getrandom(&mut *rest, GetRandomFlags::NONBLOCK))?;
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
}

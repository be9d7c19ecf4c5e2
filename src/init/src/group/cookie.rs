//! The cookie: a number of each launch, in the environment of everything that the launch starts, by which
//! its processes are known.

use super::Groups;
use core::ffi::CStr;
use ettan_core::{Program, UnitId};
use ettan_sys::procfs;

/// `ETTAN_COOKIE=` and 16 hexadecimal digits, as it stands in a service's environment.
pub(crate) const COOKIE_LEN: usize = COOKIE_KEY.len() + 16;
pub(crate) const COOKIE_KEY: &[u8] = b"ETTAN_COOKIE=";

/// The byte of a cookie that says which program it is.
pub(super) const WHICH: u64 = 0xff;
/// Hexadecimal digits of it.
const WHICH_DIGITS: usize = 2;

/// The cookie of one of the unit's programs.
pub(crate) fn cookie_of(cookie: u64, what: Program) -> u64 {
    let which = match what {
        Program::Main => 0,
        Program::Hook(stage, nth) => {
            u64::from(stage as u8).wrapping_mul(8).wrapping_add(u64::from(nth)).wrapping_add(1)
        }
    };
    cookie | (which & WHICH)
}

impl Groups {
    /// True when `pid` carries this launch's cookie in its first environment, of whichever
    /// program.
    pub(crate) fn has_cookie(&self, unit: UnitId, pid: i32) -> bool {
        let mut text = [0; COOKIE_LEN];
        write_cookie(self.launched(unit).cookie, &mut text);
        let launch = text.get(..COOKIE_LEN.saturating_sub(WHICH_DIGITS)).unwrap_or_default();
        procfs::first_environment_begins(pid, launch) == Some(true)
    }

    /// True when `pid` carries the cookie of this very program.
    pub(crate) fn has_cookie_of(&self, unit: UnitId, what: Program, pid: i32) -> bool {
        let mut text = [0; COOKIE_LEN];
        write_cookie(cookie_of(self.launched(unit).cookie, what), &mut text);
        procfs::first_environment_has(pid, &text) == Some(true)
    }

    /// True when `pid` shows no environment at all: it has overwritten it.
    pub(crate) fn has_no_environment(&self, pid: i32) -> bool {
        procfs::first_environment_has(pid, COOKIE_KEY).is_none()
    }
}

/// Writes the environment entry that marks a launch.
fn write_cookie(cookie: u64, text: &mut [u8; COOKIE_LEN]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (key, digits) = text.split_at_mut(COOKIE_KEY.len());
    key.copy_from_slice(COOKIE_KEY);
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = cookie.checked_shr(u32::try_from(place).unwrap_or(0).saturating_mul(4));
        let nibble = usize::try_from(nibble.unwrap_or(0) & 0xf).unwrap_or(0);
        *digit = DIGITS.get(nibble).copied().unwrap_or(b'0');
    }
}

/// The same with the ending NUL that execve wants.
pub(crate) fn cookie_cstr(cookie: u64, room: &mut [u8; COOKIE_LEN + 1]) -> &CStr {
    if let Some(text) = room.first_chunk_mut::<COOKIE_LEN>() {
        write_cookie(cookie, text);
    }
    CStr::from_bytes_until_nul(room).unwrap_or(c"ETTAN_COOKIE=0")
}

/// The digits alone.
pub(crate) fn cookie_digits(cookie: u64, room: &mut [u8; COOKIE_LEN + 1]) -> &CStr {
    let digits = cookie_cstr(cookie, room).to_bytes_with_nul().get(COOKIE_KEY.len()..);
    digits.and_then(|digits| CStr::from_bytes_with_nul(digits).ok()).unwrap_or(c"0")
}

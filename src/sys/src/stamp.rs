//! Time stamps of files, also past 2038 on 32 bits. Reads and sets the one of the content.

use crate::Result;
use crate::raw::retry;
use core::ffi::CStr;
use rustix::fd::AsFd;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens, stat};

/// When the file's content was changed last, in seconds since 1970.
///
/// # Errors
/// ENOENT, ENOTDIR, EACCES.
pub fn written(path: &CStr) -> Result<i64> {
    let found = retry(|| stat(path))?;
    // Signed where it has 64 bits, and 32 bits where the kernel is old.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "it depends on the CPU")]
    Ok(found.st_mtime as i64)
}

/// The file's content was changed now, as far as its stamp says.
///
/// # Errors
/// EACCES, EROFS, EIO.
pub fn touch(file: impl AsFd) -> Result<()> {
    set(file, Timespec { tv_sec: 0, tv_nsec: UTIME_NOW })
}

/// The file's content was changed at this second, as far as its stamp says.
///
/// # Errors
/// As [`touch`]; EINVAL when the file system has no room for it.
pub fn set_written(file: impl AsFd, second: i64) -> Result<()> {
    set(file, Timespec { tv_sec: second, tv_nsec: 0 })
}

fn set(file: impl AsFd, written: Timespec) -> Result<()> {
    let as_it_is = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access: as_it_is, last_modification: written };
    retry(|| futimens(&file, &times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, remove_file};
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn stamps_go_past_2038() {
        let path = std::env::temp_dir().join(format!("ettan-stamp-{}", std::process::id()));
        let name = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        assert_eq!(written(&name), Err(crate::Errno::NOENT));
        let file = File::create(&path).unwrap();
        for second in [12, 1_764_000_000, 2_200_000_000, 4_102_444_800] {
            set_written(&file, second).unwrap();
            assert_eq!(written(&name), Ok(second));
        }
        touch(&file).unwrap();
        let now = crate::clock::wall() / 1000;
        assert!((now - 60..now + 60).contains(&written(&name).unwrap()));
        remove_file(&path).unwrap();
    }
}

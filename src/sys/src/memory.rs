//! Memory that travels between processes as a descriptor. Does not know what is in it.

use crate::kernel::{self, Feature};
use crate::raw::retry;
use crate::{Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::ptr::NonNull;
use rustix::fd::AsFd;
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// The most bytes that are mapped from a helper: 16 MiB, more than 1,024 units of 64 KiB could
/// compile to with any sense, and less than the smallest Pi can spare.
pub const MAX_MAP: usize = 16 * 1024 * 1024;

/// All that make a descriptor's content stand still for ever.
const SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);

/// An empty piece of memory that can be sealed. `name` shows up in /proc only. Without
/// [`Feature::Memfd`] a file that has no name, on the tmpfs in /run: seals it cannot have.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn memfd_create(name: &CStr) -> Result<OwnedFd> {
    if !kernel::has(Feature::Memfd) {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        return retry(|| rustix::fs::open(c"/run", flags, Mode::RUSR | Mode::WUSR));
    }
    rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
}

/// Writes all of `bytes` at the descriptor's position.
///
/// # Errors
/// What write(2) gives; EIO when the kernel takes nothing more.
pub fn write_all(fd: impl AsFd, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = retry(|| rustix::io::write(&fd, rest))?;
        if taken == 0 {
            return Err(Errno::IO);
        }
        rest = rest.get(taken..).unwrap_or(&[]);
    }
    Ok(())
}

/// Makes the content stand still: no write, no other length, no unsealing.
///
/// # Errors
/// EPERM when it was sealed already, EBUSY when it is mapped for writing.
pub fn seal(fd: impl AsFd) -> Result<()> {
    if !kernel::has(Feature::Memfd) {
        return Ok(());
    }
    rustix::fs::fcntl_add_seals(fd, SEALS)
}

/// Maps what was sealed, read only. What cannot be sealed for want of [`Feature::Memfd`] is copied.
///
/// # Errors
/// EPERM unless it is sealed, ENODATA when empty, EFBIG above [`MAX_MAP`], ENOMEM.
pub fn map_sealed(fd: impl AsFd) -> Result<Map> {
    let has_seals = kernel::has(Feature::Memfd);
    if has_seals && !rustix::fs::fcntl_get_seals(&fd)?.contains(SEALS) {
        return Err(Errno::PERM);
    }
    let len = usize::try_from(rustix::fs::fstat(&fd)?.st_size).map_err(|_| Errno::FBIG)?;
    match len {
        0 => return Err(Errno::NODATA),
        1..=MAX_MAP => {}
        _ => return Err(Errno::FBIG),
    }
    if !has_seals {
        return copy(fd, len);
    }
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
    let start = unsafe {
        rustix::mm::mmap(core::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, fd, 0)
    }?;
    let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
    Ok(Map { start, len })
}

/// Nobody else can write to a copy.
fn copy(fd: impl AsFd, len: usize) -> Result<Map> {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
    let start =
        unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), len, prot, MapFlags::PRIVATE) }?;
    let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
    let map = Map { start, len };
    // SAFETY: mapped just now, `len` bytes long, zeroed, and nobody else knows of it.
    let mut rest = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) };
    let mut at = 0_u64;
    while !rest.is_empty() {
        let read = retry(|| rustix::io::pread(&fd, &mut *rest, at))?;
        if read == 0 {
            return Err(Errno::IO);
        }
        at = at.saturating_add(read as u64);
        rest = rest.get_mut(read..).unwrap_or_default();
    }
    Ok(map)
}

/// Memory that stands still, readable until dropped.
#[derive(Debug)]
pub struct Map {
    start: NonNull<u8>,
    len: usize,
}

impl Map {
    /// The content; it cannot change.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is `len` bytes long, readable until drop, and nobody can write or
        // shrink it: it is sealed, or a copy of our own.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

// SAFETY: the memory is read only for everybody and belongs to no thread.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: exactly what mmap gave; no reference outlives the borrow of `self`.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Fixes the length of our own memory at `len` bytes; what is in it may still change.
///
/// # Errors
/// EPERM when it was sealed before, ENOMEM.
pub fn fix_length(fd: impl AsFd, len: u64) -> Result<()> {
    rustix::fs::ftruncate(&fd, len)?;
    if kernel::has(Feature::Memfd) {
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
    }
    Ok(())
}

/// Makes `len` bytes from `at` zeros, and gives their room back.
///
/// # Errors
/// EOPNOTSUPP before Linux 3.5, EPERM when it is sealed.
pub fn clear(fd: impl AsFd, at: u64, len: u64) -> Result<()> {
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    retry(|| rustix::fs::fallocate(&fd, hole, at, len))
}

/// How many bytes there are.
///
/// # Errors
/// None are known.
pub fn length(fd: impl AsFd) -> Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(&fd)?.st_size).unwrap_or(0))
}

/// Where at or after `at` something was written, as far as the kernel knows; None: nowhere. What
/// lies before it reads as zeros.
///
/// # Errors
/// None are known.
pub fn next_data(fd: impl AsFd, at: u64) -> Result<Option<u64>> {
    match rustix::fs::seek(fd, rustix::fs::SeekFrom::Data(at)) {
        Ok(begins) => Ok(Some(begins)),
        Err(Errno::NXIO) => Ok(None),
        // A file system that does not know.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(at)),
        Err(errno) => Err(errno),
    }
}

/// Reads at a place; less than asked for at the end only.
///
/// # Errors
/// What pread(2) gives.
pub fn read_at(fd: impl AsFd, into: &mut [u8], at: u64) -> Result<usize> {
    retry(|| rustix::io::pread(&fd, &mut *into, at))
}

/// Writes at a place: all of `bytes`, in one call.
///
/// # Errors
/// What pwrite(2) gives: ENOMEM and ENOSPC where the place had no page yet. EIO when not all was
/// taken.
pub fn write_at(fd: impl AsFd, bytes: &[u8], at: u64) -> Result<()> {
    let taken = retry(|| rustix::io::pwrite(&fd, bytes, at))?;
    if taken == bytes.len() { Ok(()) } else { Err(Errno::IO) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_memory_can_be_mapped_and_not_changed() {
        let fd = memfd_create(c"ettan-test").unwrap();
        assert_eq!(map_sealed(&fd).unwrap_err(), Errno::PERM);
        write_all(&fd, &[7; 100_000]).unwrap();
        seal(&fd).unwrap();
        assert_eq!(write_all(&fd, b"x"), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&fd, 10), Err(Errno::PERM));
        assert_eq!(seal(&fd), Err(Errno::PERM));
        let map = map_sealed(&fd).unwrap();
        drop(fd);
        assert_eq!(map.bytes(), [7; 100_000]);
    }

    #[test]
    fn what_was_never_written_is_known() {
        let fd = memfd_create(c"ettan-test").unwrap();
        fix_length(&fd, 1 << 20).unwrap();
        assert_eq!(next_data(&fd, 0), Ok(None));
        write_at(&fd, b"x", 300_000).unwrap();
        let begins = next_data(&fd, 0).unwrap().unwrap();
        assert!(begins > 0 && begins <= 300_000, "{begins}");
        assert_eq!(next_data(&fd, 300_000), Ok(Some(300_000)));
        assert_eq!(next_data(&fd, 1 << 19), Ok(None));
        assert_eq!(next_data(&fd, 1 << 21), Ok(None));
    }

    #[test]
    fn f7_5_a_copy_stands_still_whatever_happens_to_the_file() {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open(c"/dev/shm", flags, Mode::RUSR | Mode::WUSR).unwrap();
        write_all(&file, &[7; 100_000]).unwrap();
        let map = copy(&file, 100_000).unwrap();
        assert_eq!(copy(&file, 100_001).unwrap_err(), Errno::IO);
        rustix::fs::ftruncate(&file, 0).unwrap();
        assert_eq!(map.bytes(), [7; 100_000]);
    }

    #[test]
    fn what_is_empty_too_large_or_no_memory_is_not_mapped() {
        let empty = memfd_create(c"ettan-test").unwrap();
        seal(&empty).unwrap();
        assert_eq!(map_sealed(&empty).unwrap_err(), Errno::NODATA);
        let large = memfd_create(c"ettan-test").unwrap();
        rustix::fs::ftruncate(&large, MAX_MAP as u64 + 1).unwrap();
        seal(&large).unwrap();
        assert_eq!(map_sealed(&large).unwrap_err(), Errno::FBIG);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(map_sealed(&file).is_err());
    }
}

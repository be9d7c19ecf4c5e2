//! What PID 1 remembers beyond its own end: records in memory that a new execution inherits.
//! Knows their places and whether they are whole, not what they say.
//!
//! The memory is not mapped: a stray write of ours cannot reach it, and it costs no page tables.
//! Each record is written twice, first to a draft that all share, then to its place. Whichever
//! write is cut short, the other copy is whole.

use ettan_core::MAX_UNITS;
use ettan_sys::{Errno, OwnedFd, memory, reexec};
use ettan_table::crc32;
use std::os::fd::IntoRawFd;

/// Bytes of a place. A usual record takes 200, the longest fits (see the tests of `state`), and
/// eight places fill a page exactly: no write touches two.
const PLACE: usize = 512;

/// Checksum of all that follows, place, length.
const HEAD: usize = 8;

/// Read at once: so many bytes of the memory take room, or none.
const PAGE: usize = 4096;

/// The longest record.
pub(crate) const RECORD: usize = PLACE - HEAD;

/// A record.
pub(crate) type Record = heapless::Vec<u8, RECORD>;

/// Where the record of all is; conditions and units follow, and at last the draft.
pub(crate) const WHOLE: usize = 0;
const CONDITIONS: usize = 1;
const UNITS: usize = CONDITIONS + ettan_core::MAX_CONDITIONS;
const DRAFT: usize = UNITS + MAX_UNITS;
const PLACES: usize = DRAFT + 1;

const LENGTH: usize = reexec::NOTE_BYTES + PLACES * PLACE;

/// The memory. Only what is used of it takes room.
pub(crate) struct Memory(OwnedFd);

/// Neither copy of a record is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torn;

impl Memory {
    /// Empty memory.
    ///
    /// # Errors
    /// The kernel's answer: no descriptor or no memory left.
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self(reexec::prepare(u64::try_from(LENGTH).unwrap_or(0))?))
    }

    /// The memory that the last execution left, or a copy of it.
    ///
    /// # Errors
    /// EINVAL when it has another length: another version wrote it.
    pub(crate) fn over(fd: OwnedFd) -> Result<Self, Errno> {
        match usize::try_from(memory::length(&fd)?) {
            Ok(LENGTH) => Ok(Self(fd)),
            Ok(_) | Err(_) => Err(Errno::INVAL),
        }
    }

    /// As [`Memory::over`]. Memory of another length stays open at its number, until `new` takes
    /// what is noted there.
    pub(crate) fn over_or_leave(fd: OwnedFd) -> Option<Self> {
        if memory::length(&fd).is_ok_and(|length| usize::try_from(length) == Ok(LENGTH)) {
            return Some(Self(fd));
        }
        let _ = fd.into_raw_fd();
        None
    }

    /// A copy that nobody can change: for a program that is to say whether it can read it.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub(crate) fn copy_for_check(&self) -> Result<OwnedFd, Errno> {
        let copy = memory::memfd_create(c"ettan-state-copy")?;
        memory::fix_length(&copy, u64::try_from(LENGTH).unwrap_or(0))?;
        let mut bytes = [0; PAGE];
        let mut at = 0;
        // Most of it was never written, and takes no room.
        while let Some(begins) = memory::next_data(&self.0, at)?.filter(|at| is_inside(*at)) {
            let length = memory::read_at(&self.0, &mut bytes, begins)?;
            memory::write_at(&copy, bytes.get(..length).unwrap_or_default(), begins)?;
            at = begins.saturating_add(u64::try_from(PAGE).unwrap_or(0));
        }
        memory::seal(&copy)?;
        Ok(copy)
    }

    /// Forgets every record.
    ///
    /// # Errors
    /// EOPNOTSUPP where memory cannot have holes.
    pub(crate) fn clear(&self) -> Result<(), Errno> {
        let length = u64::try_from(PLACES.saturating_mul(PLACE)).unwrap_or(0);
        memory::clear(&self.0, position(WHOLE), length)
    }

    /// Writes the record at `place`; an empty one says that there is none.
    ///
    /// # Errors
    /// ENOMEM, ENOSPC: the record before is still there. EMSGSIZE: too long, which the tests of
    /// `state` exclude.
    pub(crate) fn write(&self, place: usize, record: &[u8]) -> Result<(), Errno> {
        let (bytes, length) = sealed(place, record).ok_or(Errno::MSGSIZE)?;
        let bytes = bytes.get(..length).unwrap_or_default();
        memory::write_at(&self.0, bytes, position(DRAFT))?;
        memory::write_at(&self.0, bytes, position(place))
    }

    /// The record at `place`; None where there is none. To read many, [`Memory::pages`] is cheaper.
    ///
    /// # Errors
    /// Neither copy is whole.
    pub(crate) fn read(&self, place: usize) -> Result<Option<Record>, Torn> {
        self.pages().read(place)
    }

    /// Reads records one after the other, a page of them at a time.
    pub(crate) fn pages(&self) -> Pages<'_> {
        Pages { memory: self, page: [0; PAGE], begins: None, filled: 0, data_at: 0 }
    }

    /// Makes every record useless, as no fault should.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn damage(&self) {
        for place in 0..PLACES {
            let _ = memory::write_at(&self.0, &[0x55; PLACE], position(place));
        }
    }
}

/// A reader that keeps the page it looks at.
pub(crate) struct Pages<'a> {
    memory: &'a Memory,
    page: [u8; PAGE],
    /// Where the page is; None: nothing was read yet.
    begins: Option<u64>,
    /// So much of it is there.
    filled: usize,
    /// Between the page and this nothing was ever written.
    data_at: u64,
}

impl Pages<'_> {
    /// As [`Memory::read`].
    ///
    /// # Errors
    /// Neither copy is whole.
    pub(crate) fn read(&mut self, place: usize) -> Result<Option<Record>, Torn> {
        let record = match self.copy(place, place) {
            Some(record) => record,
            None => self.copy(DRAFT, place).ok_or(Torn)?,
        };
        Ok((!record.is_empty()).then_some(record))
    }

    /// What stands at `at`, if it is whole and meant for `place`. Zeros, as the kernel gives
    /// them, are the whole of nothing.
    fn copy(&mut self, at: usize, place: usize) -> Option<Record> {
        if place >= DRAFT {
            return None;
        }
        let bytes = self.bytes(position(at))?;
        if at == place && bytes.iter().all(|byte| *byte == 0) {
            return Some(Record::new());
        }
        Record::from_slice(whole(bytes, place)?).ok()
    }

    /// The bytes of a place, of which each page holds whole ones only.
    fn bytes(&mut self, at: u64) -> Option<&[u8]> {
        let inside = usize::try_from(at).ok()?.checked_rem(PAGE)?;
        let begins = at.checked_sub(u64::try_from(inside).ok()?)?;
        if self.begins != Some(begins) {
            self.turn_to(begins);
        }
        self.page.get(..self.filled)?.get(inside..inside.checked_add(PLACE)?)
    }

    fn turn_to(&mut self, begins: u64) {
        let is_behind = self.begins.is_none_or(|at| begins < at);
        if is_behind || begins >= self.data_at {
            let next = memory::next_data(&self.memory.0, begins);
            self.data_at = next.map_or(begins, |next| next.unwrap_or(u64::MAX));
        }
        self.begins = Some(begins);
        self.filled = if begins < self.data_at {
            self.page.fill(0);
            PAGE
        } else {
            memory::read_at(&self.memory.0, &mut self.page, begins).unwrap_or(0)
        };
    }
}

/// The place of the condition with this number.
pub(crate) const fn condition(nth: usize) -> usize {
    CONDITIONS.saturating_add(nth)
}

/// The place of the unit with this number.
pub(crate) const fn unit(nth: usize) -> usize {
    UNITS.saturating_add(nth)
}

/// Whether something is there to be read.
fn is_inside(at: u64) -> bool {
    usize::try_from(at).is_ok_and(|at| at < LENGTH)
}

/// Where a place begins.
fn position(place: usize) -> u64 {
    let at = place.saturating_mul(PLACE).saturating_add(reexec::NOTE_BYTES);
    u64::try_from(at).unwrap_or(u64::MAX)
}

/// The record in these bytes, if it is whole and meant for `place`.
pub(crate) fn whole(bytes: &[u8], place: usize) -> Option<&[u8]> {
    let (sum, rest) = bytes.split_first_chunk::<4>()?;
    let (owner, body) = rest.split_first_chunk::<2>()?;
    let (length, body) = body.split_first_chunk::<2>()?;
    let body = body.get(..usize::from(u16::from_le_bytes(*length)))?;
    let summed = rest.get(..body.len().checked_add(HEAD - 4)?)?;
    let is_whole = crc32(summed) == u32::from_le_bytes(*sum);
    let is_meant = usize::from(u16::from_le_bytes(*owner)) == place;
    (is_whole && is_meant).then_some(body)
}

/// The bytes of a record for `place`, and how many of them count.
pub(crate) fn sealed(place: usize, record: &[u8]) -> Option<([u8; PLACE], usize)> {
    let mut bytes = [0; PLACE];
    let length = record.len().checked_add(HEAD)?;
    let (sum, rest) = bytes.get_mut(..length)?.split_first_chunk_mut::<4>()?;
    let (owner, body) = rest.split_first_chunk_mut::<2>()?;
    let (room, body) = body.split_first_chunk_mut::<2>()?;
    *owner = u16::try_from(place).ok()?.to_le_bytes();
    *room = u16::try_from(record.len()).ok()?.to_le_bytes();
    body.copy_from_slice(record);
    *sum = crc32(rest).to_le_bytes();
    Some((bytes, length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn empty() -> Memory {
        let fd = memory::memfd_create(c"ettan-test").unwrap();
        memory::fix_length(&fd, LENGTH as u64).unwrap();
        Memory::over(fd).unwrap()
    }

    fn read(memory: &Memory, place: usize) -> Vec<u8> {
        memory.read(place).unwrap().unwrap().to_vec()
    }

    #[test]
    fn what_was_written_last_is_read() {
        let memory = empty();
        assert_eq!(memory.read(unit(7)), Ok(None));
        for round in 0..5_u8 {
            memory.write(unit(7), &[round; 100]).unwrap();
            assert_eq!(read(&memory, unit(7)), [round; 100]);
        }
        memory.write(unit(7), &[]).unwrap();
        assert_eq!(memory.read(unit(7)), Ok(None));
        memory.write(unit(1023), &[1; RECORD]).unwrap();
        assert_eq!(read(&memory, unit(1023)), [1; RECORD]);
        assert_eq!(memory.read(unit(1022)), Ok(None));
        assert_eq!(memory.read(unit(1024)), Err(Torn));
        assert_eq!(memory.write(unit(0), &[1; RECORD + 1]), Err(Errno::MSGSIZE));
    }

    /// A write that is cut short after any byte, of the draft or of the place itself.
    #[test]
    fn f3_5_a_write_torn_anywhere_leaves_the_record_before_or_after() {
        let (now, length) = sealed(3, b"this is so now").unwrap();
        for end in 0..length {
            let memory = empty();
            memory.write(3, b"before").unwrap();
            memory.write(4, b"another").unwrap();
            memory::write_at(&memory.0, &now[..end], position(DRAFT)).unwrap();
            assert_eq!(read(&memory, 3), b"before", "draft cut at {end}");
            memory::write_at(&memory.0, &now[..length], position(DRAFT)).unwrap();
            assert_eq!(read(&memory, 3), b"before");
            memory::write_at(&memory.0, &now[..end], position(3)).unwrap();
            let found = read(&memory, 3);
            assert!(found == b"before" || found == b"this is so now", "cut at {end}: {found:?}");
            assert_eq!(read(&memory, 4), b"another");
        }
    }

    #[test]
    fn f3_6_a_damaged_record_is_told() {
        let memory = empty();
        memory.write(3, b"before").unwrap();
        memory.write(4, b"another").unwrap();
        for byte in 0..HEAD + 6 {
            let at = position(3) + byte as u64;
            let mut was = [0];
            memory::read_at(&memory.0, &mut was, at).unwrap();
            memory::write_at(&memory.0, &[was[0] ^ 1], at).unwrap();
            assert_eq!(memory.read(3), Err(Torn), "byte {byte}");
            memory::write_at(&memory.0, &was, at).unwrap();
            assert_eq!(read(&memory, 3), b"before");
        }
    }
}

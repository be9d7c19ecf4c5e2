//! What PID 1 remembers beyond its own end: records in memory that a new execution inherits.
//! Knows their places and whether they are whole, not what they say.
//!
//! Each record has a place with two copies. A write goes into the older copy, with the next
//! sequence number and a checksum: a fault in the middle of it leaves the other one.

use ettan_core::MAX_UNITS;
use ettan_sys::memory::{self, Own};
use ettan_sys::{Errno, OwnedFd, reexec};
use ettan_table::crc32;

/// Bytes of one copy: the core's record, what `init` adds, and the head below.
const COPY: usize = 512;
const HEAD: usize = 12;

/// The longest record.
pub(crate) const RECORD: usize = COPY - HEAD;

/// Where the record of all is; conditions and units follow.
pub(crate) const WHOLE: usize = 0;
const CONDITIONS: usize = 1;
const UNITS: usize = CONDITIONS + ettan_core::MAX_CONDITIONS;
const PLACES: usize = UNITS + MAX_UNITS;

const LENGTH: usize = reexec::NOTE_BYTES + PLACES * COPY * 2;

/// One copy: sequence, length, checksum of everything else.
type Bytes = [u8; COPY];

/// The memory. Only what is used of it becomes resident.
pub(crate) struct Memory {
    map: Own,
    /// Open at its number for as long as PID 1 lives.
    _fd: OwnedFd,
}

/// Neither copy of a record is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torn;

impl Memory {
    /// Empty memory.
    ///
    /// # Errors
    /// The kernel's answer: no descriptor or no memory left.
    pub(crate) fn new() -> Result<Self, Errno> {
        Self::over(reexec::prepare(u64::try_from(LENGTH).unwrap_or(0))?)
    }

    /// The memory that the last execution left.
    ///
    /// # Errors
    /// EINVAL when it has another length: another version wrote it.
    pub(crate) fn over(fd: OwnedFd) -> Result<Self, Errno> {
        Ok(Self { map: memory::map_own(&fd, LENGTH)?, _fd: fd })
    }

    /// Writes the record at `place`; an empty one says that there is none.
    pub(crate) fn write(&mut self, place: usize, record: &[u8]) {
        let Some([first, second]) = self.copies_mut(place) else { return };
        let (age_first, age_second) = (sequence(first), sequence(second));
        let (older, newest) = match (whole(first), whole(second)) {
            // What is not whole is of no use.
            (None, _) => (first, age_second),
            (Some(_), None) => (second, age_first),
            (Some(_), Some(_)) if newer(age_first, age_second) => (second, age_first),
            (Some(_), Some(_)) => (first, age_second),
        };
        fill(older, newest.wrapping_add(1), record);
    }

    /// The record at `place`; None where there is none.
    ///
    /// # Errors
    /// Neither copy is whole.
    pub(crate) fn read(&self, place: usize) -> Result<Option<&[u8]>, Torn> {
        let [first, second] = self.copies(place).ok_or(Torn)?;
        let record = match (whole(first), whole(second)) {
            (Some(one), Some(other)) => {
                if newer(sequence(first), sequence(second)) {
                    one
                } else {
                    other
                }
            }
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return Err(Torn),
        };
        Ok((!record.is_empty()).then_some(record))
    }

    /// Makes every record useless, as no fault should.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn damage(&mut self) {
        let bytes = self.map.bytes_mut().iter_mut().skip(reexec::NOTE_BYTES);
        bytes.for_each(|byte| *byte ^= 0x55);
    }

    fn copies(&self, place: usize) -> Option<[&Bytes; 2]> {
        let (all, _) = self.map.bytes().get(reexec::NOTE_BYTES..)?.as_chunks::<COPY>();
        let at = place.checked_mul(2)?;
        match all.get(at..at.checked_add(2)?)? {
            [first, second] => Some([first, second]),
            _ => None,
        }
    }

    fn copies_mut(&mut self, place: usize) -> Option<[&mut Bytes; 2]> {
        let bytes = self.map.bytes_mut().get_mut(reexec::NOTE_BYTES..)?;
        let (all, _) = bytes.as_chunks_mut::<COPY>();
        let at = place.checked_mul(2)?;
        match all.get_mut(at..at.checked_add(2)?)? {
            [first, second] => Some([first, second]),
            _ => None,
        }
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

/// In the order in which the numbers were given, which wrap.
const fn newer(one: u32, other: u32) -> bool {
    one.wrapping_sub(other) < u32::MAX / 2
}

fn sequence(copy: &Bytes) -> u32 {
    copy.first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

/// The record, if it is whole. Zeros, as the kernel gives them, are the whole of nothing.
fn whole(copy: &Bytes) -> Option<&[u8]> {
    let (sum, rest) = split(copy)?;
    let (length, body) = rest.get(4..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if sum == 0 && length == 0 {
        return body.get(..0);
    }
    let record = body.get(..length)?;
    let summed = rest.get(..length.checked_add(HEAD - 4)?)?;
    (crc32(summed) == sum).then_some(record)
}

/// The checksum, which stands at the end, and everything before it.
fn split(copy: &Bytes) -> Option<(u32, &[u8])> {
    let (rest, sum) = copy.split_last_chunk::<4>()?;
    Some((u32::from_le_bytes(*sum), rest))
}

fn fill(copy: &mut Bytes, sequence: u32, record: &[u8]) {
    let length = u32::try_from(record.len()).unwrap_or(0);
    let end = record.len().saturating_add(HEAD - 4);
    if end > COPY - 4 {
        return;
    }
    let Some((rest, sum)) = copy.split_last_chunk_mut::<4>() else { return };
    // Not whole from here on.
    *sum = u32::MAX.to_le_bytes();
    let Some(room) = rest.get_mut(..end) else { return };
    let Some((head, body)) = room.split_first_chunk_mut::<8>() else { return };
    let (low, high) = head.split_at_mut(4);
    low.copy_from_slice(&sequence.to_le_bytes());
    high.copy_from_slice(&length.to_le_bytes());
    body.copy_from_slice(record);
    let value = crc32(room);
    *sum = value.to_le_bytes();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn memory() -> Memory {
        let fd = memory::memfd_create(c"ettan-test").unwrap();
        memory::write_all(&fd, &vec![0; LENGTH]).unwrap();
        Memory::over(fd).unwrap()
    }

    #[test]
    fn what_was_written_last_is_read() {
        let mut memory = memory();
        assert_eq!(memory.read(unit(7)), Ok(None));
        for round in 0..5_u8 {
            memory.write(unit(7), &[round; 100]);
            assert_eq!(memory.read(unit(7)), Ok(Some(&[round; 100][..])));
        }
        memory.write(unit(7), &[]);
        assert_eq!(memory.read(unit(7)), Ok(None));
        memory.write(unit(1023), &[1; RECORD]);
        assert_eq!(memory.read(unit(1023)), Ok(Some(&[1; RECORD][..])));
        assert_eq!(memory.read(unit(1022)), Ok(None));
        assert_eq!(memory.read(unit(1024)), Err(Torn));
    }

    #[test]
    fn f3_5_a_write_torn_anywhere_leaves_the_record_before() {
        let mut memory = memory();
        memory.write(3, b"before");
        memory.write(3, b"now");
        let at = reexec::NOTE_BYTES + 3 * 2 * COPY;
        let newest =
            if whole(memory.copies(3).unwrap()[0]) == Some(b"now") { at } else { at + COPY };
        for byte in (0..11).chain(COPY - 4..COPY) {
            memory.map.bytes_mut()[newest + byte] ^= 0x40;
            assert_eq!(memory.read(3), Ok(Some(&b"before"[..])), "byte {byte}");
            memory.map.bytes_mut()[newest + byte] ^= 0x40;
        }
        assert_eq!(memory.read(3), Ok(Some(&b"now"[..])));
    }

    #[test]
    fn f3_6_two_torn_copies_are_told() {
        let mut memory = memory();
        memory.write(3, b"before");
        memory.write(3, b"now");
        let at = reexec::NOTE_BYTES + 3 * 2 * COPY;
        memory.map.bytes_mut()[at + 9] ^= 1;
        memory.map.bytes_mut()[at + COPY + 9] ^= 1;
        assert_eq!(memory.read(3), Err(Torn));
    }
}

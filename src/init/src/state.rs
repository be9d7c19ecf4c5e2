//! PID 1's own part of the records, beside the core's: descriptors by number, launches, times.
//! Bytes and back; trusts nothing that it reads.

use crate::group::Launched;
use crate::memory::RECORD;
pub(crate) use crate::memory::Record;
use ettan_core::{ExitStatus, Pid, RECORD_MAX};

/// No descriptor.
pub(crate) const NONE: i32 = -1;

/// One log's pipe, and that of errors where they are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PipeRecord {
    pub(crate) output: EndsRecord,
    pub(crate) errors: Option<EndsRecord>,
    pub(crate) max_size_bytes: u32,
    pub(crate) max_files: u16,
}

/// One pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndsRecord {
    /// The numbers of its ends.
    pub(crate) read: i32,
    pub(crate) write: i32,
    /// What the kernel says it is: a number that now stands for something else shows by it.
    pub(crate) identity: u64,
    /// The logger knows it.
    pub(crate) shown: bool,
}

/// What concerns PID 1 as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Written before something was done that may not have happened.
    pub(crate) acting: bool,
    pub(crate) own_pipe: Option<PipeRecord>,
    /// Descriptors, or `NONE`.
    pub(crate) logger: i32,
    /// /dev/log and /dev/kmsg.
    pub(crate) doors: [i32; 2],
    /// The prober's socket, and that of sd_notify.
    pub(crate) probes: [i32; 2],
    pub(crate) table: i32,
    pub(crate) coming: i32,
    pub(crate) listener: i32,
    /// The child that closes file systems; 0 is none.
    pub(crate) closer: i32,
    /// The limit of boot time that children get, if it was raised.
    pub(crate) nofile: Option<(u64, u64)>,
    /// When the boot was over.
    pub(crate) boot_over: Option<u64>,
    pub(crate) reload_at: Option<u64>,
    pub(crate) last_reload: u64,
    /// When the first execution of PID 1 began.
    pub(crate) begun: u64,
}

/// What concerns one unit.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) launched: Launched,
    pub(crate) pipe: Option<PipeRecord>,
    /// The pipe of the process that prepares its place, or `NONE`.
    pub(crate) place: i32,
}

/// An end that is being dealt with, as one number; never 0.
pub(crate) fn held(pid: Pid, status: ExitStatus) -> u64 {
    let [kind, value, core] = match status {
        ExitStatus::Code(code) => [1, code, 0],
        ExitStatus::Signal { signal, core } => [2, signal, u8::from(core)],
    };
    let [a, b, c, d] = pid.raw().to_le_bytes();
    u64::from_le_bytes([a, b, c, d, kind, value, core, 0])
}

/// The end that was.
pub(crate) fn released(held: u64) -> Option<(Pid, ExitStatus)> {
    let [a, b, c, d, kind, value, core, 0] = held.to_le_bytes() else { return None };
    let status = match (kind, core) {
        (1, 0) => ExitStatus::Code(value),
        (2, 0 | 1) => ExitStatus::Signal { signal: value, core: core == 1 },
        _ => return None,
    };
    Some((Pid::new(i32::from_le_bytes([a, b, c, d]))?, status))
}

/// The core's bytes, with their length in front.
pub(crate) fn begin(core: &[u8; RECORD_MAX], length: usize) -> Record {
    const { assert!(RECORD_MAX + size_of::<u16>() <= RECORD) };
    let core = core.get(..length).unwrap_or_default();
    let length = u16::try_from(core.len()).unwrap_or(0).to_le_bytes();
    // At once: `heapless` extends a byte at a time, and each change of a unit comes by here.
    let mut record = Record::from_array([0; RECORD]);
    record.truncate(length.len().saturating_add(core.len()));
    if let Some((front, rest)) = record.split_first_chunk_mut() {
        *front = length;
        rest.copy_from_slice(core);
    }
    record
}

/// The core's bytes, and ours.
pub(crate) fn split(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = record.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

impl Whole {
    pub(crate) fn write(&self, to: &mut Record) {
        flag(to, self.acting);
        pipe(to, self.own_pipe);
        for number in self.doors.into_iter().chain(self.probes).chain([
            self.logger,
            self.table,
            self.coming,
            self.listener,
            self.closer,
        ]) {
            let _ = to.extend_from_slice(&number.to_le_bytes());
        }
        flag(to, self.nofile.is_some());
        let (soft, hard) = self.nofile.unwrap_or_default();
        let ends = [self.boot_over, self.reload_at].map(|at| at.unwrap_or(u64::MAX));
        for number in [soft, hard].into_iter().chain(ends).chain([self.last_reload, self.begun]) {
            let _ = to.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Take(bytes);
        let whole = Self {
            acting: from.flag()?,
            own_pipe: from.pipe()?,
            doors: [from.i32()?, from.i32()?],
            probes: [from.i32()?, from.i32()?],
            logger: from.i32()?,
            table: from.i32()?,
            coming: from.i32()?,
            listener: from.i32()?,
            closer: from.i32()?,
            nofile: {
                let raised = from.flag()?;
                let limits = (from.u64()?, from.u64()?);
                raised.then_some(limits)
            },
            boot_over: Some(from.u64()?).filter(|at| *at != u64::MAX),
            reload_at: Some(from.u64()?).filter(|at| *at != u64::MAX),
            last_reload: from.u64()?,
            begun: from.u64()?,
        };
        (from.0.is_empty() && is_sane(whole.closer)).then_some(whole)
    }
}

impl Part {
    pub(crate) fn write(&self, to: &mut Record) {
        let Launched { cookie, born, first, first_lives, main, main_born, beside } = self.launched;
        for number in [cookie, born, main_born] {
            let _ = to.extend_from_slice(&number.to_le_bytes());
        }
        for number in [first, main, beside] {
            let _ = to.extend_from_slice(&number.to_le_bytes());
        }
        flag(to, first_lives);
        pipe(to, self.pipe);
        let _ = to.extend_from_slice(&self.place.to_le_bytes());
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Take(bytes);
        let (cookie, born, main_born) = (from.u64()?, from.u64()?, from.u64()?);
        let (first, main, beside) = (from.i32()?, from.i32()?, from.i32()?);
        let first_lives = from.flag()?;
        let launched = Launched { cookie, born, first, first_lives, main, main_born, beside };
        let part = Self { launched, pipe: from.pipe()?, place: from.i32()? };
        (from.0.is_empty() && [first, main, beside].into_iter().all(is_sane)).then_some(part)
    }
}

/// No process (0), or one. Signalling a negative number or 1 would reach others than were meant.
const fn is_sane(pid: i32) -> bool {
    pid == 0 || pid > 1
}

fn flag(to: &mut Record, value: bool) {
    let _ = to.push(u8::from(value));
}

fn pipe(to: &mut Record, pipe: Option<PipeRecord>) {
    flag(to, pipe.is_some());
    if let Some(pipe) = pipe {
        ends(to, &pipe.output);
        let _ = to.extend_from_slice(&pipe.max_size_bytes.to_le_bytes());
        let _ = to.extend_from_slice(&pipe.max_files.to_le_bytes());
        flag(to, pipe.errors.is_some());
        if let Some(errors) = &pipe.errors {
            ends(to, errors);
        }
    }
}

fn ends(to: &mut Record, ends: &EndsRecord) {
    let _ = to.extend_from_slice(&ends.read.to_le_bytes());
    let _ = to.extend_from_slice(&ends.write.to_le_bytes());
    let _ = to.extend_from_slice(&ends.identity.to_le_bytes());
    flag(to, ends.shown);
}

/// Takes values off the front.
struct Take<'a>(&'a [u8]);

impl Take<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.array()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The outer None: damaged.
    #[expect(clippy::option_option, reason = "damaged, and none, are two things")]
    fn pipe(&mut self) -> Option<Option<PipeRecord>> {
        if !self.flag()? {
            return Some(None);
        }
        Some(Some(PipeRecord {
            output: self.ends()?,
            max_size_bytes: self.array().map(u32::from_le_bytes)?,
            max_files: self.array().map(u16::from_le_bytes)?,
            errors: if self.flag()? { Some(self.ends()?) } else { None },
        }))
    }

    fn ends(&mut self) -> Option<EndsRecord> {
        Some(EndsRecord {
            read: self.i32()?,
            write: self.i32()?,
            identity: self.u64()?,
            shown: self.flag()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    const ENDS: EndsRecord = EndsRecord { read: 30, write: 31, identity: 1 << 40, shown: true };
    const PIPE: PipeRecord =
        PipeRecord { output: ENDS, errors: None, max_size_bytes: u32::MAX, max_files: 9 };

    #[test]
    fn what_is_written_is_read_and_the_longest_fits() {
        let whole = Whole {
            acting: true,
            own_pipe: Some(PIPE),
            logger: 12,
            doors: [13, NONE],
            probes: [14, 15],
            table: NONE,
            coming: 40,
            listener: 9,
            closer: 0,
            nofile: Some((1024, u64::MAX)),
            boot_over: Some(77),
            reload_at: None,
            last_reload: 3,
            begun: 2,
        };
        let mut record = begin(&[7; RECORD_MAX], 64);
        whole.write(&mut record);
        assert!(!record.is_full());
        let (core, ours) = split(&record).unwrap();
        assert_eq!(core, [7; 64]);
        assert_eq!(Whole::read(ours), Some(whole));
        for end in 0..ours.len() {
            assert_eq!(Whole::read(&ours[..end]), None);
        }
        let launched = Launched {
            cookie: 1,
            born: 2,
            first: 3,
            first_lives: true,
            main: 4,
            main_born: 5,
            beside: 6,
        };
        let mut record = begin(&[7; RECORD_MAX], RECORD_MAX);
        let errors = EndsRecord { read: 32, write: 33, identity: 9, shown: false };
        let pipe = Some(PipeRecord { errors: Some(errors), ..PIPE });
        Part { launched, pipe, place: 7 }.write(&mut record);
        assert!(!record.is_full());
        let ours = split(&record).unwrap().1;
        let part = Part::read(ours).unwrap();
        assert_eq!((part.launched.main_born, part.pipe, part.place), (5, pipe, 7));
        for end in 0..ours.len() {
            assert!(Part::read(&ours[..end]).is_none());
        }
    }

    #[test]
    fn an_end_survives_as_a_number() {
        let pid = Pid::new(4_194_303).unwrap();
        for status in [
            ExitStatus::Code(0),
            ExitStatus::Code(255),
            ExitStatus::Signal { signal: 11, core: true },
            ExitStatus::Signal { signal: 64, core: false },
        ] {
            assert_eq!(released(held(pid, status)), Some((pid, status)));
        }
        for rubbish in [0, u64::MAX, 0x0003_0000_0005, 0x0001_0000_0000] {
            assert_eq!(released(rubbish), None, "{rubbish:#x}");
        }
    }

    #[test]
    fn a_process_that_must_never_be_signalled_is_damage() {
        for first in [-1, 1, i32::MIN] {
            let launched = Launched {
                cookie: 1,
                born: 2,
                first,
                first_lives: true,
                main: 0,
                main_born: 0,
                beside: 0,
            };
            let mut record = Record::new();
            Part { launched, pipe: None, place: NONE }.write(&mut record);
            assert!(Part::read(&record).is_none(), "{first}");
        }
    }
}

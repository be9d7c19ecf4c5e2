//! The first page of the state's memory: what one execution of the program tells the next about
//! itself, beside the state. Its layout is the same in every release, so that a release can go
//! back to the one before it; what is new goes where zeros are today.

use super::STATE;
use crate::Result;
use crate::memory::{read_at, write_at};
use core::ffi::CStr;
use rustix::fd::BorrowedFd;
use std::ffi::CString;

/// Bytes at the beginning of the memory that belong to this file.
pub const NOTE_BYTES: usize = 4096;

/// How many faults are remembered with their time.
pub const TIMES: usize = 8;

/// The longest text about a fault; more is cut.
pub const TEXT_MAX: usize = 400;

/// The longest name of a version; more is cut.
pub const VERSION_MAX: usize = 32;

/// What the memory begins with, so that nothing else is taken for it.
const MAGIC: [u8; 8] = *b"ettan\0\x01\n";

/// Signal (8 bytes), address, what was in hand.
const CAUSE_AT: u64 = 8;
const CAUSE_BYTES: usize = 24;
const TIMES_AT: u64 = 32;
const TRIAL_AT: u64 = 96;
const EXECUTIONS_AT: u64 = 104;
const TEXT_AT: u64 = 128;
const VERSION_AT: u64 = 544;
const PATH_AT: u64 = 1024;

/// The longest path of a program, its NUL included; a longer one is forgotten.
const PATH_MAX: usize = 1024;

/// How it stands with a new program in the place of an old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// There is none.
    None,
    /// This execution is its first, and not in service yet.
    Running,
    /// It failed before it was in service; this is the program before it.
    Reverted,
}

/// What the last execution left about its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The fault's signal; 0 when it was no fault.
    pub signal: u8,
    /// Where it happened, as far as the kernel says.
    pub address: u64,
    /// What it had in hand, see [`super::hold`]; 0 is nothing.
    pub held: u64,
    /// What it said itself.
    pub text: [u8; TEXT_MAX],
    /// When the last faults were, newest first, as `set_times` wrote them.
    pub times: [u64; TIMES],
    /// Whether this execution is one on trial.
    pub trial: Trial,
    /// How many executions there were before this one.
    pub executions: u64,
    /// The version that was in service last, as `set_version` wrote it; zeros follow.
    pub version: [u8; VERSION_MAX],
}

/// Says in words what goes wrong; to be called before the fault.
pub fn note(text: &[u8]) {
    let _ = write_at(state(), text.get(..TEXT_MAX).unwrap_or(text), TEXT_AT);
}

/// What the last execution left; from now on it is told to nobody else.
///
/// # Errors
/// EBADF without a state.
pub fn take_note() -> Result<Note> {
    let mut page = [0; NOTE_BYTES];
    read_at(state(), &mut page, 0)?;
    let [signal, ..] = array::<8>(&page, CAUSE_AT);
    let [address, held] =
        [CAUSE_AT + 8, CAUSE_AT + 16].map(|at| u64::from_le_bytes(array(&page, at)));
    let times = times_in(&page);
    let trial = match array::<1>(&page, TRIAL_AT) {
        [1] => Trial::Running,
        [2] => Trial::Reverted,
        _ => Trial::None,
    };
    let executions = u64::from_le_bytes(array(&page, EXECUTIONS_AT)).saturating_add(1);
    let (text, version) = (array(&page, TEXT_AT), array(&page, VERSION_AT));
    write_at(state(), &[0; CAUSE_BYTES], CAUSE_AT)?;
    write_at(state(), &[0; TEXT_MAX], TEXT_AT)?;
    write_at(state(), &executions.to_le_bytes(), EXECUTIONS_AT)?;
    if trial == Trial::Reverted {
        set_trial(Trial::None)?;
    }
    Ok(Note { signal, address, held, text, times, trial, executions, version })
}

/// When the last faults were.
///
/// # Errors
/// EBADF without a state.
pub fn times() -> Result<[u64; TIMES]> {
    let mut page = [0; NOTE_BYTES];
    read_at(state(), &mut page, 0)?;
    Ok(times_in(&page))
}

fn times_in(page: &[u8; NOTE_BYTES]) -> [u64; TIMES] {
    let mut times = [0; TIMES];
    for (time, at) in times.iter_mut().zip((TIMES_AT..).step_by(8)) {
        *time = u64::from_le_bytes(array(page, at));
    }
    times
}

/// Remembers when the last faults were.
///
/// # Errors
/// EBADF without a state.
pub fn set_times(times: &[u64; TIMES]) -> Result<()> {
    let mut bytes = [0; 8 * TIMES];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (to, from) in words.iter_mut().zip(times) {
        *to = from.to_le_bytes();
    }
    write_at(state(), &bytes, TIMES_AT)
}

/// Remembers which version is in service.
///
/// # Errors
/// EBADF without a state.
pub fn set_version(version: &str) -> Result<()> {
    let mut bytes = [0; VERSION_MAX];
    for (to, from) in bytes.iter_mut().zip(version.bytes()) {
        *to = from;
    }
    write_at(state(), &bytes, VERSION_AT)
}

/// The path that the first execution was given. None without a state, or where it was not known.
pub(super) fn path() -> Option<CString> {
    look()?;
    let mut bytes = [0; PATH_MAX];
    read_at(state(), &mut bytes, PATH_AT).ok()?;
    let path = CStr::from_bytes_until_nul(&bytes).ok()?;
    (!path.is_empty()).then(|| path.to_owned())
}

pub(super) fn set_path(path: &CStr) -> Result<()> {
    let bytes = path.to_bytes_with_nul();
    if bytes.len() > PATH_MAX {
        return Err(crate::Errno::NAMETOOLONG);
    }
    write_at(state(), bytes, PATH_AT)
}

/// Whether there is a state, and a new program on trial. Async-signal-safe.
pub(super) fn look() -> Option<Trial> {
    let mut start = [0; TRIAL_AT as usize + 1];
    let len = read_at(state(), &mut start, 0).ok()?;
    let [.., trial] = start;
    let is_ours = len == start.len() && start.starts_with(&MAGIC);
    is_ours.then_some(if trial == 1 { Trial::Running } else { Trial::None })
}

pub(super) fn set_trial(trial: Trial) -> Result<()> {
    let byte = match trial {
        Trial::None => 0,
        Trial::Running => 1,
        Trial::Reverted => 2,
    };
    write_at(state(), &[byte], TRIAL_AT)
}

/// For the handler: async-signal-safe.
pub(super) fn set_cause(signal: u8, address: u64, held: u64) {
    let mut bytes = [0; CAUSE_BYTES];
    let words = [u64::from(signal), address, held];
    for (to, from) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *to = from.to_le_bytes();
    }
    let _ = write_at(state(), &bytes, CAUSE_AT);
}

/// The page as it is, for memory that takes the place of this one; a fresh one where none is.
pub(super) fn page() -> [u8; NOTE_BYTES] {
    let mut page = [0; NOTE_BYTES];
    if look().is_none() || read_at(state(), &mut page, 0) != Ok(NOTE_BYTES) {
        page = [0; NOTE_BYTES];
    }
    for (to, from) in page.iter_mut().zip(MAGIC) {
        *to = from;
    }
    page
}

fn array<const N: usize>(page: &[u8; NOTE_BYTES], at: u64) -> [u8; N] {
    let at = usize::try_from(at).unwrap_or(0);
    page.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn state() -> BorrowedFd<'static> {
    // SAFETY: not -1; where nothing is open the calls above give EBADF.
    unsafe { BorrowedFd::borrow_raw(STATE) }
}

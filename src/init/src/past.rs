//! What came before this execution of PID 1: nothing, or one that ended in a fault or wanted to.
//! Finds what it left, takes it over, and counts faults. Decides nothing about units.

use crate::control::History;
use crate::memory::{self, Memory};
use crate::pipes::Ends;
use crate::report::Cause;
use crate::state::{self, NONE, Part, Record, Whole};
use ettan_core::{ExitStatus, MAX_CONDITIONS, MAX_UNITS, Millis, Pid, Supervisor, UnitId};
use ettan_sys::reexec::{self, Inherited, Note, TIMES};
use ettan_sys::{Errno, OwnedFd, clock, pipe};

/// So many faults within so long lead to the reduced mode; twice as many, and the state itself
/// is not believed any more.
const MANY: usize = 3;
const TOO_MANY: usize = 6;
const WINDOW_MS: u64 = 60_000;

/// From then on each execution waits so long before it begins, so that a fault at every start
/// leaves the machine some time.
const PACE_MS: u64 = 500;

/// The last place of `Note::times` counts them all.
const COUNT_AT: usize = TIMES - 1;

/// What PID 1 holds for the execution after it, and knows of the one before.
pub(crate) struct Past {
    /// Where the records go; without it a fault is the end.
    pub(crate) memory: Option<Memory>,
    /// Why a fault would be the end, if it would.
    pub(crate) defenceless: Option<Errno>,
    /// The record of all as it was written last.
    pub(crate) last_whole: Record,
    /// Some record could not be written; said once.
    pub(crate) behind: bool,
    /// Faults since boot.
    crashes: u32,
    /// When the first execution since boot began.
    pub(crate) begun_ms: u64,
    /// Executions since boot that were not the first.
    executions: u32,
    /// Units go on, nothing new is loaded.
    pub(crate) reduced: bool,
    /// Whether this program has taken the place of another, and may still give it back.
    pub(crate) trial: Trial,
    /// The program that was to take this one's place failed on its trial.
    reverted: bool,
    /// The execution before ended as it was asked to, with everything written down.
    pub(crate) asked_for: bool,
    /// The state, or part of it, was lost: a start first looks for what already runs.
    pub(crate) adopts: bool,
    /// Units that were started since: what runs of them is of a run that we know.
    pub(crate) met: Vec<UnitId>,
    /// The end of a process that was being dealt with when a fault came.
    pub(crate) held: Option<(Pid, ExitStatus)>,
    /// Stands for the launcher of a forking unit that is being taken over without a record.
    pub(crate) launched: Option<Pid>,
    /// Pipes of units whose record was lost.
    pub(crate) spare: Vec<OwnedFd>,
    inherited: Option<Inherited>,
    whole: Option<Whole>,
    last_words: Option<Note>,
}

/// A new program in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It is in service; there is no other.
    Over,
    /// Its first turn is still to come.
    Fresh,
    /// One turn went well; in service from then on.
    Until(Millis),
}

/// So long a new program has to live to be in service: long enough to answer who asked for it.
const TRIAL_MS: u64 = 200;

impl Trial {
    /// When the loop has to turn although nothing happens.
    pub(crate) const fn deadline(self) -> Option<Millis> {
        match self {
            Self::Over => None,
            Self::Fresh => Some(Millis(0)),
            Self::Until(at) => Some(at),
        }
    }
}

/// Looks for it. To be called first of all: nothing is open yet but what was inherited.
pub(crate) fn find() -> Past {
    let Some(mut inherited) = Inherited::find() else {
        return Past::none();
    };
    let memory = inherited.take(reexec::STATE).and_then(Memory::over_or_leave);
    let mut past = Past { memory, inherited: Some(inherited), ..Past::none() };
    past.whole = past.memory.as_ref().and_then(read_whole);
    if let Some(whole) = past.whole {
        past.begun_ms = whole.begun;
    }
    if let Some(nofile) = past.whole.and_then(|whole| whole.nofile) {
        ettan_sys::limits::set_nofile_at_boot(nofile);
    }
    past
}

pub(crate) fn read_whole(memory: &Memory) -> Option<Whole> {
    let record = memory.read(memory::WHOLE).ok()??;
    let (core, ours) = state::split(&record)?;
    // One version counts for both parts.
    ettan_core::can_read(core).then(|| Whole::read(ours))?
}

impl Past {
    fn none() -> Self {
        Self {
            memory: None,
            defenceless: None,
            last_whole: Record::new(),
            behind: false,
            crashes: 0,
            begun_ms: 0,
            executions: 0,
            reduced: false,
            trial: Trial::Over,
            reverted: false,
            asked_for: false,
            adopts: false,
            met: Vec::with_capacity(MAX_UNITS),
            held: None,
            launched: None,
            spare: Vec::new(),
            inherited: None,
            whole: None,
            last_words: None,
        }
    }

    /// Notes when the first execution began. Not before /proc is mounted: the first look at a clock wants to
    /// find in there how to read it without a call.
    pub(crate) fn begin(&mut self) {
        if self.begun_ms == 0 {
            self.begun_ms = clock::now();
        }
    }

    /// Whether there was an execution before this one.
    pub(crate) const fn exists(&self) -> bool {
        self.inherited.is_some()
    }

    /// What it left about itself, as far as it is whole.
    pub(crate) const fn whole(&self) -> Option<&Whole> {
        self.whole.as_ref()
    }

    /// Makes or keeps the memory for the execution after this one. Once there is a /proc, and
    /// before more is opened than the numbers below those of the memory. What is there is never given up:
    /// without it the next execution would take itself for the first, and start everything twice.
    pub(crate) fn arm_memory(&mut self) {
        // Without, `Memory::new` says so.
        let _ = reexec::reserve_numbers();
        if self.exists() {
            self.read_note();
        }
        match self.memory {
            Some(_) => reexec::inherit_program(self.reverted),
            None => self.defenceless = self.make_memory().err(),
        }
    }

    fn make_memory(&mut self) -> Result<(), Errno> {
        self.memory = Some(Memory::new()?);
        Ok(())
    }

    /// From now on a fault leads to another execution; once signals have their default meaning.
    pub(crate) fn arm(&mut self) {
        if self.memory.is_some() {
            self.defenceless = reexec::arm().err();
            tell_of_panics();
        }
    }

    /// Tries again what could not be made. All that has changed since is written at the next save.
    ///
    /// # Errors
    /// The kernel's answer: a fault is the end still.
    pub(crate) fn mend(&mut self) -> Result<(), Errno> {
        if self.memory.is_none() {
            self.make_memory()?;
            if self.trial == Trial::Over {
                let _ = reexec::set_version(crate::VERSION);
            }
        }
        self.arm();
        self.defenceless.map_or(Ok(()), Err)
    }

    fn read_note(&mut self) {
        let Ok(note) = reexec::take_note() else { return };
        self.executions = u32::try_from(note.executions).unwrap_or(u32::MAX);
        self.reverted = note.trial == reexec::Trial::Reverted;
        if note.trial == reexec::Trial::Running {
            self.trial = Trial::Fresh;
        }
        self.crashes = self.count_faults(&note);
        self.asked_for = note.signal == 0;
        self.held = state::released(note.held);
        self.last_words = Some(note);
    }

    /// A fault of a program on trial says nothing about this one.
    fn count_faults(&mut self, note: &Note) -> u32 {
        let mut times = note.times;
        let now = clock::now();
        if note.signal != 0 {
            if !self.reverted {
                times.copy_within(..COUNT_AT.saturating_sub(1), 1);
                if let Some(first) = times.first_mut() {
                    *first = now.max(1);
                }
            }
            if let Some(count) = times.last_mut() {
                *count = count.saturating_add(1);
            }
            let _ = reexec::set_times(&times);
        }
        let recent = times
            .iter()
            .take(COUNT_AT)
            .filter(|at| **at != 0 && now.saturating_sub(**at) < WINDOW_MS);
        let recent = recent.count();
        self.reduced = recent >= MANY;
        if recent >= TOO_MANY {
            self.whole = None;
            std::thread::sleep(core::time::Duration::from_millis(PACE_MS));
        }
        u32::try_from(times.last().copied().unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Says what happened, once there is somebody to tell.
    pub(crate) fn tell(&mut self) {
        let Some(note) = self.last_words.take() else {
            if self.memory.is_some() {
                let _ = reexec::set_version(crate::VERSION);
            }
            return;
        };
        if note.signal == 0 {
            log::info!("PID 1 is Ettan {} now, executed as asked to", crate::VERSION);
            return;
        }
        let end = note.text.iter().position(|byte| *byte == 0).unwrap_or(note.text.len());
        let said = note.text.get(..end).unwrap_or_default();
        let said = said.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let signal = ettan_wire::Signal(note.signal);
        for line in said.lines() {
            log::error!("PID 1: {line}");
        }
        log::error!(
            "PID 1 failed (signal {signal} at {:#x}) and executed {} anew; faults since boot: {}",
            note.address,
            if self.reverted { "the one before it" } else { "itself" },
            self.crashes
        );
        if self.reverted {
            log::error!(
                "the new PID 1 was not in service yet: Ettan {} goes on, and the file at {} should \
                 be replaced",
                crate::VERSION,
                reexec::path().to_string_lossy()
            );
        }
        if self.reduced {
            log::error!(
                "{MANY} faults within {} s: reduced mode, unit files are not read again \
                 (`ettan reexec` tries to leave it)",
                WINDOW_MS / 1_000
            );
        }
    }

    /// For `ettan status`.
    pub(crate) fn history(&self) -> History {
        History {
            crashes: self.crashes,
            reduced: self.reduced,
            executions: self.executions,
            trial: self.trial != Trial::Over,
            reverted: self.reverted,
            begun_ms: self.begun_ms,
        }
    }

    /// A turn of the loop went well.
    pub(crate) fn after_turn(&mut self, now: Millis) {
        match self.trial {
            Trial::Over => {}
            Trial::Fresh => self.trial = Trial::Until(now.after(TRIAL_MS)),
            Trial::Until(at) if now < at => {}
            Trial::Until(_) => {
                self.trial = Trial::Over;
                let _ = reexec::set_version(crate::VERSION);
                match reexec::commit() {
                    Ok(()) => log::info!("Ettan {} is in service as PID 1", crate::VERSION),
                    Err(errno) => {
                        log::error!(
                            "Ettan {} is in service as PID 1, but the end of its trial cannot be \
                             recorded: {}; after a fault the PID 1 before may come back",
                            crate::VERSION,
                            Cause(errno)
                        );
                    }
                }
            }
        }
    }

    /// Takes a descriptor over.
    pub(crate) fn take(&mut self, number: i32) -> Option<OwnedFd> {
        if number == NONE {
            return None;
        }
        let fd = self.inherited.as_mut()?.take(number)?;
        reexec::keep(&fd);
        Some(fd)
    }

    /// Takes over the hardware watchdog, whatever the records say: unfed it would reset the machine.
    pub(crate) fn take_watchdog(&mut self) -> Option<ettan_sys::watchdog::Watchdog> {
        let found = self.inherited.as_mut()?.take_watchdog()?;
        reexec::keep(&found);
        Some(found)
    }

    /// Takes both ends of a pipe over, if they still are that pipe.
    pub(crate) fn take_pipe(&mut self, record: &state::EndsRecord) -> Option<Ends> {
        let state::EndsRecord { identity, shown, .. } = *record;
        let (read, write) = (self.take(record.read)?, self.take(record.write)?);
        let same = |end: &OwnedFd| pipe::identity(end) == Ok(identity);
        let ways = (pipe::is_write_end(&read), pipe::is_write_end(&write));
        let is_it = same(&read) && same(&write) && ways == (Ok(false), Ok(true));
        is_it.then_some(Ends { read, write, identity, shown })
    }

    /// Gives the supervisor its units back. None when that cannot be: the supervisor is then to
    /// be made anew. What is returned is our part of each unit's record.
    pub(crate) fn restore(&mut self, supervisor: &mut Supervisor) -> Option<Vec<(UnitId, Part)>> {
        self.whole.as_ref()?;
        let restored = restore(self.memory.as_ref()?, supervisor)?;
        // Those start as if they were new, and find what runs of them.
        self.adopts = restored.lost > 0;
        Some(restored.parts)
    }

    /// What is left of the records would mislead the next execution.
    pub(crate) fn forget_records(&mut self) {
        if let Some(memory) = &self.memory
            && let Err(errno) = memory.clear()
        {
            log::error!("useless records cannot be removed: {}", Cause(errno));
        }
    }

    /// Closes what nobody took over. What may be the log of a lost unit is kept aside.
    pub(crate) fn close_rest(&mut self) {
        let Some(inherited) = self.inherited.take() else { return };
        if self.adopts {
            self.spare = inherited.into_rest();
            self.spare.retain(|fd| pipe::identity(fd).is_ok());
            self.spare.iter().for_each(reexec::keep);
        }
    }
}

/// A panic writes down what it says, and is a fault. Allocates nothing: what is called holds nothing.
fn tell_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let mut text = [0; reexec::TEXT_MAX];
        let mut room = text.as_mut_slice();
        // Cut at the end of the room.
        let _ = std::io::Write::write_fmt(&mut room, format_args!("{panic}"));
        let left = room.len();
        reexec::note(text.get(..reexec::TEXT_MAX.saturating_sub(left)).unwrap_or_default());
        // Builds that unwind would end PID 1 in good order, which is the end of the machine.
        std::process::abort();
    }));
}

/// The last faults are so long ago that they lead to nothing; how many there were stays known.
#[cfg(feature = "fault-injection")]
pub(crate) fn forget_faults() {
    let Ok(known) = reexec::times() else { return };
    let mut times = [0; TIMES];
    if let (Some(to), Some(count)) = (times.last_mut(), known.last()) {
        *to = *count;
    }
    let _ = reexec::set_times(&times);
}

/// The units of a memory.
pub(crate) struct Restored {
    /// Our part of each.
    pub(crate) parts: Vec<(UnitId, Part)>,
    /// Records that could not be read.
    pub(crate) lost: usize,
}

/// Gives the supervisor the units that `memory` holds. None when what concerns all of them cannot
/// be read: nothing is known then.
pub(crate) fn restore(memory: &Memory, supervisor: &mut Supervisor) -> Option<Restored> {
    let mut pages = memory.pages();
    let record = pages.read(memory::WHOLE).ok()??;
    let (core, _) = state::split(&record)?;
    supervisor.restore_whole(core).ok()?;
    for nth in 0..MAX_CONDITIONS {
        // One that is lost is said again by the watcher.
        if let Ok(Some(record)) = pages.read(memory::condition(nth))
            && let Some((core, _)) = state::split(&record)
        {
            let _ = supervisor.restore_condition(core);
        }
    }
    let mut restored = Restored { parts: Vec::new(), lost: 0 };
    for id in 0..u16::try_from(MAX_UNITS).unwrap_or(0) {
        let unit = match pages.read(memory::unit(usize::from(id))) {
            Ok(None) => continue,
            Ok(Some(record)) => restore_unit(supervisor, UnitId(id), &record),
            Err(memory::Torn) => None,
        };
        match unit {
            Some(part) => restored.parts.push((UnitId(id), part)),
            None => restored.lost = restored.lost.saturating_add(1),
        }
    }
    Some(restored)
}

fn restore_unit(supervisor: &mut Supervisor, id: UnitId, record: &[u8]) -> Option<Part> {
    let (core, ours) = state::split(record)?;
    let part = Part::read(ours)?;
    supervisor.restore_unit(id, core).ok()?;
    Some(part)
}

//! What came before this execution of PID 1: nothing, or one that ended in a fault or wanted to.
//! Finds what it left, takes it over, and counts faults. Decides nothing about units.

use crate::memory::{self, Memory};
use crate::state::{self, NONE, Part, Record, Whole};
use ettan_core::{MAX_CONDITIONS, MAX_UNITS, Supervisor, UnitId};
use ettan_sys::reexec::{self, Inherited, Note, TIMES};
use ettan_sys::{OwnedFd, clock, pipe};

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
    /// The record of all as it was written last.
    pub(crate) last_whole: Record,
    /// Faults since boot.
    pub(crate) crashes: u32,
    /// Units go on, nothing new is loaded.
    pub(crate) reduced: bool,
    /// The state, or part of it, was lost: a start first looks for what already runs.
    pub(crate) adopts: bool,
    /// Pipes of units whose record was lost.
    pub(crate) spare: Vec<OwnedFd>,
    inherited: Option<Inherited>,
    whole: Option<Whole>,
    last_words: Option<Note>,
}

/// Looks for it. To be called first of all: nothing is open yet but what was inherited.
pub(crate) fn find() -> Past {
    let Some(mut inherited) = Inherited::find() else {
        return Past::none();
    };
    let memory = inherited.take(reexec::STATE).and_then(|fd| Memory::over(fd).ok());
    let mut past = Past { memory, inherited: Some(inherited), ..Past::none() };
    past.whole = past.memory.as_ref().and_then(read_whole);
    if let Some(nofile) = past.whole.and_then(|whole| whole.nofile) {
        ettan_sys::limits::set_nofile_at_boot(nofile);
    }
    past
}

fn read_whole(memory: &Memory) -> Option<Whole> {
    let record = memory.read(memory::WHOLE).ok()??;
    Whole::read(state::split(record)?.1)
}

impl Past {
    fn none() -> Self {
        Self {
            memory: None,
            last_whole: Record::new(),
            crashes: 0,
            reduced: false,
            adopts: false,
            spare: Vec::new(),
            inherited: None,
            whole: None,
            last_words: None,
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

    /// Makes or keeps the memory for the execution after this one. Before anything is opened.
    pub(crate) fn arm_memory(&mut self) {
        if self.exists() {
            self.crashes = self.count_faults();
        }
        let ready = match self.memory {
            Some(_) => reexec::keep_program(),
            None => Memory::new().map(|memory| self.memory = Some(memory)),
        };
        if ready.is_err() {
            self.memory = None;
        }
    }

    /// From now on a fault leads to another execution; once signals have their default meaning.
    pub(crate) fn arm(&mut self) {
        if self.memory.is_none() {
            return;
        }
        let _ = reexec::arm();
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

    fn count_faults(&mut self) -> u32 {
        let Ok(note) = reexec::take_note() else { return 0 };
        let mut times = note.times;
        let now = clock::now();
        if note.signal != 0 {
            times.copy_within(..COUNT_AT.saturating_sub(1), 1);
            if let Some(first) = times.first_mut() {
                *first = now.max(1);
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
        self.last_words = Some(note);
        u32::try_from(times.last().copied().unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Says what happened, once there is somebody to tell.
    pub(crate) fn tell(&mut self) {
        let Some(note) = self.last_words.take() else { return };
        if note.signal == 0 {
            log::info!("PID 1 executed itself anew, as asked to");
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
            "PID 1 failed (signal {signal} at {:#x}) and executed itself anew; faults since boot: {}",
            note.address,
            self.crashes
        );
        if self.reduced {
            log::error!(
                "{MANY} faults within {} s: reduced mode, unit files are not read again \
                 (`ettan reexec` tries to leave it)",
                WINDOW_MS / 1_000
            );
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

    /// Takes both ends of a pipe over, if they still are that pipe.
    pub(crate) fn take_pipe(&mut self, record: &state::PipeRecord) -> Option<(OwnedFd, OwnedFd)> {
        let (read, write) = (self.take(record.read)?, self.take(record.write)?);
        let same = |end: &OwnedFd| pipe::identity(end) == Ok(record.identity);
        let ways = (pipe::is_write_end(&read), pipe::is_write_end(&write));
        (same(&read) && same(&write) && ways == (Ok(false), Ok(true))).then_some((read, write))
    }

    /// Gives the supervisor its units back. None when that cannot be: the supervisor is then to
    /// be made anew. What is returned is our part of each unit's record.
    pub(crate) fn restore(&mut self, supervisor: &mut Supervisor) -> Option<Vec<(UnitId, Part)>> {
        let memory = self.memory.as_ref()?;
        self.whole.as_ref()?;
        let (core, _) = state::split(memory.read(memory::WHOLE).ok()??)?;
        supervisor.restore_whole(core).ok()?;
        for nth in 0..MAX_CONDITIONS {
            // One that is lost is said again by the watcher.
            if let Ok(Some(record)) = memory.read(memory::condition(nth))
                && let Some((core, _)) = state::split(record)
            {
                let _ = supervisor.restore_condition(core);
            }
        }
        let mut parts = Vec::new();
        for id in 0..u16::try_from(MAX_UNITS).unwrap_or(0) {
            let restored = match memory.read(memory::unit(usize::from(id))) {
                Ok(None) => continue,
                Ok(Some(record)) => restore_unit(supervisor, UnitId(id), record),
                Err(memory::Torn) => None,
            };
            match restored {
                Some(part) => parts.push((UnitId(id), part)),
                // It starts as if it were new, and finds what runs of it.
                None => self.adopts = true,
            }
        }
        Some(parts)
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

/// The last faults are so long ago that they lead to nothing; how many there were stays known.
#[cfg(feature = "fault-injection")]
pub(crate) fn forget_faults() {
    let Ok(note) = reexec::take_note() else { return };
    let mut times = [0; TIMES];
    if let (Some(to), Some(count)) = (times.last_mut(), note.times.last()) {
        *to = *count;
    }
    let _ = reexec::set_times(&times);
}

fn restore_unit(supervisor: &mut Supervisor, id: UnitId, record: &[u8]) -> Option<Part> {
    let (core, ours) = state::split(record)?;
    let part = Part::read(ours)?;
    supervisor.restore_unit(id, core).ok()?;
    Some(part)
}

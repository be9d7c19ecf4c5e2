//! What must outlive PID 1: every unit, the conditions, the shutdown, as bytes and back.
//!
//! Each unit is one record of its own, so that a change costs one record and not the whole.
//! Reading trusts nothing: bytes that mean nothing are a [`Damage`], and a record that only
//! looks right is no worse than an event that cannot be.

use crate::codec::{Reader, Writer};
use crate::run::Running;
use crate::slot::{Firsts, Slot, Tenant};
use crate::timer::Bell;
use crate::{
    Action, Catalog, Goal, MAX_UNITS, Millis, Name, Phase, Program, State, Supervisor, Unit, UnitId,
};

/// The version of the records that are written; `init` raises it too when it changes its part.
pub const IMAGE_VERSION: u16 = if cfg!(feature = "next-release") { 2 } else { 1 };

/// The oldest version that is read: that of the release before this one.
const OLDEST: u16 = 1;

/// What a made-up next release writes into a unit's record beyond what this one does. Reading the
/// records of a release before means such a thing: a field that is not there has a value anyway.
const NEXT_FIELD: u32 = 0x7265_7478;

/// Room for the longest record, which is about 400 bytes with a name of 64, all exit codes and a timer.
pub const RECORD_MAX: usize = 416;

/// Why bytes cannot be taken for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Written by another version.
    Version,
    /// It ends too early, or goes on where it should end.
    Length,
    /// A number that stands for nothing.
    Value,
    /// Two records claim the same name or the same process.
    Twice,
}

/// Whether these are the beginnings of a record that this release can read.
#[must_use]
pub fn can_read(record: &[u8]) -> bool {
    version(&mut Reader::new(record)).is_ok()
}

/// The version of a record, if it is one of those that are read.
fn version(from: &mut Reader<'_>) -> Result<u16, Damage> {
    let version = from.u16()?;
    if (OLDEST..=IMAGE_VERSION).contains(&version) { Ok(version) } else { Err(Damage::Version) }
}

impl Supervisor {
    /// The next unit that changed since it was last asked for here: its record is out of date.
    pub fn next_changed(&mut self) -> Option<UnitId> {
        self.changed.take_first().map(UnitId)
    }

    /// The record of this unit could not be written: it is still out of date.
    pub fn not_saved(&mut self, id: UnitId) {
        self.changed.put(id.0);
    }

    /// Whether conditions changed since the last call.
    pub const fn conditions_changed(&mut self) -> bool {
        core::mem::replace(&mut self.facts_changed, false)
    }

    /// Whether some unit changed since its record was written.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The record of what concerns all units. Gives its length.
    pub fn save_whole(&self, into: &mut [u8; RECORD_MAX]) -> usize {
        let mut out = Writer::new(into);
        out.u16(IMAGE_VERSION);
        out.phase(self.phase);
        out.power(self.power);
        out.moment(self.phase_until);
        out.moment(self.asked_at);
        out.moment(self.ends_at);
        out.pressure(self.pressure);
        out.flag(self.strays_killed);
        out.u64(self.dice.state());
        out.number(self.ahead_ms);
        out.flag(self.clock_right);
        out.len()
    }

    /// The record of the condition with this number; None past the last. Gives its length.
    pub fn save_condition(&self, nth: usize, into: &mut [u8; RECORD_MAX]) -> Option<usize> {
        let (name, holds) = self.condition_at(nth)?;
        let mut out = Writer::new(into);
        out.u16(IMAGE_VERSION);
        out.name(name);
        out.flag(holds);
        Some(out.len())
    }

    /// The record of a unit; None where there is none. Gives its length.
    pub fn save_unit(&self, id: UnitId, into: &mut [u8; RECORD_MAX]) -> Option<usize> {
        let slot = self.slot(id)?;
        let mut out = Writer::new(into);
        out.u16(IMAGE_VERSION);
        out.unit(&slot.unit);
        out.flag(slot.is_wanted());
        out.state(slot.state);
        out.reason(slot.reason);
        out.exit(slot.last_exit);
        out.next(slot.next);
        out.hook(slot.hook);
        out.last_hook(slot.last_hook);
        out.reload_end(slot.reload.end);
        out.moment(slot.reload.from);
        out.moment(slot.since);
        out.moment(slot.complain_at);
        out.moment(slot.extended_to);
        for at in slot.first.to_numbers() {
            out.u32(at);
        }
        out.u32(slot.counts.restarts);
        out.u32(slot.counts.in_a_row);
        out.u32(slot.counts.delays);
        out.moment(slot.counts.starts_from);
        out.u16(slot.counts.starts);
        let set = flags(&mut slot.clone()).map(|flag| u32::from(*flag));
        let orphaned = u32::from(slot.is_orphaned());
        out.u32((1..).zip(set).fold(orphaned, |bits, (nth, flag)| bits | flag.wrapping_shl(nth)));
        out.bell(self.bell(id));
        if IMAGE_VERSION > 1 {
            out.u32(NEXT_FIELD);
        }
        Some(out.len())
    }

    /// Takes the record of what concerns all units. To be called before everything else.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn restore_whole(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        let mut from = Reader::new(bytes);
        version(&mut from)?;
        let (phase, power) = (from.phase()?, from.power()?);
        let (phase_until, asked_at, ends_at) = (from.moment()?, from.moment()?, from.moment()?);
        let (pressure, strays_killed) = (from.pressure()?, from.flag()?);
        let dice = from.u64()?;
        let (ahead_ms, clock_right) = (from.number()?, from.flag()?);
        from.end()?;
        (self.phase, self.power) = (phase, power);
        (self.phase_until, self.asked_at, self.ends_at) = (phase_until, asked_at, ends_at);
        (self.pressure, self.strays_killed) = (pressure, strays_killed);
        (self.ahead_ms, self.clock_right) = (ahead_ms, clock_right);
        self.seed(dice);
        Ok(())
    }

    /// Takes the record of one condition.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn restore_condition(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        let mut from = Reader::new(bytes);
        version(&mut from)?;
        let (name, holds) = (from.name()?, from.flag()?);
        from.end()?;
        if let Some(bit) = self.condition_bit(&name, holds).filter(|_| holds) {
            self.holding |= 1_u64.wrapping_shl(u32::from(bit));
        }
        Ok(())
    }

    /// Takes the record of the unit `id`. Follow all of them with `restored`.
    ///
    /// # Errors
    /// What is wrong with the bytes; nothing is changed then.
    pub fn restore_unit(&mut self, id: UnitId, bytes: &[u8]) -> Result<(), Damage> {
        let (slot, bell) = read_slot(bytes, id)?;
        let at = usize::from(id.0);
        if at >= MAX_UNITS || self.slot(id).is_some() {
            return Err(Damage::Twice);
        }
        let name = slot.unit.name.as_str();
        let Err(rank) = self.by_name.binary_search_by(|other| self.name_of(*other).cmp(name))
        else {
            return Err(Damage::Twice);
        };
        let (main, hook) = (slot.pid(), slot.hook.and_then(Running::pid));
        let pids = [main, hook];
        let known = |pid| self.pids.contains_key(&pid);
        if pids.into_iter().flatten().any(known) || main.is_some() && main == hook {
            return Err(Damage::Twice);
        }
        while self.slots.len() <= at {
            let mut free = slot.clone();
            free.free();
            let _ = self.slots.push(free);
            let _ = self.deadlines.push(Millis::NEVER);
        }
        if let Some(bell) = bell {
            self.bells.push(bell).map_err(|_| Damage::Length)?;
        }
        let _ = self.by_name.insert(rank, id.0);
        for pid in pids.into_iter().flatten() {
            let _ = self.pids.insert(pid, id.0);
        }
        self.count(slot.unit.builtin, false, slot.is_awaited());
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
        self.set_deadline(id);
        Ok(())
    }

    /// All records are in: relates the units by the catalog they came from, if there was one,
    /// and goes on where they were. Without it nothing starts that is down: nobody knows what it needs,
    /// until a load says so. `acting`: what was last handed out may not have been done.
    pub fn restored(&mut self, now: Millis, catalog: Option<&dyn Catalog>, acting: bool) {
        self.allow_work();
        match catalog {
            Some(catalog) => self.take_in(now, catalog),
            None => {
                self.reorder();
                self.dirty.clear();
            }
        }
        self.now = self.now.max(now);
        self.allow_work();
        self.repeats = acting;
        for id in self.each() {
            let Some(slot) = self.slot(id) else { continue };
            let (lives, builtin, position) = (slot.is_live(), slot.unit.builtin, slot.position);
            self.changed.put(id.0);
            if lives {
                self.resuming.put(id.0);
            }
            if lives || builtin {
                self.dirty.put(position);
            }
        }
        match self.phase {
            Phase::Running | Phase::StoppingUnits | Phase::StoppingBuiltins => {}
            Phase::KillingStrays => self.signal_strays(),
            Phase::ClosingFilesystems => self.push(Action::CloseFilesystems),
            Phase::Off => self.push(Action::Power(self.power)),
        }
    }

    /// The program whose `Spawn` is not answered yet.
    #[must_use]
    pub fn awaits_spawn(&self, id: UnitId) -> Option<Program> {
        let slot = self.slot(id).filter(|slot| slot.pending.spawning)?;
        Some(match slot.hook {
            Some(Running::Hook { stage, nth, .. }) => Program::Hook(stage, nth),
            Some(Running::Word { .. }) | None => Program::Main,
        })
    }

    /// Asks again for what was under way when the records were written. False: all is asked for.
    pub(crate) fn resume_one(&mut self) -> bool {
        let Some(id) = self.resuming.take_first().map(UnitId) else { return false };
        let Some(slot) = self.slot(id) else { return true };
        let (seeking, spawning, announcing) =
            (slot.processes.seeking, slot.pending.spawning, slot.pending.announcing);
        let hooking = slot.hook.is_some();
        match slot.state {
            State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Up { .. }
            | State::Stopping { pid: None, .. }
                if seeking =>
            {
                self.push(Action::SeekMain { unit: id });
            }
            State::Starting { .. } if announcing => self.push(Action::Announce { unit: id }),
            State::Stopping { pid: Some(_), .. } if self.repeats && !hooking => {
                self.signal_stop(id);
            }
            State::Preparing { .. } if !hooking => self.push(Action::Sweep { unit: id }),
            State::Sweeping { .. } if !spawning => self.push(Action::Sweep { unit: id }),
            State::Down
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Up { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
        true
    }
}

/// The flags that are kept, in the order of the record; before them stands whether it is an orphan.
fn flags(slot: &mut Slot) -> [&mut bool; 26] {
    [
        &mut slot.pending.announcing,
        &mut slot.unwell,
        &mut slot.pending.spawning,
        &mut slot.processes.entering,
        &mut slot.processes.occupied,
        &mut slot.processes.seeking,
        &mut slot.processes.moving,
        &mut slot.standing.carries,
        &mut slot.wish.once,
        &mut slot.standing.done,
        &mut slot.standing.tried,
        &mut slot.standing.hopeless,
        &mut slot.wish.bounce,
        &mut slot.wish.retry,
        &mut slot.unkillable,
        &mut slot.run.cleaned,
        &mut slot.run.was_up,
        &mut slot.run.forks,
        &mut slot.pending.forgotten,
        &mut slot.run.ended,
        &mut slot.reload.again,
        &mut slot.run.launched,
        &mut slot.counts.gave_up,
        &mut slot.alarm.failing,
        &mut slot.alarm.unanswered,
        &mut slot.pressed,
    ]
}

fn read_slot(bytes: &[u8], id: UnitId) -> Result<(Slot, Option<Bell>), Damage> {
    let mut from = Reader::new(bytes);
    let version = version(&mut from)?;
    let unit: Unit = from.unit()?;
    let mut slot = Slot::new(unit);
    slot.wish.goal = if from.flag()? { Goal::Up } else { Goal::Down };
    slot.state = from.state()?;
    slot.reason = from.reason()?;
    slot.last_exit = from.exit()?;
    slot.next = from.next()?;
    slot.hook = from.hook()?;
    slot.last_hook = from.last_hook()?;
    slot.reload.end = from.reload_end()?;
    slot.reload.from = from.moment()?;
    slot.since = from.moment()?;
    slot.complain_at = from.moment()?;
    slot.extended_to = from.moment()?;
    slot.first = Firsts::of_numbers([from.u32()?, from.u32()?]);
    (slot.counts.restarts, slot.counts.in_a_row, slot.counts.delays) =
        (from.u32()?, from.u32()?, from.u32()?);
    (slot.counts.starts_from, slot.counts.starts) = (from.moment()?, from.u16()?);
    let mut bits = from.u32()?;
    if bits & 1 == 1 {
        slot.tenant = Tenant::Orphan;
    }
    for flag in flags(&mut slot) {
        bits >>= 1;
        *flag = bits & 1 == 1;
    }
    if bits > 1 {
        return Err(Damage::Value);
    }
    let bell = from.bell(id)?;
    if version > 1 && from.u32()? != NEXT_FIELD {
        return Err(Damage::Value);
    }
    from.end()?;
    if slot.unit.name.is_empty() {
        return Err(Damage::Value);
    }
    Ok((slot, bell))
}

/// A name from bytes.
pub(crate) fn name_of(bytes: &[u8]) -> Result<Name, Damage> {
    let text = core::str::from_utf8(bytes).map_err(|_| Damage::Value)?;
    Name::try_from(text).map_err(|_| Damage::Length)
}

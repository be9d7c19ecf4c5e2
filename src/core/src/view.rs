//! Answers questions: status, who blocks whom, whether a request is done. Changes nothing.

use crate::backoff::CRASH_LOOP;
use crate::needs::Block;
use crate::{Ask, ExitStatus, Goal, Phase, Pid, Reason, State, Supervisor, Unit, UnitId};

/// What there is to know of one unit at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The wish.
    pub goal: Goal,
    /// The fact.
    pub state: State,
    /// The last thing that decided it.
    pub reason: Reason,
    /// Starts nobody asked for, since the unit was loaded.
    pub restarts: u32,
    /// Short runs and failed starts, one after the other.
    pub in_a_row: u32,
    /// Its definition is gone; it runs on until stopped.
    pub orphaned: bool,
    /// What it waits for, when it is down and should be up.
    pub blocked_by: Option<Blocker<'a>>,
    /// How its last run ended.
    pub last_exit: Option<ExitStatus>,
    /// Fails over and over, and is tried again over and over.
    pub crash_looping: bool,
    /// KILL does not end it (state D, or traced).
    pub unkillable: bool,
}

/// What a start waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocker<'a> {
    /// A unit that is not up.
    Unit(UnitId),
    /// A condition that does not hold.
    Condition(&'a str),
    /// A unit that no file defines.
    Missing(&'a str),
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Done,
    /// Not, and why. What failed may still be tried again by policy.
    Failed(Reason),
}

impl Supervisor {
    /// The unit of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<UnitId> {
        let at = self.by_name.binary_search_by(|id| self.name_of(*id).cmp(name)).ok()?;
        self.by_name.get(at).map(|id| UnitId(*id))
    }

    /// Every unit, by name.
    pub fn units(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.by_name.iter().map(|id| UnitId(*id))
    }

    /// The policy of a unit.
    #[must_use]
    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.slot(id).map(|slot| &slot.unit)
    }

    /// Which unit this is the main process (or launcher) of.
    #[must_use]
    pub fn unit_of(&self, pid: Pid) -> Option<UnitId> {
        self.pids.get(&pid).map(|id| UnitId(*id))
    }

    /// How far the shutdown has come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The state of a unit, and what is behind it.
    #[must_use]
    pub fn view(&self, id: UnitId) -> Option<View<'_>> {
        let slot = self.slot(id)?;
        let waits = slot.goal == Goal::Up
            && match slot.state {
                State::Down => true,
                State::Failed => slot.missing,
                State::Starting { .. }
                | State::Seeking { .. }
                | State::Up { .. }
                | State::Stopping { .. }
                | State::Sweeping { .. }
                | State::Backoff { .. } => false,
            };
        Some(View {
            goal: slot.goal,
            state: slot.state,
            reason: slot.reason,
            restarts: slot.restarts,
            in_a_row: slot.in_a_row,
            orphaned: slot.orphaned,
            blocked_by: if waits { self.blocker(id) } else { None },
            last_exit: slot.last_exit,
            crash_looping: slot.in_a_row >= CRASH_LOOP,
            unkillable: slot.unkillable,
        })
    }

    /// The name of the condition with this number, and whether it holds; None past the last.
    #[must_use]
    pub fn condition_at(&self, nth: usize) -> Option<(&str, bool)> {
        let name = self.conditions.get(nth)?.name.as_str();
        let bit = 1_u64.checked_shl(u32::try_from(nth).ok()?)?;
        Some((name, self.holding & bit != 0))
    }

    fn blocker(&self, id: UnitId) -> Option<Blocker<'_>> {
        match self.blocked(id)?.0 {
            Block::Missing => Some(Blocker::Missing(self.missing_of(id))),
            Block::Unit(other) => Some(Blocker::Unit(other)),
            Block::Condition(bit) => {
                let name = self.conditions.get(usize::from(bit))?;
                Some(Blocker::Condition(name.name.as_str()))
            }
        }
    }

    /// Whether what was asked for has come about. None: still under way. Ask after the request
    /// was handled and its actions were drained.
    #[must_use]
    pub fn outcome(&self, id: UnitId, ask: Ask) -> Option<Outcome> {
        let Some(slot) = self.slot(id) else {
            return Some(match ask {
                Ask::Stop => Outcome::Done,
                Ask::Start | Ask::Restart | Ask::Signal(_) => Outcome::Failed(Reason::Reloaded),
            });
        };
        match ask {
            Ask::Start | Ask::Restart => self.start_outcome(slot),
            Ask::Stop => match (slot.is_live(), slot.goal) {
                (_, Goal::Up) if !slot.orphaned => Some(Outcome::Failed(slot.reason)),
                (true, Goal::Up | Goal::Down) => None,
                (false, Goal::Up | Goal::Down) => Some(Outcome::Done),
            },
            Ask::Signal(_) => Some(match slot.pid() {
                Some(_) => Outcome::Done,
                None => Outcome::Failed(slot.reason),
            }),
        }
    }

    fn start_outcome(&self, slot: &crate::slot::Slot) -> Option<Outcome> {
        if slot.done {
            return Some(Outcome::Done);
        }
        if self.phase != Phase::Running {
            return Some(Outcome::Failed(Reason::Shutdown));
        }
        if slot.goal == Goal::Down || slot.orphaned {
            return Some(Outcome::Failed(slot.reason));
        }
        match slot.state {
            State::Up { .. } if slot.bounce => None,
            State::Up { .. } => Some(Outcome::Done),
            State::Failed => Some(Outcome::Failed(slot.reason)),
            State::Backoff { .. } if slot.tried => Some(Outcome::Failed(slot.reason)),
            State::Down if slot.hopeless => Some(Outcome::Failed(Reason::Requirement)),
            State::Down
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. } => None,
        }
    }
}

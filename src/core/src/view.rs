//! Answers questions: status, who blocks whom, whether a request is done. Changes nothing.

use crate::backoff::CRASH_LOOP;
use crate::needs::Block;
use crate::run::Running;
use crate::{
    Ask, Class, ExitStatus, Goal, HookEnd, Millis, Phase, Pid, Power, Reason, Stage, State,
    Supervisor, Unit, UnitId,
};

/// What there is to know of one unit at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// The wish.
    pub goal: Goal,
    /// The fact.
    pub state: State,
    /// The last thing that decided it.
    pub reason: Reason,
    /// Starts nobody asked for, since the unit was loaded or `reset`.
    pub restarts: u32,
    /// Short runs and failed starts, one after the other.
    pub in_a_row: u32,
    /// Its definition is gone; it runs on until stopped.
    pub orphaned: bool,
    /// What it waits for, when it is down and should be up.
    pub blocked_by: Option<Blocker<'a>>,
    /// How its last run ended.
    pub last_exit: Option<ExitStatus>,
    /// The hook that runs, or was asked for.
    pub hook: Option<Hooking>,
    /// How the last hook ended.
    pub last_hook: Option<(Stage, u8, HookEnd)>,
    /// `last_exit` is of the run that is, or was last.
    pub ended: bool,
    /// Fails over and over, and is tried again over and over.
    pub crash_looping: bool,
    /// Failed because it had started too often.
    pub gave_up: bool,
    /// KILL does not end it (state D, or traced).
    pub unkillable: bool,
    /// Since when it is down, failed or in back-off; the other states carry it.
    pub at_rest_since: Option<Millis>,
    /// When it was first started since boot, and first up (or done, a oneshot).
    pub first: [Option<Millis>; 2],
    /// To run once, whatever its policy says.
    pub once: bool,
    /// Up, and does not work.
    pub unwell: bool,
    /// When the start under way has failed, if it is not over by then.
    pub ready_by: Option<Millis>,
}

/// A hook under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hooking {
    /// Of which stage.
    pub stage: Stage,
    /// Its number from 0.
    pub nth: u8,
    /// Its process, once there is one.
    pub pid: Option<Pid>,
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
    /// A unit it conflicts with, which is not gone yet.
    Rival(UnitId),
    /// A unit that was bound to its last run, and is not gone yet.
    Bound(UnitId),
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

    /// How the machine ends, once it does.
    #[must_use]
    pub const fn ending(&self) -> Option<Power> {
        match self.phase {
            Phase::Running => None,
            Phase::StoppingUnits
            | Phase::KillingStrays
            | Phase::StoppingBuiltins
            | Phase::ClosingFilesystems
            | Phase::Off => Some(self.power),
        }
    }

    /// Whether the condition of this name holds.
    #[must_use]
    pub fn holds(&self, name: &str) -> bool {
        let known = (0..).map_while(|nth| self.condition_at(nth));
        known.into_iter().any(|(found, holds)| found == name && holds)
    }

    /// Whether a process of the unit, or of its hook, prepares and has not executed its program yet.
    #[must_use]
    pub fn is_entering(&self, id: UnitId) -> bool {
        self.slot(id).is_some_and(|slot| slot.processes.entering)
    }

    /// The state of a unit, and what is behind it.
    #[must_use]
    pub fn view(&self, id: UnitId) -> Option<View<'_>> {
        let slot = self.slot(id)?;
        let waits = slot.is_wanted()
            && (slot.state == State::Down || slot.state == State::Failed && slot.relations.missing);
        Some(View {
            goal: slot.wish.goal,
            state: slot.state,
            reason: slot.reason,
            restarts: slot.counts.restarts,
            in_a_row: slot.counts.in_a_row,
            orphaned: slot.is_orphaned(),
            blocked_by: if waits { self.blocker(id) } else { None },
            last_exit: slot.last_exit,
            hook: match slot.hook {
                Some(Running::Hook { stage, nth, pid, .. }) => Some(Hooking { stage, nth, pid }),
                Some(Running::Word { .. }) | None => None,
            },
            last_hook: slot.last_hook,
            ended: slot.run.ended,
            crash_looping: slot.counts.in_a_row >= CRASH_LOOP,
            gave_up: slot.counts.gave_up,
            unkillable: slot.unkillable,
            at_rest_since: Some(slot.since)
                .filter(|at| at.0 > 0 && slot.state.class() == Class::AtRest),
            first: slot.first.times(),
            once: slot.wish.once,
            unwell: slot.unwell,
            ready_by: crate::due::ready_by(slot),
        })
    }

    /// The name of the condition with this number, and whether it holds; None past the last.
    #[must_use]
    pub fn condition_at(&self, nth: usize) -> Option<(&str, bool)> {
        let name = self.conditions.get(nth)?.name.as_str();
        let bit = 1_u64.checked_shl(u32::try_from(nth).ok()?)?;
        Some((name, self.holding & bit != 0))
    }

    /// Whether a unit names the condition with this number.
    #[must_use]
    pub fn is_waited_for(&self, nth: usize) -> bool {
        let bit = u32::try_from(nth).ok().and_then(|nth| 1_u64.checked_shl(nth));
        self.waited_for() & bit.unwrap_or(0) != 0
    }

    /// Another number whenever units may wait for other conditions than before.
    #[must_use]
    pub const fn wishes(&self) -> u32 {
        self.wishes
    }

    /// Who is behind this reason of a unit, as far as that still shows.
    #[must_use]
    pub fn culprit(&self, id: UnitId, reason: Reason) -> Option<Blocker<'_>> {
        let slot = self.slot(id)?;
        match reason {
            Reason::Conflict => {
                let wanted = |id: &UnitId| self.is_wanted(*id);
                self.rivals_of(slot).find(wanted).map(Blocker::Unit)
            }
            Reason::Bound => self.named(id, self.gone_bond(slot)?),
            Reason::Requirement => self.named(id, self.gone_requirement(slot)?),
            Reason::PartOf => {
                let whole = self.needs_of(slot).iter().find(|edge| edge.is_part())?;
                Some(Blocker::Unit(UnitId(whole.unit)))
            }
            Reason::None
            | Reason::Asked
            | Reason::Needed
            | Reason::Exited(_)
            | Reason::Spawn(_)
            | Reason::StartTimeout
            | Reason::Unforked
            | Reason::Unfound
            | Reason::Hook(..)
            | Reason::MainLost(_)
            | Reason::Unhealthy
            | Reason::Watchdog
            | Reason::Reloaded
            | Reason::Shutdown
            | Reason::OnFailure
            | Reason::Skipped
            | Reason::Timer => None,
        }
    }

    fn blocker(&self, id: UnitId) -> Option<Blocker<'_>> {
        self.named(id, self.blocked(id)?.0)
    }

    fn named(&self, id: UnitId, block: Block) -> Option<Blocker<'_>> {
        match block {
            Block::Missing => Some(Blocker::Missing(self.missing_of(id))),
            Block::Unit(other) => Some(Blocker::Unit(other)),
            Block::Rival(other) => Some(Blocker::Rival(other)),
            Block::Bound(other) => Some(Blocker::Bound(other)),
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
                Ask::Stop | Ask::Reset => Outcome::Done,
                Ask::Start | Ask::Once | Ask::Restart | Ask::Reload | Ask::Signal(_) => {
                    Outcome::Failed(Reason::Reloaded)
                }
            });
        };
        match ask {
            Ask::Start | Ask::Once | Ask::Restart => self.start_outcome(slot),
            Ask::Stop => match (slot.is_live(), slot.wish.goal) {
                (_, Goal::Up) if !slot.is_orphaned() => Some(Outcome::Failed(slot.reason)),
                (true, Goal::Up | Goal::Down) => None,
                (false, Goal::Up | Goal::Down) => Some(Outcome::Done),
            },
            Ask::Reload if slot.reloads() => None,
            Ask::Reload => Some(slot.reload.end.map_or_else(Outcome::Failed, |()| Outcome::Done)),
            Ask::Reset => Some(Outcome::Done),
            Ask::Signal(_) => Some(match slot.pid() {
                Some(_) => Outcome::Done,
                None => Outcome::Failed(slot.reason),
            }),
        }
    }

    fn start_outcome(&self, slot: &crate::slot::Slot) -> Option<Outcome> {
        if slot.standing.done {
            return Some(Outcome::Done);
        }
        if self.phase != Phase::Running {
            return Some(Outcome::Failed(Reason::Shutdown));
        }
        if !slot.is_wanted() || slot.is_orphaned() {
            return Some(Outcome::Failed(slot.reason));
        }
        match slot.state {
            State::Up { .. } if slot.wish.bounce => None,
            State::Up { .. } => Some(Outcome::Done),
            State::Failed => Some(Outcome::Failed(slot.reason)),
            State::Backoff { .. } if slot.standing.tried => Some(Outcome::Failed(slot.reason)),
            State::Down if slot.standing.hopeless => Some(Outcome::Failed(Reason::Requirement)),
            State::Down
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. } => None,
        }
    }
}

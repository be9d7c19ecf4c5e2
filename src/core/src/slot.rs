//! One unit's place: its policy, its wish and state, and what has to be remembered between events,
//! grouped by what it belongs to and how long it lives. Decides nothing.

use crate::counts::{Alarm, Counts};
use crate::relate::Relations;
use crate::reload::Reload;
use crate::run::{Next, Pending, Processes, Run, Running};
use crate::wish::{Standing, Wish};
use crate::{
    Class, ExitStatus, Goal, HookEnd, Hooks, KillMode, Kind, Millis, Name, Probes, Reason, Restart,
    Stage, StartLimit, State, Statuses, Unit, signals,
};

/// What the slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenant {
    /// Nothing. `rested`: so it was when the last load began, and its number is forgotten by everyone.
    Nobody { rested: bool },
    /// A unit that the catalog, or Ettan itself, defines.
    Unit,
    /// A unit whose definition is gone; it keeps running.
    Orphan,
}

/// The first start and the first time up since boot, for the chart of the boot. In 32 bits: what
/// is first started after seven weeks is no part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Firsts {
    started: Option<u32>,
    up: Option<u32>,
}

impl Firsts {
    pub(crate) fn note_start(&mut self, now: Millis) {
        self.started = self.started.or(u32::try_from(now.0).ok());
    }

    pub(crate) fn note_up(&mut self, now: Millis) {
        self.up = self.up.or(u32::try_from(now.0).ok());
    }

    /// Started, up; `u32::MAX` where it was not.
    pub(crate) fn to_numbers(self) -> [u32; 2] {
        [self.started, self.up].map(|at| at.unwrap_or(u32::MAX))
    }

    pub(crate) fn of_numbers(numbers: [u32; 2]) -> Self {
        let [started, up] = numbers.map(|at| (at != u32::MAX).then_some(at));
        Self { started, up }
    }

    pub(crate) fn times(self) -> [Option<Millis>; 2] {
        [self.started, self.up].map(|at| at.map(|at| Millis(u64::from(at))))
    }
}

/// Everything remembered of one unit. About 300 bytes. Where a flag does not say until when it
/// holds, its group does.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) tenant: Tenant,
    pub(crate) unit: Unit,
    pub(crate) wish: Wish,
    pub(crate) state: State,
    pub(crate) reason: Reason,
    pub(crate) last_exit: Option<ExitStatus>,
    pub(crate) next: Next,
    /// Since when it is up, also while a forking unit's main process is looked for again; or down,
    /// failed or in back-off. 0 while nothing has happened.
    pub(crate) since: Millis,
    /// When it was first started, and first up, since boot.
    pub(crate) first: Firsts,
    pub(crate) reload: Reload,
    pub(crate) hook: Option<Running>,
    /// How the last hook ended.
    pub(crate) last_hook: Option<(Stage, u8, HookEnd)>,
    /// When to say (again) that it cannot be killed.
    pub(crate) complain_at: Millis,
    /// The start (or the stop) may take until then, as the unit asked for.
    pub(crate) extended_to: Millis,
    /// Place in the dependency order.
    pub(crate) position: u16,
    /// Place in the order of names.
    pub(crate) rank: u16,
    pub(crate) standing: Standing,
    pub(crate) counts: Counts,
    pub(crate) alarm: Alarm,
    pub(crate) relations: Relations,
    pub(crate) run: Run,
    pub(crate) processes: Processes,
    pub(crate) pending: Pending,
    /// Up, and does not work. Until it begins again, or works.
    pub(crate) unwell: bool,
    /// KILL did not help within the usual time; nobody waits for it any more. Until it is not swept
    /// any longer.
    pub(crate) unkillable: bool,
    /// The machine goes down, and it has no time left to wait for others. To the end.
    pub(crate) pressed: bool,
}

impl Slot {
    /// A place for `unit`, which is down.
    pub(crate) fn new(unit: Unit) -> Self {
        Self {
            tenant: Tenant::Unit,
            unit,
            wish: Wish::DOWN,
            state: State::Down,
            reason: Reason::None,
            last_exit: None,
            next: Next::Goal,
            since: Millis(0),
            first: Firsts::default(),
            reload: Reload::default(),
            hook: None,
            last_hook: None,
            complain_at: Millis(0),
            extended_to: Millis(0),
            position: 0,
            rank: 0,
            standing: Standing::default(),
            counts: Counts::default(),
            alarm: Alarm::default(),
            relations: Relations::default(),
            run: Run::default(),
            processes: Processes::default(),
            pending: Pending::default(),
            unwell: false,
            unkillable: false,
            pressed: false,
        }
    }

    /// Makes the place free.
    pub(crate) fn free(&mut self) {
        *self = Self::new(Unit {
            name: Name::new(),
            kind: Kind::Target,
            restart: Restart::No,
            restart_delay_ms: 0,
            restart_delay_max_ms: 0,
            restart_reset_ms: 0,
            start_limit: StartLimit::default(),
            min_uptime_ms: 0,
            start_timeout_ms: 0,
            stop_timeout_ms: 0,
            kill_signal: signals::TERM,
            kill_mode: KillMode::ControlGroup,
            reload_signal: None,
            reload_answers: false,
            success: Statuses::NONE,
            no_restart: Statuses::NONE,
            hooks: Hooks::default(),
            probes: Probes::Nothing,
            autostart: false,
            skipped: false,
            critical: false,
            holds_data: false,
            nice: 0,
            builtin: false,
            fingerprint: 0,
        });
        self.tenant = Tenant::Nobody { rested: false };
    }

    pub(crate) const fn is_used(&self) -> bool {
        !matches!(self.tenant, Tenant::Nobody { .. })
    }

    /// The catalog, or Ettan itself, still defines its unit.
    pub(crate) const fn is_defined(&self) -> bool {
        matches!(self.tenant, Tenant::Unit)
    }

    pub(crate) const fn is_orphaned(&self) -> bool {
        matches!(self.tenant, Tenant::Orphan)
    }

    /// It is to be up.
    pub(crate) const fn is_wanted(&self) -> bool {
        matches!(self.wish.goal, Goal::Up)
    }

    /// Has processes, or stands for some; it has to be stopped before it is down.
    pub(crate) const fn is_live(&self) -> bool {
        !matches!(self.state.class(), Class::AtRest)
    }

    /// Is on its way from live to not.
    pub(crate) const fn is_ending(&self) -> bool {
        matches!(self.state.class(), Class::Ending)
    }

    /// Live, and worth waiting for.
    pub(crate) const fn is_awaited(&self) -> bool {
        self.is_live() && !self.unkillable
    }

    /// A command of its reload runs, or was asked for.
    pub(crate) const fn reloads(&self) -> bool {
        matches!(self.state, State::Up { .. } | State::Seeking { .. })
            && matches!(
                self.hook,
                Some(Running::Hook { stage: Stage::Reload, .. } | Running::Word { .. })
            )
    }

    /// Its commands have run and it has its signal: it is to say that it has reloaded.
    pub(crate) const fn awaits_word(&self) -> bool {
        matches!(self.hook, Some(Running::Word { .. }))
    }

    /// When a part of its reload that begins now has taken too long.
    pub(crate) fn reload_until(&self, now: Millis) -> Millis {
        self.unit.start_timeout().map_or(Millis::NEVER, |span| now.after(span))
    }

    /// What requires it may run.
    pub(crate) const fn carries(&self) -> bool {
        self.standing.carries
    }

    /// Whoever comes after it still waits for it: it is wanted, and has neither come up or failed
    /// since it was asked for nor lost hope.
    pub(crate) const fn is_expected(&self) -> bool {
        self.is_wanted() && !self.standing.tried && !self.standing.hopeless
    }

    /// What requires it may start now.
    pub(crate) const fn serves(&self) -> bool {
        self.carries() && (self.standing.done || matches!(self.state, State::Up { .. }))
    }

    /// What is bound to it may run: it serves, or its main process moves.
    pub(crate) const fn stands(&self) -> bool {
        self.serves() || self.carries() && matches!(self.state, State::Seeking { .. })
    }

    /// Nobody waits any more for whoever prepares, and its answer is still to come.
    pub(crate) const fn forget_entering(&mut self) {
        self.pending.forgotten |= core::mem::replace(&mut self.processes.entering, false);
    }

    /// The process the core waits for, if it is known.
    pub(crate) const fn pid(&self) -> Option<crate::Pid> {
        self.state.pid()
    }
}

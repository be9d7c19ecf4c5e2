//! Catalogs for tests: units written in one line each.

use super::script::Rng;
use ettan_core::{
    Calendar, Catalog, Commands, Hooks, KillMode, Kind, LimitAction, Name, Need, NeedKind, On,
    Probes, Restart, Stage, StartLimit, Statuses, Timer, Unit, Zone,
};

/// One unit of a test catalog; needs are by name, `?name` is a condition.
#[derive(Clone, Debug)]
pub struct Spec {
    pub unit: Unit,
    pub needs: Vec<(NeedKind, String)>,
    pub timer: Option<Timer>,
}

fn spec(name: &str, kind: Kind, restart: Restart) -> Spec {
    Spec {
        unit: Unit {
            name: Name::try_from(name).expect("short name"),
            kind,
            restart,
            restart_delay_ms: 250,
            restart_delay_max_ms: 30_000,
            restart_reset_ms: 60_000,
            start_limit: StartLimit::default(),
            min_uptime_ms: 1_000,
            start_timeout_ms: 30_000,
            stop_timeout_ms: 10_000,
            kill_signal: 15,
            kill_mode: KillMode::ControlGroup,
            reload_signal: None,
            reload_answers: false,
            success: Statuses::NONE,
            no_restart: Statuses::NONE,
            hooks: Hooks::default(),
            probes: Probes::Nothing,
            autostart: true,
            skipped: false,
            critical: false,
            holds_data: false,
            nice: 0,
            builtin: false,
            fingerprint: 1,
        },
        needs: Vec::new(),
        timer: None,
    }
}

pub fn simple(name: &str) -> Spec {
    spec(name, Kind::Simple, Restart::Always)
}
pub fn forking(name: &str) -> Spec {
    spec(name, Kind::Forking, Restart::Always)
}
pub fn oneshot(name: &str) -> Spec {
    spec(name, Kind::Oneshot { remain_after_exit: false }, Restart::No)
}
pub fn target(name: &str) -> Spec {
    spec(name, Kind::Target, Restart::No)
}

impl Spec {
    pub fn after(mut self, name: &str) -> Self {
        self.needs.push((NeedKind::After, name.into()));
        self
    }
    pub fn wants(mut self, name: &str) -> Self {
        self.needs.push((NeedKind::Wants, name.into()));
        self
    }
    pub fn requires(mut self, name: &str) -> Self {
        self.needs.push((NeedKind::Requires, name.into()));
        self
    }
    pub fn binds_to(mut self, name: &str) -> Self {
        self.needs.push((NeedKind::BindsTo, name.into()));
        self
    }
    pub fn conflicts(mut self, name: &str) -> Self {
        self.needs.push((NeedKind::Conflicts, name.into()));
        self
    }
    pub fn part_of(mut self, name: &str) -> Self {
        self.needs.push((NeedKind::PartOf, name.into()));
        self
    }
    pub fn on_failure(mut self, name: &str) -> Self {
        self.needs.push((NeedKind::OnFailure, name.into()));
        self
    }
    pub fn restart(mut self, restart: Restart) -> Self {
        self.unit.restart = restart;
        self
    }
    /// Is up only once it is ready.
    pub fn awaited(mut self) -> Self {
        self.unit.probes = Probes::Ready;
        self
    }
    /// Has the first claim on the time of a shutdown.
    pub fn holds_data(mut self) -> Self {
        self.unit.holds_data = true;
        self
    }
    pub fn nice(mut self, nice: i8) -> Self {
        self.unit.nice = nice;
        self
    }
    pub fn remains(mut self) -> Self {
        self.unit.kind = Kind::Oneshot { remain_after_exit: true };
        self
    }
    pub fn timer(mut self, timer: Timer) -> Self {
        self.timer = Some(timer);
        self
    }
    pub fn on_demand(mut self) -> Self {
        self.unit.autostart = false;
        self
    }
    /// So many commands of a stage, all of which have to end well.
    pub fn hooks(mut self, stage: Stage, count: u8) -> Self {
        *self.unit.hooks.of_mut(stage) = Commands { count, tolerant: 0 };
        self
    }
    pub fn tolerant(mut self, stage: Stage, count: u8) -> Self {
        *self.unit.hooks.of_mut(stage) = Commands { count, tolerant: 0xff };
        self
    }
    /// Given up after so many starts within this time.
    pub fn limit(mut self, burst: u16, interval_ms: u32, action: LimitAction) -> Self {
        self.unit.start_limit = StartLimit { burst, interval_ms, action };
        self
    }
    pub fn kill_mode(mut self, mode: KillMode) -> Self {
        self.unit.kill_mode = mode;
        self
    }
    pub fn reload_signal(mut self, signal: u8) -> Self {
        self.unit.reload_signal = Some(signal);
        self
    }
    /// Says when it has reloaded.
    pub fn reload_answers(mut self) -> Self {
        self.unit.reload_answers = true;
        self
    }
    /// Not for this machine.
    pub fn skipped(mut self) -> Self {
        self.unit.skipped = true;
        self
    }
    pub fn changed(mut self) -> Self {
        self.unit.fingerprint += 1;
        self
    }
    pub fn with(mut self, change: impl FnOnce(&mut Unit)) -> Self {
        change(&mut self.unit);
        self
    }
}

/// All stages of hooks.
pub const STAGES: [Stage; 5] =
    [Stage::Pre, Stage::Post, Stage::Stop, Stage::StopPost, Stage::Reload];

/// A catalog.
#[derive(Clone, Debug, Default)]
pub struct Fleet(pub Vec<Spec>);

impl Fleet {
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|spec| spec.unit.name == name)
    }

    /// `count` units of all kinds with needs in all directions, cycles too.
    pub fn random(rng: &mut Rng, count: u64) -> Self {
        let names: Vec<String> = (0..count).map(|n| format!("u{n:02}")).collect();
        let mut specs = Vec::new();
        for name in &names {
            let restart = rng.pick(&[
                Restart::Always,
                Restart::Always,
                Restart::Always,
                Restart::OnFailure,
                Restart::OnSuccess,
                Restart::OnAbnormal,
                Restart::No,
            ]);
            let mut one = match rng.below(10) {
                0..=4 => simple(name).restart(restart),
                5..=7 => forking(name).restart(restart),
                8 => oneshot(name),
                _ => target(name),
            };
            if rng.chance(50) {
                one.unit.kind = match one.unit.kind {
                    Kind::Oneshot { .. } => Kind::Oneshot { remain_after_exit: true },
                    other => other,
                };
            }
            for stage in STAGES {
                if rng.chance(15) && !matches!(one.unit.kind, Kind::Target) {
                    let tolerant = if rng.chance(30) { 0xff } else { 0 };
                    *one.unit.hooks.of_mut(stage) =
                        Commands { count: rng.pick(&[1, 1, 3]), tolerant };
                }
            }
            if rng.chance(20) {
                one.unit.start_limit = StartLimit {
                    burst: 3,
                    interval_ms: rng.pick(&[5_000, 600_000]),
                    action: LimitAction::Nothing,
                };
            }
            let modes = [KillMode::ControlGroup, KillMode::Mixed, KillMode::Process];
            one.unit.kill_mode = rng.pick(&modes);
            one.unit.reload_signal = rng.pick(&[None, Some(1)]);
            one.unit.reload_answers = rng.chance(30);
            let probes = [Probes::Nothing, Probes::Nothing, Probes::Up, Probes::Ready];
            one.unit.probes = match one.unit.kind {
                Kind::Simple | Kind::Notify | Kind::Forking => rng.pick(&probes),
                Kind::Oneshot { .. } | Kind::Target => Probes::Nothing,
            };
            one.unit.autostart = rng.chance(80);
            one.unit.skipped = rng.chance(5);
            one.unit.holds_data = rng.chance(15);
            one.timer = rng.chance(15).then(|| any_timer(rng));
            one.unit.stop_timeout_ms = rng.pick(&[0, 500, 10_000, 10_000]);
            one.unit.start_timeout_ms = rng.pick(&[0, 2_000, 30_000, 30_000]);
            one.unit.restart_delay_max_ms = rng.pick(&[1_000, 30_000]);
            for _ in 0..rng.below(4) {
                let other = rng.pick(&names.iter().map(String::as_str).collect::<Vec<_>>());
                let kind = rng.pick(&[
                    NeedKind::After,
                    NeedKind::After,
                    NeedKind::Wants,
                    NeedKind::Requires,
                    NeedKind::BindsTo,
                    NeedKind::Conflicts,
                    NeedKind::PartOf,
                    NeedKind::OnFailure,
                ]);
                let other = match rng.below(20) {
                    0 => "ghost",
                    1 => "?network",
                    2 => "?clock",
                    _ => other,
                };
                one.needs.push((kind, other.to_owned()));
            }
            specs.push(one);
        }
        Self(specs)
    }

    /// The same with a few units gone, changed or new.
    pub fn mutate(&self, rng: &mut Rng) -> Self {
        let mut next = self.clone();
        for _ in 0..rng.below(4) {
            if next.0.is_empty() {
                break;
            }
            let at = usize::try_from(rng.below(next.0.len() as u64)).expect("small");
            match rng.below(5) {
                0 => {
                    next.0.remove(at);
                }
                // Of nobody is it awaited any more that he is ready.
                4 => next.0.iter_mut().for_each(|spec| spec.unit.probes = Probes::Nothing),
                1 => next.0[at].unit.fingerprint += 1,
                2 => next.0[at].unit.skipped ^= true,
                _ => {
                    let fresh = Self::random(rng, 30);
                    if let Some(spec) =
                        fresh.0.into_iter().find(|s| next.index(&s.unit.name).is_none())
                    {
                        next.0.push(spec);
                    }
                }
            }
        }
        next
    }
}

/// A fleet with names of units that are to end.
pub struct Fewer<'a> {
    pub fleet: &'a Fleet,
    pub ended: &'a [&'a str],
}

impl Catalog for Fewer<'_> {
    fn len(&self) -> usize {
        self.fleet.len()
    }
    fn unit(&self, index: usize) -> Option<Unit> {
        self.fleet.unit(index)
    }
    fn need(&self, index: usize, nth: usize) -> Option<Need<'_>> {
        self.fleet.need(index, nth)
    }
    fn timer(&self, index: usize) -> Option<Timer> {
        self.fleet.timer(index)
    }
    fn ends(&self, name: &str) -> bool {
        self.ended.contains(&name)
    }
}

fn any_timer(rng: &mut Rng) -> Timer {
    let at =
        Calendar { days: 0x7f, hours: 0xff_ffff, minutes: rng.next() >> 4 | 1, zone: Zone::UTC };
    Timer {
        on_boot_ms: rng.chance(50).then(|| rng.pick(&[0, 3_000, 90_000])),
        every_ms: rng.pick(&[0, 1_000, 20_000]),
        at: rng.chance(50).then_some(at),
        persistent: rng.chance(50),
    }
}

impl Catalog for Fleet {
    fn timer(&self, index: usize) -> Option<Timer> {
        self.0.get(index)?.timer
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn unit(&self, index: usize) -> Option<Unit> {
        self.0.get(index).map(|spec| spec.unit.clone())
    }
    fn need(&self, index: usize, nth: usize) -> Option<Need<'_>> {
        let (kind, name) = self.0.get(index)?.needs.get(nth)?;
        let on = match (name.strip_prefix('?'), self.index(name)) {
            (Some(condition), _) => On::Condition(condition),
            (None, Some(index)) => On::Unit(u16::try_from(index).expect("small")),
            (None, None) => On::Missing(name),
        };
        Some(Need { kind: *kind, on })
    }
}

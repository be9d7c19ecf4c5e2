//! Catalogs for tests: units written in one line each.

use super::script::Rng;
use ettan_core::{Catalog, Kind, Name, Need, NeedKind, On, Restart, Unit};

/// One unit of a test catalog; needs are by name, `?name` is a condition.
#[derive(Clone, Debug)]
pub struct Spec {
    pub unit: Unit,
    pub needs: Vec<(NeedKind, String)>,
}

fn spec(name: &str, kind: Kind, restart: Restart) -> Spec {
    Spec {
        unit: Unit {
            name: Name::try_from(name).expect("short name"),
            kind,
            restart,
            restart_delay_ms: 250,
            restart_delay_max_ms: 30_000,
            min_uptime_ms: 1_000,
            start_timeout_ms: 30_000,
            stop_timeout_ms: 10_000,
            kill_signal: 15,
            autostart: true,
            builtin: false,
            fingerprint: 1,
        },
        needs: Vec::new(),
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
    pub fn restart(mut self, restart: Restart) -> Self {
        self.unit.restart = restart;
        self
    }
    pub fn remains(mut self) -> Self {
        self.unit.kind = Kind::Oneshot { remain_after_exit: true };
        self
    }
    pub fn on_demand(mut self) -> Self {
        self.unit.autostart = false;
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
            one.unit.autostart = rng.chance(80);
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
            match rng.below(3) {
                0 => {
                    next.0.remove(at);
                }
                1 => next.0[at].unit.fingerprint += 1,
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

impl Catalog for Fleet {
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

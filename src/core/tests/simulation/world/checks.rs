//! The promises, looked at before every action and after every event.

use super::machine::{Process, Role, World};
use ettan_core::{
    Action, Blocker, Goal, Kind, Millis, NeedKind, Phase, Pid, Program, Stage, State, UnitId,
};
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// Requirements given up to break a cycle, as published: (unit, after).
    pub cut: BTreeSet<(UnitId, UnitId)>,
    /// Oneshots that did their work since they were last asked.
    pub powers: u32,
    /// A whole look at all units is made every so many events; small worlds look every time.
    pub every: u64,
    /// When units were loaded the last time.
    loaded: Millis,
    /// Who was skipped at any time.
    skipped: BTreeSet<UnitId>,
    /// Of the units that are loaded: who conflicts with whom, from both ends.
    rivals: BTreeSet<(UnitId, UnitId)>,
    /// Who is bound to what.
    bonds: Vec<(UnitId, Bond)>,
    /// Who comes after whom: (what comes first, its user).
    users: BTreeSet<(UnitId, UnitId)>,
}

#[derive(Clone, Debug)]
enum Bond {
    Unit(UnitId),
    Condition(String),
}

impl Checks {
    pub fn before_action(world: &mut World, action: &Action) {
        match action {
            Action::Spawn { unit, what } => Self::spawn(world, *unit, *what),
            Action::Power(_) => {
                world.checks.powers += 1;
                if world.checks.powers > 1 {
                    world.fail("two power actions");
                }
            }
            Action::Signal { .. }
            | Action::Sweep { .. }
            | Action::SeekMain { .. }
            | Action::Forget { .. }
            | Action::Publish(_)
            | Action::KillStrays { .. }
            | Action::KillRest
            | Action::Announce { .. }
            | Action::CloseFilesystems => {}
        }
    }

    fn spawn(world: &World, unit: UnitId, what: Program) {
        Self::is_for_this_machine(world, unit, what);
        let starts = match what {
            Program::Main | Program::Hook(Stage::Pre | Stage::Post | Stage::Reload, _) => true,
            Program::Hook(Stage::Stop | Stage::StopPost, _) => false,
        };
        if starts && world.supervisor.phase() != Phase::Running {
            world.fail("something starts during shutdown");
        }
        let prepared =
            world.supervisor.unit(unit).is_some_and(|unit| unit.hooks.of(Stage::Pre).count > 0);
        // Where a start begins; what is required may restart at once while it goes on.
        if what == Program::Hook(Stage::Pre, 0) || what == Program::Main && !prepared {
            Self::requirements_up(world, unit);
            Self::rivals_gone(world, unit);
        }
        match what {
            Program::Main | Program::Hook(Stage::Pre, _) | Program::Hook(Stage::StopPost, 0) => {
                Self::one_instance(world, unit);
            }
            Program::Hook(..) => {
                // One that is ended where others are spared is not waited for, nor is one that took
                // too long while the unit is up.
                let awaited = |p: &Process| !p.spared && !p.killed;
                let beside = |p: &Process| p.unit == unit && p.role == Role::Hook && awaited(p);
                if world.processes.values().any(beside) {
                    world.fail(&format!("two hooks of {} at a time", world.name(unit)));
                }
            }
        }
    }

    /// What is skipped starts nothing, from the start on that comes after it was.
    fn is_for_this_machine(world: &World, unit: UnitId, what: Program) {
        let begins = match what {
            Program::Hook(Stage::Pre, 0) => true,
            Program::Main => {
                world.supervisor.unit(unit).is_some_and(|u| u.hooks.of(Stage::Pre).count == 0)
            }
            Program::Hook(..) => false,
        };
        let view = world.supervisor.view(unit).expect("it starts");
        let (State::Preparing { since, .. } | State::Starting { since, .. }) = view.state else {
            return;
        };
        let skipped = world.supervisor.unit(unit).is_some_and(|unit| unit.skipped);
        if begins && skipped && since > world.checks.loaded {
            world.fail(&format!("{} is skipped, and starts", world.name(unit)));
        }
    }

    /// Nothing of the unit lives when it starts.
    fn one_instance(world: &World, unit: UnitId) {
        let lives = |p: &Process| p.unit == unit && !p.spared;
        if let Some((pid, process)) = world.processes.iter().find(|(_, p)| lives(p)) {
            world.fail(&format!(
                "{} starts while {pid} ({:?}) lives",
                world.name(unit),
                process.role
            ));
        }
    }

    fn requirements_up(world: &World, unit: UnitId) {
        let name = world.name(unit);
        let Some(index) = world.fleet.index(&name) else { return };
        for (kind, other) in &world.fleet.0[index].needs {
            let Some(other) = world.supervisor.find(other) else { continue };
            let requires = matches!(kind, NeedKind::Requires | NeedKind::BindsTo);
            if !requires || world.checks.cut.contains(&(unit, other)) {
                continue;
            }
            if !Self::serves(world, other) {
                world.fail(&format!(
                    "{name} starts while {} is {}",
                    world.name(other),
                    world.state(&world.name(other))
                ));
            }
        }
    }

    /// Up, a oneshot that may have done its work, or one that was skipped and not asked for since.
    fn serves(world: &World, id: UnitId) -> bool {
        let view = world.supervisor.view(id).expect("found");
        let oneshot =
            world.supervisor.unit(id).is_some_and(|unit| matches!(unit.kind, Kind::Oneshot { .. }));
        let done = (oneshot || world.checks.skipped.contains(&id))
            && view.state == State::Down
            && view.goal == Goal::Down;
        done || matches!(view.state, State::Up { .. })
    }

    /// Takes in what the loaded units say of each other.
    pub fn learn(world: &mut World) {
        world.checks.loaded = Millis(world.now);
        let (mut rivals, mut bonds, mut users) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        for spec in &world.fleet.0 {
            let Some(id) = world.supervisor.find(&spec.unit.name) else { continue };
            if spec.unit.skipped {
                world.checks.skipped.insert(id);
            }
            for (kind, other) in &spec.needs {
                let known = world.fleet.index(other).and_then(|_| world.supervisor.find(other));
                match (kind, known, other.strip_prefix('?')) {
                    (NeedKind::Conflicts, Some(other), _) if other != id => {
                        rivals.extend([(id, other), (other, id)]);
                    }
                    (NeedKind::BindsTo, Some(other), _) => bonds.push((id, Bond::Unit(other))),
                    (NeedKind::BindsTo, _, Some(name)) => {
                        bonds.push((id, Bond::Condition(name.to_owned())));
                    }
                    _ => {}
                }
                let orders =
                    matches!(kind, NeedKind::After | NeedKind::Requires | NeedKind::BindsTo);
                users.extend(known.filter(|_| orders).map(|other| (other, id)));
            }
        }
        (world.checks.rivals, world.checks.bonds, world.checks.users) = (rivals, bonds, users);
    }

    /// Nothing that conflicts with the unit lives when it starts, but what its kill-mode spares.
    fn rivals_gone(world: &World, unit: UnitId) {
        let rivals = world.checks.rivals.iter().filter(|(one, _)| *one == unit);
        for (_, rival) in rivals {
            let lives = |p: &Process| p.unit == *rival && !p.spared;
            if let Some((pid, _)) = world.processes.iter().find(|(_, p)| lives(p)) {
                world.fail(&format!(
                    "{} starts while {pid} of {} lives",
                    world.name(unit),
                    world.name(*rival)
                ));
            }
        }
    }

    /// Of units that conflict, only one is to be up.
    fn one_of_rivals(world: &World) {
        let wanted = |id| world.supervisor.view(id).is_some_and(|view| view.goal == Goal::Up);
        for (one, other) in &world.checks.rivals {
            if wanted(*one) && wanted(*other) {
                world.fail(&format!(
                    "{} and {} are to be up",
                    world.name(*one),
                    world.name(*other)
                ));
            }
        }
    }

    /// A unit runs only as long as what it is bound to is up, but for the time that its own users
    /// and it itself take to stop.
    fn bonds_hold(world: &World) {
        for (id, bond) in &world.checks.bonds {
            let Some(view) = world.supervisor.view(*id) else { continue };
            let runs = matches!(
                view.state,
                State::Preparing { .. }
                    | State::Starting { .. }
                    | State::Seeking { .. }
                    | State::Awaiting { .. }
                    | State::Finishing { .. }
                    | State::Up { .. }
            );
            if !runs || Self::is_held(world, *id) {
                continue;
            }
            let holds = match bond {
                Bond::Condition(name) => Self::holds(world, name),
                Bond::Unit(other) if world.checks.cut.contains(&(*id, *other)) => true,
                Bond::Unit(other) => world.supervisor.view(*other).is_none_or(|view| {
                    Self::serves(world, *other) || matches!(view.state, State::Seeking { .. })
                }),
            };
            if !holds {
                let (name, state) = (world.name(*id), view.state.name());
                world.fail(&format!("{name} is {state} without {bond:?}"));
            }
        }
    }

    fn holds(world: &World, name: &str) -> bool {
        let mut known = (0..64).map_while(|nth| world.supervisor.condition_at(nth));
        known.any(|(known, holds)| known == name && holds)
    }

    /// Something that comes after the unit has to go first.
    fn is_held(world: &World, id: UnitId) -> bool {
        let mut users = world.checks.users.iter().filter(|(one, _)| *one == id);
        users.any(|(_, user)| {
            world.supervisor.view(*user).is_some_and(|view| {
                !matches!(view.state, State::Down | State::Failed | State::Backoff { .. })
            })
        })
    }

    pub fn after_event(world: &World) {
        if world.power.is_some() || !world.events.is_multiple_of(world.checks.every.max(1)) {
            return;
        }
        for id in world.supervisor.units() {
            Self::no_lost_wakeup(world, id);
            Self::process_is_there(world, id);
        }
        Self::one_of_rivals(world);
        Self::bonds_hold(world);
    }

    /// A unit that should be up and is not has a deadline, a live process, or a named need.
    fn no_lost_wakeup(world: &World, id: UnitId) {
        let view = world.supervisor.view(id).expect("listed");
        if view.goal == Goal::Down || world.supervisor.phase() != Phase::Running {
            return;
        }
        let lives = || world.processes.values().any(|process| process.unit == id);
        // Something that will tell the supervisor about the unit is under way.
        let told = || world.is_coming(id);
        let timed = world.supervisor.unit(id).is_some_and(|unit| unit.start_timeout_ms > 0);
        let deadline = world.supervisor.next_deadline();
        let fine = match view.state {
            State::Up { .. } | State::Failed => true,
            State::Backoff { until } => deadline.is_some_and(|at| at <= until),
            State::Sweeping { .. } => deadline.is_some() && (lives() || told()),
            State::Down => match view.blocked_by {
                Some(Blocker::Unit(other) | Blocker::Rival(other) | Blocker::Bound(other)) => {
                    other != id
                }
                Some(Blocker::Condition(_) | Blocker::Missing(_)) => true,
                None => false,
            },
            State::Starting { pid: None, .. } => told(),
            State::Preparing { .. }
            | State::Finishing { .. }
            | State::Starting { pid: Some(_), .. }
            | State::Seeking { .. }
            | State::Awaiting { .. } => timed && deadline.is_some() || lives() || told(),
            State::Stopping { kill_at: Some(at), .. } => deadline.is_some_and(|first| first <= at),
            State::Cleaning { kill_at: Some(at) } => deadline.is_some_and(|first| first <= at),
            State::Stopping { kill_at: None, .. } | State::Cleaning { kill_at: None } => {
                lives() || told()
            }
        };
        if !fine {
            world.fail(&format!(
                "{} is {} and nothing will change that",
                world.name(id),
                view.state.name()
            ));
        }
    }

    /// What the supervisor believes to run does run, and belongs to the unit.
    fn process_is_there(world: &World, id: UnitId) {
        let view = world.supervisor.view(id).expect("listed");
        let State::Up { pid: Some(pid), .. } = view.state else { return };
        if world.supervisor.unit_of(pid) != Some(id) {
            world.fail("the pid of a unit that is up leads to another unit");
        }
        let Some(process) = world.processes.get(&Pid::raw(pid)) else {
            world.fail(&format!("{} is up by {pid:?}, which is gone", world.name(id)));
        };
        if process.unit != id || process.role != Role::Main {
            world.fail(&format!("{} is up by a process that is not its own", world.name(id)));
        }
        let mains = world.processes.values().filter(|p| p.unit == id && p.role == Role::Main);
        if mains.count() > 2 {
            world.fail("more than one main process");
        }
    }
}

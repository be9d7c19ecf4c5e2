//! The promises, looked at before every action and after every event.

use super::machine::{Role, World};
use ettan_core::{Action, Blocker, Goal, Kind, NeedKind, Phase, Pid, State, UnitId};
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// Requirements given up to break a cycle, as published: (unit, after).
    pub cut: BTreeSet<(UnitId, UnitId)>,
    /// Oneshots that did their work since they were last asked.
    pub powers: u32,
    /// A whole look at all units is made every so many events; small worlds look every time.
    pub every: u64,
}

impl Checks {
    pub fn before_action(world: &mut World, action: &Action) {
        match action {
            Action::Spawn { unit } => {
                Self::one_instance(world, *unit);
                Self::requirements_up(world, *unit);
                if world.supervisor.phase() != Phase::Running {
                    world.fail("something starts during shutdown");
                }
            }
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
            | Action::CloseFilesystems => {}
        }
    }

    /// P5: nothing of the unit lives when it starts.
    fn one_instance(world: &World, unit: UnitId) {
        if let Some((pid, process)) = world.processes.iter().find(|(_, p)| p.unit == unit) {
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
            if *kind != NeedKind::Requires || world.checks.cut.contains(&(unit, other)) {
                continue;
            }
            let view = world.supervisor.view(other).expect("found");
            let oneshot = world
                .supervisor
                .unit(other)
                .is_some_and(|unit| matches!(unit.kind, Kind::Oneshot { .. }));
            let up = matches!(view.state, State::Up { .. });
            let done = oneshot && view.state == State::Down && view.goal == Goal::Down;
            if !up && !done {
                world.fail(&format!(
                    "{name} starts while {} is {}",
                    world.name(other),
                    view.state.name()
                ));
            }
        }
    }

    pub fn after_event(world: &World) {
        if world.power.is_some() || !world.events.is_multiple_of(world.checks.every.max(1)) {
            return;
        }
        for id in world.supervisor.units() {
            Self::no_lost_wakeup(world, id);
            Self::process_is_there(world, id);
        }
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
                Some(Blocker::Unit(other)) => other != id,
                Some(Blocker::Condition(_) | Blocker::Missing(_)) => true,
                None => false,
            },
            State::Starting { pid: None, .. } => told(),
            State::Starting { pid: Some(_), .. } | State::Seeking { .. } => {
                timed && deadline.is_some() || lives() || told()
            }
            State::Stopping { kill_at: Some(at), .. } => deadline.is_some_and(|first| first <= at),
            State::Stopping { kill_at: None, .. } => lives() || told(),
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

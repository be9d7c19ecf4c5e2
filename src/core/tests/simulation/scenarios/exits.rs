//! Stories of ends that a unit's file has a word about.

use crate::world::script::{CLEAN, ERROR, KILLED};
use crate::world::{Fleet, Script, Spec, World, forking, oneshot, simple};
use ettan_core::{
    Action, Ask, Event, ExitStatus, Millis, Pid, Reason, Restart, Stage, State, Statuses,
    Supervisor,
};

fn list(all: &[ExitStatus]) -> Statuses {
    let mut list = Statuses::NONE;
    all.iter().for_each(|status| assert!(list.add(*status)));
    list
}

fn success(spec: Spec, all: &[ExitStatus]) -> Spec {
    spec.with(|unit| unit.success = list(all))
}

fn prevents(spec: Spec, all: &[ExitStatus]) -> Spec {
    spec.with(|unit| unit.no_restart = list(all))
}

#[test]
fn a_list_knows_what_it_was_given() {
    let mut all = list(&[CLEAN, ERROR, KILLED]);
    let dumped = ExitStatus::Signal { signal: 9, core: true };
    assert!(all.has(CLEAN) && all.has(ERROR) && all.has(KILLED) && all.has(dumped));
    assert!(!all.has(ExitStatus::Code(9)));
    assert_eq!(all.iter().collect::<Vec<_>>(), [CLEAN, ERROR, KILLED]);
    assert!((2..7).all(|code| all.add(ExitStatus::Code(code))));
    assert!(all.add(CLEAN) && !all.add(ExitStatus::Code(7)));
    assert!(!all.add(ExitStatus::Signal { signal: 32, core: false }));
    assert!(!all.add(ExitStatus::Signal { signal: 0, core: false }));
}

#[test]
fn an_exit_that_counts_as_success_is_one_for_the_restart_policy() {
    let java = ExitStatus::Code(143);
    for (status, state) in [(java, "down"), (KILLED, "down"), (ERROR, "up")] {
        let unit = success(simple("web").restart(Restart::OnFailure), &[java, KILLED]);
        let mut world = World::boot_with([unit], &[("web", Script::runs(5_000, status))]);
        world.always("web", Script::GOOD);
        world.script("web", Script::GOOD);
        world.run_ms(1_000);
        let pid = world.pid("web").expect("it runs");
        world.end(pid, status);
        world.run_ms(5_000);
        assert_eq!(world.state("web"), state, "{status:?}");
    }
}

#[test]
fn a_oneshot_that_ends_so_has_done_its_work() {
    let status = ExitStatus::Code(3);
    let job = success(oneshot("job"), &[status]);
    let mut world =
        World::boot_with([job, simple("web").requires("job")], &[("job", Script::runs(5, status))]);
    world.expect(["job starting", "job sweeping", "job down", "web starting", "web up"]);
    let mut world = World::boot_with([oneshot("job")], &[("job", Script::runs(5, status))]);
    world.expect(["job starting", "job sweeping", "job failed"]);
}

#[test]
fn a_launcher_has_no_such_success() {
    let status = ExitStatus::Code(3);
    let unit = success(forking("tell").restart(Restart::No), &[status]);
    let script = Script { launcher: (10, status), ..Script::GOOD };
    let mut world = World::boot_with([unit], &[("tell", script)]);
    world.expect(["tell starting", "tell sweeping", "tell failed"]);
    assert_eq!(world.view("tell").reason, Reason::Exited(status));
}

#[test]
fn an_exit_that_prevents_a_restart_is_the_last_one() {
    let bad = ExitStatus::Code(78);
    for (status, state) in [(bad, "failed"), (KILLED, "failed"), (CLEAN, "down"), (ERROR, "up")] {
        let unit = prevents(simple("web"), &[bad, KILLED, CLEAN]);
        let mut world = World::boot([unit]);
        world.run_ms(5_000);
        let pid = world.pid("web").expect("it runs");
        world.end(pid, status);
        world.run_ms(5_000);
        assert_eq!(world.state("web"), state, "{status:?}");
    }
}

#[test]
fn what_prevented_a_restart_counts_for_that_run_only() {
    let bad = ExitStatus::Code(78);
    let mut world = World::boot([prevents(simple("web"), &[bad])]);
    world.run_ms(5_000);
    let pid = world.pid("web").expect("it runs");
    world.end(pid, bad);
    world.run_ms(100);
    assert_eq!(world.state("web"), "failed");
    world.start("web");
    world.run_ms(5_000);
    assert_eq!(world.state("web"), "up");
    world.kill("web");
    world.run_ms(5_000);
    assert_eq!((world.state("web"), world.view("web").restarts), ("up", 1));
}

#[test]
fn a_forking_units_main_process_is_judged_alike() {
    let bad = ExitStatus::Code(78);
    let mut world = World::boot([prevents(forking("tell"), &[bad])]);
    world.run_ms(5_000);
    let pid = world.pid("tell").expect("it runs");
    world.end(pid, bad);
    world.run_ms(5_000);
    assert_eq!(world.state("tell"), "failed");
}

#[test]
fn how_a_killed_main_process_ended_is_known_before_anything_follows() {
    let deaf = Script { term_ms: None, ..Script::GOOD };
    for unit in [simple("web"), forking("web")] {
        let unit = unit.hooks(Stage::StopPost, 1);
        let mut world = World::boot_with([unit], &[("web", deaf)]);
        world.late_ms = Some(2);
        world.run_ms(5_000);
        world.skip();
        world.restart("web");
        world.expect(["web stopping", "web sweeping", "web cleaning"]);
        assert_eq!(world.view("web").last_exit.filter(|_| world.view("web").ended), Some(KILLED));
        world.expect(["web sweeping", "web starting"]);
    }
}

#[test]
fn nobody_waits_for_the_end_of_a_main_process_that_is_nobodys_to_tell() {
    let mut supervisor = Box::new(Supervisor::new());
    supervisor.load(Millis(0), &Fleet(vec![forking("tell")]));
    let unit = supervisor.find("tell").expect("loaded");
    let pid = |raw| Pid::new(raw).expect("positive");
    let mut at = |now, event| {
        supervisor.handle(Millis(now), event);
        let actions = std::iter::from_fn(|| supervisor.next_action());
        let sweeps = actions.filter(|action| matches!(action, Action::Sweep { .. })).count();
        (sweeps, supervisor.view(unit).expect("loaded").state)
    };
    at(0, Event::Tick);
    at(0, Event::Spawned { unit, pid: pid(10) });
    at(0, Event::Exited { pid: pid(10), status: CLEAN });
    at(0, Event::MainFound { unit, pid: pid(11) });
    at(0, Event::Ask { unit, ask: Ask::Stop });
    let main = Some(pid(11));
    let swept = at(10_000, Event::Tick);
    assert_eq!(swept, (1, State::Sweeping { pid: main, since: Millis(10_000) }));
    assert_eq!(at(10_001, Event::Emptied { unit }).1, swept.1, "its end is still to come");
    let lost = at(10_002, Event::MainLost { unit, status: None });
    assert_eq!(lost, (1, State::Sweeping { pid: None, since: Millis(10_000) }));
    assert_eq!(at(10_003, Event::Emptied { unit }).1, State::Down);
}

//! What well-behaved clients get.

use super::*;
use crate::loading::Loaded;
use ettan_core::{Catalog, Need, NeedKind, On, Reason, State};
use ettan_wire::{
    Change, Condition, Conditions, Follow, Hello, Kill, Known, PowerWord, Reload, StateWord,
    UnitStatus, Which,
};

fn change(unit: &str) -> Change {
    Change { unit: unit.into(), wait: true }
}

fn which(unit: &str) -> Which {
    Which { unit: unit.into() }
}

fn status_of(replies: &[Reply]) -> &UnitStatus {
    match replies {
        [Reply::Unit(status)] => status,
        other => panic!("no status: {other:?}"),
    }
}

fn text_of(reply: &Reply) -> &str {
    match reply {
        Reply::Done(finished) | Reply::Failed(finished) => &finished.text,
        other => panic!("no outcome: {other:?}"),
    }
}

#[test]
fn a_start_is_waited_for_and_a_stop_too() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    let replies = world.ask(&client, &Request::Start(change("web")));
    assert!(matches!(replies[..], [Reply::Accepted, Reply::Done(_)]), "{replies:?}");
    assert_eq!(text_of(&replies[1]), "web: up (pid 101)");

    world.stubborn = true;
    let replies = world.ask(&client, &Request::Stop(change("web")));
    assert_eq!(replies, [Reply::Accepted]);
    world.crash("web", ExitStatus::Code(0));
    world.turn();
    let replies = client.replies();
    assert!(matches!(replies[..], [Reply::Done(_)]), "{replies:?}");
    assert!(text_of(&replies[0]).starts_with("web: down"), "{replies:?}");
}

/// While the loop cannot trust what it is told, it looks everywhere, with room and without.
#[test]
fn what_is_asked_has_no_outcome_before_it_is_done() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    client.send(&Request::Start(change("web")));
    let token = world.control.tokens()[1];
    let World { control, supervisor, epoll, now, .. } = &mut world;
    let context = Context { now: *now, supervisor, facts: &Known, epoll };
    let ready = Ready { token, readable: true, writable: true, closed: false };
    assert!(matches!(control.on_ready(&ready, &context), Some(Command::Ask { .. })));
    assert_eq!(client.replies(), [Reply::Accepted]);
}

#[test]
fn conditions_are_told_to_whoever_asks() {
    let mut world = World::new(&["web"]);
    for (name, holds) in [("network", true), ("network:link", true), ("network", false)] {
        world.feed(Event::Condition { name, holds });
    }
    let viewer = world.viewer();
    let told =
        |name: &str, holds| Reply::Condition(Known { name: name.into(), holds, wanted: false });
    let end = Reply::End(ettan_wire::End { units: 0, diagnostics: 0 });
    let replies = world.ask(&viewer, &Request::Conditions(Conditions { follow: false }));
    assert_eq!(replies, [told("network", false), told("network:link", true), end]);
}

#[test]
fn who_follows_conditions_hears_once_when_units_may_wait_for_others() {
    let mut world = World::new(&["web"]);
    world.feed(Event::Condition { name: "network", holds: true });
    let client = world.client();
    let replies = world.ask(&client, &Request::Conditions(Conditions { follow: true }));
    assert!(matches!(replies[..], [Reply::Condition(_), Reply::End(_)]), "{replies:?}");
    // What holds is no news, and staying is no idling.
    world.feed(Event::Condition { name: "network", holds: false });
    world.now = world.now.after(60_000);
    world.turns(2);
    assert_eq!(client.replies(), []);
    world.supervisor.load(world.now, &Units(vec![unit("web"), unit("page")]));
    world.turns(2);
    let replies = client.replies();
    assert!(matches!(replies[..], [Reply::Done(_)]), "{replies:?}");
    world.turns(2);
    assert_eq!(client.replies(), []);
}

#[test]
fn start_of_something_up_and_stop_of_something_down_succeed() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    let stop = world.ask(&client, &Request::Stop(change("web")));
    assert!(matches!(stop[..], [Reply::Accepted, Reply::Done(_)]), "{stop:?}");
    for _ in 0..2 {
        let start = world.ask(&client, &Request::Start(change("web")));
        assert!(matches!(start[..], [Reply::Accepted, Reply::Done(_)]), "{start:?}");
    }
}

#[test]
fn a_start_that_fails_says_step_and_errno() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    for (step, text) in [
        (Step::Exec, "web: exec /usr/bin/web: no such file or directory"),
        (
            Step::WorkingDirectory,
            "web: enter its working-directory /srv/web: no such file or directory",
        ),
        (
            Step::Interpreter,
            "web: exec /usr/bin/web: the file is there, the interpreter it names (#! line or ELF loader) is not: no such file or directory",
        ),
    ] {
        world.spawn_fault = Some(SpawnFault { step, errno: 2 });
        let replies = world.ask(&client, &Request::Start(change("web")));
        assert!(matches!(replies[..], [Reply::Accepted, Reply::Failed(_)]), "{replies:?}");
        assert_eq!(text_of(&replies[1]), text);
    }
}

#[test]
fn a_log_says_why_there_was_no_start() {
    let world = World::new(&["web"]);
    let sources = Sources { supervisor: &world.supervisor, facts: &super::Known, now: world.now };
    let to = State::Backoff { until: world.now.after(2_000) };
    let note = |reason| sources.mark(world.id("web"), to, reason).unwrap_or_default();
    let fault = SpawnFault { step: Step::Exec, errno: 2 };
    assert_eq!(
        note(Reason::Spawn(fault)).as_str(),
        "backoff, next start in 2 s: exec /usr/bin/web: no such file or directory"
    );
    let ended = Reason::Exited(ExitStatus::Code(1));
    assert_eq!(note(ended).as_str(), "backoff, next start in 2 s", "its end was noted");
}

/// The first requires the second.
struct Chain([Unit; 2]);

impl Catalog for Chain {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn unit(&self, index: usize) -> Option<Unit> {
        self.0.get(index).cloned()
    }
    fn need(&self, index: usize, nth: usize) -> Option<Need<'_>> {
        let need = Need { kind: NeedKind::Requires, on: On::Unit(1) };
        (index == 0 && nth == 0).then_some(need)
    }
}

#[test]
fn a_unit_without_what_it_requires_names_it() {
    let mut world = World::new(&[]);
    world.supervisor.load(world.now, &Chain([unit("app"), unit("db")]));
    let client = world.client();
    let fault = SpawnFault { step: Step::Exec, errno: 2 };
    world.spawn_fault = Some(fault);
    let replies = world.ask(&client, &Request::Start(change("app")));
    let said = text_of(replies.last().unwrap());
    assert_eq!(said, "app: requires db, which is failed");
}

#[test]
fn a_daemon_that_does_not_come_up_says_what_was_awaited() {
    let units = ["web", "other"].map(|name| Unit { start_timeout_ms: 2_000, ..unit(name) });
    let world = World::with(units.into());
    let sources = Sources { supervisor: &world.supervisor, facts: &super::Known, now: world.now };
    let why = |unit, reason| sources.why(world.id(unit), reason).to_string();
    assert_eq!(
        why("web", Reason::Unforked),
        "not ready within 2 s; its first process has not exited: does it fork?"
    );
    assert_eq!(
        why("web", Reason::Unfound),
        "not ready within 2 s; still awaited: PID file /run/web.pid"
    );
    assert_eq!(
        why("other", Reason::Unfound),
        "not ready within 2 s; still awaited: its main process"
    );
}

#[test]
fn without_waiting_accepted_is_all() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    let start = Request::Start(Change { unit: "web".into(), wait: false });
    assert_eq!(world.ask(&client, &start), [Reply::Accepted]);
    let active = world.ask(&client, &Request::IsActive(which("web")));
    assert!(matches!(&active[..], [Reply::Active(active)] if active.active), "{active:?}");
}

#[test]
fn status_tells_everything() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    world.ask(&client, &Request::Start(change("web")));
    world.now = world.now.after(5_000);
    let replies = world.ask(&client, &Request::Status(which("web")));
    let status = status_of(&replies);
    assert_eq!(status.description.as_str(), "a \"page\"\u{1b}[2J");
    assert_eq!((status.state, status.main_pid), (StateWord::Up, Some(101)));
    assert_eq!(status.since_ms, Some(100_000));
    assert_eq!(status.now_ms, 105_000);

    world.crash("web", ExitStatus::Signal { signal: 11, core: true });
    let replies = world.ask(&client, &Request::Status(which("web")));
    let status = status_of(&replies);
    assert_eq!(status.state, StateWord::Failed);
    assert_eq!(status.reason.as_str(), "killed by signal 11 (SEGV), core dumped");
    assert_eq!(status.last_exit.as_deref(), Some("killed by signal 11 (SEGV), core dumped"));
    assert_eq!(status.restart.as_str(), "no");
}

#[test]
fn an_instance_names_its_file() {
    let mut world = World::new(&["web", "web_00"]);
    let client = world.client();
    let of = |world: &mut World, unit: &str| {
        status_of(&world.ask(&client, &Request::Status(which(unit)))).group.clone()
    };
    assert_eq!(of(&mut world, "web_00").as_deref(), Some("web"));
    assert_eq!(of(&mut world, "web"), None);
}

#[test]
fn a_refused_file_shows_in_status_and_list() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    let replies = world.ask(&client, &Request::Status(which("bad")));
    let [Reply::Error(refusal)] = &replies[..] else { panic!("{replies:?}") };
    assert_eq!(refusal.code, ErrorCode::Refused);
    assert!(refusal.text.contains("/etc/units/bad.toml:3:1: error: no such key"), "{refusal:?}");

    let replies = world.ask(&client, &Request::Start(change("bad")));
    assert_eq!(refused_with(&replies), Some(ErrorCode::Refused));
    let replies = world.ask(&client, &Request::Start(change("nosuch")));
    assert_eq!(refused_with(&replies), Some(ErrorCode::UnknownUnit));

    let replies = world.ask(&client, &Request::List);
    let [Reply::Unit(unit), Reply::Diagnostic(diagnostic), Reply::End(end)] = &replies[..] else {
        panic!("{replies:?}")
    };
    assert_eq!(unit.unit.as_str(), "web");
    assert_eq!(diagnostic.unit.as_deref(), Some("bad"));
    assert_eq!((end.units, end.diagnostics), (1, 1));
}

#[test]
fn what_is_wrong_with_its_file_shows_in_the_status_of_a_unit_that_is_there() {
    let mut world = World::new(&["bad", "bad_00", "web"]);
    let client = world.client();
    let of = |world: &mut World, unit: &str| {
        status_of(&world.ask(&client, &Request::Status(which(unit)))).file.clone()
    };
    let said = "/etc/units/bad.toml:3:1: error: no such key";
    assert_eq!(of(&mut world, "bad").as_deref(), Some(said));
    assert_eq!(of(&mut world, "bad_00").as_deref(), Some(said), "it is an instance of that file");
    assert_eq!(of(&mut world, "web"), None);
}

#[test]
fn what_was_read_is_counted_by_how_bad_it_is() {
    use super::super::facts::Complaints;
    let said = |errors, warnings, notes| Complaints { errors, warnings, notes }.to_string();
    assert_eq!(said(1, 0, 0), "1 error");
    assert_eq!(said(2, 1, 3), "2 errors, 1 warning, 3 notes");
    assert_eq!(
        describe::reloaded(Loaded::InForce, &super::Known).as_str(),
        "1 unit read; 1 error about unit files: see ettan status"
    );
}

#[test]
fn a_thousand_units_are_listed_in_turns() {
    let names: Vec<String> = (0..1_000).map(|number| format!("u{number}")).collect();
    let mut world = World::with(names.iter().map(|name| unit(name)).collect());
    let client = world.client();
    client.send(&Request::List);
    let mut replies = Vec::new();
    for _ in 0..200 {
        world.turn();
        let new = client.replies();
        assert!(new.len() <= 2 * BURST, "one turn sent {}", new.len());
        replies.extend(new);
    }
    assert_eq!(replies.len(), 1_002);
    assert!(matches!(replies.last(), Some(Reply::End(end)) if end.units == 1_000));
    let active = world.ask(&client, &Request::IsActive(which("u0")));
    assert_eq!(active.len(), 1, "the connection serves on");
}

#[test]
fn followers_get_what_happens_and_recent_what_happened() {
    let mut world = World::new(&["web"]);
    let (early, client) = (world.client(), world.client());
    assert_eq!(world.ask(&early, &Request::Events(Follow { recent: false })), []);
    world.ask(&client, &Request::Start(change("web")));
    world.crash("web", ExitStatus::Code(3));
    world.turn();
    let seen = early.replies();
    let lines: Vec<&str> = seen
        .iter()
        .map(|reply| match reply {
            Reply::Event(event) => event.text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(lines.contains(&"web: up (pid 101)"), "{lines:?}");
    assert_eq!(lines.last(), Some(&"web: failed: exited with status 3"), "{lines:?}");
    let late = world.ask(&client, &Request::Events(Follow { recent: true }));
    assert_eq!(late, seen);
}

#[test]
fn signals_conditions_reloads_and_power_become_commands() {
    let mut world = World::new(&["web"]);
    let client = world.client();
    let kill = |signal| Request::Kill(Kill { unit: "web".into(), signal });
    assert_eq!(refused_with(&world.ask(&client, &kill(9))), Some(ErrorCode::NotRunning));
    assert_eq!(refused_with(&world.ask(&client, &kill(65))), Some(ErrorCode::NoSuchSignal));
    assert_eq!(refused_with(&world.ask(&client, &kill(0))), Some(ErrorCode::NoSuchSignal));
    world.ask(&client, &Request::Start(change("web")));
    assert_eq!(world.ask(&client, &kill(9)), [Reply::Accepted]);
    let condition = Condition { name: "network".into(), holds: true };
    assert_eq!(world.ask(&client, &Request::Condition(condition)), [Reply::Accepted]);
    let reload = Request::ReloadUnits(Reload { wait: true });
    assert_eq!(world.ask(&client, &reload), [Reply::Accepted]);
    let context = Context {
        now: world.now,
        supervisor: &world.supervisor,
        facts: &Known,
        epoll: &world.epoll,
    };
    // A loader that ran already is not the one that was asked for.
    world.control.reloaded(Loaded::InForce, "an older one", &context);
    assert_eq!(client.replies(), []);
    world.control.reload_begins();
    world.control.reloaded(Loaded::InForce, "1 unit", &context);
    let replies = client.replies();
    assert_eq!(text_of(&replies[0]), "1 unit");
    let power = ettan_wire::Power { action: PowerWord::Halt, force: false };
    assert_eq!(world.ask(&client, &Request::Power(power)), [Reply::Accepted]);
    let web = world.id("web");
    assert_eq!(
        world.commands,
        [
            Command::Ask { unit: web, ask: Ask::Start },
            Command::Ask { unit: web, ask: Ask::Signal(9) },
            Command::Condition { name: "network".try_into().unwrap(), holds: true },
            Command::ReloadUnits,
            Command::Shutdown { power: Power::Halt, force: false },
        ]
    );
    let start = world.ask(&client, &Request::Start(change("web")));
    assert_eq!(refused_with(&start), Some(ErrorCode::ShuttingDown));
}

#[test]
fn stats_count_units_and_allocations() {
    let mut world = World::new(&["web", "x"]);
    let client = world.client();
    world.ask(&client, &Request::Start(change("web")));
    let replies = world.ask(&client, &Request::Stats);
    let [Reply::Stats(stats)] = &replies[..] else { panic!("{replies:?}") };
    assert_eq!((stats.units, stats.up, stats.down, stats.diagnostics), (2, 1, 1, 1));
    assert_eq!((stats.clients, stats.boot_ms), (1, Some(100_000)));
    assert_eq!(stats.allocations_after_boot, 0);
}

#[test]
fn f4_10_another_version_is_refused_with_ours() {
    let mut world = World::new(&[]);
    let client = world.client();
    let hello = world.ask(&client, &Request::Hello(Hello { version: 1 }));
    assert!(matches!(hello[..], [Reply::Welcome(_)]), "{hello:?}");
    let hello = world.ask(&client, &Request::Hello(Hello { version: 99 }));
    assert!(matches!(&hello[..], [Reply::Error(refusal)] if refusal.version == 1), "{hello:?}");
    assert_eq!(refused_with(&hello), Some(ErrorCode::Version));
    assert!(client.is_closed());
}

#[test]
fn the_socket_costs_little_memory() {
    // A page for packets, 32 slots, and a few words; notices live on the heap, taken once.
    assert!(size_of::<Control>() < 12 * 1024, "{}", size_of::<Control>());
}

//! Writes docs/state-table.md: what each event does in each state, as the code has it, not as
//! somebody remembers it. ETTAN_BLESS=1 writes the file anew; otherwise it must be up to date.

use crate::world::{Fleet, Spec, forking, oneshot, simple, target};
use ettan_core::{
    Action, Ask, Event, ExitStatus, Haste, Millis, Notice, Pid, Power, Program, Remedy, SpawnFault,
    Stage as On, State, Step, Supervisor, UnitId, Whom,
};
use std::fmt::Write as _;
use std::path::Path;

const CLEAN: ExitStatus = ExitStatus::Code(0);
const KILLED: ExitStatus = ExitStatus::Signal { signal: 9, core: false };
const UNIT: UnitId = UnitId(0);

/// A supervisor with one unit, at some moment.
struct Stage {
    supervisor: Box<Supervisor>,
    now: u64,
}

impl Stage {
    fn new(spec: Spec) -> Self {
        let mut stage = Self { supervisor: Box::new(Supervisor::new()), now: 0 };
        stage.supervisor.load(Millis(0), &Fleet(vec![spec]));
        stage.drain();
        stage
    }

    fn drain(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.supervisor.next_action()).collect()
    }

    fn then(mut self, event: Event<'_>) -> Self {
        self.supervisor.handle(Millis(self.now), event);
        self.drain();
        self
    }

    fn wait(mut self, span: u64) -> Self {
        self.now += span;
        self.then(Event::Tick)
    }

    fn state(&self) -> State {
        self.supervisor.view(UNIT).expect("one unit").state
    }
}

fn pid(raw: i32) -> Pid {
    Pid::new(raw).expect("positive")
}

fn spawned(raw: i32) -> Event<'static> {
    Event::Spawned { unit: UNIT, pid: pid(raw) }
}

fn exited(raw: i32, status: ExitStatus) -> Event<'static> {
    Event::Exited { pid: pid(raw), status }
}

fn entering() -> Event<'static> {
    Event::Entering { unit: UNIT, pid: pid(10) }
}

fn ask(ask: Ask) -> Event<'static> {
    Event::Ask { unit: UNIT, ask }
}

fn failed(step: Step, errno: i32) -> Event<'static> {
    Event::SpawnFailed { unit: UNIT, fault: SpawnFault { step, errno } }
}

type Make = Box<dyn Fn() -> Stage>;

/// Every state, and the ways to be in it that make a difference.
fn stages() -> Vec<(&'static str, Make)> {
    fn seeking() -> Stage {
        Stage::new(forking("unit")).then(spawned(10)).then(exited(10, CLEAN))
    }
    fn daemon() -> Stage {
        seeking().then(Event::MainFound { unit: UNIT, pid: pid(11) })
    }
    fn awaiting() -> Stage {
        let announced = Event::Announced { unit: UNIT };
        Stage::new(simple("unit").awaited()).then(announced).then(spawned(10))
    }
    fn up() -> Stage {
        Stage::new(simple("unit")).then(spawned(10))
    }
    vec![
        ("down (not wanted)", Box::new(|| Stage::new(simple("unit").on_demand()))),
        ("down (waits for a condition)", Box::new(|| Stage::new(simple("unit").after("?network")))),
        (
            "preparing (command runs)",
            Box::new(|| Stage::new(simple("unit").hooks(On::Pre, 2)).then(spawned(10))),
        ),
        (
            "preparing (command has ended)",
            Box::new(|| {
                let stage = Stage::new(simple("unit").hooks(On::Pre, 2)).then(spawned(10));
                stage.then(exited(10, CLEAN))
            }),
        ),
        ("starting (spawn not answered)", Box::new(|| Stage::new(simple("unit")))),
        (
            "starting (oneshot runs)",
            Box::new(|| Stage::new(oneshot("unit")).then(spawned(10)).wait(2_000)),
        ),
        (
            "starting (its place is prepared)",
            Box::new(|| Stage::new(simple("unit")).then(entering())),
        ),
        ("starting (launcher runs)", Box::new(|| Stage::new(forking("unit")).then(spawned(10)))),
        ("seeking (launcher has exited)", Box::new(seeking)),
        (
            "seeking (main process has ended)",
            Box::new(|| daemon().wait(2_000).then(exited(11, KILLED))),
        ),
        ("starting (the prober is told)", Box::new(|| Stage::new(simple("unit").awaited()))),
        ("awaiting", Box::new(awaiting)),
        (
            "finishing (main is 9, command is 10)",
            Box::new(|| {
                Stage::new(simple("unit").hooks(On::Post, 1)).then(spawned(9)).then(spawned(10))
            }),
        ),
        (
            "up (main is 9, command of its reload is 10)",
            Box::new(|| {
                let up = Stage::new(simple("unit").hooks(On::Reload, 1)).then(spawned(9));
                up.wait(2_000).then(ask(Ask::Reload)).then(spawned(10))
            }),
        ),
        ("up (for less than min-uptime-sec)", Box::new(up)),
        ("up (for longer)", Box::new(|| up().wait(2_000))),
        ("up (forking)", Box::new(|| daemon().wait(2_000))),
        ("up (target)", Box::new(|| Stage::new(target("unit")))),
        (
            "up (oneshot that remains)",
            Box::new(|| {
                Stage::new(oneshot("unit").remains()).then(spawned(10)).then(exited(10, CLEAN))
            }),
        ),
        (
            "stopping (main is 9, command is 10)",
            Box::new(|| {
                let up = Stage::new(simple("unit").hooks(On::Stop, 1)).then(spawned(9));
                up.wait(2_000).then(ask(Ask::Stop)).then(spawned(10))
            }),
        ),
        ("stopping", Box::new(|| up().then(ask(Ask::Stop)))),
        (
            "stopping (while its place is prepared)",
            Box::new(|| Stage::new(simple("unit")).then(entering()).then(ask(Ask::Stop))),
        ),
        (
            "stopping (spawn not answered)",
            Box::new(|| Stage::new(simple("unit")).then(ask(Ask::Stop))),
        ),
        ("stopping (to start again)", Box::new(|| up().then(ask(Ask::Restart)))),
        (
            "sweeping (spawn not answered)",
            Box::new(|| Stage::new(simple("unit")).then(ask(Ask::Stop)).wait(10_000)),
        ),
        ("sweeping (killed, and not reaped)", Box::new(|| up().then(ask(Ask::Stop)).wait(10_000))),
        ("sweeping (stopped)", Box::new(|| up().then(ask(Ask::Stop)).then(exited(10, KILLED)))),
        ("sweeping (ended early)", Box::new(|| up().then(exited(10, KILLED)))),
        ("sweeping (ended late)", Box::new(|| up().wait(2_000).then(exited(10, KILLED)))),
        (
            "cleaning",
            Box::new(|| {
                let up = Stage::new(simple("unit").hooks(On::StopPost, 1)).then(spawned(9));
                let swept = up.wait(2_000).then(exited(9, KILLED));
                swept.then(Event::Emptied { unit: UNIT }).then(spawned(10))
            }),
        ),
        ("backoff", Box::new(|| up().then(exited(10, KILLED)).then(Event::Emptied { unit: UNIT }))),
        (
            "failed",
            Box::new(|| {
                let unit = simple("unit").restart(ettan_core::Restart::No);
                Stage::new(unit).then(failed(Step::Exec, 2))
            }),
        ),
    ]
}

/// Every event, in words and as it is; the main process is 10 or, where it forks, 11.
fn events(main: i32) -> Vec<(&'static str, Event<'static>)> {
    vec![
        ("asked to start", ask(Ask::Start)),
        ("asked to run once", ask(Ask::Once)),
        ("asked to stop", ask(Ask::Stop)),
        ("asked to restart", ask(Ask::Restart)),
        ("asked to reload", ask(Ask::Reload)),
        ("asked to reset", ask(Ask::Reset)),
        ("asked to signal 1", ask(Ask::Signal(1))),
        ("Entering", entering()),
        ("Spawned", spawned(10)),
        ("SpawnFailed (fork: EAGAIN)", failed(Step::Fork, 11)),
        ("SpawnFailed (exec: ENOENT)", failed(Step::Exec, 2)),
        ("Exited (0)", exited(main, CLEAN)),
        ("Exited (KILL)", exited(main, KILLED)),
        ("Emptied", Event::Emptied { unit: UNIT }),
        ("MainFound", Event::MainFound { unit: UNIT, pid: pid(12) }),
        ("MainLost", Event::MainLost { unit: UNIT, status: None }),
        ("Runs", Event::Runs { unit: UNIT }),
        ("Announced", Event::Announced { unit: UNIT }),
        ("Ready", Event::Ready { unit: UNIT }),
        ("Health (unwell, restart)", Event::Health { unit: UNIT, unwell: Some(Remedy::Restart) }),
        ("Health (unwell, watchdog)", Event::Health { unit: UNIT, unwell: Some(Remedy::Abort) }),
        ("condition holds", Event::Condition { name: "network", holds: true }),
        ("its deadline passes", Event::Tick),
        ("shutdown", Event::Shutdown { power: Power::Reboot, haste: Haste::Orderly }),
    ]
}

fn describe(action: &Action) -> Option<String> {
    match action {
        Action::Spawn { what: Program::Main, .. } => Some("Spawn".into()),
        Action::Spawn { what: Program::Hook(stage, nth), .. } => {
            Some(format!("Spawn {stage:?} {nth}"))
        }
        Action::Announce { .. } => Some("Announce".into()),
        Action::Signal { signal, whom: Whom::All, .. } => Some(format!("Signal {signal} to all")),
        Action::Signal { signal, whom: Whom::Main, .. } => Some(format!("Signal {signal} to main")),
        Action::Signal { signal, whom: Whom::Process(_), .. } => {
            Some(format!("Signal {signal} to the hook"))
        }
        Action::Sweep { .. } => Some("Sweep".into()),
        Action::SeekMain { .. } => Some("SeekMain".into()),
        Action::Forget { .. } => Some("Forget".into()),
        Action::Publish(Notice::Unexpected { .. }) => Some("*unexpected*".into()),
        Action::Publish(Notice::Reload { .. }) => Some("say Reload".into()),
        Action::Publish(Notice::GaveUp { .. }) => Some("say GaveUp".into()),
        Action::Publish(Notice::CrashLooping { .. }) => Some("say CrashLooping".into()),
        Action::Publish(Notice::Health { .. }) => Some("say Health".into()),
        Action::Publish(Notice::Unkillable { .. }) => Some("say Unkillable".into()),
        Action::Publish(Notice::PassedOver { .. }) => Some("say PassedOver".into()),
        Action::Publish(
            Notice::State { .. }
            | Notice::Hook { .. }
            | Notice::CycleBroken { .. }
            | Notice::LeftOut { .. }
            | Notice::Shutdown { .. },
        )
        | Action::KillStrays { .. }
        | Action::KillRest
        | Action::CloseFilesystems
        | Action::Power(_) => None,
    }
}

/// What one event does on one stage: actions, and the state after it if it is another.
fn outcome(mut stage: Stage, name: &str, event: Event<'_>) -> Option<(String, String)> {
    let before = stage.state();
    if name == "its deadline passes" {
        stage.now = stage.supervisor.next_deadline()?.0;
    }
    stage.supervisor.handle(Millis(stage.now), event);
    let actions: Vec<String> = stage.drain().iter().filter_map(describe).collect();
    let after = stage.state();
    let becomes = if after.name() == before.name() { "" } else { after.name() };
    Some((actions.join(", "), becomes.to_owned()))
}

fn table() -> String {
    let mut text = String::from(
        "<!-- Written by a test of ettan-core (ETTAN_BLESS=1 cargo test -p ettan-core state_table); do not edit. -->\n\n\
         # What each event does in each state\n\n\
         One unit by itself, `restart = \"always\"` (oneshots: `no`). A state of the same name counts as the\n\
         same state. Events that are not listed change nothing; *unexpected* ones are published as\n\
         `Notice::Unexpected`, and change nothing either.\n",
    );
    for (title, make) in stages() {
        let main = if title == "up (forking)" || title.contains("main process") { 11 } else { 10 };
        let (mut rows, mut unexpected) = (String::new(), Vec::new());
        for (name, event) in events(main) {
            let Some((actions, becomes)) = outcome(make(), name, event) else { continue };
            if actions == "*unexpected*" {
                assert_eq!(becomes, "", "{title}: unexpected {name} changed the state");
                unexpected.push(name);
            } else if !(actions.is_empty() && becomes.is_empty()) {
                writeln!(rows, "| {name} | {actions} | {becomes} |").expect("memory");
            }
        }
        write!(text, "\n## {title}\n\n| event | actions | becomes |\n|---|---|---|\n{rows}")
            .expect("memory");
        if !unexpected.is_empty() {
            write!(text, "\nUnexpected: {}.\n", unexpected.join(", ")).expect("memory");
        }
    }
    text
}

#[test]
fn the_state_table_in_the_docs_is_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/state-table.md");
    let fresh = table();
    if std::env::var_os("ETTAN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("docs")).expect("docs can be made");
        std::fs::write(&path, &fresh).expect("docs can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == fresh,
        "docs/state-table.md is not up to date: ETTAN_BLESS=1 cargo test -p ettan-core state_table"
    );
}

/// Every stage is in the state that its title says.
#[test]
fn the_stages_of_the_table_are_what_they_say() {
    for (title, make) in stages() {
        assert!(title.starts_with(make().state().name()), "{title}: {:?}", make().state());
    }
}

/// What was asked for is answered by that, too: nothing else is waited for.
#[test]
fn a_program_that_was_found_running_before_its_hook_can_be_stopped() {
    let found = Stage::new(simple("unit").hooks(On::Pre, 1).awaited())
        .then(Event::Runs { unit: UNIT })
        .then(ask(Ask::Stop))
        .then(Event::Emptied { unit: UNIT });
    assert_eq!(found.state(), State::Down);
}

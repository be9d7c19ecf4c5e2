//! What each request leads to. Reads the supervisor, changes nothing: what changes something
//! becomes a `Command` for the loop.

use super::client::{Job, Peer};
use super::describe::restart;
use super::ring::{Entry, Ring};
use super::words::{goal_word, kind_word, phase_word, state_word};
use super::{Command, Context};
use ettan_core::{
    Ask, Blocker, Goal, MAX_UNITS, Name, Outcome, Phase, Pid, Power, State, Tie, Unit, UnitId, View,
};
use ettan_wire::{
    Active, Blocked, Change, Condition, Diagnostic, ErrorCode, EventLine, Finished, Kill, Need,
    PowerWord, Refusal, Reply, Request, Severity, Signal, Stats, Text, UnitStatus, VERSION,
    Welcome, severity,
};

/// The answer to one request.
pub(crate) enum Answer {
    /// One packet, and that is all.
    Packet(Reply),
    /// One packet, then the connection ends.
    Last(Reply),
    /// Many packets, later.
    Begin(Job),
    /// `accepted`, a command for the loop, and perhaps an outcome later.
    Command(Command, Job),
}

/// What the control socket knows itself.
#[derive(Clone, Copy)]
pub(crate) struct Own<'a> {
    /// The last notices.
    pub(crate) ring: &'a Ring,
    /// When the boot was over.
    pub(crate) boot_ms: Option<u64>,
    /// How many clients there are.
    pub(crate) clients: u32,
}

/// The highest signal of Linux on x86 and ARM.
const SIGNAL_MAX: u8 = 64;

/// Decides how a request of `peer` is answered.
pub(crate) fn answer(request: Request, peer: Peer, own: Own<'_>, context: &Context<'_>) -> Answer {
    let (may, permitted) = match peer {
        Peer::Root => (true, ""),
        Peer::Operator => (
            request.only_looks() || request.only_operates(),
            "only root may do that; you may look, start and stop",
        ),
        Peer::Viewer => (
            request.only_looks(),
            "only root and the group ettan-operator may do that; you may look",
        ),
    };
    if !may {
        return refuse(ErrorCode::NotPermitted, permitted);
    }
    if peer != Peer::Root && asks_a_builtin(&request, context) {
        return refuse(
            ErrorCode::NotPermitted,
            "only root may start and stop what is Ettan itself",
        );
    }
    match request {
        Request::Hello(hello) if hello.version == VERSION => Answer::Packet(welcome()),
        Request::Hello(hello) => Answer::Last(refusal(
            ErrorCode::Version,
            format_args!("protocol version {} is not spoken here, {VERSION} is", hello.version),
        )),
        Request::List => Answer::Begin(Job::Listing { next: 0, units: 0, diagnostics: 0 }),
        Request::Status(which) => with_unit(&which.unit, context, |id, unit, view| {
            let file = about_the_file(&unit.name, context).map(Text::from);
            let status = status(id, unit, view, context);
            Answer::Packet(Reply::Unit(UnitStatus { file, ..status }))
        }),
        Request::IsActive(which) => with_unit(&which.unit, context, |_, unit, view| {
            Answer::Packet(Reply::Active(Active {
                unit: Text::from(unit.name.as_str()),
                active: matches!(view.state, State::Up { .. }),
                state: state_word(view.state),
            }))
        }),
        Request::Start(change) => ask(&change.unit, Ask::Start, change.wait, context),
        Request::Once(change) => ask(&change.unit, Ask::Once, change.wait, context),
        Request::Stop(change) => ask(&change.unit, Ask::Stop, change.wait, context),
        Request::Restart(change) => ask(&change.unit, Ask::Restart, change.wait, context),
        Request::Reload(change) => reload(&change, context),
        Request::Reset(which) => with_unit(&which.unit, context, |unit, _, _| {
            Answer::Command(Command::Ask { unit, ask: Ask::Reset }, Job::Idle)
        }),
        Request::Kill(wanted) => kill(&wanted, context),
        Request::Events(follow) => {
            let next = if follow.recent { own.ring.oldest() } else { own.ring.next() };
            Answer::Begin(Job::Following { next })
        }
        Request::ReloadUnits(_) if context.supervisor.phase() != Phase::Running => going_down(),
        Request::ReloadUnits(reload) => Answer::Command(
            Command::ReloadUnits,
            if reload.wait { Job::Reloading { begun: false } } else { Job::Idle },
        ),
        Request::Needs => Answer::Begin(Job::Needs { unit: 0, nth: 0 }),
        Request::Conditions(wanted) => {
            let follow = wanted.follow.then(|| context.supervisor.wishes());
            Answer::Begin(Job::Conditions { next: 0, follow })
        }
        Request::Condition(fact) => condition(&fact),
        Request::Ran(ran) => with_unit(&ran.unit, context, |unit, _, _| {
            Answer::Command(Command::Ran { unit, second: ran.second }, Job::Idle)
        }),
        Request::Power(wanted) => {
            let power = match wanted.action {
                PowerWord::Reboot => Power::Reboot,
                PowerWord::PowerOff => Power::PowerOff,
                PowerWord::Halt => Power::Halt,
            };
            Answer::Command(Command::Shutdown { power, force: wanted.force }, Job::Idle)
        }
        Request::Reexec if context.supervisor.phase() != Phase::Running => going_down(),
        Request::Reexec => Answer::Command(Command::Reexec, Job::Executing),
        Request::Flush => Answer::Command(Command::Flush, Job::Idle),
        #[cfg(feature = "fault-injection")]
        Request::Fail(wanted) => Answer::Command(Command::Fail(wanted), Job::Idle),
        #[cfg(not(feature = "fault-injection"))]
        Request::Fail(_) => refuse(ErrorCode::UnknownVerb, "only test builds fail when asked to"),
        Request::Stats => Answer::Packet(Reply::Stats(stats(own, context))),
    }
}

/// Among Ettan's own units are a shell of root's on the console and the loader of all others.
fn asks_a_builtin(request: &Request, context: &Context<'_>) -> bool {
    let name = if let Request::Start(change)
    | Request::Once(change)
    | Request::Stop(change)
    | Request::Restart(change)
    | Request::Reload(change) = request
    {
        &change.unit
    } else if let Request::Reset(which) = request {
        &which.unit
    } else {
        return false;
    };
    let supervisor = context.supervisor;
    supervisor.find(name).and_then(|id| supervisor.unit(id)).is_some_and(|unit| unit.builtin)
}

/// A refusal with its reason in words.
pub(crate) fn refusal(code: ErrorCode, text: core::fmt::Arguments<'_>) -> Reply {
    Reply::Error(Refusal { code, text: Text::format(text), version: VERSION })
}

fn refuse(code: ErrorCode, text: &str) -> Answer {
    Answer::Packet(refusal(code, format_args!("{text}")))
}

fn going_down() -> Answer {
    refuse(ErrorCode::ShuttingDown, "the machine is going down; nothing is started any more")
}

fn welcome() -> Reply {
    Reply::Welcome(Welcome { version: VERSION, program: Text::from(crate::VERSION) })
}

fn with_unit(
    name: &str,
    context: &Context<'_>,
    found: impl FnOnce(UnitId, &Unit, View<'_>) -> Answer,
) -> Answer {
    let supervisor = context.supervisor;
    let unit =
        supervisor.find(name).and_then(|id| Some((id, supervisor.unit(id)?, supervisor.view(id)?)));
    match unit {
        Some((id, unit, view)) => found(id, unit, view),
        None => Answer::Packet(unknown(name, context)),
    }
}

/// No such unit; or its file was refused, and then that is the news.
fn unknown(name: &str, context: &Context<'_>) -> Reply {
    match context.facts.diagnostic_about(name) {
        Some(text) if severity(text) == Some(Severity::Error) => {
            refusal(ErrorCode::Refused, format_args!("{name}: {text}"))
        }
        Some(text) => refusal(ErrorCode::UnknownUnit, format_args!("{name}: {text}")),
        None => refusal(ErrorCode::UnknownUnit, format_args!("no unit is called {name}")),
    }
}

/// What the loader says of a unit's own file, or of the one that has it as an instance.
fn about_the_file<'a>(name: &str, context: &Context<'a>) -> Option<&'a str> {
    let facts = context.facts;
    facts.diagnostic_about(name).or_else(|| facts.diagnostic_about(facts.group(name)?))
}

fn ask(name: &str, ask: Ask, wait: bool, context: &Context<'_>) -> Answer {
    let starts = match ask {
        Ask::Start | Ask::Once | Ask::Restart | Ask::Reload => true,
        Ask::Stop | Ask::Reset | Ask::Signal(_) => false,
    };
    if starts && context.supervisor.phase() != Phase::Running {
        return going_down();
    }
    with_unit(name, context, |unit, policy, _| {
        // Without the logger every service would stand still at a full pipe; without the prober, what
        // waits for its word.
        let stays = policy.autostart || policy.name == crate::builtin::PROBER;
        if ask == Ask::Stop && policy.builtin && stays {
            let text = format_args!(
                "{name} belongs to PID 1 and is not stopped; `ettan restart {name}` starts it anew"
            );
            return Answer::Packet(refusal(ErrorCode::NotPermitted, text));
        }
        let job =
            if wait { Job::Waiting { unit, name: policy.name.clone(), ask } } else { Job::Idle };
        Answer::Command(Command::Ask { unit, ask }, job)
    })
}

fn kill(wanted: &Kill, context: &Context<'_>) -> Answer {
    if !(1..=SIGNAL_MAX).contains(&wanted.signal) {
        return Answer::Packet(refusal(
            ErrorCode::NoSuchSignal,
            format_args!("there is no signal {}", wanted.signal),
        ));
    }
    with_unit(&wanted.unit, context, |unit, policy, view| match view.state.pid() {
        Some(_) => {
            Answer::Command(Command::Ask { unit, ask: Ask::Signal(wanted.signal) }, Job::Idle)
        }
        None => Answer::Packet(refusal(
            ErrorCode::NotRunning,
            format_args!(
                "{} has no process to send signal {} to; it is {}",
                policy.name,
                Signal(wanted.signal),
                state_word(view.state).word()
            ),
        )),
    })
}

/// Only what is up and can take in anything is asked to.
fn reload(change: &Change, context: &Context<'_>) -> Answer {
    let name = &change.unit;
    with_unit(name, context, |_, policy, view| {
        if !policy.is_reloadable() {
            let text = format_args!(
                "{name} is not reloadable: its file has neither exec-reload nor reload-signal; \
                 `ettan restart {name}` starts it anew"
            );
            return Answer::Packet(refusal(ErrorCode::NotReloadable, text));
        }
        if !matches!(view.state, State::Up { .. }) {
            let state = state_word(view.state).word();
            let text = format_args!(
                "{name} is {state}, and only what is up is reloaded; it takes in its settings when \
                 it starts"
            );
            return Answer::Packet(refusal(ErrorCode::NotRunning, text));
        }
        ask(name, Ask::Reload, change.wait, context)
    })
}

fn condition(fact: &Condition) -> Answer {
    match Name::try_from(fact.name.as_str()) {
        Ok(name) if !name.is_empty() => {
            Answer::Command(Command::Condition { name, holds: fact.holds }, Job::Idle)
        }
        Ok(_) | Err(_) => refuse(ErrorCode::BadRequest, "a condition needs a name"),
    }
}

/// How it ended, once it has: `done` or `failed`.
pub(crate) fn outcome(unit: UnitId, name: &Name, ask: Ask, context: &Context<'_>) -> Option<Reply> {
    let supervisor = context.supervisor;
    if supervisor.unit(unit).is_none_or(|unit| unit.name != *name) {
        let text = Text::format(format_args!("{name}: gone, its definition was removed"));
        return Some(match ask {
            Ask::Stop | Ask::Reset => Reply::Done(Finished { text }),
            Ask::Start | Ask::Once | Ask::Restart | Ask::Reload | Ask::Signal(_) => {
                Reply::Failed(Finished { text })
            }
        });
    }
    let sources = context.sources();
    let outcome = supervisor.outcome(unit, ask)?;
    if ask == Ask::Reload {
        return Some(match outcome {
            Outcome::Done => Reply::Done(Finished { text: sources.reload(unit, Ok(())) }),
            Outcome::Failed(why) => {
                Reply::Failed(Finished { text: sources.reload(unit, Err(why)) })
            }
        });
    }
    match outcome {
        Outcome::Done => Some(Reply::Done(Finished { text: sources.unit(unit) })),
        Outcome::Failed(reason) => {
            let why = sources.why(unit, reason);
            let text = Text::format(format_args!("{name}: {why}"));
            Some(Reply::Failed(Finished { text }))
        }
    }
}

/// The packet for number `next` of a list and the places after it: a unit, a diagnostic, the end.
pub(crate) fn next_of_list(
    next: u16,
    units: u32,
    diagnostics: u32,
    context: &Context<'_>,
) -> (Option<u16>, Reply) {
    let supervisor = context.supervisor;
    let end = u16::try_from(MAX_UNITS).unwrap_or(u16::MAX);
    for place in next..end {
        let id = UnitId(place);
        if let (Some(unit), Some(view)) = (supervisor.unit(id), supervisor.view(id)) {
            let status = status(id, unit, view, context);
            return (Some(place.saturating_add(1)), Reply::Unit(status));
        }
    }
    let nth = usize::try_from(diagnostics).unwrap_or(usize::MAX);
    match context.facts.diagnostic(nth) {
        Some(said) => {
            let unit = said.unit.map(Text::from);
            (Some(end), Reply::Diagnostic(Diagnostic { unit, text: Text::from(said.text) }))
        }
        None => (None, Reply::End(ettan_wire::End { units, diagnostics })),
    }
}

/// The need at this number, or the next one after it, and the number after that.
pub(crate) fn next_need(
    mut unit: u16,
    mut nth: u16,
    context: &Context<'_>,
) -> (Option<(u16, u16)>, Reply) {
    let end = u16::try_from(MAX_UNITS).unwrap_or(u16::MAX);
    while unit < end {
        let owner = context.supervisor.unit(UnitId(unit));
        let tie = context.supervisor.tie(UnitId(unit), usize::from(nth));
        if let (Some(owner), Some(tie)) = (owner, tie) {
            let need = need(owner, tie, context);
            return (Some((unit, nth.saturating_add(1))), Reply::Need(need));
        }
        (unit, nth) = (unit.saturating_add(1), 0);
    }
    (None, Reply::End(ettan_wire::End { units: 0, diagnostics: 0 }))
}

fn need(owner: &Unit, tie: Tie<'_>, context: &Context<'_>) -> Need {
    let Tie { on, after, wants, requires, binds_to, conflicts, part_of, on_failure, cut } = tie;
    let (what, on) = named(on, context);
    let unit = Text::from(owner.name.as_str());
    Need { unit, what, on, after, wants, requires, binds_to, conflicts, part_of, on_failure, cut }
}

/// Everything about one unit.
pub(crate) fn status(id: UnitId, unit: &Unit, view: View<'_>, context: &Context<'_>) -> UnitStatus {
    let (blocked_by, waiting_for) = view.blocked_by.map(|blocker| named(blocker, context)).unzip();
    let (told, says) = context.facts.told(id);
    let awaited = matches!(view.state, State::Awaiting { .. }).then(|| Text::from(told));
    let (since_ms, deadline_ms) = times(view.state);
    let since_ms = since_ms.or(view.at_rest_since.map(|at| at.0));
    let deadline_ms = deadline_ms.or_else(|| view.ready_by.map(|at| at.0));
    let [started, ready] = view.first.map(|at| at.map(|at| at.0));
    let why = context.sources().why_now(id, unit, &view);
    let timer = context.supervisor.timer(id);
    UnitStatus {
        unit: Text::from(unit.name.as_str()),
        group: context.facts.group(&unit.name).map(Text::from),
        description: Text::from(context.facts.description(&unit.name)),
        kind: kind_word(unit.kind),
        goal: goal_word(view.goal),
        state: state_word(view.state),
        now_ms: context.now.0,
        since_ms,
        deadline_ms,
        main_pid: view.state.pid().map(Pid::raw),
        restarts: view.restarts,
        in_a_row: view.in_a_row,
        crash_looping: view.crash_looping,
        gave_up: view.gave_up,
        unkillable: view.unkillable,
        orphaned: view.orphaned,
        file: None,
        builtin: unit.builtin,
        critical: unit.critical,
        reason: Text::format(format_args!("{why}")),
        last_exit: view
            .last_exit
            .map(|status| Text::format(format_args!("{}", super::describe::Exit(status)))),
        hook: view.hook.map(|hook| context.sources().hooking(hook)),
        last_hook: view.last_hook.map(|(stage, nth, end)| {
            Text::format(format_args!("{}", context.sources().ended(id, stage, nth, end)))
        }),
        blocked_by,
        waiting_for: waiting_for.or(awaited),
        says: (!says.is_empty()).then(|| Text::from(says)),
        unwell: view.unwell.then(|| Text::from(told)),
        restart: restart(unit),
        autostart: unit.autostart,
        timed: timer.is_some(),
        next_ms: timer.and_then(|timer| timer.due).map(|at| at.0),
        awaits_clock: timer.is_some_and(|timer| timer.awaits_clock),
        run_ms: timer.and_then(|timer| timer.started).map(|at| at.0),
        ran_s: timer.and_then(|timer| timer.ran),
        persistent: timer.is_some_and(|timer| timer.persistent),
        once: view.once,
        started_ms: started,
        ready_ms: ready,
    }
}

fn named<const N: usize>(blocker: Blocker<'_>, context: &Context<'_>) -> (Blocked, Text<N>) {
    let of = |unit| {
        Text::from(context.supervisor.unit(unit).map_or("", |unit: &Unit| unit.name.as_str()))
    };
    match blocker {
        Blocker::Unit(unit) => (Blocked::Unit, of(unit)),
        Blocker::Rival(unit) => (Blocked::Rival, of(unit)),
        Blocker::Bound(unit) => (Blocked::Bound, of(unit)),
        Blocker::Condition(name) => (Blocked::Condition, Text::from(name)),
        Blocker::Missing(name) => (Blocked::Missing, Text::from(name)),
    }
}

/// Since when, and until when, as far as the state carries it.
fn times(state: State) -> (Option<u64>, Option<u64>) {
    match state {
        State::Preparing { since, .. }
        | State::Starting { since, .. }
        | State::Seeking { since }
        | State::Awaiting { since, .. }
        | State::Finishing { since, .. }
        | State::Up { since, .. }
        | State::Sweeping { since, .. } => (Some(since.0), None),
        State::Stopping { kill_at, .. } | State::Cleaning { kill_at } => {
            (None, kill_at.map(|at| at.0))
        }
        State::Backoff { until } => (None, Some(until.0)),
        State::Down | State::Failed => (None, None),
    }
}

/// One notice as a packet.
pub(crate) fn event(entry: &Entry, context: &Context<'_>) -> Reply {
    let supervisor = context.supervisor;
    let unit = entry.unit(supervisor);
    let text = if unit.is_some() || !entry.is_of_a_unit() {
        Text::format(format_args!("{}", context.sources_at(entry.at).notice(&entry.notice)))
    } else {
        Text::from("a unit that is no longer defined changed its state")
    };
    let state = match entry.notice {
        ettan_core::Notice::State { to, .. } => Some(state_word(to)),
        ettan_core::Notice::Hook { .. }
        | ettan_core::Notice::Reload { .. }
        | ettan_core::Notice::GaveUp { .. }
        | ettan_core::Notice::CrashLooping { .. }
        | ettan_core::Notice::Unkillable { .. }
        | ettan_core::Notice::Health { .. }
        | ettan_core::Notice::PassedOver { .. }
        | ettan_core::Notice::CycleBroken { .. }
        | ettan_core::Notice::LeftOut { .. }
        | ettan_core::Notice::Shutdown { .. }
        | ettan_core::Notice::Unexpected { .. } => None,
    };
    Reply::Event(EventLine {
        sequence: entry.sequence,
        at_ms: entry.at.0,
        unit: unit
            .and_then(|unit| supervisor.unit(unit))
            .map(|unit| Text::from(unit.name.as_str())),
        state,
        text,
    })
}

/// About PID 1 itself, counted now.
fn stats(own: Own<'_>, context: &Context<'_>) -> Stats {
    let facts = context.facts;
    let history = facts.history();
    let watchdog = facts.watchdog();
    let mut stats = Stats {
        version: Text::from(crate::VERSION),
        protocol: VERSION,
        uptime_ms: context.now.0,
        boot_ms: own.boot_ms,
        init_ms: history.begun_ms,
        loaded_ms: facts.loaded().map(|at| at.0),
        phase: phase_word(context.supervisor.phase()),
        units: 0,
        up: 0,
        changing: 0,
        waiting: 0,
        failed: 0,
        down: 0,
        diagnostics: u32::try_from(facts.diagnostics()).unwrap_or(u32::MAX),
        allocations_after_boot: facts.allocations_after_boot(),
        fallbacks: Text::format(format_args!("{}", ettan_sys::kernel::Missing)),
        degraded: facts.degraded(),
        clients: own.clients,
        crashes: history.crashes,
        reduced: history.reduced,
        executions: history.executions,
        trial: history.trial,
        reverted: history.reverted,
        watchdog: watchdog.as_ref().map(|report| report.identity.clone()),
        watchdog_timeout_ms: watchdog.as_ref().map_or(0, |report| report.timeout_ms),
        watchdog_fed_ms: watchdog.as_ref().map_or(0, |report| report.fed_ms),
        last_reset: watchdog
            .as_ref()
            .map_or_else(Text::new, |report| Text::from(report.last_reset)),
        watchdog_trouble: watchdog.map_or_else(Text::new, |report| report.trouble),
        last_end: facts.last_end(),
        ending: context.supervisor.ending().map(power_word),
    };
    for id in context.supervisor.units() {
        let Some(unit) = context.supervisor.unit(id) else { continue };
        let Some(view) = context.supervisor.view(id) else { continue };
        if !unit.builtin {
            count(&mut stats, &view);
        }
    }
    stats
}

const fn power_word(power: Power) -> PowerWord {
    match power {
        Power::Reboot => PowerWord::Reboot,
        Power::PowerOff => PowerWord::PowerOff,
        Power::Halt => PowerWord::Halt,
    }
}

fn count(stats: &mut Stats, view: &View<'_>) {
    let Stats { up, changing, waiting, failed, down, .. } = stats;
    let counter = match (view.state, view.goal) {
        (State::Up { .. }, _) => up,
        (State::Failed, _) => failed,
        (State::Down, Goal::Up) => waiting,
        (State::Down, Goal::Down) => down,
        (
            State::Preparing { .. }
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. },
            _,
        ) => changing,
    };
    *counter = counter.saturating_add(1);
    stats.units = stats.units.saturating_add(1);
}

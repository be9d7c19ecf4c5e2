//! What of a draft the core goes by, and its defaults: the table of docs/ettan-unit.5.md in code.

use ettan_core::{Hooks, Kind, LimitAction, Name, Probes, Restart, StartLimit, Unit, signals};

use crate::diagnostic::Notes;
use crate::draft::{Draft, Type};

/// The unit, but for its hooks and probes: the table counts those.
pub(crate) fn policy(
    name: &str,
    autostart: bool,
    kind: Type,
    draft: &Draft,
    notes: &mut Notes,
) -> Option<Unit> {
    let remain_after_exit = draft.remain_after_exit.as_ref().is_some_and(|at| at.value);
    let reload_answers = kind == Type::NotifyReload;
    let (kind, restart) = match kind {
        Type::Simple => (Kind::Simple, Restart::Always),
        Type::Notify | Type::NotifyReload => (Kind::Notify, Restart::Always),
        Type::Forking => (Kind::Forking, Restart::Always),
        Type::Oneshot => (Kind::Oneshot { remain_after_exit }, Restart::No),
        Type::Target => (Kind::Target, Restart::No),
    };
    let timed = draft.timer.is_some();
    // Its next time comes anyway; and a job takes as long as it takes.
    let restart = if timed { Restart::No } else { restart };
    let is_job = timed && matches!(kind, Kind::Oneshot { .. });
    let start_timeout_ms = if is_job { 0 } else { 30_000 };
    let delay = draft.restart_sec.as_ref().map_or(250, |at| at.value);
    let most = draft.restart_max_delay_sec.as_ref();
    if let Some(most) = most.filter(|most| most.value < delay) {
        notes.error_with(&most.span, "shorter than restart-sec", "the delay grows up to this");
    }
    Some(Unit {
        name: Name::try_from(name).ok()?,
        kind,
        restart: draft.restart.unwrap_or(restart),
        restart_delay_ms: delay,
        restart_delay_max_ms: most.map_or(30_000.max(delay), |most| most.value),
        restart_reset_ms: draft.restart_reset_sec.unwrap_or(60_000),
        start_limit: start_limit(draft, notes),
        min_uptime_ms: draft.min_uptime_sec.unwrap_or(1_000),
        start_timeout_ms: draft.timeout_start_sec.unwrap_or(start_timeout_ms),
        stop_timeout_ms: draft.timeout_stop_sec.unwrap_or(10_000),
        kill_signal: draft.kill_signal.unwrap_or(signals::TERM),
        kill_mode: draft.kill_mode.unwrap_or_default(),
        reload_signal: draft
            .reload_signal
            .as_ref()
            .map(|at| at.value)
            .or(reload_answers.then_some(signals::HUP)),
        reload_answers,
        success: draft.success.clone(),
        no_restart: draft.no_restart.clone(),
        hooks: Hooks::default(),
        probes: Probes::Nothing,
        autostart,
        skipped: false,
        critical: draft.critical,
        holds_data: draft.holds_data,
        nice: draft.nice,
        builtin: false,
        fingerprint: 0,
    })
}

/// Only who says how often is given up.
fn start_limit(draft: &Draft, notes: &mut Notes) -> StartLimit {
    let (interval, action) = (&draft.start_limit_interval_sec, &draft.start_limit_action);
    let burst = draft.start_limit_burst.unwrap_or(0);
    if burst == 0 {
        let interval = interval.as_ref().map(|at| &at.span);
        for span in interval.into_iter().chain(action.as_ref().map(|at| &at.span)) {
            let message = "has no effect without start-limit-burst";
            notes.warning(span, message, "that says after how many starts the unit is given up");
        }
    }
    StartLimit {
        burst,
        interval_ms: interval.as_ref().map_or(10_000, |at| at.value),
        action: action.as_ref().map_or(LimitAction::Nothing, |at| at.value),
    }
}

//! What the status page shares with the command: the same questions to PID 1, the same words, the
//! same packets. Prints nothing, and never waits for ever.

use crate::code::Code;
use crate::escape::{self, json_string};
use crate::link::{Answer, Link};
use crate::logs::{self, Form};
use crate::status::{self, Listing, Look, Whole};
use crate::{change, link, show};
use ettan_wire::{Change, Reply, Request, Stats, UnitStatus};

/// How long PID 1 may take for an answer: it needs a millisecond.
const PATIENCE_MS: u64 = 5_000;

/// The most bytes of a log at a time: what a telephone shows, and a Pi Zero has in memory three times.
const LOG_BYTES: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Of which kind.
    pub kind: Kind,
    /// For people.
    pub text: String,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No such unit.
    Unknown,
    /// PID 1 or the kernel forbids it.
    NotPermitted,
    /// PID 1 does not answer, or not with what was asked for.
    Failed,
}

impl From<link::Trouble> for Trouble {
    fn from(trouble: link::Trouble) -> Self {
        let kind = match trouble.code {
            Code::NotInstalled | Code::NotConfigured | Code::Unknown => Kind::Unknown,
            Code::NotPermitted => Kind::NotPermitted,
            Code::Done
            | Code::Failed
            | Code::Usage
            | Code::NotImplemented
            | Code::Down
            | Code::NotRunning
            | Code::Hand
            | Code::Fatal => Kind::Failed,
        };
        Self { kind, text: trouble.text }
    }
}

/// A unit in the list.
pub struct Listed {
    /// What PID 1 says.
    pub status: UnitStatus,
    /// As `ettan list --json` has it.
    pub json: String,
}

/// All units, by name.
pub struct Units {
    /// Ettan's own only if asked for, or in need of attention.
    pub units: Vec<Listed>,
    /// What the loader said about unit files.
    pub diagnostics: Vec<String>,
}

/// One unit, or the machine, looked at closely.
pub struct Seen<Facts> {
    /// What PID 1 says.
    pub facts: Facts,
    /// As `ettan status --json` has it.
    pub json: String,
    /// As `ettan status` has it: the first line, then names and values.
    pub title: String,
    /// The lines below it.
    pub rows: Vec<(String, String)>,
}

/// What a unit shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Up.
    Start,
    /// Down.
    Stop,
    /// Down, then up.
    Restart,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// It is so.
    pub is_done: bool,
    /// In words.
    pub text: String,
    /// As `ettan --json` has it.
    pub json: String,
}

/// To be called once, before everything else: nothing here waits for ever.
pub fn be_patient() {
    link::be_patient_for(PATIENCE_MS);
}

/// All units.
///
/// # Errors
/// PID 1 does not answer.
pub fn units(all: bool) -> Result<Units, Trouble> {
    let Listing { units, diagnostics } = status::listing(all)?;
    let listed = |(status, json): (UnitStatus, String)| Listed { status, json: packet(&json) };
    Ok(Units {
        units: units.into_iter().map(listed).collect(),
        diagnostics: diagnostics.into_iter().map(|(said, _)| said.text.to_string()).collect(),
    })
}

/// One unit.
///
/// # Errors
/// There is none of that name, or PID 1 does not answer.
pub fn unit(name: &str) -> Result<Seen<UnitStatus>, Trouble> {
    let Look { status, json, page } = status::look(name)?;
    Ok(seen(status, &json, &page))
}

/// The machine.
///
/// # Errors
/// PID 1 does not answer.
pub fn machine() -> Result<Seen<Stats>, Trouble> {
    let Whole { stats, json, page } = status::whole()?;
    Ok(seen(stats, &json, &page))
}

fn seen<Facts>(facts: Facts, json: &str, page: &str) -> Seen<Facts> {
    let mut lines = page.lines();
    let title = lines.next().unwrap_or_default().to_owned();
    let rows = lines.filter_map(|line| line.trim_start().split_once(": "));
    let rows = rows.map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
    Seen { facts, json: packet(json), title, rows }
}

/// The last lines of a unit's log, as `ettan logs` shows them on a terminal.
///
/// # Errors
/// It cannot be read, or there is no such unit.
pub fn log(unit: &str, count: usize) -> Result<Vec<String>, Trouble> {
    Ok(logs::last(unit, count, LOG_BYTES, Form::Text)?)
}

/// The same as `ettan logs --json` has them.
///
/// # Errors
/// As [`log`].
pub fn log_packets(unit: &str, count: usize) -> Result<Vec<String>, Trouble> {
    Ok(logs::last(unit, count, LOG_BYTES, Form::Json)?)
}

/// Has a unit started, stopped or restarted, and waits until it is so; None when that is not yet
/// so after `limit_ms`. What was accepted stands.
///
/// # Errors
/// PID 1 refused, or does not answer.
pub fn change(goal: Goal, unit: &str, limit_ms: u64) -> Result<Option<Outcome>, Trouble> {
    let change = Change { unit: change::name(unit)?, wait: true };
    let link = Link::ask(&match goal {
        Goal::Start => Request::Start(change),
        Goal::Stop => Request::Stop(change),
        Goal::Restart => Request::Restart(change),
    })?;
    link.expect()?;
    if !link.is_ready_within(limit_ms) {
        return Ok(None);
    }
    let Answer { reply, json } = link.expect()?;
    let (is_done, text) = match reply {
        Reply::Done(finished) => (true, finished.text),
        Reply::Failed(finished) => (false, finished.text),
        _ => return Err(status::unexpected().into()),
    };
    Ok(Some(Outcome { is_done, text: text.to_string(), json: packet(&json) }))
}

/// `up`, or `waiting` for what is down only because of another.
#[must_use]
pub fn word(status: &UnitStatus) -> &'static str {
    show::word(status)
}

/// `up for 2 min 5 s, since 19:31:02`.
#[must_use]
pub fn standing(status: &UnitStatus) -> String {
    show::standing(status) + &show::since(status, status::right_wall())
}

/// `3, the last because it was killed by signal 9 (KILL)`.
#[must_use]
pub fn restarts(status: &UnitStatus) -> String {
    show::restarts(status)
}

/// `condition network`.
#[must_use]
pub fn waits_for(status: &UnitStatus) -> Option<String> {
    show::waits_for(status)
}

/// Bytes of memory and tasks, where the kernel counts them.
#[must_use]
pub fn usage(status: &UnitStatus) -> (Option<u64>, Option<u64>) {
    let usage = crate::group::usage(status.main_pid);
    (usage.memory_bytes, usage.tasks)
}

/// A string of JSON, quotes and all.
#[must_use]
pub fn quoted(text: &str) -> String {
    packet(&json_string(text))
}

fn packet(json: &str) -> String {
    escape::packet(json)
}

//! `[timer]`: when a unit is started by itself.

use std::ops::Range;
use std::path::Path;

use ettan_core::{Calendar, Timer};

use crate::diagnostic::{Complaint, Notes};
use crate::draft::{At, Draft, Item, Type, boolean, span, text};
use crate::moments::{self, Moments};
use crate::zone;

/// What the keys say; None where they say nothing.
#[derive(Debug, Default)]
pub(crate) struct TimerDraft {
    /// Where the table begins first.
    table: Option<Range<usize>>,
    /// A key says when, which may be wrong.
    has_moment: bool,
    on_boot_ms: Option<At<u32>>,
    every_ms: Option<At<u32>>,
    at: Option<At<Moments>>,
    /// There is one, which may be wrong.
    has_at: bool,
    persistent: Option<At<bool>>,
}

/// The shortest `every`: what comes more often is a service that waits by itself.
const SHORTEST_MS: u32 = 1_000;

pub(crate) fn on_boot_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.timer.has_moment = true;
    draft.timer.on_boot_ms = keep(item, notes.take(&item.span, span(item.value)));
}

pub(crate) fn every(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.timer.has_moment = true;
    let checked = span(item.value).and_then(|span| match span {
        0..SHORTEST_MS => Err(Complaint::new("shorter than a second").hint("at least \"1s\"")),
        span => Ok(span),
    });
    draft.timer.every_ms = keep(item, notes.take(&item.span, checked));
}

pub(crate) fn at(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = text(item.value)
        .map_err(|complaint| complaint.hint("one moment as text, for example \"03:30\""))
        .and_then(|text| moments::parse(&text));
    draft.timer.has_moment = true;
    draft.timer.has_at = true;
    draft.timer.at = keep(item, notes.take(&item.span, checked));
}

pub(crate) fn persistent(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.timer.persistent = keep(item, notes.take(&item.span, boolean(item.value)));
}

fn keep<T>(item: &Item<'_>, value: Option<T>) -> Option<At<T>> {
    value.map(|value| At { span: item.key.clone(), value })
}

impl TimerDraft {
    /// A file or drop-in has the table.
    pub(crate) fn begin(&mut self, place: &Range<usize>) {
        self.table.get_or_insert_with(|| place.clone());
    }

    /// Whether the unit is started by a timer, as far as that can be said.
    pub(crate) const fn is_some(&self) -> bool {
        self.on_boot_ms.is_some() || self.every_ms.is_some() || self.at.is_some()
    }

    /// What PID 1 is told; what makes no sense together is noted.
    pub(crate) fn compile(
        &self,
        kind: Type,
        remains: Option<&At<bool>>,
        root: &Path,
        notes: &mut Notes,
    ) -> Option<Timer> {
        let persistent = self.persistent.as_ref().filter(|at| at.value);
        if let (Some(persistent), false) = (persistent, self.has_at) {
            let hint = "what a span of time counts from is lost with the power";
            notes.error_with(&persistent.span, "`persistent` goes with `at`", hint);
        }
        if let Some(table) =
            self.table.as_ref().filter(|_| !self.has_moment && persistent.is_none())
        {
            let hint = "it takes `on-boot-sec`, `every` or `at`; without the table the unit starts at boot";
            notes.error_with(table, "a [timer] that never goes off", hint);
        }
        let first = [&self.on_boot_ms, &self.every_ms].into_iter().flatten().map(|at| &at.span);
        let span = first.chain(self.at.as_ref().map(|at| &at.span)).next()?;
        if kind == Type::Target {
            notes.error(span, "a timer of a target, which executes nothing");
        }
        if let Some(remains) = remains.filter(|at| at.value) {
            let hint = "once it is up, a timer starts it no more: leave it out";
            notes.error_with(&remains.span, "`remain-after-exit` with a timer", hint);
        }
        let at = self.at.as_ref().map(|at| calendar(at, root, notes));
        Some(Timer {
            on_boot_ms: self.on_boot_ms.as_ref().map(|at| at.value),
            every_ms: self.every_ms.as_ref().map_or(0, |at| at.value),
            at,
            persistent: persistent.is_some(),
        })
    }
}

fn calendar(at: &At<Moments>, root: &Path, notes: &mut Notes) -> Calendar {
    let Moments { days, hours, minutes, utc } = at.value;
    let local = if utc { None } else { Some(zone::of(root)) };
    let in_zone = Calendar { days, hours, minutes, zone: local.flatten().unwrap_or_default() };
    if local == Some(None) || !in_zone.is_sound() {
        let hint = "tzdata from 2020 on has one; `UTC` at the end says the same without a word";
        notes.warning(&at.span, "by UTC: /etc/localtime has no rule for years to come", hint);
        return Calendar { zone: ettan_core::Zone::UTC, ..in_zone };
    }
    in_zone
}

//! Hands lines of one unit on to its further logs: each is a log like all others, but without a
//! pipe.

use std::path::Path;

use super::disks::{Disk, is_bad, is_bad_priority};
use super::{Logger, MAX_LOGS};
use crate::packet::{Keep, Limits, STREAMS, Stream, When};
use crate::route::{self, Rule};
use crate::router::Router;
use crate::stage::Left;

/// The further logs of one unit.
pub(super) struct Routes {
    /// By stream; all have the same rules.
    routers: [Router; 2],
    /// Where the log of each rule is.
    pub(super) slots: Vec<usize>,
}

impl Routes {
    fn rule(&self, number: usize) -> Option<&Rule> {
        let [router, _] = &self.routers;
        router.rules.get(number)
    }

    /// What the stage calls the keeping of a line's beginning: it comes after all logs.
    fn last_target(&self) -> u64 {
        self.slots.len() as u64 + 1
    }
}

impl Logger<'_> {
    /// The log in this slot has these further logs from now on.
    pub(super) fn set_routes(
        &mut self,
        slot: usize,
        name: &str,
        limits: Limits,
        keep: Keep<'_>,
        words: &str,
    ) {
        let former = self.logs.get_mut(slot).and_then(|log| log.as_mut()?.routes.take());
        let mut rules = route::read(words).unwrap_or_default();
        let mut slots = Vec::new();
        let unit = name;
        rules.retain(|rule| {
            let name = format!("{unit}.{}", rule.name);
            let to = self.open_route(&name, limits, keep, rule.directory.as_deref());
            if let Some(Some(log)) = to.and_then(|to| self.logs.get_mut(to)) {
                unit.clone_into(&mut log.unit);
            }
            slots.extend(to);
            to.is_some()
        });
        let directory = self.root.join(name);
        let (former, routers) = match former {
            Some(Routes { mut routers, slots }) => {
                routers.iter_mut().for_each(|router| router.rules.clone_from(&rules));
                (slots, routers)
            }
            None => {
                let router = |stream| Router::new(&directory, stream, rules.clone());
                (Vec::new(), STREAMS.map(router))
            }
        };
        for gone in former.into_iter().filter(|gone| !slots.contains(gone)) {
            self.finish_route(gone);
        }
        if slots.is_empty() {
            Router::forget(&directory);
        } else if let Some(Some(log)) = self.logs.get_mut(slot) {
            log.routes = Some(Routes { routers, slots });
        }
    }

    fn open_route(
        &mut self,
        name: &str,
        limits: Limits,
        keep: Keep<'_>,
        directory: Option<&Path>,
    ) -> Option<usize> {
        // Lines over the unit's rate are looked at as well, and what they fill is bounded.
        let limits = Limits { lines_a_second: 0, ..limits };
        let Some(slot) = self.insert(name, limits) else {
            complain!("{name}: {MAX_LOGS} logs are open already; nothing is routed to it");
            return None;
        };
        let log = self.logs.get_mut(slot)?.as_mut()?;
        if log.has_pipe() {
            complain!("{name}: is the log of a unit; nothing is routed to it");
            return None;
        }
        log.ledger.set_limits(limits);
        log.limits = limits;
        let always = keep.when != When::Asked;
        let due_ms = log.keep_at(self.root, |former| {
            let directory = directory?.to_owned();
            Some(Disk::at(directory, always, keep.budget_bytes, former))
        });
        self.keep_by(due_ms);
        Some(slot)
    }

    /// Hands on what the unit wrote: to the log of this number first and to those after it, the first
    /// of which has so many bytes of its part already.
    pub(super) fn route(
        &mut self,
        slot: usize,
        (stream, output): (Stream, &[u8]),
        first: u64,
        from: u64,
    ) {
        let Some(mut routes) = self.take_routes(slot) else { return };
        let mut chosen = std::mem::take(&mut self.chosen);
        for (rule, to) in routes.slots.iter().enumerate() {
            let target = rule as u64 + 1;
            if target < first {
                continue;
            }
            let router = &routes.routers[stream as usize];
            let is_matched = router.choose(rule, output, &mut chosen);
            if chosen.is_empty() {
                continue;
            }
            let from = if target == first { from } else { 0 };
            if from == 0 {
                let log = self.logs.get(*to).and_then(Option::as_ref);
                let is_in_line = log.is_some_and(|log| log.ledger.is_in_line(stream));
                self.desk.stage.turn_to(target, is_in_line);
            }
            let rest = usize::try_from(from).ok().and_then(|from| chosen.get(from..));
            let rest = rest.unwrap_or_default();
            self.make_room(*to);
            self.with(*to, |log, desk| log.ledger.take(desk, stream, rest));
            self.look_for_errors(*to, || is_bad(stream, rest));
            if is_matched {
                self.alert_for(&routes, rule);
            }
        }
        let last = routes.last_target();
        routes.routers[stream as usize].keep_head(output, &mut self.desk.stage, last);
        self.chosen = chosen;
        self.give_routes(slot, routes);
    }

    /// The same for a message, which is whole.
    pub(super) fn route_message(&mut self, slot: usize, priority: u16, text: &[u8]) {
        let Some(routes) = self.take_routes(slot) else { return };
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            for (rule, to) in routes.slots.iter().enumerate() {
                if routes.rule(rule).is_some_and(|rule| rule.takes(line)) {
                    self.with(*to, |log, desk| log.ledger.message(desk, priority, line));
                    self.look_for_errors(*to, || is_bad_priority(priority));
                    self.alert_for(&routes, rule);
                }
            }
        }
        self.give_routes(slot, routes);
    }

    /// A note comes now, so the lines at hand will have no more.
    pub(super) fn end_line(&mut self, slot: usize) {
        let Some(mut routes) = self.take_routes(slot) else { return };
        for stream in STREAMS {
            for (rule, text) in routes.routers[stream as usize].end_line() {
                if let Some(to) = routes.slots.get(rule) {
                    self.with(*to, |log, desk| log.ledger.take(desk, stream, &text));
                    self.alert_for(&routes, rule);
                }
            }
            routes.routers[stream as usize].forget_line();
        }
        self.give_routes(slot, routes);
    }

    /// The unit's log ends, and these with it.
    pub(super) fn finish_routes(&mut self, slot: usize) {
        self.end_line(slot);
        let routes = self.take_routes(slot);
        for to in routes.map(|routes| routes.slots).unwrap_or_default() {
            self.finish_route(to);
        }
    }

    fn finish_route(&mut self, slot: usize) {
        if self.logs.get(slot).is_some_and(|log| log.as_ref().is_some_and(|l| !l.has_pipe())) {
            self.finish(slot);
        }
    }

    /// Settles the write to the log of this number that a logger was killed in. True if nothing is
    /// left to do.
    pub(super) fn settle_route(
        &mut self,
        slot: usize,
        stream: Stream,
        left: &mut Left,
    ) -> std::io::Result<bool> {
        let Some(mut routes) = self.take_routes(slot) else { return Ok(true) };
        let target = left.target();
        let to = usize::try_from(target).ok().and_then(|at| routes.slots.get(at.checked_sub(1)?));
        let settled = match to.and_then(|to| self.logs.get_mut(*to)?.as_mut()) {
            Some(log) => log.ledger.settle(left, stream).map(|()| false),
            None => routes.routers[stream as usize].settle(left),
        };
        self.give_routes(slot, routes);
        settled
    }

    fn take_routes(&mut self, slot: usize) -> Option<Routes> {
        self.logs.get_mut(slot)?.as_mut()?.routes.take()
    }

    fn give_routes(&mut self, slot: usize, routes: Routes) {
        if let Some(Some(log)) = self.logs.get_mut(slot) {
            log.routes = Some(routes);
        }
    }

    fn alert_for(&mut self, routes: &Routes, rule: usize) {
        if let Some(unit) = routes.rule(rule).and_then(|rule| rule.alert.as_deref()) {
            self.alerts.want(unit);
            self.alerts.go_on(&self.poll);
        }
    }
}

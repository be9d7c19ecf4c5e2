//! Looks at a unit that is up, round after round, and says whether it is well. One round looks at
//! all of its targets; it is not over before each has answered or its time has passed.

use ettan_sys::reap::Status;

use crate::look::{self, Call, Found};
use crate::plan::{Health, Target, User};

/// A round under way.
#[derive(Default)]
struct Round {
    calls: Vec<(usize, Call)>,
    failed: Option<String>,
}

/// The rounds of one unit.
#[derive(Default)]
pub(crate) struct Checkup {
    round: Option<Round>,
    next_ms: u64,
    failures: u32,
    pub(crate) unwell: bool,
}

/// What a round changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works again.
    Well,
    /// So many rounds in a row have failed; why the last one did.
    Unwell(String),
}

impl Checkup {
    /// The unit is up now: its first round is one interval away.
    pub(crate) fn new(health: &Health, now_ms: u64) -> Self {
        let next_ms = if health.targets.is_empty() {
            u64::MAX
        } else {
            now_ms.saturating_add(health.every_ms)
        };
        Self { next_ms, ..Self::default() }
    }

    /// When the next round begins.
    pub(crate) fn due_ms(&self) -> u64 {
        self.next_ms
    }

    /// A look is under way.
    pub(crate) fn is_calling(&self) -> bool {
        self.round.is_some()
    }

    /// A child of ours ended.
    pub(crate) fn ended(&mut self, child: i32, status: Status) {
        for (_, call) in self.round.iter_mut().flat_map(|round| &mut round.calls) {
            call.ended(child, status);
        }
    }

    /// Begins a round when it is time, and ends it when all is answered.
    pub(crate) fn turn(&mut self, health: &Health, user: &User, now_ms: u64) -> Option<Verdict> {
        if self.round.is_none() && now_ms >= self.next_ms {
            self.next_ms = now_ms.saturating_add(health.every_ms);
            self.round = Some(begin(health, user, now_ms));
        }
        let round = self.round.as_mut()?;
        round.calls.retain_mut(|(at, call)| match call.look(now_ms) {
            None => true,
            Some(found) => {
                note(&mut round.failed, health.targets.get(*at), found);
                false
            }
        });
        if !round.calls.is_empty() {
            return None;
        }
        let failed = self.round.take().and_then(|round| round.failed);
        self.judge(failed, health.failures)
    }

    fn judge(&mut self, failed: Option<String>, most: u32) -> Option<Verdict> {
        let Some(why) = failed else {
            self.failures = 0;
            return std::mem::take(&mut self.unwell).then_some(Verdict::Well);
        };
        self.failures = self.failures.saturating_add(1);
        if self.failures < most || self.unwell {
            return None;
        }
        self.unwell = true;
        Some(Verdict::Unwell(format!("{why} ({} looks in a row)", self.failures)))
    }
}

fn begin(health: &Health, user: &User, now_ms: u64) -> Round {
    let mut round = Round::default();
    for (at, target) in health.targets.iter().enumerate() {
        match look::begin(target, user, now_ms, health.within_ms) {
            Ok(None) => {}
            Ok(Some(call)) => round.calls.push((at, call)),
            Err(why) => note(&mut round.failed, Some(target), Err(why)),
        }
    }
    round
}

fn note(failed: &mut Option<String>, target: Option<&Target>, found: Found) {
    if let (Err(why), Some(target), None) = (found, target, &failed) {
        *failed = Some(format!("{target}: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn so_many_rounds_in_a_row_have_to_fail() {
        let path = std::env::temp_dir().join(format!("ettan-checkup-{}", std::process::id()));
        let words = format!("health-unix={} every=100 failures=3", path.display());
        let plan = Plan::read(&words);
        let mut checkup = Checkup::new(&plan.health, 0);
        assert_eq!((checkup.due_ms(), checkup.turn(&plan.health, &plan.user, 99)), (100, None));
        let mut round = |nth: u64| checkup.turn(&plan.health, &plan.user, nth * 100);
        assert_eq!((round(1), round(2)), (None, None));
        let Some(Verdict::Unwell(why)) = round(3) else { panic!("three have failed") };
        assert!(why.starts_with("unix-socket /") && why.ends_with("(3 looks in a row)"), "{why}");
        assert_eq!(round(4), None, "it is said once");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        assert_eq!((round(5), round(6)), (Some(Verdict::Well), None));
        drop(listener);
        std::fs::remove_file(&path).expect("ours");
        assert_eq!((round(7), round(8)), (None, None), "they are counted anew");
    }
}

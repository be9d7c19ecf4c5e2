//! Decides when to look next: at once, but not all the time, and less and less often in vain.

/// Between two looks, in milliseconds: so long a storm of changes is one change.
const REST_MS: u64 = 50;

/// After a look in vain, in milliseconds; doubles.
const RETRY_FIRST_MS: u64 = 100;
const RETRY_MOST_MS: u64 = 5_000;

/// Whether and when there is something to do. Times are milliseconds of any one clock.
#[derive(Debug)]
pub(crate) struct Pace {
    wanted: bool,
    not_before: u64,
    retry_ms: u64,
}

impl Pace {
    /// Wants to look at once.
    pub(crate) fn new() -> Self {
        Pace { wanted: true, not_before: 0, retry_ms: RETRY_FIRST_MS }
    }

    /// Something changed.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// What was in the way may be gone.
    pub(crate) fn want_now(&mut self) {
        *self = Pace::new();
    }

    /// True if it is time now.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.wanted && now >= self.not_before
    }

    /// How long to wait for changes; None: until there is one.
    pub(crate) fn timeout_ms(&self, now: u64) -> Option<u64> {
        self.wanted.then(|| self.not_before.saturating_sub(now))
    }

    /// It was done.
    pub(crate) fn done(&mut self, now: u64) {
        *self = Pace { wanted: false, not_before: now + REST_MS, retry_ms: RETRY_FIRST_MS };
    }

    /// It was in vain.
    pub(crate) fn failed(&mut self, now: u64) {
        self.wanted = true;
        self.not_before = now + self.retry_ms;
        self.retry_ms = (self.retry_ms * 2).min(RETRY_MOST_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_looked_at_at_once_and_a_storm_now_and_then() {
        let mut pace = Pace::new();
        assert!(pace.is_due(1_000));
        pace.done(1_000);
        assert_eq!(pace.timeout_ms(1_000), None);
        pace.want();
        assert_eq!(pace.timeout_ms(1_010), Some(40));
        assert!(!pace.is_due(1_049));
        assert!(pace.is_due(1_050));
        pace.done(1_050);
        pace.want();
        assert!(pace.is_due(9_000));
    }

    #[test]
    fn what_fails_is_tried_less_and_less_often_until_it_may_work() {
        let mut pace = Pace::new();
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                pace.failed(0);
                pace.timeout_ms(0).unwrap()
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        pace.want_now();
        assert!(pace.is_due(0));
        pace.failed(0);
        assert_eq!(pace.timeout_ms(0), Some(100));
    }
}

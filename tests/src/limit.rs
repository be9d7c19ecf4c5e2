//! Time limits. Every wait has one; `ETTAN_TEST_SLOW` stretches them all for slow machines.

use std::time::{Duration, Instant};

/// How long something may take, counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    end: Instant,
    span: Duration,
}

impl Limit {
    /// A limit that many seconds from now, times `ETTAN_TEST_SLOW` (default 1).
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self::of(Duration::from_secs(seconds))
    }

    /// A tenth of a second from now, times `ETTAN_TEST_SLOW`.
    #[must_use]
    pub fn moment() -> Self {
        Self::of(Duration::from_millis(100))
    }

    /// A limit that many milliseconds from now, times `ETTAN_TEST_SLOW`.
    #[must_use]
    pub fn millis(ms: u64) -> Self {
        Self::of(Duration::from_millis(ms))
    }

    fn of(span: Duration) -> Self {
        let span = span.mul_f64(slowness());
        Self { end: Instant::now() + span, span }
    }

    /// What is left; zero once it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// What is left in whole milliseconds, for poll(2); at least 0.
    #[must_use]
    pub fn left_ms(&self) -> i32 {
        i32::try_from(self.left().as_millis()).unwrap_or(i32::MAX)
    }

    /// Whether it is over.
    #[must_use]
    pub fn over(&self) -> bool {
        self.left().is_zero()
    }

    /// The whole span, for messages.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.span
    }
}

/// What `ETTAN_TEST_SLOW` says; 1 by default.
pub(crate) fn slowness() -> f64 {
    std::env::var("ETTAN_TEST_SLOW").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0)
}

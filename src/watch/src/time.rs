//! Whether something keeps the wall clock right. The kernel says so when asked and tells nobody by
//! itself, so it is asked now and then.

use ettan_sys::clock;

/// Between two questions while it does not hold, in milliseconds: what a person takes for at once.
/// It is one system call.
const SOON_MS: u64 = 1_000;

/// And while it does. The kernel stops calling a clock right once its error may be 16 s, hours
/// after the last word of who keeps it: a minute more does not matter.
const SELDOM_MS: u64 = 60_000;

/// What the kernel said last.
#[derive(Debug, Default)]
pub(crate) struct Time {
    wished: bool,
    right: bool,
    next: u64,
}

impl Time {
    /// Whether anybody wants to know.
    pub(crate) fn wish(&mut self, wished: bool) {
        if wished && !self.wished {
            self.next = 0;
        }
        self.wished = wished;
    }

    /// True if it is another answer than the last time, or the first. `ask` is asked when it is
    /// time.
    pub(crate) fn changed(&mut self, now: u64, ask: impl FnOnce() -> bool) -> bool {
        if !self.wished || now < self.next {
            return false;
        }
        let before = std::mem::replace(&mut self.right, ask());
        self.next = now + if self.right { SELDOM_MS } else { SOON_MS };
        before != self.right
    }

    /// The condition, if anybody wants to know.
    pub(crate) fn holds(&self) -> Option<bool> {
        self.wished.then_some(self.right)
    }

    /// How long until it is time to ask again.
    pub(crate) fn timeout_ms(&self, now: u64) -> Option<u64> {
        self.wished.then(|| self.next.saturating_sub(now))
    }
}

/// The kernel's answer; where it may not be asked, it is not known to be right.
pub(crate) fn is_right() -> bool {
    clock::is_synchronised().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_each_second_until_it_says_yes_and_only_for_who_wants_to_know() {
        let mut time = Time::default();
        assert!(!time.changed(0, || panic!("nobody wants to know")));
        assert_eq!((time.timeout_ms(0), time.holds()), (None, None));
        time.wish(true);
        assert!(!time.changed(5_000, || false));
        assert_eq!((time.timeout_ms(5_400), time.holds()), (Some(600), Some(false)));
        assert!(!time.changed(5_999, || panic!("too soon")));
        time.wish(true);
        assert!(time.changed(6_000, || true));
        assert_eq!((time.timeout_ms(6_000), time.holds()), (Some(60_000), Some(true)));
        assert!(time.changed(66_000, || false));
        assert_eq!(time.timeout_ms(66_000), Some(1_000));
        time.wish(false);
        assert_eq!((time.timeout_ms(66_000), time.holds()), (None, None));
    }
}

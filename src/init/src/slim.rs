//! When to give pages back that only something rare needed: a boot, a new execution, a start, an
//! answer. What they used of our file and of the stack is not used again soon, and the smallest Pi
//! has 512 MiB. Does not do it.

use ettan_core::Millis;

/// So long nothing has happened by then that the next thing may take a moment longer: mapping what
/// it needs again costs some microseconds. One turn of the loop for each time something happens.
const QUIET_MS: u64 = 1_000;

/// Whether there is something to give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slim {
    /// Nothing was done since the last time.
    Done,
    /// There is, and then it will be.
    At(Millis),
}

impl Slim {
    /// After a beginning.
    pub(crate) const fn begun(now: Millis) -> Self {
        Self::At(now.after(QUIET_MS))
    }

    /// When the loop has to turn although nothing happens.
    pub(crate) const fn deadline(self) -> Option<Millis> {
        match self {
            Self::At(at) => Some(at),
            Self::Done => None,
        }
    }

    /// The loop has turned, and done something or not. True: it is time.
    pub(crate) fn turned(&mut self, now: Millis, worked: bool) -> bool {
        let is_time = match *self {
            _ if worked => {
                *self = Self::begun(now);
                return false;
            }
            Self::At(at) => now >= at,
            Self::Done => false,
        };
        if is_time {
            *self = Self::Done;
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_after_each_time_that_something_was_done() {
        let mut slim = Slim::begun(Millis(0));
        assert!(!slim.turned(Millis(999), false));
        assert!(!slim.turned(Millis(1_000), true));
        assert!(!slim.turned(Millis(1_999), false));
        assert!(slim.turned(Millis(2_000), false));
        assert_eq!(slim.deadline(), None);
        assert!(!slim.turned(Millis(9_000), false));
        assert!(!slim.turned(Millis(9_001), true));
        assert_eq!(slim.deadline(), Some(Millis(10_001)));
    }
}

//! How many datagrams of one sender count: enough for whoever has something to say, and not so
//! many that one who cannot stop takes the time of the others.

/// At once.
const BURST: u32 = 200;
/// And so many a second from then on.
const A_SECOND: u64 = 100;

/// Senders that are remembered; of more, the one that was silent longest is forgotten.
const SENDERS: usize = 64;

struct Sender {
    pid: i32,
    left: u32,
    at_ms: u64,
}

/// What is left of each sender's budget.
pub(crate) struct Budget {
    senders: Vec<Sender>,
    /// Datagrams that did not count.
    pub(crate) dropped: u64,
}

impl Budget {
    pub(crate) const fn new() -> Self {
        Self { senders: Vec::new(), dropped: 0 }
    }

    /// Whether one more of this sender counts.
    pub(crate) fn take(&mut self, pid: i32, now_ms: u64) -> bool {
        let sender = self.sender(pid, now_ms);
        let earned = now_ms.saturating_sub(sender.at_ms).saturating_mul(A_SECOND) / 1_000;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            sender.left = sender.left.saturating_add(earned).min(BURST);
            sender.at_ms = now_ms;
        }
        let counts = sender.left > 0;
        sender.left = sender.left.saturating_sub(1);
        self.dropped += u64::from(!counts);
        counts
    }

    fn sender(&mut self, pid: i32, now_ms: u64) -> &mut Sender {
        let at = self.senders.iter().position(|sender| sender.pid == pid).unwrap_or_else(|| {
            if self.senders.len() >= SENDERS {
                let silent = (0..SENDERS).min_by_key(|at| self.senders[*at].at_ms).unwrap_or(0);
                self.senders.swap_remove(silent);
            }
            self.senders.push(Sender { pid, left: BURST, at_ms: now_ms });
            self.senders.len() - 1
        });
        &mut self.senders[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r17_one_sender_uses_up_its_own_budget_only() {
        let mut budget = Budget::new();
        let counted = (0..10_000).filter(|_| budget.take(7, 1_000)).count();
        assert_eq!(counted, BURST as usize);
        assert!(budget.take(8, 1_000), "another one is heard");
        assert!(!budget.take(7, 1_009) && budget.take(7, 1_010), "it earns more with time");
        assert_eq!(budget.dropped, 10_000 - u64::from(BURST) + 1);
        for pid in 0..1_000 {
            assert!(budget.take(1_000 + pid, 2_000));
        }
        assert_eq!(budget.senders.len(), SENDERS);
    }
}

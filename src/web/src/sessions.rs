//! Browsers that have shown the token. Each gets a number that nobody guesses, good for half a day and
//! until we are restarted; the token itself stays out of browsers.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// The name of the cookie.
pub(crate) const COOKIE: &str = "ettan";

/// Browsers at a time; of more, the one that came first has to show the token again.
const SESSIONS: usize = 16;

/// How long one is good.
pub(crate) const LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// Bytes of the number: as many as nobody guesses.
const BYTES: usize = 16;

/// All that are good.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Vec<(String, Instant)>>);

impl Sessions {
    /// A new one.
    pub(crate) fn open(&self, now: Instant) -> io::Result<String> {
        let mut bytes = [0; BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let number: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut all = self.good(now);
        if all.len() >= SESSIONS {
            all.remove(0);
        }
        all.push((number.clone(), now));
        Ok(number)
    }

    /// Whether this is the number of one.
    pub(crate) fn knows(&self, number: &str, now: Instant) -> bool {
        let all = self.good(now);
        all.iter().any(|(known, _)| known.as_bytes().ct_eq(number.as_bytes()).into())
    }

    /// Forgets one.
    pub(crate) fn close(&self, number: &str) {
        self.all().retain(|(known, _)| known != number);
    }

    fn good(&self, now: Instant) -> MutexGuard<'_, Vec<(String, Instant)>> {
        let mut all = self.all();
        all.retain(|(_, since)| now.saturating_duration_since(*since) < LIFE);
        all
    }

    fn all(&self) -> MutexGuard<'_, Vec<(String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_time_by_wish_and_when_too_many_come() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.open(now).unwrap();
        let second = sessions.open(now).unwrap();
        assert!(first != second && first.len() == 32);
        assert!(sessions.knows(&first, now) && !sessions.knows("", now));
        sessions.close(&second);
        assert!(!sessions.knows(&second, now));
        for _ in 0..SESSIONS {
            sessions.open(now).unwrap();
        }
        assert!(!sessions.knows(&first, now));
        let last = sessions.open(now).unwrap();
        assert!(sessions.knows(&last, now + LIFE / 2) && !sessions.knows(&last, now + LIFE));
    }
}

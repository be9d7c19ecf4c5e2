//! Counts lines by the second, and says which are over a unit's `rate-limit`. Writes nothing.

use std::ops::Range;

use crate::packet::Stream;
use crate::page::Amount;

/// One unit's lines in the second at hand, and what of them was dropped.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    second: u64,
    lines: u32,
    dropped: Amount,
    /// By stream: the line at hand is being dropped, and its rest will be.
    in_dropped: [bool; 2],
}

impl Rate {
    /// Which part of the output is within the limit: what is before it belongs to a dropped line,
    /// what is after it is over the limit. Both are counted.
    pub(crate) fn pass(
        &mut self,
        limit: u32,
        second: u64,
        stream: Stream,
        output: &[u8],
    ) -> Range<usize> {
        if self.second != second {
            self.second = second;
            self.lines = 0;
        }
        let end_of_line = |from: usize| {
            let rest = output.get(from..).unwrap_or_default();
            rest.iter().position(|byte| *byte == b'\n').map(|at| from + at + 1)
        };
        let in_dropped = &mut self.in_dropped[stream as usize];
        let start = match *in_dropped {
            true => end_of_line(0).unwrap_or(output.len()),
            false => 0,
        };
        *in_dropped = *in_dropped && !output.get(..start).unwrap_or_default().ends_with(b"\n");
        let mut end = start;
        while self.lines < limit && !*in_dropped {
            match end_of_line(end) {
                Some(at) => {
                    self.lines += 1;
                    end = at;
                }
                None => {
                    end = output.len();
                    break;
                }
            }
        }
        let (before, after) = (&output[..start], &output[end..]);
        self.dropped = self.dropped.plus(Amount::of(before)).plus(Amount::of(after));
        if !after.is_empty() {
            *in_dropped = !after.ends_with(b"\n");
        }
        start..end
    }

    /// Whether a message, which counts as a line, is within the limit; it is counted if not.
    pub(crate) fn passes(&mut self, limit: u32, second: u64, message: &[u8]) -> bool {
        if self.second != second {
            self.second = second;
            self.lines = 0;
        }
        let passes = self.lines < limit;
        if passes {
            self.lines += 1;
        } else {
            let bytes = message.len() as u64;
            self.dropped = self.dropped.plus(Amount { bytes, lines: 1 });
        }
        passes
    }

    /// Whether something was dropped and not yet told.
    pub(crate) fn has_dropped(&self) -> bool {
        self.dropped != Amount::default()
    }

    /// What was dropped in the seconds before this one, if that is not told yet.
    pub(crate) fn to_tell(&self, second: u64) -> Option<Amount> {
        (self.has_dropped() && self.second != second).then_some(self.dropped)
    }

    /// It has been told.
    pub(crate) fn told(&mut self) {
        self.dropped = Amount::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_pass_up_to_the_limit() {
        let mut rate = Rate::default();
        assert_eq!(rate.pass(2, 1, Stream::Output, b"a\nb\nc\nd"), 0..4);
        assert_eq!(rate.to_tell(1), None);
        assert_eq!(rate.to_tell(2), Some(Amount { bytes: 3, lines: 1 }));
        // The rest of a dropped line is dropped although a new second has begun.
        assert_eq!(rate.pass(2, 2, Stream::Output, b"ddd\ne\n"), 4..6);
        assert_eq!(rate.to_tell(3), Some(Amount { bytes: 7, lines: 2 }));
        rate.told();
        assert!(!rate.has_dropped());
    }

    #[test]
    fn a_dropped_line_of_one_stream_takes_nothing_of_the_other_along() {
        let mut rate = Rate::default();
        assert_eq!(rate.pass(1, 1, Stream::Output, b"a\nb"), 0..2);
        assert_eq!(rate.pass(1, 2, Stream::Error, b"c\n"), 0..2);
        assert_eq!(rate.pass(1, 3, Stream::Output, b"bb\nd\n"), 3..5);
    }

    #[test]
    fn messages_and_lines_share_the_limit() {
        let mut rate = Rate::default();
        assert_eq!(rate.pass(2, 1, Stream::Output, b"a\nb"), 0..3);
        assert!(rate.passes(2, 1, b"first"));
        assert!(!rate.passes(2, 1, b"second"));
        assert!(rate.passes(2, 2, b"third"));
        assert_eq!(rate.to_tell(3), Some(Amount { bytes: 6, lines: 1 }));
    }

    #[test]
    fn a_line_in_pieces_counts_once() {
        let mut rate = Rate::default();
        assert_eq!(rate.pass(1, 1, Stream::Output, b"a"), 0..1);
        assert_eq!(rate.pass(1, 1, Stream::Output, b"b"), 0..1);
        assert_eq!(rate.pass(1, 1, Stream::Output, b"c\nd\n"), 0..2);
        assert_eq!(rate.pass(1, 1, Stream::Output, b"e\n"), 0..0);
        assert_eq!(rate.to_tell(2), Some(Amount { bytes: 4, lines: 2 }));
    }
}

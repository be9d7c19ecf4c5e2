//! Sets of units as bits: what changed and has to be looked at again. Nothing else.

use crate::MAX_UNITS;

const WORDS: usize = MAX_UNITS / 32;

/// A set of numbers below `MAX_UNITS`.
#[derive(Clone, Debug)]
pub(crate) struct Bits {
    words: [u32; WORDS],
}

impl Bits {
    pub(crate) const EMPTY: Self = Self { words: [0; WORDS] };

    /// Puts `number` in; numbers past the end are not kept.
    pub(crate) fn put(&mut self, number: u16) {
        if let Some(word) = self.words.get_mut(usize::from(number >> 5)) {
            *word |= 1_u32.wrapping_shl(u32::from(number));
        }
    }

    /// Whether the number is in.
    pub(crate) fn has(&self, number: u16) -> bool {
        let word = self.words.get(usize::from(number >> 5)).copied().unwrap_or(0);
        word & 1_u32.wrapping_shl(u32::from(number)) != 0
    }

    /// Whether the two have a number in common.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Takes the lowest number out.
    pub(crate) fn take_first(&mut self) -> Option<u16> {
        let (at, word) = self.words.iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros();
        *word &= word.wrapping_sub(1);
        u16::try_from(at).ok()?.checked_mul(32)?.checked_add(u16::try_from(bit).ok()?)
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.words = [0; WORDS];
    }
}

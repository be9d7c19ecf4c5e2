//! Numbers from a seed: xorshift64*, good enough to vary tests. The same seed, the same numbers.

/// Chance that can be repeated.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed; neighbouring seeds have nothing in common.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // splitmix64, since xorshift stays near zero for long after a small seed.
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u64;
        ((self.roll() >> 33) % limit) as usize
    }

    /// One of them.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        (self.roll() >> 56) as u8
    }
}

//! Numbers that look random and come again from the same seed (`ETTAN_SEED`). SplitMix64.

/// A stream of them.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// From `ETTAN_SEED`, else always the same.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("ETTAN_SEED").ok().and_then(|text| text.parse().ok());
        Self(seed.unwrap_or(1))
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

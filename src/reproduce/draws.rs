//! Counter-based draws: each is a pure function of the seed and of what it is for.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The draws for one thing.
#[derive(Clone, Copy)]
pub(super) struct Draws(u64);

impl Draws {
    /// The draws of `seed` for what these numbers name.
    pub(super) fn of(seed: u64, what: &[u64]) -> Self {
        let key = |key, number: &u64| xxh3_64_with_seed(&number.to_le_bytes(), key);
        Self(what.iter().fold(seed, key))
    }

    /// 64 random bits, the ones with that number.
    pub(super) fn bits(self, number: u64) -> u64 {
        xxh3_64_with_seed(&number.to_le_bytes(), self.0)
    }

    /// A number below `count`, each equally likely.
    pub(super) fn below(self, number: u64, count: u64) -> u64 {
        ((u128::from(self.bits(number)) * u128::from(count)) >> 64) as u64
    }

    /// A number strictly between 0 and 1.
    pub(super) fn unit(self, number: u64) -> f64 {
        ((self.bits(number) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// The numbers below `count` in random order.
    pub(super) fn order(self, count: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count).collect();
        for k in (1..order.len()).rev() {
            order.swap(k, self.below(k as u64, k as u64 + 1) as usize);
        }
        order
    }
}

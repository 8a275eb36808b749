//! Draws of a benchmark: a seed gives the same ones everywhere.

/// Numbers drawn one after the other.
pub struct Draws {
    seed: u64,
    drawn: u64,
}

impl Draws {
    /// The draws of a seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A number below `count`, each equally likely.
    pub fn below(&mut self, count: usize) -> usize {
        let bits = xxhash_rust::xxh3::xxh3_64_with_seed(&self.drawn.to_le_bytes(), self.seed);
        self.drawn += 1;
        ((u128::from(bits) * count as u128) >> 64) as usize
    }
}

//! The lottery that breaks every tie, drawn once for a market.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Single tie-breaking: one draw per id, the same wherever that id is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lottery {
    /// The market's `lottery_seed`.
    pub seed: u64,
}

impl Lottery {
    /// The draw of an id: XXH3-64 of its 16 bytes (RFC 4122 order) with the
    /// market's seed. Smaller is better; equal draws are ordered by the id's bytes.
    pub fn draw(&self, id: &[u8; 16]) -> u64 {
        xxh3_64_with_seed(id, self.seed)
    }
}

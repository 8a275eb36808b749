//! Draws from what is too large to be looked at as a whole. Who is drawn depends on ids
//! alone: the same people are drawn again, whoever else is there.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A share of a population, and the hash that picks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// So many.
    part: u64,
    /// Of so many; at least `part`, and at least 1.
    whole: u64,
}

/// Keeps these draws apart from the market's lottery, which hashes the same ids.
const SEED: u64 = 0x6761_6c65_2064_7261;

impl Draw {
    /// About `most` of `whole`; all of them if they are not more.
    pub fn at_most(most: usize, whole: usize) -> Self {
        let whole = (whole as u64).max(1);
        Self { part: (most as u64).min(whole), whole }
    }

    /// Whether everybody is drawn.
    pub fn is_whole(self) -> bool {
        self.part == self.whole
    }

    /// The drawn part of a number that belongs to nobody, to the nearest.
    pub fn share(self, number: u64) -> u64 {
        let whole = u128::from(self.whole);
        ((u128::from(number) * u128::from(self.part) + whole / 2) / whole) as u64
    }

    /// Whether the one with these id bytes is drawn.
    pub fn takes(self, id: &[u8; 16]) -> bool {
        self.round(id, 1) == 1
    }

    /// The drawn part of a number that belongs to an id: rounded up or down by the id's
    /// hash, so that over many ids the sum is right.
    pub fn round(self, id: &[u8; 16], number: u64) -> u64 {
        let product = u128::from(number) * u128::from(self.part);
        let whole = u128::from(self.whole);
        let (floor, rest) = (product / whole, product % whole);
        // The hash as a fraction of 2^64 is below rest / whole.
        let up = u128::from(xxh3_64_with_seed(id, SEED)) * whole < rest << 64;
        (floor + u128::from(up)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a whole draw takes everything, an empty one nothing, and a part about its
    /// share, of people and of numbers. Method: 10,000 ids; four standard errors.
    #[test]
    fn draws_their_share() {
        let ids: Vec<[u8; 16]> = (0..10_000_u128).map(u128::to_be_bytes).collect();
        let people = |draw: Draw| ids.iter().filter(|id| draw.takes(id)).count();
        assert_eq!(people(Draw::at_most(10_000, 10_000)), 10_000);
        assert_eq!(people(Draw::at_most(20_000, 10_000)), 10_000);
        assert_eq!(people(Draw::at_most(0, 10_000)), 0);
        let third = Draw::at_most(3_333, 10_000);
        assert!(people(third).abs_diff(3_333) < 190, "{}", people(third));
        let openings: u64 = ids.iter().map(|id| third.round(id, 7)).sum();
        assert!(openings.abs_diff(23_331) < 190, "{openings}");
        assert!(ids.iter().all(|id| (2..=3).contains(&third.round(id, 7))));
        assert_eq!(Draw::at_most(1, 0).round(&[0; 16], 5), 5);
    }
}

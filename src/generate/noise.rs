//! Counter-based randomness: every draw is a pure function of what it is for.
//!
//! There is no generator state, so metros can be generated in any order and an
//! agent's draws do not depend on who was generated before. Integers wherever they
//! serve; the normal draws go through `libm`, which computes the same everywhere.

use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// What a run of draws belongs to. The numbers are part of the generated data: a
/// change of one changes every market.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// One worker.
    Worker = 1,
    /// One vacancy.
    Vacancy = 2,
    /// Where the workers of a metro start among its occupations.
    WorkerStart = 3,
    /// Where the vacancies of a metro start among its occupations.
    VacancyStart = 4,
    /// The market's lottery seed.
    Lottery = 5,
}

/// A source of draws for one thing: a draw is told apart by its `purpose`.
#[derive(Clone, Copy)]
pub(super) struct Noise {
    key: u64,
}

/// Where an agent's draws come from.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// CBSA code of the metro.
    pub(super) metro: u32,
    /// OEWS code of the occupation, as a number.
    pub(super) occupation: u32,
    /// The agent's number within metro and occupation.
    pub(super) number: u32,
}

impl Key {
    fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.metro.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.occupation.to_le_bytes());
        bytes[12..].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    /// The UUIDv8 of the agent of that key in the market of that seed.
    pub(super) fn id(self, seed: u64) -> Uuid {
        Uuid::new_v8(xxh3_128_with_seed(&self.bytes(), seed).to_be_bytes())
    }
}

impl Noise {
    /// The draws of `key` in the market of `seed`.
    pub(super) fn new(seed: u64, key: Key) -> Self {
        Self { key: xxh3_64_with_seed(&key.bytes(), seed) }
    }

    /// 64 random bits (the output function of SplitMix64).
    pub(super) fn bits(self, purpose: u32) -> u64 {
        let step = u64::from(purpose).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut z = self.key.wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A whole number in `0..bound`; its bias is below `bound / 2^64`.
    pub(super) fn below(self, purpose: u32, bound: u64) -> u64 {
        ((u128::from(self.bits(purpose)) * u128::from(bound)) >> 64) as u64
    }

    /// Two independent standard normal draws (Box and Muller, 1958), at most 6.8 from 0.
    pub(super) fn normals(self, purpose: u32) -> (f64, f64) {
        const UNIT: f64 = 1.0 / 4_294_967_296.0;
        let bits = self.bits(purpose);
        let first = ((bits >> 32) as f64 + 0.5) * UNIT;
        let second = (bits & 0xFFFF_FFFF) as f64 * UNIT;
        let radius = libm::sqrt(-2.0 * libm::log(first));
        let (sin, cos) = libm::sincos(2.0 * std::f64::consts::PI * second);
        (radius * cos, radius * sin)
    }
}

/// The standard normal distribution function, in basis points 0..10000.
pub(super) fn normal_quantile_bp(z: f64) -> u32 {
    libm::round(5_000.0 * libm::erfc(-z / std::f64::consts::SQRT_2)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the draws have the moments they should, so that no formula that uses
    /// them is biased. Method: mean and variance of 20,000 draws of each sort.
    #[test]
    fn draws_have_their_moments() {
        let noise = |number| {
            Noise::new(7, Key { kind: Kind::Worker, metro: 10_180, occupation: 111_011, number })
        };
        let n = 10_000;
        let (mut sum, mut squares, mut below) = (0.0, 0.0, 0);
        for number in 0..n {
            let (a, b) = noise(number).normals(3);
            sum += a + b;
            squares += a * a + b * b;
            below += noise(number).below(4, 101);
        }
        let count = 2.0 * f64::from(n);
        assert!((sum / count).abs() < 0.03, "mean {}", sum / count);
        assert!((squares / count - 1.0).abs() < 0.04, "variance {}", squares / count);
        assert!((below as f64 / f64::from(n) - 50.0).abs() < 1.0, "mean {below}");
    }

    /// Goal: the quantile is the normal distribution function. Method: known points.
    #[test]
    fn quantiles_of_known_points() {
        let found = [-9.0, -1.2816, 0.0, 1.0, 9.0].map(normal_quantile_bp);
        assert_eq!(found, [0, 1_000, 5_000, 8_413, 10_000]);
    }
}

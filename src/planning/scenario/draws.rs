//! Common random numbers: every draw is a pure function of the seed, of whom it concerns,
//! of the period and of what it is for. A policy so changes only what it causes: whoever it
//! does not touch draws the same with it and without it.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a draw is for. The numbers are part of the results: a change of one changes them.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Whether an employed worker separates.
    Separation = 1,
    /// How the openings are rounded that a vacancy gives up.
    Withdrawal = 2,
    /// How those are rounded that it posts.
    Posting = 3,
    /// How a demand shock is rounded.
    Demand = 4,
    /// Which vacancies a cluster is like.
    Cluster = 5,
}

/// 64 random bits.
pub fn bits(seed: u64, id: &[u8; 16], period: u32, purpose: Purpose) -> u64 {
    let mut bytes = [0; 21];
    bytes[..16].copy_from_slice(id);
    bytes[16..20].copy_from_slice(&period.to_le_bytes());
    bytes[20] = purpose as u8;
    xxh3_64_with_seed(&bytes, seed)
}

/// A number from 0 up to, not including, 1.
pub fn unit(seed: u64, id: &[u8; 16], period: u32, purpose: Purpose) -> f64 {
    (bits(seed, id, period, purpose) >> 11) as f64 / 9_007_199_254_740_992.0
}

/// A count rounded so that its expectation is the number: up with the probability of what
/// is beyond the whole. `draw` is a [`unit`].
pub fn rounded(number: f64, draw: f64) -> u32 {
    // A cast saturates, and no count of openings comes near.
    (number + draw).floor() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: draws are uniform, differ by every part of their key, and rounding by them is
    /// right on average.
    #[test]
    fn draws_are_uniform_and_keyed() {
        let draw = |i: u32| unit(7, &u128::from(i).to_le_bytes(), 3, Purpose::Separation);
        let n = 20_000;
        let mean = (0..n).map(draw).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let rounded = (0..n).map(|i| f64::from(rounded(2.3, draw(i)))).sum::<f64>() / f64::from(n);
        assert!((rounded - 2.3).abs() < 0.02, "{rounded}");
        assert_eq!(super::rounded(5.0, 0.999_999), 5);

        let id = [9; 16];
        let base = bits(1, &id, 1, Purpose::Posting);
        let others = [
            bits(2, &id, 1, Purpose::Posting),
            bits(1, &[8; 16], 1, Purpose::Posting),
            bits(1, &id, 2, Purpose::Posting),
            bits(1, &id, 1, Purpose::Withdrawal),
        ];
        assert!(others.iter().all(|other| *other != base));
    }
}

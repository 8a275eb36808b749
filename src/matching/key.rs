//! Strict total orders in machine words.
//!
//! A vacancy orders workers by (score desc, lottery, id bytes). Lottery and id never
//! change during a clearing, so they are replaced by a *rank*, and a key is one u64.

use super::Problem;
use std::cmp::Reverse;

/// What a worker is worth to a vacancy: score, then the worker's rank. Greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

impl Key {
    /// Below every worker: the cutoff of a vacancy that takes all who are acceptable.
    pub const NONE: Self = Self(0);
    /// Above every worker: the cutoff of a vacancy that takes nobody.
    pub const CLOSED: Self = Self(u64::MAX);

    /// The key of a worker with that score and rank. The score of an acceptable
    /// pair lies within ±1,100,000 (every basis-point setting is limited), so 32
    /// bits hold it; what is beyond is clamped.
    #[inline]
    pub fn new(score: i64, rank: u32) -> Self {
        let score = score.clamp(i64::from(i32::MIN) + 1, i64::from(i32::MAX) - 1);
        let biased = (score - i64::from(i32::MIN)) as u64;
        Self(biased << 32 | u64::from(u32::MAX - rank))
    }

    /// The score, in basis points.
    pub fn score(self) -> i64 {
        (self.0 >> 32) as i64 + i64::from(i32::MIN)
    }

    /// The rank of the worker (see [`Ranks::worker_at`]).
    #[inline]
    pub(super) fn rank(self) -> u32 {
        u32::MAX - self.0 as u32
    }

    /// The next key below: a bid with the same key may win or lose by its vacancy.
    pub(super) fn below(self) -> Self {
        if self == Self::CLOSED { self } else { Self(self.0.saturating_sub(1)) }
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// A key, then the vacancy's rank: compares contracts across vacancies. Two contracts
/// have the same key only if they are the same worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bid {
    /// The worker's key at the vacancy.
    pub key: Key,
    /// The vacancy's rank; smaller is better.
    pub vacancy_rank: Reverse<u32>,
}

impl Bid {
    pub const NONE: Self = Self { key: Key::NONE, vacancy_rank: Reverse(u32::MAX) };
    pub const CLOSED: Self = Self { key: Key::CLOSED, vacancy_rank: Reverse(0) };

    #[inline]
    pub fn new(key: Key, vacancy_rank: u32) -> Self {
        Self { key, vacancy_rank: Reverse(vacancy_rank) }
    }
}

/// What a vacancy is worth to a worker: value (money a year, or minus the position
/// in the worker's ranking), then the vacancy's rank. Greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth {
    /// The value.
    pub value: i64,
    /// The vacancy's rank; smaller is better.
    pub vacancy_rank: Reverse<u32>,
}

impl Worth {
    /// Worth less than every vacancy: what a worker without a match holds.
    pub const NOTHING: Self = Self { value: i64::MIN, vacancy_rank: Reverse(u32::MAX) };

    /// The worth of a vacancy with that value and rank.
    #[inline]
    pub fn new(value: i64, vacancy_rank: u32) -> Self {
        Self { value, vacancy_rank: Reverse(vacancy_rank) }
    }
}

/// The lottery's outcome: places from 0 (best) by (draw, id bytes), by number and back.
#[derive(Clone, Debug)]
pub(super) struct Ranks {
    /// By worker number.
    pub worker: Vec<u32>,
    /// Worker numbers by rank.
    pub worker_at: Vec<u32>,
    /// By vacancy number.
    pub vacancy: Vec<u32>,
}

impl Ranks {
    /// Draws for everyone in the problem.
    pub fn of(problem: &Problem) -> Self {
        let lottery = problem.lottery;
        let worker_at = sorted(problem.workers.len(), |w| {
            let id = problem.workers[w].worker.id;
            (lottery.draw(id.bytes()), *id.bytes())
        });
        let vacancy_at = sorted(problem.vacancies.len(), |v| {
            let id = problem.vacancies[v].vacancy.id;
            (lottery.draw(id.bytes()), *id.bytes())
        });
        Self { worker: inverse(&worker_at), vacancy: inverse(&vacancy_at), worker_at }
    }
}

/// Places of the vacancies by id bytes, which order the slots of the `TARGETS` cap order.
pub(super) fn ranks_by_id(problem: &Problem) -> Vec<u32> {
    inverse(&sorted(problem.vacancies.len(), |v| *problem.vacancies[v].vacancy.id.bytes()))
}

/// The numbers below `count` by ascending key.
fn sorted<K: Ord>(count: usize, key: impl Fn(usize) -> K) -> Vec<u32> {
    let mut keyed: Vec<(K, u32)> = (0..count).map(|i| (key(i), i as u32)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, i)| i).collect()
}

/// The place of every number in a permutation.
pub(super) fn inverse(permutation: &[u32]) -> Vec<u32> {
    let mut places = vec![0; permutation.len()];
    for (place, number) in permutation.iter().enumerate() {
        places[*number as usize] = place as u32;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the packed order is (score desc, rank asc), and its ends stay beyond everyone.
    #[test]
    fn keys_order_by_score_then_rank() {
        assert!(Key::new(7, 5) > Key::new(6, 0));
        assert!(Key::new(7, 4) > Key::new(7, 5));
        assert!(Key::new(0, 0) > Key::new(-1, 0));
        for score in [i64::MIN, -1_100_000, 0, 1_100_000, i64::MAX] {
            for rank in [0, 1, u32::MAX] {
                assert!(Key::NONE < Key::new(score, rank) && Key::new(score, rank) < Key::CLOSED);
            }
        }
        assert_eq!((Key::new(-42, 17).score(), Key::new(-42, 17).rank()), (-42, 17));
    }
}

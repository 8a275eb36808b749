//! Strict total orders in machine words.
//!
//! A vacancy orders workers by (score desc, lottery, id bytes). Lottery and id never
//! change during a clearing, so they are replaced by a *rank*, and a key is one u64.

use super::Problem;
use super::kernels::prefetch;
use crate::domain::{VacancyId, WorkerId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

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

    /// The rank of the worker (see [`Ranks`]).
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

    /// Worth more than every vacancy.
    pub const EVERYTHING: Self = Self { value: i64::MAX, vacancy_rank: Reverse(0) };

    /// The worth of a vacancy with that value and rank.
    #[inline]
    pub fn new(value: i64, vacancy_rank: u32) -> Self {
        Self { value, vacancy_rank: Reverse(vacancy_rank) }
    }
}

/// The lottery's outcome, for both sides.
#[derive(Clone, Debug)]
pub(super) struct Ranks {
    workers: Drawn,
    vacancies: Drawn,
}

impl Ranks {
    /// Draws for everyone in the problem.
    pub fn of(problem: &Problem) -> Self {
        let workers = Drawn::of(problem.workers.len(), |w| worker_draw(problem, w));
        let vacancies = Drawn::of(problem.vacancies.len(), |v| vacancy_draw(problem, v));
        Self { workers, vacancies }
    }

    /// The rank of worker `w`; smaller is better.
    #[inline]
    pub fn worker(&self, w: u32) -> u32 {
        self.workers.rank_of[w as usize]
    }

    /// The rank of worker `w` will be asked for soon.
    #[inline]
    pub fn expect_worker(&self, w: u32) {
        prefetch(&self.workers.rank_of, w as usize);
    }

    /// So will the worker of that rank.
    #[inline]
    pub fn expect_worker_at(&self, rank: u32) {
        prefetch(&self.workers.drawn, (rank >> self.workers.shift) as usize);
    }

    /// The worker of that rank, if she was drawn at first.
    #[inline]
    pub fn drawn_worker(&self, rank: u32) -> Option<u32> {
        self.workers.drawn_at(rank)
    }

    /// The worker of that rank.
    #[inline]
    pub fn worker_at(&self, rank: u32) -> u32 {
        self.workers.number_at(rank)
    }

    /// All workers, best draw first; without those who came later.
    pub fn workers_drawn(&self) -> &[u32] {
        &self.workers.drawn
    }

    /// The rank of vacancy `v`; smaller is better.
    #[inline]
    pub fn vacancy(&self, v: u32) -> u32 {
        self.vacancies.rank_of[v as usize]
    }

    /// The vacancy of that rank.
    pub fn vacancy_at(&self, rank: u32) -> u32 {
        self.vacancies.number_at(rank)
    }

    /// The worker with that id who came last, if any ever came.
    pub fn worker_with(&self, problem: &Problem, id: WorkerId) -> Option<u32> {
        let draw = (problem.lottery.draw(id.bytes()), *id.bytes());
        self.workers.number_of(draw, |w| worker_draw(problem, w))
    }

    /// The vacancy with that id that came last, if any ever came.
    pub fn vacancy_with(&self, problem: &Problem, id: VacancyId) -> Option<u32> {
        let draw = (problem.lottery.draw(id.bytes()), *id.bytes());
        self.vacancies.number_of(draw, |v| vacancy_draw(problem, v))
    }

    /// Draws for the problem's last worker, who came later. False if there is no rank
    /// left between her neighbours.
    pub fn draw_worker(&mut self, problem: &Problem) -> bool {
        self.workers.draw_last(problem.workers.len(), |w| worker_draw(problem, w))
    }

    /// Draws for the problem's last vacancy, which came later. False if there is no rank
    /// left between its neighbours.
    pub fn draw_vacancy(&mut self, problem: &Problem) -> bool {
        self.vacancies.draw_last(problem.vacancies.len(), |v| vacancy_draw(problem, v))
    }
}

/// What the lottery orders by.
type Draw = (u64, [u8; 16]);

fn worker_draw(problem: &Problem, w: u32) -> Draw {
    let id = problem.workers[w as usize].worker.id;
    (problem.lottery.draw(id.bytes()), *id.bytes())
}

fn vacancy_draw(problem: &Problem, v: u32) -> Draw {
    let id = problem.vacancies[v as usize].vacancy.id;
    (problem.lottery.draw(id.bytes()), *id.bytes())
}

/// One side's ranks, by number and back. They lie apart, so that who comes later finds one
/// in between.
#[derive(Clone, Debug)]
struct Drawn {
    rank_of: Vec<u32>,
    /// Numbers, best draw first: the first has the rank `2^shift / 2`, and each further
    /// one `2^shift` more.
    drawn: Vec<u32>,
    shift: u32,
    /// Who came later: ranks by draw, numbers by rank.
    late: BTreeMap<Draw, u32>,
    late_at: HashMap<u32, u32, foldhash::fast::FixedState>,
}

impl Drawn {
    fn of(count: usize, draw: impl Fn(u32) -> Draw) -> Self {
        let drawn = in_order_of_draw(count, &draw);
        let shift = (count as u32).leading_zeros().min(31);
        let mut all = Self {
            rank_of: vec![0; count],
            drawn,
            shift,
            late: BTreeMap::new(),
            late_at: HashMap::default(),
        };
        for (at, number) in all.drawn.iter().enumerate() {
            all.rank_of[*number as usize] = rank_of(at, shift);
        }
        all
    }

    #[inline]
    fn number_at(&self, rank: u32) -> u32 {
        match self.drawn_at(rank) {
            Some(number) => number,
            None => self.late_at[&rank],
        }
    }

    /// Who of those drawn at first has that rank.
    #[inline]
    fn drawn_at(&self, rank: u32) -> Option<u32> {
        let at = (rank >> self.shift) as usize;
        let drawn = self.drawn.get(at).copied();
        drawn.filter(|_| rank_of(at, self.shift) == rank)
    }

    /// Who has drawn that.
    fn number_of(&self, its: Draw, draw: impl Fn(u32) -> Draw) -> Option<u32> {
        let at = self.drawn.partition_point(|other| draw(*other) < its);
        let early = self.drawn.get(at).copied().filter(|other| draw(*other) == its);
        early.or_else(|| self.late.get(&its).map(|rank| self.late_at[rank]))
    }

    /// Ranks the last of `count` numbers. The same id again has the rank that it had, which
    /// from now on leads to its new number.
    fn draw_last(&mut self, count: usize, draw: impl Fn(u32) -> Draw) -> bool {
        let number = count as u32 - 1;
        let its = draw(number);
        let at = self.drawn.partition_point(|other| draw(*other) < its);
        let again = self.drawn.get_mut(at).filter(|other| draw(**other) == its);
        let rank = match again {
            Some(other) => {
                *other = number;
                Some(rank_of(at, self.shift))
            }
            None => self.late.get(&its).copied().or_else(|| self.rank_between(at, its)),
        };
        let Some(rank) = rank else { return false };
        if self.drawn_at(rank).is_none() {
            self.late.insert(its, rank);
            self.late_at.insert(rank, number);
        }
        self.rank_of.push(rank);
        true
    }

    /// A rank in the middle between the neighbours of a new draw, which comes before
    /// `drawn[at]`.
    fn rank_between(&self, at: usize, draw: Draw) -> Option<u32> {
        let before = self.late.range(..draw).next_back().map(|(_, rank)| u64::from(*rank) + 1);
        let after = self.late.range(draw..).next().map(|(_, rank)| u64::from(*rank));
        let drawn_before = at.checked_sub(1).map(|at| u64::from(rank_of(at, self.shift)) + 1);
        let drawn_after = (at < self.drawn.len()).then(|| u64::from(rank_of(at, self.shift)));
        let start = before.max(drawn_before).unwrap_or(0);
        // The last rank of all stands for nobody.
        let beyond = u64::from(u32::MAX);
        let end = after.unwrap_or(beyond).min(drawn_after.unwrap_or(beyond));
        (start < end).then(|| ((start + end) / 2) as u32)
    }
}

/// The numbers below `count`, best draw first.
fn in_order_of_draw(count: usize, draw: impl Fn(u32) -> Draw) -> Vec<u32> {
    let mut drawn: Vec<(u64, u32)> = (0..count as u32).map(|i| (draw(i).0, i)).collect();
    drawn.sort_unstable();
    // Ids are seldom needed, and would be most of what is sorted.
    let alike = drawn.chunk_by_mut(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1);
    alike.for_each(|alike| alike.sort_unstable_by_key(|(_, i)| draw(*i)));
    drawn.into_iter().map(|(_, i)| i).collect()
}

/// The rank of the one drawn at place `at`.
#[inline]
fn rank_of(at: usize, shift: u32) -> u32 {
    ((at as u64) << shift) as u32 + ((1 << shift) >> 1)
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

    /// Goal: who draws the same number as others comes before those with greater ids.
    #[test]
    fn ids_decide_between_equal_draws() {
        let draws = [(7, 3), (5, 9), (7, 1), (5, 2), (7, 2), (1, 8)];
        let draw = |i: u32| (draws[i as usize].0, [draws[i as usize].1; 16]);
        assert_eq!(in_order_of_draw(draws.len(), draw), [5, 3, 1, 2, 4, 0]);
    }

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

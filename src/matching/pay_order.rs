//! Places in the order of what they pay.

use super::index::Place;
use std::cmp::Reverse;
use std::ops::Range;

/// Runs of places that stand side by side, each in the order of real salaries, the best first. A
/// place's *turn* is where it stands in that order; runs begin where they did.
#[derive(Default)]
pub(super) struct PayOrder {
    /// By turn.
    places: Vec<u32>,
    /// By place.
    turns: Vec<u32>,
}

impl PayOrder {
    /// The order within each of these runs, which follow upon each other from the first place on.
    pub fn within(runs: impl Iterator<Item = Range<u32>>, all: &[Place]) -> Self {
        let (mut places, mut turns) = (Vec::new(), Vec::new());
        for run in runs {
            let start = places.len();
            places.extend(run);
            // Of places of a city that are worth the same the higher salary comes first.
            places[start..].sort_by_cached_key(|place| {
                let at = &all[*place as usize];
                (Reverse(at.real), Reverse(at.salary))
            });
        }
        turns.resize(places.len(), 0);
        for (turn, place) in (0..).zip(&places) {
            turns[*place as usize] = turn;
        }
        Self { places, turns }
    }

    /// How many places have a turn.
    pub fn len(&self) -> u32 {
        self.places.len() as u32
    }

    /// By place: its turn.
    #[inline]
    pub fn turns(&self) -> &[u32] {
        &self.turns
    }

    /// The place whose turn that is.
    #[inline]
    pub fn place(&self, turn: u32) -> u32 {
        self.places[turn as usize]
    }

    /// How many places of a run have more than that real salary.
    pub fn before(&self, run: &Range<u32>, all: &[Place], real: i64) -> u32 {
        let end = self.places.len().min(run.end as usize);
        let run = &self.places[run.start as usize..end];
        run.partition_point(|place| all[*place as usize].real > real) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::NOWHERE;
    use super::*;

    /// Goal: the order holds within each run; of equal real salaries the higher salary comes
    /// first, and then the first place. Method: two runs, and one of both.
    #[test]
    fn best_paid_first_run_by_run() {
        let at =
            |(real, salary)| Place { salary, real, profile: 0, rank: 0, number: 0, cell: NOWHERE };
        let all = [(3, 30), (5, 50), (3, 31), (3, 30), (4, 90), (9, 90)].map(at);
        let two = PayOrder::within([0..4, 4..6].into_iter(), &all);
        assert_eq!(two.places, [1, 2, 0, 3, 5, 4]);
        assert_eq!(two.turns(), [2, 0, 1, 3, 5, 4]);
        assert_eq!([5, 4, 3, 2].map(|real| two.before(&(0..4), &all, real)), [0, 1, 1, 4]);
        let one = PayOrder::within(std::iter::once(0..6), &all);
        assert_eq!(one.places, [5, 1, 4, 2, 0, 3]);
        assert_eq!([9, 8, 3].map(|real| one.before(&(0..9), &all, real)), [0, 1, 3]);
    }
}

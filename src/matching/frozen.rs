//! A matching as it stands, for queries that ask who would rather have what: the cutoffs
//! are given, by definition, and do not change.

use super::Problem;
use super::index::{Index, Sight};
use super::key::{Bid, Key, Ranks, Worth};
use super::outcome::Matching;
use super::standing::{BLOCK, Cutoffs, Standing};
use crate::domain::CityIx;
use crate::preferences::Pair;
use std::ops::Range;

/// What a worker holds, as evaluated pair by pair.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// What it is worth to her.
    pub worth: Worth,
    /// Her score there.
    pub score: i64,
    /// Whether each side accepts the other.
    pub worker_accepts: bool,
    pub vacancy_accepts: bool,
}

impl Held {
    /// What worker `w` holds in a matching.
    pub fn of(problem: &Problem, ranks: &Ranks, matching: &Matching, w: usize) -> Self {
        let Some(v) = matching.vacancy_of[w] else {
            let (worth, score) = (Worth::NOTHING, 0);
            return Self { worth, score, worker_accepts: true, vacancy_accepts: true };
        };
        let Pair { value, score, worker_accepts, vacancy_accepts, .. } =
            problem.pair(w, v as usize);
        let worth = Worth::new(value, ranks.vacancy(v));
        Self { worth, score, worker_accepts, vacancy_accepts }
    }
}

/// See the module.
pub(super) struct Frozen<'m> {
    held: &'m [Held],
    /// By vacancy number: the least bid that fails.
    bars: &'m [Bid],
    /// Keys that are sure to fail.
    cutoffs: Cutoffs,
}

impl<'m> Frozen<'m> {
    /// `held` is what each worker holds; `bars` are the least bids that fail, by vacancy
    /// number.
    pub fn of(index: &Index, held: &'m [Held], bars: &'m [Bid]) -> Self {
        let own: Vec<Key> =
            index.places.iter().map(|place| bars[place.number as usize].key.below()).collect();
        let least = |keys: &[Key]| keys.iter().copied().min().unwrap_or(Key::NONE);
        let inside = |range: &Range<u32>| range.start as usize..range.end as usize;
        let blocks = own.chunks(BLOCK as usize).map(least).collect();
        let cells = index.cells.iter().map(|cell| least(&own[inside(&cell.places)])).collect();
        Self { held, bars, cutoffs: Cutoffs { own, blocks, cells } }
    }
}

impl Standing for Frozen<'_> {
    fn worth_of(&self, _: &Index, w: u32) -> Worth {
        self.held[w as usize].worth
    }

    fn city_bar(&self, _: &Index, _: CityIx) -> Bid {
        Bid::NONE
    }

    fn admits(&self, index: &Index, sight: &Sight, key: Key, _: Bid) -> bool {
        let number = index.places[sight.place as usize].number;
        Bid::new(key, sight.rank) > self.bars[number as usize]
    }

    fn cutoffs(&self) -> &Cutoffs {
        &self.cutoffs
    }
}

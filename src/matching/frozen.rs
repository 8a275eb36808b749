//! A matching as it stands, for queries that ask who would rather have what: the cutoffs
//! are given, by definition, and do not change.

use super::demand::Standing;
use super::engine::Matching;
use super::index::Index;
use super::key::{Bid, Key, Worth};
use super::seats::BLOCK;
use crate::domain::CityIx;
use std::ops::Range;

/// See the module.
pub(super) struct Frozen<'m> {
    matching: &'m Matching,
    /// By vacancy number: the least bid that fails.
    bars: &'m [Bid],
    /// By place, block, cell: a key that is sure to fail.
    own: Vec<Key>,
    blocks: Vec<Key>,
    cells: Vec<Key>,
}

impl<'m> Frozen<'m> {
    /// `bars` are the least bids that fail, by vacancy number.
    pub fn of(index: &Index, matching: &'m Matching, bars: &'m [Bid]) -> Self {
        let own: Vec<Key> =
            index.places.iter().map(|place| bars[place.number as usize].key.below()).collect();
        let least = |keys: &[Key]| keys.iter().copied().min().unwrap_or(Key::NONE);
        let inside = |range: &Range<u32>| range.start as usize..range.end as usize;
        let blocks = own.chunks(BLOCK as usize).map(least).collect();
        let cells = index.cells.iter().map(|cell| least(&own[inside(&cell.places)])).collect();
        Self { matching, bars, own, blocks, cells }
    }
}

impl Standing for Frozen<'_> {
    fn worth_of(&self, index: &Index, w: u32) -> Worth {
        match self.matching.vacancy_of[w as usize] {
            None => Worth::NOTHING,
            Some(v) => {
                let value = index.problem.pair(w as usize, v as usize).value;
                Worth::new(value, index.ranks.vacancy[v as usize])
            }
        }
    }

    fn city_bar(&self, _: &Index, _: CityIx) -> Bid {
        Bid::NONE
    }

    fn admits(&self, index: &Index, place: u32, key: Key, _: Bid) -> bool {
        let place = &index.places[place as usize];
        Bid::new(key, place.rank) > self.bars[place.number as usize]
    }

    fn own(&self, places: Range<u32>) -> &[Key] {
        &self.own[places.start as usize..places.end as usize]
    }

    fn block_refuses(&self, place: u32, key: Key) -> bool {
        place.is_multiple_of(BLOCK) && key <= self.blocks[(place / BLOCK) as usize]
    }

    fn cell_floor(&self, cell: u32) -> Key {
        self.cells[cell as usize]
    }
}

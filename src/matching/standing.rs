//! What a search has to know of who holds what, while a clearing goes on (`seats`, or a
//! `glance` at them) or when it is over (`frozen`).

use super::index::{Index, Sight};
use super::kernels::prefetch;
use super::key::{Bid, Key, Worth};
use crate::domain::CityIx;
use std::ops::Range;

/// Places that a query passes over at once where all of them would refuse.
pub(super) const BLOCK: u32 = 32;

/// The cutoffs, and the least of them by node. A floor may be too low, which costs time; it may
/// not be too high.
#[derive(Clone)]
pub(super) struct Cutoffs {
    /// By place: who has no more than this key is refused.
    pub own: Vec<Key>,
    /// The floors, by block of [`BLOCK`] places that stand side by side, and by cell.
    pub blocks: Vec<Key>,
    pub cells: Vec<Key>,
}

/// What each worker holds, and what it takes to get in anywhere.
pub(super) trait Standing: Sync {
    /// What worker `w` holds is worth to her.
    fn worth_of(&self, index: &Index, w: u32) -> Worth;
    /// The bid that must be beaten to get into the city, whatever the vacancy.
    fn city_bar(&self, index: &Index, city: CityIx) -> Bid;
    /// Whether a vacancy takes a newcomer with that key; `bar` is its city's.
    fn admits(&self, index: &Index, sight: &Sight, key: Key, bar: Bid) -> bool;
    /// The cutoffs.
    fn cutoffs(&self) -> &Cutoffs;

    /// The keys that fail at places that stand side by side.
    #[inline]
    fn own(&self, places: Range<u32>) -> &[Key] {
        &self.cutoffs().own[places.start as usize..places.end as usize]
    }

    /// Whether nobody with that key gets into any place of the block that starts at
    /// `place`; false if no block starts there.
    #[inline]
    fn block_refuses(&self, place: u32, key: Key) -> bool {
        place.is_multiple_of(BLOCK) && key <= self.cutoffs().blocks[(place / BLOCK) as usize]
    }

    /// The least of [`Self::own`] in a cell.
    #[inline]
    fn cell_floor(&self, cell: u32) -> Key {
        self.cutoffs().cells[cell as usize]
    }

    /// [`Self::own`] will be read soon from `place` on.
    #[inline]
    fn expect(&self, place: u32) {
        prefetch(&self.cutoffs().own, place as usize);
    }

    /// So will the floor of a cell.
    #[inline]
    fn expect_cell(&self, cell: u32) {
        prefetch(&self.cutoffs().cells, cell as usize);
    }
}

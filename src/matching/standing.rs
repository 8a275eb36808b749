//! What a search has to know of who holds what, while a clearing goes on (`seats`, or a
//! `glance` at them) or when it is over (`frozen`).

use super::index::Index;
use super::key::{Bid, Key, Worth};
use crate::domain::CityIx;
use std::ops::Range;

/// Places that a query passes over at once where all of them would refuse.
pub(super) const BLOCK: u32 = 32;

/// The cutoffs, and their least by node.
/// A floor may be too low, which costs time; it may not be too high.
pub(super) trait Standing: Sync {
    /// What worker `w` holds is worth to her.
    fn worth_of(&self, index: &Index, w: u32) -> Worth;
    /// The bid that must be beaten to get into the city, whatever the vacancy.
    fn city_bar(&self, index: &Index, city: CityIx) -> Bid;
    /// Whether the vacancy at `place` takes a newcomer with that key; `bar` is its city's.
    fn admits(&self, index: &Index, place: u32, key: Key, bar: Bid) -> bool;
    /// The keys that fail at places that stand side by side: who has no more is refused.
    fn own(&self, places: Range<u32>) -> &[Key];
    /// Whether nobody with that key gets into any place of the block that starts at
    /// `place`; false if no block starts there.
    fn block_refuses(&self, place: u32, key: Key) -> bool;
    /// The least of [`Self::own`] in a cell.
    fn cell_floor(&self, cell: u32) -> Key;
    /// [`Self::own`] will be read soon from `place` on.
    fn expect(&self, _place: u32) {}
    /// So will the floor of a cell.
    fn expect_cell(&self, _cell: u32) {}
}

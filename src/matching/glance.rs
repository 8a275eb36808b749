//! The cutoffs as they stood a moment ago: for those who ask while others take their places.
//!
//! While workers propose, cutoffs only rise. So what refused a worker a moment ago still
//! does, and what she is offered may be gone; she finds out when she proposes.

use super::index::{Index, NOWHERE};
use super::kernels::prefetch;
use super::key::{Bid, Key, Worth};
use super::seats::Seats;
use super::standing::{BLOCK, Standing};
use crate::domain::CityIx;
use crate::mutants;
use std::ops::Range;

/// See the module.
pub(super) struct Glance {
    /// By place, block, cell.
    own: Vec<Key>,
    blocks: Vec<Key>,
    cells: Vec<Key>,
    /// By city: what must be beaten there, whatever the vacancy; of none if nothing is capped.
    cities: Vec<Bid>,
}

impl Glance {
    /// As everything stands now; from now on the seats say what changes.
    pub fn at(index: &Index, seats: &mut Seats) -> Self {
        seats.watch();
        let count = index.places.len() as u32;
        let mut glance = Self {
            own: seats.own(0..count).to_vec(),
            blocks: (0..count).step_by(BLOCK as usize).map(|at| seats.block_floor(at)).collect(),
            cells: (0..index.cells.len() as u32).map(|cell| seats.cell_floor(cell)).collect(),
            cities: Vec::new(),
        };
        glance.look_at_cities(index, seats);
        glance
    }

    /// Looks again.
    pub fn look_again(&mut self, index: &Index, seats: &mut Seats) {
        let changed = seats.changed();
        if mutants::active("glance-stands-still") {
            return;
        }
        for place in changed {
            let (at, cell) = (place as usize, index.places[place as usize].cell);
            self.own[at] = seats.cutoff(place);
            self.blocks[at / BLOCK as usize] = seats.block_floor(place);
            if cell != NOWHERE {
                self.cells[cell as usize] = seats.cell_floor(cell);
            }
        }
        self.look_at_cities(index, seats);
    }

    fn look_at_cities(&mut self, index: &Index, seats: &Seats) {
        if !index.problem.sets.is_empty() {
            let cities = (0..index.quarters.len()).map(CityIx::from_offset);
            self.cities = cities.map(|city| seats.city_bar(index, city)).collect();
        }
    }
}

impl Standing for Glance {
    /// Who asks holds nothing.
    fn worth_of(&self, _: &Index, _: u32) -> Worth {
        Worth::NOTHING
    }

    fn city_bar(&self, _: &Index, city: CityIx) -> Bid {
        self.cities.get(city.at()).copied().unwrap_or(Bid::NONE)
    }

    /// If not by what the cap of a city leaves it, which is looked at when she proposes.
    fn admits(&self, index: &Index, place: u32, key: Key, bar: Bid) -> bool {
        key > self.own[place as usize] && Bid::new(key, index.places[place as usize].rank) > bar
    }

    #[inline]
    fn own(&self, places: Range<u32>) -> &[Key] {
        &self.own[places.start as usize..places.end as usize]
    }

    #[inline]
    fn block_refuses(&self, place: u32, key: Key) -> bool {
        place.is_multiple_of(BLOCK) && key <= self.blocks[(place / BLOCK) as usize]
    }

    #[inline]
    fn cell_floor(&self, cell: u32) -> Key {
        self.cells[cell as usize]
    }

    #[inline]
    fn expect(&self, place: u32) {
        prefetch(&self.own, place as usize);
    }

    #[inline]
    fn expect_cell(&self, cell: u32) {
        prefetch(&self.cells, cell as usize);
    }
}

//! The cutoffs as they stood a moment ago: for those who ask while others take their places.
//!
//! While workers propose, cutoffs only rise. So what refused a worker a moment ago still
//! does, and what she is offered may be gone; she finds out when she proposes.

use super::index::{Index, NOWHERE, Sight};
use super::kernels::prefetch;
use super::key::{Bid, Key, Worth};
use super::seats::Seats;
use super::standing::{BLOCK, Cutoffs, Standing};
use crate::domain::CityIx;
use crate::mutants;

/// How many changes ahead memory is asked for.
const AHEAD: usize = 8;

/// See the module.
pub(super) struct Glance {
    cutoffs: Cutoffs,
    /// By city: what must be beaten there, whatever the vacancy; of none if nothing is capped.
    cities: Vec<Bid>,
}

impl Glance {
    /// As everything stands now; from now on the seats say what changes.
    pub fn at(index: &Index, seats: &mut Seats) -> Self {
        seats.watch();
        let mut glance = Self { cutoffs: seats.cutoffs().clone(), cities: Vec::new() };
        glance.look_at_cities(index, seats);
        glance
    }

    /// Looks again.
    pub fn look_again(&mut self, index: &Index, seats: &mut Seats) {
        let changed = seats.changed();
        if mutants::active("glance-stands-still") {
            return;
        }
        let (seen, now) = (&mut self.cutoffs, seats.cutoffs());
        for (number, place) in changed.iter().enumerate() {
            if let Some(ahead) = changed.get(number + 2 * AHEAD) {
                prefetch(&index.places, *ahead as usize);
                prefetch(&now.own, *ahead as usize);
                prefetch(&seen.own, *ahead as usize);
            }
            if let Some(ahead) = changed.get(number + AHEAD) {
                let cell = index.places[*ahead as usize].cell as usize;
                prefetch(&now.cells, cell);
                prefetch(&seen.cells, cell);
            }
            let (at, block) = (*place as usize, (*place / BLOCK) as usize);
            seen.own[at] = now.own[at];
            seen.blocks[block] = now.blocks[block];
            let cell = index.places[at].cell;
            if cell != NOWHERE {
                seen.cells[cell as usize] = now.cells[cell as usize];
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
    #[inline]
    fn admits(&self, _: &Index, sight: &Sight, key: Key, bar: Bid) -> bool {
        key > sight.own && Bid::new(key, sight.rank) > bar
    }

    fn cutoffs(&self) -> &Cutoffs {
        &self.cutoffs
    }
}

//! Vacancy-proposing deferred acceptance: a loop over `recruit`.
//!
//! Without caps the order does not matter: a vacancy with room hires the best worker
//! who prefers it, whose old place is then free in turn. Inside a capped set the places
//! compete, so there the best bid of all goes first: then nobody who has a match in the
//! set is ever pushed out of it, and a full set has nothing to give but to its own worst
//! member (the set-level chains of the design). Both leave each worker with the worst
//! of her stable matches, each step improving hers.

use super::control::{Cancelled, Control, Phase};
use super::demand::Standing;
use super::engine::{Engine, Recruit};
use super::key::{Bid, Key};
use super::recruit::bid;
use std::collections::BinaryHeap;

/// Steps between two looks at the control.
const STRIDE: u64 = 256;

pub(super) fn run(engine: &mut Engine, control: &Control) -> Result<(), Cancelled> {
    let places = engine.index.places.len();
    control.begin(Phase::Proposing, places)?;
    let mut chains = Chains::of(engine);
    let mut steps = 0;
    while chains.step(engine) {
        steps += 1;
        if steps % STRIDE == 0 {
            control.advance(if steps <= places as u64 { STRIDE } else { 0 })?;
        }
    }
    Ok(())
}

/// Which vacancies may have something to offer.
struct Chains {
    /// Vacancies outside all caps with room.
    free: Vec<u32>,
    /// Vacancies inside caps, with a bound from above on the bid of whom they would get.
    bids: BinaryHeap<(Bid, u32)>,
    /// By set: vacancies that could not hire because the set is full.
    parked: Vec<BinaryHeap<(Bid, u32)>>,
}

impl Chains {
    fn of(engine: &Engine) -> Self {
        let sets = engine.index.problem.sets.len();
        let mut chains = Self {
            free: Vec::new(),
            bids: BinaryHeap::new(),
            parked: (0..sets).map(|_| BinaryHeap::new()).collect(),
        };
        // The best paid are on top: whom they hire seldom moves on.
        let mut places: Vec<u32> = (0..engine.index.places.len() as u32).collect();
        places.sort_by_key(|place| engine.index.places[*place as usize].real);
        for place in places {
            chains.reopen(engine, place);
        }
        chains
    }

    /// A place has room (again): nothing is known of whom it would get.
    fn reopen(&mut self, engine: &Engine, place: u32) {
        let city = engine.index.city(place);
        if engine.seats.sets_around(&engine.index, city).next().is_none() {
            self.free.push(place);
        } else {
            self.bids
                .push((Bid::new(Key::CLOSED, engine.index.places[place as usize].rank), place));
        }
    }

    /// One attempt to hire. Returns whether there was anything to attempt.
    fn step(&mut self, engine: &mut Engine) -> bool {
        if let Some(place) = self.free.pop() {
            if !engine.seats.is_filled(place)
                && let Some(recruit) = engine.recruit(place)
            {
                self.free.push(place);
                self.hire(engine, place, recruit);
            }
            return true;
        }
        let Some((bound, place)) = self.bids.pop() else { return false };
        self.unpark_around(engine, place);
        self.step_capped(engine, place, bound);
        true
    }

    fn step_capped(&mut self, engine: &mut Engine, place: u32, bound: Bid) {
        if engine.seats.is_filled(place) {
            return;
        }
        let Some(recruit) = engine.desirer(place) else { return };
        let bid = bid(&engine.index, place, &recruit);
        if bid < bound {
            self.bids.push((bid, place));
            return;
        }
        let city = engine.index.city(place);
        if bid <= engine.seats.city_bar(&engine.index, city)
            && let Some(set) = engine.seats.full_set(&engine.index, city)
        {
            self.parked[set as usize].push((bid, place));
            return;
        }
        self.hire(engine, place, recruit);
        self.bids.push((bid, place));
    }

    fn hire(&mut self, engine: &mut Engine, place: u32, recruit: Recruit) {
        if let Some(left) = engine.hire(place, recruit) {
            self.reopen(engine, left);
            self.unpark_around(engine, left);
        }
    }

    /// In every set around `place` that has room, the best that waits may try again.
    fn unpark_around(&mut self, engine: &Engine, place: u32) {
        let city = engine.index.city(place);
        for set in engine.seats.sets_around(&engine.index, city) {
            if !engine.seats.is_full(set)
                && let Some(waiting) = self.parked[set as usize].pop()
            {
                self.bids.push(waiting);
            }
        }
    }
}

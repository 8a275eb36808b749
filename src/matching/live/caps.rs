//! Steps inside capped cities and regions (`SCORE`).
//!
//! There a place that becomes free is room in every full set around it, and vacancies
//! compete for it: it goes to the best bid of all that desire *any* vacancy whose entry
//! keeps the caps, counting that the mover's old place is freed with the move (a chain
//! between sets, not between vacancies).
//!
//! More room inside a set that is full mixes both kinds of steps: whoever enters there
//! displaces somebody. So all whom the new room lets in, and those whom less room has pushed
//! out, are *set aside*, and what they held is filled as if the new room were not there;
//! again, until nobody else is let in. Then the rest is stable with the new room too, and
//! those aside come back and propose.

use super::super::index::Index;
use super::super::key::{Bid, Key};
use super::super::outcome::Recruit;
use super::super::recruit::bid;
use super::super::seats::Seats;
use super::super::standing::Standing;
use super::hall::Hall;
use crate::mutants;
use std::collections::{BTreeSet, BinaryHeap};

/// Places that may have something to offer, with a bound from above on the bid of whom they
/// would get.
#[derive(Default)]
struct Offering {
    bids: BinaryHeap<(Bid, u32)>,
    asked: Vec<u32>,
}

/// Room that has become free: a place, and sets that were full.
#[derive(Default)]
struct Room {
    places: Vec<u32>,
    sets: Vec<u32>,
}

/// What changes of the rules.
enum Rules {
    Openings { place: u32, before: u32, after: u32 },
    Capacity { set: u32, before: u64, after: u64 },
}

impl Rules {
    /// Puts the new rules or the old ones in force.
    fn set(&self, index: &Index, seats: &mut Seats, new: bool) {
        match *self {
            Self::Openings { place, before, after } => {
                seats.set_openings(index, place, if new { after } else { before });
            }
            Self::Capacity { set, before, after } => {
                seats.set_capacity(set, if new { after } else { before });
            }
        }
    }

    /// Where somebody may get in by the new rules.
    fn places(&self, index: &Index, hall: &Hall) -> Vec<u32> {
        match *self {
            Self::Openings { before, after, .. } if before == after => Vec::new(),
            Self::Capacity { before, after, .. } if before == after => Vec::new(),
            Self::Openings { place, .. } => vec![place],
            Self::Capacity { set, .. } => hall.offered(index, &[set]),
        }
    }
}

impl Hall {
    /// A worker leaves what she holds; notes what is free then.
    fn vacate(&mut self, index: &Index, w: u32, room: &mut Room) {
        let Some(place) = self.seats.place_of(w) else { return };
        let full = self.full_sets(index, place);
        self.seats.leave(index, w);
        self.touch(index, w);
        room.places.push(place);
        room.sets.extend(full);
    }

    /// A worker leaves the market, and what she held is filled.
    pub fn remove_worker_in_caps(&mut self, index: &Index, w: u32) {
        let mut room = Room::default();
        self.vacate(index, w, &mut room);
        self.remove_worker(index, w);
        self.fill_room(index, room);
    }

    /// The chain between sets.
    fn fill_room(&mut self, index: &Index, room: Room) {
        let mut offering = Offering::default();
        offering.add(index, self, room);
        while let Some((bound, place)) = offering.bids.pop() {
            if self.seats.is_filled(place) {
                continue;
            }
            offering.asked.push(place);
            let Some(recruit) = self.best(index, place) else { continue };
            let bid = bid(index, place, &recruit);
            if bid < bound {
                offering.bids.push((bid, place));
                continue;
            }
            if bid <= self.seats.city_bar(index, index.city(place)) {
                // It is offered again if the full set around it gets room.
                continue;
            }
            let mut room = Room::default();
            self.vacate(index, recruit.worker, &mut room);
            self.hire(index, place, recruit);
            offering.bids.push((bid, place));
            offering.add(index, self, room);
        }
        offering.asked.into_iter().for_each(|place| self.recruiting.forget(place));
    }

    /// The vacancy at a place inside caps has so many openings from now on.
    pub fn refit_in_caps(&mut self, index: &Index, place: u32, openings: u32) {
        let (mut aside, mut room) = (Vec::new(), Room::default());
        while self.seats.count(place).0 > openings as usize {
            room.sets.extend(self.full_sets(index, place));
            aside.extend(self.seats.displace_worst(index, place));
        }
        let before = openings.min(self.seats.count(place).1 as u32);
        let rules = Rules::Openings { place, before, after: openings };
        self.change_rules(index, &rules, aside, room);
    }

    /// A set may hold so many from now on.
    pub fn resize_set(&mut self, index: &Index, set: u32, capacity: u64) {
        let (mut aside, mut room) = (Vec::new(), Room::default());
        while self.seats.count_in(set) > capacity
            && let Some(place) = self.seats.last_in(index, set)
        {
            room.sets.extend(self.full_sets(index, place));
            aside.extend(self.seats.displace_worst(index, place));
        }
        let before = capacity.min(self.seats.capacity(set));
        let rules = Rules::Capacity { set, before, after: capacity };
        self.change_rules(index, &rules, aside, room);
    }

    /// A placement has used a place and room in the sets around it.
    pub fn shrink_around(&mut self, index: &Index, place: u32, openings: u32) -> Vec<u32> {
        self.seats.set_openings(index, place, openings);
        let sets: Vec<u32> = self.seats.sets_around(index, index.city(place)).collect();
        for set in &sets {
            let capacity = self.seats.capacity(*set).saturating_sub(1);
            self.seats.set_capacity(*set, capacity);
        }
        sets
    }

    /// Goes over to new rules, by which these workers have been pushed out and this room has
    /// become free.
    fn change_rules(&mut self, index: &Index, rules: &Rules, evicted: Vec<u32>, room: Room) {
        for w in &evicted {
            self.touch(index, *w);
            self.seats.remove_worker(*w);
        }
        rules.set(index, &mut self.seats, false);
        self.fill_room(index, room);
        let mut aside = evicted;
        loop {
            rules.set(index, &mut self.seats, true);
            let places = rules.places(index, self);
            let let_in: BTreeSet<u32> =
                places.into_iter().flat_map(|place| self.let_in(index, place)).collect();
            if let_in.is_empty() {
                break;
            }
            rules.set(index, &mut self.seats, false);
            let mut room = Room::default();
            for w in &let_in {
                self.vacate(index, *w, &mut room);
                self.seats.remove_worker(*w);
            }
            self.fill_room(index, room);
            aside.extend(let_in);
        }
        for w in &aside {
            self.seats.restore_worker(*w);
        }
        aside.into_iter().for_each(|w| self.propose(index, w));
    }

    /// All who desire a place that has room, and whom the sets around it let in.
    fn let_in(&mut self, index: &Index, place: u32) -> Vec<u32> {
        if self.seats.is_filled(place) {
            return Vec::new();
        }
        let bar = self.seats.city_bar(index, index.city(place));
        let desirers = self.recruiting.desirers(index, &self.seats, &mut self.desk, place);
        let let_in = desirers.iter().take_while(|desirer| bid(index, place, desirer) > bar);
        let_in.map(|desirer| desirer.worker).collect()
    }

    /// The best desirer of a place.
    fn best(&mut self, index: &Index, place: u32) -> Option<Recruit> {
        let Self { seats, desk, recruiting, .. } = self;
        recruiting.desirer(index, seats, desk, place, 1)
    }

    /// The sets around a place that are full.
    fn full_sets(&self, index: &Index, place: u32) -> Vec<u32> {
        let sets = self.seats.sets_around(index, index.city(place));
        sets.filter(|set| self.seats.is_full(*set)).collect()
    }

    /// Places with room of their own inside some sets.
    fn offered(&self, index: &Index, sets: &[u32]) -> Vec<u32> {
        if sets.is_empty() {
            return Vec::new();
        }
        let inside = |place: &u32| {
            let mut around = self.seats.sets_around(index, index.city(*place));
            around.any(|set| sets.contains(&set))
        };
        let places = 0..index.places.len() as u32;
        places.filter(|place| !self.seats.is_filled(*place)).filter(inside).collect()
    }
}

impl Offering {
    fn add(&mut self, index: &Index, hall: &Hall, mut room: Room) {
        room.sets.retain(|set| !hall.seats.is_full(*set));
        if !mutants::active("set-chain-by-vacancy") {
            room.places.extend(hall.offered(index, &room.sets));
        }
        for place in room.places {
            let bound = Bid::new(Key::CLOSED, index.places[place as usize].rank);
            self.bids.push((bound, place));
        }
    }
}

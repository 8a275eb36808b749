//! Vacancy-proposing deferred acceptance: a loop over `recruit`.
//!
//! Without caps the order does not matter: a vacancy with room hires the best worker
//! who prefers it, whose old place is then free in turn. Inside a capped set the places
//! compete, so there the best bid of all goes first: then nobody who has a match in the
//! set is ever pushed out of it, and a full set has nothing to give but to its own worst
//! member (the set-level chains of the design). Both leave each worker with the worst
//! of her stable matches, each step improving hers.

use super::control::{Cancelled, Control, Phase};
use super::crew::{Clerk, Crew, with_crew};
use super::engine::Engine;
use super::index::Index;
use super::key::{Bid, Key};
use super::outcome::{Offer, Recruit};
use super::recruit::{Desk, Found, Next, Recruiting, bid, kept};
use super::seats::Seats;
use super::standing::Standing;
use std::collections::BinaryHeap;

/// Vacancies that scan at once. In a larger batch more of them find that another of the
/// same batch was there first.
const BATCH: usize = 2_048;
/// Steps inside caps between two looks at the control.
const STRIDE: u64 = 256;

/// Vacancies outside all caps scan in batches, on as many threads as there are, all
/// against the same matching; then they hire, the best paid first, whose workers seldom
/// move on. Workers only improve, so the best candidate who still wants a vacancy is its
/// best desirer. Who has used up the candidates of one scan scans again with the next
/// batch. Nothing of this depends on the number of threads.
pub(super) fn run(engine: &mut Engine, control: &Control, threads: usize) -> Result<(), Cancelled> {
    let Engine { problem, layout, seats, counters, .. } = engine;
    let index = &Index::on(problem, layout);
    control.begin(Phase::Proposing, index.places.len())?;
    let mut chains = Chains::of(index, seats);
    let hall = Hall { seats, recruiting: Recruiting::of(index, threads), hires: 0 };
    let (hires, desks) = with_crew(&Scanning { index }, hall, threads, |crew| {
        loop {
            chains.fill_uncapped(crew, control)?;
            let (mut hall, desk) = crew.state();
            for _ in 0..STRIDE {
                if !chains.free.is_empty() {
                    break;
                }
                if !chains.step_capped(index, &mut hall, desk) {
                    return Ok(hall.hires);
                }
            }
            let looked_at = chains.unseen.min(STRIDE);
            chains.unseen -= looked_at;
            control.advance(looked_at)?;
        }
    });
    *counters = desks.iter().fold(*counters, |sum, desk| sum.plus(desk.counters));
    counters.proposals += hires?;
    Ok(())
}

/// Where vacancies hire.
struct Hall<'e> {
    seats: &'e mut Seats,
    recruiting: Recruiting,
    hires: u64,
}

impl Hall<'_> {
    /// Moves a recruit to the vacancy at `place`, which has room for her. Returns the
    /// place that she leaves.
    fn hire(&mut self, index: &Index, place: u32, recruit: Recruit) -> Option<u32> {
        self.hires += 1;
        let Recruit { worker, value, key } = recruit;
        let left = self.seats.leave(index, worker);
        let displaced = self.seats.enter(index, worker, Offer { place, value, key });
        assert!(displaced.is_none(), "a recruit enters where there is room");
        self.recruiting.improved(index, worker, value);
        left
    }
}

/// Vacancies scan for candidates.
struct Scanning<'e, 'p> {
    index: &'e Index<'p>,
}

impl<'e> Clerk for Scanning<'e, '_> {
    type State = Hall<'e>;
    type Desk = Desk;
    type Question = u32;
    type Answer = Found;

    fn desk(&self, _: &Hall) -> Desk {
        Desk::of(self.index)
    }

    fn answer(&self, hall: &Hall, desk: &mut Desk, &place: &u32) -> Found {
        let room = kept(self.index, place);
        hall.recruiting.scan(self.index, hall.seats, desk, place, room)
    }
}

/// Which vacancies may have something to offer.
struct Chains {
    /// Vacancies outside all caps that have not been looked at yet, the best paid last.
    fresh: Vec<u32>,
    /// Vacancies outside all caps with room, the best paid on top.
    free: BinaryHeap<(i64, u32)>,
    /// Vacancies inside caps, with a bound from above on the bid of whom they would get.
    bids: BinaryHeap<(Bid, u32)>,
    /// How many of them have not been looked at yet, as progress counts.
    unseen: u64,
    /// By set: vacancies that could not hire because the set is full.
    parked: Vec<BinaryHeap<(Bid, u32)>>,
}

impl Chains {
    fn of(index: &Index, seats: &Seats) -> Self {
        let mut chains = Self {
            fresh: Vec::new(),
            free: BinaryHeap::new(),
            bids: BinaryHeap::new(),
            unseen: 0,
            parked: index.problem.sets.iter().map(|_| BinaryHeap::new()).collect(),
        };
        for place in 0..index.places.len() as u32 {
            if is_capped(index, seats, place) {
                chains.reopen(index, seats, place);
            } else {
                chains.fresh.push(place);
            }
        }
        chains.unseen = chains.bids.len() as u64;
        chains.fresh.sort_by_key(|place| index.places[*place as usize].real);
        chains
    }

    /// A place has room (again): nothing is known of whom it would get.
    fn reopen(&mut self, index: &Index, seats: &Seats, place: u32) {
        let at = index.places[place as usize];
        if is_capped(index, seats, place) {
            self.bids.push((Bid::new(Key::CLOSED, at.rank), place));
        } else {
            self.free.push((at.real, place));
        }
    }

    /// Vacancies outside all caps hire until none of them has anything to offer.
    fn fill_uncapped(
        &mut self,
        crew: &mut Crew<'_, Scanning<'_, '_>>,
        control: &Control,
    ) -> Result<(), Cancelled> {
        let index = crew.clerk.index;
        let mut batch = Vec::new();
        loop {
            let again = batch.len();
            let fresh = self.fresh.len().min(BATCH.saturating_sub(again));
            batch.extend(self.fresh.drain(self.fresh.len() - fresh..).rev());
            if batch.is_empty() && self.free.is_empty() {
                return Ok(());
            }
            let found = crew.ask(batch.clone());
            let (mut hall, _) = crew.state();
            for (place, found) in batch.iter().zip(found) {
                hall.recruiting.keep(*place, found);
                self.free.push((index.places[*place as usize].real, *place));
            }
            batch = self.settle(index, &mut hall);
            control.advance(fresh as u64)?;
        }
    }

    /// Vacancies hire those whom they know of. Returns who must scan.
    fn settle(&mut self, index: &Index, hall: &mut Hall) -> Vec<u32> {
        let mut again = Vec::new();
        while let Some((_, place)) = self.free.pop() {
            while !hall.seats.is_filled(place) {
                match hall.recruiting.next(index, hall.seats, place) {
                    Next::Found(recruit) => self.hire(index, hall, place, recruit),
                    Next::Nobody => break,
                    Next::Unknown => {
                        again.push(place);
                        break;
                    }
                }
            }
        }
        again.sort_unstable();
        again.dedup();
        again
    }

    /// One attempt to hire inside a cap. Returns whether there was anything to attempt.
    fn step_capped(&mut self, index: &Index, hall: &mut Hall, desk: &mut Desk) -> bool {
        let Some((bound, place)) = self.bids.pop() else { return false };
        self.unpark_around(index, hall.seats, place);
        if hall.seats.is_filled(place) {
            return true;
        }
        let Hall { seats, recruiting, .. } = hall;
        let room = kept(index, place);
        let recruit = recruiting.desirer(index, seats, desk, place, room);
        let Some(recruit) = recruit else { return true };
        let bid = bid(index, place, &recruit);
        if bid < bound {
            self.bids.push((bid, place));
            return true;
        }
        let city = index.city(place);
        if bid <= seats.city_bar(index, city)
            && let Some(set) = seats.full_set(index, city)
        {
            self.parked[set as usize].push((bid, place));
            return true;
        }
        self.hire(index, hall, place, recruit);
        self.bids.push((bid, place));
        true
    }

    fn hire(&mut self, index: &Index, hall: &mut Hall, place: u32, recruit: Recruit) {
        if let Some(left) = hall.hire(index, place, recruit) {
            self.reopen(index, hall.seats, left);
            self.unpark_around(index, hall.seats, left);
        }
    }

    /// In every set around `place` that has room, the best that waits may try again.
    fn unpark_around(&mut self, index: &Index, seats: &Seats, place: u32) {
        for set in seats.sets_around(index, index.city(place)) {
            if !seats.is_full(set)
                && let Some(waiting) = self.parked[set as usize].pop()
            {
                self.bids.push(waiting);
            }
        }
    }
}

/// Whether a place stands inside a cap.
fn is_capped(index: &Index, seats: &Seats, place: u32) -> bool {
    seats.sets_around(index, index.city(place)).next().is_some()
}

//! Who holds what, and the two kinds of steps: workers propose, vacancies recruit.

use super::super::demand::{Scratch, best};
use super::super::index::{Index, NOWHERE};
use super::super::key::{Key, Worth};
use super::super::outcome::{Counters, Matching, Offer, Recruit};
use super::super::recruit::{Desk, Recruiting};
use super::super::seats::Seats;
use super::super::standing::Standing;
use super::rotations::{Hint, Moved};
use crate::domain::{Worker, WorkerSlot};
use crate::mutants;

/// See the module.
pub(super) struct Hall {
    pub seats: Seats,
    pub recruiting: Recruiting,
    pub scratch: Scratch,
    pub desk: Desk,
    /// By place.
    pub hints: Vec<Hint>,
    /// Workers who may hold something else than when this was last emptied.
    pub touched: Vec<WorkerSlot>,
    pub rotations: u64,
    /// What halls before this one have cost, and moves in this one.
    pub counters: Counters,
}

impl Hall {
    /// Seats everybody.
    pub fn of(index: &Index, matching: &Matching) -> Self {
        let mut hall = Self {
            seats: Seats::of(index),
            recruiting: Recruiting::of(index, 1),
            scratch: Scratch::of(index),
            desk: Desk::of(index),
            hints: vec![Hint::NONE; index.places.len()],
            touched: Vec::new(),
            rotations: 0,
            counters: Counters::default(),
        };
        for (w, v) in matching.pairs() {
            let pair = index.problem.pair(w as usize, v as usize);
            let key = Key::new(pair.score, index.ranks.worker(w));
            let offer = Offer { place: index.place_of[v as usize], value: pair.value, key };
            let displaced = hall.seats.enter(index, w, offer);
            assert!(displaced.is_none(), "a matching keeps within openings");
            hall.recruiting.improved(index, w, pair.value);
        }
        hall
    }

    /// What it has cost so far.
    pub fn counters(&self) -> Counters {
        self.counters.plus(self.scratch.counters).plus(self.desk.counters)
    }

    /// Takes in the problem's last worker, who came later and holds nothing.
    pub fn add_worker(&mut self, index: &Index) {
        self.seats.add_worker();
        self.recruiting.add_worker(index);
    }

    /// Takes in the index's last place, where everything is free.
    pub fn add_place(&mut self, index: &Index) {
        self.seats.add_place(index);
        self.recruiting.add_place();
        self.hints.push(Hint::NONE);
    }

    /// A worker leaves the market. Returns the place that she leaves free, and what it was
    /// worth to her.
    pub fn remove_worker(&mut self, index: &Index, w: u32) -> (Option<u32>, Worth) {
        let worth = self.seats.worth_of(index, w);
        let left = self.seats.leave(index, w);
        self.seats.remove_worker(w);
        self.recruiting.remove_worker(w);
        (left, worth)
    }

    /// A worker who was removed is back, holds nothing and is not who she was. Returns whether
    /// she is filed with those who came later.
    pub fn restore_worker(&mut self, index: &Index, w: u32, before: &Worker) -> bool {
        self.seats.restore_worker(w);
        self.recruiting.refile_worker(index, w, before)
    }

    /// Whether nobody whom `place` would rather have than a worker with that key wants it. She
    /// has just left it, and then its cutoff was `cutoff`.
    pub fn prefers_nobody(&mut self, index: &Index, place: u32, key: Key, cutoff: Key) -> bool {
        if key >= cutoff || mutants::active("changed-worker-keeps-place") {
            return true;
        }
        let Self { seats, desk, recruiting, .. } = self;
        let best = recruiting.desirer(index, seats, desk, place, 1);
        recruiting.forget(place);
        best.is_none_or(|best| best.key < key)
    }

    /// A worker goes back to the place that she has just left, if nothing is better for her.
    /// Returns whether she did.
    pub fn returns(&mut self, index: &Index, w: u32, offer: Offer) -> bool {
        let displaced = self.enter(index, w, offer);
        assert!(displaced.is_none(), "her place is still free");
        self.recruiting.improved(index, w, offer.value);
        let settled = best(index, &self.seats, &mut self.scratch, w).is_none();
        if !settled {
            self.remove_worker(index, w);
        }
        settled
    }

    /// A worker who holds nothing proposes, then whoever she displaces, until nobody is
    /// displaced.
    pub fn propose(&mut self, index: &Index, worker: u32) {
        let mut proposer = Some(worker);
        while let Some(w) = proposer {
            let offer = best(index, &self.seats, &mut self.scratch, w);
            proposer = offer.and_then(|offer| self.enter(index, w, offer));
            let value = offer.map_or(i64::MIN, |offer| offer.value);
            self.recruiting.changed(index, w, value);
        }
    }

    /// The worst at a place leave until it holds no more than it has openings, and propose.
    pub fn shrink(&mut self, index: &Index, place: u32) {
        let openings = index.post(place).openings as usize;
        let mut displaced = Vec::new();
        while self.seats.count(place).0 > openings {
            let Some(w) = self.seats.displace_worst(index, place) else { break };
            self.touch(index, w);
            displaced.push(w);
        }
        self.seats.set_openings(index, place, openings as u32);
        displaced.into_iter().for_each(|w| self.propose(index, w));
    }

    /// A vacancy chain: the place hires as long as it has room and somebody wants it, then
    /// the places that those held hire in turn. Notes in `moved` who has moved from what.
    pub fn fill(&mut self, index: &Index, place: u32, moved: &mut Vec<Moved>) {
        let (mut free, mut asked) = (vec![place], Vec::new());
        while let Some(place) = free.pop() {
            asked.push(place);
            while let Some(recruit) = self.recruit(index, place) {
                let worth = self.seats.worth_of(index, recruit.worker);
                moved.push((recruit.worker, worth));
                let left = self.seats.leave(index, recruit.worker);
                free.extend(left.filter(|_| !mutants::active("chain-stops-early")));
                self.hire(index, place, recruit);
            }
        }
        asked.into_iter().for_each(|place| self.recruiting.forget(place));
    }

    /// Whom a place gets that has room.
    fn recruit(&mut self, index: &Index, place: u32) -> Option<Recruit> {
        let (held, openings) = self.seats.count(place);
        let room = openings.saturating_sub(held);
        let Self { seats, desk, recruiting, .. } = self;
        (room > 0).then(|| recruiting.desirer(index, seats, desk, place, room)).flatten()
    }

    /// A worker who holds nothing takes a place that has room for her.
    pub fn hire(&mut self, index: &Index, place: u32, recruit: Recruit) {
        let Recruit { worker, value, key } = recruit;
        let displaced = self.enter(index, worker, Offer { place, value, key });
        assert!(displaced.is_none(), "a recruit enters where there is room");
        self.recruiting.improved(index, worker, value);
    }

    fn enter(&mut self, index: &Index, w: u32, offer: Offer) -> Option<u32> {
        self.counters.proposals += 1;
        let displaced = self.seats.enter(index, w, offer);
        self.touch(index, w);
        displaced.into_iter().for_each(|w| self.touch(index, w));
        displaced
    }

    pub fn touch(&mut self, index: &Index, w: u32) {
        self.touched.push(index.problem.workers[w as usize].slot);
    }

    /// Whether a hint's worker still wants the place.
    pub fn holds(&self, index: &Index, place: u32, hint: &Hint) -> bool {
        let worth = Worth::new(hint.value, index.places[place as usize].rank);
        hint.worker != NOWHERE && worth > self.seats.worth_of(index, hint.worker)
    }
}

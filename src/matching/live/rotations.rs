//! Rotations: what workers may have in common to gain in a stable matching.
//!
//! Let every full vacancy point at the one that holds its best *desirer*, the best worker
//! who would rather have it. Where that leads in a circle, each of the vacancies can take
//! its desirer from the next: all of these workers gain, and the matching stays stable,
//! because nobody better wanted what they get. A stable matching is worker-optimal if
//! and only if there is no such circle (Irving and Leather 1986; Gusfield and Irving, "The
//! Stable Marriage Problem", 1989).
//!
//! After a step a new circle must go through a pointer that has changed, and a vacancy's
//! pointer changes only if its best desirer has moved up or is gone. So it is enough to
//! start at the vacancies that those workers would rather have had than what they held.
//! Most of these have a desirer who is better still, and a *hint* per vacancy, a desirer
//! whom it knew, tells so at once.

use super::super::demand::demand_all;
use super::super::index::{Index, NOWHERE, Sight};
use super::super::key::{Bid, Key, Worth};
use super::super::outcome::Recruit;
use super::super::seats::Seats;
use super::super::standing::{BLOCK, Cutoffs, Standing};
use super::hall::Hall;
use crate::domain::{CityIx, VacancySlot, WorkerSlot};
use crate::mutants;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// A worker who has moved up, or is gone, and what she held is worth to her.
pub(super) type Moved = (u32, Worth);

/// A desirer whom a vacancy knew.
#[derive(Clone, Copy)]
pub(super) struct Hint {
    pub worker: u32,
    pub value: i64,
    pub key: Key,
}

impl Hint {
    pub const NONE: Self = Self { worker: NOWHERE, value: i64::MIN, key: Key::NONE };
}

/// A hint by rows of the market.
pub(super) type SlotHint = (VacancySlot, WorkerSlot, i64, i64);

/// What a search for rotations knows, as long as workers only move up.
#[derive(Default)]
struct Known {
    /// By place: its best desirer, if she still is one.
    best: HashMap<u32, Option<Recruit>>,
    /// Places from where no circle is reached.
    safe: HashSet<u32>,
}

impl Hall {
    /// Eliminates rotations until there are none, given that there were none before workers
    /// moved.
    pub fn repair(&mut self, index: &Index, mut moved: Vec<Moved>) {
        let mut known = Known::default();
        while let Some((w, old)) = moved.pop() {
            let wishes = Wishes(&self.seats);
            for offer in demand_all(index, &wishes, &mut self.scratch, w, old) {
                let hint = self.hints[offer.place as usize];
                let outdone = hint.key > offer.key && self.holds(index, offer.place, &hint);
                if !outdone && !mutants::active("hint-always-skips") {
                    while self.follow(index, offer.place, &mut known, &mut moved) {}
                }
            }
        }
    }

    /// Follows pointers from a place. Returns whether they led in a circle, which is gone then.
    fn follow(
        &mut self,
        index: &Index,
        from: u32,
        known: &mut Known,
        moved: &mut Vec<Moved>,
    ) -> bool {
        let mut path: Vec<(u32, Recruit)> = Vec::new();
        let mut next = Some(from);
        while let Some(place) = next.filter(|place| !known.safe.contains(place)) {
            if let Some(start) = path.iter().position(|(other, _)| *other == place) {
                self.rotate(index, &path[start..], moved);
                known.safe.clear();
                return true;
            }
            let Some(best) = self.best_desirer(index, place, known) else { break };
            path.push((place, best));
            next = self.seats.place_of(best.worker);
        }
        known.safe.extend(path.iter().map(|(place, _)| *place));
        false
    }

    /// Each place takes its desirer from the next.
    fn rotate(&mut self, index: &Index, circle: &[(u32, Recruit)], moved: &mut Vec<Moved>) {
        self.rotations += 1;
        for (_, Recruit { worker, .. }) in circle {
            moved.push((*worker, self.seats.worth_of(index, *worker)));
            self.seats.leave(index, *worker);
        }
        for (place, recruit) in circle {
            self.hire(index, *place, *recruit);
        }
    }

    fn best_desirer(&mut self, index: &Index, place: u32, known: &mut Known) -> Option<Recruit> {
        if let Some(best) = known.best.get(&place) {
            let wants = |best: &Recruit| {
                let worth = Worth::new(best.value, index.places[place as usize].rank);
                worth > self.seats.worth_of(index, best.worker)
            };
            if best.as_ref().is_none_or(wants) {
                return *best;
            }
        }
        let Self { seats, desk, recruiting, .. } = self;
        let best = recruiting.desirer(index, seats, desk, place, 1);
        recruiting.forget(place);
        known.best.insert(place, best);
        self.hints[place as usize] = hint(best);
        best
    }

    /// Finds the best desirer of every full place.
    pub fn warm(&mut self, index: &Index, threads: usize) {
        let full = |place: &u32| self.seats.count(*place).0 > 0 && self.seats.is_filled(*place);
        let places: Vec<u32> = (0..index.places.len() as u32).filter(full).collect();
        let found = self.recruiting.best_desirers(index, &self.seats, threads, &places);
        for (place, best) in places.iter().zip(found) {
            self.hints[*place as usize] = hint(best);
        }
    }

    /// The hints that still hold, by rows of the market: they survive a new layout.
    pub fn hints_by_slot(&self, index: &Index) -> Vec<SlotHint> {
        let hints = (0..).zip(&self.hints);
        let hints = hints.filter(|(place, hint)| self.holds(index, *place, hint));
        let by_slot = hints.map(|(place, hint)| {
            let worker = index.problem.workers[hint.worker as usize].slot;
            (index.post(place).slot, worker, hint.value, hint.key.score())
        });
        by_slot.collect()
    }

    /// Takes hints over from an earlier layout.
    pub fn take_hints(
        &mut self,
        index: &Index,
        hints: &[SlotHint],
        number: impl Fn(WorkerSlot) -> Option<u32>,
    ) {
        let hints: HashMap<VacancySlot, (WorkerSlot, i64, i64)> =
            hints.iter().map(|(v, worker, value, score)| (*v, (*worker, *value, *score))).collect();
        for place in 0..index.places.len() as u32 {
            if let Some((slot, value, score)) = hints.get(&index.post(place).slot).copied()
                && let Some(worker) = number(slot)
            {
                let key = Key::new(score, index.ranks.worker(worker));
                self.hints[place as usize] = Hint { worker, value, key };
            }
        }
    }
}

fn hint(best: Option<Recruit>) -> Hint {
    best.map_or(Hint::NONE, |Recruit { worker, value, key }| Hint { worker, value, key })
}

/// Everything that holds somebody lets everybody in: what a worker could wish for.
struct Wishes<'s>(&'s Seats);

/// Cutoffs that everybody beats.
const OPEN: [Key; BLOCK as usize] = [Key::NONE; BLOCK as usize];

impl Standing for Wishes<'_> {
    fn worth_of(&self, index: &Index, w: u32) -> Worth {
        self.0.worth_of(index, w)
    }

    fn city_bar(&self, _: &Index, _: CityIx) -> Bid {
        Bid::NONE
    }

    fn admits(&self, _: &Index, sight: &Sight, _: Key, _: Bid) -> bool {
        self.0.count(sight.place).0 > 0
    }

    fn cutoffs(&self) -> &Cutoffs {
        self.0.cutoffs()
    }

    fn own(&self, places: Range<u32>) -> &[Key] {
        &OPEN[..places.len()]
    }

    fn block_refuses(&self, _: u32, _: Key) -> bool {
        false
    }

    fn cell_floor(&self, _: u32) -> Key {
        Key::NONE
    }
}

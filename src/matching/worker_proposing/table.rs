//! Proposing, and what workers keep for later.

use super::super::crew::map;
use super::super::demand::{Menu, Question, Scratch, demand};
use super::super::index::Index;
use super::super::key::Key;
use super::super::outcome::Offer;
use super::super::seats::Seats;
use crate::mutants;
use std::collections::BinaryHeap;

/// What a worker holds of a menu: the offer that she has taken, if any, and those that she has
/// not made use of, the best last.
pub(super) struct Hand {
    offers: Vec<Kept>,
    /// Whether there may be more than she has kept.
    may_ask: bool,
}

/// An offer; what it is worth to her follows from it.
#[derive(Clone, Copy)]
struct Kept {
    place: u32,
    score: i32,
}

impl Hand {
    pub fn of(menu: &Menu) -> Self {
        let kept = |offer: Offer| Kept { place: offer.place, score: offer.key.score() as i32 };
        let may_ask = menu.is_full() && !mutants::active("menu-never-refilled");
        Self { offers: menu.offers().rev().map(kept).collect(), may_ask }
    }
}

impl Kept {
    #[inline]
    fn key(self, index: &Index, w: u32) -> Key {
        Key::new(i64::from(self.score), index.ranks.worker(w))
    }

    fn value(self, index: &Index, w: u32) -> i64 {
        index.value_at(w, self.place, i64::from(self.score))
    }

    /// What is worth more takes her no more, if this was the last of her offers.
    fn below(self, index: &Index, w: u32) -> i64 {
        let short = if mutants::active("asks-for-too-little") { 100 } else { 0 };
        self.value(index, w) - short
    }
}

/// See the module.
pub(super) struct Table {
    /// By worker: the offers of her hand, and whether she may ask for more.
    offers: Vec<Vec<Kept>>,
    may_ask: Vec<bool>,
    /// Those about to propose, the best real salary on top, at one place the best key.
    proposers: BinaryHeap<(i64, Key, u32)>,
    proposals: u64,
}

impl Table {
    pub fn of(index: &Index) -> Self {
        let workers = index.problem.workers.len();
        Self {
            offers: vec![Vec::new(); workers],
            may_ask: vec![false; workers],
            proposers: BinaryHeap::new(),
            proposals: 0,
        }
    }

    /// How often somebody has entered a place.
    pub fn proposals(&self) -> u64 {
        self.proposals
    }

    /// What a batch has been told.
    pub fn take_all(&mut self, batch: &[Question], hands: impl Iterator<Item = Hand>) {
        for (question, hand) in batch.iter().zip(hands) {
            self.take(question.worker, hand);
        }
    }

    /// Whether a worker holds nothing and will ask again.
    pub fn waits(&self, seats: &Seats, w: u32) -> bool {
        self.may_ask[w as usize] && seats.place_of(w).is_none()
    }

    /// The batch proposes, and whoever is displaced, until all hold something or have
    /// nothing left. Returns who must ask again. With `scratch` nobody must: who has
    /// nothing left asks at once, and proposes before anybody else does.
    pub fn settle(
        &mut self,
        index: &Index,
        seats: &mut Seats,
        mut scratch: Option<&mut Scratch>,
        batch: &[Question],
    ) -> Vec<Question> {
        let mut again = Vec::new();
        let mut free: Vec<u32> = batch.iter().rev().map(|question| question.worker).collect();
        loop {
            while let Some(w) = free.pop() {
                let Err(last) = self.line_up(index, seats, w) else { continue };
                let Some(last) = last.filter(|_| self.may_ask[w as usize]) else { continue };
                let question = Question { worker: w, below: last.below(index, w) };
                let Some(scratch) = scratch.as_deref_mut() else {
                    again.push(question);
                    continue;
                };
                let menu = demand(index, seats, scratch, question, Menu::ROOM);
                self.take(w, Hand::of(&menu));
                free.extend(self.propose(index, seats, w));
            }
            let Some((_, _, w)) = self.proposers.pop() else { return again };
            free.extend(self.propose(index, seats, w));
        }
    }

    /// What all hold is worth to them.
    pub fn values(&self, index: &Index, seats: &Seats, threads: usize) -> Vec<i64> {
        map(threads, self.offers.len(), |w| {
            let held = self.offers[w].last().filter(|_| seats.place_of(w as u32).is_some());
            held.map_or(i64::MIN, |held| held.value(index, w as u32))
        })
    }

    fn take(&mut self, w: u32, hand: Hand) {
        self.offers[w as usize] = hand.offers;
        self.may_ask[w as usize] = hand.may_ask;
    }

    /// Lines a worker up with the best of her offers that still stands. If none does: the last
    /// of them. What is worth more takes her no more.
    fn line_up(&mut self, index: &Index, seats: &Seats, w: u32) -> Result<(), Option<Kept>> {
        let kept = &mut self.offers[w as usize];
        let mut last = None;
        while let Some(best) = kept.last() {
            let key = best.key(index, w);
            if seats.takes(index, best.place, key) {
                self.proposers.push((index.places[best.place as usize].real, key, w));
                return Ok(());
            }
            last = kept.pop();
        }
        *kept = Vec::new();
        Err(last)
    }

    /// A worker proposes where her best offer is; returns who is left without a match: she
    /// herself if it is gone, whoever she displaces, or nobody.
    fn propose(&mut self, index: &Index, seats: &mut Seats, w: u32) -> Option<u32> {
        let best = *self.offers[w as usize].last()?;
        let (place, key) = (best.place, best.key(index, w));
        if !seats.takes(index, place, key) {
            return Some(w);
        }
        self.proposals += 1;
        // What it is worth to her is reckoned when all is done.
        seats.enter(index, w, Offer { place, value: i64::MIN, key })
    }
}

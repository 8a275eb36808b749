//! Proposing, and what workers keep for later.

use super::super::crew::map;
use super::super::demand::{Menu, Scratch, demand};
use super::super::index::Index;
use super::super::kernels::prefetch;
use super::super::outcome::Offer;
use super::super::seats::Seats;
use super::super::standing::Standing;
use super::claims::Claims;
use super::hand::{Asker, Hand, Kept};
use super::line::{Line, Proposal};
use std::cmp::Reverse;
use std::collections::HashMap;

/// A batch is contested if more than so many in a hundred of it hold nothing and must ask again,
/// and no more of it than [`SERVED_MAX`] need not.
const CONTESTED_PERCENT: usize = 80;
/// Who asks at once asks alone, which takes ten times as long as side by side. So a batch of which
/// more than a few are served asks again like any other.
const SERVED_MAX: usize = 128;
/// So many propose side by side: whom they concern lies all over the memory, and while the
/// processor waits for what the first needs it fetches what the others do.
const HANDFUL: usize = 16;
/// So many of the offers of each are fetched.
const AHEAD: usize = 6;

/// See the module.
pub(super) struct Table {
    /// By worker: the offers of her hand, and whether she may ask for more.
    offers: Vec<Vec<Kept>>,
    may_ask: Vec<bool>,
    line: Line,
    claims: Claims,
    proposals: u64,
}

impl Table {
    pub fn of(index: &Index, seats: &Seats, threads: usize) -> Self {
        let workers = index.problem.workers.len();
        let places = 0..index.places.len() as u32;
        Self {
            offers: vec![Vec::new(); workers],
            may_ask: vec![false; workers],
            line: Line::of(index, threads),
            claims: Claims::of(places.map(|place| seats.count(place).1 as u32)),
            proposals: 0,
        }
    }

    /// How often somebody has entered a place.
    pub fn proposals(&self) -> u64 {
        self.proposals
    }

    /// A batch proposes, and whoever is displaced, until all hold something or have nothing
    /// left. Returns who must ask again. In a contested batch they do so at once.
    pub fn settle(
        &mut self,
        index: &Index,
        seats: &mut Seats,
        scratch: &mut Scratch,
        hands: Vec<Vec<Hand>>,
    ) -> Vec<Asker> {
        let mut batch = Vec::new();
        for hand in hands.into_iter().flatten() {
            batch.push(hand.worker);
            self.take(hand);
        }
        let free = batch.iter().rev().copied().collect();
        let again = self.propose_all(index, seats, free);
        let waiting = self.waiting(seats, &batch).count();
        let served = batch.len() - waiting;
        if served > SERVED_MAX || waiting * 100 <= batch.len() * CONTESTED_PERCENT {
            return again;
        }
        let turns: HashMap<u32, usize> = self.waiting(seats, &batch).collect();
        let (mut at_once, again): (Vec<Asker>, _) =
            again.into_iter().partition(|asker| turns.contains_key(&asker.worker));
        at_once.sort_unstable_by_key(|asker| Reverse(turns[&asker.worker]));
        self.ask_at_once(index, seats, scratch, at_once);
        again
    }

    /// Those of a batch who hold nothing and may ask again, with their turns in it.
    fn waiting(&self, seats: &Seats, batch: &[u32]) -> impl Iterator<Item = (u32, usize)> {
        let workers = batch.iter().copied().zip(0..);
        workers.filter(|(w, _)| self.may_ask[*w as usize] && seats.place_of(*w).is_none())
    }

    /// Some ask, the last of them first, each after the one before has proposed; and so do
    /// those whom they leave without an offer.
    fn ask_at_once(
        &mut self,
        index: &Index,
        seats: &mut Seats,
        scratch: &mut Scratch,
        mut askers: Vec<Asker>,
    ) {
        let mut menu = Menu::new();
        while let Some(asker) = askers.pop() {
            let question = asker.question(index);
            demand(index, seats, scratch, question, &mut menu);
            self.take(Hand::of(&question, &menu));
            let best = self.best(index, question.worker);
            let displaced = best.and_then(|best| self.propose(index, seats, best));
            askers.extend(self.propose_all(index, seats, Vec::from_iter(displaced)));
        }
    }

    /// Who is free lines up and proposes, the last of them first, and whoever is displaced, as
    /// long as they have offers. Returns who must ask again.
    fn propose_all(&mut self, index: &Index, seats: &mut Seats, mut free: Vec<u32>) -> Vec<Asker> {
        let mut again = Vec::new();
        loop {
            while !free.is_empty() {
                let handful = free.split_off(free.len().saturating_sub(HANDFUL));
                self.expect(index, seats, &handful);
                again.extend(
                    handful.into_iter().rev().filter_map(|w| self.line_up(index, seats, w)),
                );
            }
            let next = || self.line.next();
            let handful: Vec<Proposal> = std::iter::from_fn(next).take(HANDFUL).collect();
            if handful.is_empty() {
                return again;
            }
            seats.expect_newcomers(index, handful.iter().map(|proposal| proposal.place));
            for proposal in handful {
                free.extend(self.propose(index, seats, proposal));
            }
        }
    }

    /// These will be lined up soon.
    fn expect(&self, index: &Index, seats: &Seats, workers: &[u32]) {
        for w in workers {
            prefetch(&self.offers, *w as usize);
            index.ranks.expect_worker(*w);
        }
        for w in workers {
            let kept = &self.offers[*w as usize];
            prefetch(kept, 0);
            prefetch(kept, kept.len().saturating_sub(1));
        }
        for kept in workers.iter().flat_map(|w| self.offers[*w as usize].iter().rev().take(AHEAD)) {
            self.claims.expect(kept.place());
        }
        for w in workers {
            let mut offers = self.offers[*w as usize].iter().rev();
            let next = offers.find(|kept| !self.claims.refuse(kept.place(), kept.key(index, *w)));
            if let Some(kept) = next {
                seats.expect(kept.place());
                self.line.expect(kept.place());
                self.claims.expect_note(kept.place());
            }
        }
    }

    /// What all hold is worth to them.
    pub fn values(&self, index: &Index, seats: &Seats, threads: usize) -> Vec<i64> {
        map(threads, self.offers.len(), |w| {
            let held = self.offers[w].last().filter(|_| seats.place_of(w as u32).is_some());
            held.map_or(i64::MIN, |held| held.value(index, w as u32))
        })
    }

    fn take(&mut self, hand: Hand) {
        let at = hand.worker as usize;
        (self.offers[at], self.may_ask[at]) = (hand.offers, hand.may_ask);
    }

    /// What she would propose, of what she holds in her hand.
    fn best(&self, index: &Index, w: u32) -> Option<Proposal> {
        let best = self.offers[w as usize].last()?;
        Some(Proposal { key: best.key(index, w), place: best.place(), worker: w })
    }

    /// Lines a worker up with the best of her offers that still stands and that not enough better
    /// ones are in line for. If there is none, returns what she must ask, if there may be more.
    fn line_up(&mut self, index: &Index, seats: &Seats, w: u32) -> Option<Asker> {
        let mut last = None;
        while let Some(best) = self.best(index, w) {
            if !self.claims.refuse(best.place, best.key) && seats.takes(index, best.place, best.key)
            {
                self.claims.note(best.place, best.key);
                self.line.push(best);
                return None;
            }
            last = self.offers[w as usize].pop();
        }
        self.offers[w as usize] = Vec::new();
        let last = last.filter(|_| self.may_ask[w as usize])?;
        Some(Asker::again(w, last))
    }

    /// A worker proposes; returns who is left without a match: she herself if the offer is
    /// gone, whoever she displaces, or nobody.
    fn propose(&mut self, index: &Index, seats: &mut Seats, proposal: Proposal) -> Option<u32> {
        let Proposal { key, place, worker } = proposal;
        if !seats.takes(index, place, key) {
            return Some(worker);
        }
        self.proposals += 1;
        seats.enter(index, worker, Offer { place, value: i64::MIN, key })
    }
}

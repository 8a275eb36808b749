//! Proposing, and what workers keep for later.

use super::super::crew::map;
use super::super::demand::{Menu, Scratch, demand};
use super::super::index::Index;
use super::super::kernels::prefetch;
use super::super::outcome::Offer;
use super::super::seats::Seats;
use super::claims::Claims;
use super::hand::{Asker, Hand, PLACES_MAX};
use super::line::{Line, Proposal, rows};
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
    /// By worker.
    hands: Vec<Hand>,
    line: Line,
    claims: Claims,
    proposals: u64,
}

impl Table {
    pub fn of(index: &Index, seats: &Seats, threads: usize) -> Self {
        assert!(index.places.len() <= PLACES_MAX, "so many vacancies are in no market");
        let workers = index.problem.workers.len();
        let openings = |place| seats.count(place).1 as u32;
        let places = rows(index, threads).into_iter().zip(0..);
        Self {
            hands: (0..workers).map(|_| Hand::empty()).collect(),
            line: Line::new(),
            claims: Claims::of(places.map(|(row, place)| (openings(place), row))),
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
        hands: Vec<Vec<(u32, Hand)>>,
    ) -> Vec<Asker> {
        let mut batch = Vec::new();
        for (worker, hand) in hands.into_iter().flatten() {
            batch.push(worker);
            self.hands[worker as usize] = hand;
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
        workers.filter(|(w, _)| self.hands[*w as usize].may_ask && seats.place_of(*w).is_none())
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
            self.hands[question.worker as usize] = Hand::of(&menu);
            askers.extend(self.propose_all(index, seats, vec![question.worker]));
        }
    }

    /// Who is free lines up and proposes, the last of them first, and whoever is displaced, as
    /// long as they have offers. Returns who must ask again.
    fn propose_all(&mut self, index: &Index, seats: &mut Seats, mut free: Vec<u32>) -> Vec<Asker> {
        let mut again = Vec::new();
        loop {
            while !free.is_empty() {
                let handful = free.split_off(free.len().saturating_sub(HANDFUL));
                self.expect(&handful);
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
    fn expect(&self, workers: &[u32]) {
        for w in workers {
            prefetch(&self.hands, *w as usize);
        }
        for w in workers {
            self.hands[*w as usize].expect();
        }
        for kept in workers.iter().flat_map(|w| self.hands[*w as usize].offers().take(AHEAD)) {
            self.claims.expect(kept.place());
        }
        for w in workers {
            let hand = &self.hands[*w as usize];
            let mut offers = hand.offers();
            let next = offers.find(|kept| !self.claims.refuse(kept.place(), hand.key(*kept)));
            next.inspect(|kept| self.claims.expect_note(kept.place()));
        }
    }

    /// What all hold is worth to them.
    pub fn values(&self, index: &Index, seats: &Seats, threads: usize) -> Vec<i64> {
        map(threads, self.hands.len(), |w| {
            let held = self.hands[w].best().filter(|_| seats.place_of(w as u32).is_some());
            held.map_or(i64::MIN, |held| held.value(index, w as u32))
        })
    }

    /// What she would propose, of what she holds in her hand.
    #[inline]
    fn best(&self, w: u32) -> Option<Proposal> {
        let hand = &self.hands[w as usize];
        let best = hand.best()?;
        Some(Proposal { key: hand.key(best), place: best.place(), worker: w })
    }

    /// Lines a worker up with the best of her offers that still stands and that not enough better
    /// ones are in line for. If there is none, returns what she must ask, if there may be more.
    fn line_up(&mut self, index: &Index, seats: &Seats, w: u32) -> Option<Asker> {
        while let Some(best) = self.best(w) {
            if self.stands(index, seats, best) {
                self.claims.note(best.place, best.key);
                self.line.push(self.claims.row(best.place), best);
                return None;
            }
            self.hands[w as usize].pass();
        }
        let hand = &mut self.hands[w as usize];
        let last = hand.put_down().filter(|_| hand.may_ask)?;
        Some(Asker::again(w, last))
    }

    /// Whether a place would take somebody, for all that is known.
    #[inline]
    fn stands(&self, index: &Index, seats: &Seats, Proposal { key, place, .. }: Proposal) -> bool {
        // Without caps those whom a place holds are noted.
        let known = self.claims.are_noted(place) && !seats.are_capped();
        !self.claims.refuse(place, key) && (known || seats.takes(index, place, key))
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

//! Worker-proposing deferred acceptance: a loop over `demand`.
//!
//! The result does not depend on the order of proposals, the cost does. Two things keep
//! it low. Workers come home by home, so that neighbours read the same part of the
//! index; those who look only at home first, whose search is the cheapest and who have
//! the bonus of locals, and last those who would move anywhere, whose search is the
//! dearest and is cut short by cutoffs that stand where they will stay. And of those who
//! have asked, the one with the most valuable offer proposes first: who loses a good job
//! then finds the lesser ones still free, and does not have to displace anybody there.

use super::Problem;
use super::control::{Cancelled, Control, Phase};
use super::crafts::craft;
use super::crew::{Clerk, map, with_crew};
use super::demand::{Menu, Scratch, demand};
use super::engine::Engine;
use super::index::Index;
use super::key::{Key, Ranks};
use super::outcome::Offer;
use super::seats::Seats;
use crate::domain::Mobility;
use crate::mutants;
use std::collections::BinaryHeap;

/// Workers who ask at once. In a larger batch more of them find that somebody of the
/// same batch was there first; in a smaller one, threads spend more on waiting.
const BATCH: usize = 2_048;
/// A batch is contested if so many in a hundred must ask again.
const CONTESTED_PERCENT: usize = 80;

/// Workers ask in batches: all of a batch against the same cutoffs, on as many threads
/// as there are, and each keeps the best few offers. Then they propose, one after the
/// other; who finds an offer gone, or loses it, goes on to the next that she has kept.
/// Cutoffs only rise, so what still stands is still her best; who has none left, but may
/// have had more, asks again, with the next batch or in the next round. Where all want
/// the same, most of a batch have none left, time and again: after such a batch they ask
/// at once, in their turn. Nothing of this depends on the number of threads.
pub(super) fn run(engine: &mut Engine, control: &Control, threads: usize) -> Result<(), Cancelled> {
    let Engine { problem, layout, seats, counters, .. } = engine;
    let index = &Index::on(problem, layout);
    let clerk = Asking { index };
    let order = order(index.problem, &index.ranks, threads);
    control.begin(Phase::Proposing, order.len())?;
    let mut table = Table::of(index);
    let (done, desks) = with_crew(&clerk, seats, threads, |crew| {
        let mut queue = Queue::of(order);
        let mut contested = false;
        loop {
            let (batch, newcomers) = queue.next(index);
            if batch.is_empty() {
                return Ok(());
            }
            let hands = crew.ask(batch.clone());
            let (mut seats, scratch) = crew.state();
            let at_once = contested.then_some(scratch);
            let left = table.settle(index, &mut seats, at_once, &batch, hands);
            contested = left.len() * 100 > batch.len() * CONTESTED_PERCENT;
            control.advance(newcomers)?;
            queue.come_again(index, left, contested);
        }
    });
    counters.proposals += table.proposals;
    *counters = desks.iter().fold(*counters, |sum, scratch| sum.plus(scratch.counters));
    done
}

/// Who asks next.
struct Queue {
    /// Those who have not asked in this round, in their order.
    waiting: std::vec::IntoIter<u32>,
    again: Vec<u32>,
    /// Those who would move anywhere ask again when all have asked, side by side with
    /// others of their craft.
    later: Vec<u32>,
    is_first_round: bool,
}

impl Queue {
    fn of(order: Vec<u32>) -> Self {
        let (again, later) = Default::default();
        Self { waiting: order.into_iter(), again, later, is_first_round: true }
    }

    /// The next batch, and how many in it ask for the first time.
    fn next(&mut self, index: &Index) -> (Vec<u32>, u64) {
        if self.waiting.as_slice().is_empty() {
            let later = std::mem::take(&mut self.later).into_iter();
            let turns = later.map(|w| (turn(index.problem, &index.ranks, w), w));
            self.waiting = sorted(turns.collect()).into_iter();
            self.is_first_round = false;
        }
        let mut batch = std::mem::take(&mut self.again);
        let again = batch.len();
        batch.extend(self.waiting.by_ref().take(BATCH.saturating_sub(again)));
        let newcomers = if self.is_first_round { batch.len() - again } else { 0 };
        (batch, newcomers as u64)
    }

    /// Takes those who must ask again; after a contested batch nobody goes before them.
    fn come_again(&mut self, index: &Index, workers: Vec<u32>, contested: bool) {
        let seekers = &index.problem.workers;
        let moves = |w: &u32| seekers[*w as usize].worker.mobility == Mobility::Any && !contested;
        let (later, again): (Vec<u32>, Vec<u32>) = workers.into_iter().partition(moves);
        self.later.extend(later);
        self.again = again;
    }
}

/// Workers ask what they would get.
struct Asking<'e, 'p> {
    index: &'e Index<'p>,
}

impl<'e> Clerk for Asking<'e, '_> {
    type State = &'e mut Seats;
    type Desk = Scratch;
    type Question = u32;
    type Answer = Hand;

    fn desk(&self, _: &Self::State) -> Scratch {
        Scratch::of(self.index)
    }

    fn answer(&self, seats: &Self::State, scratch: &mut Scratch, w: u32) -> Hand {
        Hand::of(self.index, seats, scratch, w)
    }
}

/// What a worker holds of a menu: the offers that she has not made use of, the best last.
struct Hand {
    offers: Vec<Kept>,
    /// Whether there may be more than she has kept.
    may_ask: bool,
}

/// An offer, without the worker's rank.
#[derive(Clone, Copy)]
struct Kept {
    value: i64,
    place: u32,
    score: i32,
}

impl Hand {
    /// Asks.
    fn of(index: &Index, seats: &Seats, scratch: &mut Scratch, w: u32) -> Self {
        let menu = demand(index, seats, scratch, w, Menu::ROOM);
        let kept = menu.offers().rev().map(|offer| Kept {
            value: offer.value,
            place: offer.place,
            score: offer.key.score() as i32,
        });
        let may_ask = menu.is_full() && !mutants::active("menu-never-refilled");
        Self { offers: kept.collect(), may_ask }
    }
}

impl Kept {
    fn offer(&self, index: &Index, w: u32) -> Offer {
        let Self { value, place, score } = *self;
        Offer { place, value, key: Key::new(i64::from(score), index.ranks.worker(w)) }
    }
}

/// Proposing, and what workers keep for later.
struct Table {
    /// By worker: the offers of her hand, and whether she may ask for more.
    offers: Vec<Vec<Kept>>,
    may_ask: Vec<bool>,
    /// Those about to propose, the most valuable offer on top.
    proposers: BinaryHeap<(i64, Key, u32)>,
    proposals: u64,
}

impl Table {
    fn of(index: &Index) -> Self {
        let workers = index.problem.workers.len();
        Self {
            offers: vec![Vec::new(); workers],
            may_ask: vec![false; workers],
            proposers: BinaryHeap::new(),
            proposals: 0,
        }
    }

    /// The batch proposes, and whoever is displaced, until all hold something or have
    /// nothing left. Returns who must ask again. With `scratch` nobody must: who has
    /// nothing left asks at once, and proposes before anybody else does.
    fn settle(
        &mut self,
        index: &Index,
        seats: &mut Seats,
        mut scratch: Option<&mut Scratch>,
        batch: &[u32],
        hands: Vec<Hand>,
    ) -> Vec<u32> {
        let mut again = Vec::new();
        for (w, hand) in batch.iter().zip(hands) {
            self.take(*w, hand);
        }
        let mut free: Vec<u32> = batch.iter().rev().copied().collect();
        loop {
            while let Some(w) = free.pop() {
                if self.line_up(index, seats, w) || !self.may_ask[w as usize] {
                    continue;
                }
                let Some(scratch) = scratch.as_deref_mut() else {
                    again.push(w);
                    continue;
                };
                self.take(w, Hand::of(index, seats, scratch, w));
                free.extend(self.propose(index, seats, w));
            }
            let Some((_, _, w)) = self.proposers.pop() else { return again };
            free.extend(self.propose(index, seats, w));
        }
    }

    fn take(&mut self, w: u32, hand: Hand) {
        self.offers[w as usize] = hand.offers;
        self.may_ask[w as usize] = hand.may_ask;
    }

    /// Lines a worker up with the best of her offers that still stands, if any does.
    fn line_up(&mut self, index: &Index, seats: &Seats, w: u32) -> bool {
        let kept = &mut self.offers[w as usize];
        while let Some(best) = kept.last() {
            let offer = best.offer(index, w);
            if seats.takes(index, offer) {
                self.proposers.push((offer.value, offer.key, w));
                return true;
            }
            kept.pop();
        }
        *kept = Vec::new();
        false
    }

    /// A worker proposes where her best offer is; returns who is left without a match:
    /// she herself if it is gone, whoever she displaces, or nobody.
    fn propose(&mut self, index: &Index, seats: &mut Seats, w: u32) -> Option<u32> {
        let offer = self.offers[w as usize].pop()?.offer(index, w);
        if !seats.takes(index, offer) {
            return Some(w);
        }
        self.proposals += 1;
        seats.enter(index, w, offer)
    }
}

/// All workers in the order in which they first ask: by how far they look, home and
/// strength; those who would move anywhere by what they can do. Where neighbours are
/// alike, the one who wins ties comes first.
pub(super) fn order(problem: &Problem, ranks: &Ranks, threads: usize) -> Vec<u32> {
    let turns = map(threads, problem.workers.len(), |w| (turn(problem, ranks, w as u32), w as u32));
    sorted(turns)
}

fn sorted(mut turns: Vec<(Turn, u32)>) -> Vec<u32> {
    turns.sort_unstable();
    turns.into_iter().map(|(_, w)| w).collect()
}

/// By how far she looks and from where, weakness, and her rank in ties.
type Turn = (u64, u32, u32);

/// When a worker's turn comes in the order.
fn turn(problem: &Problem, ranks: &Ranks, w: u32) -> Turn {
    let worker = &problem.workers[w as usize].worker;
    let levels = worker.skills.iter().map(|entry| u32::from(entry.level)).sum::<u32>();
    let (reach, near) = match worker.mobility {
        Mobility::HomeOnly => (0, u64::from(worker.home.0)),
        Mobility::Listed(_) => (1, u64::from(worker.home.0)),
        Mobility::Any => (2, craft(worker)),
    };
    (reach << 62 | near & (u64::MAX >> 2), !levels, ranks.worker(w))
}

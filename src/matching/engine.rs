//! The engine: an index, the seats, and queries over them.

use super::demand::{Scratch, best};
use super::index::{Index, Layout};
use super::outcome::{Counters, Matching, Offer};
use super::seats::Seats;
use super::{Means, Problem};

/// One clearing in progress: the index of the problem, the matching so far with its
/// cutoffs, and the query `demand`.
pub struct Engine<'p> {
    pub(super) problem: &'p Problem,
    pub(super) layout: Layout,
    pub(super) seats: Seats,
    pub(super) scratch: Scratch,
    pub(super) counters: Counters,
}

impl<'p> Engine<'p> {
    /// Indexes the problem; nobody holds anything yet.
    pub fn new(problem: &'p Problem) -> Self {
        Self::with(problem, Means::all())
    }

    /// [`Self::new`] with those means.
    pub(super) fn with(problem: &'p Problem, means: Means) -> Self {
        let layout = Layout::of(problem, means);
        let index = Index::on(problem, &layout);
        let (seats, scratch) = (Seats::of(&index), Scratch::of(&index));
        Self { problem, layout, seats, scratch, counters: Counters::default() }
    }

    /// The best acceptable vacancy that would take worker `w` now, and that she
    /// strictly prefers to what she holds.
    pub fn demand(&mut self, w: u32) -> Option<Offer> {
        best(&Index::on(self.problem, &self.layout), &self.seats, &mut self.scratch, w)
    }

    /// The place, in the engine's index, of the vacancy with that number.
    pub fn place_of_vacancy(&self, vacancy: u32) -> u32 {
        self.layout.place_of[vacancy as usize]
    }

    /// The number of the vacancy at that place.
    pub fn vacancy_at(&self, place: u32) -> u32 {
        self.layout.places[place as usize].number
    }

    /// Lets a worker propose, then whoever she displaces, until nobody is displaced.
    pub fn propose(&mut self, worker: u32) {
        let mut proposer = Some(worker);
        while let Some(w) = proposer {
            proposer = self.demand(w).and_then(|offer| self.accept(w, offer));
        }
    }

    /// What it has cost so far.
    pub fn counters(&self) -> Counters {
        self.counters.plus(self.scratch.counters)
    }

    /// Lets a worker who holds nothing take an offer. Returns the worker displaced.
    pub(super) fn accept(&mut self, w: u32, offer: Offer) -> Option<u32> {
        self.counters.proposals += 1;
        self.seats.enter(&Index::on(self.problem, &self.layout), w, offer)
    }

    /// The matching so far, by numbers of the problem.
    pub fn matching(&self) -> Matching {
        let mut vacancy_of = vec![None; self.problem.workers.len()];
        self.seats.for_each(|w, place| {
            vacancy_of[w as usize] = Some(self.layout.places[place as usize].number);
        });
        Matching { vacancy_of }
    }
}

//! The engine: an index, the seats, and queries over them.

use super::demand::Scratch;
use super::index::Index;
use super::key::Key;
use super::seats::Seats;
use super::{Means, Problem};

/// Who is matched with whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// By worker number: the number of the vacancy that she holds.
    pub vacancy_of: Vec<Option<u32>>,
}

impl Matching {
    /// The pairs (worker number, vacancy number), by ascending worker.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let held = self.vacancy_of.iter().enumerate();
        held.filter_map(|(w, vacancy)| vacancy.map(|v| (w as u32, v)))
    }
}

/// What a clearing cost, in counts that do not depend on the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times that a worker entered a vacancy, or a vacancy hired a worker.
    pub proposals: u64,
    /// Searches for a worker's best vacancies, or for a vacancy's best workers.
    pub queries: u64,
    /// Pairs whose fit or score was computed.
    pub evaluations: u64,
}

impl Counters {
    /// The sum of both.
    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            proposals: self.proposals + other.proposals,
            queries: self.queries + other.queries,
            evaluations: self.evaluations + other.evaluations,
        }
    }
}

/// What a worker would get if she asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The vacancy's place in the engine's index.
    pub place: u32,
    /// Its value to the worker.
    pub value: i64,
    /// The worker's key at the vacancy.
    pub key: Key,
}

/// Whom a vacancy would get if it asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recruit {
    /// The worker's number.
    pub worker: u32,
    /// The vacancy's value to the worker.
    pub value: i64,
    /// The worker's key at the vacancy.
    pub key: Key,
}

/// One clearing in progress: the index of the problem, the matching so far with its
/// cutoffs, and the query `demand`.
pub struct Engine<'p> {
    pub(super) index: Index<'p>,
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
        let index = Index::of(problem, means);
        let seats = Seats::of(&index);
        let scratch = Scratch::of(&index);
        Self { index, seats, scratch, counters: Counters::default() }
    }

    /// The place, in the engine's index, of the vacancy with that number.
    pub fn place_of_vacancy(&self, vacancy: u32) -> u32 {
        self.index.place_of[vacancy as usize]
    }

    /// The number of the vacancy at that place.
    pub fn vacancy_at(&self, place: u32) -> u32 {
        self.index.places[place as usize].number
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
        self.seats.enter(&self.index, w, offer)
    }

    /// The matching so far, by numbers of the problem.
    pub fn matching(&self) -> Matching {
        let mut vacancy_of = vec![None; self.index.problem.workers.len()];
        self.seats.for_each(|w, place| {
            vacancy_of[w as usize] = Some(self.index.places[place as usize].number);
        });
        Matching { vacancy_of }
    }
}

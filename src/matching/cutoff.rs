//! Cutoffs: the key that a worker must beat to get into a vacancy now.
//!
//! Azevedo and Leshno (2016) for openings; with caps, the innermost full set around a
//! vacancy decides. This is the definition, computed from a matching alone; the engine
//! keeps its own, and the certificate compares the outcome.

use super::Problem;
use super::choice::Contract;
use super::key::{Bid, Key, Ranks};
use super::outcome::Matching;

/// What is full around a vacancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The vacancy's own openings.
    Openings,
    /// The capped set with that number in [`Problem::sets`].
    Set(u32),
}

/// What a worker must beat to get into a vacancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutoff {
    /// Nothing: the vacancy takes every acceptable worker.
    Open,
    /// The key of the worst match held in what is full.
    Key {
        /// Its score, in basis points.
        score: i64,
        /// The worker who holds it, by number.
        worker: u32,
        /// The vacancy at which it is held, by number.
        vacancy: u32,
        /// What is full.
        binding: Binding,
    },
    /// No key is enough: what is full holds nobody who could be displaced.
    Closed {
        /// What is full.
        binding: Binding,
    },
}

impl Cutoff {
    /// What is full, if anything.
    pub fn binding(&self) -> Option<Binding> {
        match self {
            Self::Open => None,
            Self::Key { binding, .. } | Self::Closed { binding } => Some(*binding),
        }
    }

    /// The least bid that fails.
    pub(super) fn bar(&self, ranks: &Ranks) -> Bid {
        match *self {
            Self::Open => Bid::NONE,
            Self::Closed { .. } => Bid::CLOSED,
            Self::Key { score, worker, vacancy, .. } => {
                Bid::new(Key::new(score, ranks.worker(worker)), ranks.vacancy(vacancy))
            }
        }
    }

    fn at(worst: Option<&Held>, binding: Binding) -> Self {
        match worst {
            None => Self::Closed { binding },
            Some(held) => Self::Key {
                score: held.score,
                worker: held.contract.worker,
                vacancy: held.contract.vacancy,
                binding,
            },
        }
    }
}

/// A held contract with its score as evaluated.
#[derive(Clone, Copy)]
struct Held {
    contract: Contract,
    score: i64,
}

/// Slots of the `TARGETS` cap order: (places above target, vacancy id bytes, place).
type Slot = (u32, [u8; 16], u32);

/// What a matching holds, by vacancy and by set.
struct Standing<'p> {
    problem: &'p Problem,
    held_at: Vec<u32>,
    worst_at: Vec<Option<Held>>,
    held_in: Vec<u64>,
    worst_in: Vec<Option<Held>>,
    last_slot_in: Vec<Option<Slot>>,
}

/// The cutoff of every vacancy under `matching`, by vacancy number.
///
/// `SCORE`: the worst key held in the innermost full set around the vacancy, its own
/// openings first. `TARGETS`: a vacancy is closed when its openings are full, or when
/// in its innermost full set the slot of its next place is above every held slot; its
/// cutoff is then the worst that it holds itself.
///
/// # Panics
/// If the matching names a vacancy that is not in the problem.
pub fn cutoffs(problem: &Problem, matching: &Matching) -> Vec<Cutoff> {
    let score = |w: u32, v: u32| problem.pair(w as usize, v as usize).score;
    cutoffs_scored(problem, matching, &Ranks::of(problem), score)
}

/// [`cutoffs`] where ranks, and the scores of what is held, are known.
pub(super) fn cutoffs_scored(
    problem: &Problem,
    matching: &Matching,
    ranks: &Ranks,
    score: impl Fn(u32, u32) -> i64,
) -> Vec<Cutoff> {
    let standing = Standing::of(problem, matching, ranks, score);
    (0..problem.vacancies.len()).map(|v| standing.cutoff(v)).collect()
}

impl<'p> Standing<'p> {
    fn of(
        problem: &'p Problem,
        matching: &Matching,
        ranks: &Ranks,
        score: impl Fn(u32, u32) -> i64,
    ) -> Self {
        let (vacancies, sets) = (problem.vacancies.len(), problem.sets.len());
        let mut standing = Self {
            problem,
            held_at: vec![0; vacancies],
            worst_at: vec![None; vacancies],
            held_in: vec![0; sets],
            worst_in: vec![None; sets],
            last_slot_in: vec![None; sets],
        };
        for (w, v) in matching.pairs() {
            let score = score(w, v);
            standing.hold(Held { contract: Contract::new(ranks, w, v, score), score });
        }
        for v in 0..vacancies {
            standing.hold_slot(v);
        }
        standing
    }

    fn hold(&mut self, held: Held) {
        let v = held.contract.vacancy as usize;
        let worse = |worst: &Option<Held>| worst.is_none_or(|w| held.contract.bid < w.contract.bid);
        self.held_at[v] += 1;
        if worse(&self.worst_at[v]) {
            self.worst_at[v] = Some(held);
        }
        for set in self.problem.sets_around(v) {
            self.held_in[set] += 1;
            if worse(&self.worst_in[set]) {
                self.worst_in[set] = Some(held);
            }
        }
    }

    fn hold_slot(&mut self, v: usize) {
        if self.held_at[v] == 0 {
            return;
        }
        let slot = self.slot(v, self.held_at[v]);
        for set in self.problem.sets_around(v) {
            self.last_slot_in[set] = self.last_slot_in[set].max(Some(slot));
        }
    }

    fn slot(&self, v: usize, place: u32) -> Slot {
        let post = &self.problem.vacancies[v];
        (place.saturating_sub(post.target), *post.vacancy.id.bytes(), place)
    }

    fn cutoff(&self, v: usize) -> Cutoff {
        if self.held_at[v] >= self.problem.vacancies[v].openings {
            return Cutoff::at(self.worst_at[v].as_ref(), Binding::Openings);
        }
        let mut around = self.problem.sets_around(v);
        let Some(set) = around.find(|s| self.held_in[*s] >= self.problem.sets[*s].capacity) else {
            return Cutoff::Open;
        };
        let binding = Binding::Set(set as u32);
        if !self.problem.by_targets() {
            return Cutoff::at(self.worst_in[set].as_ref(), binding);
        }
        let next = self.slot(v, self.held_at[v] + 1);
        if self.last_slot_in[set].is_some_and(|last| next < last) {
            return Cutoff::Open;
        }
        Cutoff::at(self.worst_at[v].as_ref(), binding)
    }
}

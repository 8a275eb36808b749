//! What a clearing finds, what it costs, and what its queries answer.

use super::key::Key;

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
pub(super) struct Recruit {
    /// The worker's number.
    pub worker: u32,
    /// The vacancy's value to the worker.
    pub value: i64,
    /// The worker's key at the vacancy.
    pub key: Key,
}

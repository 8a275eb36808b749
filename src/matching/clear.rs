//! One clearing, from a problem to its matching.

use super::control::{Cancelled, Control, Phase};
use super::engine::Engine;
use super::outcome::{Counters, Matching};
use super::{Kernels, Problem, vacancy_proposing, worker_proposing};
use crate::domain::Side;

/// A matching with what it cost to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// The matching.
    pub matching: Matching,
    /// What it cost.
    pub counters: Counters,
}

/// Why there is no matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The computation was told to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Vacancies cannot propose under the `TARGETS` cap order.
    #[error("vacancies cannot propose under the TARGETS cap order")]
    UnsupportedMechanism,
}

/// Clears a problem by deferred acceptance: with [`Side::Worker`] proposing the
/// worker-optimal stable matching, with [`Side::Vacancy`] the worker-pessimal one.
///
/// # Errors
/// [`Error::Cancelled`] when `control` says so; [`Error::UnsupportedMechanism`] for
/// vacancies proposing under the `TARGETS` cap order.
pub fn clear(problem: &Problem, side: Side, control: &Control) -> Result<Cleared, Error> {
    clear_with(problem, side, control, Means::all())
}

/// What a computation may use of the machine. Its result is the same whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// Threads; 0 counts as 1.
    pub threads: usize,
    /// Which registers the inner loops use.
    pub kernels: Kernels,
}

impl Means {
    /// All cores, and the widest registers.
    pub fn all() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { threads, kernels: Kernels::widest() }
    }
}

/// [`clear`] with those means; matching and counters do not depend on them.
///
/// # Errors
/// As [`clear`].
pub fn clear_with(
    problem: &Problem,
    side: Side,
    control: &Control,
    means: Means,
) -> Result<Cleared, Error> {
    if side == Side::Vacancy && problem.by_targets() {
        return Err(Error::UnsupportedMechanism);
    }
    control.begin(Phase::Indexing, 0)?;
    let mut engine = Engine::with(problem, means);
    match side {
        Side::Worker => worker_proposing::run(&mut engine, control, means.threads)?,
        Side::Vacancy => vacancy_proposing::run(&mut engine, control, means.threads)?,
    }
    Ok(Cleared { matching: engine.matching(), counters: engine.counters() })
}

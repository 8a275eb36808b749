//! What one clearing works on: the workers who seek, the vacancies that are open,
//! and what is left of every capacity after the placements, which are frozen.

use crate::domain::{CapOrder, Geography, Settings, Vacancy, VacancySlot, Worker, WorkerSlot};
use crate::preferences::{Lottery, Pair, Terms};
use std::sync::Arc;

/// A worker who seeks. Workers are numbered by their place in [`Problem::workers`].
#[derive(Clone, Debug)]
pub struct Seeker {
    /// The worker.
    pub worker: Arc<Worker>,
    /// The worker's row in the market.
    pub slot: WorkerSlot,
    /// Vacancies that this worker never meets again (a decline by either side), ascending.
    pub declined: Option<Arc<Vec<VacancySlot>>>,
}

/// A vacancy that is open. Vacancies are numbered by their place in [`Problem::vacancies`].
#[derive(Clone, Debug)]
pub struct Post {
    /// The vacancy.
    pub vacancy: Arc<Vacancy>,
    /// The vacancy's row in the market.
    pub slot: VacancySlot,
    /// Openings that are not placed yet; may be 0.
    pub openings: u32,
    /// What is left of the vacancy's target after its placements.
    pub target: u32,
}

/// A capped city or region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapSet {
    /// The next capped set around this one. Sets stand after the sets inside them.
    pub parent: Option<u32>,
    /// Matches that may stand inside: `max(0, cap - placed)`.
    pub capacity: u64,
}

/// One clearing's input. Plain data: the same problem always clears the same way,
/// whatever the order of its workers and vacancies.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The market's settings; `settings.cap_order` picks the choice function.
    pub settings: Arc<Settings>,
    /// The market's places.
    pub geography: Arc<Geography>,
    /// Breaks every tie.
    pub lottery: Lottery,
    /// Who seeks.
    pub workers: Vec<Seeker>,
    /// What is open.
    pub vacancies: Vec<Post>,
    /// The capped cities and regions: a forest.
    pub sets: Vec<CapSet>,
    /// By city index: the innermost capped set around the city (the city itself if it is capped).
    pub set_of_city: Vec<Option<u32>>,
}

impl Problem {
    /// The terms on which pairs are evaluated.
    pub fn terms(&self) -> Terms<'_> {
        Terms { settings: &self.settings, geography: &self.geography }
    }

    /// Evaluates worker number `w` and vacancy number `v` in full. A declined pair is
    /// acceptable to neither side.
    pub fn pair(&self, w: usize, v: usize) -> Pair {
        let (seeker, post) = (&self.workers[w], &self.vacancies[v]);
        let mut pair = self.terms().pair(&seeker.worker, &post.vacancy);
        if seeker.has_declined(post.slot) {
            pair.worker_accepts = false;
            pair.vacancy_accepts = false;
        }
        pair
    }

    /// The capped sets around vacancy number `v`, innermost first.
    pub fn sets_around(&self, v: usize) -> impl Iterator<Item = usize> + '_ {
        let innermost = self.set_of_city[self.vacancies[v].vacancy.city.at()];
        std::iter::successors(innermost, |set| self.sets[*set as usize].parent)
            .map(|set| set as usize)
    }

    /// Whether full sets keep offers by target rather than by score.
    pub fn by_targets(&self) -> bool {
        self.settings.cap_order == CapOrder::Targets
    }
}

impl Seeker {
    /// Whether this worker and the vacancy in that row never meet again.
    pub fn has_declined(&self, vacancy: VacancySlot) -> bool {
        self.declined.as_ref().is_some_and(|slots| slots.binary_search(&vacancy).is_ok())
    }
}

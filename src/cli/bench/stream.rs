//! What happens to a market, change by change: people and jobs come and go, all of them
//! from the same generated market, part of which is kept back to come later.

use super::draws::Draws;
use crate::domain::Worker;
use crate::matching::live::Change;
use crate::matching::{Post, Problem, Seeker};
use std::sync::Arc;

/// The kinds, in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A worker who was not there.
    WorkerArrives,
    /// A worker with another's skills and salaries.
    WorkerChanges,
    /// A worker who was there.
    WorkerDeparts,
    /// A vacancy that was not there.
    VacancyArrives,
    /// A vacancy that was there.
    VacancyCloses,
    /// A vacancy with one opening more.
    OpeningsUp,
    /// A vacancy with one opening less, if it has any.
    OpeningsDown,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::WorkerArrives,
        Self::WorkerChanges,
        Self::WorkerDeparts,
        Self::VacancyArrives,
        Self::VacancyCloses,
        Self::OpeningsUp,
        Self::OpeningsDown,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkerArrives => "worker arrives",
            Self::WorkerChanges => "worker changes",
            Self::WorkerDeparts => "worker departs",
            Self::VacancyArrives => "vacancy arrives",
            Self::VacancyCloses => "vacancy closes",
            Self::OpeningsUp => "one opening more",
            Self::OpeningsDown => "one opening less",
        }
    }
}

/// Who is there, and who is not.
pub struct Stream {
    draws: Draws,
    workers: Vec<Seeker>,
    vacancies: Vec<Post>,
    absent_workers: Vec<Seeker>,
    absent_vacancies: Vec<Post>,
}

impl Stream {
    /// Keeps so many workers and vacancies of a problem back, drawn by the seed, and leaves
    /// the rest in it.
    pub fn of(problem: &mut Problem, workers: usize, vacancies: usize, seed: u64) -> Self {
        let mut draws = Draws::of(seed);
        let absent_workers = keep_back(&mut draws, &mut problem.workers, workers);
        let absent_vacancies = keep_back(&mut draws, &mut problem.vacancies, vacancies);
        let (workers, vacancies) = (problem.workers.clone(), problem.vacancies.clone());
        Self { draws, workers, vacancies, absent_workers, absent_vacancies }
    }

    /// Something of that kind happens; nothing, if there is nobody to whom it could.
    pub fn next(&mut self, kind: Kind) -> Option<Change> {
        Some(match kind {
            Kind::WorkerArrives => {
                let seeker = take(&mut self.draws, &mut self.absent_workers)?;
                self.workers.push(seeker.clone());
                Change::Worker(seeker)
            }
            Kind::WorkerChanges => self.worker_changes()?,
            Kind::WorkerDeparts => {
                let seeker = take(&mut self.draws, &mut self.workers)?;
                let slot = seeker.slot;
                self.absent_workers.push(seeker);
                Change::WorkerLeft(slot)
            }
            Kind::VacancyArrives => {
                let post = take(&mut self.draws, &mut self.absent_vacancies)?;
                self.vacancies.push(post.clone());
                Change::Vacancy(post)
            }
            Kind::VacancyCloses => {
                let post = take(&mut self.draws, &mut self.vacancies)?;
                let slot = post.slot;
                self.absent_vacancies.push(post);
                Change::VacancyLeft(slot)
            }
            Kind::OpeningsUp => self.refit(|openings| openings + 1)?,
            Kind::OpeningsDown => self.refit(|openings| openings.saturating_sub(1))?,
        })
    }

    fn worker_changes(&mut self) -> Option<Change> {
        let like = some(&mut self.draws, &self.workers)?;
        let other = self.workers[like].worker.clone();
        let at = some(&mut self.draws, &self.workers)?;
        let seeker = &mut self.workers[at];
        seeker.worker = Arc::new(Worker {
            skills: other.skills.clone(),
            expected_salary: other.expected_salary,
            reservation_salary: other.reservation_salary,
            ..(*seeker.worker).clone()
        });
        Some(Change::Worker(seeker.clone()))
    }

    fn refit(&mut self, openings: impl Fn(u32) -> u32) -> Option<Change> {
        let at = some(&mut self.draws, &self.vacancies)?;
        let post = &mut self.vacancies[at];
        post.openings = openings(post.openings);
        Some(Change::Vacancy(post.clone()))
    }
}

fn some<T>(draws: &mut Draws, all: &[T]) -> Option<usize> {
    (!all.is_empty()).then(|| draws.below(all.len()))
}

fn take<T>(draws: &mut Draws, all: &mut Vec<T>) -> Option<T> {
    let at = some(draws, all)?;
    Some(all.swap_remove(at))
}

/// Takes some out, and leaves the rest in its order.
fn keep_back<T>(draws: &mut Draws, all: &mut Vec<T>, count: usize) -> Vec<T> {
    let mut drawn = vec![false; all.len()];
    for _ in 0..count.min(all.len()) {
        if let Some(at) = some(draws, &drawn) {
            drawn[at] = true;
        }
    }
    let mut drawn = drawn.into_iter();
    all.extract_if(.., |_| drawn.next() == Some(true)).collect()
}

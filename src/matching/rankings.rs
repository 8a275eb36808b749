//! Explicit rankings, resolved: who is ranked by whom, and at which position.
//! Ids that are not in the problem are left out, but still count as positions.

use super::Problem;
use std::collections::HashMap;

/// Lists of (other side's place, position in the ranking), one list per owner.
#[derive(Clone, Debug, Default)]
struct Lists {
    starts: Vec<u32>,
    entries: Vec<(u32, u32)>,
}

impl Lists {
    /// Groups (owner, other, position), in the order given by sorting.
    fn of(owners: usize, mut rows: Vec<(u32, u32, u32)>) -> Self {
        if rows.is_empty() {
            return Self::default();
        }
        rows.sort_unstable();
        let mut starts = vec![0_u32; owners + 1];
        for (owner, ..) in &rows {
            starts[*owner as usize + 1] += 1;
        }
        for owner in 0..owners {
            starts[owner + 1] += starts[owner];
        }
        Self { starts, entries: rows.into_iter().map(|(_, a, b)| (a, b)).collect() }
    }

    fn at(&self, owner: u32) -> &[(u32, u32)] {
        if self.starts.is_empty() {
            return &[];
        }
        let owner = owner as usize;
        &self.entries[self.starts[owner] as usize..self.starts[owner + 1] as usize]
    }
}

/// Both sides' rankings, each readable from either side. Vacancies go by their place in the index.
#[derive(Clone, Debug, Default)]
pub(super) struct Rankings {
    by_worker: Lists,
    by_vacancy: Lists,
    naming_worker: Lists,
    wanting: Lists,
}

impl Rankings {
    /// Resolves every ranking of the problem; `place_of` maps vacancy numbers to places.
    pub fn of(problem: &Problem, place_of: &[u32]) -> Self {
        let wanted = worker_rows(problem, place_of);
        let wanting = vacancy_rows(problem, place_of);
        let (workers, vacancies) = (problem.workers.len(), problem.vacancies.len());
        let swap = |rows: &[(u32, u32, u32)]| -> Vec<_> {
            rows.iter().map(|(owner, other, position)| (*owner, *position, *other)).collect()
        };
        let turn = |rows: &[(u32, u32, u32)]| -> Vec<_> {
            rows.iter().map(|(owner, other, position)| (*other, *owner, *position)).collect()
        };
        Self {
            wanting: Lists::of(vacancies, turn(&wanted)),
            naming_worker: Lists::of(workers, turn(&wanting)),
            by_worker: Lists::of(workers, swap(&wanted)),
            by_vacancy: Lists::of(vacancies, swap(&wanting)),
        }
    }

    /// Worker `w`'s ranking, best first: (position, place of the vacancy).
    pub fn of_worker(&self, w: u32) -> &[(u32, u32)] {
        self.by_worker.at(w)
    }

    /// The ranking of the vacancy at `place`, best first: (position, worker).
    pub fn of_vacancy(&self, place: u32) -> &[(u32, u32)] {
        self.by_vacancy.at(place)
    }

    /// The ranked vacancies that name worker `w`: (place, position), ascending.
    pub fn naming(&self, w: u32) -> &[(u32, u32)] {
        self.naming_worker.at(w)
    }

    /// The workers who rank the vacancy at `place`: (worker, position), ascending.
    pub fn wanting(&self, place: u32) -> &[(u32, u32)] {
        self.wanting.at(place)
    }

    /// Position of worker `w` in the ranking of the vacancy at `place`.
    pub fn position_of_worker(&self, w: u32, place: u32) -> Option<u32> {
        position(self.naming_worker.at(w), place)
    }
}

fn position(list: &[(u32, u32)], of: u32) -> Option<u32> {
    list.binary_search_by_key(&of, |(other, _)| *other).ok().map(|at| list[at].1)
}

/// (worker, place, position) of every known id in a worker's ranking.
fn worker_rows(problem: &Problem, place_of: &[u32]) -> Vec<(u32, u32, u32)> {
    let rankings = problem.workers.iter().map(|seeker| seeker.worker.ranking.as_deref());
    let vacancies = problem.vacancies.iter().map(|post| post.vacancy.id);
    let mut rows = resolve(rankings, vacancies);
    rows.iter_mut().for_each(|(_, v, _)| *v = place_of[*v as usize]);
    rows
}

/// (place, worker, position) of every known id in a vacancy's ranking.
fn vacancy_rows(problem: &Problem, place_of: &[u32]) -> Vec<(u32, u32, u32)> {
    let rankings = problem.vacancies.iter().map(|post| post.vacancy.ranking.as_deref());
    let workers = problem.workers.iter().map(|seeker| seeker.worker.id);
    let mut rows = resolve(rankings, workers);
    rows.iter_mut().for_each(|(v, ..)| *v = place_of[*v as usize]);
    rows
}

/// (owner, other, position) of every id in `rankings` that is one of `others`.
fn resolve<'a, Id: Copy + Eq + std::hash::Hash + 'a>(
    rankings: impl Iterator<Item = Option<&'a [Id]>> + Clone,
    others: impl Iterator<Item = Id>,
) -> Vec<(u32, u32, u32)> {
    if rankings.clone().all(|ranking| ranking.is_none_or(<[Id]>::is_empty)) {
        return Vec::new();
    }
    let numbers: HashMap<Id, u32, foldhash::fast::FixedState> =
        others.enumerate().map(|(number, id)| (id, number as u32)).collect();
    let mut rows = Vec::new();
    for (owner, ranking) in rankings.enumerate() {
        for (position, id) in ranking.unwrap_or_default().iter().enumerate() {
            if let Some(other) = numbers.get(id) {
                rows.push((owner as u32, *other, position as u32));
            }
        }
    }
    rows
}

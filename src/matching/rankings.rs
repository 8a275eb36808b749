//! Explicit rankings, resolved: who is ranked by whom, and at which position.
//! Ids that are not there are left out, but still count as positions; whoever comes
//! later finds their names waiting.

use super::Problem;
use super::key::Ranks;
use crate::domain::{VacancyId, WorkerId};
use std::collections::HashMap;
use std::hash::Hash;

/// By owner, ascending: either (position, other) or (other, position).
type Lists<Owner> = HashMap<Owner, Vec<(u32, u32)>, foldhash::fast::FixedState>;

/// Both sides' rankings, each readable from either side. Vacancies go by their place in the index.
#[derive(Clone, Debug, Default)]
pub(super) struct Rankings {
    by_worker: Lists<u32>,
    by_vacancy: Lists<u32>,
    naming_worker: Lists<u32>,
    wanting: Lists<u32>,
    /// By vacancy, there or not: (worker, position) of those who rank it.
    rank_it: Lists<VacancyId>,
    /// By worker, there or not: (place, position) of those that rank her.
    rank_her: Lists<WorkerId>,
}

impl Rankings {
    /// Resolves every ranking of the problem; `place_of` maps vacancy numbers to places.
    pub fn of(problem: &Problem, place_of: &[u32]) -> Self {
        let mut rankings = Self::default();
        for (w, seeker) in (0..).zip(&problem.workers) {
            note(&mut rankings.rank_it, seeker.worker.ranking.as_deref(), w);
        }
        for (post, place) in problem.vacancies.iter().zip(place_of) {
            note(&mut rankings.rank_her, post.vacancy.ranking.as_deref(), *place);
        }
        if !rankings.rank_it.is_empty() {
            for (post, place) in problem.vacancies.iter().zip(place_of) {
                rankings.vacancy_comes(post.vacancy.id, *place);
            }
        }
        if !rankings.rank_her.is_empty() {
            for (w, seeker) in (0..).zip(&problem.workers) {
                rankings.worker_comes(seeker.worker.id, w);
            }
        }
        rankings
    }

    /// Takes in the problem's last worker, who came later.
    pub fn add_worker(&mut self, problem: &Problem, ranks: &Ranks, place_of: &[u32]) {
        let w = problem.workers.len() as u32 - 1;
        let worker = &problem.workers[w as usize].worker;
        self.worker_comes(worker.id, w);
        note(&mut self.rank_it, worker.ranking.as_deref(), w);
        for (position, id) in (0..).zip(worker.ranking.as_deref().unwrap_or_default()) {
            if let Some(v) = ranks.vacancy_with(problem, *id) {
                let place = place_of[v as usize];
                insert(self.by_worker.entry(w).or_default(), (position, place));
                insert(self.wanting.entry(place).or_default(), (w, position));
            }
        }
    }

    /// Takes in the problem's last vacancy, which came later and has the last place.
    pub fn add_vacancy(&mut self, problem: &Problem, ranks: &Ranks, place: u32) {
        let Some(post) = problem.vacancies.last() else { return };
        self.vacancy_comes(post.vacancy.id, place);
        note(&mut self.rank_her, post.vacancy.ranking.as_deref(), place);
        for (position, id) in (0..).zip(post.vacancy.ranking.as_deref().unwrap_or_default()) {
            if let Some(w) = ranks.worker_with(problem, *id) {
                insert(self.by_vacancy.entry(place).or_default(), (position, w));
                insert(self.naming_worker.entry(w).or_default(), (place, position));
            }
        }
    }

    /// Worker `w`'s ranking, best first: (position, place of the vacancy).
    pub fn of_worker(&self, w: u32) -> &[(u32, u32)] {
        at(&self.by_worker, w)
    }

    /// The ranking of the vacancy at `place`, best first: (position, worker).
    pub fn of_vacancy(&self, place: u32) -> &[(u32, u32)] {
        at(&self.by_vacancy, place)
    }

    /// The ranked vacancies that name worker `w`: (place, position), ascending.
    pub fn naming(&self, w: u32) -> &[(u32, u32)] {
        at(&self.naming_worker, w)
    }

    /// The workers who rank the vacancy at `place`: (worker, position), ascending.
    pub fn wanting(&self, place: u32) -> &[(u32, u32)] {
        at(&self.wanting, place)
    }

    /// Position of worker `w` in the ranking of the vacancy at `place`.
    pub fn position_of_worker(&self, w: u32, place: u32) -> Option<u32> {
        let list = self.naming(w);
        list.binary_search_by_key(&place, |(other, _)| *other).ok().map(|at| list[at].1)
    }

    fn worker_comes(&mut self, id: WorkerId, w: u32) {
        for (place, position) in self.rank_her.get(&id).into_iter().flatten() {
            insert(self.naming_worker.entry(w).or_default(), (*place, *position));
            insert(self.by_vacancy.entry(*place).or_default(), (*position, w));
        }
    }

    fn vacancy_comes(&mut self, id: VacancyId, place: u32) {
        for (w, position) in self.rank_it.get(&id).into_iter().flatten() {
            insert(self.wanting.entry(place).or_default(), (*w, *position));
            insert(self.by_worker.entry(*w).or_default(), (*position, place));
        }
    }
}

/// Notes under every id of a ranking who ranks it, and where.
fn note<Id: Copy + Eq + Hash>(lists: &mut Lists<Id>, ranking: Option<&[Id]>, owner: u32) {
    for (position, id) in (0..).zip(ranking.unwrap_or_default()) {
        lists.entry(*id).or_default().push((owner, position));
    }
}

/// Keeps a list ascending.
fn insert(list: &mut Vec<(u32, u32)>, entry: (u32, u32)) {
    let at = list.partition_point(|other| *other < entry);
    list.insert(at, entry);
}

fn at(lists: &Lists<u32>, owner: u32) -> &[(u32, u32)] {
    lists.get(&owner).map_or(&[], Vec::as_slice)
}

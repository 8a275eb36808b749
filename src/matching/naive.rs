//! The naive twin: deferred acceptance as the textbook says it, on a full table of
//! pairs. Slow, obvious, and sharing nothing with the engine but the preference model
//! and the choice function's definition. Tests compare the two.

use super::Problem;
use super::choice::{Contract, pick};
use super::key::{Ranks, Worth};
use super::outcome::Matching;
use crate::preferences::Pair;

/// A problem with every pair evaluated: workers x vacancies.
pub struct Twin<'p> {
    problem: &'p Problem,
    ranks: Ranks,
    pairs: Vec<Pair>,
}

impl<'p> Twin<'p> {
    /// Evaluates every pair.
    pub fn of(problem: &'p Problem) -> Self {
        let (workers, vacancies) = (problem.workers.len(), problem.vacancies.len());
        let pairs = (0..workers).flat_map(|w| (0..vacancies).map(move |v| problem.pair(w, v)));
        Self { problem, ranks: Ranks::of(problem), pairs: pairs.collect() }
    }

    /// Worker-proposing deferred acceptance (Gale and Shapley 1962; with caps Kamada
    /// and Kojima 2015): every worker without a match proposes to the next vacancy on
    /// her list, C keeps what it wants of all offers, until nobody has anyone left.
    pub fn worker_proposing(&self) -> Matching {
        let workers = self.problem.workers.len();
        let lists: Vec<_> = (0..workers).map(|w| self.list(w)).collect();
        let mut next = vec![0; workers];
        let mut held: Vec<Contract> = Vec::new();
        loop {
            let mut offers = held.clone();
            for w in 0..workers {
                let free = !held.iter().any(|contract| contract.worker as usize == w);
                if free && next[w] < lists[w].len() {
                    offers.push(self.contract(w, lists[w][next[w]]));
                    next[w] += 1;
                }
            }
            if offers.len() == held.len() {
                return self.matching(&held);
            }
            held = pick(self.problem, offers);
        }
    }

    /// Vacancy-proposing deferred acceptance: C picks from all contracts that are not
    /// refused yet, each worker keeps her favourite and refuses the rest, until nobody
    /// has anything to refuse.
    pub fn vacancy_proposing(&self) -> Matching {
        let mut open: Vec<Contract> = Vec::new();
        for w in 0..self.problem.workers.len() {
            open.extend(self.list(w).into_iter().map(|v| self.contract(w, v)));
        }
        loop {
            let offers = pick(self.problem, open.clone());
            let refused: Vec<Contract> =
                offers.iter().filter(|offer| self.is_refused(offer, &offers)).copied().collect();
            if refused.is_empty() {
                return self.matching(&offers);
            }
            open.retain(|contract| !refused.contains(contract));
        }
    }

    /// Stability by definition: C applied to every acceptable pair whose worker weakly
    /// prefers it to her match gives exactly the matching.
    pub fn is_stable(&self, matching: &Matching) -> bool {
        let mut wanted = Vec::new();
        for w in 0..self.problem.workers.len() {
            let held = matching.vacancy_of[w].map(|v| self.worth(w, v as usize));
            for v in self.list(w) {
                if held.is_none_or(|held| self.worth(w, v) >= held) {
                    wanted.push(self.contract(w, v));
                }
            }
        }
        let kept = pick(self.problem, wanted);
        let mut kept: Vec<_> = kept.iter().map(|kept| (kept.worker, kept.vacancy)).collect();
        kept.sort_unstable();
        kept == matching.pairs().collect::<Vec<_>>()
    }

    /// The vacancies of worker `w`'s acceptable pairs, best first.
    fn list(&self, w: usize) -> Vec<usize> {
        let vacancies = 0..self.problem.vacancies.len();
        let mut list: Vec<_> = vacancies.filter(|v| self.pair(w, *v).is_acceptable()).collect();
        list.sort_unstable_by_key(|v| std::cmp::Reverse(self.worth(w, *v)));
        list
    }

    fn is_refused(&self, offer: &Contract, offers: &[Contract]) -> bool {
        let worth = |of: &Contract| self.worth(of.worker as usize, of.vacancy as usize);
        offers.iter().any(|other| other.worker == offer.worker && worth(other) > worth(offer))
    }

    fn pair(&self, w: usize, v: usize) -> &Pair {
        &self.pairs[w * self.problem.vacancies.len() + v]
    }

    fn worth(&self, w: usize, v: usize) -> Worth {
        Worth::new(self.pair(w, v).value, self.ranks.vacancy(v as u32))
    }

    fn contract(&self, w: usize, v: usize) -> Contract {
        Contract::new(&self.ranks, w as u32, v as u32, self.pair(w, v).score)
    }

    fn matching(&self, held: &[Contract]) -> Matching {
        let mut vacancy_of = vec![None; self.problem.workers.len()];
        for contract in held {
            vacancy_of[contract.worker as usize] = Some(contract.vacancy);
        }
        Matching { vacancy_of }
    }
}

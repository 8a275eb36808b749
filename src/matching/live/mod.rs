//! A market that is stable after every change.
//!
//! A [`Live`] keeps a stable matching, and answers each change of the market with what
//! the matching becomes. It is the engine of a clearing (index, seats, roster) that goes
//! on: what comes later gets a place behind the rest, what leaves is shut, and after enough
//! of both everything is laid out anew.
//!
//! Each change is a step of one of two kinds, and both keep the market stable:
//!
//! * a worker comes, or a place is taken away: worker-proposing deferred acceptance goes
//!   on from where it stands, whoever is displaced proposing in turn. Its result does not
//!   depend on the order of proposals, so it is worker-optimal if the matching was;
//! * a place becomes free, because somebody leaves or it is new: a vacancy chain (Blum,
//!   Roth and Rothblum, "Vacancy Chains and Equilibration in Senior-Level Labor Markets",
//!   1997). The place goes to the best worker who prefers it to what she holds, and what
//!   she held is free in turn. The result is stable, but workers may have something
//!   better in common: rotations, which [`Promise::WorkerOptimal`] eliminates (`rotations`).
//!
//! Inside caps both are kept with sets in mind (`caps`).
//!
//! A worker who changes, or who declines, leaves first (a chain) and then comes (deferred
//! acceptance): the other order is not stable.

mod caps;
mod hall;
mod rotations;

use super::index::{Index, Layout};
use super::key::Key;
use super::outcome::{Counters, Matching, Offer};
use super::{Control, Error, Means, Post, Problem, Seeker};
use crate::domain::{Promise, Vacancy, VacancySlot, Worker, WorkerSlot};
use crate::mutants::active;
use hall::Hall;

/// One change of the market.
#[derive(Clone, Debug)]
pub enum Change {
    /// A worker comes into the pool, is not who she was, or declines.
    Worker(Seeker),
    /// A worker leaves the pool.
    WorkerLeft(WorkerSlot),
    /// A vacancy comes into the pool, or is not what it was.
    Vacancy(Post),
    /// A vacancy leaves the pool.
    VacancyLeft(VacancySlot),
    /// A held match is final: the worker leaves the pool, her place with her, and her room in
    /// the sets around it.
    Placed(WorkerSlot),
    /// The set with that number may hold so many from now on.
    Capacity(u32, u64),
}

/// What changes have led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What those hold now who may hold something else than before; ascending by worker.
    pub held: Vec<(WorkerSlot, Option<VacancySlot>)>,
    /// Rotations that were eliminated.
    pub rotations: u64,
}

/// See the module.
pub struct Live {
    promise: Promise,
    problem: Problem,
    layout: Layout,
    hall: Hall,
    workers: Numbers,
    vacancies: Numbers,
    /// Workers and vacancies that the layout was made for, and what has come or gone since.
    early: usize,
    late: usize,
}

/// Numbers of the problem by row of the market.
#[derive(Default)]
struct Numbers(Vec<u32>);

impl Numbers {
    const NONE: u32 = u32::MAX;

    fn get(&self, slot: usize) -> Option<u32> {
        self.0.get(slot).copied().filter(|number| *number != Self::NONE)
    }

    fn set(&mut self, slot: usize, number: u32) {
        if slot >= self.0.len() {
            self.0.resize(slot + 1, Self::NONE);
        }
        self.0[slot] = number;
    }

    fn take(&mut self, slot: usize) -> Option<u32> {
        let number = self.get(slot)?;
        self.0[slot] = Self::NONE;
        Some(number)
    }
}

/// Changes that may come before a layout of any size is made anew.
const LATE_MIN: usize = 4_096;

impl Live {
    /// Goes on from a stable matching of a problem; worker-optimal, if that is promised.
    ///
    /// # Panics
    /// If there are caps by `TARGETS`, or caps and more is promised than a stable matching.
    pub fn of(problem: Problem, matching: &Matching, promise: Promise) -> Self {
        let capped = !problem.sets.is_empty();
        assert!(!capped || !problem.by_targets(), "no rule keeps TARGETS stable");
        assert!(!capped || promise == Promise::Stable, "inside caps nothing more is proved");
        let layout = Layout::of(&problem, Means::all());
        let index = Index::on(&problem, &layout);
        let hall = Hall::of(&index, matching);
        let (mut workers, mut vacancies) = (Numbers::default(), Numbers::default());
        for (w, seeker) in (0..).zip(&problem.workers) {
            workers.set(seeker.slot.at(), w);
        }
        for (v, post) in (0..).zip(&problem.vacancies) {
            vacancies.set(post.slot.at(), v);
        }
        let early = problem.workers.len() + problem.vacancies.len();
        Self { promise, problem, layout, hall, workers, vacancies, early, late: 0 }
    }

    /// Clears a problem, the side proposing that its settings say, and goes on from there.
    ///
    /// # Errors
    /// If `control` says so.
    pub fn clear(problem: Problem, promise: Promise, control: &Control) -> Result<Self, Error> {
        let cleared = super::clear(&problem, problem.settings.proposing_side, control)?;
        Ok(Self::of(problem, &cleared.matching, promise))
    }

    /// Who holds what, ascending by worker.
    pub fn held_by_all(&self) -> Vec<(WorkerSlot, Option<VacancySlot>)> {
        let slots = (0..).zip(&self.workers.0).filter(|(_, w)| **w != Numbers::NONE);
        slots.map(|(slot, w)| (WorkerSlot(slot), self.held(*w))).collect()
    }

    /// What is promised of the matching.
    pub fn promise(&self) -> Promise {
        self.promise
    }

    /// Takes in changes, one after the other; placements that follow each other, of the
    /// matching as it stands, all at once.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Settled {
        let rotations = self.hall.rotations;
        let mut left = Vec::new();
        for change in changes {
            if let Change::Placed(slot) = change {
                left.extend(self.placed(slot));
                if !active("placements-one-by-one") {
                    continue;
                }
            }
            self.repair(std::mem::take(&mut left));
            match change {
                Change::Worker(seeker) => self.worker_comes(seeker),
                Change::WorkerLeft(slot) => self.worker_leaves(slot),
                Change::Vacancy(post) => self.vacancy_comes(post),
                Change::VacancyLeft(slot) => self.vacancy_leaves(slot),
                Change::Placed(_) => {}
                Change::Capacity(set, capacity) => self.capacity_changes(set, capacity),
            }
            self.lay_out_if_late();
        }
        self.repair(left);
        self.lay_out_if_late();
        let mut touched = std::mem::take(&mut self.hall.touched);
        touched.sort_unstable();
        touched.dedup();
        let held = touched.into_iter();
        let held = held.filter_map(|slot| Some((slot, self.held(self.workers.get(slot.at())?))));
        Settled { held: held.collect(), rotations: self.hall.rotations - rotations }
    }

    /// Looks for the best desirer of every vacancy, so that rotations are found quickly
    /// from now on. Takes long.
    pub fn warm(&mut self, threads: usize) {
        self.hall.warm(&Index::on(&self.problem, &self.layout), threads);
    }

    /// What it has cost so far.
    pub fn counters(&self) -> Counters {
        self.hall.counters()
    }

    /// The market as it stands, and the matching, by the numbers of that.
    pub fn standing(&self) -> (Problem, Matching) {
        let is_here = |w: &u32| self.is_here(*w);
        let here: Vec<u32> = (0..self.problem.workers.len() as u32).filter(is_here).collect();
        let mut number = vec![u32::MAX; self.problem.vacancies.len()];
        let mut vacancies = Vec::new();
        for (v, post) in self.problem.vacancies.iter().enumerate() {
            if self.vacancies.get(post.slot.at()) == Some(v as u32) {
                number[v] = vacancies.len() as u32;
                vacancies.push(post.clone());
            }
        }
        let held = |w: &u32| self.vacancy_of(*w).map(|v| number[v as usize]);
        let matching = Matching { vacancy_of: here.iter().map(held).collect() };
        let workers = here.iter().map(|w| self.problem.workers[*w as usize].clone()).collect();
        let Problem { settings, geography, lottery, .. } = &self.problem;
        let problem = Problem {
            settings: settings.clone(),
            geography: geography.clone(),
            lottery: *lottery,
            workers,
            vacancies,
            sets: self.problem.sets.clone(),
            set_of_city: self.problem.set_of_city.clone(),
        };
        (problem, matching)
    }

    fn is_here(&self, w: u32) -> bool {
        self.workers.get(self.problem.workers[w as usize].slot.at()) == Some(w)
    }

    fn vacancy_of(&self, w: u32) -> Option<u32> {
        let place = self.hall.seats.place_of(w)?;
        Some(self.layout.places[place as usize].number)
    }

    fn held(&self, w: u32) -> Option<VacancySlot> {
        Some(self.problem.vacancies[self.vacancy_of(w)? as usize].slot)
    }

    fn worker_comes(&mut self, seeker: Seeker) {
        let slot = seeker.slot;
        if let Some(w) = self.workers.get(slot.at()) {
            let old = &mut self.problem.workers[w as usize];
            if are_alike(&old.worker, &seeker.worker) && old.declined == seeker.declined {
                old.worker = seeker.worker;
                return;
            }
            let ranks = old.worker.ranking.is_some() || seeker.worker.ranking.is_some();
            if self.promise == Promise::Stable && !self.is_capped() && !ranks {
                return self.worker_changes(w, seeker);
            }
            self.worker_leaves(slot);
        }
        self.late += 1;
        let w = self.problem.workers.len() as u32;
        self.problem.workers.push(seeker);
        self.workers.set(slot.at(), w);
        let drawn = self.layout.add_worker(&self.problem);
        self.hall.add_worker(&Index::on(&self.problem, &self.layout));
        if !drawn {
            self.lay_out_anew();
        }
        let w = self.workers.get(slot.at()).unwrap_or(w);
        self.hall.touched.push(slot);
        self.hall.propose(&Index::on(&self.problem, &self.layout), w);
    }

    /// A worker is not who she was. She keeps her place if it still has nobody better and she
    /// nothing better; else she leaves first, then comes. Without caps, and where no hints
    /// are kept: these go by what she was.
    fn worker_changes(&mut self, w: u32, seeker: Seeker) {
        self.hall.touched.push(seeker.slot);
        let index = Index::on(&self.problem, &self.layout);
        let held = self.hall.seats.place_of(w).map(|place| (place, self.hall.seats.cutoff(place)));
        self.hall.remove_worker(&index, w);
        let now = seeker.worker.clone();
        let mut filed = std::mem::replace(&mut self.problem.workers[w as usize], seeker).worker;
        let index = Index::on(&self.problem, &self.layout);
        if let Some((place, cutoff)) = held {
            let pair = self.problem.pair(w as usize, index.places[place as usize].number as usize);
            let key = Key::new(pair.score, index.ranks.worker(w));
            if pair.is_acceptable() && self.hall.prefers_nobody(&index, place, key, cutoff) {
                self.late += usize::from(self.hall.restore_worker(&index, w, &filed));
                if self.hall.returns(&index, w, Offer { place, value: pair.value, key }) {
                    return;
                }
                filed = now;
            }
            self.hall.fill(&index, place, &mut Vec::new());
        }
        self.late += usize::from(self.hall.restore_worker(&index, w, &filed));
        self.hall.propose(&index, w);
    }

    fn worker_leaves(&mut self, slot: WorkerSlot) {
        let Some(w) = self.workers.take(slot.at()) else { return };
        self.late += 1;
        let index = Index::on(&self.problem, &self.layout);
        if self.is_capped() {
            return self.hall.remove_worker_in_caps(&index, w);
        }
        let (left, worth) = self.hall.remove_worker(&index, w);
        let mut moved = vec![(w, worth)];
        if let Some(place) = left {
            self.hall.fill(&index, place, &mut moved);
        }
        self.repair(moved);
    }

    fn vacancy_comes(&mut self, post: Post) {
        let slot = post.slot;
        if let Some(v) = self.vacancies.get(slot.at()) {
            let old = &mut self.problem.vacancies[v as usize];
            if are_equivalent(&old.vacancy, &post.vacancy) {
                *old = post;
                return self.refit(v);
            }
            self.vacancy_leaves(slot);
        }
        self.late += 1;
        let v = self.problem.vacancies.len() as u32;
        self.problem.vacancies.push(post);
        self.vacancies.set(slot.at(), v);
        if self.layout.add_vacancy(&self.problem) {
            self.hall.add_place(&Index::on(&self.problem, &self.layout));
        } else {
            self.lay_out_anew();
        }
        let v = self.vacancies.get(slot.at()).unwrap_or(v);
        let index = Index::on(&self.problem, &self.layout);
        // Before it, there was none of it.
        self.hall.seats.set_openings(&index, index.place_of[v as usize], 0);
        self.refit(v);
    }

    fn vacancy_leaves(&mut self, slot: VacancySlot) {
        let Some(v) = self.vacancies.take(slot.at()) else { return };
        self.late += 1;
        self.problem.vacancies[v as usize].openings = 0;
        self.refit(v);
    }

    /// The vacancy has as many openings as the problem says: it hires, or its worst leave.
    fn refit(&mut self, v: u32) {
        let index = Index::on(&self.problem, &self.layout);
        let place = index.place_of[v as usize];
        if self.is_capped() {
            let openings = index.post(place).openings;
            return self.hall.refit_in_caps(&index, place, openings);
        }
        self.hall.shrink(&index, place);
        let mut moved = Vec::new();
        self.hall.fill(&index, place, &mut moved);
        self.repair(moved);
    }

    /// Takes the worker out with her place; what she held, from which others may move up.
    fn placed(&mut self, slot: WorkerSlot) -> Option<rotations::Moved> {
        let w = self.workers.take(slot.at())?;
        self.late += 1;
        if let Some(v) = self.vacancy_of(w) {
            self.problem.vacancies[v as usize].openings -= 1;
        }
        let index = Index::on(&self.problem, &self.layout);
        let (left, worth) = self.hall.remove_worker(&index, w);
        if let Some(place) = left {
            let openings = index.post(place).openings;
            for set in self.hall.shrink_around(&index, place, openings) {
                self.problem.sets[set as usize].capacity = self.hall.seats.capacity(set);
            }
        }
        Some((w, worth))
    }

    fn capacity_changes(&mut self, set: u32, capacity: u64) {
        self.problem.sets[set as usize].capacity = capacity;
        self.hall.resize_set(&Index::on(&self.problem, &self.layout), set, capacity);
    }

    fn is_capped(&self) -> bool {
        !self.problem.sets.is_empty()
    }

    /// Eliminates what rotations there may be since workers have moved up from what they
    /// held, or are gone.
    fn repair(&mut self, moved: Vec<rotations::Moved>) {
        if self.promise == Promise::WorkerOptimal {
            self.hall.repair(&Index::on(&self.problem, &self.layout), moved);
        }
    }

    fn lay_out_if_late(&mut self) {
        if self.late > LATE_MIN + self.early / 4 {
            self.lay_out_anew();
        }
    }

    /// Forgets what is gone, and gives everything its place as if it had been there from
    /// the start. Done by itself after enough changes.
    pub fn lay_out_anew(&mut self) {
        let (problem, matching) = self.standing();
        let hints = self.hall.hints_by_slot(&Index::on(&self.problem, &self.layout));
        let touched = std::mem::take(&mut self.hall.touched);
        let (rotations, counters) = (self.hall.rotations, self.counters());
        *self = Self::of(problem, &matching, self.promise);
        self.hall.take_hints(&Index::on(&self.problem, &self.layout), &hints, |slot| {
            self.workers.get(slot.at())
        });
        self.hall.touched = touched;
        self.hall.rotations = rotations;
        self.hall.counters = counters;
    }
}

/// Whether two records of a worker want the same and are wanted alike.
fn are_alike(a: &Worker, b: &Worker) -> bool {
    let terms = |worker: &Worker| {
        (worker.home, worker.cost_percent, worker.expected_salary, worker.reservation_salary)
    };
    terms(a) == terms(b)
        && a.skills == b.skills
        && a.mobility == b.mobility
        && a.ranking == b.ranking
}

/// Whether two records of a vacancy want the same and are wanted alike, however many
/// openings they have.
fn are_equivalent(a: &Vacancy, b: &Vacancy) -> bool {
    let terms = |vacancy: &Vacancy| (vacancy.city, vacancy.salary, vacancy.min_fit_bp);
    terms(a) == terms(b) && a.requirements == b.requirements && a.ranking == b.ranking
}

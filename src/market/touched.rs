//! Which published rows a command has put out of date, and what they are then.

use super::pools::{Pools, VacancyNews, WorkerNews};
use crate::domain::{CityIx, VacancySlot, WorkerSlot};
use crate::state::{CityCounts, Effect, View};

/// Rows from which on they are not copied out one by one.
const MANY: usize = 256;

/// Rows whose published copies are out of date.
#[derive(Default)]
pub(super) struct Touched {
    workers: Vec<WorkerSlot>,
    vacancies: Vec<VacancySlot>,
    cities: Vec<CityIx>,
}

impl Touched {
    /// Notes the rows of an effect. Called before and after it is applied, because a
    /// record that moves changes the counts of both its cities.
    pub fn note(&mut self, effect: &Effect, view: &View) {
        match effect {
            Effect::WorkerPut { slot, .. } | Effect::WorkerLeft { slot, .. } => {
                self.worker(*slot, view)
            }
            Effect::VacancyPut { slot, .. } | Effect::VacancyLeft { slot, .. } => {
                self.vacancy(*slot, view)
            }
            Effect::Unmatched { worker, vacancy, .. } | Effect::Placed { worker, vacancy } => {
                self.worker(*worker, view);
                self.vacancy(*vacancy, view);
            }
            Effect::Confirmed { worker, .. } => self.worker(*worker, view),
            Effect::CityPut { ix, .. } => self.cities.push(*ix),
            _ => {}
        }
    }

    fn worker(&mut self, slot: WorkerSlot, view: &View) {
        self.workers.push(slot);
        if slot.at() < view.workers.len() {
            self.cities.push(view.worker(slot).worker.home);
        }
    }

    fn vacancy(&mut self, slot: VacancySlot, view: &View) {
        self.vacancies.push(slot);
        if slot.at() < view.vacancies.len() {
            self.cities.push(view.vacancy(slot).vacancy.city);
        }
    }

    /// Notes the rows of matches: one by one, or in a pass if they are many.
    pub fn matches(
        &mut self,
        count: usize,
        pairs: impl Iterator<Item = (WorkerSlot, VacancySlot)>,
        view: &View,
    ) {
        if count <= MANY {
            return pairs.for_each(|(worker, vacancy)| {
                self.worker(worker, view);
                self.vacancy(vacancy, view);
            });
        }
        self.cities.extend((0..view.counts.len()).map(CityIx::from_offset));
        let mut vacancies = vec![false; view.vacancies.len()];
        for (worker, vacancy) in pairs {
            self.workers.push(worker);
            vacancies[vacancy.at()] = true;
        }
        let touched = (0..).zip(vacancies).filter(|(_, touched)| *touched);
        self.vacancies.extend(touched.map(|(at, _)| VacancySlot(at)));
    }

    /// The rows of everything that there is.
    pub fn all(view: &View) -> Self {
        Self {
            workers: (0..view.workers.len()).map(WorkerSlot::from_offset).collect(),
            vacancies: (0..view.vacancies.len()).map(VacancySlot::from_offset).collect(),
            cities: (0..view.counts.len()).map(CityIx::from_offset).collect(),
        }
    }

    /// The rows as they are now, to be published later.
    pub fn rows(mut self, view: &View) -> Rows {
        self.settle();
        let counts = self.cities.iter().map(|city| (*city, *view.counts.get(city.at()))).collect();
        if self.workers.len() + self.vacancies.len() > MANY {
            return Rows { counts, records: Records::Many(self, Box::new(view.clone())) };
        }
        let workers = self.workers.iter().map(|slot| WorkerNews::of(view, *slot)).collect();
        let vacancies = self.vacancies.iter().map(|slot| VacancyNews::of(view, *slot)).collect();
        Rows { counts, records: Records::Few(workers, vacancies) }
    }

    /// Each row once.
    fn settle(&mut self) {
        // Stable, which is quick for lists that are ascending piece by piece.
        self.workers.sort();
        self.workers.dedup();
        self.vacancies.sort();
        self.vacancies.dedup();
        self.cities.sort_unstable();
        self.cities.dedup();
    }
}

/// Rows as they were after a command.
pub(super) struct Rows {
    counts: Vec<(CityIx, CityCounts)>,
    records: Records,
}

enum Records {
    Few(Vec<WorkerNews>, Vec<VacancyNews>),
    /// With the state that they stand in: copying them out would take longer than what a
    /// snapshot costs those who write meanwhile.
    Many(Touched, Box<View>),
}

impl Rows {
    /// Publishes them. The owner alone calls this.
    pub fn publish(self, pools: &Pools) {
        match self.records {
            // Workers refer to the vacancies that hold them.
            Records::Few(workers, vacancies) => {
                pools.put_vacancies(vacancies.into_iter());
                pools.put_workers(workers.into_iter());
            }
            Records::Many(touched, view) => {
                let news = |slot: &VacancySlot| VacancyNews::of(&view, *slot);
                pools.put_vacancies(touched.vacancies.iter().map(news));
                let news = |slot: &WorkerSlot| WorkerNews::of(&view, *slot);
                pools.put_workers(touched.workers.iter().map(news));
            }
        }
        self.counts.into_iter().for_each(|(city, counts)| pools.put_counts(city, counts));
    }
}

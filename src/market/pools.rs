//! The published pools: concurrent maps per city, written by the market's owner alone
//! and read by everybody without waiting for it.
//!
//! A record is complete in itself and carries its own revision. Two reads may see two
//! revisions: what must be consistent is read from a snapshot.

use crate::domain::{
    CityIx, Revision, Vacancy, VacancyId, VacancySlot, Worker, WorkerId, WorkerSlot,
};
use crate::state::{CityCounts, VacancyStatus, View, WorkerStatus};
use dashmap::DashMap;
use std::sync::Arc;

type Map<K, V> = DashMap<K, V, foldhash::fast::RandomState>;

/// A worker as published.
#[derive(Clone, Debug)]
pub struct PublishedWorker {
    /// The row, for reading snapshots.
    pub slot: WorkerSlot,
    /// The worker.
    pub worker: Arc<Worker>,
    /// Where the worker is in life.
    pub status: WorkerStatus,
    /// The vacancy that holds or has placed the worker.
    pub vacancy: Option<VacancyId>,
    /// When anything of this last changed.
    pub revision: Revision,
}

/// A vacancy as published.
#[derive(Clone, Debug)]
pub struct PublishedVacancy {
    /// The row, for reading snapshots.
    pub slot: VacancySlot,
    /// The vacancy.
    pub vacancy: Arc<Vacancy>,
    /// Where the vacancy is in life.
    pub status: VacancyStatus,
    /// Workers held.
    pub held: u32,
    /// Openings placed.
    pub placed: u32,
    /// When anything of this last changed.
    pub revision: Revision,
}

/// One city's pool.
#[derive(Debug, Default)]
struct CityPool {
    workers: Map<WorkerId, PublishedWorker>,
    vacancies: Map<VacancyId, PublishedVacancy>,
}

/// The pools of one market.
#[derive(Debug, Default)]
pub struct Pools {
    cities: Map<CityIx, Arc<CityPool>>,
    counts: Map<CityIx, CityCounts>,
    /// Which city's pool a worker is in: reads come by id alone.
    homes: Map<WorkerId, CityIx>,
    /// Which city's pool a vacancy is in.
    places: Map<VacancyId, CityIx>,
}

impl Pools {
    /// The worker as last published.
    pub fn worker(&self, id: WorkerId) -> Option<PublishedWorker> {
        // A worker who moves between two look-ups is found on the second try.
        (0..2).find_map(|_| {
            let home = *self.homes.get(&id)?;
            let pool = self.cities.get(&home)?.clone();
            pool.workers.get(&id).map(|entry| entry.clone())
        })
    }

    /// The vacancy as last published.
    pub fn vacancy(&self, id: VacancyId) -> Option<PublishedVacancy> {
        (0..2).find_map(|_| {
            let place = *self.places.get(&id)?;
            let pool = self.cities.get(&place)?.clone();
            pool.vacancies.get(&id).map(|entry| entry.clone())
        })
    }

    /// The city's counts as last published.
    pub fn counts(&self, city: CityIx) -> CityCounts {
        self.counts.get(&city).map(|counts| *counts).unwrap_or_default()
    }

    fn pool(&self, city: CityIx) -> Arc<CityPool> {
        self.cities.entry(city).or_default().clone()
    }

    /// Publishes a worker's row. The owner alone calls this.
    pub(super) fn put_worker(&self, view: &View, slot: WorkerSlot) {
        let row = view.worker(slot);
        let (id, home) = (row.worker.id, row.worker.home);
        let published = PublishedWorker {
            slot,
            worker: row.worker.clone(),
            status: row.status,
            vacancy: row.held.map(|held| view.vacancy(held.vacancy).vacancy.id),
            revision: row.revision,
        };
        self.pool(home).workers.insert(id, published);
        if let Some(before) = self.homes.insert(id, home)
            && before != home
        {
            self.pool(before).workers.remove(&id);
        }
    }

    /// Publishes a vacancy's row. The owner alone calls this.
    pub(super) fn put_vacancy(&self, view: &View, slot: VacancySlot) {
        let row = view.vacancy(slot);
        let (id, city) = (row.vacancy.id, row.vacancy.city);
        let published = PublishedVacancy {
            slot,
            vacancy: row.vacancy.clone(),
            status: row.status,
            held: row.held.len() as u32,
            placed: row.placed,
            revision: row.revision,
        };
        self.pool(city).vacancies.insert(id, published);
        if let Some(before) = self.places.insert(id, city)
            && before != city
        {
            self.pool(before).vacancies.remove(&id);
        }
    }

    /// Publishes a city's counts. The owner alone calls this.
    pub(super) fn put_counts(&self, view: &View, city: CityIx) {
        self.counts.insert(city, *view.counts.get(city.at()));
    }
}

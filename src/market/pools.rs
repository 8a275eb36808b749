//! The published pools, written by the market's owner alone and read by everybody
//! without waiting for it.
//!
//! An id leads to a slot through a concurrent map, and a slot to its row in a chunk
//! with a lock of its own, held for as long as one row is copied out. A record is
//! complete in itself and carries its own revision. Two reads may see two revisions:
//! what must be consistent is read from a snapshot. Counts stand by city.

use crate::domain::{
    CityIx, Revision, Vacancy, VacancyId, VacancySlot, Worker, WorkerId, WorkerSlot,
};
use crate::state::{CHUNK_ROWS, CityCounts, VacancyStatus, View, WorkerStatus};
use dashmap::DashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

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

/// What is kept of a worker.
#[derive(Clone, Debug)]
struct WorkerEntry {
    worker: Arc<Worker>,
    revision: Revision,
    vacancy: Option<VacancySlot>,
    status: WorkerStatus,
}

/// What is kept of a vacancy.
#[derive(Clone, Debug)]
struct VacancyEntry {
    vacancy: Arc<Vacancy>,
    revision: Revision,
    held: u32,
    placed: u32,
    status: VacancyStatus,
}

/// The pools of one market.
#[derive(Debug, Default)]
pub struct Pools {
    workers: Pool<WorkerId, WorkerSlot, WorkerEntry>,
    vacancies: Pool<VacancyId, VacancySlot, VacancyEntry>,
    counts: Map<CityIx, CityCounts>,
}

impl Pools {
    /// The worker as last published.
    pub fn worker(&self, id: WorkerId) -> Option<PublishedWorker> {
        let slot = self.worker_slot(id)?;
        let WorkerEntry { worker, revision, vacancy, status } = self.workers.rows.get(slot.at())?;
        let vacancy = vacancy.and_then(|slot| self.vacancies.rows.get(slot.at()));
        let vacancy = vacancy.map(|entry| entry.vacancy.id);
        Some(PublishedWorker { slot, worker, status, vacancy, revision })
    }

    /// The worker's row, if the id is known.
    pub fn worker_slot(&self, id: WorkerId) -> Option<WorkerSlot> {
        self.workers.slots.get(&id).map(|slot| *slot)
    }

    /// The vacancy as last published.
    pub fn vacancy(&self, id: VacancyId) -> Option<PublishedVacancy> {
        let slot = self.vacancy_slot(id)?;
        let VacancyEntry { vacancy, revision, held, placed, status } =
            self.vacancies.rows.get(slot.at())?;
        Some(PublishedVacancy { slot, vacancy, status, held, placed, revision })
    }

    /// The vacancy's row, if the id is known.
    pub fn vacancy_slot(&self, id: VacancyId) -> Option<VacancySlot> {
        self.vacancies.slots.get(&id).map(|slot| *slot)
    }

    /// The city's counts as last published.
    pub fn counts(&self, city: CityIx) -> CityCounts {
        self.counts.get(&city).map(|counts| *counts).unwrap_or_default()
    }

    /// Publishes workers' rows, which come ascending. The owner alone calls this.
    pub(super) fn put_workers(&self, view: &View, slots: &[WorkerSlot]) {
        let entries = slots.iter().map(|slot| {
            let row = view.worker(*slot);
            let entry = WorkerEntry {
                worker: row.worker.clone(),
                revision: row.revision,
                vacancy: row.held.map(|held| held.vacancy),
                status: row.status,
            };
            (slot.at(), entry)
        });
        let known = self.workers.rows.put(entries);
        for slot in slots.iter().filter(|slot| slot.at() >= known) {
            self.workers.slots.insert(view.worker(*slot).worker.id, *slot);
        }
    }

    /// Publishes vacancies' rows, which come ascending. The owner alone calls this.
    pub(super) fn put_vacancies(&self, view: &View, slots: &[VacancySlot]) {
        let entries = slots.iter().map(|slot| {
            let row = view.vacancy(*slot);
            let entry = VacancyEntry {
                vacancy: row.vacancy.clone(),
                revision: row.revision,
                held: row.held.len() as u32,
                placed: row.placed,
                status: row.status,
            };
            (slot.at(), entry)
        });
        let known = self.vacancies.rows.put(entries);
        for slot in slots.iter().filter(|slot| slot.at() >= known) {
            self.vacancies.slots.insert(view.vacancy(*slot).vacancy.id, *slot);
        }
    }

    /// Publishes a city's counts. The owner alone calls this.
    pub(super) fn put_counts(&self, view: &View, city: CityIx) {
        self.counts.insert(city, *view.counts.get(city.at()));
    }
}

/// Rows of one kind and the way to them.
#[derive(Debug)]
struct Pool<Id: Eq + Hash, Slot, Row> {
    /// An id keeps its slot: rows come in before it, and never leave.
    slots: Map<Id, Slot>,
    rows: Rows<Row>,
}

impl<Id: Eq + Hash, Slot, Row> Default for Pool<Id, Slot, Row> {
    fn default() -> Self {
        Self { slots: Map::default(), rows: Rows::default() }
    }
}

/// Rows by slot, each chunk with its lock.
#[derive(Debug)]
struct Rows<T> {
    /// Held to find a chunk, and by the owner to add one; never across an await.
    chunks: RwLock<Vec<Chunk<T>>>,
}

/// Held to copy one row out or to write some, never across an await.
type Chunk<T> = Arc<RwLock<Vec<T>>>;

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { chunks: RwLock::default() }
    }
}

impl<T: Clone> Rows<T> {
    fn chunk(&self, number: usize) -> Option<Chunk<T>> {
        self.chunks.read().unwrap_or_else(PoisonError::into_inner).get(number).cloned()
    }

    /// The row at `at`.
    fn get(&self, at: usize) -> Option<T> {
        let chunk = self.chunk(at / CHUNK_ROWS)?;
        let rows = chunk.read().unwrap_or_else(PoisonError::into_inner);
        rows.get(at % CHUNK_ROWS).cloned()
    }

    /// How many rows there are.
    fn len(&self) -> usize {
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = chunks.last() else { return 0 };
        let rows = last.read().unwrap_or_else(PoisonError::into_inner);
        (chunks.len() - 1) * CHUNK_ROWS + rows.len()
    }

    /// Writes rows, ascending; those after the last one add to them without a gap.
    /// Says how many there were before.
    fn put(&self, rows: impl Iterator<Item = (usize, T)>) -> usize {
        let before = self.len();
        let mut rows = rows.peekable();
        while let Some((first, _)) = rows.peek() {
            let number = first / CHUNK_ROWS;
            let chunk = self.chunk(number).unwrap_or_else(|| self.add_chunk());
            let mut chunk = chunk.write().unwrap_or_else(PoisonError::into_inner);
            while let Some((at, row)) = rows.next_if(|(at, _)| at / CHUNK_ROWS == number) {
                match chunk.get_mut(at % CHUNK_ROWS) {
                    Some(old) => *old = row,
                    None => chunk.push(row),
                }
            }
        }
        before
    }

    fn add_chunk(&self) -> Chunk<T> {
        let chunk = Chunk::new(RwLock::new(Vec::with_capacity(CHUNK_ROWS)));
        self.chunks.write().unwrap_or_else(PoisonError::into_inner).push(chunk.clone());
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: rows are found where they were put, new ones and old ones in one go, and
    /// nothing is found beyond the last.
    #[test]
    fn rows_are_written_across_chunks() {
        let rows = Rows::default();
        let many = 2 * CHUNK_ROWS + 10;
        assert_eq!(rows.put((0..many).map(|at| (at, at))), 0);
        let changed = [3, CHUNK_ROWS, many - 1, many, many + 1];
        assert_eq!(rows.put(changed.into_iter().map(|at| (at, at * 10))), many);
        assert_eq!(rows.len(), many + 2);
        assert_eq!(rows.get(CHUNK_ROWS - 1), Some(CHUNK_ROWS - 1));
        assert_eq!(rows.get(CHUNK_ROWS), Some(10 * CHUNK_ROWS));
        assert_eq!(rows.get(many + 1), Some(10 * (many + 1)));
        assert_eq!(rows.get(many + 2), None);
    }
}

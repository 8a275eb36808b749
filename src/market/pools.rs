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

/// What is kept of a worker or vacancy.
#[derive(Clone, Debug)]
struct Row<Record, Standing> {
    record: Arc<Record>,
    standing: Standing,
}

/// What a worker's record does not say.
#[derive(Clone, Copy, Debug)]
struct WorkerStanding {
    revision: Revision,
    vacancy: Option<VacancySlot>,
    status: WorkerStatus,
}

/// What a vacancy's record does not say.
#[derive(Clone, Copy, Debug)]
struct VacancyStanding {
    revision: Revision,
    held: u32,
    placed: u32,
    status: VacancyStatus,
}

/// The pools of one market.
#[derive(Debug, Default)]
pub struct Pools {
    workers: Pool<WorkerId, WorkerSlot, Worker, WorkerStanding>,
    vacancies: Pool<VacancyId, VacancySlot, Vacancy, VacancyStanding>,
    counts: Map<CityIx, CityCounts>,
}

impl Pools {
    /// The worker as last published.
    pub fn worker(&self, id: WorkerId) -> Option<PublishedWorker> {
        let slot = self.worker_slot(id)?;
        let Row { record, standing } = self.workers.rows.get(slot.at())?;
        let WorkerStanding { revision, vacancy, status } = standing;
        let vacancy = vacancy.and_then(|slot| self.vacancies.rows.get(slot.at()));
        let vacancy = vacancy.map(|row| row.record.id);
        Some(PublishedWorker { slot, worker: record, status, vacancy, revision })
    }

    /// The worker's row, if the id is known.
    pub fn worker_slot(&self, id: WorkerId) -> Option<WorkerSlot> {
        self.workers.slots.get(&id).map(|slot| *slot)
    }

    /// The vacancy as last published.
    pub fn vacancy(&self, id: VacancyId) -> Option<PublishedVacancy> {
        let slot = self.vacancy_slot(id)?;
        let Row { record, standing } = self.vacancies.rows.get(slot.at())?;
        let VacancyStanding { revision, held, placed, status } = standing;
        Some(PublishedVacancy { slot, vacancy: record, status, held, placed, revision })
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
    pub(super) fn put_workers(&self, news: impl Iterator<Item = WorkerNews>) {
        self.workers.put(news.map(|WorkerNews { slot, record, standing }| {
            (slot.at(), slot, record.id, record, standing)
        }));
    }

    /// Publishes vacancies' rows, which come ascending. The owner alone calls this.
    pub(super) fn put_vacancies(&self, news: impl Iterator<Item = VacancyNews>) {
        self.vacancies.put(news.map(|VacancyNews { slot, record, standing }| {
            (slot.at(), slot, record.id, record, standing)
        }));
    }

    /// Publishes a city's counts. The owner alone calls this.
    pub(super) fn put_counts(&self, city: CityIx, counts: CityCounts) {
        self.counts.insert(city, counts);
    }
}

/// A worker's row, to be published.
pub(super) struct WorkerNews {
    slot: WorkerSlot,
    record: Arc<Worker>,
    standing: WorkerStanding,
}

impl WorkerNews {
    /// The row as it is in a view.
    pub fn of(view: &View, slot: WorkerSlot) -> Self {
        let row = view.worker(slot);
        let vacancy = row.held.map(|held| held.vacancy);
        let standing = WorkerStanding { revision: row.revision, vacancy, status: row.status };
        Self { slot, record: row.worker.clone(), standing }
    }
}

/// A vacancy's row, to be published.
pub(super) struct VacancyNews {
    slot: VacancySlot,
    record: Arc<Vacancy>,
    standing: VacancyStanding,
}

impl VacancyNews {
    /// The row as it is in a view.
    pub fn of(view: &View, slot: VacancySlot) -> Self {
        let row = view.vacancy(slot);
        let standing = VacancyStanding {
            revision: row.revision,
            held: row.held.len() as u32,
            placed: row.placed,
            status: row.status,
        };
        Self { slot, record: row.vacancy.clone(), standing }
    }
}

/// Rows of one kind and the way to them.
#[derive(Debug)]
struct Pool<Id: Eq + Hash, Slot, Record, Standing> {
    /// An id keeps its slot: rows come in before it, and never leave.
    slots: Map<Id, Slot>,
    rows: Rows<Record, Standing>,
}

impl<Id: Eq + Hash, Slot: Copy, Record, Standing: Copy> Pool<Id, Slot, Record, Standing> {
    /// Writes rows, ascending by place; those after the last one add to them without a gap,
    /// and then their ids are known.
    fn put(&self, news: impl Iterator<Item = (usize, Slot, Id, Arc<Record>, Standing)>) {
        let known = self.rows.len();
        let mut added = Vec::new();
        self.rows.put(news.map(|(at, slot, id, record, standing)| {
            if at >= known {
                added.push((id, slot));
            }
            (at, record, standing)
        }));
        for (id, slot) in added {
            self.slots.insert(id, slot);
        }
    }
}

impl<Id: Eq + Hash, Slot, Record, Standing> Default for Pool<Id, Slot, Record, Standing> {
    fn default() -> Self {
        Self { slots: Map::default(), rows: Rows::default() }
    }
}

/// Rows by slot, each chunk with its lock.
#[derive(Debug)]
struct Rows<Record, Standing> {
    /// Held to find a chunk, and by the owner to add one; never across an await.
    chunks: RwLock<Vec<Chunk<Record, Standing>>>,
}

/// Held to copy one row out or to write some, never across an await.
type Chunk<Record, Standing> = Arc<RwLock<Vec<Row<Record, Standing>>>>;

impl<Record, Standing> Default for Rows<Record, Standing> {
    fn default() -> Self {
        Self { chunks: RwLock::default() }
    }
}

impl<Record, Standing: Copy> Rows<Record, Standing> {
    fn chunk(&self, number: usize) -> Option<Chunk<Record, Standing>> {
        self.chunks.read().unwrap_or_else(PoisonError::into_inner).get(number).cloned()
    }

    /// The row at `at`.
    fn get(&self, at: usize) -> Option<Row<Record, Standing>> {
        let chunk = self.chunk(at / CHUNK_ROWS)?;
        let rows = chunk.read().unwrap_or_else(PoisonError::into_inner);
        let Row { record, standing } = rows.get(at % CHUNK_ROWS)?;
        Some(Row { record: record.clone(), standing: *standing })
    }

    /// How many rows there are.
    fn len(&self) -> usize {
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = chunks.last() else { return 0 };
        let rows = last.read().unwrap_or_else(PoisonError::into_inner);
        (chunks.len() - 1) * CHUNK_ROWS + rows.len()
    }

    /// Writes rows, ascending; those after the last one add to them without a gap. A record
    /// that is there already is not touched: after a round only standings have changed, of
    /// every second worker.
    fn put(&self, rows: impl Iterator<Item = (usize, Arc<Record>, Standing)>) {
        let mut rows = rows.peekable();
        while let Some((first, ..)) = rows.peek() {
            let number = first / CHUNK_ROWS;
            let chunk = self.chunk(number).unwrap_or_else(|| self.add_chunk());
            let mut chunk = chunk.write().unwrap_or_else(PoisonError::into_inner);
            while let Some((at, record, standing)) =
                rows.next_if(|(at, ..)| at / CHUNK_ROWS == number)
            {
                match chunk.get_mut(at % CHUNK_ROWS) {
                    Some(row) if Arc::ptr_eq(&row.record, &record) => row.standing = standing,
                    Some(row) => *row = Row { record, standing },
                    None => chunk.push(Row { record, standing }),
                }
            }
        }
    }

    fn add_chunk(&self) -> Chunk<Record, Standing> {
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
        let record = Arc::new(());
        let many = 2 * CHUNK_ROWS + 10;
        rows.put((0..many).map(|at| (at, record.clone(), at)));
        assert_eq!(rows.len(), many);
        let changed = [3, CHUNK_ROWS, many - 1, many, many + 1];
        rows.put(changed.into_iter().map(|at| (at, record.clone(), at * 10)));
        assert_eq!(rows.len(), many + 2);
        let standing = |at| rows.get(at).map(|row| row.standing);
        assert_eq!(standing(CHUNK_ROWS - 1), Some(CHUNK_ROWS - 1));
        assert_eq!(standing(CHUNK_ROWS), Some(10 * CHUNK_ROWS));
        assert_eq!(standing(many + 1), Some(10 * (many + 1)));
        assert_eq!(standing(many + 2), None);
    }
}

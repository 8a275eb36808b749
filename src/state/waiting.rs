//! Held matches in the order in which they were made, for a market that does something
//! about those that are held for long. Time goes in the same order, and every match waits
//! equally long: what is due stands in front.

use super::view::{Held, View, WorkerStatus};
use crate::domain::{Revision, WorkerSlot};
use std::collections::VecDeque;

/// Entries of matches that have ended are tolerated up to so many beyond those that hold.
const SLACK: usize = 4_096;

/// Workers by the revision at which they were matched. An entry is of a match that has
/// ended unless the worker holds one of that very revision.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<(WorkerSlot, Revision)>);

impl Waiting {
    /// All matches that are held.
    pub fn of(view: &View) -> Self {
        let rows = (0..).zip(view.workers.iter());
        let held = rows.filter(|(_, row)| row.status == WorkerStatus::Matched);
        let held = held.filter_map(|(slot, row)| Some((WorkerSlot(slot), row.held?.since)));
        let mut queue: Vec<_> = held.collect();
        queue.sort_by_key(|(_, since)| *since);
        Self(queue.into())
    }

    /// These workers are matched, at the newest revision.
    pub fn extend(&mut self, workers: impl Iterator<Item = WorkerSlot>, since: Revision) {
        self.0.extend(workers.map(|worker| (worker, since)));
    }

    /// Forgets matches that have ended: all in front, and the rest once they are many.
    pub fn tidy(&mut self, view: &View) {
        while self.0.front().is_some_and(|entry| held(view, *entry).is_none()) {
            self.0.pop_front();
        }
        if self.0.len() > SLACK + 2 * view.head.totals.matched as usize {
            self.0.retain(|entry| held(view, *entry).is_some());
        }
    }

    /// The matches that are held, those of longest standing first. One that was made, lost
    /// and made again in one revision may stand twice.
    pub fn iter<'a>(&'a self, view: &'a View) -> impl Iterator<Item = (WorkerSlot, Held)> + 'a {
        self.0.iter().filter_map(|entry| Some((entry.0, held(view, *entry)?)))
    }
}

/// The match of an entry, if it still holds.
fn held(view: &View, (worker, since): (WorkerSlot, Revision)) -> Option<Held> {
    let row = view.worker(worker);
    row.held.filter(|held| row.status == WorkerStatus::Matched && held.since == since)
}

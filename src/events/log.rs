//! The retained history of one market: a queue of revisions, bounded in bytes and
//! age. One writer appends; any number of cursors read. Where a journal keeps the
//! market, what has left the queue is recalled from there.

use super::Event;
use crate::domain::limits::{HISTORY_BYTES_MAX, HISTORY_SECONDS_MAX};
use crate::domain::{Millis, Revision};
use crate::mutants::active;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// What a batch takes beside itself and its events, roughly: two allocations, reference
/// counts, a place in the queue. A history of single writes is half made of it.
const BATCH_OVERHEAD: usize = 64;
/// Batches that a writer frees itself.
const DISCARDED_AT_ONCE_MAX: usize = 256;

/// A place in the total order of events: the event `index` of `revision`, or the
/// place after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The revision.
    pub revision: Revision,
    /// The number of the event in it, from 0.
    pub index: u32,
}

impl Position {
    /// The first event of `revision`.
    pub fn start_of(revision: Revision) -> Self {
        Self { revision, index: 0 }
    }
}

/// The events of one revision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// The revision.
    pub revision: Revision,
    /// When, on the market's clock.
    pub at: Millis,
    /// What happened, in order; never empty.
    pub events: Box<[Event]>,
}

impl Batch {
    /// The position of the event `index`, or the one after the revision if that is how many
    /// there are; `None` if there are not so many.
    pub fn resolve(&self, index: u32) -> Option<Position> {
        match self.events.len().cmp(&(index as usize)) {
            std::cmp::Ordering::Greater => Some(Position { revision: self.revision, index }),
            std::cmp::Ordering::Equal => Some(Position::start_of(self.revision.next())),
            std::cmp::Ordering::Less => None,
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + BATCH_OVERHEAD + self.events.iter().map(Event::bytes).sum::<usize>()
    }
}

/// How much history is kept; whichever bound is reached first trims the oldest.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Bytes.
    pub bytes: usize,
    /// Age.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { bytes: HISTORY_BYTES_MAX, age: Duration::from_secs(HISTORY_SECONDS_MAX) }
    }
}

/// Why a position cannot be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It lies before the retained history, which starts here.
    Trimmed(Position),
    /// It lies after the newest event; this is the place after that.
    Future(Position),
    /// It is kept, but not here: recall it from the journal.
    Archived,
}

/// The retained history of one market.
#[derive(Debug)]
pub struct Log {
    retention: Retention,
    /// Held for the length of an append or of copying some pointers out, never
    /// across an await: one writer and many cursors meet here.
    history: RwLock<History>,
    /// The oldest revision that the journal has; beyond all if there is no journal.
    archived_from: AtomicU64,
}

/// A batch with its size, which is asked for again when it goes.
#[derive(Debug)]
struct Retained {
    batch: Arc<Batch>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct History {
    /// Contiguous revisions, oldest first.
    batches: VecDeque<Retained>,
    bytes: usize,
    newest: Revision,
}

impl History {
    fn oldest(&self) -> Position {
        let first = self.batches.front().map_or(self.newest.next(), |oldest| oldest.batch.revision);
        Position::start_of(first)
    }

    fn end(&self) -> Position {
        Position::start_of(self.newest.next())
    }

    /// The batch of `revision`, which lies between oldest and newest.
    fn batch(&self, revision: Revision) -> Option<&Arc<Batch>> {
        let first = self.batches.front()?.batch.revision;
        let at = usize::try_from(revision.0.checked_sub(first.0)?).ok()?;
        self.batches.get(at).map(|retained| &retained.batch)
    }

    /// Why a position that is not here cannot be read.
    fn missed(&self, position: Position, archived: Revision) -> Missed {
        let archived = Position::start_of(archived);
        if position >= archived {
            return Missed::Archived;
        }
        Missed::Trimmed(self.oldest().min(archived))
    }

    /// Takes out what is too much or too old, for the caller to drop without the lock.
    fn trim(&mut self, retention: Retention, now: Millis) -> Vec<Arc<Batch>> {
        let age = i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
        let mut trimmed = Vec::new();
        while let Some(oldest) = self.batches.front() {
            // One revision is kept however large it is: else it would be gone before any
            // subscriber could read it.
            let too_much = self.bytes > retention.bytes && self.batches.len() > 1;
            let too_old = || now.0.saturating_sub(oldest.batch.at.0) > age;
            if !too_much && !too_old() {
                break;
            }
            let Some(oldest) = self.batches.pop_front() else { break };
            self.bytes -= oldest.bytes;
            trimmed.push(oldest.batch);
        }
        trimmed
    }
}

impl Log {
    /// An empty log.
    pub fn new(retention: Retention) -> Self {
        Self::after(retention, Revision(0))
    }

    /// A log of what comes after a revision.
    pub fn after(retention: Retention, newest: Revision) -> Self {
        let history = History { newest, ..History::default() };
        let archived_from = AtomicU64::new(u64::MAX);
        Self { retention, history: RwLock::new(history), archived_from }
    }

    /// From now on a journal keeps everything from that revision on.
    pub fn set_archived_from(&self, revision: Revision) {
        self.archived_from.store(revision.0, Ordering::Relaxed);
    }

    fn archived_from(&self) -> Revision {
        Revision(self.archived_from.load(Ordering::Relaxed))
    }

    fn read(&self) -> RwLockReadGuard<'_, History> {
        self.history.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the events of the next revision and trims what is too much or too old.
    ///
    /// # Panics
    /// If the revision is not the next: history has no gaps.
    pub fn append(&self, batch: impl Into<Arc<Batch>>) {
        let batch = batch.into();
        let (bytes, now) = (batch.bytes(), batch.at);
        let mut history = self.history.write().unwrap_or_else(PoisonError::into_inner);
        assert!(batch.revision == history.newest.next(), "revisions are contiguous");
        history.newest = batch.revision;
        history.bytes += bytes;
        history.batches.push_back(Retained { batch, bytes });
        let trimmed = history.trim(self.retention, now);
        drop(history);
        discard(trimmed);
    }

    /// Trims what is too old by now.
    pub fn trim(&self, now: Millis) {
        let mut history = self.history.write().unwrap_or_else(PoisonError::into_inner);
        let trimmed = history.trim(self.retention, now);
        drop(history);
        discard(trimmed);
    }

    /// The oldest position that is retained, here or in the journal.
    pub fn oldest(&self) -> Position {
        self.read().oldest().min(Position::start_of(self.archived_from()))
    }

    /// The position after the newest event.
    pub fn end(&self) -> Position {
        self.read().end()
    }

    /// Bytes that the history takes, roughly.
    pub fn bytes(&self) -> usize {
        self.read().bytes
    }

    /// Checks that one may start at `position`: at an event that is retained, at the
    /// end of a retained revision, or after the newest event. The answer names the
    /// same place in its normal form.
    pub fn resolve(&self, position: Position) -> Result<Position, Missed> {
        let history = self.read();
        if position == history.end() {
            return Ok(position);
        }
        if position.revision > history.newest {
            return Err(Missed::Future(history.end()));
        }
        if position < history.oldest() && active("trimmed-start-moves-on") {
            return Ok(history.oldest());
        }
        let Some(batch) = history.batch(position.revision) else {
            return Err(history.missed(position, self.archived_from()));
        };
        batch.resolve(position.index).ok_or(Missed::Future(history.end()))
    }

    /// The batch at `position`, or `None` at the end.
    pub fn batch(&self, position: Position) -> Result<Option<Arc<Batch>>, Missed> {
        let history = self.read();
        if position.revision > history.newest {
            return Ok(None);
        }
        match history.batch(position.revision) {
            Some(batch) => Ok(Some(batch.clone())),
            None if active("behind-moves-on") => {
                Ok(history.batches.front().map(|oldest| oldest.batch.clone()))
            }
            None => Err(history.missed(position, self.archived_from())),
        }
    }
}

/// Drops what was trimmed. The events of a large round can push a million small batches
/// out at once; the writer does not wait while they are freed.
fn discard(trimmed: Vec<Arc<Batch>>) {
    if trimmed.len() > DISCARDED_AT_ONCE_MAX {
        // Without a thread to spare they are dropped here.
        let _ = std::thread::Builder::new().name("trim".into()).spawn(move || drop(trimmed));
    }
}

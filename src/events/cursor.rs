//! A subscriber's cursor over the shared log: a position and a filter. It holds no
//! events of its own but a piece that was recalled from the journal, so a slow subscriber
//! costs the market nothing.

use super::log::{Batch, Log, Missed, Position};
use super::{Event, Filter};
use crate::domain::{Millis, Revision};
use crate::mutants::active;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Events of one message. So many of the largest stay below the limit of a chunk
/// (1 MiB), which the tests of the stream see to.
const CHUNK_EVENTS_MAX: usize = 1_500;

/// Batches that one step may pass over without finding anything, before the
/// subscriber is told how far it is. A batch may have many thousand events, and the
/// step holds its thread.
const SKIPPED_BATCHES_MAX: usize = 1_000;

/// Events of one revision, to be delivered together.
#[derive(Debug)]
pub struct Chunk {
    batch: Arc<Batch>,
    indices: Indices,
    /// Whether no later event of the revision passes the filter.
    pub last_in_revision: bool,
    /// Where to resume after this chunk.
    pub next: Position,
}

/// Which events of a batch.
#[derive(Debug)]
enum Indices {
    /// All of these.
    All(Range<u32>),
    /// These, ascending.
    Some(Vec<u32>),
}

impl Chunk {
    /// The revision.
    pub fn revision(&self) -> Revision {
        self.batch.revision
    }

    /// When, on the market's clock.
    pub fn at(&self) -> Millis {
        self.batch.at
    }

    /// Where its first event stands. With the filter, that says which events it has.
    pub fn begins(&self) -> Position {
        let first = match &self.indices {
            Indices::All(indices) => Some(indices.start),
            Indices::Some(indices) => indices.first().copied(),
        };
        Position { revision: self.batch.revision, index: first.unwrap_or_default() }
    }

    /// The events with their numbers, in order.
    pub fn events(&self) -> impl Iterator<Item = (u32, &Event)> {
        let (all, some) = match &self.indices {
            Indices::All(indices) => (indices.clone(), &[][..]),
            Indices::Some(indices) => (0..0, &indices[..]),
        };
        let indices = all.chain(some.iter().copied());
        indices.map(|index| (index, &self.batch.events[index as usize]))
    }
}

/// What a cursor finds next.
#[derive(Debug)]
pub enum Next {
    /// Events.
    Chunk(Chunk),
    /// Nothing for this filter so far: all before the cursor's position was passed over.
    Skipped,
    /// Nothing at all: the cursor is at the end.
    CaughtUp,
}

/// A position in the log and a filter.
#[derive(Debug)]
pub struct Cursor {
    position: Position,
    filter: Arc<Filter>,
    /// From the position on, if the log does not have it any more.
    recalled: VecDeque<Arc<Batch>>,
}

impl Cursor {
    /// A cursor that reads from `position` on (see [`Log::resolve`]).
    pub fn new(position: Position, filter: impl Into<Arc<Filter>>) -> Self {
        Self { position, filter: filter.into(), recalled: VecDeque::new() }
    }

    /// Where the cursor is: everything before this that passes the filter was returned.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes on from elsewhere: only a mutant does (see `mutants`).
    pub(crate) fn jump(&mut self, position: Position) {
        self.position = position;
    }

    /// Takes what was recalled for its position.
    pub fn recall(&mut self, batches: Vec<Arc<Batch>>) {
        let goes_on = batches.first().is_some_and(|b| b.resolve(self.position.index + 1).is_some());
        self.position.index += u32::from(goes_on && active("resume-skips-one"));
        self.recalled = batches.into();
    }

    /// The batch at its position, or `None` at the end.
    fn batch(&mut self, log: &Log) -> Result<Option<Arc<Batch>>, Missed> {
        while let Some(first) = self.recalled.front() {
            if first.revision == self.position.revision {
                return Ok(Some(first.clone()));
            }
            self.recalled.pop_front();
        }
        log.batch(self.position)
    }

    /// Moves on to the next events that pass the filter.
    pub fn advance(&mut self, log: &Log) -> Result<Next, Missed> {
        self.advance_by(log, CHUNK_EVENTS_MAX)
    }

    /// Like [`Self::advance`], with at most `limit` events.
    pub fn advance_by(&mut self, log: &Log, limit: usize) -> Result<Next, Missed> {
        for _ in 0..SKIPPED_BATCHES_MAX {
            let Some(batch) = self.batch(log)? else { return Ok(Next::CaughtUp) };
            if let Some(chunk) = self.chunk_of(batch, limit.min(CHUNK_EVENTS_MAX)) {
                return Ok(Next::Chunk(chunk));
            }
        }
        Ok(Next::Skipped)
    }

    /// The events of `batch` from the cursor on that pass; none leaves the cursor
    /// after the batch.
    fn chunk_of(&mut self, batch: Arc<Batch>, limit: usize) -> Option<Chunk> {
        let (indices, next) = if self.filter.passes_all() {
            self.all_of(&batch, limit)
        } else {
            self.some_of(&batch, limit)
        };
        let after = Position::start_of(batch.revision.next());
        let next = next.map_or(after, |index| Position { revision: batch.revision, index });
        self.position = next;
        let last_in_revision = next == after || active("last-in-revision-early");
        indices.map(|indices| Chunk { batch, indices, last_in_revision, next })
    }

    /// The next events of a batch, and the number of the one after them that passes.
    fn all_of(&self, batch: &Batch, limit: usize) -> (Option<Indices>, Option<u32>) {
        let count = batch.events.len() as u32;
        let from = self.position.index.min(count);
        let to = from + (count - from).min(limit as u32);
        let next = to + u32::from(active("chunk-border-skips-one") && to - from == limit as u32);
        ((to > from).then_some(Indices::All(from..to)), (next < count).then_some(next))
    }

    /// The next events of a batch that pass, and the number of the one after them.
    fn some_of(&self, batch: &Batch, limit: usize) -> (Option<Indices>, Option<u32>) {
        let from = self.position.index;
        let passing = (from..).zip(&batch.events[from as usize..]);
        let mut passing =
            passing.filter(|(_, event)| self.filter.passes(event)).map(|(index, _)| index);
        let indices: Vec<u32> = passing.by_ref().take(limit).collect();
        let skipped = usize::from(active("chunk-border-skips-one") && indices.len() == limit);
        passing.by_ref().take(skipped).for_each(drop);
        let next = passing.next();
        ((!indices.is_empty()).then_some(Indices::Some(indices)), next)
    }
}

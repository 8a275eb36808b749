//! Chunks of events that were encoded lately, so that each is encoded once for all who
//! subscribe to the same: most of them read the newest revision at the same moment.
//!
//! How a chunk is encoded is not known here, only that it does not depend on who is told.
//! Nothing has to be found: what is not here is encoded again.

use super::{Filter, Position};
use crate::domain::limits::RECENT_CHUNKS_BYTES_MAX;
use crate::mutants::active;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What a chunk takes beside its bytes, roughly: its places in the map and in the queue.
const CHUNK_OVERHEAD: usize = 160;

/// Subscribers who want the same events, and so are told them in the same chunks.
#[derive(Debug)]
pub struct Audience {
    number: u64,
    filter: Arc<Filter>,
}

impl Audience {
    /// Which events they want.
    pub fn filter(&self) -> &Arc<Filter> {
        &self.filter
    }
}

/// The chunks of one market that were encoded lately.
#[derive(Debug, Default)]
pub struct Recent {
    /// Held to find or note something, never while a chunk is encoded or across an await.
    chunks: Mutex<Chunks>,
}

/// A chunk, which whoever comes first encodes while the others wait.
type Place = Arc<OnceLock<Bytes>>;
/// The number of an audience, and where a chunk of it begins.
type Key = (u64, Position);

#[derive(Debug, Default)]
struct Chunks {
    places: HashMap<Key, Place, foldhash::fast::RandomState>,
    /// Those that are encoded, in the order in which they were.
    oldest_first: VecDeque<(Key, usize)>,
    bytes: usize,
    audiences: Vec<Weak<Audience>>,
    /// Audiences so far: a number is not used again.
    numbers: u64,
}

impl Recent {
    /// The audience of that filter, which all have in common whose filters are equal.
    pub fn join(&self, filter: Filter) -> Arc<Audience> {
        let mut chunks = self.chunks();
        chunks.audiences.retain(|audience| audience.strong_count() > 0);
        let mut known = chunks.audiences.iter().filter_map(Weak::upgrade);
        if let Some(audience) = known.find(|audience| *audience.filter == filter) {
            return audience;
        }
        drop(known);
        chunks.numbers += 1;
        let audience = Arc::new(Audience { number: chunks.numbers, filter: filter.into() });
        chunks.audiences.push(Arc::downgrade(&audience));
        audience
    }

    /// The audience's chunk that begins there, encoded by `encode` if it is not here. One
    /// who is alone has nobody to share it with.
    pub fn encoded(
        &self,
        audience: &Arc<Audience>,
        begins: Position,
        encode: impl FnOnce() -> Bytes,
    ) -> Bytes {
        if Arc::strong_count(audience) == 1 {
            return encode();
        }
        let key = key(audience.number, begins);
        let place = self.chunks().places.entry(key).or_default().clone();
        let mut is_new = false;
        let bytes = place.get_or_init(|| {
            is_new = true;
            encode()
        });
        if is_new {
            self.chunks().note(key, bytes.len() + CHUNK_OVERHEAD);
        }
        bytes.clone()
    }

    /// Bytes that the chunks take, roughly.
    pub fn bytes(&self) -> usize {
        self.chunks().bytes
    }

    /// Lets everything go.
    pub fn clear(&self) {
        let mut chunks = self.chunks();
        let Chunks { audiences, numbers, .. } = std::mem::take(&mut *chunks);
        *chunks = Chunks { audiences, numbers, ..Chunks::default() };
    }

    fn chunks(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a chunk.
fn key(audience: u64, begins: Position) -> Key {
    let audience = if active("chunks-for-everybody") { 0 } else { audience };
    let index = if active("chunks-by-revision") { 0 } else { begins.index };
    (audience, Position { index, ..begins })
}

impl Chunks {
    /// Counts a chunk that was encoded, and lets the oldest go if that is too much.
    fn note(&mut self, key: Key, bytes: usize) {
        self.oldest_first.push_back((key, bytes));
        self.bytes += bytes;
        while self.bytes > RECENT_CHUNKS_BYTES_MAX {
            let Some((key, bytes)) = self.oldest_first.pop_front() else { break };
            self.places.remove(&key);
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Revision, WorkerId};
    use crate::events::Kind;
    use uuid::Uuid;

    fn at(revision: u64) -> Position {
        Position::start_of(Revision(revision))
    }

    fn workers(ids: impl IntoIterator<Item = u128>) -> Filter {
        let workers = ids.into_iter().map(|id| WorkerId(Uuid::from_u128(id))).collect();
        Filter { workers, ..Filter::default() }
    }

    /// Goal: those who want the same are one audience, others are not, and an audience
    /// that is gone does not come back under its number.
    #[test]
    fn equal_filters_are_one_audience() {
        let recent = Recent::default();
        let all = recent.join(Filter::default());
        assert!(Arc::ptr_eq(&all, &recent.join(Filter::default())));
        let some = recent.join(workers(0..500));
        assert!(Arc::ptr_eq(&some, &recent.join(workers((0..500).rev()))));
        let kinds = Filter { kinds: [Kind::Matched].into(), ..Filter::default() };
        let others = [recent.join(workers(1..500)), recent.join(kinds)];
        let number = some.number;
        drop(some);
        let again = recent.join(workers(0..500));
        let numbers = [all.number, others[0].number, others[1].number, number, again.number];
        let distinct: std::collections::HashSet<_> = numbers.into_iter().collect();
        assert_eq!(distinct.len(), numbers.len(), "{numbers:?}");
    }

    /// Goal: a chunk is encoded once for all of an audience, and never for another.
    #[test]
    fn a_chunk_is_encoded_once_for_an_audience() {
        let recent = Recent::default();
        let (all, some) = (recent.join(Filter::default()), recent.join(workers(0..2)));
        let more = [recent.join(Filter::default()), recent.join(workers(0..2))];
        let text = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(recent.encoded(&all, at(1), || text("all")), "all");
        assert_eq!(recent.encoded(&more[0], at(1), || panic!("it is there")), "all");
        assert_eq!(recent.encoded(&some, at(1), || text("some")), "some");
        assert_eq!(recent.encoded(&more[1], at(1), || panic!("it is there")), "some");
        let second = Position { index: 7, ..at(1) };
        assert_eq!(recent.encoded(&all, second, || text("second")), "second");
        recent.clear();
        assert_eq!(recent.bytes(), 0);
        assert_eq!(recent.encoded(&all, at(1), || text("again")), "again");
        drop((some, more));
        let bytes = recent.bytes();
        assert_eq!(recent.encoded(&all, at(2), || text("alone")), "alone");
        assert_eq!(recent.bytes(), bytes, "nothing is kept for one who is alone");
    }

    /// Goal: however much is read, what is kept stays within its limit, and the newest is
    /// there. Method: three times the limit, in chunks of several sizes.
    #[test]
    fn what_is_kept_is_bounded() {
        let recent = Recent::default();
        let audiences = [recent.join(Filter::default()), recent.join(Filter::default())];
        let mut read = 0;
        for revision in 1.. {
            let size = [1, 10_000, 200_000][revision as usize % 3];
            recent.encoded(&audiences[0], at(revision), || vec![0; size].into());
            assert!(recent.bytes() <= RECENT_CHUNKS_BYTES_MAX);
            recent.encoded(&audiences[1], at(revision), || panic!("the newest is there"));
            read += size;
            if read > 3 * RECENT_CHUNKS_BYTES_MAX {
                break;
            }
        }
        assert!(recent.bytes() > RECENT_CHUNKS_BYTES_MAX / 2);
        let chunks = recent.chunks();
        assert_eq!(chunks.places.len(), chunks.oldest_first.len());
    }
}

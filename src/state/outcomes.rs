//! Memory of `request_id`s: a retried command is answered as before, not repeated.
//!
//! Bounded by count and bytes, oldest out: a retry after that is a new command.

use super::command::{Outcome, Refusal, RequestKey};
use crate::domain::limits::{OUTCOMES_BYTES_MAX, OUTCOMES_MAX};
use crate::domain::{Reason, RequestId, Violation};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Outcomes in one chunk of the list that snapshots take.
const CHUNK: usize = 1_024;

/// An outcome with the name of its command.
pub type Remembered = (RequestKey, Arc<Outcome>);

/// Remembered outcomes.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    by_id: HashMap<RequestId, (u128, Arc<Outcome>)>,
    oldest_first: Remembrance,
    bytes: usize,
}

/// Remembered outcomes, oldest first. A clone costs a pointer for a thousand of them.
#[derive(Clone, Debug, Default)]
pub struct Remembrance {
    chunks: VecDeque<Arc<Vec<Remembered>>>,
    /// How many of the first chunk are forgotten.
    forgotten: usize,
    len: usize,
}

impl Remembrance {
    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).skip(self.forgotten)
    }

    fn push(&mut self, remembered: Remembered) {
        if self.chunks.back().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push_back(Arc::new(Vec::with_capacity(CHUNK)));
        }
        if let Some(last) = self.chunks.back_mut() {
            Arc::make_mut(last).push(remembered);
            self.len += 1;
        }
    }

    fn pop(&mut self) -> Option<RequestId> {
        let id = self.chunks.front()?.get(self.forgotten)?.0.id;
        self.forgotten += 1;
        self.len -= 1;
        if self.forgotten == CHUNK {
            self.chunks.pop_front();
            self.forgotten = 0;
        }
        Some(id)
    }
}

impl Outcomes {
    /// The outcome of that command, if it was seen; an error if its name was used for another.
    pub fn recall(&self, key: RequestKey) -> Result<Option<&Arc<Outcome>>, Refusal> {
        match self.by_id.get(&key.id) {
            None => Ok(None),
            Some((fingerprint, outcome)) if *fingerprint == key.fingerprint => Ok(Some(outcome)),
            Some(_) => Err(Refusal::from(Violation::new(
                Reason::RequestIdReused,
                "request_id",
                "was used before, for another request",
            ))),
        }
    }

    /// Remembers an outcome and forgets the oldest beyond the limits. One that is remembered
    /// already stays as it is: a recovery may come across it twice.
    pub fn remember(&mut self, key: RequestKey, outcome: Arc<Outcome>) {
        if self.by_id.contains_key(&key.id) {
            return;
        }
        self.bytes += outcome.bytes();
        self.by_id.insert(key.id, (key.fingerprint, outcome.clone()));
        self.oldest_first.push((key, outcome));
        while self.oldest_first.len > OUTCOMES_MAX || self.bytes > OUTCOMES_BYTES_MAX {
            let Some(oldest) = self.oldest_first.pop() else { break };
            if let Some((_, outcome)) = self.by_id.remove(&oldest) {
                self.bytes -= outcome.bytes();
            }
        }
    }

    /// All of them as they are now, oldest first.
    pub fn remembrance(&self) -> &Remembrance {
        &self.oldest_first
    }

    /// How many outcomes are remembered.
    pub fn len(&self) -> usize {
        self.oldest_first.len
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.oldest_first.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::Standing;
    use super::*;
    use crate::domain::Revision;
    use uuid::Uuid;

    fn key(n: u128, fingerprint: u128) -> RequestKey {
        RequestKey { id: RequestId(Uuid::from_u128(n)), fingerprint }
    }

    fn outcome(revision: u64) -> Arc<Outcome> {
        Arc::new(Outcome {
            revision: Revision(revision),
            errors: vec![],
            made: None,
            placed: 0,
            round: None,
            standing: Standing::Stable,
            displaced: 0,
            improved: 0,
        })
    }

    /// Goal: the limit holds at the limit and one past it, oldest out.
    #[test]
    fn forgets_the_oldest_past_the_limit() {
        let mut outcomes = Outcomes::default();
        for n in 0..OUTCOMES_MAX as u128 {
            outcomes.remember(key(n, 0), outcome(n as u64));
        }
        assert_eq!(outcomes.len(), OUTCOMES_MAX);
        assert!(outcomes.recall(key(0, 0)).unwrap().is_some());
        outcomes.remember(key(1 << 64, 0), outcome(0));
        assert_eq!(outcomes.len(), OUTCOMES_MAX);
        assert!(outcomes.recall(key(0, 0)).unwrap().is_none());
        assert!(outcomes.recall(key(1, 0)).unwrap().is_some());
        // A list that was taken stays as it was.
        let taken = outcomes.remembrance().clone();
        (2..3 * CHUNK as u128).for_each(|n| outcomes.remember(key(n << 64, 0), outcome(0)));
        let ids = |list: &Remembrance| list.iter().map(|(key, _)| key.id).collect::<Vec<_>>();
        let taken = ids(&taken);
        assert_eq!((taken.len(), taken[0]), (OUTCOMES_MAX, key(1, 0).id));
        let now = ids(outcomes.remembrance());
        assert_eq!((now.len(), now[0]), (OUTCOMES_MAX, key(3 * CHUNK as u128 - 1, 0).id));
    }

    /// Goal: large outcomes are bounded in bytes.
    #[test]
    fn forgets_the_oldest_past_the_bytes() {
        let mut outcomes = Outcomes::default();
        let ids: Arc<[Uuid]> = vec![Uuid::nil(); 10_000].into();
        for n in 0..1_000_u128 {
            let large = Outcome { made: Some(ids.clone()), ..Outcome::clone(&outcome(1)) };
            outcomes.remember(key(n, 0), Arc::new(large));
        }
        assert!(outcomes.bytes <= OUTCOMES_BYTES_MAX && outcomes.len() < 1_000);
    }

    /// Goal: a name used for another request is noticed.
    #[test]
    fn a_reused_name_is_refused() {
        let mut outcomes = Outcomes::default();
        outcomes.remember(key(1, 10), outcome(3));
        assert_eq!(outcomes.recall(key(1, 10)).unwrap().unwrap().revision, Revision(3));
        assert_eq!(outcomes.recall(key(1, 11)).unwrap_err().0[0].reason, Reason::RequestIdReused);
    }
}

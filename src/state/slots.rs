//! From ids to slots. Only the slots are stored: the ids that they stand for are read
//! from the rows, so that a market keeps each id once.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};

/// Tables, by the hash of the id. When one has to grow, it reads the ids of all its
/// slots again: with many of them no writer waits long for that.
const TABLES: usize = 256;

/// The slots of one column by the ids of its rows.
#[derive(Debug)]
pub(super) struct Slots<S> {
    tables: Box<[HashTable<S>]>,
    hasher: RandomState,
}

impl<S> Default for Slots<S> {
    fn default() -> Self {
        let tables = (0..TABLES).map(|_| HashTable::new()).collect();
        Self { tables, hasher: RandomState::default() }
    }
}

impl<S: Copy> Slots<S> {
    /// The slot whose row has that id.
    pub(super) fn get<Id: Hash + Eq>(&self, id: Id, id_of: impl Fn(S) -> Id) -> Option<S> {
        let hash = self.hasher.hash_one(&id);
        self.tables[table(hash)].find(hash, |slot| id_of(*slot) == id).copied()
    }

    /// Adds the slot of a row with an id that no other row has.
    pub(super) fn insert<Id: Hash>(&mut self, id: &Id, slot: S, id_of: impl Fn(S) -> Id) {
        let hash = self.hasher.hash_one(id);
        let hasher = &self.hasher;
        self.tables[table(hash)].insert_unique(hash, slot, |slot| hasher.hash_one(id_of(*slot)));
    }
}

/// The table of a hash, by bits that the tables themselves do not look at.
fn table(hash: u64) -> usize {
    (hash >> 40) as usize % TABLES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every row is found by its id, and nothing else is, while the tables grow.
    #[test]
    fn every_row_is_found_by_its_id() {
        let id_of = |slot: u32| u128::from(slot) * 7;
        let mut slots = Slots::default();
        for slot in 0..20_000_u32 {
            assert_eq!(slots.get(id_of(slot), id_of), None);
            slots.insert(&id_of(slot), slot, id_of);
        }
        for slot in 0..20_000_u32 {
            assert_eq!(slots.get(id_of(slot), id_of), Some(slot));
            assert_eq!(slots.get(id_of(slot) + 1, id_of), None);
        }
    }
}

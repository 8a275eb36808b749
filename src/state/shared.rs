//! Values that many records have in common, such as their labels: kept once.
//!
//! A record that comes in takes the value that an earlier one brought. Only so many
//! distinct values are remembered; beyond them a record keeps its own.

use foldhash::fast::RandomState;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Distinct values remembered, so that a market in which all of them differ does not
/// keep each twice.
const REMEMBERED_MAX: usize = 16_384;

/// Values of one kind, by themselves.
#[derive(Debug)]
pub(super) struct Shared<T: ?Sized>(HashSet<Arc<T>, RandomState>);

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self(HashSet::default())
    }
}

impl<T: ?Sized + Eq + Hash> Shared<T> {
    /// Remembers a value that a record brought.
    pub(super) fn remember(&mut self, value: &Arc<T>) {
        if self.0.len() < REMEMBERED_MAX && !self.0.contains(value) {
            self.0.insert(value.clone());
        }
    }

    /// The value as others have it, which is remembered if none has.
    pub(super) fn shared(&mut self, value: &Arc<T>) -> Arc<T> {
        self.remember(value);
        self.0.get(value).unwrap_or(value).clone()
    }

    /// Starts a batch, whose records share among themselves too.
    pub(super) fn batch(&self) -> Sharing<'_, T> {
        Sharing { remembered: self, added: Self::default() }
    }
}

/// The values of a market and those of a batch.
pub(super) struct Sharing<'a, T: ?Sized> {
    remembered: &'a Shared<T>,
    added: Shared<T>,
}

impl<T: ?Sized + Eq + Hash> Sharing<'_, T> {
    /// The value as others have it, or a copy of its own.
    pub(super) fn share(&mut self, value: &T, own: impl FnOnce() -> Arc<T>) -> Arc<T> {
        let known = self.remembered.0.get(value).or_else(|| self.added.0.get(value));
        if let Some(known) = known {
            return known.clone();
        }
        let own = own();
        self.added.remember(&own);
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: equal values are one, within a batch and across batches, and the memory of
    /// them is bounded.
    #[test]
    fn equal_values_are_kept_once() {
        let mut shared = Shared::<str>::default();
        let mut batch = shared.batch();
        let own = || Arc::from("nurse");
        let (a, b) = (batch.share("nurse", own), batch.share("nurse", own));
        assert!(Arc::ptr_eq(&a, &b));
        shared.remember(&a);
        assert!(Arc::ptr_eq(&a, &shared.batch().share("nurse", own)));
        for number in 0..2 * REMEMBERED_MAX {
            shared.remember(&number.to_string().into());
        }
        assert_eq!(shared.0.len(), REMEMBERED_MAX);
    }
}

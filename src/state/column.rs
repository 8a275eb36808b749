//! Columns in reference-counted chunks, copied on write.
//!
//! A snapshot clones the list of chunks; from then on a write copies the one chunk
//! that it touches, and only while a snapshot still shares it. Nothing is doubled,
//! and no single allocation grows with the market.

use std::sync::Arc;

/// Rows of one chunk. Large enough that the list of chunks stays short, small enough
/// that copying one is a matter of microseconds.
pub const CHUNK_ROWS: usize = 1_024;

/// A growing sequence of rows.
#[derive(Clone, Debug)]
pub struct Column<T> {
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Column<T> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row at `at`.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, at: usize) -> &T {
        &self.chunks[at / CHUNK_ROWS][at % CHUNK_ROWS]
    }

    /// The row at `at`, for writing.
    ///
    /// # Panics
    /// If there is none.
    pub fn get_mut(&mut self, at: usize) -> &mut T {
        &mut Arc::make_mut(&mut self.chunks[at / CHUNK_ROWS])[at % CHUNK_ROWS]
    }

    /// Adds a row at the end.
    pub fn push(&mut self, row: T) {
        if self.len.is_multiple_of(CHUNK_ROWS) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK_ROWS)));
        }
        let last = self.chunks.last_mut().expect("a chunk was just made if none had room");
        Arc::make_mut(last).push(row);
        self.len += 1;
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Rows from `start` on, with their offsets.
    pub fn iter_from(&self, start: usize) -> impl Iterator<Item = (usize, &T)> {
        (start..self.len).map(|at| (at, self.get(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a snapshot never sees a later write, and unshared chunks are not copied.
    #[test]
    fn snapshots_are_isolated_and_unshared_chunks_stay_in_place() {
        let mut column = Column::default();
        for i in 0..3 * CHUNK_ROWS {
            column.push(i);
        }
        let snapshot = column.clone();
        *column.get_mut(5) = 999;
        column.push(7);
        assert_eq!((*snapshot.get(5), snapshot.len()), (5, 3 * CHUNK_ROWS));
        assert_eq!((*column.get(5), column.len()), (999, 3 * CHUNK_ROWS + 1));
        assert!(Arc::ptr_eq(&snapshot.chunks[1], &column.chunks[1]), "untouched chunks are shared");
        let before = Arc::as_ptr(&column.chunks[0]);
        *column.get_mut(6) = 1_000;
        assert_eq!(before, Arc::as_ptr(&column.chunks[0]), "the copy is made once");
    }
}

//! Those about to propose, and who of them is next.
//!
//! They stand in rows by the real salary of the place. The best paid row comes first, and in it
//! the best key: whose place pays a little more makes no difference there, but of all who want
//! one place the strongest must be first. Small heaps, most of them in the first cache, in place
//! of one of all.

use super::super::crew::map;
use super::super::index::Index;
use super::super::key::Key;
use std::collections::BinaryHeap;

/// What somebody is about to propose. No two have the same key, which is one worker's, for she
/// proposes one thing at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Proposal {
    pub key: Key,
    pub place: u32,
    pub worker: u32,
}

/// So many rows of those about to propose.
const ROWS: usize = 64 * PARTS;
const PARTS: usize = 8;
/// Places of which the borders of rows are drawn, at most.
const SAMPLE: usize = 64 * ROWS;

/// See the module.
pub(super) struct Line {
    rows: Vec<BinaryHeap<Proposal>>,
    /// A bit for each row that somebody is in.
    taken: [u64; PARTS],
}

/// The row of each place, by its number. About as many places belong to each.
pub(super) fn rows(index: &Index, threads: usize) -> Vec<u16> {
    rows_of(index.places.len(), |place| index.places[place].real, threads)
}

/// The same for so many places that pay so much.
fn rows_of(places: usize, real: impl Fn(usize) -> i64 + Sync, threads: usize) -> Vec<u16> {
    let mut sample: Vec<i64> = (0..places).step_by(places / SAMPLE + 1).map(&real).collect();
    sample.sort_unstable();
    let border = |row| sample.get(row * sample.len() / ROWS).copied();
    let borders: Vec<i64> = (1..ROWS).filter_map(border).collect();
    map(threads, places, |place| borders.partition_point(|border| *border <= real(place)) as u16)
}

impl Line {
    /// Nobody yet.
    pub fn new() -> Self {
        Self { rows: vec![BinaryHeap::new(); ROWS], taken: [0; PARTS] }
    }

    /// One more, for a place in that row.
    pub fn push(&mut self, row: u16, proposal: Proposal) {
        let row = usize::from(row);
        self.rows[row].push(proposal);
        self.taken[row / 64] |= 1 << (row % 64);
    }

    /// The next.
    pub fn next(&mut self) -> Option<Proposal> {
        let part = self.taken.iter().rposition(|rows| *rows > 0)?;
        let row = 64 * part + self.taken[part].ilog2() as usize;
        let next = self.rows[row].pop();
        if self.rows[row].is_empty() {
            self.taken[part] &= !(1 << (row % 64));
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the best paid row comes first and in it the best key, nobody is forgotten, and rows
    /// are emptied and filled again. Method: more places than rows, each pays 10 more than the one
    /// before; three propose to each, then half of them once more.
    #[test]
    fn best_paid_row_first_and_in_it_the_best_key() {
        let places = 3 * ROWS as u32;
        let rows = rows_of(places as usize, |place| 10 * place as i64, 1);
        let mut line = Line::new();
        let three = |place: u32| [3, 9, 6].map(|score| (place, Key::new(score, place)));
        let mut all: Vec<(u32, Key)> = (0..places).flat_map(three).collect();
        for _ in 0..2 {
            for (worker, (place, key)) in (0..).zip(&all) {
                let proposal = Proposal { key: *key, place: *place, worker };
                line.push(rows[*place as usize], proposal);
            }
            let order: Vec<_> = std::iter::from_fn(|| line.next()).collect();
            let turns = order.iter().map(|next| (rows[next.place as usize], next.key));
            assert!(turns.is_sorted_by(|a, b| a > b));
            let mut found: Vec<_> = order.iter().map(|next| (next.place, next.key)).collect();
            found.sort_unstable();
            all.sort_unstable();
            assert_eq!(found, all);
            all.truncate(all.len() / 2);
        }
        assert_eq!(line.taken, [0; PARTS]);
    }

    /// Goal: one place that pays more than all others together does not put those into one row.
    #[test]
    fn rows_are_about_as_long() {
        let real = |place: usize| if place == 0 { i64::MAX } else { place as i64 };
        let mut lengths = vec![0; ROWS];
        rows_of(100 * ROWS, real, 2).iter().for_each(|row| lengths[usize::from(*row)] += 1);
        assert!(lengths.iter().all(|length| (50..=200).contains(length)), "{lengths:?}");
    }
}

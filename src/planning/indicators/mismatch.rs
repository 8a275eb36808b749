//! Matches lost because seekers and openings are not in the same cells, over each of three
//! partitions of the market.

use super::figure;
use crate::planning::census::{Cell, Census, Tally};
use crate::planning::figure::Figure;
use crate::planning::indices::mismatch::{self, ELASTICITY, hires_gained};

/// Mismatch over one partition.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// Cells in which anybody seeks or anything is open.
    pub cells: usize,
    /// The index.
    pub index: Figure,
    /// Held matches that would be added without it.
    pub matches_lost: Figure,
}

/// Over cities.
pub fn by_city(census: &Census) -> Mismatch {
    of(census.cities.iter().map(pools), census.total.held)
}

/// Over groups.
pub fn by_group(census: &Census) -> Mismatch {
    of(census.groups.iter().map(|(_, tally)| pools(tally)), census.total.held)
}

/// Over every group in every city.
pub fn by_cell(census: &Census) -> Mismatch {
    of_cells(census.cells.values(), census.total.held)
}

/// Over some cells, at whose jobs so many matches are held.
pub fn of_cells<'c>(cells: impl Iterator<Item = &'c Cell>, held: u64) -> Mismatch {
    of(cells.map(|cell| (cell.seekers, cell.openings)), held)
}

fn pools(tally: &Tally) -> (u64, u64) {
    (tally.seekers(), tally.openings)
}

fn of(cells: impl Iterator<Item = (u64, u64)>, held: u64) -> Mismatch {
    let cells: Vec<mismatch::Cell> = cells
        .filter(|cell| *cell != (0, 0))
        .map(|(seekers, openings)| mismatch::Cell::new(seekers as f64, openings as f64))
        .collect();
    let index = mismatch::mismatch(&cells, ELASTICITY);
    let held = held as f64;
    let lost = index.and_then(|index| hires_gained(held, index));
    let inputs = [
        ("cells", cells.len() as f64),
        ("seekers", cells.iter().map(|cell| cell.seekers).sum()),
        ("openings", cells.iter().map(|cell| cell.vacancies).sum()),
    ];
    Mismatch {
        cells: cells.len(),
        index: figure(index, &inputs),
        matches_lost: figure(lost, &[("held", held)]),
    }
}

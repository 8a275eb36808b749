//! What moves cost, reckoned when first asked for and kept while there is room for it.

use crate::domain::CityIx;

/// Cities of which all moves are kept.
const KEPT: usize = 512;

/// By city, its moves: the one-off costs to every city, or from every city, as the one who
/// asks reckons them.
pub(super) struct Moves {
    rows: Vec<Box<[i64]>>,
    /// The least and the most that a move of a city costs.
    ranges: Vec<(i64, i64)>,
    kept: usize,
}

impl Moves {
    /// None kept yet.
    pub fn among(cities: usize) -> Self {
        Self { rows: vec![Box::default(); cities], ranges: vec![(0, 0); cities], kept: 0 }
    }

    /// Sees to it that the moves of a city are there; `cost` is that of one.
    pub fn reckon(&mut self, city: CityIx, cost: impl Fn(CityIx) -> i64) -> &[i64] {
        if self.rows[city.at()].is_empty() {
            if self.kept == KEPT {
                self.rows.iter_mut().for_each(|row| *row = Box::default());
                self.kept = 0;
            }
            let others = (0..self.rows.len()).map(CityIx::from_offset);
            self.rows[city.at()] = others.map(cost).collect();
            self.kept += 1;
            let others =
                self.rows[city.at()].iter().enumerate().filter(|(other, _)| *other != city.at());
            let costs = || others.clone().map(|(_, cost)| *cost);
            self.ranges[city.at()] = (costs().min().unwrap_or(0), costs().max().unwrap_or(0));
        }
        &self.rows[city.at()]
    }

    /// The least and the most that a move of a city costs.
    pub fn range(&mut self, city: CityIx, cost: impl Fn(CityIx) -> i64) -> (i64, i64) {
        self.reckon(city, cost);
        self.ranges[city.at()]
    }

    /// The cost of a move of a city that was reckoned last.
    #[inline]
    pub fn cost(&self, city: CityIx, other: CityIx) -> i64 {
        self.rows[city.at()][other.at()]
    }
}

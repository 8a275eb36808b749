//! Mismatch: which share of hires is lost because seekers and vacancies sit in different
//! cells (cities, occupations, or both).
//!
//! Source: Sahin, Song, Topa and Violante, "Mismatch unemployment" (2014). The index rises
//! with how finely the market is divided, so a number means nothing without its partition.

use super::{not_negative, total};
use crate::planning::figure::{Undefined, Value, finite, ratio};

/// The vacancy elasticity a where none is estimated: both pools count alike. A convention.
pub const ELASTICITY: f64 = 0.5;

/// One cell of the partition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// u: who seeks in it.
    pub seekers: f64,
    /// v: what is open in it.
    pub vacancies: f64,
    /// φ: matches per unit of the two pools' geometric mean; 1 in all cells for the plain index.
    pub efficiency: f64,
}

impl Cell {
    /// A cell as efficient as every other.
    pub fn new(seekers: f64, vacancies: f64) -> Self {
        Self { seekers, vacancies, efficiency: 1.0 }
    }
}

/// The mismatch index: M = 1 - Σ (φᵢ/φ̄)(vᵢ/v)^a (uᵢ/u)^(1-a) with
/// φ̄ = (Σ φᵢ^(1/a) vᵢ/v)^a, a share of hires from 0 (seekers are where the planner would put
/// them; with equal φ: in proportion to vacancies) to 1 (no cell has both).
///
/// # Errors
/// [`NoSeekers`](Undefined::NoSeekers), [`NoOpenings`](Undefined::NoOpenings),
/// [`Empty`](Undefined::Empty); [`ZeroDenominator`](Undefined::ZeroDenominator) if no cell
/// with vacancies matches anybody (φ = 0); [`OutOfRange`](Undefined::OutOfRange) unless
/// 0 < a < 1.
pub fn mismatch(cells: &[Cell], elasticity: f64) -> Value {
    let (seekers, vacancies) = pools(cells, elasticity)?;
    let best: f64 = cells
        .iter()
        .map(|cell| libm::pow(cell.efficiency, 1.0 / elasticity) * (cell.vacancies / vacancies))
        .sum();
    let best = libm::pow(best, elasticity);
    let reached: f64 = cells
        .iter()
        .map(|cell| {
            cell.efficiency
                * libm::pow(cell.vacancies / vacancies, elasticity)
                * libm::pow(cell.seekers / seekers, 1.0 - elasticity)
        })
        .sum();
    // Rounding may leave it a hair outside.
    ratio(reached, best, Undefined::ZeroDenominator).map(|share| (1.0 - share).clamp(0.0, 1.0))
}

/// Where a planner who could move seekers freely would have them seek:
/// uᵢ* = u φᵢ^(1/a) vᵢ / Σ φₖ^(1/a) vₖ, seekers by cell; they sum to all seekers.
///
/// # Errors
/// As [`mismatch`].
pub fn planner_allocation(cells: &[Cell], elasticity: f64) -> Result<Vec<f64>, Undefined> {
    let (seekers, _) = pools(cells, elasticity)?;
    let pull = |cell: &Cell| libm::pow(cell.efficiency, 1.0 / elasticity) * cell.vacancies;
    let all: f64 = cells.iter().map(pull).sum();
    let share = |cell| ratio(seekers * pull(cell), all, Undefined::ZeroDenominator);
    cells.iter().map(share).collect()
}

/// Hires that the planner's allocation would add to `hires`: h M/(1 - M), hires.
///
/// # Errors
/// [`ZeroDenominator`](Undefined::ZeroDenominator) at M = 1, where there are no hires to
/// compare with; [`OutOfRange`](Undefined::OutOfRange) outside 0..1.
pub fn hires_gained(hires: f64, mismatch: f64) -> Value {
    not_negative(mismatch)?;
    if mismatch > 1.0 {
        return Err(Undefined::OutOfRange);
    }
    ratio(not_negative(hires)? * mismatch, 1.0 - mismatch, Undefined::ZeroDenominator)
}

/// Sums of seekers and vacancies, both above 0.
fn pools(cells: &[Cell], elasticity: f64) -> Result<(f64, f64), Undefined> {
    if !(elasticity > 0.0 && elasticity < 1.0) {
        return Err(Undefined::OutOfRange);
    }
    total(cells.iter().map(|cell| cell.efficiency))?;
    let seekers = total(cells.iter().map(|cell| cell.seekers))?;
    let vacancies = total(cells.iter().map(|cell| cell.vacancies))?;
    match (seekers > 0.0, vacancies > 0.0) {
        (true, true) => Ok((finite(seekers)?, vacancies)),
        (true, false) => Err(Undefined::NoOpenings),
        (false, true) => Err(Undefined::NoSeekers),
        (false, false) => Err(Undefined::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;
    use proptest::prelude::*;

    fn cells<const N: usize>(seekers: [f64; N], vacancies: [f64; N]) -> Vec<Cell> {
        seekers.into_iter().zip(vacancies).map(|(u, v)| Cell::new(u, v)).collect()
    }

    /// Goal: the goldens 0.051317 (two cells), 0.142507 (unequal efficiency), 0.046939
    /// (three cells), at a = 0.5.
    #[test]
    fn goldens() {
        let two = cells([50.0, 50.0], [80.0, 20.0]);
        assert_near(mismatch(&two, 0.5), 0.051_317, 5e-7);
        let unequal = [two[0], Cell { efficiency: 0.5, ..two[1] }];
        assert_near(mismatch(&unequal, 0.5), 0.142_507, 5e-7);
        let three = cells([100.0, 40.0, 60.0], [90.0, 20.0, 10.0]);
        assert_near(mismatch(&three, 0.5), 0.046_939, 5e-7);
    }

    /// Goal: the planner leaves no mismatch and would hire what the index says. Method: the
    /// cell's hires are φ u^(1-a) v^a, before and after.
    #[test]
    fn the_planner_gains_what_the_index_says() {
        let a = 0.4;
        let mut now = cells([100.0, 40.0, 60.0], [90.0, 20.0, 10.0]);
        now[2].efficiency = 0.3;
        let hires = |cells: &[Cell]| -> f64 {
            let of =
                |c: &Cell| c.efficiency * libm::pow(c.seekers, 1.0 - a) * libm::pow(c.vacancies, a);
            cells.iter().map(of).sum()
        };
        let best = planner_allocation(&now, a).unwrap();
        assert!((best.iter().sum::<f64>() - 200.0).abs() < 1e-12);
        let moved: Vec<Cell> =
            now.iter().zip(best).map(|(cell, seekers)| Cell { seekers, ..*cell }).collect();
        assert_near(mismatch(&moved, a), 0.0, 1e-15);
        let index = mismatch(&now, a).unwrap();
        assert_near(hires_gained(hires(&now), index), hires(&moved) - hires(&now), 1e-10);
    }

    /// Goal: each edge gives its reason or its limit.
    #[test]
    fn edges() {
        assert_near(mismatch(&cells([1.0, 0.0], [0.0, 1.0]), 0.5), 1.0, 0.0);
        assert_eq!(hires_gained(0.0, 1.0), Err(Undefined::ZeroDenominator));
        assert_eq!(hires_gained(9.0, 1.1), Err(Undefined::OutOfRange));
        assert_near(hires_gained(90.0, 0.1), 10.0, 1e-12);
        assert_near(mismatch(&cells([7.0, 0.0], [5.0, 0.0]), 0.5), 0.0, 0.0);
        assert_eq!(mismatch(&cells([0.0], [1.0]), 0.5), Err(Undefined::NoSeekers));
        assert_eq!(mismatch(&cells([1.0], [0.0]), 0.5), Err(Undefined::NoOpenings));
        assert_eq!(mismatch(&[], 0.5), Err(Undefined::Empty));
        assert_eq!(mismatch(&cells([1.0], [1.0]), 1.0), Err(Undefined::OutOfRange));
        assert_eq!(mismatch(&cells([1.0], [-1.0]), 0.5), Err(Undefined::OutOfRange));
        let idle = [Cell { efficiency: 0.0, ..Cell::new(1.0, 1.0) }];
        assert_eq!(mismatch(&idle, 0.5), Err(Undefined::ZeroDenominator));
        assert_eq!(planner_allocation(&idle, 0.5), Err(Undefined::ZeroDenominator));
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(256))]
        /// Goal: the index lies in 0..1, does not depend on the units, rises (never falls)
        /// with refinement, and is 0 where shares are proportional. Method: random cells.
        #[test]
        fn laws(
            pools in prop::collection::vec((1.0..1e4_f64, 1.0..1e4_f64, 0.1..1.0_f64), 2..12),
            a in 0.1..0.9_f64,
        ) {
            let plain: Vec<Cell> = pools.iter().map(|(u, v, _)| Cell::new(*u, *v)).collect();
            let index = mismatch(&plain, a).unwrap();
            prop_assert!((0.0..=1.0).contains(&index));
            let scaled: Vec<Cell> =
                pools.iter().map(|(u, v, _)| Cell::new(3.0 * u, 0.2 * v)).collect();
            prop_assert!((mismatch(&scaled, a).unwrap() - index).abs() < 1e-12);
            let mut merged = plain.clone();
            let last = merged.pop().unwrap();
            merged[0].seekers += last.seekers;
            merged[0].vacancies += last.vacancies;
            prop_assert!(mismatch(&merged, a).unwrap() <= index + 1e-12);
            let proportional: Vec<Cell> = pools.iter().map(|(u, ..)| Cell::new(*u, 7.0 * u)).collect();
            prop_assert!(mismatch(&proportional, a).unwrap() < 1e-12);
            let uneven = pools.iter().any(|(u, v, _)| (u / v) / (pools[0].0 / pools[0].1) > 1.01);
            prop_assert!(!uneven || index > 0.0);
            let unequal: Vec<Cell> = pools
                .iter()
                .map(|(u, v, phi)| Cell { efficiency: *phi, ..Cell::new(*u, *v) })
                .collect();
            prop_assert!((0.0..=1.0).contains(&mismatch(&unequal, a).unwrap()));
        }
    }
}

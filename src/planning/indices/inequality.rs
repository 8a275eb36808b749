//! Disparity between cities, and how much of it lies between their regions.
//!
//! A city counts by its weight, as a rule its population; weight 1 for each makes the
//! unweighted indices.

use super::{not_negative, x_ln_x};
use crate::planning::figure::{Undefined, Value, finite, ratio};
use std::collections::BTreeMap;

/// A city's weight and what is compared, for example people and income per head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// p: how much it counts.
    pub weight: f64,
    /// y: what is compared, per unit of weight.
    pub value: f64,
}

impl Point {
    /// Points that all count the same.
    pub fn each(values: &[f64]) -> Vec<Self> {
        values.iter().map(|value| Self { weight: 1.0, value: *value }).collect()
    }
}

/// Theil's T and its exact split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Disparity between the groups' means.
    pub between: f64,
    /// Disparity within the groups, each by its share of all income.
    pub within: f64,
}

/// Theil's T: Σ (p/P)(y/ȳ) ln(y/ȳ), from 0 (all equal) to ln(P/p) where one city has all;
/// y = 0 adds its limit, 0. Source: Theil, *Economics and Information Theory* (1967).
///
/// # Errors
/// [`NoPopulation`](Undefined::NoPopulation) if nobody is there,
/// [`ZeroDenominator`](Undefined::ZeroDenominator) if nobody has anything.
pub fn theil(points: &[Point]) -> Value {
    let sums = Sums::of(points)?;
    let mean = sums.mean()?;
    let term = |point: &Point| point.weight / sums.weight * x_ln_x(point.value / mean);
    // Rounding may leave it a hair below 0.
    finite(points.iter().map(term).sum::<f64>().max(0.0))
}

/// Theil's T between groups and within them; the two sum to [`theil`] of all points.
/// Points come with the number of their group, for example their region's.
///
/// # Errors
/// As [`theil`].
pub fn theil_by_group(points: &[(u32, Point)]) -> Result<Split, Undefined> {
    let mut groups = BTreeMap::<u32, Vec<Point>>::new();
    for (group, point) in points {
        groups.entry(*group).or_default().push(*point);
    }
    let all: Vec<Point> = points.iter().map(|(_, point)| *point).collect();
    let sums = Sums::of(&all)?;
    let mean = sums.mean()?;
    let (mut between, mut within) = (0.0, 0.0);
    for group in groups.values() {
        let own = Sums::of_any(group)?;
        if own.income > 0.0 {
            let share = own.income / sums.income;
            between += share * libm::log(own.income / own.weight / mean);
            within += share * theil(group)?;
        }
    }
    Ok(Split { between: finite(between.max(0.0))?, within: finite(within)? })
}

/// Mean log deviation (Theil's L): Σ (p/P) ln(ȳ/y), 0 upwards.
///
/// # Errors
/// As [`theil`]; [`OutOfRange`](Undefined::OutOfRange) if somebody has nothing: it is then
/// infinite.
pub fn mean_log_deviation(points: &[Point]) -> Value {
    let sums = Sums::of(points)?;
    let mean = sums.mean()?;
    let counted = points.iter().filter(|point| point.weight > 0.0);
    let term = |point: &Point| point.weight / sums.weight * libm::log(mean / point.value);
    finite(counted.map(term).sum::<f64>().max(0.0))
}

/// Gini coefficient: Σᵢⱼ pᵢpⱼ|yᵢ - yⱼ|/(2P²ȳ), from 0 (all equal) to (n - 1)/n for n equal
/// weights, to 1 for others.
///
/// # Errors
/// As [`theil`].
pub fn gini(points: &[Point]) -> Value {
    let sums = Sums::of(points)?;
    sums.mean()?;
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (mut below, mut apart) = (Sums::default(), 0.0);
    for point in sorted {
        // How far everybody who has less is below this one, by their weights.
        apart += point.weight * (below.weight * point.value - below.income);
        below.add(point);
    }
    finite((apart / (sums.weight * sums.income)).max(0.0))
}

/// Williamson's V_w: √(Σ (p/P)(y - ȳ)²)/ȳ, the weighted coefficient of variation, from 0 (all
/// equal) upwards. Source: Williamson, "Regional inequality and the process of national
/// development" (1965).
///
/// # Errors
/// As [`theil`].
pub fn williamson(points: &[Point]) -> Value {
    let sums = Sums::of(points)?;
    let mean = sums.mean()?;
    let square =
        |point: &Point| point.weight / sums.weight * ((point.value - mean) * (point.value - mean));
    finite(libm::sqrt(points.iter().map(square).sum()) / mean)
}

/// Coefficient of variation: standard deviation (of the values as all there are, not as a
/// sample) by mean, 0 upwards.
///
/// # Errors
/// As [`theil`]; [`Empty`](Undefined::Empty) without values.
pub fn coefficient_of_variation(values: &[f64]) -> Value {
    if values.is_empty() {
        return Err(Undefined::Empty);
    }
    williamson(&Point::each(values))
}

#[derive(Clone, Copy, Default)]
struct Sums {
    weight: f64,
    income: f64,
}

impl Sums {
    /// Sums of points of which at least one counts.
    fn of(points: &[Point]) -> Result<Self, Undefined> {
        let sums = Self::of_any(points)?;
        if sums.weight == 0.0 { Err(Undefined::NoPopulation) } else { Ok(sums) }
    }

    fn of_any(points: &[Point]) -> Result<Self, Undefined> {
        let mut sums = Self::default();
        for point in points {
            not_negative(point.weight)?;
            not_negative(point.value)?;
            sums.add(*point);
        }
        not_negative(sums.weight)?;
        not_negative(sums.income)?;
        Ok(sums)
    }

    fn add(&mut self, point: Point) {
        self.weight += point.weight;
        self.income += point.weight * point.value;
    }

    /// The mean, above 0.
    fn mean(self) -> Value {
        match ratio(self.income, self.weight, Undefined::NoPopulation)? {
            0.0 => Err(Undefined::ZeroDenominator),
            mean => Ok(mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;
    use proptest::prelude::*;

    fn grouped(rows: &[(u32, f64)]) -> Vec<(u32, Point)> {
        rows.iter().map(|(group, value)| (*group, Point { weight: 1.0, value: *value })).collect()
    }

    /// Goal: the goldens of 1, 2, 3, 4: T 0.106440, L 0.121777, Gini 0.25, CV 0.447214; of the
    /// groups {1, 2} and {3, 4} between 0.082283, within 0.024157.
    #[test]
    fn goldens_of_four_values() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let points = Point::each(&values);
        assert_near(theil(&points), 0.106_440, 5e-7);
        assert_near(mean_log_deviation(&points), 0.121_777, 5e-7);
        assert_near(gini(&points), 0.25, 1e-15);
        assert_near(coefficient_of_variation(&values), 0.447_214, 5e-7);
        let split = theil_by_group(&grouped(&[(0, 1.0), (0, 2.0), (1, 3.0), (1, 4.0)])).unwrap();
        assert_near(Ok(split.between), 0.082_283, 5e-7);
        assert_near(Ok(split.within), 0.024_157, 5e-7);
    }

    /// Goal: PySAL's case: of 0, 0, 0, 10, 10, 10 in two groups T is ln 2, all of it between.
    #[test]
    fn golden_of_haves_and_have_nots() {
        let rows = [(0, 0.0), (0, 0.0), (0, 0.0), (1, 10.0), (1, 10.0), (1, 10.0)];
        let split = theil_by_group(&grouped(&rows)).unwrap();
        assert_near(Ok(split.between), libm::log(2.0), 1e-15);
        assert_near(Ok(split.within), 0.0, 0.0);
        let points: Vec<Point> = grouped(&rows).into_iter().map(|(_, point)| point).collect();
        assert_near(theil(&points), libm::log(2.0), 1e-15);
        assert_eq!(mean_log_deviation(&points), Err(Undefined::OutOfRange));
    }

    /// Goal: Williamson's golden: p = 0.5, 0.3, 0.2 and y = 10, 6, 4 give 0.328684.
    #[test]
    fn golden_of_williamson() {
        let points =
            [(0.5, 10.0), (0.3, 6.0), (0.2, 4.0)].map(|(weight, value)| Point { weight, value });
        assert_near(williamson(&points), 0.328_684, 5e-7);
    }

    /// Goal: the series that PySAL's documentation prints for income per head of Mexico's 32
    /// states, 1940 to 2000, to 1e-8: Theil, Theil between the regions of Hanson (1998), and the
    /// Gini coefficient of 1940. Method: its data (tests/data/mexico).
    #[test]
    fn mexico_as_pysal_prints_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mexico/mexico.csv");
        let mut reader = csv::Reader::from_path(path).unwrap();
        let region = reader.headers().unwrap().iter().position(|name| name == "hanson98").unwrap();
        let states: Vec<Vec<f64>> = reader
            .records()
            .map(|row| row.unwrap().iter().skip(1).map(|cell| cell.parse().unwrap()).collect())
            .collect();
        assert_eq!(states.len(), 32);
        let theils = [
            0.208_943_44,
            0.152_224_51,
            0.104_729_41,
            0.101_947_25,
            0.095_601_13,
            0.105_112_56,
            0.106_608_32,
        ];
        let betweens = [
            0.034_588_9,
            0.028_168_53,
            0.052_609_21,
            0.059_312_19,
            0.032_052_57,
            0.029_637_31,
            0.036_358_72,
        ];
        for decade in 0..7 {
            let rows: Vec<(u32, f64)> =
                states.iter().map(|state| (state[region - 1] as u32, state[decade])).collect();
            let points: Vec<Point> = grouped(&rows).into_iter().map(|(_, point)| point).collect();
            assert_near(theil(&points), theils[decade], 1e-8);
            let split = theil_by_group(&grouped(&rows)).unwrap();
            assert_near(Ok(split.between), betweens[decade], 1e-8);
        }
        let first: Vec<f64> = states.iter().map(|state| state[0]).collect();
        assert_near(gini(&Point::each(&first)), 0.353_723_711_734_528, 1e-12);
    }

    /// Goal: nobody, nothing, and one who has all.
    #[test]
    fn edges() {
        let all = [theil, gini, williamson, mean_log_deviation];
        for index in all {
            assert_eq!(index(&[]), Err(Undefined::NoPopulation));
            assert_eq!(index(&[Point { weight: 0.0, value: 3.0 }]), Err(Undefined::NoPopulation));
            assert_eq!(index(&Point::each(&[0.0, 0.0])), Err(Undefined::ZeroDenominator));
            assert_eq!(index(&Point::each(&[1.0, -1.0])), Err(Undefined::OutOfRange));
            assert_eq!(index(&Point::each(&[1.0, f64::NAN])), Err(Undefined::OutOfRange));
            assert_near(index(&Point::each(&[7.0])), 0.0, 0.0);
        }
        let one_has_all = Point::each(&[0.0, 0.0, 0.0, 8.0]);
        assert_near(theil(&one_has_all), libm::log(4.0), 1e-15);
        assert_near(gini(&one_has_all), 0.75, 1e-15);
        assert_near(williamson(&one_has_all), libm::sqrt(3.0), 1e-15);
        assert_eq!(coefficient_of_variation(&[]), Err(Undefined::Empty));
        assert_eq!(theil_by_group(&[]), Err(Undefined::NoPopulation));
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(256))]
        /// Goal: between and within sum to the total and neither is negative; Gini keeps its
        /// range and its definition; no index depends on units of weight or value, nor on whether
        /// a city is written as one or as two halves. Method: random points in random groups.
        #[test]
        fn laws(
            rows in prop::collection::vec((0_u32..4, 0.0..1e4_f64, 0.1..1e5_f64), 1..40),
            unit in 0.01..100.0_f64,
        ) {
            let grouped: Vec<(u32, Point)> = rows
                .iter()
                .map(|(group, weight, value)| {
                    (*group, Point { weight: weight + 1e-3, value: *value })
                })
                .collect();
            let points: Vec<Point> = grouped.iter().map(|(_, point)| *point).collect();
            let split = theil_by_group(&grouped).unwrap();
            let total = theil(&points).unwrap();
            prop_assert!((split.between + split.within - total).abs() < 1e-10);
            prop_assert!(split.between >= 0.0 && split.within >= 0.0);

            let values: Vec<f64> = points.iter().map(|point| point.value).collect();
            let n = values.len() as f64;
            let equal = gini(&Point::each(&values)).unwrap();
            prop_assert!(equal >= 0.0 && equal <= (n - 1.0) / n + 1e-12);
            let weighted = gini(&points).unwrap();
            prop_assert!((0.0..1.0).contains(&weighted));
            let sums = Sums::of(&points).unwrap();
            let pairs = points.iter().flat_map(|a| points.iter().map(move |b| (a, b)));
            let apart: f64 =
                pairs.map(|(a, b)| a.weight * b.weight * (a.value - b.value).abs()).sum();
            prop_assert!((apart / (2.0 * sums.weight * sums.income) - weighted).abs() < 1e-9);

            let scaled: Vec<Point> = points
                .iter()
                .map(|point| Point { weight: point.weight * 7.0, value: point.value * unit })
                .collect();
            let mut halved = points.clone();
            halved[0].weight /= 2.0;
            halved.push(halved[0]);
            for index in [theil, gini, williamson, mean_log_deviation] {
                let known = index(&points).unwrap();
                prop_assert!((index(&scaled).unwrap() - known).abs() < 1e-9);
                prop_assert!((index(&halved).unwrap() - known).abs() < 1e-9);
            }
        }
    }
}

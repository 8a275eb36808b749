//! How unequal cities are: in what the matched earn there, in tightness, in size.

use super::figure;
use crate::domain::Geography;
use crate::planning::census::{Census, Tally};
use crate::planning::figure::{Figure, Undefined, Value};
use crate::planning::indices::inequality::{Point, gini, theil, theil_by_group, williamson};
use crate::planning::indices::sizes::{primacy, primacy_ratio, rank_size};

/// Disparity of a mean between cities.
#[derive(Clone, Debug)]
pub struct Disparity {
    /// Theil's T.
    pub theil: Figure,
    /// Of it, between regions.
    pub theil_between: Figure,
    /// Of it, within regions.
    pub theil_within: Figure,
    /// Gini coefficient.
    pub gini: Figure,
    /// Williamson's coefficient of variation.
    pub williamson: Figure,
}

/// How people are spread over cities.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Exponent of the rank-size rule.
    pub zipf: Figure,
    /// Its standard error.
    pub zipf_standard_error: Figure,
    /// Share of the largest city.
    pub primacy: Figure,
    /// The largest city against the second.
    pub primacy_ratio: Figure,
    /// Gini coefficient.
    pub gini: Figure,
}

/// Of the mean real pay of the matched pairs whose job is there.
pub fn pay(census: &Census, geography: &Geography) -> Disparity {
    let of_city = |tally: &Tally| (tally.pairs, tally.real_pay as f64);
    disparity(census, geography, ("pairs", "real_pay"), of_city, Undefined::NoMatches)
}

/// Of tightness.
pub fn tightness(census: &Census, geography: &Geography) -> Disparity {
    let of_city = |tally: &Tally| (tally.seekers(), tally.openings as f64);
    disparity(census, geography, ("seekers", "openings"), of_city, Undefined::NoSeekers)
}

/// Disparity of sum / weight between the cities that have a weight.
fn disparity(
    census: &Census,
    geography: &Geography,
    (weight_name, sum_name): (&'static str, &'static str),
    of_city: impl Fn(&Tally) -> (u64, f64),
    nobody: Undefined,
) -> Disparity {
    let (mut points, mut weights, mut sums) = (Vec::new(), 0.0, 0.0);
    for (tally, city) in census.cities.iter().zip(&geography.cities) {
        let (weight, sum) = of_city(tally);
        if weight > 0 {
            let weight = weight as f64;
            let region = city.region.map_or(u32::MAX, |region| region.at() as u32);
            points.push((region, Point { weight, value: sum / weight }));
            weights += weight;
            sums += sum;
        }
    }
    let inputs = [("cities", points.len() as f64), (weight_name, weights), (sum_name, sums)];
    let measured = |value: Value| {
        let value = value.map_err(|why| if why == Undefined::NoPopulation { nobody } else { why });
        figure(value, &inputs)
    };
    let split = theil_by_group(&points);
    let points: Vec<Point> = points.into_iter().map(|(_, point)| point).collect();
    Disparity {
        theil: measured(theil(&points)),
        theil_between: measured(split.map(|split| split.between)),
        theil_within: measured(split.map(|split| split.within)),
        gini: measured(gini(&points)),
        williamson: measured(williamson(&points)),
    }
}

/// Of population over the cities that have any.
pub fn sizes(geography: &Geography) -> Sizes {
    let populations = geography.cities.iter().map(|city| city.population as f64);
    let populations: Vec<f64> = populations.filter(|population| *population > 0.0).collect();
    let all = populations.iter().sum();
    let mut largest = populations.clone();
    largest.sort_by(|a, b| b.total_cmp(a));
    let place = |at: usize| largest.get(at).copied().unwrap_or(0.0);
    let cities = ("cities", populations.len() as f64);
    let (first, second) = (("largest", place(0)), ("second", place(1)));
    let fitted = rank_size(&populations);
    let all = ("population", all);
    Sizes {
        zipf: figure(fitted.map(|fitted| fitted.exponent), &[cities, all]),
        zipf_standard_error: figure(fitted.map(|fitted| fitted.standard_error), &[cities, all]),
        primacy: figure(primacy(&populations), &[first, all]),
        primacy_ratio: figure(primacy_ratio(&populations), &[first, second]),
        gini: figure(gini(&Point::each(&populations)), &[cities, all]),
    }
}

//! Vacancies per seeker, the Beveridge curve's two rates, and the matching function.

use super::{not_negative, total};
use crate::planning::figure::{Undefined, Value, finite, ratio};
use std::collections::BTreeMap;

/// Market tightness, vacancies per seeker: θ = V/U, 0 upwards.
///
/// For several cities give the sums: the aggregate is ΣV/ΣU, not a mean of ratios.
/// Source: Pissarides, *Equilibrium Unemployment Theory* (2000).
///
/// # Errors
/// [`NoSeekers`](Undefined::NoSeekers) if only vacancies are there,
/// [`Empty`](Undefined::Empty) if there is nothing.
pub fn tightness(vacancies: f64, seekers: f64) -> Value {
    match (not_negative(vacancies)?, not_negative(seekers)?) {
        (0.0, 0.0) => Err(Undefined::Empty),
        (_, 0.0) => Err(Undefined::NoSeekers),
        (vacancies, seekers) => finite(vacancies / seekers),
    }
}

/// Unemployment rate, a share of the labour force: u = U/(U + E), 0..1.
///
/// # Errors
/// [`Empty`](Undefined::Empty) without a labour force.
pub fn unemployment_rate(unemployed: f64, employed: f64) -> Value {
    ratio(unemployed, total([unemployed, employed])?, Undefined::Empty)
}

/// Vacancy rate, a share of all jobs: v = V/(V + E), 0..1.
///
/// # Errors
/// [`Empty`](Undefined::Empty) without jobs.
pub fn vacancy_rate(vacancies: f64, employed: f64) -> Value {
    ratio(vacancies, total([vacancies, employed])?, Undefined::Empty)
}

/// Shift of the Beveridge curve between two times as the change of the matching function's
/// log efficiency: ln φ₁ - ln φ₀, where φ = m/(U^(1-a) V^a). Above 0 more is matched from
/// the same pools.
///
/// # Errors
/// Those of [`efficiency`], and [`NoMatches`](Undefined::NoMatches) if nobody is matched at
/// one of the times.
pub fn beveridge_shift(before: Pools, after: Pools, elasticity: f64) -> Value {
    let (before, after) = (efficiency(before, elasticity)?, efficiency(after, elasticity)?);
    if before == 0.0 || after == 0.0 {
        return Err(Undefined::NoMatches);
    }
    finite(libm::log(after) - libm::log(before))
}

/// Two pools and what was matched from them in a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pools {
    /// Who sought.
    pub seekers: f64,
    /// Openings that were free.
    pub vacancies: f64,
    /// Matches made.
    pub matches: f64,
}

/// Matching efficiency: φ = m/(U^(1-a) V^a), matches per unit of the two pools' geometric
/// mean, 0 upwards. Source: Petrongolo and Pissarides, "Looking into the black box" (2001).
///
/// # Errors
/// [`NoSeekers`](Undefined::NoSeekers), [`NoOpenings`](Undefined::NoOpenings),
/// [`Empty`](Undefined::Empty); [`OutOfRange`](Undefined::OutOfRange) unless 0 < a < 1.
pub fn efficiency(pools: Pools, elasticity: f64) -> Value {
    if !(elasticity > 0.0 && elasticity < 1.0) {
        return Err(Undefined::OutOfRange);
    }
    let theta = tightness(pools.vacancies, pools.seekers)?;
    if theta == 0.0 {
        return Err(Undefined::NoOpenings);
    }
    finite(not_negative(pools.matches)? / (pools.seekers * libm::pow(theta, elasticity)))
}

/// What [`matching_function`] estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchingFunction {
    /// a: by how many per cent matches rise with one per cent more vacancies.
    pub elasticity: f64,
    /// Its standard error; classical for least squares, robust (HC0) for Poisson.
    pub standard_error: f64,
    /// Least squares: the share of the variance within cities that is explained. Poisson:
    /// the squared correlation of matches and fitted matches.
    pub r_squared: Value,
    /// Observations used.
    pub observations: usize,
}

/// The matching function m = φ U^(1-a) V^a with an efficiency of its own for each city:
/// ln(m/U) = ln φ_city + a ln θ, by least squares on deviations from each city's mean. Where
/// somebody observed no matches at all there is no logarithm, and the same function is
/// estimated by Poisson pseudo-maximum likelihood (Santos Silva and Tenreyro, 2006).
///
/// `observations` are (city, pools) by city and period.
///
/// # Errors
/// [`TooFew`](Undefined::TooFew) with fewer than three different tightnesses, or no more
/// observations than cities and a; [`ZeroDenominator`](Undefined::ZeroDenominator) if
/// tightness never varies within a city; [`NoMatches`](Undefined::NoMatches) if there are
/// none at all; as [`tightness`] where a pool is empty.
pub fn matching_function(observations: &[(u32, Pools)]) -> Result<MatchingFunction, Undefined> {
    let mut log_tightness = Vec::with_capacity(observations.len());
    for (_, pools) in observations {
        not_negative(pools.matches)?;
        match tightness(pools.vacancies, pools.seekers)? {
            0.0 => return Err(Undefined::NoOpenings),
            theta => log_tightness.push(libm::log(theta)),
        }
    }
    let cities: BTreeMap<u32, Vec<usize>> = by_city(observations);
    let mut distinct = log_tightness.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    if distinct.len() < 3 || observations.len() <= cities.len() + 1 {
        return Err(Undefined::TooFew);
    }
    if observations.iter().all(|(_, pools)| pools.matches == 0.0) {
        return Err(Undefined::NoMatches);
    }
    if observations.iter().any(|(_, pools)| pools.matches == 0.0) {
        poisson(observations, &log_tightness, &cities)
    } else {
        least_squares(observations, &log_tightness, &cities)
    }
}

fn by_city(observations: &[(u32, Pools)]) -> BTreeMap<u32, Vec<usize>> {
    let mut cities = BTreeMap::<_, Vec<_>>::new();
    for (at, (city, _)) in observations.iter().enumerate() {
        cities.entry(*city).or_default().push(at);
    }
    cities
}

fn least_squares(
    observations: &[(u32, Pools)],
    log_tightness: &[f64],
    cities: &BTreeMap<u32, Vec<usize>>,
) -> Result<MatchingFunction, Undefined> {
    let rates: Vec<f64> =
        observations.iter().map(|(_, pools)| libm::log(pools.matches / pools.seekers)).collect();
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for members in cities.values() {
        let mean =
            |of: &[f64]| members.iter().map(|at| of[*at]).sum::<f64>() / members.len() as f64;
        let (x_mean, y_mean) = (mean(log_tightness), mean(&rates));
        for at in members {
            let (x, y) = (log_tightness[*at] - x_mean, rates[*at] - y_mean);
            xx += x * x;
            xy += x * y;
            yy += y * y;
        }
    }
    if varies_not(xx, log_tightness) {
        return Err(Undefined::ZeroDenominator);
    }
    let elasticity = xy / xx;
    let unexplained = (yy - elasticity * xy).max(0.0);
    let freedom = (observations.len() - cities.len() - 1) as f64;
    Ok(MatchingFunction {
        elasticity: finite(elasticity)?,
        standard_error: finite(libm::sqrt(unexplained / freedom / xx))?,
        r_squared: ratio(yy - unexplained, yy, Undefined::ZeroDenominator),
        observations: observations.len(),
    })
}

/// Newton's method on the likelihood in which each city's efficiency is at its best; it is
/// concave in a.
fn poisson(
    observations: &[(u32, Pools)],
    log_tightness: &[f64],
    cities: &BTreeMap<u32, Vec<usize>>,
) -> Result<MatchingFunction, Undefined> {
    let mut elasticity = 0.5;
    for _ in 0..100 {
        let fit = Fit::of(elasticity, observations, log_tightness, cities);
        if varies_not(fit.information, log_tightness) {
            return Err(Undefined::ZeroDenominator);
        }
        let step = (fit.score / fit.information).clamp(-1.0, 1.0);
        elasticity += step;
        if step.abs() < 1e-12 * elasticity.abs().max(1.0) {
            let fitted: Vec<(f64, f64)> =
                observations.iter().map(|(_, pools)| pools.matches).zip(fit.fitted).collect();
            return Ok(MatchingFunction {
                elasticity: finite(elasticity)?,
                standard_error: finite(libm::sqrt(fit.squares) / fit.information)?,
                r_squared: squared_correlation(&fitted),
                observations: observations.len(),
            });
        }
    }
    // Matches that grow or fall without bound in tightness have no best a.
    Err(Undefined::OutOfRange)
}

/// The Poisson likelihood's derivatives at one a.
struct Fit {
    score: f64,
    information: f64,
    /// Sum of the observations' squared scores.
    squares: f64,
    fitted: Vec<f64>,
}

impl Fit {
    fn of(
        elasticity: f64,
        observations: &[(u32, Pools)],
        log_tightness: &[f64],
        cities: &BTreeMap<u32, Vec<usize>>,
    ) -> Self {
        let mut fit = Self {
            score: 0.0,
            information: 0.0,
            squares: 0.0,
            fitted: vec![0.0; observations.len()],
        };
        for members in cities.values() {
            let raw =
                |at: usize| observations[at].1.seekers * libm::exp(elasticity * log_tightness[at]);
            let all: f64 = members.iter().map(|at| raw(*at)).sum();
            let matches: f64 = members.iter().map(|at| observations[*at].1.matches).sum();
            let mean: f64 =
                members.iter().map(|at| raw(*at) * log_tightness[*at]).sum::<f64>() / all;
            for at in members {
                let fitted = matches * raw(*at) / all;
                let deviation = log_tightness[*at] - mean;
                let score = (observations[*at].1.matches - fitted) * deviation;
                fit.fitted[*at] = fitted;
                fit.score += score;
                fit.squares += score * score;
                fit.information += fitted * deviation * deviation;
            }
        }
        fit
    }
}

/// Whether a sum of squared deviations is nothing but rounding.
fn varies_not(squares: f64, values: &[f64]) -> bool {
    let size: f64 = values.iter().map(|x| x * x).sum();
    squares <= 1e-20 * size
}

fn squared_correlation(pairs: &[(f64, f64)]) -> Value {
    let n = pairs.len() as f64;
    let (x_mean, y_mean) =
        (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xx += (x - x_mean) * (x - x_mean);
        xy += (x - x_mean) * (y - y_mean);
        yy += (y - y_mean) * (y - y_mean);
    }
    ratio(xy * xy, xx * yy, Undefined::ZeroDenominator)
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;

    /// Goal: tightness says why it has no value. Method: the four corners.
    #[test]
    fn tightness_at_its_edges() {
        assert_near(tightness(30.0, 40.0), 0.75, 0.0);
        assert_near(tightness(0.0, 40.0), 0.0, 0.0);
        assert_eq!(tightness(3.0, 0.0), Err(Undefined::NoSeekers));
        assert_eq!(tightness(0.0, 0.0), Err(Undefined::Empty));
        assert_eq!(tightness(-1.0, 2.0), Err(Undefined::OutOfRange));
        assert_eq!(tightness(f64::NAN, 2.0), Err(Undefined::OutOfRange));
    }

    /// Goal: the rates are shares of the labour force and of all jobs.
    #[test]
    fn rates() {
        assert_near(unemployment_rate(5.0, 95.0), 0.05, 1e-15);
        assert_near(vacancy_rate(5.0, 15.0), 0.25, 1e-15);
        assert_eq!(unemployment_rate(0.0, 0.0), Err(Undefined::Empty));
        assert_eq!(vacancy_rate(0.0, 0.0), Err(Undefined::Empty));
        assert_eq!(vacancy_rate(5.0, -5.0), Err(Undefined::OutOfRange));
    }

    fn made(efficiency: f64, seekers: f64, vacancies: f64, elasticity: f64) -> Pools {
        let matches =
            efficiency * libm::pow(seekers, 1.0 - elasticity) * libm::pow(vacancies, elasticity);
        Pools { seekers, vacancies, matches }
    }

    /// Goal: efficiency and shift undo the function. Method: matches made by it.
    #[test]
    fn efficiency_and_shift() {
        assert_near(efficiency(made(0.6, 80.0, 30.0, 0.4), 0.4), 0.6, 1e-14);
        let shift = beveridge_shift(made(0.5, 80.0, 30.0, 0.4), made(0.6, 60.0, 90.0, 0.4), 0.4);
        assert_near(shift, libm::log(1.2), 1e-14);
        let none = Pools { seekers: 1.0, vacancies: 1.0, matches: 0.0 };
        assert_eq!(beveridge_shift(none, none, 0.5), Err(Undefined::NoMatches));
        assert_eq!(efficiency(Pools { vacancies: 0.0, ..none }, 0.5), Err(Undefined::NoOpenings));
        assert_eq!(efficiency(Pools { seekers: 0.0, ..none }, 0.5), Err(Undefined::NoSeekers));
        assert_eq!(efficiency(none, 1.0), Err(Undefined::OutOfRange));
    }

    /// Goal: the estimate finds the function that made the data, whatever the cities'
    /// efficiencies. Method: exact data of two cities, by both estimators.
    #[test]
    fn both_estimators_find_the_function_again() {
        let data: Vec<(u32, Pools)> = (1..=6)
            .flat_map(|period| {
                let vacancies = 10.0 * f64::from(period * period);
                [(0, made(0.5, 100.0, vacancies, 0.4)), (7, made(0.8, 300.0, vacancies, 0.4))]
            })
            .collect();
        let found = matching_function(&data).unwrap();
        assert!((found.elasticity - 0.4).abs() < 1e-12);
        assert!(found.standard_error < 1e-7);
        assert_near(found.r_squared, 1.0, 1e-12);
        assert_eq!(found.observations, 12);

        let logs: Vec<f64> =
            data.iter().map(|(_, pools)| libm::log(pools.vacancies / pools.seekers)).collect();
        let found = poisson(&data, &logs, &by_city(&data)).unwrap();
        assert!((found.elasticity - 0.4).abs() < 1e-12);
        assert!(found.standard_error < 1e-9);
    }

    /// Goal: standard error and R² are those of the textbook. Method: four points of one city
    /// worked by hand: x = 0, 1, 2, 3; y = 1, 3, 4, 8: slope 2.2, residual sum 1.8.
    #[test]
    fn least_squares_by_hand() {
        let data = [(0.0, 1.0), (1.0, 3.0), (2.0, 4.0), (3.0, 8.0)].map(|(x, y)| {
            (0, Pools { seekers: 1.0, vacancies: libm::exp(x), matches: libm::exp(y) })
        });
        let found = matching_function(&data).unwrap();
        assert!((found.elasticity - 2.2).abs() < 1e-12);
        assert!((found.standard_error - libm::sqrt(0.9 / 5.0)).abs() < 1e-12);
        assert_near(found.r_squared, 24.2 / 26.0, 1e-12);
    }

    /// Goal: the score of the Poisson estimate is 0 and a city without matches does no harm.
    /// Method: data with zeros; the first-order condition is computed anew.
    #[test]
    fn poisson_where_nobody_matched() {
        let row = |city, seekers, vacancies, matches| (city, Pools { seekers, vacancies, matches });
        let data = [
            row(0, 10.0, 2.0, 0.0),
            row(0, 10.0, 6.0, 3.0),
            row(0, 10.0, 12.0, 4.0),
            row(1, 50.0, 20.0, 9.0),
            row(1, 50.0, 70.0, 15.0),
            row(2, 5.0, 1.0, 0.0),
            row(2, 5.0, 3.0, 0.0),
        ];
        let found = matching_function(&data).unwrap();
        let logs: Vec<f64> = data.iter().map(|(_, p)| libm::log(p.vacancies / p.seekers)).collect();
        let fit = Fit::of(found.elasticity, &data, &logs, &by_city(&data));
        assert!(fit.score.abs() < 1e-9, "{}", fit.score);
        assert!((fit.fitted[..3].iter().sum::<f64>() - 7.0).abs() < 1e-12);
        assert!(found.elasticity > 0.0 && found.standard_error > 0.0);
    }

    /// Goal: too little data is said to be too little.
    #[test]
    fn the_function_at_its_edges() {
        let point = |city, vacancies| (city, Pools { seekers: 10.0, vacancies, matches: 1.0 });
        let two = [point(0, 1.0), point(0, 2.0), point(0, 1.0), point(0, 2.0)];
        assert_eq!(matching_function(&two), Err(Undefined::TooFew));
        let one_each = [point(0, 1.0), point(1, 2.0), point(2, 3.0)];
        assert_eq!(matching_function(&one_each), Err(Undefined::TooFew));
        let constant: Vec<_> = (0..9).map(|at| point(at / 3, f64::from(at / 3 + 1))).collect();
        assert_eq!(matching_function(&constant), Err(Undefined::ZeroDenominator));
        assert_eq!(matching_function(&[]), Err(Undefined::TooFew));
        let mut none = [point(0, 1.0), point(0, 2.0), point(0, 3.0)];
        none.iter_mut().for_each(|(_, pools)| pools.matches = 0.0);
        assert_eq!(matching_function(&none), Err(Undefined::NoMatches));
        assert_eq!(matching_function(&[point(0, 0.0)]), Err(Undefined::NoOpenings));
    }
}

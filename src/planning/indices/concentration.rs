//! Whether an industry's plants cluster more than plants thrown at random would.

use super::total;
use crate::planning::figure::{Undefined, Value, ratio};

/// A plant of an industry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plant {
    /// The city it is in: a position in the cities' sizes.
    pub city: usize,
    /// Its employment, jobs.
    pub jobs: f64,
}

/// Ellison and Glaeser's index of an industry, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EllisonGlaeser {
    /// γ = (G - (1 - Σ x²)H)/((1 - Σ x²)(1 - H)): 0 if plants are where chance would put them,
    /// above 0 if they cluster, at most 1; below 0 if they avoid one another.
    pub gamma: Value,
    /// G = Σ (s - x)²: raw concentration, s being the industry's shares by city.
    pub raw: f64,
    /// H: the sum of the plants' squared shares of the industry.
    pub herfindahl: f64,
}

/// Ellison and Glaeser, "Geographic concentration in U.S. manufacturing industries" (1997),
/// from the industry's plants and all employment by city.
///
/// `gamma` is [`ZeroDenominator`](Undefined::ZeroDenominator) with one plant or one city.
///
/// # Errors
/// [`Empty`](Undefined::Empty) if the industry or all cities are empty.
///
/// # Panics
/// If a plant's city is not among the cities.
pub fn ellison_glaeser(plants: &[Plant], cities: &[f64]) -> Result<EllisonGlaeser, Undefined> {
    let industry = total(plants.iter().map(|plant| plant.jobs))?;
    let all = total(cities.iter().copied())?;
    if industry == 0.0 || all == 0.0 {
        return Err(Undefined::Empty);
    }
    let mut jobs = vec![0.0; cities.len()];
    let mut herfindahl = 0.0;
    for plant in plants {
        jobs[plant.city] += plant.jobs;
        herfindahl += (plant.jobs / industry) * (plant.jobs / industry);
    }
    let (mut raw, mut squares) = (0.0, 0.0);
    for (here, city) in jobs.iter().zip(cities) {
        let (s, x) = (here / industry, city / all);
        raw += (s - x) * (s - x);
        squares += x * x;
    }
    let free = 1.0 - squares;
    let gamma =
        ratio(raw - free * herfindahl, free * (1.0 - herfindahl), Undefined::ZeroDenominator);
    Ok(EllisonGlaeser { gamma, raw, herfindahl })
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;
    use proptest::prelude::*;

    fn plant(city: usize, jobs: f64) -> Plant {
        Plant { city, jobs }
    }

    /// Goal: the golden: plants of 50 and 30 in one city, 20 and 10 in the other, cities of
    /// equal size: H 0.322314, G 0.103306, γ -0.170732.
    #[test]
    fn golden() {
        let plants = [plant(0, 50.0), plant(0, 30.0), plant(1, 20.0), plant(1, 10.0)];
        let found = ellison_glaeser(&plants, &[500.0, 500.0]).unwrap();
        assert_near(Ok(found.herfindahl), 0.322_314, 5e-7);
        assert_near(Ok(found.raw), 0.103_306, 5e-7);
        assert_near(found.gamma, -0.170_732, 5e-7);
    }

    /// Goal: one plant, or one city, has no index; nothing has nothing.
    #[test]
    fn edges() {
        let gamma = |plants: &[Plant], cities: &[f64]| {
            ellison_glaeser(plants, cities).and_then(|found| found.gamma)
        };
        let two = [plant(0, 5.0), plant(0, 5.0)];
        assert_eq!(gamma(&two[..1], &[1.0, 1.0]), Err(Undefined::ZeroDenominator));
        assert_eq!(gamma(&two, &[7.0]), Err(Undefined::ZeroDenominator));
        assert_eq!(gamma(&two, &[7.0, 0.0]), Err(Undefined::ZeroDenominator));
        assert_eq!(gamma(&[], &[7.0, 1.0]), Err(Undefined::Empty));
        assert_eq!(gamma(&two, &[0.0, 0.0]), Err(Undefined::Empty));
        assert_eq!(gamma(&[plant(0, -1.0)], &[1.0, 1.0]), Err(Undefined::OutOfRange));
    }

    /// Goal: an industry of countless small plants in one city is as clustered as can be: G =
    /// 1 - Σ x² needs x = 0 there, and γ tends to 1.
    #[test]
    fn one_cluster() {
        let plants = vec![plant(0, 1.0); 100_000];
        let found = ellison_glaeser(&plants, &[1e-9, 1.0]).unwrap();
        assert!(found.gamma.unwrap() > 0.999, "{found:?}");
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(256))]
        /// Goal: plants thrown at the cities by size have γ = 0 on average: the index's own
        /// definition. Method: the exact mean over all placements of three plants in two cities.
        #[test]
        fn chance_has_index_zero(sizes in prop::array::uniform3(1.0..9.0_f64), x in 0.1..0.9_f64) {
            let mut mean = 0.0;
            for placed in 0..8_usize {
                let city = |at: usize| placed >> at & 1;
                let plants: Vec<Plant> = (0..3).map(|at| plant(city(at), sizes[at])).collect();
                let chance: f64 = (0..3).map(|at| if city(at) == 0 { x } else { 1.0 - x }).product();
                let found = ellison_glaeser(&plants, &[x, 1.0 - x]).unwrap();
                mean += chance * found.gamma.unwrap();
            }
            prop_assert!(mean.abs() < 1e-12, "{mean}");
        }
    }
}

//! What a city is strong in, how varied it is, and how alike two cities are, from
//! employment (or any other size) by sector.

use super::{not_negative, total, x_ln_x};
use crate::planning::figure::{Undefined, Value, finite, ratio};

/// Location quotient: LQ = (E_cs/E_c)/(E_s/E), 0 upwards; above 1 the city has more of the
/// sector than all cities together. Its mean over cities, weighted by their size, is 1.
/// Sources: Hoover (1936); the same as Balassa's revealed comparative advantage (1965).
///
/// `here` is the sector in the city, `city` the city, `sector` the sector everywhere, `all`
/// everything.
///
/// # Errors
/// [`Empty`](Undefined::Empty) if the city or everything is empty,
/// [`ZeroDenominator`](Undefined::ZeroDenominator) if the sector is nowhere.
pub fn location_quotient(here: f64, city: f64, sector: f64, all: f64) -> Value {
    total([here, city, sector, all])?;
    let (share, everywhere) =
        (ratio(here, city, Undefined::Empty)?, ratio(sector, all, Undefined::Empty)?);
    ratio(share, everywhere, Undefined::ZeroDenominator)
}

/// Krugman's specialisation index: KSI = Σₛ |x_cs - x_s| over sector shares, from 0 (the
/// reference's mix) to 2 (nothing in common). Source: Krugman, *Geography and Trade* (1991).
///
/// # Errors
/// [`Empty`](Undefined::Empty) if the city or the reference is empty.
///
/// # Panics
/// If the two are not of one length.
pub fn krugman(city: &[f64], reference: &[f64]) -> Value {
    let differences = pairs_of_shares(city, reference)?.into_iter().map(|(x, y)| (x - y).abs());
    finite(differences.sum())
}

/// Hoover's index: half of Krugman's, 0..1, the share of the city's jobs that would have to
/// change sector for its mix to be the reference's.
///
/// # Errors
/// As [`krugman`].
///
/// # Panics
/// As [`krugman`].
pub fn hoover(city: &[f64], reference: &[f64]) -> Value {
    krugman(city, reference).map(|index| index / 2.0)
}

/// Herfindahl-Hirschman index: Σ s², from 1/n (all n sectors equal) to 1 (one sector).
///
/// # Errors
/// [`Empty`](Undefined::Empty) if there is nothing.
pub fn herfindahl(sizes: &[f64]) -> Value {
    finite(shares(sizes)?.into_iter().map(|share| share * share).sum())
}

/// Shannon's entropy: H = -Σ s ln s in nats, from 0 (one sector) to ln n; an absent sector
/// adds 0.
///
/// # Errors
/// [`Empty`](Undefined::Empty) if there is nothing.
pub fn shannon(sizes: &[f64]) -> Value {
    // The sum is -0 where everything is in one sector.
    finite(shares(sizes)?.into_iter().map(x_ln_x).sum::<f64>().abs())
}

/// Hachman's index of diversity: 1/Σₛ LQ_cs x_cs, above 0 and up to 1, the reference's mix.
///
/// # Errors
/// [`Empty`](Undefined::Empty) if the city or the reference is empty,
/// [`ZeroDenominator`](Undefined::ZeroDenominator) if the reference lacks a sector of the city.
///
/// # Panics
/// If the two are not of one length.
pub fn hachman(city: &[f64], reference: &[f64]) -> Value {
    let mut sum = 0.0;
    for (here, everywhere) in pairs_of_shares(city, reference)? {
        if here > 0.0 {
            sum += here * ratio(here, everywhere, Undefined::ZeroDenominator)?;
        }
    }
    finite(1.0 / sum)
}

/// Structural similarity of two cities: Σ x_c x_d/√(Σ x_c² Σ x_d²), the cosine of their
/// sector mixes, from 0 (no sector in common) to 1 (the same mix).
///
/// # Errors
/// [`Empty`](Undefined::Empty) if one of them is empty.
///
/// # Panics
/// If the two are not of one length.
pub fn similarity(city: &[f64], other: &[f64]) -> Value {
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs_of_shares(city, other)? {
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    finite((xy / libm::sqrt(xx * yy)).min(1.0))
}

/// When investment of a city in a sector repeats what a neighbour has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Redundancy {
    /// Structural similarity above which neighbours count as alike.
    pub similarity: f64,
    /// Location quotient below which the city has no strength in the sector.
    pub quotient: f64,
}

impl Default for Redundancy {
    /// Similarity 0.9, quotient 1: conventions, to be set as the planner sees fit.
    fn default() -> Self {
        Self { similarity: 0.9, quotient: 1.0 }
    }
}

impl Redundancy {
    /// Whether new investment in a sector is to be flagged: the city's mix is like its
    /// neighbour's, and the sector is not among the city's strengths.
    ///
    /// # Errors
    /// Of either input, where that is undefined.
    pub fn alerts(self, similarity: Value, quotient: Value) -> Result<bool, Undefined> {
        Ok(similarity? > self.similarity && quotient? < self.quotient)
    }
}

/// Sizes as shares of their sum.
fn shares(sizes: &[f64]) -> Result<Vec<f64>, Undefined> {
    let all = total(sizes.iter().copied())?;
    if all == 0.0 {
        return Err(Undefined::Empty);
    }
    sizes.iter().map(|size| not_negative(size / all)).collect()
}

/// Shares of two mixes, sector by sector.
fn pairs_of_shares(city: &[f64], other: &[f64]) -> Result<Vec<(f64, f64)>, Undefined> {
    assert_eq!(city.len(), other.len(), "both are by sector");
    Ok(shares(city)?.into_iter().zip(shares(other)?).collect())
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;
    use proptest::prelude::*;

    /// Goal: the goldens of E = [[80, 20], [30, 70]]: LQ [[1.4545, 0.4444], [0.5455, 1.5556]],
    /// KSI 0.5 and 0.5, Hoover half of it.
    #[test]
    fn goldens() {
        let all = [110.0, 90.0];
        let cities = [[80.0, 20.0], [30.0, 70.0]];
        let known = [[1.4545, 0.4444], [0.5455, 1.5556]];
        for (city, known) in cities.iter().zip(known) {
            for sector in 0..2 {
                let quotient = location_quotient(city[sector], 100.0, all[sector], 200.0);
                assert_near(quotient, known[sector], 5e-5);
            }
            assert_near(krugman(city, &all), 0.5, 1e-15);
            assert_near(hoover(city, &all), 0.25, 1e-15);
        }
    }

    /// Goal: the other indices at mixes worked by hand.
    #[test]
    fn by_hand() {
        let (city, all) = ([80.0, 20.0], [110.0, 90.0]);
        assert_near(herfindahl(&city), 0.68, 1e-15);
        assert_near(shannon(&city), -(0.8 * libm::log(0.8) + 0.2 * libm::log(0.2)), 1e-15);
        assert_near(hachman(&city, &all), 1.0 / (0.64 / 0.55 + 0.04 / 0.45), 1e-14);
        let cosine = (0.8 * 0.3 + 0.2 * 0.7) / libm::sqrt(0.68 * 0.58);
        assert_near(similarity(&city, &[30.0, 70.0]), cosine, 1e-15);
    }

    /// Goal: each index at both ends of its range.
    #[test]
    fn ends_of_the_ranges() {
        let (one, even) = ([5.0, 0.0, 0.0, 0.0], [2.0; 4]);
        assert_near(herfindahl(&one), 1.0, 0.0);
        assert_near(herfindahl(&even), 0.25, 0.0);
        assert_near(shannon(&one), 0.0, 0.0);
        assert!(shannon(&one).unwrap().is_sign_positive());
        assert_near(shannon(&even), libm::log(4.0), 1e-15);
        assert_near(hachman(&even, &even), 1.0, 0.0);
        assert_near(hachman(&one, &even), 0.25, 0.0);
        assert_near(krugman(&one, &[0.0, 1.0, 1.0, 1.0]), 2.0, 1e-15);
        assert_near(similarity(&one, &[0.0, 1.0, 1.0, 1.0]), 0.0, 0.0);
        assert_near(similarity(&[1.0, 3.0], &[10.0, 30.0]), 1.0, 1e-15);
    }

    /// Goal: each edge gives its reason, never 0 or NaN.
    #[test]
    fn edges() {
        let none = [0.0, 0.0];
        assert_eq!(location_quotient(0.0, 0.0, 5.0, 10.0), Err(Undefined::Empty));
        assert_eq!(location_quotient(0.0, 5.0, 0.0, 10.0), Err(Undefined::ZeroDenominator));
        assert_eq!(location_quotient(0.0, 5.0, 0.0, 0.0), Err(Undefined::Empty));
        assert_eq!(location_quotient(-1.0, 5.0, 1.0, 9.0), Err(Undefined::OutOfRange));
        assert_eq!(krugman(&none, &[1.0, 1.0]), Err(Undefined::Empty));
        assert_eq!(krugman(&[1.0, 1.0], &none), Err(Undefined::Empty));
        assert_eq!(herfindahl(&none), Err(Undefined::Empty));
        assert_eq!(shannon(&[]), Err(Undefined::Empty));
        assert_eq!(hachman(&[1.0, 1.0], &[0.0, 1.0]), Err(Undefined::ZeroDenominator));
        assert_eq!(similarity(&none, &none), Err(Undefined::Empty));
        assert_eq!(similarity(&[f64::INFINITY, 1.0], &[1.0, 1.0]), Err(Undefined::OutOfRange));
    }

    /// Goal: the alert needs both a like neighbour and no strength.
    #[test]
    fn redundancy() {
        let rule = Redundancy::default();
        assert_eq!(rule.alerts(Ok(0.95), Ok(0.8)), Ok(true));
        assert_eq!(rule.alerts(Ok(0.9), Ok(0.8)), Ok(false));
        assert_eq!(rule.alerts(Ok(0.95), Ok(1.0)), Ok(false));
        assert_eq!(rule.alerts(Ok(0.95), Err(Undefined::Empty)), Err(Undefined::Empty));
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(256))]
        /// Goal: the mean quotient of a sector, weighted by city size, is 1; ranges hold; units do
        /// not matter; order of sectors neither. Method: random tables.
        #[test]
        fn laws(
            table in prop::collection::vec(prop::array::uniform5(0.5..1e5_f64), 2..8),
            unit in 0.01..100.0_f64,
        ) {
            let sectors: [f64; 5] = std::array::from_fn(|s| table.iter().map(|city| city[s]).sum());
            let all: f64 = sectors.iter().sum();
            for s in 0..5 {
                let mean: f64 = table
                    .iter()
                    .map(|city| {
                        let size: f64 = city.iter().sum();
                        size / all * location_quotient(city[s], size, sectors[s], all).unwrap()
                    })
                    .sum();
                prop_assert!((mean - 1.0).abs() < 1e-12);
            }
            for city in &table {
                let scaled = city.map(|jobs| jobs * unit);
                let index = krugman(city, &sectors).unwrap();
                prop_assert!((0.0..=2.0).contains(&index));
                prop_assert!((krugman(&scaled, &sectors).unwrap() - index).abs() < 1e-12);
                let index = herfindahl(city).unwrap();
                prop_assert!((0.2 - 1e-12..=1.0).contains(&index));
                let index = shannon(city).unwrap();
                prop_assert!((0.0..=libm::log(5.0) + 1e-12).contains(&index));
                let index = hachman(city, &sectors).unwrap();
                prop_assert!(index > 0.0 && index <= 1.0 + 1e-12);
                let index = similarity(city, &sectors).unwrap();
                prop_assert!((0.0..=1.0).contains(&index));
                prop_assert!((similarity(&sectors, &scaled).unwrap() - index).abs() < 1e-12);
            }
        }
    }
}

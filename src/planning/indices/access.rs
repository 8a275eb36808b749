//! The demand within reach of a city.

use super::{not_negative, total};
use crate::planning::figure::{Undefined, Value, finite};

/// How demand fades with distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// exp(-δ km), of this δ per km.
    Exponential(f64),
    /// 1/km.
    Inverse,
}

impl Decay {
    /// The share of demand at that distance that counts.
    ///
    /// # Errors
    /// [`ZeroDenominator`](Undefined::ZeroDenominator) for the inverse of distance 0.
    pub fn at(self, km: f64) -> Value {
        not_negative(km)?;
        match self {
            Self::Exponential(per_km) => finite(libm::exp(-not_negative(per_km)? * km)),
            Self::Inverse if km == 0.0 => Err(Undefined::ZeroDenominator),
            Self::Inverse => finite(1.0 / km),
        }
    }
}

/// How far a city is from itself, km: two thirds of the radius of a disc of its area, the mean
/// distance of the disc's points from its centre.
///
/// # Errors
/// [`ZeroDenominator`](Undefined::ZeroDenominator) without an area.
pub fn own_distance(area_km2: f64) -> Value {
    if not_negative(area_km2)? == 0.0 {
        return Err(Undefined::ZeroDenominator);
    }
    finite(2.0 / 3.0 * libm::sqrt(area_km2 / std::f64::consts::PI))
}

/// Market potential of a city: Σ_d Y_d φ(km), in the unit of the demand Y (money, or
/// people), from each city's demand and its distance in km; the city itself is among them, at
/// its [`own_distance`]. Source: Harris, "The market as a factor in the localization of
/// industry in the United States" (1954).
///
/// # Errors
/// [`Empty`](Undefined::Empty) if nobody demands anything,
/// [`ZeroDenominator`](Undefined::ZeroDenominator) for the inverse of distance 0.
pub fn market_potential(demands: impl IntoIterator<Item = (f64, f64)>, decay: Decay) -> Value {
    let (mut all, mut sum) = (0.0, 0.0);
    for (demand, km) in demands {
        if not_negative(demand)? > 0.0 {
            all += demand;
            sum += demand * decay.at(km)?;
        }
    }
    if total([all])? == 0.0 { Err(Undefined::Empty) } else { finite(sum) }
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;

    /// Goal: the sums by hand, by both decays.
    #[test]
    fn by_hand() {
        let demands = [(60.0, 10.0), (30.0, 40.0), (10.0, 0.5)];
        assert_near(market_potential(demands, Decay::Inverse), 6.0 + 0.75 + 20.0, 1e-12);
        let half = Decay::Exponential(libm::log(2.0) / 10.0);
        let known = 30.0 + 30.0 / 16.0 + 10.0 * libm::exp2(-0.05);
        assert_near(market_potential(demands, half), known, 1e-12);
        assert_near(market_potential(demands, Decay::Exponential(0.0)), 100.0, 0.0);
    }

    /// Goal: a city's distance from itself is the mean over its disc. Method: rings of it.
    #[test]
    fn own_distance_is_the_discs_mean() {
        let radius: f64 = 3.0;
        let rings = 10_000;
        let mean: f64 = (0..rings)
            .map(|ring| {
                let r = radius * (f64::from(ring) + 0.5) / f64::from(rings);
                r * (2.0 * r / radius / radius) * (radius / f64::from(rings))
            })
            .sum();
        assert_near(own_distance(std::f64::consts::PI * radius * radius), mean, 1e-6);
        assert_eq!(own_distance(0.0), Err(Undefined::ZeroDenominator));
    }

    /// Goal: each edge gives its reason; who demands nothing may be anywhere.
    #[test]
    fn edges() {
        assert_eq!(market_potential([], Decay::Inverse), Err(Undefined::Empty));
        assert_eq!(market_potential([(0.0, 3.0)], Decay::Inverse), Err(Undefined::Empty));
        let at_zero = [(5.0, 0.0)];
        assert_eq!(market_potential(at_zero, Decay::Inverse), Err(Undefined::ZeroDenominator));
        assert_near(market_potential(at_zero, Decay::Exponential(9.0)), 5.0, 0.0);
        assert_near(market_potential([(0.0, 0.0), (4.0, 2.0)], Decay::Inverse), 2.0, 0.0);
        assert_eq!(market_potential([(1.0, -1.0)], Decay::Inverse), Err(Undefined::OutOfRange));
        let rising = Decay::Exponential(-1.0);
        assert_eq!(market_potential([(1.0, 1.0)], rising), Err(Undefined::OutOfRange));
    }
}

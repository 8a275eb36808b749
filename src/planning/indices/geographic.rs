//! Geographic mismatch: hires lost because seekers apply less to what is far away.
//!
//! Of the type of Marinescu and Rathelot, "Mismatch unemployment and the geography of job
//! search" (2018): a seeker in i applies to a vacancy in j with a probability that falls with
//! the distance, a vacancy with applicants hires one of them.

use super::total;
use crate::planning::figure::{Undefined, Value, finite};

/// How applications fall with distance, per km: job seekers are 35% less likely to apply
/// 10 miles away (Marinescu and Rathelot), so b = -ln(0.65)/16.09344 km.
pub const DECAY_PER_KM: f64 = 0.026_767_609_416_784_365;
/// Steps of the search for the best allocation, at most.
const STEPS_MAX: u32 = 5_000;
/// Gap, as a share of the hires, at which the search ends.
const GAP: f64 = 1e-9;

/// Who seeks where, what is open where, and how far applications reach.
#[derive(Clone, Debug)]
pub struct Geography {
    seekers: Vec<f64>,
    vacancies: Vec<f64>,
    /// ξ aᵢⱼ, origin by origin.
    applies: Vec<f64>,
}

/// What a geography hires, and could.
#[derive(Clone, Debug, PartialEq)]
pub struct Hires {
    /// Hires where seekers are: H = Σⱼ Vⱼ (1 - exp(-λⱼ)), λⱼ = Σᵢ Uᵢ ξ aᵢⱼ.
    pub now: f64,
    /// Hires with the same number of seekers placed best.
    pub best: f64,
    /// Where they would then be.
    pub allocation: Vec<f64>,
    /// The true maximum exceeds `best` by at most this, hires.
    pub gap: f64,
}

impl Hires {
    /// Geographic mismatch: 1 - H/H*, a share of hires in 0..1.
    ///
    /// # Errors
    /// [`ZeroDenominator`](Undefined::ZeroDenominator) if nothing could be hired at all.
    pub fn mismatch(&self) -> Value {
        if self.best > 0.0 {
            Ok((1.0 - self.now / self.best).max(0.0))
        } else {
            Err(Undefined::ZeroDenominator)
        }
    }
}

impl Geography {
    /// Seekers and vacancies by city, the distance of two cities in km, the decay b of
    /// applications per km, and ξ, the probability that a seeker applies to a vacancy
    /// at distance 0.
    ///
    /// # Errors
    /// [`NoSeekers`](Undefined::NoSeekers), [`NoOpenings`](Undefined::NoOpenings),
    /// [`Empty`](Undefined::Empty); [`OutOfRange`](Undefined::OutOfRange) for a negative
    /// number or ξ > 1.
    ///
    /// # Panics
    /// If there are not as many vacancies as seekers.
    pub fn new(
        seekers: &[f64],
        vacancies: &[f64],
        km: impl Fn(usize, usize) -> f64,
        decay_per_km: f64,
        applies_at_home: f64,
    ) -> Result<Self, Undefined> {
        assert_eq!(seekers.len(), vacancies.len(), "both are by city");
        match (total(seekers.iter().copied())? > 0.0, total(vacancies.iter().copied())? > 0.0) {
            (true, true) => {}
            (true, false) => return Err(Undefined::NoOpenings),
            (false, true) => return Err(Undefined::NoSeekers),
            (false, false) => return Err(Undefined::Empty),
        }
        total([decay_per_km, applies_at_home])?;
        if applies_at_home > 1.0 {
            return Err(Undefined::OutOfRange);
        }
        let cities = seekers.len();
        let mut applies = Vec::with_capacity(cities * cities);
        for origin in 0..cities {
            for destination in 0..cities {
                let km = total([km(origin, destination)])?;
                applies.push(applies_at_home * libm::exp(-decay_per_km * km));
            }
        }
        Ok(Self { seekers: seekers.to_vec(), vacancies: vacancies.to_vec(), applies })
    }

    /// Hires now and with seekers placed best. Hires are concave in where seekers are, so an
    /// accelerated projected gradient (Beck and Teboulle, 2009; restarted where it would
    /// descend) finds the maximum; what the gradient still allows is reported as the gap.
    ///
    /// # Errors
    /// [`OutOfRange`](Undefined::OutOfRange) if the sums overflow.
    pub fn hires(&self) -> Result<Hires, Undefined> {
        let seekers: f64 = self.seekers.iter().sum();
        let now = finite(self.hires_at(&self.seekers))?;
        let mut search = Search::from(self.seekers.clone(), now, seekers);
        let mut gap = self.gap(&search.at, seekers);
        for _ in 0..STEPS_MAX {
            if gap <= GAP * search.hires || !search.step(self) {
                break;
            }
            gap = self.gap(&search.at, seekers);
        }
        Ok(Hires { now, best: search.hires, allocation: search.at, gap })
    }

    /// λ by destination.
    fn applicants(&self, seekers: &[f64]) -> Vec<f64> {
        let mut applicants = vec![0.0; self.vacancies.len()];
        for (origin, row) in seekers.iter().zip(self.applies.chunks(seekers.len())) {
            if *origin != 0.0 {
                for (sum, applies) in applicants.iter_mut().zip(row) {
                    *sum += origin * applies;
                }
            }
        }
        applicants
    }

    fn hires_at(&self, seekers: &[f64]) -> f64 {
        let hired = |(vacancies, applicants): (&f64, f64)| -vacancies * libm::expm1(-applicants);
        self.vacancies.iter().zip(self.applicants(seekers)).map(hired).sum()
    }

    /// Hires that one more seeker would add, by where they are.
    fn gradient(&self, seekers: &[f64]) -> Vec<f64> {
        let open = |(vacancies, applicants): (&f64, f64)| vacancies * libm::exp(-applicants);
        let open: Vec<f64> =
            self.vacancies.iter().zip(self.applicants(seekers)).map(open).collect();
        let added = |row: &[f64]| row.iter().zip(&open).map(|(applies, open)| applies * open).sum();
        self.applies.chunks(seekers.len()).map(added).collect()
    }

    /// By how much the tangent at this allocation rises at most: no allocation hires more
    /// than that beyond it.
    fn gap(&self, allocation: &[f64], seekers: f64) -> f64 {
        let gradient = self.gradient(allocation);
        let best = gradient.iter().copied().fold(0.0, f64::max);
        let here: f64 = gradient.iter().zip(allocation).map(|(g, u)| g * u).sum();
        (seekers * best - here).max(0.0)
    }
}

/// An accelerated ascent that never descends.
struct Search {
    seekers: f64,
    at: Vec<f64>,
    hires: f64,
    /// Where the next gradient is taken: ahead of `at` in the direction of the last step.
    ahead: Vec<f64>,
    momentum: f64,
    /// Length of a step, seekers² per hire.
    length: f64,
}

impl Search {
    fn from(at: Vec<f64>, hires: f64, seekers: f64) -> Self {
        let length = seekers * seekers / hires.max(f64::MIN_POSITIVE);
        let length = if length.is_finite() { length } else { seekers };
        Self { seekers, ahead: at.clone(), at, hires, momentum: 1.0, length }
    }

    /// One step; false if none leads further up.
    fn step(&mut self, geography: &Geography) -> bool {
        if let Some((next, hires)) = self.ascend(geography)
            && hires >= self.hires
        {
            let momentum = (1.0 + libm::sqrt(1.0 + 4.0 * self.momentum * self.momentum)) / 2.0;
            let weight = (self.momentum - 1.0) / momentum;
            let beyond = |(new, old): (&f64, &f64)| new + weight * (new - old);
            let ahead = next.iter().zip(&self.at).map(beyond).collect();
            self.ahead = project(ahead, self.seekers);
            let moved = next != self.at;
            (self.at, self.hires, self.momentum) = (next, hires, momentum);
            return moved;
        }
        let restarted = self.momentum > 1.0;
        self.ahead.clone_from(&self.at);
        self.momentum = 1.0;
        restarted
    }

    /// A projected gradient step from `ahead` that rises at least as far as its quadratic
    /// model says; its length is halved until one does, and grows again slowly.
    fn ascend(&mut self, geography: &Geography) -> Option<(Vec<f64>, f64)> {
        let from = geography.hires_at(&self.ahead);
        let gradient = geography.gradient(&self.ahead);
        self.length *= 1.25;
        for _ in 0..200 {
            let along = |(u, g): (&f64, &f64)| u + self.length * g;
            let next = self.ahead.iter().zip(&gradient).map(along).collect();
            let next = project(next, self.seekers);
            let (mut slope, mut squares) = (0.0, 0.0);
            for ((new, old), g) in next.iter().zip(&self.ahead).zip(&gradient) {
                slope += g * (new - old);
                squares += (new - old) * (new - old);
            }
            let hires = geography.hires_at(&next);
            let rounding = 4.0 * f64::EPSILON * from;
            if hires + rounding >= from + slope - squares / (2.0 * self.length) {
                return Some((next, hires));
            }
            self.length /= 2.0;
        }
        None
    }
}

/// The nearest allocation of that many seekers, none of them negative.
fn project(mut point: Vec<f64>, seekers: f64) -> Vec<f64> {
    let mut sorted = point.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (count, value) in (1..).zip(&sorted) {
        sum += value;
        let candidate = (sum - seekers) / f64::from(count);
        if *value <= candidate {
            break;
        }
        shift = candidate;
    }
    for value in &mut point {
        *value = (*value - shift).max(0.0);
    }
    point
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;
    use proptest::prelude::*;

    /// Goal: the decay of the source, 0.04308 per mile or 0.02677 per km.
    #[test]
    fn decay() {
        let per_mile = -libm::log(0.65) / 10.0;
        assert!((per_mile - 0.043_08).abs() < 5e-6);
        assert!((DECAY_PER_KM - per_mile / 1.609_344).abs() < 1e-15);
        assert!((DECAY_PER_KM - 0.026_77).abs() < 5e-6);
        assert!((libm::exp(-DECAY_PER_KM * 16.093_44) - 0.65).abs() < 1e-14);
    }

    fn island(origin: usize, destination: usize) -> f64 {
        if origin == destination { 0.0 } else { 1e6 }
    }

    /// Goal: the optimum of two islands in closed form: U₁ - U₂ = ln(V₁/V₂)/ξ, where both
    /// would hire equally many more from one more seeker.
    #[test]
    fn two_islands() {
        let xi = 0.01;
        let geography =
            Geography::new(&[50.0, 150.0], &[80.0, 20.0], island, DECAY_PER_KM, xi).unwrap();
        let hires = geography.hires().unwrap();
        let apart = libm::log(4.0) / xi;
        assert!((hires.allocation[0] - (100.0 + apart / 2.0)).abs() < 1e-2, "{hires:?}");
        let known = |u: [f64; 2]| {
            80.0 * (1.0 - libm::exp(-xi * u[0])) + 20.0 * (1.0 - libm::exp(-xi * u[1]))
        };
        assert_near(Ok(hires.now), known([50.0, 150.0]), 1e-12);
        let best = known([100.0 + apart / 2.0, 100.0 - apart / 2.0]);
        assert_near(Ok(hires.best), best, 1e-7);
        assert!(hires.gap <= 1e-9 * hires.best, "{hires:?}");
        assert_near(hires.mismatch(), 1.0 - hires.now / best, 1e-9);
    }

    /// Goal: where applications know no distance there is no geographic mismatch, and where
    /// seekers are where vacancies are, on islands of equal size, neither.
    #[test]
    fn no_distance_no_mismatch() {
        let flat = Geography::new(&[9.0, 1.0, 0.0], &[0.0, 1.0, 5.0], |_, _| 7.0, 0.0, 0.3);
        assert_near(flat.unwrap().hires().unwrap().mismatch(), 0.0, 1e-12);
        let even = Geography::new(&[4.0, 4.0], &[3.0, 3.0], island, DECAY_PER_KM, 0.3);
        assert_near(even.unwrap().hires().unwrap().mismatch(), 0.0, 1e-9);
    }

    /// Goal: each edge gives its reason.
    #[test]
    fn edges() {
        let new = |u: &[f64], v: &[f64], decay, xi| {
            Geography::new(u, v, island, decay, xi).map(|_| ()).unwrap_err()
        };
        assert_eq!(new(&[0.0], &[1.0], 0.1, 0.1), Undefined::NoSeekers);
        assert_eq!(new(&[1.0], &[0.0], 0.1, 0.1), Undefined::NoOpenings);
        assert_eq!(new(&[], &[], 0.1, 0.1), Undefined::Empty);
        assert_eq!(new(&[1.0], &[-1.0], 0.1, 0.1), Undefined::OutOfRange);
        assert_eq!(new(&[1.0], &[1.0], -0.1, 0.1), Undefined::OutOfRange);
        assert_eq!(new(&[1.0], &[1.0], 0.1, 1.1), Undefined::OutOfRange);
        let deaf = Geography::new(&[1.0], &[1.0], island, 0.1, 0.0).unwrap().hires().unwrap();
        assert_eq!(deaf.mismatch(), Err(Undefined::ZeroDenominator));
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(64))]
        /// Goal: the search ends at the maximum: seekers are kept, none is negative, the gap is
        /// closed, and no random allocation hires more. Method: random cities on a line.
        #[test]
        fn finds_the_maximum(
            cities in prop::collection::vec((0.0..200.0_f64, 0.1..50.0_f64, 0.0..300.0_f64), 2..8),
            other in prop::collection::vec(0.01..1.0_f64, 8),
            xi in 0.001..0.2_f64,
        ) {
            let seekers: Vec<f64> = cities.iter().map(|city| city.0 + 1.0).collect();
            let vacancies: Vec<f64> = cities.iter().map(|city| city.1).collect();
            let km = |o: usize, d: usize| (cities[o].2 - cities[d].2).abs();
            let geography = Geography::new(&seekers, &vacancies, km, DECAY_PER_KM, xi).unwrap();
            let hires = geography.hires().unwrap();
            let all: f64 = seekers.iter().sum();
            prop_assert!((hires.allocation.iter().sum::<f64>() - all).abs() < 1e-9 * all);
            prop_assert!(hires.allocation.iter().all(|u| *u >= 0.0));
            prop_assert!(hires.best >= hires.now);
            prop_assert!(hires.gap <= 1e-6 * hires.best, "gap {} of {}", hires.gap, hires.best);
            let sum: f64 = other[..seekers.len()].iter().sum();
            let other: Vec<f64> = other[..seekers.len()].iter().map(|x| x * all / sum).collect();
            prop_assert!(geography.hires_at(&other) <= hires.best + hires.gap + 1e-9 * hires.best);
            prop_assert!((0.0..1.0).contains(&hires.mismatch().unwrap()));
        }
    }
}

//! Gravity with an effect of every origin and every destination: what an analyst would reach
//! for who knows nothing of the cities but their flows.
//!
//! `people = A(origin) B(destination) / km^d` by Poisson pseudo-maximum likelihood. Its
//! first-order conditions are that fitted and observed flows have the same sum over each row,
//! over each column, and weighted by the log distance. For a given `d` the first two are
//! solved by balancing rows and columns in turn; the third is monotone in `d`.

use super::gravity::Unfit;
use super::observed::Pair;

/// Rounds of balancing before it is given up.
const ROUNDS_MAX: usize = 20_000;
/// Balanced means that no row differs by more than this share of its sum.
const BALANCED: f64 = 1e-12;
/// Where the exponent is looked for.
const EXPONENTS: (f64, f64) = (-5.0, 10.0);
/// Halvings of that range: the exponent is exact to 1e-12.
const HALVINGS: usize = 44;

/// The fitted model.
#[derive(Clone, Debug, PartialEq)]
pub struct Effects {
    /// By origin; 0 for one from which nobody was seen to move.
    pub origins: Vec<f64>,
    /// By destination; 0 for one to which nobody was seen to move.
    pub destinations: Vec<f64>,
    /// The power of the distance that divides.
    pub exponent: f64,
}

impl Effects {
    /// Fits the flows of `pairs` among so many cities. Rows and columns without any flow are
    /// separated: their effect is 0, and they tell nothing of the distance.
    pub fn fit(pairs: &[Pair], cities: usize) -> Result<Self, Unfit> {
        let mut sums = Sums::of(pairs, cities, |_, pair| pair.people);
        if pairs.len() < 3 || sums.rows.iter().sum::<f64>() <= 0.0 {
            return Err(Unfit::TooFew);
        }
        let start = |sums: &[f64]| sums.iter().map(|sum| f64::from(u8::from(*sum > 0.0))).collect();
        let mut effects =
            Self { origins: start(&sums.rows), destinations: start(&sums.columns), exponent: 0.0 };
        let (mut low, mut high) = EXPONENTS;
        for _ in 0..HALVINGS {
            effects.exponent = (low + high) / 2.0;
            effects.balance(pairs, &mut sums)?;
            let rest = |pair: &Pair| libm::log(pair.km) * (effects.predict(pair) - pair.people);
            if pairs.iter().map(rest).sum::<f64>() > 0.0 {
                low = effects.exponent;
            } else {
                high = effects.exponent;
            }
        }
        let at_the_edge =
            [EXPONENTS.0, EXPONENTS.1].iter().any(|e| (effects.exponent - e).abs() < 1e-9);
        if at_the_edge { Err(Unfit::Collinear) } else { Ok(effects) }
    }

    /// Numbers that the flows have chosen: an effect of each origin and each destination that
    /// has any, less the one that both sides share, and the exponent.
    pub fn parameters(&self) -> usize {
        let both = self.origins.iter().chain(&self.destinations);
        both.filter(|effect| **effect > 0.0).count()
    }

    /// The fitted flow of a pair.
    pub fn predict(&self, pair: &Pair) -> f64 {
        self.origins[pair.origin] * self.destinations[pair.destination]
            / libm::pow(pair.km, self.exponent)
    }

    /// Balances rows and columns in turn until both sums are the observed ones.
    fn balance(&mut self, pairs: &[Pair], observed: &mut Sums) -> Result<(), Unfit> {
        let weights: Vec<f64> =
            pairs.iter().map(|pair| libm::pow(pair.km, -self.exponent)).collect();
        let cities = self.origins.len();
        for _ in 0..ROUNDS_MAX {
            let to = Sums::of(pairs, cities, |at, pair| {
                weights[at] * self.destinations[pair.destination]
            });
            let off = self.origins.iter().zip(&to.rows).zip(&observed.rows);
            let worst = off.map(|((a, sum), goal)| (a * sum / goal - 1.0).abs());
            let is_balanced = worst.filter(|off| off.is_finite()).all(|off| off < BALANCED);
            divide(&mut self.origins, &observed.rows, &to.rows);
            let from = Sums::of(pairs, cities, |at, pair| weights[at] * self.origins[pair.origin]);
            divide(&mut self.destinations, &observed.columns, &from.columns);
            if is_balanced {
                return Ok(());
            }
        }
        Err(Unfit::Unbounded)
    }
}

fn divide(effects: &mut [f64], goals: &[f64], sums: &[f64]) {
    for ((effect, goal), sum) in effects.iter_mut().zip(goals).zip(sums) {
        *effect = if *goal > 0.0 { goal / sum } else { 0.0 };
    }
}

/// Sums over the pairs of each origin and each destination.
struct Sums {
    rows: Vec<f64>,
    columns: Vec<f64>,
}

impl Sums {
    fn of(pairs: &[Pair], cities: usize, value: impl Fn(usize, &Pair) -> f64) -> Self {
        let mut sums = Self { rows: vec![0.0; cities], columns: vec![0.0; cities] };
        for (at, pair) in pairs.iter().enumerate() {
            let value = value(at, pair);
            sums.rows[pair.origin] += value;
            sums.columns[pair.destination] += value;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten cities along a road, all pairs but some observed; flows of no gravity in particular.
    fn pairs() -> Vec<Pair> {
        let all = (0..100_usize).filter(|i| i / 10 != i % 10 && !i.is_multiple_of(7));
        all.map(|i| {
            let (origin, destination) = (i / 10, i % 10);
            let km = 100.0 * (origin as f64 - destination as f64).abs() + (i % 3) as f64;
            Pair {
                origin,
                destination,
                origin_population: 1.0,
                destination_population: 1.0,
                origin_prices: 1.0,
                destination_prices: 1.0,
                km,
                people: ((i * i * 31 + 17) % 97) as f64 * if origin == 4 { 0.0 } else { 1.0 },
                held_out: false,
            }
        })
        .collect()
    }

    /// Goal: fitted row and column sums are the observed ones, a row without any flow (city 4
    /// has none) included, and so is the mean log distance.
    #[test]
    fn margins_are_the_observed_ones() {
        let pairs = pairs();
        let effects = Effects::fit(&pairs, 10).unwrap();
        let fitted = Sums::of(&pairs, 10, |_, pair| effects.predict(pair));
        let observed = Sums::of(&pairs, 10, |_, pair| pair.people);
        for (a, b) in [(&fitted.rows, &observed.rows), (&fitted.columns, &observed.columns)] {
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() < 1e-9 * b.max(1.0), "{a} {b}");
            }
        }
        let log = |of: &dyn Fn(&Pair) -> f64| {
            pairs.iter().map(|pair| libm::log(pair.km) * of(pair)).sum::<f64>()
        };
        let (a, b) = (log(&|pair| effects.predict(pair)), log(&|pair| pair.people));
        assert!((a - b).abs() < 1e-8 * b, "{a} {b}");
        assert_eq!(effects.origins[4], 0.0);
    }

    /// Goal: planted effects and a planted exponent give back the flows and the exponent.
    #[test]
    fn planted_effects_are_recovered() {
        let mut pairs = pairs();
        for pair in &mut pairs {
            let (a, b) = (1.0 + pair.origin as f64, 3.0 + (pair.destination % 4) as f64);
            pair.people = 1e4 * a * b / libm::pow(pair.km, 1.3);
        }
        let effects = Effects::fit(&pairs, 10).unwrap();
        assert!((effects.exponent - 1.3).abs() < 1e-9, "{}", effects.exponent);
        for pair in &pairs {
            assert!((effects.predict(pair) / pair.people - 1.0).abs() < 1e-8);
        }
    }

    /// Goal: no flows, no fit.
    #[test]
    fn nothing_cannot_be_fitted() {
        assert_eq!(Effects::fit(&[], 10), Err(Unfit::TooFew));
        let mut pairs = pairs();
        pairs.iter_mut().for_each(|pair| pair.people = 0.0);
        assert_eq!(Effects::fit(&pairs, 10), Err(Unfit::TooFew));
    }
}

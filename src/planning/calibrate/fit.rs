//! Fitting how people move: what is searched, and what for.

use super::agreement::common_part;
use super::model::{Model, Moves};
use super::observed::Pair;
use super::search::minimise;
use crate::domain::Violation;
use crate::generate::Moving;
use crate::planning::figure::Value;

/// Parameters that are fitted.
pub const DIALS: usize = 7;
/// How far a dial is turned either way to see what it matters, as a share of its range.
const TURN: f64 = 0.1;

/// A parameter with the range in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dial {
    /// What it is called by programs.
    pub key: &'static str,
    /// What it is, with its unit.
    pub name: &'static str,
    low: f64,
    high: f64,
}

impl Dial {
    fn value(self, share: f64) -> f64 {
        self.low + share * (self.high - self.low)
    }

    fn share(self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The parameters, in the order of a point of the search.
pub const PARAMETERS: [Dial; DIALS] = [
    Dial { key: "fixed_move_cost", name: "fixed move cost, USD", low: 0.0, high: 60_000.0 },
    Dial { key: "move_cost_per_km", name: "move cost per km, USD", low: 0.0, high: 40.0 },
    Dial { key: "home_only_percent", name: "look only at home, %", low: 20.0, high: 90.0 },
    Dial {
        key: "anywhere_of_others_percent",
        name: "of the others move anywhere, %",
        low: 0.0,
        high: 100.0,
    },
    Dial { key: "size_power", name: "power of size", low: 0.0, high: 2.0 },
    Dial { key: "distance_power", name: "power of distance", low: 0.0, high: 3.0 },
    Dial { key: "amenities_percent", name: "amenities make up for, %", low: 0.0, high: 100.0 },
];

/// The way of moving at a point of the unit cube.
pub fn moving_at(point: &[f64; DIALS]) -> Moving {
    let [fixed, per_km, home, anywhere, size, distance, amenities] =
        std::array::from_fn(|k| PARAMETERS[k].value(point[k]));
    let home_only_bp = libm::round(home * 100.0) as u32;
    Moving {
        fixed_cost: libm::round(fixed / 100.0) as i64 * 100,
        cost_per_km: libm::round(per_km) as i64,
        home_only_bp,
        anywhere_bp: libm::round(f64::from(10_000 - home_only_bp) * anywhere / 100.0) as u32,
        size_power_milli: libm::round(size * 1e3) as u32,
        distance_power_milli: libm::round(distance * 1e3) as u32,
        amenities_bp: libm::round(amenities * 100.0) as u32,
    }
}

/// The point of a way of moving, or the nearest one in the ranges.
pub fn point_of(moving: Moving) -> [f64; DIALS] {
    let others = f64::from(10_000 - moving.home_only_bp).max(1.0);
    let values = [
        moving.fixed_cost as f64,
        moving.cost_per_km as f64,
        f64::from(moving.home_only_bp) / 100.0,
        100.0 * f64::from(moving.anywhere_bp) / others,
        f64::from(moving.size_power_milli) / 1e3,
        f64::from(moving.distance_power_milli) / 1e3,
        f64::from(moving.amenities_bp) / 100.0,
    ];
    std::array::from_fn(|k| PARAMETERS[k].share(values[k]))
}

/// What a dial matters: the objective when it alone is turned by a tenth of its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turned {
    /// The dial.
    pub dial: Dial,
    /// Its fitted value.
    pub fitted: f64,
    /// The value below (at least the lower end of the range), and the objective there.
    pub below: (f64, f64),
    /// The value above (at most the upper end of the range), and the objective there.
    pub above: (f64, f64),
}

/// The common part of a model's moves with the observed ones, without what is lost because a
/// clearing has only so many movers.
///
/// Few movers make flows ragged, which lowers the common part; so a search for the plain one
/// would favour whatever makes more people move. The loss goes down as one over the number of
/// clearings, so it is taken off by what half of the clearings lose more than all of them
/// (Richardson's extrapolation): `2 C(all) - (C(first half) + C(second half)) / 2`.
pub fn noiseless_common_part(pairs: &[Pair], clearings: &[Moves], cities: usize) -> Value {
    let observed: Vec<f64> = pairs.iter().map(|pair| pair.people).collect();
    let common = |some: &[Moves]| common_part(&observed, &Moves::together(some, cities).on(pairs));
    let (first, second) = clearings.split_at(clearings.len() / 2);
    if first.is_empty() {
        return common(clearings);
    }
    Ok(2.0 * common(clearings)? - (common(first)? + common(second)?) / 2.0)
}

/// A fit in progress: the markets and the pairs that it may see.
pub struct Fit<'a> {
    /// Cleared again for every evaluation.
    pub model: &'a Model,
    /// The training half.
    pub training: &'a [Pair],
}

impl Fit<'_> {
    /// The objective of a way of moving: [`noiseless_common_part`], 0 where nobody moves.
    pub fn objective(&self, moving: Moving) -> Result<f64, Violation> {
        let clearings = self.model.moves(moving, || ())?;
        let cities = self.model.cities();
        Ok(noiseless_common_part(self.training, &clearings, cities).unwrap_or(0.0))
    }

    /// The way of moving with the highest objective that so many evaluations find. `on` hears
    /// of each with the best so far.
    pub fn search(
        &self,
        start: Moving,
        evaluations: u32,
        mut on: impl FnMut(u32, f64),
    ) -> Result<(Moving, f64), Violation> {
        let (mut made, mut best) = (0, f64::NEG_INFINITY);
        let found = minimise(point_of(start), evaluations, |point| {
            let objective = self.objective(moving_at(point))?;
            (made, best) = (made + 1, best.max(objective));
            on(made, best);
            Ok::<_, Violation>(-objective)
        })?;
        Ok((moving_at(&found.point), -found.value))
    }

    /// Turns each dial either way. `on` hears of each evaluation.
    pub fn turn(&self, fitted: Moving, mut on: impl FnMut()) -> Result<Vec<Turned>, Violation> {
        let point = point_of(fitted);
        let mut turned = Vec::with_capacity(DIALS);
        for (k, dial) in PARAMETERS.into_iter().enumerate() {
            let mut at = |share: f64| {
                let share = share.clamp(0.0, 1.0);
                let mut point = point;
                point[k] = share;
                on();
                Ok::<_, Violation>((dial.value(share), self.objective(moving_at(&point))?))
            };
            let (below, above) = (at(point[k] - TURN)?, at(point[k] + TURN)?);
            turned.push(Turned { dial, fitted: dial.value(point[k]), below, above });
        }
        Ok(turned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a point and its way of moving are two forms of one thing, every point of the cube is
    /// a way of moving that a plan accepts, and today's default lies inside.
    #[test]
    fn points_are_ways_of_moving() {
        let default = Moving::default();
        assert_eq!(moving_at(&point_of(default)), default);
        for corner in 0..1 << DIALS {
            let point = std::array::from_fn(|k| f64::from(corner >> k & 1));
            moving_at(&point).check().unwrap();
        }
        assert!(point_of(default)[..6].iter().all(|share| (0.01..0.99).contains(share)));
    }
}

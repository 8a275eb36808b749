//! Who moves: held matches and placements in another city than the worker's home.

use super::figure;
use crate::domain::Geography;
use crate::planning::census::{Balance, Census, Moves};
use crate::planning::figure::{Figure, Undefined, ratio};
use crate::planning::indices::migration::{
    self, crude_intensity, effectiveness, net_rate, system_effectiveness,
};
use std::cmp::Ordering;

/// Moves in and out of a place.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The counts.
    pub balance: Balance,
    /// Net moves per 1,000 inhabitants.
    pub net_rate: Figure,
    /// Net moves per 100 moves.
    pub effectiveness: Figure,
}

/// Moves of the market as a whole.
#[derive(Clone, Debug)]
pub struct System {
    /// How many.
    pub moves: Moves,
    /// Cities that gain more than they lose.
    pub gaining: usize,
    /// Cities that lose more than they gain.
    pub losing: usize,
    /// Moves per 100 inhabitants.
    pub intensity: Figure,
    /// How much of the moving nets out, per cent.
    pub effectiveness: Figure,
    /// Share of the matched pairs that move.
    pub moving: Figure,
}

impl Migration {
    /// What a balance says of a place with so many inhabitants.
    pub fn of(balance: Balance, population: i64) -> Self {
        let moves = moves(balance);
        let population = population as f64;
        let (inward, outward) = (("in", moves.arrivals), ("out", moves.departures));
        Self {
            balance,
            net_rate: figure(
                net_rate(moves, population),
                &[inward, outward, ("population", population)],
            ),
            effectiveness: figure(effectiveness(moves), &[inward, outward]),
        }
    }
}

/// Of the market as a whole.
pub fn system(census: &Census, geography: &Geography) -> System {
    let all = census.moves.values().fold(Moves::default(), |mut sum, moves| {
        sum += *moves;
        sum
    });
    let cities: Vec<migration::Moves> = census.balances.iter().map(|b| moves(*b)).collect();
    let signs =
        |sign: Ordering| census.balances.iter().filter(|balance| balance.sign() == sign).count();
    let net: f64 = cities.iter().map(|city| (city.arrivals - city.departures).abs()).sum();
    let population = geography.cities.iter().map(|city| city.population).sum::<i64>() as f64;
    let (moving, pairs) = (all.all() as f64, census.total.pairs as f64);
    System {
        moves: all,
        gaining: signs(Ordering::Greater),
        losing: signs(Ordering::Less),
        intensity: figure(
            crude_intensity(moving, population),
            &[("moves", moving), ("population", population)],
        ),
        effectiveness: figure(
            system_effectiveness(&cities),
            &[("net_moves", net), ("in_and_out", 2.0 * moving)],
        ),
        moving: figure(
            ratio(moving, pairs, Undefined::NoMatches),
            &[("moves", moving), ("pairs", pairs)],
        ),
    }
}

fn moves(balance: Balance) -> migration::Moves {
    migration::Moves {
        arrivals: balance.inward.all() as f64,
        departures: balance.outward.all() as f64,
    }
}

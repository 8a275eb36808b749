//! How a city stands among all: whether industry, employment and population keep step in
//! it, and how much pay is within its reach.

use super::figure;
use crate::domain::{CityIx, Geography};
use crate::planning::census::{Census, Tally};
use crate::planning::figure::{Figure, Undefined};
use crate::planning::indices::access::{Decay, market_potential};
use crate::planning::indices::coupling::coupling;

/// How demand fades, per kilometre: as applications do, 35% at ten miles (Marinescu and
/// Rathelot 2018): -ln(0.65) / 16.09344.
pub const DECAY_PER_KM: f64 = 0.026_767_609_416_784_365;

/// Coupling and co-ordination of a city's industry, employment and population.
#[derive(Clone, Debug)]
pub struct Coupling {
    /// C: whether the three keep step.
    pub coupling: Figure,
    /// T: how far they are on average.
    pub development: Figure,
    /// D: both in one.
    pub degree: Figure,
}

/// What all cities are measured against.
pub struct Reach<'c> {
    census: &'c Census,
    geography: &'c Geography,
    jobs_most: u64,
    taken_most: u64,
    population_most: i64,
}

impl<'c> Reach<'c> {
    /// Of a census.
    pub fn of(census: &'c Census, geography: &'c Geography) -> Self {
        let most = |of: fn(&Tally) -> u64| census.cities.iter().map(of).max().unwrap_or(0);
        let populations = geography.cities.iter().map(|city| city.population);
        Self {
            census,
            geography,
            jobs_most: most(Tally::jobs),
            taken_most: most(Tally::taken),
            population_most: populations.max().unwrap_or(0),
        }
    }

    /// Coupling of one city. Each subsystem is measured against the largest in the market.
    pub fn coupling(&self, city: CityIx) -> Coupling {
        let tally = &self.census.cities[city.at()];
        let population = self.geography.city(city).population as f64;
        let (jobs, taken) = (tally.jobs() as f64, tally.taken() as f64);
        let (jobs_most, taken_most) = (self.jobs_most as f64, self.taken_most as f64);
        let population_most = self.population_most as f64;
        let inputs = [
            ("jobs", jobs),
            ("jobs_most", jobs_most),
            ("taken", taken),
            ("taken_most", taken_most),
            ("population", population),
            ("population_most", population_most),
        ];
        let of = || {
            if self.jobs_most == 0 {
                return Err(Undefined::NoOpenings);
            }
            if self.taken_most == 0 {
                return Err(Undefined::NoMatches);
            }
            if self.population_most == 0 {
                return Err(Undefined::NoPopulation);
            }
            coupling([jobs / jobs_most, taken / taken_most, population / population_most])
        };
        let found = of();
        Coupling {
            coupling: figure(found.and_then(|found| found.coupling), &inputs),
            development: figure(found.map(|found| found.development), &inputs),
            degree: figure(found.map(|found| found.degree), &inputs),
        }
    }

    /// Real pay of all jobs within reach of one city; its own count in full.
    pub fn potential(&self, city: CityIx) -> Figure {
        let cities = self.census.cities.iter().enumerate();
        let demands = cities.map(|(at, tally)| {
            let km = self.geography.km(city, CityIx::from_offset(at));
            (tally.wages as f64, f64::from(km))
        });
        let own = self.census.cities[city.at()].wages as f64;
        let all = self.census.total.wages as f64;
        let value = market_potential(demands, Decay::Exponential(DECAY_PER_KM));
        figure(value, &[("own_pay", own), ("all_pay", all)])
    }
}

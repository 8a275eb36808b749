//! A market with a policy, and with none.

use crate::domain::{CityIx, MoveCost, RegionIx};
use crate::matching::Problem;
use crate::state::{CappedPlace, View};
use std::sync::Arc;

/// One thing that a policy changes. The rest stays as it is in the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// How many more matches a city may take; `None` lifts its cap.
    CityCap(CityIx, Option<u64>),
    /// The same of a region.
    RegionCap(RegionIx, Option<u64>),
    /// What is taken off the one-off cost of every move into a city.
    CitySubsidy(CityIx, i64),
    /// What is taken off the one-off cost of moves from one city to another, besides.
    PairSubsidy(CityIx, CityIx, i64),
}

/// The problem of a view under a policy, with the place of each of its capped sets.
pub fn problem_under(view: &View, changes: &[Change]) -> (Problem, Vec<CappedPlace>) {
    let mut changed = view.clone();
    let intakes = |city: CityIx| view.counts.get(city.at()).intake;
    let geography = Arc::make_mut(&mut changed.head.geography);
    for change in changes {
        match *change {
            // Placements count against a cap from when it is set: a new one starts at 0.
            Change::CityCap(city, cap) => {
                geography.cities[city.at()].intake_cap =
                    cap.map(|cap| cap.saturating_add(intakes(city)));
            }
            Change::RegionCap(region, cap) => {
                let intake = view.head.region_intake[region.at()];
                geography.regions[region.at()].intake_cap =
                    cap.map(|cap| cap.saturating_add(intake));
            }
            Change::CitySubsidy(city, subsidy) => {
                geography.cities[city.at()].move_subsidy = subsidy;
            }
            Change::PairSubsidy(origin, destination, subsidy) => {
                let cost = geography.move_cost(origin, destination).and_then(|old| old.cost);
                let cost = MoveCost { cost, subsidy };
                geography.put_move_cost(origin, destination, Some(cost));
            }
        }
    }
    (changed.problem(), changed.capped_places())
}

/// The same market left alone: no cap, no subsidy. Distances and what moves cost before
/// subsidies stay, for they are facts and not policy.
pub fn unguided(guided: &Problem) -> Problem {
    let mut problem = guided.clone();
    problem.sets.clear();
    problem.set_of_city.fill(None);
    let geography = Arc::make_mut(&mut problem.geography);
    geography.cities.iter_mut().for_each(|city| city.move_subsidy = 0);
    for ((origin, destination), cost) in geography.move_costs_sorted() {
        let cost = MoveCost { subsidy: 0, ..cost };
        geography.put_move_cost(origin, destination, Some(cost));
    }
    problem
}

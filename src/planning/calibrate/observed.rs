//! The observed flows: how many people moved between which metropolitan areas.
//!
//! US tax returns of 2018 and 2019 (IRS Statistics of Income), by the filer's county, added
//! up to metros. Counties between which fewer than 20 returns moved are suppressed at the
//! source, so a pair of metros that is not there is *unknown, not zero*: only observed pairs
//! are ever compared. People are the exemptions on the returns, close to household members.

use crate::domain::{CityIx, Geography};
use flate2::read::GzDecoder;
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const FLOWS: &[u8] = include_bytes!("../../../data/flows.csv.gz");

/// A row of the bundled table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// CBSA code of the metro that people left.
    pub origin: u32,
    /// CBSA code of the metro that they came to.
    pub destination: u32,
    /// Tax returns, close to households.
    pub returns: u64,
    /// Exemptions on them, close to people.
    pub people: u64,
}

/// An ordered pair of two cities, with what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Number of the city that people leave.
    pub origin: usize,
    /// Number of the city that they come to.
    pub destination: usize,
    /// People who live in the origin.
    pub origin_population: f64,
    /// People who live in the destination.
    pub destination_population: f64,
    /// Price level of the origin.
    pub origin_prices: f64,
    /// Price level of the destination.
    pub destination_prices: f64,
    /// Kilometres on the great circle, at least 1.
    pub km: f64,
    /// People observed to have moved.
    pub people: f64,
    /// Whether it is held out: seen by no fit.
    pub held_out: bool,
}

/// All rows of the table, by origin, then destination.
///
/// # Panics
/// If the bundled table is damaged: a fault of the build.
pub fn flows() -> Vec<Flow> {
    csv::Reader::from_reader(GzDecoder::new(FLOWS))
        .into_records()
        .map(|row| {
            let row = row.expect("the bundled flows are well-formed");
            let number = |at: usize| row[at].parse().expect("the bundled flows are numbers");
            Flow {
                origin: number(0) as u32,
                destination: number(1) as u32,
                returns: number(2),
                people: number(3),
            }
        })
        .collect()
}

/// The observed pairs among the cities of a generated market. Both directions of a pair are
/// in the same half, which `split_seed` decides by hash.
pub fn pairs(geography: &Geography, split_seed: u64) -> Vec<Pair> {
    let code = |name: &str| name.trim_start_matches("us-").parse::<u32>().ok();
    let cities = geography.cities.iter().enumerate();
    let numbers: HashMap<u32, usize> =
        cities.filter_map(|(at, city)| Some((code(city.id.as_str())?, at))).collect();
    let population = |at: usize| geography.cities[at].population as f64;
    let prices = |at: usize| geography.cities[at].cost_of_living as f64;
    flows()
        .into_iter()
        .filter_map(|flow| {
            let origin = *numbers.get(&flow.origin)?;
            let destination = *numbers.get(&flow.destination)?;
            let km = geography.km(CityIx::from_offset(origin), CityIx::from_offset(destination));
            Some(Pair {
                origin,
                destination,
                origin_population: population(origin),
                destination_population: population(destination),
                origin_prices: prices(origin),
                destination_prices: prices(destination),
                km: f64::from(km.max(1)),
                people: flow.people as f64,
                held_out: is_held_out(flow.origin, flow.destination, split_seed),
            })
        })
        .collect()
}

/// Which half a pair of metros is in, the same for both directions.
fn is_held_out(a: u32, b: u32, split_seed: u64) -> bool {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&a.min(b).to_le_bytes());
    bytes[4..].copy_from_slice(&a.max(b).to_le_bytes());
    xxh3_64_with_seed(&bytes, split_seed) >> 63 == 1
}

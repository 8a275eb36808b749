//! Where things are: cities, the forest of regions, distances, what a move costs.
//!
//! The distance between two cities is computed once, when the later of them comes
//! in, and then stored as whole kilometres, so that nothing that is ranked depends
//! on trigonometry again.

use super::error::{Reason, Violation, in_range, text};
use super::ids::{CityIx, CityName, RegionIx, RegionName};
use super::limits::{
    COST_OF_LIVING_MAX, INTAKE_CAP_MAX, MONEY_MAX, POPULATION_MAX, TEXT_BYTES_MAX,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// Mean radius of the Earth (IUGG), in kilometres.
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// A region as a client describes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionSpec {
    /// The region's id.
    pub id: RegionName,
    /// Its name for people.
    pub display_name: Box<str>,
    /// The region around it, if any.
    pub parent: Option<RegionName>,
    /// How many matches may stand inside it; `None` is no cap.
    pub intake_cap: Option<u64>,
}

impl RegionSpec {
    /// Refuses what is wrong whatever market the region goes to.
    pub fn check(&self) -> Result<(), Violation> {
        text("display_name", &self.display_name, TEXT_BYTES_MAX)?;
        in_range("intake_cap", self.intake_cap.unwrap_or(0), 0, INTAKE_CAP_MAX)
    }
}

/// A city as a client describes one.
#[derive(Clone, Debug, PartialEq)]
pub struct CitySpec {
    /// The city's id.
    pub id: CityName,
    /// Its name for people.
    pub display_name: Box<str>,
    /// The region around it, if any.
    pub region: Option<RegionName>,
    /// Degrees north, -90..90.
    pub latitude: f64,
    /// Degrees east, -180..180.
    pub longitude: f64,
    /// Cost of living, 1000 = the market's reference level.
    pub cost_of_living: i64,
    /// People who live there.
    pub population: i64,
    /// How many matches may stand in the city; `None` is no cap.
    pub intake_cap: Option<u64>,
    /// Taken off the one-off cost of every move into the city.
    pub move_subsidy: i64,
}

impl CitySpec {
    /// Refuses what is wrong whatever market the city goes to.
    pub fn check(&self) -> Result<(), Violation> {
        text("display_name", &self.display_name, TEXT_BYTES_MAX)?;
        // Written so that NaN is refused too.
        if !(-90.0..=90.0).contains(&self.latitude) {
            return Err(Violation::invalid(
                "latitude",
                format!("is {}, must be -90..90", self.latitude),
            ));
        }
        if !(-180.0..=180.0).contains(&self.longitude) {
            return Err(Violation::invalid(
                "longitude",
                format!("is {}, must be -180..180", self.longitude),
            ));
        }
        in_range("cost_of_living", self.cost_of_living, 1, COST_OF_LIVING_MAX)?;
        in_range("population", self.population, 0, POPULATION_MAX)?;
        in_range("intake_cap", self.intake_cap.unwrap_or(0), 0, INTAKE_CAP_MAX)?;
        in_range("move_subsidy", self.move_subsidy, 0, MONEY_MAX)
    }
}

/// An override of the cost of moving from one city to another, as a client describes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveCostSpec {
    /// Where the move starts.
    pub origin: CityName,
    /// Where it ends.
    pub destination: CityName,
    /// One-off cost that replaces the distance formula; `None` keeps the formula.
    pub cost: Option<i64>,
    /// Taken off the one-off cost.
    pub subsidy: i64,
}

impl MoveCostSpec {
    /// Refuses what is wrong whatever market the override goes to.
    pub fn check(&self) -> Result<(), Violation> {
        if self.origin == self.destination {
            return Err(Violation::invalid("destination", "is the origin: staying costs nothing"));
        }
        in_range("cost", self.cost.unwrap_or(0), 0, MONEY_MAX)?;
        in_range("subsidy", self.subsidy, 0, MONEY_MAX)
    }
}

/// A region as the market keeps one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// The region's id.
    pub id: RegionName,
    /// Its name for people.
    pub display_name: Box<str>,
    /// The region around it, if any.
    pub parent: Option<RegionIx>,
    /// How many matches may stand inside it; `None` is no cap.
    pub intake_cap: Option<u64>,
}

/// A city as the market keeps one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct City {
    /// The city's id.
    pub id: CityName,
    /// Its name for people.
    pub display_name: Box<str>,
    /// The region around it, if any.
    pub region: Option<RegionIx>,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Cost of living, 1000 = the market's reference level.
    pub cost_of_living: i64,
    /// People who live there.
    pub population: i64,
    /// How many matches may stand in the city; `None` is no cap.
    pub intake_cap: Option<u64>,
    /// Taken off the one-off cost of every move into the city.
    pub move_subsidy: i64,
}

/// An override of the cost of moving from one city to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveCost {
    /// One-off cost that replaces the distance formula.
    pub cost: Option<i64>,
    /// Taken off the one-off cost.
    pub subsidy: i64,
}

/// All that is known of a market's places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geography {
    /// Cities by index.
    pub cities: Vec<City>,
    /// Regions by index.
    pub regions: Vec<Region>,
    city_by_name: HashMap<CityName, CityIx>,
    region_by_name: HashMap<RegionName, RegionIx>,
    /// Row `i` holds the kilometres from city `i` to each city before it.
    km: Vec<Arc<[u16]>>,
    move_costs: HashMap<(CityIx, CityIx), MoveCost>,
}

impl Geography {
    /// The city of that name.
    pub fn city_named(&self, name: &str) -> Option<CityIx> {
        self.city_by_name.get(name).copied()
    }

    /// The region of that name.
    pub fn region_named(&self, name: &str) -> Option<RegionIx> {
        self.region_by_name.get(name).copied()
    }

    /// The city at `ix`.
    pub fn city(&self, ix: CityIx) -> &City {
        &self.cities[ix.at()]
    }

    /// The region at `ix`.
    pub fn region(&self, ix: RegionIx) -> &Region {
        &self.regions[ix.at()]
    }

    /// Kilometres between two cities, as stored.
    #[inline]
    pub fn km(&self, a: CityIx, b: CityIx) -> u32 {
        match a.cmp(&b) {
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => u32::from(self.km[a.at()][b.at()]),
            std::cmp::Ordering::Less => u32::from(self.km[b.at()][a.at()]),
        }
    }

    /// Kilometres from a city to each city before it, as stored.
    pub fn km_before(&self, ix: CityIx) -> &Arc<[u16]> {
        &self.km[ix.at()]
    }

    /// The override for moves from `origin` to `destination`, if any.
    #[inline]
    pub fn move_cost(&self, origin: CityIx, destination: CityIx) -> Option<&MoveCost> {
        if self.move_costs.is_empty() {
            return None;
        }
        self.move_costs.get(&(origin, destination))
    }

    /// How many overrides there are.
    pub fn move_cost_count(&self) -> usize {
        self.move_costs.len()
    }

    /// All overrides by (origin, destination).
    pub fn move_costs_sorted(&self) -> Vec<((CityIx, CityIx), MoveCost)> {
        let mut all: Vec<_> = self.move_costs.iter().map(|(pair, cost)| (*pair, *cost)).collect();
        all.sort_unstable_by_key(|(pair, _)| *pair);
        all
    }

    /// Kilometres from a point to every city, by index; `at` itself is 0.
    pub fn km_row(&self, at: CityIx, latitude: f64, longitude: f64) -> Arc<[u16]> {
        let row = self.cities.iter().enumerate().map(|(i, city)| {
            if i == at.at() {
                0
            } else {
                haversine_km(latitude, longitude, city.latitude, city.longitude)
            }
        });
        row.collect()
    }

    /// Adds the city at the next index, or replaces the one at `ix`. `km` holds its
    /// distance to every city known before (see [`Self::km_row`]).
    pub fn put_city(&mut self, ix: CityIx, city: City, km: &[u16]) {
        let at = ix.at();
        self.city_by_name.insert(city.id.clone(), ix);
        let before: Arc<[u16]> = km[..at].into();
        if at == self.cities.len() {
            self.cities.push(city);
            self.km.push(before);
            return;
        }
        self.cities[at] = city;
        self.km[at] = before;
        for (later, row) in self.km.iter_mut().enumerate().skip(at + 1) {
            if row[at] != km[later] {
                Arc::make_mut(row)[at] = km[later];
            }
        }
    }

    /// Adds the region at the next index, or replaces the one at `ix`.
    pub fn put_region(&mut self, ix: RegionIx, region: Region) {
        self.region_by_name.insert(region.id.clone(), ix);
        if ix.at() == self.regions.len() {
            self.regions.push(region);
        } else {
            self.regions[ix.at()] = region;
        }
    }

    /// Sets the override for one pair of cities; `None` removes it.
    pub fn put_move_cost(&mut self, origin: CityIx, destination: CityIx, cost: Option<MoveCost>) {
        match cost {
            Some(cost) => self.move_costs.insert((origin, destination), cost),
            None => self.move_costs.remove(&(origin, destination)),
        };
    }

    /// Whether any city or region has an intake cap.
    pub fn has_caps(&self) -> bool {
        self.cities.iter().any(|city| city.intake_cap.is_some())
            || self.regions.iter().any(|region| region.intake_cap.is_some())
    }

    /// The regions around `region`, itself first, up to the root.
    pub fn ancestry(&self, region: Option<RegionIx>) -> impl Iterator<Item = RegionIx> + '_ {
        std::iter::successors(region, |ix| self.region(*ix).parent)
    }

    /// A region that would be its own ancestor if `region` had `parent`.
    pub fn closes_cycle(&self, region: RegionIx, parent: RegionIx) -> bool {
        self.ancestry(Some(parent)).any(|ix| ix == region)
    }

    /// The violation for an unknown city in `field`.
    pub fn unknown_city(field: impl Into<String>, name: &CityName) -> Violation {
        Violation::new(
            Reason::CityNotFound,
            field,
            format!("city {name} does not exist in this market"),
        )
    }
}

/// Great-circle distance by the haversine formula, rounded half away from zero to
/// whole kilometres. `libm` computes the same on every machine.
fn haversine_km(lat_a: f64, lon_a: f64, lat_b: f64, lon_b: f64) -> u16 {
    let radians = |degrees: f64| degrees * (std::f64::consts::PI / 180.0);
    let (phi_a, phi_b) = (radians(lat_a), radians(lat_b));
    let half_phi = libm::sin((phi_b - phi_a) / 2.0);
    let half_lambda = libm::sin(radians(lon_b - lon_a) / 2.0);
    let h = half_phi * half_phi + libm::cos(phi_a) * libm::cos(phi_b) * half_lambda * half_lambda;
    let angle = 2.0 * libm::asin(libm::sqrt(h.clamp(0.0, 1.0)));
    // Half the Earth's circumference is 20,015 km.
    libm::round(EARTH_RADIUS_KM * angle) as u16
}

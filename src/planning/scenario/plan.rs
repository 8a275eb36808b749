//! A policy in the terms of one market: names looked up, places and costs as they would be.

use super::draws;
use super::policy::{Capacity, Change, Cluster, Group, Place, Policy, Subsidy};
use crate::domain::error::{Within, in_range};
use crate::domain::ids::RegionIx;
use crate::domain::limits::{CLUSTER_VACANCIES_MAX, MONEY_MAX, MOVE_COSTS_MAX, OPENINGS_MAX};
use crate::domain::{
    CapOrder, CityIx, CityName, Geography, MoveCost, Reason, Settings, Vacancy, VacancyId,
    Violation,
};
use crate::state::{VacancyStatus, View};
use std::sync::Arc;
use uuid::Uuid;

/// A policy as it would act on one market.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The market's settings with the policy's costs and cap order.
    pub settings: Arc<Settings>,
    /// The market's places with the policy's caps, subsidies and costs.
    pub geography: Arc<Geography>,
    /// By city and by region: whether the policy has set the cap, which then starts anew.
    pub caps_set: (Vec<bool>, Vec<bool>),
    /// By city: part of the openings within target, in basis points, where the policy says.
    pub targets: Vec<Option<u32>>,
    /// By city: housing as a multiple of what there is.
    pub housing: Vec<f64>,
    /// By city: transport as a multiple of what there is.
    pub transport: Vec<f64>,
    /// New vacancies.
    pub clusters: Vec<Vacancy>,
    salaries: Vec<Shift>,
    demand: Vec<Shift>,
}

/// A [`Change`] with its cities looked up.
#[derive(Clone, Debug)]
struct Shift {
    /// By city; `None` is everywhere.
    cities: Option<Vec<bool>>,
    group: Option<Group>,
    change_bp: i32,
}

impl Shift {
    fn concerns(&self, vacancy: &Vacancy) -> bool {
        self.cities.as_ref().is_none_or(|cities| cities[vacancy.city.at()])
            && self.group.as_ref().is_none_or(|group| group.contains(vacancy))
    }
}

impl Plan {
    /// The policy in the terms of that market.
    ///
    /// # Errors
    /// What [`Policy::check`] refuses, unknown cities and regions, and what the market
    /// cannot do, by the name of the policy's field.
    pub fn of(policy: &Policy, view: &View) -> Result<Self, Violation> {
        policy.check()?;
        let geography = &*view.head.geography;
        let settings = settings(policy, &view.head.settings)?;
        let count = geography.cities.len();
        let mut plan = Self {
            settings: Arc::new(settings),
            geography: view.head.geography.clone(),
            caps_set: (vec![false; count], vec![false; geography.regions.len()]),
            targets: vec![None; count],
            housing: vec![1.0; count],
            transport: vec![1.0; count],
            clusters: Vec::new(),
            salaries: shifts("salaries", &policy.salaries, geography)?,
            demand: shifts("demand", &policy.demand, geography)?,
        };
        plan.change_places(policy)?;
        plan.set_targets(policy)?;
        for (i, capacity) in policy.capacities.iter().enumerate() {
            plan.make_room(capacity).within(|| format!("capacities[{i}]"))?;
        }
        for (i, cluster) in policy.clusters.iter().enumerate() {
            let made = plan.found(cluster, i, view).within(|| format!("clusters[{i}]"))?;
            plan.clusters.extend(made);
        }
        Ok(plan)
    }

    /// What a vacancy pays under the policy.
    pub fn salary(&self, vacancy: &Vacancy) -> i64 {
        let shifts = self.salaries.iter().filter(|shift| shift.concerns(vacancy));
        shifts.fold(vacancy.salary, |salary, shift| {
            let changed = i128::from(salary) * i128::from(10_000 + shift.change_bp) / 10_000;
            changed.clamp(1, i128::from(MONEY_MAX)) as i64
        })
    }

    /// How many of `openings` are wanted under the policy. What is left of a whole opening
    /// is rounded up or down by the vacancy's own draw.
    pub fn wanted(&self, vacancy: &Vacancy, openings: u32) -> u32 {
        let shifts = self.demand.iter().filter(|shift| shift.concerns(vacancy));
        let factor = shifts
            .fold(1.0, |factor, shift| factor * f64::from(10_000 + shift.change_bp) / 10_000.0);
        if factor == 1.0 {
            return openings;
        }
        let draw = draws::unit(0, vacancy.id.bytes(), 0, draws::Purpose::Demand);
        draws::rounded(f64::from(openings) * factor, draw).min(OPENINGS_MAX)
    }

    /// A vacancy's target under the policy, of `openings` that it has now.
    pub fn target(&self, vacancy: &Vacancy, openings: u32) -> u32 {
        match self.targets[vacancy.city.at()] {
            Some(share) => (u64::from(openings) * u64::from(share) / 10_000) as u32,
            None => vacancy.target.min(openings),
        }
    }

    /// Caps, subsidies and costs.
    fn change_places(&mut self, policy: &Policy) -> Result<(), Violation> {
        let mut geography = Geography::clone(&self.geography);
        for (i, cap) in policy.caps.iter().enumerate() {
            let place = find(&geography, &cap.place).within(|| format!("caps[{i}].place"))?;
            match place {
                Found::City(ix) => {
                    geography.cities[ix.at()].intake_cap = cap.intake_cap;
                    self.caps_set.0[ix.at()] = true;
                }
                Found::Region(ix) => {
                    geography.regions[ix.at()].intake_cap = cap.intake_cap;
                    self.caps_set.1[ix.at()] = true;
                }
            }
        }
        for (i, pair) in policy.move_costs.pairs.iter().enumerate() {
            let place = |field| move || format!("move_costs.pairs[{i}].{field}");
            let origin = city(&geography, &pair.origin).within(place("origin"))?;
            let destination = city(&geography, &pair.destination).within(place("destination"))?;
            let known = geography.move_cost(origin, destination).copied().unwrap_or_default();
            let cost = MoveCost { cost: Some(pair.cost), ..known };
            geography.put_move_cost(origin, destination, Some(cost));
        }
        for (i, subsidy) in policy.subsidies.iter().enumerate() {
            subsidise(&mut geography, subsidy).within(|| format!("subsidies[{i}]"))?;
        }
        self.geography = Arc::new(geography);
        Ok(())
    }

    fn set_targets(&mut self, policy: &Policy) -> Result<(), Violation> {
        if !policy.targets.is_empty() && self.settings.cap_order != CapOrder::Targets {
            return Err(Violation::new(
                Reason::UnsupportedMechanism,
                "targets",
                "do nothing under the SCORE cap order: set cap_order to TARGETS",
            ));
        }
        for (i, target) in policy.targets.iter().enumerate() {
            let inside =
                inside(&self.geography, &target.place).within(|| format!("targets[{i}].place"))?;
            for ix in inside {
                self.targets[ix.at()] = Some(target.share_bp);
            }
        }
        Ok(())
    }

    fn make_room(&mut self, capacity: &Capacity) -> Result<(), Violation> {
        let factor = |change: i32| f64::from(10_000 + change) / 10_000.0;
        let inside = inside(&self.geography, &capacity.place).within(|| "place".to_owned())?;
        for ix in inside {
            self.housing[ix.at()] *= factor(capacity.housing_bp);
            self.transport[ix.at()] *= factor(capacity.transport_bp);
        }
        Ok(())
    }

    /// The vacancies of cluster number `number`. They are copies of vacancies of that group
    /// in the city, or of anywhere if the city has none; which, is drawn by their ids.
    fn found(
        &self,
        cluster: &Cluster,
        number: usize,
        view: &View,
    ) -> Result<Vec<Vacancy>, Violation> {
        let ix = city(&self.geography, &cluster.city).within(|| "city".to_owned())?;
        let rows = view.vacancies.iter();
        let rows =
            rows.filter(|row| matches!(row.status, VacancyStatus::Open | VacancyStatus::Filled));
        let like: Vec<&Vacancy> = rows
            .map(|row| &*row.vacancy)
            .filter(|vacancy| vacancy.ranking.is_none() && cluster.group.contains(vacancy))
            .collect();
        if like.is_empty() {
            let Group { label, prefix } = &cluster.group;
            let message = format!(
                "no vacancy that could be copied has a label {label} that starts with {prefix:?}"
            );
            return Err(Violation::invalid("group", message));
        }
        let here: Vec<&Vacancy> = like.iter().copied().filter(|like| like.city == ix).collect();
        let mut like = if here.is_empty() { like } else { here };
        like.sort_by_cached_key(|like| {
            (draws::bits(number as u64, like.id.bytes(), 0, draws::Purpose::Cluster), like.id)
        });
        like.truncate(CLUSTER_VACANCIES_MAX.min(cluster.openings as usize));
        let count = like.len() as u32;
        let openings = |i: u32| cluster.openings / count + u32::from(i < cluster.openings % count);
        let copies = like.iter().zip(0..);
        Ok(copies.map(|(like, i)| self.copy(like, cluster, number, ix, openings(i))).collect())
    }

    /// A vacancy of a cluster, after one that exists.
    fn copy(
        &self,
        like: &Vacancy,
        cluster: &Cluster,
        number: usize,
        ix: CityIx,
        openings: u32,
    ) -> Vacancy {
        let prices = |ix| i128::from(self.geography.city(ix).cost_of_living);
        let same_worth = i128::from(like.salary) * prices(ix) / prices(like.city);
        let salary = cluster.salary.unwrap_or(same_worth.clamp(1, i128::from(MONEY_MAX)) as i64);
        // The same cluster, tried again, is the same vacancies.
        let half =
            |at: u32| draws::bits(number as u64, like.id.bytes(), at, draws::Purpose::Cluster);
        let id = Uuid::new_v8(((u128::from(half(1)) << 64) | u128::from(half(2))).to_be_bytes());
        Vacancy {
            id: VacancyId(id),
            city: ix,
            openings,
            target: 0,
            salary,
            deadline: None,
            ..like.clone()
        }
    }
}

/// The market's settings under the policy.
fn settings(policy: &Policy, before: &Settings) -> Result<Settings, Violation> {
    let mut settings = before.clone();
    settings.fixed_move_cost = policy.move_costs.fixed.unwrap_or(before.fixed_move_cost);
    settings.move_cost_per_km = policy.move_costs.per_km.unwrap_or(before.move_cost_per_km);
    if let Some(order) = policy.cap_order {
        settings.cap_order = order;
        // A scenario clears period by period, whenever the market does.
        settings.clearing = crate::domain::Clearing::Manual;
        settings.check().map_err(|violation| {
            Violation::new(violation.reason, "cap_order", violation.message)
        })?;
    }
    Ok(settings)
}

fn shifts(field: &str, changes: &[Change], geography: &Geography) -> Result<Vec<Shift>, Violation> {
    let mut shifts = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        let cities = match &change.place {
            Some(place) => {
                let mut cities = vec![false; geography.cities.len()];
                for ix in inside(geography, place).within(|| format!("{field}[{i}].place"))? {
                    cities[ix.at()] = true;
                }
                Some(cities)
            }
            None => None,
        };
        shifts.push(Shift { cities, group: change.group.clone(), change_bp: change.change_bp });
    }
    Ok(shifts)
}

/// A place, looked up.
enum Found {
    City(CityIx),
    Region(RegionIx),
}

fn find(geography: &Geography, place: &Place) -> Result<Found, Violation> {
    match place {
        Place::City(name) => city(geography, name).within(|| "city".to_owned()).map(Found::City),
        Place::Region(name) => {
            let region = geography.region_named(name.as_str()).map(Found::Region);
            region.ok_or_else(|| {
                let message = format!("region {name} does not exist in this market");
                Violation::new(Reason::RegionNotFound, "region", message)
            })
        }
    }
}

fn city(geography: &Geography, name: &CityName) -> Result<CityIx, Violation> {
    geography.city_named(name.as_str()).ok_or_else(|| Geography::unknown_city("", name))
}

/// The cities of a place, ascending.
fn inside(geography: &Geography, place: &Place) -> Result<Vec<CityIx>, Violation> {
    let found = find(geography, place)?;
    let cities = (0..geography.cities.len()).map(CityIx::from_offset);
    Ok(cities
        .filter(|ix| match found {
            Found::City(city) => city == *ix,
            Found::Region(region) => {
                geography.ancestry(geography.city(*ix).region).any(|around| around == region)
            }
        })
        .collect())
}

/// Adds a subsidy to those that are there.
fn subsidise(geography: &mut Geography, subsidy: &Subsidy) -> Result<(), Violation> {
    let destinations =
        inside(geography, &subsidy.destination).within(|| "destination".to_owned())?;
    let Some(origin) = &subsidy.origin else {
        for ix in destinations {
            let city = &mut geography.cities[ix.at()];
            let amount = city.move_subsidy.saturating_add(subsidy.amount);
            in_range("amount", amount, 0, MONEY_MAX)?;
            city.move_subsidy = amount;
        }
        return Ok(());
    };
    let origins = inside(geography, origin).within(|| "origin".to_owned())?;
    for from in origins {
        for &to in destinations.iter().filter(|to| **to != from) {
            let known = geography.move_cost(from, to).copied().unwrap_or_default();
            let amount = known.subsidy.saturating_add(subsidy.amount);
            in_range("amount", amount, 0, MONEY_MAX)?;
            geography.put_move_cost(from, to, Some(MoveCost { subsidy: amount, ..known }));
        }
        if geography.move_cost_count() > MOVE_COSTS_MAX {
            let message = format!("concerns more ways than the {MOVE_COSTS_MAX} that are allowed");
            return Err(Violation::new(Reason::LimitReached, "origin", message));
        }
    }
    Ok(())
}

//! Decides about regions, cities and the cost of moving.
//!
//! These commands are rare and their items build on one another (a parent may come
//! earlier in the same call), so they are decided on a scratch copy of the geography.

use super::super::State;
use super::super::command::{Batch, Refusal};
use super::super::effect::Effect;
use super::{Draft, each, full};
use crate::domain::limits::{CITIES_MAX, MOVE_COSTS_MAX, REGIONS_MAX};
use crate::domain::{
    City, CityIx, CitySpec, Geography, MoveCost, MoveCostSpec, Reason, Region, RegionIx,
    RegionName, RegionSpec, Violation,
};
use std::sync::Arc;

impl State {
    pub(super) fn upsert_regions(
        &self,
        batch: &Batch<RegionSpec>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let mut scratch = (*self.view.head.geography).clone();
        each(
            draft,
            ("regions", "id"),
            batch,
            |spec| spec.id.clone(),
            |spec| spec.id.to_string(),
            |spec, effects| {
                self.check_cap(spec.intake_cap)?;
                let known = scratch.region_named(spec.id.as_str());
                if known.is_none() && scratch.regions.len() == REGIONS_MAX {
                    return Err(full("regions", REGIONS_MAX));
                }
                let ix = known.unwrap_or_else(|| RegionIx::from_offset(scratch.regions.len()));
                let parent =
                    region_named(&scratch, "parent", spec.parent.as_ref(), Some(&spec.id))?;
                if parent.is_some_and(|parent| parent == ix || scratch.closes_cycle(ix, parent)) {
                    return Err(Violation::new(
                        Reason::RegionCycle,
                        "parent",
                        format!("{} would be its own ancestor", spec.id),
                    ));
                }
                let region = Region {
                    id: spec.id.clone(),
                    display_name: spec.display_name.clone(),
                    parent,
                    intake_cap: spec.intake_cap,
                };
                let old = known.map(|ix| scratch.region(ix));
                if old == Some(&region) {
                    return Ok(0);
                }
                let cap_set = old.is_none_or(|old| old.intake_cap != region.intake_cap);
                scratch.put_region(ix, region.clone());
                effects.push(Effect::RegionPut { ix, region: Arc::new(region), cap_set });
                Ok(0)
            },
        )
    }

    pub(super) fn upsert_cities(
        &self,
        batch: &Batch<CitySpec>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let mut scratch = (*self.view.head.geography).clone();
        each(
            draft,
            ("cities", "id"),
            batch,
            |spec| spec.id.clone(),
            |spec| spec.id.to_string(),
            |spec, effects| {
                self.check_cap(spec.intake_cap)?;
                let known = scratch.city_named(spec.id.as_str());
                if known.is_none() && scratch.cities.len() == CITIES_MAX {
                    return Err(full("cities", CITIES_MAX));
                }
                let ix = known.unwrap_or_else(|| CityIx::from_offset(scratch.cities.len()));
                let city = City {
                    id: spec.id.clone(),
                    display_name: spec.display_name.clone(),
                    region: region_named(&scratch, "region", spec.region.as_ref(), None)?,
                    latitude: spec.latitude,
                    longitude: spec.longitude,
                    cost_of_living: spec.cost_of_living,
                    population: spec.population,
                    intake_cap: spec.intake_cap,
                    move_subsidy: spec.move_subsidy,
                };
                let old = known.map(|ix| scratch.city(ix));
                if old == Some(&city) {
                    return Ok(0);
                }
                let cap_set = old.is_none_or(|old| old.intake_cap != city.intake_cap);
                let km = scratch.km_row(ix, city.latitude, city.longitude);
                scratch.put_city(ix, city.clone(), &km);
                effects.push(Effect::CityPut { ix, city: Arc::new(city), km, cap_set });
                Ok(0)
            },
        )
    }

    /// Refuses a cap that the market's promise has no room for.
    fn check_cap(&self, cap: Option<u64>) -> Result<(), Violation> {
        let settings = &self.view.head.settings;
        cap.map_or(Ok(()), |_| settings.check_promise_in_caps("intake_cap"))
    }

    pub(super) fn set_move_costs(
        &self,
        batch: &Batch<MoveCostSpec>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let geography = &*self.view.head.geography;
        let mut count = geography.move_cost_count();
        let key = |spec: &MoveCostSpec| (spec.origin.clone(), spec.destination.clone());
        let id = |spec: &MoveCostSpec| format!("{} -> {}", spec.origin, spec.destination);
        each(draft, ("move_costs", ""), batch, key, id, |spec, effects| {
            let city = |field, name: &crate::domain::CityName| {
                let ix = geography.city_named(name.as_str());
                ix.ok_or_else(|| Geography::unknown_city(field, name))
            };
            let origin = city("origin", &spec.origin)?;
            let destination = city("destination", &spec.destination)?;
            let old = geography.move_cost(origin, destination).copied();
            let removed = spec.cost.is_none() && spec.subsidy == 0;
            let cost = (!removed).then_some(MoveCost { cost: spec.cost, subsidy: spec.subsidy });
            if old == cost {
                return Ok(0);
            }
            match (old, cost) {
                (None, Some(_)) if count == MOVE_COSTS_MAX => {
                    return Err(full("move_costs", MOVE_COSTS_MAX));
                }
                (None, Some(_)) => count += 1,
                (Some(_), None) => count -= 1,
                _ => {}
            }
            effects.push(Effect::MoveCostPut { origin, destination, cost });
            Ok(0)
        })
    }
}

/// The region that an item refers to. A region may not name itself as its parent:
/// that is a cycle, not an unknown region, even while it is new.
fn region_named(
    geography: &Geography,
    field: &str,
    name: Option<&RegionName>,
    itself: Option<&RegionName>,
) -> Result<Option<RegionIx>, Violation> {
    let Some(name) = name else { return Ok(None) };
    if itself == Some(name) {
        return Err(Violation::new(
            Reason::RegionCycle,
            field,
            format!("{name} would be its own ancestor"),
        ));
    }
    match geography.region_named(name.as_str()) {
        Some(ix) => Ok(Some(ix)),
        None => Err(Violation::new(
            Reason::RegionNotFound,
            field,
            format!("region {name} does not exist in this market"),
        )),
    }
}

//! Specs as API messages: what a generator makes, in the form that clients send.
//!
//! The inverse direction (messages to specs, with every check) is the door's.

use crate::domain::{
    CitySpec, Labels, Millis, MobilitySpec, MoveCostSpec, RegionSpec, RequirementSpec, Settings,
    VacancySpec, WorkerSpec,
};
use crate::proto::v1;
use std::collections::BTreeMap;
use std::fmt::Display;

/// A market with these settings. `lottery_seed` is left to the server if absent.
pub fn market(
    id: &str,
    display_name: &str,
    settings: &Settings,
    lottery_seed: Option<u64>,
) -> v1::Market {
    v1::Market {
        id: id.to_owned(),
        display_name: display_name.to_owned(),
        settings: Some(super::render::settings(settings, lottery_seed)),
        ..v1::Market::default()
    }
}

impl From<&RegionSpec> for v1::Region {
    fn from(spec: &RegionSpec) -> Self {
        Self {
            id: spec.id.to_string(),
            display_name: spec.display_name.to_string(),
            parent: spec.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
            intake_cap: spec.intake_cap,
        }
    }
}

impl From<&CitySpec> for v1::City {
    fn from(spec: &CitySpec) -> Self {
        Self {
            id: spec.id.to_string(),
            display_name: spec.display_name.to_string(),
            region: spec.region.as_ref().map(ToString::to_string).unwrap_or_default(),
            latitude: spec.latitude,
            longitude: spec.longitude,
            // A spec that passed its checks fits.
            cost_of_living: Some(u32::try_from(spec.cost_of_living).unwrap_or(u32::MAX)),
            population: spec.population,
            intake_cap: spec.intake_cap,
            move_subsidy: spec.move_subsidy,
        }
    }
}

impl From<&MoveCostSpec> for v1::MoveCost {
    fn from(spec: &MoveCostSpec) -> Self {
        Self {
            origin: spec.origin.to_string(),
            destination: spec.destination.to_string(),
            cost: spec.cost,
            subsidy: spec.subsidy,
        }
    }
}

impl From<&WorkerSpec> for v1::Worker {
    fn from(spec: &WorkerSpec) -> Self {
        let skills = spec
            .skills
            .iter()
            .map(|(skill, level)| v1::Skill { skill: skill.to_string(), level: u32::from(*level) });
        Self {
            id: spec.id.to_string(),
            home_city: spec.home_city.to_string(),
            skills: skills.collect(),
            expected_salary: spec.expected_salary,
            reservation_salary: Some(spec.reservation_salary),
            mobility: Some(mobility(&spec.mobility, spec.cost_percent)),
            ranking: ranking(spec.ranking.as_deref()),
            deadline: spec.deadline.map(timestamp),
            labels: labels(&spec.labels),
        }
    }
}

impl From<&VacancySpec> for v1::Vacancy {
    fn from(spec: &VacancySpec) -> Self {
        Self {
            id: spec.id.to_string(),
            city: spec.city.to_string(),
            employer: spec.employer.to_string(),
            title: spec.title.to_string(),
            openings: spec.openings,
            salary: spec.salary,
            requirements: spec.requirements.iter().map(requirement).collect(),
            min_fit_bp: spec.min_fit_bp,
            ranking: ranking(spec.ranking.as_deref()),
            target: (spec.target > 0).then_some(spec.target),
            deadline: spec.deadline.map(timestamp),
            labels: labels(&spec.labels),
        }
    }
}

/// Where a worker would live, and how dear a move is to them.
fn mobility(mobility: &MobilitySpec, cost_percent: u16) -> v1::Mobility {
    use v1::mobility::Scope;
    let (scope, cities) = match mobility {
        MobilitySpec::Any => (Scope::Any, Vec::new()),
        MobilitySpec::Listed(cities) => {
            (Scope::Listed, cities.iter().map(ToString::to_string).collect())
        }
        MobilitySpec::HomeOnly => (Scope::HomeOnly, Vec::new()),
    };
    v1::Mobility { scope: scope.into(), cities, cost_percent: Some(cost_percent.into()) }
}

fn requirement(spec: &RequirementSpec) -> v1::Requirement {
    v1::Requirement {
        skill: spec.skill.to_string(),
        desired_level: spec.desired_level.into(),
        weight: spec.weight.into(),
        minimum_level: spec.minimum_level.map(u32::from),
    }
}

/// Absent stays absent; present and empty stays present.
fn ranking(ids: Option<&[impl Display]>) -> Option<v1::Ranking> {
    ids.map(|ids| v1::Ranking { ids: ids.iter().map(ToString::to_string).collect() })
}

fn labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// A moment of the market's clock.
pub fn timestamp(at: Millis) -> pbjson_types::Timestamp {
    let nanos = at.0.rem_euclid(1000) * 1_000_000;
    pbjson_types::Timestamp {
        seconds: at.0.div_euclid(1000),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

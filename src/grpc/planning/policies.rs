//! Policies and parameters of scenarios, between protocol buffers and the domain.

use crate::domain::error::{Within, at_most};
use crate::domain::limits::POLICY_ITEMS_MAX;
use crate::domain::{CapOrder, CityName, RegionName, Violation};
use crate::grpc::parse::known;
use crate::planning::scenario::Parameters;
use crate::planning::scenario::policy::{
    Cap, Capacity, Change, Cluster, Group, MoveCosts, PairCost, Place, Policy, Subsidy, Target,
};
use crate::proto::v1 as pb;
use prost::Message;
use xxhash_rust::xxh3::xxh3_64;

/// A policy; what is absent is not changed. What it says is checked by the domain.
pub fn policy(policy: &pb::Policy) -> Result<Policy, Violation> {
    let defaults = Policy::default();
    let text = |text: &str| Box::<str>::from(text);
    Ok(Policy {
        name: if policy.name.is_empty() { defaults.name } else { text(&policy.name) },
        version: if policy.version == 0 { 1 } else { policy.version },
        parent: (!policy.parent.is_empty()).then(|| text(&policy.parent)),
        description: text(&policy.description),
        subsidies: each("subsidies", &policy.subsidies, subsidy)?,
        caps: each("caps", &policy.caps, |cap| {
            Ok(Cap { place: place("place", cap.place.as_ref())?, intake_cap: cap.intake_cap })
        })?,
        targets: each("targets", &policy.targets, |target| {
            let place = place("place", target.place.as_ref())?;
            Ok(Target { place, share_bp: target.share_bp })
        })?,
        cap_order: match known("cap_order", policy.cap_order)? {
            pb::CapOrder::Unspecified => None,
            pb::CapOrder::Score => Some(CapOrder::Score),
            pb::CapOrder::Targets => Some(CapOrder::Targets),
        },
        move_costs: match &policy.move_costs {
            Some(costs) => move_costs(costs).within(|| "move_costs".to_owned())?,
            None => MoveCosts::default(),
        },
        clusters: each("clusters", &policy.clusters, cluster)?,
        salaries: each("salaries", &policy.salaries, change)?,
        demand: each("demand", &policy.demand, change)?,
        capacities: each("capacities", &policy.capacities, |capacity| {
            Ok(Capacity {
                place: place("place", capacity.place.as_ref())?,
                housing_bp: capacity.housing_bp,
                transport_bp: capacity.transport_bp,
            })
        })?,
    })
}

/// XXH3-64 of what a policy says, whatever it is called.
pub fn policy_hash(policy: &pb::Policy) -> u64 {
    let nameless = pb::Policy {
        name: String::new(),
        version: 0,
        parent: String::new(),
        description: String::new(),
        ..policy.clone()
    };
    xxh3_64(&nameless.encode_to_vec())
}

fn each<P, T>(
    field: &str,
    entries: &[P],
    read: impl Fn(&P) -> Result<T, Violation>,
) -> Result<Vec<T>, Violation> {
    at_most(field, entries.len(), POLICY_ITEMS_MAX)?;
    let entries = entries.iter().enumerate();
    entries.map(|(i, entry)| read(entry).within(|| format!("{field}[{i}]"))).collect()
}

fn place(field: &str, place: Option<&pb::PolicyPlace>) -> Result<Place, Violation> {
    match place.and_then(|place| place.place.as_ref()) {
        Some(pb::policy_place::Place::City(name)) => {
            CityName::parse("city", name).map(Place::City).within(|| field.to_owned())
        }
        Some(pb::policy_place::Place::Region(name)) => {
            RegionName::parse("region", name).map(Place::Region).within(|| field.to_owned())
        }
        None => Err(Violation::invalid(field, "must name a city or a region")),
    }
}

fn subsidy(subsidy: &pb::MoveSubsidy) -> Result<Subsidy, Violation> {
    let origin = match &subsidy.origin {
        Some(origin) => Some(place("origin", Some(origin))?),
        None => None,
    };
    let destination = place("destination", subsidy.destination.as_ref())?;
    Ok(Subsidy { origin, destination, amount: subsidy.amount })
}

fn move_costs(costs: &pb::MoveCostChange) -> Result<MoveCosts, Violation> {
    let pairs = each("pairs", &costs.pairs, |pair| {
        Ok(PairCost {
            origin: CityName::parse("origin", &pair.origin)?,
            destination: CityName::parse("destination", &pair.destination)?,
            cost: pair.cost,
        })
    })?;
    Ok(MoveCosts { fixed: costs.fixed, per_km: costs.per_km, pairs })
}

fn group(group: &pb::PolicyGroup) -> Group {
    Group { label: group.label.as_str().into(), prefix: group.prefix.as_str().into() }
}

fn cluster(cluster: &pb::Cluster) -> Result<Cluster, Violation> {
    let of = cluster.group.as_ref();
    Ok(Cluster {
        city: CityName::parse("city", &cluster.city)?,
        group: of.map(group).ok_or_else(|| Violation::invalid("group", "must be given"))?,
        openings: cluster.openings,
        salary: cluster.salary,
    })
}

fn change(change: &pb::RelativeChange) -> Result<Change, Violation> {
    let place = match &change.place {
        Some(at) => Some(place("place", Some(at))?),
        None => None,
    };
    Ok(Change { place, group: change.group.as_ref().map(group), change_bp: change.change_bp })
}

macro_rules! parameters {
    ($($name:ident),+ $(,)?) => {
        /// Parameters; an absent one has its default.
        pub fn parameters(parameters: &pb::Parameters) -> Parameters {
            let defaults = Parameters::default();
            Parameters { $($name: parameters.$name.unwrap_or(defaults.$name),)+ }
        }

        /// Parameters in full.
        pub fn parameters_in_full(parameters: &Parameters) -> pb::Parameters {
            pb::Parameters { $($name: Some(parameters.$name),)+ }
        }
    };
}

parameters!(
    income_elasticity,
    barrier_within,
    barrier_between,
    density_elasticity,
    cost_elasticity,
    localisation_elasticity,
    spillover,
    spillover_decay_per_km,
    separation,
    reconsider,
    withdrawal,
    posting,
    vacancy_elasticity,
    delay_base,
    delay_power,
    learning,
    residents_per_worker,
);

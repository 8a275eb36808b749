//! A policy: what a planner would do, by name and version, in the words of the domain.
//!
//! A [`Policy`] speaks of cities and regions by name and is checked by itself
//! ([`Policy::check`]); [`super::plan::Plan`] is the same in the terms of one market. An
//! empty policy is legal: it is the baseline.

use crate::domain::error::{Within, at_most, in_range, text};
use crate::domain::ids::{CityName, RegionName};
use crate::domain::limits::{
    FIT_MAX, INTAKE_CAP_MAX, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, MONEY_MAX, NAME_BYTES_MAX,
    OPENINGS_MAX, PER_KM_MAX, POLICY_CUT_BP_MAX, POLICY_ITEMS_MAX, POLICY_RISE_BP_MAX,
    TEXT_BYTES_MAX,
};
use crate::domain::{CapOrder, Vacancy, Violation};

/// A city, or all cities inside a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One city.
    City(CityName),
    /// A region with all regions inside it.
    Region(RegionName),
}

/// Vacancies with a label whose value starts with a prefix: an occupation, or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The label's key, such as `occupation`.
    pub label: Box<str>,
    /// How its value starts, such as `15-`; empty: any value.
    pub prefix: Box<str>,
}

impl Group {
    /// Whether a vacancy belongs to the group.
    pub fn contains(&self, vacancy: &Vacancy) -> bool {
        let labels = vacancy.labels.iter().flat_map(|labels| labels.iter());
        labels
            .filter(|(key, _)| **key == *self.label)
            .any(|(_, value)| value.starts_with(&*self.prefix))
    }

    fn check(&self) -> Result<(), Violation> {
        if self.label.is_empty() {
            return Err(Violation::invalid("label", "must not be empty"));
        }
        text("label", &self.label, LABEL_KEY_BYTES_MAX)?;
        text("prefix", &self.prefix, LABEL_VALUE_BYTES_MAX)
    }
}

/// Money towards the one-off cost of a move; never more than the cost is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subsidy {
    /// Where the move starts; `None` is anywhere.
    pub origin: Option<Place>,
    /// Where it ends.
    pub destination: Place,
    /// Added to the subsidies that the market has already.
    pub amount: i64,
}

/// How many may be placed in a city or region in each period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// The city or region.
    pub place: Place,
    /// The cap; `None` lifts the one that the market has.
    pub intake_cap: Option<u64>,
}

/// Which part of the openings of each vacancy counts as within target (`TARGETS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The city or region.
    pub place: Place,
    /// Basis points of the openings, rounded down.
    pub share_bp: u32,
}

/// Changes of what moves cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveCosts {
    /// Replaces the market's `fixed_move_cost`.
    pub fixed: Option<i64>,
    /// Replaces its `move_cost_per_km`.
    pub per_km: Option<i64>,
    /// Costs of single ways, which replace the formula there.
    pub pairs: Vec<PairCost>,
}

/// The one-off cost of the way from one city to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairCost {
    /// Where the move starts.
    pub origin: CityName,
    /// Where it ends.
    pub destination: CityName,
    /// Its cost, before subsidies.
    pub cost: i64,
}

/// New openings of a group in a city, like those that the market has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The city.
    pub city: CityName,
    /// What sort of vacancies.
    pub group: Group,
    /// How many openings.
    pub openings: u32,
    /// What they pay; `None`: as the vacancies that they are like, at the city's prices.
    pub salary: Option<i64>,
}

/// A relative change of what vacancies pay, or of how many openings they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where; `None` is everywhere.
    pub place: Option<Place>,
    /// Of which vacancies; `None` is of all.
    pub group: Option<Group>,
    /// By how many basis points.
    pub change_bp: i32,
}

/// A relative change of the room that cities have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The city or region.
    pub place: Place,
    /// Housing, by basis points: it lowers the cost of living.
    pub housing_bp: i32,
    /// Transport, by basis points: it lowers the delay.
    pub transport_bp: i32,
}

/// A named, versioned policy. All of it holds from the first period on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, 1..64 bytes of `A-Za-z0-9._-`.
    pub name: Box<str>,
    /// Its version, from 1.
    pub version: u32,
    /// The policy from which it was made, for readers.
    pub parent: Option<Box<str>>,
    /// What it is for, for readers.
    pub description: Box<str>,
    /// Subsidies of moves.
    pub subsidies: Vec<Subsidy>,
    /// Caps by city or region.
    pub caps: Vec<Cap>,
    /// Targets by city or region.
    pub targets: Vec<Target>,
    /// Replaces the market's cap order.
    pub cap_order: Option<CapOrder>,
    /// What moves cost.
    pub move_costs: MoveCosts,
    /// New clusters.
    pub clusters: Vec<Cluster>,
    /// Changes of salaries, applied one after the other.
    pub salaries: Vec<Change>,
    /// Changes of the openings that are wanted, applied one after the other.
    pub demand: Vec<Change>,
    /// Room for people and traffic.
    pub capacities: Vec<Capacity>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            name: "baseline".into(),
            version: 1,
            parent: None,
            description: "".into(),
            subsidies: Vec::new(),
            caps: Vec::new(),
            targets: Vec::new(),
            cap_order: None,
            move_costs: MoveCosts::default(),
            clusters: Vec::new(),
            salaries: Vec::new(),
            demand: Vec::new(),
            capacities: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether it changes nothing: the baseline under another name.
    pub fn is_empty(&self) -> bool {
        let labels = Self {
            name: self.name.clone(),
            version: self.version,
            parent: self.parent.clone(),
            description: self.description.clone(),
            ..Self::default()
        };
        *self == labels
    }

    /// Refuses what is wrong whatever market the policy is tried on, by the name of the
    /// field.
    pub fn check(&self) -> Result<(), Violation> {
        name("name", &self.name)?;
        in_range("version", self.version, 1, u32::MAX)?;
        if let Some(parent) = &self.parent {
            name("parent", parent)?;
        }
        text("description", &self.description, TEXT_BYTES_MAX)?;
        each("subsidies", &self.subsidies, Subsidy::check)?;
        each("caps", &self.caps, Cap::check)?;
        each("targets", &self.targets, |target| in_range("share_bp", target.share_bp, 0, FIT_MAX))?;
        self.move_costs.check().within(|| "move_costs".to_owned())?;
        each("clusters", &self.clusters, Cluster::check)?;
        each("salaries", &self.salaries, Change::check)?;
        each("demand", &self.demand, Change::check)?;
        each("capacities", &self.capacities, Capacity::check)
    }
}

impl Subsidy {
    fn check(&self) -> Result<(), Violation> {
        in_range("amount", self.amount, 1, MONEY_MAX)?;
        if matches!(self.destination, Place::City(_))
            && self.origin.as_ref() == Some(&self.destination)
        {
            return Err(Violation::invalid("destination", "is the origin: staying costs nothing"));
        }
        Ok(())
    }
}

impl Cap {
    fn check(&self) -> Result<(), Violation> {
        in_range("intake_cap", self.intake_cap.unwrap_or(0), 0, INTAKE_CAP_MAX)
    }
}

impl MoveCosts {
    fn check(&self) -> Result<(), Violation> {
        in_range("fixed", self.fixed.unwrap_or(0), 0, MONEY_MAX)?;
        in_range("per_km", self.per_km.unwrap_or(0), 0, PER_KM_MAX)?;
        each("pairs", &self.pairs, |pair| {
            if pair.origin == pair.destination {
                let message = "is the origin: staying costs nothing";
                return Err(Violation::invalid("destination", message));
            }
            in_range("cost", pair.cost, 0, MONEY_MAX)
        })
    }
}

impl Cluster {
    fn check(&self) -> Result<(), Violation> {
        self.group.check().within(|| "group".to_owned())?;
        in_range("openings", self.openings, 1, OPENINGS_MAX)?;
        in_range("salary", self.salary.unwrap_or(1), 1, MONEY_MAX)
    }
}

impl Change {
    fn check(&self) -> Result<(), Violation> {
        if let Some(group) = &self.group {
            group.check().within(|| "group".to_owned())?;
        }
        change_bp("change_bp", self.change_bp)
    }
}

impl Capacity {
    fn check(&self) -> Result<(), Violation> {
        change_bp("housing_bp", self.housing_bp)?;
        change_bp("transport_bp", self.transport_bp)
    }
}

/// Refuses a relative change that takes everything away, or is absurdly large.
fn change_bp(field: &str, change: i32) -> Result<(), Violation> {
    in_range(field, change, -POLICY_CUT_BP_MAX, POLICY_RISE_BP_MAX)
}

/// Refuses a list that is too long or has an entry that is wrong, which is named.
fn each<T>(
    field: &str,
    entries: &[T],
    check: impl Fn(&T) -> Result<(), Violation>,
) -> Result<(), Violation> {
    at_most(field, entries.len(), POLICY_ITEMS_MAX)?;
    for (i, entry) in entries.iter().enumerate() {
        check(entry).within(|| format!("{field}[{i}]"))?;
    }
    Ok(())
}

/// Refuses what could not be the name of a market either.
fn name(field: &str, name: &str) -> Result<(), Violation> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return Ok(());
    }
    Err(Violation::invalid(field, "must be 1..64 bytes of A-Z a-z 0-9 . _ -"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn city(name: &str) -> CityName {
        CityName::parse("city", name).unwrap()
    }

    /// Goal: the default is the baseline, whatever it is called; anything else is not.
    #[test]
    fn an_empty_policy_is_the_baseline() {
        let named = Policy { name: "nothing-new".into(), version: 7, ..Policy::default() };
        named.check().expect("an empty policy is legal");
        assert!(named.is_empty());
        let lifted = Cap { place: Place::City(city("a")), intake_cap: None };
        assert!(!Policy { caps: vec![lifted], ..Policy::default() }.is_empty());
    }

    /// Goal: what is wrong is named by its path.
    #[test]
    fn what_is_wrong_is_named() {
        let place = || Place::City(city("a"));
        let base = Policy::default;
        let group = |label: &str| Group { label: label.into(), prefix: "".into() };
        let change = |change_bp| Change { place: None, group: None, change_bp };
        let subsidy = |amount, origin| Subsidy { origin, destination: place(), amount };
        let cases = [
            ("name", Policy { name: "a b".into(), ..base() }),
            ("version", Policy { version: 0, ..base() }),
            ("parent", Policy { parent: Some("".into()), ..base() }),
            ("subsidies[0].amount", Policy { subsidies: vec![subsidy(0, None)], ..base() }),
            (
                "subsidies[1].destination",
                Policy { subsidies: vec![subsidy(1, None), subsidy(1, Some(place()))], ..base() },
            ),
            (
                "caps[0].intake_cap",
                Policy {
                    caps: vec![Cap { place: place(), intake_cap: Some(INTAKE_CAP_MAX + 1) }],
                    ..base()
                },
            ),
            (
                "targets[0].share_bp",
                Policy { targets: vec![Target { place: place(), share_bp: 10_001 }], ..base() },
            ),
            (
                "move_costs.pairs[0].destination",
                Policy {
                    move_costs: MoveCosts {
                        pairs: vec![PairCost {
                            origin: city("a"),
                            destination: city("a"),
                            cost: 1,
                        }],
                        ..MoveCosts::default()
                    },
                    ..base()
                },
            ),
            (
                "clusters[0].group.label",
                Policy {
                    clusters: vec![Cluster {
                        city: city("a"),
                        group: group(""),
                        openings: 1,
                        salary: None,
                    }],
                    ..base()
                },
            ),
            ("salaries[0].change_bp", Policy { salaries: vec![change(-10_000)], ..base() }),
            ("demand[0].change_bp", Policy { demand: vec![change(2_000_000)], ..base() }),
            (
                "capacities[0].transport_bp",
                Policy {
                    capacities: vec![Capacity {
                        place: place(),
                        housing_bp: 0,
                        transport_bp: -10_000,
                    }],
                    ..base()
                },
            ),
        ];
        for (field, policy) in cases {
            assert_eq!(policy.check().expect_err(field).field, field);
        }
    }
}

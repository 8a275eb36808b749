//! The macro mode on a market: cities as it has them, amenities such that today's sizes are
//! a steady state, and a policy that departs from it.

use super::aggregate::{Economy, Elasticities, Place, Step};
use super::plan::Plan;
use super::policy::Policy;
use super::steady::{self, Steady};
use super::{Parameters, Scenario};
use crate::domain::limits::SCENARIO_MACRO_CITIES_MAX;
use crate::domain::{CityIx, Geography, RegionIx, Violation};
use crate::matching::Control;
use crate::planning::Error;
use crate::preferences::Terms;
use crate::state::{VacancyStatus, View};

/// What the macro mode finds.
#[derive(Clone, Debug, PartialEq)]
pub struct MacroRun {
    /// Residents at the start.
    pub start: Vec<f64>,
    /// Periods.
    pub periods: Vec<Step>,
    /// Relative residual of the amenities that make the start a steady state.
    pub settled: f64,
    /// Where periods lead under the policy: the state from the start first, then others
    /// that other starts lead to.
    pub steady: Vec<Steady>,
    /// The factor by which a small difference of sizes grows in a period at the start.
    pub growth: f64,
}

/// A market as an economy, before and under a policy.
#[derive(Clone, Debug)]
pub struct Charted {
    /// Under the policy.
    pub economy: Economy,
    /// Residents at the start.
    pub residents: Vec<f64>,
    /// Relative residual of the amenities.
    pub settled: f64,
}

impl Scenario {
    /// The market as an economy under the plan.
    ///
    /// # Errors
    /// What the macro mode cannot take, by the name of the policy's field.
    pub fn chart(&self, view: &View, plan: &Plan) -> Result<Charted, Violation> {
        check(&self.policy, view)?;
        let (geography, parameters) = (&*view.head.geography, &self.parameters);
        let residents: Vec<f64> =
            geography.cities.iter().map(|city| city.population.max(1) as f64).collect();
        let (wages, policy_wages) = wages(view, plan)?;
        let place = |at: usize| Place {
            wage: wages[at],
            reference: residents[at],
            prices: geography.cities[at].cost_of_living as f64 / 1_000.0,
            capacity: residents[at],
            ..Place::default()
        };
        let places = (0..residents.len()).map(place).collect();
        let mut economy = Economy::uniform(places, 1.0, elasticities(parameters));
        economy.barriers = barriers(geography, parameters);
        economy.spillovers = spillovers(geography, parameters);
        let settled = economy.settle(&residents);
        for (at, place) in economy.places.iter_mut().enumerate() {
            place.wage = policy_wages[at];
            place.capacity *= plan.housing[at];
            if plan.caps_set.0[at] {
                let cap = plan.geography.cities[at].intake_cap;
                place.cap = cap.map(|cap| cap as f64 * parameters.residents_per_worker);
            }
        }
        economy.subsidies = savings(view, plan, &policy_wages);
        Ok(Charted { economy, residents, settled })
    }
}

impl Charted {
    /// Runs it. `told` hears of each period, from 1.
    ///
    /// # Errors
    /// When `control` says so.
    pub fn run(
        &self,
        periods: u32,
        control: &Control,
        mut told: impl FnMut(u32, &Step),
    ) -> Result<MacroRun, Error> {
        let Self { economy, residents, settled } = self;
        let mut steps: Vec<Step> = Vec::new();
        for number in 1..=periods {
            control.check()?;
            let from = steps.last().map_or(residents, |step| &step.residents);
            let step = economy.step(from);
            told(number, &step);
            // Nobody asks for the flows of a period again, and they are most of it.
            steps.push(Step { flows: Vec::new(), ..step });
        }
        let growth = steady::growth(economy, residents);
        control.check()?;
        let steady = steady::distinct(economy, residents);
        let start = residents.clone();
        Ok(MacroRun { start, periods: steps, settled: *settled, steady, growth })
    }
}

/// Refuses what has no meaning without vacancies.
fn check(policy: &Policy, view: &View) -> Result<(), Violation> {
    let refuse = |field: &str, what: &str| {
        Err(Violation::invalid(field, format!("the macro mode has no {what}: use the micro mode")))
    };
    if !policy.clusters.is_empty() {
        return refuse("policy.clusters", "vacancies");
    }
    if !policy.demand.is_empty() {
        return refuse("policy.demand", "vacancies");
    }
    if !policy.targets.is_empty() {
        return refuse("policy.targets", "vacancies");
    }
    if policy.cap_order.is_some() {
        return refuse("policy.cap_order", "cap order");
    }
    let in_region = |cap: &super::policy::Cap| matches!(cap.place, super::policy::Place::Region(_));
    if let Some(at) = policy.caps.iter().position(in_region) {
        return refuse(&format!("policy.caps[{at}].place"), "caps of regions");
    }
    let cities = view.head.geography.cities.len();
    if cities > SCENARIO_MACRO_CITIES_MAX {
        let message = format!(
            "the market has {cities} cities, the macro mode takes {SCENARIO_MACRO_CITIES_MAX} at most"
        );
        return Err(Violation::invalid("mode", message));
    }
    Ok(())
}

fn elasticities(parameters: &Parameters) -> Elasticities {
    Elasticities {
        income: parameters.income_elasticity,
        density: parameters.density_elasticity,
        cost: parameters.cost_elasticity,
        reconsider: parameters.reconsider,
    }
}

/// Mean salary of the openings of each city, without and with the policy; a city without
/// openings has the market's mean.
fn wages(view: &View, plan: &Plan) -> Result<(Vec<f64>, Vec<f64>), Violation> {
    let cities = view.head.geography.cities.len();
    let mut sums = vec![(0.0, 0.0, 0.0); cities];
    let mut all = (0.0, 0.0, 0.0);
    for row in view.vacancies.iter() {
        if !matches!(row.status, VacancyStatus::Open | VacancyStatus::Filled) {
            continue;
        }
        let openings = f64::from(row.vacancy.openings);
        let paid = (row.vacancy.salary as f64, plan.salary(&row.vacancy) as f64);
        for sum in [&mut sums[row.vacancy.city.at()], &mut all] {
            sum.0 += openings;
            sum.1 += openings * paid.0;
            sum.2 += openings * paid.1;
        }
    }
    if all.0 == 0.0 {
        return Err(Violation::invalid("mode", "the market has no openings to take wages from"));
    }
    let means = sums.iter().map(|sum| if sum.0 == 0.0 { all } else { *sum });
    Ok(means.map(|sum| (sum.1 / sum.0, sum.2 / sum.0)).unzip())
}

/// Barriers by region: cities inside one outermost region are within it.
fn barriers(geography: &Geography, parameters: &Parameters) -> Vec<f64> {
    let root =
        |at: usize| -> Option<RegionIx> { geography.ancestry(geography.cities[at].region).last() };
    let roots: Vec<Option<RegionIx>> = (0..geography.cities.len()).map(root).collect();
    let barrier = |(o, from): (usize, &Option<RegionIx>), (d, to): (usize, &Option<RegionIx>)| {
        if o == d {
            1.0
        } else if from.is_some() && from == to {
            parameters.barrier_within
        } else {
            parameters.barrier_between
        }
    };
    let rows = roots.iter().enumerate();
    rows.flat_map(|from| roots.iter().enumerate().map(move |to| barrier(from, to))).collect()
}

fn spillovers(geography: &Geography, parameters: &Parameters) -> Vec<f64> {
    if parameters.spillover == 0.0 {
        return Vec::new();
    }
    let cities = || (0..geography.cities.len()).map(CityIx::from_offset);
    let share = |to: CityIx, from: CityIx| match to == from {
        true => 0.0,
        false => super::feedback::spillover(parameters, geography.km(from, to)),
    };
    cities().flat_map(|to| cities().map(move |from| share(to, from))).collect()
}

/// What the policy saves on each way a year: subsidies, and lower costs of moving; below 0
/// where it makes a way dearer, but never so much that nothing of the wage is left.
fn savings(view: &View, plan: &Plan, wages: &[f64]) -> Vec<f64> {
    let before = view.head.terms();
    let after = Terms { settings: &plan.settings, geography: &plan.geography };
    let years = f64::from(plan.settings.horizon_years);
    let cities = || (0..wages.len()).map(CityIx::from_offset);
    let saved = |o: CityIx, d: CityIx| {
        let saved = (before.move_cost(o, d) - after.move_cost(o, d)) as f64 / years;
        saved.max(-0.99 * wages[d.at()])
    };
    let all: Vec<f64> = cities().flat_map(|o| cities().map(move |d| saved(o, d))).collect();
    if all.iter().all(|saved| *saved == 0.0) { Vec::new() } else { all }
}

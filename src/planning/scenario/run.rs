//! A scenario from its description to its result: seed after seed, period after period.

use super::Parameters;
use super::fork::Fork;
use super::plan::Plan;
use super::policy::Policy;
use super::results::{Manifest, Period, Run, SeedRun};
use super::steady::Margin;
use crate::domain::error::{at_most, in_range};
use crate::domain::limits::{SCENARIO_PERIODS_MAX, SCENARIO_ROWS_MAX, SCENARIO_SEEDS_MAX};
use crate::domain::{Reason, Violation, first_duplicate};
use crate::matching::{Control, Means};
use crate::planning::Error;
use crate::state::View;
use std::sync::Arc;

/// What is to be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The policy; an empty one is the baseline.
    pub policy: Policy,
    /// The parameters of the feedback.
    pub parameters: Parameters,
    /// How many periods.
    pub periods: u32,
    /// The seeds: one run each.
    pub seeds: Vec<u64>,
}

impl Scenario {
    /// Refuses what is wrong whatever market it is tried on.
    pub fn check(&self) -> Result<(), Violation> {
        use crate::domain::error::Within;
        self.policy.check().within(|| "policy".to_owned())?;
        self.parameters.check().within(|| "parameters".to_owned())?;
        in_range("periods", self.periods, 1, SCENARIO_PERIODS_MAX)?;
        if self.seeds.is_empty() {
            return Err(Violation::invalid("seeds", "must name one seed at least"));
        }
        at_most("seeds", self.seeds.len(), SCENARIO_SEEDS_MAX)?;
        match first_duplicate(self.seeds.iter().copied()) {
            Some(seed) => {
                Err(Violation::new(Reason::Duplicate, "seeds", format!("{seed} stands twice")))
            }
            None => Ok(()),
        }
    }

    /// The policy in the terms of a market.
    ///
    /// # Errors
    /// What [`Self::check`] refuses, what the market cannot do, and results that would be
    /// too large.
    pub fn plan(&self, view: &View) -> Result<Arc<Plan>, Violation> {
        use crate::domain::error::Within;
        self.check()?;
        let cities = view.head.geography.cities.len();
        let rows = cities * self.periods as usize * self.seeds.len();
        if rows > SCENARIO_ROWS_MAX {
            let message = format!(
                "cities x periods x seeds are {rows}, at most {SCENARIO_ROWS_MAX} are allowed"
            );
            return Err(Violation::new(Reason::TooMany, "periods", message));
        }
        Plan::of(&self.policy, view).map(Arc::new).within(|| "policy".to_owned())
    }

    /// What it takes to compute the run again.
    pub fn manifest(&self, view: &View) -> Manifest {
        Manifest {
            policy: self.policy.name.clone(),
            policy_version: self.policy.version,
            is_baseline: self.policy.is_empty(),
            revision: view.head.revision,
            periods: self.periods,
            seeds: self.seeds.clone(),
            parameters_hash: self.parameters.hash(),
            engine: env!("CARGO_PKG_VERSION"),
            margin: margin(&self.parameters, view.head.geography.cities.len()),
        }
    }

    /// Runs it on a market. `told` hears of each period, with the number of the seed's run
    /// from 0, as soon as it is done.
    ///
    /// # Errors
    /// When `control` says so, or when the mechanism does not exist.
    pub fn run(
        &self,
        view: &View,
        plan: &Arc<Plan>,
        (control, means): (&Control, Means),
        mut told: impl FnMut(usize, &Period),
    ) -> Result<Run, Error> {
        let mut seeds = Vec::new();
        for (number, seed) in self.seeds.iter().enumerate() {
            let mut fork = Fork::new(view, plan, &self.parameters, *seed);
            let mut periods = Vec::new();
            for _ in 0..self.periods {
                let period = fork.step(control, means)?;
                told(number, &period);
                periods.push(period);
            }
            seeds.push(SeedRun { seed: *seed, periods });
        }
        Ok(Run { manifest: self.manifest(view), seeds })
    }
}

/// The margin of alike cities with the barrier between regions.
fn margin(parameters: &Parameters, cities: usize) -> Margin {
    Margin::symmetric(
        cities,
        parameters.barrier_between,
        parameters.income_elasticity,
        parameters.density_elasticity - parameters.cost_elasticity,
        parameters.reconsider,
    )
}

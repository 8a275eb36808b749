//! Scenarios that have ended, kept so that they can be listed and compared.
//!
//! They are results that can be computed again: bounded in number and bytes, the oldest
//! makes room, and none outlives the process or the market.

use crate::domain::limits::{SCENARIOS_KEPT_BYTES_MAX, SCENARIOS_KEPT_MAX};
use crate::domain::{Millis, Reason, Violation};
use crate::planning::scenario::{Parameters, Run};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A run that is kept.
#[derive(Debug)]
pub struct KeptScenario {
    /// Its number in this market of this process.
    pub number: u64,
    /// What it found.
    pub run: Run,
    /// Its parameters.
    pub parameters: Parameters,
    /// Hash of its policy, labels left out.
    pub policy_hash: u64,
    /// [`Run::hash`].
    pub result_hash: u64,
    /// When it ended.
    pub ended: Millis,
}

/// The runs of a market that are kept.
#[derive(Debug, Default)]
pub struct Scenarios {
    /// Held to move pointers, never across an await.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    started: u64,
    bytes: usize,
    /// Oldest first.
    runs: VecDeque<Arc<KeptScenario>>,
}

impl Scenarios {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next run.
    pub fn number(&self) -> u64 {
        let mut kept = self.kept();
        kept.started += 1;
        kept.started
    }

    /// Keeps a run. The oldest make room, but never the newest for itself.
    pub fn keep(&self, run: KeptScenario) -> Arc<KeptScenario> {
        let run = Arc::new(run);
        let mut kept = self.kept();
        kept.bytes += run.run.bytes();
        kept.runs.push_back(run.clone());
        while kept.runs.len() > SCENARIOS_KEPT_MAX
            || (kept.bytes > SCENARIOS_KEPT_BYTES_MAX && kept.runs.len() > 1)
        {
            if let Some(oldest) = kept.runs.pop_front() {
                kept.bytes -= oldest.run.bytes();
            }
        }
        run
    }

    /// All of them, newest first.
    pub fn list(&self) -> Vec<Arc<KeptScenario>> {
        self.kept().runs.iter().rev().cloned().collect()
    }

    /// The run of that number, named in `field` of a request.
    ///
    /// # Errors
    /// [`Reason::ScenarioNotFound`] if it is not kept.
    pub fn get(&self, field: &str, number: u64) -> Result<Arc<KeptScenario>, Violation> {
        let found = self.kept().runs.iter().find(|run| run.number == number).cloned();
        found.ok_or_else(|| {
            let message = format!("there is no run s{number} among those that are kept");
            Violation::new(Reason::ScenarioNotFound, field, message)
        })
    }

    /// The newest baseline that can be compared with a run: of the same revision, seeds,
    /// periods and parameters.
    pub fn baseline_of(&self, run: &KeptScenario) -> Option<Arc<KeptScenario>> {
        let wanted = &run.run.manifest;
        let fits = |other: &&Arc<KeptScenario>| {
            let manifest = &other.run.manifest;
            manifest.is_baseline
                && manifest.revision == wanted.revision
                && manifest.seeds == wanted.seeds
                && manifest.periods == wanted.periods
                && manifest.parameters_hash == wanted.parameters_hash
        };
        self.kept().runs.iter().rev().find(fits).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Revision;
    use crate::planning::scenario::results::{CityPeriod, Manifest, Period, SeedRun};
    use crate::planning::scenario::steady::Margin;

    fn run(number: u64, cities: usize) -> KeptScenario {
        let manifest = Manifest {
            policy: "baseline".into(),
            policy_version: 1,
            is_baseline: number.is_multiple_of(2),
            revision: Revision(number / 10),
            periods: 1,
            seeds: vec![1],
            parameters_hash: 0,
            engine: "",
            margin: Margin { runaway: 1.0, swing: 1.0 },
        };
        let cities = vec![CityPeriod::default(); cities];
        let period = Period { number: 1, cities, matching_hash: 0, evaluations: 0 };
        let seeds = vec![SeedRun { seed: 1, periods: vec![period] }];
        KeptScenario {
            number,
            run: Run { manifest, seeds },
            parameters: Parameters::default(),
            policy_hash: 0,
            result_hash: 0,
            ended: Millis(0),
        }
    }

    fn numbers(scenarios: &Scenarios) -> Vec<u64> {
        scenarios.list().iter().map(|run| run.number).collect()
    }

    /// Goal: so many runs are kept, and so many bytes; the newest always is.
    #[test]
    fn the_oldest_make_room() {
        let scenarios = Scenarios::default();
        for number in 1..=SCENARIOS_KEPT_MAX as u64 + 1 {
            scenarios.keep(run(number, 1));
        }
        let kept = numbers(&scenarios);
        assert_eq!((kept.len(), kept[0]), (SCENARIOS_KEPT_MAX, SCENARIOS_KEPT_MAX as u64 + 1));
        assert_eq!(scenarios.get("run", 1).unwrap_err().reason, Reason::ScenarioNotFound);
        let half = SCENARIOS_KEPT_BYTES_MAX / size_of::<CityPeriod>() / 2;
        scenarios.keep(run(101, half));
        scenarios.keep(run(102, half));
        assert_eq!(numbers(&scenarios), [102]);
        scenarios.keep(run(103, 3 * half));
        assert_eq!(numbers(&scenarios), [103]);
    }

    /// Goal: a run is compared with the newest baseline of its kind, and no other.
    #[test]
    fn a_baseline_of_its_kind_is_found() {
        let scenarios = Scenarios::default();
        for number in [2, 4, 13, 14] {
            scenarios.keep(run(number, 1));
        }
        assert_eq!(scenarios.baseline_of(&run(3, 1)).unwrap().number, 4);
        assert_eq!(scenarios.baseline_of(&run(15, 1)).unwrap().number, 14);
        assert!(scenarios.baseline_of(&run(25, 1)).is_none());
    }
}

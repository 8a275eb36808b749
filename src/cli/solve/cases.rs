//! Published matching instances: explicit rankings on both sides, by positions.

use super::{CapsArg, clear};
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::domain::limits::{CITIES_MAX, OPENINGS_MAX, RANKING_MAX};
use crate::domain::{
    CapOrder, City, CityIx, CityName, Geography, Mobility, Settings, Side, Vacancy, VacancyId,
    VacancySlot, Worker, WorkerId, WorkerSlot, first_duplicate,
};
use crate::matching::{CapSet, Post, Problem, Seeker};
use crate::preferences::Lottery;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// A file of instances; members that are not named here are its source's notes.
#[derive(Debug, Deserialize)]
struct File {
    cases: Vec<Case>,
}

/// One instance.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    workers: Vec<Vec<usize>>,
    vacancies: Vec<Vec<usize>>,
    capacities: Vec<u32>,
    #[serde(default)]
    region_of_vacancy: Vec<Option<usize>>,
    #[serde(default)]
    regional_caps: Vec<u64>,
    #[serde(default)]
    target_capacities: Vec<u32>,
    /// By region: its vacancies in the order in which they take turns.
    #[serde(default)]
    region_order: std::collections::HashMap<usize, Vec<usize>>,
}

#[derive(Debug, Serialize)]
struct Solutions {
    cases: Vec<Solution>,
}

#[derive(Debug, Serialize)]
struct Solution {
    id: String,
    matching: Vec<Option<u32>>,
}

/// Solves every case of a file and prints the matchings in one line.
pub fn run(path: &Path, side: Side, caps: Option<CapsArg>, output: Output) -> Result<(), Error> {
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    let file: File = serde_json::from_str(&text).map_err(|error| Error::Content {
        path: path.to_owned(),
        line: error.line() as u64,
        message: error.to_string(),
    })?;
    let mut cases = Vec::new();
    for case in file.cases {
        case.check().map_err(|message| {
            Error::Failed(format!("{}: case {}: {message}", path.display(), case.id))
        })?;
        let matching = clear(&case.problem(caps), side)?.vacancy_of;
        cases.push(Solution { id: case.id, matching });
    }
    output.json(&Solutions { cases })
}

impl Case {
    /// Refuses positions that do not exist, and what exceeds the service's limits.
    fn check(&self) -> Result<(), String> {
        let (workers, vacancies) = (self.workers.len(), self.vacancies.len());
        check_lists("workers", &self.workers, vacancies)?;
        check_lists("vacancies", &self.vacancies, workers)?;
        let per_vacancy = |name: &str, length: usize, optional: bool| {
            if length == vacancies || (optional && length == 0) {
                return Ok(());
            }
            Err(format!("{name} has {length} entries for {vacancies} vacancies"))
        };
        per_vacancy("capacities", self.capacities.len(), false)?;
        per_vacancy("region_of_vacancy", self.region_of_vacancy.len(), true)?;
        per_vacancy("target_capacities", self.target_capacities.len(), true)?;
        if let Some(openings) = self.capacities.iter().find(|openings| **openings > OPENINGS_MAX) {
            return Err(format!("a capacity of {openings} is over {OPENINGS_MAX}"));
        }
        if self.regional_caps.len() >= CITIES_MAX {
            return Err(format!("more than {} regions", CITIES_MAX - 1));
        }
        let regions = self.region_of_vacancy.iter().flatten();
        match regions.into_iter().find(|region| **region >= self.regional_caps.len()) {
            Some(region) => Err(format!("region {region} has no entry in regional_caps")),
            None => Ok(()),
        }
    }

    /// The case as a market: a region with a cap is a city with that intake cap, and
    /// one more city holds the vacancies of no region, and every worker.
    fn problem(&self, caps: Option<CapsArg>) -> Problem {
        let regions = if caps.is_some() { self.regional_caps.len() } else { 0 };
        let order = match caps {
            Some(CapsArg::Targets) => CapOrder::Targets,
            Some(CapsArg::Score) | None => CapOrder::Score,
        };
        let set = |capacity: &u64| CapSet { parent: None, capacity: *capacity };
        let capped = (0..regions).map(|region| u32::try_from(region).ok());
        Problem {
            settings: Arc::new(Settings { cap_order: order, ..Settings::default() }),
            geography: Arc::new(places(regions + 1)),
            lottery: Lottery { seed: 0 },
            workers: self.seekers(CityIx::from_offset(regions)),
            vacancies: self.posts(regions),
            sets: self.regional_caps[..regions].iter().map(set).collect(),
            set_of_city: capped.chain([None]).collect(),
        }
    }

    fn seekers(&self, home: CityIx) -> Vec<Seeker> {
        let ids = self.vacancy_ids();
        let seeker = |(at, list): (usize, &Vec<usize>)| Seeker {
            worker: Arc::new(Worker {
                id: worker_id(at),
                home,
                cost_percent: 100,
                skills: Box::default(),
                expected_salary: 1,
                reservation_salary: 1,
                mobility: Mobility::Any,
                ranking: Some(list.iter().map(|v| ids[*v]).collect()),
                deadline: None,
                labels: None,
            }),
            slot: WorkerSlot::from_offset(at),
            declined: None,
        };
        self.workers.iter().enumerate().map(seeker).collect()
    }

    fn posts(&self, regions: usize) -> Vec<Post> {
        let ids = self.vacancy_ids();
        let post = |(at, list): (usize, &Vec<usize>)| {
            let region = self.region_of_vacancy.get(at).copied().flatten();
            let city = region.unwrap_or(regions).min(regions);
            let target = self.target_capacities.get(at).copied().unwrap_or(0);
            let vacancy = Vacancy {
                id: ids[at],
                city: CityIx::from_offset(city),
                employer: "".into(),
                title: "".into(),
                openings: self.capacities[at],
                target,
                salary: 1,
                requirements: Box::default(),
                min_fit_bp: None,
                ranking: Some(list.iter().map(|w| worker_id(*w)).collect()),
                deadline: None,
                labels: None,
            };
            Post {
                vacancy: Arc::new(vacancy),
                slot: VacancySlot::from_offset(at),
                openings: self.capacities[at],
                target,
            }
        };
        self.vacancies.iter().enumerate().map(post).collect()
    }

    /// Ids that ascend as the vacancies of a region take their turns.
    fn vacancy_ids(&self) -> Vec<VacancyId> {
        let turn = |v: usize| {
            let region = self.region_of_vacancy.get(v).copied().flatten();
            let order = region.and_then(|region| self.region_order.get(&region));
            (order.and_then(|order| order.iter().position(|at| *at == v)), v)
        };
        let mut turns: Vec<_> = (0..self.vacancies.len()).map(turn).collect();
        turns.sort_unstable();
        let mut ids = vec![VacancyId(Uuid::nil()); self.vacancies.len()];
        for (number, (_, v)) in turns.into_iter().enumerate() {
            ids[v] = VacancyId(numbered(number));
        }
        ids
    }
}

fn check_lists(side: &str, lists: &[Vec<usize>], others: usize) -> Result<(), String> {
    for (at, list) in lists.iter().enumerate() {
        if let Some(other) = list.iter().find(|other| **other >= others) {
            return Err(format!("{side}[{at}] names {other}, which does not exist"));
        }
        if let Some(other) = first_duplicate(list.iter()) {
            return Err(format!("{side}[{at}] names {other} twice"));
        }
        if list.len() > RANKING_MAX {
            return Err(format!("{side}[{at}] has more than {RANKING_MAX} entries"));
        }
    }
    Ok(())
}

/// As many cities, all in one place: with rankings on both sides nothing else matters.
fn places(count: usize) -> Geography {
    let mut geography = Geography::default();
    for at in 0..count {
        let name = CityName::parse("city", &format!("region-{at}"));
        let city = City {
            id: name.expect("digits make a name"),
            display_name: "".into(),
            region: None,
            latitude: 0.0,
            longitude: 0.0,
            cost_of_living: 1000,
            population: 0,
            intake_cap: None,
            move_subsidy: 0,
        };
        let ix = CityIx::from_offset(at);
        let km = geography.km_row(ix, 0.0, 0.0);
        geography.put_city(ix, city, &km);
    }
    geography
}

fn worker_id(at: usize) -> WorkerId {
    WorkerId(numbered(at))
}

/// Ids whose bytes ascend with the number.
fn numbered(number: usize) -> Uuid {
    Uuid::from_u128(number as u128)
}

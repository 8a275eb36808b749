//! Markets for tests: small random ones that reach every corner of the model, and
//! large synthetic ones to measure on. One seed gives one market.
#![allow(dead_code)]

mod draws;
pub mod large;
pub mod random;

pub use draws::Random;

use gale::domain::*;
use gale::matching::{CapSet, Post, Problem, Seeker};
use gale::preferences::Lottery;
use std::sync::Arc;
use uuid::Uuid;

/// The seeds to test: one from `GALE_SEED`, or the first `GALE_MARKETS`.
pub fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("GALE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GALE_MARKETS").unwrap_or(default),
    }
}

/// A worker id made of a number.
pub fn worker_id(number: u64) -> WorkerId {
    WorkerId(Uuid::from_u64_pair(0xA000_0000_0000_4000, 0x8000_0000_0000_0000 | number))
}

/// A vacancy id made of a number: ascending numbers have ascending id bytes.
pub fn vacancy_id(number: u64) -> VacancyId {
    VacancyId(Uuid::from_u64_pair(0xB000_0000_0000_4000, 0x8000_0000_0000_0000 | number))
}

/// A plain worker in city 0, to be changed by struct update.
pub fn worker(number: u64) -> Worker {
    Worker {
        id: worker_id(number),
        home: CityIx(0),
        cost_percent: 100,
        skills: Box::default(),
        expected_salary: 50_000,
        reservation_salary: 50_000,
        mobility: Mobility::Any,
        ranking: None,
        deadline: None,
        labels: None,
    }
}

/// A plain vacancy in city 0 with one opening, to be changed by struct update.
pub fn vacancy(number: u64) -> Vacancy {
    Vacancy {
        id: vacancy_id(number),
        city: CityIx(0),
        employer: "".into(),
        title: "".into(),
        openings: 1,
        target: 0,
        salary: 60_000,
        requirements: Box::default(),
        min_fit_bp: None,
        ranking: None,
        deadline: None,
        labels: None,
    }
}

/// Adds a city at the next index.
pub fn add_city(geography: &mut Geography, latitude: f64, longitude: f64, cost_of_living: i64) {
    let at = CityIx::from_offset(geography.cities.len());
    let mut km = geography.km_row(at, latitude, longitude).to_vec();
    km.push(0);
    let city = City {
        id: CityName::parse("id", &format!("c{}", at.0)).unwrap(),
        display_name: "".into(),
        region: None,
        latitude,
        longitude,
        cost_of_living,
        population: 0,
        intake_cap: None,
        move_subsidy: 0,
    };
    geography.put_city(at, city, &km);
}

/// A problem of these records; slots are positions, all openings are free, no caps.
pub fn problem(
    settings: Settings,
    geography: Geography,
    workers: Vec<Worker>,
    vacancies: Vec<Vacancy>,
) -> Problem {
    let seeker = |(slot, worker)| Seeker {
        worker: Arc::new(worker),
        slot: WorkerSlot::from_offset(slot),
        declined: None,
    };
    let post = |(slot, vacancy): (usize, Vacancy)| Post {
        slot: VacancySlot::from_offset(slot),
        openings: vacancy.openings,
        target: vacancy.target,
        vacancy: Arc::new(vacancy),
    };
    let cities = geography.cities.len();
    Problem {
        settings: Arc::new(settings),
        geography: Arc::new(geography),
        lottery: Lottery { seed: 42 },
        workers: workers.into_iter().enumerate().map(seeker).collect(),
        vacancies: vacancies.into_iter().enumerate().map(post).collect(),
        sets: Vec::<CapSet>::new(),
        set_of_city: vec![None; cities],
    }
}

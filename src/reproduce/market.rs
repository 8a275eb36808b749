//! Small markets for the whole engine: one city, records numbered from 0.

use crate::domain::{
    City, CityIx, CityName, Geography, Mobility, Settings, Vacancy, VacancyId, VacancySlot, Worker,
    WorkerId, WorkerSlot,
};
use crate::matching::{Post, Problem, Seeker};
use crate::preferences::Lottery;
use std::sync::Arc;
use uuid::Uuid;

/// The id of a worker by number: ascending bytes.
pub(super) fn worker_id(number: u32) -> WorkerId {
    WorkerId(Uuid::from_u128(u128::from(number)))
}

/// The id of a vacancy by number: ascending bytes.
pub(super) fn vacancy_id(number: u32) -> VacancyId {
    VacancyId(Uuid::from_u128(u128::from(number)))
}

/// A worker who ranks these vacancies, and brings no skills.
pub(super) fn worker(number: u32, ranks: &[u32]) -> Worker {
    Worker {
        id: worker_id(number),
        home: CityIx(0),
        cost_percent: 100,
        skills: Box::default(),
        expected_salary: 1,
        reservation_salary: 1,
        mobility: Mobility::Any,
        ranking: Some(ranks.iter().map(|v| vacancy_id(*v)).collect()),
        deadline: None,
        labels: None,
    }
}

/// A vacancy that asks for nothing, and so takes everybody by lottery.
pub(super) fn vacancy(number: u32, openings: u32) -> Vacancy {
    Vacancy {
        id: vacancy_id(number),
        city: CityIx(0),
        employer: "".into(),
        title: "".into(),
        openings,
        target: 0,
        salary: 1,
        requirements: Box::default(),
        min_fit_bp: None,
        ranking: None,
        deadline: None,
        labels: None,
    }
}

/// The problem of these records.
pub(super) fn problem(workers: Vec<Worker>, vacancies: Vec<Vacancy>, lottery: u64) -> Problem {
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
    Problem {
        settings: Arc::new(Settings::default()),
        geography: Arc::new(one_city()),
        lottery: Lottery { seed: lottery },
        workers: workers.into_iter().enumerate().map(seeker).collect(),
        vacancies: vacancies.into_iter().enumerate().map(post).collect(),
        sets: Vec::new(),
        set_of_city: vec![None],
    }
}

fn one_city() -> Geography {
    let mut geography = Geography::default();
    let city = City {
        id: CityName::parse("city", "city").expect("letters make a name"),
        display_name: "".into(),
        region: None,
        latitude: 0.0,
        longitude: 0.0,
        cost_of_living: 1000,
        population: 0,
        intake_cap: None,
        move_subsidy: 0,
    };
    let km = geography.km_row(CityIx(0), 0.0, 0.0);
    geography.put_city(CityIx(0), city, &km);
    geography
}

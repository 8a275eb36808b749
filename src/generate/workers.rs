//! The workers of one metro: its unemployed, as the occupations of its jobs.

use super::apportion::systematic;
use super::mobility::{Neighbours, cost_percent};
use super::noise::{Key, Kind, Noise, normal_quantile_bp};
use super::tables::{Cell, Metro};
use super::{Generator, labels};
use crate::domain::{WorkerId, WorkerSpec};

/// How much of a worker's pay quantile is the ability behind all the skills.
const ABILITY_IN_PAY: f64 = 0.6;
/// And how much is not: the squares of both sum to 1.
const LUCK_IN_PAY: f64 = 0.8;

/// What each draw of a worker is for. Part of the generated data.
mod purpose {
    pub(super) const ABILITY: u32 = 0;
    pub(super) const PAY_AND_MOVE: u32 = 1;
    pub(super) const RESERVATION: u32 = 2;
    pub(super) const MOBILITY: u32 = 100;
    pub(super) const SKILLS: u32 = 200;
}

/// The workers of metro number `at`, `total` of them, made as they are asked for.
pub(super) fn of_metro(
    generator: &Generator,
    at: usize,
    total: u64,
) -> impl Iterator<Item = WorkerSpec> + '_ {
    let metro = &generator.tables.metros[at];
    let weights: Vec<u128> = metro.cells.iter().map(|cell| u128::from(cell.employment)).collect();
    let key = Key { kind: Kind::WorkerStart, metro: metro.cbsa, occupation: 0, number: 0 };
    let start = Noise::new(generator.plan.seed, key).bits(0);
    let neighbours = Neighbours::new(&generator.tables.metros, at, generator.plan.moving);
    let counts = systematic(&weights, total, start);
    let numbered = metro
        .cells
        .iter()
        .zip(counts)
        .flat_map(|(cell, count)| (0..count as u32).map(move |number| (cell, number)));
    numbered.map(move |(cell, number)| worker(generator, metro, &neighbours, cell, number))
}

fn worker(
    generator: &Generator,
    metro: &Metro,
    neighbours: &Neighbours,
    cell: &Cell,
    number: u32,
) -> WorkerSpec {
    let occupation = &generator.tables.occupations[usize::from(cell.occupation)];
    let profile = &generator.profiles[usize::from(cell.occupation)];
    let seed = generator.plan.seed;
    let key = Key { kind: Kind::Worker, metro: metro.cbsa, occupation: occupation.number, number };
    let noise = Noise::new(seed, key);
    let (ability, luck) = noise.normals(purpose::ABILITY);
    let (_, attachment) = noise.normals(purpose::PAY_AND_MOVE);
    let quantile_bp = normal_quantile_bp(ABILITY_IN_PAY * ability + LUCK_IN_PAY * luck);
    let expected_salary = cell.pay.at(1_000 + quantile_bp * 8 / 10);
    // 80.0% to 95.0% of the expectation, in whole hundreds.
    let share = 800 + noise.below(purpose::RESERVATION, 151) as i64;
    let skills = profile.skills(ability, noise, purpose::SKILLS);
    WorkerSpec {
        id: WorkerId(key.id(seed)),
        home_city: metro.id.clone(),
        skills: skills
            .into_iter()
            .map(|(element, level)| {
                (generator.tables.elements[usize::from(element)].clone(), level)
            })
            .collect(),
        expected_salary,
        reservation_salary: expected_salary * share / 100_000 * 100,
        mobility: neighbours.draw(&generator.tables.metros, noise, purpose::MOBILITY),
        cost_percent: cost_percent(attachment),
        ranking: None,
        deadline: None,
        labels: labels(generator.plan.country, occupation),
    }
}

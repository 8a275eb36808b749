//! What keeps matches from being made: place, skill or pay. The pool is cleared with each
//! of them out of the way, with each two and with all, and what all gain together is
//! shared out by Shapley's value.
//!
//! * place out of the way: moving costs nothing, and everybody would go anywhere;
//! * skill: nobody requires anything, and every fit is in full;
//! * pay: every salary is raised by one real amount, the same everywhere, at which it
//!   pays what anybody asks. Which vacancy a worker prefers to which stays the same (to
//!   the rounding of one unit of money).
//!
//! Explicit rankings stand for all reasons at once, and stay as they are.

use super::{Sample, figure};
use crate::domain::limits::MONEY_MAX;
use crate::domain::{Mobility, Vacancy, Worker};
use crate::matching::{Control, Problem, clear};
use crate::planning::Error;
use crate::planning::draw::Draw;
use crate::planning::figure::{Figure, Undefined, Value};
use crate::planning::indices::shapley::shapley3;
use crate::state::View;
use std::sync::Arc;

/// Bit of the switch that takes place out of the way.
const PLACE: usize = 1;
/// The same for skill.
const SKILL: usize = 2;
/// The same for pay.
const PAY: usize = 4;

/// Kilometres between any two places on Earth at most, rounded up.
const KM_MAX: i64 = 20_038;

/// What keeps matches from being made.
#[derive(Clone, Debug)]
pub struct Split {
    /// Matches by switches (place 1, skill 2, pay 4); empty if salaries high enough to pay
    /// everybody would leave the range of money.
    pub matches: Vec<u64>,
    /// Seekers cleared.
    pub seekers: u64,
    /// Openings cleared.
    pub openings: u64,
    /// Matches gained with everything out of the way.
    pub gained: Figure,
    /// Of these, due to place.
    pub place: Figure,
    /// Of these, due to skill.
    pub skill: Figure,
    /// Of these, due to pay.
    pub pay: Figure,
    /// How many were cleared, if not all.
    pub sample: Option<Sample>,
}

/// Clears the pool, or about `most` seekers of it and the same share of the openings,
/// eight times.
///
/// # Errors
/// [`Error::Cancelled`] when `control` says so.
pub fn split(view: &View, most: usize, control: &Control) -> Result<Split, Error> {
    let mut problem = view.problem();
    let openings = |problem: &Problem| -> u64 {
        problem.vacancies.iter().map(|post| u64::from(post.openings)).sum()
    };
    let (workers_of, openings_of) = (problem.workers.len(), openings(&problem));
    let draw = Draw::at_most(most, workers_of);
    if !draw.is_whole() {
        thin(&mut problem, draw);
    }
    // What has no opening takes nobody, whatever is out of the way.
    problem.vacancies.retain(|post| post.openings > 0);
    let (seekers, openings) = (problem.workers.len() as u64, openings(&problem));
    let mut matches = Vec::with_capacity(8);
    for switches in 0..8 {
        control.check()?;
        let Some(changed) = without(&problem, switches) else {
            matches.clear();
            break;
        };
        let cleared = clear(&changed, changed.settings.proposing_side, control)?;
        matches.push(cleared.matching.pairs().count() as u64);
    }
    let sample = (!draw.is_whole()).then_some(Sample {
        workers: seekers,
        workers_of: workers_of as u64,
        openings,
        openings_of,
    });
    Ok(shared_out(matches, seekers, openings, sample))
}

fn shared_out(matches: Vec<u64>, seekers: u64, openings: u64, sample: Option<Sample>) -> Split {
    let worth: Option<[f64; 8]> = <[u64; 8]>::try_from(matches.as_slice())
        .ok()
        .map(|worth| worth.map(|matches| matches as f64));
    let parts = worth.as_ref().map(shapley3);
    let inputs = worth.map(|worth| [("matches", worth[0]), ("matches_without_all", worth[7])]);
    let of = |value: Option<f64>| -> Figure {
        let value: Value = value.ok_or(Undefined::OutOfRange);
        figure(value, inputs.as_ref().map_or(&[], |inputs| inputs.as_slice()))
    };
    Split {
        gained: of(worth.map(|worth| worth[7] - worth[0])),
        place: of(parts.map(|parts| parts[0])),
        skill: of(parts.map(|parts| parts[1])),
        pay: of(parts.map(|parts| parts[2])),
        matches,
        seekers,
        openings,
        sample,
    }
}

/// The drawn part of a problem: workers, openings, targets, and what caps leave.
fn thin(problem: &mut Problem, draw: Draw) {
    problem.workers.retain(|seeker| draw.takes(seeker.worker.id.bytes()));
    for post in &mut problem.vacancies {
        let id = post.vacancy.id.bytes();
        let part = |number: u32| draw.round(id, u64::from(number)) as u32;
        (post.openings, post.target) = (part(post.openings), part(post.target));
    }
    for set in &mut problem.sets {
        set.capacity = draw.share(set.capacity);
    }
}

/// The problem with these things out of the way; `None` if salaries that pay everybody
/// would leave the range of money.
fn without(problem: &Problem, switches: usize) -> Option<Problem> {
    let mut changed = problem.clone();
    if switches & PLACE != 0 {
        for seeker in &mut changed.workers {
            let worker = (*seeker.worker).clone();
            let free = Worker { mobility: Mobility::Any, cost_percent: 0, ..worker };
            seeker.worker = Arc::new(free);
        }
    }
    // What is asked depends on what moving costs now.
    let raise = if switches & PAY == 0 { 0 } else { asked_at_most(&changed) };
    for post in &mut changed.vacancies {
        if switches & (SKILL | PAY) == 0 {
            break;
        }
        let mut vacancy = (*post.vacancy).clone();
        if switches & SKILL != 0 {
            vacancy = Vacancy { requirements: Box::default(), min_fit_bp: Some(0), ..vacancy };
        }
        let cost_of_living = changed.geography.city(vacancy.city).cost_of_living;
        let raise = (i128::from(raise) * i128::from(cost_of_living) + 999) / 1000;
        let salary = i64::try_from(i128::from(vacancy.salary) + raise).ok();
        vacancy.salary = salary.filter(|salary| *salary <= MONEY_MAX)?;
        post.vacancy = Arc::new(vacancy);
    }
    Some(changed)
}

/// A real salary that is not below what any worker asks anywhere: the highest expectation,
/// real, and the dearest move on Earth.
fn asked_at_most(problem: &Problem) -> i64 {
    let terms = problem.terms();
    let expected = problem.workers.iter().map(|seeker| {
        let cost_of_living = problem.geography.city(seeker.worker.home).cost_of_living;
        1000 * seeker.worker.expected_salary / cost_of_living + 1
    });
    let percent = problem.workers.iter().map(|seeker| seeker.worker.cost_percent);
    let settings = &problem.settings;
    let by_formula = settings.fixed_move_cost + settings.move_cost_per_km * KM_MAX;
    let overrides = problem.geography.move_costs_sorted().into_iter();
    let dearest = overrides.filter_map(|(_, cost)| cost.cost).fold(by_formula, i64::max);
    let annual = terms.annual_cost(dearest, percent.max().unwrap_or(0));
    expected.max().unwrap_or(0) + annual + 1
}

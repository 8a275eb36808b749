//! What a cap costs: whom it keeps out, the cutoff that it sets, and what pay would have to
//! make up for it.
//!
//! The cutoff is the cap's shadow price in the market's own unit, a score: so much a worker
//! must be worth to get in. In money it is the rise of one salary that would carry the best
//! worker whom it keeps out over the cutoff: more pay makes the gap smaller between what she
//! asks and what is paid, and so her score higher. Everything else is as it is, so this is
//! the price of one place at the margin, not of the whole cap.

use super::Outcome;
use crate::domain::limits::MONEY_MAX;
use crate::domain::{CityIx, Vacancy};
use crate::matching::{Binding, Cancelled, Control, Cutoff, Problem, cutoffs};
use std::cmp::Reverse;

/// What one cap costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapCost {
    /// Matches that may stand inside, beside those that are placed.
    pub capacity: u64,
    /// Matches held inside.
    pub held: u64,
    /// Workers who would rather have a vacancy inside that accepts them than what they
    /// hold, and whom this cap keeps out, not the vacancy's openings nor a cap inside.
    pub refused: u64,
    /// The score to beat, in basis points: the weakest that is held inside (under the
    /// `TARGETS` order, at the vacancy of [`Self::best`]). `None` while the cap binds
    /// nowhere or holds nobody.
    pub cutoff: Option<i64>,
    /// The worker kept out who is nearest to getting in.
    pub best: Option<Refused>,
    /// The least rise of what the vacancy would pay her that lets her in, or why none does.
    pub pay_rise: Result<i64, NoPrice>,
}

/// A worker kept out, and the vacancy that she would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The worker's number.
    pub worker: u32,
    /// The vacancy's number.
    pub vacancy: u32,
    /// What she is worth to it, in basis points.
    pub score: i64,
    /// The score to beat there; `None` where nobody gets in.
    pub cutoff: Option<i64>,
}

/// Why no rise of pay is the price of a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoPrice {
    /// It keeps nobody out.
    Slack,
    /// It holds nobody, so there is no cutoff that pay could reach.
    Closed,
    /// The vacancy ranks workers itself, whatever it pays.
    Ranked,
    /// Even paid all that she asks for she would score too low.
    Outranked,
}

/// A vacancy that a set bars.
struct Barred {
    vacancy: u32,
    set: u32,
    cutoff: Option<(i64, u32)>,
    real_pay: i64,
}

/// How near a worker is: the gap to the cutoff, then the lottery.
type Nearness = (i64, u64, [u8; 16], u64, [u8; 16]);

/// What each capped set of an outcome costs, by set number. The outcome must be stable:
/// whoever would rather be inside is then kept out by what is full.
pub fn costs(outcome: &Outcome, control: &Control) -> Result<Vec<CapCost>, Cancelled> {
    let problem = &outcome.problem;
    let mut costs: Vec<CapCost> = problem.sets.iter().map(|set| unbound(set.capacity)).collect();
    for (_, v) in outcome.matching.pairs() {
        for set in problem.sets_around(v as usize) {
            costs[set].held += 1;
        }
    }
    let by_city = barred(outcome);
    if by_city.is_empty() {
        return Ok(costs);
    }
    for barred in by_city.iter().flat_map(|(_, barred)| barred) {
        let weakest = barred.cutoff.map(|(score, _)| score);
        let cost = &mut costs[barred.set as usize];
        cost.cutoff = [cost.cutoff, weakest].into_iter().flatten().min();
    }
    let mut nearest: Vec<Option<(Nearness, Refused)>> = vec![None; costs.len()];
    for w in 0..problem.workers.len() {
        if w.is_multiple_of(256) {
            control.check()?;
        }
        let mut kept_out = Vec::new();
        each_desired(outcome, &by_city, w, |barred, score| {
            let (nearness, refused) = near(problem, barred, w, score);
            let best = &mut nearest[barred.set as usize];
            if best.as_ref().is_none_or(|(least, _)| nearness < *least) {
                *best = Some((nearness, refused));
            }
            kept_out.push(barred.set);
        });
        kept_out.sort_unstable();
        kept_out.dedup();
        for set in kept_out {
            costs[set as usize].refused += 1;
        }
    }
    for (cost, nearest) in costs.iter_mut().zip(nearest) {
        let Some((_, refused)) = nearest else { continue };
        cost.best = Some(refused);
        if problem.by_targets() {
            cost.cutoff = refused.cutoff;
        }
        cost.pay_rise = pay_rise(problem, &refused, &by_city);
    }
    Ok(costs)
}

fn unbound(capacity: u64) -> CapCost {
    let pay_rise = Err(NoPrice::Slack);
    CapCost { capacity, held: 0, refused: 0, cutoff: None, best: None, pay_rise }
}

/// The vacancies that sets bar, by city.
fn barred(outcome: &Outcome) -> Vec<(CityIx, Vec<Barred>)> {
    let problem = &outcome.problem;
    let mut by_city: Vec<Vec<Barred>> = Vec::new();
    by_city.resize_with(problem.set_of_city.len(), Vec::new);
    for (v, cutoff) in (0..).zip(cutoffs(problem, &outcome.matching)) {
        let Some(Binding::Set(set)) = cutoff.binding() else { continue };
        let vacancy = &problem.vacancies[v as usize].vacancy;
        let cutoff = match cutoff {
            Cutoff::Key { score, worker, .. } => Some((score, worker)),
            _ => None,
        };
        let real_pay = problem.terms().real_salary(vacancy.salary, vacancy.city);
        by_city[vacancy.city.at()].push(Barred { vacancy: v, set, cutoff, real_pay });
    }
    let cities = by_city.into_iter().enumerate();
    let cities = cities.map(|(city, barred)| (CityIx::from_offset(city), barred));
    cities.filter(|(_, barred)| !barred.is_empty()).collect()
}

/// Calls `found` with each barred vacancy that worker `w` would rather have and that
/// accepts her, and her score there.
fn each_desired(
    outcome: &Outcome,
    by_city: &[(CityIx, Vec<Barred>)],
    w: usize,
    mut found: impl FnMut(&Barred, i64),
) {
    let problem = &outcome.problem;
    let (terms, worker) = (problem.terms(), &problem.workers[w].worker);
    let order = |v: u32, value: i64| {
        let id = *problem.vacancies[v as usize].vacancy.id.bytes();
        (value, Reverse((problem.lottery.draw(&id), id)))
    };
    let held = outcome.matching.vacancy_of[w];
    let held = held.map(|v| order(v, problem.pair(w, v as usize).value));
    let ranked = worker.ranking.is_some();
    let best_fit = terms.settings.fit_value;
    for (city, barred) in by_city {
        if !ranked && !worker.would_live_in(*city) {
            continue;
        }
        let annual = terms.annual_move(worker, *city);
        // What nobody could prefer need not be evaluated.
        let least = held.map_or(i64::MIN, |(value, _)| value + annual - best_fit);
        for barred in barred.iter().filter(|barred| ranked || barred.real_pay >= least) {
            let pair = problem.pair(w, barred.vacancy as usize);
            let better = held.is_none_or(|held| order(barred.vacancy, pair.value) > held);
            if pair.is_acceptable() && better {
                found(barred, pair.score);
            }
        }
    }
}

fn near(problem: &Problem, barred: &Barred, w: usize, score: i64) -> (Nearness, Refused) {
    let worker = *problem.workers[w].worker.id.bytes();
    let vacancy = *problem.vacancies[barred.vacancy as usize].vacancy.id.bytes();
    let draw = |id: &[u8; 16]| problem.lottery.draw(id);
    let cutoff = barred.cutoff.map(|(score, _)| score);
    let gap = cutoff.map_or(i64::MAX, |cutoff| cutoff - score);
    let refused = Refused { worker: w as u32, vacancy: barred.vacancy, score, cutoff };
    ((gap, draw(&worker), worker, draw(&vacancy), vacancy), refused)
}

/// The least rise of what the vacancy pays the worker at which her key is above the cutoff.
fn pay_rise(
    problem: &Problem,
    refused: &Refused,
    by_city: &[(CityIx, Vec<Barred>)],
) -> Result<i64, NoPrice> {
    let worker = &problem.workers[refused.worker as usize].worker;
    let vacancy: &Vacancy = &problem.vacancies[refused.vacancy as usize].vacancy;
    let mut all = by_city.iter().flat_map(|(_, barred)| barred);
    let barred = all.find(|barred| barred.vacancy == refused.vacancy);
    let (cutoff, holder) = barred.and_then(|barred| barred.cutoff).ok_or(NoPrice::Closed)?;
    if vacancy.ranking.is_some() {
        return Err(NoPrice::Ranked);
    }
    let draw = |w: u32| {
        let id = *problem.workers[w as usize].worker.id.bytes();
        (problem.lottery.draw(&id), id)
    };
    let wins_ties = draw(refused.worker) < draw(holder);
    let mut paid = vacancy.clone();
    let mut gets_in = |salary: i64| {
        paid.salary = salary;
        let score = problem.terms().pair(worker, &paid).score;
        score > cutoff || (score == cutoff && wins_ties)
    };
    // From the asking salary on more pay changes no score.
    let asking = problem.terms().asking_salary(worker, vacancy.city);
    let (mut low, mut high) = (vacancy.salary, asking.clamp(vacancy.salary, MONEY_MAX));
    if !gets_in(high) {
        return Err(NoPrice::Outranked);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        *if gets_in(middle) { &mut high } else { &mut low } = middle;
    }
    Ok(high - vacancy.salary)
}

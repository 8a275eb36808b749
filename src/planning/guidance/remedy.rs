//! What would fill openings that stay empty: more pay, a subsidy for moving there, or less
//! intake elsewhere.
//!
//! Each is tried by clearing the market anew. Where theory says that more of a lever never
//! fills fewer, bisection finds the *least* amount; elsewhere a grid is scanned upwards, and
//! what it finds is an amount *at which* it works: less might do too, and more might not.
//!
//! * Pay of a single vacancy, no caps: its fill never falls when it pays more.
//! * Intake of the other cities, no regional caps, and the city itself uncapped: when others
//!   take fewer, more proposals reach the city and none are withdrawn.
//! * A subsidy for moves into a city: no such theorem. It can even lower the inflow.
//!
//! `tests/statics.rs` has the first two as tests, and a case of the third.

use super::effects::{Effects, Totals, compare};
use super::{Outcome, Work};
use crate::domain::CityIx;
use crate::domain::limits::MONEY_MAX;
use crate::matching::{CapSet, Error, Problem};
use std::sync::Arc;

/// Pay rises tried where it is not known that more fills more, in per cent of the mean
/// salary of the vacancies that are raised.
const PAY_GRID_PERCENT: [i64; 10] = [1, 2, 5, 10, 15, 20, 30, 50, 75, 100];
/// Subsidies tried, in per cent of the dearest move into the city.
const SUBSIDY_GRID_PERCENT: [i64; 11] = [5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
/// Cuts of the other cities' intake tried where it is not known that more fills more.
const CUT_GRID_PERCENT: [i64; 14] = [1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100];

/// Openings to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The city.
    pub city: CityIx,
    /// How many of the openings that stay empty there.
    pub fill: u64,
}

/// What is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lever {
    /// The vacancies of the city that have empty openings pay so much more a year each.
    Pay,
    /// Every move into the city costs so much less, once, on top of what subsidies there are.
    Subsidy,
    /// Every other city takes at most so many per cent fewer than it takes now.
    CapsElsewhere,
}

/// What one lever would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What is pulled.
    pub lever: Lever,
    /// Whether [`Found::amount`] is the least that fills as many. Otherwise it is the first
    /// of a grid, scanned upwards.
    pub least: bool,
    /// How far it has to be pulled; `None` if nothing that was tried is enough.
    pub found: Option<Found>,
    /// The most that was tried: money, or per cent.
    pub most: i64,
    /// Clearings that the search took.
    pub clearings: u32,
}

/// A remedy that is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How far the lever is pulled: money (a year for pay, once for a subsidy), or per cent.
    pub amount: i64,
    /// Openings filled of those that stay empty now.
    pub filled: u64,
    /// Openings filled in the whole city, more or fewer than now.
    pub city_change: i64,
    /// What it costs: the rise of all pay that is paid in the vacancies raised, a year; or
    /// subsidies, once, over those of now. Caps cost those who lose, not money.
    pub cost: i128,
    /// What it does to all workers, against now.
    pub effects: Effects,
}

/// What each lever would have to be to fill as many openings as asked for.
///
/// # Errors
/// As [`crate::matching::clear`].
pub fn search(now: &Outcome, ask: &Ask, work: &Work) -> Result<Vec<Remedy>, Error> {
    let fill = now.fill();
    let here = |v: &usize| now.problem.vacancies[*v].vacancy.city == ask.city;
    let empty = |v: &usize| fill[*v] < now.problem.vacancies[*v].openings;
    let city: Vec<usize> = (0..fill.len()).filter(here).collect();
    let lacking: Vec<usize> = city.iter().copied().filter(empty).collect();
    let seats: u64 =
        lacking.iter().map(|v| u64::from(now.problem.vacancies[*v].openings - fill[*v])).sum();
    if seats == 0 {
        return Ok(Vec::new());
    }
    let wanted = ask.fill.clamp(1, seats);
    let search = Search { now, ask, work, fill, city, lacking, wanted };
    Ok(vec![search.pay()?, search.subsidy()?, search.caps_elsewhere()?])
}

struct Search<'s> {
    now: &'s Outcome,
    ask: &'s Ask,
    work: &'s Work,
    /// Openings filled now, by vacancy.
    fill: Vec<u32>,
    /// The city's vacancies.
    city: Vec<usize>,
    /// Those of them with empty openings.
    lacking: Vec<usize>,
    /// How many of these openings are to be filled.
    wanted: u64,
}

impl Search<'_> {
    fn pay(&self) -> Result<Remedy, Error> {
        let vacancies = &self.now.problem.vacancies;
        let salaries = self.lacking.iter().map(|v| vacancies[*v].vacancy.salary);
        let (highest, sum) = (salaries.clone().max(), salaries.map(i128::from).sum::<i128>());
        let mean = (sum / self.lacking.len() as i128) as i64;
        // Nobody may be paid more than the market can count.
        let most = mean.min(MONEY_MAX - highest.unwrap_or(0));
        let raised = |amount: i64| {
            let mut problem = self.now.problem.clone();
            for v in &self.lacking {
                Arc::make_mut(&mut problem.vacancies[*v].vacancy).salary += amount;
            }
            problem
        };
        let cost = |outcome: &Outcome, amount: i64| {
            let fill = outcome.fill();
            let paid: i128 = self.lacking.iter().map(|v| i128::from(fill[*v])).sum();
            paid * i128::from(amount)
        };
        let least = self.lacking.len() == 1 && self.now.problem.sets.is_empty();
        let grid = PAY_GRID_PERCENT.map(|percent| share(most, percent));
        self.pull(Lever::Pay, least.then_some(most), &grid, raised, cost)
    }

    fn subsidy(&self) -> Result<Remedy, Error> {
        let terms = self.now.problem.terms();
        let homes = self.now.problem.workers.iter().map(|seeker| seeker.worker.home);
        let mut homes: Vec<CityIx> = homes.collect();
        homes.sort_unstable();
        homes.dedup();
        let dearest = homes.iter().map(|home| terms.move_cost(*home, self.ask.city)).max();
        let most = dearest.unwrap_or(0);
        let city = self.ask.city;
        let subsidised = |amount: i64| {
            let mut problem = self.now.problem.clone();
            let geography = Arc::make_mut(&mut problem.geography);
            geography.cities[city.at()].move_subsidy += amount;
            problem
        };
        let spent = Totals::of(self.now).subsidies;
        let cost = |outcome: &Outcome, _| Totals::of(outcome).subsidies - spent;
        let grid = SUBSIDY_GRID_PERCENT.map(|percent| share(most, percent));
        self.pull(Lever::Subsidy, None, &grid, subsidised, cost)
    }

    fn caps_elsewhere(&self) -> Result<Remedy, Error> {
        let mut taken = vec![0_u64; self.now.problem.set_of_city.len()];
        for (_, v) in self.now.matching.pairs() {
            taken[self.now.problem.vacancies[v as usize].vacancy.city.at()] += 1;
        }
        let capped = |percent: i64| {
            let left = |taken: u64| taken * (100 - percent.unsigned_abs()) / 100;
            let caps = taken
                .iter()
                .enumerate()
                .map(|(city, taken)| (city != self.ask.city.at()).then(|| left(*taken)));
            with_caps(&self.now.problem, &caps.collect::<Vec<_>>())
        };
        let problem = &self.now.problem;
        let flat = problem.set_of_city[self.ask.city.at()].is_none() && is_flat(problem);
        let cost = |_: &Outcome, _| 0;
        self.pull(Lever::CapsElsewhere, flat.then_some(100), &CUT_GRID_PERCENT, capped, cost)
    }

    /// Pulls a lever until it is enough: by bisection up to `monotone`, or over the grid.
    fn pull(
        &self,
        lever: Lever,
        monotone: Option<i64>,
        grid: &[i64],
        problem: impl Fn(i64) -> Problem,
        cost: impl Fn(&Outcome, i64) -> i128,
    ) -> Result<Remedy, Error> {
        let start = self.work.clearings();
        let attempt = |amount: i64| {
            let outcome =
                self.work.clear(problem(amount), self.now.problem.settings.proposing_side)?;
            let enough = self.filled(&outcome) >= self.wanted;
            Ok::<_, Error>(enough.then_some((amount, outcome)))
        };
        let grid: Vec<i64> = grid.iter().copied().filter(|amount| *amount > 0).collect();
        let found = match monotone {
            Some(most) if most > 0 => least(most, attempt)?,
            _ => first(&grid, attempt)?,
        };
        let most = monotone.or(grid.last().copied()).unwrap_or(0);
        let found = found.map(|(amount, outcome)| {
            let (before, after) = (&self.fill, outcome.fill());
            let change = |v: &usize| i64::from(after[*v]) - i64::from(before[*v]);
            Found {
                amount,
                filled: self.filled(&outcome),
                city_change: self.city.iter().map(change).sum(),
                cost: cost(&outcome, amount),
                effects: compare(self.now, &outcome, None).all,
            }
        });
        let clearings = self.work.clearings() - start;
        Ok(Remedy { lever, least: monotone.is_some(), found, most, clearings })
    }

    /// Openings filled of those that stay empty now.
    fn filled(&self, outcome: &Outcome) -> u64 {
        let after = outcome.fill();
        self.lacking.iter().map(|v| u64::from(after[*v].saturating_sub(self.fill[*v]))).sum()
    }
}

/// So many per cent of an amount, rounded up.
fn share(amount: i64, percent: i64) -> i64 {
    (i128::from(amount) * i128::from(percent)).unsigned_abs().div_ceil(100) as i64
}

/// The least amount from 1 to `most` that is enough, if `most` is; all above it are too.
fn least(
    most: i64,
    attempt: impl Fn(i64) -> Result<Option<(i64, Outcome)>, Error>,
) -> Result<Option<(i64, Outcome)>, Error> {
    let Some(mut best) = attempt(most)? else { return Ok(None) };
    let mut low = 0;
    while best.0 - low > 1 {
        let middle = low + (best.0 - low) / 2;
        match attempt(middle)? {
            Some(enough) => best = enough,
            None => low = middle,
        }
    }
    Ok(Some(best))
}

/// The first amount of an ascending grid that is enough.
fn first(
    grid: &[i64],
    attempt: impl Fn(i64) -> Result<Option<(i64, Outcome)>, Error>,
) -> Result<Option<(i64, Outcome)>, Error> {
    for amount in grid {
        if let Some(enough) = attempt(*amount)? {
            return Ok(Some(enough));
        }
    }
    Ok(None)
}

/// The problem with one more cap on each city that has one in `caps`, inside what caps
/// there are.
fn with_caps(problem: &Problem, caps: &[Option<u64>]) -> Problem {
    let mut capped = problem.clone();
    let added = caps.iter().flatten().count() as u32;
    let mut sets = Vec::with_capacity(capped.sets.len() + added as usize);
    // A set stands after those inside it, so the new ones come first.
    for (city, cap) in caps.iter().enumerate() {
        let around = capped.set_of_city[city].map(|set| set + added);
        capped.set_of_city[city] = around;
        if let Some(capacity) = *cap {
            capped.set_of_city[city] = Some(sets.len() as u32);
            sets.push(CapSet { parent: around, capacity });
        }
    }
    sets.extend(capped.sets.iter().map(|set| CapSet {
        parent: set.parent.map(|parent| parent + added),
        capacity: set.capacity,
    }));
    capped.sets = sets;
    capped
}

/// Whether no cap is about more than one city.
fn is_flat(problem: &Problem) -> bool {
    let mut cities_of = vec![0; problem.sets.len()];
    for city in 0..problem.set_of_city.len() {
        let up = |set: &u32| problem.sets[*set as usize].parent;
        for set in std::iter::successors(problem.set_of_city[city], up) {
            cities_of[set as usize] += 1;
        }
    }
    cities_of.into_iter().all(|cities| cities <= 1)
}

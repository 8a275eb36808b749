//! What workers want and what vacancies want: the preference model, in integers only.
//!
//! Everything is a pure function of a worker, a vacancy and the market's [`Terms`].
//! [`Terms::pair`] evaluates one pair in full and is what the engine, the
//! certificate, the naive twin and `Explain` must all agree with.
//!
//! * skill acts through [`fit`];
//! * the salary expectation through [`Terms::floor_salary`] (what the worker needs)
//!   and [`Terms::asking_salary`] (what would leave the worker as well off as
//!   expected at home: the compensating differential of Rosen, 1986);
//! * relocation through [`Terms::annual_move`].

mod lottery;

pub use lottery::Lottery;

use crate::domain::limits::FIT_MAX;
use crate::domain::{CityIx, Geography, Requirement, Settings, Vacancy, Worker};

/// Levels of one worker by skill index, for evaluating many requirement lists.
pub trait Levels {
    /// The level in `skill`, 0 if the worker lacks it.
    fn level(&self, skill: crate::domain::SkillIx) -> u8;
}

impl Levels for Worker {
    fn level(&self, skill: crate::domain::SkillIx) -> u8 {
        Worker::level(self, skill)
    }
}

/// How well `levels` meet `requirements`, 0..10000 basis points:
/// `floor(Σ weight · floor(10000 · min(level, desired) / desired) / Σ weight)`;
/// no requirements = 10000.
pub fn fit(levels: &impl Levels, requirements: &[Requirement]) -> u32 {
    if requirements.is_empty() {
        return FIT_MAX;
    }
    let (mut sum, mut weights) = (0_u32, 0_u32);
    for requirement in requirements {
        let desired = u32::from(requirement.desired_level);
        let level = u32::from(levels.level(requirement.skill)).min(desired);
        sum += u32::from(requirement.weight) * (FIT_MAX * level / desired);
        weights += u32::from(requirement.weight);
    }
    sum / weights
}

/// Whether `levels` reach every mandatory minimum.
pub fn meets_minima(levels: &impl Levels, requirements: &[Requirement]) -> bool {
    requirements
        .iter()
        .all(|r| r.minimum_level.is_none_or(|minimum| levels.level(r.skill) >= minimum))
}

/// The terms of a market: its settings and its geography.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The market's settings.
    pub settings: &'a Settings,
    /// The market's places.
    pub geography: &'a Geography,
}

/// One worker and one vacancy, evaluated in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Kilometres from the worker's home to the job.
    pub km: u32,
    /// One-off cost of the move, subsidies taken off.
    pub move_cost: i64,
    /// The move's cost a year, as this worker feels it.
    pub annual_move: i64,
    /// How well the worker meets the requirements, 0..10000.
    pub fit: u32,
    /// Least salary the worker would take here.
    pub floor_salary: i64,
    /// Salary that would leave the worker as well off as expected at home.
    pub asking_salary: i64,
    /// How far the salary is below the asking salary, in basis points of the salary.
    pub shortfall_bp: i64,
    /// Whether the worker takes the job at all.
    pub worker_accepts: bool,
    /// Whether the vacancy takes the worker at all.
    pub vacancy_accepts: bool,
    /// What the vacancy is worth to the worker: money a year, or minus its position
    /// in the worker's explicit ranking.
    pub value: i64,
    /// What the worker is worth to the vacancy: basis points, or 10000 minus the
    /// position in the vacancy's explicit ranking.
    pub score: i64,
}

impl Pair {
    /// Whether both sides accept.
    pub fn is_acceptable(&self) -> bool {
        self.worker_accepts && self.vacancy_accepts
    }
}

impl<'a> Terms<'a> {
    /// One-off cost of moving from `home` to `city`, subsidies taken off; 0 at home.
    pub fn move_cost(&self, home: CityIx, city: CityIx) -> i64 {
        if home == city {
            return 0;
        }
        let settings = self.settings;
        let pair = self.geography.move_cost(home, city).copied().unwrap_or_default();
        let cost = pair.cost.unwrap_or_else(|| {
            settings.fixed_move_cost
                + settings.move_cost_per_km * i64::from(self.geography.km(home, city))
        });
        (cost - pair.subsidy - self.geography.city(city).move_subsidy).max(0)
    }

    /// A one-off `move_cost` as a worker with `cost_percent` feels it each year of the horizon.
    #[inline]
    pub fn annual_cost(&self, move_cost: i64, cost_percent: u16) -> i64 {
        // At most 2.1 * 10^13 (the longest way at the highest rate) * 10^4.
        let years = 100 * i64::from(self.settings.horizon_years);
        let felt = move_cost * i64::from(cost_percent);
        (felt + years - 1) / years
    }

    /// What moving to `city` costs the worker a year.
    pub fn annual_move(&self, worker: &Worker, city: CityIx) -> i64 {
        self.annual_cost(self.move_cost(worker.home, city), worker.cost_percent)
    }

    /// The least salary `s` in `city` with `s/κ_city - annual/1000 >= salary/κ_home`:
    /// as good as `salary` at home, after the move and at the city's prices.
    #[inline]
    pub fn equivalent_salary(&self, salary: i64, home: CityIx, city: CityIx, annual: i64) -> i64 {
        if home == city {
            return salary;
        }
        let kappa_home = self.geography.city(home).cost_of_living;
        let kappa_city = self.geography.city(city).cost_of_living;
        if (salary | annual) < 1 << 31 && (kappa_home | kappa_city) < 1 << 14 {
            // The usual case fits 64 bits, in which division is several times faster.
            let needed = kappa_city * (1000 * salary + annual * kappa_home);
            let unit = 1000 * kappa_home;
            return (needed + unit - 1) / unit;
        }
        let (kappa_home, kappa_city) = (i128::from(kappa_home), i128::from(kappa_city));
        let needed = kappa_city * (1000 * i128::from(salary) + i128::from(annual) * kappa_home);
        let unit = 1000 * kappa_home;
        ((needed + unit - 1) / unit) as i64
    }

    /// Least salary that the worker would take in `city`.
    pub fn floor_salary(&self, worker: &Worker, city: CityIx) -> i64 {
        let annual = self.annual_move(worker, city);
        self.equivalent_salary(worker.reservation_salary, worker.home, city, annual)
    }

    /// Salary in `city` that leaves the worker as well off as expected at home.
    pub fn asking_salary(&self, worker: &Worker, city: CityIx) -> i64 {
        let annual = self.annual_move(worker, city);
        self.equivalent_salary(worker.expected_salary, worker.home, city, annual)
    }

    /// How far `salary` is below `asking`, in basis points of `salary`, rounded down.
    #[inline]
    pub fn shortfall_bp(asking: i64, salary: i64) -> i64 {
        if asking <= salary {
            return 0;
        }
        if let Some(gap) = (asking - salary).checked_mul(10_000) {
            return gap / salary;
        }
        let gap = i128::from(asking - salary) * 10_000 / i128::from(salary);
        i64::try_from(gap).unwrap_or(i64::MAX)
    }

    /// The least salary at which a worker who asks for `asking` does not ask for too
    /// much more: `shortfall <= max_shortfall` from there on, and nowhere below.
    #[inline]
    pub fn least_salary(&self, asking: i64) -> i64 {
        // shortfall <= m  iff  10000 (asking - s) < (m + 1) s  iff  s > 10000 asking / (10001 + m)
        let allowed = 10_001 + i64::from(self.settings.max_shortfall_bp);
        match asking.checked_mul(10_000) {
            Some(asked) => asked / allowed + 1,
            None => (i128::from(asking) * 10_000 / i128::from(allowed)) as i64 + 1,
        }
    }

    /// A bound from below on the real salaries, wherever a move costs `annual` or more a
    /// year, that a worker takes and at which no vacancy finds her too dear: the floor
    /// salary `s` satisfies `1000 s/κ >= 1000 reservation/κ_home + annual`, the asking
    /// salary likewise, and the shortfall allows salaries above
    /// `asking * 10000 / (10001 + max_shortfall)`; rounding down keeps all of it a bound.
    pub fn least_real_away(&self, worker: &Worker, annual: i64) -> i64 {
        let reserve = self.real_salary(worker.reservation_salary, worker.home);
        let expected = self.real_salary(worker.expected_salary, worker.home);
        let asked = i128::from(expected) + i128::from(annual);
        let allowed = 10_001 + i128::from(self.settings.max_shortfall_bp);
        let by_vacancy = (asked * 10_000 / allowed) as i64;
        by_vacancy.max(reserve + annual)
    }

    /// The least salary in `city` that a worker takes and at which no vacancy finds her
    /// too dear.
    pub fn least_salary_in(&self, worker: &Worker, city: CityIx) -> i64 {
        let annual = self.annual_move(worker, city);
        let here = |salary| self.equivalent_salary(salary, worker.home, city, annual);
        let asking = here(worker.expected_salary);
        here(worker.reservation_salary).max(self.least_salary(asking))
    }

    /// What `salary` in `city` is worth at the reference cost of living, a year.
    #[inline]
    pub fn real_salary(&self, salary: i64, city: CityIx) -> i64 {
        1000 * salary / self.geography.city(city).cost_of_living
    }

    /// What a fit is worth to a worker, a year.
    #[inline]
    pub fn fit_worth(&self, fit: u32) -> i64 {
        // At most 10^12 * 10^4.
        self.settings.fit_value * i64::from(fit) / i64::from(FIT_MAX)
    }

    /// A worker's score from fit, shortfall and whether the job is at home.
    #[inline]
    pub fn score(&self, fit: u32, shortfall_bp: i64, local: bool) -> i64 {
        let bonus = if local { i64::from(self.settings.local_bonus_bp) } else { 0 };
        if shortfall_bp == 0 {
            return i64::from(fit) + bonus;
        }
        let weight = i64::from(self.settings.shortfall_weight_bp);
        let penalty = match shortfall_bp.checked_mul(weight) {
            Some(product) => product / 10_000,
            None => {
                let penalty = i128::from(shortfall_bp) * i128::from(weight) / 10_000;
                i64::try_from(penalty).unwrap_or(i64::MAX)
            }
        };
        (i64::from(fit) + bonus).saturating_sub(penalty)
    }

    /// The least fit that the vacancy accepts.
    pub fn min_fit(&self, vacancy: &Vacancy) -> u32 {
        vacancy.min_fit_bp.unwrap_or(self.settings.min_fit_bp)
    }

    /// Evaluates one pair in full, explicit rankings included.
    pub fn pair(&self, worker: &Worker, vacancy: &Vacancy) -> Pair {
        let city = vacancy.city;
        let move_cost = self.move_cost(worker.home, city);
        let annual_move = self.annual_cost(move_cost, worker.cost_percent);
        let fit = fit(worker, &vacancy.requirements);
        let floor_salary =
            self.equivalent_salary(worker.reservation_salary, worker.home, city, annual_move);
        let asking_salary =
            self.equivalent_salary(worker.expected_salary, worker.home, city, annual_move);
        let shortfall_bp = Self::shortfall_bp(asking_salary, vacancy.salary);
        let (worker_accepts, value) = match &worker.ranking {
            Some(_) => ranked(worker.rank_of(vacancy.id), 0),
            None => (
                worker.would_live_in(city) && vacancy.salary >= floor_salary,
                self.real_salary(vacancy.salary, city) - annual_move + self.fit_worth(fit),
            ),
        };
        let (vacancy_accepts, score) = match &vacancy.ranking {
            Some(_) => ranked(vacancy.rank_of(worker.id), i64::from(FIT_MAX)),
            None => (
                meets_minima(worker, &vacancy.requirements)
                    && fit >= self.min_fit(vacancy)
                    && shortfall_bp <= i64::from(self.settings.max_shortfall_bp),
                self.score(fit, shortfall_bp, worker.home == city),
            ),
        };
        Pair {
            km: self.geography.km(worker.home, city),
            move_cost,
            annual_move,
            fit,
            floor_salary,
            asking_salary,
            shortfall_bp,
            worker_accepts,
            vacancy_accepts,
            value,
            score,
        }
    }
}

/// Acceptance and worth of what stands at `position` of an explicit ranking:
/// `top` minus the position, or refused when it is not listed.
fn ranked(position: Option<usize>, top: i64) -> (bool, i64) {
    match position {
        Some(position) => (true, top - position as i64),
        None => (false, i64::MIN),
    }
}

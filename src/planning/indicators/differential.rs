//! The compensating differential of a city: what it would take, in pay or in one-off
//! subsidy, to become acceptable to people elsewhere.
//!
//! For a seeker who would live there, the best salary for which they qualify is what the
//! engine answers for their double: a worker of the same skills who lives in the city,
//! takes any salary and asks for nothing, in a market in which nobody holds anything, no
//! cap stands and fit is worth nothing. What they need is the preference model's word.

use super::{Most, Sample, figure, percentile};
use crate::domain::{CityIx, Mobility, Settings, Worker};
use crate::matching::{Control, Engine, Post, Problem, Seeker};
use crate::planning::Error;
use crate::planning::draw::Draw;
use crate::planning::figure::{Figure, Undefined};
use crate::preferences::Terms;
use crate::state::View;
use std::sync::Arc;

/// Questions between two looks at whether to go on.
const ASKED_AT_ONCE: usize = 64;

/// What it would take for one city.
#[derive(Clone, Debug)]
pub struct Differential {
    /// Seekers elsewhere who would live there, of those drawn.
    pub asked: u64,
    /// Of these, who qualify for a job there.
    pub qualified: u64,
    /// Of these, to whom it is acceptable as it is.
    pub accepting: u64,
    /// What is missing in pay: 25th percentile, median and 75th percentile of the
    /// qualified.
    pub pay: [Figure; 3],
    /// The subsidy that would do instead, likewise.
    pub subsidy: [Figure; 3],
}

/// The percentiles.
const PERCENT: [usize; 3] = [25, 50, 75];

/// Who is looked at, and what is open where.
pub struct Differentials<'v> {
    view: &'v View,
    /// Who was drawn of those who would live elsewhere at all.
    drawn: Vec<Seeker>,
    of: u64,
    /// By city: what has openings.
    posts: Vec<Vec<Post>>,
    /// Fit is worth nothing.
    settings: Arc<Settings>,
}

impl<'v> Differentials<'v> {
    /// Draws the seekers: so many that they and the market's cities make about as many
    /// pairs as may be looked at.
    pub fn among(view: &'v View, most: Most) -> Self {
        let problem = view.problem();
        let cities = problem.geography.cities.len().max(1);
        let movable = |seeker: &Seeker| {
            seeker.worker.ranking.is_none() && seeker.worker.mobility != Mobility::HomeOnly
        };
        let mut drawn = problem.workers;
        drawn.retain(movable);
        let of = drawn.len();
        let most = (most.differential_pairs / cities).max(most.differential_seekers_min);
        let draw = Draw::at_most(most, of);
        drawn.retain(|seeker| draw.takes(seeker.worker.id.bytes()));
        let mut posts = vec![Vec::new(); cities];
        for post in problem.vacancies {
            if post.openings > 0 {
                posts[post.vacancy.city.at()].push(post);
            }
        }
        let settings = Settings { fit_value: 0, ..(*problem.settings).clone() };
        Self { view, drawn, of: of as u64, posts, settings: Arc::new(settings) }
    }

    /// How many were drawn, if not all.
    pub fn sample(&self) -> Option<Sample> {
        let workers = self.drawn.len() as u64;
        (workers < self.of).then(|| Sample { workers, workers_of: self.of, ..Sample::default() })
    }

    /// What it would take for a city.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `control` says so.
    pub fn city(&self, city: CityIx, control: &Control) -> Result<Differential, Error> {
        let away =
            |seeker: &&Seeker| seeker.worker.home != city && seeker.worker.would_live_in(city);
        let asked: Vec<&Seeker> = self.drawn.iter().filter(away).collect();
        let problem = self.at_home_in(city, &asked);
        let mut engine = Engine::new(&problem);
        let terms = self.view.head.terms();
        let (mut pay, mut subsidies, mut accepting) = (Vec::new(), Vec::new(), 0);
        for (number, seeker) in asked.iter().enumerate() {
            if number.is_multiple_of(ASKED_AT_ONCE) {
                control.check()?;
            }
            let Some(offer) = engine.demand(number as u32) else { continue };
            let best = &problem.vacancies[engine.vacancy_at(offer.place) as usize];
            let best = best.vacancy.salary;
            let missing = (terms.least_salary_in(&seeker.worker, city) - best).max(0);
            accepting += u64::from(missing == 0);
            pay.push(missing);
            subsidies.push(subsidy(&terms, &seeker.worker, city, best).unwrap_or(i64::MAX));
        }
        pay.sort_unstable();
        subsidies.sort_unstable();
        let qualified = ("qualified", pay.len() as f64);
        let at = |sorted: &[i64], percent| {
            let value = match percentile(sorted, percent) {
                None => Err(Undefined::TooFew),
                Some(i64::MAX) => Err(Undefined::OutOfRange),
                Some(amount) => Ok(amount as f64),
            };
            figure(value, &[qualified])
        };
        Ok(Differential {
            asked: asked.len() as u64,
            qualified: pay.len() as u64,
            accepting,
            pay: PERCENT.map(|percent| at(&pay, percent)),
            subsidy: PERCENT.map(|percent| at(&subsidies, percent)),
        })
    }

    /// The city's vacancies, and the doubles of those who are asked.
    fn at_home_in(&self, city: CityIx, asked: &[&Seeker]) -> Problem {
        let double = |seeker: &&Seeker| Seeker {
            worker: Arc::new(Worker {
                home: city,
                mobility: Mobility::HomeOnly,
                expected_salary: 1,
                reservation_salary: 1,
                ..(*seeker.worker).clone()
            }),
            ..(*seeker).clone()
        };
        let geography = self.view.head.geography.clone();
        Problem {
            settings: self.settings.clone(),
            set_of_city: vec![None; geography.cities.len()],
            geography,
            lottery: self.view.head.lottery,
            workers: asked.iter().map(double).collect(),
            vacancies: self.posts[city.at()].clone(),
            sets: Vec::new(),
        }
    }
}

/// The least subsidy of a worker's move at which the city's `best` salary is what they need
/// there; none if it is not even with a free move. What is needed falls as the move gets
/// cheaper.
fn subsidy(terms: &Terms<'_>, worker: &Worker, city: CityIx, best: i64) -> Option<i64> {
    let whole = terms.move_cost(worker.home, city);
    let enough = |cost: i64| {
        let annual = terms.annual_cost(cost, worker.cost_percent);
        let here = |salary| terms.equivalent_salary(salary, worker.home, city, annual);
        let least = terms.least_salary(here(worker.expected_salary));
        here(worker.reservation_salary).max(least) <= best
    };
    if !enough(0) {
        return None;
    }
    // The dearest move at which it is enough lies in low..=high.
    let (mut low, mut high) = (0, whole);
    while low < high {
        let middle = low + (high - low + 1) / 2;
        if enough(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Some(whole - low)
}

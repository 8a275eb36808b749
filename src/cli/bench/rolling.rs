//! A market in simulated time: workers and vacancies come, stay for a while, and leave.
//! All of them are from one generated market; when each comes and how long each stays is
//! drawn from the seed, so that every policy meets the same ones at the same moments.

use super::CapsArg;
use super::draws::Draws;
use super::market;
use crate::cli::error::Error;
use crate::domain::{Side, VacancyId, VacancySlot, WorkerId};
use crate::generate::Generator;
use crate::matching::{Post, Problem};
use crate::preferences::meets_minima;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;
use uuid::Uuid;

/// Seconds of a day. Simulated time is in whole seconds from the start.
pub const DAY: u64 = 86_400;
/// Nobody stays longer than so many mean stays.
pub const LONGEST_STAYS: u64 = 3;

/// From when to when somebody is there who is not placed.
pub type Stay = Range<u64>;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// Worker number so many comes.
    WorkerComes(u32),
    /// Vacancy number so many comes, with all its openings.
    VacancyComes(u32),
    /// The worker has stayed as long as they would.
    WorkerGoes(u32),
    /// The vacancy has stayed as long as it would.
    VacancyGoes(u32),
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    /// Days in which those arrive who are counted.
    pub days: u64,
    /// Mean stay in days.
    pub stay: u64,
}

impl Calendar {
    /// Those are counted who come when the market has run for the longest stay, so that
    /// nothing is left of its empty start.
    pub fn counted(self) -> Range<u64> {
        let start = LONGEST_STAYS * self.stay * DAY;
        start..start + self.days * DAY
    }

    /// The mean stay in days, of which the longest are cut off.
    fn mean_stay(self) -> f64 {
        self.stay as f64 * (1.0 - libm::exp(-(LONGEST_STAYS as f64)))
    }

    /// Days in which somebody arrives: long enough for all who are counted to leave among
    /// others who come.
    pub fn arrival_days(self) -> u64 {
        self.days + 2 * LONGEST_STAYS * self.stay
    }
}

/// See the module.
pub struct Rolling {
    /// Everybody and everything that ever comes.
    pub problem: Problem,
    /// By worker.
    pub workers: Vec<Stay>,
    /// By vacancy.
    pub vacancies: Vec<Stay>,
    /// In order of time.
    pub happenings: Vec<(u64, Happening)>,
    /// By worker: the vacancies that take them, that they take, and that are there when
    /// they are; best first.
    pub chances: Vec<Vec<u32>>,
    /// Who is counted, by the time of arrival.
    pub counted: Range<u64>,
}

impl Rolling {
    /// The generator's market, spread over the calendar by the draws of the seed. With
    /// `partners`, who accepts whom is left to chance, so that everybody has so many
    /// acceptable partners before them on average.
    pub fn of(
        generator: &Generator,
        calendar: Calendar,
        partners: Option<f64>,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut problem = market::build(generator, Side::Worker, CapsArg::None)?;
        if partners.is_some() {
            split(&mut problem);
        }
        let mut draws = Draws::of(seed);
        let workers = stays(&mut draws, problem.workers.len(), calendar);
        let vacancies = stays(&mut draws, problem.vacancies.len(), calendar);
        let happenings = happenings(&workers, &vacancies);
        let chances = match partners {
            None => chances(&problem, &workers, &vacancies),
            Some(partners) => {
                let (w, o) = (workers.len() as f64, vacancies.len() as f64);
                let at_a_time = calendar.mean_stay() / calendar.arrival_days() as f64;
                let chance = partners * (w + o) / (2.0 * w * o * at_a_time).max(1.0);
                by_chance(&mut draws, &mut problem, &workers, &vacancies, chance)
            }
        };
        let counted = calendar.counted();
        Ok(Self { problem, workers, vacancies, happenings, chances, counted })
    }

    /// Openings that ever come.
    pub fn openings(&self) -> u64 {
        self.problem.vacancies.iter().map(|post| u64::from(post.openings)).sum()
    }

    /// Where the vacancy stands among the worker's chances; none if the two never meet, or
    /// one of them does not accept the other.
    pub fn choice(&self, worker: u32, vacancy: u32) -> Option<usize> {
        self.chances[worker as usize].iter().position(|chance| *chance == vacancy)
    }

    /// Where the worker stands among those whom the vacancy accepts: the least is the best.
    pub fn key(&self, worker: u32, vacancy: u32) -> (Reverse<i64>, u64, WorkerId) {
        let score = self.problem.pair(worker as usize, vacancy as usize).score;
        let id = self.problem.workers[worker as usize].worker.id;
        (Reverse(score), self.problem.lottery.draw(id.bytes()), id)
    }

    /// How thick the market is if everybody stays as long as they would.
    pub fn thickness(&self) -> Thickness {
        let opening = |(stay, post): (&Stay, &Post)| vec![stay.end; post.openings as usize];
        let openings: Vec<Vec<u64>> =
            self.vacancies.iter().zip(&self.problem.vacancies).map(opening).collect();
        let workers: Vec<u64> = self.workers.iter().map(|stay| stay.end).collect();
        self.thickness_until(&workers, &openings)
    }

    /// How thick the market is on average over the counted days, if each worker and each
    /// opening is there from arrival until then.
    pub fn thickness_until(&self, workers: &[u64], openings: &[Vec<u64>]) -> Thickness {
        let within = |from: u64, until: u64| {
            let (from, until) = (from.max(self.counted.start), until.min(self.counted.end));
            until.saturating_sub(from) as f64
        };
        let mut sums = Thickness::default();
        for (stay, until) in self.workers.iter().zip(workers) {
            sums.workers += within(stay.start, *until);
        }
        for (stay, ends) in self.vacancies.iter().zip(openings) {
            sums.openings += ends.iter().map(|until| within(stay.start, *until)).sum::<f64>();
        }
        for (w, chances) in self.chances.iter().enumerate() {
            for v in chances {
                let v = *v as usize;
                let from = self.workers[w].start.max(self.vacancies[v].start);
                let both = openings[v].iter().map(|until| within(from, workers[w].min(*until)));
                sums.pairs += both.sum::<f64>();
            }
        }
        sums
    }

    /// How many workers could be placed at most by somebody who knows who will come: a
    /// maximum matching of workers and openings that accept each other and meet.
    pub fn placeable(&self) -> u64 {
        let mut search = Search {
            chances: &self.chances,
            holders: vec![Vec::new(); self.vacancies.len()],
            openings: self.problem.vacancies.iter().map(|post| post.openings as usize).collect(),
            came_from: vec![None; self.vacancies.len()],
        };
        (0..self.chances.len() as u32).filter(|w| search.seat(*w)).count() as u64
    }
}

/// Time that was spent in the market by workers, by openings, and by pairs of both who
/// accept each other; in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thickness {
    workers: f64,
    openings: f64,
    pairs: f64,
}

impl Thickness {
    /// Acceptable openings that a worker has before them at a time, on average.
    pub fn of_workers(&self) -> f64 {
        self.pairs / self.workers.max(1.0)
    }

    /// Acceptable workers that an opening has before it.
    pub fn of_openings(&self) -> f64 {
        self.pairs / self.openings.max(1.0)
    }

    /// The mean number of acceptable partners of everybody, workers and openings alike.
    pub fn of_all(&self) -> f64 {
        2.0 * self.pairs / (self.workers + self.openings).max(1.0)
    }
}

/// Uniform arrivals, exponential stays.
fn stays(draws: &mut Draws, count: usize, calendar: Calendar) -> Vec<Stay> {
    let span = calendar.arrival_days() * DAY;
    let mean = (calendar.stay * DAY) as f64;
    let longest = LONGEST_STAYS * calendar.stay * DAY;
    let one = |_| {
        let from = draws.below(span as usize) as u64;
        let unit = (draws.below(1 << 32) as f64 + 0.5) / (1_u64 << 32) as f64;
        let stay = libm::round(-libm::log(unit) * mean) as u64;
        from..from + stay.clamp(1, longest)
    };
    (0..count).map(one).collect()
}

fn happenings(workers: &[Stay], vacancies: &[Stay]) -> Vec<(u64, Happening)> {
    let mut all = Vec::with_capacity(2 * (workers.len() + vacancies.len()));
    for (w, stay) in (0..).zip(workers) {
        all.push((stay.start, Happening::WorkerComes(w)));
        all.push((stay.end, Happening::WorkerGoes(w)));
    }
    for (v, stay) in (0..).zip(vacancies) {
        all.push((stay.start, Happening::VacancyComes(v)));
        all.push((stay.end, Happening::VacancyGoes(v)));
    }
    all.sort_unstable();
    all
}

/// Every worker with every vacancy, passing over those that one side refuses at a glance.
fn chances(problem: &Problem, workers: &[Stay], vacancies: &[Stay]) -> Vec<Vec<u32>> {
    let mut in_city = vec![Vec::new(); problem.geography.cities.len()];
    for (v, post) in (0_u32..).zip(&problem.vacancies) {
        in_city[post.vacancy.city.at()].push(v);
    }
    let of_worker = |(w, stay): (usize, &Stay)| {
        let worker = &*problem.workers[w].worker;
        let mut found = Vec::new();
        for here in in_city.iter().filter(|here| !here.is_empty()) {
            let city = problem.vacancies[here[0] as usize].vacancy.city;
            if !worker.would_live_in(city) {
                continue;
            }
            let least = problem.terms().least_salary_in(worker, city);
            for v in here {
                let (vacancy, there) =
                    (&problem.vacancies[*v as usize].vacancy, &vacancies[*v as usize]);
                let meet = stay.start < there.end && there.start < stay.end;
                if !meet || vacancy.salary < least || !meets_minima(worker, &vacancy.requirements) {
                    continue;
                }
                let pair = problem.pair(w, *v as usize);
                if pair.is_acceptable() {
                    let id = vacancy.id.bytes();
                    found.push((Reverse(pair.value), problem.lottery.draw(id), *id, *v));
                }
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(.., v)| v).collect()
    };
    workers.iter().enumerate().map(of_worker).collect()
}

/// One vacancy for each opening.
fn split(problem: &mut Problem) {
    let mut single = Vec::new();
    for post in std::mem::take(&mut problem.vacancies) {
        for copy in 0..post.openings {
            let mut vacancy = (*post.vacancy).clone();
            vacancy.id = VacancyId(Uuid::from_u128(vacancy.id.0.as_u128() ^ u128::from(copy)));
            vacancy.openings = 1;
            let slot = VacancySlot::from_offset(single.len());
            single.push(Post { vacancy: Arc::new(vacancy), slot, openings: 1, target: 0 });
        }
    }
    problem.vacancies = single;
}

/// Each worker and vacancy who meet accept each other with the same chance, and rank each
/// other at random.
fn by_chance(
    draws: &mut Draws,
    problem: &mut Problem,
    workers: &[Stay],
    vacancies: &[Stay],
    chance: f64,
) -> Vec<Vec<u32>> {
    let bound = 1 << 32;
    let below = (chance * bound as f64) as usize;
    let mut chances = vec![Vec::new(); workers.len()];
    let mut takers = vec![Vec::new(); vacancies.len()];
    for (w, stay) in workers.iter().enumerate() {
        for (v, there) in vacancies.iter().enumerate() {
            let meet = stay.start < there.end && there.start < stay.end;
            if meet && draws.below(bound) < below {
                chances[w].push(v as u32);
                takers[v].push(w as u32);
            }
        }
    }
    chances.iter_mut().chain(&mut takers).for_each(|list| shuffle(draws, list));
    for (seeker, list) in problem.workers.iter_mut().zip(&chances) {
        let ids = list.iter().map(|v| problem.vacancies[*v as usize].vacancy.id);
        Arc::make_mut(&mut seeker.worker).ranking = Some(ids.collect());
    }
    for (post, list) in problem.vacancies.iter_mut().zip(&takers) {
        let ids = list.iter().map(|w| problem.workers[*w as usize].worker.id);
        Arc::make_mut(&mut post.vacancy).ranking = Some(ids.collect());
    }
    chances
}

/// Fisher and Yates.
fn shuffle(draws: &mut Draws, list: &mut [u32]) {
    for last in (1..list.len()).rev() {
        list.swap(last, draws.below(last + 1));
    }
}

/// Augmenting paths (Kuhn, 1955), shortest first.
struct Search<'m> {
    chances: &'m [Vec<u32>],
    holders: Vec<Vec<u32>>,
    openings: Vec<usize>,
    /// By vacancy: the worker from whom a search came to it. What a search has seen in vain
    /// leads nowhere later either, so it stays marked.
    came_from: Vec<Option<u32>>,
}

impl Search<'_> {
    /// Gives the worker an opening, others moving to other openings for it; whether there
    /// is a way.
    fn seat(&mut self, worker: u32) -> bool {
        let (mut seen, mut next) = (Vec::new(), 0);
        let mut asking = vec![worker];
        while let Some(w) = asking.get(next).copied() {
            next += 1;
            for v in &self.chances[w as usize] {
                let v = *v as usize;
                if self.came_from[v].is_some() {
                    continue;
                }
                self.came_from[v] = Some(w);
                seen.push(v);
                if self.holders[v].len() < self.openings[v] {
                    self.shift(worker, v);
                    seen.into_iter().for_each(|v| self.came_from[v] = None);
                    return true;
                }
                asking.extend(&self.holders[v]);
            }
        }
        false
    }

    /// Moves everybody along the way to the free opening.
    fn shift(&mut self, first: u32, free: usize) {
        let mut to = free;
        while let Some(w) = self.came_from[to] {
            self.holders[to].push(w);
            if w == first {
                return;
            }
            let mut others = self.chances[w as usize].iter().map(|v| *v as usize);
            let held = |v: &usize| *v != to && self.holders[*v].contains(&w);
            let from = others.find(held).expect("only those ask again who hold something");
            self.holders[from].retain(|holder| *holder != w);
            to = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the most that can be placed is a maximum matching. Method: random small
    /// markets, compared with trying every set of placements.
    #[test]
    fn as_many_are_seated_as_can_be() {
        let mut draws = Draws::of(5);
        for _ in 0..500 {
            let openings: Vec<usize> = (0..4).map(|_| draws.below(3)).collect();
            let mut some = |_| (0..4).filter(|_| draws.below(3) == 0).collect();
            let chances: Vec<Vec<u32>> = (0..6).map(&mut some).collect();
            let mut search = Search {
                chances: &chances,
                holders: vec![Vec::new(); 4],
                openings: openings.clone(),
                came_from: vec![None; 4],
            };
            let seated = (0..6).filter(|w| search.seat(*w)).count();
            assert_eq!(seated, most(&chances, &openings), "{chances:?} {openings:?}");
            for (v, holders) in search.holders.iter().enumerate() {
                assert!(holders.len() <= openings[v]);
                assert!(holders.iter().all(|w| chances[*w as usize].contains(&(v as u32))));
            }
        }
    }

    fn most(chances: &[Vec<u32>], openings: &[usize]) -> usize {
        let Some((first, rest)) = chances.split_first() else { return 0 };
        let take = first.iter().filter(|v| openings[**v as usize] > 0).map(|v| {
            let mut left = openings.to_vec();
            left[*v as usize] -= 1;
            1 + most(rest, &left)
        });
        take.max().unwrap_or(0).max(most(rest, openings))
    }
}

//! The independent check that ends every round. It shares no index with the engine:
//! it takes the matching, computes the cutoffs by definition, and looks for a worker
//! who would rather have a vacancy whose cutoff she beats.
//!
//! The only order it relies on is its own: vacancies of a city by salary, so that it may
//! stop where no fit could make up for the salary, or one side would refuse.

use super::Problem;
use super::control::{Cancelled, Control, Phase};
use super::cutoff::{Cutoff, cutoffs_ranked};
use super::engine::Matching;
use super::key::{Bid, Key, Ranks, Worth};
use crate::domain::limits::FIT_MAX;
use crate::domain::{CityIx, Mobility, SkillIx, Vacancy, VacancyId, Worker};
use crate::preferences::{Levels, Terms, fit, meets_minima};
use std::collections::HashMap;
use std::fmt;

/// Blocking pairs that are named.
const NAMED_MAX: usize = 100;
/// Threads that look for blocking pairs; the result is the same for any number.
const THREADS: usize = 2;
/// Workers between two looks at the control.
const STRIDE: usize = 64;

/// What the check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// By vacancy number.
    pub cutoffs: Vec<Cutoff>,
    /// Pairs that were looked at.
    pub pairs_examined: u64,
    /// How many pairs block: the worker strictly prefers the vacancy, and beats its cutoff.
    pub blocking_pairs: u64,
    /// The first 100 of them: (worker number, vacancy number), ascending.
    pub blocking: Vec<(u32, u32)>,
    /// What the matching may not do at all.
    pub infeasible: Vec<Infeasible>,
}

impl Certificate {
    /// Whether the matching is stable.
    pub fn is_stable(&self) -> bool {
        self.blocking_pairs == 0 && self.infeasible.is_empty()
    }
}

/// A way in which a matching is not even possible. Workers, vacancies and sets by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Infeasible {
    /// The matching is not about these workers, or names a vacancy that does not exist.
    Malformed,
    /// The worker would not take the vacancy.
    WorkerRefuses(u32, u32),
    /// The vacancy would not take the worker.
    VacancyRefuses(u32, u32),
    /// The vacancy holds more matches than it has openings.
    OverOpenings(u32),
    /// The set holds more matches than its capacity.
    OverCap(u32),
}

impl fmt::Display for Infeasible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "the matching does not fit the problem"),
            Self::WorkerRefuses(w, v) => write!(f, "worker {w} would not take vacancy {v}"),
            Self::VacancyRefuses(w, v) => write!(f, "vacancy {v} would not take worker {w}"),
            Self::OverOpenings(v) => write!(f, "vacancy {v} is over its openings"),
            Self::OverCap(set) => write!(f, "capped set {set} is over its capacity"),
        }
    }
}

/// Checks a matching: acceptable to both sides, within every capacity, and each worker
/// in her favourite among the vacancies whose cutoff she beats or where none stands.
///
/// # Errors
/// [`Cancelled`] when `control` says so.
pub fn certify(
    problem: &Problem,
    matching: &Matching,
    control: &Control,
) -> Result<Certificate, Cancelled> {
    certify_with_threads(problem, matching, control, THREADS)
}

/// [`certify`] on that many threads (0 counts as 1); the certificate is the same for any number.
///
/// # Errors
/// [`Cancelled`] when `control` says so.
pub fn certify_with_threads(
    problem: &Problem,
    matching: &Matching,
    control: &Control,
    threads: usize,
) -> Result<Certificate, Cancelled> {
    control.begin(Phase::Certifying, problem.workers.len())?;
    if is_malformed(problem, matching) {
        return Ok(Certificate {
            cutoffs: Vec::new(),
            pairs_examined: 0,
            blocking_pairs: 0,
            blocking: Vec::new(),
            infeasible: vec![Infeasible::Malformed],
        });
    }
    let audit = Audit::of(problem, matching);
    let found = audit.run(control, threads)?;
    Ok(Certificate {
        cutoffs: audit.cutoffs,
        pairs_examined: found.examined,
        blocking_pairs: found.count,
        blocking: found.named,
        infeasible: infeasibilities(problem, matching),
    })
}

fn is_malformed(problem: &Problem, matching: &Matching) -> bool {
    matching.vacancy_of.len() != problem.workers.len()
        || matching.pairs().any(|(_, v)| v as usize >= problem.vacancies.len())
}

fn infeasibilities(problem: &Problem, matching: &Matching) -> Vec<Infeasible> {
    let mut found = Vec::new();
    let mut held_at = vec![0_u64; problem.vacancies.len()];
    let mut held_in = vec![0_u64; problem.sets.len()];
    for (w, v) in matching.pairs() {
        let pair = problem.pair(w as usize, v as usize);
        if !pair.worker_accepts {
            found.push(Infeasible::WorkerRefuses(w, v));
        }
        if !pair.vacancy_accepts {
            found.push(Infeasible::VacancyRefuses(w, v));
        }
        held_at[v as usize] += 1;
        problem.sets_around(v as usize).for_each(|set| held_in[set] += 1);
    }
    for (v, post) in problem.vacancies.iter().enumerate() {
        if held_at[v] > u64::from(post.openings) {
            found.push(Infeasible::OverOpenings(v as u32));
        }
    }
    for (set, cap) in problem.sets.iter().enumerate() {
        if held_in[set] > cap.capacity {
            found.push(Infeasible::OverCap(set as u32));
        }
    }
    found
}

/// A vacancy as the check reads it.
struct Row<'p> {
    vacancy: &'p Vacancy,
    number: u32,
    rank: u32,
    salary: i64,
    real: i64,
    min_fit: u32,
    bar: Bid,
    /// The first mandatory minimum, beside the rest so that most refusals read no further.
    gate: (SkillIx, u8),
}

/// What all threads read.
struct Audit<'p> {
    problem: &'p Problem,
    matching: &'p Matching,
    ranks: Ranks,
    cutoffs: Vec<Cutoff>,
    /// By city: vacancies with computed scores, best paid first.
    cities: Vec<Vec<Row<'p>>>,
    /// By worker: ranked vacancies that name her, with her position.
    naming: HashMap<u32, Vec<(u32, u32)>>,
    numbers: HashMap<VacancyId, u32>,
    bars: Vec<Bid>,
    skills: usize,
}

/// What one thread found among its workers.
#[derive(Default)]
struct Found {
    examined: u64,
    count: u64,
    named: Vec<(u32, u32)>,
}

/// A worker's levels, spread by skill.
struct Spread(Vec<u8>);

impl Levels for Spread {
    fn level(&self, skill: SkillIx) -> u8 {
        self.0[skill.at()]
    }
}

impl<'p> Audit<'p> {
    fn of(problem: &'p Problem, matching: &'p Matching) -> Self {
        let ranks = Ranks::of(problem);
        let cutoffs = cutoffs_ranked(problem, matching, &ranks);
        let bars: Vec<Bid> = cutoffs.iter().map(|cutoff| cutoff.bar(&ranks)).collect();
        let requirements = problem.vacancies.iter().flat_map(|post| &post.vacancy.requirements);
        let skills = requirements.map(|requirement| requirement.skill.at() + 1).max().unwrap_or(0);
        let cities = rows_by_city(problem, &ranks, &bars);
        let (naming, numbers) = (naming(problem), numbers(problem));
        Self { problem, matching, ranks, cutoffs, cities, naming, numbers, bars, skills }
    }

    fn run(&self, control: &Control, threads: usize) -> Result<Found, Cancelled> {
        let workers = self.problem.workers.len();
        let share = workers.div_ceil(threads.max(1)).max(1);
        let parts: Vec<Result<Found, Cancelled>> = std::thread::scope(|scope| {
            let starts = (0..workers).step_by(share);
            let handles: Vec<_> = starts
                .map(|start| start..workers.min(start + share))
                .map(|range| scope.spawn(move || self.audit(range, control)))
                .collect();
            handles.into_iter().map(|handle| handle.join().expect("the check panicked")).collect()
        });
        let mut all = Found::default();
        for part in parts {
            let part = part?;
            all.examined += part.examined;
            all.count += part.count;
            all.named.extend(part.named);
        }
        all.named.truncate(NAMED_MAX);
        Ok(all)
    }

    fn audit(
        &self,
        workers: std::ops::Range<usize>,
        control: &Control,
    ) -> Result<Found, Cancelled> {
        let mut found = Found::default();
        let mut levels = Spread(vec![0; self.skills]);
        for w in workers {
            self.audit_worker(w as u32, &mut levels, &mut found);
            if w % STRIDE == 0 {
                control.advance(STRIDE as u64)?;
            }
        }
        Ok(found)
    }

    fn audit_worker(&self, w: u32, levels: &mut Spread, found: &mut Found) {
        let worker = &*self.problem.workers[w as usize].worker;
        spread(worker, levels, |level| level);
        let mut blocking = Vec::new();
        let case = Case { audit: self, worker, w, held: self.worth_held(w), levels };
        if worker.ranking.is_some() {
            found.examined += case.walk_ranking(&mut blocking);
        } else {
            found.examined += case.look_around(&mut blocking);
        }
        spread(worker, levels, |_| 0);
        blocking.sort_unstable();
        found.count += blocking.len() as u64;
        let free = NAMED_MAX - found.named.len().min(NAMED_MAX);
        found.named.extend(blocking.into_iter().take(free).map(|v| (w, v)));
    }

    /// What the worker holds is worth to her.
    fn worth_held(&self, w: u32) -> Worth {
        match self.matching.vacancy_of[w as usize] {
            None => Worth::NOTHING,
            Some(v) => {
                let value = self.problem.pair(w as usize, v as usize).value;
                Worth::new(value, self.ranks.vacancy[v as usize])
            }
        }
    }
}

/// One worker under examination.
struct Case<'a, 'p> {
    audit: &'a Audit<'p>,
    worker: &'p Worker,
    w: u32,
    held: Worth,
    levels: &'a Spread,
}

impl<'p> Case<'_, 'p> {
    /// Explicit ranking: everything above what she holds, by the full formulas.
    fn walk_ranking(&self, blocking: &mut Vec<u32>) -> u64 {
        let mut examined = 0;
        for (position, id) in self.worker.ranking.iter().flatten().enumerate() {
            let Some(v) = self.audit.numbers.get(id).copied() else { continue };
            let rank = self.audit.ranks.vacancy[v as usize];
            if Worth::new(-(position as i64), rank) <= self.held {
                break;
            }
            examined += 1;
            let pair = self.audit.problem.pair(self.w as usize, v as usize);
            if pair.is_acceptable() && self.beats(v, pair.score) {
                blocking.push(v);
            }
        }
        examined
    }

    /// Computed preferences: every city where she would live.
    fn look_around(&self, blocking: &mut Vec<u32>) -> u64 {
        let mut examined = 0;
        for (v, _) in self.audit.naming.get(&self.w).into_iter().flatten() {
            examined += 1;
            let pair = self.audit.problem.pair(self.w as usize, *v as usize);
            let worth = Worth::new(pair.value, self.audit.ranks.vacancy[*v as usize]);
            if pair.is_acceptable() && worth > self.held && self.beats(*v, pair.score) {
                blocking.push(*v);
            }
        }
        let home = self.worker.home;
        examined += self.look_in(home, blocking);
        match &self.worker.mobility {
            Mobility::HomeOnly => {}
            Mobility::Listed(cities) => {
                for city in cities.iter().filter(|city| **city != home) {
                    examined += self.look_in(*city, blocking);
                }
            }
            Mobility::Any => {
                let cities = (0..self.audit.cities.len()).map(CityIx::from_offset);
                for city in cities.filter(|city| *city != home) {
                    examined += self.look_in(city, blocking);
                }
            }
        }
        examined
    }

    /// The vacancies of one city that could be worth more than what she holds.
    fn look_in(&self, city: CityIx, blocking: &mut Vec<u32>) -> u64 {
        let rows = &self.audit.cities[city.at()];
        if rows.is_empty() {
            return 0;
        }
        let terms = self.audit.problem.terms();
        let annual = terms.annual_move(self.worker, city);
        let home = self.worker.home;
        let floor = terms.equivalent_salary(self.worker.reservation_salary, home, city, annual);
        let asking = terms.equivalent_salary(self.worker.expected_salary, home, city, annual);
        let most = terms.fit_worth(FIT_MAX) - annual;
        let largest_shortfall = i64::from(terms.settings.max_shortfall_bp);
        // All three bounds fall with the salary.
        let possible = rows.partition_point(|row| {
            row.real + most >= self.held.value
                && row.salary >= floor
                && Terms::shortfall_bp(asking, row.salary) <= largest_shortfall
        });
        let best = terms.score(FIT_MAX, 0, city == home);
        let best = Key::new(best, self.audit.ranks.worker[self.w as usize]);
        for row in &rows[..possible] {
            let (skill, minimum) = row.gate;
            let refused = minimum > 0 && self.levels.level(skill) < minimum;
            if !refused && best >= row.bar.key && self.blocks(&terms, row, annual, asking) {
                blocking.push(row.number);
            }
        }
        possible as u64
    }

    /// Whether she strictly prefers the vacancy, is acceptable to it, and beats its cutoff.
    fn blocks(&self, terms: &Terms, row: &Row, annual: i64, asking: i64) -> bool {
        let vacancy = row.vacancy;
        if row.bar == Bid::CLOSED || !meets_minima(self.levels, &vacancy.requirements) {
            return false;
        }
        let fit = fit(self.levels, &vacancy.requirements);
        let value = row.real - annual + terms.fit_worth(fit);
        if fit < row.min_fit || Worth::new(value, row.rank) <= self.held {
            return false;
        }
        let shortfall = Terms::shortfall_bp(asking, row.salary);
        let score = terms.score(fit, shortfall, self.worker.home == vacancy.city);
        let seeker = &self.audit.problem.workers[self.w as usize];
        self.beats(row.number, score)
            && !seeker.has_declined(self.audit.problem.vacancies[row.number as usize].slot)
    }

    fn beats(&self, v: u32, score: i64) -> bool {
        let key = Key::new(score, self.audit.ranks.worker[self.w as usize]);
        Bid::new(key, self.audit.ranks.vacancy[v as usize]) > self.audit.bars[v as usize]
    }
}

fn spread(worker: &Worker, levels: &mut Spread, level: impl Fn(u8) -> u8) {
    for entry in &worker.skills {
        if let Some(slot) = levels.0.get_mut(entry.skill.at()) {
            *slot = level(entry.level);
        }
    }
}

fn rows_by_city<'p>(problem: &'p Problem, ranks: &Ranks, bars: &[Bid]) -> Vec<Vec<Row<'p>>> {
    let terms = problem.terms();
    let mut cities: Vec<Vec<Row>> = problem.geography.cities.iter().map(|_| Vec::new()).collect();
    for (v, post) in problem.vacancies.iter().enumerate() {
        if post.vacancy.ranking.is_none() {
            cities[post.vacancy.city.at()].push(Row {
                vacancy: &post.vacancy,
                number: v as u32,
                rank: ranks.vacancy[v],
                salary: post.vacancy.salary,
                real: terms.real_salary(post.vacancy.salary, post.vacancy.city),
                gate: first_gate(&post.vacancy),
                min_fit: terms.min_fit(&post.vacancy),
                bar: bars[v],
            });
        }
    }
    for rows in &mut cities {
        rows.sort_by_key(|row| std::cmp::Reverse(row.salary));
    }
    cities
}

/// A mandatory minimum of the vacancy; one that everyone meets if it has none.
fn first_gate(vacancy: &Vacancy) -> (SkillIx, u8) {
    let minima = vacancy.requirements.iter();
    let mut minima = minima.filter_map(|r| r.minimum_level.map(|minimum| (r.skill, minimum)));
    minima.next().unwrap_or((SkillIx(0), 0))
}

fn naming(problem: &Problem) -> HashMap<u32, Vec<(u32, u32)>> {
    let mut naming: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
    if problem.vacancies.iter().all(|post| post.vacancy.ranking.is_none()) {
        return naming;
    }
    let ids = problem.workers.iter().enumerate().map(|(w, seeker)| (seeker.worker.id, w as u32));
    let numbers: HashMap<_, _> = ids.collect();
    for (v, post) in problem.vacancies.iter().enumerate() {
        for (position, id) in post.vacancy.ranking.iter().flatten().enumerate() {
            if let Some(w) = numbers.get(id) {
                naming.entry(*w).or_default().push((v as u32, position as u32));
            }
        }
    }
    naming
}

fn numbers(problem: &Problem) -> HashMap<VacancyId, u32> {
    if problem.workers.iter().all(|seeker| seeker.worker.ranking.is_none()) {
        return HashMap::new();
    }
    let posts = problem.vacancies.iter().enumerate();
    posts.map(|(v, post)| (post.vacancy.id, v as u32)).collect()
}

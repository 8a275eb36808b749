//! Blocking pairs by looking: every vacancy that a worker could rather have, by the
//! formulas, without the engine's index. What it costs is what makes it the certificate's
//! second opinion and not its first.
//!
//! The only order it relies on is its own: vacancies of a city by salary, so that it may
//! stop where no fit could make up for the salary, or one side would refuse.

use super::Problem;
use super::key::{Bid, Key, Ranks, Worth};
use super::outcome::Matching;
use crate::domain::limits::FIT_MAX;
use crate::domain::{CityIx, Mobility, Requirement, SkillIx, VacancyId, Worker};
use crate::mutants;
use crate::preferences::{Levels, Terms, fit, meets_minima};
use std::collections::HashMap;

/// Blocking pairs that are named.
pub(super) const NAMED_MAX: usize = 100;

/// A vacancy as the check reads it.
struct Row<'p> {
    requirements: &'p [Requirement],
    number: u32,
    rank: u32,
    salary: i64,
    real: i64,
    bar: Bid,
    min_fit: u32,
}

/// What refuses most workers, apart from the rest so that most refusals read little.
struct Gate {
    /// The least key that fails.
    bar: Key,
    /// Two mandatory minima; what is not there refuses nobody.
    skills: [SkillIx; 2],
    minima: [u8; 2],
}

impl Gate {
    fn of(requirements: &[Requirement], bar: Key) -> Self {
        let mut gate = Self { bar, skills: [SkillIx(0); 2], minima: [0; 2] };
        let mandatory = requirements.iter().filter_map(|r| Some((r.skill, r.minimum_level?)));
        for (at, (skill, minimum)) in mandatory.take(2).enumerate() {
            let strict = u8::from(mutants::active("gate-too-strict"));
            (gate.skills[at], gate.minima[at]) = (skill, minimum + strict);
        }
        gate
    }

    /// Whether nobody of these levels, and with that key at best, gets in.
    #[inline]
    fn refuses(&self, levels: &Spread, best: Key) -> bool {
        let [first, second] = [0, 1].map(|at| levels.level(self.skills[at]) < self.minima[at]);
        first | second | (best < self.bar)
    }
}

/// The vacancies with computed scores of one city, best paid first.
#[derive(Default)]
struct Street<'p> {
    rows: Vec<Row<'p>>,
    gates: Vec<Gate>,
}

/// See the module.
pub(super) struct Audit<'p> {
    problem: &'p Problem,
    matching: &'p Matching,
    ranks: &'p Ranks,
    /// By city.
    streets: Vec<Street<'p>>,
    /// By worker: ranked vacancies that name her, with her position.
    naming: HashMap<u32, Vec<(u32, u32)>>,
    numbers: HashMap<VacancyId, u32>,
    bars: &'p [Bid],
    skills: usize,
}

/// What was found among some workers.
#[derive(Default)]
pub(super) struct Found {
    /// Pairs that were looked at.
    pub examined: u64,
    /// Pairs that block.
    pub count: u64,
    /// The first of them.
    pub named: Vec<(u32, u32)>,
}

/// A worker's levels, spread by skill.
pub(super) struct Spread(Vec<u8>);

impl Levels for Spread {
    fn level(&self, skill: SkillIx) -> u8 {
        self.0[skill.at()]
    }
}

impl<'p> Audit<'p> {
    /// `bars` are the least bids that fail, by vacancy number.
    pub fn of(
        problem: &'p Problem,
        matching: &'p Matching,
        ranks: &'p Ranks,
        bars: &'p [Bid],
    ) -> Self {
        let requirements = problem.vacancies.iter().flat_map(|post| &post.vacancy.requirements);
        let skills = requirements.map(|requirement| requirement.skill.at() + 1).max().unwrap_or(0);
        let streets = streets(problem, ranks, bars);
        let (naming, numbers) = (naming(problem), numbers(problem));
        Self { problem, matching, ranks, streets, naming, numbers, bars, skills }
    }

    /// The workers in the order drawn.
    pub fn drawn(&self) -> &'p [u32] {
        self.ranks.workers_drawn()
    }

    /// Room for the levels of one worker.
    pub fn sheet(&self) -> Spread {
        Spread(vec![0; self.skills.max(1)])
    }

    /// Looks at every vacancy that worker `w` could rather have.
    pub fn look_at(&self, w: u32, levels: &mut Spread, found: &mut Found) {
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
                Worth::new(value, self.ranks.vacancy(v))
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
            let rank = self.audit.ranks.vacancy(v);
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
            let worth = Worth::new(pair.value, self.audit.ranks.vacancy(*v));
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
                let cities = (0..self.audit.streets.len()).map(CityIx::from_offset);
                for city in cities.filter(|city| *city != home) {
                    examined += self.look_in(city, blocking);
                }
            }
        }
        examined
    }

    /// The vacancies of one city that could be worth more than what she holds.
    fn look_in(&self, city: CityIx, blocking: &mut Vec<u32>) -> u64 {
        let Street { rows, gates } = &self.audit.streets[city.at()];
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
        let local = city == home;
        let best = Key::new(terms.score(FIT_MAX, 0, local), self.audit.ranks.worker(self.w));
        for (row, gate) in rows[..possible].iter().zip(gates) {
            let refused = gate.refuses(self.levels, best);
            if !refused && self.blocks(&terms, row, annual, asking, local) {
                blocking.push(row.number);
            }
        }
        possible as u64
    }

    /// Whether she strictly prefers the vacancy, is acceptable to it, and beats its cutoff.
    fn blocks(&self, terms: &Terms, row: &Row, annual: i64, asking: i64, local: bool) -> bool {
        if !meets_minima(self.levels, row.requirements) {
            return false;
        }
        let fit = fit(self.levels, row.requirements);
        let value = row.real - annual + terms.fit_worth(fit);
        if fit < row.min_fit || Worth::new(value, row.rank) <= self.held {
            return false;
        }
        let shortfall = Terms::shortfall_bp(asking, row.salary);
        let score = terms.score(fit, shortfall, local);
        let key = Key::new(score, self.audit.ranks.worker(self.w));
        let seeker = &self.audit.problem.workers[self.w as usize];
        Bid::new(key, row.rank) > row.bar
            && !seeker.has_declined(self.audit.problem.vacancies[row.number as usize].slot)
    }

    fn beats(&self, v: u32, score: i64) -> bool {
        let key = Key::new(score, self.audit.ranks.worker(self.w));
        Bid::new(key, self.audit.ranks.vacancy(v)) > self.audit.bars[v as usize]
    }
}

fn spread(worker: &Worker, levels: &mut Spread, level: impl Fn(u8) -> u8) {
    for entry in &worker.skills {
        if let Some(slot) = levels.0.get_mut(entry.skill.at()) {
            *slot = level(entry.level);
        }
    }
}

fn streets<'p>(problem: &'p Problem, ranks: &Ranks, bars: &[Bid]) -> Vec<Street<'p>> {
    let terms = problem.terms();
    let mut streets: Vec<Street> =
        problem.geography.cities.iter().map(|_| Street::default()).collect();
    for (v, post) in problem.vacancies.iter().enumerate() {
        if post.vacancy.ranking.is_none() {
            streets[post.vacancy.city.at()].rows.push(Row {
                requirements: &post.vacancy.requirements,
                number: v as u32,
                rank: ranks.vacancy(v as u32),
                salary: post.vacancy.salary,
                real: terms.real_salary(post.vacancy.salary, post.vacancy.city),
                bar: bars[v],
                min_fit: terms.min_fit(&post.vacancy),
            });
        }
    }
    for Street { rows, gates } in &mut streets {
        rows.sort_by_key(|row| std::cmp::Reverse(row.salary));
        gates.extend(rows.iter().map(|row| Gate::of(row.requirements, row.bar.key)));
    }
    streets
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

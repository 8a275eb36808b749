//! The continuous engine against its naive twin: small random markets, changed step by
//! step. After every step the matching must be stable by definition, in a market that
//! promises it the worker-optimal one, and what the engine said has changed must be
//! all that has. `GALE_SEED=n` replays one market, `GALE_MARKETS=n` says how many there are.

mod common;

use common::{Random, random, seeds};
use gale::domain::{CapOrder, Promise, Side, VacancySlot, Worker, WorkerSlot};
use gale::matching::live::{Change, Live};
use gale::matching::naive::Twin;
use gale::matching::{Control, Matching, Post, Problem, Seeker, clear};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps that each market takes.
const STEPS: usize = 24;

/// What a run has seen, printed so that a reader can judge it.
#[derive(Default, Debug)]
struct Seen {
    steps: u64,
    rotations: u64,
    steps_off_the_optimum: u64,
    displaced: u64,
    came: u64,
    changed: u64,
    left: u64,
    opened: u64,
    refitted: u64,
    closed: u64,
    declined: u64,
    placed: u64,
    resized: u64,
}

/// A market by slots, as the test keeps it.
struct Model {
    problem: Problem,
    held: BTreeMap<WorkerSlot, VacancySlot>,
    /// Who and what has left, to come back.
    workers_gone: Vec<Seeker>,
    vacancies_gone: Vec<Post>,
    next_worker: u64,
    next_vacancy: u64,
}

impl Model {
    fn of(problem: Problem, matching: &Matching) -> Self {
        let held = matching
            .pairs()
            .map(|(w, v)| (problem.workers[w as usize].slot, problem.vacancies[v as usize].slot));
        Self {
            held: held.collect(),
            next_worker: problem.workers.len() as u64,
            next_vacancy: problem.vacancies.len() as u64,
            workers_gone: Vec::new(),
            vacancies_gone: Vec::new(),
            problem,
        }
    }

    fn matching(&self) -> Matching {
        let number = |slot: &VacancySlot| {
            self.problem.vacancies.iter().position(|post| post.slot == *slot).unwrap() as u32
        };
        let held = |seeker: &Seeker| self.held.get(&seeker.slot).map(number);
        Matching { vacancy_of: self.problem.workers.iter().map(held).collect() }
    }

    /// Something happens.
    fn step(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        match random.below(10) {
            0 => self.worker_comes(random, seen),
            1 => self.worker_changes(random, seen),
            2 => self.worker_leaves(random, seen),
            3 => self.vacancy_opens(random, seen),
            4 | 5 => self.openings_change(random, seen),
            6 => self.vacancy_closes(random, seen),
            7 => self.decline(random, seen),
            8 => self.cap_changes(random, seen),
            _ => self.place(random, seen),
        }
    }

    fn worker_comes(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        seen.came += 1;
        let seeker = if !self.workers_gone.is_empty() && random.one_in(2) {
            self.workers_gone.swap_remove(random.below(self.workers_gone.len() as u64) as usize)
        } else {
            let cities = self.problem.geography.cities.len() as u64;
            let id = self.next_worker;
            self.next_worker += 1;
            let worker = random::some_worker(random, id, cities, self.next_vacancy + 2, 1);
            let slot = WorkerSlot::from_offset(id as usize);
            Seeker { worker: Arc::new(worker), slot, declined: None }
        };
        self.problem.workers.push(seeker.clone());
        Some(Change::Worker(seeker))
    }

    fn worker_changes(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        seen.changed += 1;
        let at = some(random, self.problem.workers.len())?;
        let cities = self.problem.geography.cities.len() as u64;
        let id = self.problem.workers[at].slot.at() as u64;
        let mut worker = random::some_worker(random, id, cities, self.next_vacancy, 1);
        let seeker = &mut self.problem.workers[at];
        if random.one_in(2) {
            worker.ranking = seeker.worker.ranking.clone();
        }
        if random.one_in(2) {
            // The same person asks for more or less.
            let salaries = (worker.reservation_salary, worker.expected_salary);
            worker = Worker::clone(&seeker.worker);
            (worker.reservation_salary, worker.expected_salary) = salaries;
        }
        seeker.worker = Arc::new(worker);
        Some(Change::Worker(seeker.clone()))
    }

    fn worker_leaves(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        seen.left += 1;
        let at = some(random, self.problem.workers.len())?;
        let seeker = self.problem.workers.remove(at);
        self.held.remove(&seeker.slot);
        let slot = seeker.slot;
        self.workers_gone.push(seeker);
        Some(Change::WorkerLeft(slot))
    }

    fn vacancy_opens(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        seen.opened += 1;
        let post = if !self.vacancies_gone.is_empty() && random.one_in(2) {
            self.vacancies_gone.swap_remove(random.below(self.vacancies_gone.len() as u64) as usize)
        } else {
            let cities = self.problem.geography.cities.len() as u64;
            let id = self.next_vacancy;
            self.next_vacancy += 1;
            let vacancy = random::some_vacancy(random, id, cities, self.next_worker + 2, 1);
            let (openings, target) = (vacancy.openings, vacancy.target);
            let slot = VacancySlot::from_offset(id as usize);
            Post { vacancy: Arc::new(vacancy), slot, openings, target }
        };
        self.problem.vacancies.push(post.clone());
        Some(Change::Vacancy(post))
    }

    fn openings_change(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        seen.refitted += 1;
        let at = some(random, self.problem.vacancies.len())?;
        let post = &mut self.problem.vacancies[at];
        if random.one_in(2) {
            post.openings += 1
        } else {
            post.openings = post.openings.max(1) - 1
        }
        Some(Change::Vacancy(post.clone()))
    }

    fn vacancy_closes(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        seen.closed += 1;
        let at = some(random, self.problem.vacancies.len())?;
        let post = self.problem.vacancies.remove(at);
        let slot = post.slot;
        self.held.retain(|_, vacancy| *vacancy != slot);
        self.vacancies_gone.push(post);
        Some(Change::VacancyLeft(slot))
    }

    fn cap_changes(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        let set = some(random, self.problem.sets.len())?;
        seen.resized += 1;
        let capacity = &mut self.problem.sets[set].capacity;
        *capacity = if random.one_in(2) { *capacity + 1 } else { random.below(4) };
        Some(Change::Capacity(set as u32, *capacity))
    }

    fn decline(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        let at = some(random, self.problem.workers.len())?;
        let seeker = &mut self.problem.workers[at];
        let vacancy = self.held.remove(&seeker.slot)?;
        seen.declined += 1;
        let mut declined = seeker.declined.as_deref().cloned().unwrap_or_default();
        declined.push(vacancy);
        declined.sort_unstable();
        declined.dedup();
        seeker.declined = Some(declined.into());
        Some(Change::Worker(seeker.clone()))
    }

    fn place(&mut self, random: &mut Random, seen: &mut Seen) -> Option<Change> {
        let at = some(random, self.problem.workers.len())?;
        let vacancy = self.held.remove(&self.problem.workers[at].slot)?;
        seen.placed += 1;
        let seeker = self.problem.workers.remove(at);
        let at = self.problem.vacancies.iter().position(|post| post.slot == vacancy).unwrap();
        self.problem.vacancies[at].openings -= 1;
        for set in self.problem.sets_around(at).collect::<Vec<_>>() {
            self.problem.sets[set].capacity -= 1;
        }
        Some(Change::Placed(seeker.slot))
    }
}

fn some(random: &mut Random, count: usize) -> Option<usize> {
    (count > 0).then(|| random.below(count as u64) as usize)
}

/// The market of a seed, with caps or without.
fn market(seed: u64, capped: bool) -> Problem {
    let (mut problem, _) = random::market(seed);
    if !capped {
        problem.sets.clear();
        problem.set_of_city.iter_mut().for_each(|set| *set = None);
    }
    Arc::make_mut(&mut problem.settings).cap_order = CapOrder::Score;
    problem
}

/// Takes a market through its steps.
fn walk(seed: u64, problem: Problem, promise: Promise, seen: &mut Seen) {
    let matching = clear(&problem, Side::Worker, &Control::default()).unwrap().matching;
    let mut live = Live::of(problem.clone(), &matching, promise);
    let mut random = Random(seed ^ 0x11FE);
    if random.one_in(3) {
        live.warm(2);
    }
    let mut model = Model::of(problem, &matching);
    for step in 0..STEPS {
        let Some(change) = model.step(&mut random, seen) else { continue };
        seen.steps += 1;
        let what = format!("{promise:?}, step {step}, {change:?}: GALE_SEED={seed}");
        let settled = live.apply([change]);
        if random.one_in(8) {
            live.lay_out_anew();
        }
        seen.rotations += settled.rotations;
        for (slot, held) in settled.held {
            let old = model.held.remove(&slot);
            seen.displaced += u64::from(old.is_some() && old != held);
            model.held.extend(held.map(|vacancy| (slot, vacancy)));
        }
        let (matching, twin) = (model.matching(), Twin::of(&model.problem));
        assert!(twin.is_stable(&matching), "not stable: {what}");
        let optimal = twin.worker_proposing();
        match promise {
            Promise::WorkerOptimal => assert_eq!(matching, optimal, "not optimal: {what}"),
            Promise::Stable => seen.steps_off_the_optimum += u64::from(matching != optimal),
        }
    }
}

/// Goal: what is promised holds after every step, whatever happens.
#[test]
fn promises_hold_after_every_step() {
    let mut seen = Seen::default();
    for seed in seeds(1_600) {
        walk(seed, market(seed, false), Promise::Stable, &mut seen);
        walk(seed, market(seed, false), Promise::WorkerOptimal, &mut seen);
    }
    println!("{seen:#?}");
    assert!(std::env::var("GALE_SEED").is_ok() || seen.rotations > 0, "no rotation was seen");
}

/// Goal: the same inside forests of caps, where the market is promised to be stable.
#[test]
fn capped_markets_are_stable_after_every_step() {
    let mut seen = Seen::default();
    for seed in seeds(6_000) {
        let problem = market(seed, true);
        if !problem.sets.is_empty() {
            walk(seed, problem, Promise::Stable, &mut seen);
        }
    }
    println!("{seen:#?}");
    assert!(std::env::var("GALE_SEED").is_ok() || seen.resized > 0, "no cap has changed");
}

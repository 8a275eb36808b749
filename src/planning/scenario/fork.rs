//! A fork of a market at a revision: people and jobs of its own, places and settings as a
//! policy has them. Records are shared with the market until the fork changes one.

use super::Parameters;
use super::feedback;
use super::plan::Plan;
use crate::domain::limits::{MONEY_MAX, SKILL_LEVEL_MAX};
use crate::domain::{CityIx, Geography, Mobility, Vacancy, VacancySlot, Worker, WorkerSlot};
use crate::matching::{Post, Problem, Seeker};
use crate::preferences::Lottery;
use crate::state::{CityCounts, Column, VacancyStatus, View, WorkerStatus};
use std::collections::HashMap;
use std::sync::Arc;

/// The label by which vacancies are grouped, and how much of its value tells groups apart.
pub const GROUP_LABEL: &str = "occupation";
/// See [`GROUP_LABEL`].
pub const GROUP_BYTES: usize = 2;

/// A worker in the fork.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub worker: Arc<Worker>,
    slot: WorkerSlot,
    declined: Option<Arc<Vec<VacancySlot>>>,
    /// The number of the job that she has.
    pub job: Option<u32>,
    /// What she has learned since she last sought, in thousandths of a level.
    pub learned: i32,
}

/// A vacancy in the fork, with the seats that people have taken. It stands for all openings
/// of its sort: those that are posted later are posted as more of the same.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The vacancy as it is posted in this period.
    pub vacancy: Arc<Vacancy>,
    slot: VacancySlot,
    /// What it paid at the start, under the policy.
    base_salary: i64,
    /// Free openings.
    pub free: u32,
    /// Free openings at the start, under the policy.
    pub wanted: u32,
    /// Its city and group.
    pub cell: u32,
    /// Whether a seat that is left is posted again.
    pub reposts: bool,
}

/// A group of vacancies in one city.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    pub city: u16,
    pub group: u16,
    /// Openings free at the start, under the policy.
    pub wanted: u64,
    /// Openings free now.
    pub free: u64,
    /// Jobs now, free and taken.
    pub jobs: u64,
    /// The same at the start.
    jobs_then: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Fork {
    pub(super) people: Vec<Person>,
    pub(super) jobs: Vec<Job>,
    pub(super) cells: Vec<Cell>,
    /// Residents by city, now and at the start.
    pub(super) residents: Vec<i64>,
    pub(super) reference: Vec<i64>,
    /// By city: productivity now, over that at the start.
    pub(super) productivity: Vec<f64>,
    /// Settings, places and what caps have left; its pools are empty.
    pub(super) frame: View,
    base_costs: Vec<i64>,
    groups: usize,
    pub(super) plan: Arc<Plan>,
    pub(super) parameters: Parameters,
    pub(super) seed: u64,
    /// Number of the period that comes next.
    pub(super) period: u32,
}

impl Fork {
    /// The fork of a market under a plan. Its lottery is drawn from the seed: the market's
    /// own may be secret still.
    pub fn new(view: &View, plan: &Arc<Plan>, parameters: &Parameters, seed: u64) -> Self {
        let geography = &plan.geography;
        let mut fork = Self {
            people: Vec::new(),
            jobs: Vec::new(),
            cells: Vec::new(),
            residents: geography.cities.iter().map(|city| city.population).collect(),
            reference: Vec::new(),
            productivity: vec![1.0; geography.cities.len()],
            frame: frame(view, plan),
            base_costs: geography.cities.iter().map(|city| city.cost_of_living).collect(),
            groups: 0,
            plan: plan.clone(),
            parameters: parameters.clone(),
            seed,
            period: 1,
        };
        fork.frame.head.lottery = Lottery { seed };
        let number_of = fork.take_jobs(view);
        fork.take_people(view, &number_of);
        fork.count_residents();
        // Room holds from the start.
        fork.crowd();
        fork
    }

    /// Takes in the vacancies and the clusters; the number of each vacancy's job.
    fn take_jobs(&mut self, view: &View) -> Vec<Option<u32>> {
        let mut cells = Cells::default();
        let mut number_of = vec![None; view.vacancies.len()];
        for (at, row) in view.vacancies.iter().enumerate() {
            let open = row.status == VacancyStatus::Open;
            if !open && row.placed == 0 {
                continue;
            }
            number_of[at] = Some(self.jobs.len() as u32);
            let free = if open { row.free() } else { 0 };
            let reposts = open || row.status == VacancyStatus::Filled;
            let slot = VacancySlot::from_offset(at);
            self.take_job(row.vacancy.clone(), slot, free, reposts, &mut cells);
        }
        let plan = self.plan.clone();
        for (at, vacancy) in (view.vacancies.len()..).zip(&plan.clusters) {
            let (openings, slot) = (vacancy.openings, VacancySlot::from_offset(at));
            self.take_job(Arc::new(vacancy.clone()), slot, openings, true, &mut cells);
        }
        self.groups = cells.groups.len();
        self.cells = cells.cells;
        number_of
    }

    fn take_job(
        &mut self,
        vacancy: Arc<Vacancy>,
        slot: VacancySlot,
        free: u32,
        reposts: bool,
        cells: &mut Cells,
    ) {
        let base_salary = self.plan.salary(&vacancy);
        let wanted = self.plan.wanted(&vacancy, free);
        let cell = cells.of(&vacancy);
        let entry = &mut cells.cells[cell as usize];
        entry.wanted += u64::from(wanted);
        entry.free += u64::from(wanted);
        entry.jobs += u64::from(wanted);
        let vacancy = paying(vacancy, base_salary);
        let free = wanted;
        self.jobs.push(Job { vacancy, slot, base_salary, free, wanted, cell, reposts });
    }

    /// Takes in who seeks and who is placed.
    fn take_people(&mut self, view: &View, number_of: &[Option<u32>]) {
        for (at, row) in view.workers.iter().enumerate() {
            let placed = row.status == WorkerStatus::Placed;
            let job = row.held.filter(|_| placed).and_then(|held| number_of[held.vacancy.at()]);
            if !row.status.in_pool() && job.is_none() {
                continue;
            }
            let mut person = Person {
                worker: row.worker.clone(),
                slot: WorkerSlot::from_offset(at),
                declined: row.declined.clone(),
                job,
                learned: 0,
            };
            if let Some(job) = job {
                let job = &self.jobs[job as usize];
                self.cells[job.cell as usize].jobs += 1;
                let city = job.vacancy.city;
                person.live_in(city, &self.plan.geography);
            }
            self.people.push(person);
        }
        self.cells.iter_mut().for_each(|cell| cell.jobs_then = cell.jobs);
    }

    /// Residents at the start: a city has at least those whom its workers stand for.
    fn count_residents(&mut self) {
        let each = self.parameters.residents_per_worker as i64;
        let mut at_least = vec![0; self.residents.len()];
        self.people.iter().for_each(|person| at_least[person.worker.home.at()] += each);
        self.residents.iter_mut().zip(at_least).for_each(|(has, least)| *has = (*has).max(least));
        self.reference = self.residents.clone();
    }

    /// What a clearing of the fork works on now. Its workers are those whose numbers stand
    /// beside it, its vacancies all jobs.
    pub(super) fn problem_with_seekers(&self) -> (Problem, Vec<u32>) {
        let seekers: Vec<u32> =
            (0..).zip(&self.people).filter(|(_, p)| p.job.is_none()).map(|(n, _)| n).collect();
        let workers = seekers.iter().map(|number| {
            let person = &self.people[*number as usize];
            let Person { worker, slot, declined, .. } = person;
            Seeker { worker: worker.clone(), slot: *slot, declined: declined.clone() }
        });
        let vacancies = self.jobs.iter().map(|job| Post {
            vacancy: job.vacancy.clone(),
            slot: job.slot,
            openings: job.free,
            target: self.plan.target(&job.vacancy, job.free),
        });
        let (sets, set_of_city) = self.frame.cap_sets();
        let problem = Problem {
            settings: self.frame.head.settings.clone(),
            geography: self.frame.head.geography.clone(),
            lottery: self.frame.head.lottery,
            workers: workers.collect(),
            vacancies: vacancies.collect(),
            sets,
            set_of_city,
        };
        (problem, seekers)
    }

    /// What the next clearing of the fork works on.
    pub fn problem(&self) -> Problem {
        self.problem_with_seekers().0
    }

    /// The places as they are now.
    pub(super) fn geography(&self) -> &Geography {
        &self.frame.head.geography
    }

    /// By city: its size over that at the start.
    pub(super) fn growth(&self) -> Vec<f64> {
        let cities = self.residents.iter().zip(&self.reference);
        cities.map(|(now, then)| feedback::growth(*now, *then)).collect()
    }

    /// Line 1: productivity.
    pub(super) fn agglomerate(&mut self) {
        let growth = self.growth();
        let spilled = self.spilled(&growth);
        let cities = growth.iter().zip(&spilled);
        self.productivity = cities
            .map(|(growth, spilled)| feedback::productivity(&self.parameters, *growth, *spilled))
            .collect();
    }

    /// What the growth of the others adds to each city.
    fn spilled(&self, growth: &[f64]) -> Vec<f64> {
        let count = growth.len();
        if self.parameters.spillover == 0.0 {
            return vec![0.0; count];
        }
        let logs: Vec<f64> = growth.iter().map(|growth| libm::log(*growth)).collect();
        let cities = || (0..count).map(CityIx::from_offset);
        let geography = self.geography();
        let spilled = |to: CityIx| {
            let others = cities().filter(|from| *from != to);
            let shares = others.map(|from| {
                feedback::spillover(&self.parameters, geography.km(from, to)) * logs[from.at()]
            });
            shares.sum()
        };
        cities().map(spilled).collect()
    }

    /// By cell: productivity with what the group's share adds.
    pub(super) fn cell_productivity(&self) -> Vec<f64> {
        let mut all = vec![(0_u64, 0_u64); self.groups];
        for cell in &self.cells {
            let (now, then) = &mut all[usize::from(cell.group)];
            *now += cell.jobs;
            *then += cell.jobs_then;
        }
        let of = |cell: &Cell| {
            let (now, then) = all[usize::from(cell.group)];
            let (now, then) = ((cell.jobs, now), (cell.jobs_then, then));
            self.productivity[usize::from(cell.city)]
                * feedback::localisation(&self.parameters, now, then)
        };
        self.cells.iter().map(of).collect()
    }

    /// Line 2: what is posted pays what it brings.
    pub(super) fn pay(&mut self, productivity: &[f64]) {
        for job in &mut self.jobs {
            let salary = feedback::salary(job.base_salary, productivity[job.cell as usize]);
            if salary != job.vacancy.salary {
                job.vacancy = paying(job.vacancy.clone(), salary);
            }
        }
    }

    /// Line 3: the cost of living.
    pub(super) fn crowd(&mut self) {
        let growth = self.growth();
        let mut geography = Geography::clone(self.geography());
        let mut changed = false;
        for (at, city) in geography.cities.iter_mut().enumerate() {
            let (base, room) = (self.base_costs[at], self.plan.housing[at]);
            let cost = feedback::cost_of_living(&self.parameters, base, growth[at], room);
            changed |= cost != city.cost_of_living;
            city.cost_of_living = cost;
        }
        if changed {
            self.frame.head.geography = Arc::new(geography);
        }
    }
}

impl Person {
    /// Moves the person. What she expects keeps what it buys.
    pub fn live_in(&mut self, city: CityIx, geography: &Geography) {
        let home = self.worker.home;
        if home == city {
            return;
        }
        let prices = |ix| i128::from(geography.city(ix).cost_of_living);
        let worth = |salary: i64| {
            let there = i128::from(salary) * prices(city) / prices(home);
            there.clamp(1, i128::from(MONEY_MAX)) as i64
        };
        let mut worker = Worker::clone(&self.worker);
        worker.expected_salary = worth(worker.expected_salary);
        worker.reservation_salary = worth(worker.reservation_salary);
        worker.home = city;
        if let Mobility::Listed(cities) = &mut worker.mobility {
            // Where she comes from stays among the places where she would live.
            if let Err(at) = cities.binary_search(&home) {
                let mut more = cities.to_vec();
                more.insert(at, home);
                *cities = more.into();
            }
        }
        self.worker = Arc::new(worker);
    }

    /// Brings what she has learned to the market.
    pub fn bring_skills(&mut self) {
        let levels = self.learned / 1_000;
        if levels > 0 {
            let mut worker = Worker::clone(&self.worker);
            for entry in &mut worker.skills {
                let level = (i32::from(entry.level) + levels).min(i32::from(SKILL_LEVEL_MAX));
                entry.level = level as u8;
            }
            self.worker = Arc::new(worker);
            self.learned %= 1_000;
        }
    }
}

/// The vacancy with that salary; itself if it is its own.
fn paying(vacancy: Arc<Vacancy>, salary: i64) -> Arc<Vacancy> {
    if vacancy.salary == salary {
        return vacancy;
    }
    Arc::new(Vacancy { salary, ..Vacancy::clone(&vacancy) })
}

/// A view with the plan's settings and places and empty pools, whose caps count the
/// placements that the market's caps have counted so far. A cap that the plan has set
/// starts anew.
fn frame(view: &View, plan: &Plan) -> View {
    let mut head = view.head.clone();
    head.settings = plan.settings.clone();
    head.geography = plan.geography.clone();
    let mut counts = Column::default();
    for (row, set) in view.counts.iter().zip(&plan.caps_set.0) {
        let intake = if *set { 0 } else { row.intake };
        counts.push(CityCounts { intake, ..CityCounts::default() });
    }
    let regions = head.region_intake.iter().zip(&plan.caps_set.1);
    head.region_intake =
        Arc::new(regions.map(|(taken, set)| if *set { 0 } else { *taken }).collect());
    View { head, workers: Column::default(), vacancies: Column::default(), counts }
}

/// Cells by city and group, as vacancies come in.
#[derive(Default)]
struct Cells {
    groups: HashMap<Box<str>, u16>,
    of: HashMap<(u16, u16), u32>,
    cells: Vec<Cell>,
}

impl Cells {
    fn of(&mut self, vacancy: &Vacancy) -> u32 {
        let labels = vacancy.labels.iter().flat_map(|labels| labels.iter());
        let value =
            labels.filter(|(key, _)| &**key == GROUP_LABEL).map(|(_, value)| &**value).next();
        let value = value.unwrap_or("");
        let group = value.get(..GROUP_BYTES).unwrap_or(value);
        let next = self.groups.len() as u16;
        let group = match self.groups.get(group) {
            Some(group) => *group,
            // Beyond 65,535 groups, which two bytes of text do not reach, all are one.
            None => *self.groups.entry(group.into()).or_insert(next),
        };
        let city = vacancy.city.0;
        let next = self.cells.len() as u32;
        let cell = *self.of.entry((city, group)).or_insert(next);
        if cell == next {
            self.cells.push(Cell { city, group, ..Cell::default() });
        }
        cell
    }
}

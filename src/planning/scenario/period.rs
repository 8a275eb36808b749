//! One period: match, place, move; then what follows from it for the next one.
//!
//! The order is that of `docs/SCENARIOS.md` and never changes; what is drawn is drawn by
//! [`draws`], so that nobody's draw depends on anybody else.

use super::draws::{self, Purpose};
use super::feedback;
use super::fork::Fork;
use super::results::{CityPeriod, Period};
use crate::domain::CityIx;
use crate::matching::{Control, Means, Problem, clear_with, matching_hash};
use crate::planning::Error;
use crate::state::{CityCounts, Column};
use std::sync::Arc;

impl Fork {
    /// The next period.
    ///
    /// # Errors
    /// When `control` says so, or when the mechanism does not exist.
    pub fn step(&mut self, control: &Control, means: Means) -> Result<Period, Error> {
        let mut cities = self.open();
        let (problem, seekers) = self.problem_with_seekers();
        let cleared = clear_with(&problem, problem.settings.proposing_side, control, means)?;
        let pairs: Vec<(u32, u32)> = cleared.matching.pairs().collect();
        let hash = matching_hash(pairs.iter().map(|(w, v)| {
            let (w, v) = (*w as usize, *v as usize);
            (problem.workers[w].worker.id, problem.vacancies[v].vacancy.id)
        }));
        for (w, v) in &pairs {
            self.place(&problem, (*w, seekers[*w as usize]), *v, &mut cities);
        }
        drop(problem);
        self.renew_caps();
        self.take_stock(&mut cities);
        let evaluations = cleared.counters.evaluations;
        let number = self.period;
        self.separate(&mut cities);
        self.agglomerate();
        let productivity = self.cell_productivity();
        self.pay(&productivity);
        self.crowd();
        self.post(&productivity, &mut cities);
        self.period += 1;
        Ok(Period { number, cities, matching_hash: hash, evaluations })
    }

    /// The cities as the period begins.
    fn open(&self) -> Vec<CityPeriod> {
        let growth = self.growth();
        let mut cities: Vec<CityPeriod> = self
            .geography()
            .cities
            .iter()
            .enumerate()
            .map(|(at, city)| CityPeriod {
                cost_of_living: city.cost_of_living,
                productivity: self.productivity[at],
                delay: feedback::delay(&self.parameters, growth[at], self.plan.transport[at]),
                ..CityPeriod::default()
            })
            .collect();
        for person in self.people.iter().filter(|person| person.job.is_none()) {
            cities[person.worker.home.at()].seekers += 1;
        }
        for job in &self.jobs {
            cities[job.vacancy.city.at()].openings += u64::from(job.free);
        }
        cities
    }

    /// Places worker number `w` of the clearing, who is that person, in a job.
    fn place(
        &mut self,
        problem: &Problem,
        (w, person): (u32, u32),
        job: u32,
        cities: &mut [CityPeriod],
    ) {
        let terms = problem.terms();
        let (worker, vacancy) =
            (&problem.workers[w as usize].worker, &problem.vacancies[job as usize].vacancy);
        let (home, city) = (worker.home, vacancy.city);
        cities[home.at()].matched += 1;
        let row = &mut cities[city.at()];
        row.placed += 1;
        row.pay += i128::from(vacancy.salary);
        row.real_pay += i128::from(terms.real_salary(vacancy.salary, city));
        self.jobs[job as usize].free -= 1;
        self.cells[self.jobs[job as usize].cell as usize].free -= 1;
        let person = &mut self.people[person as usize];
        person.job = Some(job);
        if home == city {
            return;
        }
        row.moved_in += 1;
        row.subsidy += i128::from(subsidy(problem, home, city));
        cities[home.at()].moved_out += 1;
        person.live_in(city, &problem.geography);
        let residents = self.parameters.residents_per_worker as i64;
        self.residents[home.at()] -= residents;
        self.residents[city.at()] += residents;
    }

    /// Every cap holds for one period: the next one starts with nobody counted.
    fn renew_caps(&mut self) {
        let mut counts = Column::default();
        (0..self.residents.len()).for_each(|_| counts.push(CityCounts::default()));
        self.frame.counts = counts;
        let regions = self.frame.head.region_intake.len();
        self.frame.head.region_intake = Arc::new(vec![0; regions]);
    }

    /// Who lives and works where after the moves, and what working there teaches.
    fn take_stock(&mut self, cities: &mut [CityPeriod]) {
        for (row, residents) in cities.iter_mut().zip(&self.residents) {
            row.residents = *residents;
        }
        let smallest = self.residents.iter().copied().filter(|n| *n > 0).min().unwrap_or(1);
        let learned: Vec<i32> = self
            .residents
            .iter()
            .map(|here| feedback::learned(&self.parameters, feedback::growth(*here, smallest)))
            .collect();
        for person in self.people.iter_mut().filter(|person| person.job.is_some()) {
            let home = person.worker.home.at();
            cities[home].employed += 1;
            person.learned = person.learned.saturating_add(learned[home]);
        }
    }

    /// Some lose or leave their job, and seek; their seats are free again.
    fn separate(&mut self, cities: &mut [CityPeriod]) {
        let share = self.parameters.separation;
        if share == 0.0 {
            return;
        }
        for person in &mut self.people {
            let Some(number) = person.job else { continue };
            let id = *person.worker.id.bytes();
            if draws::unit(self.seed, &id, self.period, Purpose::Separation) >= share {
                continue;
            }
            person.job = None;
            person.bring_skills();
            cities[person.worker.home.at()].separated += 1;
            let job = &mut self.jobs[number as usize];
            let cell = &mut self.cells[job.cell as usize];
            if job.reposts {
                job.free += 1;
                cell.free += 1;
            } else {
                cell.jobs -= 1;
            }
        }
    }

    /// Line 4: free openings are given up, and wanted ones are posted.
    fn post(&mut self, productivity: &[f64], cities: &mut [CityPeriod]) {
        self.withdraw(cities);
        // By cell: what is posted, as a share of what each of its vacancies wanted at first.
        let shares: Vec<f64> = self
            .cells
            .iter()
            .zip(productivity)
            .map(|(cell, productivity)| {
                let wanted = feedback::wanted(&self.parameters, cell.wanted, *productivity);
                let gap = (wanted - cell.free as f64).max(0.0);
                if cell.wanted == 0 {
                    0.0
                } else {
                    self.parameters.posting * gap / cell.wanted as f64
                }
            })
            .collect();
        for job in &mut self.jobs {
            let share = shares[job.cell as usize];
            if share == 0.0 || job.wanted == 0 {
                continue;
            }
            let id = job.vacancy.id;
            let draw = draws::unit(self.seed, id.bytes(), self.period, Purpose::Posting);
            let posted = draws::rounded(f64::from(job.wanted) * share, draw);
            let posted = posted.min(u32::MAX - job.free);
            job.free += posted;
            let cell = &mut self.cells[job.cell as usize];
            cell.free += u64::from(posted);
            cell.jobs += u64::from(posted);
            cities[job.vacancy.city.at()].posted += u64::from(posted);
        }
    }

    fn withdraw(&mut self, cities: &mut [CityPeriod]) {
        let share = self.parameters.withdrawal;
        if share == 0.0 {
            return;
        }
        for job in self.jobs.iter_mut().filter(|job| job.free > 0) {
            let id = job.vacancy.id;
            let draw = draws::unit(self.seed, id.bytes(), self.period, Purpose::Withdrawal);
            let withdrawn = draws::rounded(f64::from(job.free) * share, draw).min(job.free);
            job.free -= withdrawn;
            let cell = &mut self.cells[job.cell as usize];
            cell.free -= u64::from(withdrawn);
            cell.jobs -= u64::from(withdrawn);
            cities[job.vacancy.city.at()].withdrawn += u64::from(withdrawn);
        }
    }
}

/// What is paid towards a move: the cost without any subsidy, less what is left of it.
fn subsidy(problem: &Problem, home: CityIx, city: CityIx) -> i64 {
    let (settings, geography) = (&problem.settings, &problem.geography);
    let known = geography.move_cost(home, city).and_then(|known| known.cost);
    let cost = known.unwrap_or_else(|| {
        settings.fixed_move_cost + settings.move_cost_per_km * i64::from(geography.km(home, city))
    });
    cost - problem.terms().move_cost(home, city)
}

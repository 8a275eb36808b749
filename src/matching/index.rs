//! What cannot change during a clearing, sorted so that little of it need be read.
//!
//! Vacancies with computed preferences stand in a hierarchy, highest salary first at
//! every level:
//!
//! * a *place* is one vacancy;
//! * a *cell* is a few places of one family (see `fitting`) in one city, which ask for
//!   about as much: the move costs the same to all of it, and what they have in common
//!   bounds all fits in it;
//! * the cells of a *city* stand side by side, with screens of all of them. Workers of one
//!   craft who ask together look at its places through a `lens`.
//!
//! Salaries of a city order its real salaries too, so that on the way down a city or a
//! cell whatever depends on the salary alone (the floor, the shortfall, the bound on
//! the value) has to be looked at until it fails for the first time. Every bound is
//! conservative, and the bottom is exact. Ranked vacancies have places after all others,
//! in no cell; they are found through `rankings`.

use super::crew::join;
use super::fitting::{AskList, Consing, Fitting, Kind};
use super::kernels::{Kernels, LANES, prefetch};
use super::key::{Key, Ranks, inverse};
use super::pay_order::PayOrder;
use super::rankings::Rankings;
use super::screens::{Numbering, Screens};
use super::{Means, Post, Problem};
use crate::domain::{CityIx, Mobility};
use crate::preferences::{Terms, fit};
use std::cmp::Reverse;
use std::ops::Range;

/// No place, no cell.
pub(super) const NOWHERE: u32 = u32::MAX;

/// One vacancy, in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The salary, and what it is worth at the reference cost of living.
    pub salary: i64,
    pub real: i64,
    /// The list of asks in `fitting`, with the least fit accepted.
    pub profile: u32,
    /// The vacancy's rank, and its number in the problem.
    pub rank: u32,
    pub number: u32,
    /// The cell around it.
    pub cell: u32,
}

/// What a search has to know of a place.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    pub real: i64,
    pub salary: i64,
    /// Its own cutoff.
    pub own: Key,
    pub profile: u32,
    pub rank: u32,
    pub place: u32,
    pub city: CityIx,
}

impl Sight {
    #[inline]
    pub fn of(place: u32, at: &Place, city: CityIx, own: Key) -> Self {
        let Place { salary, real, profile, rank, .. } = *at;
        Self { real, salary, own, profile, rank, place, city }
    }
}

/// The places of one family in one city.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// The city.
    pub city: CityIx,
    /// Its places, highest salary first.
    pub places: Range<u32>,
    /// Its highest salary.
    pub top_salary: i64,
    /// Its best real salary.
    pub top_real: i64,
}

/// A screen of a city, and the best real salary behind it.
#[derive(Clone, Copy)]
pub(super) struct Top {
    pub real: i64,
    /// And the least.
    pub bottom: i64,
    /// How many places of the city pay more; or of all cities, in the parade.
    pub before: u32,
    pub city: CityIx,
    pub block: u32,
}

/// The cells of one city.
pub(super) struct Quarter {
    /// Highest salary first.
    pub cells: Range<u32>,
    /// All places of the cells.
    pub places: Range<u32>,
    /// Which of them could take a worker of given levels.
    pub screens: Screens,
    /// What is behind each of the screens at best.
    pub tops: Vec<Top>,
    /// Cells that came later, in no order, screens of their own, and their best real salary.
    pub late: Vec<u32>,
    pub late_screens: Screens,
    pub late_top: i64,
}

/// See the module: a problem, and how its vacancies are laid out.
#[derive(Clone, Copy)]
pub(super) struct Index<'p> {
    pub problem: &'p Problem,
    layout: &'p Layout,
}

/// Where everything stands.
pub(super) struct Layout {
    pub kernels: Kernels,
    pub ranks: Ranks,
    pub fitting: Fitting,
    pub rankings: Rankings,
    pub numbering: Numbering,
    pub places: Vec<Place>,
    /// The places of each city, and all of them, in the order of what they pay.
    pub pay_in_cities: PayOrder,
    pub pay_in_all: PayOrder,
    /// By vacancy number: its place.
    pub place_of: Vec<u32>,
    /// The hierarchy.
    pub cells: Vec<Cell>,
    /// By city.
    pub quarters: Vec<Quarter>,
    /// The screens of all cities, the best real salary first.
    pub parade: Vec<Top>,
    /// Skills below this bound are asked for.
    pub skills: usize,
}

/// One vacancy on its way to its place.
#[derive(Clone, Copy)]
struct Row {
    number: u32,
    rank: u32,
    city: CityIx,
    ranked: bool,
    family: u32,
    standard: u32,
    profile: u32,
    cell: u32,
    salary: i64,
    real: i64,
}

impl Row {
    fn place(&self) -> Place {
        let Self { number, rank, profile, salary, real, .. } = *self;
        Place { salary, real, profile, rank, number, cell: NOWHERE }
    }
}

impl std::ops::Deref for Index<'_> {
    type Target = Layout;

    #[inline]
    fn deref(&self) -> &Layout {
        self.layout
    }
}

impl Layout {
    /// Sorts the problem.
    pub fn of(problem: &Problem, means: Means) -> Self {
        let Means { threads, kernels } = means;
        let skills = skill_bound(problem);
        let (ranks, (mut rows, mut fitting)) =
            join(threads, || Ranks::of(problem), || rows(problem, &commonness(problem, skills)));
        rows.iter_mut().for_each(|row| row.rank = ranks.vacancy(row.number));
        let numbering = Numbering::of(&fitting, skills);
        sort(&mut rows, threads);
        number_profiles(&mut rows, &mut fitting);
        let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
        let place_of = inverse(&numbers);
        let mut layout = Self {
            kernels,
            ranks,
            fitting,
            rankings: Rankings::of(problem, &place_of),
            numbering,
            places: rows.iter().map(Row::place).collect(),
            pay_in_cities: PayOrder::default(),
            pay_in_all: PayOrder::default(),
            place_of,
            cells: Vec::new(),
            quarters: Vec::new(),
            parade: Vec::new(),
            skills,
        };
        let lists = layout.build_cells(&rows);
        layout.order_by_pay(threads);
        layout.build_quarters(problem.geography.cities.len(), &lists);
        layout.build_parade();
        layout
    }

    /// Lays out the problem's last vacancy, which came later. False if it has drawn a rank
    /// that cannot be told from others: lay out everything anew.
    pub fn add_vacancy(&mut self, problem: &Problem) -> bool {
        let number = problem.vacancies.len() as u32 - 1;
        if !self.ranks.draw_vacancy(problem) {
            return false;
        }
        let (vacancy, terms) = (&*problem.vacancies[number as usize].vacancy, problem.terms());
        let profile = self.fitting.add(&vacancy.requirements, terms.min_fit(vacancy));
        let skills = vacancy.requirements.iter().map(|asked| asked.skill.at() + 1);
        self.skills = self.skills.max(skills.max().unwrap_or(0));
        let (rank, place) = (self.ranks.vacancy(number), self.places.len() as u32);
        let (salary, real) = (vacancy.salary, terms.real_salary(vacancy.salary, vacancy.city));
        self.place_of.push(place);
        self.places.push(Place { salary, real, profile, rank, number, cell: NOWHERE });
        if vacancy.ranking.is_none() {
            self.add_cell(vacancy.city, place);
        }
        self.rankings.add_vacancy(problem, &self.ranks, place);
        true
    }

    /// A cell for one place that came later.
    fn add_cell(&mut self, city: CityIx, place: u32) {
        let number = self.cells.len() as u32;
        let at = &mut self.places[place as usize];
        at.cell = number;
        let list = self.fitting.profiles[at.profile as usize];
        let quarter = &mut self.quarters[city.at()];
        let lane = quarter.late.len();
        quarter.late_screens.push(&self.numbering, &self.fitting, lane, &list);
        quarter.late.push(number);
        quarter.late_top = quarter.late_top.max(at.real);
        let (top_salary, top_real) = (at.salary, at.real);
        self.cells.push(Cell { city, places: place..place + 1, top_salary, top_real });
    }

    /// Takes in the problem's last worker, who came later. False as for vacancies.
    pub fn add_worker(&mut self, problem: &Problem) -> bool {
        let drawn = self.ranks.draw_worker(problem);
        if drawn {
            self.rankings.add_worker(problem, &self.ranks, &self.place_of);
        }
        drawn
    }

    /// The cells, and what the places of each have in common.
    fn build_cells(&mut self, rows: &[Row]) -> Vec<AskList> {
        let computed = rows.partition_point(|row| !row.ranked);
        let mut lists = Vec::new();
        let mut start = 0;
        let alike = |a: &Row, b: &Row| (a.city, a.cell) == (b.city, b.cell);
        for alike in rows[..computed].chunk_by(alike) {
            let places = start..start + alike.len();
            start = places.end;
            let mut profiles: Vec<u32> = alike.iter().map(|row| row.profile).collect();
            profiles.sort_unstable();
            profiles.dedup();
            let cell = self.cells.len() as u32;
            self.places[places.clone()].iter_mut().for_each(|place| place.cell = cell);
            lists.push(self.fitting.common(&profiles));
            self.cells.push(Cell {
                city: alike[0].city,
                places: places.start as u32..places.end as u32,
                top_salary: alike[0].salary,
                top_real: alike[0].real,
            });
        }
        lists
    }

    fn order_by_pay(&mut self, threads: usize) {
        let Self { places, cells, .. } = &*self;
        let end = |cells: &[Cell]| cells.last().map_or(0, |cell| cell.places.end);
        let cities = cells.chunk_by(|a, b| a.city == b.city);
        let cities = cities.map(|cells| cells[0].places.start..end(cells));
        (self.pay_in_cities, self.pay_in_all) = join(
            threads,
            || PayOrder::within(cities, places),
            || PayOrder::within(std::iter::once(0..end(cells)), places),
        );
    }

    fn build_parade(&mut self) {
        let Self { places, pay_in_all, .. } = &*self;
        let all = 0..places.len() as u32;
        let tops = self.quarters.iter().flat_map(|quarter| quarter.tops.iter().copied());
        let before = |top: Top| Top { before: pay_in_all.before(&all, places, top.real), ..top };
        let mut parade: Vec<Top> = tops.map(before).collect();
        parade.sort_by_key(|top| (Reverse(top.real), top.city, top.block));
        self.parade = parade;
    }

    fn build_quarters(&mut self, cities: usize, lists: &[AskList]) {
        let mut next = 0;
        for city in 0..cities {
            let start = next;
            while self.cells.get(next).is_some_and(|cell| cell.city.at() == city) {
                next += 1;
            }
            let screens = Screens::of(&self.numbering, &self.fitting, &lists[start..next]);
            let end = |cells: &[Cell]| cells.last().map_or(0, |cell| cell.places.end);
            let places = end(&self.cells[..start])..end(&self.cells[..next]);
            let blocks = self.cells[start..next].chunks(LANES).enumerate();
            let tops = blocks.map(|(block, cells)| Top {
                real: cells[0].top_real,
                bottom: cells
                    .iter()
                    .map(|cell| self.places[cell.places.end as usize - 1].real)
                    .min()
                    .unwrap_or(i64::MIN),
                before: self.pay_in_cities.before(&places, &self.places, cells[0].top_real),
                city: CityIx::from_offset(city),
                block: block as u32,
            });
            let tops = tops.collect();
            let cells = start as u32..next as u32;
            let (late, late_screens) = Default::default();
            let late_top = i64::MIN;
            self.quarters.push(Quarter {
                cells,
                places,
                screens,
                tops,
                late,
                late_screens,
                late_top,
            });
        }
    }
}

impl<'p> Index<'p> {
    /// A problem as it is laid out.
    pub fn on(problem: &'p Problem, layout: &'p Layout) -> Self {
        Self { problem, layout }
    }

    /// The terms on which pairs are evaluated.
    pub fn terms(&self) -> Terms<'p> {
        self.problem.terms()
    }

    /// Workers will be looked at one after the other: asks for the memory in which those ahead
    /// are described, of whom `at` tells the number.
    #[inline]
    pub fn expect_workers(&self, at: impl Fn(usize) -> Option<u32>) {
        if let Some(ahead) = at(2 * AHEAD) {
            prefetch(&self.problem.workers, ahead as usize);
            self.ranks.expect_worker(ahead);
        }
        if let Some(ahead) = at(AHEAD) {
            let worker = &self.problem.workers[ahead as usize].worker;
            prefetch(std::slice::from_ref(&**worker), 0);
            prefetch(std::slice::from_ref(&worker.skills), 0);
            prefetch(std::slice::from_ref(&worker.mobility), 0);
        }
        if let Some(ahead) = at(AHEAD / 2) {
            let skills = &self.problem.workers[ahead as usize].worker.skills;
            prefetch(skills, 0);
            prefetch(skills, skills.len().saturating_sub(1));
        }
    }

    /// The city of a place.
    #[inline]
    pub fn city(&self, place: u32) -> CityIx {
        let place = &self.places[place as usize];
        match place.cell {
            NOWHERE => self.problem.vacancies[place.number as usize].vacancy.city,
            cell => self.cells[cell as usize].city,
        }
    }

    /// What the vacancy at `place` is worth to worker `w`, who has that score there.
    pub fn value_at(&self, w: u32, place: u32, score: i64) -> i64 {
        let (worker, terms) = (&*self.problem.workers[w as usize].worker, self.terms());
        if worker.ranking.is_some() {
            let ranked = self.rankings.of_worker(w).iter().find(|(_, other)| *other == place);
            return ranked.map_or(i64::MIN, |(position, _)| -i64::from(*position));
        }
        let Place { real, salary, cell, .. } = self.places[place as usize];
        let city =
            if worker.mobility == Mobility::HomeOnly { worker.home } else { self.city(place) };
        let annual = terms.annual_move(worker, city);
        let fit = if cell == NOWHERE {
            fit(worker, &self.post(place).vacancy.requirements)
        } else {
            let asking = terms.equivalent_salary(worker.expected_salary, worker.home, city, annual);
            let shortfall = Terms::shortfall_bp(asking, salary);
            (score - terms.score(0, shortfall, city == worker.home)) as u32
        };
        real - annual + terms.fit_worth(fit)
    }

    /// Whether worker `w` and the vacancy at `place` never meet again.
    #[inline]
    pub fn has_declined(&self, w: u32, place: u32) -> bool {
        let seeker = &self.problem.workers[w as usize];
        seeker.declined.is_some() && seeker.has_declined(self.post(place).slot)
    }

    /// The vacancy at a place.
    #[inline]
    pub fn post(&self, place: u32) -> &'p Post {
        &self.problem.vacancies[self.places[place as usize].number as usize]
    }
}

/// One above the highest skill that any vacancy asks for.
fn skill_bound(problem: &Problem) -> usize {
    let requirements = problem.vacancies.iter().flat_map(|post| post.vacancy.requirements.iter());
    requirements.map(|requirement| requirement.skill.at() + 1).max().unwrap_or(0)
}

/// How many workers ahead memory is asked for.
const AHEAD: usize = 8;
/// Workers who are looked at for how common their skills are, about.
const COMMONNESS_SAMPLE: usize = 10_000;

/// How many of some workers have each skill.
fn commonness(problem: &Problem, skills: usize) -> Vec<u32> {
    let mut counts = vec![0; skills];
    let some = problem.workers.iter().step_by(problem.workers.len() / COMMONNESS_SAMPLE + 1);
    for entry in some.flat_map(|seeker| seeker.worker.skills.iter()) {
        if entry.skill.at() < skills && entry.level > 0 {
            counts[entry.skill.at()] += 1;
        }
    }
    counts
}

fn rows(problem: &Problem, commonness: &[u32]) -> (Vec<Row>, Fitting) {
    let terms = problem.terms();
    let mut consing = Consing::new();
    let mut rows = Vec::with_capacity(problem.vacancies.len());
    for (number, post) in problem.vacancies.iter().enumerate() {
        let vacancy = &*post.vacancy;
        rows.push(Row {
            number: number as u32,
            rank: 0,
            city: vacancy.city,
            ranked: vacancy.ranking.is_some(),
            family: 0,
            standard: 0,
            cell: NOWHERE,
            profile: consing.profile(&vacancy.requirements, terms.min_fit(vacancy)),
            salary: vacancy.salary,
            real: terms.real_salary(vacancy.salary, vacancy.city),
        });
    }
    let (fitting, kinds) = consing.finish(commonness);
    for row in &mut rows {
        let Kind { family, standard } = kinds[row.profile as usize];
        (row.family, row.standard) = (family, standard);
    }
    (rows, fitting)
}

/// Numbers profiles in the order of the rows, so that those of a cell stand side by side.
fn number_profiles(rows: &mut [Row], fitting: &mut Fitting) {
    let mut numbers = vec![NOWHERE; fitting.profiles.len()];
    let mut order = Vec::with_capacity(numbers.len());
    for row in rows {
        let number = &mut numbers[row.profile as usize];
        if *number == NOWHERE {
            *number = order.len() as u32;
            order.push(row.profile);
        }
        row.profile = *number;
    }
    fitting.renumber(&order);
}

/// Places from which on a cell takes no other profile.
const CELL_PLACES: usize = 8;
/// How far the standards of a cell's places may lie apart.
const CELL_STANDARDS: u32 = 4;

/// Puts rows into their places: ranked last, else by city, cell and salary, the cells
/// of a city by their highest salary.
fn sort(rows: &mut [Row], threads: usize) {
    let quarter = |row: &Row| (row.ranked, row.city);
    rows.sort_unstable_by_key(quarter);
    // In two halves, between cities.
    let near_half = rows.len() / 2;
    let half = rows.partition_point(|row| quarter(row) < quarter(&rows[near_half]));
    let (first, second) = rows.split_at_mut(half);
    let sort = |rows: &mut [Row]| {
        rows.chunk_by_mut(|a, b| quarter(a) == quarter(b)).for_each(sort_quarter);
    };
    join(threads, || sort(first), || sort(second));
}

/// The same in one city.
fn sort_quarter(rows: &mut [Row]) {
    let mut top = Vec::new();
    if !rows[0].ranked {
        rows.sort_unstable_by_key(|row| (row.family, row.standard, row.profile, row.rank));
        let mut start = 0;
        while start < rows.len() {
            let len = cell_len(&rows[start..]);
            let cell = &mut rows[start..start + len];
            cell.iter_mut().for_each(|row| row.cell = top.len() as u32);
            top.push(cell.iter().map(|row| row.salary).max());
            start += len;
        }
    }
    rows.sort_unstable_by_key(|row| {
        let cell = (Reverse(top.get(row.cell as usize).copied().flatten()), row.cell);
        (cell, Reverse(row.salary), row.rank)
    });
}

/// How many of sorted rows make the first cell.
fn cell_len(rows: &[Row]) -> usize {
    let first = &rows[0];
    let alike = |(at, row): (usize, &Row)| {
        row.family == first.family
            && row.standard < first.standard + CELL_STANDARDS
            && (at < CELL_PLACES || row.profile == rows[at - 1].profile)
    };
    rows.iter().enumerate().take_while(|row| alike(*row)).count()
}

//! A market counted: one pass over a snapshot into integer sums, from which indicators are
//! made. Whatever is added up here can be added up again: of cities to regions, of groups
//! to the market.
//!
//! A worker counts where they live, a job where it is; a match is of both. Placed workers
//! keep the home that they were placed from until they are upserted again, so that a
//! match, held or placed, leads from its worker's home to its vacancy's city.

use super::Error;
use crate::domain::limits::INDICATOR_GROUPS_MAX;
use crate::domain::{CityIx, Geography, Labels, Reason, SharedLabels, Violation};
use crate::matching::Control;
use crate::state::{VacancyRow, VacancyStatus, View, WorkerRow, WorkerStatus};
use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;
use std::sync::Arc;

/// Rows between two looks at whether to go on.
const ROWS_AT_ONCE: usize = 1_024;

/// What makes a group: the value of a label, or the beginning of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grouping {
    /// The label's key.
    pub label: Box<str>,
    /// Characters of the value that count; 0 = all.
    pub prefix: usize,
}

impl Grouping {
    /// The group of a record with these labels: empty if the label is missing.
    pub fn group_of<'l>(&self, labels: &'l SharedLabels) -> &'l str {
        let Some(labels) = labels else { return "" };
        let Some((_, value)) = labels.iter().find(|(key, _)| *key == self.label) else { return "" };
        match value.char_indices().nth(self.prefix) {
            Some((end, _)) if self.prefix > 0 => &value[..end],
            _ => value,
        }
    }
}

/// Sums over workers and jobs of a place, or of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Workers in the pool without a match.
    pub searching: u64,
    /// Workers in the pool with a tentative match anywhere.
    pub matched: u64,
    /// Workers placed anywhere.
    pub placed: u64,
    /// Of the matched and placed workers, those whose job pays what they ask there.
    pub at_or_above: u64,
    /// Of the matched and placed workers, those whose job is of their group.
    pub same_group: u64,
    /// Open vacancies.
    pub vacancies: u64,
    /// Their openings that are not placed, held ones included.
    pub openings: u64,
    /// Tentative matches at jobs here.
    pub held: u64,
    /// Openings placed, of vacancies whatever has become of them. A placed worker who
    /// looks again leaves theirs filled.
    pub filled: u64,
    /// Real salaries of all jobs, openings and filled.
    pub wages: i128,
    /// Matched pairs whose job is here: held matches, and placements of workers who have
    /// not looked again.
    pub pairs: u64,
    /// Fits of these pairs, in basis points.
    pub fit: u64,
    /// Salaries of these pairs.
    pub pay: i128,
    /// The same, real.
    pub real_pay: i128,
    /// What the workers of these pairs ask at these jobs.
    pub asking: i128,
}

impl Tally {
    /// Workers in the pool.
    pub fn seekers(&self) -> u64 {
        self.searching + self.matched
    }

    /// Workers with a job, tentative or not.
    pub fn employed(&self) -> u64 {
        self.matched + self.placed
    }

    /// Jobs: openings, and those that are filled.
    pub fn jobs(&self) -> u64 {
        self.openings + self.filled
    }

    /// Jobs here that somebody has, tentatively or not.
    pub fn taken(&self) -> u64 {
        self.held + self.filled
    }

    fn count_worker(&mut self, status: WorkerStatus) {
        match status {
            WorkerStatus::Searching => self.searching += 1,
            WorkerStatus::Matched => self.matched += 1,
            WorkerStatus::Placed => self.placed += 1,
            WorkerStatus::Withdrawn | WorkerStatus::Expired => {}
        }
    }

    fn count_vacancy(&mut self, row: &VacancyRow, real: i64) {
        let openings = if row.status == VacancyStatus::Open { row.free() } else { 0 };
        self.vacancies += u64::from(row.status == VacancyStatus::Open);
        self.openings += u64::from(openings);
        self.held += row.held.len() as u64;
        self.filled += u64::from(row.placed);
        self.wages += i128::from(real) * i128::from(openings + row.placed);
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.searching += other.searching;
        self.matched += other.matched;
        self.placed += other.placed;
        self.at_or_above += other.at_or_above;
        self.same_group += other.same_group;
        self.vacancies += other.vacancies;
        self.openings += other.openings;
        self.held += other.held;
        self.filled += other.filled;
        self.wages += other.wages;
        self.pairs += other.pairs;
        self.fit += other.fit;
        self.pay += other.pay;
        self.real_pay += other.real_pay;
        self.asking += other.asking;
    }
}

/// A group in a city.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Workers of the group who live there and are in the pool.
    pub seekers: u64,
    /// Openings of the group there.
    pub openings: u64,
    /// Jobs of the group there.
    pub jobs: u64,
}

/// Moves from one city to another, or in and out of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Tentative matches.
    pub planned: u64,
    /// Placements.
    pub moved: u64,
}

impl Moves {
    /// Both.
    pub fn all(self) -> u64 {
        self.planned + self.moved
    }
}

impl AddAssign for Moves {
    fn add_assign(&mut self, other: Self) {
        self.planned += other.planned;
        self.moved += other.moved;
    }
}

/// Moves into and out of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Into it.
    pub inward: Moves,
    /// Out of it.
    pub outward: Moves,
}

impl Balance {
    /// Whether more come than leave (`Greater`), or fewer.
    pub fn sign(self) -> std::cmp::Ordering {
        self.inward.all().cmp(&self.outward.all())
    }
}

/// A market counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Everything.
    pub total: Tally,
    /// By city index.
    pub cities: Vec<Tally>,
    /// By region index, all that is inside included.
    pub regions: Vec<Tally>,
    /// By name, ascending. The name is the label's value, or its prefix.
    pub groups: Vec<(Box<str>, Tally)>,
    /// By city and number of the group.
    pub cells: BTreeMap<(CityIx, u32), Cell>,
    /// From city to city; no two are the same.
    pub moves: BTreeMap<(CityIx, CityIx), Moves>,
    /// By city index: in and out.
    pub balances: Vec<Balance>,
    /// By region index: in and out across the region's border.
    pub region_balances: Vec<Balance>,
}

impl Census {
    /// Counts a snapshot.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `control` says so; refused if the label has too many
    /// values.
    pub fn of(view: &View, grouping: &Grouping, control: &Control) -> Result<Self, Error> {
        let mut counting = Counting::new(view, grouping);
        for (at, row) in view.workers.iter().enumerate() {
            if at.is_multiple_of(ROWS_AT_ONCE) {
                control.check()?;
            }
            counting.worker(row)?;
        }
        for (at, row) in view.vacancies.iter().enumerate() {
            if at.is_multiple_of(ROWS_AT_ONCE) {
                control.check()?;
            }
            counting.vacancy(row)?;
        }
        Ok(counting.finish())
    }

    /// The cells of a city: groups by number, ascending.
    pub fn cells_of(&self, city: CityIx) -> impl Iterator<Item = (u32, &Cell)> {
        let range = (city, 0)..=(city, u32::MAX);
        self.cells.range(range).map(|((_, group), cell)| (*group, cell))
    }

    fn sum_up(&mut self, geography: &Geography) {
        self.regions = vec![Tally::default(); geography.regions.len()];
        self.region_balances = vec![Balance::default(); geography.regions.len()];
        self.balances = vec![Balance::default(); self.cities.len()];
        for (tally, city) in self.cities.iter().zip(&geography.cities) {
            self.total += tally;
            for region in geography.ancestry(city.region) {
                self.regions[region.at()] += tally;
            }
        }
        for ((origin, destination), moves) in &self.moves {
            self.balances[origin.at()].outward += *moves;
            self.balances[destination.at()].inward += *moves;
            let around = |city: CityIx| -> Vec<_> {
                geography.ancestry(geography.city(city).region).collect()
            };
            let (from, to) = (around(*origin), around(*destination));
            for region in from.iter().filter(|region| !to.contains(region)) {
                self.region_balances[region.at()].outward += *moves;
            }
            for region in to.iter().filter(|region| !from.contains(region)) {
                self.region_balances[region.at()].inward += *moves;
            }
        }
    }
}

/// A census under way. Groups are numbered as they come.
struct Counting<'v> {
    view: &'v View,
    groups: Groups<'v>,
    census: Census,
    cells: HashMap<(CityIx, u32), Cell, foldhash::fast::RandomState>,
}

impl<'v> Counting<'v> {
    fn new(view: &'v View, grouping: &'v Grouping) -> Self {
        let cities = vec![Tally::default(); view.head.geography.cities.len()];
        let census = Census { cities, ..Census::default() };
        Self { view, groups: Groups::new(grouping), census, cells: HashMap::default() }
    }

    fn worker(&mut self, row: &'v WorkerRow) -> Result<(), Error> {
        if !row.status.in_pool() && row.status != WorkerStatus::Placed {
            return Ok(());
        }
        let home = row.worker.home;
        let group = self.groups.number(&row.worker.labels, &mut self.census)?;
        self.census.cities[home.at()].count_worker(row.status);
        self.census.groups[group as usize].1.count_worker(row.status);
        self.cells.entry((home, group)).or_default().seekers += u64::from(row.status.in_pool());
        if row.held.is_some() { self.pair(row, group) } else { Ok(()) }
    }

    /// Counts a match: the worker's side at home, the job's side where it is.
    fn pair(&mut self, row: &'v WorkerRow, group: u32) -> Result<(), Error> {
        let Some(held) = row.held else { return Ok(()) };
        let view = self.view;
        let (worker, vacancy) = (&row.worker, &view.vacancy(held.vacancy).vacancy);
        let terms = view.head.terms();
        let pair = terms.pair(worker, vacancy);
        let of_vacancy = self.groups.number(&vacancy.labels, &mut self.census)?;
        let paid = u64::from(vacancy.salary >= pair.asking_salary);
        let census = &mut self.census;
        for tally in [&mut census.cities[worker.home.at()], &mut census.groups[group as usize].1] {
            tally.at_or_above += paid;
            tally.same_group += u64::from(group == of_vacancy);
        }
        let real = terms.real_salary(vacancy.salary, vacancy.city);
        for tally in
            [&mut census.cities[vacancy.city.at()], &mut census.groups[of_vacancy as usize].1]
        {
            tally.pairs += 1;
            tally.fit += u64::from(pair.fit);
            tally.pay += i128::from(vacancy.salary);
            tally.real_pay += i128::from(real);
            tally.asking += i128::from(pair.asking_salary);
        }
        if worker.home != vacancy.city {
            let moves = census.moves.entry((worker.home, vacancy.city)).or_default();
            match row.status {
                WorkerStatus::Placed => moves.moved += 1,
                _ => moves.planned += 1,
            }
        }
        Ok(())
    }

    fn vacancy(&mut self, row: &'v VacancyRow) -> Result<(), Error> {
        if row.status != VacancyStatus::Open && row.placed == 0 {
            return Ok(());
        }
        let vacancy = &row.vacancy;
        let group = self.groups.number(&vacancy.labels, &mut self.census)?;
        let real = self.view.head.terms().real_salary(vacancy.salary, vacancy.city);
        let mut own = Tally::default();
        own.count_vacancy(row, real);
        self.census.cities[vacancy.city.at()] += &own;
        self.census.groups[group as usize].1 += &own;
        let cell = self.cells.entry((vacancy.city, group)).or_default();
        cell.openings += own.openings;
        cell.jobs += own.jobs();
        Ok(())
    }

    /// Sorts the groups by name, so that nothing depends on who came first.
    fn finish(self) -> Census {
        let Self { view, mut census, cells, .. } = self;
        let mut order: Vec<usize> = (0..census.groups.len()).collect();
        order.sort_unstable_by(|a, b| census.groups[*a].0.cmp(&census.groups[*b].0));
        let mut place_of = vec![0; order.len()];
        for (place, number) in (0..).zip(&order) {
            place_of[*number] = place;
        }
        census.groups.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let cells = cells.into_iter();
        census.cells =
            cells.map(|((city, group), cell)| ((city, place_of[group as usize]), cell)).collect();
        census.sum_up(&view.head.geography);
        census
    }
}

/// Numbers of groups. Records with equal labels share one list, and need no comparison.
struct Groups<'v> {
    grouping: &'v Grouping,
    by_name: HashMap<&'v str, u32>,
    by_list: HashMap<*const Labels, u32, foldhash::fast::RandomState>,
}

impl<'v> Groups<'v> {
    fn new(grouping: &'v Grouping) -> Self {
        Self { grouping, by_name: HashMap::new(), by_list: HashMap::default() }
    }

    fn number(&mut self, labels: &'v SharedLabels, census: &mut Census) -> Result<u32, Error> {
        let list = labels.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
        if let Some(number) = self.by_list.get(&list) {
            return Ok(*number);
        }
        let name = self.grouping.group_of(labels);
        let next = self.by_name.len() as u32;
        let number = *self.by_name.entry(name).or_insert(next);
        if number == next {
            if census.groups.len() == INDICATOR_GROUPS_MAX {
                let label = &self.grouping.label;
                let message = format!(
                    "{label} has more than {INDICATOR_GROUPS_MAX} values: set prefix_length, or \
                     group by another label"
                );
                return Err(Violation::new(Reason::LimitReached, "label_key", message).into());
            }
            census.groups.push((name.into(), Tally::default()));
        }
        self.by_list.insert(list, number);
        Ok(number)
    }
}

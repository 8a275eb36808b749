//! Who moves from where to where: the matches that stand at a snapshot, added up by origin
//! and destination.
//!
//! **What is counted.** Every worker who is MATCHED or PLACED at the snapshot counts once:
//! from her home to the city of her job. A placement does not touch the worker's record, so
//! her home is where she lived when the match was made; a worker who changes her home loses a
//! held match, and one who is placed must come back into the pool for it. Then she counts
//! again once she is matched again, and her earlier placement is history (`MIGRATED` in the
//! events), no longer a match that stands. Salaries, distances and costs of moving are those
//! of the snapshot; costs are one-off, after subsidies, at the worker's multiplier of 100 %.
//!
//! **Suppression.** A table of people's moves is personal data. With `min_count` a cell of
//! fewer people is left out, and so is the number of the placed among a cell's people where
//! they or the others are so few. How many people were left out is told only if that number
//! tells of no single cell.

use crate::domain::limits::FLOW_CELLS_MAX;
use crate::domain::{CityIx, Labels, Millis, Reason, Revision, Violation, Worker};
use crate::preferences::Terms;
use crate::state::{Held, View, WorkerRow, WorkerStatus};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::sync::Arc;

/// Which people are meant: those with a label, by its value or by how it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The label's key, such as `occupation`.
    pub label: Box<str>,
    /// Its value, or how it begins.
    pub value: Box<str>,
    /// Whether `value` is only how it begins.
    pub prefix: bool,
}

impl Group {
    /// Whether a record with these labels is in the group.
    pub fn has(&self, labels: Option<&Labels>) -> bool {
        label(labels, &self.label).is_some_and(|value| match self.prefix {
            true => value.starts_with(&*self.value),
            false => *value == *self.value,
        })
    }
}

/// The label of that key.
pub fn label<'a>(labels: Option<&'a Labels>, key: &str) -> Option<&'a str> {
    labels?.iter().find(|(found, _)| **found == *key).map(|(_, value)| &**value)
}

/// What flows are broken down by: the values of a label, or how they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The label's key.
    pub label: Box<str>,
    /// Characters of its values that count; 0 is all.
    pub prefix: usize,
}

impl By {
    /// The part of a worker's label that counts; without the label, empty.
    fn part<'a>(&self, worker: &'a Worker) -> &'a str {
        let value = label(worker.labels.as_deref(), &self.label).unwrap_or_default();
        match value.char_indices().nth(self.prefix) {
            Some((end, _)) if self.prefix > 0 => &value[..end],
            _ => value,
        }
    }
}

/// Which matches count, and how they are added up. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only matches made at this revision or later.
    pub since: Option<Revision>,
    /// Only matches made at this revision or earlier.
    pub until: Option<Revision>,
    /// Only people of this home.
    pub origin: Option<CityIx>,
    /// Only jobs in this city.
    pub destination: Option<CityIx>,
    /// Only people who move.
    pub moved_only: bool,
    /// Only placed matches, or only held ones.
    pub placed: Option<bool>,
    /// Only these workers.
    pub group: Option<Group>,
    /// Broken down by this label of the workers.
    pub by: Option<By>,
    /// Cells of fewer people are left out.
    pub min_count: u64,
}

impl Query {
    fn wants(&self, row: &WorkerRow, held: Held, destination: CityIx) -> bool {
        let worker = &row.worker;
        self.since.is_none_or(|since| held.since >= since)
            && self.until.is_none_or(|until| held.since <= until)
            && self.origin.is_none_or(|origin| worker.home == origin)
            && self.destination.is_none_or(|wanted| destination == wanted)
            && !(self.moved_only && worker.home == destination)
            && self.placed.is_none_or(|placed| placed == (row.status == WorkerStatus::Placed))
            && self.group.as_ref().is_none_or(|group| group.has(worker.labels.as_deref()))
    }

    /// Whether a number of people is so small that it is not told.
    pub fn is_small(&self, count: u64) -> bool {
        (1..self.min_count).contains(&count)
    }
}

/// The people of one origin and destination (and group).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where they live.
    pub origin: CityIx,
    /// Where their jobs are.
    pub destination: CityIx,
    /// Their part of the label that flows are broken down by.
    pub group: Option<Arc<str>>,
    /// People.
    pub count: u64,
    /// Of them, placed; `None` where that is not told.
    pub placed: Option<u64>,
    /// Kilometres from origin to destination.
    pub km: u32,
    /// One-off cost of moving, all people together.
    pub move_cost: i128,
    /// Yearly salaries of their jobs, all together.
    pub salary: i128,
    /// Yearly salaries that they expect at home, all together.
    pub expected_salary: i128,
}

impl Flow {
    /// A sum of this flow, per head, rounded half away from zero.
    pub fn mean(&self, sum: i128) -> i128 {
        let count = i128::from(self.count.max(1));
        (2 * sum + sum.signum() * count) / (2 * count)
    }

    /// Whether they stay where they live.
    pub fn stays(&self) -> bool {
        self.origin == self.destination
    }
}

/// Flows of one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// The cells that are told, by count (largest first), origin, destination, group.
    pub flows: Vec<Flow>,
    /// People in them.
    pub count: u64,
    /// Cells that were left out.
    pub suppressed_cells: u64,
    /// People in those; `None` where that would tell of a single cell.
    pub suppressed_count: Option<u64>,
    /// When the newest of the matches was made.
    pub newest: Option<Millis>,
}

/// What becomes a cell.
#[derive(Clone, Copy, Default)]
struct Sum {
    count: u64,
    placed: u64,
    salary: i128,
    expected_salary: i128,
}

/// Adds up the matches of a snapshot; refused beyond [`FLOW_CELLS_MAX`] cells.
pub fn flows(view: &View, query: &Query) -> Result<Flows, Violation> {
    flows_within(view, query, FLOW_CELLS_MAX)
}

/// The same with another limit of cells.
pub fn flows_within(view: &View, query: &Query, cells_max: usize) -> Result<Flows, Violation> {
    let mut groups = Groups::default();
    let mut cells: HashMap<(CityIx, CityIx, u32), Sum, FixedState> = HashMap::default();
    let mut newest = None;
    for row in view.workers.iter() {
        let Some(held) = row.held else { continue };
        let vacancy = &view.vacancy(held.vacancy).vacancy;
        if !query.wants(row, held, vacancy.city) {
            continue;
        }
        let group = query.by.as_ref().map_or(0, |by| groups.index(by.part(&row.worker)));
        let cell = cells.entry((row.worker.home, vacancy.city, group)).or_default();
        cell.count += 1;
        cell.placed += u64::from(row.status == WorkerStatus::Placed);
        cell.salary += i128::from(vacancy.salary);
        cell.expected_salary += i128::from(row.worker.expected_salary);
        newest = newest.max(Some(held.made));
        if cells.len() > cells_max {
            let message = format!("makes more than {cells_max} flows: ask for fewer people");
            return Err(Violation::new(Reason::LimitReached, "", message));
        }
    }
    let small = cells.values().filter(|cell| query.is_small(cell.count));
    let (few, left_out) = small.fold((0, 0), |(cells, sum), cell| (cells + 1, sum + cell.count));
    let told = cells.into_iter().filter(|(_, cell)| !query.is_small(cell.count));
    let terms = view.head.terms();
    let mut flows: Vec<_> = told
        .map(|((origin, destination, group), sum)| {
            let group = query.by.is_some().then(|| groups.names[group as usize].clone());
            flow(&terms, query, (origin, destination, group), &sum)
        })
        .collect();
    flows.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
    Ok(Flows {
        count: flows.iter().map(|flow| flow.count).sum(),
        flows,
        suppressed_cells: few,
        suppressed_count: tells_no_cell(few, left_out, query.min_count).then_some(left_out),
        newest,
    })
}

fn flow(
    terms: &Terms<'_>,
    query: &Query,
    (origin, destination, group): (CityIx, CityIx, Option<Arc<str>>),
    sum: &Sum,
) -> Flow {
    let told = !query.is_small(sum.placed) && !query.is_small(sum.count - sum.placed);
    let cost = if origin == destination { 0 } else { terms.move_cost(origin, destination) };
    Flow {
        origin,
        destination,
        group,
        count: sum.count,
        placed: told.then_some(sum.placed),
        km: terms.geography.km(origin, destination),
        move_cost: i128::from(cost) * i128::from(sum.count),
        salary: sum.salary,
        expected_salary: sum.expected_salary,
    }
}

fn order(flow: &Flow) -> impl Ord + '_ {
    (std::cmp::Reverse(flow.count), flow.origin, flow.destination, flow.group.as_deref())
}

/// Whether the people of some small cells together tell of no single one: one cell alone is
/// its own sum, and at either end of what the sum can be all cells are equal.
fn tells_no_cell(cells: u64, people: u64, min_count: u64) -> bool {
    let most = u128::from(cells) * u128::from(min_count.saturating_sub(1));
    cells == 0 || (cells > 1 && people > cells && u128::from(people) < most)
}

/// Names of groups, each once.
#[derive(Default)]
struct Groups {
    names: Vec<Arc<str>>,
    index: HashMap<Arc<str>, u32, FixedState>,
}

impl Groups {
    fn index(&mut self, name: &str) -> u32 {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        let index = u32::try_from(self.names.len()).expect("no more groups than workers");
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.index.insert(name, index);
        index
    }
}

/// What flows add up to in one city.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// People who live and work here.
    pub stay: u64,
    /// People who come from elsewhere.
    pub inflow: u64,
    /// People who go elsewhere.
    pub outflow: u64,
}

impl Balance {
    /// People of this home who have a match: those who stay and those who go.
    pub fn matched(&self) -> u64 {
        self.stay + self.outflow
    }

    /// How many more come than go.
    pub fn net(&self) -> i64 {
        // Neither is more than the workers of a market.
        self.inflow as i64 - self.outflow as i64
    }
}

impl Flows {
    /// By city: what the cells that are told add up to.
    pub fn balances(&self, cities: usize) -> Vec<Balance> {
        let mut balances = vec![Balance::default(); cities];
        for flow in &self.flows {
            if flow.stays() {
                balances[flow.origin.at()].stay += flow.count;
            } else {
                balances[flow.origin.at()].outflow += flow.count;
                balances[flow.destination.at()].inflow += flow.count;
            }
        }
        balances
    }
}

/// What stands in one city's pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Workers at home here who are in the pool, with a match that is held or without one.
    pub workers: u64,
    /// Open vacancies here.
    pub vacancies: u64,
    /// Their openings that are not placed.
    pub openings: u64,
}

/// By city: what stands in its pools, of everybody or of one group (of workers and of
/// vacancies with that label).
pub fn stocks(view: &View, group: Option<&Group>) -> Vec<Stock> {
    let cities = view.head.geography.cities.len();
    let Some(group) = group else {
        let counts = view.counts.iter().map(|counts| Stock {
            workers: counts.searching + counts.matched,
            vacancies: counts.vacancies,
            openings: counts.openings,
        });
        return counts.collect();
    };
    let mut stocks = vec![Stock::default(); cities];
    for row in view.workers.iter().filter(|row| row.status.in_pool()) {
        if group.has(row.worker.labels.as_deref()) {
            stocks[row.worker.home.at()].workers += 1;
        }
    }
    for row in view.vacancies.iter() {
        let open = row.status == crate::state::VacancyStatus::Open;
        if open && group.has(row.vacancy.labels.as_deref()) {
            let stock = &mut stocks[row.vacancy.city.at()];
            stock.vacancies += 1;
            stock.openings += u64::from(row.free());
        }
    }
    stocks
}

/// What a table of cities and a table of flows are made of: both at one snapshot, of the
/// same people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The flows.
    pub flows: Flows,
    /// By city: what stands in its pools.
    pub stocks: Vec<Stock>,
    /// By city: what the flows that are told add up to.
    pub balances: Vec<Balance>,
}

/// Surveys a snapshot.
pub fn survey(view: &View, query: &Query) -> Result<Survey, Violation> {
    let flows = flows(view, query)?;
    let balances = flows.balances(view.head.geography.cities.len());
    Ok(Survey { stocks: stocks(view, query.group.as_ref()), balances, flows })
}

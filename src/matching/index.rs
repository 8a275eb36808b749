//! What cannot change during a clearing, sorted so that little of it need be read.
//!
//! Vacancies with computed preferences stand in a hierarchy, best real salary first
//! at every level:
//!
//! * a *family* asks for the same skills with the same weights (see `fitting`);
//! * a *cell* is a family in one city: the move costs the same to all of it;
//! * a *bucket* is one profile in a cell: the fit is the same in all of it, so value
//!   and score both fall with the salary, and the first that admits is the best;
//! * a *place* is one vacancy.
//!
//! The level of aggregation changes the cost, never the result: every bound on the
//! way down is conservative, and the bottom is exact. Ranked vacancies have places
//! after all others, in no bucket; they are found through `rankings`.

use super::Problem;
use super::fitting::{Ask, Consing, Fitting};
use super::key::{Ranks, inverse};
use super::rankings::Rankings;
use crate::domain::{CityIx, SkillIx};
use crate::preferences::Terms;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

/// No place, no bucket.
pub(super) const NOWHERE: u32 = u32::MAX;

/// One level of the hierarchy: what it contains, and its best real salary.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The profile of a bucket, the family of a cell or a family.
    pub list: u32,
    /// The city of a bucket or cell.
    pub city: CityIx,
    /// The node around it.
    pub parent: u32,
    /// The nodes (or places) inside it.
    pub inside: Range<u32>,
    /// Its best real salary.
    pub top_real: i64,
    /// Its highest salary.
    pub top_salary: i64,
}

/// What a query reads of a cell or family before it reads anything else, side by side
/// with its neighbours: most are left behind here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    /// The best real salary behind it.
    pub top_real: i64,
    /// The cell or family.
    pub node: u32,
    skills: [u16; 2],
    minima: [u8; 2],
}

impl Door {
    /// The door of a node, with its first two mandatory minima.
    fn of(node: u32, top_real: i64, mut gates: impl Iterator<Item = Ask>) -> Self {
        let mut door = Self { top_real, node, skills: [0; 2], minima: [0; 2] };
        for (at, gate) in gates.by_ref().take(2).enumerate() {
            door.skills[at] = gate.skill.0;
            door.minima[at] = gate.minimum;
        }
        door
    }

    /// Whether the levels reach the first two mandatory minima.
    #[inline]
    pub fn lets_in(&self, levels: &[u8]) -> bool {
        levels[usize::from(self.skills[0])] >= self.minima[0]
            && levels[usize::from(self.skills[1])] >= self.minima[1]
    }
}

/// See the module.
pub(super) struct Index<'p> {
    pub problem: &'p Problem,
    pub ranks: Ranks,
    pub fitting: Fitting,
    pub rankings: Rankings,
    /// By place.
    pub number: Vec<u32>,
    pub place_of: Vec<u32>,
    pub rank: Vec<u32>,
    pub salary: Vec<i64>,
    pub real: Vec<i64>,
    pub profile: Vec<u32>,
    pub bucket: Vec<u32>,
    /// The hierarchy.
    pub buckets: Vec<Node>,
    pub cells: Vec<Node>,
    pub families: Vec<Node>,
    city_cells: Groups,
    gated: Groups,
    ungated: Vec<Door>,
    /// Skills below this bound are asked for.
    pub skills: usize,
}

/// Doors grouped by a small key.
#[derive(Default)]
struct Groups {
    starts: Vec<u32>,
    members: Vec<Door>,
}

impl Groups {
    /// Groups (key, member), keeping the order of members in a group.
    fn of(keys: usize, rows: &[(usize, Door)]) -> Self {
        let mut starts = vec![0_u32; keys + 1];
        for (key, _) in rows {
            starts[key + 1] += 1;
        }
        for key in 0..keys {
            starts[key + 1] += starts[key];
        }
        let nowhere = Door::of(NOWHERE, 0, std::iter::empty());
        let (mut next, mut members) = (starts.clone(), vec![nowhere; rows.len()]);
        for (key, member) in rows {
            members[next[*key] as usize] = *member;
            next[*key] += 1;
        }
        Self { starts, members }
    }

    fn at(&self, key: usize) -> &[Door] {
        &self.members[self.starts[key] as usize..self.starts[key + 1] as usize]
    }
}

/// One vacancy on its way to its place.
#[derive(Clone, Copy)]
struct Row {
    number: u32,
    rank: u32,
    city: CityIx,
    ranked: bool,
    family: u32,
    profile: u32,
    salary: i64,
    real: i64,
}

impl<'p> Index<'p> {
    /// Sorts the problem.
    pub fn of(problem: &'p Problem) -> Self {
        let ranks = Ranks::of(problem);
        let skills = skill_bound(problem);
        let commonness = commonness(problem, skills);
        let (mut rows, fitting) = rows(problem, &ranks, &commonness);
        sort(&mut rows);
        let mut index = Self {
            problem,
            ranks,
            fitting,
            rankings: Rankings::default(),
            number: rows.iter().map(|row| row.number).collect(),
            place_of: Vec::new(),
            rank: rows.iter().map(|row| row.rank).collect(),
            salary: rows.iter().map(|row| row.salary).collect(),
            real: rows.iter().map(|row| row.real).collect(),
            profile: rows.iter().map(|row| row.profile).collect(),
            bucket: vec![NOWHERE; rows.len()],
            buckets: Vec::new(),
            cells: Vec::new(),
            families: Vec::new(),
            city_cells: Groups::default(),
            gated: Groups::default(),
            ungated: Vec::new(),
            skills,
        };
        index.place_of = inverse(&index.number);
        index.rankings = Rankings::of(problem, &index.place_of);
        index.build_hierarchy(&rows);
        index.file_cells();
        index.file_families();
        index
    }

    /// The terms on which pairs are evaluated.
    pub fn terms(&self) -> Terms<'p> {
        self.problem.terms()
    }

    /// The city of a place.
    #[inline]
    pub fn city(&self, place: u32) -> CityIx {
        self.problem.vacancies[self.number[place as usize] as usize].vacancy.city
    }

    /// The doors to the cells of a city, best real salary first.
    pub fn cells_of(&self, city: CityIx) -> &[Door] {
        self.city_cells.at(city.at())
    }

    /// The doors to the families whose rarest mandatory skill is `skill`, best real
    /// salary first.
    pub fn families_gated_by(&self, skill: SkillIx) -> &[Door] {
        if skill.at() < self.skills { self.gated.at(skill.at()) } else { &[] }
    }

    /// The doors to the families with a profile without any mandatory minimum, best
    /// real salary first.
    pub fn families_ungated(&self) -> &[Door] {
        &self.ungated
    }

    /// The least one-off cost of a move from `home` to any other city.
    pub fn least_move(&self, home: CityIx) -> i64 {
        let cities = 0..self.problem.geography.cities.len();
        let terms = self.terms();
        let others = cities.map(CityIx::from_offset).filter(|city| *city != home);
        others.map(|city| terms.move_cost(home, city)).min().unwrap_or(0)
    }

    /// Whether worker `w` and the vacancy at `place` never meet again.
    #[inline]
    pub fn has_declined(&self, w: u32, place: u32) -> bool {
        let seeker = &self.problem.workers[w as usize];
        seeker.declined.is_some()
            && seeker
                .has_declined(self.problem.vacancies[self.number[place as usize] as usize].slot)
    }

    fn build_hierarchy(&mut self, rows: &[Row]) {
        for (place, row) in rows.iter().enumerate() {
            if row.ranked {
                break;
            }
            let place = place as u32;
            let new_family = self.families.last().is_none_or(|f| f.list != row.family);
            if new_family {
                self.families.push(node(row, row.family, NOWHERE, self.cells.len() as u32));
            }
            let family = self.families.len() as u32 - 1;
            let new_cell = new_family || self.cells.last().is_none_or(|c| c.city != row.city);
            if new_cell {
                self.cells.push(node(row, row.family, family, self.buckets.len() as u32));
            }
            let cell = self.cells.len() as u32 - 1;
            if new_cell || self.buckets.last().is_none_or(|b| b.list != row.profile) {
                self.buckets.push(node(row, row.profile, cell, place));
            }
            let bucket = self.buckets.len() as u32 - 1;
            self.bucket[place as usize] = bucket;
            extend(&mut self.buckets[bucket as usize], row, place + 1);
            extend(&mut self.cells[cell as usize], row, bucket + 1);
            extend(&mut self.families[family as usize], row, cell + 1);
        }
    }

    fn file_cells(&mut self) {
        let mut rows: Vec<_> = (0_u32..)
            .zip(&self.cells)
            .map(|(cell, node)| {
                let list = &self.fitting.families[node.list as usize];
                (node.city.at(), Door::of(cell, node.top_real, self.fitting.gates(list)))
            })
            .collect();
        rows.sort_by_key(|(_, door)| Reverse(door.top_real));
        self.city_cells = Groups::of(self.problem.geography.cities.len(), &rows);
    }

    fn file_families(&mut self) {
        let mut order: Vec<u32> = (0..self.families.len() as u32).collect();
        order.sort_by_key(|family| Reverse(self.families[*family as usize].top_real));
        let mut rows = Vec::new();
        for family in order {
            let node = &self.families[family as usize];
            let list = &self.fitting.families[node.list as usize];
            let door = Door::of(family, node.top_real, self.fitting.gates(list));
            match self.fitting.gates(list).next() {
                Some(gate) => rows.push((gate.skill.at(), door)),
                None => self.ungated.push(door),
            }
        }
        self.gated = Groups::of(self.skills, &rows);
    }
}

fn node(row: &Row, list: u32, parent: u32, first: u32) -> Node {
    let (city, top_real, top_salary) = (row.city, row.real, row.salary);
    Node { list, city, parent, inside: first..first, top_real, top_salary }
}

fn extend(node: &mut Node, row: &Row, end: u32) {
    node.inside.end = end;
    node.top_real = node.top_real.max(row.real);
    node.top_salary = node.top_salary.max(row.salary);
}

/// One above the highest skill that any vacancy asks for.
fn skill_bound(problem: &Problem) -> usize {
    let requirements = problem.vacancies.iter().flat_map(|post| post.vacancy.requirements.iter());
    requirements.map(|requirement| requirement.skill.at() + 1).max().unwrap_or(0)
}

/// How many workers have each skill.
fn commonness(problem: &Problem, skills: usize) -> Vec<u32> {
    let mut counts = vec![0; skills];
    for entry in problem.workers.iter().flat_map(|seeker| seeker.worker.skills.iter()) {
        if entry.skill.at() < skills && entry.level > 0 {
            counts[entry.skill.at()] += 1;
        }
    }
    counts
}

fn rows(problem: &Problem, ranks: &Ranks, commonness: &[u32]) -> (Vec<Row>, Fitting) {
    let terms = problem.terms();
    let mut consing = Consing::new(commonness);
    let mut rows = Vec::with_capacity(problem.vacancies.len());
    for (number, post) in problem.vacancies.iter().enumerate() {
        let vacancy = &*post.vacancy;
        rows.push(Row {
            number: number as u32,
            rank: ranks.vacancy[number],
            city: vacancy.city,
            ranked: vacancy.ranking.is_some(),
            family: 0,
            profile: consing.profile(&vacancy.requirements, terms.min_fit(vacancy)),
            salary: vacancy.salary,
            real: terms.real_salary(vacancy.salary, vacancy.city),
        });
    }
    let fitting = consing.finish();
    for row in &mut rows {
        row.family = fitting.family_of[row.profile as usize];
    }
    (rows, fitting)
}

/// Puts rows into their places: ranked last, else by family, cell, bucket and real
/// salary, the cells of a family and the buckets of a cell by their best.
fn sort(rows: &mut [Row]) {
    let mut cell_top: HashMap<(u32, CityIx), i64, foldhash::fast::FixedState> = HashMap::default();
    let mut bucket_top: HashMap<(u32, CityIx), i64, foldhash::fast::FixedState> =
        HashMap::default();
    for row in rows.iter().filter(|row| !row.ranked) {
        let top = cell_top.entry((row.family, row.city)).or_insert(i64::MIN);
        *top = row.real.max(*top);
        let top = bucket_top.entry((row.profile, row.city)).or_insert(i64::MIN);
        *top = row.real.max(*top);
    }
    let top_of = |tops: &HashMap<(u32, CityIx), i64, _>, list, city| {
        Reverse(tops.get(&(list, city)).copied().unwrap_or(i64::MIN))
    };
    rows.sort_by_cached_key(|row| {
        let cell = (top_of(&cell_top, row.family, row.city), row.city);
        let bucket = (top_of(&bucket_top, row.profile, row.city), row.profile);
        (row.ranked, row.family, cell, bucket, Reverse(row.real), row.rank)
    });
}

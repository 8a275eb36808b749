//! Workers in groups, for finding those whom a vacancy could want.
//!
//! A vacancy looks in three *pools*: those who would live in its city and say so by name
//! (it is their home, or they list it), the *movers*, who would go anywhere, and the
//! *listers*, who name so many cities that they are not filed under each. In a
//! pool workers with the same skills stand side by side, [`LANES`] to a *group*, and
//! [`LANES`] groups stand for their best levels in a group of the upper tier: a vacancy
//! screens groups there, and opens those that could hold somebody better than it has.
//! Levels stand by column, so that one pass screens all of a group.

use super::crafts::craft;
use super::crew::join;
use super::fitting::{AskList, Fitting};
use super::index::Index;
use super::kernels::{Bounds, Bytes, Column, LANES, SKILLS, lanes, prefetch, prefetch_all};
use super::screens::{Call, Numbering};
use crate::domain::{CityIx, Mobility, SkillIx, Worker};
use crate::mutants;
use crate::preferences::{Levels, Terms};
use std::ops::Range;

/// Who lists more cities than this stands with the listers, and not in each city's pool.
const VISITS_MAX: usize = 16;
/// Nobody here has the skill.
const ABSENT: u8 = u8::MAX;
/// The need of nobody: a lane that stays empty.
const NOBODY: i64 = i64::MAX;

/// See the module.
#[derive(Default)]
pub(super) struct Roster {
    people: Tier,
    groups: Tier,
    /// By lane of `people`.
    cards: Vec<Card>,
    /// By lane of `people`: what she holds is worth to her.
    held: Vec<i64>,
    /// By city, then the movers' and the listers': a range of groups of the upper tier.
    pools: Vec<Range<u32>>,
    /// By pool: groups of those who came later, in no order, under no upper tier.
    late: Vec<Late>,
    /// By group of the upper tier: its first group of the lower.
    first: Vec<u32>,
    /// Groups of the lower tier that stand under the upper.
    early: usize,
    /// By worker: where her lanes stand in `lanes`, from and to.
    spans: Vec<(u32, u32)>,
    lanes: Vec<u32>,
}

/// What decides whether a worker would come, in one line of the cache.
#[derive(Clone, Copy)]
pub(super) struct Card {
    pub expected: i64,
    pub reservation: i64,
    pub worker: u32,
    /// Her rank among workers.
    pub rank: u32,
    pub home: CityIx,
    pub cost_percent: u16,
}

/// Whom a vacancy is to find.
pub(super) struct Sought<'c> {
    /// Whom its requirements reach.
    pub call: &'c Call,
    /// Who could want a vacancy of this real salary.
    pub real: i64,
    /// Whose fit could be as much, as `bar` makes it.
    pub least: u16,
}

/// Groups of [`LANES`]: of workers, or of groups of workers.
#[derive(Default)]
struct Tier {
    groups: Vec<Group>,
    columns: Vec<Bytes>,
    /// By lane: no vacancy with a smaller real salary is wanted there.
    needs: Vec<i64>,
}

/// Where the columns of a group stand.
struct Group {
    first: u32,
    /// By number of the skill: which of its columns, or [`ABSENT`].
    column: [u8; SKILLS],
}

/// Those of one pool who came later.
#[derive(Clone, Default)]
struct Late {
    groups: Vec<u32>,
    /// Lanes taken in the last of them.
    taken: usize,
}

/// A worker on the way to her lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    pool: u32,
    visitor: bool,
    craft: u64,
    weakness: u32,
    rank: u32,
    worker: u32,
}

impl Roster {
    /// Files everybody whose preferences are computed, on two threads if there are as many.
    pub fn of(index: &Index, threads: usize) -> Self {
        let mut entries = entries(index);
        entries.sort_unstable();
        let pools = index.problem.geography.cities.len() + 2;
        // Pools are filed whole, and about as many entries in both halves.
        let middle = entries.get(entries.len() / 2).map_or(0, |entry| entry.pool as usize);
        let half = entries.partition_point(|entry| (entry.pool as usize) < middle);
        let (near, far) = entries.split_at(half);
        let (mut roster, rest) = join(
            threads,
            || Self::of_pools(index, 0..middle, near),
            || Self::of_pools(index, middle..pools, far),
        );
        roster.append(rest);
        roster.late = vec![Late::default(); pools];
        roster.early = roster.people.groups.len();
        roster.held = vec![i64::MIN; roster.cards.len()];
        roster.find_lanes(index.problem.workers.len());
        roster
    }

    /// Files those of some pools.
    fn of_pools(index: &Index, pools: Range<usize>, mut entries: &[Entry]) -> Self {
        let mut roster = Self::default();
        roster.cards.reserve(entries.len() + pools.len() * LANES / 2);
        for pool in pools {
            let here = entries.partition_point(|entry| entry.pool as usize == pool);
            roster.file(index, pool, &entries[..here]);
            entries = &entries[here..];
        }
        roster
    }

    /// Those of further pools behind those of the first.
    fn append(&mut self, rest: Self) {
        let (groups, people) = (self.groups.groups.len() as u32, self.people.groups.len() as u32);
        let beyond = |pool: &Range<u32>| pool.start + groups..pool.end + groups;
        self.pools.extend(rest.pools.iter().map(beyond));
        self.first.extend(rest.first.iter().map(|first| first + people));
        self.cards.reserve_exact(rest.cards.len());
        self.cards.extend(rest.cards);
        self.people.append(rest.people);
        self.groups.append(rest.groups);
    }

    /// The groups of the upper tier with those who would live in a city and say so.
    pub fn city(&self, city: CityIx) -> Range<u32> {
        self.pools[city.at()].clone()
    }

    /// The groups of the upper tier with those who would go anywhere.
    pub fn movers(&self) -> Range<u32> {
        self.pools[self.pools.len() - 2].clone()
    }

    /// The groups of the upper tier with those who would go to many cities, but not all.
    pub fn listers(&self) -> Range<u32> {
        self.pools[self.pools.len() - 1].clone()
    }

    /// Groups of those who came later and would live in a city and say so.
    pub fn late_in_city(&self, city: CityIx) -> &[u32] {
        &self.late[city.at()].groups
    }

    /// Groups of those who came later and would go anywhere.
    pub fn late_movers(&self) -> &[u32] {
        &self.late[self.late.len() - 2].groups
    }

    /// Groups of those who came later and would go to many cities, but not all.
    pub fn late_listers(&self) -> &[u32] {
        &self.late[self.late.len() - 1].groups
    }

    /// Which groups behind a group of the upper tier could hold somebody whom a vacancy is to find,
    /// and bounds on the fit; the first of them is `.0`.
    pub fn screen_groups(&self, upper: u32, sought: &Sought, bounds: &mut Bounds) -> (u32, u64) {
        (self.first[upper as usize], self.groups.screen(upper, sought, bounds))
    }

    /// The same for the lanes of a group, and those who stand there.
    pub fn screen_people(&self, group: u32, sought: &Sought, bounds: &mut Bounds) -> u64 {
        self.people.screen(group, sought, bounds)
    }

    /// A group will be screened soon.
    pub fn expect(&self, group: u32) {
        let at = group as usize;
        prefetch_all(&self.people.groups[at..at + 1]);
        prefetch_all(&self.people.needs[at * LANES..(at + 1) * LANES]);
    }

    /// Sooner, and what `expect` was told is there by now.
    pub fn expect_levels(&self, group: u32, call: &Call) {
        for ask in call.asks() {
            self.people.column(group, ask.skill).inspect(|levels| prefetch(*levels, 0));
        }
    }

    /// Lanes of a group, a bit for each, will be looked at.
    #[inline]
    pub fn expect_cards(&self, group: u32, passed: u64) {
        for lane in lanes(passed) {
            let at = group as usize * LANES + lane;
            prefetch(&self.cards, at);
            prefetch(&self.held, at);
        }
    }

    /// The worker in a lane of a group.
    #[inline]
    pub fn card(&self, group: u32, lane: usize) -> &Card {
        &self.cards[group as usize * LANES + lane]
    }

    /// What the worker in a lane of a group holds is worth to her.
    #[inline]
    pub fn held(&self, group: u32, lane: usize) -> i64 {
        self.held[group as usize * LANES + lane]
    }

    /// The fit of the worker in a lane to a list, if she is accepted.
    #[inline]
    pub fn accepted_fit(
        &self,
        index: &Index,
        list: &AskList,
        group: u32,
        lane: usize,
    ) -> Option<u32> {
        let sight = Sight { roster: self, index, group, lane };
        let fitting: &Fitting = &index.fitting;
        fitting.accepted_fit(list, &sight)
    }

    /// Worker `w` holds a vacancy of that value, and from now on wants none with a real
    /// salary below `need`.
    pub fn raise(&mut self, w: u32, value: i64, need: i64) {
        for at in self.span(w) {
            let lane = self.lanes[at] as usize;
            self.held[lane] = value;
            if need > self.people.needs[lane] {
                self.set_need(lane, need);
            }
        }
    }

    /// Worker `w` holds a vacancy of less value than before, or none: she wants what has a
    /// real salary of `need`, if that is acceptable to both sides.
    pub fn lower(&mut self, index: &Index, w: u32, value: i64, need: i64) {
        let worker = &*index.problem.workers[w as usize].worker;
        for (at, pool) in self.span(w).zip(pools(index, worker)) {
            let lane = self.lanes[at] as usize;
            self.held[lane] = value;
            self.set_need(lane, need.max(pool.need(index, worker)));
        }
    }

    /// Worker `w` is gone: she wants nothing.
    pub fn remove(&mut self, w: u32) {
        for at in self.span(w) {
            let lane = self.lanes[at] as usize;
            self.held[lane] = i64::MAX;
            self.set_need(lane, NOBODY);
        }
    }

    /// Files the problem's last worker, who came later and holds nothing.
    pub fn add(&mut self, index: &Index) {
        let w = index.problem.workers.len() as u32 - 1;
        let span = self.file_late(index, w);
        self.spans.push(span);
    }

    /// Files worker `w` again, who was removed, holds nothing and is not who she was: where
    /// she stood if she can do the same and would live in the same cities. Returns whether
    /// that is not so.
    pub fn refile(&mut self, index: &Index, w: u32, before: &Worker) -> bool {
        let worker = &*index.problem.workers[w as usize].worker;
        let stays = worker.home == before.home && worker.mobility == before.mobility;
        if !stays || worker.skills != before.skills {
            self.spans[w as usize] = self.file_late(index, w);
            return true;
        }
        for (at, pool) in self.span(w).zip(pools(index, worker)) {
            let lane = self.lanes[at] as usize;
            self.cards[lane] = Card::of(index, w);
            self.held[lane] = i64::MIN;
            self.set_need(lane, pool.need(index, worker));
        }
        false
    }

    /// Where the lanes of worker `w` stand in `lanes`.
    fn span(&self, w: u32) -> Range<usize> {
        let (from, to) = self.spans[w as usize];
        from as usize..to as usize
    }

    /// Files a worker, who holds nothing, in late lanes. Returns their span.
    fn file_late(&mut self, index: &Index, w: u32) -> (u32, u32) {
        let from = self.lanes.len() as u32;
        let worker = &*index.problem.workers[w as usize].worker;
        let filed = worker.ranking.is_none();
        for pool in pools(index, worker).filter(|_| filed) {
            let lane = self.late_lane(pool.number);
            self.people.put(lane, &index.numbering, worker);
            self.people.needs[lane] = pool.need(index, worker);
            self.cards[lane] = Card::of(index, w);
            self.held[lane] = i64::MIN;
            self.lanes.push(lane as u32);
        }
        (from, self.lanes.len() as u32)
    }

    /// A free lane in a pool.
    fn late_lane(&mut self, pool: usize) -> usize {
        let late = &mut self.late[pool];
        if late.groups.is_empty() || late.taken == LANES {
            late.groups.push(self.people.groups.len() as u32);
            late.taken = 0;
            self.people.push_blank();
            self.cards.resize(self.cards.len() + LANES, Card::BLANK);
            self.held.resize(self.cards.len(), i64::MIN);
        }
        late.taken += 1;
        late.groups[late.groups.len() - 1] as usize * LANES + late.taken - 1
    }

    fn set_need(&mut self, lane: usize, need: i64) {
        let old = std::mem::replace(&mut self.people.needs[lane], need);
        if need > old {
            self.refresh_group(lane / LANES, old);
        } else {
            self.lower_group(lane / LANES, need);
        }
    }

    /// Where a group stands in the upper tier, if it does.
    fn upper_lane(&self, group: usize) -> Option<usize> {
        let upper = self.first.partition_point(|first| *first as usize <= group).checked_sub(1)?;
        let within = group - self.first[upper] as usize;
        (within < LANES && group < self.early).then_some(upper * LANES + within)
    }

    /// A need in a group has fallen.
    fn lower_group(&mut self, group: usize, need: i64) {
        if let Some(lane) = self.upper_lane(group) {
            self.groups.needs[lane] = self.groups.needs[lane].min(need);
        }
    }

    /// A need of `old` in a group has risen.
    fn refresh_group(&mut self, group: usize, old: i64) {
        if let Some(lane) = self.upper_lane(group)
            && self.groups.needs[lane] == old
        {
            let needs = &self.people.needs[group * LANES..(group + 1) * LANES];
            self.groups.needs[lane] = needs.iter().copied().min().unwrap_or(NOBODY);
        }
    }

    fn file(&mut self, index: &Index, pool: usize, entries: &[Entry]) {
        let is_city = pool < index.problem.geography.cities.len();
        let city = is_city.then(|| CityIx::from_offset(pool));
        let start = self.groups.groups.len() as u32;
        let mut at = 0;
        for company in entries.chunks(LANES * LANES) {
            self.first.push(self.people.groups.len() as u32);
            let mut best = Sheets::new();
            for (lane, group) in company.chunks(LANES).enumerate() {
                let mut sheets = Sheets::new();
                for (lane, entry) in group.iter().enumerate() {
                    index.expect_workers(|ahead| entries.get(at + ahead).map(|e| e.worker));
                    at += 1;
                    let worker = &*index.problem.workers[entry.worker as usize].worker;
                    sheets.put(lane, &index.numbering, worker);
                    sheets.needs[lane] = need(&index.terms(), worker, city);
                    self.cards.push(Card::of(index, entry.worker));
                }
                for _ in group.len()..LANES {
                    self.cards.push(Card::BLANK);
                }
                best.put_best(lane, &sheets);
                self.people.push(&sheets);
            }
            self.groups.push(&best);
        }
        self.pools.push(start..self.groups.groups.len() as u32);
    }

    /// Where each worker stands.
    fn find_lanes(&mut self, workers: usize) {
        let held = |card: &&Card| card.worker != u32::MAX;
        let mut counts = vec![0; workers];
        for card in self.cards.iter().filter(held) {
            counts[card.worker as usize] += 1;
        }
        let mut next = 0;
        let span = |count: &u32| {
            next += count;
            (next - count, next - count)
        };
        self.spans = counts.iter().map(span).collect();
        self.lanes = vec![0; next as usize];
        for (lane, card) in (0_u32..).zip(&self.cards).filter(|(_, card)| card.worker != u32::MAX) {
            let (_, to) = &mut self.spans[card.worker as usize];
            self.lanes[*to as usize] = lane;
            *to += 1;
        }
    }
}

impl Card {
    const BLANK: Self = Self {
        expected: 0,
        reservation: 0,
        worker: u32::MAX,
        rank: u32::MAX,
        home: CityIx(0),
        cost_percent: 0,
    };

    fn of(index: &Index, w: u32) -> Self {
        let worker = &*index.problem.workers[w as usize].worker;
        Self {
            expected: worker.expected_salary,
            reservation: worker.reservation_salary,
            worker: w,
            rank: index.ranks.worker(w),
            home: worker.home,
            cost_percent: worker.cost_percent,
        }
    }
}

impl Tier {
    fn push(&mut self, sheets: &Sheets) {
        let first = self.columns.len() as u32;
        let mut column = [ABSENT; SKILLS];
        for (skill, levels) in sheets.levels.iter().enumerate() {
            if levels.iter().any(|level| *level > 0) {
                column[skill] = (self.columns.len() as u32 - first) as u8;
                self.columns.push(*levels);
            }
        }
        self.groups.push(Group { first, column });
        self.needs.extend(sheets.needs);
    }

    /// The groups of another behind its own.
    fn append(&mut self, rest: Self) {
        let columns = self.columns.len() as u32;
        let beyond = |group: Group| Group { first: group.first + columns, ..group };
        self.groups.extend(rest.groups.into_iter().map(beyond));
        // Memory for no more than that: there is much of it.
        self.columns.reserve_exact(rest.columns.len());
        self.columns.extend(rest.columns);
        self.needs.reserve_exact(rest.needs.len());
        self.needs.extend(rest.needs);
    }

    /// A group of nobody, with a column for every skill.
    fn push_blank(&mut self) {
        let first = self.columns.len() as u32;
        self.groups.push(Group { first, column: std::array::from_fn(|skill| skill as u8) });
        self.columns.resize(self.columns.len() + SKILLS, [0; LANES]);
        self.needs.resize(self.needs.len() + LANES, NOBODY);
    }

    /// A worker's levels into a lane of a group that was blank.
    fn put(&mut self, lane: usize, numbering: &Numbering, worker: &Worker) {
        let first = self.groups[lane / LANES].first as usize;
        for entry in &worker.skills {
            if let Some(skill) = numbering.told_apart(entry.skill) {
                self.columns[first + usize::from(skill)][lane % LANES] = entry.level;
            }
        }
    }

    fn column(&self, group: u32, skill: u8) -> Option<&Bytes> {
        let Group { first, column } = &self.groups[group as usize];
        let at = column[usize::from(skill)];
        (at != ABSENT).then(|| &self.columns[*first as usize + usize::from(at)])
    }

    fn screen(&self, group: u32, sought: &Sought, bounds: &mut Bounds) -> u64 {
        let Sought { call, real, least } = *sought;
        let needs = &self.needs[group as usize * LANES..(group as usize + 1) * LANES];
        let wanted = call.kernels.beaten(needs, real.saturating_add(1));
        if wanted == 0 {
            return 0;
        }
        let mut columns = [Column::BLANK; crate::domain::limits::REQUIREMENTS_MAX];
        let mut count = 0;
        for ask in call.asks() {
            let Some(levels) = self.column(group, ask.skill) else {
                if ask.minimum > 0 {
                    return 0;
                }
                continue;
            };
            let (desired, minimum, worth) = (ask.desired, ask.minimum, ask.worth);
            columns[count] = Column { levels, desired, minimum, worth };
            count += 1;
        }
        wanted & call.screen(&columns[..count], least, bounds)
    }
}

/// A group before it is filed: a column for every skill.
struct Sheets {
    levels: Box<[Bytes; SKILLS]>,
    needs: [i64; LANES],
}

impl Sheets {
    fn new() -> Self {
        Self { levels: Box::new([[0; LANES]; SKILLS]), needs: [NOBODY; LANES] }
    }

    fn put(&mut self, lane: usize, numbering: &Numbering, worker: &Worker) {
        for entry in &worker.skills {
            if let Some(skill) = numbering.told_apart(entry.skill) {
                self.levels[usize::from(skill)][lane] = entry.level;
            }
        }
    }

    /// The best of each column, and the least need.
    fn put_best(&mut self, lane: usize, sheets: &Sheets) {
        for (best, levels) in self.levels.iter_mut().zip(&*sheets.levels) {
            best[lane] = match mutants::active("group-bound-too-low") {
                false => levels.iter().copied().max().unwrap_or(0),
                true => levels[0],
            };
        }
        self.needs[lane] = sheets.needs.iter().copied().min().unwrap_or(NOBODY);
    }
}

/// The worker in one lane.
struct Sight<'r, 'i, 'p> {
    roster: &'r Roster,
    index: &'i Index<'p>,
    group: u32,
    lane: usize,
}

impl Levels for Sight<'_, '_, '_> {
    #[inline]
    fn level(&self, skill: SkillIx) -> u8 {
        match self.index.numbering.told_apart(skill) {
            Some(number) => {
                let column = self.roster.people.column(self.group, number);
                column.map_or(0, |levels| levels[self.lane])
            }
            None => {
                let w = self.roster.card(self.group, self.lane).worker;
                self.index.problem.workers[w as usize].worker.level(skill)
            }
        }
    }
}

/// Everybody by pool; those who rank vacancies are found by their rankings.
fn entries(index: &Index) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(index.problem.workers.len());
    let seekers = index.problem.workers.iter().enumerate();
    for (w, seeker) in seekers.filter(|(_, seeker)| seeker.worker.ranking.is_none()) {
        let worker = &*seeker.worker;
        let levels = worker.skills.iter().map(|entry| u32::from(entry.level)).sum::<u32>();
        let home = u32::from(worker.home.0);
        let entry = |pool: u32| Entry {
            pool,
            visitor: pool != home,
            craft: craft(worker),
            weakness: !levels,
            rank: index.ranks.worker(w as u32),
            worker: w as u32,
        };
        entries.extend(pools(index, worker).map(|pool| entry(pool.number as u32)));
    }
    entries
}

/// Where a worker is filed.
#[derive(Clone, Copy)]
struct PoolOf {
    number: usize,
    /// The city whose pool it is; none for the movers' and the listers'.
    city: Option<CityIx>,
}

impl PoolOf {
    fn need(self, index: &Index, worker: &Worker) -> i64 {
        need(&index.terms(), worker, self.city)
    }
}

/// The pools of a worker, ascending: in the order of her lanes.
fn pools<'w>(index: &Index, worker: &'w Worker) -> impl Iterator<Item = PoolOf> + use<'w> {
    let cities = index.problem.geography.cities.len();
    let (visits, beyond): (&[CityIx], Option<usize>) = match &worker.mobility {
        Mobility::HomeOnly => (&[], None),
        Mobility::Listed(listed) if listed.len() <= VISITS_MAX => (listed, None),
        Mobility::Any => (&[], Some(cities)),
        Mobility::Listed(_) => (&[], Some(cities + 1)),
    };
    let visits = visits.iter().copied();
    let before = visits.clone().filter(|city| *city < worker.home);
    let after = visits.filter(|city| *city > worker.home);
    let near = before.chain(std::iter::once(worker.home)).chain(after);
    let near = near.map(|city| PoolOf { number: city.at(), city: Some(city) });
    near.chain(beyond.map(|number| PoolOf { number, city: None }))
}

/// The least real salary at which a worker and a vacancy accept each other, in that
/// city, or from below in any that is not her home.
fn need(terms: &Terms, worker: &Worker, city: Option<CityIx>) -> i64 {
    match city {
        Some(city) => {
            let least = i128::from(terms.least_salary_in(worker, city));
            let real = 1000 * least / i128::from(terms.geography.city(city).cost_of_living);
            i64::try_from(real).unwrap_or(NOBODY)
        }
        None => terms.least_real_away(worker, 0),
    }
}

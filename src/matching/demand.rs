//! The first primitive: the best vacancy that would take a worker now.
//!
//! Because cutoffs only rise while workers propose, a vacancy that would refuse her
//! now refuses her for ever: passing over it is exact, and there is no list to keep
//! and no cursor to store. The search goes down the index's hierarchy and leaves a
//! node as soon as its best real salary cannot beat the best so far, or the best
//! score anyone could have there cannot beat its least cutoff.

use super::engine::{Counters, Engine, Offer};
use super::fitting::Sheet;
use super::index::{Door, Index, NOWHERE, Node};
use super::key::{Bid, Key, Worth};
use super::seats::{BLOCK, Seats};
use crate::domain::limits::FIT_MAX;
use crate::domain::{CityIx, Mobility, Worker};
use crate::mutants;
use crate::preferences::Terms;

/// What one query computes and the next overwrites.
pub(super) struct Scratch {
    /// Stamps what belongs to the present query.
    epoch: u32,
    levels: Vec<u8>,
    /// By profile: the accepted fit, `None` if refused.
    fits: Vec<(u32, Option<u32>)>,
    /// By home: the least one-off cost of a move from there, once somebody asked.
    least_moves: Vec<Option<i64>>,
    /// What queries with this scratch have cost.
    pub counters: Counters,
    /// By city: what a move there costs the worker a year, and the rest.
    annual: Vec<(u32, i64)>,
    cities: Vec<(u32, Locality)>,
}

/// What a city is to the worker who asks.
#[derive(Clone, Copy)]
struct Locality {
    local: bool,
    annual: i64,
    floor: i64,
    asking: i64,
    bar: Bid,
}

impl Scratch {
    pub fn of(index: &Index) -> Self {
        let nowhere = Locality { local: false, annual: 0, floor: 0, asking: 0, bar: Bid::NONE };
        Self {
            epoch: 0,
            levels: vec![0; index.skills.max(1)],
            fits: vec![(0, None); index.fitting.profiles.len()],
            least_moves: vec![None; index.problem.geography.cities.len()],
            counters: Counters::default(),
            annual: vec![(0, 0); index.problem.geography.cities.len()],
            cities: vec![(0, nowhere); index.problem.geography.cities.len()],
        }
    }

    fn open(&mut self, worker: &Worker) {
        if self.epoch == u32::MAX {
            self.fits.iter_mut().for_each(|(epoch, _)| *epoch = 0);
            self.annual.iter_mut().for_each(|(epoch, _)| *epoch = 0);
            self.cities.iter_mut().for_each(|(epoch, _)| *epoch = 0);
            self.epoch = 0;
        }
        self.epoch += 1;
        self.spread(worker, |level| level);
    }

    fn close(&mut self, worker: &Worker) {
        self.spread(worker, |_| 0);
    }

    fn spread(&mut self, worker: &Worker, level: impl Fn(u8) -> u8) {
        for entry in &worker.skills {
            if let Some(slot) = self.levels.get_mut(entry.skill.at()) {
                *slot = level(entry.level);
            }
        }
    }
}

impl Engine<'_> {
    /// The best acceptable vacancy that would take worker `w` now, and that she
    /// strictly prefers to what she holds.
    pub fn demand(&mut self, w: u32) -> Option<Offer> {
        demand(&self.index, &self.seats, &mut self.scratch, w)
    }
}

/// The query itself. It reads index and seats and writes only its scratch, so that
/// several threads may ask at once.
pub(super) fn demand(index: &Index, seats: &Seats, scratch: &mut Scratch, w: u32) -> Option<Offer> {
    scratch.counters.queries += 1;
    let worker = &*index.problem.workers[w as usize].worker;
    let travels = worker.ranking.is_none() && matches!(worker.mobility, Mobility::Any);
    let least_move = if travels {
        *scratch.least_moves[worker.home.at()].get_or_insert_with(|| index.least_move(worker.home))
    } else {
        0
    };
    scratch.open(worker);
    let mut search = Search::of(index, seats, scratch, w, least_move);
    match &worker.ranking {
        Some(_) => search.walk_ranking(),
        None => search.search(),
    }
    let (offer, evaluations) = (search.offer, search.evaluations);
    scratch.counters.evaluations += evaluations;
    scratch.close(worker);
    offer
}

/// One query.
struct Search<'e, 'p> {
    index: &'e Index<'p>,
    seats: &'e Seats,
    scratch: &'e mut Scratch,
    terms: Terms<'p>,
    worker: &'p Worker,
    w: u32,
    rank: u32,
    /// What a move away from home costs at least, a year.
    least_annual: i64,
    /// The reservation and the expected salary at the reference cost of living.
    reserve: i64,
    /// The least real salary that a vacancy away from home can have.
    need_away: i64,
    fit_worth_max: i64,
    best: Worth,
    offer: Option<Offer>,
    evaluations: u64,
}

impl<'e, 'p> Search<'e, 'p> {
    fn of(
        index: &'e Index<'p>,
        seats: &'e Seats,
        scratch: &'e mut Scratch,
        w: u32,
        least_move: i64,
    ) -> Self {
        let terms = index.terms();
        let worker = &*index.problem.workers[w as usize].worker;
        let least_annual = terms.annual_cost(least_move, worker.cost_percent);
        let reserve = terms.real_salary(worker.reservation_salary, worker.home);
        let expected = terms.real_salary(worker.expected_salary, worker.home);
        Self {
            index,
            seats,
            scratch,
            terms,
            worker,
            w,
            rank: index.ranks.worker[w as usize],
            least_annual,
            reserve,
            need_away: least_real(&terms, reserve, expected, least_annual),
            fit_worth_max: terms.fit_worth(FIT_MAX),
            best: seats.worth_of(index, w),
            offer: None,
            evaluations: 0,
        }
    }

    /// Computed preferences: ranked vacancies that name her, home, then elsewhere.
    fn search(&mut self) {
        if !mutants::active("ranked-vacancies-forgotten") {
            self.search_naming();
        }
        self.search_city(self.worker.home);
        match &self.worker.mobility {
            Mobility::HomeOnly => {}
            Mobility::Listed(cities) => {
                for city in cities.iter().filter(|city| **city != self.worker.home) {
                    self.search_city(*city);
                }
            }
            Mobility::Any => self.search_away(),
        }
    }

    /// Her own ranking: the first vacancy on it that takes her.
    fn walk_ranking(&mut self) {
        for (position, place) in self.index.rankings.of_worker(self.w) {
            let value = -i64::from(*position);
            if Worth::new(value, self.index.rank[*place as usize]) <= self.best {
                return;
            }
            self.evaluations += 1;
            let Some(score) = self.score_at(*place) else { continue };
            if self.consider(*place, value, score) {
                return;
            }
        }
    }

    /// Her score at a place, however it ranks; `None` if it refuses her.
    fn score_at(&mut self, place: u32) -> Option<i64> {
        if self.index.bucket[place as usize] == NOWHERE {
            let position = self.index.rankings.position_of_worker(self.w, place)?;
            return Some(i64::from(FIT_MAX) - i64::from(position));
        }
        let locality = self.locality(self.index.city(place));
        let fit = self.accepted_fit(self.index.profile[place as usize])?;
        self.score(&locality, fit, self.index.salary[place as usize])
    }

    /// Ranked vacancies that name her: their order is given, hers is computed.
    fn search_naming(&mut self) {
        for (place, position) in self.index.rankings.naming(self.w) {
            let city = self.index.city(*place);
            let locality = self.locality(city);
            let salary = self.index.salary[*place as usize];
            if !self.worker.would_live_in(city) || salary < locality.floor {
                continue;
            }
            self.evaluations += 1;
            let profile = self.index.profile[*place as usize] as usize;
            let fitting = &self.index.fitting;
            let fit = fitting.fit(&fitting.profiles[profile], &Sheet(&self.scratch.levels));
            let value = self.index.real[*place as usize] - locality.annual + self.fit_worth(fit);
            if Worth::new(value, self.index.rank[*place as usize]) > self.best {
                self.consider(*place, value, i64::from(FIT_MAX) - i64::from(*position));
            }
        }
    }

    /// Takes note of a vacancy that she wants more than the best so far, if it admits her.
    fn consider(&mut self, place: u32, value: i64, score: i64) -> bool {
        let key = Key::new(score, self.rank);
        let bar = self.locality(self.index.city(place)).bar;
        let admitted = self.seats.admits(self.index, place, key, bar)
            && !self.index.has_declined(self.w, place);
        if admitted {
            self.best = Worth::new(value, self.index.rank[place as usize]);
            self.offer = Some(Offer { place, value, key });
        }
        admitted
    }

    fn search_city(&mut self, city: CityIx) {
        let index = self.index;
        let best = Key::new(self.terms.score(FIT_MAX, 0, city == self.worker.home), self.rank);
        for door in index.cells_of(city) {
            if door.top_real + self.fit_worth_max < self.best.value || door.top_real < self.reserve
            {
                return;
            }
            if !door.lets_in(&self.scratch.levels) || best <= self.seats.cell_floor(door.node) {
                continue;
            }
            if let Some(fit) = self.family_fit(index.cells[door.node as usize].list) {
                self.search_cell(door.node, fit);
            }
        }
    }

    /// All cities but home, by family.
    fn search_away(&mut self) {
        let index = self.index;
        self.search_families(index.families_ungated());
        for entry in &self.worker.skills {
            self.search_families(index.families_gated_by(entry.skill));
        }
    }

    fn search_families(&mut self, families: &[Door]) {
        let best = Key::new(i64::from(FIT_MAX), self.rank);
        for door in families {
            let net = door.top_real - self.least_annual;
            if door.top_real < self.need_away || net + self.fit_worth_max < self.best.value {
                return;
            }
            if !door.lets_in(&self.scratch.levels) || best <= self.seats.family_floor(door.node) {
                continue;
            }
            let node = &self.index.families[door.node as usize];
            let Some(fit) = self.family_fit(node.list) else { continue };
            let hopeless =
                Key::new(i64::from(fit), self.rank) <= self.seats.family_floor(door.node);
            if !hopeless && net + self.fit_worth(fit) >= self.best.value {
                self.search_family(node, fit);
            }
        }
    }

    fn search_family(&mut self, family: &Node, fit: u32) {
        let fit_worth = self.fit_worth(fit);
        let worth = fit_worth - self.least_annual;
        for cell in family.inside.clone() {
            let node = &self.index.cells[cell as usize];
            if node.top_real < self.need_away || node.top_real + worth < self.best.value {
                return;
            }
            let hopeless = Key::new(i64::from(fit), self.rank) <= self.seats.cell_floor(cell);
            if hopeless || node.city == self.worker.home {
                continue;
            }
            let net = node.top_real - self.annual(node.city);
            if net >= self.reserve && net + fit_worth >= self.best.value {
                self.search_cell(cell, fit);
            }
        }
    }

    /// A cell, in which nobody's fit exceeds `fit_bound` for this worker.
    fn search_cell(&mut self, cell: u32, fit_bound: u32) {
        let node = &self.index.cells[cell as usize];
        let locality = self.locality(node.city);
        let net = |real: i64, fit_worth: i64| real - locality.annual + fit_worth;
        let bound = match mutants::active("value-bound-too-tight") {
            false => self.fit_worth(fit_bound),
            true => self.fit_worth(fit_bound) - 100,
        };
        if node.top_salary < locality.floor || net(node.top_real, bound) < self.best.value {
            return;
        }
        let Some(score) = self.score(&locality, fit_bound, node.top_salary) else { return };
        let key = Key::new(score, self.rank);
        if key <= self.seats.cell_floor(cell) || key < locality.bar.key {
            return;
        }
        for bucket in node.inside.clone() {
            let node = &self.index.buckets[bucket as usize];
            if net(node.top_real, bound) < self.best.value {
                return;
            }
            if key > self.seats.bucket_floor(bucket) {
                self.search_bucket(bucket, &locality);
            }
        }
    }

    /// A bucket: value falls with the salary, so the first that admits her is the best.
    /// Equal postings may fill a bucket by the thousand; most that are full are passed over
    /// a block at a time.
    fn search_bucket(&mut self, bucket: u32, locality: &Locality) {
        let node = &self.index.buckets[bucket as usize];
        let Some(fit) = self.accepted_fit(node.list) else { return };
        let fit_worth = self.fit_worth(fit);
        let Some(score) = self.score(locality, fit, node.top_salary) else { return };
        let best_key = Key::new(score, self.rank);
        if best_key <= self.seats.bucket_floor(bucket) {
            return;
        }
        let mut next = node.inside.start;
        while next < node.inside.end {
            let place = next;
            if self.seats.block_refuses(place, best_key) {
                next += BLOCK;
                continue;
            }
            next += 1;
            let (real, salary) =
                (self.index.real[place as usize], self.index.salary[place as usize]);
            let value = real - locality.annual + fit_worth;
            let worth = Worth::new(value, self.index.rank[place as usize]);
            if worth <= self.best || real - locality.annual < self.reserve {
                return;
            }
            if salary < locality.floor {
                continue;
            }
            self.evaluations += 1;
            let Some(score) = self.score(locality, fit, salary) else { continue };
            if self.consider(place, value, score) {
                return;
            }
        }
    }

    /// An upper bound on her fit to every profile of a family; `None` if all refuse her.
    fn family_fit(&mut self, family: u32) -> Option<u32> {
        let fitting = &self.index.fitting;
        fitting.accepted_fit(&fitting.families[family as usize], &Sheet(&self.scratch.levels))
    }

    fn accepted_fit(&mut self, profile: u32) -> Option<u32> {
        let (epoch, fit) = self.scratch.fits[profile as usize];
        if epoch == self.scratch.epoch {
            return fit;
        }
        self.evaluations += 1;
        let fitting = &self.index.fitting;
        let list = &fitting.profiles[profile as usize];
        let fit = fitting.accepted_fit(list, &Sheet(&self.scratch.levels));
        self.scratch.fits[profile as usize] = (self.scratch.epoch, fit);
        fit
    }

    /// Her score for a fit and a salary; `None` if she would ask for too much more.
    fn score(&self, locality: &Locality, fit: u32, salary: i64) -> Option<i64> {
        let shortfall = Terms::shortfall_bp(locality.asking, salary);
        let accepted = shortfall <= i64::from(self.terms.settings.max_shortfall_bp);
        accepted.then(|| self.terms.score(fit, shortfall, locality.local))
    }

    #[inline]
    fn fit_worth(&self, fit: u32) -> i64 {
        self.terms.fit_worth(fit)
    }

    /// What a move to the city costs her a year.
    #[inline]
    fn annual(&mut self, city: CityIx) -> i64 {
        let (epoch, known) = self.scratch.annual[city.at()];
        if epoch == self.scratch.epoch {
            return known;
        }
        let annual = self.terms.annual_move(self.worker, city);
        self.scratch.annual[city.at()] = (self.scratch.epoch, annual);
        annual
    }

    fn locality(&mut self, city: CityIx) -> Locality {
        let (epoch, known) = self.scratch.cities[city.at()];
        if epoch == self.scratch.epoch {
            return known;
        }
        let annual = self.annual(city);
        let home = self.worker.home;
        let salary = |salary| self.terms.equivalent_salary(salary, home, city, annual);
        let locality = Locality {
            local: city == home,
            annual,
            floor: salary(self.worker.reservation_salary),
            asking: salary(self.worker.expected_salary),
            bar: self.seats.city_bar(self.index, city),
        };
        self.scratch.cities[city.at()] = (self.scratch.epoch, locality);
        locality
    }
}

/// A bound from below on the real salary of every acceptable vacancy away from home.
///
/// The floor salary `s` satisfies `1000 s/κ >= 1000 reservation/κ_home + annual`, the
/// asking salary likewise, and the shortfall allows salaries above
/// `asking * 10000 / (10001 + max_shortfall)`; rounding down keeps all of it a bound.
fn least_real(terms: &Terms, reserve: i64, expected: i64, least_annual: i64) -> i64 {
    let asked = i128::from(expected) + i128::from(least_annual);
    let allowed = 10_001 + i128::from(terms.settings.max_shortfall_bp);
    let by_vacancy = (asked * 10_000 / allowed) as i64;
    by_vacancy.max(reserve + least_annual)
}

//! The first primitive: the best vacancy that would take a worker now.
//!
//! Because cutoffs only rise while workers propose, a vacancy that would refuse her
//! now refuses her for ever: passing over it is exact, and there is no list to keep
//! and no cursor to store. The search goes down the index's hierarchy and leaves a
//! node as soon as its best salary cannot beat the best so far, or the best score that
//! she could have there cannot beat its least cutoff.
//!
//! It brings home not only the best but the best few (a [`Menu`]): if she loses the
//! first, the next that still stands is her best, without another search. Workers of one
//! craft who ask one after the other share much of it (`lens`).

mod menu;
mod viewing;

pub(super) use menu::Menu;

use super::fitting::Sheet;
use super::index::{Index, NOWHERE, Place, Sight};
use super::kernels::{Bounds, LANES, Levels, SKILLS, lanes};
use super::key::{Bid, Key, Worth};
use super::lens::Lens;
use super::moves::Moves;
use super::outcome::{Counters, Offer};
use super::screens::{Screens, Shift, fit_of};
use super::standing::{BLOCK, Standing};
use crate::domain::limits::FIT_MAX;
use crate::domain::{CityIx, Mobility, Worker};
use crate::mutants;
use crate::preferences::Terms;
use menu::{All, Basket, Best};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

/// What a worker asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    /// Who asks.
    pub worker: u32,
    /// Nothing that is worth more takes her.
    pub below: i64,
    /// How many offers she brings home, at most.
    pub room: usize,
}

impl Question {
    /// For the best of all.
    pub fn of(worker: u32) -> Self {
        Self { worker, below: i64::MAX, room: 1 }
    }
}

/// Screens of a city, or of a lens, that are looked at together.
const BLOCKS_AHEAD: usize = 4;

/// Where a search may go on, and what it could find there at best.
#[derive(Clone, Copy)]
struct Front {
    /// No value from here on is greater.
    reach: i64,
    node: Node,
    /// The next part of the node: a screen, or a place.
    from: u32,
    /// The bound on her fit, in a cell.
    fit: u16,
}

#[derive(Clone, Copy)]
enum Node {
    City(CityIx),
    /// What came later in a city.
    Late(CityIx),
    /// A city through the lens, or all of them.
    View(Option<CityIx>),
    Cell(u32),
}

impl PartialEq for Front {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Front {}

impl PartialOrd for Front {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Front {
    /// In a total order, so that what is looked at does not depend on what else there is;
    /// what may hold further cells comes before cells.
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |front: &Self| match front.node {
            Node::City(_) | Node::Late(_) | Node::View(_) => NOWHERE,
            Node::Cell(cell) => cell,
        };
        self.reach.cmp(&other.reach).then_with(|| number(self).cmp(&number(other)))
    }
}

/// What one query computes and the next overwrites.
pub(super) struct Scratch {
    fronts: BinaryHeap<Front>,
    /// Stamps what belongs to the present query.
    epoch: u32,
    levels: Vec<u8>,
    /// The same as the screens number them.
    numbered: Levels,
    bounds: Bounds,
    /// For many who ask one after the other, while cutoffs stand still.
    lens: Lens,
    /// By home of those who would move anywhere: to each city.
    moves: Moves,
    /// By city: what it is to the worker.
    cities: Vec<(u32, Locality)>,
    /// What queries with this scratch have cost.
    pub counters: Counters,
}

/// What a city is to the worker who asks.
#[derive(Clone, Copy)]
struct Locality {
    local: bool,
    /// What a move there costs her a year.
    annual: i64,
    /// The salary below which one side refuses.
    least: i64,
    /// The salary below which she asks for more than is paid.
    asking: i64,
    bar: Bid,
}

impl Scratch {
    pub fn of(index: &Index) -> Self {
        let nowhere = Locality { local: false, annual: 0, least: 0, asking: 0, bar: Bid::NONE };
        Self {
            fronts: BinaryHeap::new(),
            epoch: 0,
            levels: vec![0; index.skills.max(1)],
            numbered: Levels([0; SKILLS]),
            bounds: Bounds([0; LANES]),
            lens: Lens::among(index.quarters.len()),
            moves: Moves::among(index.quarters.len()),
            cities: vec![(0, nowhere); index.problem.geography.cities.len()],
            counters: Counters::default(),
        }
    }

    fn open(&mut self, index: &Index, worker: &Worker) {
        self.levels.resize(index.skills.max(self.levels.len()), 0);
        if self.epoch == u32::MAX {
            self.cities.iter_mut().for_each(|(epoch, _)| *epoch = 0);
            self.epoch = 0;
        }
        self.epoch += 1;
        self.spread(worker, |level| level);
        self.numbered = index.numbering.levels(worker);
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

/// The query itself: fills the menu with the best offers. It reads index and standing
/// and writes only its scratch and the menu, so that several threads may ask at once.
pub(super) fn demand<S: Standing>(
    index: &Index,
    standing: &S,
    scratch: &mut Scratch,
    question: Question,
    menu: &mut Menu,
) {
    menu.clear(standing.worth_of(index, question.worker), question.room);
    search(index, standing, scratch, question, menu);
}

/// The best offer that worker `w` would rather have than what she holds.
pub(super) fn best<S: Standing>(
    index: &Index,
    standing: &S,
    scratch: &mut Scratch,
    w: u32,
) -> Option<Offer> {
    let mut best = Best { offer: None, threshold: standing.worth_of(index, w) };
    search(index, standing, scratch, Question::of(w), &mut best);
    best.offer
}

/// `demand` for workers who have the same skills, in a layout to which nothing was added:
/// what is made of the menu of each, in their order.
pub(super) fn demand_together<S: Standing, T>(
    index: &Index,
    standing: &S,
    scratch: &mut Scratch,
    group: &[Question],
    made_of: impl Fn(&Question, &Menu) -> T,
) -> Vec<T> {
    scratch.focus(index, group);
    let mut menu = Menu::new();
    let answer = |question: &Question| {
        demand(index, standing, scratch, *question, &mut menu);
        made_of(question, &menu)
    };
    let answers = group.iter().map(answer).collect();
    scratch.blur();
    answers
}

/// All vacancies that `standing` lets worker `w` into and that are worth more to her than
/// `threshold`, in no order.
pub(super) fn demand_all<S: Standing>(
    index: &Index,
    standing: &S,
    scratch: &mut Scratch,
    w: u32,
    threshold: Worth,
) -> Vec<Offer> {
    let mut all = All { offers: Vec::new(), threshold };
    search(index, standing, scratch, Question::of(w), &mut all);
    all.offers
}

fn search<S: Standing, B: Basket>(
    index: &Index,
    standing: &S,
    scratch: &mut Scratch,
    Question { worker: w, below, .. }: Question,
    basket: &mut B,
) {
    scratch.counters.queries += 1;
    let worker = &*index.problem.workers[w as usize].worker;
    scratch.open(index, worker);
    let mut search = Search {
        index,
        standing,
        terms: index.terms(),
        worker,
        w,
        rank: index.ranks.worker(w),
        fit_worth_max: index.terms().fit_worth(FIT_MAX),
        away: Away::default(),
        below,
        basket,
        last_fit: (NOWHERE, None),
        evaluations: 0,
        scratch,
    };
    match &worker.ranking {
        Some(_) => search.walk_ranking(),
        None => search.search(),
    }
    let evaluations = search.evaluations;
    scratch.counters.evaluations += evaluations;
    scratch.close(worker);
}

/// One query.
struct Search<'e, 'p, S, B> {
    index: &'e Index<'p>,
    standing: &'e S,
    scratch: &'e mut Scratch,
    terms: Terms<'p>,
    worker: &'p Worker,
    w: u32,
    rank: u32,
    fit_worth_max: i64,
    away: Away,
    /// Nothing that is worth more takes her.
    below: i64,
    basket: &'e mut B,
    /// The profile that was looked at last, and the accepted fit; `None` if it refused.
    last_fit: (u32, Option<u32>),
    evaluations: u64,
}

impl<S: Standing, B: Basket> Search<'_, '_, S, B> {
    /// Computed preferences: ranked vacancies that name her, home, then elsewhere.
    fn search(&mut self) {
        if !mutants::active("ranked-vacancies-forgotten") {
            self.search_naming();
        }
        self.open(self.worker.home);
        match &self.worker.mobility {
            Mobility::HomeOnly => {}
            Mobility::Listed(cities) => cities.iter().for_each(|city| self.open_away(*city)),
            Mobility::Any => self.open_all(),
        }
        self.advance();
    }

    /// A city that is not her home.
    fn open_away(&mut self, city: CityIx) {
        if city != self.worker.home {
            self.open(city);
        }
    }

    /// All of a city.
    fn open(&mut self, city: CityIx) {
        match self.is_shown(Some(city)) {
            true => self.open_view(Some(city)),
            false => self.open_city(city, 0),
        }
        let annual = self.locality(city).annual;
        self.open_late(city, annual);
    }

    /// What came later in a city.
    fn open_late(&mut self, city: CityIx, annual: i64) {
        let quarter = &self.index.quarters[city.at()];
        if !quarter.late.is_empty() && !mutants::active("late-vacancies-unseen") {
            self.push(Node::Late(city), 0, 0, quarter.late_top - annual + self.fit_worth_max);
        }
    }

    /// All cities but home: through the lens, or one by one, where what a city is to her is
    /// reckoned when it is its turn.
    fn open_all(&mut self) {
        let (terms, home) = (&self.terms, self.worker.home);
        let (least, most) = self.scratch.moves.range(home, |city| terms.move_cost(home, city));
        self.away = Away::of(terms, self.worker, least, most);
        if self.is_shown(None) {
            return self.open_view(None);
        }
        for city in (0..self.index.quarters.len()).map(CityIx::from_offset) {
            if city == home {
                continue;
            }
            let annual = self.annual_away(city);
            let cells = self.index.quarters[city.at()].cells.clone();
            let first = self.index.cells[cells.start as usize..cells.end as usize].first();
            let enough = |real: &i64| *real - annual >= self.away.reserve;
            if let Some(top_real) = first.map(|cell| cell.top_real).filter(enough) {
                self.push(Node::City(city), 0, 0, top_real - annual + self.fit_worth_max);
            }
            self.open_late(city, annual);
        }
    }

    /// Her own ranking: the first vacancies on it that take her.
    fn walk_ranking(&mut self) {
        for (position, place) in self.index.rankings.of_worker(self.w) {
            let value = -i64::from(*position);
            if Worth::new(value, self.index.places[*place as usize].rank) <= self.basket.threshold()
            {
                return;
            }
            self.evaluations += 1;
            if let Some(score) = self.score_at(*place) {
                self.consider(*place, value, score);
            }
        }
    }

    /// Her score at a place, however it ranks; `None` if it refuses her.
    fn score_at(&mut self, place: u32) -> Option<i64> {
        if self.index.places[place as usize].cell == NOWHERE {
            let position = self.index.rankings.position_of_worker(self.w, place)?;
            return Some(i64::from(FIT_MAX) - i64::from(position));
        }
        let city = self.index.city(place);
        let asking = self.terms.asking_salary(self.worker, city);
        let fit = self.accepted_fit(self.index.places[place as usize].profile)?;
        let shortfall = Terms::shortfall_bp(asking, self.index.places[place as usize].salary);
        let accepted = shortfall <= i64::from(self.terms.settings.max_shortfall_bp);
        accepted.then(|| self.terms.score(fit, shortfall, city == self.worker.home))
    }

    /// Ranked vacancies that name her: their order is given, hers is computed.
    fn search_naming(&mut self) {
        for (place, position) in self.index.rankings.naming(self.w) {
            let city = self.index.city(*place);
            let salary = self.index.places[*place as usize].salary;
            let floor = self.terms.floor_salary(self.worker, city);
            if !self.worker.would_live_in(city) || salary < floor {
                continue;
            }
            self.evaluations += 1;
            let profile = self.index.places[*place as usize].profile as usize;
            let fitting = &self.index.fitting;
            let fit = fitting.fit(&fitting.profiles[profile], &Sheet(&self.scratch.levels));
            let annual = self.terms.annual_move(self.worker, city);
            let value =
                self.index.places[*place as usize].real - annual + self.terms.fit_worth(fit);
            if Worth::new(value, self.index.places[*place as usize].rank) > self.basket.threshold()
            {
                self.consider(*place, value, i64::from(FIT_MAX) - i64::from(*position));
            }
        }
    }

    /// Takes note of a vacancy that is worth more than the threshold, if it admits her.
    fn consider(&mut self, place: u32, value: i64, score: i64) {
        let key = Key::new(score, self.rank);
        let (city, own) = (self.index.city(place), self.standing.own(place..place + 1)[0]);
        let sight = Sight::of(place, &self.index.places[place as usize], city, own);
        let bar = self.standing.city_bar(self.index, city);
        self.consider_against(&sight, Worth::new(value, sight.rank), key, bar);
    }

    #[inline]
    fn consider_against(&mut self, sight: &Sight, worth: Worth, key: Key, bar: Bid) {
        let admitted = self.standing.admits(self.index, sight, key, bar)
            && !self.index.has_declined(self.w, sight.place);
        if admitted {
            self.basket.take(worth, Offer { place: sight.place, value: worth.value, key });
        }
    }

    /// Goes on with the most promising front until none promises more than the best few.
    fn advance(&mut self) {
        while let Some(front) = self.scratch.fronts.pop() {
            if front.reach < self.basket.threshold().value {
                break;
            }
            match front.node {
                Node::City(city) => self.search_city(city, front.from),
                Node::Late(city) => self.search_late(city),
                Node::View(city) => self.search_view(city, front.from as usize),
                Node::Cell(cell) => self.search_cell(cell, front),
            }
        }
        self.scratch.fronts.clear();
    }

    fn push(&mut self, node: Node, from: u32, fit: u32, reach: i64) {
        if reach >= self.basket.threshold().value {
            self.scratch.fronts.push(Front { reach, node, from, fit: fit as u16 });
        }
    }

    /// The cells of a city from screen number `block` on.
    fn open_city(&mut self, city: CityIx, block: u32) {
        let index = self.index;
        let quarter = &index.quarters[city.at()];
        if block as usize == quarter.screens.blocks() {
            return;
        }
        let locality = self.locality(city);
        let first = &index.cells[quarter.cells.start as usize + block as usize * LANES];
        let best = Key::new(self.terms.score(FIT_MAX, 0, locality.local), self.rank);
        if first.top_salary >= locality.least && best >= locality.bar.key {
            let reach = first.top_real - locality.annual + self.fit_worth_max;
            self.push(Node::City(city), block, 0, reach);
        }
    }

    fn search_city(&mut self, city: CityIx, block: u32) {
        let index = self.index;
        let quarter = &index.quarters[city.at()];
        let locality = self.locality(city);
        let end = quarter.screens.blocks().min(block as usize + BLOCKS_AHEAD);
        for block in block as usize..end {
            if quarter.tops[block].bottom - locality.annual > self.below {
                continue;
            }
            let passed = self.screen(&quarter.screens, block);
            for lane in lanes(passed) {
                let number = quarter.cells.start + (block * LANES + lane) as u32;
                let fit = fit_of(&self.scratch.bounds, lane);
                let best = self.terms.score(fit, 0, locality.local);
                // Most cells are passed over for this, without a look at them.
                if Key::new(best, self.rank) <= self.standing.cell_floor(number) {
                    continue;
                }
                if index.cells[number as usize].top_salary < locality.least {
                    return;
                }
                self.open_cell(number, fit, &locality);
            }
        }
        self.open_city(city, end as u32);
    }

    fn search_late(&mut self, city: CityIx) {
        let quarter = &self.index.quarters[city.at()];
        let locality = self.locality(city);
        for block in 0..quarter.late_screens.blocks() {
            let passed = self.screen(&quarter.late_screens, block);
            for lane in lanes(passed) {
                let fit = fit_of(&self.scratch.bounds, lane);
                self.open_cell(quarter.late[block * LANES + lane], fit, &locality);
            }
        }
    }

    /// A cell in which her fit is `fit` at most.
    fn open_cell(&mut self, number: u32, fit: u32, locality: &Locality) {
        let cell = &self.index.cells[number as usize];
        let bound = match mutants::active("value-bound-too-tight") {
            false => self.terms.fit_worth(fit) - locality.annual,
            true => self.terms.fit_worth(fit) - locality.annual - 100,
        };
        let reach = cell.top_real + bound;
        if cell.top_salary < locality.least || reach < self.basket.threshold().value {
            return;
        }
        let shortfall = Terms::shortfall_bp(locality.asking, cell.top_salary);
        let key = Key::new(self.terms.score(fit, shortfall, locality.local), self.rank);
        if key > self.standing.cell_floor(number) && key >= locality.bar.key {
            self.push(Node::Cell(number), cell.places.start, fit, reach);
        }
    }

    /// The places of a cell, as long as no other front promises more.
    fn search_cell(&mut self, number: u32, front: Front) {
        let index = self.index;
        let cell = &index.cells[number as usize];
        let locality = self.locality(cell.city);
        let fit = u32::from(front.fit);
        let bound = front.reach - index.places[front.from as usize].real;
        let mut from = front.from;
        while from < cell.places.end {
            let Place { real, salary, .. } = index.places[from as usize];
            if salary < locality.least || real + bound < self.basket.threshold().value {
                return;
            }
            if real - locality.annual > self.below {
                from += 1;
                continue;
            }
            let rest = Front { reach: real + bound, from, ..front };
            if self.scratch.fronts.peek().is_some_and(|rival| rest < *rival) {
                self.scratch.fronts.push(rest);
                return;
            }
            let shortfall = Terms::shortfall_bp(locality.asking, salary);
            let key = Key::new(self.terms.score(fit, shortfall, locality.local), self.rank);
            if self.standing.block_refuses(from, key) {
                from += BLOCK;
                continue;
            }
            let places = from..cell.places.end.min((from / BLOCK + 1) * BLOCK);
            let own = self.standing.own(places.clone());
            let open = index.kernels.beaten(own, key);
            if open == 0 {
                from = places.end;
            } else if open & 1 == 0 {
                from += open.trailing_zeros();
            } else {
                let at = &index.places[from as usize];
                let sight = Sight::of(from, at, cell.city, own[0]);
                self.evaluate(&sight, &locality, shortfall);
                from += 1;
            }
        }
    }

    /// One place, to the last unit; she would have that shortfall there.
    fn evaluate(&mut self, sight: &Sight, locality: &Locality, shortfall: i64) {
        let Some(fit) = self.accepted_fit(sight.profile) else { return };
        let value = sight.real - locality.annual + self.terms.fit_worth(fit);
        let worth = Worth::new(value, sight.rank);
        if worth <= self.basket.threshold() || value > self.below {
            return;
        }
        let key = Key::new(self.terms.score(fit, shortfall, locality.local), self.rank);
        self.consider_against(sight, worth, key, locality.bar);
    }

    #[inline]
    fn screen(&mut self, screens: &Screens, block: usize) -> u64 {
        let Scratch { numbered, bounds, .. } = &mut *self.scratch;
        screens.screen(block, self.index.kernels, numbered, bounds, Shift::NONE)
    }

    /// Her fit to a profile, if it accepts her. Where many vacancies ask for the same, they
    /// stand side by side, so the last fit is remembered.
    #[inline]
    fn accepted_fit(&mut self, profile: u32) -> Option<u32> {
        if self.last_fit.0 != profile {
            self.evaluations += 1;
            let fitting = &self.index.fitting;
            let list = &fitting.profiles[profile as usize];
            self.last_fit = (profile, fitting.accepted_fit(list, &Sheet(&self.scratch.levels)));
        }
        self.last_fit.1
    }

    fn locality(&mut self, city: CityIx) -> Locality {
        let (epoch, known) = self.scratch.cities[city.at()];
        if epoch == self.scratch.epoch {
            return known;
        }
        let (worker, terms) = (self.worker, &self.terms);
        let annual = match worker.mobility {
            Mobility::Any if city != worker.home => self.annual_away(city),
            _ => terms.annual_move(worker, city),
        };
        let salary = |salary| terms.equivalent_salary(salary, worker.home, city, annual);
        let asking = salary(worker.expected_salary);
        let locality = Locality {
            local: city == worker.home,
            annual,
            least: salary(worker.reservation_salary).max(terms.least_salary(asking)),
            asking,
            bar: self.standing.city_bar(self.index, city),
        };
        self.scratch.cities[city.at()] = (self.scratch.epoch, locality);
        locality
    }
}

/// What holds wherever she moves.
#[derive(Default)]
struct Away {
    /// What a move costs her at least, a year.
    least_annual: i64,
    /// And at most.
    most_annual: i64,
    /// What must be left of a real salary after the move.
    reserve: i64,
    /// The least real salary that can be acceptable to both sides.
    need: i64,
    /// What she asks for at home, in real terms; and what part of it, a move's costs included,
    /// a vacancy must pay that does not find her too dear.
    asked: i64,
    paid: f64,
    /// What each unit of a move's cost is to her a year.
    rate: f64,
}

impl Away {
    fn of(terms: &Terms, worker: &Worker, least: i64, most: i64) -> Self {
        let least_annual = terms.annual_cost(least, worker.cost_percent);
        let most_annual = terms.annual_cost(most, worker.cost_percent);
        let reserve = terms.real_salary(worker.reservation_salary, worker.home);
        let years = f64::from(terms.settings.horizon_years);
        Self {
            least_annual,
            most_annual,
            reserve,
            need: terms.least_real_away(worker, least_annual),
            asked: terms.real_salary(worker.expected_salary, worker.home),
            paid: 10_000.0 / (10_001.0 + f64::from(terms.settings.max_shortfall_bp)),
            rate: f64::from(worker.cost_percent) / (100.0 * years),
        }
    }

    /// Bounds on [`Terms::annual_cost`] of a move that costs so much, without its division.
    #[inline]
    fn annual(&self, cost: i64) -> Range<i64> {
        // At most 2.1 * 10^15, of which rounding makes less than one.
        let about = (cost as f64 * self.rate) as i64;
        let fair = if mutants::active("way-too-long") { 0 } else { 100 };
        about + 99 - fair..about + 3
    }

    /// Whether a real salary, where a move costs so much a year at least, could be acceptable to
    /// both sides (see [`Terms::least_real_away`]).
    #[inline]
    fn could_do(&self, real: i64, annual: i64) -> bool {
        let unfair = if mutants::active("asked-too-much-away") { 100 } else { 0 };
        let asked = (self.asked + annual + unfair) as f64 * self.paid;
        real - annual >= self.reserve && real as f64 + 2.0 >= asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::{COST_PERCENT_MAX, HORIZON_YEARS_MAX};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::seeded::cases(20_000))]
        /// Goal: what a move costs a year lies within its bounds, which are four apart. Method:
        /// costs of any length up to the greatest, beside the formula in whole numbers.
        #[test]
        fn a_move_costs_about_as_much(
            cost in (0..=44_u32).prop_flat_map(|bits| 0..=21_000_000_000_000_i64 >> bits),
            percent in 0..=COST_PERCENT_MAX,
            horizon in 1..=HORIZON_YEARS_MAX,
        ) {
            let years = 100 * i128::from(horizon);
            let annual = (i128::from(cost) * i128::from(percent) + years - 1) / years;
            let rate = f64::from(percent) / (100.0 * f64::from(horizon));
            let about = Away { rate, ..Away::default() }.annual(cost);
            prop_assert!(i128::from(about.start) <= annual && annual <= i128::from(about.end));
            prop_assert!(about.end - about.start <= 4);
        }
    }
}

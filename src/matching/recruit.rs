//! The second primitive: the best worker who would come to a vacancy now.
//!
//! The search goes over groups of workers (see `roster`), those who could score best
//! first, and ends when no group could hold anybody better than it has. A vacancy keeps
//! the best few candidates of one scan. While workers only improve, whoever does not want
//! the vacancy now never will, so a candidate is passed over once and for all, and the
//! vacancy scans again, below the last one, only when the few are used up.

use super::crew::{Clerk, with_crew};
use super::fitting::AskList;
use super::index::{Index, NOWHERE};
use super::kernels::{Bounds, LANES, lanes};
use super::key::{Bid, Key, Worth};
use super::moves::Moves;
use super::outcome::{Counters, Recruit};
use super::roster::{Card, Roster, Sought};
use super::screens::{Call, bar, fit_of};
use super::seats::Seats;
use super::standing::Standing;
use crate::domain::limits::FIT_MAX;
use crate::domain::{Vacancy, Worker};
use crate::mutants;
use crate::preferences::Terms;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Candidates kept from one scan, per opening and at least and at most.
const KEPT_PER_OPENING: usize = 3;
const KEPT_MIN: usize = 4;
const KEPT_MAX: usize = 256;

/// Groups that are fetched before they are screened.
const GROUPS_AHEAD: usize = 8;

/// A worker's key at a vacancy, and the vacancy's value to the worker.
type Candidate = (Key, i64);

/// The candidates of one vacancy.
#[derive(Clone, Default)]
struct Shortlist {
    /// Worst first.
    ready: Vec<Candidate>,
    /// Every candidate with this key or a better one has been on the list.
    seen: Option<Key>,
    /// Nobody is left below.
    exhausted: bool,
}

/// Whom a vacancy would get, as far as its shortlist tells.
pub(super) enum Next {
    /// The best desirer.
    Found(Recruit),
    /// The shortlist is used up: scan.
    Unknown,
    /// There is none.
    Nobody,
}

/// What recruiting needs besides the index.
pub(super) struct Recruiting {
    roster: Roster,
    /// By place.
    shortlists: Vec<Shortlist>,
}

impl Recruiting {
    /// Files the workers; nothing is scanned yet.
    pub fn of(index: &Index, threads: usize) -> Self {
        let shortlists = vec![Shortlist::default(); index.places.len()];
        Self { roster: Roster::of(index, threads), shortlists }
    }

    /// A worker got a vacancy of that value, and will want none that is worth less.
    pub fn improved(&mut self, index: &Index, w: u32, value: i64) {
        self.roster.raise(w, value, need(index, value));
    }

    /// A worker holds a vacancy of that value, or none (`i64::MIN`), which may be less than
    /// she had.
    pub fn changed(&mut self, index: &Index, w: u32, value: i64) {
        match mutants::active("need-not-lowered") {
            false => self.roster.lower(index, w, value, need(index, value)),
            true => self.roster.raise(w, value, need(index, value)),
        }
    }

    /// Files the problem's last worker, who came later.
    pub fn add_worker(&mut self, index: &Index) {
        self.roster.add(index);
    }

    /// A worker is gone.
    pub fn remove_worker(&mut self, w: u32) {
        self.roster.remove(w);
    }

    /// A worker who was gone is back, holds nothing and is not who she was. Returns whether
    /// she is filed with those who came later.
    pub fn refile_worker(&mut self, index: &Index, w: u32, before: &Worker) -> bool {
        self.roster.refile(index, w, before)
    }

    /// The index has one more place.
    pub fn add_place(&mut self) {
        self.shortlists.push(Shortlist::default());
    }

    /// Workers may be worse off from now on: what a place knows of them is out of date.
    pub fn forget(&mut self, place: u32) {
        self.shortlists[place as usize] = Shortlist::default();
    }

    /// Whom the vacancy at `place` would get.
    pub fn next(&mut self, index: &Index, seats: &Seats, place: u32) -> Next {
        let vacancy_rank = index.places[place as usize].rank;
        let shortlist = &mut self.shortlists[place as usize];
        while let Some((key, value)) = shortlist.ready.last().copied() {
            let worker = index.ranks.worker_at(key.rank());
            let worth = Worth::new(value, vacancy_rank);
            if worth > seats.worth_of(index, worker) {
                return Next::Found(Recruit { worker, value, key });
            }
            shortlist.ready.pop();
            if mutants::active("stale-candidates") {
                return Next::Found(Recruit { worker, value, key });
            }
        }
        if shortlist.exhausted { Next::Nobody } else { Next::Unknown }
    }

    /// The best acceptable worker who strictly prefers the vacancy at `place`, whether or
    /// not it has room. The next below her would have a worse bid, so if she is refused
    /// all are.
    pub fn desirer(
        &mut self,
        index: &Index,
        seats: &Seats,
        desk: &mut Desk,
        place: u32,
        room: usize,
    ) -> Option<Recruit> {
        loop {
            match self.next(index, seats, place) {
                Next::Found(recruit) => return Some(recruit),
                Next::Nobody => return None,
                Next::Unknown => {
                    let found = self.scan(index, seats, desk, place, room);
                    self.keep(place, found);
                }
            }
        }
    }

    /// All desirers of a place, best first.
    pub fn desirers(
        &self,
        index: &Index,
        seats: &Seats,
        desk: &mut Desk,
        place: u32,
    ) -> Vec<Recruit> {
        let found = self.scan(index, seats, desk, place, usize::MAX).best;
        found.into_iter().rev().map(|candidate| recruit(index, candidate)).collect()
    }

    /// The best desirer of every one of some places.
    pub fn best_desirers(
        &self,
        index: &Index,
        seats: &Seats,
        threads: usize,
        places: &[u32],
    ) -> Vec<Option<Recruit>> {
        let clerk = Looking { index };
        let (found, _) =
            with_crew(&clerk, (self, seats), threads, |crew| crew.ask(places.to_vec()));
        found
    }

    /// Scans for the `room` best candidates of `place` below those it has seen.
    pub fn scan(
        &self,
        index: &Index,
        seats: &Seats,
        desk: &mut Desk,
        place: u32,
        room: usize,
    ) -> Found {
        desk.counters.queries += 1;
        let roster = &self.roster;
        let seen = self.shortlists[place as usize].seen;
        let below = seen.unwrap_or(Key::CLOSED);
        let mut scan = Scan::of(index, seats, roster, desk, place, room, below);
        if index.places[place as usize].cell == NOWHERE {
            scan.walk_ranking();
        } else {
            scan.look_at_wanting();
            scan.search();
        }
        let best = scan.best;
        let exhausted = best.len() < room || mutants::active("shortlist-never-refilled");
        let best = best.into_sorted_vec();
        Found { best: best.into_iter().rev().map(|Reverse(found)| found).collect(), exhausted }
    }

    /// Keeps what a scan has found.
    pub fn keep(&mut self, place: u32, found: Found) {
        let shortlist = &mut self.shortlists[place as usize];
        shortlist.seen = found.best.first().map(|(key, _)| *key).or(shortlist.seen);
        shortlist.ready = found.best;
        shortlist.exhausted = found.exhausted;
    }
}

/// Vacancies look for their best desirer.
struct Looking<'e, 'p> {
    index: &'e Index<'p>,
}

impl<'e> Clerk for Looking<'e, '_> {
    type State = (&'e Recruiting, &'e Seats);
    type Desk = Desk;
    type Question = u32;
    type Answer = Option<Recruit>;

    fn desk(&self, _: &Self::State) -> Desk {
        Desk::of(self.index)
    }

    fn answer(&self, state: &Self::State, desk: &mut Desk, &place: &u32) -> Option<Recruit> {
        let (recruiting, seats) = state;
        let found = recruiting.scan(self.index, seats, desk, place, 1).best;
        found.last().map(|candidate| recruit(self.index, *candidate))
    }
}

/// What a scan brings home.
pub(super) struct Found {
    /// Worst first.
    best: Vec<Candidate>,
    exhausted: bool,
}

/// A group of workers, and the best score that one of them could have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Front {
    score: i64,
    group: u32,
    pool: Pool,
}

/// A group of which those are known who could be wanted.
struct Screened {
    group: u32,
    pool: Pool,
    /// A bit for each of them.
    passed: u64,
    /// On their fits.
    bounds: Bounds,
}

/// Where a group stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pool {
    City,
    Movers,
    Listers,
}

/// What one scan computes and the next overwrites.
pub(super) struct Desk {
    fronts: BinaryHeap<Front>,
    /// By city: from each home.
    moves: Moves,
    /// What scans at this desk have cost.
    pub counters: Counters,
}

impl Desk {
    pub fn of(index: &Index) -> Self {
        Self {
            fronts: BinaryHeap::new(),
            moves: Moves::among(index.quarters.len()),
            counters: Counters::default(),
        }
    }
}

/// One scan for a vacancy's best candidates.
struct Scan<'e, 'p> {
    index: &'e Index<'p>,
    seats: &'e Seats,
    roster: &'e Roster,
    desk: &'e mut Desk,
    terms: Terms<'p>,
    place: u32,
    vacancy: &'p Vacancy,
    list: &'e AskList,
    real: i64,
    rank: u32,
    room: usize,
    below: Key,
    best: BinaryHeap<Reverse<Candidate>>,
}

impl<'e, 'p> Scan<'e, 'p> {
    fn of(
        index: &'e Index<'p>,
        seats: &'e Seats,
        roster: &'e Roster,
        desk: &'e mut Desk,
        place: u32,
        room: usize,
        below: Key,
    ) -> Self {
        let at = index.places[place as usize];
        let post = index.post(place);
        Self {
            index,
            seats,
            roster,
            desk,
            terms: index.terms(),
            place,
            vacancy: &post.vacancy,
            list: &index.fitting.profiles[at.profile as usize],
            real: at.real,
            rank: at.rank,
            room,
            below,
            best: BinaryHeap::with_capacity(room.min(KEPT_MAX) + 1),
        }
    }

    /// The vacancy's own ranking, from the best.
    fn walk_ranking(&mut self) {
        for (position, w) in self.index.rankings.of_vacancy(self.place) {
            if self.best.len() == self.room {
                return;
            }
            let key =
                Key::new(i64::from(FIT_MAX) - i64::from(*position), self.index.ranks.worker(*w));
            self.desk.counters.evaluations += 1;
            if key < self.below
                && let Some(value) = self.value(*w)
            {
                self.shortlist(*w, key, value);
            }
        }
    }

    /// Workers who rank the vacancy: their order is given, their score is computed.
    fn look_at_wanting(&mut self) {
        for (w, position) in self.index.rankings.wanting(self.place) {
            self.desk.counters.evaluations += 1;
            let pair =
                self.terms.pair(&self.index.problem.workers[*w as usize].worker, self.vacancy);
            let key = Key::new(pair.score, self.index.ranks.worker(*w));
            if pair.vacancy_accepts && self.is_wanted(key) {
                self.shortlist(*w, key, -i64::from(*position));
            }
        }
    }

    /// Computed preferences on both sides: group by group, as long as one could hold
    /// somebody better than the worst on a full shortlist.
    fn search(&mut self) {
        let (index, roster) = (self.index, self.roster);
        let call = Call::of(index.kernels, &index.numbering, &index.fitting, self.list);
        let (terms, city) = (self.terms, self.vacancy.city);
        self.desk.moves.reckon(city, |home| terms.move_cost(home, city));
        for upper in roster.city(self.vacancy.city) {
            self.open(upper, &call, Pool::City);
        }
        for upper in roster.movers() {
            self.open(upper, &call, Pool::Movers);
        }
        for upper in roster.listers() {
            self.open(upper, &call, Pool::Listers);
        }
        self.open_late(roster.late_in_city(city), Pool::City);
        self.open_late(roster.late_movers(), Pool::Movers);
        self.open_late(roster.late_listers(), Pool::Listers);
        // Groups lie all over the memory: the processor is told which come next.
        let mut coming: VecDeque<Front> = VecDeque::with_capacity(GROUPS_AHEAD);
        let mut next = self.next_group(&mut coming, &call);
        while let Some(group) = next {
            // While one group is looked at, those of the next who pass are fetched.
            next = self.next_group(&mut coming, &call);
            self.search_group(&group);
        }
        self.desk.fronts.clear();
    }

    /// The most promising group, if it could hold anybody who would be wanted.
    fn next_group(&mut self, coming: &mut VecDeque<Front>, call: &Call) -> Option<Screened> {
        while coming.len() < GROUPS_AHEAD
            && let Some(front) = self.desk.fronts.pop()
        {
            self.roster.expect(front.group);
            coming.push_back(front);
        }
        let front = coming.pop_front().filter(|front| self.could_be_wanted(front.score))?;
        if let Some(ahead) = coming.get(GROUPS_AHEAD / 2) {
            self.roster.expect_levels(ahead.group, call);
        }
        Some(self.screen_group(front, call))
    }

    fn open(&mut self, upper: u32, call: &Call, pool: Pool) {
        let mut bounds = Bounds([0; LANES]);
        let sought = self.sought(call, pool);
        let (first, passed) = self.roster.screen_groups(upper, &sought, &mut bounds);
        for lane in lanes(passed) {
            let fit = fit_of(&bounds, lane);
            let score = self.terms.score(fit, 0, pool == Pool::City);
            self.desk.fronts.push(Front { score, group: first + lane as u32, pool });
        }
    }

    fn open_late(&mut self, groups: &[u32], pool: Pool) {
        let score = self.terms.score(FIT_MAX, 0, pool == Pool::City);
        self.desk.fronts.extend(groups.iter().map(|group| Front { score, group: *group, pool }));
    }

    fn screen_group(&self, front: Front, call: &Call) -> Screened {
        let Front { group, pool, .. } = front;
        let mut bounds = Bounds([0; LANES]);
        let passed = self.roster.screen_people(group, &self.sought(call, pool), &mut bounds);
        self.roster.expect_cards(group, passed);
        Screened { group, pool, passed, bounds }
    }

    fn search_group(&mut self, screened: &Screened) {
        let Screened { group, pool, passed, .. } = *screened;
        let roster = self.roster;
        for lane in lanes(passed) {
            let card = roster.card(group, lane);
            let local = card.home == self.vacancy.city;
            // Everybody stands in the pool of her home as well.
            if local && pool != Pool::City {
                continue;
            }
            let fit = fit_of(&screened.bounds, lane);
            let would_live_here = || {
                let w = card.worker as usize;
                self.index.problem.workers[w].worker.would_live_in(self.vacancy.city)
            };
            if self.could_be_wanted(self.terms.score(fit, 0, local))
                && (pool != Pool::Listers || would_live_here())
            {
                self.evaluate(group, lane, card, fit);
            }
        }
    }

    /// One worker, from the cheapest reason to pass over her to the dearest.
    fn evaluate(&mut self, group: u32, lane: usize, card: &Card, fit_bound: u32) {
        let (w, city, terms) = (card.worker, self.vacancy.city, self.terms);
        let move_cost = self.desk.moves.cost(city, card.home);
        let annual = terms.annual_cost(move_cost, card.cost_percent);
        let net = self.real - annual;
        if net + terms.fit_worth(fit_bound) < self.roster.held(group, lane) {
            return;
        }
        self.desk.counters.evaluations += 1;
        let index = self.index;
        let Some(fit) = self.roster.accepted_fit(index, self.list, group, lane) else { return };
        let here = |salary| terms.equivalent_salary(salary, card.home, city, annual);
        let shortfall = Terms::shortfall_bp(here(card.expected), self.vacancy.salary);
        let too_dear = shortfall > i64::from(terms.settings.max_shortfall_bp);
        if too_dear || self.vacancy.salary < here(card.reservation) {
            return;
        }
        let score = terms.score(fit, shortfall, card.home == city);
        let key = Key::new(score, card.rank);
        if self.is_wanted(key) {
            self.shortlist(w, key, net + terms.fit_worth(fit));
        }
    }

    /// The worst on a full shortlist; nobody while there is room.
    fn worst(&self) -> Option<Key> {
        let is_full = self.best.len() == self.room;
        self.best.peek().filter(|_| is_full).map(|Reverse((worst, _))| *worst)
    }

    /// Who of a pool could make the shortlist.
    fn sought<'c>(&self, call: &'c Call, pool: Pool) -> Sought<'c> {
        let bonus = self.terms.score(0, 0, pool == Pool::City);
        let unfair = if mutants::active("shortlist-asks-too-much") { 300 } else { 0 };
        let least = self.worst().map_or(0, |worst| bar(worst.score() - bonus + unfair));
        Sought { call, real: self.real, least }
    }

    /// Whether anybody with a score could make the shortlist.
    fn could_be_wanted(&self, score: i64) -> bool {
        self.worst().is_none_or(|worst| score >= worst.score())
    }

    /// Whether a key would make the shortlist.
    fn is_wanted(&self, key: Key) -> bool {
        self.worst().is_none_or(|worst| key > worst) && key < self.below
    }

    /// Shortlists a worker if she prefers the vacancy to what she holds.
    fn shortlist(&mut self, w: u32, key: Key, value: i64) {
        let wants = Worth::new(value, self.rank) > self.seats.worth_of(self.index, w);
        if !wants || self.index.has_declined(w, self.place) {
            return;
        }
        self.best.push(Reverse((key, value)));
        if self.best.len() > self.room {
            self.best.pop();
        }
    }

    /// The vacancy's value to a worker; `None` if she refuses it.
    fn value(&self, w: u32) -> Option<i64> {
        let worker: &Worker = &self.index.problem.workers[w as usize].worker;
        let pair = self.terms.pair(worker, self.vacancy);
        pair.worker_accepts.then_some(pair.value)
    }
}

fn recruit(index: &Index, (key, value): Candidate) -> Recruit {
    Recruit { worker: index.ranks.worker_at(key.rank()), value, key }
}

/// How many candidates the vacancy at `place` keeps of one scan, while workers only improve.
pub(super) fn kept(index: &Index, place: u32) -> usize {
    (index.post(place).openings as usize * KEPT_PER_OPENING).clamp(KEPT_MIN, KEPT_MAX)
}

/// The least real salary that somebody could want who holds a vacancy of that value.
fn need(index: &Index, value: i64) -> i64 {
    let best_fit = match mutants::active("need-too-high") {
        false => index.terms().fit_worth(FIT_MAX),
        true => 0,
    };
    value.saturating_sub(best_fit)
}

/// The bid of a recruit at a place.
pub(super) fn bid(index: &Index, place: u32, recruit: &Recruit) -> Bid {
    Bid::new(recruit.key, index.places[place as usize].rank)
}

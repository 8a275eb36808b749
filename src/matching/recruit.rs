//! The second primitive: the best worker who would come to a vacancy now.
//!
//! A vacancy keeps the best few candidates of one scan. While workers only improve,
//! whoever does not want the vacancy now never will, so a candidate is passed over
//! once and for all, and the vacancy scans again, below the last one, only when the
//! few are used up.

use super::demand::Standing;
use super::engine::{Engine, Recruit};
use super::fitting::AskList;
use super::index::{Index, NOWHERE};
use super::key::{Bid, Key, Worth};
use super::postings::Postings;
use super::seats::Seats;
use crate::domain::limits::FIT_MAX;
use crate::domain::{CityIx, SkillIx, Vacancy, Worker};
use crate::mutants;
use crate::preferences::Terms;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Candidates kept from one scan, per opening and at least and at most.
const KEPT_PER_OPENING: usize = 3;
const KEPT_MIN: usize = 8;
const KEPT_MAX: usize = 256;

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

/// What recruiting needs besides the index.
pub(super) struct Recruiting {
    postings: Postings,
    /// By family: the movers whom its bounds admit, by the best key that they could
    /// have at any of its vacancies away from home, best first. Computed when needed.
    movers: Vec<Option<Box<[Key]>>>,
    /// By place.
    shortlists: Vec<Shortlist>,
}

impl Recruiting {
    /// Nothing scanned yet.
    pub fn new() -> Self {
        Self { postings: Postings::default(), movers: Vec::new(), shortlists: Vec::new() }
    }

    /// Files the workers, once.
    fn prepare(&mut self, index: &Index) {
        if !self.shortlists.is_empty() {
            return;
        }
        self.shortlists = vec![Shortlist::default(); index.places.len()];
        let mut wanted = vec![false; index.skills];
        for list in &index.fitting.profiles {
            index.fitting.gates(list).for_each(|gate| wanted[gate.skill.at()] = true);
        }
        if self.postings.is_empty() {
            self.postings = Postings::of(index.problem, &wanted);
            self.movers = vec![None; index.families.len()];
        }
    }

    /// The movers for a place's family. Fit depends on the list alone, so all vacancies
    /// of the family, whatever their city and salary, share one scan of the postings.
    fn movers(&mut self, index: &Index, place: u32) -> &[Key] {
        let family = index.lane_of[index.places[place as usize].cell as usize].0 as usize;
        let postings = &self.postings;
        self.movers[family].get_or_insert_with(|| {
            let list = &index.fitting.families[index.families[family].list as usize];
            let entries = shortest(index, list, |gate| postings.movers(gate));
            let bound = |entry: &u64| {
                let w = Postings::worker(*entry) as usize;
                let worker = &*index.problem.workers[w].worker;
                let fit = index.fitting.accepted_fit(list, worker)?;
                Some(Key::new(i64::from(fit), index.ranks.worker[w]))
            };
            let mut keys: Vec<Key> = entries.iter().filter_map(bound).collect();
            keys.sort_unstable_by_key(|key| Reverse(*key));
            keys.into()
        })
    }
}

/// The shortest of the entries behind each of a list's mandatory minima.
fn shortest<'a>(
    index: &Index,
    list: &AskList,
    entries: impl Fn(Option<(SkillIx, u8)>) -> &'a [u64],
) -> &'a [u64] {
    let gates = index.fitting.gates(list).map(|gate| entries(Some((gate.skill, gate.minimum))));
    gates.min_by_key(|entries| entries.len()).unwrap_or_else(|| entries(None))
}

impl Engine<'_> {
    /// The best worker whom the vacancy at `place` would take now and who strictly
    /// prefers it to what she holds. Where a set around it is full, that is a worker
    /// whose bid beats the worst inside, which during a clearing is her own.
    ///
    /// Right while workers only improve: after a worker has lost a match, call
    /// [`Self::forget_candidates`].
    pub fn recruit(&mut self, place: u32) -> Option<Recruit> {
        let recruit = self.desirer(place)?;
        let bar = self.seats.city_bar(&self.index, self.index.city(place));
        self.seats.admits(&self.index, place, recruit.key, bar).then_some(recruit)
    }

    /// Forgets which workers did not want which vacancy.
    pub fn forget_candidates(&mut self) {
        self.recruiting.shortlists.clear();
    }

    /// The best acceptable worker who strictly prefers the vacancy, whether or not it
    /// has room. The next below her would have a worse bid, so if she is refused all are.
    pub(super) fn desirer(&mut self, place: u32) -> Option<Recruit> {
        self.counters.queries += 1;
        self.recruiting.prepare(&self.index);
        let vacancy_rank = self.index.places[place as usize].rank;
        loop {
            let shortlist = &mut self.recruiting.shortlists[place as usize];
            while let Some((key, value)) = shortlist.ready.last().copied() {
                let worker = self.index.ranks.worker_at[key.rank() as usize];
                let worth = Worth::new(value, vacancy_rank);
                if worth > self.seats.worth_of(&self.index, worker) {
                    return Some(Recruit { worker, value, key });
                }
                shortlist.ready.pop();
                if mutants::active("stale-candidates") {
                    return Some(Recruit { worker, value, key });
                }
            }
            if shortlist.exhausted {
                return None;
            }
            self.scan(place);
        }
    }

    /// Fills the shortlist of `place` with the best candidates below those seen.
    fn scan(&mut self, place: u32) {
        let problem = self.index.problem;
        let number = self.index.places[place as usize].number as usize;
        let wanted = problem.vacancies[number].openings as usize * KEPT_PER_OPENING;
        let room = wanted.clamp(KEPT_MIN, KEPT_MAX);
        let seen = self.recruiting.shortlists[place as usize].seen;
        let mut scan = Scan::of(&self.index, &self.seats, place, room, seen);
        if self.index.places[place as usize].cell == NOWHERE {
            scan.walk_ranking();
        } else {
            scan.read_home(&self.recruiting.postings);
            scan.read_movers(self.recruiting.movers(&self.index, place));
        }
        self.counters.evaluations += scan.evaluations;
        let exhausted = scan.best.len() < room || mutants::active("shortlist-never-refilled");
        let ready: Vec<Candidate> =
            scan.best.into_sorted_vec().into_iter().rev().map(|Reverse(found)| found).collect();
        let shortlist = &mut self.recruiting.shortlists[place as usize];
        shortlist.seen = ready.first().map(|(key, _)| *key).or(seen);
        shortlist.ready = ready;
        shortlist.exhausted = exhausted;
    }
}

/// One scan for a vacancy's best candidates.
struct Scan<'e, 'p> {
    index: &'e Index<'p>,
    seats: &'e Seats,
    terms: Terms<'p>,
    place: u32,
    vacancy: &'p Vacancy,
    list: &'e AskList,
    real: i64,
    rank: u32,
    fit_worth_max: i64,
    room: usize,
    below: Key,
    best: BinaryHeap<Reverse<Candidate>>,
    evaluations: u64,
}

impl<'e, 'p> Scan<'e, 'p> {
    fn of(
        index: &'e Index<'p>,
        seats: &'e Seats,
        place: u32,
        room: usize,
        seen: Option<Key>,
    ) -> Self {
        let at = place as usize;
        let terms = index.terms();
        Self {
            index,
            seats,
            terms,
            place,
            vacancy: &index.problem.vacancies[index.places[at].number as usize].vacancy,
            list: &index.fitting.profiles[index.places[at].profile as usize],
            real: index.places[at].real,
            rank: index.places[at].rank,
            fit_worth_max: terms.fit_worth(FIT_MAX),
            room,
            below: seen.unwrap_or(Key::CLOSED),
            best: BinaryHeap::with_capacity(room + 1),
            evaluations: 0,
        }
    }

    /// The vacancy's own ranking, from the best.
    fn walk_ranking(&mut self) {
        for (position, w) in self.index.rankings.of_vacancy(self.place) {
            if self.best.len() == self.room {
                return;
            }
            let score = i64::from(FIT_MAX) - i64::from(*position);
            let key = Key::new(score, self.index.ranks.worker[*w as usize]);
            if key < self.below {
                self.consider(*w, key, None);
            }
        }
    }

    /// Everyone in the vacancy's city.
    fn read_home(&mut self, postings: &Postings) {
        let city = self.vacancy.city;
        let entries = shortest(self.index, self.list, |gate| postings.at_home(city, gate));
        for entry in entries {
            self.evaluate(Postings::worker(*entry), city);
        }
    }

    /// Movers from elsewhere, by the best key they could have, until none could be better
    /// than the worst on a full shortlist.
    fn read_movers(&mut self, movers: &[Key]) {
        let city = self.vacancy.city;
        for bound in movers {
            if !self.is_wanted(*bound, true) {
                return;
            }
            let w = self.index.ranks.worker_at[bound.rank() as usize];
            if self.index.problem.workers[w as usize].worker.home != city {
                self.evaluate(w, city);
            }
        }
    }

    /// Computed scores: from the cheapest reason to pass over a worker to the dearest.
    fn evaluate(&mut self, w: u32, city: CityIx) {
        let worker = &*self.index.problem.workers[w as usize].worker;
        if worker.ranking.is_none() {
            let most = self.real + self.fit_worth_max;
            if most < self.seats.worth_of(self.index, w).value {
                return;
            }
        }
        self.evaluations += 1;
        let fitting = &self.index.fitting;
        let Some(fit) = fitting.accepted_fit(self.list, worker) else { return };
        let rank = self.index.ranks.worker[w as usize];
        let local = worker.home == city;
        if !self.is_wanted(Key::new(self.terms.score(fit, 0, local), rank), true) {
            return;
        }
        let asking = self.terms.asking_salary(worker, city);
        let shortfall = Terms::shortfall_bp(asking, self.vacancy.salary);
        if shortfall > i64::from(self.terms.settings.max_shortfall_bp) {
            return;
        }
        let key = Key::new(self.terms.score(fit, shortfall, local), rank);
        if self.is_wanted(key, false) {
            self.consider(w, key, Some(fit));
        }
    }

    /// Whether a key, or one that it bounds from above, would make the shortlist.
    fn is_wanted(&self, key: Key, bound: bool) -> bool {
        let full = self.best.len() == self.room;
        let beats = !full || self.best.peek().is_some_and(|Reverse((worst, _))| key > *worst);
        beats && (bound || key < self.below)
    }

    /// Shortlists a worker if she accepts the vacancy and prefers it to what she holds.
    fn consider(&mut self, w: u32, key: Key, fit: Option<u32>) {
        let Some(value) = self.value(w, fit) else { return };
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
    fn value(&self, w: u32, fit: Option<u32>) -> Option<i64> {
        let worker: &Worker = &self.index.problem.workers[w as usize].worker;
        if worker.ranking.is_some() {
            let position = self.index.rankings.position_of_vacancy(w, self.place)?;
            return Some(-i64::from(position));
        }
        let city = self.vacancy.city;
        let annual = self.terms.annual_move(worker, city);
        let floor =
            self.terms.equivalent_salary(worker.reservation_salary, worker.home, city, annual);
        if !worker.would_live_in(city) || self.vacancy.salary < floor {
            return None;
        }
        let fit = fit.unwrap_or_else(|| self.index.fitting.fit(self.list, worker));
        Some(self.real - annual + self.terms.fit_worth(fit))
    }
}

/// The bid of a recruit at a place.
pub(super) fn bid(index: &Index, place: u32, recruit: &Recruit) -> Bid {
    Bid::new(recruit.key, index.places[place as usize].rank)
}

//! When matches are made, and when they become final, in a market in simulated time.
//! A policy sees who is there now, never who will come.

use super::rolling::{DAY, Happening, Rolling};
use crate::cli::error::Error;
use crate::domain::{Promise, Side, VacancySlot, WorkerSlot};
use crate::matching::live::{Change, Live, Settled};
use crate::matching::{Control, Matching, Means, Post, Problem, Seeker, clear_with};
use std::collections::{BTreeSet, VecDeque};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Everybody is matched as they come, and every match is final at once.
    Continuous,
    /// The market is cleared every so many days, and every match is final at once.
    Interval(u64),
    /// The market is stable at every moment, and a match is final when it has stood for so
    /// many days. Nobody knows who is about to leave.
    Held(u64),
    /// The market is stable at every moment, and a match is final when one of its two sides
    /// is about to leave.
    Patient,
    /// Nobody is matched until they are about to leave: then they take the best partner who is
    /// there and accepts them, whoever else would rather have that partner. Not stable: the
    /// rule of Akbarpour, Li and Gharan, to tell what waiting does from what priority does.
    LastMinute,
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Continuous => f.write_str("continuous"),
            Self::Interval(days) => write!(f, "interval {days}"),
            Self::Held(days) => write!(f, "held {days}"),
            Self::Patient => f.write_str("patient"),
            Self::LastMinute => f.write_str("last minute"),
        }
    }
}

/// What has become of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not come yet, or there.
    Open,
    /// Placed in that vacancy at that time.
    Placed(u32, u64),
    /// Left without a job.
    Lost,
}

/// What has become of everybody.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// By worker.
    pub fates: Vec<Fate>,
    /// By worker: how often they came to hold something worse, or nothing.
    pub displaced: Vec<u32>,
    /// By vacancy: openings that are neither placed nor lost.
    pub open: Vec<u32>,
    /// By vacancy: openings that it left with.
    pub lost: Vec<u32>,
    /// Placements of somebody who was not to be placed, or in what was not open.
    pub refused: u64,
}

impl Ledger {
    fn of(market: &Rolling) -> Self {
        Self {
            fates: vec![Fate::Open; market.workers.len()],
            displaced: vec![0; market.workers.len()],
            open: market.problem.vacancies.iter().map(|post| post.openings).collect(),
            lost: vec![0; market.vacancies.len()],
            refused: 0,
        }
    }

    fn place(&mut self, w: u32, v: u32, now: u64) {
        let (fate, open) = (&mut self.fates[w as usize], &mut self.open[v as usize]);
        if *fate != Fate::Open || *open == 0 {
            self.refused += 1;
            return;
        }
        *fate = Fate::Placed(v, now);
        *open -= 1;
    }

    /// Whether the worker is neither placed nor lost.
    fn is_open(&self, w: u32) -> bool {
        self.fates[w as usize] == Fate::Open
    }

    /// The vacancy leaves with what is open.
    fn lose(&mut self, v: u32) {
        self.lost[v as usize] += std::mem::take(&mut self.open[v as usize]);
    }

    /// By vacancy and opening: until when it was there.
    pub fn openings_until(&self, market: &Rolling) -> Vec<Vec<u64>> {
        let stays = market.vacancies.iter().zip(&self.lost);
        let mut until: Vec<Vec<u64>> =
            stays.map(|(stay, lost)| vec![stay.end; *lost as usize]).collect();
        for fate in &self.fates {
            if let Fate::Placed(v, at) = fate {
                until[*v as usize].push(*at);
            }
        }
        until
    }

    /// In how many ways this cannot have happened: somebody neither placed nor lost in the
    /// end, or placed when one of the two was not there, or where one does not accept the
    /// other; openings that do not add up.
    pub fn violations(&self, market: &Rolling) -> u64 {
        let mut wrong = self.refused;
        let mut filled = vec![0; self.open.len()];
        for (w, fate) in self.fates.iter().enumerate() {
            wrong += match *fate {
                Fate::Open => 1,
                Fate::Lost => 0,
                Fate::Placed(v, at) => {
                    filled[v as usize] += 1;
                    let (stay, there) = (&market.workers[w], &market.vacancies[v as usize]);
                    let both = |stay: &super::rolling::Stay| stay.start <= at && at <= stay.end;
                    let accept = market.problem.pair(w, v as usize).is_acceptable();
                    u64::from(!(both(stay) && both(there) && accept))
                }
            };
        }
        let vacancies = market.problem.vacancies.iter().zip(filled).enumerate();
        let adds_up = |(v, (post, filled)): &(usize, (&Post, u32))| {
            self.open[*v] == 0 && filled + self.lost[*v] == post.openings
        };
        wrong + vacancies.filter(|vacancy| !adds_up(vacancy)).count() as u64
    }
}

/// What becomes of everybody under a policy.
pub fn run(market: &Rolling, policy: Policy) -> Result<Ledger, Error> {
    match policy {
        Policy::Continuous | Policy::Held(_) | Policy::Patient => {
            Ok(Pool::of(market, policy).run())
        }
        Policy::Interval(days) => in_batches(market, days * DAY),
        Policy::LastMinute => Ok(last_minute(market)),
    }
}

/// The market of the moment, stable after everything that happens.
struct Pool<'m> {
    market: &'m Rolling,
    policy: Policy,
    live: Live,
    ledger: Ledger,
    /// By worker: what they hold, and since when.
    held: Vec<Option<(u32, u64)>>,
    /// By vacancy.
    holders: Vec<BTreeSet<u32>>,
    /// Who came to hold something, and when; in that order.
    fresh: VecDeque<(u32, u64)>,
    now: u64,
}

impl<'m> Pool<'m> {
    fn of(market: &'m Rolling, policy: Policy) -> Self {
        let empty = among(market, Vec::new(), Vec::new());
        Self {
            market,
            policy,
            live: Live::of(empty, &Matching::default(), Promise::WorkerOptimal),
            ledger: Ledger::of(market),
            held: vec![None; market.workers.len()],
            holders: vec![BTreeSet::new(); market.vacancies.len()],
            fresh: VecDeque::new(),
            now: 0,
        }
    }

    fn run(mut self) -> Ledger {
        for (at, happening) in &self.market.happenings {
            match self.policy {
                Policy::Held(days) => self.place_older(days * DAY, *at),
                Policy::Continuous => self.place_older(0, *at),
                _ => self.fresh.clear(),
            }
            self.now = *at;
            self.take(*happening);
        }
        self.ledger
    }

    /// Places the matches that come to stand for so long before `until`.
    fn place_older(&mut self, age: u64, until: u64) {
        while let Some((w, since)) = self.fresh.front().copied() {
            if since + age > until {
                return;
            }
            self.fresh.pop_front();
            if self.held[w as usize].is_some_and(|(_, still)| still == since) {
                self.now = since + age;
                self.place(w);
            }
        }
    }

    fn take(&mut self, happening: Happening) {
        let problem = &self.market.problem;
        match happening {
            Happening::WorkerComes(w) => {
                self.change(Change::Worker(problem.workers[w as usize].clone()));
            }
            Happening::VacancyComes(v) => {
                self.change(Change::Vacancy(problem.vacancies[v as usize].clone()));
            }
            Happening::WorkerGoes(w) if self.ledger.is_open(w) => {
                if self.policy == Policy::Patient {
                    self.place(w);
                }
                if self.ledger.is_open(w) {
                    self.ledger.fates[w as usize] = Fate::Lost;
                    self.let_go(w);
                    self.change(Change::WorkerLeft(WorkerSlot(w)));
                }
            }
            Happening::WorkerGoes(_) => {}
            Happening::VacancyGoes(v) => {
                if self.policy == Policy::Patient {
                    // A placement can move others up, out of it and into it.
                    while let Some(w) = self.holders[v as usize].first().copied() {
                        self.place(w);
                    }
                }
                if self.ledger.open[v as usize] > 0 {
                    self.ledger.lose(v);
                    self.change(Change::VacancyLeft(VacancySlot(v)));
                }
            }
        }
    }

    /// The worker's match, if there is one, is final.
    fn place(&mut self, w: u32) {
        let Some(v) = self.let_go(w) else { return };
        self.ledger.place(w, v, self.now);
        self.change(Change::Placed(WorkerSlot(w)));
        if self.ledger.open[v as usize] == 0 {
            self.change(Change::VacancyLeft(VacancySlot(v)));
        }
    }

    /// The worker holds nothing any more; what they held.
    fn let_go(&mut self, w: u32) -> Option<u32> {
        let (v, _) = self.held[w as usize].take()?;
        self.holders[v as usize].remove(&w);
        Some(v)
    }

    fn change(&mut self, change: Change) {
        let Settled { held, .. } = self.live.apply([change]);
        for (WorkerSlot(w), holds) in held {
            let holds = holds.map(|VacancySlot(v)| v);
            let before = self.held[w as usize].map(|(v, _)| v);
            if before == holds {
                continue;
            }
            self.let_go(w);
            if let Some(v) = before {
                // Nothing is worth less than anything.
                let worth = |v| self.market.choice(w, v).unwrap_or(usize::MAX);
                let is_worse = holds.is_none_or(|now| worth(now) > worth(v));
                self.ledger.displaced[w as usize] += u32::from(is_worse);
            }
            if let Some(v) = holds {
                self.held[w as usize] = Some((v, self.now));
                self.holders[v as usize].insert(w);
                self.fresh.push_back((w, self.now));
            }
        }
    }
}

/// Every so often all who are there are matched, and placed.
fn in_batches(market: &Rolling, interval: u64) -> Result<Ledger, Error> {
    let mut ledger = Ledger::of(market);
    let (mut workers, mut vacancies) = (BTreeSet::new(), BTreeSet::new());
    let mut clearing = interval;
    for (at, happening) in &market.happenings {
        while *at > clearing {
            batch(market, &mut ledger, &mut workers, &mut vacancies, clearing)?;
            clearing += interval;
        }
        match *happening {
            Happening::WorkerComes(w) => _ = workers.insert(w),
            Happening::VacancyComes(v) => _ = vacancies.insert(v),
            Happening::WorkerGoes(w) => {
                if workers.remove(&w) {
                    ledger.fates[w as usize] = Fate::Lost;
                }
            }
            Happening::VacancyGoes(v) => {
                vacancies.remove(&v);
                ledger.lose(v);
            }
        }
    }
    Ok(ledger)
}

fn batch(
    market: &Rolling,
    ledger: &mut Ledger,
    workers: &mut BTreeSet<u32>,
    vacancies: &mut BTreeSet<u32>,
    now: u64,
) -> Result<(), Error> {
    let seekers = workers.iter().map(|w| market.problem.workers[*w as usize].clone());
    let post = |v: &u32| {
        let post = market.problem.vacancies[*v as usize].clone();
        Post { openings: ledger.open[*v as usize], ..post }
    };
    let problem = among(market, seekers.collect(), vacancies.iter().map(post).collect());
    let means = Means { threads: 1, ..Means::all() };
    let cleared = clear_with(&problem, Side::Worker, &Control::default(), means)
        .map_err(|error| Error::Failed(error.to_string()))?;
    for (w, v) in cleared.matching.pairs() {
        let (WorkerSlot(w), VacancySlot(v)) =
            (problem.workers[w as usize].slot, problem.vacancies[v as usize].slot);
        ledger.place(w, v, now);
        workers.remove(&w);
        if ledger.open[v as usize] == 0 {
            vacancies.remove(&v);
        }
    }
    Ok(())
}

/// Whoever is about to leave takes the best who is there.
fn last_minute(market: &Rolling) -> Ledger {
    let mut ledger = Ledger::of(market);
    let mut takers = vec![Vec::new(); market.vacancies.len()];
    for (w, chances) in (0..).zip(&market.chances) {
        chances.iter().for_each(|v| takers[*v as usize].push(w));
    }
    for (now, happening) in &market.happenings {
        match *happening {
            Happening::WorkerComes(_) | Happening::VacancyComes(_) => {}
            Happening::WorkerGoes(w) if ledger.is_open(w) => {
                let is_there = |v: &&u32| {
                    market.vacancies[**v as usize].contains(now) && ledger.open[**v as usize] > 0
                };
                match market.chances[w as usize].iter().find(is_there) {
                    Some(v) => ledger.place(w, *v, *now),
                    None => ledger.fates[w as usize] = Fate::Lost,
                }
            }
            Happening::WorkerGoes(_) => {}
            Happening::VacancyGoes(v) => {
                let is_there =
                    |w: &&u32| market.workers[**w as usize].contains(now) && ledger.is_open(**w);
                let there = takers[v as usize].iter().filter(is_there);
                let mut keyed: Vec<_> = there.map(|w| (market.key(*w, v), *w)).collect();
                keyed.sort_unstable();
                for (_, w) in keyed.into_iter().take(ledger.open[v as usize] as usize) {
                    ledger.place(w, v, *now);
                }
                ledger.lose(v);
            }
        }
    }
    ledger
}

/// The market with these alone.
fn among(market: &Rolling, workers: Vec<Seeker>, vacancies: Vec<Post>) -> Problem {
    let Problem { settings, geography, lottery, set_of_city, .. } = &market.problem;
    Problem {
        settings: settings.clone(),
        geography: geography.clone(),
        lottery: *lottery,
        workers,
        vacancies,
        sets: Vec::new(),
        set_of_city: set_of_city.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rolling::Calendar;
    use super::*;
    use crate::generate::{Generator, Plan, Scale};

    fn market(partners: Option<f64>) -> Rolling {
        let plan = Plan { metros: 1, scale: Scale::WHOLE, seed: 3, ..Plan::default() };
        let generator = Generator::new(&plan).unwrap().with_totals(700, 500);
        Rolling::of(&generator, Calendar { days: 10, stay: 4 }, partners, 3).unwrap()
    }

    /// Goal: whatever the policy, everybody who came is placed or lost in the end, nobody
    /// twice, and all of it was possible. Method: the check of the ledger, which reads
    /// stays and pairs afresh; and it does find fault, with ledgers that are tampered with.
    #[test]
    fn ledgers_add_up() {
        let policies = [
            Policy::Continuous,
            Policy::Interval(3),
            Policy::Held(2),
            Policy::Patient,
            Policy::LastMinute,
        ];
        for market in [market(None), market(Some(3.0))] {
            for policy in policies {
                let ledger = run(&market, policy).unwrap();
                assert_eq!(ledger.violations(&market), 0, "{policy}");
                let first = |is: fn(&Fate) -> bool| ledger.fates.iter().position(is).unwrap();
                let placed = first(|fate| matches!(fate, Fate::Placed(..)));
                let lost = first(|fate| *fate == Fate::Lost);
                let Fate::Placed(v, at) = ledger.fates[placed] else { unreachable!() };
                let tampered = |change: &dyn Fn(&mut Ledger)| {
                    let mut ledger = ledger.clone();
                    change(&mut ledger);
                    ledger.violations(&market)
                };
                assert!(tampered(&|ledger| ledger.place(placed as u32, v, at)) > 0, "twice");
                assert!(tampered(&|ledger| ledger.fates[placed] = Fate::Open) > 0, "forgotten");
                assert!(tampered(&|ledger| ledger.fates[placed] = Fate::Placed(v, 0)) > 0, "early");
                assert!(tampered(&|ledger| ledger.fates[lost] = ledger.fates[placed]) > 0, "over");
                assert!(tampered(&|ledger| ledger.lost[v as usize] += 1) > 0, "openings");
            }
        }
    }

    /// Goal: policies do what they say. Method: at once is at once; batches are placed at
    /// their clearings; a patient match is final when one of its sides leaves, and a held one
    /// no earlier than it may.
    #[test]
    fn matches_are_final_when_they_should_be() {
        let market = market(None);
        let placed = |policy| {
            let fates = run(&market, policy).unwrap().fates.into_iter().enumerate();
            let placed = fates.filter_map(|(w, fate)| match fate {
                Fate::Placed(v, at) => {
                    Some((&market.workers[w], &market.vacancies[v as usize], at))
                }
                _ => None,
            });
            let placed: Vec<_> = placed.collect();
            assert!(placed.len() > 50, "{policy}: {}", placed.len());
            placed
        };
        for (worker, vacancy, at) in placed(Policy::Continuous) {
            assert_eq!(at, worker.start.max(vacancy.start));
        }
        assert!(placed(Policy::Interval(3)).iter().all(|(.., at)| at % (3 * DAY) == 0));
        for (worker, vacancy, at) in placed(Policy::Held(2)) {
            assert!(at >= worker.start.max(vacancy.start) + 2 * DAY);
        }
        for policy in [Policy::Patient, Policy::LastMinute] {
            for (worker, vacancy, at) in placed(policy) {
                assert_eq!(at, worker.end.min(vacancy.end), "{policy}");
            }
        }
    }
}

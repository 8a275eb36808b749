//! When matches are made, and when they become final, in a market in simulated time.
//! A policy sees who is there now, never who will come.

use super::rolling::{DAY, Happening, Rolling};
use crate::cli::error::Error;
use crate::domain::{Promise, Side, VacancySlot, WorkerSlot};
use crate::matching::live::{Change, Live, Settled};
use crate::matching::{Control, Matching, Means, Post, Problem, Seeker, clear_with};
use std::collections::BTreeSet;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Everybody is matched as they come, and every match is final at once.
    Continuous,
    /// The market is cleared every so many days, and every match is final at once.
    Interval(u64),
    /// The market is stable at every moment, and a match is final when one of its two sides
    /// is about to leave.
    Patient,
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Continuous => f.write_str("continuous"),
            Self::Interval(days) => write!(f, "interval {days}"),
            Self::Patient => f.write_str("patient"),
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
    /// By worker: how often somebody better took what they held.
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
        Policy::Continuous => Ok(Pool::of(market).run(true)),
        Policy::Patient => Ok(Pool::of(market).run(false)),
        Policy::Interval(days) => in_batches(market, days * DAY),
    }
}

/// The market of the moment, stable after everything that happens.
struct Pool<'m> {
    market: &'m Rolling,
    live: Live,
    ledger: Ledger,
    /// By worker.
    held: Vec<Option<u32>>,
    /// By vacancy.
    holders: Vec<BTreeSet<u32>>,
    /// Who has come to hold something since somebody looked.
    fresh: Vec<u32>,
    now: u64,
}

impl<'m> Pool<'m> {
    fn of(market: &'m Rolling) -> Self {
        let empty = among(market, Vec::new(), Vec::new());
        Self {
            market,
            live: Live::of(empty, &Matching::default(), Promise::WorkerOptimal),
            ledger: Ledger::of(market),
            held: vec![None; market.workers.len()],
            holders: vec![BTreeSet::new(); market.vacancies.len()],
            fresh: Vec::new(),
            now: 0,
        }
    }

    fn run(mut self, at_once: bool) -> Ledger {
        for (at, happening) in &self.market.happenings {
            self.now = *at;
            self.take(*happening);
            for w in std::mem::take(&mut self.fresh) {
                if at_once {
                    self.place(w);
                }
            }
        }
        self.ledger
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
            Happening::WorkerGoes(w) if !self.ledger.is_open(w) => {}
            Happening::WorkerGoes(w) if self.held[w as usize].is_some() => self.place(w),
            Happening::WorkerGoes(w) => {
                self.ledger.fates[w as usize] = Fate::Lost;
                self.change(Change::WorkerLeft(WorkerSlot(w)));
            }
            Happening::VacancyGoes(v) => {
                // A placement can move others up, out of it and into it.
                while let Some(w) = self.holders[v as usize].first().copied() {
                    self.place(w);
                }
                if self.ledger.open[v as usize] > 0 {
                    self.ledger.lose(v);
                    self.change(Change::VacancyLeft(VacancySlot(v)));
                }
            }
        }
    }

    /// The worker's match is final.
    fn place(&mut self, w: u32) {
        let Some(v) = self.held[w as usize].take() else { return };
        self.holders[v as usize].remove(&w);
        self.ledger.place(w, v, self.now);
        self.change(Change::Placed(WorkerSlot(w)));
        if self.ledger.open[v as usize] == 0 {
            self.change(Change::VacancyLeft(VacancySlot(v)));
        }
    }

    fn change(&mut self, change: Change) {
        let Settled { held, .. } = self.live.apply([change]);
        for (WorkerSlot(w), holds) in held {
            let holds = holds.map(|VacancySlot(v)| v);
            let before = std::mem::replace(&mut self.held[w as usize], holds);
            if before == holds {
                continue;
            }
            if let Some(v) = before {
                self.holders[v as usize].remove(&w);
                // Nothing is worth less than anything.
                let worth = |v| self.market.choice(w, v).unwrap_or(usize::MAX);
                let is_worse = holds.is_none_or(|now| worth(now) > worth(v));
                self.ledger.displaced[w as usize] += u32::from(is_worse);
            }
            if let Some(v) = holds {
                self.holders[v as usize].insert(w);
                self.fresh.push(w);
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

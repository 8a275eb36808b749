//! Clients: several calls of each are in flight. A call that is not answered is made again
//! with the same `request_id`, until it is.

use crate::ask::{Ask, Came, LABEL, Told};
use crate::draws::Random;
use crate::promises::{ONCE, broken};
use crate::record::{Market, Record};
use crate::support::{Clients, vacancy, vacancy_id, worker, worker_id};
use gale::proto::v1 as pb;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;
use tonic::transport::Channel;
use uuid::Uuid;

/// Workers and vacancies of a market.
pub const WORKERS: u64 = 600;
pub const VACANCIES: u64 = 200;
const CITIES: [&str; 3] = ["a", "b", "c"];
/// Answered writes that a caller can make again.
const REMEMBERED: usize = 200;
/// After a connection that ended.
const PAUSE: Duration = Duration::from_millis(5);

/// What there is to do.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Wait: there is no server.
    Down,
    /// There is one.
    Up(Up),
    /// Go home.
    Over,
}

/// A server that runs.
#[derive(Clone, Debug)]
pub struct Up {
    /// Which: they are numbered.
    pub number: u64,
    pub channels: Vec<Channel>,
    /// Write as much as you can; else retry what was not answered, and then wait.
    pub loads: bool,
}

/// One caller: one call at a time.
pub struct Caller {
    pub market: Arc<Market>,
    pub record: Arc<Record>,
    pub stage: watch::Receiver<Stage>,
    pub random: Random,
    /// Which of the connections it uses.
    pub channel: usize,
    /// Numbers upserts.
    pub labels: Arc<AtomicU64>,
    open: Option<Ask>,
    answered: VecDeque<(Ask, Told)>,
}

impl Caller {
    pub fn new(
        (market, record): (Arc<Market>, Arc<Record>),
        stage: watch::Receiver<Stage>,
        (random, channel): (Random, usize),
        labels: Arc<AtomicU64>,
    ) -> Self {
        Self {
            market,
            record,
            stage,
            random,
            channel,
            labels,
            open: None,
            answered: VecDeque::new(),
        }
    }

    pub async fn live(mut self) {
        loop {
            let stage = self.stage.borrow_and_update().clone();
            match stage {
                Stage::Over => return,
                Stage::Up(up) if up.loads || self.open.is_some() => {
                    let channel = up.channels[self.channel % up.channels.len()].clone();
                    self.step(&mut Clients::over(channel)).await;
                }
                Stage::Up(_) | Stage::Down => drop(self.stage.changed().await),
            }
        }
    }

    async fn step(&mut self, to: &mut Clients) {
        if self.open.is_none() {
            if self.random.one_in(10) && !self.answered.is_empty() {
                return self.ask_again(to).await;
            }
            if self.random.one_in(8) {
                return self.read(to).await;
            }
            let Some(ask) = self.draw(to).await else { return };
            self.record.open.fetch_add(1, Relaxed);
            self.record.calls.fetch_add(1, Relaxed);
            self.open = Some(ask);
        } else {
            self.record.retried.fetch_add(1, Relaxed);
        }
        let Some(ask) = self.open.take() else { return };
        match ask.send(to).await {
            Came::Told(told) => {
                self.market.saw(told.revision);
                self.record.acknowledged.fetch_add(1, Relaxed);
                self.market.acknowledge(ask.clone(), told.clone());
                if self.answered.len() == REMEMBERED {
                    self.answered.pop_front();
                }
                self.answered.push_back((ask, told));
                self.record.open.fetch_sub(1, Relaxed);
            }
            Came::Refused(reason) => {
                self.record.refuse(&reason);
                self.record.open.fetch_sub(1, Relaxed);
            }
            Came::Nothing => {
                self.record.unacknowledged.fetch_add(1, Relaxed);
                self.open = Some(ask);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// What was answered is asked for again, and answered as before.
    async fn ask_again(&mut self, to: &mut Clients) {
        let at = self.random.below(self.answered.len() as u64) as usize;
        let (ask, before) = self.answered[at].clone();
        match ask.send(to).await {
            Came::Told(again) if again == before => {
                self.record.answered_again.fetch_add(1, Relaxed);
            }
            Came::Told(again) => {
                let evidence = format!("{ask:?} was answered {before:?}, then {again:?}");
                self.record.violation(broken(ONCE, evidence));
            }
            // Old rounds are forgotten.
            Came::Refused(reason) if reason == "ROUND_NOT_FOUND" => {}
            Came::Refused(reason) => {
                let evidence = format!("{ask:?} was answered {before:?}, then refused: {reason}");
                self.record.violation(broken(ONCE, evidence));
            }
            Came::Nothing => tokio::time::sleep(PAUSE).await,
        }
    }

    /// Whatever is read must still be there after a crash.
    async fn read(&mut self, to: &mut Clients) {
        let request = pb::GetWorkerRequest {
            market: self.market.name.clone(),
            worker_id: worker_id(self.random.below(WORKERS)),
            at_least_revision: 0,
        };
        match to.pool.get_worker(request).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                self.market.saw(reply.revision);
                self.market.saw(reply.worker.map_or(0, |worker| worker.revision));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }

    async fn draw(&mut self, to: &mut Clients) -> Option<Ask> {
        let random = &mut self.random;
        let market = self.market.name.clone();
        let request_id = Uuid::from_u64_pair(random.next(), random.next()).to_string();
        let atomic = random.one_in(4);
        Some(match random.below(20) {
            0..=4 => {
                let (workers, reopen) = (self.workers(), self.random.one_in(2));
                Ask::Workers(pb::UpsertWorkersRequest {
                    market,
                    workers,
                    reopen,
                    atomic,
                    request_id,
                })
            }
            5 | 6 => {
                let (workers, reopen) = (self.workers(), self.random.one_in(2));
                let sequence = self.random.below(9);
                Ask::Import(pb::ImportWorkersRequest {
                    market,
                    sequence,
                    workers,
                    reopen,
                    request_id,
                })
            }
            7..=10 => {
                let vacancies = self.vacancies();
                Ask::Vacancies(pb::UpsertVacanciesRequest { market, vacancies, atomic, request_id })
            }
            11 | 12 => {
                let count = 1 + random.below(3);
                let ids = distinct(random, WORKERS, count);
                let worker_ids = ids.into_iter().map(worker_id).collect();
                Ask::Withdraw(pb::WithdrawWorkersRequest { market, worker_ids, atomic, request_id })
            }
            13 => {
                let vacancy_ids = vec![vacancy_id(random.below(VACANCIES))];
                Ask::Close(pb::CloseVacanciesRequest { market, vacancy_ids, atomic, request_id })
            }
            14..=16 if self.market.continuous || !random.one_in(8) => {
                return self.decide(to, request_id).await;
            }
            _ if self.market.continuous => {
                let workers = self.workers();
                let reopen = true;
                Ask::Workers(pb::UpsertWorkersRequest {
                    market,
                    workers,
                    reopen,
                    atomic,
                    request_id,
                })
            }
            _ => Ask::Round(pb::StartRoundRequest { market, wait: false, request_id }),
        })
    }

    /// Confirms or declines some of the matches that are held now.
    async fn decide(&mut self, to: &mut Clients, request_id: String) -> Option<Ask> {
        let request = pb::ListMatchesRequest {
            market: self.market.name.clone(),
            city: self.random.of(&CITIES).into(),
            status: pb::MatchStatus::Held as i32,
            page_size: 30,
            ..Default::default()
        };
        let Ok(reply) = to.matching.list_matches(request).await else {
            tokio::time::sleep(PAUSE).await;
            return None;
        };
        let reply = reply.into_inner();
        self.market.saw(reply.revision);
        let held = reply.matches.into_iter().filter(|_| self.random.one_in(6));
        let key = |held: pb::Match| pb::MatchKey {
            worker_id: held.worker_id,
            vacancy_id: held.vacancy_id,
        };
        let matches: Vec<_> = held.map(key).collect();
        if matches.is_empty() {
            return None;
        }
        let market = self.market.name.clone();
        let side = self.random.of(&[pb::MatchSide::Worker, pb::MatchSide::Employer]) as i32;
        let atomic = self.random.one_in(4);
        Some(match self.random.one_in(3) {
            true => Ask::Decline(pb::DeclineMatchesRequest {
                market,
                side,
                matches,
                atomic,
                request_id,
            }),
            false => Ask::Confirm(pb::ConfirmMatchesRequest {
                market,
                side,
                matches,
                atomic,
                request_id,
            }),
        })
    }

    fn label(&self) -> (String, String) {
        (LABEL.into(), self.labels.fetch_add(1, Relaxed).to_string())
    }

    fn workers(&mut self) -> Vec<pb::Worker> {
        let count = if self.random.one_in(40) { 100 } else { 1 + self.random.below(4) };
        let numbers = distinct(&mut self.random, WORKERS, count);
        let make = |number| {
            let home = self.random.of(&CITIES);
            let salary = 30_000 + self.random.below(30_000) as i64;
            let labels = [self.label()].into();
            pb::Worker { labels, ..worker(number, home, salary) }
        };
        numbers.into_iter().map(make).collect()
    }

    fn vacancies(&mut self) -> Vec<pb::Vacancy> {
        let count = 1 + self.random.below(3);
        let numbers = distinct(&mut self.random, VACANCIES, count);
        let make = |number| {
            let city = self.random.of(&CITIES);
            let (openings, salary) = (self.random.below(4), self.random.below(40_000));
            let labels = [self.label()].into();
            pb::Vacancy { labels, ..vacancy(number, city, openings as u32, 40_000 + salary as i64) }
        };
        numbers.into_iter().map(make).collect()
    }
}

/// Different numbers below `limit`.
fn distinct(random: &mut Random, limit: u64, count: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).map(|_| random.below(limit)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

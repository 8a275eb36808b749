//! A run: everybody who takes part in it, and the pauses in which everything is checked.

use crate::ask::{Ask, Came};
use crate::checkers::{self, Reference, Subscription};
use crate::checks::Model;
use crate::clients::{Caller, Stage, Up};
use crate::draws::Random;
use crate::landlord::{self, Estate};
use crate::offline::{self, Compared};
use crate::promises::{CONTINUED, DURABLE, STABLE, UNSEEN, broken};
use crate::record::{Market, Record};
use crate::server::Server;
use crate::subscribers::{self, Subscriber, collect};
use crate::support::{Clients, Place, place, vacancy_id, worker_id};
use crate::{Args, Result};
use gale::proto::v1 as pb;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic_types::StatusExt;
use uuid::Uuid;

/// What takes longer has failed.
const GUARD: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);
const PAGE: i32 = 1_000;

/// A market, its model, and the lives of its subscribers.
struct Watched {
    market: Arc<Market>,
    model: Model,
    /// Of the events, so many are in the model.
    modelled: usize,
    lives: Vec<Arc<Mutex<Subscription>>>,
}

/// See the module.
pub struct Run {
    dir: PathBuf,
    clients: usize,
    random: Random,
    record: Arc<Record>,
    stage: watch::Sender<Stage>,
    number: u64,
    channels: Vec<Channel>,
    watched: Vec<Watched>,
    estate: Arc<Mutex<Estate>>,
    tasks: JoinSet<()>,
    compared: Compared,
    pauses: u64,
    verified: u64,
    not_cleared: u64,
    delivered: u64,
    sessions: u64,
}

impl Run {
    pub fn new(args: &Args, dir: PathBuf, seed: u64) -> Self {
        let (stage, stages) = watch::channel(Stage::Down);
        let (record, estate) = (Arc::new(Record::default()), Arc::<Mutex<Estate>>::default());
        let mut random = Random(seed);
        let mut tasks = JoinSet::new();
        let mut watched = Vec::new();
        let labels = Arc::new(AtomicU64::new(1));
        for (name, continuous) in [("manual", false), ("continuous", true)] {
            let market = Arc::new(Market::new(name, continuous));
            tasks.spawn(collect(market.clone(), record.clone(), stages.clone()));
            let mut lives = Vec::new();
            for number in 0..6 {
                let filter = filter(number, &mut random);
                let life = Subscription { filter, sessions: Vec::new() };
                let life = Arc::new(Mutex::new(life));
                lives.push(life.clone());
                let subscriber = Subscriber {
                    market: market.clone(),
                    record: record.clone(),
                    stage: stages.clone(),
                    random: Random(random.next()),
                    forgetful: number == 1,
                    life,
                };
                tasks.spawn(subscriber.live());
            }
            for client in 0..args.clients {
                for _ in 0..args.in_flight.div_ceil(2) {
                    let of = (market.clone(), record.clone());
                    let draws = (Random(random.next()), client);
                    let caller = Caller::new(of, stages.clone(), draws, labels.clone());
                    tasks.spawn(caller.live());
                }
            }
            let model = Model::new(continuous);
            watched.push(Watched { market, model, modelled: 0, lives });
        }
        tasks.spawn(landlord::live(estate.clone(), stages));
        Self {
            dir,
            clients: args.clients,
            random,
            record,
            stage,
            number: 0,
            channels: Vec::new(),
            watched,
            estate,
            tasks,
            compared: Compared::default(),
            pauses: 0,
            verified: 0,
            not_cleared: 0,
            delivered: 0,
            sessions: 0,
        }
    }

    /// A server has started: whatever was seen must be there.
    pub async fn begin(&mut self, server: &Server) -> Result<()> {
        let endpoint = Channel::from_shared(server.address.clone())?;
        self.channels = (0..self.clients.max(1)).map(|_| endpoint.connect_lazy()).collect();
        self.number += 1;
        let mut to = self.clients();
        if self.number == 1 {
            for watched in &self.watched {
                make(&mut to, &watched.market).await?;
            }
        }
        for watched in &self.watched {
            let (market, seen) = (&watched.market, watched.market.seen());
            let newest = newest(&mut to, market).await?.0 - 1;
            if newest < seen {
                let evidence = format!("{} is at {newest}, {seen} was seen", market.name);
                self.record.violation(broken(UNSEEN, evidence));
            }
        }
        let channels = self.channels.clone();
        self.stage.send_replace(Stage::Up(Up { number: self.number, channels, loads: false }));
        Ok(())
    }

    /// Everybody writes.
    pub fn load(&mut self) {
        let channels = self.channels.clone();
        self.stage.send_replace(Stage::Up(Up { number: self.number, channels, loads: true }));
    }

    /// The server is gone.
    pub fn end(&mut self) {
        self.stage.send_replace(Stage::Down);
    }

    /// Everybody goes home.
    pub async fn over(&mut self) {
        self.stage.send_replace(Stage::Over);
        while self.tasks.join_next().await.is_some() {}
    }

    fn clients(&self) -> Clients {
        Clients::over(self.channels[0].clone())
    }

    /// An error if a promise is broken, or somebody who takes part has failed.
    pub fn check(&mut self) -> Result<()> {
        while let Some(ended) = self.tasks.try_join_next() {
            ended?;
        }
        match self.record.violations().as_slice() {
            [] => Ok(()),
            broken => Err(broken.join("\n").into()),
        }
    }

    /// Recoveries of a copy of the data directory are compared.
    pub fn compare(&mut self) -> Result<()> {
        offline::check(&self.dir, &mut self.compared)
    }

    /// Waits until nothing is open, and checks everything.
    pub async fn pause(&mut self) -> Result<()> {
        self.pauses += 1;
        let record = self.record.clone();
        until("every write is answered", || record.open.load(Relaxed) == 0).await?;
        let mut to = self.clients();
        for at in 0..self.watched.len() {
            let market = self.watched[at].market.clone();
            rounds_end(&mut to, &market).await?;
            if !market.continuous && self.random.one_in(2) {
                self.clear(&mut to, &market).await?;
            }
            let end = newest(&mut to, &market).await?;
            self.subscribers_reach(at, end).await?;
            self.check_market(at, &mut to).await?;
            self.verify(&mut to, &market).await?;
        }
        let listed = to.market.list_markets(pb::ListMarketsRequest::default()).await?.into_inner();
        let listed: BTreeSet<String> = listed.markets.into_iter().map(|market| market.id).collect();
        self.record.violation(self.estate.lock().unwrap().check(&listed));
        self.check()
    }

    /// A round, so that there is something to verify.
    async fn clear(&mut self, to: &mut Clients, market: &Market) -> Result<()> {
        let request_id = Uuid::from_u64_pair(self.random.next(), self.random.next()).to_string();
        let request = pb::StartRoundRequest { market: market.name.clone(), wait: true, request_id };
        let ask = Ask::Round(request);
        match ask.send(to).await {
            Came::Told(told) => {
                market.acknowledge(ask, told);
                Ok(())
            }
            Came::Refused(reason) => Err(format!("a round is refused: {reason}").into()),
            Came::Nothing => Err("a round is not answered".into()),
        }
    }

    async fn subscribers_reach(&self, at: usize, end: Place) -> Result<()> {
        let Watched { market, lives, .. } = &self.watched[at];
        let reached = || {
            market.reference.lock().unwrap().end >= end
                && lives.iter().all(|life| subscribers::next(&life.lock().unwrap()) >= Some(end))
        };
        let record = self.record.clone();
        let waited =
            until("every subscriber sees the end", || reached() || !record.violations().is_empty());
        if waited.await.is_err() {
            let at: Vec<_> =
                lives.iter().map(|life| subscribers::next(&life.lock().unwrap())).collect();
            let evidence = format!("{} ends at {end:?}, subscribers are at {at:?}", market.name);
            return Ok(broken(CONTINUED, evidence)?);
        }
        Ok(())
    }

    /// What was recorded of a market since the last pause.
    fn check_recorded(&mut self, at: usize) {
        let Watched { market, model, modelled, lives } = &mut self.watched[at];
        let reference = market.reference.lock().unwrap();
        let told = market.take_acknowledged();
        self.record.violation(model.follow(&reference.events[*modelled..], told));
        *modelled = reference.events.len();
        self.record.violation(checkers::dense(&reference));
        for life in lives {
            let mut life = life.lock().unwrap();
            self.record.violation(checked(&life, &reference));
            let messages = life.sessions.iter().flat_map(|session| &session.messages);
            self.delivered += messages.map(|message| message.events.len() as u64).sum::<u64>();
            self.sessions += life.sessions.iter().filter(|s| !s.messages.is_empty()).count() as u64;
            subscribers::forget(&mut life);
        }
    }

    async fn check_market(&mut self, at: usize, to: &mut Clients) -> Result<()> {
        self.check_recorded(at);
        let Watched { market, model, .. } = &self.watched[at];
        let (revision, workers, vacancies) = pools(to, market).await?;
        if revision != model.revision {
            let evidence =
                format!("a list is of {revision}, the stream ends at {}", model.revision);
            self.record.violation(broken(DURABLE, evidence));
        }
        self.record.violation(model.same(&workers, &vacancies));
        Ok(())
    }

    async fn verify(&mut self, to: &mut Clients, market: &Market) -> Result<()> {
        let request = pb::VerifyRequest { market: market.name.clone() };
        let mut steps = match to.matching.verify(request).await {
            Ok(steps) => steps.into_inner(),
            Err(status) => {
                let details = status.get_error_details();
                if details.error_info().is_some_and(|info| info.reason == "NOT_CLEARED") {
                    self.not_cleared += 1;
                    return Ok(());
                }
                return Err(status.into());
            }
        };
        while let Some(step) = steps.message().await? {
            if let Some(pb::verify_response::Step::Certificate(found)) = step.step {
                self.verified += 1;
                if found.blocking_pairs > 0 || found.violations > 0 {
                    self.record.violation(broken(STABLE, format_args!("{found:?}")));
                }
            }
        }
        Ok(())
    }

    /// How far it is, in one line.
    pub fn progress(&self) -> String {
        let at: Vec<_> = self.watched.iter().map(|w| format!("{}", w.market.seen())).collect();
        let acknowledged = self.record.acknowledged.load(Relaxed);
        format!("{acknowledged} acknowledged, revisions {}", at.join(" and "))
    }

    pub fn report(&self) {
        let record = &self.record;
        let count = |number: &AtomicU64| number.load(Relaxed);
        println!("writes: {}", count(&record.calls));
        println!("acknowledged: {}", count(&record.acknowledged));
        println!("calls without an answer: {}", count(&record.unacknowledged));
        println!("calls made again until there was one: {}", count(&record.retried));
        println!("answered writes asked for again: {}", count(&record.answered_again));
        println!("refused: {:?}", record.refused());
        for Watched { market, model, .. } in &self.watched {
            let events = market.reference.lock().unwrap().events.len();
            let (revision, lost) = (model.revision, model.rounds_lost);
            println!("{}: {revision} revisions, {events} events, {lost} rounds lost", market.name);
        }
        println!("events delivered to subscribers: {}", self.delivered);
        println!("sessions of subscribers: {}", self.sessions);
        println!("markets made and deleted: {}", self.estate.lock().unwrap().deleted.len());
        println!("pauses in which everything was checked: {}", self.pauses);
        println!("matchings verified: {}, not cleared: {}", self.verified, self.not_cleared);
        let Compared { from_older, from_journal, trimmed } = self.compared;
        println!("recoveries compared without the newest snapshot of a market: {from_older}");
        println!("recoveries compared from the journal alone: {from_journal}");
        println!("trimmed markets recovered: {trimmed}");
    }
}

/// All six promises of `Watch`.
fn checked(life: &Subscription, reference: &Reference) -> checkers::Checked {
    checkers::all(life, reference).map_err(|broken| format!("{broken}\n  filter {:?}", life.filter))
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > GUARD {
            return Err(format!("{what}: not in {GUARD:?}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn filter(number: u64, random: &mut Random) -> pb::EventFilter {
    let kinds = |kinds: &[pb::EventKind]| kinds.iter().map(|kind| *kind as i32).collect();
    let mut filter = pb::EventFilter::default();
    match number {
        0 | 1 => {}
        2 => filter.kinds = kinds(&[pb::EventKind::WorkerChanged, pb::EventKind::VacancyChanged]),
        3 => filter.cities = vec!["b".into()],
        4 => filter.kinds = kinds(&[pb::EventKind::Matched, pb::EventKind::RoundStarted]),
        _ => {
            filter.worker_ids = (0..60).map(|_| worker_id(random.below(600))).collect();
            filter.vacancy_ids = (0..150).map(vacancy_id).collect();
        }
    }
    filter
}

/// Makes a market with its cities.
async fn make(to: &mut Clients, market: &Market) -> Result<()> {
    let mode = match market.continuous {
        true => pb::clearing::Mode::Continuous,
        false => pb::clearing::Mode::Manual,
    };
    let clearing = Some(pb::Clearing { mode: mode as i32, ..Default::default() });
    let settings = Some(pb::Settings { clearing, lottery_seed: Some(7), ..Default::default() });
    let id = market.name.clone();
    let made = Some(pb::Market { id: id.clone(), settings, ..Default::default() });
    to.market.create_market(pb::CreateMarketRequest { market: made }).await?;
    let city = |(at, name): (usize, &str)| pb::City {
        id: name.into(),
        latitude: 40.0 + at as f64,
        ..Default::default()
    };
    let cities = ["a", "b", "c"].into_iter().enumerate().map(city).collect();
    let request = pb::UpsertCitiesRequest { market: id, cities, ..Default::default() };
    to.market.upsert_cities(request).await?;
    Ok(())
}

/// The place after the newest event.
async fn newest(to: &mut Clients, market: &Market) -> Result<Place> {
    let request = pb::GetWatermarkRequest { market: market.name.clone() };
    Ok(place(to.event.get_watermark(request).await?.into_inner().newest.as_ref()))
}

async fn rounds_end(to: &mut Clients, market: &Market) -> Result<()> {
    let started = Instant::now();
    loop {
        let request = pb::GetMarketRequest { market: market.name.clone(), at_least_revision: 0 };
        let status = to.market.get_market(request).await?.into_inner().market;
        let status = status.and_then(|market| market.status).unwrap_or_default();
        if status.running_round_id.is_empty() {
            return Ok(());
        }
        if started.elapsed() > GUARD {
            let evidence =
                format!("round {} of {} never ends", status.running_round_id, market.name);
            return Ok(broken(DURABLE, evidence)?);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// All workers and vacancies, and the revision that they are of.
async fn pools(
    to: &mut Clients,
    market: &Market,
) -> Result<(u64, Vec<pb::WorkerRecord>, Vec<pb::VacancyRecord>)> {
    let (mut workers, mut vacancies) = (Vec::new(), Vec::new());
    let mut page_token = String::new();
    let mut revision;
    loop {
        let request = pb::ListWorkersRequest {
            market: market.name.clone(),
            page_size: PAGE,
            page_token,
            ..Default::default()
        };
        let page = to.pool.list_workers(request).await?.into_inner();
        workers.extend(page.workers);
        (revision, page_token) = (page.revision, page.next_page_token);
        if page_token.is_empty() {
            break;
        }
    }
    loop {
        let request = pb::ListVacanciesRequest {
            market: market.name.clone(),
            page_size: PAGE,
            page_token,
            ..Default::default()
        };
        let page = to.pool.list_vacancies(request).await?.into_inner();
        vacancies.extend(page.vacancies);
        (revision, page_token) = (revision.min(page.revision), page.next_page_token);
        if page_token.is_empty() {
            return Ok((revision, workers, vacancies));
        }
    }
}

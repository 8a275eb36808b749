//! A storm: six writers and a dozen subscribers on one market. Writers draw from one
//! seed each; what the subscribers see depends on how the tasks interleave, so that the
//! seed repeats the commands and the habits, and the promises hold in any case.

use crate::checkers::{self, Began, Reference, Session, Subscription, place_of};
use crate::support::*;
use gale::proto::v1 as pb;
use tokio::sync::watch;
use tonic::{Code, Streaming};

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn of(seed: u64, stream: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(stream << 32))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` to before `high`.
    fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.within(0, n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.within(0, from.len() as u64) as usize]
    }
}

/// Cities that are there from the start; one more is added now and then.
const CITIES: [&str; 4] = ["a", "b", "c", "d"];

/// Workers and vacancies that several writers change.
const KNOWN: u64 = 300;

/// Steps of each writer.
const STEPS: u64 = 40;

/// What a writer was told: at `revision` so many workers came in for the first time.
struct Acknowledged {
    revision: u64,
    newcomers: usize,
}

/// What one storm amounted to.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
pub struct Figures {
    events: usize,
    revisions: u64,
    sessions: usize,
    delivered: usize,
    checkpoints: usize,
    resumed_inside_a_revision: usize,
}

/// Runs a storm and checks every promise over what was recorded.
pub async fn run(seed: u64) -> Result<Figures, String> {
    let gale = Gale::start(options()).await;
    let mut clients = gale.clients().await;
    clients.make_market().await;
    clients.cities(&CITIES).await;
    let known = (0..KNOWN).map(|n| worker(n, CITIES[n as usize % 4], 40_000)).collect();
    clients.workers(known).await;
    let known = (0..KNOWN).map(|n| vacancy(n, CITIES[n as usize % 3], 1, 60_000)).collect();
    clients.vacancies(known).await;

    let (done, is_done) = watch::channel(None::<Place>);
    let mut subscribers = Vec::new();
    for number in 0..12 {
        let narrow = number % 3 == 2;
        let channel = if narrow { gale.narrow_channel().await } else { gale.channel().await };
        let subscriber = Subscriber {
            clients: Clients::over(channel),
            aside: clients.clone(),
            random: Random::of(seed, 100 + number),
            filter: filter(number, &mut Random::of(seed, 200 + number)),
            done: is_done.clone(),
            lags: narrow,
        };
        subscribers.push(tokio::spawn(subscriber.live()));
    }
    let random = |stream| Random::of(seed, stream);
    let ((), (), (), (), (), acknowledged) = tokio::join!(
        change_workers(gale.clients().await, random(1)),
        change_vacancies(gale.clients().await, random(2)),
        leave(gale.clients().await, random(3)),
        clear_and_decide(gale.clients().await, random(4)),
        build(gale.clients().await, random(5)),
        arrive(gale.clients().await, random(6)),
    );
    let end = clients.watermark().await.1;
    done.send_replace(Some(end));
    let mut subscriptions = Vec::new();
    for subscriber in subscribers {
        subscriptions.push(subscriber.await.map_err(|error| error.to_string())?);
    }
    let reference = Reference { events: clients.all_events().await, end };
    check(&subscriptions, &reference, &acknowledged)?;
    Ok(figures(&subscriptions, &reference))
}

fn check(
    subscriptions: &[Subscription],
    reference: &Reference,
    acknowledged: &[Acknowledged],
) -> checkers::Checked {
    checkers::dense(reference)?;
    let new = pb::WorkerStatus::Unspecified as i32;
    for ack in acknowledged {
        let came = reference.events.iter().filter(|event| place_of(event).0 == ack.revision);
        let came = came.filter(|event| match &event.detail {
            Some(pb::event::Detail::Worker(worker)) => worker.previous_status == new,
            _ => false,
        });
        if came.count() != ack.newcomers {
            return Err(format!(
                "{}\n  revision {} was acknowledged with {} newcomers",
                checkers::RELIABLE,
                ack.revision,
                ack.newcomers
            ));
        }
    }
    for subscription in subscriptions {
        checkers::all(subscription, reference)
            .map_err(|broken| format!("{broken}\n  filter {:?}", subscription.filter))?;
        if subscription.sessions.last().and_then(Session::next) < Some(reference.end) {
            return Err(format!("{}\n  a stream never caught up", checkers::RELIABLE));
        }
    }
    Ok(())
}

fn figures(subscriptions: &[Subscription], reference: &Reference) -> Figures {
    let sessions: Vec<&Session> = subscriptions.iter().flat_map(|s| &s.sessions).collect();
    let messages = || sessions.iter().flat_map(|session| &session.messages);
    let inside = |session: &&&Session| matches!(session.began, Began::At((_, index)) if index > 0);
    Figures {
        events: reference.events.len(),
        revisions: reference.end.0 - 1,
        sessions: sessions.len(),
        delivered: messages().map(|message| message.events.len()).sum(),
        checkpoints: messages().filter(|message| message.checkpoint).count(),
        resumed_inside_a_revision: sessions.iter().filter(inside).count(),
    }
}

/// Known workers ask for other salaries, or move house.
async fn change_workers(mut clients: Clients, mut random: Random) {
    for _ in 0..STEPS {
        let first = random.within(0, KNOWN);
        let count = random.within(1, 40);
        let changed = (first..(first + count).min(KNOWN)).map(|number| {
            let home = random.pick(&CITIES);
            worker(number, home, 30_000 + random.within(0, 30_000) as i64)
        });
        let request = pb::UpsertWorkersRequest {
            market: MARKET.into(),
            workers: changed.collect(),
            reopen: random.one_in(2),
            ..Default::default()
        };
        clients.pool.upsert_workers(request).await.expect("placed workers fail alone");
    }
}

/// Known vacancies change, new ones come.
async fn change_vacancies(mut clients: Clients, mut random: Random) {
    for _ in 0..STEPS {
        let first = random.within(0, 2 * KNOWN);
        let changed = (first..first + random.within(1, 30)).map(|number| {
            let openings = random.within(1, 4) as u32;
            vacancy(number, random.pick(&CITIES), openings, random.within(40_000, 80_000) as i64)
        });
        let request = pb::UpsertVacanciesRequest {
            market: MARKET.into(),
            vacancies: changed.collect(),
            ..Default::default()
        };
        clients.pool.upsert_vacancies(request).await.expect("filled vacancies fail alone");
    }
}

/// Workers withdraw and vacancies close.
async fn leave(mut clients: Clients, mut random: Random) {
    for _ in 0..STEPS {
        let request = pb::WithdrawWorkersRequest {
            market: MARKET.into(),
            worker_ids: vec![worker_id(random.within(0, KNOWN))],
            ..Default::default()
        };
        clients.pool.withdraw_workers(request).await.expect("placed workers fail alone");
        let request = pb::CloseVacanciesRequest {
            market: MARKET.into(),
            vacancy_ids: vec![vacancy_id(random.within(0, KNOWN))],
            ..Default::default()
        };
        clients.pool.close_vacancies(request).await.expect("known vacancies close");
    }
}

/// Rounds; of what they hold some is confirmed and some declined.
async fn clear_and_decide(mut clients: Clients, mut random: Random) {
    for _ in 0..STEPS / 3 {
        clients.clear().await;
        let request = pb::ListMatchesRequest {
            market: MARKET.into(),
            status: pb::MatchStatus::Held as i32,
            ..Default::default()
        };
        let held = clients.matching.list_matches(request).await.expect("matches").into_inner();
        let (mut confirmed, mut declined) = (Vec::new(), Vec::new());
        for held in held.matches {
            let key = pb::MatchKey { worker_id: held.worker_id, vacancy_id: held.vacancy_id };
            match random.within(0, 10) {
                0 => confirmed.push(key),
                1 => declined.push(key),
                _ => {}
            }
        }
        let request = pb::ConfirmMatchesRequest {
            market: MARKET.into(),
            side: pb::MatchSide::Worker as i32,
            matches: confirmed,
            ..Default::default()
        };
        clients.matching.confirm_matches(request).await.expect("stale ones fail alone");
        let request = pb::DeclineMatchesRequest {
            market: MARKET.into(),
            side: pb::MatchSide::Employer as i32,
            matches: declined,
            ..Default::default()
        };
        clients.matching.decline_matches(request).await.expect("stale ones fail alone");
    }
}

/// Cities are built, and somebody lives in each at once.
async fn build(mut clients: Clients, mut random: Random) {
    for number in 0..STEPS {
        let name = format!("new-{number}");
        clients.cities(&[&name]).await;
        let id = 2_000_000 + number;
        clients.workers(vec![worker(id, &name, 30_000 + random.within(0, 9_000) as i64)]).await;
    }
}

/// Workers arrive for the first time, once a great many of them.
async fn arrive(mut clients: Clients, mut random: Random) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    let mut first = 1_000_000;
    for step in 0..STEPS {
        let count = if step == STEPS / 2 { 10_000 } else { random.within(1, 60) };
        // Too dear for any vacancy: they make events, not rounds that take long.
        let home = random.pick(&CITIES);
        let workers = (first..first + count).map(|n| worker(n, home, 500_000)).collect();
        first += count;
        let revision = clients.workers(workers).await;
        acknowledged.push(Acknowledged { revision, newcomers: count as usize });
    }
    acknowledged
}

/// One filter per subscriber: none, and every kind of list alone and together.
fn filter(number: u64, random: &mut Random) -> pb::EventFilter {
    let mut filter = pb::EventFilter::default();
    let kinds = [pb::EventKind::WorkerChanged, pb::EventKind::VacancyChanged];
    let matches = [
        pb::EventKind::Matched,
        pb::EventKind::Displaced,
        pb::EventKind::MigrationPlanned,
        pb::EventKind::RoundCleared,
    ];
    match number % 6 {
        0 | 1 => {}
        2 => filter.kinds = kinds.map(|kind| kind as i32).to_vec(),
        3 => filter.cities = vec![random.pick(&CITIES).into(), "d".into()],
        4 => {
            filter.kinds = matches.map(|kind| kind as i32).to_vec();
            filter.cities = vec![random.pick(&CITIES).into()];
        }
        _ => {
            filter.worker_ids = (0..50).map(|_| worker_id(random.within(0, KNOWN))).collect();
            if random.one_in(2) {
                filter.vacancy_ids = (0..KNOWN).map(vacancy_id).collect();
            }
        }
    }
    filter
}

/// A subscriber who comes and goes, and writes down what it sees.
struct Subscriber {
    clients: Clients,
    /// For other calls than its stream, which may fill its connection.
    aside: Clients,
    random: Random,
    filter: pb::EventFilter,
    /// The end of the history, once nobody writes any more.
    done: watch::Receiver<Option<Place>>,
    /// Now and then it does not read until others have written a good deal.
    lags: bool,
}

impl Subscriber {
    /// Until it has seen everything up to the end.
    async fn live(mut self) -> Subscription {
        let mut sessions: Vec<Session> = Vec::new();
        loop {
            let resume = sessions.iter().rev().find_map(Session::next);
            let end = *self.done.borrow();
            if end.is_some() && resume >= end {
                return Subscription { filter: self.filter, sessions };
            }
            sessions.push(self.session(resume).await);
        }
    }

    async fn session(&mut self, resume: Option<Place>) -> Session {
        let (began, mut stream) = match resume {
            Some(resume) => (Began::At(resume), self.open(at(resume)).await),
            None => self.begin().await,
        };
        let mut messages = Vec::new();
        for _ in 0..self.random.within(1, 30) {
            let message = guarded("a message", stream.message()).await;
            let message = message.expect("a stream goes on").expect("a stream does not end");
            messages.push(message);
            let next = messages.last().map(|message| place(message.next.as_ref()));
            if next >= *self.done.borrow() && self.done.borrow().is_some() {
                break;
            }
            if self.lags && self.random.one_in(6) {
                self.lag().await;
            }
        }
        self.leave_inside(&mut messages);
        Session { began, messages }
    }

    /// The first session: from the start, from now, or from some revision between.
    async fn begin(&mut self) -> (Began, Streaming<pb::WatchResponse>) {
        let (oldest, newest) = self.aside.watermark().await;
        match self.random.within(0, 3) {
            0 => (Began::At(oldest), self.open(earliest()).await),
            1 => {
                let stream = self.open(now()).await;
                (Began::Between(newest, self.aside.watermark().await.1), stream)
            }
            _ => {
                let place = (self.random.within(oldest.0, newest.0 + 1), 0);
                (Began::At(place), self.open(at(place)).await)
            }
        }
    }

    async fn open(&mut self, start: pb::watch_request::Start) -> Streaming<pb::WatchResponse> {
        match self.clients.watch(start, Some(self.filter.clone())).await {
            Ok(stream) => stream,
            Err(status) => panic!("{}\n  {status:?}", checkers::RESUMABLE),
        }
    }

    /// Sometimes it has worked through a part of the last message when it leaves.
    fn leave_inside(&mut self, messages: &mut [pb::WatchResponse]) {
        let Some(last) = messages.last_mut() else { return };
        if last.events.len() < 2 || self.random.one_in(2) {
            return;
        }
        let kept = self.random.within(1, last.events.len() as u64) as usize;
        last.next.clone_from(&last.events[kept].position);
        last.events.truncate(kept);
        last.last_in_revision = false;
    }

    async fn lag(&mut self) {
        let (_, newest) = self.aside.watermark().await;
        let level = newest.0 + self.random.within(1, 40);
        while self.done.borrow().is_none() {
            let request = pb::GetMarketRequest { market: MARKET.into(), at_least_revision: level };
            match self.aside.market.get_market(request).await {
                Ok(_) => return,
                Err(status) => assert_eq!(status.code(), Code::OutOfRange, "{status:?}"),
            }
            tokio::task::yield_now().await;
        }
    }
}

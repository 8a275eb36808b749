//! A real server in this process, its clients, and what tests of streams say often.
#![allow(dead_code, reason = "each test file uses its share")]

use gale::market::Markets;
use gale::proto::v1 as pb;
use gale::proto::v1::event_service_client::EventServiceClient;
use gale::proto::v1::market_service_client::MarketServiceClient;
use gale::proto::v1::matching_service_client::MatchingServiceClient;
use gale::proto::v1::pool_service_client::PoolServiceClient;
use gale::proto::v1::watch_request::Start;
use gale::server::{Bound, Error, Options};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;
use uuid::Uuid;

/// What takes longer than this has failed: a guard, never a way to wait.
pub const GUARD: Duration = Duration::from_secs(30);

/// Waits for `future`, and fails with `what` if it does not come.
pub async fn guarded<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(GUARD, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing in {GUARD:?}"),
    }
}

/// A server on ports of its own.
pub struct Gale {
    pub grpc: SocketAddr,
    pub admin: SocketAddr,
    pub markets: Arc<Markets>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), Error>>,
}

/// Options for a test: free ports, and a clock that nobody ticks.
pub fn options() -> Options {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Options { listen: any, admin: any, tick: Duration::ZERO, ..Options::default() }
}

impl Gale {
    pub async fn start(options: Options) -> Self {
        let bound = Bound::bind(options).await.expect("free ports");
        let (grpc, admin, markets) =
            (bound.grpc_addr(), bound.admin_addr(), bound.markets().clone());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(bound.serve(async {
            let _ = stopped.await;
        }));
        Self { grpc, admin, markets, stop: Some(stop), served }
    }

    /// A connection of its own.
    pub async fn channel(&self) -> Channel {
        self.endpoint().connect().await.expect("the server accepts")
    }

    /// A connection that takes little at once, so that a client who stops reading is
    /// soon felt by the server.
    pub async fn narrow_channel(&self) -> Channel {
        let narrow = self.endpoint().initial_stream_window_size(65_535);
        narrow.initial_connection_window_size(65_535).connect().await.expect("the server accepts")
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.grpc)).expect("an address")
    }

    pub async fn clients(&self) -> Clients {
        Clients::over(self.channel().await)
    }

    /// Tells the server to stop; [`Self::stopped`] waits until it has.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub async fn stopped(self) -> Result<(), Error> {
        guarded("the server stops", self.served).await.expect("serving does not panic")
    }
}

/// Clients of all services over one connection.
#[derive(Clone)]
pub struct Clients {
    pub market: MarketServiceClient<Channel>,
    pub pool: PoolServiceClient<Channel>,
    pub matching: MatchingServiceClient<Channel>,
    pub event: EventServiceClient<Channel>,
}

/// The market that tests of streams make.
pub const MARKET: &str = "m";

impl Clients {
    pub fn over(channel: Channel) -> Self {
        // The server's limit is 16 MiB; clients must not be the first to refuse.
        const BYTES_MAX: usize = 64 << 20;
        Self {
            market: MarketServiceClient::new(channel.clone()).max_decoding_message_size(BYTES_MAX),
            pool: PoolServiceClient::new(channel.clone()).max_decoding_message_size(BYTES_MAX),
            matching: MatchingServiceClient::new(channel.clone())
                .max_decoding_message_size(BYTES_MAX),
            event: EventServiceClient::new(channel).max_decoding_message_size(BYTES_MAX),
        }
    }

    /// Makes the market; one confirmation is enough to place.
    pub async fn make_market(&mut self) -> pb::Market {
        let settings = pb::Settings {
            confirmations: pb::Confirmations::Either as i32,
            lottery_seed: Some(7),
            ..Default::default()
        };
        let market =
            pb::Market { id: MARKET.into(), settings: Some(settings), ..Default::default() };
        let request = pb::CreateMarketRequest { market: Some(market) };
        self.market.create_market(request).await.expect("a market").into_inner().market.unwrap()
    }

    /// Adds cities; the revision.
    pub async fn cities(&mut self, names: &[&str]) -> u64 {
        let city = |(i, name): (usize, &&str)| pb::City {
            id: (*name).to_owned(),
            latitude: 40.0 + i as f64 / 10.0,
            ..Default::default()
        };
        let cities = names.iter().enumerate().map(city).collect();
        let request =
            pb::UpsertCitiesRequest { market: MARKET.into(), cities, ..Default::default() };
        let reply = self.market.upsert_cities(request).await.expect("cities").into_inner();
        assert!(reply.errors.is_empty(), "{:?}", reply.errors);
        reply.revision
    }

    /// Upserts workers; the revision.
    pub async fn workers(&mut self, workers: Vec<pb::Worker>) -> u64 {
        let request =
            pb::UpsertWorkersRequest { market: MARKET.into(), workers, ..Default::default() };
        let reply = self.pool.upsert_workers(request).await.expect("workers").into_inner();
        assert!(reply.errors.is_empty(), "{:?}", reply.errors);
        reply.revision
    }

    /// Upserts vacancies; the revision.
    pub async fn vacancies(&mut self, vacancies: Vec<pb::Vacancy>) -> u64 {
        let request =
            pb::UpsertVacanciesRequest { market: MARKET.into(), vacancies, ..Default::default() };
        let reply = self.pool.upsert_vacancies(request).await.expect("vacancies").into_inner();
        assert!(reply.errors.is_empty(), "{:?}", reply.errors);
        reply.revision
    }

    /// Clears the market.
    pub async fn clear(&mut self) -> pb::Round {
        let request =
            pb::StartRoundRequest { market: MARKET.into(), wait: true, ..Default::default() };
        self.matching.start_round(request).await.expect("a round").into_inner().round.unwrap()
    }

    pub async fn watch(
        &mut self,
        start: Start,
        filter: Option<pb::EventFilter>,
    ) -> Result<Streaming<pb::WatchResponse>, Status> {
        let request = pb::WatchRequest {
            market: MARKET.into(),
            start: Some(start),
            filter,
            checkpoint_interval_ms: 100,
        };
        guarded("Watch opens", self.event.watch(request)).await.map(tonic::Response::into_inner)
    }

    /// Oldest position, and the one after the newest event.
    pub async fn watermark(&mut self) -> (Place, Place) {
        let request = pb::GetWatermarkRequest { market: MARKET.into() };
        let reply = self.event.get_watermark(request).await.expect("a watermark").into_inner();
        (place(reply.oldest.as_ref()), place(reply.newest.as_ref()))
    }

    /// All events that are retained, by pages of a size that does not divide evenly.
    pub async fn all_events(&mut self) -> Vec<pb::Event> {
        let mut events = Vec::new();
        let mut start = None;
        loop {
            let request = pb::ListEventsRequest {
                market: MARKET.into(),
                start,
                filter: None,
                page_size: 7_001,
            };
            let reply = self.event.list_events(request).await.expect("a page").into_inner();
            events.extend(reply.events);
            if reply.caught_up {
                return events;
            }
            start = reply.next;
        }
    }
}

/// A place in the order of events: revision and index.
pub type Place = (u64, u32);

pub fn place(position: Option<&pb::Position>) -> Place {
    let position = position.expect("a position");
    (position.revision, position.index)
}

pub fn at(place: Place) -> Start {
    Start::Position(pb::Position { incarnation: String::new(), revision: place.0, index: place.1 })
}

pub fn earliest() -> Start {
    Start::Earliest(pb::EarliestStart {})
}

pub fn now() -> Start {
    Start::Now(pb::NowStart {})
}

pub fn worker_id(number: u64) -> String {
    Uuid::from_u64_pair(0xA000_0000_0000_4000, 0x8000_0000_0000_0000 | number).to_string()
}

pub fn vacancy_id(number: u64) -> String {
    Uuid::from_u64_pair(0xB000_0000_0000_4000, 0x8000_0000_0000_0000 | number).to_string()
}

/// A worker who moves gladly.
pub fn worker(number: u64, home: &str, salary: i64) -> pb::Worker {
    pb::Worker {
        id: worker_id(number),
        home_city: home.to_owned(),
        expected_salary: salary,
        mobility: Some(pb::Mobility {
            scope: pb::mobility::Scope::Any as i32,
            cities: Vec::new(),
            cost_percent: Some(0),
        }),
        ..Default::default()
    }
}

pub fn vacancy(number: u64, city: &str, openings: u32, salary: i64) -> pb::Vacancy {
    pb::Vacancy {
        id: vacancy_id(number),
        city: city.to_owned(),
        openings,
        salary,
        ..Default::default()
    }
}

/// The stable reason of a status, and what it says to programs.
pub fn reason(status: &Status) -> (String, HashMap<String, String>) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "gale");
    (info.reason.clone(), info.metadata.clone())
}

/// Asserts code and reason; the position that the status carries, if it does.
pub fn expect_status(status: &Status, code: Code, reason_: &str) -> Option<Place> {
    assert_eq!(status.code(), code, "{status:?}");
    let (reason, metadata) = reason(status);
    assert_eq!(reason, reason_, "{status:?}");
    Some((metadata.get("revision")?.parse().ok()?, metadata.get("index")?.parse().ok()?))
}

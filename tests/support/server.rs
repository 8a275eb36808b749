//! A real server in this process, on ports of its own, and clients of all its services.

use gale::market::Markets;
use gale::proto::v1 as pb;
use gale::proto::v1::event_service_client::EventServiceClient;
use gale::proto::v1::market_service_client::MarketServiceClient;
use gale::proto::v1::matching_service_client::MatchingServiceClient;
use gale::proto::v1::planning_service_client::PlanningServiceClient;
use gale::proto::v1::pool_service_client::PoolServiceClient;
use gale::server::{Bound, Options};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The market that tests make.
pub const MARKET: &str = "m";

const CLIENT_BYTES_MAX: usize = 64 << 20;

/// Options for tests: any free port, and no ticks unless a test asks for them.
pub fn options() -> Options {
    Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        admin: SocketAddr::from(([127, 0, 0, 1], 0)),
        tick: Duration::ZERO,
        stop: Duration::from_secs(5),
        ..Options::default()
    }
}

/// A server that runs.
pub struct Server {
    pub address: SocketAddr,
    pub markets: Arc<Markets>,
    pub api: Api,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Clients over one connection.
#[derive(Clone)]
pub struct Api {
    pub market: MarketServiceClient<Channel>,
    pub pool: PoolServiceClient<Channel>,
    pub matching: MatchingServiceClient<Channel>,
    pub event: EventServiceClient<Channel>,
    pub planning: PlanningServiceClient<Channel>,
}

impl Api {
    pub fn new(channel: Channel) -> Self {
        macro_rules! sized {
            ($client:ident) => {
                $client::new(channel.clone())
                    .max_decoding_message_size(CLIENT_BYTES_MAX)
                    .max_encoding_message_size(CLIENT_BYTES_MAX)
            };
        }
        Self {
            market: sized!(MarketServiceClient),
            pool: sized!(PoolServiceClient),
            matching: sized!(MatchingServiceClient),
            event: sized!(EventServiceClient),
            planning: sized!(PlanningServiceClient),
        }
    }
}

impl Server {
    pub async fn start(options: Options) -> Self {
        Self::run(Bound::bind(options).await.expect("free ports")).await
    }

    /// A server of markets that are there already.
    pub async fn of(markets: Arc<Markets>) -> Self {
        Self::run(Bound::with_markets(options(), markets).await.expect("free ports")).await
    }

    async fn run(bound: Bound) -> Self {
        let (address, markets) = (bound.grpc_addr(), bound.markets().clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            bound.serve(async { drop(stopped.await) }).await.expect("it serves");
        });
        let api = Api::new(connect(address).await);
        Self { address, markets, api, stop: Some(stop), task }
    }

    /// A server with one market that has the cities `a` and `b`.
    pub async fn with_market(options: Options) -> Self {
        let mut server = Self::start(options).await;
        server.make(market(MARKET)).await;
        server.cities(["a", "b"].map(city)).await;
        server
    }

    /// Makes a market.
    pub async fn make(&mut self, market: pb::Market) -> pb::Market {
        let request = pb::CreateMarketRequest { market: Some(market) };
        self.api.market.create_market(request).await.unwrap().into_inner().market.unwrap()
    }

    pub async fn cities(&mut self, cities: impl IntoIterator<Item = pb::City>) {
        let request = pb::UpsertCitiesRequest {
            market: MARKET.into(),
            cities: cities.into_iter().collect(),
            ..Default::default()
        };
        let reply = self.api.market.upsert_cities(request).await.unwrap().into_inner();
        assert_eq!(reply.errors, []);
    }

    pub async fn workers(&mut self, workers: Vec<pb::Worker>) -> u64 {
        let request = upsert_workers(workers);
        let reply = self.api.pool.upsert_workers(request).await.unwrap().into_inner();
        assert_eq!(reply.errors, []);
        reply.revision
    }

    pub async fn vacancies(&mut self, vacancies: Vec<pb::Vacancy>) -> u64 {
        let request = upsert_vacancies(vacancies);
        let reply = self.api.pool.upsert_vacancies(request).await.unwrap().into_inner();
        assert_eq!(reply.errors, []);
        reply.revision
    }

    /// Clears the market and waits for it.
    pub async fn clear(&mut self) -> pb::Round {
        let request =
            pb::StartRoundRequest { market: MARKET.into(), wait: true, ..Default::default() };
        self.api.matching.start_round(request).await.unwrap().into_inner().round.unwrap()
    }

    /// Worker 1 placed in vacancy 1, which is then filled.
    pub async fn place(&mut self) {
        self.workers(vec![worker(1)]).await;
        self.vacancies(vec![vacancy(1)]).await;
        self.clear().await;
        for side in [pb::MatchSide::Worker, pb::MatchSide::Employer] {
            let request = confirm(side, &[(1, 1)]);
            self.api.matching.confirm_matches(request).await.unwrap();
        }
    }

    /// The market's revision.
    pub fn revision(&self) -> u64 {
        self.markets.get(MARKET).unwrap().head().revision.0
    }

    /// Stops the server and waits until it has.
    pub async fn stop(mut self) {
        self.ask_to_stop();
        self.task.await.unwrap();
    }

    pub fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }
}

pub async fn connect(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

pub fn worker_id(number: u64) -> String {
    super::world::worker_id(number).to_string()
}

pub fn vacancy_id(number: u64) -> String {
    super::world::vacancy_id(number).to_string()
}

pub fn market(id: &str) -> pb::Market {
    pb::Market { id: id.into(), ..Default::default() }
}

pub fn city(id: &str) -> pb::City {
    pb::City { id: id.into(), ..Default::default() }
}

pub fn region(id: &str) -> pb::Region {
    pb::Region { id: id.into(), ..Default::default() }
}

pub fn worker(number: u64) -> pb::Worker {
    pb::Worker {
        id: worker_id(number),
        home_city: "a".into(),
        expected_salary: 50_000,
        ..Default::default()
    }
}

pub fn vacancy(number: u64) -> pb::Vacancy {
    pb::Vacancy {
        id: vacancy_id(number),
        city: "a".into(),
        openings: 1,
        salary: 60_000,
        ..Default::default()
    }
}

pub fn upsert_workers(workers: Vec<pb::Worker>) -> pb::UpsertWorkersRequest {
    pb::UpsertWorkersRequest { market: MARKET.into(), workers, ..Default::default() }
}

pub fn upsert_vacancies(vacancies: Vec<pb::Vacancy>) -> pb::UpsertVacanciesRequest {
    pb::UpsertVacanciesRequest { market: MARKET.into(), vacancies, ..Default::default() }
}

pub fn keys(pairs: &[(u64, u64)]) -> Vec<pb::MatchKey> {
    let key =
        |(w, v): &(u64, u64)| pb::MatchKey { worker_id: worker_id(*w), vacancy_id: vacancy_id(*v) };
    pairs.iter().map(key).collect()
}

pub fn confirm(side: pb::MatchSide, pairs: &[(u64, u64)]) -> pb::ConfirmMatchesRequest {
    pb::ConfirmMatchesRequest {
        market: MARKET.into(),
        side: side.into(),
        matches: keys(pairs),
        ..Default::default()
    }
}

/// A status as a client reads it.
#[derive(Debug)]
pub struct Refused {
    pub code: Code,
    pub reason: String,
    pub metadata: HashMap<String, String>,
    /// The fields that its BadRequest names.
    pub fields: Vec<String>,
    pub message: String,
}

impl Refused {
    /// The field to blame, as ErrorInfo names it.
    pub fn field(&self) -> &str {
        self.metadata.get("field").map_or("", String::as_str)
    }
}

/// Reads a status, which must carry one ErrorInfo of Gale's, and where an argument is to
/// blame a BadRequest whose first field is the same.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> Refused {
    let status = answer.expect_err("it must be refused");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "gale");
    let fields = details.bad_request().map(|bad| &bad.field_violations[..]).unwrap_or_default();
    let refused = Refused {
        code: status.code(),
        reason: info.reason.clone(),
        metadata: info.metadata.clone(),
        fields: fields.iter().map(|violation| violation.field.clone()).collect(),
        message: status.message().to_owned(),
    };
    if refused.code == Code::InvalidArgument {
        assert_eq!(
            refused.fields.first().map(String::as_str),
            Some(refused.field()),
            "{refused:?}"
        );
    }
    refused
}

/// The same, of an answer that must be refused with this code and reason.
#[track_caller]
pub fn refused_as<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    reason: &str,
    field: &str,
) -> Refused {
    let refused = refused(answer);
    assert_eq!(
        (refused.code, refused.reason.as_str(), refused.field()),
        (code, reason, field),
        "{refused:?}"
    );
    refused
}

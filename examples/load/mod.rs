//! What the load examples share: a server in a process of its own and a generated market
//! in it, of all 393 metros.

use clap::{Args, Parser};
use gale::domain::VacancySpec;
use gale::generate::{Generator, Plan, Scale};
use gale::grpc::specs;
use gale::proto::v1::market_service_client::MarketServiceClient;
use gale::proto::v1::pool_service_client::PoolServiceClient;
use gale::proto::v1::{
    CreateMarketRequest, UpsertCitiesRequest, UpsertRegionsRequest, UpsertVacanciesRequest,
    UpsertWorkersRequest, Worker,
};
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;
use tonic::transport::Channel;

/// The server allocates as `gale` does.
#[global_allocator]
static HEAP: gale::heap::Heap = gale::heap::Heap;

/// What an example comes to.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Serves, or reads its arguments and measures.
pub fn main<A: Parser>(name: &str, measure: impl AsyncFnOnce(A) -> Result<()>) -> ExitCode {
    if std::env::args().any(|argument| argument == "serve") {
        return gale::cli::run(gale::cli::Cli::parse());
    }
    let args = A::parse();
    let result = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The market's id.
pub const MARKET: &str = "load";
/// Records of one upsert while loading.
const BATCH: usize = 2_000;
/// Workers that the clients change in turn.
const KEPT: usize = 20_000;

/// The generated market.
#[derive(Debug, Args)]
pub struct Size {
    /// Workers of the market.
    #[arg(long, default_value_t = 100_000)]
    pub workers: u64,
    /// Openings per 100 workers.
    #[arg(long, default_value_t = 75)]
    openings_percent: u64,
    /// Seed of the market.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A server in a process of its own, which ends with this value.
pub struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts this program again, as `gale serve`.
    pub fn start() -> Result<Self> {
        let arguments =
            ["--json", "serve", "--ephemeral", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).env("GALE_LOG", "warn").stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let stdout = process.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        let address = ready["grpc"].as_str().ok_or("the server did not say where it is")?;
        Ok(Self { process, address: format!("http://{address}") })
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Result<Channel> {
        Ok(Channel::from_shared(self.address.clone())?.connect().await?)
    }

    /// A line of the process's status, in bytes; 0 where the system does not say.
    pub fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the caller has seen by then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Loads the market; returns some of its workers.
pub async fn load(size: &Size, channel: &Channel) -> Result<Vec<Worker>> {
    let started = Instant::now();
    let plan = Plan { metros: 393, scale: Scale::WHOLE, seed: size.seed, ..Plan::default() };
    let openings = size.workers * size.openings_percent / 100;
    let generator = Generator::new(&plan).map_err(|violation| violation.to_string())?;
    let generator = generator.with_totals(size.workers, openings);
    let frame = generator.frame();
    let mut markets = MarketServiceClient::new(channel.clone());
    let market =
        specs::market(MARKET, &frame.display_name, &frame.settings, Some(frame.lottery_seed));
    markets.create_market(CreateMarketRequest { market: Some(market) }).await?;
    let market = MARKET.to_owned();
    let regions = frame.regions.iter().map(Into::into).collect();
    let request = UpsertRegionsRequest { market: market.clone(), regions, ..Default::default() };
    markets.upsert_regions(request).await?;
    let cities = frame.cities.iter().map(Into::into).collect();
    markets.upsert_cities(UpsertCitiesRequest { market, cities, ..Default::default() }).await?;
    let mut vacancies = 0;
    let mut kept = Vec::new();
    let stride = (size.workers as usize / KEPT).max(1);
    for metro in 0..generator.metros() {
        let workers: Vec<Worker> = generator.workers(metro).map(|spec| (&spec).into()).collect();
        kept.extend(workers.iter().step_by(stride).cloned());
        for batch in workers.chunks(BATCH) {
            upsert(&mut PoolServiceClient::new(channel.clone()), batch.to_vec()).await?;
        }
        let specs: Vec<VacancySpec> = generator.vacancies(metro).collect();
        vacancies += specs.len();
        for batch in specs.chunks(BATCH) {
            let request = UpsertVacanciesRequest {
                market: MARKET.to_owned(),
                vacancies: batch.iter().map(Into::into).collect(),
                ..UpsertVacanciesRequest::default()
            };
            PoolServiceClient::new(channel.clone()).upsert_vacancies(request).await?;
        }
    }
    println!(
        "loaded {} workers, {vacancies} vacancies, {openings} openings in {:.1} s",
        size.workers,
        started.elapsed().as_secs_f64()
    );
    Ok(kept)
}

/// Upserts workers, none of whom may be refused.
pub async fn upsert(pools: &mut PoolServiceClient<Channel>, workers: Vec<Worker>) -> Result<()> {
    let market = MARKET.to_owned();
    let request = UpsertWorkersRequest { market, workers, ..UpsertWorkersRequest::default() };
    let reply = pools.upsert_workers(request).await?.into_inner();
    match reply.errors.first() {
        None => Ok(()),
        Some(error) => Err(error.message.clone().into()),
    }
}

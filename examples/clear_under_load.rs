//! Writers while a market clears: how long they wait, and what the server weighs.
//! Gives the figures of `docs/PERFORMANCE.md` on the running server.
//!
//! ```text
//! cargo run --release --example clear_under_load -- --workers 100000
//! cargo run --release --example clear_under_load -- --workers 1000000 --clients 10 --rounds 2
//! ```
//!
//! The server is a process of its own (this program again, as `gale serve`), so that its
//! memory is its own. The market is the generated one of all 393 metros, with 0.75
//! openings per worker. Each client has a connection of its own and upserts one worker
//! after the other: changed ones, and now and then a new one. Calls are told apart
//! by what the round was doing while they waited.

use clap::Parser;
use gale::domain::VacancySpec;
use gale::generate::{Generator, Plan, Scale};
use gale::grpc::specs;
use gale::proto::v1::market_service_client::MarketServiceClient;
use gale::proto::v1::matching_service_client::MatchingServiceClient;
use gale::proto::v1::pool_service_client::PoolServiceClient;
use gale::proto::v1::verify_response::Step;
use gale::proto::v1::{
    Certificate, CreateMarketRequest, GetMarketRequest, GetRoundRequest, Round, RoundPhase,
    RoundState, StartRoundRequest, UpsertCitiesRequest, UpsertRegionsRequest,
    UpsertVacanciesRequest, UpsertWorkersRequest, VerifyRequest, Worker,
};
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tonic::transport::Channel;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const MARKET: &str = "load";
/// Records of one upsert while loading.
const BATCH: usize = 2_000;
/// Workers that the clients change in turn.
const KEPT: usize = 20_000;
/// A client's every so manieth worker is a new one.
const NEW_EVERY: usize = 50;
/// How often the round is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Writing before the round starts, and after it has ended.
const AROUND: Duration = Duration::from_secs(2);

/// Writers while a market clears.
#[derive(Debug, Parser)]
struct Args {
    /// Workers of the market.
    #[arg(long, default_value_t = 100_000)]
    workers: u64,
    /// Openings per 100 workers.
    #[arg(long, default_value_t = 75)]
    openings_percent: u64,
    /// Clients that write all the time.
    #[arg(long, default_value_t = 10)]
    clients: usize,
    /// Milliseconds that a client rests between two calls.
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// Rounds, one after the other.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Seed of the market.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "serve") {
        return gale::cli::run(gale::cli::Cli::parse());
    }
    let args = Args::parse();
    let result = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clear_under_load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(args: &Args) -> Result<()> {
    let server = Server::start()?;
    let channel = server.connect().await?;
    let kept = load(args, &channel).await?;
    let at_rest = |when: &str| {
        let bytes = server.memory("VmRSS:");
        println!("{when}: {} MB, {} bytes per worker", bytes >> 20, bytes / args.workers);
    };
    tokio::time::sleep(AROUND).await;
    at_rest("resident, loaded");
    for number in 1..=args.rounds {
        round_under_load(args, &server, &channel, &kept, number).await?;
        tokio::time::sleep(AROUND).await;
        at_rest("resident, cleared");
        println!("peak: {} MB", server.memory("VmHWM:") >> 20);
    }
    Ok(())
}

/// A server in a process of its own, which ends with this value.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Result<Self> {
        let arguments = ["--json", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
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

    async fn connect(&self) -> Result<Channel> {
        Ok(Channel::from_shared(self.address.clone())?.connect().await?)
    }

    /// A line of the process's status, in bytes; 0 where the system does not say.
    fn memory(&self, name: &str) -> u64 {
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
async fn load(args: &Args, channel: &Channel) -> Result<Vec<Worker>> {
    let started = Instant::now();
    let plan = Plan { metros: 393, scale: Scale::WHOLE, seed: args.seed, ..Plan::default() };
    let openings = args.workers * args.openings_percent / 100;
    let generator = Generator::new(&plan).map_err(|violation| violation.to_string())?;
    let generator = generator.with_totals(args.workers, openings);
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
    let stride = (args.workers as usize / KEPT).max(1);
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
        args.workers,
        started.elapsed().as_secs_f64()
    );
    Ok(kept)
}

async fn upsert(pools: &mut PoolServiceClient<Channel>, workers: Vec<Worker>) -> Result<()> {
    let market = MARKET.to_owned();
    let request = UpsertWorkersRequest { market, workers, ..UpsertWorkersRequest::default() };
    let reply = pools.upsert_workers(request).await?.into_inner();
    match reply.errors.first() {
        None => Ok(()),
        Some(error) => Err(error.message.clone().into()),
    }
}

/// A call: when it went out, and how long it took.
type Call = (Instant, Duration);

/// Clears while clients write, verifies the result at its snapshot, and tells both.
async fn round_under_load(
    args: &Args,
    server: &Server,
    channel: &Channel,
    kept: &[Worker],
    number: u32,
) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    let mut clients = Vec::new();
    for client in 0..args.clients {
        let mine = kept.iter().skip(client).step_by(args.clients).cloned().collect();
        let pause = Duration::from_millis(args.pause_ms);
        let pools = PoolServiceClient::new(server.connect().await?);
        let salary = i64::from(number);
        clients.push(tokio::spawn(write(pools, mine, salary, pause, stopped.clone())));
    }
    tokio::time::sleep(AROUND).await;
    let (round, times) = clear(channel).await?;
    tokio::time::sleep(AROUND).await;
    stop.send(true)?;
    let mut calls = Vec::new();
    for client in clients {
        calls.extend(client.await??);
    }
    report(&calls, &times);
    verify(channel, &round).await
}

/// Writes one worker after the other until told to stop.
async fn write(
    mut pools: PoolServiceClient<Channel>,
    mut workers: Vec<Worker>,
    salary: i64,
    pause: Duration,
    stopped: watch::Receiver<bool>,
) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    let count = workers.len();
    for turn in 0.. {
        if *stopped.borrow() {
            break;
        }
        let worker = &mut workers[turn % count];
        worker.expected_salary += salary;
        let mut worker = worker.clone();
        if turn % NEW_EVERY == 0 {
            // The server gives it an id.
            worker.id.clear();
        }
        let started = Instant::now();
        upsert(&mut pools, vec![worker]).await?;
        calls.push((started, started.elapsed()));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(calls)
}

/// When what was seen of a round.
struct Times {
    started: Instant,
    committing: Instant,
    ended: Instant,
    /// The slowest look: a read, which waits for no writer.
    longest: Duration,
}

/// Starts a round and watches it to its end.
async fn clear(channel: &Channel) -> Result<(Round, Times)> {
    let mut matching = MatchingServiceClient::new(channel.clone());
    let started = Instant::now();
    let request = StartRoundRequest { market: MARKET.to_owned(), ..StartRoundRequest::default() };
    let reply = matching.start_round(request).await?.into_inner();
    let mut round = reply.round.ok_or("no round")?;
    let mut committing = None;
    let mut longest = Duration::ZERO;
    while round.state() == RoundState::Running {
        tokio::time::sleep(LOOK).await;
        let looked = Instant::now();
        let request = GetRoundRequest { market: MARKET.to_owned(), round_id: round.id.clone() };
        let reply = matching.get_round(request).await?.into_inner();
        round = reply.round.ok_or("no round")?;
        longest = longest.max(looked.elapsed());
        let phase = round.progress.as_ref().map(|progress| progress.phase());
        if phase == Some(RoundPhase::Committing) || round.state() != RoundState::Running {
            committing.get_or_insert(looked);
        }
    }
    let ended = Instant::now();
    Ok((round, Times { started, committing: committing.unwrap_or(ended), ended, longest }))
}

fn report(calls: &[Call], times: &Times) {
    let Times { started, committing, ended, longest } = *times;
    println!("{:>22} {:>8} {:>9} {:>9} {:>9}", "upserts", "calls", "p50 ms", "p99 ms", "max ms");
    // The last look before the commit may have come a little early.
    let around = committing - 4 * LOOK;
    let phases: [(&str, Instant, Instant); 4] = [
        ("before the round", started - AROUND, started),
        ("while it clears", started, around),
        ("around its commit", around, ended + Duration::from_millis(100)),
        ("from start to end", started, ended + Duration::from_millis(100)),
    ];
    for (name, from, to) in phases {
        let meets = |(at, took): &&Call| *at < to && *at + *took >= from;
        let mut took: Vec<Duration> = calls.iter().filter(meets).map(|(_, took)| *took).collect();
        took.sort_unstable();
        let at = |percent: usize| match took.len() {
            0 => 0.0,
            count => took[(count * percent / 100).min(count - 1)].as_secs_f64() * 1e3,
        };
        println!("{name:>22} {:>8} {:>9.2} {:>9.2} {:>9.2}", took.len(), at(50), at(99), at(100));
    }
    let span = |from: Instant, to: Instant| (to - from).as_millis();
    println!(
        "round: {} ms, of them committing {} ms; slowest look at it {:.2} ms",
        span(started, ended),
        span(committing, ended),
        longest.as_secs_f64() * 1e3
    );
}

/// Has the server check the round's matching at its snapshot.
async fn verify(channel: &Channel, round: &Round) -> Result<()> {
    let summary = round.summary.as_ref().ok_or("the round did not clear")?;
    let mut matching = MatchingServiceClient::new(channel.clone());
    let request = VerifyRequest { market: MARKET.to_owned() };
    let mut steps = matching.verify(request).await?.into_inner();
    let mut found: Option<Certificate> = None;
    while let Some(reply) = steps.message().await? {
        if let Some(Step::Certificate(certificate)) = reply.step {
            found = Some(certificate);
        }
    }
    let found = found.ok_or("no certificate")?;
    println!(
        "summary: {} matched, {} dissolved, clear {} ms, check {} ms, hash {}",
        summary.matched,
        summary.dissolved,
        summary.clear_ms,
        summary.verify_ms,
        summary.matching_hash
    );
    println!(
        "certificate at revision {}: {} blocking pairs, {} violations, hash {}",
        found.revision, found.blocking_pairs, found.violations, found.matching_hash
    );
    let request = GetMarketRequest { market: MARKET.to_owned(), at_least_revision: 0 };
    let status = MarketServiceClient::new(channel.clone()).get_market(request).await?.into_inner();
    let status = status.market.and_then(|market| market.status).unwrap_or_default();
    println!("market at revision {}, {:?}", status.revision, status);
    // A market in which nothing has changed since is checked as it stands.
    let checked = if found.of_last_round { round.snapshot_revision } else { round.end_revision };
    let sound = found.blocking_pairs == 0
        && found.violations == 0
        && found.revision == checked
        && found.matching_hash == summary.matching_hash;
    if sound { Ok(()) } else { Err("the round does not verify at its snapshot".into()) }
}

//! Clients of a market that is cleared continuously: how many single-worker upserts a
//! second it takes, each of them acknowledged once the market is stable again. Gives the
//! figures of `docs/PERFORMANCE.md` over gRPC.
//!
//! ```text
//! cargo run --release --example continuous_under_load -- --workers 100000
//! cargo run --release --example continuous_under_load -- --promise worker_optimal --in-flight 16
//! ```
//!
//! The server is a process of its own (this program again, as `gale serve`), on the same
//! machine. The market is the generated one of all 393 metros, with 0.75 openings per
//! worker; it is loaded, then cleared by a round, then goes on continuously. One call in
//! fifty brings a new worker, the others change one: her salary, or her skills.

#[path = "load/mod.rs"]
mod load;

use clap::Parser;
use gale::proto::v1::market_service_client::MarketServiceClient;
use gale::proto::v1::matching_service_client::MatchingServiceClient;
use gale::proto::v1::pool_service_client::PoolServiceClient;
use gale::proto::v1::verify_response::Step;
use gale::proto::v1::{
    Clearing, GetMarketRequest, Market, MarketStatus, MatchingState, Promise, Settings, Settlement,
    UpdateMarketRequest, UpsertWorkersRequest, VerifyRequest, Worker, clearing,
};
use load::{MARKET, Result, Server, Size, load};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// One call in so many brings a new worker.
const NEW_EVERY: usize = 50;
/// How often the market is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Clients of a market that is cleared continuously.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    size: Size,
    /// What the market promises: stable or worker_optimal.
    #[arg(long, default_value = "stable", value_parser = promise)]
    promise: Promise,
    /// Calls in flight at any time.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Connections that they share.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How long, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

fn promise(text: &str) -> std::result::Result<Promise, String> {
    let name = format!("PROMISE_{}", text.to_uppercase());
    Promise::from_str_name(&name).ok_or_else(|| "must be stable or worker_optimal".into())
}

fn main() -> ExitCode {
    load::main("continuous_under_load", async |args: Args| measure(&args).await)
}

async fn measure(args: &Args) -> Result<()> {
    let server = Server::start()?;
    let channel = server.connect().await?;
    let workers = Arc::new(load(&args.size, &channel).await?);
    go_continuous(args, &channel).await?;
    println!("resident: {} MB", server.memory("VmRSS:") >> 20);
    let mut connections = Vec::new();
    for _ in 0..args.connections.max(1) {
        connections.push(server.connect().await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds);
    let clients = (0..args.in_flight.max(1)).map(|client| {
        let pools = PoolServiceClient::new(connections[client % connections.len()].clone());
        tokio::spawn(write(pools, workers.clone(), next.clone(), end))
    });
    let clients: Vec<_> = clients.collect();
    let mut calls = Vec::new();
    for client in clients {
        calls.extend(client.await??);
    }
    report(calls, started.elapsed());
    println!("resident: {} MB", server.memory("VmRSS:") >> 20);
    verify(&channel).await
}

/// Has the market cleared continuously from now on, and waits until it is.
async fn go_continuous(args: &Args, channel: &Channel) -> Result<()> {
    let clearing = Clearing {
        mode: clearing::Mode::Continuous.into(),
        promise: args.promise.into(),
        interval_seconds: 0,
    };
    let settings = Some(Settings { clearing: Some(clearing), ..Settings::default() });
    let market = Market { id: MARKET.to_owned(), settings, ..Market::default() };
    let update_mask = pbjson_types::FieldMask { paths: vec!["settings.clearing".to_owned()] };
    let request = UpdateMarketRequest {
        market: Some(market),
        update_mask: Some(update_mask),
        ..UpdateMarketRequest::default()
    };
    let started = Instant::now();
    MarketServiceClient::new(channel.clone()).update_market(request).await?;
    while status(channel).await?.state() == MatchingState::Pending {
        tokio::time::sleep(LOOK).await;
    }
    println!("continuous after {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

async fn status(channel: &Channel) -> Result<MarketStatus> {
    let request = GetMarketRequest { market: MARKET.to_owned(), at_least_revision: 0 };
    let reply = MarketServiceClient::new(channel.clone()).get_market(request).await?.into_inner();
    Ok(reply.market.and_then(|market| market.status).unwrap_or_default())
}

/// What a call took, and what it left behind.
type Call = (Duration, Settlement);

/// Writes one worker after the other until the end.
async fn write(
    mut pools: PoolServiceClient<Channel>,
    workers: Arc<Vec<Worker>>,
    next: Arc<AtomicUsize>,
    end: Instant,
) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    while Instant::now() < end {
        let turn = next.fetch_add(1, Relaxed);
        let request = UpsertWorkersRequest {
            market: MARKET.to_owned(),
            workers: vec![changed(&workers, turn)],
            ..UpsertWorkersRequest::default()
        };
        let started = Instant::now();
        let reply = pools.upsert_workers(request).await?.into_inner();
        let took = started.elapsed();
        if let Some(error) = reply.errors.first() {
            return Err(error.message.clone().into());
        }
        calls.push((took, reply.settlement.ok_or("the reply does not say what holds")?));
    }
    Ok(calls)
}

/// The worker of a call.
fn changed(workers: &[Worker], turn: usize) -> Worker {
    let mut worker = workers[turn % workers.len()].clone();
    let round = turn / workers.len() + 1;
    if turn.is_multiple_of(NEW_EVERY) {
        // The server gives her an id.
        worker.id.clear();
    } else if turn.is_multiple_of(2) {
        worker.expected_salary += 100 * round as i64;
    } else {
        worker.skills = workers[(turn + round) % workers.len()].skills.clone();
    }
    worker
}

fn report(calls: Vec<Call>, took: Duration) {
    let count = calls.len();
    let sum = |of: fn(&Settlement) -> u32| calls.iter().map(|(_, s)| u64::from(of(s))).sum::<u64>();
    let (displaced, improved) = (sum(|s| s.displaced), sum(|s| s.improved));
    let held = |state| calls.iter().filter(|(_, s)| s.state() == state).count();
    println!(
        "{count} upserts in {:.1} s: {:.0} a second",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64()
    );
    println!(
        "acknowledged as stable {}, worker-optimal {}, pending {}",
        held(MatchingState::Stable),
        held(MatchingState::WorkerOptimal),
        held(MatchingState::Pending)
    );
    println!("others displaced {displaced}, improved {improved}");
    let mut times: Vec<Duration> = calls.into_iter().map(|(took, _)| took).collect();
    times.sort_unstable();
    let at = |percent: usize| match count {
        0 => 0.0,
        _ => times[(count * percent / 100).min(count - 1)].as_secs_f64() * 1e3,
    };
    println!("p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(50), at(99), at(100));
}

/// Has the server check the market as it stands.
async fn verify(channel: &Channel) -> Result<()> {
    let mut matching = MatchingServiceClient::new(channel.clone());
    let request = VerifyRequest { market: MARKET.to_owned() };
    let mut steps = matching.verify(request).await?.into_inner();
    while let Some(reply) = steps.message().await? {
        let Some(Step::Certificate(found)) = reply.step else { continue };
        println!(
            "certificate at revision {}: {} blocking pairs, {} violations",
            found.revision, found.blocking_pairs, found.violations
        );
        let sound = found.blocking_pairs == 0 && found.violations == 0 && !found.of_last_round;
        return if sound { Ok(()) } else { Err("the market is not as promised".into()) };
    }
    Err("no certificate".into())
}

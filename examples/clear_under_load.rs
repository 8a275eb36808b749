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

#[path = "load/mod.rs"]
mod load;

use clap::Parser;
use gale::proto::v1::market_service_client::MarketServiceClient;
use gale::proto::v1::matching_service_client::MatchingServiceClient;
use gale::proto::v1::pool_service_client::PoolServiceClient;
use gale::proto::v1::verify_response::Step;
use gale::proto::v1::{
    Certificate, GetMarketRequest, GetRoundRequest, Round, RoundPhase, RoundState,
    StartRoundRequest, VerifyRequest, Worker,
};
use load::{MARKET, Result, Server, Size, load, upsert};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tonic::transport::Channel;

/// A client's every so manieth worker is a new one.
const NEW_EVERY: usize = 50;
/// How often the round is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Writing before the round starts, and after it has ended.
const AROUND: Duration = Duration::from_secs(2);

/// Writers while a market clears.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    size: Size,
    /// Clients that write all the time.
    #[arg(long, default_value_t = 10)]
    clients: usize,
    /// Milliseconds that a client rests between two calls.
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// Rounds, one after the other.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
}

fn main() -> ExitCode {
    load::main("clear_under_load", async |args: Args| measure(&args).await)
}

async fn measure(args: &Args) -> Result<()> {
    let server = Server::start()?;
    let channel = server.connect().await?;
    let kept = load(&args.size, &channel).await?;
    let at_rest = |when: &str| {
        let bytes = server.memory("VmRSS:");
        println!("{when}: {} MB, {} bytes per worker", bytes >> 20, bytes / args.size.workers);
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

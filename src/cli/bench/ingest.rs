//! `gale bench ingest`: how fast a server takes workers in, in bulk and one by one.

use super::micros;
use super::served::{Keeping, Served, make_market};
use super::wire;
use crate::cli::client::Client;
use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table, bar, spinner, thousands};
use crate::domain::limits::WORKERS_MAX;
use crate::generate::{Generator, METROS_MAX, Plan, Scale};
use crate::proto::Encoded;
use crate::proto::v1::{
    ImportWorkersRequest, ImportWorkersResponse, UpsertWorkersRequest, UpsertWorkersResponse,
    Worker,
};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Workers of one batch of the import.
const BATCH: usize = 2_000;
/// Workers that single calls change, there and back.
const CHANGED_MAX: usize = 50_000;

const IMPORT: &str = "/gale.v1.PoolService/ImportWorkers";
const UPSERT: &str = "/gale.v1.PoolService/UpsertWorkers";

/// Measures how fast a server takes workers in, in bulk and one by one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts `gale serve` in a process of its own with a data directory of its own, and imports the
generator's workers (some 24 skills each) through one ImportWorkers stream. Then it changes them
by single UpsertWorkers calls, so many in flight, on one connection. Messages are encoded before
the clock starts. With --json, one line: workers, import_ms, import_workers_per_s, import_cpu_ms,
import_fsyncs, upserts, upserts_per_s, upsert_p50_us, upsert_p99_us, upsert_max_us, upsert_cpu_ms,
upsert_fsyncs, fsyncs, in_flight, durable, peak_rss_bytes. fsyncs are commits of the journal: each
is one transaction and one sync of its log. Processor time and memory are the server's.

Example:
  gale bench ingest
  gale bench ingest --workers 1000000 --seconds 30 --json
  gale bench ingest --ephemeral")]
pub struct Args {
    /// Workers to import.
    #[arg(long, value_name = "N", default_value_t = 300_000,
          value_parser = clap::value_parser!(u64).range(1..=WORKERS_MAX as u64))]
    workers: u64,
    /// Seconds of single calls.
    #[arg(long, value_name = "S", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Single calls in flight.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=1_000))]
    in_flight: u64,
    /// Seed of the workers.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    keeping: Keeping,
}

/// What it came to; the names are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Figures {
    workers: u64,
    import_ms: u64,
    import_workers_per_s: u64,
    import_cpu_ms: u64,
    import_fsyncs: u64,
    upserts: u64,
    upserts_per_s: u64,
    upsert_p50_us: f64,
    upsert_p99_us: f64,
    upsert_max_us: f64,
    upsert_cpu_ms: u64,
    upsert_fsyncs: u64,
    fsyncs: u64,
    in_flight: u64,
    durable: bool,
    peak_rss_bytes: u64,
}

/// Measures, and prints the figures.
pub async fn run(args: &Args, output: Output) -> Result<(), Error> {
    let plan = Plan { metros: METROS_MAX, scale: Scale::WHOLE, seed: args.seed, ..Plan::default() };
    let generator = Generator::new(&plan).map_err(|error| Error::Usage(error.to_string()))?;
    let generator = generator.with_totals(args.workers, 0);
    let server = Served::start(&args.keeping, &[])?;
    let client = server.connect().await?;
    let market = make_market(&client, &generator).await?;
    let (batches, changes) = encode(&generator, &market);
    let read = || Ok::<_, Error>((server.commits()?, server.cpu_time()));
    let before = read()?;
    let import = import(&client, batches, args.workers).await?;
    let between = read()?;
    let upserts = upsert(&client, changes, args).await?;
    let after = read()?;
    let per_second = |count: u64, time: Duration| (count as f64 / time.as_secs_f64()) as u64;
    let at = |per_mille: usize| upserts.took[(upserts.took.len() - 1) * per_mille / 1_000];
    let count = upserts.took.len() as u64;
    let figures = Figures {
        workers: args.workers,
        import_ms: import.as_millis() as u64,
        import_workers_per_s: per_second(args.workers, import),
        import_cpu_ms: (between.1 - before.1).as_millis() as u64,
        import_fsyncs: between.0 - before.0,
        upserts: count,
        upserts_per_s: per_second(count, upserts.all),
        upsert_p50_us: micros(at(500)),
        upsert_p99_us: micros(at(990)),
        upsert_max_us: micros(at(1_000)),
        upsert_cpu_ms: (after.1 - between.1).as_millis() as u64,
        upsert_fsyncs: after.0 - between.0,
        fsyncs: after.0 - before.0,
        in_flight: args.in_flight,
        durable: args.keeping.is_durable(),
        peak_rss_bytes: server.peak_rss_bytes(),
    };
    server.stop()?;
    if output.json { output.json(&figures) } else { output.line(table(&figures)) }
}

/// The import's messages, and single calls that change some of the same workers.
fn encode(generator: &Generator, market: &str) -> (Vec<Encoded>, Vec<Encoded>) {
    let progress = bar("generating workers", generator.workers_total());
    let (mut batches, mut there, mut back) = (Vec::new(), Vec::new(), Vec::new());
    let mut batch: Vec<Worker> = Vec::with_capacity(BATCH);
    let mut close = |batch: &mut Vec<Worker>| {
        let workers = std::mem::take(batch);
        progress.inc(workers.len() as u64);
        let market = market.to_owned();
        batches.push(Encoded::of(&ImportWorkersRequest { market, workers, ..Default::default() }));
    };
    for spec in (0..generator.metros()).flat_map(|metro| generator.workers(metro)) {
        let worker = Worker::from(&spec);
        if there.len() < CHANGED_MAX {
            let expected_salary = worker.expected_salary + 1;
            there.push(change(market, Worker { expected_salary, ..worker.clone() }));
            back.push(change(market, worker.clone()));
        }
        batch.push(worker);
        if batch.len() == BATCH {
            close(&mut batch);
        }
    }
    if !batch.is_empty() {
        close(&mut batch);
    }
    progress.finish_and_clear();
    there.append(&mut back);
    (batches, there)
}

fn change(market: &str, worker: Worker) -> Encoded {
    let (market, workers) = (market.to_owned(), vec![worker]);
    Encoded::of(&UpsertWorkersRequest { market, workers, ..Default::default() })
}

/// From the first message to the last acknowledgement.
async fn import(client: &Client, batches: Vec<Encoded>, workers: u64) -> Result<Duration, Error> {
    let refused = Error::refused("cannot import the workers");
    let progress = bar("importing workers", workers);
    let started = Instant::now();
    let batches = tokio_stream::iter(batches);
    let acks = wire::streaming::<ImportWorkersResponse>(client, IMPORT, batches).await;
    let mut acks = acks.map_err(&refused)?;
    let mut accepted = 0;
    while let Some(ack) = acks.message().await.map_err(&refused)? {
        accepted += u64::from(ack.accepted);
        progress.set_position(accepted);
    }
    let took = started.elapsed();
    progress.finish_and_clear();
    match accepted == workers {
        true => Ok(took),
        false => Err(Error::Failed(format!("{accepted} of {workers} workers were taken in"))),
    }
}

/// Single calls: how long each took, ascending, and all together.
struct Upserts {
    took: Vec<Duration>,
    all: Duration,
}

async fn upsert(client: &Client, changes: Vec<Encoded>, args: &Args) -> Result<Upserts, Error> {
    let progress = spinner("changing workers one by one");
    let (changes, next) = (Arc::new(changes), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds);
    let mut callers = JoinSet::new();
    for _ in 0..args.in_flight {
        let (client, changes, next) = (client.clone(), changes.clone(), next.clone());
        callers.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < end {
                let change = changes[next.fetch_add(1, Relaxed) % changes.len()].clone();
                let asked = Instant::now();
                call(&client, change).await?;
                took.push(asked.elapsed());
            }
            Ok::<_, Error>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(caller) = callers.join_next().await {
        let caller = caller.map_err(|error| Error::Failed(format!("a caller failed: {error}")))?;
        took.extend(caller?);
    }
    let all = started.elapsed();
    progress.finish_and_clear();
    took.sort_unstable();
    Ok(Upserts { took, all })
}

async fn call(client: &Client, change: Encoded) -> Result<(), Error> {
    let reply = wire::unary::<UpsertWorkersResponse>(client, UPSERT, change).await;
    match reply.map_err(Error::refused("cannot change a worker"))?.errors.first() {
        None => Ok(()),
        Some(error) => Err(Error::Failed(format!("a worker was refused: {}", error.message))),
    }
}

/// The figures for people.
fn table(figures: &Figures) -> Table {
    let mut table = Table::new(&[Column::Text("taken in"), Column::Number("")]);
    let fsyncs = |count: u64| if figures.durable { thousands(count) } else { "none".into() };
    let rows = [
        ("workers imported", thousands(figures.workers)),
        ("  in", format!("{} ms", thousands(figures.import_ms))),
        ("  a second", thousands(figures.import_workers_per_s)),
        ("  processor time of the server", format!("{} ms", thousands(figures.import_cpu_ms))),
        ("  commits of the journal", fsyncs(figures.import_fsyncs)),
        ("single upserts", thousands(figures.upserts)),
        ("  in flight", thousands(figures.in_flight)),
        ("  a second", thousands(figures.upserts_per_s)),
        ("  p50", format!("{:.0} us", figures.upsert_p50_us)),
        ("  p99", format!("{:.0} us", figures.upsert_p99_us)),
        ("  longest", format!("{:.0} us", figures.upsert_max_us)),
        ("  processor time of the server", format!("{} ms", thousands(figures.upsert_cpu_ms))),
        ("  commits of the journal", fsyncs(figures.upsert_fsyncs)),
        ("peak memory of the server", format!("{} MiB", thousands(figures.peak_rss_bytes >> 20))),
    ];
    for (name, value) in rows {
        table.row([name.to_owned(), value]);
    }
    table
}

//! `gale bench fanout`: how many events a server delivers when many subscribe to one market.

use super::served::{Keeping, Served};
use super::subscribers::{Counts, read_out, receive, subscribe};
use super::wire::{self, place};
use crate::cli::client::Client;
use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table, spinner, thousands};
use crate::cli::process::cpu_time;
use crate::domain::limits::{BATCH_MAX, STREAMS_PER_CONNECTION_MAX, SUBSCRIBERS_PER_MARKET_MAX};
use crate::proto::Encoded;
use crate::proto::v1::{
    City, CreateMarketRequest, Market, Position, UpsertCitiesRequest, UpsertWorkersRequest,
    UpsertWorkersResponse, Worker,
};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

const MARKET: &str = "busy";
const CITY: &str = "c";
const UPSERT: &str = "/gale.v1.PoolService/UpsertWorkers";
/// Who write at once, each workers of their own.
const WRITERS: usize = 4;
/// Batches of one writer, all of which are written before the first is again.
const BATCHES: usize = 8;
/// Revisions that the writers may be ahead of the slowest subscriber: a rate that not all
/// keep up with would be none.
const AHEAD_MAX: u64 = 200;
/// Time before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// Time for everybody to receive the rest, once nothing is written any more.
const REST: Duration = Duration::from_secs(60);

/// Measures how many events reach the subscribers of one busy market.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts `gale serve` in a process of its own with a data directory of its own. Writers upsert
batches of workers, each batch one revision, as fast as all subscribers keep up. Deliveries are
counted where they are received, and every event's place is checked: revision and index are
contiguous. One subscriber in ten decodes all messages in full, the others step over what is not
a place. Stalled ones read nothing: they must be cut with RESOURCE_EXHAUSTED and their position,
or the exit code is 1. With --json, one line: deliveries_per_s, deliveries, events_per_s, events,
revisions, batch, subscribers, connections, stalled, cut, ms, server_cpu_ms, client_cpu_ms,
durable, peak_rss_bytes. What is counted is counted in the time that is measured, but for cut;
peak_rss_bytes is the server's.

Example:
  gale bench fanout
  gale bench fanout --subscribers 1000 --seconds 30 --json
  gale bench fanout --stalled 1 --stall-seconds 2")]
pub struct Args {
    /// Subscribers who receive.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=SUBSCRIBERS_PER_MARKET_MAX as u64 - 10))]
    subscribers: u64,
    /// Subscribers more, who do not read.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10))]
    stalled: u64,
    /// Seconds after which a subscriber who does not read is cut.
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    stall_seconds: u64,
    /// Connections that the subscribers share.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    connections: u64,
    /// Events of one revision.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=BATCH_MAX as u64))]
    batch: u64,
    /// Seconds to measure.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    #[command(flatten)]
    keeping: Keeping,
}

/// What it came to; the names are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Figures {
    deliveries_per_s: u64,
    deliveries: u64,
    events_per_s: u64,
    events: u64,
    revisions: u64,
    batch: u64,
    subscribers: u64,
    connections: u64,
    stalled: u64,
    cut: u64,
    ms: u64,
    server_cpu_ms: u64,
    client_cpu_ms: u64,
    durable: bool,
    peak_rss_bytes: u64,
}

/// Measures, and prints the figures.
pub async fn run(args: &Args, output: Output) -> Result<(), Error> {
    if args.subscribers > args.connections * u64::from(STREAMS_PER_CONNECTION_MAX) {
        let message = format!(
            "--connections {}: each takes {STREAMS_PER_CONNECTION_MAX} subscribers",
            args.connections
        );
        return Err(Error::Usage(message));
    }
    let stall = args.stall_seconds.to_string();
    let server = Served::start(&args.keeping, &["--subscriber-stall-seconds", &stall])?;
    let client = server.connect().await?;
    make_market(&client).await?;
    let writers = Writers::prepare(&client, args.batch).await?;
    let from = client.newest(MARKET).await?;
    let started = Instant::now();
    let stalled = stall_all(&server, args.stalled, &from).await?;
    let counts = Arc::new(Counts::new(args.subscribers, place(&from)));
    let mut receivers = receive_all(&server, args, &from, &counts).await?;
    let writers = writers.start(&client, &counts);
    let meter = Meter { server: &server, client: &client, counts: &counts };
    let [before, after] = measure(args.seconds, &meter, &mut receivers).await?;
    let last = writers.stop().await?;
    counts.end_with(last);
    let rest = tokio::time::timeout(REST, async { joined(&mut receivers).await });
    rest.await.map_err(|_| Error::Failed("not everybody received the rest".into()))??;
    // Who has not stood still for long enough by now is given the time.
    let cut_by = started + WARM_UP + Duration::from_secs(args.stall_seconds + 2);
    let cut = read_out_all(stalled, &from, cut_by).await?;
    let time = after.at - before.at;
    let deliveries = after.deliveries - before.deliveries;
    let revisions = after.revision - before.revision;
    let per_second = |count: u64| (count as f64 / time.as_secs_f64()) as u64;
    let figures = Figures {
        deliveries_per_s: per_second(deliveries),
        deliveries,
        events_per_s: per_second(revisions * args.batch),
        events: revisions * args.batch,
        revisions,
        batch: args.batch,
        subscribers: args.subscribers,
        connections: args.connections,
        stalled: args.stalled,
        cut,
        ms: time.as_millis() as u64,
        server_cpu_ms: (after.server_cpu - before.server_cpu).as_millis() as u64,
        client_cpu_ms: (after.client_cpu - before.client_cpu).as_millis() as u64,
        durable: args.keeping.is_durable(),
        peak_rss_bytes: server.peak_rss_bytes(),
    };
    server.stop()?;
    if output.json { output.json(&figures) } else { output.line(table(&figures)) }
}

async fn make_market(client: &Client) -> Result<(), Error> {
    let refused = Error::refused("cannot make the market");
    let market = Some(Market { id: MARKET.into(), ..Market::default() });
    let made = client.markets().create_market(CreateMarketRequest { market }).await;
    made.map_err(&refused)?;
    let city = City { id: CITY.into(), ..City::default() };
    let request =
        UpsertCitiesRequest { market: MARKET.into(), cities: vec![city], ..Default::default() };
    client.markets().upsert_cities(request).await.map_err(refused).map(drop)
}

/// Those who write, with all that they write encoded.
struct Writers(Vec<Vec<Encoded>>);

/// Those who write, while they do.
struct Writing {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Result<u64, Error>>>,
}

impl Writers {
    /// Encodes what they will write, and writes it once: from then on the market does not grow.
    async fn prepare(client: &Client, batch: u64) -> Result<Self, Error> {
        let mut all = Vec::new();
        for _ in 0..WRITERS {
            let pools: Vec<Vec<Worker>> = (0..BATCHES).map(|_| workers(batch)).collect();
            for pool in &pools {
                write(client, upsert(pool, 2)).await?;
            }
            let requests = [1, 2]
                .into_iter()
                .flat_map(|more| pools.iter().map(move |pool| upsert(pool, more)));
            all.push(requests.collect());
        }
        Ok(Self(all))
    }

    /// Starts them, as fast as subscribers keep up.
    fn start(self, client: &Client, counts: &Arc<Counts>) -> Writing {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |requests: Vec<Encoded>| {
            let (client, counts, stop) = (client.clone(), counts.clone(), stop.clone());
            tokio::spawn(async move {
                let mut newest = 0;
                for request in requests.iter().cycle() {
                    while newest > counts.slowest() + AHEAD_MAX && !stop.load(Relaxed) {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    if stop.load(Relaxed) {
                        break;
                    }
                    newest = write(&client, request.clone()).await?;
                }
                Ok(newest)
            })
        };
        let writers = self.0.into_iter().map(start).collect();
        Writing { stop, writers }
    }
}

impl Writing {
    /// Stops them; the last revision.
    async fn stop(self) -> Result<u64, Error> {
        self.stop.store(true, Relaxed);
        let mut last = 0;
        for writer in self.writers {
            let newest = writer.await;
            last = last.max(newest.map_err(|error| Error::Failed(error.to_string()))??);
        }
        Ok(last)
    }
}

fn workers(count: u64) -> Vec<Worker> {
    let worker = |_| Worker {
        id: Uuid::now_v7().to_string(),
        home_city: CITY.into(),
        expected_salary: 50_000,
        ..Worker::default()
    };
    (0..count).map(worker).collect()
}

/// Has these workers expect that much more.
fn upsert(workers: &[Worker], more: i64) -> Encoded {
    let expects = |worker: &Worker| Worker {
        expected_salary: worker.expected_salary + more,
        ..worker.clone()
    };
    let workers = workers.iter().map(expects).collect();
    Encoded::of(&UpsertWorkersRequest { market: MARKET.into(), workers, ..Default::default() })
}

/// Writes a batch; tells its revision.
async fn write(client: &Client, request: Encoded) -> Result<u64, Error> {
    let reply = wire::unary::<UpsertWorkersResponse>(client, UPSERT, request).await;
    Ok(reply.map_err(Error::refused("cannot write"))?.revision)
}

type Receivers = JoinSet<Result<(), Error>>;

/// Subscribes everybody and has them receive.
async fn receive_all(
    server: &Served,
    args: &Args,
    from: &Position,
    counts: &Arc<Counts>,
) -> Result<Receivers, Error> {
    let mut connections = Vec::new();
    for _ in 0..args.connections.min(args.subscribers) {
        connections.push(server.connect().await?);
    }
    let mut receivers = JoinSet::new();
    for at in 0..args.subscribers as usize {
        let client = &connections[at % connections.len()];
        let frames = subscribe(client, MARKET, from, at.is_multiple_of(10)).await?;
        receivers.spawn(receive(frames, at, place(from), counts.clone()));
    }
    Ok(receivers)
}

/// Waits until all receivers have left, or one has failed.
async fn joined(receivers: &mut Receivers) -> Result<(), Error> {
    while let Some(receiver) = receivers.join_next().await {
        receiver.map_err(|error| Error::Failed(format!("a subscriber failed: {error}")))??;
    }
    Ok(())
}

/// What is read before and after.
struct Meter<'a> {
    server: &'a Served,
    client: &'a Client,
    counts: &'a Counts,
}

struct Reading {
    at: Instant,
    deliveries: u64,
    revision: u64,
    server_cpu: Duration,
    client_cpu: Duration,
}

impl Meter<'_> {
    async fn read(&self) -> Result<Reading, Error> {
        let revision = self.client.newest(MARKET).await?.revision;
        Ok(Reading {
            at: Instant::now(),
            deliveries: self.counts.deliveries(),
            revision,
            server_cpu: self.server.cpu_time(),
            client_cpu: cpu_time(),
        })
    }
}

/// The readings before and after that time, in which events are delivered.
async fn measure(
    seconds: u64,
    meter: &Meter<'_>,
    receivers: &mut Receivers,
) -> Result<[Reading; 2], Error> {
    let progress = spinner("delivering");
    tokio::time::sleep(WARM_UP).await;
    let before = meter.read().await?;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        // None leaves before the end, unless its stream breaks.
        left = joined(receivers) => {
            left?;
            return Err(Error::Failed("a subscriber left before the end".into()));
        }
    }
    let after = meter.read().await?;
    progress.finish_and_clear();
    Ok([before, after])
}

type Stalled = (Client, super::subscribers::Frames);

/// Subscribes those who do not read, each on a connection of its own.
async fn stall_all(server: &Served, count: u64, from: &Position) -> Result<Vec<Stalled>, Error> {
    let mut stalled = Vec::new();
    for _ in 0..count {
        let client = server.connect().await?;
        let frames = subscribe(&client, MARKET, from, false).await?;
        stalled.push((client, frames));
    }
    Ok(stalled)
}

/// Reads what there is for those who did not read; how many were cut, which is all of them.
async fn read_out_all(
    stalled: Vec<Stalled>,
    from: &Position,
    cut_by: Instant,
) -> Result<u64, Error> {
    let mut cut = 0;
    if !stalled.is_empty() {
        tokio::time::sleep_until(cut_by.into()).await;
    }
    for (_client, frames) in stalled {
        let end = tokio::time::timeout(REST, read_out(frames, place(from))).await;
        end.map_err(|_| Error::Failed("a subscriber who did not read was not cut".into()))??;
        cut += 1;
    }
    Ok(cut)
}

/// The figures for people.
fn table(figures: &Figures) -> Table {
    let mut table = Table::new(&[Column::Text("delivered"), Column::Number("")]);
    let rows = [
        ("deliveries a second", thousands(figures.deliveries_per_s)),
        ("deliveries", thousands(figures.deliveries)),
        ("events of the market", thousands(figures.events)),
        ("  a second", thousands(figures.events_per_s)),
        ("  of one revision", thousands(figures.batch)),
        ("subscribers", thousands(figures.subscribers)),
        ("  connections", thousands(figures.connections)),
        ("  more, who did not read", thousands(figures.stalled)),
        ("  of those, cut", thousands(figures.cut)),
        ("milliseconds", thousands(figures.ms)),
        ("  of processors, the server's", thousands(figures.server_cpu_ms)),
        ("  of processors, the clients'", thousands(figures.client_cpu_ms)),
        ("peak memory of the server", format!("{} MiB", thousands(figures.peak_rss_bytes >> 20))),
    ];
    for (name, value) in rows {
        table.row([name.to_owned(), value]);
    }
    table
}

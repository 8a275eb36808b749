//! A server that is killed, again and again, while many write and read: whether anything
//! that it has promised is lost (docs/GUARANTEES.md, "What survives a crash").
//!
//! ```text
//! cargo run --release --example crash -- --cycles 200 --seed 7
//! ```
//!
//! The server is a process of its own (this program again, as `gale serve`), with snapshots
//! and trimming set to happen often. In each cycle it starts on the same data directory;
//! clients get answers to what was not answered; every promise is checked; then everybody
//! writes until SIGKILL comes, after 0.05 to 2 seconds. In some cycles it comes while the
//! server starts, or while clients still retry. The seed repeats the writes that each client
//! draws and the times of the kills, as far as real processes allow.

mod ask;
#[allow(dead_code, reason = "its own tests are tests/streams.rs")]
#[path = "../../tests/streams/checkers.rs"]
mod checkers;
mod checks;
mod clients;
#[allow(dead_code, reason = "it uses its share")]
#[path = "../../tests/common/draws.rs"]
mod draws;
mod landlord;
mod offline;
mod pause;
#[path = "../../tests/support/promises.rs"]
mod promises;
mod record;
mod server;
mod subscribers;
#[path = "../../tests/support/streams.rs"]
mod support;

use clap::Parser;
use draws::Random;
use pause::Run;
use server::{Phase, Server};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What this program comes to.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Kills a server under load, and checks what is left.
#[derive(Debug, Parser)]
pub struct Args {
    /// How often the server is killed.
    #[arg(long, default_value_t = 20)]
    cycles: u64,
    /// Draws the writes and the times of the kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Clients, each with a connection of its own.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Calls of each client in flight.
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    /// Compare recoveries offline after every so many kills.
    #[arg(long, default_value_t = 3)]
    offline_every: u64,
    /// Where to keep the data; a temporary directory otherwise, removed if all is well.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Megabytes of history that are retained: at first all of it, so that a recovery from the
/// journal alone can be compared; then the least, so that it is trimmed.
fn kept_history_mib(cycle: u64, cycles: u64) -> u64 {
    if cycle * 4 <= cycles { 1_024 } else { 1 }
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "serve") {
        return gale::cli::run(gale::cli::Cli::parse());
    }
    let args = Args::parse();
    let dir = match &args.dir {
        Some(dir) => std::fs::create_dir_all(dir).map(|()| dir.clone()),
        None => tempfile::Builder::new().prefix("gale-crash-").tempdir().map(|dir| dir.keep()),
    };
    let result = dir.map_err(Into::into).and_then(|dir| {
        let runtime = tokio::runtime::Runtime::new()?;
        match runtime.block_on(run(&args, dir.clone())) {
            Ok(()) if args.dir.is_none() => Ok(std::fs::remove_dir_all(dir)?),
            Ok(()) => Ok(()),
            Err(error) => Err(format!("{error}\nthe data is kept in {}", dir.display()).into()),
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: Box<dyn std::error::Error + Send + Sync> = error;
            eprintln!("crash: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, dir: PathBuf) -> Result<()> {
    let started = Instant::now();
    let mut random = Random(args.seed);
    let mut run = Run::new(args, dir.clone(), random.next());
    let mut kills = std::collections::BTreeMap::new();
    for cycle in 1..=args.cycles {
        let kept = kept_history_mib(cycle, args.cycles);
        if random.one_in(8) {
            let after = Duration::from_millis(random.below(60));
            Server::start_in_vain(&dir, kept, after).await?;
            *kills.entry(Phase::Starting).or_insert(0_u64) += 1;
        }
        let mut server = Server::start(&dir, kept).await?;
        run.begin(&server).await?;
        let mut phase = Phase::Draining;
        let span = if cycle > 1 && random.one_in(6) {
            random.within(1, 100)
        } else {
            phase = Phase::UnderLoad;
            run.pause().await?;
            run.load();
            random.within(50, 2_000)
        };
        tokio::time::sleep(Duration::from_millis(span as u64)).await;
        server.has_run()?;
        let partial = server.kill()?;
        run.end();
        if partial {
            phase = Phase::WritingSnapshot;
        }
        *kills.entry(phase).or_insert(0) += 1;
        if cycle % args.offline_every.max(1) == 0 {
            run.compare()?;
        }
        run.check()?;
        eprintln!("cycle {cycle}: killed {} after {span} ms; {}", phase.words(), run.progress());
    }
    let server = Server::start(&dir, kept_history_mib(args.cycles, args.cycles)).await?;
    run.begin(&server).await?;
    run.pause().await?;
    server.kill()?;
    run.end();
    run.compare()?;
    run.over().await;
    run.check()?;
    println!(
        "seed {}, {} cycles in {:.0} s",
        args.seed,
        args.cycles,
        started.elapsed().as_secs_f64()
    );
    for (phase, count) in kills {
        println!("killed {}: {count}", phase.words());
    }
    run.report();
    println!("violations: 0");
    Ok(())
}

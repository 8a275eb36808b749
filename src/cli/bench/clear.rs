//! `gale bench clear`: a generated market of any size.

use super::{Mechanism, run as bench};
use crate::cli::error::Error;
use crate::cli::generate::metros;
use crate::cli::output::Output;
use crate::domain::limits::WORKERS_MAX;
use crate::generate::{Generator, METROS_MAX, Plan, Scale};

/// Clears a generated market of so many workers and checks the matching.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The workers and openings are shared out among the metros as the real ones are. With --json, one
line: workers, vacancies, openings, matched, moved, acceptable_mean, build_ms, clear_ms,
clear_cpu_ms, verify_ms, proposals, queries, evaluations, engine_bytes (the most that index,
matching and scratch took), peak_rss_bytes (the process), matching_hash, blocking_pairs, threads,
and some more. Exit code 1 if a pair blocks.

Example:
  gale bench clear --workers 1000000 --openings-per-worker 0.75 --seed 1
  gale bench clear --workers 100000 --openings-per-worker 0.3 --side vacancy --json")]
pub struct Args {
    /// Workers who seek.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=WORKERS_MAX as u64))]
    workers: u64,
    /// Openings for each of them, 0.001 to 100: scarce below, slack above 1.
    #[arg(long, value_name = "R", default_value = "0.75", value_parser = ratio)]
    openings_per_worker: f64,
    /// Seed: the same options and seed give the same market on every machine.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// How many US metropolitan areas, largest labour force first (1..393).
    #[arg(long, value_name = "N", default_value_t = METROS_MAX, value_parser = metros)]
    metros: usize,
    #[command(flatten)]
    mechanism: Mechanism,
}

/// Makes the market, clears it and prints the figures.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    args.mechanism.check()?;
    let plan =
        Plan { metros: args.metros, scale: Scale::WHOLE, seed: args.seed, ..Plan::default() };
    let openings = (args.workers as f64 * args.openings_per_worker).round() as u64;
    let generator = Generator::new(&plan)
        .map_err(|violation| Error::Usage(violation.to_string()))?
        .with_totals(args.workers, openings);
    bench::run(&generator, &args.mechanism, args.seed, output)
}

/// Reads openings per worker.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.001..=100.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be 0.001..100".into()),
    }
}

//! `gale bench national`: every metro of the United States at its real size.

use super::{Mechanism, run as bench};
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::generate::{Generator, METROS_MAX, Plan, Scale};

/// Clears the whole country: 393 metros, six million workers, a quarter's openings.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All the unemployed of the 393 US metropolitan areas and all openings of a quarter, at scale 1.
The figures are those of `gale bench clear`.

Example:
  gale bench national
  gale bench national --json | jq '.clear_ms, .peak_rss_bytes'")]
pub struct Args {
    /// Seed: the same seed gives the same market on every machine.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    mechanism: Mechanism,
}

/// Makes the market, clears it and prints the figures.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    args.mechanism.check()?;
    let plan = Plan { metros: METROS_MAX, scale: Scale::WHOLE, seed: args.seed, ..Plan::default() };
    let generator =
        Generator::new(&plan).map_err(|violation| Error::Usage(violation.to_string()))?;
    bench::run(&generator, &args.mechanism, args.seed, output)
}

//! `gale clear`: starts a round and awaits it.

use super::client::Target;
use super::error::Error;
use super::output::Output;
use super::rounds;
use crate::proto::v1::{Round, RoundState};

/// Clears a market: matches its workers and vacancies by deferred acceptance.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts a round and waits for it. The round outlives this command: interrupt it, and the
server goes on. Exit code 1 if the round was cancelled or its certificate found blocking pairs.

Example:
  gale clear --market us
  gale clear --market us --json | jq .summary.matchingHash")]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Start the round and do not wait for it.
    #[arg(long)]
    no_wait: bool,
}

/// Starts a round, awaits it, prints what it found.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let (client, market) = args.target.connect().await?;
    let mut round = rounds::start(&client, &market).await?;
    if !args.no_wait {
        round = rounds::wait(&client, &market, round).await?;
    }
    if output.json {
        output.json(&round)?;
    } else {
        print(&market, &round, output)?;
    }
    match (round.state(), &round.summary) {
        (RoundState::Cancelled, _) => Err(Error::Failed("the round was cancelled".into())),
        (_, Some(summary)) if summary.blocking_pairs > 0 => {
            Err(Error::Failed(format!("{} blocking pairs", summary.blocking_pairs)))
        }
        _ => Ok(()),
    }
}

fn print(market: &str, round: &Round, output: Output) -> Result<(), Error> {
    match &round.summary {
        Some(summary) => {
            output.line(rounds::summary_table(summary))?;
            output.line(format_args!(
                "Round {} cleared market {market} as of revision {}.",
                round.id, round.snapshot_revision
            ))
        }
        None => output.line(format_args!("Round {} runs on market {market}.", round.id)),
    }
}

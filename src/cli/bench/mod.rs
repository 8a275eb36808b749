//! `gale bench`: what things cost on this machine, the engine alone or a server as a whole.
//!
//! | file | for |
//! |---|---|
//! | `clear` | a generated market of any size, cleared and checked |
//! | `national` | the same for the whole country |
//! | `lists` | published instances of explicit lists |
//! | `updates` | changes of a market that is stable after every one |
//! | `ingest` | a server that takes workers in |
//! | `fanout` | a server whose events go to many subscribers |
//! | `waiting` | a market in simulated time: what it is worth to wait before matches are made |
//! | `growth` | `clear` at a row of sizes: the plot of docs/PERFORMANCE.md |
//! | `market` | a generated market as a clearing's problem |
//! | `run` | clearing it, checking it, and the figures of both |
//! | `stream` | what happens to a market, change by change |
//! | `served` | a server in a process of its own |
//! | `wire` | calls and streams that leave messages encoded |
//! | `subscribers` | those who receive, and what they check |
//! | `rolling` | a market that people come to and leave in simulated time |
//! | `policies` | when its matches are made and become final |
//! | `draws` | the draws of a seed |
//! | `plot` | the drawing |

mod clear;
mod draws;
mod fanout;
mod growth;
mod ingest;
mod lists;
mod market;
mod national;
mod plot;
mod policies;
mod rolling;
mod run;
mod served;
mod stream;
mod subscribers;
mod updates;
mod waiting;
mod wire;

use super::error::Error;
use super::output::Output;
use crate::domain::Side;
use crate::matching::Kernels;
use std::time::Duration;

/// Measures the engine on generated markets, or a server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every figure is measured while the command runs; blocking pairs come from the independent check,
and any of them is exit code 1. Nothing else should run on the machine meanwhile.

Example:
  gale bench clear --workers 100000 --openings-per-worker 0.75
  gale bench national --json | jq .clear_ms
  gale bench lists --instance d")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Clear(clear::Args),
    National(national::Args),
    Lists(lists::Args),
    Growth(growth::Args),
    Updates(updates::Args),
    Ingest(ingest::Args),
    Fanout(fanout::Args),
    Waiting(waiting::Args),
}

/// Runs the benchmark. Those of the engine keep all cores: nothing else waits in this process.
pub async fn run(args: &Args, output: Output) -> Result<(), Error> {
    match &args.command {
        Command::Clear(args) => clear::run(args, output),
        Command::National(args) => national::run(args, output),
        Command::Lists(args) => lists::run(args, output),
        Command::Growth(args) => growth::run(args, output),
        Command::Updates(args) => updates::run(args, output),
        Command::Ingest(args) => ingest::run(args, output).await,
        Command::Fanout(args) => fanout::run(args, output).await,
        Command::Waiting(args) => waiting::run(args, output),
    }
}

/// Microseconds with one decimal.
fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

/// On how many threads.
#[derive(Clone, Debug, clap::Args)]
struct Threads {
    /// Threads; default: one per core. The matching is the same for any number.
    #[arg(long = "threads", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    number: Option<u16>,
}

impl Threads {
    fn number(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        self.number.map_or_else(all, usize::from)
    }
}

/// How a market is cleared.
#[derive(Clone, Debug, clap::Args)]
struct Mechanism {
    #[command(flatten)]
    threads: Threads,
    /// Who proposes.
    #[arg(long, value_name = "SIDE", value_enum, default_value_t = SideArg::Worker)]
    side: SideArg,
    /// Caps every city at 40% of its openings, and says whose offers a full city keeps.
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = CapsArg::None)]
    caps: CapsArg,
    /// Whether the inner loops use wide registers; the matching is the same.
    #[arg(long, value_name = "KERNELS", value_enum, default_value_t = KernelsArg::Widest)]
    kernels: KernelsArg,
}

/// Which kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum KernelsArg {
    /// What every processor has.
    Plain,
    /// The widest registers that this processor has.
    Widest,
}

impl Mechanism {
    fn kernels(&self) -> Kernels {
        match self.kernels {
            KernelsArg::Plain => Kernels::PLAIN,
            KernelsArg::Widest => Kernels::widest(),
        }
    }

    /// Refuses what has no proven mechanism, before anything is generated for it.
    fn check(&self) -> Result<(), Error> {
        if self.side == SideArg::Vacancy && self.caps == CapsArg::Targets {
            let message = "--side vacancy: vacancies cannot propose under --caps targets";
            return Err(Error::Usage(message.into()));
        }
        Ok(())
    }

    fn side(&self) -> Side {
        match self.side {
            SideArg::Worker => Side::Worker,
            SideArg::Vacancy => Side::Vacancy,
        }
    }
}

/// Who proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SideArg {
    /// Workers: the worker-optimal stable matching.
    Worker,
    /// Vacancies: the worker-pessimal stable matching.
    Vacancy,
}

/// Whether cities are capped, and whose offers a full city keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CapsArg {
    /// No caps.
    None,
    /// The best scores.
    Score,
    /// First each vacancy's places up to its target, then the rest in turn.
    Targets,
}

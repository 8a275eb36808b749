//! `gale solve`: clears a market or published matching instances without a server.

mod cases;
mod directory;

use super::error::Error;
use super::output::Output;
use crate::domain::Side;
use crate::matching::{self, Control, Matching, Problem};
use std::path::PathBuf;

/// Clears a market directory, or instances with explicit rankings, offline.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
DIR, as `gale generate` writes one: prints one JSON line per worker, in the file's order:
  {\"worker_id\":\"...\",\"vacancy_id\":\"...\"}     vacancy_id is null for the unmatched
A market without a lottery seed is solved with seed 0.

FILE.json holds {\"cases\":[{\"id\", \"workers\", \"vacancies\", \"capacities\"}]}, ids being positions
from 0: workers[w] lists vacancies in order of preference, vacancies[v] workers; who is not
listed is not acceptable. Prints {\"cases\":[{\"id\",\"matching\":[vacancy or null per worker]}]}.
Regions (region_of_vacancy, regional_caps, target_capacities, region_order) count with --caps.

Example:
  gale solve /tmp/us | jq -r .vacancy_id | grep -vc null
  gale solve cases.json --side vacancy
  gale solve regions.json --caps targets")]
pub struct Args {
    /// A market directory, or a file of instances.
    #[arg(value_name = "DIR|FILE.json")]
    path: PathBuf,
    /// Who proposes; default: what market.json says, else the workers.
    #[arg(long, value_name = "SIDE")]
    side: Option<SideArg>,
    /// Respect the regional caps of instances, and whose offers a full region keeps.
    #[arg(long, value_name = "ORDER")]
    caps: Option<CapsArg>,
}

/// Who proposes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SideArg {
    /// Workers: the worker-optimal stable matching.
    Worker,
    /// Vacancies: the worker-pessimal stable matching.
    Vacancy,
}

/// Whose offers a full region keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CapsArg {
    /// The best-ranked workers.
    Score,
    /// First each vacancy's places up to its target, then the rest in turn.
    Targets,
}

impl From<SideArg> for Side {
    fn from(side: SideArg) -> Self {
        match side {
            SideArg::Worker => Self::Worker,
            SideArg::Vacancy => Self::Vacancy,
        }
    }
}

/// Solves what the path holds. The output is JSON with and without `--json`.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    let side = args.side.map(Side::from);
    if args.path.is_dir() {
        return directory::run(&args.path, side);
    }
    cases::run(&args.path, side.unwrap_or_default(), args.caps, output)
}

/// Clears one problem.
fn clear(problem: &Problem, side: Side) -> Result<Matching, Error> {
    match matching::clear(problem, side, &Control::default()) {
        Ok(cleared) => Ok(cleared.matching),
        Err(matching::Error::UnsupportedMechanism) => {
            Err(Error::Usage("--side vacancy is not possible with TARGETS caps".to_owned()))
        }
        Err(error) => Err(Error::Failed(error.to_string())),
    }
}

//! `gale scenario`: tries policies on a fork of a market, lists what was tried, compares.
//!
//! | file | for |
//! |---|---|
//! | `run` | running one, with a bar; periods and cities as tables |
//! | `aggregate` | the same in the macro mode |
//! | `compare` | differences of two runs, with intervals |
//! | `parameters` | the parameters with their sources |

mod aggregate;
mod compare;
mod parameters;
mod run;

use super::client::Target;
use super::error::Error;
use super::files;
use super::output::{Column, Output, Table, thousands};
use crate::proto::v1::{ListScenariosRequest, ScenarioRun};
use clap::Subcommand;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Tries a policy on a fork of the market; the market itself never changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A policy is a file of JSON; docs/SCENARIOS.md has its fields, the model and its parameters.
The server keeps the last runs of a market until it stops, so that they can be compared.

Example:
  gale scenario run --baseline
  gale scenario run policy.json
  gale scenario compare s2 s1")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    List(ListArgs),
    Compare(compare::Args),
    Parameters(parameters::Args),
}

/// Lists the runs that the server keeps, newest first.
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    target: Target,
}

/// Does what is asked.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    match args.command {
        Command::Run(args) => run::run(args, output).await,
        Command::List(args) => list(args, output).await,
        Command::Compare(args) => compare::run(args, output).await,
        Command::Parameters(args) => parameters::run(&args, output),
    }
}

async fn list(args: ListArgs, output: Output) -> Result<(), Error> {
    let (client, market) = args.target.connect().await?;
    let reply = client.planning().list_scenarios(ListScenariosRequest { market }).await;
    let reply = reply.map_err(Error::refused("cannot list the scenarios"))?.into_inner();
    if output.json {
        return output.json(&reply);
    }
    if reply.runs.is_empty() {
        return output.line("No scenario is kept: try one with `gale scenario run`.");
    }
    let mut table = Table::new(&[
        Column::Text("run"),
        Column::Text("policy"),
        Column::Number("revision"),
        Column::Number("periods"),
        Column::Text("seeds"),
        Column::Text("parameters"),
        Column::Text("result"),
    ]);
    for run in &reply.runs {
        table.row([
            run.id.clone(),
            title(run),
            thousands(run.revision),
            run.periods.to_string(),
            seeds(run),
            run.parameters_hash.clone(),
            run.result_hash.clone(),
        ]);
    }
    output.line(table)
}

/// A run's policy with its version.
fn title(run: &ScenarioRun) -> String {
    let what = if run.baseline && run.policy != "baseline" { " (changes nothing)" } else { "" };
    format!("{} v{}{what}", run.policy, run.policy_version)
}

/// A run's seeds, or how many if they are many.
fn seeds(run: &ScenarioRun) -> String {
    if run.seeds.len() > 5 {
        return format!("{} seeds", run.seeds.len());
    }
    run.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// One message in a file of its own.
fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::File { path: path.to_owned(), source })?;
    files::parse(&text).map_err(|message| Error::Content {
        path: path.to_owned(),
        line: 1,
        message,
    })
}

/// A number of money or people, to the nearest whole.
fn whole(number: f64) -> String {
    thousands(libm::round(number) as i128)
}

/// The same with its sign.
fn signed(number: f64) -> String {
    let sign = if libm::round(number) > 0.0 { "+" } else { "" };
    format!("{sign}{}", whole(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a change shows its sign, and none shows none.
    #[test]
    fn changes_show_their_sign() {
        let cases = [(1234.4, "+1,234"), (-1234.6, "-1,235"), (0.2, "0"), (-0.2, "0")];
        for (number, text) in cases {
            assert_eq!(signed(number), text);
        }
    }
}

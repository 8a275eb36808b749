//! `gale import`: loads a market directory into a server.

use super::client::{Client, Server};
use super::error::Error;
use super::files::{Directory, Record, Records};
use super::loader::{Loader, Report, Source};
use super::output::{Column, Output, Table, count, thousands};
use crate::proto::v1::{City, MoveCost, Region, Vacancy, Worker};
use serde_json::json;
use std::path::PathBuf;

/// Refused records that are printed; the rest are counted.
const REJECTED_PRINTED_MAX: usize = 100;

/// Loads a market directory into a server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads market.json, then regions.jsonl, cities.jsonl and move_costs.jsonl, then workers.jsonl
and vacancies.jsonl; a file that is missing has no records. Each line is the proto3 JSON of
the API's message; field names may be lowerCamelCase or snake_case. Records that are refused
are printed with their file and line, the rest go in, and the exit code is 1. A place that
cannot be read stops the import before it begins.

Example:
  gale generate --out /tmp/us && gale import /tmp/us --market us && gale clear --market us")]
pub struct Args {
    /// The directory, as `gale generate` writes one.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    server: Server,
    /// Id of the market to make; default: the one in market.json.
    #[arg(long, value_name = "ID", env = "GALE_MARKET", hide_env_values = true)]
    market: Option<String>,
    /// Add to the market if it exists already, in place of refusing.
    #[arg(long)]
    update: bool,
}

/// Loads the directory and reports what was refused.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let directory = Directory::at(&args.directory);
    let mut source = source(&directory)?;
    if let Some(market) = args.market {
        source.market.id = market;
    }
    let client = Client::connect(&args.server.server).await?;
    let market = source.market.id.clone();
    let report = Loader::new(client, &market).update(args.update).load(source).await?;
    if output.json {
        output.json(&as_json(&market, &report))?;
    } else {
        print(&market, &report, output)?;
    }
    for rejected in report.rejected.iter().take(REJECTED_PRINTED_MAX) {
        eprintln!("{}", rejected.with_path(&directory));
    }
    let printed = report.rejected.len().min(REJECTED_PRINTED_MAX) as u64;
    if report.rejected_total > printed {
        eprintln!("... and {} more", thousands(report.rejected_total - printed));
    }
    match report.rejected_total {
        0 => Ok(()),
        number => Err(Error::Failed(format!("{} refused", count(number, "record")))),
    }
}

/// All that a directory holds. Places are read whole, people and vacancies line by line.
fn source(directory: &Directory) -> Result<Source, Error> {
    let market = directory.market()?;
    let places = (places(directory)?, places(directory)?, places(directory)?);
    let (regions, cities, move_costs) = places;
    let (workers, vacancies) = (directory.records()?, directory.records()?);
    Ok(Source { market, regions, cities, move_costs, workers, vacancies })
}

fn places<T: Record>(directory: &Directory) -> Result<Vec<(u64, T)>, Error> {
    let records: Records<T> = directory.records()?;
    records.all(&directory.path(T::FILE))
}

fn as_json(market: &str, report: &Report) -> serde_json::Value {
    json!({
        "market": market, "revision": report.revision, "regions": report.regions,
        "cities": report.cities, "move_costs": report.move_costs, "workers": report.workers,
        "vacancies": report.vacancies, "rejected": report.rejected_total,
        "import_ms": report.elapsed.as_millis() as u64,
    })
}

fn print(market: &str, report: &Report, output: Output) -> Result<(), Error> {
    let mut table = Table::new(&[Column::Text("file"), Column::Number("accepted")]);
    let rows = [
        (Region::FILE, report.regions),
        (City::FILE, report.cities),
        (MoveCost::FILE, report.move_costs),
        (Worker::FILE, report.workers),
        (Vacancy::FILE, report.vacancies),
    ];
    for (file, accepted) in rows.into_iter().filter(|(_, accepted)| *accepted > 0) {
        table.row([file.to_owned(), thousands(accepted)]);
    }
    output.line(table)?;
    output.line(format_args!(
        "Market {market} is at revision {} after {:.1} s.",
        thousands(report.revision),
        report.elapsed.as_secs_f64()
    ))
}

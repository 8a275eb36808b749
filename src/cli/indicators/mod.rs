//! `gale indicators`: what the market says about its cities, for people.

mod tables;

use super::client::{Client, PAGE_SIZE, Target};
use super::error::Error;
use super::output::{Output, spinner};
use crate::proto::v1::{
    CityIndicators, GetIndicatorsRequest, GetIndicatorsResponse, ListCityIndicatorsRequest, Sample,
};
use serde::Serialize;
use std::time::Duration;
use tables::Sort;

/// Characters of an occupation code that make a major group.
const MAJOR_GROUP: u32 = 2;

/// Measures a market: how tight it is, what it misses, how unequal its cities are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every figure is defined in docs/INDICATORS.md; a dash is a figure that is not defined there.
Without --label, groups are the major groups of the occupation label (its first two
characters).

Example:
  gale indicators
  gale indicators --show cities --sort net --cities 0
  gale indicators --show jobs,groups --label occupation
  gale indicators --first-choices --split --differentials
  gale indicators --json | jq .indicators.market.pools.tightness")]
pub struct Args {
    /// Tables to show.
    #[arg(
        long,
        value_name = "TABLE",
        value_delimiter = ',',
        default_value = "market,cities,regions,groups"
    )]
    show: Vec<Show>,
    /// Cities to show, and regions and groups; 0 = all (of groups and regions 1,000).
    #[arg(long, value_name = "N", default_value_t = 20)]
    rows: usize,
    /// Column by which cities stand, the largest first.
    #[arg(long, value_name = "COLUMN", default_value = "seekers")]
    sort: Sort,
    /// The smallest first.
    #[arg(long)]
    ascending: bool,
    /// Label that makes groups.
    #[arg(long, value_name = "KEY")]
    label: Option<String>,
    /// Characters of the label's value that count; 0 = all.
    #[arg(long, value_name = "N")]
    prefix: Option<u32>,
    /// Ask every seeker for their first choice; takes a search for each.
    #[arg(long)]
    first_choices: bool,
    /// Split mismatch into place, skill and pay; takes eight clearings.
    #[arg(long)]
    split: bool,
    /// Find out what pay or subsidy would make each city acceptable to people elsewhere.
    #[arg(long)]
    differentials: bool,
    /// Seconds to wait for the server's answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    #[command(flatten)]
    target: Target,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Show {
    /// The market as a whole.
    Market,
    /// Its cities.
    Cities,
    /// What the cities' jobs are.
    Jobs,
    /// Its regions.
    Regions,
    /// Its groups.
    Groups,
}

/// All that was measured; the names are part of the command line's contract.
#[derive(Serialize)]
struct Measured {
    indicators: GetIndicatorsResponse,
    cities: Vec<CityIndicators>,
    differential_sample: Option<Sample>,
}

/// Asks the server and prints tables.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let (client, market) = args.target.connect().await?;
    let progress = spinner("measuring");
    let measured = measure(&client, &market, &args).await;
    progress.finish_and_clear();
    let mut measured = measured?;
    if output.json {
        return output.json(&measured);
    }
    tables::sort(&mut measured.cities, args.sort, args.ascending);
    print(&market, &args, &measured, output)
}

async fn measure(client: &Client, market: &str, args: &Args) -> Result<Measured, Error> {
    let prefix = if args.label.is_none() { MAJOR_GROUP } else { 0 };
    let (label_key, prefix_length) =
        (args.label.clone().unwrap_or_default(), args.prefix.unwrap_or(prefix));
    let mut request = tonic::Request::new(GetIndicatorsRequest {
        market: market.to_owned(),
        label_key: label_key.clone(),
        prefix_length,
        groups_max: if args.rows == 0 { i32::MAX } else { as_i32(args.rows) },
        first_choices: args.first_choices,
        mismatch_split: args.split,
        ..GetIndicatorsRequest::default()
    });
    let patience = Duration::from_secs(args.timeout);
    request.set_timeout(patience);
    let refused = Error::refused("cannot measure the market");
    let indicators = client.planning().get_indicators(request).await.map_err(&refused)?;
    let mut cities = Vec::new();
    let mut request = ListCityIndicatorsRequest {
        market: market.to_owned(),
        page_size: PAGE_SIZE,
        label_key,
        prefix_length,
        first_choices: args.first_choices,
        differentials: args.differentials,
        ..ListCityIndicatorsRequest::default()
    };
    loop {
        let mut call = tonic::Request::new(request.clone());
        call.set_timeout(patience);
        let page = client.planning().list_city_indicators(call).await;
        let page = page.map_err(&refused)?.into_inner();
        cities.extend(page.cities);
        if page.next_page_token.is_empty() {
            let differential_sample = page.differential_sample;
            let indicators = indicators.into_inner();
            return Ok(Measured { indicators, cities, differential_sample });
        }
        request.page_token = page.next_page_token;
    }
}

fn as_i32(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn print(market: &str, args: &Args, measured: &Measured, output: Output) -> Result<(), Error> {
    let found = &measured.indicators;
    let groups = match found.prefix_length {
        0 => format!("label {}", found.label_key),
        1 => format!("the first character of label {}", found.label_key),
        prefix => format!("the first {prefix} characters of label {}", found.label_key),
    };
    let heading = format!("{market} at revision {}, groups by {groups}", found.revision);
    output.line(output.heading(&heading))?;
    let most = if args.rows == 0 { usize::MAX } else { args.rows };
    for show in &args.show {
        match show {
            Show::Market => {
                if let Some(all) = &found.market {
                    output.line(tables::market(all))?;
                }
            }
            Show::Cities => {
                output.line(tables::cities(&measured.cities, most))?;
                more(output, measured.cities.len(), most, "cities")?;
                output.line(tables::legend(&measured.cities))?;
                if let Some(sample) = &measured.differential_sample {
                    let sample = tables::drawn(sample);
                    output.line(format_args!("What would bring people was asked of {sample}."))?;
                }
            }
            Show::Jobs => {
                output.line(tables::jobs(&measured.cities, most))?;
                more(output, measured.cities.len(), most, "cities")?;
            }
            Show::Regions if found.regions.is_empty() => output.line("No regions.")?,
            Show::Regions => {
                output.line(tables::regions(&found.regions, most))?;
                more(output, found.regions_total as usize, most, "regions")?;
            }
            Show::Groups if found.groups.is_empty() => output.line("No groups.")?,
            Show::Groups => {
                output.line(tables::groups(&found.groups, most))?;
                more(output, found.groups_total as usize, most, "groups")?;
            }
        }
    }
    Ok(())
}

/// Says what a table leaves out.
fn more(output: Output, all: usize, most: usize, things: &str) -> Result<(), Error> {
    match all.saturating_sub(most) {
        0 => Ok(()),
        left => output.line(format_args!("{left} more {things}: --rows 0 shows all.")),
    }
}

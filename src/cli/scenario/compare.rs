//! `gale scenario compare`: what a policy has changed, with intervals over the seeds.

use super::run::short;
use super::{signed, title, whole};
use crate::cli::client::{Target, incomplete};
use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table};
use crate::proto::v1::{
    CompareScenariosRequest, CompareScenariosResponse, ScenarioDelta, ScenarioMeasure, ScenarioRun,
};
use std::collections::BTreeMap;

/// Compares a run with another one, or with the baseline.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Differences are RUN less AGAINST, seed by seed: both draw the same random numbers. The
interval is that of the mean at 95 %, by Student's t over the seeds; * marks those without 0.

Example:
  gale scenario compare s2
  gale scenario compare s2 s1 --period 5")]
pub struct Args {
    /// Id of the run, such as s2.
    run: String,
    /// Id of the run that it is compared with; without it, the baseline that fits.
    against: Option<String>,
    /// Period of which cities are shown; without it, the last.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    period: u32,
    /// Cities shown, those that differ most.
    #[arg(long, value_name = "N", default_value_t = 10)]
    cities: u32,
    #[command(flatten)]
    target: Target,
}

/// Compares them and prints the differences.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let (client, market) = args.target.connect().await?;
    let request = CompareScenariosRequest {
        market: market.clone(),
        run: args.run,
        against: args.against.unwrap_or_default(),
        period: args.period,
        city_limit: args.cities,
    };
    let reply = client.planning().compare_scenarios(request).await;
    let reply = reply.map_err(Error::refused("cannot compare"))?.into_inner();
    if output.json {
        return output.json(&reply);
    }
    let (Some(before), Some(after)) = (&reply.before, &reply.after) else {
        return Err(incomplete("CompareScenarios"));
    };
    let names: BTreeMap<String, String> = client
        .cities(&market)
        .await?
        .into_iter()
        .map(|city| (city.id, city.display_name))
        .collect();
    print_market(&reply, after, output)?;
    print_cities(&reply, &names, output)?;
    let name = |run: &ScenarioRun| format!("{} ({})", run.id, title(run));
    output.line(format_args!(
        "{} less {}, {} seeds; * the 95 % interval excludes 0.",
        name(after),
        name(before),
        after.seeds.len()
    ))
}

/// The whole market in the last period.
fn print_market(
    reply: &CompareScenariosResponse,
    after: &ScenarioRun,
    output: Output,
) -> Result<(), Error> {
    let heading = format!("market, period {}", after.periods);
    let mut table = Table::new(&[
        Column::Text("measure"),
        Column::Number("before"),
        Column::Number("after"),
        Column::Number("change"),
        Column::Number("95 % interval"),
    ]);
    for delta in reply.market.iter().filter(|delta| delta.period == after.periods) {
        table.row([
            name_of(delta.measure()).to_owned(),
            value(delta, delta.before),
            value(delta, delta.after),
            change(delta, delta.mean),
            interval(delta),
        ]);
    }
    output.line(output.heading(&heading))?;
    output.line(table)
}

/// Cities, most changed first.
fn print_cities(
    reply: &CompareScenariosResponse,
    names: &BTreeMap<String, String>,
    output: Output,
) -> Result<(), Error> {
    const SHOWN: [ScenarioMeasure; 5] = [
        ScenarioMeasure::Residents,
        ScenarioMeasure::Placed,
        ScenarioMeasure::MovedIn,
        ScenarioMeasure::MeanRealPay,
        ScenarioMeasure::CostOfLiving,
    ];
    let mut columns = vec![Column::Text("city")];
    columns.extend(SHOWN.map(|measure| Column::Number(name_of(measure))));
    let mut table = Table::new(&columns);
    let Some(first) = reply.cities.first() else { return Ok(()) };
    for city in reply.cities.chunk_by(|a, b| a.city == b.city) {
        let id = city.first().map_or("", |delta| &delta.city);
        let name = names.get(id).filter(|name| !name.is_empty()).map_or(id, |name| name);
        let cell = |measure| {
            let delta = city.iter().find(|delta| delta.measure() == measure);
            delta.map_or_else(|| "-".to_owned(), marked)
        };
        let [a, b, c, d, e] = SHOWN.map(cell);
        table.row([short(name), a, b, c, d, e]);
    }
    output.line(output.heading(&format!("cities, changes in period {}", first.period)))?;
    output.line(table)
}

/// Whether the measure is a ratio or an index, which is small.
fn is_small(measure: ScenarioMeasure) -> bool {
    matches!(
        measure,
        ScenarioMeasure::Tightness
            | ScenarioMeasure::PayTheil
            | ScenarioMeasure::PayGini
            | ScenarioMeasure::SizeGini
    )
}

fn value(delta: &ScenarioDelta, number: f64) -> String {
    match (delta.seeds, is_small(delta.measure())) {
        (0, _) => "-".to_owned(),
        (_, true) => format!("{number:.5}"),
        (_, false) => whole(number),
    }
}

fn change(delta: &ScenarioDelta, number: f64) -> String {
    match (delta.seeds, is_small(delta.measure())) {
        (0, _) => "-".to_owned(),
        (_, true) => format!("{number:+.5}"),
        (_, false) => signed(number),
    }
}

/// A change with a mark if its interval excludes 0.
fn marked(delta: &ScenarioDelta) -> String {
    let clear =
        matches!((delta.low, delta.high), (Some(low), Some(high)) if low > 0.0 || high < 0.0);
    format!("{}{}", change(delta, delta.mean), if clear { " *" } else { "" })
}

fn interval(delta: &ScenarioDelta) -> String {
    match (delta.low, delta.high) {
        (Some(low), Some(high)) => {
            let mark = if low > 0.0 || high < 0.0 { " *" } else { "" };
            format!("{} to {}{mark}", change(delta, low), change(delta, high))
        }
        _ => "-".to_owned(),
    }
}

fn name_of(measure: ScenarioMeasure) -> &'static str {
    match measure {
        ScenarioMeasure::Unspecified => "-",
        ScenarioMeasure::Residents => "residents",
        ScenarioMeasure::Seekers => "seekers",
        ScenarioMeasure::Openings => "openings",
        ScenarioMeasure::Placed => "placed",
        ScenarioMeasure::MovedIn => "moved in",
        ScenarioMeasure::MovedOut => "moved out",
        ScenarioMeasure::Employed => "employed",
        ScenarioMeasure::Tightness => "openings per seeker",
        ScenarioMeasure::MeanPay => "mean pay",
        ScenarioMeasure::MeanRealPay => "mean real pay",
        ScenarioMeasure::CostOfLiving => "cost of living",
        ScenarioMeasure::Subsidy => "subsidies",
        ScenarioMeasure::PayTheil => "Theil of real pay",
        ScenarioMeasure::PayGini => "Gini of real pay",
        ScenarioMeasure::SizeGini => "Gini of sizes",
    }
}

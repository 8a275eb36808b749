//! `gale scenario run`: one policy, its periods and the cities that it changes most.

use super::{aggregate, read, seeds, signed, title, whole};
use crate::cli::client::{Client, Target, incomplete};
use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table, bar, thousands};
use crate::proto::v1::figure::Result as FigureResult;
use crate::proto::v1::run_scenario_response::Step;
use crate::proto::v1::{
    Figure, Policy, RunScenarioRequest, ScenarioCity, ScenarioMode, ScenarioPeriod,
    ScenarioProgress, ScenarioRun,
};
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Runs a policy, or the baseline, for some periods and seeds.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Interrupt it, and the run ends. The tables show means over the seeds. With --json: one
object with the run and all its periods by seed and city.

Example:
  gale scenario run --baseline --periods 10 --seeds 1,2,3
  gale scenario run policy.json --parameters parameters.json")]
pub struct Args {
    /// File of the policy.
    #[arg(required_unless_present = "baseline", conflicts_with = "baseline")]
    file: Option<PathBuf>,
    /// The baseline: no policy.
    #[arg(long)]
    baseline: bool,
    /// Periods.
    #[arg(long, value_name = "N", default_value_t = 10)]
    periods: u32,
    /// Seeds, one run each.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u64>,
    /// File of the parameters; what it leaves out has its default.
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// Cities shown.
    #[arg(long, value_name = "N", default_value_t = 10)]
    cities: usize,
    /// The macro mode: residents alone, for long horizons, and where they settle.
    #[arg(long = "macro", conflicts_with = "seeds")]
    aggregate: bool,
    #[command(flatten)]
    target: Target,
}

/// A run with all its periods.
#[derive(Serialize)]
struct Ended {
    run: ScenarioRun,
    periods: Vec<ScenarioPeriod>,
}

/// Runs it and prints what it found.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let policy = match &args.file {
        Some(file) => Some(read::<Policy>(file)?),
        None => None,
    };
    let parameters = match &args.parameters {
        Some(file) => Some(read(file)?),
        None => None,
    };
    let (client, market) = args.target.connect().await?;
    let request = RunScenarioRequest {
        market: market.clone(),
        policy,
        parameters,
        periods: args.periods,
        seeds: if args.aggregate { Vec::new() } else { args.seeds },
        at_least_revision: 0,
        mode: if args.aggregate { ScenarioMode::Macro } else { ScenarioMode::Micro }.into(),
    };
    if args.aggregate {
        return aggregate::run(&client, request, args.cities, output).await;
    }
    let ended = follow(&client, request).await?;
    if output.json {
        return output.json(&ended);
    }
    print_periods(&ended, output)?;
    let names: BTreeMap<String, String> = client
        .cities(&market)
        .await?
        .into_iter()
        .map(|city| (city.id, city.display_name))
        .collect();
    print_cities(&ended, &names, args.cities, output)?;
    print_run(&ended.run, output)
}

/// Follows a run to its end.
async fn follow(client: &Client, request: RunScenarioRequest) -> Result<Ended, Error> {
    let refused = Error::refused("cannot run the scenario");
    let mut steps = client.planning().run_scenario(request).await.map_err(&refused)?.into_inner();
    let progress = bar("scenario", 0);
    let mut periods: Vec<ScenarioPeriod> = Vec::new();
    while let Some(reply) = steps.message().await.map_err(&refused)? {
        match reply.step {
            Some(Step::Progress(now)) => show(&progress, &now),
            Some(Step::Period(part)) => join(&mut periods, part),
            Some(Step::Finished(run)) => {
                progress.finish_and_clear();
                return Ok(Ended { run, periods });
            }
            _ => {}
        }
    }
    Err(incomplete("RunScenario"))
}

pub fn show(progress: &ProgressBar, now: &ScenarioProgress) {
    progress.set_length(u64::from(now.periods_total));
    progress.set_position(u64::from(now.periods_done));
    progress.set_message(format!("seed {}, period {}", now.seed_number + 1, now.period));
}

/// Puts the parts of a period together.
fn join(periods: &mut Vec<ScenarioPeriod>, part: ScenarioPeriod) {
    match periods.last_mut() {
        Some(period) if !period.last_part => {
            let mut cities = std::mem::take(&mut period.cities);
            cities.extend(part.cities);
            *period = ScenarioPeriod { cities, ..part };
        }
        _ => periods.push(part),
    }
}

/// The whole market, by period: means over the seeds.
fn print_periods(ended: &Ended, output: Output) -> Result<(), Error> {
    let mut table = Table::new(&[
        Column::Number("period"),
        Column::Number("seekers"),
        Column::Number("openings"),
        Column::Number("placed"),
        Column::Number("moved"),
        Column::Number("real pay"),
        Column::Number("pay Theil"),
        Column::Number("size Gini"),
        Column::Number("subsidies"),
    ]);
    for number in 1..=ended.run.periods {
        let of: Vec<&ScenarioPeriod> =
            ended.periods.iter().filter(|period| period.period == number).collect();
        let totals: Vec<&ScenarioCity> =
            of.iter().filter_map(|period| period.total.as_ref()).collect();
        let mean = |value: &dyn Fn(&ScenarioCity) -> f64| mean(totals.iter().map(|t| value(t)));
        let index = |pick: &dyn Fn(&ScenarioPeriod) -> Option<&Figure>| {
            let values: Vec<f64> = of.iter().filter_map(|p| number_of(pick(p))).collect();
            if values.is_empty() { "-".to_owned() } else { format!("{:.5}", self::mean(values)) }
        };
        table.row([
            number.to_string(),
            whole(mean(&|t| t.seekers as f64)),
            whole(mean(&|t| t.openings as f64)),
            whole(mean(&|t| t.placed as f64)),
            whole(mean(&|t| t.moved_in as f64)),
            per_head(mean(&|t| t.real_pay as f64), mean(&|t| t.placed as f64)),
            index(&|period| period.pay_theil.as_ref()),
            index(&|period| period.size_gini.as_ref()),
            whole(mean(&|t| t.subsidy as f64)),
        ]);
    }
    output.line(table)
}

/// The cities whose residents change most from the first period to the last.
fn print_cities(
    ended: &Ended,
    names: &BTreeMap<String, String>,
    count: usize,
    output: Output,
) -> Result<(), Error> {
    let means = city_means(ended);
    let mut order: Vec<(&String, &CityMeans)> = means.iter().collect();
    order.sort_by(|a, b| b.1.net.abs().total_cmp(&a.1.net.abs()).then(a.0.cmp(b.0)));
    let mut table = Table::new(&[
        Column::Text("city, by net moves"),
        Column::Number("residents"),
        Column::Number("in"),
        Column::Number("out"),
        Column::Number("net"),
        Column::Number("placed"),
        Column::Number("real pay"),
        Column::Number("prices"),
    ]);
    for (id, city) in order.into_iter().take(count) {
        let name = names.get(id).filter(|name| !name.is_empty()).unwrap_or(id);
        table.row([
            short(name),
            whole(city.residents),
            whole(city.moved_in),
            whole(city.moved_out),
            signed(city.net),
            whole(city.placed),
            per_head(city.real_pay, city.placed),
            whole(city.prices),
        ]);
    }
    output.line(table)
}

/// One city over all periods: sums, of which the mean over seeds; residents and prices are
/// those of the last period.
#[derive(Default)]
struct CityMeans {
    residents: f64,
    moved_in: f64,
    moved_out: f64,
    net: f64,
    placed: f64,
    real_pay: f64,
    prices: f64,
}

fn city_means(ended: &Ended) -> BTreeMap<String, CityMeans> {
    let share = 1.0 / ended.run.seeds.len().max(1) as f64;
    let mut means = BTreeMap::<String, CityMeans>::new();
    for period in &ended.periods {
        for city in &period.cities {
            let mean = means.entry(city.city.clone()).or_default();
            mean.moved_in += share * city.moved_in as f64;
            mean.moved_out += share * city.moved_out as f64;
            mean.net += share * (city.moved_in as f64 - city.moved_out as f64);
            mean.placed += share * city.placed as f64;
            mean.real_pay += share * city.real_pay as f64;
            if period.period == ended.run.periods {
                mean.residents += share * city.residents as f64;
                mean.prices += share * city.cost_of_living as f64;
            }
        }
    }
    means
}

fn print_run(run: &ScenarioRun, output: Output) -> Result<(), Error> {
    let margin = run.margin.unwrap_or_default();
    let stable = if margin.runaway > 0.0 && margin.swing > 0.0 {
        output.good("stable")
    } else {
        output.bad("results depend on history")
    };
    output.line(format_args!(
        "Run {}: {}, revision {}, seeds {}, parameters {}, gale {}; result {}.",
        run.id,
        title(run),
        thousands(run.revision),
        seeds(run),
        run.parameters_hash,
        run.engine_version,
        run.result_hash
    ))?;
    output.line(format_args!(
        "Stability margin of the feedback: {:.3} ({stable}).",
        margin.runaway
    ))?;
    if run.baseline {
        return Ok(());
    }
    output.line(format_args!("Compare it with the baseline: gale scenario compare {}", run.id))
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (count, sum) =
        values.into_iter().fold((0_u32, 0.0), |(n, sum), value| (n + 1, sum + value));
    sum / f64::from(count.max(1))
}

fn number_of(figure: Option<&Figure>) -> Option<f64> {
    match figure?.result {
        Some(FigureResult::Value(value)) => Some(value),
        _ => None,
    }
}

/// A sum by head, a dash for nobody.
pub fn per_head(sum: f64, heads: f64) -> String {
    if heads == 0.0 { "-".to_owned() } else { whole(sum / heads) }
}

/// A name that leaves room for the numbers in 100 columns.
pub fn short(name: &str) -> String {
    const CHARS: usize = 30;
    if name.chars().count() <= CHARS {
        return name.to_owned();
    }
    let cut: String = name.chars().take(CHARS - 1).collect();
    format!("{}…", cut.trim_end())
}

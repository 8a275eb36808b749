//! `gale calibrate`: fits how people move to observed flows, beside gravity.

use super::error::Error;
use super::generate::{PlanArgs, moving_flags};
use super::output::{Column, Output, Table, bar, count, thousands};
use crate::planning::calibrate::agreement::Agreement;
use crate::planning::calibrate::fit::{DIALS, Turned};
use crate::planning::calibrate::{self, Options, Progress, Report, Row};
use crate::planning::figure::Value;
use serde_json::{Map, json};

/// Metros with fewer observed pairs than this tell nothing.
const METROS_MIN: usize = 5;

/// Fits how people move to half of the observed flows, and compares with gravity on the other.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The observed flows are moves between US metropolitan areas in 2018-19 (IRS). Half of the pairs
are held out. Gale's costs of moving and mobility are searched for so that the moves of generated,
exactly cleared markets agree with the other half; gravity (populations and distance, Poisson)
is fitted to the same. Both are then compared on the pairs that neither has seen. The common
part is the share of moves that are between the right pairs. docs/CALIBRATION.md tells what
this shows and what it does not.

With --json, one line: metros, scale, seed, split_seed, evaluations, search_markets,
report_markets, pairs {training, held_out, unobserved}, gravity and gravity_with_prices
{coefficients, pseudo_r2}, fitted (as flags of `gale generate`), moving, objective {begun, found},
parameters (each with fitted, and value and objective below and above), models (each with
parameters, training and held_out: pairs, empty, common_part, correlation, log_correlation,
distance_exponent, km_mean; null where there is none), advantage {estimate, low, high}, moves
{workers, matched, moved, on_observed_pairs}.

Example:
  gale calibrate
  gale calibrate --quick
  gale calibrate --split-seed 2 --json | jq .advantage")]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// Which half of the pairs is held out.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    split_seed: u64,
    /// Ways of moving that the search may try.
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    evaluations: u32,
    /// Markets, of as many seeds, that are cleared for each of them.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    markets: u32,
    /// Markets, of further seeds, whose moves are reported.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    report_markets: u32,
    /// A small search that shows how it works, in a minute: --evaluations 30 --markets 4
    /// --report-markets 12.
    #[arg(long, conflicts_with_all = ["evaluations", "markets", "report_markets"])]
    quick: bool,
}

impl Args {
    fn options(&self) -> Options {
        let (evaluations, search_markets, report_markets) = match self.quick {
            true => (30, 4, 12),
            false => (self.evaluations, self.markets, self.report_markets),
        };
        Options {
            plan: self.plan.plan(),
            split_seed: self.split_seed,
            evaluations,
            search_markets,
            report_markets,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Calibrates and prints both models' figures.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    if args.plan.metros < METROS_MIN {
        return Err(Error::Usage(format!(
            "--metros must be {METROS_MIN} or more: the flows between fewer tell nothing"
        )));
    }
    let options = args.options();
    let report = watched(&options)?;
    if output.json {
        return output.json(&as_json(args, &options, &report));
    }
    show(&options, &report, output)
}

/// Runs with a bar on stderr.
fn watched(options: &Options) -> Result<Report, Error> {
    let progress = bar("searching", u64::from(options.evaluations));
    let turns = 2 * DIALS as u64;
    let result = calibrate::run(options, |step| match step {
        Progress::Searching(made, best) => {
            progress.set_message(format!("searching, best {best:.4}"));
            progress.set_position(u64::from(made));
        }
        Progress::Turning(made) => {
            progress.set_message("turning each dial");
            progress.set_length(turns);
            progress.set_position(u64::from(made));
        }
        Progress::Reporting(cleared) => {
            progress.set_message("clearing new markets");
            progress.set_length(2 * u64::from(options.report_markets));
            progress.set_position(u64::from(cleared));
        }
    });
    progress.finish_and_clear();
    result.map_err(|error| match error {
        calibrate::Error::Plan(violation) => Error::Usage(violation.to_string()),
        error => Error::Failed(error.to_string()),
    })
}

fn show(options: &Options, report: &Report, output: Output) -> Result<(), Error> {
    let observed = &report.observed;
    output.line(format_args!(
        "Observed moves between {} metros, IRS 2018-19: {} to fit to, {} held out; {} are not \
         observed and not compared.",
        options.plan.metros,
        count(observed.training.pairs as u64, "pair"),
        thousands(observed.held_out.pairs as u64),
        thousands(report.unobserved as u64),
    ))?;
    let [_, origin, destination, km] = report.gravity.coefficients;
    output.line(format_args!(
        "Gravity: people ~ origin^{origin:.3} destination^{destination:.3} km^{km:.3}; pseudo R2 {:.3}.",
        report.gravity.pseudo_r2(),
    ))?;
    let [_, origin, destination, km, from, to] = report.gravity_with_prices.coefficients;
    output.line(format_args!(
        "With price levels: origin^{origin:.3} destination^{destination:.3} km^{km:.3} \
         origin prices^{from:.3} destination prices^{to:.3}; pseudo R2 {:.3}.",
        report.gravity_with_prices.pseudo_r2(),
    ))?;
    output.line(format_args!("\n{}", output.heading("Held out: pairs that no model has seen")))?;
    output.line(agreements(report, |row| &row.held_out))?;
    output
        .line(format_args!("\n{}", output.heading("Training: pairs that they were fitted to")))?;
    output.line(agreements(report, |row| &row.training))?;
    let (estimate, low, high) = report.advantage;
    output.line(format_args!(
        "\nHeld out, the common part of Gale, fitted, is {estimate:+.4} over gravity's (resampled \
         pairs, middle 95%: {low:+.4} to {high:+.4}).",
    ))?;
    let moves = &report.moves;
    output.line(format_args!(
        "Its moves: {} of {} matched, in {} of {} each; {} of them between observed pairs.",
        thousands(moves.moved),
        thousands(moves.matched),
        count(u64::from(options.report_markets), "market"),
        count(moves.workers / u64::from(options.report_markets), "worker"),
        thousands(report.moves_on_observed),
    ))?;
    let (begun, found) = report.objective;
    output.line(format_args!(
        "\n{}",
        output.heading(&format!("The fit: objective {begun:.4} where it began, {found:.4} found")),
    ))?;
    output.line(dials(&report.turned))?;
    output.line(format_args!(
        "\nA market whose people move like this:\n  gale generate --out DIR {}",
        moving_flags(&report.fitted)
    ))
}

fn agreements(report: &Report, half: fn(&Row) -> &Agreement) -> Table {
    let mut table = Table::new(&[
        Column::Text("model"),
        Column::Number("fitted numbers"),
        Column::Number("common part"),
        Column::Number("correlation"),
        Column::Number("of logs"),
        Column::Number("distance exponent"),
        Column::Number("mean km"),
        Column::Number("empty pairs"),
    ]);
    let observed = half(&report.observed);
    table.row([
        "observed".to_owned(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        figure(observed.distance_exponent, 3),
        figure(observed.km_mean, 0),
        String::new(),
    ]);
    for row in &report.rows {
        let found = half(row);
        table.row([
            row.model.to_owned(),
            row.parameters.to_string(),
            figure(found.common_part, 4),
            figure(found.correlation, 4),
            figure(found.log_correlation, 4),
            figure(found.distance_exponent, 3),
            figure(found.km_mean, 0),
            found.empty.to_string(),
        ]);
    }
    table
}

fn dials(turned: &[Turned]) -> Table {
    let mut table = Table::new(&[
        Column::Text("parameter"),
        Column::Number("fitted"),
        Column::Number("objective at"),
        Column::Number("below"),
        Column::Number("at"),
        Column::Number("above"),
    ]);
    let rounded = |value: f64| {
        if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
    };
    for Turned { dial, fitted, below, above } in turned {
        table.row([
            dial.name.to_owned(),
            rounded(*fitted),
            rounded(below.0),
            format!("{:.4}", below.1),
            rounded(above.0),
            format!("{:.4}", above.1),
        ]);
    }
    table
}

/// A figure, or the reason why there is none.
fn figure(value: Value, decimals: usize) -> String {
    value.map_or_else(|why| why.to_string(), |value| format!("{value:.decimals$}"))
}

fn as_json(args: &Args, options: &Options, report: &Report) -> serde_json::Value {
    let [constant, origin, destination, distance] = report.gravity.coefficients;
    let [with_prices @ .., from, to] = report.gravity_with_prices.coefficients;
    let with_prices = json!({
        "coefficients": {
            "constant": with_prices[0], "origin": with_prices[1], "destination": with_prices[2],
            "distance": with_prices[3], "origin_prices": from, "destination_prices": to,
        },
        "pseudo_r2": report.gravity_with_prices.pseudo_r2(),
    });
    let (begun, found) = report.objective;
    let (estimate, low, high) = report.advantage;
    let moves = &report.moves;
    let parameters: Map<_, _> = report.turned.iter().map(turned_json).collect();
    let models: Vec<_> =
        std::iter::once(&report.observed).chain(&report.rows).map(row_json).collect();
    json!({
        "metros": args.plan.metros, "scale": f64::from(args.plan.scale.millionths()) / 1e6,
        "seed": args.plan.seed, "split_seed": args.split_seed, "evaluations": options.evaluations,
        "search_markets": options.search_markets, "report_markets": options.report_markets,
        "pairs": {
            "training": report.observed.training.pairs, "held_out": report.observed.held_out.pairs,
            "unobserved": report.unobserved,
        },
        "gravity": {
            "coefficients": {
                "constant": constant, "origin": origin, "destination": destination,
                "distance": distance,
            },
            "pseudo_r2": report.gravity.pseudo_r2(),
        },
        "gravity_with_prices": with_prices,
        "fitted": moving_flags(&report.fitted), "moving": report.fitted,
        "objective": {"begun": begun, "found": found}, "parameters": parameters, "models": models,
        "advantage": {"estimate": estimate, "low": low, "high": high},
        "moves": {
            "workers": moves.workers, "matched": moves.matched, "moved": moves.moved,
            "on_observed_pairs": report.moves_on_observed,
        },
    })
}

fn turned_json(turned: &Turned) -> (String, serde_json::Value) {
    let side = |(value, objective): (f64, f64)| json!({"value": value, "objective": objective});
    let value = json!({
        "fitted": turned.fitted, "below": side(turned.below), "above": side(turned.above),
    });
    (turned.dial.key.to_owned(), value)
}

fn row_json(row: &Row) -> serde_json::Value {
    let half = |found: &Agreement| {
        json!({
            "pairs": found.pairs, "empty": found.empty, "common_part": found.common_part.ok(),
            "correlation": found.correlation.ok(), "log_correlation": found.log_correlation.ok(),
            "distance_exponent": found.distance_exponent.ok(), "km_mean": found.km_mean.ok(),
        })
    };
    json!({
        "model": row.model, "parameters": row.parameters, "training": half(&row.training),
        "held_out": half(&row.held_out),
    })
}

//! `gale scenario run --macro`: residents alone, by a logit of real income between cities.

use super::run::{short, show};
use super::{signed, whole};
use crate::cli::client::{Client, incomplete};
use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table, bar};
use crate::proto::v1::run_scenario_response::Step;
use crate::proto::v1::{MacroEnd, MacroPeriod, RunScenarioRequest};
use serde::Serialize;
use std::collections::BTreeMap;

/// A macro run.
#[derive(Serialize)]
struct Ended {
    periods: Vec<MacroPeriod>,
    end: MacroEnd,
}

/// Runs it and prints what it found.
pub async fn run(
    client: &Client,
    request: RunScenarioRequest,
    count: usize,
    output: Output,
) -> Result<(), Error> {
    let market = request.market.clone();
    let ended = follow(client, request).await?;
    if output.json {
        return output.json(&ended);
    }
    let cities = client.cities(&market).await?.into_iter();
    let names: BTreeMap<String, String> = cities.map(|city| (city.id, city.display_name)).collect();
    print_cities(&ended, &names, count, output)?;
    print_end(&ended.end, output)
}

async fn follow(client: &Client, request: RunScenarioRequest) -> Result<Ended, Error> {
    let refused = Error::refused("cannot run the scenario");
    let mut steps = client.planning().run_scenario(request).await.map_err(&refused)?.into_inner();
    let progress = bar("scenario", 0);
    let mut periods = Vec::new();
    while let Some(reply) = steps.message().await.map_err(&refused)? {
        match reply.step {
            Some(Step::Progress(now)) => show(&progress, &now),
            Some(Step::MacroPeriod(period)) => periods.push(period),
            Some(Step::MacroEnd(end)) => {
                progress.finish_and_clear();
                return Ok(Ended { periods, end });
            }
            _ => {}
        }
    }
    Err(incomplete("RunScenario"))
}

/// The cities that change most in the long run.
fn print_cities(
    ended: &Ended,
    names: &BTreeMap<String, String>,
    count: usize,
    output: Output,
) -> Result<(), Error> {
    let (Some(first), Some(last)) = (ended.periods.first(), ended.periods.last()) else {
        return Err(incomplete("RunScenario"));
    };
    let steady = &ended.end.steady_residents;
    let change = |at: usize| {
        let settled = steady.get(at).copied().unwrap_or(0.0);
        (settled - first.cities[at].residents).abs()
    };
    let mut order: Vec<usize> = (0..first.cities.len().min(last.cities.len())).collect();
    order.sort_by(|a, b| change(*b).total_cmp(&change(*a)).then(a.cmp(b)));
    let periods = format!("after {}", last.period);
    let mut table = Table::new(&[
        Column::Text("city"),
        Column::Number("residents"),
        Column::Number("later"),
        Column::Number("change"),
        Column::Number("settled"),
        Column::Number("wage"),
        Column::Number("prices"),
    ]);
    for at in order.into_iter().take(count) {
        let (was, is) = (&first.cities[at], &last.cities[at]);
        let name = names.get(&was.city).filter(|name| !name.is_empty()).unwrap_or(&was.city);
        table.row([
            short(name),
            whole(was.residents),
            whole(is.residents),
            signed(is.residents - was.residents),
            whole(steady.get(at).copied().unwrap_or(0.0)),
            whole(is.wage),
            whole(is.cost_of_living),
        ]);
    }
    output.line(output.heading(&format!("cities that change most; later: {periods} periods")))?;
    output.line(table)
}

fn print_end(end: &MacroEnd, output: Output) -> Result<(), Error> {
    let several = match end.steady_states {
        1 => "six starts lead to the same steady state".to_owned(),
        states => format!("six starts lead to {states} steady states: history decides"),
    };
    let reached = if end.converged { "reached" } else { "not reached" };
    output.line(format_args!(
        "Settled sizes {reached} after {} steps (residual {:.1e}); {several}.",
        end.iterations, end.residual
    ))?;
    output.line(format_args!(
        "A small difference of sizes grows by the factor {:.4} in a period.",
        end.growth
    ))
}

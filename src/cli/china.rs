//! `gale china`: the founders' case. What the feedback says of China from 2010 on, held
//! against the census of 2020, and what guidance would change.

use super::error::Error;
use super::output::{Column, Output, Table, thousands};
use crate::generate::china::census;
use crate::planning::china::{
    Assumptions, CLASSES, China, Comparison, Effect, Guidance, compare, guide, size_alone,
};
use crate::planning::figure::Value;
use serde_json::{Value as Json, json};

/// Policies that are tried.
const GUIDANCE: [Guidance; 9] = [
    Guidance::None,
    Guidance::Subsidy(0.1),
    Guidance::Subsidy(0.3),
    Guidance::Cap(0.8),
    Guidance::Cap(0.5),
    Guidance::Clusters(0.02),
    Guidance::Clusters(0.05),
    Guidance::BestPlaced(0.05),
    Guidance::BestPlaced(0.2),
];

/// Runs China's cities from 2010 and compares with 2020, then tries guidance.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Populations of 356 prefectures are census data; wages are modelled, not data: proportional to a
power of the city's size. The feedback of docs/SCENARIOS.md in aggregate runs from 2010 to 2020,
and the direction of each city's net flow is compared with what the censuses counted, whatever
comes out. docs/CHINA.md has what it says and what it does not. Needs no server.

Example:
  gale china
  gale china --wage-elasticity 0.19 --json | jq .comparison.correlation")]
pub struct Args {
    /// Elasticity of wages to population; 0.04 to 0.05 in advanced economies, 0.19 by ordinary
    /// least squares in China.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.05, value_parser = elasticity)]
    wage_elasticity: f64,
    /// Elasticity of prices to population; 0.03 to 0.08.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.05, value_parser = elasticity)]
    cost_elasticity: f64,
}

fn elasticity(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

/// Runs and prints.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    let china = China::of(census());
    let assumed = Assumptions {
        wage_elasticity: args.wage_elasticity,
        cost_elasticity: args.cost_elasticity,
        ..Assumptions::default()
    };
    let found = compare(&china, &assumed);
    let effects: Vec<Effect> = GUIDANCE.iter().map(|g| guide(&china, &assumed, *g)).collect();
    if output.json {
        return output.json(&report(&china, &found, &effects));
    }
    output.line(output.heading("China from 2010 to 2020: wages are modelled, not data"))?;
    output.line(assumptions(&assumed))?;
    output.line("")?;
    output.line(classes_table(&found))?;
    output.line(sentence(&china, &found))?;
    output.line("")?;
    output.line(output.heading("Ten years of guidance from 2010, against none"))?;
    output.line(guidance_table(&effects))?;
    output.line(
        "Money is in millions of mean wages of a year; people in millions. Large: 10 million \
         people or more in 2010; small: under 3 million.",
    )
}

fn assumptions(assumed: &Assumptions) -> String {
    format!(
        "Wages go with population to the power {}, prices to the power {}; people choose by real \
         income to the power {}; barriers {} within a province and {} between; {} of the people \
         reconsider in a year.",
        assumed.wage_elasticity,
        assumed.cost_elasticity,
        assumed.income_elasticity,
        assumed.barrier_within,
        assumed.barrier_between,
        assumed.reconsider
    )
}

fn classes_table(found: &Comparison) -> Table {
    let mut table = Table::new(&[
        Column::Text("prefectures of 2010"),
        Column::Number("cities"),
        Column::Number("residents"),
        Column::Number("net inflow, model"),
        Column::Number("gain, censuses"),
        Column::Number("gaining, model"),
        Column::Number("gaining, censuses"),
        Column::Number("same direction"),
    ]);
    for ((name, _), row) in CLASSES.iter().zip(&found.classes) {
        table.row([
            (*name).to_owned(),
            row.cities.to_string(),
            people(row.residents),
            people(row.modelled),
            people(row.gained),
            row.gaining_modelled.to_string(),
            row.gaining.to_string(),
            row.same_direction.to_string(),
        ]);
    }
    table
}

fn people(number: f64) -> String {
    thousands(libm::round(number) as i64)
}

fn value(value: Value) -> String {
    match value {
        Ok(number) => format!("{number:.3}"),
        Err(reason) => format!("undefined ({reason})"),
    }
}

fn sentence(china: &China, found: &Comparison) -> String {
    format!(
        "Rank correlation of net inflow and gain per resident over {} cities: {}; of size alone \
         and gain: {}. Same direction in {} cities.",
        china.cities.len(),
        value(found.correlation),
        value(size_alone(china)),
        found.same_direction
    )
}

fn name(guidance: Guidance) -> String {
    let percent = |share: f64| format!("{}%", libm::round(share * 1000.0) / 10.0);
    match guidance {
        Guidance::None => "none".to_owned(),
        Guidance::Subsidy(share) => {
            format!("subsidy into small cities, {} of a wage", percent(share))
        }
        Guidance::Cap(share) => format!("cap: large cities take {} of the inflow", percent(share)),
        Guidance::Clusters(rise) => format!("clusters: +{} in every small city", percent(rise)),
        Guidance::BestPlaced(rise) => {
            format!("clusters: +{} in one small city a province", percent(rise))
        }
    }
}

fn guidance_table(effects: &[Effect]) -> Table {
    let mut table = Table::new(&[
        Column::Text("guidance"),
        Column::Number("Theil of wages"),
        Column::Number("Gini of sizes"),
        Column::Number("share in large"),
        Column::Number("small gain"),
        Column::Number("output"),
        Column::Number("cost"),
        Column::Number("kept out"),
    ]);
    let millions = |number: f64| format!("{:.1}", number / 1e6);
    for effect in effects {
        table.row([
            name(effect.guidance),
            effect.wage_theil.map_or_else(|why| why.to_string(), |t| format!("{t:.6}")),
            value(effect.size_gini),
            format!("{:.2}%", effect.large_share * 100.0),
            millions(effect.small_gain),
            format!("{:+.2}%", effect.output_change * 100.0),
            millions(effect.cost),
            millions(effect.kept_out),
        ]);
    }
    table
}

fn report(china: &China, found: &Comparison, effects: &[Effect]) -> Json {
    let gained = china.gained();
    let cities = china.cities.iter().enumerate().map(|(at, city)| {
        json!({
            "id": city.id.as_str(), "name": &*city.name, "name_zh": &*city.name_zh,
            "province": &*city.province, "population_2010": china.before[at],
            "population_2020": china.after[at], "net_inflow_modelled": found.modelled[at],
            "gained": gained[at],
        })
    });
    let classes = CLASSES.iter().zip(&found.classes).map(|((name, _), row)| {
        json!({
            "class": name, "cities": row.cities, "residents_2010": row.residents,
            "net_inflow_modelled": row.modelled, "gained": row.gained,
            "gaining_modelled": row.gaining_modelled, "gaining": row.gaining,
            "same_direction": row.same_direction,
        })
    });
    let guidance = effects.iter().map(|effect| {
        json!({
            "guidance": name(effect.guidance), "wage_theil": effect.wage_theil.ok(),
            "size_gini": effect.size_gini.ok(), "share_in_large": effect.large_share,
            "small_gain": effect.small_gain, "output_change": effect.output_change,
            "cost_in_mean_wages": effect.cost, "kept_out": effect.kept_out,
        })
    });
    let assumed = &found.assumed;
    json!({
        "wages": "modelled",
        "assumptions": {
            "wage_elasticity": assumed.wage_elasticity,
            "cost_elasticity": assumed.cost_elasticity,
            "income_elasticity": assumed.income_elasticity,
            "barrier_within": assumed.barrier_within,
            "barrier_between": assumed.barrier_between,
            "reconsider": assumed.reconsider, "years": assumed.years,
        },
        "comparison": {
            "correlation": found.correlation.ok(), "correlation_of_size": size_alone(china).ok(),
            "same_direction": found.same_direction, "classes": classes.collect::<Vec<_>>(),
            "cities": cities.collect::<Vec<_>>(),
        },
        "guidance": guidance.collect::<Vec<_>>(),
    })
}

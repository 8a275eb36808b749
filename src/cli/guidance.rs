//! `gale guidance`: what the market's caps and subsidies cost, or others that are tried.

use super::client::{Target, incomplete};
use super::error::Error;
use super::output::{Column, Output, Table, percent, spinner, thousands};
use crate::proto::v1::cap_price::Price;
use crate::proto::v1::policy_change::Change;
use crate::proto::v1::price_guidance_response::Step;
use crate::proto::v1::{
    CapChange, CapPrice, CityGuidance, GroupGuidance, GuidanceEffects, GuidancePrice,
    GuidanceTotals, Lever, NoPriceReason, PolicyChange, PriceGuidanceRequest, Remedy,
    SubsidyChange,
};

/// Rows of the tables of cities and groups.
const ROWS_MAX: usize = 15;

/// Prices caps and subsidies: who gains, who loses, what stays empty all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Clears the market twice, from the same people, jobs and lottery: with its caps and subsidies, and
left alone. Options change the policy that is tried; the market itself stays as it is. With
--fill-city the market is cleared up to 70 times more, to find what would fill openings there.
docs/GUIDANCE.md says what each number means, and what is certain and what is not.

Example:
  gale guidance --market us
  gale guidance --market us --city-cap us-35620=500 --fill-city us-13820 --fill 10
  gale guidance --market us --subsidy us-13820=20000 --by occupation --prefix 2 --json")]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Try a cap on a city: so many matches beside those placed, or `none`. Repeatable.
    #[arg(long, value_name = "CITY=CAP", value_parser = cap)]
    city_cap: Vec<CapChange>,
    /// Try a cap on a region, likewise. Repeatable.
    #[arg(long, value_name = "REGION=CAP", value_parser = cap)]
    region_cap: Vec<CapChange>,
    /// Try a subsidy for moves into a city, or from one city to another. Repeatable.
    #[arg(long, value_name = "[FROM:]CITY=MONEY", value_parser = subsidy)]
    subsidy: Vec<SubsidyChange>,
    /// Group workers by this label too.
    #[arg(long, value_name = "LABEL")]
    by: Option<String>,
    /// Characters of the label's value that tell groups apart; 0 = all.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "by")]
    prefix: u32,
    /// Find what would fill openings of this city that stay empty.
    #[arg(long, value_name = "CITY")]
    fill_city: Option<String>,
    /// How many of them.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "fill_city")]
    fill: u64,
}

fn cap(text: &str) -> Result<CapChange, String> {
    let (place, cap) = text.split_once('=').ok_or("must be PLACE=CAP")?;
    let cap = match cap {
        "none" => None,
        cap => Some(cap.parse().map_err(|_| "the cap must be a whole number or `none`")?),
    };
    Ok(CapChange { place: place.to_owned(), cap })
}

fn subsidy(text: &str) -> Result<SubsidyChange, String> {
    let (places, subsidy) = text.split_once('=').ok_or("must be [FROM:]CITY=MONEY")?;
    let (origin, destination) = places.split_once(':').unwrap_or(("", places));
    let subsidy = subsidy.parse().map_err(|_| "the subsidy must be a whole number")?;
    Ok(SubsidyChange { origin: origin.to_owned(), destination: destination.to_owned(), subsidy })
}

impl Args {
    fn request(&self, market: String) -> PriceGuidanceRequest {
        let caps = self.city_cap.iter().cloned().map(Change::CityCap);
        let regions = self.region_cap.iter().cloned().map(Change::RegionCap);
        let subsidies = self.subsidy.iter().cloned().map(Change::Subsidy);
        let changes = caps.chain(regions).chain(subsidies);
        PriceGuidanceRequest {
            market,
            changes: changes.map(|change| PolicyChange { change: Some(change) }).collect(),
            label_key: self.by.clone().unwrap_or_default(),
            prefix_length: self.prefix,
            city: self.fill_city.clone().unwrap_or_default(),
            fill: self.fill,
            at_least_revision: 0,
        }
    }
}

/// Prices and prints.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let (client, market) = args.target.connect().await?;
    let refused = Error::refused("cannot price the guidance");
    let reply = client.planning().price_guidance(args.request(market)).await;
    let mut steps = reply.map_err(&refused)?.into_inner();
    let waiting = spinner("clearing");
    let price = loop {
        match steps.message().await.map_err(&refused)?.and_then(|reply| reply.step) {
            Some(Step::Progress(now)) => waiting.set_message(format!(
                "{} done, {} of {} workers of the next",
                super::output::count(u64::from(now.clearings), "clearing"),
                thousands(now.done),
                thousands(now.total)
            )),
            Some(Step::Price(price)) => break price,
            None => return Err(incomplete("PriceGuidance")),
        }
    };
    waiting.finish_and_clear();
    if output.json {
        return output.json(&price);
    }
    print(&price, args.fill_city.as_deref(), output)
}

fn print(price: &GuidancePrice, asked: Option<&str>, output: Output) -> Result<(), Error> {
    let effects = price.effects.unwrap_or_default();
    let unguided = price.unguided.unwrap_or_default();
    let guided = price.guided.unwrap_or_default();
    output.line(totals_table(&unguided, &guided))?;
    output.line(effects_sentence(&effects))?;
    if !price.caps.is_empty() {
        heading(output, "What each cap costs")?;
        output.line(caps_table(&price.caps))?;
    }
    heading(output, "Cities, those first whose residents or openings guidance touches most")?;
    output.line(cities_table(&price.cities))?;
    if !price.groups.is_empty() {
        heading(output, "Groups, largest first")?;
        output.line(groups_table(&price.groups))?;
    }
    let Some(city) = price.cities.iter().find(|city| Some(city.city.as_str()) == asked) else {
        return Ok(());
    };
    heading(output, "What would fill its openings")?;
    output.line(&city.sentence)?;
    for remedy in &price.remedies {
        output.line(format_args!("  {}", remedy_sentence(remedy)))?;
    }
    Ok(())
}

fn heading(output: Output, text: &str) -> Result<(), Error> {
    output.line("")?;
    output.line(output.heading(text))
}

fn totals_table(unguided: &GuidanceTotals, guided: &GuidanceTotals) -> Table {
    let mut table = Table::new(&[
        Column::Text(""),
        Column::Number("left alone"),
        Column::Number("guided"),
        Column::Number("difference"),
    ]);
    let rows: [(&str, [i128; 2]); 8] = [
        ("workers", [unguided.workers.into(), guided.workers.into()]),
        ("openings", [unguided.openings.into(), guided.openings.into()]),
        ("matched", [unguided.matched.into(), guided.matched.into()]),
        ("moved to another city", [unguided.moved.into(), guided.moved.into()]),
        ("pay of the matched, a year", [unguided.pay.into(), guided.pay.into()]),
        ("the same, real", [unguided.real_pay.into(), guided.real_pay.into()]),
        ("movers pay, once", [unguided.move_cost.into(), guided.move_cost.into()]),
        ("subsidies pay, once", [unguided.subsidies.into(), guided.subsidies.into()]),
    ];
    for (name, [before, after]) in rows {
        table.row([name.to_owned(), thousands(before), thousands(after), signed(after - before)]);
    }
    table
}

fn signed(number: i128) -> String {
    if number > 0 { format!("+{}", thousands(number)) } else { thousands(number) }
}

fn effects_sentence(effects: &GuidanceEffects) -> String {
    format!(
        "Guided, {} workers gain ({} of them find a job), {} lose ({} of them lose theirs), {} are \
         unaffected. Those with a job either way gain {} and lose {} a year in value.",
        thousands(effects.gain),
        thousands(effects.found),
        thousands(effects.lose),
        thousands(effects.lost),
        thousands(effects.unaffected),
        thousands(effects.value_gained),
        thousands(effects.value_lost)
    )
}

fn caps_table(caps: &[CapPrice]) -> Table {
    let mut table = Table::new(&[
        Column::Text("place"),
        Column::Number("cap"),
        Column::Number("held"),
        Column::Number("kept out"),
        Column::Number("score to beat"),
        Column::Number("best kept out"),
        Column::Text("pay that buys a place"),
    ]);
    for cap in caps {
        let score = match cap.worker_id.is_empty() {
            true => "-".to_owned(),
            false => thousands(cap.score_bp),
        };
        table.row([
            cap.place.clone(),
            thousands(cap.capacity),
            thousands(cap.held),
            thousands(cap.refused),
            cap.cutoff_bp.map_or_else(|| "-".to_owned(), thousands),
            score,
            price_text(cap),
        ]);
    }
    table
}

fn price_text(cap: &CapPrice) -> String {
    match cap.price {
        Some(Price::PayRise(rise)) => format!("+{} a year", thousands(rise)),
        Some(Price::NoPrice(reason)) => match NoPriceReason::try_from(reason) {
            Ok(NoPriceReason::Slack) => "none: it keeps nobody out",
            Ok(NoPriceReason::Closed) => "none: it holds nobody",
            Ok(NoPriceReason::Ranked) => "none: the vacancy ranks workers itself",
            Ok(NoPriceReason::Outranked) => "none: outranked at any pay",
            _ => "not said",
        }
        .to_owned(),
        None => "not said".to_owned(),
    }
}

fn cities_table(cities: &[CityGuidance]) -> Table {
    let mut table = Table::new(&[
        Column::Text("city"),
        Column::Number("workers"),
        Column::Number("gain"),
        Column::Number("lose"),
        Column::Number("openings"),
        Column::Number("filled alone"),
        Column::Number("filled guided"),
        Column::Number("empty"),
        Column::Text("certain"),
    ]);
    let touched = |city: &CityGuidance| {
        let residents = city.residents.unwrap_or_default();
        residents.gain + residents.lose + city.filled_unguided.abs_diff(city.filled_guided)
    };
    let mut cities: Vec<_> = cities.iter().collect();
    cities.sort_by_key(|city| std::cmp::Reverse((touched(city), city.openings)));
    for city in cities.into_iter().take(ROWS_MAX) {
        let residents = city.residents.unwrap_or_default();
        table.row([
            city.city.clone(),
            thousands(residents.workers),
            thousands(residents.gain),
            thousands(residents.lose),
            thousands(city.openings),
            thousands(city.filled_unguided),
            thousands(city.filled_guided),
            percent(city.openings - city.filled_guided, city.openings),
            if city.certain { "every stable outcome" } else { "this outcome" }.to_owned(),
        ]);
    }
    table
}

fn groups_table(groups: &[GroupGuidance]) -> Table {
    let mut table = Table::new(&[
        Column::Text("group"),
        Column::Number("workers"),
        Column::Number("gain"),
        Column::Number("lose"),
        Column::Number("value gained"),
        Column::Number("value lost"),
    ]);
    for group in groups.iter().take(ROWS_MAX) {
        let workers = group.workers.unwrap_or_default();
        table.row([
            group.group.clone(),
            thousands(workers.workers),
            thousands(workers.gain),
            thousands(workers.lose),
            thousands(workers.value_gained),
            thousands(workers.value_lost),
        ]);
    }
    table
}

fn remedy_sentence(remedy: &Remedy) -> String {
    let most = thousands(remedy.most_tried);
    let amount = thousands(remedy.amount);
    if !remedy.found {
        return match remedy.lever() {
            Lever::Pay => format!("Pay: not even {most} more a year is enough."),
            Lever::Subsidy => format!("A subsidy for moving there: not even {most} is enough."),
            _ => format!("Less intake elsewhere: not even {most} per cent less is enough."),
        };
    }
    let how = if remedy.least { "at least" } else { "found at" };
    let effects = remedy.effects.unwrap_or_default();
    let what = match remedy.lever() {
        Lever::Pay => format!(
            "Pay: {how} {amount} more a year in the vacancies that lack workers ({} a year in all)",
            thousands(remedy.cost)
        ),
        Lever::Subsidy => format!(
            "A subsidy for moving there: {how} {amount} a move ({} in all, once)",
            thousands(remedy.cost)
        ),
        _ => format!("Less intake elsewhere: {how} {amount} per cent less in every other city"),
    };
    format!(
        "{what}: fills {}; the city fills {}; {} workers gain, {} lose.",
        thousands(remedy.filled),
        signed(remedy.city_change.into()),
        thousands(effects.gain),
        thousands(effects.lose)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is written on the command line is what is asked, and nonsense is refused.
    #[test]
    fn changes_are_read() {
        assert_eq!(cap("a=7").unwrap(), CapChange { place: "a".into(), cap: Some(7) });
        assert_eq!(cap("a=none").unwrap().cap, None);
        let pair = subsidy("a:b=900").unwrap();
        assert_eq!(
            (pair.origin.as_str(), pair.destination.as_str(), pair.subsidy),
            ("a", "b", 900)
        );
        assert_eq!(subsidy("b=900").unwrap().origin, "");
        for bad in ["a", "a=x", "a=-1"] {
            assert!(cap(bad).is_err(), "{bad}");
        }
        assert!(subsidy("b").is_err() && subsidy("b=much").is_err());
    }
}

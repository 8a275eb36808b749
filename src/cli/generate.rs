//! `gale generate`: writes a generated market as files.

use super::error::Error;
use super::files::{Directory, MARKET_FILE, Record};
use super::output::{Column, Output, Table, bar, thousands};
use crate::domain::limits::{MONEY_MAX, PER_KM_MAX};
use crate::generate::{
    Country, DISTANCE_POWER_MILLI_MAX, Frame, Generator, METROS_MAX, Moving, Plan,
    SIZE_POWER_MILLI_MAX, Scale,
};
use crate::grpc::specs;
use crate::proto::v1::{City, Market, MoveCost, Region, Vacancy, Worker};
use serde_json::json;
use std::path::PathBuf;

/// What to generate; shared with the demo.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanArgs {
    /// Whose cities: `us` from published statistics, or `cn`, where jobs and pay are modelled.
    #[arg(long, value_name = "COUNTRY", default_value = "us", value_parser = country)]
    pub country: Country,
    /// How many of its cities, largest labour force first (us 1..393, cn 1..359).
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = metros)]
    pub metros: usize,
    /// Share of the real numbers of seekers and openings, 0.000001 to 1.
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = scale)]
    pub scale: Scale,
    /// Seed: the same plan and seed give the same market on every machine.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub moving: MovingArgs,
}

/// How people move: flags that `gale calibrate` prints.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "How people move (gale calibrate fits these)")]
pub struct MovingArgs {
    /// One-off cost of any move, in USD.
    #[arg(long, value_name = "USD", default_value_t = 15_000,
          value_parser = clap::value_parser!(i64).range(0..=MONEY_MAX))]
    fixed_move_cost: i64,
    /// One-off cost of a move per kilometre, in USD.
    #[arg(long, value_name = "USD", default_value_t = 5,
          value_parser = clap::value_parser!(i64).range(0..=PER_KM_MAX))]
    move_cost_per_km: i64,
    /// Per cent of workers who look only at home.
    #[arg(long, value_name = "PERCENT", default_value = "60", value_parser = percent)]
    home_only: u32,
    /// Per cent of workers who would move anywhere; the rest list 2 to 8 cities.
    #[arg(long, value_name = "PERCENT", default_value = "15", value_parser = percent)]
    anywhere: u32,
    /// They list a city in proportion to its labour force to this power, 0 to 3.
    #[arg(long, value_name = "POWER", default_value = "1", value_parser = size_power)]
    size_power: u32,
    /// And inversely to its distance to this power, 0 to 4.
    #[arg(long, value_name = "POWER", default_value = "1", value_parser = distance_power)]
    distance_power: u32,
    /// Per cent of the differences in real pay between cities that are made up for by what is
    /// not priced there: 100 puts the usual pay of a city in the place of its price level.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    amenities: u32,
}

impl MovingArgs {
    fn moving(self) -> Moving {
        Moving {
            fixed_cost: self.fixed_move_cost,
            cost_per_km: self.move_cost_per_km,
            home_only_bp: self.home_only,
            anywhere_bp: self.anywhere,
            size_power_milli: self.size_power,
            distance_power_milli: self.distance_power,
            amenities_bp: self.amenities,
        }
    }
}

/// The flags that make a plan move like this.
pub fn moving_flags(moving: &Moving) -> String {
    let percent = |bp: u32| f64::from(bp) / 100.0;
    let power = |milli: u32| f64::from(milli) / 1_000.0;
    format!(
        "--fixed-move-cost {} --move-cost-per-km {} --home-only {} --anywhere {} --size-power {} \
         --distance-power {} --amenities {}",
        moving.fixed_cost,
        moving.cost_per_km,
        percent(moving.home_only_bp),
        percent(moving.anywhere_bp),
        power(moving.size_power_milli),
        power(moving.distance_power_milli),
        percent(moving.amenities_bp),
    )
}

impl PlanArgs {
    /// The plan in the generator's words.
    pub fn plan(&self) -> Plan {
        Plan {
            country: self.country,
            metros: self.metros,
            scale: self.scale,
            seed: self.seed,
            moving: self.moving.moving(),
            ..Plan::default()
        }
    }
}

/// Writes a generated market as files: real cities, generated people and vacancies.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The cities are real; workers, vacancies and employers are generated from published
statistics and labelled so. Writes market.json, cities.jsonl, workers.jsonl and
vacancies.jsonl (regions.jsonl and move_costs.jsonl where there are any): each line is
the proto3 JSON of the API's message.

Example:
  gale generate --out /tmp/us --metros 20 --scale 0.005 && gale solve /tmp/us | head")]
pub struct Args {
    /// Directory to write to; made if it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    plan: PlanArgs,
}

/// Generates metro by metro, so that a market of any size is written in little memory.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    let generator = generator(&args.plan)?;
    let directory = Directory::at(&args.out);
    let frame = generator.frame();
    directory.write_market(&market(&frame))?;
    let regions = write_all::<Region>(&directory, frame.regions.iter().map(Into::into))?;
    let cities = write_all::<City>(&directory, frame.cities.iter().map(Into::into))?;
    let move_costs = write_all::<MoveCost>(&directory, frame.move_costs.iter().map(Into::into))?;
    let (workers, vacancies, openings) = write_pools(&generator, &directory)?;
    let files = [
        (Region::FILE, regions),
        (City::FILE, cities),
        (MoveCost::FILE, move_costs),
        (Worker::FILE, workers),
        (Vacancy::FILE, vacancies),
    ];
    if output.json {
        return output.json(&json!({
            "out": args.out, "market": frame.id.as_str(), "country": args.plan.country.code(),
            "metros": args.plan.metros,
            "scale": f64::from(args.plan.scale.millionths()) / 1e6, "seed": args.plan.seed,
            "moving": args.plan.moving.moving(), "regions": regions, "cities": cities, "move_costs": move_costs,
            "workers": workers, "vacancies": vacancies, "openings": openings, "generated": true,
        }));
    }
    output.line(&frame.display_name)?;
    let mut table = Table::new(&[Column::Text("file"), Column::Number("records")]);
    table.row([MARKET_FILE.to_owned(), "1".to_owned()]);
    for (file, records) in files.into_iter().filter(|(_, records)| *records > 0) {
        table.row([file.to_owned(), thousands(records)]);
    }
    output.line(table)?;
    output.line(format_args!(
        "{} openings in all. People and vacancies are generated, not real. Load them with \
         `gale import {}`.",
        thousands(openings),
        args.out.display()
    ))
}

/// The generator of a plan. What the tables do not have is a usage error.
pub fn generator(plan: &PlanArgs) -> Result<Generator, Error> {
    Generator::new(&plan.plan()).map_err(|violation| Error::Usage(violation.to_string()))
}

/// The market's message.
pub fn market(frame: &Frame) -> Market {
    let (id, name) = (frame.id.as_str(), &frame.display_name);
    specs::market(id, name, &frame.settings, Some(frame.lottery_seed))
}

/// Writes a file, or removes the one of an earlier market if there is nothing to write.
fn write_all<T: Record>(
    directory: &Directory,
    records: impl ExactSizeIterator<Item = T>,
) -> Result<u64, Error> {
    if records.len() == 0 {
        directory.remove::<T>()?;
        return Ok(0);
    }
    let mut writer = directory.create::<T>()?;
    for record in records {
        writer.write(record)?;
    }
    writer.finish()
}

/// Writes workers and vacancies; how many of each, and the openings.
fn write_pools(generator: &Generator, directory: &Directory) -> Result<(u64, u64, u64), Error> {
    let mut workers = directory.create::<Worker>()?;
    let mut vacancies = directory.create::<Vacancy>()?;
    let mut openings = 0;
    let progress = bar("generating workers", generator.workers_total());
    for metro in 0..generator.metros() {
        let pool = generator.metro(metro);
        for worker in &pool.workers {
            workers.write(worker.into())?;
        }
        for vacancy in &pool.vacancies {
            openings += u64::from(vacancy.openings);
            vacancies.write(vacancy.into())?;
        }
        progress.inc(pool.workers.len() as u64);
    }
    progress.finish_and_clear();
    Ok((workers.finish()?, vacancies.finish()?, openings))
}

fn country(text: &str) -> Result<Country, String> {
    [Country::Us, Country::Cn]
        .into_iter()
        .find(|country| country.code() == text)
        .ok_or_else(|| "must be us or cn".to_owned())
}

/// Reads a number of metros.
pub fn metros(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(metros) if (1..=METROS_MAX).contains(&metros) => Ok(metros),
        _ => Err(format!("must be 1..{METROS_MAX}")),
    }
}

/// Reads a percentage with at most two decimals, as basis points.
fn percent(text: &str) -> Result<u32, String> {
    decimal(text, 2, 10_000)
}

fn size_power(text: &str) -> Result<u32, String> {
    decimal(text, 3, SIZE_POWER_MILLI_MAX)
}

fn distance_power(text: &str) -> Result<u32, String> {
    decimal(text, 3, DISTANCE_POWER_MILLI_MAX)
}

/// Reads a decimal with at most so many places, in units of the last of them.
fn decimal(text: &str, places: usize, most: u32) -> Result<u32, String> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_decimal = digits(whole) && digits(decimals) && !text.is_empty() && text != ".";
    let units = format!("{whole}{decimals:0<places$}").parse().ok();
    let inside = units.filter(|units| is_decimal && decimals.len() <= places && *units <= most);
    inside.ok_or_else(|| {
        let most = most / 10_u32.pow(places as u32);
        format!("must be 0 to {most} with at most {places} decimals")
    })
}

fn scale(text: &str) -> Result<Scale, String> {
    Scale::parse("scale", text).map_err(|violation| violation.message)
}

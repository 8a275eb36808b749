//! Markets generated from real data about US metropolitan areas, or modelled on Chinese cities.
//!
//! There is no open register of people who seek work or of what employers offer, so
//! both are generated from published margins: how many are unemployed in a metro,
//! which occupations it has, what they pay, what they are made of, how often their
//! jobs fall open. Cities are real; workers, vacancies and employers are not, and
//! say so in their labels and names. `docs/DATA.md` has every rule.
//!
//! [`generate`] makes a whole market at once. A national market has six million
//! workers; [`Generator`] makes it record by record, each metro a pure function of the
//! plan and the metro, in any order.

mod apportion;
pub mod china;
mod mobility;
mod moving;
mod noise;
mod plan;
mod prices;
mod profiles;
mod tables;
mod vacancies;
mod workers;

pub use crate::domain::OCCUPATION_LABEL;
pub use moving::{DISTANCE_POWER_MILLI_MAX, Moving, SIZE_POWER_MILLI_MAX};
pub use plan::{Country, METROS_MAX, Plan, QUARTERS_MAX, Scale};

use crate::domain::{
    CitySpec, Labels, MarketName, MoveCostSpec, RegionName, RegionSpec, Settings, VacancySpec,
    Violation, WorkerSpec,
};
use apportion::largest_remainder;
use noise::{Key, Kind, Noise};
use profiles::Profile;
use tables::{Cell, Occupation, Tables};

/// The label that tells that a record is generated; its value is `true`.
pub const GENERATED_LABEL: &str = "generated";

/// The label that says what pay is made of where it is no published statistic.
pub const WAGES_LABEL: &str = "wages";
/// Its value: pay is modelled.
pub const WAGES_MODELLED: &str = "modelled";

/// A market without its people and vacancies.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// An id that tells the plan.
    pub id: MarketName,
    /// A name for people, which says that the market is generated.
    pub display_name: Box<str>,
    /// The settings of every generated market.
    pub settings: Settings,
    /// The market's lottery seed, from the plan's seed.
    pub lottery_seed: u64,
    /// The states or provinces of the cities, by id.
    pub regions: Vec<RegionSpec>,
    /// The metros, largest labour force first.
    pub cities: Vec<CitySpec>,
    /// Overrides of the cost of moving: none, the distance formula holds everywhere.
    pub move_costs: Vec<MoveCostSpec>,
}

/// The people and vacancies of one metro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// By occupation.
    pub workers: Vec<WorkerSpec>,
    /// By occupation.
    pub vacancies: Vec<VacancySpec>,
}

/// A whole market.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Everything but the people and vacancies.
    pub frame: Frame,
    /// By metro, then occupation.
    pub workers: Vec<WorkerSpec>,
    /// By metro, then occupation.
    pub vacancies: Vec<VacancySpec>,
}

/// How far a generation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Metros done.
    pub metros: usize,
    /// Metros in all.
    pub metros_total: usize,
    /// Workers made.
    pub workers: usize,
    /// Workers in all.
    pub workers_total: u64,
    /// Vacancies made.
    pub vacancies: usize,
}

/// Generates a market metro by metro.
#[derive(Clone, Debug)]
pub struct Generator {
    plan: Plan,
    tables: Tables,
    profiles: Vec<Profile>,
    /// Workers of each metro.
    workers: Vec<u64>,
    /// Openings of each metro.
    openings: Vec<u64>,
}

impl Generator {
    /// Reads the tables and shares the totals out among the metros.
    pub fn new(plan: &Plan) -> Result<Self, Violation> {
        plan.check()?;
        let tables = Tables::load(plan.country, plan.metros);
        let profiles = Profile::all(&tables);
        let mut generator =
            Self { plan: *plan, tables, profiles, workers: Vec::new(), openings: Vec::new() };
        let metros = &generator.tables.metros;
        let unemployed: Vec<u128> = metros.iter().map(|m| u128::from(m.unemployed)).collect();
        let openings: Vec<u128> =
            metros.iter().map(|m| vacancies::openings_of_metro(&generator, m)).collect();
        let scaled = |sum: u128, unit: u128| {
            let unit = unit * 1_000_000;
            ((sum * u128::from(plan.scale.millionths()) + unit / 2) / unit) as u64
        };
        let workers_total = scaled(unemployed.iter().sum(), 1);
        let openings_total = scaled(openings.iter().sum(), vacancies::OPENINGS_UNIT);
        generator.workers = largest_remainder(&unemployed, workers_total);
        generator.openings = largest_remainder(&openings, openings_total);
        Ok(generator)
    }

    /// Shares other totals out among the metros than the plan's scale gives: for a
    /// market with a certain number of workers, or scarcer or slacker than it is.
    #[must_use]
    pub fn with_totals(mut self, workers: u64, openings: u64) -> Self {
        let metros = &self.tables.metros;
        let unemployed: Vec<u128> = metros.iter().map(|m| u128::from(m.unemployed)).collect();
        let posted: Vec<u128> =
            metros.iter().map(|m| vacancies::openings_of_metro(&self, m)).collect();
        self.workers = largest_remainder(&unemployed, workers);
        self.openings = largest_remainder(&posted, openings);
        self
    }

    /// The same people and vacancies, who move otherwise: where people would move and what it
    /// costs change, and nothing else.
    pub fn with_moving(mut self, moving: Moving) -> Result<Self, Violation> {
        moving.check()?;
        self.plan.moving = moving;
        Ok(self)
    }

    /// Metros of the market.
    pub fn metros(&self) -> usize {
        self.tables.metros.len()
    }

    /// Workers of the market.
    pub fn workers_total(&self) -> u64 {
        self.workers.iter().sum()
    }

    /// Openings of the market; its vacancies are fewer, with several openings each.
    pub fn openings_total(&self) -> u64 {
        self.openings.iter().sum()
    }

    /// The workers of metro number `at`, as the cities of the [frame](Self::frame) are
    /// numbered, made as they are asked for: by occupation, the same every time.
    ///
    /// # Panics
    /// If the market has no such metro.
    pub fn workers(&self, at: usize) -> impl Iterator<Item = WorkerSpec> + '_ {
        workers::of_metro(self, at, self.workers[at])
    }

    /// The vacancies of metro number `at`; see [`workers`](Self::workers).
    ///
    /// # Panics
    /// If the market has no such metro.
    pub fn vacancies(&self, at: usize) -> impl Iterator<Item = VacancySpec> + '_ {
        vacancies::of_metro(self, at, self.openings[at])
    }

    /// The workers and vacancies of metro number `at`, all at once. At scale 1 the
    /// largest metro has 463,000 workers: rather iterate there.
    ///
    /// # Panics
    /// If the market has no such metro.
    pub fn metro(&self, at: usize) -> Pool {
        Pool { workers: self.workers(at).collect(), vacancies: self.vacancies(at).collect() }
    }

    /// The market around its people and vacancies.
    pub fn frame(&self) -> Frame {
        let Plan { country, metros, scale, seed, quarters, moving } = self.plan;
        let key = Key { kind: Kind::Lottery, metro: 0, occupation: 0, number: 0 };
        let suffix = moving.suffix();
        let id =
            format!("generated-{}-{metros}-{scale}-{quarters}q-{seed}{suffix}", country.code());
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let what = match country {
            Country::Us => format!("Generated US labour market: {metros} metro{}", plural(metros)),
            Country::Cn => {
                let cities = if metros == 1 { "city" } else { "cities" };
                format!("Modelled Chinese labour market (wages are no data): {metros} {cities}")
            }
        };
        Frame {
            id: MarketName::parse("id", &id).expect("numbers and hyphens make a name"),
            display_name: format!(
                "{what}, scale {scale}, {quarters} quarter{} of openings, seed {seed}{}",
                plural(quarters as usize),
                if moving == Moving::default() { "" } else { ", moves of its own" },
            )
            .into(),
            settings: settings(country, &moving),
            lottery_seed: Noise::new(seed, key).bits(0),
            regions: self.regions(),
            cities: self.cities(),
            move_costs: Vec::new(),
        }
    }

    fn regions(&self) -> Vec<RegionSpec> {
        let region = |metro: &tables::Metro| RegionSpec {
            id: self.region_name(metro),
            display_name: metro.state_name.clone(),
            parent: None,
            intake_cap: None,
        };
        let mut regions: Vec<_> = self.tables.metros.iter().map(region).collect();
        regions.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        regions.dedup_by(|a, b| a.id == b.id);
        regions
    }

    fn cities(&self) -> Vec<CitySpec> {
        let prices = prices::felt(&self.tables, self.plan.moving.amenities_bp);
        let city = |(metro, cost_of_living): (&tables::Metro, i64)| CitySpec {
            id: metro.id.clone(),
            display_name: metro.name.clone(),
            region: Some(self.region_name(metro)),
            latitude: metro.latitude,
            longitude: metro.longitude,
            cost_of_living,
            population: metro.population,
            intake_cap: None,
            move_subsidy: 0,
        };
        self.tables.metros.iter().zip(prices).map(city).collect()
    }

    fn region_name(&self, metro: &tables::Metro) -> RegionName {
        let name = format!("{}-{}", self.plan.country.code(), metro.state);
        RegionName::parse("region", &name).expect("codes of states and provinces are names")
    }

    fn occupation(&self, cell: &Cell) -> &Occupation {
        &self.tables.occupations[usize::from(cell.occupation)]
    }
}

/// Generates the whole market of `plan` at once. `progress` hears of every metro.
pub fn generate(plan: &Plan, mut progress: impl FnMut(Progress)) -> Result<Generated, Violation> {
    let generator = Generator::new(plan)?;
    let workers_total = generator.workers_total();
    let mut workers = Vec::with_capacity(workers_total as usize);
    let mut vacancies = Vec::new();
    for at in 0..generator.metros() {
        workers.extend(generator.workers(at));
        vacancies.extend(generator.vacancies(at));
        progress(Progress {
            metros: at + 1,
            metros_total: generator.metros(),
            workers: workers.len(),
            workers_total,
            vacancies: vacancies.len(),
        });
    }
    Ok(Generated { frame: generator.frame(), workers, vacancies })
}

/// The settings of every generated market. Money is US dollars, or units of which mean pay
/// in a modelled market is 100,000: half as much again.
fn settings(country: Country, moving: &Moving) -> Settings {
    let (currency, halves) = match country {
        Country::Us => ("USD", 2),
        Country::Cn => ("modelled", 3),
    };
    let scaled = |money: i64| (money * halves + 1) / 2;
    Settings {
        currency: currency.into(),
        fixed_move_cost: scaled(moving.fixed_cost),
        move_cost_per_km: scaled(moving.cost_per_km),
        horizon_years: 3,
        fit_value: scaled(5_000),
        shortfall_weight_bp: 5_000,
        max_shortfall_bp: 2_000,
        min_fit_bp: 8_000,
        local_bonus_bp: 500,
        ..Settings::default()
    }
}

/// The labels of every generated worker and vacancy.
fn labels(country: Country, occupation: &Occupation) -> Labels {
    let generated = (GENERATED_LABEL.into(), "true".into());
    let occupation = (OCCUPATION_LABEL.into(), occupation.code.clone());
    match country {
        Country::Us => Box::new([generated, occupation]),
        Country::Cn => {
            let wages = (WAGES_LABEL.into(), WAGES_MODELLED.into());
            Box::new([generated, occupation, wages])
        }
    }
}

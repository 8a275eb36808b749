//! Chinese cities: real places with their census populations, and a market modelled on them.
//!
//! There are no open data of wages or of jobs by occupation in Chinese cities, so a market
//! of this country is modelled throughout, and says so in its name and on every record:
//! which occupations there are and how their pay compares is that of the United States, and
//! pay and prices of a city go with a power of its size. `docs/CHINA.md` has every rule.

use super::tables::{Cell, Metro, Occupation, Pay, distance_km};
use crate::domain::CityName;

const CITIES: &str = include_str!("../../data/cities_cn.csv");

/// Elasticity of pay to a city's population: 0.04 to 0.05 in advanced economies; in China
/// 0.19 by ordinary least squares (Chauvin et al., by the World Bank), much of which is who
/// lives where.
const WAGE_ELASTICITY: f64 = 0.05;
/// Elasticity of prices to it: 0.03 to 0.08 (Combes, Duranton and Gobillon 2019).
const COST_ELASTICITY: f64 = 0.05;
/// Mean pay in a city of mean size, in the market's units of account.
const MEAN_PAY: f64 = 100_000.0;
/// Of 100 residents, those who work or want to; an assumption.
const LABOUR_FORCE_PERCENT: u64 = 55;
/// Of 100 of these, those who seek; an assumption.
const SEEKING_PERCENT: u64 = 5;

/// A city as the censuses have it.
#[derive(Clone, Debug, PartialEq)]
pub struct CensusCity {
    /// `cn-` and its GB/T 2260 code.
    pub id: CityName,
    /// Its name in English.
    pub name: Box<str>,
    /// Its name in Chinese.
    pub name_zh: Box<str>,
    /// Its province in English.
    pub province: Box<str>,
    /// Its province in Chinese.
    pub province_zh: Box<str>,
    /// Administrative rank, 1 (municipality) to 6 (county-level); none of Hong Kong and Macau.
    pub tier: Option<u8>,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Residents in 2010 on the boundaries of 2020, the whole prefecture; none of Sansha.
    pub population_2010: Option<i64>,
    /// Residents in 2020.
    pub population_2020: i64,
}

impl CensusCity {
    /// Kilometres to another on the great circle.
    pub fn km_to(&self, other: &Self) -> f64 {
        distance_km((self.latitude, self.longitude), (other.latitude, other.longitude))
    }
}

/// The bundled cities, largest population of 2020 first.
pub fn census() -> Vec<CensusCity> {
    let number = |text: &str| text.parse::<f64>().expect("a number of a bundled table");
    let row = |row: csv::Result<csv::StringRecord>| {
        let row = row.expect("a bundled table is well-formed");
        CensusCity {
            id: CityName::parse("id", &row[0]).expect("ids of bundled cities are names"),
            name: row[1].into(),
            name_zh: row[2].into(),
            province: row[3].into(),
            province_zh: row[4].into(),
            tier: row[5].parse().ok(),
            latitude: number(&row[6]),
            longitude: number(&row[7]),
            population_2010: row[8].parse().ok(),
            population_2020: row[9].parse().expect("a population of a bundled table"),
        }
    };
    csv::Reader::from_reader(CITIES.as_bytes()).into_records().map(row).collect()
}

/// The largest `count` cities with modelled jobs and pay. `national` is the pay of each
/// occupation in the country whose structure is borrowed.
pub(super) fn metros(count: usize, occupations: &[Occupation], national: &[Pay]) -> Vec<Metro> {
    let census = census();
    let people: i64 = census.iter().map(|city| city.population_2020).sum();
    let mean_size = people as f64 / census.len() as f64;
    // An occupation that no metro says the pay of is left out.
    let jobs_in =
        |(o, pay): (&Occupation, &Pay)| if pay.0[0] > 0 { o.national_employment } else { 0 };
    let jobs: u64 = occupations.iter().zip(national).map(jobs_in).sum();
    let paid = |(o, pay)| jobs_in((o, pay)) as f64 * f64::from(pay.0[2]);
    let mean_pay = occupations.iter().zip(national).map(paid).sum::<f64>() / jobs as f64;
    let metro = |city: CensusCity| {
        let size = city.population_2020 as f64 / mean_size;
        let level = MEAN_PAY / mean_pay * libm::pow(size, WAGE_ELASTICITY);
        let prices = 1000.0 * libm::pow(size, COST_ELASTICITY);
        let labour_force = city.population_2020.unsigned_abs() * LABOUR_FORCE_PERCENT / 100;
        let cells = occupations.iter().zip(national).enumerate();
        let cells = cells.filter_map(|(number, (occupation, pay))| {
            let share = u128::from(labour_force) * u128::from(jobs_in((occupation, pay)));
            let employment = (share / u128::from(jobs)) as u32;
            let pay = Pay(pay.0.map(|pay| libm::round(f64::from(pay) * level) as u32));
            (employment > 0).then_some(Cell { occupation: number as u16, employment, pay })
        });
        Metro {
            cbsa: city.id.as_str().trim_start_matches("cn-").parse().expect("a GB/T 2260 code"),
            name: format!("{} {}", city.name, city.name_zh).into(),
            principal_city: city.name.clone(),
            state: city.province.to_lowercase().replace(' ', "-").into(),
            state_name: format!("{} {}", city.province, city.province_zh).into(),
            latitude: city.latitude,
            longitude: city.longitude,
            population: city.population_2020,
            cost_of_living: libm::round(prices) as i64,
            labour_force,
            unemployed: labour_force * SEEKING_PERCENT / 100,
            cells: cells.collect(),
            id: city.id,
        }
    };
    census.into_iter().take(count).map(metro).collect()
}

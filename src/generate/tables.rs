//! The bundled tables: metros, occupations, their profiles, and the wage cells.
//!
//! They are embedded in the binary and read when a market is generated. The wage
//! cells stand in the order of the metros, so a small market reads only their start.
//! The tables are part of the program: a fault in one is a fault of the build, and
//! panics with its place (`tests/generate.rs` reads them all).

use super::china;
use super::plan::Country;
use crate::domain::{CityName, SkillName};
use flate2::read::GzDecoder;
use std::io::{BufRead, BufReader};

const CITIES: &str = include_str!("../../data/cities.csv");
const OCCUPATIONS: &str = include_str!("../../data/occupations.csv");
const PROFILES: &[u8] = include_bytes!("../../data/profiles.csv.gz");
const WAGES: &[u8] = include_bytes!("../../data/wages.csv.gz");

/// American metros in the tables.
pub(super) const METROS: usize = 393;
/// Chinese cities in the tables.
pub(super) const CHINESE_CITIES: usize = 359;
/// O*NET elements of a profile.
pub(super) const ELEMENTS: usize = 76;
/// Occupations in the tables.
const OCCUPATION_COUNT: usize = 752;

/// A metropolitan area.
#[derive(Clone, Debug)]
pub(super) struct Metro {
    pub(super) id: CityName,
    pub(super) cbsa: u32,
    pub(super) name: Box<str>,
    pub(super) principal_city: Box<str>,
    /// Two-letter code of the principal city's state.
    pub(super) state: Box<str>,
    pub(super) state_name: Box<str>,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) population: i64,
    pub(super) cost_of_living: i64,
    pub(super) labour_force: u64,
    pub(super) unemployed: u64,
    /// Its occupations with employment, by ascending code.
    pub(super) cells: Vec<Cell>,
}

/// One occupation in one metro.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Index into [`Tables::occupations`].
    pub(super) occupation: u16,
    /// Jobs.
    pub(super) employment: u32,
    /// 10th, 25th, 50th, 75th and 90th percentile of annual wages.
    pub(super) pay: Pay,
}

/// Percentiles of annual pay, ascending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pay(pub(super) [u32; 5]);

impl Pay {
    /// Pay at a quantile in basis points, 1000..9000: linear between the published
    /// percentiles, rounded to 100. Outside that range nothing is published, and
    /// nothing is made up: the quantile is limited to it.
    pub(super) fn at(&self, quantile_bp: u32) -> i64 {
        const AT: [u32; 5] = [1_000, 2_500, 5_000, 7_500, 9_000];
        let quantile = quantile_bp.clamp(AT[0], AT[4]);
        let step = (1..4).find(|i| quantile <= AT[*i]).unwrap_or(4);
        let (low, high) = (i64::from(self.0[step - 1]), i64::from(self.0[step]));
        let along = i64::from(quantile - AT[step - 1]);
        let pay = low + (high - low) * along / i64::from(AT[step] - AT[step - 1]);
        (pay + 50) / 100 * 100
    }
}

/// An occupation.
#[derive(Clone, Debug)]
pub(super) struct Occupation {
    /// OEWS code, such as `15-1252`.
    pub(super) code: Box<str>,
    /// The code as a number, such as 151252.
    pub(super) number: u32,
    pub(super) title: Box<str>,
    /// Jobs in the country.
    pub(super) national_employment: u64,
    /// Openings a year in the country.
    pub(super) annual_openings: u64,
    /// Importance of each element, in hundredths: 100..500.
    pub(super) importance: [u16; ELEMENTS],
}

/// Everything the generator reads.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// The largest metros by labour force, largest first.
    pub(super) metros: Vec<Metro>,
    /// All occupations by ascending code.
    pub(super) occupations: Vec<Occupation>,
    /// The elements, in the order of a profile.
    pub(super) elements: Vec<SkillName>,
}

impl Tables {
    /// Reads the tables of the `metros` largest metros of a country.
    pub(super) fn load(country: Country, metros: usize) -> Self {
        let mut occupations = read_occupations();
        let elements = read_profiles(&mut occupations);
        let american = |count: usize| {
            let mut metros = read_metros(count);
            read_wages(&mut metros, &occupations);
            metros
        };
        let metros = match country {
            Country::Us => american(metros),
            Country::Cn => {
                let national = national_pay(&american(METROS), occupations.len());
                china::metros(metros, &occupations, &national)
            }
        };
        Self { metros, occupations, elements }
    }
}

impl Metro {
    /// Degrees north and east.
    pub(super) fn place(&self) -> (f64, f64) {
        (self.latitude, self.longitude)
    }
}

/// The pay of each occupation in the country: the mean of its metros' percentiles, weighted
/// by their jobs.
fn national_pay(metros: &[Metro], occupations: usize) -> Vec<Pay> {
    let mut sums = vec![([0_u64; 5], 0_u64); occupations];
    for cell in metros.iter().flat_map(|metro| &metro.cells) {
        let (pay, jobs) = &mut sums[usize::from(cell.occupation)];
        for (sum, percentile) in pay.iter_mut().zip(cell.pay.0) {
            *sum += u64::from(percentile) * u64::from(cell.employment);
        }
        *jobs += u64::from(cell.employment);
    }
    let mean = |(pay, jobs): ([u64; 5], u64)| Pay(pay.map(|sum| (sum / jobs.max(1)) as u32));
    sums.into_iter().map(mean).collect()
}

/// Kilometres between two places, in degrees north and east, on the great circle (haversine).
pub(super) fn distance_km(a: (f64, f64), b: (f64, f64)) -> f64 {
    let radians = |degrees: f64| degrees * (std::f64::consts::PI / 180.0);
    let (phi_a, phi_b) = (radians(a.0), radians(b.0));
    let half_phi = libm::sin((phi_b - phi_a) / 2.0);
    let half_lambda = libm::sin(radians(b.1 - a.1) / 2.0);
    let h = half_phi * half_phi + libm::cos(phi_a) * libm::cos(phi_b) * half_lambda * half_lambda;
    2.0 * 6371.0088 * libm::asin(libm::sqrt(h.clamp(0.0, 1.0)))
}

fn records(text: &'static str) -> impl Iterator<Item = csv::StringRecord> {
    csv::Reader::from_reader(text.as_bytes())
        .into_records()
        .map(|record| record.expect("a bundled table is well-formed"))
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} in a bundled table is no number"))
}

fn read_metros(count: usize) -> Vec<Metro> {
    let metro = |row: csv::StringRecord| Metro {
        id: CityName::parse("id", &row[0]).expect("ids of bundled cities are names"),
        cbsa: number(row[0].trim_start_matches("us-")),
        name: row[1].into(),
        principal_city: row[2].into(),
        state: row[3].into(),
        state_name: row[4].into(),
        latitude: number(&row[5]),
        longitude: number(&row[6]),
        population: number(&row[7]),
        cost_of_living: number(&row[8]),
        labour_force: number(&row[9]),
        unemployed: number(&row[10]),
        cells: Vec::new(),
    };
    records(CITIES).take(count).map(metro).collect()
}

fn read_occupations() -> Vec<Occupation> {
    let occupation = |row: csv::StringRecord| Occupation {
        code: row[0].into(),
        number: number(&row[0].replace('-', "")),
        title: row[1].into(),
        national_employment: number(&row[3]),
        annual_openings: number(&row[4]),
        importance: [0; ELEMENTS],
    };
    let all: Vec<_> = records(OCCUPATIONS).map(occupation).collect();
    assert_eq!(all.len(), OCCUPATION_COUNT, "the bundled occupations are complete");
    all
}

/// Fills in the importances; returns the elements. Rows stand in the order of the
/// occupations.
fn read_profiles(occupations: &mut [Occupation]) -> Vec<SkillName> {
    let mut reader = csv::Reader::from_reader(GzDecoder::new(PROFILES));
    let header = reader.headers().expect("the profiles have a header").clone();
    let mut row = csv::StringRecord::new();
    for occupation in occupations {
        let more = reader.read_record(&mut row).expect("the profiles are well-formed");
        assert!(more && row[0] == *occupation.code, "profiles stand in the order of occupations");
        for (value, text) in occupation.importance.iter_mut().zip(row.iter().skip(1)) {
            *value = number(text);
        }
    }
    let elements: Vec<_> = header
        .iter()
        .skip(1)
        .map(|name| SkillName::parse("element", name).expect("element ids are names"))
        .collect();
    assert_eq!(elements.len(), ELEMENTS, "the bundled profiles are complete");
    elements
}

/// Fills in the cells of `metros`. The rows are plain numbers without quotes, so they
/// are split by hand: at 129,073 rows it halves the time to the first worker.
fn read_wages(metros: &mut [Metro], occupations: &[Occupation]) {
    let mut lines = BufReader::with_capacity(1 << 16, GzDecoder::new(WAGES));
    let mut line = String::with_capacity(96);
    let mut next = |line: &mut String| {
        line.clear();
        lines.read_line(line).expect("the wages decompress") > 0
    };
    next(&mut line);
    let (mut at, mut occupation) = (0, 0);
    while next(&mut line) {
        let mut fields = line.split(',');
        let mut field = || fields.next().expect("a row of wages has eight fields");
        let cbsa: u32 = number(field());
        if cbsa != metros[at].cbsa {
            (at, occupation) = (at + 1, 0);
            if at == metros.len() {
                return;
            }
            assert_eq!(cbsa, metros[at].cbsa, "wages stand in the order of metros");
        }
        let code = field();
        while *occupations[occupation].code != *code {
            occupation += 1;
        }
        let employment = number(field());
        let pay = Pay(std::array::from_fn(|_| number(field())));
        metros[at].cells.push(Cell { occupation: occupation as u16, employment, pay });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the bundled tables are whole and consistent, since the code relies on it.
    /// Method: load all of them, check order, ranges and totals.
    #[test]
    fn bundled_tables_are_whole() {
        let tables = Tables::load(Country::Us, METROS);
        assert_eq!(tables.metros.len(), METROS);
        assert!(tables.metros.windows(2).all(|m| m[0].labour_force >= m[1].labour_force));
        assert_eq!(tables.metros.iter().map(|m| m.unemployed).sum::<u64>(), 6_052_216);
        assert_eq!(tables.metros.iter().map(|m| m.cells.len()).sum::<usize>(), 129_073);
        for metro in &tables.metros {
            assert!(metro.cells.windows(2).all(|c| c[0].occupation < c[1].occupation));
            for cell in &metro.cells {
                assert!(cell.pay.0.is_sorted() && cell.pay.0[0] >= 10_000, "{cell:?}");
            }
        }
        for occupation in &tables.occupations {
            assert!(occupation.importance.iter().all(|i| (100..=500).contains(i)));
            assert!(occupation.national_employment > occupation.annual_openings);
        }
    }

    /// Goal: the Chinese table is whole: order, ranges, provinces, both names.
    #[test]
    fn chinese_cities_are_whole() {
        let census = china::census();
        assert_eq!(census.len(), CHINESE_CITIES);
        assert!(census.windows(2).all(|c| c[0].population_2020 >= c[1].population_2020));
        let missing = census.iter().filter(|city| city.population_2010.is_none());
        assert_eq!(missing.map(|city| &*city.name).collect::<Vec<_>>(), ["Sansha"]);
        for city in &census {
            assert!(
                (15.0..54.0).contains(&city.latitude) && (73.0..136.0).contains(&city.longitude)
            );
            assert!(!city.name.is_empty() && !city.name_zh.is_ascii(), "{city:?}");
            assert!(!city.province.is_empty() && !city.province_zh.is_ascii(), "{city:?}");
        }
        let mut ids: Vec<_> = census.iter().map(|city| &city.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), CHINESE_CITIES);
    }

    /// Goal: modelled pay goes with size as stated and averages what it should.
    #[test]
    fn chinese_pay_is_modelled_as_stated() {
        let tables = Tables::load(Country::Cn, CHINESE_CITIES);
        let metros = &tables.metros;
        let (large, small) = (&metros[0], &metros[200]);
        let size = large.population as f64 / small.population as f64;
        let pay = |metro: &Metro| f64::from(metro.cells[0].pay.0[2]);
        let ratio = pay(large) / pay(small);
        assert!((ratio / libm::pow(size, 0.05) - 1.0).abs() < 1e-3, "{ratio}");
        let jobs = |metro: &Metro| metro.cells.iter().map(|c| u64::from(c.employment)).sum::<u64>();
        for metro in metros.iter().take(300) {
            assert!(jobs(metro) <= metro.labour_force, "{}", metro.name);
            assert!(jobs(metro) * 100 > metro.labour_force * 99, "{}", metro.name);
        }
    }

    /// Goal: pay meets the published percentiles and is linear between them.
    #[test]
    fn pay_meets_its_percentiles() {
        let pay = Pay([30_000, 40_000, 50_000, 70_000, 100_000]);
        let found = [0, 1_000, 2_500, 3_750, 5_000, 7_500, 8_250, 9_000, 10_000].map(|q| pay.at(q));
        let expected = [30_000, 30_000, 40_000, 45_000, 50_000, 70_000, 85_000, 100_000, 100_000];
        assert_eq!(found, expected);
    }
}

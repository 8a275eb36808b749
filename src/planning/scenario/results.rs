//! What a scenario finds, by seed, period and city.

use super::steady::Margin;
use crate::domain::Revision;
use crate::planning::figure::{Undefined, Value, ratio};
use crate::planning::indices::inequality::{Point, gini, theil};
use xxhash_rust::xxh3::Xxh3;

/// One city in one period. Counts are of people and openings, money is yearly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CityPeriod {
    /// Residents after the moves of the period.
    pub residents: i64,
    /// Workers at home there who sought, at its start.
    pub seekers: u64,
    /// Free openings there, at its start.
    pub openings: u64,
    /// Of the seekers, those who were placed anywhere.
    pub matched: u64,
    /// Workers placed there, from anywhere.
    pub placed: u64,
    /// Of them, those who moved in.
    pub moved_in: u64,
    /// Seekers from there who were placed in another city.
    pub moved_out: u64,
    /// Workers at home there who are employed, after placements, before separations.
    pub employed: u64,
    /// Workers there who lost or left their job at its end.
    pub separated: u64,
    /// Openings posted there at its end, those of jobs that were left not counted.
    pub posted: u64,
    /// Openings given up there at its end.
    pub withdrawn: u64,
    /// Sum of the salaries of those placed there.
    pub pay: i128,
    /// Sum of the same at the reference cost of living, each rounded down.
    pub real_pay: i128,
    /// Subsidies paid to those who moved in, the market's own and the policy's.
    pub subsidy: i128,
    /// Cost of living in the period, 1000 = the market's reference level.
    pub cost_of_living: i64,
    /// Productivity in the period, over that at the start.
    pub productivity: f64,
    /// Travel time over that on empty roads, in the period.
    pub delay: f64,
}

impl CityPeriod {
    /// Openings per seeker.
    pub fn tightness(&self) -> Value {
        let otherwise = if self.openings == 0 { Undefined::Empty } else { Undefined::NoSeekers };
        ratio(self.openings as f64, self.seekers as f64, otherwise)
    }

    /// Mean salary of those placed there.
    pub fn mean_pay(&self) -> Value {
        ratio(self.pay as f64, self.placed as f64, Undefined::NoMatches)
    }

    /// The same at the reference cost of living.
    pub fn mean_real_pay(&self) -> Value {
        ratio(self.real_pay as f64, self.placed as f64, Undefined::NoMatches)
    }

    /// What comes in less what goes out.
    pub fn net(&self) -> i64 {
        self.moved_in as i64 - self.moved_out as i64
    }

    /// Adds the counts and sums of another city.
    fn add(&mut self, other: &Self) {
        self.residents += other.residents;
        self.seekers += other.seekers;
        self.openings += other.openings;
        self.matched += other.matched;
        self.placed += other.placed;
        self.moved_in += other.moved_in;
        self.moved_out += other.moved_out;
        self.employed += other.employed;
        self.separated += other.separated;
        self.posted += other.posted;
        self.withdrawn += other.withdrawn;
        self.pay += other.pay;
        self.real_pay += other.real_pay;
        self.subsidy += other.subsidy;
    }
}

/// One period of one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    /// From 1.
    pub number: u32,
    /// By city index.
    pub cities: Vec<CityPeriod>,
    /// Hash of the matching, as of a round.
    pub matching_hash: u64,
    /// Pairs that the engine evaluated.
    pub evaluations: u64,
}

impl Period {
    /// All that it holds, for a hash.
    fn feed(&self, hasher: &mut Xxh3) {
        hasher.update(&self.matching_hash.to_le_bytes());
        for city in &self.cities {
            let counts = [
                city.residents as u64,
                city.seekers,
                city.openings,
                city.matched,
                city.placed,
                city.moved_in,
                city.moved_out,
                city.employed,
                city.separated,
                city.posted,
                city.withdrawn,
                city.cost_of_living as u64,
                city.productivity.to_bits(),
                city.delay.to_bits(),
            ];
            counts.iter().for_each(|count| hasher.update(&count.to_le_bytes()));
            let sums = [city.pay, city.real_pay, city.subsidy];
            sums.iter().for_each(|sum| hasher.update(&sum.to_le_bytes()));
        }
    }

    /// The whole market: sums; indices that are no sums are left at 0.
    pub fn total(&self) -> CityPeriod {
        let mut total = CityPeriod::default();
        self.cities.iter().for_each(|city| total.add(city));
        total
    }

    /// Mean real pay of those placed, weighted by residents, of the cities that have both.
    fn paid(&self) -> Vec<Point> {
        let paid = self.cities.iter().filter(|city| city.residents > 0);
        paid.filter_map(|city| {
            Some(Point { weight: city.residents as f64, value: city.mean_real_pay().ok()? })
        })
        .collect()
    }

    /// Disparity of mean real pay between cities, weighted by residents: Theil's T.
    pub fn pay_theil(&self) -> Value {
        theil(&self.paid())
    }

    /// The same by Gini's index.
    pub fn pay_gini(&self) -> Value {
        gini(&self.paid())
    }

    /// Mean cost of living of the residents.
    pub fn mean_cost_of_living(&self) -> Value {
        let spent: f64 =
            self.cities.iter().map(|c| c.residents as f64 * c.cost_of_living as f64).sum();
        ratio(spent, self.total().residents as f64, Undefined::NoPopulation)
    }

    /// Gini's index of the cities' sizes.
    pub fn size_gini(&self) -> Value {
        let sizes: Vec<f64> = self.cities.iter().map(|city| city.residents as f64).collect();
        gini(&Point::each(&sizes))
    }
}

/// All periods of one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedRun {
    /// The seed.
    pub seed: u64,
    /// Its periods.
    pub periods: Vec<Period>,
}

/// What it takes to compute a run again.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The policy's name.
    pub policy: Box<str>,
    /// Its version.
    pub policy_version: u32,
    /// Whether the policy changes nothing.
    pub is_baseline: bool,
    /// The revision of the market that was forked.
    pub revision: Revision,
    /// Periods.
    pub periods: u32,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// [`super::Parameters::hash`].
    pub parameters_hash: u64,
    /// The version of Gale.
    pub engine: &'static str,
    /// How far the feedback is from running away.
    pub margin: Margin,
}

/// A scenario's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What it takes to compute it again.
    pub manifest: Manifest,
    /// By seed, in the order asked for.
    pub seeds: Vec<SeedRun>,
}

impl Run {
    /// XXH3-64 over all periods of all seeds.
    pub fn hash(&self) -> u64 {
        let mut hasher = Xxh3::new();
        for seed in &self.seeds {
            hasher.update(&seed.seed.to_le_bytes());
            seed.periods.iter().for_each(|period| period.feed(&mut hasher));
        }
        hasher.digest()
    }

    /// Bytes that it keeps, roughly.
    pub fn bytes(&self) -> usize {
        let periods = self.seeds.iter().flat_map(|seed| &seed.periods);
        periods.map(|period| period.cities.len() * size_of::<CityPeriod>() + 64).sum()
    }
}

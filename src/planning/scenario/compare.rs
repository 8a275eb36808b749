//! What a policy has changed: differences of two runs, seed by seed, with intervals.
//!
//! Both runs draw the same random numbers, so that the difference of one seed is what the
//! policy causes under those draws, and the spread over seeds is what chance leaves open.

use super::results::{CityPeriod, Period, Run};
use crate::domain::{Reason, Violation};
use crate::planning::figure::{Undefined, Value, finite};

/// A quantity that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Residents.
    Residents,
    /// Seekers.
    Seekers,
    /// Free openings.
    Openings,
    /// Workers placed there.
    Placed,
    /// Movers in.
    MovedIn,
    /// Movers out.
    MovedOut,
    /// Workers employed.
    Employed,
    /// Openings per seeker.
    Tightness,
    /// Mean salary of those placed there.
    MeanPay,
    /// The same at the reference cost of living.
    MeanRealPay,
    /// Cost of living.
    CostOfLiving,
    /// Subsidies paid.
    Subsidy,
    /// Theil's T of mean real pay between cities; of the market alone.
    PayTheil,
    /// Gini's index of the same; of the market alone.
    PayGini,
    /// Gini's index of the cities' sizes; of the market alone.
    SizeGini,
}

impl Measure {
    /// Those that a city has.
    pub const OF_CITIES: [Self; 12] = [
        Self::Residents,
        Self::Seekers,
        Self::Openings,
        Self::Placed,
        Self::MovedIn,
        Self::MovedOut,
        Self::Employed,
        Self::Tightness,
        Self::MeanPay,
        Self::MeanRealPay,
        Self::CostOfLiving,
        Self::Subsidy,
    ];
    /// Those that only a market has.
    pub const OF_MARKETS: [Self; 3] = [Self::PayTheil, Self::PayGini, Self::SizeGini];

    /// Its value in a city.
    pub fn of_city(self, city: &CityPeriod) -> Value {
        match self {
            Self::Residents => Ok(city.residents as f64),
            Self::Seekers => Ok(city.seekers as f64),
            Self::Openings => Ok(city.openings as f64),
            Self::Placed => Ok(city.placed as f64),
            Self::MovedIn => Ok(city.moved_in as f64),
            Self::MovedOut => Ok(city.moved_out as f64),
            Self::Employed => Ok(city.employed as f64),
            Self::Tightness => city.tightness(),
            Self::MeanPay => city.mean_pay(),
            Self::MeanRealPay => city.mean_real_pay(),
            Self::CostOfLiving => Ok(city.cost_of_living as f64),
            Self::Subsidy => Ok(city.subsidy as f64),
            Self::PayTheil | Self::PayGini | Self::SizeGini => Err(Undefined::TooFew),
        }
    }

    /// Its value in the whole market.
    pub fn of_market(self, period: &Period) -> Value {
        match self {
            Self::PayTheil => period.pay_theil(),
            Self::PayGini => period.pay_gini(),
            Self::SizeGini => period.size_gini(),
            Self::CostOfLiving => period.mean_cost_of_living(),
            _ => self.of_city(&period.total()),
        }
    }
}

/// A difference over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delta {
    /// Seeds for which both runs have the value.
    pub seeds: u32,
    /// Mean of the first run's values.
    pub before: f64,
    /// Mean of the second run's values.
    pub after: f64,
    /// Mean of the differences.
    pub mean: f64,
    /// Standard error of the mean; undefined with one seed.
    pub standard_error: Value,
    /// Least difference of a seed.
    pub least: f64,
    /// Greatest difference of a seed.
    pub greatest: f64,
    /// The 95 % interval of the mean by Student's t; undefined with one seed.
    pub interval: Result<(f64, f64), Undefined>,
}

impl Delta {
    /// Of values by seed, those of both runs in the same order.
    ///
    /// # Errors
    /// [`Undefined::TooFew`] if no seed has both.
    pub fn of(before: &[Value], after: &[Value]) -> Result<Self, Undefined> {
        let pairs = before.iter().zip(after);
        let pairs: Vec<(f64, f64)> =
            pairs.filter_map(|(before, after)| Some(((*before).ok()?, (*after).ok()?))).collect();
        if pairs.is_empty() {
            return Err(Undefined::TooFew);
        }
        let count = pairs.len() as f64;
        let mean_of =
            |values: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(values).sum::<f64>() / count;
        let differences: Vec<f64> = pairs.iter().map(|(before, after)| after - before).collect();
        let mean = differences.iter().sum::<f64>() / count;
        let standard_error = standard_error(&differences, mean);
        let half = standard_error.map(|error| error * student_975(pairs.len() - 1));
        Ok(Self {
            seeds: pairs.len() as u32,
            before: mean_of(&|pair| pair.0),
            after: mean_of(&|pair| pair.1),
            mean,
            standard_error,
            least: differences.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: differences.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            interval: half.map(|half| (mean - half, mean + half)),
        })
    }

    /// Whether every seed says that something has changed, and the interval excludes 0.
    pub fn is_clear(&self) -> bool {
        self.interval.is_ok_and(|(low, high)| low > 0.0 || high < 0.0)
    }
}

fn standard_error(differences: &[f64], mean: f64) -> Value {
    if differences.len() < 2 {
        return Err(Undefined::TooFew);
    }
    let count = differences.len() as f64;
    let squares: f64 = differences.iter().map(|d| (d - mean) * (d - mean)).sum();
    finite(libm::sqrt(squares / (count - 1.0) / count))
}

/// The 97.5 % quantile of Student's t, for up to 30 degrees of freedom from the usual table,
/// beyond by the first terms of its expansion around the normal quantile.
fn student_975(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    let z: f64 = 1.959_964;
    let n = degrees as f64;
    match TABLE.get(degrees.wrapping_sub(1)) {
        Some(quantile) => *quantile,
        None => z + (z * z * z + z) / (4.0 * n),
    }
}

/// What two runs have in common, or why they cannot be compared.
pub fn comparable(before: &Run, after: &Run) -> Result<(), Violation> {
    let (a, b) = (&before.manifest, &after.manifest);
    let refuse = |what: &str| {
        Err(Violation::new(
            Reason::WrongStatus,
            "against",
            format!("the runs have different {what}: nothing would tell what the policy changes"),
        ))
    };
    if a.revision != b.revision {
        return refuse("revisions");
    }
    if a.seeds != b.seeds {
        return refuse("seeds");
    }
    if a.periods != b.periods {
        return refuse("periods");
    }
    Ok(())
}

/// The differences of a measure in one period (from 1): of one city, or of the whole market.
///
/// # Errors
/// [`Undefined::TooFew`] if no seed has a value in both.
pub fn delta(
    before: &Run,
    after: &Run,
    period: u32,
    city: Option<usize>,
    measure: Measure,
) -> Result<Delta, Undefined> {
    let value = |period: &Period| match city {
        Some(city) => measure.of_city(&period.cities[city]),
        None => measure.of_market(period),
    };
    let values = |run: &Run| -> Vec<Value> {
        run.seeds.iter().map(|seed| value(&seed.periods[period as usize - 1])).collect()
    };
    Delta::of(&values(before), &values(after))
}

/// The cities by how much the runs differ in that period, most first: by residents, then
/// by placements, both over all seeds; at most `limit`.
pub fn most_changed(before: &Run, after: &Run, period: u32, limit: usize) -> Vec<usize> {
    let at = period as usize - 1;
    let cities = before.seeds.first().map_or(0, |seed| seed.periods[at].cities.len());
    let mut changes = vec![(0_u64, 0_u64); cities];
    for (before, after) in before.seeds.iter().zip(&after.seeds) {
        let pairs = before.periods[at].cities.iter().zip(&after.periods[at].cities);
        for (change, (before, after)) in changes.iter_mut().zip(pairs) {
            change.0 += before.residents.abs_diff(after.residents);
            change.1 += before.placed.abs_diff(after.placed);
        }
    }
    let mut order: Vec<usize> = (0..cities).collect();
    order.sort_by_key(|city| (std::cmp::Reverse(changes[*city]), *city));
    order.truncate(limit);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the interval is Student's, by a worked example: differences 1, 2, 3 have mean
    /// 2, standard error 1/√3 and, with 2 degrees of freedom, a half width of 2.484.
    #[test]
    fn intervals_are_students() {
        let delta = Delta::of(&[Ok(10.0), Ok(20.0), Ok(30.0)], &[Ok(11.0), Ok(22.0), Ok(33.0)]);
        let delta = delta.unwrap();
        assert_eq!((delta.mean, delta.least, delta.greatest), (2.0, 1.0, 3.0));
        assert_eq!((delta.before, delta.after, delta.seeds), (20.0, 22.0, 3));
        assert!((delta.standard_error.unwrap() - 0.577_350_269).abs() < 1e-9);
        let (low, high) = delta.interval.unwrap();
        assert!((high - 4.484_338).abs() < 1e-5 && (low + 0.484_338).abs() < 1e-5);
        assert!(!delta.is_clear());
        assert!((student_975(60) - 2.000).abs() < 2e-3);
    }

    /// Goal: one seed has no interval, none has no difference, and a run less itself is 0.
    #[test]
    fn few_seeds_say_so() {
        let one = Delta::of(&[Ok(1.0), Err(Undefined::NoMatches)], &[Ok(2.0), Ok(3.0)]).unwrap();
        assert_eq!((one.seeds, one.interval), (1, Err(Undefined::TooFew)));
        assert_eq!(Delta::of(&[Err(Undefined::Empty)], &[Ok(1.0)]), Err(Undefined::TooFew));
        let same = [Ok(5.0), Ok(7.0)];
        let none = Delta::of(&same, &same).unwrap();
        assert_eq!((none.mean, none.interval), (0.0, Ok((0.0, 0.0))));
    }
}

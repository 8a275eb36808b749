//! How well the flows of a model agree with observed ones, over the same pairs.

use super::gravity::{Ppml, Unfit, regressors};
use super::observed::Pair;
use crate::planning::figure::{Undefined, Value, finite, ratio};

/// Resamples of the pairs that an interval comes from.
const RESAMPLES: u64 = 1_000;

/// Agreement over some pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// Pairs compared.
    pub pairs: usize,
    /// Pairs between which the model moves nobody.
    pub empty: usize,
    /// Common part of commuters, totals equalised: 0..1.
    pub common_part: Value,
    /// Correlation of the flows.
    pub correlation: Value,
    /// Correlation of their logarithms, where both are above 0.
    pub log_correlation: Value,
    /// Coefficient of the log distance in a gravity of the model's flows ([`Ppml`]).
    pub distance_exponent: Value,
    /// Mean kilometres of the model's moves.
    pub km_mean: Value,
}

impl Agreement {
    /// Compares a model's flows with the observed ones.
    pub fn of(pairs: &[Pair], flows: &[f64]) -> Self {
        let observed: Vec<f64> = pairs.iter().map(|pair| pair.people).collect();
        let positive = observed.iter().zip(flows).filter(|(a, b)| **a > 0.0 && **b > 0.0);
        let logs: Vec<_> = positive.map(|(a, b)| (libm::log(*a), libm::log(*b))).collect();
        let (log_a, log_b): (Vec<_>, Vec<_>) = logs.into_iter().unzip();
        Self {
            pairs: pairs.len(),
            empty: flows.iter().filter(|flow| **flow <= 0.0).count(),
            common_part: common_part(&observed, flows),
            correlation: correlation(&observed, flows),
            log_correlation: correlation(&log_a, &log_b),
            distance_exponent: distance_exponent(pairs, flows),
            km_mean: ratio(
                pairs.iter().zip(flows).map(|(pair, flow)| pair.km * flow).sum(),
                flows.iter().sum(),
                Undefined::NoMoves,
            ),
        }
    }
}

/// `2 sum min(a, b) / (sum a + sum b)` after both are scaled to the same sum: the share of
/// moves that are between the right pairs. Undefined if either moves nobody.
pub fn common_part(a: &[f64], b: &[f64]) -> Value {
    let (sum_a, sum_b) = (a.iter().sum::<f64>(), b.iter().sum::<f64>());
    if sum_a <= 0.0 || sum_b <= 0.0 {
        return Err(Undefined::NoMoves);
    }
    finite(a.iter().zip(b).map(|(a, b)| (a / sum_a).min(b / sum_b)).sum())
}

/// Pearson's correlation.
pub fn correlation(a: &[f64], b: &[f64]) -> Value {
    if a.len() < 2 {
        return Err(Undefined::TooFew);
    }
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    ratio(both, libm::sqrt(square_a * square_b), Undefined::ZeroDenominator)
}

/// The coefficient of the log distance when `flows` are fitted by gravity.
pub fn distance_exponent(pairs: &[Pair], flows: &[f64]) -> Value {
    let rows: Vec<_> = pairs.iter().map(regressors).collect();
    let fit = Ppml::fit(&rows, flows).map_err(|unfit| match unfit {
        Unfit::TooFew => Undefined::TooFew,
        _ => Undefined::OutOfRange,
    })?;
    finite(fit.coefficients[3])
}

/// How much larger the common part of `a` is than that of `b`, and the middle 95% of that when
/// the pairs are drawn again with replacement. Both directions of a pair are drawn together;
/// pairs of one city are taken for independent, so the true uncertainty is larger.
pub fn advantage(pairs: &[Pair], a: &[f64], b: &[f64]) -> Result<(f64, f64, f64), Undefined> {
    let ends = |pair: &Pair| {
        let (o, d) = (pair.origin, pair.destination);
        (o.min(d), o.max(d))
    };
    let mut groups: Vec<_> = pairs.iter().enumerate().map(|(at, pair)| (ends(pair), at)).collect();
    groups.sort_unstable();
    let groups: Vec<Vec<usize>> = groups
        .chunk_by(|x, y| x.0 == y.0)
        .map(|group| group.iter().map(|(_, at)| *at).collect())
        .collect();
    let difference = |drawn: &[usize]| -> Value {
        let take = |of: &dyn Fn(usize) -> f64| drawn.iter().map(|at| of(*at)).collect::<Vec<_>>();
        let observed = take(&|at| pairs[at].people);
        let (a, b) = (take(&|at| a[at]), take(&|at| b[at]));
        Ok(common_part(&observed, &a)? - common_part(&observed, &b)?)
    };
    let whole: Vec<usize> = (0..pairs.len()).collect();
    let estimate = difference(&whole)?;
    let mut resampled = Vec::with_capacity(RESAMPLES as usize);
    for resample in 0..RESAMPLES {
        let draw = |at: usize| {
            let word = mixed(resample * groups.len() as u64 + at as u64);
            ((u128::from(word) * groups.len() as u128) >> 64) as usize
        };
        let drawn: Vec<usize> =
            (0..groups.len()).flat_map(|at| groups[draw(at)].iter().copied()).collect();
        resampled.push(difference(&drawn)?);
    }
    resampled.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| resampled[(share * (RESAMPLES - 1) as f64) as usize];
    Ok((estimate, at(0.025), at(0.975)))
}

/// The `counter`-th word of SplitMix64.
fn mixed(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: Value, expected: f64) {
        assert!((value.unwrap() - expected).abs() < 1e-12, "{value:?} {expected}");
    }

    /// Goal: the common part in cases done by hand; the scale of either side is no matter.
    #[test]
    fn common_part_by_hand() {
        near(common_part(&[1.0, 3.0], &[2.0, 2.0]), 2.0 * (1.0 + 2.0) / 8.0);
        near(common_part(&[1.0, 3.0], &[20.0, 20.0]), 0.75);
        near(common_part(&[5.0, 0.0, 5.0], &[1.0, 1.0, 2.0]), 0.25 + 0.5);
        near(common_part(&[4.0, 6.0], &[2.0, 3.0]), 1.0);
        near(common_part(&[1.0, 0.0], &[0.0, 7.0]), 0.0);
        assert_eq!(common_part(&[0.0, 0.0], &[1.0, 1.0]), Err(Undefined::NoMoves));
        assert_eq!(common_part(&[], &[]), Err(Undefined::NoMoves));
    }

    /// Goal: the correlation in cases done by hand, and none of a constant.
    #[test]
    fn correlation_by_hand() {
        near(correlation(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), 1.0);
        near(correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        near(correlation(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]), 0.5);
        assert_eq!(correlation(&[1.0], &[1.0]), Err(Undefined::TooFew));
        assert_eq!(correlation(&[1.0, 1.0], &[1.0, 2.0]), Err(Undefined::ZeroDenominator));
    }

    /// Goal: the advantage of a perfect model over a poor one is the difference of their common
    /// parts, inside its interval; over itself it is exactly 0.
    #[test]
    fn advantage_is_a_difference() {
        let pair = |i: usize| Pair {
            origin: i % 9,
            destination: i / 9,
            origin_population: 1.0,
            destination_population: 1.0,
            origin_prices: 1.0,
            destination_prices: 1.0,
            km: 100.0,
            people: (i * 37 % 11) as f64 + 1.0,
            held_out: true,
        };
        let pairs: Vec<_> = (0..81).filter(|i| i % 9 != i / 9).map(pair).collect();
        let perfect: Vec<f64> = pairs.iter().map(|pair| pair.people).collect();
        let poor = vec![1.0; pairs.len()];
        let (estimate, low, high) = advantage(&pairs, &perfect, &poor).unwrap();
        assert!((estimate - (1.0 - common_part(&perfect, &poor).unwrap())).abs() < 1e-12);
        assert!(low < estimate && estimate < high && low > 0.0, "{low} {estimate} {high}");
        assert_eq!(advantage(&pairs, &poor, &poor).unwrap(), (0.0, 0.0, 0.0));
    }
}

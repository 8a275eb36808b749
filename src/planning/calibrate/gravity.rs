//! The gravity baseline: flows by Poisson pseudo-maximum likelihood.
//!
//! `people = exp(a + b ln origin + c ln destination + d ln km)`, which solves
//! `sum x (people - fitted) = 0`. Unlike least squares on logarithms it is consistent whatever
//! the variance, keeps zeros and reproduces the total (Santos Silva and Tenreyro, "The Log of
//! Gravity", 2006). Newton's method; the likelihood is concave.

use super::observed::Pair;

/// Steps of Newton's method before it is given up.
const STEPS_MAX: usize = 100;
/// Halvings of a step that makes things worse.
const HALVINGS_MAX: usize = 60;
/// A regressor is taken for a combination of those before it where no more than this of it is
/// its own.
const OWN_SHARE_MIN: f64 = 1e-11;

/// Why a model of flows cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Fewer observations than coefficients, or nobody moves.
    #[error("too few observations")]
    TooFew,
    /// A regressor is a combination of others.
    #[error("a regressor is a combination of others")]
    Collinear,
    /// Some regressor tells zeros from the rest, so that its coefficient has no finite best
    /// value (the check of Santos Silva and Tenreyro, 2010: regressors that are collinear
    /// where flows are positive, and are not where they may be zero).
    #[error("the zeros can be told by a regressor, whose coefficient is then unbounded")]
    Separated,
    /// The likelihood still grew when the search was given up.
    #[error("no best value was found")]
    Unbounded,
}

/// A fitted log-linear model of `K` regressors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ppml<const K: usize> {
    /// By regressor.
    pub coefficients: [f64; K],
    /// Twice the log-likelihood lost against a perfect fit.
    pub deviance: f64,
    /// The same of a constant.
    pub null_deviance: f64,
}

impl<const K: usize> Ppml<K> {
    /// Fits `observed` (not negative) by `rows`, whose first regressor is the constant 1.
    pub fn fit(rows: &[[f64; K]], observed: &[f64]) -> Result<Self, Unfit> {
        let total: f64 = observed.iter().sum();
        if rows.len() < K || total <= 0.0 {
            return Err(Unfit::TooFew);
        }
        check_rank(rows, observed)?;
        let mut coefficients = [0.0; K];
        coefficients[0] = libm::log(total / observed.len() as f64);
        let null_deviance = deviance(rows, observed, &coefficients);
        let mut reached = null_deviance;
        for _ in 0..STEPS_MAX {
            let (gradient, curvature) = derivatives(rows, observed, &coefficients);
            let step = solve(curvature, gradient).ok_or(Unfit::Unbounded)?;
            let promised: f64 = step.iter().zip(&gradient).map(|(s, g)| s * g).sum();
            if promised <= 1e-20 * total {
                return Ok(Self { coefficients, deviance: reached, null_deviance });
            }
            let mut share = 1.0;
            for _ in 0..HALVINGS_MAX {
                let next: [f64; K] = std::array::from_fn(|k| coefficients[k] + share * step[k]);
                let there = deviance(rows, observed, &next);
                // Near the best value a step gains less than a deviance can show.
                if there <= reached || promised <= 1e-10 * total {
                    (coefficients, reached) = (next, there);
                    break;
                }
                share /= 2.0;
            }
        }
        Err(Unfit::Unbounded)
    }

    /// The fitted flow of a row.
    pub fn predict(&self, row: &[f64; K]) -> f64 {
        libm::exp(product(row, &self.coefficients))
    }

    /// The share of the deviance of a constant that the regressors explain.
    pub fn pseudo_r2(&self) -> f64 {
        if self.null_deviance > 0.0 { 1.0 - self.deviance / self.null_deviance } else { 0.0 }
    }
}

/// The regressors of gravity: 1, log populations of origin and destination, log distance.
pub fn regressors(pair: &Pair) -> [f64; 4] {
    let [origin, destination, km] = [pair.origin_population, pair.destination_population, pair.km]
        .map(|x| libm::log(x.max(1.0)));
    [1.0, origin, destination, km]
}

/// The same with the log price levels of origin and destination.
pub fn regressors_with_prices(pair: &Pair) -> [f64; 6] {
    let [one, origin, destination, km] = regressors(pair);
    let [from, to] = [pair.origin_prices, pair.destination_prices].map(|x| libm::log(x.max(1.0)));
    [one, origin, destination, km, from, to]
}

fn product<const K: usize>(row: &[f64; K], coefficients: &[f64; K]) -> f64 {
    row.iter().zip(coefficients).map(|(x, b)| x * b).sum()
}

/// `2 sum (y ln(y / m) - (y - m))`, infinite if a fitted flow overflows.
fn deviance<const K: usize>(rows: &[[f64; K]], observed: &[f64], at: &[f64; K]) -> f64 {
    let term = |(row, y): (&[f64; K], &f64)| {
        let log = product(row, at);
        let own = if *y > 0.0 { y * (libm::log(*y) - log) - y } else { 0.0 };
        own + libm::exp(log)
    };
    let sum = 2.0 * rows.iter().zip(observed).map(term).sum::<f64>();
    if sum.is_nan() { f64::INFINITY } else { sum }
}

/// First derivatives of the log-likelihood, and its second ones with the sign turned.
fn derivatives<const K: usize>(
    rows: &[[f64; K]],
    observed: &[f64],
    at: &[f64; K],
) -> ([f64; K], [[f64; K]; K]) {
    let (mut gradient, mut curvature) = ([0.0; K], [[0.0; K]; K]);
    for (row, y) in rows.iter().zip(observed) {
        let fitted = libm::exp(product(row, at));
        for i in 0..K {
            gradient[i] += row[i] * (y - fitted);
            for j in 0..=i {
                curvature[i][j] += row[i] * row[j] * fitted;
            }
        }
    }
    (gradient, curvature)
}

/// Refuses regressors without a single best fit.
fn check_rank<const K: usize>(rows: &[[f64; K]], observed: &[f64]) -> Result<(), Unfit> {
    let has_rank = |keep: &dyn Fn(f64) -> bool| {
        let mut moments = [[0.0; K]; K];
        for (row, _) in rows.iter().zip(observed).filter(|(_, y)| keep(**y)) {
            for i in 0..K {
                for j in 0..=i {
                    moments[i][j] += row[i] * row[j];
                }
            }
        }
        solve(moments, [0.0; K]).is_some()
    };
    if !has_rank(&|_| true) {
        return Err(Unfit::Collinear);
    }
    if has_rank(&|y| y > 0.0) { Ok(()) } else { Err(Unfit::Separated) }
}

/// Solves a symmetric positive definite system given by its lower half (Cholesky); `None` if
/// it is not, within rounding.
fn solve<const K: usize>(matrix: [[f64; K]; K], right: [f64; K]) -> Option<[f64; K]> {
    let mut lower = [[0.0; K]; K];
    for i in 0..K {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest = matrix[i][j] - known;
            lower[i][j] = match i == j {
                true if rest > OWN_SHARE_MIN * matrix[i][i] && rest.is_finite() => libm::sqrt(rest),
                true => return None,
                false => rest / lower[j][j],
            };
        }
    }
    let mut solution = right;
    for i in 0..K {
        let known: f64 = (0..i).map(|k| lower[i][k] * solution[k]).sum();
        solution[i] = (solution[i] - known) / lower[i][i];
    }
    for i in (0..K).rev() {
        let known: f64 = (i + 1..K).map(|k| lower[k][i] * solution[k]).sum();
        solution[i] = (solution[i] - known) / lower[i][i];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regressors that no rule of a table stands behind: a small lattice of logs.
    fn rows() -> Vec<[f64; 4]> {
        (0..200_u32)
            .map(|i| {
                let [a, b, c] = [i % 7, i % 11, i % 13].map(f64::from);
                [1.0, 13.0 + 0.4 * a, 13.5 + 0.3 * b, 5.0 + 0.25 * c]
            })
            .collect()
    }

    /// Goal: exponents that are in the data are found. Method: flows that follow a planted
    /// gravity exactly, then rounded to whole people, many of them to 0.
    #[test]
    fn planted_exponents_are_recovered() {
        let planted = [-14.0, 0.9, 0.7, -0.8];
        let exact: Vec<f64> = rows().iter().map(|row| libm::exp(product(row, &planted))).collect();
        let fit = Ppml::fit(&rows(), &exact).unwrap();
        for (found, planted) in fit.coefficients.iter().zip(planted) {
            assert!((found - planted).abs() < 1e-8, "{fit:?}");
        }
        assert!(fit.deviance.abs() < 1e-6 && (fit.pseudo_r2() - 1.0).abs() < 1e-9, "{fit:?}");
        let rounded: Vec<f64> = exact.iter().map(|m| libm::round(m / 20.0)).collect();
        let zeros = rounded.iter().filter(|y| **y == 0.0).count();
        assert!(zeros > 10, "{zeros} zeros");
        let fit = Ppml::fit(&rows(), &rounded).unwrap();
        for (found, planted) in fit.coefficients[1..].iter().zip(&planted[1..]) {
            assert!((found - planted).abs() < 0.1, "{fit:?}");
        }
    }

    /// Goal: the fit solves its first-order conditions, so the fitted total, and the totals
    /// weighted by each regressor, are the observed ones. Method: flows far from any gravity.
    #[test]
    fn first_order_conditions_hold() {
        let observed: Vec<f64> = (0..200_u64).map(|i| (i * i * 7919 % 1009) as f64).collect();
        let fit = Ppml::fit(&rows(), &observed).unwrap();
        let total: f64 = observed.iter().sum();
        for k in 0..4 {
            let pairs = rows().into_iter().zip(&observed);
            let rest: f64 = pairs.map(|(row, y)| row[k] * (y - fit.predict(&row))).sum();
            assert!(rest.abs() < 1e-9 * total * 20.0, "{k}: {rest}");
        }
        assert!(fit.deviance < fit.null_deviance);
    }

    /// Goal: what has no best fit is refused with its reason, not answered with some number.
    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let ones = vec![1.0; 200];
        assert_eq!(Ppml::fit(&rows()[..3], &ones[..3]), Err(Unfit::TooFew));
        assert_eq!(Ppml::fit(&rows(), &[0.0; 200]), Err(Unfit::TooFew));
        let doubled: Vec<_> =
            rows().iter().map(|row| [row[0], row[1], row[2], 2.0 * row[1]]).collect();
        assert_eq!(Ppml::fit(&doubled, &ones), Err(Unfit::Collinear));
        // A dummy that is 1 only where nobody moves: its best coefficient is minus infinity.
        let told = |i: usize| f64::from(u8::from(i.is_multiple_of(5)));
        let dummy: Vec<_> = (0..200).map(|i| [1.0, rows()[i][1], told(i)]).collect();
        let zeros: Vec<f64> = (0..200).map(|i| 3.0 * (1.0 - told(i))).collect();
        assert_eq!(Ppml::fit(&dummy, &zeros), Err(Unfit::Separated));
    }
}

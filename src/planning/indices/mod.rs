//! Formulas of planning on plain numbers: no market, no state, only what the formula says.
//!
//! Each function names its source, its unit, its range, and for which inputs it is
//! undefined and why. Slices that belong together must be of one length; a function that
//! takes two of them panics if they are not. Sums and weights are people, jobs or money as
//! the caller counts them, never negative: a negative, NaN or infinite input is
//! [`OutOfRange`](super::figure::Undefined::OutOfRange). Transcendental functions are
//! `libm`'s, so that every machine computes the same.
//!
//! | file | what is measured |
//! |---|---|
//! | [`tightness`] | vacancies per seeker, rates, the matching function |
//! | [`mismatch`] | hires lost because seekers and vacancies are in different cells |
//! | [`shapley`] | a total shared out among three causes |
//! | [`geographic`] | hires lost to distance |
//! | [`specialisation`] | what a city is strong in, and how alike two cities are |
//! | [`concentration`] | whether an industry's plants cluster more than chance would have it |
//! | [`inequality`] | disparity between cities and between their regions |
//! | [`sizes`] | rank-size rule, primacy, density |
//! | [`migration`] | net moves, and how much of the moving nets out |
//! | [`access`] | the demand within reach of a city |
//! | [`coupling`] | whether industry, employment and population keep pace |

pub mod access;
pub mod concentration;
pub mod coupling;
pub mod geographic;
pub mod inequality;
pub mod migration;
pub mod mismatch;
pub mod shapley;
pub mod sizes;
pub mod specialisation;
pub mod tightness;

use super::figure::Undefined;

/// The sum of numbers that must each be finite and not negative.
fn total(numbers: impl IntoIterator<Item = f64>) -> Result<f64, Undefined> {
    let mut sum = 0.0;
    for number in numbers {
        sum += not_negative(number)?;
    }
    not_negative(sum)
}

/// The number, which must be finite and not negative.
fn not_negative(number: f64) -> Result<f64, Undefined> {
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err(Undefined::OutOfRange) }
}

/// `x ln x`, and its limit 0 at 0.
fn x_ln_x(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * libm::log(x) }
}

/// Asserts that a function gives a golden number of so many decimals.
#[cfg(test)]
#[track_caller]
fn assert_near(found: super::figure::Value, golden: f64, tolerance: f64) {
    let found = found.expect("a value");
    assert!((found - golden).abs() <= tolerance, "{found}, and it should be {golden}");
}

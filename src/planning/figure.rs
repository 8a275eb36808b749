//! A number with the sums that it comes from, or the reason why there is none.
//!
//! An indicator that cannot be computed is never 0, NaN or infinite: it is undefined, and
//! says why. The inputs stand beside it either way, so that whoever reads a figure can
//! compute it again, and add up those of several cities before dividing.

use std::fmt;

/// A finite number, or why there is none.
pub type Value = Result<f64, Undefined>;

/// Why an indicator has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Undefined {
    /// There is nothing to measure: nobody seeks and nothing is open, or all inputs are 0.
    Empty,
    /// Nobody seeks.
    NoSeekers,
    /// No opening is free.
    NoOpenings,
    /// Nobody is matched.
    NoMatches,
    /// Nobody moves, in or out.
    NoMoves,
    /// Nobody lives there.
    NoPopulation,
    /// Fewer observations than the formula needs.
    TooFew,
    /// The formula divides by a sum that is 0 here.
    ZeroDenominator,
    /// The inputs leave the range in which the formula means anything.
    OutOfRange,
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "empty",
            Self::NoSeekers => "no seekers",
            Self::NoOpenings => "no openings",
            Self::NoMatches => "no matches",
            Self::NoMoves => "no moves",
            Self::NoPopulation => "no population",
            Self::TooFew => "too few observations",
            Self::ZeroDenominator => "its denominator is 0",
            Self::OutOfRange => "inputs out of range",
        })
    }
}

/// An indicator with its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The number, or why there is none.
    pub value: Value,
    /// The sums that it comes from, by name.
    pub inputs: Vec<(&'static str, f64)>,
}

impl Figure {
    /// A value and the sums that it comes from.
    pub fn new(value: Value, inputs: impl IntoIterator<Item = (&'static str, f64)>) -> Self {
        Self { value: value.and_then(finite), inputs: inputs.into_iter().collect() }
    }
}

/// The number itself if it is one, [`Undefined::OutOfRange`] if it is NaN or infinite.
pub fn finite(number: f64) -> Value {
    if number.is_finite() { Ok(number) } else { Err(Undefined::OutOfRange) }
}

/// `numerator / denominator`, or `otherwise` where the denominator is 0.
pub fn ratio(numerator: f64, denominator: f64, otherwise: Undefined) -> Value {
    if denominator == 0.0 { Err(otherwise) } else { finite(numerator / denominator) }
}

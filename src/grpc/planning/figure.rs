//! Figures become protocol buffers.

use crate::planning::figure::{Figure, Undefined};
use crate::proto::v1 as pb;

/// A figure with its inputs.
pub fn figure(figure: &Figure) -> Option<pb::Figure> {
    let result = match figure.value {
        Ok(value) => pb::figure::Result::Value(value),
        Err(reason) => pb::figure::Result::Undefined(undefined(reason).into()),
    };
    let inputs = figure.inputs.iter();
    let inputs = inputs.map(|(name, value)| pb::Input { name: (*name).to_owned(), value: *value });
    Some(pb::Figure { result: Some(result), inputs: inputs.collect() })
}

/// Why there is no value, as the API spells it.
fn undefined(reason: Undefined) -> pb::UndefinedReason {
    match reason {
        Undefined::Empty => pb::UndefinedReason::Empty,
        Undefined::NoSeekers => pb::UndefinedReason::NoSeekers,
        Undefined::NoOpenings => pb::UndefinedReason::NoOpenings,
        Undefined::NoMatches => pb::UndefinedReason::NoMatches,
        Undefined::NoMoves => pb::UndefinedReason::NoMoves,
        Undefined::NoPopulation => pb::UndefinedReason::NoPopulation,
        Undefined::TooFew => pb::UndefinedReason::TooFew,
        Undefined::ZeroDenominator => pb::UndefinedReason::ZeroDenominator,
        Undefined::OutOfRange => pb::UndefinedReason::OutOfRange,
    }
}

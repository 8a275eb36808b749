//! Values to bytes and back: one byte of format, then postcard.
//!
//! What is written here is read by later versions. Variants and fields are known by
//! their place, so new ones go to the end, and anything else is a new [`FORMAT`]. Bytes
//! that were not written here are refused, whatever they are: nothing panics, and no
//! more is allocated than a small multiple of what there is to read.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The format of everything that is written.
pub const FORMAT: u8 = 1;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// There is nothing, not even a format.
    #[error("it is empty")]
    Empty,
    /// Another version of Gale wrote it.
    #[error("it is of format {0}, this version of gale reads format {FORMAT}")]
    Format(u8),
    /// It ends early, or does not mean anything.
    #[error("it does not decode: {0}")]
    Content(postcard::Error),
    /// It goes on after its end.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
}

/// The bytes of a value.
///
/// # Panics
/// If the value cannot be written at all (a sequence of unknown length), which no type
/// of the market has.
pub fn encode(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    postcard::to_extend(value, vec![FORMAT]).expect("memory takes whatever a market holds")
}

/// The value of the bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match bytes {
        [] => Err(Malformed::Empty),
        [FORMAT, content @ ..] => match postcard::take_from_bytes(content) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(Malformed::Trailing(rest.len())),
            Err(error) => Err(Malformed::Content(error)),
        },
        [format, ..] => Err(Malformed::Format(*format)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MarketName, Revision};

    /// Goal: each way of being wrong has its own words, and what is right comes back.
    #[test]
    fn bytes_are_read_back_or_refused() {
        let value = (Revision(7), MarketName::parse("", "us").unwrap());
        let bytes = encode(&value);
        assert_eq!(decode(&bytes), Ok(value));
        type Value = (Revision, MarketName);
        assert_eq!(decode::<Value>(&[]), Err(Malformed::Empty));
        assert_eq!(decode::<Value>(&[9, 1, 2]), Err(Malformed::Format(9)));
        let cut = decode::<Value>(&bytes[..bytes.len() - 1]);
        assert!(matches!(cut, Err(Malformed::Content(_))), "{cut:?}");
        let long = [&bytes[..], &[0]].concat();
        assert_eq!(decode::<Value>(&long), Err(Malformed::Trailing(1)));
        let message = Malformed::Format(9).to_string();
        assert_eq!(message, "it is of format 9, this version of gale reads format 1");
    }
}

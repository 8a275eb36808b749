//! What to generate: how many metros, how much of each, from which seed.

use super::moving::Moving;
use super::tables::{CHINESE_CITIES, METROS};
use crate::domain::Violation;
use crate::domain::error::in_range;
use std::fmt;

/// Metros of the United States in the bundled tables.
pub const METROS_MAX: usize = METROS;
/// Longest window of openings, in quarters.
pub const QUARTERS_MAX: u32 = 8;

/// A share of the country in millionths: 0.000001 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scale {
    millionths: u32,
}

impl Scale {
    /// The whole country.
    pub const WHOLE: Self = Self { millionths: 1_000_000 };

    /// The scale of so many millionths, 1..1000000.
    pub fn from_millionths(millionths: u32) -> Result<Self, Violation> {
        in_range("scale (millionths)", millionths, 1, 1_000_000)?;
        Ok(Self { millionths })
    }

    /// Reads a decimal such as `0.01` or `1`, with at most six decimals.
    pub fn parse(field: &str, text: &str) -> Result<Self, Violation> {
        let wrong = || {
            let message = "must be a decimal from 0.000001 to 1 with at most six decimals";
            Violation::invalid(field, message)
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let ok = digits(whole)
            && digits(decimals)
            && whole.len() <= 3
            && decimals.len() <= 6
            && !(whole.is_empty() && decimals.is_empty());
        if !ok {
            return Err(wrong());
        }
        let millionths: u32 = format!("{whole}{decimals:0<6}").parse().map_err(|_| wrong())?;
        Self::from_millionths(millionths).map_err(|_| wrong())
    }

    /// The share in millionths.
    pub fn millionths(self) -> u32 {
        self.millionths
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.millionths / 1_000_000, self.millionths % 1_000_000);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Whose cities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Country {
    /// The United States: metropolitan areas with published employment and pay.
    #[default]
    Us,
    /// China: prefectures with census populations; jobs and pay are modelled.
    Cn,
}

impl Country {
    /// Its two letters, as ids have them.
    pub fn code(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Cn => "cn",
        }
    }

    /// How many of its cities there are in the bundled tables.
    pub fn cities_max(self) -> usize {
        match self {
            Self::Us => METROS,
            Self::Cn => CHINESE_CITIES,
        }
    }
}

/// What to generate. The default is the demo market: 50 metros at a hundredth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whose cities.
    pub country: Country,
    /// How many metros, the largest by labour force first: 1..=[`Country::cities_max`].
    pub metros: usize,
    /// Which share of their unemployed and openings.
    pub scale: Scale,
    /// Everything random follows from it.
    pub seed: u64,
    /// How many quarters of openings stand open at once: 1..=[`QUARTERS_MAX`].
    pub quarters: u32,
    /// How people move, and what it costs.
    pub moving: Moving,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            country: Country::Us,
            metros: 50,
            scale: Scale { millionths: 10_000 },
            seed: 1,
            quarters: 1,
            moving: Moving::default(),
        }
    }
}

impl Plan {
    /// Refuses numbers of metros and quarters that the tables do not have, and ways of
    /// moving that are out of range.
    pub fn check(&self) -> Result<(), Violation> {
        in_range("metros", self.metros, 1, self.country.cities_max())?;
        in_range("quarters", self.quarters, 1, QUARTERS_MAX)?;
        self.moving.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a scale is what its text says, and is written as it is read.
    #[test]
    fn scales_are_read_and_written() {
        for (text, millionths, written) in [
            ("1", 1_000_000, "1"),
            ("1.0", 1_000_000, "1"),
            ("0.01", 10_000, "0.01"),
            (".5", 500_000, "0.5"),
            ("0.000001", 1, "0.000001"),
        ] {
            let scale = Scale::parse("scale", text).unwrap();
            assert_eq!((scale.millionths(), scale.to_string().as_str()), (millionths, written));
        }
        for text in ["", ".", "0", "0.0000001", "1.000001", "2", "-1", "1e-2", "0,5", "+.5", "9999"]
        {
            assert_eq!(Scale::parse("scale", text).unwrap_err().field, "scale", "{text:?}");
        }
    }
}

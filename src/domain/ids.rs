//! One newtype per id, so that mixing two is a compile error.
//!
//! Workers, vacancies, rounds and incarnations are UUIDs. Cities, regions, skills
//! and markets have short names; inside a market the first three are interned to
//! small indices, and workers and vacancies to slots of their columns.

use super::error::Violation;
use super::limits::NAME_BYTES_MAX;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident,)*) => {$(
        #[$doc]
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the id in `field` of a request: 8-4-4-4-12 hexadecimal digits.
            pub fn parse(field: &str, text: &str) -> Result<Self, Violation> {
                match Uuid::try_parse(text) {
                    Ok(id) if text.len() == 36 => Ok(Self(id)),
                    _ => Err(Violation::invalid(field, "is not a UUID (8-4-4-4-12 hexadecimal digits)")),
                }
            }

            /// The 16 bytes in RFC 4122 order, by which ids are compared and hashed.
            pub fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

uuid_id! {
    /// A person looking for a job.
    WorkerId,
    /// A job with openings.
    VacancyId,
    /// One clearing of a market.
    RoundId,
    /// One creation of a market: a market deleted and made again has another.
    Incarnation,
    /// A client's name for one write, remembered so that a retry is answered, not repeated.
    RequestId,
}

// Most names are shorter than 24 bytes and stand in place: a worker comes in with two
// dozen of them, and an allocation for each would be a good part of reading one.
macro_rules! name_id {
    ($(#[$doc:meta] $name:ident,)*) => {$(
        #[$doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(CompactString);

        impl $name {
            /// Reads the name in `field` of a request: 1..64 bytes of `A-Za-z0-9._-`.
            pub fn parse(field: &str, text: &str) -> Result<Self, Violation> {
                let ok = (1..=NAME_BYTES_MAX).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
                if !ok {
                    return Err(Violation::invalid(field, "must be 1..64 bytes of A-Z a-z 0-9 . _ -"));
                }
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

name_id! {
    /// A market's name, unique on its server.
    MarketName,
    /// A city's name, unique in its market.
    CityName,
    /// A region's name, unique in its market.
    RegionName,
    /// A skill's name, unique in its market.
    SkillName,
}

macro_rules! index {
    ($(#[$doc:meta] $name:ident($int:ty),)*) => {$(
        #[$doc]
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub $int);

        impl $name {
            /// The index as an offset into a table.
            #[inline]
            pub fn at(self) -> usize {
                self.0 as usize
            }

            /// The index of the table's entry number `offset`.
            ///
            /// # Panics
            /// If the table has outgrown the index, which its limit forbids.
            #[inline]
            pub fn from_offset(offset: usize) -> Self {
                Self(<$int>::try_from(offset).expect("tables are limited below the width of their index"))
            }
        }
    )*};
}

index! {
    /// A city inside one market, in order of arrival.
    CityIx(u16),
    /// A region inside one market, in order of arrival.
    RegionIx(u16),
    /// A skill inside one market, in order of arrival.
    SkillIx(u16),
    /// A worker's row.
    WorkerSlot(u32),
    /// A vacancy's row.
    VacancySlot(u32),
}

/// A market's version: +1 with each applied command.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. It always comes in with a
/// command: nothing below the market's shell reads a clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Millis(pub i64);

//! The durable engine: one SQLite database in a data directory.
//!
//! `gale.db` is in write-ahead mode and synced with every commit; one transaction is one
//! [`append`](super::Journal::append). People may read it with anything that reads
//! SQLite while the server runs: table `batches`, a row per batch.
//!
//! SQLite does not check what it stores, and recovers from a damaged log by dropping
//! everything after the damage without a word. So every batch carries checksums and a
//! number without gaps, a mark of its own says how far the journal was durable
//! ([`super::mark`]), and [`open`] holds all of it against each other before anything is
//! written.
//!
//! `schema` has the tables, `verify` what is checked, `writer` and `reader` the two ends,
//! `repair` what is left when it is damaged.

mod backup;
mod reader;
mod repair;
mod schema;
mod stat;
mod verify;
mod writer;

pub use backup::backup;
pub use repair::{Lost, LostMarket, repair};
pub use stat::{MarketStat, Stat, stat};
pub use verify::{Report, check};
pub use writer::{Sqlite, open};

use super::{Damage, Error};
use rusqlite::ErrorCode;
use std::path::Path;
use std::time::Duration;

/// How the journal is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of batches after which the write-ahead log is taken into the database.
    pub checkpoint_bytes: u64,
    /// Bytes of effects or events in one field; what goes beyond is kept in parts.
    pub part_bytes: usize,
    /// While there are writes the mark is synced this often.
    pub mark_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { checkpoint_bytes: 4 << 20, part_bytes: 64 << 20, mark_every: Duration::from_secs(1) }
    }
}

/// For `map_err` on the database: what SQLite said, in the journal's kinds.
fn failed<'a>(
    database: &'a Path,
    doing: &'static str,
) -> impl Fn(rusqlite::Error) -> Error + use<'a> {
    move |error| {
        let dir = || database.parent().unwrap_or(database).to_owned();
        match &error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => return Error::Full(dir()),
                // The index of the log lies in a file beside it, which needs room too.
                _ if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
                    return Error::Full(dir());
                }
                ErrorCode::ReadOnly => return Error::ReadOnly(dir()),
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                    return unreadable(database, &error).into();
                }
                _ => {}
            },
            // A value of another type than its column has.
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => return unreadable(database, &error).into(),
            _ => {}
        }
        Error::Other { path: database.into(), doing, source: error.into() }
    }
}

/// A database that does not hold together.
fn unreadable(database: &Path, found: impl ToString) -> Damage {
    Damage::of(database, found.to_string())
}

//! Sizes: what a journal takes, read beside a server that runs.

use super::super::{Error, Seq, directory, row};
use super::failed;
use super::schema::{self, MarketRow, Meta};
use crate::domain::Incarnation;
use std::collections::BTreeMap;
use std::path::Path;

/// What a journal takes.
#[derive(Clone, Debug)]
pub struct Stat {
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// The oldest batch of which anything is left.
    pub first: Seq,
    /// The last batch.
    pub last: Seq,
    /// Bytes of the database and of its write-ahead log.
    pub file_bytes: (u64, u64),
    /// The markets, by name.
    pub markets: Vec<MarketStat>,
}

/// What one market takes.
#[derive(Clone, Debug)]
pub struct MarketStat {
    /// Its name.
    pub name: String,
    /// The creation of the market.
    pub incarnation: Incarnation,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The revision up to which its batches are trimmed.
    pub trimmed: u64,
    /// Its newest revision.
    pub newest: u64,
    /// Batches that are kept.
    pub batches: u64,
    /// Bytes of their effects and events.
    pub bytes: u64,
}

/// Reads what a journal takes.
pub fn stat(dir: &Path) -> Result<Stat, Error> {
    let database = &directory::database(dir);
    let connection = schema::open_to_read(database)?;
    schema::check(&connection, database)?;
    let Meta { created, first, .. } = Meta::read(&connection, database)?;
    let sql = "SELECT incarnation, sum(kind <> 0), sum(bytes), max(last_revision), max(seq)
               FROM batches GROUP BY incarnation";
    let failed = failed(database, "reading sizes");
    let mut select = connection.prepare(sql).map_err(&failed)?;
    let rows = select.query_map((), |found| {
        let number = |at| found.get::<_, i64>(at).map(|number| number as u64);
        let incarnation: Vec<u8> = found.get(0)?;
        Ok((row::incarnation(&incarnation), (number(1)?, number(2)?, number(3)?, number(4)?)))
    });
    let rows = rows.and_then(Iterator::collect::<rusqlite::Result<BTreeMap<_, _>>>);
    let rows = rows.map_err(&failed)?;
    let known = MarketRow::read_all(&connection).map_err(&failed)?;
    let market = |found: MarketRow| {
        let sizes = rows.get(&Some(found.incarnation)).copied().unwrap_or_default();
        let (batches, bytes, newest, _) = sizes;
        MarketStat {
            name: found.name,
            incarnation: found.incarnation,
            deleted: found.deleted.is_some(),
            trimmed: found.trimmed,
            newest: newest.max(found.trimmed),
            batches,
            bytes,
        }
    };
    let mut markets: Vec<_> = known.into_iter().filter_map(Result::ok).map(market).collect();
    markets.sort_by(|a, b| (&a.name, a.incarnation).cmp(&(&b.name, b.incarnation)));
    let last = rows.values().map(|sizes| sizes.3).max().unwrap_or(first.0.saturating_sub(1));
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let file_bytes = (size(database), size(&database.with_extension("db-wal")));
    Ok(Stat { created, first, last: Seq(last), file_bytes, markets })
}

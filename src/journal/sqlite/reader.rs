//! Those who read, beside the writer and without holding it up: each on a read-only
//! connection of its own, in short transactions.

use super::super::row::{self, Kind};
use super::super::{Damage, Error, Group, History, Known, Read, Seq, Stored, Weight};
use super::failed;
use super::schema::{self, Field, KEYS, MarketRow};
use crate::domain::{Incarnation, MarketName, Millis, Revision};
use rusqlite::{Connection, OptionalExtension};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Connections kept for the next who reads.
const IDLE_MAX: usize = 4;

/// Reads a database.
#[derive(Debug)]
pub(super) struct Reader {
    database: PathBuf,
    /// Held while one is taken or given back.
    idle: Mutex<Vec<Connection>>,
}

impl Reader {
    pub(super) fn new(database: PathBuf) -> Self {
        Self { database, idle: Mutex::default() }
    }

    /// Reads in one transaction.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        let connection = match known {
            Some(connection) => connection,
            None => schema::open_to_read(&self.database)?,
        };
        let failed = failed(&self.database, "reading");
        connection.execute_batch("BEGIN").map_err(&failed)?;
        let dir = self.database.parent().unwrap_or(&self.database).display();
        let advice = || format!("stop the server and run `gale journal check {dir}`");
        let result = read(&connection).map_err(|error| error.advise(advice));
        // One that does not end its transaction is not used again.
        if connection.execute_batch("COMMIT").is_ok() {
            let mut idle = idle();
            if idle.len() < IDLE_MAX {
                idle.push(connection);
            }
        }
        result
    }
}

impl Read for Reader {
    fn markets(&self) -> Result<Vec<Known>, Error> {
        self.read(|connection| markets(connection, &self.database))
    }

    fn history(&self, market: Incarnation, from: Revision, bytes: u64) -> Result<History, Error> {
        self.read(|connection| history(connection, &self.database, market, from, bytes))
    }

    fn batches(&self, after: Seq, bytes: u64) -> Result<Vec<Stored>, Error> {
        self.read(|connection| batches(connection, &self.database, after, bytes))
    }

    fn weights(&self, market: Incarnation, count: usize) -> Result<Vec<Weight>, Error> {
        self.read(|connection| {
            weights(connection, market, count).map_err(failed(&self.database, "reading weights"))
        })
    }
}

fn markets(connection: &Connection, database: &Path) -> Result<Vec<Known>, Error> {
    let failed = failed(database, "reading the markets");
    let mut known = Vec::new();
    for found in MarketRow::read_all(connection).map_err(&failed)? {
        let market = found.map_err(|wrong| Damage::of(database, wrong))?;
        let newest = newest(connection, market.incarnation).map_err(&failed)?;
        let name = MarketName::parse("market", &market.name);
        known.push(Known {
            incarnation: market.incarnation,
            name: name.map_err(|wrong| Damage::of(database, wrong.to_string()))?,
            trimmed: Revision(market.trimmed),
            newest: newest.max(Revision(market.trimmed)),
            deleted: market.deleted.is_some(),
        });
    }
    Ok(known)
}

fn newest(connection: &Connection, market: Incarnation) -> rusqlite::Result<Revision> {
    let sql = "SELECT last_revision FROM batches WHERE incarnation = ?1
               ORDER BY last_revision DESC LIMIT 1";
    let mut select = connection.prepare_cached(sql)?;
    let newest = select.query_row((market.bytes(),), |row| row.get::<_, i64>(0)).optional()?;
    Ok(Revision(newest.unwrap_or(0) as u64))
}

fn history(
    connection: &Connection,
    database: &Path,
    market: Incarnation,
    from: Revision,
    limit: u64,
) -> Result<History, Error> {
    let failed = failed(database, "reading history");
    let sql = "SELECT trimmed FROM markets WHERE incarnation = ?1";
    let trimmed = connection.query_row(sql, (market.bytes(),), |row| row.get::<_, i64>(0));
    let Some(trimmed) = trimmed.optional().map_err(&failed)? else {
        return Err(Error::Misuse(format!("there is no market of incarnation {market}")));
    };
    let oldest = Revision(trimmed as u64 + 1);
    let mut next = from.max(oldest);
    let sql = format!(
        "SELECT {KEYS}, bytes, events_crc, length(effects), events FROM batches
         WHERE incarnation = ?1 AND last_revision >= ?2 AND first_revision <= last_revision
         AND kind = 1 ORDER BY last_revision, seq"
    );
    let mut select = connection.prepare_cached(&sql).map_err(&failed)?;
    let mut rows = select.query((market.bytes(), next.0 as i64)).map_err(&failed)?;
    let (mut told, mut bytes) = (Vec::new(), 0);
    while bytes < limit
        && let Some(row) = rows.next().map_err(&failed)?
    {
        let keys = schema::keys_of(row).map_err(&failed)?;
        let keys = keys.map_err(|wrong| Damage::of(database, wrong))?;
        let events = events_of(connection, row, keys.seq).map_err(&failed)?;
        let damaged = |found: String| Error::from(keys.damage(database, found));
        let crc: i64 = row.get(8).map_err(&failed)?;
        if i64::from(keys.crc(&events)) != crc {
            return Err(damaged("its events fail their checksum".into()));
        }
        bytes += events.len() as u64;
        for batch in row::told(&events).map_err(|error| damaged(format!("its events: {error}")))? {
            if batch.revision < next && told.is_empty() {
                continue;
            }
            if batch.revision != next {
                return Err(damaged(format!("revision {next} is missing")));
            }
            next = next.next();
            told.push(batch);
        }
    }
    Ok(History { oldest, batches: told })
}

fn events_of(
    connection: &Connection,
    row: &rusqlite::Row<'_>,
    seq: Seq,
) -> rusqlite::Result<Vec<u8>> {
    let (bytes, effects): (i64, i64) = (row.get(7)?, row.get(9)?);
    let here = row.get_ref(10)?.as_blob().map_or(0, <[u8]>::len) as i64;
    schema::field_of(connection, row, (seq, Field::Events), 10, bytes > here + effects)
}

fn batches(
    connection: &Connection,
    database: &Path,
    after: Seq,
    limit: u64,
) -> Result<Vec<Stored>, Error> {
    let failed = failed(database, "reading batches");
    let sql = format!(
        "SELECT {KEYS}, bytes, effects_crc, length(events), effects FROM batches
         WHERE seq > ?1 ORDER BY seq"
    );
    let mut select = connection.prepare_cached(&sql).map_err(&failed)?;
    let mut rows = select.query((after.0 as i64,)).map_err(&failed)?;
    let (mut stored, mut read, mut next) = (Vec::new(), 0, None);
    while read < limit
        && let Some(row) = rows.next().map_err(&failed)?
    {
        let keys = schema::keys_of(row).map_err(&failed)?;
        let keys = keys.map_err(|wrong| Damage::of(database, wrong))?;
        if next.is_some_and(|next| next != keys.seq) {
            return Err(keys.damage(database, "the batch before it is missing").into());
        }
        next = Some(Seq(keys.seq.0 + 1));
        if keys.kind == Kind::Trimmed {
            continue;
        }
        let effects = effects_of(connection, row, keys.seq).map_err(&failed)?;
        let crc: i64 = row.get(8).map_err(&failed)?;
        let damaged = |found: String| Error::from(keys.damage(database, found));
        if i64::from(keys.crc(&effects)) != crc {
            return Err(damaged("its effects fail their checksum".into()));
        }
        read += effects.len() as u64;
        let record = row::record(&keys, &effects);
        let record = record.map_err(|error| damaged(format!("its effects: {error}")))?;
        let name = keys.market_name().map_err(damaged)?;
        stored.extend(record.map(|record| Stored {
            seq: keys.seq,
            group: Group { incarnation: keys.incarnation, name, record },
        }));
    }
    Ok(stored)
}

fn effects_of(
    connection: &Connection,
    row: &rusqlite::Row<'_>,
    seq: Seq,
) -> rusqlite::Result<Vec<u8>> {
    let (bytes, events): (i64, i64) = (row.get(7)?, row.get(9)?);
    let here = row.get_ref(10)?.as_blob().map_or(0, <[u8]>::len) as i64;
    schema::field_of(connection, row, (seq, Field::Effects), 10, bytes > here + events)
}

fn weights(
    connection: &Connection,
    market: Incarnation,
    count: usize,
) -> rusqlite::Result<Vec<Weight>> {
    let sql = "SELECT last_revision, at, bytes FROM batches WHERE incarnation = ?1 AND kind = 1
               AND last_revision >= (SELECT trimmed FROM markets WHERE incarnation = ?1)
               ORDER BY last_revision, seq LIMIT ?2";
    let mut select = connection.prepare_cached(sql)?;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let rows = select.query_map((market.bytes(), count), |row| {
        let (last, bytes): (i64, i64) = (row.get(0)?, row.get(2)?);
        Ok(Weight { last: Revision(last as u64), at: Millis(row.get(1)?), bytes: bytes as u64 })
    })?;
    rows.collect()
}

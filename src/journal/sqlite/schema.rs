//! The tables, and rows in and out of them.

use super::super::row::{self, Keys, Kind, Row};
use super::super::{Seq, directory};
use super::failed;
use crate::domain::Incarnation;
use crate::journal::{Damage, Error};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// The format of the tables.
pub(super) const FORMAT: i64 = 1;

/// What belongs to the tables, as the database itself writes it down.
const TABLES: [(&str, &str); 5] = [
    (
        "batches",
        "CREATE TABLE batches (
            seq INTEGER PRIMARY KEY,
            kind INTEGER NOT NULL,
            incarnation BLOB NOT NULL,
            market TEXT NOT NULL,
            first_revision INTEGER NOT NULL,
            last_revision INTEGER NOT NULL,
            at INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            events_crc INTEGER NOT NULL,
            effects_crc INTEGER NOT NULL,
            events BLOB NOT NULL,
            effects BLOB NOT NULL
        ) STRICT",
    ),
    (
        "batches_by_revision",
        "CREATE INDEX batches_by_revision ON batches (incarnation, last_revision)",
    ),
    (
        "markets",
        "CREATE TABLE markets (
            incarnation BLOB PRIMARY KEY,
            name TEXT NOT NULL,
            trimmed INTEGER NOT NULL,
            deleted INTEGER NOT NULL,
            crc INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID",
    ),
    (
        "meta",
        "CREATE TABLE meta (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            format INTEGER NOT NULL,
            server BLOB NOT NULL,
            created INTEGER NOT NULL,
            first INTEGER NOT NULL,
            crc INTEGER NOT NULL
        ) STRICT",
    ),
    (
        "parts",
        "CREATE TABLE parts (
            seq INTEGER NOT NULL,
            field INTEGER NOT NULL,
            part INTEGER NOT NULL,
            bytes BLOB NOT NULL,
            PRIMARY KEY (seq, field, part)
        ) STRICT, WITHOUT ROWID",
    ),
];

/// Columns of `batches` in the order in which [`keys_of`] reads them.
pub(super) const KEYS: &str = "seq, kind, incarnation, market, first_revision, last_revision, at";

/// What the journal knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// Drawn when the journal was made; the mark has it too.
    pub server: Uuid,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// The oldest batch of which anything is left.
    pub first: Seq,
}

impl Meta {
    fn crc(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(self.server.as_bytes());
        crc.update(&self.created.to_le_bytes());
        crc.update(&self.first.0.to_le_bytes());
        crc.finalize()
    }

    /// Writes it down in place of what is there.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO meta VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let (server, first) = (self.server.as_bytes(), self.first.0 as i64);
        connection.execute(sql, (FORMAT, server, self.created, first, self.crc()))?;
        Ok(())
    }

    /// Reads it; what is wrong with it otherwise.
    pub(super) fn read(connection: &Connection, database: &Path) -> Result<Self, Error> {
        let sql = "SELECT format, server, created, first, crc FROM meta";
        let found = connection.query_row(sql, (), |row| {
            let server: Vec<u8> = row.get(1)?;
            let (format, created, first): (i64, i64, i64) = (row.get(0)?, row.get(2)?, row.get(3)?);
            Ok((format, server, created, first, row.get::<_, i64>(4)?))
        });
        let (format, server, created, first, crc) = match found {
            Err(rusqlite::Error::QueryReturnedNoRows) => {
                return Err(Damage::of(database, "table meta is empty").into());
            }
            found => found.map_err(failed(database, "reading table meta"))?,
        };
        if format != FORMAT {
            let found =
                format!("it is of format {format}; this version of gale reads format {FORMAT}");
            return Err(Damage::of(database, found)
                .advice("another version of gale wrote it")
                .into());
        }
        let server = Uuid::from_slice(&server).unwrap_or_default();
        let meta = Self { server, created, first: Seq(first as u64) };
        if i64::from(meta.crc()) != crc {
            return Err(Damage::of(database, "table meta fails its checksum").into());
        }
        Ok(meta)
    }
}

/// A row of `markets`.
#[derive(Clone, Debug)]
pub(super) struct MarketRow {
    pub incarnation: Incarnation,
    pub name: String,
    pub trimmed: u64,
    pub deleted: Option<Seq>,
}

impl MarketRow {
    fn crc(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(self.incarnation.bytes());
        crc.update(self.name.as_bytes());
        crc.update(&self.trimmed.to_le_bytes());
        crc.update(&self.deleted.unwrap_or_default().0.to_le_bytes());
        crc.finalize()
    }

    /// Writes it down in place of what is there.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO markets VALUES (?1, ?2, ?3, ?4, ?5)";
        let deleted = self.deleted.unwrap_or_default().0 as i64;
        let (market, trimmed) = (self.incarnation.bytes(), self.trimmed as i64);
        let mut insert = connection.prepare_cached(sql)?;
        insert.execute((market, &self.name, trimmed, deleted, self.crc()))?;
        Ok(())
    }

    /// All of them; a `String` says what is wrong with one.
    pub(super) fn read_all(connection: &Connection) -> rusqlite::Result<Vec<Result<Self, String>>> {
        let sql = "SELECT incarnation, name, trimmed, deleted, crc FROM markets";
        let mut select = connection.prepare(sql)?;
        let rows = select.query_map((), |row| {
            let incarnation: Vec<u8> = row.get(0)?;
            let (trimmed, deleted): (i64, i64) = (row.get(2)?, row.get(3)?);
            let found = Self {
                incarnation: row::incarnation(&incarnation).unwrap_or(Incarnation(Uuid::nil())),
                name: row.get(1)?,
                trimmed: trimmed as u64,
                deleted: (deleted != 0).then_some(Seq(deleted as u64)),
            };
            let whole = i64::from(found.crc()) == row.get::<_, i64>(4)?;
            let wrong = || format!("table markets fails its checksum at {}", found.name);
            Ok(if whole { Ok(found) } else { Err(wrong()) })
        })?;
        rows.collect()
    }
}

/// The keys of a row that starts with the columns [`KEYS`].
pub(super) fn keys_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Keys, String>> {
    let number = |at| row.get::<_, i64>(at);
    let seq = Seq(number(0)? as u64);
    let Some(kind) = Kind::of(number(1)?) else {
        return Ok(Err(format!("batch {seq} is of an unknown kind")));
    };
    let Some(incarnation) = row::incarnation(row.get_ref(2)?.as_blob().unwrap_or_default()) else {
        return Ok(Err(format!("batch {seq} has a malformed incarnation")));
    };
    let (first, last) = (number(4)? as u64, number(5)? as u64);
    Ok(Ok(Keys { seq, kind, incarnation, name: row.get(3)?, first, last, at: number(6)? }))
}

/// A field of a batch that is kept in parts.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Events = 0,
    Effects = 1,
}

/// The bytes of a field: those in its row, and the parts if its row says that there are.
pub(super) fn field_of(
    connection: &Connection,
    row: &rusqlite::Row<'_>,
    (seq, field): (Seq, Field),
    column: usize,
    in_parts: bool,
) -> rusqlite::Result<Vec<u8>> {
    let mut bytes = row.get_ref(column)?.as_blob().unwrap_or_default().to_vec();
    if in_parts {
        let sql = "SELECT bytes FROM parts WHERE seq = ?1 AND field = ?2 ORDER BY part";
        let mut select = connection.prepare_cached(sql)?;
        let mut parts = select.query((seq.0 as i64, field as i64))?;
        while let Some(part) = parts.next()? {
            bytes.extend_from_slice(part.get_ref(0)?.as_blob().unwrap_or_default());
        }
    }
    Ok(bytes)
}

/// Writes a batch down.
pub(super) fn insert(
    connection: &Connection,
    row: &Row,
    part_bytes: usize,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let keys = &row.keys;
    let seq = keys.seq.0 as i64;
    let (events, more_events) = row.events.split_at(row.events.len().min(part_bytes));
    let (effects, more_effects) = row.effects.split_at(row.effects.len().min(part_bytes));
    connection.prepare_cached(sql)?.execute(rusqlite::params![
        seq,
        keys.kind as i64,
        keys.incarnation.bytes(),
        keys.name,
        keys.first as i64,
        keys.last as i64,
        keys.at,
        row.bytes() as i64,
        row.events_crc,
        row.effects_crc,
        events,
        effects,
    ])?;
    for (field, more) in [(Field::Events, more_events), (Field::Effects, more_effects)] {
        for (part, bytes) in (0_i64..).zip(more.chunks(part_bytes)) {
            let sql = "INSERT INTO parts VALUES (?1, ?2, ?3, ?4)";
            connection.prepare_cached(sql)?.execute((seq, field as i64, part, bytes))?;
        }
    }
    Ok(())
}

/// Opens the database to write, and makes its tables if `meta` is given.
pub(super) fn open_to_write(database: &Path, meta: Option<&Meta>) -> Result<Connection, Error> {
    let failed = failed(database, "opening the database");
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, meta.is_some());
    let mut connection = Connection::open_with_flags(database, flags).map_err(&failed)?;
    // Checkpoints are the writer's own, so that the mark goes with each.
    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
        PRAGMA checkpoint_fullfsync = ON; PRAGMA wal_autocheckpoint = 0;
        PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY";
    connection.execute_batch(pragmas).map_err(&failed)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(&failed)?;
    connection.set_prepared_statement_cache_capacity(32);
    if let Some(meta) = meta {
        let make = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            TABLES.iter().try_for_each(|(_, sql)| transaction.execute_batch(sql))?;
            meta.write(&transaction)?;
            transaction.commit()
        };
        make(&mut connection).map_err(&failed)?;
        directory::sync(database.parent().unwrap_or(database))?;
    }
    Ok(connection)
}

/// Opens the database to read. Leaves its files as they are, also when it is the last
/// to close them.
pub(super) fn open_to_read(database: &Path) -> Result<Connection, Error> {
    let failed = failed(database, "opening the database to read");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(&failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(&failed)?;
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA cell_size_check = ON")
        .map_err(&failed)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(&failed)?;
    Ok(connection)
}

/// Whether the tables are those that were made; what is wrong otherwise.
pub(super) fn check(connection: &Connection, database: &Path) -> Result<(), Error> {
    let doing = "reading the schema";
    let read = || {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut select = connection.prepare(sql)?;
        let rows =
            select.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let found = match read() {
        // A schema that does not parse is an error like any other to SQLite.
        Err(rusqlite::Error::SqliteFailure(failure, message))
            if failure.extended_code == rusqlite::ffi::SQLITE_ERROR =>
        {
            return Err(Damage::of(database, message.unwrap_or_else(|| failure.to_string())).into());
        }
        found => found.map_err(failed(database, doing))?,
    };
    let same = found.len() == TABLES.len()
        && found
            .iter()
            .zip(&TABLES)
            .all(|(found, (name, sql))| found.0 == *name && found.1 == *sql);
    if !same {
        return Err(Damage::of(database, "its tables are not those of a journal").into());
    }
    Ok(())
}

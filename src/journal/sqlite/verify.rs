//! Holds everything that was kept against everything that is known of it.

use super::super::chain::Chain;
use super::super::mark::{self, Marked};
use super::super::row::{self, Row};
use super::super::snapshot::{Listed, Snapshots};
use super::super::{Damage, Directory, Error, Known, Seq, recovery};
use super::failed;
use super::schema::{self, Field, KEYS, MarketRow, Meta};
use crate::domain::Revision;
use rusqlite::Connection;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// What can be done where the database does not even say what it holds.
pub(super) const BACKUP: &str = "no batch of it can be told from another: put the data \
    directory back from a backup";

/// A journal that is whole.
#[derive(Debug)]
pub(super) struct Whole {
    pub meta: Meta,
    pub marked: Marked,
    pub chain: Chain,
    pub last: Seq,
    pub batches: u64,
    pub bytes: u64,
}

/// What an offline check has found of the database and its mark.
#[derive(Clone, Debug)]
pub struct Report {
    /// The markets.
    pub markets: Vec<Known>,
    /// The oldest batch of which anything is left.
    pub first: Seq,
    /// The last batch.
    pub last: Seq,
    /// The last batch that the mark knows of.
    pub marked: Seq,
    /// Whether a slot of the mark is damaged; another stands in for it.
    pub mark_partly: bool,
    /// Batches that are not trimmed.
    pub batches: u64,
    /// Bytes of their effects and events.
    pub bytes: u64,
}

/// Verifies a journal that nobody has open, and changes nothing. Whether every batch
/// also decodes is checked, which opening leaves to whoever reads them.
pub fn check(directory: &Directory) -> Result<Report, Error> {
    check_all(directory).map_err(|error| error.advise(|| BACKUP.into()))
}

fn check_all(directory: &Directory) -> Result<Report, Error> {
    let connection = schema::open_to_read(&directory.database())?;
    let whole = verify(directory, &connection, |row| {
        row::record(&row.keys, &row.effects).map_err(|error| format!("its effects: {error}"))?;
        row::told(&row.events).map_err(|error| format!("its events: {error}"))?;
        Ok(())
    })?;
    integrity(&connection, &directory.database(), "PRAGMA integrity_check(1)")
        .map_err(|error| with_intact(error, directory, whole.last))?;
    Ok(Report {
        markets: whole.chain.known(),
        first: whole.meta.first,
        last: whole.last,
        marked: whole.marked.seq,
        mark_partly: whole.marked.partly,
        batches: whole.batches,
        bytes: whole.bytes,
    })
}

/// Reads the whole journal and calls `each` with every batch that is in order.
pub(super) fn verify(
    directory: &Directory,
    connection: &Connection,
    each: impl FnMut(&Row) -> Result<(), String>,
) -> Result<Whole, Error> {
    let database = &directory.database();
    schema::check(connection, database)?;
    let meta = Meta::read(connection, database)?;
    let mut intact = Seq(meta.first.0.saturating_sub(1));
    let scanned = scan(database, connection, meta, &mut intact, each);
    let scanned = scanned.and_then(|whole| {
        let marked = check_mark(directory, &meta, whole.last)?;
        integrity(connection, database, "PRAGMA quick_check(1)")?;
        check_promises(directory, &whole.chain)?;
        Ok(Whole { marked, ..whole })
    });
    scanned.map_err(|error| with_intact(error, directory, intact))
}

/// What was found with how far everything is intact.
fn with_intact(error: Error, directory: &Directory, intact: Seq) -> Error {
    match error {
        Error::Damaged(damage) if damage.advice.is_empty() => {
            damage.intact(directory.path(), intact).into()
        }
        other => other,
    }
}

/// Reads all batches in order; `intact` moves on with each that is.
fn scan(
    database: &Path,
    connection: &Connection,
    meta: Meta,
    intact: &mut Seq,
    mut each: impl FnMut(&Row) -> Result<(), String>,
) -> Result<Whole, Error> {
    let failed = failed(database, "reading the batches");
    let mut chain = Chain::default();
    for found in MarketRow::read_all(connection).map_err(&failed)? {
        let market = found.map_err(|wrong| Damage::of(database, wrong))?;
        chain.knows(market.incarnation, market.name, market.trimmed, market.deleted);
    }
    let (mut batches, mut bytes, mut index) = (0, 0, Index::default());
    each_batch(connection, database, &mut chain, intact, None, |row| {
        each(row).map_err(|wrong| row.keys.damage(database, wrong))?;
        index.add(row.keys.incarnation.bytes(), row.keys.last, row.keys.seq);
        batches += u64::from(row.keys.kind != row::Kind::Trimmed);
        bytes += row.bytes();
        Ok(())
    })?;
    if index != Index::read(connection).map_err(&failed)? {
        return Err(Damage::of(database, "the index by revision does not fit the batches").into());
    }
    let marked = Marked::default();
    Ok(Whole { meta, marked, chain, last: *intact, batches, bytes })
}

/// Calls `each` with the batches after `intact`, in order, up to `to`, each of which must
/// be as it was written and follow those before; `intact` moves on with it.
pub(super) fn each_batch(
    connection: &Connection,
    database: &Path,
    chain: &mut Chain,
    intact: &mut Seq,
    to: Option<Seq>,
    mut each: impl FnMut(&Row) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = failed(database, "reading the batches");
    let sql = format!(
        "SELECT {KEYS}, bytes, events_crc, effects_crc, events, effects FROM batches NOT INDEXED
         WHERE seq <= ?1 ORDER BY seq"
    );
    let mut select = connection.prepare(&sql).map_err(&failed)?;
    let to = to.map_or(i64::MAX, |to| to.0 as i64);
    let mut rows = select.query((to,)).map_err(&failed)?;
    while let Some(found) = rows.next().map_err(&failed)? {
        let row = row_of(connection, found).map_err(&failed)?;
        let row = row.map_err(|wrong| Damage::of(database, wrong))?;
        let expected = Seq(intact.0 + 1);
        if row.keys.seq != expected {
            return Err(missing(database, expected, row.keys.seq).into());
        }
        let checked = whole(&row).and_then(|()| chain.check(&row.keys));
        checked.map_err(|wrong| row.keys.damage(database, wrong))?;
        each(&row)?;
        *intact = expected;
    }
    Ok(())
}

fn missing(database: &Path, expected: Seq, found: Seq) -> Damage {
    let found = if found < expected {
        format!("batch {found} stands where {expected} should")
    } else {
        format!("batches {expected}..{} are missing", found.0 - 1)
    };
    Damage { seq: Some(expected), ..Damage::of(database, found) }
}

/// A row of `batches` with everything; what is wrong with its keys otherwise.
pub(super) fn row_of(
    connection: &Connection,
    found: &rusqlite::Row<'_>,
) -> rusqlite::Result<Result<Row, String>> {
    let keys = match schema::keys_of(found)? {
        Ok(keys) => keys,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let bytes: i64 = found.get(7)?;
    let here = |column| -> rusqlite::Result<usize> {
        Ok(found.get_ref(column)?.as_blob().map_or(0, <[u8]>::len))
    };
    let in_parts = bytes as u64 > (here(10)? + here(11)?) as u64;
    let field =
        |field, column| schema::field_of(connection, found, (keys.seq, field), column, in_parts);
    let (events, effects) = (field(Field::Events, 10)?, field(Field::Effects, 11)?);
    let crc = |at| found.get::<_, i64>(at).map(|crc| u32::try_from(crc).unwrap_or_default());
    let (events_crc, effects_crc) = (crc(8)?, crc(9)?);
    let row = Row { keys, events, effects, events_crc, effects_crc };
    if row.bytes() != bytes as u64 {
        return Ok(Err(format!("batch {} has {} bytes, not {bytes}", row.keys.seq, row.bytes())));
    }
    Ok(Ok(row))
}

/// Whether a batch is as it was written.
fn whole(row: &Row) -> Result<(), String> {
    let parts =
        [("events", &row.events, row.events_crc), ("effects", &row.effects, row.effects_crc)];
    match parts.iter().find(|(_, bytes, crc)| row.keys.crc(bytes) != *crc) {
        Some((name, ..)) => Err(format!("its {name} fail their checksum")),
        None => Ok(()),
    }
}

/// What stands in the index by revision, whatever its order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Index {
    count: u64,
    sum: u64,
}

impl Index {
    fn add(&mut self, incarnation: &[u8], last: u64, seq: Seq) {
        let mut key = [0; 32];
        let used = incarnation.len().min(16);
        key[..used].copy_from_slice(&incarnation[..used]);
        key[16..24].copy_from_slice(&last.to_le_bytes());
        key[24..].copy_from_slice(&seq.0.to_le_bytes());
        self.count += 1;
        self.sum = self.sum.wrapping_add(xxh3_64(&key));
    }

    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT incarnation, last_revision, seq FROM batches \
                   INDEXED BY batches_by_revision ORDER BY incarnation, last_revision";
        let mut select = connection.prepare(sql)?;
        let mut rows = select.query(())?;
        let mut index = Self::default();
        while let Some(row) = rows.next()? {
            let (last, seq): (i64, i64) = (row.get(1)?, row.get(2)?);
            index.add(row.get_ref(0)?.as_blob().unwrap_or_default(), last as u64, Seq(seq as u64));
        }
        Ok(index)
    }
}

/// Whether every market that is trimmed has a snapshot to start from.
fn check_promises(directory: &Directory, chain: &Chain) -> Result<(), Error> {
    let listed = Snapshots::of(directory.snapshots()).list_all()?;
    for known in chain.known() {
        let serves =
            |at: &Listed| at.incarnation == known.incarnation && at.revision >= known.trimmed;
        let promised = !known.deleted && known.trimmed > Revision(0);
        if promised && !listed.iter().any(serves) {
            return Err(recovery::promised(&known, None).into());
        }
    }
    Ok(())
}

/// What SQLite itself finds of its pages.
fn integrity(connection: &Connection, database: &Path, pragma: &str) -> Result<(), Error> {
    let found = connection.query_row(pragma, (), |row| row.get::<_, String>(0));
    let found = found.map_err(failed(database, "checking the pages"))?;
    if found == "ok" { Ok(()) } else { Err(Damage::of(database, found).into()) }
}

/// Whether the journal goes as far as its mark.
fn check_mark(directory: &Directory, meta: &Meta, last: Seq) -> Result<Marked, Error> {
    let path = &directory.mark();
    let Some(marked) = mark::read(path)? else {
        let found = format!("it is missing; whether batch {last} is the last cannot be told");
        return Err(Damage::of(path, found).into());
    };
    if marked.server != meta.server {
        return Err(Damage::of(path, "it belongs to another journal").into());
    }
    if marked.seq > last {
        let found = format!(
            "the journal ends with batch {last}, but batch {} was durable: {} are lost",
            marked.seq,
            marked.seq.0 - last.0
        );
        return Err(Damage {
            seq: Some(Seq(last.0 + 1)),
            ..Damage::of(directory.database(), found)
        }
        .into());
    }
    Ok(marked)
}

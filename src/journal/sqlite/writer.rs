//! The one who writes.

use super::super::chain::Chain;
use super::super::mark::{self, Mark};
use super::super::row::{Keys, Row};
use super::super::snapshot::Snapshots;
use super::super::{Damage, Directory, Error, Group, Journal, Read, Record, Seq};
use super::reader::Reader;
use super::schema::{self, KEYS, MarketRow, Meta};
use super::verify::{BACKUP, Whole, verify};
use super::{Options, failed};
use crate::domain::{Incarnation, Revision};
use rusqlite::{Connection, OpenFlags, Transaction};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tracing::{debug, info, warn};
use uuid::Uuid;

/// Batches that are trimmed at once: a few milliseconds of work.
const TRIMMED_AT_ONCE: usize = 256;

/// The durable journal of a data directory.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    directory: Directory,
    database: PathBuf,
    options: Options,
    meta: Meta,
    chain: Chain,
    last: Seq,
    mark: Mark,
    marked_at: Instant,
    /// Bytes of batches since the log was last taken into the database.
    unsettled_bytes: u64,
    reader: Arc<Reader>,
}

/// Opens the journal of a data directory, or makes one if there has been none. Everything
/// that is there is verified first, and nothing is written if anything is damaged.
pub fn open(directory: Directory, options: Options) -> Result<Sqlite, Error> {
    open_or_make(directory, options).map_err(|error| error.advise(|| BACKUP.into()))
}

fn open_or_make(directory: Directory, options: Options) -> Result<Sqlite, Error> {
    let started = Instant::now();
    let database = directory.database();
    let path = directory.mark();
    let marked = mark::read(&path)?;
    if is_new(&directory, marked.as_ref().map(|marked| marked.made()))? {
        let server = marked.map_or_else(Uuid::new_v4, |marked| marked.server);
        return make(directory, options, server);
    }
    let reading = schema::open_to_read(&database)?;
    let whole = verify(&directory, &reading, |_| Ok(()))?;
    // Only now: until here nothing of what is damaged has been touched.
    let connection = schema::open_to_write(&database, None)?;
    drop(reading);
    let Whole { meta, marked, chain, last, batches, bytes } = whole;
    if marked.partly {
        warn!(file = %path.display(), "a slot of the mark is damaged; another stood in for it");
    }
    if marked.seq < last {
        debug!(marked = marked.seq.0, last = last.0, "the journal goes on after its mark");
    }
    let mut mark = Mark::go_on(&path, marked)?;
    mark.sync(last)?;
    let ms = started.elapsed().as_millis() as u64;
    info!(dir = %directory.path().display(), batches, bytes, last = last.0, ms, "journal opened");
    Ok(Sqlite::new((connection, directory, options), (meta, chain, last, mark)))
}

/// Whether there has been no journal yet. A file that is missing where there has been
/// one is damage. `made` says whether it had been made completely, if there is a mark.
fn is_new(directory: &Directory, made: Option<bool>) -> Result<bool, Error> {
    let database = directory.database();
    let exists = |path: &Path| path.try_exists().map_err(Error::io(path, "looking for a file"));
    let advice = "put the file back from where it went, or start with an empty directory";
    if !exists(&database)? {
        let log = database.with_extension("db-wal");
        let snapshots = directory.snapshots();
        let snapshotted = !Snapshots::of(snapshots.clone()).list_all()?.is_empty();
        let marked = made == Some(true);
        let traces = [(marked, directory.mark()), (exists(&log)?, log), (snapshotted, snapshots)];
        return match traces.into_iter().find(|(there, _)| *there) {
            None => Ok(true),
            Some((_, trace)) => {
                let found = format!("it is missing, but {} is there", trace.display());
                Err(Damage::of(database, found).advice(advice).into())
            }
        };
    }
    // A process may have ended while it made the journal: then there are no tables yet, and
    // what it had begun to write is to be rolled back, by a connection that may write.
    let connection = match made {
        Some(true) => return Ok(false),
        Some(false) => Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(failed(&database, "opening a database that was not finished"))?,
        None => schema::open_to_read(&database)?,
    };
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0));
    let tables: i64 = tables.map_err(failed(&database, "looking for tables"))?;
    Ok(tables == 0)
}

fn make(directory: Directory, options: Options, server: Uuid) -> Result<Sqlite, Error> {
    let database = directory.database();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let created = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let meta = Meta { server, created, first: Seq(1) };
    let mut mark = Mark::make(&directory.mark(), server, Seq(0))?;
    let connection = schema::open_to_write(&database, Some(&meta))?;
    checkpoint(&connection, &database, "TRUNCATE")?;
    // From now on a journal without tables is damaged.
    mark.sync(Seq(0))?;
    info!(dir = %directory.path().display(), "journal made");
    Ok(Sqlite::new((connection, directory, options), (meta, Chain::default(), Seq(0), mark)))
}

impl Sqlite {
    fn new(
        (connection, directory, options): (Connection, Directory, Options),
        (meta, chain, last, mark): (Meta, Chain, Seq, Mark),
    ) -> Self {
        let database = directory.database();
        let reader = Arc::new(Reader::new(database.clone()));
        let marked_at = Instant::now();
        let unsettled_bytes = 0;
        Self {
            connection,
            directory,
            database,
            options,
            meta,
            chain,
            last,
            mark,
            marked_at,
            unsettled_bytes,
            reader,
        }
    }

    /// The data directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Syncs the mark if it lags behind.
    fn sync_mark(&mut self) -> Result<(), Error> {
        if self.mark.synced() < self.last {
            self.mark.sync(self.last)?;
        }
        self.marked_at = Instant::now();
        Ok(())
    }

    /// What is due before the next commit. It comes before, because a commit that is
    /// durable must not be reported as failed.
    fn keep_up(&mut self) -> Result<(), Error> {
        let settle = self.unsettled_bytes >= self.options.checkpoint_bytes;
        if settle || self.marked_at.elapsed() >= self.options.mark_every {
            self.sync_mark()?;
        }
        if settle {
            checkpoint(&self.connection, &self.database, "PASSIVE")?;
            self.unsettled_bytes = 0;
        }
        Ok(())
    }

    /// Whether a snapshot leads to what is left of a market that is trimmed to `to`.
    fn check_snapshot(&self, market: Incarnation, to: Revision) -> Result<(), Error> {
        let listed = Snapshots::of(self.directory.snapshots()).list(market)?;
        if listed.iter().any(|listed| listed.revision >= to) {
            return Ok(());
        }
        Err(Error::Misuse(format!("market {market} has no snapshot from revision {to} on")))
    }

    fn rows(&mut self, groups: &[Group]) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::with_capacity(groups.len());
        let mut seq = self.last;
        for group in groups {
            seq.0 += 1;
            let before = self.chain.admit(seq, group)?;
            rows.push(Row::of(seq, group, before));
        }
        Ok(rows)
    }

    /// Writes the batches in one transaction.
    fn write(&mut self, groups: &[Group], rows: &[Row]) -> Result<(), Error> {
        let failed = failed(&self.database, "appending");
        let transaction = self.connection.transaction().map_err(&failed)?;
        for (group, row) in groups.iter().zip(rows) {
            schema::insert(&transaction, row, self.options.part_bytes).map_err(&failed)?;
            let deleted = matches!(group.record, Record::Deleted(_));
            if deleted || row.keys.first == 1 {
                let market = market_row(&self.chain, group.incarnation);
                market.map_or(Ok(()), |market| market.write(&transaction)).map_err(&failed)?;
            }
        }
        transaction.commit().map_err(&failed)
    }
}

fn market_row(chain: &Chain, incarnation: Incarnation) -> Option<MarketRow> {
    let link = chain.get(incarnation)?;
    let (name, trimmed, deleted) = (link.name.clone(), link.trimmed, link.deleted);
    Some(MarketRow { incarnation, name, trimmed, deleted })
}

impl Journal for Sqlite {
    fn append(&mut self, groups: &[Group]) -> Result<Seq, Error> {
        self.keep_up()?;
        let saved = self.chain.save(groups);
        let result = self.rows(groups).and_then(|rows| {
            self.write(groups, &rows)?;
            Ok((rows.len() as u64, rows.iter().map(Row::bytes).sum::<u64>()))
        });
        match result {
            Ok((count, bytes)) => {
                self.last.0 += count;
                // A row takes about so much beside what it says.
                self.unsettled_bytes += bytes + 128 * count;
                if let Err(error) = self.mark.note(self.last) {
                    warn!(%error, "the mark lags behind until it is synced");
                }
                Ok(self.last)
            }
            Err(error) => {
                self.chain.restore(saved);
                Err(error)
            }
        }
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.sync_mark()
    }

    fn trim(&mut self, market: Incarnation, to: Revision) -> Result<bool, Error> {
        let Some(link) = self.chain.get(market) else { return Ok(false) };
        // What was deleted goes whole, the deletion last.
        let to = if link.deleted.is_some() {
            i64::MAX as u64
        } else {
            self.check_snapshot(market, to)?;
            to.0
        };
        let failed = failed(&self.database, "trimming");
        let transaction = self.connection.transaction().map_err(&failed)?;
        let oldest = oldest(&transaction, market, link.trimmed, to).map_err(&failed)?;
        let (more, oldest) = oldest;
        let trimmed = oldest.last().map(|keys| keys.last);
        let link = market_row(&self.chain, market);
        let work = || {
            for keys in &oldest {
                hollow(&transaction, Row::husk(keys.clone()))?;
            }
            if let (Some(trimmed), Some(link)) = (trimmed, link) {
                MarketRow { trimmed, ..link }.write(&transaction)?;
            }
            purge(&transaction, self.meta)
        };
        let (meta, gone) = work().map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        if let Some(trimmed) = trimmed {
            self.chain.trimmed(market, trimmed);
        }
        gone.into_iter().for_each(|market| self.chain.forget(market));
        self.meta = meta;
        self.unsettled_bytes += 128 * oldest.len() as u64;
        Ok(more)
    }

    fn reader(&self) -> Arc<dyn Read> {
        self.reader.clone()
    }
}

/// The oldest batches of a market that are not trimmed and end at `to` at most, and
/// whether there are more.
fn oldest(
    transaction: &Transaction<'_>,
    market: Incarnation,
    trimmed: u64,
    to: u64,
) -> rusqlite::Result<(bool, Vec<Keys>)> {
    // One that makes no revision goes with the revision after it: a snapshot of its own
    // revision may not have it yet.
    let sql = format!(
        "SELECT {KEYS} FROM batches WHERE incarnation = ?1 AND last_revision BETWEEN ?2 AND ?3
         AND first_revision <= ?3 AND kind <> 0 ORDER BY last_revision, seq LIMIT ?4"
    );
    let mut select = transaction.prepare_cached(&sql)?;
    let to = i64::try_from(to).unwrap_or(i64::MAX);
    let limit = TRIMMED_AT_ONCE as i64 + 1;
    let mut rows = select.query((market.bytes(), trimmed as i64, to, limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        // A row that is damaged was found when the journal was opened, or will be.
        let Ok(keys) = schema::keys_of(row)? else { break };
        found.push(keys);
    }
    let more = found.len() > TRIMMED_AT_ONCE;
    found.truncate(TRIMMED_AT_ONCE);
    Ok((more, found))
}

/// Takes out of a batch what it says, and leaves its place.
fn hollow(transaction: &Transaction<'_>, husk: Row) -> rusqlite::Result<()> {
    let seq = husk.keys.seq.0 as i64;
    let sql = "UPDATE batches SET kind = ?2, bytes = 0, events_crc = ?3, effects_crc = ?4,
               events = x'', effects = x'' WHERE seq = ?1";
    let husk = (seq, husk.keys.kind as i64, husk.events_crc, husk.effects_crc);
    transaction.prepare_cached(sql)?.execute(husk)?;
    transaction.prepare_cached("DELETE FROM parts WHERE seq = ?1")?.execute((seq,))?;
    Ok(())
}

/// Drops places that nothing stands before, and markets of which nothing is left.
fn purge(transaction: &Transaction<'_>, meta: Meta) -> rusqlite::Result<(Meta, Vec<Incarnation>)> {
    let sql = "SELECT kind <> 0 FROM batches WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
    let mut select = transaction.prepare_cached(sql)?;
    let mut kinds = select.query((meta.first.0 as i64, 4 * TRIMMED_AT_ONCE as i64))?;
    let mut first = meta.first;
    while let Some(row) = kinds.next()? {
        if row.get::<_, bool>(0)? {
            break;
        }
        first.0 += 1;
    }
    drop(kinds);
    let meta = Meta { first, ..meta };
    let sql = "DELETE FROM batches WHERE seq < ?1";
    if transaction.prepare_cached(sql)?.execute((first.0 as i64,))? == 0 {
        return Ok((meta, Vec::new()));
    }
    meta.write(transaction)?;
    let sql = "DELETE FROM markets WHERE deleted BETWEEN 1 AND ?1 RETURNING incarnation";
    let mut delete = transaction.prepare_cached(sql)?;
    let gone = delete.query_map((first.0 as i64 - 1,), |row| row.get::<_, Vec<u8>>(0))?;
    let gone = gone.collect::<rusqlite::Result<Vec<_>>>()?;
    let gone = gone.iter().filter_map(|bytes| super::super::row::incarnation(bytes)).collect();
    Ok((meta, gone))
}

/// Takes the write-ahead log into the database.
pub(super) fn checkpoint(
    connection: &Connection,
    database: &Path,
    mode: &str,
) -> Result<(), Error> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    // Readers may keep some of it in the log; the next one takes that.
    connection.query_row(&sql, (), |_| Ok(())).map_err(failed(database, "taking the log in"))
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        let settled = self.sync_mark();
        let settled =
            settled.and_then(|()| checkpoint(&self.connection, &self.database, "TRUNCATE"));
        if let Err(error) = settled {
            warn!(%error, "the journal was not closed cleanly; nothing is lost by that");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Goal: a process that ends while it makes the journal leaves a directory in which the
    /// next one makes it. Method: the files as they lie in the middle of a transaction on a
    /// database that is all but empty, beside a mark that says that it is not finished.
    #[test]
    fn a_journal_that_was_not_finished_is_made_anew() {
        let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let begun = aside.path().join("gale.db");
        let connection = Connection::open(&begun).unwrap();
        connection.execute_batch("PRAGMA user_version = 1; PRAGMA cache_size = 1").unwrap();
        connection.execute_batch("BEGIN; CREATE TABLE t (x); CREATE TABLE u (x)").unwrap();
        let directory = Directory::take(dir.path()).unwrap();
        Mark::make(&directory.mark(), Uuid::new_v4(), Seq(0)).unwrap();
        for name in ["gale.db", "gale.db-journal"] {
            fs::copy(aside.path().join(name), dir.path().join(name)).unwrap();
        }
        assert!(fs::metadata(dir.path().join("gale.db-journal")).unwrap().len() > 0);
        let journal = open(directory, Options::default()).unwrap();
        assert_eq!(journal.last, Seq(0));
        drop(journal);
        open(Directory::take(dir.path()).unwrap(), Options::default()).unwrap();
    }
}

//! Gives up the end of a damaged journal, so that the rest can be used again.
//!
//! Nothing of what is damaged is written to: the intact batches are copied into a new
//! database, and the old files are kept in a directory beside it.

use super::super::chain::Chain;
use super::super::mark::Mark;
use super::super::row::Kind;
use super::super::snapshot::Snapshots;
use super::super::{Damage, Directory, Error, Seq, directory};
use super::schema::{self, KEYS, MarketRow, Meta};
use super::writer::checkpoint;
use super::{Options, failed, verify};
use crate::domain::{Incarnation, Revision};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a repair has given up.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The batch with which the journal ends now.
    pub last: Seq,
    /// Batches after it that could still be read.
    pub batches: u64,
    /// Of which markets they were.
    pub markets: Vec<LostMarket>,
    /// Snapshots of states that are given up with them.
    pub snapshots: Vec<PathBuf>,
    /// Where the old files are kept.
    pub kept_in: PathBuf,
}

/// What a repair has given up of one market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostMarket {
    /// Its name.
    pub name: String,
    /// The creation of the market.
    pub incarnation: Incarnation,
    /// The revisions that could still be read: first and last.
    pub revisions: (u64, u64),
    /// Whether the market is gone altogether.
    pub whole: bool,
}

/// Cuts the journal after batch `to`. Everything up to it must be intact.
pub fn repair(directory: &Directory, to: Seq) -> Result<Lost, Error> {
    let database = directory.database();
    let old = schema::open_to_read(&database)?;
    schema::check(&old, &database)?;
    let meta = Meta::read(&old, &database)?;
    if to.0 + 1 < meta.first.0 {
        let first = meta.first;
        return Err(Error::Misuse(format!(
            "batches before {first} are trimmed: cut there or later"
        )));
    }
    let chain = chain_of(&old, &database, to)?;
    let fresh = database.with_extension("db-repaired");
    remove(&fresh)?;
    let new = schema::open_to_write(&fresh, Some(&meta))?;
    let chain = copy(&old, &new, (&database, &fresh), meta, chain, to)?;
    let markets = kept_markets(&old, &database, &chain)?;
    let snapshots = check_snapshots(directory, &markets, to)?;
    let lost = lost(&old, &chain, to);
    for market in &markets {
        market.write(&new).map_err(failed(&fresh, "writing markets"))?;
    }
    checkpoint(&new, &fresh, "TRUNCATE")?;
    drop((old, new));
    let kept_in = exchange(directory, &fresh, meta, to, &snapshots)?;
    let (batches, markets) = lost;
    Ok(Lost { last: to, batches, markets, snapshots, kept_in })
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(path, "removing a file")(error))
        }
        _ => Ok(()),
    }
}

/// The markets as they were known; those deleted after the cut live again.
fn chain_of(old: &Connection, database: &Path, to: Seq) -> Result<Chain, Error> {
    let mut chain = Chain::default();
    for found in MarketRow::read_all(old).map_err(failed(database, "reading the markets"))? {
        let market = found.map_err(|wrong| Damage::of(database, wrong))?;
        let deleted = market.deleted.filter(|deleted| *deleted <= to);
        chain.knows(market.incarnation, market.name, market.trimmed, deleted);
    }
    Ok(chain)
}

/// Copies the batches up to `to`, each of which must be intact.
fn copy(
    old: &Connection,
    new: &Connection,
    (database, fresh): (&Path, &Path),
    meta: Meta,
    mut chain: Chain,
    to: Seq,
) -> Result<Chain, Error> {
    let part_bytes = Options::default().part_bytes;
    let writing = failed(fresh, "copying batches");
    let mut last = Seq(meta.first.0 - 1);
    new.execute_batch("BEGIN").map_err(&writing)?;
    let copied = verify::each_batch(old, database, &mut chain, &mut last, Some(to), |row| {
        schema::insert(new, row, part_bytes).map_err(&writing)
    });
    if let Err(Error::Damaged(damage)) = copied {
        return Err(damage.intact(database.parent().unwrap_or(database), last).into());
    }
    copied?;
    new.execute_batch("COMMIT").map_err(&writing)?;
    if last < to {
        return Err(Error::Misuse(format!("the journal ends with batch {last}")));
    }
    Ok(chain)
}

/// The markets of which something is left at the cut.
fn kept_markets(old: &Connection, database: &Path, chain: &Chain) -> Result<Vec<MarketRow>, Error> {
    let mut kept = Vec::new();
    for known in chain.known() {
        let Some(link) = chain.get(known.incarnation) else { continue };
        let sql = "SELECT 1 FROM batches NOT INDEXED WHERE incarnation = ?1 LIMIT 1";
        let mut select =
            old.prepare_cached(sql).map_err(failed(database, "looking for batches"))?;
        // One that cannot be looked for may be there.
        let later = !link.seen() && select.exists((known.incarnation.bytes(),)).unwrap_or(true);
        if later && link.trimmed == 0 {
            continue;
        }
        if later || link.newest < link.trimmed {
            return Err(Error::Misuse(format!(
                "market {} is trimmed up to revision {}, which was made after that batch: \
                 cut later, or give the market up by deleting it",
                link.name, link.trimmed
            )));
        }
        kept.push(MarketRow {
            incarnation: known.incarnation,
            name: link.name.clone(),
            trimmed: link.trimmed,
            deleted: link.deleted,
        });
    }
    Ok(kept)
}

/// The snapshots that hold what is given up. Every trimmed market must keep another.
fn check_snapshots(
    directory: &Directory,
    markets: &[MarketRow],
    to: Seq,
) -> Result<Vec<PathBuf>, Error> {
    let snapshots = Snapshots::of(directory.snapshots());
    let (mut given_up, mut usable) = (Vec::new(), Vec::new());
    for listed in snapshots.list_all()? {
        match snapshots.cover(&listed) {
            Ok(cover) if cover.seq <= to => usable.push(listed),
            Ok(_) | Err(Error::Damaged(_)) => given_up.push(listed.path),
            Err(error) => return Err(error),
        }
    }
    for market in markets.iter().filter(|market| market.trimmed > 0 && market.deleted.is_none()) {
        let serves = usable.iter().any(|listed| {
            listed.incarnation == market.incarnation && listed.revision >= Revision(market.trimmed)
        });
        if !serves {
            return Err(Error::Misuse(format!(
                "market {} is trimmed up to revision {}, and no snapshot from there to that \
                 batch is left: cut later",
                market.name, market.trimmed
            )));
        }
    }
    Ok(given_up)
}

/// What stands after the cut, as far as it can be read.
fn lost(old: &Connection, kept: &Chain, to: Seq) -> (u64, Vec<LostMarket>) {
    let mut batches = 0;
    let mut markets: BTreeMap<Incarnation, LostMarket> = BTreeMap::new();
    let sql = format!("SELECT {KEYS} FROM batches NOT INDEXED WHERE seq > ?1 ORDER BY seq");
    let mut read = || -> rusqlite::Result<()> {
        let mut select = old.prepare(&sql)?;
        let mut rows = select.query((to.0 as i64,))?;
        while let Some(row) = rows.next()? {
            let Ok(keys) = schema::keys_of(row)? else { continue };
            batches += u64::from(keys.kind != Kind::Trimmed);
            let market = markets.entry(keys.incarnation).or_insert_with(|| LostMarket {
                name: keys.name,
                incarnation: keys.incarnation,
                revisions: (keys.first, keys.last),
                whole: kept.get(keys.incarnation).is_none_or(|link| !link.seen()),
            });
            market.revisions.1 = keys.last;
        }
        Ok(())
    };
    // It ends where the damage begins.
    let _ = read();
    (batches, markets.into_values().collect())
}

/// Puts the new database in the place of the old one. The old log goes first: it must
/// never meet the new database. Until the new mark is there, opening the journal says
/// that it is damaged.
fn exchange(
    directory: &Directory,
    fresh: &Path,
    meta: Meta,
    to: Seq,
    snapshots: &[PathBuf],
) -> Result<PathBuf, Error> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let kept_in = directory.path().join(format!("damaged-{}", since.as_millis()));
    fs::create_dir(&kept_in).map_err(Error::io(&kept_in, "making the directory"))?;
    let database = directory.database();
    let log = database.with_extension("db-wal");
    remove(&database.with_extension("db-shm"))?;
    let old = [log, database.clone(), directory.mark()];
    for file in old.iter().chain(snapshots) {
        let Some(name) = file.file_name() else { continue };
        match fs::rename(file, kept_in.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(file, "keeping the old file")(error));
            }
            _ => {}
        }
    }
    directory::sync(&kept_in)?;
    fs::rename(fresh, &database).map_err(Error::io(&database, "naming the new database"))?;
    directory::sync(directory.path())?;
    let mut mark = Mark::make(&directory.mark(), meta.server, to)?;
    mark.sync(to)?;
    Ok(kept_in)
}

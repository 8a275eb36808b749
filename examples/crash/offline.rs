//! What lies in the data directory after a kill: whole, and every way to recover from it
//! leads to the same states.

use crate::promises::{RECOVERED, broken};
use crate::server::copy;
use crate::{Result, server};
use gale::domain::{Incarnation, Revision};
use gale::journal::snapshot::Snapshots;
use gale::journal::{self, Directory, Journal, Known, Read, sqlite};
use gale::state::Capacity;
use std::collections::BTreeMap;
use std::path::Path;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compared {
    /// Recoveries with fewer snapshots than there are.
    pub from_older: u64,
    /// Recoveries from the journal alone.
    pub from_journal: u64,
    /// Markets of those that are trimmed.
    pub trimmed: u64,
}

type Hashes = BTreeMap<Incarnation, (Revision, u64)>;

/// Checks a copy of the directory, as `gale journal check` does, and recovers from it in
/// every way there is.
pub fn check(dir: &Path, into: &mut Compared) -> Result<()> {
    let aside = tempfile::tempdir()?;
    copy(&server::data(dir), aside.path())?;
    let wrong = |what: &str, error: &dyn std::fmt::Display| -> Result<()> {
        Ok(broken(RECOVERED, format_args!("{what}: {error}"))?)
    };
    let directory = Directory::take_existing(aside.path())?;
    let snapshots = Snapshots::of(directory.snapshots());
    if let Err(damaged) = sqlite::check(&directory) {
        return wrong("the journal does not pass its check", &damaged);
    }
    for listed in snapshots.list_all()? {
        if let Err(damaged) = snapshots.read(&listed, Capacity::default()) {
            return wrong("a snapshot does not pass its check", &damaged);
        }
    }
    let journal = match sqlite::open(directory, sqlite::Options::default()) {
        Ok(journal) => journal,
        Err(damaged) => return wrong("the journal does not open", &damaged),
    };
    let reader = journal.reader();
    let hashes = recover(&*reader, Some(&snapshots))?;
    let known = reader.markets()?;
    for market in known.iter().filter(|market| !market.deleted) {
        let listed = snapshots.list(market.incarnation)?;
        into.trimmed += u64::from(market.trimmed > Revision(0));
        let Some(newest) = listed.first() else { continue };
        let older = listed.get(1).is_some_and(|older| older.revision >= market.trimmed);
        if older || market.trimmed == Revision(0) {
            std::fs::remove_file(&newest.path)?;
            into.from_older += 1;
        }
    }
    same(&hashes, &recover(&*reader, Some(&snapshots))?, "without the newest snapshots")?;
    let whole = |market: &Known| market.deleted || market.trimmed == Revision(0);
    if known.iter().all(whole) {
        into.from_journal += 1;
        same(&hashes, &recover(&*reader, None)?, "from the journal alone")?;
    }
    Ok(())
}

fn recover(reader: &dyn Read, snapshots: Option<&Snapshots>) -> Result<Hashes> {
    match journal::recover(reader, snapshots, Capacity::default()) {
        Ok(markets) => Ok(markets
            .into_iter()
            .map(|market| {
                let revision = market.state.view().head.revision;
                (market.incarnation, (revision, market.state.hash()))
            })
            .collect()),
        Err(error) => Ok(broken(RECOVERED, error)?),
    }
}

fn same(one: &Hashes, other: &Hashes, how: &str) -> Result<()> {
    if one == other {
        return Ok(());
    }
    Ok(broken(RECOVERED, format_args!("{one:?}, but {how} {other:?}"))?)
}

//! States from what was kept: the newest snapshot that is whole, and every batch after it.
//! Nothing is decided here; effects are applied as they were.

use super::snapshot::{Listed, Snapshots};
use super::{Damage, Entry, Error, Known, Read, Record, Seq};
use crate::domain::{Incarnation, MarketName, Millis, Revision};
use crate::state::{Capacity, Effect, State};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tracing::{info, warn};

/// Bytes of batches that are read at once.
const PIECE_BYTES: u64 = 16 << 20;

/// A market as it was when its last batch was kept.
#[derive(Debug)]
pub struct Recovered {
    /// The creation of the market.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: MarketName,
    /// Its state.
    pub state: State,
    /// The market's clock: the time of its last entry.
    pub at: Millis,
    /// The oldest revision of its history.
    pub oldest: Revision,
    /// The revision of the snapshot that was used.
    pub snapshot: Option<Revision>,
    /// Entries applied after that.
    pub replayed: u64,
    /// Batches up to here are in the snapshot.
    covered: Seq,
}

/// Recovers every market that was not deleted. A snapshot that is damaged is set aside,
/// and the one before it used.
pub fn recover(
    journal: &dyn Read,
    snapshots: Option<&Snapshots>,
    capacity: Capacity,
) -> Result<Vec<Recovered>, Error> {
    recover_those(journal, snapshots, capacity, |_| true)
}

/// Recovers one market; `None` if there is none, or it was deleted.
pub fn recover_one(
    journal: &dyn Read,
    snapshots: Option<&Snapshots>,
    capacity: Capacity,
    incarnation: Incarnation,
) -> Result<Option<Recovered>, Error> {
    let it = |known: &Known| known.incarnation == incarnation;
    Ok(recover_those(journal, snapshots, capacity, it)?.pop())
}

fn recover_those(
    journal: &dyn Read,
    snapshots: Option<&Snapshots>,
    capacity: Capacity,
    wanted: impl Fn(&Known) -> bool,
) -> Result<Vec<Recovered>, Error> {
    let known = journal.markets()?.into_iter();
    let known: Vec<Known> = known.filter(|known| !known.deleted && wanted(known)).collect();
    let mut markets = BTreeMap::new();
    for market in &known {
        markets.insert(market.incarnation, begin(market, snapshots, capacity)?);
    }
    let mut after =
        markets.values().map(|market| market.covered).min().unwrap_or(Seq(u64::MAX >> 1));
    loop {
        let pieces = journal.batches(after, PIECE_BYTES)?;
        let Some(last) = pieces.last() else { break };
        after = last.seq;
        for stored in pieces {
            let market = markets.get_mut(&stored.group.incarnation);
            let Some(market) = market.filter(|market| stored.seq > market.covered) else {
                continue;
            };
            let Record::Entries(entries) = stored.group.record else { continue };
            for entry in entries {
                market.at = market.at.max(entry.at);
                market.replayed +=
                    u64::from(replay(&mut market.state, entry).map_err(|found| {
                        let market = Some((market.name.to_string(), market.incarnation));
                        let seq = Some(stored.seq);
                        Damage { seq, market, ..Damage::of(PathBuf::from("the journal"), found) }
                    })?);
            }
        }
    }
    for market in &known {
        let revision = markets[&market.incarnation].state.view().head.revision;
        if revision != market.newest {
            let found = format!(
                "its batches lead to revision {revision}, but it ends with {}",
                market.newest
            );
            let market = Some((market.name.to_string(), market.incarnation));
            return Err(Damage { market, ..Damage::of(PathBuf::from("the journal"), found) }.into());
        }
    }
    Ok(markets.into_values().collect())
}

/// A market as its newest snapshot has it, or before its first batch.
fn begin(
    market: &Known,
    snapshots: Option<&Snapshots>,
    capacity: Capacity,
) -> Result<Recovered, Error> {
    let recovered = |state, covered, at, snapshot| Recovered {
        incarnation: market.incarnation,
        name: market.name.clone(),
        state,
        at,
        oldest: market.trimmed.next(),
        snapshot,
        replayed: 0,
        covered,
    };
    let mut damaged = None;
    for listed in snapshots.map_or(Ok(vec![]), |snapshots| snapshots.list(market.incarnation))? {
        if listed.revision < market.trimmed {
            break;
        }
        match read(market, snapshots, &listed, capacity) {
            Ok((state, covered, at)) => {
                info!(market = %market.name, revision = listed.revision.0, "snapshot read");
                return Ok(recovered(state, covered, at, Some(listed.revision)));
            }
            Err(Error::Damaged(damage)) => {
                warn!(%damage, "a snapshot is damaged");
                if let Some(snapshots) = snapshots {
                    snapshots.set_aside(&listed)?;
                }
                damaged = Some(damage.file);
            }
            Err(error) => return Err(error),
        }
    }
    if market.trimmed == Revision(0) {
        let state = State::new(market.name.clone(), capacity);
        return Ok(recovered(state, Seq(0), Millis(0), None));
    }
    Err(promised(market, damaged).into())
}

fn read(
    market: &Known,
    snapshots: Option<&Snapshots>,
    listed: &Listed,
    capacity: Capacity,
) -> Result<(State, Seq, Millis), Error> {
    let Some(snapshots) = snapshots else { return Err(promised(market, None).into()) };
    let (cover, state) = snapshots.read(listed, capacity)?;
    if cover.revision > market.newest {
        let found = format!(
            "it is of revision {}, but the journal of its market ends with {}",
            cover.revision, market.newest
        );
        return Err(Damage::of(&listed.path, found).into());
    }
    Ok((state, cover.seq, cover.at))
}

/// The damage of a market whose batches are trimmed and that has no snapshot to start from.
pub(super) fn promised(market: &Known, damaged: Option<PathBuf>) -> Damage {
    let found = format!(
        "its batches are trimmed up to revision {}, and no snapshot from there on is whole",
        market.trimmed
    );
    let file = damaged.unwrap_or_else(|| PathBuf::from("the set of snapshots"));
    Damage {
        market: Some((market.name.to_string(), market.incarnation)),
        ..Damage::of(file, found)
    }
    .advice("put a snapshot of it back from a backup")
}

/// Applies an entry, unless the state has it already; says whether it did. An entry that
/// does not follow the state is refused.
pub fn replay(state: &mut State, mut entry: Entry) -> Result<bool, String> {
    let now = state.view().head.revision;
    let takes = entry.effects.iter().any(Effect::takes_revision);
    if entry.revision < now || takes && entry.revision == now {
        return Ok(false);
    }
    if entry.revision != if takes { now.next() } else { now } {
        return Err(format!("revision {} does not follow {now}", entry.revision));
    }
    let effects = Arc::make_mut(&mut entry.effects);
    effects.iter_mut().for_each(|effect| state.evolve_read(entry.revision, effect));
    Ok(true)
}

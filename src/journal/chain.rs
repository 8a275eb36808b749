//! What must follow what. The same rules stand at the door of every engine and are held
//! against what it kept: numbers have no gaps, a market's revisions neither, and nothing
//! follows a deletion.

use super::row::{Keys, Kind};
use super::{Error, Group, Known, Record, Seq};
use crate::domain::{Incarnation, MarketName, Revision};
use std::collections::HashMap;

/// Where every market is.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    markets: HashMap<Incarnation, Link>,
}

/// Where one market is.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub name: String,
    pub trimmed: u64,
    pub newest: u64,
    /// The batch that deleted it.
    pub deleted: Option<Seq>,
    /// Whether a batch of it has been seen.
    seen: bool,
}

impl Link {
    /// Whether a batch of it has been seen.
    pub(super) fn seen(&self) -> bool {
        self.seen
    }
}

impl Chain {
    /// A market whose batches are gone up to `trimmed`.
    pub(super) fn knows(
        &mut self,
        incarnation: Incarnation,
        name: String,
        trimmed: u64,
        deleted: Option<Seq>,
    ) {
        let link = Link { name, trimmed, newest: trimmed, deleted, seen: false };
        self.markets.insert(incarnation, link);
    }

    /// What is known of some markets, so that an append that fails is undone.
    pub(super) fn save(&self, groups: &[Group]) -> Vec<(Incarnation, Option<Link>)> {
        let saved = groups.iter().map(|group| group.incarnation);
        saved.map(|market| (market, self.markets.get(&market).cloned())).collect()
    }

    /// Makes it known again as it was saved.
    pub(super) fn restore(&mut self, saved: Vec<(Incarnation, Option<Link>)>) {
        for (market, link) in saved {
            match link {
                Some(link) => self.markets.insert(market, link),
                None => self.markets.remove(&market),
            };
        }
    }

    pub(super) fn get(&self, incarnation: Incarnation) -> Option<&Link> {
        self.markets.get(&incarnation)
    }

    /// The markets by incarnation.
    pub(super) fn known(&self) -> Vec<Known> {
        let known = |(incarnation, link): (&Incarnation, &Link)| {
            let name = MarketName::parse("market", &link.name).ok()?;
            Some(Known {
                incarnation: *incarnation,
                name,
                trimmed: Revision(link.trimmed),
                newest: Revision(link.newest),
                deleted: link.deleted.is_some(),
            })
        };
        let mut all: Vec<_> = self.markets.iter().filter_map(known).collect();
        all.sort_by_key(|known| known.incarnation);
        all
    }

    /// Takes in a group that is about to be kept as `seq`. Tells the revision that it
    /// follows.
    pub(super) fn admit(&mut self, seq: Seq, group: &Group) -> Result<Revision, Error> {
        let misuse = |what: String| {
            Err(Error::Misuse(format!("market {} ({}): {what}", group.name, group.incarnation)))
        };
        let known = self.markets.get(&group.incarnation);
        let before = known.map_or(0, |link| link.newest);
        if known.is_some_and(|link| link.deleted.is_some()) {
            return misuse("it was deleted".into());
        }
        if known.is_some_and(|link| link.name != group.name.as_str()) {
            return misuse("it has another name".into());
        }
        let mut newest = before;
        match &group.record {
            Record::Deleted(_) if known.is_none() => return misuse("it does not exist".into()),
            Record::Deleted(_) => {}
            Record::Entries(entries) if entries.is_empty() => {
                return misuse("nothing to keep".into());
            }
            Record::Entries(entries) => {
                for entry in entries {
                    let takes = entry.effects.iter().any(crate::state::Effect::takes_revision);
                    if entry.events.is_some() != takes {
                        return misuse("events stand with a revision, and only with one".into());
                    }
                    newest += u64::from(takes);
                    if entry.revision.0 != newest || newest == 0 {
                        return misuse(format!(
                            "revision {} does not follow {before}",
                            entry.revision
                        ));
                    }
                    if entry.events.as_ref().is_some_and(|batch| batch.revision != entry.revision) {
                        return misuse("events are of another revision".into());
                    }
                }
            }
        }
        let link = self.markets.entry(group.incarnation).or_insert_with(|| Link {
            name: group.name.as_str().to_owned(),
            trimmed: 0,
            newest: 0,
            deleted: None,
            seen: true,
        });
        link.newest = newest;
        link.seen = true;
        link.deleted = matches!(group.record, Record::Deleted(_)).then_some(seq);
        Ok(Revision(before))
    }

    /// Takes in a batch that was kept; says what is wrong with it.
    pub(super) fn check(&mut self, keys: &Keys) -> Result<(), String> {
        let Some(link) = self.markets.get_mut(&keys.incarnation) else {
            return Err("its market is not known".into());
        };
        if link.name != keys.name {
            return Err(format!("its market is named {}", link.name));
        }
        if link.deleted.is_some_and(|deleted| keys.seq > deleted) {
            return Err("it follows the deletion of its market".into());
        }
        if keys.kind == Kind::Deleted && link.deleted != Some(keys.seq) {
            return Err("it deletes its market, which is not deleted here".into());
        }
        let husk = keys.kind == Kind::Trimmed;
        let first = match (link.seen, husk) {
            (true, _) => keys.first == link.newest + 1,
            // Batches before it are trimmed and gone: it may be any that is.
            (false, true) => keys.first >= 1 && keys.first <= link.trimmed + 1,
            (false, false) => keys.first == link.trimmed + 1,
        };
        if !first || keys.last + 1 < keys.first {
            let expected = link.newest + 1;
            return Err(format!(
                "its market goes on with revision {expected}: batches are missing"
            ));
        }
        if husk && keys.last > link.trimmed {
            return Err(format!("it is trimmed, but its market only up to {}", link.trimmed));
        }
        if !husk && keys.first <= link.trimmed {
            return Err(format!("its market is trimmed up to {}, but it is not", link.trimmed));
        }
        link.seen = true;
        link.newest = keys.last;
        Ok(())
    }

    /// Notes that a market is trimmed up to a revision.
    pub(super) fn trimmed(&mut self, incarnation: Incarnation, to: u64) {
        if let Some(link) = self.markets.get_mut(&incarnation) {
            link.trimmed = link.trimmed.max(to);
        }
    }

    /// Forgets a market that was deleted and of which no batch is left.
    pub(super) fn forget(&mut self, incarnation: Incarnation) {
        self.markets.remove(&incarnation);
    }
}

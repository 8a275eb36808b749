//! One batch as it is kept: its keys in the clear, effects and events as bytes apart, so
//! that history is read without touching effects, each with a checksum over the keys too.

use super::codec::{self, Malformed};
use super::{Damage, Entry, Group, Record, Seq};
use crate::domain::{Incarnation, MarketName, Millis, Revision};
use crate::events::Batch;
use crate::state::Effect;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What it said was trimmed: only its keys are left.
    Trimmed = 0,
    /// Entries of a market.
    Entries = 1,
    /// The market was deleted.
    Deleted = 2,
}

impl Kind {
    pub(super) fn of(number: i64) -> Option<Self> {
        [Self::Trimmed, Self::Entries, Self::Deleted].into_iter().find(|k| *k as i64 == number)
    }
}

/// The keys of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    pub seq: Seq,
    pub kind: Kind,
    pub incarnation: Incarnation,
    pub name: String,
    /// The first revision that it makes; the one after `last` if it makes none.
    pub first: u64,
    /// The market's revision after it.
    pub last: u64,
    pub at: i64,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub keys: Keys,
    pub events: Vec<u8>,
    pub effects: Vec<u8>,
    pub events_crc: u32,
    pub effects_crc: u32,
}

/// One entry's effects as they are written.
type Effects = (Revision, Millis, Arc<[Effect]>);

impl Keys {
    /// The checksum of some bytes that belong to these keys.
    pub(super) fn crc(&self, bytes: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.seq.0.to_le_bytes());
        crc.update(&[self.kind as u8]);
        crc.update(self.incarnation.bytes());
        crc.update(&[u8::try_from(self.name.len()).unwrap_or(u8::MAX)]);
        crc.update(self.name.as_bytes());
        crc.update(&self.first.to_le_bytes());
        crc.update(&self.last.to_le_bytes());
        crc.update(&self.at.to_le_bytes());
        crc.update(bytes);
        crc.finalize()
    }

    /// Whether the batch makes revisions.
    pub(super) fn makes_revisions(&self) -> bool {
        self.first <= self.last
    }

    /// Damage of this batch.
    pub(super) fn damage(&self, file: &Path, found: impl Into<String>) -> Damage {
        Damage {
            seq: Some(self.seq),
            market: Some((self.name.clone(), self.incarnation)),
            revisions: Some((self.first, self.last)),
            ..Damage::of(file, found)
        }
    }

    /// The market's name, which was checked when it came in.
    pub(super) fn market_name(&self) -> Result<MarketName, String> {
        MarketName::parse("market", &self.name).map_err(|violation| violation.to_string())
    }
}

impl Row {
    /// The batch of a group, which follows revision `before` of its market.
    pub(super) fn of(seq: Seq, group: &Group, before: Revision) -> Self {
        let keys = |kind, last: Revision, at: Millis| Keys {
            seq,
            kind,
            incarnation: group.incarnation,
            name: group.name.as_str().to_owned(),
            first: before.0 + 1,
            last: last.0,
            at: at.0,
        };
        match &group.record {
            Record::Deleted(at) => Self::new(keys(Kind::Deleted, before, *at), vec![], vec![]),
            Record::Entries(entries) => {
                let last = entries.last().map_or(before, |entry| entry.revision);
                let at = entries.last().map_or(Millis(0), |entry| entry.at);
                let told: Vec<&Batch> =
                    entries.iter().filter_map(|e| e.events.as_deref()).collect();
                let events = if told.is_empty() { vec![] } else { codec::encode(&told) };
                let effects = entries.iter().map(|e| (e.revision, e.at, e.effects.clone()));
                let effects = codec::encode(&effects.collect::<Vec<Effects>>());
                Self::new(keys(Kind::Entries, last, at), events, effects)
            }
        }
    }

    fn new(keys: Keys, events: Vec<u8>, effects: Vec<u8>) -> Self {
        let (events_crc, effects_crc) = (keys.crc(&events), keys.crc(&effects));
        Self { keys, events, effects, events_crc, effects_crc }
    }

    /// What is left of it when it is trimmed.
    pub(super) fn husk(keys: Keys) -> Self {
        Self::new(Keys { kind: Kind::Trimmed, ..keys }, vec![], vec![])
    }

    /// Bytes of what it says.
    pub(super) fn bytes(&self) -> u64 {
        (self.events.len() + self.effects.len()) as u64
    }
}

/// What a batch said, without events; `None` if it is trimmed.
pub(super) fn record(keys: &Keys, effects: &[u8]) -> Result<Option<Record>, Malformed> {
    Ok(match keys.kind {
        Kind::Trimmed => None,
        Kind::Deleted => Some(Record::Deleted(Millis(keys.at))),
        Kind::Entries => {
            let entries = codec::decode::<Vec<Effects>>(effects)?.into_iter();
            let entry = |(revision, at, effects)| Entry { revision, at, effects, events: None };
            Some(Record::Entries(entries.map(entry).collect()))
        }
    })
}

/// The events that a batch's bytes tell.
pub(super) fn told(events: &[u8]) -> Result<Vec<Batch>, Malformed> {
    if events.is_empty() { Ok(vec![]) } else { codec::decode(events) }
}

/// An incarnation from its 16 bytes.
pub(super) fn incarnation(bytes: &[u8]) -> Option<Incarnation> {
    Uuid::from_slice(bytes).ok().map(Incarnation)
}

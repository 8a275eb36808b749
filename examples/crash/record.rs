//! What a run has seen: acknowledgements, revisions, events, and promises that were broken.

use crate::ask::{Ask, Told};
use crate::checkers::Reference;
use crate::promises::Checked;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts, over all cycles and markets.
#[derive(Debug, Default)]
pub struct Record {
    /// Writes that were drawn.
    pub calls: AtomicU64,
    /// Of them, those that have no answer yet.
    pub open: AtomicU64,
    pub acknowledged: AtomicU64,
    /// Calls that ended without an answer.
    pub unacknowledged: AtomicU64,
    /// Calls made again because of that.
    pub retried: AtomicU64,
    /// Answered writes that were asked for again, and answered alike.
    pub answered_again: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
    violations: Mutex<Vec<String>>,
}

impl Record {
    pub fn violation(&self, checked: Checked) {
        if let Err(broken) = checked {
            self.violations.lock().unwrap().push(broken);
        }
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    pub fn refuse(&self, reason: &str) {
        *self.refused.lock().unwrap().entry(reason.to_owned()).or_default() += 1;
    }

    pub fn refused(&self) -> BTreeMap<String, u64> {
        self.refused.lock().unwrap().clone()
    }
}

/// One market, over all cycles.
pub struct Market {
    pub name: String,
    /// Cleared with every command; else by rounds.
    pub continuous: bool,
    /// The newest revision that anybody has seen.
    seen: AtomicU64,
    /// Acknowledged since the last check.
    acknowledged: Mutex<Vec<(Ask, Told)>>,
    /// All events, as `ListEvents` tells them.
    pub reference: Mutex<Reference>,
}

impl Market {
    pub fn new(name: &str, continuous: bool) -> Self {
        Self {
            name: name.into(),
            continuous,
            seen: AtomicU64::new(0),
            acknowledged: Mutex::default(),
            reference: Mutex::new(Reference { events: Vec::new(), end: (1, 0) }),
        }
    }

    pub fn saw(&self, revision: u64) {
        self.seen.fetch_max(revision, Relaxed);
    }

    pub fn seen(&self) -> u64 {
        self.seen.load(Relaxed)
    }

    pub fn acknowledge(&self, ask: Ask, told: Told) {
        self.acknowledged.lock().unwrap().push((ask, told));
    }

    pub fn take_acknowledged(&self) -> Vec<(Ask, Told)> {
        std::mem::take(&mut *self.acknowledged.lock().unwrap())
    }
}

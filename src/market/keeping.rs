//! What keeps markets beyond the process: the journal's thread, snapshots of states, and how
//! much of the past is retained.
//!
//! A snapshot is written in the background, from a state that is durable. Once a market has
//! two, whatever lies before the older of them may go from the journal, as soon as it is
//! history that nobody was promised.

use super::scribe::Scribe;
use crate::domain::{Incarnation, Millis, Revision};
use crate::events::{Log, Retention};
use crate::journal::snapshot::{Cover, Snapshots};
use crate::journal::{Error, Weight, recover_one};
use crate::state::{Capacity, Dump, Head, View};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tracing::{info, warn};

/// Batches that are weighed at once when history is trimmed.
const WEIGHED: usize = 4_096;

/// See the module.
pub struct Keeping {
    pub(super) scribe: Scribe,
    snapshots: Snapshots,
    retention: Retention,
    /// A market has a snapshot written after so many effects.
    pub(super) snapshot_effects: u64,
    /// What was last read back. Held while that is done, by threads that may wait.
    read_back: Mutex<Option<Arc<View>>>,
}

impl Keeping {
    /// Keeps what the scribe writes and these snapshots, and of the history of each market
    /// as much as `retention` says.
    pub fn new(
        scribe: Scribe,
        snapshots: Snapshots,
        retention: Retention,
        snapshot_effects: u64,
    ) -> Self {
        Self { scribe, snapshots, retention, snapshot_effects, read_back: Mutex::default() }
    }

    /// Ends the thread that writes the journal, once everything is kept.
    pub fn stop(&self) {
        self.scribe.stop();
    }

    /// Writes a snapshot of a state that is durable, then lets go of what is neither needed
    /// for a recovery nor promised as history. Blocking: run it off the runtime.
    pub(super) fn snapshot(&self, cover: &Cover, dump: Dump, log: &Log) {
        let started = Instant::now();
        match self.snapshots.write(cover, &dump) {
            Ok(bytes) => {
                let ms = started.elapsed().as_millis() as u64;
                let revision = cover.revision.0;
                info!(market = %cover.name, revision, bytes, ms, "snapshot written");
            }
            // The journal has everything: the next attempt may do better.
            Err(error) => return warn!(market = %cover.name, %error, "no snapshot was written"),
        }
        drop(dump);
        match self.trim_to(cover.incarnation, cover.at) {
            Ok(Some(to)) => self.trim(cover.incarnation, to, log),
            Ok(None) => {}
            Err(error) => warn!(market = %cover.name, %error, "the journal is not trimmed"),
        }
    }

    /// A market as it is durable, at the revision that its owner has published: read back from
    /// the journal, for as long as that takes nothing and the owner is ahead of it. Blocking.
    pub(super) fn read_back(&self, head: &Head, capacity: Capacity) -> Result<Arc<View>, Error> {
        let mut last = self.read_back.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it =
            |view: &Head| (view.incarnation, view.revision) == (head.incarnation, head.revision);
        if let Some(view) = last.as_ref().filter(|view| is_it(&view.head)) {
            return Ok(view.clone());
        }
        let (reader, snapshots) = (self.scribe.reader(), Some(&self.snapshots));
        let recovered = recover_one(&**reader, snapshots, capacity, head.incarnation)?;
        let gone = || Error::Misuse(format!("there is no market {}", head.name));
        let view = Arc::new(recovered.ok_or_else(gone)?.state.view().clone());
        *last = Some(view.clone());
        Ok(view)
    }

    /// The revision up to which nothing of a market is needed any more, if there is one.
    fn trim_to(&self, market: Incarnation, now: Millis) -> Result<Option<Revision>, Error> {
        let Some(covered) = self.snapshots.trim_to(market)? else { return Ok(None) };
        let reader = self.scribe.reader();
        let weights = reader.weights(market, usize::MAX)?;
        let mut bytes: u64 = weights.iter().map(|weight| weight.bytes).sum();
        let age = i64::try_from(self.retention.age.as_millis()).unwrap_or(i64::MAX);
        let mut to = None;
        for Weight { last, at, bytes: some } in weights.into_iter().take(WEIGHED) {
            let too_old = now.0.saturating_sub(at.0) > age;
            let too_much = bytes > self.retention.bytes as u64;
            if last > covered || !(too_old || too_much) {
                break;
            }
            bytes -= some;
            to = Some(last);
        }
        Ok(to)
    }

    fn trim(&self, market: Incarnation, to: Revision, log: &Log) {
        // Before it is gone, so that nobody is sent there.
        log.set_archived_from(to.next());
        self.scribe.tend(move |journal| match journal.trim(market, to) {
            Ok(more) => more,
            Err(error) => {
                warn!(%error, "the journal is not trimmed");
                false
            }
        });
    }

    /// Clears up after a process that has ended in the middle of something: half a snapshot,
    /// or what is left of a market that was deleted.
    ///
    /// # Errors
    /// If the data directory cannot be read or written.
    pub fn tidy(self: &Arc<Self>) -> Result<(), Error> {
        self.snapshots.sweep()?;
        let known = self.scribe.reader().markets()?;
        known.iter().filter(|market| market.deleted).for_each(|market| {
            self.forget(market.incarnation);
        });
        Ok(())
    }

    /// Removes what is left of a market whose deletion is durable.
    pub(super) fn forget(self: &Arc<Self>, market: Incarnation) {
        if let Err(error) = self.snapshots.forget(market) {
            warn!(%error, "snapshots of a deleted market are left");
        }
        self.scribe.tend(move |journal| journal.trim(market, Revision(u64::MAX)).unwrap_or(false));
    }
}

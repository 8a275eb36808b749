//! What a long computation shares with whoever waits for it: how far it is, and
//! whether it should stop.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

/// What a clearing is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not started.
    #[default]
    Waiting,
    /// Sorting workers and vacancies; counts nothing.
    Indexing,
    /// Deferred acceptance; counts workers (or vacancies) that have had their first turn.
    Proposing,
    /// The independent check; counts workers.
    Certifying,
}

/// How far a computation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// How many are done in this phase.
    pub done: u64,
    /// How many there are in this phase.
    pub total: u64,
}

/// The computation was told to stop, and has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Progress out, cancellation in. All accesses are relaxed: nothing else is ordered by them.
#[derive(Debug, Default)]
pub struct Control {
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Control {
    /// Asks the computation to stop soon; it then returns [`Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// How far the computation is.
    pub fn progress(&self) -> Progress {
        let phase = match self.phase.load(Relaxed) {
            1 => Phase::Indexing,
            2 => Phase::Proposing,
            3 => Phase::Certifying,
            _ => Phase::Waiting,
        };
        Progress { phase, done: self.done.load(Relaxed), total: self.total.load(Relaxed) }
    }

    /// Enters a phase of `total` steps.
    pub(super) fn begin(&self, phase: Phase, total: usize) -> Result<(), Cancelled> {
        self.phase.store(phase as u8, Relaxed);
        self.done.store(0, Relaxed);
        self.total.store(total as u64, Relaxed);
        self.check()
    }

    /// Counts `steps` more.
    pub(super) fn advance(&self, steps: u64) -> Result<(), Cancelled> {
        self.done.fetch_add(steps, Relaxed);
        self.check()
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`Cancelled`] once somebody has asked to stop.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.cancelled.load(Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

impl AsRef<Control> for Control {
    fn as_ref(&self) -> &Control {
        self
    }
}

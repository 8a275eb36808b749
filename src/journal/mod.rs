//! The journal: where effects go before anybody may see them, and what a recovery reads.
//!
//! One journal serves all markets of a server. Whoever owns it appends *groups*, some
//! entries of one market each, many at a time: they are durable when that returns, all
//! of them or none. Each group is then a *batch* with a number ([`Seq`]) that counts
//! over the whole server, so that a missing one is noticed.
//!
//! | file | for |
//! |---|---|
//! | `codec` | values to bytes and back |
//! | `row` | one batch as it is kept: keys, bytes, checksums |
//! | `chain` | what must follow what: numbers, revisions, deletions |
//! | `sqlite` | the durable engine, one database in a data directory |
//! | `directory` | the files of a data directory, and who has it |
//! | `mark` | how far the journal was durable, apart from the journal |
//! | `snapshot` | whole states in files, so that a journal can be trimmed |
//! | `recovery` | states from snapshots and batches |
//! | `memory` | an engine in memory, with faults for tests; and one that keeps nothing |
//! | `error` | what can go wrong |

mod chain;
pub mod codec;
mod directory;
mod error;
mod mark;
mod memory;
mod recovery;
mod row;
pub mod snapshot;
pub mod sqlite;

pub use directory::Directory;
pub use error::{Damage, Error};
pub use memory::{Disk, Fault, Memory, Volatile};
pub use recovery::{Recovered, recover, recover_one, replay};

use crate::domain::{Incarnation, MarketName, Millis, Revision};
use crate::events::Batch;
use crate::state::Effect;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The number of a batch, from 1, over all markets of a server. 0 is before the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one command did.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The revision that it made, or the present one if it took none.
    pub revision: Revision,
    /// When the command came in.
    pub at: Millis,
    /// What happens, in order.
    pub effects: Arc<[Effect]>,
    /// What clients are told of it, if it took a revision. An entry that is read for a
    /// recovery comes without.
    pub events: Option<Arc<Batch>>,
}

/// What is kept of a market at once.
#[derive(Clone, Debug)]
pub enum Record {
    /// Commands were applied. The first of a market creates it.
    Entries(Vec<Entry>),
    /// The market was deleted.
    Deleted(Millis),
}

/// What is kept at once, and of which market.
#[derive(Clone, Debug)]
pub struct Group {
    /// The creation of the market.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: MarketName,
    /// What happened.
    pub record: Record,
}

/// A group as it was kept, without events.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The number of its batch.
    pub seq: Seq,
    /// What was kept.
    pub group: Group,
}

/// A market that the journal has batches of, or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The creation of the market.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: MarketName,
    /// The revision up to which its batches are trimmed; 0 = none.
    pub trimmed: Revision,
    /// Its newest revision.
    pub newest: Revision,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// A piece of a market's history.
#[derive(Clone, Debug)]
pub struct History {
    /// The oldest revision that is kept, or the one after the newest if none is.
    pub oldest: Revision,
    /// Revisions in order, without gaps, from the one that was asked for if it is kept.
    pub batches: Vec<Batch>,
}

/// How much one batch takes, and from when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Its last revision.
    pub last: Revision,
    /// When its last entry came in.
    pub at: Millis,
    /// Bytes of effects and events.
    pub bytes: u64,
}

/// Keeps what happens. Its one owner writes; see [`Read`] for everybody else.
pub trait Journal: Send {
    /// Keeps the groups, all or none; durable when this returns. Tells the number of the
    /// last. After an error nothing of them may be published, and the same may be tried
    /// again where [`Error::may_pass`].
    fn append(&mut self, groups: &[Group]) -> Result<Seq, Error>;

    /// To be called when nothing has been appended for a second, and at the end: brings
    /// everything that is done now and then up to date.
    fn settle(&mut self) -> Result<(), Error>;

    /// Drops some of a market's oldest batches, which end at `to` at most, or all if it
    /// was deleted. A bounded piece of work: says whether there is more of it. Refused
    /// where no snapshot would be left to start from.
    fn trim(&mut self, market: Incarnation, to: Revision) -> Result<bool, Error>;

    /// What reads beside the writer.
    fn reader(&self) -> Arc<dyn Read>;
}

/// Reads what is durable, while others write.
pub trait Read: Send + Sync {
    /// The markets, by incarnation.
    fn markets(&self) -> Result<Vec<Known>, Error>;

    /// The events of a market from a revision on: whole batches until `bytes` are
    /// reached, at least one if there is any.
    fn history(&self, market: Incarnation, from: Revision, bytes: u64) -> Result<History, Error>;

    /// What is kept after `seq`, of all markets: whole batches until `bytes` are reached,
    /// at least one if there is any.
    fn batches(&self, after: Seq, bytes: u64) -> Result<Vec<Stored>, Error>;

    /// What a market's kept batches take, oldest first, `count` of them: by this a
    /// retention in bytes or age is turned into a revision to trim to.
    fn weights(&self, market: Incarnation, count: usize) -> Result<Vec<Weight>, Error>;
}

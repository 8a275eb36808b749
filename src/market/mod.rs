//! A market that runs: one owner task that writes, and what everybody else reads.
//!
//! The owner ([`owner`]) takes commands from a bounded queue, decides, applies and hands
//! the effects to the journal's thread ([`scribe`]). Once they are durable they are
//! published ([`ahead`]): records to the pools, events to the log, the head to whoever
//! watches it, and at last the answer to the caller. Everybody else holds a [`Market`], the
//! handle. What outlives the process is the business of [`keeping`].

mod ahead;
mod clearing;
mod continuous;
mod error;
mod keeping;
mod owner;
mod pages;
mod pools;
mod registry;
mod scenarios;
mod scribe;
mod touched;

pub(crate) use clearing::check;
pub use clearing::{Checked, LastCleared};
pub use error::Error;
pub use keeping::Keeping;
pub use pages::Pinned;
pub use pools::{Pools, PublishedVacancy, PublishedWorker};
pub(crate) use registry::not_found;
pub use registry::{Clock, Markets, Options, SystemClock};
pub use scenarios::{KeptScenario, Scenarios};
pub use scribe::{Desk, Failure, Scribe, Step};

use crate::domain::limits::QUEUE_BYTES_MAX;
use crate::domain::{Incarnation, MarketName, Millis, Reason, Revision, RoundId, Violation};
use crate::events::{Batch, Foreseen, Log, Missed, Position, Recent};
use crate::journal::Read;
use crate::matching::Control;
use crate::matching::live::Live;
use crate::state::{Clearance, Command, Envelope, Head, Outcome, RequestKey, View};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::error;

/// What the owner is asked.
enum Message {
    /// Decide and apply a command.
    Submit {
        envelope: Box<Envelope>,
        /// The command's share of the queue's bytes, given back once it is applied.
        room: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<Arc<Outcome>, Error>>,
    },
    /// Commit a finished round.
    Commit(Box<Finished>),
    /// Give a snapshot.
    Snapshot(oneshot::Sender<Arc<View>>),
}

/// A round that has ended its work.
struct Finished {
    clearance: Clearance,
    checked: Arc<LastCleared>,
    foreseen: Foreseen,
    /// The engine that goes on from its snapshot, in a market that is cleared continuously.
    live: Option<Live>,
}

/// A round that is running, as seen from outside.
#[derive(Clone, Debug)]
pub struct Running {
    /// The round.
    pub id: RoundId,
    /// Its progress, and the way to stop it.
    pub control: Arc<Control>,
}

/// The handle of a market: cheap to share, and all that the services see.
pub struct Market {
    name: MarketName,
    incarnation: Incarnation,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Message>,
    queue_bytes: Arc<Semaphore>,
    head: watch::Receiver<Arc<Head>>,
    pools: Pools,
    log: Log,
    recent: Recent,
    /// Where history is kept that has left the log, if anywhere.
    archive: Option<Arc<dyn Read>>,
    pinned: Pinned,
    scenarios: Scenarios,
    /// Held to swap or clone a pointer, never across an await.
    running: Mutex<Option<Running>>,
    /// Held to swap or clone a pointer, never across an await.
    last_cleared: RwLock<Option<Arc<LastCleared>>>,
    subscribers: AtomicUsize,
    queue_depth_max: AtomicUsize,
    closed: CancellationToken,
}

impl Market {
    /// The market's name.
    pub fn name(&self) -> &MarketName {
        &self.name
    }

    /// This creation of it.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The head as last published.
    pub fn head(&self) -> Arc<Head> {
        self.head.borrow().clone()
    }

    /// The head as last published, and news of it. It is published last, so that all
    /// else (events, pools) is there at that revision or later.
    pub fn watch_head(&self) -> watch::Receiver<Arc<Head>> {
        self.head.clone()
    }

    /// The published pools.
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The retained history.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Chunks of it that were encoded lately.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Snapshots kept for page tokens.
    pub fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// Scenarios that have ended.
    pub fn scenarios(&self) -> &Scenarios {
        &self.scenarios
    }

    /// What time it is for the market.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Cancelled once the market is deleted.
    pub fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// The round that is running, if any.
    pub fn running(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_running(&self, running: Option<Running>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    /// The last round's snapshot and matching, if one has cleared.
    pub fn last_cleared(&self) -> Option<Arc<LastCleared>> {
        self.last_cleared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the last round's snapshot and matching; gives back those before.
    fn set_last_cleared(&self, cleared: Arc<LastCleared>) -> Option<Arc<LastCleared>> {
        let mut last = self.last_cleared.write().unwrap_or_else(PoisonError::into_inner);
        last.replace(cleared)
    }

    /// The most commands that have waited at once.
    pub fn queue_depth_max(&self) -> usize {
        self.queue_depth_max.load(Ordering::Relaxed)
    }

    /// How many subscribers there are.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// Counts a subscriber in; refused beyond `limit`.
    pub fn subscribe(self: &Arc<Self>, limit: usize) -> Result<Subscription, Violation> {
        let count = self.subscribers.fetch_add(1, Ordering::Relaxed);
        let subscription = Subscription(self.clone());
        if count >= limit {
            return Err(Violation::new(
                Reason::LimitReached,
                "market",
                format!("has {limit} subscribers, its limit"),
            ));
        }
        Ok(subscription)
    }

    /// Has a command decided and applied, and answers once it is published.
    /// Waits while the queue is full.
    pub async fn submit(
        &self,
        command: Command,
        request: Option<RequestKey>,
        bytes: usize,
    ) -> Result<Arc<Outcome>, Error> {
        self.enqueue(command, request, bytes).await?.wait().await
    }

    /// Takes a place in the queue for a command: those that come later are applied later.
    /// Waits while the queue is full.
    pub async fn enqueue(
        &self,
        command: Command,
        request: Option<RequestKey>,
        bytes: usize,
    ) -> Result<Enqueued, Error> {
        let envelope = Box::new(Envelope { at: self.clock.now(), request, command });
        let bytes = bytes.clamp(1, QUEUE_BYTES_MAX) as u32;
        let room =
            self.queue_bytes.clone().acquire_many_owned(bytes).await.map_err(|_| Error::Closed)?;
        let slot = self.queue.reserve().await.map_err(|_| Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        slot.send(Message::Submit { envelope, room, reply });
        let depth = self.queue.max_capacity() - self.queue.capacity();
        self.queue_depth_max.fetch_max(depth, Ordering::Relaxed);
        Ok(Enqueued(answer))
    }

    /// History from a revision on that has left the log: some of it, at least one revision.
    pub async fn recall(&self, from: Revision) -> Result<Vec<Arc<Batch>>, Recall> {
        let Some(archive) = self.archive.clone() else {
            return Err(Recall::Missed(Missed::Trimmed(self.log.oldest())));
        };
        let incarnation = self.incarnation;
        let read = move || archive.history(incarnation, from, RECALLED_BYTES);
        let history = tokio::task::spawn_blocking(read).await.map_err(|_| Recall::Failed)?;
        let history = history.map_err(|error| {
            error!(market = %self.name, %error, "history cannot be read");
            Recall::Failed
        })?;
        if history.oldest > from {
            return Err(Recall::Missed(Missed::Trimmed(Position::start_of(history.oldest))));
        }
        if history.batches.is_empty() {
            error!(market = %self.name, %from, "history is missing");
            return Err(Recall::Failed);
        }
        Ok(history.batches.into_iter().map(Arc::new).collect())
    }

    /// A consistent snapshot of all that was acknowledged before.
    pub async fn snapshot(&self) -> Result<Arc<View>, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Message::Snapshot(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)
    }

    /// Refuses a revision that is not published yet.
    pub fn check_at_least(&self, revision: Revision) -> Result<Arc<Head>, Violation> {
        let head = self.head();
        if revision > head.revision {
            return Err(Violation::new(
                Reason::PositionInFuture,
                "at_least_revision",
                format!("is {revision}, the market is at {}", head.revision),
            )
            .with("revision", head.revision));
        }
        Ok(head)
    }
}

/// A command that waits for its turn; it is applied whether anybody waits for it or not.
pub struct Enqueued(oneshot::Receiver<Result<Arc<Outcome>, Error>>);

impl Enqueued {
    /// What it has done, once that is published.
    pub async fn wait(self) -> Result<Arc<Outcome>, Error> {
        self.0.await.map_err(|_| Error::Closed)?
    }
}

/// Bytes of history that are recalled at once.
const RECALLED_BYTES: u64 = 1 << 20;

/// Why history is not recalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// It is not kept any more.
    Missed(Missed),
    /// The journal cannot be read; the log says why.
    Failed,
}

/// A subscriber who is counted, until this is dropped.
pub struct Subscription(Arc<Market>);

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.0.subscribers.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.recent.clear();
        }
    }
}

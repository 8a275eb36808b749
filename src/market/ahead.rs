//! What an owner has done ahead of its journal, and what waits for that to be durable.
//!
//! Everything that could tell of the state goes through one queue, each with the ticket of
//! the last entry before it: what commands have done, answers that change nothing, snapshots.
//! It is told in that order, once the journal is so far (docs/adr/007).

use super::keeping::Keeping;
use super::scribe::{Line, Progress};
use super::touched::Rows;
use super::{Error, LastCleared, Market};
use crate::domain::{Millis, RoundId};
use crate::events::Batch;
use crate::journal::snapshot::Cover;
use crate::journal::{Entry, Seq};
use crate::mutants::active;
use crate::state::{Capacity, Dump, Effect, Head, Outcome, State, View};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tracing::error;

/// So much may be ahead of the journal; then no other command is taken from the queue.
const AHEAD_MAX: usize = 4_096;

pub(super) type Reply = oneshot::Sender<Result<Arc<Outcome>, Error>>;

/// What may be told once the journal is far enough.
pub(super) enum Waiting {
    News(Box<Publication>),
    Answer(Option<Reply>, Result<Arc<Outcome>, Error>),
    Snapshot(Option<oneshot::Sender<Arc<View>>>, Arc<View>),
    Dump(Box<(Cover, Dump)>),
}

/// What a command has done, as everybody will see it.
pub(super) struct Publication {
    pub rows: Rows,
    pub batch: Option<Arc<Batch>>,
    pub head: Arc<Head>,
    pub follow: Vec<Follow>,
    pub reply: Option<(Reply, Arc<Outcome>)>,
    /// The command's share of the queue's bytes, given back then.
    pub room: Option<OwnedSemaphorePermit>,
}

/// What is done outside of the state after a command.
pub(super) enum Follow {
    Clear(RoundId, Box<View>),
    Cleared(Option<Arc<LastCleared>>),
    Cancelled,
}

impl Follow {
    /// What follows from effects, which have been applied to the view.
    pub fn of(effects: &[Effect], view: &View, checked: Option<Arc<LastCleared>>) -> Vec<Self> {
        let mut checked = checked;
        let follow = effects.iter().filter_map(|effect| match effect {
            Effect::RoundStarted { id, .. } => Some(Self::Clear(*id, Box::new(view.clone()))),
            Effect::RoundCleared { .. } => Some(Self::Cleared(checked.take())),
            Effect::RoundCancelled { .. } => Some(Self::Cancelled),
            _ => None,
        });
        follow.collect()
    }
}

/// How a market is kept.
pub(super) struct Kept {
    keeping: Arc<Keeping>,
    line: Line,
    /// Effects since the last snapshot.
    effects: u64,
    /// Whether one is being written.
    busy: Arc<AtomicBool>,
}

impl Kept {
    /// Kept by that line.
    pub fn by(keeping: Arc<Keeping>, line: Line) -> Self {
        Self { keeping, line, effects: 0, busy: Arc::default() }
    }
}

/// See the module.
pub(super) struct Ahead {
    market: Arc<Market>,
    head: watch::Sender<Arc<Head>>,
    /// Without a journal everything is as durable as it gets at once.
    kept: Option<Kept>,
    capacity: Capacity,
    /// What waits, by ticket.
    queue: VecDeque<(u64, Waiting)>,
}

impl Ahead {
    /// Nothing waits.
    pub fn of(
        market: Arc<Market>,
        head: watch::Sender<Arc<Head>>,
        kept: Option<Kept>,
        capacity: Capacity,
    ) -> Self {
        Self { market, head, kept, capacity, queue: VecDeque::new() }
    }

    /// Whether another command may be taken on.
    pub fn has_room(&self) -> bool {
        self.queue.len() < AHEAD_MAX
    }

    /// Why the journal takes nothing at present, if so.
    pub fn failure(&self) -> Option<Error> {
        self.kept.as_ref().and_then(|kept| kept.line.failure()).map(Error::Journal)
    }

    /// Waits until the journal has come further, or fails; for ever without one.
    pub async fn progress(&mut self) -> Progress {
        match &mut self.kept {
            Some(kept) => kept.line.more().await,
            None => std::future::pending().await,
        }
    }

    /// Hands an entry over to the journal.
    pub fn keep(&mut self, entry: Entry) {
        if let Some(kept) = &mut self.kept {
            kept.effects += entry.effects.len() as u64;
            kept.line.keep(entry);
        }
    }

    /// Tells it at once if everything up to now is durable, else when it is.
    pub fn tell_when_durable(&mut self, waiting: Waiting) {
        match &self.kept {
            Some(Kept { line, .. })
                if (!self.queue.is_empty() || line.progress().durable < line.sent())
                    && !waiting.is_told_early() =>
            {
                self.queue.push_back((line.sent(), waiting));
            }
            _ => self.publish(waiting),
        }
    }

    /// Has a snapshot of the market written if enough has happened since the last.
    pub fn dump_when_due(&mut self, state: &State, at: Millis) {
        let Some(kept) = &mut self.kept else { return };
        let due = kept.effects >= kept.keeping.snapshot_effects;
        if !due || kept.busy.swap(true, Ordering::Relaxed) {
            return;
        }
        kept.effects = 0;
        let head = &state.view().head;
        let cover = Cover {
            incarnation: head.incarnation,
            name: head.name.clone(),
            revision: head.revision,
            seq: Seq(kept.line.progress().seq.0 + u64::from(active("snapshot-covers-more"))),
            at,
        };
        self.tell_when_durable(Waiting::Dump(Box::new((cover, state.dump()))));
    }

    /// Answers with a view of all that was acknowledged before: this one once it is durable,
    /// or what is durable if the journal fails and the state is ahead of it.
    pub fn snapshot(
        &mut self,
        reply: oneshot::Sender<Arc<View>>,
        view: impl FnOnce() -> Arc<View>,
    ) {
        match self.failure() {
            Some(_) if !self.queue.is_empty() => self.read_back(reply),
            _ => self.tell_when_durable(Waiting::Snapshot(Some(reply), view())),
        }
    }

    /// Answers with what is durable, which is not what the state is.
    fn read_back(&self, reply: oneshot::Sender<Arc<View>>) {
        let Some(kept) = &self.kept else { return };
        let (keeping, capacity) = (kept.keeping.clone(), self.capacity);
        let head = self.market.head();
        tokio::task::spawn_blocking(move || match keeping.read_back(&head, capacity) {
            Ok(view) => drop(reply.send(view)),
            Err(error) => error!(market = %head.name, %error, "the journal cannot be read back"),
        });
    }

    /// The journal has come further, or fails.
    pub fn tell(&mut self, progress: &Progress) {
        while self.queue.front().is_some_and(|(ticket, _)| *ticket <= progress.durable) {
            let Some((_, waiting)) = self.queue.pop_front() else { return };
            self.publish(waiting);
        }
        let Some(failure) = &progress.failure else { return };
        // What they asked for may still be kept and shown; only nobody waits for it.
        let mut queue = std::mem::take(&mut self.queue);
        for (_, waiting) in &mut queue {
            if let Some(reply) = waiting.take_reply() {
                let _ = reply.send(Err(Error::Journal(failure.clone())));
            }
            if let Waiting::Snapshot(reply, _) = waiting {
                reply.take().into_iter().for_each(|reply| self.read_back(reply));
            }
        }
        self.queue = queue;
    }

    /// Shows what has happened: records first, then events, then the head, by which
    /// readers learn of the revision; then does what follows from it.
    fn publish(&mut self, waiting: Waiting) {
        // A caller who left has lost only the answer.
        match waiting {
            Waiting::Answer(Some(reply), answer) => drop(reply.send(answer)),
            Waiting::Snapshot(Some(reply), view) => drop(reply.send(view)),
            Waiting::Answer(None, _) | Waiting::Snapshot(None, _) => {}
            Waiting::Dump(dump) => self.write(dump),
            Waiting::News(news) => {
                let Publication { rows, batch, head, follow, reply, room } = *news;
                rows.publish(&self.market.pools);
                batch.into_iter().for_each(|batch| self.market.log.append(batch));
                self.head.send_replace(head);
                follow.into_iter().for_each(|follow| self.follow(follow));
                reply.into_iter().for_each(|(reply, outcome)| drop(reply.send(Ok(outcome))));
                drop(room);
            }
        }
    }

    /// Writes a snapshot in the background.
    fn write(&self, dump: Box<(Cover, Dump)>) {
        let Some(kept) = &self.kept else { return };
        let (keeping, busy, market) =
            (kept.keeping.clone(), kept.busy.clone(), self.market.clone());
        tokio::task::spawn_blocking(move || {
            let (cover, dump) = *dump;
            keeping.snapshot(&cover, dump, &market.log);
            busy.store(false, Ordering::Relaxed);
        });
    }

    /// Does outside of the state what a command asks for.
    fn follow(&self, follow: Follow) {
        match follow {
            Follow::Clear(id, view) => self.market.clear(id, *view),
            Follow::Cleared(checked) => {
                self.market.set_running(None);
                let before = checked.and_then(|checked| self.market.set_last_cleared(checked));
                // It refers to every record of its market, which takes a while to let go.
                tokio::task::spawn_blocking(move || drop(before));
            }
            Follow::Cancelled => {
                if let Some(running) = self.market.running() {
                    running.control.cancel();
                }
                self.market.set_running(None);
            }
        }
    }
}

impl Waiting {
    /// Whether it is told before it is durable: only mutants do (see `mutants`).
    fn is_told_early(&self) -> bool {
        matches!(self, Self::News(_)) && active("publish-before-sync")
            || matches!(self, Self::Snapshot(..)) && active("snapshot-before-sync")
    }

    fn take_reply(&mut self) -> Option<Reply> {
        match self {
            Self::News(news) => news.reply.take().map(|(reply, _)| reply),
            Self::Answer(reply, _) => reply.take(),
            Self::Snapshot(..) | Self::Dump(_) => None,
        }
    }
}

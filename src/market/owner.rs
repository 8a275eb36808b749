//! The owner of a market: the one task that writes.
//!
//! It decides and applies ahead of its journal, and shows nothing of that before the journal
//! has it: what a command has done becomes a `Publication`, which waits in a queue for its
//! ticket to be durable. Everything that could tell of the state goes through that queue:
//! answers that change nothing and snapshots too.

use super::continuous::Continuous;
use super::keeping::Keeping;
use super::scribe::{Line, Progress};
use super::touched::{Rows, Touched};
use super::{Error, Finished, LastCleared, Market, Message};
use crate::domain::{Millis, Revision, RoundId};
use crate::events::{self, Batch, Foreseen};
use crate::journal::Entry;
use crate::journal::snapshot::Cover;
use crate::state::{Command, Decision, Dump, Effect, Envelope, Head, Outcome, State, View};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tracing::{debug, error, info};
use uuid::Uuid;

/// Effects from which on a command is worth telling the runtime that this thread is busy.
const HEAVY_EFFECTS: usize = 256;
/// Commands that may be ahead of the journal; then no other is taken from the queue.
const AHEAD_MAX: usize = 4_096;

/// The owner of a market.
pub(super) struct Owner {
    pub(super) state: State,
    /// To the journal; without one, everything is as durable as it gets at once.
    pub(super) kept: Option<Kept>,
    pub(super) market: Arc<Market>,
    pub(super) head: watch::Sender<Arc<Head>>,
    /// What waits for the journal, by ticket.
    pub(super) ahead: VecDeque<(u64, Waiting)>,
    /// The last snapshot given out, while nothing has changed since.
    pub(super) snapshot: Option<Arc<View>>,
    /// What keeps the market stable, if it is cleared continuously.
    pub(super) continuous: Continuous,
    /// The latest time seen: the market's clock never goes back.
    pub(super) now: Millis,
}

/// How an owner has its market kept.
pub(super) struct Kept {
    pub keeping: Arc<Keeping>,
    pub line: Line,
    /// Effects since the last snapshot.
    pub effects: u64,
    /// Whether one is being written.
    pub busy: Arc<AtomicBool>,
}

type Reply = oneshot::Sender<Result<Arc<Outcome>, Error>>;

/// What may be told once the journal is far enough.
pub(super) enum Waiting {
    News(Box<Publication>),
    Answer(Option<Reply>, Result<Arc<Outcome>, Error>),
    Snapshot(Option<oneshot::Sender<Arc<View>>>, Arc<View>),
    Dump(Box<(Cover, Dump)>),
}

/// What a command has done, as everybody will see it.
pub(super) struct Publication {
    rows: Rows,
    batch: Option<Arc<Batch>>,
    head: Arc<Head>,
    follow: Vec<Follow>,
    reply: Option<(Reply, Arc<Outcome>)>,
    /// The command's share of the queue's bytes, given back then.
    _room: Option<OwnedSemaphorePermit>,
}

/// What is done outside of the state after a command.
enum Follow {
    Clear(RoundId, Box<View>),
    Cleared(Option<Arc<LastCleared>>),
    Cancelled,
}

/// Who waits for a command, and what it keeps until then.
#[derive(Default)]
pub(super) struct Caller {
    pub reply: Option<Reply>,
    pub room: Option<OwnedSemaphorePermit>,
}

/// What a round has made ready for its commit.
struct Ready {
    foreseen: Foreseen,
    checked: Arc<LastCleared>,
}

impl Owner {
    /// Serves the queue until the market is closed.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let closed = self.market.closed.clone();
        self.cancel_interrupted();
        self.go_on_continuously();
        loop {
            let has_room = self.ahead.len() < AHEAD_MAX;
            tokio::select! {
                biased;
                () = closed.cancelled() => break,
                progress = more(&mut self.kept) => self.tell(&progress),
                message = queue.recv(), if has_room => match message {
                    Some(message) if is_heavy(&message, &self.state) => {
                        tokio::task::block_in_place(|| self.handle(message));
                    }
                    Some(message) => self.handle(message),
                    None => break,
                },
            }
        }
        if let Some(running) = self.market.running() {
            running.control.cancel();
        }
        info!(market = %self.market.name, "owner stopped");
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Submit { envelope, room, reply } => {
                let caller = Caller { reply: Some(reply), room: Some(room) };
                match self.kept.as_ref().and_then(|kept| kept.line.failure()) {
                    Some(failure) => caller.refuse(Error::Journal(failure)),
                    None => self.submit(*envelope, caller),
                }
            }
            Message::Commit(finished) => self.commit(*finished),
            Message::Snapshot(reply) if self.is_cut_off() => self.read_back(reply),
            Message::Snapshot(reply) => {
                let view = self.snapshot.get_or_insert_with(|| Arc::new(self.state.view().clone()));
                let waiting = Waiting::Snapshot(Some(reply), view.clone());
                self.tell_when_durable(waiting);
            }
        }
        self.go_on_continuously();
    }

    /// Whether the journal fails and the state is ahead of it.
    fn is_cut_off(&self) -> bool {
        let fails = self.kept.as_ref().is_some_and(|kept| kept.line.failure().is_some());
        fails && !self.ahead.is_empty()
    }

    /// Answers with what is durable, which is not what the state is.
    fn read_back(&self, reply: oneshot::Sender<Arc<View>>) {
        let Some(kept) = &self.kept else { return };
        let (keeping, capacity) = (kept.keeping.clone(), self.state.capacity());
        let head = self.market.head();
        tokio::task::spawn_blocking(move || match keeping.read_back(&head, capacity) {
            Ok(view) => drop(reply.send(view)),
            Err(error) => error!(market = %head.name, %error, "the journal cannot be read back"),
        });
    }

    /// A round that ran when the process before this one ended is not taken up again.
    fn cancel_interrupted(&mut self) {
        let Some(running) = self.state.view().head.running_round() else { return };
        let command = Command::CancelRound(running.id);
        let envelope = Envelope { at: self.market.clock.now(), request: None, command };
        self.submit(envelope, Caller::default());
    }

    /// If the market is cleared continuously, but as a whole first: a round.
    fn go_on_continuously(&mut self) {
        if self.continuous.wants_round(self.state.view()) {
            let command = Command::StartRound(RoundId(Uuid::now_v7()));
            let envelope = Envelope { at: self.market.clock.now(), request: None, command };
            if let Err(error) = self.apply(envelope, Caller::default(), None) {
                error!(market = %self.market.name, %error, "a continuous market got no round");
            }
        }
    }

    fn commit(&mut self, finished: Finished) {
        let Finished { mut clearance, checked, foreseen, live } = finished;
        let round = clearance.round;
        let started = Instant::now();
        let view = self.state.view();
        let snapshot = view.head.running_round().filter(|running| running.id == round);
        if let (Some(running), Some(live)) = (snapshot, live)
            && let Some(pairs) = self.continuous.go_on(view, live, running.snapshot)
        {
            clearance.pairs = pairs;
        }
        let at = self.market.clock.now();
        let envelope = Envelope { at, request: None, command: Command::Commit(clearance) };
        let ready = Ready { foreseen, checked };
        match self.apply(envelope, Caller::default(), Some(ready)) {
            Ok(revision) => {
                let commit_ms = started.elapsed().as_millis() as u64;
                info!(market = %self.market.name, %round, %revision, commit_ms, "round cleared")
            }
            // Cancelled between the end of its work and its commit.
            Err(error) => debug!(market = %self.market.name, %round, %error, "round not committed"),
        }
    }

    /// Decides and applies a command for a caller.
    pub(super) fn submit(&mut self, envelope: Envelope, caller: Caller) {
        // A refusal has been told.
        let _ = self.apply(envelope, caller, None);
    }

    /// Decides, applies and hands over one command; its caller is answered once it is
    /// published. Tells the revision that it made.
    fn apply(
        &mut self,
        mut envelope: Envelope,
        mut caller: Caller,
        ready: Option<Ready>,
    ) -> Result<Revision, Error> {
        self.now = self.now.max(envelope.at);
        envelope.at = self.now;
        let mut decision = match self.state.decide(&envelope) {
            Ok(decision) => decision,
            Err(refusal) => {
                let error = Error::from(refusal);
                self.tell_when_durable(Waiting::Answer(caller.reply.take(), Err(error.clone())));
                return Err(error);
            }
        };
        if decision.effects.is_empty() && decision.remember.is_none() {
            let revision = decision.revision;
            self.tell_when_durable(Waiting::Answer(caller.reply.take(), Ok(decision.outcome)));
            return Ok(revision);
        }
        self.snapshot = None;
        let (foreseen, checked) = ready.map(|r| (r.foreseen, r.checked)).unzip();
        let mut news =
            Unpublished { revision: decision.revision, foreseen, ..Unpublished::default() };
        news.apply(&mut self.state, &decision.effects);
        self.settle(&mut decision, envelope.at, &mut news);
        if let Some(effect) = decision.remembrance() {
            news.apply(&mut self.state, std::slice::from_ref(&effect));
            decision.effects.push(effect);
        }
        let Decision { revision, effects, outcome, .. } = decision;
        let at = envelope.at;
        let takes = effects.iter().any(Effect::takes_revision);
        let batch = takes.then(|| Arc::new(Batch { revision, at, events: news.events.into() }));
        let view = self.state.view();
        let publication = Publication {
            rows: news.touched.rows(view),
            batch: batch.clone(),
            head: Arc::new(view.head.clone()),
            follow: follow(&effects, view, checked),
            reply: caller.reply.map(|reply| (reply, outcome)),
            _room: caller.room,
        };
        if let Some(kept) = &mut self.kept {
            kept.effects += effects.len() as u64;
            kept.line.keep(Entry { revision, at, effects: effects.into(), events: batch });
        }
        self.tell_when_durable(Waiting::News(Box::new(publication)));
        self.dump_when_due();
        Ok(revision)
    }

    /// Adds to a decision, which has been applied, what makes the market stable again if it
    /// is cleared continuously, and to its answer what holds then.
    fn settle(&mut self, decision: &mut Decision, now: Millis, news: &mut Unpublished) {
        let outcome = Arc::make_mut(&mut decision.outcome);
        if !decision.effects.is_empty()
            && let Some(settled) = self.continuous.follow(self.state.view(), &decision.effects, now)
        {
            news.apply(&mut self.state, &settled.effects);
            decision.effects.extend(settled.effects);
            outcome.displaced = settled.displaced;
            outcome.improved = settled.improved;
        }
        outcome.standing = self.state.view().head.standing();
    }

    /// Tells it at once if everything up to now is durable, else when it is.
    fn tell_when_durable(&mut self, waiting: Waiting) {
        match &self.kept {
            Some(Kept { line, .. })
                if !self.ahead.is_empty() || line.progress().durable < line.sent() =>
            {
                self.ahead.push_back((line.sent(), waiting));
            }
            _ => self.publish(waiting),
        }
    }

    /// Has a snapshot of the market written if enough has happened since the last.
    fn dump_when_due(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        let due = kept.effects >= kept.keeping.snapshot_effects;
        if !due || kept.busy.swap(true, Ordering::Relaxed) {
            return;
        }
        kept.effects = 0;
        let head = &self.state.view().head;
        let cover = Cover {
            incarnation: head.incarnation,
            name: head.name.clone(),
            revision: head.revision,
            seq: kept.line.progress().seq,
            at: self.now,
        };
        let dump = self.state.dump();
        self.tell_when_durable(Waiting::Dump(Box::new((cover, dump))));
    }

    /// The journal has come further, or fails.
    fn tell(&mut self, progress: &Progress) {
        while self.ahead.front().is_some_and(|(ticket, _)| *ticket <= progress.durable) {
            let Some((_, waiting)) = self.ahead.pop_front() else { return };
            self.publish(waiting);
        }
        if let Some(failure) = &progress.failure {
            // What they asked for may still be kept and shown; only nobody waits for it.
            let mut ahead = std::mem::take(&mut self.ahead);
            for (_, waiting) in &mut ahead {
                let reply = waiting.take_reply();
                reply.into_iter().for_each(|reply| {
                    drop(reply.send(Err(Error::Journal(failure.clone()))));
                });
                if let Waiting::Snapshot(reply, _) = waiting {
                    reply.take().into_iter().for_each(|reply| self.read_back(reply));
                }
            }
            self.ahead = ahead;
        }
    }

    /// Shows what has happened: records first, then events, then the head, by which
    /// readers learn of the revision; then does what follows from it.
    fn publish(&mut self, waiting: Waiting) {
        // A caller who left has lost only the answer.
        match waiting {
            Waiting::Answer(reply, answer) => {
                reply.into_iter().for_each(|reply| drop(reply.send(answer.clone())));
            }
            Waiting::Snapshot(reply, view) => {
                reply.into_iter().for_each(|reply| drop(reply.send(view.clone())));
            }
            Waiting::Dump(dump) => self.write(dump),
            Waiting::News(news) => {
                let Publication { rows, batch, head, follow, reply, .. } = *news;
                rows.publish(&self.market.pools);
                batch.into_iter().for_each(|batch| self.market.log.append(batch));
                self.head.send_replace(head);
                follow.into_iter().for_each(|follow| self.follow(follow));
                reply.into_iter().for_each(|(reply, outcome)| drop(reply.send(Ok(outcome))));
            }
        }
    }

    /// Writes a snapshot in the background.
    fn write(&self, dump: Box<(Cover, Dump)>) {
        let Some(kept) = &self.kept else { return };
        let (keeping, busy, now) = (kept.keeping.clone(), kept.busy.clone(), self.now);
        let market = self.market.clone();
        tokio::task::spawn_blocking(move || {
            let (cover, dump) = *dump;
            keeping.snapshot(&cover, dump, &market.log, now);
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

/// Waits for the journal; for ever without one.
async fn more(kept: &mut Option<Kept>) -> Progress {
    match kept {
        Some(kept) => kept.line.more().await,
        None => std::future::pending().await,
    }
}

impl Caller {
    fn refuse(self, error: Error) {
        self.reply.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
    }
}

impl Waiting {
    fn take_reply(&mut self) -> Option<Reply> {
        match self {
            Self::News(news) => news.reply.take().map(|(reply, _)| reply),
            Self::Answer(reply, _) => reply.take(),
            Self::Snapshot(..) | Self::Dump(_) => None,
        }
    }
}

/// What follows from effects, which have been applied to the view.
fn follow(effects: &[Effect], view: &View, checked: Option<Arc<LastCleared>>) -> Vec<Follow> {
    let mut checked = checked;
    let follow = effects.iter().filter_map(|effect| match effect {
        Effect::RoundStarted { id, .. } => Some(Follow::Clear(*id, Box::new(view.clone()))),
        Effect::RoundCleared { .. } => Some(Follow::Cleared(checked.take())),
        Effect::RoundCancelled { .. } => Some(Follow::Cancelled),
        _ => None,
    });
    follow.collect()
}

/// What has been applied, and is not told yet.
#[derive(Default)]
struct Unpublished {
    revision: Revision,
    foreseen: Option<Foreseen>,
    touched: Touched,
    events: Vec<events::Event>,
}

impl Unpublished {
    fn apply(&mut self, state: &mut State, effects: &[Effect]) {
        for effect in effects {
            self.touched.note(effect, state.view());
            match (effect, self.foreseen.take()) {
                (Effect::Rematched(rematch), Some(foreseen)) => {
                    self.events.reserve_exact(rematch.ended.len() + rematch.made.len());
                    events::derive_rematch(state.view(), rematch, foreseen, &mut self.events);
                }
                _ => events::derive(state.view(), self.revision, effect, &mut self.events),
            }
            state.evolve(self.revision, effect);
            self.touched.note(effect, state.view());
            match effect {
                Effect::Rematched(rematch) => {
                    let ended = rematch.ended.iter().map(|(worker, v, _)| (*worker, *v));
                    let pairs = ended.chain(rematch.made.iter().copied());
                    let count = rematch.ended.len() + rematch.made.len();
                    self.touched.matches(count, pairs, state.view());
                }
                Effect::Frozen(freeze) => {
                    let placed = freeze.placed.iter().copied();
                    self.touched.matches(freeze.placed.len(), placed, state.view());
                }
                _ => {}
            }
        }
    }
}

fn is_heavy(message: &Message, state: &State) -> bool {
    match message {
        Message::Commit(_) => true,
        Message::Snapshot(_) => false,
        Message::Submit { envelope, .. } => match &envelope.command {
            Command::UpsertWorkers { batch, .. } => batch.items.len() > HEAVY_EFFECTS,
            Command::UpsertVacancies { batch, .. } => batch.items.len() > HEAVY_EFFECTS,
            Command::WithdrawWorkers(batch) => batch.items.len() > HEAVY_EFFECTS,
            Command::CloseVacancies(batch) => batch.items.len() > HEAVY_EFFECTS,
            Command::Confirm { batch, .. } | Command::Decline { batch, .. } => {
                batch.items.len() > HEAVY_EFFECTS
            }
            Command::UpsertCities(_) | Command::UpsertRegions(_) | Command::SetMoveCosts(_) => true,
            Command::Tick(_) => {
                state.next_deadline().is_some_and(|deadline| deadline <= envelope.at)
            }
            _ => false,
        },
    }
}

/// Ends the process: the state can no longer be trusted, and everything that was
/// acknowledged is better served by a restart than by a market that lies.
pub(super) fn stop_process(why: &str) {
    error!(why, "stopping the process");
    std::process::exit(70);
}

//! The owner of a market: the one task that writes.
//!
//! It decides and applies ahead of its journal, and shows nothing of that itself: what a
//! command has done is told by [`Ahead`], once the journal has it.

use super::ahead::{Ahead, Follow, Publication, Reply, Waiting};
use super::continuous::Continuous;
use super::touched::Touched;
use super::{Error, Finished, LastCleared, Market, Message};
use crate::domain::{Millis, Revision, RoundId};
use crate::events::{self, Batch, Foreseen};
use crate::journal::Entry;
use crate::mutants::active;
use crate::state::{Command, Decision, Effect, Envelope, State, View};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::{debug, error, info};
use uuid::Uuid;

/// Effects from which on a command is worth telling the runtime that this thread is busy.
const HEAVY_EFFECTS: usize = 256;

/// The owner of a market.
pub(super) struct Owner {
    pub(super) state: State,
    pub(super) market: Arc<Market>,
    pub(super) ahead: Ahead,
    /// The last snapshot given out, while nothing has changed since.
    pub(super) snapshot: Option<Arc<View>>,
    /// What keeps the market stable, if it is cleared continuously.
    pub(super) continuous: Continuous,
    /// The latest time seen: the market's clock never goes back.
    pub(super) now: Millis,
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
            let has_room = self.ahead.has_room();
            tokio::select! {
                biased;
                () = closed.cancelled() => break,
                progress = self.ahead.progress() => self.ahead.tell(&progress),
                message = queue.recv(), if has_room => match message {
                    Some(message) if is_heavy(&message, &self.state) => {
                        busy(|| self.handle(message));
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
                match self.ahead.failure() {
                    Some(error) => caller.refuse(error),
                    None => self.submit(*envelope, caller),
                }
            }
            Message::Commit(finished) => self.commit(*finished),
            Message::Snapshot(reply) => {
                let Self { state, ahead, snapshot, .. } = self;
                let view =
                    || snapshot.get_or_insert_with(|| Arc::new(state.view().clone())).clone();
                ahead.snapshot(reply, view);
            }
        }
        self.go_on_continuously();
    }

    /// A round that ran when the process before this one ended is not taken up again.
    fn cancel_interrupted(&mut self) {
        let Some(running) = self.state.view().head.running_round() else { return };
        if active("lost-round-runs-on") {
            return;
        }
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
                self.ahead
                    .tell_when_durable(Waiting::Answer(caller.reply.take(), Err(error.clone())));
                return Err(error);
            }
        };
        if decision.effects.is_empty() && decision.remember.is_none() {
            let revision = decision.revision;
            self.ahead
                .tell_when_durable(Waiting::Answer(caller.reply.take(), Ok(decision.outcome)));
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
        let mut reply = caller.reply.map(|reply| (reply, outcome));
        if active("acknowledge-before-sync")
            && let Some((reply, outcome)) = reply.take()
        {
            let _ = reply.send(Ok(outcome));
        }
        let view = self.state.view();
        let publication = Publication {
            rows: news.touched.rows(view),
            batch: batch.clone(),
            head: Arc::new(view.head.clone()),
            follow: Follow::of(&effects, view, checked),
            reply,
            room: caller.room,
        };
        self.ahead.keep(Entry { revision, at, effects: effects.into(), events: batch });
        self.ahead.tell_when_durable(Waiting::News(Box::new(publication)));
        self.ahead.dump_when_due(&self.state, self.now);
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
}

impl Caller {
    fn refuse(self, error: Error) {
        self.reply.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
    }
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

/// Works on, and tells the runtime so, if it has other threads for other tasks.
fn busy(work: impl FnOnce()) {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
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

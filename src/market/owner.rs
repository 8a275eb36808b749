//! The owner of a market: the one task that writes.

use super::continuous::Continuous;
use super::{Error, Finished, Market, Message};
use crate::domain::{CityIx, Millis, Revision, RoundId, VacancySlot, WorkerSlot};
use crate::events::{self, Batch, Foreseen};
use crate::journal::{Entry, Journal};
use crate::state::{Command, Decision, Effect, Envelope, Head, Outcome, State, View};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info};
use uuid::Uuid;

/// Effects from which on a command is worth telling the runtime that this thread is busy.
const HEAVY_EFFECTS: usize = 256;

/// The owner of a market.
pub(super) struct Owner {
    pub(super) state: State,
    pub(super) journal: Box<dyn Journal>,
    pub(super) market: Arc<Market>,
    pub(super) head: watch::Sender<Arc<Head>>,
    /// The last snapshot given out, while nothing has changed since.
    pub(super) snapshot: Option<Arc<View>>,
    /// What keeps the market stable, if it is cleared continuously.
    pub(super) continuous: Continuous,
    /// The latest time seen: the market's clock never goes back.
    pub(super) now: Millis,
}

impl Owner {
    /// Serves the queue until the market is closed.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let closed = self.market.closed.clone();
        loop {
            let message = tokio::select! {
                biased;
                () = closed.cancelled() => break,
                message = queue.recv() => message,
            };
            let Some(message) = message else { break };
            if is_heavy(&message, &self.state) {
                tokio::task::block_in_place(|| self.handle(message));
            } else {
                self.handle(message);
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
                let answer = self.apply(*envelope);
                drop(room);
                // A caller who left has lost only the answer.
                let _ = reply.send(answer);
            }
            Message::Commit(finished) => self.commit(*finished),
            Message::Snapshot(reply) => {
                let view = self.snapshot.get_or_insert_with(|| Arc::new(self.state.view().clone()));
                let _ = reply.send(view.clone());
            }
        }
        if self.continuous.wants_round(self.state.view()) {
            self.start_round();
        }
    }

    /// The market is cleared continuously, but as a whole first.
    fn start_round(&mut self) {
        let id = RoundId(Uuid::now_v7());
        let command = Command::StartRound(id);
        let envelope = Envelope { at: self.market.clock.now(), request: None, command };
        if let Err(error) = self.apply(envelope) {
            error!(market = %self.market.name, %error, "a continuous market got no round");
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
        let before = self.market.set_last_cleared(checked);
        // It refers to every record of its market, which takes a while to let go.
        tokio::task::spawn_blocking(move || drop(before));
        match self.apply_foreseen(envelope, Some(foreseen)) {
            Ok(outcome) => {
                let commit_ms = started.elapsed().as_millis() as u64;
                let revision = outcome.revision.0;
                info!(market = %self.market.name, %round, revision, commit_ms, "round cleared")
            }
            // Cancelled between the end of its work and its commit.
            Err(error) => debug!(market = %self.market.name, %round, %error, "round not committed"),
        }
    }

    /// Decides, applies, journals and publishes one command.
    pub(super) fn apply(&mut self, envelope: Envelope) -> Result<Arc<Outcome>, Error> {
        self.apply_foreseen(envelope, None)
    }

    /// The same for a command some of whose events are ready.
    fn apply_foreseen(
        &mut self,
        mut envelope: Envelope,
        foreseen: Option<Foreseen>,
    ) -> Result<Arc<Outcome>, Error> {
        self.now = self.now.max(envelope.at);
        envelope.at = self.now;
        let mut decision = self.state.decide(&envelope)?;
        if decision.effects.is_empty() && decision.remember.is_none() {
            return Ok(decision.outcome);
        }
        self.snapshot = None;
        let mut news =
            Unpublished { revision: decision.revision, foreseen, ..Unpublished::default() };
        news.apply(&mut self.state, &decision.effects);
        self.settle(&mut decision, envelope.at, &mut news);
        if let Some(effect) = decision.remembrance() {
            news.apply(&mut self.state, std::slice::from_ref(&effect));
            decision.effects.push(effect);
        }
        let Decision { revision, effects, outcome, .. } = decision;
        let entry = Entry { revision, at: envelope.at, effects: effects.into() };
        if let Err(error) = self.journal.append(&entry) {
            error!(market = %self.market.name, %error, "the journal failed");
            stop_process("a market is ahead of its journal");
        }
        news.touched.settle();
        self.publish(&entry, &news.touched, news.events.into());
        self.follow(&entry);
        Ok(outcome)
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

    /// Shows what has happened: records first, then events, then the head, by which
    /// readers learn of the revision.
    fn publish(&self, entry: &Entry, touched: &Touched, events: Box<[events::Event]>) {
        let view = self.state.view();
        // Workers refer to the vacancies that hold them.
        self.market.pools.put_vacancies(view, &touched.vacancies);
        self.market.pools.put_workers(view, &touched.workers);
        touched.cities.iter().for_each(|city| self.market.pools.put_counts(view, *city));
        if entry.effects.iter().any(Effect::takes_revision) {
            self.market.log.append(Batch { revision: entry.revision, at: entry.at, events });
        }
        self.head.send_replace(Arc::new(view.head.clone()));
    }

    /// Does outside of the state what effects ask for.
    fn follow(&self, entry: &Entry) {
        for effect in entry.effects.iter() {
            match effect {
                Effect::RoundStarted { id, .. } => {
                    self.market.clear(*id, self.state.view().clone())
                }
                Effect::RoundCleared { .. } => self.market.set_running(None),
                Effect::RoundCancelled { .. } => {
                    if let Some(running) = self.market.running() {
                        running.control.cancel();
                    }
                    self.market.set_running(None);
                }
                _ => {}
            }
        }
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

/// Rows whose published copies are out of date.
#[derive(Default)]
struct Touched {
    workers: Vec<WorkerSlot>,
    vacancies: Vec<VacancySlot>,
    cities: Vec<CityIx>,
}

impl Touched {
    /// Notes the rows of an effect. Called before and after it is applied, because a
    /// record that moves changes the counts of both its cities.
    fn note(&mut self, effect: &Effect, view: &View) {
        match effect {
            Effect::WorkerPut { slot, .. } | Effect::WorkerLeft { slot, .. } => {
                self.worker(*slot, view)
            }
            Effect::VacancyPut { slot, .. } | Effect::VacancyLeft { slot, .. } => {
                self.vacancy(*slot, view)
            }
            Effect::Unmatched { worker, vacancy, .. } | Effect::Placed { worker, vacancy } => {
                self.worker(*worker, view);
                self.vacancy(*vacancy, view);
            }
            Effect::Confirmed { worker, .. } => self.worker(*worker, view),
            Effect::CityPut { ix, .. } => self.cities.push(*ix),
            _ => {}
        }
    }

    fn worker(&mut self, slot: WorkerSlot, view: &View) {
        self.workers.push(slot);
        if slot.at() < view.workers.len() {
            self.cities.push(view.worker(slot).worker.home);
        }
    }

    fn vacancy(&mut self, slot: VacancySlot, view: &View) {
        self.vacancies.push(slot);
        if slot.at() < view.vacancies.len() {
            self.cities.push(view.vacancy(slot).vacancy.city);
        }
    }

    /// Notes the rows of matches: one by one, or in a pass if they are many.
    fn matches(
        &mut self,
        count: usize,
        pairs: impl Iterator<Item = (WorkerSlot, VacancySlot)>,
        view: &View,
    ) {
        if count <= HEAVY_EFFECTS {
            return pairs.for_each(|(worker, vacancy)| {
                self.worker(worker, view);
                self.vacancy(vacancy, view);
            });
        }
        self.cities.extend((0..view.counts.len()).map(CityIx::from_offset));
        let mut vacancies = vec![false; view.vacancies.len()];
        for (worker, vacancy) in pairs {
            self.workers.push(worker);
            vacancies[vacancy.at()] = true;
        }
        let touched = (0..).zip(vacancies).filter(|(_, touched)| *touched);
        self.vacancies.extend(touched.map(|(at, _)| VacancySlot(at)));
    }

    /// Each row once.
    fn settle(&mut self) {
        // Stable, which is quick for lists that are ascending piece by piece.
        self.workers.sort();
        self.workers.dedup();
        self.vacancies.sort();
        self.vacancies.dedup();
        self.cities.sort_unstable();
        self.cities.dedup();
    }
}

/// Ends the process: the state can no longer be trusted, and everything that was
/// acknowledged is better served by a restart than by a market that lies.
pub(super) fn stop_process(why: &str) {
    error!(why, "stopping the process");
    std::process::exit(70);
}

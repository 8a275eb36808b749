//! The demo's own subscriber: follows the market from its first event and checks
//! what it is promised, order and completeness among it.

use crate::cli::client::Client;
use crate::cli::error::Error;
use crate::cli::events::{Follower, kind_name};
use crate::cli::loader::Report;
use crate::proto::v1::event::Detail;
use crate::proto::v1::watch_request::Start;
use crate::proto::v1::{
    EarliestStart, Event, EventKind, Position, RoundSummary, VacancyStatus, WatchResponse,
    WorkerStatus,
};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How long the last events may take after the market has stopped to change.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

/// What has been received so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Events.
    pub events: u64,
    /// Revisions begun.
    pub revisions: u64,
    kinds: HashMap<EventKind, u64>,
    workers_new: u64,
    vacancies_new: u64,
    last: Option<(u64, u32)>,
    /// Whether the last message was the last of its revision.
    complete: bool,
    next: (u64, u32),
    fault: Option<String>,
}

/// A subscriber in a task of its own; it ends with this handle.
pub struct Watcher {
    seen: watch::Receiver<Seen>,
    task: AbortHandle,
}

impl Watcher {
    /// Starts to follow `market` from its first event.
    pub fn start(client: Client, market: &str) -> Self {
        let start = Start::Earliest(EarliestStart {});
        let mut follower = Follower::new(client, market, start, None);
        let (sender, seen) = watch::channel(Seen::default());
        let task = tokio::spawn(async move {
            while sender.borrow().fault.is_none() && !sender.is_closed() {
                let message = follower.next().await;
                sender.send_modify(|seen| {
                    let noted = match &message {
                        Ok(message) => seen.note(message),
                        Err(error) => Err(error.to_string()),
                    };
                    seen.fault = noted.err();
                });
            }
        });
        Self { seen, task: task.abort_handle() }
    }

    /// Waits until everything before `newest` has been received.
    pub async fn caught_up(&mut self, newest: &Position) -> Result<Seen, Error> {
        let target = (newest.revision, newest.index);
        let arrived = self.seen.wait_for(|seen| seen.fault.is_some() || seen.next >= target);
        let seen = match tokio::time::timeout(CATCH_UP_MAX, arrived).await {
            Ok(Ok(seen)) => seen.clone(),
            Ok(Err(_)) => return Err(Error::Failed("the subscriber ended".into())),
            Err(_) => return Err(Error::Failed("the stream did not catch up".into())),
        };
        match seen.fault {
            Some(fault) => Err(Error::Failed(format!("the stream broke its promise: {fault}"))),
            None => Ok(seen),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    /// Takes one message in, or says which promise it breaks.
    fn note(&mut self, message: &WatchResponse) -> Result<(), String> {
        for event in &message.events {
            self.note_event(event)?;
            self.complete = false;
        }
        let next = message.next.as_ref().ok_or("a message without a position to resume from")?;
        let next = (next.revision, next.index);
        if self.last.is_some_and(|last| next <= last) || next < self.next {
            return Err(format!("the position to resume from goes back to {next:?}"));
        }
        if message.checkpoint && !self.complete && self.last.is_some() {
            return Err(format!("a checkpoint inside of revision {}", self.next.0));
        }
        self.next = next;
        self.complete |= message.last_in_revision;
        Ok(())
    }

    fn note_event(&mut self, event: &Event) -> Result<(), String> {
        let position = event.position.as_ref().ok_or("an event without a position")?;
        let at = (position.revision, position.index);
        let follows = match self.last {
            None => at.1 == 0,
            Some(last) if self.complete => at == (last.0 + 1, 0),
            Some(last) => at == (last.0, last.1 + 1),
        };
        if !follows {
            return Err(format!("event {at:?} follows {:?}", self.last));
        }
        self.revisions += u64::from(at.1 == 0);
        self.last = Some(at);
        self.events += 1;
        *self.kinds.entry(event.kind()).or_default() += 1;
        match &event.detail {
            Some(Detail::Worker(worker)) => {
                let new = worker.previous_status() == WorkerStatus::Unspecified;
                self.workers_new += u64::from(new);
            }
            Some(Detail::Vacancy(vacancy)) => {
                let new = vacancy.previous_status() == VacancyStatus::Unspecified;
                self.vacancies_new += u64::from(new);
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&self, kind: EventKind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }

    /// Whether the events, added up, give the market as it is read at `revision`.
    pub fn reconcile(
        &self,
        report: &Report,
        summary: &RoundSummary,
        revision: u64,
    ) -> Result<(), String> {
        use EventKind::{
            CityChanged, Declined, Displaced, Lapsed, Matched, MigrationCancelled,
            MigrationPlanned, RegionChanged, RoundCleared, Unmatched,
        };
        let ended: u64 =
            [Displaced, Unmatched, Declined, Lapsed].map(|kind| self.count(kind)).iter().sum();
        let last = self.last.map_or(0, |(revision, _)| revision);
        let equations = [
            ("the last event's revision", last, revision),
            (kind_name(RegionChanged), self.count(RegionChanged), report.regions),
            (kind_name(CityChanged), self.count(CityChanged), report.cities),
            ("new workers", self.workers_new, report.workers),
            ("new vacancies", self.vacancies_new, report.vacancies),
            (kind_name(RoundCleared), self.count(RoundCleared), 1),
            (kind_name(Matched), self.count(Matched), summary.matched + ended),
            (
                kind_name(MigrationPlanned),
                self.count(MigrationPlanned),
                summary.moved + self.count(MigrationCancelled),
            ),
        ];
        for (name, received, expected) in equations {
            if received != expected {
                return Err(format!("events and market differ: {name} {received}, not {expected}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(revision: u64, indices: std::ops::Range<u32>, last: bool) -> WatchResponse {
        let at = |index| Position { incarnation: String::new(), revision, index };
        let end = indices.end;
        let event = |index| Event { position: Some(at(index)), ..Event::default() };
        let next =
            if last { Position { revision: revision + 1, ..Position::default() } } else { at(end) };
        WatchResponse {
            events: indices.map(event).collect(),
            last_in_revision: last,
            next: Some(next),
            checkpoint: false,
        }
    }

    /// Goal: the checker accepts what Watch promises and nothing else. Method: a good
    /// history in chunks, and histories with a gap, a repetition, a torn revision.
    #[test]
    fn breaches_are_noticed() {
        let play = |messages: &[WatchResponse]| {
            let mut seen = Seen::default();
            messages.iter().try_for_each(|message| seen.note(message)).map(|()| seen)
        };
        let good = [message(1, 0..2, false), message(1, 2..3, true), message(2, 0..1, true)];
        let seen = play(&good).unwrap();
        assert_eq!((seen.events, seen.revisions), (4, 2));
        let gap = [message(1, 0..2, true), message(3, 0..1, true)];
        let repeated = [message(1, 0..2, true), message(1, 0..2, true)];
        let torn = [message(1, 0..2, false), message(2, 0..1, true)];
        let skipped = [message(1, 0..2, false), message(1, 3..4, true)];
        let late = [message(1, 1..2, true)];
        for bad in [&gap[..], &repeated, &torn, &skipped, &late] {
            play(bad).unwrap_err();
        }
    }
}

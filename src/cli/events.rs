//! Following a market's events across reconnections, and events in one line each.

use super::client::Client;
use super::error::Error;
use super::output::thousands;
use crate::proto::v1::event::Detail;
use crate::proto::v1::watch_request::Start;
use crate::proto::v1::{
    Event, EventFilter, EventKind, MatchSide, Position, Round, VacancyStatus, WatchRequest,
    WatchResponse, WorkerStatus,
};
use std::error::Error as _;
use std::time::Duration;
use tonic::{Code, Status, Streaming};

/// Milliseconds of silence after which the server sends a checkpoint.
const CHECKPOINT_MS: u32 = 5_000;
/// Silence after which the connection counts as lost: several checkpoints are missing.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// First and longest wait before connecting again.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Follows a stream of events. It resumes where it was when the server or the
/// connection goes away, so its caller sees every event once and in order.
pub struct Follower {
    client: Client,
    request: WatchRequest,
    stream: Option<Streaming<WatchResponse>>,
    /// Whether the server has accepted the request once: until then an error is final.
    accepted: bool,
    retry: Duration,
}

impl Follower {
    /// A follower of `market`'s events from `start` on.
    pub fn new(client: Client, market: &str, start: Start, filter: Option<EventFilter>) -> Self {
        let request = WatchRequest {
            market: market.to_owned(),
            start: Some(start),
            filter,
            checkpoint_interval_ms: CHECKPOINT_MS,
        };
        Self { client, request, stream: None, accepted: false, retry: RETRY_FIRST }
    }

    /// The next message: events of one revision, or a checkpoint.
    pub async fn next(&mut self) -> Result<WatchResponse, Error> {
        loop {
            match self.attempt().await {
                Ok(message) => {
                    self.accepted = true;
                    self.retry = RETRY_FIRST;
                    if let Some(next) = &message.next {
                        self.request.start = Some(Start::Position(next.clone()));
                    }
                    return Ok(message);
                }
                Err(status) if self.accepted && is_passing(&status) => {
                    self.reconnect_later(&status).await;
                }
                Err(status) => return Err(Error::refused("the stream ended")(status)),
            }
        }
    }

    async fn attempt(&mut self) -> Result<WatchResponse, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let opened = self.client.events().watch(self.request.clone()).await?.into_inner();
                self.accepted = true;
                self.stream.insert(opened)
            }
        };
        match tokio::time::timeout(SILENCE_MAX, stream.message()).await {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(Status::unavailable("the server ended the stream")),
            Ok(Err(status)) => Err(status),
            Err(_) => Err(Status::unavailable("no sign of life from the server")),
        }
    }

    async fn reconnect_later(&mut self, status: &Status) {
        if self.stream.take().is_some() {
            eprintln!("gale: {}; connecting again", status.message());
        }
        tokio::time::sleep(self.retry).await;
        self.retry = (self.retry * 2).min(RETRY_LONGEST);
    }
}

/// Whether connecting again may help: the server is away, or the connection was cut.
/// The transport gives a cut stream the code UNKNOWN; unlike an answer of the server's,
/// such a status has a source.
fn is_passing(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// The name of a kind as people type it: without its prefix.
pub fn kind_name(kind: EventKind) -> &'static str {
    kind.as_str_name().trim_start_matches("EVENT_KIND_")
}

/// Reads a kind in any case, with hyphens or underscores, with its prefix or without.
pub fn parse_kind(text: &str) -> Result<EventKind, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    let name = name.trim_start_matches("EVENT_KIND_");
    match EventKind::from_str_name(&format!("EVENT_KIND_{name}")) {
        Some(kind) if kind != EventKind::Unspecified => Ok(kind),
        _ => Err("is not a kind of event (such as MATCHED, MIGRATION_PLANNED)".to_owned()),
    }
}

/// An event in one line: position, kind, what happened.
pub fn describe(event: &Event) -> String {
    let (revision, index) = event.position.as_ref().map_or((0, 0), |at| (at.revision, at.index));
    let at = format!("{revision}:{index}");
    format!("{at:>12}  {:<19}  {}", kind_name(event.kind()), describe_detail(event))
}

fn describe_detail(event: &Event) -> String {
    match &event.detail {
        Some(Detail::Market(market)) => format!("{} {}", market.id, market.display_name),
        Some(Detail::Region(region)) => {
            format!("{} {}{}", region.id, region.display_name, cap(region.intake_cap))
        }
        Some(Detail::City(city)) => {
            format!("{} {}{}", city.id, city.display_name, cap(city.intake_cap))
        }
        Some(Detail::MoveCost(cost)) => {
            let whole = cost.cost.map_or_else(|| "by distance".to_owned(), thousands);
            format!(
                "{} -> {}: {whole}, subsidy {}",
                cost.origin,
                cost.destination,
                thousands(cost.subsidy)
            )
        }
        Some(Detail::Worker(worker)) => format!(
            "worker {} of {}: {}",
            worker.worker_id,
            worker.home_city,
            change(worker_status(worker.previous_status()), worker_status(worker.status()))
        ),
        Some(Detail::Vacancy(vacancy)) => format!(
            "vacancy {} in {}, {} openings: {}",
            vacancy.vacancy_id,
            vacancy.city,
            thousands(vacancy.openings),
            change(vacancy_status(vacancy.previous_status()), vacancy_status(vacancy.status()))
        ),
        Some(Detail::Match(pair)) => {
            let side = match (event.kind(), pair.side()) {
                (EventKind::Lapsed, MatchSide::Unspecified) => ", confirmed by nobody",
                (EventKind::Lapsed, MatchSide::Worker) => ", not confirmed by the worker",
                (EventKind::Lapsed, MatchSide::Employer) => ", not confirmed by the employer",
                (_, MatchSide::Unspecified) if pair.automatic => " by the market",
                (_, MatchSide::Unspecified) => "",
                (_, MatchSide::Worker) => " by the worker",
                (_, MatchSide::Employer) => " by the employer",
            };
            format!(
                "worker {} of {} and vacancy {} in {}{side}",
                pair.worker_id, pair.origin, pair.vacancy_id, pair.destination
            )
        }
        Some(Detail::Migration(migration)) => format!(
            "worker {} {} -> {}, {} km, cost {}",
            migration.worker_id,
            migration.origin,
            migration.destination,
            thousands(migration.km),
            thousands(migration.move_cost)
        ),
        Some(Detail::Round(round)) => describe_round(round),
        None => String::new(),
    }
}

fn describe_round(round: &Round) -> String {
    match &round.summary {
        None => format!("round {} as of revision {}", round.id, round.snapshot_revision),
        Some(summary) => format!(
            "round {}: {} of {} workers matched, {} move, {} blocking pairs",
            round.id,
            thousands(summary.matched),
            thousands(summary.workers),
            thousands(summary.moved),
            thousands(summary.blocking_pairs)
        ),
    }
}

fn cap(cap: Option<u64>) -> String {
    cap.map_or_else(String::new, |cap| format!(", intake cap {}", thousands(cap)))
}

fn change(before: &str, now: &str) -> String {
    match before {
        "UNSPECIFIED" => format!("new, {now}"),
        _ if before == now => format!("changed, {now}"),
        _ => format!("{before} -> {now}"),
    }
}

fn worker_status(status: WorkerStatus) -> &'static str {
    status.as_str_name().trim_start_matches("WORKER_STATUS_")
}

fn vacancy_status(status: VacancyStatus) -> &'static str {
    status.as_str_name().trim_start_matches("VACANCY_STATUS_")
}

/// Reads a position: `REVISION` or `REVISION:INDEX`.
pub fn parse_position(text: &str) -> Option<Position> {
    let (revision, index) = text.split_once(':').unwrap_or((text, "0"));
    Some(Position {
        incarnation: String::new(),
        revision: revision.parse().ok()?,
        index: index.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: kinds and positions are read as people and other programs write them.
    #[test]
    fn kinds_and_positions_are_read() {
        for text in ["MIGRATION_PLANNED", "migration-planned", "EVENT_KIND_MIGRATION_PLANNED"] {
            assert_eq!(parse_kind(text), Ok(EventKind::MigrationPlanned));
        }
        assert!(parse_kind("unspecified").is_err() && parse_kind("").is_err());
        let at = |text| parse_position(text).map(|position| (position.revision, position.index));
        assert_eq!((at("12"), at("12:3")), (Some((12, 0)), Some((12, 3))));
        assert_eq!((at(""), at("12:"), at("-1"), at("a:b")), (None, None, None, None));
    }
}

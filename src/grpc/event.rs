//! `EventService`: streams what happens.
//!
//! Here is what they ask for; each of them is served by a task of its own (`subscriber`).

use super::deadline::Deadline;
use super::status::{Answer, refuse, refuse_with};
use super::subscriber::{Delivery, Wish, deliver};
use super::{Shared, parse, render};
use crate::domain::error::in_range;
use crate::domain::{
    CityName, Geography, Incarnation, Reason, Revision, VacancyId, Violation, WorkerId, limits,
};
use crate::events::{Cursor, Filter, Kind, Missed, Next, Position};
use crate::market::{Market, Recall};
use crate::mutants::active;
use crate::proto::encoded::event_service_server::EventService;
use crate::proto::v1 as pb;
use crate::proto::v1::watch_request::Start;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status};

/// `EventService` over the server's markets.
#[derive(Clone)]
pub struct Events(pub Shared);

#[tonic::async_trait]
impl EventService for Events {
    type WatchStream = Delivery;

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Delivery>, Status> {
        let deadline = request.extensions().get::<Deadline>().and_then(|deadline| deadline.0);
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let start = start(&market, request.start.as_ref()).await?;
        let filter = filter(&market, request.filter.as_ref())?;
        let checkpoint = checkpoint(request.checkpoint_interval_ms).map_err(refuse)?;
        let audience = market.recent().join(filter);
        let wish = Wish { start, audience, checkpoint, deadline };
        Ok(Response::new(deliver(&self.0, market, wish)?))
    }

    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let size = super::paging::size(request.page_size)?;
        let from = match &request.start {
            None => market.log().oldest(),
            Some(at) => resolve(&market, at, "start").await?,
        };
        let mut cursor = Cursor::new(from, filter(&market, request.filter.as_ref())?);
        let head_at = market.head();
        let mut events = Vec::new();
        let mut caught_up = false;
        while events.len() < size && !caught_up {
            match advance(&market, &mut cursor, size - events.len()).await? {
                Next::Chunk(chunk) => {
                    let head = naming(&market, &head_at, chunk.revision()).await;
                    events.extend(chunk.events().map(|(index, event)| {
                        render::event(
                            event,
                            Position { revision: chunk.revision(), index },
                            chunk.at(),
                            &head,
                        )
                    }));
                }
                // A filter that finds nothing must not hold the thread for all of history.
                Next::Skipped => tokio::task::yield_now().await,
                Next::CaughtUp => caught_up = true,
            }
        }
        caught_up |= cursor.position() == market.log().end();
        let next = Some(render::position(&market, cursor.position()));
        Ok(Response::new(pb::ListEventsResponse { events, next, caught_up }))
    }

    async fn get_watermark(
        &self,
        request: Request<pb::GetWatermarkRequest>,
    ) -> Result<Response<pb::GetWatermarkResponse>, Status> {
        let market = self.0.market(&request.into_inner().market)?;
        Ok(Response::new(pb::GetWatermarkResponse {
            oldest: Some(render::position(&market, market.log().oldest())),
            newest: Some(render::position(&market, market.log().end())),
        }))
    }
}

/// A head that names all that events up to `revision` refer to.
pub(super) async fn naming(
    market: &Market,
    known: &Arc<crate::state::Head>,
    revision: Revision,
) -> Arc<crate::state::Head> {
    if known.revision >= revision {
        known.clone()
    } else {
        super::head_naming(market, revision).await
    }
}

/// The silence after which a checkpoint is sent.
fn checkpoint(millis: u32) -> Result<Duration, Violation> {
    let millis = if millis == 0 { limits::CHECKPOINT_MILLIS_DEFAULT } else { millis };
    in_range(
        "checkpoint_interval_ms",
        millis,
        limits::CHECKPOINT_MILLIS_MIN,
        limits::CHECKPOINT_MILLIS_MAX,
    )?;
    Ok(Duration::from_millis(u64::from(millis)))
}

/// Where a subscriber wants to start.
async fn start(market: &Market, start: Option<&Start>) -> Answer<Position> {
    match start {
        None => {
            let message = "say where to start: earliest, now or a position";
            Err(refuse(Violation::invalid("start", message)))
        }
        Some(Start::Earliest(_)) => Ok(market.log().oldest()),
        Some(Start::Now(_)) => Ok(market.log().end()),
        Some(Start::Position(position)) => {
            let mut at = resolve(market, position, "position").await?;
            at.index += u32::from(active("resume-exclusive"));
            at.index = at.index.saturating_sub(u32::from(active("resume-repeats-one")));
            Ok(at)
        }
    }
}

/// Moves a cursor on, through the journal where the log does not have its position.
pub(super) async fn advance(market: &Market, cursor: &mut Cursor, limit: usize) -> Answer<Next> {
    loop {
        match cursor.advance_by(market.log(), limit) {
            Err(Missed::Archived) => {
                let batches = market.recall(cursor.position().revision).await;
                cursor.recall(batches.map_err(|why| recall_status(market, why))?);
            }
            next => return next.map_err(|missed| missed_status(market, missed)),
        }
    }
}

async fn resolve(market: &Market, position: &pb::Position, field: &str) -> Answer<Position> {
    let incarnation = format!("{field}.incarnation");
    let of =
        parse::optional(&incarnation, &position.incarnation, Incarnation::parse).map_err(refuse)?;
    if of.is_some_and(|of| of != market.incarnation()) {
        let message = "the position is of another incarnation of the market";
        let violation = Violation::new(Reason::IncarnationMismatch, incarnation, message);
        return Err(refuse_with(violation, &[("incarnation", market.incarnation().to_string())]));
    }
    let at = Position { revision: Revision(position.revision), index: position.index };
    match market.log().resolve(at) {
        Err(Missed::Archived) => {
            let batches = market.recall(at.revision).await;
            let batches = batches.map_err(|why| recall_status(market, why))?;
            let at = batches.first().and_then(|batch| batch.resolve(at.index));
            at.ok_or_else(|| missed_status(market, Missed::Future(market.log().end())))
        }
        resolved => resolved.map_err(|missed| missed_status(market, missed)),
    }
}

fn recall_status(market: &Market, why: Recall) -> Status {
    match why {
        Recall::Missed(missed) => missed_status(market, missed),
        Recall::Failed => {
            let message = "the journal's history cannot be read at present";
            refuse(Violation::new(Reason::JournalFailed, "", message))
        }
    }
}

fn missed_status(market: &Market, missed: Missed) -> Status {
    let (reason, at, message) = match missed {
        Missed::Trimmed(oldest) => {
            (Reason::PositionTrimmed, oldest, "before the retained history, which starts")
        }
        Missed::Future(end) => {
            (Reason::PositionInFuture, end, "after the newest event, after which comes")
        }
        // Whoever meets it recalls it.
        Missed::Archived => (
            Reason::PositionTrimmed,
            market.log().oldest(),
            "where nothing is kept, before what starts",
        ),
    };
    let message = format!("the position lies {message} at revision {}", at.revision);
    ended_at(market, at, Violation::new(reason, "position", message))
}

/// A status that carries a position.
pub(super) fn ended_at(market: &Market, at: Position, violation: Violation) -> Status {
    refuse_with(
        violation,
        &[
            ("incarnation", market.incarnation().to_string()),
            ("revision", at.revision.to_string()),
            ("index", at.index.to_string()),
        ],
    )
}

fn filter(market: &Market, filter: Option<&pb::EventFilter>) -> Answer<Filter> {
    let Some(asked) = filter else { return Ok(Filter::default()) };
    read_filter(market, asked).map_err(refuse)
}

fn read_filter(market: &Market, asked: &pb::EventFilter) -> Result<Filter, Violation> {
    let limit = |name: &str, count| {
        crate::domain::error::at_most(&format!("filter.{name}"), count, limits::FILTER_VALUES_MAX)
    };
    limit("kinds", asked.kinds.len())?;
    limit("cities", asked.cities.len())?;
    limit("worker_ids", asked.worker_ids.len())?;
    limit("vacancy_ids", asked.vacancy_ids.len())?;
    let mut filter = Filter::default();
    for (i, kind) in asked.kinds.iter().enumerate() {
        let known = Kind::ALL.into_iter().find(|known| render::kind(*known) as i32 == *kind);
        let field = format!("filter.kinds[{i}]");
        filter.kinds.insert(
            known.ok_or_else(|| Violation::invalid(field, format!("{kind} is not a kind")))?,
        );
    }
    let geography = market.head().geography.clone();
    for (i, name) in asked.cities.iter().enumerate() {
        let field = format!("filter.cities[{i}]");
        let name = CityName::parse(&field, name)?;
        let city = geography.city_named(name.as_str());
        filter.cities.insert(city.ok_or_else(|| Geography::unknown_city(field, &name))?);
    }
    for (i, id) in asked.worker_ids.iter().enumerate() {
        filter.workers.insert(WorkerId::parse(&format!("filter.worker_ids[{i}]"), id)?);
    }
    for (i, id) in asked.vacancy_ids.iter().enumerate() {
        filter.vacancies.insert(VacancyId::parse(&format!("filter.vacancy_ids[{i}]"), id)?);
    }
    Ok(filter)
}

//! `EventService`: streams what happens.
//!
//! Each subscriber is a task with a cursor over the market's log. It hands messages to
//! the connection one by one and only as fast as the connection takes them, so a slow
//! subscriber holds back nobody and costs the market nothing.

use super::deadline::Deadline;
use super::status::{Answer, refuse, refuse_with};
use super::{Shared, parse, render};
use crate::domain::error::in_range;
use crate::domain::{
    CityName, Geography, Incarnation, Reason, Revision, VacancyId, Violation, WorkerId, limits,
};
use crate::events::{Chunk, Cursor, Filter, Kind, Missed, Next, Position};
use crate::market::{Market, Recall, Subscription};
use crate::mutants::active;
use crate::proto::v1 as pb;
use crate::proto::v1::event_service_server::EventService;
use crate::proto::v1::watch_request::Start;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// `EventService` over the server's markets.
#[derive(Clone)]
pub struct Events(pub Shared);

/// Messages on their way to one connection.
const MESSAGES_WAITING: usize = 4;

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
        let position = start(&market, request.start.as_ref()).await?;
        let filter = filter(&market, request.filter.as_ref())?;
        let checkpoint = checkpoint(request.checkpoint_interval_ms).map_err(refuse)?;
        let counted = (
            market.subscribe(self.0.subscribers_per_market_max).map_err(refuse)?,
            ServerSubscription::new(&self.0)?,
        );
        let (messages, waiting) = mpsc::channel(MESSAGES_WAITING);
        let last = Arc::new(Mutex::new(None));
        let subscriber = Subscriber {
            cursor: Cursor::new(position, filter),
            delivered: position,
            market,
            shared: self.0.clone(),
            checkpoint,
            deadline,
            messages,
            last: last.clone(),
            _counted: counted,
        };
        tokio::spawn(subscriber.run());
        Ok(Response::new(Delivery { waiting, last, ended: false }))
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
async fn naming(
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

/// One subscriber: a cursor, and where its messages go.
struct Subscriber {
    market: Arc<Market>,
    shared: Shared,
    cursor: Cursor,
    /// Where to resume after the last message that was handed over.
    delivered: Position,
    checkpoint: Duration,
    deadline: Option<Instant>,
    messages: mpsc::Sender<pb::WatchResponse>,
    last: Arc<Mutex<Option<Status>>>,
    _counted: (Subscription, ServerSubscription),
}

impl Subscriber {
    /// Delivers until something ends the stream, and leaves the reason behind.
    async fn run(mut self) {
        if let Err(status) = self.deliver().await {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        }
        // Dropping the sender lets the stream come to its end, and so to the reason.
    }

    /// `Ok` if the caller left; the status that ends the stream otherwise.
    async fn deliver(&mut self) -> Answer<()> {
        let mut heads = self.market.watch_head();
        let mut head = heads.borrow_and_update().clone();
        let mut silence = Instant::now();
        loop {
            self.check_end()?;
            // Only what the head has seen: cities of later events may not have names yet.
            if self.cursor.position().revision > head.revision {
                let due = silence + self.checkpoint;
                tokio::select! {
                    changed = heads.changed() => {
                        if changed.is_err() {
                            return Err(self.deleted());
                        }
                        head = heads.borrow_and_update().clone();
                        if active("polls-the-newest") {
                            self.cursor.jump(Position::start_of(head.revision));
                        }
                    }
                    () = tokio::time::sleep_until(due) => {
                        silence = Instant::now();
                        if !self.send(self.checkpoint_message()).await? {
                            return Ok(());
                        }
                    }
                    () = ended(self.deadline) => {}
                    () = self.shared.stopping.cancelled() => {}
                    () = self.market.closed().cancelled() => {}
                    () = self.messages.closed() => return Ok(()),
                }
                continue;
            }
            let market = self.market.clone();
            let next = advance(&market, &mut self.cursor, usize::MAX).await?;
            let message = match next {
                Next::Chunk(chunk) => {
                    // The cursor passes over what the filter does not want, and may so
                    // have come to a revision whose cities this head cannot name.
                    head = naming(&self.market, &head, chunk.revision()).await;
                    Some(self.events_message(&chunk, &head))
                }
                Next::Skipped => Some(self.checkpoint_message()),
                Next::CaughtUp => None,
            };
            if let Some(message) = message {
                silence = Instant::now();
                let inside = active("checkpoint-in-a-revision") && !message.last_in_revision;
                if !self.send(message).await? {
                    return Ok(());
                }
                if inside && !self.send(self.checkpoint_message()).await? {
                    return Ok(());
                }
            }
        }
    }

    /// Whether the stream must end now: deadline, server or market.
    fn check_end(&self) -> Answer<()> {
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(self.end(Reason::DeadlineExceeded, "the call's deadline passed"));
        }
        if self.shared.stopping.is_cancelled() {
            return Err(
                self.end(Reason::ShuttingDown, "the server is stopping; resume from the position")
            );
        }
        if self.market.closed().is_cancelled() {
            return Err(self.deleted());
        }
        Ok(())
    }

    fn deleted(&self) -> Status {
        self.end(Reason::MarketNotFound, "the market is deleted")
    }

    /// The status that ends the stream, with the position to resume from.
    fn end(&self, reason: Reason, message: &str) -> Status {
        ended_at(&self.market, self.delivered, Violation::new(reason, "", message))
    }

    /// Hands a message over. False if the caller left; an error if the connection
    /// accepts nothing for too long, or the stream must end while it waits.
    async fn send(&mut self, message: pb::WatchResponse) -> Answer<bool> {
        let next = message
            .next
            .as_ref()
            .map(|next| Position { revision: Revision(next.revision), index: next.index });
        let sent = tokio::select! {
            sent = self.messages.send_timeout(message, self.shared.stall) => sent,
            () = ended(self.deadline) => return self.check_end().map(|()| true),
            () = self.shared.stopping.cancelled() => return self.check_end().map(|()| true),
        };
        match sent {
            Ok(()) => {
                self.delivered = next.unwrap_or(self.delivered);
                Ok(true)
            }
            Err(SendTimeoutError::Closed(_)) => Ok(false),
            Err(SendTimeoutError::Timeout(_)) if active("stalled-loses-messages") => Ok(true),
            Err(SendTimeoutError::Timeout(_)) => {
                let message =
                    "the connection accepted nothing for too long; resume from the position";
                Err(self.end(Reason::SubscriberStalled, message))
            }
        }
    }

    fn events_message(&self, chunk: &Chunk, head: &crate::state::Head) -> pb::WatchResponse {
        let events = chunk.events().map(|(index, event)| {
            render::event(event, Position { revision: chunk.revision(), index }, chunk.at(), head)
        });
        pb::WatchResponse {
            events: events.collect(),
            last_in_revision: chunk.last_in_revision,
            next: Some(render::position(&self.market, chunk.next)),
            checkpoint: false,
        }
    }

    fn checkpoint_message(&self) -> pb::WatchResponse {
        let newest = active("checkpoint-is-the-newest").then(|| self.market.log().end());
        pb::WatchResponse {
            events: Vec::new(),
            last_in_revision: false,
            next: Some(render::position(&self.market, newest.unwrap_or(self.cursor.position()))),
            checkpoint: true,
        }
    }
}

/// Waits for a deadline, for ever if there is none.
async fn ended(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What the connection reads: the messages, and after the last of them the reason why
/// there are no more.
pub struct Delivery {
    waiting: mpsc::Receiver<pb::WatchResponse>,
    last: Arc<Mutex<Option<Status>>>,
    ended: bool,
}

impl Stream for Delivery {
    type Item = Result<pb::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.waiting.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(message)) => Poll::Ready(Some(Ok(message))),
            Poll::Ready(None) if self.ended => Poll::Ready(None),
            Poll::Ready(None) => {
                self.ended = true;
                let status = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
                // A stream without an end must never end as if all were well.
                let broken =
                    || refuse(Violation::new(Reason::Internal, "", "the subscriber's task failed"));
                Poll::Ready(Some(Err(status.unwrap_or_else(broken))))
            }
        }
    }
}

/// A subscriber of the server, counted until this is dropped.
struct ServerSubscription(Arc<AtomicUsize>);

impl ServerSubscription {
    fn new(shared: &Shared) -> Answer<Self> {
        let before = shared.subscribers.fetch_add(1, Ordering::Relaxed);
        let subscription = Self(shared.subscribers.clone());
        if before >= shared.subscribers_max {
            let message =
                format!("the server has {} subscribers, its limit", shared.subscribers_max);
            return Err(refuse(Violation::new(Reason::LimitReached, "", message)));
        }
        Ok(subscription)
    }
}

impl Drop for ServerSubscription {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
async fn advance(market: &Market, cursor: &mut Cursor, limit: usize) -> Answer<Next> {
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
fn ended_at(market: &Market, at: Position, violation: Violation) -> Status {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt;

    /// Goal: a stream whose task is gone without a word ends with an error, once.
    #[tokio::test]
    async fn a_stream_never_ends_silently() {
        let (messages, waiting) = mpsc::channel(1);
        drop(messages);
        let mut delivery = Delivery { waiting, last: Arc::default(), ended: false };
        let status = delivery.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::Internal);
        assert!(delivery.next().await.is_none());
    }
}

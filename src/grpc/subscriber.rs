//! One subscriber: a task that reads the log and hands messages to the connection, and what
//! the connection reads.
//!
//! It hands messages over one by one and only as fast as the connection takes them, so a slow
//! subscriber holds back nobody and costs the market nothing. What many are told is encoded
//! once for all of them (`events::Recent`); a message is bytes from there on.

use super::event::{advance, ended_at, naming};
use super::status::{Answer, refuse};
use super::{Shared, render};
use crate::domain::{Reason, Violation};
use crate::events::{Audience, Chunk, Cursor, Next, Position};
use crate::market::{Market, Subscription};
use crate::mutants::active;
use crate::proto::Encoded;
use crate::proto::v1 as pb;
use crate::state::Head;
use prost::Message as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{SendTimeoutError, TrySendError};
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

/// Messages on their way to one connection.
const MESSAGES_WAITING: usize = 4;

/// How a caller wants to be told.
pub struct Wish {
    /// From where on.
    pub start: Position,
    /// Of what, and with whom.
    pub audience: Arc<Audience>,
    /// The silence after which a checkpoint is sent.
    pub checkpoint: Duration,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// Starts a subscriber's task; gives back what its connection reads.
pub fn deliver(shared: &Shared, market: Arc<Market>, wish: Wish) -> Answer<Delivery> {
    let counted = (
        market.subscribe(shared.subscribers_per_market_max).map_err(refuse)?,
        ServerSubscription::new(shared)?,
    );
    let (messages, waiting) = mpsc::channel(MESSAGES_WAITING);
    let last = Arc::new(Mutex::new(None));
    let Wish { start, audience, checkpoint, deadline } = wish;
    let subscriber = Subscriber {
        cursor: Cursor::new(start, audience.filter().clone()),
        audience,
        delivered: start,
        market,
        shared: shared.clone(),
        silence_max: checkpoint,
        deadline,
        messages,
        last: last.clone(),
        _counted: counted,
    };
    tokio::spawn(subscriber.run());
    Ok(Delivery { waiting, last, ended: false })
}

/// One subscriber: a cursor, and where its messages go.
struct Subscriber {
    market: Arc<Market>,
    shared: Shared,
    cursor: Cursor,
    audience: Arc<Audience>,
    /// Where to resume after the last message that was handed over.
    delivered: Position,
    /// The silence after which a checkpoint is sent.
    silence_max: Duration,
    deadline: Option<Instant>,
    messages: mpsc::Sender<Encoded>,
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
        // Both are made once: a busy stream waits many thousand times a second.
        let mut over = std::pin::pin!(self.over());
        let mut silent = std::pin::pin!(tokio::time::sleep(self.silence_max));
        loop {
            self.check_end()?;
            // Only what the head has seen: cities of later events may not have names yet.
            if self.cursor.position().revision > head.revision {
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
                    () = silent.as_mut() => {
                        silent.as_mut().reset(Instant::now() + self.silence_max);
                        if !self.send(self.checkpoint(), over.as_mut()).await? {
                            return Ok(());
                        }
                    }
                    () = over.as_mut() => {}
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
                    self.events(&chunk, &head)
                }
                Next::Skipped => self.checkpoint(),
                Next::CaughtUp => continue,
            };
            silent.as_mut().reset(Instant::now() + self.silence_max);
            let inside = active("checkpoint-in-a-revision") && message.next.index > 0;
            if !self.send(message, over.as_mut()).await? {
                return Ok(());
            }
            if inside && !self.send(self.checkpoint(), over.as_mut()).await? {
                return Ok(());
            }
        }
    }

    /// Waits until the stream must end: see [`Self::check_end`].
    fn over(&self) -> impl Future<Output = ()> + use<> {
        let (deadline, stopping) = (self.deadline, self.shared.stopping.clone());
        let closed = self.market.closed().clone();
        async move {
            tokio::select! {
                () = ended(deadline) => {}
                () = stopping.cancelled() => {}
                () = closed.cancelled() => {}
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
    async fn send(
        &mut self,
        message: Message,
        over: Pin<&mut impl Future<Output = ()>>,
    ) -> Answer<bool> {
        let Message { encoded, next } = message;
        // Most connections keep up, and nothing has to be waited for.
        let sent = match self.messages.try_send(encoded) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(encoded)) => Err(SendTimeoutError::Closed(encoded)),
            Err(TrySendError::Full(encoded)) => tokio::select! {
                sent = self.messages.send_timeout(encoded, self.shared.stall) => sent,
                () = over => return self.check_end().map(|()| true),
            },
        };
        match sent {
            Ok(()) => {
                self.delivered = next;
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

    /// The message of a chunk, which is encoded for the whole audience.
    fn events(&self, chunk: &Chunk, head: &Head) -> Message {
        let encode = || {
            let events = chunk.events().map(|(index, event)| {
                let at = Position { revision: chunk.revision(), index };
                render::event(event, at, chunk.at(), head)
            });
            let message = pb::WatchResponse {
                events: events.collect(),
                last_in_revision: chunk.last_in_revision,
                next: Some(render::position(&self.market, chunk.next)),
                checkpoint: false,
            };
            message.encode_to_vec().into()
        };
        let encoded = self.market.recent().encoded(&self.audience, chunk.begins(), encode);
        Message { encoded: encoded.into(), next: chunk.next }
    }

    /// The message that says how far the stream is complete.
    fn checkpoint(&self) -> Message {
        let newest = active("checkpoint-is-the-newest").then(|| self.market.log().end());
        let next = newest.unwrap_or(self.cursor.position());
        let message = pb::WatchResponse {
            events: Vec::new(),
            last_in_revision: false,
            next: Some(render::position(&self.market, next)),
            checkpoint: true,
        };
        Message { encoded: Encoded::of(&message), next }
    }
}

/// A message, and where to resume after it.
struct Message {
    encoded: Encoded,
    next: Position,
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
    waiting: mpsc::Receiver<Encoded>,
    last: Arc<Mutex<Option<Status>>>,
    ended: bool,
}

impl Stream for Delivery {
    type Item = Result<Encoded, Status>;

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

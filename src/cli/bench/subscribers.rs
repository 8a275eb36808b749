//! Those who receive the events of a busy market, and check that nothing is missing.

use super::wire::{self, Frame, Place};
use crate::cli::client::Client;
use crate::cli::error::Error;
use crate::proto::v1::watch_request::Start;
use crate::proto::v1::{Position, WatchRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Milliseconds of silence after which a subscriber is told that there is nothing more, by
/// which it knows that it is through.
const CHECKPOINT_MS: u32 = 200;

/// How far everybody is. Each counts in a line of its own, so that none waits for another.
pub struct Counts {
    each: Vec<Count>,
    /// The last revision, once there will be no more.
    last: AtomicU64,
}

#[derive(Default)]
#[repr(align(64))]
struct Count {
    deliveries: AtomicU64,
    /// All before this revision was delivered.
    revision: AtomicU64,
}

impl Counts {
    /// For so many subscribers, of which none has received anything.
    pub fn new(subscribers: u64, from: Place) -> Self {
        let count = || Count { revision: from.0.into(), ..Count::default() };
        let each = (0..subscribers).map(|_| count()).collect();
        Self { each, last: AtomicU64::new(u64::MAX) }
    }

    /// Events that were delivered so far, to all together.
    pub fn deliveries(&self) -> u64 {
        self.each.iter().map(|count| count.deliveries.load(Relaxed)).sum()
    }

    /// The revision that whoever is furthest behind waits for.
    pub fn slowest(&self) -> u64 {
        let revisions = self.each.iter().map(|count| count.revision.load(Relaxed));
        revisions.min().unwrap_or(u64::MAX)
    }

    /// From now on everybody leaves who has that revision.
    pub fn end_with(&self, revision: u64) {
        self.last.store(revision, Relaxed);
    }
}

/// The request of a stream that starts there.
fn request(market: &str, from: &Position) -> WatchRequest {
    WatchRequest {
        market: market.to_owned(),
        start: Some(Start::Position(from.clone())),
        checkpoint_interval_ms: CHECKPOINT_MS,
        ..WatchRequest::default()
    }
}

/// The messages of one subscriber.
pub type Frames = Box<dyn Stream<Item = Result<Frame, Status>> + Send + Unpin>;

/// Subscribes. Only the places of events are read, unless they are to be decoded in full.
pub async fn subscribe(
    client: &Client,
    market: &str,
    from: &Position,
    decode: bool,
) -> Result<Frames, Error> {
    let refused = Error::refused("cannot subscribe");
    let request = request(market, from);
    if !decode {
        return Ok(Box::new(wire::watch(client, request).await.map_err(refused)?));
    }
    let messages = client.events().watch(request).await.map_err(refused)?.into_inner();
    Ok(Box::new(messages.map(|message| Ok(Frame::of(&message?)?))))
}

/// Receives until the end, as subscriber number `at`.
pub async fn receive(
    mut frames: Frames,
    at: usize,
    from: Place,
    counts: Arc<Counts>,
) -> Result<(), Error> {
    let Counts { each, last } = &*counts;
    let mut place = from;
    while place.0 <= last.load(Relaxed) {
        let frame = match frames.next().await {
            Some(frame) => frame.map_err(Error::refused("a stream broke"))?,
            None => return Err(Error::Failed(format!("stream {at} ended without a reason"))),
        };
        place = follow(place, &frame)?;
        each[at].deliveries.fetch_add(u64::from(frame.events), Relaxed);
        each[at].revision.store(place.0, Relaxed);
    }
    Ok(())
}

/// Reads what there is for one who had stopped reading: events, and then the status by which
/// the stream was cut, with the position up to which nothing is missing.
pub async fn read_out(mut frames: Frames, from: Place) -> Result<(), Error> {
    let mut place = from;
    loop {
        match frames.next().await {
            Some(Ok(frame)) => place = follow(place, &frame)?,
            Some(Err(status)) if is_cut(&status, place) => return Ok(()),
            Some(Err(status)) => return Err(Error::refused("a stalled stream broke")(status)),
            None => return Err(Error::Failed("a stalled stream ended without a reason".into())),
        }
    }
}

/// Whether a stream was cut for standing still, and says that it did so at `place`.
fn is_cut(status: &Status, place: Place) -> bool {
    let info = status.get_details_error_info();
    let says = |key: &str, number: String| {
        info.as_ref().is_some_and(|info| info.metadata.get(key) == Some(&number))
    };
    status.code() == Code::ResourceExhausted
        && says("revision", place.0.to_string())
        && says("index", place.1.to_string())
}

/// The place after a frame, which must go on where the last one ended.
fn follow(place: Place, frame: &Frame) -> Result<Place, Error> {
    let after = match (frame.events, frame.last_in_revision) {
        (0, _) => place,
        (_, true) => (frame.first.0 + 1, 0),
        (events, false) => (frame.first.0, frame.first.1 + events),
    };
    if (frame.events > 0 && frame.first != place) || frame.next != after {
        let message = format!("after {place:?} comes {frame:?}: the stream is not contiguous");
        return Err(Error::Failed(message));
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: streams that leave out, repeat or mislead are found out.
    #[test]
    fn only_what_is_contiguous_is_followed() {
        let frame =
            |first, events, last_in_revision, next| Frame { first, events, last_in_revision, next };
        assert_eq!(follow((4, 0), &frame((4, 0), 3, false, (4, 3))).unwrap(), (4, 3));
        assert_eq!(follow((4, 3), &frame((4, 3), 1, true, (5, 0))).unwrap(), (5, 0));
        assert_eq!(follow((5, 0), &frame((0, 0), 0, false, (5, 0))).unwrap(), (5, 0));
        follow((4, 0), &frame((4, 1), 1, true, (5, 0))).unwrap_err();
        follow((4, 0), &frame((5, 0), 1, true, (6, 0))).unwrap_err();
        follow((4, 1), &frame((4, 0), 2, true, (5, 0))).unwrap_err();
        follow((4, 0), &frame((4, 0), 2, true, (4, 2))).unwrap_err();
        follow((4, 0), &frame((0, 0), 0, false, (5, 0))).unwrap_err();
    }
}

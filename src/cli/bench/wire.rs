//! Calls that leave messages encoded, so that a benchmark's clients take little of the
//! machine that they measure: requests are encoded before the clock starts, and of what a
//! stream brings only as much is read as it takes to check it.

use crate::cli::client::Client;
use crate::domain::limits::MESSAGE_BYTES_MAX;
use crate::proto::Encoded;
use crate::proto::v1::{Position, WatchRequest, WatchResponse};
use bytes::Buf;
use http::uri::PathAndQuery;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost::{DecodeError, Message};
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, Streaming};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::{ProstCodec, ProstEncoder};

/// A client that is ready for a call.
async fn ready(client: &Client) -> Result<Grpc<Channel>, Status> {
    let mut grpc = Grpc::new(client.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(grpc)
}

/// A call with one message, which is encoded already.
pub async fn unary<R: Message + Default + 'static>(
    client: &Client,
    path: &'static str,
    message: Encoded,
) -> Result<R, Status> {
    let (path, codec) = (PathAndQuery::from_static(path), ProstCodec::<Encoded, R>::default());
    let reply = ready(client).await?.unary(Request::new(message), path, codec).await?;
    Ok(reply.into_inner())
}

/// A call with a stream of messages, which are encoded already.
pub async fn streaming<R: Message + Default + 'static>(
    client: &Client,
    path: &'static str,
    messages: impl Stream<Item = Encoded> + Send + 'static,
) -> Result<Streaming<R>, Status> {
    let (path, codec) = (PathAndQuery::from_static(path), ProstCodec::<Encoded, R>::default());
    let replies = ready(client).await?.streaming(Request::new(messages), path, codec).await?;
    Ok(replies.into_inner())
}

/// A stream of events of which only the places are read.
pub async fn watch(client: &Client, request: WatchRequest) -> Result<Streaming<Frame>, Status> {
    let path = PathAndQuery::from_static("/gale.v1.EventService/Watch");
    let frames = ready(client).await?.server_streaming(Request::new(request), path, Frames).await?;
    Ok(frames.into_inner())
}

/// A place in the order of events: revision and index.
pub type Place = (u64, u32);

/// The place of a position.
pub fn place(position: &Position) -> Place {
    (position.revision, position.index)
}

/// What is read of a `WatchResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The place of the first event.
    pub first: Place,
    /// How many events there are; one revision's, numbered without a gap.
    pub events: u32,
    pub last_in_revision: bool,
    /// Where to resume.
    pub next: Place,
}

impl Frame {
    /// Reads the places of a message, and steps over everything else.
    fn read(mut message: &[u8]) -> Result<Self, Torn> {
        let mut frame = Self::default();
        while message.has_remaining() {
            match decode_key(&mut message)? {
                (1, WireType::LengthDelimited) => {
                    frame.count(place_in(part(&mut message)?)?)?;
                }
                (2, WireType::Varint) => {
                    frame.last_in_revision = decode_varint(&mut message)? != 0;
                }
                (3, WireType::LengthDelimited) => frame.next = place_of(part(&mut message)?)?,
                (_, other) => skip(other, &mut message)?,
            }
        }
        Ok(frame)
    }

    /// The same of a message that was decoded as every client does.
    pub fn of(message: &WatchResponse) -> Result<Self, Torn> {
        let place_of = |position: Option<&Position>| position.map(place).ok_or(Torn);
        let last_in_revision = message.last_in_revision;
        let next = place_of(message.next.as_ref())?;
        let mut frame = Self { last_in_revision, next, ..Self::default() };
        for event in &message.events {
            frame.count(place_of(event.position.as_ref())?)?;
        }
        Ok(frame)
    }

    /// Counts an event, which must come next.
    fn count(&mut self, place: Place) -> Result<(), Torn> {
        if self.events == 0 {
            self.first = place;
        }
        if place != (self.first.0, self.first.1 + self.events) {
            return Err(Torn);
        }
        self.events += 1;
        Ok(())
    }
}

/// Where an event stands: its position comes first in what this server sends.
fn place_in(mut event: &[u8]) -> Result<Place, Torn> {
    match decode_key(&mut event)? {
        (1, WireType::LengthDelimited) => place_of(part(&mut event)?),
        _ => Err(Torn),
    }
}

fn place_of(mut position: &[u8]) -> Result<Place, Torn> {
    let mut place = (0, 0);
    while position.has_remaining() {
        match decode_key(&mut position)? {
            (2, WireType::Varint) => place.0 = decode_varint(&mut position)?,
            (3, WireType::Varint) => place.1 = decode_varint(&mut position)? as u32,
            (_, other) => skip(other, &mut position)?,
        }
    }
    Ok(place)
}

/// The bytes of a field with its length before it.
fn part<'m>(message: &mut &'m [u8]) -> Result<&'m [u8], Torn> {
    let length = decode_varint(message)? as usize;
    let (part, rest) = message.split_at_checked(length).ok_or(Torn)?;
    *message = rest;
    Ok(part)
}

fn skip(wire_type: WireType, message: &mut &[u8]) -> Result<(), Torn> {
    match wire_type {
        WireType::Varint => Ok(decode_varint(message).map(drop)?),
        WireType::LengthDelimited => part(message).map(drop),
        _ => Err(Torn),
    }
}

/// A message that cannot be read, or in which places do not follow each other.
#[derive(Debug, thiserror::Error)]
#[error("a message of the stream is torn")]
pub struct Torn;

impl From<DecodeError> for Torn {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

impl From<Torn> for Status {
    fn from(torn: Torn) -> Self {
        Self::data_loss(torn.to_string())
    }
}

/// Reads `WatchResponse`s as [`Frame`]s.
#[derive(Clone, Copy)]
struct Frames;

impl Codec for Frames {
    type Encode = WatchRequest;
    type Decode = Frame;
    type Encoder = ProstEncoder<WatchRequest>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Decoder for Frames {
    type Item = Frame;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Frame>, Status> {
        // A message is in one piece here.
        let frame = Frame::read(message.chunk());
        message.advance(message.remaining());
        Ok(Some(frame?))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{Event, EventKind, WatchResponse, WorkerChange, event::Detail};

    fn message(revision: u64, indices: &[u32]) -> WatchResponse {
        let position = |index| Position { incarnation: String::new(), revision, index };
        let event = |index: &u32| Event {
            position: Some(position(*index)),
            kind: EventKind::WorkerChanged.into(),
            time: Some(Default::default()),
            detail: Some(Detail::Worker(WorkerChange {
                worker_id: "w".repeat(200),
                ..Default::default()
            })),
        };
        WatchResponse {
            events: indices.iter().map(event).collect(),
            last_in_revision: true,
            next: Some(Position { incarnation: "i".into(), ..position(7) }),
            checkpoint: false,
        }
    }

    /// Goal: what is read of a message is what is in it. Method: messages as clients
    /// encode them, with the numbers that have no bytes (0) among them.
    #[test]
    fn frames_are_what_was_sent() {
        for first in [0, 5, 300] {
            let indices: Vec<u32> = (first..first + 3).collect();
            let message = message(1 << 40, &indices);
            let frame = Frame::read(&message.encode_to_vec()).unwrap();
            let (first, next) = ((1 << 40, first), (1 << 40, 7));
            assert_eq!(frame, Frame { first, events: 3, last_in_revision: true, next });
            assert_eq!(frame, Frame::of(&message).unwrap());
        }
    }

    /// Goal: a gap inside a message, an event twice and bytes that are missing are found.
    #[test]
    fn torn_messages_are_refused() {
        for indices in [[0, 2], [3, 3], [2, 1]] {
            Frame::read(&message(9, &indices).encode_to_vec()).unwrap_err();
            Frame::of(&message(9, &indices)).unwrap_err();
        }
        let whole = message(9, &[0, 1]).encode_to_vec();
        Frame::read(&whole[..whole.len() - 1]).unwrap_err();
    }
}

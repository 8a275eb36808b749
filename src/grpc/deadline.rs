//! Deadlines. tonic answers a call past its `grpc-timeout` with CANCELLED and lets a
//! stream outlive it; this layer answers DEADLINE_EXCEEDED, ends streams at theirs,
//! and gives unary calls that set none a deadline of their own.
//!
//! It also corrects the code of a message over the size limit, which tonic reports as
//! OUT_OF_RANGE: RESOURCE_EXHAUSTED. And when the server stops it ends, with UNAVAILABLE,
//! what would keep it from stopping: calls that are not through after a moment of grace.

use crate::domain::limits::MESSAGE_BYTES_MAX;
use crate::domain::{Reason, Violation};
use crate::grpc::status::refuse;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// tonic has a timer of its own for the same deadline; ours must be the first.
const HEAD_START: Duration = Duration::from_millis(3);

/// What a call that is under way when the server stops may still take. Streams of ours
/// end at once by themselves, and say where.
const GRACE: Duration = Duration::from_secs(2);

/// What a stream that ends itself, and then says where, may take for it once it has begun.
/// tonic's timer is for the beginning alone, so this may be longer than the head start:
/// on a busy machine tasks wake later than that.
const LAST_WORD: Duration = Duration::from_millis(500);

/// When the caller stops waiting. Services find it in the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Option<Instant>);

/// Puts deadlines on all calls.
#[derive(Clone, Debug)]
pub struct DeadlineLayer {
    /// Deadline of a unary call whose caller sets none.
    pub unary_default: Duration,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, layer: self.clone() }
    }
}

/// See [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct DeadlineService<S> {
    inner: S,
    layer: DeadlineLayer,
}

/// Calls that stream, whose end is theirs to choose: no deadline unless they set one.
const STREAMING: &[&str] = &[
    "/gale.v1.EventService/Watch",
    "/gale.v1.PoolService/ImportWorkers",
    "/gale.v1.PoolService/ImportVacancies",
    "/gale.v1.MatchingService/Verify",
    "/gale.v1.PlanningService/PriceGuidance",
    "/gale.v1.PlanningService/RunScenario",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Of those, the one that watches its deadline itself.
const ENDS_ITSELF: &str = "/gale.v1.EventService/Watch";

impl<S> Service<Request<Body>> for DeadlineService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let streams = STREAMING.contains(&request.uri().path());
        let asked = request.headers().get("grpc-timeout").and_then(timeout);
        let timeout = match (asked, streams) {
            (Some(asked), _) => Some(asked),
            (None, true) => None,
            (None, false) => Some(self.layer.unary_default),
        };
        // However short the time is, the service comes first, then this, then tonic.
        let head_start = timeout.map_or(HEAD_START, |timeout| HEAD_START.min(timeout / 2));
        let timeout = timeout.map(|timeout| timeout - head_start);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        request.extensions_mut().insert(Deadline(deadline));
        let patience = if request.uri().path() == ENDS_ITSELF { LAST_WORD } else { head_start / 2 };
        let answer = self.inner.call(request);
        let stopping = self.layer.stopping.clone();
        Box::pin(async move {
            let end_of_head = end_of_call(deadline, head_start / 2, stopping.clone());
            let answer = tokio::select! {
                biased;
                answer = answer => right_code(answer?),
                status = end_of_head => return Ok(status.into_http()),
            };
            let end = Box::pin(end_of_call(deadline, patience, stopping));
            Ok(answer.map(|body| Body::new(Limited::new(body, end))))
        })
    }
}

/// Waits for what ends a call from outside: its deadline, or the server's stop. A service
/// that watches for these itself says more than this can: it is given the first word, for
/// as long as `patience`.
async fn end_of_call(
    deadline: Option<Instant>,
    patience: Duration,
    stopping: CancellationToken,
) -> Status {
    let passed_deadline = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline + patience).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = passed_deadline => passed(),
        () = async { stopping.cancelled().await; tokio::time::sleep(GRACE).await } => {
            refuse(Violation::new(Reason::ShuttingDown, "", "the server is stopping"))
        }
    }
}

/// The status of a call past its deadline.
fn passed() -> Status {
    refuse(Violation::new(Reason::DeadlineExceeded, "", "the call's deadline passed"))
}

/// Reads `grpc-timeout`: at most 8 digits and a unit.
fn timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// Gives a response its proper code: see [`right_status`].
fn right_code(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if is_wrong(&status) => right_status(status).into_http(),
        _ => response,
    }
}

/// The same for a status that comes at the end: a reply that is too large is known only
/// when it is encoded.
fn right_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    let Some(status) = frame.trailers_ref().and_then(Status::from_header_map) else { return frame };
    if !is_wrong(&status) {
        return frame;
    }
    let mut trailers = HeaderMap::new();
    match right_status(status).add_header(&mut trailers) {
        Ok(()) => Frame::trailers(trailers),
        Err(_) => frame,
    }
}

fn is_wrong(status: &Status) -> bool {
    match status.code() {
        Code::OutOfRange => status.message().contains("length too large"),
        Code::Cancelled => status.message() == "Timeout expired",
        _ => false,
    }
}

/// Gives tonic's own statuses their proper codes: a message over the size limit is
/// RESOURCE_EXHAUSTED, a deadline that its timer saw first DEADLINE_EXCEEDED.
pub(super) fn right_status(status: Status) -> Status {
    match status.code() {
        _ if !is_wrong(&status) => status,
        Code::OutOfRange => {
            let message = format!("a message is over the limit of {MESSAGE_BYTES_MAX} bytes");
            refuse(Violation::new(Reason::LimitReached, "", message))
        }
        _ => passed(),
    }
}

/// A response body that ends when its call does, with the status that says so.
struct Limited {
    inner: Body,
    end: Pin<Box<dyn Future<Output = Status> + Send>>,
    ended: bool,
}

impl Limited {
    fn new(inner: Body, end: Pin<Box<dyn Future<Output = Status> + Send>>) -> Self {
        Self { inner, end, ended: false }
    }
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map(right_trailers)));
        }
        let Poll::Ready(status) = self.end.as_mut().poll(context) else { return Poll::Pending };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        match status.add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(status) => Poll::Ready(Some(Err(status))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: tonic's own statuses get their proper codes wherever they stand. Method:
    /// its words for a reply that is too large, as trailers.
    #[test]
    fn a_reply_too_large_is_resource_exhausted() {
        let told = "Error, encoded message length too large: found 2 bytes, the limit is: 1 bytes";
        let mut trailers = HeaderMap::new();
        Status::new(Code::OutOfRange, told).add_header(&mut trailers).unwrap();
        let frame = right_trailers(Frame::trailers(trailers));
        let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }

    /// Goal: other statuses at the end of a call stay what they are.
    #[test]
    fn other_trailers_stay_as_they_are() {
        let mut trailers = HeaderMap::new();
        Status::new(Code::OutOfRange, "before history").add_header(&mut trailers).unwrap();
        let frame = right_trailers(Frame::trailers(trailers.clone()));
        assert_eq!(frame.trailers_ref(), Some(&trailers));
    }
}

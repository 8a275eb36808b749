//! Calls without a gRPC library on this side: a client's own timers, retries and
//! corrections must not stand in front of what the server answers.
#![allow(dead_code, reason = "each test file uses its share")]

use super::support::guarded;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use prost::Message;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Status;

/// A connection that speaks HTTP/2.
pub struct Connection {
    address: SocketAddr,
    sender: h2::client::SendRequest<Bytes>,
}

/// A call under way: its request may be unfinished.
pub struct Call {
    response: h2::client::ResponseFuture,
    /// Kept so that the request stays open.
    pub request: h2::SendStream<Bytes>,
}

/// All that came back.
pub struct Reply {
    pub headers: HeaderMap,
    pub data: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

/// A message as gRPC frames it.
pub fn framed(message: &impl Message) -> Bytes {
    framed_bytes(&message.encode_to_vec())
}

/// The bytes of a message as gRPC frames them.
pub fn framed_bytes(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::from(&[0][..]);
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes.freeze()
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server accepts");
        // A request in two frames must not wait for an acknowledgement between them.
        stream.set_nodelay(true).expect("an option of every socket");
        let (sender, driver) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(driver);
        Self { address, sender }
    }

    /// Starts a call. Without a message the request stays open and empty.
    pub async fn call<M: Message>(
        &mut self,
        path: &str,
        timeout: Option<&str>,
        message: Option<&M>,
        finish: bool,
    ) -> Call {
        let mut request = Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let mut sender = self.sender.clone().ready().await.expect("room for a stream");
        let (response, mut request) =
            sender.send_request(request.body(()).unwrap(), false).expect("a request");
        if let Some(message) = message {
            request.send_data(framed(message), finish).expect("a small message fits");
        }
        Call { response, request }
    }
}

impl Call {
    /// Reads everything, to the end of the call.
    pub async fn reply(self) -> Reply {
        let Self { response, request } = self;
        let reading = async {
            let (head, mut body) = response.await.expect("an answer").into_parts();
            let mut data = Vec::new();
            while let Some(chunk) = body.data().await {
                let chunk = chunk.expect("data");
                data.extend_from_slice(&chunk);
                let _ = body.flow_control().release_capacity(chunk.len());
            }
            let trailers = body.trailers().await.expect("the stream ends in order");
            Reply { headers: head.headers, data, trailers }
        };
        let reply = guarded("the end of the call", reading).await;
        drop(request);
        reply
    }
}

impl Reply {
    /// The status, from wherever gRPC puts it.
    pub fn status(&self) -> Status {
        let trailers = self.trailers.as_ref().and_then(Status::from_header_map);
        trailers.or_else(|| Status::from_header_map(&self.headers)).expect("a gRPC status")
    }

    /// Bytes of the header block that carries the status, as HTTP/2 counts them.
    pub fn status_bytes(&self) -> usize {
        let block = self.trailers.as_ref().unwrap_or(&self.headers);
        block.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    /// The messages.
    pub fn messages<M: Message + Default>(&self) -> Vec<M> {
        let mut rest = &self.data[..];
        let mut messages = Vec::new();
        while let Some((length, _)) = rest.get(1..5).map(|b| b.split_at(4)) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            messages.push(M::decode(&rest[5..5 + length]).expect("a message"));
            rest = &rest[5 + length..];
        }
        messages
    }
}

/// Sends bytes over a connection of its own and reads until the server hangs up.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the server accepts");
    stream.write_all(bytes).await.expect("it reads");
    let mut answer = Vec::new();
    // A server that closes before all was read may reset: then what came is the answer.
    let _ = guarded("the server hangs up", stream.read_to_end(&mut answer)).await;
    answer
}

/// `GET path` on the admin port: the status code, or `None` if nobody listens.
pub async fn get(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: gale\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    guarded("the admin port answers", stream.read_to_string(&mut answer)).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

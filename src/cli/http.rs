//! Reading from a server's admin port: one request after another over one connection.

use super::error::Error;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;
use tokio::net::TcpStream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may take for an answer to begin, or to go on.
const SILENCE: Duration = Duration::from_secs(120);
/// Bytes of an error's document that are read.
const PROBLEM_BYTES: usize = 64 << 10;

/// A connection to an admin port.
pub struct Admin {
    sender: SendRequest<String>,
    host: String,
}

/// An answer whose body is still to be read.
pub struct Answer {
    pub headers: HeaderMap,
    body: Incoming,
}

impl Admin {
    /// Connects to `url`: a URL, or an address.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let host = authority(url)?;
        let unreachable = |error: &dyn Display| {
            Error::Unreachable(format!(
                "cannot reach an admin port at http://{host}: {error} (`gale serve` has one, \
                 on 127.0.0.1:7401 unless --admin says otherwise)"
            ))
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&host)).await;
        let stream = connected.map_err(|error| unreachable(&error))?;
        let stream = stream.map_err(|error| unreachable(&error))?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
        tokio::spawn(connection);
        Ok(Self { sender, host })
    }

    /// `GET target`: the answer if it is a good one, else the problem that it tells.
    pub async fn get(&mut self, target: &str) -> Result<Answer, Error> {
        let request = Request::get(target).header(header::HOST, &self.host).body(String::new());
        let request = request.map_err(|error| Error::Usage(error.to_string()))?;
        heard(target, self.sender.ready()).await?;
        let (head, body) = heard(target, self.sender.send_request(request)).await?.into_parts();
        let answer = Answer { headers: head.headers, body };
        match head.status {
            StatusCode::OK => Ok(answer),
            status => Err(answer.problem(target, status).await),
        }
    }
}

impl Answer {
    /// The next piece of the body; `None` after the last.
    pub async fn piece(&mut self, target: &str) -> Result<Option<Bytes>, Error> {
        loop {
            let next = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            let next = async { next.await.transpose() };
            match heard(target, next).await? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    /// The whole body, which is short; what is longer than `limit` is cut.
    pub async fn text(&mut self, target: &str, limit: usize) -> Result<String, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(target).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > limit {
                bytes.truncate(limit);
                break;
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What went wrong, in the server's words.
    async fn problem(mut self, target: &str, status: StatusCode) -> Error {
        let text = self.text(target, PROBLEM_BYTES).await.unwrap_or_default();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = document["detail"].as_str().unwrap_or("without a reason").to_owned();
        let detail = match document["parameter"].as_str() {
            Some(parameter) => format!("{parameter}: {detail}"),
            None => detail,
        };
        let path = target.split('?').next().unwrap_or(target);
        let message = format!("{path} is refused: {detail} [{}]", status.as_u16());
        match status {
            StatusCode::BAD_REQUEST => Error::Usage(message),
            _ => Error::Unreachable(message),
        }
    }
}

/// Waits for the server, but not for ever.
async fn heard<T, E: Display>(
    target: &str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    let path = target.split('?').next().unwrap_or(target);
    match tokio::time::timeout(SILENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Error::Unreachable(format!("{path} breaks off: {error}"))),
        Err(_) => {
            let seconds = SILENCE.as_secs();
            Err(Error::Unreachable(format!("{path}: no answer for {seconds} seconds")))
        }
    }
}

/// `host:port` of a URL or an address.
fn authority(url: &str) -> Result<String, Error> {
    let wrong = |why: &str| Error::Usage(format!("--admin {url}: {why}"));
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = full.parse().map_err(|_| wrong("is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong("must begin with http://"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong("must be host and port alone"));
    }
    let host = uri.host().ok_or_else(|| wrong("has no host"))?;
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a URL and an address mean the same, and what is neither is refused.
    #[test]
    fn addresses_are_read() {
        for url in ["127.0.0.1:7401", "http://127.0.0.1:7401", "http://127.0.0.1:7401/"] {
            assert_eq!(authority(url).unwrap(), "127.0.0.1:7401");
        }
        assert_eq!(authority("http://[::1]:7").unwrap(), "[::1]:7");
        for url in ["", "https://a:1", "http://a:1/export", "http://a:1/?x", "a b"] {
            assert!(authority(url).is_err(), "{url}");
        }
    }
}

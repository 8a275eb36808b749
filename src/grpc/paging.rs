//! Pages: sizes, and opaque tokens that pin a page to a revision and to its call.

use super::status::{Answer, refuse, refuse_market};
use crate::domain::limits::{PAGE_BYTES_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::domain::{Reason, Revision, Violation};
use crate::market::Market;
use crate::state::View;
use prost::Message;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Rows wanted: 0 is the default, too many are coerced, fewer than none are refused.
pub fn size(page_size: i32) -> Answer<usize> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
        Err(_) => Err(refuse(Violation::invalid(
            "page_size",
            format!("is {page_size}, must not be negative"),
        ))),
    }
}

/// One page of a list over a snapshot.
pub struct Page {
    /// The snapshot.
    pub view: Arc<View>,
    /// The row at which the page starts.
    pub start: usize,
    /// Rows wanted.
    pub size: usize,
    /// What the token is good for.
    call: u64,
}

impl Page {
    /// The page that a caller asks for. `call` is what all pages of one list have in
    /// common: the method and its filters.
    pub async fn open(market: &Market, call: &str, page_size: i32, token: &str) -> Answer<Self> {
        let size = size(page_size)?;
        let call = xxh3_64(format!("{}\n{call}", market.incarnation()).as_bytes());
        if token.is_empty() {
            let view = market.snapshot().await.map_err(refuse_market)?;
            return Ok(Self { view, start: 0, size, call });
        }
        let token = Token::parse(token).filter(|token| token.call == call).ok_or_else(|| {
            let message = "is malformed, or from another call";
            refuse(Violation::new(Reason::PageTokenInvalid, "page_token", message))
        })?;
        let view = market.pinned().at(Revision(token.revision)).ok_or_else(|| {
            let message = "its snapshot is no longer kept: list again";
            refuse(Violation::new(Reason::PageTokenExpired, "page_token", message))
        })?;
        Ok(Self { view, start: token.start as usize, size, call })
    }

    /// The token of the page that starts at row `next`, whose snapshot is kept; empty
    /// if there is none.
    pub fn token(&self, market: &Market, next: Option<usize>) -> String {
        let Some(next) = next else { return String::new() };
        market.pinned().keep(&self.view);
        Token { call: self.call, revision: self.view.head.revision.0, start: next as u64 }
            .to_string()
    }

    /// The rows of this page among `rows`, which come with their offsets from
    /// [`Page::start`] on, and the offset at which the next page starts.
    pub fn take<T: Message>(
        &self,
        rows: impl Iterator<Item = (usize, T)>,
    ) -> (Vec<T>, Option<usize>) {
        let mut page = Vec::new();
        let mut bytes = 0;
        for (at, row) in rows {
            bytes += row.encoded_len();
            let full = page.len() == self.size || (bytes > PAGE_BYTES_MAX && !page.is_empty());
            if full {
                return (page, Some(at));
            }
            page.push(row);
        }
        (page, None)
    }
}

/// What an opaque token says.
struct Token {
    call: u64,
    revision: u64,
    start: u64,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}{:016x}", self.call, self.revision, self.start)
    }
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        if text.len() != 48 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let part = |i: usize| u64::from_str_radix(&text[16 * i..16 * (i + 1)], 16).ok();
        Some(Self { call: part(0)?, revision: part(1)?, start: part(2)? })
    }
}

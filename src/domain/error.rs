//! What can be wrong with a request, in the words of the domain.
//!
//! A [`Violation`] says which field, why (a stable [`Reason`]) and what was found.
//! The transport turns it into a status at its own door; nothing here knows gRPC.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Why something was refused. Stable: clients branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reason {
    /// A value is outside its range, malformed or missing.
    InvalidField,
    /// A list has more entries than its limit.
    TooMany,
    /// The same id, skill or city stands twice where it may stand once.
    Duplicate,
    /// The market does not exist.
    MarketNotFound,
    /// A market of that id exists already.
    MarketExists,
    /// The city does not exist.
    CityNotFound,
    /// The region does not exist.
    RegionNotFound,
    /// The parents of regions would form a cycle.
    RegionCycle,
    /// The worker does not exist.
    WorkerNotFound,
    /// The vacancy does not exist.
    VacancyNotFound,
    /// The round does not exist (or is older than the kept history).
    RoundNotFound,
    /// The worker is not matched, or not with that vacancy.
    MatchNotFound,
    /// A round is running already.
    RoundRunning,
    /// The round has ended already.
    RoundEnded,
    /// The worker is placed; upsert with `reopen` to look again.
    WorkerPlaced,
    /// The record's status does not allow this.
    WrongStatus,
    /// Fewer openings than are placed already.
    OpeningsBelowPlaced,
    /// The `request_id` was used before, with another request.
    RequestIdReused,
    /// The market has another incarnation, or another revision than expected.
    IncarnationMismatch,
    /// The expected revision is not the market's.
    RevisionMismatch,
    /// A revision or position lies after the newest.
    PositionInFuture,
    /// A position lies before the retained history.
    PositionTrimmed,
    /// The page token is malformed, or from another call.
    PageTokenInvalid,
    /// The page token's snapshot is no longer kept; start again.
    PageTokenExpired,
    /// A limit of the market or the server is reached.
    LimitReached,
    /// The subscriber's connection accepted nothing for too long.
    SubscriberStalled,
    /// The combination of settings has no proven mechanism.
    UnsupportedMechanism,
    /// Nothing has been cleared yet.
    NotCleared,
    /// The call's deadline passed.
    DeadlineExceeded,
    /// The server is stopping.
    ShuttingDown,
    /// A fault of the server; its log has the detail.
    Internal,
    /// The journal fails: nothing can be kept at present.
    JournalFailed,
    /// The journal's disk is full.
    JournalFull,
    /// The scenario is not kept, or never was.
    ScenarioNotFound,
}

/// One thing that is wrong, with the field it is wrong in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Why.
    pub reason: Reason,
    /// The field's path in the request, such as `skills[3].level`; may be empty.
    pub field: String,
    /// What was found and what is allowed, for a person.
    pub message: String,
    /// The same for programs, by name: what a client needs to go on.
    pub facts: Vec<(Cow<'static, str>, String)>,
}

impl Violation {
    /// A violation in `field`.
    pub fn new(reason: Reason, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, field: field.into(), message: message.into(), facts: Vec::new() }
    }

    /// The same violation with one more fact for programs.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.facts.push((name.into(), value.to_string()));
        self
    }

    /// A value out of range, malformed or missing.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Reason::InvalidField, field, message)
    }

    /// The same violation, seen from the message around it: `prefix.field`.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.field = match (prefix.is_empty(), self.field.is_empty()) {
            (true, _) => self.field,
            (_, true) => prefix.to_owned(),
            _ => format!("{prefix}.{}", self.field),
        };
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}", self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

impl std::error::Error for Violation {}

/// A result whose violation is put in its place.
pub trait Within {
    /// The violation as it is seen from around it. The place is named only if there is a
    /// violation: most of what comes in is right, and has many places.
    #[must_use]
    fn within(self, place: impl FnOnce() -> String) -> Self;
}

impl<T> Within for Result<T, Violation> {
    #[inline]
    fn within(self, place: impl FnOnce() -> String) -> Self {
        self.map_err(|violation| violation.within(&place()))
    }
}

/// Refuses a number outside `low..=high`.
pub fn in_range<T: PartialOrd + fmt::Display>(
    field: &str,
    value: T,
    low: T,
    high: T,
) -> Result<(), Violation> {
    if value < low || value > high {
        return Err(Violation::invalid(field, format!("is {value}, must be {low}..{high}")));
    }
    Ok(())
}

/// Refuses a list longer than `limit`.
pub fn at_most(field: &str, count: usize, limit: usize) -> Result<(), Violation> {
    if count > limit {
        return Err(Violation::new(
            Reason::TooMany,
            field,
            format!("has {count} entries, at most {limit} are allowed"),
        ));
    }
    Ok(())
}

/// Refuses a text longer than `limit` bytes.
pub fn text(field: &str, value: &str, limit: usize) -> Result<(), Violation> {
    if value.len() > limit {
        return Err(Violation::invalid(
            field,
            format!("has {} bytes, at most {limit} are allowed", value.len()),
        ));
    }
    Ok(())
}

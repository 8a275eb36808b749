//! Domain errors become statuses: here, and nowhere else.
//!
//! Each status carries one `google.rpc.ErrorInfo` with a stable reason, and a
//! `BadRequest` that names the bad fields where fields are to blame.

use crate::domain::limits::{STATUS_FIELDS_BYTES_MAX, STATUS_TEXT_BYTES_MAX};
use crate::domain::{Reason, Violation};
use crate::market;
use crate::proto::v1::ErrorReason;
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// What a service answers.
pub type Answer<T> = Result<T, Status>;

/// The stable reason as the API spells it.
pub fn reason(reason: Reason) -> ErrorReason {
    match reason {
        Reason::InvalidField => ErrorReason::InvalidField,
        Reason::TooMany => ErrorReason::TooMany,
        Reason::Duplicate => ErrorReason::Duplicate,
        Reason::MarketNotFound => ErrorReason::MarketNotFound,
        Reason::MarketExists => ErrorReason::MarketExists,
        Reason::CityNotFound => ErrorReason::CityNotFound,
        Reason::RegionNotFound => ErrorReason::RegionNotFound,
        Reason::RegionCycle => ErrorReason::RegionCycle,
        Reason::WorkerNotFound => ErrorReason::WorkerNotFound,
        Reason::VacancyNotFound => ErrorReason::VacancyNotFound,
        Reason::RoundNotFound => ErrorReason::RoundNotFound,
        Reason::MatchNotFound => ErrorReason::MatchNotFound,
        Reason::RoundRunning => ErrorReason::RoundRunning,
        Reason::RoundEnded => ErrorReason::RoundEnded,
        Reason::WorkerPlaced => ErrorReason::WorkerPlaced,
        Reason::WrongStatus => ErrorReason::WrongStatus,
        Reason::OpeningsBelowPlaced => ErrorReason::OpeningsBelowPlaced,
        Reason::RequestIdReused => ErrorReason::RequestIdReused,
        Reason::IncarnationMismatch => ErrorReason::IncarnationMismatch,
        Reason::RevisionMismatch => ErrorReason::RevisionMismatch,
        Reason::PositionInFuture => ErrorReason::PositionInFuture,
        Reason::PositionTrimmed => ErrorReason::PositionTrimmed,
        Reason::PageTokenInvalid => ErrorReason::PageTokenInvalid,
        Reason::PageTokenExpired => ErrorReason::PageTokenExpired,
        Reason::LimitReached => ErrorReason::LimitReached,
        Reason::SubscriberStalled => ErrorReason::SubscriberStalled,
        Reason::UnsupportedMechanism => ErrorReason::UnsupportedMechanism,
        Reason::NotCleared => ErrorReason::NotCleared,
        Reason::DeadlineExceeded => ErrorReason::DeadlineExceeded,
        Reason::ShuttingDown => ErrorReason::ShuttingDown,
        Reason::Internal => ErrorReason::Internal,
        Reason::JournalFailed => ErrorReason::JournalFailed,
        Reason::JournalFull => ErrorReason::JournalFull,
        Reason::ScenarioNotFound => ErrorReason::ScenarioNotFound,
    }
}

/// The canonical code of a reason. An unknown city is NOT_FOUND where the call is
/// about it (field `city`), and a bad argument where an item refers to it.
pub fn code(violation: &Violation) -> Code {
    match violation.reason {
        Reason::CityNotFound if violation.field == "city" => Code::NotFound,
        Reason::InvalidField
        | Reason::TooMany
        | Reason::Duplicate
        | Reason::CityNotFound
        | Reason::RegionNotFound
        | Reason::RegionCycle
        | Reason::OpeningsBelowPlaced
        | Reason::PageTokenInvalid => Code::InvalidArgument,
        Reason::MarketNotFound
        | Reason::WorkerNotFound
        | Reason::VacancyNotFound
        | Reason::RoundNotFound
        | Reason::ScenarioNotFound
        | Reason::MatchNotFound => Code::NotFound,
        Reason::MarketExists => Code::AlreadyExists,
        Reason::RoundRunning
        | Reason::RoundEnded
        | Reason::WorkerPlaced
        | Reason::WrongStatus
        | Reason::RequestIdReused
        | Reason::IncarnationMismatch
        | Reason::PageTokenExpired
        | Reason::UnsupportedMechanism
        | Reason::NotCleared => Code::FailedPrecondition,
        Reason::RevisionMismatch => Code::Aborted,
        Reason::PositionInFuture | Reason::PositionTrimmed => Code::OutOfRange,
        Reason::LimitReached | Reason::SubscriberStalled | Reason::JournalFull => {
            Code::ResourceExhausted
        }
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::ShuttingDown | Reason::JournalFailed => Code::Unavailable,
        Reason::Internal => Code::Internal,
    }
}

/// The canonical code of what is wrong with an item of a batch, whose fields are all
/// things that the item refers to.
pub fn item_code(violation: &Violation) -> Code {
    match violation.reason {
        Reason::CityNotFound => Code::InvalidArgument,
        _ => code(violation),
    }
}

/// The name of a reason in `ErrorInfo`: the enum's, without its prefix.
fn reason_name(reason_: Reason) -> &'static str {
    let name = reason(reason_).as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// The status of one violation.
pub fn refuse(violation: Violation) -> Status {
    refuse_all(&[violation], HashMap::new())
}

/// The status of one violation, with more for programs to read.
pub fn refuse_with(violation: Violation, metadata: &[(&str, String)]) -> Status {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    refuse_all(&[violation], metadata.collect())
}

/// The status of a market's error.
pub fn refuse_market(error: market::Error) -> Status {
    match &error {
        market::Error::Refused(violations) if !violations.is_empty() => {
            refuse_all(violations, HashMap::new())
        }
        _ => refuse(error.violation()),
    }
}

/// The status of several violations, the first of which decides.
pub fn refuse_all(violations: &[Violation], mut metadata: HashMap<String, String>) -> Status {
    let Some(first) = violations.first() else {
        return refuse(Violation::new(Reason::Internal, "", "refused without a reason"));
    };
    for (name, value) in &first.facts {
        metadata.entry(name.clone().into_owned()).or_insert_with(|| clip(value));
    }
    if !first.field.is_empty() {
        metadata.entry("field".to_owned()).or_insert_with(|| clip(&first.field));
    }
    let mut details = ErrorDetails::new();
    details.set_error_info(reason_name(first.reason), "gale", metadata);
    let mut room = STATUS_FIELDS_BYTES_MAX;
    let fields: Vec<_> = violations
        .iter()
        .filter(|v| !v.field.is_empty() && code(v) == Code::InvalidArgument)
        .map(|v| FieldViolation::new(clip(&v.field), clip(&v.message)))
        .take_while(|field| {
            let bytes = field.field.len() + field.description.len();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        })
        .collect();
    if !fields.is_empty() {
        details.set_bad_request(fields);
    }
    Status::with_error_details(code(first), clip(&first.to_string()), details)
}

/// A text short enough to be quoted, cut between characters.
pub fn clip(text: &str) -> String {
    if text.len() <= STATUS_TEXT_BYTES_MAX {
        return text.to_owned();
    }
    match text.char_indices().map(|(at, _)| at).find(|at| *at > STATUS_TEXT_BYTES_MAX) {
        Some(at) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

//! Domain errors become statuses: here, and nowhere else.
//!
//! Each status carries one `google.rpc.ErrorInfo` with a stable reason, and a
//! `BadRequest` that names the bad fields where fields are to blame.

use crate::domain::{Reason, Violation};
use crate::market;
use crate::proto::v1::ErrorReason;
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// What a service answers.
pub type Answer<T> = Result<T, Status>;

/// A status travels in headers, of which clients take 8 KiB in all (grpcio's limit). Its
/// message stands there twice, once in base64 and once with every odd byte in three.
const MESSAGE_BYTES_MAX: usize = 512;

/// Bytes of the fields that one status names.
const FIELDS_BYTES_MAX: usize = 2_500;

/// The beginning of a text that may have any length, because a caller chose it.
pub fn beginning(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

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
        Reason::Cancelled => ErrorReason::Cancelled,
        Reason::Internal => ErrorReason::Internal,
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
        Reason::LimitReached | Reason::SubscriberStalled => Code::ResourceExhausted,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::ShuttingDown => Code::Unavailable,
        Reason::Cancelled => Code::Cancelled,
        Reason::Internal => Code::Internal,
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
        metadata.entry((*name).to_owned()).or_insert_with(|| value.clone());
    }
    if !first.field.is_empty() {
        metadata.entry("field".to_owned()).or_insert_with(|| first.field.clone());
    }
    let mut details = ErrorDetails::new();
    details.set_error_info(reason_name(first.reason), "gale", metadata);
    let mut bytes = 0;
    let fields: Vec<_> = violations
        .iter()
        .filter(|v| !v.field.is_empty() && code(v) == Code::InvalidArgument)
        .map(|v| FieldViolation::new(v.field.clone(), beginning(&v.message, MESSAGE_BYTES_MAX)))
        .take_while(|field| {
            bytes += field.field.len() + field.description.len() + 8;
            bytes <= FIELDS_BYTES_MAX
        })
        .collect();
    if !fields.is_empty() {
        details.set_bad_request(fields);
    }
    let message = beginning(&first.to_string(), MESSAGE_BYTES_MAX);
    Status::with_error_details(code(first), message, details)
}

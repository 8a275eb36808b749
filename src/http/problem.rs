//! What goes wrong over HTTP: a status and a JSON document that says why (RFC 9457), with
//! the parameter to blame.

use crate::domain::{Reason, Violation};
use crate::market;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// Why a request is not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    /// The parameter to blame, if one is.
    pub parameter: Option<String>,
    /// What was found and what is allowed, for a person.
    pub detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, parameter: None, detail: detail.into() }
    }

    /// A parameter that is wrong.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, detail);
        Self { parameter: Some(name.to_owned()), ..problem }
    }

    /// Something that is not there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

impl From<Violation> for Problem {
    fn from(violation: Violation) -> Self {
        let status = match violation.reason {
            Reason::MarketNotFound => StatusCode::NOT_FOUND,
            Reason::LimitReached => StatusCode::UNPROCESSABLE_ENTITY,
            Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Reason::ShuttingDown | Reason::JournalFailed | Reason::JournalFull => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::BAD_REQUEST,
        };
        let parameter = Some(violation.field).filter(|field| !field.is_empty());
        Self { status, parameter, detail: violation.message }
    }
}

impl From<market::Error> for Problem {
    fn from(error: market::Error) -> Self {
        error.violation().into()
    }
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            parameter: self.parameter.as_deref(),
        };
        let text = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

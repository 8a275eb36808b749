//! Why a market does not answer as asked.

use super::Failure;
use crate::domain::{Reason, Violation};
use crate::state::Refusal;
use std::sync::Arc;

/// Why a market does not answer as asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command was refused; at least one violation, the first of which decides.
    #[error("refused: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Refused(Vec<Violation>),
    /// The journal fails: what was asked for was not begun, or is not durable yet.
    #[error("the journal fails: {}", .0.message)]
    Journal(Arc<Failure>),
    /// The market is deleted, or the server is stopping.
    #[error("the market is closed")]
    Closed,
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Refused(vec![violation])
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.0)
    }
}

impl Error {
    /// The violation that decides.
    pub fn violation(&self) -> Violation {
        match self {
            Self::Refused(violations) => violations.first().cloned().unwrap_or_else(|| {
                Violation::new(Reason::Internal, "", "refused without a reason")
            }),
            Self::Journal(failure) => {
                let reason = if failure.full { Reason::JournalFull } else { Reason::JournalFailed };
                let message = "the server cannot keep anything at present; what was not \
                    acknowledged may still be kept: ask again with the same request_id";
                Violation::new(reason, "", message)
            }
            Self::Closed => {
                Violation::new(Reason::MarketNotFound, "market", "the market is deleted")
            }
        }
    }
}

//! Why a measurement or a scenario has no result.

use crate::domain::Violation;
use crate::matching::Cancelled;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It was told to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// What was asked for cannot be done.
    #[error(transparent)]
    Refused(#[from] Violation),
}

impl From<crate::matching::Error> for Error {
    fn from(error: crate::matching::Error) -> Self {
        match error {
            crate::matching::Error::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error @ crate::matching::Error::UnsupportedMechanism => {
                let reason = crate::domain::Reason::UnsupportedMechanism;
                Self::Refused(Violation::new(reason, "market", error.to_string()))
            }
        }
    }
}

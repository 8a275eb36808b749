//! What can go wrong in a command, and the exit code that says so.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use tonic::Status;
use tonic_types::StatusExt;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command did its work, and the answer is bad news: blocking pairs, refused items.
    #[error("{0}")]
    Failed(String),
    /// The command line does not make sense.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}:{line}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// There is no server at that address, or it cannot be started.
    #[error("{0}")]
    Unreachable(String),
    /// The server answered with an error.
    #[error("{doing}: {}", describe(status))]
    Refused {
        /// What the command was doing.
        doing: &'static str,
        /// The answer.
        status: Box<Status>,
    },
    /// Nobody reads the output any more, as in `gale watch | head`.
    #[error("output closed")]
    OutputClosed,
}

impl Error {
    /// For `map_err` on a call: what the command was doing when it was refused.
    pub fn refused(doing: &'static str) -> impl Fn(Status) -> Self {
        move |status| Self::Refused { doing, status: Box::new(status) }
    }

    /// For `map_err` on file operations.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// The process's exit code: 0 ok, 1 failed, 2 usage, 3 the server.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Failed(_) | Self::File { .. } | Self::Content { .. } => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Unreachable(_) | Self::Refused { .. } => ExitCode::from(3),
        }
    }
}

/// A status for a person: code, message, stable reason, and each bad field.
fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    if text.is_empty() {
        text = status.code().description().to_owned();
    }
    let code = code_name(status.code());
    match status.get_details_error_info() {
        Some(info) => text.push_str(&format!(" [{code}, {}]", info.reason)),
        None => text.push_str(&format!(" [{code}]")),
    }
    if let Some(bad) = status.get_details_bad_request() {
        for violation in bad.field_violations {
            text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
        }
    }
    text
}

/// The canonical name of a code, as documentation and other clients write it.
fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

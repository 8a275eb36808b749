//! Logs: on stderr, filtered by `GALE_LOG`, as text for people or JSON for collectors.

use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// The environment variable with the filter, in the syntax of `tracing`
/// (`info`, `gale=debug,tonic=warn`).
pub const FILTER_VARIABLE: &str = "GALE_LOG";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text per entry.
    #[default]
    Text,
    /// One JSON object per entry.
    Json,
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `GALE_LOG` is not a filter.
    #[error("{FILTER_VARIABLE} is not a log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logging was started before.
    #[error("logging is started already: {0}")]
    Started(Box<dyn std::error::Error + Send + Sync>),
}

/// Sends this process's log to stderr; `default` is the filter where `GALE_LOG` is
/// unset or empty.
pub fn init(format: LogFormat, default: &str) -> Result<(), Error> {
    let wanted = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    let filter = EnvFilter::try_new(if wanted.is_empty() { default } else { &wanted })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(colours()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(Error::Started)
}

/// Colours for a terminal, unless `NO_COLOR` is set.
fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

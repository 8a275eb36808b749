//! `gale serve`: runs a server until it is told to stop.

use super::error::Error;
use super::local;
use super::output::{Output, thousands};
use super::stop_signal;
use crate::domain::limits::{KEPT_HISTORY_BYTES_MAX, SNAPSHOT_EFFECTS, VACANCIES_MAX, WORKERS_MAX};
use crate::server::{Data, Options};
use crate::state::Capacity;
use crate::telemetry::{self, LogFormat};
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Runs a server until SIGTERM or SIGINT.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything is kept in --data-dir: what was acknowledged is there after a restart, however the
server ended. With --ephemeral, markets end with the process.
gRPC (with reflection, health and gRPC-web) is on --listen; /livez, /readyz and exports
(docs/EXPORTS.md) on --admin.
There are no keys yet, so any other address than a loopback one needs --allow-anonymous.
On SIGTERM or SIGINT the server stops to accept, ends open streams with their last position,
and exits within --stop-seconds. Logs go to stderr; GALE_LOG is their filter.

Example:
  gale serve --data-dir /var/lib/gale
  gale serve --ephemeral
  gale serve --listen 0.0.0.0:7400 --allow-anonymous --log-format json")]
pub struct Args {
    /// Address for gRPC; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", env = "GALE_LISTEN", default_value_t = Options::default().listen)]
    listen: SocketAddr,
    /// Address for health and exports over HTTP; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", env = "GALE_ADMIN", default_value_t = Options::default().admin)]
    admin: SocketAddr,
    /// Directory in which markets are kept; made if it is missing.
    #[arg(
        long,
        value_name = "DIR",
        env = "GALE_DATA_DIR",
        default_value = "gale-data",
        conflicts_with = "ephemeral"
    )]
    data_dir: PathBuf,
    /// Keep nothing: markets end with the process.
    #[arg(long, env = "GALE_EPHEMERAL")]
    ephemeral: bool,
    /// Accept everybody on an address that is not loopback.
    #[arg(long, env = "GALE_ALLOW_ANONYMOUS")]
    allow_anonymous: bool,
    /// Seconds between HTTP/2 pings to a silent client.
    #[arg(long, value_name = "SECONDS", env = "GALE_KEEPALIVE_INTERVAL_SECONDS",
        default_value_t = Options::default().keepalive_interval.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    keepalive_interval_seconds: u64,
    /// Seconds to wait for a client's answer to a ping.
    #[arg(long, value_name = "SECONDS", env = "GALE_KEEPALIVE_TIMEOUT_SECONDS",
        default_value_t = Options::default().keepalive_timeout.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    keepalive_timeout_seconds: u64,
    /// Seconds that a unary call may take if its caller sets no deadline.
    #[arg(long, value_name = "SECONDS", env = "GALE_UNARY_DEADLINE_SECONDS",
        default_value_t = Options::default().unary_deadline.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    unary_deadline_seconds: u64,
    /// Seconds from the signal to stop to the exit.
    #[arg(long, value_name = "SECONDS", env = "GALE_STOP_SECONDS",
        default_value_t = Options::default().stop.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    stop_seconds: u64,
    /// Connections at most.
    #[arg(long, value_name = "N", env = "GALE_CONNECTIONS_MAX",
        default_value_t = Options::default().connections_max as u64,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    connections_max: u64,
    /// Markets at most.
    #[arg(long, value_name = "N", env = "GALE_MARKETS_MAX",
        default_value_t = Options::default().markets_max as u64,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    markets_max: u64,
    /// Workers of a market at most, whatever their status.
    #[arg(long, value_name = "N", env = "GALE_WORKERS_MAX",
        default_value_t = WORKERS_MAX as u64,
        value_parser = clap::value_parser!(u64).range(1..=WORKERS_MAX as u64))]
    workers_max: u64,
    /// Vacancies of a market at most, whatever their status.
    #[arg(long, value_name = "N", env = "GALE_VACANCIES_MAX",
        default_value_t = VACANCIES_MAX as u64,
        value_parser = clap::value_parser!(u64).range(1..=VACANCIES_MAX as u64))]
    vacancies_max: u64,
    /// Megabytes (MiB) of events that a market holds in memory at most.
    #[arg(long, value_name = "MIB", env = "GALE_HISTORY_MIB_MAX",
        default_value_t = (Options::default().history_bytes_max >> 20) as u64,
        value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    history_mib_max: u64,
    /// Megabytes (MiB) of a market's history that the data directory retains at most.
    #[arg(long, value_name = "MIB", env = "GALE_KEPT_HISTORY_MIB_MAX",
        default_value_t = KEPT_HISTORY_BYTES_MAX >> 20,
        value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    kept_history_mib_max: u64,
    /// Effects of a market after which its state is written as a snapshot.
    #[arg(long, value_name = "N", env = "GALE_SNAPSHOT_EFFECTS",
        default_value_t = SNAPSHOT_EFFECTS,
        value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_effects: u64,
    /// Seconds for which a market retains events at most.
    #[arg(long, value_name = "SECONDS", env = "GALE_HISTORY_SECONDS_MAX",
        default_value_t = Options::default().history_age_max.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    history_seconds_max: u64,
    /// Subscribers of the server at most.
    #[arg(long, value_name = "N", env = "GALE_SUBSCRIBERS_MAX",
        default_value_t = Options::default().subscribers_max as u64,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    subscribers_max: u64,
    /// Subscribers of one market at most.
    #[arg(long, value_name = "N", env = "GALE_SUBSCRIBERS_PER_MARKET_MAX",
        default_value_t = Options::default().subscribers_per_market_max as u64,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    subscribers_per_market_max: u64,
    /// Seconds after which a subscriber whose connection accepts nothing is cut.
    #[arg(long, value_name = "SECONDS", env = "GALE_SUBSCRIBER_STALL_SECONDS",
        default_value_t = Options::default().subscriber_stall.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    subscriber_stall_seconds: u64,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", env = "GALE_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Args {
    fn options(&self) -> Options {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Options {
            listen: self.listen,
            admin: self.admin,
            allow_anonymous: self.allow_anonymous,
            keepalive_interval: Duration::from_secs(self.keepalive_interval_seconds),
            keepalive_timeout: Duration::from_secs(self.keepalive_timeout_seconds),
            unary_deadline: Duration::from_secs(self.unary_deadline_seconds),
            stop: Duration::from_secs(self.stop_seconds),
            connections_max: size(self.connections_max),
            markets_max: size(self.markets_max),
            capacity: Capacity {
                workers: size(self.workers_max),
                vacancies: size(self.vacancies_max),
            },
            history_bytes_max: size(self.history_mib_max << 20),
            history_age_max: Duration::from_secs(self.history_seconds_max),
            subscribers_max: size(self.subscribers_max),
            subscribers_per_market_max: size(self.subscribers_per_market_max),
            subscriber_stall: Duration::from_secs(self.subscriber_stall_seconds),
            data: (!self.ephemeral).then(|| Data {
                directory: self.data_dir.clone(),
                history_bytes_max: self.kept_history_mib_max << 20,
                snapshot_effects: self.snapshot_effects,
            }),
            ..Options::default()
        }
    }
}

/// Serves until a signal, then stops in good order.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    telemetry::init(args.log_format, "info").map_err(|error| Error::Usage(error.to_string()))?;
    // Signals are caught before the ready line invites anybody to send one.
    let stopping = tokio::spawn(stop_signal());
    let kept = match args.ephemeral {
        true => "markets end with this process".to_owned(),
        false => format!("markets are kept in {}", args.data_dir.display()),
    };
    let bound = local::bind(args.options()).await?;
    let (grpc, admin) = (bound.grpc_addr(), bound.admin_addr());
    if output.json {
        output.json(&json!({"grpc": grpc.to_string(), "admin": admin.to_string()}))?;
    } else {
        output.line(format_args!("{kept}"))?;
        output.line(format_args!(
            "gale serves gRPC on http://{grpc} and health on http://{admin} (stops within {} s)",
            thousands(args.stop_seconds)
        ))?;
    }
    local::serve(bound, async {
        let _ = stopping.await;
    })
    .await
}

//! The command line: one file per command, and what they share.
//!
//! | file | for |
//! |---|---|
//! | `output` | lines, tables, JSON, progress, colour |
//! | `error` | what goes wrong, and the exit code that says so |
//! | `client` | connecting, choosing the market |
//! | `files` | market directories |
//! | `loader` | loading a market over gRPC |
//! | `events` | following a stream across reconnections; events in one line |
//! | `rounds` | starting a round, awaiting it; verifying |
//! | `local` | a server in this process |
//! | `http` | reading from an admin port |
//! | `process` | what processes have used |
//!
//! `demo`, `indicators`, `solve`, `scenario` and `bench` are folders; each subcommand of
//! `scenario` and `bench` is a file in its own.

mod bench;
mod calibrate;
mod china;
mod clear;
mod client;
mod demo;
mod error;
mod events;
mod explain;
mod export;
mod files;
mod generate;
mod guidance;
mod health;
mod http;
mod import;
mod indicators;
mod journal;
mod loader;
mod local;
mod output;
mod process;
mod reproduce;
mod rounds;
mod scenario;
mod serve;
mod solve;
mod verify;
mod watch;

use clap::{Parser, Subcommand};
use error::Error;
use output::Output;
use std::process::ExitCode;

/// Gale, a stable-matching server for labour markets that span cities.
#[derive(Debug, Parser)]
#[command(
    name = "gale",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "\
Start here:
  gale demo                 a generated market of 50 US cities: loaded, cleared, verified, shown
  gale serve                a server on 127.0.0.1:7400

Environment: GALE_SERVER, GALE_ADMIN and GALE_MARKET stand for --server, --admin (of `export`)
and --market; GALE_LOG is the log filter of `serve` and `demo` (info, gale=debug); NO_COLOR
turns colours off.

Exit codes: 0 ok; 1 the answer is bad (blocking pairs, refused records, unreadable files);
2 wrong usage; 3 the server is not reachable, or answered with an error."
)]
pub struct Cli {
    /// Print one line of JSON on stdout (`watch` and `solve`: one per event or worker).
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Generate(generate::Args),
    Import(import::Args),
    Clear(clear::Args),
    Watch(watch::Args),
    Explain(explain::Args),
    Guidance(guidance::Args),
    China(china::Args),
    Indicators(indicators::Args),
    Export(export::Args),
    Verify(verify::Args),
    Solve(solve::Args),
    Bench(bench::Args),
    Reproduce(reproduce::Args),
    Calibrate(calibrate::Args),
    Health(health::Args),
    Journal(journal::Args),
    Scenario(scenario::Args),
}

/// Runs the command and says how it went.
pub fn run(cli: Cli) -> ExitCode {
    let output = Output::new(cli.json);
    let result = tokio::runtime::Runtime::new()
        .map_err(|error| Error::Failed(format!("cannot start the async runtime: {error}")))
        .and_then(|runtime| {
            let result = runtime.block_on(dispatch(cli.command, output));
            // A thread that still reads a file must not hold up the exit.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, Error::OutputClosed) {
                eprintln!("gale: {error}");
            }
            error.exit_code()
        }
    }
}

async fn dispatch(command: Command, output: Output) -> Result<(), Error> {
    match command {
        Command::Serve(args) => serve::run(args, output).await,
        Command::Demo(args) => demo::run(args, output).await,
        Command::Generate(args) => generate::run(&args, output),
        Command::Import(args) => import::run(args, output).await,
        Command::Clear(args) => clear::run(args, output).await,
        Command::Watch(args) => watch::run(args, output).await,
        Command::Explain(args) => explain::run(args, output).await,
        Command::Guidance(args) => guidance::run(args, output).await,
        Command::China(args) => china::run(&args, output),
        Command::Indicators(args) => indicators::run(args, output).await,
        Command::Export(args) => export::run(args, output).await,
        Command::Verify(args) => verify::run(args, output).await,
        Command::Solve(args) => solve::run(&args, output),
        Command::Bench(args) => bench::run(&args, output).await,
        Command::Reproduce(args) => reproduce::run(&args, output),
        Command::Calibrate(args) => calibrate::run(&args, output),
        Command::Health(args) => health::run(args, output).await,
        Command::Journal(args) => journal::run(args, output),
        Command::Scenario(args) => scenario::run(args, output).await,
    }
}

/// Ends with the process's SIGINT or SIGTERM.
async fn stop_signal() -> Result<(), Error> {
    let failed = |error| Error::Failed(format!("cannot listen for signals: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Goal: the definition of the command line holds together (clap checks it when asked).
    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

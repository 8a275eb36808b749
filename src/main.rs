//! The `gale` binary: parses the command line and calls the library.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    gale::cli::run(gale::cli::Cli::parse())
}

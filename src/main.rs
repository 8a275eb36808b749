//! The `gale` binary: parses the command line and calls the library.

use clap::Parser;
use gale::heap::Heap;
use std::process::ExitCode;

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> ExitCode {
    gale::cli::run(gale::cli::Cli::parse())
}

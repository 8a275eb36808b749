//! `gale bench lists`: published instances of explicit lists.

use super::Threads;
use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table, spinner, thousands};
use crate::matching::lists::{INSTANCES, Instance, Ranks, solve};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Solves a published instance of explicit lists and compares the matching with the known one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Workers and vacancies list each other in full, as in other programs for this problem:
  a       1,000 workers x 100 vacancies,     100 vacancies x 10 openings
  b      10,000 workers x 100 vacancies,   1,000 vacancies x 10 openings
  c     100,000 workers x  50 vacancies,  10,000 vacancies x 10 openings
  d   1,000,000 workers x  20 vacancies, 100,000 vacancies x 10 openings
The lists are made first and do not count. rank_build_ms is what it takes to know where each
worker stands on each vacancy's list, solve_ms the deferred acceptance. fnv1a64 is one number
for the matching; if it is not the one that the instance is known by, that is exit code 1.

Example:
  gale bench lists --instance d
  gale bench lists --instance a --json | jq -r .fnv1a64")]
pub struct Args {
    /// Which instance: a, b, c or d.
    #[arg(long, value_name = "NAME", value_parser = instance)]
    instance: Instance,
    #[command(flatten)]
    threads: Threads,
}

/// What solving came to; the names are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Figures {
    instance: char,
    workers: u32,
    vacancies: u32,
    rank_build_ms: f64,
    solve_ms: f64,
    proposals: u64,
    fnv1a64: String,
    known: bool,
    threads: usize,
}

/// Makes the lists, solves them and prints the figures.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    let (instance, threads) = (args.instance, args.threads.number());
    let progress = spinner("making the lists");
    let lists = instance.lists();
    progress.set_message("solving");
    let started = Instant::now();
    let ranks = Ranks::of(&lists, threads);
    let built = started.elapsed();
    let solution = solve(&lists, &ranks);
    let solved = started.elapsed() - built;
    progress.finish_and_clear();
    let fnv1a64 = solution.fnv1a64();
    let figures = Figures {
        instance: instance.name,
        workers: instance.workers,
        vacancies: instance.vacancies,
        rank_build_ms: millis(built),
        solve_ms: millis(solved),
        proposals: solution.proposals,
        fnv1a64: format!("{fnv1a64:016x}"),
        known: fnv1a64 == instance.fnv1a64,
        threads,
    };
    if output.json {
        output.json(&figures)?;
    } else {
        output.line(table(&figures))?;
    }
    if figures.known {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "instance {} is known by the matching {:016x}",
        instance.name, instance.fnv1a64
    )))
}

fn table(figures: &Figures) -> Table {
    let mut table = Table::new(&[Column::Text("solved"), Column::Number("")]);
    let matching = if figures.known { "the known one" } else { "NOT the known one" };
    let rows = [
        ("instance", figures.instance.to_string()),
        ("workers", thousands(figures.workers)),
        ("vacancies", thousands(figures.vacancies)),
        ("threads", figures.threads.to_string()),
        ("ranks built in", format!("{:.2} ms", figures.rank_build_ms)),
        ("solved in", format!("{:.2} ms", figures.solve_ms)),
        ("proposals", thousands(figures.proposals)),
        ("matching", figures.fnv1a64.clone()),
        ("  which is", matching.to_owned()),
    ];
    for (name, value) in rows {
        table.row([name.to_owned(), value]);
    }
    table
}

/// Milliseconds with two decimals.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

fn instance(text: &str) -> Result<Instance, String> {
    let mut letters = text.chars();
    let named = letters.next().and_then(Instance::named);
    named.filter(|_| letters.next().is_none()).ok_or_else(|| {
        let names: Vec<String> = INSTANCES.iter().map(|known| known.name.to_string()).collect();
        format!("must be one of {}", names.join(", "))
    })
}

//! `gale reproduce`: published numbers, computed again.

use super::error::Error;
use super::output::{Column, Output, Table, bar};
use crate::reproduce::{Claim, Comparison, PARTS, Part, Plan, Row};
use serde_json::json;

/// Computes numbers that others have published about stable matchings, and compares.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Parts, all of them unless some are named:
  cutoffs     Azevedo and Leshno 2016: the cutoffs of two colleges
  caps        Kamada and Kojima 2015: a regional cap, flexible or by shaved capacities
  lotteries   one lottery for all ties, or one per vacancy
  ranks       Ashlagi, Kanoria and Leshno 2017; Pittel 1989, 2019: average ranks
  singles     Menzel 2015: who stays single in a large market

A reference is printed in the source, or its formula, its limit for large markets or a theorem
of every market, or the mean of an independent program; docs/REPRODUCE.md says which tolerance
goes with which. A number
out of tolerance is exit code 1.

Example:
  gale reproduce
  gale reproduce ranks --size-max 200
  gale reproduce cutoffs caps --json | jq .ok")]
pub struct Args {
    /// What to reproduce: cutoffs, caps, lotteries, ranks, singles.
    #[arg(value_name = "PART", value_parser = part)]
    parts: Vec<Part>,
    /// The largest random market of `ranks`: 100, 200, 500 or 1000.
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(100..=1_000))]
    size_max: u32,
    /// Where the randomness starts: the same seed gives the same numbers on every machine.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Threads; default: all cores. They change no number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: Option<u16>,
}

/// Computes part after part and prints what came of it.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    let parts = if args.parts.is_empty() { &PARTS[..] } else { &args.parts };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or_else(cores, usize::from);
    let plan = Plan { seed: args.seed, size_max: args.size_max, threads };
    let mut rows = Vec::new();
    for part in parts {
        let progress = bar(part.name(), part.markets(&plan));
        let part_rows = part.rows(&plan, &|| progress.inc(1));
        progress.finish_and_clear();
        let part_rows = part_rows.map_err(|error| Error::Failed(error.to_string()))?;
        if !output.json {
            output.line(format!("{}: {}", output.heading(part.name()), part.source()))?;
            output.line(format!("{}\n", table(&part_rows)))?;
        }
        rows.extend(part_rows);
    }
    let verdict = verdict(&rows);
    if output.json {
        let rows: Vec<_> = rows.iter().map(row_json).collect();
        output.json(&json!({ "seed": plan.seed, "ok": verdict.is_ok(), "rows": rows }))?;
    } else if verdict.is_ok() {
        output.line(output.good(&format!("all {} numbers are within tolerance", rows.len())))?;
    }
    verdict
}

/// Whether every number is what it has to be.
fn verdict(rows: &[Row]) -> Result<(), Error> {
    match rows.iter().filter(|row| !row.holds()).count() {
        0 => Ok(()),
        off => Err(Error::Failed(format!("{off} of {} numbers are out of tolerance", rows.len()))),
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        Column::Text("quantity"),
        Column::Number("reference"),
        Column::Text("which is"),
        Column::Number("Gale"),
        Column::Number("tolerance"),
        Column::Text("verdict"),
    ]);
    for row in rows {
        let Claim { reference, comparison, tolerance } = row.claim;
        let within = match comparison {
            _ if tolerance == 0.0 => String::new(),
            Comparison::Near => format!("+- {}", number(tolerance)),
            Comparison::AtMost => format!("+ {}", number(tolerance)),
            Comparison::AtLeast => format!("- {}", number(tolerance)),
        };
        let sign = match comparison {
            Comparison::Near => "",
            Comparison::AtMost => "<= ",
            Comparison::AtLeast => ">= ",
        };
        table.row([
            row.quantity.clone(),
            format!("{sign}{}", number(reference)),
            row.basis.name().to_owned(),
            number(row.found),
            within,
            if row.holds() { "ok" } else { "OFF" }.to_owned(),
        ]);
    }
    table
}

/// One row; the names are part of the command line's contract.
fn row_json(row: &Row) -> serde_json::Value {
    let comparison = match row.claim.comparison {
        Comparison::Near => "near",
        Comparison::AtMost => "at_most",
        Comparison::AtLeast => "at_least",
    };
    json!({
        "part": row.part.name(),
        "quantity": row.quantity,
        "reference": row.claim.reference,
        "basis": row.basis.name(),
        "comparison": comparison,
        "tolerance": row.claim.tolerance,
        "found": row.found,
        "ok": row.holds(),
        "source": row.part.source(),
    })
}

/// Four significant digits, about, and whole numbers as such.
fn number(number: f64) -> String {
    match number.abs() {
        _ if number.fract() == 0.0 => format!("{number:.0}"),
        size if size < 1.0 => format!("{number:.4}"),
        size if size < 10.0 => format!("{number:.3}"),
        _ => format!("{number:.2}"),
    }
}

fn part(text: &str) -> Result<Part, String> {
    Part::named(text).ok_or_else(|| {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name()).collect();
        format!("must be one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::Basis;

    /// Goal: one number out of tolerance is the command's failure, and the table and the JSON
    /// say which.
    #[test]
    fn a_number_that_is_off_is_told() {
        let claim = Claim { reference: 2.0, comparison: Comparison::Near, tolerance: 0.5 };
        let row = |found| Row {
            part: Part::Caps,
            quantity: format!("found {found}"),
            claim,
            basis: Basis::Printed,
            found,
        };
        let rows = [row(2.25), row(2.75)];
        assert!(verdict(&rows[..1]).is_ok());
        let error = verdict(&rows).unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 numbers are out of tolerance");
        assert_eq!(
            format!("{:?}", error.exit_code()),
            format!("{:?}", std::process::ExitCode::from(1))
        );
        let table = table(&rows).to_string();
        let line = table.lines().find(|line| line.contains("OFF")).unwrap();
        assert!(line.contains("found 2.75"), "{table}");
        assert_eq!(row_json(&rows[0])["ok"], true);
        assert_eq!(row_json(&rows[1])["ok"], false);
    }
}

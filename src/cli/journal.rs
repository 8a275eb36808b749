//! `gale journal`: looks after a data directory.

use super::error::Error;
use super::output::{Column, Output, Table, count, thousands};
use crate::domain::Incarnation;
use crate::journal::snapshot::{Listed, Snapshots};
use crate::journal::sqlite::{self, Lost, Report, Stat};
use crate::journal::{self, Directory, Seq};
use crate::state::Capacity;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Checks, measures, copies or repairs the journal in a data directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`check` and `repair` need the directory for themselves: stop the server first. `stat` and
`backup` read beside it. Exit code 1 if something is damaged.

Examples:
  gale journal check data
  gale journal stat data --json
  gale journal backup data --to backups/2026-11-25
  gale journal repair data --to 41873")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Verify every batch, the mark and all snapshots; change nothing
    Check {
        /// The data directory
        directory: PathBuf,
    },
    /// Print sizes, markets, revisions and batches
    Stat {
        /// The data directory
        directory: PathBuf,
    },
    /// Copy the journal and its snapshots, beside a server that runs, and check the copy
    Backup {
        /// The data directory
        directory: PathBuf,
        /// Where the copy goes: a directory that is empty or missing
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Give up everything after a batch; the old files are kept beside
    Repair {
        /// The data directory
        directory: PathBuf,
        /// The last batch to keep
        #[arg(long, value_name = "BATCH")]
        to: u64,
    },
}

/// Does it and prints what was found.
pub fn run(args: Args, output: Output) -> Result<(), Error> {
    match args.action {
        Action::Check { directory } => check(&directory, output),
        Action::Stat { directory } => stat(&directory, output),
        Action::Backup { directory, to } => backup(&directory, &to, output),
        Action::Repair { directory, to } => repair(&directory, Seq(to), output),
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(error.to_string())
}

fn take(directory: &Path) -> Result<Directory, Error> {
    if !directory.is_dir() {
        return Err(Error::Usage(format!("there is no directory {}", directory.display())));
    }
    Directory::take_existing(directory).map_err(failed)
}

/// A snapshot and what is wrong with it, if anything.
type Checked = (Listed, Option<String>);

fn check(directory: &Path, output: Output) -> Result<(), Error> {
    let directory = take(directory)?;
    let report = sqlite::check(&directory);
    let snapshots = Snapshots::of(directory.snapshots());
    let mut checked: Vec<Checked> = Vec::new();
    for listed in snapshots.list_all().map_err(failed)? {
        let wrong = snapshots.read(&listed, Capacity::default()).err().map(|e| e.to_string());
        checked.push((listed, wrong));
    }
    if output.json {
        output.json(&check_json(&report, &checked))?;
    } else {
        print_check(&report, &checked, output)?;
    }
    let damaged = checked.iter().filter(|(_, wrong)| wrong.is_some()).count();
    match report {
        Err(error) => Err(failed(error)),
        Ok(_) if damaged > 0 => {
            Err(failed(format!("{} damaged", count(damaged as u64, "snapshot"))))
        }
        Ok(_) => Ok(()),
    }
}

fn check_json(report: &Result<Report, journal::Error>, checked: &[Checked]) -> Value {
    let snapshots = checked.iter().map(|(listed, wrong)| {
        json!({
            "file": listed.path, "incarnation": listed.incarnation.to_string(),
            "revision": listed.revision.0, "intact": wrong.is_none(), "found": wrong,
        })
    });
    let snapshots: Vec<_> = snapshots.collect();
    match report {
        Ok(report) => json!({
            "intact": true, "first": report.first.0, "last": report.last.0,
            "marked": report.marked.0, "mark_intact": !report.mark_partly,
            "batches": report.batches, "bytes": report.bytes,
            "markets": report.markets.iter().map(|market| json!({
                "market": market.name.as_str(), "incarnation": market.incarnation.to_string(),
                "deleted": market.deleted, "trimmed": market.trimmed.0,
                "newest": market.newest.0,
            })).collect::<Vec<_>>(),
            "snapshots": snapshots,
        }),
        Err(error) => {
            let damage = error.damage();
            json!({
                "intact": false, "found": error.to_string(),
                "file": damage.map(|damage| &damage.file),
                "batch": damage.and_then(|damage| damage.seq).map(|seq| seq.0),
                "intact_to": damage.and_then(|damage| damage.intact).map(|seq| seq.0),
                "snapshots": snapshots,
            })
        }
    }
}

fn print_check(
    report: &Result<Report, journal::Error>,
    checked: &[Checked],
    output: Output,
) -> Result<(), Error> {
    if let Ok(report) = report {
        let columns = [
            Column::Text("market"),
            Column::Text("incarnation"),
            Column::Number("oldest"),
            Column::Number("newest"),
            Column::Text(""),
        ];
        let mut table = Table::new(&columns);
        for market in &report.markets {
            table.row([
                market.name.to_string(),
                market.incarnation.to_string(),
                thousands(market.trimmed.0 + 1),
                thousands(market.newest.0),
                if market.deleted { "deleted".into() } else { String::new() },
            ]);
        }
        output.line(table)?;
        let kept = match report.batches {
            1 => "1 batch".to_owned(),
            batches => format!("{} batches", thousands(batches)),
        };
        output.line(format_args!(
            "{}: {kept}, {} bytes, up to batch {}",
            output.good("intact"),
            thousands(report.bytes),
            report.last
        ))?;
        let mark = if report.mark_partly { "one slot is damaged, another stands in" } else { "ok" };
        output.line(format_args!("mark: batch {}, {mark}", report.marked))?;
    }
    for (listed, wrong) in checked {
        match wrong {
            None => output.line(format_args!("snapshot {}: ok", listed.path.display()))?,
            Some(wrong) => output.line(format_args!("{}: {wrong}", output.bad("damaged")))?,
        }
    }
    Ok(())
}

fn stat(directory: &Path, output: Output) -> Result<(), Error> {
    let stat = sqlite::stat(directory).map_err(failed)?;
    let snapshots = Snapshots::of(directory.join("snapshots")).list_all().map_err(failed)?;
    if output.json {
        return output.json(&stat_json(&stat, &snapshots));
    }
    let columns = [
        Column::Text("market"),
        Column::Text("incarnation"),
        Column::Number("oldest"),
        Column::Number("newest"),
        Column::Number("batches"),
        Column::Number("bytes"),
        Column::Number("bytes a revision"),
        Column::Number("snapshot at"),
        Column::Text(""),
    ];
    let mut table = Table::new(&columns);
    for market in &stat.markets {
        let snapshot = newest_snapshot(&snapshots, market.incarnation);
        table.row([
            market.name.clone(),
            market.incarnation.to_string(),
            thousands(market.trimmed + 1),
            thousands(market.newest),
            thousands(market.batches),
            thousands(market.bytes),
            market.bytes.checked_div(market.newest - market.trimmed).map_or("-".into(), thousands),
            snapshot.map_or("-".into(), thousands),
            if market.deleted { "deleted".into() } else { String::new() },
        ]);
    }
    output.line(table)?;
    output.line(format_args!(
        "batches {}..{}; database {} bytes, write-ahead log {} bytes",
        stat.first,
        stat.last,
        thousands(stat.file_bytes.0),
        thousands(stat.file_bytes.1)
    ))
}

fn backup(directory: &Path, to: &Path, output: Output) -> Result<(), Error> {
    let report = sqlite::backup(directory, to);
    if output.json {
        output.json(&check_json(&report, &[]))?;
    } else {
        print_check(&report, &[], output)?;
    }
    report.map(drop).map_err(failed)
}

fn newest_snapshot(snapshots: &[Listed], market: Incarnation) -> Option<u64> {
    let newest = snapshots.iter().find(|listed| listed.incarnation == market);
    newest.map(|listed| listed.revision.0)
}

fn stat_json(stat: &Stat, snapshots: &[Listed]) -> Value {
    let markets = stat.markets.iter().map(|market| {
        json!({
            "market": market.name, "incarnation": market.incarnation.to_string(),
            "deleted": market.deleted, "trimmed": market.trimmed, "newest": market.newest,
            "batches": market.batches, "bytes": market.bytes,
            "snapshot": newest_snapshot(snapshots, market.incarnation),
        })
    });
    json!({
        "created": stat.created, "first": stat.first.0, "last": stat.last.0,
        "database_bytes": stat.file_bytes.0, "log_bytes": stat.file_bytes.1,
        "markets": markets.collect::<Vec<_>>(),
    })
}

fn repair(directory: &Path, to: Seq, output: Output) -> Result<(), Error> {
    let directory = take(directory)?;
    let lost = sqlite::repair(&directory, to).map_err(failed)?;
    if output.json {
        return output.json(&repair_json(&lost));
    }
    output.line(format_args!("the journal ends with batch {} now", lost.last))?;
    output.line(format_args!(
        "given up: {} batches that could still be read, {}",
        thousands(lost.batches),
        count(lost.snapshots.len() as u64, "snapshot")
    ))?;
    for market in &lost.markets {
        let (first, last) = market.revisions;
        let whole = if market.whole { ": all that there was of it" } else { "" };
        output.line(format_args!(
            "  market {} ({}), revisions {first}..{last}{whole}",
            market.name, market.incarnation
        ))?;
    }
    output.line(format_args!("the old files are in {}", lost.kept_in.display()))
}

fn repair_json(lost: &Lost) -> Value {
    let markets = lost.markets.iter().map(|market| {
        json!({
            "market": market.name, "incarnation": market.incarnation.to_string(),
            "first": market.revisions.0, "last": market.revisions.1, "whole": market.whole,
        })
    });
    json!({
        "last": lost.last.0, "batches": lost.batches, "markets": markets.collect::<Vec<_>>(),
        "snapshots": lost.snapshots, "kept_in": lost.kept_in,
    })
}

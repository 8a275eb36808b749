//! `gale bench growth`: how the cost of a clearing grows with the market, as a table of
//! figures and a drawing. Each size is measured in a process of its own, so that the
//! memory of one does not count for the next.

use super::Threads;
use super::clear::ratio;
use super::plot::{Panel, Plot};
use super::run::Figures;
use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table, thousands};
use crate::domain::limits::WORKERS_MAX;
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Sizes that are measured if nothing else is said.
const SIZES: &str = "10000,30000,100000,300000,1000000,3000000,6000000";
/// Exponents are fitted to sizes from here: below, fixed costs show.
const FITTED_FROM: u64 = 100_000;

/// Measures a row of market sizes and draws how time, evaluations and memory grow.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Runs `gale bench clear` for each size in a new process, writes the figures as CSV and draws them
on logarithmic axes. The exponent k, as in cost ~ workers^k, is a least-squares fit to the sizes
from 100,000. Ends at the first size that fails, without files.

Example:
  gale bench growth
  gale bench growth --sizes 10000,30000,100000 --csv /tmp/growth.csv --svg /tmp/growth.svg
  gale bench growth --redraw")]
pub struct Args {
    /// Numbers of workers, separated by commas.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = SIZES,
          value_parser = clap::value_parser!(u64).range(1..=WORKERS_MAX as u64))]
    sizes: Vec<u64>,
    /// Openings for each worker, 0.001 to 100.
    #[arg(long, value_name = "R", default_value = "0.75", value_parser = ratio)]
    openings_per_worker: f64,
    /// Seed of the markets.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
    /// File of the figures.
    #[arg(long, value_name = "FILE", default_value = "docs/growth.csv")]
    csv: PathBuf,
    /// File of the drawing.
    #[arg(long, value_name = "FILE", default_value = "docs/growth.svg")]
    svg: PathBuf,
    /// Measure nothing: draw the figures that the CSV file has.
    #[arg(long, conflicts_with_all = ["sizes", "openings_per_worker", "seed", "threads"])]
    redraw: bool,
}

/// Measures, writes, draws, and prints the figures that are drawn.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    let all = if args.redraw { read(&args.csv)? } else { measure_all(args)? };
    let growth = Growth::of(&all);
    let drawing = growth.plot(&all).to_string();
    std::fs::write(&args.svg, drawing).map_err(Error::file(&args.svg))?;
    if output.json {
        return output.json(&json!({
            "csv": args.csv, "svg": args.svg, "sizes": all,
            "exponents": {
                "clear_cpu_ms": growth.time, "evaluations": growth.evaluations,
                "engine_bytes": growth.memory,
            },
        }));
    }
    output.line(table(&all))?;
    output.line(format_args!(
        "Exponents: processor time {}, evaluations {}, engine memory {}.",
        exponent(growth.time),
        exponent(growth.evaluations),
        exponent(growth.memory)
    ))?;
    output.line(format_args!("Drawn in {}.", args.svg.display()))
}

fn measure_all(args: &Args) -> Result<Vec<Figures>, Error> {
    let mut sizes = args.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    let mut all = Vec::with_capacity(sizes.len());
    for (at, workers) in sizes.iter().enumerate() {
        if std::io::stderr().is_terminal() {
            eprintln!("{} workers ({} of {})", thousands(*workers), at + 1, sizes.len());
        }
        all.push(measure(*workers, args)?);
        // What is measured is kept, even if somebody loses patience with the next size.
        write(&args.csv, &all)?;
    }
    Ok(all)
}

/// One size, in a process of its own; its progress shows on the same terminal.
fn measure(workers: u64, args: &Args) -> Result<Figures, Error> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::Failed(format!("measuring {} workers: {error}", thousands(workers)))
    };
    let gale = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = Command::new(gale);
    command.args(["--json", "bench", "clear"]);
    command.args(["--workers", &workers.to_string()]);
    command.args(["--openings-per-worker", &args.openings_per_worker.to_string()]);
    command.args(["--seed", &args.seed.to_string()]);
    command.args(["--threads", &args.threads.number().to_string()]);
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let done = command.output().map_err(|error| failed(&error))?;
    if !done.status.success() {
        return Err(failed(&done.status));
    }
    serde_json::from_slice(&done.stdout).map_err(|error| failed(&error))
}

fn write(path: &Path, all: &[Figures]) -> Result<(), Error> {
    let failed = |error: csv::Error| Error::Failed(format!("{}: {error}", path.display()));
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    for figures in all {
        writer.serialize(figures).map_err(failed)?;
    }
    writer.flush().map_err(Error::file(path))
}

fn read(path: &Path) -> Result<Vec<Figures>, Error> {
    let failed = |error: csv::Error| Error::Failed(format!("{}: {error}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    reader.deserialize().collect::<Result<_, _>>().map_err(failed)
}

/// How each cost grows: the exponents, where there are sizes enough to fit one.
struct Growth {
    time: Option<f64>,
    evaluations: Option<f64>,
    memory: Option<f64>,
}

/// What is drawn, by workers.
fn points(all: &[Figures], cost: impl Fn(&Figures) -> f64) -> Vec<(f64, f64)> {
    all.iter().map(|figures| (figures.workers as f64, cost(figures))).collect()
}

fn cpu_seconds(figures: &Figures) -> f64 {
    // Less than a millisecond is shown as one, which has a logarithm.
    figures.clear_cpu_ms.max(1) as f64 / 1_000.0
}

fn evaluations(figures: &Figures) -> f64 {
    figures.evaluations.max(1) as f64
}

fn engine_megabytes(figures: &Figures) -> f64 {
    figures.engine_bytes.max(1) as f64 / 1e6
}

impl Growth {
    fn of(all: &[Figures]) -> Self {
        let fitted = |cost: fn(&Figures) -> f64| {
            let mut points = points(all, cost);
            points.retain(|(workers, _)| *workers >= FITTED_FROM as f64);
            fit(&points)
        };
        Self {
            time: fitted(cpu_seconds),
            evaluations: fitted(evaluations),
            memory: fitted(engine_megabytes),
        }
    }

    fn plot(&self, all: &[Figures]) -> Plot {
        let last = all.last();
        let threads = last.map_or(0, |figures| figures.threads);
        let ratio = last.map_or(0.0, |f| f.openings as f64 / f.workers.max(1) as f64);
        let per_worker = last.map_or(0.0, |f| f.engine_bytes as f64 / f.workers.max(1) as f64);
        let per_query = last.map_or(0.0, |figures| figures.evaluations_per_query);
        Plot {
            title: "What a clearing costs as the market grows".into(),
            subtitle: format!(
                "Generated US labour market, {ratio:.2} openings per worker, {threads} \
                 thread{}; exact, every matching checked",
                if threads == 1 { "" } else { "s" }
            ),
            fitted_from: FITTED_FROM as f64,
            panels: vec![
                Panel {
                    title: "Processor time, seconds".into(),
                    note: "index and deferred acceptance, all cores".into(),
                    colour: "#1f6fb4",
                    points: points(all, cpu_seconds),
                    exponent: self.time,
                },
                Panel {
                    title: "Pairs evaluated".into(),
                    note: format!("{per_query:.1} per query at the largest size"),
                    colour: "#b4541f",
                    points: points(all, evaluations),
                    exponent: self.evaluations,
                },
                Panel {
                    title: "Engine memory, megabytes".into(),
                    note: format!("{per_worker:.0} bytes per worker at the largest size"),
                    colour: "#2f8a4c",
                    points: points(all, engine_megabytes),
                    exponent: self.memory,
                },
            ],
        }
    }
}

/// The slope of the least-squares line through the points' logarithms.
fn fit(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 2 {
        return None;
    }
    let count = points.len() as f64;
    let logs = || points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let mean_x = logs().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs().map(|(_, y)| y).sum::<f64>() / count;
    let together: f64 = logs().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let alone: f64 = logs().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (alone > 0.0).then_some(together / alone)
}

fn exponent(fitted: Option<f64>) -> String {
    fitted.map_or_else(|| "-".to_owned(), |exponent| format!("{exponent:.2}"))
}

fn table(all: &[Figures]) -> Table {
    let mut table = Table::new(&[
        Column::Number("workers"),
        Column::Number("openings"),
        Column::Number("matched"),
        Column::Number("clear ms"),
        Column::Number("cpu ms"),
        Column::Number("check ms"),
        Column::Number("evaluations"),
        Column::Number("per query"),
        Column::Number("bytes/worker"),
        Column::Text("hash"),
    ]);
    for figures in all {
        table.row([
            thousands(figures.workers),
            thousands(figures.openings),
            thousands(figures.matched),
            thousands(figures.clear_ms),
            thousands(figures.clear_cpu_ms),
            thousands(figures.verify_ms),
            thousands(figures.evaluations),
            format!("{:.1}", figures.evaluations_per_query),
            thousands(figures.engine_bytes / figures.workers.max(1)),
            figures.matching_hash.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the exponent is that of a power law, and there is none where nothing can be fitted.
    #[test]
    fn the_exponent_of_a_power_law_is_found() {
        let points: Vec<_> = [1e5, 3e5, 1e6].map(|x: f64| (x, 7.0 * x.powf(1.25))).into();
        assert!((fit(&points).unwrap() - 1.25).abs() < 1e-9);
        assert_eq!(fit(&points[..1]), None);
        assert_eq!(fit(&[points[0], points[0]]), None);
    }
}

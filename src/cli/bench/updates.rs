//! `gale bench updates`: changes of a market that is stable after every one.

use super::clear::ratio;
use super::market;
use super::run::timed;
use super::stream::{Kind, Stream};
use super::{CapsArg, Threads, micros};
use crate::cli::error::Error;
use crate::cli::generate::metros;
use crate::cli::output::{Column, Output, Table, bar, thousands};
use crate::cli::process::peak_rss_bytes;
use crate::domain::limits::WORKERS_MAX;
use crate::domain::{Promise, Side};
use crate::generate::{Generator, METROS_MAX, Plan, Scale};
use crate::matching::live::Live;
use crate::matching::{Cleared, Control, Means, Problem, certify, clear, clear_with};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Changes a generated market one step at a time, and keeps it stable after each.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The market is cleared once; then come the updates, in equal shares of seven kinds: a worker
arrives, changes, departs; a vacancy arrives, closes; a vacancy has one opening more, or less.
Who arrives was generated with the rest and kept back. Each update is timed from the change to
the market that is stable again. Then the matching is verified in full, and compared with the
worker-optimal one of the market as it stands then. With --json, one line: under worker_arrives,
worker_changes, worker_departs, vacancy_arrives, vacancy_closes, openings_up, openings_down and
overall: updates, p50_us, p99_us, max_us, chain_p50, chain_p99, evaluations; and workers, vacancies,
openings, promise, clear_ms, start_ms, warm_ms, rotations, blocking_pairs,
differs_from_worker_optimal, peak_rss_bytes, threads. Exit code 1 if a pair blocks, or if the
worker-optimal matching is promised and somebody holds another.

Example:
  gale bench updates --workers 100000 --openings-per-worker 0.75 --promise stable
  gale bench updates --workers 1000000 --promise worker_optimal --updates 7000 --json")]
pub struct Args {
    /// Workers who seek.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=WORKERS_MAX as u64))]
    workers: u64,
    /// Openings for each of them, 0.001 to 100.
    #[arg(long, value_name = "R", default_value = "0.75", value_parser = ratio)]
    openings_per_worker: f64,
    /// What holds after every update.
    #[arg(long, value_name = "PROMISE", value_enum, default_value_t = PromiseArg::Stable)]
    promise: PromiseArg,
    /// Seed: the same options and seed give the same market and updates on every machine.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// How many updates.
    #[arg(long, value_name = "U", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    updates: u64,
    /// How many US metropolitan areas, largest labour force first (1..393).
    #[arg(long, value_name = "N", default_value_t = METROS_MAX, value_parser = metros)]
    metros: usize,
    #[command(flatten)]
    threads: Threads,
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
enum PromiseArg {
    /// A stable matching.
    Stable,
    /// The worker-optimal stable matching.
    #[value(name = "worker_optimal")]
    WorkerOptimal,
}

/// What the updates came to; the names are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Figures {
    workers: u64,
    vacancies: u64,
    openings: u64,
    promise: PromiseArg,
    clear_ms: u64,
    /// Making the engine that goes on from the matching.
    start_ms: u64,
    /// Finding every vacancy's best desirer.
    warm_ms: u64,
    worker_arrives: Line,
    worker_changes: Line,
    worker_departs: Line,
    vacancy_arrives: Line,
    vacancy_closes: Line,
    openings_up: Line,
    openings_down: Line,
    overall: Line,
    rotations: u64,
    blocking_pairs: u64,
    differs_from_worker_optimal: u64,
    peak_rss_bytes: u64,
    threads: u64,
}

/// What one kind of update came to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Line {
    updates: u64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    /// Times that somebody took a vacancy.
    chain_p50: u64,
    chain_p99: u64,
    /// Pairs whose fit or score was computed, in all.
    evaluations: u64,
}

/// One update.
#[derive(Clone, Copy)]
struct Sample {
    kind: Kind,
    took: Duration,
    chain: u64,
    evaluations: u64,
}

/// Makes the market, changes it and prints the figures.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    let (mut problem, mut stream) = generate(args)?;
    let figures = measure(args, &mut problem, &mut stream)?;
    if output.json {
        output.json(&figures)?;
    } else {
        output.line(table(&figures))?;
        output.line(summary(&figures))?;
    }
    let promised = args.promise == PromiseArg::WorkerOptimal;
    match (figures.blocking_pairs, figures.differs_from_worker_optimal) {
        (0, 0) => Ok(()),
        (0, _) if !promised => Ok(()),
        (blocking, differing) => Err(Error::Failed(format!(
            "the promise is broken: {} blocking pairs, {} workers not in their optimum",
            thousands(blocking),
            thousands(differing)
        ))),
    }
}

/// The market, with as many people and jobs on top as the updates may need.
fn generate(args: &Args) -> Result<(Problem, Stream), Error> {
    let plan =
        Plan { metros: args.metros, scale: Scale::WHOLE, seed: args.seed, ..Plan::default() };
    let openings = (args.workers as f64 * args.openings_per_worker).round() as u64;
    // A vacancy has about two openings.
    let spare = args.updates / Kind::ALL.len() as u64 + 100;
    let spare_workers = spare.min(args.workers);
    let spare_openings = (2 * spare).min(openings);
    let generator = Generator::new(&plan)
        .map_err(|violation| Error::Usage(violation.to_string()))?
        .with_totals(args.workers + spare_workers, openings + spare_openings);
    let mut problem = market::build(&generator, Side::Worker, CapsArg::None)?;
    let posted: u64 = problem.vacancies.iter().map(|post| u64::from(post.openings)).sum();
    let share = spare_openings as f64 / posted.max(1) as f64;
    let vacancies = (problem.vacancies.len() as f64 * share) as usize;
    let stream = Stream::of(&mut problem, spare_workers as usize, vacancies, args.seed);
    Ok((problem, stream))
}

fn measure(args: &Args, problem: &mut Problem, stream: &mut Stream) -> Result<Figures, Error> {
    let threads = args.threads.number();
    let means = Means { threads, ..Means::all() };
    let failed = |error: &dyn std::error::Error| Error::Failed(error.to_string());
    let (cleared_in, cleared) =
        timed(|control| clear_with(problem, Side::Worker, control, means).map_err(|e| failed(&e)));
    let Cleared { matching, .. } = cleared?;
    let count = |all: usize| all as u64;
    let (workers, vacancies) = (count(problem.workers.len()), count(problem.vacancies.len()));
    let openings = problem.vacancies.iter().map(|post| u64::from(post.openings)).sum();
    let promise = match args.promise {
        PromiseArg::Stable => Promise::Stable,
        PromiseArg::WorkerOptimal => Promise::WorkerOptimal,
    };
    let started = Instant::now();
    let mut live = Live::of(problem.clone(), &matching, promise);
    let start = started.elapsed();
    let started = Instant::now();
    if promise == Promise::WorkerOptimal {
        live.warm(threads);
    }
    let warm = started.elapsed();
    let (samples, rotations) = update(&mut live, stream, args.updates);
    let of = |kind: Kind| line(samples.iter().filter(|sample| sample.kind == kind));
    let (now, matching) = live.standing();
    let (_, certificate) =
        timed(|control| certify(&now, &matching, control).map_err(|e| failed(&e)));
    let optimum = clear(&now, Side::Worker, &Control::default()).map_err(|e| failed(&e))?.matching;
    let differing = matching.vacancy_of.iter().zip(&optimum.vacancy_of).filter(|(a, b)| a != b);
    Ok(Figures {
        workers,
        vacancies,
        openings,
        promise: args.promise,
        clear_ms: cleared_in.wall.as_millis() as u64,
        start_ms: start.as_millis() as u64,
        warm_ms: warm.as_millis() as u64,
        worker_arrives: of(Kind::WorkerArrives),
        worker_changes: of(Kind::WorkerChanges),
        worker_departs: of(Kind::WorkerDeparts),
        vacancy_arrives: of(Kind::VacancyArrives),
        vacancy_closes: of(Kind::VacancyCloses),
        openings_up: of(Kind::OpeningsUp),
        openings_down: of(Kind::OpeningsDown),
        overall: line(samples.iter()),
        rotations,
        blocking_pairs: certificate?.blocking_pairs,
        differs_from_worker_optimal: differing.count() as u64,
        peak_rss_bytes: peak_rss_bytes(),
        threads: threads as u64,
    })
}

/// The updates, each timed, and how many rotations they took.
fn update(live: &mut Live, stream: &mut Stream, updates: u64) -> (Vec<Sample>, u64) {
    let progress = bar("updating", updates);
    let (mut samples, mut rotations) = (Vec::with_capacity(updates as usize), 0);
    let kinds = Kind::ALL.into_iter().cycle().take(updates as usize);
    for (done, kind) in (0_u64..).zip(kinds) {
        let Some(change) = stream.next(kind) else { continue };
        let before = live.counters();
        let started = Instant::now();
        let settled = live.apply([change]);
        let took = started.elapsed();
        let after = live.counters();
        rotations += settled.rotations;
        samples.push(Sample {
            kind,
            took,
            chain: after.proposals - before.proposals,
            evaluations: after.evaluations - before.evaluations,
        });
        if done.is_multiple_of(64) {
            progress.set_position(done);
        }
    }
    progress.finish_and_clear();
    (samples, rotations)
}

fn line<'s>(samples: impl Iterator<Item = &'s Sample>) -> Line {
    let samples: Vec<&Sample> = samples.collect();
    let mut took: Vec<Duration> = samples.iter().map(|sample| sample.took).collect();
    let mut chains: Vec<u64> = samples.iter().map(|sample| sample.chain).collect();
    took.sort_unstable();
    chains.sort_unstable();
    let Some(longest) = took.last() else { return Line::default() };
    let at = |percent: usize| (samples.len() - 1) * percent / 100;
    Line {
        updates: samples.len() as u64,
        p50_us: micros(took[at(50)]),
        p99_us: micros(took[at(99)]),
        max_us: micros(*longest),
        chain_p50: chains[at(50)],
        chain_p99: chains[at(99)],
        evaluations: samples.iter().map(|sample| sample.evaluations).sum(),
    }
}

fn table(figures: &Figures) -> Table {
    let number = Column::Number;
    let mut table = Table::new(&[
        Column::Text("update"),
        number("updates"),
        number("p50 us"),
        number("p99 us"),
        number("max us"),
        number("chain p50"),
        number("p99"),
        number("evaluations"),
    ]);
    let lines = [
        figures.worker_arrives,
        figures.worker_changes,
        figures.worker_departs,
        figures.vacancy_arrives,
        figures.vacancy_closes,
        figures.openings_up,
        figures.openings_down,
    ];
    let names = Kind::ALL.map(Kind::name).into_iter().chain(["overall"]);
    for (name, line) in names.zip(lines.into_iter().chain([figures.overall])) {
        table.row([
            name.to_owned(),
            thousands(line.updates),
            format!("{:.1}", line.p50_us),
            format!("{:.1}", line.p99_us),
            format!("{:.1}", line.max_us),
            line.chain_p50.to_string(),
            line.chain_p99.to_string(),
            thousands(line.evaluations),
        ]);
    }
    table
}

fn summary(figures: &Figures) -> String {
    format!(
        "{} workers, {} vacancies, {} openings; cleared in {} ms, going on after {} ms, hints in {} ms.\n\
         {} rotations; {} blocking pairs; {} workers hold something else than their optimum.",
        thousands(figures.workers),
        thousands(figures.vacancies),
        thousands(figures.openings),
        thousands(figures.clear_ms),
        thousands(figures.start_ms),
        thousands(figures.warm_ms),
        thousands(figures.rotations),
        thousands(figures.blocking_pairs),
        thousands(figures.differs_from_worker_optimal),
    )
}

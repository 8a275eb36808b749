//! One clearing, measured: cleared, checked by the certificate, and sampled.

use super::Mechanism;
use super::draws::Draws;
use super::market;
use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table, bar, percent, thousands};
use crate::cli::process::{cpu_time, peak_rss_bytes};
use crate::generate::Generator;
use crate::heap;
use crate::matching::{
    Certificate, Cleared, Control, Means, PAIRS_AUDITED, Phase, Problem, certify_with, clear_with,
    matching_hash,
};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Workers whose acceptable vacancies are counted.
const SAMPLE: usize = 200;
/// Time between two looks at the progress.
const POLL: Duration = Duration::from_millis(100);

/// What one clearing came to; the names are part of the command line's contract.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Workers who seek.
    pub workers: u64,
    /// Vacancies that are open.
    pub vacancies: u64,
    /// Their openings.
    pub openings: u64,
    /// Workers who hold a vacancy.
    pub matched: u64,
    /// Of those, in another city than their home.
    pub moved: u64,
    /// Vacancies that a worker takes and that take the worker, on average: of `sampled` workers.
    pub acceptable_mean: f64,
    /// Workers whose acceptable vacancies were counted, one by one.
    pub sampled: u64,
    /// Generating the market and making the problem of it.
    pub build_ms: u64,
    /// From the problem to the matching, the index included.
    pub clear_ms: u64,
    /// Processor time of that, on all cores.
    pub clear_cpu_ms: u64,
    /// The certificate.
    pub verify_ms: u64,
    /// Times that a worker entered a vacancy, or a vacancy hired a worker.
    pub proposals: u64,
    /// Times that somebody's best was searched.
    pub queries: u64,
    /// Pairs whose fit or score was computed.
    pub evaluations: u64,
    /// Of those per query.
    pub evaluations_per_query: f64,
    /// The most that index, matching and scratch took at once.
    pub engine_bytes: u64,
    /// The most that the whole process took.
    pub peak_rss_bytes: u64,
    /// By which runs are compared.
    pub matching_hash: String,
    /// Pairs that the certificate looked at.
    pub pairs_examined: u64,
    /// Pairs that would rather have each other.
    pub blocking_pairs: u64,
    /// Ways in which the matching is not even possible.
    pub violations: u64,
    /// On how many threads.
    pub threads: u64,
}

/// Builds, clears and checks the generator's market and prints the figures.
/// Blocking pairs are an error, after the figures.
pub fn run(
    generator: &Generator,
    mechanism: &Mechanism,
    seed: u64,
    output: Output,
) -> Result<(), Error> {
    let started = Instant::now();
    let problem = market::build(generator, mechanism.side(), mechanism.caps)?;
    let build = started.elapsed();
    let figures = measure(&problem, mechanism, seed, build)?;
    if output.json {
        output.json(&figures)?;
    } else {
        output.line(table(&figures))?;
    }
    match figures.blocking_pairs + figures.violations {
        0 => Ok(()),
        _ => Err(Error::Failed(format!(
            "not stable: {} blocking pairs, {} violations",
            thousands(figures.blocking_pairs),
            thousands(figures.violations)
        ))),
    }
}

fn measure(
    problem: &Problem,
    mechanism: &Mechanism,
    seed: u64,
    build: Duration,
) -> Result<Figures, Error> {
    let threads = mechanism.threads.number();
    let means = Means { threads, kernels: mechanism.kernels() };
    let failed = |error: &dyn std::error::Error| Error::Failed(error.to_string());
    let watch = heap::Watch::start();
    let (clear, cleared) = timed(|control| {
        clear_with(problem, mechanism.side(), control, means).map_err(|e| failed(&e))
    });
    let Cleared { matching, counters } = cleared?;
    let engine_bytes = watch.peak_bytes();
    drop(watch);
    let (verify, certificate) = timed(|control| {
        certify_with(problem, &matching, control, means, PAIRS_AUDITED).map_err(|e| failed(&e))
    });
    let Certificate { pairs_examined, blocking_pairs, infeasible, .. } = certificate?;
    let sample = sample(problem.workers.len(), seed);
    let acceptable = acceptable(problem, &sample, threads);
    let held = || matching.pairs().map(|(w, v)| (w as usize, v as usize));
    let worker = |w: usize| &problem.workers[w].worker;
    let vacancy = |v: usize| &problem.vacancies[v].vacancy;
    let ids = held().map(|(w, v)| (worker(w).id, vacancy(v).id));
    let moved = held().filter(|(w, v)| worker(*w).home != vacancy(*v).city);
    Ok(Figures {
        workers: problem.workers.len() as u64,
        vacancies: problem.vacancies.len() as u64,
        openings: problem.vacancies.iter().map(|post| u64::from(post.openings)).sum(),
        matched: held().count() as u64,
        moved: moved.count() as u64,
        acceptable_mean: ratio(acceptable, sample.len() as u64),
        sampled: sample.len() as u64,
        build_ms: millis(build),
        clear_ms: millis(clear.wall),
        clear_cpu_ms: millis(clear.cpu),
        verify_ms: millis(verify.wall),
        proposals: counters.proposals,
        queries: counters.queries,
        evaluations: counters.evaluations,
        evaluations_per_query: ratio(counters.evaluations, counters.queries),
        engine_bytes,
        matching_hash: format!("{:016x}", matching_hash(ids)),
        pairs_examined,
        blocking_pairs,
        violations: infeasible.len() as u64,
        threads: threads as u64,
        peak_rss_bytes: peak_rss_bytes(),
    })
}

/// What something took.
pub(super) struct Spent {
    pub wall: Duration,
    pub cpu: Duration,
}

/// Does the work while another thread shows how far it is. What that thread costs, ten
/// looks a second, is in the processor time.
pub(super) fn timed<T>(work: impl FnOnce(&Control) -> T) -> (Spent, T) {
    let control = Control::default();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| show(&control, &done));
        let (wall, cpu) = (Instant::now(), cpu_time());
        let result = work(&control);
        let spent = Spent { wall: wall.elapsed(), cpu: cpu_time().saturating_sub(cpu) };
        done.store(true, Relaxed);
        watcher.thread().unpark();
        (spent, result)
    })
}

/// Shows the progress until it is done.
fn show(control: &Control, done: &AtomicBool) {
    let progress = bar("", 0);
    while !done.load(Relaxed) {
        let now = control.progress();
        let label = match now.phase {
            Phase::Waiting | Phase::Indexing => "indexing",
            Phase::Proposing => "clearing",
            Phase::Certifying => "checking",
        };
        progress.set_message(label);
        // A phase that counts nothing is an empty bar, not a full one.
        progress.set_length(now.total.max(1));
        progress.set_position(now.done);
        std::thread::park_timeout(POLL);
    }
    progress.finish_and_clear();
}

/// Some workers, each equally likely to be among them, with repetitions in a small market.
fn sample(workers: usize, seed: u64) -> Vec<usize> {
    let mut draws = Draws::of(seed);
    (0..SAMPLE.min(workers)).map(|_| draws.below(workers)).collect()
}

/// How many vacancies the workers of the sample would take and be taken by, in all: every
/// vacancy in a city where the worker would live is evaluated in full.
fn acceptable(problem: &Problem, sample: &[usize], threads: usize) -> u64 {
    let progress = bar("counting choices", sample.len() as u64);
    let next = AtomicUsize::new(0);
    let count = || {
        let mut acceptable = 0;
        while let Some(w) = sample.get(next.fetch_add(1, Relaxed)) {
            let worker = &problem.workers[*w].worker;
            acceptable += problem
                .vacancies
                .iter()
                .enumerate()
                .filter(|(_, post)| worker.would_live_in(post.vacancy.city))
                .filter(|(v, _)| problem.pair(*w, *v).is_acceptable())
                .count() as u64;
            progress.inc(1);
        }
        acceptable
    };
    let all = std::thread::scope(|scope| {
        let counters: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        let counted = counters.into_iter().map(|counter| counter.join());
        counted.map(|count| count.expect("counting does not panic")).sum()
    });
    progress.finish_and_clear();
    all
}

/// The figures for people.
fn table(figures: &Figures) -> Table {
    let mut table = Table::new(&[Column::Text("cleared"), Column::Number("")]);
    let seconds = |ms: u64| format!("{}.{:03} s", thousands(ms / 1_000), ms % 1_000);
    let each = |bytes: u64| format!("{} bytes", thousands(bytes / figures.workers.max(1)));
    let rows = [
        ("workers", thousands(figures.workers)),
        ("vacancies", thousands(figures.vacancies)),
        ("openings", thousands(figures.openings)),
        ("acceptable vacancies a worker", format!("{:.1}", figures.acceptable_mean)),
        ("matched", thousands(figures.matched)),
        ("  of the workers", percent(figures.matched, figures.workers)),
        ("moved to another city", thousands(figures.moved)),
        ("threads", thousands(figures.threads)),
        ("built in", seconds(figures.build_ms)),
        ("cleared in", seconds(figures.clear_ms)),
        ("  processor time", seconds(figures.clear_cpu_ms)),
        ("checked in", seconds(figures.verify_ms)),
        ("proposals", thousands(figures.proposals)),
        ("queries", thousands(figures.queries)),
        ("pairs evaluated", thousands(figures.evaluations)),
        ("  per query", format!("{:.1}", figures.evaluations_per_query)),
        ("engine memory", megabytes(figures.engine_bytes)),
        ("  per worker", each(figures.engine_bytes)),
        ("peak memory of the process", megabytes(figures.peak_rss_bytes)),
        ("pairs examined", thousands(figures.pairs_examined)),
        ("blocking pairs", thousands(figures.blocking_pairs)),
        ("matching hash", figures.matching_hash.clone()),
    ];
    for (name, value) in rows {
        table.row([name.to_owned(), value]);
    }
    table
}

/// Bytes as megabytes of 2^20.
fn megabytes(bytes: u64) -> String {
    format!("{} MiB", thousands(bytes >> 20))
}

/// Whole milliseconds, rounded down.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn ratio(part: u64, whole: u64) -> f64 {
    // Nothing of nothing is 0, since JSON has no NaN; three decimals are more than enough.
    (part as f64 / whole.max(1) as f64 * 1_000.0).round() / 1_000.0
}

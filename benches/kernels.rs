//! The kernels under criterion: `cargo bench`. For figures of whole markets there is
//! `gale bench`; these are for comparing one change with the one before.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gale::domain::Side;
use gale::matching::lists::{Instance, Ranks, solve};
use gale::matching::{Control, Kernels, Means, PAIRS_AUDITED, Problem, certify_with, clear_with};
use gale::preferences::fit;
use std::hint::black_box;
use std::time::Duration;

#[path = "../tests/common/mod.rs"]
mod common;

use common::large::{Size, market};

/// Pairs that are evaluated in one iteration.
const PAIRS: usize = 4_096;

fn problem() -> Problem {
    market(Size { workers: 10_000, vacancies: 3_000, openings: 7_500, cities: 50 }, 1)
}

/// Workers and vacancies far apart in memory, as the engine meets them.
fn pairs(problem: &Problem) -> impl Iterator<Item = (usize, usize)> {
    let (workers, vacancies) = (problem.workers.len(), problem.vacancies.len());
    (0..PAIRS).map(move |at| (at * 7_919 % workers, at * 104_729 % vacancies))
}

/// Fit alone, and a pair in full.
fn evaluation(criterion: &mut Criterion) {
    let problem = problem();
    let terms = problem.terms();
    let mut group = criterion.benchmark_group("pair");
    group.throughput(Throughput::Elements(PAIRS as u64));
    group.bench_function("fit", |bencher| {
        bencher.iter(|| {
            let fits = pairs(&problem).map(|(w, v)| {
                let vacancy = &problem.vacancies[v].vacancy;
                fit(&*problem.workers[w].worker, &vacancy.requirements)
            });
            black_box(fits.max())
        });
    });
    group.bench_function("terms", |bencher| {
        bencher.iter(|| {
            let values = pairs(&problem).map(|(w, v)| {
                terms.pair(&problem.workers[w].worker, &problem.vacancies[v].vacancy).value
            });
            black_box(values.max())
        });
    });
    group.finish();
}

/// A whole clearing of 10,000 workers by either side, and its certificate.
fn clearing(criterion: &mut Criterion) {
    let problem = problem();
    let means = Means { threads: 1, kernels: Kernels::widest() };
    let clear = |side| {
        let cleared = clear_with(&problem, side, &Control::default(), means);
        cleared.expect("nobody cancels")
    };
    let mut group = criterion.benchmark_group("10,000 workers");
    group.bench_function("workers propose", |b| b.iter(|| clear(Side::Worker)));
    group.bench_function("vacancies propose", |b| b.iter(|| clear(Side::Vacancy)));
    let matching = clear(Side::Worker).matching;
    group.bench_function("certificate", |b| {
        b.iter(|| certify_with(&problem, &matching, &Control::default(), means, PAIRS_AUDITED));
    });
    group.finish();
}

/// Explicit lists: instance b, 10,000 workers with lists of 100.
fn lists(criterion: &mut Criterion) {
    let lists = Instance::named('b').expect("instance b exists").lists();
    let ranks = Ranks::of(&lists, 1);
    let mut group = criterion.benchmark_group("lists b");
    group.bench_function("ranks", |b| b.iter(|| Ranks::of(&lists, 1)));
    group.bench_function("solve", |b| b.iter(|| solve(&lists, &ranks)));
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = kernels; config = quick(); targets = evaluation, clearing, lists }
criterion_main!(kernels);

//! The durable journal under criterion: `cargo bench --bench journal`. Every commit is
//! synced, so the figures are the disk's as much as the journal's; the directory is made
//! in `GALE_BENCH_DIR`, or where temporary files go.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gale::domain::*;
use gale::events::{Batch, Event};
use gale::journal::snapshot::{Cover, Snapshots};
use gale::journal::sqlite::{self, Options};
use gale::journal::*;
use gale::preferences::Lottery;
use gale::state::{Capacity, Creation, Effect, State, WorkerStatus};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const SKILLS: u16 = 24;

fn market() -> (Incarnation, MarketName) {
    let name = MarketName::parse("market", "bench").expect("it is a name");
    (Incarnation(Uuid::from_u128(1)), name)
}

/// The entry of an upsert of one worker with two dozen skills.
fn upsert(revision: u64) -> Entry {
    let id = WorkerId(Uuid::from_u128(u128::from(revision)));
    let worker = Worker {
        id,
        home: CityIx(0),
        cost_percent: 100,
        skills: (0..SKILLS).map(|n| Level { skill: SkillIx(n * 5), level: 60 }).collect(),
        expected_salary: 52_000,
        reservation_salary: 47_000,
        mobility: Mobility::Any,
        ranking: None,
        deadline: None,
        labels: None,
    };
    let slot = WorkerSlot(revision as u32);
    let status = WorkerStatus::Searching;
    let told = Event::WorkerChanged { worker: id, home: CityIx(0), status, previous: None };
    entry(revision, Effect::WorkerPut { slot, worker: Arc::new(worker) }, told)
}

fn created() -> Entry {
    let (incarnation, name) = market();
    let settings = Settings::default();
    let display_name: Arc<str> = "".into();
    let told = Event::MarketChanged {
        display_name: display_name.clone(),
        settings: Arc::new(settings.clone()),
    };
    let (lottery, lottery_nonce) = (Lottery { seed: 1 }, [0; 16]);
    let creation = Creation { name, display_name, incarnation, settings, lottery, lottery_nonce };
    entry(1, Effect::Created { creation: Arc::new(creation), at: Millis(0) }, told)
}

fn entry(revision: u64, effect: Effect, told: Event) -> Entry {
    let (revision, at) = (Revision(revision), Millis(1_700_000_000_000));
    let events = Some(Arc::new(Batch { revision, at, events: [told].into() }));
    Entry { revision, at, effects: [effect].into(), events }
}

fn group(entries: Vec<Entry>) -> Group {
    let (incarnation, name) = market();
    Group { incarnation, name, record: Record::Entries(entries) }
}

/// Entries a second, by entries in a commit.
fn append(criterion: &mut Criterion) {
    let mut benches = criterion.benchmark_group("append");
    benches.measurement_time(Duration::from_secs(5)).sample_size(20);
    for count in [1, 100, 1_000] {
        let dir = match std::env::var_os("GALE_BENCH_DIR") {
            Some(dir) => tempfile::tempdir_in(dir),
            None => tempfile::tempdir(),
        };
        let dir = dir.expect("a directory can be made");
        let directory = Directory::take(dir.path()).expect("it is free");
        let mut journal = sqlite::open(directory, Options::default()).expect("it is new");
        journal.append(&[group(vec![created()])]).expect("there is room");
        let mut revision = 1;
        benches.throughput(Throughput::Elements(count));
        benches.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            let prepare = |revision: &mut u64| {
                let entries = (*revision + 1..=*revision + count).map(upsert).collect();
                *revision += count;
                [group(entries)]
            };
            bencher.iter_batched(
                || prepare(&mut revision),
                |groups| journal.append(&groups).expect("there is room"),
                criterion::BatchSize::PerIteration,
            );
        });
        drop(journal);
        report(dir.path(), revision);
    }
}

/// What an entry takes on disk, and how fast everything is verified and read again.
fn report(dir: &std::path::Path, entries: u64) {
    let stat = sqlite::stat(dir).expect("it was closed");
    let (database, payload) = (stat.file_bytes.0, stat.markets[0].bytes);
    let started = std::time::Instant::now();
    let directory = Directory::take(dir).expect("it is free");
    let journal = sqlite::open(directory, Options::default()).expect("it is whole");
    let opened = started.elapsed();
    let (mut after, mut read) = (Seq(0), 0);
    let started = std::time::Instant::now();
    loop {
        let stored = journal.reader().batches(after, 16 << 20).expect("it is whole");
        let Some(last) = stored.last() else { break };
        after = last.seq;
        read += stored.len();
    }
    println!(
        "{entries} entries in {read} batches: {} bytes an entry on disk, {} of them payload; \
         verified in {opened:.2?}, read in {:.2?}",
        database / entries,
        payload / entries,
        started.elapsed()
    );
}

/// A market of so many workers.
fn state(workers: u64) -> State {
    let (_, name) = market();
    let mut state = State::new(name, Capacity::default());
    let id = CityName::parse("city", "somewhere").expect("it is a name");
    let city = City {
        id,
        display_name: "".into(),
        region: None,
        latitude: 0.0,
        longitude: 0.0,
        cost_of_living: 1_000,
        population: 0,
        intake_cap: None,
        move_subsidy: 0,
    };
    let put =
        Effect::CityPut { ix: CityIx(0), city: Arc::new(city), km: [0].into(), cap_set: false };
    created().effects.iter().chain([&put]).for_each(|effect| state.evolve(Revision(1), effect));
    for number in 0..workers {
        upsert(number).effects.iter().for_each(|effect| state.evolve(Revision(number + 2), effect));
    }
    state
}

/// What a snapshot of a large market takes.
fn snapshot(criterion: &mut Criterion) {
    const WORKERS: u64 = 1_000_000;
    let state = state(WORKERS);
    let mut benches = criterion.benchmark_group("snapshot");
    benches.sample_size(10).throughput(Throughput::Elements(WORKERS));
    benches.bench_function("dump", |bencher| bencher.iter(|| state.dump()));
    benches.bench_function("hash", |bencher| bencher.iter(|| state.hash()));
    let dir = match std::env::var_os("GALE_BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let dir = dir.expect("a directory can be made");
    let snapshots = Snapshots::of(dir.path().into());
    let (incarnation, name) = market();
    let revision = state.view().head.revision;
    let cover = Cover { incarnation, name, revision, seq: Seq(1), at: Millis(0) };
    let mut bytes = 0;
    benches.bench_function("write", |bencher| {
        bencher.iter(|| {
            bytes = snapshots.write(&cover, &state.dump()).expect("there is room");
        });
    });
    let listed = snapshots.list(incarnation).expect("it was written");
    benches.bench_function("read", |bencher| {
        bencher.iter(|| snapshots.read(&listed[0], Capacity::default()).expect("it is whole"));
    });
    println!("{} bytes a worker", bytes / WORKERS);
}

criterion_group!(benches, append, snapshot);
criterion_main!(benches);

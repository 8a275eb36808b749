//! What time does to held matches in a market that is cleared continuously: markets in this
//! process, with a clock of the test's own.

use super::support::audit;
use super::support::draws::Random;
use super::support::world::*;
use gale::domain::*;
use gale::market::{Clock, Market, Markets};
use gale::state::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

const WORKERS: u64 = 9;
const VACANCIES: u64 = 6;

/// A clock that the test moves.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Millis {
        Millis(self.0.load(Relaxed))
    }
}

struct Place {
    market: Arc<Market>,
    clock: Arc<Hands>,
}

impl Place {
    /// A market that is cleared continuously, with three cities.
    async fn new(promise: Promise, settings: Settings) -> Self {
        let clock = Arc::new(Hands(AtomicI64::new(START)));
        let options = gale::market::Options::default();
        let markets = Arc::new(Markets::new(options, clock.clone()));
        let settings = Settings { clearing: Clearing::Continuous(promise), ..settings };
        let market = markets.create(creation(settings, 1)).await.unwrap();
        let place = Self { market, clock };
        place.ok(Command::UpsertRegions(batch([COUNTRY, PROVINCE].map(region)))).await;
        place.ok(Command::UpsertCities(batch([HOME, AWAY, ISLAND].map(city)))).await;
        place
    }

    async fn submit(&self, command: Command) -> Option<Arc<Outcome>> {
        self.market.submit(command, None, 1).await.ok()
    }

    async fn ok(&self, command: Command) -> Arc<Outcome> {
        let outcome = self.market.submit(command, None, 1).await.unwrap();
        assert_eq!(outcome.errors, []);
        outcome
    }

    async fn tick(&self, millis: i64) -> Arc<Outcome> {
        self.clock.0.fetch_add(millis, Relaxed);
        self.ok(Command::Tick(round_id(1))).await
    }

    /// Who holds or has got what.
    async fn jobs<const N: usize>(&self) -> [Option<u64>; N] {
        let view = self.market.snapshot().await.unwrap();
        std::array::from_fn(|at| {
            let held = view.worker(WorkerSlot::from_offset(at)).held?;
            Some(u64::from(held.vacancy.0) + 1)
        })
    }
}

fn ranks(n: u64, ids: &[u64]) -> WorkerSpec {
    WorkerSpec { ranking: Some(ids.iter().map(|v| vacancy_id(*v)).collect()), ..worker(n) }
}

fn wants(n: u64, ids: &[u64]) -> VacancySpec {
    VacancySpec { ranking: Some(ids.iter().map(|w| worker_id(*w)).collect()), ..vacancy(n) }
}

/// Goal: a lapse frees the opening and fills it anew in the same revision, and the chain
/// goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_lapse_refills_at_once() {
    let settings = Settings { confirmation_window_seconds: 10, ..Settings::default() };
    let place = Place::new(Promise::Stable, settings).await;
    place.ok(upsert([ranks(1, &[1]), ranks(2, &[1, 2]), ranks(3, &[2])])).await;
    place.ok(offer([wants(1, &[1, 2])])).await;
    place.clock.0.fetch_add(4_000, Relaxed);
    place.ok(offer([wants(2, &[2, 3])])).await;
    assert_eq!(place.jobs().await, [Some(1), Some(2), None]);
    let before = place.market.head().revision;
    assert_eq!(place.tick(5_999).await.revision, before, "not yet");
    let outcome = place.tick(1).await;
    assert_eq!((outcome.revision, outcome.standing), (before.next(), Standing::Stable));
    assert_eq!((outcome.displaced, outcome.improved), (0, 1), "worker 2 moved up");
    assert_eq!(place.jobs().await, [None, Some(1), Some(2)]);
    // Worker 2 got another match: her time starts anew. When it is over, she falls back.
    assert_eq!(place.tick(9_999).await.revision, before.next());
    let outcome = place.tick(1).await;
    assert_eq!((outcome.revision.0, outcome.standing), (before.0 + 2, Standing::Stable));
    assert_eq!(place.jobs().await, [None, Some(2), None]);
}

/// Goal: a match that has been held for so long is placed, and what is promised holds then
/// of the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_match_is_placed_by_time() {
    let settings = Settings { place_after_seconds: 5, ..Settings::default() };
    let place = Place::new(Promise::WorkerOptimal, settings).await;
    place.ok(offer([wants(1, &[2, 3, 1]), wants(2, &[1, 2]), wants(3, &[3])])).await;
    place.ok(upsert([ranks(3, &[1, 3])])).await;
    place.ok(upsert([ranks(1, &[1, 2]), ranks(2, &[2, 1])])).await;
    // By the slots: worker 3 stands first.
    assert_eq!(place.jobs().await, [Some(3), Some(2), Some(1)]);
    place.clock.0.fetch_add(3_000, Relaxed);
    place.ok(offer([wants(4, &[4])])).await;
    place.ok(upsert([ranks(4, &[4])])).await;
    for (wait, placed) in [(1_999, 0), (1, 3), (2_999, 0), (1, 1)] {
        let outcome = place.tick(wait).await;
        assert_eq!((outcome.placed, outcome.standing), (placed, Standing::WorkerOptimal));
        assert_eq!(place.jobs().await, [Some(3), Some(2), Some(1), Some(4)]);
    }
}

/// Goal: confirmations in one batch are of the matching as it stands. Method: with worker 3
/// placed, workers 1 and 2 would swap, but worker 1 is placed too. (The engine once let them
/// swap in between, and worker 2 lost her match.)
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_placements_is_of_one_matching() {
    let settings = Settings { confirmations: Confirmations::Either, ..Settings::default() };
    let place = Place::new(Promise::WorkerOptimal, settings).await;
    place.ok(upsert([ranks(1, &[1, 2]), ranks(2, &[2, 1]), ranks(3, &[1, 3])])).await;
    place.ok(offer([wants(1, &[2, 3, 1]), wants(2, &[1, 2]), wants(3, &[3])])).await;
    assert_eq!(place.jobs().await, [Some(2), Some(1), Some(3)]);
    let outcome = place.ok(confirm(MatchSide::Worker, [(3, 3), (1, 2)])).await;
    assert_eq!((outcome.placed, outcome.standing), (2, Standing::WorkerOptimal));
    assert_eq!(place.jobs().await, [Some(2), Some(1), Some(3)]);
    let view = place.market.snapshot().await.unwrap();
    audit::counts(&view);
    audit::standing(&view);
}

/// What one history has seen.
#[derive(Debug, Default)]
struct Seen {
    placed_by_time: u64,
    confirmed: u64,
    lapsed: u64,
}

/// Goal: whatever time and people do to held matches, the market is as promised after every
/// command. Method: random commands, batches of confirmations and ticks at which matches
/// lapse and are placed together, on small markets; every state is certified.
#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_whatever_time_does() {
    let seeds = match std::env::var("GALE_SEED") {
        Ok(seed) => seed.parse().unwrap()..=seed.parse().unwrap(),
        Err(_) => 1..=40_u64,
    };
    for promise in [Promise::Stable, Promise::WorkerOptimal] {
        let mut seen = Seen::default();
        for seed in seeds.clone() {
            history(promise, seed, &mut seen).await;
        }
        println!("{promise:?}: {seen:?}");
        assert!(seen.placed_by_time > 0 && seen.confirmed > 0 && seen.lapsed > 0);
    }
}

async fn history(promise: Promise, seed: u64, seen: &mut Seen) {
    let mut choice = Random(seed);
    let settings = Settings {
        confirmations: choice.of(&[Confirmations::Either, Confirmations::Both]),
        confirmation_window_seconds: choice.of(&[0, 4, 6]),
        place_after_seconds: choice.of(&[0, 2, 3]),
        ..Settings::default()
    };
    let place = Place::new(promise, settings).await;
    for _ in 0..60 {
        let view = place.market.snapshot().await.unwrap();
        let before: usize =
            view.workers.iter().map(|row| row.declined.as_ref().map_or(0, |d| d.len())).sum();
        let command = command(&mut choice, promise, &view);
        let (is_tick, is_confirmation) =
            (matches!(command, Command::Tick(_)), matches!(command, Command::Confirm { .. }));
        if is_tick {
            place.clock.0.fetch_add(500 * choice.below(6) as i64, Relaxed);
        }
        let Some(outcome) = place.submit(command).await else { continue };
        let view = place.market.snapshot().await.unwrap();
        let promised = match promise {
            Promise::Stable => Standing::Stable,
            Promise::WorkerOptimal => Standing::WorkerOptimal,
        };
        assert_eq!(outcome.standing, promised, "GALE_SEED={seed}");
        audit::counts(&view);
        audit::standing(&view);
        let declined: usize =
            view.workers.iter().map(|row| row.declined.as_ref().map_or(0, |d| d.len())).sum();
        if is_tick {
            seen.placed_by_time += u64::from(outcome.placed);
            seen.lapsed += (declined - before) as u64;
        }
        if is_confirmation {
            seen.confirmed += u64::from(outcome.placed);
        }
    }
}

fn command(choice: &mut Random, promise: Promise, view: &View) -> Command {
    let some = |choice: &mut Random, most: u64| 1 + choice.below(most);
    match choice.below(12) {
        0..=2 => {
            let ids: Vec<_> = (1..=VACANCIES).filter(|_| !choice.one_in(3)).collect();
            let first = choice.below(VACANCIES) as usize;
            let mut ids = ids;
            let turn = first % ids.len().max(1);
            ids.rotate_left(turn);
            reopen([ranks(some(choice, WORKERS), &ids)])
        }
        3 | 4 => {
            let mut ids: Vec<_> = (1..=WORKERS).filter(|_| !choice.one_in(4)).collect();
            let turn = choice.below(WORKERS) as usize % ids.len().max(1);
            ids.rotate_left(turn);
            let openings = choice.of(&[1, 1, 2]);
            offer([VacancySpec { openings, ..wants(some(choice, VACANCIES), &ids) }])
        }
        5 => withdraw([some(choice, WORKERS)]),
        6 | 7 => {
            let held = view.workers.iter().filter(|row| row.status == WorkerStatus::Matched);
            let held = held.filter_map(|row| {
                Some((row.worker.id, view.vacancy(row.held?.vacancy).vacancy.id))
            });
            let pairs = held.filter(|_| choice.one_in(2)).collect::<Vec<_>>();
            Command::Confirm { side: MatchSide::Worker, batch: batch(pairs) }
        }
        8 if promise == Promise::Stable => {
            let intake_cap = choice.of(&[None, Some(1), Some(2), Some(3)]);
            Command::UpsertCities(batch([CitySpec { intake_cap, ..city(HOME) }]))
        }
        _ => Command::Tick(round_id(1)),
    }
}

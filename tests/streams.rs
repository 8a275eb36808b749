//! The six promises of `Watch` (`docs/GUARANTEES.md`), over histories recorded against a
//! real server: concurrent writers, and subscribers that come and go. Each promise has a
//! checker (`streams/checkers.rs`), whose error is the promise. The corners have tests
//! of their own: trimmed history, slow and stalled subscribers, the largest events.
//!
//! `GALE_SEED=n cargo test --release --test streams` replays one storm.

#[path = "streams/checkers.rs"]
mod checkers;
#[path = "streams/sharing.rs"]
mod sharing;
#[path = "streams/storm.rs"]
mod storm;
#[path = "support/streams.rs"]
mod support;

use checkers::{Began, Reference, Session, Subscription, place_of};
use gale::proto::v1 as pb;
use prost::Message;
use std::time::Duration;
use support::{
    Clients, GUARD, Gale, MARKET, Place, at, earliest, expect_status, guarded, now, options, place,
    reason, vacancy, worker, worker_id,
};
use tonic::{Code, Status, Streaming};

/// Reads one message; the stream must not end.
async fn read(stream: &mut Streaming<pb::WatchResponse>) -> pb::WatchResponse {
    let message = guarded("a message", stream.message()).await;
    message.expect("the stream goes on").expect("the stream does not end")
}

/// Reads until the stream is complete up to `end`.
async fn read_to(stream: &mut Streaming<pb::WatchResponse>, end: Place) -> Vec<pb::WatchResponse> {
    let reading = async {
        let mut messages = vec![read(stream).await];
        while place(messages[messages.len() - 1].next.as_ref()) < end {
            messages.push(read(stream).await);
        }
        messages
    };
    guarded("the stream comes to the end of the history", reading).await
}

/// Reads until a status ends the stream, which must be before it is complete up to `end`.
async fn read_out(
    stream: &mut Streaming<pb::WatchResponse>,
    end: Place,
) -> (Vec<pb::WatchResponse>, Status) {
    let mut messages: Vec<pb::WatchResponse> = Vec::new();
    loop {
        let next = messages.last().map(|message| place(message.next.as_ref()));
        assert!(next < Some(end), "it is not cut, and says that it is complete: {next:?}");
        match guarded("a message or the end", stream.message()).await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => panic!("an endless stream ended without a reason"),
            Err(status) => return (messages, status),
        }
    }
}

async fn reference(clients: &mut Clients) -> Reference {
    let reference =
        Reference { events: clients.all_events().await, end: clients.watermark().await.1 };
    checkers::dense(&reference).unwrap();
    reference
}

fn session(began: Place, messages: Vec<pb::WatchResponse>) -> Session {
    Session { began: Began::At(began), messages }
}

/// Checks all promises for one subscriber without a filter.
fn check(sessions: Vec<Session>, reference: &Reference) {
    let subscription = Subscription { filter: pb::EventFilter::default(), sessions };
    checkers::all(&subscription, reference).unwrap_or_else(|broken| panic!("{broken}"));
}

/// `count` workers in one batch.
fn crowd(count: u64, home: &str, salary: i64) -> Vec<pb::Worker> {
    (0..count).map(|number| worker(number, home, salary)).collect()
}

/// A market with two cities.
async fn market(gale: &Gale) -> Clients {
    let mut clients = gale.clients().await;
    clients.make_market().await;
    clients.cities(&["a", "b"]).await;
    clients
}

/// Goal: a revision of 10,000 events comes in messages of at most 1 MiB, marked at the
/// last, and a stream resumes at any place inside it. Method: read it whole, then from
/// both sides of every border between messages, and from its first and last event.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_revision_comes_in_chunks() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    let large = clients.workers(crowd(10_000, "a", 50_000)).await;
    clients.workers(crowd(1, "b", 40_000)).await;
    let reference = reference(&mut clients).await;
    let count = reference.events.iter().filter(|event| place_of(event).0 == large).count();
    assert_eq!(count, 10_000, "what was acknowledged is there");

    let mut stream = clients.watch(earliest(), None).await.unwrap();
    let messages = read_to(&mut stream, reference.end).await;
    let chunks: Vec<_> = messages
        .iter()
        .filter(|m| m.events.first().is_some_and(|e| place_of(e).0 == large))
        .collect();
    assert!(chunks.len() > 1, "one message has it all");
    let lasts: Vec<bool> = chunks.iter().map(|chunk| chunk.last_in_revision).collect();
    assert_eq!(lasts.iter().filter(|last| **last).count(), 1, "{lasts:?}");
    assert_eq!(lasts.last(), Some(&true));
    let mut starts = vec![(large, 0), (large, 9_999)];
    for chunk in &chunks[..chunks.len() - 1] {
        let (revision, index) = place(chunk.next.as_ref());
        starts.extend([(revision, index - 1), (revision, index), (revision, index + 1)]);
    }
    check(vec![session((1, 0), messages)], &reference);
    for start in starts {
        let mut stream = clients.watch(at(start), None).await.unwrap();
        let messages = read_to(&mut stream, reference.end).await;
        let first = messages.iter().flat_map(|m| &m.events).next().map(place_of);
        assert_eq!(first, Some(start), "{}", checkers::RESUMABLE);
        check(vec![session(start, messages)], &reference);
    }
}

/// Goal: a stream and a list start where the API says, and nowhere else. Method: every
/// kind of start around the borders of a short history.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_stream_may_start() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    clients.workers(crowd(3, "a", 50_000)).await;
    let (oldest, newest) = clients.watermark().await;
    assert_eq!((oldest, newest), ((1, 0), (4, 0)), "market, cities, workers");
    let reference = reference(&mut clients).await;

    let mut stream = clients.watch(earliest(), None).await.unwrap();
    check(vec![session(oldest, read_to(&mut stream, newest).await)], &reference);

    // After the newest event, said in three ways; then one more event.
    let mut caught_up = Vec::new();
    for start in [now(), at((4, 0)), at((3, 3))] {
        caught_up.push(clients.watch(start, None).await.unwrap());
    }
    let revision = clients.workers(crowd(1, "b", 40_000)).await;
    for stream in &mut caught_up {
        let mut message = read(stream).await;
        while message.checkpoint {
            assert_eq!(place(message.next.as_ref()), newest);
            message = read(stream).await;
        }
        assert_eq!(place_of(&message.events[0]), (revision, 0), "{}", checkers::RESUMABLE);
    }

    // Beyond the newest event, in another revision or in the same.
    let end = clients.watermark().await.1;
    for beyond in [(end.0, 1), (end.0 + 1, 0), (u64::MAX, 0), (u64::MAX, u32::MAX), (3, 4)] {
        let status = clients.watch(at(beyond), None).await.unwrap_err();
        let carried = expect_status(&status, Code::OutOfRange, "POSITION_IN_FUTURE");
        assert_eq!(carried, Some(end), "the end is named");
        let status = list_from(&mut clients, beyond).await.unwrap_err();
        expect_status(&status, Code::OutOfRange, "POSITION_IN_FUTURE");
    }
    // Before the first.
    let status = clients.watch(at((0, 0)), None).await.unwrap_err();
    assert_eq!(expect_status(&status, Code::OutOfRange, "POSITION_TRIMMED"), Some(oldest));

    // Nowhere.
    let request = pb::WatchRequest { market: MARKET.into(), ..Default::default() };
    let status = clients.event.watch(request).await.unwrap_err();
    expect_status(&status, Code::InvalidArgument, "INVALID_FIELD");
}

async fn list_from(clients: &mut Clients, from: Place) -> Result<pb::ListEventsResponse, Status> {
    let start = pb::Position { incarnation: String::new(), revision: from.0, index: from.1 };
    let request =
        pb::ListEventsRequest { market: MARKET.into(), start: Some(start), ..Default::default() };
    clients.event.list_events(request).await.map(tonic::Response::into_inner)
}

/// Goal: a position is of one creation of a market. Method: delete the market under a
/// stream, make it anew, and resume.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_incarnation_is_refused() {
    let gale = Gale::start(options()).await;
    let mut clients = gale.clients().await;
    let first = clients.make_market().await;
    let mut stream = clients.watch(earliest(), None).await.unwrap();
    let position = read(&mut stream).await.next.unwrap();
    assert_eq!(position.incarnation, first.incarnation);

    let request = pb::DeleteMarketRequest { market: MARKET.into(), ..Default::default() };
    clients.market.delete_market(request).await.unwrap();
    let (_, status) = read_out(&mut stream, (u64::MAX, 0)).await;
    let carried = expect_status(&status, Code::NotFound, "MARKET_NOT_FOUND");
    assert_eq!(carried, Some(place(Some(&position))), "its last position");

    let second = clients.make_market().await;
    assert_ne!(first.incarnation, second.incarnation);
    let resume = pb::watch_request::Start::Position(position.clone());
    let status = clients.watch(resume, None).await.unwrap_err();
    expect_status(&status, Code::FailedPrecondition, "INCARNATION_MISMATCH");
    assert_eq!(reason(&status).1["incarnation"], second.incarnation);
    let request = pb::ListEventsRequest {
        market: MARKET.into(),
        start: Some(position),
        ..Default::default()
    };
    let status = clients.event.list_events(request).await.unwrap_err();
    expect_status(&status, Code::FailedPrecondition, "INCARNATION_MISMATCH");
}

/// A history that holds two or three batches of 10,000 workers.
const SMALL_HISTORY_BYTES: usize = 3 << 20;

/// Goal: a stream may start exactly where the retained history does, and not one event
/// before. Method: write until history is trimmed, then start on both sides.
#[tokio::test(flavor = "multi_thread")]
async fn history_is_trimmed_at_a_clear_border() {
    let gale =
        Gale::start(gale::server::Options { history_bytes_max: SMALL_HISTORY_BYTES, ..options() })
            .await;
    let mut clients = market(&gale).await;
    let mut salary = 50_000;
    while clients.watermark().await.0 < (3, 0) {
        salary += 1;
        clients.workers(crowd(5_000, "a", salary)).await;
    }
    let (oldest, newest) = clients.watermark().await;
    assert!(oldest < newest, "something is retained");
    let mut from_oldest = clients.watch(at(oldest), None).await.unwrap();
    let mut from_earliest = clients.watch(earliest(), None).await.unwrap();
    let expected = clients.all_events().await;
    assert_eq!(place_of(&expected[0]), oldest);
    for stream in [&mut from_oldest, &mut from_earliest] {
        let messages = read_to(stream, newest).await;
        let events: Vec<_> = messages.into_iter().flat_map(|message| message.events).collect();
        assert!(events == expected, "{}", checkers::RELIABLE);
    }
    assert_eq!(list_from(&mut clients, oldest).await.unwrap().events[0], expected[0]);

    for before in [(oldest.0 - 1, 0), (oldest.0 - 1, 4_999), (oldest.0 - 1, 5_000), (1, 0)] {
        let status = clients.watch(at(before), None).await.unwrap_err();
        let carried = expect_status(&status, Code::OutOfRange, "POSITION_TRIMMED");
        assert_eq!(carried, Some(oldest), "the oldest position is named");
        let status = list_from(&mut clients, before).await.unwrap_err();
        assert_eq!(expect_status(&status, Code::OutOfRange, "POSITION_TRIMMED"), Some(oldest));
    }
}

/// Goal: who falls behind the retained history is told so, and misses nothing unaware.
/// Method: a client that does not read while a small history is written over.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_behind_the_history_is_cut() {
    let gale =
        Gale::start(gale::server::Options { history_bytes_max: SMALL_HISTORY_BYTES, ..options() })
            .await;
    let mut clients = market(&gale).await;
    let mut slow = Clients::over(gale.narrow_channel().await);
    let mut stream = slow.watch(earliest(), None).await.unwrap();
    read_to(&mut stream, (3, 0)).await;
    for salary in 1..=12 {
        clients.workers(crowd(10_000, "a", 50_000 + salary)).await;
    }
    let (oldest, newest) = clients.watermark().await;
    let (messages, status) = read_out(&mut stream, newest).await;
    let carried = expect_status(&status, Code::OutOfRange, "POSITION_TRIMMED");
    assert_eq!(carried, Some(oldest), "where history starts now");
    // What came before the cut has no gap.
    let mut due = (3, 0);
    for event in messages.iter().flat_map(|message| &message.events) {
        assert_eq!(place_of(event), due, "{}", checkers::RELIABLE);
        due = if due.1 == 9_999 { (due.0 + 1, 0) } else { (due.0, due.1 + 1) };
    }
    assert!(due < oldest, "it was behind");
    let mut stream = slow.watch(at(oldest), None).await.unwrap();
    assert_eq!(place_of(&read(&mut stream).await.events[0]), oldest, "and goes on from there");
}

/// Goal: a client that stops reading is cut, with its last position, and nobody else
/// notices. Method: two subscribers are allowed and one does not read; a third is let in
/// once it is cut. Then the first reads what was under way, and resumes without a gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_subscriber_is_cut_alone() {
    let gale = Gale::start(gale::server::Options {
        subscriber_stall: Duration::from_millis(300),
        subscribers_per_market_max: 2,
        ..options()
    })
    .await;
    let mut clients = market(&gale).await;
    let mut stalled = Clients::over(gale.narrow_channel().await);
    let mut stream = stalled.watch(earliest(), None).await.unwrap();
    let mut other = clients.watch(earliest(), None).await.unwrap();
    for salary in 1..=4 {
        clients.workers(crowd(10_000, "a", 50_000 + salary)).await;
    }
    let reference = reference(&mut clients).await;
    check(vec![session((1, 0), read_to(&mut other, reference.end).await)], &reference);
    // Until the stalled one is cut there is no place for a third.
    let third = async {
        loop {
            match clients.watch(now(), None).await {
                Ok(stream) => return stream,
                Err(status) => {
                    assert_eq!(reason(&status).0, "LIMIT_REACHED", "{status:?}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    };
    let third = guarded("the stalled subscriber gives up its place", third).await;
    let (messages, status) = read_out(&mut stream, reference.end).await;
    let carried = expect_status(&status, Code::ResourceExhausted, "SUBSCRIBER_STALLED");
    let first = session((1, 0), messages);
    assert_eq!(carried, first.next(), "the position after the last message that came");
    drop((third, other));
    let resume = carried.unwrap();
    let resumed = async {
        loop {
            match stalled.watch(at(resume), None).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let mut stream = guarded("a place is free again", resumed).await;
    let second = session(resume, read_to(&mut stream, reference.end).await);
    check(vec![first, second], &reference);
}

/// Goal: a filtered stream learns how far it is, idle or busy, and a checkpoint is as
/// good a place to resume as any. Method: thousands of revisions of which two concern
/// the subscriber, then one more after it has resumed at a checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_stream_gets_checkpoints() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    let mine = 1_000_000;
    clients.workers(vec![worker(mine, "a", 1)]).await;
    for salary in 1..=2_500 {
        clients.workers(crowd(1, "a", salary)).await;
    }
    clients.workers(vec![worker(mine, "a", 2)]).await;
    let filter = pb::EventFilter { worker_ids: vec![worker_id(mine)], ..Default::default() };
    let end = clients.watermark().await.1;

    let mut stream = clients.watch(earliest(), Some(filter.clone())).await.unwrap();
    let mut messages = read_to(&mut stream, end).await;
    assert!(messages.iter().any(|message| message.checkpoint), "it is told how far it is");
    // Idle: others are busy, and the checkpoints move on.
    let end = (clients.workers(crowd(1, "b", 1)).await + 1, 0);
    messages.extend(read_to(&mut stream, end).await);
    assert!(messages.last().is_some_and(|message| message.checkpoint), "a checkpoint moves on");
    drop(stream);
    let first = session((1, 0), messages);
    let resume = first.next().unwrap();
    let end = (clients.workers(vec![worker(mine, "a", 3)]).await + 1, 0);
    let mut stream = clients.watch(at(resume), Some(filter.clone())).await.unwrap();
    let second = session(resume, read_to(&mut stream, end).await);
    assert_eq!(second.messages.iter().flat_map(|message| &message.events).count(), 1);
    let subscription = Subscription { filter, sessions: vec![first, second] };
    checkers::all(&subscription, &reference(&mut clients).await).unwrap_or_else(|e| panic!("{e}"));
}

/// Goal: the watermark is the place from which nothing is missed. Method: compare with
/// every write's revision.
#[tokio::test(flavor = "multi_thread")]
async fn the_watermark_follows_every_write() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    for salary in 1..50 {
        let revision = clients.workers(crowd(2, "a", salary)).await;
        assert_eq!(clients.watermark().await, ((1, 0), (revision + 1, 0)));
    }
    let request = pb::GetWatermarkRequest { market: "nobody".into() };
    let status = clients.event.get_watermark(request).await.unwrap_err();
    expect_status(&status, Code::NotFound, "MARKET_NOT_FOUND");
}

/// Goal: a filter for a city delivers what leaves it and what arrives. Method: one match
/// from a to b, seen from both.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_seen_from_both_cities() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    clients.workers(vec![worker(1, "a", 50_000)]).await;
    clients.vacancies(vec![vacancy(1, "b", 1, 60_000)]).await;
    let round = clients.clear().await;
    assert_eq!(round.summary.unwrap().moved, 1);
    for city in ["a", "b"] {
        let filter = pb::EventFilter {
            kinds: vec![pb::EventKind::Matched as i32, pb::EventKind::MigrationPlanned as i32],
            cities: vec![city.into()],
            ..Default::default()
        };
        let mut stream = clients.watch(earliest(), Some(filter)).await.unwrap();
        let kinds: Vec<_> = read(&mut stream).await.events.iter().map(pb::Event::kind).collect();
        assert_eq!(kinds, [pb::EventKind::Matched, pb::EventKind::MigrationPlanned], "{city}");
    }
}

/// Goal: a subscriber that lags is told of cities that were added while it lagged.
/// Method: it does not read, its filter passes over the event of the new city, and then
/// comes an event that names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_knows_new_cities() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    for salary in 1..=4 {
        clients.workers(crowd(10_000, "a", 50_000 + salary)).await;
    }
    clients.cities(&["between"]).await;
    let filter =
        pb::EventFilter { kinds: vec![pb::EventKind::WorkerChanged as i32], ..Default::default() };
    let mut slow = Clients::over(gale.narrow_channel().await);
    let mut stream = slow.watch(earliest(), Some(filter.clone())).await.unwrap();
    clients.cities(&["new"]).await;
    let revision = clients.workers(vec![worker(77_777, "new", 50_000)]).await;
    let messages = read_to(&mut stream, (revision + 1, 0)).await;
    let subscription = Subscription { filter, sessions: vec![session((1, 0), messages)] };
    checkers::all(&subscription, &reference(&mut clients).await).unwrap_or_else(|e| panic!("{e}"));
}

/// Goal: even the largest events fit, as many as a message may hold. Method: everything
/// at its limit (names, texts, numbers), in revisions of thousands of events of every
/// kind that comes by the thousand.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_events_fit() {
    const MANY: usize = 1_600;
    let gale = Gale::start(options()).await;
    let mut clients = gale.clients().await;
    clients.make_market().await;
    let name = |i: usize| format!("{i:-<64}");
    let region = pb::Region {
        id: name(0),
        display_name: "ü".repeat(100),
        parent: String::new(),
        intake_cap: Some(1_000_000_000),
    };
    let request = pb::UpsertRegionsRequest {
        market: MARKET.into(),
        regions: vec![region],
        ..Default::default()
    };
    clients.market.upsert_regions(request).await.unwrap();
    let city = |i: usize| pb::City {
        id: name(i),
        display_name: "ü".repeat(100),
        region: name(0),
        latitude: -89.999_999 + i as f64 / 100.0,
        longitude: -179.999_999,
        cost_of_living: Some(1_000_000),
        population: 10_000_000_000,
        intake_cap: Some(1_000_000_000),
        move_subsidy: 1_000_000_000_000,
    };
    let request = pb::UpsertCitiesRequest {
        market: MARKET.into(),
        cities: (0..MANY).map(city).collect(),
        ..Default::default()
    };
    let reply = clients.market.upsert_cities(request).await.unwrap().into_inner();
    assert!(reply.errors.is_empty(), "{:?}", reply.errors);
    let cost = |i: usize| pb::MoveCost {
        origin: name(i),
        destination: name((i + 1) % MANY),
        cost: Some(1_000_000_000_000),
        subsidy: 1_000_000_000_000,
    };
    let request = pb::SetMoveCostsRequest {
        market: MARKET.into(),
        move_costs: (0..MANY).map(cost).collect(),
        ..Default::default()
    };
    clients.market.set_move_costs(request).await.unwrap();
    // Everybody moves, as far as possible.
    let workers = (0..MANY as u64).map(|n| worker(n, &name(0), 1)).collect();
    clients.workers(workers).await;
    clients.vacancies(vec![vacancy(1, &name(MANY - 1), 1_000_000, 1_000_000_000_000)]).await;
    clients.clear().await;

    let reference = reference(&mut clients).await;
    let largest = reference.events.iter().map(Message::encoded_len).max();
    let mut stream = clients.watch(earliest(), None).await.unwrap();
    let messages = read_to(&mut stream, reference.end).await;
    let kinds: std::collections::BTreeSet<_> = messages
        .iter()
        .filter(|message| !message.last_in_revision)
        .flat_map(|message| message.events.iter().map(pb::Event::kind))
        .collect();
    for kind in [
        pb::EventKind::CityChanged,
        pb::EventKind::MoveCostChanged,
        pb::EventKind::WorkerChanged,
        pb::EventKind::Matched,
        pb::EventKind::MigrationPlanned,
    ] {
        assert!(kinds.contains(&kind), "{kind:?} filled a message");
    }
    let fullest = messages.iter().map(Message::encoded_len).max();
    println!("largest event {largest:?} bytes, largest message {fullest:?} bytes");
    check(vec![session((1, 0), messages)], &reference);
    // A message has as many events as fit for the largest of them, whatever the mixture.
    let most = 1_500 * (largest.unwrap() + 4) + 64;
    assert!(most <= 1 << 20, "{}", checkers::ATOMIC);
}

/// Goal: all six promises, for all kinds of subscribers, while everybody writes.
/// Method: `streams/storm.rs`; one history per seed, all checkers over it.
#[tokio::test(flavor = "multi_thread")]
async fn the_promises_hold_in_a_storm() {
    let seeds: Vec<u64> = match std::env::var("GALE_SEED") {
        Ok(seed) => vec![seed.parse().expect("GALE_SEED is a number")],
        Err(_) => (1..=6).collect(),
    };
    for seed in seeds {
        let storm = tokio::spawn(storm::run(seed));
        match tokio::time::timeout(4 * GUARD, storm).await {
            Ok(Ok(Ok(figures))) => println!("GALE_SEED={seed}: {figures:?}"),
            Ok(Ok(Err(broken))) => panic!("GALE_SEED={seed}: {broken}"),
            Ok(Err(error)) => panic!("GALE_SEED={seed}: {error}"),
            Err(_) => panic!("GALE_SEED={seed}: the storm does not end"),
        }
    }
}

//! A server that is started again on its data directory: what was acknowledged is there,
//! streams go on, and what was asked under a name is not done twice.

mod support;

use gale::domain::Millis;
use gale::journal::snapshot::Snapshots;
use gale::journal::{Directory, Group, Journal, Record, Seq, sqlite};
use gale::proto::v1 as pb;
use gale::server::{Data, Options};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::server::*;
use tokio_stream::StreamExt;
use tonic::Code;

/// A server on that directory, with little history in memory and many snapshots.
fn kept(directory: &Path) -> Options {
    let data = Data { snapshot_effects: 40, ..Data::in_directory(directory) };
    Options { data: Some(data), history_bytes_max: 4_000, ..options() }
}

async fn matches(server: &mut Server) -> Vec<(String, String)> {
    let request = pb::ListMatchesRequest { market: MARKET.into(), ..Default::default() };
    let reply = server.api.matching.list_matches(request).await.unwrap().into_inner();
    reply.matches.into_iter().map(|found| (found.worker_id, found.vacancy_id)).collect()
}

async fn status(server: &mut Server) -> (String, pb::MarketStatus) {
    let request = pb::GetMarketRequest { market: MARKET.into(), at_least_revision: 0 };
    let market = server.api.market.get_market(request).await.unwrap().into_inner().market.unwrap();
    (market.incarnation, market.status.unwrap())
}

/// All events from a position on, up to the revision `end`, as (revision, index) and kind.
async fn events(server: &mut Server, start: pb::watch_request::Start, end: u64) -> Vec<pb::Event> {
    let request =
        pb::WatchRequest { market: MARKET.into(), start: Some(start), ..Default::default() };
    let mut stream = server.api.event.watch(request).await.unwrap().into_inner();
    let mut events: Vec<pb::Event> = Vec::new();
    loop {
        let message = stream.next().await.unwrap().unwrap();
        let last = message.last_in_revision.then(|| message.next.unwrap().revision);
        events.extend(message.events);
        if last == Some(end + 1) {
            return events;
        }
    }
}

fn earliest() -> pb::watch_request::Start {
    pb::watch_request::Start::Earliest(pb::EarliestStart {})
}

/// Goal: state, matching, revision, incarnation and lottery go on after a restart, the whole
/// history is streamed as before, most of it from the journal, and a retry is not a second
/// command. Method: a market with a round, four starts on one directory, all compared.
#[tokio::test(flavor = "multi_thread")]
async fn a_market_outlives_its_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::with_market(kept(dir.path())).await;
    for number in 0..120 {
        server.workers(vec![worker(number)]).await;
        server.vacancies(vec![vacancy(number)]).await;
    }
    let request_id = uuid::Uuid::from_u128(7).to_string();
    let named = || pb::UpsertWorkersRequest {
        request_id: request_id.clone(),
        ..upsert_workers(vec![worker(500)])
    };
    let first = server.api.pool.upsert_workers(named()).await.unwrap().into_inner();
    let round = pb::StartRoundRequest { market: MARKET.into(), wait: true, ..Default::default() };
    let round = server.api.matching.start_round(round).await.unwrap().into_inner().round.unwrap();
    let before = (status(&mut server).await, matches(&mut server).await);
    let end = before.0.1.revision;
    let told = events(&mut server, earliest(), end).await;
    assert!(before.1.len() > 50 && told.len() > 300, "there is something to lose");
    for start in 0..3 {
        server.stop().await;
        server = Server::start(kept(dir.path())).await;
        let after = (status(&mut server).await, matches(&mut server).await);
        assert_eq!(after, before, "start {start}");
        assert_eq!(events(&mut server, earliest(), end).await, told, "start {start}");
        let middle = told[told.len() / 2].position.clone().unwrap();
        let rest = events(&mut server, pb::watch_request::Start::Position(middle), end).await;
        assert_eq!(rest, told[told.len() / 2..], "start {start}");
        let again = server.api.pool.upsert_workers(named()).await.unwrap().into_inner();
        assert_eq!((again.revision, again.errors), (first.revision, vec![]));
        let request = pb::GetRoundRequest { market: MARKET.into(), round_id: round.id.clone() };
        let kept = server.api.matching.get_round(request).await.unwrap().into_inner();
        assert_eq!(kept.round.unwrap(), round);
    }
    let revision = server.workers(vec![worker(900)]).await;
    assert_eq!(revision, end + 1, "it goes on where it was");
    server.stop().await;
}

/// Goal: a deleted market stays deleted, and its name is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_market_stays_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::with_market(kept(dir.path())).await;
    let (incarnation, _) = status(&mut server).await;
    let request = pb::DeleteMarketRequest { market: MARKET.into(), ..Default::default() };
    server.api.market.delete_market(request).await.unwrap();
    server.stop().await;
    let mut server = Server::start(kept(dir.path())).await;
    let request = pb::GetMarketRequest { market: MARKET.into(), at_least_revision: 0 };
    let answer = server.api.market.get_market(request).await;
    refused_as(answer, Code::NotFound, "MARKET_NOT_FOUND", "market");
    server.make(market(MARKET)).await;
    assert_ne!(status(&mut server).await.0, incarnation);
    server.stop().await;
}

/// Goal: a round that a restart interrupts is cancelled, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_round_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::with_market(kept(dir.path())).await;
    server.workers((0..2_000).map(worker).collect()).await;
    server.vacancies((0..2_000).map(vacancy).collect()).await;
    let round = pb::StartRoundRequest { market: MARKET.into(), ..Default::default() };
    let started = server.api.matching.start_round(round).await.unwrap().into_inner();
    server.stop().await;
    let mut server = Server::start(kept(dir.path())).await;
    let round_id = started.round.unwrap().id;
    let request = || pb::GetRoundRequest { market: MARKET.into(), round_id: round_id.clone() };
    let state = loop {
        let reply = server.api.matching.get_round(request()).await.unwrap().into_inner();
        let state = reply.round.unwrap().state();
        if state != pb::RoundState::Running {
            break state;
        }
        tokio::task::yield_now().await;
    };
    // It may have ended in time.
    assert!([pb::RoundState::Cancelled, pb::RoundState::Cleared].contains(&state), "{state:?}");
    server.stop().await;
}

/// Goal: a backup made while a server writes is whole, and a server on it has all that was
/// acknowledged before. Method: writes go on during several backups; one is restored.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::with_market(kept(dir.path())).await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (mut api, done) = (server.api.clone(), done.clone());
        async move {
            let mut number = 1_000;
            while !done.load(Ordering::Relaxed) {
                api.pool.upsert_workers(upsert_workers(vec![worker(number)])).await.unwrap();
                number += 1;
            }
        }
    });
    let backups = tempfile::tempdir().unwrap();
    let to = |number: u64| backups.path().join(number.to_string());
    let mut known = 0;
    for number in 0..3 {
        known = server.workers(vec![worker(number)]).await;
        let (from, to) = (dir.path().to_owned(), to(number));
        let report = tokio::task::spawn_blocking(move || sqlite::backup(&from, &to));
        let report = report.await.unwrap().unwrap();
        assert!(report.markets[0].newest.0 >= known);
    }
    let told = events(&mut server, earliest(), known).await;
    done.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    server.stop().await;
    let refused = sqlite::backup(dir.path(), &to(0)).unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    let mut restored = Server::start(kept(&to(2))).await;
    assert!(status(&mut restored).await.1.revision >= known);
    assert_eq!(events(&mut restored, earliest(), known).await, told);
    restored.workers(vec![worker(2_000_000)]).await;
    restored.stop().await;
}

/// Goal: what a process leaves half done when it is killed does not stay for ever. Method: a
/// deletion that is durable, whose snapshots and batches are still there, and a file of half a
/// snapshot; then a start.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_half_done_is_cleared_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::with_market(kept(dir.path())).await;
    server.workers((1..=100).map(worker).collect()).await;
    let market = server.markets.get(MARKET).unwrap();
    let (incarnation, name) = (market.incarnation(), market.name().clone());
    drop(market);
    server.stop().await;
    let directory = Directory::take(dir.path()).unwrap();
    let snapshots = Snapshots::of(directory.snapshots());
    assert!(!snapshots.list(incarnation).unwrap().is_empty(), "there are snapshots");
    let half = directory.snapshots().join("half.partial");
    std::fs::write(&half, b"half").unwrap();
    let mut journal = sqlite::open(directory, sqlite::Options::default()).unwrap();
    let record = Record::Deleted(Millis(i64::MAX >> 8));
    journal.append(&[Group { incarnation, name, record }]).unwrap();
    drop(journal);

    Server::start(kept(dir.path())).await.stop().await;
    assert!(!half.exists());
    assert_eq!(snapshots.list(incarnation).unwrap(), []);
    let journal =
        sqlite::open(Directory::take(dir.path()).unwrap(), sqlite::Options::default()).unwrap();
    let left = journal.reader().batches(Seq(0), u64::MAX).unwrap();
    assert!(left.is_empty(), "{} batches are left", left.len());
}

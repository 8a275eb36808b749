//! A journal that takes nothing for a while.

use super::support::server::*;
use gale::events::Retention;
use gale::journal::snapshot::Snapshots;
use gale::journal::{Disk, Fault, Memory};
use gale::market::{Keeping, Markets, Scribe, SystemClock};
use gale::proto::v1 as pb;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio_stream::StreamExt;
use tonic::{Code, Streaming};

async fn watch(server: &mut Server) -> Streaming<pb::WatchResponse> {
    let start = pb::watch_request::Start::Earliest(pb::EarliestStart {});
    let request =
        pb::WatchRequest { market: MARKET.into(), start: Some(start), ..Default::default() };
    server.api.event.watch(request).await.unwrap().into_inner()
}

async fn revision_of(server: &mut Server) -> u64 {
    let request = pb::GetMarketRequest { market: MARKET.into(), ..Default::default() };
    server.api.market.get_market(request).await.unwrap().into_inner().revision
}

/// Workers in a list, which is read from a snapshot.
async fn listed(server: &mut Server) -> usize {
    let request = pb::ListWorkersRequest { market: MARKET.into(), ..Default::default() };
    server.api.pool.list_workers(request).await.unwrap().into_inner().workers.len()
}

/// Goal: what cannot be kept is refused with the reason, what is durable is read and streamed
/// all the while, and once the journal goes on so do writes; what was refused and then kept
/// all the same is there once.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_fails() {
    let fails = Arc::new(AtomicU8::new(0));
    let watched = fails.clone();
    let faults = move |_| match watched.load(Ordering::Relaxed) {
        0 => Fault::None,
        1 => Fault::Full,
        _ => Fault::Failed,
    };
    let journal = Memory::with_faults(&Disk::default(), faults).unwrap();
    let snapshots = tempfile::tempdir().unwrap();
    let keeping = Keeping::new(
        Scribe::start(Box::new(journal)).unwrap(),
        Snapshots::of(snapshots.path().into()),
        Retention::default(),
        1_000,
    );
    let markets = Markets::kept(Default::default(), Arc::new(SystemClock), Arc::new(keeping));
    let mut server = Server::of(Arc::new(markets)).await;
    server.make(market(MARKET)).await;
    server.cities(["a"].map(city)).await;
    server.workers(vec![worker(1)]).await;
    let mut stream = watch(&mut server).await;
    let (mut revision, mut number) = (3, 2);
    for (fault, code, reason) in
        [(1, Code::ResourceExhausted, "JOURNAL_FULL"), (2, Code::Unavailable, "JOURNAL_FAILED")]
    {
        fails.store(fault, Ordering::Relaxed);
        let request_id = uuid::Uuid::from_u128(u128::from(fault)).to_string();
        let request = || pb::UpsertWorkersRequest {
            request_id: request_id.clone(),
            ..upsert_workers(vec![worker(number)])
        };
        // The first was under way before anybody knew; the second is not begun.
        for _ in 0..2 {
            let refused = server.api.pool.upsert_workers(request()).await;
            refused_as(refused, code, reason, "");
        }
        assert_eq!(revision_of(&mut server).await, revision, "nothing of it is to be seen");
        assert_eq!(listed(&mut server).await, number as usize - 1);
        fails.store(0, Ordering::Relaxed);
        let kept = loop {
            match server.api.pool.upsert_workers(request()).await {
                Ok(reply) => break reply.into_inner().revision,
                Err(status) => assert_eq!(status.code(), code),
            }
        };
        revision += 1;
        assert_eq!(kept, revision, "it is kept once");
        number += 1;
    }
    let mut next = 1;
    while next <= revision {
        let message = stream.next().await.unwrap().unwrap();
        for event in message.events {
            assert_eq!(event.position.unwrap().revision, next, "no gap, nothing twice");
        }
        next += u64::from(message.last_in_revision);
    }
}

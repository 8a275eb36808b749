//! Subscribers who are told the same events are sent the same bytes, which are encoded once
//! for all of them. What they are promised does not change by it.

use super::*;
use tokio::task::JoinSet;

/// Who subscribes with each filter at each start.
const AUDIENCE: usize = 3;

fn filters() -> Vec<pb::EventFilter> {
    let city = |name: &str| pb::EventFilter { cities: vec![name.into()], ..Default::default() };
    let workers = (0..500).map(|number| worker_id(2 * number)).collect();
    vec![
        pb::EventFilter::default(),
        city("a"),
        city("b"),
        pb::EventFilter { kinds: vec![pb::EventKind::CityChanged as i32], ..Default::default() },
        pb::EventFilter { worker_ids: workers, ..Default::default() },
    ]
}

/// Subscribes with every filter, several times each.
async fn subscribe(
    clients: &mut Clients,
    start: Place,
) -> Vec<(pb::EventFilter, Streaming<pb::WatchResponse>)> {
    let mut streams = Vec::new();
    for filter in filters() {
        for _ in 0..AUDIENCE {
            let stream = clients.watch(at(start), Some(filter.clone())).await.unwrap();
            streams.push((filter.clone(), stream));
        }
    }
    streams
}

/// Reads all streams at once, and holds each against what its filter lets through.
async fn check_all(
    streams: Vec<(pb::EventFilter, Streaming<pb::WatchResponse>)>,
    start: Place,
    reference: &Reference,
) {
    let (mut reading, end) = (JoinSet::new(), reference.end);
    for (filter, mut stream) in streams {
        reading.spawn(async move { (filter, read_to(&mut stream, end).await) });
    }
    while let Some(read) = reading.join_next().await {
        let (filter, messages) = read.unwrap();
        let subscription = Subscription { filter, sessions: vec![session(start, messages)] };
        checkers::all(&subscription, reference).unwrap_or_else(|broken| panic!("{broken}"));
    }
}

/// Goal: who shares messages with others is told what their own filter lets through, all of
/// it and nothing else. Method: several subscribers with each of several filters, while small
/// revisions and such of many messages are written; then again over the history, from places
/// inside a large revision.
#[tokio::test(flavor = "multi_thread")]
async fn who_shares_messages_is_told_what_they_asked_for() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    // On a connection of its own: what is not read yet must not hold up the writer.
    let mut others = gale.clients().await;
    let live = subscribe(&mut others, (1, 0)).await;
    let mut large = 0;
    for salary in 1..=3 {
        large = clients.workers(crowd(4_000, "a", 50_000 + salary)).await;
        clients.workers(crowd(40, "b", 40_000 + salary)).await;
        clients.cities(&["a", &format!("c{salary}")]).await;
    }
    let reference = reference(&mut clients).await;
    check_all(live, (1, 0), &reference).await;
    for start in [(1, 0), (large, 0), (large, 1), (large, 1_500), (large + 1, 0)] {
        let streams = subscribe(&mut others, start).await;
        check_all(streams, start, &reference).await;
    }
}

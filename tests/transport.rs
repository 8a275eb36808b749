//! The transport: what tonic leaves open, closed, one test each. Deadlines, message
//! sizes, connections, stopping, and what tools of others expect of a gRPC server.

#[path = "support/raw.rs"]
mod raw;
#[path = "support/streams.rs"]
mod support;

use gale::proto::v1 as pb;
use gale::server::Options;
use prost::Message;
use raw::{Connection, Reply};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{
    Clients, Gale, MARKET, earliest, expect_status, guarded, options, place, reason, vacancy,
    worker, worker_id,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// All services that the server names in health and reflection.
const SERVICES: [&str; 5] = [
    "gale.v1.MarketService",
    "gale.v1.PoolService",
    "gale.v1.MatchingService",
    "gale.v1.EventService",
    "gale.v1.PlanningService",
];

/// The largest message either way.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

async fn market(gale: &Gale) -> Clients {
    let mut clients = gale.clients().await;
    clients.make_market().await;
    clients.cities(&["a", "b"]).await;
    clients
}

/// A market that takes some time to clear and to verify: all want the same, so that
/// most are turned away often.
async fn large_market(gale: &Gale) -> Clients {
    let mut clients = market(gale).await;
    for batch in 0..3 {
        let workers = batch * 10_000..(batch + 1) * 10_000;
        let workers = workers.map(|n| worker(n, "a", 30_000 + (n as i64 * 7_919) % 30_000));
        clients.workers(workers.collect()).await;
    }
    let vacancies = (0..5_000).map(|n| vacancy(n, "b", 2, 30_000 + (n as i64 * 6_007) % 40_000));
    clients.vacancies(vacancies.collect()).await;
    clients
}

fn watch_request() -> pb::WatchRequest {
    pb::WatchRequest { market: MARKET.into(), start: Some(earliest()), ..Default::default() }
}

const GET_MARKET: &str = "/gale.v1.MarketService/GetMarket";
const WATCH: &str = "/gale.v1.EventService/Watch";
const IMPORT: &str = "/gale.v1.PoolService/ImportWorkers";

// Deadlines

/// Goal: a unary call past its `grpc-timeout` answers DEADLINE_EXCEEDED; tonic's own
/// answer is CANCELLED. Method: many calls whose request never comes to its end, with
/// deadlines of all lengths, at once, so that the timers race.
#[tokio::test(flavor = "multi_thread")]
async fn a_unary_call_ends_at_its_deadline() {
    let gale = Gale::start(options()).await;
    let mut connection = Connection::open(gale.grpc).await;
    let mut calls = Vec::new();
    for milliseconds in 0..100 {
        let timeout = format!("{milliseconds}m");
        let call = connection.call(GET_MARKET, Some(&timeout), None::<&pb::Market>, false).await;
        calls.push(tokio::spawn(call.reply()));
    }
    for call in calls {
        let status = call.await.unwrap().status();
        expect_status(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }
}

/// Goal: a call whose caller sets no deadline gets the server's; streams get none.
/// Method: the server's is short, and a stream that is older than it still delivers.
#[tokio::test(flavor = "multi_thread")]
async fn a_unary_call_without_a_deadline_gets_one() {
    let options = Options { unary_deadline: Duration::from_millis(300), ..options() };
    let gale = Gale::start(options).await;
    let mut clients = market(&gale).await;
    let mut stream = clients.watch(earliest(), None).await.unwrap();
    let mut connection = Connection::open(gale.grpc).await;
    let call = connection.call(GET_MARKET, None, None::<&pb::Market>, false).await;
    let status = call.reply().await.status();
    expect_status(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let revision = clients.workers(vec![worker(1, "a", 1)]).await;
    loop {
        let message = guarded("the stream goes on", stream.message()).await.unwrap().unwrap();
        if place(message.next.as_ref()) > (revision, 0) {
            break;
        }
    }
}

/// Goal: every kind of stream ends at its deadline, Watch with its last position.
/// Method: one of each, with an open request where there is one.
#[tokio::test(flavor = "multi_thread")]
async fn streams_end_at_their_deadlines() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    // Many, with little to do for a round, and much to read for Verify.
    for batch in 0..6 {
        let numbers = batch * 10_000..(batch + 1) * 10_000;
        clients.workers(numbers.map(|n| worker(n, "a", 50_000)).collect()).await;
    }
    clients.vacancies(vec![vacancy(1, "b", 1, 10_000)]).await;
    clients.clear().await;
    let mut connection = Connection::open(gale.grpc).await;
    let mut ends = async |path: &str, timeout: &str, message: &[u8], finish: bool| -> Reply {
        let mut call = connection.call(path, Some(timeout), None::<&pb::Market>, false).await;
        if !message.is_empty() {
            call.request.send_data(raw::framed_bytes(message), finish).unwrap();
        }
        call.reply().await
    };
    let reply = ends(WATCH, "500m", &watch_request().encode_to_vec(), true).await;
    let last = reply.messages::<pb::WatchResponse>().last().and_then(|last| last.next.clone());
    let carried = expect_status(&reply.status(), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(carried, Some(place(last.as_ref())), "Watch ends with its last position");

    let import = pb::ImportWorkersRequest { market: MARKET.into(), ..Default::default() };
    let health = HealthCheckRequest { service: String::new() };
    let verify = pb::VerifyRequest { market: MARKET.into() };
    for (path, timeout, message, finish) in [
        (IMPORT, "300m", import.encode_to_vec(), false),
        ("/grpc.health.v1.Health/Watch", "300m", health.encode_to_vec(), true),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "300m", vec![], false),
        ("/gale.v1.MatchingService/Verify", "3m", verify.encode_to_vec(), true),
    ] {
        let status = ends(path, timeout, &message, finish).await.status();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{path}: {status:?}");
    }
}

/// How many rounds have started.
async fn rounds(clients: &mut Clients) -> usize {
    let request = pb::ListRoundsRequest { market: MARKET.into(), ..Default::default() };
    clients.matching.list_rounds(request).await.expect("rounds").into_inner().rounds.len()
}

/// Goal: a round outlives the caller who waits for it. Method: a deadline far shorter
/// than the round, which then ends all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_outlives_its_caller() {
    let gale = Gale::start(options()).await;
    let mut clients = large_market(&gale).await;
    let mut connection = Connection::open(gale.grpc).await;
    let request = pb::StartRoundRequest { market: MARKET.into(), wait: true, ..Default::default() };
    let path = "/gale.v1.MatchingService/StartRound";
    // A deadline so short may pass before the request is there: then no round has started.
    while rounds(&mut clients).await == 0 {
        let call = connection.call(path, Some("8m"), Some(&request), true).await;
        let status = call.reply().await.status();
        expect_status(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }
    let cleared = async {
        let mut stream = clients.watch(earliest(), None).await.unwrap();
        loop {
            let message = stream.message().await.unwrap().unwrap();
            let mut kinds = message.events.iter().map(pb::Event::kind);
            if kinds.any(|kind| kind == pb::EventKind::RoundCleared) {
                break;
            }
        }
    };
    guarded("the round is cleared", cleared).await;
}

// Sizes

/// Goal: a message over 16 MiB is refused as RESOURCE_EXHAUSTED, in a call and in a
/// stream; one that is under goes in. Method: one worker with a very long id.
#[tokio::test(flavor = "multi_thread")]
async fn large_requests_are_refused() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    let long = |bytes| pb::Worker { id: "x".repeat(bytes), ..Default::default() };
    let upsert = |bytes| pb::UpsertWorkersRequest {
        market: MARKET.into(),
        workers: vec![long(bytes)],
        ..Default::default()
    };
    let status = clients.pool.upsert_workers(upsert(MESSAGE_BYTES_MAX)).await.unwrap_err();
    expect_status(&status, Code::ResourceExhausted, "LIMIT_REACHED");
    let import = pb::ImportWorkersRequest {
        market: MARKET.into(),
        workers: vec![long(MESSAGE_BYTES_MAX)],
        ..Default::default()
    };
    let stream = clients.pool.import_workers(tokio_stream::iter([import])).await;
    let status = match stream {
        Ok(stream) => stream.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    };
    expect_status(&status, Code::ResourceExhausted, "LIMIT_REACHED");
    // Below the limit it comes in, and its answer goes out, whatever it says.
    let reply = clients.pool.upsert_workers(upsert(MESSAGE_BYTES_MAX - 100)).await.unwrap();
    let reply = reply.into_inner();
    assert_eq!(reply.errors.len(), 1);
    assert_eq!(reply.errors[0].index, 0);
    assert!(reply.encoded_len() < 10_000, "an answer does not repeat what is absurdly long");
}

/// Goal: a list that does not fit into one message comes in several. Method: workers as
/// large as may be, asked for in one page.
#[tokio::test(flavor = "multi_thread")]
async fn large_replies_are_paged() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    let skill = |i: usize| pb::Skill { skill: format!("{i:-<64}"), level: 50 };
    let skilled = |n| pb::Worker { skills: (0..64).map(skill).collect(), ..worker(n, "a", 1) };
    for batch in 0..5 {
        clients.workers((batch * 1_000..(batch + 1) * 1_000).map(skilled).collect()).await;
    }
    let mut ids = BTreeSet::new();
    let mut request =
        pb::ListWorkersRequest { market: MARKET.into(), page_size: 10_000, ..Default::default() };
    let mut pages = 0;
    loop {
        let page = clients.pool.list_workers(request.clone()).await.unwrap().into_inner();
        assert!(page.encoded_len() <= MESSAGE_BYTES_MAX);
        ids.extend(page.workers.into_iter().map(|record| record.worker.unwrap().id));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(ids, (0..5_000).map(worker_id).collect());
    assert!(pages > 1, "over 20 MB in one page");
}

/// Goal: a status fits into the 8 KiB of headers that clients take (grpcio's limit),
/// whatever was wrong. Method: long names, and batches in which every item is bad.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_fits_into_the_headers() {
    let gale = Gale::start(options()).await;
    market(&gale).await;
    let mut connection = Connection::open(gale.grpc).await;
    let long = "x".repeat(30_000);
    let named = |market: &str| pb::GetMarketRequest { market: market.into(), at_least_revision: 0 };
    let bad = |n: usize| pb::Worker {
        home_city: format!("{n} {}", "?".repeat(100)),
        ..worker(0, "a", 1)
    };
    let batch = |market: &str, workers: Vec<pb::Worker>| pb::UpsertWorkersRequest {
        market: market.into(),
        workers,
        atomic: true,
        ..Default::default()
    };
    let upsert = "/gale.v1.PoolService/UpsertWorkers";
    let long_id = pb::Worker { id: long.clone(), ..worker(0, "a", 1) };
    let long_city = pb::Worker { home_city: long.clone(), ..worker(0, "a", 1) };
    for (path, message, code) in [
        (GET_MARKET, named(&long).encode_to_vec(), Code::NotFound),
        (GET_MARKET, named(&"ü\n".repeat(9_000)).encode_to_vec(), Code::NotFound),
        (upsert, batch(MARKET, vec![long_id]).encode_to_vec(), Code::InvalidArgument),
        (upsert, batch(MARKET, vec![long_city]).encode_to_vec(), Code::InvalidArgument),
        (upsert, batch(MARKET, (0..200).map(bad).collect()).encode_to_vec(), Code::InvalidArgument),
    ] {
        let mut call = connection.call(path, None, None::<&pb::Market>, false).await;
        call.request.send_data(raw::framed_bytes(&message), true).unwrap();
        let reply = call.reply().await;
        let status = reply.status();
        assert_eq!(status.code(), code, "{status:?}");
        reason(&status);
        assert!(reply.status_bytes() <= 8_192, "{path}: {} bytes", reply.status_bytes());
    }
}

// Connections

/// A client's first bytes in HTTP/2: the preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Goal: who does not answer pings is hung up on, who does is not. Method: a connection
/// that only listens, beside an idle one of a real client.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed() {
    let gale = Gale::start(Options {
        keepalive_interval: Duration::from_millis(200),
        keepalive_timeout: Duration::from_millis(200),
        ..options()
    })
    .await;
    let mut clients = market(&gale).await;
    let mut stream = clients.watch(earliest(), None).await.unwrap();
    let answer = raw::exchange(gale.grpc, PREFACE).await;
    let ping = |frame: &[u8]| frame.len() == 9 && frame[..4] == [0, 0, 8, 6];
    assert!(answer.windows(9).any(ping), "it was asked");
    assert!(guarded("the other lives", stream.message()).await.unwrap().is_some());
    clients.workers(vec![worker(1, "a", 1)]).await;
}

/// Goal: the server says how many streams one connection may have, and holds to it.
/// Method: its settings frame; then as many streams as allowed, and one more, which
/// starts when another ends.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_connection_are_limited() {
    let gale = Gale::start(options()).await;
    let mut clients = market(&gale).await;
    let mut stream = TcpStream::connect(gale.grpc).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let mut head = [0; 9];
    guarded("a frame", stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
    let mut settings = vec![0; usize::from(head[2])];
    guarded("settings", stream.read_exact(&mut settings)).await.unwrap();
    let streams = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).expect("a limit");
    assert_eq!(streams[2..], 200_u32.to_be_bytes());

    let mut open = Vec::new();
    for _ in 0..200 {
        open.push(clients.watch(earliest(), None).await.unwrap());
    }
    let mut more = clients.clone();
    let one_more = tokio::spawn(async move { more.watch(earliest(), None).await.map(drop) });
    let mut others = gale.clients().await;
    others.workers(vec![worker(1, "a", 1)]).await;
    assert!(!one_more.is_finished(), "it waits for its place");
    drop(open.pop());
    guarded("there is a place", one_more).await.unwrap().unwrap();
}

/// Goal: connections beyond the limit are hung up on at once, those within go on, and a
/// place that is given up is taken again. Method: a limit of two.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited() {
    let gale = Gale::start(Options { connections_max: 2, ..options() }).await;
    let mut clients = market(&gale).await;
    let second = Connection::open(gale.grpc).await;
    assert_eq!(raw::exchange(gale.grpc, PREFACE).await, b"", "the third is hung up on");
    clients.workers(vec![worker(1, "a", 1)]).await;
    drop(second);
    let again = async {
        // The place is free once the server has noticed.
        while gale.endpoint().connect().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    guarded("the place is free again", again).await;
}

// Stopping

async fn health_of(clients: &mut HealthClient<tonic::transport::Channel>, service: &str) -> i32 {
    let request = HealthCheckRequest { service: service.into() };
    clients.check(request).await.expect("a known service").into_inner().status
}

/// Goal: a server that is told to stop says so to everybody, refuses what is new, ends
/// streams with their last position, and returns in time although some clients never
/// hang up. Method: one client of each kind, then the stop, seen from all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_told_to_all_and_ends_in_time() {
    let mut gale = Gale::start(Options { stop: Duration::from_secs(3), ..options() }).await;
    let mut clients = market(&gale).await;
    assert_eq!(raw::get(gale.admin, "/readyz").await, Some(200));
    assert_eq!(raw::get(gale.admin, "/livez").await, Some(200));
    // Streams, caught up.
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = clients.watch(earliest(), None).await.unwrap();
        let mut next = (0, 0);
        while next < (3, 0) {
            next = place(stream.message().await.unwrap().unwrap().next.as_ref());
        }
        streams.push(stream);
    }
    let mut health = HealthClient::new(gale.channel().await);
    let request = HealthCheckRequest { service: "gale.v1.PoolService".into() };
    let mut health = health.watch(request).await.unwrap().into_inner();
    let serving = health.message().await.unwrap().unwrap().status;
    assert_eq!(serving, ServingStatus::Serving as i32);
    // Clients who never hang up: silent, idle, with an open import, with an open request.
    let mut silent = TcpStream::connect(gale.grpc).await.unwrap();
    let mut connection = Connection::open(gale.grpc).await;
    let import = pb::ImportWorkersRequest {
        market: MARKET.into(),
        workers: vec![worker(1, "a", 1)],
        ..Default::default()
    };
    let import = connection.call(IMPORT, None, Some(&import), false).await;
    let request = connection.call(GET_MARKET, None, None::<&pb::Market>, false).await;
    let at = guarded("the import arrives", async {
        loop {
            let (_, newest) = clients.watermark().await;
            if newest == (4, 0) {
                return newest;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;

    let (grpc, admin) = (gale.grpc, gale.admin);
    gale.begin_stop();
    for mut stream in streams {
        let ended = async {
            loop {
                if let Err(status) = stream.message().await {
                    return status;
                }
            }
        };
        let status = guarded("the stream ends", ended).await;
        let carried = expect_status(&status, Code::Unavailable, "SHUTTING_DOWN");
        assert!(carried == Some(at) || carried == Some((3, 0)), "its last position: {carried:?}");
    }
    let told = guarded("health changes", health.message()).await.unwrap().unwrap().status;
    assert_eq!(told, ServingStatus::NotServing as i32);
    assert_eq!(raw::get(admin, "/readyz").await, Some(503));
    assert_eq!(raw::get(admin, "/livez").await, Some(200));
    let refused = guarded("new connections are refused", async {
        loop {
            match TcpStream::connect(grpc).await {
                Err(error) => return error,
                Ok(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let import = import.reply().await;
    assert_eq!(import.messages::<pb::ImportWorkersResponse>().len(), 1);
    expect_status(&import.status(), Code::Unavailable, "SHUTTING_DOWN");
    expect_status(&request.reply().await.status(), Code::Unavailable, "SHUTTING_DOWN");
    gale.stopped().await.expect("it stops in order");
    let mut rest = Vec::new();
    let _ = guarded("the silent one is hung up on", silent.read_to_end(&mut rest)).await;
    assert_eq!(raw::get(admin, "/livez").await, None, "nobody is left");
}

/// Goal: the process ends on SIGTERM, within its limit and in good order, with streams
/// open. Method: the real binary, a signal, and its exit code.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_process_ends_on_sigterm() {
    use std::io::BufRead;
    let arguments =
        ["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json"];
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_gale"))
        .args(arguments)
        .args(["--stop-seconds", "5"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    std::io::BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).expect("where it serves");
    let address: std::net::SocketAddr = ready["grpc"].as_str().unwrap().parse().unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut clients = Clients::over(channel.connect().await.unwrap());
    clients.make_market().await;
    clients.cities(&["a"]).await;
    let mut stream = clients.watch(earliest(), None).await.unwrap();
    // Under load: somebody writes on until refused, and somebody waits for a round.
    let mut writer = clients.clone();
    let load = tokio::spawn(async move {
        for salary in 1.. {
            let request = pb::UpsertWorkersRequest {
                market: MARKET.into(),
                workers: (0..100).map(|n| worker(n, "a", salary)).collect(),
                ..Default::default()
            };
            if let Err(status) = writer.pool.upsert_workers(request).await {
                return status;
            }
        }
        unreachable!("the server stops before")
    });
    let mut delivered = (0, 0);
    while delivered < (20, 0) {
        let message = guarded("a message", stream.message()).await.unwrap().unwrap();
        delivered = place(message.next.as_ref());
    }
    let kill =
        std::process::Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let status: Status = guarded("the stream ends", async {
        loop {
            match stream.message().await {
                Ok(Some(message)) => delivered = place(message.next.as_ref()),
                Ok(None) => panic!("an endless stream ended without a reason"),
                Err(status) => return status,
            }
        }
    })
    .await;
    let carried = expect_status(&status, Code::Unavailable, "SHUTTING_DOWN");
    assert_eq!(carried, Some(delivered), "its last position");
    guarded("the writer is refused", load).await.unwrap();
    let exit = guarded("the process ends", tokio::task::spawn_blocking(move || process.wait()));
    assert!(exit.await.unwrap().unwrap().success(), "and in good order");
}

// What others' tools expect

/// Goal: health answers for the server and for each service, and for nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_per_service() {
    let gale = Gale::start(options()).await;
    let mut health = HealthClient::new(gale.channel().await);
    for service in SERVICES.iter().chain(&[""]) {
        assert_eq!(health_of(&mut health, service).await, ServingStatus::Serving as i32);
    }
    let request = HealthCheckRequest { service: "gale.v1.Nothing".into() };
    assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);
}

/// What reflection was asked, and the answers: services, and files by symbol.
macro_rules! reflected {
    ($version:ident, $channel:expr, $symbols:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let ask = |request| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(request),
        };
        let mut requests = vec![ask(MessageRequest::ListServices(String::new()))];
        for symbol in $symbols {
            requests.push(ask(MessageRequest::FileContainingSymbol(symbol.to_string())));
        }
        let mut client = ServerReflectionClient::new($channel);
        let answers = client.server_reflection_info(tokio_stream::iter(requests)).await;
        let mut answers = answers.unwrap().into_inner();
        let (mut services, mut files) = (Vec::new(), 0);
        while let Some(answer) = guarded("an answer", answers.message()).await.unwrap() {
            match answer.message_response {
                Some(MessageResponse::ListServicesResponse(list)) => {
                    services = list.service.into_iter().map(|service| service.name).collect();
                }
                Some(MessageResponse::FileDescriptorResponse(found)) => {
                    files += usize::from(!found.file_descriptor_proto.is_empty());
                }
                other => panic!("{other:?}"),
            }
        }
        (services, files)
    }};
}

/// Goal: a client that knows only the address finds every service, both versions of
/// reflection alike, and the types of error details.
#[tokio::test(flavor = "multi_thread")]
async fn reflection_describes_everything() {
    let gale = Gale::start(options()).await;
    let symbols = [
        "gale.v1.EventService",
        "gale.v1.Worker",
        "google.rpc.BadRequest",
        "google.rpc.ErrorInfo",
        "grpc.health.v1.Health",
    ];
    let channel = gale.channel().await;
    for (services, files) in
        [reflected!(v1, channel.clone(), symbols), reflected!(v1alpha, channel, symbols)]
    {
        let services: Vec<String> = services;
        for service in SERVICES.iter().chain(&["grpc.health.v1.Health"]) {
            assert!(services.iter().any(|name| name == service), "{service} in {services:?}");
        }
        assert_eq!(files, symbols.len());
    }
}

/// Goal: gRPC-web over HTTP/1.1 on the same port, errors included. Method: requests as
/// a browser writes them.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_web_is_served_on_the_same_port() {
    let gale = Gale::start(options()).await;
    market(&gale).await;
    let ask = async |name: &str| {
        let request = pb::GetMarketRequest { market: name.into(), at_least_revision: 0 };
        let body = raw::framed(&request);
        let head = format!(
            "POST {GET_MARKET} HTTP/1.1\r\nhost: gale\r\ncontent-type: application/grpc-web+proto\r\n\
             x-grpc-web: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), &body].concat();
        String::from_utf8_lossy(&raw::exchange(gale.grpc, &bytes).await).to_lowercase()
    };
    let answer = ask(MARKET).await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(answer.contains("application/grpc-web"), "{answer}");
    assert!(answer.contains("grpc-status:0"), "{answer}");
    let answer = ask("nobody").await;
    assert!(answer.contains("grpc-status:5") || answer.contains("grpc-status: 5"), "{answer}");
}

/// Goal: health streams tell of no change twice. Method: the reply types are what other
/// tools decode; one watch, one message while nothing changes.
#[tokio::test(flavor = "multi_thread")]
async fn health_watch_starts_with_the_present() {
    let gale = Gale::start(options()).await;
    let mut connection = Connection::open(gale.grpc).await;
    let request = HealthCheckRequest { service: SERVICES[0].into() };
    let path = "/grpc.health.v1.Health/Watch";
    let call = connection.call(path, Some("300m"), Some(&request), true).await;
    let told = call.reply().await.messages::<HealthCheckResponse>();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].status, ServingStatus::Serving as i32);
}

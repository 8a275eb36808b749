//! Markets that are cleared continuously, over gRPC: what replies say, what is refused, and
//! that a subscriber who has seen every event holds exactly the server's matching.
//!
//! `GALE_SEED=n cargo test --release --test settlement` replays one history, but for when
//! deadlines pass.

#[path = "settlement/held.rs"]
mod held;
mod support;

use gale::proto::v1 as pb;
use gale::server::Options;
use pb::verify_response::Step;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use support::draws::Random;
use support::server::*;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;

/// Commands that the long history has, and how often it pauses.
const COMMANDS: u64 = 100_000;
const PAUSES: u64 = 100;
/// Time between two ticks, at which deadlines are looked at.
const TICK: Duration = Duration::from_millis(20);
/// Revisions of which the subscriber remembers the matching.
const REMEMBERED: usize = 256;
/// Calls in flight.
const IN_FLIGHT: usize = 16;
const WORKERS: u64 = 160;
const VACANCIES: u64 = 60;

fn continuous(promise: pb::Promise) -> pb::Market {
    let clearing = pb::Clearing {
        mode: pb::clearing::Mode::Continuous.into(),
        promise: promise.into(),
        ..Default::default()
    };
    let settings = pb::Settings {
        clearing: Some(clearing),
        confirmations: pb::Confirmations::Either.into(),
        fit_value: 5_000,
        local_bonus_bp: 300,
        move_cost_per_km: 2,
        max_shortfall_bp: Some(9_000),
        ..Default::default()
    };
    pb::Market { settings: Some(settings), ..market(MARKET) }
}

async fn server(promise: pb::Promise) -> Server {
    let options = Options { tick: TICK, ..options() };
    let mut server = Server::start(options).await;
    server.make(continuous(promise)).await;
    let cities = [("a", 0.0), ("b", 4.0), ("c", 9.0), ("d", 30.0)];
    server.cities(cities.map(|(id, latitude)| pb::City { latitude, ..city(id) })).await;
    server
}

fn state(settlement: &Option<pb::Settlement>) -> pb::MatchingState {
    settlement.as_ref().expect("every write says so").state()
}

/// Goal: every reply says what holds, and what the command has cost others.
#[tokio::test(flavor = "multi_thread")]
async fn replies_state_the_promise_and_the_displacements() {
    let mut server = server(pb::Promise::WorkerOptimal).await;
    let skilled = |number: u64, level: u32| pb::Worker {
        skills: vec![pb::Skill { skill: "s".into(), level }],
        ..worker(number)
    };
    let asking = pb::Vacancy {
        requirements: vec![pb::Requirement {
            skill: "s".into(),
            desired_level: 100,
            weight: 1,
            minimum_level: None,
        }],
        ..vacancy(1)
    };
    server.vacancies(vec![asking]).await;
    let mut say = Vec::new();
    for (number, level) in [(1, 50), (2, 80), (3, 20)] {
        let request = upsert_workers(vec![skilled(number, level)]);
        let reply = server.api.pool.upsert_workers(request).await.unwrap().into_inner();
        assert_eq!(state(&reply.settlement), pb::MatchingState::WorkerOptimal);
        let settlement = reply.settlement.unwrap();
        say.push((settlement.displaced, settlement.improved, settlement.pending_changes));
    }
    assert_eq!(say, [(0, 0, 0), (1, 0, 0), (0, 0, 0)]);
    let withdraw = pb::WithdrawWorkersRequest {
        market: MARKET.into(),
        worker_ids: vec![worker_id(2)],
        ..Default::default()
    };
    server.api.pool.withdraw_workers(withdraw).await.unwrap();
    let held = matches(&mut server.api).await.1;
    assert_eq!(held, BTreeMap::from([(worker_id(1), (vacancy_id(1), false))]));
}

/// Goal: subscribers are told whose silence ended a match, what took its place in the same
/// revision, and which match the market placed by itself.
#[tokio::test(flavor = "multi_thread")]
async fn subscribers_are_told_what_time_does() {
    use pb::EventKind as Kind;
    let mut server = Server::start(Options { tick: TICK, ..options() }).await;
    let mut asked = continuous(pb::Promise::Stable);
    let settings = asked.settings.as_mut().unwrap();
    settings.confirmations = pb::Confirmations::Both.into();
    settings.confirmation_window_seconds = 3;
    server.make(asked).await;
    server.cities([city("a")]).await;
    let ranking = Some(pb::Ranking { ids: vec![worker_id(1), worker_id(2)] });
    server.vacancies(vec![pb::Vacancy { ranking, ..vacancy(1) }]).await;
    server.workers(vec![worker(1)]).await;
    let answer = server.api.matching.confirm_matches(confirm(pb::MatchSide::Worker, &[(1, 1)]));
    assert_eq!(answer.await.unwrap().into_inner().errors, []);
    server.workers(vec![worker(2)]).await;
    let kinds = [Kind::Lapsed, Kind::Matched, Kind::Placed].map(|kind| kind as i32).to_vec();
    let request = pb::WatchRequest {
        market: MARKET.into(),
        start: Some(pb::watch_request::Start::Earliest(pb::EarliestStart {})),
        filter: Some(pb::EventFilter { kinds, ..Default::default() }),
        ..Default::default()
    };
    let mut stream = server.api.event.watch(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    while told.len() < 4 {
        let message = stream.message().await.unwrap().unwrap();
        for event in &message.events {
            let Some(pb::event::Detail::Match(change)) = &event.detail else { panic!() };
            let number = if change.worker_id == worker_id(1) { 1 } else { 2 };
            told.push((event.kind(), number, change.side(), change.automatic));
        }
        if message.events.len() == 2 {
            // The lapse with what took its place. From now on time places.
            let settings = pb::Settings { place_after_seconds: 1, ..Default::default() };
            let fields = ["confirmation_window_seconds", "place_after_seconds"];
            let paths = fields.map(|field| format!("settings.{field}")).to_vec();
            let request = pb::UpdateMarketRequest {
                market: Some(pb::Market { settings: Some(settings), ..market(MARKET) }),
                update_mask: Some(pbjson_types::FieldMask { paths }),
                ..Default::default()
            };
            server.api.market.update_market(request).await.unwrap();
        }
    }
    let (nobody, employer) = (pb::MatchSide::Unspecified, pb::MatchSide::Employer);
    let expected = [
        (Kind::Matched, 1, nobody, false),
        (Kind::Lapsed, 1, employer, false),
        (Kind::Matched, 2, nobody, false),
        (Kind::Placed, 2, nobody, true),
    ];
    assert_eq!(told, expected);
}

/// Goal: what no rule is proved for is refused by name, wherever it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_promised_is_refused() {
    let mut server = Server::start(options()).await;
    let mut targets = continuous(pb::Promise::Stable);
    targets.settings.as_mut().unwrap().cap_order = pb::CapOrder::Targets.into();
    let request = pb::CreateMarketRequest { market: Some(targets) };
    let refusal = refused(server.api.market.create_market(request).await);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "UNSUPPORTED_MECHANISM")
    );
    assert_eq!(refusal.field(), "market.settings.clearing.mode");

    server.make(continuous(pb::Promise::WorkerOptimal)).await;
    let capped = pb::City { intake_cap: Some(3), ..city("a") };
    let request = pb::UpsertCitiesRequest {
        market: MARKET.into(),
        cities: vec![capped],
        ..Default::default()
    };
    let reply = server.api.market.upsert_cities(request.clone()).await.unwrap().into_inner();
    assert_eq!(reply.errors.len(), 1);
    assert_eq!(reply.errors[0].reason(), pb::ErrorReason::UnsupportedMechanism);

    let update = |promise: pb::Promise| pb::UpdateMarketRequest {
        market: Some(continuous(promise)),
        update_mask: Some(pbjson_types::FieldMask { paths: vec!["settings.clearing".into()] }),
        ..Default::default()
    };
    server.api.market.update_market(update(pb::Promise::Stable)).await.unwrap();
    let reply = server.api.market.upsert_cities(request).await.unwrap().into_inner();
    assert_eq!(reply.errors, []);
    let again = server.api.market.update_market(update(pb::Promise::WorkerOptimal)).await;
    let refusal = refused(again);
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert_eq!(refusal.field(), "market.settings.clearing.promise");
}

/// Goal: a promise is only for markets that are cleared continuously.
#[tokio::test(flavor = "multi_thread")]
async fn a_promise_without_continuous_clearing_is_refused() {
    let mut server = Server::start(options()).await;
    let mut market = continuous(pb::Promise::Stable);
    let settings = market.settings.as_mut().unwrap();
    settings.clearing.as_mut().unwrap().mode = pb::clearing::Mode::Manual.into();
    let request = pb::CreateMarketRequest { market: Some(market) };
    let answer = server.api.market.create_market(request).await;
    let field = "market.settings.clearing.promise";
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", field);
}

/// Goal: a market that is too large to be cleared within a command gets a round, is PENDING
/// until then, and goes on continuously afterwards, with what has changed meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_market_is_cleared_by_a_round_first() {
    let mut server = server(pb::Promise::WorkerOptimal).await;
    let people: Vec<_> = (1..=3_000).map(some_worker).collect();
    for batch in people.chunks(500) {
        server.workers(batch.to_vec()).await;
    }
    server.vacancies((1..=800).map(some_vacancy).collect()).await;
    let costs = pb::SetMoveCostsRequest {
        market: MARKET.into(),
        move_costs: vec![pb::MoveCost {
            origin: "a".into(),
            destination: "b".into(),
            cost: Some(1),
            subsidy: 0,
        }],
        ..Default::default()
    };
    let reply = server.api.market.set_move_costs(costs).await.unwrap().into_inner();
    assert_eq!(state(&reply.settlement), pb::MatchingState::Pending);
    for number in 3_001..3_040 {
        server.workers(vec![some_worker(number)]).await;
    }
    let cleared = async {
        while status(&mut server.api).await.state() == pb::MatchingState::Pending {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), cleared).await.expect("a round clears it");
    let request = upsert_workers(vec![some_worker(3_041)]);
    let reply = server.api.pool.upsert_workers(request).await.unwrap().into_inner();
    assert_eq!(state(&reply.settlement), pb::MatchingState::WorkerOptimal);
    verify(&mut server.api).await;
}

/// Goal: who has seen every event since the first holds what the server holds, at every
/// revision at which somebody looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_holds_the_matching_at_every_revision() {
    let seed = std::env::var("GALE_SEED").ok().map_or(20_261_124, |seed| seed.parse().unwrap());
    let mut server = server(pb::Promise::Stable).await;
    let (told, mut heard) = watch::channel(History::new());
    let expired = Arc::new(AtomicU64::new(0));
    let subscriber = tokio::spawn(subscribe(server.api.clone(), told, expired.clone()));
    let mut choice = Random(seed);
    let mut held = BTreeMap::new();
    let mut seen = [0_u64; 3];
    for pause in 0..PAUSES {
        let mut calls = JoinSet::new();
        for _ in 0..COMMANDS / PAUSES {
            if calls.len() == IN_FLIGHT {
                calls.join_next().await.unwrap().unwrap();
            }
            calls.spawn(command(server.api.clone(), Random(choice.next()), held.clone()));
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap();
        }
        let (revision, listed) = matches(&mut server.api).await;
        // It may have seen more since: deadlines pass at any time.
        let complete = |history: &History| history.keys().next_back() >= Some(&revision);
        let replayed = heard.wait_for(complete).await.unwrap().get(&revision).cloned();
        assert_eq!(replayed.as_ref(), Some(&listed), "pause {pause}: GALE_SEED={seed}");
        if pause % 10 == 9 {
            verify(&mut server.api).await;
        }
        seen[0] = revision;
        seen[1] += listed.values().filter(|(_, placed)| !placed).count() as u64;
        seen[2] += listed.values().filter(|(_, placed)| *placed).count() as u64;
        held = listed;
    }
    println!("revisions {}, held at pauses {}, placed at pauses {}", seen[0], seen[1], seen[2]);
    println!("workers expired {}", expired.load(Relaxed));
    assert!(seen[1] > 0 && seen[2] > 0, "there was something to hold");
    assert!(expired.load(Relaxed) > 0, "deadlines have passed");
    subscriber.abort();
}

/// By worker: the vacancy, and whether she is placed.
type Matches = BTreeMap<String, (String, bool)>;
/// By revision.
type History = BTreeMap<u64, Matches>;

/// Rebuilds the matching from events, and says what it is after every revision.
async fn subscribe(mut api: Api, told: watch::Sender<History>, expired: Arc<AtomicU64>) {
    use pb::EventKind as Kind;
    let request = pb::WatchRequest {
        market: MARKET.into(),
        start: Some(pb::watch_request::Start::Earliest(pb::EarliestStart {})),
        ..Default::default()
    };
    let mut stream = api.event.watch(request).await.unwrap().into_inner();
    let mut matches = Matches::new();
    while let Some(message) = stream.message().await.unwrap() {
        for event in &message.events {
            let change = match &event.detail {
                Some(pb::event::Detail::Match(change)) => change,
                Some(pb::event::Detail::Worker(change)) => {
                    if change.status() == pb::WorkerStatus::Expired {
                        expired.fetch_add(1, Relaxed);
                    }
                    // A placed worker who looks again.
                    if change.previous_status() == pb::WorkerStatus::Placed {
                        matches.remove(&change.worker_id);
                    }
                    continue;
                }
                _ => continue,
            };
            let (worker, vacancy) = (change.worker_id.clone(), change.vacancy_id.clone());
            match event.kind() {
                Kind::Matched => {
                    let before = matches.insert(worker, (vacancy, false));
                    assert_eq!(before, None, "who is matched held nothing");
                }
                Kind::Placed => {
                    let before = matches.insert(worker, (vacancy.clone(), true));
                    assert_eq!(before, Some((vacancy, false)), "who is placed held that");
                }
                Kind::Displaced | Kind::Unmatched | Kind::Declined | Kind::Lapsed => {
                    let before = matches.remove(&worker);
                    assert_eq!(before, Some((vacancy, false)), "a match that ends was held");
                }
                _ => {}
            }
        }
        if message.last_in_revision {
            let revision = message.events[0].position.as_ref().unwrap().revision;
            told.send_modify(|history| {
                history.insert(revision, matches.clone());
                if history.len() > REMEMBERED {
                    history.pop_first();
                }
            });
        }
    }
}

/// One command of any kind; some are refused.
async fn command(mut api: Api, mut choice: Random, held: Matches) {
    let market = || MARKET.to_owned();
    let pair = |choice: &mut Random| {
        let open: Vec<_> = held.iter().filter(|(_, (_, placed))| !placed).collect();
        let (worker_id, (vacancy_id, _)) =
            open.get(choice.below(open.len().max(1) as u64) as usize)?;
        Some(pb::MatchKey { worker_id: (*worker_id).clone(), vacancy_id: vacancy_id.clone() })
    };
    let side = choice.of(&[pb::MatchSide::Worker, pb::MatchSide::Employer]).into();
    match choice.below(20) {
        0..=8 => {
            let reopen = choice.one_in(2);
            let worker = pb::Worker { deadline: soon(&mut choice), ..some_worker_of(&mut choice) };
            let request = pb::UpsertWorkersRequest { reopen, ..upsert_workers(vec![worker]) };
            api.pool.upsert_workers(request).await.unwrap();
        }
        9..=13 => {
            let deadline = soon(&mut choice);
            let vacancy = pb::Vacancy { deadline, ..some_vacancy_of(&mut choice) };
            let request = upsert_vacancies(vec![vacancy]);
            api.pool.upsert_vacancies(request).await.unwrap();
        }
        14 | 15 => {
            let worker_ids = vec![worker_id(1 + choice.below(WORKERS))];
            let request =
                pb::WithdrawWorkersRequest { market: market(), worker_ids, ..Default::default() };
            api.pool.withdraw_workers(request).await.unwrap();
        }
        16 => {
            let vacancy_ids = vec![vacancy_id(1 + choice.below(VACANCIES))];
            let request =
                pb::CloseVacanciesRequest { market: market(), vacancy_ids, ..Default::default() };
            api.pool.close_vacancies(request).await.unwrap();
        }
        17 => {
            let Some(pair) = pair(&mut choice) else { return };
            let matches = vec![pair];
            let request =
                pb::DeclineMatchesRequest { market: market(), side, matches, ..Default::default() };
            api.matching.decline_matches(request).await.unwrap();
        }
        18 => {
            let Some(pair) = pair(&mut choice) else { return };
            let matches = vec![pair];
            let request =
                pb::ConfirmMatchesRequest { market: market(), side, matches, ..Default::default() };
            api.matching.confirm_matches(request).await.unwrap();
        }
        _ => {
            let id = choice.of(&["a", "b", "c", "d"]);
            let latitude = choice.of(&[0.0, 4.0, 9.0, 30.0]);
            let intake_cap = choice.one_in(2).then(|| choice.below(30));
            let cities = vec![pb::City { latitude, intake_cap, ..city(id) }];
            let request =
                pb::UpsertCitiesRequest { market: market(), cities, ..Default::default() };
            api.market.upsert_cities(request).await.unwrap();
        }
    }
}

/// All matches, at one revision.
async fn matches(api: &mut Api) -> (u64, Matches) {
    let (mut revision, mut all, mut page_token) = (0, Matches::new(), String::new());
    loop {
        let request =
            pb::ListMatchesRequest { market: MARKET.into(), page_token, ..Default::default() };
        let page = api.matching.list_matches(request).await.unwrap().into_inner();
        revision = page.revision.max(revision);
        all.extend(page.matches.into_iter().map(|held| {
            let placed = held.status() == pb::MatchStatus::Placed;
            assert!(held.matched_time.is_some(), "each match says when it was made");
            (held.worker_id, (held.vacancy_id, placed))
        }));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (revision, all);
        }
    }
}

async fn status(api: &mut Api) -> pb::MarketStatus {
    let request = pb::GetMarketRequest { market: MARKET.into(), ..Default::default() };
    let reply = api.market.get_market(request).await.unwrap().into_inner();
    reply.market.unwrap().status.unwrap()
}

/// The server's own check of what holds.
async fn verify(api: &mut Api) {
    let request = pb::VerifyRequest { market: MARKET.into() };
    let mut stream = api.matching.verify(request).await.unwrap().into_inner();
    let mut certificate = None;
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Step::Certificate(found)) = message.step {
            certificate = Some(found);
        }
    }
    let certificate = certificate.expect("a certificate ends a verification");
    assert_eq!((certificate.blocking_pairs, certificate.violations), (0, 0));
    assert!(!certificate.of_last_round, "it is of the market as it stands");
}

/// For one in ten, a time that comes while the history goes on.
fn soon(choice: &mut Random) -> Option<pbjson_types::Timestamp> {
    let wait = Duration::from_millis(choice.below(300));
    let at = (SystemTime::now() + wait).duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let (seconds, nanos) = (at.as_secs() as i64, at.subsec_nanos() as i32);
    choice.one_in(10).then_some(pbjson_types::Timestamp { seconds, nanos })
}

fn some_worker(number: u64) -> pb::Worker {
    pb::Worker { id: worker_id(number), ..some_worker_of(&mut Random(number)) }
}

fn some_vacancy(number: u64) -> pb::Vacancy {
    pb::Vacancy { id: vacancy_id(number), ..some_vacancy_of(&mut Random(number)) }
}

fn some_worker_of(choice: &mut Random) -> pb::Worker {
    let level = |choice: &mut Random| choice.below(11) as u32 * 10;
    let skills =
        ["s", "t", "u"].map(|skill| pb::Skill { skill: skill.into(), level: level(choice) });
    let scope = match choice.below(3) {
        0 => pb::mobility::Scope::HomeOnly,
        _ => pb::mobility::Scope::Any,
    };
    let expected_salary = 30_000 + choice.below(30) as i64 * 1_000;
    pb::Worker {
        id: worker_id(1 + choice.below(WORKERS)),
        home_city: choice.of(&["a", "b", "c", "d"]).into(),
        skills: skills.to_vec(),
        expected_salary,
        reservation_salary: Some(expected_salary - 5_000),
        mobility: Some(pb::Mobility { scope: scope.into(), ..Default::default() }),
        ..Default::default()
    }
}

fn some_vacancy_of(choice: &mut Random) -> pb::Vacancy {
    let requirement = |choice: &mut Random, skill: &str| pb::Requirement {
        skill: skill.into(),
        desired_level: 10 + choice.below(10) as u32 * 10,
        weight: 1 + choice.below(3) as u32,
        minimum_level: choice.one_in(4).then_some(20),
    };
    let first = choice.of(&["s", "t"]);
    pb::Vacancy {
        id: vacancy_id(1 + choice.below(VACANCIES)),
        city: choice.of(&["a", "b", "c", "d"]).into(),
        openings: choice.below(5) as u32,
        salary: 35_000 + choice.below(30) as i64 * 1_000,
        requirements: vec![requirement(choice, first), requirement(choice, "u")],
        ..Default::default()
    }
}

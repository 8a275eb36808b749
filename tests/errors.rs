//! Every way in which Gale refuses, through gRPC, as a client sees it: canonical code,
//! one ErrorInfo with a stable reason and the domain `gale`, and the field to blame.
//!
//! Each reason of the API has a test here ([`test_of`] is exhaustive); the bad input that
//! a batch may bring is tabled, each beside good items that must go in. Servers run in
//! this process on ports of their own; nothing sleeps, what is waited for is a level.

#[path = "errors/journal.rs"]
mod journal;
mod support;

use gale::proto::v1 as pb;
use gale::proto::v1::ErrorReason;
use gale::server::Options;
use std::time::Duration;
use support::server::*;
use tokio_stream::StreamExt;
use tonic::Code;

/// The test of each reason. A new reason does not compile before it has one.
fn test_of(reason: ErrorReason) -> Option<&'static str> {
    Some(match reason {
        ErrorReason::InvalidField => "bad_workers_leave_the_rest",
        ErrorReason::TooMany => "too_many_items_refuse_the_batch",
        ErrorReason::Duplicate => "duplicates_leave_the_first",
        ErrorReason::MarketNotFound => "unknown_markets",
        ErrorReason::MarketExists => "markets_that_exist",
        ErrorReason::CityNotFound => "unknown_cities",
        ErrorReason::RegionNotFound => "bad_regions_leave_the_rest",
        ErrorReason::RegionCycle => "bad_regions_leave_the_rest",
        ErrorReason::WorkerNotFound => "unknown_workers_and_vacancies",
        ErrorReason::VacancyNotFound => "unknown_workers_and_vacancies",
        ErrorReason::RoundNotFound => "rounds_that_are_not_running",
        ErrorReason::MatchNotFound => "matches_that_are_not",
        ErrorReason::RoundRunning => "one_round_at_a_time",
        ErrorReason::RoundEnded => "rounds_that_are_not_running",
        ErrorReason::WorkerPlaced => "the_placed_are_placed",
        ErrorReason::WrongStatus => "the_placed_are_placed",
        ErrorReason::OpeningsBelowPlaced => "the_placed_are_placed",
        ErrorReason::RequestIdReused => "request_ids_are_good_for_one_request",
        ErrorReason::IncarnationMismatch => "another_incarnation",
        ErrorReason::RevisionMismatch => "another_revision",
        ErrorReason::PositionInFuture => "positions_that_are_not",
        ErrorReason::PositionTrimmed => "positions_that_are_not",
        ErrorReason::PageTokenInvalid => "page_tokens_from_elsewhere",
        ErrorReason::PageTokenExpired => "page_tokens_of_long_ago",
        ErrorReason::LimitReached => "limits_of_the_server",
        ErrorReason::SubscriberStalled => "a_subscriber_who_does_not_read",
        ErrorReason::UnsupportedMechanism => "mechanisms_that_are_not_proved",
        ErrorReason::NotCleared => "nothing_to_verify",
        ErrorReason::DeadlineExceeded => "deadlines_of_unary_calls",
        ErrorReason::ShuttingDown => "streams_of_a_server_that_stops",
        ErrorReason::JournalFailed => "a_journal_that_fails",
        ErrorReason::JournalFull => "a_journal_that_fails",
        ErrorReason::ScenarioNotFound => "scenarios_that_are_not_kept",
        // Never sent.
        ErrorReason::Unspecified => return None,
        // A fault of the server has no test: what can be tested is repaired.
        ErrorReason::Internal => return None,
    })
}

/// Goal: no reason without a test, and no test that is not there.
#[test]
fn every_reason_has_a_test() {
    let source = concat!(include_str!("errors.rs"), include_str!("errors/journal.rs"));
    let reasons = (0..).map_while(|number| ErrorReason::try_from(number).ok());
    let reasons: Vec<_> = reasons.collect();
    assert_eq!(
        reasons.last(),
        Some(&ErrorReason::ScenarioNotFound),
        "reasons are numbered without gaps"
    );
    for reason in reasons {
        let Some(test) = test_of(reason) else { continue };
        assert!(source.contains(&format!("async fn {test}()")), "{reason:?}: {test}");
    }
}

// Bad items: alone, and with the rest.

/// What a bad item of a batch must be refused with.
struct Bad<T> {
    item: T,
    code: Code,
    reason: ErrorReason,
    field: &'static str,
}

fn bad<T>(item: T, reason: ErrorReason, field: &'static str) -> Bad<T> {
    Bad { item, code: Code::InvalidArgument, reason, field }
}

fn skills(count: u32) -> Vec<pb::Skill> {
    (0..count).map(|n| pb::Skill { skill: format!("s{n}"), level: 1 }).collect()
}

fn requirements(count: u32) -> Vec<pb::Requirement> {
    let requirement = |n| pb::Requirement {
        skill: format!("s{n}"),
        desired_level: 1,
        weight: 1,
        minimum_level: None,
    };
    (0..count).map(requirement).collect()
}

fn bad_workers() -> Vec<Bad<pb::Worker>> {
    use ErrorReason::{CityNotFound, Duplicate, InvalidField, TooMany};
    let base = || worker(2);
    let with_skill = |skill: &str, level| pb::Worker {
        skills: vec![pb::Skill { skill: skill.into(), level }],
        ..base()
    };
    let mobile = |scope: pb::mobility::Scope, cities: &[&str]| pb::Worker {
        mobility: Some(pb::Mobility {
            scope: scope.into(),
            cities: cities.iter().map(ToString::to_string).collect(),
            cost_percent: None,
        }),
        ..base()
    };
    let ranked = |ids: Vec<String>| pb::Worker { ranking: Some(pb::Ranking { ids }), ..base() };
    let labelled = |labels: Vec<(String, &str)>| pb::Worker {
        labels: labels.into_iter().map(|(key, value)| (key, value.into())).collect(),
        ..base()
    };
    let percent = pb::Mobility { cost_percent: Some(10_001), ..Default::default() };
    let nanos = Some(pbjson_types::Timestamp { seconds: 0, nanos: -1 });
    vec![
        bad(pb::Worker { id: "not-a-uuid".into(), ..base() }, InvalidField, "id"),
        bad(pb::Worker { id: worker_id(2).replace('-', ""), ..base() }, InvalidField, "id"),
        bad(pb::Worker { home_city: "nowhere".into(), ..base() }, CityNotFound, "home_city"),
        bad(pb::Worker { home_city: String::new(), ..base() }, InvalidField, "home_city"),
        bad(pb::Worker { home_city: "a b".into(), ..base() }, InvalidField, "home_city"),
        bad(with_skill("s", 101), InvalidField, "skills[0].level"),
        bad(with_skill("s", u32::MAX), InvalidField, "skills[0].level"),
        bad(with_skill("", 1), InvalidField, "skills[0].skill"),
        bad(with_skill("ü", 1), InvalidField, "skills[0].skill"),
        bad(pb::Worker { skills: skills(65), ..base() }, TooMany, "skills"),
        bad(pb::Worker { skills: [skills(1), skills(1)].concat(), ..base() }, Duplicate, "skills"),
        bad(pb::Worker { expected_salary: 0, ..base() }, InvalidField, "expected_salary"),
        bad(pb::Worker { expected_salary: -1, ..base() }, InvalidField, "expected_salary"),
        bad(pb::Worker { expected_salary: i64::MAX, ..base() }, InvalidField, "expected_salary"),
        bad(
            pb::Worker { reservation_salary: Some(50_001), ..base() },
            InvalidField,
            "reservation_salary",
        ),
        bad(
            pb::Worker { reservation_salary: Some(0), ..base() },
            InvalidField,
            "reservation_salary",
        ),
        bad(mobile(pb::mobility::Scope::Listed, &["nowhere"]), CityNotFound, "mobility.cities[0]"),
        bad(mobile(pb::mobility::Scope::Listed, &["b", "b"]), Duplicate, "mobility.cities"),
        bad(mobile(pb::mobility::Scope::Any, &["b"]), InvalidField, "mobility.cities"),
        bad(
            pb::Worker {
                mobility: Some(pb::Mobility { scope: 9, ..Default::default() }),
                ..base()
            },
            InvalidField,
            "mobility.scope",
        ),
        bad(
            pb::Worker { mobility: Some(percent), ..base() },
            InvalidField,
            "mobility.cost_percent",
        ),
        bad(ranked(vec!["x".into()]), InvalidField, "ranking.ids[0]"),
        bad(ranked(vec![vacancy_id(1), vacancy_id(1)]), Duplicate, "ranking.ids"),
        bad(ranked((0..10_001).map(vacancy_id).collect()), TooMany, "ranking.ids"),
        bad(pb::Worker { deadline: nanos, ..base() }, InvalidField, "deadline"),
        bad(labelled((0..9).map(|n| (n.to_string(), "x")).collect()), TooMany, "labels"),
        bad(labelled(vec![(String::new(), "x")]), InvalidField, "labels[]"),
    ]
}

/// Goal: each kind of bad worker is refused with its reason and field, the rest of the
/// batch goes in, nothing of the bad one does; atomically, nothing at all goes in.
#[tokio::test(flavor = "multi_thread")]
async fn bad_workers_leave_the_rest() {
    let mut server = Server::with_market(options()).await;
    for (round, Bad { item, code, reason, field }) in bad_workers().into_iter().enumerate() {
        let numbers = [10 + 2 * round as u64, 11 + 2 * round as u64];
        let workers = vec![worker(numbers[0]), item.clone(), worker(numbers[1])];
        let before = server.revision();

        let whole = pb::UpsertWorkersRequest { atomic: true, ..upsert_workers(workers.clone()) };
        let answer = server.api.pool.upsert_workers(whole).await;
        let path = format!("workers[1].{field}");
        refused_as(answer, code, name(reason), &path);
        assert_eq!(server.revision(), before, "atomic: nothing went in");

        let answer = server.api.pool.upsert_workers(upsert_workers(workers)).await;
        let reply = answer.unwrap().into_inner();
        check_item(&reply.errors, code, reason, field);
        assert_eq!((reply.revision, server.revision()), (before + 1, before + 1));
        assert_eq!(reply.errors[0].id, item.id);
        for (worker_id, there) in
            [(worker_id(numbers[0]), true), (worker_id(2), false), (worker_id(numbers[1]), true)]
        {
            let request =
                pb::GetWorkerRequest { market: MARKET.into(), worker_id, ..Default::default() };
            assert_eq!(server.api.pool.get_worker(request).await.is_ok(), there, "{field}");
        }
    }
    let head = server.markets.get(MARKET).unwrap().head();
    assert!(head.skills.is_empty(), "no skill of a refused worker is kept: {:?}", head.skills);
}

fn name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().strip_prefix("ERROR_REASON_").unwrap()
}

#[track_caller]
fn check_item(errors: &[pb::ItemError], code: Code, reason: ErrorReason, field: &str) {
    let [error] = errors else { panic!("one error for {field}: {errors:?}") };
    let found = (error.index, error.code, error.reason(), error.field.as_str());
    assert_eq!(found, (1, code as i32, reason, field), "{error:?}");
    assert!(!error.message.is_empty());
}

/// Goal: the same for vacancies.
#[tokio::test(flavor = "multi_thread")]
async fn bad_vacancies_leave_the_rest() {
    use ErrorReason::{CityNotFound, Duplicate, InvalidField, TooMany};
    let base = || vacancy(2);
    let asks =
        |requirement: pb::Requirement| pb::Vacancy { requirements: vec![requirement], ..base() };
    let good = || requirements(1).remove(0);
    let long = || "x".repeat(201);
    let twice = [requirements(1), requirements(1)].concat();
    let cases = vec![
        bad(pb::Vacancy { id: "7".into(), ..base() }, InvalidField, "id"),
        bad(pb::Vacancy { city: "nowhere".into(), ..base() }, CityNotFound, "city"),
        bad(pb::Vacancy { city: String::new(), ..base() }, InvalidField, "city"),
        bad(pb::Vacancy { employer: long(), ..base() }, InvalidField, "employer"),
        bad(pb::Vacancy { title: long(), ..base() }, InvalidField, "title"),
        bad(pb::Vacancy { openings: 1_000_001, ..base() }, InvalidField, "openings"),
        bad(pb::Vacancy { salary: 0, ..base() }, InvalidField, "salary"),
        bad(pb::Vacancy { salary: -60_000, ..base() }, InvalidField, "salary"),
        bad(pb::Vacancy { salary: 1_000_000_000_001, ..base() }, InvalidField, "salary"),
        bad(pb::Vacancy { requirements: requirements(17), ..base() }, TooMany, "requirements"),
        bad(pb::Vacancy { requirements: twice, ..base() }, Duplicate, "requirements"),
        bad(
            asks(pb::Requirement { desired_level: 0, ..good() }),
            InvalidField,
            "requirements[0].desired_level",
        ),
        bad(
            asks(pb::Requirement { desired_level: 101, ..good() }),
            InvalidField,
            "requirements[0].desired_level",
        ),
        bad(asks(pb::Requirement { weight: 0, ..good() }), InvalidField, "requirements[0].weight"),
        bad(
            asks(pb::Requirement { weight: 65_537, ..good() }),
            InvalidField,
            "requirements[0].weight",
        ),
        bad(
            asks(pb::Requirement { minimum_level: Some(101), ..good() }),
            InvalidField,
            "requirements[0].minimum_level",
        ),
        bad(pb::Vacancy { min_fit_bp: Some(10_001), ..base() }, InvalidField, "min_fit_bp"),
        bad(pb::Vacancy { target: Some(1_000_001), ..base() }, InvalidField, "target"),
    ];
    let mut server = Server::with_market(options()).await;
    for (round, Bad { item, code, reason, field }) in cases.into_iter().enumerate() {
        let numbers = [10 + 2 * round as u64, 11 + 2 * round as u64];
        let vacancies = vec![vacancy(numbers[0]), item, vacancy(numbers[1])];
        let before = server.revision();
        let whole =
            pb::UpsertVacanciesRequest { atomic: true, ..upsert_vacancies(vacancies.clone()) };
        let answer = server.api.pool.upsert_vacancies(whole).await;
        refused_as(answer, code, name(reason), &format!("vacancies[1].{field}"));
        assert_eq!(server.revision(), before);
        let answer = server.api.pool.upsert_vacancies(upsert_vacancies(vacancies)).await;
        let reply = answer.unwrap().into_inner();
        check_item(&reply.errors, code, reason, field);
        let pool = pb::GetCityPoolRequest {
            market: MARKET.into(),
            city: "a".into(),
            ..Default::default()
        };
        let pool = server.api.pool.get_city_pool(pool).await.unwrap().into_inner().pool.unwrap();
        assert_eq!(pool.vacancies, 2 * (round as u64 + 1));
    }
}

/// Goal: the same for cities.
#[tokio::test(flavor = "multi_thread")]
async fn bad_cities_leave_the_rest() {
    use ErrorReason::{InvalidField, RegionNotFound};
    let base = || city("bad");
    let cases = vec![
        bad(city(""), InvalidField, "id"),
        bad(city(&"x".repeat(65)), InvalidField, "id"),
        bad(pb::City { display_name: "x".repeat(201), ..base() }, InvalidField, "display_name"),
        bad(pb::City { region: "nowhere".into(), ..base() }, RegionNotFound, "region"),
        bad(pb::City { latitude: 90.1, ..base() }, InvalidField, "latitude"),
        bad(pb::City { latitude: f64::NAN, ..base() }, InvalidField, "latitude"),
        bad(pb::City { longitude: -180.1, ..base() }, InvalidField, "longitude"),
        bad(pb::City { longitude: f64::INFINITY, ..base() }, InvalidField, "longitude"),
        bad(pb::City { cost_of_living: Some(0), ..base() }, InvalidField, "cost_of_living"),
        bad(pb::City { population: -1, ..base() }, InvalidField, "population"),
        bad(pb::City { intake_cap: Some(u64::MAX), ..base() }, InvalidField, "intake_cap"),
        bad(pb::City { move_subsidy: -1, ..base() }, InvalidField, "move_subsidy"),
    ];
    let mut server = Server::with_market(options()).await;
    for (round, Bad { item, code, reason, field }) in cases.into_iter().enumerate() {
        let cities = vec![city(&format!("x{round}")), item, city(&format!("y{round}"))];
        let request = |atomic| pb::UpsertCitiesRequest {
            market: MARKET.into(),
            cities: cities.clone(),
            atomic,
            ..Default::default()
        };
        let before = server.revision();
        let answer = server.api.market.upsert_cities(request(true)).await;
        refused_as(answer, code, name(reason), &format!("cities[1].{field}"));
        assert_eq!(server.revision(), before);
        let reply = server.api.market.upsert_cities(request(false)).await.unwrap().into_inner();
        check_item(&reply.errors, code, reason, field);
        let known = server.markets.get(MARKET).unwrap().head().geography.cities.len();
        assert_eq!(known, 2 + 2 * (round + 1));
    }
}

/// Goal: the same for regions: unknown parents, cycles.
#[tokio::test(flavor = "multi_thread")]
async fn bad_regions_leave_the_rest() {
    use ErrorReason::{InvalidField, RegionCycle, RegionNotFound};
    let child = |id: &str, parent: &str| pb::Region { parent: parent.into(), ..region(id) };
    let mut server = Server::with_market(options()).await;
    let chain = vec![region("top"), child("middle", "top"), child("bottom", "middle")];
    let request =
        pb::UpsertRegionsRequest { market: MARKET.into(), regions: chain, ..Default::default() };
    assert_eq!(server.api.market.upsert_regions(request).await.unwrap().into_inner().errors, []);
    let cases = vec![
        bad(child("new", "nowhere"), RegionNotFound, "parent"),
        bad(child("new", "new"), RegionCycle, "parent"),
        bad(child("top", "top"), RegionCycle, "parent"),
        bad(child("top", "bottom"), RegionCycle, "parent"),
        bad(child("new", "a b"), InvalidField, "parent"),
        bad(
            pb::Region { intake_cap: Some(1_000_000_001), ..region("new") },
            InvalidField,
            "intake_cap",
        ),
    ];
    for (round, Bad { item, code, reason, field }) in cases.into_iter().enumerate() {
        let regions = vec![region(&format!("x{round}")), item, region(&format!("y{round}"))];
        let request = |atomic| pb::UpsertRegionsRequest {
            market: MARKET.into(),
            regions: regions.clone(),
            atomic,
            ..Default::default()
        };
        let before = server.revision();
        let answer = server.api.market.upsert_regions(request(true)).await;
        refused_as(answer, code, name(reason), &format!("regions[1].{field}"));
        assert_eq!(server.revision(), before);
        let reply = server.api.market.upsert_regions(request(false)).await.unwrap().into_inner();
        check_item(&reply.errors, code, reason, field);
        let known = server.markets.get(MARKET).unwrap().head().geography.regions.len();
        assert_eq!(known, 3 + 2 * (round + 1));
    }
}

/// Goal: the same for the cost of moving.
#[tokio::test(flavor = "multi_thread")]
async fn bad_move_costs_leave_the_rest() {
    use ErrorReason::{CityNotFound, InvalidField};
    let cost = |origin: &str, destination: &str, cost| pb::MoveCost {
        origin: origin.into(),
        destination: destination.into(),
        cost: Some(cost),
        subsidy: 0,
    };
    let cases = vec![
        bad(cost("nowhere", "a", 1), CityNotFound, "origin"),
        bad(cost("a", "nowhere", 1), CityNotFound, "destination"),
        bad(cost("a", "a", 1), InvalidField, "destination"),
        bad(cost("", "a", 1), InvalidField, "origin"),
        bad(cost("a", "b", -1), InvalidField, "cost"),
        bad(pb::MoveCost { subsidy: -1, ..cost("a", "b", 1) }, InvalidField, "subsidy"),
    ];
    let mut server = Server::with_market(options()).await;
    for (round, Bad { item, code, reason, field }) in cases.into_iter().enumerate() {
        let value = round as i64 + 10;
        let move_costs = vec![cost("a", "b", value), item, cost("b", "a", value)];
        let request = |atomic| pb::SetMoveCostsRequest {
            market: MARKET.into(),
            move_costs: move_costs.clone(),
            atomic,
            ..Default::default()
        };
        let before = server.revision();
        let answer = server.api.market.set_move_costs(request(true)).await;
        refused_as(answer, code, name(reason), &format!("move_costs[1].{field}"));
        assert_eq!(server.revision(), before);
        let reply = server.api.market.set_move_costs(request(false)).await.unwrap().into_inner();
        check_item(&reply.errors, code, reason, field);
        let list = pb::ListMoveCostsRequest { market: MARKET.into(), ..Default::default() };
        let list = server.api.market.list_move_costs(list).await.unwrap().into_inner().move_costs;
        assert!(list.len() == 2 && list.iter().all(|put| put.cost == Some(value)), "{list:?}");
    }
}

/// Goal: the same for withdrawals, closings, confirmations and declines: ids that are no
/// UUIDs or unknown.
#[tokio::test(flavor = "multi_thread")]
async fn bad_ids_leave_the_rest() {
    use ErrorReason::{InvalidField, MatchNotFound, VacancyNotFound, WorkerNotFound};
    let mut server = Server::with_market(options()).await;
    server.workers((1..=20).map(worker).collect()).await;
    server.vacancies((1..=20).map(vacancy).collect()).await;
    let cases = [
        ("x".to_owned(), Code::InvalidArgument, InvalidField),
        (worker_id(99), Code::NotFound, WorkerNotFound),
    ];
    for (n, (id, code, reason)) in (1..).zip(cases) {
        let request = pb::WithdrawWorkersRequest {
            market: MARKET.into(),
            worker_ids: vec![worker_id(2 * n), id, worker_id(2 * n + 1)],
            ..Default::default()
        };
        let whole = pb::WithdrawWorkersRequest { atomic: true, ..request.clone() };
        let answer = server.api.pool.withdraw_workers(whole).await;
        refused_as(answer, code, name(reason), "worker_ids[1]");
        let reply = server.api.pool.withdraw_workers(request).await.unwrap().into_inner();
        check_item(&reply.errors, code, reason, "");
    }
    let cases = [
        ("x".to_owned(), Code::InvalidArgument, InvalidField),
        (vacancy_id(99), Code::NotFound, VacancyNotFound),
    ];
    for (n, (id, code, reason)) in (1..).zip(cases) {
        let request = pb::CloseVacanciesRequest {
            market: MARKET.into(),
            vacancy_ids: vec![vacancy_id(2 * n), id, vacancy_id(2 * n + 1)],
            ..Default::default()
        };
        let whole = pb::CloseVacanciesRequest { atomic: true, ..request.clone() };
        let answer = server.api.pool.close_vacancies(whole).await;
        refused_as(answer, code, name(reason), "vacancy_ids[1]");
        let reply = server.api.pool.close_vacancies(request).await.unwrap().into_inner();
        check_item(&reply.errors, code, reason, "");
    }
    server.clear().await;
    let head = server.markets.get(MARKET).unwrap().head();
    assert_eq!((head.totals.workers, head.totals.vacancies, head.totals.matched), (16, 16, 16));
    let matched = {
        let request = pb::ListMatchesRequest { market: MARKET.into(), ..Default::default() };
        server.api.matching.list_matches(request).await.unwrap().into_inner().matches
    };
    let key = |n: usize| pb::MatchKey {
        worker_id: matched[n].worker_id.clone(),
        vacancy_id: matched[n].vacancy_id.clone(),
    };
    let wrong = |worker_id: String, vacancy_id: String| pb::MatchKey { worker_id, vacancy_id };
    let other = matched[2].vacancy_id.clone();
    let cases = [
        (wrong("x".into(), vacancy_id(1)), Code::InvalidArgument, InvalidField, "worker_id"),
        (wrong(worker_id(20), "x".into()), Code::InvalidArgument, InvalidField, "vacancy_id"),
        (wrong(worker_id(99), vacancy_id(1)), Code::NotFound, WorkerNotFound, "worker_id"),
        (wrong(worker_id(20), vacancy_id(99)), Code::NotFound, VacancyNotFound, "vacancy_id"),
        (wrong(matched[3].worker_id.clone(), other), Code::NotFound, MatchNotFound, ""),
    ];
    for (pair, code, reason, field) in cases {
        let matches = vec![key(0), pair, key(1)];
        let request = pb::ConfirmMatchesRequest {
            matches: matches.clone(),
            ..confirm(pb::MatchSide::Worker, &[])
        };
        let path = ["matches[1]", field].join(if field.is_empty() { "" } else { "." });
        let whole = pb::ConfirmMatchesRequest { atomic: true, ..request.clone() };
        let answer = server.api.matching.confirm_matches(whole).await;
        refused_as(answer, code, name(reason), &path);
        let reply = server.api.matching.confirm_matches(request).await.unwrap().into_inner();
        check_item(&reply.errors, code, reason, field);
        let request = pb::DeclineMatchesRequest {
            market: MARKET.into(),
            side: pb::MatchSide::Worker.into(),
            matches,
            atomic: true,
            ..Default::default()
        };
        let answer = server.api.matching.decline_matches(request).await;
        refused_as(answer, code, name(reason), &path);
    }
    let unsaid = pb::ConfirmMatchesRequest {
        matches: vec![key(0)],
        ..confirm(pb::MatchSide::Unspecified, &[])
    };
    let answer = server.api.matching.confirm_matches(unsaid).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "side");
}

/// Goal: what stands twice in a batch goes in once, and the second is named where it stands.
#[tokio::test(flavor = "multi_thread")]
async fn duplicates_leave_the_first() {
    let mut server = Server::with_market(options()).await;
    let pool = &mut server.api.pool;
    let twice = pb::Worker { expected_salary: 1, ..worker(1) };
    let request = upsert_workers(vec![worker(1), twice]);
    let whole = pb::UpsertWorkersRequest { atomic: true, ..request.clone() };
    let duplicate = |answer, field: &str| {
        refused_as(answer, Code::InvalidArgument, "DUPLICATE", field);
    };
    duplicate(pool.upsert_workers(whole).await.map(drop), "workers[1].id");
    let reply = pool.upsert_workers(request).await.unwrap().into_inner();
    check_item(&reply.errors, Code::InvalidArgument, ErrorReason::Duplicate, "id");
    let request = pb::GetWorkerRequest {
        market: MARKET.into(),
        worker_id: worker_id(1),
        ..Default::default()
    };
    let first = pool.get_worker(request).await.unwrap().into_inner().worker.unwrap();
    assert_eq!(first.worker.unwrap().expected_salary, 50_000);

    let request = pb::UpsertVacanciesRequest {
        atomic: true,
        ..upsert_vacancies(vec![vacancy(1), vacancy(1)])
    };
    duplicate(pool.upsert_vacancies(request).await.map(drop), "vacancies[1].id");
    let request = pb::WithdrawWorkersRequest {
        market: MARKET.into(),
        worker_ids: vec![worker_id(1), worker_id(1)],
        atomic: true,
        ..Default::default()
    };
    duplicate(pool.withdraw_workers(request).await.map(drop), "worker_ids[1]");
    server.vacancies(vec![vacancy(1)]).await;
    server.clear().await;
    let request = pb::ConfirmMatchesRequest {
        atomic: true,
        ..confirm(pb::MatchSide::Worker, &[(1, 1), (1, 2)])
    };
    let answer = server.api.matching.confirm_matches(request).await;
    duplicate(answer.map(drop), "matches[1].worker_id");
    let cost =
        pb::MoveCost { origin: "a".into(), destination: "b".into(), cost: Some(1), subsidy: 0 };
    let request = pb::SetMoveCostsRequest {
        market: MARKET.into(),
        move_costs: vec![cost.clone(), cost],
        atomic: true,
        ..Default::default()
    };
    duplicate(server.api.market.set_move_costs(request).await.map(drop), "move_costs[1]");
    let request = pb::UpsertRegionsRequest {
        market: MARKET.into(),
        regions: vec![region("r"), region("r")],
        atomic: true,
        ..Default::default()
    };
    duplicate(server.api.market.upsert_regions(request).await.map(drop), "regions[1].id");
}

/// Goal: a batch over its limit is refused whole, atomic or not.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_items_refuse_the_batch() {
    let mut server = Server::with_market(options()).await;
    let before = server.revision();
    let answer = server.api.pool.upsert_workers(upsert_workers((0..10_001).map(worker).collect()));
    refused_as(answer.await, Code::InvalidArgument, "TOO_MANY", "workers");
    assert_eq!(server.revision(), before);
}

/// Goal: an error stays readable however much is wrong and however long it is: what
/// clients take of headers is small (gRPC's own limit is 8 KiB).
#[tokio::test(flavor = "multi_thread")]
async fn errors_stay_readable() {
    let mut server = Server::with_market(options()).await;
    let key = "k".repeat(1 << 20);
    let nowhere = |n| pb::Worker { home_city: "nowhere".into(), ..worker(n) };
    let labels = [(key.clone(), String::new())].into();
    let many = pb::UpsertWorkersRequest {
        atomic: true,
        ..upsert_workers((0..10_000).map(nowhere).collect())
    };
    let long = pb::UpsertWorkersRequest {
        atomic: true,
        ..upsert_workers(vec![pb::Worker { labels, ..worker(1) }])
    };
    for (request, fields) in [(many, 10..), (long.clone(), 1..)] {
        let status = server.api.pool.upsert_workers(request).await.unwrap_err();
        let bytes = status.details().len() + status.message().len();
        assert!(bytes < 6_000, "{bytes} bytes of status");
        let refused = refused(Err::<(), _>(status));
        assert!(fields.contains(&refused.fields.len()), "{} fields", refused.fields.len());
    }
    let unknown = pb::GetMarketRequest { market: "é".repeat(100_000), ..Default::default() };
    let status = server.api.market.get_market(unknown).await.unwrap_err();
    assert!(status.message().len() < 1_000);
    refused_as(Err::<(), _>(status), Code::NotFound, "MARKET_NOT_FOUND", "market");
    let reply = pb::UpsertWorkersRequest { atomic: false, ..long };
    let reply = server.api.pool.upsert_workers(reply).await.unwrap().into_inner();
    assert!(reply.errors[0].field.len() < 1_000 && reply.errors[0].message.len() < 1_000);
}

// One reason after the other.

/// Goal: every call about a market that is not says so.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_markets() {
    let server = Server::start(options()).await;
    let (market, id) = (String::from("nope"), worker_id(1));
    macro_rules! unknown {
        ($client:ident.$method:ident($request:ident { $($field:ident: $value:expr),* })) => {{
            let mut client = server.api.$client.clone();
            #[allow(clippy::needless_update, reason = "some requests have no other field")]
            let request = pb::$request { market: market.clone(), $($field: $value,)* ..Default::default() };
            let answer = client.$method(request).await.map(|_| ());
            let found = refused(answer);
            let expected = (Code::NotFound, "MARKET_NOT_FOUND", "market");
            assert_eq!((found.code, found.reason.as_str(), found.field()), expected, stringify!($method));
        }};
    }
    unknown!(market.get_market(GetMarketRequest {}));
    unknown!(market.delete_market(DeleteMarketRequest {}));
    unknown!(market.upsert_cities(UpsertCitiesRequest {}));
    unknown!(market.list_cities(ListCitiesRequest {}));
    unknown!(market.upsert_regions(UpsertRegionsRequest {}));
    unknown!(market.list_regions(ListRegionsRequest {}));
    unknown!(market.set_move_costs(SetMoveCostsRequest {}));
    unknown!(market.list_move_costs(ListMoveCostsRequest {}));
    unknown!(pool.upsert_workers(UpsertWorkersRequest {}));
    unknown!(pool.upsert_vacancies(UpsertVacanciesRequest {}));
    unknown!(pool.withdraw_workers(WithdrawWorkersRequest {}));
    unknown!(pool.close_vacancies(CloseVacanciesRequest {}));
    unknown!(pool.get_worker(GetWorkerRequest { worker_id: id.clone() }));
    unknown!(pool.get_vacancy(GetVacancyRequest {}));
    unknown!(pool.list_workers(ListWorkersRequest {}));
    unknown!(pool.list_vacancies(ListVacanciesRequest {}));
    unknown!(pool.get_city_pool(GetCityPoolRequest {}));
    unknown!(matching.start_round(StartRoundRequest {}));
    unknown!(matching.get_round(GetRoundRequest {}));
    unknown!(matching.list_rounds(ListRoundsRequest {}));
    unknown!(matching.cancel_round(CancelRoundRequest {}));
    unknown!(matching.get_match(GetMatchRequest {}));
    unknown!(matching.list_matches(ListMatchesRequest {}));
    unknown!(matching.confirm_matches(ConfirmMatchesRequest {}));
    unknown!(matching.decline_matches(DeclineMatchesRequest {}));
    unknown!(matching.explain(ExplainRequest {}));
    unknown!(matching.verify(VerifyRequest {}));
    unknown!(matching.list_cutoffs(ListCutoffsRequest {}));
    unknown!(event.watch(WatchRequest {}));
    unknown!(event.list_events(ListEventsRequest {}));
    unknown!(event.get_watermark(GetWatermarkRequest {}));
    let update = pb::UpdateMarketRequest {
        market: Some(support::server::market("nope")),
        update_mask: Some(pbjson_types::FieldMask { paths: vec!["display_name".into()] }),
        ..Default::default()
    };
    let answer = server.api.market.clone().update_market(update).await;
    refused_as(answer, Code::NotFound, "MARKET_NOT_FOUND", "market.id");
    let message = pb::ImportWorkersRequest { market, ..Default::default() };
    let answer = server.api.pool.clone().import_workers(tokio_stream::once(message)).await;
    let first = answer.unwrap().into_inner().next().await.unwrap();
    refused_as(first, Code::NotFound, "MARKET_NOT_FOUND", "market");
}

/// Goal: a name is taken once, and can be used again once the market is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn markets_that_exist() {
    let mut server = Server::with_market(options()).await;
    let again = pb::CreateMarketRequest { market: Some(market(MARKET)) };
    let answer = server.api.market.create_market(again.clone()).await;
    refused_as(answer, Code::AlreadyExists, "MARKET_EXISTS", "market.id");
    let delete = pb::DeleteMarketRequest { market: MARKET.into(), ..Default::default() };
    server.api.market.delete_market(delete).await.unwrap();
    server.api.market.create_market(again).await.unwrap();
    for (asked, field) in [
        (None, "market"),
        (Some(market("")), "market.id"),
        (Some(market("a/b")), "market.id"),
        (Some(pb::Market { display_name: "x".repeat(201), ..market("n") }), "market.display_name"),
    ] {
        let answer =
            server.api.market.create_market(pb::CreateMarketRequest { market: asked }).await;
        refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", field);
    }
}

/// Goal: the city that a call is about is not found; one that an item refers to is a bad
/// argument (see also the tables of bad items).
#[tokio::test(flavor = "multi_thread")]
async fn unknown_cities() {
    let mut server = Server::with_market(options()).await;
    let (market, city) = (String::from(MARKET), String::from("nowhere"));
    let request =
        pb::GetCityPoolRequest { market: market.clone(), city: city.clone(), ..Default::default() };
    let answer = server.api.pool.get_city_pool(request).await;
    refused_as(answer, Code::NotFound, "CITY_NOT_FOUND", "city");
    let request =
        pb::ListWorkersRequest { market: market.clone(), city: city.clone(), ..Default::default() };
    let answer = server.api.pool.list_workers(request).await;
    refused_as(answer, Code::NotFound, "CITY_NOT_FOUND", "city");
    let filter = pb::EventFilter { cities: vec!["a".into(), city], ..Default::default() };
    let request = pb::ListEventsRequest { market, filter: Some(filter), ..Default::default() };
    let answer = server.api.event.list_events(request).await;
    refused_as(answer, Code::InvalidArgument, "CITY_NOT_FOUND", "filter.cities[1]");
}

/// Goal: reads of nobody are not found, and of no UUID are bad arguments.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_workers_and_vacancies() {
    let mut server = Server::with_market(options()).await;
    server.workers(vec![worker(1)]).await;
    let market = String::from(MARKET);
    for (id, code, reasons) in [
        (worker_id(9), Code::NotFound, ["WORKER_NOT_FOUND", "VACANCY_NOT_FOUND"]),
        ("9".into(), Code::InvalidArgument, ["INVALID_FIELD", "INVALID_FIELD"]),
    ] {
        let (worker_id, vacancy_id) = (id.clone(), id);
        let request = pb::GetWorkerRequest {
            market: market.clone(),
            worker_id: worker_id.clone(),
            ..Default::default()
        };
        let answer = server.api.pool.get_worker(request).await;
        refused_as(answer, code, reasons[0], "worker_id");
        let request = pb::GetMatchRequest {
            market: market.clone(),
            worker_id: worker_id.clone(),
            ..Default::default()
        };
        let answer = server.api.matching.get_match(request).await;
        refused_as(answer, code, reasons[0], "worker_id");
        let request =
            pb::ExplainRequest { market: market.clone(), worker_id, ..Default::default() };
        let answer = server.api.matching.explain(request).await;
        refused_as(answer, code, reasons[0], "worker_id");
        let request = pb::GetVacancyRequest {
            market: market.clone(),
            vacancy_id: vacancy_id.clone(),
            ..Default::default()
        };
        let answer = server.api.pool.get_vacancy(request).await;
        refused_as(answer, code, reasons[1], "vacancy_id");
        let request = pb::ExplainRequest {
            market: market.clone(),
            worker_id: support::server::worker_id(1),
            vacancy_id,
            ..Default::default()
        };
        let answer = server.api.matching.explain(request).await;
        refused_as(answer, code, reasons[1], "vacancy_id");
    }
}

/// Goal: a worker without a match has none, and none with another vacancy.
#[tokio::test(flavor = "multi_thread")]
async fn matches_that_are_not() {
    let mut server = Server::with_market(options()).await;
    server.workers(vec![worker(1)]).await;
    let request = pb::GetMatchRequest {
        market: MARKET.into(),
        worker_id: worker_id(1),
        ..Default::default()
    };
    let answer = server.api.matching.get_match(request).await;
    refused_as(answer, Code::NotFound, "MATCH_NOT_FOUND", "worker_id");
}

/// Goal: rounds that are unknown or have ended cannot be read or cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_that_are_not_running() {
    let mut server = Server::with_market(options()).await;
    let get = |round_id: String| pb::GetRoundRequest { market: MARKET.into(), round_id };
    let cancel = |round_id: String| pb::CancelRoundRequest { market: MARKET.into(), round_id };
    let answer = server.api.matching.get_round(get(String::new())).await;
    refused_as(answer, Code::NotFound, "ROUND_NOT_FOUND", "round_id");
    for (id, code, reason) in [
        (worker_id(1), Code::NotFound, "ROUND_NOT_FOUND"),
        ("x".into(), Code::InvalidArgument, "INVALID_FIELD"),
    ] {
        let answer = server.api.matching.get_round(get(id.clone())).await;
        refused_as(answer, code, reason, "round_id");
        let answer = server.api.matching.cancel_round(cancel(id)).await;
        refused_as(answer, code, reason, "round_id");
    }
    let round = server.clear().await;
    let answer = server.api.matching.cancel_round(cancel(round.id)).await;
    refused_as(answer, Code::FailedPrecondition, "ROUND_ENDED", "round_id");
}

/// Goal: one round runs at a time, and the refusal names it. Method: eight calls at once
/// on a market whose clearing takes longer than a call does; again until two have met.
#[tokio::test(flavor = "multi_thread")]
async fn one_round_at_a_time() {
    let mut server = Server::with_market(options()).await;
    server.workers((0..2_000).map(worker).collect()).await;
    server.vacancies((0..200).map(vacancy).collect()).await;
    let met = loop {
        let calls = (0..8).map(|_| {
            let mut matching = server.api.matching.clone();
            let request = pb::StartRoundRequest { market: MARKET.into(), ..Default::default() };
            tokio::spawn(async move { matching.start_round(request).await })
        });
        let calls: Vec<_> = calls.collect();
        let mut refusals = Vec::new();
        for call in calls {
            refusals.extend(call.await.unwrap().err());
        }
        let mut heads = server.markets.get(MARKET).unwrap().watch_head();
        heads.wait_for(|head| head.running_round().is_none()).await.unwrap();
        if let Some(status) = refusals.pop() {
            break status;
        }
    };
    let refused = refused_as(Err::<(), _>(met), Code::FailedPrecondition, "ROUND_RUNNING", "");
    let market = server.markets.get(MARKET).unwrap();
    let named = &refused.metadata["round_id"];
    assert!(market.head().rounds.iter().any(|round| round.id.to_string() == *named));
}

/// Goal: who is placed is placed: no change without `reopen`, no withdrawal, no decline,
/// and no fewer openings.
#[tokio::test(flavor = "multi_thread")]
async fn the_placed_are_placed() {
    let mut server = Server::with_market(options()).await;
    server.place().await;
    let pool = &mut server.api.pool;
    let whole = pb::UpsertWorkersRequest { atomic: true, ..upsert_workers(vec![worker(1)]) };
    let answer = pool.upsert_workers(whole).await;
    refused_as(answer, Code::FailedPrecondition, "WORKER_PLACED", "workers[0].id");
    let request = pb::WithdrawWorkersRequest {
        market: MARKET.into(),
        worker_ids: vec![worker_id(1)],
        atomic: true,
        ..Default::default()
    };
    let answer = pool.withdraw_workers(request).await;
    refused_as(answer, Code::FailedPrecondition, "WRONG_STATUS", "worker_ids[0]");
    let fewer = pb::Vacancy { openings: 0, ..vacancy(1) };
    let request = pb::UpsertVacanciesRequest { atomic: true, ..upsert_vacancies(vec![fewer]) };
    let answer = pool.upsert_vacancies(request).await;
    refused_as(answer, Code::InvalidArgument, "OPENINGS_BELOW_PLACED", "vacancies[0].openings");
    let request = pb::DeclineMatchesRequest {
        market: MARKET.into(),
        side: pb::MatchSide::Worker.into(),
        matches: keys(&[(1, 1)]),
        atomic: true,
        ..Default::default()
    };
    let answer = server.api.matching.decline_matches(request).await;
    refused_as(answer, Code::FailedPrecondition, "WRONG_STATUS", "matches[0]");
}

/// Goal: the same request under the same id gets the former reply, another request none:
/// also when it only looks the same to another method.
#[tokio::test(flavor = "multi_thread")]
async fn request_ids_are_good_for_one_request() {
    let mut server = Server::with_market(options()).await;
    let request_id = worker_id(77);
    let labels = (0..8).map(|n| (format!("label{n}"), n.to_string())).collect();
    let newcomer = pb::Worker { id: String::new(), labels, ..worker(1) };
    let request = pb::UpsertWorkersRequest {
        request_id: request_id.clone(),
        ..upsert_workers(vec![newcomer])
    };
    let first = server.api.pool.upsert_workers(request.clone()).await.unwrap().into_inner();
    for _ in 0..20 {
        let again = server.api.pool.upsert_workers(request.clone()).await.unwrap().into_inner();
        assert_eq!(again, first, "the former reply, made ids and all");
    }
    let other = pb::UpsertWorkersRequest { reopen: true, ..request };
    let answer = server.api.pool.upsert_workers(other).await;
    refused_as(answer, Code::FailedPrecondition, "REQUEST_ID_REUSED", "request_id");
    let bad = pb::UpsertWorkersRequest { request_id: "x".into(), ..upsert_workers(vec![]) };
    let answer = server.api.pool.upsert_workers(bad).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "request_id");

    // These two are the same bytes.
    let request_id = worker_id(78);
    let regions = pb::UpsertRegionsRequest {
        market: MARKET.into(),
        regions: vec![region("same")],
        request_id: request_id.clone(),
        ..Default::default()
    };
    let cities = pb::UpsertCitiesRequest {
        market: MARKET.into(),
        cities: vec![city("same")],
        request_id,
        ..Default::default()
    };
    server.api.market.upsert_regions(regions).await.unwrap();
    let answer = server.api.market.upsert_cities(cities).await;
    refused_as(answer, Code::FailedPrecondition, "REQUEST_ID_REUSED", "request_id");
}

/// Goal: a batch of an import can be tried again in another import, at another place in it.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_can_be_resumed_by_request_ids() {
    let mut server = Server::with_market(options()).await;
    let message = |market: &str, sequence, n| pb::ImportWorkersRequest {
        market: market.into(),
        sequence,
        workers: vec![worker(n)],
        request_id: worker_id(100 + n),
        ..Default::default()
    };
    let mut acks = Vec::new();
    for messages in [
        vec![message(MARKET, 1, 1), message("", 2, 2)],
        vec![message(MARKET, 1, 2), message("", 2, 3)],
    ] {
        let stream = server.api.pool.import_workers(tokio_stream::iter(messages)).await;
        let stream: Vec<_> = stream.unwrap().into_inner().collect().await;
        acks.extend(stream.into_iter().map(|ack| {
            let ack = ack.unwrap();
            (ack.sequence, ack.revision, ack.accepted)
        }));
    }
    let [(1, first, 1), (2, second, 1), (1, retried, 1), (2, third, 1)] = acks[..] else {
        panic!("{acks:?}")
    };
    assert_eq!((second, retried, third), (first + 1, first + 1, first + 2));
}

/// Goal: what belongs to a market that was deleted and made again is refused.
#[tokio::test(flavor = "multi_thread")]
async fn another_incarnation() {
    let mut server = Server::with_market(options()).await;
    let delete =
        |incarnation: String| pb::DeleteMarketRequest { market: MARKET.into(), incarnation };
    let answer = server.api.market.delete_market(delete(worker_id(1))).await;
    let refused =
        refused_as(answer, Code::FailedPrecondition, "INCARNATION_MISMATCH", "incarnation");
    let now = server.markets.get(MARKET).unwrap().incarnation().to_string();
    assert_eq!(refused.metadata["incarnation"], now);
    let position = pb::Position { incarnation: worker_id(1), revision: 1, index: 0 };
    let request = pb::ListEventsRequest {
        market: MARKET.into(),
        start: Some(position.clone()),
        ..Default::default()
    };
    let answer = server.api.event.list_events(request).await;
    let refused =
        refused_as(answer, Code::FailedPrecondition, "INCARNATION_MISMATCH", "start.incarnation");
    assert_eq!(refused.metadata["incarnation"], now);
    let answer = server.api.event.watch(from(position)).await;
    let field = "position.incarnation";
    let refused = refused_as(answer, Code::FailedPrecondition, "INCARNATION_MISMATCH", field);
    assert_eq!(refused.metadata["incarnation"], now);
}

fn from(position: pb::Position) -> pb::WatchRequest {
    pb::WatchRequest {
        market: MARKET.into(),
        start: Some(pb::watch_request::Start::Position(position)),
        ..Default::default()
    }
}

fn from_earliest() -> pb::WatchRequest {
    pb::WatchRequest {
        market: MARKET.into(),
        start: Some(pb::watch_request::Start::Earliest(pb::EarliestStart {})),
        ..Default::default()
    }
}

/// Goal: an update under an expectation that does not hold is refused with what holds.
#[tokio::test(flavor = "multi_thread")]
async fn another_revision() {
    let mut server = Server::with_market(options()).await;
    let update = |expected_revision, path: &str, market| pb::UpdateMarketRequest {
        market: Some(market),
        update_mask: Some(pbjson_types::FieldMask { paths: vec![path.into()] }),
        expected_revision,
        ..Default::default()
    };
    let now = server.revision();
    let renamed = pb::Market { display_name: "New".into(), ..market(MARKET) };
    for wrong in [now - 1, now + 1] {
        let request = update(wrong, "display_name", renamed.clone());
        let answer = server.api.market.update_market(request).await;
        let refused = refused_as(answer, Code::Aborted, "REVISION_MISMATCH", "expected_revision");
        assert_eq!(refused.metadata["revision"], now.to_string());
    }
    let request = update(now, "display_name", renamed.clone());
    let reply = server.api.market.update_market(request).await.unwrap().into_inner();
    assert_eq!((reply.revision, reply.market.unwrap().display_name), (now + 1, "New".into()));
    for path in ["id", "settings.lottery_seed", "settings.nothing", ""] {
        let answer = server.api.market.update_market(update(0, path, renamed.clone())).await;
        refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "update_mask");
    }
    let no_mask = pb::UpdateMarketRequest { update_mask: None, ..update(0, "", renamed) };
    let answer = server.api.market.update_market(no_mask).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "update_mask");
}

/// Goal: a start after the newest event or before the retained history is refused with the
/// position that is possible; so is a revision that has not been.
#[tokio::test(flavor = "multi_thread")]
async fn positions_that_are_not() {
    let mut server = Server::with_market(Options { history_bytes_max: 4_000, ..options() }).await;
    for n in 0..100 {
        server.workers(vec![worker(n)]).await;
    }
    let request = pb::GetWatermarkRequest { market: MARKET.into() };
    let marks = server.api.event.get_watermark(request).await.unwrap().into_inner();
    let (oldest, newest) = (marks.oldest.unwrap(), marks.newest.unwrap());
    assert!(oldest.revision > 2 && newest.revision == server.revision() + 1);
    let at = |revision, index| pb::Position { incarnation: String::new(), revision, index };
    let future = [at(newest.revision, 1), at(newest.revision + 1, 0), at(u64::MAX, 0)];
    let past = [at(0, 0), at(1, 0), at(oldest.revision - 1, 9)];
    for (positions, reason, possible) in
        [(&future, "POSITION_IN_FUTURE", &newest), (&past, "POSITION_TRIMMED", &oldest)]
    {
        for position in positions {
            let answer = server.api.event.watch(from(position.clone())).await;
            let refused = refused_as(answer, Code::OutOfRange, reason, "position");
            assert_eq!(refused.metadata["revision"], possible.revision.to_string());
            assert_eq!(refused.metadata["index"], "0");
            assert_eq!(refused.metadata["incarnation"], possible.incarnation);
        }
    }
    // The place after the newest event, and the oldest one, are allowed.
    server.api.event.watch(from(newest)).await.unwrap();
    server.api.event.watch(from(oldest)).await.unwrap();
    let request = pb::WatchRequest { start: None, ..from(at(0, 0)) };
    let answer = server.api.event.watch(request).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "start");

    let at_least_revision = server.revision() + 1;
    let request = pb::GetMarketRequest { market: MARKET.into(), at_least_revision };
    let answer = server.api.market.get_market(request).await;
    refused_as(answer, Code::OutOfRange, "POSITION_IN_FUTURE", "at_least_revision");
}

/// Goal: a page token is good for its own call alone: not malformed, not of another
/// method, filter, market, nor of the list of markets.
#[tokio::test(flavor = "multi_thread")]
async fn page_tokens_from_elsewhere() {
    let mut server = Server::with_market(options()).await;
    server.workers((0..3).map(worker).collect()).await;
    server.vacancies((0..3).map(vacancy).collect()).await;
    server.make(market("n")).await;
    let workers = |city: &str, page_token: &str| pb::ListWorkersRequest {
        market: MARKET.into(),
        city: city.into(),
        page_size: 1,
        page_token: page_token.into(),
        ..Default::default()
    };
    let token = server.api.pool.list_workers(workers("", "")).await.unwrap().into_inner();
    let token = token.next_page_token;
    assert!(server.api.pool.list_workers(workers("", &token)).await.is_ok());
    let markets =
        |page_token: &str| pb::ListMarketsRequest { page_size: 1, page_token: page_token.into() };
    let of_markets = server.api.market.list_markets(markets("")).await.unwrap().into_inner();
    let of_markets = of_markets.next_page_token;
    let next = server.api.market.list_markets(markets(&of_markets)).await.unwrap().into_inner();
    assert_eq!((next.markets[0].id.as_str(), next.next_page_token.as_str()), ("n", ""));
    let invalid = |answer| {
        refused_as(answer, Code::InvalidArgument, "PAGE_TOKEN_INVALID", "page_token");
    };
    for bad in ["x", &token[1..], &token.replace('0', "g"), &format!("{token}0"), &of_markets] {
        invalid(server.api.pool.list_workers(workers("", bad)).await.map(drop));
    }
    invalid(server.api.pool.list_workers(workers("a", &token)).await.map(drop));
    let elsewhere = pb::ListWorkersRequest { market: "n".into(), ..workers("", &token) };
    invalid(server.api.pool.list_workers(elsewhere).await.map(drop));
    let vacancies = pb::ListVacanciesRequest {
        market: MARKET.into(),
        page_token: token.clone(),
        ..Default::default()
    };
    invalid(server.api.pool.list_vacancies(vacancies).await.map(drop));
    for bad in ["m", "x y", &token] {
        invalid(server.api.market.list_markets(markets(bad)).await.map(drop));
    }
    let negative = pb::ListWorkersRequest { page_size: -1, ..workers("", "") };
    let answer = server.api.pool.list_workers(negative).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "page_size");
}

/// Goal: the snapshots behind page tokens are few; an older token says that it expired.
#[tokio::test(flavor = "multi_thread")]
async fn page_tokens_of_long_ago() {
    let mut server = Server::with_market(options()).await;
    server.workers((0..3).map(worker).collect()).await;
    let list = |page_token: String| pb::ListWorkersRequest {
        market: MARKET.into(),
        page_size: 1,
        page_token,
        ..Default::default()
    };
    let mut tokens = Vec::new();
    for n in 0..=gale::domain::limits::PINNED_SNAPSHOTS_MAX as u64 {
        server.workers(vec![worker(100 + n)]).await;
        let page = server.api.pool.list_workers(list(String::new())).await.unwrap().into_inner();
        tokens.push(page.next_page_token);
    }
    let answer = server.api.pool.list_workers(list(tokens[0].clone())).await;
    refused_as(answer, Code::FailedPrecondition, "PAGE_TOKEN_EXPIRED", "page_token");
    for token in &tokens[1..] {
        server.api.pool.list_workers(list(token.clone())).await.unwrap();
    }
}

/// Goal: a server that has all the markets it may have makes no more (`tests/limits.rs`
/// has the other limits).
#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_server() {
    let mut server = Server::with_market(Options { markets_max: 1, ..options() }).await;
    let request = pb::CreateMarketRequest { market: Some(market("n")) };
    let answer = server.api.market.create_market(request).await;
    refused_as(answer, Code::ResourceExhausted, "LIMIT_REACHED", "market");
}

/// Goal: a subscriber whose connection takes nothing is cut, with the position to resume
/// from. Method: more events than the connection's windows hold, and nobody reads them
/// until the server has given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_who_does_not_read() {
    let stall = Duration::from_millis(200);
    let mut server = Server::with_market(Options { subscriber_stall: stall, ..options() }).await;
    for start in 0..10 {
        let first = 10_000 * start;
        server.workers((first..first + 5_000).map(worker).collect()).await;
    }
    let mut stream = server.api.event.watch(from_earliest()).await.unwrap().into_inner();
    let counted = || server.markets.get(MARKET).unwrap().subscribers();
    while counted() > 0 {
        tokio::task::yield_now().await;
    }
    let mut next = None;
    let status = loop {
        match stream.next().await.expect("the stream ends with a status") {
            Ok(message) => next = message.next,
            Err(status) => break status,
        }
    };
    let refused =
        refused_as(Err::<(), _>(status), Code::ResourceExhausted, "SUBSCRIBER_STALLED", "");
    let next = next.expect("something was delivered");
    assert_eq!(refused.metadata["revision"], next.revision.to_string());
    assert_eq!(refused.metadata["index"], next.index.to_string());
    assert!(next.revision < server.revision(), "not all of it");
}

/// Goal: settings without a proven mechanism are refused at creation and at every change.
#[tokio::test(flavor = "multi_thread")]
async fn mechanisms_that_are_not_proved() {
    let mut server = Server::with_market(options()).await;
    let settings = pb::Settings {
        proposing_side: pb::ProposingSide::Vacancy.into(),
        cap_order: pb::CapOrder::Targets.into(),
        ..Default::default()
    };
    let asked = pb::Market { settings: Some(settings.clone()), ..market("n") };
    let answer =
        server.api.market.create_market(pb::CreateMarketRequest { market: Some(asked) }).await;
    let field = "market.settings.proposing_side";
    refused_as(answer, Code::FailedPrecondition, "UNSUPPORTED_MECHANISM", field);
    let update = |path: &str| pb::UpdateMarketRequest {
        market: Some(pb::Market { settings: Some(settings.clone()), ..market(MARKET) }),
        update_mask: Some(pbjson_types::FieldMask { paths: vec![path.into()] }),
        ..Default::default()
    };
    server.api.market.update_market(update("settings.cap_order")).await.unwrap();
    let answer = server.api.market.update_market(update("settings.proposing_side")).await;
    refused_as(answer, Code::FailedPrecondition, "UNSUPPORTED_MECHANISM", field);
    let unknown = pb::Settings { cap_order: 9, ..Default::default() };
    let asked = pb::Market { settings: Some(unknown), ..market("n") };
    let answer =
        server.api.market.create_market(pb::CreateMarketRequest { market: Some(asked) }).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "market.settings.cap_order");
}

/// Goal: settings that would do nothing together are refused at creation and at every
/// change, with the one to blame.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_would_do_nothing() {
    let mut server = Server::with_market(options()).await;
    let continuous =
        pb::Clearing { mode: pb::clearing::Mode::Continuous.into(), ..Default::default() };
    let settings = |window, place_after_seconds, confirm_after_rounds| pb::Settings {
        confirmation_window_seconds: window,
        place_after_seconds,
        confirm_after_rounds,
        clearing: (confirm_after_rounds > 0).then_some(continuous),
        ..Default::default()
    };
    let cases = [
        (settings(60, 60, 0), "place_after_seconds", "confirmation_window_seconds"),
        (settings(60, 61, 0), "place_after_seconds", "confirmation_window_seconds"),
        (settings(0, 0, 1), "confirm_after_rounds", "clearing"),
    ];
    for (settings, field, other) in cases {
        let blamed = format!("market.settings.{field}");
        let asked = pb::Market { settings: Some(settings.clone()), ..market("n") };
        let request = pb::CreateMarketRequest { market: Some(asked) };
        let answer = server.api.market.create_market(request).await;
        refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", &blamed);
        let update = |field: &str, settings: &pb::Settings| pb::UpdateMarketRequest {
            market: Some(pb::Market { settings: Some(settings.clone()), ..market(MARKET) }),
            update_mask: Some(pbjson_types::FieldMask { paths: vec![format!("settings.{field}")] }),
            ..Default::default()
        };
        for (first, second) in [(field, other), (other, field)] {
            let none = pb::Settings::default();
            server.api.market.update_market(update(first, &settings)).await.unwrap();
            let answer = server.api.market.update_market(update(second, &settings)).await;
            refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", &blamed);
            let reply = server.api.market.update_market(update(first, &none)).await.unwrap();
            let kept = reply.into_inner().market.unwrap().settings.unwrap();
            assert_eq!((kept.place_after_seconds, kept.confirm_after_rounds), (0, 0));
        }
    }
    let fine = pb::Market { settings: Some(settings(60, 59, 0)), ..market("n") };
    let made = server.make(fine).await.settings.unwrap();
    assert_eq!((made.confirmation_window_seconds, made.place_after_seconds), (60, 59));
}

/// Goal: a run that is not kept cannot be compared.
#[tokio::test(flavor = "multi_thread")]
async fn scenarios_that_are_not_kept() {
    let mut server = Server::with_market(options()).await;
    let request = pb::CompareScenariosRequest {
        market: MARKET.into(),
        run: "s1".into(),
        ..Default::default()
    };
    let answer = server.api.planning.compare_scenarios(request).await;
    refused_as(answer, Code::NotFound, "SCENARIO_NOT_FOUND", "run");
}

/// Goal: a market with changes that has never been cleared has nothing to verify.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_verify() {
    let mut server = Server::with_market(options()).await;
    server.workers(vec![worker(1)]).await;
    let request = pb::VerifyRequest { market: MARKET.into() };
    let answer = server.api.matching.verify(request.clone()).await;
    refused_as(answer, Code::FailedPrecondition, "NOT_CLEARED", "market");
    server.clear().await;
    server.api.matching.verify(request).await.unwrap();
}

/// Goal: a unary call past its deadline says DEADLINE_EXCEEDED, and the round that it
/// started outlives it. Method: the server's own default deadline is nothing at all, and
/// the round takes longer; the market is filled in the server's own process.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_of_unary_calls() {
    let unary_deadline = Duration::ZERO;
    let mut server = Server::start(Options { unary_deadline, ..options() }).await;
    let market =
        server.markets.create(support::world::creation(Default::default(), 1)).await.unwrap();
    let mut heads = market.watch_head();
    let cities = support::world::batch([gale::domain::CitySpec {
        region: None,
        ..support::world::city(support::world::HOME)
    }]);
    for command in [
        gale::state::Command::UpsertCities(cities),
        support::world::upsert((0..20_000).map(support::world::worker)),
        support::world::offer((0..1_000).map(support::world::vacancy)),
    ] {
        market.submit(command, None, 1).await.unwrap();
    }
    let request = pb::StartRoundRequest {
        market: market.name().to_string(),
        wait: true,
        ..Default::default()
    };
    // A call whose message comes a moment after its headers ends before it has started.
    while market.head().rounds.is_empty() {
        let answer = server.api.matching.start_round(request.clone()).await;
        refused_as(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let head = heads.wait_for(|head| head.last_cleared().is_some()).await.unwrap();
    assert_eq!(head.totals.matched, 1_000);
}

/// Goal: when the server stops, streams end with UNAVAILABLE and where to resume.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_server_that_stops() {
    let mut server = Server::with_market(options()).await;
    let mut stream = server.api.event.watch(from_earliest()).await.unwrap().into_inner();
    let mut next = stream.next().await.unwrap().unwrap().next.unwrap();
    while next.revision <= server.revision() {
        next = stream.next().await.unwrap().unwrap().next.unwrap();
    }
    server.ask_to_stop();
    let status = loop {
        match stream.next().await.expect("the stream ends with a status") {
            Ok(message) => assert!(message.checkpoint),
            Err(status) => break status,
        }
    };
    let refused = refused_as(Err::<(), _>(status), Code::Unavailable, "SHUTTING_DOWN", "");
    assert_eq!(refused.metadata["revision"], next.revision.to_string());
    drop(stream);
    server.stop().await;
}

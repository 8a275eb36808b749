//! Both calls over gRPC: pages, revisions, errors with their fields, limits of a reply.

use super::support::server::*;
use gale::domain::limits::*;
use gale::proto::v1 as pb;
use gale::proto::v1::figure::Result as Content;
use pb::planning_service_client::PlanningServiceClient;
use std::time::Duration;
use tonic::Code;
use tonic::transport::Channel;

async fn planning(server: &Server) -> PlanningServiceClient<Channel> {
    PlanningServiceClient::new(connect(server.address).await)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
}

fn of_market() -> pb::GetIndicatorsRequest {
    pb::GetIndicatorsRequest { market: MARKET.into(), ..Default::default() }
}

fn of_cities() -> pb::ListCityIndicatorsRequest {
    pb::ListCityIndicatorsRequest { market: MARKET.into(), ..Default::default() }
}

fn value(figure: &Option<pb::Figure>) -> f64 {
    match figure.as_ref().and_then(|figure| figure.result) {
        Some(Content::Value(value)) => value,
        other => panic!("no value: {other:?}"),
    }
}

fn undefined(figure: &Option<pb::Figure>) -> pb::UndefinedReason {
    match figure.as_ref().and_then(|figure| figure.result) {
        Some(Content::Undefined(reason)) => pb::UndefinedReason::try_from(reason).unwrap(),
        other => panic!("defined: {other:?}"),
    }
}

/// Goal: figures arrive with their inputs and reasons, what was not asked for is absent,
/// and what was is there.
#[tokio::test]
async fn figures_arrive() {
    let mut server = Server::with_market(options()).await;
    server.workers(vec![worker(1), worker(2)]).await;
    let revision = server.vacancies(vec![vacancy(1)]).await;
    server.clear().await;
    let mut planning = planning(&server).await;
    let request = pb::GetIndicatorsRequest { at_least_revision: revision, ..of_market() };
    let reply = planning.get_indicators(request).await.unwrap().into_inner();
    assert_eq!(reply.revision, server.revision());
    assert_eq!((reply.label_key.as_str(), reply.prefix_length), ("occupation", 0));
    assert_eq!((reply.groups_total, reply.regions_total), (1, 0));
    let market = reply.market.unwrap();
    let pools = market.pools.unwrap();
    assert_eq!(value(&pools.tightness), 0.5);
    let input = |name: &str, value| pb::Input { name: name.into(), value };
    let inputs = pools.tightness.unwrap().inputs;
    assert_eq!(inputs, [input("openings", 1.0), input("seekers", 2.0)]);
    assert_eq!(undefined(&market.sizes.unwrap().primacy), pb::UndefinedReason::NoPopulation);
    assert_eq!((pools.first_choice, market.mismatch_split), (None, None));

    let request =
        pb::GetIndicatorsRequest { first_choices: true, mismatch_split: true, ..of_market() };
    let reply = planning.get_indicators(request).await.unwrap().into_inner();
    let market = reply.market.unwrap();
    assert_eq!(value(&market.pools.unwrap().first_choice), 1.0);
    assert_eq!(market.mismatch_split.unwrap().matches, [1; 8]);

    let reply = planning.list_city_indicators(of_cities()).await.unwrap().into_inner();
    let [a, b] = &reply.cities[..] else { panic!("two cities") };
    assert_eq!((a.city.as_str(), b.city.as_str()), ("a", "b"));
    assert!(a.attractiveness.is_none() && a.differential.is_none());
    let request =
        pb::ListCityIndicatorsRequest { first_choices: true, differentials: true, ..of_cities() };
    let reply = planning.list_city_indicators(request).await.unwrap().into_inner();
    assert_eq!(value(&reply.cities[0].attractiveness), 1.0);
    let differential = reply.cities[1].differential.as_ref().unwrap();
    assert_eq!((differential.asked, differential.qualified), (2, 0));
    assert_eq!(undefined(&differential.pay_p50), pb::UndefinedReason::TooFew);
    server.stop().await;
}

/// Goal: all pages are of the first one's revision, hold every city once, and a token is
/// good for its own list alone.
#[tokio::test]
async fn pages_of_cities() {
    let mut server = Server::with_market(options()).await;
    server.cities(["c", "d", "e"].map(city)).await;
    let mut planning = planning(&server).await;
    let (mut names, mut revisions, mut token) = (vec![], vec![], String::new());
    loop {
        let request = pb::ListCityIndicatorsRequest {
            page_size: 2,
            page_token: token.clone(),
            ..of_cities()
        };
        let page = planning.list_city_indicators(request).await.unwrap().into_inner();
        names.extend(page.cities.into_iter().map(|city| city.city));
        revisions.push(page.revision);
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
        server.workers(vec![worker(names.len() as u64)]).await;
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert_eq!(revisions, [revisions[0]; 3], "pinned");
    let request =
        pb::ListCityIndicatorsRequest { page_token: token, prefix_length: 2, ..of_cities() };
    refused_as(
        planning.list_city_indicators(request).await,
        Code::InvalidArgument,
        "PAGE_TOKEN_INVALID",
        "page_token",
    );
    server.stop().await;
}

/// Goal: each bad request is refused with its code, reason and field, by both calls.
#[tokio::test]
async fn bad_requests() {
    let server = Server::with_market(options()).await;
    let mut planning = planning(&server).await;
    let invalid = (Code::InvalidArgument, "INVALID_FIELD");
    let long = "k".repeat(LABEL_KEY_BYTES_MAX + 1);
    let cases = [
        (
            pb::GetIndicatorsRequest { market: "none".into(), ..of_market() },
            (Code::NotFound, "MARKET_NOT_FOUND"),
            "market",
        ),
        (
            pb::GetIndicatorsRequest { at_least_revision: 1_000, ..of_market() },
            (Code::OutOfRange, "POSITION_IN_FUTURE"),
            "at_least_revision",
        ),
        (pb::GetIndicatorsRequest { label_key: long, ..of_market() }, invalid, "label_key"),
        (
            pb::GetIndicatorsRequest {
                prefix_length: LABEL_VALUE_BYTES_MAX as u32 + 1,
                ..of_market()
            },
            invalid,
            "prefix_length",
        ),
        (pb::GetIndicatorsRequest { groups_max: -1, ..of_market() }, invalid, "groups_max"),
    ];
    for (request, (code, reason), field) in cases {
        refused_as(planning.get_indicators(request.clone()).await, code, reason, field);
        if field == "groups_max" {
            continue;
        }
        let request = pb::ListCityIndicatorsRequest {
            market: request.market,
            at_least_revision: request.at_least_revision,
            label_key: request.label_key,
            prefix_length: request.prefix_length,
            ..Default::default()
        };
        refused_as(planning.list_city_indicators(request).await, code, reason, field);
    }
    let pages = [
        (pb::ListCityIndicatorsRequest { page_size: -1, ..of_cities() }, "page_size"),
        (pb::ListCityIndicatorsRequest { specialities_max: -1, ..of_cities() }, "specialities_max"),
    ];
    for (request, field) in pages {
        let reply = planning.list_city_indicators(request).await;
        refused_as(reply, Code::InvalidArgument, "INVALID_FIELD", field);
    }
    // At the limits.
    let request = pb::GetIndicatorsRequest {
        label_key: "k".repeat(LABEL_KEY_BYTES_MAX),
        prefix_length: LABEL_VALUE_BYTES_MAX as u32,
        ..of_market()
    };
    planning.get_indicators(request).await.unwrap();
    server.stop().await;
}

/// Goal: groups and regions of a reply, and specialities of a city, stop at their limits,
/// the largest first, and the totals say how many there are.
#[tokio::test]
async fn rows_of_a_reply() {
    let mut server = Server::with_market(options()).await;
    let many = INDICATOR_ROWS_MAX as u64 + 1;
    let regions = (0..many).map(|number| region(&format!("r{number}")));
    let request = pb::UpsertRegionsRequest {
        market: MARKET.into(),
        regions: regions.collect(),
        ..Default::default()
    };
    server.api.market.upsert_regions(request).await.unwrap();
    let labels = |number: u64| [("occupation".to_owned(), format!("g{number:04}"))].into();
    let elsewhere = pb::Vacancy { city: "b".into(), labels: labels(0), ..vacancy(9_999) };
    let here = (1..=many).map(|number| pb::Vacancy {
        labels: labels(number),
        openings: if number == 7 { 2 } else { 1 },
        ..vacancy(number)
    });
    server.vacancies(here.chain([elsewhere]).collect()).await;
    let mut planning = planning(&server).await;
    for (asked, rows) in [(0, INDICATOR_GROUPS_DEFAULT), (i32::MAX, INDICATOR_ROWS_MAX), (5, 5)] {
        let request = pb::GetIndicatorsRequest { groups_max: asked, ..of_market() };
        let reply = planning.get_indicators(request).await.unwrap().into_inner();
        assert_eq!((reply.groups.len(), reply.groups_total), (rows, many as u32 + 1));
        assert_eq!(reply.groups[0].group, "g0007");
        assert_eq!((reply.regions.len(), reply.regions_total), (INDICATOR_ROWS_MAX, many as u32));
    }
    for (asked, rows) in [(0, SPECIALITIES_DEFAULT), (i32::MAX, SPECIALITIES_MAX), (1, 1)] {
        let request = pb::ListCityIndicatorsRequest { specialities_max: asked, ..of_cities() };
        let reply = planning.list_city_indicators(request).await.unwrap().into_inner();
        let found = reply.cities[0].specialisation.as_ref().unwrap();
        assert_eq!(found.specialities.len(), rows);
        assert_eq!(found.specialities[0].group, "g0007");
    }
    server.stop().await;
}

/// Goal: who comes when all places are taken waits, a caller who leaves gives the place
/// back, and a server that stops does not wait for either. Method: calls that end at their
/// deadline, many at once; then one that must go through.
#[tokio::test]
async fn callers_who_leave_make_room() {
    let mut server = Server::with_market(options()).await;
    server.workers((1..=2_000).map(worker).collect()).await;
    server.vacancies((1..=500).map(vacancy).collect()).await;
    let planning = planning(&server).await;
    let request = || pb::GetIndicatorsRequest { mismatch_split: true, ..of_market() };
    let hurried: Vec<_> = (0..4 * PLANNING_CALLS_MAX)
        .map(|_| {
            let mut planning = planning.clone();
            let mut call = tonic::Request::new(request());
            call.set_timeout(Duration::from_millis(1));
            tokio::spawn(async move { planning.get_indicators(call).await.map(|_| ()) })
        })
        .collect();
    for call in hurried {
        if let Err(status) = call.await.unwrap() {
            assert_eq!(status.code(), Code::DeadlineExceeded);
        }
    }
    let mut patient = planning.clone();
    let found = patient.get_indicators(request()).await.unwrap().into_inner().market.unwrap();
    assert_eq!(found.mismatch_split.unwrap().matches[0], 500);
    let mut waiting = planning.clone();
    let last = tokio::spawn(async move { waiting.get_indicators(request()).await.map(|_| ()) });
    server.stop().await;
    if let Err(status) = last.await.unwrap() {
        assert!([Code::Unavailable, Code::Unknown].contains(&status.code()), "{status:?}");
    }
}

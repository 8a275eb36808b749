//! `PriceGuidance` over gRPC.

use crate::support::server::{self, MARKET, Server, options, refused_as};
use gale::domain::limits::{GUIDANCE_CHANGES_MAX, INTAKE_CAP_MAX, MONEY_MAX};
use gale::proto::v1 as pb;
use pb::policy_change::Change;
use pb::price_guidance_response::Step;
use tonic::{Code, Status};

fn request() -> pb::PriceGuidanceRequest {
    pb::PriceGuidanceRequest { market: MARKET.into(), ..Default::default() }
}

fn city_cap(place: &str, cap: Option<u64>) -> Change {
    Change::CityCap(pb::CapChange { place: place.into(), cap })
}

fn subsidy(origin: &str, destination: &str, subsidy: i64) -> Change {
    let (origin, destination) = (origin.into(), destination.into());
    Change::Subsidy(pb::SubsidyChange { origin, destination, subsidy })
}

fn with(changes: impl IntoIterator<Item = Change>) -> pb::PriceGuidanceRequest {
    let changes = changes.into_iter().map(|change| pb::PolicyChange { change: Some(change) });
    pb::PriceGuidanceRequest { changes: changes.collect(), ..request() }
}

async fn price(
    server: &mut Server,
    request: pb::PriceGuidanceRequest,
) -> Result<pb::GuidancePrice, Status> {
    let mut steps = server.api.planning.price_guidance(request).await?.into_inner();
    let mut price = None;
    while let Some(reply) = steps.message().await? {
        assert!(price.is_none(), "the price is the last message");
        match reply.step.expect("a step") {
            Step::Progress(now) => assert!(now.done <= now.total),
            Step::Price(found) => price = Some(found),
        }
    }
    Ok(price.expect("a price"))
}

/// A market in which ten workers of `a` would all go to `b`, which pays more, but for two.
async fn busy() -> Server {
    let mut server = Server::with_market(options()).await;
    let occupation = |number: u64| if number < 4 { "15-1252" } else { "29-1141" };
    let worker = |number: u64| pb::Worker {
        labels: [("occupation".to_owned(), occupation(number).to_owned())].into(),
        ..server::worker(number)
    };
    server.workers((0..10).map(worker).collect()).await;
    let job = |number: u64, city: &str, salary: i64, openings: u32| pb::Vacancy {
        city: city.into(),
        salary,
        openings,
        ..server::vacancy(number)
    };
    server.vacancies(vec![job(1, "a", 55_000, 5), job(2, "b", 70_000, 8)]).await;
    server
}

/// Goal: a cap that is only tried shows in the price and nowhere else, with people counted
/// by city and group, in words, and at the revision that it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_cap_is_tried() {
    let mut server = busy().await;
    let asked = pb::PriceGuidanceRequest {
        label_key: "occupation".into(),
        prefix_length: 2,
        city: "b".into(),
        fill: 2,
        ..with([city_cap("b", Some(6))])
    };
    let revision = server.revision();
    let found = price(&mut server, asked).await.unwrap();
    let (alone, guided) = (found.unguided.unwrap(), found.guided.unwrap());
    assert_eq!((alone.matched, alone.moved, guided.matched, guided.moved), (10, 8, 10, 6));
    assert_eq!(alone.pay - guided.pay, 2 * 15_000);
    let all = found.effects.unwrap();
    assert_eq!((all.lose, all.gain, all.unaffected, all.value_lost), (2, 0, 8, 30_000));
    let groups: Vec<_> =
        found.groups.iter().map(|g| (g.group.as_str(), g.workers.unwrap().workers)).collect();
    assert_eq!((groups, found.groups_total), (vec![("29", 6), ("15", 4)], 2));
    let b = &found.cities[1];
    assert_eq!((b.city.as_str(), b.openings, b.filled_unguided, b.filled_guided), ("b", 8, 8, 6));
    assert!(b.certain && b.sentence.contains("2 stay empty"), "{}", b.sentence);
    let cap = &found.caps[0];
    assert_eq!((cap.place.as_str(), cap.capacity, cap.held, cap.refused), ("b", 6, 6, 4));
    assert_eq!(cap.cutoff_bp, Some(10_000));
    // They all score the same: only the lottery keeps them out, and no pay helps.
    assert_eq!(cap.price, Some(pb::cap_price::Price::NoPrice(4)));
    assert!(found.remedies.len() == 3 && found.remedies.iter().all(|remedy| !remedy.found));
    assert_eq!((found.revision, server.revision()), (revision, revision), "nothing has changed");
    let none = price(&mut server, request()).await.unwrap();
    assert_eq!(none.effects.unwrap().unaffected, 10);
    assert_eq!(none.caps, []);
}

/// Goal: what the market has is priced, a change lifts it, and placements stay outside.
#[tokio::test(flavor = "multi_thread")]
async fn the_markets_own_guidance_is_priced() {
    let mut server = busy().await;
    let capped = pb::City { intake_cap: Some(3), move_subsidy: 500, ..server::city("b") };
    server.cities([capped]).await;
    let found = price(&mut server, request()).await.unwrap();
    assert_eq!(found.caps[0].held, 3);
    let lifted = with([city_cap("b", None), subsidy("", "b", 0)]);
    assert_eq!(price(&mut server, lifted).await.unwrap().effects.unwrap().unaffected, 10);
    server.clear().await;
    let matches =
        pb::ListMatchesRequest { market: MARKET.into(), city: "b".into(), ..Default::default() };
    let held = server.api.matching.list_matches(matches).await.unwrap().into_inner().matches;
    for side in [pb::MatchSide::Worker, pb::MatchSide::Employer] {
        let key = pb::MatchKey {
            worker_id: held[0].worker_id.clone(),
            vacancy_id: held[0].vacancy_id.clone(),
        };
        let request = pb::ConfirmMatchesRequest {
            market: MARKET.into(),
            side: side.into(),
            matches: vec![key],
            ..Default::default()
        };
        server.api.matching.confirm_matches(request).await.unwrap();
    }
    let after = price(&mut server, request()).await.unwrap();
    assert_eq!((after.caps[0].capacity, after.guided.unwrap().workers), (2, 9));
    // A cap that is tried counts from now on.
    let tried = price(&mut server, with([city_cap("b", Some(3))])).await.unwrap();
    assert_eq!(tried.caps[0].capacity, 3);
}

/// Goal: every subsidy that is tried is spent where it is said to be.
#[tokio::test(flavor = "multi_thread")]
async fn a_subsidy_is_tried() {
    let mut server = busy().await;
    let fixed = pb::MoveCost {
        origin: "a".into(),
        destination: "b".into(),
        cost: Some(9_000),
        ..Default::default()
    };
    let request = pb::SetMoveCostsRequest {
        market: MARKET.into(),
        move_costs: vec![fixed],
        ..Default::default()
    };
    server.api.market.set_move_costs(request).await.unwrap();
    for change in [subsidy("", "b", 4_000), subsidy("a", "b", 4_000)] {
        let found = price(&mut server, with([change])).await.unwrap();
        let guided = found.guided.unwrap();
        assert_eq!((guided.moved, guided.subsidies, guided.move_cost), (8, 32_000, 40_000));
        assert_eq!(found.effects.unwrap().gain, 8);
    }
}

/// Goal: what is wrong is named with its field, and limits hold at the limit and one past it.
#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused() {
    let mut server = busy().await;
    let most = INTAKE_CAP_MAX;
    price(&mut server, with([city_cap("a", Some(most)), subsidy("a", "b", MONEY_MAX)]))
        .await
        .unwrap();
    let many = |count: usize| with((0..count).map(|_| city_cap("a", None)));
    price(&mut server, many(GUIDANCE_CHANGES_MAX)).await.unwrap();
    let invalid = (Code::InvalidArgument, "INVALID_FIELD");
    let unknown = (Code::NotFound, "CITY_NOT_FOUND");
    let absent = (Code::InvalidArgument, "CITY_NOT_FOUND");
    let region = Change::RegionCap(pb::CapChange { place: "r".into(), cap: Some(1) });
    let cases = [
        (many(GUIDANCE_CHANGES_MAX + 1), (Code::InvalidArgument, "TOO_MANY"), "changes"),
        (with([city_cap("a", Some(most + 1))]), invalid, "changes[0].city_cap.cap"),
        (with([city_cap("nowhere", None)]), absent, "changes[0].city_cap.place"),
        (
            with([region]),
            (Code::InvalidArgument, "REGION_NOT_FOUND"),
            "changes[0].region_cap.place",
        ),
        (with([subsidy("", "b", MONEY_MAX + 1)]), invalid, "changes[0].subsidy.subsidy"),
        (with([subsidy("", "b", -1)]), invalid, "changes[0].subsidy.subsidy"),
        (with([subsidy("b", "b", 1)]), invalid, "changes[0].subsidy.destination"),
        (
            pb::PriceGuidanceRequest { changes: vec![Default::default()], ..request() },
            invalid,
            "changes[0]",
        ),
        (pb::PriceGuidanceRequest { city: "nowhere".into(), ..request() }, unknown, "city"),
        (pb::PriceGuidanceRequest { label_key: "k".repeat(33), ..request() }, invalid, "label_key"),
        (pb::PriceGuidanceRequest { prefix_length: 65, ..request() }, invalid, "prefix_length"),
    ];
    for (asked, (code, reason), field) in cases {
        let answer = price(&mut server, asked).await;
        refused_as(answer, code, reason, field);
    }
    let future = pb::PriceGuidanceRequest { at_least_revision: 1_000, ..request() };
    let answer = price(&mut server, future).await;
    refused_as(answer, Code::OutOfRange, "POSITION_IN_FUTURE", "at_least_revision");
}

/// Goal: a server that stops ends a pricing; a caller who leaves keeps nothing busy.
#[tokio::test(flavor = "multi_thread")]
async fn a_pricing_ends_with_its_caller_and_its_server() {
    let mut server = busy().await;
    for _ in 0..10 {
        // Dropped at once, with its answer unread.
        drop(server.api.planning.price_guidance(request()).await.unwrap());
    }
    price(&mut server, request()).await.unwrap();
    server.stop().await;
}

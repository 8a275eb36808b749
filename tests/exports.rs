//! Exports as planners' tools read them, from a real server: every file, every column, and
//! their numbers against `ListFlows`.
//!
//! The market has names in several scripts, groups, two rounds and somebody placed. Tools
//! themselves (pandas, GDAL) are tried by `tests/exports/check`.

mod support;

#[path = "common/binary.rs"]
mod binary;

use gale::proto::v1 as pb;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::http::{Answer, ask, get};
use support::server::*;
use tonic::Code;

const CITY_COLUMNS: &str = "id,name,lat,lon,workers,vacancies,openings,matched,inflow,outflow,\
    net,tightness,cost_of_living,population,region,scenario,round,revision";
const FLOW_COLUMNS: &str = "origin,dest,count,time,round,revision,scenario,placed,distance_km,\
    mean_move_cost,total_move_cost,mean_salary,total_salary,mean_expected_salary,\
    total_expected_salary";
const KEPLER_COLUMNS: &str = "origin_lat,origin_lng,dest_lat,dest_lng,origin,dest,count,time,\
    origin_name,dest_name,round,revision,scenario,placed,distance_km,mean_move_cost,\
    total_move_cost,mean_salary,total_salary,mean_expected_salary,total_expected_salary";
const BOM: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Id, name, latitude, longitude.
const CITIES: [(&str, &str, f64, f64); 5] = [
    ("110100", "北京市", 39.9042, 116.4074),
    ("fr-paris", "Paris, \"la\" Ville", 48.8566, 2.3522),
    ("formula", "=1+1", -33.5, -70.6),
    ("fiji", "Suva", -18.1416, 178.4419),
    ("nobody", "", 0.0, 0.0),
];

fn labelled(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

/// A market of five cities: workers of three occupations seek from four of them; two rounds,
/// and some of the first are placed.
async fn planned() -> Server {
    let mut server = Server::start(options()).await;
    let settings = pb::Settings {
        lottery_seed: Some(1),
        fixed_move_cost: 1_000,
        move_cost_per_km: 1,
        confirmations: pb::Confirmations::Either.into(),
        ..Default::default()
    };
    let display_name = "规划 market".into();
    server.make(pb::Market { display_name, settings: Some(settings), ..market(MARKET) }).await;
    let regions = vec![region("asia")];
    let request = pb::UpsertRegionsRequest { market: MARKET.into(), regions, ..Default::default() };
    server.api.market.upsert_regions(request).await.unwrap();
    let cities = CITIES.map(|(id, name, latitude, longitude)| pb::City {
        display_name: name.into(),
        region: if id == "110100" { "asia".into() } else { String::new() },
        latitude,
        longitude,
        population: 1_000,
        ..city(id)
    });
    server.cities(cities).await;
    let worker = |n: u64| pb::Worker {
        home_city: CITIES[n as usize % 4].0.into(),
        expected_salary: 20_000 + n as i64,
        labels: labelled("occupation", ["29-1141", "29-1171", "15-1252"][n as usize % 3]),
        ..worker(n)
    };
    let vacancy = |n: u64| pb::Vacancy {
        city: CITIES[(n as usize * n as usize) % 4].0.into(),
        openings: 3 + n as u32 % 4,
        salary: 60_000 + 5_001 * n as i64,
        labels: labelled("occupation", "29-1141"),
        ..vacancy(n)
    };
    server.workers((1..=40).map(worker).collect()).await;
    server.vacancies((1..=6).map(vacancy).collect()).await;
    server.clear().await;
    let held = pb::ListMatchesRequest { market: MARKET.into(), page_size: 7, ..Default::default() };
    let held = server.api.matching.list_matches(held).await.unwrap().into_inner().matches;
    let key = |m: &pb::Match| pb::MatchKey {
        worker_id: m.worker_id.clone(),
        vacancy_id: m.vacancy_id.clone(),
    };
    let request = pb::ConfirmMatchesRequest {
        matches: held.iter().map(key).collect(),
        ..confirm(pb::MatchSide::Worker, &[])
    };
    assert_eq!(server.api.matching.confirm_matches(request).await.unwrap().into_inner().placed, 7);
    server.workers((41..=60).map(worker).collect()).await;
    server.vacancies((7..=9).map(vacancy).collect()).await;
    server.clear().await;
    server
}

fn list(market: &str) -> pb::ListFlowsRequest {
    pb::ListFlowsRequest { market: market.into(), ..Default::default() }
}

/// All flows that a request asks for, a few at a time.
async fn all_flows(server: &mut Server, mut request: pb::ListFlowsRequest) -> Vec<pb::Flow> {
    request.page_size = 3;
    let mut flows = Vec::new();
    loop {
        let reply = server.api.planning.list_flows(request.clone()).await.unwrap().into_inner();
        flows.extend(reply.flows);
        if reply.next_page_token.is_empty() {
            assert_eq!(reply.totals.unwrap().flows, flows.len() as u64);
            return flows;
        }
        request.page_token = reply.next_page_token;
    }
}

/// A file of the market.
async fn file(server: &Server, name: &str) -> Answer {
    let answer = get(server.admin, &format!("/export/{MARKET}/{name}")).await;
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    answer
}

type Row = BTreeMap<String, String>;

/// The rows of a CSV file by column.
fn rows(text: &[u8]) -> Vec<Row> {
    csv::Reader::from_reader(text).deserialize().map(|row| row.expect("a row")).collect()
}

fn header_of(answer: &Answer) -> String {
    answer.text().lines().next().unwrap_or_default().to_owned()
}

fn cell(row: &Row, column: &str) -> i64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
}

/// Goal: `flows.csv` says what `ListFlows` says, in the documented columns.
#[tokio::test]
async fn flows_as_csv_are_those_of_the_api() {
    let mut server = planned().await;
    let head = server.markets.get(MARKET).unwrap().head();
    let round = head.last_cleared().unwrap().id.to_string();
    for (query, request) in [
        ("", list(MARKET)),
        ("?moved_only=1", pb::ListFlowsRequest { moved_only: true, ..list(MARKET) }),
        ("?origin=110100", pb::ListFlowsRequest { origin: "110100".into(), ..list(MARKET) }),
        ("?dest=fr-paris", pb::ListFlowsRequest { destination: "fr-paris".into(), ..list(MARKET) }),
        (
            "?status=placed",
            pb::ListFlowsRequest { status: pb::MatchStatus::Placed.into(), ..list(MARKET) },
        ),
        (
            "?status=held",
            pb::ListFlowsRequest { status: pb::MatchStatus::Held.into(), ..list(MARKET) },
        ),
        ("?round=last", pb::ListFlowsRequest { round_id: round.clone(), ..list(MARKET) }),
        ("?min_count=3", pb::ListFlowsRequest { min_count: 3, ..list(MARKET) }),
        (
            "?group_label=occupation&group=29-1141",
            pb::ListFlowsRequest { group: filter("29-1141", false), ..list(MARKET) },
        ),
        (
            "?group_label=occupation&group_prefix=29&by=occupation",
            pb::ListFlowsRequest {
                group: filter("29", true),
                label_key: "occupation".into(),
                ..list(MARKET)
            },
        ),
        (
            "?by=occupation&by_prefix=2",
            pb::ListFlowsRequest {
                label_key: "occupation".into(),
                prefix_length: 2,
                ..list(MARKET)
            },
        ),
    ] {
        let answer = file(&server, &format!("flows.csv{query}")).await;
        let by = query.contains("by=");
        let columns = if by { format!("{FLOW_COLUMNS},occupation") } else { FLOW_COLUMNS.into() };
        assert_eq!(header_of(&answer), columns, "{query}");
        let wanted = all_flows(&mut server, request.clone()).await;
        assert!(!wanted.is_empty(), "{query}");
        let found = rows(&answer.body);
        assert_eq!(found.len(), wanted.len(), "{query}");
        let totals = server.api.planning.list_flows(request).await.unwrap().into_inner().totals;
        let newest = totals.unwrap().newest_match_at.unwrap();
        for (row, flow) in found.iter().zip(&wanted) {
            check_row(row, flow, &head.revision.to_string(), &round);
            assert_eq!(row.get("occupation").cloned().unwrap_or_default(), flow.group);
            let time = row["time"].strip_suffix('Z').expect("UTC");
            assert_eq!(time.len(), "2026-11-25T08:30:00.000".len());
            let millis = format!("{:03}", newest.nanos / 1_000_000);
            assert!(time.ends_with(&format!(".{millis}")), "{time} {newest:?}");
        }
    }
    server.stop().await;
}

fn filter(value: &str, prefix: bool) -> Option<pb::LabelFilter> {
    Some(pb::LabelFilter { key: "occupation".into(), value: value.into(), prefix })
}

fn check_row(row: &Row, flow: &pb::Flow, revision: &str, round: &str) {
    assert_eq!((row["origin"].as_str(), row["dest"].as_str()), (&*flow.origin, &*flow.destination));
    assert_eq!(cell(row, "count"), flow.count as i64);
    assert_eq!(row["placed"], flow.placed.map_or(String::new(), |placed| placed.to_string()));
    assert_eq!((row["revision"].as_str(), row["round"].as_str()), (revision, round));
    assert_eq!(row["scenario"], "baseline");
    for (column, number) in [
        ("distance_km", i64::from(flow.distance_km)),
        ("mean_move_cost", flow.mean_move_cost),
        ("total_move_cost", flow.total_move_cost.unwrap()),
        ("mean_salary", flow.mean_salary),
        ("total_salary", flow.total_salary.unwrap()),
        ("mean_expected_salary", flow.mean_expected_salary),
        ("total_expected_salary", flow.total_expected_salary.unwrap()),
    ] {
        assert_eq!(cell(row, column), number, "{column}");
    }
}

/// Goal: `locations.csv` has each city once, its pools as `GetCityPool` has them and its
/// flows as those of `flows.csv`; coordinates and names come back as they went in.
#[tokio::test]
async fn locations_add_up() {
    let mut server = planned().await;
    let answer = file(&server, "locations.csv").await;
    assert_eq!(header_of(&answer), CITY_COLUMNS);
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(answer.header("gale-revision"), server.revision().to_string());
    let flows = rows(&file(&server, "flows.csv").await.body);
    let found = rows(&answer.body);
    assert_eq!(found.len(), CITIES.len());
    for (row, (id, name, lat, lon)) in found.iter().zip(CITIES) {
        let name = if name.is_empty() { id } else { name };
        assert_eq!((row["id"].as_str(), row["name"].as_str()), (id, name));
        let degrees: [f64; 2] = ["lat", "lon"].map(|column| row[column].parse().unwrap());
        assert_eq!(degrees, [lat, lon]);
        let request =
            pb::GetCityPoolRequest { market: MARKET.into(), city: id.into(), ..Default::default() };
        let pool = server.api.pool.get_city_pool(request).await.unwrap().into_inner();
        let pool = pool.pool.unwrap();
        let workers = pool.searching + pool.matched;
        assert_eq!(cell(row, "workers"), workers as i64);
        assert_eq!(cell(row, "openings"), pool.openings as i64);
        let sum = |wanted: &dyn Fn(&Row) -> bool| -> i64 {
            flows.iter().filter(|flow| wanted(flow)).map(|flow| cell(flow, "count")).sum()
        };
        assert_eq!(cell(row, "matched"), sum(&|flow| flow["origin"] == id));
        let inflow = sum(&|flow| flow["dest"] == id && flow["origin"] != id);
        let outflow = sum(&|flow| flow["origin"] == id && flow["dest"] != id);
        assert_eq!((cell(row, "inflow"), cell(row, "outflow")), (inflow, outflow));
        assert_eq!(cell(row, "net"), inflow - outflow);
        if workers == 0 {
            assert_eq!(row["tightness"], "", "undefined is nothing, not 0");
        } else {
            let tightness: f64 = row["tightness"].parse().unwrap();
            assert_eq!(tightness, pool.openings as f64 / workers as f64);
        }
        assert_eq!(row["region"], if id == "110100" { "asia" } else { "" });
        assert_eq!((cell(row, "cost_of_living"), cell(row, "population")), (1_000, 1_000));
    }
    assert!(found.iter().any(|row| row["tightness"].is_empty()), "somewhere nobody seeks");
    assert!(found.iter().any(|row| cell(row, "net") != 0));
    server.stop().await;
}

/// Goal: spreadsheets see UTF-8 and compute nothing; nobody else sees a difference.
#[tokio::test]
async fn a_byte_order_mark_on_request() {
    let server = planned().await;
    let plain = file(&server, "locations.csv").await.body;
    let marked = file(&server, "locations.csv?bom=1").await.body;
    assert!(marked.starts_with(BOM) && !plain.starts_with(BOM));
    let formula = |rows: Vec<Row>| rows.into_iter().find(|row| row["id"] == "formula").unwrap();
    assert_eq!(formula(rows(&plain))["name"], "=1+1");
    let row = formula(rows(&marked[BOM.len()..]));
    assert_eq!(row["name"], "'=1+1");
    assert_eq!(row["lat"], "-33.5", "numbers stay numbers");
    let kepler = file(&server, "flows_kepler.csv?bom=1").await;
    assert!(kepler.body.starts_with(BOM));
    server.stop().await;
}

/// Goal: kepler's pairs of coordinates are those of the cities, and those who stay are no
/// arcs.
#[tokio::test]
async fn arcs_for_kepler() {
    let mut server = planned().await;
    let answer = file(&server, "flows_kepler.csv").await;
    assert_eq!(header_of(&answer), KEPLER_COLUMNS);
    let found = rows(&answer.body);
    let request = pb::ListFlowsRequest { moved_only: true, ..list(MARKET) };
    let wanted = all_flows(&mut server, request).await;
    assert_eq!(found.len(), wanted.len());
    for (row, flow) in found.iter().zip(&wanted) {
        assert_ne!(row["origin"], row["dest"]);
        assert_eq!(cell(row, "count"), flow.count as i64);
        for end in ["origin", "dest"] {
            let (_, name, lat, lon) = CITIES.into_iter().find(|city| city.0 == row[end]).unwrap();
            assert_eq!(row[&format!("{end}_name")], name);
            assert_eq!(row[&format!("{end}_lat")].parse::<f64>().unwrap(), lat);
            assert_eq!(row[&format!("{end}_lng")].parse::<f64>().unwrap(), lon);
        }
    }
    server.stop().await;
}

/// Goal: GeoJSON has the same rows with flat properties, longitude first.
#[tokio::test]
async fn geojson_has_the_same_rows() {
    let server = planned().await;
    for (name, csv, kind) in [
        ("cities.geojson", "locations.csv", "Point"),
        ("flows.geojson?by=occupation", "flows.csv?by=occupation&moved_only=1", "LineString"),
    ] {
        let answer = file(&server, name).await;
        assert_eq!(answer.header("content-type"), "application/geo+json");
        let document = answer.json();
        assert_eq!(document["type"], "FeatureCollection");
        let features = document["features"].as_array().unwrap();
        let rows = rows(&file(&server, csv).await.body);
        assert_eq!(features.len(), rows.len());
        for (feature, row) in features.iter().zip(&rows) {
            check_feature(feature, row, kind);
        }
        let ids: BTreeSet<_> = features.iter().map(|feature| feature["id"].as_str()).collect();
        assert_eq!(ids.len(), features.len(), "ids are unique");
    }
    server.stop().await;
}

fn check_feature(feature: &Value, row: &Row, kind: &str) {
    assert_eq!((&feature["type"], &feature["geometry"]["type"]), (&"Feature".into(), &kind.into()));
    let properties = feature["properties"].as_object().unwrap();
    for (column, text) in row.iter().filter(|(column, _)| *column != "lat" && *column != "lon") {
        let told = match &properties[column] {
            Value::Null => String::new(),
            // The parser of this test is right to the last digit but one.
            Value::Number(number) if number.is_f64() => {
                let gap = number.as_f64().unwrap() - text.parse::<f64>().unwrap();
                assert!(gap.abs() < 1e-12, "{column}: {number}, {text}");
                continue;
            }
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            other => panic!("{column} is not flat: {other}"),
        };
        assert_eq!(&told, text, "{column}");
    }
    let place = |id: &str| {
        let (_, _, lat, lon) = CITIES.into_iter().find(|city| city.0 == id).unwrap();
        serde_json::json!([lon, lat])
    };
    let wanted = match kind {
        "Point" => place(&row["id"]),
        _ => serde_json::json!([place(&row["origin"]), place(&row["dest"])]),
    };
    assert_eq!(feature["geometry"]["coordinates"], wanted);
}

/// Goal: small cells are left out everywhere, and headers say how many.
#[tokio::test]
async fn small_cells_are_left_out() {
    let mut server = planned().await;
    let all = rows(&file(&server, "flows.csv").await.body);
    let small = |least: i64| all.iter().filter(move |row| cell(row, "count") < least);
    let fewest = all.iter().map(|row| cell(row, "count")).min().unwrap();
    let mut told = 0;
    for least in [fewest + 1, fewest + 2, 5, 1_000] {
        let answer = file(&server, &format!("flows.csv?min_count={least}")).await;
        let found = rows(&answer.body);
        assert!(found.iter().all(|row| cell(row, "count") >= least));
        let cells = small(least).count();
        assert_eq!(answer.header("gale-suppressed-cells"), cells.to_string());
        assert_eq!(found.len() + cells, all.len());
        let request = pb::ListFlowsRequest { min_count: least as u64, ..list(MARKET) };
        let totals = server.api.planning.list_flows(request).await.unwrap().into_inner();
        let totals = totals.totals.unwrap();
        assert_eq!(totals.suppressed_flows, cells as u64);
        let count = totals.suppressed_count.map_or(String::new(), |count| count.to_string());
        assert_eq!(answer.header("gale-suppressed-count"), count);
        if let Some(count) = totals.suppressed_count {
            assert_eq!(count as i64, small(least).map(|row| cell(row, "count")).sum::<i64>());
            told += 1;
        }
        // A table of cities adds up to the flows that are told, so that no difference tells.
        let places = file(&server, &format!("locations.csv?min_count={least}")).await;
        let places = rows(&places.body);
        let people: i64 = places.iter().map(|row| cell(row, "matched")).sum();
        assert_eq!(people, found.iter().map(|row| cell(row, "count")).sum::<i64>());
        let workers = places.iter().filter(|row| !row["workers"].is_empty());
        assert!(workers.map(|row| cell(row, "workers")).all(|n| n == 0 || n >= least));
        // Of a flow that is told, so is a small part of it not.
        for row in found.iter().filter(|row| !row["placed"].is_empty()) {
            let (placed, held) = (cell(row, "placed"), cell(row, "count") - cell(row, "placed"));
            assert!([placed, held].iter().all(|part| *part == 0 || *part >= least), "{row:?}");
        }
    }
    assert!(told > 0, "some sums can be told");
    server.stop().await;
}

/// The path and query of a link's address.
fn target(link: &Value, admin: std::net::SocketAddr) -> String {
    let href = link["href"].as_str().unwrap();
    let base = format!("http://{admin}");
    href.strip_prefix(&base).unwrap_or_else(|| panic!("{href} is not on {base}")).to_owned()
}

fn link<'a>(document: &'a Value, rel: &str) -> Option<&'a Value> {
    document["links"].as_array().unwrap().iter().find(|link| link["rel"] == rel)
}

/// Goal: a client that knows the landing page alone finds everything, as OGC API has it.
#[tokio::test]
async fn features_are_found_from_the_landing_page() {
    let server = planned().await;
    for root in [format!("/ogc/{MARKET}"), format!("/ogc/{MARKET}/")] {
        let landing = get(server.admin, &root).await;
        assert_eq!((landing.status, landing.header("content-type")), (200, "application/json"));
        let landing = landing.json();
        assert_eq!(landing["title"], "规划 market");
        for rel in ["self", "service-desc", "conformance", "data"] {
            let link = link(&landing, rel).unwrap_or_else(|| panic!("no {rel}"));
            let found = get(server.admin, &target(link, server.admin)).await;
            assert_eq!(found.status, 200, "{rel}");
            assert_eq!(found.header("content-type"), link["type"].as_str().unwrap(), "{rel}");
        }
    }
    let root = format!("/ogc/{MARKET}");
    let conformance = get(server.admin, &format!("{root}/conformance")).await.json();
    let classes = conformance["conformsTo"].as_array().unwrap();
    assert!(classes.iter().any(|class| class.as_str().unwrap().ends_with("/conf/core")));
    let collections = get(server.admin, &format!("{root}/collections")).await.json();
    let ids: Vec<_> =
        collections["collections"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["cities", "flows"]);
    for one in collections["collections"].as_array().unwrap() {
        let alone = get(server.admin, &target(link(one, "self").unwrap(), server.admin)).await;
        assert_eq!(&alone.json(), one);
        let bbox = serde_json::json!([-70.6, -33.5, 178.4419, 48.8566]);
        assert_eq!(one["extent"]["spatial"]["bbox"][0], bbox);
        let items = target(link(one, "items").unwrap(), server.admin);
        let items = get(server.admin, &items).await;
        assert_eq!((items.status, items.header("content-type")), (200, "application/geo+json"));
    }
    let api = get(server.admin, &format!("{root}/api")).await.json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.0"));
    let items = &api["paths"]["/collections/flows/items"]["get"];
    for reference in items["parameters"].as_array().unwrap() {
        let name = reference["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        assert!(api["components"]["parameters"][name].is_object(), "{name} is described");
    }
    server.stop().await;
}

/// All features of a collection by `next` links, which must be of one revision.
async fn walk(server: &Server, collection: &str, query: &str) -> Vec<Value> {
    let mut at = format!("/ogc/{MARKET}/collections/{collection}/items?{query}");
    let mut features = Vec::new();
    for _ in 0..1_000 {
        let answer = get(server.admin, &at).await;
        assert_eq!(answer.status, 200, "{at}: {}", answer.text());
        let page = answer.json();
        let here = page["features"].as_array().unwrap();
        assert_eq!(page["numberReturned"], here.len());
        features.extend(here.iter().cloned());
        match link(&page, "next") {
            Some(next) => at = target(next, server.admin),
            None => {
                assert_eq!(page["numberMatched"], features.len());
                return features;
            }
        }
    }
    panic!("next links go round in a circle");
}

/// Goal: paging yields every feature once, while the market changes meanwhile; each is found
/// by its id.
#[tokio::test]
async fn pages_of_features_are_of_one_revision() {
    let mut server = planned().await;
    for (collection, name) in [("cities", "cities.geojson"), ("flows", "flows.geojson")] {
        let all = file(&server, name).await.json();
        let all = all["features"].as_array().unwrap();
        for limit in [1, 2, 3, 1_000] {
            assert_eq!(&walk(&server, collection, &format!("limit={limit}")).await, all);
        }
        let path = format!("/ogc/{MARKET}/collections/{collection}/items");
        for feature in all {
            let id = feature["id"].as_str().unwrap().replace(':', "%3A");
            let mut alone = get(server.admin, &format!("{path}/{id}")).await.json();
            alone.as_object_mut().unwrap().remove("links");
            assert_eq!(&alone, feature);
        }
        let beyond = get(server.admin, &format!("{path}?offset=1000")).await.json();
        assert_eq!(
            (&beyond["numberReturned"], &beyond["numberMatched"]),
            (&0.into(), &all.len().into())
        );
        assert!(link(&beyond, "next").is_none());
    }
    let path = format!("/ogc/{MARKET}/collections/flows/items?limit=2");
    let first = get(server.admin, &path).await.json();
    let all = file(&server, "flows.geojson").await.json();
    server.workers((61..=90).map(worker_in_paris).collect()).await;
    server.clear().await;
    let after = file(&server, "flows.geojson").await.json();
    assert_ne!(all, after, "the market has changed");
    let next = target(link(&first, "next").unwrap(), server.admin);
    let query = next.split_once('?').unwrap().1;
    let rest = walk_from(&server, "flows", query).await;
    assert_eq!(&rest, &all["features"].as_array().unwrap()[2..], "but not for who was reading");
    server.stop().await;
}

fn worker_in_paris(n: u64) -> pb::Worker {
    pb::Worker { home_city: "fr-paris".into(), expected_salary: 1_000, ..worker(n) }
}

/// The same from a later page on.
async fn walk_from(server: &Server, collection: &str, query: &str) -> Vec<Value> {
    let mut at = format!("/ogc/{MARKET}/collections/{collection}/items?{query}");
    let mut features = Vec::new();
    loop {
        let page = get(server.admin, &at).await.json();
        features.extend(page["features"].as_array().unwrap().iter().cloned());
        let Some(next) = link(&page, "next") else { return features };
        at = target(next, server.admin);
    }
}

/// Goal: `bbox` and `datetime` choose what lies in them.
#[tokio::test]
async fn boxes_and_times_choose() {
    let server = planned().await;
    let ids = |features: Vec<Value>| -> Vec<String> {
        features.iter().map(|feature| feature["id"].as_str().unwrap().to_owned()).collect()
    };
    for (bbox, wanted) in [
        ("100,30,120,45", &["110100"][..]),
        ("-180,-90,180,90", &["110100", "fr-paris", "formula", "fiji", "nobody"]),
        ("170,-20,-170,0", &["fiji"]),
        ("0,0,0,0", &["nobody"]),
        ("2,48,0,3,49,100", &["fr-paris"]),
        ("10,-10,20,-5", &[]),
    ] {
        assert_eq!(ids(walk(&server, "cities", &format!("bbox={bbox}&limit=2")).await), wanted);
    }
    // The line from Beijing to Paris passes over Moscow's longitude; neither end is there.
    let passing = ids(walk(&server, "flows", "bbox=36,30,38,50").await);
    let whole = ids(walk(&server, "flows", "").await);
    let between = |id: &&String| {
        let ends: Vec<_> = id.split(':').collect();
        ends.contains(&"110100") && ends.contains(&"fr-paris")
    };
    assert!(whole.iter().any(|id| between(&id)), "somebody moves between the two: {whole:?}");
    let wanted: Vec<_> = whole.iter().filter(between).cloned().collect();
    let found: Vec<_> = passing.iter().filter(between).cloned().collect();
    assert_eq!(found, wanted);
    assert!(passing.len() < whole.len(), "others do not pass there");
    assert_eq!(ids(walk(&server, "flows", "datetime=2020-01-01/..").await), whole);
    assert_eq!(ids(walk(&server, "flows", "datetime=../2020-01-01").await), [""; 0]);
    assert_eq!(walk(&server, "cities", "datetime=2020-01-01").await.len(), CITIES.len());
    server.stop().await;
}

/// Goal: files fetched one after the other can be of one revision; one that is not kept is
/// gone, one that is not yet there is refused.
#[tokio::test]
async fn files_of_one_revision() {
    let mut server = planned().await;
    let before = file(&server, "locations.csv").await;
    let revision = before.header("gale-revision").to_owned();
    let flows = file(&server, "flows.csv").await.body;
    server.workers((61..=70).map(worker_in_paris).collect()).await;
    server.clear().await;
    let again = file(&server, &format!("flows.csv?revision={revision}")).await;
    assert_eq!(again.body, flows);
    assert_ne!(file(&server, "flows.csv").await.body, flows);
    let of = |revision: u64| format!("/export/{MARKET}/flows.csv?revision={revision}");
    let gone = get(server.admin, &of(1)).await;
    assert_eq!((gone.status, &gone.json()["parameter"]), (410, &"revision".into()));
    let future = get(server.admin, &of(1_000_000)).await;
    assert_eq!((future.status, &future.json()["parameter"]), (400, &"revision".into()));
    server.stop().await;
}

/// Goal: whoever asks wrongly is told what is wrong, by the right status, and the parameter
/// is named.
#[tokio::test]
async fn wrong_questions_are_answered() {
    let mut server = planned().await;
    for (query, parameter) in [
        ("flows.csv?min_cuont=5", "min_cuont"),
        ("flows.csv?min_count=-5", "min_count"),
        ("flows.csv?min_count=5&min_count=6", "min_count"),
        ("flows.csv?bom=yes", "bom"),
        ("flows.csv?moved_only=2", "moved_only"),
        ("flows.csv?origin=atlantis", "origin"),
        ("flows.csv?dest=atlantis", "dest"),
        ("flows.csv?status=maybe", "status"),
        ("flows.csv?round=7", "round"),
        ("flows.csv?round=00000000-0000-4000-8000-000000000000", "round"),
        ("flows.csv?round=last&since_revision=1", "round"),
        ("flows.csv?group=29", "group_label"),
        ("flows.csv?group_label=occupation", "group"),
        ("flows.csv?group_label=o&group=1&group_prefix=1", "group_prefix"),
        ("flows.csv?by_prefix=2", "by"),
        ("flows.csv?by=count", "by"),
        ("flows.csv?by=origin_lat", "by"),
        ("flows.csv?by=occupation&by_prefix=two", "by_prefix"),
        ("flows.csv?origin=%ff", "origin"),
        ("locations.csv?origin=fiji", "origin"),
        ("flows_kepler.csv?moved_only=0", "moved_only"),
        ("cities.geojson?bom=1", "bom"),
    ] {
        let answer = get(server.admin, &format!("/export/{MARKET}/{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!((&problem["parameter"], &problem["status"]), (&parameter.into(), &400.into()));
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 5), "{query}");
    }
    for (query, parameter) in [
        ("items?limit=0", "limit"),
        ("items?limit=x", "limit"),
        ("items?bbox=1,2,3", "bbox"),
        ("items?bbox=1,5,3,4", "bbox"),
        ("items?datetime=yesterday", "datetime"),
        ("items?offset=-1", "offset"),
        ("items?f=html", "f"),
        ("?f=html", "f"),
    ] {
        let query = query.replace("items?", "/collections/flows/items?");
        let answer = get(server.admin, &format!("/ogc/{MARKET}{query}")).await;
        assert_eq!(
            (answer.status, &answer.json()["parameter"]),
            (400, &parameter.into()),
            "{query}"
        );
    }
    for path in [
        "/export/atlantis/flows.csv",
        "/export/m/flows.xlsx",
        "/export/m",
        "/ogc/atlantis",
        "/ogc/atlantis/collections/flows/items",
        "/ogc/m/collections/rivers",
        "/ogc/m/collections/rivers/items",
        "/ogc/m/collections/cities/items/atlantis",
        "/nothing",
    ] {
        let answer = get(server.admin, path).await;
        assert_eq!((answer.status, &answer.json()["status"]), (404, &404.into()), "{path}");
    }
    for path in ["/export/m/flows.csv", "/ogc/m", "/ogc/m/collections/flows/items", "/livez"] {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = ask(server.admin, method, path).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{path}");
        }
        let answer = ask(server.admin, "HEAD", path).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
    }
    let long = format!("/export/m/flows.csv?origin={}", "x".repeat(5_000));
    assert_eq!(get(server.admin, &long).await.status, 414);
    refused_questions_of_the_api(&mut server).await;
    server.stop().await;
}

/// The same questions, over gRPC.
async fn refused_questions_of_the_api(server: &mut Server) {
    let mut ask = async |request| server.api.planning.list_flows(request).await;
    let invalid = [
        (pb::ListFlowsRequest { page_size: -1, ..list(MARKET) }, "page_size"),
        (pb::ListFlowsRequest { status: 9, ..list(MARKET) }, "status"),
        (pb::ListFlowsRequest { origin: "a b".into(), ..list(MARKET) }, "origin"),
        (pb::ListFlowsRequest { round_id: "x".into(), ..list(MARKET) }, "round_id"),
        (pb::ListFlowsRequest { group: Some(Default::default()), ..list(MARKET) }, "group.key"),
        (pb::ListFlowsRequest { group: filter("", false), ..list(MARKET) }, "group.value"),
        (pb::ListFlowsRequest { prefix_length: 2, ..list(MARKET) }, "label_key"),
        (
            pb::ListFlowsRequest {
                label_key: "occupation".into(),
                prefix_length: 65,
                ..list(MARKET)
            },
            "prefix_length",
        ),
        (pb::ListFlowsRequest { label_key: "x".repeat(33), ..list(MARKET) }, "label_key"),
    ];
    for (request, field) in invalid {
        refused_as(ask(request).await, Code::InvalidArgument, "INVALID_FIELD", field);
    }
    let request = pb::ListFlowsRequest { destination: "atlantis".into(), ..list(MARKET) };
    refused_as(ask(request).await, Code::InvalidArgument, "CITY_NOT_FOUND", "destination");
    let request = pb::ListFlowsRequest {
        round_id: "00000000-0000-4000-8000-000000000000".into(),
        ..list(MARKET)
    };
    refused_as(ask(request).await, Code::NotFound, "ROUND_NOT_FOUND", "round_id");
    refused_as(ask(list("atlantis")).await, Code::NotFound, "MARKET_NOT_FOUND", "market");
    let request = pb::ListFlowsRequest { at_least_revision: 1_000_000, ..list(MARKET) };
    refused_as(ask(request).await, Code::OutOfRange, "POSITION_IN_FUTURE", "at_least_revision");
    let page = pb::ListFlowsRequest { page_size: 1, ..list(MARKET) };
    let token = ask(page).await.unwrap().into_inner().next_page_token;
    let request = pb::ListFlowsRequest { page_token: token, moved_only: true, ..list(MARKET) };
    refused_as(ask(request).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID", "page_token");
}

/// Goal: a market without anybody, and one without places, have empty tables, not errors.
#[tokio::test]
async fn empty_markets_have_empty_files() {
    let mut server = Server::with_market(options()).await;
    server.make(market("bare")).await;
    for (market, cities) in [(MARKET, 2), ("bare", 0)] {
        for (name, count) in [("locations.csv", cities), ("flows.csv", 0), ("flows_kepler.csv", 0)]
        {
            let answer = get(server.admin, &format!("/export/{market}/{name}")).await;
            assert_eq!((answer.status, rows(&answer.body).len()), (200, count), "{name}");
        }
        for (collection, count) in [("cities", cities), ("flows", 0)] {
            let path = format!("/ogc/{market}/collections/{collection}/items");
            let page = get(server.admin, &path).await.json();
            assert_eq!(page["numberMatched"], count);
            assert_eq!(page["features"].as_array().unwrap().len(), count);
        }
        let list = list(market);
        let reply = server.api.planning.list_flows(list).await.unwrap().into_inner();
        assert_eq!((reply.flows.len(), reply.totals.unwrap().count), (0, 0));
    }
    let index = get(server.admin, "/export").await.json();
    assert_eq!(index["markets"], serde_json::json!(["bare", MARKET]));
    assert_eq!(index["files"].as_array().unwrap().len(), 5);
    server.stop().await;
}

/// Goal: large tables are sent in pieces, and pages of a list are cut from one table that is
/// made once. Method: as many flows as 300 cities have, all pages asked for.
#[tokio::test]
async fn large_tables_come_in_pieces() {
    let mut server = Server::start(options()).await;
    let settings = pb::Settings::default();
    server.make(pb::Market { settings: Some(settings), ..market(MARKET) }).await;
    let name = |n: u64| format!("city-{n}");
    server
        .cities((0..300).map(|n| pb::City {
            latitude: n as f64 / 10.0,
            longitude: n as f64 / 5.0,
            ..city(&name(n))
        }))
        .await;
    let many = 5_000;
    let ranked = |id: String| Some(pb::Ranking { ids: vec![id] });
    let workers = (0..many).map(|n| pb::Worker {
        home_city: name(n % 300),
        ranking: ranked(vacancy_id(1 + n)),
        ..worker(1 + n)
    });
    let vacancies = (0..many).map(|n| pb::Vacancy {
        city: name((7 * n + n / 300) % 300),
        ranking: ranked(worker_id(1 + n)),
        ..vacancy(1 + n)
    });
    server.workers(workers.collect()).await;
    server.vacancies(vacancies.collect()).await;
    assert_eq!(server.clear().await.summary.unwrap().matched, many);
    let answer = file(&server, "flows.csv").await;
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    assert!(answer.pieces > 5, "{} pieces", answer.pieces);
    let found = rows(&answer.body);
    let people: i64 = found.iter().map(|row| cell(row, "count")).sum();
    assert_eq!(people, many as i64);
    assert!(found.len() > 3_000, "{} flows", found.len());
    let walked = walk(&server, "flows", "limit=700").await.len();
    let stays = found.iter().filter(|row| row["origin"] == row["dest"]).count();
    assert_eq!(walked, found.len() - stays);
    let mut tables = 0;
    for least in 0..10 {
        file(&server, &format!("flows.csv?min_count={least}")).await;
        tables = tables.max(server.markets.get(MARKET).unwrap().surveys().len());
    }
    assert_eq!(tables, gale::domain::limits::FLOW_TABLES_MAX, "no more are kept");
    server.stop().await;
}

/// Goal: `gale export` writes the same bytes that HTTP gives, complete or not at all, and
/// says what it wrote.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_writes_the_files() {
    let server = planned().await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let admin = server.admin.to_string();
    let arguments = |more: &[&str]| {
        let base = ["export", "--admin", &admin, "--out", out.to_str().unwrap()];
        base.iter().chain(more).map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    let run = |more: &[&str]| {
        let arguments = arguments(more);
        tokio::task::block_in_place(|| {
            binary::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        })
    };
    let done = run(&["--json", "--format", "flowmap,kepler,geojson", "--min-count", "3"]);
    assert_eq!(done.status.code(), Some(0), "{}", binary::stderr(&done));
    let said = binary::json(&binary::stdout(&done));
    assert_eq!((&said["market"], &said["revision"]), (&MARKET.into(), &server.revision().into()));
    let names =
        ["locations.csv", "flows.csv", "flows_kepler.csv", "cities.geojson", "flows.geojson"];
    for (name, said) in names.iter().zip(said["files"].as_array().unwrap()) {
        let wanted = file(&server, &format!("{name}?min_count=3")).await;
        let written = std::fs::read(out.join(name)).unwrap();
        assert_eq!(written, wanted.body, "{name}");
        assert_eq!(said["bytes"], written.len());
        assert_eq!(said["suppressed_cells"].to_string(), wanted.header("gale-suppressed-cells"));
    }
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), names.len(), "nothing else is left: {left:?}");

    let done = run(&["--market", MARKET, "--bom", "--by", "occupation", "--by-prefix", "2"]);
    assert!(binary::stdout(&done).contains("flows.csv"), "{}", binary::stderr(&done));
    let wanted = file(&server, "flows.csv?bom=1&by=occupation&by_prefix=2").await;
    assert_eq!(std::fs::read(out.join("flows.csv")).unwrap(), wanted.body);

    for (more, code, says) in [
        (&["--market", "atlantis"][..], 3, "atlantis"),
        (&["--origin", "atlantis"], 2, "origin"),
        (&["--group", "29"], 2, "--group-label"),
        (&["--format", "shapefile"], 2, "geojson"),
    ] {
        let done = run(more);
        let text = binary::stderr(&done);
        assert_eq!(done.status.code(), Some(code), "{more:?}: {text}");
        assert!(text.contains(says), "{more:?}: {text}");
    }
    server.stop().await;
}

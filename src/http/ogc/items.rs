//! Features of a collection, a page at a time; all pages that `next` links lead to are of
//! one revision.

use super::super::export::geojson::{self, Feature};
use super::super::export::say;
use super::super::export::table::{FLOWS, PEOPLE, Table};
use super::super::parameters::{Parameters, encoded};
use super::super::problem::Problem;
use super::super::time;
use super::Collection;
use super::documents::{GEO_JSON, Links};
use crate::domain::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::domain::{CityIx, Millis};
use crate::market::Markets;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use std::sync::Arc;

/// The parameters of a page, as the standard has them (`offset` is ours).
pub const PAGE: &[&str] = &["limit", "offset", "bbox", "datetime"];

/// A page of a collection.
pub async fn page(
    State(markets): State<Arc<Markets>>,
    Path((market, collection)): Path<(String, String)>,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Result<Response, Problem> {
    markets.get(&market)?;
    let collection = Collection::named(&collection)?;
    let parameters = Parameters::read(asked.as_deref(), allowed(collection, true))?;
    let limit = limit(&parameters)?;
    let start: usize = parameters.number("offset")?.unwrap_or(0);
    let within = parameters.text("bbox").map(Bbox::read).transpose()?;
    let during = parameters.text("datetime").map(Interval::read).transpose()?;
    let table =
        Table::open(&markets, &market, &parameters, collection == Collection::Flows).await?;
    let matched = matched(collection, &table, within.as_ref(), during.as_ref());
    let end = start.saturating_add(limit).min(matched.len());
    let rows = matched.get(start..end).unwrap_or_default().to_vec();

    let path = format!("/collections/{}/items", collection.id());
    let at = |offset: usize| {
        let page = [
            ("limit", limit.to_string()),
            ("offset", offset.to_string()),
            ("revision", table.revision().to_string()),
        ];
        format!("{path}?{}", parameters.with(&page))
    };
    let links = Links::of(&market, &headers);
    let mut leads = vec![links.to("self", &at(start), GEO_JSON)];
    if end < matched.len() && start < end {
        leads.push(links.to("next", &at(end), GEO_JSON));
    }
    if start > 0 {
        leads.push(links.to("prev", &at(start.saturating_sub(limit)), GEO_JSON));
    }
    let head = format!(
        "\"links\":{},\"numberMatched\":{},\"numberReturned\":{},",
        Value::Array(leads),
        matched.len(),
        rows.len()
    );
    let mut response = Response::new(Body::empty());
    say(&table, collection == Collection::Cities, &mut response);
    let write = move |at: usize, out: &mut Vec<u8>| {
        geojson::push(&feature(collection, &table, rows[at]), out);
    };
    *response.body_mut() = geojson::collection(&head, end.saturating_sub(start), write);
    Ok(geo_json(response))
}

/// One feature.
pub async fn item(
    State(markets): State<Arc<Markets>>,
    Path((market, collection, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Result<Response, Problem> {
    markets.get(&market)?;
    let collection = Collection::named(&collection)?;
    let parameters = Parameters::read(asked.as_deref(), allowed(collection, false))?;
    let table =
        Table::open(&markets, &market, &parameters, collection == Collection::Flows).await?;
    let found = (0..rows(collection, &table))
        .map(|row| row as u32)
        .find(|row| is_named(collection, &table, *row, &id))
        .ok_or_else(|| Problem::not_found(format!("there is no feature {id:?}")))?;
    let links = Links::of(&market, &headers);
    let mut document = json!(feature(collection, &table, found));
    let path = format!("/collections/{}", collection.id());
    document["links"] = json!([
        links.to("self", &format!("{path}/items/{}", encoded(&id)), GEO_JSON),
        links.to("collection", &path, "application/json"),
    ]);
    let mut response = Response::new(Body::from(document.to_string()));
    say(&table, collection == Collection::Cities, &mut response);
    Ok(geo_json(response))
}

fn geo_json(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GEO_JSON));
    response
}

fn allowed(collection: Collection, page: bool) -> &'static [&'static [&'static str]] {
    match (collection, page) {
        (Collection::Cities, true) => &[PAGE, PEOPLE],
        (Collection::Cities, false) => &[PEOPLE],
        (Collection::Flows, true) => &[PAGE, PEOPLE, FLOWS],
        (Collection::Flows, false) => &[PEOPLE, FLOWS],
    }
}

/// Features of a page; too many are coerced, as the standard has it.
fn limit(parameters: &Parameters) -> Result<usize, Problem> {
    match parameters.number::<usize>("limit")? {
        None => Ok(PAGE_SIZE_DEFAULT),
        Some(0) => Err(Problem::parameter("limit", "must be 1 or more")),
        Some(limit) => Ok(limit.min(PAGE_SIZE_MAX)),
    }
}

/// How many features a collection has.
fn rows(collection: Collection, table: &Table) -> usize {
    match collection {
        Collection::Cities => table.view.head.geography.cities.len(),
        Collection::Flows => table.survey.flows.flows.len(),
    }
}

fn feature(collection: Collection, table: &Table, row: u32) -> Feature<'_> {
    match collection {
        Collection::Cities => geojson::city(table, CityIx::from_offset(row as usize)),
        Collection::Flows => geojson::flow(table, &table.survey.flows.flows[row as usize]),
    }
}

fn is_named(collection: Collection, table: &Table, row: u32, id: &str) -> bool {
    match collection {
        Collection::Cities => table.city(CityIx::from_offset(row as usize)).id.as_str() == id,
        Collection::Flows => geojson::flow_id(table, &table.survey.flows.flows[row as usize]) == id,
    }
}

/// The rows that lie within the box and the time asked for.
fn matched(
    collection: Collection,
    table: &Table,
    within: Option<&Bbox>,
    during: Option<&Interval>,
) -> Vec<u32> {
    // Cities have no time, and so are of every time.
    let timed = collection == Collection::Flows;
    let newest = table.survey.flows.newest.filter(|_| timed);
    if during.zip(newest).is_some_and(|(during, at)| !during.has(at)) {
        return Vec::new();
    }
    let is_within = |row: &u32| {
        let Some(within) = within else { return true };
        match collection {
            Collection::Cities => {
                let at = geojson::position(table.city(CityIx::from_offset(*row as usize)));
                within.meets(at, at)
            }
            Collection::Flows => {
                let flow = &table.survey.flows.flows[*row as usize];
                let ends = [flow.origin, flow.destination];
                let [from, to] = ends.map(|ix| geojson::position(table.city(ix)));
                within.meets(from, to)
            }
        }
    };
    let rows = 0..rows(collection, table) as u32;
    rows.filter(is_within).collect()
}

/// A box of longitudes and latitudes, in one or two pieces.
#[derive(Debug, PartialEq)]
struct Bbox {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Bbox {
    /// `west,south,east,north`, or the same with heights after each corner. A box whose west
    /// is east of its east crosses the antimeridian.
    fn read(text: &str) -> Result<Self, Problem> {
        let wrong = |detail: &str| Problem::parameter("bbox", detail);
        let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
        let numbers = numbers.filter(|numbers| numbers.iter().all(|n: &f64| n.is_finite()));
        let (west, south, east, north) = match numbers.as_deref() {
            Some([west, south, east, north] | [west, south, _, east, north, _]) => {
                (*west, *south, *east, *north)
            }
            _ => return Err(wrong("must be four numbers, or six: west,south,east,north")),
        };
        if south > north {
            return Err(wrong("has its south north of its north"));
        }
        Ok(Self { west, south, east, north })
    }

    /// Whether the straight line between two points (or the point) meets the box.
    fn meets(&self, from: [f64; 2], to: [f64; 2]) -> bool {
        if self.west <= self.east {
            return self.clips(from, to, (self.west, self.east));
        }
        self.clips(from, to, (self.west, f64::INFINITY))
            || self.clips(from, to, (f64::NEG_INFINITY, self.east))
    }

    /// Liang and Barsky: what is left of the line after each pair of edges has cut it.
    fn clips(&self, from: [f64; 2], to: [f64; 2], (west, east): (f64, f64)) -> bool {
        let (mut first, mut last) = (0.0_f64, 1.0_f64);
        for (axis, (low, high)) in [(west, east), (self.south, self.north)].into_iter().enumerate()
        {
            let (start, length) = (from[axis], to[axis] - from[axis]);
            if length == 0.0 {
                if start < low || start > high {
                    return false;
                }
                continue;
            }
            let (a, b) = ((low - start) / length, (high - start) / length);
            first = first.max(a.min(b));
            last = last.min(a.max(b));
        }
        first <= last
    }
}

/// A time from one moment to another, both included; either may be open.
#[derive(Debug, PartialEq)]
struct Interval {
    from: Option<Millis>,
    to: Option<Millis>,
}

impl Interval {
    /// A moment, or `from/to` where `..` or nothing is open (RFC 3339).
    fn read(text: &str) -> Result<Self, Problem> {
        let wrong = || {
            let detail = "must be a moment (RFC 3339), or two with / between them; .. is open";
            Problem::parameter("datetime", detail)
        };
        let moment = |text: &str| match text {
            "" | ".." => Ok(None),
            text => time::parse(text).map(Some).ok_or_else(wrong),
        };
        let (from, to) = match text.split_once('/') {
            Some((from, to)) => (moment(from)?, moment(to)?),
            None => {
                let at = Some(time::parse(text).ok_or_else(wrong)?);
                (at, at)
            }
        };
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(wrong());
        }
        Ok(Self { from, to })
    }

    fn has(&self, at: Millis) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a line is found by every box that it passes through, its ends inside or not, and
    /// by no other. Method: boxes around one diagonal; then many boxes against a walk along
    /// the line in small steps.
    #[test]
    fn lines_meet_boxes() {
        let bbox = |text: &str| Bbox::read(text).unwrap();
        let (from, to) = ([0.0, 0.0], [10.0, 10.0]);
        assert!(bbox("4,4,6,6").meets(from, to), "through it");
        assert!(bbox("-1,-1,1,1").meets(from, to), "out of it");
        assert!(bbox("-5,-5,50,50").meets(from, to), "inside");
        assert!(bbox("10,10,11,11").meets(from, to), "a corner");
        assert!(!bbox("6,0,9,4").meets(from, to), "beside it");
        assert!(!bbox("11,11,12,12").meets(from, to), "beyond it");
        assert!(bbox("1,2,0,3,4,9").meets([1.0, 2.0], [1.0, 2.0]), "a point on the edge");
        assert!(!bbox("1,2,0,3,4,9").meets([0.9, 2.0], [0.9, 2.0]));
        let east = bbox("170,-10,-170,10");
        assert!(east.meets([175.0, 0.0], [175.0, 0.0]) && east.meets([-175.0, 0.0], [-175.0, 0.0]));
        assert!(!east.meets([0.0, 0.0], [0.0, 0.0]));
        let mut met = 0;
        for seed in 0..4_000_i32 {
            let digit = |place: u32| f64::from(seed / 7_i32.pow(place) % 7);
            let (from, to) = ([digit(0), digit(1)], [digit(2), digit(3)]);
            let bbox = Bbox { west: 1.5, south: 2.5, east: 4.5, north: 3.5 };
            let inside = |[x, y]: [f64; 2]| (1.5..=4.5).contains(&x) && (2.5..=3.5).contains(&y);
            let walk = (0..=840).map(|step| f64::from(step) / 840.0);
            let mut walk =
                walk.map(|t| [0, 1].map(|axis| from[axis] + t * (to[axis] - from[axis])));
            let walked = walk.any(inside);
            assert!(!walked || bbox.meets(from, to), "{from:?} {to:?}");
            if bbox.meets(from, to) {
                met += 1;
                let wider = [1.5 - 0.01, 4.5 + 0.01, 2.5 - 0.01, 3.5 + 0.01];
                let near = |[x, y]: [f64; 2]| {
                    (wider[0]..=wider[1]).contains(&x) && (wider[2]..=wider[3]).contains(&y)
                };
                let walk = (0..=840).map(|step| f64::from(step) / 840.0);
                let mut walk =
                    walk.map(|t| [0, 1].map(|axis| from[axis] + t * (to[axis] - from[axis])));
                assert!(walk.any(near), "{from:?} {to:?}");
            }
        }
        assert!((500..3_500).contains(&met), "{met} lines met the box");
    }

    /// Goal: what is no box and no time is refused; open intervals are open.
    #[test]
    fn boxes_and_times_are_read() {
        for text in ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,NaN", "1,3,2,2", "1,2,3,inf"] {
            assert_eq!(Bbox::read(text).unwrap_err().parameter.as_deref(), Some("bbox"), "{text}");
        }
        for text in ["x", "2026-01-01/x", "2026-01-02/2026-01-01", "a/b/c"] {
            let problem = Interval::read(text).unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some("datetime"), "{text}");
        }
        let has =
            |text: &str, at: &str| Interval::read(text).unwrap().has(time::parse(at).unwrap());
        assert!(has("2026-01-01/2026-01-02", "2026-01-02T00:00:00Z"));
        assert!(!has("2026-01-01/2026-01-02", "2026-01-02T00:00:00.001Z"));
        assert!(has("../2026-01-01", "1999-01-01") && has("/..", "1999-01-01"));
        assert!(has("2026-01-01T00:00:00Z", "2026-01-01") && !has("2026-01-01", "2026-01-02"));
    }
}

//! Exports: files for planners' tools, cut from one snapshot (`docs/EXPORTS.md`).
//!
//! * [`table`]: what an export is of, and its columns
//! * [`csv`], [`geojson`]: how rows are written
//! * [`body`]: sending them while they are written

mod body;
pub mod csv;
pub mod geojson;
pub mod table;

use super::parameters::Parameters;
use super::problem::Problem;
use crate::market::Markets;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use csv::Dialect;
use http::{HeaderName, HeaderValue, header};
use serde_json::json;
use std::sync::Arc;
use table::{FLOWS, PEOPLE, Table};

/// Cells that were left out because they are of fewer people than `min_count`: flows, and
/// in tables of cities also numbers of workers.
const SUPPRESSED_CELLS: HeaderName = HeaderName::from_static("gale-suppressed-cells");
/// People in the flows left out, where that number tells of no single flow.
const SUPPRESSED_COUNT: HeaderName = HeaderName::from_static("gale-suppressed-count");
/// The revision that everything is of.
const REVISION: HeaderName = HeaderName::from_static("gale-revision");

/// The files of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Locations,
    Flows,
    FlowsKepler,
    CitiesGeojson,
    FlowsGeojson,
}

impl File {
    const ALL: [(&'static str, Self); 5] = [
        ("locations.csv", Self::Locations),
        ("flows.csv", Self::Flows),
        ("flows_kepler.csv", Self::FlowsKepler),
        ("cities.geojson", Self::CitiesGeojson),
        ("flows.geojson", Self::FlowsGeojson),
    ];

    fn named(name: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        let names = Self::ALL.map(|(name, _)| name).join(", ");
        let missing =
            || Problem::not_found(format!("there is no file {name:?}; there are: {names}"));
        found.map(|(_, file)| file).ok_or_else(missing)
    }

    fn is_of_cities(self) -> bool {
        matches!(self, Self::Locations | Self::CitiesGeojson)
    }

    fn is_csv(self) -> bool {
        matches!(self, Self::Locations | Self::Flows | Self::FlowsKepler)
    }

    /// Those who stay are no line on a map.
    fn moved_only(self) -> bool {
        matches!(self, Self::FlowsKepler | Self::FlowsGeojson)
    }

    fn parameters(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Locations => &[PEOPLE, &["bom"]],
            Self::Flows => &[PEOPLE, FLOWS, &["moved_only", "bom"]],
            Self::FlowsKepler => &[PEOPLE, FLOWS, &["bom"]],
            Self::CitiesGeojson => &[PEOPLE],
            Self::FlowsGeojson => &[PEOPLE, FLOWS],
        }
    }

    fn media_type(self) -> &'static str {
        if self.is_csv() {
            "text/csv; charset=utf-8; header=present"
        } else {
            "application/geo+json"
        }
    }

    fn body(self, table: Table, dialect: Dialect) -> Body {
        match self {
            Self::Locations => csv::locations(table, dialect),
            Self::Flows => csv::flows(table, dialect),
            Self::FlowsKepler => csv::kepler(table, dialect),
            Self::CitiesGeojson => geojson::cities(table),
            Self::FlowsGeojson => geojson::flows(table),
        }
    }
}

/// `GET /export` lists markets and files, `GET /export/{market}/{file}` is one.
pub fn routes() -> Router<Arc<Markets>> {
    Router::new().route("/export", get(index)).route("/export/{market}/{file}", get(export))
}

async fn index(State(markets): State<Arc<Markets>>, RawQuery(asked): RawQuery) -> Response {
    if let Err(problem) = Parameters::read(asked.as_deref(), &[]) {
        return problem.into_response();
    }
    let files = File::ALL.map(|(name, _)| name);
    let markets: Vec<_> = markets.list().iter().map(|market| market.name().to_string()).collect();
    json_response(&json!({ "markets": markets, "files": files }))
}

async fn export(
    State(markets): State<Arc<Markets>>,
    Path((market, file)): Path<(String, String)>,
    RawQuery(asked): RawQuery,
) -> Result<Response, Problem> {
    let file = File::named(&file)?;
    let parameters = Parameters::read(asked.as_deref(), file.parameters())?;
    let dialect = Dialect { spreadsheet: parameters.flag("bom")? };
    let moved_only = file.moved_only() || parameters.flag("moved_only")?;
    let table = Table::open(&markets, &market, &parameters, moved_only).await?;
    let mut response = Response::new(Body::empty());
    let kind = HeaderValue::from_static(file.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    say(&table, file.is_of_cities(), &mut response);
    *response.body_mut() = file.body(table, dialect);
    Ok(response)
}

/// Says in headers what the table is of and what it leaves out.
pub fn say(table: &Table, of_cities: bool, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(REVISION, table.revision().into());
    let cities = if of_cities { table.suppressed_cities() } else { 0 };
    headers.insert(SUPPRESSED_CELLS, (table.survey.flows.suppressed_cells + cities).into());
    if let Some(count) = table.survey.flows.suppressed_count {
        headers.insert(SUPPRESSED_COUNT, count.into());
    }
    // What the market says now, it may not say in a minute.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// A JSON document.
pub fn json_response(document: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

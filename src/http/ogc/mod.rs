//! OGC API - Features, Part 1: Core (OGC 17-069r4), for QGIS, GDAL and other GIS: each
//! market is an API of its own under `/ogc/{market}`, with the collections `cities` and
//! `flows`.
//!
//! * [`documents`]: landing page, conformance, collections, the API's description
//! * [`items`]: the features

mod documents;
mod items;

use super::export::json_response;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::market::{Market, Markets};
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use documents::Links;
use http::{HeaderMap, HeaderValue, header};
use std::sync::Arc;

/// A collection of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collection {
    Cities,
    Flows,
}

impl Collection {
    const ALL: [Self; 2] = [Self::Cities, Self::Flows];

    fn id(self) -> &'static str {
        match self {
            Self::Cities => "cities",
            Self::Flows => "flows",
        }
    }

    fn named(id: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|known| known.id() == id);
        let missing = || Problem::not_found("there are the collections cities and flows");
        found.ok_or_else(missing)
    }
}

/// The routes of every market's API.
pub fn routes() -> Router<Arc<Markets>> {
    let root = "/ogc/{market}";
    Router::new()
        .route(root, get(landing))
        .route(&format!("{root}/"), get(landing))
        .route(&format!("{root}/api"), get(api))
        .route(&format!("{root}/conformance"), get(conformance))
        .route(&format!("{root}/collections"), get(collections))
        .route(&format!("{root}/collections/{{collection}}"), get(collection))
        .route(&format!("{root}/collections/{{collection}}/items"), get(items::page))
        .route(&format!("{root}/collections/{{collection}}/items/{{item}}"), get(items::item))
}

/// What every document starts from: a market that exists, where its API stands as the
/// client sees it, and no parameters.
fn opened(
    markets: &Markets,
    name: &str,
    headers: &HeaderMap,
    asked: Option<&str>,
) -> Result<(Arc<Market>, Links), Problem> {
    let market = markets.get(name)?;
    Parameters::read(asked, &[])?;
    Ok((market, Links::of(name, headers)))
}

async fn landing(
    State(markets): State<Arc<Markets>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Result<Response, Problem> {
    let (market, links) = opened(&markets, &name, &headers, asked.as_deref())?;
    Ok(json_response(&documents::landing(&market.head(), &links)))
}

async fn api(
    State(markets): State<Arc<Markets>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Result<Response, Problem> {
    let (market, links) = opened(&markets, &name, &headers, asked.as_deref())?;
    let mut response = json_response(&documents::api(&market.head(), &links));
    let kind = HeaderValue::from_static(documents::OPEN_API);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

async fn conformance(
    State(markets): State<Arc<Markets>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Result<Response, Problem> {
    opened(&markets, &name, &headers, asked.as_deref())?;
    Ok(json_response(&documents::conformance()))
}

async fn collections(
    State(markets): State<Arc<Markets>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Result<Response, Problem> {
    let (market, links) = opened(&markets, &name, &headers, asked.as_deref())?;
    Ok(json_response(&documents::collections(&market.head(), &links)))
}

async fn collection(
    State(markets): State<Arc<Markets>>,
    Path((name, id)): Path<(String, String)>,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Result<Response, Problem> {
    let (market, links) = opened(&markets, &name, &headers, asked.as_deref())?;
    let collection = Collection::named(&id)?;
    Ok(json_response(&documents::collection(collection, &market.head(), &links)))
}

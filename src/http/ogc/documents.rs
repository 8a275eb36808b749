//! What an API says of itself.

use super::super::export::table::{FLOWS, PEOPLE};
use super::Collection;
use super::items::PAGE;
use crate::domain::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::state::Head;
use http::{HeaderMap, header};
use serde_json::{Value, json};

/// The media type of an OpenAPI document.
pub const OPEN_API: &str = "application/vnd.oai.openapi+json;version=3.0";
/// The media type of features.
pub const GEO_JSON: &str = "application/geo+json";

const JSON: &str = "application/json";
/// Longitude and latitude in degrees (WGS 84).
const CRS: &str = "http://www.opengis.net/def/crs/OGC/1.3/CRS84";
/// What the standard's conformance classes begin with.
const CLASS: &str = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf";

/// Where a market's API stands, as the client sees it.
pub struct Links {
    base: String,
}

impl Links {
    /// Links to the host that the client asked; without a host that could be one, to the
    /// same server.
    pub fn of(market: &str, headers: &HeaderMap) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        let host = host.filter(|host| !host.is_empty() && host.bytes().all(plain));
        let host = host.map(|host| format!("http://{host}")).unwrap_or_default();
        Self { base: format!("{host}/ogc/{market}") }
    }

    /// A link to something below the API's root.
    pub fn to(&self, rel: &str, path: &str, kind: &str) -> Value {
        json!({ "rel": rel, "href": format!("{}{path}", self.base), "type": kind })
    }
}

fn title(head: &Head) -> &str {
    if head.display_name.is_empty() { head.name.as_str() } else { &head.display_name }
}

/// The landing page.
pub fn landing(head: &Head, links: &Links) -> Value {
    json!({
        "title": title(head),
        "description": format!(
            "Cities and flows of the labour market {}: who moves from where to where for a job.",
            head.name
        ),
        "links": [
            links.to("self", "", JSON),
            links.to("service-desc", "/api", OPEN_API),
            links.to("conformance", "/conformance", JSON),
            links.to("data", "/collections", JSON),
        ],
    })
}

/// What of the standard is implemented.
pub fn conformance() -> Value {
    let classes = ["core", "oas30", "geojson"].map(|class| format!("{CLASS}/{class}"));
    json!({ "conformsTo": classes })
}

/// All collections.
pub fn collections(head: &Head, links: &Links) -> Value {
    json!({
        "links": [links.to("self", "/collections", JSON)],
        "collections": Collection::ALL.map(|one| collection(one, head, links)),
    })
}

/// One collection.
pub fn collection(collection: Collection, head: &Head, links: &Links) -> Value {
    let id = collection.id();
    let (title, description) = match collection {
        Collection::Cities => {
            ("Cities", "Cities as points: pools, matches, flows in and out, tightness.")
        }
        Collection::Flows => {
            ("Flows", "People who move for a job, as lines from origin to destination.")
        }
    };
    let mut document = json!({
        "id": id,
        "title": title,
        "description": description,
        "itemType": "feature",
        "crs": [CRS],
        "links": [
            links.to("self", &format!("/collections/{id}"), JSON),
            links.to("items", &format!("/collections/{id}/items"), GEO_JSON),
        ],
    });
    if let Some(bbox) = extent(head) {
        document["extent"] = json!({ "spatial": { "bbox": [bbox], "crs": CRS } });
    }
    document
}

/// West, south, east, north of all cities.
fn extent(head: &Head) -> Option<[f64; 4]> {
    let cities = head.geography.cities.iter();
    cities.fold(None, |bbox, city| {
        let (lon, lat) = (city.longitude, city.latitude);
        let [west, south, east, north] = bbox.unwrap_or([lon, lat, lon, lat]);
        Some([west.min(lon), south.min(lat), east.max(lon), north.max(lat)])
    })
}

/// The API's description in OpenAPI 3.0.
pub fn api(head: &Head, links: &Links) -> Value {
    let document = |summary: &str| {
        json!({ "get": {
            "summary": summary,
            "responses": { "200": { "description": summary, "content": { JSON: {} } } },
        }})
    };
    let items = |collection: Collection| {
        let names = PAGE.iter().chain(PEOPLE);
        let flows = FLOWS.iter().filter(|_| collection == Collection::Flows);
        let references: Vec<_> = names
            .chain(flows)
            .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
            .collect();
        features(collection, "features", references)
    };
    let item = |collection: Collection| {
        let id = json!({
            "name": "featureId", "in": "path", "required": true, "schema": { "type": "string" },
        });
        features(collection, "one feature", vec![id])
    };
    let parameters: serde_json::Map<_, _> = PAGE
        .iter()
        .chain(PEOPLE)
        .chain(FLOWS)
        .map(|name| ((*name).into(), parameter(name)))
        .collect();
    json!({
        "openapi": "3.0.3",
        "info": { "title": title(head), "version": env!("CARGO_PKG_VERSION") },
        "servers": [{ "url": links.base }],
        "paths": {
            "/": document("landing page"),
            "/conformance": document("conformance classes"),
            "/collections": document("collections"),
            "/collections/cities": document("the collection of cities"),
            "/collections/flows": document("the collection of flows"),
            "/collections/cities/items": items(Collection::Cities),
            "/collections/flows/items": items(Collection::Flows),
            "/collections/cities/items/{featureId}": item(Collection::Cities),
            "/collections/flows/items/{featureId}": item(Collection::Flows),
        },
        "components": { "parameters": parameters },
    })
}

fn features(collection: Collection, what: &str, parameters: Vec<Value>) -> Value {
    let summary = format!("{what} of {}", collection.id());
    json!({ "get": {
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": summary, "content": { GEO_JSON: {} } },
            "400": { "description": "a parameter is wrong: the body says which and why" },
        },
    }})
}

/// A parameter's description.
fn parameter(name: &str) -> Value {
    let schema = match name {
        "limit" => json!({
            "type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE_DEFAULT,
        }),
        "bbox" => json!({
            "type": "array", "minItems": 4, "maxItems": 6, "items": { "type": "number" },
        }),
        "offset" | "revision" | "since_revision" | "until_revision" | "min_count" | "by_prefix" => {
            json!({ "type": "integer", "minimum": 0 })
        }
        "status" => json!({ "type": "string", "enum": ["held", "placed"] }),
        _ => json!({ "type": "string" }),
    };
    json!({
        "name": name, "in": "query", "required": false, "schema": schema,
        "style": "form", "explode": false,
    })
}

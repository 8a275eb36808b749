//! Tables as GeoJSON (RFC 7946): cities as points, flows as lines from origin to
//! destination, coordinates in degrees, longitude first.

use super::body;
use super::table::{CITY_COLUMNS, Cell, Table, name};
use crate::domain::{City, CityIx};
use crate::planning::flows::Flow;
use axum::body::Body;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Properties that flows have here besides their columns.
pub const FLOW_NAMES: [&str; 2] = ["origin_name", "dest_name"];

/// What is on the map.
#[derive(Serialize)]
#[serde(tag = "type", content = "coordinates")]
pub enum Geometry {
    Point([f64; 2]),
    LineString([[f64; 2]; 2]),
}

/// A row on the map.
#[derive(Serialize)]
pub struct Feature<'a> {
    r#type: &'static str,
    /// What the feature is asked for by, unique in its table.
    pub id: String,
    geometry: Geometry,
    properties: Properties<'a>,
}

/// Flat properties in the order of the columns.
struct Properties<'a>(Vec<(&'a str, Cell)>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, cell) in &self.0 {
            map.serialize_entry(name, cell)?;
        }
        map.end()
    }
}

/// Where a city is, longitude first.
pub fn position(city: &City) -> [f64; 2] {
    [city.longitude, city.latitude]
}

/// A city on the map. Its position is not said twice.
pub fn city(table: &Table, ix: CityIx) -> Feature<'_> {
    let city = table.city(ix);
    let properties = CITY_COLUMNS.into_iter().zip(table.city_row(ix));
    let properties = properties.filter(|(column, _)| !["lat", "lon"].contains(column));
    Feature {
        r#type: "Feature",
        id: city.id.to_string(),
        geometry: Geometry::Point(position(city)),
        properties: Properties(properties.collect()),
    }
}

/// A flow on the map.
pub fn flow<'a>(table: &'a Table, flow: &Flow) -> Feature<'a> {
    let (origin, dest) = (table.city(flow.origin), table.city(flow.destination));
    let columns = table.flow_columns().into_iter().zip(table.flow_row(flow));
    let names = FLOW_NAMES.into_iter().zip([origin, dest].map(|city| Cell::text(name(city))));
    Feature {
        r#type: "Feature",
        id: flow_id(table, flow),
        geometry: Geometry::LineString([position(origin), position(dest)]),
        properties: Properties(columns.chain(names).collect()),
    }
}

/// `ORIGIN:DEST`, and `:GROUP` where flows are broken down. No id has a colon in it.
pub fn flow_id(table: &Table, flow: &Flow) -> String {
    let (origin, dest) = (&table.city(flow.origin).id, &table.city(flow.destination).id);
    match &flow.group {
        Some(group) => format!("{origin}:{dest}:{group}"),
        None => format!("{origin}:{dest}"),
    }
}

/// `{"type":"FeatureCollection",…,"features":[` and what is written for each feature.
pub fn collection(
    head: &str,
    count: usize,
    mut write: impl FnMut(usize, &mut Vec<u8>) + Send + 'static,
) -> Body {
    let head = format!("{{\"type\":\"FeatureCollection\",{head}\"features\":[\n").into_bytes();
    let write = move |at: usize, out: &mut Vec<u8>| {
        if at > 0 {
            out.extend_from_slice(b",\n");
        }
        write(at, out);
    };
    body::rows(head, 0..count, write, b"\n]}\n")
}

/// Adds a feature.
pub fn push(feature: &Feature<'_>, out: &mut Vec<u8>) {
    serde_json::to_writer(out, feature).expect("a vector takes all that is written");
}

/// `cities.geojson`.
pub fn cities(table: Table) -> Body {
    let count = table.view.head.geography.cities.len();
    collection("", count, move |at, out| push(&city(&table, CityIx::from_offset(at)), out))
}

/// `flows.geojson`.
pub fn flows(table: Table) -> Body {
    let count = table.survey.flows.flows.len();
    collection("", count, move |at, out| {
        push(&flow(&table, &table.survey.flows.flows[at]), out);
    })
}

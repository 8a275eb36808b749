//! What an export is of: a snapshot of a market, the people asked for, and the rows about
//! them. CSV and GeoJSON write the same columns.

use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::time::rfc3339;
use crate::domain::{City, CityIx, Revision, RoundId};
use crate::market::{Market, Markets};
use crate::planning::flows::{By, Flow, Group, Query, Survey};
use crate::state::{RoundState, View};
use http::StatusCode;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// The scenario of the market itself, as it is.
pub const BASELINE: &str = "baseline";

/// The parameters that say which people are meant, for every export.
pub const PEOPLE: &[&str] = &[
    "revision",
    "round",
    "since_revision",
    "until_revision",
    "status",
    "group_label",
    "group",
    "group_prefix",
    "min_count",
];

/// Those that flows have besides.
pub const FLOWS: &[&str] = &["origin", "dest", "by", "by_prefix"];

/// Columns of cities. They stand first in every table of cities, in this order, for ever.
pub const CITY_COLUMNS: [&str; 18] = [
    "id",
    "name",
    "lat",
    "lon",
    "workers",
    "vacancies",
    "openings",
    "matched",
    "inflow",
    "outflow",
    "net",
    "tightness",
    "cost_of_living",
    "population",
    "region",
    "scenario",
    "round",
    "revision",
];

/// Columns of flows, before the one that flows are broken down by.
pub const FLOW_COLUMNS: [&str; 15] = [
    "origin",
    "dest",
    "count",
    "time",
    "round",
    "revision",
    "scenario",
    "placed",
    "distance_km",
    "mean_move_cost",
    "total_move_cost",
    "mean_salary",
    "total_salary",
    "mean_expected_salary",
    "total_expected_salary",
];

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(Arc<str>),
    /// A whole number.
    Whole(i128),
    /// A number, always finite.
    Real(f64),
    /// Nothing: it is undefined, or not told.
    None,
}

impl Cell {
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    fn whole(number: impl Into<i128>) -> Self {
        Self::Whole(number.into())
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Whole(number) => serializer.serialize_i128(*number),
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::None => serializer.serialize_none(),
        }
    }
}

/// A survey of a market at one revision, ready to be written.
#[derive(Clone)]
pub struct Table {
    pub view: Arc<View>,
    pub survey: Arc<Survey>,
    query: Arc<Query>,
    scenario: Cell,
    round: Cell,
    time: Cell,
}

impl Table {
    /// The table that the parameters ask for. Its snapshot is kept for a while, so that
    /// another export can be of the same `revision`.
    pub async fn open(
        markets: &Markets,
        market: &str,
        parameters: &Parameters,
        moved_only: bool,
    ) -> Result<Self, Problem> {
        let market = markets.get(market)?;
        let view = snapshot(&market, parameters).await?;
        let (mut query, round) = query(&view, parameters)?;
        query.moved_only = moved_only;
        let survey = market.survey(&view, &query).await?;
        market.pinned().keep(&view);
        let time = survey.flows.newest.map(rfc3339);
        Ok(Self {
            view,
            survey,
            query: Arc::new(query),
            scenario: Cell::text(BASELINE),
            round: round.map_or(Cell::None, |round| Cell::text(&round.to_string())),
            time: time.map_or(Cell::None, |time| Cell::text(&time)),
        })
    }

    /// The revision that everything is of.
    pub fn revision(&self) -> u64 {
        self.view.head.revision.0
    }

    pub fn city(&self, ix: CityIx) -> &City {
        self.view.head.geography.city(ix)
    }

    /// How many cities have so few workers that it is not told.
    pub fn suppressed_cities(&self) -> u64 {
        let stocks = self.survey.stocks.iter();
        stocks.filter(|stock| self.query.is_small(stock.workers)).count() as u64
    }

    /// Columns of flows here: with the one that they are broken down by.
    pub fn flow_columns(&self) -> Vec<&str> {
        let by = self.query.by.as_ref().map(|by| &*by.label);
        FLOW_COLUMNS.into_iter().chain(by).collect()
    }

    /// A city's row.
    pub fn city_row(&self, ix: CityIx) -> Vec<Cell> {
        let geography = &self.view.head.geography;
        let (city, stock) = (self.city(ix), &self.survey.stocks[ix.at()]);
        let balance = &self.survey.balances[ix.at()];
        let told = !self.query.is_small(stock.workers);
        let tight = told && stock.workers > 0;
        let region = city.region.map(|ix| Cell::text(geography.region(ix).id.as_str()));
        vec![
            Cell::text(city.id.as_str()),
            Cell::text(name(city)),
            Cell::Real(city.latitude),
            Cell::Real(city.longitude),
            if told { Cell::whole(stock.workers) } else { Cell::None },
            Cell::whole(stock.vacancies),
            Cell::whole(stock.openings),
            Cell::whole(balance.matched()),
            Cell::whole(balance.inflow),
            Cell::whole(balance.outflow),
            Cell::whole(balance.net()),
            match tight {
                true => Cell::Real(stock.openings as f64 / stock.workers as f64),
                false => Cell::None,
            },
            Cell::whole(city.cost_of_living),
            Cell::whole(city.population),
            region.unwrap_or(Cell::None),
            self.scenario.clone(),
            self.round.clone(),
            Cell::whole(self.revision()),
        ]
    }

    /// A flow's row.
    pub fn flow_row(&self, flow: &Flow) -> Vec<Cell> {
        let mut row = vec![
            Cell::text(self.city(flow.origin).id.as_str()),
            Cell::text(self.city(flow.destination).id.as_str()),
            Cell::whole(flow.count),
            self.time.clone(),
            self.round.clone(),
            Cell::whole(self.revision()),
            self.scenario.clone(),
            flow.placed.map_or(Cell::None, Cell::whole),
            Cell::whole(flow.km),
            Cell::Whole(flow.mean(flow.move_cost)),
            Cell::Whole(flow.move_cost),
            Cell::Whole(flow.mean(flow.salary)),
            Cell::Whole(flow.salary),
            Cell::Whole(flow.mean(flow.expected_salary)),
            Cell::Whole(flow.expected_salary),
        ];
        row.extend(flow.group.clone().map(Cell::Text));
        row
    }
}

/// A city's name for people, or its id where it has none.
pub fn name(city: &City) -> &str {
    if city.display_name.is_empty() { city.id.as_str() } else { &city.display_name }
}

/// The snapshot of the revision asked for, or the newest.
async fn snapshot(market: &Market, parameters: &Parameters) -> Result<Arc<View>, Problem> {
    let Some(revision) = parameters.number("revision")? else {
        return Ok(market.snapshot().await?);
    };
    if let Some(view) = market.pinned().at(Revision(revision)) {
        return Ok(view);
    }
    let view = market.snapshot().await?;
    match view.head.revision.0 {
        newest if newest == revision => Ok(view),
        newest if newest < revision => {
            Err(Problem::parameter("revision", format!("is {revision}, the market is at {newest}")))
        }
        newest => Err(Problem {
            status: StatusCode::GONE,
            ..Problem::parameter(
                "revision",
                format!(
                    "{revision} is no longer kept, the market is at {newest}: export again \
                     without it"
                ),
            )
        }),
    }
}

/// Which people the parameters ask for, and the round that the rows name: the one asked
/// for, else the last that cleared.
fn query(view: &View, parameters: &Parameters) -> Result<(Query, Option<RoundId>), Problem> {
    let mut query = Query {
        since: parameters.number("since_revision")?.map(Revision),
        until: parameters.number("until_revision")?.map(Revision),
        origin: city(view, parameters, "origin")?,
        destination: city(view, parameters, "dest")?,
        moved_only: false,
        placed: match parameters.text("status") {
            None => None,
            Some("held") => Some(false),
            Some("placed") => Some(true),
            Some(_) => return Err(Problem::parameter("status", "must be held or placed")),
        },
        group: group(parameters)?,
        by: by(parameters)?,
        min_count: parameters.number("min_count")?.unwrap_or(0),
    };
    let last = view.head.last_cleared();
    let Some(asked) = parameters.text("round") else {
        return Ok((query, last.map(|round| round.id)));
    };
    if query.since.or(query.until).is_some() {
        let detail = "does not go with since_revision or until_revision: a round is a revision";
        return Err(Problem::parameter("round", detail));
    }
    let round = match asked {
        "last" => last,
        id => view.head.round(RoundId::parse("round", id)?),
    };
    let round = round.ok_or_else(|| Problem::parameter("round", "there is no such round"))?;
    if round.state != RoundState::Cleared {
        return Err(Problem::parameter("round", "has not cleared"));
    }
    (query.since, query.until) = (round.end, round.end);
    Ok((query, Some(round.id)))
}

fn city(view: &View, parameters: &Parameters, name: &str) -> Result<Option<CityIx>, Problem> {
    let Some(id) = parameters.text(name) else { return Ok(None) };
    match view.head.geography.city_named(id) {
        Some(ix) => Ok(Some(ix)),
        None => Err(Problem::parameter(name, format!("there is no city {id:?} in this market"))),
    }
}

fn group(parameters: &Parameters) -> Result<Option<Group>, Problem> {
    let (whole, prefix) = (parameters.text("group"), parameters.text("group_prefix"));
    match (parameters.text("group_label"), whole, prefix) {
        (None, None, None) => Ok(None),
        (_, Some(_), Some(_)) => {
            Err(Problem::parameter("group_prefix", "does not go with group: give one"))
        }
        (None, ..) => Err(Problem::parameter("group_label", "is missing: which label is it?")),
        (Some(_), None, None) => {
            Err(Problem::parameter("group", "is missing, or group_prefix: which value?"))
        }
        (Some(label), whole, prefix) => Ok(Some(Group {
            label: label.into(),
            value: whole.or(prefix).unwrap_or_default().into(),
            prefix: prefix.is_some(),
        })),
    }
}

fn by(parameters: &Parameters) -> Result<Option<By>, Problem> {
    let prefix: Option<usize> = parameters.number("by_prefix")?;
    match (parameters.text("by"), prefix) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Problem::parameter("by", "is missing: which label is it?")),
        (Some(label), _) if taken(label) => {
            Err(Problem::parameter("by", "is the name of a column already"))
        }
        (Some(label), prefix) => Ok(Some(By { label: label.into(), prefix: prefix.unwrap_or(0) })),
    }
}

/// Whether a column of any table of flows has that name.
fn taken(label: &str) -> bool {
    FLOW_COLUMNS.contains(&label)
        || super::csv::KEPLER_COLUMNS.contains(&label)
        || super::geojson::FLOW_NAMES.contains(&label)
}

//! `ListFlows`.

use super::super::paging::Page;
use super::super::parse;
use super::super::status::{Answer, refuse, refuse_market};
use super::super::{Shared, at_least, render};
use crate::domain::error::{in_range, text};
use crate::domain::limits::{LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX};
use crate::domain::{CityIx, CityName, Geography, Reason, Revision, RoundId, Violation};
use crate::planning::flows::{By, Flow, Flows, Group, Query};
use crate::proto::v1 as pb;
use crate::state::{RoundState, View};
use prost::Message;

/// A page of flows.
pub async fn list(shared: &Shared, request: pb::ListFlowsRequest) -> Answer<pb::ListFlowsResponse> {
    let market = shared.market(&request.market)?;
    at_least(&market, request.at_least_revision)?;
    // All pages of one list ask the same but for the page.
    let asked = pb::ListFlowsRequest {
        page_size: 0,
        page_token: String::new(),
        at_least_revision: 0,
        ..request.clone()
    };
    let call = format!("ListFlows\n{:?}", asked.encode_to_vec());
    let page = Page::open(&market, &call, request.page_size, &request.page_token).await?;
    let query = query(&page.view, &request).map_err(refuse)?;
    let survey = market.survey(&page.view, &query).await.map_err(refuse_market)?;
    let flows = &survey.flows;
    let geography = &page.view.head.geography;
    let rows = flows.flows.iter().enumerate().skip(page.start);
    let (rows, next) = page.take(rows.map(|(at, flow)| (at, rendered(flow, geography))));
    Ok(pb::ListFlowsResponse {
        flows: rows,
        next_page_token: page.token(&market, next),
        revision: page.view.head.revision.0,
        totals: Some(totals(flows)),
    })
}

/// Which people are meant.
fn query(view: &View, request: &pb::ListFlowsRequest) -> Result<Query, Violation> {
    let status: pb::MatchStatus = parse::known("status", request.status)?;
    let revision = |revision: u64| (revision != 0).then_some(Revision(revision));
    let (since, until) = match round(view, request)? {
        Some(end) => (Some(end), Some(end)),
        None => (revision(request.since_revision), revision(request.until_revision)),
    };
    Ok(Query {
        since,
        until,
        origin: city(view, "origin", &request.origin)?,
        destination: city(view, "destination", &request.destination)?,
        moved_only: request.moved_only,
        placed: match status {
            pb::MatchStatus::Unspecified => None,
            pb::MatchStatus::Held => Some(false),
            pb::MatchStatus::Placed => Some(true),
        },
        group: request.group.as_ref().map(group).transpose()?,
        by: by(request)?,
        min_count: request.min_count,
    })
}

/// The revision at which the round asked for made its matches.
fn round(view: &View, request: &pb::ListFlowsRequest) -> Result<Option<Revision>, Violation> {
    let Some(id) = parse::optional("round_id", &request.round_id, RoundId::parse)? else {
        return Ok(None);
    };
    if request.since_revision != 0 || request.until_revision != 0 {
        let message = "does not go with since_revision or until_revision: a round is a revision";
        return Err(Violation::invalid("round_id", message));
    }
    let round = view.head.round(id).ok_or_else(|| {
        Violation::new(Reason::RoundNotFound, "round_id", format!("there is no round {id}"))
    })?;
    match round.state {
        RoundState::Cleared => Ok(round.end),
        _ => Err(Violation::new(Reason::NotCleared, "round_id", "the round has not cleared")),
    }
}

fn city(view: &View, field: &str, id: &str) -> Result<Option<CityIx>, Violation> {
    if id.is_empty() {
        return Ok(None);
    }
    let name = CityName::parse(field, id)?;
    let found = view.head.geography.city_named(name.as_str());
    found.map(Some).ok_or_else(|| Geography::unknown_city(field, &name))
}

fn group(filter: &pb::LabelFilter) -> Result<Group, Violation> {
    for (field, value, most) in [
        ("group.key", &filter.key, LABEL_KEY_BYTES_MAX),
        ("group.value", &filter.value, LABEL_VALUE_BYTES_MAX),
    ] {
        if value.is_empty() {
            return Err(Violation::invalid(field, "is required"));
        }
        text(field, value, most)?;
    }
    Ok(Group {
        label: filter.key.as_str().into(),
        value: filter.value.as_str().into(),
        prefix: filter.prefix,
    })
}

fn by(request: &pb::ListFlowsRequest) -> Result<Option<By>, Violation> {
    in_range("prefix_length", request.prefix_length, 0, LABEL_VALUE_BYTES_MAX as u32)?;
    if request.label_key.is_empty() {
        if request.prefix_length > 0 {
            return Err(Violation::invalid("label_key", "is required with prefix_length"));
        }
        return Ok(None);
    }
    text("label_key", &request.label_key, LABEL_KEY_BYTES_MAX)?;
    let prefix = request.prefix_length as usize;
    Ok(Some(By { label: request.label_key.as_str().into(), prefix }))
}

fn rendered(flow: &Flow, geography: &Geography) -> pb::Flow {
    let id = |ix| geography.city(ix).id.to_string();
    let total = |sum: i128| i64::try_from(sum).ok();
    // A mean is no more than the largest of its terms, which is money or a cost of moving.
    let mean = |sum: i128| i64::try_from(flow.mean(sum)).unwrap_or(i64::MAX);
    pb::Flow {
        origin: id(flow.origin),
        destination: id(flow.destination),
        group: flow.group.as_deref().unwrap_or_default().to_owned(),
        count: flow.count,
        placed: flow.placed,
        distance_km: flow.km,
        mean_move_cost: mean(flow.move_cost),
        total_move_cost: total(flow.move_cost),
        mean_salary: mean(flow.salary),
        total_salary: total(flow.salary),
        mean_expected_salary: mean(flow.expected_salary),
        total_expected_salary: total(flow.expected_salary),
    }
}

fn totals(flows: &Flows) -> pb::FlowTotals {
    pb::FlowTotals {
        flows: flows.flows.len() as u64,
        count: flows.count,
        suppressed_flows: flows.suppressed_cells,
        suppressed_count: flows.suppressed_count,
        newest_match_at: flows.newest.map(render::timestamp),
    }
}

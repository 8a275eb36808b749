//! `MarketService`: makes and changes markets and their places.

use super::paging::Page;
use super::parse::{self, batch};
use super::status::{refuse, refuse_market};
use super::{Shared, at_least, item_errors, render, request_key};
use crate::domain::{Incarnation, MarketName, Reason, Revision, Violation, limits};
use crate::preferences::Lottery;
use crate::proto::v1 as pb;
use crate::proto::v1::market_service_server::MarketService;
use crate::state::{Command, Creation, Head};
use prost::Message;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// `MarketService` over the server's markets.
#[derive(Clone)]
pub struct MarketRpc(pub Shared);

/// Applies a batch command and renders its answer.
macro_rules! apply_batch {
    ($self:ident, $request:ident, $items:ident, $id:expr, $read:expr, $command:path, $response:ident) => {{
        let request = $request.into_inner();
        let market = $self.0.market(&request.market)?;
        let key = request_key(stringify!($items), &request.request_id, &request)?;
        let parsed =
            batch(stringify!($items), &request.$items, request.atomic, $id, |_, item| $read(item))?;
        let bytes = request.encoded_len();
        let outcome =
            market.submit($command(parsed.batch), key, bytes).await.map_err(refuse_market)?;
        let errors = item_errors(&outcome, parsed.errors);
        let settlement = Some(render::settlement(&outcome));
        Ok(Response::new(pb::$response { revision: outcome.revision.0, errors, settlement }))
    }};
}

#[tonic::async_trait]
impl MarketService for MarketRpc {
    async fn create_market(
        &self,
        request: Request<pb::CreateMarketRequest>,
    ) -> Result<Response<pb::CreateMarketResponse>, Status> {
        let asked = request.into_inner().market.ok_or_else(|| missing("market"))?;
        let creation = creation(&asked).map_err(|v| refuse(v.within("market")))?;
        let market = self.0.markets.create(creation).await.map_err(refuse_market)?;
        let head = market.head();
        Ok(Response::new(pb::CreateMarketResponse {
            revision: head.revision.0,
            market: Some(render::market(&head)),
        }))
    }

    async fn get_market(
        &self,
        request: Request<pb::GetMarketRequest>,
    ) -> Result<Response<pb::GetMarketResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let head = at_least(&market, request.at_least_revision)?;
        Ok(Response::new(pb::GetMarketResponse {
            revision: head.revision.0,
            market: Some(render::market(&head)),
        }))
    }

    async fn list_markets(
        &self,
        request: Request<pb::ListMarketsRequest>,
    ) -> Result<Response<pb::ListMarketsResponse>, Status> {
        let request = request.into_inner();
        let size = super::paging::size(request.page_size)?;
        let after = parse::optional("page_token", &request.page_token, after).map_err(refuse)?;
        let mut all = self.0.markets.list();
        all.retain(|market| after.as_ref().is_none_or(|after| market.name() > after));
        let more = all.len() > size;
        all.truncate(size);
        let last = all.last().filter(|_| more);
        Ok(Response::new(pb::ListMarketsResponse {
            next_page_token: last
                .map(|market| format!("{MARKETS_TOKEN}{}", market.name()))
                .unwrap_or_default(),
            markets: all.iter().map(|market| render::market(&market.head())).collect(),
        }))
    }

    async fn update_market(
        &self,
        request: Request<pb::UpdateMarketRequest>,
    ) -> Result<Response<pb::UpdateMarketResponse>, Status> {
        let request = request.into_inner();
        let key = request_key("UpdateMarket", &request.request_id, &request)?;
        let bytes = request.encoded_len();
        let asked = request.market.ok_or_else(|| missing("market"))?;
        let market = self.0.market(&asked.id).map_err(|_| {
            refuse(Violation { field: "market.id".into(), ..crate::market::not_found(&asked.id) })
        })?;
        let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let command =
            update(&market.head(), &asked, &mask, request.expected_revision).map_err(refuse)?;
        let outcome = market.submit(command, key, bytes).await.map_err(refuse_market)?;
        Ok(Response::new(pb::UpdateMarketResponse {
            market: Some(render::market(&market.head())),
            revision: outcome.revision.0,
        }))
    }

    async fn delete_market(
        &self,
        request: Request<pb::DeleteMarketRequest>,
    ) -> Result<Response<pb::DeleteMarketResponse>, Status> {
        let request = request.into_inner();
        let incarnation = parse::optional("incarnation", &request.incarnation, Incarnation::parse)
            .map_err(refuse)?;
        let market = self.0.markets.delete(&request.market, incarnation);
        let market = market.await.map_err(refuse_market)?;
        Ok(Response::new(pb::DeleteMarketResponse { revision: market.head().revision.0 }))
    }

    async fn upsert_cities(
        &self,
        request: Request<pb::UpsertCitiesRequest>,
    ) -> Result<Response<pb::UpsertCitiesResponse>, Status> {
        let id = |city: &pb::City| city.id.clone();
        apply_batch!(
            self,
            request,
            cities,
            id,
            parse::city,
            Command::UpsertCities,
            UpsertCitiesResponse
        )
    }

    async fn list_cities(
        &self,
        request: Request<pb::ListCitiesRequest>,
    ) -> Result<Response<pb::ListCitiesResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let page =
            Page::open(&market, "ListCities", request.page_size, &request.page_token).await?;
        let geography = page.view.head.geography.clone();
        let rows = geography.cities.iter().enumerate().skip(page.start);
        let (cities, next) = page.take(rows.map(|(at, city)| (at, render::city(city, &geography))));
        Ok(Response::new(pb::ListCitiesResponse {
            cities,
            next_page_token: page.token(&market, next),
            revision: page.view.head.revision.0,
        }))
    }

    async fn upsert_regions(
        &self,
        request: Request<pb::UpsertRegionsRequest>,
    ) -> Result<Response<pb::UpsertRegionsResponse>, Status> {
        let id = |region: &pb::Region| region.id.clone();
        apply_batch!(
            self,
            request,
            regions,
            id,
            parse::region,
            Command::UpsertRegions,
            UpsertRegionsResponse
        )
    }

    async fn list_regions(
        &self,
        request: Request<pb::ListRegionsRequest>,
    ) -> Result<Response<pb::ListRegionsResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let page =
            Page::open(&market, "ListRegions", request.page_size, &request.page_token).await?;
        let geography = page.view.head.geography.clone();
        let rows = geography.regions.iter().enumerate().skip(page.start);
        let (regions, next) =
            page.take(rows.map(|(at, region)| (at, render::region(region, &geography))));
        Ok(Response::new(pb::ListRegionsResponse {
            regions,
            next_page_token: page.token(&market, next),
            revision: page.view.head.revision.0,
        }))
    }

    async fn set_move_costs(
        &self,
        request: Request<pb::SetMoveCostsRequest>,
    ) -> Result<Response<pb::SetMoveCostsResponse>, Status> {
        let id = |cost: &pb::MoveCost| format!("{} -> {}", cost.origin, cost.destination);
        apply_batch!(
            self,
            request,
            move_costs,
            id,
            parse::move_cost,
            Command::SetMoveCosts,
            SetMoveCostsResponse
        )
    }

    async fn list_move_costs(
        &self,
        request: Request<pb::ListMoveCostsRequest>,
    ) -> Result<Response<pb::ListMoveCostsResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let page =
            Page::open(&market, "ListMoveCosts", request.page_size, &request.page_token).await?;
        let geography = page.view.head.geography.clone();
        let rows = geography.move_costs_sorted().into_iter().enumerate().skip(page.start);
        let rendered = rows.map(|(at, ((origin, destination), cost))| {
            (at, render::move_cost(origin, destination, Some(cost), &geography))
        });
        let (move_costs, next) = page.take(rendered);
        Ok(Response::new(pb::ListMoveCostsResponse {
            move_costs,
            next_page_token: page.token(&market, next),
            revision: page.view.head.revision.0,
        }))
    }
}

/// What the page tokens of the list of markets begin with. The last name of the page
/// before follows: names do not move.
const MARKETS_TOKEN: &str = "markets:";

/// Reads the market after which a page starts.
fn after(field: &str, token: &str) -> Result<MarketName, Violation> {
    let name = token.strip_prefix(MARKETS_TOKEN);
    name.and_then(|name| MarketName::parse(field, name).ok()).ok_or_else(|| {
        let message = "is malformed, or from another call";
        Violation::new(Reason::PageTokenInvalid, field, message)
    })
}

fn missing(field: &str) -> Status {
    refuse(Violation::invalid(field, "is required"))
}

/// What a market is made from: the caller's part, and what the server draws.
fn creation(asked: &pb::Market) -> Result<Creation, Violation> {
    let name = MarketName::parse("id", &asked.id)?;
    crate::domain::error::text("display_name", &asked.display_name, limits::TEXT_BYTES_MAX)?;
    let proto = asked.settings.clone().unwrap_or_default();
    let settings = parse::market_settings(&proto).map_err(|v| v.within("settings"))?;
    let drawn = Uuid::new_v4().as_u64_pair();
    // Two halves of a random UUID, each with a few fixed bits, folded into one full seed.
    let seed = proto.lottery_seed.unwrap_or(drawn.0.rotate_left(32) ^ drawn.1);
    Ok(Creation {
        name,
        display_name: asked.display_name.as_str().into(),
        incarnation: Incarnation(Uuid::now_v7()),
        settings,
        lottery: Lottery { seed },
        lottery_nonce: *Uuid::new_v4().as_bytes(),
    })
}

/// The command that gives the market the values that the mask names.
fn update(
    head: &Head,
    asked: &pb::Market,
    mask: &[String],
    expected: u64,
) -> Result<Command, Violation> {
    if mask.is_empty() {
        return Err(Violation::invalid("update_mask", "is required: name the fields to change"));
    }
    let proto = asked.settings.clone().unwrap_or_default();
    let mut display_name = None;
    let mut changes = Vec::new();
    for path in mask {
        match path.as_str() {
            "display_name" => {
                let name = &asked.display_name;
                crate::domain::error::text("market.display_name", name, limits::TEXT_BYTES_MAX)?;
                display_name = Some(name.as_str().into());
            }
            "settings" if proto.lottery_seed.is_some_and(|seed| seed != head.lottery.seed) => {
                return Err(Violation::invalid(
                    "market.settings.lottery_seed",
                    "is fixed at creation",
                ));
            }
            "settings.lottery_seed" => {
                return Err(Violation::invalid("update_mask", "the lottery is fixed at creation"));
            }
            path => {
                let change = parse::setting_change(path, &proto);
                changes.push(change.map_err(|v| v.within("market.settings"))?.ok_or_else(
                    || Violation::invalid("update_mask", format!("{path:?} cannot be changed")),
                )?);
            }
        }
    }
    let expected = (expected != 0).then_some(Revision(expected));
    Ok(Command::Update { display_name, changes, expected })
}

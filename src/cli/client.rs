//! The command line's side of a connection: where the server is, which market is
//! meant, and clients with the API's message limits.

use super::error::Error;
use crate::domain::limits::MESSAGE_BYTES_MAX;
use crate::proto::v1::event_service_client::EventServiceClient;
use crate::proto::v1::market_service_client::MarketServiceClient;
use crate::proto::v1::matching_service_client::MatchingServiceClient;
use crate::proto::v1::planning_service_client::PlanningServiceClient;
use crate::proto::v1::pool_service_client::PoolServiceClient;
use crate::proto::v1::{
    City, GetMarketRequest, GetWatermarkRequest, ListCitiesRequest, ListMarketsRequest, Market,
    Position,
};
use std::error::Error as _;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;

/// Receive windows, so that long pages do not wait for the default 64 KiB at a time.
const WINDOW_BYTES: u32 = 1 << 20;
/// Frames that are received, so that a message of usual size is one piece.
const FRAME_BYTES: u32 = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Rows asked for at a time where a command reads everything.
pub const PAGE_SIZE: i32 = 10_000;

/// Which server.
#[derive(Clone, Debug, clap::Args)]
pub struct Server {
    /// Address of the server, with or without `http://`.
    #[arg(
        long,
        value_name = "URL",
        env = "GALE_SERVER",
        default_value = "http://127.0.0.1:7400",
        hide_env_values = true
    )]
    pub server: String,
}

/// Which server, and which of its markets.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    #[command(flatten)]
    pub server: Server,
    /// Id of the market; needed if the server has more than one.
    #[arg(long, value_name = "ID", env = "GALE_MARKET", hide_env_values = true)]
    pub market: Option<String>,
}

impl Target {
    /// Connects, and finds out which market is meant.
    pub async fn connect(&self) -> Result<(Client, String), Error> {
        let client = Client::connect(&self.server.server).await?;
        let market = match &self.market {
            Some(market) => market.clone(),
            None => client.only_market().await?,
        };
        Ok((client, market))
    }
}

/// A connection to a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    url: String,
}

impl Client {
    /// Connects to `server`: a URL, or an address.
    pub async fn connect(server: &str) -> Result<Self, Error> {
        let url =
            if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|error| Error::Usage(format!("--server {server}: {error}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_frame_size(FRAME_BYTES)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(4 * WINDOW_BYTES);
        let channel = endpoint.connect().await.map_err(|error| {
            let cause = innermost(&error);
            Error::Unreachable(format!(
                "cannot reach a server at {url}: {cause} (start one with `gale serve`)"
            ))
        })?;
        Ok(Self { channel, url })
    }

    /// The address connected to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The connection itself, for calls that the clients below do not make.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Markets and their places.
    pub fn markets(&self) -> MarketServiceClient<Channel> {
        MarketServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Pools of workers and vacancies.
    pub fn pools(&self) -> PoolServiceClient<Channel> {
        PoolServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Rounds and matches.
    pub fn matching(&self) -> MatchingServiceClient<Channel> {
        MatchingServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Indicators, flows and scenarios.
    pub fn planning(&self) -> PlanningServiceClient<Channel> {
        PlanningServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Health.
    pub fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel.clone())
    }

    /// Events.
    pub fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// One market.
    pub async fn market(&self, market: &str) -> Result<Market, Error> {
        let request = GetMarketRequest { market: market.to_owned(), at_least_revision: 0 };
        let reply = self
            .markets()
            .get_market(request)
            .await
            .map_err(Error::refused("cannot read the market"))?;
        reply.into_inner().market.ok_or_else(|| incomplete("GetMarket"))
    }

    /// All cities of a market.
    pub async fn cities(&self, market: &str) -> Result<Vec<City>, Error> {
        let mut cities = Vec::new();
        let mut request = ListCitiesRequest {
            market: market.to_owned(),
            page_size: PAGE_SIZE,
            ..ListCitiesRequest::default()
        };
        loop {
            let page = self
                .markets()
                .list_cities(request.clone())
                .await
                .map_err(Error::refused("cannot list the cities"))?
                .into_inner();
            cities.extend(page.cities);
            if page.next_page_token.is_empty() {
                return Ok(cities);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The position after a market's newest event.
    pub async fn newest(&self, market: &str) -> Result<Position, Error> {
        let request = GetWatermarkRequest { market: market.to_owned() };
        let reply = self
            .events()
            .get_watermark(request)
            .await
            .map_err(Error::refused("cannot read the watermark"))?;
        reply.into_inner().newest.ok_or_else(|| incomplete("GetWatermark"))
    }

    /// The server's only market.
    async fn only_market(&self) -> Result<String, Error> {
        let request = ListMarketsRequest { page_size: 10, page_token: String::new() };
        let reply = self
            .markets()
            .list_markets(request)
            .await
            .map_err(Error::refused("cannot list the markets"))?;
        let markets = reply.into_inner().markets;
        match markets.as_slice() {
            [market] => Ok(market.id.clone()),
            [] => Err(Error::Failed(format!(
                "the server at {} has no market yet (load one with `gale import DIR`)",
                self.url
            ))),
            several => {
                let names: Vec<_> = several.iter().map(|market| market.id.as_str()).collect();
                Err(Error::Usage(format!(
                    "the server has several markets, choose one with --market: {}",
                    names.join(", ")
                )))
            }
        }
    }
}

/// A reply that lacks what its documentation promises.
pub fn incomplete(call: &str) -> Error {
    Error::Unreachable(format!("the server's reply to {call} is incomplete"))
}

/// The cause at the bottom of a chain, which says most about a failed connection.
fn innermost(error: &tonic::transport::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

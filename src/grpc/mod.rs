//! The transport: one file per service, and the door where protocol buffers become
//! domain types and domain errors become statuses. Nothing below knows gRPC.

mod deadline;
mod event;
mod market;
mod matching;
mod paging;
mod parse;
mod planning;
mod pool;
mod render;
pub mod specs;
mod status;
mod subscriber;

pub use deadline::{Deadline, DeadlineLayer};
pub use event::Events;
pub use market::MarketRpc;
pub use matching::MatchingRpc;
pub use parse::{Parsed, city, market_settings, move_cost, region, vacancy, worker};
pub use planning::{PlanningRpc, parameters_in_full};
pub use pool::PoolRpc;

use crate::domain::limits::{PLANNING_CALLS_MAX, SCENARIO_RUNS_MAX, SUBSCRIBERS_PER_SERVER_MAX};
use crate::domain::{RequestId, Revision};
use crate::market::{Market, Markets};
use crate::state::{Outcome, RequestKey};
use prost::Message;
use status::{Answer, refuse};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_128;

/// What all services share.
#[derive(Clone)]
pub struct Shared {
    /// The markets.
    pub markets: Arc<Markets>,
    /// Cancelled when the server stops: streams then end.
    pub stopping: CancellationToken,
    /// Subscribers of the whole server.
    pub subscribers: Arc<AtomicUsize>,
    /// Subscribers allowed on the whole server.
    pub subscribers_max: usize,
    /// Subscribers allowed on one market.
    pub subscribers_per_market_max: usize,
    /// A subscriber whose connection accepts nothing for this long is cut.
    pub stall: Duration,
    /// Room for computations of `PlanningService`.
    pub planning: Arc<Semaphore>,
    /// Room for scenarios.
    pub scenarios: Arc<Semaphore>,
}

impl Shared {
    /// What services share, with the default limits of subscribers.
    pub fn new(markets: Arc<Markets>, stopping: CancellationToken) -> Self {
        Self {
            markets,
            stopping,
            subscribers: Arc::default(),
            subscribers_max: SUBSCRIBERS_PER_SERVER_MAX,
            subscribers_per_market_max: crate::domain::limits::SUBSCRIBERS_PER_MARKET_MAX,
            stall: Duration::from_secs(crate::domain::limits::SUBSCRIBER_STALL_SECONDS_MAX),
            planning: Arc::new(Semaphore::new(PLANNING_CALLS_MAX)),
            scenarios: Arc::new(Semaphore::new(SCENARIO_RUNS_MAX)),
        }
    }

    fn market(&self, name: &str) -> Answer<Arc<Market>> {
        self.markets.get(name).map_err(refuse)
    }
}

/// A client's name for a request, if it gave one: its id and a hash of the request and
/// of what it asks for, because requests of two methods may be the same bytes.
fn request_key(method: &str, id: &str, request: &impl Message) -> Answer<Option<RequestKey>> {
    if id.is_empty() {
        return Ok(None);
    }
    let id = RequestId::parse("request_id", id).map_err(refuse)?;
    let mut bytes = [method.as_bytes(), b"\n"].concat();
    bytes.extend(request.encode_to_vec());
    Ok(Some(RequestKey { id, fingerprint: xxh3_128(&bytes) }))
}

/// The outcome's item errors and those found at the door, by index.
fn item_errors(
    outcome: &Outcome,
    at_door: Vec<crate::proto::v1::ItemError>,
) -> Vec<crate::proto::v1::ItemError> {
    let mut errors = at_door;
    errors.extend(outcome.errors.iter().map(render::item_error));
    errors.sort_by_key(|error| error.index);
    errors
}

/// `at_least_revision`, where the caller asks for one.
fn at_least(market: &Market, revision: u64) -> Answer<Arc<crate::state::Head>> {
    market.check_at_least(Revision(revision)).map_err(refuse)
}

/// The head that names all that a published record refers to. Records are published a
/// moment before the head, so a reader may have to wait for that moment.
async fn head_naming(market: &Market, revision: Revision) -> Arc<crate::state::Head> {
    let mut heads = market.watch_head();
    match heads.wait_for(|head| head.revision >= revision).await {
        Ok(head) => head.clone(),
        // The market is closed: its last head is all there is.
        Err(_) => market.head(),
    }
}

//! The admin port: whether the process lives, whether it is ready, and exports for
//! planners' tools (`docs/EXPORTS.md`).

mod export;
mod ogc;
mod parameters;
mod problem;
mod time;

pub use parameters::encoded;

use crate::market::Markets;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use problem::Problem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the server is ready for calls.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether the server is ready.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// `GET /livez` answers 200 while the process lives; `GET /readyz` 200 while calls are
/// served, 503 before that and while the server stops. Exports stand under `/export` and
/// `/ogc`.
pub fn admin(readiness: Readiness, markets: Arc<Markets>) -> Router {
    let ready = move || {
        let ready = readiness.is_ready();
        async move {
            if ready {
                (StatusCode::OK, "ready\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
            }
        }
    };
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .merge(export::routes())
        .merge(ogc::routes())
        .fallback(|| async { Problem::not_found("there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "is read by GET and HEAD alone")
        })
        .with_state(markets)
}

//! The admin port: whether the process lives, and whether it is ready.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
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
/// served, 503 before that and while the server stops.
pub fn admin(readiness: Readiness) -> Router {
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
    Router::new().route("/livez", get(|| async { "alive\n" })).route("/readyz", get(ready))
}

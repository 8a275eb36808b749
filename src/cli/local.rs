//! A server in this process: for `gale serve`, and under the demo. The only place
//! where the command line touches the server itself.

use super::error::Error;
use crate::server::{self, Bound, Options};
use std::error::Error as _;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Binds the listeners.
pub async fn bind(options: Options) -> Result<Bound, Error> {
    Bound::bind(options).await.map_err(|error| match error {
        server::Error::Anonymous(_) => Error::Usage(error.to_string()),
        _ => failed(&error),
    })
}

/// Serves until `shutdown`.
pub async fn serve(bound: Bound, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    bound.serve(shutdown).await.map_err(|error| failed(&error))
}

fn failed(error: &server::Error) -> Error {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    Error::Unreachable(format!("{error}{causes}"))
}

/// A server that runs beside the command.
pub struct Local {
    /// Where it serves gRPC.
    pub grpc: SocketAddr,
    /// Where it serves health.
    pub admin: SocketAddr,
    /// Whether both are where a server is by default.
    pub usual: bool,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), Error>>,
}

impl Local {
    /// Starts a server on the usual ports, or on free ones where those are taken.
    pub async fn start() -> Result<Self, Error> {
        let usual = Options::default();
        let (listen, admin) = (free(usual.listen), free(usual.admin));
        let is_usual = listen == usual.listen && admin == usual.admin;
        let bound = bind(Options { listen, admin, ..usual }).await?;
        let (grpc, admin) = (bound.grpc_addr(), bound.admin_addr());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(bound, async {
            let _ = stopped.await;
        }));
        Ok(Self { grpc, admin, usual: is_usual, stop, server })
    }

    /// Stops it in good order.
    pub async fn stop(self) -> Result<(), Error> {
        // If the receiver is gone, the server has ended already.
        let _ = self.stop.send(());
        match self.server.await {
            Ok(result) => result,
            Err(error) => Err(Error::Unreachable(format!("the server failed: {error}"))),
        }
    }
}

/// The address if it is free, else the same with a port of the system's choice.
fn free(address: SocketAddr) -> SocketAddr {
    match TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => SocketAddr::new(address.ip(), 0),
    }
}

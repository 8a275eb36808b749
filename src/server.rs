//! The server: binds, serves, and stops in time.

use crate::domain::limits;
use crate::events::Retention;
use crate::grpc::{DeadlineLayer, Events, MarketRpc, MatchingRpc, PlanningRpc, PoolRpc, Shared};
use crate::http::{Readiness, admin};
use crate::journal::snapshot::Snapshots;
use crate::journal::{self, Directory, Journal, Recovered};
use crate::market::{self, Keeping, Markets, Scribe, SystemClock};
use crate::proto::DESCRIPTORS;
use crate::proto::encoded::event_service_server::EventServiceServer;
use crate::proto::v1::market_service_server::MarketServiceServer;
use crate::proto::v1::matching_service_server::MatchingServiceServer;
use crate::proto::v1::planning_service_server::PlanningServiceServer;
use crate::proto::v1::pool_service_server::PoolServiceServer;
use crate::state::Capacity;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;
use tracing::{info, warn};

/// How a server is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where gRPC and gRPC-web are served.
    pub listen: SocketAddr,
    /// Where `/livez` and `/readyz` are served.
    pub admin: SocketAddr,
    /// Serve on other than loopback addresses although nobody is asked who they are.
    pub allow_anonymous: bool,
    /// How often an idle connection is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// How long it may take to answer.
    pub keepalive_timeout: Duration,
    /// Time from the call to stop until the process gives up on open calls.
    pub stop: Duration,
    /// Connections at once.
    pub connections_max: usize,
    /// History kept per market, in bytes.
    pub history_bytes_max: usize,
    /// History kept per market, in age.
    pub history_age_max: Duration,
    /// A subscriber whose connection accepts nothing for this long is cut.
    pub subscriber_stall: Duration,
    /// Subscribers at once.
    pub subscribers_max: usize,
    /// Subscribers of one market at once.
    pub subscribers_per_market_max: usize,
    /// How often time is told to the markets (deadlines, INTERVAL rounds).
    pub tick: Duration,
    /// Markets at once.
    pub markets_max: usize,
    /// How large a market may grow.
    pub capacity: Capacity,
    /// Deadline of a unary call whose caller sets none.
    pub unary_deadline: Duration,
    /// Where markets are kept; without it they end with the process.
    pub data: Option<Data>,
}

/// Where and how markets are kept beyond the process.
#[derive(Clone, Debug)]
pub struct Data {
    /// The data directory, which is made if it is missing.
    pub directory: PathBuf,
    /// History kept per market, in bytes; in age it is [`Options::history_age_max`].
    pub history_bytes_max: u64,
    /// Effects of a market after which its state is written as a snapshot.
    pub snapshot_effects: u64,
}

impl Data {
    /// In that directory, all else as usual.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            history_bytes_max: limits::KEPT_HISTORY_BYTES_MAX,
            snapshot_effects: limits::SNAPSHOT_EFFECTS,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            admin: SocketAddr::from(([127, 0, 0, 1], 7401)),
            allow_anonymous: false,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            stop: Duration::from_secs(limits::STOP_SECONDS_MAX),
            connections_max: limits::CONNECTIONS_MAX,
            history_bytes_max: limits::HISTORY_BYTES_MAX,
            history_age_max: Duration::from_secs(limits::HISTORY_SECONDS_MAX),
            subscriber_stall: Duration::from_secs(limits::SUBSCRIBER_STALL_SECONDS_MAX),
            subscribers_max: limits::SUBSCRIBERS_PER_SERVER_MAX,
            subscribers_per_market_max: limits::SUBSCRIBERS_PER_MARKET_MAX,
            tick: Duration::from_secs(1),
            markets_max: limits::MARKETS_MAX,
            capacity: Capacity::default(),
            unary_deadline: Duration::from_secs(limits::UNARY_SECONDS_DEFAULT),
            data: None,
        }
    }
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address beyond loopback, without saying that anybody may call.
    #[error(
        "{0} is not a loopback address and there are no keys yet: pass --allow-anonymous to serve everybody who can reach it"
    )]
    Anonymous(SocketAddr),
    /// An address could not be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The transport failed.
    #[error("the gRPC transport failed")]
    Transport(#[from] tonic::transport::Error),
    /// The API's own description could not be read.
    #[error("reflection is not possible")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The admin port failed.
    #[error("the admin port failed")]
    Admin(#[source] io::Error),
    /// The data directory cannot be used as it is.
    #[error("the markets cannot be recovered")]
    Journal(#[from] journal::Error),
    /// The system gives no thread to write the journal.
    #[error("there is no thread for the journal")]
    Thread(#[source] io::Error),
}

/// A server whose addresses are bound, and which serves nothing yet.
pub struct Bound {
    options: Options,
    listener: TcpListener,
    admin: TcpListener,
    markets: Arc<Markets>,
}

impl Bound {
    /// Binds both addresses, and recovers what the data directory has kept.
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let (listener, admin) = Self::listen(&options).await?;
        let markets = recover(&options).await?;
        Ok(Self { options, listener, admin, markets })
    }

    /// Binds both addresses, for markets that are there already.
    pub async fn with_markets(options: Options, markets: Arc<Markets>) -> Result<Self, Error> {
        let (listener, admin) = Self::listen(&options).await?;
        Ok(Self { options, listener, admin, markets })
    }

    async fn listen(options: &Options) -> Result<(TcpListener, TcpListener), Error> {
        for address in [options.listen, options.admin] {
            if !address.ip().is_loopback() && !options.allow_anonymous {
                return Err(Error::Anonymous(address));
            }
        }
        Ok((listen(options.listen).await?, listen(options.admin).await?))
    }

    /// Where gRPC is served.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.options.listen)
    }

    /// Where the admin port is served.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr().unwrap_or(self.options.admin)
    }

    /// The markets that will be served.
    pub fn markets(&self) -> &Arc<Markets> {
        &self.markets
    }

    /// Serves until `shutdown` completes, then stops: NOT_SERVING, no new connections,
    /// streams end with UNAVAILABLE and their last position, and what is still open
    /// after [`Options::stop`] is cut.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { options, listener, admin: admin_listener, markets } = self;
        let stopping = CancellationToken::new();
        let readiness = Readiness::default();
        let health = Health::new().await;
        let grpc = serve_grpc(
            &options,
            listener,
            markets.clone(),
            health.service.clone(),
            stopping.clone(),
        )?;
        let admin = axum::serve(admin_listener, admin(readiness.clone()));
        let admin = tokio::spawn(async move { admin.await });
        let ticks = tokio::spawn(markets.clone().tick_until(stopping.clone()));
        tokio::pin!(grpc);
        health.set(ServingStatus::Serving).await;
        readiness.set(true);
        info!("serving");
        tokio::select! {
            served = &mut grpc => served?,
            () = shutdown => {}
        }
        info!("stopping");
        readiness.set(false);
        health.set(ServingStatus::NotServing).await;
        stopping.cancel();
        // The transport waits for every open call; a caller who does not hang up is
        // cut when the time is over.
        if tokio::time::timeout(options.stop, grpc).await.is_err() {
            warn!(seconds = options.stop.as_secs(), "calls were still open; cut");
        }
        admin.abort();
        let _ = ticks.await;
        markets.close();
        // What was handed over is kept, acknowledged or not.
        let _ = tokio::task::spawn_blocking(move || markets.stop_keeping()).await;
        info!("stopped");
        Ok(())
    }
}

/// The markets, those that were kept among them.
async fn recover(options: &Options) -> Result<Arc<Markets>, Error> {
    let age = options.history_age_max;
    let markets = market::Options {
        retention: Retention { bytes: options.history_bytes_max, age },
        capacity: options.capacity,
        tick: options.tick,
        markets_max: options.markets_max,
    };
    let clock = Arc::new(SystemClock);
    let Some(data) = options.data.clone() else {
        return Ok(Arc::new(Markets::new(markets, clock)));
    };
    let capacity = options.capacity;
    let recovered = tokio::task::spawn_blocking(move || read(&data, age, capacity));
    let recovered = recovered.await.unwrap_or_else(|panic| {
        std::panic::resume_unwind(panic.into_panic());
    });
    let (keeping, kept) = recovered?;
    let markets = Arc::new(Markets::kept(markets, clock, keeping));
    for market in kept {
        let Recovered { name, state, at, oldest, snapshot, replayed, .. } = market;
        let revision = state.view().head.revision.0;
        let from = snapshot.map_or(0, |revision| revision.0);
        info!(market = %name, revision, from, replayed, "market recovered");
        markets.adopt(state, at, oldest);
    }
    Ok(markets)
}

/// Reads a data directory, and starts to write it.
fn read(
    data: &Data,
    age: Duration,
    capacity: Capacity,
) -> Result<(Arc<Keeping>, Vec<Recovered>), Error> {
    let directory = Directory::take(&data.directory)?;
    let snapshots = Snapshots::of(directory.snapshots());
    let journal = journal::sqlite::open(directory, journal::sqlite::Options::default())?;
    let recovered = journal::recover(&*journal.reader(), Some(&snapshots), capacity)?;
    let scribe = Scribe::start(Box::new(journal)).map_err(Error::Thread)?;
    let bytes = usize::try_from(data.history_bytes_max).unwrap_or(usize::MAX);
    let keeping = Keeping::new(scribe, snapshots, Retention { bytes, age }, data.snapshot_effects);
    let keeping = Arc::new(keeping);
    keeping.tidy()?;
    Ok((keeping, recovered))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

type HealthServer =
    tonic_health::pb::health_server::HealthServer<tonic_health::server::HealthService>;

/// Health of the server as a whole and of each service: NOT_SERVING until ready.
struct Health<S> {
    reporter: HealthReporter,
    service: S,
}

/// All services by their full names; the empty name is the server as a whole.
const SERVICES: [&str; 6] = [
    "",
    "gale.v1.MarketService",
    "gale.v1.PoolService",
    "gale.v1.MatchingService",
    "gale.v1.EventService",
    "gale.v1.PlanningService",
];

impl Health<HealthServer> {
    async fn new() -> Self {
        let reporter = HealthReporter::new();
        let service = tonic_health::server::HealthService::from_health_reporter(reporter.clone());
        let health = Self { reporter, service: HealthServer::new(service) };
        // The library starts the whole server as SERVING.
        health.set(ServingStatus::NotServing).await;
        health
    }

    async fn set(&self, status: ServingStatus) {
        for name in SERVICES {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

/// The gRPC server as a future that ends after `stopping`, once every call has.
fn serve_grpc(
    options: &Options,
    listener: TcpListener,
    markets: Arc<Markets>,
    health: HealthServer,
    stopping: CancellationToken,
) -> Result<impl Future<Output = Result<(), tonic::transport::Error>>, Error> {
    let mut shared = Shared::new(markets, stopping.clone());
    shared.subscribers_max = options.subscribers_max;
    shared.subscribers_per_market_max = options.subscribers_per_market_max;
    shared.stall = options.subscriber_stall;
    macro_rules! sized {
        ($server:expr) => {
            $server
                .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
        };
    }
    // Each version of reflection lists both, as servers in other languages do.
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(
                tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
            )
    };
    let server = tonic::transport::Server::builder()
        .accept_http1(true)
        .tcp_nodelay(true)
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(options.keepalive_interval))
        .http2_keepalive_timeout(Some(options.keepalive_timeout))
        .layer(GrpcWebLayer::new())
        .layer(DeadlineLayer { unary_default: options.unary_deadline, stopping: stopping.clone() })
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(sized!(MarketServiceServer::new(MarketRpc(shared.clone()))))
        .add_service(sized!(PoolServiceServer::new(PoolRpc(shared.clone()))))
        .add_service(sized!(MatchingServiceServer::new(MatchingRpc(shared.clone()))))
        .add_service(sized!(EventServiceServer::new(Events(shared.clone()))))
        .add_service(sized!(PlanningServiceServer::new(PlanningRpc(shared))));
    let patience = options.keepalive_interval + options.keepalive_timeout;
    let connections = accept(listener, options.connections_max, patience, stopping.clone());
    let stopped = async move { stopping.cancelled().await };
    Ok(server.serve_with_incoming_shutdown(connections, stopped))
}

/// Connections that wait for the transport to take them.
const CONNECTIONS_WAITING: usize = 64;

/// Accepts connections until `stopping`; those beyond the limit are hung up on at once,
/// and those that have not said a word once `patience` is over.
fn accept(
    listener: TcpListener,
    limit: usize,
    patience: Duration,
    stopping: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, waiting) = tokio::sync::mpsc::channel(CONNECTIONS_WAITING);
    let room = Arc::new(Semaphore::new(limit));
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = stopping.cancelled() => return,
                stream = listener.accept() => stream,
            };
            let Ok((stream, peer)) = stream else {
                // Out of file descriptors, most likely: let some close.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(place) = room.clone().try_acquire_owned() else {
                warn!(%peer, limit, "connection refused: too many");
                continue;
            };
            let _ = stream.set_nodelay(true);
            let first_word = Some(Box::pin(tokio::time::sleep(patience)));
            let connection = Connection { stream, first_word, _place: place };
            if accepted.send(Ok(connection)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(waiting)
}

/// A connection with its place among those allowed.
struct Connection {
    stream: TcpStream,
    /// Until the client's first bytes: when to hang up. From then on keepalive watches.
    first_word: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.first_word = None;
        }
        match self.first_word.as_mut().map(|sleep| sleep.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            _ => read,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_stream::StreamExt;

    /// Goal: small answers leave at once. Method: the option of an accepted socket.
    #[tokio::test]
    async fn connections_do_not_wait_for_more_bytes() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_secs(9);
        let mut connections = accept(listener, 1, patience, CancellationToken::new());
        let _client = TcpStream::connect(address).await.unwrap();
        let connection = connections.next().await.unwrap().unwrap();
        assert!(connection.stream.nodelay().unwrap());
    }

    /// Goal: connections that say nothing do not fill the server. Method: one that speaks
    /// and one that does not, with little patience.
    #[tokio::test]
    async fn connections_that_say_nothing_are_hung_up_on() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_millis(50);
        let mut connections = accept(listener, 2, patience, CancellationToken::new());
        let _silent = TcpStream::connect(address).await.unwrap();
        let mut silent = connections.next().await.unwrap().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut speaks = connections.next().await.unwrap().unwrap();
        client.write_all(b"h").await.unwrap();
        assert_eq!(speaks.read_u8().await.unwrap(), b'h');
        assert_eq!(silent.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        client.write_all(b"i").await.unwrap();
        assert_eq!(speaks.read_u8().await.unwrap(), b'i', "patience is for the first word alone");
    }
}

//! The markets of a server.

use super::continuous::Continuous;
use super::owner::{Owner, stop_process};
use super::{Error, LastCleared, Market, Message, Pinned, Pools};
use crate::domain::limits::{MARKETS_MAX, QUEUE_BYTES_MAX, QUEUE_COMMANDS_MAX};
use crate::domain::{Incarnation, MarketName, Millis, Reason, RoundId, Violation};
use crate::events::{Log, Retention};
use crate::journal::{Journal, Volatile};
use crate::state::{Capacity, Command, Creation, Envelope, State};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

/// Where the time of commands comes from.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Millis;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// How markets are kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// History kept per market.
    pub retention: Retention,
    /// How large a market may grow.
    pub capacity: Capacity,
    /// How often time is told to every market (deadlines, INTERVAL rounds); zero = never.
    pub tick: Duration,
    /// Markets of the server.
    pub markets_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            capacity: Capacity::default(),
            tick: Duration::from_secs(1),
            markets_max: MARKETS_MAX,
        }
    }
}

/// The markets of a server, by name.
pub struct Markets {
    options: Options,
    clock: Arc<dyn Clock>,
    by_name: DashMap<MarketName, Arc<Market>>,
    /// Held while a market is made, so that the limit holds; never across an await.
    creating: Mutex<()>,
}

impl Markets {
    /// No markets yet.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock, by_name: DashMap::new(), creating: Mutex::new(()) }
    }

    /// The market of that name.
    pub fn get(&self, name: &str) -> Result<Arc<Market>, Violation> {
        match self.by_name.get(name) {
            Some(market) => Ok(market.clone()),
            None => Err(not_found(name)),
        }
    }

    /// All markets by name.
    pub fn list(&self) -> Vec<Arc<Market>> {
        let mut all: Vec<_> = self.by_name.iter().map(|entry| entry.value().clone()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Makes a market that keeps nothing beyond the process.
    pub fn create(&self, creation: Creation) -> Result<Arc<Market>, Error> {
        self.create_with(creation, Box::new(Volatile::default()))
    }

    /// Makes a market with the given journal.
    pub fn create_with(
        &self,
        creation: Creation,
        journal: Box<dyn Journal>,
    ) -> Result<Arc<Market>, Error> {
        let _one_at_a_time =
            self.creating.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = self.by_name.len();
        let entry = match self.by_name.entry(creation.name.clone()) {
            Entry::Occupied(_) => {
                let message = format!("a market named {} exists", creation.name);
                return Err(Error::from(Violation::new(
                    Reason::MarketExists,
                    "market.id",
                    message,
                )));
            }
            Entry::Vacant(entry) => entry,
        };
        if count >= self.options.markets_max {
            let message = format!("the server has {count} markets, its limit");
            return Err(Error::from(Violation::new(Reason::LimitReached, "market", message)));
        }
        let (mut owner, queue) = self.prepare(&creation, journal);
        let market = owner.market.clone();
        owner.apply(Envelope {
            at: self.clock.now(),
            request: None,
            command: Command::Create(creation),
        })?;
        entry.insert(market.clone());
        info!(market = %market.name, incarnation = %market.incarnation, "market made");
        spawn_owner(owner, queue);
        Ok(market)
    }

    fn prepare(
        &self,
        creation: &Creation,
        journal: Box<dyn Journal>,
    ) -> (Owner, mpsc::Receiver<Message>) {
        let state = State::new(creation.name.clone(), self.options.capacity);
        let (queue, receiver) = mpsc::channel(QUEUE_COMMANDS_MAX);
        let (head_sender, head) = watch::channel(Arc::new(state.view().head.clone()));
        let market = Market {
            name: creation.name.clone(),
            incarnation: creation.incarnation,
            clock: self.clock.clone(),
            queue,
            queue_bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            head,
            pools: Pools::default(),
            log: Log::new(self.options.retention),
            pinned: Pinned::default(),
            running: Mutex::new(None),
            last_cleared: RwLock::new(None::<Arc<LastCleared>>),
            subscribers: AtomicUsize::new(0),
            queue_depth_max: AtomicUsize::new(0),
            closed: CancellationToken::new(),
        };
        let owner = Owner {
            state,
            journal,
            market: Arc::new(market),
            head: head_sender,
            snapshot: None,
            continuous: Continuous::default(),
            now: Millis(0),
        };
        (owner, receiver)
    }

    /// Deletes a market, if it is of the given incarnation (or whichever it is).
    pub fn delete(
        &self,
        name: &str,
        incarnation: Option<Incarnation>,
    ) -> Result<Arc<Market>, Violation> {
        let wrong =
            |market: &Market| incarnation.is_some_and(|wanted| wanted != market.incarnation);
        match self.by_name.remove_if(name, |_, market| !wrong(market)) {
            Some((_, market)) => {
                market.closed.cancel();
                info!(market = %market.name, "market deleted");
                Ok(market)
            }
            None => {
                let market = self.get(name)?;
                Err(Violation::new(
                    Reason::IncarnationMismatch,
                    "incarnation",
                    format!("the market is of incarnation {}", market.incarnation),
                )
                .with("incarnation", market.incarnation))
            }
        }
    }

    /// Closes all markets: their owners stop, running rounds are cancelled.
    pub fn close(&self) {
        self.by_name.iter().for_each(|market| market.closed.cancel());
    }

    /// Tells time to every market until `stop`.
    pub async fn tick_until(self: Arc<Self>, stop: CancellationToken) {
        if self.options.tick.is_zero() {
            return;
        }
        let mut interval = tokio::time::interval(self.options.tick);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            for market in self.list() {
                market.log.trim(self.clock.now());
                let tick = Command::Tick(RoundId(Uuid::now_v7()));
                // A full queue gets its tick a second later; a closed market needs none.
                if market.queue.capacity() > 0 {
                    let _ = market.submit(tick, None, 1).await;
                }
            }
        }
    }
}

/// The violation of a name that no market has.
pub(crate) fn not_found(name: &str) -> Violation {
    Violation::new(Reason::MarketNotFound, "market", format!("there is no market {name:?}"))
}

fn spawn_owner(owner: Owner, queue: mpsc::Receiver<Message>) {
    let task = tokio::spawn(owner.run(queue));
    tokio::spawn(async move {
        if task.await.is_err_and(|error| error.is_panic()) {
            stop_process("the owner of a market panicked");
        }
    });
}

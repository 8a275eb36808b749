//! The markets of a server.

use super::ahead::{Ahead, Kept};
use super::continuous::Continuous;
use super::keeping::Keeping;
use super::owner::{Caller, Owner, stop_process};
use super::touched::Touched;
use super::{Error, Failure, LastCleared, Market, Message, Pinned, Pools, Scenarios};
use crate::domain::limits::{MARKETS_MAX, QUEUE_BYTES_MAX, QUEUE_COMMANDS_MAX};
use crate::domain::{Incarnation, MarketName, Millis, Reason, Revision, RoundId, Violation};
use crate::events::{Log, Recent, Retention};
use crate::state::{Capacity, Command, Creation, Envelope, State};
use dashmap::DashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
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
    /// Keeps markets; without it, they end with their process.
    keeping: Option<Arc<Keeping>>,
    by_name: DashMap<MarketName, Arc<Market>>,
    /// Held while a market is made, so that names are taken once and the limit holds.
    creating: tokio::sync::Mutex<()>,
}

impl Markets {
    /// No markets yet, and none will outlive the process.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        let (keeping, creating) = (None, tokio::sync::Mutex::new(()));
        Self { options, clock, keeping, by_name: DashMap::new(), creating }
    }

    /// No markets yet; those that are made are kept.
    pub fn kept(options: Options, clock: Arc<dyn Clock>, keeping: Arc<Keeping>) -> Self {
        Self { keeping: Some(keeping), ..Self::new(options, clock) }
    }

    /// Why nothing can be kept at present.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.keeping.as_ref().and_then(|keeping| keeping.scribe.failure())
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

    /// Makes a market; returns it once that is durable.
    ///
    /// It goes on if the caller leaves: else the journal would have a market that nobody
    /// else knows of.
    pub async fn create(self: &Arc<Self>, creation: Creation) -> Result<Arc<Market>, Error> {
        let (answer, made) = oneshot::channel();
        tokio::spawn(self.clone().make(creation, answer));
        made.await.map_err(|_| Error::Closed)?
    }

    async fn make(
        self: Arc<Self>,
        creation: Creation,
        answer: oneshot::Sender<Result<Arc<Market>, Error>>,
    ) {
        if let Some(failure) = self.failure() {
            return drop(answer.send(Err(Error::Journal(failure))));
        }
        let _one_at_a_time = self.creating.lock().await;
        if let Err(violation) = self.check_room(&creation.name) {
            return drop(answer.send(Err(violation.into())));
        }
        let state = State::new(creation.name.clone(), self.options.capacity);
        let (mut owner, queue) = self.prepare(state, creation.incarnation, Millis(0));
        let market = owner.market.clone();
        let (reply, made) = oneshot::channel();
        let (at, command) = (self.clock.now(), Command::Create(creation));
        let envelope = Envelope { at, request: None, command };
        owner.submit(envelope, Caller { reply: Some(reply), room: None });
        spawn_owner(owner, queue);
        match made.await.unwrap_or(Err(Error::Closed)) {
            Ok(_) => {
                self.enter(&market);
                let _ = answer.send(Ok(market));
            }
            Err(error @ Error::Journal(_)) => {
                let _ = answer.send(Err(error));
                // It is in the journal as soon as that goes on.
                let mut head = market.watch_head();
                if head.wait_for(|head| head.revision > Revision(0)).await.is_ok() {
                    self.enter(&market);
                }
            }
            Err(error) => {
                market.closed.cancel();
                let _ = answer.send(Err(error));
            }
        }
    }

    fn check_room(&self, name: &MarketName) -> Result<(), Violation> {
        let count = self.by_name.len();
        if self.by_name.contains_key(name) {
            let message = format!("a market named {name} exists");
            return Err(Violation::new(Reason::MarketExists, "market.id", message));
        }
        if count >= self.options.markets_max {
            let message = format!("the server has {count} markets, its limit");
            return Err(Violation::new(Reason::LimitReached, "market", message));
        }
        Ok(())
    }

    fn enter(&self, market: &Arc<Market>) {
        self.by_name.insert(market.name.clone(), market.clone());
        info!(market = %market.name, incarnation = %market.incarnation, "market made");
    }

    /// Takes in a market that a journal has kept, the last of whose commands came in `at`, with
    /// its history from the revision `oldest` on.
    pub fn adopt(&self, state: State, at: Millis, oldest: Revision) -> Arc<Market> {
        let incarnation = state.view().head.incarnation;
        let rows = Touched::all(state.view()).rows(state.view());
        let (owner, queue) = self.prepare(state, incarnation, at);
        let market = owner.market.clone();
        market.log.set_archived_from(oldest);
        rows.publish(&market.pools);
        self.by_name.insert(market.name.clone(), market.clone());
        spawn_owner(owner, queue);
        market
    }

    fn prepare(
        &self,
        state: State,
        incarnation: Incarnation,
        now: Millis,
    ) -> (Owner, mpsc::Receiver<Message>) {
        let name = state.view().head.name.clone();
        let log = Log::after(self.options.retention, state.view().head.revision);
        let archive = self.keeping.as_ref().map(|keeping| {
            log.set_archived_from(Revision(1));
            keeping.scribe.reader().clone()
        });
        let (queue, receiver) = mpsc::channel(QUEUE_COMMANDS_MAX);
        let (head_sender, head) = watch::channel(Arc::new(state.view().head.clone()));
        let market = Market {
            name: name.clone(),
            incarnation,
            clock: self.clock.clone(),
            queue,
            queue_bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            head,
            pools: Pools::default(),
            log,
            archive,
            recent: Recent::default(),
            pinned: Pinned::default(),
            scenarios: Scenarios::default(),
            running: Mutex::new(None),
            last_cleared: RwLock::new(None::<Arc<LastCleared>>),
            subscribers: AtomicUsize::new(0),
            queue_depth_max: AtomicUsize::new(0),
            closed: CancellationToken::new(),
        };
        let market = Arc::new(market);
        let kept = self
            .keeping
            .as_ref()
            .map(|keeping| Kept::by(keeping.clone(), keeping.scribe.line(incarnation, name)));
        let owner = Owner {
            ahead: Ahead::of(market.clone(), head_sender, kept, state.capacity()),
            state,
            market,
            snapshot: None,
            continuous: Continuous::default(),
            now,
        };
        (owner, receiver)
    }

    /// Deletes a market, if it is of the given incarnation (or whichever it is); returns
    /// once that is durable.
    ///
    /// From the first moment on the market takes nothing any more. Its name is free once the
    /// journal has the deletion; until then, a restart would bring it back.
    pub async fn delete(
        self: &Arc<Self>,
        name: &str,
        incarnation: Option<Incarnation>,
    ) -> Result<Arc<Market>, Error> {
        let market = self.get(name)?;
        if incarnation.is_some_and(|wanted| wanted != market.incarnation) {
            let message = format!("the market is of incarnation {}", market.incarnation);
            let violation = Violation::new(Reason::IncarnationMismatch, "incarnation", message);
            return Err(violation.with("incarnation", market.incarnation).into());
        }
        let Some(keeping) = self.keeping.clone() else {
            self.leave(&market);
            return Ok(market);
        };
        if let Some(failure) = self.failure() {
            return Err(Error::Journal(failure));
        }
        market.closed.cancel();
        let (done, deleted) = oneshot::channel();
        let (this, gone) = (self.clone(), market.clone());
        let forgetting = keeping.clone();
        let done = move || {
            this.leave(&gone);
            forgetting.forget(gone.incarnation);
            let _ = done.send(());
        };
        let (name, now) = (market.name.clone(), self.clock.now());
        keeping.scribe.delete(market.incarnation, name, now, Box::new(done));
        deleted.await.map_err(|_| Error::Closed)?;
        Ok(market)
    }

    fn leave(&self, market: &Arc<Market>) {
        market.closed.cancel();
        let is_it = |_: &MarketName, other: &Arc<Market>| Arc::ptr_eq(other, market);
        if self.by_name.remove_if(&market.name, is_it).is_some() {
            info!(market = %market.name, "market deleted");
        }
    }

    /// Closes all markets: their owners stop, running rounds are cancelled.
    pub fn close(&self) {
        self.by_name.iter().for_each(|market| market.closed.cancel());
    }

    /// Ends the thread that keeps markets, once everything is kept; they must be closed.
    /// Blocking.
    pub fn stop_keeping(&self) {
        self.keeping.iter().for_each(|keeping| keeping.stop());
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

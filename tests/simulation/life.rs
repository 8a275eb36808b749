//! Lives of a server on one disk: each ends with a crash, the last goes on until everything
//! is answered.

use crate::Figures;
use crate::lane::{Being, Lane};
use crate::promises::{CONTINUED, Checked, DURABLE, RECOVERED, UNSEEN, broken};
use crate::support::draws::Random;
use crate::support::world::{START, vacancy_id, worker_id};
use crate::twin::Twin;
use gale::domain::{Incarnation, Millis, Revision};
use gale::events::{Cursor, Filter, Missed, Next, Position, Retention};
use gale::journal::snapshot::Snapshots;
use gale::journal::{self, Disk, Fault, Memory, Read, Record, Seq};
use gale::market::{Clock, Desk, Error, Keeping, Market, Markets, Options, Scribe, Step};
use gale::state::{Capacity, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Markets at once.
const LANES: u64 = 3;
/// Steps of a life, unless it crashes before.
const STEPS: u64 = 60;
/// Steps of the last life in which everything must be answered.
const LAST_STEPS: usize = 5_000;
/// What a log keeps in memory: next to nothing, so that history comes from the journal.
const LOG: Retention = Retention { bytes: 2_000, age: Duration::from_secs(3_600) };

/// A clock that only the simulation moves.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }
}

/// What was asked: of which lane, and what.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Create(usize),
    Delete(usize),
    Command(usize, usize),
}

type Answer = Result<Option<Arc<Outcome>>, Error>;

pub struct Simulation {
    random: Random,
    clock: Arc<Hand>,
    disk: Disk,
    snapshots: Snapshots,
    with_snapshots: bool,
    lanes: Vec<Lane>,
    twins: BTreeMap<Incarnation, Twin>,
    /// Up to where the twins have followed the journal.
    followed: Seq,
    /// A subscriber of each market, and where it is.
    readers: BTreeMap<Incarnation, Position>,
    faults: Arc<AtomicU64>,
    figures: Figures,
    _dir: tempfile::TempDir,
}

/// A process.
struct Life {
    runtime: Runtime,
    markets: Arc<Markets>,
    desk: Desk,
    /// The disk has said that the process is gone.
    gone: Arc<AtomicBool>,
    calls: Vec<(Asked, JoinHandle<Answer>)>,
}

impl Simulation {
    pub fn run(seed: u64) -> Result<Figures, String> {
        let mut random = Random(seed);
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut simulation = Self {
            with_snapshots: random.one_in(3),
            lanes: (0..LANES).map(|number| Lane::new(seed, number)).collect(),
            random,
            clock: Arc::new(Hand(AtomicI64::new(START))),
            disk: Disk::default(),
            snapshots: Snapshots::of(dir.path().join("snapshots")),
            twins: BTreeMap::new(),
            followed: Seq(0),
            readers: BTreeMap::new(),
            faults: Arc::default(),
            figures: Figures::default(),
            _dir: dir,
        };
        for _ in 0..=simulation.random.below(4) {
            let mut life = simulation.begin(true)?;
            simulation.live(&mut life)?;
            simulation.end(life);
            simulation.figures.crashes += 1;
        }
        let mut life = simulation.begin(false)?;
        simulation.finish(&mut life)?;
        simulation.end(life);
        drop(simulation.begin(false)?);
        simulation.figures.faults = simulation.faults.load(Ordering::Relaxed);
        Ok(simulation.figures)
    }

    /// A process starts: it must find what the journal leads to.
    fn begin(&mut self, faulty: bool) -> Result<Life, String> {
        let gone = Arc::new(AtomicBool::new(false));
        let faults = self.faults(gone.clone(), faulty);
        let failed = |error: journal::Error| format!("{RECOVERED}\n  {error}");
        let journal = Memory::with_faults(&self.disk, faults).map_err(failed)?;
        self.follow()?;
        self.check_recovery(false)?;
        self.check_recovery(self.with_snapshots)?;
        let snapshots = self.with_snapshots.then_some(&self.snapshots);
        let recovered =
            journal::recover(&self.disk, snapshots, Capacity::default()).map_err(failed)?;
        let (scribe, desk) = Scribe::stepped(Box::new(journal));
        let effects = if self.with_snapshots { 40 } else { u64::MAX };
        let kept = Retention { bytes: 4_000, ..LOG };
        let keeping = Keeping::new(scribe, self.snapshots.clone(), kept, effects);
        let options = Options { retention: LOG, tick: Duration::ZERO, ..Options::default() };
        let markets = Arc::new(Markets::kept(options, self.clock.clone(), Arc::new(keeping)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let entered = runtime.enter();
        for market in recovered {
            self.figures.snapshots_used += u64::from(market.snapshot.is_some());
            self.figures.rounds_lost +=
                u64::from(market.state.view().head.running_round().is_some());
            markets.adopt(market.state, market.at, market.oldest);
        }
        drop(entered);
        for lane in &mut self.lanes {
            lane.being = match self.twins.get(&lane.incarnation()) {
                None => Being::Unmade,
                Some(twin) if twin.deleted => Being::Gone,
                Some(_) => Being::Made,
            };
        }
        self.figures.lives += 1;
        Ok(Life { runtime, markets, desk, gone, calls: Vec::new() })
    }

    fn faults(
        &mut self,
        gone: Arc<AtomicBool>,
        faulty: bool,
    ) -> impl FnMut(Seq) -> Fault + Send + 'static {
        let (mut random, count) = (Random(self.random.next()), self.faults.clone());
        move |_| {
            let fault = match random.below(60) {
                _ if !faulty => Fault::None,
                0..=2 => Fault::Failed,
                3 => Fault::Full,
                4 | 5 => Fault::Torn,
                6 | 7 => Fault::Unsure,
                8 => Fault::Crash,
                9 => Fault::CrashAfter,
                _ => Fault::None,
            };
            count.fetch_add(u64::from(!matches!(fault, Fault::None)), Ordering::Relaxed);
            if matches!(fault, Fault::Crash | Fault::CrashAfter) {
                gone.store(true, Ordering::Relaxed);
            }
            fault
        }
    }

    /// Whether a recovery leads to the twins.
    fn check_recovery(&mut self, with_snapshots: bool) -> Checked {
        let snapshots = with_snapshots.then_some(&self.snapshots);
        let known = Read::markets(&self.disk).map_err(|error| error.to_string())?;
        let trimmed = |known: &journal::Known| !known.deleted && known.trimmed > Revision(0);
        if snapshots.is_none() && known.iter().any(trimmed) {
            self.figures.trimmed += 1;
            return Ok(());
        }
        let recovered = journal::recover(&self.disk, snapshots, Capacity::default());
        let recovered = recovered.or_else(|error| broken(RECOVERED, error))?;
        let alive = self.twins.values().filter(|twin| !twin.deleted).count();
        if recovered.len() != alive {
            return broken(RECOVERED, format_args!("{} of {alive} markets", recovered.len()));
        }
        for market in recovered {
            let twin = &self.twins[&market.incarnation];
            let same = market.state.hash() == twin.state.hash() && market.at <= twin.at;
            if !same {
                let (is, due) = (market.state.view().head.revision, twin.revision());
                let evidence = format!("{} is at {is}, {due} is due, or differs", market.name);
                return broken(RECOVERED, evidence);
            }
        }
        Ok(())
    }

    /// Lets the twins follow the journal.
    fn follow(&mut self) -> Checked {
        let stored = self.disk.batches(self.followed, u64::MAX).map_err(|e| e.to_string())?;
        for stored in stored {
            if stored.seq != Seq(self.followed.0 + 1) {
                return broken(DURABLE, format_args!("{} after {}", stored.seq, self.followed));
            }
            self.followed = stored.seq;
            let lane =
                self.lanes.iter().find(|lane| lane.incarnation() == stored.group.incarnation);
            let lane = lane.ok_or_else(|| format!("{DURABLE}\n  whose is {stored:?}"))?;
            let twin = self.twins.entry(lane.incarnation());
            let twin = twin.or_insert_with(|| Twin::new(stored.group.name.clone()));
            match stored.group.record {
                Record::Deleted(_) => twin.deleted = true,
                Record::Entries(entries) => {
                    for entry in &entries {
                        self.figures.entries += 1;
                        twin.follow(entry, |key| lane.command(key))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Until a crash, or its time is up.
    fn live(&mut self, life: &mut Life) -> Checked {
        life.run();
        for _ in 0..STEPS {
            match self.random.below(12) {
                0..=4 => self.ask(life, 3),
                5..=7 => drop(self.write(life)?),
                8 => self.ask_again(life),
                9 => self.look(life)?,
                _ => {
                    life.run();
                    self.hear(life)?;
                }
            }
            if life.gone.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.clock.0.fetch_add(self.random.below(400) as i64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Until everything is answered.
    fn finish(&mut self, life: &mut Life) -> Checked {
        for step in 0..LAST_STEPS {
            life.run();
            self.hear(life)?;
            self.ask(life, 8);
            life.run();
            let idle = self.write(life)? == Step::Idle;
            life.run();
            self.hear(life)?;
            if step % 8 == 0 {
                self.ask_again(life);
                self.look(life)?;
            }
            let done = |lane: &Lane| lane.being == Being::Gone || lane.quarter() == 4;
            if idle && life.calls.is_empty() && self.lanes.iter().all(done) {
                self.look(life)?;
                return self.check_end();
            }
        }
        let open: Vec<_> = life.calls.iter().map(|(asked, _)| asked).collect();
        let lanes: Vec<_> = self.lanes.iter().map(|lane| (lane.being, lane.quarter())).collect();
        let at: Vec<_> = self.twins.values().map(|twin| twin.revision().0).collect();
        Err(format!("it never comes to rest: {open:?} are open, {lanes:?}, revisions {at:?}"))
    }

    fn check_end(&mut self) -> Checked {
        for lane in &self.lanes {
            let Some(twin) = self.twins.get(&lane.incarnation()) else {
                return broken(DURABLE, format_args!("{} is not there", lane.creation.name));
            };
            lane.check(twin)?;
            let running = twin.state.view().head.running_round();
            if let Some(running) = running.filter(|_| !twin.deleted) {
                return broken(RECOVERED, format_args!("nobody works on {running:?}"));
            }
        }
        Ok(())
    }

    /// One step at the desk; everything durable is then known to the twins.
    fn write(&mut self, life: &mut Life) -> Result<Step, String> {
        let step = life.desk.step();
        self.follow()?;
        Ok(step)
    }

    /// Clients ask for something that they were not answered yet.
    fn ask(&mut self, life: &mut Life, most: u64) {
        for _ in 0..=self.random.below(most) {
            let number = self.random.below(LANES) as usize;
            let lane = &mut self.lanes[number];
            let deletes = lane.is_brief && lane.quarter() >= 2 && self.random.one_in(4);
            match lane.being {
                Being::Unmade => {
                    lane.being = Being::Leaving;
                    life.call(Asked::Create(number), lane);
                }
                Being::Made if deletes => {
                    lane.being = Being::Leaving;
                    life.call(Asked::Delete(number), lane);
                }
                Being::Made => {
                    if let Some(at) = lane.take() {
                        life.call(Asked::Command(number, at), lane);
                    }
                }
                Being::Leaving | Being::Gone => {}
            }
        }
    }

    /// A client asks again for what was answered.
    fn ask_again(&mut self, life: &mut Life) {
        let number = self.random.below(LANES) as usize;
        let lane = &self.lanes[number];
        if lane.being == Being::Made
            && let Some(at) = lane.answered(&mut self.random)
        {
            self.figures.retried += 1;
            life.call(Asked::Command(number, at), lane);
        }
    }

    /// Clients hear what there is to hear.
    fn hear(&mut self, life: &mut Life) -> Checked {
        let calls = std::mem::take(&mut life.calls);
        for (asked, mut answer) in calls {
            if !answer.is_finished() {
                life.calls.push((asked, answer));
                continue;
            }
            let answer = life.runtime.block_on(&mut answer).map_err(|error| error.to_string())?;
            self.heard(asked, answer)?;
        }
        Ok(())
    }

    fn heard(&mut self, asked: Asked, answer: Answer) -> Checked {
        let (Asked::Create(number) | Asked::Delete(number) | Asked::Command(number, _)) = asked;
        let lane = &mut self.lanes[number];
        let twin = self.twins.get(&lane.incarnation());
        match (asked, answer) {
            (Asked::Command(_, at), Ok(Some(outcome))) => {
                self.figures.acknowledged += 1;
                let Some(twin) = twin else {
                    return broken(DURABLE, format_args!("{} is not there", lane.creation.name));
                };
                return lane.acknowledge(at, outcome, twin);
            }
            (Asked::Command(_, at), Err(Error::Refused(_))) => {
                self.figures.refused += 1;
                return lane.refuse(at);
            }
            (Asked::Command(_, at), _) => {
                self.figures.unanswered += 1;
                lane.unanswered(at);
            }
            (Asked::Create(_), Ok(_)) => match twin {
                Some(_) => lane.being = Being::Made,
                None => return broken(DURABLE, format_args!("{} was made", lane.creation.name)),
            },
            (Asked::Delete(_), Ok(_)) => match twin {
                Some(twin) if twin.deleted => lane.being = Being::Gone,
                _ => return broken(DURABLE, format_args!("{} was deleted", lane.creation.name)),
            },
            // Made or not, once the journal goes on: whoever asks then finds out.
            (Asked::Create(_), Err(Error::Journal(_))) => lane.being = Being::Unmade,
            // It is there, although whoever asked for it was told of a failure.
            (Asked::Create(_), Err(Error::Refused(_))) if twin.is_some() => {
                lane.being = Being::Made;
            }
            (_, Err(Error::Refused(why))) => return Err(format!("{asked:?} is refused: {why:?}")),
            (Asked::Create(_) | Asked::Delete(_), Err(error)) => {
                self.figures.unanswered += 1;
                lane.being = match twin {
                    _ if matches!(error, Error::Journal(_)) => Being::Made,
                    Some(_) => Being::Leaving,
                    None => Being::Unmade,
                };
            }
        }
        Ok(())
    }

    /// Whatever can be seen must be durable, and as the twins have it.
    fn look(&mut self, life: &mut Life) -> Checked {
        let views = life.views();
        self.hear(life)?;
        for market in life.markets.list() {
            let Some(twin) = self.twins.get(&market.incarnation()) else {
                return broken(UNSEEN, format_args!("{} is there", market.name()));
            };
            let durable = twin.revision();
            let head = market.head().revision;
            let log = market.log().end().revision;
            let pools = (1..=10).flat_map(|number| {
                let worker = market.pools().worker(worker_id(number)).map(|row| row.revision);
                let vacancy = market.pools().vacancy(vacancy_id(number)).map(|row| row.revision);
                worker.into_iter().chain(vacancy)
            });
            let pools = pools.max().unwrap_or_default();
            if head > durable || pools > durable || log > durable.next() {
                let evidence = format!(
                    "{durable} is durable, but the head is at {head}, the log at {log}, a pool at {pools}"
                );
                return broken(UNSEEN, evidence);
            }
            self.read(life, &market)?;
        }
        for (incarnation, revision) in views {
            let durable = self.twins.get(&incarnation).map(Twin::revision).unwrap_or_default();
            if revision > durable {
                return broken(
                    UNSEEN,
                    format_args!("{durable} is durable, a list is of {revision}"),
                );
            }
        }
        Ok(())
    }

    /// The market's subscriber reads on, and finds what the twin has told.
    fn read(&mut self, life: &Life, market: &Arc<Market>) -> Checked {
        let twin = &self.twins[&market.incarnation()];
        let start = Position::start_of(Revision(1));
        let at = self.readers.entry(market.incarnation()).or_insert(start);
        let heard = life.runtime.block_on(subscribe(market, at));
        for (position, event) in heard? {
            self.figures.events_seen += 1;
            if twin.event(position.revision, position.index) != Some(&event) {
                let due = twin.event(position.revision, position.index);
                let evidence = format!("{position:?} tells {event}, {due:?} is durable");
                return broken(UNSEEN, evidence);
            }
        }
        Ok(())
    }

    /// The process is gone, with everything that was not written.
    fn end(&mut self, life: Life) {
        for (asked, _) in &life.calls {
            if let Asked::Command(number, at) = *asked {
                self.figures.unanswered += 1;
                self.lanes[number].unanswered(at);
            }
        }
        // Nothing runs any more: clearings and snapshots ended whenever something ran.
        life.runtime.shutdown_background();
    }
}

/// Reads from a position to the end; moves the position there. Events must not be left out.
async fn subscribe(market: &Market, at: &mut Position) -> Result<Vec<(Position, String)>, String> {
    let lost = |missed: Missed, at: Position| {
        Err(format!("{CONTINUED}\n  a subscriber at {at:?} is told {missed:?}"))
    };
    let mut cursor = Cursor::new(*at, Filter::default());
    let mut heard = Vec::new();
    loop {
        match cursor.advance(market.log()) {
            Ok(Next::Chunk(chunk)) => {
                for (index, event) in chunk.events() {
                    let position = Position { revision: chunk.revision(), index };
                    let follows = position == *at
                        || index == 0 && position == Position::start_of(at.revision.next());
                    if !follows {
                        return broken(
                            CONTINUED,
                            format_args!("{position:?} comes, {at:?} is due"),
                        );
                    }
                    *at = Position { revision: position.revision, index: index + 1 };
                    heard.push((position, format!("{event:?}")));
                }
                *at = chunk.next;
            }
            Ok(Next::Skipped) => {}
            Ok(Next::CaughtUp) => return Ok(heard),
            Err(Missed::Archived) => match market.recall(cursor.position().revision).await {
                Ok(batches) => cursor.recall(batches),
                Err(gale::market::Recall::Missed(Missed::Trimmed(oldest))) => {
                    *at = oldest;
                    cursor = Cursor::new(oldest, Filter::default());
                }
                Err(failed) => return broken(CONTINUED, format_args!("history is {failed:?}")),
            },
            Err(Missed::Trimmed(oldest)) if oldest > *at => {
                *at = oldest;
                cursor = Cursor::new(oldest, Filter::default());
            }
            Err(missed) => return lost(missed, *at),
        }
    }
}

/// Waits until clearings and snapshots that were begun have ended: they have one thread,
/// and take turns.
async fn blocking_work_ends() {
    let _ = tokio::task::spawn_blocking(|| ()).await;
}

impl Life {
    /// Lets everything happen that can happen without the journal.
    fn run(&self) {
        self.runtime.block_on(async {
            for _ in 0..4 {
                for _ in 0..64 {
                    tokio::task::yield_now().await;
                }
                blocking_work_ends().await;
            }
        });
    }

    fn call(&mut self, asked: Asked, lane: &Lane) {
        let (markets, creation) = (self.markets.clone(), lane.creation.clone());
        let name = creation.name.clone();
        let answer = match asked {
            Asked::Create(_) => {
                self.runtime.spawn(async move { markets.create(creation).await.map(|_| None) })
            }
            Asked::Delete(_) => self
                .runtime
                .spawn(async move { markets.delete(name.as_str(), None).await.map(|_| None) }),
            Asked::Command(_, at) => {
                let (key, command) = lane.get(at);
                self.runtime.spawn(async move {
                    let Ok(market) = markets.get(name.as_str()) else { return Err(Error::Closed) };
                    market.submit(command, Some(key), 1).await.map(Some)
                })
            }
        };
        self.calls.push((asked, answer));
    }

    /// The revisions that lists are of: those that come at once.
    fn views(&self) -> Vec<(Incarnation, Revision)> {
        let ask = |market: Arc<Market>| {
            let view = async move { (market.incarnation(), market.snapshot().await) };
            self.runtime.spawn(view)
        };
        let asked: Vec<_> = self.markets.list().into_iter().map(ask).collect();
        self.run();
        let come = asked.into_iter().filter(JoinHandle::is_finished);
        let come = come.filter_map(|view| self.runtime.block_on(view).ok());
        come.filter_map(|(of, view)| Some((of, view.ok()?.head.revision))).collect()
    }
}

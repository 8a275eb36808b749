//! The thread that writes the journal: one for all markets of a server.
//!
//! Owners hand over what their commands have done and go on. Whatever has come in while
//! one commit was on its way to the disk makes the next, so commits grow with the load and
//! a single command waits for nobody. If the journal fails, the same is tried again until
//! it succeeds: owners refuse new commands meanwhile, and publish nothing.

use super::owner::stop_process;
use crate::domain::{Incarnation, MarketName, Millis};
use crate::journal::{Entry, Error, Group, Journal, Read, Record, Seq};
use crate::mutants::active;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Effects that one commit takes, if it takes more than one entry.
const COMMIT_EFFECTS_MAX: usize = 50_000;
/// After so long without work the journal is told to bring everything up to date.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait before a failed commit is tried again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Why the journal takes nothing at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether there is no room left.
    pub full: bool,
    /// What the journal said.
    pub message: String,
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self { full: matches!(error, Error::Full(_)), message: error.to_string() }
    }
}

/// The journal's condition, as owners see it.
#[derive(Debug, Default)]
struct Condition {
    /// Held to look or to note a change, never across an await.
    failure: Mutex<Option<Arc<Failure>>>,
    stopping: AtomicBool,
}

impl Condition {
    fn failure(&self) -> Option<Arc<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, failure: Option<Arc<Failure>>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

/// How far a market's entries are durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// All entries up to this ticket are.
    pub durable: u64,
    /// They are in batches up to this one.
    pub seq: Seq,
    /// Why the next are not yet, if the journal fails.
    pub failure: Option<Arc<Failure>>,
}

/// Says whether there is more of it.
type Work = Box<dyn FnMut(&mut dyn Journal) -> bool + Send>;

enum Job {
    Keep {
        line: Arc<End>,
        ticket: u64,
        entry: Entry,
    },
    Delete {
        line: Arc<End>,
        at: Millis,
        done: Box<dyn FnOnce() + Send>,
    },
    /// A piece of work on the journal between two commits.
    Tend(Work),
    Stop,
}

/// The scribe's end of a market's line.
struct End {
    incarnation: Incarnation,
    name: MarketName,
    progress: watch::Sender<Progress>,
}

/// The thread, and the way to it.
pub struct Scribe {
    jobs: Sender<Job>,
    condition: Arc<Condition>,
    reader: Arc<dyn Read>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Scribe {
    /// Starts the thread on a journal.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(journal: Box<dyn Journal>) -> std::io::Result<Self> {
        let (scribe, desk) = Self::stepped(journal);
        let thread = std::thread::Builder::new().name("scribe".into()).spawn(|| desk.run())?;
        *scribe.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(scribe)
    }

    /// A scribe without a thread, and the desk at which its work is done step by step: for
    /// simulations, which decide when something is written.
    pub fn stepped(journal: Box<dyn Journal>) -> (Self, Desk) {
        let (jobs, to_do) = channel();
        let condition = Arc::new(Condition::default());
        let reader = journal.reader();
        let desk = Desk {
            journal,
            condition: condition.clone(),
            to_do,
            again: jobs.clone(),
            waiting: VecDeque::new(),
            begun: None,
            deleted: HashSet::new(),
        };
        (Self { jobs, condition, reader, thread: Mutex::new(None) }, desk)
    }

    /// Reads what is durable.
    pub fn reader(&self) -> &Arc<dyn Read> {
        &self.reader
    }

    /// Why the journal takes nothing at present.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.condition.failure()
    }

    /// A line for a market.
    pub(super) fn line(&self, incarnation: Incarnation, name: MarketName) -> Line {
        let (sender, progress) = watch::channel(Progress::default());
        let end = Arc::new(End { incarnation, name, progress: sender });
        let (jobs, condition) = (self.jobs.clone(), self.condition.clone());
        Line { end, jobs, condition, progress, sent: 0 }
    }

    /// Has a market deleted that nothing is kept of any more; `done` is called once that is
    /// durable.
    pub(super) fn delete(
        &self,
        incarnation: Incarnation,
        name: MarketName,
        at: Millis,
        done: Box<dyn FnOnce() + Send>,
    ) {
        let line = self.line(incarnation, name).end;
        // A scribe that has stopped is that of a server that has stopped.
        let _ = self.jobs.send(Job::Delete { line, at, done });
    }

    /// Has a piece of work done on the journal between commits, again and again as long as
    /// it says that there is more.
    pub(super) fn tend(&self, work: impl FnMut(&mut dyn Journal) -> bool + Send + 'static) {
        let _ = self.jobs.send(Job::Tend(Box::new(work)));
    }

    /// Keeps what has been handed over, and ends the thread. Gives up if the journal fails.
    pub fn stop(&self) {
        self.condition.stopping.store(true, Ordering::Relaxed);
        let _ = self.jobs.send(Job::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last to let go may be the thread itself.
        let thread = thread.filter(|it| it.thread().id() != std::thread::current().id());
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the thread that writes the journal has panicked");
        }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An owner's way to the scribe.
pub(super) struct Line {
    end: Arc<End>,
    jobs: Sender<Job>,
    condition: Arc<Condition>,
    progress: watch::Receiver<Progress>,
    sent: u64,
}

impl Line {
    /// Hands an entry over.
    pub fn keep(&mut self, entry: Entry) {
        self.sent += 1;
        let job = Job::Keep { line: self.end.clone(), ticket: self.sent, entry };
        if self.jobs.send(job).is_err() {
            // A server closes its markets before it stops the scribe.
            stop_process("nobody writes the journal");
        }
    }

    /// The ticket of the last entry.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How far entries are durable.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until there is more progress than this was told of.
    pub async fn more(&mut self) -> Progress {
        // The sender is in `self.end`, so it is there as long as this is.
        let _ = self.progress.changed().await;
        self.progress.borrow_and_update().clone()
    }

    /// Why the journal takes nothing at present.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.condition.failure()
    }
}

/// Where the journal is written: what the thread works with.
pub struct Desk {
    journal: Box<dyn Journal>,
    condition: Arc<Condition>,
    to_do: Receiver<Job>,
    /// For work that is not done with one piece.
    again: Sender<Job>,
    /// What has come in while the journal failed.
    waiting: VecDeque<Job>,
    /// What the journal did not take yet.
    begun: Option<Begun>,
    /// Markets that were deleted: what their owners still hand over is dropped.
    deleted: HashSet<Incarnation>,
}

/// What comes after a step at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next.
    Again,
    /// The same, after so long: the journal has failed.
    Retry(Duration),
    /// Nothing, until there is something to do.
    Idle,
    /// Nothing any more.
    Stop,
}

/// One commit, and what follows it.
struct Begun {
    commit: Commit,
    tending: Option<Work>,
    /// Whether there is more after it.
    goes_on: bool,
    /// How long to wait if it fails.
    pause: Duration,
}

/// One commit in the making.
#[derive(Default)]
struct Commit {
    groups: Vec<Group>,
    /// Where a market's entries go.
    open: HashMap<Incarnation, usize>,
    effects: usize,
    /// The last batch, once it is appended.
    seq: Seq,
    /// By market, whom to tell how far entries are durable.
    tickets: BTreeMap<Incarnation, (Arc<End>, u64)>,
    deletions: Vec<Box<dyn FnOnce() + Send>>,
}

impl Desk {
    fn run(mut self) {
        let mut is_settled = true;
        loop {
            match self.step() {
                Step::Again => is_settled = false,
                Step::Retry(pause) => std::thread::sleep(pause),
                Step::Stop => break,
                Step::Idle => match self.to_do.recv_timeout(IDLE) {
                    Ok(job) => self.waiting.push_back(job),
                    Err(_) if is_settled => {}
                    Err(_) => is_settled = self.settle(),
                },
            }
        }
        self.settle();
    }

    /// Does what there is to do, up to one commit; never waits for anything but the disk.
    pub fn step(&mut self) -> Step {
        let Some(mut work) = self.begun.take().or_else(|| self.gather()) else {
            return Step::Idle;
        };
        if !work.commit.groups.is_empty() && !self.append(&mut work.commit) {
            if self.condition.stopping.load(Ordering::Relaxed) {
                warn!("stopping although the journal fails: the last commands are not kept");
                return Step::Stop;
            }
            let pause = work.pause;
            work.pause = (pause * 2).min(RETRY.1);
            self.begun = Some(work);
            return Step::Retry(pause);
        }
        work.commit.tell();
        if let Some(mut tend) = work.tending
            && tend(&mut *self.journal)
        {
            // Behind what has come in meanwhile.
            let _ = self.again.send(Job::Tend(tend));
        }
        if work.goes_on { Step::Again } else { Step::Stop }
    }

    /// The next commit: what has come in, as far as it goes together.
    fn gather(&mut self) -> Option<Begun> {
        let mut next = self.next();
        next.as_ref()?;
        let (commit, pause) = (Commit::default(), RETRY.0);
        let mut work = Begun { commit, tending: None, goes_on: true, pause };
        while let Some(job) = next.take() {
            match job {
                Job::Keep { line, .. } if self.deleted.contains(&line.incarnation) => {}
                Job::Keep { line, ticket, entry } => work.commit.keep(line, ticket, entry),
                Job::Delete { line, at, done } => {
                    self.deleted.insert(line.incarnation);
                    work.commit.delete(&line, at, done);
                }
                Job::Tend(tend) => work.tending = Some(tend),
                Job::Stop => work.goes_on = false,
            }
            let has_room = work.commit.effects < COMMIT_EFFECTS_MAX;
            if work.goes_on && work.tending.is_none() && has_room {
                next = self.next();
            }
        }
        Some(work)
    }

    fn next(&mut self) -> Option<Job> {
        self.waiting.pop_front().or_else(|| self.to_do.try_recv().ok())
    }

    /// Appends; false if the journal fails.
    fn append(&mut self, commit: &mut Commit) -> bool {
        match self.journal.append(&commit.groups) {
            Ok(seq) => commit.seq = seq,
            Err(error) if error.may_pass() => {
                self.note(commit, &error);
                return active("failure-is-success");
            }
            Err(error) => {
                error!(%error, "the journal cannot be written");
                stop_process("the journal cannot be written");
            }
        }
        if self.condition.failure().is_some() {
            self.condition.set(None);
            info!("the journal takes entries again");
        }
        true
    }

    /// Tells everybody that the journal fails: who hands over next, and who waits already.
    fn note(&mut self, commit: &Commit, error: &Error) {
        let failure = Arc::new(Failure::of(error));
        if self.condition.failure().as_ref() != Some(&failure) {
            error!(%error, "the journal fails; the same is tried again");
            self.condition.set(Some(failure.clone()));
            commit.tickets.values().for_each(|(line, _)| line.tell(&failure));
        }
        while let Ok(job) = self.to_do.try_recv() {
            if let Job::Keep { line, .. } = &job {
                line.tell(&failure);
            }
            self.waiting.push_back(job);
        }
    }

    fn settle(&mut self) -> bool {
        match self.journal.settle() {
            Ok(()) => true,
            Err(error) => {
                warn!(%error, "the journal is not brought up to date");
                false
            }
        }
    }
}

impl End {
    /// Tells the owner that the journal fails.
    fn tell(&self, failure: &Arc<Failure>) {
        self.progress.send_modify(|progress| progress.failure = Some(failure.clone()));
    }
}

impl Commit {
    fn keep(&mut self, line: Arc<End>, ticket: u64, entry: Entry) {
        self.effects += entry.effects.len();
        let End { incarnation, ref name, .. } = *line;
        let at = *self.open.entry(incarnation).or_insert_with(|| {
            let record = Record::Entries(Vec::new());
            self.groups.push(Group { incarnation, name: name.clone(), record });
            self.groups.len() - 1
        });
        if let Record::Entries(entries) = &mut self.groups[at].record {
            entries.push(entry);
        }
        self.tickets.insert(incarnation, (line, ticket));
    }

    fn delete(&mut self, line: &End, at: Millis, done: Box<dyn FnOnce() + Send>) {
        let (incarnation, name) = (line.incarnation, line.name.clone());
        self.open.remove(&incarnation);
        self.groups.push(Group { incarnation, name, record: Record::Deleted(at) });
        self.deletions.push(done);
    }

    /// Tells everybody who waits that it is durable.
    fn tell(self) {
        for (line, ticket) in self.tickets.into_values() {
            let progress = Progress { durable: ticket, seq: self.seq, failure: None };
            line.progress.send_replace(progress);
        }
        self.deletions.into_iter().for_each(|done| done());
    }
}

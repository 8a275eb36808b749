//! Questions answered on all threads at once, while what they are about stands still.
//!
//! Both sides' deferred acceptance go the same way: many ask what they would get, all
//! against the same state, then they act on it one after the other. What the threads
//! answer depends on question and state alone, so their number changes nothing.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::Scope;

/// Questions that a thread takes on at a time.
const SHARE: usize = 32;
/// Numbers for which a thread is started, at least.
const PART: usize = 1_024;

/// What answers questions: a desk (what one thread needs for itself) and an answer.
pub(super) trait Clerk: Sync {
    /// What the questions are about.
    type State: Send + Sync;
    /// What a thread needs for itself.
    type Desk: Send;
    /// A question.
    type Question: Send + Sync;
    /// Its answer.
    type Answer: Send;

    /// Questions that a thread takes on at a time.
    const SHARE: usize = SHARE;

    /// A desk for one more thread.
    fn desk(&self, state: &Self::State) -> Self::Desk;
    /// Answers one question.
    fn answer(
        &self,
        state: &Self::State,
        desk: &mut Self::Desk,
        question: &Self::Question,
    ) -> Self::Answer;
}

/// The threads that answer.
pub(super) struct Crew<'c, C: Clerk> {
    pub clerk: &'c C,
    state: &'c RwLock<C::State>,
    helpers: Vec<Helper<C>>,
    /// The desk of the thread that asks.
    desk: C::Desk,
}

/// Runs `body` with so many threads that answer, itself included; returns what it
/// returns, and the desks.
pub(super) fn with_crew<C: Clerk, R>(
    clerk: &C,
    state: C::State,
    threads: usize,
    body: impl FnOnce(&mut Crew<'_, C>) -> R,
) -> (R, Vec<C::Desk>) {
    let desk = clerk.desk(&state);
    let state = RwLock::new(state);
    std::thread::scope(|scope| {
        let helpers = (1..threads).map(|_| Helper::start(scope, clerk, &state)).collect();
        let mut crew = Crew { clerk, state: &state, helpers, desk };
        let result = body(&mut crew);
        let mut desks = vec![crew.desk];
        desks.extend(crew.helpers.into_iter().map(Helper::end));
        (result, desks)
    })
}

impl<C: Clerk> Crew<'_, C> {
    /// Answers in the order of the questions.
    pub fn ask(&mut self, questions: Vec<C::Question>) -> Vec<C::Answer> {
        self.ask_meanwhile(questions, |_| ()).0
    }

    /// The same; the other threads answer while this one does something else first, for
    /// which it may use its desk.
    pub fn ask_meanwhile<T>(
        &mut self,
        questions: Vec<C::Question>,
        meanwhile: impl FnOnce(&mut C::Desk) -> T,
    ) -> (Vec<C::Answer>, T) {
        let helpers = &self.helpers[..self.helpers.len().min(questions.len() / C::SHARE)];
        let batch = Arc::new(Batch { questions, taken: AtomicUsize::new(0) });
        for helper in helpers {
            helper.batches.send(batch.clone()).expect("a helper listens until it is ended");
        }
        let done = meanwhile(&mut self.desk);
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut answers = batch.answer(self.clerk, &state, &mut self.desk);
        for helper in helpers {
            answers.extend(helper.answers.recv().expect("a helper answers"));
        }
        answers.sort_unstable_by_key(|(start, _)| *start);
        (answers.into_iter().flat_map(|(_, answers)| answers).collect(), done)
    }

    /// The state, to be changed; and the desk of this thread.
    pub fn state(&mut self) -> (RwLockWriteGuard<'_, C::State>, &mut C::Desk) {
        (self.state.write().unwrap_or_else(PoisonError::into_inner), &mut self.desk)
    }
}

/// `f` of each number below `count`, in order, computed on so many threads.
pub(super) fn map<T: Send>(threads: usize, count: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let part = count.div_ceil(threads.max(1)).max(PART);
    let f = &f;
    std::thread::scope(|scope| {
        let rest = (part..count).step_by(part);
        let rest = rest.map(|start| start..count.min(start + part));
        let rest: Vec<_> = rest.map(|part| scope.spawn(|| part.map(f).collect())).collect();
        let mut all = Vec::with_capacity(count);
        all.extend((0..count.min(part)).map(f));
        for part in rest {
            let part: Vec<T> = part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.extend(part);
        }
        all
    })
}

/// Both results, computed at once if there is more than one thread.
pub(super) fn join<A: Send, B: Send>(
    threads: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if threads < 2 {
        return (a(), b());
    }
    std::thread::scope(|scope| {
        let a = scope.spawn(a);
        let b = b();
        (a.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), b)
    })
}

/// Questions, and how many have been taken on.
struct Batch<C: Clerk> {
    questions: Vec<C::Question>,
    taken: AtomicUsize,
}

/// Answers to the questions from some place in a batch on.
type Answers<C> = Vec<(usize, Vec<<C as Clerk>::Answer>)>;

impl<C: Clerk> Batch<C> {
    /// Answers one share after the other until all are taken on.
    fn answer(&self, clerk: &C, state: &C::State, desk: &mut C::Desk) -> Answers<C> {
        let mut answers = Vec::new();
        loop {
            let start = self.taken.fetch_add(C::SHARE, Relaxed);
            let end = self.questions.len().min(start + C::SHARE);
            let Some(share) = self.questions.get(start..end) else { return answers };
            let share = share.iter().map(|question| clerk.answer(state, desk, question));
            answers.push((start, share.collect()));
        }
    }
}

/// A thread that answers.
struct Helper<C: Clerk> {
    batches: SyncSender<Arc<Batch<C>>>,
    answers: Receiver<Answers<C>>,
    desk: Receiver<C::Desk>,
}

impl<C: Clerk> Helper<C> {
    fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        clerk: &'scope C,
        state: &'scope RwLock<C::State>,
    ) -> Self {
        let (batches, to_do) = sync_channel::<Arc<Batch<C>>>(1);
        let (done, answers) = sync_channel(1);
        let (left, desk) = sync_channel(1);
        let read = || state.read().unwrap_or_else(PoisonError::into_inner);
        scope.spawn(move || {
            let mut desk = clerk.desk(&read());
            while let Ok(batch) = to_do.recv() {
                // Nobody listens any more if the computation was cancelled.
                let _ = done.send(batch.answer(clerk, &read(), &mut desk));
            }
            let _ = left.send(desk);
        });
        Self { batches, answers, desk }
    }

    /// Ends the thread; returns its desk.
    fn end(self) -> C::Desk {
        drop(self.batches);
        self.desk.recv().expect("a helper leaves its desk")
    }
}

//! Rounds and verifications: long computations over a snapshot, off the async runtime.

use super::owner::stop_process;
use super::{Finished, Market, Message, Running};
use crate::domain::{
    Clearing, Promise, Reason, Revision, RoundId, Side, VacancySlot, Violation, WorkerSlot,
};
use crate::events::Foreseen;
use crate::matching::live::Live;
use crate::matching::{
    self, Binding, Cancelled, Certificate, Control, Matching, Means, Problem, certify,
    matching_hash,
};
use crate::state::{Clearance, Standing, Summary, View, WorkerStatus};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the last round worked on and what it found.
#[derive(Debug)]
pub struct LastCleared {
    /// The revision of its snapshot.
    pub revision: Revision,
    /// Its input.
    pub problem: Problem,
    /// Its result.
    pub matching: Matching,
    /// Hash of held and placed matches.
    pub matching_hash: u64,
}

/// A verification's result.
#[derive(Debug)]
pub struct Checked {
    /// What was checked.
    pub subject: Arc<LastCleared>,
    /// True if the market was PENDING, so that the last round's snapshot was checked.
    pub of_last_round: bool,
    /// What was found.
    pub certificate: Certificate,
    /// Whether it is the worker-optimal matching too.
    pub worker_optimal: bool,
    /// How long it took.
    pub took: Duration,
}

impl Market {
    /// Starts the clearing of a round on its snapshot. The result comes back to the
    /// owner through its queue.
    pub(super) fn clear(self: &Arc<Self>, id: RoundId, view: View) {
        let control = Arc::new(Control::default());
        self.set_running(Some(Running { id, control: control.clone() }));
        let market = self.clone();
        tokio::task::spawn_blocking(move || {
            let cleared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                round(id, &view, &control)
            }));
            match cleared {
                Ok(Ok((clearance, checked, live))) => {
                    let foreseen = Foreseen::of(&view, &clearance.pairs);
                    // While the snapshot is there, each write copies the chunk that it
                    // touches, and the commit touches them all.
                    drop(view);
                    // A closed queue means that the market is gone, and the round with it.
                    let finished = Finished { clearance, checked, foreseen, live };
                    let _ = market.queue.blocking_send(Message::Commit(Box::new(finished)));
                }
                Ok(Err(matching::Error::Cancelled(_))) => {}
                // Settings without a mechanism are refused when they are made.
                Ok(Err(_)) => stop_process("a clearing had no mechanism"),
                Err(_) => stop_process("a clearing panicked"),
            }
        });
    }

    /// What a verification checks: the matching as it stands, or the last round's if
    /// changes are pending.
    pub async fn to_verify(&self) -> Result<(Arc<LastCleared>, bool), super::Error> {
        let view = self.snapshot().await?;
        if let Standing::Pending(_) = view.head.standing() {
            return match self.last_cleared() {
                Some(cleared) => Ok((cleared, true)),
                None => Err(super::Error::from(Violation::new(
                    Reason::NotCleared,
                    "market",
                    "has not been cleared yet: there is nothing to verify",
                ))),
            };
        }
        Ok((Arc::new(standing_of(&view)), false))
    }
}

/// Checks a matching. Blocking: run it off the runtime.
pub(crate) fn check(
    subject: Arc<LastCleared>,
    of_last_round: bool,
    control: &Control,
) -> Result<Checked, Cancelled> {
    let started = Instant::now();
    let certificate = certify(&subject.problem, &subject.matching, control)?;
    let worker_optimal = certificate.is_stable() && is_worker_optimal(&subject, control)?;
    let took = started.elapsed();
    Ok(Checked { subject, of_last_round, certificate, worker_optimal, took })
}

/// Whether it is what workers' proposals lead to.
fn is_worker_optimal(subject: &LastCleared, control: &Control) -> Result<bool, Cancelled> {
    match matching::clear(&subject.problem, Side::Worker, control) {
        Ok(optimum) => Ok(optimum.matching == subject.matching),
        Err(matching::Error::Cancelled(cancelled)) => Err(cancelled),
        // Workers may propose in any market.
        Err(_) => Ok(false),
    }
}

/// The matching of a view as it stands, with the problem that it solves.
fn standing_of(view: &View) -> LastCleared {
    let problem = view.problem();
    let numbers: HashMap<VacancySlot, u32> =
        (0..).zip(&problem.vacancies).map(|(n, post)| (post.slot, n)).collect();
    let held = |slot: WorkerSlot| {
        view.worker(slot).held.and_then(|held| numbers.get(&held.vacancy).copied())
    };
    let matching = Matching { vacancy_of: problem.workers.iter().map(|s| held(s.slot)).collect() };
    let matching_hash = hash(view, &problem, &matching);
    LastCleared { revision: view.head.revision, problem, matching, matching_hash }
}

/// Clears a snapshot and certifies the result.
fn round(
    id: RoundId,
    view: &View,
    control: &Control,
) -> Result<(Clearance, Arc<LastCleared>, Option<Live>), matching::Error> {
    let started = Instant::now();
    let problem = view.problem();
    let cleared = matching::clear(&problem, view.head.settings.proposing_side, control)?;
    let clear_ms = started.elapsed().as_millis() as u64;
    let started = Instant::now();
    let certificate = certify(&problem, &cleared.matching, control)?;
    let mut summary = summary(&problem, &cleared.matching, &certificate);
    summary.proposals = cleared.counters.proposals;
    summary.queries = cleared.counters.queries;
    summary.evaluations = cleared.counters.evaluations;
    summary.clear_ms = clear_ms;
    summary.verify_ms = started.elapsed().as_millis() as u64;
    summary.matching_hash = hash(view, &problem, &cleared.matching);
    let pairs = pairs(&problem, &cleared.matching);
    let live = live_from(view, &problem, &cleared.matching);
    let checked = LastCleared {
        revision: view.head.revision,
        matching_hash: summary.matching_hash,
        problem,
        matching: cleared.matching,
    };
    Ok((Clearance { round: id, pairs, summary }, Arc::new(checked), live))
}

/// The engine that goes on from there, in a market that is cleared continuously.
fn live_from(view: &View, problem: &Problem, matching: &Matching) -> Option<Live> {
    let Clearing::Continuous(promise) = view.head.settings.clearing else { return None };
    let mut live = Live::of(problem.clone(), matching, promise);
    if promise == Promise::WorkerOptimal {
        live.warm(Means::all().threads);
    }
    Some(live)
}

/// Who got what, ascending by worker.
fn pairs(problem: &Problem, matching: &Matching) -> Vec<(WorkerSlot, VacancySlot)> {
    let matched = problem.workers.iter().zip(&matching.vacancy_of);
    matched
        .filter_map(|(seeker, v)| Some((seeker.slot, problem.vacancies[(*v)? as usize].slot)))
        .collect()
}

fn summary(problem: &Problem, matching: &Matching, certificate: &Certificate) -> Summary {
    let matched = problem.workers.iter().zip(&matching.vacancy_of);
    let matched =
        matched.filter_map(|(seeker, v)| Some((seeker, &problem.vacancies[(*v)? as usize])));
    let moved = matched.clone().filter(|(seeker, post)| seeker.worker.home != post.vacancy.city);
    let binding: BTreeSet<u32> = certificate
        .cutoffs
        .iter()
        .filter_map(|cutoff| match cutoff.binding()? {
            Binding::Set(set) => Some(set),
            Binding::Openings => None,
        })
        .collect();
    Summary {
        workers: problem.workers.len() as u64,
        vacancies: problem.vacancies.len() as u64,
        openings: problem.vacancies.iter().map(|post| u64::from(post.openings)).sum(),
        moved: moved.count() as u64,
        matched: matched.count() as u64,
        blocking_pairs: certificate.blocking_pairs,
        pairs_examined: certificate.pairs_examined,
        binding_caps: binding.len() as u64,
        ..Summary::default()
    }
}

/// Hash of held and placed matches.
fn hash(view: &View, problem: &Problem, matching: &Matching) -> u64 {
    let held = problem.workers.iter().zip(&matching.vacancy_of);
    let held = held.filter_map(|(seeker, v)| {
        Some((seeker.worker.id, problem.vacancies[(*v)? as usize].vacancy.id))
    });
    let placed = view.workers.iter().filter(|row| row.status == WorkerStatus::Placed);
    let placed =
        placed.filter_map(|row| Some((row.worker.id, view.vacancy(row.held?.vacancy).vacancy.id)));
    matching_hash(held.chain(placed))
}

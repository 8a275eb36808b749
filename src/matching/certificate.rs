//! The check that ends every round, in two opinions.
//!
//! Both take the matching alone and compute the cutoffs by definition. The first is of
//! every worker: a fresh index is searched for a vacancy that she would rather have and
//! whose cutoff she beats, which must not exist. The second is of workers drawn by the
//! lottery, as many as [`PAIRS_AUDITED`] pairs allow, all of them in a small market: it
//! looks at the vacancies one by one and shares no code with the index (see `audit`).
//! Whoever is found to block by either is looked at in full.

use super::audit::{Audit, Found, NAMED_MAX};
use super::control::{Cancelled, Control, Phase};
use super::crafts::Crafts;
use super::crew::{join, map};
use super::cutoff::{Cutoff, cutoffs_scored};
use super::demand::{Menu, Question, Scratch, demand_together};
use super::frozen::{Frozen, Held};
use super::index::{Index, Layout};
use super::key::Bid;
use super::outcome::Matching;
use super::worker_proposing::order;
use super::{Means, Problem};
use crate::domain::Worker;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Workers whom a thread takes on at once, at most.
const SHARE: usize = 8_192;
/// Pairs that the second opinion looks at; it then ends with its worker.
pub const PAIRS_AUDITED: u64 = 20_000_000;

/// What the check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// By vacancy number.
    pub cutoffs: Vec<Cutoff>,
    /// Pairs that were looked at one by one, by either opinion.
    pub pairs_examined: u64,
    /// Workers whom the second opinion looked at.
    pub sampled: u64,
    /// How many pairs block: the worker strictly prefers the vacancy, and beats its cutoff.
    pub blocking_pairs: u64,
    /// The first 100 of them: (worker number, vacancy number), ascending.
    pub blocking: Vec<(u32, u32)>,
    /// What the matching may not do at all.
    pub infeasible: Vec<Infeasible>,
}

impl Certificate {
    /// Whether the matching is stable.
    pub fn is_stable(&self) -> bool {
        self.blocking_pairs == 0 && self.infeasible.is_empty()
    }
}

/// A way in which a matching is not even possible. Workers, vacancies and sets by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Infeasible {
    /// The matching is not about these workers, or names a vacancy that does not exist.
    Malformed,
    /// The worker would not take the vacancy.
    WorkerRefuses(u32, u32),
    /// The vacancy would not take the worker.
    VacancyRefuses(u32, u32),
    /// The vacancy holds more matches than it has openings.
    OverOpenings(u32),
    /// The set holds more matches than its capacity.
    OverCap(u32),
}

impl fmt::Display for Infeasible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "the matching does not fit the problem"),
            Self::WorkerRefuses(w, v) => write!(f, "worker {w} would not take vacancy {v}"),
            Self::VacancyRefuses(w, v) => write!(f, "vacancy {v} would not take worker {w}"),
            Self::OverOpenings(v) => write!(f, "vacancy {v} is over its openings"),
            Self::OverCap(set) => write!(f, "capped set {set} is over its capacity"),
        }
    }
}

/// Checks a matching: acceptable to both sides, within every capacity, and each worker
/// in her favourite among the vacancies whose cutoff she beats or where none stands.
///
/// # Errors
/// [`Cancelled`] when `control` says so.
pub fn certify(
    problem: &Problem,
    matching: &Matching,
    control: &Control,
) -> Result<Certificate, Cancelled> {
    certify_with(problem, matching, control, Means::all(), PAIRS_AUDITED)
}

/// [`certify`] with those means, on which the certificate does not depend, and so many
/// pairs for the second opinion.
///
/// # Errors
/// [`Cancelled`] when `control` says so.
pub fn certify_with(
    problem: &Problem,
    matching: &Matching,
    control: &Control,
    means: Means,
    pairs_audited: u64,
) -> Result<Certificate, Cancelled> {
    control.begin(Phase::Certifying, problem.workers.len())?;
    if is_malformed(problem, matching) {
        return Ok(Certificate {
            cutoffs: Vec::new(),
            pairs_examined: 0,
            sampled: 0,
            blocking_pairs: 0,
            blocking: Vec::new(),
            infeasible: vec![Infeasible::Malformed],
        });
    }
    let threads = means.threads;
    let layout = Layout::of(problem, means);
    let index = Index::on(problem, &layout);
    let held = |w| Held::of(problem, &index.ranks, matching, w);
    let held = map(threads, problem.workers.len(), held);
    let score = |w: u32, _| held[w as usize].score;
    let cutoffs = || {
        let cutoffs = cutoffs_scored(problem, matching, &index.ranks, score);
        let bars: Vec<Bid> = cutoffs.iter().map(|cutoff| cutoff.bar(&index.ranks)).collect();
        (cutoffs, bars)
    };
    let ((cutoffs, bars), queue) = join(threads, cutoffs, || Queue::of(&index, threads));
    let (second, first) = join(
        threads,
        || Audit::of(problem, matching, &index.ranks, &bars).sample(control, pairs_audited),
        || search(&index, &Frozen::of(&index, &held, &bars), &queue, control, threads),
    );
    let ((audit, sample), (restless, searched)) = (second?, first?);
    let found = audit.look_at_all(restless.into_iter().chain(sample.suspects), control)?;
    Ok(Certificate {
        cutoffs,
        pairs_examined: searched + sample.examined + found.examined,
        sampled: sample.workers,
        blocking_pairs: found.count,
        blocking: found.named,
        infeasible: infeasibilities(problem, matching, &held),
    })
}

/// All workers in the order in which they ask. Cutoffs stand still, so all of one craft ask
/// together, wherever they look, and share what there is to see of a city.
struct Queue {
    crafts: Crafts,
    order: Vec<u32>,
}

impl Queue {
    fn of(index: &Index, threads: usize) -> Self {
        let crafts = Crafts::of(index.problem, threads);
        let by = |worker: &Worker, craft| [craft, u32::from(worker.home.0)];
        let order = order(index, &crafts, threads, by);
        Self { crafts, order }
    }

    /// Those who ask together.
    fn shares(&self) -> Vec<&[u32]> {
        let alike = |a: &u32, b: &u32| self.crafts.of_worker(*a) == self.crafts.of_worker(*b);
        self.order.chunk_by(alike).flat_map(|alike| alike.chunks(SHARE)).collect()
    }
}

/// The first opinion: the workers who would rather have a vacancy that they get into,
/// and how many pairs were looked at.
fn search(
    index: &Index,
    frozen: &Frozen,
    queue: &Queue,
    control: &Control,
    threads: usize,
) -> Result<(Vec<u32>, u64), Cancelled> {
    let (shares, next, evaluations) = (queue.shares(), AtomicUsize::new(0), AtomicU64::new(0));
    let look = || {
        let mut scratch = Scratch::of(index);
        let mut restless = Vec::new();
        while let Some(share) = shares.get(next.fetch_add(1, Relaxed)) {
            let group: Vec<Question> = share.iter().copied().map(Question::of).collect();
            let wants = |_: &Question, menu: &Menu| !menu.is_empty();
            let wants = demand_together(index, frozen, &mut scratch, &group, wants);
            let wanting = share.iter().zip(wants).filter(|(_, wants)| *wants);
            restless.extend(wanting.map(|(w, _)| *w));
            control.advance(share.len() as u64)?;
        }
        evaluations.fetch_add(scratch.counters.evaluations, Relaxed);
        Ok(restless)
    };
    let parts: Vec<Result<Vec<u32>, Cancelled>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(look)).collect();
        handles.into_iter().map(|handle| handle.join().expect("the check panicked")).collect()
    });
    let mut restless = Vec::new();
    for part in parts {
        restless.extend(part?);
    }
    Ok((restless, evaluations.into_inner()))
}

/// What the second opinion says of workers drawn by the lottery.
struct Sample {
    workers: u64,
    examined: u64,
    /// Those who block.
    suspects: Vec<u32>,
}

impl Audit<'_> {
    /// Looks at workers in the order drawn, until it has seen so many pairs.
    fn sample(self, control: &Control, pairs: u64) -> Result<(Self, Sample), Cancelled> {
        let mut levels = self.sheet();
        let mut sample = Sample { workers: 0, examined: 0, suspects: Vec::new() };
        for w in self.drawn() {
            if sample.examined >= pairs {
                break;
            }
            let mut sight = Found::default();
            self.look_at(*w, &mut levels, &mut sight);
            sample.workers += 1;
            sample.examined += sight.examined;
            sample.suspects.extend((sight.count > 0).then_some(*w));
            control.check()?;
        }
        Ok((self, sample))
    }

    /// Everything about some workers.
    fn look_at_all(
        &self,
        workers: impl Iterator<Item = u32>,
        control: &Control,
    ) -> Result<Found, Cancelled> {
        let (mut found, mut levels) = (Found::default(), self.sheet());
        for w in workers.collect::<BTreeSet<u32>>() {
            self.look_at(w, &mut levels, &mut found);
            control.check()?;
        }
        found.named.truncate(NAMED_MAX);
        Ok(found)
    }
}

fn is_malformed(problem: &Problem, matching: &Matching) -> bool {
    matching.vacancy_of.len() != problem.workers.len()
        || matching.pairs().any(|(_, v)| v as usize >= problem.vacancies.len())
}

fn infeasibilities(problem: &Problem, matching: &Matching, held: &[Held]) -> Vec<Infeasible> {
    let mut found = Vec::new();
    let mut held_at = vec![0_u64; problem.vacancies.len()];
    let mut held_in = vec![0_u64; problem.sets.len()];
    for (w, v) in matching.pairs() {
        if !held[w as usize].worker_accepts {
            found.push(Infeasible::WorkerRefuses(w, v));
        }
        if !held[w as usize].vacancy_accepts {
            found.push(Infeasible::VacancyRefuses(w, v));
        }
        held_at[v as usize] += 1;
        problem.sets_around(v as usize).for_each(|set| held_in[set] += 1);
    }
    for (v, post) in problem.vacancies.iter().enumerate() {
        if held_at[v] > u64::from(post.openings) {
            found.push(Infeasible::OverOpenings(v as u32));
        }
    }
    for (set, cap) in problem.sets.iter().enumerate() {
        if held_in[set] > cap.capacity {
            found.push(Infeasible::OverCap(set as u32));
        }
    }
    found
}

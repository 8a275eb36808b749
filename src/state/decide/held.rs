//! Decides about matches that are held for long: those that the market places by itself,
//! and those whose time to be confirmed is over (see `docs/LIVES.md`).

use super::super::State;
use super::super::by_vacancy::for_each_vacancy;
use super::super::effect::{Effect, Ended, Freeze};
use super::super::view::{Held, MatchSide, View};
use super::rounds::Match;
use crate::domain::{Confirmations, Millis, VacancySlot, WorkerSlot};
use crate::mutants::active;
use std::sync::Arc;

/// What time alone does to held matches, ascending by worker.
#[derive(Default)]
pub(super) struct LongHeld {
    /// Matches that are placed.
    pub placed: Vec<Match>,
    /// Matches that lapse.
    pub lapsed: Vec<(WorkerSlot, VacancySlot, Ended)>,
}

impl State {
    /// The matches that have been held for long enough, or for too long, at that moment. A
    /// match whose worker or vacancy expires now goes with them.
    pub(super) fn long_held(&self, at: Millis) -> LongHeld {
        let mut due = LongHeld::default();
        let view = &self.view;
        let settings = &*view.head.settings;
        let Some(seconds_min) = settings.held_seconds_min() else { return due };
        let over = |held: &Held, seconds| seconds > 0 && held.until(seconds) <= at;
        let is_due = |(_, held): &(WorkerSlot, Held)| over(held, seconds_min);
        let mut longest = self.waiting.iter(view).take_while(is_due).peekable();
        if longest.peek().is_none() {
            return due;
        }
        let overfull = view.overfull_cities();
        for (worker, held) in longest {
            let (seeker, post) = (view.worker(worker), view.vacancy(held.vacancy));
            let mut deadlines = [seeker.worker.deadline, post.vacancy.deadline].into_iter();
            if deadlines.any(|deadline| deadline.is_some_and(|deadline| deadline <= at)) {
                continue;
            }
            let too_late = over(&held, settings.confirmation_window_seconds);
            let lapses = silent(&held, settings.confirmations);
            let is_final =
                over(&held, settings.place_after_seconds) || (too_late && lapses.is_none());
            if is_final && view.is_placeable(worker, &held, &overfull) {
                due.placed.push((worker, held.vacancy));
            } else if let Some(ended) = lapses.filter(|_| too_late) {
                due.lapsed.push((worker, held.vacancy, ended));
            }
        }
        due.placed.sort_unstable();
        due.placed.dedup();
        due.lapsed.sort_unstable_by_key(|(worker, ..)| *worker);
        due.lapsed.dedup();
        due
    }

    /// Of what a commit keeps, the matches that have been held through so many commits in a
    /// row that they are placed. There is room for them: nothing is kept without.
    pub(super) fn held_through_rounds(&self, mut kept: Vec<Match>) -> Vec<Match> {
        let head = &self.view.head;
        let earlier = match head.settings.confirm_after_rounds {
            0 => return Vec::new(),
            // Those that this commit makes, too.
            1 => return kept,
            rounds => rounds as usize - 1 + usize::from(active("first-round-not-counted")),
        };
        let first = head.commits.len().checked_sub(earlier).map(|at| head.commits[at]);
        let Some(first) = first else { return Vec::new() };
        kept.retain(|(worker, vacancy)| {
            let held = self.view.worker(*worker).held;
            held.is_some_and(|held| held.vacancy == *vacancy && held.since <= first)
        });
        kept
    }
}

/// How a match ends that waits no longer for its confirmations; `None` if it has what it
/// takes to be placed. (A market that asked for both and now asks for either has such.)
fn silent(held: &Held, confirmations: Confirmations) -> Option<Ended> {
    match (held.worker_confirmed, held.employer_confirmed) {
        (false, false) => Some(Ended::Lapsed(None)),
        (true, true) => None,
        _ if confirmations == Confirmations::Either => None,
        (true, false) => Some(Ended::Lapsed(Some(MatchSide::Employer))),
        (false, true) => Some(Ended::Lapsed(Some(MatchSide::Worker))),
    }
}

impl View {
    /// The effect that places these matches, for which there is room; ascending by worker.
    pub(super) fn freeze(&self, placed: Vec<Match>) -> Effect {
        let mut filled = Vec::new();
        for_each_vacancy(&placed, self.vacancies.len(), |vacancy, workers| {
            if self.vacancy(vacancy).free() as usize == workers.len() {
                filled.push(vacancy);
            }
        });
        Effect::Frozen(Arc::new(Freeze { placed, filled }))
    }

    /// Whether a held match can be placed without anybody's word: both sides would still
    /// have it as they are now, and no clearing has yet to choose who stays. Where nothing
    /// is overfull, there is room for all.
    fn is_placeable(&self, worker: WorkerSlot, held: &Held, overfull: &[bool]) -> bool {
        let (seeker, post) = (self.worker(worker), self.vacancy(held.vacancy));
        let changed = seeker.changed.max(post.changed).max(self.head.terms_changed);
        let accept = || self.head.terms().pair(&seeker.worker, &post.vacancy).is_acceptable();
        post.held.len() <= post.free() as usize
            && !overfull[post.vacancy.city.at()]
            && (changed <= held.since || accept())
    }

    /// By city: whether a cap around it has less room than there are held matches inside.
    fn overfull_cities(&self) -> Vec<bool> {
        let (sets, set_of_city) = self.cap_sets();
        let around = |innermost: &Option<u32>| {
            std::iter::successors(*innermost, |set| sets[*set as usize].parent)
        };
        let mut inside = vec![0_u64; sets.len()];
        for (counts, innermost) in self.counts.iter().zip(&set_of_city) {
            around(innermost).for_each(|set| inside[set as usize] += counts.held);
        }
        let overfull = |set: u32| inside[set as usize] > sets[set as usize].capacity;
        set_of_city.iter().map(|innermost| around(innermost).any(overfull)).collect()
    }
}

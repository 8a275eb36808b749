//! Decides about rounds: start, cancel, commit, and what time brings.

use super::super::command::{Clearance, Refusal};
use super::super::effect::{Effect, Ended, Rematch};
use super::super::view::{RoundState, VacancyStatus, View, WorkerStatus};
use super::super::{State, Subject};
use super::Draft;
use super::held::LongHeld;
use crate::domain::{Clearing, Millis, Reason, RoundId, VacancySlot, Violation, WorkerSlot};
use crate::matching;
use std::sync::Arc;

impl State {
    pub(super) fn start_round(
        &self,
        id: RoundId,
        at: Millis,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        if let Some(round) = self.view.head.running_round() {
            let message = format!("round {} is running", round.id);
            return Err(Refusal::from(
                Violation::new(Reason::RoundRunning, "", message).with("round_id", round.id),
            ));
        }
        draft.round = Some(id);
        draft.effects.push(self.start_of(id, at));
        Ok(())
    }

    fn start_of(&self, id: RoundId, at: Millis) -> Effect {
        let settings = &self.view.head.settings;
        Effect::RoundStarted {
            id,
            side: settings.proposing_side,
            cap_order: settings.cap_order,
            at,
        }
    }

    pub(super) fn cancel_round(
        &self,
        id: RoundId,
        at: Millis,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        self.running(id)?;
        draft.round = Some(id);
        draft.effects.push(Effect::RoundCancelled { id, at });
        Ok(())
    }

    /// Refuses a round that is unknown or has ended.
    fn running(&self, id: RoundId) -> Result<(), Refusal> {
        let refusal = match self.view.head.round(id).map(|round| round.state) {
            Some(RoundState::Running) => return Ok(()),
            Some(_) => {
                Violation::new(Reason::RoundEnded, "round_id", format!("round {id} has ended"))
            }
            None => Violation::new(
                Reason::RoundNotFound,
                "round_id",
                format!("round {id} does not exist"),
            ),
        };
        Err(Refusal::from(refusal))
    }

    /// Time passes: matches that have been held for long enough, deadlines that are reached,
    /// matches that were not confirmed in time, and the round of an INTERVAL market that is
    /// due. A market in which nothing has changed is not cleared again.
    ///
    /// Placements stand first: an engine that follows has to take them out of the matching
    /// as it was.
    pub(super) fn tick(&self, id: RoundId, at: Millis, draft: &mut Draft) -> Result<(), Refusal> {
        let LongHeld { placed, lapsed } = self.long_held(at);
        if !placed.is_empty() {
            draft.placed += placed.len() as u32;
            draft.effects.push(self.view.freeze(placed));
        }
        let before = draft.effects.len();
        for (deadline, subject) in &self.deadlines {
            if *deadline > at {
                break;
            }
            match *subject {
                Subject::Worker(slot) => {
                    self.worker_leaves(slot, WorkerStatus::Expired, &mut draft.effects)
                }
                Subject::Vacancy(slot) => {
                    self.vacancy_leaves(slot, VacancyStatus::Expired, &mut draft.effects)
                }
            }
        }
        // A worker and the vacancy that holds them may both expire now.
        let mut ended = std::collections::HashSet::new();
        draft.effects.retain(|effect| match effect {
            Effect::Unmatched { worker, .. } => ended.insert(*worker),
            _ => true,
        });
        if !lapsed.is_empty() {
            let rematch = Rematch { at, ended: lapsed, made: Vec::new() };
            draft.effects.push(Effect::Rematched(Arc::new(rematch)));
        }
        let head = &self.view.head;
        let changed = head.changes != head.changes_cleared || draft.effects.len() > before;
        if let Clearing::Interval(seconds) = head.settings.clearing
            && changed
            && head.running_round().is_none()
        {
            let last = head.rounds.back().map_or(head.created, |round| round.started);
            if at.0 - last.0 >= 1_000 * i64::from(seconds) {
                draft.round = Some(id);
                draft.effects.push(self.start_of(id, at));
            }
        }
        Ok(())
    }

    /// Commits what a round found at its snapshot: pairs that changes have made
    /// impossible since are dissolved, and the rest of those changes waits.
    ///
    /// Everybody else who writes waits for this, so it is made of passes over the columns
    /// in their order.
    pub(super) fn commit(
        &self,
        clearance: &Clearance,
        at: Millis,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        self.running(clearance.round)?;
        let (possible, done) = self.still_possible(clearance);
        let kept = self.view.within_capacity(possible);
        let mut summary = clearance.summary;
        summary.dissolved = (clearance.pairs.len() - kept.len() - done) as u64;
        let rematch = Rematch { at, ..self.view.rematch(&clearance.pairs, &kept) };
        let count = |why| rematch.ended.iter().filter(|(.., ended)| *ended == why).count() as u64;
        (summary.displaced, summary.improved) = (count(Ended::Displaced), count(Ended::Rematched));
        if !rematch.is_empty() {
            draft.effects.push(Effect::Rematched(Arc::new(rematch)));
        }
        let placed = self.held_through_rounds(kept);
        if !placed.is_empty() {
            summary.placed = placed.len() as u64;
            draft.placed += placed.len() as u32;
            draft.effects.push(self.view.freeze(placed));
        }
        draft.round = Some(clearance.round);
        draft.effects.push(Effect::RoundCleared { id: clearance.round, summary, at });
        Ok(())
    }

    /// The pairs that both sides could still enter into, and how many are done: their
    /// worker was placed in that very vacancy meanwhile. Only what has changed since the
    /// snapshot is evaluated again.
    fn still_possible(&self, clearance: &Clearance) -> (Vec<Match>, usize) {
        let head = &self.view.head;
        let snapshot = head.round(clearance.round).map_or(head.revision, |round| round.snapshot);
        let terms_changed = head.terms_changed > snapshot;
        // The vacancies of neighbouring workers lie far apart: what decides about most
        // pairs is copied out of their rows first.
        let posts = self.view.vacancies.iter();
        let posts: Vec<(bool, bool)> = posts
            .map(|post| (post.status == VacancyStatus::Open, post.changed <= snapshot))
            .collect();
        let mut possible = Vec::with_capacity(clearance.pairs.len());
        let mut done = 0;
        for (worker, vacancy) in &clearance.pairs {
            let seeker = self.view.worker(*worker);
            let (open, unchanged) = posts[vacancy.at()];
            let placed = seeker.status == WorkerStatus::Placed;
            if placed && seeker.held.is_some_and(|held| held.vacancy == *vacancy) {
                done += 1;
            }
            let declined =
                seeker.declined.as_ref().is_some_and(|slots| slots.binary_search(vacancy).is_ok());
            if !seeker.status.in_pool() || !open || declined {
                continue;
            }
            let unchanged = unchanged && !terms_changed && seeker.changed <= snapshot;
            let accepts = || {
                let post = &self.view.vacancy(*vacancy).vacancy;
                head.terms().pair(&seeker.worker, post).is_acceptable()
            };
            if unchanged || accepts() {
                possible.push((*worker, *vacancy));
            }
        }
        (possible, done)
    }
}

/// A worker and a vacancy, by their rows.
pub(super) type Match = (WorkerSlot, VacancySlot);

impl View {
    /// The difference between what is held now and `kept`, of what a round `found`; both
    /// ascending by worker.
    fn rematch(&self, found: &[Match], kept: &[Match]) -> Rematch {
        let (mut found, mut kept) = (found.iter().peekable(), kept.iter().peekable());
        let mut rematch = Rematch::default();
        for (at, row) in self.workers.iter().enumerate() {
            let worker = WorkerSlot::from_offset(at);
            let was_found = found.next_if(|(found, _)| *found == worker).is_some();
            let new = kept.next_if(|(kept, _)| *kept == worker).map(|(_, vacancy)| *vacancy);
            let old = row.held.map(|held| held.vacancy);
            if old == new || !row.status.in_pool() {
                continue;
            }
            if let Some(vacancy) = old {
                let lost = new.is_none() && was_found;
                let ended =
                    if lost { Ended::Dissolved } else { self.why_ended(worker, vacancy, new) };
                rematch.ended.push((worker, vacancy, ended));
            }
            rematch.made.extend(new.map(|vacancy| (worker, vacancy)));
        }
        rematch
    }

    /// What fits into openings and caps as they are now; where they have shrunk since
    /// the snapshot, the choice function picks.
    fn within_capacity(&self, pairs: Vec<Match>) -> Vec<Match> {
        let mut held = vec![0_u32; self.vacancies.len()];
        pairs.iter().for_each(|(_, vacancy)| held[vacancy.at()] += 1);
        let crowded: Vec<bool> =
            self.vacancies.iter().zip(&held).map(|(row, held)| *held > row.free()).collect();
        let caps_hold = self.caps_hold(&held);
        if caps_hold && !crowded.contains(&true) {
            return pairs;
        }
        // Where every cap has room for all, each vacancy chooses by itself.
        let (mut kept, contested): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|(_, vacancy)| caps_hold && !crowded[vacancy.at()]);
        kept.extend(self.chosen(&contested));
        kept.sort_unstable();
        kept
    }

    /// Whether every capped city and region has room for so many at each vacancy.
    fn caps_hold(&self, held: &[u32]) -> bool {
        let (sets, set_of_city) = self.cap_sets();
        if sets.is_empty() {
            return true;
        }
        let mut inside = vec![0_u64; sets.len()];
        for (row, held) in self.vacancies.iter().zip(held).filter(|(_, held)| **held > 0) {
            let innermost = set_of_city[row.vacancy.city.at()];
            let around = std::iter::successors(innermost, |set| sets[*set as usize].parent);
            around.for_each(|set| inside[set as usize] += u64::from(*held));
        }
        sets.iter().zip(inside).all(|(set, inside)| inside <= set.capacity)
    }

    /// The choice function applied to these pairs.
    fn chosen(&self, pairs: &[Match]) -> Vec<Match> {
        let mut workers: Vec<_> = pairs.iter().map(|(worker, _)| *worker).collect();
        let mut vacancies: Vec<_> = pairs.iter().map(|(_, vacancy)| *vacancy).collect();
        vacancies.sort_unstable();
        vacancies.dedup();
        workers.dedup();
        let offers: Vec<(u32, u32)> = pairs
            .iter()
            .filter_map(|(worker, vacancy)| {
                let w = workers.binary_search(worker).ok()?;
                Some((w as u32, vacancies.binary_search(vacancy).ok()? as u32))
            })
            .collect();
        let problem = self.problem_among(&workers, &vacancies);
        let kept = matching::choose(&problem, &offers).into_iter();
        kept.map(|(w, v)| (workers[w as usize], vacancies[v as usize])).collect()
    }

    /// Why a clearing ended a match: for something that the worker likes better, or not.
    pub(super) fn why_ended(
        &self,
        worker: WorkerSlot,
        old: VacancySlot,
        new: Option<VacancySlot>,
    ) -> Ended {
        let Some(new) = new else { return Ended::Displaced };
        let terms = self.head.terms();
        let seeker = &self.worker(worker).worker;
        let worth = |slot: VacancySlot| {
            let vacancy = &self.vacancy(slot).vacancy;
            let draw = self.head.lottery.draw(vacancy.id.bytes());
            let value = terms.pair(seeker, vacancy).value;
            (std::cmp::Reverse(value), draw, *vacancy.id.bytes())
        };
        if worth(new) < worth(old) { Ended::Rematched } else { Ended::Displaced }
    }
}

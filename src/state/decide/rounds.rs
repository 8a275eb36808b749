//! Decides about rounds: start, cancel, commit, and what time brings.

use super::super::command::{Clearance, Refusal};
use super::super::effect::{Effect, Ended};
use super::super::view::{RoundState, VacancyStatus, View, WorkerStatus};
use super::super::{State, Subject};
use super::Draft;
use crate::domain::{Clearing, Millis, Reason, RoundId, VacancySlot, Violation, WorkerSlot};
use crate::matching;
use std::collections::HashMap;

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

    /// Time passes: deadlines that are reached, and the round of an INTERVAL market
    /// that is due. A market in which nothing has changed is not cleared again.
    pub(super) fn tick(&self, id: RoundId, at: Millis, draft: &mut Draft) -> Result<(), Refusal> {
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
        let head = &self.view.head;
        let changed = head.changes != head.changes_cleared || !draft.effects.is_empty();
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
    pub(super) fn commit(
        &self,
        clearance: &Clearance,
        at: Millis,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        self.running(clearance.round)?;
        let possible = self.still_possible(clearance);
        let kept = self.within_capacity(possible);
        let mut summary = clearance.summary;
        summary.dissolved =
            clearance.pairs.len() as u64 - kept.len() as u64 - self.placed_since(clearance);
        let next: HashMap<WorkerSlot, VacancySlot> = kept.iter().copied().collect();
        let found: HashMap<WorkerSlot, VacancySlot> = clearance.pairs.iter().copied().collect();
        let mut matched = Vec::new();
        for (at, row) in self.view.workers.iter().enumerate() {
            if !row.status.in_pool() {
                continue;
            }
            let worker = WorkerSlot::from_offset(at);
            let old = row.held.map(|held| held.vacancy);
            let new = next.get(&worker).copied();
            if old == new {
                continue;
            }
            if let Some(vacancy) = old {
                let lost = new.is_none() && found.contains_key(&worker);
                let ended =
                    if lost { Ended::Dissolved } else { self.view.why_ended(worker, vacancy, new) };
                draft.effects.push(Effect::Unmatched { worker, vacancy, ended });
            }
            matched.extend(new.map(|vacancy| Effect::Matched { worker, vacancy }));
        }
        draft.effects.append(&mut matched);
        draft.round = Some(clearance.round);
        draft.effects.push(Effect::RoundCleared { id: clearance.round, summary, at });
        Ok(())
    }

    /// The pairs that both sides could still enter into. Only what has changed since
    /// the snapshot is evaluated again.
    fn still_possible(&self, clearance: &Clearance) -> Vec<(WorkerSlot, VacancySlot)> {
        let head = &self.view.head;
        let snapshot = head.round(clearance.round).map_or(head.revision, |round| round.snapshot);
        let terms_changed = head.terms_changed > snapshot;
        let possible = clearance.pairs.iter().copied().filter(|(worker, vacancy)| {
            let (seeker, post) = (self.view.worker(*worker), self.view.vacancy(*vacancy));
            let present = seeker.status.in_pool() && post.status == VacancyStatus::Open;
            let declined =
                seeker.declined.as_ref().is_some_and(|slots| slots.binary_search(vacancy).is_ok());
            if !present || declined {
                return false;
            }
            let unchanged =
                !terms_changed && seeker.changed <= snapshot && post.changed <= snapshot;
            unchanged || head.terms().pair(&seeker.worker, &post.vacancy).is_acceptable()
        });
        possible.collect()
    }

    /// Pairs of the clearance whose worker was placed in that very vacancy meanwhile:
    /// they are not dissolved, they are done.
    fn placed_since(&self, clearance: &Clearance) -> u64 {
        let placed = clearance.pairs.iter().filter(|(worker, vacancy)| {
            let row = self.view.worker(*worker);
            row.status == WorkerStatus::Placed
                && row.held.is_some_and(|held| held.vacancy == *vacancy)
        });
        placed.count() as u64
    }

    /// What fits into openings and caps as they are now; where they have shrunk since
    /// the snapshot, the choice function picks.
    fn within_capacity(
        &self,
        pairs: Vec<(WorkerSlot, VacancySlot)>,
    ) -> Vec<(WorkerSlot, VacancySlot)> {
        if self.view.has_room_for(&pairs) {
            return pairs;
        }
        let problem = self.view.problem();
        let workers: HashMap<WorkerSlot, u32> =
            (0..).zip(&problem.workers).map(|(n, seeker)| (seeker.slot, n)).collect();
        let vacancies: HashMap<VacancySlot, u32> =
            (0..).zip(&problem.vacancies).map(|(n, post)| (post.slot, n)).collect();
        let offers: Vec<(u32, u32)> =
            pairs.iter().map(|(w, v)| (workers[w], vacancies[v])).collect();
        let kept = matching::choose(&problem, &offers).into_iter();
        kept.map(|(w, v)| (problem.workers[w as usize].slot, problem.vacancies[v as usize].slot))
            .collect()
    }
}

impl View {
    /// Whether no vacancy, city or region would hold more than it may.
    fn has_room_for(&self, pairs: &[(WorkerSlot, VacancySlot)]) -> bool {
        let mut held: HashMap<VacancySlot, u32> = HashMap::new();
        let mut by_city = vec![0_u64; self.head.geography.cities.len()];
        for (_, vacancy) in pairs {
            *held.entry(*vacancy).or_default() += 1;
            by_city[self.vacancy(*vacancy).vacancy.city.at()] += 1;
        }
        if held.iter().any(|(slot, count)| *count > self.vacancy(*slot).free()) {
            return false;
        }
        let (sets, set_of_city) = self.cap_sets();
        let mut inside = vec![0_u64; sets.len()];
        for (city, count) in by_city.into_iter().enumerate() {
            let around = std::iter::successors(set_of_city[city], |set| sets[*set as usize].parent);
            around.for_each(|set| inside[set as usize] += count);
        }
        sets.iter().zip(inside).all(|(set, count)| count <= set.capacity)
    }

    /// Why a clearing ended a match: for something that the worker likes better, or not.
    fn why_ended(&self, worker: WorkerSlot, old: VacancySlot, new: Option<VacancySlot>) -> Ended {
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

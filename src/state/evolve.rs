//! Applies effects. No decision is made here, and nothing can fail: an effect that
//! does not fit the state is a bug, and asserted.

use super::by_vacancy::for_each_vacancy;
use super::command::Creation;
use super::effect::{Effect, Ended, Freeze, Rematch};
use super::view::{
    CityCounts, Held, MatchSide, Round, RoundState, VacancyRow, VacancyStatus, View, WorkerRow,
    WorkerStatus,
};
use super::waiting::Waiting;
use super::{State, Subject};
use crate::domain::limits::{HELD_ROUNDS_MAX, ROUNDS_MAX};
use crate::domain::{
    CapOrder, CityIx, Millis, Promise, RegionIx, Revision, RoundId, Vacancy, VacancySlot, Worker,
    WorkerSlot,
};
use crate::mutants::active;
use std::sync::Arc;

impl State {
    /// Applies one effect, which happens at `revision`.
    pub fn evolve(&mut self, revision: Revision, effect: &Effect) {
        if effect.takes_revision() {
            self.view.head.revision = revision;
        }
        match effect {
            Effect::Created { creation, at } => self.create(creation, *at),
            Effect::SettingsChanged { display_name, settings } => {
                let head = &mut self.view.head;
                head.display_name = display_name.clone();
                if head.settings != *settings {
                    head.settings = settings.clone();
                    head.terms_changed = revision;
                    head.changes += 1;
                    self.settings_changed();
                }
            }
            Effect::RegionPut { ix, region, cap_set } => self.put_region(*ix, region, *cap_set),
            Effect::CityPut { ix, city, km, cap_set } => {
                let head = &mut self.view.head;
                Arc::make_mut(&mut head.geography).put_city(*ix, (**city).clone(), km);
                head.terms_changed = revision;
                head.changes += 1;
                if ix.at() == self.view.counts.len() {
                    self.view.counts.push(CityCounts::default());
                }
                if *cap_set {
                    self.view.counts.get_mut(ix.at()).intake = 0;
                }
            }
            Effect::MoveCostPut { origin, destination, cost } => {
                let head = &mut self.view.head;
                Arc::make_mut(&mut head.geography).put_move_cost(*origin, *destination, *cost);
                head.terms_changed = revision;
                head.changes += 1;
            }
            Effect::SkillAdded(name) => {
                let skills = Arc::make_mut(&mut self.view.head.skills);
                self.skills.insert(name.clone(), crate::domain::SkillIx::from_offset(skills.len()));
                skills.push(name.clone());
            }
            Effect::WorkerPut { slot, worker } => self.put_worker(*slot, worker),
            Effect::WorkerLeft { slot, status } => self.worker_left(*slot, *status),
            Effect::VacancyPut { slot, vacancy, status } => {
                self.put_vacancy(*slot, vacancy, *status)
            }
            Effect::VacancyLeft { slot, status } => self.vacancy_left(*slot, *status),
            Effect::Rematched(rematch) => self.rematched(rematch),
            Effect::Settled(promise) => {
                let head = &mut self.view.head;
                head.changes_cleared = head.changes;
                head.worker_optimal = *promise == Promise::WorkerOptimal;
            }
            Effect::Unmatched { worker, vacancy, ended } => {
                self.unmatched(*worker, *vacancy, *ended)
            }
            Effect::Confirmed { worker, side } => {
                let row = self.view.workers.get_mut(worker.at());
                row.revision = revision;
                let held = row.held.as_mut().expect("only a held match is confirmed");
                match side {
                    MatchSide::Worker => held.worker_confirmed = true,
                    MatchSide::Employer => held.employer_confirmed = true,
                }
            }
            Effect::Placed { worker, vacancy } => {
                self.place_worker(*worker);
                self.place_at(*vacancy, &[*worker]);
            }
            Effect::Frozen(freeze) => self.frozen(freeze),
            Effect::RoundStarted { .. } => self.round_started(effect),
            Effect::RoundCleared { id, summary, at } => {
                self.round_ended(*id, *at, RoundState::Cleared).summary = Some(*summary);
                self.committed(revision);
                let head = &mut self.view.head;
                head.changes_cleared = head.changes_at_snapshot;
                // What the commit could not keep waits for the next clearing.
                head.changes += summary.dissolved;
                let round = head.rounds.back().expect("the round that ended");
                head.worker_optimal =
                    round.side == crate::domain::Side::Worker && !head.placed_since_snapshot;
            }
            Effect::RoundCancelled { id, at } => {
                self.round_ended(*id, *at, RoundState::Cancelled);
            }
            Effect::Remembered { key, outcome } => self.outcomes.remember(*key, outcome.clone()),
        }
        self.waiting.tidy(&self.view);
    }

    /// Whether the market waits for held matches is a matter of its settings.
    pub(super) fn settings_changed(&mut self) {
        let waits = self.view.head.settings.held_seconds_min().is_some();
        self.waiting = match waits && !active("held-before-the-window-forgotten") {
            true => Waiting::of(&self.view),
            false => Waiting::default(),
        };
    }

    fn committed(&mut self, revision: Revision) {
        let commits = Arc::make_mut(&mut self.view.head.commits);
        if commits.len() == HELD_ROUNDS_MAX as usize {
            commits.pop_front();
        }
        commits.push_back(revision);
    }

    fn create(&mut self, creation: &Creation, at: Millis) {
        let head = &mut self.view.head;
        head.name = creation.name.clone();
        head.display_name = creation.display_name.clone();
        head.incarnation = creation.incarnation;
        head.settings = Arc::new(creation.settings.clone());
        head.lottery = creation.lottery;
        head.lottery_nonce = creation.lottery_nonce;
        head.created = at;
    }

    fn put_region(&mut self, ix: RegionIx, region: &crate::domain::Region, cap_set: bool) {
        let head = &mut self.view.head;
        Arc::make_mut(&mut head.geography).put_region(ix, region.clone());
        head.terms_changed = head.revision;
        head.changes += 1;
        let intake = Arc::make_mut(&mut head.region_intake);
        intake.resize(head.geography.regions.len(), 0);
        if cap_set {
            intake[ix.at()] = 0;
        }
    }

    fn put_worker(&mut self, slot: WorkerSlot, worker: &Arc<Worker>) {
        let revision = self.view.head.revision;
        self.view.head.changes += 1;
        let fresh = WorkerRow {
            worker: worker.clone(),
            status: WorkerStatus::Searching,
            held: None,
            declined: None,
            changed: revision,
            revision,
        };
        if slot.at() == self.view.workers.len() {
            self.view.workers.push(fresh);
            let view = &self.view;
            self.worker_slots.insert(&worker.id, slot, |slot| view.worker(slot).worker.id);
        } else {
            self.uncount_worker(slot);
            let old = self.view.workers.get(slot.at()).clone();
            self.forget_deadline(old.worker.deadline, Subject::Worker(slot));
            let stays_matched = old.status == WorkerStatus::Matched;
            *self.view.workers.get_mut(slot.at()) = WorkerRow {
                status: if stays_matched { WorkerStatus::Matched } else { WorkerStatus::Searching },
                held: old.held.filter(|_| stays_matched).map(Held::unconfirmed),
                declined: old.declined,
                ..fresh
            };
        }
        self.note_deadline(worker.deadline, Subject::Worker(slot));
        worker.labels.iter().for_each(|labels| self.labels.remember(labels));
        self.count_worker(slot);
    }

    fn worker_left(&mut self, slot: WorkerSlot, status: WorkerStatus) {
        self.uncount_worker(slot);
        let revision = self.view.head.revision;
        self.view.head.changes += 1;
        let row = self.view.workers.get_mut(slot.at());
        assert!(row.held.is_none(), "a worker who leaves the pool holds nothing");
        row.status = status;
        row.revision = revision;
        row.changed = revision;
        let deadline = row.worker.deadline;
        self.forget_deadline(deadline, Subject::Worker(slot));
        self.count_worker(slot);
    }

    fn put_vacancy(&mut self, slot: VacancySlot, vacancy: &Arc<Vacancy>, status: VacancyStatus) {
        let revision = self.view.head.revision;
        self.view.head.changes += 1;
        if slot.at() == self.view.vacancies.len() {
            self.view.vacancies.push(VacancyRow {
                vacancy: vacancy.clone(),
                status,
                held: Vec::new(),
                placed: 0,
                changed: revision,
                revision,
            });
            let view = &self.view;
            self.vacancy_slots.insert(&vacancy.id, slot, |slot| view.vacancy(slot).vacancy.id);
        } else {
            self.uncount_vacancy(slot);
            let row = self.view.vacancies.get_mut(slot.at());
            let deadline = row.vacancy.deadline;
            let held = row.held.clone();
            row.vacancy = vacancy.clone();
            row.status = status;
            row.changed = revision;
            row.revision = revision;
            for worker in held {
                let row = self.view.workers.get_mut(worker.at());
                row.held = row.held.map(Held::unconfirmed);
            }
            self.forget_deadline(deadline, Subject::Vacancy(slot));
        }
        vacancy.labels.iter().for_each(|labels| self.labels.remember(labels));
        self.titles.remember(&vacancy.title);
        if status == VacancyStatus::Open {
            self.note_deadline(vacancy.deadline, Subject::Vacancy(slot));
        }
        self.count_vacancy(slot);
    }

    fn vacancy_left(&mut self, slot: VacancySlot, status: VacancyStatus) {
        self.uncount_vacancy(slot);
        let revision = self.view.head.revision;
        if status != VacancyStatus::Filled {
            self.view.head.changes += 1;
        }
        let row = self.view.vacancies.get_mut(slot.at());
        assert!(row.held.is_empty(), "a vacancy that leaves the pool holds nobody");
        row.status = status;
        row.revision = revision;
        row.changed = revision;
        let deadline = row.vacancy.deadline;
        self.forget_deadline(deadline, Subject::Vacancy(slot));
        self.count_vacancy(slot);
    }

    fn rematched(&mut self, rematch: &Rematch) {
        for (worker, vacancy, ended) in &rematch.ended {
            self.unmatched(*worker, *vacancy, *ended);
        }
        self.hold_workers(&rematch.made, rematch.at);
        self.hold_at_vacancies(&rematch.made);
    }

    /// The workers' side of new matches.
    fn hold_workers(&mut self, made: &[(WorkerSlot, VacancySlot)], at: Millis) {
        let view = &mut self.view;
        let revision = view.head.revision;
        for (worker, vacancy) in made {
            let row = view.workers.get_mut(worker.at());
            assert!(row.status == WorkerStatus::Searching, "only a searching worker is matched");
            row.status = WorkerStatus::Matched;
            row.revision = revision;
            row.held = Some(Held {
                vacancy: *vacancy,
                worker_confirmed: false,
                employer_confirmed: false,
                since: revision,
                made: at,
            });
            let counts = view.counts.get_mut(row.worker.home.at());
            counts.searching -= 1;
            counts.matched += 1;
        }
        view.head.totals.matched += made.len() as u64;
        if view.head.settings.held_seconds_min().is_some() {
            self.waiting.extend(made.iter().map(|(worker, _)| *worker), revision);
        }
    }

    /// The vacancies' side of new matches.
    fn hold_at_vacancies(&mut self, made: &[(WorkerSlot, VacancySlot)]) {
        let view = &mut self.view;
        let revision = view.head.revision;
        for_each_vacancy(made, view.vacancies.len(), |vacancy, workers| {
            let row = view.vacancies.get_mut(vacancy.at());
            assert!(row.status == VacancyStatus::Open, "only an open vacancy is matched");
            row.held.reserve_exact(workers.len());
            row.held.extend_from_slice(workers);
            row.revision = revision;
            view.counts.get_mut(row.vacancy.city.at()).held += workers.len() as u64;
        });
    }

    fn unmatched(&mut self, worker: WorkerSlot, vacancy: VacancySlot, ended: Ended) {
        self.release(worker, vacancy);
        self.uncount_worker(worker);
        let row = self.view.workers.get_mut(worker.at());
        row.status = WorkerStatus::Searching;
        row.held = None;
        if ended.is_for_good() {
            self.view.head.changes += 1;
            let slots = Arc::make_mut(row.declined.get_or_insert_default());
            if let Err(at) = slots.binary_search(&vacancy) {
                slots.insert(at, vacancy);
            }
        }
        self.count_worker(worker);
    }

    fn frozen(&mut self, freeze: &Freeze) {
        freeze.placed.iter().for_each(|(worker, _)| self.place_worker(*worker));
        let vacancies = self.view.vacancies.len();
        for_each_vacancy(&freeze.placed, vacancies, |vacancy, workers| {
            self.place_at(vacancy, workers);
        });
        for vacancy in &freeze.filled {
            self.vacancy_left(*vacancy, VacancyStatus::Filled);
        }
    }

    /// The worker's side of a placement.
    fn place_worker(&mut self, worker: WorkerSlot) {
        self.uncount_worker(worker);
        let revision = self.view.head.revision;
        let row = self.view.workers.get_mut(worker.at());
        row.status = WorkerStatus::Placed;
        row.revision = revision;
        if let Some(held) = row.held.as_mut() {
            held.worker_confirmed = true;
            held.employer_confirmed = true;
        }
        let deadline = row.worker.deadline;
        self.forget_deadline(deadline, Subject::Worker(worker));
        self.count_worker(worker);
    }

    /// The vacancy's side of placements of these workers, who are ascending.
    fn place_at(&mut self, vacancy: VacancySlot, workers: &[WorkerSlot]) {
        let count = workers.len() as u64;
        self.uncount_vacancy(vacancy);
        let revision = self.view.head.revision;
        let row = self.view.vacancies.get_mut(vacancy.at());
        let before = row.held.len();
        row.held.retain(|worker| workers.binary_search(worker).is_err());
        assert!(before - row.held.len() == workers.len(), "the vacancy holds the workers");
        row.placed += workers.len() as u32;
        assert!(row.placed <= row.vacancy.openings, "no more are placed than there are openings");
        row.revision = revision;
        let city = row.vacancy.city;
        self.view.counts.get_mut(city.at()).held -= count;
        self.count_vacancy(vacancy);
        self.count_intake(city, count);
        // With the placed worker gone a matching that is better for others may have
        // become stable: what holds now is stable, but no longer worker-optimal.
        self.view.head.worker_optimal = false;
        self.view.head.placed_since_snapshot = true;
        if self.moves_slots(city) {
            self.view.head.changes += count;
        }
    }

    /// Whether a placement in `city` can let somebody in. Under `TARGETS` a vacancy that
    /// has placed more than its target offers its next place from an earlier slot than
    /// before, and inside a full cap that may go before a slot that is held.
    fn moves_slots(&self, city: CityIx) -> bool {
        let head = &self.view.head;
        let city = head.geography.city(city);
        let mut around = head.geography.ancestry(city.region);
        head.settings.cap_order == CapOrder::Targets
            && (city.intake_cap.is_some()
                || around.any(|ix| head.geography.region(ix).intake_cap.is_some()))
    }

    fn count_intake(&mut self, city: CityIx, count: u64) {
        self.view.counts.get_mut(city.at()).intake += count;
        let head = &mut self.view.head;
        let intake = Arc::make_mut(&mut head.region_intake);
        for region in head.geography.ancestry(head.geography.city(city).region) {
            intake[region.at()] += count;
        }
    }

    /// Takes the worker off the vacancy's list of held workers.
    fn release(&mut self, worker: WorkerSlot, vacancy: VacancySlot) {
        let revision = self.view.head.revision;
        self.view.workers.get_mut(worker.at()).revision = revision;
        let row = self.view.vacancies.get_mut(vacancy.at());
        let at =
            row.held.iter().position(|slot| *slot == worker).expect("the vacancy holds the worker");
        row.held.swap_remove(at);
        row.revision = revision;
        let city = row.vacancy.city;
        self.view.counts.get_mut(city.at()).held -= 1;
    }

    fn round_started(&mut self, effect: &Effect) {
        let Effect::RoundStarted { id, side, cap_order, at } = effect else { return };
        let head = &mut self.view.head;
        head.changes_at_snapshot = head.changes;
        head.placed_since_snapshot = false;
        let rounds = Arc::make_mut(&mut head.rounds);
        if rounds.len() == ROUNDS_MAX {
            rounds.pop_front();
        }
        rounds.push_back(Round {
            id: *id,
            state: RoundState::Running,
            snapshot: head.revision,
            end: None,
            side: *side,
            cap_order: *cap_order,
            started: *at,
            ended: None,
            summary: None,
        });
    }

    fn round_ended(&mut self, id: RoundId, at: Millis, state: RoundState) -> &mut Round {
        let head = &mut self.view.head;
        let round = Arc::make_mut(&mut head.rounds).back_mut().expect("a round is running");
        assert!(round.id == id && round.state == RoundState::Running, "it is this round");
        round.state = state;
        round.end = Some(head.revision);
        round.ended = Some(at);
        round
    }

    pub(super) fn note_deadline(&mut self, deadline: Option<Millis>, subject: Subject) {
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, subject));
        }
    }

    fn forget_deadline(&mut self, deadline: Option<Millis>, subject: Subject) {
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, subject));
        }
    }

    fn count_worker(&mut self, slot: WorkerSlot) {
        tally_worker(&mut self.view, slot, u64::wrapping_add);
    }

    fn uncount_worker(&mut self, slot: WorkerSlot) {
        tally_worker(&mut self.view, slot, u64::wrapping_sub);
    }

    fn count_vacancy(&mut self, slot: VacancySlot) {
        tally_vacancy(&mut self.view, slot, u64::wrapping_add);
    }

    fn uncount_vacancy(&mut self, slot: VacancySlot) {
        tally_vacancy(&mut self.view, slot, u64::wrapping_sub);
    }
}

type Tally = fn(u64, u64) -> u64;

/// Adds the worker's row to the counts of city and market, or takes it off.
fn tally_worker(view: &mut View, slot: WorkerSlot, tally: Tally) {
    let row = view.workers.get(slot.at());
    let (home, status) = (row.worker.home, row.status);
    let counts = view.counts.get_mut(home.at());
    let totals = &mut view.head.totals;
    match status {
        WorkerStatus::Searching => counts.searching = tally(counts.searching, 1),
        WorkerStatus::Matched => {
            counts.matched = tally(counts.matched, 1);
            totals.matched = tally(totals.matched, 1);
        }
        WorkerStatus::Placed => {
            counts.placed = tally(counts.placed, 1);
            totals.placed = tally(totals.placed, 1);
        }
        WorkerStatus::Withdrawn | WorkerStatus::Expired => {}
    }
    if status.in_pool() {
        totals.workers = tally(totals.workers, 1);
    }
}

/// Adds the vacancy's row to the counts of city and market, or takes it off.
fn tally_vacancy(view: &mut View, slot: VacancySlot, tally: Tally) {
    let row = view.vacancies.get(slot.at());
    if row.status != VacancyStatus::Open {
        return;
    }
    let (city, openings) = (row.vacancy.city, u64::from(row.free()));
    let counts = view.counts.get_mut(city.at());
    counts.vacancies = tally(counts.vacancies, 1);
    counts.openings = tally(counts.openings, openings);
    let totals = &mut view.head.totals;
    totals.vacancies = tally(totals.vacancies, 1);
    totals.openings = tally(totals.openings, openings);
}

//! Clearing with every command: the engine that goes on as long as the market does, fed
//! with what commands have done, and what it takes to be stable again.

use crate::domain::{Clearing, Millis, Promise, Revision, VacancySlot, WorkerSlot};
use crate::matching::Control;
use crate::matching::live::{Change, Live};
use crate::state::{Effect, Ended, Rematch, Standing, VacancyStatus, View};
use std::sync::Arc;

/// Rows up to which a market is cleared at once where a larger one gets a round.
const SMALL: usize = 2_000;

/// The engine, while the market is cleared continuously and nothing has happened that takes
/// a clearing of the whole.
#[derive(Default)]
pub(super) struct Continuous {
    live: Option<Live>,
    /// When the terms last changed that it goes by.
    terms: Revision,
}

/// How a market has become stable again.
pub(super) struct Settlement {
    pub effects: Vec<Effect>,
    pub displaced: u32,
    pub improved: u32,
}

impl Continuous {
    /// What follows from effects of this moment, which have been applied to the view; nothing
    /// if the market is not cleared continuously, or waits for a round.
    pub fn follow(&mut self, view: &View, effects: &[Effect], now: Millis) -> Option<Settlement> {
        let promise = self.check(view)?;
        let held = match &mut self.live {
            Some(live) => live.apply(changes(view, effects)).held,
            None if view.head.running_round().is_some() || is_large(view) => return None,
            None => self.start(view, promise)?,
        };
        settlement(view, promise, &held, now)
    }

    /// Whether the market is cleared continuously, but has to be cleared as a whole first.
    pub fn wants_round(&mut self, view: &View) -> bool {
        self.check(view).is_some() && self.live.is_none() && view.head.running_round().is_none()
    }

    /// Goes on from a round that has just ended, on the state of its snapshot. Returns who
    /// holds what once everything that has changed since is taken in.
    pub fn go_on(
        &mut self,
        view: &View,
        mut live: Live,
        snapshot: Revision,
    ) -> Option<Vec<(WorkerSlot, VacancySlot)>> {
        let promise = self.check(view)?;
        if view.head.terms_changed > snapshot || live.promise() != promise {
            return None;
        }
        live.apply(changes_since(view, snapshot));
        let held = live.held_by_all().into_iter();
        let pairs = held.filter_map(|(worker, vacancy)| Some((worker, vacancy?))).collect();
        self.live = Some(live);
        self.terms = view.head.terms_changed;
        Some(pairs)
    }

    /// What the market promises; forgets an engine that does not go by its terms any more.
    fn check(&mut self, view: &View) -> Option<Promise> {
        if self.terms != view.head.terms_changed {
            self.live = None;
        }
        match view.head.settings.clearing {
            Clearing::Continuous(promise) => Some(promise),
            _ => {
                self.live = None;
                None
            }
        }
    }

    fn start(
        &mut self,
        view: &View,
        promise: Promise,
    ) -> Option<Vec<(WorkerSlot, Option<VacancySlot>)>> {
        let live = Live::clear(view.problem(), promise, &Control::default()).ok()?;
        let held = live.held_by_all();
        self.live = Some(live);
        self.terms = view.head.terms_changed;
        Some(held)
    }
}

fn is_large(view: &View) -> bool {
    view.workers.len() + view.vacancies.len() > SMALL
}

fn settlement(
    view: &View,
    promise: Promise,
    held: &[(WorkerSlot, Option<VacancySlot>)],
    now: Millis,
) -> Option<Settlement> {
    let rematch = view.rematch_to(held, now);
    let as_promised = view.head.standing() == promised(promise);
    if rematch.is_empty() && as_promised {
        return None;
    }
    let count =
        |why: Ended| rematch.ended.iter().filter(|(.., ended)| *ended == why).count() as u32;
    let (displaced, improved) = (count(Ended::Displaced), count(Ended::Rematched));
    let mut effects = Vec::new();
    if !rematch.is_empty() {
        effects.push(Effect::Rematched(Arc::<Rematch>::new(rematch)));
    }
    if !as_promised {
        effects.push(Effect::Settled(promise));
    }
    Some(Settlement { effects, displaced, improved })
}

/// What a market claims that is as it promised.
fn promised(promise: Promise) -> Standing {
    match promise {
        Promise::Stable => Standing::Stable,
        Promise::WorkerOptimal => Standing::WorkerOptimal,
    }
}

/// What effects, which have been applied, are to the engine. Placements go first: they are
/// of the matching as it was before the command, and so as the engine has it.
fn changes(view: &View, effects: &[Effect]) -> Vec<Change> {
    let (mut placed, mut others) = (Vec::new(), Vec::new());
    let comes = |worker: &WorkerSlot| Change::Worker(view.worker(*worker).seeker(*worker));
    for effect in effects {
        match effect {
            Effect::Placed { worker, .. } => placed.push(Change::Placed(*worker)),
            Effect::Frozen(freeze) => {
                placed.extend(freeze.placed.iter().map(|(worker, _)| Change::Placed(*worker)));
                others.extend(freeze.filled.iter().map(|slot| Change::VacancyLeft(*slot)));
            }
            Effect::WorkerPut { slot, .. } => others.push(comes(slot)),
            Effect::WorkerLeft { slot, .. } => others.push(Change::WorkerLeft(*slot)),
            Effect::VacancyPut { slot, status: VacancyStatus::Open, .. } => {
                others.push(Change::Vacancy(view.vacancy(*slot).post(*slot)));
            }
            Effect::VacancyPut { slot, .. } | Effect::VacancyLeft { slot, .. } => {
                others.push(Change::VacancyLeft(*slot));
            }
            Effect::Unmatched { worker, ended, .. } if ended.is_for_good() => {
                others.push(comes(worker));
            }
            Effect::Rematched(rematch) => {
                let lapsed = rematch.ended.iter().filter(|(.., ended)| ended.is_for_good());
                others.extend(lapsed.map(|(worker, ..)| comes(worker)));
            }
            _ => {}
        }
    }
    placed.append(&mut others);
    placed
}

/// Everything that is not as it was at a revision: who has left first.
fn changes_since(view: &View, revision: Revision) -> Vec<Change> {
    let (mut left, mut here) = (Vec::new(), Vec::new());
    for (at, row) in view.workers.iter().enumerate().filter(|(_, row)| row.revision > revision) {
        let slot = WorkerSlot::from_offset(at);
        match row.status.in_pool() {
            true => here.push(Change::Worker(row.seeker(slot))),
            false => left.push(Change::WorkerLeft(slot)),
        }
    }
    for (at, row) in view.vacancies.iter().enumerate().filter(|(_, row)| row.revision > revision) {
        let slot = VacancySlot::from_offset(at);
        match row.status {
            VacancyStatus::Open => here.push(Change::Vacancy(row.post(slot))),
            _ => left.push(Change::VacancyLeft(slot)),
        }
    }
    left.append(&mut here);
    if view.head.placed_since_snapshot {
        let sets = (0..).zip(view.cap_sets().0);
        left.extend(sets.map(|(set, cap)| Change::Capacity(set, cap.capacity)));
    }
    left
}

//! Events: what a client is told of each effect, and the log that keeps them.
//!
//! Events are derived from effects just before these are applied, so that an event
//! can say what was before. They are compact: cities stand as indices, which never
//! change their meaning inside one incarnation.

mod cursor;
mod filter;
mod foreseen;
mod log;
mod recent;

pub use cursor::{Chunk, Cursor, Next};
pub use filter::{Filter, Kind};
pub use foreseen::Foreseen;
pub use log::{Batch, Log, Missed, Position, Retention};
pub use recent::{Audience, Recent};

use crate::domain::{
    City, CityIx, MoveCost, Region, Revision, RoundId, Settings, VacancyId, VacancySlot, WorkerId,
    WorkerSlot,
};
use crate::state::{
    Effect, Ended, Freeze, MatchSide, Rematch, Round, RoundState, VacancyStatus, View, WorkerStatus,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What happened, with its detail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The market was made, or its settings changed.
    MarketChanged {
        /// The name for people.
        display_name: Arc<str>,
        /// The settings.
        settings: Arc<Settings>,
    },
    /// A region was added or changed.
    RegionChanged(Arc<Region>),
    /// A city was added or changed.
    CityChanged(CityIx, Arc<City>),
    /// The cost of moving between two cities changed.
    MoveCostChanged {
        /// Where moves start.
        origin: CityIx,
        /// Where they end.
        destination: CityIx,
        /// The override, if there still is one.
        cost: Option<MoveCost>,
    },
    /// A worker came in, changed, came back, withdrew or expired.
    WorkerChanged {
        /// The worker.
        worker: WorkerId,
        /// The home city.
        home: CityIx,
        /// The status now.
        status: WorkerStatus,
        /// The status before; `None` = new.
        previous: Option<WorkerStatus>,
    },
    /// A vacancy came in, changed, came back, was filled, closed or expired.
    VacancyChanged {
        /// The vacancy.
        vacancy: VacancyId,
        /// Its city.
        city: CityIx,
        /// The status now.
        status: VacancyStatus,
        /// The status before; `None` = new.
        previous: Option<VacancyStatus>,
        /// Openings, placed ones included.
        openings: u32,
    },
    /// Something happened to a match.
    Match(MatchChange, Pairing),
    /// Something happened to a match in another city.
    Migration(MigrationChange, Pairing, Box<Move>),
    /// A round started, was committed or cancelled.
    Round(Arc<Round>),
}

/// What happened to a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchChange {
    /// It was made, tentatively.
    Matched,
    /// It ended in a clearing, with nothing better for the worker.
    Displaced,
    /// It ended otherwise.
    Unmatched,
    /// One side declined it.
    Declined(MatchSide),
    /// It was not confirmed in time: by that side, or by neither.
    Lapsed(Option<MatchSide>),
    /// One side confirmed it.
    Confirmed(MatchSide),
    /// It was confirmed for good.
    Placed,
    /// It has been held for so long that the market placed it.
    Frozen,
}

/// What happened to a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MigrationChange {
    /// A worker was matched in another city.
    Planned,
    /// Such a match ended before it was placed.
    Cancelled,
    /// A worker was placed in another city.
    Migrated,
}

/// Who, what, from where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// The worker.
    pub worker: WorkerId,
    /// The vacancy.
    pub vacancy: VacancyId,
    /// The worker's home.
    pub origin: CityIx,
    /// The vacancy's city.
    pub destination: CityIx,
}

/// What a migration takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Kilometres.
    pub km: u32,
    /// One-off cost, subsidies taken off.
    pub cost: i64,
}

/// [`derive`] for the matches of a commit, of which most were foreseen.
pub fn derive_rematch(
    before: &View,
    rematch: &Rematch,
    foreseen: Foreseen,
    events: &mut Vec<Event>,
) {
    for (worker, vacancy, ended) in &rematch.ended {
        unmatched(before, *worker, *vacancy, *ended, events);
    }
    foreseen.derive(before, &rematch.made, events);
}

/// The events of one effect, which is about to be applied to `before` at `revision`.
pub fn derive(before: &View, revision: Revision, effect: &Effect, events: &mut Vec<Event>) {
    match effect {
        Effect::Created { creation, .. } => events.push(Event::MarketChanged {
            display_name: creation.display_name.clone(),
            settings: Arc::new(creation.settings.clone()),
        }),
        Effect::SettingsChanged { display_name, settings } => events.push(Event::MarketChanged {
            display_name: display_name.clone(),
            settings: settings.clone(),
        }),
        Effect::RegionPut { region, .. } => events.push(Event::RegionChanged(region.clone())),
        Effect::CityPut { ix, city, .. } => events.push(Event::CityChanged(*ix, city.clone())),
        Effect::MoveCostPut { origin, destination, cost } => events.push(Event::MoveCostChanged {
            origin: *origin,
            destination: *destination,
            cost: *cost,
        }),
        Effect::WorkerPut { slot, worker } => {
            let previous = known_worker(before, *slot);
            let status = previous.filter(|s| *s == WorkerStatus::Matched);
            events.push(Event::WorkerChanged {
                worker: worker.id,
                home: worker.home,
                status: status.unwrap_or(WorkerStatus::Searching),
                previous,
            });
        }
        Effect::WorkerLeft { slot, status } => {
            let row = before.worker(*slot);
            events.push(Event::WorkerChanged {
                worker: row.worker.id,
                home: row.worker.home,
                status: *status,
                previous: Some(row.status),
            });
        }
        Effect::VacancyPut { slot, vacancy, status } => events.push(Event::VacancyChanged {
            vacancy: vacancy.id,
            city: vacancy.city,
            status: *status,
            previous: (slot.at() < before.vacancies.len()).then(|| before.vacancy(*slot).status),
            openings: vacancy.openings,
        }),
        Effect::VacancyLeft { slot, status } => {
            events.push(vacancy_left(before, *slot, *status));
        }
        Effect::Rematched(rematch) => {
            for (worker, vacancy, ended) in &rematch.ended {
                unmatched(before, *worker, *vacancy, *ended, events);
            }
            for (worker, vacancy) in &rematch.made {
                foreseen::matched(before, *worker, *vacancy, events);
            }
        }
        Effect::Unmatched { worker, vacancy, ended } => {
            unmatched(before, *worker, *vacancy, *ended, events);
        }
        Effect::Confirmed { worker, side } => {
            if let Some(held) = before.worker(*worker).held {
                let pairing = pairing(before, *worker, held.vacancy);
                events.push(Event::Match(MatchChange::Confirmed(*side), pairing));
            }
        }
        Effect::Placed { worker, vacancy } => {
            placed(before, *worker, *vacancy, MatchChange::Placed, events);
        }
        Effect::Frozen(freeze) => frozen(before, freeze, events),
        Effect::RoundStarted { id, side, cap_order, at } => {
            events.push(Event::Round(Arc::new(Round {
                id: *id,
                state: RoundState::Running,
                snapshot: revision,
                end: None,
                side: *side,
                cap_order: *cap_order,
                started: *at,
                ended: None,
                summary: None,
            })));
        }
        Effect::RoundCleared { id, summary, at } => {
            let ended = |round: &Round| Round {
                state: RoundState::Cleared,
                end: Some(revision),
                ended: Some(*at),
                summary: Some(*summary),
                ..round.clone()
            };
            events.extend(round(before, *id).map(|round| Event::Round(Arc::new(ended(round)))));
        }
        Effect::RoundCancelled { id, at } => {
            let ended = |round: &Round| Round {
                state: RoundState::Cancelled,
                end: Some(revision),
                ended: Some(*at),
                ..round.clone()
            };
            events.extend(round(before, *id).map(|round| Event::Round(Arc::new(ended(round)))));
        }
        Effect::SkillAdded(_) | Effect::Settled(_) | Effect::Remembered { .. } => {}
    }
}

fn vacancy_left(before: &View, slot: VacancySlot, status: VacancyStatus) -> Event {
    let row = before.vacancy(slot);
    Event::VacancyChanged {
        vacancy: row.vacancy.id,
        city: row.vacancy.city,
        status,
        previous: Some(row.status),
        openings: row.vacancy.openings,
    }
}

fn placed(
    before: &View,
    worker: WorkerSlot,
    vacancy: VacancySlot,
    change: MatchChange,
    events: &mut Vec<Event>,
) {
    let pairing = pairing(before, worker, vacancy);
    events.push(Event::Match(change, pairing));
    let movement = migration(before, pairing);
    events.extend(movement.map(|m| Event::Migration(MigrationChange::Migrated, pairing, m)));
}

fn frozen(before: &View, freeze: &Freeze, events: &mut Vec<Event>) {
    events.reserve(freeze.placed.len() + freeze.filled.len());
    for (worker, vacancy) in &freeze.placed {
        placed(before, *worker, *vacancy, MatchChange::Frozen, events);
    }
    let filled = freeze.filled.iter();
    events.extend(filled.map(|slot| vacancy_left(before, *slot, VacancyStatus::Filled)));
}

fn unmatched(
    before: &View,
    worker: WorkerSlot,
    vacancy: VacancySlot,
    ended: Ended,
    events: &mut Vec<Event>,
) {
    let pairing = pairing(before, worker, vacancy);
    let change = match ended {
        Ended::Displaced => MatchChange::Displaced,
        Ended::Rematched | Ended::Dissolved => MatchChange::Unmatched,
        Ended::Declined(side) => MatchChange::Declined(side),
        Ended::Lapsed(silent) => MatchChange::Lapsed(silent),
    };
    events.push(Event::Match(change, pairing));
    let movement = migration(before, pairing);
    events.extend(movement.map(|m| Event::Migration(MigrationChange::Cancelled, pairing, m)));
}

fn known_worker(view: &View, slot: WorkerSlot) -> Option<WorkerStatus> {
    (slot.at() < view.workers.len()).then(|| view.worker(slot).status)
}

fn round(view: &View, id: RoundId) -> Option<&Round> {
    view.head.round(id)
}

fn pairing(view: &View, worker: WorkerSlot, vacancy: VacancySlot) -> Pairing {
    let (worker, vacancy) = (&view.worker(worker).worker, &view.vacancy(vacancy).vacancy);
    Pairing {
        worker: worker.id,
        vacancy: vacancy.id,
        origin: worker.home,
        destination: vacancy.city,
    }
}

/// What the worker's move takes, if the job is not at home.
fn migration(view: &View, pairing: Pairing) -> Option<Box<Move>> {
    if pairing.origin == pairing.destination {
        return None;
    }
    let head = &view.head;
    let km = head.geography.km(pairing.origin, pairing.destination);
    let cost = head.terms().move_cost(pairing.origin, pairing.destination);
    Some(Box::new(Move { km, cost }))
}

//! Decides about confirmations and declines of held matches.

use super::super::State;
use super::super::command::{Batch, Refusal};
use super::super::effect::{Effect, Ended};
use super::super::view::{CappedPlace, MatchSide, VacancyRow, VacancyStatus, WorkerStatus};
use super::pools::{unknown_vacancy, unknown_worker};
use super::{Draft, each};
use crate::domain::{
    CityIx, Confirmations, Reason, VacancyId, VacancySlot, Violation, WorkerId, WorkerSlot,
};
use std::collections::{HashMap, HashSet};

/// Places that earlier items of the same batch have taken.
#[derive(Default)]
struct Taken {
    by_vacancy: HashMap<VacancySlot, u32>,
    by_set: HashMap<usize, u64>,
    workers: HashSet<WorkerSlot>,
}

impl Taken {
    /// Whether this batch has taken the last of the vacancy's openings.
    fn all_of(&self, vacancy: VacancySlot, row: &VacancyRow) -> bool {
        let taken = self.by_vacancy.get(&vacancy);
        taken.is_some_and(|taken| row.placed + taken == row.vacancy.openings)
    }
}

impl State {
    pub(super) fn confirm(
        &self,
        side: MatchSide,
        batch: &Batch<(WorkerId, VacancyId)>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let mut taken = Taken::default();
        let places = self.view.capped_places();
        each(draft, ("matches", "worker_id"), batch, worker_of, worker_named, |pair, effects| {
            let (worker, vacancy) = self.named_pair(*pair)?;
            let row = self.view.worker(worker);
            let held = row.held.filter(|held| held.vacancy == vacancy).ok_or_else(no_match)?;
            if row.status == WorkerStatus::Placed {
                return Ok(0);
            }
            if taken.all_of(vacancy, self.view.vacancy(vacancy)) {
                // An earlier item took the last opening, which dissolved this match.
                return Err(no_room("the vacancy's openings are all placed"));
            }
            let (mine, other) = match side {
                MatchSide::Worker => (held.worker_confirmed, held.employer_confirmed),
                MatchSide::Employer => (held.employer_confirmed, held.worker_confirmed),
            };
            let either = self.view.head.settings.confirmations == Confirmations::Either;
            if !either && !other {
                if !mine {
                    effects.push(Effect::Confirmed { worker, side });
                }
                return Ok(0);
            }
            self.take_place(vacancy, &places, &mut taken)?;
            effects.push(Effect::Placed { worker, vacancy });
            taken.workers.insert(worker);
            if taken.all_of(vacancy, self.view.vacancy(vacancy)) {
                // Openings may have been cut below what is held; nobody else fits now.
                effects.extend(self.view.dissolve_all(vacancy).filter(|effect| match effect {
                    Effect::Unmatched { worker, .. } => !taken.workers.contains(worker),
                    _ => true,
                }));
                effects.push(Effect::VacancyLeft { slot: vacancy, status: VacancyStatus::Filled });
            }
            Ok(1)
        })
    }

    /// Checks that openings and caps have room for one more placement, and takes it.
    fn take_place(
        &self,
        vacancy: VacancySlot,
        places: &[CappedPlace],
        taken: &mut Taken,
    ) -> Result<(), Violation> {
        let row = self.view.vacancy(vacancy);
        let placed = row.placed + taken.by_vacancy.get(&vacancy).copied().unwrap_or(0);
        if placed >= row.vacancy.openings {
            return Err(no_room("the vacancy's openings are all placed"));
        }
        let inside: Vec<usize> = (0..places.len())
            .filter(|set| self.is_inside(row.vacancy.city, places[*set]))
            .collect();
        for set in &inside {
            let extra = taken.by_set.get(set).copied().unwrap_or(0);
            if self.intake(places[*set]) + extra >= self.cap(places[*set]) {
                return Err(no_room(
                    "the intake cap of its city or region is used up by placements",
                ));
            }
        }
        *taken.by_vacancy.entry(vacancy).or_default() += 1;
        for set in inside {
            *taken.by_set.entry(set).or_default() += 1;
        }
        Ok(())
    }

    fn is_inside(&self, city: CityIx, place: CappedPlace) -> bool {
        let geography = &*self.view.head.geography;
        match place {
            CappedPlace::City(ix) => ix == city,
            CappedPlace::Region(ix) => {
                geography.ancestry(geography.city(city).region).any(|r| r == ix)
            }
        }
    }

    fn intake(&self, place: CappedPlace) -> u64 {
        match place {
            CappedPlace::City(ix) => self.view.counts.get(ix.at()).intake,
            CappedPlace::Region(ix) => self.view.head.region_intake[ix.at()],
        }
    }

    fn cap(&self, place: CappedPlace) -> u64 {
        let geography = &*self.view.head.geography;
        let cap = match place {
            CappedPlace::City(ix) => geography.city(ix).intake_cap,
            CappedPlace::Region(ix) => geography.region(ix).intake_cap,
        };
        cap.unwrap_or(u64::MAX)
    }

    pub(super) fn decline(
        &self,
        side: MatchSide,
        batch: &Batch<(WorkerId, VacancyId)>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        each(draft, ("matches", "worker_id"), batch, worker_of, worker_named, |pair, effects| {
            let (worker, vacancy) = self.named_pair(*pair)?;
            let row = self.view.worker(worker);
            row.held.filter(|held| held.vacancy == vacancy).ok_or_else(no_match)?;
            if row.status == WorkerStatus::Placed {
                return Err(Violation::new(
                    Reason::WrongStatus,
                    "",
                    "the match is placed: it is final",
                ));
            }
            effects.push(Effect::Unmatched { worker, vacancy, ended: Ended::Declined(side) });
            Ok(0)
        })
    }

    fn named_pair(
        &self,
        pair: (WorkerId, VacancyId),
    ) -> Result<(WorkerSlot, VacancySlot), Violation> {
        let worker =
            self.worker_slot(pair.0).ok_or_else(|| unknown_worker(pair.0).within("worker_id"))?;
        let vacancy = self
            .vacancy_slot(pair.1)
            .ok_or_else(|| unknown_vacancy(pair.1).within("vacancy_id"))?;
        Ok((worker, vacancy))
    }
}

/// A worker stands at most once in a batch.
fn worker_of(pair: &(WorkerId, VacancyId)) -> WorkerId {
    pair.0
}

fn worker_named(pair: &(WorkerId, VacancyId)) -> String {
    pair.0.to_string()
}

fn no_match() -> Violation {
    Violation::new(Reason::MatchNotFound, "", "the worker is not matched with that vacancy")
}

fn no_room(message: &str) -> Violation {
    Violation::new(Reason::WrongStatus, "", message)
}

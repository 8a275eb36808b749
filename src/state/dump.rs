//! The whole of a state in parts, out and in again, and its hash.
//!
//! A [`Dump`] is cheap to take and stays as it was while the state goes on. Its parts are
//! small, so that writing and reading them takes little memory whatever the size of the
//! market. What can be told from the parts (which id has which slot, whose deadline is
//! next, what records share) is not in them, and is made anew.

use super::effect::Effect;
use super::outcomes::{Remembered, Remembrance};
use super::view::{CityCounts, Head, VacancyRow, VacancyStatus, View, WorkerRow};
use super::{Capacity, State, Subject};
use crate::domain::{
    City, CityIx, MoveCost, Region, RegionIx, Revision, SharedLabels, SkillIx, VacancySlot,
    WorkerSlot,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Rows in one part; fewer where they are large.
const PART_ROWS: usize = 1_024;
/// Bytes of explicit rankings, labels and errors in one part, roughly.
const PART_BYTES: usize = 1 << 20;
/// Distances in one part.
const PART_DISTANCES: usize = 1 << 19;

/// A state as it was at one moment.
#[derive(Clone, Debug)]
pub struct Dump {
    view: View,
    remembered: Remembrance,
}

/// A part of a state. They come in this order, each kind as often as it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    /// Everything that is small; places are empty here.
    Head(Box<Head>),
    /// Regions by index.
    Regions(Vec<Region>),
    /// Cities by index, each with the kilometres to those before it.
    Cities(Vec<(City, Arc<[u16]>)>),
    /// Overrides of the cost of moving, ascending.
    MoveCosts(Vec<((CityIx, CityIx), MoveCost)>),
    /// Counts by city.
    Counts(Vec<CityCounts>),
    /// Vacancies by slot.
    Vacancies(Vec<VacancyRow>),
    /// Workers by slot.
    Workers(Vec<WorkerRow>),
    /// Outcomes of named commands, oldest first.
    Outcomes(Vec<Remembered>),
}

/// Parts that do not make a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parts do not make a state: {0}")]
pub struct Unfit(&'static str);

impl Dump {
    /// The market's revision.
    pub fn revision(&self) -> Revision {
        self.view.head.revision
    }

    /// The market as anybody may see it.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// All parts in order.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let head = Head { geography: Arc::default(), ..self.view.head.clone() };
        let places = &*self.view.head.geography;
        let cities = places.cities.iter().enumerate();
        let cities = cities
            .map(|(at, city)| (city.clone(), places.km_before(CityIx::from_offset(at)).clone()));
        let costs = places.move_costs_sorted();
        std::iter::once(Part::Head(Box::new(head)))
            .chain(cut(places.regions.iter().cloned(), |_| 0).map(Part::Regions))
            .chain(cut(cities, |(_, km)| km.len() * PART_BYTES / PART_DISTANCES).map(Part::Cities))
            .chain(cut(costs.into_iter(), |_| 0).map(Part::MoveCosts))
            .chain(cut(self.view.counts.iter().copied(), |_| 0).map(Part::Counts))
            .chain(cut(self.view.vacancies.iter().cloned(), vacancy_bytes).map(Part::Vacancies))
            .chain(cut(self.view.workers.iter().cloned(), worker_bytes).map(Part::Workers))
            .chain(cut(self.remembered.iter().cloned(), |(_, o)| o.bytes()).map(Part::Outcomes))
    }
}

fn vacancy_bytes(row: &VacancyRow) -> usize {
    16 * row.vacancy.ranking.as_ref().map_or(0, |ids| ids.len()) + 4 * row.held.len()
}

fn worker_bytes(row: &WorkerRow) -> usize {
    let declined = row.declined.as_ref().map_or(0, |slots| slots.len());
    16 * row.worker.ranking.as_ref().map_or(0, |ids| ids.len()) + 4 * declined
}

/// Cuts rows into pieces that are bounded in rows and bytes.
fn cut<T>(
    rows: impl Iterator<Item = T>,
    bytes_of: impl Fn(&T) -> usize,
) -> impl Iterator<Item = Vec<T>> {
    let mut rows = rows.peekable();
    std::iter::from_fn(move || {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        while piece.len() < PART_ROWS && bytes < PART_BYTES {
            let Some(row) = rows.next() else { break };
            bytes += bytes_of(&row);
            piece.push(row);
        }
        (!piece.is_empty()).then_some(piece)
    })
}

/// A state in the making, from its parts.
#[derive(Debug)]
pub struct Restoring {
    state: State,
    begun: bool,
}

impl Restoring {
    /// Nothing yet.
    pub fn new(capacity: Capacity) -> Self {
        let nobody = crate::domain::MarketName::parse("", "unknown");
        let name = nobody.expect("a name of letters is a name");
        Self { state: State::new(name, capacity), begun: false }
    }

    /// Takes the next part in.
    pub fn take(&mut self, part: Part) -> Result<(), Unfit> {
        let first = matches!(part, Part::Head(_));
        if first == self.begun {
            return Err(Unfit("the head comes first, and once"));
        }
        match part {
            Part::Head(head) => {
                let skills = (0..).map(SkillIx).zip(head.skills.iter());
                self.state.skills = skills.map(|(ix, name)| (name.clone(), ix)).collect();
                self.state.view.head = *head;
                self.begun = true;
            }
            Part::Regions(regions) => {
                let places = Arc::make_mut(&mut self.state.view.head.geography);
                for region in regions {
                    let ix = RegionIx::from_offset(places.regions.len());
                    places.put_region(ix, region);
                }
            }
            Part::Cities(cities) => {
                let places = Arc::make_mut(&mut self.state.view.head.geography);
                for (city, km) in cities {
                    if km.len() != places.cities.len() {
                        return Err(Unfit("a city's distances are not those to the cities before"));
                    }
                    let ix = CityIx::from_offset(places.cities.len());
                    places.put_city(ix, city, &km);
                }
            }
            Part::MoveCosts(costs) => {
                let places = Arc::make_mut(&mut self.state.view.head.geography);
                for ((origin, destination), cost) in costs {
                    places.put_move_cost(origin, destination, Some(cost));
                }
            }
            Part::Counts(counts) => counts.into_iter().for_each(|c| self.state.view.counts.push(c)),
            Part::Vacancies(rows) => rows.into_iter().try_for_each(|row| self.vacancy(row))?,
            Part::Workers(rows) => rows.into_iter().try_for_each(|row| self.worker(row))?,
            Part::Outcomes(remembered) => {
                remembered.into_iter().for_each(|(key, o)| self.state.outcomes.remember(key, o));
            }
        }
        Ok(())
    }

    fn vacancy(&mut self, mut row: VacancyRow) -> Result<(), Unfit> {
        let state = &mut self.state;
        if row.vacancy.city.at() >= state.view.counts.len() {
            return Err(Unfit("a vacancy is in a city that is not there"));
        }
        let vacancy = Arc::make_mut(&mut row.vacancy);
        vacancy.title = state.titles.shared(&vacancy.title);
        state.share_labels(&mut vacancy.labels);
        let (slot, id) = (VacancySlot::from_offset(state.view.vacancies.len()), row.vacancy.id);
        if row.status == VacancyStatus::Open {
            state.note_deadline(row.vacancy.deadline, Subject::Vacancy(slot));
        }
        state.view.vacancies.push(row);
        let view = &state.view;
        state.vacancy_slots.insert(&id, slot, |slot| view.vacancy(slot).vacancy.id);
        Ok(())
    }

    fn worker(&mut self, mut row: WorkerRow) -> Result<(), Unfit> {
        let state = &mut self.state;
        if row.worker.home.at() >= state.view.counts.len() {
            return Err(Unfit("a worker lives in a city that is not there"));
        }
        if row.held.is_some_and(|held| held.vacancy.at() >= state.view.vacancies.len()) {
            return Err(Unfit("a worker holds a vacancy that is not there"));
        }
        state.share_labels(&mut Arc::make_mut(&mut row.worker).labels);
        let (slot, id) = (WorkerSlot::from_offset(state.view.workers.len()), row.worker.id);
        if row.status.in_pool() {
            state.note_deadline(row.worker.deadline, Subject::Worker(slot));
        }
        state.view.workers.push(row);
        let view = &state.view;
        state.worker_slots.insert(&id, slot, |slot| view.worker(slot).worker.id);
        Ok(())
    }

    /// The state, once all parts are in.
    pub fn finish(mut self) -> Result<State, Unfit> {
        let view = &self.state.view;
        let (places, workers) = (&view.head.geography, view.workers.len());
        if !self.begun {
            return Err(Unfit("there is no head"));
        }
        if places.cities.len() != view.counts.len() {
            return Err(Unfit("cities and their counts do not agree"));
        }
        let held = |row: &VacancyRow| row.held.iter().all(|worker| worker.at() < workers);
        if !view.vacancies.iter().all(held) {
            return Err(Unfit("a vacancy holds a worker who is not there"));
        }
        self.state.settings_changed();
        Ok(self.state)
    }
}

impl State {
    /// The whole of it as it is now; cheap.
    pub fn dump(&self) -> Dump {
        Dump { view: self.view.clone(), remembered: self.outcomes.remembrance().clone() }
    }

    /// XXH3-64 of everything that is seen or decides: two states with one hash are the
    /// same. Reads the whole market.
    pub fn hash(&self) -> u64 {
        let mut hasher = Xxh3::new();
        let mut bytes = Vec::new();
        let mut feed = |value: &dyn Fn(Vec<u8>) -> postcard::Result<Vec<u8>>| {
            bytes = value(std::mem::take(&mut bytes)).expect("memory takes what a market holds");
            hasher.update(&bytes);
            bytes.clear();
        };
        for part in self.dump().parts() {
            feed(&|bytes| postcard::to_extend(&part, bytes));
        }
        for (deadline, subject) in &self.deadlines {
            let subject = match subject {
                Subject::Worker(slot) => (0_u8, slot.0),
                Subject::Vacancy(slot) => (1, slot.0),
            };
            feed(&|bytes| postcard::to_extend(&(deadline, subject), bytes));
        }
        hasher.digest()
    }

    /// Applies an effect that was read from somewhere: its records share with others what
    /// they have in common, as they did when they came in.
    pub fn evolve_read(&mut self, revision: Revision, effect: &mut Effect) {
        match effect {
            Effect::WorkerPut { worker, .. } => {
                self.share_labels(&mut Arc::make_mut(worker).labels);
            }
            Effect::VacancyPut { vacancy, .. } => {
                let vacancy = Arc::make_mut(vacancy);
                vacancy.title = self.titles.shared(&vacancy.title);
                self.share_labels(&mut vacancy.labels);
            }
            _ => {}
        }
        self.evolve(revision, effect);
    }

    fn share_labels(&mut self, labels: &mut SharedLabels) {
        if let Some(labels) = labels {
            *labels = self.labels.shared(labels);
        }
    }
}

//! Which events a subscriber wants.

use super::{Event, MatchChange, MigrationChange};
use crate::domain::{CityIx, VacancyId, WorkerId};
use crate::mutants::active;
use crate::state::RoundState;
use std::collections::HashSet;

/// What happened, without the detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is documented at its detail, in `Event`")]
pub enum Kind {
    MarketChanged,
    RegionChanged,
    CityChanged,
    MoveCostChanged,
    WorkerChanged,
    VacancyChanged,
    Matched,
    Displaced,
    Unmatched,
    Declined,
    Lapsed,
    Confirmed,
    Placed,
    MigrationPlanned,
    MigrationCancelled,
    Migrated,
    RoundStarted,
    RoundCleared,
    RoundCancelled,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 19] = [
        Self::MarketChanged,
        Self::RegionChanged,
        Self::CityChanged,
        Self::MoveCostChanged,
        Self::WorkerChanged,
        Self::VacancyChanged,
        Self::Matched,
        Self::Displaced,
        Self::Unmatched,
        Self::Declined,
        Self::Lapsed,
        Self::Confirmed,
        Self::Placed,
        Self::MigrationPlanned,
        Self::MigrationCancelled,
        Self::Migrated,
        Self::RoundStarted,
        Self::RoundCleared,
        Self::RoundCancelled,
    ];
}

impl Event {
    /// What happened, without the detail.
    pub fn kind(&self) -> Kind {
        match self {
            Self::MarketChanged { .. } => Kind::MarketChanged,
            Self::RegionChanged(_) => Kind::RegionChanged,
            Self::CityChanged(..) => Kind::CityChanged,
            Self::MoveCostChanged { .. } => Kind::MoveCostChanged,
            Self::WorkerChanged { .. } => Kind::WorkerChanged,
            Self::VacancyChanged { .. } => Kind::VacancyChanged,
            Self::Match(change, _) => match change {
                MatchChange::Matched => Kind::Matched,
                MatchChange::Displaced => Kind::Displaced,
                MatchChange::Unmatched => Kind::Unmatched,
                MatchChange::Declined(_) => Kind::Declined,
                MatchChange::Lapsed(_) => Kind::Lapsed,
                MatchChange::Confirmed(_) => Kind::Confirmed,
                MatchChange::Placed | MatchChange::Frozen => Kind::Placed,
            },
            Self::Migration(change, ..) => match change {
                MigrationChange::Planned => Kind::MigrationPlanned,
                MigrationChange::Cancelled => Kind::MigrationCancelled,
                MigrationChange::Migrated => Kind::Migrated,
            },
            Self::Round(round) => match round.state {
                RoundState::Running => Kind::RoundStarted,
                RoundState::Cleared => Kind::RoundCleared,
                RoundState::Cancelled => Kind::RoundCancelled,
            },
        }
    }

    /// The cities that the event is about: home, or origin and destination.
    fn cities(&self) -> [Option<CityIx>; 2] {
        match self {
            Self::CityChanged(ix, _) => [Some(*ix), None],
            Self::MoveCostChanged { origin, destination, .. } => {
                [Some(*origin), Some(*destination)]
            }
            Self::WorkerChanged { home, .. } => [Some(*home), None],
            Self::VacancyChanged { city, .. } => [Some(*city), None],
            Self::Match(_, p) | Self::Migration(_, p, _) => {
                [Some(p.origin), Some(p.destination).filter(|_| !active("destination-forgotten"))]
            }
            Self::MarketChanged { .. } | Self::RegionChanged(_) | Self::Round(_) => [None, None],
        }
    }

    fn worker(&self) -> Option<WorkerId> {
        match self {
            Self::WorkerChanged { worker, .. } => Some(*worker),
            Self::Match(_, p) | Self::Migration(_, p, _) => Some(p.worker),
            _ => None,
        }
    }

    fn vacancy(&self) -> Option<VacancyId> {
        match self {
            Self::VacancyChanged { vacancy, .. } => Some(*vacancy),
            Self::Match(_, p) | Self::Migration(_, p, _) => Some(p.vacancy),
            _ => None,
        }
    }

    /// Bytes that keeping the event takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let behind_pointers = match self {
            Self::MarketChanged { .. } | Self::RegionChanged(_) | Self::CityChanged(..) => 256,
            Self::Round(_) => 256,
            Self::Migration(..) => 32,
            _ => 0,
        };
        size_of::<Self>() + behind_pointers
    }
}

/// Which events a subscriber wants: those that match every list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Kinds.
    pub kinds: HashSet<Kind>,
    /// Cities.
    pub cities: HashSet<CityIx>,
    /// Workers.
    pub workers: HashSet<WorkerId>,
    /// Vacancies.
    pub vacancies: HashSet<VacancyId>,
}

impl Filter {
    /// Whether the subscriber wants every event.
    pub fn passes_all(&self) -> bool {
        let Self { kinds, cities, workers, vacancies } = self;
        kinds.is_empty() && cities.is_empty() && workers.is_empty() && vacancies.is_empty()
    }

    /// Whether the subscriber wants the event.
    pub fn passes(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind()))
            && (self.cities.is_empty()
                || event.cities().iter().flatten().any(|ix| self.cities.contains(ix)))
            && (self.workers.is_empty()
                || event.worker().is_some_and(|id| self.workers.contains(&id)))
            && (self.vacancies.is_empty()
                || event.vacancy().is_some_and(|id| self.vacancies.contains(&id)))
    }
}

//! What happens to a market. Effects are all that a recovery needs: applying them
//! never decides anything again.

use super::command::{Creation, Outcome, RequestKey};
use super::view::{MatchSide, Summary, VacancyStatus, WorkerStatus};
use crate::domain::{
    CapOrder, City, CityIx, Millis, MoveCost, Promise, Region, RegionIx, RoundId, Settings, Side,
    SkillName, Vacancy, VacancySlot, Worker, WorkerSlot,
};
use crate::mutants::active;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why a held match ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ended {
    /// A clearing gave the worker something better.
    Rematched,
    /// A clearing gave the place to somebody else, and the worker nothing better.
    Displaced,
    /// A withdrawal, a closing or another change made it impossible.
    Dissolved,
    /// One side declined: the pair never meets again.
    Declined(MatchSide),
    /// The time to confirm it was over, and this side had not (`None`: neither had). It
    /// counts as a decline: the pair never meets again.
    Lapsed(Option<MatchSide>),
}

impl Ended {
    /// Whether the pair never meets again.
    pub fn is_for_good(self) -> bool {
        match self {
            Self::Declined(_) => true,
            Self::Lapsed(_) => !active("lapsed-pairs-meet-again"),
            Self::Rematched | Self::Displaced | Self::Dissolved => false,
        }
    }
}

/// What changes of who holds what, by a clearing or as time passes: one effect, however
/// many matches, so that a commit is decided, applied and shown in passes over the columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rematch {
    /// When.
    pub at: Millis,
    /// Held matches that end, ascending by worker.
    pub ended: Vec<(WorkerSlot, VacancySlot, Ended)>,
    /// Matches that are made then, tentatively: ascending by worker, who holds nothing.
    pub made: Vec<(WorkerSlot, VacancySlot)>,
}

impl Rematch {
    /// Whether everything stays as it was.
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.made.is_empty()
    }
}

/// Matches that the market places by itself, because they have been held for so long: one
/// effect, as a clearing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Held matches that are final now, ascending by worker.
    pub placed: Vec<(WorkerSlot, VacancySlot)>,
    /// Vacancies of which these were the last openings, ascending.
    pub filled: Vec<VacancySlot>,
}

/// One thing that happens. Slots and indices beyond the present ones are new rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Effect {
    /// The market is made.
    Created {
        /// From what.
        creation: Arc<Creation>,
        /// When.
        at: Millis,
    },
    /// Its name for people or its settings change.
    SettingsChanged {
        /// The name for people.
        display_name: Arc<str>,
        /// The settings.
        settings: Arc<Settings>,
    },
    /// A region comes in or changes.
    RegionPut {
        /// Its index.
        ix: RegionIx,
        /// The region.
        region: Arc<Region>,
        /// Whether its cap was set, so that its intake counts from 0.
        cap_set: bool,
    },
    /// A city comes in or changes.
    CityPut {
        /// Its index.
        ix: CityIx,
        /// The city.
        city: Arc<City>,
        /// Kilometres to every city by index, computed once, here.
        km: Arc<[u16]>,
        /// Whether its cap was set, so that its intake counts from 0.
        cap_set: bool,
    },
    /// The cost of moving between two cities is set, or is the formula's again.
    MoveCostPut {
        /// Where moves start.
        origin: CityIx,
        /// Where they end.
        destination: CityIx,
        /// The override.
        cost: Option<MoveCost>,
    },
    /// A skill is seen for the first time; it gets the next index.
    SkillAdded(SkillName),
    /// A worker comes in, changes or comes back.
    WorkerPut {
        /// The row.
        slot: WorkerSlot,
        /// The worker.
        worker: Arc<Worker>,
    },
    /// A worker without a match leaves the pool: `Withdrawn` or `Expired`.
    WorkerLeft {
        /// The row.
        slot: WorkerSlot,
        /// The status from now on.
        status: WorkerStatus,
    },
    /// A vacancy comes in, changes or comes back.
    VacancyPut {
        /// The row.
        slot: VacancySlot,
        /// The vacancy.
        vacancy: Arc<Vacancy>,
        /// `Open`, or `Filled` if all its openings are placed.
        status: VacancyStatus,
    },
    /// A vacancy that holds nobody leaves the pool: `Filled`, `Closed` or `Expired`.
    VacancyLeft {
        /// The row.
        slot: VacancySlot,
        /// The status from now on.
        status: VacancyStatus,
    },
    /// A clearing's matches take the place of those that were held, or some of these lapse.
    Rematched(Arc<Rematch>),
    /// The market, which is cleared continuously, is as it is promised again: nothing waits.
    Settled(Promise),
    /// A held match ends.
    Unmatched {
        /// The worker.
        worker: WorkerSlot,
        /// The vacancy.
        vacancy: VacancySlot,
        /// Why.
        ended: Ended,
    },
    /// One side confirms a held match.
    Confirmed {
        /// The worker.
        worker: WorkerSlot,
        /// Who confirms.
        side: MatchSide,
    },
    /// A held match is final.
    Placed {
        /// The worker.
        worker: WorkerSlot,
        /// The vacancy.
        vacancy: VacancySlot,
    },
    /// Held matches are final, because they have been held for so long.
    Frozen(Arc<Freeze>),
    /// A round starts, on the state after this effect.
    RoundStarted {
        /// The round.
        id: RoundId,
        /// Who proposes.
        side: Side,
        /// Whose offers a full set keeps.
        cap_order: CapOrder,
        /// When.
        at: Millis,
    },
    /// A round is committed.
    RoundCleared {
        /// The round.
        id: RoundId,
        /// What it found.
        summary: Summary,
        /// When.
        at: Millis,
    },
    /// A round is cancelled.
    RoundCancelled {
        /// The round.
        id: RoundId,
        /// When.
        at: Millis,
    },
    /// The outcome of a named command is remembered. Alone it takes no revision.
    Remembered {
        /// The command's name.
        key: RequestKey,
        /// Its outcome.
        outcome: Arc<Outcome>,
    },
}

impl Effect {
    /// Whether the effect is a new version of the market.
    pub fn takes_revision(&self) -> bool {
        !matches!(self, Self::Remembered { .. })
    }
}

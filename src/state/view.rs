//! What a market is, as anybody may see it: a small head and four columns.
//!
//! A [`View`] is cheap to clone. The state machine owns one and changes it; a clone
//! is a consistent snapshot, for clearings, pages and verification.

use super::column::Column;
use crate::domain::{
    CapOrder, CityIx, Geography, Incarnation, MarketName, Millis, RegionIx, Revision, RoundId,
    Settings, Side, SkillName, Vacancy, VacancySlot, Worker, WorkerSlot,
};
use crate::matching::{CapSet, Post, Problem, Seeker};
use crate::preferences::{Lottery, Terms};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Where a worker is in life (see `docs/LIVES.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WorkerStatus {
    /// In the pool without a match.
    Searching,
    /// In the pool with a tentative match.
    Matched,
    /// Placed; out of the pool.
    Placed,
    /// Withdrawn; out of the pool.
    Withdrawn,
    /// Past the deadline; out of the pool.
    Expired,
}

impl WorkerStatus {
    /// Whether the worker takes part in clearings.
    pub fn in_pool(self) -> bool {
        matches!(self, Self::Searching | Self::Matched)
    }
}

/// Where a vacancy is in life (see `docs/LIVES.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VacancyStatus {
    /// In the pool.
    Open,
    /// All openings placed; out of the pool.
    Filled,
    /// Closed; out of the pool.
    Closed,
    /// Past the deadline; out of the pool.
    Expired,
}

/// A side of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MatchSide {
    /// The worker.
    Worker,
    /// The employer.
    Employer,
}

/// The vacancy that a worker holds or is placed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The vacancy's row.
    pub vacancy: VacancySlot,
    /// Whether the worker has confirmed.
    pub worker_confirmed: bool,
    /// Whether the employer has confirmed.
    pub employer_confirmed: bool,
    /// The revision at which the match was made.
    pub since: Revision,
    /// When the match was made.
    pub made: Millis,
}

impl Held {
    /// The same match with its confirmations void: they were given for what was.
    #[must_use]
    pub fn unconfirmed(self) -> Self {
        Self { worker_confirmed: false, employer_confirmed: false, ..self }
    }

    /// When the match has been held for so many seconds.
    pub fn until(&self, seconds: u32) -> Millis {
        Millis(self.made.0 + 1_000 * i64::from(seconds))
    }
}

/// A worker's row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerRow {
    /// The worker as last upserted.
    pub worker: Arc<Worker>,
    /// Where the worker is in life.
    pub status: WorkerStatus,
    /// The match, while MATCHED or PLACED.
    pub held: Option<Held>,
    /// Vacancies that the worker never meets again, ascending.
    pub declined: Option<Arc<Vec<VacancySlot>>>,
    /// When the record itself last changed (not its match).
    pub changed: Revision,
    /// When anything of the row last changed.
    pub revision: Revision,
}

/// A vacancy's row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VacancyRow {
    /// The vacancy as last upserted.
    pub vacancy: Arc<Vacancy>,
    /// Where the vacancy is in life.
    pub status: VacancyStatus,
    /// Workers held, in no particular order.
    pub held: Vec<WorkerSlot>,
    /// Openings placed.
    pub placed: u32,
    /// When the record itself last changed (not its matches).
    pub changed: Revision,
    /// When anything of the row last changed.
    pub revision: Revision,
}

impl WorkerRow {
    /// The worker as a clearing sees her.
    pub fn seeker(&self, slot: WorkerSlot) -> Seeker {
        Seeker { worker: self.worker.clone(), slot, declined: self.declined.clone() }
    }
}

impl VacancyRow {
    /// The vacancy as a clearing sees it.
    pub fn post(&self, slot: VacancySlot) -> Post {
        Post {
            vacancy: self.vacancy.clone(),
            slot,
            openings: self.free(),
            target: self.vacancy.target.saturating_sub(self.placed),
        }
    }

    /// Openings that are not placed.
    pub fn free(&self) -> u32 {
        self.vacancy.openings.saturating_sub(self.placed)
    }
}

/// Counts of one city's pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CityCounts {
    /// Workers at home here, in the pool without a match.
    pub searching: u64,
    /// Workers at home here with a tentative match anywhere.
    pub matched: u64,
    /// Workers at home here who are placed anywhere.
    pub placed: u64,
    /// Open vacancies here.
    pub vacancies: u64,
    /// Their openings that are not placed.
    pub openings: u64,
    /// Workers held here from anywhere.
    pub held: u64,
    /// Placements here since the city's cap was last set.
    pub intake: u64,
}

/// Where a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RoundState {
    /// It works on its snapshot.
    Running,
    /// It is committed.
    Cleared,
    /// It was cancelled.
    Cancelled,
}

/// What a round found, at its snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Workers who sought.
    pub workers: u64,
    /// Vacancies that were open.
    pub vacancies: u64,
    /// Their openings that were not placed.
    pub openings: u64,
    /// Workers matched.
    pub matched: u64,
    /// Of them, in another city than home.
    pub moved: u64,
    /// Proposals made.
    pub proposals: u64,
    /// Queries asked of the index.
    pub queries: u64,
    /// Pairs that the engine evaluated.
    pub evaluations: u64,
    /// Blocking pairs that the certificate found.
    pub blocking_pairs: u64,
    /// Pairs that the certificate examined.
    pub pairs_examined: u64,
    /// Hash of held and placed matches.
    pub matching_hash: u64,
    /// Capped cities and regions that were full.
    pub binding_caps: u64,
    /// Matches dissolved at the commit.
    pub dissolved: u64,
    /// Workers who lost a match to somebody else at the commit, and hold nothing as good.
    pub displaced: u64,
    /// Workers who hold something better since the commit than they held before.
    pub improved: u64,
    /// Matches that the commit placed, because they were held for so many rounds.
    pub placed: u64,
    /// Milliseconds from snapshot to matching.
    pub clear_ms: u64,
    /// Milliseconds that the certificate took.
    pub verify_ms: u64,
}

/// One clearing of the market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Its id.
    pub id: RoundId,
    /// Where it is.
    pub state: RoundState,
    /// The revision whose state it works on.
    pub snapshot: Revision,
    /// The revision at which it ended.
    pub end: Option<Revision>,
    /// Who proposes.
    pub side: Side,
    /// Whose offers a full set keeps.
    pub cap_order: CapOrder,
    /// When it started.
    pub started: Millis,
    /// When it ended.
    pub ended: Option<Millis>,
    /// What it found, once cleared.
    pub summary: Option<Summary>,
}

/// What may be claimed of the current matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The worker-optimal stable matching.
    WorkerOptimal,
    /// A stable matching.
    Stable,
    /// So many changes wait for the next clearing.
    Pending(u64),
}

/// Totals of a market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Workers in the pool.
    pub workers: u64,
    /// Of them, with a tentative match.
    pub matched: u64,
    /// Workers placed.
    pub placed: u64,
    /// Open vacancies.
    pub vacancies: u64,
    /// Their openings that are not placed.
    pub openings: u64,
}

/// The small part of a market: everything but its pools.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The market's name.
    pub name: MarketName,
    /// Its name for people.
    pub display_name: Arc<str>,
    /// This creation of it.
    pub incarnation: Incarnation,
    /// Its version.
    pub revision: Revision,
    /// How it works.
    pub settings: Arc<Settings>,
    /// Its places; written down apart from the rest, which is small.
    #[serde(skip)]
    pub geography: Arc<Geography>,
    /// Its skills, by index.
    pub skills: Arc<Vec<SkillName>>,
    /// Breaks every tie.
    pub lottery: Lottery,
    /// Hides the lottery's seed in its commitment until the first round.
    pub lottery_nonce: [u8; 16],
    /// When it was made.
    pub created: Millis,
    /// Its rounds, oldest first.
    pub rounds: Arc<VecDeque<Round>>,
    /// The revisions of the last commits of rounds, oldest first: as many as a match may
    /// have to be held through. (Of [`Self::rounds`] many may have been cancelled.)
    pub commits: Arc<VecDeque<Revision>>,
    /// Totals of its pools.
    pub totals: Totals,
    /// Changes so far that a clearing has to answer.
    pub changes: u64,
    /// Of them, those that the last clearing answered.
    pub changes_cleared: u64,
    /// [`Self::changes`] when the running round took its snapshot.
    pub changes_at_snapshot: u64,
    /// Whether anybody was placed since the running round took its snapshot.
    pub placed_since_snapshot: bool,
    /// Whether the last clearing's result is worker-optimal still.
    pub worker_optimal: bool,
    /// When settings, places or costs last changed.
    pub terms_changed: Revision,
    /// By region: placements inside since its cap was last set.
    pub region_intake: Arc<Vec<u64>>,
}

impl Head {
    /// The terms on which pairs are evaluated.
    pub fn terms(&self) -> Terms<'_> {
        Terms { settings: &self.settings, geography: &self.geography }
    }

    /// What may be claimed of the current matching.
    pub fn standing(&self) -> Standing {
        match self.changes - self.changes_cleared {
            0 if self.worker_optimal => Standing::WorkerOptimal,
            0 => Standing::Stable,
            pending => Standing::Pending(pending),
        }
    }

    /// The round that is running, if any.
    pub fn running_round(&self) -> Option<&Round> {
        self.rounds.back().filter(|round| round.state == RoundState::Running)
    }

    /// The last round that cleared, if any.
    pub fn last_cleared(&self) -> Option<&Round> {
        self.rounds.iter().rev().find(|round| round.state == RoundState::Cleared)
    }

    /// The round of that id.
    pub fn round(&self, id: RoundId) -> Option<&Round> {
        self.rounds.iter().rev().find(|round| round.id == id)
    }

    /// Whether the lottery's seed is public: from the first round on.
    pub fn lottery_revealed(&self) -> bool {
        !self.rounds.is_empty()
    }
}

/// A market at one revision. Cheap to clone: the clone is a consistent snapshot.
#[derive(Clone, Debug)]
pub struct View {
    /// Everything but the pools.
    pub head: Head,
    /// Workers by slot.
    pub workers: Column<WorkerRow>,
    /// Vacancies by slot.
    pub vacancies: Column<VacancyRow>,
    /// Counts by city.
    pub counts: Column<CityCounts>,
}

impl View {
    /// The worker's row.
    pub fn worker(&self, slot: WorkerSlot) -> &WorkerRow {
        self.workers.get(slot.at())
    }

    /// The vacancy's row.
    pub fn vacancy(&self, slot: VacancySlot) -> &VacancyRow {
        self.vacancies.get(slot.at())
    }

    /// What a clearing of this view works on: who seeks, what is open, and what the
    /// placements have left of every capacity.
    pub fn problem(&self) -> Problem {
        let workers = self.workers.iter().enumerate().filter(|(_, row)| row.status.in_pool());
        let vacancies = self.vacancies.iter().enumerate();
        let vacancies = vacancies.filter(|(_, row)| row.status == VacancyStatus::Open);
        self.problem_of(
            workers.map(|(at, row)| row.seeker(WorkerSlot::from_offset(at))).collect(),
            vacancies.map(|(at, row)| row.post(VacancySlot::from_offset(at))).collect(),
        )
    }

    /// The same with these workers and vacancies alone.
    pub(super) fn problem_among(
        &self,
        workers: &[WorkerSlot],
        vacancies: &[VacancySlot],
    ) -> Problem {
        self.problem_of(
            workers.iter().map(|slot| self.worker(*slot).seeker(*slot)).collect(),
            vacancies.iter().map(|slot| self.vacancy(*slot).post(*slot)).collect(),
        )
    }

    fn problem_of(&self, workers: Vec<Seeker>, vacancies: Vec<Post>) -> Problem {
        let (sets, set_of_city) = self.cap_sets();
        Problem {
            settings: self.head.settings.clone(),
            geography: self.head.geography.clone(),
            lottery: self.head.lottery,
            workers,
            vacancies,
            sets,
            set_of_city,
        }
    }

    /// The capped places in the order of a [`Problem`]'s sets: cities first, then
    /// regions from the inside out, so that a set stands after the sets inside it.
    pub fn capped_places(&self) -> Vec<CappedPlace> {
        let geography = &*self.head.geography;
        let cities =
            geography.cities.iter().enumerate().filter(|(_, city)| city.intake_cap.is_some());
        let mut places: Vec<_> =
            cities.map(|(at, _)| CappedPlace::City(CityIx::from_offset(at))).collect();
        let regions = geography.regions.iter().enumerate();
        let mut regions: Vec<_> = regions
            .filter(|(_, region)| region.intake_cap.is_some())
            .map(|(at, _)| RegionIx::from_offset(at))
            .collect();
        regions.sort_by_key(|ix| std::cmp::Reverse(geography.ancestry(Some(*ix)).count()));
        places.extend(regions.into_iter().map(CappedPlace::Region));
        places
    }

    /// The capacities that the placements have left, and by city the innermost of them.
    pub fn cap_sets(&self) -> (Vec<CapSet>, Vec<Option<u32>>) {
        let geography = &*self.head.geography;
        let places = self.capped_places();
        let mut set_of_region = vec![None; geography.regions.len()];
        let mut set_of_city = vec![None; geography.cities.len()];
        for (set, place) in (0_u32..).zip(&places) {
            match place {
                CappedPlace::City(ix) => set_of_city[ix.at()] = Some(set),
                CappedPlace::Region(ix) => set_of_region[ix.at()] = Some(set),
            }
        }
        let innermost = |from| geography.ancestry(from).find_map(|ix| set_of_region[ix.at()]);
        let sets = places.iter().map(|place| match *place {
            CappedPlace::City(ix) => {
                let city = geography.city(ix);
                let cap = city.intake_cap.unwrap_or(u64::MAX);
                let capacity = cap.saturating_sub(self.counts.get(ix.at()).intake);
                CapSet { parent: innermost(city.region), capacity }
            }
            CappedPlace::Region(ix) => {
                let region = geography.region(ix);
                let cap = region.intake_cap.unwrap_or(u64::MAX);
                let capacity = cap.saturating_sub(self.head.region_intake[ix.at()]);
                CapSet { parent: innermost(region.parent), capacity }
            }
        });
        let sets = sets.collect();
        for (at, city) in geography.cities.iter().enumerate() {
            set_of_city[at] = set_of_city[at].or_else(|| innermost(city.region));
        }
        (sets, set_of_city)
    }
}

/// A city or region with an intake cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CappedPlace {
    /// A city.
    City(CityIx),
    /// A region.
    Region(RegionIx),
}

//! What can be asked of a market, and what it answers.
//!
//! A command carries everything that is not in the state: the time, fresh ids, the
//! lottery's seed. So the same commands on the same state always give the same effects.

use super::view::{MatchSide, Standing, Summary};
use crate::domain::{
    CitySpec, Incarnation, MarketName, Millis, MoveCostSpec, RegionSpec, RequestId, Revision,
    RoundId, SettingChange, Settings, VacancyId, VacancySlot, VacancySpec, Violation, WorkerId,
    WorkerSlot, WorkerSpec,
};
use crate::preferences::Lottery;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// A command with its time and, where the client gave one, its name.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// When the command came in.
    pub at: Millis,
    /// The client's name for it.
    pub request: Option<RequestKey>,
    /// The command.
    pub command: Command,
}

/// A client's name for a command, with a fingerprint of what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey {
    /// The client's name.
    pub id: RequestId,
    /// Hash of the request, so that a name used for something else is noticed.
    pub fingerprint: u128,
}

/// One item of a batch, with its place in the request.
pub type Item<T> = (u32, T);

/// A batch of items.
#[derive(Clone, Debug)]
pub struct Batch<T> {
    /// The items that are well-formed.
    pub items: Vec<Item<T>>,
    /// Whether one bad item refuses all.
    pub atomic: bool,
}

/// What a market is made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Creation {
    /// Its name.
    pub name: MarketName,
    /// Its name for people.
    pub display_name: Arc<str>,
    /// This creation of it.
    pub incarnation: Incarnation,
    /// How it works.
    pub settings: Settings,
    /// Breaks every tie.
    pub lottery: Lottery,
    /// Hides the seed in its commitment.
    pub lottery_nonce: [u8; 16],
}

/// What a finished clearing found.
#[derive(Clone, Debug)]
pub struct Clearance {
    /// The round.
    pub round: RoundId,
    /// Who got what, ascending by worker.
    pub pairs: Vec<(WorkerSlot, VacancySlot)>,
    /// Counts; `dissolved` is filled in by the commit.
    pub summary: Summary,
}

/// What can be asked of a market.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes the market: the first command, and only that.
    Create(Creation),
    /// Changes display name and settings, if the market is at the expected revision.
    Update {
        /// The new name for people, if it changes.
        display_name: Option<Arc<str>>,
        /// The settings that change.
        changes: Vec<SettingChange>,
        /// The revision the market must be at, if the caller cares.
        expected: Option<Revision>,
    },
    /// Adds or replaces regions, parents first.
    UpsertRegions(Batch<RegionSpec>),
    /// Adds or replaces cities.
    UpsertCities(Batch<CitySpec>),
    /// Sets or removes overrides of the cost of moving.
    SetMoveCosts(Batch<MoveCostSpec>),
    /// Adds or replaces workers.
    UpsertWorkers {
        /// The workers.
        batch: Batch<WorkerSpec>,
        /// Let placed workers look again.
        reopen: bool,
        /// Ids made by the server, one per item of the request, to be remembered.
        made: Option<Arc<[Uuid]>>,
    },
    /// Adds or replaces vacancies.
    UpsertVacancies {
        /// The vacancies.
        batch: Batch<VacancySpec>,
        /// Ids made by the server, one per item of the request, to be remembered.
        made: Option<Arc<[Uuid]>>,
    },
    /// Takes workers out of the pool.
    WithdrawWorkers(Batch<WorkerId>),
    /// Closes vacancies.
    CloseVacancies(Batch<VacancyId>),
    /// Confirms held matches for one side.
    Confirm {
        /// Who confirms.
        side: MatchSide,
        /// The matches.
        batch: Batch<(WorkerId, VacancyId)>,
    },
    /// Declines held matches for one side.
    Decline {
        /// Who declines.
        side: MatchSide,
        /// The matches.
        batch: Batch<(WorkerId, VacancyId)>,
    },
    /// Starts a round, which gets this id.
    StartRound(RoundId),
    /// Stops a running round.
    CancelRound(RoundId),
    /// Commits what a round found.
    Commit(Clearance),
    /// Time passes: deadlines, and a round of an INTERVAL market, which gets this id.
    Tick(RoundId),
}

/// What a market answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The revision at which the answer holds.
    pub revision: Revision,
    /// Items that were refused while the rest went in.
    pub errors: Vec<ItemError>,
    /// Ids made by the server, one per item of the request.
    pub made: Option<Arc<[Uuid]>>,
    /// Matches placed.
    pub placed: u32,
    /// The round started, cancelled or committed.
    pub round: Option<RoundId>,
    /// What may be claimed of the matching then.
    pub standing: Standing,
    /// Workers who lost a match to somebody else and got nothing as good, in a market that
    /// is cleared continuously.
    pub displaced: u32,
    /// Workers who got something better than they held, there.
    pub improved: u32,
}

impl Outcome {
    /// Bytes that remembering this takes, roughly.
    pub fn bytes(&self) -> usize {
        let errors: usize = self
            .errors
            .iter()
            .map(|e| 96 + e.violation.field.len() + e.violation.message.len())
            .sum();
        128 + errors + self.made.as_ref().map_or(0, |ids| 16 * ids.len())
    }
}

/// Why one item of a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemError {
    /// The item's place in the request.
    pub index: u32,
    /// The item's id.
    pub id: String,
    /// What is wrong; the field is inside the item.
    pub violation: Violation,
}

/// Why a whole command was refused: at least one violation, the first of which decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub Vec<Violation>);

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self(vec![violation])
    }
}

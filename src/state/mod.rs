//! A market as a state machine: commands in, effects out, both pure.
//!
//! [`State::decide`] reads the state and a command and returns the [`Effect`]s;
//! [`State::evolve`] applies them. Neither has a clock, randomness or I/O, so the
//! same commands always lead to the same state, and a recovery only evolves.

mod by_vacancy;
mod column;
mod command;
mod decide;
mod dump;
mod effect;
mod evolve;
mod explain;
mod outcomes;
mod shared;
mod slots;
mod view;
mod waiting;

pub use column::{CHUNK_ROWS, Column};
pub use command::{
    Batch, Clearance, Command, Creation, Envelope, Item, ItemError, Outcome, Refusal, RequestKey,
};
pub use decide::Decision;
pub use dump::{Dump, Part, Restoring, Unfit};
pub use effect::{Effect, Ended, Freeze, Rematch};
pub use explain::{Bar, Bars, Explained, Explainer, Full, PairExplained, Verdict};
pub use outcomes::{Outcomes, Remembrance};
pub use view::{
    CappedPlace, CityCounts, Head, Held, MatchSide, Round, RoundState, Standing, Summary, Totals,
    VacancyRow, VacancyStatus, View, WorkerRow, WorkerStatus,
};

use crate::domain::limits::{VACANCIES_MAX, WORKERS_MAX};
use crate::domain::{
    Incarnation, Labels, MarketName, Millis, Revision, SkillIx, SkillName, VacancyId, VacancySlot,
    WorkerId, WorkerSlot,
};
use crate::preferences::Lottery;
use shared::Shared;
use slots::Slots;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;
use waiting::Waiting;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Worker(WorkerSlot),
    Vacancy(VacancySlot),
}

/// How large a market may grow.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Workers, whatever their status.
    pub workers: usize,
    /// Vacancies, whatever their status.
    pub vacancies: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { workers: WORKERS_MAX, vacancies: VACANCIES_MAX }
    }
}

/// Skills by name: every skill of every worker that comes in is looked up here.
type SkillsByName = HashMap<SkillName, SkillIx, foldhash::fast::RandomState>;

/// The private state of one market: a [`View`] and what is needed to decide quickly.
#[derive(Debug)]
pub struct State {
    view: View,
    capacity: Capacity,
    worker_slots: Slots<WorkerSlot>,
    vacancy_slots: Slots<VacancySlot>,
    labels: Shared<Labels>,
    titles: Shared<str>,
    skills: SkillsByName,
    deadlines: BTreeSet<(Millis, Subject)>,
    waiting: Waiting,
    outcomes: Outcomes,
}

impl State {
    /// A market before its first command, which must be [`Command::Create`].
    pub fn new(name: MarketName, capacity: Capacity) -> Self {
        let head = Head {
            name,
            display_name: "".into(),
            incarnation: Incarnation(Uuid::nil()),
            revision: Revision(0),
            settings: Arc::default(),
            geography: Arc::default(),
            skills: Arc::default(),
            lottery: Lottery { seed: 0 },
            lottery_nonce: [0; 16],
            created: Millis(0),
            rounds: Arc::default(),
            commits: Arc::default(),
            totals: Totals::default(),
            changes: 0,
            changes_cleared: 0,
            changes_at_snapshot: 0,
            placed_since_snapshot: false,
            worker_optimal: true,
            terms_changed: Revision(0),
            region_intake: Arc::default(),
        };
        let view = View {
            head,
            workers: Column::default(),
            vacancies: Column::default(),
            counts: Column::default(),
        };
        Self {
            view,
            capacity,
            worker_slots: Slots::default(),
            vacancy_slots: Slots::default(),
            labels: Shared::default(),
            titles: Shared::default(),
            skills: SkillsByName::default(),
            deadlines: BTreeSet::new(),
            waiting: Waiting::default(),
            outcomes: Outcomes::default(),
        }
    }

    /// How large the market may grow.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// The market as anybody may see it. Clone it for a snapshot.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// When time next does something: the next deadline of anybody in the pools, or when
    /// the match of longest standing has been held for long enough.
    pub fn next_deadline(&self) -> Option<Millis> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let held = self.view.head.settings.held_seconds_min().and_then(|seconds| {
            let (_, held) = self.waiting.iter(&self.view).next()?;
            Some(held.until(seconds))
        });
        deadline.into_iter().chain(held).min()
    }

    /// The worker's row, if the id is known.
    pub fn worker_slot(&self, id: WorkerId) -> Option<WorkerSlot> {
        self.worker_slots.get(id, |slot| self.view.worker(slot).worker.id)
    }

    /// The vacancy's row, if the id is known.
    pub fn vacancy_slot(&self, id: VacancyId) -> Option<VacancySlot> {
        self.vacancy_slots.get(id, |slot| self.view.vacancy(slot).vacancy.id)
    }
}

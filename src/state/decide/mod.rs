//! Decides what a command does: reads the state, returns effects, changes nothing.

mod geography;
mod held;
mod matches;
mod pools;
mod rounds;
mod settle;

use super::command::{Batch, Command, Envelope, ItemError, Outcome, Refusal, RequestKey};
use super::effect::Effect;
use super::{State, View};
use crate::domain::{Reason, Revision, RoundId, SettingChange, Violation};
use foldhash::fast::RandomState;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// What a command does.
#[derive(Debug)]
pub struct Decision {
    /// The revision at which the effects happen: the next, if any of them takes one.
    pub revision: Revision,
    /// What happens, in order.
    pub effects: Vec<Effect>,
    /// The answer, if nothing else happens.
    pub outcome: Arc<Outcome>,
    /// The command's name, under which the answer is to be remembered.
    pub remember: Option<RequestKey>,
}

impl Decision {
    /// The last effect of a command that has a name: its answer is remembered.
    pub fn remembrance(&self) -> Option<Effect> {
        let outcome = self.outcome.clone();
        self.remember.map(|key| Effect::Remembered { key, outcome })
    }
}

/// A decision in the making.
#[derive(Default)]
struct Draft {
    effects: Vec<Effect>,
    errors: Vec<ItemError>,
    placed: u32,
    round: Option<RoundId>,
}

impl State {
    /// Decides what the command does. Pure: the same state and envelope always give
    /// the same decision.
    pub fn decide(&self, envelope: &Envelope) -> Result<Decision, Refusal> {
        if let Some(key) = envelope.request
            && let Some(outcome) = self.outcomes.recall(key)?
        {
            return Ok(Decision {
                revision: self.view.head.revision,
                effects: Vec::new(),
                outcome: outcome.clone(),
                remember: None,
            });
        }
        let mut draft = Draft::default();
        self.draft(envelope, &mut draft)?;
        Ok(self.conclude(envelope, draft))
    }

    fn draft(&self, envelope: &Envelope, draft: &mut Draft) -> Result<(), Refusal> {
        match &envelope.command {
            Command::Create(creation) => {
                creation.settings.check().map_err(|v| v.within("market.settings"))?;
                let creation = Arc::new(creation.clone());
                draft.effects.push(Effect::Created { creation, at: envelope.at });
                Ok(())
            }
            Command::Update { display_name, changes, expected } => {
                self.update(display_name.as_ref(), changes, *expected, draft)
            }
            Command::UpsertRegions(batch) => self.upsert_regions(batch, draft),
            Command::UpsertCities(batch) => self.upsert_cities(batch, draft),
            Command::SetMoveCosts(batch) => self.set_move_costs(batch, draft),
            Command::UpsertWorkers { batch, reopen, .. } => {
                self.upsert_workers(batch, *reopen, draft)
            }
            Command::UpsertVacancies { batch, .. } => self.upsert_vacancies(batch, draft),
            Command::WithdrawWorkers(batch) => self.withdraw_workers(batch, draft),
            Command::CloseVacancies(batch) => self.close_vacancies(batch, draft),
            Command::Confirm { side, batch } => self.confirm(*side, batch, draft),
            Command::Decline { side, batch } => self.decline(*side, batch, draft),
            Command::StartRound(id) => self.start_round(*id, envelope.at, draft),
            Command::CancelRound(id) => self.cancel_round(*id, envelope.at, draft),
            Command::Commit(clearance) => self.commit(clearance, envelope.at, draft),
            Command::Tick(id) => self.tick(*id, envelope.at, draft),
        }
    }

    fn conclude(&self, envelope: &Envelope, draft: Draft) -> Decision {
        let now = self.view.head.revision;
        let Draft { effects, errors, placed, round } = draft;
        let revision = if effects.is_empty() { now } else { now.next() };
        let made = match &envelope.command {
            Command::UpsertWorkers { made, .. } | Command::UpsertVacancies { made, .. } => {
                made.clone()
            }
            _ => None,
        };
        let outcome = Outcome {
            revision,
            errors,
            made,
            placed,
            round,
            standing: self.view.head.standing(),
            displaced: 0,
            improved: 0,
        };
        Decision { revision, effects, outcome: Arc::new(outcome), remember: envelope.request }
    }

    fn update(
        &self,
        display_name: Option<&Arc<str>>,
        changes: &[SettingChange],
        expected: Option<Revision>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let head = &self.view.head;
        if expected.is_some_and(|revision| revision != head.revision) {
            let message = format!("the market is at revision {}", head.revision);
            return Err(Refusal::from(
                Violation::new(Reason::RevisionMismatch, "expected_revision", message)
                    .with("revision", head.revision),
            ));
        }
        let display_name = display_name.unwrap_or(&head.display_name).clone();
        let mut settings = (*head.settings).clone();
        changes.iter().for_each(|change| settings.apply(change));
        settings.check().map_err(|v| v.within("market.settings"))?;
        if head.geography.has_caps() {
            settings.check_promise_in_caps("market.settings.clearing.promise")?;
        }
        if display_name != head.display_name || settings != *head.settings {
            let settings = Arc::new(settings);
            draft.effects.push(Effect::SettingsChanged { display_name, settings });
        }
        Ok(())
    }
}

/// Decides a batch item by item. An item that fails is reported with its index and
/// leaves no effects; in an atomic batch it refuses the whole.
///
/// The two names are those of the batch in the request and, inside an item, of the field
/// that may stand once: empty if that is the item itself.
fn each<T, K: Eq + Hash>(
    draft: &mut Draft,
    (name, unique_field): (&str, &str),
    batch: &Batch<T>,
    key: impl Fn(&T) -> K,
    id: impl Fn(&T) -> String,
    mut decide: impl FnMut(&T, &mut Vec<Effect>) -> Result<u32, Violation>,
) -> Result<(), Refusal> {
    let mut seen = HashSet::with_capacity_and_hasher(batch.items.len(), RandomState::default());
    for (index, item) in &batch.items {
        let before = draft.effects.len();
        let result = if seen.insert(key(item)) {
            decide(item, &mut draft.effects)
        } else {
            let message = format!("{} stands twice in this batch", id(item));
            Err(Violation::new(Reason::Duplicate, unique_field, message))
        };
        match result {
            Ok(placed) => draft.placed += placed,
            Err(violation) => {
                draft.effects.truncate(before);
                draft.errors.push(ItemError { index: *index, id: id(item), violation });
            }
        }
    }
    if batch.atomic && !draft.errors.is_empty() {
        let errors = std::mem::take(&mut draft.errors);
        let within = |e: ItemError| e.violation.within(&format!("{name}[{}]", e.index));
        return Err(Refusal(errors.into_iter().map(within).collect()));
    }
    Ok(())
}

/// The violation of a market that has no room for more.
fn full(field: &str, limit: usize) -> Violation {
    Violation::new(Reason::LimitReached, field, format!("the market has {limit}, its limit"))
}

impl View {
    /// The effect that ends a worker's held match, if there is one.
    fn dissolve(&self, slot: crate::domain::WorkerSlot) -> Option<Effect> {
        let row = self.worker(slot);
        let held = row.held.filter(|_| row.status == super::WorkerStatus::Matched)?;
        Some(Effect::Unmatched {
            worker: slot,
            vacancy: held.vacancy,
            ended: super::Ended::Dissolved,
        })
    }

    /// The effects that end all matches that a vacancy holds, ascending by worker.
    fn dissolve_all(
        &self,
        slot: crate::domain::VacancySlot,
    ) -> impl Iterator<Item = Effect> + use<'_> {
        let mut held = self.vacancy(slot).held.clone();
        held.sort_unstable();
        held.into_iter().filter_map(|worker| self.dissolve(worker))
    }
}

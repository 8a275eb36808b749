//! The twin of a market: it does nothing but decide, serially, each command that the journal
//! has, in the state that the journal has led to. Where it would have done anything else
//! than the journal says, a promise is broken.

use crate::promises::{Checked, DURABLE, ONCE, WHOLE, broken};
use gale::domain::{Clearing, MarketName, Millis, RequestId, Revision};
use gale::events;
use gale::journal::Entry;
use gale::state::{Capacity, Command, Effect, Envelope, Outcome, RequestKey, State};
use std::collections::HashMap;
use std::sync::Arc;

pub struct Twin {
    pub state: State,
    pub deleted: bool,
    /// What was answered to whom.
    pub answers: HashMap<RequestId, Arc<Outcome>>,
    /// The events of each revision, from 1.
    pub events: Vec<Vec<String>>,
    /// The market's clock.
    pub at: Millis,
}

impl Twin {
    pub fn new(name: MarketName) -> Self {
        let state = State::new(name, Capacity::default());
        let (answers, events) = (HashMap::new(), Vec::new());
        Self { state, deleted: false, answers, events, at: Millis(0) }
    }

    pub fn revision(&self) -> Revision {
        self.state.view().head.revision
    }

    /// Takes in what the journal has next.
    pub fn follow(
        &mut self,
        entry: &Entry,
        command: impl Fn(RequestKey) -> Option<Command>,
    ) -> Checked {
        if self.deleted {
            return broken(DURABLE, format_args!("after its deletion comes {entry:?}"));
        }
        let remembered = entry.effects.iter().filter_map(|effect| match effect {
            Effect::Remembered { key, outcome } => Some((*key, outcome.clone())),
            _ => None,
        });
        let remembered: Vec<_> = remembered.collect();
        match &remembered[..] {
            [] => self.check_own(entry)?,
            [(key, outcome)] => {
                let Some(command) = command(*key) else {
                    return broken(WHOLE, format_args!("nobody asked for {entry:?}"));
                };
                self.check_asked(entry, Envelope { at: entry.at, request: Some(*key), command })?;
                if self.answers.insert(key.id, outcome.clone()).is_some() {
                    return broken(ONCE, format_args!("{} is there twice: {entry:?}", key.id.0));
                }
            }
            _ => return broken(WHOLE, format_args!("two commands in one entry: {entry:?}")),
        }
        self.apply(entry)
    }

    /// An entry that no client asked for.
    fn check_own(&self, entry: &Entry) -> Checked {
        let is_own = |effect: &Effect| {
            matches!(
                effect,
                Effect::Created { .. }
                    | Effect::RoundStarted { .. }
                    | Effect::RoundCleared { .. }
                    | Effect::RoundCancelled { .. }
            )
        };
        match entry.effects.iter().any(is_own) {
            true => Ok(()),
            false => broken(WHOLE, format_args!("nobody asked for {entry:?}")),
        }
    }

    /// An entry that is the work of a command.
    fn check_asked(&self, entry: &Entry, envelope: Envelope) -> Checked {
        let Ok(decision) = self.state.decide(&envelope) else {
            return broken(WHOLE, format_args!("{envelope:?} is refused, but did {entry:?}"));
        };
        let decided: Vec<_> = decision.effects.iter().map(|effect| format!("{effect:?}")).collect();
        let kept: Vec<_> = entry.effects.iter().map(|effect| format!("{effect:?}")).collect();
        let (kept, _answer) = kept.split_at(kept.len() - 1);
        // What makes a continuous market stable again comes after what was asked.
        let continuous = matches!(self.settings().clearing, Clearing::Continuous(_))
            || entry.effects.iter().any(|e| matches!(e, Effect::SettingsChanged { .. }));
        let same = if continuous { kept.starts_with(&decided) } else { kept == &decided[..] };
        if !same || decision.revision != entry.revision && !decided.is_empty() {
            let evidence = format!("{envelope:?} does {decided:?}, but {kept:?} is kept");
            return broken(WHOLE, evidence);
        }
        Ok(())
    }

    fn settings(&self) -> &gale::domain::Settings {
        &self.state.view().head.settings
    }

    fn apply(&mut self, entry: &Entry) -> Checked {
        let mut told = Vec::new();
        for effect in entry.effects.iter() {
            events::derive(self.state.view(), entry.revision, effect, &mut told);
            self.state.evolve(entry.revision, effect);
        }
        if self.revision() != entry.revision {
            let evidence = format!("{} leads to revision {}", entry.revision, self.revision());
            return broken(DURABLE, evidence);
        }
        if !told.is_empty() {
            self.events.push(told.iter().map(|event| format!("{event:?}")).collect());
        }
        if self.events.len() as u64 != self.revision().0 {
            return broken(DURABLE, format_args!("revision {} has no events", entry.revision));
        }
        self.at = self.at.max(entry.at);
        Ok(())
    }

    /// The event at a place, in words.
    pub fn event(&self, revision: Revision, index: u32) -> Option<&str> {
        let revision = usize::try_from(revision.0.checked_sub(1)?).ok()?;
        Some(self.events.get(revision)?.get(index as usize)?)
    }
}

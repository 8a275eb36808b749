//! What makes a market that is cleared continuously stable again: the difference between
//! what is held and what its engine says should be.

use super::super::effect::{Ended, Rematch};
use super::super::view::View;
use crate::domain::{Millis, VacancySlot, WorkerSlot};

impl View {
    /// The difference between what workers hold and what they are to hold from now on, both
    /// ascending.
    pub fn rematch_to(&self, held: &[(WorkerSlot, Option<VacancySlot>)], now: Millis) -> Rematch {
        let mut rematch = Rematch { at: now, ..Rematch::default() };
        for (worker, new) in held {
            let old = self.worker(*worker).held.map(|held| held.vacancy);
            if old == *new {
                continue;
            }
            if let Some(old) = old {
                rematch.ended.push((*worker, old, self.why_lost(*worker, old, *new)));
            }
            rematch.made.extend(new.map(|vacancy| (*worker, vacancy)));
        }
        rematch
    }

    /// Why a match ended: because one side would not have it any more, or by the clearing.
    fn why_lost(&self, worker: WorkerSlot, old: VacancySlot, new: Option<VacancySlot>) -> Ended {
        let (seeker, post) = (&self.worker(worker).worker, &self.vacancy(old).vacancy);
        match self.head.terms().pair(seeker, post).is_acceptable() {
            true => self.why_ended(worker, old, new),
            false => Ended::Dissolved,
        }
    }
}

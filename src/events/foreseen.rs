//! What will be told of the matches that a round found, made ready while others write.
//!
//! The ids of a match lie scattered over memory, and a commit may make a match for every
//! second worker of a market: reading them all would hold up every writer. The round
//! reads them at its snapshot instead, and what has not changed until its commit is
//! told from here.

use super::{Event, MatchChange, MigrationChange, Move, Pairing, migration, pairing};
use crate::domain::{Revision, VacancySlot, WorkerSlot};
use crate::state::View;

/// The matches that a round found, as their events will tell them.
#[derive(Debug)]
pub struct Foreseen {
    snapshot: Revision,
    /// Ascending by worker.
    matches: Vec<Match>,
}

#[derive(Debug)]
struct Match {
    worker: WorkerSlot,
    vacancy: VacancySlot,
    pairing: Pairing,
    movement: Option<Box<Move>>,
}

impl Foreseen {
    /// Makes these pairs ready, which are ascending by worker, at the snapshot that they
    /// were found on.
    pub fn of(snapshot: &View, pairs: &[(WorkerSlot, VacancySlot)]) -> Self {
        let matches = pairs.iter().map(|(worker, vacancy)| {
            let pairing = pairing(snapshot, *worker, *vacancy);
            let movement = migration(snapshot, pairing);
            Match { worker: *worker, vacancy: *vacancy, pairing, movement }
        });
        Self { snapshot: snapshot.head.revision, matches: matches.collect() }
    }

    /// Derives the events of matches that are about to be made, ascending by worker.
    pub(super) fn derive(
        self,
        before: &View,
        made: &[(WorkerSlot, VacancySlot)],
        events: &mut Vec<Event>,
    ) {
        let snapshot = self.snapshot;
        if before.head.terms_changed > snapshot {
            return made.iter().for_each(|(w, v)| matched(before, *w, *v, events));
        }
        let unchanged: Vec<bool> =
            before.vacancies.iter().map(|row| row.changed <= snapshot).collect();
        let mut foreseen = self.matches.into_iter().peekable();
        for (worker, vacancy) in made {
            while foreseen.next_if(|known| known.worker < *worker).is_some() {}
            let known =
                foreseen.next_if(|known| (known.worker, known.vacancy) == (*worker, *vacancy));
            let known = known
                .filter(|_| unchanged[vacancy.at()] && before.worker(*worker).changed <= snapshot);
            match known {
                Some(Match { pairing, movement, .. }) => told(pairing, movement, events),
                None => matched(before, *worker, *vacancy, events),
            }
        }
    }
}

/// The events of a match that is about to be made.
pub(super) fn matched(
    before: &View,
    worker: WorkerSlot,
    vacancy: VacancySlot,
    events: &mut Vec<Event>,
) {
    let pairing = pairing(before, worker, vacancy);
    told(pairing, migration(before, pairing), events);
}

fn told(pairing: Pairing, movement: Option<Box<Move>>, events: &mut Vec<Event>) {
    events.push(Event::Match(MatchChange::Matched, pairing));
    events.extend(
        movement.map(|movement| Event::Migration(MigrationChange::Planned, pairing, movement)),
    );
}

//! How long each match has been held, by what events say alone, and what must have become
//! of it by then.

use gale::domain::*;
use gale::events::{Event, MatchChange};
use gale::state::*;
use std::collections::{HashMap, HashSet};

use super::world::{Done, World};

/// A match that is held.
#[derive(Clone, Copy, Debug)]
struct Match {
    made: i64,
    /// Commits that it has been held through.
    commits: u32,
}

/// The matches that are held.
#[derive(Debug, Default)]
pub struct Ledger {
    held: HashMap<WorkerId, Match>,
    /// Workers whose match could not have been placed at the last command's end.
    waits: HashSet<WorkerId>,
    /// Matches that have lapsed, and that the market has placed.
    pub lapsed: usize,
    pub frozen: usize,
}

impl Ledger {
    /// Takes in what a command has done, and checks that time has done its part.
    pub fn note(&mut self, world: &World, done: &Done) {
        for event in &done.events {
            self.event(world, event);
        }
        let view = world.view();
        let rows = view.workers.iter().filter(|row| row.status == WorkerStatus::Matched);
        let rows: Vec<_> = rows.collect();
        assert_eq!(rows.len(), self.held.len(), "events say who holds a match");
        let cleared = matches!(done.effects.last(), Some(Effect::RoundCleared { .. }));
        let ticked = matches!(world.envelopes.last().unwrap().command, Command::Tick(_));
        for row in &rows {
            let (held, known) = (row.held.unwrap(), self.held[&row.worker.id]);
            assert_eq!(held.made, Millis(known.made), "{row:?}");
            let rounds = view.head.settings.confirm_after_rounds;
            assert!(!cleared || rounds == 0 || known.commits < rounds, "{row:?}: {known:?}");
            let waits = self.waits.contains(&row.worker.id);
            assert!(!ticked || !is_overdue(world, row, known, waits), "{row:?}: {known:?}");
        }
        let waits = rows.into_iter().filter(|row| has_to_wait(world, row));
        self.waits = waits.map(|row| row.worker.id).collect();
    }

    fn event(&mut self, world: &World, event: &Event) {
        let settings = &world.view().head.settings;
        let (change, worker) = match event {
            Event::Match(change, pairing) => (*change, pairing.worker),
            Event::Round(round) if round.state == RoundState::Cleared => {
                self.held.values_mut().for_each(|known| known.commits += 1);
                return;
            }
            _ => return,
        };
        if change == MatchChange::Matched {
            let before = self.held.insert(worker, Match { made: world.now, commits: 0 });
            assert!(before.is_none(), "who is matched held nothing");
            return;
        }
        if let MatchChange::Confirmed(_) = change {
            return;
        }
        let known = self.held.remove(&worker).expect("what ends or is placed was held");
        let over = |seconds| is_over(world, known, seconds);
        match change {
            MatchChange::Lapsed(_) => {
                assert!(over(settings.confirmation_window_seconds), "{known:?} lapsed too soon");
                self.lapsed += 1;
            }
            MatchChange::Frozen => {
                let rounds = settings.confirm_after_rounds;
                let long_enough = rounds > 0 && known.commits + 1 >= rounds
                    || over(settings.place_after_seconds)
                    || over(settings.confirmation_window_seconds);
                assert!(long_enough, "{known:?} was placed too soon");
                self.frozen += 1;
            }
            _ => {}
        }
    }
}

fn is_over(world: &World, known: Match, seconds: u32) -> bool {
    seconds > 0 && world.now - known.made >= 1_000 * i64::from(seconds)
}

/// Whether a tick should have ended a match, or placed it unless it had to wait before.
fn is_overdue(world: &World, row: &WorkerRow, known: Match, waits: bool) -> bool {
    let settings = &world.view().head.settings;
    let held = row.held.unwrap();
    let either = settings.confirmations == Confirmations::Either;
    let is_confirmed = either && (held.worker_confirmed || held.employer_confirmed);
    let too_late = is_over(world, known, settings.confirmation_window_seconds);
    let placed = is_over(world, known, settings.place_after_seconds) || too_late && is_confirmed;
    too_late && !is_confirmed || placed && !waits
}

/// Whether more is held around a vacancy than there is room for, or one side would not have
/// the other any more.
fn has_to_wait(world: &World, row: &WorkerRow) -> bool {
    let view = world.view();
    let geography = &*view.head.geography;
    let post = view.vacancy(row.held.unwrap().vacancy);
    let held_in = |inside: &dyn Fn(CityIx) -> bool| {
        let rows = view.vacancies.iter().filter(|row| inside(row.vacancy.city));
        rows.map(|row| row.held.len() as u64).sum::<u64>()
    };
    let home = post.vacancy.city;
    let city = geography.city(home);
    let in_city = city
        .intake_cap
        .is_some_and(|cap| held_in(&|city| city == home) + view.counts.get(home.at()).intake > cap);
    let in_region = geography.ancestry(city.region).any(|around| {
        let inside = |city: CityIx| {
            geography.ancestry(geography.city(city).region).any(|region| region == around)
        };
        let cap = geography.region(around).intake_cap;
        cap.is_some_and(|cap| held_in(&inside) + view.head.region_intake[around.at()] > cap)
    });
    let overfull = post.held.len() as u32 + post.placed > post.vacancy.openings;
    let pair = view.head.terms().pair(&row.worker, &post.vacancy);
    overfull || in_city || in_region || !pair.is_acceptable()
}

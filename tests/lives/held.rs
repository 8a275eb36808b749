//! Matches that are held for long: what the tables of `docs/LIVES.md` cannot show.

use super::*;
use gale::domain::limits::HELD_ROUNDS_MAX;
use std::sync::Arc;

/// Milliseconds of the window, and of the wait, that these tests set.
const WINDOW: i64 = 10_000;
const WAIT: i64 = 4_000;

fn window() -> Settings {
    Settings { confirmation_window_seconds: 10, ..Settings::default() }
}

fn frozen() -> Settings {
    Settings { place_after_seconds: 4, ..Settings::default() }
}

fn after_rounds(confirm_after_rounds: u32) -> Settings {
    Settings { confirm_after_rounds, ..Settings::default() }
}

/// One worker matched with one vacancy under these settings.
fn matched_under(settings: Settings) -> World {
    World::cleared(settings, [worker(1)], [vacancy(1)])
}

fn summary(done: &Done) -> Summary {
    let Some(Effect::RoundCleared { summary, .. }) = done.effects.last() else { panic!() };
    *summary
}

/// Goal: a lapse names who has said nothing, ends the match for good, and is one change.
#[test]
fn a_lapse_is_a_decline_by_the_silent() {
    let cases = [
        (None, "LAPSED 1-1"),
        (Some(MatchSide::Worker), "LAPSED for the employer 1-1"),
        (Some(MatchSide::Employer), "LAPSED for the worker 1-1"),
    ];
    for (confirms, word) in cases {
        let mut world = matched_under(window());
        if let Some(side) = confirms {
            world.ok(confirm(side, [(1, 1)]));
        }
        assert_eq!(world.tick(WINDOW).words(), [word]);
        assert_eq!(world.standing(), Standing::Pending(1), "{word}");
        world.clear();
        assert_eq!(world.job_of(1), None, "{word}: the pair never meets again");
        world.ok(offer([vacancy(2)]));
        world.clear();
        assert_eq!(world.job_of(1), Some(2), "{word}: the worker goes on");
    }
    let mut world = World::cleared(window(), [worker(1)], [moved_vacancy(1)]);
    assert_eq!(world.tick(WINDOW).words(), ["LAPSED 1-1", "MIGRATION_CANCELLED 1-1"]);
}

/// Goal: time counts from when the match was made, to the millisecond, whatever happens to
/// the match meanwhile short of its end; a match that is made again starts anew.
#[test]
fn time_counts_from_when_the_match_was_made() {
    for (settings, wait, word) in
        [(window(), WINDOW, "LAPSED 1-1"), (frozen(), WAIT, "PLACED by the market 1-1")]
    {
        let mut world = matched_under(settings.clone());
        let made = world.now;
        assert_eq!(world.w(1).held.unwrap().made, Millis(made));
        assert_eq!(world.state.next_deadline(), Some(Millis(made + wait)));
        world.now += 1_000;
        world.ok(confirm(MatchSide::Worker, [(1, 1)]));
        world.ok(upsert([WorkerSpec { cost_percent: 50, ..worker(1) }]));
        world.ok(offer([VacancySpec { salary: 61_000, ..vacancy(1) }]));
        world.now += 1_000;
        world.clear();
        world.settings(|settings| settings.fit_value = 7);
        assert!(world.tick(wait - 2_001).effects.is_empty());
        assert_eq!(world.tick(1).words()[0], word);
        assert_eq!(world.now, made + wait);
        assert_eq!(world.state.next_deadline(), None);

        let mut world = matched_under(settings);
        world.ok(withdraw([1]));
        world.now += 3_000;
        world.ok(upsert([worker(1)]));
        world.clear();
        assert!(world.tick(wait - 1).effects.is_empty(), "it starts anew");
        assert_eq!(world.tick(1).words()[0], word);
    }
}

/// Goal: settings count for what is held already, from when it was made, and no longer once
/// they are taken back.
#[test]
fn settings_that_come_later_count_from_then_too() {
    let mut world = World::matched();
    world.now += 7_000;
    world.settings(|settings| settings.confirmation_window_seconds = 8);
    assert!(world.tick(999).effects.is_empty());
    world.settings(|settings| settings.confirmation_window_seconds = 0);
    assert!(world.tick(60_000).effects.is_empty());
    world.settings(|settings| settings.place_after_seconds = 60);
    assert_eq!(world.tick(0).words()[0], "PLACED by the market 1-1");

    let mut world = World::matched();
    world.settings(|settings| settings.confirmation_window_seconds = 100);
    world.settings(|settings| settings.confirmation_window_seconds = 10);
    assert!(world.tick(WINDOW - 1).effects.is_empty());
    assert_eq!(world.tick(1).words(), ["LAPSED 1-1"]);
}

/// Goal: rounds count that were committed in a row with the match, the one that made it
/// first; not those that were cancelled, nor those before the match was lost.
#[test]
fn rounds_count_while_the_match_is_held() {
    let mut world = matched_under(after_rounds(3));
    world.clear();
    let cancelled = world.begin();
    world.ok(Command::CancelRound(cancelled.round));
    assert_eq!(world.w(1).status, WorkerStatus::Matched);
    world.ok(withdraw([1]));
    world.ok(upsert([worker(1)]));
    for _ in 0..2 {
        world.clear();
        assert_eq!(world.w(1).status, WorkerStatus::Matched);
    }
    let done = world.clear();
    let words = ["PLACED by the market 1-1", "VACANCY 1 OPEN>FILLED", "ROUND_CLEARED"];
    assert_eq!(done.words(), words);
    assert_eq!((summary(&done).placed, done.outcome.placed), (1, 1));
    assert_eq!(world.standing(), Standing::Stable);
}

/// Goal: the longest count of rounds is kept, and no match is placed before it.
#[test]
fn the_most_rounds_are_counted() {
    let mut world = matched_under(after_rounds(HELD_ROUNDS_MAX));
    for _ in 2..HELD_ROUNDS_MAX {
        world.clear();
    }
    assert_eq!(world.w(1).status, WorkerStatus::Matched);
    world.clear();
    assert_eq!(world.w(1).status, WorkerStatus::Placed);
}

/// Goal: a commit places after what it changes: who is displaced by it is not placed, who
/// has come by it is not either unless one round is enough.
#[test]
fn a_commit_changes_first_and_places_then() {
    let mut world = matched_under(after_rounds(2));
    rival(&mut world);
    let done = world.clear();
    assert_eq!(done.words(), ["DISPLACED 1-1", "MATCHED 2-1", "ROUND_CLEARED"]);
    let done = world.clear();
    assert_eq!(done.words()[0], "PLACED by the market 2-1");
    assert_eq!(world.w(1).status, WorkerStatus::Searching);
}

/// Goal: a round says how many it has displaced and how many it has bettered.
#[test]
fn summaries_count_who_lost_and_who_gained() {
    let mut world = World::matched();
    let counts = |done: &Done| {
        let summary = summary(done);
        (summary.displaced, summary.improved, summary.placed)
    };
    assert_eq!(counts(&world.clear()), (0, 0, 0));
    rival(&mut world);
    assert_eq!(counts(&world.clear()), (1, 0, 0));
    let ranking = Some(vec![worker_id(2)]);
    world.ok(offer([VacancySpec { salary: 70_000, ranking, ..vacancy(2) }]));
    // Worker 2 moves up, and worker 1 gets what is left.
    assert_eq!(counts(&world.clear()), (0, 1, 0));
}

/// Goal: a match for which there is no room waits, is tried again at every tick, and lapses
/// in the end if there is a window.
#[test]
fn what_has_no_room_is_tried_again() {
    let settings = Settings { confirmation_window_seconds: 10, ..frozen() };
    for room_comes in [true, false] {
        let mut world = matched_under(settings.clone());
        world.ok(capped_region(COUNTRY, Some(0)));
        assert!(world.tick(WAIT).effects.is_empty());
        assert!(world.tick(1_000).effects.is_empty());
        if room_comes {
            world.ok(capped_region(COUNTRY, Some(1)));
            assert_eq!(world.tick(1_000).words()[0], "PLACED by the market 1-1");
        } else {
            assert_eq!(world.tick(WINDOW - 5_000).words(), ["LAPSED 1-1"]);
        }
    }
    // A clearing that has yet to choose who stays is not forestalled.
    let mut world =
        World::cleared(frozen(), (1..=3).map(worker), [VacancySpec { openings: 3, ..vacancy(1) }]);
    world.ok(offer([VacancySpec { openings: 2, ..vacancy(1) }]));
    assert!(world.tick(WAIT).effects.is_empty());
    world.clear();
    assert_eq!(world.tick(0).outcome.placed, 2);
    assert_eq!(world.v(1).status, VacancyStatus::Filled);
}

/// Goal: what either side would not accept any more is left to the next clearing.
#[test]
fn what_is_not_acceptable_any_more_is_not_placed() {
    let dear = WorkerSpec { expected_salary: 90_000, reservation_salary: 90_000, ..worker(1) };
    let changes: [Command; 3] = [
        upsert([dear]),
        offer([VacancySpec { salary: 1_000, ..vacancy(1) }]),
        World::matched().settings_command(|settings| {
            *settings = Settings { max_shortfall_bp: 0, ..frozen() };
        }),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let well_paid = WorkerSpec { expected_salary: 65_000, ..worker(1) };
        let mut world = World::cleared(frozen(), [well_paid], [vacancy(1)]);
        assert_eq!(world.job_of(1), Some(1));
        world.ok(change);
        assert!(world.tick(WAIT).effects.is_empty(), "change {at}");
        world.clear();
        assert_eq!(world.job_of(1), None, "change {at}");
    }
}

/// Goal: all that are due are placed in one effect, caps used up to the last place, each
/// vacancy filled once.
#[test]
fn many_are_placed_at_once() {
    let mut world = World::new(frozen());
    world.ok(capped_home(Some(5)));
    world.ok(upsert((1..=7).map(worker)));
    let openings = |v, openings| VacancySpec { openings, salary: 60_000 - v as i64, ..vacancy(v) };
    world.ok(offer([openings(1, 2), openings(2, 2), openings(3, 4)]));
    world.clear();
    let done = world.tick(WAIT);
    assert_eq!((done.effects.len(), done.outcome.placed), (1, 5));
    let filled: Vec<_> = done.words().into_iter().filter(|w| w.starts_with("VAC")).collect();
    assert_eq!(filled, ["VACANCY 1 OPEN>FILLED", "VACANCY 2 OPEN>FILLED"]);
    assert_eq!((world.counts(HOME).intake, world.view().head.region_intake[1]), (5, 5));
    assert_eq!((world.v(3).placed, world.v(3).status), (1, VacancyStatus::Open));
    assert_eq!(world.standing(), Standing::Stable);
}

/// Goal: a tick that places only is no reason for a round, one at which a match lapses is.
#[test]
fn a_lapse_starts_the_next_round_and_a_placement_does_not() {
    let clearing = Clearing::Interval(1);
    for (settings, words) in [
        (frozen(), vec!["PLACED by the market 1-1", "VACANCY 1 OPEN>FILLED"]),
        (window(), vec!["LAPSED 1-1", "ROUND_STARTED"]),
    ] {
        let mut world = matched_under(Settings { clearing, ..settings });
        assert_eq!(world.tick(WINDOW).words(), words);
    }
}

/// Goal: what time does while a round runs stands: a pair that has lapsed is not brought
/// together again by its commit, and one that was placed is done.
#[test]
fn time_passes_while_a_round_runs() {
    let mut world = matched_under(window());
    let clearance = world.begin();
    world.tick(WINDOW);
    assert_eq!(summary(&world.commit(clearance)).dissolved, 1);
    assert_eq!(world.job_of(1), None);

    let mut world = matched_under(Settings { confirm_after_rounds: 2, ..frozen() });
    let clearance = world.begin();
    world.tick(WAIT);
    let found = summary(&world.commit(clearance));
    assert_eq!((found.dissolved, found.placed), (0, 0));
    assert_eq!(world.w(1).status, WorkerStatus::Placed);
}

/// Goal: what has ended is forgotten behind a match that stays, and nothing else is. Method:
/// worker 2 is matched and unmatched thousands of times, one second each, while worker 1
/// holds hers, by effects alone.
#[test]
fn many_matches_end_behind_one_that_stays() {
    let mut world = matched_under(Settings { confirmation_window_seconds: 20_000, ..window() });
    let first = world.now;
    world.ok(upsert([worker(2)]));
    world.ok(offer([vacancy(2)]));
    let slot = |n| WorkerSlot::from_offset(n as usize - 1);
    let pair = (slot(2), VacancySlot::from_offset(1));
    for second in 1..=10_001 {
        world.now = first + 1_000 * second;
        let mut rematch = Rematch { at: Millis(world.now), ..Rematch::default() };
        match world.w(2).held {
            None => rematch.made.push(pair),
            Some(_) => rematch.ended.push((pair.0, pair.1, Ended::Displaced)),
        }
        let revision = world.view().head.revision.next();
        world.state.evolve(revision, &Effect::Rematched(Arc::new(rematch)));
    }
    assert_eq!(world.w(2).held.map(|held| held.made), Some(Millis(world.now)));
    let last = world.now;
    world.now = first;
    assert!(world.tick(19_999_999).effects.is_empty());
    assert_eq!(world.tick(1).words(), ["LAPSED 1-1"]);
    assert_eq!(world.state.next_deadline(), Some(Millis(last + 20_000_000)));
    world.now = last;
    assert_eq!(world.tick(20_000_000).words(), ["LAPSED 2-2"]);
}

/// Goal: a worker's row stays one cache line, whatever a match has to remember.
#[test]
fn rows_stay_small() {
    assert_eq!(size_of::<WorkerRow>(), 64);
}

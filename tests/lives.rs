//! The lives of workers, vacancies and matches, cell by cell.
//!
//! The tables of `docs/LIVES.md` are the expectation. Each row has a function here that
//! does what the row says to a market in the state that the column says; the outcome is
//! written as the document writes it, and must be the same text. After every command
//! the counts are recounted from the rows ([`support::audit`]).

#[path = "lives/held.rs"]
mod held;
mod support;

use gale::domain::*;
use gale::events::Event;
use gale::state::*;
use std::collections::BTreeMap;
use support::audit;
use support::world::*;
use uuid::Uuid;

const DOCUMENT: &str = include_str!("../docs/LIVES.md");
const LATER: i64 = 10_000;

/// What a row did: `None` where it cannot happen.
type Did = Option<Result<Done, Refusal>>;
type Row = (&'static str, fn(&mut World, &str) -> Did);

/// The table under a heading: column names, and the cells by row and column.
fn table(heading: &str) -> (Vec<String>, Vec<(String, Vec<String>)>) {
    let from = DOCUMENT.find(&format!("## {heading}\n")).expect("the heading exists");
    let lines = DOCUMENT[from..].lines().skip_while(|line| !line.starts_with('|'));
    let mut rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        cells.collect::<Vec<_>>()
    });
    let columns = rows.next().expect("a header")[1..].to_vec();
    rows.next().expect("a rule");
    (columns, rows.map(|cells| (cells[0].clone(), cells[1..].to_vec())).collect())
}

/// Executes every cell of a table and compares it with the document.
fn check(
    heading: &str,
    rows: &[Row],
    set_up: fn(&str, &str) -> World,
    status: fn(&World) -> String,
) {
    let (columns, expected) = table(heading);
    let documented: Vec<_> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let tested: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(documented, tested, "each documented row is tested, and each tested row documented");
    let mut wrong = Vec::new();
    for ((name, act), (_, cells)) in rows.iter().zip(&expected) {
        assert_eq!(cells.len(), columns.len(), "{name}: a cell for each column");
        for (column, expected) in columns.iter().zip(cells) {
            let mut world = set_up(column, name);
            let found = match act(&mut world, column) {
                None => "–".to_owned(),
                Some(did) => told(did, &status(&world)),
            };
            if found != *expected {
                wrong.push(format!("{name} / {column}: documented {expected:?}, found {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{heading}:\n{}", wrong.join("\n"));
}

/// What a command did, as the document writes it.
fn told(did: Result<Done, Refusal>, status: &str) -> String {
    let done = did.expect("single items are not refused whole");
    if let Some(error) = done.outcome.errors.first() {
        assert!(done.effects.is_empty(), "a refused item leaves no effects");
        return format!("{} {}", code(error.violation.reason), shouted(error.violation.reason));
    }
    let events = done.events.iter().filter(|event| !matches!(event, Event::Round(_)));
    let events: Vec<_> = events.map(|event| shouted(event.kind())).collect();
    if events.is_empty() { "unchanged".into() } else { format!("{status}: {}", events.join(", ")) }
}

/// `WorkerChanged` becomes `WORKER_CHANGED`.
fn shouted(name: impl std::fmt::Debug) -> String {
    let mut text = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_uppercase());
    }
    text
}

/// The canonical codes of the reasons in the tables; `tests/errors.rs` sees them on the wire.
fn code(reason: Reason) -> &'static str {
    match reason {
        Reason::WorkerNotFound | Reason::VacancyNotFound | Reason::MatchNotFound => "NOT_FOUND",
        Reason::WorkerPlaced | Reason::WrongStatus => "FAILED_PRECONDITION",
        Reason::OpeningsBelowPlaced => "INVALID_ARGUMENT",
        other => panic!("{other:?} is not in the tables"),
    }
}

fn deadline(world: &World) -> Option<Millis> {
    Some(Millis(world.now + LATER))
}

/// Both sides confirm; what the second confirmation does.
fn place(world: &mut World, w: u64, v: u64) -> Result<Done, Refusal> {
    world.apply(confirm(MatchSide::Employer, [(w, v)]))?;
    world.apply(confirm(MatchSide::Worker, [(w, v)]))
}

fn either(world: &mut World) {
    world.settings(|settings| settings.confirmations = Confirmations::Either);
}

/// A round that finds what it finds; what its commit does.
fn round(world: &mut World) -> Result<Done, Refusal> {
    let clearance = world.begin();
    world.apply(Command::Commit(clearance))
}

fn tick(world: &mut World) -> Result<Done, Refusal> {
    Ok(world.tick(LATER))
}

/// Time passes under other settings.
fn tick_under(world: &mut World, change: impl FnOnce(&mut Settings)) -> Did {
    world.settings(change);
    Some(tick(world))
}

/// The same for a round.
fn round_under(world: &mut World, change: impl FnOnce(&mut Settings)) -> Did {
    world.settings(change);
    Some(round(world))
}

/// Settings under which a match that was just made is due at the next tick.
fn lapses(settings: &mut Settings) {
    settings.confirmation_window_seconds = LATER as u32 / 1_000;
}

fn freezes(settings: &mut Settings) {
    settings.place_after_seconds = LATER as u32 / 1_000;
}

fn after_rounds(rounds: u32) -> impl FnOnce(&mut Settings) {
    move |settings| settings.confirm_after_rounds = rounds
}

fn moved_worker(number: u64) -> WorkerSpec {
    WorkerSpec { home_city: city_name(AWAY), ..worker(number) }
}

fn moved_vacancy(number: u64) -> VacancySpec {
    VacancySpec { city: city_name(AWAY), ..vacancy(number) }
}

/// Somebody whom vacancy 1 prefers to worker 1.
fn rival(world: &mut World) {
    let ranking = Some(vec![worker_id(2), worker_id(1)]);
    world.ok(offer([VacancySpec { ranking, ..vacancy(1) }]));
    world.ok(upsert([worker(2)]));
}

// Workers.

/// Worker 1 in the column's status, and vacancy 1. Deadlines are set where the row is
/// about them.
fn worker_in(column: &str, row: &str) -> World {
    let mut world = World::new(Settings::default());
    let has = |what: &str| row.contains(what);
    let (own, of_vacancy) = (row == "the deadline passes", has("vacancy's deadline"));
    let mut spec = worker(1);
    if own || column == "EXPIRED" {
        spec.deadline = deadline(&world);
    }
    let deadline = if of_vacancy { deadline(&world) } else { None };
    world.ok(offer([VacancySpec { deadline, ..vacancy(1) }]));
    if column == "unknown" {
        return world;
    }
    world.ok(upsert([spec]));
    match column {
        "SEARCHING" => {}
        "MATCHED" => drop(world.clear()),
        "PLACED" => {
            world.clear();
            place(&mut world, 1, 1).unwrap();
        }
        "WITHDRAWN" => drop(world.ok(withdraw([1]))),
        "EXPIRED" => drop(world.tick(LATER)),
        other => panic!("no such status: {other}"),
    }
    world
}

fn worker_status(world: &World) -> String {
    match world.state.worker_slot(worker_id(1)) {
        Some(_) => shouted(world.w(1).status),
        None => "unknown".into(),
    }
}

/// The same record as the market has, or would have had.
fn same_worker(world: &World) -> WorkerSpec {
    let known = world.state.worker_slot(worker_id(1)).map(|_| world.w(1).worker.deadline);
    WorkerSpec { deadline: known.flatten(), ..worker(1) }
}

fn has_job(column: &str) -> bool {
    matches!(column, "MATCHED" | "PLACED")
}

const WORKER_ROWS: &[Row] = &[
    ("`UpsertWorkers`, the same record", |world, _| {
        let spec = same_worker(world);
        Some(world.apply(upsert([spec])))
    }),
    ("`UpsertWorkers`, another salary", |world, _| {
        Some(world.apply(upsert([WorkerSpec { expected_salary: 51_000, ..worker(1) }])))
    }),
    ("`UpsertWorkers`, another home city", |world, _| Some(world.apply(upsert([moved_worker(1)])))),
    ("`UpsertWorkers` with `reopen`, the same record", |world, _| {
        let spec = same_worker(world);
        Some(world.apply(reopen([spec])))
    }),
    ("`UpsertWorkers` with `reopen`, another home city", |world, _| {
        Some(world.apply(reopen([moved_worker(1)])))
    }),
    ("`WithdrawWorkers`", |world, _| Some(world.apply(withdraw([1])))),
    ("`ConfirmMatches` by the first of BOTH", |world, _| {
        Some(world.apply(confirm(MatchSide::Worker, [(1, 1)])))
    }),
    ("`ConfirmMatches` by the second of BOTH", |world, _| Some(place(world, 1, 1))),
    ("`ConfirmMatches` where EITHER is enough", |world, _| {
        either(world);
        Some(world.apply(confirm(MatchSide::Worker, [(1, 1)])))
    }),
    ("`DeclineMatches`", |world, _| Some(world.apply(decline(MatchSide::Worker, [(1, 1)])))),
    ("the deadline passes", |world, column| (column != "unknown").then(|| tick(world))),
    ("a round has something better", |world, column| {
        if column == "unknown" {
            return None;
        }
        world.ok(offer([VacancySpec { salary: 70_000, ..vacancy(2) }]));
        Some(round(world))
    }),
    ("a round gives their job to another", |world, column| {
        if column != "MATCHED" {
            return None;
        }
        rival(world);
        Some(round(world))
    }),
    ("their vacancy closes", |world, column| has_job(column).then(|| world.apply(close([1])))),
    ("their vacancy's deadline passes", |world, column| has_job(column).then(|| tick(world))),
    ("their vacancy moves to another city", |world, column| {
        has_job(column).then(|| world.apply(offer([moved_vacancy(1)])))
    }),
    ("their vacancy's openings are cut below what it holds", |world, column| {
        let cut = VacancySpec { openings: 0, ..vacancy(1) };
        (column == "MATCHED").then(|| world.apply(offer([cut])))
    }),
    ("their match's confirmation window ends", |world, column| {
        if column == "unknown" { None } else { tick_under(world, lapses) }
    }),
    ("their match has been held for `place_after_seconds`", |world, column| {
        if column == "unknown" { None } else { tick_under(world, freezes) }
    }),
    ("a round ends, `confirm_after_rounds` is 1", |world, column| {
        if column == "unknown" { None } else { round_under(world, after_rounds(1)) }
    }),
    ("a round ends, `confirm_after_rounds` is 2", |world, column| {
        if column == "unknown" { None } else { round_under(world, after_rounds(2)) }
    }),
    ("settings change", |world, column| {
        let command = world.settings_command(|settings| settings.fixed_move_cost = 1);
        (column != "unknown").then(|| world.apply(command))
    }),
];

/// Goal: every cell of the workers' table is true.
#[test]
fn workers_live_as_documented() {
    check("Workers", WORKER_ROWS, worker_in, worker_status);
}

// Vacancies.

/// Vacancy 1 in the column's status; worker 1 where the column needs one.
fn vacancy_in(column: &str, row: &str) -> World {
    let mut world = World::new(Settings::default());
    if column == "unknown" {
        world.ok(upsert([worker(1)]));
        return world;
    }
    let mut spec = vacancy(1);
    if row == "the deadline passes" || column == "EXPIRED" {
        spec.deadline = deadline(&world);
    }
    if row == "one opening of two is confirmed by both sides" {
        spec.openings = 2;
    }
    world.ok(offer([spec]));
    match column {
        "OPEN" => {}
        "OPEN, holds a worker" | "FILLED" => {
            world.ok(upsert([worker(1)]));
            world.clear();
            if column == "FILLED" && !row.starts_with("one opening of two") {
                place(&mut world, 1, 1).unwrap();
            }
        }
        "CLOSED" => drop(world.ok(close([1]))),
        "EXPIRED" => drop(world.tick(LATER)),
        other => panic!("no such status: {other}"),
    }
    if matches!(column, "OPEN" | "CLOSED" | "EXPIRED") {
        world.ok(upsert([worker(1)]));
    }
    world
}

fn vacancy_status(world: &World) -> String {
    match world.state.vacancy_slot(vacancy_id(1)) {
        Some(_) => shouted(world.v(1).status),
        None => "unknown".into(),
    }
}

fn same_vacancy(world: &World) -> VacancySpec {
    let known = world.state.vacancy_slot(vacancy_id(1)).map(|_| world.v(1).vacancy.deadline);
    VacancySpec { deadline: known.flatten(), ..vacancy(1) }
}

const VACANCY_ROWS: &[Row] = &[
    ("`UpsertVacancies`, the same record", |world, _| {
        let spec = same_vacancy(world);
        Some(world.apply(offer([spec])))
    }),
    ("`UpsertVacancies`, another salary", |world, _| {
        Some(world.apply(offer([VacancySpec { salary: 61_000, ..vacancy(1) }])))
    }),
    ("`UpsertVacancies`, one opening more", |world, _| {
        Some(world.apply(offer([VacancySpec { openings: 2, ..vacancy(1) }])))
    }),
    ("`UpsertVacancies`, no openings", |world, _| {
        Some(world.apply(offer([VacancySpec { openings: 0, ..vacancy(1) }])))
    }),
    ("`UpsertVacancies`, another city", |world, _| Some(world.apply(offer([moved_vacancy(1)])))),
    ("`CloseVacancies`", |world, _| Some(world.apply(close([1])))),
    ("the deadline passes", |world, column| (column != "unknown").then(|| tick(world))),
    ("a round has a worker for it", |world, column| (column != "unknown").then(|| round(world))),
    ("its last opening is confirmed by both sides", |world, _| Some(place(world, 1, 1))),
    ("one opening of two is confirmed by both sides", |world, column| {
        (column == "OPEN, holds a worker").then(|| place(world, 1, 1))
    }),
    ("`DeclineMatches`", |world, _| Some(world.apply(decline(MatchSide::Employer, [(1, 1)])))),
    ("the confirmation window of its match ends", |world, column| {
        if column == "unknown" { None } else { tick_under(world, lapses) }
    }),
    ("its match has been held for `place_after_seconds`", |world, column| {
        if column == "unknown" { None } else { tick_under(world, freezes) }
    }),
    ("a round ends, `confirm_after_rounds` is 1", |world, column| {
        if column == "unknown" { None } else { round_under(world, after_rounds(1)) }
    }),
    ("a round ends, `confirm_after_rounds` is 2", |world, column| {
        if column == "unknown" { None } else { round_under(world, after_rounds(2)) }
    }),
    ("its worker withdraws", |world, column| {
        let has = matches!(column, "OPEN, holds a worker" | "FILLED");
        has.then(|| world.apply(withdraw([1])))
    }),
    ("its worker looks again (`reopen`)", |world, column| {
        let spec = WorkerSpec { expected_salary: 55_000, ..worker(1) };
        let has = matches!(column, "OPEN, holds a worker" | "FILLED");
        has.then(|| world.apply(reopen([spec])))
    }),
];

/// Goal: every cell of the vacancies' table is true.
#[test]
fn vacancies_live_as_documented() {
    check("Vacancies", VACANCY_ROWS, vacancy_in, vacancy_status);
}

// Matches.

/// Worker 1 and vacancy 1, matched as the column says; deadlines where the row is about them.
fn match_in(column: &str, row: &str) -> World {
    let mut world = World::new(Settings::default());
    let (mut w, mut v) = (worker(1), vacancy(1));
    if row.contains("worker's deadline") || row.contains("both deadlines") {
        w.deadline = deadline(&world);
    }
    if row.contains("vacancy's deadline") || row.contains("both deadlines") {
        v.deadline = deadline(&world);
    }
    world.ok(upsert([w]));
    world.ok(offer([v]));
    if column != "none" {
        world.clear();
    }
    match column {
        "none" | "HELD" => {}
        "HELD, confirmed by the worker" => {
            drop(world.ok(confirm(MatchSide::Worker, [(1, 1)])));
        }
        "PLACED" => drop(place(&mut world, 1, 1).unwrap()),
        other => panic!("no such state: {other}"),
    }
    world
}

fn match_state(world: &World) -> String {
    let vacancy = world.state.vacancy_slot(vacancy_id(1)).unwrap();
    let row = world.w(1);
    match row.held.filter(|held| held.vacancy == vacancy) {
        None => "none".into(),
        Some(_) if row.status == WorkerStatus::Placed => "PLACED".into(),
        Some(held) if held.worker_confirmed => "HALF".into(),
        Some(_) => "HELD".into(),
    }
}

fn confirmed_where_either(side: MatchSide, world: &mut World) -> Did {
    either(world);
    Some(world.apply(confirm(side, [(1, 1)])))
}

const MATCH_ROWS: &[Row] = &[
    ("a round finds it (again)", |world, _| Some(round(world))),
    ("a round has something better for the worker", |world, column| {
        world.ok(offer([VacancySpec { salary: 70_000, ..vacancy(2) }]));
        (column != "none").then(|| round(world))
    }),
    ("a round gives the place to another", |world, column| {
        if column == "none" {
            return None;
        }
        rival(world);
        Some(round(world))
    }),
    ("`ConfirmMatches` by the worker, BOTH", |world, _| {
        Some(world.apply(confirm(MatchSide::Worker, [(1, 1)])))
    }),
    ("`ConfirmMatches` by the employer, BOTH", |world, _| {
        Some(world.apply(confirm(MatchSide::Employer, [(1, 1)])))
    }),
    ("`ConfirmMatches` by the worker, EITHER", |world, _| {
        confirmed_where_either(MatchSide::Worker, world)
    }),
    ("`ConfirmMatches` by the employer, EITHER", |world, _| {
        confirmed_where_either(MatchSide::Employer, world)
    }),
    ("`DeclineMatches` by the worker", |world, _| {
        Some(world.apply(decline(MatchSide::Worker, [(1, 1)])))
    }),
    ("`DeclineMatches` by the employer", |world, _| {
        Some(world.apply(decline(MatchSide::Employer, [(1, 1)])))
    }),
    ("the worker withdraws", |world, _| Some(world.apply(withdraw([1])))),
    ("the vacancy closes", |world, _| Some(world.apply(close([1])))),
    ("the worker's deadline passes", |world, _| Some(tick(world))),
    ("the vacancy's deadline passes", |world, _| Some(tick(world))),
    ("both deadlines pass at once", |world, _| Some(tick(world))),
    ("the worker's home changes", |world, _| Some(world.apply(upsert([moved_worker(1)])))),
    ("the worker looks again (`reopen`)", |world, _| Some(world.apply(reopen([worker(1)])))),
    ("the vacancy's city changes", |world, _| Some(world.apply(offer([moved_vacancy(1)])))),
    ("the worker asks for more than it pays", |world, _| {
        let (expected_salary, reservation_salary) = (90_000, 90_000);
        let spec = WorkerSpec { expected_salary, reservation_salary, ..worker(1) };
        Some(world.apply(upsert([spec])))
    }),
    ("the vacancy pays less than the worker needs", |world, _| {
        Some(world.apply(offer([VacancySpec { salary: 1_000, ..vacancy(1) }])))
    }),
    ("the openings are cut to none", |world, _| {
        Some(world.apply(offer([VacancySpec { openings: 0, ..vacancy(1) }])))
    }),
    ("the city's intake cap is set to 0", |world, _| Some(world.apply(capped_home(Some(0))))),
    ("the confirmation is refused for want of room under the cap", |world, _| {
        world.ok(capped_home(Some(0)));
        either(world);
        Some(world.apply(confirm(MatchSide::Worker, [(1, 1)])))
    }),
    ("its confirmation window ends, BOTH", |world, _| tick_under(world, lapses)),
    ("its confirmation window ends, EITHER", |world, _| {
        either(world);
        tick_under(world, lapses)
    }),
    ("it has been held for `place_after_seconds`", |world, _| tick_under(world, freezes)),
    ("the same, and the confirmation window ends too", |world, _| {
        tick_under(world, |settings| {
            lapses(settings);
            settings.place_after_seconds = settings.confirmation_window_seconds - 1;
        })
    }),
    ("the same, but its vacancy has not the openings for all that it holds", |world, _| {
        let cut = offer([VacancySpec { openings: 0, ..vacancy(1) }]);
        // Refused where the opening is placed.
        drop(world.apply(cut));
        tick_under(world, freezes)
    }),
    ("the same, but its city has not the cap for all that it holds", |world, _| {
        world.ok(capped_home(Some(0)));
        tick_under(world, freezes)
    }),
    ("the same, but the worker has come to ask for more than it pays", |world, _| {
        let (expected_salary, reservation_salary) = (90_000, 90_000);
        let dear = WorkerSpec { expected_salary, reservation_salary, ..worker(1) };
        // Refused where the worker is placed.
        drop(world.apply(upsert([dear])));
        tick_under(world, freezes)
    }),
    ("the same, but the worker's deadline passes too", |world, _| tick_under(world, freezes)),
    ("a round ends, `confirm_after_rounds` is 1", |world, _| round_under(world, after_rounds(1))),
    ("a round ends, `confirm_after_rounds` is 2", |world, _| round_under(world, after_rounds(2))),
    ("a round ends, `confirm_after_rounds` is 3", |world, _| round_under(world, after_rounds(3))),
];

fn capped_home(intake_cap: Option<u64>) -> Command {
    Command::UpsertCities(batch([CitySpec { intake_cap, ..city(HOME) }]))
}

fn capped_region(name: &str, intake_cap: Option<u64>) -> Command {
    Command::UpsertRegions(batch([RegionSpec { intake_cap, ..region(name) }]))
}

/// Goal: every cell of the matches' table is true.
#[test]
fn matches_live_as_documented() {
    check("Matches", MATCH_ROWS, match_in, match_state);
}

// What the tables cannot show.

/// Goal: migrations are planned, cancelled and done with the match, with their numbers.
#[test]
fn a_match_in_another_city_is_a_migration() {
    let settings = Settings { fixed_move_cost: 900, move_cost_per_km: 1, ..Settings::default() };
    let mut world = World::new(settings);
    world.ok(upsert([worker(1)]));
    world.ok(offer([moved_vacancy(1)]));
    let done = world.clear();
    assert_eq!(done.words(), ["MATCHED 1-1", "MIGRATION_PLANNED 1-1", "ROUND_CLEARED"]);
    let Event::Migration(_, pairing, movement) = &done.events[1] else { panic!() };
    let name = |ix: CityIx| world.view().head.geography.city(ix).id.to_string();
    assert_eq!((name(pairing.origin), name(pairing.destination)), (HOME.into(), AWAY.into()));
    // One degree of the equator is 111 km.
    assert_eq!((movement.km, movement.cost), (111, 1_011));
    let done = world.ok(decline(MatchSide::Employer, [(1, 1)]));
    assert_eq!(done.words(), ["DECLINED by employer 1-1", "MIGRATION_CANCELLED 1-1"]);

    world.ok(offer([moved_vacancy(2)]));
    world.clear();
    let done = place(&mut world, 1, 2).unwrap();
    assert_eq!(done.words(), ["PLACED 1-2", "MIGRATED 1-2", "VACANCY 2 OPEN>FILLED"]);
    let done = world.ok(reopen([worker(1)]));
    assert_eq!(done.words(), ["WORKER 1 PLACED>SEARCHING"]);
}

/// Goal: counts of a city follow its people and jobs, also when they move.
#[test]
fn counts_follow_their_city() {
    let mut world = World::matched();
    let home = world.counts(HOME);
    assert_eq!((home.searching, home.matched, home.held, home.openings), (0, 1, 1, 1));
    world.ok(offer([moved_vacancy(1)]));
    let (home, away) = (world.counts(HOME), world.counts(AWAY));
    assert_eq!((home.searching, home.held, home.vacancies), (1, 0, 0));
    assert_eq!((away.vacancies, away.openings, away.held), (1, 1, 0));
    world.clear();
    assert_eq!((world.counts(HOME).matched, world.counts(AWAY).held), (1, 1));
    place(&mut world, 1, 1).unwrap();
    let (home, away) = (world.counts(HOME), world.counts(AWAY));
    assert_eq!((home.placed, home.matched, away.held, away.vacancies), (1, 0, 0, 0));
    assert_eq!(away.intake, 1);
}

/// Goal: a pair that declined never meets again, whatever becomes of both.
#[test]
fn a_declined_pair_never_meets_again() {
    for side in [MatchSide::Worker, MatchSide::Employer] {
        let mut world = World::matched();
        world.ok(decline(side, [(1, 1)]));
        world.clear();
        assert_eq!(world.job_of(1), None);
        world.ok(withdraw([1]));
        world.ok(close([1]));
        world.ok(upsert([worker(1)]));
        world.ok(offer([VacancySpec { salary: 90_000, ..vacancy(1) }]));
        world.clear();
        assert_eq!(world.job_of(1), None, "declined by {side:?}");
        // A ranking does not bring them together either.
        let ranking = Some(vec![vacancy_id(1)]);
        world.ok(upsert([WorkerSpec { ranking, ..worker(1) }]));
        world.clear();
        assert_eq!(world.job_of(1), None, "declined by {side:?}");
    }
}

/// Goal: a confirmation is void once the match has ended.
#[test]
fn a_confirmation_ends_with_its_match() {
    let mut world = World::matched();
    world.ok(confirm(MatchSide::Worker, [(1, 1)]));
    rival(&mut world);
    world.clear();
    assert_eq!((world.job_of(1), world.job_of(2)), (None, Some(1)));
    world.ok(withdraw([2]));
    world.clear();
    assert_eq!(world.job_of(1), Some(1));
    let held = world.w(1).held.unwrap();
    assert!(!held.worker_confirmed && !held.employer_confirmed, "it starts anew: {held:?}");
}

/// Goal: a market that turns to EITHER places a half-confirmed match at the next
/// confirmation of either side, not by itself.
#[test]
fn half_confirmed_under_both_is_placed_under_either() {
    let mut world = World::matched();
    world.ok(confirm(MatchSide::Worker, [(1, 1)]));
    either(&mut world);
    assert_eq!(world.w(1).status, WorkerStatus::Matched);
    let done = world.ok(confirm(MatchSide::Worker, [(1, 1)]));
    assert_eq!((world.w(1).status, done.outcome.placed), (WorkerStatus::Placed, 1));
}

/// Goal: openings cut to exactly what is placed fill the vacancy and dissolve the rest.
#[test]
fn openings_cut_to_what_is_placed_fill_the_vacancy() {
    let two = VacancySpec { openings: 2, ..vacancy(1) };
    let mut world = World::cleared(Settings::default(), [worker(1), worker(2)], [two]);
    place(&mut world, 1, 1).unwrap();
    assert_eq!(world.v(1).status, VacancyStatus::Open);
    let done = world.ok(offer([vacancy(1)]));
    assert_eq!(done.words(), ["UNMATCHED 2-1", "VACANCY 1 OPEN>FILLED"]);
    // Closed and offered again it is filled still, not open.
    world.ok(close([1]));
    let done = world.ok(offer([vacancy(1)]));
    assert_eq!(done.words(), ["VACANCY 1 CLOSED>FILLED"]);
    let done = world.ok(offer([VacancySpec { openings: 2, ..vacancy(1) }]));
    assert_eq!(done.words(), ["VACANCY 1 FILLED>OPEN"]);
    world.clear();
    assert_eq!(world.job_of(2), Some(1));
}

/// Three workers in one vacancy, of whose three openings only one is left.
fn overfull() -> World {
    let three = VacancySpec { openings: 3, ..vacancy(1) };
    let mut world = World::cleared(Settings::default(), (1..=3).map(worker), [three]);
    world.ok(offer([vacancy(1)]));
    assert_eq!(world.v(1).held.len(), 3, "they are held until the next clearing");
    world
}

/// Goal: a vacancy over its openings places no more than these, and the last placement
/// dissolves whom it still holds.
#[test]
fn the_last_placement_dissolves_the_rest() {
    let mut world = overfull();
    let done = place(&mut world, 2, 1).unwrap();
    assert_eq!(
        done.words(),
        ["PLACED 2-1", "UNMATCHED 1-1", "UNMATCHED 3-1", "VACANCY 1 OPEN>FILLED"]
    );
}

/// Goal: the same within one batch. Method: worker 1's match is dissolved by the first
/// item, so the second finds no room, whether it would have placed or only confirmed.
/// (It once confirmed a match that was gone, and the owner panicked.)
#[test]
fn a_batch_that_fills_a_vacancy_refuses_the_rest() {
    for employer_confirms in [vec![(2, 1)], vec![(1, 1), (2, 1)]] {
        let mut world = overfull();
        world.ok(confirm(MatchSide::Employer, employer_confirms));
        let done = world.apply(confirm(MatchSide::Worker, [(2, 1), (1, 1)])).unwrap();
        let [error] = &done.outcome.errors[..] else { panic!("{:?}", done.outcome.errors) };
        assert_eq!((error.index, error.violation.reason), (1, Reason::WrongStatus));
        assert_eq!((world.w(2).status, world.w(1).status), {
            (WorkerStatus::Placed, WorkerStatus::Searching)
        });
        assert_eq!(done.outcome.placed, 1);
    }
    // The other way round the confirmation comes first, and is void with its match.
    let mut world = overfull();
    world.ok(confirm(MatchSide::Employer, [(2, 1)]));
    let done = world.ok(confirm(MatchSide::Worker, [(1, 1), (2, 1)]));
    assert_eq!(done.words()[..2], ["CONFIRMED by worker 1-1", "PLACED 2-1"]);
    assert_eq!(world.w(1).status, WorkerStatus::Searching);
}

/// Goal: what a round cannot keep because the openings are fewer is picked by C.
#[test]
fn the_next_round_picks_who_stays() {
    let mut world = overfull();
    let done = world.clear();
    let displaced = done.words().iter().filter(|word| word.starts_with("DISPLACED")).count();
    assert_eq!((displaced, world.v(1).held.len()), (2, 1));
}

// Rounds and what changes meanwhile.

/// Two workers matched with two vacancies by a round that has yet to be committed.
fn running() -> (World, Clearance) {
    let mut world = World::new(Settings::default());
    world.ok(upsert((1..=2).map(worker)));
    let ranked = |v, w| VacancySpec { ranking: Some(vec![worker_id(w)]), ..vacancy(v) };
    world.ok(offer([ranked(1, 1), ranked(2, 2)]));
    let clearance = world.begin();
    assert_eq!(clearance.pairs.len(), 2);
    (world, clearance)
}

/// Goal: what has become impossible while a round ran is dissolved at its commit and
/// counted, the other pair is kept, and the market stays PENDING.
#[test]
fn a_commit_keeps_what_is_still_possible() {
    let unacceptable =
        WorkerSpec { expected_salary: 90_000, reservation_salary: 90_000, ..worker(1) };
    let elsewhere = WorkerSpec { mobility: MobilitySpec::HomeOnly, ..moved_worker(1) };
    let pays_less = VacancySpec { salary: 1_000, ..vacancy(1) };
    let terms = CitySpec { cost_of_living: 2_000, ..city(AWAY) };
    let cases: Vec<(&str, Vec<Command>, u64)> = vec![
        ("withdrawn", vec![withdraw([1])], 1),
        ("closed", vec![close([1])], 1),
        ("withdrawn and back", vec![withdraw([1]), upsert([worker(1)])], 0),
        ("asks for more", vec![upsert([unacceptable])], 1),
        ("moved away", vec![upsert([elsewhere])], 1),
        ("pays less", vec![offer([pays_less])], 1),
        ("no opening left", vec![offer([VacancySpec { openings: 0, ..vacancy(1) }])], 1),
        ("cap of the city", vec![capped_home(Some(1))], 1),
        ("cap of the region", vec![capped_region(COUNTRY, Some(1))], 1),
        ("cap of both", vec![capped_home(Some(1)), capped_region(PROVINCE, Some(0))], 2),
        ("terms that change nothing", vec![Command::UpsertCities(batch([terms]))], 0),
        ("a newcomer", vec![upsert([worker(3)])], 0),
        (
            "a cheaper move",
            vec![World::matched().settings_command(|settings| settings.fixed_move_cost = 7)],
            0,
        ),
    ];
    for (name, meanwhile, dissolved) in cases {
        let (mut world, clearance) = running();
        for command in meanwhile {
            world.ok(command);
        }
        let done = world.commit(clearance);
        let Some(Effect::RoundCleared { summary, .. }) = done.effects.last() else { panic!() };
        assert_eq!(summary.dissolved, dissolved, "{name}");
        let kept = (1..=2).filter(|w| world.job_of(*w).is_some()).count() as u64;
        assert_eq!(kept, 2 - dissolved, "{name}");
        assert!(matches!(world.standing(), Standing::Pending(n) if n > dissolved), "{name}");
        // The next clearing answers all of it.
        world.clear();
        assert_eq!(world.standing(), Standing::WorkerOptimal, "{name}");
    }
}

/// Goal: a pair that declined while a round ran is not brought together by it.
#[test]
fn a_pair_that_declined_meanwhile_is_dissolved() {
    let mut world = World::matched();
    let clearance = world.begin();
    world.ok(decline(MatchSide::Worker, [(1, 1)]));
    let done = world.commit(clearance);
    assert_eq!(done.words(), ["ROUND_CLEARED"]);
    assert_eq!((world.job_of(1), world.standing()), (None, Standing::Pending(2)));
}

/// Goal: whoever is placed while a round runs stays placed; in the vacancy that the round
/// found they are done, elsewhere the round's pair is dissolved.
#[test]
fn a_placement_meanwhile_stands() {
    let mut world = World::matched();
    let clearance = world.begin();
    place(&mut world, 1, 1).unwrap();
    let done = world.commit(clearance);
    let Some(Effect::RoundCleared { summary, .. }) = done.effects.last() else { panic!() };
    assert_eq!((summary.dissolved, world.w(1).status), (0, WorkerStatus::Placed));
    assert!(!matches!(world.standing(), Standing::Pending(_)));

    let mut world = World::matched();
    world.ok(offer([VacancySpec { salary: 70_000, ..vacancy(2) }]));
    let clearance = world.begin();
    place(&mut world, 1, 1).unwrap();
    let done = world.commit(clearance);
    let Some(Effect::RoundCleared { summary, .. }) = done.effects.last() else { panic!() };
    assert_eq!((summary.dissolved, world.job_of(1)), (1, Some(1)));
    assert_eq!(world.standing(), Standing::Pending(1));
}

/// Goal: a market in which somebody was placed while the round ran does not claim to be
/// worker-optimal. Method: worker 3 would rather have vacancy 1, and in asking for it
/// sets workers 1 and 2 against each other; with worker 3 placed elsewhere both would
/// have got their favourites.
#[test]
fn a_placement_while_a_round_runs_ends_worker_optimality() {
    let ranks = |n: u64, ids: &[u64]| WorkerSpec {
        ranking: Some(ids.iter().map(|v| vacancy_id(*v)).collect()),
        ..worker(n)
    };
    let wants = |n: u64, ids: &[u64]| VacancySpec {
        ranking: Some(ids.iter().map(|w| worker_id(*w)).collect()),
        ..vacancy(n)
    };
    let mut world = World::cleared(
        Settings::default(),
        [ranks(1, &[1, 2]), ranks(2, &[2, 1]), ranks(3, &[1, 3])],
        [wants(1, &[2, 3, 1]), wants(2, &[1, 2]), wants(3, &[3])],
    );
    let jobs = |world: &World| [1, 2, 3].map(|w| world.job_of(w));
    assert_eq!(jobs(&world), [Some(2), Some(1), Some(3)]);
    assert_eq!(world.standing(), Standing::WorkerOptimal);
    let clearance = world.begin();
    place(&mut world, 3, 3).unwrap();
    assert_eq!(world.standing(), Standing::Stable);
    world.commit(clearance);
    assert_eq!(jobs(&world), [Some(2), Some(1), Some(3)]);
    assert_eq!(world.standing(), Standing::Stable, "both would rather be where the other is");
    audit::standing(world.view());
    world.clear();
    assert_eq!(jobs(&world), [Some(1), Some(2), Some(3)]);
    assert_eq!(world.standing(), Standing::WorkerOptimal);
}

/// Goal: under TARGETS a placement inside a cap is a change. Method: two vacancies share
/// a full cap of four, each with two; once vacancy 1 has placed one, its next place is
/// its second again, and goes before the second of vacancy 2.
#[test]
fn a_placement_inside_a_cap_under_targets_is_a_change() {
    let mut world = World::new(Settings { cap_order: CapOrder::Targets, ..Settings::default() });
    world.ok(capped_home(Some(4)));
    world.ok(upsert((1..=6).map(worker)));
    let four = |n| VacancySpec { openings: 4, salary: 70_000 - n as i64, ..vacancy(n) };
    world.ok(offer([four(1), four(2)]));
    world.clear();
    assert_eq!((world.v(1).held.len(), world.v(2).held.len()), (2, 2));
    let first = (1..=6).find(|w| world.job_of(*w) == Some(1)).unwrap();
    place(&mut world, first, 1).unwrap();
    assert_eq!(world.standing(), Standing::Pending(1));
    world.clear();
    audit::standing(world.view());
}

/// Goal: a cancelled round changes nothing, and the changes wait for the next.
#[test]
fn a_cancelled_round_changes_nothing() {
    let (mut world, clearance) = running();
    let pending = world.standing();
    assert_eq!(world.refused(Command::StartRound(round_id(99)))[0].reason, Reason::RoundRunning);
    let done = world.ok(Command::CancelRound(clearance.round));
    assert_eq!(done.words(), ["ROUND_CANCELLED"]);
    assert_eq!((world.job_of(1), world.standing()), (None, pending));
    let late = world.refused(Command::Commit(clearance.clone()));
    assert_eq!(late[0].reason, Reason::RoundEnded);
    let again = world.refused(Command::CancelRound(clearance.round));
    assert_eq!(again[0].reason, Reason::RoundEnded);
    let unknown = world.refused(Command::CancelRound(round_id(1_000_000)));
    assert_eq!(unknown[0].reason, Reason::RoundNotFound);
    world.clear();
    assert_eq!(world.standing(), Standing::WorkerOptimal);
}

/// Goal: an INTERVAL market is cleared when its time has come and something has changed,
/// never while a round runs.
#[test]
fn ticks_start_rounds_of_interval_markets() {
    let clearing = Clearing::Interval(10);
    let mut world = World::bare(Settings { clearing, ..Settings::default() }, Capacity::default());
    assert!(world.tick(60_000).effects.is_empty(), "nothing has changed");
    world.ok(Command::UpsertCities(batch([CitySpec { region: None, ..city(HOME) }])));
    world.ok(upsert([worker(1)]));
    world.ok(offer([vacancy(1)]));
    let done = world.tick(0);
    assert_eq!(done.words(), ["ROUND_STARTED"], "the market was made over 10 s ago");
    assert_eq!(done.outcome.round, world.view().head.running_round().map(|round| round.id));
    assert!(world.tick(60_000).effects.is_empty(), "a round is running");
    let clearance = world.work();
    world.commit(clearance);
    assert!(world.tick(60_000).effects.is_empty(), "nothing has changed since");
    world.ok(upsert([worker(2)]));
    assert_eq!(world.tick(0).words(), ["ROUND_STARTED"]);
    let clearance = world.work();
    world.commit(clearance);
    world.ok(upsert([worker(3)]));
    assert!(world.tick(9_999).effects.is_empty(), "10 s have not passed");
    assert_eq!(world.tick(1).words(), ["ROUND_STARTED"]);
    // A round that was cancelled was tried: the next comes after another interval.
    world.ok(Command::CancelRound(world.view().head.running_round().unwrap().id));
    assert!(world.tick(9_999).effects.is_empty());
    assert_eq!(world.tick(1).words(), ["ROUND_STARTED"]);
}

/// Goal: a deadline that passes in the very tick that starts a round is part of its snapshot.
#[test]
fn a_tick_expires_first_and_clears_then() {
    let clearing = Clearing::Interval(10);
    let mut world = World::new(Settings { clearing, ..Settings::default() });
    let deadline = Some(Millis(world.now + 10_000));
    world.ok(upsert([WorkerSpec { deadline, ..worker(1) }]));
    world.ok(offer([vacancy(1)]));
    world.clear();
    let done = world.tick(10_000);
    let words = ["UNMATCHED 1-1", "WORKER 1 SEARCHING>EXPIRED", "ROUND_STARTED"];
    assert_eq!(done.words(), words);
    let clearance = world.work();
    assert!(clearance.pairs.is_empty());
    world.commit(clearance);
    assert_eq!(world.standing(), Standing::WorkerOptimal);
}

/// Goal: a deadline counts from its very moment, not before, and only once.
#[test]
fn deadlines_are_compared_with_ticks_alone() {
    let mut world = World::new(Settings::default());
    let deadline = Some(Millis(world.now + 10_000));
    world.ok(upsert([WorkerSpec { deadline, ..worker(1) }]));
    assert!(world.tick(9_999).effects.is_empty());
    world.now += 5;
    world.ok(upsert([worker(2)]));
    assert_eq!(world.w(1).status, WorkerStatus::Searching, "only a tick ends lives");
    assert_eq!(world.tick(0).words(), ["WORKER 1 SEARCHING>EXPIRED"]);
    assert!(world.tick(1).effects.is_empty());
    // A new deadline replaces the old one.
    let later = Some(Millis(world.now + 50));
    world.ok(upsert([WorkerSpec { deadline: later, ..worker(1) }]));
    world.ok(upsert([worker(1)]));
    assert!(world.tick(100).effects.is_empty(), "the deadline was taken back");
    // One that has passed already lets the worker in, until the next tick.
    let past = Some(Millis(world.now - 50));
    world.ok(upsert([WorkerSpec { deadline: past, ..worker(1) }]));
    assert_eq!(world.w(1).status, WorkerStatus::Searching);
    assert_eq!(world.tick(0).words(), ["WORKER 1 SEARCHING>EXPIRED"]);
}

// Caps.

/// Goal: caps count placements since they were set, and refuse what has no room.
#[test]
fn caps_count_placements_since_they_were_set() {
    let mut world =
        World::new(Settings { confirmations: Confirmations::Either, ..Settings::default() });
    world.ok(capped_home(Some(2)));
    world.ok(capped_region(PROVINCE, Some(3)));
    world.ok(upsert((1..=5).map(worker)));
    world.ok(offer([VacancySpec { openings: 5, ..vacancy(1) }]));
    world.clear();
    assert_eq!(world.v(1).held.len(), 2);
    let inside: Vec<_> = (1..=5).filter(|w| world.job_of(*w).is_some()).collect();
    world.ok(confirm(MatchSide::Worker, [(inside[0], 1)]));
    assert_eq!((world.counts(HOME).intake, world.standing()), (1, Standing::Stable));
    // Other changes of the city leave the count alone.
    let population = 9;
    let intake_cap = Some(2);
    world.ok(Command::UpsertCities(batch([CitySpec { intake_cap, population, ..city(HOME) }])));
    assert_eq!(world.counts(HOME).intake, 1);
    world.clear();
    assert_eq!(world.v(1).held.len(), 1, "one place of two is taken for good");
    // A new cap counts from 0; the region's count goes on.
    world.ok(capped_home(Some(3)));
    assert_eq!((world.counts(HOME).intake, world.view().head.region_intake[1]), (0, 1));
    world.clear();
    assert_eq!(world.v(1).held.len(), 2, "the region has two places left");
    // A placed worker who looks again gives neither the opening nor the cap back.
    world.ok(reopen([worker(inside[0])]));
    assert_eq!((world.v(1).placed, world.view().head.region_intake[1]), (1, 1));
}

/// Goal: one batch cannot place more than a cap lets in. Method: a new cap of 1 while
/// three are held, all of whom confirm at once.
#[test]
fn a_batch_cannot_overrun_a_cap() {
    let three = VacancySpec { openings: 3, ..vacancy(1) };
    let settings = Settings { confirmations: Confirmations::Either, ..Settings::default() };
    let mut world = World::cleared(settings, (1..=3).map(worker), [three]);
    world.ok(capped_region(COUNTRY, Some(1)));
    let done = world.apply(confirm(MatchSide::Worker, (1..=3).map(|w| (w, 1)))).unwrap();
    assert_eq!((done.outcome.placed, done.outcome.errors.len()), (1, 2));
    for error in &done.outcome.errors {
        assert_eq!(error.violation.reason, Reason::WrongStatus);
    }
    // Atomically, none.
    let mut world = World::cleared(
        Settings { confirmations: Confirmations::Either, ..Settings::default() },
        (1..=3).map(worker),
        [VacancySpec { openings: 3, ..vacancy(1) }],
    );
    world.ok(capped_region(COUNTRY, Some(1)));
    let pairs = atomic((1..=3).map(|w| pair((w, 1))));
    let refused = world.refused(Command::Confirm { side: MatchSide::Worker, batch: pairs });
    assert_eq!(refused.len(), 2);
    assert_eq!(refused[0].field, "matches[1]");
    assert_eq!(world.view().head.totals.placed, 0);
}

// Standing.

/// Goal: what counts as a change, and what does not.
#[test]
fn what_makes_a_market_pending() {
    let no_change: Vec<(&str, Vec<Command>)> = vec![
        ("the same record", vec![upsert([worker(1)]), offer([vacancy(1)])]),
        ("confirmation", vec![confirm(MatchSide::Worker, [(1, 1)])]),
        (
            "a new display name",
            vec![Command::Update {
                display_name: Some("Renamed".into()),
                changes: vec![],
                expected: None,
            }],
        ),
        ("refused items", vec![]),
    ];
    for (name, commands) in no_change {
        let mut world = World::matched();
        commands.into_iter().for_each(|command| drop(world.ok(command)));
        assert_eq!(world.standing(), Standing::WorkerOptimal, "{name}");
    }
    let mut world = World::matched();
    place(&mut world, 1, 1).unwrap();
    assert_eq!(world.standing(), Standing::Stable, "a placement");
    let cost = MoveCostSpec {
        origin: city_name(HOME),
        destination: city_name(AWAY),
        cost: Some(1),
        subsidy: 0,
    };
    let changes: Vec<(&str, Command, u64)> = vec![
        ("a worker", upsert([worker(2), worker(3)]), 2),
        ("a change", upsert([WorkerSpec { cost_percent: 0, ..worker(1) }]), 1),
        ("a change of home", upsert([moved_worker(1)]), 1),
        ("a vacancy", offer([vacancy(2)]), 1),
        ("withdrawal", withdraw([1]), 1),
        ("closing", close([1]), 1),
        ("decline", decline(MatchSide::Worker, [(1, 1)]), 1),
        ("another window", World::matched().settings_command(lapses), 1),
        ("a cap", capped_home(Some(9)), 1),
        ("a region's cap", capped_region(COUNTRY, Some(9)), 1),
        ("a move cost", Command::SetMoveCosts(batch([cost])), 1),
        ("settings", World::matched().settings_command(|s| s.horizon_years = 9), 1),
    ];
    for (name, command, count) in changes {
        let mut world = World::matched();
        world.ok(command);
        assert_eq!(world.standing(), Standing::Pending(count), "{name}");
        world.clear();
        assert_eq!(world.standing(), Standing::WorkerOptimal, "{name}");
    }
}

/// Goal: a vacancy-proposing clearing claims to be stable, no more.
#[test]
fn a_vacancy_proposing_clearing_is_stable() {
    let settings = Settings { proposing_side: Side::Vacancy, ..Settings::default() };
    let world = World::cleared(settings, [worker(1)], [vacancy(1)]);
    assert_eq!(world.standing(), Standing::Stable);
}

// Batches and names.

/// Goal: a bad item leaves no trace, the rest goes in under one revision; atomic refuses
/// all; a batch without effects takes no revision.
#[test]
fn batches_are_one_revision() {
    let mut world = World::new(Settings::default());
    let nowhere = WorkerSpec { home_city: city_name("nowhere"), ..worker(2) };
    let before = world.view().head.revision;
    let done = world.apply(upsert([worker(1), nowhere.clone(), worker(3), worker(1)])).unwrap();
    assert_eq!(done.outcome.revision, before.next());
    let errors: BTreeMap<u32, Reason> =
        done.outcome.errors.iter().map(|error| (error.index, error.violation.reason)).collect();
    assert_eq!(errors, BTreeMap::from([(1, Reason::CityNotFound), (3, Reason::Duplicate)]));
    assert_eq!(done.words(), ["WORKER 1 NEW>SEARCHING", "WORKER 3 NEW>SEARCHING"]);

    let skilled = WorkerSpec { skills: vec![(skill("rare"), 9)], ..worker(4) };
    let all = atomic([skilled, nowhere.clone(), worker(4)]);
    let refused = world.refused(Command::UpsertWorkers { batch: all, reopen: false, made: None });
    let fields: Vec<_> = refused.iter().map(|v| (v.reason, v.field.as_str())).collect();
    assert_eq!(
        fields,
        [(Reason::CityNotFound, "workers[1].home_city"), (Reason::Duplicate, "workers[2].id")]
    );
    assert!(world.view().head.skills.is_empty(), "nor is its skill known");

    let before = world.view().head.revision;
    for command in [upsert([]), upsert([worker(1)]), upsert([nowhere]), withdraw([77])] {
        let done = world.apply(command).unwrap();
        assert_eq!((done.outcome.revision, done.effects.len()), (before, 0));
    }
}

/// Goal: a refused item does not make its skills known, and those of the rest are.
#[test]
fn skills_of_refused_items_are_not_kept() {
    let mut world = World::new(Settings::default());
    let with = |n, name, home| WorkerSpec {
        skills: vec![(skill(name), 5)],
        home_city: city_name(home),
        ..worker(n)
    };
    let done = world.apply(upsert([with(1, "x", "nowhere"), with(2, "y", HOME)])).unwrap();
    assert_eq!(done.outcome.errors.len(), 1);
    assert_eq!(world.view().head.skills[..], [skill("y")]);
    // The order in which a worker lists skills says nothing.
    let two = |skills: [&str; 2]| WorkerSpec {
        skills: skills.map(|name| (skill(name), 5)).into(),
        ..worker(3)
    };
    world.ok(upsert([two(["y", "z"])]));
    assert!(world.ok(upsert([two(["z", "y"])])).effects.is_empty());
}

/// Goal: a named command is done once, its retry gets the former answer, and the name is
/// good for nothing else.
#[test]
fn a_name_is_good_for_one_command() {
    let mut world = World::new(Settings::default());
    let key = |n, fingerprint| RequestKey { id: RequestId(Uuid::from_u128(n)), fingerprint };
    let nowhere = WorkerSpec { home_city: city_name("nowhere"), ..worker(2) };
    let made: std::sync::Arc<[Uuid]> = vec![worker_id(1).0, worker_id(2).0].into();
    let command = Command::UpsertWorkers {
        batch: batch([worker(1), nowhere.clone()]),
        reopen: false,
        made: Some(made),
    };
    let first = world.apply_as(Some(key(1, 1)), command.clone()).unwrap();
    world.ok(withdraw([1]));
    let revision = world.view().head.revision;
    let again = world.apply_as(Some(key(1, 1)), command.clone()).unwrap();
    assert_eq!(again.outcome, first.outcome, "with its ids, errors and revision");
    assert!(again.effects.is_empty());
    assert_eq!((world.w(1).status, world.view().head.revision), {
        (WorkerStatus::Withdrawn, revision)
    });
    let reused = world.apply_as(Some(key(1, 2)), withdraw([1])).unwrap_err();
    assert_eq!((reused.0[0].reason, reused.0[0].field.as_str()), {
        (Reason::RequestIdReused, "request_id")
    });
    // A command without effects is remembered too, and takes no revision.
    let done = world.apply_as(Some(key(2, 1)), upsert([nowhere])).unwrap();
    assert_eq!((done.effects.len(), done.outcome.revision), (1, revision));
    world.ok(Command::UpsertCities(batch([city("nowhere")])));
    let again = world.apply_as(Some(key(2, 1)), upsert([worker(2)])).unwrap();
    assert_eq!((again.outcome.errors.len(), again.effects.len()), (1, 0));
    // A command that was refused whole is not: it may be tried again.
    let atomic_batch = atomic([worker_id(99)]);
    let refused = Command::WithdrawWorkers(atomic_batch);
    assert!(world.apply_as(Some(key(3, 1)), refused).is_err());
    assert!(world.apply_as(Some(key(3, 1)), upsert([worker(99)])).is_ok());
}

/// Goal: settings change under the revision that the caller has seen, or not at all.
#[test]
fn updates_expect_their_revision() {
    let mut world = World::matched();
    let now = world.view().head.revision;
    let update = |expected| Command::Update {
        display_name: None,
        changes: vec![SettingChange::HorizonYears(7)],
        expected: Some(Revision(expected)),
    };
    for wrong in [now.0 - 1, now.0 + 1] {
        assert_eq!(world.refused(update(wrong))[0].reason, Reason::RevisionMismatch);
    }
    let done = world.ok(update(now.0));
    assert_eq!((done.words(), done.outcome.revision), (vec!["MARKET_CHANGED".into()], now.next()));
    let bad = world.settings_command(|settings| settings.horizon_years = 0);
    assert_eq!(world.refused(bad)[0].field, "market.settings.horizon_years");
    let unsupported = world.settings_command(|settings| {
        settings.proposing_side = Side::Vacancy;
        settings.cap_order = CapOrder::Targets;
    });
    assert_eq!(world.refused(unsupported)[0].reason, Reason::UnsupportedMechanism);
}

/// Goal: regions are a forest, whatever order they come in.
#[test]
fn regions_stay_a_forest() {
    let mut world = World::new(Settings::default());
    let of = |name: &str, parent: Option<&str>| RegionSpec {
        parent: parent.map(region_name),
        ..region(name)
    };
    let put = |regions: Vec<RegionSpec>| Command::UpsertRegions(batch(regions));
    let violation = |world: &mut World, regions| {
        let violation = world.refused_item(put(regions));
        (violation.reason, violation.field)
    };
    let cycle = (Reason::RegionCycle, "parent".to_owned());
    assert_eq!(violation(&mut world, vec![of(COUNTRY, Some(PROVINCE))]), cycle);
    assert_eq!(violation(&mut world, vec![of(COUNTRY, Some(COUNTRY))]), cycle);
    assert_eq!(violation(&mut world, vec![of("new", Some("new"))]), cycle);
    let unknown = (Reason::RegionNotFound, "parent".to_owned());
    assert_eq!(violation(&mut world, vec![of("new", Some("newer"))]), unknown);
    // A parent may come earlier in the same call, and children may change places.
    world.ok(put(vec![of("a", None), of("b", Some("a")), of("c", Some("b"))]));
    world.ok(put(vec![of("c", None), of("a", Some("c"))]));
    assert_eq!(violation(&mut world, vec![of("c", Some("b"))]), cycle);
    let city = CitySpec { region: Some(region_name("nowhere")), ..city(HOME) };
    let violation = world.refused_item(Command::UpsertCities(batch([city])));
    assert_eq!((violation.reason, violation.field.as_str()), (Reason::RegionNotFound, "region"));
}

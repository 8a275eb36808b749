//! Flows against a naive count: every cell, every sum, every filter, and what suppression
//! hides.
//!
//! Markets are made two ways: by random commands of every kind (`support::commands`, lives
//! and caps and rounds that overlap), and by a few rounds among people with labels, of whom
//! some are placed and some come back. `GALE_CASES=n` says how many of each.

mod support;

use gale::domain::*;
use gale::events::{Event, MigrationChange};
use gale::planning::flows::{By, Flow, Flows, Group, Query, flows, flows_within, survey};
use gale::preferences::Terms;
use gale::state::*;
use std::collections::BTreeMap;
use support::commands::{Case, KINDS, OPERATIONS};
use support::draws::Random;
use support::world::*;

fn cases() -> u64 {
    std::env::var("GALE_CASES").map_or(120, |cases| cases.parse().expect("a number of cases"))
}

/// A cell of the naive table, and its people one by one.
type Key = (CityIx, CityIx, Option<String>);
type People = Vec<(bool, i64, i64)>;

/// The same table by definition: one worker after another, nothing added up.
fn naive(view: &View, query: &Query) -> BTreeMap<Key, People> {
    let mut table: BTreeMap<Key, People> = BTreeMap::new();
    for at in 0..view.workers.len() {
        let row = view.workers.get(at);
        if !matches!(row.status, WorkerStatus::Matched | WorkerStatus::Placed) {
            assert!(row.held.is_none(), "only a match that stands is held");
            continue;
        }
        let held = row.held.expect("a match has a vacancy");
        let job = &view.vacancy(held.vacancy).vacancy;
        let labels: BTreeMap<&str, &str> =
            row.worker.labels.iter().flat_map(|l| l.iter()).map(|(k, v)| (&**k, &**v)).collect();
        let placed = row.status == WorkerStatus::Placed;
        let wanted = [
            query.since.is_none_or(|since| held.since.0 >= since.0),
            query.until.is_none_or(|until| held.since.0 <= until.0),
            query.origin.is_none_or(|city| city == row.worker.home),
            query.destination.is_none_or(|city| city == job.city),
            !query.moved_only || job.city != row.worker.home,
            query.placed.is_none_or(|wanted| wanted == placed),
            query.group.as_ref().is_none_or(|group| {
                labels.get(&*group.label).is_some_and(|value| match group.prefix {
                    true => value.starts_with(&*group.value),
                    false => **value == *group.value,
                })
            }),
        ];
        if wanted.contains(&false) {
            continue;
        }
        let part = query.by.as_ref().map(|by| {
            let value = labels.get(&*by.label).copied().unwrap_or_default();
            let most = if by.prefix == 0 { usize::MAX } else { by.prefix };
            value.chars().take(most).collect()
        });
        let person = (placed, job.salary, row.worker.expected_salary);
        table.entry((row.worker.home, job.city, part)).or_default().push(person);
    }
    table
}

/// A sum per head, rounded half away from zero, in floating point: sums here are small.
fn mean(sum: i128, count: usize) -> i128 {
    (sum as f64 / count as f64).round() as i128
}

fn check_flow(flow: &Flow, people: &People, query: &Query, terms: &Terms<'_>) {
    let placed = people.iter().filter(|person| person.0).count() as u64;
    let others = people.len() as u64 - placed;
    let small = |count: u64| count > 0 && count < query.min_count;
    assert_eq!(flow.count, people.len() as u64);
    assert_eq!(flow.placed, (!small(placed) && !small(others)).then_some(placed));
    assert_eq!(flow.salary, people.iter().map(|person| i128::from(person.1)).sum());
    assert_eq!(flow.expected_salary, people.iter().map(|person| i128::from(person.2)).sum());
    assert_eq!(flow.mean(flow.salary), mean(flow.salary, people.len()));
    let (from, to) = (flow.origin, flow.destination);
    assert_eq!(flow.km, terms.geography.km(from, to));
    let cost = if from == to { 0 } else { i128::from(terms.move_cost(from, to)) };
    assert_eq!((flow.move_cost, flow.mean(flow.move_cost)), (cost * people.len() as i128, cost));
    assert_eq!(flow.stays(), from == to);
}

/// Goal: the table is the naive one, less what is small; sums and order are right.
fn check(view: &View, query: &Query) -> Flows {
    let found = flows(view, query).expect("a small table");
    let mut table = naive(view, query);
    let people: u64 = table.values().map(|people| people.len() as u64).sum();
    let mut before: Option<&Flow> = None;
    for flow in &found.flows {
        let key = (flow.origin, flow.destination, flow.group.as_deref().map(str::to_owned));
        let people = table.remove(&key).expect("a cell that exists, told once");
        assert!(flow.count >= query.min_count);
        check_flow(flow, &people, query, &view.head.terms());
        if let Some(before) = before {
            let rank = |flow: &Flow| {
                (u64::MAX - flow.count, flow.origin, flow.destination, flow.group.clone())
            };
            assert!(rank(before) < rank(flow), "the largest first, then in one order");
        }
        before = Some(flow);
    }
    assert_eq!(found.count, found.flows.iter().map(|flow| flow.count).sum::<u64>());
    // What is left of the naive table was left out, and all of it is small.
    let left: Vec<u64> = table.values().map(|people| people.len() as u64).collect();
    assert!(left.iter().all(|count| *count < query.min_count), "{left:?}");
    assert_eq!(found.suppressed_cells, left.len() as u64);
    assert_eq!(people - found.count, left.iter().sum::<u64>());
    check_suppression(&found, &left, query.min_count);
    found
}

/// Goal: the sum of what is left out tells of no single cell. Method: by brute force, all
/// ways in which so many cells of 1..min_count people add up to the sum; if one cell is the
/// same in all of them, it is told.
fn check_suppression(found: &Flows, left: &[u64], min_count: u64) {
    let sum: u64 = left.iter().sum();
    if left.is_empty() {
        assert_eq!(found.suppressed_count, Some(0));
        return;
    }
    if let Some(told) = found.suppressed_count {
        assert_eq!(told, sum);
    }
    if left.len() > 5 || min_count > 6 {
        return;
    }
    let ways = ways(left.len(), sum, min_count - 1);
    let tells = (0..left.len()).any(|cell| ways.iter().all(|way| way[cell] == left[cell]));
    assert_eq!(found.suppressed_count.is_none(), tells, "{left:?} below {min_count}");
}

/// All sequences of `cells` numbers of 1..=most that add up to `sum`.
fn ways(cells: usize, sum: u64, most: u64) -> Vec<Vec<u64>> {
    if cells == 0 {
        return if sum == 0 { vec![vec![]] } else { vec![] };
    }
    let firsts = 1..=most.min(sum);
    let with = |first| {
        ways(cells - 1, sum - first, most).into_iter().map(move |mut way| {
            way.push(first);
            way
        })
    };
    firsts.flat_map(with).collect()
}

/// Goal: rows add up to the city's matched and placed workers, columns to who is held or
/// placed there, the diagonal is who stays, and all is the market's total.
fn check_margins(view: &View) {
    let found = survey(view, &Query::default()).expect("a small table");
    let cities = view.head.geography.cities.len();
    assert_eq!((found.balances.len(), found.stocks.len()), (cities, cities));
    let mut placed_at = vec![0; cities];
    let mut stays = vec![0; cities];
    for row in view.workers.iter() {
        let Some(held) = row.held else { continue };
        let city = view.vacancy(held.vacancy).vacancy.city;
        placed_at[city.at()] += u64::from(row.status == WorkerStatus::Placed);
        stays[city.at()] += u64::from(row.worker.home == city);
    }
    for at in 0..cities {
        let (balance, counts) = (found.balances[at], view.counts.get(at));
        assert_eq!(balance.matched(), counts.matched + counts.placed, "the row");
        assert_eq!(balance.stay + balance.inflow, counts.held + placed_at[at], "the column");
        assert_eq!(balance.stay, stays[at], "the diagonal");
        let stock = found.stocks[at];
        assert_eq!(stock.workers, counts.searching + counts.matched);
        assert_eq!((stock.vacancies, stock.openings), (counts.vacancies, counts.openings));
    }
    let net: i64 = found.balances.iter().map(|balance| balance.net()).sum();
    assert_eq!(net, 0, "who goes from somewhere comes to somewhere");
    let totals = &view.head.totals;
    assert_eq!(found.flows.count, totals.matched + totals.placed);
    let made = view.workers.iter().filter_map(|row| Some(row.held?.made)).max();
    assert_eq!(found.flows.newest, made);
}

fn any_query(choice: &mut Random, view: &View) -> Query {
    let revision = |choice: &mut Random| {
        choice.one_in(3).then(|| Revision(choice.below(view.head.revision.0 + 2)))
    };
    let city = |choice: &mut Random| {
        let cities = view.head.geography.cities.len() as u64;
        choice.one_in(4).then(|| CityIx::from_offset(choice.below(cities) as usize))
    };
    let values = ["29-1141", "29-1171", "15-1252", "29", "2", "京"];
    Query {
        since: revision(choice),
        until: revision(choice),
        origin: city(choice),
        destination: city(choice),
        moved_only: choice.one_in(3),
        placed: choice.of(&[None, None, Some(false), Some(true)]),
        group: choice.one_in(3).then(|| Group {
            label: choice.of(&["occupation", "occupation", "other"]).into(),
            value: choice.of(&values).into(),
            prefix: choice.one_in(2),
        }),
        by: choice
            .one_in(2)
            .then(|| By { label: "occupation".into(), prefix: choice.of(&[0, 1, 2, 5, 99]) }),
        min_count: choice.of(&[0, 0, 1, 2, 3, 4, 6]),
    }
}

/// Goal: all of the above in markets where everything happens that can. Method: random
/// commands of every kind; after every tenth the whole table and eight random questions.
#[test]
fn flows_of_random_lives_are_those_of_a_naive_count() {
    let (mut cells, mut placed) = (0, 0);
    for seed in 0..cases() {
        let mut case = Case::new(seed);
        let mut choice = Random(seed ^ 0xF1035);
        for step in 0..OPERATIONS {
            case.operate(choice.below(u64::from(KINDS)) as u8, choice.next());
            if step % 10 != 9 {
                continue;
            }
            let view = case.world.view();
            check_margins(view);
            let all = check(view, &Query::default());
            cells += all.flows.len();
            placed += all.flows.iter().filter_map(|flow| flow.placed).sum::<u64>();
            (0..8).for_each(|_| drop(check(view, &any_query(&mut choice, view))));
        }
    }
    println!("{cells} cells, {placed} placed");
    assert!(cells > 500 && placed > 100, "the markets have flows: {cells}, {placed}");
}

fn labelled(choice: &mut Random, number: u64) -> WorkerSpec {
    let value = choice.of(&["29-1141", "29-1171", "15-1252", "京东", ""]);
    let labels: &[(&str, &str)] = match choice.below(6) {
        0 => &[],
        1 => &[("other", "29-1141")],
        _ => &[("kind", "x"), ("occupation", value)],
    };
    WorkerSpec {
        home_city: city_name(choice.of(&[HOME, HOME, AWAY, ISLAND])),
        expected_salary: 40_000 + choice.below(9_001) as i64,
        reservation_salary: 20_000,
        labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        ..worker(number)
    }
}

fn job(choice: &mut Random, number: u64) -> VacancySpec {
    VacancySpec {
        city: city_name(choice.of(&[HOME, AWAY, AWAY, ISLAND])),
        openings: 1 + choice.below(9) as u32,
        salary: 45_000 + choice.below(5_001) as i64,
        labels: [("occupation".into(), choice.of(&["29-1141", "15-1252"]).into())].into(),
        ..vacancy(number)
    }
}

/// Goal: the same by groups and rounds. Method: people with labels, a few rounds, some
/// placed after each, some back in the pool elsewhere.
#[test]
fn flows_of_groups_and_rounds_are_those_of_a_naive_count() {
    let (mut suppressed, mut told) = (0, 0);
    for seed in 0..cases() {
        let mut choice = Random(seed);
        let settings = Settings { confirmations: Confirmations::Either, ..Settings::default() };
        let mut world = World::new(settings);
        for round in 0..3 {
            let newcomers: Vec<_> =
                (1..=30).map(|n| labelled(&mut choice, 100 * round + n)).collect();
            world.ok(upsert(newcomers));
            let jobs: Vec<_> = (1..=4).map(|n| job(&mut choice, 100 * round + n)).collect();
            world.ok(offer(jobs));
            world.clear();
            let held = |row: &&WorkerRow| row.status == WorkerStatus::Matched;
            let pairs: Vec<_> = world
                .view()
                .workers
                .iter()
                .filter(held)
                .filter(|_| choice.one_in(2))
                .map(|row| {
                    (row.worker.id, world.view().vacancy(row.held.unwrap().vacancy).vacancy.id)
                })
                .collect();
            world.ok(Command::Confirm { side: MatchSide::Worker, batch: batch(pairs) });
            let back: Vec<_> = (1..=5)
                .map(|_| 100 * choice.below(round + 1) + 1 + choice.below(30))
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .map(|number| labelled(&mut choice, number))
                .collect();
            world.ok(reopen(back));
        }
        let view = world.view();
        check_margins(view);
        for round in view.head.rounds.iter() {
            let made = Query { since: round.end, until: round.end, ..Query::default() };
            check(view, &made);
        }
        for _ in 0..30 {
            let query = any_query(&mut choice, view);
            let found = check(view, &query);
            suppressed += found.suppressed_cells;
            told += u64::from(found.suppressed_cells > 0 && found.suppressed_count.is_some());
            check_stocks(view, &query);
        }
    }
    println!("{suppressed} cells left out, {told} sums told");
    assert!(suppressed > 1_000 && told > 100, "suppression happens: {suppressed}, {told}");
}

/// Goal: the pools of a group are those of its people and its jobs.
fn check_stocks(view: &View, query: &Query) {
    let Some(group) = &query.group else { return };
    let stocks = survey(view, query).unwrap().stocks;
    let has = |labels: &SharedLabels| {
        labels.iter().flat_map(|labels| labels.iter()).any(|(key, value)| {
            **key == *group.label
                && (**value == *group.value || group.prefix && value.starts_with(&*group.value))
        })
    };
    for (at, stock) in stocks.iter().enumerate() {
        let workers = view.workers.iter().filter(|row| {
            row.worker.home.at() == at && row.status.in_pool() && has(&row.worker.labels)
        });
        let open = view.vacancies.iter().filter(|row| {
            row.vacancy.city.at() == at
                && row.status == VacancyStatus::Open
                && has(&row.vacancy.labels)
        });
        let open: Vec<_> = open.map(|row| u64::from(row.free())).collect();
        assert_eq!(
            (stock.workers, stock.vacancies, stock.openings),
            (workers.count() as u64, open.len() as u64, open.iter().sum())
        );
    }
}

/// Goal: the origin of somebody placed is where she lived before the move: what MIGRATED
/// said when she moved. And who comes back into the pool is not counted until she is matched
/// again, then from her new home.
#[test]
fn the_origin_is_home_before_the_move() {
    let away = [vacancy(1), vacancy(2)].map(|job| VacancySpec { city: city_name(AWAY), ..job });
    let settings = Settings { confirmations: Confirmations::Either, ..Settings::default() };
    let mut world = World::cleared(settings, [worker(1)], away);
    let view = world.view();
    let ends = |view: &View| {
        let all = flows(view, &Query::default()).unwrap().flows;
        let id = |ix| view.head.geography.city(ix).id.to_string();
        all.iter()
            .map(|flow| (id(flow.origin), id(flow.destination), flow.placed))
            .collect::<Vec<_>>()
    };
    let flow = |from: &str, to: &str, placed| vec![(from.to_owned(), to.to_owned(), Some(placed))];
    assert_eq!(ends(view), flow(HOME, AWAY, 0), "planned");
    let held = world.job_of(1).unwrap();
    let done = world.ok(confirm(MatchSide::Worker, [(1, held)]));
    let moved = done.events.iter().find_map(|event| match event {
        Event::Migration(MigrationChange::Migrated, pairing, _) => Some(*pairing),
        _ => None,
    });
    let moved = moved.expect("she has moved");
    let id = |ix| world.view().head.geography.city(ix).id.to_string();
    assert_eq!((id(moved.origin), id(moved.destination)), (HOME.to_owned(), AWAY.to_owned()));
    assert_eq!(ends(world.view()), flow(HOME, AWAY, 1), "moved");

    world.ok(reopen([WorkerSpec { home_city: city_name(AWAY), ..worker(1) }]));
    assert!(ends(world.view()).is_empty(), "her match is history");
    world.clear();
    assert_eq!(ends(world.view()), flow(AWAY, AWAY, 0), "and she stays");
}

/// Goal: a table is refused past its limit of cells, not at it, and the answer says why.
#[test]
fn a_table_has_a_limit_of_cells() {
    let mut choice = Random(7);
    let people: Vec<_> = (1..=30).map(|n| labelled(&mut choice, n)).collect();
    let jobs: Vec<_> = (1..=9).map(|n| job(&mut choice, n)).collect();
    let world = World::cleared(Settings::default(), people, jobs);
    let cells = flows(world.view(), &Query::default()).unwrap().flows.len();
    assert!(cells > 2);
    assert!(flows_within(world.view(), &Query::default(), cells).is_ok());
    let refused = flows_within(world.view(), &Query::default(), cells - 1).unwrap_err();
    assert_eq!(refused.reason, Reason::LimitReached);
    assert!(refused.message.contains(&(cells - 1).to_string()), "{}", refused.message);
    // However many are asked for, nothing overflows.
    let all = Query { min_count: u64::MAX, ..Query::default() };
    let found = flows(world.view(), &all).unwrap();
    assert_eq!((found.flows.len(), found.suppressed_cells), (0, cells as u64));
}

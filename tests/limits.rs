//! Every limit at the limit and one past it, with code and reason.
//!
//! Each is tested where it is cheapest: values by the check of their spec, sizes of a
//! market on its state (filled by effects, as a recovery would), what a server bounds on a
//! real one with small options. `docs/LIMITS.md` must list every constant with its value.

mod support;

use gale::domain::limits::*;
use gale::domain::*;
use gale::events::{Batch as EventBatch, Event, Log, Missed, Position, Retention};
use gale::market::{Markets, SystemClock};
use gale::proto::v1 as pb;
use gale::server::Options;
use gale::state::*;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::audit;
use support::server;
use support::server::{MARKET, Server, options, refused_as};
use support::world::*;
use tokio_stream::StreamExt;
use tonic::Code;
use uuid::Uuid;

// The document.

macro_rules! constants {
    ($($name:ident,)*) => { &[$((stringify!($name), $name as u128),)*] };
}

/// All constants of `src/domain/limits.rs`; the test below notices one that is missing.
const CONSTANTS: &[(&str, u128)] = constants![
    NAME_BYTES_MAX,
    TEXT_BYTES_MAX,
    CURRENCY_BYTES_MAX,
    LABELS_MAX,
    LABEL_KEY_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX,
    WORKER_SKILLS_MAX,
    REQUIREMENTS_MAX,
    SKILL_LEVEL_MAX,
    WEIGHT_MAX,
    RANKING_MAX,
    MOBILITY_CITIES_MAX,
    CITIES_MAX,
    REGIONS_MAX,
    SKILLS_MAX,
    MOVE_COSTS_MAX,
    WORKERS_MAX,
    VACANCIES_MAX,
    MARKETS_MAX,
    OPENINGS_MAX,
    MONEY_MAX,
    PER_KM_MAX,
    COST_OF_LIVING_MAX,
    COST_PERCENT_MAX,
    HORIZON_YEARS_MAX,
    BASIS_POINTS_MAX,
    FIT_MAX,
    INTAKE_CAP_MAX,
    POPULATION_MAX,
    INTERVAL_SECONDS_MIN,
    INTERVAL_SECONDS_MAX,
    HELD_SECONDS_MAX,
    HELD_ROUNDS_MAX,
    BATCH_MAX,
    MESSAGE_BYTES_MAX,
    EVENT_CHUNK_BYTES_MAX,
    RECENT_CHUNKS_BYTES_MAX,
    FILTER_VALUES_MAX,
    CHECKPOINT_MILLIS_MIN,
    CHECKPOINT_MILLIS_MAX,
    CHECKPOINT_MILLIS_DEFAULT,
    STATUS_FIELDS_BYTES_MAX,
    STATUS_TEXT_BYTES_MAX,
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    PAGE_BYTES_MAX,
    PINNED_SNAPSHOTS_MAX,
    FLOW_CELLS_MAX,
    FLOW_TABLES_MAX,
    EXPORT_QUERY_BYTES_MAX,
    OUTCOMES_MAX,
    OUTCOMES_BYTES_MAX,
    ROUNDS_MAX,
    SUBSCRIBERS_PER_MARKET_MAX,
    SUBSCRIBERS_PER_SERVER_MAX,
    SUBSCRIBER_STALL_SECONDS_MAX,
    HISTORY_BYTES_MAX,
    HISTORY_SECONDS_MAX,
    KEPT_HISTORY_BYTES_MAX,
    SNAPSHOT_EFFECTS,
    QUEUE_COMMANDS_MAX,
    QUEUE_BYTES_MAX,
    PLANNING_CALLS_MAX,
    GUIDANCE_CHANGES_MAX,
    INDICATOR_GROUPS_MAX,
    INDICATOR_GROUPS_DEFAULT,
    INDICATOR_ROWS_MAX,
    SPECIALITIES_DEFAULT,
    SPECIALITIES_MAX,
    FIRST_CHOICES_MAX,
    SPLIT_SEEKERS_MAX,
    DIFFERENTIAL_PAIRS_MAX,
    DIFFERENTIAL_SEEKERS_MIN,
    STREAMS_PER_CONNECTION_MAX,
    CONNECTIONS_MAX,
    UNARY_SECONDS_DEFAULT,
    STOP_SECONDS_MAX,
    POLICY_ITEMS_MAX,
    POLICY_CUT_BP_MAX,
    POLICY_RISE_BP_MAX,
    SCENARIO_PERIODS_MAX,
    SCENARIO_SEEDS_MAX,
    SCENARIO_ROWS_MAX,
    SCENARIO_RUNS_MAX,
    SCENARIOS_KEPT_MAX,
    SCENARIOS_KEPT_BYTES_MAX,
    SCENARIO_CITIES_MAX,
    SCENARIO_MACRO_CITIES_MAX,
    CLUSTER_VACANCIES_MAX,
];

fn with_commas(value: u128) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Goal: `docs/LIMITS.md` lists every constant of the source, once, with its value.
#[test]
fn the_document_lists_every_limit() {
    let source = include_str!("../src/domain/limits.rs");
    let document = include_str!("../docs/LIMITS.md");
    let in_source = source.lines().filter_map(|line| line.strip_prefix("pub const "));
    let mut in_source: Vec<_> = in_source.map(|rest| rest.split(':').next().unwrap()).collect();
    let mut here: Vec<_> = CONSTANTS.iter().map(|(name, _)| *name).collect();
    in_source.sort_unstable();
    here.sort_unstable();
    assert_eq!(in_source, here, "the list above has every constant");
    for (name, value) in CONSTANTS {
        let row = format!("| `{name}` | {} | ", with_commas(*value));
        assert_eq!(document.matches(&row).count(), 1, "docs/LIMITS.md lacks: {row}");
    }
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), CONSTANTS.len(), "and nothing else");
}

/// Goal: what a server can be told starts at the limits.
#[test]
fn options_default_to_the_limits() {
    let options = Options::default();
    assert_eq!(options.markets_max, MARKETS_MAX);
    assert_eq!(options.connections_max, CONNECTIONS_MAX);
    assert_eq!(options.history_bytes_max, HISTORY_BYTES_MAX);
    assert_eq!(options.history_age_max.as_secs(), HISTORY_SECONDS_MAX);
    let data = gale::server::Data::in_directory("d");
    assert_eq!(data.history_bytes_max, KEPT_HISTORY_BYTES_MAX);
    assert_eq!(data.snapshot_effects, SNAPSHOT_EFFECTS);
    assert_eq!(options.subscriber_stall.as_secs(), SUBSCRIBER_STALL_SECONDS_MAX);
    assert_eq!(options.subscribers_max, SUBSCRIBERS_PER_SERVER_MAX);
    assert_eq!(options.subscribers_per_market_max, SUBSCRIBERS_PER_MARKET_MAX);
    assert_eq!(options.unary_deadline.as_secs(), UNARY_SECONDS_DEFAULT);
    assert_eq!(options.stop.as_secs(), STOP_SECONDS_MAX);
    let capacity = options.capacity;
    assert_eq!((capacity.workers, capacity.vacancies), (WORKERS_MAX, VACANCIES_MAX));
}

// Values: by the check of their spec.

#[track_caller]
fn refuses<T: std::fmt::Debug>(checked: Result<T, Violation>, reason: Reason, field: &str) {
    let violation = checked.expect_err(field);
    assert_eq!((violation.reason, violation.field.as_str()), (reason, field));
}

/// Goal: each bounded value goes at both ends, and not one past either.
#[test]
fn values_of_workers() {
    let check = |change: &dyn Fn(&mut WorkerSpec)| {
        let mut spec = worker(1);
        change(&mut spec);
        spec.check()
    };
    let invalid = |result, field| refuses(result, Reason::InvalidField, field);
    let too_many = |result, field| refuses(result, Reason::TooMany, field);
    let skills =
        |n: usize, level| (0..n).map(|i| (skill(&i.to_string()), level)).collect::<Vec<_>>();
    check(&|w| w.skills = skills(WORKER_SKILLS_MAX, SKILL_LEVEL_MAX)).unwrap();
    too_many(check(&|w| w.skills = skills(WORKER_SKILLS_MAX + 1, 0)), "skills");
    invalid(check(&|w| w.skills = skills(1, SKILL_LEVEL_MAX + 1)), "skills[0].level");
    let salaries = |expected, reservation| {
        check(&|w| (w.expected_salary, w.reservation_salary) = (expected, reservation))
    };
    salaries(MONEY_MAX, MONEY_MAX).unwrap();
    salaries(1, 1).unwrap();
    invalid(salaries(MONEY_MAX + 1, 1), "expected_salary");
    invalid(salaries(0, 0), "expected_salary");
    invalid(salaries(2, 3), "reservation_salary");
    invalid(salaries(2, 0), "reservation_salary");
    check(&|w| w.cost_percent = COST_PERCENT_MAX).unwrap();
    invalid(check(&|w| w.cost_percent = COST_PERCENT_MAX + 1), "mobility.cost_percent");
    let cities =
        |n: usize| MobilitySpec::Listed((0..n).map(|i| city_name(&i.to_string())).collect());
    check(&|w| w.mobility = cities(MOBILITY_CITIES_MAX)).unwrap();
    too_many(check(&|w| w.mobility = cities(MOBILITY_CITIES_MAX + 1)), "mobility.cities");
    let ranking = |n: usize| Some((0..n as u64).map(vacancy_id).collect());
    check(&|w| w.ranking = ranking(RANKING_MAX)).unwrap();
    too_many(check(&|w| w.ranking = ranking(RANKING_MAX + 1)), "ranking.ids");
    let labels = |n: usize, key: usize, value: usize| -> Labels {
        let key = |i| format!("{i}{}", "k".repeat(key - 1)).into();
        (0..n).map(|i| (key(i), "v".repeat(value).into())).collect()
    };
    check(&|w| w.labels = labels(LABELS_MAX, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX)).unwrap();
    too_many(check(&|w| w.labels = labels(LABELS_MAX + 1, 1, 0)), "labels");
    let key = format!("labels[0{}]", "k".repeat(LABEL_KEY_BYTES_MAX));
    invalid(check(&|w| w.labels = labels(1, LABEL_KEY_BYTES_MAX + 1, 0)), &key);
    invalid(check(&|w| w.labels = labels(1, 1, LABEL_VALUE_BYTES_MAX + 1)), "labels[0]");
}

/// Goal: the same for vacancies.
#[test]
fn values_of_vacancies() {
    let check = |change: &dyn Fn(&mut VacancySpec)| {
        let mut spec = vacancy(1);
        change(&mut spec);
        spec.check()
    };
    let invalid = |result, field| refuses(result, Reason::InvalidField, field);
    let too_many = |result, field| refuses(result, Reason::TooMany, field);
    let requirements = |n: usize, level, weight, minimum| -> Vec<RequirementSpec> {
        let requirement = |i: usize| RequirementSpec {
            skill: skill(&i.to_string()),
            desired_level: level,
            weight,
            minimum_level: Some(minimum),
        };
        (0..n).map(requirement).collect()
    };
    let (level, weight) = (SKILL_LEVEL_MAX, WEIGHT_MAX);
    check(&|v| v.requirements = requirements(REQUIREMENTS_MAX, level, weight, level)).unwrap();
    check(&|v| v.requirements = requirements(1, 1, 1, 0)).unwrap();
    too_many(
        check(&|v| v.requirements = requirements(REQUIREMENTS_MAX + 1, 1, 1, 0)),
        "requirements",
    );
    let one = |level, weight, minimum| {
        check(&|v| v.requirements = requirements(1, level, weight, minimum))
    };
    invalid(one(level + 1, 1, 0), "requirements[0].desired_level");
    invalid(one(0, 1, 0), "requirements[0].desired_level");
    invalid(one(1, weight + 1, 0), "requirements[0].weight");
    invalid(one(1, 0, 0), "requirements[0].weight");
    invalid(one(1, 1, level + 1), "requirements[0].minimum_level");
    for field in ["employer", "title"] {
        let text = |n: usize| {
            check(&|v| {
                let text = "x".repeat(n).into();
                if field == "title" { v.title = text } else { v.employer = text }
            })
        };
        text(TEXT_BYTES_MAX).unwrap();
        invalid(text(TEXT_BYTES_MAX + 1), field);
    }
    check(&|v| (v.openings, v.target) = (OPENINGS_MAX, OPENINGS_MAX)).unwrap();
    invalid(check(&|v| v.openings = OPENINGS_MAX + 1), "openings");
    invalid(check(&|v| v.target = OPENINGS_MAX + 1), "target");
    check(&|v| v.salary = MONEY_MAX).unwrap();
    invalid(check(&|v| v.salary = MONEY_MAX + 1), "salary");
    invalid(check(&|v| v.salary = 0), "salary");
    check(&|v| v.min_fit_bp = Some(FIT_MAX)).unwrap();
    invalid(check(&|v| v.min_fit_bp = Some(FIT_MAX + 1)), "min_fit_bp");
    let ranking = |n: usize| Some((0..n as u64).map(worker_id).collect());
    check(&|v| v.ranking = ranking(RANKING_MAX)).unwrap();
    too_many(check(&|v| v.ranking = ranking(RANKING_MAX + 1)), "ranking.ids");
}

/// Goal: the same for places.
#[test]
fn values_of_places() {
    let check = |change: &dyn Fn(&mut CitySpec)| {
        let mut spec = city(HOME);
        change(&mut spec);
        spec.check()
    };
    let invalid = |result, field| refuses(result, Reason::InvalidField, field);
    let long: Box<str> = "x".repeat(TEXT_BYTES_MAX).into();
    check(&|c| c.display_name = long.clone()).unwrap();
    invalid(check(&|c| c.display_name = "x".repeat(TEXT_BYTES_MAX + 1).into()), "display_name");
    for at in [-90.0, 90.0] {
        check(&|c| (c.latitude, c.longitude) = (at, 2.0 * at)).unwrap();
        invalid(check(&|c| c.latitude = at * 1.000_001), "latitude");
        invalid(check(&|c| c.longitude = 2.0 * at * 1.000_001), "longitude");
    }
    check(&|c| c.cost_of_living = COST_OF_LIVING_MAX).unwrap();
    check(&|c| c.cost_of_living = 1).unwrap();
    invalid(check(&|c| c.cost_of_living = COST_OF_LIVING_MAX + 1), "cost_of_living");
    invalid(check(&|c| c.cost_of_living = 0), "cost_of_living");
    check(&|c| c.population = POPULATION_MAX).unwrap();
    invalid(check(&|c| c.population = POPULATION_MAX + 1), "population");
    check(&|c| c.intake_cap = Some(INTAKE_CAP_MAX)).unwrap();
    invalid(check(&|c| c.intake_cap = Some(INTAKE_CAP_MAX + 1)), "intake_cap");
    check(&|c| c.move_subsidy = MONEY_MAX).unwrap();
    invalid(check(&|c| c.move_subsidy = MONEY_MAX + 1), "move_subsidy");

    let region = |intake_cap, name: usize| {
        let display_name = "x".repeat(name).into();
        RegionSpec { intake_cap, display_name, ..region(PROVINCE) }.check()
    };
    region(Some(INTAKE_CAP_MAX), TEXT_BYTES_MAX).unwrap();
    invalid(region(Some(INTAKE_CAP_MAX + 1), 0), "intake_cap");
    invalid(region(None, TEXT_BYTES_MAX + 1), "display_name");

    let cost = |cost, subsidy| {
        let (origin, destination) = (city_name(HOME), city_name(AWAY));
        MoveCostSpec { origin, destination, cost: Some(cost), subsidy }.check()
    };
    cost(MONEY_MAX, MONEY_MAX).unwrap();
    invalid(cost(MONEY_MAX + 1, 0), "cost");
    invalid(cost(0, MONEY_MAX + 1), "subsidy");

    let name = |n: usize| MarketName::parse("id", &"x".repeat(n));
    name(1).unwrap();
    name(NAME_BYTES_MAX).unwrap();
    invalid(name(NAME_BYTES_MAX + 1).map(drop), "id");
    invalid(name(0).map(drop), "id");
}

/// Goal: the same for settings.
#[test]
fn values_of_settings() {
    let check = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check()
    };
    let invalid = |result, field| refuses(result, Reason::InvalidField, field);
    check(&|s| s.currency = "x".repeat(CURRENCY_BYTES_MAX).into()).unwrap();
    invalid(check(&|s| s.currency = "x".repeat(CURRENCY_BYTES_MAX + 1).into()), "currency");
    for seconds in [INTERVAL_SECONDS_MIN, INTERVAL_SECONDS_MAX] {
        check(&|s| s.clearing = Clearing::Interval(seconds)).unwrap();
    }
    for seconds in [INTERVAL_SECONDS_MIN - 1, INTERVAL_SECONDS_MAX + 1] {
        let field = "clearing.interval_seconds";
        invalid(check(&|s| s.clearing = Clearing::Interval(seconds)), field);
    }
    check(&|s| s.confirmation_window_seconds = HELD_SECONDS_MAX).unwrap();
    let field = "confirmation_window_seconds";
    invalid(check(&|s| s.confirmation_window_seconds = HELD_SECONDS_MAX + 1), field);
    check(&|s| s.place_after_seconds = HELD_SECONDS_MAX).unwrap();
    invalid(check(&|s| s.place_after_seconds = HELD_SECONDS_MAX + 1), "place_after_seconds");
    check(&|s| s.confirm_after_rounds = HELD_ROUNDS_MAX).unwrap();
    invalid(check(&|s| s.confirm_after_rounds = HELD_ROUNDS_MAX + 1), "confirm_after_rounds");
    check(&|s| s.fixed_move_cost = MONEY_MAX).unwrap();
    invalid(check(&|s| s.fixed_move_cost = MONEY_MAX + 1), "fixed_move_cost");
    invalid(check(&|s| s.fixed_move_cost = -1), "fixed_move_cost");
    check(&|s| s.move_cost_per_km = PER_KM_MAX).unwrap();
    invalid(check(&|s| s.move_cost_per_km = PER_KM_MAX + 1), "move_cost_per_km");
    check(&|s| s.horizon_years = HORIZON_YEARS_MAX).unwrap();
    invalid(check(&|s| s.horizon_years = HORIZON_YEARS_MAX + 1), "horizon_years");
    invalid(check(&|s| s.horizon_years = 0), "horizon_years");
    check(&|s| s.fit_value = MONEY_MAX).unwrap();
    invalid(check(&|s| s.fit_value = MONEY_MAX + 1), "fit_value");
    check(&|s| s.shortfall_weight_bp = BASIS_POINTS_MAX).unwrap();
    invalid(check(&|s| s.shortfall_weight_bp = BASIS_POINTS_MAX + 1), "shortfall_weight_bp");
    check(&|s| s.max_shortfall_bp = BASIS_POINTS_MAX).unwrap();
    invalid(check(&|s| s.max_shortfall_bp = BASIS_POINTS_MAX + 1), "max_shortfall_bp");
    check(&|s| s.local_bonus_bp = BASIS_POINTS_MAX).unwrap();
    invalid(check(&|s| s.local_bonus_bp = BASIS_POINTS_MAX + 1), "local_bonus_bp");
    check(&|s| s.min_fit_bp = FIT_MAX).unwrap();
    invalid(check(&|s| s.min_fit_bp = FIT_MAX + 1), "min_fit_bp");
}

/// Goal: with everything at its limit nothing overflows: clearing, certificate, placing
/// and explaining. (Overflow is checked in release builds too, and would panic.)
#[test]
fn nothing_overflows_at_the_limits() {
    for (horizon, kappas) in [(1, [1, COST_OF_LIVING_MAX]), (50, [COST_OF_LIVING_MAX, 1])] {
        let settings = Settings {
            fixed_move_cost: MONEY_MAX,
            move_cost_per_km: PER_KM_MAX,
            horizon_years: horizon,
            fit_value: MONEY_MAX,
            shortfall_weight_bp: BASIS_POINTS_MAX,
            max_shortfall_bp: BASIS_POINTS_MAX,
            local_bonus_bp: BASIS_POINTS_MAX,
            ..Settings::default()
        };
        let mut world = World::new(settings);
        let far = |name, longitude, kappa| CitySpec {
            longitude,
            cost_of_living: kappa,
            intake_cap: Some(INTAKE_CAP_MAX),
            region: None,
            ..city(name)
        };
        world.ok(Command::UpsertCities(batch([
            far(HOME, 0.0, kappas[0]),
            far(AWAY, 180.0, kappas[1]),
        ])));
        let mut number = 0;
        for home in [HOME, AWAY] {
            for salary in [1, MONEY_MAX] {
                for cost_percent in [0, COST_PERCENT_MAX] {
                    number += 1;
                    world.ok(upsert([WorkerSpec {
                        home_city: city_name(home),
                        expected_salary: salary,
                        reservation_salary: 1,
                        cost_percent,
                        ..worker(number)
                    }]));
                    world.ok(offer([VacancySpec {
                        city: city_name(home),
                        salary,
                        openings: OPENINGS_MAX,
                        ..vacancy(number)
                    }]));
                }
            }
        }
        for side in [Side::Worker, Side::Vacancy] {
            world.settings(|settings| settings.proposing_side = side);
            world.clear();
            audit::standing(world.view());
        }
        assert!(world.view().head.totals.matched > 0);
        let explainer = Explainer::new(world.view());
        for at in 0..world.view().workers.len() {
            let slot = WorkerSlot::from_offset(at);
            assert!(!explainer.worker(slot).sentence.is_empty());
            for v in 0..world.view().vacancies.len() {
                explainer.pair(slot, VacancySlot::from_offset(v));
            }
        }
    }
}

// Sizes of a market: on its state.

/// Applies effects to the world's state as a recovery would, in one revision.
fn recover(world: &mut World, effects: impl IntoIterator<Item = Effect>) {
    let revision = world.view().head.revision.next();
    effects.into_iter().for_each(|effect| world.state.evolve(revision, &effect));
}

fn plain_city(at: usize) -> CitySpec {
    CitySpec { region: None, ..city(&format!("c{at}")) }
}

/// Cities at the first `count` indices, all in one place.
fn fill_cities(world: &mut World, count: usize) {
    let none: Arc<[u16]> = vec![0; count].into();
    recover(
        world,
        (0..count).map(|at| {
            let city = City {
                id: city_name(&format!("c{at}")),
                display_name: "".into(),
                region: None,
                latitude: 0.0,
                longitude: 0.0,
                cost_of_living: 1_000,
                population: 0,
                intake_cap: None,
                move_subsidy: 0,
            };
            let ix = CityIx::from_offset(at);
            Effect::CityPut { ix, city: Arc::new(city), km: none.clone(), cap_set: true }
        }),
    );
}

fn bare(capacity: Capacity) -> World {
    World::bare(Settings::default(), capacity)
}

#[track_caller]
fn full(violation: Violation, field: &str) {
    assert_eq!((violation.reason, violation.field.as_str()), (Reason::LimitReached, field));
}

/// Goal: the last city goes in, the next does not, and known ones can still change.
#[test]
fn cities_of_a_market() {
    let mut world = bare(Capacity::default());
    fill_cities(&mut world, CITIES_MAX - 1);
    world.ok(Command::UpsertCities(batch([plain_city(CITIES_MAX - 1)])));
    full(world.refused_item(Command::UpsertCities(batch([plain_city(CITIES_MAX)]))), "cities");
    let changed = CitySpec { population: 9, ..plain_city(7) };
    world.ok(Command::UpsertCities(batch([changed])));
}

/// Goal: the same for regions.
#[test]
fn regions_of_a_market() {
    let mut world = bare(Capacity::default());
    let plain = |at: usize| RegionSpec { parent: None, ..region(&format!("r{at}")) };
    recover(
        &mut world,
        (0..REGIONS_MAX - 1).map(|at| {
            let region = Region {
                id: region_name(&format!("r{at}")),
                display_name: "".into(),
                parent: None,
                intake_cap: None,
            };
            let ix = RegionIx::from_offset(at);
            Effect::RegionPut { ix, region: Arc::new(region), cap_set: true }
        }),
    );
    let two = batch([plain(REGIONS_MAX - 1), plain(REGIONS_MAX)]);
    let done = world.apply(Command::UpsertRegions(two)).unwrap();
    let [error] = &done.outcome.errors[..] else { panic!("{:?}", done.outcome.errors) };
    assert_eq!(error.index, 1);
    full(error.violation.clone(), "regions");
    assert_eq!(world.view().head.geography.regions.len(), REGIONS_MAX);
}

/// Goal: the last skill goes in; a worker who brings two more brings none of them.
#[test]
fn skills_of_a_market() {
    let mut world = bare(Capacity::default());
    fill_cities(&mut world, 1);
    recover(&mut world, (0..SKILLS_MAX - 1).map(|n| Effect::SkillAdded(skill(&n.to_string()))));
    let with = |n, names: &[&str]| WorkerSpec {
        home_city: city_name("c0"),
        skills: names.iter().map(|name| (skill(name), 1)).collect(),
        ..worker(n)
    };
    full(world.refused_item(upsert([with(1, &["x", "y"])])), "skills");
    world.ok(upsert([with(1, &["x", "0"])]));
    full(world.refused_item(upsert([with(2, &["y"])])), "skills");
    world.ok(upsert([with(2, &["x", "1"])]));
    let requirement = |name: &str| RequirementSpec {
        skill: skill(name),
        desired_level: 1,
        weight: 1,
        minimum_level: None,
    };
    let asks = |name| VacancySpec {
        city: city_name("c0"),
        requirements: vec![requirement(name)],
        ..vacancy(1)
    };
    full(world.refused_item(offer([asks("y")])), "skills");
    world.ok(offer([asks("x")]));
    assert_eq!(world.view().head.skills.len(), SKILLS_MAX);
}

/// Goal: the last override goes in, the next does not, until one is removed.
#[test]
fn move_costs_of_a_market() {
    let mut world = bare(Capacity::default());
    let cities = 2_001;
    fill_cities(&mut world, cities);
    let pairs = (0..cities).flat_map(|a| (0..cities).map(move |b| (a, b))).filter(|(a, b)| a != b);
    assert_eq!(cities * (cities - 1), MOVE_COSTS_MAX + 2_000);
    let ix = CityIx::from_offset;
    let cost = Some(MoveCost { cost: Some(1), subsidy: 0 });
    recover(
        &mut world,
        pairs.take(MOVE_COSTS_MAX - 1).map(|(a, b)| Effect::MoveCostPut {
            origin: ix(a),
            destination: ix(b),
            cost,
        }),
    );
    let put = |destination: usize, cost| {
        let origin = city_name(&format!("c{}", cities - 1));
        let destination = city_name(&format!("c{destination}"));
        Command::SetMoveCosts(batch([MoveCostSpec { origin, destination, cost, subsidy: 0 }]))
    };
    world.ok(put(1_000, Some(1)));
    full(world.refused_item(put(1_001, Some(1))), "move_costs");
    world.ok(put(1_000, Some(2)));
    world.ok(put(1_000, None));
    world.ok(put(1_001, Some(1)));
    assert_eq!(world.view().head.geography.move_cost_count(), MOVE_COSTS_MAX);
}

/// Goal: a full market takes no newcomers, in the middle of a batch too, whatever the
/// status of those that it has; known ones change and come back.
#[test]
fn workers_and_vacancies_of_a_market() {
    let mut world = bare(Capacity { workers: 3, vacancies: 2 });
    fill_cities(&mut world, 1);
    let (w, v) = (
        |n| WorkerSpec { home_city: city_name("c0"), ..worker(n) },
        |n| VacancySpec { city: city_name("c0"), ..vacancy(n) },
    );
    let done = world.apply(upsert((1..=4).map(w))).unwrap();
    let [error] = &done.outcome.errors[..] else { panic!("{:?}", done.outcome.errors) };
    assert_eq!(error.index, 3);
    full(error.violation.clone(), "workers");
    world.ok(withdraw([1]));
    full(world.refused_item(upsert([w(4)])), "workers");
    world.ok(upsert([w(1)]));
    world.ok(offer((1..=2).map(v)));
    world.ok(close([2]));
    full(world.refused_item(offer([v(3)])), "vacancies");
    world.ok(offer([v(2)]));
}

/// Goal: the history of rounds forgets the oldest.
#[test]
fn rounds_of_a_market() {
    let mut world = bare(Capacity::default());
    for _ in 0..ROUNDS_MAX {
        let id = world.next_round();
        world.ok(Command::StartRound(id));
        world.ok(Command::CancelRound(id));
    }
    let reason = |world: &mut World, n| world.refused(Command::CancelRound(round_id(n)))[0].reason;
    assert_eq!(reason(&mut world, 1), Reason::RoundEnded);
    let id = world.next_round();
    world.ok(Command::StartRound(id));
    assert_eq!(world.view().head.rounds.len(), ROUNDS_MAX);
    assert_eq!(reason(&mut world, 1), Reason::RoundNotFound);
    assert_eq!(reason(&mut world, 2), Reason::RoundEnded);
}

/// Goal: outcomes are remembered up to their number and up to their bytes, the oldest is
/// forgotten, and a retry of it is a new command.
#[test]
fn outcomes_of_a_market() {
    let key = |n: usize| RequestKey { id: RequestId(Uuid::from_u128(n as u128)), fingerprint: 0 };
    let plain = Outcome {
        revision: Revision(1),
        errors: vec![],
        made: None,
        placed: 7,
        round: None,
        standing: Standing::Stable,
        displaced: 0,
        improved: 0,
    };
    let made: Arc<[Uuid]> = vec![Uuid::nil(); BATCH_MAX].into();
    let large = Outcome { made: Some(made), ..plain.clone() };
    let by_bytes = OUTCOMES_BYTES_MAX / large.bytes();
    for (outcome, count) in [(plain, OUTCOMES_MAX), (large, by_bytes)] {
        let outcome = Arc::new(outcome);
        let mut world = bare(Capacity::default());
        let remember = |n: usize| Effect::Remembered { key: key(n), outcome: outcome.clone() };
        (0..count).for_each(|n| world.state.evolve(Revision(1), &remember(n)));
        let known = |n| {
            let envelope = Envelope { at: Millis(0), request: Some(key(n)), command: withdraw([]) };
            world.state.decide(&envelope).unwrap().outcome.placed == 7
        };
        assert!(known(0) && known(count - 1));
        world.state.evolve(Revision(1), &remember(count));
        let known = |n| {
            let envelope = Envelope { at: Millis(0), request: Some(key(n)), command: withdraw([]) };
            world.state.decide(&envelope).unwrap().outcome.placed == 7
        };
        assert!(!known(0) && known(1) && known(count));
    }
}

/// Goal: history is trimmed at its bytes and at its age, and not before.
#[test]
fn history_of_a_market() {
    let batch = |revision, at| EventBatch {
        revision: Revision(revision),
        at: Millis(at),
        events: Box::new([Event::CityChanged(
            CityIx(0),
            Arc::new(City {
                id: city_name(HOME),
                display_name: "".into(),
                region: None,
                latitude: 0.0,
                longitude: 0.0,
                cost_of_living: 1,
                population: 0,
                intake_cap: None,
                move_subsidy: 0,
            }),
        )]),
    };
    let forever = Duration::from_secs(u64::MAX);
    let one = {
        let log = Log::new(Retention { bytes: usize::MAX, age: forever });
        log.append(batch(1, 0));
        log.bytes()
    };
    let log = Log::new(Retention { bytes: 3 * one, age: forever });
    (1..=3).for_each(|revision| log.append(batch(revision, 0)));
    assert_eq!((log.oldest(), log.bytes()), (Position::start_of(Revision(1)), 3 * one));
    log.append(batch(4, 0));
    let oldest = Position::start_of(Revision(2));
    assert_eq!((log.oldest(), log.bytes()), (oldest, 3 * one));
    let before = Position::start_of(Revision(1));
    assert_eq!(log.resolve(before), Err(Missed::Trimmed(oldest)));

    let log =
        Log::new(Retention { bytes: usize::MAX, age: Duration::from_secs(HISTORY_SECONDS_MAX) });
    let day = 1_000 * HISTORY_SECONDS_MAX as i64;
    log.append(batch(1, 0));
    log.append(batch(2, 5));
    log.trim(Millis(day));
    assert_eq!(log.oldest(), before);
    log.trim(Millis(day + 1));
    assert_eq!(log.oldest(), oldest);
    // With all gone the place after the newest event remains.
    log.trim(Millis(2 * day));
    assert_eq!((log.oldest(), log.end()), (log.end(), Position::start_of(Revision(3))));
}

// What a server bounds.

/// Goal: a server makes its last market and not the next, until one is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn markets_of_a_server() {
    let options = gale::market::Options { markets_max: 2, ..Default::default() };
    let markets = Arc::new(Markets::new(options, Arc::new(SystemClock)));
    let creation = |name: &str| Creation {
        name: MarketName::parse("id", name).unwrap(),
        ..creation(Settings::default(), 1)
    };
    markets.create(creation("a")).await.unwrap();
    markets.create(creation("b")).await.unwrap();
    let refused = markets.create(creation("c")).await.err().unwrap().violation();
    full(refused, "market");
    markets.delete("a", None).await.unwrap();
    markets.create(creation("c")).await.unwrap();
}

/// Goal: every batch takes 10,000 items and not one more.
#[tokio::test(flavor = "multi_thread")]
async fn items_of_a_batch() {
    let mut server = Server::with_market(options()).await;
    let (most, over) = (BATCH_MAX as u64, BATCH_MAX as u64 + 1);
    let market = || String::from(MARKET);
    macro_rules! both {
        ($client:ident.$method:ident, $field:literal, $request:expr) => {{
            let request = $request;
            let reply = server.api.$client.$method(request(most)).await.unwrap().into_inner();
            assert!(reply.errors.len() <= BATCH_MAX);
            let answer = server.api.$client.$method(request(over)).await;
            refused_as(answer, Code::InvalidArgument, "TOO_MANY", $field);
        }};
    }
    both!(pool.upsert_workers, "workers", |n| {
        server::upsert_workers((0..n).map(server::worker).collect())
    });
    both!(pool.upsert_vacancies, "vacancies", |n| {
        server::upsert_vacancies((0..n).map(server::vacancy).collect())
    });
    both!(pool.withdraw_workers, "worker_ids", |n| pb::WithdrawWorkersRequest {
        market: market(),
        worker_ids: (0..n).map(server::worker_id).collect(),
        ..Default::default()
    });
    both!(pool.close_vacancies, "vacancy_ids", |n| pb::CloseVacanciesRequest {
        market: market(),
        vacancy_ids: (0..n).map(server::vacancy_id).collect(),
        ..Default::default()
    });
    both!(matching.confirm_matches, "matches", |n| {
        let pairs: Vec<_> = (0..n).map(|n| (n, n)).collect();
        server::confirm(pb::MatchSide::Worker, &pairs)
    });
    both!(matching.decline_matches, "matches", |n| {
        let pairs: Vec<_> = (0..n).map(|n| (n, n)).collect();
        pb::DeclineMatchesRequest {
            market: market(),
            side: pb::MatchSide::Worker.into(),
            matches: server::keys(&pairs),
            ..Default::default()
        }
    });
    both!(market.upsert_regions, "regions", |n| pb::UpsertRegionsRequest {
        market: market(),
        regions: (0..n).map(|n| server::region(&format!("r{n}"))).collect(),
        ..Default::default()
    });
    both!(market.set_move_costs, "move_costs", |n| pb::SetMoveCostsRequest {
        market: market(),
        move_costs: vec![pb::MoveCost::default(); n as usize],
        ..Default::default()
    });
    both!(market.upsert_cities, "cities", |n| pb::UpsertCitiesRequest {
        market: market(),
        cities: vec![server::city("a"); n as usize],
        ..Default::default()
    });
    let message = pb::ImportWorkersRequest {
        market: market(),
        workers: (0..over).map(server::worker).collect(),
        ..Default::default()
    };
    let stream = server.api.pool.import_workers(tokio_stream::once(message)).await;
    let first = stream.unwrap().into_inner().next().await.unwrap();
    refused_as(first, Code::InvalidArgument, "TOO_MANY", "workers");
}

/// A request of exactly that many bytes on the wire.
fn request_of(bytes: usize) -> pb::UpsertWorkersRequest {
    let mut request = server::upsert_workers(vec![server::worker(1)]);
    request.workers[0].id = "x".repeat(bytes);
    let over = request.encoded_len() - bytes;
    request.workers[0].id.truncate(bytes - over);
    assert_eq!(request.encoded_len(), bytes);
    request
}

/// Goal: a message of 16 MiB is read, one byte more is RESOURCE_EXHAUSTED, in unary
/// calls and in streams. (The item is bad, so that nothing else happens.)
#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_message() {
    let mut server = Server::with_market(options()).await;
    let answer = server.api.pool.upsert_workers(request_of(MESSAGE_BYTES_MAX)).await;
    let reply = answer.unwrap().into_inner();
    assert!(reply.errors[0].id.len() < 2 * STATUS_TEXT_BYTES_MAX, "and is not quoted in full");
    let answer = server.api.pool.upsert_workers(request_of(MESSAGE_BYTES_MAX + 1)).await;
    refused_as(answer, Code::ResourceExhausted, "LIMIT_REACHED", "");
    let request = request_of(MESSAGE_BYTES_MAX + 1);
    let message = pb::ImportWorkersRequest {
        market: request.market,
        workers: request.workers,
        ..Default::default()
    };
    let stream = server.api.pool.import_workers(tokio_stream::once(message)).await;
    let first = stream.unwrap().into_inner().next().await.unwrap();
    refused_as(first, Code::ResourceExhausted, "LIMIT_REACHED", "");
}

/// Goal: pages have the default's and at most the limit's rows, and are shorter where
/// rows are long; together they have all.
#[tokio::test(flavor = "multi_thread")]
async fn sizes_of_pages() {
    let mut server = Server::with_market(options()).await;
    server.workers((0..10_000).map(server::worker).collect()).await;
    server.workers((10_000..10_005).map(server::worker).collect()).await;
    let list = |page_size, page_token: &str| pb::ListWorkersRequest {
        market: MARKET.into(),
        page_size,
        page_token: page_token.into(),
        ..Default::default()
    };
    for (asked, rows) in [
        (0, PAGE_SIZE_DEFAULT),
        (1, 1),
        (PAGE_SIZE_MAX as i32, PAGE_SIZE_MAX),
        (PAGE_SIZE_MAX as i32 + 1, PAGE_SIZE_MAX),
        (i32::MAX, PAGE_SIZE_MAX),
    ] {
        let page = server.api.pool.list_workers(list(asked, "")).await.unwrap().into_inner();
        assert_eq!(page.workers.len(), rows, "asked for {asked}");
        assert!(!page.next_page_token.is_empty());
    }
    let answer = server.api.pool.list_workers(list(-1, "")).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "page_size");

    // 40 rankings of 10,000 ids are 15 MB.
    let ranking = pb::Ranking { ids: (0..RANKING_MAX as u64).map(server::vacancy_id).collect() };
    let ranked = |n| pb::Worker { ranking: Some(ranking.clone()), ..server::worker(n) };
    for start in [0, 20] {
        server.workers((start..start + 20).map(ranked).collect()).await;
    }
    let (mut token, mut rows, mut pages) = (String::new(), 0, 0);
    loop {
        let request = list(PAGE_SIZE_MAX as i32, &token);
        let page = server.api.pool.list_workers(request).await.unwrap().into_inner();
        assert!(page.encoded_len() <= PAGE_BYTES_MAX + 10_000, "{}", page.encoded_len());
        rows += page.workers.len();
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(rows, 10_005);
    assert_eq!(pages, 2, "the first holds fewer rows than it may");
}

/// Goal: a large revision comes in chunks below their limit, whole and in order, with
/// `last_in_revision` on the last alone.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_an_event_chunk() {
    let mut server = Server::with_market(options()).await;
    let name = |prefix, n| format!("{prefix}{n:0>63}");
    let regions = (0..BATCH_MAX).map(|n| pb::Region {
        display_name: "x".repeat(TEXT_BYTES_MAX),
        intake_cap: Some(INTAKE_CAP_MAX),
        ..server::region(&name('r', n))
    });
    let request = pb::UpsertRegionsRequest {
        market: MARKET.into(),
        regions: regions.collect(),
        ..Default::default()
    };
    let revision = server.api.market.upsert_regions(request).await.unwrap().into_inner().revision;
    let start = pb::Position { incarnation: String::new(), revision, index: 0 };
    let request = pb::WatchRequest {
        market: MARKET.into(),
        start: Some(pb::watch_request::Start::Position(start)),
        ..Default::default()
    };
    let mut stream = server.api.event.watch(request).await.unwrap().into_inner();
    let (mut events, mut messages) = (0, 0);
    loop {
        let message = stream.next().await.unwrap().unwrap();
        assert!(message.encoded_len() <= EVENT_CHUNK_BYTES_MAX, "{}", message.encoded_len());
        for event in &message.events {
            let position = event.position.as_ref().unwrap();
            assert_eq!((position.revision, position.index), (revision, events));
            events += 1;
        }
        messages += 1;
        assert_eq!(message.last_in_revision, events == BATCH_MAX as u32);
        if message.last_in_revision {
            break;
        }
    }
    assert!(messages > 1);
}

/// Goal: filters take 1,000 values in each list, and checkpoints come no faster or slower
/// than their bounds.
#[tokio::test(flavor = "multi_thread")]
async fn filters_and_checkpoints() {
    let mut server = Server::with_market(options()).await;
    let watch = |filter, checkpoint_interval_ms| pb::WatchRequest {
        market: MARKET.into(),
        start: Some(pb::watch_request::Start::Now(pb::NowStart {})),
        filter: Some(filter),
        checkpoint_interval_ms,
    };
    let filter = |n: usize| {
        let ids = |id: fn(u64) -> String| (0..n as u64).map(id).collect::<Vec<_>>();
        BTreeMap::from([
            ("kinds", pb::EventFilter { kinds: vec![1; n], ..Default::default() }),
            ("cities", pb::EventFilter { cities: vec!["a".into(); n], ..Default::default() }),
            (
                "worker_ids",
                pb::EventFilter { worker_ids: ids(server::worker_id), ..Default::default() },
            ),
            (
                "vacancy_ids",
                pb::EventFilter { vacancy_ids: ids(server::vacancy_id), ..Default::default() },
            ),
        ])
    };
    for filter in filter(FILTER_VALUES_MAX).into_values() {
        server.api.event.watch(watch(filter, 0)).await.unwrap();
    }
    for (name, filter) in filter(FILTER_VALUES_MAX + 1) {
        let answer = server.api.event.watch(watch(filter, 0)).await;
        refused_as(answer, Code::InvalidArgument, "TOO_MANY", &format!("filter.{name}"));
    }
    for millis in [0, CHECKPOINT_MILLIS_MIN, CHECKPOINT_MILLIS_MAX] {
        server.api.event.watch(watch(pb::EventFilter::default(), millis)).await.unwrap();
    }
    for millis in [CHECKPOINT_MILLIS_MIN - 1, CHECKPOINT_MILLIS_MAX + 1] {
        let answer = server.api.event.watch(watch(pb::EventFilter::default(), millis)).await;
        let field = "checkpoint_interval_ms";
        refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", field);
    }
}

/// Goal: subscribers beyond the market's and the server's limit are refused, and one who
/// leaves makes room.
#[tokio::test(flavor = "multi_thread")]
async fn subscribers() {
    let limits = Options { subscribers_per_market_max: 2, subscribers_max: 3, ..options() };
    let mut server = Server::with_market(limits).await;
    server.make(server::market("n")).await;
    let watch = |market: &str| pb::WatchRequest {
        market: market.into(),
        start: Some(pb::watch_request::Start::Now(pb::NowStart {})),
        ..Default::default()
    };
    let first = server.api.event.watch(watch(MARKET)).await.unwrap();
    let _second = server.api.event.watch(watch(MARKET)).await.unwrap();
    let answer = server.api.event.watch(watch(MARKET)).await;
    refused_as(answer, Code::ResourceExhausted, "LIMIT_REACHED", "market");
    let _third = server.api.event.watch(watch("n")).await.unwrap();
    let answer = server.api.event.watch(watch("n")).await;
    refused_as(answer, Code::ResourceExhausted, "LIMIT_REACHED", "");
    assert_eq!(server.markets.get("n").unwrap().subscribers(), 1, "a refusal is not counted");
    drop(first);
    while server.api.event.watch(watch(MARKET)).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// Goal: the owner's queue never holds more than its commands or its bytes; whoever comes
/// then waits, and is served.
#[tokio::test(flavor = "multi_thread")]
async fn queue_of_a_market() {
    let server = Server::start(options()).await;
    for (bytes, callers, depth) in
        [(1, 4 * QUEUE_COMMANDS_MAX, QUEUE_COMMANDS_MAX), (QUEUE_BYTES_MAX, 500, 1)]
    {
        let name = MarketName::parse("id", &format!("m{callers}")).unwrap();
        let market = server.markets.create(Creation { name, ..creation(Settings::default(), 1) });
        let market = market.await.unwrap();
        let calls: Vec<_> = (0..callers)
            .map(|n| {
                let market = market.clone();
                let region = RegionSpec { parent: None, ..region(&format!("r{n}")) };
                tokio::spawn(async move {
                    market.submit(Command::UpsertRegions(batch([region])), None, bytes).await
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(market.head().geography.regions.len(), callers, "no write is lost");
        assert!(market.queue_depth_max() <= depth, "{}", market.queue_depth_max());
    }
}

/// Goal: a connection carries 200 calls at once; the next waits for one to end. Method:
/// with 200 streams open a call on their connection is still waiting when many calls on
/// another have come and gone.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_connection() {
    let mut server = Server::with_market(options()).await;
    let mut busy = server::Api::new(server::connect(server.address).await);
    let watch = || pb::WatchRequest {
        market: MARKET.into(),
        start: Some(pb::watch_request::Start::Now(pb::NowStart {})),
        ..Default::default()
    };
    // The first call learns the server's settings.
    let get = || pb::GetMarketRequest { market: MARKET.into(), ..Default::default() };
    busy.market.get_market(get()).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..STREAMS_PER_CONNECTION_MAX {
        streams.push(busy.event.watch(watch()).await.unwrap());
    }
    let mut market = busy.market.clone();
    let mut waiting = tokio::spawn(async move { market.get_market(get()).await });
    for _ in 0..100 {
        server.api.market.get_market(get()).await.unwrap();
        assert!(!waiting.is_finished(), "the 201st call must wait");
    }
    streams.pop();
    (&mut waiting).await.unwrap().unwrap();
}

/// Goal: a connection beyond the limit is hung up on, and one that closes makes room.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_server() {
    let server = Server::start(Options { connections_max: 2, ..options() }).await;
    let list = || pb::ListMarketsRequest::default();
    let second = server::connect(server.address).await;
    let mut client = server::Api::new(second.clone());
    client.market.list_markets(list()).await.unwrap();
    let call = || async {
        let endpoint =
            tonic::transport::Endpoint::from_shared(format!("http://{}", server.address));
        let channel = endpoint.unwrap().connect().await.map_err(|_| ())?;
        server::Api::new(channel).market.list_markets(list()).await.map_err(|_| ())
    };
    assert!(call().await.is_err(), "the third connection");
    drop((second, client));
    while call().await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// Goal: a server that is told to stop does so within its time although a caller keeps a
/// stream open and reads nothing.
#[tokio::test(flavor = "multi_thread")]
async fn time_to_stop() {
    let mut server =
        Server::with_market(Options { stop: Duration::from_millis(50), ..options() }).await;
    for start in [0, 10_000] {
        server.workers((start..start + 10_000).map(server::worker).collect()).await;
    }
    let watch = pb::WatchRequest {
        market: MARKET.into(),
        start: Some(pb::watch_request::Start::Earliest(pb::EarliestStart {})),
        ..Default::default()
    };
    let _unread = server.api.event.watch(watch).await.unwrap();
    server.stop().await;
}

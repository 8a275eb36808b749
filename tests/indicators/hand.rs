//! Markets made by hand, whose figures can be worked out on paper.

use super::support::world::*;
use super::*;
use gale::state::MatchSide::{Employer, Worker};

const CLERK: &str = "43-9061";
const NURSE: &str = "29-1141";
/// Kilometres of one degree of the equator.
const DEGREE_KM: f64 = 111.0;

fn skilled(number: u64, level: u8, code: &str) -> WorkerSpec {
    WorkerSpec { skills: vec![(skill("s"), level)], labels: occupation(code), ..worker(number) }
}

fn job(number: u64, at: &str, code: &str, openings: u32, salary: i64) -> VacancySpec {
    let asked =
        RequirementSpec { skill: skill("s"), desired_level: 100, weight: 1, minimum_level: None };
    VacancySpec {
        city: city_name(at),
        labels: occupation(code),
        openings,
        salary,
        requirements: vec![asked],
        ..vacancy(number)
    }
}

fn peopled(name: &str, population: i64) -> CitySpec {
    CitySpec { population, ..super::support::world::city(name) }
}

/// Home (1,000 people), away and the island (500 each). Everybody wants job 1 at home most
/// (60,000), then job 3 away (55,000), then job 2 away (45,000, two openings), and the more
/// skilled comes first: 1 gets 1, 2 gets 3, 3 and 4 get 2. Worker 5 looks only on the
/// island, where there is nothing.
fn market() -> World {
    let mut world = World::new(Settings::default());
    let cities = [peopled(HOME, 1_000), peopled(AWAY, 500), peopled(ISLAND, 500)];
    world.ok(Command::UpsertCities(batch(cities)));
    world.ok(upsert([
        skilled(1, 100, CLERK),
        skilled(2, 80, CLERK),
        skilled(3, 60, CLERK),
        WorkerSpec { home_city: city_name(AWAY), ..skilled(4, 40, NURSE) },
        WorkerSpec {
            home_city: city_name(ISLAND),
            mobility: MobilitySpec::HomeOnly,
            ..skilled(5, 20, NURSE)
        },
    ]));
    world.ok(offer([
        job(1, HOME, CLERK, 1, 60_000),
        job(2, AWAY, NURSE, 2, 45_000),
        job(3, AWAY, CLERK, 1, 55_000),
    ]));
    world.clear();
    assert_eq!(
        [1, 2, 3, 4, 5].map(|w| world.job_of(w)),
        [Some(1), Some(3), Some(2), Some(2), None]
    );
    world
}

/// Goal: who seeks, what is open and how well they came together, of the market, its
/// cities, regions and groups, and each reason why there is no figure.
#[test]
fn pools() {
    let world = market();
    let (view, wanted) = (world.view(), everything());
    let (all, cities) = (measured(view, &wanted), all_cities(view, &wanted));
    let pools = &all.market.pools;
    is(&pools.tightness, 4.0 / 5.0);
    is(&pools.residual_tightness, 0.0);
    is(&pools.match_rate, 0.8);
    is(&pools.fill_rate, 1.0);
    is(&pools.vacancy_rate, 0.0);
    is(&pools.at_or_above_expected, 0.5);
    is(&pools.same_group, 0.75);
    is(&pools.mean_fit, 7_000.0);
    is(&pools.mean_pay, 51_250.0);
    is(&pools.mean_real_pay, 51_250.0);
    is(&pools.pay_to_asking, 205.0 / 200.0);
    is(pools.first_choice.as_ref().unwrap(), 0.25);
    assert_eq!(pools.tightness.inputs, [("openings", 4.0), ("seekers", 5.0)]);

    let home = &city(view, &cities, HOME).pools;
    is(&home.tightness, 1.0 / 3.0);
    is_not(&home.residual_tightness, Undefined::Empty);
    is(&home.at_or_above_expected, 2.0 / 3.0);
    is(&home.same_group, 2.0 / 3.0);
    is(&home.mean_fit, 10_000.0);
    is(home.first_choice.as_ref().unwrap(), 1.0 / 3.0);
    let away = &city(view, &cities, AWAY).pools;
    is(&away.tightness, 3.0);
    is(&away.mean_pay, 145_000.0 / 3.0);
    is(&away.mean_fit, 6_000.0);
    is(away.first_choice.as_ref().unwrap(), 0.0);
    let island = &city(view, &cities, ISLAND).pools;
    is(&island.tightness, 0.0);
    is_not(&island.fill_rate, Undefined::NoOpenings);
    is_not(&island.vacancy_rate, Undefined::NoOpenings);
    is_not(&island.at_or_above_expected, Undefined::NoMatches);
    is_not(&island.mean_fit, Undefined::NoMatches);
    is_not(island.first_choice.as_ref().unwrap(), Undefined::NoMatches);

    let country = region(view, &all, COUNTRY);
    assert_eq!((country.cities, country.population), (2, 1_500));
    is(&country.pools.tightness, 1.0);
    is(&region(view, &all, PROVINCE).pools.tightness, 1.0 / 3.0);
    is(&group(&all, CLERK).pools.tightness, 2.0 / 3.0);
    is(&group(&all, CLERK).pools.same_group, 2.0 / 3.0);
    is(&group(&all, NURSE).pools.mean_pay, 45_000.0);
    assert_eq!(*all.groups[0].name, *CLERK, "the largest first");
}

/// Goal: pay is real where it says so, and what is asked follows prices. Method: away lives
/// at half the price; a salary of 25,001 there is above 50,000 at home.
#[test]
fn prices() {
    let mut world = World::new(Settings::default());
    let cheap = CitySpec { cost_of_living: 500, ..peopled(AWAY, 10) };
    world.ok(Command::UpsertCities(batch([cheap])));
    world.ok(upsert([worker(1)]));
    world.ok(offer([VacancySpec { city: city_name(AWAY), salary: 25_001, ..vacancy(1) }]));
    world.clear();
    let found = measured(world.view(), &everything());
    is(&found.market.pools.mean_pay, 25_001.0);
    is(&found.market.pools.mean_real_pay, 50_002.0);
    is(&found.market.pools.at_or_above_expected, 1.0);
    is(&found.market.pools.pay_to_asking, 25_001.0 / 25_000.0);
}

/// Goal: an empty market, and one of seekers or openings alone, say why of everything.
#[test]
fn nothing_to_measure() {
    let world = World::bare(Settings::default(), gale::state::Capacity::default());
    let found = measured(world.view(), &everything()).market;
    is_not(&found.pools.tightness, Undefined::Empty);
    is_not(&found.pools.match_rate, Undefined::NoSeekers);
    is_not(&found.mismatch_by_city.index, Undefined::Empty);
    is_not(&found.pay.theil, Undefined::NoMatches);
    is_not(&found.tightness.gini, Undefined::NoSeekers);
    is_not(&found.sizes.primacy, Undefined::NoPopulation);
    is_not(&found.sizes.primacy_ratio, Undefined::TooFew);
    is_not(&found.migration.intensity, Undefined::NoPopulation);
    is_not(&found.migration.effectiveness, Undefined::NoMoves);
    is_not(&found.migration.moving, Undefined::NoMatches);
    is_not(&found.cutoffs.mean, Undefined::TooFew);
    is_not(&found.cutoffs.p50, Undefined::TooFew);
    is(&found.split.unwrap().gained, 0.0);
    assert!(all_cities(world.view(), &everything()).cities.is_empty());

    let mut world = World::new(Settings::default());
    world.ok(offer([vacancy(1)]));
    let found = measured(world.view(), &everything()).market;
    is_not(&found.pools.tightness, Undefined::NoSeekers);
    is_not(&found.mismatch_by_cell.index, Undefined::NoSeekers);
    let cities = all_cities(world.view(), &everything());
    let home = city(world.view(), &cities, HOME);
    is_not(&home.coupling.degree, Undefined::NoMatches);
    is_not(&home.migration.net_rate, Undefined::NoPopulation);
    is_not(home.attractiveness.as_ref().unwrap(), Undefined::NoSeekers);
    is_not(&home.specialisation.similarity, Undefined::TooFew);
    let away = city(world.view(), &cities, AWAY);
    is_not(&away.specialisation.krugman, Undefined::Empty);
    is_not(&away.specialisation.similarity, Undefined::Empty);
    is_not(&away.differential.as_ref().unwrap().pay[1], Undefined::TooFew);

    world.ok(close([1]));
    world.ok(upsert([worker(1)]));
    let found = measured(world.view(), &everything()).market;
    is_not(&found.mismatch_by_group.index, Undefined::NoOpenings);
    is_not(&found.tightness.theil, Undefined::ZeroDenominator);
    let cities = all_cities(world.view(), &everything());
    is_not(&city(world.view(), &cities, HOME).potential, Undefined::Empty);
    is_not(&city(world.view(), &cities, HOME).coupling.degree, Undefined::NoOpenings);

    world.ok(offer([VacancySpec { city: city_name(ISLAND), ..vacancy(2) }]));
    let found = measured(world.view(), &everything()).market;
    is(&found.mismatch_by_city.index, 1.0);
    is_not(&found.mismatch_by_city.matches_lost, Undefined::ZeroDenominator);
}

/// Goal: mismatch over each partition, and the matches lost to it.
#[test]
fn mismatch() {
    let world = market();
    let found = measured(world.view(), &everything());
    let by_city = 1.0 - 2.0 * libm::sqrt(0.15);
    is(&found.market.mismatch_by_city.index, by_city);
    is(&found.market.mismatch_by_city.matches_lost, 4.0 * by_city / (1.0 - by_city));
    is(&found.market.mismatch_by_group.index, 1.0 - libm::sqrt(0.3) - libm::sqrt(0.2));
    is(&found.market.mismatch_by_cell.index, 1.0 - libm::sqrt(0.15) - libm::sqrt(0.1));
    let cells = [
        found.market.mismatch_by_city.cells,
        found.market.mismatch_by_group.cells,
        found.market.mismatch_by_cell.cells,
    ];
    assert_eq!(cells, [3, 2, 4]);
    // Clerks: all three at home, one opening each at home and away.
    is(&group(&found, CLERK).mismatch.index, 1.0 - libm::sqrt(0.5));
    // Their jobs: half at home, half away; all jobs: a quarter and three.
    is(&group(&found, CLERK).concentration, 0.25);
}

/// Goal: the prefix makes groups of groups, another label others, and no label one.
#[test]
fn groups() {
    let world = market();
    let by = |label: &str, prefix: usize| {
        let grouping = Grouping { label: label.into(), prefix };
        let found = measured(world.view(), &Wanted { grouping, ..everything() });
        found.groups.iter().map(|group| group.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(by(OCCUPATION_LABEL, 2), ["43", "29"]);
    assert_eq!(by(OCCUPATION_LABEL, 64), [CLERK, NURSE]);
    assert_eq!(by("sector", 0), [""]);
    let grouping = Grouping { label: "name".into(), prefix: 2 };
    let labels = |value: &str| -> gale::domain::SharedLabels {
        Some(std::sync::Arc::new([("name".into(), value.into())].into()))
    };
    assert_eq!(grouping.group_of(&labels("成都市")), "成都", "characters, not bytes");
    assert_eq!(grouping.group_of(&labels("成")), "成");
    assert_eq!(grouping.group_of(&None), "");
}

/// Goal: who moves, planned and done, of cities, across borders and in the market.
#[test]
fn migration() {
    let mut world = market();
    for side in [Worker, Employer] {
        world.ok(confirm(side, [(2, 3)]));
    }
    let (view, wanted) = (world.view(), everything());
    let (all, cities) = (measured(view, &wanted), all_cities(view, &wanted));
    let home = &city(view, &cities, HOME).migration;
    assert_eq!((home.balance.outward.planned, home.balance.outward.moved), (1, 1));
    is(&home.net_rate, -2.0);
    is(&home.effectiveness, -100.0);
    let away = &city(view, &cities, AWAY).migration;
    assert_eq!((away.balance.inward.planned, away.balance.inward.moved), (1, 1));
    is(&away.net_rate, 4.0);
    let island = &city(view, &cities, ISLAND).migration;
    is(&island.net_rate, 0.0);
    is_not(&island.effectiveness, Undefined::NoMoves);
    let system = &all.market.migration;
    assert_eq!((system.moves.planned, system.moves.moved), (1, 1));
    assert_eq!((system.gaining, system.losing), (1, 1));
    is(&system.intensity, 0.1);
    is(&system.effectiveness, 100.0);
    is(&system.moving, 0.5);
    let province = region(view, &all, PROVINCE);
    is(&province.migration.net_rate, -2.0);
    assert_eq!((province.gaining, province.losing), (0, 1));
    let country = region(view, &all, COUNTRY);
    is_not(&country.migration.effectiveness, Undefined::NoMoves);
    assert_eq!((country.gaining, country.losing), (1, 1), "inside, though nobody crosses");
    // Placed people and filled jobs.
    is(&all.market.pools.tightness, 3.0 / 4.0);
    is(&all.market.pools.at_or_above_expected, 0.5);
    assert_eq!(all.market.pools.tally.filled, 1);
    is(&city(view, &cities, AWAY).pools.vacancy_rate, 0.0);
    assert_eq!(city(view, &cities, AWAY).specialisation.jobs, 3);
}

/// Goal: a placed worker who looks again counts as a seeker where they live now; the job
/// stays filled, and the old move is no longer told.
#[test]
fn looking_again() {
    let mut world = market();
    for side in [Worker, Employer] {
        world.ok(confirm(side, [(2, 3)]));
    }
    world.ok(reopen([WorkerSpec { home_city: city_name(AWAY), ..skilled(2, 80, CLERK) }]));
    let (view, wanted) = (world.view(), everything());
    let cities = all_cities(view, &wanted);
    let away = city(view, &cities, AWAY);
    assert_eq!((away.pools.tally.searching, away.pools.tally.placed), (1, 0));
    assert_eq!((away.pools.tally.filled, away.pools.tally.pairs), (1, 2));
    assert_eq!(away.migration.balance.inward.moved, 0);
}

/// Goal: disparities against the formulas written out, and their exact split.
#[test]
fn disparity() {
    let world = market();
    let found = measured(world.view(), &everything()).market;
    let (mean, away) = (51_250.0, 145_000.0 / 3.0);
    let term = |share: f64, y: f64| share * y / mean * libm::log(y / mean);
    let theil = term(0.25, 60_000.0) + term(0.75, away);
    is(&found.pay.theil, theil);
    is(&found.pay.theil_between, theil);
    is(&found.pay.theil_within, 0.0);
    is(&found.pay.gini, 0.25 * 0.75 * (60_000.0 - away) / mean);
    let squares =
        0.25 * (60_000.0 - mean) * (60_000.0 - mean) + 0.75 * (away - mean) * (away - mean);
    is(&found.pay.williamson, libm::sqrt(squares) / mean);
    // Tightness 1/3, 3 and 0, of 3, 1 and 1 seekers; the mean is 4/5.
    let term = |share: f64, y: f64| share * y / 0.8 * libm::log(y / 0.8);
    is(&found.tightness.theil, term(0.6, 1.0 / 3.0) + term(0.2, 3.0));
    is_not(&found.sizes.zipf, Undefined::TooFew);
    is(&found.sizes.primacy, 0.5);
    is(&found.sizes.primacy_ratio, 2.0);
}

/// Goal: cutoffs as shadow prices, of openings and of a cap; and a full set that holds
/// nobody. Method: by hand; then away takes one person, and the island none.
#[test]
fn cutoffs() {
    let world = market();
    let found = measured(world.view(), &everything()).market.cutoffs;
    assert_eq!((found.vacancies, found.full, found.capped, found.closed), (3, 3, 0, 0));
    // 4 asks 50,000 of 45,000: a shortfall of 1,111 bp, half of which is taken off.
    is(&found.mean, (10_000.0 + 3_445.0 + 8_000.0) / 3.0);
    is(&found.p10, 3_445.0);
    is(&found.p50, 8_000.0);
    is(&found.p90, 10_000.0);

    let mut world = market();
    world.ok(Command::UpsertCities(batch([
        CitySpec { intake_cap: Some(1), ..peopled(AWAY, 500) },
        CitySpec { intake_cap: Some(0), ..peopled(ISLAND, 500) },
    ])));
    world.ok(offer([job(4, ISLAND, NURSE, 1, 50_000)]));
    world.clear();
    let cities = all_cities(world.view(), &everything());
    let away = &city(world.view(), &cities, AWAY).cutoffs;
    assert_eq!((away.full, away.capped, away.closed), (1, 1, 0));
    let island = &city(world.view(), &cities, ISLAND).cutoffs;
    assert_eq!((island.full, island.capped, island.closed), (0, 1, 1));
    is_not(&island.mean, Undefined::TooFew);
}

/// Goal: what jobs are, which city does the same, coupling, potential and attraction.
#[test]
fn structure_and_reach() {
    let world = market();
    let (view, cities) = (world.view(), all_cities(world.view(), &everything()));
    let home = city(view, &cities, HOME);
    is(&home.specialisation.krugman, 1.0);
    is(&home.specialisation.herfindahl, 1.0);
    assert_eq!(home.specialisation.twin, view.head.geography.city_named(AWAY));
    is(&home.specialisation.similarity, libm::sqrt(0.2));
    assert!(!home.specialisation.redundant);
    let [strong] = &home.specialisation.specialities[..] else { panic!("one speciality") };
    assert_eq!((&*strong.group, strong.jobs), (CLERK, 1));
    is(&strong.quotient, 2.0);
    let away = city(view, &cities, AWAY);
    is(&away.specialisation.krugman, 1.0 / 3.0);
    is(&away.specialisation.herfindahl, 5.0 / 9.0);
    is(&away.specialisation.specialities[0].quotient, 4.0 / 3.0);

    // Jobs 1 of 3, taken 1 of 3, people 1,000 of 1,000.
    is(&home.coupling.development, 5.0 / 9.0);
    is(&home.coupling.coupling, 3.0 * libm::cbrt(1.0 / 9.0) / (5.0 / 3.0));
    is(&home.coupling.degree, libm::sqrt(libm::cbrt(1.0 / 9.0)));
    is(&city(view, &cities, ISLAND).coupling.degree, 0.0);
    // An application in ten miles out of 100 in none: 65.
    let decay = libm::pow(0.65, DEGREE_KM / 16.09344);
    is(&home.potential, 60_000.0 + 145_000.0 * decay);

    is(home.attractiveness.as_ref().unwrap(), 0.8);
    is(away.attractiveness.as_ref().unwrap(), 0.0);
    let inputs = &home.attractiveness.as_ref().unwrap().inputs;
    assert_eq!(inputs[..], [("first_choices", 4.0), ("from_elsewhere", 1.0), ("asked", 5.0)]);
}

/// Goal: two neighbours that do the same without an advantage are told; the far city that
/// has the advantage is not. Method: nurses are the island's; home and away have the same
/// two occupations in the same proportion.
#[test]
fn redundancy() {
    let mut world = World::new(Settings::default());
    world.ok(offer([
        job(1, HOME, CLERK, 50, 50_000),
        job(2, HOME, NURSE, 40, 50_000),
        job(3, AWAY, CLERK, 50, 50_000),
        job(4, AWAY, NURSE, 41, 50_000),
        job(5, ISLAND, NURSE, 100, 50_000),
    ]));
    let cities = all_cities(world.view(), &everything());
    let found = |name: &str| &city(world.view(), &cities, name).specialisation;
    for (one, other) in [(HOME, AWAY), (AWAY, HOME)] {
        assert_eq!(found(one).twin, world.view().head.geography.city_named(other));
        assert!(found(one).redundant);
        assert_eq!(found(one).repeated, [NURSE.into()]);
    }
    assert_eq!((found(ISLAND).twin, found(ISLAND).redundant), (None, false));
    is_not(&found(ISLAND).similarity, Undefined::TooFew);
}

/// Goal: each cause of missing matches gets its share, causes that need each other share
/// alike, and an offer that nothing stands in the way of gains nothing.
#[test]
fn split() {
    let stays = WorkerSpec { mobility: MobilitySpec::HomeOnly, ..worker(1) };
    let dear = WorkerSpec { reservation_salary: 50_000, ..worker(1) };
    let away = VacancySpec { city: city_name(AWAY), ..vacancy(1) };
    let asked =
        RequirementSpec { skill: skill("s"), desired_level: 50, weight: 1, minimum_level: Some(1) };
    let demanding = VacancySpec { requirements: vec![asked.clone()], ..vacancy(1) };
    let poor = VacancySpec { salary: 49_999, ..vacancy(1) };
    let modest = |w: WorkerSpec| WorkerSpec { expected_salary: 10 * w.expected_salary, ..w };
    let cases = [
        (worker(1), vacancy(1), [0.0, 0.0, 0.0]),
        (stays.clone(), away.clone(), [1.0, 0.0, 0.0]),
        (worker(1), demanding.clone(), [0.0, 1.0, 0.0]),
        (dear.clone(), poor.clone(), [0.0, 0.0, 1.0]),
        // The vacancy finds her too dear.
        (modest(worker(1)), vacancy(1), [0.0, 0.0, 1.0]),
        (
            stays.clone(),
            VacancySpec { city: city_name(AWAY), ..demanding.clone() },
            [0.5, 0.5, 0.0],
        ),
        (
            WorkerSpec { mobility: MobilitySpec::HomeOnly, ..dear },
            VacancySpec { city: city_name(AWAY), requirements: vec![asked], ..poor },
            [1.0 / 3.0; 3],
        ),
        // An explicit ranking stands for all reasons at once.
        (WorkerSpec { ranking: Some(vec![]), ..worker(1) }, vacancy(1), [0.0; 3]),
    ];
    for (number, (worker, vacancy, [place, skill, pay])) in cases.into_iter().enumerate() {
        let world = World::cleared(Settings::default(), [worker], [vacancy]);
        let found = measured(world.view(), &everything()).market.split.unwrap();
        assert_eq!((found.seekers, found.openings, found.sample), (1, 1, None));
        println!("case {number}: {:?}", found.matches);
        is(&found.gained, place + skill + pay);
        is(&found.place, place);
        is(&found.skill, skill);
        is(&found.pay, pay);
    }
}

/// Goal: a raise that would leave the range of money is told, not computed.
#[test]
fn a_raise_out_of_range() {
    let rich = WorkerSpec { expected_salary: limits::MONEY_MAX, ..worker(1) };
    let world = World::cleared(Settings::default(), [rich], [vacancy(1)]);
    let found = measured(world.view(), &everything()).market.split.unwrap();
    assert_eq!(found.matches, []);
    is_not(&found.gained, Undefined::OutOfRange);
    is_not(&found.pay, Undefined::OutOfRange);
}

/// Goal: what would bring people, in pay and in subsidy. Method: a move costs 3,000 over
/// three years, so that 51,000 would be asked away; shortfalls up to 2,000 bp pass, so that
/// 42,497 is needed. At 42,000 a subsidy of 1,788 does it (and 1,787 does not); at 30,000
/// none does; at 42,497 nothing is needed.
#[test]
fn differential() {
    let settings = Settings { fixed_move_cost: 3_000, ..Settings::default() };
    let found = |salary: i64, subsidy: i64| {
        let mut world = World::new(settings.clone());
        let helped = CitySpec { move_subsidy: subsidy, ..peopled(AWAY, 10) };
        world.ok(Command::UpsertCities(batch([helped])));
        let stays = WorkerSpec { mobility: MobilitySpec::HomeOnly, ..worker(2) };
        let ranks = WorkerSpec { ranking: Some(vec![]), ..worker(3) };
        let unskilled = WorkerSpec { skills: vec![(skill("s"), 10)], ..worker(4) };
        let there = WorkerSpec { home_city: city_name(AWAY), ..worker(5) };
        let skilled = WorkerSpec { skills: vec![(skill("s"), 90)], ..worker(1) };
        world.ok(upsert([skilled, stays, ranks, unskilled, there]));
        let asked = RequirementSpec {
            skill: skill("s"),
            desired_level: 50,
            weight: 1,
            minimum_level: Some(50),
        };
        let at = |number: u64, salary: i64| VacancySpec {
            city: city_name(AWAY),
            salary,
            requirements: vec![asked.clone()],
            ..vacancy(number)
        };
        // The better job has no opening.
        world.ok(offer([
            at(1, salary),
            VacancySpec { openings: 0, ..at(2, 90_000) },
            at(3, salary - 1),
        ]));
        let cities = all_cities(world.view(), &everything());
        city(world.view(), &cities, AWAY).differential.clone().unwrap()
    };
    let short = found(42_000, 0);
    assert_eq!((short.asked, short.qualified, short.accepting), (2, 1, 0));
    is(&short.pay[1], 497.0);
    is(&short.subsidy[1], 1_788.0);
    is(&found(42_000, 1_788).pay[1], 0.0);
    assert_eq!(found(42_000, 1_788).accepting, 1);
    assert_eq!(found(42_000, 1_787).accepting, 0);
    is(&found(42_000, 1_787).subsidy[1], 1.0);
    let none = found(30_000, 0);
    is(&none.pay[1], 12_497.0);
    is_not(&none.subsidy[1], Undefined::OutOfRange);
    let enough = found(42_497, 0);
    assert_eq!(enough.accepting, 1);
    is(&enough.pay[0], 0.0);
    is(&enough.subsidy[2], 0.0);
}

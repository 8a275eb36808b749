//! The fork, period by period, on random small markets.

use crate::support::draws::Random;
use crate::support::world::*;
use gale::domain::limits::MONEY_MAX;
use gale::domain::*;
use gale::matching::{Control, Means, clear, matching_hash};
use gale::planning::scenario::compare::{self, Measure};
use gale::planning::scenario::policy::{
    Cap, Capacity, Change, Cluster, Group, MoveCosts, Place, Policy, Subsidy, Target,
};
use gale::planning::scenario::results::{CityPeriod, SeedRun};
use gale::planning::scenario::{Fork, Parameters, Plan, Run, Scenario};
use gale::preferences::Lottery;
use gale::state::{Command, MatchSide, View};
use std::sync::Arc;

const CITIES: [&str; 4] = ["ash", "birch", "cedar", "dogwood"];
const PERIODS: u32 = 5;

/// Parameters under which everything happens: people separate, openings are posted and
/// given up, size counts.
fn lively() -> Parameters {
    Parameters {
        separation: 0.2,
        withdrawal: 0.1,
        posting: 0.5,
        density_elasticity: 0.3,
        cost_elasticity: 0.2,
        localisation_elasticity: 0.1,
        residents_per_worker: 3.0,
        ..Parameters::default()
    }
}

/// The seeds to test: one from `GALE_SEED`, or the first `GALE_MARKETS`.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("GALE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GALE_MARKETS").unwrap_or(default),
    }
}

/// Whether one market is replayed, which says nothing of averages.
fn one_market() -> bool {
    std::env::var("GALE_SEED").is_ok()
}

/// What a random market is made of.
struct Made {
    settings: Settings,
    cities: Vec<CitySpec>,
    workers: Vec<WorkerSpec>,
    vacancies: Vec<VacancySpec>,
}

fn made(seed: u64) -> Made {
    let mut random = Random(seed);
    let mut city = |(i, name): (usize, &&str)| CitySpec {
        region: (i < 2).then(|| region_name(PROVINCE)),
        longitude: i as f64 * 2.0,
        cost_of_living: 900 + random.below(300) as i64,
        population: random.below(400) as i64,
        ..city(name)
    };
    let cities: Vec<CitySpec> = CITIES.iter().enumerate().map(&mut city).collect();
    let workers = (1..=20 + random.below(40)).map(|number| {
        let expected = 40_000 + 1_000 * random.below(20) as i64;
        let mobility = match random.below(4) {
            0 => MobilitySpec::HomeOnly,
            1 => MobilitySpec::Listed(vec![city_name(CITIES[random.below(4) as usize])]),
            _ => MobilitySpec::Any,
        };
        WorkerSpec {
            home_city: city_name(CITIES[random.below(4) as usize]),
            skills: vec![(skill("craft"), random.below(101) as u8)],
            expected_salary: expected,
            reservation_salary: expected * 9 / 10,
            mobility,
            cost_percent: 50 + random.below(100) as u16,
            ..worker(number)
        }
    });
    let workers: Vec<WorkerSpec> = workers.collect();
    let vacancies = (1..=10 + random.below(20)).map(|number| VacancySpec {
        city: city_name(CITIES[random.below(4) as usize]),
        openings: 1 + random.below(4) as u32,
        salary: 40_000 + 1_000 * random.below(30) as i64,
        requirements: vec![RequirementSpec {
            skill: skill("craft"),
            desired_level: 1 + random.below(100) as u8,
            weight: 1,
            minimum_level: None,
        }],
        labels: [("occupation".into(), ["11-1", "29-1", "29-2"][random.below(3) as usize].into())]
            .into(),
        ..vacancy(number)
    });
    let vacancies = vacancies.collect();
    let settings = Settings {
        fixed_move_cost: 3_000,
        move_cost_per_km: 5,
        fit_value: 5_000,
        ..Settings::default()
    };
    Made { settings, cities, workers, vacancies }
}

impl Made {
    fn world(&self) -> World {
        let mut world = World::bare(self.settings.clone(), gale::state::Capacity::default());
        world.ok(Command::UpsertRegions(batch([COUNTRY, PROVINCE].map(region))));
        world.ok(Command::UpsertCities(batch(self.cities.clone())));
        world.ok(upsert(self.workers.clone()));
        world.ok(offer(self.vacancies.clone()));
        world
    }
}

fn scenario(policy: Policy, seeds: &[u64]) -> Scenario {
    Scenario { policy, parameters: lively(), periods: PERIODS, seeds: seeds.to_vec() }
}

fn run(view: &View, scenario: &Scenario) -> Run {
    let plan = scenario.plan(view).expect("the plan is legal");
    scenario
        .run(view, &plan, (&Control::default(), Means::all()), |_, _| {})
        .expect("nobody cancels")
}

fn city_place(name: &str) -> Place {
    Place::City(city_name(name))
}

fn named(name: &str) -> Policy {
    Policy { name: name.into(), ..Policy::default() }
}

/// Something of everything.
fn busy() -> Policy {
    let group = || Some(Group { label: "occupation".into(), prefix: "29".into() });
    Policy {
        subsidies: vec![
            Subsidy { origin: None, destination: city_place("ash"), amount: 4_000 },
            Subsidy {
                origin: Some(Place::Region(region_name(COUNTRY))),
                destination: city_place("cedar"),
                amount: 1_000,
            },
        ],
        caps: vec![
            Cap { place: city_place("birch"), intake_cap: Some(3) },
            Cap { place: Place::Region(region_name(COUNTRY)), intake_cap: Some(9) },
        ],
        salaries: vec![Change { place: None, group: group(), change_bp: 500 }],
        demand: vec![Change { place: Some(city_place("dogwood")), group: None, change_bp: 3_000 }],
        capacities: vec![Capacity { place: city_place("ash"), housing_bp: 5_000, transport_bp: 0 }],
        ..named("busy")
    }
}

/// Goal: nobody and nothing is lost. In every period and city seekers, employed, openings
/// and residents are those before with what came and went; net migration adds up to 0;
/// whoever is matched is placed; a subsidy is paid for a move alone.
#[test]
fn people_openings_and_money_are_conserved() {
    let (mut moved, mut separated, mut posted, mut withdrawn, mut paid) = (0, 0, 0, 0, 0);
    for seed in seeds(150) {
        let world = made(seed).world();
        for policy in [Policy::default(), busy()] {
            let result = run(world.state.view(), &scenario(policy, &[seed]));
            let periods = &result.seeds[0].periods;
            let people = periods[0].total().seekers;
            let residents = periods[0].total().residents;
            for (at, period) in periods.iter().enumerate() {
                let total = period.total();
                assert_eq!(total.moved_in, total.moved_out, "GALE_SEED={seed}");
                assert_eq!(total.matched, total.placed);
                assert_eq!(total.residents, residents);
                // Who had a job before the period sought not.
                assert_eq!(total.employed + total.seekers - total.placed, people);
                if let Some(next) = periods.get(at + 1) {
                    let pairs = period.cities.iter().zip(&next.cities);
                    pairs.for_each(|(now, next)| carried(now, next));
                }
                for city in &period.cities {
                    assert!(city.subsidy == 0 || city.moved_in > 0);
                    assert!(city.subsidy <= i128::from(city.moved_in) * 10_000);
                    assert!(city.placed <= city.openings && city.matched <= city.seekers);
                }
                moved += total.moved_in;
                separated += total.separated;
                posted += total.posted;
                withdrawn += total.withdrawn;
                paid += total.subsidy;
            }
        }
    }
    let happened = [moved, separated, posted, withdrawn];
    assert!(
        one_market() || happened.iter().all(|count| *count > 100) && paid > 0,
        "{happened:?} {paid}"
    );
}

/// What one period hands on to the next.
fn carried(now: &CityPeriod, next: &CityPeriod) {
    assert_eq!(next.seekers, now.seekers - now.matched + now.separated);
    assert_eq!(
        next.openings,
        now.openings - now.placed + now.separated + now.posted - now.withdrawn
    );
    assert_eq!(next.residents - now.residents, 3 * next.net());
}

/// Goal: a policy that changes nothing changes nothing: not a bit of the results, whatever
/// it is called; and the difference of a run and itself is 0.
#[test]
fn a_zero_change_is_the_baseline() {
    for seed in seeds(40) {
        let world = made(seed).world();
        let view = world.state.view();
        let baseline = run(view, &scenario(Policy::default(), &[1, 2]));
        let renamed = run(view, &scenario(named("nothing-new"), &[1, 2]));
        // Debug prints floats so that they differ if their bits do.
        assert_eq!(format!("{:?}", baseline.seeds), format!("{:?}", renamed.seeds));
        for measure in Measure::OF_CITIES {
            if let Ok(delta) = compare::delta(&baseline, &renamed, PERIODS, Some(0), measure) {
                assert_eq!((delta.mean, delta.least, delta.greatest), (0.0, 0.0, 0.0));
            }
        }
    }
}

/// Goal: a seed decides, and different seeds differ.
#[test]
fn a_seed_decides() {
    let world = made(3).world();
    let of = |seeds: &[u64]| run(world.state.view(), &scenario(Policy::default(), seeds)).seeds;
    let both = of(&[8, 9]);
    assert_eq!(both[0], of(&[8])[0]);
    assert_eq!(both[1], of(&[9])[0]);
    assert_ne!(both[0].periods, both[1].periods);
}

/// Goal: the first period of the baseline is the market's own clearing under that lottery.
#[test]
fn the_first_period_is_a_clearing_of_the_market() {
    for seed in seeds(40) {
        let world = made(seed).world();
        let mut view = world.state.view().clone();
        view.head.lottery = Lottery { seed: 77 };
        let problem = view.problem();
        let matching = clear(&problem, Side::Worker, &Control::default()).unwrap().matching;
        let ids = matching.pairs().map(|(w, v)| {
            let (w, v) = (w as usize, v as usize);
            (problem.workers[w].worker.id, problem.vacancies[v].vacancy.id)
        });
        let result = run(world.state.view(), &scenario(Policy::default(), &[77]));
        assert_eq!(result.seeds[0].periods[0].matching_hash, matching_hash(ids));
    }
}

/// Goal: where moving costs everything, nobody moves.
#[test]
fn nobody_moves_at_any_price() {
    for seed in seeds(60) {
        let world = made(seed).world();
        let costs = MoveCosts { fixed: Some(MONEY_MAX), ..MoveCosts::default() };
        let policy = Policy { move_costs: costs, ..named("walls") };
        let result = run(world.state.view(), &scenario(policy, &[seed]));
        for period in &result.seeds[0].periods {
            assert_eq!(period.total().moved_in, 0, "GALE_SEED={seed}");
        }
    }
}

/// Goal: a cap that nobody reaches changes nothing; a cap holds in each period anew.
#[test]
fn slack_caps_change_nothing_and_caps_hold() {
    let mut bound = 0;
    for seed in seeds(60) {
        let world = made(seed).world();
        let view = world.state.view();
        let capped = |cap| {
            let caps = CITIES.map(|name| Cap { place: city_place(name), intake_cap: Some(cap) });
            run(view, &scenario(Policy { caps: caps.to_vec(), ..named("capped") }, &[seed]))
        };
        let baseline = run(view, &scenario(Policy::default(), &[seed]));
        assert_eq!(capped(1_000).seeds, baseline.seeds, "GALE_SEED={seed}");
        for period in &capped(2).seeds[0].periods {
            assert!(period.cities.iter().all(|city| city.placed <= 2));
            bound += period.cities.iter().filter(|city| city.placed == 2).count();
        }
    }
    assert!(one_market() || bound > 500, "{bound}");
}

/// Goal: cities have no number. A market whose cities came in another order gives the same
/// results in that order.
#[test]
fn relabelling_permutes_the_results() {
    const ORDER: [usize; 4] = [2, 0, 3, 1];
    for seed in seeds(60) {
        let market = made(seed);
        let mut turned = made(seed);
        turned.cities = ORDER.map(|i| market.cities[i].clone()).to_vec();
        for policy in [Policy::default(), busy()] {
            let before = run(market.world().state.view(), &scenario(policy.clone(), &[seed]));
            let after = run(turned.world().state.view(), &scenario(policy, &[seed]));
            for (a, b) in before.seeds[0].periods.iter().zip(&after.seeds[0].periods) {
                assert_eq!(ORDER.map(|i| a.cities[i]).to_vec(), b.cities, "GALE_SEED={seed}");
            }
        }
    }
}

/// Goal: a policy changes only what it causes. In a market of two parts that nobody
/// crosses, what happens in one leaves the other as it is, to the last draw.
#[test]
fn a_policy_changes_only_what_it_causes() {
    for seed in seeds(60) {
        let mut market = made(seed);
        for worker in &mut market.workers {
            worker.mobility = if worker.home_city == city_name("dogwood") {
                MobilitySpec::HomeOnly
            } else {
                MobilitySpec::Listed(["ash", "birch", "cedar"].map(city_name).to_vec())
            };
        }
        let world = market.world();
        let parameters = Parameters { localisation_elasticity: 0.0, ..lively() };
        let with = |policy| {
            let scenario = Scenario { parameters: parameters.clone(), ..scenario(policy, &[seed]) };
            run(world.state.view(), &scenario).seeds
        };
        let place = || Some(city_place("dogwood"));
        let policy = Policy {
            salaries: vec![Change { place: place(), group: None, change_bp: 2_000 }],
            demand: vec![Change { place: place(), group: None, change_bp: 10_000 }],
            ..named("elsewhere")
        };
        let (before, after) = (with(Policy::default()), with(policy));
        let mut differs = false;
        for (a, b) in before[0].periods.iter().zip(&after[0].periods) {
            assert_eq!(a.cities[..3], b.cities[..3], "GALE_SEED={seed}");
            differs |= a.cities[3] != b.cities[3];
        }
        let jobs = market.vacancies.iter().any(|v| v.city == city_name("dogwood"));
        assert_eq!(differs, jobs);
    }
}

/// Goal: on average a subsidy draws people, though not in every market. Paired by common
/// random numbers over random markets.
#[test]
fn a_subsidy_draws_on_average() {
    let (mut drawn, mut paid, markets) = (0_i64, 0, 200);
    for seed in seeds(markets) {
        let world = made(seed).world();
        let subsidies =
            vec![Subsidy { origin: None, destination: city_place("cedar"), amount: 6_000 }];
        let policy = Policy { subsidies, ..named("come") };
        let before = run(world.state.view(), &scenario(Policy::default(), &[seed]));
        let after = run(world.state.view(), &scenario(policy, &[seed]));
        let inflow = |run: &Run| run.seeds[0].periods[0].cities[2].moved_in as i64;
        drawn += inflow(&after) - inflow(&before);
        paid += after.seeds[0].periods[0].total().subsidy;
        assert_eq!(before.seeds[0].periods[0].total().subsidy, 0);
    }
    assert!(one_market() || drawn > markets as i64 / 10 && paid > 0, "{drawn} {paid}");
}

/// Goal: alike cities exchange alike on average: the mean difference of the two flows is
/// within three standard errors of 0.
#[test]
fn alike_cities_exchange_alike_on_average() {
    let mut differences = Vec::new();
    for seed in seeds(400) {
        let mut market = made(seed);
        let mut random = Random(seed ^ 0xA11CE);
        for city in &mut market.cities {
            city.cost_of_living = 1_000;
            city.population = 300;
        }
        let mut two = || city_name(CITIES[random.below(2) as usize]);
        for worker in &mut market.workers {
            worker.home_city = two();
            worker.mobility = MobilitySpec::Any;
        }
        market.vacancies.iter_mut().for_each(|vacancy| vacancy.city = two());
        let result = run(market.world().state.view(), &scenario(Policy::default(), &[seed]));
        let net: i64 = result.seeds[0].periods.iter().map(|period| period.cities[0].net()).sum();
        differences.push(net as f64);
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / count;
    let error = (variance / count).sqrt();
    assert!(one_market() || variance > 1.0 && mean.abs() <= 3.0 * error, "{mean} ± {error}");
}

/// Goal: a cluster is so many openings more, of that group, in that city; the same ones
/// whenever it is tried; a group that nobody has is refused.
#[test]
fn a_cluster_is_openings() {
    let world = made(5).world();
    let view = world.state.view();
    let cluster = |prefix: &str, salary| Cluster {
        city: city_name("cedar"),
        group: Group { label: "occupation".into(), prefix: prefix.into() },
        openings: 25,
        salary,
    };
    let policy = Policy { clusters: vec![cluster("29", Some(70_000))], ..named("cluster") };
    let plan = Plan::of(&policy, view).unwrap();
    assert!(plan.clusters.iter().all(|made| made.salary == 70_000 && made.labels.is_some()));
    assert_eq!(plan.clusters, Plan::of(&policy, view).unwrap().clusters);
    let before = run(view, &scenario(Policy::default(), &[1]));
    let after = run(view, &scenario(policy, &[1]));
    let openings = |run: &Run, city: usize| run.seeds[0].periods[0].cities[city].openings;
    assert_eq!(openings(&after, 2), openings(&before, 2) + 25);
    for city in [0, 1, 3] {
        assert_eq!(openings(&after, city), openings(&before, city));
    }
    let unknown = Policy { clusters: vec![cluster("99", None)], ..named("unknown") };
    assert_eq!(Plan::of(&unknown, view).unwrap_err().field, "clusters[0].group");
}

/// Goal: a market's placements are where the fork starts: who is placed works, in the city
/// of the job, and its seat is free again when she leaves; caps count them in the first
/// period unless the policy sets the cap.
#[test]
fn the_fork_starts_from_what_is_placed() {
    let mut world = World::cleared(
        Settings::default(),
        [worker(1), worker(2)],
        [VacancySpec { openings: 2, city: city_name(AWAY), ..vacancy(1) }],
    );
    world.ok(confirm(MatchSide::Worker, [(1, 1)]));
    world.ok(confirm(MatchSide::Employer, [(1, 1)]));
    world.ok(Command::UpsertCities(batch([CitySpec { intake_cap: Some(1), ..city(AWAY) }])));
    let parameters = Parameters { separation: 1.0, posting: 0.0, ..Parameters::default() };
    let with = |policy: Policy| {
        let scenario =
            Scenario { policy, parameters: parameters.clone(), periods: 2, seeds: vec![1] };
        run(world.state.view(), &scenario).seeds.remove(0).periods
    };
    let periods = with(Policy::default());
    let first = &periods[0].cities;
    assert_eq!((first[0].seekers, first[1].seekers, first[1].openings), (1, 0, 1));
    // Setting the cap has started the count anew in the market: there is room for one.
    assert_eq!((first[1].placed, first[1].employed, first[1].separated), (1, 2, 2));
    let second = &periods[1].cities;
    assert_eq!((second[1].seekers, second[1].openings), (2, 2));
    // Each period has room for one.
    assert_eq!(second[1].placed, 1);
    let lifted = Cap { place: city_place(AWAY), intake_cap: None };
    let periods = with(Policy { caps: vec![lifted], ..named("open") });
    assert_eq!(periods[1].cities[1].placed, 2);
}

/// Goal: a cap of the market counts what was placed since it was set, in the first period;
/// the next one starts anew.
#[test]
fn caps_of_the_market_count_what_was_placed() {
    let mut world = World::new(Settings::default());
    world.ok(Command::UpsertCities(batch([CitySpec { intake_cap: Some(1), ..city(AWAY) }])));
    world.ok(upsert([worker(1), worker(2)]));
    world.ok(offer([VacancySpec { openings: 2, city: city_name(AWAY), ..vacancy(1) }]));
    world.clear();
    let view = world.state.view();
    let held = view.workers.iter().position(|row| row.held.is_some()).unwrap() as u64 + 1;
    world.ok(confirm(MatchSide::Worker, [(held, 1)]));
    world.ok(confirm(MatchSide::Employer, [(held, 1)]));
    let parameters = Parameters { separation: 0.0, posting: 0.0, ..Parameters::default() };
    let scenario = Scenario { policy: Policy::default(), parameters, periods: 2, seeds: vec![1] };
    let periods = run(world.state.view(), &scenario).seeds.remove(0).periods;
    assert_eq!([0, 1].map(|at: usize| periods[at].cities[1].placed), [0, 1]);
}

/// Goal: what is posted pays its salary at the start times the productivity of the city,
/// which follows its size; who moves pays the city's prices. Method: one job a period, whose
/// pay draws one worker a period from another city.
#[test]
fn pay_follows_size() {
    let mut world = World::new(Settings::default());
    for name in [HOME, AWAY, ISLAND] {
        world.ok(Command::UpsertCities(batch([CitySpec { population: 100, ..city(name) }])));
    }
    let away = |number| WorkerSpec { home_city: city_name(AWAY), ..worker(number) };
    world.ok(upsert((1..=6).map(away)));
    world.ok(offer([vacancy(1)]));
    let parameters = Parameters {
        separation: 0.0,
        vacancy_elasticity: 0.0,
        localisation_elasticity: 0.0,
        density_elasticity: 0.2,
        cost_elasticity: 0.1,
        residents_per_worker: 10.0,
        ..Parameters::default()
    };
    let scenario = Scenario { policy: Policy::default(), parameters, periods: 4, seeds: vec![1] };
    let periods = run(world.state.view(), &scenario).seeds.remove(0).periods;
    for (moved, period) in periods.iter().enumerate() {
        let (home, size) = (&period.cities[0], 1.0 + 0.1 * moved as f64);
        assert_eq!((home.placed, home.residents), (1, 110 + 10 * moved as i64));
        assert_eq!(home.pay, (60_000.0 * size.powf(0.2)).round() as i128);
        assert_eq!(home.cost_of_living, (1_000.0 * size.powf(0.1)).round() as i64);
        assert_eq!(home.real_pay, 1_000 * home.pay / i128::from(home.cost_of_living));
    }
}

/// Goal: room lowers the cost of living, and traffic's delay, from the first period on.
#[test]
fn room_counts_from_the_start() {
    let world = made(11).world();
    let capacity = Capacity { place: city_place("ash"), housing_bp: 10_000, transport_bp: 10_000 };
    let policy = Policy { capacities: vec![capacity], ..named("room") };
    let before = run(world.state.view(), &scenario(Policy::default(), &[1]));
    let after = run(world.state.view(), &scenario(policy, &[1]));
    let city = |run: &Run, at: usize| run.seeds[0].periods[0].cities[at];
    let (was, is) = (city(&before, 0), city(&after, 0));
    assert_eq!(is.cost_of_living, (was.cost_of_living as f64 * 2_f64.powf(-0.2)).round() as i64);
    assert!((was.delay - 1.15).abs() < 1e-12 && (is.delay - 1.0 - 0.15 / 16.0).abs() < 1e-12);
    assert_eq!(city(&before, 1).cost_of_living, city(&after, 1).cost_of_living);
}

/// Goal: work in a large city teaches, and what is learned counts when she seeks again.
#[test]
fn what_is_learned_counts_when_she_seeks_again() {
    let mut world = World::new(Settings::default());
    let asks = |number, level| VacancySpec {
        requirements: vec![RequirementSpec {
            skill: skill("craft"),
            desired_level: 100,
            weight: 1,
            minimum_level: level,
        }],
        ..vacancy(number)
    };
    for (name, population) in [(HOME, 1_000), (AWAY, 10), (ISLAND, 10)] {
        world.ok(Command::UpsertCities(batch([CitySpec { population, ..city(name) }])));
    }
    world.ok(upsert([WorkerSpec {
        skills: vec![(skill("craft"), 50)],
        mobility: MobilitySpec::HomeOnly,
        ..worker(1)
    }]));
    // The second pays more, and asks for more than she has.
    world.ok(offer([asks(1, None), VacancySpec { salary: 80_000, ..asks(2, Some(60)) }]));
    let with = |learning| {
        let parameters = Parameters { separation: 1.0, learning, ..Parameters::default() };
        let policy = Policy::default();
        let scenario = Scenario { policy, parameters, periods: 2, seeds: vec![1] };
        run(world.state.view(), &scenario).seeds.remove(0).periods
    };
    // ln(1000 / 10) = 4.6 times 3 levels.
    assert_eq!(with(3.0).iter().map(|p| p.cities[0].pay).collect::<Vec<_>>(), [60_000, 80_000]);
    assert_eq!(with(0.0)[1].cities[0].pay, 60_000);
}

/// Goal: what a market does not have is refused by the name of the policy's field.
#[test]
fn unknown_places_are_named() {
    let world = made(1).world();
    let nowhere = || city_place("nowhere");
    let cases = [
        (
            "caps[0].place.city",
            Policy { caps: vec![Cap { place: nowhere(), intake_cap: None }], ..named("p") },
        ),
        (
            "subsidies[0].destination.city",
            Policy {
                subsidies: vec![Subsidy { origin: None, destination: nowhere(), amount: 1 }],
                ..named("p")
            },
        ),
        (
            "capacities[0].place.region",
            Policy {
                capacities: vec![Capacity {
                    place: Place::Region(region_name("nowhere")),
                    housing_bp: 1,
                    transport_bp: 1,
                }],
                ..named("p")
            },
        ),
        (
            "targets",
            Policy {
                targets: vec![Target { place: city_place("ash"), share_bp: 1 }],
                ..named("p")
            },
        ),
    ];
    for (field, policy) in cases {
        assert_eq!(Plan::of(&policy, world.state.view()).expect_err(field).field, field);
    }
}

/// Goal: targets act under the TARGETS order: with a region's cap of 1, the place within
/// target goes before one that is better paid.
#[test]
fn targets_choose_whose_places_are_filled() {
    let mut world = World::new(Settings::default());
    world.ok(upsert([worker(1), worker(2)]));
    let better = VacancySpec { salary: 70_000, ..vacancy(1) };
    world.ok(offer([better, VacancySpec { city: city_name(AWAY), ..vacancy(2) }]));
    let policy = Policy {
        caps: vec![Cap { place: Place::Region(region_name(COUNTRY)), intake_cap: Some(1) }],
        targets: vec![Target { place: city_place(AWAY), share_bp: 10_000 }],
        cap_order: Some(CapOrder::Targets),
        ..named("targets")
    };
    let placed = |policy| {
        let result = run(world.state.view(), &scenario(policy, &[1]));
        let first = &result.seeds[0].periods[0].cities;
        (first[0].placed, first[1].placed)
    };
    assert_eq!(placed(policy.clone()), (0, 1));
    assert_eq!(placed(Policy { targets: vec![], ..policy }), (1, 0));
}

/// Goal: a run that is told to stop stops.
#[test]
fn a_run_can_be_cancelled() {
    let world = made(1).world();
    let scenario = scenario(Policy::default(), &[1, 2, 3]);
    let plan = scenario.plan(world.state.view()).unwrap();
    let control = Control::default();
    let mut told = 0;
    let result = scenario.run(world.state.view(), &plan, (&control, Means::all()), |_, _| {
        told += 1;
        if told == 2 {
            control.cancel();
        }
    });
    assert!(result.is_err() && told == 2);
}

/// Goal: the macro mode's baseline stays where it is, and a policy departs from it the
/// right way: a subsidy draws people, housing does, dearer moves keep them, people stay as
/// many; what has no meaning there is refused by name.
#[test]
fn the_macro_mode_departs_from_today() {
    let world = made(4).world();
    let view = world.state.view();
    let macro_run = |policy: Policy| {
        let parameters = Parameters {
            cost_elasticity: 0.2,
            barrier_between: 3.0,
            reconsider: 0.2,
            ..Parameters::default()
        };
        let scenario = Scenario { policy, parameters, periods: 8, seeds: vec![1] };
        let plan = scenario.plan(view).unwrap();
        let charted = scenario.chart(view, &plan)?;
        Ok::<_, Violation>(charted.run(8, &Control::default(), |_, _| {}).unwrap())
    };
    let still = macro_run(named("still")).unwrap();
    let total: f64 = still.start.iter().sum();
    for (before, after) in still.start.iter().zip(&still.periods[7].residents) {
        assert!((after / before - 1.0).abs() < 1e-6, "{still:?}");
    }
    assert!(still.settled < 1e-9 && still.growth < 1.0 && still.steady.len() == 1);

    let subsidy = Subsidy { origin: None, destination: city_place("cedar"), amount: 3_000 };
    let drawn = macro_run(Policy { subsidies: vec![subsidy], ..named("come") }).unwrap();
    let room = Capacity { place: city_place("cedar"), housing_bp: 5_000, transport_bp: 0 };
    let housed = macro_run(Policy { capacities: vec![room], ..named("room") }).unwrap();
    for run in [&drawn, &housed] {
        assert!(run.periods[7].residents[2] > still.start[2] * 1.001);
        assert!(run.steady[0].residents[2] > run.periods[7].residents[2]);
        assert!((run.periods[7].residents.iter().sum::<f64>() / total - 1.0).abs() < 1e-12);
    }
    let moved = |run: &gale::planning::scenario::economy::MacroRun| {
        let pairs = run.start.iter().zip(&run.periods[0].residents);
        pairs.map(|(before, after)| (after - before).abs()).sum::<f64>()
    };
    assert!(moved(&drawn) > 1e-3 && moved(&still) < 1e-6);

    let demand = vec![Change { place: None, group: None, change_bp: 1 }];
    let refused = macro_run(Policy { demand, ..named("demand") }).unwrap_err();
    assert_eq!(refused.field, "policy.demand");
    let cap = Cap { place: Place::Region(region_name(COUNTRY)), intake_cap: Some(1) };
    let refused = macro_run(Policy { caps: vec![cap], ..named("region") }).unwrap_err();
    assert_eq!(refused.field, "policy.caps[0].place");
}

/// Goal: a fork gives its problem to whoever wants to clear it otherwise.
#[test]
fn a_fork_has_a_problem() {
    let world = made(2).world();
    let plan = Arc::new(Plan::of(&busy(), world.state.view()).unwrap());
    let problem = Fork::new(world.state.view(), &plan, &lively(), 1).problem();
    assert_eq!(problem.sets.len(), 2);
    let seeds: Vec<SeedRun> = run(world.state.view(), &scenario(busy(), &[1])).seeds;
    assert_eq!(seeds[0].periods[0].total().seekers, problem.workers.len() as u64);
}

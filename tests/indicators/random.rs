//! Random markets: the census against a naive recount, first choices and the split
//! against the model by definition, relabelled cities, and no number that is none.

use super::support::draws::Random;
use super::support::world::*;
use super::*;
use gale::matching::Problem;
use gale::planning::census::{Census, Moves, Tally};
use gale::state::{MatchSide, VacancyRow, VacancyStatus, WorkerRow, WorkerStatus};
use std::collections::BTreeMap;

/// Random markets.
const MARKETS: u64 = 300;
const CODES: [&str; 4] = ["11-1011", "11-2021", "29-1141", "43-9061"];
const CITIES: [&str; 3] = [HOME, AWAY, ISLAND];

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("GALE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GALE_MARKETS").unwrap_or(MARKETS),
    }
}

fn labels(random: &mut Random) -> Labels {
    if random.one_in(5) { Box::default() } else { occupation(random.of(&CODES)) }
}

fn a_worker(random: &mut Random, number: u64) -> WorkerSpec {
    let expected = 40_000 + 2_000 * random.below(12) as i64;
    WorkerSpec {
        home_city: city_name(random.of(&CITIES)),
        skills: vec![(skill("s"), 10 * random.below(11) as u8)],
        expected_salary: expected,
        reservation_salary: expected - 2_000 * random.below(5) as i64,
        mobility: match random.below(4) {
            0 => MobilitySpec::HomeOnly,
            1 => MobilitySpec::Listed(vec![city_name(random.of(&CITIES))]),
            _ => MobilitySpec::Any,
        },
        cost_percent: random.of(&[0, 50, 100, 300]),
        ranking: random.one_in(8).then(|| {
            let mut ids: Vec<_> = (1..=9).map(vacancy_id).collect();
            random.shuffle(&mut ids);
            ids.truncate(random.below(6) as usize);
            ids
        }),
        labels: labels(random),
        ..worker(number)
    }
}

fn a_vacancy(random: &mut Random, number: u64) -> VacancySpec {
    let asked = RequirementSpec {
        skill: skill("s"),
        desired_level: 80,
        weight: 1,
        minimum_level: random.one_in(2).then_some(40),
    };
    VacancySpec {
        city: city_name(random.of(&CITIES)),
        openings: random.below(4) as u32,
        salary: 38_000 + 2_000 * random.below(16) as i64,
        requirements: if random.one_in(3) { vec![] } else { vec![asked] },
        ranking: random.one_in(8).then(|| (1..=12).map(worker_id).collect()),
        labels: labels(random),
        ..vacancy(number)
    }
}

fn a_city(random: &mut Random, name: &str) -> CitySpec {
    CitySpec {
        population: random.of(&[0, 1_000, 250_000]),
        cost_of_living: random.of(&[800, 1_000, 1_300]),
        intake_cap: random.of(&[None, None, Some(0), Some(2)]),
        move_subsidy: random.of(&[0, 0, 500]),
        ..city(name)
    }
}

/// A market with a past: cleared, some matches confirmed, some people and jobs gone, some
/// placed people looking again; then perhaps changed once more, so that it is PENDING.
fn market(seed: u64, order: &[&str]) -> World {
    let mut random = Random(seed);
    let settings = Settings {
        fixed_move_cost: random.of(&[0, 4_000]),
        move_cost_per_km: random.of(&[0, 3]),
        fit_value: random.of(&[0, 5_000]),
        local_bonus_bp: random.of(&[0, 500]),
        ..Settings::default()
    };
    let mut world = World::bare(settings, gale::state::Capacity::default());
    world.ok(Command::UpsertRegions(batch([COUNTRY, PROVINCE].map(region))));
    let cities: BTreeMap<&str, CitySpec> =
        CITIES.map(|name| (name, a_city(&mut random, name))).into();
    world.ok(Command::UpsertCities(batch(order.iter().map(|name| cities[name].clone()))));
    let (workers, vacancies) = (random.below(14), random.below(8));
    if workers > 0 {
        world.ok(upsert((1..=workers).map(|number| a_worker(&mut random, number))));
    }
    if vacancies > 0 {
        world.ok(offer((1..=vacancies).map(|number| a_vacancy(&mut random, number))));
    }
    world.clear();
    for number in 1..=workers {
        let Some(job) = world.job_of(number) else { continue };
        if random.one_in(2) {
            for side in [MatchSide::Worker, MatchSide::Employer] {
                world.ok(confirm(side, [(number, job)]));
            }
            if random.one_in(3) {
                world.ok(reopen([a_worker(&mut random, number)]));
            }
        } else if random.one_in(4) {
            world.ok(decline(MatchSide::Worker, [(number, job)]));
        }
    }
    for number in 1..=workers {
        if world.w(number).status.in_pool() && random.one_in(6) {
            world.ok(withdraw([number]));
        }
    }
    for number in 1..=vacancies {
        if world.v(number).status == VacancyStatus::Open && random.one_in(6) {
            world.ok(close([number]));
        }
    }
    if random.one_in(2) {
        world.clear();
    }
    if random.one_in(2) {
        world.ok(upsert([a_worker(&mut random, 20)]));
        world.ok(offer([a_vacancy(&mut random, 20)]));
    }
    world
}

/// Everything about the workers and jobs that two tests pick out, counted one by one.
fn naive(
    view: &View,
    worker_here: impl Fn(&WorkerRow) -> bool,
    job_here: impl Fn(&VacancyRow) -> bool,
) -> Tally {
    let terms = view.head.terms();
    let workers: Vec<&WorkerRow> = view.workers.iter().filter(|row| worker_here(row)).collect();
    let jobs: Vec<&VacancyRow> = view.vacancies.iter().filter(|row| job_here(row)).collect();
    let with = |status| workers.iter().filter(|row| row.status == status).count() as u64;
    let pair_of = |row: &WorkerRow| {
        let held = row.held?;
        Some((terms.pair(&row.worker, &view.vacancy(held.vacancy).vacancy), held.vacancy))
    };
    let open = || jobs.iter().filter(|row| row.status == VacancyStatus::Open);
    let free = |row: &VacancyRow| u64::from(row.vacancy.openings - row.placed);
    let code = |labels: &SharedLabels| {
        let found = labels.iter().flat_map(|labels| labels.iter());
        found.filter(|(key, _)| **key == *OCCUPATION_LABEL).map(|(_, value)| value.clone()).next()
    };
    let mut tally = Tally {
        searching: with(WorkerStatus::Searching),
        matched: with(WorkerStatus::Matched),
        placed: with(WorkerStatus::Placed),
        vacancies: open().count() as u64,
        openings: open().map(|row| free(row)).sum(),
        held: jobs.iter().map(|row| row.held.len() as u64).sum(),
        filled: jobs.iter().map(|row| u64::from(row.placed)).sum(),
        ..Tally::default()
    };
    for row in &jobs {
        let open = if row.status == VacancyStatus::Open { free(row) } else { 0 };
        let real = terms.real_salary(row.vacancy.salary, row.vacancy.city);
        tally.wages += i128::from(real) * i128::from(open + u64::from(row.placed));
    }
    for row in &workers {
        let Some((pair, vacancy)) = pair_of(row) else { continue };
        let vacancy = &view.vacancy(vacancy).vacancy;
        tally.at_or_above +=
            u64::from(pair.shortfall_bp == 0 && vacancy.salary >= pair.asking_salary);
        tally.same_group += u64::from(code(&row.worker.labels) == code(&vacancy.labels));
    }
    for row in view.workers.iter() {
        let Some((pair, slot)) = pair_of(row) else { continue };
        let job = view.vacancy(slot);
        if !job_here(job) {
            continue;
        }
        tally.pairs += 1;
        tally.fit += u64::from(pair.fit);
        tally.pay += i128::from(job.vacancy.salary);
        tally.real_pay += i128::from(terms.real_salary(job.vacancy.salary, job.vacancy.city));
        tally.asking += i128::from(pair.asking_salary);
    }
    tally
}

/// Goal: the census is what one would count by hand, of the market, each city, each region
/// and each group, and its moves are the matches between cities. It agrees with the counts
/// that the market itself keeps.
#[test]
fn the_census_is_a_recount() {
    let (mut placed, mut moved, mut again) = (0, 0, 0);
    for seed in seeds() {
        let world = market(seed, &CITIES);
        let view = world.view();
        let grouping = Grouping { label: OCCUPATION_LABEL.into(), prefix: 2 };
        let census = Census::of(view, &grouping, &Control::default()).unwrap();
        let geography = &view.head.geography;
        assert_eq!(census.total, naive(view, |_| true, |_| true), "seed {seed}");
        for (at, tally) in census.cities.iter().enumerate() {
            let here = |city: CityIx| city.at() == at;
            let found = naive(view, |row| here(row.worker.home), |row| here(row.vacancy.city));
            assert_eq!(*tally, found, "seed {seed}, city {at}");
            let counts = view.counts.get(at);
            assert_eq!(
                (
                    tally.searching,
                    tally.matched,
                    tally.placed,
                    tally.vacancies,
                    tally.openings,
                    tally.held
                ),
                (
                    counts.searching,
                    counts.matched,
                    counts.placed,
                    counts.vacancies,
                    counts.openings,
                    counts.held
                ),
                "seed {seed}, city {at}"
            );
        }
        for (at, tally) in census.regions.iter().enumerate() {
            let here = |city: CityIx| {
                geography.ancestry(geography.city(city).region).any(|ix| ix.at() == at)
            };
            let found = naive(view, |row| here(row.worker.home), |row| here(row.vacancy.city));
            assert_eq!(*tally, found, "seed {seed}, region {at}");
            let mut balance = (0, 0);
            for ((origin, destination), moves) in &census.moves {
                match (here(*origin), here(*destination)) {
                    (false, true) => balance.0 += moves.all(),
                    (true, false) => balance.1 += moves.all(),
                    _ => {}
                }
            }
            let found = census.region_balances[at];
            assert_eq!((found.inward.all(), found.outward.all()), balance, "seed {seed}");
        }
        for (name, tally) in &census.groups {
            let here = |labels: &SharedLabels| grouping.group_of(labels) == &**name;
            let found =
                naive(view, |row| here(&row.worker.labels), |row| here(&row.vacancy.labels));
            // What is the same group is said of the prefix.
            let found = Tally { same_group: tally.same_group, ..found };
            assert_eq!(*tally, found, "seed {seed}, group {name}");
        }
        let mut moves = BTreeMap::<(CityIx, CityIx), Moves>::new();
        for row in view.workers.iter() {
            let Some(held) = row.held else { continue };
            let city = view.vacancy(held.vacancy).vacancy.city;
            let one = moves.entry((row.worker.home, city)).or_default();
            match row.status {
                WorkerStatus::Placed => one.moved += 1,
                _ => one.planned += 1,
            }
        }
        moves.retain(|(origin, destination), _| origin != destination);
        assert_eq!(census.moves, moves, "seed {seed}");
        let cells = census.cells.values();
        let sums = cells.fold((0, 0, 0), |sum, cell| {
            (sum.0 + cell.seekers, sum.1 + cell.openings, sum.2 + cell.jobs)
        });
        let total = &census.total;
        assert_eq!(sums, (total.seekers(), total.openings, total.jobs()), "seed {seed}");
        placed += total.placed;
        moved += moves.values().map(|moves| moves.moved).sum::<u64>();
        again += u64::from(total.filled > total.placed);
    }
    println!("placed {placed}, of them moved {moved}; {again} markets where somebody looks again");
    assert!(placed > 0 && moved > 0 && again > 0 || std::env::var("GALE_SEED").is_ok());
}

/// Goal: first choices are each seeker's best of all acceptable vacancies that could take
/// anybody. Method: the model pair by pair.
#[test]
fn first_choices_are_the_best_of_all() {
    for seed in seeds() {
        let world = market(seed, &CITIES);
        let view = world.view();
        let problem = view.problem();
        let mut at = vec![0; CITIES.len()];
        let (mut matched, mut first) = (0, 0);
        for (w, seeker) in problem.workers.iter().enumerate() {
            let best = favourite(&problem, w);
            if let Some(v) = best {
                at[problem.vacancies[v].vacancy.city.at()] += 1;
            }
            if let Some(held) = view.worker(seeker.slot).held {
                matched += 1;
                first += u64::from(best.is_some_and(|v| problem.vacancies[v].slot == held.vacancy));
            }
        }
        let wanted = Wanted { split: false, ..everything() };
        let found = measured(view, &wanted).market.pools.first_choice.unwrap();
        let expected = [("first_choice", first as f64), ("matched_asked", matched as f64)];
        assert_eq!(found.inputs, expected, "seed {seed}");
        for (city, count) in all_cities(view, &wanted).cities.iter().zip(at) {
            let inputs = &city.attractiveness.as_ref().unwrap().inputs;
            assert_eq!(inputs[0], ("first_choices", f64::from(count)), "seed {seed}");
        }
    }
}

fn favourite(problem: &Problem, w: usize) -> Option<usize> {
    let open = (0..problem.vacancies.len()).filter(|v| {
        problem.vacancies[*v].openings > 0
            && problem.sets_around(*v).all(|set| problem.sets[set].capacity > 0)
    });
    open.filter(|v| problem.pair(w, *v).is_acceptable()).min_by_key(|v| {
        let id = problem.vacancies[*v].vacancy.id;
        let value = problem.pair(w, *v).value;
        (std::cmp::Reverse(value), problem.lottery.draw(id.bytes()), *id.bytes())
    })
}

/// Goal: differentials are what the model says pair by pair.
#[test]
fn differentials_are_the_models() {
    let mut seen = 0;
    for seed in seeds() {
        let world = market(seed, &CITIES);
        let view = world.view();
        let problem = view.problem();
        let terms = problem.terms();
        for found in &all_cities(view, &everything()).cities {
            let (mut gaps, mut asked) = (Vec::new(), 0);
            for seeker in &problem.workers {
                let worker = &seeker.worker;
                if worker.home == found.ix
                    || !worker.would_live_in(found.ix)
                    || worker.ranking.is_some()
                {
                    continue;
                }
                asked += 1;
                let fits = |vacancy: &Vacancy| match &vacancy.ranking {
                    Some(ids) => ids.contains(&worker.id),
                    None => {
                        gale::preferences::meets_minima(&**worker, &vacancy.requirements)
                            && gale::preferences::fit(&**worker, &vacancy.requirements)
                                >= terms.min_fit(vacancy)
                    }
                };
                let there = problem.vacancies.iter().filter(|post| {
                    post.vacancy.city == found.ix
                        && post.openings > 0
                        && !seeker.has_declined(post.slot)
                        && fits(&post.vacancy)
                });
                if let Some(best) = there.map(|post| post.vacancy.salary).max() {
                    gaps.push((terms.least_salary_in(worker, found.ix) - best).max(0));
                }
            }
            gaps.sort_unstable();
            let differential = found.differential.as_ref().unwrap();
            assert_eq!(
                (differential.asked, differential.qualified),
                (asked, gaps.len() as u64),
                "seed {seed}"
            );
            let accepting = gaps.iter().filter(|gap| **gap == 0).count() as u64;
            assert_eq!(differential.accepting, accepting, "seed {seed}");
            if !gaps.is_empty() {
                seen += 1;
                is(&differential.pay[1], gaps[gaps.len().div_ceil(2) - 1] as f64);
            }
        }
    }
    assert!(seen > 0 || std::env::var("GALE_SEED").is_ok());
}

/// Goal: nothing is NaN or infinite, whatever the market, and every share is in its range.
#[test]
fn every_figure_is_a_number_or_says_why() {
    for seed in seeds() {
        let world = market(seed, &CITIES);
        let (view, wanted) = (world.view(), everything());
        let (all, cities) = (measured(view, &wanted), all_cities(view, &wanted));
        let text = format!("{all:?}{cities:?}");
        assert!(text.contains("Figure"));
        // Infinite numbers are written inf and -inf.
        for word in ["NaN", " inf", "-inf"] {
            assert!(!text.contains(word), "seed {seed}: {word}");
        }
        let pools = cities.cities.iter().map(|city| &city.pools).chain([&all.market.pools]);
        for pools in pools.chain(all.regions.iter().map(|region| &region.pools)) {
            let shares = [
                &pools.match_rate,
                &pools.fill_rate,
                &pools.vacancy_rate,
                &pools.at_or_above_expected,
                &pools.same_group,
                pools.first_choice.as_ref().unwrap(),
            ];
            for figure in shares {
                assert!(
                    figure.value.is_err() || (0.0..=1.0).contains(&figure.value.unwrap()),
                    "seed {seed}"
                );
                let out = figure.value == Err(Undefined::OutOfRange);
                assert!(!out, "seed {seed}: {figure:?}");
            }
        }
        let split = all.market.split.unwrap();
        let parts = [&split.place, &split.skill, &split.pay].map(|part| part.value.unwrap());
        is(&split.gained, parts.iter().sum());
    }
}

/// Goal: who is a city's first does not matter: cities that arrive in another order have
/// the same figures. Method: the same market with its cities in two orders.
#[test]
fn relabelled_cities_permute_the_results() {
    for seed in seeds() {
        let one = market(seed, &CITIES);
        let other = market(seed, &[ISLAND, HOME, AWAY]);
        let (a, b) = (one.view(), other.view());
        let wanted = everything();
        let (of_a, of_b) = (all_cities(a, &wanted), all_cities(b, &wanted));
        for name in CITIES {
            let (mut x, mut y) = (city(a, &of_a, name).clone(), city(b, &of_b, name).clone());
            let twin = |view: &View, ix: Option<CityIx>| {
                ix.map(|ix| view.head.geography.city(ix).id.clone())
            };
            assert_eq!(
                twin(a, x.specialisation.twin),
                twin(b, y.specialisation.twin),
                "seed {seed}"
            );
            for city in [&mut x, &mut y] {
                city.ix = CityIx(0);
                city.specialisation.twin = None;
            }
            assert_eq!(
                rounded(&format!("{x:?}")),
                rounded(&format!("{y:?}")),
                "seed {seed}, {name}"
            );
        }
        let text = |view: &View| rounded(&format!("{:?}", measured(view, &wanted)));
        assert_eq!(text(a), text(b), "seed {seed}");
    }
}

/// The text with every fraction cut to six decimals: sums in another order differ in their
/// last bits.
fn rounded(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', ',', ')', '(', ']', '[']) {
        let (number, end) = word.split_at(word.len() - 1);
        match number.parse::<f64>() {
            Ok(value) if number.contains('.') => out.push_str(&format!("{:.6}{end}", value + 0.0)),
            _ => out.push_str(word),
        }
    }
    out
}

/// Goal: samples are drawn where there are too many, are about as large as they may be,
/// and say so; what is sampled is the same every time.
#[test]
fn samples_say_so() {
    let mut random = Random(7);
    let mut world = World::new(Settings::default());
    world.ok(upsert((1..=400).map(|number| WorkerSpec {
        ranking: None,
        mobility: MobilitySpec::Any,
        ..a_worker(&mut random, number)
    })));
    world.ok(offer((1..=40).map(|number| VacancySpec {
        openings: 5,
        ranking: None,
        ..a_vacancy(&mut random, number)
    })));
    world.clear();
    let most = Most {
        first_choices: 100,
        split: 100,
        differential_pairs: 300,
        differential_seekers_min: 1,
    };
    let wanted = Wanted { most, ..everything() };
    let view = world.view();
    let found = measured(view, &wanted).market;
    let cities = all_cities(view, &wanted);
    let samples = [
        found.sample.unwrap(),
        found.split.as_ref().unwrap().sample.unwrap(),
        cities.choices_sample.unwrap(),
        cities.differentials_sample.unwrap(),
    ];
    for sample in samples {
        assert_eq!(sample.workers_of, 400);
        assert!(sample.workers.abs_diff(100) < 36, "{sample:?}");
    }
    let split = found.split.unwrap();
    let sample = split.sample.unwrap();
    assert_eq!((split.seekers, split.openings), (sample.workers, sample.openings));
    assert_eq!(sample.openings_of, 200);
    assert!(sample.openings.abs_diff(50) < 20, "{sample:?}");
    let again = measured(view, &wanted).market;
    assert_eq!(again.split.unwrap().matches, split.matches);
    // At the limits nobody is drawn.
    let most = Most {
        first_choices: 400,
        split: 400,
        differential_pairs: 1_200,
        differential_seekers_min: 1,
    };
    let wanted = Wanted { most, ..everything() };
    let whole = measured(view, &wanted).market;
    assert!(whole.sample.is_none() && whole.split.unwrap().sample.is_none());
    let cities = all_cities(view, &wanted);
    assert!(cities.choices_sample.is_none() && cities.differentials_sample.is_none());
    let most = Most { differential_pairs: 0, differential_seekers_min: 400, ..most };
    let cities = all_cities(view, &Wanted { most, ..everything() });
    assert!(cities.differentials_sample.is_none(), "so many at least");
}

/// Goal: as many groups as the limit, and not one more.
#[test]
fn groups_up_to_the_limit() {
    let mut world = World::new(Settings::default());
    let most = limits::INDICATOR_GROUPS_MAX as u64;
    let labelled =
        |number: u64| WorkerSpec { labels: occupation(&format!("g{number}")), ..worker(number) };
    for start in (0..most).step_by(limits::BATCH_MAX) {
        world.ok(upsert((start..start + limits::BATCH_MAX as u64).map(labelled)));
    }
    let wanted = Wanted { first_choices: false, split: false, groups: 3, ..everything() };
    let found = measured(world.view(), &wanted);
    assert_eq!((found.groups_total, found.groups.len()), (most as usize, 3));
    world.ok(upsert([labelled(most)]));
    let refusal = refused(indicators::market(world.view(), &wanted, &Control::default()));
    assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::LimitReached, "label_key"));
    let grouping = Grouping { prefix: 1, ..wanted.grouping.clone() };
    assert_eq!(measured(world.view(), &Wanted { grouping, ..wanted }).groups_total, 1);
}

/// Goal: a measurement that is told to stop stops.
#[test]
fn cancelled() {
    let world = market(3, &CITIES);
    let control = Control::default();
    control.cancel();
    let wanted = everything();
    assert!(matches!(
        indicators::market(world.view(), &wanted, &control),
        Err(Error::Cancelled(_))
    ));
    let cities = indicators::cities(world.view(), &wanted, 0..3, &control);
    assert!(matches!(cities, Err(Error::Cancelled(_))));
}

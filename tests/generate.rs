//! The generator: one plan is one market, on every machine, made of valid records
//! whose totals are those of the published margins.

use gale::domain::{MobilitySpec, VacancySpec, WorkerSpec};
use gale::generate::{
    Country, GENERATED_LABEL, Generated, Generator, METROS_MAX, Moving, OCCUPATION_LABEL, Plan,
    Scale, WAGES_LABEL, WAGES_MODELLED, generate,
};
use std::collections::{BTreeMap, HashSet};
use xxhash_rust::xxh3::Xxh3;

fn plan(metros: usize, scale: &str, seed: u64) -> Plan {
    Plan { metros, scale: Scale::parse("scale", scale).unwrap(), seed, ..Plan::default() }
}

fn market(metros: usize, scale: &str, seed: u64) -> Generated {
    generate(&plan(metros, scale, seed), |_| {}).unwrap()
}

/// Hash of everything that is generated, in order: a change of any field of any
/// record changes it.
fn hash(market: &Generated) -> u64 {
    let mut hash = Xxh3::new();
    let mut text = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    text(market.frame.id.as_str());
    text(&market.frame.lottery_seed.to_string());
    for city in &market.frame.cities {
        text(&format!("{} {} {}", city.id, city.latitude, city.longitude));
        text(&format!("{} {}", city.cost_of_living, city.population));
    }
    for worker in &market.workers {
        text(&worker_line(worker));
    }
    for vacancy in &market.vacancies {
        text(&vacancy_line(vacancy));
    }
    hash.digest()
}

fn worker_line(worker: &WorkerSpec) -> String {
    let mobility = match &worker.mobility {
        MobilitySpec::Any => "any".to_owned(),
        MobilitySpec::HomeOnly => "home".to_owned(),
        MobilitySpec::Listed(cities) => {
            cities.iter().map(|city| city.as_str()).collect::<Vec<_>>().join(",")
        }
    };
    let skills: Vec<_> = worker.skills.iter().map(|(s, level)| format!("{s}={level}")).collect();
    format!(
        "{} {} {} {} {} {mobility} {} {:?}",
        worker.id,
        worker.home_city,
        worker.expected_salary,
        worker.reservation_salary,
        worker.cost_percent,
        skills.join(","),
        worker.labels,
    )
}

fn vacancy_line(vacancy: &VacancySpec) -> String {
    let ask = |r: &gale::domain::RequirementSpec| {
        let minimum = r.minimum_level.map_or("none".to_owned(), |level| level.to_string());
        format!("{}={}x{}>={minimum}", r.skill, r.desired_level, r.weight)
    };
    let asks: Vec<_> = vacancy.requirements.iter().map(ask).collect();
    format!(
        "{} {} {} {} {} {} {} {:?}",
        vacancy.id,
        vacancy.city,
        vacancy.employer,
        vacancy.title,
        vacancy.openings,
        vacancy.salary,
        asks.join(","),
        vacancy.labels,
    )
}

fn openings(market: &Generated) -> u64 {
    market.vacancies.iter().map(|vacancy| u64::from(vacancy.openings)).sum()
}

/// Goal: one plan is one market, today, tomorrow and on every machine. Method: the
/// same plan twice, then against a hash that is committed. A deliberate change of the
/// tables or the rules changes the hash, and is then put here.
#[test]
fn one_plan_is_one_market() {
    let (first, second) = (market(5, "0.001", 7), market(5, "0.001", 7));
    assert_eq!(first, second);
    assert_eq!(format!("{:016x}", hash(&first)), "c43e23f65beac06c");
    assert_ne!(hash(&first), hash(&market(5, "0.001", 8)), "another seed is another market");
}

/// Goal: metros can be generated in any order, on any thread. Method: backwards, with
/// a generator of its own for each, against the whole market.
#[test]
fn metros_do_not_depend_on_each_other() {
    let whole = market(6, "0.001", 3);
    let mut workers = Vec::new();
    let mut vacancies = Vec::new();
    for at in (0..6).rev() {
        let generator = Generator::new(&plan(6, "0.001", 3)).unwrap();
        vacancies.splice(0..0, generator.vacancies(at));
        workers.splice(0..0, generator.workers(at));
    }
    assert_eq!((workers, vacancies), (whole.workers, whole.vacancies));
}

/// Goal: whatever is generated would be accepted by a server, and says that it is
/// generated. Method: every check of every record of a market of all metros.
#[test]
fn every_record_is_valid_and_labelled() {
    let market = market(METROS_MAX, "0.003", 1);
    market.frame.settings.check().unwrap();
    assert!(market.frame.display_name.contains("Generated"));
    let regions: HashSet<_> = market.frame.regions.iter().map(|region| &region.id).collect();
    assert_eq!(regions.len(), market.frame.regions.len());
    assert_eq!(regions.len(), 52, "50 states, the District of Columbia and Puerto Rico");
    market.frame.regions.iter().for_each(|region| region.check().unwrap());
    let mut cities = HashSet::new();
    for city in &market.frame.cities {
        city.check().unwrap();
        assert!(cities.insert(&city.id) && regions.contains(city.region.as_ref().unwrap()));
    }
    let label = |labels: &[(Box<str>, Box<str>)], key: &str| {
        labels.iter().find(|(k, _)| **k == *key).map(|(_, value)| value.to_string())
    };
    for worker in &market.workers {
        worker.check().unwrap();
        assert!(cities.contains(&worker.home_city));
        if let MobilitySpec::Listed(listed) = &worker.mobility {
            assert!(!listed.is_empty() && listed.iter().all(|city| cities.contains(city)));
            assert!(!listed.contains(&worker.home_city));
        }
        assert_eq!(label(&worker.labels, GENERATED_LABEL).as_deref(), Some("true"));
        assert_eq!(label(&worker.labels, OCCUPATION_LABEL).unwrap().len(), 7);
        let least = worker.expected_salary * 78 / 100;
        let most = worker.expected_salary * 95 / 100;
        assert!((least..=most).contains(&worker.reservation_salary), "{worker:?}");
        assert!((14..=24).contains(&worker.skills.len()));
    }
    for vacancy in &market.vacancies {
        vacancy.check().unwrap();
        assert!(cities.contains(&vacancy.city) && vacancy.openings >= 1);
        assert!(vacancy.employer.starts_with("Generated employer "));
        assert_eq!(label(&vacancy.labels, GENERATED_LABEL).as_deref(), Some("true"));
    }
}

/// Goal: ids are unique across workers and vacancies, and say by their version that
/// they are made by hash. Method: all ids of a market of all metros.
#[test]
fn ids_are_unique_and_version_8() {
    let market = market(METROS_MAX, "0.01", 1);
    let workers = market.workers.iter().map(|worker| worker.id.0);
    let ids: Vec<_> = workers.chain(market.vacancies.iter().map(|v| v.id.0)).collect();
    assert!(ids.iter().all(|id| id.get_version_num() == 8));
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

/// Goal: totals are the published margins. Method: workers of each metro by largest
/// remainder, computed here again from the table; the country's total; half the scale
/// gives half the people and openings.
#[test]
fn totals_are_the_margins() {
    let mut rows = csv::Reader::from_path("data/cities.csv").unwrap();
    let unemployed: Vec<(String, u64)> = rows
        .records()
        .map(|row| row.unwrap())
        .map(|row| (row[0].to_owned(), row[10].parse().unwrap()))
        .collect();
    let market_of_50 = market(50, "0.01", 1);
    let sum: u64 = unemployed[..50].iter().map(|(_, count)| count).sum();
    assert_eq!(market_of_50.workers.len() as u64, (sum + 50) / 100);
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for worker in &market_of_50.workers {
        *found.entry(worker.home_city.as_str()).or_default() += 1;
    }
    let by_remainder = |up: bool| {
        let all = unemployed[..50].iter();
        all.filter(|(id, count)| (found[id.as_str()] > count / 100) == up)
            .map(|(_, count)| count % 100)
            .collect::<Vec<_>>()
    };
    for (id, count) in &unemployed[..50] {
        assert!((count / 100..=count.div_ceil(100)).contains(&found[id.as_str()]), "{id}");
    }
    // Those rounded up have the larger remainders.
    assert!(by_remainder(true).iter().min() >= by_remainder(false).iter().max());
    let whole = Generator::new(&plan(METROS_MAX, "1", 1)).unwrap();
    assert_eq!(whole.workers_total(), 6_052_216);
    assert_eq!(whole.openings_total(), 3_510_565);
    let half = market(50, "0.005", 1);
    assert!(market_of_50.workers.len().abs_diff(2 * half.workers.len()) <= 1);
    assert!(openings(&market_of_50).abs_diff(2 * openings(&half)) <= 1);
    let year = Plan { quarters: 4, ..plan(50, "0.005", 1) };
    let year = generate(&year, |_| {}).unwrap();
    assert!(openings(&year).abs_diff(4 * openings(&half)) <= 2);
    assert_eq!(year.workers.len(), half.workers.len());
}

/// Goal: occupations keep their shares, rare ones too, at small scales. Method:
/// workers of each major group in a market of 50 metros at 0.01 against ten times the
/// scale; and most occupations occur, which largest remainder within each metro
/// would not give.
#[test]
fn occupations_keep_their_shares() {
    let groups = |market: &Generated| {
        let mut groups: BTreeMap<String, f64> = BTreeMap::new();
        for worker in &market.workers {
            *groups.entry(worker.labels[1].1[..2].to_owned()).or_default() += 1.0;
        }
        groups.values_mut().for_each(|count| *count /= market.workers.len() as f64);
        groups
    };
    let (small, large) = (market(50, "0.01", 1), market(50, "0.1", 1));
    for (group, share) in groups(&large) {
        let found = groups(&small).get(&group).copied().unwrap_or(0.0);
        assert!((found - share).abs() < 0.002, "{group}: {found} against {share}");
    }
    let distinct: HashSet<_> = small.workers.iter().map(|worker| &worker.labels[1].1).collect();
    assert!(distinct.len() > 650, "{} occupations", distinct.len());
}

/// Goal: the shares that the documentation states. Method: mobility kinds, listed
/// cities, openings a vacancy and varied requirement lists of the demo market.
#[test]
fn shares_are_near_their_targets() {
    let market = market(50, "0.01", 1);
    let share = |of: fn(&MobilitySpec) -> bool| {
        let count = market.workers.iter().filter(|worker| of(&worker.mobility)).count();
        count as f64 / market.workers.len() as f64
    };
    assert!((share(|m| matches!(m, MobilitySpec::HomeOnly)) - 0.6).abs() < 0.01);
    assert!((share(|m| matches!(m, MobilitySpec::Any)) - 0.15).abs() < 0.01);
    let lists =
        |m: &MobilitySpec| matches!(m, MobilitySpec::Listed(c) if (2..=8).contains(&c.len()));
    assert!((share(lists) - 0.25).abs() < 0.01);
    let mean = openings(&market) as f64 / market.vacancies.len() as f64;
    assert!((2.0..3.0).contains(&mean), "{mean} openings a vacancy");
    let mut percents: Vec<u16> = market.workers.iter().map(|w| w.cost_percent).collect();
    percents.sort_unstable();
    assert!(percents[percents.len() / 2].abs_diff(100) <= 2, "median cost percent");
}

/// Goal: a plan outside the tables is refused with its field, and the largest and
/// smallest plans inside work. Method: each bound and one past it.
#[test]
fn bad_plans_are_refused() {
    let field = |plan: Plan| Generator::new(&plan).unwrap_err().field;
    assert_eq!(field(plan(0, "0.01", 1)), "metros");
    assert_eq!(field(plan(METROS_MAX + 1, "0.01", 1)), "metros");
    assert_eq!(field(Plan { quarters: 0, ..Plan::default() }), "quarters");
    assert_eq!(field(Plan { quarters: 9, ..Plan::default() }), "quarters");
    assert!(Scale::from_millionths(0).is_err() && Scale::from_millionths(1_000_001).is_err());
    let tiny = market(1, "0.000001", u64::MAX);
    assert!(tiny.workers.len() <= 1 && tiny.frame.cities.len() == 1);
    let alone = market(1, "0.0001", 1);
    assert!(alone.workers.iter().all(|worker| worker.mobility == MobilitySpec::HomeOnly));
}

/// Goal: people who move otherwise are the same people, and a market of theirs has another id.
/// Method: every field but the ones that `Moving` is about; the shares and costs it asks for; a
/// higher power of distance lists nearer cities; out of range is refused.
#[test]
fn ways_of_moving_change_nothing_else() {
    let moving = Moving {
        fixed_cost: 1_000,
        cost_per_km: 1,
        home_only_bp: 2_000,
        anywhere_bp: 1_000,
        size_power_milli: 500,
        distance_power_milli: 2_500,
        amenities_bp: 10_000,
    };
    let default = market(12, "0.002", 1);
    let other = generate(&Plan { moving, ..plan(12, "0.002", 1) }, |_| {}).unwrap();
    assert_eq!(other.vacancies, default.vacancies);
    for (a, b) in other.workers.iter().zip(&default.workers) {
        assert_eq!(*a, WorkerSpec { mobility: a.mobility.clone(), ..b.clone() });
    }
    let share = |market: &Generated, of: fn(&MobilitySpec) -> bool| {
        let count = market.workers.iter().filter(|worker| of(&worker.mobility)).count();
        count as f64 / market.workers.len() as f64
    };
    assert!((share(&other, |m| matches!(m, MobilitySpec::HomeOnly)) - 0.2).abs() < 0.02);
    assert!((share(&other, |m| matches!(m, MobilitySpec::Any)) - 0.1).abs() < 0.02);
    // New York lists Boston and Philadelphia, which are near, rather than Los Angeles.
    let listed = |market: &Generated, city: &str| {
        let of_new_york = market.workers.iter().filter(|w| w.home_city.as_str() == "us-35620");
        let lists = |m: &MobilitySpec| match m {
            MobilitySpec::Listed(cities) => cities.iter().any(|c| c.as_str() == city),
            _ => false,
        };
        of_new_york.filter(|worker| lists(&worker.mobility)).count()
    };
    let (near, far) = ("us-37980", "us-31080");
    assert!(listed(&default, far) > 50 && listed(&other, near) > 4 * listed(&other, far));
    let (frame, settings) = (&other.frame, &other.frame.settings);
    assert_eq!((settings.fixed_move_cost, settings.move_cost_per_km), (1_000, 1));
    assert!(frame.id.as_str().starts_with(&format!("{}-m", default.frame.id)), "{}", frame.id);
    for (a, b) in frame.cities.iter().zip(&default.frame.cities) {
        a.check().unwrap();
        assert_eq!((&a.id, a.population, a.latitude), (&b.id, b.population, b.latitude));
    }
    let refused =
        |moving| Generator::new(&Plan { moving, ..plan(3, "0.001", 1) }).unwrap_err().field;
    let default = Moving::default();
    assert_eq!(refused(Moving { fixed_cost: -1, ..default }), "fixed_move_cost");
    assert!(refused(Moving { anywhere_bp: 4_001, ..default }).contains("anywhere"));
    assert!(refused(Moving { distance_power_milli: 4_001, ..default }).contains("distance"));
    assert!(refused(Moving { amenities_bp: 10_001, ..default }).contains("amenities"));
}

/// Goal: progress counts up to what is made. Method: the last report of a run.
#[test]
fn progress_ends_at_the_total() {
    let mut reports = Vec::new();
    let made = generate(&plan(4, "0.001", 1), |progress| reports.push(progress)).unwrap();
    assert_eq!(reports.len(), 4);
    let last = reports[3];
    assert_eq!((last.metros, last.metros_total), (4, 4));
    assert_eq!((last.workers, last.vacancies), (made.workers.len(), made.vacancies.len()));
    assert_eq!(last.workers_total, made.workers.len() as u64);
}

/// Goal: a modelled market is whole, made of records that the server takes, and says of
/// everything that it is modelled. Method: all Chinese cities.
#[test]
fn a_modelled_market_says_so() {
    let plan = Plan { country: Country::Cn, ..plan(Country::Cn.cities_max(), "0.0005", 1) };
    let market = generate(&plan, |_| {}).unwrap();
    let frame = &market.frame;
    assert!(frame.display_name.contains("wages are no data"), "{}", frame.display_name);
    assert_eq!(&*frame.settings.currency, "modelled");
    assert_eq!(frame.cities.len(), 359);
    assert_eq!(frame.regions.len(), 33);
    frame.settings.check().unwrap();
    frame.regions.iter().for_each(|region| region.check().unwrap());
    frame.cities.iter().for_each(|city| city.check().unwrap());
    assert_eq!(&*frame.cities[0].display_name, "Chongqing 重庆市");
    assert!(market.workers.len() > 10_000 && market.vacancies.len() > 1_000);
    let modelled = (WAGES_LABEL.into(), WAGES_MODELLED.into());
    for worker in &market.workers {
        worker.check().unwrap();
        assert!(worker.labels.contains(&modelled));
    }
    for vacancy in &market.vacancies {
        vacancy.check().unwrap();
        assert!(vacancy.labels.contains(&modelled));
    }
    let too_many = Plan { metros: 360, ..plan };
    assert_eq!(Generator::new(&too_many).unwrap_err().field, "metros");
}

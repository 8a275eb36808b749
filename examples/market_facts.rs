//! Facts of a generated market: is it believable? Reproduces the tables of
//! `docs/DATA.md`.
//!
//! ```text
//! cargo run --release --example market_facts -- 50 0.01 1          # metros, scale, seed
//! cargo run --release --example market_facts -- 393 1 1 counts     # only how many, how fast
//! ```
//!
//! It counts which pairs are acceptable by evaluating all of them (those that pass the
//! quick checks with [`Terms::pair`]), and matches with a plain worker-proposing
//! deferred acceptance of its own: slow, obvious, and independent of the engine.

use gale::domain::{
    City, CityIx, Geography, Mobility, MobilitySpec, Requirement, SkillIx, Vacancy, VacancySpec,
    Worker, WorkerSpec,
};
use gale::generate::{Generated, Generator, OCCUPATION_LABEL, Plan, Scale, generate};
use gale::preferences::{Levels, Lottery, Terms, fit, meets_minima};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// A record with its occupation: the first two digits of the code are its group.
struct Of<T> {
    record: T,
    code: String,
}

impl<T> Of<T> {
    fn group(&self) -> &str {
        &self.code[..2]
    }
}

/// One acceptable pair, as its worker sees it.
struct Choice {
    vacancy: u32,
    value: i64,
    score: i64,
}

/// Levels of one worker by skill, dense.
struct Dense([u8; 128]);

impl Levels for Dense {
    fn level(&self, skill: SkillIx) -> u8 {
        self.0[skill.at()]
    }
}

/// The market with names interned.
struct Market {
    geography: Geography,
    workers: Vec<Of<Worker>>,
    vacancies: Vec<Of<Vacancy>>,
}

/// What was counted for one worker.
#[derive(Default)]
struct Counted {
    skilled: u64,
    options: Vec<Choice>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let plan = Plan {
        metros: next("50").parse().expect("metros is a number"),
        scale: Scale::parse("scale", &next("0.01")).expect("a scale"),
        seed: next("1").parse().expect("seed is a number"),
        ..Plan::default()
    };
    if next("") == "counts" {
        return counts(&plan);
    }
    let generated = generate(&plan, |_| {}).expect("a plan within the tables");
    println!("{}", generated.frame.display_name);
    let market = intern(&generated);
    let terms = Terms { settings: &generated.frame.settings, geography: &market.geography };
    let counted: Vec<Counted> =
        market.workers.iter().map(|worker| count(&terms, &worker.record, &market)).collect();
    let lottery = Lottery { seed: generated.frame.lottery_seed };
    let held = deferred_acceptance(&market, &counted, &lottery);
    facts(&terms, &market, &counted, &held);
    by_class("occupation group", &terms, &market, &counted, &held, &|market, side| {
        match side {
            Side::Worker(w) => market.workers[w].group(),
            Side::Vacancy(v) => market.vacancies[v].group(),
        }
        .to_owned()
    });
    let cities = market.geography.cities.len();
    by_class("city size", &terms, &market, &counted, &held, &move |market, side| {
        let city = match side {
            Side::Worker(w) => market.workers[w].record.home,
            Side::Vacancy(v) => market.vacancies[v].record.city,
        };
        ["1 largest third", "2 middle third", "3 smallest third"][city.at() * 3 / cities].to_owned()
    });
}

/// Counts and times a market that need not fit in memory.
fn counts(plan: &Plan) {
    let started = Instant::now();
    let generator = Generator::new(plan).expect("a plan within the tables");
    let loaded = started.elapsed();
    let metros = 0..generator.metros();
    let workers: usize = metros.clone().map(|at| generator.workers(at).count()).sum();
    let vacancies: usize = metros.map(|at| generator.vacancies(at).count()).sum();
    println!("{}", generator.frame().display_name);
    let openings = generator.openings_total();
    println!("{workers} workers, {vacancies} vacancies with {openings} openings");
    println!("tables {loaded:.3?}, in all {:.3?}", started.elapsed());
}

fn intern(generated: &Generated) -> Market {
    let mut geography = Geography::default();
    for (i, spec) in generated.frame.cities.iter().enumerate() {
        let ix = CityIx::from_offset(i);
        let city = City {
            id: spec.id.clone(),
            display_name: spec.display_name.clone(),
            region: None,
            latitude: spec.latitude,
            longitude: spec.longitude,
            cost_of_living: spec.cost_of_living,
            population: spec.population,
            intake_cap: None,
            move_subsidy: 0,
        };
        let km = geography.km_row(ix, spec.latitude, spec.longitude);
        geography.put_city(ix, city, &km);
    }
    let mut skills: HashMap<String, SkillIx> = HashMap::new();
    let workers = generated.workers.iter().map(|s| worker(s, &geography, &mut skills)).collect();
    let vacancies =
        generated.vacancies.iter().map(|s| vacancy(s, &geography, &mut skills)).collect();
    Market { geography, workers, vacancies }
}

fn skill(skills: &mut HashMap<String, SkillIx>, name: &str) -> SkillIx {
    let next = SkillIx::from_offset(skills.len());
    *skills.entry(name.to_owned()).or_insert(next)
}

fn code(labels: &[(Box<str>, Box<str>)]) -> String {
    labels.iter().find(|(key, _)| **key == *OCCUPATION_LABEL).expect("a label").1.to_string()
}

fn worker(
    spec: &WorkerSpec,
    geography: &Geography,
    skills: &mut HashMap<String, SkillIx>,
) -> Of<Worker> {
    let city = |name: &str| geography.city_named(name).expect("cities are known");
    let mut levels: Vec<_> = spec
        .skills
        .iter()
        .map(|(name, level)| gale::domain::Level {
            skill: skill(skills, name.as_str()),
            level: *level,
        })
        .collect();
    levels.sort_by_key(|level| level.skill);
    let mobility = match &spec.mobility {
        MobilitySpec::Any => Mobility::Any,
        MobilitySpec::HomeOnly => Mobility::HomeOnly,
        MobilitySpec::Listed(names) => {
            let mut cities: Vec<_> = names.iter().map(|name| city(name.as_str())).collect();
            cities.sort_unstable();
            Mobility::Listed(cities.into())
        }
    };
    let record = Worker {
        id: spec.id,
        home: city(spec.home_city.as_str()),
        cost_percent: spec.cost_percent,
        skills: levels.into(),
        expected_salary: spec.expected_salary,
        reservation_salary: spec.reservation_salary,
        mobility,
        ranking: None,
        deadline: None,
        labels: None,
    };
    Of { record, code: code(&spec.labels) }
}

fn vacancy(
    spec: &VacancySpec,
    geography: &Geography,
    skills: &mut HashMap<String, SkillIx>,
) -> Of<Vacancy> {
    let mut requirements: Vec<_> = spec
        .requirements
        .iter()
        .map(|r| Requirement {
            skill: skill(skills, r.skill.as_str()),
            weight: r.weight,
            desired_level: r.desired_level,
            minimum_level: r.minimum_level,
        })
        .collect();
    requirements.sort_unstable();
    let record = Vacancy {
        id: spec.id,
        city: geography.city_named(spec.city.as_str()).expect("cities are known"),
        employer: spec.employer.clone(),
        title: spec.title.as_ref().into(),
        openings: spec.openings,
        target: 0,
        salary: spec.salary,
        requirements: requirements.into(),
        min_fit_bp: None,
        ranking: None,
        deadline: None,
        labels: None,
    };
    Of { record, code: code(&spec.labels) }
}

/// Evaluates one worker with every vacancy.
fn count(terms: &Terms<'_>, worker: &Worker, market: &Market) -> Counted {
    let mut levels = Dense([0; 128]);
    for entry in &worker.skills {
        levels.0[entry.skill.at()] = entry.level;
    }
    let mut counted = Counted::default();
    for (v, vacancy) in market.vacancies.iter().enumerate() {
        let vacancy = &vacancy.record;
        let able = meets_minima(&levels, &vacancy.requirements)
            && fit(&levels, &vacancy.requirements) >= terms.min_fit(vacancy);
        if !able {
            continue;
        }
        counted.skilled += 1;
        if worker.would_live_in(vacancy.city) {
            let pair = terms.pair(worker, vacancy);
            if pair.is_acceptable() {
                let (value, score) = (pair.value, pair.score);
                counted.options.push(Choice { vacancy: v as u32, value, score });
            }
        }
    }
    counted
}

/// Worker-proposing deferred acceptance without caps; the vacancy of each worker.
fn deferred_acceptance(
    market: &Market,
    counted: &[Counted],
    lottery: &Lottery,
) -> Vec<Option<usize>> {
    let vacancy_draw: Vec<u64> =
        market.vacancies.iter().map(|v| lottery.draw(v.record.id.bytes())).collect();
    let worker_draw: Vec<u64> =
        market.workers.iter().map(|w| lottery.draw(w.record.id.bytes())).collect();
    let order = |options: &[Choice]| {
        let mut order: Vec<usize> = (0..options.len()).collect();
        order.sort_by_key(|i| (-options[*i].value, vacancy_draw[options[*i].vacancy as usize]));
        order
    };
    let orders: Vec<Vec<usize>> = counted.iter().map(|c| order(&c.options)).collect();
    let mut next = vec![0; market.workers.len()];
    let mut held: Vec<Option<usize>> = vec![None; market.workers.len()];
    let mut holds: Vec<Vec<(i64, u64, usize)>> = vec![Vec::new(); market.vacancies.len()];
    let mut free: Vec<usize> = (0..market.workers.len()).collect();
    while let Some(w) = free.pop() {
        let Some(at) = orders[w].get(next[w]) else { continue };
        next[w] += 1;
        let offer = &counted[w].options[*at];
        let v = offer.vacancy as usize;
        held[w] = Some(v);
        holds[v].push((-offer.score, worker_draw[w], w));
        if holds[v].len() > market.vacancies[v].record.openings as usize {
            holds[v].sort_unstable();
            let (_, _, loser) = holds[v].pop().expect("somebody is held");
            held[loser] = None;
            free.push(loser);
        }
    }
    held
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The facts of the whole market.
fn facts(terms: &Terms<'_>, market: &Market, counted: &[Counted], held: &[Option<usize>]) {
    let (n, m) = (market.workers.len(), market.vacancies.len());
    let openings: usize = market.vacancies.iter().map(|v| v.record.openings as usize).sum();
    let pairs = n * m;
    let skilled: u64 = counted.iter().map(|c| c.skilled).sum();
    let options: usize = counted.iter().map(|c| c.options.len()).sum();
    let mut per_worker: Vec<f64> = counted.iter().map(|c| c.options.len() as f64).collect();
    let none = counted.iter().filter(|c| c.options.is_empty()).count();
    let of_mobility = |wanted: fn(&Mobility) -> bool| {
        percent(market.workers.iter().filter(|w| wanted(&w.record.mobility)).count(), n)
    };
    println!("\n| fact | |\n|---|---|");
    println!("| workers | {n} |");
    println!(
        "| vacancies (openings, a vacancy) | {m} ({openings}, {:.2}) |",
        openings as f64 / m as f64
    );
    println!("| look only at home | {:.1}% |", of_mobility(|m| matches!(m, Mobility::HomeOnly)));
    println!("| would move anywhere | {:.1}% |", of_mobility(|m| matches!(m, Mobility::Any)));
    println!("| list cities | {:.1}% |", of_mobility(|m| matches!(m, Mobility::Listed(_))));
    println!("| pairs that pass skill and fit | {:.2}% |", percent(skilled as usize, pairs));
    println!("| acceptable pairs | {options} ({:.3}%) |", percent(options, pairs));
    println!("| acceptable vacancies a worker, mean | {:.1} |", options as f64 / n as f64);
    println!("| acceptable vacancies a worker, median | {:.0} |", median(&mut per_worker));
    println!("| workers without any | {:.1}% |", percent(none, n));
    matched_facts(terms, market, held, openings);
}

/// The facts of the matching.
fn matched_facts(terms: &Terms<'_>, market: &Market, held: &[Option<usize>], openings: usize) {
    let matched: Vec<(&Of<Worker>, &Of<Vacancy>)> = market
        .workers
        .iter()
        .zip(held)
        .filter_map(|(w, v)| v.map(|v| (w, &market.vacancies[v])))
        .collect();
    let share = |of: &dyn Fn(&Of<Worker>, &Of<Vacancy>) -> bool| {
        percent(matched.iter().filter(|(w, v)| of(w, v)).count(), matched.len())
    };
    let moves = |w: &Of<Worker>, v: &Of<Vacancy>| w.record.home != v.record.city;
    let mut pay: Vec<f64> = matched
        .iter()
        .map(|(w, v)| 100.0 * v.record.salary as f64 / w.record.expected_salary as f64)
        .collect();
    let mean_pay = pay.iter().sum::<f64>() / pay.len() as f64;
    let mut km: Vec<f64> = matched
        .iter()
        .filter(|(w, v)| moves(w, v))
        .map(|(w, v)| f64::from(terms.geography.km(w.record.home, v.record.city)))
        .collect();
    let fits: f64 =
        matched.iter().map(|(w, v)| f64::from(fit(&w.record, &v.record.requirements))).sum();
    println!("| matched workers | {:.1}% |", percent(matched.len(), market.workers.len()));
    println!("| filled openings | {:.1}% |", percent(matched.len(), openings));
    println!("| of the matched: move | {:.1}% |", share(&moves));
    println!("| of those: median km | {:.0} |", median(&mut km));
    println!(
        "| of the matched: stay in their occupation | {:.1}% |",
        share(&|w, v| w.code == v.code)
    );
    println!(
        "| of the matched: stay in their group | {:.1}% |",
        share(&|w, v| w.group() == v.group())
    );
    println!("| pay over expected pay, mean | {mean_pay:.1}% |");
    println!("| pay over expected pay, median | {:.1}% |", median(&mut pay));
    println!("| fit of the matched, mean | {:.1}% |", fits / matched.len() as f64 / 100.0);
}

/// A worker or a vacancy by number.
#[derive(Clone, Copy)]
enum Side {
    Worker(usize),
    Vacancy(usize),
}

/// What is summed for one class.
#[derive(Default)]
struct Row {
    workers: usize,
    openings: usize,
    skilled: u64,
    options: usize,
    none: usize,
    matched: usize,
    movers: usize,
    filled: usize,
    pay: f64,
}

/// One table by class of worker (and of vacancy, for openings).
fn by_class(
    title: &str,
    terms: &Terms<'_>,
    market: &Market,
    counted: &[Counted],
    held: &[Option<usize>],
    class: &dyn Fn(&Market, Side) -> String,
) {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (v, vacancy) in market.vacancies.iter().enumerate() {
        let row = rows.entry(class(market, Side::Vacancy(v))).or_default();
        row.openings += vacancy.record.openings as usize;
    }
    for (w, worker) in market.workers.iter().enumerate() {
        let row = rows.entry(class(market, Side::Worker(w))).or_default();
        row.workers += 1;
        row.skilled += counted[w].skilled;
        row.options += counted[w].options.len();
        row.none += usize::from(counted[w].options.is_empty());
        let Some(v) = held[w] else { continue };
        let vacancy = &market.vacancies[v].record;
        row.matched += 1;
        row.movers += usize::from(terms.move_cost(worker.record.home, vacancy.city) > 0);
        row.pay += 100.0 * vacancy.salary as f64 / worker.record.expected_salary as f64;
        rows.entry(class(market, Side::Vacancy(v))).or_default().filled += 1;
    }
    println!(
        "\n| {title} | workers | openings | pairs skill and fit | acceptable a worker | none | matched | filled | movers of matched | pay / expected |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (name, row) in rows {
        println!(
            "| {name} | {} | {} | {:.2}% | {:.1} | {:.0}% | {:.0}% | {:.0}% | {:.0}% | {:.0}% |",
            row.workers,
            row.openings,
            percent(row.skilled as usize, row.workers * market.vacancies.len()),
            row.options as f64 / row.workers.max(1) as f64,
            percent(row.none, row.workers),
            percent(row.matched, row.workers),
            percent(row.filled, row.openings),
            percent(row.movers, row.matched),
            row.pay / row.matched.max(1) as f64,
        );
    }
}

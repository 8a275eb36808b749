//! Small random markets. Preferences of the two sides are mostly independent of each
//! other (moves cost what they cost, fits are what they are), so that many markets
//! have several stable matchings; scores are coarse, so that many keys tie.

use super::*;

/// What a market has, for counting what the tests have seen.
#[derive(Clone, Copy, Default)]
pub struct Features {
    pub capped: bool,
    pub targets: bool,
    pub rankings: bool,
    pub declined: bool,
    pub zero_openings: bool,
}

/// The market of a seed: half of them contested, half of every kind.
pub fn market(seed: u64) -> (Problem, Features) {
    let mut random = Random(seed);
    let problem =
        if random.one_in(2) { contested(&mut random) } else { motley(&mut random, 9, 7, 5) };
    let features = features(&problem);
    (problem, features)
}

/// Many workers of few crafts (sets of skills), and more vacancies than fit behind a screen.
pub fn of_few_crafts(seed: u64) -> Problem {
    let mut random = Random(seed ^ 0xC4AF);
    // Now and then many screens of them.
    let (workers, vacancies, cities) =
        if seed.is_multiple_of(20) { (900, 1_800, 1) } else { (200, 400, 4) };
    let mut problem = motley(&mut random, workers, vacancies, cities);
    let crafts: Vec<u64> = (0..random.within(1, 3)).map(|_| random.below(63) + 1).collect();
    for seeker in &mut problem.workers {
        let craft = crafts[random.below(crafts.len() as u64) as usize];
        let skills = (0..6_u16).filter(|skill| craft >> skill & 1 == 1);
        let level = |skill| Level { skill: SkillIx(skill), level: random.within(1, 100) as u8 };
        let skills = skills.map(level).collect();
        seeker.worker = Arc::new(Worker { skills, ..Worker::clone(&seeker.worker) });
    }
    problem
}

/// A larger market of a seed, of few requirement lists: whole buckets of vacancies, and
/// more candidates than a shortlist holds; in one of three there are many cities.
pub fn crowded(seed: u64) -> Problem {
    let mut random = Random(seed ^ 0xC0DE);
    let cities = if random.one_in(3) { 45 } else { 5 };
    motley(&mut random, 90, 60, cities)
}

fn features(problem: &Problem) -> Features {
    Features {
        capped: !problem.sets.is_empty(),
        targets: problem.by_targets(),
        rankings: problem.workers.iter().any(|seeker| seeker.worker.ranking.is_some())
            || problem.vacancies.iter().any(|post| post.vacancy.ranking.is_some()),
        declined: problem.workers.iter().any(|seeker| seeker.declined.is_some()),
        zero_openings: problem.vacancies.iter().any(|post| post.openings == 0),
    }
}

/// As many openings as workers, everyone acceptable to everyone, and the two sides at
/// odds: there are usually several stable matchings. Each side's order is explicit or
/// computed: a worker's then comes from what moves cost, a vacancy's from skills, and
/// one in three vacancies ranks first who ranks it last.
fn contested(random: &mut Random) -> Problem {
    let n = random.within(4, 9) as u64;
    let mut geography = Geography::default();
    for city in 0..n {
        add_city(&mut geography, city as f64, 0.0, 1000);
    }
    for (origin, destination) in (0..n * n).map(|i| (i / n, i % n)).filter(|(a, b)| a != b) {
        let cost = MoveCost { cost: Some(random.within(1, 30) * 1_000), subsidy: 0 };
        let (origin, destination) = (CityIx(origin as u16), CityIx(destination as u16));
        geography.put_move_cost(origin, destination, Some(cost));
    }
    let settings =
        Settings { max_shortfall_bp: 100_000, shortfall_weight_bp: 0, ..Settings::default() };
    let (explicit_workers, explicit_vacancies) = (random.one_in(2), random.one_in(2));
    let all = |random: &mut Random| {
        let mut numbers: Vec<u64> = (0..n).collect();
        random.shuffle(&mut numbers);
        numbers
    };
    let orders: Vec<Vec<u64>> = (0..n).map(|_| all(random)).collect();
    let workers = (0..n).map(|w| Worker {
        home: CityIx(random.below(n) as u16),
        skills: (0..n as u16)
            .map(|skill| Level { skill: SkillIx(skill), level: random.within(0, 100) as u8 })
            .collect(),
        expected_salary: 50_000,
        reservation_salary: 1_000,
        ranking: explicit_workers
            .then(|| orders[w as usize].iter().map(|v| vacancy_id(*v)).collect()),
        ..worker(w)
    });
    let workers: Vec<Worker> = workers.collect();
    let vacancies = (0..n).map(|v| {
        let mut order = all(random);
        if random.one_in(3) {
            let liking = |w: &u64| orders[*w as usize].iter().position(|id| *id == v);
            order.sort_by_key(|w| std::cmp::Reverse(liking(w)));
        }
        Vacancy {
            city: CityIx(v as u16),
            requirements: Box::new([Requirement {
                skill: SkillIx(v as u16),
                weight: 1,
                desired_level: 100,
                minimum_level: None,
            }]),
            ranking: explicit_vacancies.then(|| order.into_iter().map(worker_id).collect()),
            ..vacancy(v)
        }
    });
    let vacancies: Vec<Vacancy> = vacancies.collect();
    let mut problem = problem(settings, geography, workers, vacancies);
    problem.lottery = Lottery { seed: random.next() };
    if random.one_in(4) {
        cap(random, &mut problem);
    }
    problem
}

/// Every corner of the model.
fn motley(random: &mut Random, workers_max: i64, vacancies_max: i64, cities_max: i64) -> Problem {
    let style = random.below(4);
    let geography = geography(random, cities_max);
    let settings = settings(random);
    let cities = geography.cities.len() as u64;
    let workers = random.within(1, workers_max) as u64;
    let vacancies = random.within(1, vacancies_max) as u64;
    let seekers = (0..workers).map(|w| some_worker(random, w, cities, vacancies, style));
    let seekers: Vec<Worker> = seekers.collect();
    let posts = (0..vacancies).map(|v| some_vacancy(random, v, cities, workers, style));
    let posts: Vec<Vacancy> = posts.collect();
    let mut problem = problem(settings, geography, seekers, posts);
    problem.lottery = Lottery { seed: random.next() };
    if random.one_in(2) {
        cap(random, &mut problem);
    }
    place_some(random, &mut problem);
    decline_some(random, &mut problem);
    problem
}

fn settings(random: &mut Random) -> Settings {
    Settings {
        cap_order: if random.one_in(3) { CapOrder::Targets } else { CapOrder::Score },
        fixed_move_cost: random.within(0, 3) * 5_000,
        move_cost_per_km: random.within(0, 2) * 5,
        horizon_years: random.within(1, 4) as u8,
        fit_value: [0, 0, 1_000, 20_000][random.below(4) as usize],
        shortfall_weight_bp: [0, 5_000, 30_000][random.below(3) as usize],
        max_shortfall_bp: [0, 2_000, 9_000][random.below(3) as usize],
        min_fit_bp: [0, 0, 3_000, 7_000][random.below(4) as usize],
        local_bonus_bp: [0, 0, 500, 4_000][random.below(4) as usize],
        ..Settings::default()
    }
}

fn geography(random: &mut Random, cities_max: i64) -> Geography {
    let mut geography = Geography::default();
    for _ in 0..random.within(1, cities_max) {
        let (latitude, longitude) = (random.within(-60, 60) as f64, random.within(-10, 10) as f64);
        let cost_of_living = if random.one_in(2) { 1000 } else { random.within(700, 1500) };
        add_city(&mut geography, latitude, longitude, cost_of_living);
    }
    let cities = geography.cities.len() as u16;
    for origin in 0..cities {
        geography.cities[origin as usize].move_subsidy = random.within(0, 1) * 3_000;
        for destination in (0..cities).filter(|city| *city != origin) {
            if random.one_in(2) {
                let cost = (!random.one_in(4)).then(|| random.within(0, 40_000));
                let subsidy = random.within(0, 2) * 1_000;
                let cost = MoveCost { cost, subsidy };
                geography.put_move_cost(CityIx(origin), CityIx(destination), Some(cost));
            }
        }
    }
    geography
}

/// A ranking of some ids, unknown ones among them; seldom empty.
fn ranking<T>(random: &mut Random, count: u64, id: impl Fn(u64) -> T) -> Option<Box<[T]>> {
    if random.one_in(15) {
        return Some(Box::default());
    }
    let mut numbers: Vec<u64> = (0..count).filter(|_| !random.one_in(6)).collect();
    if random.one_in(4) {
        numbers.push(1_000_000 + random.below(9));
    }
    random.shuffle(&mut numbers);
    Some(numbers.into_iter().map(id).collect())
}

/// Style 0: hardly any rankings; 1: some; 2: many; 3: both sides ranked throughout.
fn is_ranked(random: &mut Random, style: u64) -> bool {
    match style {
        0 => random.one_in(20),
        1 => random.one_in(4),
        2 => random.one_in(2),
        _ => true,
    }
}

pub fn some_worker(random: &mut Random, w: u64, cities: u64, vacancies: u64, style: u64) -> Worker {
    let expected_salary = random.within(20, 60) * 1_000;
    let mut skills = Vec::new();
    for skill in 0..6 {
        if !random.one_in(4) {
            skills.push(Level { skill: SkillIx(skill), level: random.within(0, 10) as u8 * 10 });
        }
    }
    let mobility = match random.below(8) {
        0 => Mobility::HomeOnly,
        1 => Mobility::Listed(
            (0..cities).filter(|_| random.one_in(2)).map(|city| CityIx(city as u16)).collect(),
        ),
        _ => Mobility::Any,
    };
    Worker {
        home: CityIx(random.below(cities) as u16),
        cost_percent: [0, 50, 100, 100, 300][random.below(5) as usize],
        skills: skills.into(),
        expected_salary,
        reservation_salary: expected_salary * random.within(30, 100) / 100,
        mobility,
        ranking: if is_ranked(random, style) {
            ranking(random, vacancies, vacancy_id)
        } else {
            None
        },
        ..worker(w)
    }
}

pub fn some_vacancy(random: &mut Random, v: u64, cities: u64, workers: u64, style: u64) -> Vacancy {
    // Few lists of skills, so that families and profiles are shared.
    let mut requirements = Vec::new();
    let (first, count) = match random.one_in(10) {
        // More than a worker has, and more than find room in a short list.
        true => (0, random.within(7, 12) as u16),
        false => (random.below(3) as u16, random.below(4) as u16),
    };
    for skill in 0..count {
        let desired_level = random.within(3, 10) as u8 * 10;
        let minimum = [0, 10, 30][random.below(3) as usize];
        requirements.push(Requirement {
            skill: SkillIx(first + skill),
            weight: [1, 1, 3][random.below(3) as usize],
            desired_level,
            minimum_level: random.one_in(3).then_some(minimum),
        });
    }
    let openings = [0, 1, 1, 1, 1, 2, 2, 3][random.below(8) as usize];
    Vacancy {
        city: CityIx(random.below(cities) as u16),
        openings,
        target: random.below(3) as u32,
        salary: random.within(30, 55) * 1_500,
        requirements: requirements.into(),
        min_fit_bp: random.one_in(4).then(|| random.within(0, 8_000) as u32),
        ranking: if is_ranked(random, style) { ranking(random, workers, worker_id) } else { None },
        ..vacancy(v)
    }
}

/// A random forest of caps, up to three deep, over the cities.
fn cap(random: &mut Random, problem: &mut Problem) {
    let cities = problem.set_of_city.len();
    let capacity = |random: &mut Random| [0, 1, 1, 2, 2, 3, 4][random.below(7) as usize];
    let root = random.one_in(2).then(|| cities as u32 * 2);
    let regions: Vec<u32> = (0..cities as u32).map(|city| cities as u32 + city / 2).collect();
    // Cities first, then regions, then the root: sets stand after those inside them.
    for (city, region) in regions.iter().enumerate() {
        problem.sets.push(CapSet { parent: Some(*region), capacity: capacity(random) });
        problem.set_of_city[city] = Some(city as u32);
    }
    for _ in 0..cities {
        problem.sets.push(CapSet { parent: root, capacity: capacity(random) + 1 });
    }
    if root.is_some() {
        problem.sets.push(CapSet { parent: None, capacity: random.below(8) });
    }
    // Some cities and regions have no cap of their own: links go around them.
    for (city, region) in regions.iter().enumerate() {
        if random.one_in(3) {
            problem.set_of_city[city] = if random.one_in(3) { root } else { Some(*region) };
        } else if random.one_in(3) {
            problem.sets[city].parent = root;
        }
    }
}

/// Frozen placements have used some openings, targets and caps.
fn place_some(random: &mut Random, problem: &mut Problem) {
    for post in &mut problem.vacancies {
        if random.one_in(6) {
            let placed = random.below(u64::from(post.openings) + 1) as u32;
            post.openings -= placed;
            post.target = post.target.saturating_sub(placed);
        }
    }
    for set in &mut problem.sets {
        if random.one_in(8) {
            set.capacity = set.capacity.saturating_sub(1);
        }
    }
}

fn decline_some(random: &mut Random, problem: &mut Problem) {
    let vacancies = problem.vacancies.len();
    for seeker in &mut problem.workers {
        if random.one_in(6) {
            let slots = (0..vacancies).filter(|_| random.one_in(3)).map(VacancySlot::from_offset);
            seeker.declined = Some(Arc::new(slots.collect()));
        }
    }
}

//! Large synthetic markets, to measure on: occupations of distinctive skills, grades,
//! requirement lists from templates with a third of them varied, cities of Zipf sizes.

use super::*;

/// How large a market is.
#[derive(Clone, Copy)]
pub struct Size {
    pub workers: usize,
    pub vacancies: usize,
    pub openings: u64,
    pub cities: usize,
}

const OCCUPATIONS: usize = 750;
const SKILLS: u16 = 76;

struct Occupation {
    /// Skills, the most distinctive first, with the profile's level.
    skills: Vec<(u16, i64)>,
    wage: i64,
}

fn occupation(random: &mut Random) -> Occupation {
    let mut skills: Vec<u16> = (0..SKILLS).collect();
    random.shuffle(&mut skills);
    let rank = random.within(0, 100);
    let level = |random: &mut Random| (35 + rank / 4 + random.within(0, 25)).min(95);
    let skills = skills.into_iter().take(24).map(|skill| (skill, level(random))).collect();
    Occupation { skills, wage: 30_000 + rank * 700 + random.within(0, 15_000) }
}

/// Cumulative weights 1/(i+1), for drawing with Zipf frequencies.
fn zipf(count: usize) -> Vec<u64> {
    let mut sum = 0;
    (0..count)
        .map(|i| {
            sum += 1_000_000 / (i as u64 + 3);
            sum
        })
        .collect()
}

fn draw(random: &mut Random, cumulative: &[u64]) -> usize {
    let at = random.below(*cumulative.last().unwrap());
    cumulative.partition_point(|sum| *sum <= at)
}

/// The market of a seed.
pub fn market(size: Size, seed: u64) -> Problem {
    let mut random = Random(seed);
    let mut geography = Geography::default();
    for _ in 0..size.cities {
        let (latitude, longitude) =
            (random.within(25_000, 49_000) as f64, random.within(-124_000, -68_000) as f64);
        let cost_of_living = random.within(870, 1150);
        add_city(&mut geography, latitude / 1e3, longitude / 1e3, cost_of_living);
    }
    let settings = Settings {
        fixed_move_cost: 15_000,
        move_cost_per_km: 5,
        fit_value: 5_000,
        min_fit_bp: 8_000,
        local_bonus_bp: 500,
        ..Settings::default()
    };
    let occupations: Vec<_> = (0..OCCUPATIONS).map(|_| occupation(&mut random)).collect();
    let (by_size, by_city) = (zipf(OCCUPATIONS), zipf(size.cities));
    let workers = (0..size.workers as u64).map(|w| {
        let occupation = &occupations[draw(&mut random, &by_size)];
        let home = CityIx::from_offset(draw(&mut random, &by_city));
        large_worker(&mut random, w, occupation, home, &geography)
    });
    let workers: Vec<_> = workers.collect();
    let mean = size.openings * 2 / size.vacancies as u64;
    let vacancies = (0..size.vacancies as u64).map(|v| {
        let occupation = &occupations[draw(&mut random, &by_size)];
        let city = CityIx::from_offset(draw(&mut random, &by_city));
        let openings = 1 + random.below(mean.max(1)) as u32;
        large_vacancy(&mut random, v, occupation, city, openings, &geography)
    });
    let vacancies: Vec<_> = vacancies.collect();
    problem(settings, geography, workers, vacancies)
}

fn wage(occupation: &Occupation, city: CityIx, geography: &Geography, ability: i64) -> i64 {
    let local = occupation.wage * geography.city(city).cost_of_living / 1000;
    local * (1000 + ability / 6) / 1000
}

fn large_worker(
    random: &mut Random,
    w: u64,
    occupation: &Occupation,
    home: CityIx,
    geography: &Geography,
) -> Worker {
    let ability = random.noise();
    let mut skills: Vec<Level> = occupation
        .skills
        .iter()
        .map(|(skill, level)| {
            let level = level + (8 * ability + 8 * random.noise()) / 1000;
            Level { skill: SkillIx(*skill), level: level.clamp(0, 100) as u8 }
        })
        .collect();
    skills.sort_unstable_by_key(|entry| entry.skill);
    let at = ability + random.noise() / 2;
    let expected_salary = wage(occupation, home, geography, at).max(15_000);
    Worker {
        home,
        cost_percent: (100 + random.noise() / 30).clamp(20, 300) as u16,
        skills: skills.into(),
        expected_salary,
        reservation_salary: expected_salary * random.within(80, 95) / 100,
        mobility: if random.below(10) < 6 { Mobility::HomeOnly } else { Mobility::Any },
        ..worker(w)
    }
}

fn large_vacancy(
    random: &mut Random,
    v: u64,
    occupation: &Occupation,
    city: CityIx,
    openings: u32,
    geography: &Geography,
) -> Vacancy {
    let grade = random.within(0, 3);
    let varied = random.one_in(3);
    let mut requirements: Vec<Requirement> = (0..6)
        .map(|i| {
            let (skill, level) = occupation.skills[i];
            let variation = if varied { random.within(-10, 10) } else { 0 };
            let desired = (level - 6 + grade * 6 + variation).clamp(1, 100) as u8;
            Requirement {
                skill: SkillIx(skill),
                weight: 6 - i as u16,
                desired_level: desired,
                minimum_level: (i < 2).then_some((u16::from(desired) * 6 / 10) as u8),
            }
        })
        .collect();
    requirements.sort_unstable_by_key(|requirement| requirement.skill);
    let ability = grade * 700 - 700 + random.noise() / 2;
    Vacancy {
        city,
        openings,
        salary: wage(occupation, city, geography, ability).max(15_000),
        requirements: requirements.into(),
        ..vacancy(v)
    }
}

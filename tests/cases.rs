//! Matchings that others have published or worked out independently, one by one.
//!
//! Goal: the engine gives the known answer to each. Method: every file under
//! `tests/data/cases` (its README names the sources); lists become explicit rankings,
//! and the worked pairs of the preference model are compared to the last unit.

mod common;

use common::{problem, vacancy, vacancy_id, worker, worker_id};
use gale::domain::*;
use gale::matching::naive::Twin;
use gale::matching::{CapSet, Control, Matching, Problem, certify, clear};
use serde_json::Value;

fn read(file: &str) -> Value {
    let path = format!("{}/tests/data/cases/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn run(problem: &Problem, side: Side) -> Matching {
    let matching = clear(problem, side, &Control::default()).unwrap().matching;
    assert!(certify(problem, &matching, &Control::default()).unwrap().is_stable());
    assert!(Twin::of(problem).is_stable(&matching));
    matching
}

fn numbers(list: &Value) -> impl Iterator<Item = u64> + '_ {
    list.as_array().unwrap().iter().map(|number| number.as_u64().unwrap())
}

fn matching(list: &Value) -> Matching {
    let held = list.as_array().unwrap().iter();
    Matching { vacancy_of: held.map(|v| v.as_u64().map(|v| v as u32)).collect() }
}

/// A problem whose every order is an explicit ranking; all vacancies in city 0.
fn ranked(case: &Value) -> Problem {
    let mut geography = Geography::default();
    common::add_city(&mut geography, 0.0, 0.0, 1000);
    let workers = case["workers"].as_array().unwrap().iter().enumerate();
    let workers = workers.map(|(w, list)| Worker {
        ranking: Some(numbers(list).map(vacancy_id).collect()),
        ..worker(w as u64)
    });
    let vacancies = case["vacancies"].as_array().unwrap().iter().enumerate();
    let vacancies = vacancies.map(|(v, list)| Vacancy {
        openings: case["capacities"][v].as_u64().unwrap() as u32,
        ranking: Some(numbers(list).map(worker_id).collect()),
        ..vacancy(v as u64)
    });
    problem(Settings::default(), geography, workers.collect(), vacancies.collect())
}

#[test]
fn published_matchings() {
    let mut cases = 0;
    for file in ["gale_shapley_1962.json", "textbook_oyamad_jl.json", "daffidwilde_matching.json"] {
        for case in read(file)["cases"].as_array().unwrap() {
            let problem = ranked(case);
            let name = &case["id"];
            assert_eq!(run(&problem, Side::Worker), matching(&case["worker_optimal"]), "{name}");
            assert_eq!(run(&problem, Side::Vacancy), matching(&case["vacancy_optimal"]), "{name}");
            for stable in case["all_stable"].as_array().into_iter().flatten() {
                let certificate = certify(&problem, &matching(stable), &Control::default());
                assert!(certificate.unwrap().is_stable(), "{name}: {stable}");
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 12);
}

/// Kamada and Kojima's example: a hard cap of the targets leaves two without a job
/// (their JRMP), flexible targets match everyone. A capped region is a city with that cap.
#[test]
fn kamada_and_kojima_2015() {
    let file = read("regional_caps_kamada_kojima.json");
    let case = &file["cases"][0];
    let plain = ranked(case);
    assert_eq!(run(&plain, Side::Worker), matching(&case["plain_da"]));

    let mut flexible = plain.clone();
    let settings = Settings { cap_order: CapOrder::Targets, ..Settings::default() };
    flexible.settings = settings.into();
    flexible.sets =
        numbers(&case["regional_caps"]).map(|capacity| CapSet { parent: None, capacity }).collect();
    flexible.set_of_city = vec![Some(0)];
    for (v, target) in numbers(&case["target_capacities"]).enumerate() {
        flexible.vacancies[v].target = target as u32;
    }
    assert_eq!(run(&flexible, Side::Worker), matching(&case["flexible_da"]));

    let mut hard = plain;
    for (v, target) in numbers(&case["target_capacities"]).enumerate() {
        hard.vacancies[v].openings = target as u32;
    }
    assert_eq!(run(&hard, Side::Worker), matching(&case["jrmp"]));
}

/// A number of proto3 JSON, in which 64-bit integers are strings.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().map(|text| text.parse().unwrap()))
}

/// The golden market's names, interned in the order of the file.
struct Golden {
    file: Value,
    cities: Vec<String>,
}

impl Golden {
    fn city(&self, name: &Value) -> CityIx {
        let at = self.cities.iter().position(|city| city == name.as_str().unwrap());
        CityIx::from_offset(at.unwrap())
    }

    fn skill(name: &Value) -> SkillIx {
        SkillIx(u16::from(name.as_str().unwrap().as_bytes()[0] - b'a'))
    }

    fn settings(&self) -> Settings {
        let settings = &self.file["market"]["settings"];
        let get = |name: &str| number(&settings[name]).unwrap();
        Settings {
            fixed_move_cost: get("fixedMoveCost"),
            move_cost_per_km: get("moveCostPerKm"),
            horizon_years: get("horizonYears") as u8,
            fit_value: get("fitValue"),
            shortfall_weight_bp: get("shortfallWeightBp") as u32,
            max_shortfall_bp: get("maxShortfallBp") as u32,
            min_fit_bp: get("minFitBp") as u32,
            local_bonus_bp: get("localBonusBp") as u32,
            ..Settings::default()
        }
    }

    fn geography(&self) -> Geography {
        let mut geography = Geography::default();
        for city in self.file["cities"].as_array().unwrap() {
            let cost_of_living = number(&city["costOfLiving"]).unwrap_or(1000);
            let (latitude, longitude) = (city["latitude"].as_f64(), city["longitude"].as_f64());
            let (latitude, longitude) = (latitude.unwrap(), longitude.unwrap());
            common::add_city(&mut geography, latitude, longitude, cost_of_living);
            let added = geography.cities.last_mut().unwrap();
            added.move_subsidy = number(&city["moveSubsidy"]).unwrap_or(0);
        }
        for cost in self.file["move_costs"].as_array().unwrap() {
            let (origin, destination) =
                (self.city(&cost["origin"]), self.city(&cost["destination"]));
            let subsidy = number(&cost["subsidy"]).unwrap_or(0);
            let cost = MoveCost { cost: number(&cost["cost"]), subsidy };
            geography.put_move_cost(origin, destination, Some(cost));
        }
        geography
    }

    fn worker(&self, json: &Value) -> Worker {
        let expected_salary = number(&json["expectedSalary"]).unwrap();
        let mobility = &json["mobility"];
        let skills = json["skills"].as_array().unwrap().iter();
        Worker {
            id: WorkerId::parse("id", json["id"].as_str().unwrap()).unwrap(),
            home: self.city(&json["homeCity"]),
            cost_percent: number(&mobility["costPercent"]).unwrap_or(100) as u16,
            skills: skills
                .map(|entry| Level {
                    skill: Self::skill(&entry["skill"]),
                    level: number(&entry["level"]).unwrap() as u8,
                })
                .collect(),
            expected_salary,
            reservation_salary: number(&json["reservationSalary"]).unwrap_or(expected_salary),
            mobility: match mobility["scope"].as_str() {
                Some("HOME_ONLY") => Mobility::HomeOnly,
                Some("LISTED") => {
                    let cities = mobility["cities"].as_array().unwrap().iter();
                    Mobility::Listed(cities.map(|city| self.city(city)).collect())
                }
                _ => Mobility::Any,
            },
            ..worker(0)
        }
    }

    fn vacancy(&self, json: &Value) -> Vacancy {
        let requirements = json["requirements"].as_array().unwrap().iter();
        Vacancy {
            id: VacancyId::parse("id", json["id"].as_str().unwrap()).unwrap(),
            city: self.city(&json["city"]),
            openings: number(&json["openings"]).unwrap() as u32,
            salary: number(&json["salary"]).unwrap(),
            requirements: requirements
                .map(|requirement| Requirement {
                    skill: Self::skill(&requirement["skill"]),
                    weight: number(&requirement["weight"]).unwrap() as u16,
                    desired_level: number(&requirement["desiredLevel"]).unwrap() as u8,
                    minimum_level: number(&requirement["minimumLevel"]).map(|level| level as u8),
                })
                .collect(),
            min_fit_bp: number(&json["minFitBp"]).map(|fit| fit as u32),
            ..vacancy(0)
        }
    }

    fn problem(&self) -> Problem {
        let records = |name: &str| self.file[name].as_array().unwrap().iter();
        let workers = records("workers").map(|json| self.worker(json)).collect();
        let vacancies = records("vacancies").map(|json| self.vacancy(json)).collect();
        problem(self.settings(), self.geography(), workers, vacancies)
    }
}

fn golden() -> Golden {
    let file = read("preferences_golden.json");
    let cities = file["cities"].as_array().unwrap().iter();
    let cities = cities.map(|city| city["id"].as_str().unwrap().to_owned()).collect();
    Golden { file, cities }
}

#[test]
fn preference_model_to_the_last_unit() {
    let golden = golden();
    let problem = golden.problem();
    let pairs = golden.file["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 30);
    for json in pairs {
        let (worker, vacancy) =
            (json["worker"].as_str().unwrap(), json["vacancy"].as_str().unwrap());
        let w = problem.workers.iter().position(|seeker| seeker.worker.id.to_string() == worker);
        let v = problem.vacancies.iter().position(|post| post.vacancy.id.to_string() == vacancy);
        let pair = problem.pair(w.unwrap(), v.unwrap());
        let get = |name: &str| number(&json[name]).unwrap();
        let name = format!("{worker} at {vacancy}");
        assert_eq!(i64::from(pair.km), get("km"), "km of {name}");
        assert_eq!(pair.move_cost, get("move_cost"), "move cost of {name}");
        assert_eq!(pair.annual_move, get("annual_move"), "annual move of {name}");
        assert_eq!(i64::from(pair.fit), get("fit"), "fit of {name}");
        assert_eq!(pair.floor_salary, get("floor_salary"), "floor salary of {name}");
        assert_eq!(pair.asking_salary, get("asking_salary"), "asking salary of {name}");
        assert_eq!(pair.shortfall_bp, get("shortfall_bp"), "shortfall of {name}");
        assert_eq!(pair.worker_accepts, json["worker_accepts"], "{name}");
        assert_eq!(pair.vacancy_accepts, json["vacancy_accepts"], "{name}");
        assert_eq!(pair.value, get("value"), "value of {name}");
        assert_eq!(pair.score, get("score"), "score of {name}");
    }
}

#[test]
fn golden_lotteries_and_matchings() {
    let golden = golden();
    let problem = golden.problem();
    for (id, draw) in golden.file["lottery"].as_object().unwrap() {
        let draw = draw.as_u64().unwrap_or_else(|| draw.as_str().unwrap().parse().unwrap());
        let id = VacancyId::parse("id", id).unwrap();
        assert_eq!(problem.lottery.draw(id.bytes()), draw, "lottery of {id}");
    }
    for (side, name) in [(Side::Worker, "worker_optimal"), (Side::Vacancy, "vacancy_optimal")] {
        let matching = run(&problem, side);
        for (w, seeker) in problem.workers.iter().enumerate() {
            let expected = golden.file[name][seeker.worker.id.to_string()].as_str();
            let held = matching.vacancy_of[w];
            let held = held.map(|v| problem.vacancies[v as usize].vacancy.id.to_string());
            assert_eq!(held.as_deref(), expected, "{name} of {}", seeker.worker.id);
        }
    }
}

//! A generated market as the problem of its first clearing, in as little memory as it can be:
//! no market around it, one description in memory at a time, and in each record nothing that
//! the engine does not read.

use crate::domain::{
    City, CityIx, CitySpec, Geography, Level, Mobility, MobilitySpec, Reason, Region, RegionIx,
    RegionSpec, Requirement, SkillIx, SkillName, Vacancy, VacancySlot, VacancySpec, Violation,
    Worker, WorkerSlot, WorkerSpec,
};
use crate::generate::Generator;
use crate::matching::{Post, Problem, Seeker};
use crate::preferences::Lottery;
use std::collections::HashMap;
use std::sync::Arc;

/// Makes the generator's market metro by metro; `progress` hears of the workers made.
///
/// # Errors
/// If the generator names a city or region that it did not introduce.
pub fn problem(
    generator: &Generator,
    mut progress: impl FnMut(usize),
) -> Result<Problem, Violation> {
    let frame = generator.frame();
    let geography = geography(&frame.regions, &frame.cities)?;
    let mut names = Names { geography: &geography, skills: HashMap::default() };
    let mut workers = Vec::with_capacity(generator.workers_total() as usize);
    // There are fewer vacancies than openings; what is not touched takes no memory.
    let mut vacancies = Vec::with_capacity(generator.openings_total() as usize);
    for metro in 0..generator.metros() {
        for worker in generator.workers(metro) {
            let slot = WorkerSlot::from_offset(workers.len());
            let worker = Arc::new(names.worker(worker)?);
            workers.push(Seeker { worker, slot, declined: None });
            if workers.len().is_multiple_of(1 << 12) {
                progress(workers.len());
            }
        }
        for vacancy in generator.vacancies(metro) {
            let slot = VacancySlot::from_offset(vacancies.len());
            let vacancy = Arc::new(names.vacancy(vacancy)?);
            let openings = vacancy.openings;
            vacancies.push(Post { vacancy, slot, openings, target: 0 });
        }
    }
    vacancies.shrink_to_fit();
    Ok(Problem {
        settings: Arc::new(frame.settings),
        lottery: Lottery { seed: frame.lottery_seed },
        workers,
        vacancies,
        sets: Vec::new(),
        set_of_city: vec![None; geography.cities.len()],
        geography: Arc::new(geography),
    })
}

/// The places of a market, numbered as they come.
///
/// # Errors
/// If a city is in a region that is not there.
pub fn geography(regions: &[RegionSpec], cities: &[CitySpec]) -> Result<Geography, Violation> {
    let mut geography = Geography::default();
    for (at, region) in regions.iter().enumerate() {
        let region = Region {
            id: region.id.clone(),
            display_name: region.display_name.clone(),
            parent: None,
            intake_cap: region.intake_cap,
        };
        geography.put_region(RegionIx::from_offset(at), region);
    }
    for (at, city) in cities.iter().enumerate() {
        let region = match &city.region {
            Some(name) => Some(geography.region_named(name.as_str()).ok_or_else(|| gap(name))?),
            None => None,
        };
        let ix = CityIx::from_offset(at);
        let km = geography.km_row(ix, city.latitude, city.longitude);
        let city = City {
            id: city.id.clone(),
            display_name: city.display_name.clone(),
            region,
            latitude: city.latitude,
            longitude: city.longitude,
            cost_of_living: city.cost_of_living,
            population: city.population,
            intake_cap: city.intake_cap,
            move_subsidy: city.move_subsidy,
        };
        geography.put_city(ix, city, &km);
    }
    Ok(geography)
}

/// Names become small numbers, as in a market.
struct Names<'a> {
    geography: &'a Geography,
    skills: HashMap<SkillName, SkillIx, foldhash::fast::FixedState>,
}

impl Names<'_> {
    fn worker(&mut self, spec: WorkerSpec) -> Result<Worker, Violation> {
        let named = spec.skills.iter();
        let mut skills: Box<[Level]> =
            named.map(|(name, level)| Level { skill: self.skill(name), level: *level }).collect();
        skills.sort_unstable_by_key(|entry| entry.skill);
        let mobility = match &spec.mobility {
            MobilitySpec::Any => Mobility::Any,
            MobilitySpec::HomeOnly => Mobility::HomeOnly,
            MobilitySpec::Listed(names) => {
                let listed = names.iter().map(|name| self.city(name.as_str()));
                let mut listed = listed.collect::<Result<Box<[_]>, _>>()?;
                listed.sort_unstable();
                Mobility::Listed(listed)
            }
        };
        Ok(Worker {
            id: spec.id,
            home: self.city(spec.home_city.as_str())?,
            cost_percent: spec.cost_percent,
            skills,
            expected_salary: spec.expected_salary,
            reservation_salary: spec.reservation_salary,
            mobility,
            ranking: None,
            deadline: None,
            labels: Default::default(),
        })
    }

    fn vacancy(&mut self, spec: VacancySpec) -> Result<Vacancy, Violation> {
        let requirements = spec.requirements.iter();
        let mut requirements: Box<[Requirement]> = requirements
            .map(|requirement| Requirement {
                skill: self.skill(&requirement.skill),
                weight: requirement.weight,
                desired_level: requirement.desired_level,
                minimum_level: requirement.minimum_level,
            })
            .collect();
        requirements.sort_unstable();
        Ok(Vacancy {
            id: spec.id,
            city: self.city(spec.city.as_str())?,
            employer: Default::default(),
            title: Default::default(),
            openings: spec.openings,
            target: 0,
            salary: spec.salary,
            requirements,
            min_fit_bp: spec.min_fit_bp,
            ranking: None,
            deadline: None,
            labels: Default::default(),
        })
    }

    fn city(&self, name: &str) -> Result<CityIx, Violation> {
        self.geography.city_named(name).ok_or_else(|| gap(name))
    }

    fn skill(&mut self, name: &SkillName) -> SkillIx {
        if let Some(ix) = self.skills.get(name) {
            return *ix;
        }
        let ix = SkillIx::from_offset(self.skills.len());
        self.skills.insert(name.clone(), ix);
        ix
    }
}

/// A name that the generator uses and did not introduce.
fn gap(name: impl std::fmt::Display) -> Violation {
    Violation::new(Reason::CityNotFound, "city", format!("the generated market has no {name}"))
}

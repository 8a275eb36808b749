//! Decides who comes into the pools and who leaves them (see `docs/LIVES.md`).

use super::super::command::{Batch, Refusal};
use super::super::effect::Effect;
use super::super::shared::Sharing;
use super::super::view::{VacancyStatus, WorkerStatus};
use super::super::{SkillsByName, State};
use super::{Draft, each, full};
use crate::domain::limits::SKILLS_MAX;
use crate::domain::{
    Geography, Labels, Level, Mobility, MobilitySpec, Reason, Requirement, SharedLabels, SkillIx,
    SkillName, Vacancy, VacancyId, VacancySlot, VacancySpec, Violation, Worker, WorkerId,
    WorkerSlot, WorkerSpec,
};
use std::sync::Arc;

/// Skills that a batch sees for the first time, on top of the market's.
struct Skills<'a> {
    known: &'a SkillsByName,
    added: SkillsByName,
}

impl<'a> Skills<'a> {
    fn new(known: &'a SkillsByName) -> Self {
        Self { known, added: SkillsByName::default() }
    }

    /// The skill's index; a new skill is added to `effects`.
    fn intern(
        &mut self,
        name: &SkillName,
        effects: &mut Vec<Effect>,
    ) -> Result<SkillIx, Violation> {
        if let Some(ix) = self.known.get(name).or_else(|| self.added.get(name)) {
            return Ok(*ix);
        }
        let count = self.known.len() + self.added.len();
        if count == SKILLS_MAX {
            return Err(full("skills", SKILLS_MAX));
        }
        let ix = SkillIx::from_offset(count);
        self.added.insert(name.clone(), ix);
        effects.push(Effect::SkillAdded(name.clone()));
        Ok(ix)
    }

    /// Refuses a list of new skills that would not fit, before any is added.
    fn check_room<'n>(
        &self,
        names: impl ExactSizeIterator<Item = &'n SkillName>,
    ) -> Result<(), Violation> {
        let count = self.known.len() + self.added.len();
        if count + names.len() <= SKILLS_MAX {
            return Ok(());
        }
        let unknown =
            names.filter(|name| !self.known.contains_key(*name) && !self.added.contains_key(*name));
        if count + unknown.count() > SKILLS_MAX {
            return Err(full("skills", SKILLS_MAX));
        }
        Ok(())
    }
}

/// What the records of a batch have in common with those of the market.
struct Common<'a> {
    skills: Skills<'a>,
    labels: Sharing<'a, Labels>,
    titles: Sharing<'a, str>,
}

impl<'a> Common<'a> {
    fn of(state: &'a State) -> Self {
        Self {
            skills: Skills::new(&state.skills),
            labels: state.labels.batch(),
            titles: state.titles.batch(),
        }
    }

    fn labels(&mut self, labels: &Labels) -> SharedLabels {
        (!labels.is_empty()).then(|| self.labels.share(labels, || Arc::new(labels.clone())))
    }
}

impl State {
    pub(super) fn upsert_workers(
        &self,
        batch: &Batch<WorkerSpec>,
        reopen: bool,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let mut common = Common::of(self);
        let mut rows = self.view.workers.len();
        each(
            draft,
            ("workers", "id"),
            batch,
            |spec| spec.id,
            |spec| spec.id.to_string(),
            |spec, effects| {
                let known = self.worker_slot(spec.id);
                if known.is_none() && rows == self.capacity.workers {
                    return Err(full("workers", self.capacity.workers));
                }
                let old = known.map(|slot| self.view.worker(slot));
                if old.is_some_and(|old| old.status == WorkerStatus::Placed) && !reopen {
                    return Err(Violation::new(
                        Reason::WorkerPlaced,
                        "id",
                        "the worker is placed; set reopen to look again",
                    ));
                }
                let worker = self.intern_worker(spec, &mut common, effects)?;
                if old.is_some_and(|old| old.status.in_pool() && *old.worker == worker) {
                    return Ok(0);
                }
                let slot = known.unwrap_or_else(|| WorkerSlot::from_offset(rows));
                rows += usize::from(known.is_none());
                // A worker who moves house is not the match that was made any more.
                if old.is_some_and(|old| old.worker.home != worker.home) {
                    effects.extend(self.view.dissolve(slot));
                }
                effects.push(Effect::WorkerPut { slot, worker: Arc::new(worker) });
                Ok(0)
            },
        )
    }

    fn intern_worker(
        &self,
        spec: &WorkerSpec,
        common: &mut Common<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<Worker, Violation> {
        let geography = &*self.view.head.geography;
        let city = |field: String, name: &crate::domain::CityName| {
            let ix = geography.city_named(name.as_str());
            ix.ok_or_else(|| Geography::unknown_city(field, name))
        };
        let home = city("home_city".into(), &spec.home_city)?;
        let mobility = match &spec.mobility {
            MobilitySpec::Any => Mobility::Any,
            MobilitySpec::HomeOnly => Mobility::HomeOnly,
            MobilitySpec::Listed(names) => {
                let listed = names.iter().enumerate();
                let listed = listed.map(|(i, name)| city(format!("mobility.cities[{i}]"), name));
                let mut listed = listed.collect::<Result<Vec<_>, _>>()?;
                listed.sort_unstable();
                Mobility::Listed(listed.into())
            }
        };
        let skills = &mut common.skills;
        skills.check_room(spec.skills.iter().map(|(name, _)| name))?;
        let mut levels = Vec::with_capacity(spec.skills.len());
        for (name, level) in &spec.skills {
            levels.push(Level { skill: skills.intern(name, effects)?, level: *level });
        }
        levels.sort_unstable_by_key(|entry| entry.skill);
        Ok(Worker {
            id: spec.id,
            home,
            cost_percent: spec.cost_percent,
            skills: levels.into(),
            expected_salary: spec.expected_salary,
            reservation_salary: spec.reservation_salary,
            mobility,
            ranking: spec.ranking.as_deref().map(Into::into),
            deadline: spec.deadline,
            labels: common.labels(&spec.labels),
        })
    }

    pub(super) fn upsert_vacancies(
        &self,
        batch: &Batch<VacancySpec>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let mut common = Common::of(self);
        let mut rows = self.view.vacancies.len();
        each(
            draft,
            ("vacancies", "id"),
            batch,
            |spec| spec.id,
            |spec| spec.id.to_string(),
            |spec, effects| {
                let known = self.vacancy_slot(spec.id);
                if known.is_none() && rows == self.capacity.vacancies {
                    return Err(full("vacancies", self.capacity.vacancies));
                }
                let old = known.map(|slot| self.view.vacancy(slot));
                let placed = old.map_or(0, |old| old.placed);
                if spec.openings < placed {
                    return Err(Violation::new(
                        Reason::OpeningsBelowPlaced,
                        "openings",
                        format!("is {}, but {placed} are placed already", spec.openings),
                    ));
                }
                let vacancy = self.intern_vacancy(spec, &mut common, effects)?;
                let all_placed = placed > 0 && placed == vacancy.openings;
                let status = if all_placed { VacancyStatus::Filled } else { VacancyStatus::Open };
                if old.is_some_and(|old| old.status == status && *old.vacancy == vacancy) {
                    return Ok(0);
                }
                let slot = known.unwrap_or_else(|| VacancySlot::from_offset(rows));
                rows += usize::from(known.is_none());
                // A job that moves elsewhere, or has no opening left, is not the match that was made.
                if old.is_some_and(|old| all_placed || old.vacancy.city != vacancy.city) {
                    effects.extend(self.view.dissolve_all(slot));
                }
                effects.push(Effect::VacancyPut { slot, vacancy: Arc::new(vacancy), status });
                Ok(0)
            },
        )
    }

    fn intern_vacancy(
        &self,
        spec: &VacancySpec,
        common: &mut Common<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<Vacancy, Violation> {
        let city = self.view.head.geography.city_named(spec.city.as_str());
        let city = city.ok_or_else(|| Geography::unknown_city("city", &spec.city))?;
        let skills = &mut common.skills;
        skills.check_room(spec.requirements.iter().map(|r| &r.skill))?;
        let mut requirements = Vec::with_capacity(spec.requirements.len());
        for requirement in &spec.requirements {
            requirements.push(Requirement {
                skill: skills.intern(&requirement.skill, effects)?,
                weight: requirement.weight,
                desired_level: requirement.desired_level,
                minimum_level: requirement.minimum_level,
            });
        }
        requirements.sort_unstable();
        Ok(Vacancy {
            id: spec.id,
            city,
            employer: spec.employer.clone(),
            title: common.titles.share(&spec.title, || spec.title.as_ref().into()),
            openings: spec.openings,
            target: spec.target,
            salary: spec.salary,
            requirements: requirements.into(),
            min_fit_bp: spec.min_fit_bp,
            ranking: spec.ranking.as_deref().map(Into::into),
            deadline: spec.deadline,
            labels: common.labels(&spec.labels),
        })
    }

    pub(super) fn withdraw_workers(
        &self,
        batch: &Batch<WorkerId>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        each(
            draft,
            ("worker_ids", ""),
            batch,
            |id| *id,
            |id| id.to_string(),
            |id, effects| {
                let slot = self.worker_slot(*id).ok_or_else(|| unknown_worker(*id))?;
                match self.view.worker(slot).status {
                    WorkerStatus::Placed => Err(Violation::new(
                        Reason::WrongStatus,
                        "",
                        "the worker is placed: there is nothing to withdraw",
                    )),
                    WorkerStatus::Withdrawn | WorkerStatus::Expired => Ok(0),
                    WorkerStatus::Searching | WorkerStatus::Matched => {
                        self.worker_leaves(slot, WorkerStatus::Withdrawn, effects);
                        Ok(0)
                    }
                }
            },
        )
    }

    pub(super) fn close_vacancies(
        &self,
        batch: &Batch<VacancyId>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        each(
            draft,
            ("vacancy_ids", ""),
            batch,
            |id| *id,
            |id| id.to_string(),
            |id, effects| {
                let slot = self.vacancy_slot(*id).ok_or_else(|| unknown_vacancy(*id))?;
                match self.view.vacancy(slot).status {
                    VacancyStatus::Open | VacancyStatus::Filled => {
                        self.vacancy_leaves(slot, VacancyStatus::Closed, effects);
                        Ok(0)
                    }
                    VacancyStatus::Closed | VacancyStatus::Expired => Ok(0),
                }
            },
        )
    }

    /// The worker leaves the pool; a held match is dissolved first.
    pub(super) fn worker_leaves(
        &self,
        slot: WorkerSlot,
        status: WorkerStatus,
        effects: &mut Vec<Effect>,
    ) {
        effects.extend(self.view.dissolve(slot));
        effects.push(Effect::WorkerLeft { slot, status });
    }

    /// The vacancy leaves the pool; held matches are dissolved first, placements stay.
    pub(super) fn vacancy_leaves(
        &self,
        slot: VacancySlot,
        status: VacancyStatus,
        effects: &mut Vec<Effect>,
    ) {
        effects.extend(self.view.dissolve_all(slot));
        effects.push(Effect::VacancyLeft { slot, status });
    }
}

pub(super) fn unknown_worker(id: WorkerId) -> Violation {
    Violation::new(Reason::WorkerNotFound, "", format!("worker {id} does not exist in this market"))
}

pub(super) fn unknown_vacancy(id: VacancyId) -> Violation {
    Violation::new(
        Reason::VacancyNotFound,
        "",
        format!("vacancy {id} does not exist in this market"),
    )
}

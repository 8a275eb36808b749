//! Vacancies: jobs with openings.

use super::error::{Reason, Violation, Within, at_most, in_range, text};
use super::ids::{CityIx, CityName, Millis, SkillIx, SkillName, VacancyId, WorkerId};
use super::limits::{
    FIT_MAX, MONEY_MAX, OPENINGS_MAX, REQUIREMENTS_MAX, SKILL_LEVEL_MAX, TEXT_BYTES_MAX, WEIGHT_MAX,
};
use super::{Labels, SharedLabels, check_labels, check_ranking, first_duplicate};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One skill that a vacancy asks for, as a client says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequirementSpec {
    /// The skill.
    pub skill: SkillName,
    /// The level that meets the requirement in full, 1..100.
    pub desired_level: u8,
    /// The requirement's weight in the fit, 1..1000.
    pub weight: u16,
    /// The level below which a worker is refused, 0..100; `None` refuses nobody.
    pub minimum_level: Option<u8>,
}

/// A vacancy as a client describes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VacancySpec {
    /// The vacancy's id.
    pub id: VacancyId,
    /// Where the job is.
    pub city: CityName,
    /// Who offers it.
    pub employer: Box<str>,
    /// What it is called.
    pub title: Box<str>,
    /// How many people it takes, placed ones included.
    pub openings: u32,
    /// What it pays, a year.
    pub salary: i64,
    /// The skills it asks for.
    pub requirements: Vec<RequirementSpec>,
    /// Least fit it accepts, in basis points; `None` is the market's.
    pub min_fit_bp: Option<u32>,
    /// Explicit order of workers; replaces the computed order and acceptability.
    pub ranking: Option<Vec<WorkerId>>,
    /// Places that count as within target under the `TARGETS` cap order.
    pub target: u32,
    /// When the vacancy stops looking.
    pub deadline: Option<Millis>,
    /// The client's own labels.
    pub labels: Labels,
}

impl VacancySpec {
    /// Refuses what is wrong whatever market the vacancy goes to.
    pub fn check(&self) -> Result<(), Violation> {
        text("employer", &self.employer, TEXT_BYTES_MAX)?;
        text("title", &self.title, TEXT_BYTES_MAX)?;
        in_range("openings", self.openings, 0, OPENINGS_MAX)?;
        in_range("salary", self.salary, 1, MONEY_MAX)?;
        at_most("requirements", self.requirements.len(), REQUIREMENTS_MAX)?;
        for (i, requirement) in self.requirements.iter().enumerate() {
            let RequirementSpec { desired_level, weight, minimum_level, .. } = requirement;
            in_range("desired_level", *desired_level, 1, SKILL_LEVEL_MAX)
                .and_then(|()| in_range("weight", *weight, 1, WEIGHT_MAX))
                .and_then(|()| {
                    in_range("minimum_level", minimum_level.unwrap_or(0), 0, SKILL_LEVEL_MAX)
                })
                .within(|| format!("requirements[{i}]"))?;
        }
        if let Some(skill) = first_duplicate(self.requirements.iter().map(|r| &r.skill)) {
            return Err(Violation::new(
                Reason::Duplicate,
                "requirements",
                format!("{skill} stands twice"),
            ));
        }
        in_range("min_fit_bp", self.min_fit_bp.unwrap_or(0), 0, FIT_MAX)?;
        in_range("target", self.target, 0, OPENINGS_MAX)?;
        check_ranking(self.ranking.as_deref())?;
        check_labels(&self.labels)
    }
}

/// One skill that a vacancy asks for, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Requirement {
    /// The skill.
    pub skill: SkillIx,
    /// The requirement's weight in the fit, 1..1000.
    pub weight: u16,
    /// The level that meets the requirement in full, 1..100.
    pub desired_level: u8,
    /// The level below which a worker is refused; `None` refuses nobody.
    pub minimum_level: Option<u8>,
}

/// A vacancy as the market keeps one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacancy {
    /// The vacancy's id.
    pub id: VacancyId,
    /// Where the job is.
    pub city: CityIx,
    /// Who offers it.
    pub employer: Box<str>,
    /// What it is called; vacancies of one title share it.
    pub title: Arc<str>,
    /// How many people it takes, placed ones included.
    pub openings: u32,
    /// Places that count as within target under the `TARGETS` cap order.
    pub target: u32,
    /// What it pays, a year.
    pub salary: i64,
    /// The skills it asks for, by ascending index.
    pub requirements: Box<[Requirement]>,
    /// Least fit it accepts, in basis points; `None` is the market's.
    pub min_fit_bp: Option<u32>,
    /// Explicit order of workers; replaces the computed order and acceptability.
    pub ranking: Option<Box<[WorkerId]>>,
    /// When the vacancy stops looking.
    pub deadline: Option<Millis>,
    /// The client's own labels.
    pub labels: SharedLabels,
}

impl Vacancy {
    /// Position of a worker in the vacancy's explicit ranking, from 0.
    pub fn rank_of(&self, worker: WorkerId) -> Option<usize> {
        self.ranking.as_deref()?.iter().position(|id| *id == worker)
    }
}

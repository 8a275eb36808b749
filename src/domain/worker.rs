//! Workers: people looking for a job.

use super::error::{Reason, Violation, Within, at_most, in_range};
use super::ids::{CityIx, CityName, Millis, SkillIx, SkillName, VacancyId, WorkerId};
use super::limits::{
    COST_PERCENT_MAX, MOBILITY_CITIES_MAX, MONEY_MAX, SKILL_LEVEL_MAX, WORKER_SKILLS_MAX,
};
use super::{Labels, SharedLabels, check_labels, check_ranking, first_duplicate};
use serde::{Deserialize, Serialize};

/// Where a worker would take a job, as a client says it. Home is always included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MobilitySpec {
    /// Anywhere.
    Any,
    /// At home and in these cities.
    Listed(Vec<CityName>),
    /// At home alone.
    HomeOnly,
}

/// A worker as a client describes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSpec {
    /// The worker's id.
    pub id: WorkerId,
    /// Where the worker lives.
    pub home_city: CityName,
    /// Skills with their levels, 0..100; a skill that is not listed has level 0.
    pub skills: Vec<(SkillName, u8)>,
    /// Salary that the worker expects at home, a year.
    pub expected_salary: i64,
    /// Least salary that the worker would work for at home, a year.
    pub reservation_salary: i64,
    /// Where the worker would take a job.
    pub mobility: MobilitySpec,
    /// The worker's own multiplier on the cost of moving, in per cent.
    pub cost_percent: u16,
    /// Explicit order of vacancies; replaces the computed order and acceptability.
    pub ranking: Option<Vec<VacancyId>>,
    /// When the worker stops looking.
    pub deadline: Option<Millis>,
    /// The client's own labels.
    pub labels: Labels,
}

impl WorkerSpec {
    /// Refuses what is wrong whatever market the worker goes to.
    pub fn check(&self) -> Result<(), Violation> {
        at_most("skills", self.skills.len(), WORKER_SKILLS_MAX)?;
        for (i, (_, level)) in self.skills.iter().enumerate() {
            in_range("level", *level, 0, SKILL_LEVEL_MAX).within(|| format!("skills[{i}]"))?;
        }
        if let Some(skill) = first_duplicate(self.skills.iter().map(|(skill, _)| skill)) {
            return Err(Violation::new(
                Reason::Duplicate,
                "skills",
                format!("{skill} stands twice"),
            ));
        }
        in_range("expected_salary", self.expected_salary, 1, MONEY_MAX)?;
        in_range("reservation_salary", self.reservation_salary, 1, self.expected_salary)?;
        in_range("mobility.cost_percent", self.cost_percent, 0, COST_PERCENT_MAX)?;
        if let MobilitySpec::Listed(cities) = &self.mobility {
            at_most("mobility.cities", cities.len(), MOBILITY_CITIES_MAX)?;
            if let Some(city) = first_duplicate(cities.iter()) {
                return Err(Violation::new(
                    Reason::Duplicate,
                    "mobility.cities",
                    format!("{city} stands twice"),
                ));
            }
        }
        check_ranking(self.ranking.as_deref())?;
        check_labels(&self.labels)
    }
}

/// A skill of a worker with its level. Packed to three bytes: a worker has two dozen, and
/// they are most of what a market keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(Rust, packed)]
pub struct Level {
    /// The skill.
    pub skill: SkillIx,
    /// Its level, 0..100.
    pub level: u8,
}

/// Where a worker would take a job, interned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mobility {
    /// Anywhere.
    Any,
    /// At home and in these cities, ascending.
    Listed(Box<[CityIx]>),
    /// At home alone.
    HomeOnly,
}

/// A worker as the market keeps one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// The worker's id.
    pub id: WorkerId,
    /// Where the worker lives.
    pub home: CityIx,
    /// The worker's own multiplier on the cost of moving, in per cent.
    pub cost_percent: u16,
    /// Skills by ascending index; one that is not listed has level 0.
    pub skills: Box<[Level]>,
    /// Salary that the worker expects at home, a year.
    pub expected_salary: i64,
    /// Least salary that the worker would work for at home, a year.
    pub reservation_salary: i64,
    /// Where the worker would take a job.
    pub mobility: Mobility,
    /// Explicit order of vacancies; replaces the computed order and acceptability.
    pub ranking: Option<Box<[VacancyId]>>,
    /// When the worker stops looking.
    pub deadline: Option<Millis>,
    /// The client's own labels.
    pub labels: SharedLabels,
}

impl Worker {
    /// The worker's level in `skill`, 0 if it is not listed.
    pub fn level(&self, skill: SkillIx) -> u8 {
        match self.skills.binary_search_by_key(&skill, |entry| entry.skill) {
            Ok(at) => self.skills[at].level,
            Err(_) => 0,
        }
    }

    /// Whether `city` is in the worker's mobility set. Home always is.
    pub fn would_live_in(&self, city: CityIx) -> bool {
        city == self.home
            || match &self.mobility {
                Mobility::Any => true,
                Mobility::Listed(cities) => cities.binary_search(&city).is_ok(),
                Mobility::HomeOnly => false,
            }
    }

    /// Position of a vacancy in the worker's explicit ranking, from 0.
    pub fn rank_of(&self, vacancy: VacancyId) -> Option<usize> {
        self.ranking.as_deref()?.iter().position(|id| *id == vacancy)
    }
}

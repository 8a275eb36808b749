//! Workers by skill and level, for finding those whom a vacancy could want.
//!
//! One sorted array of packed entries (pool, skill, level, worker). A pool is everyone
//! who may leave home, or everyone whose home is one city; so a vacancy reads two pools,
//! and passes over those of its own city in the first.

use super::Problem;
use crate::domain::{CityIx, Mobility, SkillIx, Worker};

/// Stands for "any skill", for vacancies without a mandatory minimum.
const ANY_SKILL: u64 = 0xFFFF;
/// Workers are limited to 50 million.
const WORKER_BITS: u32 = 26;
const LEVEL_BITS: u32 = 7;
const SKILL_BITS: u32 = 16;

/// The pool of those who may leave home.
const MOVERS: u64 = 0;

/// See the module.
#[derive(Default)]
pub(super) struct Postings {
    entries: Vec<u64>,
}

fn pack(pool: u64, skill: u64, level: u64, worker: u64) -> u64 {
    ((pool << SKILL_BITS | skill) << LEVEL_BITS | level) << WORKER_BITS | worker
}

impl Postings {
    /// Files every worker under the `wanted` skills.
    pub fn of(problem: &Problem, wanted: &[bool]) -> Self {
        let mut entries = Vec::new();
        for (w, seeker) in problem.workers.iter().enumerate() {
            let worker = &seeker.worker;
            let pools = [home_pool(worker.home), MOVERS];
            let pools = &pools[..1 + usize::from(moves(worker))];
            for pool in pools.iter().copied() {
                entries.push(pack(pool, ANY_SKILL, 0, w as u64));
                for entry in &worker.skills {
                    if wanted.get(entry.skill.at()) == Some(&true) && entry.level > 0 {
                        let (skill, level) = (u64::from(entry.skill.0), u64::from(entry.level));
                        entries.push(pack(pool, skill, level, w as u64));
                    }
                }
            }
        }
        entries.sort_unstable();
        Self { entries }
    }

    /// Whether the postings were built.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries of everyone in `city` with at least the gate's level in its skill.
    pub fn at_home(&self, city: CityIx, gate: Option<(SkillIx, u8)>) -> &[u64] {
        self.range(home_pool(city), gate)
    }

    /// The entries of those who may leave home with at least the gate's level in its skill.
    pub fn movers(&self, gate: Option<(SkillIx, u8)>) -> &[u64] {
        self.range(MOVERS, gate)
    }

    /// The worker of an entry.
    pub fn worker(entry: u64) -> u32 {
        (entry & ((1 << WORKER_BITS) - 1)) as u32
    }

    fn range(&self, pool: u64, gate: Option<(SkillIx, u8)>) -> &[u64] {
        let (skill, least) = gate
            .map_or((ANY_SKILL, 0), |(skill, minimum)| (u64::from(skill.0), u64::from(minimum)));
        let from = pack(pool, skill, least, 0);
        let to = pack(pool, skill, (1 << LEVEL_BITS) - 1, (1 << WORKER_BITS) - 1);
        let start = self.entries.partition_point(|entry| *entry < from);
        let length = self.entries[start..].partition_point(|entry| *entry <= to);
        &self.entries[start..start + length]
    }
}

fn home_pool(city: CityIx) -> u64 {
    1 + u64::from(city.0)
}

/// Whether a job elsewhere may be acceptable: whoever ranks vacancies may rank any.
fn moves(worker: &Worker) -> bool {
    worker.ranking.is_some() || !matches!(worker.mobility, Mobility::HomeOnly)
}

//! Crafts: workers with the same skills.

use super::Problem;
use super::kernels::{Levels, SKILLS};
use super::screens::Numbering;
use crate::domain::{Mobility, Worker};
use std::collections::HashMap;

/// Workers of one craft from which on it pays to know how good the best of them are.
const SHARED_MIN: usize = 4;

/// A number that workers with the same skills share.
pub(super) fn craft(worker: &Worker) -> u64 {
    let mix = |sum: u64, skill: u16| {
        (sum ^ u64::from(skill)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
    };
    worker.skills.iter().fold(0, |sum, entry| mix(sum, entry.skill.0))
}

/// The best level in each skill among those of a craft who would move anywhere.
#[derive(Default)]
pub(super) struct Crafts {
    pub ceilings: HashMap<u64, Levels, foldhash::fast::FixedState>,
}

impl Crafts {
    pub fn of(problem: &Problem, numbering: &Numbering) -> Self {
        let seekers = problem.workers.iter().enumerate();
        let movers = seekers.filter(|(_, seeker)| seeker.worker.mobility == Mobility::Any);
        let mut movers: Vec<(u64, u32)> =
            movers.map(|(w, seeker)| (craft(&seeker.worker), w as u32)).collect();
        movers.sort_unstable();
        let mut crafts = Self::default();
        for alike in movers.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() >= SHARED_MIN) {
            let mut ceiling = Levels([0; SKILLS]);
            for (_, w) in alike {
                ceiling.raise_to(&numbering.levels(&problem.workers[*w as usize].worker));
            }
            crafts.ceilings.insert(alike[0].0, ceiling);
        }
        crafts
    }
}

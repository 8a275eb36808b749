//! Crafts: workers with the same skills.

use super::Problem;
use super::crew::map;
use crate::domain::Worker;

/// The craft of every worker, by number.
pub(super) struct Crafts {
    of: Vec<u32>,
}

impl Crafts {
    pub fn of(problem: &Problem, threads: usize) -> Self {
        let mut numbers =
            map(threads, problem.workers.len(), |w| craft(&problem.workers[w].worker));
        let of = numbers.clone();
        // Those of one craft often stand side by side: there is less to sort.
        numbers.dedup();
        numbers.sort_unstable();
        numbers.dedup();
        let number = |craft: &u64| numbers.binary_search(craft).map_or(u32::MAX, |at| at as u32);
        Self { of: map(threads, of.len(), |w| number(&of[w])) }
    }

    /// The craft of worker `w`; workers with the same skills have the same.
    #[inline]
    pub fn of_worker(&self, w: u32) -> u32 {
        self.of[w as usize]
    }
}

/// A number that workers with the same skills share.
pub(super) fn craft(worker: &Worker) -> u64 {
    let mix = |sum: u64, skill: u16| {
        (sum ^ u64::from(skill)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
    };
    worker.skills.iter().fold(0, |sum, entry| mix(sum, entry.skill.0))
}

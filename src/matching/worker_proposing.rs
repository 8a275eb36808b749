//! Worker-proposing deferred acceptance: a loop over `demand`.
//!
//! The result does not depend on the order of proposals, the cost does: a strong
//! worker who comes late displaces a weak one who must search again. So workers come
//! in bands of falling strength, and inside a band by city and main skill, so that
//! neighbours read the same part of the index.

use super::Problem;
use super::control::{Cancelled, Control, Phase};
use super::engine::Engine;
use std::cmp::Reverse;

/// How many bands of strength there are.
const BANDS: usize = 20;
/// Workers between two looks at the control.
const STRIDE: usize = 256;

pub(super) fn run(engine: &mut Engine, control: &Control) -> Result<(), Cancelled> {
    let order = order(engine.index.problem);
    control.begin(Phase::Proposing, order.len())?;
    for workers in order.chunks(STRIDE) {
        for worker in workers {
            engine.propose(*worker);
        }
        control.advance(workers.len() as u64)?;
    }
    Ok(())
}

/// All workers, the strong first.
fn order(problem: &Problem) -> Vec<u32> {
    let strength = |w: &u32| {
        let skills = problem.workers[*w as usize].worker.skills.iter();
        skills.map(|entry| u32::from(entry.level)).sum::<u32>()
    };
    let mut order: Vec<u32> = (0..problem.workers.len() as u32).collect();
    order.sort_by_cached_key(|w| Reverse(strength(w)));
    let band = order.len().div_ceil(BANDS).max(1);
    for workers in order.chunks_mut(band) {
        workers.sort_by_cached_key(|w| {
            let worker = &problem.workers[*w as usize].worker;
            let main = worker.skills.iter().max_by_key(|entry| entry.level);
            (worker.home, main.map(|entry| entry.skill))
        });
    }
    order
}

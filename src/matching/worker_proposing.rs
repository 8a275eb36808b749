//! Worker-proposing deferred acceptance: a loop over `demand`.
//!
//! The result does not depend on the order of proposals, the cost does: a strong
//! worker who comes late displaces a weak one who must search again. So workers come
//! in bands of falling strength, and inside a band by city and main skill, so that
//! neighbours read the same part of the index. Those who look only at home come first:
//! theirs is the bonus of locals, and the cheapest search. Those who would move anywhere
//! come last: theirs is the dearest search, and by then most cutoffs stand where they
//! will stay, and cut it short.

use super::Problem;
use super::control::{Cancelled, Control, Phase};
use super::demand::{Scratch, demand};
use super::engine::{Engine, Offer};
use crate::domain::Mobility;
use std::cmp::Reverse;

/// How many bands of strength there are.
const BANDS: usize = 20;
/// Workers who ask at once. More of them find that somebody of the same batch was
/// there first and ask again; fewer leave threads without work.
const BATCH: usize = 512;
/// Workers of a batch below which one thread is as fast as several.
const BATCH_ALONE: usize = 64;

/// Workers ask in batches: all of a batch against the same cutoffs, on as many threads
/// as there are, and then one after the other, in order, each takes what she was
/// offered if it still stands. Cutoffs only rise, so what still stands is still her best,
/// and who must ask again asks with the next batch. Batches do not depend on the number
/// of threads, and so nothing does.
pub(super) fn run(engine: &mut Engine, control: &Control, threads: usize) -> Result<(), Cancelled> {
    let order = order(engine.index.problem);
    control.begin(Phase::Proposing, order.len())?;
    let mut askers: Vec<Scratch> = (1..threads).map(|_| Scratch::of(&engine.index)).collect();
    let mut fresh = order.into_iter();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let again = batch.len();
        batch.extend(fresh.by_ref().take(BATCH.saturating_sub(again)));
        if batch.is_empty() {
            break;
        }
        let first_turns = (batch.len() - again) as u64;
        let offers = ask(engine, &mut askers, &batch);
        batch = answer(engine, &batch, offers);
        control.advance(first_turns)?;
    }
    for asker in askers {
        engine.counters = engine.counters.plus(asker.counters);
    }
    Ok(())
}

/// What each worker of the batch would get, all asking at once.
fn ask(engine: &mut Engine, askers: &mut [Scratch], batch: &[u32]) -> Vec<Option<Offer>> {
    let Engine { index, seats, scratch, .. } = engine;
    let (index, seats) = (&*index, &*seats);
    let share = batch.len().div_ceil(askers.len() + 1);
    if askers.is_empty() || batch.len() < BATCH_ALONE {
        return batch.iter().map(|w| demand(index, seats, scratch, *w)).collect();
    }
    let mut offers = vec![None; batch.len()];
    std::thread::scope(|scope| {
        let shares = batch.chunks(share).zip(offers.chunks_mut(share));
        for ((workers, offers), scratch) in shares.zip(askers.iter_mut().chain([scratch])) {
            scope.spawn(move || {
                for (w, offer) in workers.iter().zip(offers) {
                    *offer = demand(index, seats, scratch, *w);
                }
            });
        }
    });
    offers
}

/// Each takes her offer if it still stands. Returns who must ask again: those whose
/// offer is gone, and those displaced.
fn answer(engine: &mut Engine, batch: &[u32], offers: Vec<Option<Offer>>) -> Vec<u32> {
    let mut again = Vec::new();
    for (w, offer) in batch.iter().zip(offers) {
        let Some(offer) = offer else { continue };
        if engine.still_stands(offer) {
            again.extend(engine.accept(*w, offer));
        } else {
            again.push(*w);
        }
    }
    again
}

/// All workers, the strong first.
fn order(problem: &Problem) -> Vec<u32> {
    let strength = |w: &u32| {
        let worker = &problem.workers[*w as usize].worker;
        let levels = worker.skills.iter().map(|entry| u32::from(entry.level)).sum::<u32>();
        let stays = match worker.mobility {
            Mobility::HomeOnly => 2,
            Mobility::Listed(_) => 1,
            Mobility::Any => 0,
        };
        (stays, levels)
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

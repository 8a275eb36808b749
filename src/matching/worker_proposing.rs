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
use super::key::Ranks;
use crate::domain::Mobility;
use std::cmp::Reverse;

/// How many bands of strength there are.
const BANDS: usize = 20;
/// Workers who ask at once. More of them find that somebody of the same batch was
/// there first and ask again; fewer leave threads without work.
const BATCH: usize = 512;
/// A batch is contested if more than one in so many find their offer gone.
const CONTESTED_SHARE: usize = 4;
/// Workers of a batch below which one thread is as fast as several.
const BATCH_ALONE: usize = 64;

/// Workers ask in batches: all of a batch against the same cutoffs, on as many threads
/// as there are, and then one after the other, in order, each takes what she was
/// offered if it still stands. Cutoffs only rise, so what still stands is still her best;
/// who finds it gone asks again with the next batch, as do the displaced. Where all want
/// the same, most of a batch find it gone, time and again: after such a batch they ask
/// again at once, in their turn. Nothing of this depends on the number of threads.
pub(super) fn run(engine: &mut Engine, control: &Control, threads: usize) -> Result<(), Cancelled> {
    let order = order(engine.index.problem, &engine.index.ranks);
    control.begin(Phase::Proposing, order.len())?;
    let mut askers: Vec<Scratch> = (1..threads).map(|_| Scratch::of(&engine.index)).collect();
    let mut fresh = order.into_iter();
    let mut batch = Vec::with_capacity(BATCH);
    let mut contested = false;
    loop {
        let again = batch.len();
        batch.extend(fresh.by_ref().take(BATCH.saturating_sub(again)));
        if batch.is_empty() {
            break;
        }
        let first_turns = (batch.len() - again) as u64;
        let offers = ask(engine, &mut askers, &batch);
        batch = answer(engine, &batch, offers, &mut contested);
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

/// Each takes her offer if it still stands. Returns who must ask again, and says in
/// `contested` whether many found it gone.
fn answer(
    engine: &mut Engine,
    batch: &[u32],
    offers: Vec<Option<Offer>>,
    contested: &mut bool,
) -> Vec<u32> {
    let mut again = Vec::new();
    let (at_once, mut gone) = (*contested, 0);
    for (w, offer) in batch.iter().zip(offers) {
        let stands = offer.is_none_or(|offer| engine.still_stands(offer));
        gone += usize::from(!stands);
        if !stands && !at_once {
            again.push(*w);
            continue;
        }
        let offer = if stands { offer } else { engine.demand(*w) };
        again.extend(offer.and_then(|offer| engine.accept(*w, offer)));
    }
    *contested = gone * CONTESTED_SHARE > batch.len();
    again
}

/// All workers, the strong first. Where neighbours inside a band are alike, the one who
/// wins ties comes first, so that equals do not displace one another in turn.
fn order(problem: &Problem, ranks: &Ranks) -> Vec<u32> {
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
    let rank = |w: &u32| ranks.worker[*w as usize];
    order.sort_by_cached_key(|w| (Reverse(strength(w)), rank(w)));
    let band = order.len().div_ceil(BANDS).max(1);
    for workers in order.chunks_mut(band) {
        workers.sort_by_cached_key(|w| {
            let worker = &problem.workers[*w as usize].worker;
            let main = worker.skills.iter().max_by_key(|entry| entry.level);
            (worker.home, main.map(|entry| entry.skill), Reverse(strength(w)), rank(w))
        });
    }
    order
}

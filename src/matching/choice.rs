//! The choice function C: which of a set of contracts the openings and caps keep.
//! Written to be read, not to be fast; the engine keeps the same choice incrementally.

use super::Problem;
use super::key::{Bid, Key, Ranks};

/// One worker at one vacancy, with the bid that orders it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contract {
    pub worker: u32,
    pub vacancy: u32,
    pub bid: Bid,
}

impl Contract {
    /// The contract of worker `w` and vacancy `v`, whose score there is known.
    pub fn new(ranks: &Ranks, w: u32, v: u32, score: i64) -> Self {
        let key = Key::new(score, ranks.worker(w));
        Self { worker: w, vacancy: v, bid: Bid::new(key, ranks.vacancy(v)) }
    }
}

/// C applied to any set of (worker number, vacancy number): the subset kept, ascending.
/// A pair that either side refuses is never kept. A worker may be kept at several
/// vacancies: choosing between them is the worker's own affair.
///
/// `SCORE` is greedy by key on the laminar matroid of openings and caps; `TARGETS` is
/// the choice rule of Kamada and Kojima's flexible deferred acceptance (2015), with
/// slots ordered by (places above target, vacancy id bytes, place).
pub fn choose(problem: &Problem, offers: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let ranks = Ranks::of(problem);
    let mut contracts = Vec::with_capacity(offers.len());
    for (w, v) in offers {
        let pair = problem.pair(*w as usize, *v as usize);
        if pair.is_acceptable() {
            contracts.push(Contract::new(&ranks, *w, *v, pair.score));
        }
    }
    let kept = pick(problem, contracts);
    let mut kept: Vec<_> = kept.iter().map(|kept| (kept.worker, kept.vacancy)).collect();
    kept.sort_unstable();
    kept
}

/// C applied to acceptable contracts.
pub(super) fn pick(problem: &Problem, mut contracts: Vec<Contract>) -> Vec<Contract> {
    contracts.sort_unstable_by_key(|contract| std::cmp::Reverse(contract.bid));
    contracts.dedup();
    if problem.by_targets() {
        contracts = in_slot_order(problem, contracts);
    }
    let mut room = Room::of(problem);
    contracts.retain(|contract| room.take(contract.vacancy as usize));
    contracts
}

/// Orders contracts, best bids first, by the slot that each would take at its vacancy.
fn in_slot_order(problem: &Problem, contracts: Vec<Contract>) -> Vec<Contract> {
    let mut offers_at = vec![0_u32; problem.vacancies.len()];
    let mut slots = Vec::with_capacity(contracts.len());
    for contract in contracts {
        let post = &problem.vacancies[contract.vacancy as usize];
        let place = &mut offers_at[contract.vacancy as usize];
        *place += 1;
        let above_target = place.saturating_sub(post.target);
        slots.push(((above_target, *post.vacancy.id.bytes(), *place), contract));
    }
    slots.sort_unstable_by_key(|(slot, _)| *slot);
    slots.into_iter().map(|(_, contract)| contract).collect()
}

/// What is left of every capacity.
struct Room<'p> {
    problem: &'p Problem,
    openings: Vec<u32>,
    sets: Vec<u64>,
}

impl<'p> Room<'p> {
    fn of(problem: &'p Problem) -> Self {
        Self {
            problem,
            openings: problem.vacancies.iter().map(|post| post.openings).collect(),
            sets: problem.sets.iter().map(|set| set.capacity).collect(),
        }
    }

    /// Takes a place at vacancy `v` if it and every set around it have room.
    fn take(&mut self, v: usize) -> bool {
        let free = self.openings[v] > 0 && self.problem.sets_around(v).all(|s| self.sets[s] > 0);
        if free {
            self.openings[v] -= 1;
            for set in self.problem.sets_around(v) {
                self.sets[set] -= 1;
            }
        }
        free
    }
}

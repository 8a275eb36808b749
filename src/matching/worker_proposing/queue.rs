//! Who asks next, and side by side with whom.

use super::super::Problem;
use super::super::crafts::Crafts;
use super::super::crew::{join, map};
use super::super::index::Index;
use super::super::key::inverse;
use super::hand::Asker;
use crate::domain::{Mobility, Worker};
use std::cmp::Reverse;
use std::vec::IntoIter;

/// Workers who ask at once, at most. In a larger batch more of them find that somebody of the
/// same batch was there first; in a smaller one fewer of a craft are side by side.
const BATCH: usize = 8_192;
/// In a small market it is one in so many of all, and [`BATCH_MIN`] at least.
const BATCH_ONE_IN: usize = 16;
const BATCH_MIN: usize = 64;
/// Of those who look farther than home so many ask at once as one in so many of all workers, if
/// that is more: their searches are the dearest, and in a larger batch more of a craft are side by
/// side.
const FAR_ONE_IN: usize = 96;
/// At most so many share a lens, and one in [`GROUP_ONE_IN`] of their batch (or [`BATCH_MIN`]), so
/// that threads share the work.
const GROUP: usize = 4_096;
const GROUP_ONE_IN: usize = 4;
/// Groups of fewer stay in their order, home by home, so that each finds in the caches what the
/// one before has read.
const LARGE: usize = 64;
/// Who looks at home alone and must ask again waits until one in so many of all workers must.
const AGAIN_ONE_IN: usize = 10;
/// Who looks farther waits until all have asked, and fewer than one in so many of all others
/// must ask again.
const FEW_ONE_IN: usize = 200;

/// Once all have asked, and fewer than one in so many of all must ask again, they bring home more
/// offers.
const LATE_ONE_IN: usize = 100;

/// All who have to ask.
pub(super) struct Queue {
    /// Workers who ask at once, if the first of them looks at home alone; and if not.
    batch: usize,
    far_batch: usize,
    /// By worker: her place in the order.
    turns: Vec<u32>,
    /// Those who have not asked, in their order.
    newcomers: IntoIter<u32>,
    /// Those who ask again, in their order.
    waiting: IntoIter<Asker>,
    /// Those who will ask again and look at home alone.
    again: Vec<Asker>,
    /// Those who will ask again and look farther. Their searches are the dearest, so they wait
    /// longer, and are more of each craft then.
    far: Vec<Asker>,
    /// The first in the order who looks farther than home.
    first_far: u32,
}

impl Queue {
    /// All in their order; those from number `first_far` on look farther than home.
    pub fn of(order: Vec<u32>, first_far: u32) -> Self {
        let (waiting, again, far) = Default::default();
        let batch = (order.len() / BATCH_ONE_IN).clamp(BATCH_MIN, BATCH);
        let far_batch = batch.max(order.len() / FAR_ONE_IN);
        let turns = inverse(&order);
        let newcomers = order.into_iter();
        Self { batch, far_batch, turns, newcomers, waiting, again, far, first_far }
    }

    /// The next batch, and how many in it ask for the first time.
    pub fn next(&mut self) -> (Vec<Asker>, u64) {
        if self.waiting.as_slice().is_empty() {
            let mut again = self.take_again();
            // Turns lie all over the memory: each is read once.
            again.sort_by_cached_key(|asker| self.turns[asker.worker as usize]);
            self.waiting = again.into_iter();
        }
        if let Some(first) = self.waiting.as_slice().first() {
            let size = self.size(first.worker);
            return (self.waiting.by_ref().take(size).collect(), 0);
        }
        let size = self.newcomers.as_slice().first().map_or(0, |first| self.size(*first));
        let batch: Vec<Asker> = self.newcomers.by_ref().take(size).map(Asker::of).collect();
        if self.newcomers.as_slice().is_empty() {
            // No need to keep the memory.
            self.newcomers = Vec::new().into_iter();
        }
        let newcomers = batch.len() as u64;
        (batch, newcomers)
    }

    /// How many ask at once when that worker is the first of them.
    fn size(&self, first: u32) -> usize {
        match self.looks_far(first) {
            true => self.far_batch,
            false => self.batch,
        }
    }

    fn looks_far(&self, worker: u32) -> bool {
        self.turns[worker as usize] >= self.first_far
    }

    /// Those whose turn it is to ask again, if they need wait no longer.
    fn take_again(&mut self) -> Vec<Asker> {
        let (waiting, all) = (self.again.len(), self.turns.len());
        let all_have_asked = self.newcomers.as_slice().is_empty();
        let are_few = waiting * FEW_ONE_IN < all;
        if waiting * AGAIN_ONE_IN <= all && !all_have_asked {
            return Vec::new();
        }
        let mut again = std::mem::take(&mut self.again);
        if all_have_asked && are_few {
            again.append(&mut self.far);
        }
        if all_have_asked && again.len() * LATE_ONE_IN < all {
            again.iter_mut().for_each(|asker| asker.is_late = true);
        }
        again
    }

    /// Takes those who must ask again.
    pub fn come_again(&mut self, workers: Vec<Asker>) {
        for asker in workers {
            match self.looks_far(asker.worker) {
                true => self.far.push(asker),
                false => self.again.push(asker),
            }
        }
    }
}

/// How many in the order look at home alone: they come first.
pub(super) fn first_far(problem: &Problem, order: &[u32]) -> u32 {
    let mobility = |w: &u32| &problem.workers[*w as usize].worker.mobility;
    order.partition_point(|w| *mobility(w) == Mobility::HomeOnly) as u32
}

/// Those of one craft who stand side by side; the largest groups first, so that no thread is left
/// with one at the end.
pub(super) fn groups(crafts: &Crafts, batch: &[Asker]) -> Vec<Vec<Asker>> {
    let craft = |asker: &Asker| crafts.of_worker(asker.worker);
    let alike = batch.chunk_by(|a, b| craft(a) == craft(b));
    let group = (batch.len() / GROUP_ONE_IN).clamp(BATCH_MIN, GROUP);
    let mut groups: Vec<_> = alike.flat_map(|alike| alike.chunks(group)).collect();
    groups.sort_by_key(|group| Reverse(group.len() / LARGE));
    groups.into_iter().map(<[_]>::to_vec).collect()
}

/// All workers as `by` orders them, who is told the craft of each; alike ones by strength, the
/// strongest first, or the one who wins ties.
pub(in crate::matching) fn order(
    index: &Index,
    crafts: &Crafts,
    threads: usize,
    by: impl Fn(&Worker, u32) -> [u32; 2] + Sync,
) -> Vec<u32> {
    let Index { problem, .. } = index;
    let turn = |w: usize| {
        let worker = &*problem.workers[w].worker;
        let levels = worker.skills.iter().map(|entry| u32::from(entry.level)).sum::<u32>();
        let [first, second] = by(worker, crafts.of_worker(w as u32));
        // Her rank is hers alone.
        let parts = [first, second, !levels, index.ranks.worker(w as u32)];
        parts.into_iter().fold(0, |turn, part| turn << 32 | u128::from(part))
    };
    let mut turns: Vec<u128> = map(threads, problem.workers.len(), turn);
    let (first, second) = turns.split_at_mut(problem.workers.len() / 2);
    join(threads, || first.sort_unstable(), || second.sort_unstable());
    // Merges the two.
    turns.sort();
    map(threads, turns.len(), |at| index.ranks.worker_at(turns[at] as u32))
}

/// How far a worker looks, and from where: at home alone, home by home; then who lists cities;
/// then who would move anywhere.
pub(super) fn near(worker: &Worker) -> u32 {
    match worker.mobility {
        Mobility::HomeOnly => u32::from(worker.home.0),
        Mobility::Listed(_) => u32::MAX - 1,
        Mobility::Any => u32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: who looks farther than home asks again when nobody else has to, and everybody who
    /// asks again does so in the order. Method: a hundred workers, two batches; four ask again.
    #[test]
    fn who_looks_far_waits_longest() {
        let mut queue = Queue::of((0..100).rev().collect(), 60);
        let mut next = || {
            let (batch, newcomers) = queue.next();
            let workers: Vec<u32> = batch.iter().map(|asker| asker.worker).collect();
            if newcomers == 64 {
                queue.come_again([5, 3, 70, 90].map(Asker::of).into());
            }
            (workers, newcomers)
        };
        assert_eq!(next(), ((36..100).rev().collect(), 64));
        assert_eq!(next(), ((0..36).rev().collect(), 36));
        assert_eq!([next(), next(), next()], [(vec![90, 70], 0), (vec![5, 3], 0), (vec![], 0)]);
    }

    /// Goal: whoever asks again when all have asked and few are left is late, and nobody before.
    /// Method: of a thousand more than a tenth ask again before all have asked, then nine, then ten.
    #[test]
    fn the_last_few_are_late() {
        let mut queue = Queue::of((0..1_000).collect(), 1_000);
        queue.come_again((0..101).map(Asker::of).collect());
        let late = |batch: Vec<Asker>| batch.iter().filter(|asker| asker.is_late).count();
        let mut next = || Some(queue.next().0).filter(|batch| !batch.is_empty());
        let asked: Vec<usize> = std::iter::from_fn(&mut next).map(late).collect();
        assert_eq!(asked, [0; 2 + 16]);
        for (count, are_late) in [(9, 9), (10, 0)] {
            queue.come_again((0..count).map(Asker::of).collect());
            let (batch, _) = queue.next();
            assert_eq!((batch.len(), late(batch)), (count as usize, are_late));
        }
    }

    /// Goal: in a large market more of those ask at once who look farther than home, and no more
    /// of the others. Method: two batches of those who stay, then all who do not, then some of
    /// both again.
    #[test]
    fn who_looks_far_asks_in_larger_batches() {
        let all = 2 * BATCH * FAR_ONE_IN;
        let mut queue = Queue::of((0..all as u32).collect(), 2 * BATCH as u32);
        let mut next = || queue.next().0.len();
        assert_eq!([next(), next(), next(), next()], [BATCH, BATCH, 2 * BATCH, 2 * BATCH]);
        while queue.next().1 > 0 {}
        queue.come_again((0..4 * BATCH as u32).map(Asker::of).collect());
        let mut next = || queue.next().0.len();
        assert_eq!([next(), next(), next(), next()], [BATCH, BATCH, 2 * BATCH, 0]);
    }
}

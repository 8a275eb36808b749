//! Who asks next, and side by side with whom.

use super::super::Problem;
use super::super::crafts::Crafts;
use super::super::crew::map;
use super::super::demand::Question;
use super::super::key::{Ranks, inverse};
use crate::domain::Mobility;
use std::vec::IntoIter;

/// Workers who ask at once. In a larger batch more of them find that somebody of the
/// same batch was there first; in a smaller one fewer of a craft are side by side.
const BATCH: usize = 4_096;
/// At most so many share a lens, so that threads share the work.
const GROUP: usize = 512;
/// Who must ask again waits until one in so many of all workers must.
const AGAIN_ONE_IN: usize = 10;

/// All who have to ask.
pub(super) struct Queue {
    /// By worker: her place in the order.
    turns: Vec<u32>,
    /// Those who have not asked, in their order.
    newcomers: IntoIter<u32>,
    /// Those who ask again, in their order.
    waiting: IntoIter<Question>,
    /// Those who will ask again.
    again: Vec<Question>,
}

impl Queue {
    pub fn of(order: Vec<u32>) -> Self {
        let (waiting, again) = Default::default();
        Self { turns: inverse(&order), newcomers: order.into_iter(), waiting, again }
    }

    /// The next batch, and how many in it ask for the first time.
    pub fn next(&mut self) -> (Vec<Question>, u64) {
        let enough = self.again.len() * AGAIN_ONE_IN > self.turns.len();
        let is_last = self.newcomers.as_slice().is_empty();
        if self.waiting.as_slice().is_empty() && (enough || is_last) {
            let mut again = std::mem::take(&mut self.again);
            again.sort_unstable_by_key(|question| self.turns[question.worker as usize]);
            self.waiting = again.into_iter();
        }
        let batch: Vec<Question> = self.waiting.by_ref().take(BATCH).collect();
        if !batch.is_empty() {
            return (batch, 0);
        }
        let batch: Vec<Question> = self.newcomers.by_ref().take(BATCH).map(Question::of).collect();
        if batch.len() < BATCH {
            // The last of them: no need to keep the memory.
            self.newcomers = Vec::new().into_iter();
        }
        let newcomers = batch.len() as u64;
        (batch, newcomers)
    }

    /// Takes those who must ask again.
    pub fn come_again(&mut self, workers: Vec<Question>) {
        self.again.extend(workers);
    }
}

/// Those of one craft who stand side by side.
pub(in crate::matching) fn groups(crafts: &Crafts, batch: &[Question]) -> Vec<Vec<Question>> {
    let craft = |question: &Question| crafts.of_worker(question.worker);
    let alike = batch.chunk_by(|a, b| craft(a) == craft(b));
    alike.flat_map(|alike| alike.chunks(GROUP)).map(<[_]>::to_vec).collect()
}

/// All workers in the order in which they first ask: those who look at home alone, home by
/// home, who have the bonus of locals; then who lists cities; and who would move anywhere,
/// whose search is the dearest, when cutoffs stand where they will stay. Those of one craft
/// side by side, the strongest first, or the one who wins ties.
pub(in crate::matching) fn order(
    problem: &Problem,
    ranks: &Ranks,
    crafts: &Crafts,
    threads: usize,
) -> Vec<u32> {
    let turn = |w: usize| turn(problem, ranks, crafts, w as u32);
    let mut turns = map(threads, problem.workers.len(), |w| (turn(w), w as u32));
    turns.sort_unstable();
    turns.into_iter().map(|(_, w)| w).collect()
}

/// By how far she looks and from where, what she can do, weakness, and her rank in ties.
type Turn = (u32, u32, u32, u32);

/// When a worker's turn comes in the order.
fn turn(problem: &Problem, ranks: &Ranks, crafts: &Crafts, w: u32) -> Turn {
    let worker = &problem.workers[w as usize].worker;
    let levels = worker.skills.iter().map(|entry| u32::from(entry.level)).sum::<u32>();
    let near = match worker.mobility {
        Mobility::HomeOnly => u32::from(worker.home.0),
        Mobility::Listed(_) => u32::MAX - 1,
        Mobility::Any => u32::MAX,
    };
    (near, crafts.of_worker(w), !levels, ranks.worker(w))
}

//! Worker-proposing deferred acceptance: a loop over `demand`.
//!
//! The result does not depend on the order of proposals, the cost does. Three things keep
//! it low. Workers of one craft ask side by side (`queue`), so that what could take them is
//! looked up once for all of them (`lens`). Each keeps a menu of offers, and asks again
//! only when it is used up. And of those who have asked, the one with the best paid offer
//! proposes first (`table`): who loses a good job then finds the lesser ones still free, and
//! does not have to displace anybody there.

mod queue;
mod table;

use super::control::{Cancelled, Control, Phase};
use super::crafts::Crafts;
use super::crew::{Clerk, with_crew};
use super::demand::{Menu, Question, Scratch, demand_together};
use super::engine::Engine;
use super::index::Index;
use super::seats::Seats;
use queue::Queue;
pub(super) use queue::{groups, order};
use table::{Hand, Table};

/// A batch is contested if so many in a hundred of it hold nothing and must ask again.
const CONTESTED_PERCENT: usize = 80;

/// Workers ask in batches: all of a batch against the same cutoffs, on as many threads
/// as there are, and each keeps the best few offers. Then they propose, one after the
/// other; who finds an offer gone, or loses it, goes on to the next that she has kept.
/// Cutoffs only rise, so what still stands is still her best; who has none left, but may
/// have had more, asks again in a later batch, for what is worth less. Where all want the
/// same, most of a batch have none left, time and again: after such a batch they ask at
/// once, in their turn. Nothing of this depends on the number of threads.
pub(super) fn run(engine: &mut Engine, control: &Control, threads: usize) -> Result<(), Cancelled> {
    let Engine { problem, layout, seats, counters, .. } = engine;
    let index = &Index::on(problem, layout);
    let clerk = Asking { index };
    let crafts = Crafts::of(index.problem, threads);
    let order = order(index.problem, &index.ranks, &crafts, threads);
    control.begin(Phase::Proposing, order.len())?;
    let mut table = Table::of(index);
    let (done, desks) = with_crew(&clerk, seats, threads, |crew| {
        let mut queue = Queue::of(order);
        let mut contested = false;
        loop {
            let (batch, newcomers) = queue.next();
            if batch.is_empty() {
                let (mut seats, _) = crew.state();
                let values = table.values(index, &seats, threads);
                seats.set_values(values);
                return Ok(());
            }
            let hands = crew.ask(groups(&crafts, &batch)).into_iter().flatten();
            table.take_all(&batch, hands);
            let (mut seats, scratch) = crew.state();
            let at_once = contested.then_some(scratch);
            let again = table.settle(index, &mut seats, at_once, &batch);
            let waits = |question: &&Question| table.waits(&seats, question.worker);
            contested = batch.iter().filter(waits).count() * 100 > batch.len() * CONTESTED_PERCENT;
            control.advance(newcomers)?;
            queue.come_again(again);
        }
    });
    counters.proposals += table.proposals();
    *counters = desks.iter().fold(*counters, |sum, scratch| sum.plus(scratch.counters));
    done
}

/// Workers of one craft ask what they would get.
struct Asking<'e, 'p> {
    index: &'e Index<'p>,
}

impl<'e> Clerk for Asking<'e, '_> {
    type State = &'e mut Seats;
    type Desk = Scratch;
    type Question = Vec<Question>;
    type Answer = Vec<Hand>;

    const SHARE: usize = 1;

    fn desk(&self, _: &Self::State) -> Scratch {
        Scratch::of(self.index)
    }

    fn answer(
        &self,
        seats: &Self::State,
        scratch: &mut Scratch,
        group: &Vec<Question>,
    ) -> Vec<Hand> {
        demand_together(self.index, &**seats, scratch, group, Menu::ROOM, Hand::of)
    }
}

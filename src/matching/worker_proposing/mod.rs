//! Worker-proposing deferred acceptance: a loop over `demand`.
//!
//! The result does not depend on the order of proposals, the cost does. Five things keep
//! it low. Workers of the next batch ask while those of this one propose (at a `glance`).
//! Workers of one craft ask side by side (`queue`), so that what could take them is
//! looked up once for all of them (`lens`). Each keeps a menu of offers, and asks again
//! only when it is used up (`hand`). Of those who have asked, the one with the best paid
//! offer proposes first (`line`): who loses a good job then finds the lesser ones still free, and
//! does not have to displace anybody there. And who would be refused because enough better ones are
//! in line does not get into it (`claims`).

mod claims;
mod hand;
mod line;
mod queue;
mod table;

use super::control::{Cancelled, Control, Phase};
use super::crafts::Crafts;
use super::crew::{Clerk, with_crew};
use super::demand::{Question, Scratch, demand_together};
use super::engine::Engine;
use super::glance::Glance;
use super::index::Index;
use hand::{Asker, Hand};
pub(super) use queue::order;
use queue::{Queue, first_far, groups, near};
use table::Table;

/// Workers ask in batches: all of a batch against the same cutoffs, on as many threads
/// as there are, and each keeps the best few offers. Then they propose, one after the
/// other, while the next batch asks; who finds an offer gone, or loses it, goes on to the
/// next that she has kept. Cutoffs only rise, so what still stands is still her best; who
/// has none left, but may have had more, asks again in a later batch, for what is worth
/// less. Where all want the same, most of a batch have none left: then they ask again at
/// once, one after the other. Nothing of this depends on the number of threads.
pub(super) fn run(engine: &mut Engine, control: &Control, threads: usize) -> Result<(), Cancelled> {
    let Engine { problem, layout, seats, counters, .. } = engine;
    let index = &Index::on(problem, layout);
    let clerk = Asking { index };
    let crafts = Crafts::of(index.problem, threads);
    // Who looks at home alone has the bonus of locals. Who would move anywhere has the dearest
    // search: best when cutoffs stand where they will stay.
    let order = order(index, &crafts, threads, |worker, craft| [near(worker), craft]);
    let first_far = first_far(index.problem, &order);
    control.begin(Phase::Proposing, order.len())?;
    let mut table = Table::of(index, seats, threads);
    // They are reckoned when all is done.
    seats.forget_values();
    let glance = Glance::at(index, seats);
    let (done, desks) = with_crew(&clerk, glance, threads, |crew| {
        let mut queue = Queue::of(order, first_far);
        let next = |queue: &mut Queue| {
            let (batch, newcomers) = queue.next();
            (groups(&crafts, &batch), newcomers)
        };
        let (mut groups, mut newcomers) = next(&mut queue);
        let mut hands = Vec::new();
        while !groups.is_empty() || !hands.is_empty() {
            // Whatever can be is done while others ask.
            let (told, (next_groups, next_newcomers)) = crew.ask_meanwhile(groups, |scratch| {
                queue.come_again(table.settle(index, seats, scratch, hands));
                next(&mut queue)
            });
            crew.state().0.look_again(index, seats);
            control.advance(newcomers)?;
            (hands, groups, newcomers) = (told, next_groups, next_newcomers);
        }
        Ok(())
    });
    seats.watch_no_more();
    if done.is_ok() {
        seats.set_values(table.values(index, seats, threads));
    }
    counters.proposals += table.proposals();
    *counters = desks.iter().fold(*counters, |sum, scratch| sum.plus(scratch.counters));
    done
}

/// Workers of one craft ask what they would get.
struct Asking<'e, 'p> {
    index: &'e Index<'p>,
}

impl Clerk for Asking<'_, '_> {
    type State = Glance;
    type Desk = Scratch;
    type Question = Vec<Asker>;
    type Answer = Vec<(u32, Hand)>;

    const SHARE: usize = 1;

    fn desk(&self, _: &Glance) -> Scratch {
        Scratch::of(self.index)
    }

    fn answer(&self, glance: &Glance, scratch: &mut Scratch, group: &Vec<Asker>) -> Self::Answer {
        let question = |(at, asker): (usize, &Asker)| {
            self.index.expect_workers(|ahead| group.get(at + ahead).map(|asker| asker.worker));
            asker.question(self.index)
        };
        let group: Vec<Question> = group.iter().enumerate().map(question).collect();
        demand_together(self.index, glance, scratch, &group, |question, menu| {
            (question.worker, Hand::of(menu))
        })
    }
}

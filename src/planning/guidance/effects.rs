//! Who gains and who loses between two outcomes of the same people and jobs, and what the
//! outcomes are worth as they stand.

use super::{Outcome, policy};
use crate::domain::CityIx;
use crate::planning::census::Grouping;
use crate::preferences::Terms;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What one outcome comes to. Money is of the market's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Workers who seek.
    pub workers: u64,
    /// Openings that are not placed.
    pub openings: u64,
    /// Workers matched.
    pub matched: u64,
    /// Of them, in another city than home.
    pub moved: u64,
    /// What the matched are paid, a year.
    pub pay: i128,
    /// The same at the reference cost of living.
    pub real_pay: i128,
    /// What movers pay for their moves, once, subsidies taken off.
    pub move_cost: i128,
    /// What subsidies take off the cost of these moves: the budget spent, once.
    pub subsidies: i128,
}

impl Totals {
    /// Adds an outcome up.
    pub fn of(outcome: &Outcome) -> Self {
        let problem = &outcome.problem;
        let gross = policy::unguided(problem);
        let (terms, gross) = (problem.terms(), gross.terms());
        let mut totals = Self {
            workers: problem.workers.len() as u64,
            openings: problem.vacancies.iter().map(|post| u64::from(post.openings)).sum(),
            ..Self::default()
        };
        for (w, v) in outcome.matching.pairs() {
            let home = problem.workers[w as usize].worker.home;
            let vacancy = &problem.vacancies[v as usize].vacancy;
            let paid = terms.move_cost(home, vacancy.city);
            totals.matched += 1;
            totals.moved += u64::from(home != vacancy.city);
            totals.pay += i128::from(vacancy.salary);
            totals.real_pay += i128::from(terms.real_salary(vacancy.salary, vacancy.city));
            totals.move_cost += i128::from(paid);
            totals.subsidies += i128::from(gross.move_cost(home, vacancy.city) - paid);
        }
        totals
    }
}

/// What a change does to some workers. They gain if what they hold is worth more to them
/// than what they held, by their own order: money a year after the move, places in an
/// explicit ranking. Any job that a worker accepts is worth more than none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Workers; they gain, lose or are unaffected.
    pub workers: u64,
    /// Workers who gain.
    pub gain: u64,
    /// Workers who lose.
    pub lose: u64,
    /// Workers to whom it makes no difference, though the job may be another.
    pub unaffected: u64,
    /// Of those who gain: matched now, and not before.
    pub found: u64,
    /// Of those who lose: matched before, and not now.
    pub lost: u64,
    /// Workers matched both times, in another vacancy.
    pub other_job: u64,
    /// What those gain, money a year, who are matched both times and rank by value.
    pub value_gained: i128,
    /// What those lose, money a year, who are matched both times and rank by value.
    pub value_lost: i128,
    /// Places in their rankings that those rise, who are matched both times and gave one.
    pub ranks_gained: u64,
    /// Places in their rankings that those fall, who are matched both times and gave one.
    pub ranks_lost: u64,
    /// Pay now less pay before of those who are matched both times, a year.
    pub pay_change: i128,
    /// The same at the reference cost of living.
    pub real_pay_change: i128,
    /// Workers who moved before.
    pub moved_before: u64,
    /// Workers who move now.
    pub moved_after: u64,
}

impl Effects {
    fn add(&mut self, change: &Change) {
        self.workers += 1;
        self.moved_before += u64::from(change.before.is_some_and(|held| held.moved));
        self.moved_after += u64::from(change.after.is_some_and(|held| held.moved));
        let order = match (change.before, change.after) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => {
                self.found += 1;
                Ordering::Greater
            }
            (Some(_), None) => {
                self.lost += 1;
                Ordering::Less
            }
            (Some(before), Some(after)) => {
                self.add_both(&before, &after, change.ranked);
                after.value.cmp(&before.value)
            }
        };
        *match order {
            Ordering::Greater => &mut self.gain,
            Ordering::Less => &mut self.lose,
            Ordering::Equal => &mut self.unaffected,
        } += 1;
    }

    fn add_both(&mut self, before: &Held, after: &Held, ranked: bool) {
        self.other_job += u64::from(before.vacancy != after.vacancy);
        self.pay_change += i128::from(after.pay - before.pay);
        self.real_pay_change += i128::from(after.real_pay - before.real_pay);
        let better = after.value - before.value;
        if ranked {
            self.ranks_gained += better.max(0).unsigned_abs();
            self.ranks_lost += better.min(0).unsigned_abs();
        } else {
            self.value_gained += i128::from(better.max(0));
            self.value_lost += i128::from(-better.min(0));
        }
    }
}

/// A worker's match, as far as it is compared.
#[derive(Clone, Copy)]
struct Held {
    vacancy: u32,
    value: i64,
    pay: i64,
    real_pay: i64,
    moved: bool,
}

/// One worker before and after.
struct Change {
    before: Option<Held>,
    after: Option<Held>,
    ranked: bool,
}

fn held(outcome: &Outcome, terms: Terms<'_>, w: usize) -> Option<Held> {
    let v = outcome.matching.vacancy_of[w]?;
    let worker = &outcome.problem.workers[w].worker;
    let vacancy = &outcome.problem.vacancies[v as usize].vacancy;
    Some(Held {
        vacancy: v,
        value: terms.pair(worker, vacancy).value,
        pay: vacancy.salary,
        real_pay: terms.real_salary(vacancy.salary, vacancy.city),
        moved: worker.home != vacancy.city,
    })
}

/// What a change does to all workers, to those of each home city and of each group.
#[derive(Clone, Debug)]
pub struct Compared {
    /// All.
    pub all: Effects,
    /// By city index.
    pub by_city: Vec<Effects>,
    /// By group, most workers first.
    pub by_group: Vec<(String, Effects)>,
}

/// Compares two outcomes of the same workers and vacancies.
pub fn compare(before: &Outcome, after: &Outcome, grouping: Option<&Grouping>) -> Compared {
    let (old, new) = (before.problem.terms(), after.problem.terms());
    let mut all = Effects::default();
    let mut by_city = vec![Effects::default(); after.problem.geography.cities.len()];
    let mut by_group: BTreeMap<&str, Effects> = BTreeMap::new();
    for (w, seeker) in after.problem.workers.iter().enumerate() {
        let change = Change {
            before: held(before, old, w),
            after: held(after, new, w),
            ranked: seeker.worker.ranking.is_some(),
        };
        let home: CityIx = seeker.worker.home;
        all.add(&change);
        by_city[home.at()].add(&change);
        if let Some(grouping) = grouping {
            by_group.entry(grouping.group_of(&seeker.worker.labels)).or_default().add(&change);
        }
    }
    let mut by_group: Vec<_> =
        by_group.into_iter().map(|(name, effects)| (name.to_owned(), effects)).collect();
    by_group.sort_by_key(|(_, effects)| std::cmp::Reverse(effects.workers));
    Compared { all, by_city, by_group }
}

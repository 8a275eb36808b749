//! The price of guidance: what a planner is told of caps and subsidies, against what
//! follows from the definitions, and over gRPC.
//!
//! Small random markets are priced and checked by brute force. `GALE_SEED=n` replays one,
//! `GALE_MARKETS=n` says how many there are.

#![allow(clippy::duplicate_mod, reason = "both helpers below bring the draws along")]

mod common;
#[path = "guidance/rpc.rs"]
mod rpc;
mod support;

use common::{Random, random, seeds};
use gale::domain::*;
use gale::matching::{
    Binding, CapSet, Control, Cutoff, Kernels, Matching, Means, Problem, clear_with, cutoffs,
};
use gale::planning::guidance::caps::NoPrice;
use gale::planning::guidance::effects::Effects;
use gale::planning::guidance::remedy::{Ask, Lever};
use gale::planning::guidance::{Price, Question, Work, policy, price};
use std::sync::Arc;

const MARKETS: u64 = 1_500;

/// A market of a seed with computed orders mostly, so that money means something.
fn market(seed: u64) -> Problem {
    let (mut problem, _) = random::market(seed);
    let mut random = Random(seed ^ 0x6D1D);
    if !random.one_in(3) {
        for seeker in &mut problem.workers {
            Arc::make_mut(&mut seeker.worker).ranking = None;
        }
    }
    problem
}

fn side(problem: &Problem) -> Side {
    problem.settings.proposing_side
}

fn priced(problem: &Problem, ask: Option<Ask>) -> Price {
    let question = Question { grouping: None, ask };
    price(problem.clone(), &question, &Work::default()).expect("nobody cancels")
}

fn cleared(problem: &Problem) -> Matching {
    cleared_by(problem, side(problem))
}

fn cleared_by(problem: &Problem, side: Side) -> Matching {
    let means = Means { threads: 1, kernels: Kernels::widest() };
    clear_with(problem, side, &Control::default(), means).unwrap().matching
}

fn fill(problem: &Problem, matching: &Matching) -> Vec<u32> {
    let mut fill = vec![0; problem.vacancies.len()];
    matching.pairs().for_each(|(_, v)| fill[v as usize] += 1);
    fill
}

/// Goal: where there is no guidance nothing has a price: everything is 0.
#[test]
fn no_guidance_costs_nothing() {
    for seed in seeds(MARKETS) {
        let problem = policy::unguided(&market(seed));
        let price = priced(&problem, None);
        let workers = problem.workers.len() as u64;
        let moved = price.guided.moved;
        let nothing = Effects {
            workers,
            unaffected: workers,
            moved_before: moved,
            moved_after: moved,
            ..Effects::default()
        };
        assert_eq!(price.effects, nothing, "GALE_SEED={seed}");
        assert_eq!(price.unguided, price.guided, "GALE_SEED={seed}");
        assert_eq!((price.guided.subsidies, price.caps.len()), (0, 0), "GALE_SEED={seed}");
        let same = |fill: &gale::planning::guidance::empty::CityFill| {
            fill.certain && fill.unguided == fill.guided
        };
        assert!(price.fills.iter().all(same), "GALE_SEED={seed}");
    }
}

/// Goal: people are counted once, money adds up, and totals are what the matchings say.
#[test]
fn counts_and_money_add_up() {
    let (mut losers, mut subsidised) = (0, 0);
    for seed in seeds(MARKETS) {
        let problem = market(seed);
        let price = priced(&problem, None);
        let all = price.effects;
        assert_eq!(all.gain + all.lose + all.unaffected, all.workers, "GALE_SEED={seed}");
        let sum = |of: fn(&Effects) -> i128| price.by_city.iter().map(of).sum::<i128>();
        for (of, total) in [
            (sum(|e| e.workers.into()), i128::from(all.workers)),
            (sum(|e| e.gain.into()), all.gain.into()),
            (sum(|e| e.lose.into()), all.lose.into()),
            (sum(|e| e.found.into()), all.found.into()),
            (sum(|e| e.lost.into()), all.lost.into()),
            (sum(|e| e.value_gained), all.value_gained),
            (sum(|e| e.value_lost), all.value_lost),
            (sum(|e| e.pay_change), all.pay_change),
            (sum(|e| e.moved_after.into()), all.moved_after.into()),
        ] {
            assert_eq!(of, total, "GALE_SEED={seed}");
        }
        let (before, after) = (price.unguided, price.guided);
        assert_eq!(before.matched + all.found - all.lost, after.matched, "GALE_SEED={seed}");
        assert_eq!((all.moved_before, all.moved_after), (before.moved, after.moved));
        let filled = |of: fn(&gale::planning::guidance::empty::CityFill) -> u64| {
            price.fills.iter().map(of).sum::<u64>()
        };
        assert_eq!(filled(|f| f.openings), after.openings, "GALE_SEED={seed}");
        assert_eq!(filled(|f| f.unguided), before.matched, "GALE_SEED={seed}");
        assert_eq!(filled(|f| f.guided), after.matched, "GALE_SEED={seed}");
        check_money(&problem, &price, seed);
        losers += u64::from(all.lose > 0);
        subsidised += u64::from(after.subsidies > 0);
    }
    println!("{losers} markets with losers, {subsidised} with subsidies spent");
    assert!(std::env::var("GALE_SEED").is_ok() || losers > 100 && subsidised > 100);
}

/// Pay, moves and subsidies added up from the guided matching, pair by pair.
fn check_money(problem: &Problem, price: &Price, seed: u64) {
    let (mut pay, mut move_cost, mut subsidies) = (0, 0, 0);
    let geography = &problem.geography;
    for (w, v) in cleared(problem).pairs() {
        let (home, vacancy) =
            (problem.workers[w as usize].worker.home, &problem.vacancies[v as usize].vacancy);
        pay += i128::from(vacancy.salary);
        if home == vacancy.city {
            continue;
        }
        let pair = geography.move_cost(home, vacancy.city).copied().unwrap_or_default();
        let settings = &problem.settings;
        let km = i64::from(geography.km(home, vacancy.city));
        let formula = settings.fixed_move_cost + settings.move_cost_per_km * km;
        let gross = pair.cost.unwrap_or(formula);
        let taken_off = (pair.subsidy + geography.city(vacancy.city).move_subsidy).min(gross);
        move_cost += i128::from(gross - taken_off);
        subsidies += i128::from(taken_off);
    }
    let guided = price.guided;
    assert_eq!((guided.pay, guided.move_cost, guided.subsidies), (pay, move_cost, subsidies));
    assert!(guided.real_pay >= 0, "GALE_SEED={seed}");
}

/// Goal: a worker gains or loses exactly if the vacancy held is worth more or less to her.
/// Method: all workers one by one.
#[test]
fn who_gains_and_who_loses_is_as_defined() {
    for seed in seeds(MARKETS) {
        let problem = market(seed);
        let alone = policy::unguided(&problem);
        let (before, after) = (cleared(&alone), cleared(&problem));
        let mut expected = [0_u64; 3];
        for w in 0..problem.workers.len() {
            let value = |p: &Problem, m: &Matching| {
                m.vacancy_of[w].map_or(i64::MIN, |v| p.pair(w, v as usize).value)
            };
            let (was, is) = (value(&alone, &before), value(&problem, &after));
            expected[(is.cmp(&was) as i8 + 1) as usize] += 1;
        }
        let effects = priced(&problem, None).effects;
        assert_eq!([effects.lose, effects.unaffected, effects.gain], expected, "GALE_SEED={seed}");
    }
}

/// Goal: whom a cap keeps out, who of them is nearest, and what pay would let her in.
/// Method: every worker and every vacancy by the definition; every smaller rise fails.
#[test]
fn a_cap_costs_what_brute_force_says() {
    let (mut kept_out, mut bought, mut reasons) = (0, 0, [0_u64; 4]);
    for seed in seeds(4 * MARKETS) {
        let mut problem = market(seed);
        if problem.sets.is_empty() {
            continue;
        }
        // In every other market pay decides: all fit alike, and most ask for more than is paid.
        if seed % 2 == 0 {
            let settings = Arc::make_mut(&mut problem.settings);
            settings.shortfall_weight_bp = settings.shortfall_weight_bp.max(5_000);
            settings.max_shortfall_bp = 9_000;
            for post in &mut problem.vacancies {
                let vacancy = Arc::make_mut(&mut post.vacancy);
                (vacancy.ranking, vacancy.requirements) = (None, Box::default());
            }
            let mut random = Random(seed ^ 0x9A1E);
            for seeker in &mut problem.workers {
                let worker = Arc::make_mut(&mut seeker.worker);
                worker.expected_salary += random.within(10, 50) * 1_000;
            }
        }
        let matching = cleared(&problem);
        let bars = cutoffs(&problem, &matching);
        let price = priced(&problem, None);
        for (set, cost) in price.caps.iter().enumerate() {
            let refused = refused(&problem, &matching, &bars, set as u32);
            let mut workers: Vec<usize> = refused.iter().map(|(_, w, _)| *w).collect();
            workers.dedup();
            assert_eq!(cost.refused, workers.len() as u64, "set {set}: GALE_SEED={seed}");
            let held = matching
                .pairs()
                .filter(|(_, v)| problem.sets_around(*v as usize).any(|around| around == set));
            assert_eq!(cost.held, held.count() as u64, "set {set}: GALE_SEED={seed}");
            let Some(best) = cost.best else {
                assert!(refused.is_empty() && cost.pay_rise == Err(NoPrice::Slack));
                continue;
            };
            kept_out += 1;
            let least = refused.iter().map(|(gap, ..)| *gap).min();
            let gap = best.cutoff.map_or(i64::MAX, |cutoff| cutoff - best.score);
            assert_eq!(Some(gap), least, "set {set}: GALE_SEED={seed}");
            assert!(gap >= 0, "she would have got in: GALE_SEED={seed}");
            let gets_in = |rise: i64| gets_in(&problem, &bars, best.worker, best.vacancy, rise);
            match cost.pay_rise {
                Ok(rise) => {
                    bought += 1;
                    assert!(rise > 0 && gets_in(rise), "{rise}: GALE_SEED={seed}");
                    assert!(!(0..rise).step_by(1 + rise as usize / 300).any(gets_in));
                    assert!(!gets_in(rise - 1), "{rise} is not the least: GALE_SEED={seed}");
                }
                Err(reason) => {
                    reasons[reason as usize] += 1;
                    let most = [1, 1_000, 1_000_000, 1_000_000_000];
                    let ranked = problem.vacancies[best.vacancy as usize].vacancy.ranking.is_some();
                    assert!(!most.into_iter().any(gets_in), "{reason:?}: GALE_SEED={seed}");
                    assert_eq!(reason == NoPrice::Closed, best.cutoff.is_none());
                    assert!(reason != NoPrice::Ranked || ranked);
                }
            }
        }
    }
    println!("{kept_out} caps keep somebody out, {bought} have a price in pay, not: {reasons:?}");
    assert!(
        std::env::var("GALE_SEED").is_ok() || bought > 50 && reasons[1..].iter().all(|n| *n > 5)
    );
}

/// (gap, worker, vacancy) of all who would rather be in a vacancy that a set bars.
fn refused(
    problem: &Problem,
    matching: &Matching,
    bars: &[Cutoff],
    set: u32,
) -> Vec<(i64, usize, usize)> {
    let mut found = Vec::new();
    for w in 0..problem.workers.len() {
        let liking = |v: usize| {
            let id = *problem.vacancies[v].vacancy.id.bytes();
            (problem.pair(w, v).value, std::cmp::Reverse((problem.lottery.draw(&id), id)))
        };
        let held = matching.vacancy_of[w].map(|v| liking(v as usize));
        for (v, bar) in bars.iter().enumerate() {
            let inside = bar.binding() == Some(Binding::Set(set));
            let pair = problem.pair(w, v);
            if inside && pair.is_acceptable() && held.is_none_or(|held| liking(v) > held) {
                let gap = match *bar {
                    Cutoff::Key { score, .. } => score - pair.score,
                    _ => i64::MAX,
                };
                found.push((gap, w, v));
            }
        }
    }
    found
}

/// Whether the worker's key at the vacancy would be above the cutoff at so much more pay.
fn gets_in(problem: &Problem, bars: &[Cutoff], w: u32, v: u32, rise: i64) -> bool {
    let Cutoff::Key { score: cutoff, worker: holder, .. } = bars[v as usize] else { return false };
    let mut vacancy = (*problem.vacancies[v as usize].vacancy).clone();
    vacancy.salary += rise;
    let score = problem.terms().pair(&problem.workers[w as usize].worker, &vacancy).score;
    let draw = |w: u32| {
        let id = *problem.workers[w as usize].worker.id.bytes();
        (problem.lottery.draw(&id), id)
    };
    (score, std::cmp::Reverse(draw(w))) > (cutoff, std::cmp::Reverse(draw(holder)))
}

/// Goal: what is called certain is so at both ends of the stable matchings.
#[test]
fn certain_fills_hold_at_both_ends() {
    let (mut certain_under_caps, mut several) = (0, 0);
    for seed in seeds(2 * MARKETS) {
        let mut problem = market(seed);
        Arc::make_mut(&mut problem.settings).cap_order = CapOrder::Score;
        let price = priced(&problem, None);
        let other = cleared_by(&problem, Side::Vacancy);
        several += u64::from(other != cleared(&problem));
        let mut filled = vec![0; price.fills.len()];
        for (_, v) in other.pairs() {
            filled[problem.vacancies[v as usize].vacancy.city.at()] += 1;
        }
        for (city, fill) in price.fills.iter().enumerate().filter(|(_, fill)| fill.certain) {
            assert_eq!(fill.guided, filled[city], "city {city}: GALE_SEED={seed}");
            certain_under_caps += u64::from(problem.set_of_city[city].is_some());
        }
    }
    println!("{several} markets with several stable matchings, {certain_under_caps} capped cities");
    assert!(std::env::var("GALE_SEED").is_ok() || several > 100 && certain_under_caps > 100);
}

/// Openings of the lacking vacancies of a city that a changed market fills.
fn filled(now: &Problem, before: &[u32], changed: &Problem, city: CityIx) -> u64 {
    let after = fill(changed, &cleared(changed));
    let lacking = |v: &usize| {
        let post = &now.vacancies[*v];
        post.vacancy.city == city && before[*v] < post.openings
    };
    let more = |v: usize| u64::from(after[v].saturating_sub(before[v]));
    (0..before.len()).filter(lacking).map(more).sum()
}

/// Goal: a remedy that is found is enough, one that is called least is the least, and where
/// none is found the most that was tried is not enough. Method: pull the lever by hand.
#[test]
fn remedies_do_what_they_say() {
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    for seed in seeds(MARKETS) {
        let problem = market(seed);
        let mut random = Random(seed ^ 0x4E3D);
        let before = fill(&problem, &cleared(&problem));
        let lacks = |city: &CityIx| {
            let here = |v: &usize| problem.vacancies[*v].vacancy.city == *city;
            (0..before.len()).filter(here).any(|v| before[v] < problem.vacancies[v].openings)
        };
        let cities: Vec<CityIx> =
            (0..problem.set_of_city.len() as u16).map(CityIx).filter(lacks).collect();
        if cities.is_empty() {
            continue;
        }
        let city = random.of(&cities);
        let price = priced(&problem, Some(Ask { city, fill: 1 }));
        assert_eq!(price.remedies.len(), 3, "GALE_SEED={seed}");
        assert!(price.clearings <= 70, "GALE_SEED={seed}");
        for remedy in &price.remedies {
            let enough = |amount: i64| {
                let changed = pulled(&problem, &before, city, remedy.lever, amount);
                filled(&problem, &before, &changed, city) >= 1
            };
            let name = format!(
                "{:?} least {} found {}",
                remedy.lever,
                remedy.least,
                remedy.found.is_some()
            );
            *seen.entry(name).or_default() += 1;
            let Some(found) = remedy.found else {
                assert!(remedy.most == 0 || !enough(remedy.most), "{remedy:?}: GALE_SEED={seed}");
                continue;
            };
            assert!(found.filled >= 1 && enough(found.amount), "{remedy:?}: GALE_SEED={seed}");
            if remedy.least {
                let step = 1 + found.amount as usize / 40;
                let less = (1..found.amount).step_by(step).chain([found.amount - 1]);
                let less = less.filter(|amount| *amount > 0);
                assert!(!less.into_iter().any(enough), "{remedy:?}: GALE_SEED={seed}");
                if remedy.lever == Lever::CapsElsewhere {
                    let mut more = found.amount..=100;
                    assert!(more.all(enough), "{remedy:?} and more: GALE_SEED={seed}");
                }
            }
        }
    }
    println!("{seen:#?}");
    let often = |name: &str| seen.get(name).is_some_and(|count| *count >= 10);
    assert!(
        std::env::var("GALE_SEED").is_ok()
            || [
                "Pay least true",
                "Pay least false",
                "Subsidy least false",
                "CapsElsewhere least true"
            ]
            .iter()
            .all(|name| often(&format!("{name} found true")))
    );
}

/// The market with a lever pulled, said anew.
fn pulled(problem: &Problem, before: &[u32], city: CityIx, lever: Lever, amount: i64) -> Problem {
    let mut changed = problem.clone();
    match lever {
        Lever::Pay => {
            for (v, post) in changed.vacancies.iter_mut().enumerate() {
                if post.vacancy.city == city && before[v] < post.openings {
                    Arc::make_mut(&mut post.vacancy).salary += amount;
                }
            }
        }
        Lever::Subsidy => {
            Arc::make_mut(&mut changed.geography).cities[city.at()].move_subsidy += amount;
        }
        Lever::CapsElsewhere => {
            // One more set inside each other city, at the end: the order of sets is about
            // which stands in which, so all others move up.
            let cities = changed.set_of_city.len();
            for set in &mut changed.sets {
                set.parent = set.parent.map(|parent| parent + cities as u32);
            }
            let mut sets = Vec::new();
            for at in 0..cities {
                let filled: u32 = (0..before.len())
                    .filter(|v| problem.vacancies[*v].vacancy.city.at() == at)
                    .map(|v| before[v])
                    .sum();
                let left = u64::from(filled) * (100 - amount as u64) / 100;
                let parent = changed.set_of_city[at].map(|set| set + cities as u32);
                let capacity = if at == city.at() { u64::MAX } else { left };
                sets.push(CapSet { parent, capacity });
                changed.set_of_city[at] = Some(at as u32);
            }
            sets.append(&mut changed.sets);
            changed.sets = sets;
        }
    }
    changed
}

/// Goal: the search is as long as it says at the very most, with the highest pay there is.
#[test]
fn the_search_is_bounded() {
    let mut geography = Geography::default();
    common::add_city(&mut geography, 0.0, 0.0, 1000);
    common::add_city(&mut geography, 0.0, 5.0, 1000);
    let settings = Settings { fixed_move_cost: 1_000_000, ..Settings::default() };
    let salary = gale::domain::limits::MONEY_MAX / 2;
    // The worker asks for one more than the vacancy could ever pay.
    let expected_salary = 2 * salary;
    let worker = Worker {
        home: CityIx(1),
        expected_salary,
        reservation_salary: expected_salary,
        ..common::worker(1)
    };
    let vacancy = Vacancy { salary, ..common::vacancy(1) };
    let mut problem = common::problem(settings, geography, vec![worker], vec![vacancy]);
    let ask = Some(Ask { city: CityIx(0), fill: 1 });
    let hopeless = priced(&problem, ask);
    assert!(hopeless.remedies.iter().all(|remedy| remedy.found.is_none()), "{hopeless:?}");
    Arc::make_mut(&mut problem.settings).fixed_move_cost = 0;
    let price = priced(&problem, ask);
    let pay = price.remedies[0];
    assert!(pay.least && pay.found.is_some_and(|found| found.amount == salary), "{pay:?}");
    assert!(pay.clearings > 30 && price.clearings <= 70, "{} clearings", price.clearings);
}

/// Goal: a whole report by hand. Method: two workers at home in A, one vacancy in B that
/// pays better and one at home; B may take nobody. The one who would have gone stays, at
/// 10,000 less, and pushes the other out.
#[test]
fn a_report_by_hand() {
    let mut geography = Geography::default();
    common::add_city(&mut geography, 0.0, 0.0, 1000);
    common::add_city(&mut geography, 0.0, 1.0, 1000);
    let settings = Settings { fixed_move_cost: 6_000, horizon_years: 3, ..Settings::default() };
    let (a, b) = (CityIx(0), CityIx(1));
    let worker = |number, cost_percent| Worker {
        cost_percent,
        reservation_salary: 40_000,
        ..common::worker(number)
    };
    let ranking = Some([1, 2].map(common::worker_id).into());
    let jobs = vec![
        Vacancy { city: a, salary: 60_000, ranking, ..common::vacancy(1) },
        Vacancy { city: b, salary: 72_000, ..common::vacancy(2) },
    ];
    // The second worker would not go for any money.
    let stays = Worker { mobility: Mobility::HomeOnly, ..worker(2, 100) };
    let mut problem = common::problem(settings, geography, vec![worker(1, 100), stays], jobs);
    problem.sets = vec![CapSet { parent: None, capacity: 0 }];
    problem.set_of_city[b.at()] = Some(0);
    let price = priced(&problem, Some(Ask { city: b, fill: 1 }));
    assert_eq!((price.unguided.matched, price.guided.matched), (2, 1));
    assert_eq!((price.unguided.move_cost, price.guided.move_cost), (6_000, 0));
    let all = price.effects;
    assert_eq!((all.lose, all.lost, all.gain, all.other_job), (2, 1, 0, 1));
    assert_eq!((all.value_lost, all.pay_change), (10_000, -12_000));
    let cap = &price.caps[0];
    assert_eq!((cap.refused, cap.cutoff, cap.pay_rise), (1, None, Err(NoPrice::Closed)));
    let fills = &price.fills;
    assert_eq!((fills[b.at()].unguided, fills[b.at()].guided), (1, 0));
    assert!(fills.iter().all(|fill| fill.certain));
    assert!(fills[b.at()].sentence("B").contains("With guidance 1 stay empty"));
    assert!(price.remedies.iter().all(|remedy| remedy.found.is_none()), "the cap is in the way");
}

//! What follows when one thing of a market changes: the comparative statics that are
//! theorems of deferred acceptance, on thousands of small random markets.
//!
//! A planner reasons with these ("one more employer hurts no worker"), so they are tested
//! like promises. Each test counts the cases in which something did change, and fails if
//! they are too few for it to have meant anything. `GALE_SEED=n` replays one market,
//! `GALE_MARKETS=n` says how many there are.
//!
//! Some statements sound alike and are false; they are asserted nowhere. A subsidy for
//! moves into a city can lower the inflow (`a_subsidy_can_lower_the_inflow` is the smallest
//! case), and a higher cost of moving can raise migration. With caps a new vacancy can hurt
//! a worker, and so can raising one of several nested caps.

mod common;

use common::{Random, random, seeds};
use gale::domain::limits::MONEY_MAX;
use gale::domain::*;
use gale::matching::{CapSet, Control, Kernels, Matching, Means, Problem, clear_with};
use std::cmp::Reverse;
use std::sync::Arc;

/// Markets of each theorem.
const MARKETS: u64 = 5_000;

/// Of the markets, how many in a hundred must have been a case in point.
fn check_enough(what: &str, cases: u64, percent: u64) {
    let markets = seeds(MARKETS);
    let count = markets.end - markets.start;
    println!("{what}: {cases} cases in point of {count} markets");
    assert!(count < 100 || cases * 100 >= count * percent, "{what}: only {cases} of {count}");
}

fn cleared(problem: &Problem) -> Matching {
    cleared_by(problem, Side::Worker)
}

fn cleared_by(problem: &Problem, side: Side) -> Matching {
    let means = Means { threads: 1, kernels: Kernels::widest() };
    clear_with(problem, side, &Control::default(), means).expect("nobody cancels").matching
}

/// An uncapped market of a seed.
fn uncapped(seed: u64) -> Problem {
    let (mut problem, _) = random::market(seed);
    lift_caps(&mut problem);
    problem
}

fn lift_caps(problem: &mut Problem) {
    problem.sets.clear();
    problem.set_of_city.fill(None);
    // The order that full sets keep: there are none, and vacancies could not propose.
    Arc::make_mut(&mut problem.settings).cap_order = CapOrder::Score;
}

fn either_order(random: &mut Random) -> CapOrder {
    if random.one_in(2) { CapOrder::Score } else { CapOrder::Targets }
}

fn worker_mut(problem: &mut Problem, w: usize) -> &mut Worker {
    Arc::make_mut(&mut problem.workers[w].worker)
}

fn vacancy_mut(problem: &mut Problem, v: usize) -> &mut Vacancy {
    Arc::make_mut(&mut problem.vacancies[v].vacancy)
}

/// Openings that a matching fills, by vacancy.
fn fill(problem: &Problem, matching: &Matching) -> Vec<u64> {
    let mut fill = vec![0; problem.vacancies.len()];
    for (_, v) in matching.pairs() {
        fill[v as usize] += 1;
    }
    fill
}

fn moved(problem: &Problem, matching: &Matching) -> usize {
    let home = |w: u32| problem.workers[w as usize].worker.home;
    let city = |v: u32| problem.vacancies[v as usize].vacancy.city;
    matching.pairs().filter(|(w, v)| home(*w) != city(*v)).count()
}

/// How good a vacancy is to worker `w` of `problem`: greater is better, nothing is worse
/// than what she accepts and better than what she does not.
type Liking = (i8, i64, Reverse<(u64, [u8; 16])>);

fn liking(problem: &Problem, w: usize, held: Option<u32>) -> Liking {
    let Some(v) = held else { return (0, 0, Reverse((0, [0; 16]))) };
    let pair = problem.pair(w, v as usize);
    let id = *problem.vacancies[v as usize].vacancy.id.bytes();
    let class = if pair.worker_accepts { 1 } else { -1 };
    (class, pair.value, Reverse((problem.lottery.draw(&id), id)))
}

/// Goal: one more vacancy, or one more opening, leaves no worker worse off and matches
/// no fewer (Crawford 1991; Kelso and Crawford 1982). Method: take one away at random.
#[test]
fn one_more_vacancy_hurts_no_worker() {
    let mut better = 0;
    for seed in seeds(MARKETS) {
        let with = uncapped(seed);
        let mut random = Random(seed ^ 0x0A11);
        let v = random.below(with.vacancies.len() as u64) as usize;
        let mut without = with.clone();
        without.vacancies[v].openings = match random.one_in(2) {
            true => 0,
            false => without.vacancies[v].openings.saturating_sub(1),
        };
        let (before, after) = (cleared(&without), cleared(&with));
        assert!(before.pairs().count() <= after.pairs().count(), "matched: GALE_SEED={seed}");
        let mut improved = false;
        for w in 0..with.workers.len() {
            let [old, new] = [&before, &after].map(|m| liking(&with, w, m.vacancy_of[w]));
            assert!(old <= new, "worker {w} is worse off: GALE_SEED={seed}");
            improved |= old < new;
        }
        better += u64::from(improved);
    }
    check_enough("one more vacancy: somebody is better off", better, 25);
}

/// Goal: a vacancy without openings is the same as none, so that the test above is about
/// new vacancies too.
#[test]
fn a_vacancy_without_openings_is_none() {
    for seed in seeds(1_000) {
        let mut closed = uncapped(seed);
        let v = Random(seed ^ 0x0C10).below(closed.vacancies.len() as u64) as usize;
        closed.vacancies[v].openings = 0;
        let mut gone = closed.clone();
        gone.vacancies.remove(v);
        let ids = |problem: &Problem| -> Vec<_> {
            let held = cleared(problem);
            let id = |v: u32| problem.vacancies[v as usize].vacancy.id;
            held.vacancy_of.iter().map(|held| held.map(id)).collect()
        };
        assert_eq!(ids(&closed), ids(&gone), "GALE_SEED={seed}");
    }
}

/// Goal: one more worker leaves no worker who was there better off.
#[test]
fn one_more_worker_helps_no_worker() {
    let mut worse = 0;
    for seed in seeds(MARKETS) {
        let with = uncapped(seed);
        let mut without = with.clone();
        without.workers.pop();
        let (before, after) = (cleared(&without), cleared(&with));
        let mut harmed = false;
        for w in 0..without.workers.len() {
            let [old, new] = [&before, &after].map(|m| liking(&with, w, m.vacancy_of[w]));
            assert!(old >= new, "worker {w} is better off: GALE_SEED={seed}");
            harmed |= old > new;
        }
        worse += u64::from(harmed);
    }
    check_enough("one more worker: somebody is worse off", worse, 25);
}

/// Goal: who alone gets a subsidy for moves to a city is not worse off by it, in her own
/// order with the subsidy, nor in money. Method: somebody who is alone in her home city.
#[test]
fn a_personal_subsidy_does_not_hurt_the_recipient() {
    let mut changed = 0;
    for seed in seeds(MARKETS) {
        let mut problem = uncapped(seed);
        let mut random = Random(seed ^ 0x5B51);
        let Some((w, city)) = alone(&mut random, &mut problem) else { continue };
        let mut subsidised = problem.clone();
        let home = problem.workers[w].worker.home;
        let geography = Arc::make_mut(&mut subsidised.geography);
        let mut cost = geography.move_cost(home, city).copied().unwrap_or_default();
        cost.subsidy += random.within(1, 40) * 1_000;
        geography.put_move_cost(home, city, Some(cost));
        let [old, new] = [&problem, &subsidised].map(|p| cleared(p).vacancy_of[w]);
        let [was, is] = [old, new].map(|held| liking(&subsidised, w, held));
        assert!(was <= is, "worker {w}: {old:?} to {new:?}: GALE_SEED={seed}");
        if let (Some(old), Some(new)) = (old, new) {
            let value = |problem: &Problem, v: u32| problem.pair(w, v as usize).value;
            let (was, is) = (value(&problem, old), value(&subsidised, new));
            assert!(was <= is, "worker {w} loses {was} to {is}: GALE_SEED={seed}");
        }
        changed += u64::from(old != new);
    }
    check_enough("personal subsidy: another job", changed, 4);
}

/// A worker whose own order is computed, and another city than her home; those who lived
/// there too live elsewhere now. `None` where there is one city.
fn alone(random: &mut Random, problem: &mut Problem) -> Option<(usize, CityIx)> {
    let cities = problem.geography.cities.len() as u64;
    if cities < 2 {
        return None;
    }
    let other = |random: &mut Random, home: CityIx| {
        let city = random.below(cities - 1) as u16;
        CityIx(city + u16::from(city >= home.0))
    };
    let w = random.below(problem.workers.len() as u64) as usize;
    let home = problem.workers[w].worker.home;
    for other_worker in (0..problem.workers.len()).filter(|other| *other != w) {
        if problem.workers[other_worker].worker.home == home {
            worker_mut(problem, other_worker).home = other(random, home);
        }
    }
    let worker = worker_mut(problem, w);
    worker.ranking = None;
    worker.cost_percent = worker.cost_percent.max(100);
    worker.mobility = Mobility::Any;
    Some((w, other(random, home)))
}

/// Goal: where no move can be afforded nobody moves, caps or not. It takes computed orders
/// and people to whom cost is something; others may move still.
#[test]
fn at_infinite_cost_nobody_moves() {
    let mut would = 0;
    for seed in seeds(MARKETS) {
        let (mut problem, _) = random::market(seed);
        for w in 0..problem.workers.len() {
            let worker = worker_mut(&mut problem, w);
            worker.ranking = None;
            worker.cost_percent = worker.cost_percent.max(1);
        }
        would += u64::from(moved(&problem, &cleared(&problem)) > 0);
        let geography = Arc::make_mut(&mut problem.geography);
        for (pair, _) in geography.move_costs_sorted() {
            geography.put_move_cost(pair.0, pair.1, None);
        }
        geography.cities.iter_mut().for_each(|city| city.move_subsidy = 0);
        Arc::make_mut(&mut problem.settings).fixed_move_cost = MONEY_MAX;
        assert_eq!(moved(&problem, &cleared(&problem)), 0, "GALE_SEED={seed}");
    }
    check_enough("infinite cost: somebody would have moved", would, 50);
}

/// What a worker may misreport without being found out.
#[derive(Debug)]
enum Lie {
    Ranking(Vec<VacancyId>),
    Reservation(i64),
    Mobility(Vec<CityIx>),
}

impl Lie {
    fn draw(random: &mut Random, problem: &Problem, w: usize) -> Self {
        match random.below(4) {
            0 => Self::Reservation(random.within(1, problem.workers[w].worker.expected_salary)),
            1 => {
                let cities = 0..problem.geography.cities.len() as u16;
                Self::Mobility(cities.filter(|_| random.one_in(2)).map(CityIx).collect())
            }
            _ => {
                let mut ids: Vec<_> = problem.vacancies.iter().map(|p| p.vacancy.id).collect();
                random.shuffle(&mut ids);
                ids.truncate(random.within(1, ids.len() as i64) as usize);
                Self::Ranking(ids)
            }
        }
    }

    fn tell(&self, worker: &mut Worker) {
        match self {
            Self::Ranking(ids) => worker.ranking = Some(ids.clone().into()),
            Self::Reservation(salary) => worker.reservation_salary = *salary,
            Self::Mobility(cities) => worker.mobility = Mobility::Listed(cities.clone().into()),
        }
    }
}

/// Goal: no worker gains by misreporting her ranking, reservation salary or mobility set,
/// caps of either order or not (Dubins and Freedman 1981; Roth 1982; Kamada and Kojima
/// 2018). Method: one worker of each market tells eight lies. Where vacancies propose, lies
/// do pay: the same lies are told there, to see that they are good ones.
#[test]
fn misreports_never_gain() {
    let (mut lies, mut changed, mut losses, mut gains_elsewhere) = (0_u64, 0, 0, 0);
    let (mut uncapped_markets, mut capped_markets) = (0, 0);
    for seed in seeds(2 * MARKETS) {
        let (truth, features) = random::market(seed);
        *if features.capped { &mut capped_markets } else { &mut uncapped_markets } += 1;
        let mut random = Random(seed ^ 0x11E5);
        let w = random.below(truth.workers.len() as u64) as usize;
        let gets =
            |problem: &Problem, side| liking(&truth, w, cleared_by(problem, side).vacancy_of[w]);
        let honest = gets(&truth, Side::Worker);
        let honest_elsewhere = (!truth.by_targets()).then(|| gets(&truth, Side::Vacancy));
        for _ in 0..8 {
            let lie = Lie::draw(&mut random, &truth, w);
            let mut told = truth.clone();
            lie.tell(worker_mut(&mut told, w));
            let found = gets(&told, Side::Worker);
            assert!(found <= honest, "worker {w} gains by {lie:?}: GALE_SEED={seed}");
            lies += 1;
            changed += u64::from(found != honest);
            losses += u64::from(found < honest);
            if let Some(honest) = honest_elsewhere {
                gains_elsewhere += u64::from(gets(&told, Side::Vacancy) > honest);
            }
        }
    }
    println!(
        "misreports: {lies} lies in {uncapped_markets} uncapped and {capped_markets} capped \
         markets, {changed} changed what the liar got, {losses} for the worse; where vacancies \
         propose {gains_elsewhere} paid"
    );
    assert!(lies < 1_000 || uncapped_markets >= lies / 16 && gains_elsewhere * 1_000 >= lies);
    check_enough("misreports: another job", changed, 50);
}

/// Goal: a job that pays more fills no fewer of its openings, whatever that does to the
/// scores of those who want it. Method: raise one salary.
#[test]
fn higher_pay_of_a_job_never_lowers_its_fill() {
    let (mut filled_more, mut other_workers) = (0, 0);
    for seed in seeds(MARKETS) {
        let problem = uncapped(seed);
        let mut random = Random(seed ^ 0x9A1D);
        let v = random.below(problem.vacancies.len() as u64) as usize;
        let mut raised = problem.clone();
        vacancy_mut(&mut raised, v).salary += random.within(5, 60) * 1_000;
        let (before, after) = (cleared(&problem), cleared(&raised));
        let [was, is] = [fill(&problem, &before)[v], fill(&raised, &after)[v]];
        assert!(was <= is, "vacancy {v} falls from {was} to {is}: GALE_SEED={seed}");
        filled_more += u64::from(was < is);
        other_workers += u64::from(before != after);
    }
    check_enough("higher pay: another matching", other_workers, 15);
    check_enough("higher pay: more openings filled", filled_more, 3);
}

/// Goal: a cap that is not exceeded changes nothing, in either cap order. Method: cap every
/// city at what it takes without, or a little more; one less must change something.
#[test]
fn a_slack_cap_changes_nothing() {
    let mut binding = 0;
    for seed in seeds(MARKETS) {
        let free = uncapped(seed);
        let without = cleared(&free);
        let mut taken = vec![0_u64; free.geography.cities.len()];
        for (_, v) in without.pairs() {
            taken[free.vacancies[v as usize].vacancy.city.at()] += 1;
        }
        let mut random = Random(seed ^ 0x51AC);
        let order = either_order(&mut random);
        let capped = |slack: &mut dyn FnMut(u64) -> u64| {
            let mut problem = free.clone();
            Arc::make_mut(&mut problem.settings).cap_order = order;
            let set = |taken: &u64| CapSet { parent: None, capacity: slack(*taken) };
            problem.sets = taken.iter().map(set).collect();
            problem.set_of_city = (0..taken.len() as u32).map(Some).collect();
            cleared(&problem)
        };
        let slack = capped(&mut |taken| taken + random.below(3));
        assert_eq!(slack, without, "GALE_SEED={seed}");
        binding += u64::from(capped(&mut |taken| taken.saturating_sub(1)) != without);
    }
    check_enough("slack cap: one less would have changed something", binding, 80);
}

/// Goal: raising a cap leaves no worker worse off, where caps are not nested, in either
/// cap order. Method: cap every city, raise one.
#[test]
fn raising_a_cap_that_is_not_nested_hurts_no_worker() {
    let mut better = 0;
    for seed in seeds(MARKETS) {
        let mut low = uncapped(seed);
        let mut random = Random(seed ^ 0x4A15);
        Arc::make_mut(&mut low.settings).cap_order = either_order(&mut random);
        let cities = low.geography.cities.len();
        let set = |_| CapSet { parent: None, capacity: random.below(3) };
        low.sets = (0..cities).map(set).collect();
        low.set_of_city = (0..cities as u32).map(Some).collect();
        let mut high = low.clone();
        high.sets[random.below(cities as u64) as usize].capacity += 1;
        let (before, after) = (cleared(&low), cleared(&high));
        let mut improved = false;
        for w in 0..low.workers.len() {
            let [old, new] = [&before, &after].map(|m| liking(&low, w, m.vacancy_of[w]));
            assert!(old <= new, "worker {w} is worse off: GALE_SEED={seed}");
            improved |= old < new;
        }
        better += u64::from(improved);
    }
    check_enough("raised cap: somebody is better off", better, 25);
}

/// Goal: where other cities take fewer, an uncapped city fills no fewer openings of any of
/// its vacancies, as long as no cap is about several cities. Method: cap all others, twice.
#[test]
fn less_intake_elsewhere_never_lowers_a_fill() {
    let (mut filled_more, mut markets) = (0, 0);
    for seed in seeds(MARKETS) {
        let mut high = random::crowded(seed);
        lift_caps(&mut high);
        let mut random = Random(seed ^ 0x1E55);
        Arc::make_mut(&mut high.settings).cap_order = either_order(&mut random);
        let cities = high.geography.cities.len();
        let city = random.below(cities as u64) as usize;
        let set = |_| CapSet { parent: None, capacity: random.below(12) };
        high.sets = (0..cities).map(set).collect();
        high.set_of_city = (0..cities).map(|c| (c != city).then_some(c as u32)).collect();
        let mut low = high.clone();
        let lower = |set: &mut CapSet| set.capacity -= random.below(set.capacity + 1);
        low.sets.iter_mut().for_each(lower);
        let [was, is] = [&high, &low].map(|problem| fill(problem, &cleared(problem)));
        markets += u64::from(was != is);
        for (v, post) in high.vacancies.iter().enumerate() {
            if post.vacancy.city.at() == city {
                assert!(was[v] <= is[v], "vacancy {v} of city {city}: GALE_SEED={seed}");
                filled_more += u64::from(was[v] < is[v]);
            }
        }
    }
    check_enough("less intake elsewhere: another fill somewhere", markets, 50);
    check_enough("less intake elsewhere: vacancies that fill more", filled_more, 20);
}

/// Goal: the rural hospital theorem (Roth 1986). Both ends of the stable matchings match
/// the same workers and fill the same openings; a vacancy with an opening left has the same
/// workers at both. And every worker likes hers at least as much as the other.
#[test]
fn the_same_openings_stay_empty_at_both_ends() {
    let mut several = 0;
    for seed in seeds(MARKETS) {
        let problem = uncapped(seed);
        let best = cleared_by(&problem, Side::Worker);
        let worst = cleared_by(&problem, Side::Vacancy);
        let matched = |m: &Matching| m.vacancy_of.iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!(matched(&best), matched(&worst), "matched workers: GALE_SEED={seed}");
        let filled = fill(&problem, &best);
        assert_eq!(filled, fill(&problem, &worst), "fill: GALE_SEED={seed}");
        for w in 0..problem.workers.len() {
            let held = [best.vacancy_of[w], worst.vacancy_of[w]];
            let [hers, other] = held.map(|held| liking(&problem, w, held));
            assert!(hers >= other, "worker {w}: GALE_SEED={seed}");
            let left =
                |v: u32| filled[v as usize] < u64::from(problem.vacancies[v as usize].openings);
            let same = !held.iter().flatten().any(|v| left(*v)) || held[0] == held[1];
            assert!(same, "worker {w}, {held:?}: GALE_SEED={seed}");
        }
        several += u64::from(best != worst);
    }
    check_enough("rural hospitals: the two ends differ", several, 10);
}

/// Goal: the same with caps, for what is then the hospital: a capped place that lies in no
/// other, or a vacancy that lies in none. The choice between its offers is substitutable and
/// takes no fewer out of more (Hatfield and Milgrom 2005), so that every stable matching
/// matches the same workers and fills it alike, though perhaps not the vacancies inside.
#[test]
fn with_caps_the_outermost_places_fill_alike() {
    let (mut several, mut inside) = (0, 0);
    for seed in seeds(2 * MARKETS) {
        let (mut problem, features) = random::market(seed);
        Arc::make_mut(&mut problem.settings).cap_order = CapOrder::Score;
        if !features.capped {
            continue;
        }
        let best = cleared_by(&problem, Side::Worker);
        let worst = cleared_by(&problem, Side::Vacancy);
        let matched = |m: &Matching| m.vacancy_of.iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!(matched(&best), matched(&worst), "matched workers: GALE_SEED={seed}");
        let fills = [&best, &worst].map(|matching| fill(&problem, matching));
        let outermost = |fill: &Vec<u64>| {
            let mut by_set = vec![0; problem.sets.len()];
            let mut alone = Vec::new();
            for (v, fill) in fill.iter().enumerate() {
                match problem.sets_around(v).last() {
                    Some(set) => by_set[set] += fill,
                    None => alone.push((v, *fill)),
                }
            }
            (by_set, alone)
        };
        assert_eq!(outermost(&fills[0]), outermost(&fills[1]), "GALE_SEED={seed}");
        several += u64::from(best != worst);
        inside += u64::from(fills[0] != fills[1]);
    }
    check_enough("rural hospitals with caps: the two ends differ", several, 5);
    println!("rural hospitals with caps: {inside} markets with vacancies that fill otherwise");
}

/// Goal: what cities are called or in which order they stand decides nothing. Method: the
/// same places in another order.
#[test]
fn relabelling_cities_permutes_results() {
    let mut moves = 0;
    for seed in seeds(MARKETS) {
        let problem = uncapped(seed);
        let mut new_of: Vec<u16> = (0..problem.geography.cities.len() as u16).collect();
        Random(seed ^ 0x4E1A).shuffle(&mut new_of);
        let relabelled = relabelled(&problem, &new_of);
        let matching = cleared(&problem);
        assert_eq!(matching, cleared(&relabelled), "GALE_SEED={seed}");
        moves += u64::from(moved(&problem, &matching) > 0);
        assert_eq!(moved(&problem, &matching), moved(&relabelled, &matching));
    }
    check_enough("relabelled cities: somebody moves", moves, 50);
}

/// The market with city `c` at place `new_of[c]`.
fn relabelled(problem: &Problem, new_of: &[u16]) -> Problem {
    let old = &problem.geography;
    let mut geography = Geography::default();
    for place in 0..new_of.len() as u16 {
        let from = new_of.iter().position(|new| *new == place).expect("a permutation");
        let city = &old.cities[from];
        common::add_city(&mut geography, city.latitude, city.longitude, city.cost_of_living);
        geography.cities[place as usize].move_subsidy = city.move_subsidy;
    }
    let new = |city: CityIx| CityIx(new_of[city.at()]);
    for ((origin, destination), cost) in old.move_costs_sorted() {
        geography.put_move_cost(new(origin), new(destination), Some(cost));
    }
    let mut same = problem.clone();
    same.geography = Arc::new(geography);
    for w in 0..same.workers.len() {
        let worker = worker_mut(&mut same, w);
        worker.home = new(worker.home);
        if let Mobility::Listed(cities) = &mut worker.mobility {
            cities.iter_mut().for_each(|city| *city = new(*city));
            cities.sort_unstable();
        }
    }
    for v in 0..same.vacancies.len() {
        let vacancy = vacancy_mut(&mut same, v);
        vacancy.city = new(vacancy.city);
    }
    same
}

/// Goal: the smallest case in which a subsidy for moves into a city lowers the inflow, so
/// that nobody promises the contrary. Method: three workers, two vacancies in X, one in Y.
/// The subsidy makes the first worker change over to X, where she takes the second's place,
/// and frees Y for the third, who leaves X.
#[test]
fn a_subsidy_can_lower_the_inflow() {
    let (home, x, y) = (CityIx(0), CityIx(1), CityIx(2));
    let mut geography = Geography::default();
    for longitude in [0.0, 1.0, 2.0] {
        common::add_city(&mut geography, 0.0, longitude, 1000);
    }
    let settings = Settings { fixed_move_cost: 9_000, horizon_years: 3, ..Settings::default() };
    let workers = [1, 2, 3].map(|number| Worker {
        home,
        expected_salary: 40_000,
        reservation_salary: 40_000,
        ..common::worker(number)
    });
    let job = |number, city, salary, ranking: &[u64]| Vacancy {
        city,
        salary,
        ranking: Some(ranking.iter().map(|worker| common::worker_id(*worker)).collect()),
        ..common::vacancy(number)
    };
    let vacancies =
        [job(1, x, 60_000, &[1, 2]), job(2, x, 50_000, &[3]), job(3, y, 62_000, &[1, 3])];
    let mut problem = common::problem(settings, geography, workers.to_vec(), vacancies.to_vec());
    assert_eq!(cleared(&problem).vacancy_of, [Some(2), Some(0), Some(1)], "X takes two");
    Arc::make_mut(&mut problem.geography).cities[x.at()].move_subsidy = 9_000;
    assert_eq!(cleared(&problem).vacancy_of, [Some(0), None, Some(2)], "X takes one");
}

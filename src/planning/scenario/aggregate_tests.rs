//! Tests of the macro mode: conservation laws, exact statics, published thresholds.

use super::super::steady::{Margin, distinct, growth};
use super::*;

const EASY: Elasticities = Elasticities { income: 1.5, density: 0.05, cost: 0.05, reconsider: 0.1 };

/// Three cities that differ in everything.
fn three() -> (Economy, Vec<f64>) {
    let place = |wage, prices, amenity| Place { wage, prices, amenity, ..Place::default() };
    let places = vec![place(1.0, 1.1, 0.0), place(0.9, 0.9, 0.1), place(1.2, 1.0, -0.2)];
    (Economy::uniform(places, 3.0, EASY), vec![6.0, 3.0, 1.0])
}

/// The same with a subsidy to whoever moves to city `to`.
fn subsidised(economy: &Economy, to: usize, subsidy: f64) -> Economy {
    let n = economy.len();
    let of = |at: usize| if at % n == to && at / n != to { subsidy } else { 0.0 };
    Economy { subsidies: (0..n * n).map(of).collect(), ..economy.clone() }
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

#[track_caller]
fn near(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() <= tolerance, "{found:?} is not {wanted:?}");
    }
}

/// Goal: nobody is lost. Totals stay, rows of the flows are those who choose, and net
/// migration adds up to 0, over many periods, with and without caps and subsidies.
#[test]
fn people_are_conserved() {
    let (mut economy, mut residents) = three();
    economy = subsidised(&economy, 2, 0.1);
    economy.places[2].cap = Some(0.02);
    for _ in 0..200 {
        let step = economy.step(&residents);
        for (o, row) in step.flows.chunks(3).enumerate() {
            assert!((sum(row) - 0.1 * residents[o]).abs() < 1e-13);
        }
        assert!((sum(&step.residents) - 10.0).abs() < 1e-12);
        let net: f64 = sum(&step.inflows()) - sum(&step.outflows());
        assert!(net.abs() < 1e-13);
        residents = step.residents;
    }
}

/// Goal: where moving costs everything, nobody moves, exactly.
#[test]
fn nobody_crosses_an_infinite_barrier() {
    let (mut economy, residents) = three();
    economy.barriers = (0..9).map(|at| if at % 4 == 0 { 1.0 } else { f64::INFINITY }).collect();
    let step = economy.step(&residents);
    assert_eq!(sum(&step.inflows()), 0.0);
    near(&step.residents, &residents, 1e-15);
}

/// Goal: alike cities of equal size exchange equal flows; with unequal sizes and no
/// barrier the shares are equal from everywhere, the flows are not.
#[test]
fn alike_cities_exchange_alike() {
    let economy = Economy::uniform(vec![Place::default(); 3], 3.0, EASY);
    let step = economy.step(&[4.0; 3]);
    for o in 0..3 {
        for d in 0..3 {
            assert_eq!(step.flows[3 * o + d], step.flows[3 * d + o]);
        }
    }
    let mut free = Economy::uniform(vec![Place::default(); 3], 1.0, EASY);
    free.elasticities.density = 0.05;
    let residents = [6.0, 3.0, 1.0];
    let shares = free.shares(&free.wages(&residents), &free.prices(&residents));
    near(&shares, &[1.0 / 3.0; 9], 1e-15);
    let step = free.step(&residents);
    near(&step.inflows(), &[0.1 * 4.0 / 3.0, 0.1 * 7.0 / 3.0, 0.1 * 3.0], 1e-15);
}

/// Goal: within one period a subsidy to a city raises the flow to it from every other city
/// and lowers every flow between others, by the derivative of the logit.
#[test]
fn a_subsidy_draws_from_everywhere_within_a_period() {
    let (economy, residents) = three();
    let before = economy.step(&residents);
    let after = subsidised(&economy, 2, 1e-6).step(&residents);
    for (o, residents) in residents[..2].iter().enumerate() {
        assert!(after.flows[3 * o + 2] > before.flows[3 * o + 2]);
        for d in 0..2 {
            assert!(after.flows[3 * o + d] < before.flows[3 * o + d]);
        }
        let share = before.flows[3 * o + 2] / (0.1 * residents);
        let slope = (after.flows[3 * o + 2] - before.flows[3 * o + 2]) / (0.1 * residents);
        let wanted = 1.5 * share * (1.0 - share) * libm::log1p(1e-6 / before.wages[2]);
        assert!((slope / wanted - 1.0).abs() < 1e-4, "{slope} {wanted}");
    }
}

/// Goal: more subsidy draws more, in a period and in the long run, and the total stays.
#[test]
fn more_subsidy_draws_more_in_the_long_run() {
    let places = vec![Place { capacity: 3.0, reference: 3.0, ..Place::default() }; 3];
    let elasticities = Elasticities { density: 0.03, cost: 0.08, reconsider: 1.0, ..EASY };
    let economy = Economy::uniform(places, 3.0, elasticities);
    let (mut inflow, mut size) = (0.0, 0.0);
    for subsidy in [0.0, 0.02, 0.05, 0.1] {
        let economy = subsidised(&economy, 2, subsidy);
        let drawn = economy.step(&[6.0, 3.0, 1.0]).inflows()[2];
        let steady = economy.steady(&[6.0, 3.0, 1.0]);
        assert!(steady.converged && (sum(&steady.residents) - 10.0).abs() < 1e-9);
        assert!(drawn > inflow && steady.residents[2] > size, "at {subsidy}");
        (inflow, size) = (drawn, steady.residents[2]);
    }
}

/// Goal: only real differences count: all wages twice as high, subsidies too, change nothing.
#[test]
fn the_unit_of_money_does_not_matter() {
    let (economy, residents) = three();
    let economy = subsidised(&economy, 1, 0.07);
    let mut doubled = economy.clone();
    doubled.places.iter_mut().for_each(|place| place.wage *= 2.0);
    doubled.subsidies.iter_mut().for_each(|subsidy| *subsidy *= 2.0);
    near(&economy.step(&residents).flows, &doubled.step(&residents).flows, 1e-15);
}

/// Goal: cities have no number: relabelled, the results are relabelled.
#[test]
fn relabelling_permutes_the_results() {
    let (economy, residents) = three();
    let economy = subsidised(&economy, 0, 0.05);
    let order = [2, 0, 1];
    let mut turned = economy.clone();
    turned.places = order.map(|i| economy.places[i]).to_vec();
    let entry = |at: usize| economy.subsidies[3 * order[at / 3] + order[at % 3]];
    turned.subsidies = (0..9).map(entry).collect();
    let before = economy.step(&residents).residents;
    let after = turned.step(&order.map(|i| residents[i])).residents;
    near(&after, &order.map(|i| before[i]), 1e-14);
}

/// Goal: room lowers prices and draws people; a slack cap changes nothing, a binding one
/// holds, has a price, and only turns away movers.
#[test]
fn room_draws_and_caps_hold() {
    let (economy, residents) = three();
    let before = economy.step(&residents);
    let mut roomier = economy.clone();
    roomier.places[1].capacity = 2.0;
    let after = roomier.step(&residents);
    assert!(after.prices[1] < before.prices[1] && after.inflows()[1] > before.inflows()[1]);

    let inflow = before.inflows()[2];
    let mut slack = economy.clone();
    slack.places[2].cap = Some(1.01 * inflow);
    assert_eq!(slack.step(&residents), before);
    let mut bound = economy.clone();
    bound.places[2].cap = Some(inflow / 4.0);
    let after = bound.step(&residents);
    assert!((after.inflows()[2] - inflow / 4.0).abs() < 1e-9);
    assert!(after.shadow[2] > 0.0 && after.shadow[..2] == [0.0; 2]);
    // The price is what would have to be taken off incomes there to draw as many.
    let mut dearer = economy.clone();
    dearer.places[2].amenity -= after.shadow[2];
    let priced = dearer.step(&residents).inflows()[2];
    assert!((priced - inflow / 4.0).abs() < 1e-9);
}

/// Goal: with a registry and no feedback the long run is one choice of everybody.
#[test]
fn without_feedback_a_registry_settles_at_once() {
    let (mut economy, residents) = three();
    economy.origin = Origin::Registry;
    economy.registry = residents.clone();
    economy.elasticities = Elasticities { density: 0.0, cost: 0.0, reconsider: 1.0, ..EASY };
    let target = economy.step(&residents).residents;
    near(&economy.steady(&residents).residents, &target, 1e-8);
}

/// Goal: the thresholds of the run-away, 0.667, 0.421 and 0.337 for barriers 1, 3 and 25,
/// by the margin's formula and by what periods do: at 0.95 of the threshold three alike
/// cities return to equal sizes, at 1.05 of it one takes nearly all.
#[test]
fn feedback_runs_away_beyond_the_threshold() {
    let cases = [
        (1.0, 0.667, [3.0, 0.0, 0.0]),
        (3.0, 0.421, [2.866, 0.067, 0.067]),
        (25.0, 0.337, [2.999, 0.001, 0.001]),
    ];
    for (barrier, published, end) in cases {
        let kappa = super::super::steady::attachment(3, barrier, 1.5);
        let threshold = 1.0 / (1.5 * (1.0 + kappa));
        assert!((threshold - published).abs() < 5e-4, "{threshold}");
        for (factor, wanted) in [(0.95, [1.0; 3]), (1.05, end)] {
            let density = factor * threshold;
            let elasticities = Elasticities { density, cost: 0.0, ..EASY };
            let mut economy = Economy::uniform(vec![Place::default(); 3], barrier, elasticities);
            economy.least = 1e-12;
            let steady = economy.steady(&[1.01, 0.995, 0.995]);
            near(&steady.residents, &wanted, 6e-4);
            let margin = Margin::symmetric(3, barrier, 1.5, density, 0.1);
            assert_eq!(margin.is_stable(), factor < 1.0);
            // The margin is the eigenvalue of the period: 1 - ρ (1 - κ) runaway.
            let factor_of_growth = growth(&economy, &[1.0; 3]);
            let wanted = 1.0 - 0.1 * (1.0 - kappa) * margin.runaway;
            assert!((factor_of_growth - wanted).abs() < 1e-6, "{factor_of_growth} {wanted}");
        }
    }
}

/// Goal: the registry's margin is the eigenvalue of its period.
#[test]
fn the_margin_of_a_registry_is_its_eigenvalue() {
    let elasticities = Elasticities { density: 0.4, cost: 0.05, ..EASY };
    let mut economy = Economy::uniform(vec![Place::default(); 3], 3.0, elasticities);
    economy.origin = Origin::Registry;
    economy.registry = vec![1.0; 3];
    economy.least = 1e-9;
    let margin = Margin::registry(3, 3.0, 1.5, 0.35, 0.1);
    let found = growth(&economy, &[1.0; 3]);
    assert!((found - (1.0 - 0.1 * margin.runaway)).abs() < 1e-6);
}

/// Goal: where history decides, several steady states are found; where it does not, one.
#[test]
fn several_steady_states_are_noticed() {
    let with = |density| {
        let elasticities = Elasticities { density, cost: 0.05, ..EASY };
        let mut economy = Economy::uniform(vec![Place::default(); 3], 3.0, elasticities);
        economy.least = 1e-9;
        distinct(&economy, &[1.1, 1.0, 0.9])
    };
    assert_eq!(with(0.05).len(), 1);
    let several = with(0.6);
    assert!(several.len() >= 3, "{several:?}");
    assert!(several.iter().all(|steady| steady.converged));
}

/// Goal: settled amenities make the sizes a steady state.
#[test]
fn settled_amenities_hold_the_sizes() {
    let (mut economy, residents) = three();
    economy.barriers[1] = 25.0;
    assert!(economy.settle(&residents) < 1e-9);
    near(&economy.step(&residents).residents, &residents, 1e-9);
}

/// Goal: the counterfactual in shares alone is that in levels.
#[test]
fn shares_suffice_for_a_counterfactual() {
    let (economy, residents) = three();
    let (wages, prices) = (economy.wages(&residents), economy.prices(&residents));
    let shares = economy.shares(&wages, &prices);
    let raised: Vec<f64> = wages.iter().zip([1.1, 1.0, 0.9]).map(|(w, f)| w * f).collect();
    let levels = economy.shares(&raised, &prices);
    near(&hat(&shares, 1.5, |_, d| [1.1, 1.0, 0.9][d]), &levels, 1e-14);
}

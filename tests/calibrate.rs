//! Calibration: the observed flows are whole, the halves do not overlap, both models find what
//! was planted, and what is reported follows from the options alone.

use gale::generate::{Moving, Plan, Scale};
use gale::planning::calibrate::agreement::{Agreement, common_part};
use gale::planning::calibrate::effects::Effects;
use gale::planning::calibrate::fit::Fit;
use gale::planning::calibrate::gravity::{Ppml, regressors};
use gale::planning::calibrate::model::{Model, Moves};
use gale::planning::calibrate::observed::{Pair, flows, pairs};
use gale::planning::calibrate::{Error, Options, Progress, Report, run};
use std::collections::HashSet;

#[path = "common/binary.rs"]
mod binary;

fn plan(metros: usize, scale: &str) -> Plan {
    Plan { metros, scale: Scale::parse("scale", scale).unwrap(), ..Plan::default() }
}

/// The observed pairs among the 50 largest metros.
fn observed(split_seed: u64) -> Vec<Pair> {
    let model = Model::new(&plan(50, "0.001"), 1, 1).unwrap();
    pairs(&model.geography().unwrap(), split_seed)
}

fn halves(split_seed: u64) -> (Vec<Pair>, Vec<Pair>) {
    observed(split_seed).into_iter().partition(|pair| !pair.held_out)
}

/// Goal: the bundled flows are the source's, whole. Method: rows, sums, order, and the source's
/// own threshold of 20 returns.
#[test]
fn bundled_flows_are_whole() {
    let flows = flows();
    assert_eq!(flows.len(), 12_911);
    assert_eq!(flows.iter().map(|flow| flow.returns).sum::<u64>(), 2_752_335);
    assert_eq!(flows.iter().map(|flow| flow.people).sum::<u64>(), 4_792_220);
    assert!(flows.iter().all(|flow| flow.returns >= 20 && flow.origin != flow.destination));
    assert!(flows.is_sorted_by_key(|flow| (flow.origin, flow.destination)));
    let distinct: HashSet<_> = flows.iter().map(|f| (f.origin, f.destination)).collect();
    assert_eq!(distinct.len(), flows.len());
    let among_50 = observed(1);
    assert_eq!(among_50.len(), 2_076);
    assert_eq!(among_50.iter().map(|pair| pair.people).sum::<f64>(), 1_968_378.0);
    assert!(among_50.iter().all(|pair| pair.km > 30.0 && pair.origin_population > 1e6));
}

/// Goal: the halves are disjoint, nearly equal, the same every time, and both directions of a
/// pair lie in one; another seed draws others.
#[test]
fn the_split_is_a_split() {
    let (training, held_out) = halves(1);
    assert_eq!((training.len(), held_out.len()), (1_027, 1_049));
    let ends = |half: &[Pair]| -> HashSet<_> {
        half.iter().map(|p| (p.origin.min(p.destination), p.origin.max(p.destination))).collect()
    };
    assert!(ends(&training).is_disjoint(&ends(&held_out)));
    assert_eq!(observed(1), observed(1));
    let other = halves(2).0;
    let common = ends(&training).intersection(&ends(&other)).count();
    assert!(common < ends(&training).len() * 2 / 3, "{common} of {}", ends(&training).len());
}

/// Goal: gravity on the real pairs solves its first-order conditions, and finds exponents that
/// were planted on the real geography.
#[test]
fn gravity_on_the_real_pairs() {
    let (training, _) = halves(1);
    let rows: Vec<_> = training.iter().map(regressors).collect();
    let people: Vec<f64> = training.iter().map(|pair| pair.people).collect();
    let fit = Ppml::fit(&rows, &people).unwrap();
    let total: f64 = people.iter().sum();
    for k in 0..4 {
        let rest: f64 =
            rows.iter().zip(&people).map(|(row, y)| row[k] * (y - fit.predict(row))).sum();
        assert!(rest.abs() < 1e-8 * total, "{k}: {rest}");
    }
    let [_, origin, destination, km] = fit.coefficients;
    assert!((0.5..1.5).contains(&origin) && (0.5..1.5).contains(&destination), "{fit:?}");
    assert!((-1.5..-0.4).contains(&km) && (0.5..1.0).contains(&fit.pseudo_r2()), "{fit:?}");
    let planted = [-20.0, 1.1, 0.8, -0.9];
    let exact = |row: &[f64; 4]| libm::exp(row.iter().zip(planted).map(|(x, b)| x * b).sum());
    let rounded: Vec<f64> = rows.iter().map(|row| libm::round(exact(row))).collect();
    let found = Ppml::fit(&rows, &rounded).unwrap().coefficients;
    for (found, planted) in found.iter().zip(planted).skip(1) {
        assert!((found - planted).abs() < 0.01, "{found} {planted}");
    }
}

/// Goal: with an effect of every city, fitted and observed sums are the same over each row and
/// each column of the training half.
#[test]
fn fixed_effects_keep_the_margins() {
    let (training, _) = halves(1);
    let effects = Effects::fit(&training, 50).unwrap();
    for city in 0..50 {
        for of in [|pair: &Pair| pair.origin, |pair: &Pair| pair.destination] {
            let here = training.iter().filter(|pair| of(pair) == city);
            let (mut fitted, mut seen) = (0.0, 0.0);
            for pair in here {
                fitted += effects.predict(pair);
                seen += pair.people;
            }
            assert!((fitted - seen).abs() <= 1e-9 * seen, "{city}: {fitted} {seen}");
        }
    }
    let predicted: Vec<f64> = training.iter().map(|pair| effects.predict(pair)).collect();
    let agreement = Agreement::of(&training, &predicted);
    assert!(agreement.common_part.unwrap() > 0.75, "{agreement:?}");
}

/// Goal: the search finds how people move when it *is* Gale's way. Method: the "observed" flows
/// are those of markets with planted powers, costs and shares; markets of other seeds are
/// fitted to them from the default.
#[test]
fn a_planted_way_of_moving_is_recovered() {
    let planted = Moving {
        fixed_cost: 4_000,
        cost_per_km: 2,
        home_only_bp: 4_000,
        anywhere_bp: 500,
        size_power_milli: 700,
        distance_power_milli: 1_800,
        amenities_bp: 0,
    };
    let plan = plan(12, "0.004");
    let truth = Model::new(&Plan { seed: 100, ..plan }, 16, 2).unwrap();
    let moves = Moves::together(&truth.moves(planted, || ()).unwrap(), 12);
    let mut training = pairs(&truth.geography().unwrap(), 1);
    for (at, people) in moves.on(&training).into_iter().enumerate() {
        training[at].people = people;
    }
    let model = Model::new(&plan, 4, 2).unwrap();
    let fit = Fit { model: &model, training: &training };
    let begun = fit.objective(Moving::default()).unwrap();
    let (found, objective) = fit.search(Moving::default(), 60, |_, _| ()).unwrap();
    let best = fit.objective(planted).unwrap();
    assert!(best > 0.94, "nothing is lost but what few movers blur: {best}");
    assert!(begun < best - 0.06, "the default is told from it: {begun} {best}");
    assert!(objective > begun + 0.7 * (best - begun), "{begun} {objective} {best} {found:?}");
    assert!((1_400..=2_300).contains(&found.distance_power_milli), "{found:?}");
}

fn small(threads: usize) -> (Report, Vec<Progress>) {
    let options = Options {
        plan: plan(12, "0.002"),
        split_seed: 1,
        evaluations: 6,
        search_markets: 2,
        report_markets: 3,
        threads,
    };
    let mut progress = Vec::new();
    let report = run(&options, |step| progress.push(step)).unwrap();
    (report, progress)
}

/// Goal: a report follows from its options alone, whatever the threads; what it says adds up.
#[test]
fn a_report_is_reproducible_and_adds_up() {
    let (report, progress) = small(1);
    assert_eq!(report, small(2).0);
    let (training, held_out) = (&report.observed.training, &report.observed.held_out);
    assert_eq!(training.pairs + held_out.pairs + report.unobserved, 12 * 11);
    assert_eq!((training.common_part, held_out.common_part), (Ok(1.0), Ok(1.0)));
    assert!(report.objective.1 >= report.objective.0);
    let names: HashSet<_> = report.rows.iter().map(|row| row.model).collect();
    assert_eq!((names.len(), report.rows.len()), (6, 6));
    for row in &report.rows {
        for half in [&row.training, &row.held_out] {
            assert!((0.0..1.0).contains(&half.common_part.unwrap()), "{row:?}");
        }
    }
    // Poisson gravity of its own prediction is itself.
    let exponent = report.rows[0].held_out.distance_exponent.unwrap();
    assert!((exponent - report.gravity.coefficients[3]).abs() < 1e-6);
    let common = |at: usize| report.rows[at].held_out.common_part.unwrap();
    assert!((report.advantage.0 - (common(2) - common(0))).abs() < 1e-12);
    assert!(report.moves.moved <= report.moves.matched);
    assert!(report.moves_on_observed <= report.moves.moved);
    let searched = progress.iter().filter(|p| matches!(p, Progress::Searching(..))).count();
    let turned = progress.iter().filter(|p| matches!(p, Progress::Turning(_))).count();
    let cleared = progress.iter().filter(|p| matches!(p, Progress::Reporting(_))).count();
    assert_eq!((searched, turned, cleared), (6, 14, 6));
}

/// Goal: no plan and no data are errors with a reason. Method: a plan outside the tables, and
/// two metros, whose only two pairs no gravity can be fitted to.
#[test]
fn what_cannot_be_calibrated_is_refused() {
    let options = |plan| Options {
        plan,
        split_seed: 1,
        evaluations: 1,
        search_markets: 2,
        report_markets: 1,
        threads: 1,
    };
    let refused = |plan| run(&options(plan), |_| ()).unwrap_err();
    assert!(matches!(refused(plan(0, "0.01")), Error::Plan(_)));
    assert!(matches!(refused(plan(2, "0.0001")), Error::Gravity(_)));
    let moving = Moving { home_only_bp: 9_000, anywhere_bp: 1_001, ..Moving::default() };
    assert!(matches!(refused(Plan { moving, ..plan(12, "0.001") }), Error::Plan(_)));
    assert!(common_part(&[1.0], &[0.0]).is_err());
}

/// Goal: the command answers in words and in JSON, its flags are those of `gale generate`, and
/// wrong ones are usage errors.
#[test]
fn the_command_calibrates() {
    let small = [
        "calibrate",
        "--metros",
        "8",
        "--scale",
        "0.001",
        "--evaluations",
        "3",
        "--markets",
        "2",
        "--report-markets",
        "1",
    ];
    let text = binary::ok(&small);
    for words in ["Held out", "gravity", "Gale, fitted", "observed", "power of distance"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json = binary::json(&binary::ok(&[&small[..], &["--json"]].concat()));
    let models = json["models"].as_array().unwrap();
    assert_eq!(models.len(), 7);
    assert!(models.iter().all(|model| model["held_out"]["pairs"] == json["pairs"]["held_out"]));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let flags: Vec<&str> = json["fitted"].as_str().unwrap().split(' ').collect();
    let generate = ["generate", "--metros", "3", "--scale", "0.0005", "--json", "--out", out];
    let generated = binary::json(&binary::ok(&[&generate[..], &flags].concat()));
    assert_eq!(generated["moving"], json["moving"]);
    let others = binary::json(&binary::ok(&[&generate[..], &["--home-only", "50"]].concat()));
    assert!(others["market"].as_str().unwrap().contains("-m"), "{others}");
    assert!(binary::fails(&["calibrate", "--metros", "4"], 2).contains("5 or more"));
    let shares = ["generate", "--out", out, "--home-only", "90", "--anywhere", "10.01"];
    assert!(binary::fails(&shares, 2).contains("anywhere"));
    assert!(
        binary::fails(&["generate", "--out", out, "--size-power", "3.0001"], 2).contains("0 to 3")
    );
}

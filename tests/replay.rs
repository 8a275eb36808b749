//! The state machine under random commands: pure, replayable, and honest about what it
//! claims.
//!
//! Each case is a random sequence of commands of every kind, sensible and not, on a
//! small market with caps, confirmations, deadlines and rounds that overlap with all of
//! it. `GALE_SEED=n` replays one case, `GALE_CASES=n` says how many there are; a
//! failing case is shrunk to the few operations that matter.

mod support;

use gale::state::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::audit;
use support::commands::{Case, KINDS, OPERATIONS};
use support::world::market_name;

/// Goal: the effects alone lead to an equal state, and so do the commands again.
fn replay(case: &Case) {
    let world = &case.world;
    let mut recovered = State::new(market_name(), world.capacity);
    for (revision, effect) in &world.journal {
        recovered.evolve(*revision, effect);
    }
    let mut again = State::new(market_name(), world.capacity);
    let mut effects = Vec::new();
    for envelope in &world.envelopes {
        let Ok(mut decision) = again.decide(envelope) else { continue };
        decision.effects.extend(decision.remembrance());
        for effect in decision.effects {
            again.evolve(decision.revision, &effect);
            effects.push((decision.revision, effect));
        }
    }
    assert_eq!(format!("{effects:?}"), format!("{:?}", world.journal));
    for other in [&recovered, &again] {
        assert_eq!(other.view().head.geography, world.view().head.geography);
        assert_eq!(audit::rendering(other.view()), audit::rendering(world.view()));
        case.probe(other);
    }
}

/// What a run has seen, printed so that a reader can judge it.
#[derive(Debug, Default)]
struct Seen {
    commands: usize,
    rounds: usize,
    placed: usize,
    lapsed: usize,
    frozen: usize,
    dissolved: u64,
    worker_optimal: usize,
    stable: usize,
    pending: usize,
}

impl Seen {
    fn claim(&mut self, standing: Standing) {
        match standing {
            Standing::WorkerOptimal => self.worker_optimal += 1,
            Standing::Stable => self.stable += 1,
            Standing::Pending(_) => self.pending += 1,
        }
    }

    fn count(&mut self, case: &Case) {
        self.commands += case.world.envelopes.len();
        self.lapsed += case.ledger.lapsed;
        self.frozen += case.ledger.frozen;
        for (_, effect) in &case.world.journal {
            match effect {
                Effect::Placed { .. } => self.placed += 1,
                Effect::RoundCleared { summary, .. } => {
                    self.rounds += 1;
                    self.dissolved += summary.dissolved;
                }
                _ => {}
            }
        }
    }
}

/// Goal: no sequence of commands panics, miscounts, forgets, claims too much or replays
/// differently. Method: see the head of this file; the checks are [`support::audit`].
#[test]
fn random_commands_keep_every_promise() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("GALE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GALE_CASES").unwrap_or(1_500),
    };
    let operations = proptest::collection::vec((0..KINDS, proptest::num::u64::ANY), 1..OPERATIONS);
    let seen = RefCell::new(Seen::default());
    for seed in seeds {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: 2_000,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let result = runner.run(&operations, |operations| {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let mut case = Case::new(seed);
                for (kind, detail) in &operations {
                    case.operate(*kind, *detail);
                    seen.borrow_mut().claim(case.world.standing());
                }
                replay(&case);
                seen.borrow_mut().count(&case);
            }));
            outcome.map_err(|_| TestCaseError::fail("see the panic above"))?;
            Ok(())
        });
        if let Err(error) = result {
            panic!("GALE_SEED={seed} replays this: {error}");
        }
    }
    let seen = seen.into_inner();
    println!("{seen:?}");
    // A run that sees none of these tests nothing.
    let seen_all = [seen.placed, seen.lapsed, seen.frozen, seen.stable].iter().all(|n| *n > 0);
    assert!(number("GALE_SEED").is_some() || seen_all);
}

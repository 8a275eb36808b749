//! A simulation of crashes: owners, scribe, journal and recovery as they are, on a disk in
//! memory that fails by a seed, with commands, steps and a clock that only the seed moves.
//!
//! Nothing that was acknowledged may ever be lost, nothing that is not durable seen, and
//! nothing applied twice. Clearings and snapshots have a thread of their own, which is
//! waited for but whose news may come before or after others: but for that, one seed gives
//! one history.
//!
//! ```text
//! GALE_SEED=n cargo test --release --test simulation      one history, all but always
//! GALE_SEEDS=10000 cargo test --release --test simulation the first so many
//! ```

#[path = "simulation/lane.rs"]
mod lane;
#[path = "simulation/life.rs"]
mod life;
#[path = "support/promises.rs"]
mod promises;
mod support;
#[path = "simulation/twin.rs"]
mod twin;

use life::Simulation;
use std::cell::Cell;
use std::fmt::Debug;
use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 300;

/// What some histories amounted to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub lives: u64,
    pub acknowledged: u64,
    pub refused: u64,
    pub unanswered: u64,
    pub retried: u64,
    pub entries: u64,
    pub faults: u64,
    pub crashes: u64,
    pub snapshots_used: u64,
    pub trimmed: u64,
    pub events_seen: u64,
    pub rounds_lost: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.lives += other.lives;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.retried += other.retried;
        self.entries += other.entries;
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.snapshots_used += other.snapshots_used;
        self.trimmed += other.trimmed;
        self.events_seen += other.events_seen;
        self.rounds_lost += other.rounds_lost;
    }
}

thread_local! {
    static SEED: Cell<u64> = const { Cell::new(0) };
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Goal: "Nothing acknowledged is ever lost", and the rest of what survives a crash. Method:
/// random commands on three markets through owners and scribe, a disk that fails, crashes,
/// recoveries; after every step everything is held against a twin that does nothing but
/// decide, serially, what the journal says was done.
#[test]
fn nothing_acknowledged_is_ever_lost() {
    // An owner that panics ends the process: then this is all that is said.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("GALE_SEED={} in thread {:?}: {panic}", SEED.get(), std::thread::current().id());
    }));
    let (from, to) = match number("GALE_SEED") {
        Some(seed) => (seed, seed + 1),
        None => (0, number("GALE_SEEDS").unwrap_or(SEEDS)),
    };
    let next = AtomicU64::new(from);
    let (figures, failures) = (Mutex::new(Figures::default()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= to {
                return;
            }
            SEED.set(seed);
            match Simulation::run(seed) {
                Ok(some) => *figures.lock().unwrap() += some,
                Err(broken) => {
                    failures.lock().unwrap().push(format!("GALE_SEED={seed}: {broken}"));
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let figures = figures.into_inner().unwrap();
    println!("{} seeds: {figures:#?}", to - from);
    if to - from >= SEEDS {
        let Figures { crashes, faults, retried, snapshots_used, trimmed, rounds_lost, .. } =
            figures;
        for (count, what) in [
            (crashes, "crashes"),
            (faults, "faults"),
            (retried, "retries"),
            (snapshots_used, "recoveries from snapshots"),
            (trimmed, "trimmed journals"),
            (rounds_lost, "rounds lost in a crash"),
        ] {
            assert!(count > 0, "the simulation has no {what}: it checks less than it says");
        }
    }
}
